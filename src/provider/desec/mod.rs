//! deSEC's account API: tokens, policies, zones and records, asked for one at a time and within the
//! account's limits.
//!
//! Carries requests and reads answers; what follows from them is decided by its callers, the token
//! side and the round's look at its own token. A refusal for going too fast is waited out here.

mod pace;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use self::wire::{RecordSet, Zone};

use self::pace::{Pacer, Scope};
use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::outcome::{Deferral, Fault, Refusal, Rejection, Silence};
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

/// The most that is kept of a list over all its pages.
const MOST_OF_PAGES: usize = 50_000;

/// Somebody who is told how it goes on.
pub trait Watch {
    /// Nothing leaves for so long, because of the account's limits.
    fn waits(&self, _wait: Duration) {}
}

/// Nobody.
impl Watch for () {}

/// Why a request did not bring what it should.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// There is one already.
    Conflict(String),
    /// Later may help.
    Deferred(Deferral),
    /// There is none of that name.
    NotThere(String),
    /// Only a person helps.
    Rejected(Refusal),
}

/// What a write that cannot succeed showed about the right to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WriteProbe {
    /// The server would take such a write.
    May,
    /// It would not.
    MayNot,
    /// It did not come to that, for this reason.
    Unclear(String),
}

impl<'a> Account<'a> {
    /// The account at `api_url` (without a final slash), as `secret` sees it; waits up to `patience` in all for limits.
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

    /// Where the API is.
    pub fn server(&self) -> &str {
        &self.connection.api_url
    }

    /// Whether `secret` is what it is seen with.
    pub fn is_seen_with(&self, secret: &Secret) -> bool {
        self.secret == *secret
    }

    /// Every token of the account; needs the right to manage tokens.
    pub async fn tokens(&self) -> Result<Vec<Token>, Trouble> {
        let mut all = Vec::new();
        let keep = &mut |answer: &Answer| append(&mut all, wire::tokens(answer)?);
        self.pages("/auth/tokens/?cursor=", Scope::Management, keep).await?;
        Ok(all)
    }

    /// One token; needs the right to manage tokens.
    pub async fn token(&self, id: &TokenId) -> Result<Token, Trouble> {
        let path = format!("/auth/tokens/{id}/");
        let answer = self.call(Method::Get, &path, None, Scope::Management).await?;
        one_token(&answer)
    }

    /// A new token with what the server calls its secret, born locked where the server can. The caller
    /// has to look at the secret: it is empty where the server gave none.
    pub async fn create_token(
        &self,
        name: &str,
        limits: &Limits,
    ) -> Result<(Token, Secret), Trouble> {
        let body = wire::born_locked(name, limits);
        let request = HttpRequest {
            brings: Some(|answer| wire::token(answer)?.1),
            ..self.request(Method::Post, "/auth/tokens/", Some(body))
        };
        let answer = self.carry(request, Scope::Management).await?;
        match wire::token(&answer) {
            Some((token, secret)) if answer.status == 201 => {
                let secret = secret.unwrap_or_else(|| Secret::new(""));
                Ok((token, secret))
            }
            // Its body may hold a secret that nobody knows yet, so it is not quoted.
            _ => Err(unintelligible(&Answer { status: answer.status, ..Answer::default() })),
        }
    }

    /// Whether the secret itself has the right to manage tokens.
    pub async fn manages_tokens(&self) -> Result<bool, Trouble> {
        match self.call(Method::Get, "/auth/tokens/?cursor=", None, Scope::Management).await {
            Ok(answer) if wire::are_tokens(&answer) => Ok(true),
            Ok(answer) => Err(unintelligible(&answer)),
            Err(trouble) if trouble.is_forbidden() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Takes every right beside writing records from a token, and gives it the limits `should`, and a
    /// name if one is wished.
    pub async fn tame(
        &self,
        id: &TokenId,
        is: &Limits,
        should: &Limits,
        name: Option<&str>,
    ) -> Result<Token, Trouble> {
        let body = wire::without_flags(wire::changed_limits(is, should), name);
        let path = format!("/auth/tokens/{id}/");
        let answer = self.call(Method::Patch, &path, Some(body), Scope::Management).await?;
        one_token(&answer)
    }

    /// Ends a token; one that does not exist is ended.
    pub async fn delete_token(&self, id: &TokenId) -> Result<(), Trouble> {
        self.delete_at(&format!("/auth/tokens/{id}/"), Scope::Management).await
    }

    /// The form of policies at this server, asked of any token that may be looked at; once.
    pub async fn api(&self, id: &TokenId) -> Result<Api, Trouble> {
        if let Some(api) = self.connection.api.get() {
            return Ok(api);
        }
        let path = format!("/auth/tokens/{id}/policies/");
        let answer = self.call(Method::Get, &path, None, Scope::Management).await?;
        let api = wire::api(&answer).ok_or_else(|| unintelligible(&answer))?;
        self.connection.api.set(Some(api));
        Ok(api)
    }

    /// The policies of a token; a token may read its own.
    pub async fn policies(&self, id: &TokenId) -> Result<Vec<Policy>, Trouble> {
        let api = self.api(id).await?;
        let path = policies_path(id, api);
        let answer = self.call(Method::Get, &path, None, Scope::Management).await?;
        wire::policies(&answer, api).ok_or_else(|| unintelligible(&answer))
    }

    /// Adds a policy to a token.
    pub async fn add_policy(&self, id: &TokenId, rule: &Rule) -> Result<(), Trouble> {
        let path = policies_path(id, self.api(id).await?);
        let body = Some(wire::rule(rule));
        self.call(Method::Post, &path, body, Scope::Management).await.map(|_| ())
    }

    /// Lets a policy of a token say `rule`, which is about the same as before.
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

    /// Removes a policy of a token; one that does not exist is removed.
    pub async fn remove_policy(&self, id: &TokenId, policy: &Policy) -> Result<(), Trouble> {
        let path = format!("{}{}/", policies_path(id, self.api(id).await?), policy.at);
        self.delete_at(&path, Scope::Management).await
    }

    /// Deletes what is at `path`; only the server's own word for it counts as done.
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
        let answer = self.call(Method::Get, "/auth/account/", None, Scope::Management).await?;
        Ok(read::<wire::Owner>(&answer)?.email)
    }

    /// Whether the server knows the secret; costs nothing but the day's budget, and counts as use.
    pub async fn greet(&self) -> Result<(), Trouble> {
        let answer = self.call(Method::Get, "/", None, Scope::Root).await?;
        // A header that it does not understand makes it answer as to a stranger.
        if wire::is_known_to_root(&answer) { Ok(()) } else { Err(unintelligible(&answer)) }
    }

    /// Every zone of the account.
    pub async fn zones(&self) -> Result<Vec<Zone>, Trouble> {
        let mut all = Vec::new();
        let keep = &mut |answer: &Answer| append(&mut all, wire::list(answer, Some)?);
        self.pages("/domains/?cursor=", Scope::Read, keep).await?;
        Ok(all)
    }

    /// The zone that is responsible for `host`; `None` when the account has none.
    pub async fn zone_of(&self, host: &Hostname) -> Result<Option<Hostname>, Trouble> {
        let answer = self.call(Method::Get, &desec::zone_path(host), None, Scope::Read).await?;
        let zones: Vec<Zone> = read(&answer)?;
        match desec::responsible(host, zones.iter().map(|zone| zone.name.as_str())) {
            None if !zones.is_empty() => Err(unintelligible(&answer)),
            zone => Ok(zone),
        }
    }

    /// One zone, with its keys.
    pub async fn zone(&self, zone: &Hostname) -> Result<Zone, Trouble> {
        let path = format!("/domains/{zone}/");
        read(&self.call(Method::Get, &path, None, Scope::Read).await?)
    }

    /// The name servers of a zone, as it names them itself.
    pub async fn name_servers(&self, zone: &Hostname) -> Result<Vec<String>, Trouble> {
        let path = record_set_path(zone, "", "NS");
        let answer = self.call(Method::Get, &path, None, Scope::Read).await?;
        Ok(read::<wire::Records>(&answer)?.records)
    }

    /// Ends the very token that the account is seen with.
    pub async fn log_out(&self) -> Result<(), Trouble> {
        let answer = self.call(Method::Post, "/auth/logout/", None, Scope::Root).await?;
        if answer.status == 204 { Ok(()) } else { Err(unintelligible(&answer)) }
    }

    /// Registers a zone.
    pub async fn create_zone(&self, zone: &Hostname) -> Result<Zone, Trouble> {
        let body = wire::new_zone(zone.as_str());
        read(&self.call(Method::Post, "/domains/", Some(body), Scope::Zones).await?)
    }

    /// Every record set of a zone.
    pub async fn record_sets(&self, zone: &Hostname) -> Result<Vec<RecordSet>, Trouble> {
        let mut all = Vec::new();
        let keep = &mut |answer: &Answer| append(&mut all, wire::list(answer, Some)?);
        self.pages(&record_sets_path(zone), Scope::Read, keep).await?;
        Ok(all)
    }

    /// Of the record sets of a zone that `rank` gives a rank, the first one of the least; a rank of 0
    /// ends the search. Nothing else is kept of them.
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
        let path = record_set_path(zone, subname, kind);
        match self.call(Method::Get, &path, None, Scope::Read).await {
            Ok(answer) => read::<RecordSet>(&answer).map(|_| true),
            Err(Trouble::NotThere(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether the server offers to write a record set that is there (`OPTIONS`); one that is not
    /// there is never offered, whatever the rights.
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

    /// Whether a record could be written, by a write whose content the server must refuse; `ttl` is
    /// one that the zone takes.
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
            // This complaint comes before the look at the rights.
            _ if is_in_the_way(refusal) => WriteProbe::Unclear(IN_THE_WAY.to_owned()),
            // One about the content comes after it; those about single fields come before.
            _ if refusal.detail.contains("non_field_errors") => WriteProbe::May,
            _ => WriteProbe::Unclear(refusal.detail.clone()),
        })
    }

    /// The same for a host's own record, by an update at `update_url` with an address that is none:
    /// the only way where rights are for updates alone.
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
            // Another refusal is that of an account which has all the zones it may.
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

    /// Gives each page of a list to `keep` until that says `false`; `None` is that the page is
    /// unintelligible.
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
        let mut seen = BTreeSet::new();
        // A list that leads in a circle has to end, and so has one that goes on for ever.
        while seen.len() < MOST_PAGES && seen.insert(path.clone()) {
            let answer = self.call(Method::Get, &path, None, scope.clone()).await?;
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
        Err(Trouble::Deferred(Deferral { fault: Fault::Unintelligible, detail, retry_after: None }))
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
                // A connection may die while nobody looks; what changes nothing is asked again.
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

    /// Waits, unless that would be more than there is patience for.
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

/// Adds a page to a list; a list that is too long to be kept is unintelligible.
fn append<T>(all: &mut Vec<T>, page: Vec<T>) -> Option<bool> {
    all.extend(page);
    (all.len() <= MOST_OF_PAGES).then_some(true)
}

/// The token that an answer shows.
fn one_token(answer: &Answer) -> Result<Token, Trouble> {
    wire::token(answer).map(|(token, _)| token).ok_or_else(|| unintelligible(answer))
}

/// What a request that cannot succeed showed; `judge` looks at refusals of it and of the right to it.
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

/// Whether a write was refused for what stands beside it.
fn is_in_the_way(refusal: &Refusal) -> bool {
    refusal.detail.contains("conflicting type")
}

/// Why a write of one type can be impossible whatever the rights.
const IN_THE_WAY: &str = "another record at that name is in the way";

/// The value that an answer is, or that it is not intelligible.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    wire::parse(answer).ok_or_else(|| unintelligible(answer))
}

/// What an answer that is no success means. Only an answer in the server's own form rejects.
fn trouble(answer: &Answer) -> Trouble {
    let said = answer.summary();
    let rejected = |rejection| Trouble::Rejected(Refusal { rejection, detail: answer.summary() });
    match answer.status {
        500..=599 => {
            let retry_after = answer.retry_after;
            Trouble::Deferred(Deferral { fault: Fault::Server, detail: said, retry_after })
        }
        _ if answer.is_page() => unintelligible(answer),
        400 => rejected(Rejection::Request),
        401 => rejected(Rejection::Credential),
        403 => rejected(Rejection::Forbidden),
        404 => Trouble::NotThere(said),
        409 => Trouble::Conflict(said),
        _ => unintelligible(answer),
    }
}

fn unintelligible(answer: &Answer) -> Trouble {
    let detail = answer.summary();
    Trouble::Deferred(Deferral { fault: Fault::Unintelligible, detail, retry_after: None })
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

/// Where a record set is; the zone's own name is `@` there.
fn record_set_path(zone: &Hostname, subname: &str, kind: &str) -> String {
    let subname = if subname.is_empty() { "@" } else { subname };
    format!("/domains/{zone}/rrsets/{subname}/{kind}/")
}

/// A moment for measuring how long ago something was; never set back.
fn now() -> Timestamp {
    let uptime = u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(uptime)
}

impl From<Silence> for Trouble {
    fn from(Silence { fault, detail }: Silence) -> Self {
        Self::Deferred(Deferral { fault, detail, retry_after: None })
    }
}

impl Trouble {
    /// Whether the request may have been fulfilled all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Deferred(deferral) if deferral.fault.leaves_doubt())
    }

    /// Whether the server does not take the secret.
    pub fn is_credential(&self) -> bool {
        matches!(self, Self::Rejected(refusal) if refusal.rejection == Rejection::Credential)
    }

    /// Whether the server cannot be reached, or wants to be left alone for long: whatever comes next
    /// would fare the same.
    pub fn is_no_way(&self) -> bool {
        let is_general = |fault: Fault| fault.is_the_networks() || fault == Fault::Throttled;
        matches!(self, Self::Deferred(deferral) if is_general(deferral.fault))
    }

    /// Whether the secret lacks the right.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Rejected(refusal) if refusal.rejection == Rejection::Forbidden)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(said) => write!(f, "there is one already ({said})"),
            Self::Deferred(deferral) => f.write_str(&deferral.detail),
            Self::NotThere(said) => write!(f, "it does not exist ({said})"),
            Self::Rejected(refusal) => f.write_str(&refusal.detail),
        }
    }
}

impl std::error::Error for Trouble {}
