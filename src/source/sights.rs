//! Sights: what every source saw in one round, asked once however many hosts use it.
//!
//! Gathers the kernel's snapshot and the answers of services outside, files and programs; what that
//! means for one host is then told without asking anybody again. Called by the round and `address`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::outside::{Outside, Service};
use super::{Interface, Kind, Source, command, file, kernel, outside};
use crate::config::{Config, HostConfig, SourceRef};
use crate::core::address::{Addresses, Family, PerFamily, unpublishable};
use crate::core::auto::{Auto, Route, auto};
use crate::core::choice::{self, Choice, KernelAddress, Preferences, Verdict, choose};
use crate::core::plan::Seen;
use crate::core::prefix::{Neighbour, Prefix};
use crate::core::provider::{Protocol, Provider};
use crate::http::Clients;
use crate::waiting::Waiting;

/// Services that belong to nobody in particular: `auto` believes them only when two agree.
const THIRD_PARTIES: PerFamily<[&str; 3]> = PerFamily {
    v4: ["https://api.ipify.org/", "https://checkip.amazonaws.com/", "https://ipv4.icanhazip.com/"],
    v6: ["https://api6.ipify.org/", "https://v6.ident.me/", "https://ipv6.icanhazip.com/"],
};

/// How long a source outside rests that was asked because of an event.
pub const OUTSIDE_REST: Duration = Duration::from_secs(60);

/// The longest that a round waits for the kernel's verdict about a tentative address.
pub const LONGEST_VERDICT: Duration = Duration::from_secs(3);

/// Somebody to ask for an address of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Question {
    /// The echo service of the provider at that place of the configuration.
    Echo(usize),
    /// The source at that place of the configuration.
    Source(usize),
    /// Services of third parties.
    ThirdParties,
}

/// When each source outside was last asked, and whether there was a way to the Internet then.
#[derive(Debug, Default)]
pub struct Asked(BTreeMap<(Question, Family), (Instant, bool)>);

/// What the kernel says at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The addresses of every interface.
    pub addresses: Vec<KernelAddress>,
    /// The way towards the Internet in each family.
    pub routes: PerFamily<Option<Route>>,
    /// Prefixes that the provider has delegated to this machine; read only where a suffix needs it.
    pub delegated: Vec<Prefix>,
}

/// What of a snapshot the sources use: equal facts are no reason for a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    addresses: choice::Facts,
    routes: PerFamily<Option<Route>>,
    delegated: Vec<Prefix>,
    awaits_verdict: bool,
}

/// What was seen in one round.
#[derive(Debug)]
pub struct Sights {
    snapshot: Result<Snapshot, String>,
    answers: BTreeMap<(Question, Family), Result<IpAddr, String>>,
}

impl Snapshot {
    /// Reads the kernel's addresses and routes, as far as `config` needs them.
    pub fn take(config: &Config) -> Result<Self, String> {
        let failed = |error| format!("the kernel's addresses cannot be read: {error}");
        let addresses = kernel::addresses().map_err(failed)?;
        let route = |family| kernel::route(family).map_err(failed);
        let routes = PerFamily { v4: route(Family::V4)?, v6: route(Family::V6)? };
        let needs_delegated = config.sources.iter().any(|source| match &source.kind {
            Kind::Interface(Interface { neighbour: Some(neighbour), .. }) => {
                neighbour.prefix_length.is_none()
            }
            Kind::Command(_)
            | Kind::File(_)
            | Kind::Interface(_)
            | Kind::Outside(_)
            | Kind::Static(_) => false,
        });
        let delegated =
            if needs_delegated { kernel::delegated().map_err(failed)? } else { Vec::new() };
        Ok(Self { addresses, routes, delegated })
    }
}

impl Facts {
    /// What `config`'s sources use of `snapshot`.
    ///
    /// An interface source uses its interface; `auto` uses the interfaces that packets for the
    /// Internet leave by, or any where there is no such way. Sources outside use nothing of the kernel,
    /// but a new way to the Internet is a reason to ask them.
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
                    Some((source, Kind::Interface(interface))) => {
                        let choice = of_interface(snapshot, interface, family, source, local, None);
                        awaits_verdict |= choice.awaits_verdict;
                        if !names.contains(&interface.name.as_str()) {
                            names.push(&interface.name);
                        }
                    }
                    Some((_, Kind::Outside(_))) => internet[family] = true,
                    Some((_, Kind::Command(_) | Kind::File(_) | Kind::Static(_))) => {}
                    None => {
                        internet[family] = true;
                        let route = snapshot.routes[family].as_ref();
                        let auto = auto(&snapshot.addresses, route, family, local, None);
                        awaits_verdict |= auto == Auto::Tentative;
                    }
                }
            }
        }
        let routes = snapshot.routes.map(|family, route| {
            let route = route.clone().filter(|_| internet[family])?;
            // The IPv6 source may be a temporary address, whose rotation changes no choice.
            let source = route.source.filter(|_| family == Family::V4);
            Some(Route { source, ..route })
        });
        let is_used = |address: &&KernelAddress| {
            let family = Family::of(address.address);
            let is_of =
                |route: &Route| route.leads_by(&snapshot.addresses).contains(&address.index);
            let leads_out = internet[family] && snapshot.routes[family].as_ref().is_none_or(is_of);
            leads_out || names.contains(&address.interface.as_str())
        };
        let addresses = choice::Facts::of(snapshot.addresses.iter().filter(is_used));
        Self { addresses, routes, delegated: snapshot.delegated.clone(), awaits_verdict }
    }

    /// Whether an address that would be used is still being checked for duplicates.
    pub fn awaits_verdict(&self) -> bool {
        self.awaits_verdict
    }
}

/// Asks every source that `config`'s hosts use.
///
/// With `by_event`, sources outside that were asked less than [`OUTSIDE_REST`] ago are left out,
/// unless a way to the Internet has come up since; `asked` remembers when each was.
pub async fn look(
    config: &Config,
    clients: &Clients,
    asked: &mut Asked,
    by_event: bool,
    waiting: Waiting,
) -> Sights {
    let snapshot = if needs_kernel(config) {
        // A round that an event began has waited already.
        let patience = if by_event { Duration::ZERO } else { LONGEST_VERDICT };
        let what = "waiting for the kernel to find out whether a new address is unique";
        waiting.during(what, verdict(config, patience)).await
    } else {
        Ok(Snapshot::default())
    };
    let mut sights = Sights { snapshot, answers: BTreeMap::new() };
    let mut questions: Vec<(Question, Family)> =
        config.hosts.iter().flat_map(|host| sights.questions(config, host)).collect();
    questions.sort_unstable();
    questions.dedup();
    let routes = sights.snapshot.as_ref().map(|snapshot| &snapshot.routes).ok();
    let leads_out = PerFamily::from_fn(|family| routes.is_some_and(|of| of[family].is_some()));
    questions.retain(|question| {
        let is_outside = outside_of(config, *question).is_some();
        let leads_out = leads_out[question.1];
        let rests = asked
            .0
            .get(question)
            .is_some_and(|(at, led_out)| at.elapsed() < OUTSIDE_REST && (*led_out || !leads_out));
        let ask = !(is_outside && by_event && rests);
        if ask && is_outside {
            asked.0.insert(*question, (Instant::now(), leads_out));
        }
        ask
    });
    let mut answers: FuturesUnordered<_> = questions
        .into_iter()
        .map(|question| async move { (question, ask(config, clients, question, waiting).await) })
        .collect();
    while let Some((question, answer)) = answers.next().await {
        sights.answers.insert(question, answer);
    }
    drop(answers);
    sights
}

/// The kernel's snapshot once no wanted address is tentative, or `patience` is over.
async fn verdict(config: &Config, patience: Duration) -> Result<Snapshot, String> {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    loop {
        let snapshot = Snapshot::take(config)?;
        if begun.elapsed() >= patience || !Facts::of(config, &snapshot).awaits_verdict() {
            return Ok(snapshot);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether any source of `config` needs the kernel's addresses or routes: a source outside is
/// asked again when a way to the Internet comes up.
fn needs_kernel(config: &Config) -> bool {
    config.hosts.iter().any(|host| {
        host.sources.iter().any(|(_, source)| match source {
            Some(SourceRef::Auto) => true,
            Some(SourceRef::Named(at)) => {
                matches!(config.sources[*at].kind, Kind::Interface(_) | Kind::Outside(_))
            }
            None => false,
        })
    })
}

/// The services outside behind a question, when there are any.
fn outside_of(config: &Config, (question, family): (Question, Family)) -> Option<Outside> {
    match question {
        Question::Echo(provider) => {
            let provider = &config.providers[provider];
            let ca_file = provider.ca_file.as_deref().map(PathBuf::from);
            let web = |url: &str| Service::Web { url: url.to_owned(), ca_file: ca_file.clone() };
            let services = provider.echo[family].iter().map(|url| web(url)).collect();
            Some(Outside { services, agree: 1 })
        }
        Question::ThirdParties => {
            let web = |url: &str| Service::Web { url: url.to_owned(), ca_file: None };
            Some(Outside { services: THIRD_PARTIES[family].map(web).to_vec(), agree: 2 })
        }
        Question::Source(source) => match &config.sources[source].kind {
            Kind::Outside(outside) => Some(outside.clone()),
            Kind::Command(_) | Kind::File(_) | Kind::Interface(_) | Kind::Static(_) => None,
        },
    }
}

/// Asks one question.
async fn ask(
    config: &Config,
    clients: &Clients,
    (question, family): (Question, Family),
    waiting: Waiting,
) -> Result<IpAddr, String> {
    if let Some(outside) = outside_of(config, (question, family)) {
        let what = format!("waiting for {} to tell the {family} address", outside.names());
        return waiting.during(&what, outside::seen(&outside, family, clients)).await;
    }
    let Question::Source(source) = question else { return Err("nobody to ask".to_owned()) };
    let source = &config.sources[source];
    match &source.kind {
        Kind::Command(arguments) => {
            let what = format!("waiting for the command of source {}", source.name);
            waiting.during(&what, command::seen(arguments, family)).await
        }
        Kind::File(path) => file::seen(path, family),
        Kind::Interface(_) | Kind::Outside(_) | Kind::Static(_) => Err("nobody to ask".to_owned()),
    }
}

impl Sights {
    /// What the kernel said.
    pub fn snapshot(&self) -> Result<&Snapshot, &str> {
        self.snapshot.as_ref().map_err(String::as_str)
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

    /// How the addresses of `source` compare for `host`, for people; `None` when it is no interface.
    pub fn choice(
        &self,
        config: &Config,
        source: &Source,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Option<Choice> {
        let Kind::Interface(interface) = &source.kind else { return None };
        let snapshot = self.snapshot.as_ref().ok()?;
        let local = is_local(&config.providers[host.provider]);
        Some(of_interface(snapshot, interface, family, source, local, set_now))
    }

    /// The questions that `host` needs answered.
    fn questions(&self, config: &Config, host: &HostConfig) -> Vec<(Question, Family)> {
        let question = |family: Family| match host.sources[family]? {
            SourceRef::Named(at) => match config.sources[at].kind {
                Kind::Command(_) | Kind::File(_) | Kind::Outside(_) => Some(Question::Source(at)),
                Kind::Interface(_) | Kind::Static(_) => None,
            },
            SourceRef::Auto => match self.towards_internet(config, host, family, None)? {
                Auto::BehindNat => Some(echo(config, host, family)),
                Auto::Absent(_) | Auto::Here(_) | Auto::Tentative => None,
            },
        };
        let asked = Family::BOTH.into_iter().map(|family| (question(family), family));
        asked.filter_map(|(question, family)| Some((question?, family))).collect()
    }

    fn towards_internet(
        &self,
        config: &Config,
        host: &HostConfig,
        family: Family,
        set_now: Option<&Addresses>,
    ) -> Option<Auto> {
        let snapshot = self.snapshot.as_ref().ok()?;
        let local = is_local(&config.providers[host.provider]);
        let route = snapshot.routes[family].as_ref();
        Some(auto(&snapshot.addresses, route, family, local, set_now))
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
            Some(Auto::BehindNat) => self.answer((echo(config, host, family), family), false, None),
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
            Kind::Interface(interface) => match &self.snapshot {
                Err(reason) => Seen::Unknown(reason.clone()),
                Ok(snapshot) => {
                    let choice = of_interface(snapshot, interface, family, source, local, set_now);
                    match (&interface.neighbour, chosen(&choice)) {
                        (Some(neighbour), Some(ours)) => {
                            let delegated = &snapshot.delegated;
                            beside(ours, neighbour, delegated, allow_private, source)
                        }
                        _ => on_interface(&choice, snapshot, &interface.name, family),
                    }
                }
            },
            Kind::Static(addresses) => {
                let own = addresses.iter().copied().filter(|&a| Family::of(a) == family);
                match Addresses::new(own) {
                    Some(addresses) => published(addresses, allow_private, Some(source)),
                    None => {
                        Seen::Unknown(format!("source {} has no {family} address", source.name))
                    }
                }
            }
            Kind::Command(_) | Kind::File(_) | Kind::Outside(_) => {
                self.answer((Question::Source(at), family), allow_private, Some(source))
            }
        }
    }

    fn answer(
        &self,
        question: (Question, Family),
        allow_private: bool,
        source: Option<&Source>,
    ) -> Seen {
        match self.answers.get(&question) {
            None => Seen::NotAsked,
            Some(Ok(address)) => published((*address).into(), allow_private, source),
            Some(Err(reason)) => Seen::Unknown(reason.clone()),
        }
    }
}

const TENTATIVE: &str = "the kernel has not finished checking that the address is unique";

/// Whether a provider serves a local network, where private addresses are as good as any.
fn is_local(provider: &Provider) -> bool {
    provider.protocol == Protocol::HostsFile
}

/// Whom `auto` asks behind NAT: the provider's own service, else third parties.
fn echo(config: &Config, host: &HostConfig, family: Family) -> Question {
    match config.providers[host.provider].echo[family] {
        Some(_) => Question::Echo(host.provider),
        None => Question::ThirdParties,
    }
}

fn of_interface(
    snapshot: &Snapshot,
    interface: &Interface,
    family: Family,
    source: &Source,
    local: bool,
    set_now: Option<&Addresses>,
) -> Choice {
    let own = snapshot.addresses.iter().filter(|a| a.interface == interface.name);
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
    judged.find(|(_, verdict)| *verdict == Verdict::Chosen).map(|(address, _)| address)
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
    let here = snapshot.addresses.iter().any(|address| address.interface == name);
    Seen::Unknown(if here {
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
