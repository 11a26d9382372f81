//! What people see: lines as wide as their terminal, and times by the clocks here.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::time::Duration;

use crate::support::home;
use home::{DEV1, Home, Ran, Signal, on_a_terminal};

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

/// Five hours before UTC, where the clocks are never changed.
const EAST: &str = "<+05>-5";

/// What `homing` with `arguments` prints where the clocks are in the zone `zone`.
fn ran_in(home: &Home, zone: &str, arguments: &[&str]) -> Ran {
    home.command(arguments).env("TZ", zone).output().unwrap().into()
}

/// The date and the time of the text with which RFC 3339 has a moment, five hours later.
fn east(text: &str) -> (String, String) {
    let moment = humantime::parse_rfc3339(text).unwrap() + Duration::from_secs(5 * 3600);
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    let (day, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    (day.to_owned(), time.to_owned())
}

#[test]
fn people_see_the_time_of_the_clocks_here_and_programs_see_utc() {
    let home = nobody();
    let once = ran_in(&home, EAST, &["--once"]);
    let json = ran_in(&home, EAST, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let until = status["hosts"][0]["hold"]["until"].as_str().unwrap();
    let (day, time) = east(until);
    // Past midnight there is the date with it.
    let expect = [format!("next try after {time}"), format!("next try after {day} {}", &time[..5])];
    let is_shown = |text: &str| expect.iter().any(|expect| text.contains(&**expect));
    assert!(is_shown(&once.out), "{until}: {once:?}");
    let shown = ran_in(&home, EAST, &["status"]);
    assert!(is_shown(&shown.out) && !shown.out.contains("UTC"), "{until}: {shown:?}");
    // A zone that is not known is UTC, which is said.
    let shown = ran_in(&home, "Mars/Olympus", &["status"]);
    assert!(shown.out.contains(" UTC (in "), "{shown:?}");
    let state = home.read("state/state.json");
    assert!(state.contains(&until[..19]) && !state.contains("+05"), "{state}");
}

#[test]
fn a_history_has_its_times_by_the_clocks_here() {
    let home = Home::new(&format!(
        "{}\n[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n",
        DEV1.replace("\"sandbox\"\ntoken-file = \"token\"", "\"hosts-file\"\npath = \"hosts\"")
            .replace("ipv6 = \"here\"", "ipv6 = \"off\"")
    ));
    assert_eq!(home.once().code, 0);
    let json = ran_in(&home, EAST, &["history", "--json"]);
    let change: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let (day, time) = east(change["at"].as_str().unwrap());
    let shown = ran_in(&home, EAST, &["history"]);
    assert!(shown.out.starts_with(&format!("{day} {time}  dev1")), "{json:?} {shown:?}");
    let shown = home.run(&["history"]);
    assert!(shown.out.contains(" UTC  dev1"), "{shown:?}");
}

#[test]
fn the_log_for_people_has_the_offset_of_the_clocks_here() {
    for (format, offset) in [("text", "+05:00"), ("json", "Z")] {
        let home = nobody();
        let mut command = home.command(&["--log-format", format]);
        command.env("TZ", EAST);
        let daemon = home.daemon_of(command);
        daemon.wait_for("update deferred");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.end().0, 0);
        let log = home.read("log");
        let line = log.lines().find(|line| line.contains("update deferred")).unwrap();
        let moments: Vec<_> =
            line.split(['"', '=', ' ']).filter(|part| part.starts_with("20")).collect();
        assert_eq!(moments.len(), 2, "the time and the end of the wait: {line}");
        assert!(moments.iter().all(|moment| moment.ends_with(offset)), "{line}");
    }
}
