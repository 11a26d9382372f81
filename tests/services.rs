//! Homing at the services that the sandbox plays: the real binary with the configurations that a
//! newcomer gets, and what is at the service afterwards.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests: they fail by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::home::{Home, Ran};
use crate::support::sandbox;
use sandbox::Scripted;
use sandbox::services::setup::Credential::{Account, Issued};
use sandbox::services::world::{Record, World};
use sandbox::services::{ALL, Played, Service, named, setup};

/// The services whose records can be listed, with the method and the place among the requests of it
/// of the first write to a name without records.
const WITH_LISTS: [(&str, &str, usize); 6] = [
    ("cloudflare", "POST", 1),
    ("digitalocean", "POST", 1),
    ("gandi", "PUT", 1),
    ("hetzner", "POST", 1),
    ("porkbun", "POST", 2),
    ("route53", "POST", 1),
];

/// Those that find the zone of a host, which also have a documented limit.
const FOUND: [&str; 5] = ["cloudflare", "digitalocean", "gandi", "hetzner", "route53"];

/// Whether this build speaks to the service: not every one signs requests, or makes credentials.
fn is_here(name: &str) -> bool {
    let is_signed = ["ovh", "route53"].contains(&name);
    let is_issued = named(name).is_some_and(|service| service.wants_issue());
    (cfg!(feature = "cloud") || !is_signed) && (cfg!(feature = "tokens") || !is_issued)
}

/// The two addresses of every configuration.
const ADDRESSES: [&str; 2] = ["203.0.113.7", "2001:db8::7"];

/// A service, and a home with the configuration of one host there.
struct Scene {
    home: Home,
    host: String,
    played: Played,
    service: Service,
    text: String,
}

impl Scene {
    fn new(name: &str) -> Self {
        let service = named(name).unwrap();
        Self::of(service, &setup::host(service))
    }

    fn of(service: Service, host: &str) -> Self {
        let played = Played::start(World::new(service)).unwrap();
        let secret = played.with_world(|world| {
            // Some limits are for people: a program on the same machine asks faster.
            world.throttled = false;
            world.secret.clone()
        });
        let (credential, file) =
            if service.wants_issue() { (Issued, "management") } else { (Account, "secret") };
        let text = setup::configuration(&played, "state", host, (credential, "secret"));
        let home = Home::new(&text);
        home.secret(file, &secret);
        let scene = Self { home, host: host.to_owned(), played, service, text };
        if service.wants_issue() {
            let login = scene.played.with_world(|world| world.login.clone());
            let file = scene.home.path(file).display().to_string();
            let management = setup::management(service, &login, &file);
            let management: Vec<&str> = management.iter().map(String::as_str).collect();
            scene.run(&[&["token", "issue", host], &management[..]].concat(), 0, "narrow");
        }
        scene
    }

    /// Changes the configuration for good.
    fn write(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "no {from} in:\n{}", self.text);
        self.text = self.text.replace(from, to);
        self.home.configure(&self.text);
    }

    /// Runs `--once`, which has to end with `code` and to say this.
    #[track_caller]
    fn once(&self, code: i32, said: &str) -> Ran {
        self.run(&["--once"], code, said)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32, said: &str) -> Ran {
        let ran = self.home.run(arguments);
        let name = self.service.name;
        assert_eq!(ran.code, code, "{name}: {ran:#?}\n{:#?}", self.asked());
        let all = format!("{}{}", ran.out, ran.err);
        assert!(all.contains(said), "{name}: no {said:?} in {ran:#?}");
        for secret in self.played.with_world(|world| world.secret.clone()).split(':') {
            assert!(!all.contains(secret), "{name}: {ran:#?}");
        }
        ran
    }

    /// Runs `--once` again, which must ask for nothing.
    #[track_caller]
    fn once_in_silence(&self, code: i32) {
        let before = self.asked();
        self.once(code, "");
        assert_eq!(self.asked(), before, "{}", self.service.name);
    }

    fn asked(&self) -> Vec<String> {
        self.played.requests().iter().map(ToString::to_string).collect()
    }

    /// What is set for the host: the addresses of each family.
    fn set(&self) -> [Vec<String>; 2] {
        ["A", "AAAA"].map(|kind| self.played.values(&self.host, kind))
    }

    #[track_caller]
    fn check(&self, ipv4: &[&str], ipv6: &[&str]) {
        let name = self.service.name;
        assert_eq!(self.played.values(&self.host, "A"), ipv4, "{name}: {:#?}", self.asked());
        assert_eq!(self.played.values(&self.host, "AAAA"), ipv6, "{name}: {:#?}", self.asked());
    }

    /// Every record at the service that the host has no part in.
    fn of_others(&self) -> Vec<Record> {
        let all = self.played.with_world(|world| world.zones.clone());
        let records = all.into_iter().flat_map(|zone| zone.records);
        records.filter(|record| record.name != self.host).collect()
    }
}

#[test]
fn every_service_is_updated_once_and_then_left_alone() {
    for service in ALL.into_iter().filter(|service| is_here(service.name)) {
        let mut scene = Scene::new(service.name);
        let others = scene.of_others();
        let ipv6 = if service.has_ipv6 { &ADDRESSES[1..] } else { &[] };
        scene.once(0, "updated: IPv4 203.0.113.7");
        scene.check(&ADDRESSES[..1], ipv6);
        scene.once_in_silence(0);
        // The next address takes the place of the last one.
        scene.write("203.0.113.7", "203.0.113.8");
        scene.once(0, "updated: IPv4 203.0.113.8");
        scene.check(&["203.0.113.8"], ipv6);
        scene.once_in_silence(0);
        assert_eq!(scene.of_others(), others, "{}", service.name);
    }
}

#[test]
fn a_wrong_secret_is_refused_once_and_not_sent_again() {
    for service in ALL.into_iter().filter(|service| is_here(service.name)) {
        let scene = Scene::new(service.name);
        let (right, before) = (scene.home.read("secret"), scene.set());
        let wrong = service.wrong_credential();
        scene.home.secret("secret", &wrong);
        // Duck DNS has one word for every fault.
        let said = match service.name {
            "duckdns" => "rejected, the provider does not know this host",
            _ => "rejected, the credential is refused",
        };
        let ran = scene.once(77, said);
        let all = format!("{ran:?}{:?}", scene.asked());
        for part in wrong.split(':').filter(|part| *part != "nobody") {
            assert!(!all.contains(part), "{}: {all}", service.name);
        }
        assert_eq!(scene.set(), before, "{}", service.name);
        scene.once_in_silence(77);
        // The right one is tried at once.
        scene.home.secret("secret", right.trim_end());
        scene.once(0, "updated: IPv4 203.0.113.7");
    }
}

#[test]
fn records_of_others_among_several_are_named_and_left_alone_until_they_may_be_taken_over() {
    for (name, ..) in WITH_LISTS.into_iter().filter(|(name, ..)| is_here(name)) {
        let service = named(name).unwrap();
        let mut scene = Scene::of(service, &setup::other(service));
        let shared = ["192.0.2.81", "192.0.2.82"];
        let ran = scene.once(77, "that Homing did not set: 192.0.2.81, 192.0.2.82");
        assert!(format!("{ran:?}").contains("take-over = true"), "{name}: {ran:?}");
        scene.check(&shared, &ADDRESSES[1..]);
        scene.once_in_silence(77);
        scene.write("token-file", "take-over = true\ntoken-file");
        // Another setting is tried at once, as after every fix in the configuration.
        scene.once(0, "updated: IPv4 203.0.113.7");
        scene.check(&ADDRESSES[..1], &ADDRESSES[1..]);
    }
}

#[test]
fn the_one_record_of_somebody_else_is_changed_unless_that_is_not_wanted() {
    for (name, ..) in WITH_LISTS.into_iter().filter(|(name, ..)| is_here(name)) {
        let service = named(name).unwrap();
        let scene = Scene::of(service, "www.example.com");
        scene.once(0, "updated: IPv4 203.0.113.7");
        scene.check(&ADDRESSES[..1], &ADDRESSES[1..]);
        let mut scene = Scene::of(service, "www.example.com");
        scene.write("token-file", "take-over = false\ntoken-file");
        if name == "route53" {
            // The list may be refused there, and what is set is set whatever there was.
            scene.once(78, "take-over cannot be false");
        } else {
            scene.once(77, "192.0.2.80");
        }
        assert_eq!(scene.played.values("www.example.com", "A"), ["192.0.2.80"], "{name}");
    }
}

#[test]
fn what_is_there_already_is_left_as_it_is() {
    for (name, ..) in WITH_LISTS.into_iter().filter(|(name, ..)| is_here(name)) {
        let scene = Scene::new(name);
        scene.played.with_world(|world| {
            world.add(&scene.host, "A", ADDRESSES[0]).unwrap();
            world.add(&scene.host, "AAAA", ADDRESSES[1]).unwrap();
        });
        scene.once(0, "unchanged, the provider had it already: IPv6 2001:db8::7");
        let is_write = |line: &&String| {
            let reads =
                ["GET ", "POST /api/json/v3/dns/retrieve", "POST /api/json/v3/domain/listAll"];
            !reads.iter().any(|start| line.starts_with(start))
        };
        let asked = scene.asked();
        assert_eq!(asked.iter().find(is_write), None, "{name}");
        scene.once_in_silence(0);
    }
}

#[test]
fn the_longest_zone_that_is_there_is_found() {
    for name in FOUND.into_iter().filter(|name| is_here(name)) {
        let scene = Scene::of(named(name).unwrap(), "a.home.dyn.example.net");
        scene.once(0, "updated: IPv4 203.0.113.7");
        scene.check(&ADDRESSES[..1], &ADDRESSES[1..]);
        let scene = Scene::of(named(name).unwrap(), "home.example.org");
        scene.once(77, "the provider does not know this host");
    }
}

#[test]
fn a_record_goes_with_its_address_and_only_if_it_is_ours() {
    for (name, ..) in WITH_LISTS.into_iter().filter(|(name, ..)| is_here(name)) {
        for is_ours in [true, false] {
            let mut scene = Scene::new(name);
            scene.write("token-file", "when-gone = \"remove\"\ngone-after = \"1m\"\ntoken-file");
            scene.once(0, "updated: IPv6 2001:db8::7");
            scene.write(
                "ipv6 = \"here\"\n",
                "ipv6 = \"gone\"\n[source.gone]\ninterface = \"homing9\"\n",
            );
            scene.once(75, "IPv6 unchanged until the address has been gone for 1m");
            if !is_ours {
                scene.played.with_world(|world| {
                    let zone = world.zone_mut("example.com").unwrap();
                    let record = zone.records.iter_mut().find(|record| record.kind == "AAAA");
                    record.unwrap().content = "2001:db8::99".to_owned();
                });
            }
            let state = scene.home.read("state/state.json");
            let (before, since) = state.split_once("\"gone-since\": \"").unwrap();
            let rest = &since[since.find('"').unwrap()..];
            let long_ago = format!("{before}\"gone-since\": \"2026-01-01T00:00:00.000Z{rest}");
            scene.home.write("state/state.json", &long_ago, 0o600);
            scene.once(0, "");
            let left: &[&str] = if is_ours { &[] } else { &["2001:db8::99"] };
            scene.check(&ADDRESSES[..1], left);
        }
    }
}

#[test]
fn a_lost_answer_makes_no_second_record() {
    for (name, method, nth) in WITH_LISTS.into_iter().filter(|(name, ..)| is_here(name)) {
        let scene = Scene::new(name);
        scene.played.answer_nth(nth, method, Scripted::lost_answer());
        scene.once(75, "IPv4: deferred, could not confirm: no answer came");
        scene.run(
            &["--once", "--retry-rejected"],
            0,
            "unchanged, the provider had it already: IPv4",
        );
        scene.check(&ADDRESSES[..1], &ADDRESSES[1..]);
    }
}

#[test]
fn who_asks_too_often_is_put_off() {
    for name in FOUND.into_iter().filter(|name| is_here(name)) {
        let scene = Scene::new(name);
        scene.played.with_world(|world| {
            world.throttled = true;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let (limit, soon) = (world.service.limit.unwrap(), now + Duration::from_secs(60));
            while world.pace.admit(limit, soon).is_ok() {}
        });
        // Route 53 takes five requests a second: some seconds are enough.
        let words = if name == "route53" { "is busy" } else { "asks for a pause" };
        scene.once(75, words);
        scene.once_in_silence(75);
        scene.check(&[], &[]);
    }
}

#[cfg(feature = "cloud")]
#[test]
fn a_clock_that_is_wrong_is_no_wrong_key() {
    for minutes in [10, 60] {
        let scene = Scene::new("route53");
        scene.played.with_world(|world| world.ahead = Duration::from_secs(minutes * 60));
        scene.once(75, "deferred");
        scene.check(&[], &[]);
    }
}
