//! What people see on a terminal: lines as wide as it is.
#![cfg(target_os = "linux")]

use crate::support::home;
use home::{DEV1, Home, on_a_terminal};

/// The columns of the terminal.
const WIDTH: usize = 50;

/// A home whose provider is not there.
fn nobody() -> Home {
    Home::at("http://127.0.0.1:9", DEV1)
}

/// What `homing` with `arguments` prints on such a terminal.
fn shown(home: &Home, arguments: &str) -> String {
    let (program, config) = (env!("CARGO_BIN_EXE_homing"), home.path("config.toml"));
    let command = format!("{program} {arguments} --config {}", config.display());
    let ran = on_a_terminal(&format!("stty cols {WIDTH}; TERM=dumb exec {command}"));
    ran.out.replace('\r', "")
}

/// A line that is too long has one word after its indentation, or a command that stays whole.
#[track_caller]
fn check_width(text: &str) {
    let too_long = |line: &&str| line.chars().count() > WIDTH;
    for line in text.lines().filter(too_long) {
        let words = line.trim().trim_end_matches([',', '.', ';']);
        assert!(!words.contains(' ') || words.starts_with('`') && words.ends_with('`'), "{text}");
    }
}

/// `text` with each run of white space as one blank.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn check_and_once_are_wrapped_at_words_on_a_terminal_and_nowhere_else() {
    let home = nobody();
    for arguments in ["check", "--once --dry-run", "--once"] {
        let text = shown(&home, arguments);
        check_width(&text);
        assert!(text.contains("\n  "), "{arguments}: {text}");
        let words: Vec<_> = arguments.split(' ').collect();
        let ran = home.run(&words);
        assert!(ran.out.lines().all(|line| !line.starts_with("    ")), "{ran:?}");
        if arguments != "--once" {
            assert_eq!(unwrapped(&text), unwrapped(&ran.out), "{arguments}");
        }
    }
}

#[test]
fn the_problems_of_a_configuration_are_wrapped_on_a_terminal() {
    let home = nobody();
    home.configure(&format!("{DEV1}refresh = \"1h\"\ncolour = \"green\"\n"));
    let (text, ran) = (shown(&home, "check"), home.run(&["check"]));
    check_width(&text);
    assert!(ran.err.lines().all(|line| line.starts_with("homing: ")), "{ran:?}");
    assert!(text.lines().count() > ran.err.lines().count(), "{text}");
    assert_eq!(unwrapped(&text), unwrapped(&ran.err));
}
