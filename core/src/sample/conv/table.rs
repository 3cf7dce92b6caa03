//! Converters that look up stick tables, which do not exist yet: each is refused by name.

use super::{Conv, Kind, Names, Spec, row};
use crate::sample::args::{Args, Mistake};

fn refuse(args: &Args<'_, '_>, _: &mut Names<'_>) -> Result<Conv, Mistake> {
    let message = format!("'{}' looks up a stick table, and there are none yet", args.name());
    Err(args.wrong(message))
}

/// A table, and perhaps what there is if it has no such key.
const fn numbers(name: &'static str, most: usize) -> Spec {
    row(name, (Kind::Any, Kind::Int), (0, most), refuse)
}

pub(super) const TABLE: &[Spec] = &[
    row("in_table", (Kind::Any, Kind::Bool), (0, 1), refuse),
    numbers("table_bytes_in_rate", 1),
    numbers("table_bytes_out_rate", 1),
    numbers("table_conn_cnt", 1),
    numbers("table_conn_cur", 1),
    numbers("table_conn_rate", 1),
    numbers("table_expire", 2),
    numbers("table_gpc", 2),
    numbers("table_gpc0", 1),
    numbers("table_gpc0_rate", 1),
    numbers("table_gpc1", 1),
    numbers("table_gpc1_rate", 1),
    numbers("table_gpc_rate", 2),
    numbers("table_gpt", 2),
    numbers("table_gpt0", 1),
    numbers("table_http_err_cnt", 1),
    numbers("table_http_err_rate", 1),
    numbers("table_http_fail_cnt", 1),
    numbers("table_http_fail_rate", 1),
    numbers("table_http_req_cnt", 1),
    numbers("table_http_req_rate", 1),
    numbers("table_idle", 2),
    numbers("table_kbytes_in", 1),
    numbers("table_kbytes_out", 1),
    numbers("table_server_id", 1),
    numbers("table_sess_cnt", 1),
    numbers("table_sess_rate", 1),
    numbers("table_trackers", 1),
];
