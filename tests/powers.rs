//! What a credential can do beyond its job, where an entry lists requests that show it: the self-check
//! of the rounds, `status`, strict hosts and `homing token audit`, against a service of our own.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::home::{Home, Ran};

const SECRET: &str = "s3cret-Zx7kQp2Lm9Wv4t8R";

/// What the service answers besides updates.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Credential {
    /// It may do everything.
    Broad,
    /// It may do what the narrowest credential can, and that is more than its job.
    Narrowest,
    /// It may do its job alone, as far as the service shows it.
    Narrow,
    /// The service does not know it.
    Dead,
    /// The service has trouble with every question.
    Troubled,
}

/// A service with accounts and zones.
struct Service {
    asked: Arc<Mutex<Vec<String>>>,
    credential: Arc<Mutex<Credential>>,
    home: Home,
}

/// The keys of an account, each with the beginning of its secret.
const KEYS: &str = r#"{"keys":[{"begin":"s3cret-AAAA","until":"2090-01-01T00:00:00"},
    {"begin":"s3cret","until":"2091-01-01T00:00:00"},
    {"begin":"s3cret-Zx7k","until":"2095-06-01T00:00:00"},{"until":"2092-01-01T00:00:00"}]}"#;

/// The answer to a request.
fn answer(line: &str, credential: Credential) -> (u16, &'static str) {
    let is_broad = credential == Credential::Broad;
    match line {
        _ if credential == Credential::Dead => (401, r#"{"error":"unknown"}"#),
        line if line.starts_with("PUT /hosts/") => (200, "{}"),
        _ if credential == Credential::Troubled => (500, r#"{"error":"trouble"}"#),
        "GET /account" if is_broad => (200, r#"{"id":7}"#),
        "GET /zones" if credential == Credential::Narrow => {
            (200, r#"{"zones":[{"name":"dyn.example.com"}]}"#)
        }
        "GET /zones" => (200, r#"{"zones":[{"name":"dyn.example.com"},{"name":"other.example"}]}"#),
        "GET /keys" => (200, KEYS),
        "GET /key" => (200, r#"{"key":{"expires":"2100-01-01T00:00:00+01:00"}}"#),
        _ => (403, r#"{"error":"forbidden"}"#),
    }
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<String>>, credential: &Mutex<Credential>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (mut length, mut knows) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            knows |= header.starts_with("authorization: bearer s3cret-");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        assert!(knows, "every request has the credential: {line}");
        let line = line.rsplit_once(' ').unwrap().0.to_owned();
        asked.lock().unwrap().push(line.clone());
        let (status, body) = answer(&line, *credential.lock().unwrap());
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    }
}

impl Service {
    fn new(credential: Credential, more: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let credential = Arc::new(Mutex::new(credential));
        let shared = (Arc::clone(&asked), Arc::clone(&credential));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, credential) = shared.clone();
                thread::spawn(move || serve(stream, &asked, &credential));
            }
        });
        let home = Home::new(&format!(
            "[provider.own]\nprotocol = \"http\"\napi-url = \"http://{address}\"\n\
             title = \"A service\"\ncredential = \"a key for one host\"\n\
             headers = [\"Authorization: Bearer {{secret}}\"]\nanswers = \"rest\"\n\
             set = {{ put = \"/hosts/{{host}}\", json = '{{\"ip\":\"{{address}}\"}}' }}\n\
             power = [{{ get = \"/account\", says = \"may read the account\" }}, \
             {{ get = \"/zones\", at = \"zones\", name = \"name\", says = \"may see another zone\", \
             narrowest = true }}, {{ get = \"/key\", ends = \"key.expires\" }}]\n\
             [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
             [[host]]\nname = \"dev1.dyn.example.com\"\nprovider = \"own\"\nipv4 = \"here\"\n\
             ipv6 = \"off\"\ntoken-file = \"secret\"\n{more}"
        ));
        home.secret("secret", SECRET);
        Self { asked, credential, home }
    }

    /// How often the service was asked `line`.
    fn count(&self, line: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(line)).count()
    }

    fn is_now(&self, credential: Credential) {
        *self.credential.lock().unwrap() = credential;
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> Ran {
        let ran = self.home.run(arguments);
        assert_eq!(ran.code, code, "{ran:#?}");
        let told = format!("{}{}{}", ran.out, ran.err, self.home.read("state/state.json"));
        assert!(!told.contains("s3cret"), "{told}");
        ran
    }
}

#[test]
fn a_broad_credential_is_found_out_once_after_its_first_success() {
    let service = Service::new(Credential::Broad, "");
    let first = service.run(&["--once"], 0);
    let said = format!("{}{}", first.out, first.err);
    assert!(said.contains("the token is TOO POWERFUL: may read the account"), "{first:?}");
    assert!(said.contains("fix: run `homing token audit dev1.dyn.example.com`"), "{first:?}");
    assert_eq!(service.asked.lock().unwrap()[0], "PUT /hosts/dev1.dyn.example.com");
    assert_eq!(["GET /account", "GET /zones", "GET /key"].map(|it| service.count(it)), [1, 1, 1]);
    let status = service.run(&["status"], 77);
    assert!(status.out.contains("token: TOO POWERFUL: may read the account"), "{status:?}");
    assert!(status.out.contains("expires in"), "{status:?}");
    // Another success on the same day.
    service.run(&["--once", "--refresh"], 0);
    assert_eq!((service.count("PUT /hosts/"), service.count("GET /account")), (2, 1));
    service.home.secret("secret", "s3cret-another-one");
    service.is_now(Credential::Narrow);
    service.run(&["--once", "--refresh"], 0);
    assert_eq!((service.count("PUT /hosts/"), service.count("GET /account")), (3, 2));
    let status = service.run(&["status"], 0);
    assert!(status.out.contains("token: a check found nothing beyond its job"), "{status:?}");
}

#[test]
fn what_even_the_narrowest_can_do_is_a_notice_unless_the_host_is_strict() {
    let service = Service::new(Credential::Narrowest, "");
    service.run(&["--once"], 0);
    let status = service.run(&["status"], 0);
    let notice = "token: may see another zone (other.example), as even the narrowest credential can; \
        the provider offers nothing narrower";
    let lines: Vec<_> = status.out.split_whitespace().collect();
    assert!(lines.join(" ").contains(notice), "{status:?}");
    let json = service.run(&["status", "--json"], 0);
    let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["hosts"][0]["token"]["rights"], "narrowest-offered");
    assert_eq!(read["hosts"][0]["expires"], "2099-12-31T23:00:00Z");
    let config = service.home.read("config.toml");
    service.home.configure(&format!("{config}strict-token = true\n"));
    let refused = service.run(&["--once", "--refresh"], 77);
    assert!(format!("{}{}", refused.out, refused.err).contains("too powerful"), "{refused:?}");
    assert_eq!(service.count("PUT /hosts/"), 1);
}

#[test]
fn a_strict_host_sends_until_a_check_finds_too_much() {
    let service = Service::new(Credential::Narrow, "strict-token = true\n");
    service.run(&["--once"], 0);
    service.run(&["--once", "--refresh"], 0);
    assert_eq!(service.count("PUT /hosts/"), 2);
    service.is_now(Credential::Broad);
    service.home.secret("secret", "s3cret-another-one");
    service.run(&["--once", "--refresh"], 0);
    let refused = service.run(&["--once", "--refresh"], 77);
    assert!(
        format!("{}{}", refused.out, refused.err).contains("may read the account"),
        "{refused:?}"
    );
    assert_eq!(service.count("PUT /hosts/"), 3);
}

#[test]
fn an_audit_says_what_a_credential_can_do() {
    let service = Service::new(Credential::Broad, "");
    let audit = |code| service.run_without_state(&["token", "audit", "dev1.dyn.example.com"], code);
    let broad = audit(77);
    assert!(broad.out.contains("TOO POWERFUL"), "{broad:?}");
    assert!(broad.out.contains("!! may read the account"), "{broad:?}");
    assert!(broad.out.contains("fix: use a key for one host"), "{broad:?}");
    service.is_now(Credential::Narrowest);
    let narrowest = audit(0);
    assert!(narrowest.out.contains("nothing found"), "{narrowest:?}");
    assert!(narrowest.out.contains("may see another zone (other.example)"), "{narrowest:?}");
    service.is_now(Credential::Narrow);
    let narrow = audit(0);
    assert!(narrow.out.contains("nothing beyond its job was found (requests: 3)"), "{narrow:?}");
    let json = service.run_without_state(&["token", "audit", "--json"], 0);
    let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["tokens"][0]["verdict"], "not-proven");
    assert_eq!(read["tokens"][0]["expires"], "2099-12-31T23:00:00Z");
    assert_eq!(read["tokens"][0]["by"], "itself");
    service.is_now(Credential::Dead);
    assert!(audit(75).out.contains("the server refuses it"));
    service.is_now(Credential::Troubled);
    assert!(audit(75).out.contains("not known whether it may read the account: HTTP 500"));
    assert_eq!(service.count("PUT"), 0);
}

#[test]
fn what_the_narrowest_credential_reaches_is_told_with_the_way_round() {
    let home = Home::new(
        "[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n[[host]]\n\
         name = \"home.duckdns.org\"\nprovider = \"duckdns\"\ntoken-file = \"secret\"\nipv4 = \"here\"\n",
    );
    home.secret("secret", SECRET);
    let audit = home.run(&["token", "audit", "home.duckdns.org"]);
    assert_eq!(audit.code, 0, "{audit:?}");
    let said: Vec<_> = audit.out.split_whitespace().collect();
    let said = said.join(" ");
    assert!(
        said.contains("can change every name of the account: the service offers nothing narrower"),
        "{audit:?}"
    );
    assert!(said.contains("`home.duckdns.org. CNAME home.dedyn.io.`"), "{audit:?}");
    let check = home.run(&["check"]);
    assert_eq!(check.out.matches("way round").count(), 1, "{check:?}");
    let page = home.run(&["providers", "cloudflare"]);
    assert!(page.out.contains("reach      every name of its zone"), "{page:?}");
    assert!(page.out.contains("way round  "), "{page:?}");
}

#[test]
fn in_a_list_of_keys_the_one_that_begins_as_the_secret_says_when_it_ends() {
    let service = Service::new(Credential::Narrow, "");
    let config = service.home.read("config.toml");
    let list = "get = \"/keys\", at = \"keys\", own = \"begin\", ends = \"until\"";
    service.home.configure(&config.replace("get = \"/key\", ends = \"key.expires\"", list));
    service.run(&["--once"], 0);
    let expires = || {
        let json = service.run(&["status", "--json"], 0);
        let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        read["hosts"][0]["expires"].clone()
    };
    assert_eq!(expires(), "2095-06-01T00:00:00Z");
    // A key that is not in the list has no end that is known.
    service.home.secret("secret", "s3cret-another-one");
    service.run(&["--once", "--refresh"], 0);
    assert_eq!(expires(), serde_json::Value::Null);
}

#[test]
fn an_end_that_is_written_down_is_warned_of() {
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(5 * 24 * 60 * 60);
    let day = humantime::format_rfc3339_seconds(soon).to_string();
    let service = Service::new(Credential::Narrow, &format!("expires = \"{}\"\n", &day[..10]));
    let first = service.run(&["--once"], 0);
    let said = format!("{}{}", first.out, first.err);
    assert!(said.contains("token: expires in 4 days"), "{first:?}");
    assert!(said.contains("homing providers own"), "{first:?}");
    let again = service.run(&["--once", "--refresh"], 0);
    assert!(!format!("{}{}", again.out, again.err).contains("expires"), "{again:?}");
    let json = service.run(&["status", "--json"], 0);
    let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["hosts"][0]["expires"], format!("{}T00:00:00Z", &day[..10]));
}

impl Service {
    #[track_caller]
    fn run_without_state(&self, arguments: &[&str], code: i32) -> Ran {
        let ran = self.home.run(arguments);
        assert_eq!(ran.code, code, "{ran:#?}");
        assert!(!format!("{}{}", ran.out, ran.err).contains("s3cret"), "{ran:?}");
        ran
    }
}
