//! The kernel: this machine's addresses, its route to the Internet, and changes of both.
//!
//! On Linux it speaks netlink; elsewhere it lists addresses without flags and reports no changes.

use std::fmt;

#[cfg(target_os = "linux")]
mod netlink;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(target_os = "linux")]
mod watcher;

#[cfg(all(fuzzing, target_os = "linux"))]
pub use netlink::fuzzing;
#[cfg(target_os = "linux")]
pub use netlink::{
    addresses, delegated, interface, listing, metric_by, route, route_by, route_from,
};
#[cfg(not(target_os = "linux"))]
pub use portable::{
    Watcher, addresses, delegated, interface, listing, metric_by, route, route_by, route_from,
};
#[cfg(target_os = "linux")]
pub use watcher::Watcher;
#[cfg(all(fuzzing, target_os = "linux"))]
pub use watcher::noted;

use crate::core::address::renewal::Listed;
use crate::core::order::SortedSet;

/// The addresses of this machine, and what else the kernel says of them.
#[derive(Debug, Default)]
pub struct Listing {
    /// The addresses, in the kernel's order.
    pub addresses: Vec<Listed>,
    /// The interfaces that are not plugged in, by their numbers.
    pub without_carrier: SortedSet<u32>,
    /// The names of the interfaces that are tunnels, by their numbers.
    pub tunnels: Vec<(u32, String)>,
}

/// An interface at one moment.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interface {
    /// Its number, which another interface of the same name would not have.
    pub index: u32,
    /// Whether it is switched on.
    pub up: bool,
}

/// The changes that the kernel reported since it was last asked for them.
///
/// Says where to look, not what is there: read [`addresses`] and [`route`] again and compare.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// The numbers of interfaces with a new, changed or gone address, or that came, went, changed
    /// their name, or went up or down.
    pub interfaces: SortedSet<u32>,
    /// A route came, went or changed that leads to the Internet at large, or that stands for a
    /// delegated prefix; or a rule did that chooses among them.
    pub default_route: bool,
    /// More happened than could be kept: anything may have changed.
    pub overrun: bool,
}

/// The changes in words: `interface 2, interface 5, a route`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interfaces = self.interfaces.iter().map(|number| format!("interface {number}"));
        let others = [(self.default_route, "a route"), (self.overrun, "more than was kept")];
        let others = others.iter().filter(|(is_so, _)| *is_so).map(|(_, what)| (*what).to_owned());
        f.write_str(&interfaces.chain(others).collect::<Vec<_>>().join(", "))
    }
}

impl Changes {
    /// Whether nothing that matters was reported.
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty() && !self.default_route && !self.overrun
    }
}

/// Targets that stand for the Internet: a.root-servers.net. Nothing is ever sent to them.
///
/// No machine has a special route to them, as there may be to public resolvers, and no filter drops
/// them, as one may drop documentation addresses.
mod internet {
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// 198.41.0.4.
    pub const V4: Ipv4Addr = Ipv4Addr::new(198, 41, 0, 4);
    /// `2001:503:ba3e::2:30`.
    pub const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30);
}
