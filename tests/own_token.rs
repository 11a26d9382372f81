//! The daemon's part of tokens: the look at its own rights, keep-alive, expiry, and strict hosts.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::time::{Duration, SystemTime};

use crate::support::{home, sandbox};
use home::{DEV1, Home, wait_until};
use sandbox::{Account, Answer, Sandbox, Scripted, Token};

const HOST: &str = "dev1.dyn.example.com";
const SECRET: &str = "s3cret-of-dev1";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A sandbox with the zone dyn.example.com, a neighbour in it, and a narrow token for the host.
fn narrow() -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    account.set_records("neighbour.dyn.example.com", "A", &["192.0.2.9"], 3600);
    account.add_host_token("dev1", SECRET, &[HOST]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    (sandbox, home)
}

/// The same with a token that may write everything.
fn unrestricted() -> (Sandbox, Home) {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| account.tokens[0].policies.clear());
    (sandbox, home)
}

fn strict(home: &Home) {
    let config = home.read("config.toml");
    home.configure(&format!("{config}strict-token = true\n"));
}

/// What a receipt says.
struct Receipt<'a> {
    id: Option<String>,
    secret: &'a str,
    proven: bool,
    /// How long before now the token was made.
    age: Duration,
    max_age: Option<&'a str>,
    max_unused: Option<&'a str>,
}

impl Receipt<'_> {
    fn of(sandbox: &Sandbox) -> Self {
        let id = sandbox.with_account(|account| account.tokens[0].id.clone());
        let (max_age, max_unused) = (None, None);
        let (secret, proven) = (SECRET, true);
        Self { id: Some(id), secret, proven, age: DAY, max_age, max_unused }
    }

    /// Puts it beside the token file.
    fn write(&self, home: &Home) {
        let moment = |at: SystemTime| humantime::format_rfc3339_seconds(at).to_string();
        let salt = [7; 16];
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &salt);
        let seal = ring::hmac::sign(&key, self.secret.as_bytes());
        let digest: [u8; 8] = seal.as_ref()[..8].try_into().unwrap();
        let now = SystemTime::now();
        let text = serde_json::json!({
            "version": 1,
            "id": self.id,
            "name": "homing:dev1.dyn.example.com",
            "server": "whatever",
            "policies": "rows",
            "hosts": [{"name": HOST, "zone": "dyn.example.com", "ipv4": true, "ipv6": true}],
            "created": moment(now - self.age),
            "expires": null,
            "max-age": self.max_age,
            "max-unused": self.max_unused,
            "subnets": null,
            "salt": format!("{:032x}", u128::from_be_bytes(salt)),
            "fingerprint": format!("{:016x}", u64::from_be_bytes(digest)),
            "proven": self.proven.then(|| moment(now)),
        });
        home.write("token.receipt", &text.to_string(), 0o600);
    }
}

/// Lets everything in the state file have happened `age` ago.
fn make_older(home: &Home, age: Duration) {
    let moment = |at: &str| {
        let at = humantime::parse_rfc3339(at).ok()?;
        Some(humantime::format_rfc3339_millis(at - age).to_string())
    };
    let text = home.read("state/state.json");
    let older: Vec<String> =
        text.split('"').map(|part| moment(part).unwrap_or_else(|| part.to_owned())).collect();
    home.write("state/state.json", &older.join("\""), 0o600);
}

#[track_caller]
fn once(home: &Home, code: i32) -> home::Ran {
    let ran = home.once();
    assert_eq!(ran.code, code, "{ran:#?}\n{}", home.read("state/state.json"));
    ran
}

/// The requests that are no updates.
fn looks(sandbox: &Sandbox) -> Vec<sandbox::Received> {
    let mut requests = sandbox.requests();
    requests.retain(|request| !request.is_update());
    requests
}

/// How often the API's root was asked.
fn greetings(sandbox: &Sandbox) -> usize {
    looks(sandbox).iter().filter(|request| request.path.ends_with("/api/v1/")).count()
}

/// Moves the stamp of the receipt, to a moment of its own for each `number`.
fn touch(home: &Home, number: u64) {
    let receipt = std::fs::OpenOptions::new().write(true).open(home.path("token.receipt")).unwrap();
    receipt.set_modified(SystemTime::now() + Duration::from_secs(number)).unwrap();
}

/// Lets a daemon run until it has judged its token, and returns its log.
#[track_caller]
fn judged(home: &Home) -> String {
    let daemon = home.daemon_with(&["-vv"]);
    wait_until("verdict", || home.read("state/state.json").contains("verdict"), || daemon.log());
    daemon.wait_for(" the token");
    daemon.signal(home::Signal::TERM);
    let log = daemon.log();
    assert_eq!(daemon.end().0, 0);
    log
}

#[test]
fn a_token_without_policies_is_found_out_by_its_own_id() {
    let (sandbox, home) = unrestricted();
    Receipt::of(&sandbox).write(&home);
    let log = judged(&home);
    assert!(log.contains("TOO POWERFUL") && log.contains("has no policies"), "{log}");
    assert!(log.contains("homing token issue dev1.dyn.example.com"), "{log}");
    let status = home.run(&["status"]);
    assert!(status.out.contains("token: TOO POWERFUL: has no policies"), "{status:?}");
    assert_eq!(status.code, 77, "there is something narrower");
}

#[test]
fn a_token_without_receipt_is_found_out_by_what_it_is_offered() {
    let (sandbox, home) = unrestricted();
    let log = judged(&home);
    assert!(log.contains("may write NS of dyn.example.com itself"), "{log}");
    let methods = looks(&sandbox);
    assert!(methods.iter().all(|r| matches!(r.method.as_str(), "GET" | "OPTIONS")), "{methods:?}");
    let requests = sandbox.requests();
    let gaps = requests.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    assert!(gaps.into_iter().all(|gap| gap >= Duration::from_millis(95)), "{requests:?}");
}

#[test]
fn a_token_for_a_whole_zone_is_found_out_at_a_neighbour() {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| {
        account.tokens[0].policies.iter_mut().for_each(|policy| {
            policy.subname = policy.subname.take().filter(|_| policy.kind.is_none());
        });
    });
    let log = judged(&home);
    assert!(log.contains("may write A of neighbour.dyn.example.com"), "{log}");
}

#[test]
fn a_token_that_manages_tokens_is_found_out() {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| account.tokens[0].perm_manage_tokens = true);
    let log = judged(&home);
    assert!(log.contains("it can do everything"), "{log}");
    assert_eq!(looks(&sandbox).len(), 1, "nothing else needs to be asked");
}

#[test]
fn a_narrow_token_with_a_receipt_is_narrow_and_is_judged_once() {
    let (sandbox, home) = narrow();
    Receipt::of(&sandbox).write(&home);
    let log = judged(&home);
    assert!(log.contains("debug: the token can change only its hosts"), "{log}");
    let asked = looks(&sandbox).len();
    let status = home.run(&["status"]);
    assert!(status.out.contains("token: narrow (checked "), "{status:?}");
    assert!(status.out.contains("token: never expires"), "{status:?}");
    let config = home.read("config.toml");
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    let daemon = home.daemon();
    daemon.wait_for("198.51.100.8");
    daemon.signal(home::Signal::TERM);
    daemon.end();
    assert_eq!(looks(&sandbox).len(), asked);
}

#[test]
fn a_narrow_token_without_receipt_or_with_another_tokens_is_not_proven() {
    for other in [None, Some("00000000-0000-4000-8000-000000000000".to_owned())] {
        let (sandbox, home) = narrow();
        let is_foreign = other.is_some();
        if is_foreign {
            Receipt { id: other, proven: false, ..Receipt::of(&sandbox) }.write(&home);
        }
        let log = judged(&home);
        assert!(log.contains("rights were not checked"), "{log}");
        let status = home.run(&["status"]);
        let words = "token: its rights were not checked; run `homing token audit \
            dev1.dyn.example.com`";
        assert!(status.out.contains(words), "{status:?}");
        let expiry = if is_foreign {
            "token: never expires"
        } else {
            "token: expiry date unknown \
            (not made by Homing)"
        };
        assert!(status.out.contains(expiry), "{status:?}");
    }
}

#[test]
fn a_look_that_fails_leaves_it_undone_and_the_host_right() {
    let (sandbox, home) = narrow();
    let fault = || Scripted::answer(Answer::nginx(502));
    for _ in 0..2 {
        sandbox.answer_next_at("/api/v1/auth/tokens/", fault());
    }
    let daemon = home.daemon();
    wait_until("look", || looks(&sandbox).len() >= 2, || daemon.log());
    let config = home.read("config.toml");
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(home::Signal::HUP);
    daemon.wait_for("198.51.100.8");
    daemon.signal(home::Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    assert_eq!(looks(&sandbox).len(), 2, "not before a day is over");
    assert_eq!(home.run(&["status"]).code, 0);
    assert!(!home.read("state/state.json").contains("verdict"));
}

#[test]
fn once_looks_at_its_rights_after_a_success_at_most_daily_and_for_a_new_secret() {
    let (sandbox, home) = narrow();
    let to = |address: &str| {
        let config = home.read("config.toml");
        let known = config.split('"').find(|part| part.starts_with("198.51.100.")).unwrap();
        home.configure(&config.replace(known, address));
    };
    sandbox.with_account(|account| account.throttled = false);
    Receipt::of(&sandbox).write(&home);
    once(&home, 0);
    let first = looks(&sandbox);
    assert!(!first.is_empty());
    assert!(first.iter().all(|r| matches!(r.method.as_str(), "GET" | "OPTIONS")), "{first:?}");
    assert!(home.run(&["status"]).out.contains("token: narrow (checked "));
    // Neither without a change nor twice a day.
    once(&home, 0);
    make_older(&home, DAY * 2);
    assert_eq!(once(&home, 0).out, "");
    assert_eq!(looks(&sandbox).len(), first.len());
    sandbox.with_account(|account| account.tokens[0].policies.clear());
    to("198.51.100.8");
    let ran = once(&home, 0);
    let words = "dev1.dyn.example.com: the token is TOO POWERFUL: has no policies";
    assert!(ran.out.contains(words), "{ran:?}");
    assert!(ran.out.contains("fix: run `homing token issue dev1.dyn.example.com`"), "{ran:?}");
    let second = looks(&sandbox).len();
    assert!(second > first.len());
    let status = home.run(&["status"]);
    assert!(status.code == 77 && status.out.contains("token: TOO POWERFUL"), "{status:?}");
    make_older(&home, DAY / 2);
    to("198.51.100.9");
    let ran = once(&home, 0);
    assert!(!ran.out.contains("TOO POWERFUL"), "it is told once: {ran:?}");
    assert_eq!(looks(&sandbox).len(), second);
    // Another receipt is another thing to look at.
    sandbox.with_account(|account| {
        account.tokens.clear();
        account.add_host_token("dev1", SECRET, &[HOST]).unwrap();
    });
    Receipt::of(&sandbox).write(&home);
    touch(&home, 1);
    to("198.51.100.10");
    make_older(&home, Duration::from_secs(600));
    once(&home, 0);
    assert!(looks(&sandbox).len() > second);
    assert_eq!(home.run(&["status"]).code, 0);
}

#[test]
#[cfg(feature = "pages")]
fn status_page_and_metrics_say_the_same_of_a_token_as_status_does() {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| account.throttled = false);
    let files = "[report]\nmetrics-file = \"homing.prom\"\nstatus-page = \"index.html\"\n";
    home.configure(&home.read("config.toml").replacen(
        "[source.here]",
        &format!("{files}[source.here]"),
        1,
    ));
    let check = |code: i32, host_right: &str, word: &str| {
        assert_eq!(home.run(&["status"]).code, code);
        let metrics = home.read("homing.prom");
        let host = format!("{{host=\"{HOST}\",provider=\"sandbox\"}}");
        for line in [
            format!("homing_host_right{host} {host_right}"),
            format!("homing_host_exit_code{host} {code}"),
        ] {
            assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
        }
        let page = home.read("index.html");
        assert!(page.contains(&format!(">{word}</span>")), "{word}: {page}");
        page
    };
    Receipt::of(&sandbox).write(&home);
    let daemon = home.daemon();
    let waits = |word: &str| {
        wait_until(word, || home.read("index.html").contains(word), || daemon.log());
    };
    wait_until("verdict", || home.read("state/state.json").contains("verdict"), || daemon.log());
    waits(">right</span>");
    assert!(!check(0, "1", "right").contains("Token: "));
    // An audit found more, which changes the receipt and not the state.
    let receipt = home.read("token.receipt");
    let beyond = "\"too-powerful\":\"may write TXT of dyn.example.com itself\",\"proven\"";
    home.write("token.receipt", &receipt.replace("\"proven\"", beyond), 0o600);
    waits("TOO POWERFUL");
    let page = check(77, "0", "rejected");
    daemon.signal(home::Signal::TERM);
    daemon.end();
    assert!(
        page.contains("Token: TOO POWERFUL: may write TXT of dyn.example.com itself"),
        "{page}"
    );
}

#[test]
fn once_of_a_strict_host_ends_with_77_once_its_token_is_known_to_do_too_much() {
    let (sandbox, home) = unrestricted();
    Receipt::of(&sandbox).write(&home);
    strict(&home);
    let ran = once(&home, 0);
    assert!(ran.out.contains("the token is TOO POWERFUL: has no policies"), "{ran:?}");
    let ran = once(&home, 77);
    assert!(ran.out.contains("rejected, the token is too powerful"), "{ran:?}");
    assert_eq!(sandbox.updates().len(), 1);
}

#[test]
fn a_look_of_once_that_fails_rests_for_a_day_and_leaves_the_host_right() {
    let (sandbox, home) = narrow();
    for _ in 0..2 {
        let fault = Scripted::answer(Answer::nginx(502));
        sandbox.answer_next_at("/api/v1/auth/tokens/", fault);
    }
    let ran = once(&home, 0);
    assert!(!ran.out.contains("token"), "{ran:?}");
    let failed = looks(&sandbox).len();
    assert_eq!(failed, 2, "asked again at once after a fault of the server's");
    make_older(&home, Duration::from_secs(600));
    let config = home.read("config.toml");
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    once(&home, 0);
    assert_eq!(looks(&sandbox).len(), failed);
}

#[test]
fn a_revoked_token_is_told_by_its_receipt() {
    let (sandbox, home) = narrow();
    let all = Token::management("all", "s3cret-of-all");
    sandbox.with_account(|account| account.tokens.push(all));
    home.secret("management", "s3cret-of-all");
    Receipt::of(&sandbox).write(&home);
    once(&home, 0);
    let text = home
        .read("token.receipt")
        .replace("\"whatever\"", &format!("{:?}", sandbox.url() + "/api/v1"));
    home.write("token.receipt", &text, 0o600);
    let management = home.path("management");
    let revoke = ["token", "revoke", HOST, "--management-token-file", management.to_str().unwrap()];
    assert_eq!(home.run(&revoke).code, 0);
    let (status, json) = (home.run(&["status"]), home.run(&["status", "--json"]));
    assert!(status.out.contains("token: revoked "), "{status:?}");
    assert!(!status.out.contains("never expires"), "{status:?}");
    assert_eq!((status.code, json.code), (77, 77));
    assert!(json.out.contains("\"rights\":\"revoked\",\"revoked\":\"20"), "{json:?}");
    let check = home.run(&["check"]);
    let words = "dev1.dyn.example.com: its token was revoked ";
    assert!(check.code == 78 && check.out.contains(words), "{check:?}");
    assert_eq!(home.run(&revoke).code, 0, "twice is as once");
}

#[test]
fn a_status_shows_the_last_use_and_when_the_token_lapses() {
    let (sandbox, home) = narrow();
    Receipt { max_unused: Some("30days"), ..Receipt::of(&sandbox) }.write(&home);
    assert!(!home.run(&["status"]).out.contains("last used"));
    once(&home, 0);
    make_older(&home, DAY);
    let status = home.run(&["status"]);
    let words = "token: never expires; last used 1day";
    assert!(status.out.contains(words) && status.out.contains("; expires in 2"), "{status:?}");
    let json = home.run(&["status", "--json"]);
    assert!(json.out.contains("\"last-used\":\"20"), "{json:?}");
    assert!(json.out.contains("\"idle-end\":\"20"), "{json:?}");
}

#[test]
fn a_strict_host_sends_nothing_until_its_token_is_proven() {
    let (sandbox, home) = narrow();
    strict(&home);
    let ran = once(&home, 77);
    assert!(ran.out.contains("rights were not checked: there is no receipt"), "{ran:?}");
    assert!(ran.out.contains("fix: run `homing token audit dev1.dyn.example.com`"), "{ran:?}");
    let again = once(&home, 77);
    assert_eq!((again.out.as_str(), again.err.as_str()), ("", ""), "it is told once");
    let (check, status) = (home.run(&["check"]), home.run(&["status"]));
    assert!(check.out.contains("the token's rights were not checked"), "{check:?}");
    assert!(status.out.contains("the token's rights were not checked"), "{status:?}");
    assert_eq!((check.code, status.code), (0, 77));
    for receipt in [
        Receipt { proven: false, ..Receipt::of(&sandbox) },
        Receipt { secret: "another", ..Receipt::of(&sandbox) },
    ] {
        receipt.write(&home);
        once(&home, 77);
    }
    assert_eq!(sandbox.requests().len(), 0);
    Receipt::of(&sandbox).write(&home);
    once(&home, 0);
    assert_eq!(sandbox.updates().len(), 1);
    assert_eq!(home.run(&["status"]).code, 0);
    std::fs::rename(home.path("token.receipt"), home.path("elsewhere")).unwrap();
    once(&home, 77);
    std::fs::rename(home.path("elsewhere"), home.path("token.receipt")).unwrap();
    assert_eq!(once(&home, 0).out, "");
    assert_eq!(home.run(&["status"]).code, 0);
    assert_eq!(sandbox.updates().len(), 1);
}

#[test]
fn a_strict_host_stops_when_its_token_turns_out_to_be_too_powerful() {
    let (sandbox, home) = unrestricted();
    Receipt::of(&sandbox).write(&home);
    strict(&home);
    judged(&home);
    let ran = once(&home, 77);
    assert!(ran.out.contains("the token is too powerful: has no policies"), "{ran:?}");
    assert!(ran.out.contains("fix: run `homing token issue dev1.dyn.example.com`"), "{ran:?}");
    let config = home.read("config.toml");
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    once(&home, 77);
    assert_eq!(sandbox.updates().len(), 1);
    touch(&home, 1);
    once(&home, 0);
}

#[test]
fn a_host_that_is_strict_no_more_goes_on() {
    let (_sandbox, home) = narrow();
    strict(&home);
    once(&home, 77);
    home.configure(&home.read("config.toml").replace("strict-token = true", ""));
    once(&home, 0);
}

#[test]
fn a_park_ends_when_the_receipt_is_written_or_confirmed() {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| {
        account.throttled = false;
        account.tokens[0].policies.truncate(1);
    });
    let config = home.read("config.toml");
    home.configure(&config.replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
    once(&home, 77);
    let asked = sandbox.updates().len();
    once(&home, 77);
    assert_eq!(sandbox.updates().len(), asked);
    Receipt::of(&sandbox).write(&home);
    once(&home, 77);
    assert!(sandbox.updates().len() > asked);
    sandbox.with_account(|account| account.tokens[0].secret = "elsewhere".to_owned());
    touch(&home, 1);
    once(&home, 77);
    let refused = sandbox.updates().len();
    once(&home, 77);
    assert_eq!(sandbox.updates().len(), refused, "parked by a 401 now");
    sandbox.with_account(|account| {
        account.tokens.clear();
        account.add_host_token("dev1", SECRET, &[HOST]).unwrap();
    });
    touch(&home, 60);
    once(&home, 0);
}

#[test]
fn a_token_that_is_issued_serves_a_strict_host_at_once() {
    let (sandbox, home) = narrow();
    sandbox.with_account(|account| account.tokens.push(Token::management("all", "s3cret-of-all")));
    home.secret("management", "s3cret-of-all");
    home.secret("token", "no token at all");
    once(&home, 77);
    strict(&home);
    let management = home.path("management");
    let issued = home.run(&[
        "token",
        "issue",
        HOST,
        "--management-token-file",
        management.to_str().unwrap(),
    ]);
    assert_eq!(issued.code, 0, "{issued:?}");
    once(&home, 0);
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"]);
    let status = home.run(&["status"]).out;
    assert!(status.contains("token: narrow (checked by"), "{status}");
    assert_eq!(status.matches("narrow").count(), 1, "{status}");
}

#[test]
fn a_token_that_was_silent_for_a_week_is_kept_alive() {
    let (sandbox, home) = narrow();
    once(&home, 0);
    make_older(&home, DAY * 6);
    once(&home, 0);
    assert_eq!(greetings(&sandbox), 0);
    make_older(&home, DAY);
    let ran = once(&home, 0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(greetings(&sandbox), 1);
    once(&home, 0);
    assert_eq!((greetings(&sandbox), sandbox.updates().len()), (1, 1));
}

#[test]
fn a_shorter_limit_lets_it_speak_sooner_and_so_does_a_daemon() {
    let (sandbox, home) = narrow();
    Receipt { max_unused: Some("6days"), ..Receipt::of(&sandbox) }.write(&home);
    once(&home, 0);
    make_older(&home, DAY);
    once(&home, 0);
    assert_eq!(greetings(&sandbox), 0);
    // A little before it is due: the daemon wakes for it, long before its poll.
    make_older(&home, Duration::from_secs(24 * 60 * 60 - 4));
    let daemon = home.daemon();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(greetings(&sandbox), 0);
    wait_until("greeting", || greetings(&sandbox) == 1, || daemon.log());
}

#[test]
fn an_idle_round_writes_nothing() {
    let (_sandbox, home) = narrow();
    once(&home, 0);
    let state = home.read("state/state.json");
    once(&home, 0);
    assert_eq!(home.read("state/state.json"), state);
}

#[test]
fn a_greeting_that_fails_is_repeated_after_an_hour_and_no_fault_of_the_host() {
    let (sandbox, home) = narrow();
    once(&home, 0);
    make_older(&home, DAY * 8);
    for _ in 0..2 {
        sandbox.answer_next_at("/api/v1/", Scripted::answer(Answer::nginx(502)));
    }
    for _ in 0..3 {
        let ran = once(&home, 0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    }
    assert_eq!(greetings(&sandbox), 2, "one, repeated at once after a fault of the server");
    make_older(&home, Duration::from_secs(3601));
    once(&home, 0);
    assert_eq!(greetings(&sandbox), 3);
}

#[test]
fn a_refused_greeting_parks_as_a_refused_update_does() {
    let (sandbox, home) = narrow();
    once(&home, 0);
    make_older(&home, DAY * 8);
    sandbox.with_account(|account| account.tokens.clear());
    let ran = once(&home, 77);
    assert!(ran.out.contains("the credential is refused"), "{ran:?}");
    assert!(ran.out.contains("fix: put a valid token"), "{ran:?}");
    make_older(&home, DAY * 8);
    let again = once(&home, 77);
    assert_eq!((again.out.as_str(), greetings(&sandbox)), ("", 1));
}

#[test]
fn an_end_is_warned_of_once_and_shown() {
    let (sandbox, home) = narrow();
    let receipt = || Receipt { max_age: Some("30days 1h"), ..Receipt::of(&sandbox) };
    Receipt { age: DAY * 20, ..receipt() }.write(&home);
    let ran = once(&home, 0);
    assert!(ran.out.contains("dev1.dyn.example.com: token: expires in 10 days (20"), "{ran:?}");
    assert!(ran.out.contains("fix: run `homing token rotate dev1.dyn.example.com`"), "{ran:?}");
    assert_eq!(once(&home, 0).out, "");
    let (status, json) = (home.run(&["status"]), home.run(&["status", "--json"]));
    assert!(status.out.contains("token: expires in 10 days (20"), "{status:?}");
    assert!(json.out.contains("\"expires\":\"20"), "{json:?}");
    for (days, age, words) in
        [(8, 28, "expires in 2 days"), (1, 29, "expires in 1day"), (2, 31, "token: expired ")]
    {
        make_older(&home, DAY * days);
        Receipt { age: DAY * age, ..receipt() }.write(&home);
        let ran = once(&home, 0);
        assert!(ran.out.contains(words), "{ran:?}");
        assert_eq!(once(&home, 0).out, "", "once a day");
    }
}

#[test]
fn a_daemon_logs_an_end() {
    let (sandbox, home) = narrow();
    Receipt { age: DAY * 28, max_age: Some("30days 1h"), ..Receipt::of(&sandbox) }.write(&home);
    let daemon = home.daemon();
    daemon.wait_for("the token expires soon");
    daemon.wait_for("homing token rotate dev1.dyn.example.com");
}

#[test]
fn an_end_that_no_receipt_of_this_secret_tells_is_unknown() {
    let (sandbox, home) = narrow();
    Receipt { secret: "another", max_age: Some("30days"), ..Receipt::of(&sandbox) }.write(&home);
    assert!(!once(&home, 0).out.contains("token"));
    let (status, json) = (home.run(&["status"]), home.run(&["status", "--json"]));
    assert!(status.out.contains("token: expiry date unknown (not made by Homing)"), "{status:?}");
    assert!(json.out.contains("\"expires\":null"), "{json:?}");
}

#[test]
fn a_check_tells_which_receipts_are_of_no_use() {
    let (sandbox, home) = narrow();
    assert!(!home.run(&["check"]).out.contains("receipt"));
    Receipt { secret: "another", ..Receipt::of(&sandbox) }.write(&home);
    let fix = "run `homing token issue dev1.dyn.example.com`";
    for (receipt, words) in [
        (None, "belongs to another secret"),
        (Some("{"), "is damaged"),
        (Some("{\"version\": 9}"), "by a later version"),
    ] {
        receipt.iter().for_each(|text| home.write("token.receipt", text, 0o600));
        let ran = home.run(&["check"]);
        let line = ran.out.lines().find(|line| line.contains(words)).unwrap_or_default();
        assert!(line.starts_with(HOST) && line.ends_with(fix), "{ran:?}");
        assert_eq!(ran.code, 0);
    }
    Receipt::of(&sandbox).write(&home);
    assert!(!home.run(&["check"]).out.contains("receipt"));
}

#[test]
fn a_receipt_lies_beside_the_file_and_not_beside_a_link_to_it() {
    let (sandbox, home) = narrow();
    Receipt::of(&sandbox).write(&home);
    std::fs::create_dir(home.path("links")).unwrap();
    std::os::unix::fs::symlink(home.path("token"), home.path("links/token")).unwrap();
    let config = home.read("config.toml");
    home.configure(&config.replace("\"token\"", "\"links/token\""));
    strict(&home);
    once(&home, 0);
    assert!(home.run(&["status"]).out.contains("token: never expires"));
}

#[test]
fn no_secret_is_written_down() {
    let (sandbox, home) = narrow();
    let refusal = Answer::text(400, "you sent s3cret-of-dev1");
    sandbox.answer_next_at("/api/v1/auth/tokens/", Scripted::answer(refusal));
    let daemon = home.daemon_with(&["-vvv"]);
    wait_until("look", || !looks(&sandbox).is_empty(), || daemon.log());
    daemon.signal(home::Signal::TERM);
    let log = daemon.log();
    daemon.end();
    assert!(!format!("{log}{}", home.read("state/state.json")).contains("s3cret"), "{log}");
}

#[test]
fn a_refused_token_whose_end_is_known_is_said_to_have_expired() {
    for (max_age, is_over) in [("1h", true), ("30days", false)] {
        let (sandbox, home) = narrow();
        Receipt { max_age: Some(max_age), ..Receipt::of(&sandbox) }.write(&home);
        sandbox.with_account(|account| account.tokens.clear());
        let ran = once(&home, 77);
        let told = "the token expired at 20";
        assert_eq!(ran.out.contains(told), is_over, "{ran:?}");
        assert_eq!(home.run(&["status"]).out.contains(told), is_over);
    }
}
