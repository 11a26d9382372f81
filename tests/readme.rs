//! What README tells each person to do, done to the letter.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
#[cfg(feature = "init")]
use std::os::unix::fs::chown;
#[cfg(feature = "init")]
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::support::{home, router, sandbox};
use home::{DEV1, Home, Ran};
use router::Router;
use sandbox::{Account, Sandbox};

/// The blocks of code below the heading `title`.
fn blocks(title: &str) -> Vec<String> {
    let readme = fs::read_to_string(home::project().join("README.md")).unwrap();
    let (_, below) = readme.split_once(&format!("## {title}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap().1.to_owned()).collect()
}

/// `uci set` lines as the file that they make; the section `main` is there already.
fn uci_file(lines: &str) -> String {
    let mut file = "config homing 'main'\n".to_owned();
    let set = |line: &str| {
        let (name, value) = line.strip_prefix("uci set homing.")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('\'').to_owned()))
    };
    let all: Vec<_> = lines.lines().filter_map(set).collect();
    let options_of = |section: &str| {
        let own = all.iter().filter_map(|(name, value)| {
            let (of, option) = name.split_once('.')?;
            (of == section).then(|| format!("\toption {option} '{value}'\n"))
        });
        own.collect::<String>()
    };
    file.push_str(&options_of("main"));
    for (name, kind) in all.iter().filter(|(name, _)| !name.contains('.')) {
        file.push_str(&format!("config {kind} '{name}'\n{}", options_of(name)));
    }
    file
}

#[test]
fn the_commands_for_a_router_make_a_host_that_is_right_and_start_the_service() {
    let test = "the_commands_for_a_router_make_a_host_that_is_right_and_start_the_service";
    let Some(router) = Router::new(test) else { return };
    let [commands] = &blocks("On a router")[..] else { panic!("one block") };
    let commands = commands.replace("THE TOKEN", "s3cret-of-dev1-0123456789ab");
    router.configure("homing", &uci_file(&commands));
    let services: Vec<_> = commands.lines().filter(|line| line.starts_with("/etc/")).collect();
    let [check, start] = services[..] else { panic!("{services:?}") };
    let check = router.run(check);
    assert!(check.out.contains("the configuration is right"), "{check:?}");
    let started = router.run(start);
    assert_eq!((started.code, &*started.err), (0, ""), "{started:?}");
    let asked = router.read("tmp/procd");
    assert!(asked.contains("set_param [command] [/usr/bin/homing]"), "{asked}");
    assert!(router.read("var/run/homing/config.toml").contains("dev1.dyn.example.com"));
}

/// Runs the line of a crontab as cron does, for the user whose home is `user`.
fn by_cron(user: &Home, line: &str) -> Ran {
    let (_, command) = line.split_once("  ").unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear().env("HOME", user.path("")).env("PATH", "/usr/bin:/bin");
    shell.output().unwrap().into()
}

#[test]
fn the_line_for_a_crontab_updates_and_other_commands_find_its_state() {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &["dev1.dyn.example.com"]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let [line] = &blocks("From a crontab, without root")[..] else { panic!("one block") };
    let user = Home::new("");
    for directory in [".local/bin", "homing"] {
        fs::create_dir_all(user.path(directory)).unwrap();
    }
    home::copy_program(env!("CARGO_BIN_EXE_homing").as_ref(), &user.path(".local/bin/homing"));
    // The settings that `homing init` writes, at a server of our own.
    let made = Home::at(&sandbox.url(), DEV1);
    user.write("homing/config.toml", &made.read("config.toml"), 0o600);
    user.secret("homing/token", "s3cret-of-dev1");
    let first = by_cron(&user, line.trim_end());
    assert!(first.code == 0 && first.out.contains("updated: IPv4 198.51.100.7"), "{first:?}");
    let second = by_cron(&user, line.trim_end());
    assert_eq!((second.code, &*second.out, &*second.err), (0, "", ""), "{second:?}");
    let config = user.path("homing/config.toml").display().to_string();
    let mut status = Command::new(env!("CARGO_BIN_EXE_homing"));
    let status: Ran = status.args(["status", "--config", &config]).output().unwrap().into();
    assert!(status.code == 0 && status.out.contains("1 right"), "{status:?}");
}

#[test]
#[cfg(feature = "init")]
fn a_configuration_made_in_a_home_keeps_its_state_there_and_comes_with_the_line_for_cron() {
    let home = Home::new("");
    home.secret("t", "Abcdefghijklmnopqrstuvwxyz12");
    let place = home.path("new/config.toml").display().to_string();
    let token = home.path("t").display().to_string();
    let mut init = Command::new(env!("CARGO_BIN_EXE_homing"));
    init.args(["init", "dev1.dyn.example.com", "--provider", "desec", "--token-file", &token])
        .args(["--ipv4", "off", "--config", &place])
        .env_remove("STATE_DIRECTORY");
    if rustix::process::geteuid().is_root() {
        // Root's state is in /var/lib/homing.
        const NOBODY: u32 = 65534;
        for path in ["", "t"] {
            chown(home.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        init.uid(NOBODY).gid(NOBODY);
    }
    let ran: Ran = init.output().unwrap().into();
    assert!(home.read("new/config.toml").contains("state-dir = \"state\"\n"), "{ran:?}");
    let line = blocks("From a crontab, without root").remove(0);
    let (when, _) = line.split_once("  ").unwrap();
    let (line, options) = (format!("{when}  "), format!("homing --once --config {place}\n"));
    assert!(ran.out.contains(&line) && ran.out.contains(&options), "{ran:?}");
}
