//! The main job end to end: the real binary against the sandbox deSEC.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::time::Duration;

use crate::support::{home, sandbox};
use home::{DEV1, Home, wait_until};
use sandbox::{Account, Answer, Sandbox, Scripted};

/// A sandbox with the zone dyn.example.com and a narrow token for each of `hosts`.
fn sandbox(hosts: &[&str]) -> Sandbox {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    for host in hosts {
        let label = host.split('.').next().unwrap();
        account.add_host_token(label, &format!("s3cret-of-{label}"), &[host]).unwrap();
    }
    Sandbox::start(account).unwrap()
}

fn one_host() -> (Sandbox, Home) {
    let sandbox = sandbox(&["dev1.dyn.example.com"]);
    let home = Home::at(&sandbox.url(), DEV1);
    (sandbox, home)
}

/// Adds settings to the provider of `home`.
fn extend_provider(home: &Home, settings: &str) {
    let config = home.read("config.toml");
    home.configure(&config.replace("\"desec\"\n", &format!("\"desec\"\n{settings}")));
}

/// Leaves the account's token nothing but its deny-all default, and lifts the server's limits.
fn take_all_rights(sandbox: &Sandbox) {
    sandbox.with_account(|account| {
        account.throttled = false;
        account.tokens[0].policies.retain(|policy| policy.kind.is_none());
    });
}

/// Runs `--once` with a token that is refused, and replaces its file before the refusal arrives.
#[track_caller]
fn once_with_a_token_replaced_meanwhile(sandbox: &Sandbox, home: &Home) {
    home.secret("token", "old");
    sandbox.answer_next(Scripted::genuine().after(Duration::from_millis(600)));
    let run = home.command(&["--once"]).spawn().unwrap();
    wait_until("request", || sandbox.updates().len() == 1, || format!("{:?}", sandbox.requests()));
    home.secret("token", "s3cret-of-dev1");
    let ran = home::Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[track_caller]
fn check(home: &Home, code: i32) -> home::Ran {
    let ran = home.once();
    assert_eq!(ran.code, code, "{ran:#?}\n{}", home.read("state/state.json"));
    ran
}

#[test]
fn a_first_round_sets_both_records_and_a_second_sends_nothing() {
    let (sandbox, home) = one_host();
    let ran = check(&home, 0);
    assert!(ran.out.contains("updated: IPv4 198.51.100.7, IPv6 2001:db8::7"), "{ran:?}");
    assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["198.51.100.7"]);
    assert_eq!(sandbox.records("dev1.dyn.example.com", "AAAA"), ["2001:db8::7"]);
    let before = sandbox.requests().len();
    let ran = check(&home, 0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(sandbox.requests().len(), before);
}

#[test]
fn a_family_that_is_off_is_preserved() {
    let (sandbox, home) = one_host();
    sandbox.with_account(|a| a.set_records("dev1.dyn.example.com", "AAAA", &["2001:db8::99"], 60));
    let config = home.read("config.toml").replace("ipv6 = \"here\"", "ipv6 = \"off\"");
    home.configure(&config);
    check(&home, 0);
    assert_eq!(sandbox.records("dev1.dyn.example.com", "AAAA"), ["2001:db8::99"]);
    assert_eq!(sandbox.updates()[0].parameter("myipv6"), Some("preserve"));
}

#[test]
fn fifty_runs_with_a_bad_token_make_one_request() {
    let (sandbox, home) = one_host();
    home.secret("token", "wrong");
    let first = check(&home, 77);
    assert!(first.out.contains("the credential is refused"), "{first:?}");
    for _ in 1..50 {
        let ran = check(&home, 77);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    }
    assert_eq!(sandbox.requests().len(), 1);
    home.secret("token", "s3cret-of-dev1");
    check(&home, 0);
    assert_eq!(sandbox.updates().len(), 2);
}

/// What cron's mails would hold of a fault that `break_it` makes and `mend_it` ends: it is told when
/// it begins, and no second time before it was over.
#[track_caller]
fn told_once(home: &Home, (code, words): (i32, &str), break_it: fn(&Home), mend_it: fn(&Home)) {
    for time in ["first", "after it was mended"] {
        break_it(home);
        let ran = check(home, code);
        assert!(ran.out.contains(words) && ran.err.is_empty(), "{time}: {ran:?}");
        for _ in 0..2 {
            let ran = check(home, code);
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{time}: {words}");
        }
        mend_it(home);
        check(home, 0);
    }
}

#[test]
fn cron_mails_of_a_lasting_fault_once() {
    let (_sandbox, home) = one_host();
    let mend = |home: &Home| home.secret("token", "s3cret-of-dev1");
    let remove = |home: &Home| std::fs::remove_file(home.path("token")).unwrap();
    let expose = |home: &Home| home.write("token", "s3cret-of-dev1\n", 0o604);
    // Before anything was set, and after.
    for _ in 0..2 {
        told_once(&home, (78, "left out: "), remove, mend);
        told_once(&home, (78, "is open to others (0604)"), expose, mend);
    }
    remove(&home);
    assert!(check(&home, 78).out.contains("does not exist"));
    expose(&home);
    assert!(check(&home, 78).out.contains("is open to others"), "another problem is news");
    assert!(home.run(&["check"]).out.contains("left out: "), "who asks is always told");
    mend(&home);
    check(&home, 0);

    let config = home.read("config.toml");
    home.configure(&config.replace("token-file = \"token\"", "token-env = \"HOMING_TEST_UNSET\""));
    assert!(check(&home, 78).out.contains("HOMING_TEST_UNSET is not set"));
    assert_eq!(check(&home, 78).out, "");

    home.configure(
        &config
            .replace("static = [\"198.51.100.7\", \"2001:db8::7\"]", "file = \"seen\"")
            .replace("ipv6 = \"here\"", "ipv6 = \"off\""),
    );
    let write = |home: &Home| home.write("seen", "198.51.100.7\n", 0o600);
    let lose = |home: &Home| std::fs::remove_file(home.path("seen")).unwrap();
    write(&home);
    check(&home, 0);
    told_once(&home, (75, "left as it is: "), lose, write);
}

#[test]
fn a_park_ends_on_request() {
    let (sandbox, home) = one_host();
    home.secret("token", "wrong");
    check(&home, 77);
    assert_eq!(home.run(&["--once", "--retry-rejected"]).code, 77);
    assert_eq!(sandbox.requests().len(), 2);
}

#[test]
fn a_lost_answer_is_a_doubt_that_the_next_try_settles() {
    let (sandbox, home) = one_host();
    sandbox.answer_next(Scripted::lost_answer());
    let ran = check(&home, 75);
    assert!(ran.out.contains("could not confirm"), "{ran:?}");
    check(&home, 75);
    assert_eq!(sandbox.updates().len(), 1, "the wait holds over a restart");
    assert_eq!(home.run(&["--once", "--retry-rejected"]).code, 0);
    assert_eq!(sandbox.updates().len(), 2);
}

#[test]
fn retry_after_is_kept_over_restarts_even_on_request() {
    let (sandbox, home) = one_host();
    let answer = Answer::text(429, "Request was throttled. Expected available in 118 seconds.");
    sandbox.answer_next(Scripted::answer(answer.with("Retry-After", "118")));
    check(&home, 75);
    check(&home, 75);
    assert_eq!(home.run(&["--once", "--retry-rejected"]).code, 75);
    assert_eq!(sandbox.updates().len(), 1);
}

#[test]
fn a_page_never_rejects() {
    let (sandbox, home) = one_host();
    for status in [401, 403, 404, 200] {
        sandbox.answer_next(Scripted::answer(Answer::nginx(status)));
        let ran = home.run(&["--once", "--retry-rejected"]);
        assert_eq!(ran.code, 75, "{status}: {ran:?}");
    }
}

#[test]
fn a_token_for_one_family_is_found_out_and_only_the_other_is_parked() {
    let (sandbox, home) = one_host();
    sandbox.with_account(|account| {
        account.throttled = false;
        let token = account.tokens.iter_mut().find(|token| token.name == "dev1").unwrap();
        token.policies.retain(|policy| policy.kind.as_deref() != Some("AAAA"));
    });
    extend_provider(&home, "pace = \"off\"\n");
    let ran = check(&home, 77);
    assert!(ran.out.contains("IPv6: rejected"), "{ran:?}");
    assert_eq!(sandbox.updates().len(), 3, "both, then one by one");
    assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["198.51.100.7"]);
    let asked = sandbox.updates().len();
    check(&home, 77);
    assert_eq!(sandbox.updates().len(), asked);
    let config = home.read("config.toml").replace("198.51.100.7", "198.51.100.8");
    home.configure(&config);
    check(&home, 77);
    assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["198.51.100.8"]);
}

#[test]
fn hosts_of_one_zone_with_their_own_tokens_share_its_pace() {
    let names = ["dev1.dyn.example.com", "dev2.dyn.example.com", "dev3.dyn.example.com"];
    let sandbox = sandbox(&names);
    let host = |n: usize| {
        DEV1.replace("dev1", &format!("dev{n}")).replace("\"token\"", &format!("\"token{n}\""))
    };
    let home = Home::at(&sandbox.url(), &(host(1) + &host(2) + &host(3)));
    for n in 1..=3 {
        home.secret(&format!("token{n}"), &format!("s3cret-of-dev{n}"));
    }
    check(&home, 75);
    let updates = sandbox.updates();
    assert_eq!(updates.len(), 2);
    assert!(updates.iter().all(|update| update.status == Some(200)), "{updates:?}");
    let gaps: Vec<_> =
        sandbox.requests().windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at)).collect();
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(95)), "{gaps:?}");
    check(&home, 75);
    assert_eq!(sandbox.updates().len(), 2, "the third waiting for the rate limit");
}

#[test]
fn hosts_of_one_token_go_in_one_request() {
    let names = ["dev1.dyn.example.com", "www.dyn.example.com"];
    let sandbox = sandbox(&[]);
    sandbox
        .with_account(|account| account.add_host_token("both", "s3cret-of-dev1", &names))
        .unwrap();
    let hosts = DEV1.replace("\"dev1.dyn.example.com\"", &format!("{names:?}"));
    let home = Home::at(&sandbox.url(), &hosts);
    check(&home, 0);
    let updates = sandbox.updates();
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].parameter("hostname"), Some("dev1.dyn.example.com,www.dyn.example.com"));
}

#[test]
fn a_pause_that_one_host_was_asked_for_is_kept_by_its_neighbours_in_the_same_round() {
    let names = ["dev1.dyn.example.com", "dev2.dyn.example.com"];
    let sandbox = sandbox(&names);
    let second = DEV1.replace("dev1", "dev2").replace("\"token\"", "\"token2\"");
    let home = Home::at(&sandbox.url(), &(DEV1.to_owned() + &second));
    home.secret("token2", "s3cret-of-dev2");
    let answer = Answer::text(429, "Request was throttled. Expected available in 100 seconds.");
    sandbox.answer_next(Scripted::answer(answer.with("Retry-After", "100")));
    check(&home, 75);
    assert_eq!(sandbox.updates().len(), 1);
}

#[test]
fn narrowing_keeps_the_gap_between_requests() {
    let (sandbox, home) = one_host();
    take_all_rights(&sandbox);
    extend_provider(&home, "pace = \"off\"\n");
    check(&home, 77);
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    for pair in requests.windows(2) {
        assert!(pair[1].at.saturating_sub(pair[0].at) >= Duration::from_millis(95), "{pair:?}");
    }
}

#[test]
fn a_secret_that_the_server_repeats_is_not_written_down() {
    let (sandbox, home) = one_host();
    sandbox.answer_next(Scripted::answer(Answer::text(400, "you sent s3cret-of-dev1")));
    sandbox.answer_next(Scripted::answer(Answer::text(400, "you sent s3cret-of-dev1")));
    let ran = check(&home, 77);
    assert!(!format!("{ran:?}{}", home.read("state/state.json")).contains("s3cret"), "{ran:?}");
}

#[test]
fn a_token_file_that_is_replaced_while_it_is_refused_is_used_at_once() {
    let (sandbox, home) = one_host();
    once_with_a_token_replaced_meanwhile(&sandbox, &home);
    assert_eq!(sandbox.updates().len(), 2);
}

#[test]
fn a_renewed_token_file_serves_every_host_that_uses_it() {
    let names = ["dev1.dyn.example.com", "www.dyn.example.com"];
    let sandbox = sandbox(&[]);
    sandbox.with_account(|account| {
        account.throttled = false;
        account.add_host_token("both", "s3cret-of-dev1", &names).unwrap();
    });
    let hosts = DEV1.replace("\"dev1.dyn.example.com\"", &format!("{names:?}"));
    let home = Home::at(&sandbox.url(), &format!("{hosts}zone = \"dyn.example.com\"\n"));
    extend_provider(&home, "pace = \"off\"\nbatch = 1\n");
    once_with_a_token_replaced_meanwhile(&sandbox, &home);
    let updates = sandbox.updates();
    assert_eq!(updates.len(), 3, "{updates:?}");
    let gaps = updates.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    assert!(gaps.into_iter().all(|gap| gap >= Duration::from_millis(95)), "{updates:?}");
}

#[test]
fn retrying_on_request_asks_for_both_families_again() {
    let (sandbox, home) = one_host();
    take_all_rights(&sandbox);
    extend_provider(&home, "pace = \"off\"\n");
    check(&home, 77);
    let asked = sandbox.updates().len();
    let ran = home.run(&["--once", "--retry-rejected"]);
    assert_eq!(ran.code, 77);
    assert!(ran.out.contains("IPv4: rejected") && ran.out.contains("IPv6: rejected"), "{ran:?}");
    let families: Vec<_> = sandbox.updates()[asked..]
        .iter()
        .map(|update| update.parameter("myipv6") == Some("preserve"))
        .collect();
    assert!(families.contains(&true) && families.contains(&false), "{families:?}");
}

#[test]
fn a_hook_is_told_once_and_finds_the_state_saved() {
    let (_sandbox, home) = one_host();
    let program = home.path("hook");
    let said = home.path("said");
    let script = format!(
        "#!/bin/sh\necho $HOMING_HOST $HOMING_IPV4 $HOMING_IPV6 >>{0}\n\
         grep -c confirmed {1} >>{0}\nyes | head -c 100000\n",
        said.display(),
        home.path("state/state.json").display()
    );
    home.write("hook", &script, 0o700);
    let config = home.read("config.toml");
    home.configure(&format!("{config}on-change = [\"{}\"]\n", program.display()));
    let ran = check(&home, 0);
    assert_eq!(ran.err, "");
    assert_eq!(home.read("said"), "dev1.dyn.example.com 198.51.100.7 2001:db8::7\n2\n");
}

#[test]
fn a_hook_that_hangs_does_not_swallow_the_report() {
    let (sandbox, home) = one_host();
    let config = home.read("config.toml");
    home.configure(&format!("{config}on-change = [\"sleep\", \"60\"]\n"));
    let run = home.command(&["--once"]).spawn().unwrap();
    wait_until("update", || sandbox.updates().len() == 1, || format!("{:?}", sandbox.requests()));
    std::thread::sleep(Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, home::Signal::TERM).unwrap();
    let ran = home::Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("updated: IPv4 198.51.100.7"), "{ran:?}");
}

#[test]
fn the_daemon_retries_reloads_and_leaves() {
    let (sandbox, home) = one_host();
    let daemon = home.daemon();
    wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
    daemon.wait_for("updated");
    let config = home.read("config.toml");
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(home::Signal::HUP);
    wait_until("second update", || sandbox.updates().len() == 2, || daemon.log());
    daemon.wait_for("198.51.100.8");
    home.configure("nonsense = ");
    daemon.signal(home::Signal::HUP);
    daemon.wait_for("the old one stays in force");
    daemon.signal(home::Signal::USR1);
    daemon.signal(home::Signal::TERM);
    let (code, took) = daemon.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5));
}

#[test]
fn a_request_under_way_is_finished_before_leaving() {
    let (sandbox, home) = one_host();
    sandbox.answer_next(Scripted::genuine().after(Duration::from_secs(2)));
    let daemon = home.daemon();
    wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
    daemon.signal(home::Signal::TERM);
    let (code, took) = daemon.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(home.read("state/state.json").contains("\"updated\""));
}

#[test]
fn two_cannot_run_at_once_and_the_second_says_who_does() {
    let (_sandbox, home) = one_host();
    let daemon = home.daemon();
    daemon.wait_for("updated");
    let ran = check(&home, 75);
    assert!(ran.err.contains(&daemon.pid().to_string()), "{ran:?}");
    assert!(home.run(&["status", "--json"]).out.contains("\"daemon\":\"running\""));
}

#[test]
fn nothing_is_sent_when_it_could_not_be_remembered() {
    let (sandbox, home) = one_host();
    let ran = home.run(&["--once", "--state-dir", "/proc/homing"]);
    assert_eq!(ran.code, 75, "{ran:?}");
    assert_eq!(sandbox.requests().len(), 0);
}

#[test]
fn a_secret_is_nowhere_to_be_seen() {
    let (_sandbox, home) = one_host();
    let ran = home.run(&["--once", "-vvv"]);
    let check = home.run(&["check", "-vvv"]);
    let seen = format!("{ran:?}{check:?}{}", home.read("state/state.json"));
    assert!(!seen.contains("s3cret"), "{seen}");
}

#[test]
fn a_dry_run_and_a_check_send_and_save_nothing() {
    let (sandbox, home) = one_host();
    let dry = home.run(&["--once", "--dry-run"]);
    let check = home.run(&["check"]);
    assert!(dry.out.contains("would send IPv4 198.51.100.7"), "{dry:?}");
    assert!(check.out.contains("would send IPv4 198.51.100.7"), "{check:?}");
    assert_eq!(check.code, 0);
    assert_eq!(sandbox.requests().len(), 0);
    assert!(!home.path("state").exists());
}

/// A name server that answers for everything with `address`.
fn name_server(address: fn(&Sandbox) -> [u8; 4], sandbox: &std::sync::Arc<Sandbox>) -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().to_string();
    let sandbox = std::sync::Arc::clone(sandbox);
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // Its question, authoritatively answered by one record with the name of the question.
            let end = 12 + buffer[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let mut answer = buffer[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend_from_slice(&address(&sandbox));
            let _ = socket.send_to(&answer, from);
        }
    });
    at
}

#[test]
fn what_was_stored_and_never_transferred_is_made_a_change() {
    let sandbox = std::sync::Arc::new(sandbox(&["dev1.dyn.example.com"]));
    // Hears of the second address only by a change that comes after it.
    let servers = name_server(
        |sandbox| {
            if sandbox.requests().iter().any(|request| request.method == "PATCH") {
                return [198, 51, 100, 8];
            }
            [198, 51, 100, 7]
        },
        &sandbox,
    );
    let home = Home::at(&sandbox.url(), DEV1);
    extend_provider(&home, "pace = \"off\"\n");
    let more = format!(
        "ipv6 = \"off\"\nverify = true\nverify-servers = [\"{servers}\"]\nverify-timeout = \"1s\"\n"
    );
    let config = home.read("config.toml").replace("ipv6 = \"here\"\n", &more);
    home.configure(&config);
    sandbox.with_account(|account| account.throttled = false);
    check(&home, 0);
    home.configure(&config.replace("198.51.100.7", "198.51.100.8"));
    sandbox.answer_next(Scripted::error_after_commit());
    check(&home, 75);
    let repeat = home.run(&["--once", "--retry-rejected"]);
    assert!(repeat.code == 0 && !repeat.out.contains("somebody"), "{repeat:#?}");
    let patches = || sandbox.requests().iter().filter(|r| r.method == "PATCH").count();
    assert_eq!(patches(), 0, "the servers have not had their time before");
    let third = check(&home, 0);
    assert!(
        third.out.contains("verified at 1 server") && !third.out.contains("somebody"),
        "{third:#?}"
    );
    assert_eq!(patches(), 1);
    let count = sandbox.requests().len();
    check(&home, 0);
    assert_eq!(sandbox.requests().len(), count, "once");
    assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["198.51.100.8"]);
}
