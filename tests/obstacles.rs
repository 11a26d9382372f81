//! What stands in the way of a run: told by `check` beforehand, and never a reason to hang.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{home, netns};
use home::{Daemon, Home, Ran, Signal, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A host in a file, whose address comes from `SOURCE`, with `MORE` beside it.
const HOSTS_FILE: &str = "[source.here]\nSOURCE\nallow-private = true\n\n\
                          [[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\n\
                          path = \"hosts\"\nipv4 = \"here\"\nipv6 = \"off\"\nMORE";

/// A host at a server that is not there, by TLS, with the settings `MORE` of the provider and `HOST`.
const AT_A_SERVER: &str = "[provider.mine]\nprotocol = \"dyndns2\"\n\
                           update-url = \"https://localhost:9/nic/update\"\nMORE\n\n\
                           [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
                           [[host]]\nname = \"a.example\"\nprovider = \"mine\"\nusername = \"me\"\n\
                           ipv4 = \"here\"\nipv6 = \"off\"\nHOST";

fn in_file(more: &str) -> String {
    HOSTS_FILE.replace("SOURCE", "static = \"198.51.100.7\"").replace("MORE", more)
}

fn at_a_server(more: &str, host: &str) -> String {
    AT_A_SERVER.replace("MORE", more).replace("HOST", host)
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Runs `homing` with `arguments`, which has to end by itself soon.
#[track_caller]
fn soon(home: &Home, arguments: &[&str]) -> Ran {
    let mut child = home.command(arguments).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap().into()
}

#[track_caller]
fn check(home: &Home, code: i32, words: &str) {
    let ran = soon(home, &["check"]);
    assert!(ran.code == code && ran.out.contains(words), "{words}: {ran:#?}");
}

/// What else than a file may stand somewhere: a pipe, a device, a directory, and a file without end.
const THINGS: [&str; 4] = ["pipe", "device", "directory", "endless"];

fn put(thing: &str, path: &Path) {
    match thing {
        "pipe" => pipe(path),
        "device" => symlink("/dev/zero", path).unwrap(),
        "directory" => fs::create_dir(path).unwrap(),
        // All holes: it takes no room.
        _ => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
    }
    let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
}

#[test]
fn nothing_in_the_place_of_a_file_keeps_homing_waiting() {
    let secret = at_a_server("", "password-file = \"secret\"\n");
    let trust = at_a_server("ca-file = \"ca.pem\"", "password = \"s3cret\"\n");
    let source = HOSTS_FILE.replace("SOURCE", "file = \"address\"").replace("MORE", "");
    let key = "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"127.0.0.1:9\"\n\n\
               [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
               [[host]]\nname = \"a.example\"\nzone = \"example\"\nprovider = \"own\"\n\
               key-file = \"key\"\nipv4 = \"here\"\nipv6 = \"off\"\n";
    for (file, config) in [
        ("secret", secret.as_str()),
        ("ca.pem", trust.as_str()),
        ("address", source.as_str()),
        ("key", key),
        ("hosts", &in_file("")),
        ("state/homing.lock", &in_file("")),
        ("state/state.json", &in_file("")),
        ("state/state.json.new", &in_file("")),
    ] {
        for thing in THINGS {
            let home = Home::new(config);
            fs::create_dir(home.path("state")).unwrap();
            put(thing, &home.path(file));
            let checked = soon(&home, &["check"]);
            let ran = soon(&home, &["--once"]);
            soon(&home, &["status"]);
            let all = format!("{file} as {thing}: {checked:#?}\n{ran:#?}");
            let is_harmless = match file {
                "state/state.json" => true,
                "state/state.json.new" => thing != "directory",
                // An empty line of a source is no fault of the configuration.
                "address" => ran.code == 75 || ran.code == 78,
                // Nothing but the daemon reads what is in a lock.
                "state/homing.lock" => thing == "endless",
                _ => false,
            };
            assert!(is_harmless || ran.code == 75 || ran.code == 78, "{all}");
            if !is_harmless && file != "state/state.json.new" && file != "hosts" {
                assert_eq!(checked.code, 78, "{all}");
            }
        }
    }
}

#[test]
fn a_daemon_whose_files_are_pipes_ends_on_a_signal() {
    let home = Home::new(&at_a_server("ca-file = \"ca.pem\"", "password = \"s3cret\"\n"));
    pipe(&home.path("ca.pem"));
    let daemon = home.daemon();
    daemon.wait_for("is not a regular file");
    daemon.signal(Signal::TERM);
    let (code, took) = daemon.end();
    assert!(code == 0 && took < Duration::from_secs(5), "{code} {took:?}");
}

#[test]
fn a_pipe_that_nobody_writes_to_keeps_no_command_waiting() {
    let home = Home::new(&in_file(""));
    pipe(&home.path("pipe"));
    let path = home.path("pipe").display().to_string();
    let import = std::process::Command::new(env!("CARGO_BIN_EXE_homing"))
        .args(["import", "ddclient", &path])
        .output();
    assert_eq!(Ran::from(import.unwrap()).code, 78);
    soon(&home, &["token", "audit", "--management-token-file", &path]);
}

#[test]
fn check_opens_what_a_run_will_open() {
    let trusting = |file| at_a_server(&format!("ca-file = \"{file}\""), "password = \"s3cret\"\n");
    check(&Home::new(&trusting("none.pem")), 78, "none.pem cannot be opened: No such file");
    let home = Home::new(&trusting("garbage.pem"));
    home.write("garbage.pem", "garbage\n", 0o644);
    check(&home, 78, "garbage.pem holds no certificate; it must hold one in PEM form");
    home.write(
        "garbage.pem",
        &["-----BEGIN CERTIFICATE-----", "AAAA", "-----END CERTIFICATE-----\n"].join("\n"),
        0o644,
    );
    check(&home, 78, "garbage.pem holds a certificate that is none");
    home.write("garbage.pem", "-----BEGIN CERTIFICATE-----\n%%%\n", 0o644);
    check(&home, 78, "garbage.pem is not a PEM file");
    let web = "[source.here]\nweb = \"https://localhost:9/\"\nca-file = \"none.pem\"\n";
    let config = HOSTS_FILE.replace("MORE", "");
    let config = config.split_once("\n\n").unwrap().1.to_owned();
    check(&Home::new(&format!("{web}{config}")), 78, "none.pem cannot be opened");

    let hook = |program: &str| Home::new(&in_file(&format!("on-change = [\"{program}\"]\n")));
    let not_there = "a.example: on-change: /nonexistent/notify does not exist";
    check(&hook("/nonexistent/notify"), 78, not_there);
    check(&hook("homing-no-such-program"), 78, "homing-no-such-program does not exist");
    check(&hook("true"), 0, "the configuration is right");
    let home = Home::new("");
    home.write("notify", "#!/bin/sh\n", 0o644);
    let notify = home.path("notify").display().to_string();
    home.configure(&in_file(&format!("on-change = [\"{notify}\"]\n")));
    check(&home, 78, &format!("{notify} is not executable; run `chmod +x {notify}`"));

    let home = Home::new(&in_file("").replace("\"hosts\"", "\"no/such/hosts\""));
    check(&home, 78, "no/such is not there; run `mkdir -p ");
    let state = |path: &str| format!("[daemon]\nstate-dir = \"{path}\"\n{}", in_file(""));
    check(&Home::new(&state("no/such/state")), 78, "cannot make ");
    check(&Home::new(&state("/dev/null/state")), 78, "a file, not a directory");
}

#[test]
fn a_state_directory_that_others_can_change_is_told_with_the_fix() {
    for (mode, who) in [(0o777, "others"), (0o1777, "others"), (0o770, "its group")] {
        let home = Home::new(&in_file(""));
        let state = home.path("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
        let (shown, mode) = (state.display(), format!("{mode:04o}"));
        let words = format!(
            "the state directory {shown} can be changed by {who} ({mode}); run `chmod 700 {shown}`"
        );
        check(&home, 0, &format!("warning: {words}"));
        let ran = home.once();
        assert!(ran.code == 0 && ran.err.contains(&words), "{ran:?}");
        assert_eq!(home.once().err, "", "cron mails what is printed");
        let daemon = home.daemon();
        daemon.wait_for(&words);
        drop(daemon);
        fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
        let ran = home.run(&["check"]);
        assert!(ran.code == 0 && !ran.out.contains("can be changed"), "{ran:?}");
    }
}

/// The capabilities that a process has in force.
fn rights(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn root_gives_up_the_rights_that_homing_does_not_need() {
    if !rustix::process::geteuid().is_root() {
        return netns::skip("root_gives_up_the_rights_that_homing_does_not_need", "needs root");
    }
    // CHOWN, DAC_OVERRIDE, KILL, SETGID and SETUID (capabilities(7)).
    let needed = 1 << 0 | 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7;
    let home = Home::new(&in_file(""));
    let daemon = home.daemon();
    daemon.wait_for("the round is over");
    assert_eq!(rights(&daemon) & !needed, 0);
    drop(daemon);
    // A service's state and hosts file are written all the same, and a program of root's is root.
    let home = Home::new(&in_file(
        "on-change = [\"sh\", \"-c\", \"grep CapEff /proc/self/status >DIR/rights\"]\n",
    ));
    let config = home.read("config.toml");
    home.write("config.toml", &config.replace("DIR", home.path("").to_str().unwrap()), 0o600);
    home.write("hosts", "127.0.0.1 localhost\n", 0o640);
    chown(home.path("hosts"), Some(65534), Some(65534)).unwrap();
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    let hosts = fs::metadata(home.path("hosts")).unwrap();
    assert_eq!((hosts.uid(), hosts.gid(), hosts.mode() & 0o777), (65534, 65534, 0o640));
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("CapEff:")).unwrap();
    assert_eq!(home.read("rights").trim(), own);
}

#[test]
fn a_state_directory_that_was_made_anew_is_used() {
    // A program: nothing is confined.
    let home = Home::new(
        &HOSTS_FILE
            .replace("SOURCE", "file = \"address\"")
            .replace("MORE", "on-change = [\"true\"]\n"),
    );
    home.write("address", "198.51.100.1\n", 0o644);
    let daemon = home.daemon();
    daemon.wait_for("the round is over");
    for (made_anew, address) in [(true, "198.51.100.2"), (false, "198.51.100.3")] {
        // The daemon may be writing.
        let removed = || fs::remove_dir_all(home.path("state")).is_ok();
        wait_until("removal", removed, || daemon.log());
        if made_anew {
            fs::create_dir(home.path("state")).unwrap();
        }
        home.write("address", &format!("{address}\n"), 0o644);
        daemon.signal(Signal::USR1);
        wait_until("address", || home.read("hosts").contains(address), || daemon.log());
        wait_until("state", || home.read("state/state.json").contains(address), || daemon.log());
        let status = home.run(&["status", "--json"]);
        assert!(status.out.contains("\"daemon\":\"running\""), "{status:?}");
    }
    assert_eq!(home.once().code, 75, "the lock is held");
}
