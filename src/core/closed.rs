//! Services that are closed or that Homing does not speak to, each with the reason and the way out.
//!
//! Owns the form of the text that build.rs makes of `[closed.NAME]` in `core/providers.toml`. Called by
//! the configuration, `homing providers` and `homing import`.

use std::iter;

use super::nearest::plain;
use super::protocol::http::tree::parts;

/// Six parts for each service: its name, title, since when it is closed, the reason, the way out, and
/// the names that others use for it and its servers, separated by spaces.
const SERVICES: &str = include_str!(concat!(env!("OUT_DIR"), "/closed.txt"));

/// A service that cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed {
    /// Its name in the list.
    pub name: &'static str,
    /// Its name in messages; empty where several services share the entry.
    title: &'static str,
    /// Since when it is closed, in words; empty where it is open.
    since: &'static str,
    reason: &'static str,
    way_out: &'static str,
    known_as: &'static str,
}

impl Closed {
    /// Why the service cannot be used, and what to do instead; `called` is the name that was given.
    pub fn refusal(&self, called: &str) -> String {
        let way_out = match self.way_out {
            "cname" => CNAME,
            "name" => NAME,
            "zone" => ZONE,
            own => own,
        };
        let title = if self.title.is_empty() { called } else { self.title };
        let start = match self.since {
            "" => ["Homing does not speak to ", title].concat(),
            since => [title, " has been closed since ", since].concat(),
        };
        [&start, ": ", self.reason, "; ", way_out].concat()
    }

    /// Whether `wanted`, which is plain, is one of its names, or part of one.
    fn is_called(&self, wanted: &str, is_part: bool) -> bool {
        let is = |name: &str| {
            let name = plain(name);
            name == wanted || is_part && name.contains(wanted)
        };
        is(self.name) || is(self.title) || self.known_as.split(' ').any(is)
    }
}

/// The way out where the service still answers, and a name there can be given a CNAME.
const CNAME: &str = "make the name a CNAME of a name at another service, for example deSEC \
    (dedyn.io), or move the zone to a service listed by `homing providers`";
/// The way out for names of a service's own domain.
const NAME: &str = "use a name at another service, for example deSEC (dedyn.io), dynv6 or Duck DNS";
/// The way out for domains of one's own.
const ZONE: &str = "move the domain to the name servers of a service listed by `homing providers`";

/// The service with that name in the list.
pub fn named(name: &str) -> Option<Closed> {
    all().find(|service| service.name == name)
}

/// The service that `called` names; case and signs between letters do not count.
pub fn find(called: &str) -> Option<Closed> {
    let wanted = plain(called);
    all().find(|service| !wanted.is_empty() && service.is_called(&wanted, false))
}

/// The services of which a name holds `called`, under the rules of [`find`].
pub fn holding(called: &str) -> impl Iterator<Item = Closed> {
    let wanted = plain(called);
    all().filter(move |service| !wanted.is_empty() && service.is_called(&wanted, true))
}

fn all() -> impl Iterator<Item = Closed> {
    let mut parts = parts(SERVICES);
    iter::from_fn(move || {
        Some(Closed {
            name: parts.next()?,
            title: parts.next()?,
            since: parts.next()?,
            reason: parts.next()?,
            way_out: parts.next()?,
            known_as: parts.next()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::built_in;

    #[test]
    fn a_closed_service_is_refused_with_the_reason_and_the_way_out() {
        for (called, expect) in [
            ("twodns", "TwoDNS has been closed since 20 December 2024: it ended and deleted its"),
            ("TwoDNS.de", "TwoDNS has been closed since 20 December 2024: "),
            ("googledomains", "Google Domains has been closed since January 2024: "),
            ("pddimp.yandex.ru", "Yandex.Mail for Domain (PDD) has been closed since before July"),
            ("zzzz.io", "zzzz.io has been closed since before September 2022: "),
            ("dy.fi", "Homing does not speak to dy.fi: it takes no address"),
            ("one.com", "Homing does not speak to one.com: it has no interface for programs"),
        ] {
            let refusal = find(called).unwrap().refusal(called);
            assert!(refusal.starts_with(expect), "{refusal}");
        }
        assert!(find("").is_none() && find("desec").is_none() && find("dns").is_none());
        assert_eq!(holding("hetzner").next().unwrap().name, "hetzner-dns-console");
        assert_eq!(named("dhis").unwrap().name, "dhis");
    }

    #[test]
    fn every_closed_service_has_a_sentence_of_its_own_and_no_entry() {
        let mut count = 0;
        for service in all() {
            count += 1;
            let refusal = service.refusal("x");
            assert!(refusal.contains(": ") && refusal.contains("; "), "{refusal}");
            assert!(!refusal.ends_with('.') && !refusal.contains(". "), "{refusal}");
            assert!(built_in::named(service.name).is_none(), "{}", service.name);
        }
        assert!(count >= 26, "{count}");
    }
}
