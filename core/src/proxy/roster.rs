//! Backends by name, for `use_backend` with a format: looking one up costs the same however many
//! there are.

use core::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::spec::ProxyId;

/// Backends by name.
#[derive(Clone, Debug, Default)]
pub struct Roster(HashTable<(Box<[u8]>, ProxyId)>);

impl Roster {
    /// Enters a backend; one of its name that is entered already stays.
    pub fn insert(&mut self, name: &[u8], id: ProxyId) {
        if self.get(name).is_none() {
            self.0.insert_unique(hash(name), (name.into(), id), |(name, _)| hash(name));
        }
    }

    /// The backend of that name.
    pub fn get(&self, name: &[u8]) -> Option<ProxyId> {
        self.0.find(hash(name), |(known, _)| **known == *name).map(|(_, id)| *id)
    }
}

/// A fixed key will do: the names in the table are the configuration's, and a peer can only ask.
fn hash(name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7469_6465_6761_7465, 0x6261_636b_656e_6473);
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_its_backend() {
        let mut roster = Roster::default();
        for id in 0..2000 {
            roster.insert(format!("b{id}").as_bytes(), id);
        }
        roster.insert(b"b7", 9999);
        assert!((0..2000).all(|id| roster.get(format!("b{id}").as_bytes()) == Some(id)));
        assert_eq!([&b"b2000"[..], b"b", b"", b"B7"].map(|name| roster.get(name)), [None; 4]);
    }
}
