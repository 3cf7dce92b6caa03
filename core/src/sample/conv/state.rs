//! Converters that change variables and captures, or ask what the process knows.

use super::{Kind, Scene, Spec, Value, row};
use crate::proxy::spec::{ProxyId, Role};
use crate::sample::Captured;
use crate::sample::args::{Args, Mistake};
use crate::sample::fetch::internal::usable;
use crate::sample::names::Names;
use crate::sample::vars::{Scope, VarId};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `set-var`, if all of this is so.
    SetVar(VarId, Box<[Condition]>),
    /// `unset-var`.
    UnsetVar(VarId),
    /// `iif`: one of two.
    Iif(Box<[u8]>, Box<[u8]>),
    /// `nbsrv`.
    Usable,
    /// `srv_queue`.
    Queue,
    /// `capture-req`, `capture-res` (if true) and the slot; none is one that cannot be.
    Capture(bool, Option<u32>),
    /// `debug`: a value passes as it is.
    Pass,
}

/// When `set-var` sets a variable: the rule and the converter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// `ifexists`; `proc.` variables always do.
    Exists,
    /// `ifnotexists`.
    NotExists,
    /// `ifempty`: the value is text or bytes, and none.
    Empty,
    /// `ifnotempty`.
    NotEmpty,
    /// `ifset`.
    Set,
    /// `ifnotset`.
    NotSet,
    /// `ifgt`: the variable is larger, if both are numbers.
    Greater,
    /// `iflt`.
    Less,
}

impl Condition {
    /// All, by name.
    pub const ALL: [(&'static str, Condition); 8] = [
        ("ifexists", Condition::Exists),
        ("ifnotexists", Condition::NotExists),
        ("ifempty", Condition::Empty),
        ("ifnotempty", Condition::NotEmpty),
        ("ifset", Condition::Set),
        ("ifnotset", Condition::NotSet),
        ("ifgt", Condition::Greater),
        ("iflt", Condition::Less),
    ];

    /// Whether it is so for a value that the variable is about to have.
    pub fn holds(self, id: VarId, value: Value<'_>, scene: &Scene<'_>) -> bool {
        let set = || scene.vars(id.scope).is_some_and(|vars| vars.has(id.name));
        let exists = || id.scope == Scope::Proc || set();
        let empty = match value {
            Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => bytes.is_empty(),
            Value::Bool(_) | Value::Int(_) | Value::Ip(_) => false,
        };
        let numbers = || match (scene.var(id), value) {
            (Some(Value::Int(known)), Value::Int(new)) => Some((known, new)),
            _ => None,
        };
        match self {
            Condition::Exists => exists(),
            Condition::NotExists => !exists(),
            Condition::Empty => empty,
            Condition::NotEmpty => !empty,
            Condition::Set => set(),
            Condition::NotSet => !set(),
            Condition::Greater => numbers().is_none_or(|(known, new)| known > new),
            Condition::Less => numbers().is_none_or(|(known, new)| known < new),
        }
    }
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        match self {
            Conv::SetVar(id, conditions) => {
                let set = conditions.iter().all(|condition| condition.holds(*id, value, scene))
                    && scene.set_var(*id, value);
                set.then_some(value)
            }
            Conv::UnsetVar(id) => {
                scene.unset_var(*id);
                Some(value)
            }
            Conv::Iif(yes, no) => match value {
                Value::Bool(true) => Some(Value::Str(yes)),
                Value::Bool(false) => Some(Value::Str(no)),
                _ => None,
            },
            Conv::Usable => {
                let Value::Str(name) = value else { return None };
                Some(Value::Int(usable(backend(name, scene)?, scene)))
            }
            Conv::Queue => {
                let Value::Str(name) = value else { return None };
                let (backend, name) = match memchr::memchr(b'/', name) {
                    Some(at) => (backend(&name[..at], scene)?, &name[at + 1..]),
                    None => (scene.backend, name),
                };
                let mut servers = scene.site.proxy(backend).servers.clone();
                let id = servers.find(|id| scene.site.server(*id).name.as_bytes() == name)?;
                Some(Value::Int(scene.shared.queue_lengths(backend, Some(id)).0.into()))
            }
            Conv::Capture(response, slot) => {
                let Value::Str(text) = value else { return None };
                let slot = (*slot)?;
                // Without the slot the value is lost as well.
                scene.captures[usize::from(*response)].get(slot as usize)?;
                let text = text.into();
                scene.desk.capture(Captured { response: *response, slot, text });
                Some(value)
            }
            Conv::Pass => Some(value),
        }
    }
}

/// The backend of that name.
fn backend(name: &[u8], scene: &Scene<'_>) -> Option<ProxyId> {
    let found = scene
        .site
        .proxies
        .iter()
        .position(|proxy| proxy.role.has(Role::BACKEND) && proxy.name.as_bytes() == name);
    found.map(|index| index as ProxyId)
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::State(conv))
}

fn conditions(args: &Args<'_, '_>) -> Result<Box<[Condition]>, Mistake> {
    let each = (1..args.len()).map(|index| {
        let word = args.text(index);
        let known = Condition::ALL.iter().find(|(name, _)| *name == word);
        known.map(|(_, condition)| *condition).ok_or_else(|| {
            let known: Vec<&str> = Condition::ALL.iter().map(|(name, _)| *name).collect();
            let message =
                format!("'set-var' has no condition '{word}'; it has {}", known.join(", "));
            args.blame(index, message)
        })
    });
    each.collect()
}

fn debug(args: &Args<'_, '_>, names: &mut Names<'_>) -> Result<super::Conv, Mistake> {
    if let Some(sink @ ("buf0" | "stdout" | "stderr")) = args.get(1).or(Some("buf0")) {
        let place = names.span;
        let message =
            format!("the converter 'debug' has no effect: nothing is written to '{sink}'");
        names.warnings.push((place, message));
        return made(Conv::Pass);
    }
    let message = format!("'debug' writes to buf0, stdout or stderr, not '{}'", args.text(1));
    Err(args.blame(1, message))
}

const ANY: (Kind, Kind) = (Kind::Any, Kind::Any);
const NUMBER: (Kind, Kind) = (Kind::Str, Kind::Int);

fn capture(args: &Args<'_, '_>, response: bool) -> Result<super::Conv, Mistake> {
    let slot = args.int(0)?.unwrap_or(0);
    made(Conv::Capture(response, u32::try_from(slot).ok()))
}

const STR: (Kind, Kind) = (Kind::Str, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("capture-req", STR, (1, 1), |args, _| capture(args, false)),
    row("capture-res", STR, (1, 1), |args, _| capture(args, true)),
    row("debug", ANY, (0, 2), debug),
    row("iif", (Kind::Bool, Kind::Str), (2, 2), |args, _| {
        let text = |index| args.text(index).as_bytes().into();
        made(Conv::Iif(text(0), text(1)))
    }),
    row("nbsrv", NUMBER, (0, 0), |_, _| made(Conv::Usable)),
    row("set-var", ANY, (0, 5), |args, names| {
        let id = names.var_arg(args, 0)?;
        made(Conv::SetVar(id, conditions(args)?))
    }),
    row("srv_queue", NUMBER, (0, 0), |_, _| made(Conv::Queue)),
    row("unset-var", ANY, (0, 1), |args, names| made(Conv::UnsetVar(names.var_arg(args, 0)?))),
];

#[cfg(test)]
mod tests {
    use crate::sample::Captured;
    use crate::sample::stage::Stage;

    #[test]
    fn captures_wait_at_the_desk() {
        let mut stage = Stage::new();
        stage.captures[0] = vec![None, None];
        assert_eq!(stage.eval("str(abc),capture-req(1),upper").as_deref(), Some("ABC"));
        assert_eq!(stage.eval("str(abc),capture-req(2)"), None);
        assert_eq!(stage.eval("str(abc),capture-res(0)"), None);
        let kept = Captured { response: false, slot: 1, text: (*b"abc").into() };
        assert_eq!(stage.desk.take_captured(), [kept]);
        assert_eq!(stage.desk.take_captured(), []);
    }
}
