//! Frontends, backends and servers: what the configuration says of them, and what they count.

pub mod shared;
pub mod spec;
pub mod userlist;
