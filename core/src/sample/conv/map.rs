//! Maps: what a file says of the first of its keys that matches.

use super::{Kind, Scene, Spec, Value, row};
use crate::acl::file::{self, FileUse};
use crate::acl::{Match, Output};
use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub struct Conv {
    /// The file, as an index in the site's patterns.
    map: u32,
    /// What a value has that no key matches.
    default: Option<Output>,
    /// Groups of the match are put into what the map says (`map_regm`).
    groups: bool,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let patterns = scene.patterns(self.map);
        let found = if self.groups {
            patterns.substitute(value, scene.arena()).map(Value::Str)
        } else {
            patterns.find(value, scene.arena()).flatten().map(Output::value)
        };
        found.or_else(|| self.default.as_ref().map(Output::value))
    }
}

/// The methods that maps have, by the middle of their names.
fn method(name: &str) -> Option<Match> {
    Some(match name {
        "" | "_str" => Match::Str,
        "_beg" => Match::Beg,
        "_dir" => Match::Dir,
        "_dom" => Match::Dom,
        "_end" => Match::End,
        "_int" => Match::Int,
        "_ip" => Match::Ip,
        "_reg" => Match::Reg,
        "_regm" => Match::Regm,
        "_sub" => Match::Sub,
        _ => return None,
    })
}

/// How the keys of the converter `name` match, and the type of its values.
fn meaning(name: &str) -> Option<(Match, Kind)> {
    let rest = name.strip_prefix("map")?;
    if let Some(how) = method(rest) {
        return Some((how, Kind::Str));
    }
    let (how, output) = rest.rsplit_once('_')?;
    let output = match output {
        "str" => Kind::Str,
        "int" => Kind::Int,
        "ip" => Kind::Addr,
        _ => return None,
    };
    Some((method(how)?, output))
}

fn make(args: &Args<'_, '_>, names: &mut Names<'_>) -> Result<super::Conv, Mistake> {
    let (how, output) = meaning(args.name()).expect("the table has no other names");
    let Some(path) = args.get(0) else {
        return Err(args.wrong(format!("'{}' needs the path of a file", args.name())));
    };
    let default = match args.len() {
        0 | 1 => None,
        // An empty number is 0, as in HAProxy.
        _ if args.text(1).is_empty() && output == Kind::Int => Some(Output::Int(0)),
        _ => {
            let text = args.text(1);
            let default = Output::parse(text.as_bytes(), output).map_err(|_| {
                let what = if output == Kind::Int { "a number" } else { "an address" };
                let name = args.name();
                args.blame(1, format!("the default of '{name}' must be {what} (got '{text}')"))
            })?;
            Some(default)
        }
    };
    let map = file::load(path, FileUse::map(how, output), names)
        .map_err(|message| args.blame(0, message))?;
    Ok(super::Conv::Map(Conv { map, default, groups: how == Match::Regm }))
}

/// A row of the table.
const fn map(name: &'static str, takes: Kind, gives: Kind) -> Spec {
    row(name, (takes, gives), (1, 2), make)
}

pub(super) const TABLE: &[Spec] = &[
    map("map", Kind::Str, Kind::Str),
    map("map_beg", Kind::Str, Kind::Str),
    map("map_beg_int", Kind::Str, Kind::Int),
    map("map_beg_ip", Kind::Str, Kind::Addr),
    map("map_dir", Kind::Str, Kind::Str),
    map("map_dir_int", Kind::Str, Kind::Int),
    map("map_dir_ip", Kind::Str, Kind::Addr),
    map("map_dom", Kind::Str, Kind::Str),
    map("map_dom_int", Kind::Str, Kind::Int),
    map("map_dom_ip", Kind::Str, Kind::Addr),
    map("map_end", Kind::Str, Kind::Str),
    map("map_end_int", Kind::Str, Kind::Int),
    map("map_end_ip", Kind::Str, Kind::Addr),
    map("map_int", Kind::Int, Kind::Str),
    map("map_int_int", Kind::Int, Kind::Int),
    map("map_int_ip", Kind::Int, Kind::Addr),
    map("map_ip", Kind::Addr, Kind::Str),
    map("map_ip_int", Kind::Addr, Kind::Int),
    map("map_ip_ip", Kind::Addr, Kind::Addr),
    map("map_reg", Kind::Str, Kind::Str),
    map("map_reg_int", Kind::Str, Kind::Int),
    map("map_reg_ip", Kind::Str, Kind::Addr),
    map("map_regm", Kind::Str, Kind::Str),
    map("map_str", Kind::Str, Kind::Str),
    map("map_str_int", Kind::Str, Kind::Int),
    map("map_str_ip", Kind::Str, Kind::Addr),
    map("map_sub", Kind::Str, Kind::Str),
    map("map_sub_int", Kind::Str, Kind::Int),
    map("map_sub_ip", Kind::Str, Kind::Addr),
];
