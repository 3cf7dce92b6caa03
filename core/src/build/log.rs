//! `log` lines: where to, in which form, and what.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Statement, Word};
use crate::poller::Address;
use crate::proxy::spec::{LogSample, LogTarget, Sink, WireFormat};

use super::Builder;
use super::address::{self, Family, HostPart, PortPart};
use super::args::Args;

/// Facilities in the order of their numbers (RFC 5424 section 6.2.1, with HAProxy's names).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Levels in the order of their numbers.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

pub(super) const FORMATS: [(&str, WireFormat); 8] = [
    ("local", WireFormat::Local),
    ("rfc3164", WireFormat::Rfc3164),
    ("rfc5424", WireFormat::Rfc5424),
    ("priority", WireFormat::Priority),
    ("short", WireFormat::Short),
    ("timed", WireFormat::Timed),
    ("iso", WireFormat::Iso),
    ("raw", WireFormat::Raw),
];

impl Builder<'_> {
    /// `log <address> [len <n>] [format <f>] [sample <s>] <facility> [<level> [<minlevel>]]`.
    pub(super) fn log_target(&mut self, statement: &Statement) -> Option<LogTarget> {
        let mut args = Args::new(statement, 1, "log", &mut self.diagnostics);
        let address = args.need("an address and a facility, such as '127.0.0.1:514 local0'")?;
        let mut target = LogTarget {
            sink: 0,
            format: WireFormat::Local,
            facility: 0,
            level: 7,
            min_level: 0,
            len_max: 1_024,
            len_given: false,
            text_max: u32::MAX,
            ring: None,
            sample: None,
        };
        let (mut sampled, mut formatted) = (None, None);
        loop {
            if args.takes("len") {
                target.len_max = args.number(80..=65_535)?;
                target.len_given = true;
            } else if args.takes("format") {
                formatted = Some(args.before());
                target.format = args.choice(&FORMATS)?;
            } else if args.takes("sample") {
                let word = args.need("a sample, such as '1:2'")?;
                match sample(word.as_str()) {
                    Ok(sample) => sampled = Some(sample),
                    Err(message) => {
                        args.alert(word.span, format!("'log' : {message}"), "");
                        return None;
                    }
                }
            } else {
                break;
            }
        }
        target.facility = named(&mut args, "a facility", &FACILITIES)?;
        if args.peek().is_some_and(|word| !word.as_str().is_empty()) {
            target.level = named(&mut args, "a level", &LEVELS)?;
        }
        if args.peek().is_some_and(|word| !word.as_str().is_empty()) {
            target.min_level = named(&mut args, "a level", &LEVELS)?;
        }
        if !args.end() {
            return None;
        }
        if let Some(sample) = sampled {
            self.site.log_samples.push(sample);
            target.sample = Some(self.site.log_samples.len() as u32 - 1);
        }
        if let Some(name) = address.as_str().strip_prefix("ring@") {
            target.ring = Some(self.ring_used(name, address.span));
            if let Some(span) = formatted {
                let message = "'format' has no effect on what is logged to a ring".to_owned();
                let found = self.diagnostics.warning(span, message);
                found.help.push("the ring itself says how its messages are written".into());
            }
            return Some(target);
        }
        let sink = self.sink(address)?;
        if let (Sink::Datagram(server), true) = (&sink, is_stream(address.as_str())) {
            target.ring = Some(self.ring_of_stream(address.as_str(), server.clone(), &target));
            return Some(target);
        }
        target.sink = match self.site.sinks.iter().position(|known| *known == sink) {
            Some(index) => index as u32,
            None => {
                self.site.sinks.push(sink);
                self.site.sinks.len() as u32 - 1
            }
        };
        Some(target)
    }

    fn sink(&mut self, word: &Word) -> Option<Sink> {
        match word.as_str() {
            "stdout" => return Some(Sink::Stdout),
            "stderr" => return Some(Sink::Stderr),
            _ => {}
        }
        let sink = self.sink_address(word.as_str());
        sink.map_err(|message| {
            let found = self.diagnostics.alert(word.span, format!("'log' : {message}"));
            found.help.push(
                "log targets are ip[:port] (UDP), tcp@ip[:port], a path such as /dev/log, stdout, \
                     stderr, fd@N or ring@name"
                    .into(),
            );
        })
        .ok()
    }

    fn sink_address(&self, text: &str) -> Result<Sink, String> {
        const SYSLOG: u16 = 514;
        let endpoint = address::parse(text, &self.names.env)?;
        let port = match endpoint.port {
            PortPart::None => SYSLOG,
            PortPart::Range(first, last) if first == last && first > 0 => first,
            _ => return Err(format!("one port is expected in '{text}'")),
        };
        let ip = match endpoint.host {
            HostPart::Unix(path) => return Ok(Sink::Datagram(Address::Unix(path))),
            HostPart::Abstract(name) => return Ok(Sink::Datagram(Address::Abstract(name))),
            HostPart::Fd(fd) => return Ok(Sink::Fd(fd)),
            HostPart::Ip(ip) => ip,
            HostPart::Any if endpoint.family == Family::V6 => IpAddr::from(Ipv6Addr::LOCALHOST),
            HostPart::Any => IpAddr::from(Ipv4Addr::LOCALHOST),
            HostPart::Name(name) => address::resolve(&name, endpoint.family, self.host)
                .map_err(|error| format!("invalid address: '{name}' in '{text}' ({error})"))?[0],
        };
        Ok(Sink::Datagram(Address::Inet(SocketAddr::new(ip, port))))
    }
}

/// Whether an address says that messages go there in a stream.
fn is_stream(text: &str) -> bool {
    ["tcp@", "tcp4@", "tcp6@", "uxst@", "stream+"].iter().any(|prefix| text.starts_with(prefix))
}

/// `<ranges>:<size>`, each range a number from 1 up, or two.
fn sample(text: &str) -> Result<LogSample, String> {
    let (list, size) = text.split_once(':').unwrap_or((text, ""));
    if list.is_empty() {
        return Err("no sampling ranges given".into());
    }
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|n| *n > 0 && digits)
    };
    let mut ranges = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => ranges.push((first - 1, last - 1)),
            _ => return Err(format!("wrong sample range '{range}'")),
        }
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return Err("ranges are overlapping".into());
    }
    let size = number(size)
        .ok_or_else(|| format!("wrong sample size '{size}' for sample range '{list}'"))?;
    let most = ranges.last().map_or(0, |(_, last)| last + 1);
    if size < most {
        return Err(format!(
            "sample size {size} should be greater or equal to {most} the maximum of the high \
             ranges limits"
        ));
    }
    Ok(LogSample { size, ranges: ranges.into() })
}

/// The number of a name.
fn named(args: &mut Args<'_, '_>, what: &str, names: &[&str]) -> Option<u8> {
    let word = args.need(what)?;
    if let Some(number) = names.iter().position(|name| *name == word.as_str()) {
        return Some(number as u8);
    }
    let kind = what.trim_start_matches("a ");
    let message = format!("'log' : unknown log {kind} '{}'", word.as_str());
    args.alert(word.span, message, &format!("known are: {}", names.join(", ")));
    None
}
