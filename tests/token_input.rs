//! Bad input to `homing token`, and bad answers: each gives words that say what happened, what is
//! true at the server and what to do next, the right exit code, and changes nothing that it must not.
//!
//! [`Scene::check`] is the judge of nearly every test. What `issue`, `rotate` and `revoke` do when
//! all is well stands in `tokens.rs`, what an audit finds in `audit.rs`.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{account, home, sandbox, snapshot};
use account::{DEV1, HOST, MANAGEMENT, ZONE, asked, ours, writes};
use home::{Home, Ran};
use sandbox::{Account, Answer, Api, Sandbox, Scripted, Token};
use snapshot::snapshot;

const ISSUE: &[&str] = &["issue", HOST];
const ROTATE: &[&str] = &["rotate", HOST];
const REVOKE: &[&str] = &["revoke", HOST];
const AUDIT: &[&str] = &["audit", HOST];

/// The commands that change something.
const CHANGING: [&[&str]; 3] = [ISSUE, ROTATE, REVOKE];

const TOKENS: &str = "/api/v1/auth/tokens/";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a command gets the management token.
#[derive(Clone, Copy, Debug)]
enum Given<'a> {
    /// By `--management-token-file`.
    File(&'a str),
    /// Not at all.
    Nothing,
    /// By the environment.
    Variable(&'a str),
}

/// A sandbox and a home with the host [`HOST`], whose token may be issued already.
struct Scene {
    sandbox: Sandbox,
    home: Home,
}

/// What was there after an issue, from which any number of scenes can begin.
struct Issued {
    account: Account,
    url: String,
    files: [String; 2],
}

impl Issued {
    fn new() -> Self {
        let scene = Scene::fresh();
        scene.well(ISSUE);
        let account = scene.sandbox.with_account(|account| account.clone());
        let files = ["token", "token.receipt"].map(|name| scene.home.read(name));
        Self { account, url: scene.sandbox.url(), files }
    }

    /// A server and a home of its own.
    fn scene(&self) -> Scene {
        let scene = Scene::of(self.account.clone(), DEV1);
        scene.home.secret("token", self.files[0].trim());
        let receipt = self.files[1].replace(&self.url, &scene.sandbox.url());
        scene.home.write("token.receipt", &receipt, 0o600);
        scene
    }
}

impl Scene {
    /// Nothing is issued yet.
    fn fresh() -> Self {
        Self::of(account::account(Api::Current), DEV1)
    }

    fn of(account: Account, hosts: &str) -> Self {
        let sandbox = Sandbox::start(account).unwrap();
        let home = Home::at(&sandbox.url(), hosts);
        fs::remove_file(home.path("token")).unwrap();
        home.secret("management", MANAGEMENT);
        Self { sandbox, home }
    }

    fn command(&self, arguments: &[&str], given: Given<'_>) -> Command {
        let mut command = self.home.command(&[&["token"], arguments].concat());
        match given {
            Given::File(name) => {
                command.arg("--management-token-file").arg(self.home.path(name));
            }
            Given::Nothing => {}
            Given::Variable(value) => {
                command.env("HOMING_MANAGEMENT_TOKEN", value);
            }
        }
        command
    }

    /// Runs a command; it must show no secret and leave none where it does not belong.
    #[track_caller]
    fn run(&self, arguments: &[&str], given: Given<'_>) -> Ran {
        let ran = Ran::from(self.command(arguments, given).output().unwrap());
        self.judge(&ran);
        ran
    }

    #[track_caller]
    fn judge(&self, ran: &Ran) {
        let said = format!("{}{}", ran.out, ran.err);
        for accident in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "(os error", "<html"] {
            assert!(!said.contains(accident), "{accident:?} in:\n{said}");
        }
        assert!(!said.contains(MANAGEMENT), "the management token in:\n{said}");
        let tokens = self.sandbox.with_account(|account| account.tokens().to_vec());
        for token in &tokens {
            assert!(!said.contains(&token.secret), "the secret of {} in:\n{said}", token.name);
        }
        let mut files = String::new();
        read_all(&self.home.path(""), &["management"], &mut files);
        assert!(!files.contains(MANAGEMENT), "the management token in:\n{files}");
    }

    /// Runs a command with the good management token, and all has to be well.
    #[track_caller]
    fn well(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments, Given::File("management"));
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:#?}");
        ran
    }

    /// Runs a command that ends with `code`, says `words` on standard error, and changes nothing at
    /// the server and no file; returns what it asked of the server.
    #[track_caller]
    fn check(
        &self,
        arguments: &[&str],
        given: Given<'_>,
        code: i32,
        words: &[&str],
    ) -> (Ran, Vec<String>) {
        let (before, files) = (snapshot(&self.sandbox), self.files());
        let from = self.sandbox.requests().len();
        let ran = self.run(arguments, given);
        assert_eq!(ran.code, code, "{arguments:?} {given:?}: {ran:#?}");
        for word in words {
            assert!(ran.err.contains(word), "{arguments:?}: {word:?} is missing in {ran:#?}");
        }
        assert_eq!(snapshot(&self.sandbox), before, "the server: {arguments:?}: {ran:#?}");
        assert_eq!(self.files(), files, "the files: {arguments:?}: {ran:#?}");
        (ran, asked(&self.sandbox, from))
    }

    /// The token files as they are.
    fn files(&self) -> String {
        ["token", "token.receipt", "token.new", "token.new.receipt"]
            .map(|name| format!("{name}: {}\n", self.home.read(name)))
            .concat()
    }

    fn change_management(&self, change: impl FnOnce(&mut Token)) {
        self.sandbox.with_account(|account| {
            change(account.tokens.iter_mut().find(|token| token.secret == MANAGEMENT).unwrap());
        });
    }

    fn reconfigure(&self, old: &str, new: &str) {
        let config = self.home.read("config.toml");
        assert!(config.contains(old), "{config}");
        self.home.configure(&config.replace(old, new));
    }

    /// The one token that Homing made can write A and AAAA of the host and nothing else, and its
    /// secret is in the file.
    #[track_caller]
    fn assert_right(&self, case: &str) {
        let ours = ours(&self.sandbox);
        assert_eq!(ours.len(), 1, "{case}: {ours:?}");
        let may = |zone: &str, subname: &str, kind: &str| ours[0].may_write(zone, subname, kind);
        assert!(may(ZONE, "dev1", "A") && may(ZONE, "dev1", "AAAA"), "{case}: {ours:?}");
        for (subname, kind) in [("dev1", "TXT"), ("", "NS"), ("*", "A"), ("www", "AAAA")] {
            assert!(!may(ZONE, subname, kind), "{case}: {kind} of {subname}");
        }
        let flags = (ours[0].perm_manage_tokens, ours[0].perm_create_domain, ours[0].auto_policy);
        assert_eq!(flags, (false, false, false), "{case}");
        assert_eq!(self.home.read("token").trim(), ours[0].secret, "{case}");
        let files = self.files();
        assert!(files.contains(&ours[0].id), "{case}: {files}");
        assert!(files.ends_with("token.new: \ntoken.new.receipt: \n"), "{case}: {files}");
    }
}

/// The text of every file below `directory` but those called so.
fn read_all(directory: &Path, except: &[&str], text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, except, text);
        } else if !except.iter().any(|name| path.ends_with(name)) {
            text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
}

/// Does the work for every item at the same time.
fn at_once<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        let runs: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        runs.into_iter().for_each(|run| run.join().unwrap());
    });
}

// The management token.

#[test]
fn a_management_token_that_the_server_does_not_take_is_told() {
    let issued = Issued::new();
    let commands = [ISSUE, ROTATE, REVOKE, AUDIT];
    at_once(&commands, |command| {
        let unknown = issued.scene();
        unknown.home.secret("other", "m4nagement-of-nobody");
        let words = ["the management token is not accepted", "make another one at the provider"];
        let (ran, sent) = unknown.check(command, Given::File("other"), 77, &words);
        assert!(!format!("{ran:?}").contains("of-nobody"), "{ran:?}");
        assert_eq!(sent.len(), 1, "{sent:?}");
        let expired = issued.scene();
        expired.change_management(|token| token.max_age = Some(DAY));
        expired.sandbox.advance(DAY * 400);
        expired.check(command, Given::File("management"), 77, &words);
        let elsewhere = issued.scene();
        elsewhere.change_management(|token| token.allowed_subnets.clear());
        elsewhere.check(command, Given::File("management"), 77, &words);
    });
}

#[test]
fn a_management_token_without_the_right_is_told() {
    let issued = Issued::new();
    at_once(&[ISSUE, ROTATE, REVOKE, AUDIT], |command| {
        let scene = issued.scene();
        scene.change_management(|token| token.perm_manage_tokens = false);
        let words = [
            "the management token may not do this",
            "use a token with the permission to manage tokens",
        ];
        let (ran, _) = scene.check(command, Given::File("management"), 77, &words);
        let says_so = ran.err.contains("nothing was changed") || *command == AUDIT;
        assert!(says_so, "{command:?}: {ran:?}");
    });
}

#[test]
fn a_management_token_of_another_account_is_suspected() {
    let scene = Scene::fresh();
    scene.sandbox.with_account(|account| {
        account.remove_zone(ZONE);
        account.add_zone("another.example");
    });
    for command in [ISSUE, ROTATE] {
        let words = [
            "no zone of this account holds dev1.dyn.example.com",
            "nothing was changed",
            "is this the management token of the right account?",
            "`homing token issue dev1.dyn.example.com --create-domain dyn.example.com`",
        ];
        let (_, sent) = scene.check(command, Given::File("management"), 77, &words);
        assert_eq!(writes(&sent), [""; 0]);
    }
    scene.home.secret("token", "s3cret-of-dev1");
    let ran = scene.run(AUDIT, Given::File("management"));
    assert_ne!(ran.code, 77, "{ran:?}");
    assert!(!ran.out.contains("  narrow"), "{ran:?}");
}

/// Another account has no such token, which says nothing about the one that was to end.
#[test]
fn a_revocation_at_another_account_does_not_call_a_living_token_dead() {
    let scene = Issued::new().scene();
    let path = format!("{TOKENS}{}/", ours(&scene.sandbox)[0].id);
    let unknown = Answer::json(404, "{\"detail\":\"No Token matches the given query.\"}");
    scene.sandbox.answer_next_at(&path, Scripted::answer(unknown));
    let ran = scene.run(REVOKE, Given::File("management"));
    assert_eq!(scene.sandbox.clear_scripts(), 0);
    // What is in the file works as before.
    scene.assert_right("not revoked");
    for claim in ["does not exist any more", "secret that no longer works"] {
        assert!(!format!("{ran:?}").contains(claim), "{ran:?}");
    }
}

#[test]
fn a_management_token_that_a_host_holds_as_well_is_refused() {
    let scene = Scene::fresh();
    let second = DEV1.replace("dev1", "dev2").replace("\"token\"", "\"token2\"");
    let config = scene.home.read("config.toml");
    scene.home.configure(&format!("{config}{second}"));
    scene.home.secret("token2", MANAGEMENT);
    // Also when it is another host than the one that is named, and if the secret is inline.
    for place in ["token2", "the setting of dev2.dyn.example.com"] {
        if place != "token2" {
            fs::remove_file(scene.home.path("token2")).unwrap();
            scene.reconfigure("token-file = \"token2\"", "token-env = \"DEV2\"");
        }
        for command in [ISSUE, ROTATE] {
            let before = snapshot(&scene.sandbox);
            let mut run = scene.command(command, Given::File("management"));
            let ran = Ran::from(run.env("DEV2", MANAGEMENT).output().unwrap());
            assert_eq!(ran.code, 78, "{ran:?}");
            assert!(!format!("{ran:?}").contains(MANAGEMENT), "{ran:?}");
            for word in [
                &*format!("{place} holds the management token itself"),
                "nothing was changed",
                "`homing token issue dev2.dyn.example.com` makes a narrow one",
            ] {
                assert!(ran.err.contains(word), "{word:?} is missing in {ran:?}");
            }
            assert_eq!(snapshot(&scene.sandbox), before);
        }
    }
    assert_eq!(scene.sandbox.requests().len(), 0);
}

#[test]
fn without_a_management_token_it_is_said_how_to_give_one() {
    let scene = Issued::new().scene();
    let words = [
        "there is no management token",
        "give --management-token-file FILE, or set HOMING_MANAGEMENT_TOKEN",
    ];
    for command in CHANGING {
        for given in [Given::Nothing, Given::Variable("")] {
            let (_, sent) = scene.check(command, given, 64, &words);
            assert_eq!(sent, [""; 0]);
        }
    }
}

#[test]
fn a_management_token_that_cannot_be_read_is_told_with_the_fix() {
    let scene = Issued::new().scene();
    scene.home.write("empty", "", 0o600);
    scene.home.write("blank", " \n\n", 0o600);
    scene.home.write("exposed", "m4nagement-exposed", 0o644);
    fs::create_dir(scene.home.path("directory")).unwrap();
    for command in [ISSUE, ROTATE, REVOKE, AUDIT] {
        for (given, words) in [
            (Given::File("missing"), "missing does not exist; put the management token on"),
            (Given::File("empty"), "empty is empty; put the management token on its first line"),
            (Given::File("blank"), "blank is empty; put the management token on its first line"),
            (Given::File("exposed"), "exposed is open to others (0644); run `chmod 6"),
            (Given::File("directory"), "directory is not a regular file; name the file itself"),
            (Given::File("management/x"), "management/x cannot be read"),
            (Given::Variable(" "), "HOMING_MANAGEMENT_TOKEN contains only white space"),
            (Given::Variable("m4nage\nment"), "HOMING_MANAGEMENT_TOKEN contains a line break"),
        ] {
            let (ran, sent) = scene.check(command, given, 78, &[words]);
            assert_eq!(sent, [""; 0], "{given:?}");
            let names = matches!(given, Given::Variable(_)) || ran.err.contains("token-file: ");
            assert!(names, "it is not said what is wrong: {ran:?}");
            assert!(!ran.err.contains("m4nage"), "{ran:?}");
        }
    }
}

/// Whoever writes the token where its file belongs must not read it again in a log.
#[test]
fn a_management_token_in_place_of_its_file_is_not_repeated() {
    let scene = Scene::fresh();
    let mut command = scene.home.command(&["token", "issue", HOST]);
    command.args(["--management-token-file", "m4nagementTokenWithoutAnyDash"]);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("give the name of a file, not the token itself"), "{ran:?}");
    assert!(!ran.err.contains("m4nagement"), "{ran:?}");
}

#[test]
fn a_management_token_by_the_environment_does_everything_and_stays_nowhere() {
    let scene = Scene::fresh();
    for (command, told) in [
        (&["issue", HOST, "-vvv"][..], "done; its token is narrow"),
        (&["rotate", HOST, "-vvv"], "done; its token is narrow"),
        (&["audit", HOST, "-vvv"], "1 token: 1 narrow"),
        (&["revoke", HOST, "-vvv"], "- token "),
    ] {
        let ran = scene.run(command, Given::Variable(MANAGEMENT));
        assert_eq!(ran.code, 0, "{command:?}: {ran:#?}");
        assert!(ran.out.contains(told), "{command:?}: {ran:#?}");
    }
    assert_eq!(ours(&scene.sandbox).len(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn no_process_shows_a_secret_in_its_arguments() {
    let scene = Scene::fresh();
    scene.sandbox.answer_next_at(TOKENS, Scripted::genuine().after(Duration::from_secs(1)));
    let run = scene.command(ISSUE, Given::File("management")).spawn().unwrap();
    home::wait_until("request", || !scene.sandbox.requests().is_empty(), String::new);
    let arguments = fs::read(format!("/proc/{}/cmdline", run.id())).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    let ran = Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(arguments.contains("issue") && !arguments.contains(MANAGEMENT), "{arguments:?}");
}

// Zones.

#[test]
fn a_zone_is_registered_where_none_holds_the_host() {
    let scene = Scene::fresh();
    scene.sandbox.with_account(|account| account.remove_zone(ZONE));
    let command = ["issue", HOST, "--create-domain", ZONE];
    let (ran, sent) = scene.check(
        &["issue", HOST, "--create-domain", ZONE, "--dry-run"],
        Given::File("management"),
        0,
        &[],
    );
    assert!(ran.out.contains("+ zone dyn.example.com"), "{ran:?}");
    assert_eq!(writes(&sent), [""; 0]);
    let ran = scene.well(&command);
    assert!(ran.out.contains("dyn.example.com is registered"), "{ran:?}");
    assert!(ran.out.contains("  dyn.example.com. IN DS "), "{ran:?}");
    assert!(!ran.out.contains(" moves from "), "{ran:?}");
    scene.assert_right("registered");
    let (ran, sent) = scene.check(&command, Given::File("management"), 0, &[]);
    assert!(ran.out.contains("nothing to do") && !ran.out.contains("+ zone"), "{ran:?}");
    assert_eq!(writes(&sent), [""; 0]);
}

#[test]
fn names_that_move_into_a_new_zone_are_told_before() {
    let scene = Issued::new().scene();
    scene.sandbox.with_account(|account| {
        account.set_records(HOST, "A", &["192.0.2.1"], 3600);
        account.set_records("a.dev1.dyn.example.com", "TXT", &["\"x\""], 3600);
        account.set_records("notdev1.dyn.example.com", "A", &["192.0.2.2"], 3600);
    });
    let command = ["issue", HOST, "--create-domain", HOST];
    let dry = [&command[..], &["--dry-run"]].concat();
    let (told, _) = scene.check(&dry, Given::File("management"), 0, &[]);
    let done = scene.well(&command);
    for ran in [told, done] {
        for name in [HOST, "a.dev1.dyn.example.com"] {
            let line = format!("! {name} moves from dyn.example.com into the new zone");
            assert!(ran.out.contains(&line), "{line:?} is missing in {ran:?}");
        }
        assert!(!ran.out.contains("notdev1"), "{ran:?}");
    }
    let token = &ours(&scene.sandbox)[0];
    assert!(token.may_write(HOST, "", "A") && !token.may_write(ZONE, "dev1", "A"), "{token:?}");
    scene.well(AUDIT);
}

#[test]
fn a_zone_that_the_host_is_not_in_is_refused() {
    let scene = Scene::fresh();
    for zone in ["other.example", "ev1.dyn.example.com", "x.dev1.dyn.example.com"] {
        let words = ["none of the hosts is", "name the host itself, or a domain that it ends in"];
        let command = ["issue", HOST, "--create-domain", zone];
        let (_, sent) = scene.check(&command, Given::File("management"), 64, &words);
        assert_eq!(sent, [""; 0]);
    }
}

#[test]
fn a_zone_that_may_not_be_registered_leaves_everything_as_it_was() {
    let scene = Scene::fresh();
    scene.change_management(|token| token.perm_create_domain = false);
    scene.sandbox.with_account(|account| account.remove_zone(ZONE));
    let command = ["issue", HOST, "--create-domain", ZONE];
    let words =
        ["may not do this", "nothing was changed", "for --create-domain, to create domains"];
    scene.check(&command, Given::File("management"), 77, &words);
    // A number of zones that is used up is another refusal.
    scene.change_management(|token| token.perm_create_domain = true);
    scene.sandbox.with_account(|account| account.limit_domains = Some(0));
    scene.check(&command, Given::File("management"), 77, &["nothing was changed"]);
}

#[test]
fn a_host_with_an_alias_gets_its_token_with_a_note() {
    let scene = Scene::fresh();
    scene.sandbox.with_account(|a| a.set_records(HOST, "CNAME", &["www.example.org."], 3600));
    let ran = scene.well(ISSUE);
    assert!(ran.out.contains("note: dev1.dyn.example.com has a CNAME record"), "{ran:?}");
    assert!(ran.out.contains("delete the CNAME"), "{ran:?}");
    scene.assert_right("with an alias");
    scene.well(ROTATE);
    scene.assert_right("rotated with an alias");
}

#[test]
fn a_zone_that_is_registered_below_takes_the_rows_with_it() {
    let scene = Issued::new().scene();
    scene.sandbox.with_account(|account| account.add_zone(HOST));
    let ran = scene.run(&["audit", HOST, "--json"], Given::File("management"));
    assert!(ran.out.contains("\"lacks\""), "{ran:?}");
    let ran = scene.well(ISSUE);
    assert!(ran.out.contains("+ allow A of dev1.dyn.example.com itself"), "{ran:?}");
    let token = &ours(&scene.sandbox)[0];
    assert_eq!(token.secret, scene.home.read("token").trim(), "the same token");
    assert!(token.may_write(HOST, "", "AAAA") && !token.may_write(ZONE, "dev1", "A"), "{token:?}");
    assert!(scene.well(AUDIT).out.contains("1 token: 1 narrow"));
}

// Hosts and their files.

#[test]
fn an_unknown_host_is_told_with_the_nearest_known_one() {
    let scene = Scene::fresh();
    for action in ["issue", "rotate", "revoke", "audit"] {
        for (name, words) in [
            ("dev.dyn.example.com", "did you mean dev1.dyn.example.com?"),
            ("nothing.like.it.example", "add a [[host]] with its provider and token-file to"),
        ] {
            let told = format!(" has no host {name}");
            let words = [&*told, words];
            let (_, sent) = scene.check(&[action, name], Given::File("management"), 64, &words);
            assert_eq!(sent, [""; 0]);
        }
    }
}

#[test]
fn a_provider_without_tokens_is_told() {
    let scene = Scene::fresh();
    let other = "[[host]]\nname = \"dev2.example.org\"\nprovider = \"dyndns2\"\n\
                 username = \"u\"\npassword-file = \"token\"\n";
    scene.home.secret("password", "s3cret");
    let other = other.replace("\"dyndns2\"", "\"old\"").replace("\"token\"", "\"password\"");
    let provider = "[provider.old]\nprotocol = \"dyndns2\"\nserver = \"https://old.example\"\n\n";
    let config = scene
        .home
        .read("config.toml")
        .replace("[source.here]", &format!("{provider}[source.here]"));
    scene.home.configure(&format!("{config}{other}"));
    for action in ["issue", "rotate", "revoke", "audit"] {
        let words = ["for which Homing cannot make tokens", "`homing providers old` shows"];
        let command = [action, "dev2.example.org"];
        let (_, sent) = scene.check(&command, Given::File("management"), 64, &words);
        assert_eq!(sent, [""; 0]);
    }
    let only = config.split("[[host]]").next().unwrap();
    scene.home.configure(&format!("{only}{other}"));
    for command in [["issue", "--all"], ["audit", "--all-tokens"]] {
        let words = ["no host of the configuration is at a provider that has tokens"];
        scene.check(&command, Given::File("management"), 64, &words);
    }
}

#[test]
fn hosts_of_two_servers_are_not_served_by_one_management_token() {
    let scene = Scene::fresh();
    let provider = "[provider.other]\nprotocol = \"desec\"\nserver = \"http://127.0.0.1:9\"\n\n";
    let second = DEV1.replace("dev1", "dev2").replace("\"sandbox\"", "\"other\"");
    let config = scene
        .home
        .read("config.toml")
        .replace("[source.here]", &format!("{provider}[source.here]"));
    scene.home.configure(&format!("{config}{}", second.replace("\"token\"", "\"token2\"")));
    let words = ["are at two servers", "name the hosts of one server"];
    for command in [["issue", "--all"], ["rotate", "--all"]] {
        let (_, sent) = scene.check(&command, Given::File("management"), 64, &words);
        assert_eq!(sent, [""; 0]);
    }
}

#[test]
fn a_token_that_does_not_stand_in_a_file_cannot_be_issued() {
    let scene = Scene::fresh();
    scene.reconfigure("token-file = \"token\"", "token-env = \"DEV1_TOKEN\"");
    for command in CHANGING {
        let words = ["is not in a file", "write token-file in its [[host]]"];
        let (_, sent) = scene.check(command, Given::File("management"), 78, &words);
        assert_eq!(writes(&sent), [""; 0]);
    }
}

#[test]
fn a_file_that_cannot_be_made_costs_no_token() {
    let scene = Scene::fresh();
    scene.home.write("plain", "", 0o600);
    let mut cases = vec![
        ("keys/token", "`mkdir -p -m 750 "),
        ("plain/token", "plain/token cannot be made: "),
        ("config.toml/", "config.toml"),
    ];
    if cfg!(target_os = "linux") {
        // A directory in which even root makes no file.
        cases.push(("/proc/token", "/proc/token"));
    }
    let mut file = "token".to_owned();
    for (path, words) in cases {
        scene.reconfigure(&format!("\"{file}\""), &format!("\"{path}\""));
        path.clone_into(&mut file);
        for command in [ISSUE, ROTATE] {
            let (ran, sent) = scene.check(command, Given::File("management"), 78, &[words]);
            assert_eq!(writes(&sent), [""; 0], "{path}: {ran:?}");
        }
    }
}

#[test]
fn a_missing_token_is_told_with_the_command_that_makes_one() {
    let scene = Scene::fresh();
    let words = ["there is no token in ", "`homing token issue dev1.dyn.example.com` makes one"];
    scene.check(AUDIT, Given::Nothing, 78, &words);
    scene.check(AUDIT, Given::File("management"), 78, &words);
    let words = ["no receipt beside ", "nothing was changed", "`homing token revoke --id ID`"];
    scene.check(REVOKE, Given::File("management"), 77, &words);
    assert_eq!(scene.home.run(&["token", "revoke", "--id", "../x"]).code, 64);
}

// What a server may answer instead.

/// The answers that make no sense.
fn nonsense() -> [(&'static str, Scripted); 7] {
    let moved = Answer::empty(301).with("Location", "/api/v1/elsewhere/");
    [
        ("a page", Scripted::answer(Answer::nginx(200))),
        ("a page that is not there", Scripted::answer(Answer::no_such_page())),
        ("a redirect", Scripted::answer(moved)),
        ("500", Scripted::answer(Answer::json(500, "{\"detail\":\"We are on it.\"}"))),
        ("502", Scripted::answer(Answer::nginx(502))),
        ("half of it", Scripted::answer(Answer::json(200, "[{\"id\": \"6be0a87c-"))),
        ("nothing", Scripted::dropped()),
    ]
}

/// A run meets each nonsense at each of its requests; then another one ends well.
#[track_caller]
fn check_nonsense(issued: Option<&Issued>, command: &[&str]) {
    let nonsense = nonsense();
    let all_is_well = issued.map_or_else(Scene::fresh, Issued::scene);
    all_is_well.well(command);
    let requests = all_is_well.sandbox.requests();
    assert!(requests.len() > 8, "{requests:?}");
    // Half of a yes to a request to delete is a yes.
    let is_yes =
        |place: usize, what: &str| what == "half of it" && requests[place].method == "DELETE";
    let places = 0..requests.len();
    let jobs =
        places.flat_map(|place| nonsense.iter().map(move |(what, script)| (place, *what, script)));
    let jobs: Vec<_> = jobs.filter(|(place, what, _)| !is_yes(*place, what)).collect();
    at_once(&jobs, |(place, what, script)| {
        let scene = issued.map_or_else(Scene::fresh, Issued::scene);
        for _ in 0..*place {
            scene.sandbox.answer_next_at("/api/v1/", Scripted::genuine());
        }
        scene.sandbox.answer_next_at("/api/v1/", (*script).clone());
        let case = format!("{what} in place {place} of {command:?}");
        let ran = scene.run(command, Given::File("management"));
        let case = format!("{case}: {ran:#?}\n{:#?}", asked(&scene.sandbox, 0));
        assert_eq!(scene.sandbox.clear_scripts(), 0, "it was not met: {case}");
        assert!([0, 75, 77].contains(&ran.code), "{case}");
        // What changes nothing is asked again once, and then it is well.
        assert_eq!(ran.code == 0, ran.err.is_empty(), "{case}");
        if ran.code != 0 {
            let is = |words: &&str| ran.err.contains(*words);
            let next = ["run the command again", "change what the server", "which deletes it"];
            let now = [
                "nothing was changed",
                "no token was made",
                "it is not known whether",
                "the incomplete token is deleted",
                "is incomplete",
                "the old one (",
                "the token may be between",
            ];
            assert!(now.iter().any(is), "what is true at the server? {case}");
            assert!(next.iter().any(is), "what is to be done? {case}");
        }
        let elsewhere = |request: &String| request.contains("elsewhere");
        assert!(!asked(&scene.sandbox, 0).iter().any(elsewhere), "a redirect was followed: {case}");
        if issued.is_some() {
            // Whatever happened, the host goes on.
            let secret = scene.home.read("token");
            let may = scene.sandbox.with_account(|account| {
                let own = account.tokens().iter().find(|token| token.secret == secret.trim());
                own.is_some_and(|token| token.may_write(ZONE, "dev1", "A"))
            });
            assert!(may, "{case}");
        }
        let again = scene.run(command, Given::File("management"));
        assert_eq!(again.code, 0, "{case}\n{again:#?}");
        scene.assert_right(&case);
    });
}

#[test]
fn nonsense_in_answer_to_any_request_of_an_issue_is_told_and_repaired() {
    check_nonsense(None, ISSUE);
}

#[test]
fn nonsense_in_answer_to_any_request_of_a_rotation_is_told_and_repaired() {
    check_nonsense(Some(&Issued::new()), ROTATE);
}

#[test]
fn nonsense_in_answer_to_a_revocation_is_told() {
    let issued = Issued::new();
    let nonsense = nonsense();
    let places = [1, 2].iter();
    let jobs = places.flat_map(|place| nonsense.iter().map(move |answer| (*place, answer)));
    // Half of a yes to a request to delete is a yes.
    let jobs: Vec<_> =
        jobs.filter(|(place, (what, _))| (*place, *what) != (2, "half of it")).collect();
    at_once(&jobs, |(place, (what, script))| {
        let scene = issued.scene();
        for _ in 1..*place {
            scene.sandbox.answer_next_at("/api/v1/", Scripted::genuine());
        }
        scene.sandbox.answer_next_at("/api/v1/", script.clone());
        let ran = scene.run(REVOKE, Given::File("management"));
        let mut case = String::new();
        writeln!(case, "{what} in place {place}: {ran:#?}").unwrap();
        let is_left = !ours(&scene.sandbox).is_empty();
        assert_eq!(ran.code == 0, !is_left, "{case}");
        if is_left {
            assert_eq!(ran.code, 75, "{case}");
            assert!(ran.err.contains("run the command again"), "{case}");
            let now = ["nothing was changed", "may still be there"];
            assert!(now.iter().any(|words| ran.err.contains(words)), "{case}");
            assert_eq!(scene.run(REVOKE, Given::File("management")).code, 0, "{case}");
        }
        assert_eq!(ours(&scene.sandbox).len(), 0, "{case}");
    });
}

#[test]
fn a_list_that_leads_in_a_circle_ends() {
    const PATIENCE: Duration = Duration::from_secs(20);
    at_once(&[ISSUE, AUDIT], |command| {
        let scene = Issued::new().scene();
        for page in 0..200 {
            let next =
                format!("<{}{TOKENS}?cursor=p{}>; rel=\"next\"", scene.sandbox.url(), page % 2);
            let answer = Answer::json(200, "[]").with("Link", &next);
            scene.sandbox.answer_next_at(TOKENS, Scripted::answer(answer));
        }
        let begun = Instant::now();
        let mut run = scene.command(command, Given::File("management")).spawn().unwrap();
        while run.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        let is_over = run.try_wait().unwrap().is_some();
        run.kill().unwrap();
        let ran = Ran::from(run.wait_with_output().unwrap());
        let asked = scene.sandbox.requests().len();
        assert!(is_over, "it goes on after {asked} requests in {PATIENCE:?}: {ran:?}");
        assert_eq!(ran.code, 75, "{ran:?}");
        assert!(ran.err.contains("in a circle"), "{ran:?}");
        scene.judge(&ran);
    });
}
