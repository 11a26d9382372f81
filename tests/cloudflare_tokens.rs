//! `homing token` for Cloudflare end to end: the real binary against the sandbox's Cloudflare, whose tokens
//! can do what their policies say.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use serde_json::{Value, json};

use crate::support::token_desk::{
    AUDIT, DEV1, HOST, ISSUE, MANAGEMENT, REVOKE, ROTATE, TokenDesk, configuration, cut_revocations,
};
use crate::support::{home, in_parallel, sandbox};
use home::Home;
use sandbox::services::cloudflare::{self, zone_id};
use sandbox::services::cloudflare_tokens::Token;
use sandbox::services::world::World;
use sandbox::services::{Played, Received};

/// Who owns the management token, and so those that it makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owner {
    Account,
    User,
}

impl Owner {
    const BOTH: [Self; 2] = [Self::Account, Self::User];

    /// A token of this owner.
    fn token(self, body: Value) -> Token {
        Token::new(body, self == Self::Account, std::time::Duration::ZERO)
    }
}

/// The service with its account, and a home that has the account's own token for management.
struct Desk {
    played: Played,
    home: Home,
}

impl Desk {
    fn new(owner: Owner) -> Self {
        Self::with(owner, DEV1)
    }

    fn with(owner: Owner, hosts: &str) -> Self {
        let mut world = World::new(cloudflare::SERVICE);
        if owner == Owner::Account {
            world.is_owned_by_account = true;
            world.secret = cloudflare::secret_of_account();
        }
        let played = Played::start(world).unwrap();
        let secret = played.with_world(|world| world.secret.clone());
        let home = Home::new(&configuration("cloudflare", &played.api_url(), hosts));
        home.secret(MANAGEMENT, &secret);
        Self { played, home }
    }

    fn tokens(&self) -> Vec<Token> {
        self.played.with_world(|world| world.tokens.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        self.played.with_world(|world| change(&mut world.tokens[0].body));
    }

    /// Every token may write the records of the host's zone and do nothing else.
    #[track_caller]
    fn assert_narrow(&self, case: &str) {
        self.played.with_world(|world| {
            for token in &world.tokens {
                let own = world.zone("example.com");
                let other = world.zone("dyn.example.net");
                assert!(token.may(&["DNS Write"], own), "{token:?}: {case}");
                assert!(!token.may(&["DNS Write", "DNS Read", "Zone Read"], other), "{case}");
                assert!(
                    !token.may(&["API Tokens Write", "Account API Tokens Write"], None),
                    "{case}"
                );
            }
        });
    }

    /// The token in the file is the only one, and nothing is left of a run that was cut.
    #[track_caller]
    fn assert_right(&self, case: &str) {
        self.assert_narrow(case);
        let tokens = self.tokens();
        assert_eq!(tokens.len(), 1, "{tokens:?}: {case}");
        self.assert_kept(&format!("{}\n", tokens[0].secret), tokens[0].id.as_str(), case);
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

    fn name_of(request: &Received) -> String {
        format!("{} {}", request.method, request.path)
    }

    fn writes(asked: &[String]) -> Vec<&str> {
        writes(asked)
    }

    fn count(&self) -> usize {
        self.tokens().len()
    }
}

/// The methods of the requests that change something.
fn writes(asked: &[String]) -> Vec<&str> {
    let methods = asked.iter().filter_map(|line| line.split(' ').next());
    methods.filter(|method| *method != "GET").collect()
}

// Issue.

#[test]
fn a_token_for_the_zone_is_made_and_updates_its_host() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let (ran, asked) = desk.check(ISSUE, 0);
        assert_eq!(writes(&asked), ["POST"], "{asked:?}");
        assert!(
            ran.out.contains("  + token\n  + allow any record of any name in example.com"),
            "{}",
            ran.out
        );
        assert!(ran.out.contains("its token is narrow to the zone and has no end"), "{}", ran.out);
        desk.assert_right("issued");
        let secret = desk.tokens()[0].secret.clone();
        assert!(!format!("{ran:?}{}", desk.home.read("token.receipt")).contains(&secret));
        // The receipt has the zone's id: the zone is not looked for, only asked whether there are others.
        let from = desk.played.requests().len();
        desk.assert_updates("issued");
        let looks = desk.asked(from).iter().filter(|line| line.ends_with("/zones")).count();
        assert_eq!(looks, 1, "{:?}", desk.asked(from));
        let status = desk.home.run(&["status"]);
        assert_eq!(status.code, 0, "{status:?}");
        assert!(status.out.contains("narrow to the zone"), "{}", status.out);
    }
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        for limits in [&[][..], &["--max-age", "90d", "--allow-subnet", "127.0.0.0/8"]] {
            desk.assert_issued_once(&[ISSUE, limits].concat());
        }
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let (ran, asked) = desk.check(&[ISSUE, &["--dry-run", "--max-age", "30d"]].concat(), 0);
        assert_eq!(writes(&asked), [""; 0]);
        assert!(ran.out.contains("  + token (lives 30d)"), "{}", ran.out);
        assert!(!desk.home.path("token").exists() && desk.tokens().is_empty());
    }
}

#[test]
fn a_token_has_the_limits_that_were_asked_for() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let limits = ["--max-age", "90d", "--allow-subnet", "198.51.100.0/24"];
        let (ran, _) = desk.check(&[ISSUE, &limits].concat(), 0);
        assert!(ran.out.contains("works only from 198.51.100.0/24: after a change"), "{ran:?}");
        let body = &desk.tokens()[0].body;
        assert_eq!(body["condition"], json!({"request_ip": {"in": ["198.51.100.0/24"]}}));
        assert!(body["expires_on"].as_str().unwrap().starts_with('2'), "{body}");
        // This machine is not in that network.
        assert_eq!(desk.home.once().code, 77);
        let (ran, asked) = desk.check(&[ISSUE, &["--allow-subnet", "any"]].concat(), 0);
        assert_eq!(writes(&asked), ["PUT"], "{}", ran.out);
        desk.assert_right("lifted");
    }
}

#[test]
fn what_has_drifted_is_put_right() {
    for owner in Owner::BOTH {
        type Drift = fn(&mut Value);
        let all = |group: &str| {
            json!({"effect": "allow", "resources": {"com.cloudflare.api.account.zone.*": "*"},
            "permission_groups": [{"id": group}]})
        };
        let (write, tokens) =
            ("4755a26eedb94da69e1066d98aa820be", "686d18d5ac6c441c867cbf6771e58a0a");
        let desk = Desk::new(owner);
        desk.check(ISSUE, 0);
        for policy in [all(write), all(tokens), all("other")] {
            desk.change(|body| body["policies"].as_array_mut().unwrap().push(policy.clone()));
            let (ran, _) = desk.check(&[AUDIT, &["--json"]].concat(), 77);
            assert!(ran.out.contains("\"verdict\":\"too-powerful\""), "{}", ran.out);
            assert!(ran.out.contains("homing token issue dev1.example.com"), "{}", ran.out);
            assert_eq!(desk.home.run(&["status"]).code, 77, "status knows it");
            let (ran, asked) = desk.check(ISSUE, 0);
            assert_eq!(writes(&asked), ["PUT"], "{ran:?}");
            desk.assert_right("drifted");
            desk.check(AUDIT, 0);
        }
        let drifts: [Drift; 3] = [
            |body| body["expires_on"] = "2100-01-01T00:00:00Z".into(),
            |body| body["condition"] = json!({"request_ip": {"in": ["127.0.0.0/8"]}}),
            |body| {
                body["policies"] =
                    json!([{"effect": "allow", "resources": {}, "permission_groups": []}]);
            },
        ];
        for drift in drifts {
            desk.change(drift);
            let (ran, asked) = desk.check(ISSUE, 0);
            assert_eq!(writes(&asked), ["PUT"], "{ran:?}");
            desk.assert_right("drifted");
        }
    }
}

#[test]
fn a_token_that_is_lost_deleted_or_switched_off_is_replaced() {
    for owner in Owner::BOTH {
        type Loss = fn(&Desk);
        let losses: [Loss; 4] = [
            |desk| std::fs::remove_file(desk.home.path("token")).unwrap(),
            |desk| desk.played.with_world(|world| world.tokens.clear()),
            |desk| desk.change(|body| body["status"] = "disabled".into()),
            |desk| desk.change(|body| body["expires_on"] = "2020-01-01T00:00:00Z".into()),
        ];
        for (at, loss) in losses.into_iter().enumerate() {
            let desk = Desk::new(owner);
            desk.check(ISSUE, 0);
            let before = desk.tokens()[0].id.clone();
            loss(&desk);
            desk.check(ISSUE, 0);
            desk.assert_right(&format!("loss {at}"));
            assert_ne!(desk.tokens()[0].id, before);
            desk.assert_updates(&format!("loss {at}"));
        }
    }
}

#[test]
fn a_token_made_by_hand_is_kept_beside() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let by_hand = owner.token(json!({"name": "by hand", "policies": []}));
        desk.home.secret("token", &by_hand.secret);
        desk.played.with_world(|world| world.tokens.push(by_hand.clone()));
        let (ran, _) = desk.check(ISSUE, 0);
        assert!(ran.out.contains("is kept in"), "{}", ran.out);
        assert_eq!(desk.home.read("token.old"), format!("{}\n", by_hand.secret));
        assert_eq!(desk.tokens().len(), 2);
        desk.check(&["revoke", "--id", &by_hand.id], 0);
        desk.assert_right("by hand");
        let (ran, _) = desk.check(&["revoke", "--id", &by_hand.id], 0);
        assert!(ran.out.contains("nothing to do"), "{}", ran.out);
    }
}

#[test]
fn hosts_that_share_a_file_share_a_token_for_all_their_zones() {
    for owner in Owner::BOTH {
        let other = DEV1.replace("dev1.example.com", "dev2.dyn.example.net");
        let desk = Desk::with(owner, &format!("{DEV1}\n{other}"));
        desk.check(&["issue", "--all"], 0);
        let zones = desk.played.with_world(|world| {
            world
                .zones
                .iter()
                .map(|zone| format!("com.cloudflare.api.account.zone.{}", zone_id(zone)))
                .collect::<Vec<_>>()
        });
        let tokens = desk.tokens();
        let resources = tokens[0].body["policies"][0]["resources"].as_object().unwrap();
        assert!(tokens.len() == 1 && zones.iter().all(|zone| resources.contains_key(zone)));
        desk.assert_updates("two hosts");
        assert_eq!(desk.played.values("dev2.dyn.example.net", "A"), ["203.0.113.7"]);
        desk.check(AUDIT, 0);
    }
}

#[test]
fn a_zone_with_its_id_in_the_configuration_is_not_looked_for() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let id = desk.played.with_world(|world| zone_id(world.zone("example.com").unwrap()));
        let host = format!("{DEV1}zone = \"example.com\"\noptions = {{ zone-id = \"{id}\" }}\n");
        desk.home.configure(&configuration("cloudflare", &desk.played.api_url(), &host));
        let (_, asked) = desk.check(ISSUE, 0);
        // Only what an account owns is asked for a zone, whose account it is.
        let looks = asked.iter().filter(|line| line.ends_with("/zones")).count();
        assert_eq!(looks, usize::from(owner == Owner::Account), "{asked:?}");
        desk.assert_updates("zone-id");
    }
}

// Cut short.

/// Ends a run after each of its requests; nothing too powerful is left, and the next run puts
/// everything right.
fn cut_after_every_request(owner: Owner, begin: fn(&Desk), command: &[&str]) {
    let measured = Desk::new(owner);
    begin(&measured);
    let (_, asked) = measured.check(command, 0);
    assert!(asked.len() > 5, "{asked:?}");
    let cuts: Vec<_> = (0..asked.len()).flat_map(|at| [(at, false), (at, true)]).collect();
    in_parallel(&cuts, |&(after, performed_last)| {
        let case = format!("{command:?} cut after {after} of {asked:?}, {performed_last}");
        let desk = Desk::new(owner);
        begin(&desk);
        desk.played.die_after(after, performed_last);
        let ran = desk.run(command);
        assert!([0, 75].contains(&ran.code), "{case}: {ran:?}");
        desk.played.revive();
        desk.assert_narrow(&case);
        let in_use = desk.home.path("token").exists().then(|| desk.home.read("token"));
        if let Some(in_use) = in_use {
            let is_it = |token: &Token| in_use == format!("{}\n", token.secret);
            assert!(desk.tokens().iter().any(is_it), "the token in use does not work: {case}");
        }
        let ran = desk.run(ISSUE);
        assert_eq!(ran.code, 0, "{case}\n{ran:?}");
        desk.assert_right(&case);
        desk.assert_updates(&case);
    });
}

#[test]
fn an_issue_that_is_cut_leaves_nothing_too_powerful_and_nothing_behind() {
    for owner in Owner::BOTH {
        cut_after_every_request(owner, |_| {}, ISSUE);
    }
}

#[test]
fn a_rotation_that_is_cut_leaves_a_token_that_works() {
    for owner in Owner::BOTH {
        cut_after_every_request(
            owner,
            |desk| {
                desk.check(ISSUE, 0);
            },
            ROTATE,
        );
    }
}

// Rotate and revoke.

#[test]
fn a_rotation_makes_the_new_token_before_it_ends_the_old_one() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        desk.check(&[ISSUE, &["--max-age", "90d"]].concat(), 0);
        desk.assert_updates("before");
        let before = desk.tokens()[0].id.clone();
        let (_, asked) = desk.check(ROTATE, 0);
        assert_eq!(writes(&asked), ["POST", "DELETE"], "{asked:?}");
        assert!(asked.last().unwrap().ends_with(&before), "{asked:?}");
        desk.assert_right("rotated");
        assert!(desk.tokens()[0].body["expires_on"].is_string());
        desk.assert_updates("rotated");
    }
}

#[test]
fn a_revoked_token_is_gone() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        desk.check(ISSUE, 0);
        let (ran, asked) = desk.check(&[REVOKE, &["--dry-run"]].concat(), 0);
        assert!(ran.out.contains("- token ") && writes(&asked).is_empty(), "{}", ran.out);
        let (ran, asked) = desk.check(REVOKE, 0);
        assert!(ran.out.contains("no longer works"), "{}", ran.out);
        assert_eq!(writes(&asked), ["DELETE"]);
        assert!(desk.tokens().is_empty());
        let (ran, asked) = desk.check(REVOKE, 0);
        assert!(ran.out.contains("nothing to do") && writes(&asked).is_empty(), "{}", ran.out);
        let status = desk.home.run(&["status"]);
        assert_eq!(status.code, 77, "{status:?}");
        desk.check(ISSUE, 0);
        desk.assert_right("issued again");
        desk.assert_updates("issued again");
    }
}

#[test]
fn a_revocation_that_is_cut_can_be_repeated() {
    for owner in Owner::BOTH {
        cut_revocations(|| Desk::new(owner));
    }
}

// Audit.

#[test]
fn an_audit_by_the_token_itself_relies_on_the_receipt() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        desk.check(&[ISSUE, &["--max-age", "7d"]].concat(), 0);
        let itself = || desk.home.run(&["token", "audit", HOST, "--json"]);
        let ran = itself();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("\"verdict\":\"narrow-to-zone\""), "{}", ran.out);
        assert_eq!(ran.out.matches("\"expires-soon\"").count(), 1, "{}", ran.out);
        assert!(
            ran.out.contains("expires-soon") && ran.out.contains("management credential"),
            "{}",
            ran.out
        );
        desk.change(|body| body["status"] = "disabled".into());
        let ran = itself();
        assert_eq!(ran.code, 75, "{ran:?}");
        assert!(ran.out.contains("\"lapsed\""), "{}", ran.out);
        // The account's own token, in the file by hand.
        desk.home.secret("token", &desk.secret());
        let ran = itself();
        assert_eq!(ran.code, 77, "{ran:?}");
        assert!(ran.out.contains("may read the account's API tokens"), "{}", ran.out);
    }
}

#[test]
fn a_token_made_by_hand_is_judged_and_proven_by_the_account() {
    for owner in Owner::BOTH {
        let strict = format!("{DEV1}strict-token = true\n");
        let desk = Desk::with(owner, &strict);
        let zone = desk.played.with_world(|world| zone_id(world.zone("example.com").unwrap()));
        let name = format!("com.cloudflare.api.account.zone.{zone}");
        let policy = json!({"effect": "allow", "resources": {name: "*"}, "permission_groups": [
        {"id": "4755a26eedb94da69e1066d98aa820be"}, {"id": "c8fed203ed3043cba015a93ad1616f1f"}]});
        let token = owner.token(
            json!({"name": "mine", "policies": [policy], "expires_on": "2100-01-01T00:00:00Z"}),
        );
        desk.home.secret("token", &token.secret);
        desk.played.with_world(|world| world.tokens.push(token));
        let itself = desk.home.run(&["token", "audit", HOST]);
        assert_eq!(itself.code, 0, "{itself:?}");
        assert!(itself.out.contains("nothing found"), "{}", itself.out);
        assert!(itself.out.contains("2100-01-01"), "its end is asked of its owner: {}", itself.out);
        assert_eq!(desk.home.once().code, 77, "a strict host waits for a proof");
        let (ran, _) = desk.check(AUDIT, 0);
        assert!(ran.out.contains("narrow to the zone"), "{}", ran.out);
        desk.assert_updates("proven by an audit");
    }
}

#[test]
fn the_global_api_key_is_known_by_its_form() {
    for owner in Owner::BOTH {
        let desk = Desk::with(owner, &format!("{DEV1}strict-token = true\n"));
        desk.home.secret("token", "0123456789abcdef0123456789abcdef01234");
        let from = desk.played.requests().len();
        let ran = desk.home.run(&["token", "audit", HOST]);
        assert_eq!(ran.code, 77, "{ran:?}");
        assert!(ran.out.contains("is the Global API Key"), "{}", ran.out);
        assert_eq!(desk.home.once().code, 77);
        assert_eq!(desk.asked(from), [""; 0], "nothing is sent with it");
    }
}

#[test]
fn another_token_for_the_same_host_is_named() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        desk.check(ISSUE, 0);
        let body = desk.tokens()[0].body.clone();
        let stray = owner.token(body);
        desk.played.with_world(|world| world.tokens.push(stray.clone()));
        let (ran, _) = desk.check(AUDIT, 0);
        assert!(ran.out.contains(&format!("homing token revoke --id {}", stray.id)), "{}", ran.out);
    }
}

#[test]
fn what_a_person_must_do_is_said() {
    for owner in Owner::BOTH {
        let desk = Desk::new(owner);
        let ran = desk.home.run(&["token", "issue", HOST]);
        assert_eq!(ran.code, 64, "{ran:?}");
        assert!(ran.err.contains("--management-token-file"), "{}", ran.err);
        let (ran, _) = desk.check(&[ISSUE, &["--max-unused", "30d"]].concat(), 64);
        assert!(ran.err.contains("--max-unused: this provider has no such thing"), "{}", ran.err);
        let elsewhere = DEV1.replace("dev1.example.com", "dev1.example.org");
        desk.home.configure(&configuration("cloudflare", &desk.played.api_url(), &elsewhere));
        let (ran, _) = desk.check(&["issue", "dev1.example.org"], 77);
        assert!(
            ran.err.contains("no public zone of the account holds dev1.example.org"),
            "{ran:?}"
        );
        assert!(ran.err.contains("Zone: Zone: Read"), "{ran:?}");
        desk.home.configure(&configuration("cloudflare", &desk.played.api_url(), DEV1));
        desk.home.secret(MANAGEMENT, &"x".repeat(40));
        let ran = desk.run(ISSUE);
        assert!(ran.code == 77 && ran.err.contains("check the management credential"), "{ran:?}");
        desk.home.secret("token", &"y".repeat(40));
        desk.home.secret(MANAGEMENT, &"y".repeat(40));
        let ran = desk.run(ISSUE);
        assert!(ran.code == 78 && ran.err.contains("holds the management token itself"), "{ran:?}");
    }
}

#[test]
fn a_management_token_is_sent_to_one_provider_alone() {
    for owner in Owner::BOTH {
        let desk = Desk::with(
            owner,
            &format!(
                "{DEV1}\n[[host]]\nname = \"x.example.com\"\nprovider = \"desec\"\ntoken-file = \"other\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\n"
            ),
        );
        for command in [&["issue", "--all"][..], &["audit"]] {
            let (ran, asked) = desk.check(command, 64);
            assert!(ran.err.contains("a management token is for one"), "{}", ran.err);
            assert!(asked.is_empty());
        }
    }
}
