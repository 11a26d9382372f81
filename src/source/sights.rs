//! Sights: what every source saw in one round, asked once however many hosts use it.
//!
//! Gathers the kernel's snapshot and the answers of services outside, files and programs; finds the
//! result for one host from them without asking again. Called by the round and `address`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::outside::ServiceAnswers;
use super::snapshot::{self, Snapshot, SourceFacts, Wanted};
use super::{command, file, outside};
use crate::config::{Config, HostConfig, SourceRef};
use crate::core::address::auto::Auto;
use crate::core::address::choice::{AddressVerdict, Choice, KernelAddress};
use crate::core::address::echo::{self, Echo};
use crate::core::address::interface::InterfaceName;
use crate::core::address::renewal::Renewals;
use crate::core::address::standing::{self, Lessons, ServiceAnswer, lessons};
use crate::core::address::{Addresses, Family, unpublishable};
use crate::core::order::{SortedMap, SortedSet};
use crate::core::plan::Seen;
use crate::core::source::{Outside, Service, Source, SourceKind};
use crate::core::text::Text;
use crate::core::veil::{Much, Veil};
use crate::net::http::Clients;
use crate::os::clock::monotonic;
use crate::os::waiting::Waiting;

/// How long events do not make a round ask a source outside again.
pub const OUTSIDE_REST: Duration = Duration::from_secs(60);

/// The longest that a round waits for the kernel's verdict about a tentative address.
pub const LONGEST_VERDICT: Duration = Duration::from_secs(3);

/// A question for an address of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Question {
    /// The echo service of the provider at that index of the configuration, by that interface.
    Echo(usize, Option<InterfaceName>),
    /// The source at that index of the configuration.
    Source(usize),
    /// Services of third parties, by that interface.
    ThirdParties(Option<InterfaceName>),
}

/// When each source outside was last asked, by the steady clock, and whether there was a route to the
/// Internet then.
#[derive(Debug, Default)]
pub struct Asked(SortedMap<(Question, Family), (Duration, bool)>);

/// What the sources saw in one round.
#[derive(Clone, Debug)]
pub struct Sights {
    snapshot: Result<Snapshot, String>,
    /// The services that are asked last.
    aside: SortedSet<standing::ServiceId>,
    answers: SortedMap<(Question, Family), ServiceAnswers>,
}

/// Asks every source that `config`'s hosts use, and puts the answers into `sights` one by one; services
/// that were left aside come last in theirs.
///
/// With `by_event`, sources outside that were asked less than [`OUTSIDE_REST`] ago are left out,
/// unless a route to the Internet has come up since; `asked` remembers when each was.
pub async fn look(
    config: &Config,
    clients: &Clients,
    asked: &mut Asked,
    sights: &RefCell<Sights>,
    by_event: bool,
    known: &Renewals,
    waiting: Waiting,
) {
    let snapshot = if snapshot::is_needed(config) {
        // A round that an event began has waited already.
        let patience = if by_event { Duration::ZERO } else { LONGEST_VERDICT };
        let what = "waiting for the kernel to find out whether a new address is unique";
        waiting.during(what, verdict(config, known, patience)).await
    } else {
        Ok(Snapshot::default())
    };
    sights.borrow_mut().snapshot = snapshot;
    let aside = &sights.borrow().aside.clone();
    let ask =
        |question| async move { (question, ask(config, clients, question, aside, waiting).await) };
    let (mut taken_up, mut under_way) = (SortedSet::new(), FuturesUnordered::new());
    loop {
        let now = monotonic();
        let next = sights.borrow().next_questions(config, asked, by_event, now, &mut taken_up);
        under_way.extend(next.into_iter().map(ask));
        let Some((question, answers)) = under_way.next().await else { return };
        sights.borrow_mut().answers.insert(question, answers);
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
        Question::Source(index) => match &config.sources[index].kind {
            SourceKind::Outside(outside) => Some(outside.clone()),
            _ => None,
        },
    }
}

/// Every service that a host of `config` may need: the others' standings may be forgotten.
pub fn services(config: &Config) -> SortedSet<standing::ServiceId> {
    let mut services = SortedSet::new();
    for wanted in Wanted::each(config) {
        let questions = match wanted.source() {
            None => Vec::new(),
            Some(SourceRef::Auto) => Question::of_auto(wanted.host).to_vec(),
            Some(SourceRef::Named(index)) => vec![Question::Source(index)],
        };
        for question in questions {
            let outside = outside_of(config, (question, wanted.family));
            let of_question = outside.iter().flat_map(|outside| &outside.services);
            services.extend(of_question.map(|service| service.known_as(wanted.family)));
        }
    }
    services
}

/// Asks one question.
async fn ask(
    config: &Config,
    clients: &Clients,
    (question, family): (Question, Family),
    aside: &SortedSet<standing::ServiceId>,
    waiting: Waiting,
) -> ServiceAnswers {
    if let Some(outside) = outside_of(config, (question, family)) {
        let what = format!("waiting for the {family} address from {}", outside.names());
        return waiting.during(&what, outside::ask(&outside, family, clients, aside)).await;
    }
    let source = match question {
        Question::Source(index) => Some(&config.sources[index]),
        Question::Echo(..) | Question::ThirdParties(_) => None,
    };
    let address = match source.map(|source| (source, &source.kind)) {
        Some((source, SourceKind::Command(arguments))) => {
            let what = format!("waiting for the command of source {}", source.name);
            let program = (&arguments[..], config.programs_as);
            waiting.during(&what, command::seen(program, family)).await
        }
        Some((_, SourceKind::File(path))) => file::seen(path, family),
        _ => return ServiceAnswers::of_nobody(),
    };
    ServiceAnswers { address, said: Vec::new() }
}

impl Question {
    /// The questions of `auto` for a host behind NAT: the provider's own service, and third parties.
    fn of_auto(host: &HostConfig) -> [Self; 2] {
        let bind = host.host.bind;
        [Self::Echo(host.provider, bind), Self::ThirdParties(bind)]
    }

    /// The words for the service that is asked, where one question follows another.
    fn whom(self) -> &'static str {
        match self {
            Self::Echo(..) => "the provider's own service",
            Self::Source(_) => "the source",
            Self::ThirdParties(_) => "third parties",
        }
    }
}

impl Sights {
    /// The sights before anything was asked; services in `aside` are to be asked last.
    pub fn of_nothing(aside: SortedSet<standing::ServiceId>) -> Self {
        let snapshot = Err("the kernel was not asked for its addresses yet".to_owned());
        Self { snapshot, aside, answers: SortedMap::new() }
    }

    /// Replaces the kernel's snapshot by a newer one.
    pub fn renew(&mut self, snapshot: Result<Snapshot, String>) {
        self.snapshot = snapshot;
    }

    /// The sights of a given snapshot, with the answers that `tell` gives in place of services outside;
    /// files and programs are not asked.
    ///
    /// `by_event` and `asked` count as in [`look`]; `now` is by the steady clock.
    pub fn of(
        config: &Config,
        (snapshot, aside): (Result<Snapshot, String>, SortedSet<standing::ServiceId>),
        (asked, by_event, now): (&mut Asked, bool, Duration),
        tell: &mut dyn FnMut(&Outside, Family, &SortedSet<standing::ServiceId>) -> ServiceAnswers,
    ) -> Self {
        let mut sights = Self { snapshot, ..Self::of_nothing(aside) };
        let mut taken_up = SortedSet::new();
        loop {
            let questions = sights.next_questions(config, asked, by_event, now, &mut taken_up);
            if questions.is_empty() {
                return sights;
            }
            for question in questions {
                let outside = outside_of(config, question);
                let told = outside.map(|outside| tell(&outside, question.1, &sights.aside));
                sights.answers.insert(question, told.unwrap_or_else(ServiceAnswers::of_nobody));
            }
        }
    }

    /// The questions to ask next, because an answer may make another question necessary; these and
    /// those that rest are put to the ones `taken_up`, which are not asked again.
    fn next_questions(
        &self,
        config: &Config,
        asked: &mut Asked,
        by_event: bool,
        now: Duration,
        taken_up: &mut SortedSet<(Question, Family)>,
    ) -> SortedSet<(Question, Family)> {
        let wanted = Wanted::each(config);
        let mut questions =
            wanted.filter_map(|wanted| self.question(wanted)).collect::<SortedSet<_>>();
        questions.retain(|question| {
            if !taken_up.insert(*question) {
                return false;
            }
            let Some(outside) = outside_of(config, *question) else { return true };
            let snapshot = self.snapshot.as_ref();
            let leads_out = snapshot.is_ok_and(|it| it.route(question.1, outside.bind).is_some());
            let rests = asked.0.get(question).is_some_and(|(at, led_out)| {
                now.saturating_sub(*at) < OUTSIDE_REST && (*led_out || !leads_out)
            });
            if by_event && rests {
                return false;
            }
            asked.0.insert(*question, (now, leads_out));
            true
        });
        questions
    }

    /// Whether any source returned something else than an address.
    pub fn has_complaints(&self) -> bool {
        self.answers.values().any(|told| {
            told.address.is_err() || told.said.iter().any(|(_, said)| said.answer.is_err())
        })
    }

    /// Removes secrets from what sources returned instead of addresses: a program may print anything.
    pub fn hide(&mut self, veil: &mut Veil) {
        for told in self.answers.values_mut() {
            let answers = told.said.iter_mut().map(|(_, said)| &mut said.answer);
            for complaint in answers.chain([&mut told.address]).filter_map(|it| it.as_mut().err()) {
                if let Some(cleaned) = veil.clean(complaint, Much::Part) {
                    *complaint = cleaned;
                }
            }
        }
    }

    /// The kernel's snapshot; the error says why it cannot be read.
    pub fn snapshot(&self) -> Result<&Snapshot, &str> {
        self.snapshot.as_ref().map_err(String::as_str)
    }

    /// Whether the source of any host was asked and returned no address that is believed.
    pub fn is_silent(&self, config: &Config) -> bool {
        Wanted::each(config).any(|wanted| {
            let told = self.answers_to(&self.chain(wanted), wanted.family);
            !told.is_empty() && told.iter().all(|told| told.address.is_err())
        })
    }

    /// The result of the source for what is `wanted`.
    pub fn seen(&self, wanted: Wanted<'_>) -> Seen {
        match wanted.source() {
            None => Seen::NotAsked,
            Some(SourceRef::Auto) => self.auto(wanted),
            Some(SourceRef::Named(index)) => self.named(index, wanted),
        }
    }

    /// The reason in words why the `seen` address is not that of the route to the Internet.
    pub fn detour(&self, wanted: Wanted<'_>, seen: &Seen) -> Option<String> {
        let snapshot = self.snapshot().ok()?;
        let Seen::Here(seen) = seen else { return None };
        let (family, tunnel) = (wanted.family, &snapshot.bypassed(wanted)?.name);
        let owner = snapshot.addresses.iter().find(|a| seen.contains(a.address))?;
        let owner = &owner.interface;
        Some(format!(
            "{family} goes through the tunnel {tunnel}, which has no address to publish; {seen} \
                of {owner} is published instead"
        ))
    }

    /// The choice among the addresses of `source`, for people; `None` when it is no interface.
    pub fn choice(&self, wanted: Wanted<'_>, source: &Source) -> Option<Choice> {
        let SourceKind::Interface(interface) = &source.kind else { return None };
        Some(self.snapshot().ok()?.choice(wanted, source, interface))
    }

    /// The lessons of the services that were asked, question by question.
    pub fn lessons(&self, config: &Config) -> Lessons {
        let wanted = Wanted::each(config);
        let chains =
            wanted.map(|wanted| (self.chain(wanted), wanted.family)).collect::<SortedSet<_>>();
        let mut all = Lessons::new();
        for (chain, family) in chains {
            let answers = self.answers_to(&chain, family);
            let said = answers.iter().flat_map(|told| &told.said);
            let said: Vec<ServiceAnswer> = said.map(|(_, said)| said.clone()).collect();
            let believed = answers.iter().find_map(|told| told.address.as_ref().ok());
            for (service, lesson) in lessons(&said, believed.copied()) {
                standing::add(&mut all, service, lesson);
            }
        }
        all
    }

    /// The answers there are to the questions of `chain`.
    fn answers_to(&self, chain: &[Question], family: Family) -> Vec<&ServiceAnswers> {
        chain.iter().filter_map(|question| self.answers.get(&(*question, family))).collect()
    }

    /// The question to be asked next, if one is.
    fn question(&self, wanted: Wanted<'_>) -> Option<(Question, Family)> {
        for question in self.chain(wanted) {
            match self.answers.get(&(question, wanted.family)) {
                None => return Some((question, wanted.family)),
                Some(told) if told.address.is_ok() => return None,
                Some(_) => {}
            }
        }
        None
    }

    /// The questions of which one has to be answered, in the order in which they are asked.
    ///
    /// Behind NAT `auto` asks the provider's own service, then third parties; in the other order while
    /// that service is in `aside`.
    fn chain(&self, wanted: Wanted<'_>) -> Vec<Question> {
        let Wanted { config, host, family, .. } = wanted;
        match wanted.source() {
            None => Vec::new(),
            Some(SourceRef::Named(index)) => match config.sources[index].kind {
                SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Outside(_) => {
                    vec![Question::Source(index)]
                }
                SourceKind::Interface(_) | SourceKind::Static(_) => Vec::new(),
            },
            Some(SourceRef::Auto) => {
                let wanted = Wanted { set_now: None, ..wanted };
                let decided = self.snapshot().map(|snapshot| snapshot.auto(wanted));
                if decided != Ok(Auto::BehindNat) {
                    return Vec::new();
                }
                let [own, others] = Question::of_auto(host);
                let outside = outside_of(config, (own, family));
                match outside.as_ref().map(|outside| &outside.services[..]) {
                    Some([echo]) if self.aside.contains(&echo.known_as(family)) => {
                        vec![others, own]
                    }
                    Some([_, ..]) => vec![own, others],
                    Some([]) | None => vec![others],
                }
            }
        }
    }

    fn auto(&self, wanted: Wanted<'_>) -> Seen {
        match self.snapshot().map(|snapshot| snapshot.auto(wanted)) {
            Err(reason) => Seen::Unknown(reason.into()),
            Ok(Auto::Here(addresses)) => Seen::Here(addresses),
            Ok(Auto::Absent(reason)) => Seen::Absent(reason.into()),
            Ok(Auto::Tentative) => Seen::Unknown(TENTATIVE.into()),
            Ok(Auto::BehindNat) => self.answer(&self.chain(wanted), wanted.family, false, None),
        }
    }

    fn named(&self, index: usize, wanted: Wanted<'_>) -> Seen {
        let (source, family) = (&wanted.config.sources[index], wanted.family);
        let allow_private = source.allow_private || wanted.is_local();
        match &source.kind {
            SourceKind::Interface(interface) => {
                let snapshot = match self.snapshot() {
                    Ok(snapshot) => snapshot,
                    Err(reason) => return Seen::Unknown(reason.into()),
                };
                let choice = snapshot.choice(wanted, source, interface);
                let (Some(neighbour), Some(ours)) = (&interface.neighbour, chosen(&choice)) else {
                    return on_interface(&choice, snapshot, interface.name.as_str(), family);
                };
                match neighbour.address(ours, &snapshot.delegated) {
                    Ok(address) => published(address.into(), allow_private, Some(source)),
                    Err(misfit) => {
                        let (name, ours, interface) = (&source.name, ours.address, &ours.interface);
                        let reason =
                            format!("source {name} sees {ours} on interface {interface}: {misfit}");
                        Seen::Unknown(reason.into())
                    }
                }
            }
            SourceKind::Static(addresses) => {
                let own = addresses.iter().copied().filter(|&a| Family::of(a) == family);
                match Addresses::new(own) {
                    Some(addresses) => published(addresses, allow_private, Some(source)),
                    None => {
                        let reason = format!("source {} has no {family} address", source.name);
                        Seen::Unknown(reason.into())
                    }
                }
            }
            SourceKind::Command(_) | SourceKind::File(_) | SourceKind::Outside(_) => {
                self.answer(&[Question::Source(index)], family, allow_private, Some(source))
            }
        }
    }

    /// The answer to the first of the questions that was answered well.
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
        let told = self.answers_to(chain, family);
        let common = outside::common_doubt(&told, family).filter(|_| told.len() > 1);
        Seen::Unknown(common.unwrap_or_else(|| reasons.join("; ")).into())
    }
}

const TENTATIVE: &str = "the kernel has not finished checking that the address is unique";

/// The address that was chosen, where at most one is.
fn chosen(choice: &Choice) -> Option<&KernelAddress> {
    let mut judged = choice.judged.iter();
    judged.find(|(_, verdict)| *verdict == AddressVerdict::Chosen).map(|(address, _)| address)
}

fn on_interface(choice: &Choice, snapshot: &Snapshot, name: &str, family: Family) -> Seen {
    if let Some(addresses) = &choice.chosen {
        return Seen::Here(addresses.clone());
    }
    if choice.awaits_verdict {
        return Seen::Unknown(TENTATIVE.into());
    }
    // The kernel knows all its addresses: one that it does not have is absent, not unknown.
    let here = snapshot.addresses.iter().any(|address| address.interface == name);
    let reason = if here {
        format!("interface {name} has no {family} address to publish; `homing address` shows why")
    } else {
        format!("there is no interface {name} with an address; `ip address` lists those there are")
    };
    Seen::Absent(reason.into())
}

/// The addresses of a source, if they may be published; `source` is `None` for those of `auto`.
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
    let reason = format!("{who} returned {address}, which is {special} and not published{fix}");
    Seen::Unknown(reason.into())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::address::auto::Route;
    use crate::core::address::standing::{Lesson, ServiceFault};

    /// A host of deSEC's behind NAT, and what is seen there while `aside` is left aside.
    fn behind_nat(aside: SortedSet<standing::ServiceId>) -> (Config, Sights) {
        let host = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\ntoken-file = \"t\"\n";
        let config = crate::config::parse(Path::new("/c.toml"), host, true).unwrap();
        let source = "192.168.1.2".parse().ok();
        let routes = PerFamily { v4: Some(Route { source, index: 1, gateway: None }), v6: None };
        let snapshot = Ok(Snapshot { routes, ..Snapshot::default() });
        (config, Sights { snapshot, aside, answers: SortedMap::new() })
    }

    /// What the one host wants of IPv4.
    fn wanted(config: &Config) -> Wanted<'_> {
        Wanted { config, host: &config.hosts[0], family: Family::V4, set_now: None }
    }

    fn own() -> standing::ServiceId {
        let name = "https://checkipv4.dedyn.io/".to_owned();
        standing::ServiceId { name, family: Family::V4 }
    }

    fn ipify() -> standing::ServiceId {
        standing::ServiceId { name: "ipify".to_owned(), family: Family::V4 }
    }

    fn service_answers(service: standing::ServiceId, answer: Result<&str, &str>) -> ServiceAnswers {
        let answer = answer.map(|text| text.parse().unwrap()).map_err(str::to_owned);
        let (name, address) = (service.name.clone(), answer.clone());
        ServiceAnswers { address, said: vec![(name, ServiceAnswer { service, answer })] }
    }

    const OWN: (Question, Family) = (Question::Echo(0, None), Family::V4);
    const THIRD_PARTIES: (Question, Family) = (Question::ThirdParties(None), Family::V4);

    #[test]
    fn auto_behind_nat_asks_third_parties_when_the_providers_own_service_fails() {
        let (config, mut sights) = behind_nat(SortedSet::new());
        let wanted = wanted(&config);
        assert_eq!(sights.question(wanted), Some(OWN));
        sights.answers.insert(OWN, service_answers(own(), Err("it is silent")));
        assert_eq!(sights.question(wanted), Some(THIRD_PARTIES));
        assert_eq!(sights.seen(wanted), Seen::NotAsked);
        sights.answers.insert(THIRD_PARTIES, service_answers(ipify(), Ok("8.8.8.8")));
        assert_eq!(sights.question(wanted), None);
        let seen = sights.seen(wanted);
        assert_eq!(seen, Seen::Here("8.8.8.8".parse::<IpAddr>().unwrap().into()));
        let failed = Lesson::Blamed(ServiceFault::Failed, "it is silent".to_owned());
        let lessons = sights.lessons(&config);
        assert_eq!(lessons, [(own(), failed), (ipify(), Lesson::Right)].into());
        assert!(lessons.keys().all(|service| services(&config).contains(service)));
    }

    #[test]
    fn auto_behind_nat_believes_the_providers_own_service_alone() {
        let (config, mut sights) = behind_nat(SortedSet::new());
        let wanted = wanted(&config);
        sights.answers.insert(OWN, service_answers(own(), Ok("8.8.8.8")));
        assert_eq!(sights.question(wanted), None);
        assert!(matches!(sights.seen(wanted), Seen::Here(_)));
    }

    #[test]
    fn auto_behind_nat_asks_a_provider_that_is_left_aside_last() {
        let (config, mut sights) = behind_nat([own()].into());
        let wanted = wanted(&config);
        assert_eq!(sights.question(wanted), Some(THIRD_PARTIES));
        sights.answers.insert(THIRD_PARTIES, service_answers(ipify(), Err("it is silent")));
        assert_eq!(sights.question(wanted), Some(OWN));
        sights.answers.insert(OWN, service_answers(own(), Err("it is silent, too")));
        assert_eq!(sights.question(wanted), None);
        let reasons = "third parties: it is silent; the provider's own service: it is silent, too";
        let seen = sights.seen(wanted);
        assert_eq!(seen, Seen::Unknown(reasons.into()));
        assert_eq!(sights.lessons(&config), Lessons::new(), "nobody got through");
    }
}
