//! The kernel's snapshot: what it says at one moment, and what follows from that for one host.
//!
//! Reads the kernel and asks nobody else. Used by `sights`, and by the daemon to compare two moments.

use std::io;
use std::net::IpAddr;

use crate::config::{Config, HostConfig, SourceRef};
use crate::core::address::auto::{self, Auto, Route, auto, auto_by, past_tunnel};
use crate::core::address::choice::{self, Choice, Flags, KernelAddress, Preferences, choose};
use crate::core::address::interface::InterfaceName;
use crate::core::address::prefix::Prefix;
use crate::core::address::renewal::{Listed, Renewals};
use crate::core::address::{Addresses, Family, PerFamily, Special, special, unpublishable};
use crate::core::order::{SortedMap, SortedSet};
use crate::core::source::{Interface, Source, SourceKind};
use crate::net::interface;
use crate::os::kernel::{self, Listing};

/// One family of one host, whose address is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The configuration that holds the host.
    pub config: &'a Config,
    /// The host.
    pub host: &'a HostConfig,
    /// The family.
    pub family: Family,
    /// The addresses that are set; they stay chosen while they are among the best.
    pub set_now: Option<&'a Addresses>,
}

/// The kernel's addresses and routes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The addresses of every interface.
    pub addresses: Vec<KernelAddress>,
    /// The route to the Internet in each family, if possible by an interface with a carrier.
    pub routes: PerFamily<Option<Route>>,
    /// The route to the Internet in each family, as the kernel reports it.
    pub kernels_routes: PerFamily<Option<Route>>,
    /// The tunnel that each family's route leads through, if it does.
    pub tunnels: PerFamily<Option<Tunnel>>,
    /// The renewals of the addresses, to be remembered.
    pub renewals: Renewals,
    /// The interfaces that the configuration binds something to.
    pub lines: SortedMap<InterfaceName, InterfaceFacts>,
    /// Prefixes that the provider has delegated to this machine; read only where a suffix needs it.
    pub delegated: Vec<Prefix>,
}

/// An interface that carries a family's packets through another one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// The route that there would be without it.
    pub around: Option<Route>,
}

/// The state and the routes of an interface at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InterfaceFacts {
    /// The interface, if it is there.
    pub interface: Option<kernel::Interface>,
    /// The route to the Internet by it in each family.
    pub routes: PerFamily<Option<Route>>,
}

/// The part of a snapshot that the sources use: equal facts are no reason for a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFacts {
    addresses: choice::Facts,
    routes: PerFamily<Option<Route>>,
    lines: SortedMap<InterfaceName, InterfaceFacts>,
    delegated: Vec<Prefix>,
    awaits_verdict: bool,
}

impl<'a> Wanted<'a> {
    /// Each family of each host of `config`.
    pub(super) fn each(config: &'a Config) -> impl Iterator<Item = Self> {
        let of_host =
            move |host| Family::BOTH.map(|family| Self { config, host, family, set_now: None });
        config.hosts.iter().flat_map(of_host)
    }

    /// Where the address comes from; `None` is `off`.
    pub(super) fn source(self) -> Option<SourceRef> {
        self.host.sources[self.family]
    }

    /// The source, if it is one that has a name.
    fn named(self) -> Option<&'a Source> {
        match self.source()? {
            SourceRef::Auto => None,
            SourceRef::Named(index) => Some(&self.config.sources[index]),
        }
    }

    /// Whether the host's provider serves a local network.
    pub(super) fn is_local(self) -> bool {
        self.config.providers[self.host.provider].protocol.manners().is_local()
    }

    fn bind(self) -> Option<InterfaceName> {
        self.host.host.bind
    }
}

impl Snapshot {
    /// Reads the kernel's addresses and routes, as far as `config` needs them; `known` are the
    /// renewals that earlier looks found.
    pub fn take(config: &Config, known: &Renewals) -> Result<Self, String> {
        Self::read_kernel(config, known)
            .map_err(|error| format!("the kernel's addresses cannot be read: {error}"))
    }

    fn read_kernel(config: &Config, known: &Renewals) -> io::Result<Self> {
        let Listing { mut addresses, without_carrier, tunnels: names } = kernel::listing()?;
        for Listed { address, .. } in &mut addresses {
            address.flags.no_carrier = without_carrier.contains(&address.index);
        }
        let (addresses, renewals) = known.judge(addresses);
        let kernels_routes = routes()?;
        let (mut routes, mut tunnels) = (kernels_routes.clone(), PerFamily::default());
        for family in Family::BOTH {
            let Some(Route { index, source, .. }) = routes[family] else { continue };
            let dead = without_carrier.contains(&index);
            let name = names.iter().find(|(tunnel, _)| *tunnel == index);
            let name = name.map(|(_, name)| name.clone());
            if !dead && name.is_none() {
                continue;
            }
            let around = around(index, family, &addresses)?;
            let has_none = source.is_none_or(|source| unpublishable(source, false).is_some());
            match name {
                Some(name) if !dead || has_none => tunnels[family] = Some(Tunnel { name, around }),
                // Where no other route leads out, this one stays: it may be plugged in again.
                _ if around.is_some() => routes[family] = around,
                _ => {}
            }
        }
        let mut lines = SortedMap::new();
        for name in binds(config) {
            lines.insert(name, InterfaceFacts::read_kernel(name, &addresses)?);
        }
        let needs_delegated = config.sources.iter().any(|source| match &source.kind {
            SourceKind::Interface(Interface { neighbour: Some(neighbour), .. }) => {
                neighbour.prefix_length.is_none()
            }
            _ => false,
        });
        let delegated = if needs_delegated { kernel::delegated()? } else { Vec::new() };
        Ok(Self { addresses, routes, kernels_routes, tunnels, renewals, lines, delegated })
    }

    /// The route of `family` to the Internet, by the interface `bind` if one is given.
    pub(super) fn route(&self, family: Family, bind: Option<InterfaceName>) -> Option<&Route> {
        match bind {
            None => self.routes[family].as_ref(),
            Some(name) => self.lines.get(&name)?.routes[family].as_ref(),
        }
    }

    /// The number of the interface `name`, to which something is bound.
    fn index(&self, name: InterfaceName) -> Option<u32> {
        self.lines.get(&name)?.index()
    }

    /// The result of `auto` without asking a server, by the interface that the host is bound to.
    pub(super) fn auto(&self, wanted: Wanted<'_>) -> Auto {
        let Wanted { family, set_now, .. } = wanted;
        let (addresses, route) = (&self.addresses, self.route(family, wanted.bind()));
        if let Some(name) = wanted.bind() {
            return auto_by(name, self.index(name), addresses, route, family, set_now);
        }
        let decided = auto(addresses, route, family, wanted.is_local(), set_now);
        self.past_tunnel(wanted, &decided).map_or(decided, Auto::Here)
    }

    /// The addresses to publish in place of the result `decided`, where that comes from a tunnel.
    fn past_tunnel(&self, wanted: Wanted<'_>, decided: &Auto) -> Option<Addresses> {
        let Wanted { family, set_now, .. } = wanted;
        let tunnel = self.tunnels[family].as_ref().filter(|_| !wanted.is_local())?;
        let route = self.routes[family].as_ref()?;
        match decided {
            Auto::Absent(_) | Auto::BehindNat => {}
            Auto::Here(_) | Auto::Tentative => return None,
        }
        past_tunnel(&self.addresses, route.index, tunnel.around.as_ref(), family, set_now)
    }

    /// The tunnel that the host's route leads through, if `auto` publishes an address past it.
    pub(super) fn bypassed(&self, wanted: Wanted<'_>) -> Option<&Tunnel> {
        let wanted = Wanted { set_now: None, ..wanted };
        let (Some(SourceRef::Auto), None) = (wanted.source(), wanted.bind()) else { return None };
        let (family, route) = (wanted.family, self.routes[wanted.family].as_ref());
        let tunnel = self.tunnels[family].as_ref()?;
        let decided = auto(&self.addresses, route, family, wanted.is_local(), None);
        self.past_tunnel(wanted, &decided).map(|_| tunnel)
    }

    /// Whether `auto` would decide otherwise once an address is found to be unique.
    fn auto_awaits_verdict(&self, wanted: Wanted<'_>) -> bool {
        let route = self.route(wanted.family, wanted.bind());
        let Some(name) = wanted.bind() else {
            let local = wanted.is_local();
            return auto::awaits_verdict(&self.addresses, route, wanted.family, local);
        };
        let index = self.index(name);
        let own = self.addresses.iter().filter(|address| Some(address.index) == index);
        auto::awaits_verdict(&own.cloned().collect::<Vec<_>>(), route, wanted.family, false)
    }

    /// The choice among the addresses of `interface`, which is that of `source`.
    pub(super) fn choice(
        &self,
        wanted: Wanted<'_>,
        source: &Source,
        interface: &Interface,
    ) -> Choice {
        let Wanted { family, set_now, .. } = wanted;
        let own = self.addresses.iter().filter(|a| a.interface == interface.name.as_str());
        let own: Vec<_> = own.cloned().collect();
        let preferences = Preferences {
            allow_private: source.allow_private || wanted.is_local(),
            count: interface.count,
            prefer_temporary: source.prefer_temporary,
        };
        match (&interface.neighbour, set_now) {
            (Some(neighbour), Some(set)) => {
                let standing = neighbour.standing_for(&own, &self.delegated, set);
                choose(&own, family, preferences, standing.as_ref())
            }
            _ => choose(&own, family, preferences, set_now),
        }
    }
}

impl InterfaceFacts {
    fn read_kernel(name: InterfaceName, addresses: &[KernelAddress]) -> io::Result<Self> {
        let Some(interface) = kernel::interface(name)? else { return Ok(Self::default()) };
        let route = |family| {
            let found = interface::route(interface.index, family, addresses)?;
            io::Result::Ok(found.map(|(route, _)| route))
        };
        let routes = PerFamily { v4: route(Family::V4)?, v6: route(Family::V6)? };
        Ok(Self { interface: Some(interface), routes })
    }

    fn index(&self) -> Option<u32> {
        self.interface.map(|interface| interface.index)
    }
}

/// The interfaces that `config`'s hosts and the sources that they use are bound to.
fn binds(config: &Config) -> SortedSet<InterfaceName> {
    let mut binds = SortedSet::new();
    for wanted in Wanted::each(config) {
        binds.extend(wanted.bind());
        if let Some(SourceKind::Outside(outside)) = wanted.named().map(|source| &source.kind) {
            binds.extend(outside.bind);
        }
    }
    binds
}

/// Whether any host of `config` needs the kernel's addresses or routes: sources outside are asked
/// again when a route to the Internet comes up, and bound requests repeated with their interface.
pub(super) fn is_needed(config: &Config) -> bool {
    Wanted::each(config).any(|wanted| {
        let named = wanted.named().map(|source| &source.kind);
        wanted.bind().is_some()
            || wanted.source() == Some(SourceRef::Auto)
            || matches!(named, Some(SourceKind::Interface(_) | SourceKind::Outside(_)))
    })
}

/// The kernel's routes to the Internet. A link-local source is as good as none.
pub fn routes() -> io::Result<PerFamily<Option<Route>>> {
    let global = |source: &IpAddr| special(*source) != Some(Special::LinkLocal);
    let route = |family| {
        let route = kernel::route(family)?;
        io::Result::Ok(route.map(|route| Route { source: route.source.filter(global), ..route }))
    };
    Ok(PerFamily { v4: route(Family::V4)?, v6: route(Family::V6)? })
}

/// The best route of `family` by another interface than `index` that has an address to publish.
fn around(index: u32, family: Family, addresses: &[KernelAddress]) -> io::Result<Option<Route>> {
    let mut best: Option<(u32, u32)> = None;
    let may = |address: &&KernelAddress| {
        let Flags { down, no_carrier, .. } = address.flags;
        let is_able = Family::of(address.address) == family && !down && !no_carrier;
        address.index != index && is_able && unpublishable(address.address, true).is_none()
    };
    for other in addresses.iter().filter(may).map(|a| a.index).collect::<SortedSet<_>>() {
        if let Some(metric) = kernel::metric_by(other, family)? {
            best = best.into_iter().chain([(metric, other)]).min();
        }
    }
    let Some((_, index)) = best else { return Ok(None) };
    kernel::route_by(index, family)
}

impl SourceFacts {
    /// The facts of `snapshot` that `config`'s sources use.
    ///
    /// An interface source uses its interface; `auto` those by which packets leave for the Internet, or
    /// any where no route leads there. A new route there is a reason to ask sources outside. Of an
    /// interface that something is bound to, state, addresses and routes count.
    pub fn of(config: &Config, snapshot: &Snapshot) -> Self {
        let mut names: SortedSet<&str> = SortedSet::new();
        let mut internet = PerFamily { v4: false, v6: false };
        let mut awaits_verdict = false;
        let mut asked = SortedSet::new();
        for wanted in Wanted::each(config) {
            // Most hosts share their source, and what it says of a verdict is the same for all of them.
            let question = (wanted.source(), wanted.family, wanted.bind(), wanted.is_local());
            if !asked.insert(question) {
                continue;
            }
            match (wanted.source(), wanted.named()) {
                (None, _) => {}
                (Some(_), None) => {
                    internet[wanted.family] |= wanted.bind().is_none();
                    awaits_verdict |= snapshot.auto_awaits_verdict(wanted);
                }
                (Some(_), Some(source)) => match &source.kind {
                    SourceKind::Interface(interface) => {
                        let choice = snapshot.choice(wanted, source, interface);
                        awaits_verdict |= choice.awaits_verdict;
                        names.insert(interface.name.as_str());
                    }
                    SourceKind::Outside(outside) => {
                        internet[wanted.family] |= outside.bind.is_none();
                    }
                    SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Static(_) => {}
                },
            }
        }
        // The IPv6 source may be a temporary address, whose rotation changes no choice.
        let lasting = |family: Family, route: &Option<Route>| {
            let route = route.clone()?;
            Some(Route { source: route.source.filter(|_| family == Family::V4), ..route })
        };
        let routes = snapshot
            .routes
            .map(|family, route| lasting(family, route).filter(|_| internet[family]));
        let mut lines = snapshot.lines.clone();
        for line in lines.values_mut() {
            line.routes = line.routes.map(lasting);
        }
        let is_used = |address: &&KernelAddress| {
            let family = Family::of(address.address);
            // Link-local addresses come and go with every carrier, and no source uses them.
            if unpublishable(address.address, true).is_some() {
                return false;
            }
            let is_of =
                |route: &Route| route.leads_by(&snapshot.addresses).contains(&address.index);
            // Addresses of containers come and go all day.
            let leads_out = internet[family]
                && (snapshot.routes[family].as_ref().is_none_or(is_of)
                    || snapshot.tunnels[family].is_some());
            leads_out
                || names.contains(address.interface.as_str())
                || lines.values().any(|line| line.index() == Some(address.index))
        };
        let addresses = choice::Facts::of(snapshot.addresses.iter().filter(is_used));
        let delegated = snapshot.delegated.clone();
        Self { addresses, routes, lines, delegated, awaits_verdict }
    }

    /// Whether an address that would be used is still being checked for duplicates.
    pub fn awaits_verdict(&self) -> bool {
        self.awaits_verdict
    }
}
