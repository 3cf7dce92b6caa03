//! Both proxies on the same configurations: for every lane and every variant a frontend and a
//! backend of their own, so that cases that run side by side never share a connection.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::exchanges::places::{NO_FILES, Places};
use crate::exchanges::proxy::{Kind, Proxy};

/// What the configurations add to the plain one.
pub const VARIANTS: [(&str, &str); 5] = [
    ("plain", ""),
    ("reuse-always", "http-reuse always"),
    ("server-close", "option http-server-close"),
    ("close", "option httpclose"),
    ("forwardfor", "option forwardfor\n    http-reuse never"),
];

const GLOBAL: &str = "global
    nbthread 1
    maxconn 4000

defaults
    mode http
    timeout connect 20s
    timeout client 20s
    timeout server 20s
";

/// A proxy that runs, with its origins.
#[derive(Debug)]
pub struct Site {
    pub kind: Kind,
    places: Places,
    _proxy: Proxy,
}

/// One place of a site where one case can run at a time.
#[derive(Debug)]
pub struct Lane {
    pub kind: Kind,
    pub origin: TcpListener,
    /// By variant.
    binds: Vec<SocketAddr>,
}

impl Site {
    /// Starts `program` with so many lanes.
    pub fn start(kind: Kind, program: &Path, lanes: usize) -> Result<Self, String> {
        let mut text = GLOBAL.to_owned();
        for lane in 0..lanes {
            for (number, (name, lines)) in VARIANTS.iter().enumerate() {
                text.push_str(&format!(
                    "\nfrontend f-{lane}-{name}\n    bind {{bind.{lane}-{number}}}\n    \
                    default_backend b-{lane}-{name}\n\
                    backend b-{lane}-{name}\n    {lines}\n    server s {{origin.{lane}}}\n"
                ));
            }
        }
        let (places, config) = Places::of(&text, NO_FILES).map_err(|error| error.to_string())?;
        let proxy = Proxy::start(program, places.dir(), &config, places.binds())?;
        Ok(Self { kind, places, _proxy: proxy })
    }

    pub fn lane(&self, lane: usize) -> io::Result<Lane> {
        let missing = || io::Error::other("no such lane");
        let origin = self.places.origins.get(&lane.to_string()).ok_or_else(missing)?.try_clone()?;
        origin.set_nonblocking(true)?;
        let binds = (0..VARIANTS.len()).map(|number| self.places.bind(&format!("{lane}-{number}")));
        let binds = binds.collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        Ok(Lane { kind: self.kind, origin, binds })
    }
}

impl Lane {
    pub fn at(&self, variant: usize) -> SocketAddr {
        self.binds[variant]
    }
}
