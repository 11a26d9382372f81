//! Root beside other users: no path leads root's reading and writing where somebody else wants it.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{account, home, netns, sandbox};
use account::{DEV1, HOST, account};
use home::{Home, Ran};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use sandbox::{Api, Sandbox};

/// A user whom no system knows.
const SOMEBODY: u32 = 54_321;

/// How often a command runs that takes a moment.
const RUNS: usize = 200;

/// How often one runs that asks a provider several times, which takes a second.
const FEW_RUNS: usize = 30;

fn is_root(test: &str) -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        netns::skip(test, "needs root");
    }
    is
}

/// A home whose directory belongs to somebody else.
fn of_somebody(config: &str) -> Home {
    let home = Home::new(config);
    fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).unwrap();
    chown(home.path(""), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    home
}

/// Makes a directory that belongs to somebody else.
fn directory(path: &Path) {
    fs::create_dir(path).unwrap();
    chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
}

/// Everything below `path`: name, owner, mode and content.
fn listing(path: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let content = fs::read_to_string(&path).unwrap_or_default();
        all.push(format!("{} {} {:o} {content}", path.display(), about.uid(), about.mode()));
        if about.is_dir() {
            all.extend(listing(&path));
        }
    }
    all.sort();
    all
}

/// Runs `command` so many times with paths below `home`/d, while somebody exchanges that directory
/// with a link to root's; before each time, `prepare` gets the directory as it is to be found.
///
/// Nothing may come to be in root's directory.
#[track_caller]
fn check_exchange(
    runs: usize,
    home: &Home,
    prepare: impl Fn(&Path),
    command: impl Fn() -> Command,
) {
    let roots = Home::new("");
    let victim = roots.path("victim");
    for name in ["state", "secrets"] {
        fs::create_dir_all(victim.join(name)).unwrap();
    }
    fs::write(victim.join("hosts"), "# of root\n").unwrap();
    let (real, link) = (home.path("d"), home.path("l"));
    directory(&real);
    symlink(&victim, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let exchange = || renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
    let before = listing(&victim);
    for _ in 0..runs {
        prepare(&real);
        let stop = AtomicBool::new(false);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                let (uid, gid) = (Uid::from_raw(SOMEBODY), Gid::from_raw(SOMEBODY));
                set_thread_groups(&[gid]).unwrap();
                set_thread_res_gid(gid, gid, gid).unwrap();
                set_thread_res_uid(uid, uid, uid).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    exchange();
                }
            });
            let ran = command().output();
            stop.store(true, Ordering::Relaxed);
            Ran::from(ran.unwrap())
        });
        let after = listing(&victim);
        assert_eq!(after, before, "root wrote where it was led: {ran:#?}");
        if real.is_symlink() {
            exchange();
        }
    }
    // With nobody who exchanges them it writes in the directory: otherwise this would test nothing.
    prepare(&real);
    let found = listing(&real);
    let ran = Ran::from(command().output().unwrap());
    assert_ne!(listing(&real), found, "{ran:#?}");
}

/// Removes what is in `directory`.
fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
}

const HOSTS_FILE: &str = "[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
                          [[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\n\
                          path = \"PATH\"\nipv4 = \"here\"\nipv6 = \"off\"\n";

#[test]
fn an_exchange_of_directory_and_link_leads_no_state_and_no_hosts_file_astray() {
    let test = "an_exchange_of_directory_and_link_leads_no_state_and_no_hosts_file_astray";
    if !is_root(test) {
        return;
    }
    let (home, own) = (of_somebody(""), Home::new(""));
    own.configure(&HOSTS_FILE.replace("PATH", home.path("d/hosts").to_str().unwrap()));
    let state = home.path("d/state");
    check_exchange(RUNS, &home, clear, || {
        own.command(&["--once", "--state-dir", state.to_str().unwrap()])
    });
}

#[test]
fn an_exchange_of_directory_and_link_leads_no_new_token_astray() {
    let test = "an_exchange_of_directory_and_link_leads_no_new_token_astray";
    check_token_exchange(test, RUNS, &["issue", "--all"], |_, directory| clear(directory));
}

#[test]
fn an_exchange_of_directory_and_link_leads_no_rotated_token_astray() {
    let test = "an_exchange_of_directory_and_link_leads_no_rotated_token_astray";
    check_token_exchange(test, FEW_RUNS, &["rotate", "--all"], |own, _| issue(own));
}

#[test]
fn an_exchange_of_directory_and_link_leads_no_receipt_of_an_audit_astray() {
    let test = "an_exchange_of_directory_and_link_leads_no_receipt_of_an_audit_astray";
    check_token_exchange(test, FEW_RUNS, &["audit", HOST], |own, directory| {
        if !directory.join("token").exists() {
            issue(own);
        }
        let _ = fs::remove_file(directory.join("token.receipt"));
    });
}

#[test]
fn an_exchange_of_directory_and_link_leads_no_revoked_token_astray() {
    let test = "an_exchange_of_directory_and_link_leads_no_revoked_token_astray";
    check_token_exchange(test, FEW_RUNS, &["revoke", HOST], |own, _| issue(own));
}

/// [`check_exchange`] for `homing token` with `arguments`; `prepare` gets the home of the
/// configuration, too.
#[track_caller]
fn check_token_exchange(
    test: &str,
    runs: usize,
    arguments: &[&str],
    prepare: impl Fn(&Home, &Path),
) {
    if !is_root(test) {
        return;
    }
    let sandbox = Sandbox::start(account(Api::Current)).unwrap();
    let home = of_somebody("");
    let file = home.path("d/token");
    let host = DEV1.replace("\"token\"", &format!("\"{}\"", file.display()));
    let own = Home::at(&sandbox.url(), &host);
    let prepare = |directory: &Path| prepare(&own, directory);
    check_exchange(runs, &home, prepare, || account::token_command(&own, arguments));
}

/// Makes a good token where there is none.
#[track_caller]
fn issue(own: &Home) {
    let ran = account::token(own, &["issue", "--all"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn an_exchange_of_directory_and_link_leads_no_imported_secret_astray() {
    if !is_root("an_exchange_of_directory_and_link_leads_no_imported_secret_astray") {
        return;
    }
    let home = of_somebody("");
    let own = Home::new("");
    own.write("old.conf", "protocol=dyndns2\nlogin=me\npassword='hunter2'\na.example.com\n", 0o600);
    let (old, secrets) = (own.path("old.conf"), home.path("d/secrets"));
    check_exchange(RUNS, &home, clear, || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command.env_clear().args(["import", "ddclient"]).arg(&old).arg("--secrets-dir");
        command.arg(&secrets).stdin(Stdio::null());
        command
    });
}

#[test]
fn a_link_of_roots_is_followed_and_somebody_elses_is_named() {
    if !is_root("a_link_of_roots_is_followed_and_somebody_elses_is_named") {
        return;
    }
    let home = Home::new("");
    fs::create_dir(home.path("private")).unwrap();
    symlink(home.path("private"), home.path("public")).unwrap();
    home.configure(&HOSTS_FILE.replace("PATH", "public/hosts"));
    let arguments = ["--once", "--state-dir"];
    let state = home.path("public/state");
    let once = || home.run(&[&arguments[..], &[state.to_str().unwrap()]].concat());
    let ran = once();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(home.read("private/hosts").contains("a.example"), "{ran:?}");
    assert!(home.path("private/state/state.json").exists());
    std::os::unix::fs::lchown(home.path("public"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let ran = once();
    let link = fs::canonicalize(home.path("")).unwrap().join("public");
    let expect = format!("{} is a link that somebody else made", link.display());
    assert!(ran.code == 75 && ran.err.contains(&expect), "{ran:?}");
}

/// A configuration of somebody's in their directory, whose paths lead into `roots`.
fn configured(roots: &Home, text: &str) -> Home {
    let home = of_somebody("");
    let text = text.replace("ROOTS", roots.path("").to_str().unwrap().trim_end_matches('/'));
    home.write("config.toml", &text, 0o600);
    chown(home.path("config.toml"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    home
}

#[test]
fn what_somebodys_configuration_names_is_used_as_they_could_use_it() {
    if !is_root("what_somebodys_configuration_names_is_used_as_they_could_use_it") {
        return;
    }
    let roots = Home::new("");
    roots.secret("treasure", "s3cret-of-root");
    roots.write("hosts", "127.0.0.1 localhost\n", 0o644);
    roots.write("address", "198.51.100.9\n", 0o600);
    let before = listing(&roots.path(""));
    let state = "[daemon]\nstate-dir = \"state\"\n";
    let hosts = HOSTS_FILE.replace("PATH", "ROOTS/hosts");
    let at_a_server = "[provider.mine]\nprotocol = \"dyndns2\"\n\
                       update-url = \"http://127.0.0.1:9/nic/update\"\n\n\
                       [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
                       [[host]]\nname = \"a.example\"\nprovider = \"mine\"\nusername = \"me\"\n\
                       ipv6 = \"off\"\n";
    let secret = format!("{at_a_server}ipv4 = \"here\"\npassword-file = \"ROOTS/treasure\"\n");
    let source = "[source.read]\nfile = \"ROOTS/address\"\nallow-private = true\n";
    let source = format!("{source}{at_a_server}ipv4 = \"read\"\npassword = \"s3cret\"\n");
    let elsewhere = "[daemon]\nstate-dir = \"ROOTS/state\"\n";
    let own = HOSTS_FILE.replace("PATH", "hosts");
    for (config, code, words) in [
        (format!("{state}{hosts}"), 75, "cannot be written"),
        (format!("{state}{secret}"), 78, "treasure cannot be read: Permission denied"),
        (format!("{state}{source}"), 75, "address cannot be read: Permission denied"),
        (format!("{elsewhere}{own}"), 75, "ermission denied"),
    ] {
        let home = configured(&roots, &config);
        let ran = home.once();
        assert!(ran.code == code && format!("{ran:?}").contains(words), "{words}: {ran:#?}");
        assert_eq!(listing(&roots.path("")), before, "{config}");
    }

    // Their own is theirs, and what the command line names is the caller's.
    let home = configured(&roots, &format!("{elsewhere}{own}"));
    let kept = roots.path("kept");
    let ran = home.run(&["--once", "--state-dir", kept.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::metadata(home.path("hosts")).unwrap().uid(), SOMEBODY);
    assert_eq!(fs::metadata(kept.join("state.json")).unwrap().uid(), 0);
}
