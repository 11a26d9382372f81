//! What the tests of `homing token` share where a provider makes one credential for each host: a home with
//! the management credential, the commands, and what holds at each of these providers.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::process::Stdio;

use super::home::{Home, Ran};
use super::in_parallel;
use super::sandbox::services::{Played, Received, Service, setup};

pub const HOST: &str = "dev1.example.com";
pub const ISSUE: &[&str] = &["issue", HOST];
pub const ROTATE: &[&str] = &["rotate", HOST];
pub const REVOKE: &[&str] = &["revoke", HOST];
pub const AUDIT: &[&str] = &["audit", HOST];

/// The file of the management credential.
pub const MANAGEMENT: &str = "management";

/// A host with both families.
pub const DEV1: &str = "[[host]]\nname = \"dev1.example.com\"\nprovider = \"trial\"\n\
    token-file = \"token\"\nipv4 = \"here\"\nipv6 = \"here\"\n";

/// A configuration of `hosts` at the built-in `provider`, whose API is at `api_url`.
pub fn configuration(provider: &str, api_url: &str, hosts: &str) -> String {
    format!(
        "[provider.trial]\nextends = \"{provider}\"\napi-url = \"{api_url}\"\n\n\
         [source.here]\nstatic = [\"203.0.113.7\", \"2001:db8::7\"]\nallow-private = true\n\n{hosts}"
    )
}

/// `homing token …` at `home` with the management credential, which is that of `login` where `service`
/// wants one.
pub fn managed(home: &Home, service: Service, login: &str, arguments: &[&str]) -> Ran {
    let file = home.path(MANAGEMENT).display().to_string();
    let management = setup::management(service, login, &file);
    let management: Vec<&str> = management.iter().map(String::as_str).collect();
    let mut command = home.command(&[&["token"], arguments, &management[..]].concat());
    command.stdin(Stdio::null()).output().unwrap().into()
}

/// A service that makes credentials, with its account and a home that manages it.
pub trait TokenDesk {
    /// The file of the host's credential.
    const FILE: &'static str;

    fn home(&self) -> &Home;

    fn played(&self) -> &Played;

    /// What a request asks for, in a word or two.
    fn name_of(request: &Received) -> String;

    /// Those of `asked` that change something in the account.
    fn writes(asked: &[String]) -> Vec<&str>;

    /// How many credentials, or holders of some, there are beside the management credential.
    fn count(&self) -> usize;

    /// The login of the management credential, where there is one.
    fn login(&self) -> String {
        self.played().with_world(|world| world.login.clone())
    }

    /// The secret of the management credential.
    fn secret(&self) -> String {
        self.played().with_world(|world| world.secret.clone())
    }

    /// What no run may show.
    fn secrets(&self) -> Vec<String> {
        vec![self.secret()]
    }

    /// `homing token …` with the management credential.
    fn run(&self, arguments: &[&str]) -> Ran {
        let service = self.played().with_world(|world| world.service);
        let ran = managed(self.home(), service, &self.login(), arguments);
        for secret in self.secrets() {
            assert!(!format!("{ran:?}").contains(&secret), "{ran:?}");
        }
        ran
    }

    /// Runs [`Self::run`], which has to end with `code`, and returns what was asked for.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32) -> (Ran, Vec<String>) {
        let from = self.played().requests().len();
        let ran = self.run(arguments);
        let asked = self.asked(from);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}\n{asked:#?}");
        (ran, asked)
    }

    /// What the requests from the `first` on asked for.
    fn asked(&self, first: usize) -> Vec<String> {
        self.played().requests()[first..].iter().map(Self::name_of).collect()
    }

    /// The file of the credential and that of its receipt.
    fn kept(&self) -> [String; 2] {
        [self.home().read(Self::FILE), self.home().read(&receipt(Self::FILE))]
    }

    /// The file holds `credential` and the receipt its `id`, and nothing is left of a run that was cut.
    #[track_caller]
    fn assert_kept(&self, credential: &str, id: &str, case: &str) {
        let [file, receipt_text] = self.kept();
        assert_eq!(file, credential, "{case}");
        assert!(receipt_text.contains(id), "{case}");
        let new = format!("{}.new", Self::FILE);
        assert!(!self.home().path(&new).exists(), "{case}");
        assert!(!self.home().path(&receipt(&new)).exists(), "{case}");
    }

    /// `homing --once` sets the host's addresses with the credential in the file.
    #[track_caller]
    fn assert_updates(&self, case: &str) {
        let from = self.played().requests().len();
        let ran = self.home().once();
        assert_eq!(ran.code, 0, "{case}: {ran:?}\n{:?}", self.asked(from));
        assert_eq!(self.played().values(HOST, "A"), ["203.0.113.7"], "{case}");
        assert_eq!(self.played().values(HOST, "AAAA"), ["2001:db8::7"], "{case}");
    }

    /// After `issue` neither another one, nor one without its limits, a dry run or an audit changes anything.
    #[track_caller]
    fn assert_issued_once(&self, issue: &[&str]) {
        self.check(issue, 0);
        let before = self.kept();
        for command in [issue, ISSUE, &[ISSUE, &["--dry-run"]].concat()] {
            let (ran, asked) = self.check(command, 0);
            assert_eq!(Self::writes(&asked), [""; 0], "{command:?}");
            assert!(ran.out.contains("nothing to do"), "{}", ran.out);
            assert_eq!(self.kept(), before);
        }
        self.check(AUDIT, 0);
        let (_, asked) = self.check(ISSUE, 0);
        assert_eq!(Self::writes(&asked), [""; 0], "after an audit");
    }
}

fn receipt(file: &str) -> String {
    format!("{file}.receipt")
}

/// Ends `homing token revoke` after each of its requests at a `new` desk; the next run completes it.
pub fn cut_revocations<D: TokenDesk>(new: impl Fn() -> D + Sync) {
    let measured = new();
    measured.check(ISSUE, 0);
    let (_, asked) = measured.check(REVOKE, 0);
    let cuts: Vec<_> = (0..asked.len()).flat_map(|at| [(at, false), (at, true)]).collect();
    in_parallel(&cuts, |&(after, performed_last)| {
        let case = format!("cut after {after} of {asked:?}, {performed_last}");
        let desk = new();
        desk.check(ISSUE, 0);
        desk.played().die_after(after, performed_last);
        let ran = desk.run(REVOKE);
        assert!([0, 75].contains(&ran.code), "{case}: {ran:?}");
        desk.played().revive();
        let ran = desk.run(REVOKE);
        assert_eq!((ran.code, desk.count()), (0, 0), "{case}: {ran:?}");
    });
}
