//! What a proxied exchange costs in `tidegate_core::http`, in instructions:
//!
//! ```text
//! cargo build --release -p tidegate-core --example http_cost
//! valgrind --tool=callgrind --callgrind-out-file=cost.out target/release/examples/http_cost
//! callgrind_annotate --inclusive=yes cost.out | grep http_cost::
//! ```
//!
//! Each step is a function that is not inlined and is called [`ROUNDS`] times; divide by that.

use std::hint::black_box;

use tidegate_core::http::{
    Body, Head, HeadLimits, HeadScan, Known, Method, Scan, UpgradeField, Version, request_body,
    response_body, settle, strip_hop_by_hop, write_request, write_response,
};

const ROUNDS: usize = 1000;

const REQUEST: &[u8] = b"GET /index.html?a=1&b=2 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\
    Accept-Encoding: gzip, br\r\n\
    Accept-Language: en\r\n\
    Cookie: id=0123456789abcdef\r\n\
    X-Request-Id: 42\r\n\
    Connection: keep-alive\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.24.0\r\n\
    Date: Tue, 01 Sep 2026 10:00:00 GMT\r\n\
    Content-Type: text/html\r\n\
    Content-Length: 1024\r\n\
    Last-Modified: Mon, 31 Aug 2026 10:00:00 GMT\r\n\
    ETag: \"66d2f1a0-400\"\r\n\
    Connection: keep-alive\r\n\r\n";

fn main() {
    let limits = HeadLimits::default();
    let body = [b'x'; 1024];
    let request = [REQUEST, REQUEST].concat();
    let response = [RESPONSE, &body].concat();
    let mut head = Head::new();
    let mut out = Vec::with_capacity(4096);

    for _ in 0..ROUNDS {
        request_parse(black_box(&request), &mut head, &limits);
        request_model(&mut head);
        request_write(&head, &mut out);

        response_parse(black_box(&response), &mut head, &limits);
        response_model(&mut head);
        response_write(&head, &mut out);
    }
    println!("{ROUNDS} rounds: request {} bytes, response head {}", REQUEST.len(), RESPONSE.len());
}

#[inline(never)]
fn request_parse(input: &[u8], head: &mut Head, limits: &HeadLimits) {
    let found = HeadScan::request().parse(input, head, limits);
    assert_eq!(found, Scan::Complete { skip: 0, len: REQUEST.len() });
}

#[inline(never)]
fn request_model(head: &mut Head) {
    assert_eq!(request_body(head), Ok(Body::None));
    let said = strip_hop_by_hop(head, UpgradeField::Strip);
    assert!(said.keeps_alive(head.version()));
    head.push_known(Known::XForwardedFor, b"192.0.2.1");
}

#[inline(never)]
fn request_write(head: &Head, out: &mut Vec<u8>) {
    out.clear();
    write_request(head, out);
    black_box(&out);
}

#[inline(never)]
fn response_parse(input: &[u8], head: &mut Head, limits: &HeadLimits) {
    let found = HeadScan::response().parse(input, head, limits);
    assert_eq!(found, Scan::Complete { skip: 0, len: RESPONSE.len() });
}

#[inline(never)]
fn response_model(head: &mut Head) {
    let body = response_body(head, Method::Get);
    assert_eq!(body, Ok(Body::Length(1024)));
    settle(head, Body::Length(1024));
    let said = strip_hop_by_hop(head, UpgradeField::Strip);
    assert!(said.keeps_alive(head.version()));
}

#[inline(never)]
fn response_write(head: &Head, out: &mut Vec<u8>) {
    out.clear();
    write_response(head, Version::V11, out);
    black_box(&out);
}
