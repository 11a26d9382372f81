//! Other clients' set-ups, translated by the real binary: every example configuration that the
//! three projects ship, in our own words and values (`tests/import/CLIENT/`).
//!
//! A line `#= A B` in an input tells the providers of the hosts that are carried over, in their
//! order; `#= -` tells that none is. Every secret in an input begins with `hunter`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

#[cfg(target_os = "linux")]
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{home, netns};
use home::{Home, Ran, project};
use homing::config::{self, Config};
use homing::import::Client;

/// Runs `homing import` in `home`, with nothing of this environment.
fn import(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.env_clear().arg("import").args(arguments).current_dir(home.path("."));
    command.stdin(Stdio::null()).output().unwrap().into()
}

/// Translates `text` without a directory for secrets.
fn translated(client: Client, text: &str) -> (Home, Ran) {
    let home = Home::new("");
    home.write("old.conf", text, 0o600);
    let ran = import(&home, &[client.word(), "old.conf"]);
    (home, ran)
}

/// The example files of `client` with their names.
fn examples(client: Client) -> Vec<(String, String)> {
    let directory = project().join("tests/import").join(client.word());
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(named).collect()
}

/// Each example by itself: a file with several marks is a beginning, and what stands at each mark.
fn single_examples() -> Vec<(Client, String, String)> {
    let mut all = Vec::new();
    for client in Client::ALL {
        for (name, text) in examples(client) {
            let mut parts = text.split("\n#= ");
            let start = parts.next().unwrap().to_owned();
            if start.starts_with("#= ") {
                all.push((client, name, text));
                continue;
            }
            for part in parts {
                let (mark, rest) = part.split_once('\n').unwrap();
                let text = format!("#= {mark}\n{start}\n{rest}");
                all.push((client, format!("{name}: {mark}"), text));
            }
        }
    }
    all
}

fn parsed(text: &str) -> Config {
    match config::parse(Path::new("t"), text, false) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The providers of the hosts, one for each block.
fn providers(config: &Config) -> Vec<&str> {
    let mut hosts: Vec<_> = config.hosts.iter().collect();
    hosts.dedup_by_key(|host| (host.provider, &host.username, &host.secret, &host.sources));
    hosts.iter().map(|host| &*config.providers[host.provider].name).collect()
}

#[test]
fn every_example_becomes_the_configuration_that_it_should() {
    let mut count = 0;
    for (client, name, text) in single_examples() {
        count += 1;
        let expect: Vec<_> = text.lines().next().unwrap()[3..].split(' ').collect();
        let (_, Ran { code, out, err }) = translated(client, &text);
        assert!(!out.contains("hunter") && !err.contains("hunter"), "{name}: {out}{err}");
        if expect == ["-"] {
            assert_eq!(code, 78, "{name}: {err}{out}");
            assert!(err.contains("no host could be carried over"), "{name}: {err}");
            assert!(
                out.lines().all(|l| l.is_empty() || !l.starts_with("[[host]]")),
                "{name}: {out}"
            );
            assert!(out.contains("To do, line "), "{name}: {out}");
            continue;
        }
        assert_eq!(code, 0, "{name}: {err}{out}");
        let config = parsed(&out);
        assert_eq!(providers(&config), expect, "{name}:\n{out}");
        let summary = err.trim_end();
        assert!(summary.contains(" carried over") && summary.ends_with(" to look at"), "{err}");
    }
    // 59 stanzas and one script of ddclient, 22 files of inadyn, 3 of ddns-scripts.
    assert!(count >= 85, "{count}");
}

#[test]
fn every_service_of_ddns_scripts_is_carried_over_or_told() {
    let names =
        fs::read_to_string(project().join("tests/import/services-of-ddns-scripts")).unwrap();
    let mut text = String::new();
    let mut expect = Vec::new();
    for (place, line) in names.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let (provider, name) = line.split_once('\t').unwrap();
        text += &format!(
            "config service\n\toption enabled 1\n\toption service_name '{name}'\n\
             \toption domain host{place}.example.com\n\toption username me{place}\n\
             \toption password hunter-{place}\n\toption dns_server ns1.example.net\n"
        );
        if name == "pdns" {
            text += "\toption param_opt http://127.0.0.1:8081\n";
        }
        expect.extend((provider != "-").then(|| provider.to_owned()));
    }
    let (_, Ran { code, out, err }) = translated(Client::DdnsScripts, &text);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("hunter"), "{out}");
    assert_eq!(providers(&parsed(&out)), expect);
    assert!(err.contains(&format!("{} hosts carried over", expect.len())), "{err}");
}

#[test]
fn the_output_is_the_same_each_time() {
    for client in Client::ALL {
        for (_, text) in examples(client) {
            let once = translated(client, &text).1;
            assert_eq!(once.out, translated(client, &text).1.out);
        }
    }
}

#[test]
fn secrets_go_into_files_that_only_their_owner_reads() {
    let home = Home::new("");
    let old = "server=update.dedyn.io login=a password='hunter, #2' one.example.com\n\
               server=dynv6.com login=b password=hunter-three two.example.com,three.example.com\n";
    home.write("old.conf", old, 0o600);
    let arguments = ["ddclient", "old.conf", "--secrets-dir", "secrets"];
    let ran = import(&home, &arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains("hunter") && !ran.err.contains("hunter"), "{ran:?}");
    assert!(ran.err.ends_with("3 hosts carried over, 0 things to look at\n"), "{ran:?}");
    assert_eq!(home.read("secrets/one.example.com.token"), "hunter, #2\n");
    assert_eq!(home.read("secrets/two.example.com.token"), "hunter-three\n");
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/one.example.com.token")), (0o700, 0o600));
    assert_eq!(fs::read_dir(home.path("secrets")).unwrap().count(), 2);
    // The paths are whole, so that the configuration may lie anywhere.
    let whole = fs::canonicalize(home.path("secrets")).unwrap();
    assert!(ran.out.contains(whole.to_str().unwrap()), "{ran:?}");

    // A second time changes nothing.
    let inode = fs::metadata(home.path("secrets/one.example.com.token")).unwrap().ino();
    let again = import(&home, &arguments);
    assert_eq!((again.code, &again.out), (0, &ran.out));
    assert_eq!(fs::metadata(home.path("secrets/one.example.com.token")).unwrap().ino(), inode);
}

#[test]
fn a_file_that_holds_another_secret_is_left_as_it_is_and_nothing_is_written() {
    let home = Home::new("");
    let old = "login=a password=hunter-one one.example.com\npassword=hunter-two login=b two.example.com\n";
    home.write("old.conf", old, 0o600);
    fs::create_dir(home.path("secrets")).unwrap();
    home.secret("secrets/two.example.com.password", "the real one");
    let ran = import(&home, &["ddclient", "old.conf", "--secrets-dir", "secrets"]);
    assert_eq!((ran.code, &*ran.out), (78, ""));
    assert!(ran.err.contains("two.example.com.password has other content"), "{ran:?}");
    assert!(!ran.err.contains("hunter") && !ran.err.contains("real"), "{ran:?}");
    assert_eq!(home.read("secrets/two.example.com.password"), "the real one\n");
    assert!(!home.path("secrets/one.example.com.password").exists());
}

#[test]
fn a_directory_that_is_no_place_for_secrets_is_refused() {
    let home = Home::new("");
    home.write("old.conf", "login=a password=hunter-one one.example.com\n", 0o600);
    let fails = |directory: &str, expect: &str| {
        let ran = import(&home, &["ddclient", "old.conf", "--secrets-dir", directory]);
        assert_eq!((ran.code, &*ran.out), (78, ""), "{ran:?}");
        assert!(ran.err.contains(expect), "{ran:?}");
    };
    fails("old.conf", "is not a directory; name another --secrets-dir");
    fails("missing/deeper", "; run `mkdir -p '");
    fs::create_dir(home.path("open")).unwrap();
    fs::set_permissions(home.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    for mode in [0o777, 0o770] {
        fs::set_permissions(home.path("open"), fs::Permissions::from_mode(mode)).unwrap();
        fails("open", "can be written to by others; run `chmod go-w '");
    }
    // An equal secret that others may read is not taken for a safe one.
    fs::create_dir(home.path("wide")).unwrap();
    home.write("wide/one.example.com.password", "hunter-one\n", 0o644);
    fails("wide", "is open to others (0644); run `chmod 600 '");
    fs::create_dir(home.path("led-astray")).unwrap();
    symlink("/nowhere", home.path("led-astray/one.example.com.password")).unwrap();
    let ran = import(&home, &["ddclient", "old.conf", "--secrets-dir", "led-astray"]);
    // What a dangling link names is not there; the link is replaced, and nothing behind it made.
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn secrets_that_are_stored_without_a_host_are_told() {
    let home = Home::new("");
    home.write("old.conf", "login=me password=hunter-one sl@sh.example\n", 0o600);
    let ran = import(&home, &["ddclient", "old.conf", "--secrets-dir", "secrets"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("(1 secret was put into its file all the same)"), "{ran:?}");
    assert_eq!(fs::read_dir(home.path("secrets")).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_root_makes_belongs_to_the_service_like_the_secrets_in_it() {
    const SERVICE: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        let test = "a_directory_that_root_makes_belongs_to_the_service_like_the_secrets_in_it";
        netns::skip(test, "needs root");
        return;
    }
    let home = Home::new("");
    home.write("old.conf", "login=me password=hunter-one one.example.com\n", 0o600);
    fs::create_dir(home.path("etc")).unwrap();
    std::os::unix::fs::chown(home.path("etc"), Some(SERVICE), Some(SERVICE)).unwrap();
    let ran = import(&home, &["ddclient", "old.conf", "--secrets-dir", "etc/secrets"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (name, mode) in [("etc/secrets", 0o700), ("etc/secrets/one.example.com.password", 0o600)] {
        let made = fs::metadata(home.path(name)).unwrap();
        assert_eq!(
            (made.uid(), made.gid(), made.mode() & 0o777),
            (SERVICE, SERVICE, mode),
            "{name}"
        );
    }
}

#[test]
fn a_pipe_is_as_good_as_a_file() {
    let home = Home::new("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.env_clear().args(["import", "-q", "inadyn", "-"]).current_dir(home.path("."));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let old = "provider dynu.com {\nusername = a\npassword = hunter2\nhostname = h.example\n}\n";
    child.stdin.take().unwrap().write_all(old.as_bytes()).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    assert!(ran.out.contains("from standard input."), "{ran:?}");
    assert_eq!(providers(&parsed(&ran.out)), ["dynu"]);
}

#[test]
fn a_file_of_no_use_is_told_in_one_line() {
    let home = Home::new("");
    home.write("empty", "", 0o600);
    home.write("comments", "# protocol=dyndns2\n#provider x {\n\n", 0o600);
    home.write("settings", "daemon=300\n", 0o600);
    home.write("binary", "\u{0}\u{1}\u{fffd}", 0o600);
    for (arguments, expect) in [
        (["ddclient", "missing"], "missing does not exist; name the old client's configuration"),
        (["ddclient", "."], ". is a directory; name the file in it"),
        (["ddclient", "empty"], "empty: this is not a configuration of ddclient; name that file"),
        (["ddclient", "binary"], "binary: this is not a configuration of ddclient"),
        (["ddclient", "settings"], "settings: no host is set up in it"),
        (["inadyn", "comments"], "comments: every line in it is a comment, so it sets up nothing"),
        (
            ["ddclient", "comments"],
            "comments: every line in it is a comment, so it sets up nothing",
        ),
        (["ddns-scripts", "settings"], "settings: this is not a configuration of ddns-scripts"),
    ] {
        let ran = import(&home, &arguments);
        assert_eq!((ran.code, &*ran.out), (78, ""), "{ran:?}");
        assert!(ran.err.starts_with(&format!("homing: {expect}")), "{ran:?}");
        assert!(ran.err.lines().count() == 1 && !ran.err.contains("hunter"), "{ran:?}");
    }
}

#[test]
fn a_disk_that_is_full_is_no_success() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let home = Home::new("");
    home.write("old.conf", "login=a password=hunter-one one.example.com\n", 0o600);
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.env_clear().args(["import", "ddclient", "old.conf"]).current_dir(home.path("."));
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
}

/// In a namespace without a way out: `check` asks web sources.
#[cfg(target_os = "linux")]
#[test]
fn check_accepts_every_example() {
    netns::in_namespace("check_accepts_every_example", || {
        for client in Client::ALL {
            for (name, text) in examples(client) {
                let home = Home::new("");
                home.write("old.conf", &text, 0o600);
                let bare = import(&home, &[client.word(), "old.conf"]);
                if bare.code == 78 {
                    continue;
                }
                let check = || home.run(&["check", "--state-dir", "state"]);
                home.write("config.toml", &bare.out, 0o644);
                let checked = check();
                let is_right = checked.out.contains("the configuration is right, but ");
                assert!(checked.code == 78 && is_right, "{name}: {checked:?}\n{}", bare.out);

                let with = import(&home, &[client.word(), "old.conf", "--secrets-dir", "secrets"]);
                assert_eq!(with.code, 0, "{name}: {with:?}");
                assert!(!with.out.contains("hunter") && !with.err.contains("hunter"), "{name}");
                home.write("config.toml", &with.out, 0o644);
                let checked = check();
                // A key file is where it was on the old machine, and a test has none; a secret may have a
                // part that the old file does not hold.
                let lacks = ["\nkey-file = ", "the old file does not have all of them"];
                let remarks = with.out.replace("\n#   ", " ");
                let is_lacking = |it: &&str| with.out.contains(*it) || remarks.contains(*it);
                let code = if lacks.iter().any(is_lacking) { 78 } else { 0 };
                assert_eq!(checked.code, code, "{name}: {checked:?}\n{}", with.out);
                assert!(!checked.out.contains("hunter"), "{name}: {checked:?}");
            }
        }
    });
}
