//! `auto`: the address that this machine uses towards the Internet, as far as the kernel knows it.
//!
//! Pure: the kernel's addresses and routes come in, a decision comes out. Asking a web service,
//! when the machine is behind NAT, is the shell's work.

use std::net::IpAddr;

use super::address::{Addresses, Family, Special, unpublishable};
use super::choice::{KernelAddress, Preferences, choose};

/// The kernel's way towards the Internet in one family.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// The source address that the kernel would use, when it names one.
    pub source: Option<IpAddr>,
    /// The number of the interface that packets leave by.
    pub index: u32,
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
/// | yes           | IPv6                           | the best address of that interface, or none |
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
    let preferences = Preferences { allow_private: local, prefer_temporary: false };
    let of_route: Vec<KernelAddress>;
    let candidates = match route {
        Some(route) => {
            if let (Family::V4, Some(source)) = (family, route.source) {
                return towards_v4(source, local);
            }
            of_route = addresses.iter().filter(|a| a.index == route.index).cloned().collect();
            &of_route
        }
        None => addresses,
    };
    let choice = choose(candidates, family, preferences, set_now);
    match choice.chosen {
        Some(address) => Auto::Here(address.into()),
        None if choice.awaits_verdict => Auto::Tentative,
        None if route.is_some() => Auto::Absent(format!("no {family} address to publish")),
        None => Auto::Absent(format!("no {family} here")),
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
