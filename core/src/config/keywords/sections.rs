//! The keywords of the other sections.

use super::reasons::*;
use super::{Keyword, Status};

const fn kw(name: &'static str, status: Status) -> Keyword {
    Keyword { name, sections: super::Sections::NONE, args: 0, status }
}

pub(super) const USERLIST: &[Keyword] = &[kw("group", WORKS), kw("user", WORKS)];

pub(super) const PEERS: &[Keyword] = &[
    kw("bind", no(STATE)),
    kw("default-bind", no(STATE)),
    kw("default-server", no(STATE)),
    kw("disabled", no(STATE)),
    kw("enabled", no(STATE)),
    kw("log", no(STATE)),
    kw("peer", no(STATE)),
    kw("server", no(STATE)),
    kw("shards", no(STATE)),
    kw("table", no(STATE)),
];

pub(super) const RESOLVERS: &[Keyword] = &[
    kw("accepted_payload_size", no(RESOLVING)),
    kw("hold", no(RESOLVING)),
    kw("nameserver", no(RESOLVING)),
    kw("parse-resolv-conf", no(RESOLVING)),
    kw("resolve_retries", no(RESOLVING)),
    kw("timeout", no(RESOLVING)),
];

pub(super) const MAILERS: &[Keyword] = &[kw("mailer", no(CHECKS)), kw("timeout", no(CHECKS))];

pub(super) const HTTP_ERRORS: &[Keyword] = &[kw("errorfile", WORKS)];

pub(super) const RING: &[Keyword] = &[
    kw("backing-file", refuse(NOT_YET)),
    kw("description", WORKS),
    kw("format", WORKS),
    kw("maxlen", WORKS),
    kw("server", no(RINGS)),
    kw("size", WORKS),
    kw("timeout", no(RINGS)),
];

pub(super) const LOG_FORWARD: &[Keyword] = &[
    kw("backlog", refuse(NOT_YET)),
    kw("bind", refuse(NOT_YET)),
    kw("dgram-bind", refuse(NOT_YET)),
    kw("log", refuse(NOT_YET)),
    kw("maxconn", refuse(NOT_YET)),
    kw("timeout", refuse(NOT_YET)),
];

pub(super) const CACHE: &[Keyword] = &[
    kw("max-age", no(NOT_YET)),
    kw("max-object-size", no(NOT_YET)),
    kw("max-secondary-entries", no(NOT_YET)),
    kw("process-vary", no(NOT_YET)),
    kw("total-max-size", no(NOT_YET)),
];

pub(super) const FCGI_APP: &[Keyword] = &[
    kw("acl", no(NOT_YET)),
    kw("docroot", no(NOT_YET)),
    kw("index", no(NOT_YET)),
    kw("log-stderr", no(NOT_YET)),
    kw("option", no(NOT_YET)),
    kw("pass-header", no(NOT_YET)),
    kw("path-info", no(NOT_YET)),
    kw("set-param", no(NOT_YET)),
];

pub(super) const PROGRAM: &[Keyword] = &[
    kw("command", no(MASTER)),
    kw("group", no(MASTER)),
    kw("option", no(MASTER)),
    kw("user", no(MASTER)),
];
