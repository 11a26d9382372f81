//! The token side: issue, audit, rotate and revoke tokens that can do one job and nothing else.
//!
//! Uses configuration, the account's API and the core; of daemon and rounds it knows only the
//! receipts that it leaves beside the token files. What the tokens should be is decided in
//! `core::token`; here it is asked for, sent and shown, in an order in which a cut after any request
//! leaves no token that can write more than its rows.

mod desec;
mod files;
mod holder;
mod key;
mod management;
mod progress;
mod proof;
mod rails;
mod show;
mod styled;
mod subject;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use self::files::TokenFile;
use self::holder::Holder;
use self::progress::Progress;
use crate::cli::{TokenAction, TokenCommand};
use crate::config::secret as secrets;
use crate::config::{Config, HostConfig, SecretPlace};
use crate::core::outcome::Rejection;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::exit::Exit;
use crate::net::http::Clients;
use crate::os::clock;
use crate::os::say::err;
use crate::provider::Trouble;
use crate::provider::desec::Account;
use crate::receipt::with_ending;

/// Why something could not be done: what happened, what is true at the server now, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    exit: Exit,
    what: String,
    now: Option<String>,
    next: String,
}

/// How long a command waits for the account's limits in one go: the hour's limit can take that.
const PATIENCE: Duration = Duration::from_secs(65 * 60);

/// Runs one token command; `verbosity` is how often `-v` was given, less how often `-q`.
pub async fn run(config: &Config, command: &TokenCommand, verbosity: i8) -> Exit {
    let quiet = verbosity < 0;
    let told = |failure: Failure| {
        failure.tell(None);
        failure.exit
    };
    let parts = match parts(config, command) {
        Ok(parts) => parts,
        Err(failure) => return told(failure),
    };
    if command.action == TokenAction::Audit {
        let mut exit = Exit::Right;
        let mut audited = Vec::new();
        let mut any = false;
        for (issuer, part) in &parts {
            let judged = match issuer {
                Issuer::NameServer => key::audit::of_keys(config, part, quiet).await,
                Issuer::Rails => rails::of_tokens(config, part).await,
                Issuer::Account => desec::audit::of_tokens(config, part, quiet).await,
            };
            match judged {
                Ok((code, found)) => {
                    exit = exit.max(code);
                    audited.extend(found);
                    any = true;
                }
                Err(failure) => exit = exit.max(told(failure)),
            }
        }
        if any {
            show::tell(&audited, command.json, verbosity > 0);
        }
        return exit;
    }
    let mut exit = Exit::Right;
    for (issuer, part) in &parts {
        let done = match (issuer, part.action) {
            (Issuer::NameServer, _) => key::run(config, part).await,
            (Issuer::Rails, _) => rails::run(config, part).await,
            (Issuer::Account, TokenAction::Revoke) => self::desec::revoke::run(config, part).await,
            (Issuer::Account, _) => self::desec::issue::run(config, part, quiet).await,
        };
        exit = exit.max(done.unwrap_or_else(told));
    }
    exit
}

/// What of `command` is about the hosts of each issuer. Where no host is named, deSEC's way says
/// what is missing.
fn parts(config: &Config, command: &TokenCommand) -> Result<Vec<(Issuer, TokenCommand)>, Failure> {
    let is_of_account = command.all_tokens || command.id.is_some();
    let mut parts: Vec<(Issuer, TokenCommand)> = Vec::new();
    let part = |hosts| TokenCommand { hosts, ..command.clone() };
    if command.hosts.is_empty() {
        for issuer in Issuer::ALL {
            let of_it = |host: &HostConfig| holder::issuer(config, host) == Some(issuer);
            if !is_of_account && config.hosts.iter().any(of_it) {
                parts.push((issuer, part(Vec::new())));
            }
        }
        if parts.is_empty() {
            parts.push((Issuer::Account, part(Vec::new())));
        }
    }
    for host in &command.hosts {
        for issuer in holder::issuers_of(config, host)? {
            match parts.iter_mut().find(|(known, _)| *known == issuer) {
                Some((_, part)) => part.hosts.push(host.clone()),
                None => parts.push((issuer, part(vec![host.clone()]))),
            }
        }
    }
    if parts.iter().any(|(issuer, _)| *issuer == Issuer::NameServer) {
        key::refuse_misfits(command)?;
    }
    Ok(parts)
}

impl Failure {
    fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), now: None, next: next.into() }
    }

    /// The same with what is true at the server now.
    fn leaving(self, now: impl Into<String>) -> Self {
        Self { now: Some(now.into()), ..self }
    }

    /// The same with another next step.
    fn then(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }

    /// What the account's answer to a request of the management token means.
    fn of_management(trouble: &Trouble, doing: &str) -> Self {
        let what = format!("{doing}: {trouble}");
        match trouble {
            Trouble::Rejected(refusal) => match refusal.rejection {
                Rejection::Credential => Self::new(
                    Exit::Rejected,
                    format!("the management token is not accepted ({trouble})"),
                    "make another one at the provider (it may have expired, be mistyped, or be \
                     bound to other networks), and run the command again",
                ),
                Rejection::Forbidden => Self::new(
                    Exit::Rejected,
                    format!("the management token may not do this: {what}"),
                    "use a token with the permission to manage tokens (and, for --create-domain, \
                     to create domains)",
                ),
                _ => Self::new(Exit::Rejected, what, "change what the server complains about"),
            },
            Trouble::Conflict(_) | Trouble::NotThere(_) => Self::new(
                Exit::Deferred,
                format!("{what}; somebody else is changing this token"),
                "run the command again",
            ),
            Trouble::Deferred(_) => Self::new(Exit::Deferred, what, "run the command again later"),
        }
    }

    /// Says it, of `whom`.
    fn tell(&self, whom: Option<&str>) {
        err(&match whom {
            Some(whom) => format!("{whom}: {self}"),
            None => self.to_string(),
        });
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(now) = &self.now {
            write!(f, "; {now}")?;
        }
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

/// The management secret, which these commands cannot do without.
fn management(command: &TokenCommand) -> Result<Secret, Failure> {
    let found = management::secret(command.management_token_file.as_deref(), true);
    found.map_err(|problem| Failure::new(Exit::Configuration, problem, ""))?.ok_or_else(|| {
        let variable = management::VARIABLE;
        Failure::new(
            Exit::Usage,
            "there is no management token",
            format!("give --management-token-file FILE, or set {variable}"),
        )
    })
}

/// The provider that all of `holders` are at: one management token is for one account.
fn common_provider<'a>(holders: &[Holder<'a>]) -> Result<&'a Provider, Failure> {
    let first = holders.first().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "no host of the configuration is at a provider that has tokens to issue",
            "`homing providers` lists them; deSEC is one",
        )
    })?;
    let elsewhere = holders.iter().find(|one| one.provider.api_url != first.provider.api_url);
    match elsewhere {
        None => Ok(first.provider),
        Some(other) => Err(Failure::new(
            Exit::Usage,
            format!("{} and {} are at two servers", first.first(), other.first()),
            "name the hosts of one server, with its management token",
        )),
    }
}

/// The account behind `provider`, as `secret` sees it.
fn account<'a>(
    provider: &'a Provider,
    clients: &'a Clients,
    secret: Secret,
    progress: &'a Progress,
) -> Result<Account<'a>, Failure> {
    let api_url = provider.api_url.as_deref().ok_or_else(|| {
        let what = format!("[provider.{}] has no api-url", provider.name);
        Failure::new(Exit::Configuration, what, "add server or api-url there")
    })?;
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    Ok(Account::new(api_url, ca_file, clients, secret, PATIENCE, progress))
}

/// The clients of a command about `holders`: a server may repeat what any of their files holds.
fn clients(holders: &[Holder<'_>]) -> Clients {
    let clients = Clients::new(clock::Clock::new(None, None).is_set());
    let hide = |place: &SecretPlace| {
        if let Ok(secret) = secrets::read_secret(place) {
            clients.conceal(&secret);
        }
    };
    for holder in holders {
        hide(holder.place);
        if let SecretPlace::File(path) = holder.place {
            // That of a run which was cut.
            hide(&SecretPlace::File(with_ending(path, ".new")));
        }
    }
    clients
}

/// Refuses a management token that is a host's as well: whoever breaks into that host has it.
fn refuse_double_use(config: &Config, management: &Secret) -> Result<(), Failure> {
    for holder in holder::all(config, Issuer::Account)? {
        if secrets::read_secret(holder.place).is_ok_and(|secret| secret == *management) {
            let place = match holder.place {
                SecretPlace::File(path) => path.display().to_string(),
                _ => format!("the setting of {}", holder.first()),
            };
            return Err(Failure::new(
                Exit::Configuration,
                format!("{place} holds the management token itself"),
                format!(
                    "remove it there and keep it elsewhere, then `homing token issue {}` makes a \
                     narrow one",
                    holder.first()
                ),
            )
            .leaving("nothing was changed"));
        }
    }
    Ok(())
}

/// The file of a holder, in which alone a token can be issued.
fn token_file(holder: &Holder<'_>) -> Result<TokenFile, Failure> {
    let path = holder.file().ok_or_else(|| {
        Failure::new(
            Exit::Configuration,
            format!("the token of {} does not stand in a file", holder.label()),
            "write token-file in its [[host]]: that is where a token is issued to",
        )
    })?;
    TokenFile::at(path)
}
