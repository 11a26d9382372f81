//! What `-v`, `-vv` and `--dry-run -v` show of the requests, and that no secret is ever in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{home, sandbox};
use home::{DEV1, Home, Ran, Signal};
use sandbox::{Account, Sandbox};

const SECRET: &str = "s3cret-of-dev1";
const HERE: &str =
    "[source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n";
const HOST: &str = "[[host]]\nname = \"dev1.example.com\"\nprovider = \"p\"\nipv4 = \"here\"\n";

/// A service on loopback that answers each request line as `answer` says, with a status and a body.
struct Service {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(answer: fn(&str) -> (u16, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let (mut first, mut length) = (String::new(), 0);
                if reader.read_line(&mut first).unwrap() == 0 {
                    continue;
                }
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let asked = first.trim().trim_end_matches(" HTTP/1.1").to_owned();
                let (status, text) = answer(&asked);
                noted.lock().unwrap().push(asked);
                let length = text.len();
                let head = "Content-Type: application/json\r\nConnection: close\r\n";
                let reply =
                    format!("HTTP/1.1 {status} x\r\n{head}Content-Length: {length}\r\n\r\n{text}");
                reader.get_mut().write_all(reply.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Cloudflare with the zone example.com and without any record; a list repeats the secret.
fn cloudflare(asked: &str) -> (u16, &'static str) {
    match asked.split(['?', ' ']).nth(1).unwrap_or_default() {
        "/v4/zones" if asked.contains("name=example.com") => {
            (200, r#"{"success":true,"result":[{"id":"zid1","name":"example.com"}]}"#)
        }
        "/v4/zones/zid1/dns_records" if asked.starts_with("POST") => {
            (200, r#"{"success":true,"result":{"id":"rid1"}}"#)
        }
        _ => (200, r#"{"success":true,"result":[],"note":"s3cret-of-dev1"}"#),
    }
}

/// A home whose host is at the provider `p`, which `provider` describes, with more lines for the host.
fn home(provider: &str, host: &str) -> Home {
    let home = Home::new(&format!("{HERE}[provider.p]\n{provider}\n{HOST}{host}\n"));
    home.secret("secret", SECRET);
    home
}

fn at_cloudflare(service: &Service) -> Home {
    let provider = format!("extends = \"cloudflare\"\napi-url = \"{}/v4\"", service.url);
    home(&provider, "token-file = \"secret\"\nipv6 = \"off\"")
}

/// Runs and checks that no part of the secret is anywhere in what is printed.
#[track_caller]
fn run(home: &Home, arguments: &[&str], code: i32) -> Ran {
    let ran = home.run(arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    for form in ["s3cret", "czNjcmV0", "of-dev1"] {
        assert!(!ran.out.contains(form) && !ran.err.contains(form), "{arguments:?}: {ran:?}");
    }
    ran
}

/// Whether `text` has these lines, in this order and with others between them; a line may go on.
#[track_caller]
fn has(text: &str, lines: &[&str]) {
    let mut rest = text.lines();
    for line in lines {
        assert!(rest.any(|it| it.starts_with(line)), "no `{line}` in its place:\n{text}");
    }
}

#[test]
fn a_dry_run_shows_each_request_of_an_entry_and_sends_none() {
    let service = Service::start(cloudflare);
    let home = at_cloudflare(&service);
    let url = &service.url;
    for arguments in [&["--once", "--dry-run", "-v"][..], &["check", "-v"]] {
        let ran = run(&home, arguments, 0);
        has(
            &ran.out,
            &[
                "dev1.example.com: would send IPv4 198.51.100.7 to p",
                "requests to p for dev1.example.com:",
                &format!(
                    "  find (then its shorter endings): GET {url}/v4/zones?name=dev1.example.com"
                ),
                &format!(
                    "  list: GET {url}/v4/zones/<zone-id>/dns_records?type=A&name=dev1.example.com"
                ),
                &format!(
                    "  create (if there is no record): POST {url}/v4/zones/<zone-id>/dns_records {{\"type\":\"A\""
                ),
                &format!(
                    "  change (if the record differs): PATCH {url}/v4/zones/<zone-id>/dns_records/<id> {{\"content\":\"198.51.100.7\"}}"
                ),
            ],
        );
    }
    let plain = run(&home, &["--once", "--dry-run"], 0);
    assert!(!plain.out.contains("requests to") && plain.err.is_empty(), "{plain:?}");
    assert_eq!(service.asked(), [""; 0], "nothing may be sent");
}

#[test]
fn each_request_and_answer_is_one_line_and_bodies_come_with_the_second_v() {
    let service = Service::start(cloudflare);
    let url = &service.url;
    let zones = format!("{url}/v4/zones?name=dev1.example.com&status=active");
    let records = format!("{url}/v4/zones/zid1/dns_records");

    let brief = run(&at_cloudflare(&service), &["--once", "-v"], 0);
    let lines = [
        &format!("debug: request number=1 method=GET url=\"{zones}\""),
        "debug: answer number=1 status=200 ms=",
        &format!("debug: request number=2 method=GET url=\"{url}/v4/zones?name=example.com"),
        "debug: answer number=2 status=200 ms=",
        &format!("debug: request number=3 method=GET url=\"{records}?type=A&name=dev1.example.com"),
        "debug: answer number=3 status=200 ms=",
        &format!("debug: request number=4 method=POST url={records}"),
        "debug: answer number=4 status=200 ms=",
    ];
    has(&brief.err, &lines);
    assert!(!brief.err.contains("body="), "{brief:?}");

    let asked = service.asked();
    let full = run(&at_cloudflare(&service), &["--once", "-vv"], 0);
    has(&full.err, &lines);
    let bodies = [
        r#"body="{\"type\":\"A\",\"name\":\"dev1.example.com\",\"content\":\"198.51.100.7\""#,
        r#"body="{\"success\":true,\"result\":[],\"note\":\"…\"}""#,
    ];
    assert!(bodies.iter().all(|body| full.err.contains(body)), "{full:?}");
    assert_eq!(service.asked()[asked.len()..], asked, "what is shown changes nothing");

    let quiet = run(&at_cloudflare(&service), &["--once"], 0);
    assert!(quiet.err.is_empty(), "{quiet:?}");
}

#[test]
fn a_login_and_what_it_brings_are_hidden() {
    fn answers(asked: &str) -> (u16, &'static str) {
        match asked {
            "POST /login" => (200, r#"{"session":"hidden-session"}"#),
            _ => (200, r#"{"rows":[],"you":"hidden-session"}"#),
        }
    }
    let service = Service::start(answers);
    let url = &service.url;
    let provider = format!(
        r#"protocol = "http"
api-url = "{url}"
secret-parts = 2
login = {{ post = "/login", json = '{{"user":"me","key":"{{secret.1}}","password":"{{secret.2}}"}}', take = {{ session = "session" }} }}
list = {{ get = "/r?k={{secret.1}}&s={{session}}&t={{type}}", at = "rows", id = "id", value = "v" }}
create = {{ post = "/r?s={{session}}", json = '{{"t":"{{type}}","v":"{{address}}"}}' }}
remove = {{ delete = "/r/{{id}}?s={{session}}" }}"#
    );
    let home = home(&provider, "token-file = \"secret\"\nipv6 = \"here\"");
    home.secret("secret", "of-dev1-key:s3cret-of-dev1");
    let ran = run(&home, &["--once", "--dry-run", "-v"], 0);
    has(
        &ran.out,
        &[
            &format!("  login: POST {url}/login …"),
            &format!("  list: GET {url}/r?k=…&s=<session>&t=A"),
            &format!(
                "  create (if there is no record): POST {url}/r?s=<session> {{\"t\":\"A\",\"v\":\"198.51.100.7\"}}"
            ),
            &format!("  remove (for each other record): DELETE {url}/r/<id>?s=<session>"),
            &format!("  list: GET {url}/r?k=…&s=<session>&t=AAAA"),
            &format!(
                "  create (if there is no record): POST {url}/r?s=<session> {{\"t\":\"AAAA\",\"v\":\"2001:db8::7\"}}"
            ),
        ],
    );
    assert_eq!(service.asked(), [""; 0], "nothing may be sent");
    let ran = run(&home, &["--once", "-vv"], 0);
    assert!(!ran.err.contains("hidden"), "{ran:?}");
    has(
        &ran.err,
        &[
            &format!("debug: request number=1 method=POST url={url}/login body=…"),
            "debug: answer number=1 status=200",
            &format!("debug: request number=2 method=GET url=\"{url}/r?k=…&s=…&t=A\""),
            "debug: answer number=2 status=200",
            &format!("debug: request number=3 method=POST url=\"{url}/r?s=…\" body="),
        ],
    );
}

#[test]
fn dyndns2_and_desec_are_shown_in_the_same_way() {
    let service = Service::start(|_| (200, "good 198.51.100.7"));
    let provider = format!("protocol = \"dyndns2\"\nserver = \"{}\"", service.url);
    let home = home(&provider, "username = \"me\"\npassword-file = \"secret\"\nipv6 = \"off\"");
    let update = format!("{}/nic/update?hostname=dev1.example.com&myip=198.51.100.7", service.url);
    let ran = run(&home, &["--once", "--dry-run", "-v"], 0);
    has(&ran.out, &["requests to p for dev1.example.com:", &format!("  update: GET {update}")]);
    assert_eq!(service.asked(), [""; 0], "nothing may be sent");
    let ran = run(&home, &["--once", "-vv"], 0);
    has(
        &ran.err,
        &[
            &format!("debug: request number=1 method=GET url=\"{update}\""),
            "debug: answer number=1 status=200",
        ],
    );
    assert!(ran.err.contains("body=\"good 198.51.100.7\""), "{ran:?}");

    let mut account = Account::new("owner@example.com");
    account.throttled = false;
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", SECRET, &["dev1.dyn.example.com"]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    let update = format!(
        "{}/api/v1/dyndns/update?hostname=dev1.dyn.example.com&myipv4=198.51.100.7&myipv6=2001:db8::7",
        sandbox.url()
    );
    let ran = run(&home, &["--once", "--dry-run", "-v"], 0);
    has(&ran.out, &[&format!("  update: GET {update}")]);
    let ran = run(&home, &["--once", "-v"], 0);
    has(&ran.err, &[&format!("debug: request number=1 method=GET url=\"{update}\"")]);
    has(&ran.err, &["debug: answer number=1 status=200"]);
    let home = Home::at(&sandbox.url(), DEV1);
    let daemon = home.daemon_with(&["-v"]);
    daemon.wait_for("request number=1");
    let log = daemon.log();
    assert!(!log.contains("s3cret"), "{log}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

#[cfg(feature = "tokens")]
#[test]
fn a_token_that_is_issued_is_in_no_line() {
    use crate::support::account::{self, HOST, MANAGEMENT};

    let (_sandbox, home) = account::desk(sandbox::Api::Current, DEV1);
    let ran = account::token(&home, &["issue", HOST, "-vv"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    has(
        &ran.err,
        &[
            "debug: request number=1 method=GET url=",
            "debug: answer number=1 status=200",
            "debug: request number=2 method=",
        ],
    );
    let answer = ran.err.lines().find(|line| line.contains("status=201")).unwrap();
    assert!(answer.contains(r#"\"token\":\"…\""#), "{answer}");
    let secret = home.read("token");
    for hidden in [MANAGEMENT, secret.trim()] {
        assert!(!ran.out.contains(hidden) && !ran.err.contains(hidden), "{ran:?}");
    }
}
