//! `balance first`: the first server with a free slot, by `id`. Weights only say who takes part.

use super::{Pick, Servers};

/// One group of servers, all active or all backup.
#[derive(Clone, Debug, Hash)]
pub(super) struct First {
    /// Those that take part, by id.
    order: Vec<u32>,
}

impl First {
    pub(super) fn new(weights: &[u32], servers: &impl Servers) -> Self {
        let mut order: Vec<u32> =
            (0..weights.len() as u32).filter(|&server| weights[server as usize] > 0).collect();
        order.sort_by_key(|&server| servers.id(server as usize));
        Self { order }
    }

    pub(super) fn pick(&self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        let mut free =
            self.order.iter().map(|&server| server as usize).filter(|&at| !servers.full(at));
        // The one to avoid will do if nobody else is free.
        let Some(server) = free.next() else { return Pick::AllFull };
        match avoid {
            Some(avoid) if avoid == server => Pick::Server(free.next().unwrap_or(server)),
            _ => Pick::Server(server),
        }
    }
}
