//! Networks: two tries, in which the narrowest network around an address is found in as many steps
//! as an address has bits, however many there are.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use prefix_trie::PrefixMap;

use super::super::network::{Network, Resolve};
use super::super::texts::Texts;
use crate::sample::embedded_v4;

/// Networks, each with the number of its pattern.
#[derive(Clone, Default)]
pub(in crate::acl) struct Networks {
    v4: PrefixMap<(u32, u8), u32>,
    v6: PrefixMap<(u128, u8), u32>,
    /// Those with odd masks, in order.
    masked: Vec<(u32, u32, u32)>,
    /// What texts stand for that cannot be read again: names that were looked up at the start.
    named: Vec<(Box<[u8]>, Network)>,
}

impl core::fmt::Debug for Networks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let lens = (self.v4.len(), self.v6.len(), self.masked.len());
        f.debug_tuple("Networks").field(&lens).finish()
    }
}

impl Networks {
    /// None of the networks, but what names stand for.
    pub(in crate::acl) fn emptied(&self) -> Self {
        Networks { named: self.named.clone(), ..Self::default() }
    }

    /// Adds a pattern; false if one that means the same is there already.
    pub(in crate::acl) fn insert(
        &mut self,
        id: u32,
        texts: &Texts,
        resolve: Option<Resolve<'_>>,
    ) -> Result<bool, String> {
        let text = texts.get(id);
        let network = match self.meaning(text) {
            Ok(network) => network,
            Err(_) if resolve.is_some() => {
                let network = Network::parse(&String::from_utf8_lossy(text), resolve)?;
                self.named.push((text.into(), network));
                network
            }
            Err(message) => return Err(message),
        };
        Ok(match network {
            Network::V4(ip, bits) => put(&mut self.v4, (ip, bits), id),
            Network::V6(ip, bits) => put(&mut self.v6, (ip, bits), id),
            Network::Masked(ip, mask) => {
                let known = self.masked.iter().any(|(i, m, _)| (*i, *m) == (ip, mask));
                if !known {
                    let at = self.masked.partition_point(|(_, _, other)| *other < id);
                    self.masked.insert(at, (ip, mask, id));
                }
                !known
            }
        })
    }

    /// Takes a pattern away; false if another that means the same stood for it.
    pub(in crate::acl) fn remove(&mut self, id: u32, texts: &Texts) -> bool {
        match self.meaning(texts.get(id)) {
            Ok(Network::V4(ip, bits)) => take(&mut self.v4, &(ip, bits), id),
            Ok(Network::V6(ip, bits)) => take(&mut self.v6, &(ip, bits), id),
            Ok(Network::Masked(..)) => {
                let before = self.masked.len();
                self.masked.retain(|(_, _, other)| *other != id);
                self.masked.len() < before
            }
            // It was read when it was added.
            Err(_) => false,
        }
    }

    /// What a text stands for.
    fn meaning(&self, text: &[u8]) -> Result<Network, String> {
        match self.named.iter().find(|(name, _)| **name == *text) {
            Some((_, network)) => Ok(*network),
            None => Network::parse(&String::from_utf8_lossy(text), None),
        }
    }

    /// The number of the narrowest network around an address. Those of its own family go first,
    /// then those that it is embedded in, then odd masks.
    pub(in crate::acl) fn find(&self, ip: IpAddr) -> Option<u32> {
        let v4 = |ip: Ipv4Addr| self.v4.get_lpm(&(ip.into(), 32)).map(|(_, id)| *id);
        let v6 = |ip: Ipv6Addr| self.v6.get_lpm(&(ip.into(), 128)).map(|(_, id)| *id);
        let (found, v4_form) = match ip {
            IpAddr::V4(ip) => (v4(ip).or_else(|| v6(ip.to_ipv6_mapped())), Some(ip)),
            IpAddr::V6(ip) => {
                let embedded = embedded_v4(ip);
                (v6(ip).or_else(|| embedded.and_then(v4)), embedded)
            }
        };
        found.or_else(|| {
            let ip = u32::from(v4_form?);
            let mut masked = self.masked.iter();
            masked.find(|(net, mask, _)| ip & mask == *net).map(|(_, _, id)| *id)
        })
    }
}

/// Adds a prefix; false if it is there already.
fn put<P: prefix_trie::Prefix>(map: &mut PrefixMap<P, u32>, prefix: P, id: u32) -> bool {
    let known = map.contains_key(&prefix);
    if !known {
        map.insert(prefix, id);
    }
    !known
}

/// Takes a prefix away if it stands for this number.
fn take<P: prefix_trie::Prefix>(map: &mut PrefixMap<P, u32>, prefix: &P, id: u32) -> bool {
    map.get(prefix) == Some(&id) && map.remove(prefix).is_some()
}
