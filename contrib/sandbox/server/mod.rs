//! The sandbox: a small server that behaves like deSEC, in memory and on this machine.
//!
//! It owns one account and listens as the API host (`/api/v1/…`), as the update host (any path, as
//! `update.dedyn.io`) and as name server. Tests include this module in `tests/support` and start it
//! in-process; `main.rs` beside it is the same for people. It is no model of deSEC's storage, only
//! of what a client can observe (deSEC, recorded August 2026; see `tests/golden/desec`).
//!
//! | file | owns |
//! | --- | --- |
//! | `account`, `token`, `throttle`, `subnet`, `api` | what the server knows; pure |
//! | `dyndns`, `yaml` | an update to its answer; pure |
//! | `rest` | which REST view answers; pure, as all of the views |
//! | `tokens`, `policies`, `legacy`, `zones`, `rrsets` | the views; `legacy` is the old API |
//! | `changes`, `content` | what a write of record sets wants, and whether it may |
//! | `call`, `fields`, `paging` | what views share |
//! | `auth` | who is asking |
//! | `dns`, `http`, `json`, `calendar` | bytes to values and back; pure |
//! | `chance` | ids and secrets |
//! | `script` | misbehaviour on demand |
//! | `shell` | sockets and threads |
//! | `services`, `serving` | other services than deSEC, and their sockets and threads |
#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

pub mod account;
pub mod api;
pub mod auth;
pub mod calendar;
pub mod call;
pub mod chance;
pub mod changes;
pub mod content;
pub mod dns;
pub mod dyndns;
pub mod fields;
pub mod http;
pub mod json;
pub mod legacy;
pub mod paging;
pub mod policies;
pub mod rest;
pub mod rrsets;
pub mod script;
pub mod services;
mod serving;
mod shell;
pub mod subnet;
pub mod throttle;
pub mod token;
pub mod tokens;
pub mod yaml;
pub mod zones;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[allow(
    unused_imports,
    reason = "as above: what one user of this module leaves, another needs"
)]
pub use {
    account::Account,
    api::Api,
    http::Answer,
    script::{Delivery, Scripted},
    token::{Policy, Token, ZonePolicy},
};

use script::{Death, Wanted};
use shell::Shell;

/// A running server. Dropping it closes its ports and connections at once.
pub struct Sandbox {
    api: Option<SocketAddr>,
    dns: Option<SocketAddr>,
    shell: Arc<Shell>,
    update: Option<SocketAddr>,
}

impl Sandbox {
    /// Serves `account` on free ports of 127.0.0.1: API host, update host and name server.
    pub fn start(account: Account) -> io::Result<Self> {
        let mut sandbox = Self::unbound(account);
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        sandbox.listen(Role::Api, anywhere)?;
        sandbox.listen(Role::Update, anywhere)?;
        sandbox.listen_dns(anywhere)?;
        Ok(sandbox)
    }

    /// Serves `account` nowhere yet; see [`Sandbox::listen`] and [`Sandbox::listen_dns`].
    pub fn unbound(account: Account) -> Self {
        Self { api: None, dns: None, shell: Arc::new(Shell::new(account)), update: None }
    }

    /// Listens at one more address and returns it with the port that was chosen if `at` has none.
    pub fn listen(&mut self, role: Role, at: SocketAddr) -> io::Result<SocketAddr> {
        let bound = self.shell.listen(role, at)?;
        let first = match role {
            Role::Api => &mut self.api,
            Role::Update => &mut self.update,
        };
        first.get_or_insert(bound);
        Ok(bound)
    }

    /// Answers DNS queries over UDP at one more address; see [`Sandbox::listen`].
    pub fn listen_dns(&mut self, at: SocketAddr) -> io::Result<SocketAddr> {
        let bound = self.shell.listen_dns(at)?;
        self.dns.get_or_insert(bound);
        Ok(bound)
    }

    /// `http://ADDRESS:PORT` of the API host, what `server` is in a provider's entry.
    ///
    /// # Panics
    ///
    /// If the sandbox does not listen in that role.
    pub fn url(&self) -> String {
        format!("http://{}", self.api.expect("call `listen(Role::Api, …)` first"))
    }

    /// `http://ADDRESS:PORT` of the update host, where every path updates.
    ///
    /// # Panics
    ///
    /// If the sandbox does not listen in that role.
    pub fn update_url(&self) -> String {
        format!("http://{}", self.update.expect("call `listen(Role::Update, …)` first"))
    }

    /// Where the name server answers.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn dns(&self) -> SocketAddr {
        self.dns.expect("call `listen_dns` first")
    }

    /// Reads or changes the account between two requests: zones, tokens, records, limits.
    pub fn with_account<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        self.shell.with_account(change)
    }

    /// The values of one record set (`kind` is `A`, `AAAA`, …), sorted as text.
    pub fn records(&self, host: &str, kind: &str) -> Vec<String> {
        self.with_account(|account| account.records(host, kind))
    }

    /// Forgets how often the server was asked, nginx's memory included.
    pub fn flush_throttle(&self) {
        self.shell.flush_throttle();
    }

    /// Decides the fate of the next update that no earlier script is for; may be called ahead.
    pub fn answer_next(&self, script: Scripted) {
        self.shell.add_script(Wanted::default(), script);
    }

    /// Decides the fate of the next request whose path begins with `path`, update or not.
    pub fn answer_next_at(&self, path: &str, script: Scripted) {
        let wanted = Wanted { path: Some(path.to_owned()), ..Wanted::default() };
        self.shell.add_script(wanted, script);
    }

    /// Decides the fate of the `nth` request from now on (counted from 1) with this method whose
    /// path begins with `path`.
    pub fn answer_nth(&self, nth: usize, method: &str, path: &str, script: Scripted) {
        let wanted = Wanted {
            method: Some(method.to_owned()),
            passes: nth.saturating_sub(1),
            path: Some(path.to_owned()),
        };
        self.shell.add_script(wanted, script);
    }

    /// Serves `n` more requests and then none: every later one, on whatever connection, ends
    /// without an answer and without an effect. With `performed_last` the last one that is served
    /// takes effect, but its answer is lost too. Scripts apply to what is still served.
    pub fn die_after(&self, n: usize, performed_last: bool) {
        self.shell.set_death(Some(Death { left: n, performed_last }));
    }

    /// Ends what [`Sandbox::die_after`] began.
    pub fn revive(&self) {
        self.shell.set_death(None);
    }

    /// Moves the account's clock forwards; see [`Account::advance`].
    pub fn advance(&self, by: Duration) {
        self.with_account(|account| account.advance(by));
    }

    /// Forgets the scripts that no request has met yet, and returns how many that were.
    pub fn clear_scripts(&self) -> usize {
        self.shell.clear_scripts()
    }

    /// Returns once every connection that was begun until now has ended; for after a client was
    /// killed, whose last request may still be on its way.
    pub fn await_quiet(&self) -> io::Result<()> {
        self.shell.await_quiet()
    }

    /// Everything that was asked so far, oldest first. A request is listed before its answer
    /// leaves, so that whoever has the answer finds it here.
    pub fn requests(&self) -> Vec<Received> {
        self.shell.requests_from(0)
    }

    /// The updates among the requests.
    pub fn updates(&self) -> Vec<Received> {
        self.requests().into_iter().filter(Received::is_update).collect()
    }

    /// The requests from the `first` on (counted from 0), as soon as there is one; empty when
    /// there is none after `patience`.
    pub fn requests_from(&self, first: usize, patience: Duration) -> Vec<Received> {
        self.shell.await_requests(first, patience)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shell.stop();
    }
}

/// Which of deSEC's hosts a listener plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// `desec.io`: the update view under its own URL, the REST API, and `/ip`, which stands for
    /// `checkip.dedyn.io`. Bursts are delayed.
    Api,
    /// `update.dedyn.io`: every path updates, except `/nic/checkip.html`. Bursts are refused.
    Update,
}

/// A request as the log keeps it: complete, but without any secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// Since the sandbox was made.
    pub at: Duration,
    /// As sent, with `***` for secrets of at least 12 characters.
    pub body: String,
    /// Its port tells connections apart.
    pub client: SocketAddr,
    /// What the client presented.
    pub credential: Credential,
    /// As sent; of `Authorization` only the scheme.
    pub headers: Vec<(String, String)>,
    /// `GET` and so on.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Whether the request was let take effect, answered or not.
    pub performed: bool,
    /// Decoded, in the order sent; `***` for the values that are secrets.
    pub query: Vec<(String, String)>,
    /// The host that was asked.
    pub role: Role,
    /// What was answered, or `None` if the connection was cut instead.
    pub status: Option<u16>,
    /// The id of the token that was presented, whether or not it let anyone in.
    pub token_id: Option<String>,
}

impl Received {
    /// Whether the request came to the update view.
    pub fn is_update(&self) -> bool {
        is_update(self.role, &self.path)
    }

    /// The last value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&http::request_line(&self.method, &self.path, &self.query))?;
        match &self.credential {
            Credential::Absent => write!(f, " without credentials")?,
            Credential::Token(name) => write!(f, " with token {name}")?,
            Credential::Unknown => write!(f, " with unknown credentials")?,
        }
        write!(f, " from {} -> ", self.client)?;
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => write!(f, "no answer"),
        }
    }
}

/// What a client presented, whether or not it was let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Nothing.
    Absent,
    /// The secret of the token with this name.
    Token(String),
    /// Something else.
    Unknown,
}

const CHECKIP: &str = "/nic/checkip.html";

fn is_update(role: Role, path: &str) -> bool {
    match role {
        Role::Api => ["/api/v1/dyndns/update", "/api/v2/dyndns/update"].contains(&path),
        Role::Update => path != CHECKIP && !is_picture(path),
    }
}

/// Browsers ask for these by themselves; nginx keeps them from the update view.
fn is_picture(path: &str) -> bool {
    [".ico", ".png"].iter().any(|ending| path.ends_with(ending))
}
