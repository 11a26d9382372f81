//! Conversations with each service that an entry describes: pretended answers, and what is asked and
//! believed. The input is a text in the form of `tests/exchanges`.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use homing::core::address::{Family, PerFamily};
use homing::core::built_in;
use homing::core::feature::Feature;
use homing::core::name::Hostname;
use homing::core::plan::Details;
use homing::core::protocol::http::entry::{Entry, StepKind};
use homing::core::protocol::step::{Ask, Heard, Step, ZoneAnswer};
use homing::core::protocol::talk::{Job, ZoneJob, ZoneTalk};
use homing::core::protocol::{Answer, Credential, draft, origin};
use homing::core::provider::Provider;
use homing::core::secret::Secret;
use homing_fuzz::bounds::bounded;
use homing_fuzz::example::{
    MARK, PAGE, Told, converse, is_success, moment, request, wishes, words,
};
use libfuzzer_sys::fuzz_target;

/// The services that this build speaks to.
static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let is_here = |provider: &Provider| {
        provider.http.is_some() && provider.manners().feature.is_none_or(Feature::is_here)
    };
    built_in::all().filter(is_here).collect()
});

/// The RSA key that RFC 7515 publishes.
const KEY: &str = include_str!("../../../src/core/protocol/http/sign/published.pem");

fuzz_target!(
    init: { LazyLock::force(&PROVIDERS); },
    |bytes: &[u8]| bounded(|| {
        let text = String::from_utf8_lossy(bytes);
        // Where the fuzzer has found out what stands in the secret, it would be shown in other places,
        // together where the signs between are taken out, and in lower case in names.
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        let plain: String = plain.map(|letter| letter.to_ascii_lowercase()).collect();
        if let Some(case) = Case::read(&text).filter(|_| !plain.contains(MARK)) {
            case.check();
        }
    })
);

/// A case of an exchange.
struct Case<'a> {
    provider: &'a Provider,
    entry: &'a Entry,
    host: Hostname,
    zone: Option<Hostname>,
    addresses: Vec<IpAddr>,
    details: Details,
    login: String,
    answers: Vec<Answer>,
}

impl Case<'_> {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let name = lines.next()?.trim();
        let by_name = PROVIDERS.iter().find(|provider| provider.name == name);
        // A name that was mutated still is one of them.
        let sum: usize = name.bytes().map(usize::from).sum();
        let provider = by_name.unwrap_or(&PROVIDERS[sum % PROVIDERS.len()]);
        let mut case = Case {
            provider,
            entry: provider.http.as_ref()?,
            host: "home.example.com".parse().ok()?,
            zone: Some("example.com".parse().ok()?),
            addresses: Vec::new(),
            details: Details::default(),
            login: "me".to_owned(),
            answers: Vec::new(),
        };
        for line in lines {
            if let Some(head) = line.strip_prefix("< ") {
                case.answers.push(answer(head));
            } else if let Some(answer) = case.answers.last_mut() {
                if !answer.body.is_empty() {
                    answer.body.push(b'\n');
                }
                answer.body.extend(line.bytes());
            } else if let Some((key, value)) = line.split_once(" = ") {
                case.set(key, value);
            }
        }
        if case.addresses.is_empty() {
            case.addresses.push("192.0.2.1".parse().ok()?);
        }
        Some(case)
    }

    fn set(&mut self, key: &str, value: &str) {
        let addresses = || value.split([',', ' ']).filter_map(|text| text.parse::<IpAddr>().ok());
        match key {
            "host" => self.host = value.parse().unwrap_or(self.host.clone()),
            "zone" => self.zone = value.parse().ok(),
            "zone-id" => self.details.zone_id = Some(value.to_owned()),
            "ttl" => self.details.ttl = value.parse().ok(),
            "login" => value.clone_into(&mut self.login),
            "set" => self.addresses = addresses().take(20).collect(),
            "ours" => {
                let mut own = PerFamily::<Vec<IpAddr>>::default();
                addresses().take(20).for_each(|address| own[Family::of(address)].push(address));
                self.details.own = own;
            }
            key => {
                if let Some(option) = key.strip_prefix("option.") {
                    self.details.options.push((option.to_owned(), value.to_owned()));
                }
            }
        }
    }

    fn secret(&self) -> String {
        let own = format!("{MARK}0123456789abcdef");
        match self.entry.key.as_deref() {
            Some("pem") => return KEY.to_owned(),
            Some(_) => {
                let file = serde_json::json!({
                    "type": "service_account", "client_email": "me@example.com",
                    "private_key_id": "7", "private_key": KEY,
                });
                return file.to_string();
            }
            None => {}
        }
        let is_whole =
            |kind| self.entry.step(kind).is_some_and(|step| step.url.begins_with_secret());
        if StepKind::ALL.into_iter().any(is_whole) {
            return format!("https://dns.example.net/{own}");
        }
        vec![own; self.entry.secret_parts].join(":")
    }

    fn check(&self) {
        let secret = self.secret();
        let credential = Credential { login: self.login.clone(), secret: Secret::new(&secret) };
        let wishes = wishes(&self.addresses);
        let hosts = std::slice::from_ref(&self.host);
        let request = request(hosts, self.zone.clone(), &wishes, &self.details);
        let (provider, moment) = (self.provider, moment());
        let job = Job { provider, credential: &credential, request: &request, moment };
        assert!(draft::of_update(&job).iter().all(|draft| !draft.contains(MARK)));
        // The last answer comes again and again, as from a service that counts its pages wrong.
        let answer = |at: usize| self.answers.get(at).or(self.answers.last()).cloned();
        let (verdict, told) = converse(&job, &answer);
        for outcome in verdict.outcomes() {
            assert!(!words(outcome).contains(MARK), "{outcome:?}");
            assert!(!words(outcome).contains(['\n', '\r']), "{outcome:?}");
            if is_success(outcome) {
                self.check_success(&told);
            }
        }
        self.check_places(&told, &secret);
        self.check_page(&job);
        self.check_zone(&credential);
    }

    fn check_success(&self, told: &Told) {
        let last = told.answers.last().expect("no success without an answer");
        assert!(!(300..400).contains(&last.status), "a redirect is a success");
        assert_ne!(last.status, 429, "a refusal is a success");
        let sends = ["ipv4", "addresses", "address", "items", "sets"];
        if !sends.iter().any(|name| self.entry.uses(name)) {
            return;
        }
        for address in self.addresses.iter().filter(|address| address.is_ipv4()) {
            let text = address.to_string();
            let is_asked = told.asked.iter().any(|request| {
                let body = request.body.as_ref().map(|body| body.parts().1.expose());
                let header = |(_, value): &(_, homing::core::secret::Guarded)| {
                    value.expose().contains(&text)
                };
                request.url.expose().contains(&text)
                    || body.is_some_and(|body| body.contains(&text))
                    || request.headers.iter().any(header)
            });
            let is_told = told
                .answers
                .iter()
                .any(|answer| String::from_utf8_lossy(&answer.body).contains(&text));
            let is_escaped = told
                .answers
                .iter()
                .any(|answer| answer.body.contains(&b'\\') || answer.body.contains(&b'&'));
            assert!(is_asked || is_told || is_escaped, "{text} was neither sent nor told");
        }
    }

    /// Requests go to the service alone, and no secret is in the name of a server.
    fn check_places(&self, told: &Told, secret: &str) {
        let servers: Vec<_> = self.entry.servers().map(|(_, server)| server).collect();
        for request in &told.asked {
            let to = origin(request.url.expose());
            if secret.starts_with("https://") {
                continue;
            }
            assert!(!to.contains(MARK), "a secret is in the name of a server");
            let is_one = |server: &&str| {
                let fixed = server.split('{').next().unwrap_or_default();
                to.starts_with(fixed)
            };
            assert!(servers.iter().any(is_one), "{to} is none of {servers:?}");
        }
    }

    /// Behind a page that stands in the way, nothing is right.
    fn check_page(&self, job: &Job<'_>) {
        let page = |at: usize| {
            let status = self.answers.get(at).map_or(200, |answer| answer.status);
            let content_type = Some("text/html".to_owned());
            Some(Answer {
                status,
                content_type,
                body: PAGE.as_bytes().to_vec(),
                ..Answer::default()
            })
        };
        let (verdict, told) = converse(job, &page);
        assert!(!verdict.outcomes().iter().any(is_success), "{verdict:?} behind a page: {told:?}");
    }

    fn check_zone(&self, credential: &Credential) {
        const MOST: usize = 1000;
        let (host, provider, details) = (&self.host, self.provider, &self.details);
        let job = ZoneJob { provider, credential, host, zone: None, details, moment: moment() };
        assert!(draft::of_zone(&job).iter().all(|draft| !draft.contains(MARK)));
        let (mut talk, mut step) = ZoneTalk::begin(&job);
        let mut count = 0;
        while let (Step::Ask(Ask::Http(request)), Some(answer)) =
            (&step, self.answers.get(count).or(self.answers.last()))
        {
            let shown = format!("{request} {request:?}");
            assert!(!shown.contains(MARK), "a request shows a secret: {shown}");
            count += 1;
            assert!(count < MOST, "a search without an end");
            step = talk.hear(Ok(Heard::Answer(answer.clone())));
        }
        if let Step::Done(ZoneAnswer::Zone(zone, _)) = step {
            assert!(host.is_within(&zone), "{host} is not within {zone}");
        }
    }
}

/// An answer from what follows `< ` in its first line.
fn answer(head: &str) -> Answer {
    let words: Vec<&str> = head.split(' ').collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).map(|word| (*word).to_owned())
    };
    Answer {
        status: words[0].parse().unwrap_or(200),
        content_type: words.get(1).map(|kind| (*kind).to_owned()),
        next: after("link:"),
        location: after("location:"),
        cookies: after("set-cookie:").map(|cookie| Secret::new(&cookie)).into_iter().collect(),
        ..Answer::default()
    }
}
