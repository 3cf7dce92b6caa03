//! .

use crate::exchanges::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    Vec::new()
}
