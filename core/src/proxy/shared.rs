//! The door between the engines: what must be one across them.

use crate::proxy::spec::Site;

/// What the engines of one process share.
#[derive(Debug)]
pub struct Shared {}

impl Shared {
    /// The shared state of `engines` engines that serve `site`.
    pub fn new(_site: &Site, _engines: u32) -> Self {
        Shared {}
    }
}
