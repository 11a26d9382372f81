//! The kernel where there is no netlink: addresses without flags, and no news.
//!
//! The poll of every interval finds what changed.

use std::future;
use std::io;
use std::net::{IpAddr, UdpSocket};

use if_addrs::{IfAddr, get_if_addrs};

use super::{Changes, internet};
use crate::core::address::Family;
use crate::core::auto::Route;
use crate::core::choice::{Flags, KernelAddress};
use crate::core::prefix::Prefix;

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

/// The way of `family`'s packets towards the Internet; `None` when there is none.
pub fn route(family: Family) -> io::Result<Option<Route>> {
    let (any, target) = match family {
        Family::V4 => ("0.0.0.0:0", IpAddr::V4(internet::V4)),
        Family::V6 => ("[::]:0", IpAddr::V6(internet::V6)),
    };
    // To connect a UDP socket looks the route up and sends nothing.
    let connected = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((target, 9))?;
        socket.local_addr()
    });
    let Ok(local) = connected else {
        return Ok(None);
    };
    let source = local.ip();
    let owner = addresses()?.into_iter().find(|address| address.address == source);
    Ok(owner.map(|owner| Route { source: Some(source), index: owner.index, gateway: None }))
}

/// The prefixes that a provider has delegated to this machine; nothing tells them here.
pub fn delegated() -> io::Result<Vec<Prefix>> {
    Ok(Vec::new())
}

/// An ear for the kernel's news, which here never come.
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
