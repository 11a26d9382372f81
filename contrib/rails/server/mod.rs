//! A small `PowerDNS` on Rails, in memory and on this machine, for the tests of its client.
//!
//! Behaves as far as a client can observe, by what the REST page and the source of the releases show:
//! the 2.3.3 whose tokens work, later ones with other answers, and the one after the move to Devise,
//! whose tokens open nothing. What is not known of it is answered in the simplest way.
//!
//! | file | owns |
//! | --- | --- |
//! | `world` | users, domains, records, tokens, sessions; what a token may do; pure |
//! | `views` | a request to its answer; pure |
//! | `xml`, `dates` | bodies and moments in Ruby's forms; pure |
//! | `serving`, `http`, `script`, `calendar`, `chance` | the sandbox's own |
#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

#[path = "../../sandbox/server/calendar.rs"]
pub mod calendar;
#[path = "../../sandbox/server/chance.rs"]
pub mod chance;
pub mod dates;
#[path = "../../sandbox/server/http.rs"]
pub mod http;
#[path = "../../sandbox/server/script.rs"]
pub mod script;
#[path = "../../sandbox/server/serving.rs"]
mod serving;
pub mod views;
pub mod world;
pub mod xml;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[allow(
    unused_imports,
    reason = "as above: what one user of this module leaves, another needs"
)]
pub use {
    http::Answer,
    script::{Delivery, Scripted},
    world::{Credential, Domain, Record, Release, Role, Token, User, World},
};

use http::Request;
use script::{Death, Wanted};
use serving::{Serves, Shell};

/// A running server. Dropping it closes its port and connections at once.
pub struct Rails {
    shell: Arc<Shell<World>>,
    at: SocketAddr,
}

impl Rails {
    /// Serves `world` on a free port of 127.0.0.1.
    pub fn start(world: World) -> io::Result<Self> {
        Self::start_at(world, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Serves `world` at this address.
    pub fn start_at(world: World, at: SocketAddr) -> io::Result<Self> {
        let shell = Arc::new(Shell::new(world));
        let at = shell.listen(at)?;
        Ok(Self { shell, at })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        let base = self.with_world(|world| world.base.clone());
        format!("http://{}{base}", self.at)
    }

    /// Reads or changes what it knows, between two requests.
    pub fn with_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shell.with_world(change)
    }

    /// The values of the records of one type at a name.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        self.with_world(|world| world.values(name, kind))
    }

    /// Moves its clock forwards.
    pub fn advance(&self, by: Duration) {
        self.with_world(|world| world.ahead += by);
    }

    /// Decides the fate of the next request with this method whose path begins with `path`.
    pub fn answer_next(&self, method: &str, path: &str, script: Scripted) {
        self.answer_nth(1, method, path, script);
    }

    /// Decides the fate of the `nth` such request from now on, counted from 1.
    pub fn answer_nth(&self, nth: usize, method: &str, path: &str, script: Scripted) {
        let wanted = Wanted {
            method: Some(method.to_owned()),
            passes: nth.saturating_sub(1),
            path: Some(path.to_owned()),
        };
        self.shell.add_script(wanted, script);
    }

    /// Serves `n` more requests and then none: every later connection ends without an answer. With
    /// `performed_last` the last one that is served takes effect, but its answer is lost too.
    pub fn die_after(&self, n: usize, performed_last: bool) {
        self.shell.set_death(Some(Death { left: n, performed_last }));
    }

    /// Ends what [`Rails::die_after`] began.
    pub fn revive(&self) {
        self.shell.set_death(None);
    }

    /// Everything that was asked so far, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.shell.requests()
    }

    /// The same in short, `PUT /domains/1/records/2 -> 200`.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(Received::to_string).collect()
    }

    /// The requests from the `first` on (counted from 0), as soon as there is one.
    pub fn requests_from(&self, first: usize, patience: Duration) -> Vec<Received> {
        self.shell.await_requests(first, patience)
    }
}

impl Drop for Rails {
    fn drop(&mut self) {
        self.shell.stop();
    }
}

impl Serves for World {
    type Received = Received;

    fn ahead(&self) -> Duration {
        self.ahead
    }

    fn received(&self, request: &Request, now: Duration) -> Received {
        let path = match views::secret_in(request) {
            Some(secret) => request.path.replace(secret, "***"),
            None => request.path.clone(),
        };
        let is_secret = |name: &str| {
            name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Cookie")
        };
        let headers = request.headers.iter().filter(|(name, _)| !is_secret(name));
        Received {
            body: String::from_utf8_lossy(&request.body).into_owned(),
            credential: views::credential(self, request, now),
            headers: headers.cloned().collect(),
            method: request.method.clone(),
            path,
            performed: false,
            status: None,
        }
    }

    fn answer(&mut self, request: &Request, _client: SocketAddr, now: Duration) -> Answer {
        views::answer(self, request, now)
    }

    fn ended(received: &mut Received, performed: bool, status: Option<u16>) {
        (received.performed, received.status) = (performed, status);
    }
}

/// A request as the log keeps it: complete, but without any secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// As sent.
    pub body: String,
    /// What it came with.
    pub credential: Credential,
    /// As sent, without `Authorization` and `Cookie`.
    pub headers: Vec<(String, String)>,
    /// `GET` and so on.
    pub method: String,
    /// With `***` for a token.
    pub path: String,
    /// Whether it was let take effect, answered or not.
    pub performed: bool,
    /// What was answered, or `None` if the connection was cut instead.
    pub status: Option<u16>,
}

impl Received {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Display for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} -> ", self.method, self.path)?;
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => write!(f, "no answer"),
        }
    }
}
