//! Three providers, written from what is known of their protocols.

pub mod desec;
pub mod dyndns2;
pub mod records;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use homing::core::address::{Family, PerFamily};
use homing::core::protocol::{Answer, HttpRequest};

use super::{Millis, SECOND};

/// What the records of a name hold.
pub type Records = PerFamily<BTreeSet<IpAddr>>;

/// A change of one record, or an update that left it equal.
#[derive(Clone, Debug)]
pub struct Change {
    /// The name.
    pub host: String,
    /// The record's family.
    pub family: Family,
    /// What it held.
    pub before: BTreeSet<IpAddr>,
    /// What it holds.
    pub after: BTreeSet<IpAddr>,
}

/// What a provider may hold against its user.
#[derive(Clone, Debug)]
pub enum Complaint {
    /// Too many requests, of which others made some or not.
    TooMany {
        /// Whether nobody else made any of them.
        own: bool,
    },
    /// Repetition, or a lockout after refused credentials.
    Blocked(String),
}

/// What comes of a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What the provider objects to.
    pub complaint: Option<Complaint>,
}

/// A provider.
pub trait Service {
    /// Carries out a request that arrives at `now`.
    fn serve(&mut self, request: &HttpRequest, now: Millis) -> Reply;

    /// Notes that nobody hears the last answer, so that nobody can go by it.
    fn unheard(&mut self) {}

    /// What the records of `host` hold.
    fn records(&self, host: &str) -> Records;

    /// Lets somebody else put `address` in place of the addresses of its family.
    fn change_by_others(&mut self, host: &str, address: IpAddr, now: Millis);

    /// Whether it accepts a secret.
    fn knows(&self, secret: &str) -> bool;

    /// Makes `new` the secret in place of `old`, which is refused from now on.
    fn replace_secret(&mut self, old: &str, new: &str);

    /// Lets the credential of `host` write it, or not.
    fn allow(&mut self, host: &str, allowed: bool);
}

impl Reply {
    /// An answer of that status and text, without consequences.
    pub fn text(status: u16, body: &str) -> Self {
        let content_type = Some("text/plain".to_owned());
        let answer =
            Answer { status, content_type, body: body.as_bytes().to_vec(), ..Answer::default() };
        Self { answer, ..Self::default() }
    }

    /// The same in JSON.
    pub fn json(status: u16, body: &str) -> Self {
        let mut reply = Self::text(status, body);
        reply.answer.content_type = Some("application/json".to_owned());
        reply
    }
}

/// A sliding window; requests of others count, too.
#[derive(Clone, Debug)]
pub struct Window {
    most: usize,
    length: Millis,
    taken: VecDeque<(Millis, bool)>,
}

impl Window {
    /// A window for `most` requests in `length`.
    pub fn new(most: usize, length: Millis) -> Self {
        Self { most, length, taken: VecDeque::new() }
    }

    /// The wait until there is room for one more, and whether all that fills it is `own`.
    pub fn wait(&mut self, now: Millis) -> Option<(Millis, bool)> {
        while self.taken.front().is_some_and(|(at, _)| at + self.length <= now) {
            self.taken.pop_front();
        }
        let first = self.taken.len().checked_sub(self.most)?;
        let own = self.taken.iter().all(|(_, own)| *own);
        Some((self.taken[first].0 + self.length - now, own))
    }

    /// Counts a request.
    pub fn take(&mut self, now: Millis, own: bool) {
        self.taken.push_back((now, own));
    }
}

/// The answer of 429 with a wait in whole seconds, rounded up.
pub fn throttled(wait: Millis) -> Reply {
    let seconds = wait.div_ceil(SECOND);
    let text = format!("Request was throttled. Expected available in {seconds} seconds.");
    let mut reply = Reply::text(429, &text);
    reply.answer.retry_after = Some(Duration::from_secs(seconds));
    reply
}

/// The path and the parameters of a request; of a repeated one the last counts.
pub fn parts(request: &HttpRequest) -> (String, BTreeMap<String, String>) {
    let url = request.url.expose();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (decoded(name), decoded(value)));
    (path.to_owned(), pairs.collect())
}

/// A part of a query as it was before it was encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The addresses of `family` in a list with commas; none of the other family.
pub fn addresses(list: &str, family: Family) -> BTreeSet<IpAddr> {
    let all = list.split(',').filter_map(|item| item.trim().parse().ok());
    all.filter(|address| Family::of(*address) == family).collect()
}
