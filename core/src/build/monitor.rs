//! `monitor-uri` and `monitor fail`.

use crate::config::Statement;
use crate::sample::Point;

use super::Builder;
use super::draft::Draft;

impl Builder<'_> {
    /// `monitor-uri <uri>`, `monitor fail { if | unless } <condition>`.
    pub(super) fn monitor(&mut self, draft: &mut Draft, statement: &Statement, name: &str) {
        let at = if name == "monitor-uri" { 1 } else { 2 };
        let mut phrase = self.phrase(statement, (at, name), Point::HttpReq);
        if at == 1 {
            if let Some(uri) = phrase.args.need("a URI") {
                draft.proxy.monitor_uri = Some(uri.as_str().into());
                phrase.args.end();
            }
            return;
        }
        match phrase.condition() {
            Ok(Some(condition)) => draft.proxy.monitor_fail.push(condition),
            Ok(None) => {
                phrase.args.alert(
                    phrase.args.place(),
                    "'monitor fail' expects 'if' or 'unless'",
                    "",
                );
            }
            Err(()) => {}
        }
    }
}
