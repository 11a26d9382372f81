//! The interfaces to which requests are bound: such a request leaves by no other.
//!
//! The interface is looked up before each request and for each socket, so that its change is noticed
//! before anything is sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use rustix::io::Errno;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::core::address::auto::Route;
use crate::core::address::choice::{KernelAddress, Preferences, choose};
use crate::core::address::interface::InterfaceName;
use crate::core::address::renewal::Renewals;
use crate::core::address::{Family, PerFamily};
use crate::os::kernel::{self, Interface};
use crate::os::reason::reason;

/// An interface that is there and up; equal ones are the same interface with the same addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uplink {
    name: InterfaceName,
    index: u32,
    means: Means,
    /// Its best usable address of each family.
    addresses: PerFamily<Option<IpAddr>>,
    /// The packets that a route leads to the Internet by it, if there is a route.
    reach: PerFamily<Option<RouteScope>>,
}

/// The packets that a route leads to the Internet by an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouteScope {
    /// All packets that leave by it.
    Any,
    /// Only packets from its address: a rule selects the interface by the address.
    Own,
}

/// The route of `family` to the Internet by the interface `index`, and the packets that it leads;
/// `addresses` are those of this machine.
pub fn route(
    index: u32,
    family: Family,
    addresses: &[KernelAddress],
) -> io::Result<Option<(Route, RouteScope)>> {
    if let Some(route) = kernel::route_by(index, family)? {
        return Ok(Some((route, RouteScope::Any)));
    }
    let Some(own) = best(index, family, addresses) else { return Ok(None) };
    Ok(kernel::route_from(index, own)?.map(|route| (route, RouteScope::Own)))
}

/// The best usable address of the interface `index`.
fn best(index: u32, family: Family, addresses: &[KernelAddress]) -> Option<IpAddr> {
    let own: Vec<_> = addresses.iter().filter(|a| a.index == index).cloned().collect();
    let (allow_private, count) = (true, NonZeroUsize::MIN);
    let preferences = Preferences { allow_private, count, prefer_temporary: false };
    choose(&own, family, preferences, None).chosen?.iter().next()
}

/// How a socket is held to an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Means {
    /// The socket is bound to the interface's address, which the kernel's routes have to honour.
    Address,
    /// The socket is bound to the interface itself (`SO_BINDTODEVICE`, socket(7)).
    Device,
}

impl Uplink {
    /// The interface `name` as it is now; the error says that nothing was sent, and why.
    pub fn find(name: InterfaceName) -> Result<Self, String> {
        let unreadable = |error: io::Error| {
            let why = reason(&error);
            format!("the interface {name} cannot be looked at ({why}); nothing was sent")
        };
        let interface = kernel::interface(name).map_err(unreadable)?;
        let listed = kernel::listing().map_err(unreadable)?.addresses;
        let (addresses, _) = Renewals::default().judge(listed);
        let mut reach = PerFamily::default();
        if let Some(Interface { index, up: true }) = interface {
            for family in Family::BOTH {
                let route = route(index, family, &addresses).map_err(unreadable)?;
                reach[family] = route.map(|(_, reach)| reach);
            }
        }
        Self::of(name, interface, &addresses, reach, || trial(name))
    }

    /// The uplink of `interface`, if it is usable; `trial` binds a socket to it as a test.
    fn of(
        name: InterfaceName,
        interface: Option<Interface>,
        addresses: &[KernelAddress],
        reach: PerFamily<Option<RouteScope>>,
        trial: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, String> {
        let gone = || format!("the interface {name} does not exist; nothing was sent");
        let Interface { index, up } = interface.ok_or_else(gone)?;
        if !up {
            return Err(format!("the interface {name} is down; nothing was sent"));
        }
        let means = match trial() {
            Ok(()) => Means::Device,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Means::Address,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Means::Address,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => return Err(gone()),
            Err(error) => {
                let why = reason(&error);
                return Err(format!("no socket can be bound to {name} ({why}); nothing was sent"));
            }
        };
        let addresses = PerFamily::from_fn(|family| best(index, family, addresses));
        Ok(Self { name, index, means, addresses, reach })
    }

    /// The family to connect over: `wanted` if given; `None` is any. The error says what is missing.
    pub fn family(&self, wanted: Option<Family>) -> Result<Option<Family>, String> {
        let name = self.name;
        match (wanted, self.carries(Family::V4), self.carries(Family::V6)) {
            (Some(family), ..) if self.carries(family) => Ok(wanted),
            (Some(family), ..) => {
                Err(format!("the interface {name} has no {family} address; nothing was sent"))
            }
            (None, true, true) if self.is_free() => Ok(None),
            (None, true, _) => Ok(Some(Family::V4)),
            (None, false, true) => Ok(Some(Family::V6)),
            (None, false, false) => {
                Err(format!("the interface {name} has no address; nothing was sent"))
            }
        }
    }

    /// Whether a socket of `family` can be held to the interface. Without an address and a route there,
    /// the kernel would still send IPv4 packets by it, with the address of another interface.
    fn carries(&self, family: Family) -> bool {
        let has_address = self.addresses[family].is_some();
        has_address || self.means == Means::Device && self.reach[family].is_some()
    }

    /// Whether no socket has to be bound to an address, which would be of one family.
    fn is_free(&self) -> bool {
        Family::BOTH.into_iter().all(|family| self.local_address(Some(family)).is_none())
    }

    /// The address that a socket of `family` has to be bound to; `None` when any will do.
    pub fn local_address(&self, family: Option<Family>) -> Option<IpAddr> {
        let family = family?;
        match (self.means, self.reach[family]) {
            (Means::Device, None | Some(RouteScope::Any)) => None,
            (Means::Address, _) | (Means::Device, Some(RouteScope::Own)) => self.addresses[family],
        }
    }

    /// The interface that a socket has to be bound to, where the system allows that.
    #[cfg(target_os = "linux")]
    pub fn device(&self) -> Option<&str> {
        (self.means == Means::Device).then(|| self.name.as_str())
    }
}

/// Tries to bind a socket to the interface `name`; before Linux 5.7 that takes `CAP_NET_RAW`.
#[cfg(target_os = "linux")]
fn trial(name: InterfaceName) -> io::Result<()> {
    let socket = TcpSocket::new_v4().or_else(|_| TcpSocket::new_v6())?;
    socket.bind_device(Some(name.as_str().as_bytes()))
}

/// Fails: other systems cannot bind a socket to an interface.
#[cfg(not(target_os = "linux"))]
fn trial(_: InterfaceName) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A UDP socket that receives from `address` alone, held to the interface `bind` if given.
pub async fn udp_to(address: SocketAddr, bind: Option<InterfaceName>) -> io::Result<UdpSocket> {
    let line = found(bind)?;
    let socket = udp_of(line.as_ref(), local(line.as_ref(), Family::of(address.ip()))?).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// A UDP socket that sends from `local` and receives from all, held to the interface `bind` if given;
/// else packets to a group leave by the interface that has `local`.
pub async fn udp_from(local: IpAddr, bind: Option<InterfaceName>) -> io::Result<UdpSocket> {
    udp_of(found(bind)?.as_ref(), local).await
}

async fn udp_of(line: Option<&Uplink>, local: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((local, 0)).await?;
    // Elsewhere its address alone holds it to the interface.
    #[cfg(not(target_os = "linux"))]
    let _ = line;
    #[cfg(target_os = "linux")]
    if let Some(device) = line.and_then(Uplink::device) {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(socket)
}

/// A TCP connection to the server at `address`, held to the interface `bind` if one is given.
pub async fn tcp_to(address: SocketAddr, bind: Option<InterfaceName>) -> io::Result<TcpStream> {
    let (line, family) = (found(bind)?, Family::of(address.ip()));
    let socket = match family {
        Family::V4 => TcpSocket::new_v4()?,
        Family::V6 => TcpSocket::new_v6()?,
    };
    #[cfg(target_os = "linux")]
    if let Some(device) = line.as_ref().and_then(Uplink::device) {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.bind((local(line.as_ref(), family)?, 0).into())?;
    socket.connect(address).await
}

fn found(bind: Option<InterfaceName>) -> io::Result<Option<Uplink>> {
    bind.map(Uplink::find).transpose().map_err(io::Error::other)
}

/// The address to bind a socket of `family` to.
fn local(line: Option<&Uplink>, family: Family) -> io::Result<IpAddr> {
    let Some(line) = line else { return Ok(unspecified(family)) };
    let family = line.family(Some(family)).map_err(io::Error::other)?.unwrap_or(family);
    Ok(line.local_address(Some(family)).unwrap_or_else(|| unspecified(family)))
}

/// The address that means any address of `family`.
pub fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::choice::Flags;

    const UP: Option<Interface> = Some(Interface { index: 3, up: true });

    fn address(index: u32, address: &str) -> KernelAddress {
        KernelAddress {
            address: address.parse().unwrap(),
            prefix_length: 64,
            interface: String::new(),
            index,
            flags: Flags::default(),
            preferred: None,
            valid: None,
        }
    }

    fn line(
        interface: Option<Interface>,
        addresses: &[KernelAddress],
        trial: Result<(), Errno>,
    ) -> Result<Uplink, String> {
        let name = "wan2".parse().unwrap();
        let reach = PerFamily { v4: Some(RouteScope::Any), v6: None };
        Uplink::of(name, interface, addresses, reach, || trial.map_err(io::Error::from))
    }

    #[test]
    fn without_an_interface_that_is_up_nothing_is_tried() {
        let name = "wan2".parse().unwrap();
        let trial = || panic!("a socket was opened");
        let found = |interface| Uplink::of(name, interface, &[], PerFamily::default(), trial);
        let gone = "the interface wan2 does not exist; nothing was sent";
        assert_eq!(found(None), Err(gone.to_owned()));
        let down = "the interface wan2 is down; nothing was sent";
        assert_eq!(found(Some(Interface { index: 3, up: false })), Err(down.to_owned()));
        assert_eq!(line(UP, &[], Err(Errno::NODEV)), Err(gone.to_owned()));
    }

    #[test]
    fn a_socket_that_may_be_bound_to_the_interface_needs_an_address_or_a_route() {
        let bare = line(UP, &[], Ok(())).unwrap();
        assert_eq!(bare.family(None), Ok(Some(Family::V4)));
        let none = "the interface wan2 has no IPv6 address; nothing was sent";
        assert_eq!(bare.family(Some(Family::V6)), Err(none.to_owned()));
        let both = line(UP, &[address(3, "2001:db8::1")], Ok(())).unwrap();
        assert_eq!(both.family(None), Ok(None));
        assert_eq!(both.local_address(Some(Family::V6)), None);
    }

    #[test]
    fn a_line_that_is_told_by_its_address_has_its_sockets_bound_to_both() {
        let name = "wan2".parse().unwrap();
        let addresses = [address(3, "10.0.0.2"), address(3, "2001:db8::1")];
        let reach = PerFamily { v4: Some(RouteScope::Own), v6: Some(RouteScope::Any) };
        let line = Uplink::of(name, UP, &addresses, reach, || Ok(())).unwrap();
        assert_eq!(line.device(), Some("wan2"));
        assert_eq!(line.local_address(Some(Family::V4)), Some("10.0.0.2".parse().unwrap()));
        assert_eq!(line.local_address(Some(Family::V6)), None);
        assert_eq!(line.family(None), Ok(Some(Family::V4)), "an address is of one family");
    }

    #[test]
    fn only_where_that_is_not_permitted_the_interfaces_own_address_is_bound() {
        let addresses = [
            address(2, "192.0.2.1"),
            address(3, "fe80::1"),
            address(3, "10.0.0.3"),
            address(3, "10.0.0.2"),
        ];
        let found = line(UP, &addresses, Err(Errno::PERM)).unwrap();
        assert_eq!(found.family(None), Ok(Some(Family::V4)));
        assert_eq!(found.local_address(Some(Family::V4)), Some("10.0.0.2".parse().unwrap()));
        let none = "the interface wan2 has no IPv6 address; nothing was sent";
        assert_eq!(found.family(Some(Family::V6)), Err(none.to_owned()));
        let none = "the interface wan2 has no address; nothing was sent";
        let bare = line(UP, &addresses[..2], Err(Errno::PERM)).unwrap();
        assert_eq!(bare.family(None), Err(none.to_owned()));
        assert!(line(UP, &addresses, Err(Errno::NOMEM)).unwrap_err().contains("no socket"));
    }

    #[test]
    fn a_line_is_another_one_when_it_was_made_anew_or_renumbered() {
        let of = |index, text: &str| {
            let interface = Some(Interface { index, up: true });
            line(interface, &[address(index, text)], Ok(())).unwrap()
        };
        assert_eq!(of(3, "10.0.0.2"), of(3, "10.0.0.2"));
        assert_ne!(of(3, "10.0.0.2"), of(4, "10.0.0.2"));
        assert_ne!(of(3, "10.0.0.2"), of(3, "10.0.0.3"));
    }
}
