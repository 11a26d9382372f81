//! deSEC's update endpoint and the question for a zone, by its own server's code and recorded answers.
//!
//! Credential, then zone, then limits, then rights, then content. The limit of updates is each zone's,
//! whatever the token; a refused request counts against the account's day alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use homing::core::address::Family;
use homing::core::protocol::{Answer, Authorization, HttpRequest, Method};

use super::{Change, Complaint, Records, Reply, Service, Window, addresses, parts, throttled};
use crate::years::{DAY, MINUTE, Millis, SECOND};

/// The least time between two requests from one address.
const GAP: Millis = 33;

/// The account.
pub struct Desec {
    zones: BTreeMap<String, Window>,
    /// The hosts that each token may write.
    tokens: BTreeMap<String, BTreeSet<String>>,
    forbidden: BTreeSet<String>,
    records: BTreeMap<String, Records>,
    day: Window,
    /// Reading of zones: ten a second, fifty a minute.
    reads: [Window; 2],
    last: Option<Millis>,
}

impl Desec {
    /// An account with `zones`, and a token for each of `tokens`.
    pub fn new(zones: &[&str], tokens: &[(&str, &[&str])]) -> Self {
        let window = |zone: &&str| ((*zone).to_owned(), Window::new(2, 2 * MINUTE));
        let rights = |(token, hosts): &(&str, &[&str])| {
            ((*token).to_owned(), hosts.iter().map(|host| (*host).to_owned()).collect())
        };
        Self {
            zones: zones.iter().map(window).collect(),
            tokens: tokens.iter().map(rights).collect(),
            forbidden: BTreeSet::new(),
            records: BTreeMap::new(),
            day: Window::new(2000, DAY),
            reads: [Window::new(10, SECOND), Window::new(50, MINUTE)],
            last: None,
        }
    }

    /// Lets another machine of the account use up what the zones of `number` have left.
    pub fn take_by_others(&mut self, number: u64, now: Millis) {
        let at = usize::try_from(number).unwrap_or_default() % self.zones.len();
        if let Some(window) = self.zones.values_mut().nth(at)
            && window.wait(now).is_none()
        {
            window.take(now, false);
        }
    }

    /// The zone of a host: the longest that holds it.
    pub fn zone(&self, host: &str) -> Option<String> {
        let holds = |zone: &&String| {
            host.strip_suffix(zone.as_str()).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        };
        self.zones.keys().filter(holds).max_by_key(|zone| zone.len()).cloned()
    }

    fn update(&mut self, token: &str, query: &BTreeMap<String, String>, now: Millis) -> Reply {
        let hosts = query.get("hostname").map(|hosts| hosts.to_lowercase()).unwrap_or_default();
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        let zones: Option<BTreeSet<String>> = hosts.iter().map(|host| self.zone(host)).collect();
        let Some(zones) = zones else { return Reply::text(404, "nohost") };
        let [zone] = &zones.into_iter().collect::<Vec<_>>()[..] else {
            return Reply::text(400, "Cannot update subdomains from more than one domain.");
        };
        let window = self.zones.entry(zone.clone()).or_insert_with(|| Window::new(2, 2 * MINUTE));
        let (of_zone, of_day) = (window.wait(now), self.day.wait(now));
        self.day.take(now, true);
        if let Some((wait, own)) = of_zone.max(of_day) {
            let complaint = Some(Complaint::TooMany { own });
            return Reply { complaint, ..throttled(wait) };
        }
        window.take(now, true);
        let mut wanted = Vec::new();
        for host in hosts {
            for (family, name) in [(Family::V4, "myipv4"), (Family::V6, "myipv6")] {
                let own = query.get(&format!("{name}:{host}"));
                let value = own.or_else(|| query.get(name)).map_or("", String::as_str);
                if value == "preserve" {
                    continue;
                }
                let rights = self.tokens.get(token);
                let may = rights.is_some_and(|rights| rights.contains(host));
                if !may || self.forbidden.contains(host) {
                    return Reply::text(403, "Insufficient token permissions.");
                }
                wanted.push((host.to_owned(), family, addresses(value, family)));
            }
        }
        let mut reply = Reply::text(200, "good");
        for (host, family, after) in wanted {
            let record = &mut self.records.entry(host.clone()).or_default()[family];
            let before = std::mem::replace(record, after.clone());
            reply.changes.push(Change { host, family, before, after });
        }
        reply
    }
}

impl Service for Desec {
    fn serve(&mut self, request: &HttpRequest, now: Millis) -> Reply {
        if self.last.replace(now).is_some_and(|last| now < last + GAP) {
            let answer = Answer {
                status: 429,
                content_type: Some("text/html".to_owned()),
                body: b"<html><head><title>429 Too Many Requests</title></head></html>".to_vec(),
                ..Answer::default()
            };
            return Reply { answer, ..Reply::default() };
        }
        let token = match &request.authorization {
            Some(Authorization::Token(token)) => token.expose().to_owned(),
            _ => return Reply::text(401, "No username URL parameter provided."),
        };
        if !self.tokens.contains_key(&token) {
            let mut reply = Reply::text(401, "Invalid token.");
            reply.answer.challenges = true;
            return reply;
        }
        let (path, query) = parts(request);
        if path == "/api/v1/" {
            return Reply::json(200, "{\"tokens\":\"https://desec.io/api/v1/auth/tokens/\"}");
        }
        if path == "/api/v1/domains/" {
            let waits = self.reads.iter_mut().filter_map(|window| window.wait(now));
            if let Some((wait, _)) = waits.max() {
                return throttled(wait);
            }
            self.reads.iter_mut().for_each(|window| window.take(now, true));
            let zone = query.get("owns_qname").and_then(|host| self.zone(host));
            let zone = zone.map(|zone| format!("{{\"name\":\"{zone}\"}}")).unwrap_or_default();
            return Reply::json(200, &format!("[{zone}]"));
        }
        // What a token may see of itself, and what it is allowed at other records.
        if path.starts_with("/api/v1/auth/") {
            let detail = "You do not have permission to perform this action.";
            return Reply::json(403, &format!("{{\"detail\":\"{detail}\"}}"));
        }
        if path.starts_with("/api/v1/domains/") {
            let asks = request.method == Method::Options;
            let none = "{\"name\":\"RR Set Detail\",\"actions\":{}}";
            return Reply::json(200, if asks { none } else { "[]" });
        }
        self.update(&token, &query, now)
    }

    fn records(&self, host: &str) -> Records {
        self.records.get(host).cloned().unwrap_or_default()
    }

    fn change_by_others(&mut self, host: &str, address: IpAddr, _now: Millis) {
        let records = self.records.entry(host.to_owned()).or_default();
        records[Family::of(address)] = BTreeSet::from([address]);
    }

    fn knows(&self, secret: &str) -> bool {
        self.tokens.contains_key(secret)
    }

    fn replace_secret(&mut self, old: &str, new: &str) {
        if let Some(rights) = self.tokens.remove(old) {
            self.tokens.insert(new.to_owned(), rights);
        }
    }

    fn allow(&mut self, host: &str, allowed: bool) {
        if allowed {
            self.forbidden.remove(host);
        } else {
            self.forbidden.insert(host.to_owned());
        }
    }
}
