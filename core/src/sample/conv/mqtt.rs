//! Converters of MQTT packets, versions 3.1, 3.1.1 and 5.0: the first of a client (CONNECT) and the
//! first of a server (CONNACK).

use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Copy, Debug)]
pub enum Conv {
    /// `mqtt_is_valid`.
    IsValid,
    /// `mqtt_field_value`.
    FieldValue(Type, Field),
}

/// A type of packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// From a client.
    Connect,
    /// From a server.
    Connack,
}

/// A field of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// `flags`.
    Flags,
    /// `protocol_name`.
    ProtocolName,
    /// `protocol_version`.
    ProtocolVersion,
    /// `client_identifier`.
    ClientIdentifier,
    /// `will_topic`.
    WillTopic,
    /// `will_payload`.
    WillPayload,
    /// `username`.
    Username,
    /// `password`.
    Password,
    /// `keepalive`.
    Keepalive,
    /// `reason_code`.
    ReasonCode,
    /// A property of version 5.0, by its number.
    Property(u8),
}

impl Field {
    const CONNECT: [(&'static str, Field); 9] = [
        ("flags", Field::Flags),
        ("protocol_name", Field::ProtocolName),
        ("protocol_version", Field::ProtocolVersion),
        ("client_identifier", Field::ClientIdentifier),
        ("will_topic", Field::WillTopic),
        ("will_payload", Field::WillPayload),
        ("username", Field::Username),
        ("password", Field::Password),
        ("keepalive", Field::Keepalive),
    ];
    const CONNACK: [(&'static str, Field); 3] = [
        ("flags", Field::Flags),
        ("protocol_version", Field::ProtocolVersion),
        ("reason_code", Field::ReasonCode),
    ];
}

/// Properties that may stand in a CONNECT, for its will, and in a CONNACK.
const OF_CONNECT: &[u8] = &[17, 21, 22, 23, 25, 33, 34, 38, 39];
const OF_WILL: &[u8] = &[1, 2, 3, 8, 9, 24, 38];
const OF_CONNACK: &[u8] = &[17, 18, 19, 21, 22, 26, 28, 31, 33, 34, 36, 37, 38, 39, 40, 41, 42];

const USER_PROPERTY: u8 = 38;
const METHOD: u8 = 21;
const DATA: u8 = 22;

/// Flags of a CONNECT.
const RESERVED: u8 = 0x01;
const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

/// Why it is no packet.
#[derive(PartialEq, Eq, Debug)]
enum Fault {
    /// More bytes may make it one.
    More,
    /// It never will be one.
    Bad,
}

/// What a packet says.
struct Packet<'a> {
    kind: Type,
    version: u8,
    flags: u8,
    reason: u8,
    keepalive: u16,
    name: &'a [u8],
    client: &'a [u8],
    will_topic: &'a [u8],
    will_payload: &'a [u8],
    username: &'a [u8],
    password: &'a [u8],
    properties: Option<&'a [u8]>,
    will_properties: Option<&'a [u8]>,
}

/// What a property has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Property<'a> {
    Number(u32),
    Bytes(&'a [u8]),
    /// A name and its value.
    Pair,
}

impl Conv {
    pub(super) fn apply<'a>(self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Bin(bytes) = value else { return None };
        match (self, packet(bytes)) {
            (Conv::IsValid, Ok(_)) => Some(Value::Bool(true)),
            (Conv::IsValid, Err(Fault::Bad)) => Some(Value::Bool(false)),
            (Conv::IsValid, Err(Fault::More)) => None,
            (Conv::FieldValue(kind, field), Ok(packet)) if packet.kind == kind => {
                packet.field(field, scene).map(Value::Bin)
            }
            _ => None,
        }
    }
}

impl<'a> Packet<'a> {
    /// The field's value; numbers are written in digits.
    fn field(&self, field: Field, scene: &Scene<'a>) -> Option<&'a [u8]> {
        let number = |n: u32| -> Option<&'a [u8]> {
            Some(scene.arena().alloc_slice_copy(itoa::Buffer::new().format(n).as_bytes()))
        };
        let bytes = match field {
            Field::Flags => return number(self.flags.into()),
            Field::ProtocolVersion => return number(self.version.into()),
            Field::ReasonCode => return number(self.reason.into()),
            Field::Keepalive => return number(self.keepalive.into()),
            Field::ProtocolName => self.name,
            Field::ClientIdentifier => self.client,
            Field::WillTopic => self.will_topic,
            Field::WillPayload => self.will_payload,
            Field::Username => self.username,
            Field::Password => self.password,
            Field::Property(id) => {
                let of_will = self.kind == Type::Connect && OF_WILL.contains(&id);
                let mut rest = (if of_will { self.will_properties } else { self.properties })?;
                loop {
                    match property(&mut rest) {
                        Ok(Some((found, Property::Number(n)))) if found == id => return number(n),
                        Ok(Some((found, Property::Bytes(bytes)))) if found == id => break bytes,
                        Ok(Some(_)) => {}
                        // A number that is not there is 0.
                        Ok(None) | Err(Fault::Bad | Fault::More) if is_number(id) => {
                            return number(0);
                        }
                        Ok(None) | Err(Fault::Bad | Fault::More) => return None,
                    }
                }
            }
        };
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Takes `n` bytes off the start.
fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8], Fault> {
    let (taken, behind) = rest.split_at_checked(n).ok_or(Fault::Bad)?;
    *rest = behind;
    Ok(taken)
}

fn number(rest: &mut &[u8], bytes: usize) -> Result<u32, Fault> {
    Ok(take(rest, bytes)?.iter().fold(0, |n, byte| (n << 8) | u32::from(*byte)))
}

/// Bytes behind their length.
fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let len = number(rest, 2)? as usize;
    take(rest, len)
}

/// A number of one to four bytes.
fn variable(rest: &mut &[u8]) -> Result<usize, Fault> {
    let mut n = 0;
    for shift in [0, 7, 14, 21] {
        let byte = take(rest, 1).map_err(|_| Fault::More)?[0];
        n |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(n);
        }
    }
    Err(Fault::Bad)
}

const fn is_number(id: u8) -> bool {
    matches!(id, 1 | 2 | 17 | 19 | 23 | 24 | 25 | 33 | 34 | 36 | 37 | 39 | 40 | 41 | 42)
}

/// Takes the first property off; none if there is none left.
fn property<'a>(rest: &mut &'a [u8]) -> Result<Option<(u8, Property<'a>)>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let id = take(rest, 1)?[0];
    let value = match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Property::Number(number(rest, 1)?),
        19 | 33 | 34 => Property::Number(number(rest, 2)?),
        2 | 17 | 24 | 39 => Property::Number(number(rest, 4)?),
        3 | 8 | 9 | 18 | METHOD | DATA | 26 | 28 | 31 => Property::Bytes(text(rest)?),
        USER_PROPERTY => {
            text(rest)?;
            text(rest)?;
            Property::Pair
        }
        _ => return Err(Fault::Bad),
    };
    Ok(Some((id, value)))
}

/// Takes properties behind their length, which must be some of `allowed`, each once at most.
fn properties<'a>(rest: &mut &'a [u8], allowed: &[u8], odd: Fault) -> Result<&'a [u8], Fault> {
    let len = variable(rest).map_err(|_| Fault::Bad)?;
    let all = take(rest, len)?;
    let (mut left, mut seen) = (all, 0u64);
    while let Some(id) = left.first().copied() {
        if !allowed.contains(&id) {
            return Err(odd);
        }
        let Some((_, value)) = property(&mut left)? else { break };
        let twice = id != USER_PROPERTY && seen >> id & 1 == 1;
        seen |= 1 << id;
        let good = match (id, value) {
            (1 | 23 | 25 | 36 | 37 | 40 | 41 | 42, Property::Number(n)) => n <= 1,
            (33 | 39, Property::Number(n)) => n > 0,
            (18, Property::Bytes(bytes)) => !bytes.is_empty(),
            _ => true,
        };
        if twice || !good {
            return Err(Fault::Bad);
        }
    }
    // Data of an authentication needs its method.
    if seen >> DATA & 1 == 1 && seen >> METHOD & 1 == 0 {
        return Err(Fault::Bad);
    }
    Ok(all)
}

fn packet(bytes: &[u8]) -> Result<Packet<'_>, Fault> {
    if bytes.len() < 2 {
        return Err(Fault::More);
    }
    if !matches!(bytes[0], 0x10 | 0x20) {
        return Err(Fault::Bad);
    }
    let mut rest = &bytes[1..];
    let len = variable(&mut rest)?;
    let body = rest.get(..len).ok_or(Fault::More)?;
    match bytes[0] {
        0x10 => connect(body),
        // Nothing may follow what a server says first.
        0x20 if rest.len() == len => connack(body),
        _ => Err(Fault::Bad),
    }
}

fn connect(mut rest: &[u8]) -> Result<Packet<'_>, Fault> {
    let rest = &mut rest;
    let name = text(rest)?;
    if ![&b"MQTT"[..], b"MQIsdp"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(Fault::Bad);
    }
    let version = number(rest, 1)? as u8;
    let flags = number(rest, 1)? as u8;
    if !(3..=5).contains(&version)
        || flags & RESERVED != 0
        || flags & WILL == 0 && flags & WILL_QOS == WILL_QOS
    {
        return Err(Fault::Bad);
    }
    let keepalive = number(rest, 2)? as u16;
    let mut own = None;
    if version == 5 {
        own = Some(properties(rest, OF_CONNECT, Fault::Bad)?);
    }
    let client = text(rest)?;
    let mut will_properties = None;
    if version == 5 && flags & WILL != 0 {
        will_properties = Some(properties(rest, OF_WILL, Fault::Bad)?);
    }
    fn optional<'a>(rest: &mut &'a [u8], there: u8) -> Result<&'a [u8], Fault> {
        if there == 0 { Ok(b"") } else { text(rest) }
    }
    let packet = Packet {
        kind: Type::Connect,
        version,
        flags,
        reason: 0,
        keepalive,
        name,
        client,
        will_topic: optional(rest, flags & WILL)?,
        will_payload: optional(rest, flags & WILL)?,
        username: optional(rest, flags & USERNAME)?,
        password: optional(rest, flags & PASSWORD)?,
        properties: own,
        will_properties,
    };
    if rest.is_empty() { Ok(packet) } else { Err(Fault::Bad) }
}

fn connack(mut rest: &[u8]) -> Result<Packet<'_>, Fault> {
    // Only version 5.0 has properties.
    let version = if rest.len() == 2 { 4 } else { 5 };
    let rest = &mut rest;
    let flags = number(rest, 1)? as u8;
    let reason = number(rest, 1)? as u8;
    if flags > 1 {
        return Err(Fault::Bad);
    }
    let own = match version {
        // HAProxy waits for more behind what it does not know here.
        5 => Some(properties(rest, OF_CONNACK, Fault::More)?),
        _ => None,
    };
    if !rest.is_empty() {
        return Err(Fault::Bad);
    }
    Ok(Packet {
        kind: Type::Connack,
        version,
        flags,
        reason,
        keepalive: 0,
        name: b"",
        client: b"",
        will_topic: b"",
        will_payload: b"",
        username: b"",
        password: b"",
        properties: own,
        will_properties: None,
    })
}

fn field(args: &Args<'_, '_>) -> Result<super::Conv, Mistake> {
    let (word, name) = (args.text(0), args.text(1));
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let kind = match word.parse() {
        Ok(1u8) if digits => Type::Connect,
        Ok(2u8) if digits => Type::Connack,
        _ if word.eq_ignore_ascii_case("connect") => Type::Connect,
        _ if word.eq_ignore_ascii_case("connack") => Type::Connack,
        _ => {
            let message = format!("only CONNECT (1) and CONNACK (2) can be read, not '{word}'");
            return Err(args.blame(0, message));
        }
    };
    let (fields, properties) = match kind {
        Type::Connect => (&Field::CONNECT[..], [OF_CONNECT, OF_WILL]),
        Type::Connack => (&Field::CONNACK[..], [OF_CONNACK, &[]]),
    };
    let named = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut numbers = properties.iter().copied().flatten();
    let field = match named {
        Some((_, field)) => Some(*field),
        None => numbers.find(|id| id.to_string() == name).map(|id| Field::Property(*id)),
    };
    let Some(field) = field else {
        let known: Vec<&str> = fields.iter().map(|(known, _)| *known).collect();
        let message = format!(
            "'{name}' is no field of this packet: it has {}, and properties by number",
            known.join(", ")
        );
        return Err(args.blame(1, message));
    };
    Ok(super::Conv::Mqtt(Conv::FieldValue(kind, field)))
}

pub(super) const TABLE: &[Spec] = &[
    row("mqtt_field_value", (Kind::Bin, Kind::Bin), (2, 2), |args, _| field(args)),
    row("mqtt_is_valid", (Kind::Bin, Kind::Bool), (0, 0), |_, _| {
        Ok(super::Conv::Mqtt(Conv::IsValid))
    }),
];
