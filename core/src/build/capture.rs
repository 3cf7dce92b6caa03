//! `capture … header` and `declare capture`: what is kept of messages for the log.

use crate::config::Statement;
use crate::proxy::spec::{Capture, CaptureCookie};

use super::Builder;
use super::args::Args;
use super::draft::Draft;

/// So many bytes of one value are kept at most.
const LEN_MAX: u32 = 1 << 16;

/// So many values are kept at most, of requests and of responses.
pub(super) const SLOTS_MAX: usize = 64;

impl Builder<'_> {
    /// `capture cookie <name> len <bytes>`.
    pub(super) fn capture_cookie(&mut self, draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 2, "capture cookie", &mut self.diagnostics);
        let Some(name) = args.need("the beginning of a cookie's name") else { return };
        const LEN: [(&str, ()); 1] = [("len", ())];
        if args.choice(&LEN).is_none() {
            return;
        }
        let Some(len) = args.number(1..=LEN_MAX) else { return };
        if args.end() {
            draft.proxy.capture_cookie = Some(CaptureCookie { begins: name.bytes().into(), len });
        }
    }

    /// `capture { request | response } header <name> len <bytes>` and
    /// `declare capture { request | response } len <bytes>`.
    pub(super) fn capture(&mut self, draft: &mut Draft, statement: &Statement, name: &str) {
        const SIDES: [(&str, usize); 2] = [("request", 0), ("response", 1)];
        let declared = name == "declare capture";
        let at = if declared { 2 } else { 3 };
        let mut args = Args::new(statement, at, name, &mut self.diagnostics);
        let (side, header) = if declared {
            let Some(side) = args.choice(&SIDES) else { return };
            (side, None)
        } else {
            let Some(word) = args.need("a header's name") else { return };
            let lower = word.as_str().to_ascii_lowercase();
            (usize::from(name == "capture response header"), Some(lower.into()))
        };
        const LEN: [(&str, ()); 1] = [("len", ())];
        if args.choice(&LEN).is_none() {
            return;
        }
        let Some(len) = args.number(1..=LEN_MAX) else { return };
        if !args.end() {
            return;
        }
        let slots = &mut draft.proxy.captures[side];
        if slots.len() >= SLOTS_MAX {
            let message = format!("'{name}' : there are {SLOTS_MAX} captures already");
            args.alert(statement.place(0), message, "");
            return;
        }
        slots.push(Capture { header, len });
    }
}
