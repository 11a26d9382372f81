//! The units for systemd, as systemd itself judges them without being booted.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{home, netns};
use home::{Home, project};

/// The highest exposure that is allowed, in tenths.
const EXPOSURE: &str = "--threshold=11";

const UNITS: [&str; 3] = ["homing.service", "homing-once.service", "homing-once.timer"];

/// A directory with the units, whose program is the one under test; `None` without systemd.
fn units(test: &str) -> Option<Home> {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        netns::skip(test, "needs systemd-analyze");
        return None;
    }
    let home = Home::new("");
    for unit in UNITS {
        let program = concat!("ExecStart=", env!("CARGO_BIN_EXE_homing"));
        home.write(unit, &shipped(unit).replace("ExecStart=/usr/bin/homing", program), 0o644);
    }
    Some(home)
}

fn packaging() -> PathBuf {
    project().join("packaging/systemd")
}

fn shipped(unit: &str) -> String {
    fs::read_to_string(packaging().join(unit)).unwrap()
}

/// What `systemd-analyze` says about a unit, with its exit code as the first line.
fn analyze(home: &Home, arguments: &[&str], unit: &str) -> String {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(home.path(unit))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!("{:?}\n{}", output.status.code(), String::from_utf8_lossy(&said))
}

fn verified(home: &Home, unit: &str) -> String {
    // No manual page is installed yet; without the other an unknown key is told and forgiven.
    analyze(home, &["--man=no", "--recursive-errors=no", "verify"], unit)
}

fn exposed(home: &Home, unit: &str) -> String {
    analyze(home, &["--no-pager", "--offline=true", EXPOSURE, "security"], unit)
}

fn passes(said: &str) -> bool {
    said.starts_with("Some(0)\n")
}

#[test]
fn systemd_has_no_word_to_say_about_the_units() {
    let Some(home) = units("systemd_has_no_word_to_say_about_the_units") else { return };
    for unit in UNITS {
        assert_eq!(verified(&home, unit), "Some(0)\n", "{unit}");
    }
    let wrong = shipped("homing.service").replace("RestartSec=", "RestartSecs=");
    home.write("wrong.service", &wrong, 0o644);
    let said = verified(&home, "wrong.service");
    assert!(!passes(&said) && said.contains("Unknown key"), "{said}");
}

#[test]
fn the_services_are_hardly_exposed() {
    let Some(home) = units("the_services_are_hardly_exposed") else { return };
    for unit in ["homing.service", "homing-once.service"] {
        let said = exposed(&home, unit);
        assert!(passes(&said), "{unit}: {said}");
    }
    let wider = shipped("homing.service").replace("PrivateUsers=yes", "PrivateUsers=no");
    home.write("wider.service", &wider, 0o644);
    assert!(!passes(&exposed(&home, "wider.service")));
}

#[test]
fn the_variant_with_credentials_is_as_good() {
    let Some(home) = units("the_variant_with_credentials_is_as_good") else { return };
    let name = "homing.service.d/credentials.conf";
    fs::create_dir(home.path("homing.service.d")).unwrap();
    home.write(name, &shipped(name), 0o644);
    assert_eq!(verified(&home, "homing.service"), "Some(0)\n");
    let said = exposed(&home, "homing.service");
    assert!(passes(&said), "{said}");
    // The drop-in was looked at.
    home.write(name, &shipped(name).replace("DynamicUser=", "DynamicUsers="), 0o644);
    assert!(verified(&home, "homing.service").contains("Unknown key"));
}

#[test]
fn the_example_of_what_a_failure_starts_is_a_unit_to_systemd() {
    let Some(home) = units("the_example_of_what_a_failure_starts_is_a_unit_to_systemd") else {
        return;
    };
    let text = shipped("homing.service.d/on-failure.conf");
    // The unit that the comment shows is one as well.
    let shown = text.lines().filter_map(|line| line.strip_prefix("#     "));
    home.write("tell@.service", &shown.collect::<Vec<_>>().join("\n"), 0o644);
    for unit in ["homing.service", "homing-once.service"] {
        let name = format!("{unit}.d");
        fs::create_dir(home.path(&name)).unwrap();
        home.write(&format!("{name}/on-failure.conf"), &text, 0o644);
        assert_eq!(verified(&home, unit), "Some(0)\n", "{unit}");
    }
    let wrong = text.replace("OnFailure=", "OnFailures=");
    home.write("homing.service.d/on-failure.conf", &wrong, 0o644);
    assert!(verified(&home, "homing.service").contains("Unknown key"));
}

#[test]
fn one_round_is_confined_as_the_daemon_is() {
    let of = |unit: &str| {
        let text = shipped(unit);
        let from = text.find("\nUser=").unwrap();
        let upto = text.find("\n[Install]").unwrap_or(text.len());
        let settings = text[from..upto].lines().filter(|line| !line.starts_with('#'));
        settings.filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("homing.service"), of("homing-once.service"));
}
