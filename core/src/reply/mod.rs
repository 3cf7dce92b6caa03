//! The answers that we give ourselves: error pages, in the two shapes that HAProxy has.
//!
//! A page is the status, a title and a sentence of ours; `errorfile` replaces it whole.

use crate::txn::Txn;

/// Which head goes before a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// From the session: lower case, and `connection` only if it says something.
    Session,
    /// From the HTTP/1 parser, when no request was understood: it always closes.
    Parser,
}

struct Page {
    status: u16,
    title: &'static str,
    text: &'static str,
}

const fn page(status: u16, title: &'static str, text: &'static str) -> Page {
    Page { status, title, text }
}

/// The pages that exist, by status. The reason phrase is the title.
const PAGES: &[Page] = &[
    page(200, "OK", "Service ready."),
    page(400, "Bad request", "Your browser sent an invalid request."),
    page(401, "Unauthorized", "You need a valid user and password to access this content."),
    page(403, "Forbidden", "Request forbidden by administrative rules."),
    page(404, "Not Found", "The resource could not be found."),
    page(
        405,
        "Method Not Allowed",
        "A request was made of a resource using a request method not supported by that resource",
    ),
    page(407, "Unauthorized", "You need a valid user and password to access this content."),
    page(408, "Request Time-out", "Your browser didn't send a complete request in time."),
    page(410, "Gone", "The resource is no longer available and will not be available again."),
    page(413, "Payload Too Large", "The request entity exceeds the maximum allowed."),
    page(425, "Too Early", "Your browser sent early data."),
    page(429, "Too Many Requests", "You have sent too many requests in a given amount of time."),
    page(500, "Internal Server Error", "An internal server error occurred."),
    page(
        501,
        "Not Implemented",
        ".The server does not support the functionality required to fulfill the request.",
    ),
    page(502, "Bad Gateway", "The server returned an invalid or incomplete response."),
    page(503, "Service Unavailable", "No server is available to handle this request."),
    page(504, "Gateway Time-out", "The server didn't respond in time."),
];

/// The reason phrase of a status where a rule names only the number, as HAProxy has them (measured
/// for every status that a rule may name). Pages have their own titles.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        210 => "Content Different",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        310 => "Too many Redirects",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested range unsatisfiable",
        417 => "Expectation failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Method failure",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        449 => "Retry With",
        450 => "Blocked by Windows Parental Controls",
        451 => "Unavailable For Legal Reasons",
        456 => "Unrecoverable Error",
        499 => "client has closed connection",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway or Proxy Error",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        506 => "Variant also negotiate",
        507 => "Insufficient storage",
        508 => "Loop detected",
        509 => "Bandwidth Limit Exceeded",
        510 => "Not extended",
        511 => "Network authentication required",
        520 => "Web server is returning an unknown error",
        other => match other / 100 {
            1 => "Informational",
            2 => "Success",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Other",
        },
    }
}

/// Whether there is a page for `status`: what `errorfile` and `deny_status` may name.
pub fn is_known(status: u16) -> bool {
    PAGES.iter().any(|p| p.status == status)
}

/// Every status that has a page.
pub fn known() -> impl Iterator<Item = u16> {
    PAGES.iter().map(|p| p.status)
}

/// Writes the page for `status` behind what is in `out`, with `connection` for what is said of the
/// connection, if anything. Returns how many bytes the log counts for it.
pub fn write(
    status: u16,
    shape: Shape,
    connection: Option<&str>,
    bodyless: bool,
    out: &mut Vec<u8>,
) -> u64 {
    let page = PAGES.iter().find(|p| p.status == status).unwrap_or(&PAGES[12]);
    let body = format!(
        "<html><body><h1>{} {}</h1>\n{}\n</body></html>\n",
        page.status, page.title, page.text
    );
    let head = match shape {
        Shape::Session => format!(
            "HTTP/1.1 {} {}\r\ncontent-length: {}\r\ncache-control: no-cache\r\n\
             content-type: text/html\r\n{}\r\n",
            page.status,
            page.title,
            body.len(),
            connection.map_or(String::new(), |says| format!("connection: {says}\r\n"))
        ),
        Shape::Parser => format!(
            "HTTP/1.1 {} {}\r\nContent-length: {}\r\nCache-Control: no-cache\r\n\
             Connection: close\r\nContent-Type: text/html\r\n\r\n",
            page.status,
            page.title,
            body.len()
        ),
    };
    out.extend_from_slice(head.as_bytes());
    if !bodyless {
        out.extend_from_slice(body.as_bytes());
    }
    match shape {
        // What HAProxy's log counts: see `Txn::count_head`.
        Shape::Session => {
            let fields = "content-length".len()
                + body.len().to_string().len()
                + "cache-controlno-cache".len()
                + "content-typetext/html".len()
                + if closes(page.status) { "connectionclose".len() } else { 0 };
            let body = if bodyless { 0 } else { body.len() };
            (20 + 8 + 3 + page.title.len() + fields + 1 + body) as u64
        }
        Shape::Parser => 0,
    }
}

/// Whether HAProxy's page says itself that the connection closes, which its log counts.
pub fn closes(status: u16) -> bool {
    matches!(status, 400 | 408)
}

/// Whether the answer to this request has no body whatever its head says.
pub fn is_bodyless(txn: &Txn) -> bool {
    txn.is(crate::txn::TxnFlags::REQUEST) && txn.request.method() == crate::http::Method::Head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_page() {
        let mut out = Vec::new();
        assert_eq!(write(403, Shape::Session, None, false, &mut out), 192);
        let text = String::from_utf8_lossy(&out);
        assert!(text.starts_with(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 93\r\ncache-control: no-cache\r\n\
             content-type: text/html\r\n\r\n<html>"
        ));
        let mut out = Vec::new();
        assert_eq!(write(408, Shape::Parser, Some("close"), false, &mut out), 0);
        assert!(out.starts_with(b"HTTP/1.1 408 Request Time-out\r\nContent-length: 110\r\n"));
    }

    #[test]
    fn the_lengths_of_all_pages() {
        let lengths: Vec<(u16, usize)> = known()
            .map(|status| {
                let mut out = Vec::new();
                write(status, Shape::Session, Some("close"), false, &mut out);
                let at = memchr::memmem::find(&out, b"<html>").unwrap_or(0);
                (status, out.len() - at)
            })
            .collect();
        let expected = [
            (200, 58),
            (400, 90),
            (401, 112),
            (403, 93),
            (404, 83),
            (405, 146),
            (407, 112),
            (408, 110),
            (410, 114),
            (413, 106),
            (425, 80),
            (429, 117),
            (500, 97),
            (501, 136),
            (502, 107),
            (503, 107),
            (504, 92),
        ];
        assert_eq!(lengths, expected);
    }
}
