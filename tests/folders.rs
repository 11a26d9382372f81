//! `homing token issue --output`: a folder for each token, with which another machine can do its job,
//! and nothing of somebody else's is overwritten.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{account, home, netns, sandbox};
use account::{DEV1, HOST, check, desk, ours, writes};
use home::{Home, Ran};
use sandbox::{Api, Sandbox};

/// The hosts of three machines: one with settings of its own, and one with two names.
fn fleet() -> (Sandbox, Home, String) {
    let nas = "\n[[host]]\nname = [\n  \"Nas.dyn.example.com.\", # the first\n  \"www.dyn.example.com\",\n]\n\
        provider = \"sandbox\"\ntoken-file = \"tokens/nas\"\nipv4 = \"here\"\nipv6 = \"off\"\nrefresh = \"20d\"\n\
        strict-token = true\n\n[[host]]\nname = \"*.wild.dyn.example.com\"\nprovider = \"sandbox\"\n\
        token-file = \"tokens/wild\"\nipv4 = \"here\"\nipv6 = \"here\"\n";
    let dev1 = DEV1.replace("\"token\"", "\"tokens/dev1\"");
    let (sandbox, home) = desk(Api::Current, &[&*dev1, nas].concat());
    fs::create_dir(home.path("tokens")).unwrap();
    let output = home.path("fleet").display().to_string();
    (sandbox, home, output)
}

/// Every file below `directory`, with its mode and content.
fn files(directory: &Path) -> BTreeMap<String, (u32, u64, String)> {
    let mut all = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        let about = fs::metadata(&next).unwrap();
        let name = |path: &Path| path.strip_prefix(directory).unwrap().display().to_string();
        all.insert(format!("{}/", name(&next)), (about.mode() & 0o777, 0, String::new()));
        for entry in fs::read_dir(&next).unwrap().map(|entry| entry.unwrap()) {
            let (path, about) = (entry.path(), entry.metadata().unwrap());
            if about.is_dir() {
                directories.push(path);
                continue;
            }
            let content = fs::read_to_string(&path).unwrap();
            all.insert(name(&path), (about.mode() & 0o777, about.ino(), content));
        }
    }
    all
}

/// A machine that has got nothing but the folder.
fn machine(folder: &str) -> Home {
    let home = Home::new("");
    fs::remove_file(home.path("config.toml")).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(entry.path(), home.path(entry.file_name().to_str().unwrap())).unwrap();
    }
    home
}

fn on_machine(home: &Home, arguments: &[&str]) -> Ran {
    let state = home.path("state").display().to_string();
    home.run(&[arguments, &["--state-dir", &state]].concat())
}

#[test]
fn each_folder_is_all_that_its_machine_needs() {
    let (sandbox, home, output) = fleet();
    let (ran, _) = check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
    assert_eq!(ran.out.matches(": ready to be handed out in ").count(), 3, "{ran:?}");
    let all = files(Path::new(&output));
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let folders = ["_.wild.dyn.example.com", HOST, "nas.dyn.example.com"];
    let mut expect = vec!["/".to_owned()];
    for folder in folders {
        let of = ["", "config.toml", "token", "token.receipt"];
        expect.extend(of.map(|file| format!("{folder}/{file}")));
    }
    assert_eq!(names, expect);
    for (name, (mode, ..)) in &all {
        assert_eq!(*mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
    let (_, _, nas) = &all["nas.dyn.example.com/config.toml"];
    assert!(!nas.contains("dev1") && nas.contains("refresh = \"20d\"\n"), "{nas}");
    assert!(nas.contains("token-file = \"token\"\n") && !nas.contains("state-dir"), "{nas}");
    for (folder, names) in
        [(HOST, vec![HOST]), (folders[2], vec!["nas.dyn.example.com", "www.dyn.example.com"])]
    {
        let machine = machine(&format!("{output}/{folder}"));
        let ran = on_machine(&machine, &["--once"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for name in names {
            assert_eq!(sandbox.records(name, "A"), ["198.51.100.7"], "{ran:?}");
        }
        let audit = machine.run(&["token", "audit", "--all", "--json"]);
        assert_eq!(audit.code, 0, "{audit:?}");
        let read: serde_json::Value = serde_json::from_str(&audit.out).unwrap();
        assert_eq!(read["tokens"].as_array().unwrap().len(), 1, "{read}");
        assert_eq!(read["tokens"][0]["verdict"], "narrow", "{read}");
    }
    let (audit, _) = check(&sandbox, &home, &["audit", "--all", "--json"], 0);
    let read: serde_json::Value = serde_json::from_str(&audit.out).unwrap();
    assert_eq!(read["tokens"].as_array().unwrap().len(), 3, "{read}");
}

#[test]
fn a_second_run_changes_nothing_and_one_after_a_rotation_the_token() {
    let (sandbox, home, output) = fleet();
    let issue = ["issue", "--all", "--output", &*output];
    check(&sandbox, &home, &issue, 0);
    let first = files(Path::new(&output));
    let (ran, sent) = check(&sandbox, &home, &issue, 0);
    assert!(writes(&sent).is_empty() && !ran.out.contains("handed out"), "{ran:?}");
    assert_eq!(files(Path::new(&output)), first);
    check(&sandbox, &home, &["rotate", HOST], 0);
    let (ran, _) = check(&sandbox, &home, &issue, 0);
    assert_eq!(ran.out.matches("ready to be handed out").count(), 1, "{ran:?}");
    let second = files(Path::new(&output));
    let changed: Vec<_> = second.iter().filter(|(name, file)| first[*name] != **file).collect();
    let changed: Vec<_> = changed.into_iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed, [&*format!("{HOST}/token"), &*format!("{HOST}/token.receipt")]);
    assert_eq!(second[&format!("{HOST}/token")].2, home.read("tokens/dev1"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let (sandbox, home, output) = fleet();
    let (ran, sent) =
        check(&sandbox, &home, &["issue", "--all", "--output", &output, "--dry-run"], 0);
    assert!(writes(&sent).is_empty() && ours(&sandbox).is_empty(), "{sent:?}");
    let line = format!("{HOST}: + folder {output}/{HOST}\n");
    assert!(ran.out.contains(&line), "{ran:?}");
    assert!(!Path::new(&output).exists());
    assert_eq!(fs::read_dir(home.path("tokens")).unwrap().count(), 0);
    check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
    let before = files(Path::new(&output));
    let (ran, _) = check(&sandbox, &home, &["issue", "--all", "--output", &output, "--dry-run"], 0);
    assert!(!ran.out.contains("+ folder"), "{ran:?}");
    assert_eq!(files(Path::new(&output)), before);
}

#[test]
fn what_somebody_else_has_put_there_is_left_and_its_host_gets_no_token() {
    for (file, content, why) in [
        ("token", "a-token-made-by-hand\n", "holds another secret"),
        ("config.toml", "[[host]]\nname = \"x.example\"\n", "was not made by this command"),
        ("token.receipt", "what is this?\n", "is no receipt"),
    ] {
        let (sandbox, home, output) = fleet();
        let folder = home.path("fleet").join(HOST);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), content).unwrap();
        let (ran, _) = check(&sandbox, &home, &["issue", "--all", "--output", &output], 78);
        assert!(ran.err.contains(why) && ran.err.contains("move it away"), "{ran:?}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), content);
        assert_eq!(ours(&sandbox).len(), 2, "the others have theirs");
        assert!(!home.path("tokens/dev1").exists());
        fs::remove_file(folder.join(file)).unwrap();
        check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    }
}

#[test]
fn a_directory_of_others_is_refused_before_anything_is_sent() {
    let (sandbox, home, output) = fleet();
    let issue = ["issue", "--all", "--output", &*output];
    fs::create_dir(&output).unwrap();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o777)).unwrap();
    let (ran, sent) = check(&sandbox, &home, &issue, 78);
    assert!(ran.err.contains("run `chmod go-w ") && sent.is_empty(), "{ran:?}");
    fs::remove_dir(&output).unwrap();
    fs::write(&output, "").unwrap();
    let (ran, sent) = check(&sandbox, &home, &issue, 78);
    assert!(sent.is_empty(), "{ran:?}");
    fs::remove_file(&output).unwrap();
    fs::create_dir_all(home.path("elsewhere")).unwrap();
    fs::create_dir(&output).unwrap();
    symlink(home.path("elsewhere"), Path::new(&output).join(HOST)).unwrap();
    let (ran, _) = check(&sandbox, &home, &issue, 78);
    assert!(ran.err.contains("is not a directory"), "{ran:?}");
    assert_eq!(fs::read_dir(home.path("elsewhere")).unwrap().count(), 0);
    let (ran, sent) = check(&sandbox, &home, &["issue", HOST, "--output", "/nowhere/fleet"], 78);
    assert!(ran.err.contains("run `mkdir -p ") && sent.is_empty(), "{ran:?}");
}

#[test]
fn a_run_that_was_cut_goes_on_where_it_stopped() {
    let (sandbox, home, output) = fleet();
    sandbox.with_account(|account| account.throttled = false);
    // The tokens are there, and no folder: as after a cut between the two.
    check(&sandbox, &home, &["issue", "--all"], 0);
    let (_, sent) = check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
    assert!(writes(&sent).is_empty(), "{sent:?}");
    // A cut within a folder.
    fs::remove_file(home.path("fleet").join(HOST).join("token.receipt")).unwrap();
    fs::remove_file(home.path("fleet/nas.dyn.example.com/token")).unwrap();
    let (ran, _) = check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
    assert_eq!(ran.out.matches("ready to be handed out").count(), 2, "{ran:?}");
    let there = files(Path::new(&output)).len();
    assert_eq!(there, 1 + 3 * 4);
}

#[test]
#[cfg(feature = "name-servers")]
fn a_key_is_handed_out_as_it_is() {
    let home = Home::new(&format!(
        "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"127.0.0.1:1\"\n\n[[host]]\n\
         name = \"{HOST}\"\nprovider = \"own\"\nzone = \"dyn.example.com\"\nkey-file = \"dev1.key\"\n"
    ));
    let output = home.path("fleet").display().to_string();
    let ran = home.run(&["token", "issue", HOST, "--output", &output]);
    assert!(ran.out.contains("ready to be handed out"), "{ran:?}");
    let folder = files(Path::new(&output).join(HOST).as_path());
    let names: Vec<&str> = folder.keys().map(String::as_str).collect();
    assert_eq!(names, ["/", "config.toml", "key"]);
    assert_eq!(folder["key"].2, home.read("dev1.key"));
    assert!(folder["key"].2.contains("secret") && folder["key"].0 == 0o600, "{folder:?}");
    assert!(folder["config.toml"].2.ends_with("\nkey-file = \"key\"\n"), "{folder:?}");
    home.run(&["token", "issue", "--all", "--output", &output]);
    assert_eq!(files(Path::new(&output).join(HOST).as_path()), folder);
}

#[test]
fn the_scripts_are_right_for_shellcheck() {
    for name in ["check-tokens", "cloud-init", "hand-out"] {
        let path = home::project().join("contrib/fleet").join(name);
        let Ok(checked) = Command::new("shellcheck").arg(path).output() else {
            return netns::skip("the_scripts_are_right_for_shellcheck", "needs shellcheck");
        };
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

/// Runs a script of `contrib/fleet` with programs of its own before all others.
fn script(name: &str, arguments: &[&str], programs: &Home) -> Ran {
    let mut command = Command::new(home::project().join("contrib/fleet").join(name));
    let path = format!("{}:{}", programs.path("").display(), std::env::var("PATH").unwrap());
    command.args(arguments).env("PATH", path).output().unwrap().into()
}

/// A program for [`script`].
fn program(programs: &Home, name: &str, text: &str) {
    programs.write(name, &format!("#!/bin/sh\n{text}\n"), 0o700);
}

#[test]
fn the_scripts_hand_a_folder_out_and_check_all_tokens() {
    let (sandbox, home, output) = fleet();
    check(&sandbox, &home, &["issue", "--all", "--output", &output], 0);
    fs::remove_dir_all(format!("{output}/_.wild.dyn.example.com")).unwrap();
    let programs = Home::new("");
    let etc = programs.path("machines").display().to_string();
    // A machine is a directory, and one of them is away.
    program(
        &programs,
        "ssh",
        &format!(
            "[ \"$2\" != root@nas.dyn.example.com ] || exit 255\n\
             mkdir -p \"{etc}/${{2#root@}}\"\n\
             sh -c \"$(printf '%s' \"$3\" | sed \"s|/etc/homing|{etc}/${{2#root@}}|\")\""
        ),
    );
    program(&programs, "chown", "");
    program(&programs, "systemctl", "");
    let binary = env!("CARGO_BIN_EXE_homing");
    let config = home.path("config.toml").display().to_string();
    program(
        &programs,
        "homing",
        &format!("[ \"$1\" != check ] || exit 0\nexec {binary} \"$@\" --config {config}"),
    );
    let ran = script("hand-out", &[&output, "-q"], &programs);
    let expect = (1, &*format!("{HOST}: done\n"), "nas.dyn.example.com: failed\n");
    assert_eq!((ran.code, &*ran.out, &*ran.err), expect);
    let there = files(Path::new(&format!("{etc}/{HOST}")));
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    assert_eq!(names, ["/", "config.toml", "token", "token.receipt"]);
    assert_eq!(there["token"].2, home.read("tokens/dev1"));
    assert_eq!(there["token"].0, 0o600);
    let data = script("cloud-init", &[&format!("{output}/{HOST}")], &programs);
    assert_eq!(data.code, 0, "{data:?}");
    assert!(
        data.out.starts_with("#cloud-config\nwrite_files:\n  - path: /etc/homing/token.receipt\n")
    );
    assert!(!data.out.contains(home.read("tokens/dev1").trim()), "{data:?}");
    if Command::new("jq").arg("--version").output().is_err() {
        return netns::skip("the_scripts_hand_a_folder_out_and_check_all_tokens", "needs jq");
    }
    let ran = script("check-tokens", &[], &programs);
    let right = "OK: 3 tokens, 0 not narrow|tokens=3 others=0\n";
    assert_eq!((ran.code, &*ran.out), (0, right), "{ran:?}");
    let id = ours(&sandbox).iter().find(|it| it.name.contains("dev1")).unwrap().id.clone();
    account::change(&sandbox, &id, |token| token.policies.clear());
    let ran = script("check-tokens", &[], &programs);
    let wrong =
        format!("CRITICAL: 3 tokens, 1 not narrow; {HOST}: too-powerful|tokens=3 others=1\n");
    assert_eq!((ran.code, &*ran.out), (2, &*wrong), "{ran:?}");
}
