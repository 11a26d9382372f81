//! The kernel where there is no netlink: addresses without flags, and no reports of changes.
//!
//! The poll of every interval finds the changes.

use std::future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use if_addrs::{IfAddr, get_if_addrs};

use super::{Changes, Interface, Listing, internet};
use crate::core::address::Family;
use crate::core::address::auto::Route;
use crate::core::address::choice::{Flags, KernelAddress};
use crate::core::address::interface::InterfaceName;
use crate::core::address::prefix::Prefix;
use crate::core::address::renewal::Listed;

/// The addresses of all interfaces that are up, of both families.
pub fn addresses() -> io::Result<Vec<KernelAddress>> {
    let listed = get_if_addrs()?.into_iter().map(|interface| KernelAddress {
        address: interface.ip(),
        prefix_length: match &interface.addr {
            IfAddr::V4(v4) => v4.prefixlen,
            IfAddr::V6(v6) => v6.prefixlen,
        },
        index: interface.index.unwrap_or(0),
        interface: interface.name,
        flags: Flags::default(),
        preferred: None,
        valid: None,
    });
    Ok(listed.collect())
}

/// The same addresses; nothing more is known of them here.
pub fn listing() -> io::Result<Listing> {
    let listed = addresses()?.into_iter().map(|address| Listed { address, stamps: None });
    Ok(Listing { addresses: listed.collect(), ..Listing::default() })
}

/// The metric of a route by the interface `index`, if there is one: 0, as no metric is known here.
pub fn metric_by(index: u32, family: Family) -> io::Result<Option<u32>> {
    Ok(route_by(index, family)?.map(|_| 0))
}

/// The route of `family`'s packets to the Internet; `None` when there is none.
pub fn route(family: Family) -> io::Result<Option<Route>> {
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let Some(source) = source_from(any) else { return Ok(None) };
    let owner = addresses()?.into_iter().find(|address| address.address == source);
    Ok(owner.map(|owner| Route { source: Some(source), index: owner.index, gateway: None }))
}

/// The prefixes that a provider has delegated to this machine: none are known here.
pub fn delegated() -> io::Result<Vec<Prefix>> {
    Ok(Vec::new())
}

/// The route from the first address of the interface `index` that has one.
pub fn route_by(index: u32, family: Family) -> io::Result<Option<Route>> {
    let own = addresses()?.into_iter().filter(|address| address.index == index);
    let mut own = own.map(|own| own.address).filter(|address| Family::of(*address) == family);
    let source = own.find_map(source_from);
    Ok(source.map(|source| Route { source: Some(source), index, gateway: None }))
}

/// The route from the address `source` of the interface `index` alone.
pub fn route_from(index: u32, source: IpAddr) -> io::Result<Option<Route>> {
    let source = source_from(source);
    Ok(source.map(|source| Route { source: Some(source), index, gateway: None }))
}

/// The interface `name`, if there is one that is up and has an address.
pub fn interface(name: InterfaceName) -> io::Result<Option<Interface>> {
    let owner = addresses()?.into_iter().find(|address| address.interface == name.as_str());
    Ok(owner.map(|owner| Interface { index: owner.index, up: true }))
}

/// The source address of packets to the Internet from a socket that is bound to `local`.
fn source_from(local: IpAddr) -> Option<IpAddr> {
    let target = match local {
        IpAddr::V4(_) => IpAddr::V4(internet::V4),
        IpAddr::V6(_) => IpAddr::V6(internet::V6),
    };
    // To connect a UDP socket looks the route up and sends nothing.
    let socket = UdpSocket::bind((local, 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A listener for the kernel's reports, which never come here.
#[derive(Debug)]
pub struct Watcher(());

impl Watcher {
    /// Starts to listen.
    pub fn open() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Waits for ever.
    pub async fn changed(&mut self) -> io::Result<Changes> {
        future::pending().await
    }
}
