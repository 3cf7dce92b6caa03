//! Load-balancing algorithms.

/// Which algorithm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Round robin.
    #[default]
    RoundRobin,
}
