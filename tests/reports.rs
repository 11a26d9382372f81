//! Reports: what people and programs are told of a problem, by the daemon and from cron.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::time::{Duration, Instant};

use crate::support::{home, sandbox};
use home::{DEV1, Home, Signal, wait_until};
use sandbox::{Account, Answer, Sandbox, Scripted};

/// Writes down what it was told, a line for each run.
const TELL: &str = "#!/bin/sh\n\
    echo \"$HOMING_EVENT|$HOMING_HOST|$HOMING_OUTCOME|$HOMING_IPV4|$HOMING_REASON|$HOMING_FIX\" >>DIR/told\n\
    env | cut -d= -f1 | sort >DIR/names\n\
    env >>DIR/all\n";

/// A host at a sandbox, a program that writes down what it is told, and these further reports.
fn one_host(more: &str) -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    for name in ["dev1", "dev2"] {
        let host = format!("{name}.dyn.example.com");
        account.add_host_token(name, &format!("s3cret-of-{name}"), &[&*host]).unwrap();
    }
    account.throttled = false;
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    home.configure(&home.read("config.toml").replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
    let dir = home.path("").display().to_string();
    home.write("tell", &TELL.replace("DIR", dir.trim_end_matches('/')), 0o700);
    add_reports(&home, &format!("on-problem = [\"{dir}tell\"]\n{more}"));
    (sandbox, home)
}

/// Adds a `[report]` with these settings.
fn add_reports(home: &Home, settings: &str) {
    let config = home.read("config.toml");
    home.configure(&config.replacen(
        "[source.here]",
        &format!("[report]\n{settings}\n[source.here]"),
        1,
    ));
}

/// What the program was told: event, host, outcome, the address that is set, reason and fix.
fn told(home: &Home) -> Vec<Vec<String>> {
    let line = |line: &str| line.split('|').map(str::to_owned).collect();
    home.read("told").lines().map(line).collect()
}

#[track_caller]
fn once(home: &Home, code: i32) -> home::Ran {
    let ran = home.once();
    assert_eq!(ran.code, code, "{ran:#?}");
    ran
}

#[test]
fn a_rejection_is_told_once_whatever_the_number_of_runs_and_so_is_its_end() {
    let (_sandbox, home) = one_host("");
    once(&home, 0);
    assert_eq!(told(&home), [[""; 0]; 0], "nothing to tell of a host that is right");
    home.secret("token", "wr0ng-secret");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    for _ in 0..3 {
        once(&home, 77);
    }
    let [problem] = &told(&home)[..] else { panic!("{:?}", told(&home)) };
    assert_eq!(problem[..4], ["problem", "dev1.dyn.example.com", "rejected", "198.51.100.7"]);
    assert!(problem[4].starts_with("the credential is refused"), "{problem:?}");
    assert!(problem[5].starts_with("put a valid token"), "{problem:?}");
    home.secret("token", "s3cret-of-dev1");
    for _ in 0..2 {
        once(&home, 0);
    }
    let all = told(&home);
    let expect = ["recovered", "dev1.dyn.example.com", "updated", "198.51.100.8", "", ""];
    assert_eq!((all.len(), &all[1][..]), (2, &expect.map(str::to_owned)[..]));
    assert!(home.read("all").contains("HOMING_OLD_IPV4=198.51.100.7\n"));
    assert!(!home.read("all").contains("s3cret") && !home.read("all").contains("wr0ng"));
    let names = home.read("names");
    let names = names.lines().filter(|name| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name));
    let expect = "HOMING_EVENT HOMING_FIX HOMING_HOST HOMING_IPV4 HOMING_IPV6 HOMING_OLD_IPV4 \
                  HOMING_OLD_IPV6 HOMING_OUTCOME HOMING_PROVIDER HOMING_REASON PATH";
    assert_eq!(names.collect::<Vec<_>>().join(" "), expect);
}

#[test]
fn a_deferral_is_told_when_it_has_lasted_and_a_restart_tells_it_no_second_time() {
    let (sandbox, home) = one_host("problem-after = \"2s\"\n");
    let fault = || Scripted::answer(Answer::text(503, "try later"));
    (0..50).for_each(|_| sandbox.answer_next(fault()));
    let daemon = home.daemon();
    daemon.wait_for("update deferred");
    assert_eq!(told(&home).len(), 0, "{}", daemon.log());
    wait_until("word", || told(&home).len() == 1, || daemon.log());
    assert_eq!(told(&home)[0][..3], ["problem", "dev1.dyn.example.com", "deferred"]);
    assert_ne!(told(&home)[0][5], "");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    let daemon = home.daemon();
    daemon.wait_for("update deferred");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    assert_eq!(told(&home).len(), 1, "a restart");
}

#[test]
fn a_program_that_hangs_delays_neither_an_update_nor_the_end() {
    let (sandbox, home) = one_host("");
    let hosts = DEV1.replace("dev1", "dev2").replace("\"token\"", "\"token2\"");
    let config = format!("{}{hosts}", home.read("config.toml"));
    let tell = format!("{}", home.path("tell").display());
    home.configure(&config.replace(&format!("[\"{tell}\"]"), "[\"sleep\", \"60\"]"));
    home.secret("token", "wrong");
    home.secret("token2", "s3cret-of-dev2");
    let daemon = home.daemon();
    daemon.wait_for("update rejected");
    let log = || daemon.log();
    wait_until("update", || sandbox.records("dev2.dyn.example.com", "A").len() == 1, log);
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(Signal::HUP);
    let is_set = || sandbox.records("dev2.dyn.example.com", "A") == ["198.51.100.8"];
    wait_until("second update", is_set, log);
    daemon.signal(Signal::TERM);
    let (code, took) = daemon.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_program_that_fails_is_warned_of_once() {
    let (_sandbox, home) = one_host("");
    let ran = home.path("ran");
    let script = format!("#!/bin/sh\necho $HOMING_EVENT >>{}\nexit 3\n", ran.display());
    home.write("tell", &script, 0o700);
    home.secret("token", "wrong");
    let daemon = home.daemon();
    daemon.wait_for("on-problem failed");
    home.secret("token", "s3cret-of-dev1");
    daemon.wait_for("updated");
    home.secret("token", "wrong");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(Signal::HUP);
    let has_run = || home.read("ran") == "problem\nrecovered\nproblem\n";
    wait_until("third run", has_run, || format!("{}{}", home.read("ran"), daemon.log()));
    daemon.signal(Signal::TERM);
    let log = daemon.log();
    assert_eq!(daemon.end().0, 0);
    assert_eq!(log.matches("on-problem failed").count(), 1, "{log}");
    assert!(log.contains("tell failed (exit status: 3)"), "{log}");
}

#[test]
fn once_says_that_its_program_failed_and_ends_as_it_would_without() {
    let (_sandbox, home) = one_host("");
    home.write("tell", "#!/bin/sh\nexit 3\n", 0o700);
    home.secret("token", "wrong");
    let ran = once(&home, 77);
    assert!(ran.err.contains("warning: on-problem: "), "{ran:?}");
    assert!(ran.err.contains("run the on-problem program by hand"), "{ran:?}");
    assert_eq!(once(&home, 77).err, "");
}

#[test]
fn a_signal_ends_a_run_that_waits_for_a_program() {
    let (_sandbox, home) = one_host("");
    home.write("tell", "#!/bin/sh\nsleep 60\n", 0o700);
    home.secret("token", "wrong");
    let run = home.command(&["--once"]).spawn().unwrap();
    let is_saved = || home.read("state/state.json").contains("\"problem\"");
    wait_until("state", is_saved, || home.read("state/state.json"));
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let ran = home::Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 77, "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
