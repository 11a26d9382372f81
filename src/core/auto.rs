//! `auto`: the address that this machine uses towards the Internet, as far as the kernel knows it.
//!
//! Pure: the kernel's addresses and routes come in, a decision comes out. Asking a web service,
//! when the machine is behind NAT, is the shell's work.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use super::address::{Addresses, Family, Special, unpublishable};
use super::choice::{KernelAddress, Preferences, choose};

/// The kernel's way towards the Internet in one family.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// The source address that the kernel would use, when it names one.
    pub source: Option<IpAddr>,
    /// The number of the interface that packets leave by.
    pub index: u32,
    /// The router that packets go to first, when there is one and the kernel names it.
    pub gateway: Option<IpAddr>,
}

/// What `auto` can tell of a family without asking anybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Auto {
    /// There is nothing to publish, for this reason, which is no fault by itself.
    Absent(String),
    /// The address is private: somebody on the Internet has to be asked.
    BehindNat,
    /// These addresses.
    Here(Addresses),
    /// An address is there whose duplicate address detection has not ended.
    Tentative,
}

/// Decides about one family.
///
/// | default route | address towards the Internet   | then                                        |
/// |---------------|--------------------------------|---------------------------------------------|
/// | yes           | IPv4, publishable              | that address                                |
/// | yes           | IPv4, shared (100.64.0.0/10)   | absent: behind carrier-grade NAT            |
/// | yes           | IPv4, otherwise private        | behind NAT                                  |
/// | yes           | IPv6                           | the best of the interfaces it leads by      |
/// | no            |                                | the best address of any interface, or none  |
///
/// With `local` (a provider that serves a local network) private addresses are as good as any, and
/// nobody is asked. `set_now` stays while it is among the best.
pub fn auto(
    addresses: &[KernelAddress],
    route: Option<&Route>,
    family: Family,
    local: bool,
    set_now: Option<&Addresses>,
) -> Auto {
    let preferences =
        Preferences { allow_private: local, count: NonZeroUsize::MIN, prefer_temporary: false };
    let Some(route) = route else {
        return best(addresses, family, preferences, set_now)
            .unwrap_or_else(|| Auto::Absent(format!("no {family} here")));
    };
    if let (Family::V4, Some(source)) = (family, route.source) {
        return towards_v4(source, local);
    }
    let chosen = route.leads_by(addresses).into_iter().find_map(|index| {
        let own: Vec<_> = addresses.iter().filter(|a| a.index == index).cloned().collect();
        best(&own, family, preferences, set_now)
    });
    chosen.unwrap_or_else(|| Auto::Absent(format!("no {family} address to publish")))
}

impl Route {
    /// The interfaces whose addresses count: the one that packets leave by, then the one that has
    /// the kernel's source address, which is another where the line itself has none (a router
    /// with a delegated prefix).
    pub fn leads_by(&self, addresses: &[KernelAddress]) -> Vec<u32> {
        let owner = addresses.iter().find(|address| Some(address.address) == self.source);
        let owner = owner.map(|owner| owner.index).filter(|index| *index != self.index);
        std::iter::once(self.index).chain(owner).collect()
    }
}

/// The best of `addresses`, or that it is still tentative; `None` when there is none.
fn best(
    addresses: &[KernelAddress],
    family: Family,
    preferences: Preferences,
    set_now: Option<&Addresses>,
) -> Option<Auto> {
    let choice = choose(addresses, family, preferences, set_now);
    match choice.chosen {
        Some(addresses) => Some(Auto::Here(addresses)),
        None => choice.awaits_verdict.then_some(Auto::Tentative),
    }
}

/// What the kernel's own IPv4 source address tells.
fn towards_v4(source: IpAddr, local: bool) -> Auto {
    match unpublishable(source, local) {
        None => Auto::Here(source.into()),
        Some(Special::Shared) => Auto::Absent("behind carrier-grade NAT".to_owned()),
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
    fn without_a_way_out_and_without_an_address_the_family_is_absent() {
        check(&[], None, Family::V6, &Auto::Absent("no IPv6 here".into()));
        check(&[address(2, "2a00:1::1")], None, Family::V6, &here("2a00:1::1"));
    }
}
