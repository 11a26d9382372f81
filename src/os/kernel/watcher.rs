//! Reports of the Linux kernel: addresses, interfaces and default routes that change.
//!
//! Says what to read again; drops events that never matter, which would wake the daemon too often.

use std::io;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressHeader;
use netlink_packet_route::route::RouteHeader;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Changes;
use super::netlink::{
    DATAGRAM, Link, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWLINK,
    RTM_NEWROUTE, RTM_NEWRULE, is_for_delegated, link, messages,
};
use crate::core::order::SortedMap;

/// Links, then addresses, routes and rules of IPv4, then those of IPv6 (`RTMGRP_…` of
/// linux/rtnetlink.h; the last has no name there, it is `RTNLGRP_IPV6_RULE`).
const GROUPS: u32 = 0x001 | 0x010 | 0x040 | 0x080 | 0x100 | 0x400 | 1 << 18;
/// Room for the events of a busy moment, in bytes; the kernel caps it at `net.core.rmem_max`.
const ROOM: i32 = 512 * 1024;
/// How many events are read before other tasks have their turn.
const AT_ONCE: usize = 4096;
/// The longest prefix of a route that leads to the Internet at large: `0.0.0.0/0` and `::/0`,
/// their halves, which VPNs use, and `2000::/3`; but not `224.0.0.0/4`.
const DEFAULT_ROUTE: u8 = 3;

/// A listener for the kernel's reports.
#[derive(Debug)]
pub struct Watcher {
    socket: AsyncFd<Socket>,
    /// Every interface as it was last reported; one not reported yet counts as changed.
    links: SortedMap<u32, Link>,
    datagram: Vec<u8>,
}

impl Watcher {
    /// Starts to listen: what happens from now on will be reported. Needs a tokio runtime with I/O.
    ///
    /// Open it first and read the addresses then, or a change between the two is lost.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_rx_buf_sz(ROOM)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        #[expect(deprecated, reason = "the new form is unsafe; ours keeps the descriptor it shows")]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket, links: SortedMap::new(), datagram: Vec::with_capacity(DATAGRAM) })
    }

    /// Waits for changes that may matter and returns all that are there at that moment, in one value.
    ///
    /// Loses nothing when it is dropped before it ends. After an error anything may have changed.
    pub async fn changed(&mut self) -> io::Result<Changes> {
        let Self { socket, links, datagram } = self;
        loop {
            let mut ready = socket.readable().await?;
            let mut changes = Changes::default();
            for _ in 0..AT_ONCE {
                datagram.clear();
                match ready.try_io(|socket| socket.get_ref().recv_from(datagram, 0)) {
                    Err(_would_block) => break,
                    Ok(Ok((_, sender))) if sender.port_number() == 0 => {
                        note(datagram, links, &mut changes);
                    }
                    // Another process writes to us.
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => match Errno::from_io_error(&error) {
                        Some(Errno::INTR) => {}
                        Some(Errno::NOBUFS) => overrun(links, &mut changes),
                        _ => return Err(error),
                    },
                }
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

/// Notes that events were lost. The known state of the interfaces may be wrong from here on.
fn overrun(links: &mut SortedMap<u32, Link>, changes: &mut Changes) {
    links.clear();
    changes.overrun = true;
}

/// The changes that `datagram` reports to a listener that knows no interface yet, for `contrib/fuzz`.
#[cfg(fuzzing)]
pub fn noted(datagram: &[u8]) -> Changes {
    let mut changes = Changes::default();
    note(datagram, &mut SortedMap::new(), &mut changes);
    changes
}

/// Notes the events in `datagram` that may matter.
fn note(datagram: &[u8], links: &mut SortedMap<u32, Link>, changes: &mut Changes) {
    for message in messages(datagram) {
        let Ok(message) = message else {
            return overrun(links, changes);
        };
        let payload = message.payload();
        match message.message_type() {
            RTM_NEWADDR | RTM_DELADDR => {
                changes.interfaces.extend(AddressHeader::parse(payload).ok().and_then(|header| {
                    let ours = [AddressFamily::Inet, AddressFamily::Inet6];
                    ours.contains(&header.family).then_some(header.index)
                }));
            }
            RTM_NEWLINK => {
                if let Some((index, link)) = link(payload)
                    && links.get(&index) != Some(&link)
                {
                    links.insert(index, link);
                    changes.interfaces.insert(index);
                }
            }
            // A bridge reports a port that leaves it in this way as well: `link` leaves that out.
            RTM_DELLINK => {
                if let Some((index, _)) = link(payload) {
                    links.remove(&index);
                    changes.interfaces.insert(index);
                }
            }
            RTM_NEWROUTE | RTM_DELROUTE => {
                changes.default_route |= RouteHeader::parse(payload).is_ok_and(|header| {
                    header.destination_prefix_length <= DEFAULT_ROUTE || is_for_delegated(&header)
                });
            }
            // Rules choose among the tables of routes: packets may leave another way.
            RTM_NEWRULE | RTM_DELRULE => changes.default_route = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes that a message of the type `kind` makes.
    fn changes(kind: u16, payload: &[u8], links: &mut SortedMap<u32, Link>) -> Changes {
        let mut changes = Changes::default();
        note(&datagram(kind, payload), links, &mut changes);
        changes
    }

    fn datagram(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let head = [&length.to_ne_bytes(), kind.to_ne_bytes().as_slice(), &[0; 10]].concat();
        [&head, payload].concat()
    }

    /// A link message of `family` with the flags up (1) and running (0x40) and the name `name`.
    fn link_message(family: u8, flags: u32, name: [u8; 4]) -> Vec<u8> {
        let mut message = vec![family, 0, 1, 0];
        message.extend(7_u32.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 4]);
        message.extend([8_u16, 3].map(u16::to_ne_bytes).concat());
        message.extend(name);
        message
    }

    fn route_message(prefix_length: u8) -> Vec<u8> {
        [&[2, prefix_length], [0; 10].as_slice()].concat()
    }

    #[test]
    fn a_link_counts_when_its_name_or_state_is_another_one() {
        let mut links = SortedMap::new();
        let mut counts = |kind, message: Vec<u8>| !changes(kind, &message, &mut links).is_empty();
        assert!(counts(RTM_NEWLINK, link_message(0, 0x41, *b"wan\0")), "never heard of");
        assert!(!counts(RTM_NEWLINK, link_message(0, 0x41, *b"wan\0")), "nothing new");
        assert!(!counts(RTM_NEWLINK, link_message(0, 0x141, *b"wan\0")), "promiscuous only");
        assert!(counts(RTM_NEWLINK, link_message(0, 0x01, *b"wan\0")), "no carrier");
        assert!(counts(RTM_NEWLINK, link_message(0, 0x01, *b"lan\0")), "another name");
        assert!(!counts(RTM_DELLINK, link_message(7, 0x01, *b"lan\0")), "left a bridge");
        assert!(counts(RTM_DELLINK, link_message(0, 0x01, *b"lan\0")), "gone");
        assert!(counts(RTM_NEWLINK, link_message(0, 0x01, *b"lan\0")), "back again");
    }

    #[test]
    fn only_routes_to_the_internet_at_large_count() {
        let counts = |length| {
            let payload = route_message(length);
            changes(RTM_NEWROUTE, &payload, &mut SortedMap::new()).default_route
        };
        assert!(counts(0) && counts(1) && counts(3));
        assert!(!counts(4) && !counts(8) && !counts(64));
    }

    #[test]
    fn what_cannot_be_read_means_that_anything_may_have_changed() {
        let mut whole = datagram(RTM_NEWROUTE, &route_message(24));
        whole.truncate(20);
        let mut changes = Changes::default();
        note(&whole, &mut SortedMap::new(), &mut changes);
        assert!(changes.overrun);
    }
}
