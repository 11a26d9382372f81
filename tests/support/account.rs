//! A sandbox account without host tokens, and a home that holds a management token: where token
//! commands start.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::process::{Command, Stdio};

pub use super::home::DEV1;
use super::home::{Home, Ran};
use super::sandbox::{Account, Api, Received, Sandbox, Token};

/// The secret that the command gets by its environment.
pub const MANAGEMENT: &str = "m4nagement-of-the-account";

/// The zone of [`HOST`] in the current API; in the old one the host is a zone of its own.
pub const ZONE: &str = "dyn.example.com";

/// The host of [`DEV1`].
pub const HOST: &str = "dev1.dyn.example.com";

/// An account with the zone, with a management token, and without limits.
pub fn account(api: Api) -> Account {
    let mut account = Account::new("owner@example.com");
    account.api = api;
    account.throttled = false;
    account.add_zone(ZONE);
    if api == Api::Legacy {
        account.add_zone(HOST);
    }
    account.tokens.push(Token::management("management", MANAGEMENT));
    account
}

/// A sandbox with [`account`], and a home with `hosts` and without any token file.
pub fn desk(api: Api, hosts: &str) -> (Sandbox, Home) {
    let sandbox = Sandbox::start(account(api)).expect("a test's own step works");
    let home = Home::at(&sandbox.url(), hosts);
    std::fs::remove_file(home.path("token")).expect("a test's own step works");
    (sandbox, home)
}

/// `homing token …` with the management token in its environment.
pub fn token_command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(&[&["token"], arguments].concat());
    command.env("HOMING_MANAGEMENT_TOKEN", MANAGEMENT).stdin(Stdio::null());
    command
}

/// Runs [`token_command`] to its end.
pub fn token(home: &Home, arguments: &[&str]) -> Ran {
    token_command(home, arguments).output().expect("a test's own step works").into()
}

/// Runs [`token`], which has to end with `code`, and returns what it asked of the server.
#[track_caller]
pub fn check(sandbox: &Sandbox, home: &Home, arguments: &[&str], code: i32) -> (Ran, Vec<String>) {
    let from = sandbox.requests().len();
    let ran = token(home, arguments);
    let asked = asked(sandbox, from);
    assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}\n{asked:#?}");
    assert!(!format!("{ran:?}").contains(MANAGEMENT), "{ran:?}");
    (ran, asked)
}

/// The tokens of the account that Homing has named.
pub fn ours(sandbox: &Sandbox) -> Vec<Token> {
    let is_ours = |token: &&Token| token.name.starts_with("homing:");
    sandbox.with_account(|account| account.tokens().iter().filter(is_ours).cloned().collect())
}

/// The only token of the account that Homing has named.
#[track_caller]
pub fn the_one(sandbox: &Sandbox) -> Token {
    let mut ours = ours(sandbox);
    assert_eq!(ours.len(), 1, "{ours:?}");
    ours.remove(0)
}

/// Changes the token called `id`.
#[track_caller]
pub fn change(sandbox: &Sandbox, id: &str, change: impl FnOnce(&mut Token)) {
    sandbox.with_account(|account| change(account.token_by_id_mut(id).expect("it is there")));
}

/// What a token may do, one policy a line, sorted.
pub fn rows(token: &Token) -> Vec<String> {
    let any = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
    let word = |may: bool| if may { "allow" } else { "deny" };
    let rows = token.policies.iter().map(|row| {
        let (domain, subname, kind) = (any(&row.domain), any(&row.subname), any(&row.kind));
        format!("{} {domain}/{subname}/{kind}", word(row.perm_write))
    });
    let zones = token.zone_policies.iter().map(|row| {
        let (dyndns, records) = (word(row.perm_dyndns), word(row.perm_rrsets));
        format!("zone {}: {dyndns} dyndns, {records} rrsets", any(&row.domain))
    });
    let mut all: Vec<String> = rows.chain(zones).collect();
    all.sort();
    all
}

/// The requests from the `first` on, as `METHOD /path` below the API; ids are `ID`.
pub fn asked(sandbox: &Sandbox, first: usize) -> Vec<String> {
    sandbox.requests()[first..].iter().map(short).collect()
}

fn short(request: &Received) -> String {
    let is_id = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    let path = request.path.strip_prefix("/api/v1").unwrap_or(&request.path);
    let parts: Vec<&str> =
        path.split('/').map(|part| if is_id(part) { "ID" } else { part }).collect();
    format!("{} {}", request.method, parts.join("/"))
}

/// The requests that are to change something.
pub fn writes(asked: &[String]) -> Vec<&str> {
    let is_read = |line: &&String| line.starts_with("GET ") || line.starts_with("OPTIONS ");
    asked.iter().filter(|line| !is_read(line)).map(String::as_str).collect()
}
