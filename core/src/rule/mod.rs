//! Rules: a condition, and what is done where it holds. What they are, not how they are carried
//! out: that is `analyser/rules`.

mod forwarded;
mod reply;
mod rewrite;

use std::sync::Arc;

pub use forwarded::{Forwarded, Node, Source};
pub use reply::{Redirect, RedirectKind, Reply, ReplyBody};
pub use rewrite::{Normalizer, Pattern, Template, path_start};

use crate::acl::Condition;
use crate::logfmt::format::Format;
use crate::logfmt::wire::Level;
use crate::sample::conv::Condition as SetIf;
use crate::sample::vars::VarId;
use crate::sample::{Expr, NameRef};
use crate::time::Duration;

/// The rule sets of a proxy, in the order of a session's life.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `tcp-request connection`.
    pub connection: Vec<Rule>,
    /// `tcp-request session`.
    pub session: Vec<Rule>,
    /// `tcp-request content`.
    pub content: Vec<Rule>,
    /// `http-request`.
    pub http_request: Vec<Rule>,
    /// `redirect`.
    pub redirect: Vec<Rule>,
    /// `tcp-response content`.
    pub response_content: Vec<Rule>,
    /// `http-response`.
    pub http_response: Vec<Rule>,
    /// `http-after-response`.
    pub after_response: Vec<Rule>,
    /// `tcp-request inspect-delay`: how long `content` rules may wait for bytes.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response inspect-delay`.
    pub response_delay: Option<Duration>,
}

/// Which of a proxy's rule sets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Set {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content`.
    Content,
    /// `http-request`.
    HttpRequest,
    /// `redirect`.
    Redirect,
    /// `tcp-response content`.
    ResponseContent,
    /// `http-response`.
    HttpResponse,
    /// `http-after-response`.
    AfterResponse,
}

impl Set {
    /// The words that begin such a rule.
    pub const fn as_str(self) -> &'static str {
        match self {
            Set::Connection => "tcp-request connection",
            Set::Session => "tcp-request session",
            Set::Content => "tcp-request content",
            Set::HttpRequest => "http-request",
            Set::Redirect => "redirect",
            Set::ResponseContent => "tcp-response content",
            Set::HttpResponse => "http-response",
            Set::AfterResponse => "http-after-response",
        }
    }

    /// The set that begins with these words.
    pub fn named(words: &str) -> Option<Set> {
        use Set::*;
        [Connection, Session, Content, HttpRequest, ResponseContent, HttpResponse, AfterResponse]
            .into_iter()
            .find(|set| set.as_str() == words)
    }
}

impl Rules {
    /// The rules of a set.
    pub fn set(&self, set: Set) -> &[Rule] {
        match set {
            Set::Connection => &self.connection,
            Set::Session => &self.session,
            Set::Content => &self.content,
            Set::HttpRequest => &self.http_request,
            Set::Redirect => &self.redirect,
            Set::ResponseContent => &self.response_content,
            Set::HttpResponse => &self.http_response,
            Set::AfterResponse => &self.after_response,
        }
    }

    /// The same, to be added to.
    pub fn set_mut(&mut self, set: Set) -> &mut Vec<Rule> {
        match set {
            Set::Connection => &mut self.connection,
            Set::Session => &mut self.session,
            Set::Content => &mut self.content,
            Set::HttpRequest => &mut self.http_request,
            Set::Redirect => &mut self.redirect,
            Set::ResponseContent => &mut self.response_content,
            Set::HttpResponse => &mut self.http_response,
            Set::AfterResponse => &mut self.after_response,
        }
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// When it applies; none is always.
    pub condition: Option<Condition>,
    /// What is done.
    pub action: Action,
    /// The file where it stands.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// As it was written, for explanations.
    pub text: Arc<str>,
    /// When it asks for the unique id.
    pub unique_id: UniqueId,
}

/// When a rule asks for the unique id, which is made the first time that it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UniqueId {
    /// Never.
    Never,
    /// If it applies.
    Applied,
    /// To know whether it applies.
    Tested,
}

/// What a rule does.
#[derive(Clone, Debug)]
pub enum Action {
    /// `allow`, `accept`: the set's other rules are not looked at.
    Allow,
    /// `deny`: answered with an error.
    Deny(Box<Reply>),
    /// `tarpit`: the same, after a while.
    Tarpit(Box<Reply>),
    /// `return`: answered.
    Return(Box<Reply>),
    /// `redirect`.
    Redirect(Box<Redirect>),
    /// `auth`: a name and a password are asked for.
    Auth {
        /// `realm`; none is the proxy's name.
        realm: Option<Box<Format>>,
    },
    /// `reject`: closed without an answer.
    Reject,
    /// `silent-drop`: forgotten without a word to the client.
    SilentDrop,
    /// `tcp-response content close`: the server's connection is closed.
    Close,
    /// `expect-proxy layer4`: a PROXY header comes first.
    ExpectProxy,
    /// `set-header`.
    SetHeader(Box<[u8]>, Box<Format>),
    /// `add-header`.
    AddHeader(Box<[u8]>, Box<Format>),
    /// `del-header`.
    DelHeader(NameMatch),
    /// `replace-header`: whole values.
    ReplaceHeader(Box<[u8]>, Box<Pattern>, Box<Template>),
    /// `replace-value`: each part between commas.
    ReplaceValue(Box<[u8]>, Box<Pattern>, Box<Template>),
    /// `set-method`.
    SetMethod(Box<Format>),
    /// `set-path`.
    SetPath(Box<Format>),
    /// `set-pathq`.
    SetPathq(Box<Format>),
    /// `set-query`.
    SetQuery(Box<Format>),
    /// `set-uri`.
    SetUri(Box<Format>),
    /// `replace-path`.
    ReplacePath(Box<Pattern>, Box<Template>),
    /// `replace-pathq`.
    ReplacePathq(Box<Pattern>, Box<Template>),
    /// `replace-uri`.
    ReplaceUri(Box<Pattern>, Box<Template>),
    /// `normalize-uri`.
    Normalize(Normalizer),
    /// `set-status`.
    SetStatus {
        /// The status.
        status: u16,
        /// Its reason; none is the usual one.
        reason: Option<Box<[u8]>>,
    },
    /// `set-var(…)`.
    SetVar {
        /// Which variable.
        var: VarId,
        /// Its value.
        value: Box<Value>,
        /// Only then.
        when: Box<[SetIf]>,
    },
    /// `unset-var(…)`.
    UnsetVar(VarId),
    /// `set-src`, `set-dst`.
    SetAddress(End, Box<Expr>),
    /// `set-src-port`, `set-dst-port`.
    SetPort(End, Box<Expr>),
    /// `set-tos`.
    SetTos(u8),
    /// `set-mark`.
    SetMark(u32),
    /// `set-nice`: how soon the session's task runs among others.
    SetNice(i16),
    /// `set-log-level`; none is `silent`.
    SetLogLevel(Option<Level>),
    /// `capture`: a value for the log.
    Capture {
        /// Where it goes.
        slot: u32,
        /// At most so many bytes of it.
        len: u32,
        /// The value.
        expr: Box<Expr>,
    },
    /// `add-acl`, `del-acl`, `set-map`, `del-map`.
    Patterns {
        /// What is done with the file.
        change: PatternChange,
        /// Which file: an index in the site's changed files.
        file: u32,
        /// The key.
        key: Box<Format>,
        /// The value of `set-map`.
        value: Option<Box<Format>>,
    },
    /// `early-hint`.
    EarlyHint(Box<[u8]>, Box<Format>),
    /// `disable-l7-retry`.
    DisableL7Retry,
    /// `strict-mode`.
    StrictMode(bool),
    /// `wait-for-body`.
    WaitForBody {
        /// At most so long.
        time: Duration,
        /// Until there are so many bytes; 0 is all.
        at_least: u32,
    },
    /// `set-timeout server` and `tunnel`.
    SetTimeout(Which, Box<TimeoutValue>),
    /// `set-priority-class`.
    SetPriorityClass(Box<Expr>),
    /// `set-priority-offset`.
    SetPriorityOffset(Box<Expr>),
    /// `switch-mode http`.
    SwitchHttp,
    /// Nothing: what is accepted and means nothing here.
    Nothing,
}

impl Action {
    /// Whether it changes the request line.
    pub const fn rewrites(&self) -> bool {
        use Action::*;
        matches!(
            self,
            SetMethod(_)
                | SetPath(_)
                | SetPathq(_)
                | SetQuery(_)
                | SetUri(_)
                | ReplacePath(..)
                | ReplacePathq(..)
                | ReplaceUri(..)
                | Normalize(_)
        )
    }
}

/// Where the value of `set-var` comes from.
#[derive(Clone, Debug)]
pub enum Value {
    /// `set-var`.
    Expr(Expr),
    /// `set-var-fmt`.
    Format(Format),
}

/// Which end of the client's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The client's.
    Source,
    /// Ours.
    Destination,
}

/// Which timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// `timeout server`.
    Server,
    /// `timeout tunnel`.
    Tunnel,
}

/// How long a timeout is to be.
#[derive(Clone, Debug)]
pub enum TimeoutValue {
    /// So long.
    Fixed(Duration),
    /// So many milliseconds.
    Expr(Expr),
}

/// What is done with a pattern file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PatternChange {
    /// `add-acl`.
    AddAcl,
    /// `del-acl`.
    DelAcl,
    /// `set-map`.
    SetMap,
    /// `del-map`.
    DelMap,
}

/// Which header fields.
#[derive(Clone, Debug)]
pub enum NameMatch {
    /// Of this name, in lower case.
    Is(Box<[u8]>),
    /// Whose name begins so.
    Begins(Box<[u8]>),
    /// Whose name ends so.
    Ends(Box<[u8]>),
    /// Whose name contains this.
    Contains(Box<[u8]>),
    /// Whose name matches.
    Matches(Box<Pattern>),
}

impl NameMatch {
    /// Whether a name, in lower case, is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            NameMatch::Is(text) => name == &**text,
            NameMatch::Begins(text) => name.starts_with(text),
            NameMatch::Ends(text) => name.ends_with(text),
            NameMatch::Contains(text) => memchr::memmem::find(name, text).is_some(),
            NameMatch::Matches(pattern) => pattern.is_match(name),
        }
    }
}

/// One way to a backend.
#[derive(Clone, Debug)]
pub struct Switch {
    /// When it applies; none is always.
    pub condition: Option<Condition>,
    /// Where to.
    pub to: Destination,
    /// Where it stands: file and line.
    pub place: (Arc<str>, u32),
    /// As it was written.
    pub text: Arc<str>,
}

/// Where a `use_backend` or `use-server` leads.
#[derive(Clone, Debug)]
pub enum Destination {
    /// What that name stands for.
    Name(NameRef),
    /// What is called as the format's text says, if there is such a thing.
    Format(Box<Format>),
}
