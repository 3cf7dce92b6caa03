//! Names among thousands of others.

use super::*;

const COUNT: u32 = 2000;

fn to(site: &Site, switch: &Switch) -> Option<u32> {
    let Destination::Name(name) = &switch.to else { return None };
    site.refs.proxy(*name).or_else(|| site.refs.server(*name))
}

#[test]
fn each_line_leads_to_its_backend_and_each_name_is_kept_once() {
    let lines = |make: &dyn Fn(u32) -> String| (0..COUNT).map(make).collect::<String>();
    let routes = lines(&|n| format!("use_backend b{n} if {{ hdr(host) h{n} }}\n"));
    let again = lines(&|n| format!("use_backend b{n} if {{ path /{n} }}\n"));
    let vars = lines(&|n| format!("http-request set-var(txn.v{n}) int({n})\n"));
    let backends = lines(&|n| format!("backend b{n}\nserver s 192.0.2.1:80\n"));
    let site = http(&format!(
        "frontend f\nbind 127.0.0.1:80\n{vars}{routes}{again}default_backend b{}\n{backends}",
        COUNT - 1
    ));
    let frontend = &site.proxies[0];
    let found: Vec<_> = frontend.switching.iter().map(|switch| to(&site, switch)).collect();
    let meant: Vec<_> = (1..=COUNT).chain(1..=COUNT).map(Some).collect();
    assert_eq!(found, meant);
    assert_eq!(frontend.default_backend, Some(COUNT));
    assert_eq!(site.refs.targets.len(), COUNT as usize);
    assert_eq!(site.backends.get(b"b1234"), Some(1235));
    let numbers = frontend.rules.http_request.iter().map(|rule| match &rule.action {
        Action::SetVar { var, .. } => var.name,
        other => panic!("{other:?}"),
    });
    assert!(numbers.eq(0..COUNT));
}

#[test]
fn servers_are_found_in_their_own_backend() {
    let servers: String = (0..COUNT).map(|n| format!("server s{n} 192.0.2.1:80\n")).collect();
    let uses: String =
        (0..COUNT).map(|n| format!("use-server s{n} if {{ path /{n} }}\n")).collect();
    let site = http(&format!("backend a\n{servers}backend b\n{servers}{uses}"));
    let found: Vec<_> = site.proxies[1].use_servers.iter().map(|s| to(&site, s)).collect();
    assert_eq!(found, (COUNT..2 * COUNT).map(Some).collect::<Vec<_>>());
}

#[test]
fn the_first_twin_is_told_of() {
    let text = format!(
        "{TIMEOUTS}frontend x\nbind 127.0.0.1:80\nbackend x\nbackend y\nlisten x\n\
         bind 127.0.0.1:81\nbackend y\nbackend x\n"
    );
    let errors = build_with(&text, &CliOverrides::default()).expect_err("names are used twice");
    assert_eq!(
        errors,
        [
            "Alert 9: proxy 'x' has the same name as frontend 'x' declared at t.cfg:5",
            "Alert 11: backend 'y' has the same name as backend 'y' declared at t.cfg:8",
            "Alert 12: backend 'x' has the same name as backend 'x' declared at t.cfg:7",
        ]
    );
}

#[test]
fn the_last_defaults_of_a_name_counts() {
    let site = site(&format!(
        "{TIMEOUTS}defaults d\nretries 1\ndefaults e\nretries 2\ndefaults d\nretries 5\n\
         backend a from d\nbackend b from e\n"
    ));
    assert_eq!(site.proxies.iter().map(|proxy| proxy.retries).collect::<Vec<_>>(), [5, 2]);
}

#[test]
fn a_rule_changes_a_file_in_each_way_it_is_read() {
    let text = "frontend f\nbind 127.0.0.1:80\nacl a path -f /dev/null\n\
        acl b path -i -f /dev/null\n\
                acl c path -f /dev/null\nhttp-request add-acl(/dev/null) x\n\
                http-request deny if { path_beg -f /dev/null }\n";
    let site = http(text);
    match &site.proxies[0].rules.http_request[0].action {
        Action::Patterns { file: 0, .. } => assert_eq!(site.changed, [Box::from([0, 2, 5])]),
        other => panic!("{other:?}"),
    }
}
