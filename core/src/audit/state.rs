//! The digest of an engine's whole state: two engines that have it in common go on in the same way,
//! if they are told the same. It holds no pointer and no memory that is not in use, so it is the
//! same in every process and build; [`super::check`] says whether the state is a sound one.
//!
//! Every field is named, so that one that is added does not compile until it is taken in here or
//! left out with a reason.

use core::hash::{Hash, Hasher};

use crate::session::Session;
use crate::txn::{Txn, TxnFlags};

use super::View;

/// Takes everything in, but for what belongs to the engine alone.
pub fn digest<H: Hasher>(view: &View<'_>, into: &mut H) {
    (view.now, view.listeners, view.fds, view.tasks, view.conns).hash(into);
    // What the pools hold beside that is memory: it has no part in what happens.
    view.pools.live().hash(into);
    for (id, client) in view.clients {
        id.hash(into);
        client.hash(into);
    }
    for (id, one) in view.sessions {
        id.hash(into);
        session(one, into);
    }
}

fn session<H: Hasher>(s: &Session, into: &mut H) {
    let Session {
        serial,
        client,
        task,
        frontend,
        backend,
        mode,
        req,
        res,
        back,
        txn: exchange,
        times,
        began_wall,
        request_expiry,
        rule_expiry,
        end,
        errands,
        retries,
        flags,
    } = s;
    (serial, client, task, frontend, backend, mode).hash(into);
    (req, res, back, times, began_wall).hash(into);
    (request_expiry, rule_expiry, end, retries, flags).hash(into);
    // The engine takes them before the turn is over.
    errands.is_some().hash(into);
    txn(exchange, into);
}

fn txn<H: Hasher>(t: &Txn, into: &mut H) {
    let Txn {
        number,
        request,
        response,
        request_scan,
        response_scan,
        request_flow,
        response_flow,
        head_len,
        request_body_start,
        body_start,
        status,
        head_bytes,
        body_bytes,
        flags,
        rule_at,
        vars,
        pass,
        captures,
        cookies,
        request_bytes,
        line,
        unique_id,
        last_rule,
        ends,
        log_level,
        server_timeout,
        tunnel_timeout,
        priority,
        tarpit,
        stage,
    } = t;
    (request, response, request_scan, response_scan).hash(into);
    (request_flow, response_flow, head_len, request_body_start, body_start).hash(into);
    (status, head_bytes, body_bytes, flags, rule_at, request_bytes, stage).hash(into);
    // What only rules, captures and ids leave behind: most have none of it, and a digest is taken
    // after every turn. What there is goes in behind its place.
    let mut rare = Rare { place: 0, into };
    rare.take(!vars.is_empty(), vars);
    rare.take(!pass.is_empty(), pass);
    rare.take(captures.iter().any(|slots| !slots.is_empty()), captures);
    rare.take(cookies.iter().any(Option::is_some), cookies);
    rare.take(!line.is_empty(), line);
    rare.take(unique_id.is_some(), unique_id);
    rare.take(last_rule.is_some(), last_rule);
    rare.take(ends.iter().any(Option::is_some), ends);
    rare.take(*log_level != <_>::default(), log_level);
    rare.take(server_timeout.is_some(), server_timeout);
    rare.take(tunnel_timeout.is_some(), tunnel_timeout);
    rare.take(*priority != (0, 0), priority);
    rare.take(tarpit.is_some(), tarpit);
    rare.take(t.is(TxnFlags::NUMBERED), number);
    rare.end();
}

/// Takes in what there rarely is, each behind the number of its place.
struct Rare<'a, H> {
    place: u8,
    into: &'a mut H,
}

impl<H: Hasher> Rare<'_, H> {
    fn take(&mut self, there: bool, what: impl Hash) {
        self.place += 1;
        if there {
            self.place.hash(self.into);
            what.hash(self.into);
        }
    }

    fn end(self) {
        0u8.hash(self.into);
    }
}
