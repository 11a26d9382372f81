//! Homing started by hand beside a service that runs as a user of its own.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::{home, netns};
use home::{Home, PROGRAMS, Ran};

/// A user and a group that every system has: nobody's.
const SERVICE: u32 = 65534;

const HOST: &str = r#"
[provider.mine]
protocol = "dyndns2"
update-url = "http://127.0.0.1:9/nic/update"

[[host]]
name = "dev1.dyn.example.com"
provider = "mine"
username = "me"
password = "s3cret"
ipv4 = "here"
ipv6 = "off"

[source.here]
static = "198.51.100.7"
allow-private = true
"#;

/// A home whose state belongs to another user; `None` when this test may not make one.
fn of_a_service(test: &str) -> Option<Home> {
    if !rustix::process::geteuid().is_root() {
        netns::skip(test, "needs root");
        return None;
    }
    let home = Home::new(HOST);
    fs::create_dir(home.path("state")).unwrap();
    fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    chown(home.path("state"), Some(SERVICE), Some(SERVICE)).unwrap();
    Some(home)
}

fn owner(home: &Home, name: &str) -> (u32, u32, u32) {
    let file = fs::symlink_metadata(home.path(name)).unwrap();
    (file.uid(), file.gid(), file.mode() & 0o777)
}

#[test]
fn what_root_writes_belongs_to_the_service() {
    let Some(home) = of_a_service("what_root_writes_belongs_to_the_service") else { return };
    // Nobody listens there: the state is written all the same.
    assert_eq!(home.once().code, 75);
    for name in ["state/state.json", "state/homing.lock"] {
        assert_eq!(owner(&home, name), (SERVICE, SERVICE, 0o600), "{name}");
    }
}

#[test]
fn a_link_in_the_state_directory_leads_root_nowhere() {
    let Some(home) = of_a_service("a_link_in_the_state_directory_leads_root_nowhere") else {
        return;
    };
    home.write("treasure", "of root\n", 0o600);
    symlink(home.path("treasure"), home.path("state/homing.lock")).unwrap();
    let ran = home.once();
    assert_eq!(ran.code, 75, "{ran:?}");
    fs::remove_file(home.path("state/homing.lock")).unwrap();
    symlink(home.path("treasure"), home.path("state/state.json.new")).unwrap();
    fs::hard_link(home.path("treasure"), home.path("state/homing.lock")).unwrap();
    assert_eq!(home.once().code, 75);
    assert_eq!(home.read("treasure"), "of root\n");
    assert_eq!(owner(&home, "treasure"), (0, 0, 0o600));
}

#[test]
fn root_neither_gives_away_nor_overwrites_a_file_that_was_put_in_place_of_the_lock() {
    let test = "root_neither_gives_away_nor_overwrites_a_file_that_was_put_in_place_of_the_lock";
    let Some(home) = of_a_service(test) else { return };
    for text in ["of root\n", "", "daemon 7 since 2027-01-15T08:00:00Z tick 9\n"] {
        home.write("state/homing.lock", text, 0o600);
        assert_eq!(home.once().code, 75);
        assert_eq!(home.read("state/homing.lock"), text);
        assert_eq!(owner(&home, "state/homing.lock"), (0, 0, 0o600), "{text:?}");
    }
    home.write("state/homing.lock", "of root\n", 0o600);
    let ran = home.run(&[]);
    assert_eq!(ran.code, 75, "{ran:?}");
    let lock = home.path("state/homing.lock");
    let expect = format!("it is not a lock of Homing; move {} away", lock.display());
    assert!(ran.err.contains(&expect), "{ran:?}");
    assert_eq!(home.read("state/homing.lock"), "of root\n");
}

#[test]
fn another_user_is_told_whose_state_it_is() {
    let Some(home) = of_a_service("another_user_is_told_whose_state_it_is") else { return };
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    chown(home.path("config.toml"), Some(SERVICE - 1), None).unwrap();
    // The program lies where only root may look.
    let program = home.path("homing");
    home::copy_program(Path::new(env!("CARGO_BIN_EXE_homing")), &program);
    for arguments in [&[][..], &["--once"]] {
        let mut command = Command::new(&program);
        command.env_clear().args(home.command(arguments).get_args());
        let ran = Ran::from(command.uid(SERVICE - 1).gid(SERVICE - 1).output().unwrap());
        let state = home.path("state");
        let lock = state.join("homing.lock");
        let expect = format!(
            "cannot lock {}: permission denied; {} belongs to nobody: run `sudo -u nobody homing …`, \
             or choose another directory with --state-dir",
            lock.display(),
            state.display()
        );
        assert!(ran.err.contains(&expect), "{ran:?}");
        assert_eq!(ran.code, 75);
    }
}

/// As whom the programs of a configuration run that root tries, if its file and its directory have
/// these owners and the file this group and mode.
#[track_caller]
fn check_programs(file: (u32, u32, u32), directory: u32, expect: &str) {
    let home = Home::new("");
    let out = home.path("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
    let say = "id -u; id -G";
    home.configure(&PROGRAMS.replace("SAY", say).replace("DIR", out.to_str().unwrap()));
    let (uid, gid, mode) = file;
    chown(home.path("config.toml"), Some(uid), Some(gid)).unwrap();
    fs::set_permissions(home.path("config.toml"), fs::Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    chown(home.path(""), Some(directory), None).unwrap();
    let said = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();

    let path = home.path("config.toml");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = format!("can change {}", path.display());
    assert_eq!(ran.out.contains(&told), expect != "0\n0\n", "{ran:?}");
    assert_eq!(said("source"), expect, "{ran:?}");
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(said("hook"), expect, "{ran:?}");
}

#[test]
fn root_runs_no_program_that_somebody_else_may_choose() {
    if !rustix::process::geteuid().is_root() {
        return netns::skip("root_runs_no_program_that_somebody_else_may_choose", "needs root");
    }
    // A user whom the system does not know keeps the group of the file, but never root's.
    let stranger = 54_321;
    check_programs((stranger, stranger, 0o600), 0, "54321\n54321\n");
    check_programs((stranger, 0, 0o600), 0, "54321\n65534\n");
    check_programs((0, 0, 0o644), SERVICE, "65534\n65534\n");
    check_programs((0, stranger, 0o660), 0, "65534\n65534\n");
    check_programs((0, 0, 0o602), 0, "65534\n65534\n");
    check_programs((0, stranger, 0o640), 0, "0\n0\n");
}

#[test]
fn check_by_root_judges_files_as_the_service_reads_them() {
    let Some(home) = of_a_service("check_by_root_judges_files_as_the_service_reads_them") else {
        return;
    };
    home.configure(&HOST.replace("password = \"s3cret\"", "password-file = \"secret\""));
    let (config, secret) = (home.path("config.toml"), home.path("secret"));
    let (config_shown, shown) = (config.display(), secret.display());
    let give = |path, uid| chown(path, Some(uid), None).unwrap();
    let check = |code: i32, words: &str| {
        let ran = home.run(&["check"]);
        assert!(ran.code == code && ran.out.contains(words), "{words}\n{ran:?}");
        ran
    };
    give(&config, SERVICE);
    home.secret("secret", "s3cret");
    let cannot = "cannot be read by nobody, as whom Homing runs; run `chown nobody";
    let ran = check(78, &format!("left out: {shown} {cannot} {shown}`"));
    assert!(!ran.out.contains("would send"), "{ran:?}");
    home.write("secret", "s3cret\n", 0o644);
    let fix = format!("run `chown nobody {shown} && chmod 600 {shown}`");
    check(78, &format!("is open to others (0644); {fix}"));
    // The advice, followed to the letter.
    let done = Command::new("sh").arg("-c").arg(fix.split('`').nth(1).unwrap()).status().unwrap();
    assert!(done.success());
    check(0, "the configuration is right");

    give(&config, 0);
    check(78, &format!("{config_shown} {cannot} {config_shown}`"));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    check(0, "the configuration is right");

    // Without a state yet, the configuration's directory tells whose service it is.
    fs::remove_dir_all(home.path("state")).unwrap();
    give(&secret, 0);
    check(0, "the configuration is right");
    chown(home.path(""), Some(SERVICE), Some(SERVICE)).unwrap();
    check(78, &format!("left out: {shown} {cannot} {shown}`"));
}
