//! What many hosts with one credential cost the server that refuses it, and how often a host asks that
//! has much to say: the real binary against real and pretended servers.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::process::Child;
use std::time::Duration;

use crate::support::{home, name_servers, rails, sandbox};
use home::{Home, Ran, Signal, wait_until};
use name_servers::{Grant, Kind, NameServer, SECRET, ZONE, lacking};
use rails::{Rails, Release, World};
use sandbox::{Account, Answer, Sandbox, Scripted};
use serde_json::Value;

/// A deSEC that knows no host, or whatever answers what it is told to.
fn sandbox() -> Sandbox {
    let mut account = Account::new("owner@example.com");
    account.add_zone(ZONE);
    Sandbox::start(account).unwrap()
}

/// `count` hosts with a source of their own each, a file that is not there yet. `secret` is the line
/// that names the secret of the host with that number.
fn lot(provider: &str, count: usize, secret: impl Fn(usize) -> String) -> Home {
    let mut config = format!("[provider.own]\n{provider}\n");
    for n in 0..count {
        let secret = secret(n);
        write!(
            config,
            "[source.s{n}]\nfile = \"seen{n}\"\nallow-private = true\n\n\
             [[host]]\nname = \"h{n}.{ZONE}\"\nprovider = \"own\"\n{secret}\n\
             ipv4 = \"s{n}\"\nipv6 = \"off\"\n\n"
        )
        .unwrap();
    }
    Home::new(&config)
}

/// Lets the host with that number see another address.
fn see(home: &Home, host: usize, address: usize) {
    let (high, low) = (address / 250, address % 250 + 1);
    home.write(&format!("seen{host}"), &format!("198.18.{high}.{low}\n"), 0o644);
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &str) {
    assert!(ran.code == code && format!("{}{}", ran.out, ran.err).contains(words), "{ran:#?}");
}

fn status(home: &Home) -> Vec<Value> {
    let ran = home.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    status["hosts"].as_array().unwrap().clone()
}

/// Lets `count` hosts see an address one after another, each in a run of its own. After the first
/// one's run nothing is asked any more, and all are parked.
#[track_caller]
fn one_refusal_is_enough(home: &Home, count: usize, mut after_the_first: impl FnMut()) {
    see(home, 0, 0);
    expect(&home.once(), 77, "the credential is refused");
    after_the_first();
    for n in 1..count {
        see(home, n, n);
        expect(&home.once(), 77, "");
    }
    for host in status(home) {
        let hold = (&host["hold"]["kind"], &host["hold"]["reason"], &host["outcome"]);
        assert_eq!(hold, (&"rejected".into(), &"credential".into(), &"rejected".into()), "{host}");
    }
}

/// The same password in two files, and inline.
fn password(n: usize) -> String {
    let place = match n % 3 {
        0 => "password-file = \"one\"",
        1 => "password-file = \"two\"",
        _ => "password = \"s3cret\"",
    };
    format!("username = \"me\"\n{place}")
}

#[test]
fn a_refused_password_is_asked_about_once_whoever_uses_it() {
    for count in [7, 50] {
        for answer in [
            Answer::text(200, "badauth"),
            Answer::text(401, "no").with("WWW-Authenticate", "Basic"),
            Answer::text(200, "badagent"),
        ] {
            let sandbox = sandbox();
            for _ in 0..count {
                let path = "/nic/update";
                sandbox.answer_next_at(path, Scripted::answer(answer.clone()));
            }
            let provider = format!("protocol = \"dyndns2\"\nserver = \"{}\"", sandbox.url());
            let home = lot(&provider, count, password);
            ["one", "two"].iter().for_each(|file| home.secret(file, "s3cret"));
            see(&home, 0, 0);
            assert_eq!(home.once().code, 77);
            for n in 1..count {
                see(&home, n, n);
                assert_eq!(home.once().code, 77);
            }
            assert_eq!(sandbox.requests().len(), 1, "{count} hosts, {answer:?}");
            assert!(status(&home).iter().all(|host| host["hold"]["kind"] == "rejected"));
            // Another secret is another matter, for those that have it.
            home.secret("two", "an0ther");
            sandbox.clear_scripts();
            sandbox.answer_next_at("/nic/update", Scripted::answer(Answer::text(200, "good")));
            assert_eq!(home.once().code, 77);
            assert!(sandbox.requests().len() > 1);
        }
    }
}

#[test]
fn a_refused_desec_token_is_asked_about_once() {
    let sandbox = sandbox();
    let provider = format!("protocol = \"desec\"\nserver = \"{}\"", sandbox.url());
    let home = lot(&provider, 7, |_| "token-file = \"token\"".to_owned());
    home.secret("token", "wrong");
    one_refusal_is_enough(&home, 7, || assert_eq!(sandbox.requests().len(), 1));
    assert_eq!(sandbox.requests().len(), 1);
    // All at once are no more.
    assert_eq!(home.run(&["--once", "--retry-rejected"]).code, 77);
    assert_eq!(sandbox.requests().len(), 2);
}

#[test]
fn a_refused_key_is_asked_about_once() {
    let name = "a_refused_key_is_asked_about_once";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(name, lacking);
    }
    for count in [7, 50] {
        let mut server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &[])]);
        let provider =
            format!("protocol = \"rfc2136\"\nserver = \"{}\"\nzone = \"{ZONE}\"", server.address());
        let home = lot(&provider, count, |n| format!("key-file = \"key{}\"", n % 2));
        let wrong = Grant { secret: SECRET.replace('a', "b"), ..Grant::of("dev1", &[]) };
        [0, 1].iter().for_each(|n| home.write(&format!("key{n}"), &wrong.key_file(), 0o600));
        // Whoever asked after the first would not be refused, but find nobody.
        one_refusal_is_enough(&home, count, || server.stop());
    }
}

#[test]
fn a_refused_rails_token_is_asked_about_once() {
    for count in [7, 50] {
        let mut world = World::new(Release::Later);
        world.add_domain(ZONE);
        for n in 0..count {
            world.add_record(&format!("h{n}.{ZONE}"), "A", "192.0.2.1");
        }
        let rails = Rails::start(world).unwrap();
        let provider = format!(
            "protocol = \"powerdns-on-rails\"\nserver = \"{}\"\nzone = \"{ZONE}\"",
            rails.url()
        );
        let home = lot(&provider, count, |_| "token-file = \"token\"".to_owned());
        home.secret("token", "0123456789abcdef0123456789abcdef");
        let mut asked = 0;
        one_refusal_is_enough(&home, count, || asked = rails.requests().len());
        assert_eq!((asked, rails.requests().len()), (1, 1), "{:?}", rails.asked());
    }
}

#[test]
fn a_reload_in_a_loop_asks_about_a_refused_password_once_a_minute_at_most() {
    let sandbox = sandbox();
    let provider = format!("protocol = \"desec\"\nserver = \"{}\"", sandbox.url());
    let home = lot(&provider, 1, |_| "token-file = \"token\"".to_owned());
    home.secret("token", "wrong");
    see(&home, 0, 0);
    let daemon = home.daemon();
    daemon.wait_for("the round is over");
    for n in 1..=5 {
        daemon.signal(Signal::HUP);
        daemon.wait_until("round", |log| log.matches("the round is over").count() > n);
    }
    assert_eq!(sandbox.requests().len(), 1, "{}", daemon.log());
    let host = status(&home).remove(0);
    assert!(host["hold"]["until"].is_string(), "asked again when a minute is over: {host}");
}

/// A run that is killed while its answer is due.
fn killed(home: &Home, sandbox: &Sandbox) {
    let before = sandbox.requests().len();
    let late = Scripted::genuine().after(Duration::from_secs(30));
    sandbox.answer_next_at("/nic/update", late);
    let mut run: Child = home.command(&["--once"]).spawn().unwrap();
    let asked = || sandbox.requests().len() > before;
    wait_until("request", asked, || home.read("state/state.json"));
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn whoever_is_killed_while_the_answer_is_due_does_not_ask_at_every_start() {
    let sandbox = sandbox();
    let provider =
        format!("protocol = \"dyndns2\"\nserver = \"{}\"\npace = \"off\"", sandbox.url());
    let home = lot(&provider, 1, password);
    home.secret("one", "s3cret");
    see(&home, 0, 0);
    killed(&home, &sandbox);
    killed(&home, &sandbox);
    assert_eq!(sandbox.requests().len(), 2);
    for _ in 0..3 {
        expect(&home.once(), 75, "");
    }
    assert_eq!(sandbox.requests().len(), 2);
    sandbox.clear_scripts();
    sandbox.answer_next_at("/nic/update", Scripted::answer(Answer::text(200, "good")));
    expect(&home.run(&["--once", "--retry-rejected"]), 0, "updated");
    assert!(!home.read("state/state.json").contains("under-way"));
}

/// A dyndns2 service that says `good` to everything, with `more` in its entry, and `count` hosts there.
fn good(more: &str, count: usize) -> (Sandbox, Home) {
    let sandbox = sandbox();
    for _ in 0..60 {
        sandbox.answer_next_at("/nic/update", Scripted::answer(Answer::text(200, "good")));
    }
    let provider = format!("protocol = \"dyndns2\"\nserver = \"{}\"\n{more}", sandbox.url());
    let home = lot(&provider, count, password);
    ["one", "two"].iter().for_each(|file| home.secret(file, "s3cret"));
    (sandbox, home)
}

#[test]
fn each_host_of_dyndns2_is_updated_six_times_in_five_minutes_and_the_last_address_wins() {
    for (more, each) in [("", 1), ("one-family = true", 1)] {
        let (sandbox, home) = good(more, 2);
        see(&home, 1, 100);
        for address in 0..8 {
            see(&home, 0, address);
            let ran = home.once();
            assert_eq!(ran.code, if address < 6 { 0 } else { 75 }, "{address}: {ran:?}");
        }
        // The other one had its own first update beside it.
        let asked = sandbox.requests();
        assert_eq!(asked.len(), 7 * each, "{asked:?}");
        assert_eq!(asked.last().unwrap().parameter("myip"), Some("198.18.0.6"));
        // One that waits keeps nobody else waiting.
        see(&home, 1, 101);
        expect(&home.once(), 75, "h1.dyn.example.com: updated");
        assert_eq!(status(&home)[0]["ipv4"]["set"][0], "198.18.0.6");
    }
}

#[test]
fn sixty_hosts_with_a_change_each_go_out_at_once_and_a_pace_by_hand_is_the_zones() {
    let (sandbox, home) = good("batch = 1", 60);
    (0..60).for_each(|n| see(&home, n, n));
    expect(&home.once(), 0, "updated");
    assert_eq!(sandbox.requests().len(), 60);
    let (sandbox, home) = good("batch = 1\npace = \"2/5m\"", 3);
    (0..3).for_each(|n| see(&home, n, n));
    expect(&home.once(), 75, "because of the provider's rate limit");
    assert_eq!(sandbox.requests().len(), 2);
}

#[test]
fn what_is_held_back_by_its_pace_is_not_rejected_any_more() {
    let sandbox = sandbox();
    sandbox.answer_next_at("/nic/update", Scripted::answer(Answer::text(200, "badauth")));
    let provider =
        format!("protocol = \"dyndns2\"\nserver = \"{}\"\npace = \"1/1h\"", sandbox.url());
    let home = lot(&provider, 1, password);
    home.secret("one", "s3cret");
    see(&home, 0, 0);
    expect(&home.once(), 77, "the credential is refused");
    expect(&home.run(&["status"]), 77, "the credential is refused");
    expect(&home.run(&["--once", "--retry-rejected"]), 75, "because of the provider's rate limit");
    expect(&home.run(&["status"]), 75, " for the rate limit");
    assert_eq!(sandbox.requests().len(), 1);
}

#[test]
fn a_success_ends_the_wait_of_a_neighbour_whose_server_had_trouble() {
    let (sandbox, home) = good("", 3);
    sandbox.clear_scripts();
    let fault = Scripted::answer(Answer::text(200, "911"));
    sandbox.answer_next_at("/nic/update", fault);
    see(&home, 0, 0);
    expect(&home.once(), 75, "the provider has a fault");
    expect(&home.once(), 75, "");
    assert_eq!(sandbox.requests().len(), 1, "it waits");
    for _ in 0..2 {
        sandbox.answer_next_at("/nic/update", Scripted::answer(Answer::text(200, "good")));
    }
    see(&home, 1, 1);
    // The third host sees nothing yet.
    let ran = home.once();
    expect(&ran, 75, "h0.dyn.example.com: updated");
    assert!(ran.out.contains("h1.dyn.example.com: updated"), "{ran:?}");
    assert_eq!(sandbox.requests().len(), 3);
}

#[test]
fn a_pause_by_the_calendar_is_kept_and_one_that_nobody_asked_for_is_not_called_so() {
    let (sandbox, home) = good("", 1);
    for (answer, longest) in [
        (Answer::text(429, "slow").with("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), true),
        (Answer::text(429, "slow").with("Retry-After", "99999999999999999999999"), true),
        (Answer::text(429, "slow"), false),
    ] {
        sandbox.clear_scripts();
        std::fs::remove_dir_all(home.path("state")).unwrap_or_default();
        sandbox.answer_next_at("/nic/update", Scripted::answer(answer));
        see(&home, 0, 0);
        let ran = home.once();
        expect(&ran, 75, "the provider asks for a pause");
        assert!(!ran.out.contains("as long as the provider asked"), "{ran:?}");
        let host = status(&home).remove(0);
        assert_eq!(host["hold"]["kind"], "throttled");
        let until = host["hold"]["until"].as_str().unwrap().to_owned();
        let in_an_hour = std::time::SystemTime::now() + Duration::from_secs(3600);
        let in_an_hour = humantime::format_rfc3339_seconds(in_an_hour).to_string();
        assert_eq!(until > in_an_hour, longest, "{until}");
    }
}
