//! `notify`: what each service is sent to the letter, what counts as taken, and what happens while
//! nothing is.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{home, sandbox};
use home::{DEV1, Daemon, Home, Signal, wait_until};
use sandbox::{Account, Sandbox};

/// A secret, in every place where a service takes one.
const SECRET: &str = "t0psecret";

/// How a service answers: the status with more headers, and the body; without either it hangs.
type Answering = Option<(&'static str, &'static str)>;

/// A server on loopback that stands for services, and writes down what it is sent.
struct Services {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    answering: Arc<Mutex<Answering>>,
}

impl Services {
    /// One that gives each service its own success, as its documentation shows it.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answering = Arc::new(Mutex::new(Some(("", ""))));
        let (all, how) = (Arc::clone(&asked), Arc::clone(&answering));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, how) = (Arc::clone(&all), Arc::clone(&how));
                std::thread::spawn(move || serve(stream, &all, &how));
            }
        });
        Self { url, asked, answering }
    }

    fn answer(&self, answering: Answering) {
        *self.answering.lock().unwrap() = answering;
    }

    /// The requests so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The bodies of those whose path holds `path`, as JSON.
    fn bodies(&self, path: &str) -> Vec<serde_json::Value> {
        let asked = self.asked();
        let those = asked.iter().filter(|it| it.lines().next().unwrap().contains(path));
        those.map(|it| serde_json::from_str(body(it)).unwrap()).collect()
    }
}

/// Waits for what comes after the time in which events are gathered.
#[track_caller]
fn wait_long(what: &str, is_there: impl Fn() -> bool, daemon: &Daemon) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(40), "no {what} in:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The body of a request.
fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<String>>, how: &Mutex<Answering>) {
    let mut request = Vec::new();
    let whole = loop {
        let mut piece = [0; 4096];
        let Ok(length @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length =
            length.split("content-length: ").nth(1).map_or("0", |it| it.lines().next().unwrap());
        if rest.len() >= length.parse().unwrap() {
            break text;
        }
    };
    let path = whole.split(' ').nth(1).unwrap().to_owned();
    all.lock().unwrap().push(whole);
    let Some(told) = *how.lock().unwrap() else {
        return std::thread::sleep(Duration::from_secs(60));
    };
    let (status, body) = if told == ("", "") { ("200 OK", success(&path)) } else { told };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes());
}

/// What a service answers to a message that it takes; the sources are in `core/notify.toml`.
fn success(path: &str) -> &'static str {
    match path.split(['/', '?']).nth(1).unwrap() {
        "" => r#"{"id":"x","time":1,"event":"message","topic":"my-topic","message":"m"}"#,
        "message" => r#"{"id":25,"appid":5,"message":"m","title":"t","priority":8}"#,
        "1" => r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#,
        "bott0psecret" => r#"{"ok":true,"result":{"message_id":1,"chat":{"id":123},"text":"m"}}"#,
        "discord" => r#"{"id":"1","type":0,"content":"m","channel_id":"2"}"#,
        "_matrix" => r#"{"event_id":"$YUwRidLecu:example.org"}"#,
        "slack" | "mattermost" => "ok",
        "apprise" => "2025-01-01 12:00:00,000 - INFO - Sent",
        _ => "",
    }
}

/// The tables of all services over HTTP, at that server.
fn all_services(server: &str) -> String {
    let url = |service: &str| {
        format!("{{ service = \"{service}\", url = \"{server}/{service}/{SECRET}\" }}")
    };
    let with = |service: &str, more: &str| {
        format!("{{ service = \"{service}\", server = \"{server}\", token = \"{SECRET}\"{more} }}")
    };
    let all = [
        with("ntfy", ", topic = \"my-topic\""),
        with("gotify", ""),
        with("pushover", ", user = \"uQi&R\", device = \"phone\""),
        with("telegram", ", chat = -100123"),
        url("discord").replace(" }", ", thread = \"4711\" }"),
        url("slack"),
        with("matrix", ", room = \"!a/b:example.org\""),
        url("mattermost"),
        url("apprise").replace(" }", ", tag = \"home\" }"),
        url("webhook"),
    ];
    format!("[{}]", all.join(", "))
}

/// Hosts at a sandbox, of which the first has a wrong token, with these reports.
fn hosts(reports: &str) -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &["dev1.dyn.example.com"]).unwrap();
    account.throttled = false;
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    let config = home.read("config.toml").replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n");
    home.configure(&config.replacen(
        "[source.here]",
        &format!("[report]\n{reports}\n[source.here]"),
        1,
    ));
    home.secret("token", "wr0ng-secret");
    (sandbox, home)
}

/// `text` as the inside of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// `text` in a form of HTML.
fn form(text: &str) -> String {
    homing::core::protocol::query_value(text).replace("%40", "@")
}

#[test]
fn each_service_is_sent_what_its_documentation_says() {
    let services = Services::start();
    let (_sandbox, home) = hosts(&format!("notify = {}", all_services(&services.url)));
    let ran = home.run(&["--once", "-vv"]);
    assert_eq!(ran.code, 77, "{ran:?}");
    assert!(!format!("{ran:?}").contains(SECRET), "{ran:?}");
    let webhook = services.bodies("/webhook/").remove(0);
    let field = |name: &str| webhook[name].as_str().unwrap();
    let (text, since) = (field("text"), field("since"));
    let title = "dev1.dyn.example.com is rejected";
    let begin = "dev1.dyn.example.com has not been up to date since 20";
    assert!(
        text.starts_with(begin) && text.contains("\nFix: put a valid token or password into"),
        "{text}"
    );
    assert!(text.contains(field("reason")) && text.contains(field("fix")), "{webhook}");
    let (t, m) = (json(title), json(text));
    let (reason, fix) = (json(field("reason")), json(field("fix")));
    let expect = [
        (
            "POST / ",
            format!(
                r#"{{"topic":"my-topic","title":"{t}","message":"{m}","priority":4,"tags":["warning"]}}"#
            ),
        ),
        ("POST /message ", format!(r#"{{"title":"{t}","message":"{m}","priority":8}}"#)),
        (
            "POST /1/messages.json ",
            format!(
                "token={SECRET}&user=uQi%26R&device=phone&title={}&message={}",
                form(title),
                form(text)
            ),
        ),
        (
            "POST /bott0psecret/sendMessage ",
            format!(
                r#"{{"chat_id":"-100123","text":"{m}","link_preview_options":{{"is_disabled":true}}}}"#
            ),
        ),
        (
            "POST /discord/t0psecret?wait=true&thread_id=4711 ",
            format!(r#"{{"content":"{m}","allowed_mentions":{{"parse":[]}}}}"#),
        ),
        (
            "POST /slack/t0psecret ",
            format!(
                r#"{{"text":"{t}","blocks":[{{"type":"section","text":{{"type":"plain_text","text":"{m}"}}}}]}}"#
            ),
        ),
        (
            "PUT /_matrix/client/v3/rooms/%21a%2Fb:example.org/send/m.room.message/homing",
            format!(r#"{{"msgtype":"m.text","body":"{m}","m.mentions":{{}}}}"#),
        ),
        ("POST /mattermost/t0psecret ", format!(r#"{{"text":"{m}"}}"#)),
        (
            "POST /apprise/t0psecret ",
            format!(r#"{{"title":"{t}","body":"{m}","type":"failure","tag":"home"}}"#),
        ),
        (
            "POST /webhook/t0psecret ",
            format!(
                r#"{{"event":"problem","title":"{t}","text":"{m}","host":"dev1.dyn.example.com","hosts":["dev1.dyn.example.com"],"count":1,"outcome":"rejected","reason":"{reason}","fix":"{fix}","since":"{since}"}}"#
            ),
        ),
    ];
    let asked = services.asked();
    assert_eq!(asked.len(), expect.len(), "{asked:#?}");
    for (begin, expected) in &expect {
        let of_service = |request: &&String| request.starts_with(begin);
        let request =
            asked.iter().find(of_service).unwrap_or_else(|| panic!("{begin}: {asked:#?}"));
        assert_eq!(body(request), expected, "{begin}");
        let head = request.to_lowercase();
        let kind = if expected.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
        assert!(head.contains(&format!("content-type: application/{kind}\r\n")), "{request}");
    }
    for (begin, header) in [
        ("POST / ", "authorization: Bearer t0psecret"),
        ("POST /message ", "x-gotify-key: t0psecret"),
        ("PUT /_matrix", "authorization: Bearer t0psecret"),
    ] {
        let has = |request: &&String| request.starts_with(begin) && request.contains(header);
        assert!(asked.iter().any(|request| has(&request)), "{begin}: {asked:#?}");
    }
    // What was told is told once, and so is its end.
    assert_eq!(home.run(&["--once"]).code, 77);
    assert_eq!(services.asked().len(), 10);
    assert_eq!(home.read("state/homing.unsent"), "");
    home.secret("token", "s3cret-of-dev1");
    let ran = home.once();
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    let end = &services.bodies("/webhook/")[1];
    assert_eq!(end["event"], "recovered");
    let set = "dev1.dyn.example.com is up to date again with 198.51.100.7 and 2001:db8::7.";
    assert!(end["text"].as_str().unwrap().starts_with(set), "{end}");
    assert_eq!(end["since"], webhook["since"]);
    assert_eq!(services.bodies("/apprise/")[1]["type"], "success");
}

/// What no service means by a success.
const FAILURES: [(&str, &str); 9] = [
    ("200 OK", "<!DOCTYPE html><html><body>Log in: ok</body></html>"),
    ("200 OK", "{\"ok\":false,\"status\":0,\"errors\":[\"x\"]}"),
    ("200 OK", "nonsense"),
    ("204 No Content", ""),
    ("302 Found\r\nLocation: /elsewhere", ""),
    ("400 Bad Request", "{\"ok\":false,\"status\":0,\"error\":\"x\"}"),
    ("403 Forbidden", "invalid_token"),
    ("429 Too Many Requests", "ok"),
    ("500 Internal Server Error", "ok"),
];

#[test]
fn nothing_but_a_services_own_success_counts() {
    let services = Services::start();
    for (status, body) in FAILURES {
        services.answer(Some((status, body)));
        let (_sandbox, home) = hosts(&format!("notify = {}", all_services(&services.url)));
        let ran = home.once();
        assert_eq!(ran.code, 77, "{ran:?}");
        let mut failed: Vec<_> = home
            .read("state/homing.unsent")
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        failed.sort();
        let mut expect = vec![
            "discord",
            "gotify",
            "matrix",
            "mattermost",
            "ntfy",
            "pushover",
            "slack",
            "telegram",
        ];
        // A status alone is all that these two say.
        match status.split(' ').next().unwrap() {
            "200" if body.starts_with('<') => expect.extend(["apprise", "webhook"]),
            "200" => {}
            "204" => expect.push("apprise"),
            _ => expect.extend(["apprise", "webhook"]),
        }
        expect.sort_unstable();
        assert_eq!(failed, expect, "{status} {body}");
        let warnings =
            ran.err.lines().filter(|line| line.starts_with("homing: warning: notify ")).count();
        assert_eq!(warnings, expect.len(), "{ran:?}");
        assert!(!format!("{ran:?}").contains(SECRET), "{ran:?}");
    }
    let elsewhere = |it: &String| it.split(' ').nth(1) == Some("/elsewhere");
    assert!(!services.asked().iter().any(elsewhere), "a redirect is never followed");
}

#[test]
fn a_service_that_hangs_or_refuses_delays_neither_an_update_nor_the_end_and_loses_nothing() {
    let services = Services::start();
    services.answer(None);
    let (sandbox, home) = hosts("notify = [{ service = \"slack\", url-file = \"slack\" }]");
    home.secret("slack", &format!("{}/slack/{SECRET}", services.url));
    let begun = Instant::now();
    let ran = home.once();
    assert_eq!(ran.code, 77, "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(
        ran.err.contains("warning: notify slack: ") && ran.err.contains("within 10s"),
        "{ran:?}"
    );
    assert!(home.read("state/homing.unsent").starts_with("slack 1 20"), "what is owed is noted");
    // The next try is not at the next run of cron, and is not warned of again.
    let ran = home.once();
    assert_eq!((services.asked().len(), &*ran.err), (1, ""), "{ran:?}");
    // The daemon takes it over, and an update does not wait for it.
    let unsent = home.read("state/homing.unsent");
    home.write("state/homing.unsent", &unsent.replace("slack 1 20", "slack 0 20"), 0o600);
    let daemon = home.daemon();
    wait_long("message", || services.asked().len() == 2, &daemon);
    home.secret("token", "s3cret-of-dev1");
    let is_set = || sandbox.records("dev1.dyn.example.com", "A") == ["198.51.100.7"];
    wait_until("update", is_set, || daemon.log());
    services.answer(Some(("", "")));
    wait_long("end", || services.asked().len() == 3, &daemon);
    let text = services.bodies("/slack/")[2]["text"].as_str().unwrap().to_owned();
    assert_eq!(text, "dev1.dyn.example.com is up to date again");
    let is_empty = || home.read("state/homing.unsent").is_empty();
    wait_until("note", is_empty, || home.read("state/homing.unsent"));
    daemon.wait_for("notify slack works again");
    daemon.signal(Signal::TERM);
    let log = daemon.log();
    assert!(daemon.end().1 < Duration::from_secs(5));
    assert_eq!(log.matches("notify slack failed").count(), 1, "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

/// Makes the last try one of long ago.
fn let_time_pass(home: &Home) {
    let unsent = home.read("state/homing.unsent");
    let (tries, _) = unsent.rsplit_once(' ').unwrap();
    home.write("state/homing.unsent", &format!("{tries} 2001-01-01T00:00:00.000Z\n"), 0o600);
}

#[test]
fn a_service_that_fails_is_warned_of_once_whatever_the_number_of_runs() {
    let services = Services::start();
    services.answer(Some(("500 Internal Server Error", "")));
    let notify = format!("[{{ service = \"slack\", url = \"{}/slack/x\" }}]", services.url);
    let (_sandbox, home) = hosts(&format!("notify = {notify}"));
    assert!(home.once().err.contains("warning: notify slack: Slack answers HTTP 500"));
    for tries in [1, 1, 2, 2, 3] {
        if services.asked().len() < tries {
            let_time_pass(&home);
        }
        let ran = home.once();
        assert_eq!((ran.code, &*ran.err, services.asked().len()), (77, "", tries), "{ran:?}");
    }
    services.answer(Some(("", "")));
    let_time_pass(&home);
    assert_eq!(home.once().err, "");
    assert_eq!((services.asked().len(), &*home.read("state/homing.troubles")), (4, ""));
}

#[test]
fn a_fault_of_fifty_hosts_is_one_message() {
    let services = Services::start();
    let notify = format!("[{{ service = \"webhook\", url = \"{}/webhook/x\" }}]", services.url);
    let (_sandbox, home) = hosts(&format!("notify = {notify}\nproblem-after = \"0s\""));
    let host = |n: u32| {
        DEV1.replace("dev1", &format!("h{n}")).replace("\"token\"", &format!("\"token{n}\""))
    };
    let config = home.read("config.toml").replace(DEV1, "");
    home.configure(&format!("{config}{}", (0..50).map(host).collect::<String>()));
    (0..50).for_each(|n| home.secret(&format!("token{n}"), &format!("wr0ng-secret-{n}")));
    let daemon = home.daemon();
    wait_long("message", || !services.asked().is_empty(), &daemon);
    std::thread::sleep(Duration::from_secs(2));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    let all = services.bodies("/webhook/");
    let [one] = &all[..] else { panic!("{all:#?}") };
    assert_eq!((&one["count"], &one["outcome"]), (&50.into(), &"rejected".into()));
    assert_eq!(one["title"], "50 hosts are not up to date");
    assert_eq!(one["hosts"].as_array().unwrap().len(), 50);
    let text = one["text"].as_str().unwrap();
    assert!(text.contains(" and 45 more have not been up to date since 20"), "{text}");
}

#[test]
fn mail_is_a_program_with_the_message_on_its_input() {
    let (_sandbox, home) = hosts("");
    let dir = home.path("").display().to_string();
    let script = format!("#!/bin/sh\ncat >{dir}mail\necho \"$#|$*\" >{dir}arguments\n");
    home.write("sendmail", &script, 0o700);
    let notify = format!(
        "notify = [{{ service = \"mail\", to = [\"me@example.com\", \"root\"], from = \"homing@example.com\", \
         command = [\"{dir}sendmail\", \"-t\", \"a b\"] }}]"
    );
    home.configure(
        &home.read("config.toml").replace("[report]\n", &format!("[report]\n{notify}\n")),
    );
    let ran = home.once();
    assert!(ran.code == 77 && !ran.err.contains("notify"), "{ran:?}");
    assert_eq!(home.read("arguments"), "2|-t a b\n");
    let mail = home.read("mail");
    let (head, text) = mail.split_once("\n\n").unwrap();
    let begin = "From: homing@example.com\nTo: me@example.com,\n root\n\
                 Subject: Homing: dev1.dyn.example.com is rejected\nDate: ";
    assert!(head.starts_with(begin), "{head}");
    assert!(!text.contains(' ') && text.lines().all(|line| line.len() <= 76), "{text}");
    home.write("sendmail", "#!/bin/sh\necho no space left >&2\nexit 75\n", 0o700);
    home.secret("token", "s3cret-of-dev1");
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    let problem = "sendmail failed (exit status: 75): \"no space left\"; run this program by hand";
    assert!(ran.err.contains("warning: notify mail: ") && ran.err.contains(problem), "{ran:?}");
    let ran = home.run(&["check"]);
    assert!(ran.out.contains("problems are reported by mail to me@example.com, root\n"), "{ran:?}");
    std::fs::remove_file(home.path("sendmail")).unwrap();
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 78);
    assert!(ran.out.contains("report.notify: ") && ran.out.contains("does not exist"), "{ran:?}");
}

#[test]
fn check_says_who_is_told_and_shows_no_secret() {
    let (_sandbox, home) = hosts(&format!("notify = {}", all_services("https://a.example")));
    let ran = home.run(&["check", "-v"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("problems are reported by gotify to https://a.example\n"), "{ran:?}");
    assert!(ran.out.contains("  POST https://a.example/bot…/sendMessage …\n"), "{ran:?}");
    assert!(!format!("{ran:?}").contains(SECRET), "{ran:?}");
    let (_sandbox, home) = hosts("notify = [{ service = \"discord\", url-file = \"discord\" }]");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.out.contains("put the URL of Discord on its first line"), "{ran:?}");
    home.write("discord", &format!("https://discord.com/{SECRET}\n"), 0o644);
    let ran = home.run(&["check"]);
    assert!(ran.out.contains("is open to others (0644); run `chmod 6"), "{ran:?}");
    home.secret("discord", &format!("ftp://{SECRET}"));
    let ran = home.run(&["check"]);
    assert!(ran.out.contains("is not a web address") && !ran.out.contains(SECRET), "{ran:?}");
    let ran = home.once();
    assert!(ran.err.contains("warning: notify discord: ") && !ran.err.contains(SECRET), "{ran:?}");
}
