//! `balance` and `hash-type`.

use crate::balance::Algorithm;
use crate::config::Statement;

use super::Builder;
use super::args::Args;
use super::draft::Draft;

/// What the two keywords say so far.
#[derive(Clone, Default)]
pub(super) struct Balance {
    pub(super) algorithm: Algorithm,
}

impl Builder<'_> {
    pub(super) fn balance(&mut self, _draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "balance", &mut self.diagnostics);
        args.need("an algorithm");
    }

    pub(super) fn hash_type(&mut self, _draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "hash-type", &mut self.diagnostics);
        args.need("'map-based' or 'consistent'");
    }
}
