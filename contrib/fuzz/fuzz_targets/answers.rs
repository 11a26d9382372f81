//! Answers of each protocol that is code: never a success that they do not tell exactly.
#![no_main]

use std::net::IpAddr;

use homing::core::address::Family;
use homing::core::name::Hostname;
use homing::core::outcome::Outcome;
use homing::core::plan::{Details, Wish};
use homing::core::protocol::manners::Protocol;
use homing::core::protocol::step::{Heard, Step, ZoneAnswer};
use homing::core::protocol::talk::{Job, ZoneJob, ZoneTalk};
use homing::core::protocol::{Answer, Credential, Verdict, draft, hosts_file, rfc2136};
use homing::core::provider::Provider;
use homing::core::secret::Secret;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use homing_fuzz::example::{MARK, NOW, PAGE, converse, is_success, moment, request, wishes, words};
use libfuzzer_sys::fuzz_target;

const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";
/// What answers are made of, beside the fuzzer's own bytes.
const WORDS: [&str; 34] = [
    "good",
    "nochg",
    "badauth",
    "nohost",
    "numhost",
    "abuse",
    "911",
    "dnserr",
    "w30m",
    "!yours",
    "!donator",
    "notfqdn",
    "badagent",
    " ",
    "\n",
    "\r\n",
    ",",
    V4,
    V6,
    "198.51.100.9",
    "Good",
    "good.",
    "[]",
    "[{\"name\":\"example.com\"}]",
    "{\"error\":\"x\"}",
    "Unauthorized",
    "Not Found",
    "\u{a0}",
    "\0",
    "<html>",
    PAGE,
    "DOMAIN",
    "RECORD",
    "OTHER",
];

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let protocol = bytes.one_of(&Protocol::ALL);
    if protocol == Protocol::HostsFile {
        return check_hosts_file(&mut bytes);
    }
    let count = 1 + usize::from(bytes.byte() % 3);
    let addresses: Vec<IpAddr> = match bytes.byte() % 3 {
        0 => vec![V4.parse().expect("an address")],
        1 => vec![V6.parse().expect("an address")],
        _ => [V4, V6].map(|text| text.parse().expect("an address")).to_vec(),
    };
    let answers: Vec<Answer> = (0..8).map_while(|_| answer(&mut bytes)).collect();
    check(protocol, count, &addresses, &answers);
}));

fn answer(bytes: &mut Bytes<'_>) -> Option<Answer> {
    if bytes.0.is_empty() {
        return None;
    }
    let statuses =
        [200, 204, 201, 301, 400, 401, 403, 404, 406, 422, 429, 500, bytes.word() % 1000];
    let status = bytes.one_of(&statuses);
    let kind =
        bytes.one_of(&[None, Some("text/plain"), Some("text/html"), Some("application/xml")]);
    let how = bytes.byte();
    let body = if how & 1 == 0 {
        bytes.short().to_vec()
    } else {
        let words = (0..how >> 1 & 15).map(|_| part(bytes.one_of(&WORDS)));
        words.collect::<String>().into_bytes()
    };
    let challenges = how & 0x80 != 0;
    Some(Answer {
        status,
        content_type: kind.map(str::to_owned),
        challenges,
        body,
        ..Answer::default()
    })
}

/// The text of a word; the three in capitals are parts of what PowerDNS on Rails shows.
fn part(word: &str) -> String {
    let record = |name: &str, content: &str| {
        format!(
            "<record><id type=\"integer\">7</id><name>{name}</name><type>A</type>\
             <content>{content}</content><ttl>60</ttl></record>"
        )
    };
    let name = "a.example.com";
    match word {
        "DOMAIN" => format!(
            "<?xml version=\"1.0\"?><domain><id type=\"integer\">3</id><name>example.com</name>\
             <records type=\"array\">{}</records></domain>",
            record(name, V4)
        ),
        "RECORD" => record(name, V4),
        "OTHER" => format!(
            "<?xml version=\"1.0\"?><domain><id type=\"integer\">3</id><name>example.com</name>\
             <records type=\"array\">{}</records></domain>",
            record(name, "192.0.2.77")
        ),
        word => word.to_owned(),
    }
}

fn provider(protocol: Protocol) -> Provider {
    let server = "https://dns.example.net".into();
    Provider {
        update_url: Some(format!("{server}/update").into()),
        api_url: Some(server),
        name_server: Some((IpAddr::from([192, 0, 2, 53]), rfc2136::PORT).into()),
        ..protocol.defaults("example".into())
    }
}

fn check(protocol: Protocol, count: usize, addresses: &[IpAddr], answers: &[Answer]) {
    let provider = provider(protocol);
    let names = ["a.example.com", "b.example.com", "c.example.com"];
    let hosts: Vec<Hostname> =
        names[..count].iter().map(|name| name.parse().expect("it is a host name")).collect();
    let zone: Hostname = "example.com".parse().expect("it is a host name");
    let wishes = wishes(addresses);
    let details = Details::default();
    let request = request(&hosts, Some(zone), &wishes, &details);
    let secret = Secret::new(&format!("{MARK}0123456789abcdef0123456789abcdef01"));
    let credential = Credential { login: "me".to_owned(), secret };
    let job =
        Job { provider: &provider, credential: &credential, request: &request, moment: moment() };
    assert!(draft::of_update(&job).iter().all(|draft| !draft.contains(MARK)));
    let (verdict, told) = converse(&job, &|at| answers.get(at).cloned());
    let outcomes = verdict.outcomes();
    assert!(matches!(verdict, Verdict::All(_) | Verdict::NoLists(_)) || outcomes.len() == count);
    for (place, outcome) in outcomes.iter().enumerate() {
        assert!(!words(outcome).contains(['\n', '\r']), "{outcome:?}");
        if is_success(outcome) {
            let last = told.answers.last().expect("no success without an answer");
            assert_eq!(told.answers.len(), told.asked.len(), "no success without the last answer");
            check_success(protocol, outcome, last, place, count, addresses);
        }
    }
    // Behind a page that stands in the way, nothing is right.
    let page = |at: usize| {
        let status = answers.get(at).map_or(200, |answer| answer.status);
        let body = PAGE.as_bytes().to_vec();
        Some(Answer { status, body, ..Answer::default() })
    };
    let (verdict, told) = converse(&job, &page);
    // 204 has no body; the client drops what comes with it.
    if told.answers.iter().all(|answer| answer.status != 204) {
        assert!(!verdict.outcomes().iter().any(is_success), "{verdict:?} behind a page");
    }
    check_zone(&provider, &credential, &hosts[0], answers);
}

fn check_success(
    protocol: Protocol,
    outcome: &Outcome,
    last: &Answer,
    place: usize,
    count: usize,
    addresses: &[IpAddr],
) {
    let body = String::from_utf8_lossy(&last.body).into_owned();
    match protocol {
        Protocol::Desec => assert_eq!((last.status, body.trim()), (200, "good")),
        Protocol::PowerDns => assert_eq!(last.status, 204),
        Protocol::Dyndns2 => {
            assert_eq!(last.status, 200);
            assert!(!last.is_page() && std::str::from_utf8(&last.body).is_ok());
            let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
            let all: Vec<&str> = lines.collect();
            let of_host = if count == 1 { &all[..] } else { &all[place..=place] };
            for line in of_host {
                let mut said = line.split([' ', ',', '\t', '\x0c']).filter(|it| !it.is_empty());
                let word = said.next().unwrap_or_default();
                assert!(matches!(word, "good" | "nochg"), "{outcome:?} from {body:?}");
                let is_sent = |text: &str| addresses.iter().any(|it| text.parse() == Ok(*it));
                assert!(said.all(is_sent), "{outcome:?} from {body:?}");
            }
        }
        Protocol::Rails => {
            let v4 = addresses.iter().filter(|address| address.is_ipv4());
            let mut missing = v4.filter(|address| !body.contains(&address.to_string()));
            assert_eq!(missing.next(), None, "{outcome:?} from {body:?}");
        }
        Protocol::HostsFile | Protocol::Http | Protocol::Rfc2136 => {
            panic!("{outcome:?} from nothing")
        }
    }
}

fn check_zone(provider: &Provider, credential: &Credential, host: &Hostname, answers: &[Answer]) {
    let details = &Details::default();
    let job = ZoneJob { provider, credential, host, zone: None, details, moment: moment() };
    let (mut talk, step) = ZoneTalk::begin(&job);
    let (Step::Ask(_), Some(answer)) = (step, answers.first()) else { return };
    if let Step::Done(ZoneAnswer::Zone(zone, _)) = talk.hear(Ok(Heard::Answer(answer.clone()))) {
        assert!(host.is_within(&zone) && answer.status == 200);
        let body = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(body.contains('\\') || body.contains(zone.as_str()), "{zone} is not in {body}");
    }
}

/// A hosts file: our lines are those that were wished for, and every other line stays.
fn check_hosts_file(bytes: &mut Bytes<'_>) {
    let how = bytes.byte();
    let host: Hostname = "a.example.com".parse().expect("it is a host name");
    let mut addresses: Vec<IpAddr> = Vec::new();
    addresses.extend((how & 1 == 1).then(|| V4.parse::<IpAddr>().expect("an address")));
    addresses.extend((how & 2 == 2).then(|| V6.parse::<IpAddr>().expect("an address")));
    let text = bytes.text();
    let wishes = wishes(&addresses);
    let request = request(std::slice::from_ref(&host), None, &wishes, &Details::default());
    assert_eq!(request.at, NOW);
    let updated = hosts_file::updated(&text, &request.updates);
    let set = hosts_file::set(&updated, &host);
    let before = hosts_file::set(&text, &host);
    for family in Family::BOTH {
        match &wishes[family] {
            Wish::Set(addresses) => assert_eq!(set[family].as_ref(), Some(addresses)),
            Wish::Leave => assert_eq!(set[family], before[family]),
            Wish::Remove => assert_eq!(set[family], None),
        }
    }
    let again = hosts_file::updated(&updated, &request.updates);
    assert_eq!(
        hosts_file::updated(&again, &request.updates),
        again,
        "a second time changes nothing"
    );
    let ours = |line: &&str| !line.trim_end().ends_with("# homing");
    let line = |line: &str| line.trim_end_matches('\r').to_owned();
    let foreign = |text: &str| text.lines().filter(ours).map(line).collect::<Vec<_>>();
    assert_eq!(foreign(&updated), foreign(&text), "a foreign line was changed");
}
