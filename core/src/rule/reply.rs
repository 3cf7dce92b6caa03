//! Answers that rules give: pages, redirects.

use std::sync::Arc;

use crate::logfmt::format::Format;

/// An answer: `return`, `deny`, `http-error`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body, and what says of what type it is.
    pub body: ReplyBody,
    /// `hdr`: further fields.
    pub fields: Vec<(Box<[u8]>, Format)>,
}

/// What an answer contains.
#[derive(Clone, Debug)]
pub enum ReplyBody {
    /// Nothing.
    Empty,
    /// The error page of the status, the proxy's own or ours.
    Page,
    /// A whole answer, head and all: `errorfile`, `errorfiles`.
    File(Arc<[u8]>),
    /// `file`, `string`.
    Bytes(Arc<[u8]>, Box<str>),
    /// `lf-file`, `lf-string`.
    Format(Box<Format>, Box<str>),
}

/// How the target of a redirect is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RedirectKind {
    /// `location`: it is the target.
    Location,
    /// `prefix`: it stands in front of the path.
    Prefix,
    /// `scheme`: it takes the scheme's place.
    Scheme,
}

/// `redirect`.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// How the target is made.
    pub kind: RedirectKind,
    /// Of what.
    pub target: Format,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `drop-query`.
    pub drop_query: bool,
    /// `append-slash`.
    pub append_slash: bool,
    /// `ignore-empty`.
    pub ignore_empty: bool,
    /// `set-cookie`, `clear-cookie`: the whole value of Set-Cookie.
    pub cookie: Option<Box<[u8]>>,
}
