//! The command line of the real binary: what goes where, and with which exit code.
//!
//! What each line means is tested beside the parser; this walks the same table from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

use std::process::{Command, Output, Stdio};

use homing::cli::table::{COMMANDS, GROUPS, OPTIONS, VARIABLES};
use homing::core::exit::Exit;

/// The binary with nothing of this environment that it would listen to.
fn homing(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.args(line.split_whitespace()).stdin(Stdio::null());
    for variable in VARIABLES {
        command.env_remove(variable.name);
    }
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn ends_with(mut command: Command, exit: Exit) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(exit.code().into()), "{output:?}");
    output
}

#[test]
fn help_and_version_go_to_standard_output() {
    let names = COMMANDS.iter().map(|command| command.name);
    let names = names.chain(GROUPS.iter().map(|group| group.name));
    let lines = names.map(|name| format!("{name} --help"));
    for line in lines.chain(["--version".into(), "--help".into(), "-h".into(), "-V".into()]) {
        let output = ends_with(homing(&line), Exit::Right);
        let version = format!("homing {}\n", env!("CARGO_PKG_VERSION"));
        let said = text(&output.stdout);
        // What this build leaves out is on a line of its own.
        assert!(said.starts_with(&version) || said.contains("\nUsage: homing"), "{line}: {said}");
        assert!(said.ends_with('\n') && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn help_is_not_disturbed_by_a_reader_that_has_gone() {
    let mut command = homing("--help");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    let output = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_wrong_line_is_one_line_on_standard_error() {
    for (line, expect) in [
        ("chekc", "unknown command `chekc`; did you mean `check`?"),
        ("--onc", "unknown option `--onc`; did you mean `--once`?"),
        ("--refresh", "the daemon does not take --refresh; write `homing --once --refresh`"),
        ("--config", "--config needs a value; write --config FILE"),
        ("token", "`homing token` needs an action; write one of: issue, audit, rotate, revoke"),
        ("token isue", "unknown action `isue`; did you mean `issue`? `homing token` takes one of"),
        ("token issue", "`homing token issue` needs a HOST; write `homing token issue HOST`, or"),
        ("token issue --all a.example", "`homing token issue` takes HOST or --all, not both"),
        ("token audit a_b", "`a_b` is not a host name: '_' is not allowed"),
        ("token rotate a.b --max-age 0s", "--max-age: `0s` is no time at all"),
        ("token revoke --id=../x", "--id: this is not a token's id"),
        (
            "import inadin x",
            "`inadin` is not a client that can be imported; did you mean `inadyn`?",
        ),
        ("import inadyn", "`homing import` needs the FILE that holds that client's configuration"),
    ] {
        let output = ends_with(homing(line), Exit::Usage);
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("homing: {expect}")), "{said}");
        assert!(said.lines().count() == 1 && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn a_secret_on_the_line_is_not_repeated() {
    for line in [
        "token audit --management-token=s_3cret",
        "token --management-token s_3cret audit",
        "token revoke --id s_3cret",
        "token audit --json=s_3cret",
    ] {
        let output = ends_with(homing(line), Exit::Usage);
        assert!(!text(&output.stderr).contains("3cret") && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn every_command_that_needs_a_configuration_says_which_file_is_missing() {
    let alone =
        COMMANDS.iter().filter(|command| !command.is_left_out() && command.operand.is_empty());
    let tokens = ["token issue a.b", "token audit", "token rotate --all", "token revoke --id 1"];
    for name in alone.map(|command| command.name).chain(tokens) {
        let line = format!("{name} --config /nowhere/option.toml");
        let output = ends_with(homing(&line), Exit::Configuration);
        assert!(text(&output.stderr).contains("/nowhere/option.toml"), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");

        let mut by_variable = homing(name);
        by_variable.env("HOMING_CONFIG", "/nowhere/variable.toml");
        let output = ends_with(by_variable, Exit::Configuration);
        assert!(text(&output.stderr).contains("/nowhere/variable.toml"), "{output:?}");
    }
}

#[test]
fn options_of_other_commands_are_refused_by_each() {
    for option in OPTIONS {
        for command in COMMANDS.iter().filter(|c| !c.is_left_out() && !option.is_taken_by(c.verb)) {
            let value = option.value.map_or("", |_| "=x");
            let line = format!("{} --{}{value}", command.name, option.long);
            let output = ends_with(homing(&line), Exit::Usage);
            let fix = format!(" --{}`", option.long);
            assert!(text(&output.stderr).contains(&fix), "{output:?}");
        }
    }
}

#[test]
fn a_level_that_is_none_is_refused() {
    let mut command = homing("check");
    command.env("HOMING_LOG", "loud");
    let output = ends_with(command, Exit::Usage);
    assert!(text(&output.stderr).contains("HOMING_LOG: `loud` is not a log level"), "{output:?}");
}
