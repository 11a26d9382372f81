//! `homing token` where a provider's API makes one credential for each host: the real binary against the
//! sandbox's services, whose credentials can update their host and nothing else.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use crate::support::token_desk::{
    AUDIT, HOST, ISSUE, MANAGEMENT, REVOKE, ROTATE, TokenDesk, cut_revocations,
};
use crate::support::{home, in_parallel, sandbox};
use home::Home;
use sandbox::services::setup::{self, Credential};
use sandbox::services::world::World;
use sandbox::services::{Played, Received, Service, inwx, ionos, ovh};

/// A credential at a service, as its world has it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Made {
    /// What the file with it holds.
    text: String,
    /// The host that it may update; `*` is every one.
    host: String,
    /// Its id for `--id`.
    id: String,
}

/// A service, and what differs between them.
struct Kind {
    service: Service,
    made: fn(&World) -> Vec<Made>,
    /// Makes the first credential one for every host.
    widen: fn(&mut World),
    /// The words for that, and the write that puts it right.
    wide: (&'static str, &'static str),
    /// Removes all but the credential that the file has: what was made without an answer, where none are
    /// listed.
    forget: Option<fn(&mut World, &str)>,
    /// The writes of the first issue, of a rotation, and of a revocation.
    writes: [&'static [&'static str]; 3],
}

const OVH: Kind = Kind {
    service: ovh::SERVICE,
    made: |world| {
        let made = |login: &ovh::Login| Made {
            text: format!("{}:{}\n", login.name, login.password),
            host: format!("{}.{}", login.sub, login.zone),
            id: login.name.replacen("example.com-", "", 1),
        };
        world.logins.iter().map(made).collect()
    },
    widen: |world| "*".clone_into(&mut world.logins[0].sub),
    wide: ("may update every DynHost name of example.com", "PUT"),
    forget: None,
    writes: [&["POST", "POST", "POST"], &["POST", "DELETE"], &["DELETE"]],
};

const INWX: Kind = Kind {
    service: inwx::SERVICE,
    made: |world| {
        let made = |account: &inwx::Account| Made {
            text: format!("{}:{}\n", account.name, account.password),
            host: account.hosts.join(" "),
            id: account.id.to_string(),
        };
        world.accounts.iter().map(made).collect()
    },
    widen: |world| world.accounts[0].hosts.push("www.example.com".to_owned()),
    wide: ("may update www.example.com as well", "dyndns.create"),
    forget: None,
    writes: [&["dyndns.create"], &["dyndns.changepassword"], &["dyndns.delete"]],
};

const IONOS: Kind = Kind {
    service: ionos::SERVICE,
    made: |world| {
        let made = |url: &ionos::Url| Made {
            text: format!("{}\n", url.q),
            host: url.hosts.join(" "),
            id: url.id.clone(),
        };
        world.urls.iter().map(made).collect()
    },
    widen: |_| {},
    wide: ("", ""),
    forget: Some(|world, text| world.urls.retain(|url| url.q == text.trim())),
    writes: [&["POST"], &["POST", "DELETE"], &["DELETE"]],
};

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![INWX, IONOS];
    if cfg!(feature = "cloud") {
        kinds.push(OVH);
    }
    kinds
}

/// The service with its account, and a home that has the account's own secret for management.
struct Desk<'a> {
    kind: &'a Kind,
    played: Played,
    home: Home,
}

impl<'a> Desk<'a> {
    fn new(kind: &'a Kind) -> Self {
        Self::with(kind, "")
    }

    /// With further settings of the host.
    fn with(kind: &'a Kind, more: &str) -> Self {
        let played = Played::start(World::new(kind.service)).unwrap();
        let secret = played.with_world(|world| {
            world.throttled = false;
            world.secret.clone()
        });
        let home = Home::new(&configuration(&played, more));
        home.secret(MANAGEMENT, &secret);
        Self { kind, played, home }
    }

    fn made(&self) -> Vec<Made> {
        self.played.with_world(|world| (self.kind.made)(world))
    }

    /// Every credential is for the host alone.
    #[track_caller]
    fn assert_narrow(&self, case: &str) {
        assert!(self.made().iter().all(|made| made.host == HOST), "{:?}: {case}", self.made());
    }

    /// The credential in the file is the only one, and nothing is left of a run that was cut.
    #[track_caller]
    fn assert_right(&self, case: &str) {
        self.assert_narrow(case);
        let made = self.made();
        assert_eq!(made.len(), 1, "{made:?}: {case}");
        self.assert_kept(&made[0].text, &made[0].id, case);
    }
}

impl TokenDesk for Desk<'_> {
    const FILE: &'static str = "secret";

    fn home(&self) -> &Home {
        &self.home
    }

    fn played(&self) -> &Played {
        &self.played
    }

    fn secrets(&self) -> Vec<String> {
        let made = self.made().into_iter();
        let made = made.filter_map(|it| it.text.trim().rsplit(':').next().map(str::to_owned));
        made.chain([self.secret()]).collect()
    }

    /// The method of a call of JSON-RPC, else that of the request; and the path.
    fn name_of(request: &Received) -> String {
        let method = request.body.split_once("\"method\":\"");
        let method = method.and_then(|(_, rest)| rest.split('"').next());
        format!("{} {}", method.unwrap_or(&request.method), request.path)
    }

    fn writes(asked: &[String]) -> Vec<&str> {
        writes(asked)
    }

    fn count(&self) -> usize {
        self.made().len()
    }
}

fn configuration(played: &Played, more: &str) -> String {
    let text = setup::configuration(played, "state", HOST, (Credential::Issued, "secret"));
    text.replace("api-url", "pace = \"off\"\napi-url") + more
}

/// The methods of requests that change nothing in the account.
const READS: [&str; 3] = ["GET", "account.login", "dyndns.list"];

/// The methods of the requests that change something in the account.
fn writes(asked: &[String]) -> Vec<&str> {
    let methods = asked.iter().filter_map(|line| line.split(' ').next());
    methods.filter(|method| !READS.contains(method)).collect()
}

// Issue.

#[test]
fn a_credential_for_the_host_is_made_and_updates_it() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        let (ran, asked) = desk.check(ISSUE, 0);
        assert_eq!(writes(&asked), kind.writes[0], "{asked:?}");
        assert!(ran.out.contains("  + allow AAAA of dev1.example.com"), "{}", ran.out);
        assert!(ran.out.contains(" is narrow and has no end"), "{}", ran.out);
        desk.assert_right("issued");
        desk.assert_updates("issued");
        let status = desk.home.run(&["status"]);
        assert!(status.code == 0 && status.out.contains("narrow"), "{status:?}");
    }
}

#[test]
fn a_second_run_and_a_dry_run_change_nothing() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        let (ran, asked) = desk.check(&[ISSUE, &["--dry-run"]].concat(), 0);
        assert!(writes(&asked).is_empty() && ran.out.contains("  + "), "{ran:?}");
        assert!(!desk.home.path("secret").exists() && desk.made().is_empty());
        desk.assert_issued_once(ISSUE);
    }
}

#[test]
fn what_has_drifted_is_found_and_put_right() {
    for kind in &kinds() {
        let (words, write) = kind.wide;
        if words.is_empty() {
            continue;
        }
        let desk = Desk::new(kind);
        desk.check(ISSUE, 0);
        desk.played.with_world(kind.widen);
        let (ran, _) = desk.check(&[AUDIT, &["--json"]].concat(), 77);
        assert!(ran.out.contains(words), "{}", ran.out);
        assert_eq!(desk.home.run(&["status"]).code, 77, "status knows it");
        assert_eq!(desk.home.run(&["token", "audit", HOST]).code, 75, "the receipt knows it");
        let (ran, asked) = desk.check(ISSUE, 0);
        assert!(writes(&asked).contains(&write), "{ran:?}");
        desk.assert_right("drifted");
        desk.assert_updates("drifted");
        desk.check(AUDIT, 0);
    }
}

#[test]
fn one_that_is_lost_is_replaced_and_one_made_by_hand_is_left() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        desk.check(ISSUE, 0);
        let before = desk.made();
        std::fs::remove_file(desk.home.path("secret")).unwrap();
        desk.check(ISSUE, 0);
        desk.assert_right("lost");
        assert_ne!(desk.made(), before);
        desk.assert_updates("lost");
        if kind.service.issued.is_some_and(|issued| issued.has_login) {
            let by_hand = configuration(&desk.played, "username = \"me\"\n");
            desk.home.configure(&by_hand);
            let (ran, asked) = desk.check(ISSUE, 78);
            assert!(ran.err.contains("remove username") && writes(&asked).is_empty(), "{ran:?}");
            let all = desk.home.run(&["token", "issue", "--all"]);
            assert!(all.code == 0 && all.out.contains("was made by hand"), "{all:?}");
        }
    }
}

// Cut short.

/// Ends a run after each of its requests; nothing too powerful is left, and the next run puts
/// everything right.
fn cut_after_every_request(kind: &Kind, begin: fn(&Desk<'_>), command: &[&str]) {
    let measured = Desk::new(kind);
    begin(&measured);
    let (_, asked) = measured.check(command, 0);
    let cuts: Vec<_> = (0..asked.len()).flat_map(|at| [(at, false), (at, true)]).collect();
    in_parallel(&cuts, |&(after, performed_last)| {
        let case = format!("{command:?} cut after {after} of {asked:?}, {performed_last}");
        let desk = Desk::new(kind);
        begin(&desk);
        desk.played.die_after(after, performed_last);
        let ran = desk.run(command);
        assert!([0, 75].contains(&ran.code), "{case}: {ran:?}");
        desk.played.revive();
        desk.assert_narrow(&case);
        let ran = desk.run(ISSUE);
        assert_eq!(ran.code, 0, "{case}\n{ran:?}");
        if let Some(forget) = kind.forget {
            // Only what was made without an answer may be there as well.
            let is_lost = performed_last && after > 0 && asked[after - 1].starts_with("POST");
            assert_eq!(desk.made().len(), if is_lost { 2 } else { 1 }, "{case}");
            let text = desk.home.read("secret");
            desk.played.with_world(|world| forget(world, &text));
        }
        desk.assert_right(&case);
        desk.assert_updates(&case);
    });
}

#[test]
fn an_issue_that_is_cut_leaves_nothing_too_powerful() {
    for kind in &kinds() {
        cut_after_every_request(kind, |_| {}, ISSUE);
    }
}

#[test]
fn a_rotation_that_is_cut_can_be_completed() {
    for kind in &kinds() {
        let begin = |desk: &Desk<'_>| {
            desk.check(ISSUE, 0);
        };
        cut_after_every_request(kind, begin, ROTATE);
    }
}

// Rotate, revoke, audit.

#[test]
fn a_rotation_proves_the_new_credential_before_it_ends_the_old_one() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        desk.check(ISSUE, 0);
        desk.assert_updates("before");
        let before = desk.made();
        let (ran, asked) = desk.check(ROTATE, 0);
        assert_eq!(writes(&asked), kind.writes[1], "{asked:?}");
        assert!(!ran.out.contains("was deleted"), "{}", ran.out);
        desk.assert_right("rotated");
        assert_ne!(desk.made(), before);
        desk.assert_updates("rotated");
    }
}

#[test]
fn a_revoked_credential_is_gone() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        desk.check(ISSUE, 0);
        let (_, asked) = desk.check(&[REVOKE, &["--dry-run"]].concat(), 0);
        assert!(writes(&asked).is_empty(), "{asked:?}");
        let (ran, asked) = desk.check(REVOKE, 0);
        assert!(ran.out.contains("no longer works"), "{}", ran.out);
        assert_eq!(writes(&asked), kind.writes[2]);
        assert!(desk.made().is_empty());
        let (ran, _) = desk.check(REVOKE, 0);
        assert!(ran.out.contains("nothing to do"), "{}", ran.out);
        assert_eq!(desk.home.run(&["status"]).code, 77);
        desk.check(ISSUE, 0);
        desk.assert_right("issued again");
        let id = desk.made()[0].id.clone();
        desk.check(&["revoke", "--id", &id], 0);
        assert!(desk.made().is_empty());
    }
}

#[test]
fn a_revocation_that_is_cut_can_be_repeated() {
    for kind in &kinds() {
        cut_revocations(|| Desk::new(kind));
    }
}

#[test]
fn an_audit_by_itself_relies_on_the_receipt() {
    for kind in &kinds() {
        let desk = Desk::with(kind, "strict-token = true\n");
        desk.check(ISSUE, 0);
        desk.assert_updates("strict");
        let from = desk.played.requests().len();
        let ran = desk.home.run(&["token", "audit", HOST, "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("\"verdict\":\"narrow\""), "{}", ran.out);
        assert_eq!(desk.asked(from), [""; 0]);
        std::fs::remove_file(desk.home.path("secret.receipt")).unwrap();
        let ran = desk.home.run(&["token", "audit", HOST]);
        assert!(ran.code == 75 && ran.out.contains("there is no receipt"), "{ran:?}");
        // The command that helps is one that can be run as it stands.
        let option = match kind.service.name {
            "inwx" => "audit dev1.example.com --management-user USER",
            "ovh" => "audit dev1.example.com --management-token-file FILE",
            _ => "issue dev1.example.com",
        };
        let said = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("homing token {option}")), "{}", ran.out);
        assert_eq!(desk.home.once().code, 77, "a strict host waits for a proof");
    }
}

#[test]
fn what_a_person_must_do_is_said() {
    for kind in &kinds() {
        let desk = Desk::new(kind);
        let (ran, _) = desk.check(&[ISSUE, &["--max-age", "30d"]].concat(), 64);
        assert!(ran.err.contains("--max-age: this provider has no such thing"), "{}", ran.err);
        // Its form is right, whatever the server drew.
        let right = desk.secret();
        let (rest, last) = right.split_at(right.len() - 1);
        let wrong = format!("{rest}{}", if last == "0" { "1" } else { "0" });
        desk.home.secret(MANAGEMENT, &wrong);
        let (ran, _) = desk.check(ISSUE, 77);
        assert!(ran.err.contains("check the management credential"), "{}", ran.err);
        let missing = desk.home.once();
        assert!(
            missing.out.contains("`homing token issue dev1.example.com` makes one"),
            "{missing:?}"
        );
    }
}

#[test]
fn a_login_that_is_not_of_this_file_is_left_alone_where_a_host_has_one() {
    let desk = Desk::new(&INWX);
    let by_hand = inwx::Account {
        id: 4711,
        name: "by-hand".to_owned(),
        password: "chosen-by-hand".to_owned(),
        hosts: vec![HOST.to_owned()],
    };
    desk.played.with_world(|world| world.accounts.push(by_hand));
    let (ran, asked) = desk.check(ISSUE, 77);
    assert!(ran.err.contains("no receipt of: by-hand"), "{ran:?}");
    assert!(ran.err.contains("delete it by `homing token revoke --id 4711`"), "{ran:?}");
    assert!(writes(&asked).is_empty() && desk.made().len() == 1, "{asked:?}");
    desk.check(&["revoke", "--id", "4711"], 0);
    desk.check(ISSUE, 0);
    desk.assert_right("issued");
}

#[test]
fn a_url_that_nobody_knows_is_told_of() {
    let desk = Desk::new(&IONOS);
    let (_, asked) = Desk::new(&IONOS).check(ISSUE, 0);
    let post = asked.iter().position(|line| line.starts_with("POST")).unwrap();
    desk.played.die_after(post + 1, true);
    let (ran, _) = desk.check(ISSUE, 75);
    assert!(ran.err.contains("there may be an update URL that nobody knows"), "{}", ran.err);
}
