//! Services that are described by data, each played as far as a client of its records can observe.
//!
//! One account with two zones and a few records of others, in memory. What is answered rests on the
//! providers' own documents and on recorded conversations of other clients; each file says on what.
//!
//! | file | owns |
//! | --- | --- |
//! | `world` | zones, records, the credential; pure |
//! | `pace` | how often one may ask; pure |
//! | `cloudflare_tokens` | Cloudflare's tokens beside the account's own, and what they may do; pure |
//! | `iam` | AWS's users, policies and keys, and what policies allow; pure |
//! | `setup` | a configuration of Homing for a played service |
//! | `signature` | whether a request is signed as AWS wants it; pure |
//! | the others | one service each: a request to its answer; pure |

pub mod cloudflare;
pub mod cloudflare_tokens;
pub mod digitalocean;
pub mod duckdns;
pub mod gandi;
pub mod hetzner;
pub mod iam;
pub mod inwx;
pub mod ionos;
pub mod namecheap;
pub mod ovh;
pub mod pace;
pub mod porkbun;
pub mod route53;
pub mod setup;
pub mod signature;
pub mod world;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::http::{self, Answer, Request, decoded_segment};
use super::script::{Death, Scripted, Wanted};
use super::serving::{Serves, Shell};
use pace::Limit;
use world::World;

/// Every service that can be played, in alphabetical order.
pub const ALL: [Service; 11] = [
    cloudflare::SERVICE,
    digitalocean::SERVICE,
    duckdns::SERVICE,
    gandi::SERVICE,
    hetzner::SERVICE,
    inwx::SERVICE,
    ionos::SERVICE,
    namecheap::SERVICE,
    ovh::SERVICE,
    porkbun::SERVICE,
    route53::SERVICE,
];

/// A service, and how it answers.
#[derive(Clone, Copy)]
pub struct Service {
    /// Answers one request that the service's pace lets through.
    pub answer: fn(&mut Call<'_>) -> Answer,
    /// Whether both families can be set.
    pub has_ipv6: bool,
    /// What `homing token issue` makes there, where it can.
    pub issued: Option<Issued>,
    /// How often it may be asked, where the service documents it.
    pub limit: Option<Limit>,
    /// A login that fits, where one is needed beside the secret; made anew at each call.
    pub login: Option<fn() -> String>,
    /// Whether clients must be told the zone of a host.
    pub needs_zone: bool,
    /// Its name among the providers that are built in.
    pub name: &'static str,
    /// What follows the server in its `api-url`.
    pub path: &'static str,
    /// A secret in the service's form; made anew at each call.
    pub secret: fn() -> String,
    /// Its name.
    pub title: &'static str,
    /// The answer to who asks too often, who has to wait so long.
    pub too_often: fn(Duration) -> Answer,
    /// The account's zones, the usual one first.
    pub zones: [&'static str; 2],
}

impl Service {
    /// Whether hosts are updated only with what `homing token issue` makes.
    pub fn wants_issue(&self) -> bool {
        self.issued.is_some_and(|issued| issued.is_only_way)
    }

    /// A credential of a host in the right form, which lets nobody in.
    pub fn wrong_credential(&self) -> String {
        let has_login = self.issued.is_some_and(|issued| issued.has_login);
        let login = if has_login { "nobody:" } else { "" };
        [login, &(self.secret)()].concat()
    }
}

/// A credential that `homing token issue` makes at a service.
#[derive(Clone, Copy)]
pub struct Issued {
    /// Whether it is a login with a password, for a server other than the API.
    pub has_login: bool,
    /// Whether the account's own credential cannot update hosts.
    pub is_only_way: bool,
    /// What the service calls it.
    pub noun: &'static str,
    pub reach: Reach,
}

/// What a credential from `homing token issue` can change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Its host: whatever name an update asks for, its host is set.
    Fixed,
    /// Its host: an update of another name is refused.
    Host,
    /// Every record of its host's zone.
    Zone,
}

/// The two zones of a service at which one's own domains are.
const OWN_ZONES: [&str; 2] = ["example.com", "dyn.example.net"];

/// The service that is called so; what follows a hyphen may be left out.
pub fn named(name: &str) -> Option<Service> {
    let short = |service: &Service| service.name.split('-').next() == Some(name);
    ALL.into_iter().find(|service| service.name == name || short(service))
}

/// One request to a service.
pub struct Call<'a> {
    /// Where it comes from.
    pub client: SocketAddr,
    /// Since the Unix epoch.
    pub now: Duration,
    /// What is asked.
    pub request: &'a Request,
    /// What it reads and changes.
    pub world: &'a mut World,
}

impl Call<'_> {
    /// The parts of the path below the service's `api-url`, decoded; none for a path outside.
    fn path(&self) -> Vec<String> {
        let below = self.request.path.strip_prefix(self.world.service.path);
        let parts = below.and_then(|rest| rest.strip_prefix('/'));
        parts.map(|parts| parts.split('/').map(decoded_segment).collect()).unwrap_or_default()
    }

    /// What follows `Bearer` in `Authorization`.
    fn bearer(&self) -> Option<&str> {
        self.request.header("Authorization")?.strip_prefix("Bearer ")
    }

    /// Whether the token of the account was sent as a bearer's.
    fn has_token(&self) -> bool {
        self.bearer() == Some(&self.world.secret)
    }

    /// The body as JSON; `None` if it is none.
    fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.request.body).ok()
    }

    /// The value of a query parameter that has one.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.request.parameter(name).filter(|value| !value.is_empty())
    }
}

/// A whole number of seconds to wait, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// An answer in JSON.
fn json(status: u16, body: &serde_json::Value) -> Answer {
    Answer::json(status, &body.to_string())
}

/// A running service. Dropping it closes its port and connections at once.
pub struct Played {
    at: SocketAddr,
    service: Service,
    shell: Arc<Shell<World>>,
}

impl Played {
    /// Plays the service on a free port of 127.0.0.1.
    pub fn start(world: World) -> io::Result<Self> {
        Self::start_at(world, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Plays the service at this address.
    pub fn start_at(world: World, at: SocketAddr) -> io::Result<Self> {
        let service = world.service;
        let shell = Arc::new(Shell::new(world));
        let at = shell.listen(at)?;
        Ok(Self { at, service, shell })
    }

    /// Its address and port.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// What `api-url` is in a provider's entry.
    pub fn api_url(&self) -> String {
        format!("http://{}{}", self.at, self.service.path)
    }

    /// Reads or changes what it knows, between two requests.
    pub fn with_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shell.with_world(change)
    }

    /// The values of the records of one type at a name, sorted.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        self.with_world(|world| world.values(name, kind))
    }

    /// Decides the fate of the `nth` request from now on (counted from 1) with this method.
    pub fn answer_nth(&self, nth: usize, method: &str, script: Scripted) {
        let passes = nth.saturating_sub(1);
        let wanted = Wanted { method: Some(method.to_owned()), passes, path: None };
        self.shell.add_script(wanted, script);
    }

    /// Serves `n` more requests and then none; with `performed_last` the last of them takes effect, but
    /// its answer is lost, too.
    pub fn die_after(&self, n: usize, performed_last: bool) {
        self.shell.set_death(Some(Death { left: n, performed_last }));
    }

    /// Ends what [`Self::die_after`] began.
    pub fn revive(&self) {
        self.shell.set_death(None);
    }

    /// Everything that was asked so far, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.shell.requests()
    }

    /// The requests from the `first` on (counted from 0), as soon as there is one.
    pub fn requests_from(&self, first: usize, patience: Duration) -> Vec<Received> {
        self.shell.await_requests(first, patience)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.shell.stop();
    }
}

/// A request as the log keeps it, without any secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// As sent, with `***` for the account's secrets.
    pub body: String,
    /// `GET` and so on.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Whether the request was let take effect, answered or not.
    pub performed: bool,
    /// Decoded, in the order sent; `***` for the values that are secrets.
    pub query: Vec<(String, String)>,
    /// What was answered, or `None` if the connection was cut instead.
    pub status: Option<u16>,
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&http::request_line(&self.method, &self.path, &self.query))?;
        match self.status {
            Some(status) => write!(f, " -> {status}"),
            None => write!(f, " -> no answer"),
        }
    }
}

impl Serves for World {
    type Received = Received;

    fn ahead(&self) -> Duration {
        self.ahead
    }

    fn received(&self, request: &Request, _now: Duration) -> Received {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let body = self.secrets().fold(body, |body, secret| body.replace(secret, "***"));
        let hidden = |(name, value): &(String, String)| {
            // Wrong ones, too: they may be right somewhere else.
            let secret = ["password", "q", "token"].contains(&name.as_str());
            (name.clone(), if secret { "***".to_owned() } else { value.clone() })
        };
        Received {
            body,
            method: request.method.clone(),
            path: request.path.clone(),
            performed: false,
            query: request.query.iter().map(hidden).collect(),
            status: None,
        }
    }

    fn answer(&mut self, request: &Request, client: SocketAddr, now: Duration) -> Answer {
        let service = self.service;
        if let Some(limit) = service.limit.filter(|_| self.throttled)
            && let Err(wait) = self.pace.admit(limit, now)
        {
            return (service.too_often)(wait);
        }
        (service.answer)(&mut Call { client, now, request, world: self })
    }

    fn ended(received: &mut Received, performed: bool, status: Option<u16>) {
        (received.performed, received.status) = (performed, status);
    }
}
