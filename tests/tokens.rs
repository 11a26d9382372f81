//! `homing token issue`, `rotate` and `revoke` end to end: the real binary against the sandbox deSEC.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{account, home, in_parallel, sandbox};
use account::{
    DEV1, HOST, MANAGEMENT, ZONE, asked, change, check, desk, ours, rows, the_one, token,
    token_command, writes,
};
use home::{Home, Ran, wait_until};
use sandbox::{Account, Answer, Api, Policy, Sandbox, Scripted, Token};

const TOKENS: &str = "/api/v1/auth/tokens/";
const ISSUE: &[&str] = &["issue", HOST];
const ROTATE: &[&str] = &["rotate", HOST];
const REVOKE: &[&str] = &["revoke", HOST];

/// What the token of [`DEV1`] may do, as [`rows`] has it.
const NARROW: [&str; 3] =
    ["allow dyn.example.com/dev1/A", "allow dyn.example.com/dev1/AAAA", "deny */*/*"];

/// Every file in the directory of `home` and below, by its path there.
fn files(home: &Home) -> BTreeMap<String, String> {
    fn collect(directory: &Path, before: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), &format!("{name}/"), files);
            } else {
                files
                    .insert(name, String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(&home.path(""), "", &mut files);
    files
}

/// The secret in the file `token`.
fn secret(home: &Home) -> String {
    home.read("token").trim().to_owned()
}

/// What a command leaves: an account and the files beside its home's configuration. Any number of
/// sandboxes and homes can go on from there.
struct Begun {
    account: Account,
    files: BTreeMap<String, String>,
    url: String,
}

impl Begun {
    /// Nothing was done yet.
    fn nothing(api: Api) -> Self {
        let url = String::new();
        Self { account: account::account(api), files: BTreeMap::new(), url }
    }

    /// The token of [`DEV1`] was issued.
    fn issued(api: Api) -> Self {
        let (sandbox, home) = desk(api, DEV1);
        check(&sandbox, &home, ISSUE, 0);
        let mut files = files(&home);
        files.remove("config.toml");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["token", "token.receipt"]);
        Self { account: sandbox.with_account(|account| account.clone()), files, url: sandbox.url() }
    }

    fn without(mut self, file: &str) -> Self {
        self.files.remove(file).unwrap();
        self
    }

    fn start(&self) -> (Sandbox, Home) {
        let sandbox = Sandbox::start(self.account.clone()).unwrap();
        let home = Home::at(&sandbox.url(), DEV1);
        fs::remove_file(home.path("token")).unwrap();
        for (name, text) in &self.files {
            home.write(name, &text.replace(&self.url, &sandbox.url()), 0o600);
        }
        (sandbox, home)
    }
}

/// Says that something is not tested here, which is a failure where everything has to be there.
fn skip(reason: &str) {
    assert!(std::env::var("HOMING_TESTS").as_deref() != Ok("all"), "cannot be skipped: {reason}");
    // Not `eprintln`, which the harness hides.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// A token without any right beside writing records.
#[track_caller]
fn assert_tame(token: &Token, case: &str) {
    let flags = [token.perm_manage_tokens, token.perm_create_domain, token.perm_delete_domain];
    assert_eq!((flags, token.auto_policy), ([false; 3], false), "{case}");
}

/// One token that can write its two record sets and nothing else, whose secret is in use.
#[track_caller]
fn assert_right(sandbox: &Sandbox, home: &Home, case: &str) {
    let token = the_one(sandbox);
    assert_eq!(rows(&token), NARROW, "{case}");
    assert_tame(&token, case);
    assert_eq!(secret(home), token.secret, "{case}");
    assert!(home.read("token.receipt").contains(&token.id), "{case}");
    let left: Vec<String> = files(home).into_keys().filter(|name| name.contains(".new")).collect();
    assert_eq!(left, [""; 0], "{case}");
}

/// `homing --once` sets the addresses of [`HOST`].
#[track_caller]
fn assert_updates(sandbox: &Sandbox, home: &Home, case: &str) {
    sandbox.flush_throttle();
    let ran = home.once();
    assert_eq!(ran.code, 0, "{case}: {ran:?}");
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"], "{case}");
    assert_eq!(sandbox.records(HOST, "AAAA"), ["2001:db8::7"], "{case}");
}

// Issue.

#[test]
fn a_token_is_born_locked_and_gets_the_rows_of_its_families() {
    for (v4, v6, expect) in [
        ("here", "here", &NARROW[..]),
        ("here", "off", &["allow dyn.example.com/dev1/A", "deny */*/*"]),
        ("off", "here", &["allow dyn.example.com/dev1/AAAA", "deny */*/*"]),
    ] {
        let hosts = DEV1.replace("ipv4 = \"here\"", &format!("ipv4 = \"{v4}\""));
        let hosts = hosts.replace("ipv6 = \"here\"", &format!("ipv6 = \"{v6}\""));
        let (sandbox, home) = desk(Api::Current, &hosts);
        let (_, asked) = check(&sandbox, &home, ISSUE, 0);
        let token = the_one(&sandbox);
        assert_eq!(rows(&token), expect);
        assert_tame(&token, v4);
        assert_eq!(token.name, "homing:dev1.dyn.example.com");
        let mut wanted = vec!["POST /auth/tokens/"];
        wanted.extend(vec!["POST /auth/tokens/ID/policies/rrsets/"; expect.len() - 1]);
        wanted.push("PATCH /auth/tokens/ID/");
        assert_eq!(writes(&asked), wanted);
        let birth =
            sandbox.requests().into_iter().find(|request| request.method == "POST").unwrap();
        assert!(birth.body.contains("\"auto_policy\":true"), "{birth:?}");
    }
}

/// `tokens = "desec"` in an entry: the same issuer for hosts that another protocol updates.
#[test]
fn an_entry_that_names_its_issuer_gets_tokens_as_well() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let own = format!("extends = \"desec-rest\"\napi-url = \"{}/api/v1\"", sandbox.url());
    let desec = format!("protocol = \"desec\"\nserver = \"{}\"", sandbox.url());
    let config = home.read("config.toml");
    assert!(config.contains(&desec), "{config}");
    home.configure(&format!("{}strict-token = true\n", config.replace(&desec, &own)));
    check(&sandbox, &home, ISSUE, 0);
    assert_right(&sandbox, &home, "extends");
    assert_updates(&sandbox, &home, "extends");
    check(&sandbox, &home, &["audit", HOST], 0);
    check(&sandbox, &home, REVOKE, 0);
    assert!(ours(&sandbox).is_empty());
}

#[test]
fn the_old_server_gets_a_token_that_is_locked_before_its_secret_is_kept() {
    let (sandbox, home) = desk(Api::Legacy, DEV1);
    let (_, asked) = check(&sandbox, &home, ISSUE, 0);
    let locked = "zone *: deny dyndns, deny rrsets";
    let own = "zone dev1.dyn.example.com: allow dyndns, deny rrsets";
    assert_eq!(rows(&the_one(&sandbox)), [locked, own]);
    let policies = "POST /auth/tokens/ID/policies/domain/";
    assert_eq!(writes(&asked), ["POST /auth/tokens/", policies, policies]);
    assert_updates(&sandbox, &home, "");
}

#[test]
fn the_old_server_is_not_asked_for_a_token_that_would_write_a_whole_zone() {
    let (sandbox, home) = desk(Api::Legacy, DEV1);
    sandbox.with_account(|account| account.remove_zone(HOST));
    let (ran, asked) = check(&sandbox, &home, ISSUE, 77);
    assert!(ran.err.contains("dyn.example.com and every name below it; nothing was changed"));
    assert!(
        ran.err.contains("`homing token issue dev1.dyn.example.com --create-domain"),
        "{ran:?}"
    );
    assert_eq!(writes(&asked), [""; 0]);
    let (ran, asked) = check(&sandbox, &home, &["issue", HOST, "--create-domain", HOST], 0);
    assert!(ran.out.contains("+ zone dev1.dyn.example.com"), "{ran:?}");
    assert_eq!(writes(&asked)[0], "POST /domains/");
    assert_updates(&sandbox, &home, "");
}

#[test]
fn a_name_is_cut_to_what_the_server_takes() {
    let host = format!("{}.{ZONE}", "a".repeat(63));
    let (sandbox, home) = desk(Api::Current, &DEV1.replace(HOST, &host));
    check(&sandbox, &home, &["issue", &host], 0);
    assert_eq!(the_one(&sandbox).name, format!("homing:{}", "a".repeat(57)));
    let (ran, asked) = check(&sandbox, &home, &["issue", &host], 0);
    assert!(ran.out.contains("nothing to do"), "{ran:?}");
    assert_eq!(writes(&asked), [""; 0]);
}

#[test]
fn secret_and_receipt_belong_to_whom_the_directory_belongs() {
    let (sandbox, home) = desk(Api::Current, &DEV1.replace("\"token\"", "\"keys/token\""));
    let keys = home.path("keys");
    fs::create_dir(&keys).unwrap();
    let mut owner = (fs::metadata(&keys).unwrap().uid(), fs::metadata(&keys).unwrap().gid());
    if chown(&keys, Some(54321), Some(54322)).is_ok() {
        owner = (54321, 54322);
    } else {
        skip("secret_and_receipt_belong_to_whom_the_directory_belongs: needs root");
    }
    check(&sandbox, &home, ISSUE, 0);
    let belongs = |name: &str| {
        let about = fs::metadata(keys.join(name)).unwrap();
        ((about.uid(), about.gid()), about.mode() & 0o7777)
    };
    for command in [ISSUE, ROTATE] {
        check(&sandbox, &home, command, 0);
        assert_eq!(belongs("token"), (owner, 0o600), "{command:?}");
        assert_eq!(belongs("token.receipt"), (owner, 0o600), "{command:?}");
    }
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_file_that_a_group_reads_stays_so() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().mode() & 0o7777;
    home.write("token", &home.read("token"), 0o640);
    check(&sandbox, &home, ROTATE, 0);
    assert_eq!((mode("token"), mode("token.receipt")), (0o640, 0o640));
}

#[test]
fn the_secret_is_shown_only_to_who_asks_for_it() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let mut told = Vec::new();
    for command in [&["issue", HOST, "-vv"][..], &["rotate", HOST, "-vv"], &["issue", HOST, "-vv"]]
    {
        let (ran, _) = check(&sandbox, &home, command, 0);
        let secret = secret(&home);
        assert_eq!(secret, the_one(&sandbox).secret);
        told.push(format!("{ran:?}"));
        assert!(!told.concat().contains(&secret), "{told:?}");
        assert!(!home.read("token.receipt").contains(&secret));
    }
    for command in [["issue", HOST, "--print"], ["rotate", HOST, "--print"]] {
        let (ran, _) = check(&sandbox, &home, &command, 0);
        assert_eq!(ran.out.lines().last(), Some(secret(&home).as_str()), "{ran:?}");
        assert!(!ran.err.contains(&secret(&home)), "{ran:?}");
    }
}

#[test]
fn a_second_run_only_reads_and_says_that_there_is_nothing_to_do() {
    in_parallel(&[Api::Current, Api::Legacy], |&api| {
        let (sandbox, home) = desk(api, DEV1);
        check(&sandbox, &home, ISSUE, 0);
        let before = files(&home);
        let (ran, asked) = check(&sandbox, &home, ISSUE, 0);
        assert!(ran.out.starts_with("dev1.dyn.example.com: nothing to do"), "{ran:?}");
        assert!(asked.iter().all(|line| line.starts_with("GET ")), "{asked:?}");
        assert_eq!(files(&home), before);
        assert_updates(&sandbox, &home, "");
    });
}

#[test]
fn hosts_that_share_a_file_get_one_token_with_all_their_rows() {
    let list = DEV1.replace("\"dev1.dyn.example.com\"", &format!("[\"{HOST}\", \"www.{ZONE}\"]"));
    let third = DEV1.replace("dev1", "nas").replace("ipv4 = \"here\"", "ipv4 = \"off\"");
    let (sandbox, home) = desk(Api::Current, &(list + &third));
    // One of them stands for all.
    check(&sandbox, &home, &["issue", "nas.dyn.example.com"], 0);
    let expect = [
        "allow dyn.example.com/dev1/A",
        "allow dyn.example.com/dev1/AAAA",
        "allow dyn.example.com/nas/AAAA",
        "allow dyn.example.com/www/A",
        "allow dyn.example.com/www/AAAA",
        "deny */*/*",
    ];
    assert_eq!(rows(&the_one(&sandbox)), expect);
    let (ran, asked) = check(&sandbox, &home, &["issue", "--all"], 0);
    assert!(ran.out.contains("nothing to do"), "{ran:?}");
    assert_eq!(writes(&asked), [""; 0]);
    assert_updates(&sandbox, &home, "");
    assert_eq!(sandbox.records("nas.dyn.example.com", "A"), [""; 0]);
    assert_eq!(sandbox.records("nas.dyn.example.com", "AAAA"), ["2001:db8::7"]);
    // A host that leaves takes its rows with it.
    home.configure(&home.read("config.toml").replace(", \"www.dyn.example.com\"", ""));
    let (ran, _) = check(&sandbox, &home, ISSUE, 0);
    assert!(ran.out.contains("\n  - allow A of www.dyn.example.com\n"), "{ran:?}");
    let left: Vec<&str> = expect.into_iter().filter(|row| !row.contains("/www/")).collect();
    assert_eq!(rows(&the_one(&sandbox)), left);
}

#[test]
fn all_are_issued_at_once_and_one_that_fails_leaves_the_others_alone() {
    let other = |name: &str, file: &str| DEV1.replace(HOST, name).replace("\"token\"", file);
    let hosts = DEV1.to_owned()
        + &other("a.elsewhere.example", "\"token-a\"")
        + &other("nas.dyn.example.com", "\"token-nas\"");
    let (sandbox, home) = desk(Api::Current, &hosts);
    let (ran, _) = check(&sandbox, &home, &["issue", "--all"], 77);
    assert!(ran.err.contains("no zone of this account holds a.elsewhere.example"), "{ran:?}");
    assert!(ran.err.contains("--create-domain elsewhere.example"), "{ran:?}");
    let names: Vec<String> = ours(&sandbox).into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["homing:dev1.dyn.example.com", "homing:nas.dyn.example.com"]);
    assert!(home.path("token").exists() && home.path("token-nas").exists());
    assert!(!home.path("token-a").exists());
}

#[test]
fn a_dry_run_reads_and_tells_what_would_be_done() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let before = files(&home);
    for command in [["issue", HOST, "--dry-run"], ["rotate", HOST, "--dry-run"]] {
        let (ran, asked) = check(&sandbox, &home, &command, 0);
        for line in [
            "  + token \"homing:dev1.dyn.example.com\"",
            "  + default: deny everything",
            "  + allow A of dev1.dyn.example.com",
            "  + allow AAAA of dev1.dyn.example.com",
        ] {
            assert!(ran.out.lines().any(|told| told == line), "{line} in {ran:?}");
        }
        assert_eq!(writes(&asked), [""; 0]);
        assert_eq!(files(&home), before);
    }
    check(&sandbox, &home, ISSUE, 0);
    let (issued, before) = (the_one(&sandbox), files(&home));
    change(&sandbox, &issued.id, |token| token.policies.truncate(1));
    for command in ["issue", "rotate", "revoke"] {
        let (ran, asked) = check(&sandbox, &home, &[command, HOST, "--dry-run"], 0);
        let line = match command {
            "issue" => "  + allow A of dev1.dyn.example.com\n".to_owned(),
            "rotate" => format!("  - token {}\n", issued.id),
            _ => format!("dev1.dyn.example.com: - token {} \"{}\"\n", issued.id, issued.name),
        };
        assert!(ran.out.contains(&line), "{ran:?}");
        assert_eq!(writes(&asked), [""; 0]);
        assert_eq!((files(&home), rows(&the_one(&sandbox)).len()), (before.clone(), 1));
    }
}

// Cut after any request.

/// What is cut: a command, and what was there before.
struct Scene {
    api: Api,
    begun: Begun,
    command: &'static [&'static str],
    /// Whether there is a secret in use that has to stay usable.
    is_used: bool,
}

/// How a run ends too early.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The network goes after so many requests.
    Cut { after: usize, performed_last: bool },
    /// The server stumbles over the nth request of this method, with or without effect.
    Stumble { method: &'static str, nth: usize, performed: bool },
    /// The process is killed.
    Killed(Duration),
}

impl Scene {
    fn fresh(api: Api) -> Self {
        Self { api, begun: Begun::nothing(api), command: ISSUE, is_used: false }
    }

    fn lost(api: Api) -> Self {
        let begun = Begun::issued(api).without("token");
        Self { api, begun, command: ISSUE, is_used: false }
    }

    fn rotate(api: Api) -> Self {
        Self { api, begun: Begun::issued(api), command: ROTATE, is_used: true }
    }

    /// What a run that nothing disturbs asks for, and how long it takes.
    fn measure(&self) -> (Vec<String>, Duration) {
        let (sandbox, home) = self.begun.start();
        let begun = Instant::now();
        let (_, asked) = check(&sandbox, &home, self.command, 0);
        (asked, begun.elapsed())
    }

    /// Ends a run too early and checks that nobody could have got more than the rows, that what is
    /// in use works, and that the next run puts everything right.
    fn check(&self, end: End) {
        let (sandbox, home) = self.begun.start();
        let ran = match end {
            End::Cut { after, performed_last } => {
                sandbox.die_after(after, performed_last);
                token(&home, self.command)
            }
            End::Stumble { method, nth, performed } => {
                let answer = Answer::text(500, "Internal Server Error. We're on it!");
                let script = if performed {
                    Scripted::error_after_commit()
                } else {
                    Scripted::answer(answer)
                };
                sandbox.answer_nth(nth, method, "/", script);
                token(&home, self.command)
            }
            End::Killed(delay) => {
                let mut run = token_command(&home, self.command).spawn().unwrap();
                thread::sleep(delay);
                run.kill().unwrap();
                let ran = Ran::from(run.wait_with_output().unwrap());
                // A request that is still on its way would be carried out behind the next run's back.
                sandbox.await_quiet().unwrap();
                ran
            }
        };
        let told = format!(
            "{:?}, {:?}, {end:?}: {ran:#?}\n{:#?}\n{:#?}",
            self.api,
            self.command,
            asked(&sandbox, 0),
            files(&home).keys()
        );
        assert!([0, 75].contains(&ran.code) || matches!(end, End::Killed(_)), "{told}");
        for token in ours(&sandbox) {
            self.assert_bound(&token, &home, &told);
        }
        assert!(home.path("token").exists() || !self.is_used, "{told}");
        if home.path("token").exists() {
            let found = ours(&sandbox).into_iter().find(|token| token.secret == secret(&home));
            let found = found.unwrap_or_else(|| panic!("what is in use is dead: {told}"));
            assert!(self.does_its_job(&found), "{told}");
        }
        sandbox.revive();
        sandbox.clear_scripts();
        let ran = token(&home, ISSUE);
        let told = format!("{told}\nand then: {ran:#?}\n{:#?}", asked(&sandbox, 0));
        assert_eq!(ran.code, 0, "{told}");
        match self.api {
            Api::Current => assert_right(&sandbox, &home, &told),
            Api::Legacy => {
                let token = the_one(&sandbox);
                assert_eq!(secret(&home), token.secret, "{told}");
                assert!(home.read("token.receipt").contains(&token.id), "{told}");
                assert!(!files(&home).keys().any(|name| name.contains(".new")), "{told}");
                self.assert_bound(&token, &home, &told);
            }
        }
        assert_updates(&sandbox, &home, &told);
    }

    /// The token can write no more than its rows, or nobody has its secret.
    fn assert_bound(&self, token: &Token, home: &Home, told: &str) {
        assert!(!token.perm_manage_tokens, "{told}");
        let mut rows = rows(token);
        match self.api {
            Api::Current => {
                assert!(!token.perm_create_domain && !token.perm_delete_domain, "{told}");
                assert!(rows.iter().any(|row| row == "deny */*/*"), "{token:?}: {told}");
                rows.retain(|row| !NARROW.contains(&row.as_str()));
                assert_eq!(rows, [""; 0], "{told}");
            }
            Api::Legacy if rows.is_empty() => {
                let is_kept = files(home).values().any(|text| text.contains(&token.secret));
                assert!(!is_kept, "an unbound token's secret is in a file: {told}");
            }
            Api::Legacy => {
                let locked = "zone *: deny dyndns, deny rrsets";
                let own = "zone dev1.dyn.example.com: allow dyndns, deny rrsets";
                assert!(rows.iter().any(|row| row == locked), "{told}");
                rows.retain(|row| row != locked && row != own);
                assert_eq!(rows, [""; 0], "{told}");
            }
        }
    }

    fn does_its_job(&self, token: &Token) -> bool {
        match self.api {
            Api::Current => ["A", "AAAA"].iter().all(|kind| token.may_write(ZONE, "dev1", kind)),
            Api::Legacy => token.zone_policy(HOST).perm_dyndns,
        }
    }

    fn cut_after_every_request(&self) {
        let (asked, _) = self.measure();
        assert!(asked.len() > 8, "{asked:?}");
        let mut ends = Vec::new();
        for after in 0..=asked.len() {
            ends.push(End::Cut { after, performed_last: false });
            if after > 0 {
                ends.push(End::Cut { after, performed_last: true });
            }
        }
        in_parallel(&ends, |end| self.check(*end));
    }

    fn stumble_over_every_write(&self) {
        let (asked, _) = self.measure();
        let mut ends = Vec::new();
        for method in ["POST", "PATCH", "DELETE"] {
            let count = asked.iter().filter(|line| line.starts_with(method)).count();
            for nth in 1..=count {
                for performed in [true, false] {
                    ends.push(End::Stumble { method, nth, performed });
                }
            }
        }
        assert!(ends.len() >= 6, "{asked:?}");
        in_parallel(&ends, |end| self.check(*end));
    }
}

#[test]
fn a_first_issue_that_is_cut_leaves_nothing_too_powerful() {
    Scene::fresh(Api::Current).cut_after_every_request();
}

#[test]
fn a_first_issue_at_the_old_server_that_is_cut_leaves_nothing_too_powerful() {
    Scene::fresh(Api::Legacy).cut_after_every_request();
}

#[test]
fn an_issue_after_a_loss_that_is_cut_leaves_nothing_too_powerful() {
    Scene::lost(Api::Current).cut_after_every_request();
}

#[test]
fn an_issue_after_a_loss_at_the_old_server_that_is_cut_leaves_nothing_too_powerful() {
    Scene::lost(Api::Legacy).cut_after_every_request();
}

#[test]
fn a_rotation_that_is_cut_leaves_nothing_too_powerful_and_one_that_works() {
    Scene::rotate(Api::Current).cut_after_every_request();
}

#[test]
fn a_rotation_at_the_old_server_that_is_cut_leaves_nothing_too_powerful_and_one_that_works() {
    Scene::rotate(Api::Legacy).cut_after_every_request();
}

#[test]
fn a_server_that_stumbles_over_any_write_leaves_nothing_too_powerful() {
    let apis = [Api::Current, Api::Legacy];
    let scenes = apis.iter().flat_map(|&api| [Scene::fresh(api), Scene::rotate(api)]);
    in_parallel(&scenes.collect::<Vec<_>>(), Scene::stumble_over_every_write);
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_nothing_too_powerful() {
    let apis = [Api::Current, Api::Legacy];
    let scenes = apis.iter().flat_map(|&api| [Scene::fresh(api), Scene::rotate(api)]);
    in_parallel(&scenes.collect::<Vec<_>>(), |scene| {
        let (_, took) = scene.measure();
        let ends: Vec<End> = (1..=10).map(|part| End::Killed(took * part / 11)).collect();
        in_parallel(&ends, |end| scene.check(*end));
    });
}

#[test]
fn what_a_kill_left_of_a_file_that_was_being_written_goes_away() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    for name in ["token.new", "token.new.receipt", "token.new.receipt.new", "token.receipt.new"] {
        home.write(name, "{\"vers", 0o600);
    }
    check(&sandbox, &home, ISSUE, 0);
    assert_right(&sandbox, &home, "");
}

#[test]
fn a_run_that_was_killed_between_receipt_and_secret_is_completed() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let before = home.read("token");
    check(&sandbox, &home, ROTATE, 0);
    // The moment between: the receipt is the new one's, the secret not yet.
    home.write("token.new", &home.read("token"), 0o600);
    home.write("token", &before, 0o600);
    home.write("token.new.receipt", &home.read("token.receipt"), 0o600);
    let (ran, asked) = check(&sandbox, &home, ISSUE, 0);
    assert_eq!(writes(&asked), [""; 0], "{ran:?}");
    assert_right(&sandbox, &home, "");
}

// Mending.

/// Something that is not as it should be about a token of ours.
struct Drift {
    what: &'static str,
    drift: fn(&mut Token),
    told: &'static [&'static str],
    writes: &'static [&'static str],
}

const ROW: &str = "POST /auth/tokens/ID/policies/rrsets/";
const CORRECT: &str = "PUT /auth/tokens/ID/policies/rrsets/ID/";
const REMOVE: &str = "DELETE /auth/tokens/ID/policies/rrsets/ID/";
const TAME: &str = "PATCH /auth/tokens/ID/";

const DRIFTS: [Drift; 11] = [
    Drift {
        what: "a missing row",
        drift: |token| token.policies.retain(|row| row.kind.as_deref() != Some("AAAA")),
        told: &["  + allow AAAA of dev1.dyn.example.com"],
        writes: &[ROW],
    },
    Drift {
        what: "surplus rows",
        drift: |token| {
            let deny = Policy { perm_write: false, ..Policy::allow(ZONE, "www", "AAAA") };
            token.policies.extend([deny, Policy::allow(ZONE, "www", "A")]);
        },
        told: &["  - allow A of www.dyn.example.com", "  - deny AAAA of www.dyn.example.com"],
        writes: &[REMOVE, REMOVE],
    },
    Drift {
        what: "a zone that is allowed",
        drift: |token| token.policies.push(Policy::allow_zone(ZONE)),
        told: &["  - allow any record of any name in dyn.example.com"],
        writes: &[REMOVE],
    },
    Drift {
        what: "a default that allows",
        drift: |token| token.policies[0].perm_write = true,
        told: &["  ~ default: deny everything (was: default: allow everything)"],
        writes: &[CORRECT],
    },
    Drift {
        what: "a denial in the way",
        drift: |token| token.policies[1].perm_write = false,
        told: &["  ~ allow A of dev1.dyn.example.com (was: deny A of dev1.dyn.example.com)"],
        writes: &[CORRECT],
    },
    Drift {
        what: "no policy at all",
        drift: |token| token.policies.clear(),
        told: &[
            "  + default: deny everything",
            "  + allow A of dev1.dyn.example.com",
            "  + allow AAAA of dev1.dyn.example.com",
        ],
        writes: &[ROW, ROW, ROW],
    },
    Drift {
        what: "the right of managing tokens",
        drift: |token| token.perm_manage_tokens = true,
        told: &["  - the right of managing tokens"],
        writes: &[TAME],
    },
    Drift {
        what: "the rights to zones",
        drift: |token| (token.perm_create_domain, token.perm_delete_domain) = (true, true),
        told: &["  - the right of creating zones", "  - the right of deleting zones"],
        writes: &[TAME],
    },
    Drift {
        what: "auto_policy",
        drift: |token| token.auto_policy = true,
        told: &["  - the right of granting itself new zones"],
        writes: &[TAME],
    },
    Drift {
        what: "everything with an open default",
        drift: |token| {
            token.perm_manage_tokens = true;
            token.policies[0].perm_write = true;
            token.policies[1].perm_write = false;
            token.policies.truncate(2);
            token.policies.push(Policy::allow_zone(ZONE));
        },
        told: &[
            "  ~ default: deny everything (was: default: allow everything)",
            "  + allow AAAA of dev1.dyn.example.com",
            "  ~ allow A of dev1.dyn.example.com (was: deny A of dev1.dyn.example.com)",
            "  - allow any record of any name in dyn.example.com",
            "  - the right of managing tokens",
        ],
        writes: &[TAME, CORRECT, ROW, CORRECT, REMOVE],
    },
    Drift { what: "nothing", drift: |_| {}, told: &[], writes: &[] },
];

#[test]
fn whatever_has_drifted_is_told_and_put_right_and_nothing_else_is_sent() {
    let begun = Begun::issued(Api::Current);
    in_parallel(&DRIFTS, |Drift { what, drift, told, writes: expect }| {
        let (sandbox, home) = begun.start();
        let before = the_one(&sandbox);
        assert!(before.policies[0].is_default() && before.policies.len() == 3);
        change(&sandbox, &before.id, drift);
        let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
        let lines: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(lines, *told, "{what}: {ran:?}");
        assert_eq!(writes(&sent), *expect, "{what}");
        assert_right(&sandbox, &home, what);
        let after = the_one(&sandbox);
        assert_eq!((after.id, after.secret), (before.id.clone(), before.secret), "{what}");
        let bodies = bodies(&sandbox, &before.id);
        if expect.contains(&CORRECT) && what.contains("default") || *what == "no policy at all" {
            let default = "{\"domain\":null,\"perm_write\":false,\"subname\":null,\"type\":null}";
            assert_eq!(bodies[0], default, "{what}");
        }
        let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
        assert!(ran.out.contains("nothing to do"), "{what}: {ran:?}");
        assert_eq!(writes(&sent), [""; 0], "{what}");
    });
}

/// What was sent to the policies of the token `id`.
fn bodies(sandbox: &Sandbox, id: &str) -> Vec<String> {
    let path = format!("{TOKENS}{id}/policies/");
    let is_write = |method: &str| ["POST", "PUT", "PATCH"].contains(&method);
    let sent = sandbox.requests().into_iter();
    sent.filter(|request| is_write(&request.method) && request.path.starts_with(&path))
        .map(|request| request.body)
        .collect()
}

#[test]
fn what_has_drifted_at_the_old_server_is_put_right() {
    type Drift = fn(&mut Token);
    let begun = Begun::issued(Api::Legacy);
    let own = "PUT /auth/tokens/ID/policies/domain/dev1.dyn.example.com/";
    let default = "PUT /auth/tokens/ID/policies/domain/default/";
    let cases: [(Drift, &str); 3] = [
        (|token| token.zone_policies[0].perm_rrsets = true, default),
        (|token| token.zone_policies[1].perm_rrsets = true, own),
        (|token| token.zone_policies[1].perm_dyndns = false, own),
    ];
    in_parallel(&cases, |(drift, expect)| {
        let (sandbox, home) = begun.start();
        let before = the_one(&sandbox);
        change(&sandbox, &before.id, drift);
        let (_, sent) = check(&sandbox, &home, ISSUE, 0);
        assert_eq!(writes(&sent), [*expect]);
        assert_eq!(rows(&the_one(&sandbox)), rows(&before));
    });
}

#[test]
fn limits_are_set_at_birth_kept_changed_and_lifted() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let limits = |sandbox: &Sandbox| {
        let token = the_one(sandbox);
        let subnets: Vec<String> = token.allowed_subnets.iter().map(ToString::to_string).collect();
        (token.max_age, token.max_unused_period, subnets.join(" "))
    };
    let given = (Some(DAY * 365), Some(DAY * 30), "192.0.2.0/24".to_owned());
    let everywhere = (None, None, "0.0.0.0/0 ::/0".to_owned());
    let options = ["--max-age", "365d", "--max-unused", "30d", "--allow-subnet", "192.0.2.0/24"];
    let with = |options: &[&'static str]| [ISSUE, options].concat();
    in_parallel(&[false, true], |&later| {
        let (sandbox, home) = desk(Api::Current, DEV1);
        if later {
            check(&sandbox, &home, ISSUE, 0);
            assert_eq!(limits(&sandbox), everywhere);
        }
        let (_, sent) = check(&sandbox, &home, &with(&options), 0);
        assert_eq!(limits(&sandbox), given);
        if later {
            assert_eq!(writes(&sent), [TAME]);
        } else {
            let requests = sandbox.requests();
            let birth = requests.iter().find(|request| request.method == "POST").unwrap();
            assert!(birth.body.contains("\"max_age\":\"365 00:00:00\""), "{birth:?}");
            assert!(birth.body.contains("\"max_unused_period\":\"30 00:00:00\""), "{birth:?}");
            assert!(birth.body.contains("\"allowed_subnets\":[\"192.0.2.0/24\"]"), "{birth:?}");
        }
        // What is not named stays, whether or not it is repeated.
        for command in [ISSUE, &with(&options)] {
            let (ran, sent) = check(&sandbox, &home, command, 0);
            assert_eq!(writes(&sent), [""; 0], "{ran:?}");
            assert!(ran.out.contains("nothing to do"), "{ran:?}");
        }
        let receipt = home.read("token.receipt");
        assert!(receipt.contains("\"192.0.2.0/24\""), "{receipt}");
        // Of one limit that changes the others are not sent.
        let (_, sent) = check(&sandbox, &home, &with(&["--max-age", "400d"]), 0);
        assert_eq!(writes(&sent), [TAME]);
        let requests = sandbox.requests();
        let last = requests.iter().rfind(|request| request.method == "PATCH").unwrap();
        assert!(last.body.contains("\"max_age\":\"400 00:00:00\""), "{last:?}");
        assert!(!last.body.contains("max_unused") && !last.body.contains("subnets"), "{last:?}");
        let lift = ["--max-age", "none", "--max-unused", "none", "--allow-subnet", "any"];
        let (ran, sent) = check(&sandbox, &home, &with(&lift), 0);
        assert!(ran.out.contains("  ~ no limits (was: "), "{ran:?}");
        assert_eq!((writes(&sent), limits(&sandbox)), (vec![TAME], everywhere.clone()));
        let receipt = home.read("token.receipt");
        assert!(receipt.contains("\"max-age\": null"), "{receipt}");
        assert_eq!(rows(&the_one(&sandbox)), NARROW);
    });
}

#[test]
fn limits_that_drifted_are_written_down_and_survive_a_rotation() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    change(&sandbox, &the_one(&sandbox).id, |token| token.max_age = Some(month));
    let (_, sent) = check(&sandbox, &home, ISSUE, 0);
    assert_eq!(writes(&sent), [""; 0]);
    assert!(home.read("token.receipt").contains("\"max-age\": \"30d\""));
    check(&sandbox, &home, ROTATE, 0);
    assert_eq!(the_one(&sandbox).max_age, Some(month));
}

#[test]
fn a_token_whose_time_is_over_is_replaced() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let day = Duration::from_secs(24 * 60 * 60);
    change(&sandbox, &the_one(&sandbox).id, |token| token.max_unused_period = Some(day));
    sandbox.advance(day * 2);
    let (ran, _) = check(&sandbox, &home, ISSUE, 0);
    assert!(ran.out.contains("the token has expired"), "{ran:?}");
    assert_right(&sandbox, &home, "");
}

// Others at work.

#[test]
fn a_row_that_somebody_was_faster_with_is_no_obstacle() {
    let refused =
        || Scripted::answer(Answer::json(409, "{\"detail\":\"Conflict: duplicate key\"}"));
    // The first POST makes the token, the others its rows.
    for nth in [2, 3] {
        let (sandbox, home) = desk(Api::Current, DEV1);
        sandbox.answer_nth(nth, "POST", TOKENS, refused());
        check(&sandbox, &home, ISSUE, 0);
        assert_right(&sandbox, &home, "");
    }
    let begun = Begun::issued(Api::Current);
    for is_sent_first in [true, false] {
        let (sandbox, home) = begun.start();
        let id = the_one(&sandbox).id;
        change(&sandbox, &id, |token| token.policies.truncate(1));
        let policies = format!("{TOKENS}{id}/policies/rrsets/");
        let pause = Scripted::genuine().after(Duration::from_millis(700));
        sandbox.answer_next_at(&policies, pause);
        let run = token_command(&home, ISSUE).spawn().unwrap();
        let is_read = || sandbox.requests().iter().any(|request| request.path == policies);
        wait_until("request", is_read, || format!("{:?}", asked(&sandbox, 0)));
        // One of the two rows, so that the other is still to be sent.
        let kind = if is_sent_first { "A" } else { "AAAA" };
        change(&sandbox, &id, |token| token.policies.push(Policy::allow(ZONE, "dev1", kind)));
        let ran = Ran::from(run.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        let conflicts = sandbox.requests().iter().filter(|r| r.status == Some(409)).count();
        assert_eq!(conflicts, 1, "{:?}", asked(&sandbox, 0));
        assert_right(&sandbox, &home, kind);
    }
}

#[test]
fn a_row_that_went_away_meanwhile_is_made_again() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let id = the_one(&sandbox).id;
    change(&sandbox, &id, |token| token.policies[1].perm_write = false);
    let policies = format!("{TOKENS}{id}/policies/rrsets/");
    sandbox.answer_next_at(&policies, Scripted::genuine().after(Duration::from_millis(700)));
    let run = token_command(&home, ISSUE).spawn().unwrap();
    let is_read = || sandbox.requests().iter().any(|request| request.path == policies);
    wait_until("request", is_read, || format!("{:?}", asked(&sandbox, 0)));
    change(&sandbox, &id, |token| drop(token.policies.remove(1)));
    let ran = Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(writes(&asked(&sandbox, 0)), [CORRECT, ROW]);
    assert_right(&sandbox, &home, "");
}

#[test]
fn tokens_of_the_same_name_are_ended_only_if_nobody_could_miss_them() {
    let name = "homing:dev1.dyn.example.com";
    let make = |secret: &str, policies: Vec<Policy>| Token::restricted(name, secret, policies);
    let mut used = make("used-by-somebody", Vec::new());
    used.last_used = Some(Duration::from_secs(1_785_600_000));
    let allowed = make("never-used-yet", vec![Policy::allow(ZONE, "dev1", "A")]);
    let left = make("left-by-a-run", Vec::new());
    let born_before_the_lock = Token::unrestricted(name, "left-by-an-old-run");
    let others = [used.clone(), allowed.clone()].map(|token| token.id);
    let mut account = account::account(Api::Current);
    account.tokens.extend([used.clone(), left.clone(), allowed, born_before_the_lock]);
    let before = account.tokens.clone();
    let (sandbox, home) = Begun { account, ..Begun::nothing(Api::Current) }.start();
    let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
    for id in &others {
        let told = format!("it is unchanged: `homing token revoke --id {id}` deletes it");
        assert!(ran.out.contains(&told), "{ran:?}");
    }
    assert!(
        ran.out.contains(&format!("- token {}, which an interrupted run has left", left.id)),
        "{ran:?}"
    );
    assert_eq!(sent.iter().filter(|line| line.starts_with("DELETE")).count(), 2);
    let now = sandbox.with_account(|account| account.tokens().to_vec());
    assert_eq!(now.len(), 4, "{now:?}");
    for id in &others {
        let find = |tokens: &[Token]| tokens.iter().find(|token| token.id == *id).cloned().unwrap();
        let (was, is) = (find(&before), find(&now));
        assert_eq!((was.policies, was.last_used), (is.policies, is.last_used));
    }
    let secret = secret(&home);
    assert!(now.iter().any(|token| token.secret == secret && rows(token) == NARROW));

    let (ran, _) = check(&sandbox, &home, &["revoke", "--id", &used.id], 0);
    assert_eq!(ran.out, format!("- token {} \"{name}\"\n", used.id));
    assert_eq!(ours(&sandbox).len(), 2);
    let (ran, sent) = check(&sandbox, &home, &["revoke", "--id", &used.id], 0);
    assert!(ran.out.contains("nothing to do"), "{ran:?}");
    assert_eq!(writes(&sent), [""; 0]);
    assert_updates(&sandbox, &home, "");
}

#[test]
fn of_two_runs_at_once_the_second_is_sent_away() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let directory = File::open(home.path("")).unwrap();
    directory.lock().unwrap();
    let before = files(&home);
    for command in [ISSUE, ROTATE, REVOKE] {
        let (ran, sent) = check(&sandbox, &home, command, 75);
        assert!(ran.err.contains("another `homing token` is at work in "), "{ran:?}");
        assert_eq!(sent, [""; 0]);
    }
    assert_eq!(files(&home), before);
    let (ran, _) = check(&sandbox, &home, &["issue", HOST, "--dry-run"], 0);
    assert!(ran.out.contains("nothing to do"), "a look needs no lock: {ran:?}");
    drop(directory);
    check(&sandbox, &home, ISSUE, 0);
}

// What is lost, damaged or wrong.

#[test]
fn whatever_is_lost_there_is_one_good_token_in_the_end_and_the_reason_is_told() {
    type Loss = fn(&Sandbox, &Home);
    let cases: [(&str, Loss, &str); 4] = [
        (
            "the file",
            |_, home| fs::remove_file(home.path("token")).unwrap(),
            "  the secret is lost: ",
        ),
        ("its content", |_, home| home.write("token", "\n", 0o600), "  the secret is lost: "),
        (
            "another secret",
            |_, home| home.secret("token", "of-somebody-else"),
            "token has another secret than the receipt describes\n",
        ),
        (
            "the token",
            |sandbox, _| sandbox.with_account(|account| account.tokens.truncate(1)),
            "  the token was deleted at the server\n",
        ),
    ];
    let begun = Begun::issued(Api::Current);
    in_parallel(&cases, |(what, lose, told)| {
        let (sandbox, home) = begun.start();
        let old = the_one(&sandbox);
        lose(&sandbox, &home);
        let was_there = !ours(&sandbox).is_empty();
        let (ran, sent) = check(&sandbox, &home, ISSUE, 0);
        assert!(ran.out.contains(told), "{what}: {ran:?}");
        assert!(ran.out.contains("  + token \"homing:dev1.dyn.example.com\"\n"), "{what}: {ran:?}");
        assert_eq!(ran.out.contains(&format!("  - token {}\n", old.id)), was_there, "{what}");
        let last = writes(&sent).last().copied();
        assert_eq!(last == Some("DELETE /auth/tokens/ID/"), was_there, "{what}: {sent:?}");
        assert_ne!(the_one(&sandbox).id, old.id, "{what}");
        assert_right(&sandbox, &home, what);
        assert_updates(&sandbox, &home, what);
    });
}

#[test]
fn without_a_receipt_the_old_token_is_left_alone_and_named() {
    type Loss = fn(&Home);
    let damage: Loss = |home| home.write("token.receipt", "{\"version\": 1, \"id", 0o600);
    let remove: Loss = |home| fs::remove_file(home.path("token.receipt")).unwrap();
    let cases = [(remove, ISSUE), (remove, ROTATE), (damage, ISSUE), (damage, ROTATE)];
    let begun = Begun::issued(Api::Current);
    in_parallel(&cases, |(lose, command)| {
        let (sandbox, home) = begun.start();
        let old = the_one(&sandbox);
        lose(&home);
        let (ran, sent) = check(&sandbox, &home, command, 0);
        let named = format!("`homing token revoke --id {}` deletes it", old.id);
        assert!(ran.out.contains(&named), "{ran:?}");
        assert!(ran.out.contains("! the token in "), "{ran:?}");
        if home.path("token.receipt.damaged").exists() {
            assert!(ran.out.contains("token.receipt is damaged ("), "{ran:?}");
            assert!(home.read("token.receipt.damaged").ends_with("\"id"));
        }
        assert!(!sent.iter().any(|line| line.starts_with("DELETE")), "{sent:?}");
        let left = ours(&sandbox);
        assert_eq!((left.len(), rows(&left[0])), (2, rows(&old)));
        assert_eq!(left[1].secret, secret(&home));
        assert_eq!(rows(&left[1]), NARROW);
        check(&sandbox, &home, &["revoke", "--id", &old.id], 0);
        assert_right(&sandbox, &home, "");
        assert_updates(&sandbox, &home, "");
    });
}

#[test]
fn a_receipt_of_a_later_version_stops_every_command() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    home.write("token.receipt", "{\"version\": 2, \"what\": \"ever\"}", 0o600);
    let before = files(&home);
    for command in [ISSUE, ROTATE, REVOKE] {
        let (ran, sent) = check(&sandbox, &home, command, 78);
        let told = "token.receipt was written by a later version of Homing; install";
        assert!(ran.err.contains(told), "{ran:?}");
        assert_eq!(writes(&sent), [""; 0]);
        assert_eq!(files(&home), before);
    }
    assert_eq!(rows(&the_one(&sandbox)), NARROW);
}

#[test]
fn without_a_good_management_token_nothing_is_sent_or_changed() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let before = files(&home);
    let run = |secret: &str, code: i32, told: &str| {
        let mut command = token_command(&home, ISSUE);
        let ran = Ran::from(command.env("HOMING_MANAGEMENT_TOKEN", secret).output().unwrap());
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(told), "{told} in {ran:?}");
        assert!(secret.is_empty() || !format!("{ran:?}").contains(secret), "{ran:?}");
        assert_eq!(files(&home), before);
    };
    run("", 64, "there is no management token; give --management-token-file FILE, or set");
    // The host's own secret is no management token, and must not be one.
    let own = secret(&home);
    run(&own, 78, "token holds the management token itself; nothing was changed");
    assert_eq!(sandbox.requests().len(), 0);
    run("wrong-one", 77, "the management token is not accepted");
    let narrow = Token::restricted("narrow", "n4rrow", [Policy::allow(ZONE, "x", "A")]);
    sandbox.with_account(|account| account.tokens.push(narrow));
    run("n4rrow", 77, "the management token may not do this");
    assert_eq!(writes(&asked(&sandbox, 0)), [""; 0]);
}

#[test]
fn a_management_token_comes_from_its_file_too() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    home.secret("management", MANAGEMENT);
    let file = home.path("management");
    let command = ["token", "issue", HOST, "--management-token-file", file.to_str().unwrap()];
    let ran = home.run(&command);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::remove_file(file).unwrap();
    assert_right(&sandbox, &home, "");
    assert!(!files(&home).values().any(|text| text.contains(MANAGEMENT)));
}

// Rotate.

#[test]
fn a_rotation_proves_the_new_token_and_ends_the_old_one_last() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let old = the_one(&sandbox);
    let is_last = Scripted::genuine().after(Duration::from_millis(500));
    sandbox.answer_nth(1, "DELETE", TOKENS, is_last);
    let run = token_command(&home, ROTATE).spawn().unwrap();
    let deletes = || sandbox.requests().iter().any(|request| request.method == "DELETE");
    wait_until("DELETE", deletes, || format!("{:?}", asked(&sandbox, 0)));
    let in_place = secret(&home);
    let ran = Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        writes(&asked(&sandbox, 0)),
        [
            "POST /auth/tokens/",
            ROW,
            ROW,
            TAME,
            "PATCH /domains/dyn.example.com/rrsets/",
            "DELETE /auth/tokens/ID/",
        ]
    );
    let new = the_one(&sandbox);
    assert!(new.id != old.id && new.secret == in_place);
    let requests = sandbox.requests();
    let proof = requests
        .iter()
        .find(|request| request.path.ends_with("/rrsets/") && request.method == "PATCH");
    let proof = proof.unwrap();
    assert_eq!((proof.status, proof.token_id.as_ref()), (Some(400), Some(&new.id)));
    assert!(requests.last().unwrap().path.contains(&old.id));
    assert_right(&sandbox, &home, "");
    assert_eq!(sandbox.records(HOST, "A"), [""; 0], "a proof writes nothing");
    assert_updates(&sandbox, &home, "");
}

#[test]
fn a_new_token_that_does_not_prove_good_takes_no_place() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    let (old, before) = (the_one(&sandbox), files(&home));
    let refusal = "{\"detail\":\"Insufficient token permissions.\"}";
    let invalid = "{\"detail\":\"Invalid token.\"}";
    for (answer, code) in [(Answer::json(403, refusal), 77), (Answer::json(401, invalid), 75)] {
        sandbox.answer_nth(1, "PATCH", "/api/v1/domains/", Scripted::answer(answer));
        let (ran, _) = check(&sandbox, &home, ROTATE, code);
        assert!(ran.err.contains("the new token failed its check: "), "{ran:?}");
        let now = "the incomplete token is deleted; the one in use is as it was; run the command";
        assert!(ran.err.contains(now), "{ran:?}");
        assert_eq!(files(&home), before);
        assert_eq!(the_one(&sandbox).id, old.id);
    }
    assert_updates(&sandbox, &home, "");
}

#[test]
fn a_running_daemon_goes_on_with_the_new_token() {
    in_parallel(&[Api::Current, Api::Legacy], |&api| {
        let (sandbox, home) = Begun::issued(api).start();
        let config = home.read("config.toml");
        let config =
            config.replace("static = [\"198.51.100.7\", \"2001:db8::7\"]", "file = \"here\"");
        home.configure(&config.replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
        home.write("here", "198.51.100.7 2001:db8::7\n", 0o600);
        let daemon = home.daemon();
        wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
        daemon.wait_for("updated");
        let old = the_one(&sandbox).id;
        check(&sandbox, &home, ROTATE, 0);
        let new = the_one(&sandbox).id;
        assert_ne!(old, new);
        home.write("here", "198.51.100.8 2001:db8::8\n", 0o600);
        daemon.signal(home::Signal::USR1);
        let is_set = || sandbox.records(HOST, "A") == ["198.51.100.8"];
        wait_until("new address", is_set, || daemon.log());
        let last = sandbox.updates().pop().unwrap();
        assert_eq!((last.status, last.token_id), (Some(200), Some(new)), "{}", daemon.log());
        assert!(!daemon.log().contains("refused"), "{}", daemon.log());
        daemon.signal(home::Signal::TERM);
        assert_eq!(daemon.end().0, 0);
    });
}

#[test]
fn hosts_that_share_a_file_are_rotated_together() {
    let hosts = DEV1.to_owned() + &DEV1.replace("dev1", "www");
    let (sandbox, home) = desk(Api::Current, &hosts);
    check(&sandbox, &home, &["issue", "--all"], 0);
    let old = the_one(&sandbox);
    check(&sandbox, &home, &["rotate", "www.dyn.example.com"], 0);
    let new = the_one(&sandbox);
    assert_ne!(new.id, old.id);
    assert_eq!((rows(&new), new.secret), (rows(&old), secret(&home)));
    assert_eq!(rows(&old).len(), 5);
}

// Revoke.

#[test]
fn revoking_goes_by_the_receipt_and_tells_what_the_file_holds() {
    let begun = Begun::issued(Api::Current);
    let cases = [
        (
            None,
            "token still has the secret that no longer works; remove it, or `homing token \
            issue dev1.",
        ),
        (Some("of-somebody-else"), "token has another secret than the receipt describes; its"),
        (Some(""), ""),
    ];
    in_parallel(&cases, |(content, told)| {
        let (sandbox, home) = begun.start();
        let old = the_one(&sandbox);
        let stranger = Token::unrestricted("stranger", "of-somebody-else");
        sandbox.with_account(|account| account.tokens.push(stranger));
        match content {
            Some("") => fs::remove_file(home.path("token")).unwrap(),
            Some(secret) => home.secret("token", secret),
            None => {}
        }
        let (ran, sent) = check(&sandbox, &home, REVOKE, 0);
        let gone = format!("dev1.dyn.example.com: - token {} \"{}\"\n", old.id, old.name);
        assert!(ran.out.starts_with(&gone) && ran.out.contains(told), "{ran:?}");
        assert_eq!(ran.out.lines().count(), 1 + usize::from(!told.is_empty()), "{ran:?}");
        assert_eq!(writes(&sent), ["DELETE /auth/tokens/ID/"]);
        let left = sandbox.with_account(|account| account.tokens().to_vec());
        let left: Vec<&str> = left.iter().map(|token| token.name.as_str()).collect();
        assert_eq!(left, ["management", "stranger"]);
        let (ran, sent) = check(&sandbox, &home, REVOKE, 0);
        assert!(ran.out.starts_with("dev1.dyn.example.com: nothing to do; its token does not"));
        assert_eq!(writes(&sent), [""; 0], "{ran:?}");
        check(&sandbox, &home, ISSUE, 0);
        assert_right(&sandbox, &home, "");
        assert_updates(&sandbox, &home, "");
    });
}

#[test]
fn without_a_receipt_nothing_is_revoked() {
    let (sandbox, home) = Begun::issued(Api::Current).without("token.receipt").start();
    let (ran, sent) = check(&sandbox, &home, REVOKE, 77);
    assert!(
        ran.err.contains("no receipt beside ")
            && ran
                .err
                .contains("nothing was changed; `homing token audit --all-tokens` shows them all"),
        "{ran:?}"
    );
    assert_eq!(writes(&sent), [""; 0]);
    assert_eq!(rows(&the_one(&sandbox)), NARROW);
}

#[test]
fn what_a_rotation_that_was_cut_has_left_is_revoked_too() {
    let scene = Scene::rotate(Api::Current);
    let (sent, _) = scene.measure();
    let delete = sent.iter().position(|line| line.starts_with("DELETE")).unwrap();
    // With the new token half made, and with the old one still to be deleted.
    for after in [delete - 1, delete] {
        let (sandbox, home) = scene.begun.start();
        sandbox.die_after(after, false);
        check(&sandbox, &home, ROTATE, 75);
        sandbox.revive();
        assert_eq!(ours(&sandbox).len(), 2);
        check(&sandbox, &home, REVOKE, 0);
        assert_eq!(ours(&sandbox).len(), 0, "{after}");
        assert!(!files(&home).keys().any(|name| name.contains(".new")));
    }
}

#[test]
fn a_damaged_receipt_is_told_of_when_it_should_name_what_to_revoke() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    home.write("token.receipt", "{}", 0o600);
    let (ran, sent) = check(&sandbox, &home, REVOKE, 77);
    assert!(ran.out.contains("token.receipt is damaged ("), "{ran:?}");
    assert!(ran.out.contains("; kept as ") && home.path("token.receipt.damaged").exists());
    assert!(ran.err.contains("no receipt beside "), "{ran:?}");
    assert_eq!(writes(&sent), [""; 0]);
}

// Limits and stumbles of the server.

#[test]
fn being_too_fast_is_waited_out_and_not_worth_a_word() {
    let begun = Begun::issued(Api::Current);
    let fast = || {
        let text = "{\"detail\":\"Request was throttled. Expected available in 2 seconds.\"}";
        Scripted::answer(Answer::json(429, text).with("Retry-After", "2"))
    };
    let (sandbox, home) = begun.start();
    let plain = token(&home, ROTATE);
    drop((sandbox, home));
    in_parallel(&[("GET", 1), ("POST", 1), ("POST", 2), ("DELETE", 1)], |&(method, nth)| {
        let (sandbox, home) = begun.start();
        sandbox.answer_nth(nth, method, "/api/v1/", fast());
        let begun = Instant::now();
        let (ran, _) = check(&sandbox, &home, ROTATE, 0);
        assert!(begun.elapsed() > Duration::from_secs(2), "{method} {nth}");
        assert_eq!(sandbox.clear_scripts(), 0);
        assert_eq!(ran.out.lines().count(), plain.out.lines().count(), "{ran:?}");
        assert_eq!(ran.err, "");
        assert_right(&sandbox, &home, method);
    });
}

#[test]
fn after_a_stumble_it_is_said_what_is_not_known_and_the_next_run_cleans_up() {
    let scripts = [Scripted::error_after_commit(), Scripted::lost_answer()];
    let begun = [Begun::nothing(Api::Current), Begun::issued(Api::Current)];
    let cases = [(0, 0), (0, 1), (1, 0), (1, 1)];
    in_parallel(&cases, |&(script, from)| {
        let (script, begun) = (&scripts[script], &begun[from]);
        let is_used = begun.files.contains_key("token");
        let (sandbox, home) = begun.start();
        let before = files(&home);
        sandbox.answer_nth(1, "POST", TOKENS, script.clone());
        let (ran, sent) = check(&sandbox, &home, ROTATE, 75);
        let now = if is_used { ", and the one in use is as it was" } else { "" };
        let told = format!(
            "; it is not known whether a token \"homing:dev1.dyn.example.com\" was made: nobody \
                 has its secret{now}; run the command again: it deletes what was left\n"
        );
        assert!(ran.err.ends_with(&told), "{ran:?}");
        assert_eq!(writes(&sent), ["POST /auth/tokens/"], "never made twice");
        assert_eq!(files(&home), before);
        assert_eq!(ours(&sandbox).len(), 1 + usize::from(is_used));
        let (ran, _) = check(&sandbox, &home, ROTATE, 0);
        assert!(ran.out.contains("which an interrupted run has left"), "{ran:?}");
        assert_right(&sandbox, &home, "");
    });
}

#[test]
fn a_refusal_says_what_the_server_said_and_that_no_token_was_made() {
    let (sandbox, home) = desk(Api::Current, DEV1);
    let answer = Answer::json(400, "{\"name\":[\"Not today.\"]}");
    sandbox.answer_nth(1, "POST", TOKENS, Scripted::answer(answer));
    let (ran, _) = check(&sandbox, &home, ISSUE, 77);
    assert!(ran.err.contains("Not today."), "{ran:?}");
    assert!(ran.err.contains("; no token was made; "), "{ran:?}");
    assert_eq!(files(&home).into_keys().collect::<Vec<_>>(), ["config.toml"]);
}

#[test]
fn a_directory_that_is_not_there_or_that_is_none_costs_no_request() {
    let (sandbox, home) = desk(Api::Current, &DEV1.replace("\"token\"", "\"keys/token\""));
    let (ran, sent) = check(&sandbox, &home, ISSUE, 78);
    assert!(ran.err.contains("`mkdir -p -m 750 ") && ran.err.contains("/keys`"), "{ran:?}");
    assert_eq!(writes(&sent), [""; 0]);
    home.write("keys", "", 0o600);
    let (_, sent) = check(&sandbox, &home, ISSUE, 78);
    assert_eq!(writes(&sent), [""; 0]);
}

// The receipt and the round.

#[test]
fn a_receipt_that_is_still_right_is_confirmed_by_its_time_alone() {
    in_parallel(&[Api::Current, Api::Legacy], |&api| {
        let (sandbox, home) = Begun::issued(api).start();
        let receipt = home.path("token.receipt");
        let hour = Duration::from_secs(60 * 60);
        let past = SystemTime::now() - hour;
        File::options().write(true).open(&receipt).unwrap().set_modified(past).unwrap();
        let before = files(&home);
        let modified = || fs::metadata(&receipt).unwrap().modified().unwrap();
        for command in [&["issue", HOST, "--dry-run"][..], ISSUE] {
            assert!(modified().duration_since(past).unwrap() < hour / 2, "a look moves nothing");
            let (ran, _) = check(&sandbox, &home, command, 0);
            assert!(ran.out.contains("nothing to do"), "{ran:?}");
        }
        assert!(modified().duration_since(past).unwrap() > hour / 2);
        assert_eq!(files(&home), before);
    });
}

#[test]
fn a_park_ends_with_an_issue_that_has_nothing_to_do() {
    let (sandbox, home) = Begun::issued(Api::Current).start();
    home.configure(&home.read("config.toml").replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
    let id = the_one(&sandbox).id;
    let mut taken = Vec::new();
    change(&sandbox, &id, |token| taken = token.policies.split_off(1));
    let round = |code: i32| {
        let before = sandbox.updates().len();
        let ran = home.once();
        assert_eq!(ran.code, code, "{ran:?}");
        sandbox.updates().len() - before
    };
    assert!(round(77) > 0);
    change(&sandbox, &id, |token| token.policies.extend(taken));
    assert_eq!(round(77), 0, "parked");
    let (ran, _) = check(&sandbox, &home, ISSUE, 0);
    assert!(ran.out.contains("nothing to do"), "{ran:?}");
    assert!(round(0) > 0);
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.7"]);
    assert_eq!(sandbox.records(HOST, "AAAA"), ["2001:db8::7"]);
}
