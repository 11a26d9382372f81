//! Questions to the Linux kernel by rtnetlink(7): addresses and routes.
//!
//! Every question has its own socket, so that no answer is taken for another's. Of each message only
//! the attributes that are needed are decoded: one about a link has dozens.

use std::io;
use std::iter;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NlasIterator, parse_i32, parse_ip, parse_u32,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressFlags, AddressHeader, CacheInfo};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use netlink_packet_route::route::{RouteHeader, RouteType};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;

use super::{Interface, Listing, internet};
use crate::core::address::Family;
use crate::core::address::auto::Route;
use crate::core::address::choice::{Flags, KernelAddress};
use crate::core::address::interface::InterfaceName;
use crate::core::address::prefix::Prefix;
use crate::core::address::renewal::{Listed, Moment, Stamps};
use crate::core::order::{self, SortedMap};

// Message types, attributes and header lengths of linux/rtnetlink.h, if_addr.h and if_link.h.
pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
pub(super) const RTM_NEWRULE: u16 = 32;
pub(super) const RTM_DELRULE: u16 = 33;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const ADDRESS_HEADER: usize = 8;
const LINK_HEADER: usize = 16;
const ROUTE_HEADER: usize = 12;
/// Asks for the matching entry of a table, in place of the route made from it (`RTM_F_FIB_MATCH`).
const FIB_MATCH: u32 = 0x2000;
/// The kinds of interface that carry packets through another one, by their names in the kernel.
const TUNNELS: &str = "amneziawg erspan geneve gre gretap gtp ip6erspan ip6gre ip6gretap ip6tnl ipip \
                       ipsec ovpn ovpn-dco ovpn-dco-v2 sit tun vti vti6 vxlan wireguard xfrm zerotier";
/// Room for the name of an interface and its NUL (`IFNAMSIZ`).
const NAME: usize = 16;

/// The most that the kernel puts into one datagram of a list, in bytes.
pub(super) const DATAGRAM: usize = 32 * 1024;
/// How long an answer may take. The kernel answers within the call, so this is never reached.
const PATIENCE: Duration = Duration::from_secs(1);
/// The kernel's errors when packets have no route: none is there; it is unreachable, prohibited or a
/// blackhole; no such family or interface.
const NO_WAY: [Errno; 7] = [
    Errno::NETUNREACH,
    Errno::HOSTUNREACH,
    Errno::ACCESS,
    Errno::INVAL,
    Errno::AFNOSUPPORT,
    Errno::OPNOTSUPP,
    Errno::NODEV,
];
/// The most readings of a list that changes while it is read.
const READINGS: usize = 3;

/// The addresses of all interfaces and both families, in the kernel's order.
///
/// Fails when the kernel does not answer within a second, or changes faster than it can be read.
pub fn addresses() -> io::Result<Vec<KernelAddress>> {
    let listed = listing()?.addresses.into_iter();
    Ok(listed.map(|listed| listed.address).collect())
}

/// The same addresses, with what else the kernel says of them and of their interfaces.
pub fn listing() -> io::Result<Listing> {
    let mut inquiry = Inquiry::open()?;
    // The links come second, so that an interface that is not among them has gone.
    let request = message(RTM_GETADDR, NLM_F_DUMP, &[0; ADDRESS_HEADER], &[]);
    let mut addresses = inquiry.list(&request, RTM_NEWADDR, kernel_address)?;
    let request = message(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_HEADER], &[]);
    let mut links = SortedMap::new();
    // Not `collect`, which brings a sort of its own: three kilobytes.
    links.extend(inquiry.list(&request, RTM_NEWLINK, link)?);
    addresses.retain_mut(|Listed { address, .. }| {
        let Some(link) = links.get(&address.index) else {
            return false;
        };
        address.interface.clone_from(&link.name);
        address.flags.down = !link.flags.contains(LinkFlags::Up);
        true
    });
    let mut listing = Listing { addresses, ..Listing::default() };
    for (index, link) in links {
        if !link.flags.contains(LinkFlags::LowerUp) {
            listing.without_carrier.insert(index);
        }
        if link.tunnel {
            listing.tunnels.push((index, link.name));
        }
    }
    Ok(listing)
}

/// The route of `family`'s packets to the Internet; `None` when there is none.
///
/// The kernel looks it up as it would for a packet of this process, with all rules and metrics.
/// The IPv6 source may be a temporary address: it is what the kernel would use, no choice of ours.
pub fn route(family: Family) -> io::Result<Option<Route>> {
    look_up(family, None, None, 0, route_in)
}

/// The route of packets that leave by the interface `index`; `None` also when no route leads out by it.
pub fn route_by(index: u32, family: Family) -> io::Result<Option<Route>> {
    way_by(index, family, None)
}

/// The same route for packets from `source`, which rules may send another way.
pub fn route_from(index: u32, source: IpAddr) -> io::Result<Option<Route>> {
    let route = way_by(index, Family::of(source), Some(source))?;
    // With a source, IPv6 may choose another interface; and the answer does not repeat the source.
    let route = route.filter(|route| route.index == index);
    Ok(route.map(|route| Route { source: Some(source), ..route }))
}

/// The metric of the route by the interface `index`: the smaller, the better; `None` without a route.
pub fn metric_by(index: u32, family: Family) -> io::Result<Option<u32>> {
    look_up(family, Some(index), None, FIB_MATCH, metric_in)
}

fn way_by(index: u32, family: Family, source: Option<IpAddr>) -> io::Result<Option<Route>> {
    // Without a route, IPv4 takes every host for a neighbour on that interface; the tables know.
    // Kernels before 4.13 do not know this question and answer the ordinary one.
    if let Family::V4 = family
        && look_up(family, Some(index), source, FIB_MATCH, entry_in)?.is_none()
    {
        return Ok(None);
    }
    look_up(family, Some(index), source, 0, route_in)
}

/// The interface `name`, if there is one.
pub fn interface(name: InterfaceName) -> io::Result<Option<Interface>> {
    let mut padded = [0; NAME];
    padded[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    let request = message(RTM_GETLINK, 0, &[0; LINK_HEADER], &[(IFLA_IFNAME, &padded)]);
    Inquiry::open()?.answer(&request, &[Errno::NODEV], |payload| {
        let (index, Link { flags, .. }) = link(payload)?;
        Some(Interface { index, up: flags.contains(LinkFlags::Up) })
    })
}

/// The route to the Internet as `item` reads it, by the interface `by` and from `source` if given.
fn look_up<T>(
    family: Family,
    by: Option<u32>,
    source: Option<IpAddr>,
    flags: u32,
    item: fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let (v4, v6) = (internet::V4.octets(), internet::V6.octets());
    let (family, length, target) = match family {
        Family::V4 => (AddressFamily::Inet, 32, v4.as_slice()),
        Family::V6 => (AddressFamily::Inet6, 128, v6.as_slice()),
    };
    let mut header = [0; ROUTE_HEADER];
    header[0] = family.into();
    header[1] = length;
    header[2] = if source.is_some() { length } else { 0 };
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    let by = by.map(u32::to_ne_bytes);
    let source = source.map(|source| match source {
        IpAddr::V4(source) => source.octets().to_vec(),
        IpAddr::V6(source) => source.octets().to_vec(),
    });
    let attributes = [
        Some((RTA_DST, target)),
        source.as_ref().map(|source| (RTA_SRC, source.as_slice())),
        by.as_ref().map(|by| (RTA_OIF, by.as_slice())),
    ];
    let attributes: Vec<_> = attributes.into_iter().flatten().collect();
    let request = message(RTM_GETROUTE, 0, &header, &attributes);
    Inquiry::open()?.answer(&request, &NO_WAY, item)
}

/// The prefixes that a provider has delegated to this machine, sorted.
///
/// The program that asks for one (netifd of OpenWrt, systemd-networkd, DHCP clients) adds a route for
/// the whole prefix, which drops packets to none of our networks.
pub fn delegated() -> io::Result<Vec<Prefix>> {
    let mut header = [0; ROUTE_HEADER];
    header[0] = AddressFamily::Inet6.into();
    let request = message(RTM_GETROUTE, NLM_F_DUMP, &header, &[]);
    let mut prefixes = Inquiry::open()?.list(&request, RTM_NEWROUTE, delegated_prefix)?;
    order::sort(&mut prefixes);
    prefixes.dedup();
    Ok(prefixes)
}

/// The needed facts about an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Link {
    name: String,
    /// The flags that are in [`STATE`].
    flags: LinkFlags,
    tunnel: bool,
}

/// Whether an interface is switched on, is running, and has a carrier or needs none.
const STATE: LinkFlags = LinkFlags::Up.union(LinkFlags::Running).union(LinkFlags::LowerUp);

/// A socket for one caller's questions.
struct Inquiry {
    socket: Socket,
    datagram: Vec<u8>,
}

impl Inquiry {
    fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        // std sets the time limit on its own socket types only; both descriptors share it.
        UdpSocket::from(socket.as_fd().try_clone_to_owned()?).set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, datagram: Vec::with_capacity(DATAGRAM) })
    }

    fn send(&self, request: &[u8]) -> io::Result<()> {
        self.socket.send_to(request, &SocketAddr::new(0, 0), 0).map(drop)
    }

    /// The one answer to `request`, as `item` reads it; `None` also for an error among `none`.
    fn answer<T>(
        &mut self,
        request: &[u8],
        none: &[Errno],
        item: fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.send(request)?;
        let datagram = self.receive()?;
        let answer =
            messages(datagram).next().ok_or(io::ErrorKind::InvalidData)?.map_err(invalid)?;
        if answer.message_type() != NLMSG_ERROR {
            return Ok(item(answer.payload()));
        }
        match failure(answer.payload()) {
            Some(error) if !none.contains(&error) => Err(error.into()),
            _ => Ok(None),
        }
    }

    /// The kernel's next datagram.
    fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            self.datagram.clear();
            match self.socket.recv_from(&mut self.datagram, 0) {
                Ok((_, sender)) if sender.port_number() == 0 => return Ok(&self.datagram),
                // Another process writes to us.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Each message of the type `answer` in the list that `request` asks for, as `item` reads it.
    fn list<T>(
        &mut self,
        request: &[u8],
        answer: u16,
        item: fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..READINGS {
            let mut items = Vec::new();
            if self.read_list(request, answer, &mut |payload| items.extend(item(payload)))? {
                return Ok(items);
            }
        }
        Err(io::Error::other("interfaces change faster than the kernel can list them"))
    }

    /// Reads a list once; `false` when it changed meanwhile, so that entries may be missing.
    fn read_list(
        &mut self,
        request: &[u8],
        answer: u16,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<bool> {
        self.send(request)?;
        let mut whole = true;
        loop {
            for message in messages(self.receive()?) {
                let message = message.map_err(invalid)?;
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    NLMSG_DONE | NLMSG_ERROR => {
                        return failure(message.payload()).map_or(Ok(whole), |e| Err(e.into()));
                    }
                    kind if kind == answer => take(message.payload()),
                    _ => {}
                }
            }
        }
    }
}

/// A request of the type `kind` with its header and attributes, each of whole words.
fn message(kind: u16, flags: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let short = |length: usize| u16::try_from(length).expect("requests are short").to_ne_bytes();
    let length: usize = attributes.iter().map(|(_, value)| 4 + value.len()).sum();
    let length = 16 + header.len() + length;
    let mut message = Vec::with_capacity(length);
    message.extend(u32::from(u16::from_ne_bytes(short(length))).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]); // Sequence number and port: the socket has one question at a time.
    message.extend(header);
    for &(kind, value) in attributes {
        message.extend(short(4 + value.len()));
        message.extend(kind.to_ne_bytes());
        message.extend(value);
    }
    message
}

/// The messages of one datagram; an error is the last of them.
pub(super) fn messages(
    datagram: &[u8],
) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, DecodeError>> {
    let mut rest = datagram;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(rest);
        let length = message.as_ref().map_or(rest.len(), |message| message.payload_length() + 16);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The value of the first attribute `kind` behind a header of `header` bytes.
fn attribute(payload: &[u8], header: usize, kind: u16) -> Option<&[u8]> {
    let mut attributes = NlasIterator::new(payload.get(header..)?).map_while(Result::ok);
    let attribute = attributes.find(|attribute| attribute.kind() == kind)?;
    let length = attribute.length();
    attribute.into_inner().get(4..length.into())
}

/// An address without the name of its interface.
fn kernel_address(payload: &[u8]) -> Option<Listed> {
    let header = AddressHeader::parse(payload).ok()?;
    let attribute = |kind| attribute(payload, ADDRESS_HEADER, kind);
    // On a point-to-point link IFA_ADDRESS is the other end.
    let address = parse_ip(attribute(IFA_LOCAL).or_else(|| attribute(IFA_ADDRESS))?).ok()?;
    let flags = attribute(IFA_FLAGS).and_then(|value| parse_u32(value).ok());
    let flags = AddressFlags::from_bits_retain(flags.unwrap_or(header.flags.bits().into()));
    // One bit with two meanings: IFA_F_SECONDARY and IFA_F_TEMPORARY.
    let second = flags.contains(AddressFlags::Secondary);
    let life = attribute(IFA_CACHEINFO).and_then(|value| CacheInfo::parse(value).ok());
    let time = |seconds| (seconds != u32::MAX).then(|| Duration::from_secs(u64::from(seconds)));
    let stamps = life
        .as_ref()
        .map(|life| Stamps { created: Moment(life.cstamp), renewed: Moment(life.tstamp) });
    let address = KernelAddress {
        address,
        prefix_length: header.prefix_len,
        interface: String::new(),
        index: header.index,
        flags: Flags {
            dad_failed: flags.contains(AddressFlags::Dadfailed),
            deprecated: flags.contains(AddressFlags::Deprecated),
            down: false,
            no_carrier: false,
            outlived: false,
            secondary: second && address.is_ipv4(),
            temporary: second && address.is_ipv6(),
            tentative: flags.contains(AddressFlags::Tentative)
                && !flags.contains(AddressFlags::Optimistic),
        },
        preferred: life.as_ref().and_then(|life| time(life.ifa_preferred)),
        valid: life.as_ref().and_then(|life| time(life.ifa_valid)),
    };
    Some(Listed { address, stamps })
}

/// An interface and its number; `None` for a bridge's message about a port.
pub(super) fn link(payload: &[u8]) -> Option<(u32, Link)> {
    let header = LinkHeader::parse(payload).ok()?;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let name = attribute(payload, LINK_HEADER, IFLA_IFNAME)?;
    let name = String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned();
    let kind = attribute(payload, LINK_HEADER, IFLA_LINKINFO);
    let kind = kind.and_then(|info| attribute(info, 0, IFLA_INFO_KIND));
    let tunnel = kind.is_some_and(|kind| {
        let kind = kind.strip_suffix(&[0]).unwrap_or(kind);
        TUNNELS.split(' ').any(|tunnel| tunnel.as_bytes() == kind)
    });
    Some((header.index, Link { name, flags: header.flags & STATE, tunnel }))
}

/// A route that packets can take; older kernels answer with an unreachable one instead of an error.
fn route_in(payload: &[u8]) -> Option<Route> {
    let header = RouteHeader::parse(payload).ok()?;
    let attribute = |kind| attribute(payload, ROUTE_HEADER, kind);
    let address = |kind| -> Option<IpAddr> { parse_ip(attribute(kind)?).ok() };
    let (source, gateway) = (address(RTA_PREFSRC), address(RTA_GATEWAY));
    let index = parse_u32(attribute(RTA_OIF)?).ok()?;
    (header.kind == RouteType::Unicast).then_some(Route { source, index, gateway })
}

/// The delegated prefix of a route on which packets end.
fn delegated_prefix(payload: &[u8]) -> Option<Prefix> {
    let header = RouteHeader::parse(payload).ok().filter(is_for_delegated)?;
    let IpAddr::V6(address) = parse_ip(attribute(payload, ROUTE_HEADER, RTA_DST)?).ok()? else {
        return None;
    };
    Some(Prefix { address, length: header.destination_prefix_length })
}

/// Whether a route may stand for a delegated prefix.
pub(super) fn is_for_delegated(header: &RouteHeader) -> bool {
    let ends = [RouteType::BlackHole, RouteType::Prohibit, RouteType::Unreachable];
    header.address_family == AddressFamily::Inet6 && ends.contains(&header.kind)
}

/// The metric of an entry of a routing table; without one it is 0.
fn metric_in(payload: &[u8]) -> Option<u32> {
    entry_in(payload)?;
    let metric = attribute(payload, ROUTE_HEADER, RTA_PRIORITY);
    Some(metric.and_then(|value| parse_u32(value).ok()).unwrap_or_default())
}

/// Whether packets can take an entry of a routing table, over any interface.
fn entry_in(payload: &[u8]) -> Option<()> {
    let header = RouteHeader::parse(payload).ok()?;
    (header.kind == RouteType::Unicast).then_some(())
}

/// The error in the message that ends an answer, if there is one.
fn failure(payload: &[u8]) -> Option<Errno> {
    let code = payload.get(..4).and_then(|code| parse_i32(code).ok())?;
    (code != 0).then(|| Errno::from_raw_os_error(code.saturating_neg()))
}

fn invalid(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What the readers make of the kernel's messages, for `contrib/fuzz`.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::{Listed, Prefix, Route, delegated_prefix, kernel_address, link, messages};
    use super::{failure, metric_in, route_in};

    /// What every reader makes of one message, of whatever type it is.
    #[derive(Debug, Eq, PartialEq)]
    pub struct Reading {
        /// The message without its header.
        pub payload: Vec<u8>,
        /// An address.
        pub address: Option<Listed>,
        /// The number and the name of an interface.
        pub link: Option<(u32, String)>,
        /// A route.
        pub route: Option<Route>,
        /// A delegated prefix.
        pub delegated: Option<Prefix>,
        /// The metric of a route.
        pub metric: Option<u32>,
        /// Whether it is an error.
        pub is_failure: bool,
    }

    /// The messages in `datagram`, up to the first that is none.
    pub fn read(datagram: &[u8]) -> Vec<Reading> {
        let whole = messages(datagram).map_while(Result::ok);
        let reading = whole.map(|message| {
            let payload = message.payload();
            Reading {
                address: kernel_address(payload),
                link: link(payload).map(|(index, link)| (index, link.name)),
                route: route_in(payload),
                delegated: delegated_prefix(payload),
                metric: metric_in(payload),
                is_failure: failure(payload).is_some(),
                payload: payload.to_vec(),
            }
        });
        reading.collect()
    }
}
