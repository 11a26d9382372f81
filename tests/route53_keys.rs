//! `homing token` for Route 53 end to end: the real binary against the sandbox's Route 53, IAM and STS,
//! which check every signature and evaluate every policy.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::token_desk::{
    AUDIT, DEV1, HOST, ISSUE, MANAGEMENT, REVOKE, ROTATE, TokenDesk, configuration, cut_revocations,
};
use crate::support::{home, in_parallel, sandbox};
use home::Home;
use sandbox::services::iam::{AccessKey, Context, User};
use sandbox::services::world::World;
use sandbox::services::{Played, Received, route53};

pub const USER: &str = "homing-dev1.example.com";
/// The service with its account, and a home that has the account's own key for management.
struct Desk {
    played: Played,
    home: Home,
}

impl Desk {
    fn new() -> Self {
        Self::with(DEV1)
    }

    fn with(hosts: &str) -> Self {
        let played = Played::start(World::new(route53::SERVICE)).unwrap();
        let secret = played.with_world(|world| {
            world.throttled = false;
            world.secret.clone()
        });
        let home = Home::new(&configuration("route53", &played.api_url(), hosts));
        home.secret(MANAGEMENT, &secret);
        Self { played, home }
    }

    fn user(&self) -> User {
        self.played.with_world(|world| world.iam.user(USER).clone())
    }

    fn change(&self, change: impl FnOnce(&mut User)) {
        self.played.with_world(|world| change(world.iam.user(USER)));
    }

    /// What the user's policies say of a change.
    fn may(&self, name: &str, kind: &str, action: &str) -> bool {
        let key = |name: &str| format!("route53:changeresourcerecordsets{name}");
        let context: Context = [
            (key("normalizedrecordnames"), vec![name.to_owned()]),
            (key("recordtypes"), vec![kind.to_owned()]),
            (key("actions"), vec![action.to_owned()]),
            ("aws:currenttime".to_owned(), vec!["2026-12-01T00:00:00Z".to_owned()]),
            ("aws:sourceip".to_owned(), vec!["127.0.0.1".to_owned()]),
        ]
        .into();
        self.played.with_world(|world| {
            let zone = world.zones.iter().find(|it| it.name == "example.com" && !it.is_private);
            let zone = format!("arn:aws:route53:::hostedzone/{}", route53::zone_id(zone.unwrap()));
            let action = "route53:ChangeResourceRecordSets";
            world.iam.decision(USER, action, &zone, &context) == "allowed"
        })
    }

    /// The user may set its two records and nothing else.
    #[track_caller]
    fn assert_narrow(&self, case: &str) {
        let tries = [
            (HOST, "A", "UPSERT", true),
            (HOST, "AAAA", "UPSERT", true),
            (HOST, "A", "DELETE", false),
            (HOST, "A", "CREATE", false),
            (HOST, "TXT", "UPSERT", false),
            ("www.example.com", "A", "UPSERT", false),
            ("example.com", "A", "UPSERT", false),
            ("x.dev1.example.com", "A", "UPSERT", false),
        ];
        for (name, kind, action, expect) in tries {
            assert_eq!(self.may(name, kind, action), expect, "{name} {kind} {action}: {case}");
        }
        let nothing = self.played.with_world(|world| {
            let zone = "arn:aws:route53:::hostedzone/Z0000432480876";
            let action = "route53:ChangeResourceRecordSets";
            world.iam.decision(USER, action, zone, &Context::new())
        });
        assert_eq!(nothing, "implicitDeny", "a change of nothing: {case}");
    }

    /// The key in the file is the only one of its narrow user, and nothing is left of a run that was
    /// cut.
    #[track_caller]
    fn assert_right(&self, case: &str) {
        self.assert_narrow(case);
        let user = self.user();
        assert_eq!((user.path.as_str(), user.keys.len()), ("/homing/", 1), "{user:?}: {case}");
        let key = &user.keys[0];
        self.assert_kept(&format!("{}:{}\n", key.id, key.secret), &key.id, case);
    }
}

impl TokenDesk for Desk {
    const FILE: &'static str = "token";

    fn home(&self) -> &Home {
        &self.home
    }

    fn played(&self) -> &Played {
        &self.played
    }

    /// IAM's actions by name, Route 53's by method.
    fn name_of(request: &Received) -> String {
        let action = request.body.strip_prefix("Action=").and_then(|it| it.split('&').next());
        action.unwrap_or(&request.method).to_owned()
    }

    fn writes(asked: &[String]) -> Vec<&str> {
        writes(asked)
    }

    fn count(&self) -> usize {
        self.played.with_world(|world| world.iam.users.len())
    }
}

/// The actions that change something.
pub fn writes(asked: &[String]) -> Vec<&str> {
    let is_write = |action: &&str| {
        !["Get", "List", "Simulate", "GET", "POST"].iter().any(|read| action.starts_with(read))
    };
    asked.iter().map(String::as_str).filter(is_write).collect()
}

// Issue.

#[test]
fn a_key_is_made_after_its_policy_and_updates_its_host() {
    let desk = Desk::new();
    let (ran, asked) = desk.check(ISSUE, 0);
    assert_eq!(writes(&asked), ["CreateUser", "PutUserPolicy", "CreateAccessKey"]);
    assert!(ran.out.contains("  + user homing-dev1.example.com"), "{}", ran.out);
    assert!(ran.out.contains("  + allow AAAA of dev1.example.com"), "{}", ran.out);
    desk.assert_right("issued");
    assert_eq!(desk.user().tags["homing-hosts"], HOST);
    // The key may not look for its zone: the receipt has the id.
    let from = desk.played.requests().len();
    desk.assert_updates("issued");
    assert!(!desk.played.requests()[from..].iter().any(|it| it.path.contains("byname")));
    let secret = desk.user().keys[0].secret.clone();
    assert!(!format!("{ran:?}{}", desk.home.read("token.receipt")).contains(&secret));
}

#[test]
fn what_comes_too_early_is_sent_again() {
    let (_, patient) = Desk::new().check(ISSUE, 0);
    let desk = Desk::new();
    let limit = route53::SERVICE.limit.unwrap();
    desk.played.with_world(|world| {
        world.throttled = true;
        // As if others were going to ask in three seconds, so that the first request is refused.
        let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3);
        while world.pace.admit(limit, soon).is_ok() {}
    });
    let (_, asked) = desk.check(ISSUE, 0);
    assert!(asked.len() > patient.len(), "{asked:?}");
    assert_eq!(desk.user().keys.len(), 1);
    desk.assert_narrow("issued in spite of the limit");
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    let desk = Desk::new();
    for limits in [&[][..], &["--max-age", "90d", "--allow-subnet", "127.0.0.0/8"]] {
        desk.assert_issued_once(&[ISSUE, limits].concat());
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let desk = Desk::new();
    let (ran, asked) = desk.check(&[ISSUE, &["--dry-run"]].concat(), 0);
    assert_eq!(writes(&asked), [""; 0]);
    for line in ["  + user homing-dev1.example.com", "  + policy homing", "  + key"] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    assert!(!desk.home.path("token").exists());
    assert!(desk.played.with_world(|world| world.iam.users.is_empty()));
}

#[test]
fn the_policy_has_the_limits_that_were_asked_for() {
    let desk = Desk::new();
    let limits = ["--max-age", "90d", "--allow-subnet", "198.51.100.0/24"];
    let (ran, _) = desk.check(&[ISSUE, &limits].concat(), 0);
    assert!(ran.out.contains("works only from 198.51.100.0/24"), "{ran:?}");
    let policy = desk.user().policies["homing"].clone();
    assert!(policy.contains("\"IpAddress\":{\"aws:SourceIp\":[\"198.51.100.0/24\"]}"), "{policy}");
    assert!(policy.contains("\"DateLessThan\":{\"aws:CurrentTime\":\"2"), "{policy}");
}

#[test]
fn what_has_drifted_is_put_right() {
    type Drift = fn(&mut User);
    let wide = "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\
        \"Resource\":\"*\"}}";
    let drifts: [(Drift, &str); 5] = [
        (|user| drop(user.policies.remove("homing")), "PutUserPolicy"),
        (
            |user| {
                let all = "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"route53:*\",\
                    \"Resource\":\"*\"}}";
                user.policies.insert("homing".to_owned(), all.to_owned());
            },
            "PutUserPolicy",
        ),
        (
            |user| {
                let all =
                    "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}";
                user.policies.insert("more".to_owned(), all.to_owned());
            },
            "DeleteUserPolicy",
        ),
        (|user| user.attached.push("arn:aws:iam::aws:policy/Admin".to_owned()), "DetachUserPolicy"),
        (|user| user.groups.push("admins".to_owned()), "RemoveUserFromGroup"),
    ];
    for (drift, action) in drifts {
        let desk = Desk::new();
        desk.played.with_world(|world| {
            world.iam.managed.insert("arn:aws:iam::aws:policy/Admin".to_owned(), wide.to_owned());
            world.iam.groups.insert("admins".to_owned(), wide.to_owned());
        });
        desk.check(ISSUE, 0);
        desk.change(drift);
        let (ran, asked) = desk.check(ISSUE, 0);
        assert_eq!(writes(&asked), [action], "{ran:?}");
        desk.assert_right(action);
        let user = desk.user();
        assert!(user.attached.is_empty() && user.groups.is_empty() && user.policies.len() == 1);
    }
}

#[test]
fn a_key_that_is_lost_deleted_or_switched_off_is_replaced() {
    type Loss = fn(&Desk);
    let losses: [Loss; 3] = [
        |desk| std::fs::remove_file(desk.home.path("token")).unwrap(),
        |desk| desk.change(|user| user.keys.clear()),
        |desk| desk.change(|user| user.keys[0].is_active = false),
    ];
    for (at, loss) in losses.into_iter().enumerate() {
        let desk = Desk::new();
        desk.check(ISSUE, 0);
        let before = desk.user().keys[0].id.clone();
        loss(&desk);
        desk.check(ISSUE, 0);
        desk.assert_right(&format!("loss {at}"));
        assert_ne!(desk.user().keys[0].id, before);
        desk.assert_updates(&format!("loss {at}"));
    }
}

#[test]
fn a_key_made_by_hand_is_kept_beside_and_a_written_id_is_refused() {
    let desk = Desk::new();
    desk.home.secret("token", &format!("{}:{}", desk.login(), desk.secret()));
    let (ran, _) = desk.check(ISSUE, 0);
    assert!(ran.out.contains("is kept in"), "{}", ran.out);
    assert!(desk.home.read("token.old").starts_with(&desk.login()));
    desk.assert_right("by hand");
    let written = format!("{DEV1}username = \"AKIAEXAMPLE\"\n");
    desk.home.configure(&configuration("route53", &desk.played.api_url(), &written));
    let (ran, asked) = desk.check(ISSUE, 78);
    assert!(ran.err.contains("remove username"), "{}", ran.err);
    assert_eq!(writes(&asked), [""; 0]);
    // Where all hosts are meant, such a key needs no management user.
    let all = desk.home.run(&["token", "issue", "--all"]);
    assert!(all.code == 0 && all.out.contains("left alone: its key was made by hand"), "{all:?}");
}

#[test]
fn hosts_that_share_a_file_share_a_key_and_each_has_its_own_families() {
    let other = DEV1.replace("dev1", "dev2").replace("ipv6 = \"here\"", "ipv6 = \"off\"");
    let desk = Desk::with(&format!("{DEV1}\n{other}"));
    desk.check(&["issue", "--all"], 0);
    desk.assert_narrow_of_two();
    desk.assert_updates("two hosts");
    assert_eq!(desk.played.values("dev2.example.com", "A"), ["203.0.113.7"]);
    desk.check(AUDIT, 0);
}

impl Desk {
    #[track_caller]
    fn assert_narrow_of_two(&self) {
        assert!(self.may(HOST, "AAAA", "UPSERT") && self.may("dev2.example.com", "A", "UPSERT"));
        assert!(!self.may("dev2.example.com", "AAAA", "UPSERT"));
        assert_eq!(self.user().keys.len(), 1);
    }
}

#[test]
fn records_are_listed_and_deleted_only_where_they_may_go() {
    let desk = Desk::with(&format!("{DEV1}when-gone = \"remove\"\ngone-after = \"1h\"\n"));
    desk.check(ISSUE, 0);
    assert!(desk.may(HOST, "A", "DELETE") && !desk.may("www.example.com", "A", "DELETE"));
    let policy = desk.user().policies["homing"].clone();
    assert!(policy.contains("route53:ListResourceRecordSets"), "{policy}");
    desk.assert_updates("when-gone");
    desk.check(AUDIT, 0);
}

#[test]
fn a_new_key_is_waited_for_until_every_service_knows_it() {
    let desk = Desk::new();
    desk.played.with_world(|world| world.iam.lag = 3);
    desk.check(ISSUE, 0);
    desk.assert_right("lag");
    desk.assert_updates("lag");
}

#[test]
fn a_user_that_homing_did_not_make_is_left_alone() {
    let desk = Desk::new();
    let user = User { name: USER.to_owned(), path: "/".to_owned(), ..User::default() };
    desk.played.with_world(|world| world.iam.users.push(user));
    let (ran, asked) = desk.check(ISSUE, 77);
    assert!(ran.err.contains("outside /homing/"), "{}", ran.err);
    assert_eq!(writes(&asked), [""; 0]);
}

#[test]
fn no_key_is_deleted_unasked_where_the_user_has_two() {
    let desk = Desk::new();
    desk.check(ISSUE, 0);
    let stray = AccessKey::new(Duration::ZERO, 0);
    let id = stray.id.clone();
    desk.change(|user| user.keys.push(stray));
    let (ran, asked) = desk.check(ROTATE, 77);
    assert!(ran.err.contains("has two keys already") && ran.err.contains(&id), "{}", ran.err);
    assert_eq!(writes(&asked), [""; 0]);
    let (ran, _) = desk.check(AUDIT, 0);
    assert!(ran.out.contains(&format!("revoke --id {id}")), "{}", ran.out);
    desk.check(&["revoke", "--id", &id], 0);
    desk.assert_right("the stray key is gone");
    let (ran, _) = desk.check(&["revoke", "--id", &id], 0);
    assert!(ran.out.contains("nothing to do"), "{}", ran.out);
    desk.check(ROTATE, 0);
}

// Cut short.

/// Ends a run after each of its requests; nothing too powerful is left, and the next run puts
/// everything right.
fn cut_after_every_request(begin: fn(&Desk), command: &[&str]) {
    let measured = Desk::new();
    begin(&measured);
    let (_, asked) = measured.check(command, 0);
    assert!(asked.len() > 8, "{asked:?}");
    // Between two questions for the simulator nothing has changed.
    let is_between = |at: &usize| {
        *at > 0 && [&asked[*at - 1], &asked[*at]].iter().all(|it| it.starts_with("Simulate"))
    };
    let cuts = (0..asked.len()).filter(|at| !is_between(at));
    let cuts: Vec<_> = cuts.flat_map(|at| [(at, false), (at, true)]).collect();
    in_parallel(&cuts, |&(after, performed_last)| {
        let case = format!("{command:?} cut after {after} of {asked:?}, {performed_last}");
        let desk = Desk::new();
        begin(&desk);
        desk.played.die_after(after, performed_last);
        let ran = desk.run(command);
        assert!([0, 75].contains(&ran.code), "{case}: {ran:?}");
        desk.played.revive();
        let users = desk.played.with_world(|world| world.iam.users.clone());
        // A key may only exist where the user is narrow already.
        if users.iter().any(|user| !user.keys.is_empty()) {
            desk.assert_narrow(&case);
        }
        let in_use = desk.home.path("token").exists().then(|| desk.home.read("token"));
        if let Some(in_use) = in_use {
            let is_it =
                |key: &AccessKey| key.is_active && in_use == format!("{}:{}\n", key.id, key.secret);
            let works = users.iter().any(|user| user.keys.iter().any(is_it));
            assert!(works, "the key in use does not work: {case}");
        }
        let ran = desk.run(ISSUE);
        assert_eq!(ran.code, 0, "{case}\n{ran:?}");
        // The answer with a key may be lost: then nobody has its secret, and the audit names it.
        let user = desk.user();
        if user.keys.len() == 2 {
            let file = desk.home.read("token");
            let stray = user.keys.iter().find(|key| !file.starts_with(&key.id)).unwrap();
            let (ran, _) = desk.check(AUDIT, 0);
            assert!(ran.out.contains(&stray.id), "{case}: {}", ran.out);
            assert!(performed_last && asked[after - 1] == "CreateAccessKey", "{case}");
            desk.check(&["revoke", "--id", &stray.id], 0);
        }
        desk.assert_right(&case);
        desk.assert_updates(&case);
    });
}

#[test]
fn an_issue_that_is_cut_leaves_nothing_too_powerful() {
    cut_after_every_request(|_| {}, ISSUE);
}

#[test]
fn a_rotation_that_is_cut_leaves_a_key_that_works() {
    cut_after_every_request(
        |desk| {
            desk.check(ISSUE, 0);
        },
        ROTATE,
    );
}

// Rotate and revoke.

#[test]
fn a_rotation_makes_the_new_key_before_it_ends_the_old_one() {
    let desk = Desk::new();
    desk.check(&[ISSUE, &["--max-age", "90d"]].concat(), 0);
    desk.assert_updates("before");
    let before = desk.user().keys[0].id.clone();
    let (_, asked) = desk.check(ROTATE, 0);
    let ends = ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"];
    assert!(writes(&asked).ends_with(&ends), "{asked:?}");
    desk.assert_right("rotated");
    assert_ne!(desk.user().keys[0].id, before);
    desk.assert_updates("rotated");
}

#[test]
fn a_revoked_key_is_gone_with_its_user() {
    let desk = Desk::new();
    desk.check(ISSUE, 0);
    let (ran, _) = desk.check(&[REVOKE, &["--dry-run"]].concat(), 0);
    assert!(ran.out.contains("- user homing-dev1.example.com"), "{}", ran.out);
    let (ran, asked) = desk.check(REVOKE, 0);
    assert!(ran.out.contains("no longer works"), "{}", ran.out);
    let all = ["UpdateAccessKey", "DeleteAccessKey", "DeleteUserPolicy", "DeleteUser"];
    assert_eq!(writes(&asked), all);
    assert!(desk.played.with_world(|world| world.iam.users.is_empty()));
    let (ran, asked) = desk.check(REVOKE, 0);
    assert!(ran.out.contains("nothing to do"), "{}", ran.out);
    assert_eq!(writes(&asked), [""; 0]);
    let status = desk.home.run(&["status"]);
    assert_eq!(status.code, 77, "{status:?}");
    desk.check(ISSUE, 0);
    desk.assert_right("issued again");
    desk.assert_updates("issued again");
}

#[test]
fn a_revocation_that_is_cut_can_be_repeated() {
    cut_revocations(Desk::new);
}

// Audit.

#[test]
fn an_audit_finds_what_is_too_much() {
    type Change = fn(&mut World);
    let findings: [(Change, &str); 6] = [
        (
            |world| {
                let user = world.iam.user(USER);
                let policy =
                    user.policies["homing"].replace("dev1.example.com", "homing-audit.example.com");
                let both =
                    policy.replace("\"homing-audit.", "\"dev1.example.com\",\"homing-audit.");
                user.policies.insert("homing".to_owned(), both);
            },
            "may write A of homing-audit.example.com",
        ),
        (
            |world| {
                let user = world.iam.user(USER);
                let policy = user.policies["homing"].replace("\"AAAA\"", "\"AAAA\",\"TXT\"");
                user.policies.insert("homing".to_owned(), policy);
            },
            "may write TXT of dev1.example.com",
        ),
        (
            |world| {
                let user = world.iam.user(USER);
                let policy = user.policies["homing"].replace("\"UPSERT\"", "\"UPSERT\",\"DELETE\"");
                user.policies.insert("homing".to_owned(), policy);
            },
            "may delete the records that it may change",
        ),
        (
            |world| {
                let arn = "arn:aws:iam::aws:policy/ReadOnly".to_owned();
                world.iam.managed.insert(arn.clone(), "{\"Statement\":[]}".to_owned());
                world.iam.user(USER).attached.push(arn);
            },
            "from the attached policy arn:aws:iam::aws:policy/ReadOnly",
        ),
        (
            |world| {
                world.iam.groups.insert("readers".to_owned(), "{\"Statement\":[]}".to_owned());
                world.iam.user(USER).groups.push("readers".to_owned());
            },
            "from the group readers",
        ),
        (
            |world| {
                let all =
                    "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}";
                world.iam.user(USER).policies.insert("more".to_owned(), all.to_owned());
            },
            "can create, change and delete tokens",
        ),
    ];
    for (change, words) in findings {
        let desk = Desk::new();
        desk.check(ISSUE, 0);
        desk.played.with_world(change);
        let (ran, _) = desk.check(&[AUDIT, &["--json"]].concat(), 77);
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
        let fix = format!("homing token issue {HOST} --management-user ID");
        assert!(ran.out.contains(&fix), "{}", ran.out);
        assert_eq!(desk.home.run(&["status"]).code, 77, "status knows it");
        // The key itself cannot see that it was put right.
        let itself = desk.home.run(&["token", "audit", HOST]);
        assert_eq!(itself.code, 75, "{itself:?}");
        desk.check(ISSUE, 0);
        desk.check(AUDIT, 0);
    }
}

#[test]
fn an_audit_by_the_key_itself_sees_whose_it_is() {
    let desk = Desk::new();
    desk.check(ISSUE, 0);
    let itself = || desk.home.run(&["token", "audit", HOST, "--json"]);
    let ran = itself();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("\"verdict\":\"narrow\""), "{}", ran.out);
    assert!(ran.out.contains("its policy, which only a management user may read"), "{}", ran.out);
    desk.change(|user| user.keys[0].is_active = false);
    let ran = itself();
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.out.contains("\"lapsed\""), "{}", ran.out);
    // The account's own key, in the file by hand.
    desk.home.secret("token", &format!("{}:{}", desk.login(), desk.secret()));
    let ran = itself();
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.out.contains("did not make"), "{}", ran.out);
    desk.played.with_world(|world| world.iam.is_root = true);
    let ran = itself();
    assert_eq!(ran.code, 77, "{ran:?}");
    assert!(ran.out.contains("belongs to the root user"), "{}", ran.out);
}

#[test]
fn an_audit_shows_the_end_the_use_and_a_policy_that_was_made_narrower() {
    let desk = Desk::new();
    desk.check(&[ISSUE, &["--max-age", "7d"]].concat(), 0);
    let (ran, _) = desk.check(AUDIT, 0);
    assert!(ran.out.contains("expires soon") && ran.out.contains("rotate"), "{}", ran.out);
    assert!(ran.out.contains("allow A of dev1.example.com"), "{}", ran.out);
    desk.change(|user| {
        let policy = user.policies["homing"].replace(",\"AAAA\"", "");
        user.policies.insert("homing".to_owned(), policy);
    });
    let (ran, _) = desk.check(AUDIT, 75);
    assert!(ran.out.contains("may not write AAAA of dev1.example.com"), "{}", ran.out);
}

#[test]
fn what_a_person_must_do_is_said() {
    let desk = Desk::new();
    let ran = desk.home.run(&["token", "issue", HOST]);
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("--management-user"), "{}", ran.err);
    let (ran, _) = desk.check(&[ISSUE, &["--max-unused", "30d"]].concat(), 64);
    assert!(ran.err.contains("--max-unused: keys of AWS have no such thing"), "{}", ran.err);
    desk.played.with_world(|world| world.secret.push('x'));
    let (ran, _) = desk.check(ISSUE, 77);
    assert!(ran.err.contains("check --management-user and its secret"), "{}", ran.err);
    desk.played.with_world(|world| world.secret.pop());
    let elsewhere = DEV1.replace("dev1.example.com", "dev1.example.org");
    desk.home.configure(&configuration("route53", &desk.played.api_url(), &elsewhere));
    let (ran, _) = desk.check(&["issue", "dev1.example.org"], 77);
    assert!(ran.err.contains("no public zone of the account holds dev1.example.org"), "{ran:?}");
    desk.home.configure(&configuration("route53", &desk.played.api_url(), DEV1));
    let missing = desk.home.once();
    assert!(missing.out.contains("`homing token issue dev1.example.com` makes one"), "{missing:?}");
}
