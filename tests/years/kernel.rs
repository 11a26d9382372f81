//! The kernel of a simulated machine: its addresses with flags, life times and stamps, and its routes.
//!
//! An interface `wan` that leads to the Internet, and a tunnel that sometimes takes IPv4's route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use homing::core::address::PerFamily;
use homing::core::address::auto::Route;
use homing::core::address::choice::{Flags, KernelAddress};
use homing::core::address::renewal::{Listed, Moment, Renewals, Stamps};
use homing::source::snapshot::{Snapshot, Tunnel};

use super::{DAY, HOUR, Millis, SECOND};

const WAN: u32 = 2;
const TUNNEL: u32 = 9;
const IN_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 8, 0, 2));

/// How long the kernel checks that an address is unique.
pub const CHECK: Millis = SECOND;

/// The life times that the router announces.
const PREFERRED: Millis = 4 * HOUR;
const VALID: Millis = DAY;

/// A prefix that the router announces, or has announced. Moments are by the steady clock.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    number: u16,
    created: Millis,
    /// The time between two advertisements.
    interval: Millis,
    /// When the router stopped announcing it.
    silent_from: Option<Millis>,
    /// Whether the router withdrew it.
    withdrawn: bool,
}

/// The addresses and routes.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The address of `wan` in IPv4.
    pub v4: Option<Ipv4Addr>,
    /// The prefixes, oldest first.
    pub prefixes: Vec<Prefix>,
    /// Whether `wan` has a carrier.
    pub carrier: bool,
    /// Whether the tunnel is up.
    pub tunnel: bool,
}

impl Prefix {
    /// The prefix of that number, announced from the moment `created` on.
    pub fn new(number: u16, created: Millis, interval: Millis) -> Self {
        Self { number, created, interval, silent_from: None, withdrawn: false }
    }

    /// The lasting address in it.
    pub fn address(&self) -> IpAddr {
        self.with_host(0x0211_22ff_fe33_4455)
    }

    /// The temporary address in it that `day` has.
    fn temporary(&self, day: u64) -> IpAddr {
        self.with_host(0x5a5a_0000_0000_0001 | day << 16)
    }

    /// Whether the router began to announce it at that very moment, by a clock that stands still while
    /// the machine sleeps.
    pub fn is_new(&self, steady: Millis) -> bool {
        self.created == steady
    }

    fn with_host(&self, host: u64) -> IpAddr {
        let prefix = 0x2a00_1450_0000_0000 | u64::from(self.number) << 16;
        IpAddr::V6(Ipv6Addr::from(u128::from(prefix) << 64 | u128::from(host)))
    }

    fn renewed(&self, steady: Millis) -> Millis {
        let until = self.silent_from.unwrap_or(steady).min(steady).max(self.created);
        self.created + (until - self.created) / self.interval * self.interval
    }

    /// When the router announces it next, if it still does.
    pub fn next_renewal(&self, steady: Millis) -> Option<Millis> {
        let next = self.renewed(steady) + self.interval;
        self.silent_from.is_none().then_some(next)
    }

    /// Ends the advertisements; `withdrawn` if the router says so.
    pub fn end(&mut self, steady: Millis, withdrawn: bool) {
        self.silent_from.get_or_insert(steady);
        self.withdrawn |= withdrawn;
    }

    /// Whether the kernel still checks its addresses.
    fn is_tentative(&self, steady: Millis) -> bool {
        steady < self.created + CHECK
    }

    fn is_valid(&self, steady: Millis) -> bool {
        steady < self.renewed(steady) + VALID
    }
}

impl Kernel {
    /// Forgets addresses whose life has ended.
    pub fn let_end(&mut self, steady: Millis) {
        self.prefixes.retain(|prefix| prefix.is_valid(steady));
    }

    /// The prefix that is announced.
    pub fn announced(&mut self) -> Option<&mut Prefix> {
        self.prefixes.iter_mut().rfind(|prefix| prefix.silent_from.is_none())
    }

    /// The address of IPv6 by which the machine is reached.
    pub fn reached_v6(&self, steady: Millis) -> Option<IpAddr> {
        let announced =
            |prefix: &&Prefix| prefix.silent_from.is_none() && !prefix.is_tentative(steady);
        let found = self.prefixes.iter().rfind(announced);
        found.filter(|_| self.carrier).map(Prefix::address)
    }

    /// The addresses that could be published.
    pub fn addresses(&self, steady: Millis) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self.v4.map(IpAddr::V4).into_iter().collect();
        addresses.extend(self.tunnel.then_some(IN_TUNNEL));
        for prefix in self.prefixes.iter().filter(|prefix| prefix.is_valid(steady)) {
            addresses.extend([prefix.address(), prefix.temporary(steady / DAY)]);
        }
        addresses
    }

    fn listed(&self, steady: Millis) -> Vec<Listed> {
        let (down, no_carrier) = (!self.carrier, !self.carrier);
        let flags = Flags { down, no_carrier, ..Flags::default() };
        let on_wan = |address, prefix_length| KernelAddress {
            address,
            prefix_length,
            interface: "wan".to_owned(),
            index: WAN,
            flags,
            preferred: None,
            valid: None,
        };
        let mut listed = Vec::new();
        if let Some(v4) = self.v4 {
            listed.push(Listed { address: on_wan(IpAddr::V4(v4), 24), stamps: None });
        }
        if self.tunnel {
            let address = KernelAddress {
                interface: "wg0".to_owned(),
                index: TUNNEL,
                flags: Flags::default(),
                ..on_wan(IN_TUNNEL, 32)
            };
            listed.push(Listed { address, stamps: None });
        }
        for prefix in self.prefixes.iter().filter(|prefix| prefix.is_valid(steady)) {
            let renewed = prefix.renewed(steady);
            let left = |life: Millis| (renewed + life).saturating_sub(steady);
            let preferred = if prefix.withdrawn { 0 } else { left(PREFERRED) };
            let stamps = Some(Stamps { created: stamp(prefix.created), renewed: stamp(renewed) });
            for temporary in [false, true] {
                let address =
                    if temporary { prefix.temporary(steady / DAY) } else { prefix.address() };
                let flags = Flags {
                    deprecated: preferred == 0,
                    temporary,
                    tentative: prefix.is_tentative(steady),
                    ..flags
                };
                let address = KernelAddress {
                    flags,
                    preferred: Some(Duration::from_millis(preferred)),
                    valid: Some(Duration::from_millis(left(VALID))),
                    ..on_wan(address, 64)
                };
                listed.push(Listed { address, stamps });
            }
        }
        listed
    }

    /// The routes to the Internet.
    pub fn routes(&self, steady: Millis) -> PerFamily<Option<Route>> {
        let v4 = if self.tunnel {
            Some(Route { source: Some(IN_TUNNEL), index: TUNNEL, gateway: None })
        } else {
            self.around()
        };
        let newest = self.prefixes.iter().rfind(|prefix| !prefix.is_tentative(steady));
        let gateway = Some(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)));
        let v6 = newest.filter(|_| self.carrier).map(|prefix| {
            let source = Some(prefix.temporary(steady / DAY));
            Route { source, index: WAN, gateway }
        });
        PerFamily { v4, v6 }
    }

    /// The route of IPv4 without the tunnel.
    fn around(&self) -> Option<Route> {
        let v4 = self.v4.filter(|_| self.carrier)?;
        let [a, b, c, _] = v4.octets();
        let gateway = Some(IpAddr::V4(Ipv4Addr::new(a, b, c, 1)));
        Some(Route { source: Some(IpAddr::V4(v4)), index: WAN, gateway })
    }

    /// What a look at the kernel finds.
    pub fn snapshot(&self, known: &Renewals, steady: Millis) -> Snapshot {
        let (addresses, renewals) = known.judge(self.listed(steady));
        let routes = self.routes(steady);
        let mut tunnels = PerFamily::default();
        if self.tunnel {
            tunnels.v4 = Some(Tunnel { name: "wg0".to_owned(), around: self.around() });
        }
        Snapshot {
            addresses,
            kernels_routes: routes.clone(),
            routes,
            tunnels,
            renewals,
            ..Snapshot::default()
        }
    }
}

/// A moment of the kernel's clock, which begins at five minutes before its first wrap.
fn stamp(steady: Millis) -> Moment {
    let hundredths = u32::try_from(steady / 10 % (1 << 32)).unwrap_or_default();
    Moment(hundredths.wrapping_sub(30_000))
}
