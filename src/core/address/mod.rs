//! Addresses: the two families, sets of addresses, and which addresses may be published.
//!
//! Owns the list of special-purpose ranges (IANA's registries, RFC 6890). Choosing among several
//! addresses of an interface is `choice`'s work.

pub mod auto;
pub mod choice;
pub mod echo;
pub mod interface;
pub mod prefix;
pub mod renewal;
pub mod standing;
pub mod told;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::order;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Family {
    /// IPv4, whose record is A.
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6, whose record is AAAA.
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The family's key in the configuration and in logs: `ipv4` or `ipv6`.
    pub fn key(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// The type of the family's record: `A` or `AAAA`.
    pub fn record_type(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }

    /// The other family.
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// One value for each family, indexed by [`Family`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PerFamily<T> {
    /// The value for IPv4.
    pub v4: T,
    /// The value for IPv6.
    pub v6: T,
}

impl<T> PerFamily<T> {
    /// Makes one from what `value` returns for each family.
    pub fn from_fn(mut value: impl FnMut(Family) -> T) -> Self {
        Self { v4: value(Family::V4), v6: value(Family::V6) }
    }

    /// The families with their values, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = (Family, &T)> {
        Family::BOTH.into_iter().map(|family| (family, &self[family]))
    }

    /// What `value` returns for each family's value.
    pub fn map<U>(&self, mut value: impl FnMut(Family, &T) -> U) -> PerFamily<U> {
        PerFamily::from_fn(|family| value(family, &self[family]))
    }
}

impl<T> Index<Family> for PerFamily<T> {
    type Output = T;

    fn index(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

impl<T> IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// A set of addresses of one family, as one record holds them. Never empty: "unknown" is not "empty".
// A sorted list that is shared, behind a single pointer: of a thousand hosts most have the same address,
// each in what was seen, set, sent and reported.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Addresses(Arc<Vec<IpAddr>>);

impl Addresses {
    /// The set of `addresses`, or `None` when there are none.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let mut set: Vec<_> = addresses.into_iter().collect();
        order::sort(&mut set);
        set.dedup();
        set.shrink_to_fit();
        if set.is_empty() { None } else { Some(Self(Arc::new(set))) }
    }

    /// The addresses in numerical order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl From<IpAddr> for Addresses {
    fn from(address: IpAddr) -> Self {
        Self(Arc::new(vec![address]))
    }
}

/// The addresses separated by commas, as providers and people read them.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(IpAddr::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

/// Why an address is not an ordinary address of the Internet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Special {
    /// For benchmarks (198.18.0.0/15, `2001:2::/48`).
    Benchmarking,
    /// 255.255.255.255, or the reserved 240.0.0.0/4.
    Broadcast,
    /// For examples in documents (192.0.2.0/24, `2001:db8::/32` and the like).
    Documentation,
    /// Valid on one link only (169.254.0.0/16, `fe80::/10`).
    LinkLocal,
    /// This machine itself.
    Loopback,
    /// A group, not a machine.
    Multicast,
    /// Private (RFC 1918), or a unique local IPv6 address (RFC 4193).
    Private,
    /// Of no use for reaching a host: protocol assignments, mapped and translated addresses.
    Reserved,
    /// Shared by a provider's customers: carrier-grade NAT (100.64.0.0/10, RFC 6598).
    Shared,
    /// This machine's end of a translation: the machine has no IPv4 address of its own (192.0.0.0/29:
    /// RFC 7335, of 464XLAT and DS-Lite).
    Translated,
    /// No address at all: 0.0.0.0 or ::.
    Unspecified,
}

impl Special {
    /// Whether `allow-private` permits publishing such an address.
    pub fn may_be_allowed(self) -> bool {
        match self {
            Self::Benchmarking | Self::Documentation | Self::Private | Self::Shared => true,
            Self::Broadcast
            | Self::LinkLocal
            | Self::Loopback
            | Self::Multicast
            | Self::Reserved
            | Self::Translated
            | Self::Unspecified => false,
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Benchmarking => "reserved for benchmarks",
            Self::Broadcast => "a broadcast address",
            Self::Documentation => "reserved for documentation",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Multicast => "multicast",
            Self::Private => "private",
            Self::Reserved => "reserved",
            Self::Shared => "shared by carrier-grade NAT",
            Self::Translated => "no IPv4 of its own (CLAT, DS-Lite)",
            Self::Unspecified => "unspecified",
        })
    }
}

/// Why `address` is not an ordinary address of the Internet; `None` when it is one.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// Why `address` may not be published, given `allow-private`; `None` when it may.
pub fn unpublishable(address: IpAddr, allow_private: bool) -> Option<Special> {
    special(address).filter(|special| !(allow_private && special.may_be_allowed()))
}

/// Why `address` is special; the order follows IANA's IPv4 special-purpose registry.
fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c) {
        _ if address.is_unspecified() => Special::Unspecified,
        (0, ..) => Special::Reserved,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Special::Private,
        (100, 64..=127, _) => Special::Shared,
        (127, ..) => Special::Loopback,
        (169, 254, _) => Special::LinkLocal,
        (192, 0, 0) if d < 8 => Special::Translated,
        // 192.0.0.0/24: other protocol assignments; 192.88.99.0/24: the old 6to4 relay.
        (192, 0, 0) | (192, 88, 99) => Special::Reserved,
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Special::Documentation,
        (198, 18..=19, _) => Special::Benchmarking,
        (224..=239, ..) => Special::Multicast,
        (240..=255, ..) => Special::Broadcast,
        _ => return None,
    })
}

/// Why `address` is special, in the order of IANA's IPv6 registry; only `2000::/3` is assigned at all.
fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let s = address.segments();
    Some(match s {
        _ if address.is_unspecified() => Special::Unspecified,
        _ if address.is_loopback() => Special::Loopback,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xfc00..=0xfdff, ..] => Special::Private,
        [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => Special::Documentation,
        [0x2001, 0x0002, 0, ..] => Special::Benchmarking,
        // Teredo and ORCHID are protocols, 6to4 is withdrawn (RFC 7526).
        [0x2001, 0x0000 | 0x0010..=0x002f, ..] | [0x2002, ..] => Special::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expect: Option<Special>) {
        assert_eq!(special(address.parse().unwrap()), expect, "{address}");
    }

    #[test]
    fn ordinary_addresses_are_publishable() {
        for address in ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2a00::1"] {
            check(address, None);
        }
    }

    #[test]
    fn special_addresses_are_named() {
        check("0.0.0.0", Some(Special::Unspecified));
        check("10.1.2.3", Some(Special::Private));
        check("172.31.255.255", Some(Special::Private));
        check("100.64.0.1", Some(Special::Shared));
        check("169.254.1.1", Some(Special::LinkLocal));
        check("192.0.0.4", Some(Special::Translated));
        check("192.0.0.8", Some(Special::Reserved));
        check("203.0.113.7", Some(Special::Documentation));
        check("198.19.0.1", Some(Special::Benchmarking));
        check("224.0.0.1", Some(Special::Multicast));
        check("255.255.255.255", Some(Special::Broadcast));
        check("::", Some(Special::Unspecified));
        check("::1", Some(Special::Loopback));
        check("::ffff:8.8.8.8", Some(Special::Reserved));
        check("64:ff9b::808:808", Some(Special::Reserved));
        check("fe80::1", Some(Special::LinkLocal));
        check("fd00::1", Some(Special::Private));
        check("2001:db8::1", Some(Special::Documentation));
        check("2002:102:304::1", Some(Special::Reserved));
        check("ff02::1", Some(Special::Multicast));
    }

    #[test]
    fn allow_private_never_allows_loopback_or_link_local() {
        let may = |text: &str| unpublishable(text.parse().unwrap(), true).is_none();
        assert!(may("10.0.0.1") && may("fd00::1") && may("100.64.0.1") && may("192.0.2.1"));
        assert!(!may("127.0.0.1") && !may("fe80::1") && !may("0.0.0.0") && !may("224.0.0.1"));
    }

    #[test]
    fn no_addresses_are_no_set() {
        assert_eq!(Addresses::new([]), None);
    }
}
