//! Each built-in provider that is described by data, against recorded or documented exchanges: what
//! Homing sends to the letter, and what it makes of each answer.
//!
//! One file for each provider is in `tests/exchanges/`; its first lines say where the answers come
//! from. `HOMING_WRITE_EXCHANGES=1` writes the requests of today's code into the files, and still
//! fails where a result is another one.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use homing::core::address::{Addresses, Family, PerFamily};
use homing::core::built_in;
use homing::core::feature::Feature;
use homing::core::memory::ZoneKey;
use homing::core::name::Hostname;
use homing::core::outcome::{Outcome, Silence};
use homing::core::plan::{Details, Request, TakeOver, Update, Wish};
use homing::core::protocol::draft;
#[cfg(feature = "tokens")]
use homing::core::protocol::http::power_talk::PowerTalk;
use homing::core::protocol::http::scene::Session;
use homing::core::protocol::step::{Ask, Heard, Moment, Step, ZoneAnswer};
use homing::core::protocol::talk::{Job, Talk, ZoneJob, ZoneTalk};
use homing::core::protocol::{Answer, Body, Credential, HttpRequest, Verdict};
use homing::core::provider::Provider;
use homing::core::secret::Secret;
use homing::core::time::Timestamp;

/// The cases that every file has.
const NEEDED: [&str; 6] =
    ["success", "unchanged", "refused credential", "unknown host", "throttled", "nonsense"];

/// The cases of a provider whose entry has powers.
const OF_POWERS: [&str; 2] = ["powers of a broad credential", "powers of a narrow credential"];

/// The settings at the top of a file.
#[derive(Default)]
struct Setup {
    host: String,
    zone: Option<String>,
    zone_id: Option<String>,
    login: String,
    secret: String,
    ttl: Option<u32>,
    take_over: TakeOver,
    options: Vec<(String, String)>,
}

/// A part of a case.
enum Part {
    Setting(String, String),
    Asked(String),
    Answered(String, Answer),
    Result(String),
}

struct Case {
    name: String,
    parts: Vec<Part>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges")
}

fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'.'));
    is_key.then_some((key, value))
}

/// Whether this build speaks to `provider`; each is spoken to by one of the builds that are tested.
fn is_here(provider: &Provider) -> bool {
    provider.manners().feature.is_none_or(Feature::is_here)
}

/// Reads a file: its head, and its cases.
fn read(text: &str) -> (String, Setup, Vec<Case>) {
    let (mut head, mut setup, mut cases) = (String::new(), Setup::default(), Vec::<Case>::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next_if(|line| !line.starts_with("== ")) {
        head.push_str(line);
        head.push('\n');
        set(&mut setup, line);
    }
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.to_owned(), parts: Vec::new() });
            continue;
        }
        let case = cases.last_mut().unwrap();
        let begins =
            |line: &&str| ["> ", "< ", "= ", "== "].iter().any(|sign| line.starts_with(sign));
        let mut body = |first: &str| {
            let mut body = first.to_owned();
            while let Some(line) = lines.next_if(|line| !begins(line)) {
                body.push('\n');
                body.push_str(line);
            }
            body.trim_end_matches('\n').to_owned()
        };
        if line.starts_with("> ") {
            let mut asked = body(line);
            while let Some(header) = lines.next_if(|line| line.starts_with("> ")) {
                let mut rest = header.to_owned();
                while let Some(line) = lines.next_if(|line| !begins(line)) {
                    rest.push('\n');
                    rest.push_str(line);
                }
                asked = format!("{asked}\n{}", rest.trim_end_matches('\n'));
            }
            case.parts.push(Part::Asked(asked));
        } else if line.starts_with("< ") {
            let text = body("");
            let text = text.strip_prefix('\n').unwrap_or(&text).to_owned();
            case.parts.push(Part::Answered(format!("{line}\n{text}"), answer(line, &text)));
        } else if let Some(result) = line.strip_prefix("= ") {
            case.parts.push(Part::Result(result.to_owned()));
        } else if let Some((key, value)) = setting(line) {
            case.parts.push(Part::Setting(key.to_owned(), value.to_owned()));
        } else {
            assert!(line.is_empty(), "a line that means nothing: {line}");
        }
    }
    (head, setup, cases)
}

fn set(setup: &mut Setup, line: &str) {
    let Some((key, value)) = setting(line) else { return };
    match key {
        "host" => value.clone_into(&mut setup.host),
        "zone" => setup.zone = Some(value.to_owned()),
        "zone-id" => setup.zone_id = Some(value.to_owned()),
        "login" => value.clone_into(&mut setup.login),
        "secret" => setup.secret = secret(value),
        "ttl" => setup.ttl = Some(value.parse().unwrap()),
        "take-over" => {
            setup.take_over =
                if value == "true" { TakeOver::Everything } else { TakeOver::Nothing };
        }
        _ => {
            let option = key.strip_prefix("option.").unwrap_or_else(|| panic!("no setting: {key}"));
            setup.options.push((option.to_owned(), value.to_owned()));
        }
    }
}

/// The secret that `value` names: the RSA key that RFC 7515 publishes, alone or in the file of a service
/// account; every other value is the secret.
fn secret(value: &str) -> String {
    let path = "src/core/protocol/http/sign/published.pem";
    let key = || fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    match value.strip_prefix("the published key") {
        Some("") => key(),
        Some(of) => {
            let email = of.strip_prefix(" of ").unwrap();
            let file = serde_json::json!({
                "type": "service_account",
                "client_email": email,
                "private_key_id": "0123456789abcdef",
                "private_key": key(),
            });
            file.to_string()
        }
        None => value.to_owned(),
    }
}

/// An answer from its first line, `< STATUS TYPE NAME: VALUE …`, and its body.
fn answer(line: &str, body: &str) -> Answer {
    let words: Vec<_> = line.split(' ').collect();
    let status = words[1].parse().unwrap();
    let kind = words.get(2).map(|kind| kind.split(';').next().unwrap().to_lowercase());
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).map(ToString::to_string)
    };
    let retry_after = after("retry-after:").map(|it| Duration::from_secs(it.parse().unwrap()));
    let cookies = after("set-cookie:").map(|cookie| Secret::new(&cookie));
    Answer {
        status,
        content_type: kind.filter(|kind| kind != "-"),
        retry_after,
        next: after("link:"),
        cookies: cookies.into_iter().collect(),
        body: body.as_bytes().to_vec(),
        ..Answer::default()
    }
}

/// A request in the form of the files.
fn in_words(request: &HttpRequest) -> String {
    let mut text = format!("> {} {}", request.method.as_str(), request.url.expose());
    for (name, value) in &request.headers {
        write!(text, "\n> {name}: {}", value.expose()).unwrap();
    }
    if let Some(via) = request.via {
        write!(text, "\n> (over {via} alone)").unwrap();
    }
    if let Some((_, body)) = request.body.as_ref().map(Body::parts) {
        write!(text, "\n{}", body.expose()).unwrap();
    }
    // No secret is shown with it.
    assert!(!format!("{request:?}").contains("s3cret"), "{request:?}");
    text
}

fn wishes(case: &Case) -> PerFamily<Wish> {
    let mut wishes = PerFamily::<Wish>::default();
    for part in &case.parts {
        let Part::Setting(key, value) = part else { continue };
        match &**key {
            "set" => {
                let all = value.split([',', ' ']).map(|text| text.parse::<IpAddr>().unwrap());
                let all: Vec<_> = all.collect();
                for family in Family::BOTH {
                    let of = all.iter().copied().filter(|it| Family::of(*it) == family);
                    if let Some(addresses) = Addresses::new(of) {
                        wishes[family] = Wish::Set(addresses);
                    }
                }
            }
            "remove" => {
                let family = if value == "A" { Family::V4 } else { Family::V6 };
                wishes[family] = Wish::Remove;
            }
            _ => {}
        }
    }
    wishes
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Updated => "updated".into(),
        Outcome::Unchanged => "unchanged".into(),
        Outcome::Deferred(deferral) => deferral.fault.word().into(),
        Outcome::Rejected(refusal) => format!("rejected {}", refusal.rejection.word()),
    }
}

/// Walks through one case; returns its text with today's requests, and what is wrong.
fn walk(provider: &Provider, setup: &Setup, case: &Case) -> (String, Vec<String>) {
    let details = |case: &Case| {
        let mut own = PerFamily::<Vec<IpAddr>>::default();
        let mut details = Details {
            own: own.clone(),
            take_over: setup.take_over,
            options: setup.options.clone(),
            ttl: setup.ttl,
            zone_id: setup.zone_id.clone(),
            is_unconfirmed: PerFamily::default(),
        };
        for part in &case.parts {
            match part {
                Part::Setting(key, value) if key == "ours" => {
                    let all = value.split([',', ' ']).map(|text| text.parse::<IpAddr>().unwrap());
                    all.for_each(|address| own[Family::of(address)].push(address));
                }
                Part::Setting(key, value) if key == "unconfirmed" => {
                    let family = if value == "A" { Family::V4 } else { Family::V6 };
                    details.is_unconfirmed[family] = true;
                }
                Part::Setting(key, value) if key == "take-over" => {
                    details.take_over =
                        if value == "true" { TakeOver::Everything } else { TakeOver::Nothing };
                }
                Part::Setting(key, value) if key == "ttl" => {
                    details.ttl = Some(value.parse().unwrap());
                }
                Part::Setting(key, value) if key.starts_with("option.") => {
                    details.options.push((key["option.".len()..].to_owned(), value.clone()));
                }
                _ => {}
            }
        }
        Details { own, ..details }
    };
    let details = details(case);
    let now = Timestamp::from_secs(1_790_000_000);
    let moment = Moment { now, clock_is_set: true, nonce: 7 };
    let credential = Credential { login: setup.login.clone(), secret: Secret::new(&setup.secret) };
    let zone: Option<Hostname> = setup.zone.as_ref().map(|zone| zone.parse().unwrap());
    let host: Hostname = setup.host.parse().unwrap();
    let is_search =
        case.parts.iter().any(|part| matches!(part, Part::Setting(key, _) if key == "find"));
    let update = Update { host: host.clone(), wishes: wishes(case) };
    let request = Request {
        hosts: vec![0],
        updates: vec![update],
        ttl: details.ttl,
        conditions: Vec::new(),
        details: vec![details.clone()],
        is_anew: false,
        zone: ZoneKey {
            provider: provider.name.as_ref().into(),
            zone: zone.clone().or(provider.zone.clone()),
        },
        counts: Vec::new(),
        at: now,
    };
    let is_of_powers = |part: &Part| matches!(part, Part::Setting(key, _) if key == "powers");
    let (text, problems) = if case.parts.iter().any(is_of_powers) {
        let session = Session::new(provider, provider.http.as_ref().unwrap(), &credential, moment);
        powers(case, session, &[&host], &details, zone.as_ref())
    } else if is_search {
        let (credential, details) = (&credential, &details);
        let job = ZoneJob { provider, credential, host: &host, zone: None, details, moment };
        let (mut talk, step) = ZoneTalk::begin(&job);
        hold(
            case,
            &draft::of_zone(&job),
            step,
            |heard| talk.hear(heard),
            |answer| match answer {
                ZoneAnswer::Zone(zone, None) => format!("zone {zone}"),
                ZoneAnswer::Zone(zone, Some(id)) => format!("zone {zone} {id}"),
                ZoneAnswer::NoZone => "no zone".into(),
                ZoneAnswer::Silent => "silent".into(),
                ZoneAnswer::Outcome(it) => outcome(it),
            },
        )
    } else {
        let job = Job { provider, credential: &credential, request: &request, moment };
        let drafts = draft::of_update(&job);
        assert!(drafts.iter().all(|draft| !draft.contains("s3cret")), "{drafts:?}");
        let (mut talk, step) = Talk::begin(&job);
        hold(
            case,
            &drafts,
            step,
            |heard| talk.hear(heard),
            |verdict| match verdict {
                Verdict::All(it) => outcome(it),
                other => format!("{other:?}"),
            },
        )
    };
    (text, problems)
}

/// Walks through a case about the powers of a credential.
#[cfg(feature = "tokens")]
fn powers<'a>(
    case: &Case,
    session: Session<'a>,
    hosts: &'a [&'a Hostname],
    details: &'a Details,
    zone: Option<&'a Hostname>,
) -> (String, Vec<String>) {
    let (mut talk, step) = PowerTalk::begin(session, hosts, details, zone);
    hold(
        case,
        &[],
        step,
        |heard| talk.hear(heard),
        |report| {
            assert!(!format!("{report:?}").contains("s3cret"), "{report:?}");
            let mut words: Vec<String> = Vec::new();
            words.extend(report.found.iter().map(|it| {
                let mark = if it.is_narrowest { " (the narrowest, too)" } else { "" };
                format!("{}{mark}", it.what)
            }));
            words.extend(report.untold.iter().map(|(what, why)| format!("unknown: {what}: {why}")));
            words.extend(report.end.iter().map(|end| format!("ends {end}")));
            words.extend(report.is_refused.then(|| "the credential is refused".to_owned()));
            words.extend(report.broken_off.as_ref().map(outcome));
            if words.is_empty() { "nothing".into() } else { words.join("; ") }
        },
    )
}

/// A build without tokens has no powers, and says nothing about them.
#[cfg(not(feature = "tokens"))]
fn powers(
    case: &Case,
    _: Session<'_>,
    _: &[&Hostname],
    _: &Details,
    _: Option<&Hostname>,
) -> (String, Vec<String>) {
    (case.name.clone(), Vec::new())
}

/// Whether `draft` is of `request`; `<name>` in it is for what an answer brings.
fn is_of(draft: &str, request: &HttpRequest) -> bool {
    let asked = request.to_string();
    let mut rest = &asked[..];
    let (_, draft) = draft.split_once(": ").unwrap();
    let mut parts = draft.split('<').enumerate();
    // A signature's nonce is another one for each request.
    asked.contains("SignatureNonce=")
        || parts.all(|(at, part)| {
            let unknown =
                part.split_once('>').filter(|(name, _)| at > 0 && !name.contains(['"', ' ']));
            let fixed = unknown.map_or(part, |(_, fixed)| fixed);
            let found =
                if at == 0 { rest.starts_with(fixed).then_some(0) } else { rest.find(fixed) };
            rest = found.map_or("", |found| &rest[found + fixed.len()..]);
            found.is_some()
        })
}

fn hold<T>(
    case: &Case,
    drafts: &[String],
    step: Step<T>,
    mut hear: impl FnMut(Result<Heard, Silence>) -> Step<T>,
    result: impl Fn(&T) -> String,
) -> (String, Vec<String>) {
    let (mut text, mut problems) = (format!("== {}\n", case.name), Vec::new());
    let mut step = step;
    for part in &case.parts {
        match part {
            Part::Setting(key, value) => writeln!(text, "{key} = {value}").unwrap(),
            Part::Asked(expect) => match &step {
                Step::Ask(Ask::Http(request)) => {
                    let asked = in_words(request);
                    if asked != *expect {
                        problems.push(format!("asks\n{asked}\nin place of\n{expect}"));
                    }
                    if case.name == "success" && !drafts.iter().any(|draft| is_of(draft, request)) {
                        problems.push(format!("no draft of\n{request}\nin {drafts:#?}"));
                    }
                    writeln!(text, "{asked}").unwrap();
                }
                Step::Ask(_) => problems.push("asks in another way".into()),
                Step::Done(done) => {
                    problems.push(format!("is over ({}) before\n{expect}", result(done)));
                    return (text, problems);
                }
            },
            Part::Answered(words, answer) => {
                writeln!(text, "{}", words.trim_end()).unwrap();
                step = hear(Ok(Heard::Answer(answer.clone())));
            }
            Part::Result(expect) => {
                let found = match &step {
                    Step::Done(done) => result(done),
                    Step::Ask(Ask::Http(request)) => format!("asks\n{}", in_words(request)),
                    Step::Ask(_) => "asks in another way".into(),
                };
                if found != *expect {
                    problems.push(format!("RESULT {found}\nin place of {expect}"));
                }
                writeln!(text, "= {expect}").unwrap();
            }
        }
    }
    (text, problems)
}

#[test]
fn every_provider_does_what_its_exchanges_say() {
    let writes = env::var_os("HOMING_WRITE_EXCHANGES").is_some();
    let mut problems = Vec::new();
    let mut count = 0;
    for provider in built_in::all().filter(|provider| provider.http.is_some() && is_here(provider))
    {
        let path = directory().join(format!("{}.txt", provider.name));
        let Ok(text) = fs::read_to_string(&path) else {
            problems.push(format!("{}: there is no file of exchanges", provider.name));
            continue;
        };
        let (head, setup, cases) = read(&text);
        assert!(head.contains("# source: "), "{}: no source", provider.name);
        let mut written = head.trim_end().to_owned() + "\n";
        for case in &cases {
            let (case_text, wrong) = walk(&provider, &setup, case);
            written += &format!("\n{}", case_text.trim_end());
            written.push('\n');
            let wrong = wrong.into_iter().filter(|it| !writes || !it.starts_with("asks\n"));
            problems.extend(wrong.map(|it| format!("{}, {}: {it}", provider.name, case.name)));
            count += 1;
        }
        let has_powers = provider.http.as_ref().is_some_and(|entry| !entry.powers.is_empty());
        for needed in NEEDED.into_iter().chain(OF_POWERS.into_iter().filter(|_| has_powers)) {
            if !cases.iter().any(|case| case.name == needed) {
                problems.push(format!("{}: there is no case {needed}", provider.name));
            }
        }
        // What is over too early has lost the rest of its case.
        let is_whole = !problems.iter().any(|it| it.contains("is over"));
        if writes && is_whole {
            fs::write(&path, written).unwrap();
        }
    }
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn every_file_of_exchanges_is_of_a_provider() {
    for entry in fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let provider = built_in::named(name.strip_suffix(".txt").unwrap());
        assert!(provider.is_some_and(|provider| provider.http.is_some()), "{name}");
    }
}
