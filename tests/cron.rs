//! `--once` under a real cron, as Debian packages it, with the line from `contrib/cron`.
//!
//! cron runs in a mount namespace with its own tables and its own sendmail, which keeps the mails.
//! It knows no shorter time than a minute, so this takes two of them.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{home, netns, sandbox};
use home::{DEV1, Home};
use sandbox::{Account, Sandbox, Scripted};

const TEST: &str = "cron_mails_what_changed_and_nothing_else";

/// The file that a user copies.
const TABLE: &str = include_str!("../contrib/cron/homing.cron");

/// How long the slow server takes for an update; far more than cron needs to start two commands.
const SLOW: Duration = Duration::from_secs(8);

/// Runs cron on `$0/cron.d` alone, without any table of this machine, and mails into `$0/mails`.
const CRON: &str = r#"
    set -e
    cp "$(command -v cron)" "$0/sbin/cron"
    mount --bind "$0/cron.d" /etc/cron.d
    mount --bind "$0/empty" /var/spool/cron
    mount --bind /dev/null /etc/crontab
    mount -t tmpfs none /run
    mount --bind "$0/sbin" /usr/sbin
    exec /usr/sbin/cron -f
"#;

/// In place of a mail system: each mail becomes a file, whose name is complete when the mail is.
const SENDMAIL: &str = r#"#!/bin/sh
    mail=$(mktemp "DIRECTORY/mails/XXXXXX")
    cat >"$mail" && mv "$mail" "$mail.mail"
"#;

/// A cron that ends with its test.
struct Cron(Child);

impl Drop for Cron {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that knows dev1, and a home with its token.
fn served() -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &["dev1.dyn.example.com"]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    (sandbox, home)
}

/// The shipped table for `home`, every minute and as root; every exit code goes into `codes` there.
fn table(home: &Home) -> String {
    let line = TABLE.lines().last().unwrap();
    assert_eq!(line, "*/5 * * * *  homing  homing --once");
    let codes = home.path("codes");
    let line = line.replace("*/5", "*").replace("  homing  ", "  root  ");
    let path = Path::new(env!("CARGO_BIN_EXE_homing")).parent().unwrap();
    format!(
        "MAILTO={}\nPATH={}:/usr/bin:/bin\nHOMING_CONFIG={}\n{line}; echo $? >>{}\n",
        home.path("").file_name().unwrap().display(),
        path.display(),
        home.path("config.toml").display(),
        codes.display(),
    )
}

/// The mails about `home`, without their headers.
fn mails(cron: &Home, home: &Home) -> Vec<String> {
    let to = format!("To: {}\n", home.path("").file_name().unwrap().display());
    let files = fs::read_dir(cron.path("mails")).unwrap().map(|entry| entry.unwrap().path());
    let whole = files.filter(|path| path.extension().is_some_and(|ending| ending == "mail"));
    let mails = whole.map(|path| fs::read_to_string(path).unwrap());
    let bodies = mails.filter(|mail| mail.contains(&to)).map(|mail| {
        let (_, body) = mail.split_once("\n\n").expect("a mail has a head");
        body.to_owned()
    });
    bodies.collect()
}

fn codes(home: &Home) -> Vec<String> {
    home.read("codes").lines().map(str::to_owned).collect()
}

/// What keeps this machine from it.
fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root");
    }
    let has = |program: &str| {
        let asked = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    if !has("cron") {
        return Some("needs Debian's cron");
    }
    let unshared = Command::new("unshare").args(["--mount", "true"]).output();
    let can = unshared.is_ok_and(|output| output.status.success());
    (!can).then_some("needs the right to make a mount namespace")
}

#[test]
fn cron_mails_what_changed_and_nothing_else() {
    if let Some(lacking) = lacking() {
        return netns::skip(TEST, lacking);
    }
    // One as it should be; one whose round outlasts the other line of the same minute; and one beside
    // a daemon, which nobody should have set up and somebody will.
    let (_sandbox, plain) = served();
    let (slow_server, slow) = served();
    slow_server.answer_next(Scripted::genuine().after(SLOW));
    let (_third, beside) = served();
    let daemon = beside.daemon();
    daemon.wait_until("update", |log| log.contains("updated"));

    let cron = Home::new("");
    for directory in ["cron.d", "empty", "mails", "sbin"] {
        fs::create_dir(cron.path(directory)).unwrap();
    }
    let directory = cron.path("").display().to_string();
    cron.write(
        "sbin/sendmail",
        &SENDMAIL.replace("DIRECTORY", directory.trim_end_matches('/')),
        0o755,
    );
    cron.write("cron.d/plain", &table(&plain), 0o644);
    cron.write("cron.d/slow", &table(&slow), 0o644);
    cron.write("cron.d/slow-again", &table(&slow), 0o644);
    cron.write("cron.d/beside", &table(&beside), 0o644);

    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", CRON])
        .arg(directory.trim_end_matches('/'))
        .stdin(Stdio::null())
        // It tells of the directories that it makes.
        .stderr(fs::File::create(cron.path("told")).unwrap())
        .spawn()
        .unwrap();
    let _cron = Cron(child);
    // Cron starts what is due when a minute begins.
    let within = |seconds, is_there: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_there() {
            assert!(
                began.elapsed() < Duration::from_secs(seconds),
                "cron runs nothing: {}",
                cron.read("told")
            );
            thread::sleep(Duration::from_millis(100));
        }
        // What has ended a moment ago is still to be mailed.
        thread::sleep(Duration::from_secs(1));
    };

    // Never two at the same time: the one that comes second says who is at it, and goes.
    within(90, &|| codes(&slow).len() == 2);
    assert_eq!(codes(&slow), ["75", "0"]);
    let told = mails(&cron, &slow);
    let about = |text: &str| told.iter().filter(|mail| mail.contains(text)).count();
    assert_eq!(about("is in use by a run of `homing --once` (process "), 1, "{told:?}");
    assert_eq!((about("198.51.100.7"), told.len()), (1, 2), "{told:?}");
    within(70, &|| codes(&plain).len() == 2 && codes(&beside).len() == 2);

    // What changed is told, and that nothing did is not.
    let told = mails(&cron, &plain);
    assert_eq!(codes(&plain), ["0", "0"]);
    assert!(matches!(&told[..], [one] if one.contains("dev1.dyn.example.com")), "{told:?}");
    assert!(told[0].contains("198.51.100.7"), "{told:?}");

    // Beside a daemon cron has nothing to do, and says so once.
    let told = mails(&cron, &beside);
    assert_eq!(codes(&beside), ["75", "75"]);
    assert!(matches!(&told[..], [one] if one.contains("is in use by the daemon")), "{told:?}");
    drop(daemon);
}
