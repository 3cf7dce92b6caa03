//! `log-format` and its kin, and `unique-id-format`.

use std::sync::Arc;

use crate::config::Statement;
use crate::logfmt::format::{Format, Style};
use crate::sample::Point;

use super::Builder;
use super::draft::Draft;

impl Builder<'_> {
    /// `log-format`, `log-format-sd`, `error-log-format`, `unique-id-format`.
    pub(super) fn format_statement(
        &mut self,
        draft: &mut Draft,
        statement: &Statement,
        name: &'static str,
    ) {
        let unique = name == "unique-id-format";
        let (style, point) =
            if unique { (Style::Id, Point::HttpReq) } else { (Style::Log, Point::Log) };
        let mut phrase = self.phrase(statement, (1, name), point);
        let Some(format) = phrase.format("a format", style) else { return };
        if let Some(extra) = phrase.args.peek() {
            let message = format!("'{name}' expects one word: quote a format that has spaces");
            phrase.args.alert(extra.span, message, "or put a backslash before each space");
            return;
        }
        let format: Option<Arc<Format>> = Some(Arc::new(format));
        let span = statement.place(0);
        draft.formats.retain(|(known, _)| *known != name);
        draft.formats.push((name, span));
        match name {
            "log-format" => {
                draft.proxy.format = format;
                draft.log_option = Some(span);
            }
            "log-format-sd" => draft.proxy.format_sd = format,
            "error-log-format" => draft.proxy.error_format = format,
            _ => draft.proxy.unique_id_format = format,
        }
    }
}
