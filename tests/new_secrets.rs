//! A daemon takes up a new secret, and one whose rights were mended, at once, not at its next poll.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{account, home, sandbox};
use account::{DEV1, HOST, desk, token};
use home::{Daemon, Home, wait_until};
use sandbox::{Api, Sandbox};

#[track_caller]
fn wait_for_address(sandbox: &Sandbox, daemon: &Daemon) {
    wait_until("update", || !sandbox.records(HOST, "A").is_empty(), || daemon.log());
}

/// A daemon that has found its secret file missing or wrong.
fn waiting(home: &Home) -> Daemon {
    let daemon = home.daemon();
    daemon.wait_for("the round is over");
    daemon
}

#[test]
fn a_token_that_is_issued_is_used_at_once() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let daemon = waiting(&home);
    let issued = token(&home, &["issue", HOST]);
    assert_eq!(issued.code, 0, "{issued:?}");
    wait_for_address(&sandbox, &daemon);
}

#[test]
fn a_token_in_a_directory_that_is_not_there_yet_and_behind_a_link_is_used_at_once() {
    let host = DEV1.replace("\"token\"", "\"keys/of/dev1/token\"");
    let (sandbox, home) = desk(Api::Current, &host);
    let daemon = waiting(&home);
    fs::create_dir_all(home.path("elsewhere/dev1")).unwrap();
    fs::create_dir(home.path("keys")).unwrap();
    symlink(home.path("elsewhere"), home.path("keys/of")).unwrap();
    let issued = token(&home, &["issue", HOST]);
    assert_eq!(issued.code, 0, "{issued:?}");
    wait_for_address(&sandbox, &daemon);
}

#[test]
fn a_token_whose_rights_were_mended_is_used_at_once() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    assert_eq!(token(&home, &["issue", HOST]).code, 0);
    let path = home.path("token");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let daemon = waiting(&home);
    assert!(daemon.log().contains("is open to others"), "{}", daemon.log());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    wait_for_address(&sandbox, &daemon);
    // What lies beside it is none of its business.
    let rounds = |log: &str| log.matches("a round begins").count();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let before = rounds(&daemon.log());
    home.write("other", "text", 0o600);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(rounds(&daemon.log()), before, "{}", daemon.log());
}
