//! deSEC's account API: tokens, policies, zones and records, within the account's limits.
//!
//! Carries requests and reads answers, and waits out refusals for going too fast. Used by the token side,
//! and by the round to look at its own token.

mod pace;
mod wire;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use self::wire::{RecordSet, Zone};

use self::pace::{Pacer, Scope};
use super::Trouble;
use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::order::SortedSet;
use crate::core::outcome::{Deferral, Fault, Refusal, Rejection};
use crate::core::protocol::{Answer, Authorization, Body, HttpRequest, Method, desec};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::{Api, Limits, Policy, Rule, Token, TokenId};
use crate::net::http::Clients;
use crate::os::clock;

/// An account at a server, seen with one secret.
#[derive(Clone)]
pub struct Account<'a> {
    connection: Rc<Connection<'a>>,
    secret: Secret,
}

/// What all views of one account share: the connection, the limits, the form of policies.
struct Connection<'a> {
    api_url: String,
    ca_file: Option<&'a Path>,
    clients: &'a Clients,
    pacer: RefCell<Pacer>,
    patience: Duration,
    bind: Cell<Option<InterfaceName>>,
    watcher: &'a dyn Watch,
    api: Cell<Option<Api>>,
}

/// A listener for the waits of an account.
pub trait Watch {
    /// Reports that nothing leaves for `_wait`, because of the account's limits.
    fn waits(&self, _wait: Duration) {}
}

impl Watch for () {}

/// What an impossible write showed about the right to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WriteProbe {
    /// The server would accept such a write.
    May,
    /// The server would refuse it.
    MayNot,
    /// The write did not show the right, for this reason.
    Unclear(String),
}

impl<'a> Account<'a> {
    /// The account at `api_url` (without a final slash), as `secret` sees it; each request waits up to
    /// `patience` in all for limits.
    pub fn new(
        api_url: &str,
        ca_file: Option<&'a Path>,
        clients: &'a Clients,
        secret: Secret,
        patience: Duration,
        watcher: &'a dyn Watch,
    ) -> Self {
        let api_url = api_url.to_owned();
        let (pacer, api, bind) = Default::default();
        let connection =
            Connection { api_url, ca_file, clients, pacer, patience, bind, watcher, api };
        Self { connection: Rc::new(connection), secret }
    }

    /// The same account, asked by the interface `bind` if one is given; else as the kernel routes it.
    pub fn asked_by(self, bind: Option<InterfaceName>) -> Self {
        self.connection.bind.set(bind);
        self
    }

    /// The same account, as another secret sees it.
    pub fn seen_with(&self, secret: Secret) -> Self {
        Self { connection: Rc::clone(&self.connection), secret }
    }

    /// The URL of the API.
    pub fn server(&self) -> &str {
        &self.connection.api_url
    }

    /// Whether the account is seen with `secret`.
    pub fn is_seen_with(&self, secret: &Secret) -> bool {
        self.secret == *secret
    }

    /// Every token of the account; needs the right to manage tokens.
    pub async fn tokens(&self) -> Result<Vec<Token>, Trouble> {
        self.all("/auth/tokens/?cursor=", Scope::Management, wire::tokens).await
    }

    /// One token; needs the right to manage tokens.
    pub async fn token(&self, id: &TokenId) -> Result<Token, Trouble> {
        one_token(&self.get(&format!("/auth/tokens/{id}/"), Scope::Management).await?)
    }

    /// A new token, locked from the start where the server can, and its secret: empty if it gave none.
    pub async fn create_token(
        &self,
        name: &str,
        limits: &Limits,
    ) -> Result<(Token, Secret), Trouble> {
        let limits = wire::changed_limits(&Limits::default(), limits);
        let body = wire::without_rights(limits, Some(name), true);
        let request = HttpRequest {
            brings: Some(|answer| wire::token(answer)?.1),
            ..self.request(Method::Post, "/auth/tokens/", Some(body))
        };
        let answer = self.carry(request, Scope::Management).await?;
        match wire::token(&answer) {
            Some((token, secret)) if answer.status == 201 => {
                Ok((token, secret.unwrap_or_else(|| Secret::new(""))))
            }
            // Its body may hold a secret that nobody knows yet, so it is not quoted.
            _ => Err(unintelligible(&Answer { status: answer.status, ..Answer::default() })),
        }
    }

    /// Whether the secret itself has the right to manage tokens.
    pub async fn manages_tokens(&self) -> Result<bool, Trouble> {
        match self.get("/auth/tokens/?cursor=", Scope::Management).await {
            Ok(answer) if wire::are_tokens(&answer) => Ok(true),
            Ok(answer) => Err(unintelligible(&answer)),
            Err(trouble) if trouble.is_forbidden() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Takes every right but writing records from a token, and gives it the limits `should` and `name`.
    pub async fn tame(
        &self,
        id: &TokenId,
        is: &Limits,
        should: &Limits,
        name: Option<&str>,
    ) -> Result<Token, Trouble> {
        let body = wire::without_rights(wire::changed_limits(is, should), name, false);
        let path = format!("/auth/tokens/{id}/");
        let answer = self.call(Method::Patch, &path, Some(body), Scope::Management).await?;
        one_token(&answer)
    }

    /// Ends a token; one that does not exist counts as ended.
    pub async fn delete_token(&self, id: &TokenId) -> Result<(), Trouble> {
        self.delete_at(&format!("/auth/tokens/{id}/"), Scope::Management).await
    }

    /// The form of policies at this server; asked once, with any token that may be looked at.
    pub async fn api(&self, id: &TokenId) -> Result<Api, Trouble> {
        if let Some(api) = self.connection.api.get() {
            return Ok(api);
        }
        let path = format!("/auth/tokens/{id}/policies/");
        let answer = self.get(&path, Scope::Management).await?;
        let api = wire::api(&answer).ok_or_else(|| unintelligible(&answer))?;
        self.connection.api.set(Some(api));
        Ok(api)
    }

    /// The policies of a token; a token may read its own.
    pub async fn policies(&self, id: &TokenId) -> Result<Vec<Policy>, Trouble> {
        let api = self.api(id).await?;
        let answer = self.get(&policies_path(id, api), Scope::Management).await?;
        wire::policies(&answer, api).ok_or_else(|| unintelligible(&answer))
    }

    /// Adds a policy to a token.
    pub async fn add_policy(&self, id: &TokenId, rule: &Rule) -> Result<(), Trouble> {
        let path = policies_path(id, self.api(id).await?);
        let body = Some(wire::rule(rule));
        self.call(Method::Post, &path, body, Scope::Management).await.map(|_| ())
    }

    /// Changes a policy of a token to `rule`, which has the same subject as before.
    pub async fn correct_policy(
        &self,
        id: &TokenId,
        policy: &Policy,
        rule: &Rule,
    ) -> Result<(), Trouble> {
        let path = format!("{}{}/", policies_path(id, self.api(id).await?), policy.at);
        let body = Some(wire::rule(rule));
        self.call(Method::Put, &path, body, Scope::Management).await.map(|_| ())
    }

    /// Removes a policy of a token; one that does not exist counts as removed.
    pub async fn remove_policy(&self, id: &TokenId, policy: &Policy) -> Result<(), Trouble> {
        let path = format!("{}{}/", policies_path(id, self.api(id).await?), policy.at);
        self.delete_at(&path, Scope::Management).await
    }

    /// Deletes what is at `path`; only the server's own status for it (204 or 404) counts as done.
    async fn delete_at(&self, path: &str, scope: Scope) -> Result<(), Trouble> {
        match self.call(Method::Delete, path, None, scope).await {
            Ok(answer) if answer.status == 204 => Ok(()),
            Ok(answer) => Err(unintelligible(&answer)),
            Err(Trouble::NotThere(_)) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// The account's own name; needs the right to manage tokens.
    pub async fn owner(&self) -> Result<String, Trouble> {
        let answer = self.get("/auth/account/", Scope::Management).await?;
        Ok(parse::<wire::Owner>(&answer)?.email)
    }

    /// Checks that the server knows the secret; costs only the day's budget, and counts as use.
    pub async fn greet(&self) -> Result<(), Trouble> {
        let answer = self.get("/", Scope::Root).await?;
        // With a header that it does not understand, the server answers as to a stranger.
        if wire::is_known_to_root(&answer) { Ok(()) } else { Err(unintelligible(&answer)) }
    }

    /// Every zone of the account.
    pub async fn zones(&self) -> Result<Vec<Zone>, Trouble> {
        self.all("/domains/?cursor=", Scope::Read, |answer| wire::list(answer, Some)).await
    }

    /// The zone that is responsible for `host`; `None` when the account has none.
    pub async fn zone_of(&self, host: &Hostname) -> Result<Option<Hostname>, Trouble> {
        let answer = self.get(&desec::zone_path(host), Scope::Read).await?;
        let zones: Vec<Zone> = parse(&answer)?;
        match desec::responsible(host, zones.iter().map(|zone| zone.name.as_str())) {
            None if !zones.is_empty() => Err(unintelligible(&answer)),
            zone => Ok(zone),
        }
    }

    /// One zone, with its keys.
    pub async fn zone(&self, zone: &Hostname) -> Result<Zone, Trouble> {
        parse(&self.get(&format!("/domains/{zone}/"), Scope::Read).await?)
    }

    /// The name servers of a zone, as it names them itself.
    pub async fn name_servers(&self, zone: &Hostname) -> Result<Vec<String>, Trouble> {
        let answer = self.get(&record_set_path(zone, "", "NS"), Scope::Read).await?;
        Ok(parse::<wire::Records>(&answer)?.records)
    }

    /// Ends the token that the account is seen with.
    pub async fn log_out(&self) -> Result<(), Trouble> {
        let answer = self.call(Method::Post, "/auth/logout/", None, Scope::Root).await?;
        if answer.status == 204 { Ok(()) } else { Err(unintelligible(&answer)) }
    }

    /// Registers a zone.
    pub async fn create_zone(&self, zone: &Hostname) -> Result<Zone, Trouble> {
        let body = wire::new_zone(zone.as_str());
        parse(&self.call(Method::Post, "/domains/", Some(body), Scope::Zones).await?)
    }

    /// Every record set of a zone.
    pub async fn record_sets(&self, zone: &Hostname) -> Result<Vec<RecordSet>, Trouble> {
        let path = record_sets_path(zone);
        self.all(&path, Scope::Read, |answer| wire::list(answer, Some)).await
    }

    /// The first of the zone's record sets that has the least `rank`; a rank of 0 ends the search.
    pub async fn best_record_set(
        &self,
        zone: &Hostname,
        rank: impl Fn(&RecordSet) -> Option<u32>,
    ) -> Result<Option<RecordSet>, Trouble> {
        let mut best: Option<(u32, RecordSet)> = None;
        let keep = &mut |answer: &Answer| {
            wire::each(answer, &mut |set: RecordSet| {
                if let Some(rank) = rank(&set)
                    && best.as_ref().is_none_or(|(least, _)| rank < *least)
                {
                    best = Some((rank, set));
                }
                Some(())
            })?;
            Some(best.as_ref().is_none_or(|(least, _)| *least > 0))
        };
        self.pages(&record_sets_path(zone), Scope::Read, keep).await?;
        Ok(best.map(|(_, set)| set))
    }

    /// Whether a record set of that type is there.
    pub async fn has_record_set(
        &self,
        zone: &Hostname,
        subname: &str,
        kind: &str,
    ) -> Result<bool, Trouble> {
        match self.get(&record_set_path(zone, subname, kind), Scope::Read).await {
            Ok(answer) => parse::<RecordSet>(&answer).map(|_| true),
            Err(Trouble::NotThere(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether the server offers to write a record set (`OPTIONS`); never for one that is not there.
    pub async fn offers_writing(
        &self,
        zone: &Hostname,
        subname: &str,
        kind: &str,
    ) -> Result<bool, Trouble> {
        let path = record_set_path(zone, subname, kind);
        let scope = Scope::Write(zone.to_string());
        let answer = self.call(Method::Options, &path, None, scope).await?;
        wire::offers_writing(&answer).ok_or_else(|| unintelligible(&answer))
    }

    /// Whether a record could be written, by a write with a valid `ttl` and invalid content.
    pub async fn probe_write(
        &self,
        zone: &Hostname,
        subname: &str,
        kind: &str,
        ttl: u32,
    ) -> Result<WriteProbe, Trouble> {
        let path = format!("/domains/{zone}/rrsets/");
        let body = Some(wire::impossible_write(subname, kind, ttl));
        let scope = Scope::Write(zone.to_string());
        let tried = self.call(Method::Patch, &path, body, scope).await;
        probed(tried, |refusal| match refusal.rejection {
            Rejection::Forbidden => WriteProbe::MayNot,
            // The server makes this complaint before it checks the rights.
            _ if is_in_the_way(refusal) => WriteProbe::Unclear(IN_THE_WAY.to_owned()),
            // It complains about the content after that check, about single fields before it.
            _ if refusal.detail.contains("non_field_errors") => WriteProbe::May,
            _ => WriteProbe::Unclear(refusal.detail.clone()),
        })
    }

    /// Whether a host's own record could be written, by an update at `update_url` with a bad address.
    pub async fn probe_update(
        &self,
        update_url: &str,
        host: &Hostname,
        family: Family,
    ) -> Result<WriteProbe, Trouble> {
        let url = desec::impossible_update(update_url, host, family);
        let tried = self.carry(self.request_at(Method::Get, url, None), Scope::Root).await;
        probed(tried, |refusal| match refusal.rejection {
            Rejection::Forbidden => WriteProbe::MayNot,
            _ if is_in_the_way(refusal) => WriteProbe::Unclear(IN_THE_WAY.to_owned()),
            _ => WriteProbe::May,
        })
    }

    /// Whether zones could be registered, by a request without a name.
    pub async fn probe_create_zone(&self) -> Result<WriteProbe, Trouble> {
        let body = Some("{}".to_owned());
        let tried = self.call(Method::Post, "/domains/", body, Scope::Zones).await;
        probed(tried, |refusal| match refusal.rejection {
            // Another refusal means that the account has all the zones that it may have.
            Rejection::Forbidden if refusal.detail.contains("do not have permission") => {
                WriteProbe::MayNot
            }
            Rejection::Request if refusal.detail.contains("name") => WriteProbe::May,
            _ => WriteProbe::Unclear(refusal.detail.clone()),
        })
    }

    /// Whether zones could be deleted, by a name that nobody can register (RFC 6761, section 6.4).
    pub async fn probe_delete_zone(&self) -> Result<WriteProbe, Trouble> {
        match self.delete_at("/domains/probe.invalid/", Scope::Zones).await {
            Ok(()) => Ok(WriteProbe::May),
            Err(trouble) if trouble.is_forbidden() => Ok(WriteProbe::MayNot),
            Err(trouble) => Err(trouble),
        }
    }

    /// The values of a list over all its pages, each of which `page` reads.
    async fn all<T>(
        &self,
        path: &str,
        scope: Scope,
        page: fn(&Answer) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, Trouble> {
        /// The most values of a list; a longer list is unintelligible.
        const MOST: usize = 50_000;
        let mut all = Vec::new();
        let keep = &mut |answer: &Answer| {
            all.extend(page(answer)?);
            (all.len() <= MOST).then_some(true)
        };
        self.pages(path, scope, keep).await?;
        Ok(all)
    }

    /// Gives each page of a list to `keep` until that returns `false`, or `None` for a bad page.
    async fn pages(
        &self,
        path: &str,
        scope: Scope,
        keep: &mut dyn FnMut(&Answer) -> Option<bool>,
    ) -> Result<(), Trouble> {
        /// Pages of 500 hold more than any account may have.
        const MOST_PAGES: usize = 100;
        const LONGEST_CURSOR: usize = 1024;
        let mut path = path.to_owned();
        let mut seen = SortedSet::new();
        // The reading has to end for a list that leads in a circle, and for one that goes on for ever.
        while seen.len() < MOST_PAGES && seen.insert(path.clone()) {
            let answer = self.get(&path, scope.clone()).await?;
            if !keep(&answer).ok_or_else(|| unintelligible(&answer))? {
                return Ok(());
            }
            let Some(next) = &answer.next else { return Ok(()) };
            // Only the cursor is taken from it, so that the secret goes to no other server.
            let cursor = next.split(['?', '&']).find_map(|part| part.strip_prefix("cursor="));
            let is_one = |cursor: &&str| (1..=LONGEST_CURSOR).contains(&cursor.len());
            let cursor = cursor.filter(is_one).ok_or_else(|| unintelligible(&answer))?;
            let (base, _) = path.split_once('?').unwrap_or((&path, ""));
            path = format!("{base}?cursor={cursor}");
        }
        let how = if seen.len() < MOST_PAGES { "leads in a circle" } else { "does not end" };
        let detail = format!("{} gives a list that {how}", self.connection.api_url);
        Err(Trouble::deferred(Fault::Unintelligible, detail))
    }

    async fn get(&self, path: &str, scope: Scope) -> Result<Answer, Trouble> {
        self.call(Method::Get, path, None, scope).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
        scope: Scope,
    ) -> Result<Answer, Trouble> {
        self.carry(self.request(method, path, json), scope).await
    }

    fn request(&self, method: Method, path: &str, json: Option<String>) -> HttpRequest {
        self.request_at(method, format!("{}{path}", self.connection.api_url), json)
    }

    fn request_at(&self, method: Method, url: String, json: Option<String>) -> HttpRequest {
        let authorization = Some(Authorization::Token(self.secret.clone()));
        let (body, bind) = (json.map(|text| Body::Json(text.into())), self.connection.bind.get());
        HttpRequest { method, body, bind, is_list: true, ..HttpRequest::get(url, authorization) }
    }

    /// The answer to one request that succeeded; a refusal for speed is waited out.
    async fn carry(&self, request: HttpRequest, scope: Scope) -> Result<Answer, Trouble> {
        let method = request.method;
        let mut waited = Duration::ZERO;
        let mut repeated = false;
        loop {
            let wait = self.connection.pacer.borrow().wait(&scope, now());
            self.pause(wait, &mut waited).await?;
            let noted = now();
            self.connection.pacer.borrow_mut().note(scope.clone(), noted);
            let sent = self.connection.clients.send(&request, self.connection.ca_file).await;
            self.connection.pacer.borrow_mut().note_end(now());
            let may_repeat = !repeated && (method.is_safe() || method == Method::Delete);
            let answer = match sent {
                Ok(answer) => answer,
                // A connection may die while it is idle; a request that may be repeated is sent again.
                Err(error) if may_repeat && error.fault == Fault::Lost => {
                    repeated = true;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match answer.status {
                200..=299 if !answer.is_page() => return Ok(answer),
                429 => {
                    self.connection.pacer.borrow_mut().take_back(&scope, noted);
                    let wait = answer.retry_after.unwrap_or(Duration::from_secs(1));
                    self.pause(wait.max(Duration::from_secs(1)), &mut waited).await?;
                }
                500..=599 if may_repeat => {
                    repeated = true;
                    self.pause(Duration::from_secs(1), &mut waited).await?;
                }
                _ => return Err(trouble(&answer)),
            }
        }
    }

    /// Waits, unless all waits of the request would exceed the patience.
    async fn pause(&self, wait: Duration, waited: &mut Duration) -> Result<(), Trouble> {
        *waited += wait;
        if *waited > self.connection.patience {
            let detail = format!(
                "the account's limits leave no room for {}",
                humantime::format_duration(Duration::from_secs(wait.as_secs()))
            );
            let deferral = Deferral { fault: Fault::Throttled, detail, retry_after: Some(wait) };
            return Err(Trouble::Deferred(deferral));
        }
        if wait > Duration::from_secs(2) {
            self.connection.watcher.waits(wait);
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

/// The token that an answer shows.
fn one_token(answer: &Answer) -> Result<Token, Trouble> {
    wire::token(answer).map(|(token, _)| token).ok_or_else(|| unintelligible(answer))
}

/// The result of an impossible request; `judge` reads a refusal of it or of the right to it.
fn probed(
    tried: Result<Answer, Trouble>,
    judge: impl FnOnce(&Refusal) -> WriteProbe,
) -> Result<WriteProbe, Trouble> {
    match tried {
        Err(Trouble::Rejected(refusal))
            if matches!(refusal.rejection, Rejection::Forbidden | Rejection::Request) =>
        {
            Ok(judge(&refusal))
        }
        Ok(answer) => Ok(WriteProbe::Unclear(format!("the answer is {}", answer.summary()))),
        Err(trouble) => Err(trouble),
    }
}

/// Whether a write was refused because of another record at that name.
fn is_in_the_way(refusal: &Refusal) -> bool {
    refusal.detail.contains("conflicting type")
}

/// The reason why a write of one type can be impossible with any rights.
const IN_THE_WAY: &str = "another record at that name is in the way";

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    wire::parse(answer).ok_or_else(|| unintelligible(answer))
}

/// The trouble of an answer that is no success. Only an answer in the server's own form rejects.
fn trouble(answer: &Answer) -> Trouble {
    let said = answer.summary();
    match answer.status {
        500..=599 => Trouble::answered(Fault::Server, answer),
        _ if answer.is_page() => unintelligible(answer),
        400 => Trouble::rejected(Rejection::Request, said),
        401 => Trouble::rejected(Rejection::Credential, said),
        403 => Trouble::rejected(Rejection::Forbidden, said),
        404 => Trouble::NotThere(said),
        409 => Trouble::Conflict(said),
        _ => unintelligible(answer),
    }
}

fn unintelligible(answer: &Answer) -> Trouble {
    Trouble::deferred(Fault::Unintelligible, answer.summary())
}

fn policies_path(id: &TokenId, api: Api) -> String {
    let kind = match api {
        Api::Rows => "rrsets",
        Api::Zones => "domain",
    };
    format!("/auth/tokens/{id}/policies/{kind}/")
}

fn record_sets_path(zone: &Hostname) -> String {
    format!("/domains/{zone}/rrsets/?cursor=")
}

/// The path of a record set; the zone's own name is `@` there.
fn record_set_path(zone: &Hostname, subname: &str, kind: &str) -> String {
    let subname = if subname.is_empty() { "@" } else { subname };
    format!("/domains/{zone}/rrsets/{subname}/{kind}/")
}

/// A moment by a clock that is never set back, for measuring time.
fn now() -> Timestamp {
    let uptime = u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(uptime)
}
