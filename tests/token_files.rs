//! Token files that are not what they seem: links, copies, two paths to one file, receipts of other
//! hosts and servers. Nothing that is somebody else's is ever ended or overwritten.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::time::Duration;

use crate::support::{account, home, sandbox};
use account::{DEV1, HOST, ZONE, check, desk, ours, rows, the_one, writes};
use home::Home;
use sandbox::{Answer, Api, Sandbox, Scripted, Token};

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
    assert!(ran.out.contains("the receipt belongs to dev1.dyn.example.com"), "{ran:?}");
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
        assert!(ran.out.contains("unchanged"), "{ran:?}");
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
    assert!(ran.err.contains("belongs to another server, https://desec.example"), "{ran:?}");
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
    assert!(ran.out.contains("would already be expired"), "{ran:?}");
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

// What the server calls a secret.

/// A token as the server shows it when it was just made, with this in place of its secret (JSON).
fn born(id: &str, secret: &str) -> String {
    format!(
        r#"{{"id":"{id}","created":"2026-11-21T23:52:30.406898Z","last_used":null,"owner":"owner@example.com","user_override":null,"mfa":null,"max_age":null,"max_unused_period":null,"name":"homing:{HOST}","perm_create_domain":false,"perm_delete_domain":false,"perm_manage_tokens":false,"allowed_subnets":["0.0.0.0/0","::/0"],"auto_policy":true,"is_valid":true,"token":{secret}}}"#
    )
}

#[test]
fn what_could_be_no_secret_is_refused_and_its_token_deleted() {
    let huge = format!("\"{}\"", "a".repeat(100_000));
    let management = format!("\"{}\"", account::MANAGEMENT);
    let cases = [
        r#""abc\ndef""#,
        r#""""#,
        "null",
        r#""a\u0000b""#,
        r#"" padded ""#,
        r#""abc\n""#,
        r#""two words""#,
        r#""sch\u00f6n""#,
        &huge,
        &management,
    ];
    for is_rotation in [false, true] {
        for secret in &cases[..if is_rotation { 2 } else { cases.len() }] {
            let (sandbox, home) = desk(Api::Current, DEV1);
            if is_rotation {
                check(&sandbox, &home, ISSUE, 0);
            }
            let before: Vec<_> = ours(&sandbox).into_iter().map(|token| token.id).collect();
            let in_use = fs::read(home.path("token")).ok();
            let mut odd = Token::restricted(&format!("homing:{HOST}"), "unknown-to-all", []);
            odd.auto_policy = true;
            let answer = Answer::json(201, &born(&odd.id, secret));
            sandbox.with_account(|account| account.tokens.push(odd));
            sandbox.answer_nth(1, "POST", "/api/v1/auth/tokens/", Scripted::answer(answer));
            let command = if is_rotation { ["rotate", HOST] } else { ["issue", HOST] };
            let (ran, _) = check(&sandbox, &home, &command, 75);
            assert!(ran.err.contains("the server gave the new token a secret that "), "{ran:?}");
            assert!(ran.err.contains("the incomplete token is deleted"), "{ran:?}");
            let after: Vec<_> = ours(&sandbox).into_iter().map(|token| token.id).collect();
            assert_eq!(after, before, "{secret:.40}");
            assert_eq!(fs::read(home.path("token")).ok(), in_use, "{secret:.40}");
            assert!(!home.path("token.new").exists());
        }
    }
}

// Limits that drifted.

#[test]
fn limits_under_which_a_token_is_useless_are_put_back() {
    type Drift = fn(&mut Token);
    let hour = Duration::from_secs(3600);
    let zero: Drift = |token| token.max_age = Some(Duration::ZERO);
    let idle: Drift = |token| token.max_unused_period = Some(Duration::from_secs(1));
    let nobody: Drift = |token| token.allowed_subnets.clear();
    let foreign: Drift = |token| token.allowed_subnets = vec!["198.51.100.0/24".parse().unwrap()];
    for (drift, told) in [
        (zero, "lives 0s"),
        (idle, "unused at most 1s"),
        (nobody, "from no network"),
        (foreign, "from 198.51.100.0/24"),
    ] {
        for command in ["issue", "rotate"] {
            let (sandbox, home) = desk(Api::Current, DEV1);
            check(&sandbox, &home, &["issue", HOST, "--max-age", "90d"], 0);
            let old = the_one(&sandbox);
            account::change(&sandbox, &old.id, drift);
            sandbox.advance(Duration::from_secs(2));
            let (ran, _) = check(&sandbox, &home, &[command, HOST], 0);
            let token = the_one(&sandbox);
            assert_eq!(token.max_age, Some(hour * 24 * 90), "{command}: {told}");
            assert_eq!(token.max_unused_period, None, "{command}: {told}");
            assert_eq!(token.allowed_subnets.len(), 2, "{command}: {told}");
            assert_eq!(home.read("token").trim(), token.secret);
            if command == "issue" {
                // The same token goes on: others may have it.
                assert_eq!(token.id, old.id, "{told}");
                assert!(
                    ran.out.contains(told) && ran.out.contains("  ~ lives 90d (was: "),
                    "{ran:?}"
                );
                let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
                assert!(ran.out.contains("nothing to do") && writes(&sent).is_empty(), "{ran:?}");
            }
            let ran = home.once();
            assert_eq!(ran.code, 0, "{command}: {told}: {ran:?}");
            assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"]);
        }
    }
}

#[test]
fn limits_that_somebody_chose_are_told_and_kept() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    account::change(&sandbox, &the_one(&sandbox).id, |token| {
        token.max_age = Some(Duration::from_secs(30 * 86_400));
    });
    let told = "note: somebody has changed its limits: lives 30d (issued with: no limits)";
    let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
    assert!(ran.out.contains(told) && writes(&sent).is_empty(), "{ran:?}");
    let (ran, _) = check(&sandbox, &home, ISSUE, 0);
    assert!(!ran.out.contains("somebody"), "{ran:?}");
}

#[test]
fn what_an_audit_advises_for_a_token_without_time_works() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    account::change(&sandbox, &the_one(&sandbox).id, |token| {
        token.max_age = Some(Duration::ZERO);
    });
    let audit = home::Ran::from(account::token_command(&home, &["audit", HOST]).output().unwrap());
    assert!(audit.out.contains("homing token rotate dev1"), "{audit:?}");
    check(&sandbox, &home, &["rotate", HOST], 0);
    check(&sandbox, &home, &["audit", HOST], 0);
    assert_eq!(the_one(&sandbox).max_age, None);
}

#[test]
fn an_end_within_the_hour_changes_nothing_without_force() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    let before = the_one(&sandbox);
    for options in [["--max-age", "1s"], ["--max-unused", "59m"]] {
        for command in ["issue", "rotate"] {
            let line = [&[command, HOST][..], &options].concat();
            let (ran, sent) = check(&sandbox, &home, &line, 64);
            assert!(ran.err.contains("the token would end within the hour"), "{ran:?}");
            assert!(sent.is_empty(), "{sent:?}");
        }
    }
    assert_eq!(the_one(&sandbox).secret, before.secret);
    check(&sandbox, &home, &["issue", HOST, "--max-age", "30m", "--force"], 0);
    assert_eq!(the_one(&sandbox).max_age, Some(Duration::from_secs(1800)));
}

// A token that somebody made by hand.

#[test]
fn the_file_of_a_token_made_by_hand_is_kept_and_the_plan_says_so() {
    for command in ["issue", "rotate"] {
        let (sandbox, home) = desk(Api::Current, DEV1);
        home.write("token", "made-by-hand\n", 0o640);
        sandbox.with_account(|account| {
            account.tokens.push(Token::unrestricted("by hand", "made-by-hand"));
        });
        let plan = format!(
            "  ! the secret in {0} is replaced, but its token still works: it is kept in {0}.old",
            home.path("token").display()
        );
        let (ran, _) = check(&sandbox, &home, &[command, HOST, "--dry-run"], 0);
        assert!(ran.out.lines().any(|line| line == plan), "{ran:?}");
        assert_eq!(home.read("token"), "made-by-hand\n");
        assert!(!home.path("token.old").exists());
        let (ran, _) = check(&sandbox, &home, &[command, HOST], 0);
        assert!(ran.out.lines().any(|line| line == plan), "{ran:?}");
        assert_eq!(home.read("token.old"), "made-by-hand\n");
        let about = |name: &str| fs::metadata(home.path(name)).unwrap();
        let (old, new) = (about("token.old"), about("token"));
        assert_eq!((old.uid(), old.mode() & 0o777), (new.uid(), 0o640));
        // What is ended needs no copy; what was kept is never overwritten.
        check(&sandbox, &home, &["rotate", HOST], 0);
        assert_eq!(home.read("token.old"), "made-by-hand\n");
        assert!(!home.path("token.old.2").exists());
        home.write("token", "another-one\n", 0o600);
        check(&sandbox, &home, ISSUE, 0);
        assert_eq!(home.read("token.old"), "made-by-hand\n");
        assert_eq!(home.read("token.old.2"), "another-one\n");
    }
}

#[test]
fn a_token_is_called_as_is_wished_and_goes_on_so() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, &["issue", HOST, "--name", "the nas"], 0);
    let named = || sandbox.with_account(|account| account.tokens[1].name.clone());
    assert_eq!(named(), "the nas");
    for command in ["issue", "rotate"] {
        check(&sandbox, &home, &[command, HOST], 0);
        assert_eq!(named(), "the nas");
    }
    let (ran, _) = check(&sandbox, &home, &["issue", HOST, "--name", "another"], 0);
    assert!(ran.out.contains("  ~ name \"another\" (was: \"the nas\")"), "{ran:?}");
    assert_eq!(named(), "another");
    // Another token of that name is nobody's business.
    sandbox.with_account(|account| {
        account.tokens.push(Token::restricted("another", "s3cret", []));
    });
    check(&sandbox, &home, &["rotate", HOST], 0);
    assert_eq!(sandbox.with_account(|account| account.tokens.len()), 3);
    let hosts = [host("dev1", "token"), host("dev2", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    let (ran, sent) = check(&sandbox, &home, &["issue", "--all", "--name", "x"], 64);
    assert!(ran.err.contains("one name is for one token") && sent.is_empty(), "{ran:?}");
}

#[test]
fn where_only_the_secret_is_known_a_logout_ends_the_token() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    home.write("token", "made-by-hand\n", 0o600);
    sandbox.with_account(|account| {
        account.tokens.push(Token::unrestricted("by hand", "made-by-hand"));
    });
    let (ran, _) = check(&sandbox, &home, &["revoke", HOST], 77);
    assert!(ran.err.contains("`homing token revoke dev1.dyn.example.com --logout`"), "{ran:?}");
    // It needs no management token.
    let run = |arguments: &[&str]| {
        let ran = home.run(&[&["token"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!format!("{ran:?}").contains("made-by-hand"), "{ran:?}");
        ran.out
    };
    let logout = ["revoke", HOST, "--logout"];
    assert!(run(&[&logout[..], &["--dry-run"]].concat()).contains("- token, by a logout with it"));
    assert!(sandbox.with_account(|account| account.token_by_name("by hand").is_some()));
    let out = run(&logout);
    assert!(
        out.contains("- token, by a logout with it")
            && out.contains("the secret that no longer works")
    );
    assert!(sandbox.with_account(|account| account.token_by_name("by hand").is_none()));
    assert!(run(&logout).contains("nothing to do"));
}

// Zones.

#[test]
fn rows_of_two_zones_are_told_apart() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    sandbox.with_account(|account| account.add_zone(HOST));
    let (ran, _) = check(&sandbox, &home, ISSUE, 0);
    for line in [
        "  + allow A of dev1.dyn.example.com itself",
        "  - allow A of dev1.dyn.example.com (a row of the zone dyn.example.com)",
    ] {
        assert!(ran.out.lines().any(|told| told == line), "{line}: {ran:?}");
    }
}

#[test]
fn a_registered_zone_says_once_what_its_parent_needs() {
    let hosts = [host("dev1", "token"), host("www.dev1", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    let wish = ["issue", "--all", "--create-domain", HOST];
    let (ran, _) = check(&sandbox, &home, &[&wish[..], &["--dry-run"]].concat(), 0);
    assert!(ran.out.contains("its parent zone is dyn.example.com, which this account has"));
    for _ in 0..2 {
        let (ran, _) = check(&sandbox, &home, &wish, 0);
        assert!(ran.out.contains("its parent zone is dyn.example.com, which this account has"));
        for server in ["ns1.sandbox.invalid.", "ns2.sandbox.invalid."] {
            let line = format!("  {HOST}. IN NS {server}");
            assert_eq!(ran.out.lines().filter(|told| *told == line).count(), 1, "{ran:?}");
        }
        assert_eq!(ran.out.matches(" IN DS ").count(), 2, "{ran:?}");
    }
}

#[test]
fn a_zone_that_cannot_be_registered_has_its_own_fix() {
    let given_away = DEV1.replace(HOST, "x.dedyn.io");
    let (sandbox, home) = desk(Api::Current, &given_away);
    let (ran, _) = check(&sandbox, &home, &["issue", "x.dedyn.io"], 77);
    assert!(ran.err.contains("--create-domain x.dedyn.io`"), "{ran:?}");
    let (ran, _) = check(&sandbox, &home, &["issue", "--all", "--create-domain", "dedyn.io"], 77);
    assert!(ran.err.contains("name a zone below it"), "{ran:?}");
    let wish = ["issue", "--all", "--create-domain", "x.dedyn.io"];
    sandbox.with_account(|account| account.limit_domains = Some(1));
    let (ran, _) = check(&sandbox, &home, &wish, 77);
    assert!(ran.err.contains("ask the provider's support for more"), "{ran:?}");
    assert!(!ran.err.contains("use a token with"), "{ran:?}");
    sandbox.with_account(|account| account.limit_domains = None);
    let (ran, _) = check(&sandbox, &home, &wish, 0);
    assert!(
        ran.out.contains("nothing else is to be done") && !ran.out.contains("IN DS"),
        "{ran:?}"
    );
}

#[test]
fn a_typo_in_a_zone_gets_the_zone_that_was_meant() {
    let (sandbox, home) = desk(Api::Current, &DEV1.replace(HOST, "dev1.dyn.exmaple.com"));
    let (ran, sent) = check(&sandbox, &home, &["issue", "dev1.dyn.exmaple.com"], 77);
    assert!(ran.err.contains("did you mean dev1.dyn.example.com?"), "{ran:?}");
    assert!(!ran.err.contains("--create-domain"), "{ran:?}");
    assert!(writes(&sent).is_empty());
}

// What is set must be true.

#[test]
fn a_host_that_moves_into_a_new_zone_is_set_there() {
    let hosts = [host("dev1", "token"), host("www.dev1", "other")].concat();
    let (sandbox, home) = desk(Api::Current, &hosts);
    let config = home.read("config.toml");
    home.configure(&config.replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
    check(&sandbox, &home, ALL, 0);
    sandbox.flush_throttle();
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    let updates = sandbox.updates().len();
    assert_eq!(home.once().code, 0);
    assert_eq!(sandbox.updates().len(), updates, "everything is set");
    check(&sandbox, &home, &["issue", HOST, "--create-domain", HOST], 0);
    assert_eq!(sandbox.records(HOST, "A"), [""; 0]);
    sandbox.flush_throttle();
    // The other one's token has no row in the new zone: somebody has to know.
    let ran = home.once();
    assert_eq!(ran.code, 77, "{ran:?}");
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"]);
    check(&sandbox, &home, ALL, 0);
    sandbox.flush_throttle();
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(sandbox.records(&format!("www.{HOST}"), "AAAA"), ["2001:db8::7"]);
    let updates = sandbox.updates().len();
    check(&sandbox, &home, ALL, 0);
    assert_eq!(home.once().code, 0);
    assert_eq!(sandbox.updates().len(), updates, "everything is set again");
}

#[test]
fn a_zone_that_was_deleted_and_made_anew_is_filled_again() {
    for command in ["issue", "rotate"] {
        let (sandbox, home) = desk(Api::Current, DEV1);
        check(&sandbox, &home, ISSUE, 0);
        assert_eq!(home.once().code, 0);
        sandbox.with_account(|account| {
            account.remove_zone(ZONE);
            account.add_zone(ZONE);
        });
        // Cut once: what was found out is not forgotten.
        if command == "issue" {
            sandbox.answer_nth(2, "POST", "/api/v1/auth/tokens/", Scripted::dropped());
            check(&sandbox, &home, &[command, HOST], 75);
            sandbox.clear_scripts();
        }
        check(&sandbox, &home, &[command, HOST], 0);
        sandbox.flush_throttle();
        let ran = home.once();
        assert_eq!(ran.code, 0, "{command}: {ran:?}");
        assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"], "{command}");
        assert_eq!(home.once().code, 0);
    }
}

#[test]
fn a_running_daemon_sets_a_host_in_its_new_zone() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    check(&sandbox, &home, ISSUE, 0);
    let daemon = home.daemon();
    daemon.wait_until("first update", |_| !sandbox.records(HOST, "A").is_empty());
    check(&sandbox, &home, &["issue", HOST, "--create-domain", HOST], 0);
    sandbox.flush_throttle();
    daemon.signal(home::Signal::USR1);
    // The sandbox sets one record after the other.
    daemon.wait_until("second update", |_| {
        ["A", "AAAA"].iter().all(|kind| !sandbox.records(HOST, kind).is_empty())
    });
    assert_eq!(sandbox.records(HOST, "AAAA"), ["2001:db8::7"]);
}
