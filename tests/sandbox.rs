//! The sandbox, held to what deSEC answered: the golden files over real TCP, and its own tools.
//!
//! Needs nothing but the loopback interface. What the files mean: `tests/golden/desec/README.md`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests: they fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::sandbox;
use sandbox::json::{self, Value};
use sandbox::{
    Account, Answer, Api, Credential, Delivery, Policy, Role, Sandbox, Scripted, Token, chance,
};

/// Beyond this, something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

// ---- the golden files ---------------------------------------------------------------------------

#[test]
fn the_sandbox_answers_what_desec_answered() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/desec");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    assert!(files.len() >= 9, "only {} golden files found", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        replay(&name, &fs::read_to_string(file).unwrap());
    }
}

fn replay(file: &str, text: &str) {
    let (preface, cases) = text.split_once("\n== ").expect("a golden file has cases");
    let kept = preface.lines().any(|line| line == "throttle: kept");
    let mut lab = Lab::new("lab");
    for case in cases.split("\n== ").map(Case::read) {
        let context = format!("{file}: {}", case.title);
        for line in &case.given {
            lab.prepare(line, &context);
        }
        if kept {
            // nginx refuses a second request to the update host within 33 ms.
            thread::sleep(Duration::from_millis(40));
        } else {
            lab.sandbox.flush_throttle();
        }
        let Some(at) = lab.address(&case.host) else {
            skip(&format!("{context}: no IPv6 loopback"));
            continue;
        };
        let request = with_content(&lab.filled_in(&case.request), &lab.filled_in(&case.content));
        for _ in 0..case.asked_before {
            // Far enough apart for the limits by the second.
            lab.sandbox.advance(Duration::from_millis(600));
            Client::connect(at).ask(&request);
        }
        let response = Client::connect(at).ask(&request);
        case.check(&mut lab, &response, &context);
    }
}

/// A request whose head lacks its last lines, made whole.
fn with_content(head: &str, content: &str) -> String {
    let length = content.len();
    let line = if length == 0 { String::new() } else { format!("\r\nContent-Length: {length}") };
    format!("{head}{line}\r\n\r\n{content}")
}

/// Says loudly that something is not tested here; fails where everything is to be tested.
fn skip(reason: &str) {
    assert!(std::env::var("HOMING_TESTS").as_deref() != Ok("all"), "cannot be skipped: {reason}");
    // Not `println!`, which the test harness swallows when the test succeeds.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// One account of the recordings, its sandbox, and its listener on IPv6.
struct Lab {
    /// What `{ID:name}` and `{SECRET:name}` of the story stand for here.
    bound: BTreeMap<String, String>,
    sandbox: Sandbox,
    update6: Option<SocketAddr>,
}

impl Lab {
    fn new(account: &str) -> Self {
        let mut sandbox = Sandbox::start(recorded_account(account)).unwrap();
        let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let update6 = sandbox.listen(Role::Update, loopback).ok();
        Self { bound: BTreeMap::new(), sandbox, update6 }
    }

    fn address(&self, host: &str) -> Option<SocketAddr> {
        match host {
            "api" => Some(socket_address(&self.sandbox.url())),
            "update" => Some(socket_address(&self.sandbox.update_url())),
            "update6" => self.update6,
            other => panic!("{other} is no host of a golden file"),
        }
    }

    fn prepare(&mut self, given: &str, context: &str) {
        let words: Vec<&str> = given.split(' ').collect();
        match words.as_slice() {
            ["account", name] => *self = Self::new(name),
            ["daily", "limit", limit] => {
                let limit = limit.parse().unwrap();
                self.sandbox.with_account(|account| account.history.daily_limit = limit);
            }
            ["flushed"] => self.sandbox.flush_throttle(),
            ["no", "zone", name] => self.sandbox.with_account(|account| account.remove_zone(name)),
            ["zone", name] => self.sandbox.with_account(|account| account.add_zone(name)),
            [host, kind, values @ ..] => {
                let stored = self
                    .sandbox
                    .with_account(|account| account.set_records(host, kind, values, 60));
                assert!(stored, "{context}: {host} is in no zone");
            }
            _ => panic!("{context}: `given {given}` is not understood"),
        }
    }

    /// The text with what its placeholders stand for so far.
    fn known(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (placeholder, value) in &self.bound {
            filled = filled.replace(placeholder, value);
        }
        self.sandbox.with_account(|account| {
            for token in &account.tokens {
                filled = filled.replace(&format!("{{ID:{}}}", token.name), &token.id);
                filled = filled.replace(&format!("{{{}}}", token.name), &token.secret);
            }
        });
        filled
    }

    /// Takes what stands in `actual` where `expected` has a placeholder that is new.
    fn bind(&mut self, expected: &str, actual: &str, context: &str) {
        for kind in ["{ID:", "{SECRET:"] {
            let expected = self.known(expected);
            let mut done = 0;
            while let Some(start) = expected[done..].find(kind).map(|at| done + at) {
                let end = start + expected[start..].find('}').unwrap() + 1;
                done = end;
                // `"name":"` before it, and how often that stood before.
                let before = expected[..start].strip_suffix("\":\"").expect("a member of its own");
                let lead = &expected[before.rfind('"').unwrap()..start];
                let count = expected[..start].matches(lead).count();
                let found = actual.match_indices(lead).nth(count - 1);
                let (at, _) = found.unwrap_or_else(|| panic!("{context}: {lead} in {actual}"));
                let value = actual[at + lead.len()..].split('"').next().unwrap();
                assert!(kind != "{ID:" || chance::is_uuid(value), "{context}: {value}");
                self.bound.insert(expected[start..end].to_owned(), value.to_owned());
            }
        }
    }

    /// The request with secrets for their names, and with `base64(…)` encoded.
    fn filled_in(&self, request: &str) -> String {
        let filled = self.known(request);
        let mut braces = filled.split('{').skip(1);
        let missing = braces.any(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        assert!(!missing, "a token is missing for {request}");
        let Some((before, rest)) = filled.split_once("base64(") else {
            return filled;
        };
        let (text, after) = rest.split_once(')').unwrap();
        format!("{before}{}{after}", sandbox::http::to_base64(text.as_bytes()))
    }
}

/// The accounts of the recordings. Token names are the placeholders of the golden files.
fn recorded_account(name: &str) -> Account {
    let mut account = Account::new("owner@lab.example");
    match name {
        "lab" => {
            account.public_suffixes = vec!["dedyn.lab.test".to_owned()];
            account.blocked = vec!["203.0.113.200/32".parse().unwrap()];
            account.name_servers = vec!["ns1.lab.test.".to_owned(), "ns2.lab.test.".to_owned()];
            // The number of a zone shows in a 409; number 1 was another account's.
            account.add_zone("number-one.example");
            account.remove_zone("number-one.example");
            for zone in ["example.com", "example.org", "dyn.example.net", "myhome.dedyn.lab.test"] {
                account.add_zone(zone);
            }
            let mut narrow = |name: &str, hosts: &[&str]| {
                account.add_host_token(name, &format!("secret-of-{name}"), hosts).unwrap();
            };
            narrow("APEX", &["example.com"]);
            narrow("CN", &["cn.example.com"]);
            narrow("DEV1", &["dev1.example.com"]);
            narrow("DEV12", &["dev1.example.com", "dev2.example.com"]);
            narrow("WILD", &["*.example.com"]);
            let only_a = [Policy::allow("example.com", "dev1", "A")];
            account.tokens.push(Token::restricted("AONLY", "secret-of-AONLY", only_a));
            account.tokens.push(Token::management("MGMT", "secret-of-MGMT"));
        }
        "legacy" => {
            account.api = Api::Legacy;
            let zones = ["legacy-one.example", "dev1.legacy-one.example", "legacy-two.example"];
            for zone in zones {
                account.add_zone(zone);
            }
            account.tokens.push(Token::management("MGMT", "secret-of-MGMT"));
            account.add_host_token("DEV1", "secret-of-DEV1", &["dev1.legacy-one.example"]).unwrap();
        }
        "single" => {
            account.add_zone("single.example");
            account.tokens.push(Token::unrestricted("SINGLE", "secret-of-SINGLE"));
        }
        "empty" => account.tokens.push(Token::unrestricted("EMPTY", "secret-of-EMPTY")),
        other => panic!("{other} is no recorded account"),
    }
    account
}

/// One request and what came of it.
struct Case {
    /// How often the same is asked before, without looking at the answer.
    asked_before: usize,
    body: Option<String>,
    /// What the request carries.
    content: String,
    dns: Vec<(String, String, Vec<String>)>,
    given: Vec<String>,
    headers: BTreeMap<String, String>,
    host: String,
    request: String,
    status: u16,
    title: String,
    /// Whether the list in the body may have any order.
    unordered: bool,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let title = lines.next().unwrap().to_owned();
        let (mut given, mut sent, mut answered, mut dns) = (vec![], vec![], vec![], vec![]);
        let (mut asked_before, mut unordered) = (0, false);
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("given", rest) if rest.starts_with("asked ") => {
                    asked_before = rest.split(' ').nth(1).unwrap().parse().unwrap();
                }
                ("given", rest) => given.push(rest.to_owned()),
                ("unordered", "") => unordered = true,
                (">", rest) => sent.push(rest),
                ("<", rest) => answered.push(rest),
                ("dns", rest) => {
                    let mut words = rest.split(' ').map(str::to_owned);
                    let (host, kind) = (words.next().unwrap(), words.next().unwrap());
                    dns.push((host, kind, words.filter(|value| value != "-").collect()));
                }
                _ => panic!("{title}: {line} is not understood"),
            }
        }
        let host = sent.iter().find_map(|line| line.strip_prefix("Host: ")).unwrap().to_owned();
        let (head, body) = match answered.iter().position(|line| line.is_empty()) {
            Some(empty) => (&answered[..empty], Some(answered[empty + 1..].join("\n"))),
            None => (&answered[..], None),
        };
        let (sent, content) = match sent.iter().position(|line| line.is_empty()) {
            Some(empty) => (&sent[..empty], sent[empty + 1..].join("\n")),
            None => (&sent[..], String::new()),
        };
        let headers = head[1..].iter().map(|line| line.split_once(": ").unwrap());
        Self {
            asked_before,
            body,
            content,
            dns,
            given,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            host,
            request: sent.join("\r\n"),
            status: head[0].parse().unwrap(),
            title,
            unordered,
        }
    }

    fn check(&self, lab: &mut Lab, response: &Response, context: &str) {
        assert_eq!(response.status, self.status, "{context}: {}", response.body);
        for (name, expected) in &self.headers {
            let actual = response.header(name).unwrap_or_default();
            if name == "Retry-After" {
                let seconds: u64 = actual.parse().expect("Retry-After is a number");
                assert!(seconds > 0, "{context}");
                let said = format!("available in {actual} second");
                assert!(response.body.contains(&said), "{context}: {said}: {}", response.body);
            } else {
                assert_eq!(actual, lab.known(expected), "{context}: {name}");
            }
        }
        if !self.headers.contains_key("Retry-After") {
            assert_eq!(response.header("Retry-After"), None, "{context}");
        }
        if let Some(expected) = &self.body {
            // Golden files show where a text ends, but not whether with a line end.
            let expected = expected.replace("{API}", "http://api");
            let actual = response.body.trim_matches('\n').replace(&lab.sandbox.url(), "http://api");
            lab.bind(&expected, &actual, context);
            let expected = lab.known(expected.trim_matches('\n'));
            let (mut actual, mut expected) = (comparable(&actual), comparable(&expected));
            if self.unordered {
                (actual, expected) = (sorted(&actual), sorted(&expected));
            }
            assert_eq!(actual, expected, "{context}");
        }
        for (host, kind, expected) in &self.dns {
            let (ttl, values) = dig(lab.sandbox.dns(), host, kind);
            assert_eq!(&values, expected, "{context}: {kind} of {host}");
            assert!(values.is_empty() || ttl == Some(60), "{context}: TTL {ttl:?}");
        }
    }
}

/// A list with its items in an order of ours.
fn sorted(list: &str) -> String {
    let Ok(Value::List(items)) = json::parse(list) else {
        panic!("no list: {list}");
    };
    let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.sort();
    items.join("\n")
}

/// The text without what differs from run to run: seconds to wait, moments, and ids.
fn comparable(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_inclusive([' ', '"']) {
        let inner = word.trim_end_matches([' ', '"']);
        let is_moment = inner.len() == 27 && inner.ends_with('Z') && inner.contains('T');
        let is_moment = is_moment || chance::is_uuid(inner);
        let is_seconds = words.ends_with(&["in ".to_owned()]) && inner.parse::<u32>().is_ok();
        let shown =
            if is_moment || is_seconds { word.replace(inner, "N") } else { word.to_owned() };
        words.push(shown);
    }
    words.concat()
}

// ---- what golden files cannot say ---------------------------------------------------------------

fn dev1_sandbox() -> Sandbox {
    Sandbox::start(recorded_account("lab")).unwrap()
}

fn update(address: &str) -> String {
    get(&format!(
        "/api/v1/dyndns/update?hostname=dev1.example.com&myipv4={address}&myipv6=preserve"
    ))
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Token secret-of-DEV1\r\n\r\n")
}

fn api(sandbox: &Sandbox) -> Client {
    Client::connect(socket_address(&sandbox.url()))
}

#[test]
fn two_requests_at_once_to_the_update_host_get_the_second_refused_by_nginx() {
    let sandbox = dev1_sandbox();
    let request = get("/?hostname=dev1.nowhere.example");
    // Both leave in one piece; yet on a busy machine 33 ms may pass between them.
    for _ in 0..50 {
        let mut client = Client::connect(socket_address(&sandbox.update_url()));
        client.send(&request.repeat(2));
        let (first, second) = (client.receive().unwrap(), client.receive().unwrap());
        assert_eq!(first.status, 404);
        if second.status == 429 {
            assert_eq!(second.header("Content-Type"), Some("text/html"));
            assert_eq!(second.header("Retry-After"), None);
            assert_eq!(second.body.len(), 335);
            return;
        }
        sandbox.flush_throttle();
    }
    panic!("two requests in one packet were never within 33 ms");
}

#[test]
fn the_api_host_delays_a_burst_instead() {
    let sandbox = dev1_sandbox();
    let began = Instant::now();
    let mut client = api(&sandbox);
    client.send(&get("/api/v1/dyndns/update?hostname=dev1.nowhere.example").repeat(4));
    for _ in 0..4 {
        assert_eq!(client.receive().unwrap().status, 404);
    }
    assert!(began.elapsed() >= Duration::from_millis(66), "took {:?}", began.elapsed());
}

#[test]
fn the_log_tells_who_asked_for_what_and_keeps_no_secret() {
    let sandbox = dev1_sandbox();
    let mut client = api(&sandbox);
    client.ask(&update("192.0.2.1"));
    client.ask("GET /api/v1/ HTTP/1.1\r\nHost: h\r\nAuthorization: Token unknown-secret\r\n\r\n");
    sandbox.flush_throttle();
    let address = socket_address(&sandbox.update_url());
    let query = "/nic/update?username=&password=secret-of-DEV12&note=secret-of-DEV1";
    Client::connect(address).ask(&format!("GET {query} HTTP/1.1\r\nHost: h\r\n\r\n"));

    let requests = sandbox.requests();
    let summary: Vec<_> = requests.iter().map(|r| (r.status, r.credential.clone())).collect();
    let token = |name: &str| Credential::Token(name.to_owned());
    let expected =
        [(Some(200), token("DEV1")), (Some(401), Credential::Unknown), (Some(404), token("DEV12"))];
    assert_eq!(summary, expected);
    assert_eq!(requests[0].parameter("myipv4"), Some("192.0.2.1"));
    assert_eq!(requests[0].client, requests[1].client, "one connection");
    assert_ne!(requests[1].client, requests[2].client, "another connection");
    assert_eq!(sandbox.updates().len(), 2);
    let shown: Vec<_> = requests.iter().map(|r| format!("{r} {r:?}")).collect();
    assert!(!shown.concat().contains("secret"), "{shown:?}");
}

#[test]
fn a_scripted_answer_is_sent_once_and_changes_nothing() {
    let sandbox = dev1_sandbox();
    let teapot = Answer::nginx(502).with("Retry-After", "7");
    sandbox.answer_next(Scripted::answer(teapot));
    let mut client = api(&sandbox);
    assert_eq!(client.ask(&get("/api/v1/domains/?owns_qname=dev1.example.com")).status, 200);
    let response = client.ask(&update("192.0.2.1"));
    assert_eq!((response.status, response.header("Retry-After")), (502, Some("7")));
    assert!(sandbox.records("dev1.example.com", "A").is_empty());
    assert_eq!(client.ask(&update("192.0.2.1")).status, 200);
}

#[test]
fn a_script_may_be_meant_for_another_path() {
    let sandbox = dev1_sandbox();
    sandbox.answer_next_at("/api/v1/domains/", Scripted::answer(Answer::text(500, "no")));
    let mut client = api(&sandbox);
    assert_eq!(client.ask(&update("192.0.2.1")).status, 200);
    assert_eq!(client.ask(&get("/api/v1/domains/")).status, 500);
    assert_eq!(sandbox.clear_scripts(), 0);
}

/// Makes a token of this name as the manager.
fn make_token(name: &str) -> String {
    let head = "POST /api/v1/auth/tokens/ HTTP/1.1\r\nHost: h\r\n\
                Authorization: Token secret-of-MGMT\r\nContent-Type: application/json";
    with_content(head, &format!("{{\"name\":\"{name}\"}}"))
}

fn token_names(sandbox: &Sandbox) -> Vec<String> {
    sandbox.with_account(|account| account.tokens().iter().map(|t| t.name.clone()).collect())
}

#[test]
fn a_dead_sandbox_takes_no_more_requests_until_it_is_revived() {
    for (performed_last, made) in [(false, false), (true, true)] {
        let sandbox = dev1_sandbox();
        sandbox.die_after(2, performed_last);
        let mut client = api(&sandbox);
        assert_eq!(client.ask(&make_token("first")).status, 201);
        client.send(&make_token("second"));
        assert_eq!(client.receive().is_none(), performed_last);
        assert!(token_names(&sandbox).contains(&"second".to_owned()));
        client.send(&make_token("third"));
        assert!(client.receive().is_none(), "on the old connection");
        let mut another = api(&sandbox);
        another.send(&make_token("fourth"));
        assert!(another.receive().is_none(), "on a new one");
        let names = token_names(&sandbox);
        assert!(!names.contains(&"third".to_owned()) && !names.contains(&"fourth".to_owned()));
        let requests = sandbox.requests();
        let second = &requests[1];
        assert_eq!((second.performed, second.status.is_none()), (true, made));
        assert!(requests[2..].iter().all(|later| !later.performed && later.status.is_none()));

        sandbox.revive();
        assert_eq!(api(&sandbox).ask(&make_token("fifth")).status, 201);
    }
}

#[test]
fn a_script_may_be_meant_for_the_nth_request_of_a_kind() {
    let sandbox = dev1_sandbox();
    sandbox.answer_nth(2, "POST", "/api/v1/auth/tokens/", Scripted::lost_answer());
    let mut client = api(&sandbox);
    assert_eq!(client.ask(&make_token("first")).status, 201);
    assert_eq!(client.ask(&get("/api/v1/auth/tokens/")).status, 403);
    client.send(&make_token("second"));
    assert!(client.receive().is_none());
    assert_eq!(api(&sandbox).ask(&make_token("third")).status, 201);
    assert!(token_names(&sandbox).contains(&"second".to_owned()));
    assert_eq!(sandbox.clear_scripts(), 0);
}

#[test]
fn the_log_has_bodies_and_token_ids() {
    let sandbox = dev1_sandbox();
    api(&sandbox).ask(&make_token("named after secret-of-DEV1"));
    let requests = sandbox.requests();
    assert_eq!(requests[0].body, "{\"name\":\"named after ***\"}");
    let id = sandbox.with_account(|account| account.token_by_name("MGMT").unwrap().id.clone());
    assert_eq!(requests[0].token_id, Some(id));
}

#[test]
fn the_clock_can_be_moved_forwards() {
    let sandbox = dev1_sandbox();
    let mut client = api(&sandbox);
    for status in [200, 200, 429] {
        assert_eq!(client.ask(&update("192.0.2.1")).status, status);
    }
    sandbox.advance(Duration::from_secs(120));
    assert_eq!(client.ask(&update("192.0.2.1")).status, 200);
    sandbox.with_account(|account| {
        let dev1 = account.tokens.iter_mut().find(|token| token.name == "DEV1").unwrap();
        dev1.max_unused_period = Some(Duration::from_secs(3600));
    });
    assert_eq!(client.ask(&get("/api/v1/")).status, 200);
    sandbox.advance(Duration::from_secs(3601));
    assert_eq!(client.ask(&get("/api/v1/")).status, 401);
}

#[test]
fn an_error_after_the_commit_leaves_the_change_made() {
    let sandbox = dev1_sandbox();
    sandbox.answer_next(Scripted::error_after_commit());
    let response = api(&sandbox).ask(&update("192.0.2.1"));
    assert_eq!(response.body, "Internal Server Error. We're on it!");
    assert_eq!(sandbox.records("dev1.example.com", "A"), ["192.0.2.1"]);
}

#[test]
fn an_answer_can_be_lost_before_or_after_the_change() {
    for (script, made) in [(Scripted::lost_answer(), true), (Scripted::dropped(), false)] {
        let sandbox = dev1_sandbox();
        sandbox.answer_next(script);
        let mut client = api(&sandbox);
        client.send(&update("192.0.2.1"));
        assert!(client.receive().is_none());
        assert_eq!(sandbox.updates()[0].status, None);
        assert_eq!(!sandbox.records("dev1.example.com", "A").is_empty(), made);
    }
}

#[test]
fn an_answer_can_be_cut_in_the_middle() {
    let sandbox = dev1_sandbox();
    sandbox.answer_next(Scripted::genuine().delivered(Delivery::Cut(20)));
    let mut client = api(&sandbox);
    client.send(&update("192.0.2.1"));
    let mut rest = String::new();
    client.stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "HTTP/1.1 200 OK\r\nSer");
}

#[test]
fn an_answer_can_be_late_and_drip() {
    let sandbox = dev1_sandbox();
    let delay = Duration::from_millis(80);
    let drip = Delivery::Drip(Duration::from_millis(1));
    sandbox.answer_next(Scripted::genuine().after(delay).delivered(drip));
    let began = Instant::now();
    assert_eq!(api(&sandbox).ask(&update("192.0.2.1")).body, "good");
    assert!(began.elapsed() > delay + Duration::from_millis(100), "{:?}", began.elapsed());
}

#[test]
fn a_body_can_go_on_for_ever_until_the_client_or_the_sandbox_ends_it() {
    let sandbox = dev1_sandbox();
    sandbox.answer_next(Scripted::genuine().delivered(Delivery::Endless));
    let mut client = api(&sandbox);
    client.send(&update("192.0.2.1"));
    let mut some = [0; 2000];
    client.stream.read_exact(&mut some).unwrap();
    drop(sandbox);
    let mut rest = Vec::new();
    // Cut off somewhere in a chunk; a reset is as good as an end.
    let _ = client.stream.read_to_end(&mut rest);
}

#[test]
fn a_dropped_sandbox_leaves_its_port_to_the_next() {
    let sandbox = dev1_sandbox();
    let at = socket_address(&sandbox.url());
    let mut open = Client::connect(at);
    open.ask(&update("192.0.2.1"));
    drop(sandbox);
    open.send(&update("192.0.2.1"));
    assert!(open.receive().is_none(), "the old connection is closed");
    let mut next = Sandbox::unbound(recorded_account("lab"));
    assert_eq!(next.listen(Role::Api, at).unwrap(), at);
    assert_eq!(Client::connect(at).ask(&update("192.0.2.1")).status, 200);
}

#[test]
fn the_account_can_change_while_the_sandbox_runs() {
    let sandbox = dev1_sandbox();
    let mut client = api(&sandbox);
    let changed = get("/api/v1/dyndns/update?hostname=new.example.net&myip=preserve");
    assert_eq!(client.ask(&changed).status, 404);
    sandbox.with_account(|account| account.add_zone("example.net"));
    assert_eq!(client.ask(&changed).status, 200);
    sandbox.with_account(|account| account.tokens.retain(|token| token.name != "DEV1"));
    assert_eq!(client.ask(&changed).status, 401);
}

#[test]
fn a_waiting_reader_of_the_log_is_woken_by_the_next_request() {
    let sandbox = dev1_sandbox();
    assert!(sandbox.requests_from(0, Duration::from_millis(1)).is_empty());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.requests_from(0, PATIENCE));
        api(&sandbox).ask(&update("192.0.2.1"));
        assert_eq!(waiting.join().unwrap().len(), 1);
    });
}

#[test]
fn clients_learn_their_own_address_without_being_counted() {
    let sandbox = dev1_sandbox();
    for _ in 0..10 {
        assert_eq!(api(&sandbox).ask(&get("/ip")).body, "127.0.0.1");
        let mut client = Client::connect(socket_address(&sandbox.update_url()));
        let response = client.ask(&get("/nic/checkip.html"));
        assert_eq!((response.status, response.body.as_str()), (200, "127.0.0.1"));
    }
    assert!(sandbox.updates().is_empty());
    let mut client = Client::connect(socket_address(&sandbox.update_url()));
    assert_eq!(client.ask(&get("/favicon.ico")).status, 401);
}

#[test]
fn without_throttle_any_number_of_updates_goes_through() {
    let mut account = recorded_account("lab");
    account.throttled = false;
    let sandbox = Sandbox::start(account).unwrap();
    let mut client = Client::connect(socket_address(&sandbox.update_url()));
    for last in 0..40 {
        assert_eq!(client.ask(&update(&format!("192.0.2.{last}"))).status, 200);
    }
}

#[test]
fn the_name_server_tells_a_missing_name_from_a_missing_record() {
    let sandbox = dev1_sandbox();
    api(&sandbox).ask(&update("192.0.2.1"));
    let query = |host: &str, kind: u16| dns_exchange(sandbox.dns(), host, kind);
    let code_and_counts = |message: Vec<u8>| (message[3] & 0x0F, message[7], message[9]);
    assert_eq!(code_and_counts(query("dev1.example.com", 1)), (0, 1, 0));
    assert_eq!(code_and_counts(query("dev1.example.com", 28)), (0, 0, 1));
    assert_eq!(code_and_counts(query("dev9.example.com", 1)), (3, 0, 1));
    assert_eq!(code_and_counts(query("example.com", 2)), (0, 2, 0));
    assert_eq!(dig(sandbox.dns(), "dev1.example.com", "A"), (Some(60), vec!["192.0.2.1".into()]));
}

// ---- a client as plain as can be ----------------------------------------------------------------

struct Client {
    /// Whether the last request was one whose answer has no body.
    heads_only: bool,
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Response {
    body: String,
    headers: Vec<(String, String)>,
    status: u16,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { heads_only: false, stream: BufReader::new(stream) }
    }

    fn ask(&mut self, request: &str) -> Response {
        self.send(request);
        self.receive().expect("an answer")
    }

    fn send(&mut self, request: &str) {
        // The connection may be closed by now; that shows when the answer is read.
        let _ = self.stream.get_mut().write_all(request.as_bytes());
        self.heads_only = request.starts_with("HEAD ");
    }

    /// The next answer, or `None` if the connection ends before it begins.
    fn receive(&mut self) -> Option<Response> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut response = Response { body: String::new(), headers, status };
        let length: u64 = response.header("Content-Length").unwrap().parse().unwrap();
        if !self.heads_only {
            let mut body = (&mut self.stream).take(length);
            body.read_to_string(&mut response.body).unwrap();
        }
        Some(response)
    }
}

fn socket_address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Addresses and TTL of one record set, as `dig +short` would show them, sorted as text.
fn dig(server: SocketAddr, host: &str, kind: &str) -> (Option<u32>, Vec<String>) {
    let number = if kind == "A" { 1 } else { 28 };
    let message = dns_exchange(server, host, number);
    let mut rest = &message[12 + host.len() + 2 + 4..];
    let (mut ttl, mut values) = (None, Vec::new());
    for _ in 0..message[7] {
        let length = usize::from(rest[11]);
        ttl = Some(u32::from_be_bytes(rest[6..10].try_into().unwrap()));
        let content = &rest[12..12 + length];
        values.push(match length {
            4 => IpAddr::from(<[u8; 4]>::try_from(content).unwrap()).to_string(),
            _ => IpAddr::from(<[u8; 16]>::try_from(content).unwrap()).to_string(),
        });
        rest = &rest[12 + length..];
    }
    values.sort();
    (ttl, values)
}

fn dns_exchange(server: SocketAddr, host: &str, kind: u16) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut query = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    socket.send_to(&query, server).unwrap();
    let mut answer = vec![0; 512];
    let length = socket.recv(&mut answer).unwrap();
    answer.truncate(length);
    answer
}
