//! Pattern files that rules change.

use tidegate_core::config::MapHost;

use crate::rig::{Knobs, Rig, http_config};

/// As measured: HAProxy 2.6 gives these answers.
#[test]
fn a_rule_changes_a_file_however_it_is_read() {
    let host = MapHost::default().with_file("/l", "one\n");
    let config = http_config(
        " acl plain hdr(x) -f /l\n acl folded hdr(x) -i -f /l\n acl begins hdr(x) -m beg -f /l\n \
         http-request add-acl(/l) %[hdr(add)] if { hdr(add) -m found }\n \
         http-request del-acl(/l) %[hdr(del)] if { hdr(del) -m found }\n \
         http-request return status 200 hdr r all if plain folded begins\n \
         http-request return status 200 hdr r both if folded begins\n \
         http-request return status 200 hdr r folded if folded\n \
         http-request return status 200 hdr r begins if begins\n \
         http-request return status 200 hdr r none\n",
    );
    let mut rig = Rig::with(&config, &Knobs { host, ..Knobs::default() });
    for (fields, answer) in [
        ("x: one\r\n", "all"),
        ("x: two\r\n", "none"),
        ("x: two\r\nadd: two\r\n", "all"),
        ("x: TWO\r\n", "folded"),
        ("x: two2\r\n", "begins"),
        ("x: one\r\ndel: one\r\n", "none"),
        ("x: ONE\r\n", "none"),
        ("x: one1\r\n", "none"),
    ] {
        let client = rig.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let got = rig.text(client);
        assert!(got.contains(&format!("\r\nr: {answer}\r\n")), "{fields:?}: {got}");
        rig.end(client);
    }
    rig.finish();
}
