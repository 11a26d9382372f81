//! Sights: what every source saw in one round, asked once however many hosts use it.
//!
//! Gathers the kernel's snapshot and the answers of services outside, files and programs; what that
//! means for one host is then told without asking anybody again. Called by the round and `address`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::outside::ServiceAnswers;
use super::{command, file, outside};
use crate::config::{Config, HostConfig, SourceRef};
use crate::core::address::auto::{self, Auto, Route, auto, auto_by, past_tunnel};
use crate::core::address::choice::{
    self, AddressVerdict, Choice, Flags, KernelAddress, Preferences, choose,
};
use crate::core::address::echo::{self, Echo};
use crate::core::address::interface::InterfaceName;
use crate::core::address::prefix::{Neighbour, Prefix};
use crate::core::address::renewal::{Listed, Renewals};
use crate::core::address::standing::{self, Lessons, ServiceAnswer, lessons};
use crate::core::address::{Addresses, Family, PerFamily, Special, special, unpublishable};
use crate::core::plan::Seen;
use crate::core::provider::{Provider, Text};
use crate::core::source::{Interface, Outside, Service, Source, SourceKind};
use crate::core::veil::{Much, Veil};
use crate::net::http::Clients;
use crate::net::interface;
use crate::os::kernel;
use crate::os::kernel::Listing;
use crate::os::waiting::Waiting;

/// How long a source outside rests that was asked because of an event.
pub const OUTSIDE_REST: Duration = Duration::from_secs(60);

/// The longest that a round waits for the kernel's verdict about a tentative address.
pub const LONGEST_VERDICT: Duration = Duration::from_secs(3);

/// Somebody to ask for an address of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Question {
    /// The echo service of the provider at that place of the configuration, by that line.
    Echo(usize, Option<InterfaceName>),
    /// The source at that place of the configuration.
    Source(usize),
    /// Services of third parties, by that line.
    ThirdParties(Option<InterfaceName>),
}

/// When each source outside was last asked, and whether there was a way to the Internet then.
#[derive(Debug, Default)]
pub struct Asked(BTreeMap<(Question, Family), (Instant, bool)>);

/// What the kernel says at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The addresses of every interface.
    pub addresses: Vec<KernelAddress>,
    /// The way towards the Internet in each family, which is no dead line's where another leads
    /// out.
    pub routes: PerFamily<Option<Route>>,
    /// The same as the kernel tells it, which may lead by a line without a carrier.
    pub kernels_routes: PerFamily<Option<Route>>,
    /// The tunnel that each family's way leads through, if it does.
    pub tunnels: PerFamily<Option<Tunnel>>,
    /// What is to be remembered about the renewals of the addresses.
    pub renewals: Renewals,
    /// The lines that the configuration binds something to.
    pub lines: BTreeMap<InterfaceName, InterfaceFacts>,
    /// Prefixes that the provider has delegated to this machine; read only where a suffix needs it.
    pub delegated: Vec<Prefix>,
}

/// An interface that carries a family's packets through another line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// The way that there would be without it.
    pub around: Option<Route>,
}

/// What the kernel says of a line at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InterfaceFacts {
    /// Its interface, if it is there.
    pub interface: Option<kernel::Interface>,
    /// The way towards the Internet by it in each family.
    pub routes: PerFamily<Option<Route>>,
}

/// What of a snapshot the sources use: equal facts are no reason for a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFacts {
    addresses: choice::Facts,
    routes: PerFamily<Option<Route>>,
    lines: BTreeMap<InterfaceName, InterfaceFacts>,
    delegated: Vec<Prefix>,
    awaits_verdict: bool,
}

/// What was seen in one round.
#[derive(Debug)]
pub struct Sights {
    snapshot: Result<Snapshot, String>,
    /// The services that are left aside.
    aside: BTreeSet<standing::ServiceId>,
    answers: BTreeMap<(Question, Family), ServiceAnswers>,
}

impl Snapshot {
    /// Reads the kernel's addresses and routes, as far as `config` needs them; `known` is what
    /// earlier looks found out about renewals.
    pub fn take(config: &Config, known: &Renewals) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the kernel's addresses cannot be read: {error}");
        let Listing { mut addresses, without_carrier, tunnels: names } =
            kernel::listing().map_err(failed)?;
        for Listed { address, .. } in &mut addresses {
            address.flags.no_carrier = without_carrier.contains(&address.index);
        }
        let (addresses, renewals) = known.judge(addresses);
        let kernels_routes = routes().map_err(failed)?;
        let mut routes = kernels_routes.clone();
        let mut tunnels = PerFamily::default();
        for family in Family::BOTH {
            let Some(Route { index, source, .. }) = routes[family] else { continue };
            let dead = without_carrier.contains(&index);
            let name = names.iter().find(|(tunnel, _)| *tunnel == index);
            let name = name.map(|(_, name)| name.clone());
            if !dead && name.is_none() {
                continue;
            }
            let around = around(index, family, &addresses).map_err(failed)?;
            let has_none = source.is_none_or(|source| unpublishable(source, false).is_some());
            match name {
                Some(name) if !dead || has_none => tunnels[family] = Some(Tunnel { name, around }),
                // Where nothing else leads out, it may be plugged in again.
                _ if around.is_some() => routes[family] = around,
                _ => {}
            }
        }
        let mut lines = BTreeMap::new();
        for name in binds(config) {
            lines.insert(name, InterfaceFacts::take(name, &addresses).map_err(failed)?);
        }
        let needs_delegated = config.sources.iter().any(|source| match &source.kind {
            SourceKind::Interface(Interface { neighbour: Some(neighbour), .. }) => {
                neighbour.prefix_length.is_none()
            }
            SourceKind::Command(_)
            | SourceKind::File(_)
            | SourceKind::Interface(_)
            | SourceKind::Outside(_)
            | SourceKind::Static(_) => false,
        });
        let delegated =
            if needs_delegated { kernel::delegated().map_err(failed)? } else { Vec::new() };
        Ok(Self { addresses, routes, kernels_routes, tunnels, renewals, lines, delegated })
    }

    /// The way of `family` towards the Internet, by the line `bind` if one is given.
    fn route(&self, family: Family, bind: Option<InterfaceName>) -> Option<&Route> {
        match bind {
            None => self.routes[family].as_ref(),
            Some(name) => self.lines.get(&name)?.routes[family].as_ref(),
        }
    }
}

impl InterfaceFacts {
    /// Reads the interface `name` and the routes by it.
    fn take(name: InterfaceName, addresses: &[KernelAddress]) -> io::Result<Self> {
        let Some(interface) = kernel::interface(name)? else { return Ok(Self::default()) };
        let route = |family| {
            let found = interface::route(interface.index, family, addresses)?;
            io::Result::Ok(found.map(|(route, _)| route))
        };
        let routes = PerFamily { v4: route(Family::V4)?, v6: route(Family::V6)? };
        Ok(Self { interface: Some(interface), routes })
    }
}

/// The lines of `config`'s hosts and of the sources that they use.
fn binds(config: &Config) -> BTreeSet<InterfaceName> {
    let mut binds = BTreeSet::new();
    for host in &config.hosts {
        binds.extend(host.host.bind);
        for (_, source) in host.sources.iter() {
            let Some(SourceRef::Named(at)) = source else { continue };
            if let SourceKind::Outside(outside) = &config.sources[*at].kind {
                binds.extend(outside.bind);
            }
        }
    }
    binds
}

/// The kernel's ways towards the Internet. A link-local source is as good as none.
pub fn routes() -> io::Result<PerFamily<Option<Route>>> {
    let global = |source: &IpAddr| special(*source) != Some(Special::LinkLocal);
    let route = |family| {
        let route = kernel::route(family)?;
        io::Result::Ok(route.map(|route| Route { source: route.source.filter(global), ..route }))
    };
    Ok(PerFamily { v4: route(Family::V4)?, v6: route(Family::V6)? })
}

/// The best way of `family` by another interface than `index` that has an address to publish.
fn around(index: u32, family: Family, addresses: &[KernelAddress]) -> io::Result<Option<Route>> {
    let mut best: Option<(u32, u32)> = None;
    let may = |address: &&KernelAddress| {
        let Flags { down, no_carrier, .. } = address.flags;
        let is_able = Family::of(address.address) == family && !down && !no_carrier;
        address.index != index && is_able && unpublishable(address.address, true).is_none()
    };
    let others: BTreeSet<u32> = addresses.iter().filter(may).map(|a| a.index).collect();
    for other in others {
        if let Some(metric) = kernel::metric_by(other, family)? {
            best = best.into_iter().chain([(metric, other)]).min();
        }
    }
    let Some((_, index)) = best else { return Ok(None) };
    kernel::route_by(index, family)
}

impl SourceFacts {
    /// What `config`'s sources use of `snapshot`.
    ///
    /// An interface source uses its interface; `auto` uses the interfaces that packets for the
    /// Internet leave by, or any where there is no such way. Sources outside use nothing of the kernel,
    /// but a new way to the Internet is a reason to ask them. Of every line that something is bound to,
    /// the interface, its addresses and its routes count.
    pub fn of(config: &Config, snapshot: &Snapshot) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut internet = PerFamily { v4: false, v6: false };
        let mut awaits_verdict = false;
        for host in &config.hosts {
            let local = is_local(&config.providers[host.provider]);
            for (family, source) in host.sources.iter() {
                let kind = match source {
                    None => continue,
                    Some(SourceRef::Named(at)) => Some(&config.sources[*at]),
                    Some(SourceRef::Auto) => None,
                };
                match kind.map(|source| (source, &source.kind)) {
                    Some((source, SourceKind::Interface(interface))) => {
                        let choice = of_interface(snapshot, interface, family, source, local, None);
                        awaits_verdict |= choice.awaits_verdict;
                        if !names.contains(&interface.name.as_str()) {
                            names.push(interface.name.as_str());
                        }
                    }
                    Some((_, SourceKind::Outside(outside))) => {
                        internet[family] |= outside.bind.is_none();
                    }
                    Some((
                        _,
                        SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Static(_),
                    )) => {}
                    None => {
                        internet[family] |= host.host.bind.is_none();
                        awaits_verdict |= auto_awaits_verdict(snapshot, config, host, family);
                    }
                }
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
            // Link-local addresses come and go with every carrier, and nobody uses them.
            if unpublishable(address.address, true).is_some() {
                return false;
            }
            let is_of =
                |route: &Route| route.leads_by(&snapshot.addresses).contains(&address.index);
            // Those of containers come and go all day.
            let leads_out = internet[family]
                && (snapshot.routes[family].as_ref().is_none_or(is_of)
                    || snapshot.tunnels[family].is_some());
            let interfaces = || lines.values().filter_map(|line| line.interface);
            leads_out
                || names.contains(&address.interface.as_str())
                || interfaces().any(|interface| interface.index == address.index)
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

/// Asks every source that `config`'s hosts use; services in `aside` come last in theirs.
///
/// With `by_event`, sources outside that were asked less than [`OUTSIDE_REST`] ago are left out,
/// unless a way to the Internet has come up since; `asked` remembers when each was.
pub async fn look(
    config: &Config,
    clients: &Clients,
    asked: &mut Asked,
    aside: BTreeSet<standing::ServiceId>,
    by_event: bool,
    known: &Renewals,
    waiting: Waiting,
) -> Sights {
    let snapshot = if needs_kernel(config) {
        // A round that an event began has waited already.
        let patience = if by_event { Duration::ZERO } else { LONGEST_VERDICT };
        let what = "waiting for the kernel to find out whether a new address is unique";
        waiting.during(what, verdict(config, known, patience)).await
    } else {
        Ok(Snapshot::default())
    };
    let mut sights = Sights { snapshot, aside, answers: BTreeMap::new() };
    let mut spared: BTreeSet<(Question, Family)> = BTreeSet::new();
    loop {
        // An answer may make another question necessary.
        let mut questions: BTreeSet<(Question, Family)> =
            config.hosts.iter().flat_map(|host| sights.questions(config, host)).collect();
        questions.retain(|question| {
            let outside = outside_of(config, *question);
            let is_outside = outside.is_some();
            let bind = outside.and_then(|outside| outside.bind);
            let snapshot = sights.snapshot.as_ref();
            let leads_out =
                snapshot.is_ok_and(|snapshot| snapshot.route(question.1, bind).is_some());
            let rests = asked.0.get(question).is_some_and(|(at, led_out)| {
                at.elapsed() < OUTSIDE_REST && (*led_out || !leads_out)
            });
            let ask = !(spared.contains(question) || is_outside && by_event && rests);
            if !ask {
                spared.insert(*question);
            } else if is_outside {
                asked.0.insert(*question, (Instant::now(), leads_out));
            }
            ask
        });
        if questions.is_empty() {
            return sights;
        }
        let aside = &sights.aside;
        let mut answers: FuturesUnordered<_> = questions
            .into_iter()
            .map(|question| async move {
                (question, ask(config, clients, question, aside, waiting).await)
            })
            .collect();
        let mut told = Vec::with_capacity(answers.len());
        while let Some(answer) = answers.next().await {
            told.push(answer);
        }
        drop(answers);
        sights.answers.extend(told);
    }
}

/// The kernel's snapshot once no wanted address is tentative, or `patience` is over.
async fn verdict(
    config: &Config,
    known: &Renewals,
    patience: Duration,
) -> Result<Snapshot, String> {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    loop {
        let snapshot = Snapshot::take(config, known)?;
        if begun.elapsed() >= patience || !SourceFacts::of(config, &snapshot).awaits_verdict() {
            return Ok(snapshot);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether any source of `config` needs the kernel's addresses or routes: a source outside is
/// asked again when a way to the Internet comes up, a host's requests repeated when its line does.
fn needs_kernel(config: &Config) -> bool {
    config.hosts.iter().any(|host| {
        let is_bound = host.host.bind.is_some();
        is_bound
            || host.sources.iter().any(|(_, source)| match source {
                Some(SourceRef::Auto) => true,
                Some(SourceRef::Named(at)) => {
                    matches!(
                        config.sources[*at].kind,
                        SourceKind::Interface(_) | SourceKind::Outside(_)
                    )
                }
                None => false,
            })
    })
}

/// The services outside behind a question, when there are any.
fn outside_of(config: &Config, (question, family): (Question, Family)) -> Option<Outside> {
    match question {
        Question::Echo(provider, bind) => {
            let provider = &config.providers[provider];
            let ca_file = provider.ca_file.as_deref().map(PathBuf::from);
            let web =
                |url: &Text| Service::Web { echo: Echo::at(url.clone()), ca_file: ca_file.clone() };
            let services = provider.echo[family].iter().map(web).collect();
            Some(Outside { services, agree: 1, bind })
        }
        Question::ThirdParties(bind) => {
            let web = |echo: Echo| Service::Web { echo, ca_file: None };
            let services = echo::third_parties(family).map(web).collect();
            Some(Outside { services, agree: 2, bind })
        }
        Question::Source(source) => match &config.sources[source].kind {
            SourceKind::Outside(outside) => Some(outside.clone()),
            SourceKind::Command(_)
            | SourceKind::File(_)
            | SourceKind::Interface(_)
            | SourceKind::Static(_) => None,
        },
    }
}

/// Every service that a host of `config` may need: the others' standings may be forgotten.
pub fn services(config: &Config) -> BTreeSet<standing::ServiceId> {
    let mut services = BTreeSet::new();
    for host in &config.hosts {
        for (family, source) in host.sources.iter() {
            let questions = match source {
                None => Vec::new(),
                Some(SourceRef::Auto) => {
                    let bind = host.host.bind;
                    vec![Question::Echo(host.provider, bind), Question::ThirdParties(bind)]
                }
                Some(SourceRef::Named(at)) => vec![Question::Source(*at)],
            };
            let outside = questions.into_iter().filter_map(|q| outside_of(config, (q, family)));
            for Outside { services: of_one, .. } in outside {
                services.extend(of_one.iter().map(|service| service.known_as(family)));
            }
        }
    }
    services
}

/// Asks one question.
async fn ask(
    config: &Config,
    clients: &Clients,
    (question, family): (Question, Family),
    aside: &BTreeSet<standing::ServiceId>,
    waiting: Waiting,
) -> ServiceAnswers {
    if let Some(outside) = outside_of(config, (question, family)) {
        let what = format!("waiting for {} to tell the {family} address", outside.names());
        return waiting.during(&what, outside::ask(&outside, family, clients, aside)).await;
    }
    let address = match question {
        Question::Source(source) => here(config, &config.sources[source], family, waiting).await,
        Question::Echo(..) | Question::ThirdParties(_) => Err(NOBODY.to_owned()),
    };
    ServiceAnswers { address, said: Vec::new(), names: Vec::new() }
}

/// Asks a source on this machine.
async fn here(
    config: &Config,
    source: &Source,
    family: Family,
    waiting: Waiting,
) -> Result<IpAddr, String> {
    match &source.kind {
        SourceKind::Command(arguments) => {
            let what = format!("waiting for the command of source {}", source.name);
            let program = (&arguments[..], config.programs_as);
            waiting.during(&what, command::seen(program, family)).await
        }
        SourceKind::File(path) => file::seen(path, family),
        SourceKind::Interface(_) | SourceKind::Outside(_) | SourceKind::Static(_) => {
            Err(NOBODY.to_owned())
        }
    }
}

const NOBODY: &str = "nobody to ask";

impl Question {
    /// Who is asked, where one question follows another.
    fn whom(self) -> &'static str {
        match self {
            Self::Echo(..) => "the provider's own service",
            Self::Source(_) => "the source",
            Self::ThirdParties(_) => "third parties",
        }
    }
}

impl Sights {
    /// Whether any source told something else than an address.
    pub fn has_complaints(&self) -> bool {
        self.answers
            .values()
            .any(|told| told.address.is_err() || told.said.iter().any(|said| said.answer.is_err()))
    }

    /// Takes secrets out of what sources told instead of addresses: a program may print anything.
    pub fn hide(&mut self, veil: &mut Veil) {
        for told in self.answers.values_mut() {
            let answers = told.said.iter_mut().map(|said| &mut said.answer);
            for complaint in answers.chain([&mut told.address]).filter_map(|it| it.as_mut().err()) {
                if let Some(cleaned) = veil.clean(complaint, Much::Part) {
                    *complaint = cleaned;
                }
            }
        }
    }

    /// What the kernel said.
    pub fn snapshot(&self) -> Result<&Snapshot, &str> {
        self.snapshot.as_ref().map_err(String::as_str)
    }

    /// Whether a host's source was asked and had nothing to tell that is believed.
    pub fn is_silent(&self, config: &Config) -> bool {
        let is_silent = |host: &HostConfig, family: Family| {
            let chain = self.chain(config, host, family).into_iter();
            let mut told = chain.filter_map(|question| self.answers.get(&(question, family)));
            let first = told.next();
            first.is_some_and(|first| first.address.is_err() && told.all(|t| t.address.is_err()))
        };
        let mut hosts = config.hosts.iter();
        hosts.any(|host| Family::BOTH.into_iter().any(|family| is_silent(host, family)))
    }

    /// What `host`'s source of `family` saw; `set_now` stays chosen while it is among the best.
    pub fn seen(
        &self,
        config: &Config,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Seen {
        match host.sources[family] {
            None => Seen::NotAsked,
            Some(SourceRef::Auto) => self.auto(config, host, family, set_now),
            Some(SourceRef::Named(at)) => self.named(config, at, host, family, set_now),
        }
    }

    /// Why `host`'s address of `family` is another one than its way to the Internet has, in words.
    pub fn detour(
        &self,
        config: &Config,
        host: &HostConfig,
        family: Family,
        seen: &Seen,
    ) -> Option<String> {
        let snapshot = self.snapshot.as_ref().ok()?;
        let (Some(SourceRef::Auto), None) = (host.sources[family], host.host.bind) else {
            return None;
        };
        let (Seen::Here(seen), Some(tunnel)) = (seen, &snapshot.tunnels[family]) else {
            return None;
        };
        let local = is_local(&config.providers[host.provider]);
        let route = snapshot.routes[family].as_ref();
        let decided = auto(&snapshot.addresses, route, family, local, None);
        past_tunnel_of(snapshot, &decided, family, local, None)?;
        let of = |a: &&KernelAddress| seen.contains(a.address);
        let owner = snapshot.addresses.iter().find(of)?;
        let (tunnel, owner) = (&tunnel.name, &owner.interface);
        Some(format!(
            "{family} leaves through the tunnel {tunnel}, which has no address to publish; {seen} of {owner} is published"
        ))
    }

    /// How the addresses of `source` compare for `host`, for people; `None` when it is no interface.
    pub fn choice(
        &self,
        config: &Config,
        source: &Source,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Option<Choice> {
        let SourceKind::Interface(interface) = &source.kind else { return None };
        let snapshot = self.snapshot.as_ref().ok()?;
        let local = is_local(&config.providers[host.provider]);
        Some(of_interface(snapshot, interface, family, source, local, set_now))
    }

    /// What the services taught that were asked, question by question.
    pub fn lessons(&self, config: &Config) -> Lessons {
        let chains: BTreeSet<(Vec<Question>, Family)> = config
            .hosts
            .iter()
            .flat_map(|host| Family::BOTH.map(|family| (self.chain(config, host, family), family)))
            .collect();
        let mut all = Lessons::new();
        for (chain, family) in chains {
            let answer = |question| self.answers.get(&(question, family));
            let answers: Vec<&ServiceAnswers> = chain.into_iter().filter_map(answer).collect();
            let said: Vec<ServiceAnswer> =
                answers.iter().flat_map(|told| told.said.iter().cloned()).collect();
            let believed = answers.iter().find_map(|told| told.address.as_ref().ok());
            for (service, lesson) in lessons(&said, believed.copied()) {
                standing::add(&mut all, service, lesson);
            }
        }
        all
    }

    /// The questions that `host` needs answered now and that have no answer yet.
    fn questions(&self, config: &Config, host: &HostConfig) -> Vec<(Question, Family)> {
        let question = |family: Family| {
            let answer = |question: Question| self.answers.get(&(question, family));
            let chain = self.chain(config, host, family);
            let mut open = chain.into_iter().map(|question| (question, answer(question)));
            match open.find(|(_, told)| told.is_none_or(|told| told.address.is_ok()))? {
                (question, None) => Some((question, family)),
                (_, Some(_)) => None,
            }
        };
        Family::BOTH.into_iter().filter_map(question).collect()
    }

    /// The questions about `family` of which `host` needs one answered, in the order in which they
    /// are asked.
    ///
    /// Behind NAT `auto` asks the provider's own service, and third parties if that fails; the other
    /// way round while the provider's own is left aside.
    fn chain(&self, config: &Config, host: &HostConfig, family: Family) -> Vec<Question> {
        match host.sources[family] {
            None => Vec::new(),
            Some(SourceRef::Named(at)) => match config.sources[at].kind {
                SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Outside(_) => {
                    vec![Question::Source(at)]
                }
                SourceKind::Interface(_) | SourceKind::Static(_) => Vec::new(),
            },
            Some(SourceRef::Auto) => match self.towards_internet(config, host, family, None) {
                Some(Auto::BehindNat) => {
                    let bind = host.host.bind;
                    let (own, others) =
                        (Question::Echo(host.provider, bind), Question::ThirdParties(bind));
                    let services =
                        outside_of(config, (own, family)).map(|outside| outside.services);
                    match services.as_deref() {
                        Some([echo]) if self.aside.contains(&echo.known_as(family)) => {
                            vec![others, own]
                        }
                        Some([_, ..]) => vec![own, others],
                        Some([]) | None => vec![others],
                    }
                }
                Some(Auto::Absent(_) | Auto::Here(_) | Auto::Tentative) | None => Vec::new(),
            },
        }
    }

    fn towards_internet(
        &self,
        config: &Config,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Option<Auto> {
        let snapshot = self.snapshot.as_ref().ok()?;
        Some(towards_internet(snapshot, config, host, family, set_now))
    }

    fn auto(
        &self,
        config: &Config,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Seen {
        if let Err(reason) = &self.snapshot {
            return Seen::Unknown(reason.clone());
        }
        match self.towards_internet(config, host, family, set_now) {
            Some(Auto::Here(addresses)) => Seen::Here(addresses),
            Some(Auto::Absent(reason)) => Seen::Absent(reason),
            Some(Auto::Tentative) => Seen::Unknown(TENTATIVE.to_owned()),
            Some(Auto::BehindNat) => {
                self.answer(&self.chain(config, host, family), family, false, None)
            }
            None => Seen::Unknown("the kernel's addresses cannot be read".to_owned()),
        }
    }

    fn named(
        &self,
        config: &Config,
        at: usize,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Seen {
        let source = &config.sources[at];
        let local = is_local(&config.providers[host.provider]);
        let allow_private = source.allow_private || local;
        match &source.kind {
            SourceKind::Interface(interface) => match &self.snapshot {
                Err(reason) => Seen::Unknown(reason.clone()),
                Ok(snapshot) => {
                    let choice = of_interface(snapshot, interface, family, source, local, set_now);
                    match (&interface.neighbour, chosen(&choice)) {
                        (Some(neighbour), Some(ours)) => {
                            let delegated = &snapshot.delegated;
                            beside(ours, neighbour, delegated, allow_private, source)
                        }
                        _ => on_interface(&choice, snapshot, interface.name.as_str(), family),
                    }
                }
            },
            SourceKind::Static(addresses) => {
                let own = addresses.iter().copied().filter(|&a| Family::of(a) == family);
                match Addresses::new(own) {
                    Some(addresses) => published(addresses, allow_private, Some(source)),
                    None => {
                        Seen::Unknown(format!("source {} has no {family} address", source.name))
                    }
                }
            }
            SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Outside(_) => {
                self.answer(&[Question::Source(at)], family, allow_private, Some(source))
            }
        }
    }

    /// The answer to the first of the questions that was answered well; they were asked in that
    /// order.
    fn answer(
        &self,
        chain: &[Question],
        family: Family,
        allow_private: bool,
        source: Option<&Source>,
    ) -> Seen {
        let mut reasons = Vec::with_capacity(chain.len());
        for question in chain {
            match self.answers.get(&(*question, family)).map(|told| &told.address) {
                None => return Seen::NotAsked,
                Some(Ok(address)) => return published((*address).into(), allow_private, source),
                Some(Err(reason)) if chain.len() == 1 => reasons.push(reason.clone()),
                Some(Err(reason)) => reasons.push(format!("{}: {reason}", question.whom())),
            }
        }
        let told = |question: &Question| self.answers.get(&(*question, family));
        let told: Vec<&ServiceAnswers> = chain.iter().filter_map(told).collect();
        let common = outside::common_doubt(&told, family).filter(|_| told.len() > 1);
        Seen::Unknown(common.unwrap_or_else(|| reasons.join("; ")))
    }
}

const TENTATIVE: &str = "the kernel has not finished checking that the address is unique";

/// Whether a provider serves a local network.
fn is_local(provider: &Provider) -> bool {
    provider.protocol.manners().is_local()
}

/// Whether `auto` would decide otherwise for `host` once an address is found to be unique.
fn auto_awaits_verdict(
    snapshot: &Snapshot,
    config: &Config,
    host: &HostConfig,
    family: Family,
) -> bool {
    let (addresses, bind) = (&snapshot.addresses, host.host.bind);
    let route = snapshot.route(family, bind);
    match bind {
        Some(name) => {
            let line = snapshot.lines.get(&name);
            let interface = line.and_then(|line| line.interface);
            let is_own = |a: &&KernelAddress| interface.is_some_and(|of| of.index == a.index);
            let own: Vec<_> = addresses.iter().filter(is_own).cloned().collect();
            auto::awaits_verdict(&own, route, family, false)
        }
        None => {
            let local = is_local(&config.providers[host.provider]);
            auto::awaits_verdict(addresses, route, family, local)
        }
    }
}

/// What `auto` can tell of `host` without asking anybody, by its line where it is bound to one.
fn towards_internet(
    snapshot: &Snapshot,
    config: &Config,
    host: &HostConfig,
    family: Family,
    set_now: Option<&Addresses>,
) -> Auto {
    let (addresses, bind) = (&snapshot.addresses, host.host.bind);
    let route = snapshot.route(family, bind);
    match bind {
        Some(name) => {
            let interface = snapshot.lines.get(&name).and_then(|line| line.interface);
            let index = interface.map(|interface| interface.index);
            auto_by(name, index, addresses, route, family, set_now)
        }
        None => {
            let local = is_local(&config.providers[host.provider]);
            let decided = auto(addresses, route, family, local, set_now);
            match past_tunnel_of(snapshot, &decided, family, local, set_now) {
                Some(addresses) => Auto::Here(addresses),
                None => decided,
            }
        }
    }
}

/// The addresses to publish in place of what `decided` says, where that comes from a tunnel.
fn past_tunnel_of(
    snapshot: &Snapshot,
    decided: &Auto,
    family: Family,
    local: bool,
    set_now: Option<&Addresses>,
) -> Option<Addresses> {
    let tunnel = snapshot.tunnels[family].as_ref().filter(|_| !local)?;
    let route = snapshot.routes[family].as_ref()?;
    match decided {
        Auto::Absent(_) | Auto::BehindNat => {}
        Auto::Here(_) | Auto::Tentative => return None,
    }
    past_tunnel(&snapshot.addresses, route.index, tunnel.around.as_ref(), family, set_now)
}

fn of_interface(
    snapshot: &Snapshot,
    interface: &Interface,
    family: Family,
    source: &Source,
    local: bool,
    set_now: Option<&Addresses>,
) -> Choice {
    let own = snapshot.addresses.iter().filter(|a| a.interface == interface.name.as_str());
    let own: Vec<_> = own.cloned().collect();
    let preferences = Preferences {
        allow_private: source.allow_private || local,
        count: interface.count,
        prefer_temporary: source.prefer_temporary,
    };
    match (&interface.neighbour, set_now) {
        (Some(neighbour), Some(set)) => {
            let standing = neighbour.standing_for(&own, &snapshot.delegated, set);
            choose(&own, family, preferences, standing.as_ref())
        }
        _ => choose(&own, family, preferences, set_now),
    }
}

/// The address that was chosen, where at most one is.
fn chosen(choice: &Choice) -> Option<&KernelAddress> {
    let mut judged = choice.judged.iter();
    judged.find(|(_, verdict)| *verdict == AddressVerdict::Chosen).map(|(address, _)| address)
}

/// The address of `neighbour` beside `ours`, which is this machine's, if it may be published.
fn beside(
    ours: &KernelAddress,
    neighbour: &Neighbour,
    delegated: &[Prefix],
    allow_private: bool,
    source: &Source,
) -> Seen {
    match neighbour.address(ours, delegated) {
        Ok(address) => published(address.into(), allow_private, Some(source)),
        Err(misfit) => Seen::Unknown(format!(
            "source {} sees {} on interface {}: {misfit}",
            source.name, ours.address, ours.interface
        )),
    }
}

fn on_interface(choice: &Choice, snapshot: &Snapshot, name: &str, family: Family) -> Seen {
    if let Some(addresses) = &choice.chosen {
        return Seen::Here(addresses.clone());
    }
    if choice.awaits_verdict {
        return Seen::Unknown(TENTATIVE.to_owned());
    }
    // The kernel itself says so: what it does not have is absent, not unknown.
    let here = snapshot.addresses.iter().any(|address| address.interface == name);
    Seen::Absent(if here {
        format!("interface {name} has no {family} address to publish; `homing address` tells why")
    } else {
        format!("there is no interface {name} with an address; `ip address` lists those there are")
    })
}

/// What a source told, if it may be published; `source` is `None` for those that `auto` asks.
fn published(addresses: Addresses, allow_private: bool, source: Option<&Source>) -> Seen {
    let wrong = addresses.iter().find_map(|address| {
        unpublishable(address, allow_private).map(|special| (address, special))
    });
    let Some((address, special)) = wrong else { return Seen::Here(addresses) };
    let who = source.map_or_else(|| "auto".to_owned(), |source| format!("source {}", source.name));
    let fix = match source {
        Some(source) if special.may_be_allowed() => {
            format!("; to publish it, set allow-private = true in [source.{}]", source.name)
        }
        _ => String::new(),
    };
    Seen::Unknown(format!("{who} tells {address}, which is {special} and not published{fix}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::core::address::standing::{Lesson, ServiceFault};

    /// A host of deSEC's behind NAT, and what is seen there while `aside` is left aside.
    fn behind_nat(aside: BTreeSet<standing::ServiceId>) -> (Config, Sights) {
        let host = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\ntoken-file = \"t\"\n";
        let config = crate::config::parse(Path::new("/c.toml"), host, true).unwrap();
        let source = "192.168.1.2".parse().ok();
        let routes = PerFamily { v4: Some(Route { source, index: 1, gateway: None }), v6: None };
        let snapshot = Ok(Snapshot { routes, ..Snapshot::default() });
        (config, Sights { snapshot, aside, answers: BTreeMap::new() })
    }

    fn own() -> standing::ServiceId {
        let name = "https://checkipv4.dedyn.io/".to_owned();
        standing::ServiceId { name, family: Family::V4 }
    }

    fn ipify() -> standing::ServiceId {
        standing::ServiceId { name: "ipify".to_owned(), family: Family::V4 }
    }

    fn told(service: standing::ServiceId, answer: Result<&str, &str>) -> ServiceAnswers {
        let answer = answer.map(|text| text.parse().unwrap()).map_err(str::to_owned);
        let names = vec![service.name.clone()];
        ServiceAnswers {
            address: answer.clone(),
            said: vec![ServiceAnswer { service, answer }],
            names,
        }
    }

    const OWN: (Question, Family) = (Question::Echo(0, None), Family::V4);
    const THIRD_PARTIES: (Question, Family) = (Question::ThirdParties(None), Family::V4);

    #[test]
    fn auto_behind_nat_asks_third_parties_when_the_providers_own_service_fails() {
        let (config, mut sights) = behind_nat(BTreeSet::new());
        let host = &config.hosts[0];
        assert_eq!(sights.questions(&config, host), [OWN]);
        sights.answers.insert(OWN, told(own(), Err("it is silent")));
        assert_eq!(sights.questions(&config, host), [THIRD_PARTIES]);
        assert_eq!(sights.seen(&config, host, Family::V4, None), Seen::NotAsked);
        sights.answers.insert(THIRD_PARTIES, told(ipify(), Ok("8.8.8.8")));
        assert_eq!(sights.questions(&config, host), []);
        let seen = sights.seen(&config, host, Family::V4, None);
        assert_eq!(seen, Seen::Here("8.8.8.8".parse::<IpAddr>().unwrap().into()));
        let failed = Lesson::Blamed(ServiceFault::Failed, "it is silent".to_owned());
        let lessons = sights.lessons(&config);
        assert_eq!(lessons, [(own(), failed), (ipify(), Lesson::Right)].into());
        assert!(services(&config).is_superset(&lessons.into_keys().collect()));
    }

    #[test]
    fn auto_behind_nat_believes_the_providers_own_service_alone() {
        let (config, mut sights) = behind_nat(BTreeSet::new());
        let host = &config.hosts[0];
        sights.answers.insert(OWN, told(own(), Ok("8.8.8.8")));
        assert_eq!(sights.questions(&config, host), []);
        assert!(matches!(sights.seen(&config, host, Family::V4, None), Seen::Here(_)));
    }

    #[test]
    fn auto_behind_nat_asks_a_provider_that_is_left_aside_last() {
        let (config, mut sights) = behind_nat([own()].into());
        let host = &config.hosts[0];
        assert_eq!(sights.questions(&config, host), [THIRD_PARTIES]);
        sights.answers.insert(THIRD_PARTIES, told(ipify(), Err("it is silent")));
        assert_eq!(sights.questions(&config, host), [OWN]);
        sights.answers.insert(OWN, told(own(), Err("it is silent, too")));
        assert_eq!(sights.questions(&config, host), []);
        let reasons = "third parties: it is silent; the provider's own service: it is silent, too";
        let seen = sights.seen(&config, host, Family::V4, None);
        assert_eq!(seen, Seen::Unknown(reasons.to_owned()));
        assert_eq!(sights.lessons(&config), Lessons::new(), "nobody got through");
    }
}
