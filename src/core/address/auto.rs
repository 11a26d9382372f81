//! `auto`: the address that this machine uses towards the Internet, as far as the kernel knows it.
//!
//! Pure: the kernel's addresses and routes come in, a decision comes out. Asking a web service,
//! when the machine is behind NAT, is the shell's work.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use super::choice::{Choice, KernelAddress, Preferences, choose};
use super::interface::InterfaceName;
use super::{Addresses, Family, Special, unpublishable};

/// The kernel's route towards the Internet in one family.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// The source address that the kernel would use, when it names one.
    pub source: Option<IpAddr>,
    /// The number of the interface that packets leave by.
    pub index: u32,
    /// The router that packets go to first, when there is one and the kernel names it.
    pub gateway: Option<IpAddr>,
}

/// What `auto` can tell of a family without asking a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Auto {
    /// There is nothing to publish, for this reason; this is no fault by itself.
    Absent(String),
    /// The address is private, or not the interface's own: a service on the Internet has to be asked.
    BehindNat,
    /// These addresses.
    Here(Addresses),
    /// Duplicate address detection of an address has not ended, and no other one can be published.
    Tentative,
}

/// Decides about one family.
///
/// | default route | address towards the Internet   | then                                        |
/// |---------------|--------------------------------|---------------------------------------------|
/// | yes           | IPv4, publishable              | that address                                |
/// | yes           | IPv4, shared (100.64.0.0/10)   | absent: behind carrier-grade NAT            |
/// | yes           | IPv4, otherwise private        | behind NAT                                  |
/// | yes           | IPv6                           | the best address of the interfaces it uses  |
/// | no            |                                | the best address of any interface, or none  |
///
/// With `local` (a provider that serves a local network) private addresses are as good as any, and no
/// service is asked. `set_now` stays while it is among the best.
pub fn auto(
    addresses: &[KernelAddress],
    route: Option<&Route>,
    family: Family,
    local: bool,
    set_now: Option<&Addresses>,
) -> Auto {
    if let Some(source) = source_v4(route, family) {
        return towards_v4(source, local);
    }
    match best(addresses, route, family, local, set_now) {
        Some(Choice { chosen: Some(addresses), .. }) => Auto::Here(addresses),
        Some(_) => Auto::Tentative,
        None if route.is_some() => Auto::Absent(format!("no {family} address to publish")),
        None => Auto::Absent(format!("this machine has no {family} default route")),
    }
}

/// Whether [`auto`] would decide otherwise if the duplicate address detection of an address succeeded:
/// a router's advertisement brings a temporary address beside the stable one, and either may be ready
/// first.
pub fn awaits_verdict(
    addresses: &[KernelAddress],
    route: Option<&Route>,
    family: Family,
    local: bool,
) -> bool {
    source_v4(route, family).is_none()
        && best(addresses, route, family, local, None).is_some_and(|choice| choice.awaits_verdict)
}

/// Decides about one family of a host that is bound to an interface: the one called `name` with the
/// number `index`, if it is there, and its `route` to the Internet.
///
/// | interface, route | the kernel's source address by it | then                                   |
/// |------------------|-----------------------------------|----------------------------------------|
/// | not both         |                                   | absent                                 |
/// | both             | IPv4 of another interface         | behind NAT: its owner is not known     |
/// | both             | IPv6 of another interface         | the best of its own, else behind NAT   |
/// | both             | its own                           | as [`auto`], among its addresses alone |
pub fn auto_by(
    name: InterfaceName,
    index: Option<u32>,
    addresses: &[KernelAddress],
    route: Option<&Route>,
    family: Family,
    set_now: Option<&Addresses>,
) -> Auto {
    let Some(index) = index else { return Auto::Absent(format!("no interface {name}")) };
    let Some(route) = route else {
        return Auto::Absent(format!("no default route for {family} by {name}"));
    };
    let own: Vec<_> = addresses.iter().filter(|a| a.index == index).cloned().collect();
    let is_foreign = route.source.is_some_and(|source| own.iter().all(|a| a.address != source));
    match (family, auto(&own, Some(route), family, false, set_now)) {
        (Family::V4, _) | (Family::V6, Auto::Absent(_)) if is_foreign => Auto::BehindNat,
        (_, decided) => decided,
    }
}

/// The addresses to publish where the route leads through a tunnel, the interface `tunnel`, without an
/// address to publish: a service asked through it answers with the address of its other end.
///
/// `around` is the route that there would be without the tunnel, if there is one; its address comes
/// before those of other interfaces. `None` when there is nothing to publish.
pub fn past_tunnel(
    addresses: &[KernelAddress],
    tunnel: u32,
    around: Option<&Route>,
    family: Family,
    set_now: Option<&Addresses>,
) -> Option<Addresses> {
    let others: Vec<_> = addresses.iter().filter(|a| a.index != tunnel).cloned().collect();
    let by = |route| match auto(&others, route, family, false, set_now) {
        Auto::Here(addresses) => Some(addresses),
        Auto::Absent(_) | Auto::BehindNat | Auto::Tentative => None,
    };
    around.and_then(|around| by(Some(around))).or_else(|| by(None))
}

impl Route {
    /// The interfaces whose addresses count: the one that packets leave by, then the one that has the
    /// kernel's source address, which is another one where the first has no address (a router with a
    /// delegated prefix).
    pub fn leads_by(&self, addresses: &[KernelAddress]) -> Vec<u32> {
        let owner = addresses.iter().find(|address| Some(address.address) == self.source);
        let owner = owner.map(|owner| owner.index).filter(|index| *index != self.index);
        std::iter::once(self.index).chain(owner).collect()
    }
}

/// The kernel's IPv4 source address, which decides alone.
fn source_v4(route: Option<&Route>, family: Family) -> Option<IpAddr> {
    route?.source.filter(|_| family == Family::V4)
}

/// The choice among the addresses of the first interface that counts and has a usable or tentative one.
fn best(
    addresses: &[KernelAddress],
    route: Option<&Route>,
    family: Family,
    local: bool,
    set_now: Option<&Addresses>,
) -> Option<Choice> {
    let preferences =
        Preferences { allow_private: local, count: NonZeroUsize::MIN, prefer_temporary: false };
    let of = |addresses: &[KernelAddress]| {
        let choice = choose(addresses, family, preferences, set_now);
        (choice.chosen.is_some() || choice.awaits_verdict).then_some(choice)
    };
    let Some(route) = route else { return of(addresses) };
    route.leads_by(addresses).into_iter().find_map(|index| {
        let own: Vec<_> = addresses.iter().filter(|a| a.index == index).cloned().collect();
        of(&own)
    })
}

/// The decision for the kernel's own IPv4 source address.
fn towards_v4(source: IpAddr, local: bool) -> Auto {
    match unpublishable(source, local) {
        None => Auto::Here(source.into()),
        Some(Special::Shared) => Auto::Absent("behind carrier-grade NAT".to_owned()),
        Some(Special::Translated) => Auto::Absent("no IPv4 of its own (CLAT, DS-Lite)".to_owned()),
        Some(special) if special.may_be_allowed() => Auto::BehindNat,
        Some(special) => Auto::Absent(format!("{source} is {special}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::choice::Flags;
    use super::*;

    fn address(index: u32, address: &str) -> KernelAddress {
        KernelAddress {
            address: address.parse().unwrap(),
            prefix_length: 64,
            interface: format!("if{index}"),
            index,
            flags: Flags::default(),
            preferred: None,
            valid: None,
        }
    }

    fn route(source: &str) -> Route {
        Route { source: Some(source.parse().unwrap()), index: 1, gateway: None }
    }

    #[track_caller]
    fn check(addresses: &[KernelAddress], route: Option<&Route>, family: Family, expect: &Auto) {
        assert_eq!(auto(addresses, route, family, false, None), *expect);
    }

    fn here(text: &str) -> Auto {
        Auto::Here(text.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn ipv4_is_the_kernels_own_source_if_it_is_public() {
        check(&[], Some(&route("8.8.4.2")), Family::V4, &here("8.8.4.2"));
        check(&[], Some(&route("192.168.1.2")), Family::V4, &Auto::BehindNat);
        let shared = Auto::Absent("behind carrier-grade NAT".into());
        check(&[], Some(&route("100.64.0.9")), Family::V4, &shared);
    }

    #[test]
    fn ipv6_is_the_best_of_the_outgoing_interface() {
        let addresses = [address(1, "fe80::1"), address(1, "2a00::1"), address(2, "2a00:1::1")];
        check(&addresses, Some(&route("2a00::1")), Family::V6, &here("2a00::1"));
    }

    #[test]
    fn a_line_without_an_address_of_its_own_leads_to_the_one_that_the_kernel_uses() {
        let addresses = [address(1, "fe80::1"), address(2, "2a00:1::1")];
        check(&addresses, Some(&route("2a00:1::1")), Family::V6, &here("2a00:1::1"));
    }

    #[test]
    fn a_stable_address_is_awaited_beside_a_temporary_one() {
        let mut addresses = [address(1, "2a00::1"), address(1, "2a00::2")];
        addresses[0].flags.tentative = true;
        let awaits = |addresses: &[KernelAddress]| {
            awaits_verdict(addresses, Some(&route("2a00::2")), Family::V6, false)
        };
        addresses[1].flags.temporary = true;
        assert!(awaits(&addresses));
        check(&addresses, Some(&route("2a00::2")), Family::V6, &here("2a00::2"));
        addresses[0].flags.temporary = true;
        addresses[1].flags.temporary = false;
        assert!(!awaits(&addresses));
        assert!(!awaits(&[]));
    }

    #[test]
    fn an_ipv4_address_of_a_translation_is_none_of_its_own() {
        let none = Auto::Absent("no IPv4 of its own (CLAT, DS-Lite)".into());
        for source in ["192.0.0.1", "192.0.0.2", "192.0.0.4", "192.0.0.7"] {
            check(&[], Some(&route(source)), Family::V4, &none);
        }
        let reserved = Auto::Absent("192.0.0.8 is reserved".into());
        check(&[], Some(&route("192.0.0.8")), Family::V4, &reserved);
    }

    #[test]
    fn past_a_tunnel_the_way_around_it_counts_then_any_other_interface() {
        let addresses = [
            address(1, "10.8.0.2"),
            address(2, "8.8.4.2"),
            address(3, "8.8.8.3"),
            address(1, "fd00::2"),
            address(2, "2a00:2::1"),
            address(3, "2a00:3::1"),
        ];
        let by = |source: &str| Route { index: 3, ..route(source) };
        let past = |addresses: &[KernelAddress], around: Option<Route>, family| {
            let past = past_tunnel(addresses, 1, around.as_ref(), family, None);
            past.map(|addresses| addresses.to_string())
        };
        assert_eq!(past(&addresses, Some(by("8.8.8.3")), Family::V4).unwrap(), "8.8.8.3");
        assert_eq!(past(&addresses, Some(by("2a00:3::1")), Family::V6).unwrap(), "2a00:3::1");
        assert_eq!(past(&addresses, None, Family::V4).unwrap(), "8.8.4.2");
        assert_eq!(past(&addresses, None, Family::V6).unwrap(), "2a00:2::1");
        // A way around that leads from behind NAT is none, and the tunnel's own address does not count.
        let private = [address(1, "8.8.4.2"), address(3, "192.168.1.3")];
        assert_eq!(past(&private, Some(by("192.168.1.3")), Family::V4), None);
    }

    #[test]
    fn without_a_way_out_and_without_an_address_the_family_is_absent() {
        check(
            &[],
            None,
            Family::V6,
            &Auto::Absent("this machine has no IPv6 default route".into()),
        );
        check(&[address(2, "2a00:1::1")], None, Family::V6, &here("2a00:1::1"));
    }

    #[track_caller]
    fn check_by(source: Option<&str>, addresses: &[KernelAddress], family: Family, expect: &Auto) {
        let (name, route) = ("if1".parse().unwrap(), source.map(route));
        let decided = auto_by(name, Some(1), addresses, route.as_ref(), family, None);
        assert_eq!(decided, *expect);
    }

    #[test]
    fn a_line_that_is_not_there_or_leads_nowhere_has_no_address() {
        let gone = auto_by("if1".parse().unwrap(), None, &[], None, Family::V4, None);
        assert_eq!(gone, Auto::Absent("no interface if1".into()));
        // Neither the other line's address nor its own, which nobody could reach.
        let addresses = [address(2, "2a00:2::1"), address(1, "2a00::1")];
        check_by(
            None,
            &addresses,
            Family::V6,
            &Auto::Absent("no default route for IPv6 by if1".into()),
        );
    }

    #[test]
    fn a_line_has_its_own_addresses_alone() {
        let addresses = [address(2, "8.8.4.3"), address(1, "8.8.4.2"), address(1, "2a00:1::1")];
        check_by(Some("8.8.4.2"), &addresses, Family::V4, &here("8.8.4.2"));
        check_by(Some("2a00:1::1"), &addresses, Family::V6, &here("2a00:1::1"));
    }

    #[test]
    fn another_interfaces_address_is_not_taken_for_the_lines() {
        let addresses = [address(2, "8.8.4.3"), address(2, "2a00::1"), address(1, "2a00:1::1")];
        check_by(Some("8.8.4.3"), &addresses, Family::V4, &Auto::BehindNat);
        check_by(Some("2a00::1"), &addresses, Family::V6, &here("2a00:1::1"));
        check_by(Some("2a00::1"), &addresses[..2], Family::V6, &Auto::BehindNat);
    }
}
