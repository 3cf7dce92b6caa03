//! `tidegate route`: what it says of requests, and how it ends.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const SITE: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tarpit 10s

frontend site
    bind 127.0.0.1:1
    acl api path_beg /api/
    http-request set-header X-From %[src]
    http-request deny deny_status 404 if { path /gone }
    http-request tarpit if { path /slow }
    http-request redirect scheme https code 301 if { hdr(host) -i old.example }
    http-request set-path /v1%[path] if { hdr(x-version) 1 }
    use_backend api if api
    default_backend web

backend api
    server a 192.0.2.1:80

backend web
    server w 192.0.2.2:80
";

/// A configuration in a file of its own, removed at the end.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("tidegate-route-{}-{name}.cfg", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("a temporary file");
        Site(path)
    }

    fn route(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("route").arg("-f").arg(&self.0).args(args);
        command.output().expect("it runs")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_a_server_would_get() {
    let site = Site::new("server", SITE);
    let output = site.route(&[
        "--request",
        "GET https://example.com/api/x?y=1",
        "-H",
        "Accept: */*",
        "--src",
        "192.0.2.77",
    ]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        ":11  http-request set-header X-From %[src]\n",
        ":16  use_backend api if api\n",
        "backend   api\nserver    a (192.0.2.1:80)\n",
        "request   GET /api/x?y=1 HTTP/1.1\n",
        "          host: example.com\n          accept: */*\n          x-from: 192.0.2.77\n",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{said}");
    }
    assert!(!said.contains("redirect") && !said.contains("deny"), "{said}");
    // A rule that rewrites comes before the backend is chosen.
    let output = site.route(&["--request", "GET /api/x", "-H", "x-version: 1"]);
    assert!(text(&output).contains("server    w (192.0.2.2:80)"), "{}", text(&output));
}

#[test]
fn what_a_client_would_be_answered() {
    let site = Site::new("client", SITE);
    for (request, answer) in [
        ("GET /gone", "answer    HTTP/1.1 404 Not Found\n"),
        ("GET http://old.example/a", "          location: https://old.example/a\n"),
        // Time passes at once.
        ("GET /slow", "answer    HTTP/1.1 500 Internal Server Error\n"),
        ("GET /a b", "answer    HTTP/1.1 400 Bad request\n"),
    ] {
        let output = site.route(&["--request", request]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{request}: {said}");
        assert!(said.contains("server    none\n") && said.contains(answer), "{request}: {said}");
    }
}

#[test]
fn as_json() {
    let site = Site::new("json", SITE);
    let output = site.route(&["--json", "--request", "POST /", "--data", "a=b"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["frontend"], "site");
    assert_eq!(said["routed"]["backend"], "web");
    assert_eq!(said["rules"][0]["line"], 11);
    assert!(said["request"].as_str().is_some_and(|sent| sent.ends_with("\r\n\r\na=b")), "{said}");
    assert!(said["answer"].is_null());
}

#[test]
fn what_is_wrong_with_the_question() {
    let site = Site::new("wrong", SITE);
    let broken = Site::new("broken", "frontend f\n bind 127.0.0.1:1\n use_backend b if nope\n");
    for (output, why) in [
        (site.route(&[]), "which request?"),
        (site.route(&["--request", "GET /", "--frontend", "x"]), "no HTTP frontend 'x'"),
        (site.route(&["--request", "GET /", "--src", "x"]), "'x' is no IP address"),
        (site.route(&["--request", "GET /", "-H", "x"]), "'-H x' is not of the form"),
        (site.route(&["--what"]), "'--what' is not an option"),
        (broken.route(&["--request", "GET /"]), "no such ACL : 'nope'"),
    ] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{why:?} is not in\n{said}");
    }
}
