//! A service that speaks dyndns2: one word a line, a lockout after five refused passwords, and repetition
//! is abuse.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use homing::core::address::Family;
use homing::core::protocol::{Authorization, HttpRequest};

use super::{Change, Complaint, Records, Reply, Service, Window, addresses, parts};
use crate::years::{HOUR, Millis};

/// Refused passwords after which a login is locked out.
const MOST_REFUSED: u32 = 5;

/// Updates of a host that change nothing and are borne within an hour.
const MOST_REPEATED: usize = 10;

/// The service with one account.
pub struct Dyndns2 {
    login: String,
    password: String,
    refused: u32,
    hosts: BTreeSet<String>,
    unknown: BTreeSet<String>,
    records: BTreeMap<String, Records>,
    repeated: BTreeMap<String, Window>,
}

impl Dyndns2 {
    /// An account with that login, password and `hosts`.
    pub fn new(login: &str, password: &str, hosts: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            password: password.to_owned(),
            refused: 0,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            unknown: BTreeSet::new(),
            records: BTreeMap::new(),
            repeated: BTreeMap::new(),
        }
    }

    /// The line for one host.
    fn update(&mut self, host: &str, list: &str, now: Millis, reply: &mut Reply) -> String {
        if !self.hosts.contains(host) || self.unknown.contains(host) {
            return "nohost".to_owned();
        }
        let mut is_new = false;
        for family in Family::BOTH {
            let after = addresses(list, family);
            if after.is_empty() {
                continue;
            }
            let record = &mut self.records.entry(host.to_owned()).or_default()[family];
            let before = std::mem::replace(record, after.clone());
            is_new |= before != after;
            reply.changes.push(Change { host: host.to_owned(), family, before, after });
        }
        let word = if is_new { "good" } else { "nochg" };
        let repeated = self.repeated.entry(host.to_owned());
        let repeated = repeated.or_insert_with(|| Window::new(MOST_REPEATED, HOUR));
        if !is_new && repeated.wait(now).is_some() {
            reply.complaint = Some(Complaint::Blocked(format!("{host} is repeated for no reason")));
            return "abuse".to_owned();
        }
        if !is_new {
            repeated.take(now, true);
        }
        format!("{word} {list}")
    }
}

impl Service for Dyndns2 {
    fn serve(&mut self, request: &HttpRequest, now: Millis) -> Reply {
        let is_right = match &request.authorization {
            Some(Authorization::Basic(credential)) => {
                credential.login == self.login && credential.secret.expose() == self.password
            }
            _ => false,
        };
        if !is_right {
            self.refused += 1;
            let mut reply = Reply::text(200, "badauth");
            if self.refused >= MOST_REFUSED {
                let what = format!("{} requests with a refused password", self.refused);
                reply.complaint = Some(Complaint::Blocked(what));
            }
            return reply;
        }
        self.refused = 0;
        let (_, query) = parts(request);
        let list = query.get("myip").cloned().unwrap_or_default();
        let hosts = query.get("hostname").cloned().unwrap_or_default();
        let mut reply = Reply::text(200, "");
        let lines: Vec<String> =
            hosts.split(',').map(|host| self.update(host, &list, now, &mut reply)).collect();
        reply.answer.body = lines.join("\n").into_bytes();
        reply
    }

    fn unheard(&mut self) {
        // It is 0 after any other answer than a refusal.
        self.refused = self.refused.saturating_sub(1);
    }

    fn records(&self, host: &str) -> Records {
        self.records.get(host).cloned().unwrap_or_default()
    }

    fn change_by_others(&mut self, host: &str, address: IpAddr, _now: Millis) {
        let records = self.records.entry(host.to_owned()).or_default();
        records[Family::of(address)] = BTreeSet::from([address]);
    }

    fn knows(&self, secret: &str) -> bool {
        self.password == secret
    }

    fn replace_secret(&mut self, _old: &str, new: &str) {
        new.clone_into(&mut self.password);
        self.refused = 0;
    }

    fn allow(&mut self, host: &str, allowed: bool) {
        if allowed {
            self.unknown.remove(host);
        } else {
            self.unknown.insert(host.to_owned());
        }
    }
}
