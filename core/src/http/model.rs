//! The model of a head, request or response: what rules read and change, and what is written.
//! Not a copy of what was received: names are in lower case, spacing is regular, and the version
//! on the line is always HTTP/1.1.
//!
//! One block of bytes holds the lines as they go on the wire, and an index says where each is:
//!
//! ```text
//!   block   GET /a HTTP/1.1␍␊host: x␍␊connection: close␍␊accept: */*␍␊via: 1.1 y␍␊
//!           ▲ line            ▲                          ▲             ▲
//!   fields                    host                       accept        via (pushed later)
//! ```
//!
//! A removed field leaves the index; its bytes stay for the time being. A pushed or replaced one is
//! appended to the block. Lines that are neighbours both in the index and in the block are
//! written by one copy, so a head that was hardly touched is written by a few.

use core::iter;
use core::ops::Range;

use itoa::Buffer;

use super::HeadError;
use super::find::{WIDTH, find_control};
use super::index::{COLON, CRLF, Field, Index, NAME_MAX, recognise};
use super::known::{Known, KnownSet, Method, VERSION_LEN, Version};
use super::regular::WINDOW;
use super::token::{elements, is_target_byte, is_token, is_value_byte};

/// The longest block, in bytes, live lines and dead ones. Far beyond any buffer: what arrives is
/// limited by `tune.bufsize`, and what rules add by `tune.maxrewrite`.
pub(super) const BLOCK_MAX: usize = 1 << 26;

/// A cleared head keeps at most so many bytes.
const BLOCK_KEPT: usize = 32 << 10;

/// What stands behind loaded bytes, so that there is a whole window wherever a line starts.
const PADDING: &[u8; WINDOW] = &[0; WINDOW];

/// A block of more bytes is tidied when most of them are dead.
const TIDY_MIN: usize = 64 << 10;

/// The head of a request or a response.
///
/// A head starts empty. `set_request_line` or `set_status_line` makes it the one or the other;
/// fields keep the order in which they were received or pushed. A name that is looked for or
/// removed is given in lower case, as a configuration's are once it is read; a pushed one is
/// lowered.
///
/// Nothing that is put in can break out of its line: values have their CR, LF and NUL (and the
/// other controls but HTAB) replaced by spaces (RFC 9110 section 5.5), and a target or method that
/// would break the request line is refused.
#[derive(Clone, Debug, Hash, Default)]
pub struct Head {
    block: Vec<u8>,
    index: Index,
    /// The start line in the block, CRLF included.
    line: Line,
    method_len: u32,
    method: Method,
    version: Version,
    /// 0 in a request.
    status: u16,
}

/// Where the start line is in the block.
#[derive(Clone, Copy, Debug, Hash, Default)]
struct Line {
    at: u32,
    len: u32,
}

impl Line {
    fn range(self) -> Range<usize> {
        self.at as usize..self.at as usize + self.len as usize
    }
}

impl Head {
    /// An empty head; it allocates nothing yet.
    pub fn new() -> Head {
        Head::default()
    }

    /// Empties the head for the next message. Its memory is kept, unless an unusual message made
    /// it large.
    pub fn clear(&mut self) {
        self.block.clear();
        if self.block.capacity() > BLOCK_KEPT {
            self.block.shrink_to(BLOCK_KEPT);
        }
        self.index.clear();
        self.line = Line::default();
        self.method_len = 0;
        self.method = Method::Other;
        self.version = Version::V11;
        self.status = 0;
    }

    /// Makes this a request, or gives it another line. `version` is what the client speaks.
    /// A method that is no token or a target that is empty or holds more than visible ASCII is
    /// refused, and nothing is changed. Whether the target fits the method is not looked at.
    pub fn set_request_line(
        &mut self,
        method: &[u8],
        target: &[u8],
        version: Version,
    ) -> Result<(), HeadError> {
        if !is_token(method) {
            return Err(HeadError::Method);
        }
        if !is_target(target) {
            return Err(HeadError::Target);
        }
        let at = self.append(&[method, b" ", target, b" ", Version::V11.as_bytes(), CRLF]);
        self.take_request_line(at, method.len(), target.len(), version);
        self.tidy();
        Ok(())
    }

    /// Gives the request another target; `http-request set-uri` and its relatives. Refused like the
    /// target of [`Head::set_request_line`].
    pub fn set_target(&mut self, target: &[u8]) -> Result<(), HeadError> {
        debug_assert!(self.is_request());
        if !is_target(target) {
            return Err(HeadError::Target);
        }
        let method = self.method_range();
        let method_len = method.len();
        let at = self.append_again(method, target.len() + REQUEST_LINE_REST);
        self.append(&[b" ", target, b" ", Version::V11.as_bytes(), CRLF]);
        self.take_request_line(at, method_len, target.len(), self.version);
        self.tidy();
        Ok(())
    }

    /// Gives the request another method; `http-request set-method`. Refused if it is no token.
    pub fn set_method(&mut self, method: &[u8]) -> Result<(), HeadError> {
        debug_assert!(self.is_request());
        if !is_token(method) {
            return Err(HeadError::Method);
        }
        let target = self.target_range();
        let target_len = target.len();
        let at = self.append(&[method, b" "]);
        self.append_again(target, REQUEST_LINE_REST);
        self.append(&[b" ", Version::V11.as_bytes(), CRLF]);
        self.take_request_line(at, method.len(), target_len, self.version);
        self.tidy();
        Ok(())
    }

    /// Makes this a response, or gives it another line. `status` is 100 to 999, `version` what the
    /// server speaks.
    pub fn set_status_line(&mut self, status: u16, reason: &[u8], version: Version) {
        self.push_status_line(status, reason, version);
        self.tidy();
    }

    /// Appends a field. `name` must be a token: names come from a configuration, which is checked
    /// when it is read, never from a peer. Says what the name is.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Known {
        assert!(name.len() <= NAME_MAX, "a field name is not that long");
        let at = self.append_field(name, value);
        let known =
            recognise(&mut self.block[at..at + name.len()]).expect("a field name is a token");
        self.index.push(at, name.len(), value.len(), known);
        known
    }

    /// Appends a field whose name is known.
    #[inline]
    pub fn push_known(&mut self, known: Known, value: &[u8]) {
        assert!(known != Known::Other, "a field has a name");
        let start = known.line_start().as_bytes();
        let at = self.block.len();
        self.reserve(start.len() + value.len() + CRLF.len());
        self.block.extend_from_slice(start);
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(CRLF);
        // A word or more, with the name, which needs no mending: quicker to look at than a value
        // of a few bytes.
        mend(&mut self.block[at..at + start.len() + value.len()]);
        self.index.push(at, start.len() - COLON.len(), value.len(), known);
    }

    /// Appends a field after every other of its name is removed; `http-request set-header`. `name`
    /// is in lower case.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove_name(name);
        self.push(name, value);
    }

    /// The same for a known name.
    pub fn set_known(&mut self, known: Known, value: &[u8]) {
        self.remove(known);
        self.push_known(known, value);
    }

    /// Leaves one field of a known name, with that value: where the first was, or behind all
    /// others.
    pub(super) fn settle_known(&mut self, known: Known, value: &[u8]) {
        let Some(first) = self.index.fields.iter().position(|field| field.known == known) else {
            return self.push_known(known, value);
        };
        let mut others = false;
        self.index.in_line = 0;
        self.index
            .fields
            .retain(|field| field.known != known || !core::mem::replace(&mut others, true));
        self.replace_value(first, value);
    }

    /// Gives the `index`-th field another value; `http-request replace-header`.
    pub fn replace_value(&mut self, index: usize, value: &[u8]) {
        let old = self.index.fields[index];
        let at = self.append_again(old.name(), COLON.len() + value.len() + CRLF.len());
        self.append(&[COLON, value, CRLF]);
        let field = Field { at: at as u32, value_len: value.len() as u32, ..old };
        mend(&mut self.block[field.value()]);
        self.index.fields[index] = field;
        self.index.in_line = self.index.in_line.min(index);
        self.tidy();
    }

    /// Removes every field of that name. Says whether there was one.
    pub fn remove(&mut self, known: Known) -> bool {
        self.remove_all(KnownSet::of(&[known]))
    }

    /// Removes every field of those names. Says whether there was one.
    pub fn remove_all(&mut self, names: KnownSet) -> bool {
        let found = self.index.present.intersects(names);
        if found {
            self.index.in_line = 0;
            self.index.fields.retain(|field| !names.contains(field.known));
            self.index.present.remove_all(names);
            self.tidy();
        }
        found
    }

    /// Removes every field of that name, known or not. `name` is in lower case. Says whether there
    /// was one.
    pub fn remove_name(&mut self, name: &[u8]) -> bool {
        match Known::recognise(name) {
            Known::Other => {
                let before = self.index.fields.len();
                self.retain(|field, _| field != name);
                self.index.fields.len() < before
            }
            known => self.remove(known),
        }
    }

    /// Removes the fields for which `keep` says no, given name and value.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let Head { block, index, .. } = self;
        index.retain(|field| keep(&block[field.name()], &block[field.value()]));
        self.tidy();
    }

    /// Whether a request was parsed into it.
    pub fn is_request(&self) -> bool {
        self.status == 0 && self.line.len > 0
    }

    /// Whether a response was parsed into it.
    pub fn is_response(&self) -> bool {
        self.status > 0
    }

    /// The method of a request; [`Method::Other`] in a response.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method of a request as received; empty in a response.
    pub fn method_bytes(&self) -> &[u8] {
        &self.block[self.method_range()]
    }

    /// The target of a request; empty in a response.
    pub fn target(&self) -> &[u8] {
        if self.is_request() { &self.block[self.target_range()] } else { &[] }
    }

    /// The version the message was received in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status of a response, 100 to 999; 0 in a request.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of a response, often empty; empty in a request.
    pub fn reason(&self) -> &[u8] {
        if !self.is_response() {
            return &[];
        }
        let Range { start, end } = self.line.range();
        &self.block[start + STATUS_LEN..end - CRLF.len()]
    }

    /// Is there a field of that name?
    pub fn has(&self, known: Known) -> bool {
        self.index.present.contains(known)
    }

    /// Is there a field of one of those names?
    pub fn has_any(&self, names: KnownSet) -> bool {
        self.index.present.intersects(names)
    }

    /// The value of the first field of that name.
    pub fn value(&self, known: Known) -> Option<&[u8]> {
        self.values(known).next()
    }

    /// The values of the fields of that name, in order.
    pub fn values(&self, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> {
        debug_assert!(known != Known::Other, "a field has a name");
        let fields = self.index.candidates(known).iter();
        fields.filter(move |field| field.known == known).map(|field| &self.block[field.value()])
    }

    /// The values of the fields of that name, known or not, in order. `name` is in lower case.
    pub fn named<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let known = Known::recognise(name);
        let fields = self.index.candidates(known).iter();
        let named = move |field: &&Field| {
            field.known == known && (known != Known::Other || &self.block[field.name()] == name)
        };
        fields.filter(named).map(|field| &self.block[field.value()])
    }

    /// All fields in order, name and value.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.index
            .fields
            .iter()
            .map(|field| (&self.block[field.name()], &self.block[field.value()]))
    }

    /// How many fields there are.
    pub fn fields_count(&self) -> usize {
        self.index.fields.len()
    }

    /// The value of the first field of that name with what follows it in memory, and how long it
    /// is, if it is short.
    #[inline]
    pub(super) fn short_value(&self, known: Known) -> Option<(&[u8; WIDTH], usize)> {
        let mut fields = self.index.candidates(known).iter();
        let value = fields.find(|field| field.known == known)?.value();
        let word = self.block.get(value.start..)?.first_chunk()?;
        (value.len() <= WIDTH).then_some((word, value.len()))
    }

    /// The value of the field of that name, if it is told at once that there is only one.
    pub(super) fn lone_value(&self, known: Known) -> Option<&[u8]> {
        self.index.lone(known).map(|field| &self.block[field.value()])
    }

    /// The bytes of all names and values together.
    pub fn fields_len(&self) -> usize {
        if self.index.in_line == self.index.fields.len() {
            let lines = self.lines_in_line().len() - self.line.range().len();
            return lines - self.index.fields.len() * (COLON.len() + CRLF.len());
        }
        self.index
            .fields
            .iter()
            .map(|field| field.name_len as usize + field.value_len as usize)
            .sum()
    }

    /// The `index`-th field, name and value.
    pub fn field(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let field = self.index.fields.get(index)?;
        Some((&self.block[field.name()], &self.block[field.value()]))
    }

    /// How many bytes the head takes on the wire, its final empty line included.
    #[inline]
    pub fn wire_len(&self) -> usize {
        let others = self.index.fields[self.index.in_line..].iter();
        let others: usize = others.map(|field| field.line().len()).sum();
        self.lines_in_line().len() + others + CRLF.len()
    }

    /// The length of the start line, its CRLF included.
    pub(super) fn line_len(&self) -> usize {
        self.line.range().len()
    }

    /// A bound on [`Head::wire_len`] that is known without a look at the fields.
    pub fn wire_len_max(&self) -> usize {
        self.block.len() + CRLF.len()
    }

    /// Whether it may grow by `more` bytes where HAProxy has `size` for a message: each field, the
    /// start line and the end take 8 bytes beside their text there, the start line 20 more.
    pub fn may_grow(&self, more: usize, size: usize) -> bool {
        const BLOCK: usize = 8;
        const REST: usize = 40 + 20 + 1 + 3 * BLOCK;
        let others = REST + self.fields_count() * BLOCK + more;
        // What was replaced still counts in the bound, and mostly fits all the same.
        self.wire_len_max() + others <= size || self.line_len() + self.fields_len() + others <= size
    }

    /// The lines of the head in order, in as few pieces as they lie in the block. The final empty
    /// line is not among them.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let others = &self.index.fields[self.index.in_line..];
        let mut lines = others.iter().map(|field| field.line());
        let mut next = Some(self.lines_in_line());
        iter::from_fn(move || {
            let mut piece = next.take()?;
            next = lines.find(|line| {
                let adjoins = line.start == piece.end;
                if adjoins {
                    piece.end = line.end;
                }
                !adjoins
            });
            Some(&self.block[piece])
        })
    }

    /// The start line and the fields right behind it.
    fn lines_in_line(&self) -> Range<usize> {
        let line = self.line.range();
        let fields = &self.index.fields[..self.index.in_line];
        line.start..fields.last().map_or(line.end, |last| last.line().end)
    }

    /// Starts over with received bytes as the block, at most [`BLOCK_MAX`]. Its lines are then to
    /// be taken one by one, and what follows them unloaded.
    #[inline]
    pub(super) fn load(&mut self, lines: &[u8]) {
        self.clear();
        self.reserve(lines.len() + PADDING.len());
        self.block.extend_from_slice(lines);
        self.block.extend_from_slice(PADDING);
    }

    /// Appends a request line, whatever else the block holds. The target is not looked at.
    pub(super) fn push_request_line(&mut self, method: &[u8], target: &[u8], version: Version) {
        let at = self.append(&[method, b" ", target, b" ", Version::V11.as_bytes(), CRLF]);
        self.take_request_line(at, method.len(), target.len(), version);
    }

    /// Appends a field whose name is no token, and known to nobody.
    pub(super) fn push_odd(&mut self, name: &[u8], value: &[u8]) {
        let at = self.append_field(name, value);
        self.block[at..at + name.len()].make_ascii_lowercase();
        self.index.push(at, name.len(), value.len(), Known::Other);
    }

    /// Appends a status line, whatever else the block holds.
    pub(super) fn push_status_line(&mut self, status: u16, reason: &[u8], version: Version) {
        assert!((100..=999).contains(&status), "a status has three digits");
        let mut digits = Buffer::new();
        let digits = digits.format(status).as_bytes();
        let at = self.append(&[Version::V11.as_bytes(), b" ", digits, b" ", reason, CRLF]);
        let end = self.block.len() - CRLF.len();
        mend(&mut self.block[end - reason.len()..end]);
        self.take_status_line(at, reason.len(), status, version);
    }

    /// Makes the line at `at` of the block the request line.
    #[inline]
    pub(super) fn take_request_line(
        &mut self,
        at: usize,
        method_len: usize,
        target_len: usize,
        version: Version,
    ) {
        let len = method_len + target_len + REQUEST_LINE_REST;
        self.take_line(at, len, at + len - CRLF.len() - VERSION_LEN, version);
        self.method_len = method_len as u32;
        self.method = Method::recognise(&self.block[at..at + method_len]);
        self.status = 0;
    }

    /// Makes the line at `at` of the block the status line.
    #[inline]
    pub(super) fn take_status_line(
        &mut self,
        at: usize,
        reason_len: usize,
        status: u16,
        version: Version,
    ) {
        self.take_line(at, STATUS_LINE_REST + reason_len, at, version);
        self.method_len = 0;
        self.method = Method::Other;
        self.status = status;
    }

    /// Drops from the block all that follows its first `len` bytes, which are the start line and
    /// the fields that were taken, one behind the other.
    pub(super) fn unload(&mut self, len: usize) {
        self.block.truncate(len);
        self.index.in_line = self.index.fields.len();
    }

    /// All that the head was loaded with and some padding, and the index that its lines are to be
    /// taken into.
    pub(super) fn loaded(&mut self) -> (&mut [u8], &mut Index) {
        (&mut self.block, &mut self.index)
    }

    /// Removes the Connection fields and the unknown fields that they name, of which no more than
    /// `names_max` are looked up.
    pub(super) fn remove_nominated(&mut self, mut names_max: usize) {
        let Head { block, index, .. } = self;
        let Index { fields, present, in_line, .. } = index;
        *in_line = 0;
        while let Some(index) = fields.iter().position(|field| field.known == Known::Connection) {
            let list = &block[fields.remove(index).value()];
            for name in elements(list).take(names_max) {
                names_max -= 1;
                fields.retain(|field| {
                    field.known != Known::Other || !block[field.name()].eq_ignore_ascii_case(name)
                });
            }
        }
        present.remove_all(KnownSet::of(&[Known::Connection]));
    }

    /// Drops the dead lines of a block that has come to be mostly dead: rules may change a head
    /// without end. Lines that are loaded but not taken would be lost.
    fn tidy(&mut self) {
        if self.block.len() < TIDY_MIN || self.block.len() / 2 < self.wire_len() {
            return;
        }
        let mut block = Vec::with_capacity(self.wire_len());
        block.extend_from_slice(&self.block[self.line.range()]);
        self.line.at = 0;
        self.index.in_line = 0;
        for field in &mut self.index.fields {
            let line = field.line();
            field.at = block.len() as u32;
            block.extend_from_slice(&self.block[line]);
        }
        self.block = block;
    }

    fn take_line(&mut self, at: usize, len: usize, version_at: usize, version: Version) {
        self.line = Line { at: at as u32, len: len as u32 };
        self.index.in_line = 0;
        self.version = version;
        self.block[version_at..version_at + VERSION_LEN].copy_from_slice(Version::V11.as_bytes());
        debug_assert!(self.block[self.line.range()].ends_with(CRLF));
    }

    fn append_field(&mut self, name: &[u8], value: &[u8]) -> usize {
        let at = self.append(&[name, COLON, value, CRLF]);
        let end = self.block.len() - CRLF.len();
        mend(&mut self.block[end - value.len()..end]);
        at
    }

    /// Appends to the block and says where.
    fn append(&mut self, parts: &[&[u8]]) -> usize {
        let at = self.block.len();
        self.reserve(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.block.extend_from_slice(part);
        }
        at
    }

    /// Appends what the block already holds, with room for `more` after it, and says where.
    fn append_again(&mut self, range: Range<usize>, more: usize) -> usize {
        let at = self.block.len();
        self.reserve(range.len() + more);
        self.block.extend_from_within(range);
        at
    }

    fn reserve(&mut self, more: usize) {
        assert!(more <= BLOCK_MAX - self.block.len(), "the caller limits what is added to a head");
        self.block.reserve(more);
    }

    fn method_range(&self) -> Range<usize> {
        let at = self.line.at as usize;
        at..at + self.method_len as usize
    }

    fn target_range(&self) -> Range<usize> {
        self.method_range().end + 1..self.line.range().end - CRLF.len() - VERSION_LEN - 1
    }
}

/// The length of a request line without its method and target.
const REQUEST_LINE_REST: usize = 1 + 1 + VERSION_LEN + CRLF.len();

/// The length of `HTTP/1.1 200 `.
const STATUS_LEN: usize = VERSION_LEN + 5;

/// The length of a status line without its reason phrase.
const STATUS_LINE_REST: usize = STATUS_LEN + CRLF.len();

fn is_target(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_target_byte)
}

/// Replaces what may not stand in a value by spaces.
fn mend(value: &mut [u8]) {
    if find_control(value).is_some() {
        value.iter_mut().filter(|byte| !is_value_byte(**byte)).for_each(|byte| *byte = b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{write_request, write_response};

    fn request() -> Head {
        let mut head = Head::new();
        head.set_request_line(b"GET", b"/", Version::V11).unwrap();
        head.push(b"Host", b"a");
        head.push(b"X-One", b"1");
        head.push_known(Known::Cookie, b"b");
        head.push(b"x-one", b"2");
        head
    }

    fn wire(head: &Head) -> String {
        let mut wire = Vec::new();
        match head.is_request() {
            true => write_request(head, &mut wire),
            false => write_response(head, Version::V11, &mut wire),
        }
        assert_eq!(head.wire_len(), wire.len());
        assert!(head.wire_len_max() >= wire.len());
        String::from_utf8(wire).unwrap()
    }

    fn names(head: &Head) -> String {
        let names: Vec<_> = head.fields().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        names.join(" ")
    }

    #[test]
    fn pushed_fields_keep_their_order_and_are_found() {
        let mut head = request();
        assert_eq!(
            wire(&head),
            "GET / HTTP/1.1\r\nhost: a\r\nx-one: 1\r\ncookie: b\r\nx-one: 2\r\n\r\n"
        );
        assert_eq!(head.value(Known::Cookie), Some(&b"b"[..]));
        assert!(head.named(b"x-one").eq([b"1", b"2"]));
        assert_eq!(head.push(b"VIA", b"c"), Known::Via);
        assert_eq!(head.push(b"VI", b"c"), Known::Other);
        assert!(head.has(Known::Via) && !head.has(Known::Te));
        assert!(head.has_any(KnownSet::of(&[Known::Te, Known::Via])));
    }

    #[test]
    fn removing() {
        let mut head = request();
        assert!(!head.remove(Known::Te) && !head.remove_name(b"x-two") && !head.remove_name(b"te"));
        assert!(head.remove_name(b"x-one"));
        assert_eq!(names(&head), "host cookie");
        assert!(head.remove(Known::Cookie));
        assert!(!head.has(Known::Cookie) && head.value(Known::Cookie).is_none());
        assert!(head.remove_name(b"host"));
        assert_eq!(wire(&head), "GET / HTTP/1.1\r\n\r\n");
        head.push_known(Known::Host, b"b");
        assert_eq!(wire(&head), "GET / HTTP/1.1\r\nhost: b\r\n\r\n");

        let mut head = request();
        head.retain(|name, value| name != b"cookie" && value != b"1");
        assert_eq!(names(&head), "host x-one");
        assert!(head.has(Known::Host) && !head.has(Known::Cookie));
    }

    #[test]
    fn replacing() {
        let mut head = request();
        head.replace_value(1, b"longer than before");
        head.replace_value(2, b"");
        assert_eq!(
            wire(&head),
            "GET / HTTP/1.1\r\nhost: a\r\nx-one: longer than before\r\ncookie: \r\nx-one: 2\r\n\r\n"
        );
        assert_eq!(head.value(Known::Cookie), Some(&b""[..]));
        head.set(b"x-one", b"3");
        head.set_known(Known::Host, b"c");
        assert_eq!(wire(&head), "GET / HTTP/1.1\r\ncookie: \r\nx-one: 3\r\nhost: c\r\n\r\n");
    }

    #[test]
    fn another_request_line() {
        let mut head = request();
        assert_eq!(head.set_target(b"/other?x"), Ok(()));
        assert_eq!(head.set_method(b"POST"), Ok(()));
        assert_eq!((head.method(), head.target()), (Method::Post, &b"/other?x"[..]));
        assert!(wire(&head).starts_with("POST /other?x HTTP/1.1\r\nhost: a\r\n"));
        for bad in [&b""[..], b"/a b", b"/a\r\nX: y", b"/\x00", b"/#a", b"/\xe9"] {
            assert_eq!(head.set_target(bad), Err(HeadError::Target), "{bad:?}");
        }
        for bad in [&b""[..], b"GE T", b"GET\r\n", b"G/T"] {
            assert_eq!(head.set_method(bad), Err(HeadError::Method), "{bad:?}");
            let outcome = head.set_request_line(bad, b"/", Version::V11);
            assert_eq!(outcome, Err(HeadError::Method), "{bad:?}");
        }
        assert!(wire(&head).starts_with("POST /other?x HTTP/1.1\r\nhost: a\r\n"));
    }

    #[test]
    fn a_response_made_here() {
        let mut head = request();
        head.clear();
        head.set_status_line(503, b"Service Unavailable", Version::V11);
        head.push_known(Known::ContentLength, b"0");
        assert_eq!((head.status(), head.reason()), (503, &b"Service Unavailable"[..]));
        assert_eq!(wire(&head), "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        head.set_status_line(204, b"", Version::V10);
        assert_eq!((head.status(), head.reason(), head.version()), (204, &b""[..], Version::V10));
        assert_eq!(wire(&head), "HTTP/1.1 204 \r\ncontent-length: 0\r\n\r\n");
        let mut old = Vec::new();
        write_response(&head, Version::V10, &mut old);
        assert_eq!(old, b"HTTP/1.0 204 \r\ncontent-length: 0\r\n\r\n");
    }

    /// No value starts a line of its own, whoever made it.
    #[test]
    fn values_cannot_break_out() {
        let mut head = request();
        head.push(b"x", b"a\r\nSet-Cookie: b\0\x7f\tc\xff");
        head.push_known(Known::Via, b"\r\n\r\n");
        head.replace_value(0, b"\nb\r");
        assert_eq!(head.field(4).unwrap().1, b"a  Set-Cookie: b  \tc\xff");
        assert_eq!(head.value(Known::Via), Some(&b"    "[..]));
        assert_eq!(head.value(Known::Host), Some(&b" b "[..]));
        head.set_status_line(200, b"O\r\nK", Version::V11);
        assert_eq!(head.reason(), b"O  K");
    }

    #[test]
    #[should_panic(expected = "a field name is a token")]
    fn a_name_that_is_no_token_is_a_bug() {
        request().push(b"a b", b"c");
    }

    #[test]
    fn clearing_keeps_memory_but_not_much() {
        let mut head = request();
        head.push(b"x", &[b'x'; 100]);
        let capacity = head.block.capacity();
        head.clear();
        assert_eq!(head.block.capacity(), capacity);
        assert!(!head.is_request() && !head.is_response() && head.fields().next().is_none());

        let mut head = request();
        head.push(b"x", &vec![b'x'; 4 * BLOCK_KEPT]);
        (0..1000).for_each(|_| head.push_known(Known::Via, b""));
        head.clear();
        assert!(head.block.capacity() <= BLOCK_KEPT);
        assert!(head.index.fields.capacity() < 1000);
    }

    /// A head that is changed without end stays as small as it is.
    #[test]
    fn lines_stay_where_they_are_while_it_is_worth_it() {
        // Few dead bytes are no reason to copy the others, nor are many beside as many that live.
        for value in [10, TIDY_MIN] {
            let mut head = request();
            head.replace_value(0, &vec![b'x'; value]);
            let before = head.block.len();
            head.replace_value(1, &[b'y'; 1000]);
            assert_eq!(head.block.len(), before + "x-one: \r\n".len() + 1000, "{value}");
        }
        // Nor is a small block that is mostly dead.
        let mut head = request();
        head.replace_value(0, &[b'x'; 5000]);
        let before = head.block.len();
        head.replace_value(0, b"y");
        assert_eq!(head.block.len(), before + "host: y\r\n".len());
    }

    #[test]
    fn lengths() {
        let check = |head: &Head, fields: usize| {
            assert_eq!(head.fields_len(), fields);
            let summed: usize = head.fields().map(|(name, value)| name.len() + value.len()).sum();
            assert_eq!(summed, fields);
            assert_eq!(head.wire_len(), wire(head).len());
            assert_eq!(head.wire_len_max(), head.block.len() + 2);
            // The room that HAProxy's form of it takes, to the byte.
            let form = head.line_len() + fields + 8 * head.fields_count() + 40 + 20 + 1 + 3 * 8;
            for more in [0, 1, 100] {
                assert!(head.may_grow(more, form + more), "{more}");
                assert!(!head.may_grow(more, form + more - 1), "{more}");
                assert!(head.may_grow(more, form + more + 1000), "{more}");
            }
        };
        let mut head = request();
        check(&head, "hostax-one1cookiebx-one2".len());
        head.replace_value(1, b"longer");
        check(&head, "hostax-onelongercookiebx-one2".len());
        head.remove(Known::Host);
        check(&head, "x-onelongercookiebx-one2".len());
        head.set_target(b"/a/b").unwrap();
        check(&head, "x-onelongercookiebx-one2".len());
        let mut head = Head::new();
        head.set_request_line(b"GET", b"/", Version::V11).unwrap();
        check(&head, 0);
        // One that was read in one piece.
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nX: bc\r\nCookie:  d \r\n\r\n";
        crate::http::parse_request(text, &mut head, &crate::http::HeadLimits::default()).unwrap();
        check(&head, "hostaxbccookied".len());
    }

    #[test]
    fn short_values_with_what_is_behind_them() {
        let mut head = Head::new();
        head.push_known(Known::Host, b"a");
        assert_eq!(head.short_value(Known::Host), None, "too near the end of the block");
        head.push(b"filler", &[b'f'; 40]);
        let (word, len) = head.short_value(Known::Host).unwrap();
        assert_eq!((len, &word[..3]), (1, &b"a\r\n"[..]));
        head.replace_value(0, &[b'h'; WIDTH]);
        head.push(b"filler", &[b'f'; 40]);
        assert_eq!(head.short_value(Known::Host), Some((&[b'h'; WIDTH], WIDTH)));
        head.replace_value(0, &[b'h'; WIDTH + 1]);
        assert_eq!(head.short_value(Known::Host), None, "too long");
        assert_eq!(head.short_value(Known::Te), None, "not there");
    }

    #[test]
    fn dead_lines_are_dropped() {
        let mut head = request();
        let expected = wire(&head).replace("host: a", &format!("host: {}", "x".repeat(999)));
        for round in 0..10_000 {
            match round % 4 {
                0 => head.set_target(b"/").unwrap(),
                1 => head.replace_value(0, &[b'x'; 999]),
                2 => drop(head.push(b"y", b"z")),
                _ => assert!(head.remove_name(b"y")),
            }
            assert!(head.block.len() < TIDY_MIN + 2000);
        }
        assert_eq!(wire(&head), expected);
        head.set_status_line(200, b"OK", Version::V11);
        assert!(wire(&head).starts_with("HTTP/1.1 200 OK\r\nhost: xxx"));
    }
}
