//! Token files that are not what they seem: links, copies, two paths to one file, receipts of other
//! hosts and servers. Nothing that is somebody else's is ever ended or overwritten.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

#[path = "support/account.rs"]
mod account;
#[path = "support/home.rs"]
mod home;
#[path = "../contrib/sandbox/server/mod.rs"]
mod sandbox;

use std::fs;
use std::os::unix::fs::{lchown, symlink};

use account::{DEV1, HOST, ZONE, check, desk, ours, rows, the_one, writes};
use home::Home;
use sandbox::{Answer, Api, Sandbox, Scripted};

const ISSUE: &[&str] = &["issue", HOST];
const ALL: &[&str] = &["issue", "--all"];

/// A `[[host]]` of the zone with that token file.
fn host(label: &str, file: &str) -> String {
    DEV1.replace("dev1", label).replace("\"token\"", &format!("\"{file}\""))
}

/// The names of the tokens that Homing made, sorted.
fn names(sandbox: &Sandbox) -> Vec<String> {
    let mut names: Vec<String> = ours(sandbox).into_iter().map(|token| token.name).collect();
    names.sort();
    names
}

fn copy(home: &Home, from: &str, to: &str) {
    fs::copy(home.path(from), home.path(to)).unwrap();
}

#[test]
fn two_paths_to_one_file_are_one_token() {
    let hosts = [host("dev1", "token"), host("dev2", "link/token")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    symlink(home.path(""), home.path("link")).unwrap();
    check(&sandbox, &home, ALL, 0);
    let allowed = rows(&the_one(&sandbox));
    assert_eq!(allowed.len(), 5, "{allowed:?}");
    let (ran, sent) = check(&sandbox, &home, ALL, 0);
    assert!(writes(&sent).is_empty() && ran.out.contains("nothing to do"), "{ran:?}");
}

#[test]
fn a_link_of_roots_is_followed_by_all_commands_and_another_persons_is_refused() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    home.write("real", "", 0o600);
    symlink(home.path("real"), home.path("token")).unwrap();
    check(&sandbox, &home, ISSUE, 0);
    assert!(home.path("real.receipt").exists() && !home.path("token.receipt").exists());
    assert!(fs::symlink_metadata(home.path("token")).unwrap().is_symlink());
    let (ran, _) = check(&sandbox, &home, &["audit", HOST], 0);
    assert!(ran.out.contains("narrow"), "{ran:?}");
    if lchown(home.path("token"), Some(54321), Some(54321)).is_ok() {
        let (ran, sent) = check(&sandbox, &home, ISSUE, 78);
        assert!(ran.err.contains("a link that somebody else made"), "{ran:?}");
        assert!(sent.is_empty(), "{sent:?}");
    }
}

#[test]
fn files_that_would_overwrite_one_another_are_refused() {
    for other in ["token.new", "token.receipt", "token.new.receipt"] {
        let hosts = [host("dev1", "token"), host("dev2", other)].concat();
        let (sandbox, home) = desk(Api::Current, &hosts);
        let (ran, sent) = check(&sandbox, &home, ALL, 78);
        assert!(ran.err.contains("cannot both be token files"), "{ran:?}");
        assert!(sent.is_empty(), "{sent:?}");
    }
}

#[test]
fn the_receipt_of_another_host_ends_no_token() {
    let hosts = [host("dev1", "token"), host("dev2", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    check(&sandbox, &home, ISSUE, 0);
    copy(&home, "token.receipt", "other.receipt");
    let (ran, _) = check(&sandbox, &home, &["issue", "dev2.dyn.example.com"], 0);
    assert!(ran.out.contains("the receipt is of dev1.dyn.example.com"), "{ran:?}");
    assert_eq!(names(&sandbox), ["homing:dev1.dyn.example.com", "homing:dev2.dyn.example.com"]);
}

#[test]
fn one_token_in_two_files_is_taken_from_nobody() {
    let hosts = [host("dev1", "token"), host("dev2", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    check(&sandbox, &home, ISSUE, 0);
    copy(&home, "token", "other");
    copy(&home, "token.receipt", "other.receipt");
    let before = rows(&the_one(&sandbox));
    for (command, other) in
        [(ALL, "dev1"), (ISSUE, "dev2"), (&["rotate", "dev2.dyn.example.com"][..], "dev1")]
    {
        let (ran, _) = check(&sandbox, &home, command, 78);
        let told = format!("holds the same token as that of {other}");
        assert!(ran.err.contains(&told), "{ran:?}");
        assert_eq!(rows(&the_one(&sandbox)), before);
    }
}

#[test]
fn a_half_made_token_is_ended_only_if_it_is_proven_to_be_this_files() {
    let hosts = [host("dev1", "token"), host("dev2", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    check(&sandbox, &home, &["issue", "dev2.dyn.example.com"], 0);
    copy(&home, "other.receipt", "token.new.receipt");
    for with_its_secret in [false, true] {
        if with_its_secret {
            copy(&home, "other.receipt", "token.new.receipt");
            copy(&home, "other", "token.new");
        }
        let (ran, _) = check(&sandbox, &home, ISSUE, 0);
        assert!(ran.out.contains("left alone"), "{ran:?}");
        assert!(names(&sandbox).contains(&"homing:dev2.dyn.example.com".to_owned()));
    }
}

#[test]
fn a_receipt_of_another_server_stops_the_run() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    let receipt = home.read("token.receipt");
    home.write("token.receipt", &receipt.replace(&sandbox.url(), "https://desec.example"), 0o600);
    let (ran, sent) = check(&sandbox, &home, ISSUE, 78);
    assert!(ran.err.contains("of another server, https://desec.example"), "{ran:?}");
    assert!(writes(&sent).is_empty(), "{sent:?}");
}

#[test]
fn limits_that_would_end_a_token_at_once_make_a_new_one() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    let old = the_one(&sandbox).id;
    account::change(&sandbox, &old, |token| {
        token.created -= std::time::Duration::from_secs(400 * 86_400);
    });
    let (ran, _) = check(&sandbox, &home, &["issue", HOST, "--max-age", "365d"], 0);
    assert!(ran.out.contains("would be over already"), "{ran:?}");
    assert_ne!(the_one(&sandbox).id, old);
}

#[test]
fn every_network_is_no_limit() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let issue = [ISSUE, &["--allow-subnet", "0.0.0.0/0", "--allow-subnet", "::/0"]].concat();
    check(&sandbox, &home, &issue, 0);
    let (_, sent) = check(&sandbox, &home, &issue, 0);
    assert!(writes(&sent).is_empty(), "{sent:?}");
}

#[test]
fn only_the_servers_own_word_is_a_deletion() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    let old = the_one(&sandbox).id;
    let said = Answer::json(200, "{\"detail\":\"maintenance\"}");
    sandbox.answer_nth(1, "DELETE", "/api/v1/auth/tokens/", Scripted::answer(said));
    let (ran, _) = check(&sandbox, &home, &["rotate", HOST], 75);
    assert!(ran.err.contains("may still be there"), "{ran:?}");
    assert!(home.read("token.receipt").contains(&old), "it is not forgotten");
    check(&sandbox, &home, ISSUE, 0);
    assert_ne!(the_one(&sandbox).id, old);
}

#[test]
fn hosts_whose_turn_did_not_come_are_named() {
    let hosts = [host("dev1", "token"), host("dev2", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    let refused = Answer::json(401, "{\"detail\":\"Invalid token.\"}");
    sandbox.answer_nth(1, "POST", "/api/v1/auth/tokens/", Scripted::answer(refused));
    let (ran, _) = check(&sandbox, &home, ALL, 77);
    assert!(ran.err.contains("1 more not tried: dev2.dyn.example.com"), "{ran:?}");
}

#[test]
fn a_zone_is_not_registered_for_a_token_that_could_not_be_kept() {
    let (sandbox, home) = desk(Api::Current, &DEV1.replace("\"token\"", "\"full/token\""));
    fs::create_dir(home.path("full")).unwrap();
    fs::create_dir(home.path("full/token.new.try")).unwrap();
    let wish = [ISSUE, &["--create-domain", HOST]].concat();
    let (ran, sent) = check(&sandbox, &home, &wish, 78);
    assert!(writes(&sent).is_empty() && ran.err.contains("cannot be written"), "{ran:?}");
    fs::remove_dir(home.path("full/token.new.try")).unwrap();
    let (ran, _) = check(&sandbox, &home, &wish, 0);
    assert!(ran.out.contains("IN DS"), "{ran:?}");
    // Whoever lost that output gets the records again.
    let (ran, sent) = check(&sandbox, &home, &wish, 0);
    assert!(ran.out.contains("IN DS") && writes(&sent).is_empty(), "{ran:?}");
    assert!(sandbox.with_account(|account| account.zones().len()) == 2, "{ZONE} and {HOST}");
}
