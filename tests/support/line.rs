//! A sandbox account and a daemon that follows the line of its namespace; needs `home`, `netns` and
//! `sandbox` beside it.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use super::home::{Daemon, Home, Signal, wait_until};
use super::netns::ip;
use super::sandbox::{Account, Role, Sandbox};

/// The name that the daemon keeps.
pub const HOST: &str = "dev1.dyn.example.com";

/// Both families from the interface `wan`.
pub const FROM_WAN: &str = "ipv4 = \"wan\"\nipv6 = \"wan\"";

/// IPv4 alone from there.
pub const IPV4_FROM_WAN: &str = "ipv4 = \"wan\"\nipv6 = \"off\"";

/// A daemon, its provider, and what it has done.
pub struct Line {
    pub daemon: Daemon,
    pub home: Home,
    pub sandbox: Sandbox,
}

/// A sandbox without limits of pace, on loopback and on every address of this namespace.
pub fn sandbox() -> Sandbox {
    ip("link set lo up");
    let mut account = Account::new("owner@example.com");
    account.throttled = false;
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &[HOST]).expect("a test's own step works");
    let mut sandbox = Sandbox::unbound(account);
    let anywhere = ([0, 0, 0, 0], 0).into();
    sandbox.listen(Role::Api, anywhere).expect("a test's own step works");
    sandbox
}

/// A home whose host takes its addresses from `source`, with more lines for `[daemon]` and for the
/// provider's entry, which leads to `sandbox` unless it names a server.
pub fn home(sandbox: &Sandbox, daemon: &str, provider: &str, source: &str) -> Home {
    let server = format!("server = \"{}\"", sandbox.url().replace("0.0.0.0", "127.0.0.1"));
    let server = if provider.contains("server = ") { "" } else { &server };
    let home = Home::new(&format!(
        "[daemon]\nstate-dir = \"state\"\n{daemon}\n\n\
         [provider.sandbox]\nprotocol = \"desec\"\npace = \"off\"\n{server}\n{provider}\n\n\
         [source.wan]\ninterface = \"wan\"\nallow-private = true\n\n\
         [[host]]\nname = \"{HOST}\"\nprovider = \"sandbox\"\ntoken-file = \"token\"\n{source}\n"
    ));
    home.secret("token", "s3cret-of-dev1");
    home
}

impl Line {
    /// A daemon whose host takes its addresses from `source`.
    pub fn start(source: &str) -> Self {
        Self::at(sandbox(), "", "", source)
    }

    /// The same, in the home of [`home`].
    pub fn at(sandbox: Sandbox, daemon: &str, provider: &str, source: &str) -> Self {
        let home = home(&sandbox, daemon, provider, source);
        let daemon = home.daemon();
        daemon.wait_for("started");
        Self { daemon, home, sandbox }
    }

    /// The values of the host's A record, then those of its AAAA record.
    pub fn records(&self) -> [Vec<String>; 2] {
        ["A", "AAAA"].map(|kind| self.sandbox.records(HOST, kind))
    }

    /// How many rounds have begun.
    pub fn rounds(&self) -> usize {
        self.daemon.log().matches("a round begins").count()
    }

    /// Waits for the update number `count`, and checks that it is the last one.
    #[track_caller]
    pub fn expect_updates(&self, count: usize) {
        let updates = || self.sandbox.updates();
        wait_until(&format!("update {count}"), || updates().len() >= count, || self.daemon.log());
        self.ask_for_a_round();
        assert_eq!(updates().len(), count, "{:#?}\n{}", updates(), self.daemon.log());
    }

    /// Asks for a round and waits for its end: whatever was to be done is done then.
    #[track_caller]
    pub fn ask_for_a_round(&self) {
        let begun = self.rounds();
        self.daemon.signal(Signal::USR1);
        self.daemon.wait_until("the round asked for", |log| {
            let rounds = log.matches("a round begins").count();
            rounds > begun && log.matches("the round is over").count() == rounds
        });
    }

    /// Checks that what the daemon shows stands for the exit code `code`.
    #[track_caller]
    pub fn expect_status(&self, code: i32) {
        let ran = self.home.run(&["status"]);
        assert_eq!(ran.code, code, "{ran:?}\n{}", self.daemon.log());
    }
}
