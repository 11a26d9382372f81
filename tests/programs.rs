//! The programs of a configuration: in a session of their own, without a terminal, and never left over.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use crate::support::home;
use home::{Home, PROGRAMS, on_a_terminal, wait_until};

/// Says `terminal` or `none`, then the process, its group, its session and its terminal.
const SAY: &str = "if (: </dev/tty) 2>/dev/null; then echo terminal; else echo none; fi; \
                   cut -d' ' -f1,5,6,7 /proc/$$/stat";

#[test]
fn a_program_has_no_terminal_whatever_terminal_homing_has() {
    let home = Home::new("");
    let dir = home.path("").display().to_string();
    home.configure(&PROGRAMS.replace("SAY", SAY).replace("DIR", dir.trim_end_matches('/')));
    let config = home.path("config.toml");
    let once = format!("{} --once --config {}", env!("CARGO_BIN_EXE_homing"), config.display());
    let ran = on_a_terminal(&format!("{SAY}; {once}"));
    assert!(ran.out.starts_with("terminal"), "the shell itself has one: {ran:?}");
    assert_eq!(ran.code, 0, "{ran:?}");
    for name in ["source", "hook"] {
        let said = home.read(name);
        let (terminal, numbers) = said.trim().split_once('\n').unwrap();
        let numbers: Vec<i32> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        assert_eq!(terminal, "none", "{name}: {said}");
        let [process, group, session, terminal] = numbers[..] else { panic!("{said}") };
        assert_eq!((group, session, terminal), (process, process, 0), "{name}: {said}");
    }
}

#[test]
fn a_program_that_is_ended_takes_what_it_started_with_it() {
    let home = Home::new("");
    let file = home.path("inner");
    let script = format!("sleep 600 & echo $! >{}; exec yes", file.display());
    let said = format!("command = [\"sh\", \"-c\", \"{script}\"]");
    let config = PROGRAMS.replace("\non-change", "\n#on-change");
    let command = config.lines().find(|line| line.starts_with("command")).unwrap().to_owned();
    home.configure(&config.replace(&command, &said));
    let ran = home.once();
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.out.contains("sh prints more than 4096 bytes"), "{ran:?}");
    let stat = Path::new("/proc").join(home.read("inner").trim()).join("stat");
    let is_over = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    wait_until("end of what it started", is_over, || fs::read_to_string(&stat).unwrap_or_default());
}

#[test]
fn a_program_that_cannot_be_run_is_named_with_the_reason() {
    let scratch = Home::new("");
    scratch.write("plain", "#!/bin/sh\n", 0o600);
    let plain = scratch.path("plain").display().to_string();
    for (program, expect) in [
        ("/nonexistent/program", "/nonexistent/program cannot be run: No such file or directory"),
        (&plain, "plain cannot be run: Permission denied"),
        ("homing-no-such-program", "homing-no-such-program cannot be run: No such file"),
    ] {
        let config = PROGRAMS.replace("\non-change", "\n#on-change");
        let command = config.lines().find(|line| line.starts_with("command")).unwrap().to_owned();
        let said = format!("command = [\"{program}\", \"s3cret\"]");
        let home = Home::new("");
        home.configure(&config.replace(&command, &said));
        let ran = home.once();
        assert_eq!(ran.code, 75, "{ran:?}");
        assert!(ran.out.contains(expect), "{expect}: {ran:?}");
        assert!(!ran.out.contains("s3cret"), "{ran:?}");
    }
}
