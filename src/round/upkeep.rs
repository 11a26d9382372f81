//! Looking after tokens: none lapses for want of use, none ends unannounced.
//!
//! Comes after the updates and their saves, so that it keeps none of them waiting. Only a credential
//! that is refused concerns the hosts; every other fault is tried again later, without a word.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;

use super::perform::{renew, settle_one};
use super::report::{Matter, TokenNews};
use super::speaker::{OwnToken, account, bind, in_passing, outcome, provider, speaker};
use super::{Engine, Planned, Report, self_check};
use crate::core::address::PerFamily;
use crate::core::memory::{Entry, HoldKind, TokenEntry};
use crate::core::outcome::{Outcome, Rejection};
use crate::core::protocol::manners::Issuer;
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{End, Terms, greet_at, next_warning, warns};
use crate::net::http::Clients;

/// The most tokens that are kept alive in one round; the others have days left.
const MOST_GREETINGS: usize = 10;

/// Keeps the tokens of this round alive, warns of their ends, and judges those that are new.
pub async fn look_after(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    stop: &Cell<bool>,
) {
    // A clock that is not set knows neither what is due nor what is over.
    if !engine.clock.is_set() {
        return;
    }
    let tokens = in_use(engine, planned);
    let changed = remember(engine, planned, &tokens, report);
    warn_of_ends(engine, planned, &tokens, report);
    let spoke = keep_alive(engine, clients, planned, &tokens, report, stop).await;
    // A file may have been found to hold another one by now.
    let mut tokens = in_use(engine, planned);
    let all = tokens.clone();
    // Nobody else's server can tell what a token may do.
    tokens.retain(|token| is_of_account(engine, planned, token));
    let looked =
        self_check::check_due(engine, clients, planned, &tokens, &spoke, report, stop).await;
    if changed || looked || !spoke.is_empty() || !report.tokens.is_empty() {
        engine.save(report);
    }
    report.next = next(engine, planned, &all);
}

/// The tokens of the hosts among `planned` whose providers have such.
fn in_use(engine: &Engine, planned: &[Planned]) -> Vec<OwnToken> {
    let mut tokens: Vec<OwnToken> = Vec::new();
    let mut known: BTreeMap<Fingerprint, usize> = BTreeMap::new();
    for (place, plan) in planned.iter().enumerate() {
        if !provider(engine, plan).protocol.manners().has_receipts() {
            continue;
        }
        let identity = plan.access.identity;
        let at = *known.entry(identity).or_insert(tokens.len());
        match tokens.get_mut(at) {
            Some(token) => token.places.push(place),
            None => tokens.push(OwnToken { identity, places: vec![place] }),
        }
    }
    tokens
}

fn is_of_account(engine: &Engine, planned: &[Planned], token: &OwnToken) -> bool {
    provider(engine, &planned[token.places[0]]).protocol.manners().tokens == Some(Issuer::Account)
}

/// Remembers the tokens that are new, and forgets those that nobody uses any more; returns whether
/// there were any.
fn remember(
    engine: &mut Engine,
    planned: &[Planned],
    tokens: &[OwnToken],
    report: &Report,
) -> bool {
    let now = engine.clock.now();
    let mut known = std::mem::take(&mut engine.memory.tokens);
    let mut changed = false;
    for OwnToken { identity, places } in tokens {
        let token = match known.get_mut(identity) {
            Some(token) => std::mem::take(token),
            None => {
                changed = true;
                // Of a token that was in use before it was remembered, the records tell.
                let entries = places.iter().filter_map(|&place| entry(engine, &planned[place]));
                let spoke = entries.filter_map(confirmed).max().unwrap_or(now);
                TokenEntry { spoke, ..TokenEntry::default() }
            }
        };
        engine.memory.tokens.insert(*identity, token);
    }
    // A file that cannot be read at this moment may hold one of the others.
    if report.hosts.iter().any(|host| host.secret_problem.is_some()) {
        for (identity, token) in known {
            engine.memory.tokens.entry(identity).or_insert(token);
        }
        return changed;
    }
    changed || known.len() > tokens.len()
}

fn entry<'a>(engine: &'a Engine, plan: &Planned) -> Option<&'a Entry> {
    engine.memory.entry(&engine.config.hosts[plan.at].host.key)
}

/// When the provider last confirmed an address.
fn confirmed(entry: &Entry) -> Option<Timestamp> {
    let sets = entry.families.iter().filter_map(|(_, record)| record.set.as_ref());
    sets.map(|set| set.confirmed).max()
}

/// What is written down about a token, beside the file of any of its hosts.
fn terms<'a>(planned: &'a [Planned], places: &[usize]) -> Option<&'a Terms> {
    places.iter().find_map(|&place| planned[place].access.terms.as_ref().ok())
}

/// Tells the ends that are near, each as often as it should be told.
fn warn_of_ends(
    engine: &mut Engine,
    planned: &[Planned],
    tokens: &[OwnToken],
    report: &mut Report,
) {
    let now = engine.clock.now();
    for OwnToken { identity, places } in tokens {
        let Some(Terms { end: End::At(end), .. }) = terms(planned, places) else { continue };
        let Some(token) = engine.memory.tokens.get_mut(identity) else { continue };
        if warns(End::At(*end), token.warned, now) {
            token.warned = Some(now);
            let key = engine.config.hosts[planned[places[0]].at].host.key.clone();
            let matter = if *end > now { Matter::Ends(*end) } else { Matter::Ended(*end) };
            report.tokens.push(TokenNews { key, matter });
        }
    }
}

/// Lets the tokens speak that were silent for long; returns those, with whether they were heard.
async fn keep_alive(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    tokens: &[OwnToken],
    report: &mut Report,
    stop: &Cell<bool>,
) -> Vec<(Fingerprint, bool)> {
    let now = engine.clock.now();
    let mut spoke = Vec::new();
    for token in tokens {
        let OwnToken { identity, places } = token;
        let is_due = greeting(engine, planned, token).is_some_and(|at| at <= now);
        if !is_due || stop.get() || spoke.len() >= MOST_GREETINGS {
            continue;
        }
        let plan = speaker(engine, planned, places);
        let Some(outcome) = greet(engine, clients, plan, stop).await else {
            continue;
        };
        let was_heard = outcome == Outcome::Unchanged;
        spoke.push((*identity, was_heard));
        let now = engine.clock.now();
        let known = engine.memory.tokens.entry(*identity).or_default();
        if was_heard {
            known.note_heard(now);
        } else {
            known.unheard = Some(now);
        }
        if outcome.refuses_the_credential() {
            renew(engine, planned, places, *identity);
            for plan in places.iter().map(|&place| &planned[place]) {
                if plan.access.identity == *identity {
                    settle_one(engine, plan, &PerFamily::default(), &outcome, report);
                }
            }
        }
    }
    spoke
}

/// When a token has to be heard, if it may speak at all.
fn greeting(engine: &Engine, planned: &[Planned], token: &OwnToken) -> Option<Timestamp> {
    let OwnToken { identity, places } = token;
    // Only there a token lapses for want of use.
    provider(engine, &planned[places[0]])
        .api_url
        .as_ref()
        .filter(|_| is_of_account(engine, planned, token))?;
    let parks = || places.iter().map(|&place| park(engine, &planned[place]));
    let refused = parks().flatten().any(Rejection::is_the_credentials);
    let unused = parks().all(|park| park.is_some_and(Rejection::is_our_own));
    if refused || unused {
        return None;
    }
    let max_unused = terms(planned, places).and_then(|terms| terms.max_unused);
    Some(greet_at(engine.memory.tokens.get(identity)?, max_unused))
}

/// Why the host is parked, if it is.
fn park(engine: &Engine, plan: &Planned) -> Option<Rejection> {
    let hold = entry(engine, plan)?.hold.as_ref()?;
    match hold.kind {
        HoldKind::Rejected(rejection) if hold.fingerprint == plan.access.fingerprint => {
            Some(rejection)
        }
        HoldKind::Rejected(_) | HoldKind::Backoff(_) | HoldKind::Throttled => None,
    }
}

/// Sends one request that changes nothing; `None` when it was not worth sending.
async fn greet(
    engine: &mut Engine,
    clients: &Clients,
    plan: &Planned,
    stop: &Cell<bool>,
) -> Option<Outcome> {
    let config = Rc::clone(&engine.config);
    let provider = &config.providers[config.hosts[plan.at].provider];
    let account = account(engine, clients, provider, plan).await?;
    let greeting = async { account.greet().await.map(|()| Vec::new()) };
    let answer = in_passing(engine, provider, pin!(greeting), stop).await;
    let outcome = outcome(&answer);
    engine.traffic.learn(provider, plan.access.identity, bind(engine, plan), &outcome);
    Some(outcome)
}

/// When a token is to be looked after again; what is overdue waits for the poll.
fn next(engine: &Engine, planned: &[Planned], tokens: &[OwnToken]) -> Option<Timestamp> {
    let now = engine.clock.now();
    let moments = tokens.iter().flat_map(|token| {
        let greeting = greeting(engine, planned, token).filter(|&at| at > now);
        let warning = terms(planned, &token.places).and_then(|terms| next_warning(terms.end, now));
        greeting.into_iter().chain(warning)
    });
    moments.min()
}
