//! Verifying: asks the zone's own servers whether they hold what was set.
//!
//! Finds the servers, asks them, and asks those again that are behind. The core decides when, about
//! which hosts, and what the answers mean.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::way::Carrying;
use crate::config::HostConfig;
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::order::{self, SortedMap};
use crate::core::plan::Wish;
use crate::core::round::{HostAnswers, LOOK, Subject, VerifyCase, Whom};
use crate::core::server::Server;
use crate::core::veil::Much;
use crate::core::verify::{
    Said, ServerAnswer, ServerState, VerifyVerdict, judge, next_time, question, said, standing,
};
use crate::provider::authorities::{self, Authority};
use crate::provider::name_server::NameServer;

/// The most questions under way.
const MOST_AT_ONCE: usize = 16;

/// The answers of the servers about each of `cases`, without secrets: a zone can name its servers as
/// it likes. `limit` is the longest time; `None` is as long as each host wants, again and again until
/// all servers are right.
pub async fn hear(
    carrying: &Carrying,
    cases: Vec<VerifyCase>,
    whom: Whom,
    limit: Option<Duration>,
) -> Vec<HostAnswers> {
    let hosts = &carrying.config.hosts;
    let begun = Instant::now();
    let patience = |case: &VerifyCase| {
        let verify = hosts.get(case.subject.at).and_then(|host| host.verify.as_ref());
        limit.or(verify.map(|verify| verify.timeout)).unwrap_or(LOOK)
    };
    let longest = cases.iter().map(patience).max().unwrap_or_default();
    let mut finder = Finder::default();
    let mut hearings = Vec::with_capacity(cases.len());
    for case in cases {
        // The remaining time is shared by all of them.
        let left = longest.saturating_sub(begun.elapsed());
        let found = tokio::time::timeout(left, finder.find(hosts, &case, whom)).await;
        let late = || (Vec::new(), Some("they were not found in time".to_owned()));
        let (servers, trouble) = found.unwrap_or_else(|_| late());
        let patience = patience(&case);
        hearings.push(Hearing::new(case, patience, servers, trouble, &finder.authorities));
    }
    let mut questions = Questions::of(hearings, begun, limit.is_none());
    // What was heard until then counts.
    let asking = questions.ask(&finder.authorities);
    let _ = tokio::time::timeout_at((begun + longest).into(), asking).await;
    let heard = questions.hearings.into_iter().map(|Hearing { case, told, took, .. }| {
        let VerifyCase { subject, due, .. } = case;
        let verdict = without_secrets(carrying, judge(&due, &told));
        HostAnswers { key: subject.host.key.clone(), due, verdict, took }
    });
    heard.collect()
}

/// An authority by its index, and the interface by which it is asked.
type Way = (usize, Option<InterfaceName>);

/// The questions about several hosts.
struct Questions {
    hearings: Vec<Hearing>,
    begun: Instant,
    /// Whether servers that are behind are asked again.
    repeats: bool,
    /// The questions to come: the moment after the beginning, the index of the hearing, the index of
    /// its server.
    waiting: Vec<(Duration, usize, usize)>,
    /// The servers that do not answer, with the reason.
    silent: SortedMap<Way, String>,
}

impl Questions {
    /// One question to each server of each hearing. The first servers of all hosts come first: a silent
    /// one must not take the others' time.
    fn of(hearings: Vec<Hearing>, begun: Instant, repeats: bool) -> Self {
        let mut waiting: Vec<(Duration, usize, usize)> = Vec::new();
        for (place, hearing) in hearings.iter().enumerate() {
            let servers = 0..hearing.servers.len();
            waiting.extend(servers.map(|server| (Duration::ZERO, place, server)));
        }
        order::sort_by_key(&mut waiting, |(_, _, server)| *server);
        Self { hearings, begun, repeats, waiting, silent: SortedMap::new() }
    }

    /// Asks all of them, until no answer is to come.
    async fn ask(&mut self, authorities: &[Authority]) {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < MOST_AT_ONCE
                && let Some((place, server, way)) = self.next()
            {
                let case = &self.hearings[place].case;
                let (host, wishes) = (Rc::clone(&case.subject.host), case.due.now.clone());
                let authority = &authorities[way.0];
                under_way.push(async move {
                    let said = ask(authority, &host.key.host, &wishes, way.1).await;
                    (place, server, way, said)
                });
            }
            if self.waiting.is_empty() && under_way.is_empty() {
                return;
            }
            let next = self.waiting.iter().map(|(moment, ..)| *moment).min();
            let next = next.filter(|_| under_way.len() < MOST_AT_ONCE);
            let pause = tokio::time::sleep_until((self.begun + next.unwrap_or_default()).into());
            tokio::select! {
                biased;
                Some((place, server, way, said)) = under_way.next() => {
                    self.note(place, server, way, said);
                }
                () = pause, if next.is_some() => {}
            }
        }
    }

    /// Takes the next question whose moment has come; one to a silent server is answered at once.
    fn next(&mut self) -> Option<(usize, usize, Way)> {
        let now = self.begun.elapsed();
        loop {
            let next = self.waiting.iter().position(|(moment, ..)| *moment <= now)?;
            let (_, place, server) = self.waiting.remove(next);
            let hearing = &mut self.hearings[place];
            let way = (hearing.servers[server], hearing.case.subject.host.bind);
            let Some(why) = self.silent.get(&way) else { return Some((place, server, way)) };
            hearing.told[server].said = unclear(why);
        }
    }

    /// Notes an answer; a server that is behind is asked again.
    fn note(
        &mut self,
        place: usize,
        server: usize,
        way: Way,
        said: Result<PerFamily<Said>, String>,
    ) {
        let hearing = &mut self.hearings[place];
        hearing.told[server].said = said.unwrap_or_else(|why| {
            let said = unclear(&why);
            self.silent.insert(way, why);
            said
        });
        let asked = self.begun.elapsed();
        match standing(&hearing.case.due, &hearing.told[server]) {
            ServerState::Right => hearing.took = asked,
            // A server that did not answer was already asked several times.
            ServerState::Unclear => {}
            ServerState::Behind | ServerState::Foreign => {
                let again = next_time(asked);
                if self.repeats && again < hearing.patience {
                    self.waiting.push((again, place, server));
                }
            }
        }
    }
}

/// `verdict` without secrets.
fn without_secrets(carrying: &Carrying, mut verdict: VerifyVerdict) -> VerifyVerdict {
    let words = match &mut verdict {
        VerifyVerdict::Differs { words, .. }
        | VerifyVerdict::Right { others: words, .. }
        | VerifyVerdict::Unclear(words) => words,
    };
    if !words.is_empty() {
        *words = carrying.clients.hidden(words, Much::Whole);
    }
    verdict
}

/// The answers about one host, as they come in.
struct Hearing {
    case: VerifyCase,
    /// The longest time for its servers.
    patience: Duration,
    /// The indexes of its servers among the authorities.
    servers: Vec<usize>,
    /// The last answer of each of them, and then why there are no others.
    told: Vec<ServerAnswer>,
    took: Duration,
}

impl Hearing {
    fn new(
        case: VerifyCase,
        patience: Duration,
        servers: Vec<usize>,
        trouble: Option<String>,
        authorities: &[Authority],
    ) -> Self {
        let asked = servers.iter().map(|&server| {
            let server = authorities[server].title.clone();
            ServerAnswer { server, said: unclear("did not answer in time") }
        });
        let nobody = trouble.map(|why| {
            let server = "the zone".to_owned();
            ServerAnswer { server, said: unclear(&format!("names no server: {why}")) }
        });
        let told = asked.chain(nobody).collect();
        Self { case, patience, servers, told, took: Duration::ZERO }
    }
}

/// An unclear answer about both families, for this reason.
fn unclear(why: &str) -> PerFamily<Said> {
    PerFamily::from_fn(|_| Said::Unclear(why.to_owned()))
}

/// The answer of one server about the families that matter; the error is why there is none.
async fn ask(
    authority: &Authority,
    host: &Hostname,
    wishes: &PerFamily<Wish>,
    bind: Option<InterfaceName>,
) -> Result<PerFamily<Said>, String> {
    let mut all = PerFamily::from_fn(|_| Said::NotAsked);
    for (family, wish) in wishes.iter() {
        let Some(expected) = wish.content() else { continue };
        let question = question(host, family);
        let heard = said(&authority.ask(&question, bind).await?, &question);
        // Anyone who saw the datagram may have forged its answer: an answer that speaks against
        // the record is asked for again over TCP.
        all[family] = match heard {
            Said::Holds(held) if held.as_ref() != expected => {
                let again = authority.ask_by_tcp(&question, bind).await;
                again.map_or(Said::Holds(held), |message| said(&message, &question))
            }
            heard => heard,
        };
    }
    Ok(all)
}

/// Finds the servers of hosts, each once.
#[derive(Default)]
struct Finder {
    authorities: Vec<Authority>,
    known: Vec<Server>,
    /// The servers of zones, according to the provider with that name or to the system's resolvers.
    zones: SortedMap<(Option<String>, Hostname), Result<Vec<Server>, String>>,
    /// Why the system's resolvers do not answer about zones.
    deaf: Option<String>,
}

impl Finder {
    /// The indexes of a host's servers among the authorities, and why there are no others.
    async fn find(
        &mut self,
        hosts: &[HostConfig],
        case: &VerifyCase,
        whom: Whom,
    ) -> (Vec<usize>, Option<String>) {
        let own = case.subject.provider.name_server.as_ref();
        let mut servers: Vec<Server> = own.cloned().into_iter().collect();
        let verify = hosts.get(case.subject.at).and_then(|host| host.verify.as_ref());
        let given = verify.iter().flat_map(|verify| verify.servers.iter().cloned());
        servers.extend(given);
        let is_given = servers.len() > usize::from(own.is_some());
        let is_enough = match whom {
            Whom::All => is_given,
            Whom::First => !servers.is_empty(),
            Whom::Own => is_given || own.is_some(),
        };
        let mut trouble = None;
        if !is_enough {
            match self.of_zone(&case.subject, case.zone.as_ref()).await {
                Ok(found) => servers.extend(found),
                Err(why) => trouble = Some(why),
            }
        }
        let most = match whom {
            Whom::All => usize::MAX,
            Whom::First => 1,
            Whom::Own if own.is_some() => 1,
            Whom::Own => usize::MAX,
        };
        let mut places: Vec<usize> = Vec::new();
        for server in servers.into_iter().take(most) {
            let place = self.locate(server).await;
            let authorities = &self.authorities;
            let is_same =
                |other: &usize| *other == place || authorities[*other].is(&authorities[place]);
            if !places.iter().any(is_same) {
                places.push(place);
            }
        }
        (places, trouble)
    }

    /// The servers of the host's zone; the provider's name server, if there is one, knows them itself.
    async fn of_zone(
        &mut self,
        subject: &Subject,
        zone: Option<&Hostname>,
    ) -> Result<Vec<Server>, String> {
        let (host, provider) = (&subject.host, &subject.provider);
        let known = host.zone.as_ref().or(zone);
        let own = provider.name_server.as_ref();
        let own = own.map(|server| NameServer { server, bind: host.bind });
        if let (None, Some(why)) = (&own, &self.deaf) {
            return Err(why.clone());
        }
        let zone = match known {
            Some(zone) => zone.clone(),
            None => match authorities::zone(&host.key.host).await {
                Ok(zone) => zone,
                Err(why) => return Err(self.deaf.insert(why).clone()),
            },
        };
        let key = (own.map(|_| provider.name.to_string()), zone);
        if let Some(servers) = self.zones.get(&key) {
            return servers.clone();
        }
        let servers = authorities::of_zone(&key.1, own).await;
        self.zones.insert(key, servers.clone());
        servers
    }

    async fn locate(&mut self, server: Server) -> usize {
        if let Some(place) = self.known.iter().position(|known| *known == server) {
            return place;
        }
        self.authorities.push(Authority::find(&server).await);
        self.known.push(server);
        self.known.len() - 1
    }
}
