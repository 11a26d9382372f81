//! `homing token audit` against the sandbox: what it finds, by the account's own view and by asking
//! as the token itself, what it must not miss, and that it changes nothing at the server.
//!
//! Runs that ask as the token itself wait for the server's limits, so that those of a table are made
//! at the same time, each with a sandbox of its own.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;
use std::time::{Duration, SystemTime};

use ring::hmac;
use serde_json::{Value, json};

use crate::support::{account, home, sandbox, snapshot};
use account::{DEV1, HOST, MANAGEMENT, ZONE};
use home::{Home, Ran};
use sandbox::{Answer, Api, Policy, Sandbox, Scripted, Token, ZonePolicy};
use snapshot::snapshot;

/// In the secret of every host's token, and nowhere else.
const SECRET: &str = "s3cret";

/// What is in the token file.
const DEV1_SECRET: &str = "s3cret-of-dev1";

/// Another zone of the account, in which the host's token has no business.
const OTHER_ZONE: &str = "other.example";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who asks, and what is known beforehand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// The management token, and a receipt tells the token's id.
    Management,
    /// The management token, without a receipt.
    Identified,
    /// The token itself, with a receipt.
    Itself,
    /// The token itself, without a receipt.
    Blind,
}

/// A sandbox in which the token of [`HOST`] is narrow, and a home that holds it.
struct Scene {
    sandbox: Sandbox,
    home: Home,
}

/// What an audit in JSON came to.
#[derive(Debug)]
struct Report {
    ran: Ran,
    tokens: Vec<Value>,
}

impl Scene {
    /// The token is changed by `change`.
    fn new(change: impl FnOnce(&mut Token)) -> Self {
        Self::with(Api::Current, change)
    }

    fn with(api: Api, change: impl FnOnce(&mut Token)) -> Self {
        let mut account = account::account(api);
        account.add_zone(OTHER_ZONE);
        account.set_records("www.dyn.example.com", "A", &["192.0.2.80"], 3600);
        account.add_host_token("dev1", DEV1_SECRET, &[HOST]).unwrap();
        for token in &mut account.tokens {
            token.created = now();
        }
        let token = account.tokens.last_mut().unwrap();
        token.max_age = Some(DAY * 365);
        change(token);
        let sandbox = Sandbox::start(account).unwrap();
        let home = Home::at(&sandbox.url(), DEV1);
        Self { sandbox, home }
    }

    /// The id of the token in the file.
    fn id(&self) -> String {
        self.id_of(DEV1_SECRET)
    }

    fn id_of(&self, secret: &str) -> String {
        self.sandbox.with_account(|account| {
            account.tokens().iter().find(|token| token.secret == secret).unwrap().id.clone()
        })
    }

    /// Writes the receipt that `issue` would have left before it was proven.
    fn write_receipt(&self) {
        let api = self.sandbox.with_account(|account| account.api);
        let text = receipt(api, Some(&self.id()), &self.sandbox.url(), DEV1_SECRET);
        self.home.write("token.receipt", &text, 0o600);
    }

    /// Audits in that way and judges what is the same of every audit.
    #[track_caller]
    fn audit(&self, way: Way) -> Report {
        if matches!(way, Way::Management | Way::Itself) {
            self.write_receipt();
        }
        self.report(way, &[HOST])
    }

    /// Audits `what` in JSON.
    #[track_caller]
    fn report(&self, way: Way, what: &[&str]) -> Report {
        let ran = self.run(way, &[what, &["--json"]].concat());
        let value: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:#?}"));
        assert_eq!(value["version"], 1);
        let tokens = value["tokens"].as_array().unwrap().clone();
        Report { ran, tokens }
    }

    /// Runs the audit; it must change nothing at the server and show no secret.
    #[track_caller]
    fn run(&self, way: Way, arguments: &[&str]) -> Ran {
        let before = snapshot(&self.sandbox);
        let from = self.sandbox.requests().len();
        let arguments = [&["token", "audit"], arguments].concat();
        let mut command = self.home.command(&arguments);
        if matches!(way, Way::Management | Way::Identified) {
            self.home.secret("management", MANAGEMENT);
            command.arg("--management-token-file").arg(self.home.path("management"));
        }
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(snapshot(&self.sandbox), before, "the server was changed: {ran:#?}");
        for request in &self.sandbox.requests()[from..] {
            let is_read = ["GET", "OPTIONS"].contains(&request.method.as_str());
            let is_refused = request.status.is_none_or(|code| code >= 400) || !request.performed;
            let is_no_zone = request.path.ends_with("/domains/probe.invalid/");
            assert!(is_read || is_refused || is_no_zone, "took effect: {request}");
        }
        let said = format!("{}{}{}", ran.out, ran.err, self.home.read("token.receipt"));
        for hidden in [SECRET, MANAGEMENT, "panicked", "Error {", "Some("] {
            assert!(!said.contains(hidden), "{hidden:?} in:\n{said}");
        }
        ran
    }

    /// The next requests with that method whose path begins so are answered with `script`, as often
    /// as anybody asks again.
    fn answer_all(&self, method: &str, path: &str, script: &Scripted) {
        for _ in 0..3 {
            self.sandbox.answer_nth(1, method, path, script.clone());
        }
    }
}

impl Report {
    /// The only token.
    #[track_caller]
    fn token(&self) -> &Value {
        assert_eq!(self.tokens.len(), 1, "{self:#?}");
        &self.tokens[0]
    }

    /// The token with that name.
    #[track_caller]
    fn named(&self, name: &str) -> &Value {
        self.tokens.iter().find(|token| token["name"] == name).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The exit code and the findings' words in their order, each once.
    fn told(&self) -> String {
        format!("{}{}", self.ran.code, words(self.token()))
    }
}

/// The findings' words in their order, each once, with a blank before each.
fn words(token: &Value) -> String {
    let mut words: Vec<&str> = Vec::new();
    for finding in token["findings"].as_array().unwrap() {
        words.push(finding["finding"].as_str().unwrap());
    }
    words.dedup();
    if words.is_empty() { String::new() } else { format!(" {}", words.join(" ")) }
}

/// What mends the first finding with that word.
#[track_caller]
fn fix<'a>(token: &'a Value, word: &str) -> Option<&'a str> {
    let findings = token["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["finding"] == word);
    finding.unwrap_or_else(|| panic!("no {word}: {token:#}"))["fix"].as_str()
}

/// Since the Unix epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// A moment in the past.
fn ago(by: Duration) -> Duration {
    now().saturating_sub(by)
}

/// A receipt for `secret` in the form that Homing writes.
fn receipt(api: Api, id: Option<&str>, server: &str, secret: &str) -> String {
    let salt = [7; 16];
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salt);
    let tag = hmac::sign(&key, secret.as_bytes());
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let (policies, zone) = match api {
        Api::Current => ("rows", ZONE),
        Api::Legacy => ("zones", HOST),
    };
    let value = json!({
        "version": 1, "id": id, "name": "dev1", "server": format!("{server}/api/v1"),
        "policies": policies,
        "hosts": [{"name": HOST, "zone": zone, "ipv4": true, "ipv6": true}],
        "created": "2026-08-01T00:00:00Z", "expires": "2126-07-08T00:00:00Z",
        "max-age": "36500days", "max-unused": null, "subnets": null,
        "salt": hex(&salt), "fingerprint": hex(&tag.as_ref()[..8]), "proven": null,
    });
    format!("{value:#}\n")
}

/// Does the work for every item at the same time and returns the results in their order.
fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let runs: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// A row of a token; `*` is any.
fn row(zone: &str, subname: &str, kind: &str, perm_write: bool) -> Policy {
    let part = |text: &str| (text != "any").then(|| text.to_owned());
    let (domain, subname, kind) = (part(zone), part(subname), part(kind));
    Policy { domain, subname, kind, perm_write, ..Policy::deny_all() }
}

fn allow(token: &mut Token, zone: &str, subname: &str, kind: &str) {
    token.policies.push(row(zone, subname, kind, true));
}

fn deny(token: &mut Token, zone: &str, subname: &str, kind: &str) {
    token.policies.push(row(zone, subname, kind, false));
}

/// What was done to a narrow token.
type Change = fn(&mut Token);

/// What is wrong with a token; what the account's view, the token itself with a receipt, and the
/// token itself without one have to say: exit code and words, the worst first.
type Case = (&'static str, Change, [&'static str; 3]);

/// The kinds of excess, and what is like one and none.
const CASES: [Case; 29] = [
    (
        "the right to manage tokens",
        |token| token.perm_manage_tokens = true,
        ["77 manages-tokens", "77 manages-tokens", "77 manages-tokens"],
    ),
    (
        "no policies",
        |token| token.policies.clear(),
        ["77 no-policies", "77 no-policies may-write", "77 may-write"],
    ),
    (
        "a default that allows",
        |token| token.policies[0].perm_write = true,
        ["77 default-allows", "77 default-allows may-write", "77 may-write"],
    ),
    (
        "a default that allows, with a denial for one zone",
        |token| {
            token.policies[0].perm_write = true;
            deny(token, ZONE, "any", "any");
        },
        ["77 default-allows", "77 default-allows", "77 may-write"],
    ),
    (
        "the name in every zone",
        |token| allow(token, "any", "dev1", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "every name",
        |token| allow(token, ZONE, "any", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "what the old API left: A and AAAA of every name",
        |token| {
            token.policies.truncate(1);
            allow(token, ZONE, "any", "A");
            allow(token, ZONE, "any", "AAAA");
        },
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "the whole zone",
        |token| token.policies.push(Policy::allow_zone(ZONE)),
        ["77 policy-too-broad", "77 policy-too-broad may-write", "77 may-write"],
    ),
    (
        "the zone itself",
        |token| allow(token, ZONE, "", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "the zone itself instead of the host",
        |token| {
            token.policies.truncate(1);
            allow(token, ZONE, "", "A");
            allow(token, ZONE, "", "AAAA");
        },
        ["77 policy-too-broad lacks", "77 policy-too-broad lacks", "77 may-write inconclusive"],
    ),
    (
        "a neighbour",
        |token| allow(token, ZONE, "www", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "every name that is not there",
        |token| allow(token, ZONE, "*", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "every name below the host",
        |token| allow(token, ZONE, "*.dev1", "A"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "every type",
        |token| allow(token, ZONE, "dev1", "any"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "every type, with a denial of one",
        |token| {
            allow(token, ZONE, "dev1", "any");
            deny(token, ZONE, "dev1", "TXT");
        },
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "texts",
        |token| allow(token, ZONE, "dev1", "TXT"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "the proof for a certificate",
        |token| allow(token, ZONE, "_acme-challenge.dev1", "TXT"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    (
        "a delegation",
        |token| allow(token, ZONE, "dev1", "NS"),
        ["77 policy-too-broad", "77 policy-too-broad", "77 may-write"],
    ),
    // Without a receipt only what is likely can be tried.
    (
        "an alias",
        |token| allow(token, ZONE, "dev1", "CNAME"),
        ["77 policy-too-broad", "77 policy-too-broad", "75 inconclusive"],
    ),
    (
        "zones",
        |token| token.perm_create_domain = true,
        ["77 creates-zones", "77 creates-zones", "77 creates-zones"],
    ),
    (
        "zones and what is in them",
        |token| {
            token.perm_create_domain = true;
            token.auto_policy = true;
        },
        ["77 creates-zones", "77 creates-zones", "77 creates-zones"],
    ),
    (
        "a right that sleeps",
        |token| token.auto_policy = true,
        ["0 auto-policy", "0", "75 inconclusive"],
    ),
    (
        "deleting zones, which is denied",
        |token| token.perm_delete_domain = true,
        [
            "0 deletes-zones-denied",
            "0 deletes-zones-denied",
            "75 inconclusive deletes-zones-denied",
        ],
    ),
    (
        "deleting zones",
        |token| {
            token.perm_delete_domain = true;
            token.policies.clear();
        },
        [
            "77 no-policies deletes-zones",
            "77 no-policies may-write deletes-zones",
            "77 may-write deletes-zones",
        ],
    ),
    (
        "another account",
        |token| token.user_override = Some("victim@example.net".to_owned()),
        ["77 acts-for-another-account", "0", "75 inconclusive"],
    ),
    (
        "another owner",
        |token| token.owner = Some("stranger@example.net".to_owned()),
        ["77 belongs-to-another-account", "0", "75 inconclusive"],
    ),
    ("a log-in", |token| token.mfa = Some(true), ["77 login-token", "0", "75 inconclusive"]),
    (
        "a denial of its own record",
        |token| {
            token.policies.truncate(2);
            deny(token, ZONE, "dev1", "AAAA");
        },
        ["75 lacks", "75 lacks", "75 inconclusive lacks"],
    ),
    (
        "an allowance that a denial lifts everywhere but at the host",
        |token| {
            token.policies.truncate(1);
            allow(token, "any", "dev1", "A");
            allow(token, ZONE, "dev1", "AAAA");
            deny(token, OTHER_ZONE, "any", "any");
        },
        ["77 policy-too-broad", "77 policy-too-broad", "75 inconclusive"],
    ),
];

/// Audits every case in these ways and compares what was told.
#[track_caller]
fn check_cases(ways: &[Way], column: usize) {
    let jobs: Vec<_> =
        CASES.iter().flat_map(|case| ways.iter().map(move |way| (case, *way))).collect();
    let reports = at_once(&jobs, |((_, change, _), way)| Scene::new(*change).audit(*way));
    let mut wrong = String::new();
    for (((what, _, expect), way), report) in jobs.iter().zip(reports) {
        let (told, expect) = (report.told(), expect[column]);
        if told != expect {
            writeln!(wrong, "{what}, {way:?}: {told:?} instead of {expect:?}").unwrap();
        }
        for finding in report.token()["findings"].as_array().unwrap() {
            let fix = finding["fix"].as_str();
            let issue = "homing token issue dev1.dyn.example.com";
            // A token that Homing did not make is not changed: a new one takes its place.
            let is_mended = match way {
                Way::Identified if !report.token()["id"].is_null() => {
                    let end = fix.and_then(|fix| fix.strip_prefix(issue));
                    end.is_some_and(|end| end.starts_with(" && homing token revoke --id "))
                }
                _ => fix == Some(issue),
            };
            if finding["weight"] == "too-powerful" && !is_mended {
                writeln!(wrong, "{what}, {way:?}: {finding} is not mended by its fix").unwrap();
            }
        }
    }
    assert_eq!(wrong, "");
}

// What a token could do beyond its job.

#[test]
fn the_accounts_view_tells_every_excess_the_worst_first() {
    check_cases(&[Way::Management, Way::Identified], 0);
}

#[test]
fn a_token_with_a_receipt_tells_by_its_own_policies_and_by_probes() {
    check_cases(&[Way::Itself], 1);
}

#[test]
fn a_token_without_a_receipt_is_found_out_by_probes() {
    check_cases(&[Way::Blind], 2);
}

#[test]
fn several_excesses_are_told_the_worst_first() {
    let several = |token: &mut Token| {
        token.perm_manage_tokens = true;
        token.perm_create_domain = true;
        token.max_age = None;
        allow(token, ZONE, "dev1", "TXT");
        allow(token, "any", "dev1", "A");
        token.policies[0].perm_write = true;
    };
    let scene = Scene::new(several);
    let report = scene.audit(Way::Management);
    let expect = "77 manages-tokens default-allows policy-too-broad creates-zones no-expiry";
    assert_eq!(report.told(), expect);
    let text = |place: usize| report.token()["findings"][place]["text"].as_str().unwrap();
    assert_eq!(text(2), "may write A of dev1 in every zone");
    assert_eq!(text(3), "may write TXT of dev1.dyn.example.com");
    fs::remove_file(scene.home.path("token.receipt")).unwrap();
    let told = scene.audit(Way::Identified).told();
    assert_eq!(told, "77 manages-tokens may-write creates-zones", "it is asked itself");
}

// What is narrow.

#[test]
fn a_narrow_token_whose_rows_are_read_is_narrow_and_that_is_written_down() {
    let ways = [Way::Management, Way::Identified, Way::Itself];
    let scenes = ways.map(|way| (way, Scene::new(|_| {})));
    let reports = at_once(&scenes, |(way, scene)| {
        let receipt = scene.home.path("token.receipt");
        if matches!(way, Way::Management | Way::Itself) {
            scene.write_receipt();
        }
        let before = fs::metadata(receipt).map(|about| about.ino()).ok();
        let report = scene.report(*way, &[HOST]);
        check_proof(*way, scene, before);
        report
    });
    for ((way, scene), report) in scenes.iter().zip(&reports) {
        let token = report.token();
        assert_eq!(report.told(), "0", "{way:?}: {report:#?}");
        assert_eq!(token["verdict"], "narrow", "{way:?}");
        assert_eq!(token["hosts"], json!([HOST]));
        assert_eq!(token["file"], scene.home.path("token").to_str().unwrap());
        let is_itself = *way == Way::Itself;
        assert_eq!(token["by"], if is_itself { "itself" } else { "management" }, "{way:?}");
        let hidden = token["not-visible"].as_array().unwrap();
        let told: Vec<_> = hidden.iter().map(|what| what.as_str().unwrap()).collect();
        let expect: &[&str] = match way {
            // Its receipt knows the rest.
            Way::Itself => &["account", "auto_policy"],
            Way::Management | Way::Identified | Way::Blind => &[],
        };
        let is_told = |what: &&str| told.iter().any(|told| told.contains(*what));
        assert!(told.len() == expect.len() && expect.iter().all(is_told), "{way:?}: {told:?}");
        assert_eq!(token["id"].as_str(), Some(&*scene.id()), "{way:?}");
        let rows: Vec<_> =
            token["rows"].as_array().unwrap().iter().map(|row| &row["text"]).collect();
        let expect = [
            "allow A of dev1.dyn.example.com",
            "allow AAAA of dev1.dyn.example.com",
            "default: deny everything",
        ];
        assert_eq!(rows, expect, "{way:?}");
        assert_eq!(token["valid"], true, "{way:?}");
        let name = Some("dev1").filter(|_| !is_itself);
        assert_eq!(token["name"].as_str(), name, "{way:?}");
        assert!(report.ran.err.is_empty(), "{way:?}: {}", report.ran.err);
    }
}

#[test]
fn a_token_for_one_family_or_two_hosts_is_narrow_for_that_job() {
    let one = Scene::new(|token| token.policies.retain(|row| row.kind.as_deref() != Some("AAAA")));
    one.home.configure(&one.home.read("config.toml").replace("ipv6 = \"here\"", "ipv6 = \"off\""));
    assert_eq!(one.audit(Way::Management).told(), "0");
    let two = Scene::new(|token| {
        allow(token, ZONE, "www", "A");
        allow(token, ZONE, "www", "AAAA");
    });
    let names = "[\"dev1.dyn.example.com\", \"www.dyn.example.com\"]";
    let config = two.home.read("config.toml").replace("\"dev1.dyn.example.com\"", names);
    two.home.configure(&config);
    let report = two.audit(Way::Management);
    assert_eq!(report.told(), "0");
    assert_eq!(report.token()["hosts"], json!([HOST, "www.dyn.example.com"]));
    // The addresses of a host are never too much, but those of a host that is gone are.
    two.home.configure(&config.replace("ipv6 = \"here\"", "ipv6 = \"off\""));
    assert_eq!(two.audit(Way::Management).told(), "0 spare");
    two.home.configure(&config.replace(names, "\"dev1.dyn.example.com\""));
    assert_eq!(two.audit(Way::Management).told(), "77 policy-too-broad");
}

/// How many writes were made of each zone, by what the server counts as such.
fn writes(scene: &Scene) -> std::collections::BTreeMap<String, usize> {
    let mut writes = std::collections::BTreeMap::new();
    for request in scene.sandbox.requests() {
        let zone = request.path.strip_prefix("/api/v1/domains/").unwrap_or_default();
        let Some((zone, _)) = zone.split_once("/rrsets/") else { continue };
        if request.method != "GET" {
            *writes.entry(zone.to_owned()).or_default() += 1;
        }
    }
    writes
}

/// The kinds of power that probes cannot find, each of which was called narrow and proven.
#[test]
fn without_a_receipt_nothing_is_narrow_and_nothing_is_proven() {
    let cases: [Change; 5] = [
        |_| {},
        |token| allow(token, ZONE, "_443._tcp.dev1", "TLSA"),
        |token| allow(token, ZONE, "unused", "A"),
        |token| allow(token, OTHER_ZONE, "some", "TXT"),
        |token| allow(token, ZONE, "a.very.deep.name", "AAAA"),
    ];
    let scenes = cases.map(Scene::new);
    let reports = at_once(&scenes, |scene| scene.report(Way::Blind, &[HOST]));
    for (scene, report) in scenes.iter().zip(&reports) {
        assert_eq!(report.told(), "75 inconclusive", "{report:#?}");
        assert_eq!(report.token()["verdict"], "inconclusive");
        let management = "homing token audit dev1.dyn.example.com --management-token-file FILE";
        assert_eq!(fix(report.token(), "inconclusive"), Some(management));
        assert!(!scene.home.path("token.receipt").exists());
        assert_eq!(report.token()["rows"], Value::Null);
        let writes = writes(scene);
        assert!(writes.values().all(|count| *count <= 15), "{writes:?}");
    }
}

#[test]
fn a_complaint_about_content_elsewhere_proves_power_whatever_its_own_record_says() {
    let cases: [Change; 2] = [
        |token| {
            token.policies.clear();
            token.policies.push(row("any", "any", "any", true));
            deny(token, ZONE, "any", "any");
        },
        |token| {
            token.policies.truncate(1);
            allow(token, ZONE, "*", "A");
        },
    ];
    let told = at_once(&cases, |change| Scene::new(*change).audit(Way::Blind).told());
    assert_eq!(told, ["77 may-write inconclusive"; 2]);
}

#[test]
fn an_audit_leaves_the_hosts_most_of_the_hours_writes_unless_told_otherwise() {
    let neighbours = |scene: &Scene| {
        scene.sandbox.with_account(|account| {
            for n in 0..12 {
                account.set_records(&format!("n{n}.{ZONE}"), "A", &["192.0.2.80"], 3600);
            }
        });
    };
    let (blind, known) = (Scene::new(|_| {}), Scene::new(|_| {}));
    neighbours(&blind);
    neighbours(&known);
    known.write_receipt();
    assert_eq!(known.run(Way::Itself, &[HOST]).code, 0);
    let writes_known = writes(&known);
    assert!(writes_known.values().sum::<usize>() <= 2, "its rows decide: {writes_known:?}");
    let ran = blind.run(Way::Blind, &[HOST]);
    assert_eq!(ran.code, 75);
    assert!(ran.err.contains("at most 15 invalid writes"), "{ran:#?}");
    assert!(ran.out.contains("--thorough"), "{ran:#?}");
    assert_eq!(writes(&blind)[ZONE], 15);
    let thorough = Scene::new(|_| {});
    neighbours(&thorough);
    let ran = thorough.run(Way::Blind, &[HOST, "--thorough"]);
    assert_eq!(ran.code, 75);
    assert!(ran.err.contains("about 35 invalid writes"), "{ran:#?}");
    assert!(writes(&thorough)[ZONE] > 20, "{:?}", writes(&thorough));
}

// What could not be told.

/// The answers that tell nothing; one repeats the secret of who is asking.
fn useless(asking: &str) -> [(&'static str, Scripted); 6] {
    let throttled = Answer::json(429, "{\"detail\":\"Request was throttled.\"}");
    [
        ("a page", Scripted::answer(Answer::nginx(200))),
        ("a page with 403", Scripted::answer(Answer::nginx(403))),
        ("500", Scripted::answer(Answer::json(500, &format!("{{\"you\":\"{asking}\"}}")))),
        ("nothing", Scripted::dropped()),
        ("half of it", Scripted::answer(Answer::json(200, "[{\"id\":"))),
        ("429", Scripted::answer(throttled.with("Retry-After", "86400"))),
    ]
}

/// Asks in that way while one question is answered with each of what is useless: it must never end
/// as narrow.
#[track_caller]
fn check_untold(way: Way, questions: &[(&str, &str)]) {
    let useless = useless(if way == Way::Management { MANAGEMENT } else { DEV1_SECRET });
    let pairs = questions
        .iter()
        .flat_map(|question| useless.iter().map(move |(w, s)| (*question, (*w, s))));
    // Half of a yes to a write is a yes.
    let is_told = |method: &str, what: &str| {
        what == "half of it" && ["PATCH", "POST", "DELETE"].contains(&method)
    };
    let jobs: Vec<_> = pairs.filter(|((method, _), (what, _))| !is_told(method, what)).collect();
    let told = at_once(&jobs, |((method, path), (_, script))| {
        let scene = Scene::new(|_| {});
        scene.write_receipt();
        let path = path.replace("{id}", &scene.id());
        scene.answer_all(method, &path, script);
        let before = scene.home.read("token.receipt");
        let ran = scene.run(way, &[HOST]);
        let is_untold = ran.code == 75 && !ran.out.contains("  narrow");
        let is_unproven = scene.home.read("token.receipt") == before;
        (is_untold && is_unproven).then_some(()).ok_or(ran)
    });
    let mut wrong = String::new();
    for (((method, path), (what, _)), told) in jobs.iter().zip(told) {
        if let Err(ran) = told {
            writeln!(wrong, "{way:?}, {what} to {method} {path}: {ran:?}").unwrap();
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn what_the_server_does_not_answer_the_account_is_never_narrow() {
    check_untold(
        Way::Management,
        &[
            ("GET", "/api/v1/auth/tokens/"),
            ("GET", "/api/v1/auth/tokens/{id}/policies/rrsets/"),
            ("GET", "/api/v1/domains/"),
        ],
    );
}

#[test]
fn what_the_server_does_not_answer_the_token_is_never_narrow() {
    check_untold(
        Way::Itself,
        &[
            ("GET", "/api/v1/"),
            ("GET", "/api/v1/auth/tokens/"),
            ("GET", "/api/v1/auth/tokens/{id}/policies/"),
            ("GET", "/api/v1/auth/tokens/{id}/policies/rrsets/"),
            ("GET", "/api/v1/domains/"),
            ("PATCH", "/api/v1/domains/dyn.example.com/rrsets/"),
            ("GET", "/api/v1/domains/dyn.example.com/rrsets/"),
            ("OPTIONS", "/api/v1/domains/dyn.example.com/rrsets/@/NS/"),
            ("POST", "/api/v1/domains/"),
            ("DELETE", "/api/v1/domains/probe.invalid/"),
        ],
    );
}

#[test]
fn too_much_power_counts_more_than_what_could_not_be_told() {
    let scene = Scene::new(|token| token.perm_create_domain = true);
    scene.write_receipt();
    let page = Scripted::answer(Answer::nginx(200));
    scene.answer_all("GET", "/api/v1/domains/", &page);
    let report = scene.report(Way::Management, &[HOST]);
    assert_eq!(report.ran.code, 77, "{report:#?}");
    let words = words(report.token());
    assert!(words.contains(" creates-zones") && words.contains(" inconclusive"), "{words}");
}

#[test]
fn a_host_with_an_alias_is_told() {
    let scenes = [Way::Management, Way::Itself, Way::Blind].map(|way| {
        let scene = Scene::new(|_| {});
        scene.sandbox.with_account(|a| a.set_records(HOST, "CNAME", &["www.example.org."], 3600));
        (way, scene)
    });
    let told = at_once(&scenes, |(way, scene)| scene.audit(*way).told());
    let expect = ["0 host-has-cname", "0 host-has-cname", "75 inconclusive host-has-cname"];
    assert_eq!(told, expect);
}

#[test]
fn what_the_server_does_not_know_is_told() {
    let gone = Scene::new(|_| {});
    gone.write_receipt();
    gone.sandbox.with_account(|account| account.tokens.retain(|token| token.secret == MANAGEMENT));
    let report = gone.report(Way::Management, &[HOST]);
    assert_eq!(report.told(), "75 gone");
    assert_ne!(report.token()["verdict"], "narrow");
    // From here nobody can tell a token that is gone from one that works from other networks.
    assert_eq!(gone.report(Way::Blind, &[HOST]).told(), "75 inconclusive");
    let homeless = Scene::new(|_| {});
    homeless.sandbox.with_account(|account| account.remove_zone(ZONE));
    for way in [Way::Management, Way::Itself] {
        let report = homeless.audit(way);
        assert_eq!(report.told(), "75 inconclusive", "{way:?}");
        let text = report.token()["findings"][0]["text"].as_str().unwrap();
        assert!(text.contains("no zone of this account holds it"), "{text}");
    }
}

// What is worth knowing.

#[test]
fn notices_are_told_and_change_nothing() {
    let cases: [(&str, Change, &str, Option<&str>); 9] = [
        (
            "no end",
            |token| token.max_age = None,
            "0 no-expiry",
            Some("homing token issue dev1.dyn.example.com --max-age 365d"),
        ),
        (
            "no end but by silence",
            |token| {
                token.max_age = None;
                token.max_unused_period = Some(DAY * 30);
            },
            "0",
            None,
        ),
        (
            "a near end",
            |token| token.max_age = Some(DAY * 13),
            "0 expires-soon",
            Some("homing token rotate dev1.dyn.example.com"),
        ),
        (
            "its end",
            |token| {
                token.created -= DAY * 20;
                token.last_used = Some(ago(DAY));
                token.max_age = Some(DAY * 19);
            },
            "75 lapsed",
            Some("homing token rotate dev1.dyn.example.com"),
        ),
        ("no use", |token| token.created -= DAY * 2, "0 never-used", None),
        (
            "no use for long",
            |token| {
                token.created -= DAY * 50;
                token.last_used = Some(ago(DAY * 40));
            },
            "0 unused",
            None,
        ),
        (
            "few networks",
            |token| token.allowed_subnets = vec!["127.0.0.0/8".parse().unwrap()],
            "0 subnets",
            Some("homing token issue dev1.dyn.example.com --allow-subnet any"),
        ),
        (
            "no network",
            |token| token.allowed_subnets.clear(),
            "75 no-subnets",
            Some("homing token issue dev1.dyn.example.com --allow-subnet any"),
        ),
        (
            "a row that is missing",
            |token| token.policies.truncate(2),
            "75 lacks",
            Some("homing token issue dev1.dyn.example.com"),
        ),
    ];
    let reports = at_once(&cases, |(_, change, ..)| Scene::new(*change).audit(Way::Management));
    for ((what, _, expect, mended), report) in cases.iter().zip(&reports) {
        assert_eq!(report.told(), *expect, "{what}: {report:#?}");
        if let Some((_, word)) = expect.split_once(' ') {
            assert_eq!(fix(report.token(), word), *mended, "{what}");
            assert_eq!(report.token()["findings"][0]["weight"], "notice", "{what}");
        }
        let verdict = if *what == "its end" { "dead" } else { "narrow" };
        assert_eq!(report.token()["verdict"], verdict, "{what}");
    }
}

#[test]
fn a_token_lapses_by_the_servers_clock() {
    let scene = Scene::new(|token| token.max_unused_period = Some(DAY * 30));
    scene.sandbox.advance(DAY * 31);
    assert_eq!(scene.audit(Way::Management).told(), "75 lapsed");
    assert_eq!(scene.audit(Way::Blind).told(), "75 inconclusive");
}

#[test]
fn a_zone_that_is_registered_below_a_host_leaves_its_token_without_rights() {
    let scene = Scene::new(|_| {});
    scene.sandbox.with_account(|account| account.add_zone(HOST));
    let report = scene.audit(Way::Management);
    // The rows of the old zone allow what is no part of the job any more.
    assert_eq!(report.told(), "77 policy-too-broad lacks");
    assert_eq!(fix(report.token(), "lacks"), Some("homing token issue dev1.dyn.example.com"));
}

#[test]
fn two_tokens_of_one_host_and_equal_names_are_told() {
    let scene = Scene::new(|_| {});
    scene.sandbox.with_account(|account| {
        account.add_host_token("dev1", "s3cret-of-second", &[HOST]).unwrap();
        account.add_host_token("", "s3cret-of-third", &["www.dyn.example.com"]).unwrap();
    });
    let (first, second) = (scene.id(), scene.id_of("s3cret-of-second"));
    assert_eq!(scene.audit(Way::Management).told(), "0 name", "only --all-tokens sees the rest");
    let report = scene.report(Way::Management, &["--all-tokens"]);
    assert_eq!(report.ran.code, 0, "{report:#?}");
    let of = |id: &str| report.tokens.iter().find(|token| token["id"] == id).unwrap();
    assert_eq!(words(of(&first)), " two-tokens name");
    let revoke = format!("homing token revoke --id {second}");
    assert_eq!(fix(of(&first), "two-tokens"), Some(&*revoke));
    assert!(words(of(&second)).contains(" two-tokens name"), "{report:#?}");
    let nameless = report.named("");
    assert!(words(nameless).contains(" name") && !words(nameless).contains("two-tokens"));
}

// Every token of the account.

#[test]
fn every_token_of_every_page_is_judged_but_the_one_that_asks() {
    let scene = Scene::new(|_| {});
    scene.sandbox.with_account(|account| {
        account.page_size = 2;
        account.tokens.push(Token::unrestricted("dyndns", "s3cret-of-sign-up"));
        account.tokens.push(Token::management("second", "s3cret-of-second"));
        for n in 0..3 {
            let (name, secret) = (format!("more{n}"), format!("s3cret-of-more{n}"));
            account.add_host_token(&name, &secret, &[&format!("{name}.{ZONE}")]).unwrap();
        }
    });
    scene.write_receipt();
    let report = scene.report(Way::Management, &["--all-tokens"]);
    assert_eq!(report.ran.code, 77);
    let names: Vec<&str> =
        report.tokens.iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in ["dev1", "dyndns", "second", "more0", "more1", "more2"] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    let id = scene.id_of(MANAGEMENT);
    assert!(
        report.ran.err.contains(&format!("not judged: token {id} \"management\"")),
        "{report:?}"
    );
    assert!(words(report.named("dyndns")).starts_with(" no-policies"));
    assert!(words(report.named("second")).starts_with(" manages-tokens no-policies creates-zones"));
    let revoke = format!("homing token revoke --id {}", scene.id_of("s3cret-of-sign-up"));
    assert_eq!(fix(report.named("dyndns"), "no-policies"), Some(&*revoke));
    assert_eq!(report.named("dev1")["hosts"], json!([HOST]));
    for name in ["dev1", "more0", "more1", "more2"] {
        assert_eq!(report.named(name)["verdict"], "narrow", "{name}");
    }
    let asked = scene.sandbox.requests();
    let lists = asked.iter().filter(|request| request.path == "/api/v1/auth/tokens/");
    assert_eq!(lists.count(), 4, "pages of two of seven tokens");
}

#[test]
fn all_tokens_are_seen_only_with_management_rights() {
    let scene = Scene::new(|_| {});
    let ran = scene.run(Way::Blind, &["--all-tokens"]);
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("--management-token-file"), "{ran:?}");
    assert_eq!(scene.sandbox.requests().len(), 0);
}

#[test]
fn a_host_that_holds_the_management_token_is_told() {
    let scene = Scene::new(|_| {});
    scene.home.secret("token", MANAGEMENT);
    let report = scene.report(Way::Identified, &[HOST]);
    assert_eq!(report.told(), "77 manages-tokens is-management-token");
}

#[test]
fn a_host_that_holds_the_management_token_is_told_among_all_tokens() {
    let scene = Scene::new(|_| {});
    scene.home.secret("token", MANAGEMENT);
    let report = scene.report(Way::Identified, &["--all-tokens"]);
    let said = format!("{report:?}");
    assert_eq!(report.ran.code, 77, "{said}");
    assert!(said.contains("is-management-token"), "{said}");
}

// What is written down.

/// Whether an audit in that way wrote its verdict into the receipt, whose inode was `before`.
#[track_caller]
fn check_proof(way: Way, scene: &Scene, before: Option<u64>) {
    let path = scene.home.path("token.receipt");
    let text = scene.home.read("token.receipt");
    let receipt: Value = serde_json::from_str(&text).unwrap();
    assert!(receipt["proven"].is_string(), "{way:?}: {text}");
    assert_eq!(receipt["id"].as_str(), Some(&*scene.id()), "{way:?}: {text}");
    assert_eq!(receipt["hosts"][0]["name"], HOST, "{way:?}: {text}");
    assert!(receipt["created"].is_string() && receipt["max-age"].is_string(), "{way:?}: {text}");
    assert_eq!(receipt["server"], format!("{}/api/v1", scene.sandbox.url()));
    let about = fs::metadata(&path).unwrap();
    assert_ne!(Some(about.ino()), before, "{way:?}: it was not replaced as a whole");
    assert_eq!(about.permissions().mode() & 0o777, 0o600, "{way:?}");
    let names = fs::read_dir(scene.home.path(".")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".new")), "{names:?}");
}

#[test]
fn a_token_that_was_proven_is_not_written_down_again() {
    let ways = [Way::Management, Way::Identified];
    let scenes = ways.map(|way| (way, Scene::new(|_| {})));
    at_once(&scenes, |(way, scene)| {
        assert_eq!(scene.audit(*way).told(), "0");
        let of = || fs::metadata(scene.home.path("token.receipt")).unwrap();
        let before = of();
        assert_eq!(scene.run(*way, &[HOST]).code, 0, "{way:?}");
        let again = of();
        assert_eq!((again.ino(), again.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    });
}

/// What `issue` left is believed until an audit finds more, whoever asks.
#[test]
fn an_audit_that_finds_more_takes_the_proof_back() {
    for way in [Way::Management, Way::Itself] {
        let scene = Scene::new(|_| {});
        assert_eq!(scene.audit(way).told(), "0");
        assert!(scene.home.read("token.receipt").contains("\"proven\": \"2"));
        scene.home.once();
        let status = scene.home.run(&["status"]);
        assert!(status.code == 0 && status.out.contains("token: narrow"), "{status:#?}");
        scene.sandbox.with_account(|account| {
            allow(account.tokens.last_mut().unwrap(), ZONE, "www", "A");
        });
        assert_eq!(scene.report(way, &[HOST]).told(), "77 policy-too-broad", "{way:?}");
        let receipt: Value = serde_json::from_str(&scene.home.read("token.receipt")).unwrap();
        assert_eq!(receipt["proven"], Value::Null);
        assert_eq!(receipt["too-powerful"], "may write A of www.dyn.example.com");
        let status = scene.home.run(&["status"]);
        let words = "token: TOO POWERFUL: may write A of www.dyn.example.com";
        assert!(status.code == 77 && status.out.contains(words), "{status:#?}");
        let json: Value = serde_json::from_str(&scene.home.run(&["status", "--json"]).out).unwrap();
        assert_eq!(json["hosts"][0]["token"]["rights"], "too-powerful");
        let strict = format!("{}strict-token = true\n", scene.home.read("config.toml"));
        scene.home.configure(&strict);
        let ran = scene.home.once();
        assert!(ran.code == 77 && ran.out.contains("may write A of www"), "{ran:#?}");
        let check = scene.home.run(&["check"]);
        assert!(check.out.contains("its token is too powerful"), "{check:#?}");
        // Put right, it is proven again.
        scene.sandbox.with_account(|account| {
            account.tokens.last_mut().unwrap().policies.pop();
        });
        assert_eq!(scene.report(way, &[HOST]).told(), "0", "{way:?}");
        assert_eq!(scene.home.once().code, 0);
        assert_eq!(scene.home.run(&["status"]).code, 0);
    }
}

/// A copy of another host's token and receipt proves nothing for this host.
#[test]
fn the_receipt_of_another_host_proves_nothing() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.audit(Way::Management).told(), "0");
    let other = scene.home.read("config.toml").replace(HOST, "www.dyn.example.com");
    scene.home.configure(&format!("{other}strict-token = true\n"));
    let ran = scene.home.once();
    assert!(
        ran.code == 77 && ran.out.contains("its receipt is for dev1.dyn.example.com"),
        "{ran:#?}"
    );
    let status = scene.home.run(&["status"]);
    assert!(status.out.contains("token: its rights were not checked"), "{status:#?}");
    let report = scene.report(Way::Management, &["www.dyn.example.com"]);
    assert_eq!(report.told(), "77 policy-too-broad lacks");
    let receipt: Value = serde_json::from_str(&scene.home.read("token.receipt")).unwrap();
    assert_eq!(receipt["proven"], Value::Null);
}

#[test]
fn a_token_that_is_gone_is_not_proven_any_more() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.audit(Way::Management).told(), "0");
    scene.sandbox.with_account(|account| account.tokens.retain(|token| token.secret == MANAGEMENT));
    assert_eq!(scene.report(Way::Management, &[HOST]).told(), "75 gone");
    let status = scene.home.run(&["status"]);
    assert!(status.code == 77 && status.out.contains("token: revoked"), "{status:#?}");
}

#[test]
fn nothing_is_written_down_that_is_not_narrow() {
    let broad = Scene::new(|token| token.policies.clear());
    assert_eq!(broad.run(Way::Identified, &[HOST]).code, 77);
    assert!(!broad.home.path("token.receipt").exists());
    broad.write_receipt();
    let before = broad.home.read("token.receipt");
    assert_eq!(broad.run(Way::Management, &[HOST]).code, 77);
    assert_eq!(broad.home.read("token.receipt"), before);
    let lapsed = Scene::new(|token| token.max_age = Some(Duration::ZERO));
    assert_eq!(lapsed.run(Way::Identified, &[HOST]).code, 75);
    assert!(!lapsed.home.path("token.receipt").exists());
}

/// Its id is all that `revoke` has to go by.
#[test]
fn the_receipt_of_another_token_is_not_lost() {
    let scene = Scene::new(|_| {});
    let other = receipt(Api::Current, Some("6be0a87c-0d9a"), &scene.sandbox.url(), "lost");
    scene.home.write("token.receipt", &other, 0o600);
    assert_eq!(scene.run(Way::Identified, &[HOST]).code, 0);
    assert_eq!(scene.home.read("token.receipt"), other);
}

#[test]
fn a_receipt_that_cannot_be_read_is_told_and_kept() {
    for (text, words) in [
        ("{\"version\": 1,", "token.receipt is damaged"),
        ("{\"version\": 2}", "was written by a later version of Homing"),
    ] {
        let scene = Scene::new(|_| {});
        scene.home.write("token.receipt", text, 0o600);
        let ran = scene.run(Way::Identified, &[HOST]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
        assert_eq!(scene.home.read("token.receipt"), text);
    }
}

// The old API.

#[test]
fn under_the_old_api_a_host_is_narrow_only_as_its_own_zone() {
    let cases: [(&str, Change, &str); 5] = [
        ("its own zone", |_| {}, "0 reaches-below"),
        (
            "the zone above",
            |token| token.zone_policies.push(ZonePolicy::allow_dyndns(ZONE)),
            "77 policy-too-broad reaches-below",
        ),
        (
            "any record",
            |token| token.zone_policies[1].perm_rrsets = true,
            "77 policy-too-broad reaches-below",
        ),
        (
            "a default that allows",
            |token| token.zone_policies[0].perm_dyndns = true,
            "77 policy-too-broad reaches-below",
        ),
        (
            "no policies",
            |token| token.zone_policies.clear(),
            "77 no-policies creates-zones deletes-zones",
        ),
    ];
    let scene = |change: Change| Scene::with(Api::Legacy, change);
    let told = at_once(&cases, |(_, change, _)| scene(*change).audit(Way::Management).told());
    for ((what, _, expect), told) in cases.iter().zip(told) {
        assert_eq!(told, *expect, "{what}");
    }
}

#[test]
fn under_the_old_api_a_token_tells_only_with_its_receipt() {
    let narrow: Change = |_| {};
    let broad: Change = |token| token.zone_policies.push(ZonePolicy::allow_dyndns(ZONE));
    let cases = [
        // Only a receipt tells which policies are there.
        (Way::Blind, narrow, "75 inconclusive"),
        (Way::Itself, narrow, "0 reaches-below"),
        (Way::Itself, broad, "77 policy-too-broad reaches-below"),
    ];
    let told =
        at_once(&cases, |(way, change, _)| Scene::with(Api::Legacy, *change).audit(*way).told());
    assert_eq!(told, cases.map(|(.., expect)| expect));
}

// How it looks.

#[test]
fn the_table_has_no_colours_in_a_pipe_and_keeps_to_its_width() {
    let scene = Scene::new(|token| {
        token.policies.clear();
        token.max_age = None;
    });
    let long = "a-name-that-is-as-long-as-the-server-lets-a-name-of-a-token-get-";
    scene.sandbox.with_account(|account| {
        account.tokens.push(Token::unrestricted(long, "s3cret-of-long"));
        account.tokens.push(Token::unrestricted("\x1b[31mred\nTOO\r", "s3cret-of-red"));
        account.add_host_token("narrow", "s3cret-of-narrow", &[HOST]).unwrap();
    });
    scene.write_receipt();
    for (way, arguments) in [(Way::Management, [HOST]), (Way::Management, ["--all-tokens"])] {
        let ran = scene.run(way, &arguments);
        assert_eq!(ran.code, 77, "{ran:#?}");
        assert!(!format!("{}{}", ran.out, ran.err).contains('\x1b'), "{ran:?}");
        for line in ran.out.lines() {
            let is_command = line.contains("homing token ");
            assert!(line.chars().count() <= 80 || is_command, "{line:?} in\n{}", ran.out);
        }
        let header = ran.out.lines().next().unwrap();
        let columns: Vec<_> = header.split_whitespace().collect();
        assert_eq!(columns, ["TOKEN", "VERDICT", "EXPIRES", "LAST", "USED"]);
        assert!(ran.out.contains("dev1.dyn.example.com"), "{}", ran.out);
        assert!(ran.out.contains("TOO POWERFUL"), "{}", ran.out);
        assert!(ran.out.contains("fix: homing token issue dev1.dyn.example.com\n"), "{}", ran.out);
    }
}

#[test]
fn the_json_form_has_its_fields_and_only_those() {
    let scene = Scene::new(|token| {
        token.policies.clear();
        token.name = "d\u{e9}v \u{1b}[31m\u{1f600}".to_owned();
        token.last_used = Some(now());
    });
    let report = scene.audit(Way::Management);
    assert!(report.ran.out.is_ascii() && report.ran.out.ends_with("}\n"), "{:?}", report.ran.out);
    assert_eq!(report.ran.out.lines().count(), 1);
    let token = report.token();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut fields = keys(token);
    fields.sort();
    let expect = [
        "by",
        "created",
        "expires",
        "file",
        "findings",
        "hosts",
        "id",
        "idle-end",
        "last-used",
        "max-age",
        "max-unused",
        "name",
        "networks",
        "not-visible",
        "probes",
        "rows",
        "valid",
        "verdict",
    ];
    assert_eq!(fields, expect);
    let mut fields = keys(&token["findings"][0]);
    fields.sort();
    assert_eq!(fields, ["finding", "fix", "text", "weight"]);
    assert_eq!(token["name"], "d\u{e9}v \u{1b}[31m\u{1f600}");
    assert_eq!(token["verdict"], "too-powerful");
    assert_eq!(token["id"], scene.id());
    for moment in ["expires", "last-used"] {
        let text = token[moment].as_str().unwrap();
        assert!(text.len() == 20 && text.ends_with('Z'), "{moment}: {text}");
    }
    let document: Value = serde_json::from_str(&report.ran.out).unwrap();
    assert_eq!(keys(&document), ["tokens", "version"]);
}
