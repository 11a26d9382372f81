//! The token side: issues, audits, rotates and revokes tokens that can do one job and nothing else.
//!
//! `core::token` decides what a token should be; this module asks, sends and shows, in an order in
//! which a cut after any request leaves no token that can write more than its rows. Rounds and
//! daemon know of tokens only by the receipts beside the token files.

mod by_hand;
mod desec;
mod files;
mod folders;
mod holder;
mod job;
mod key;
mod limits;
mod maker;
mod management;
mod power;
mod progress;
mod proof;
mod rails;
#[cfg(feature = "cloud")]
mod route53;
mod show;
mod subject;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use self::files::{TokenFile, lock};
use self::folders::Folders;
use self::holder::Holder;
use self::progress::Progress;
use crate::cli::{TokenAction, TokenCommand};
use crate::config::secret as secrets;
use crate::config::{Config, SecretPlace};
use crate::core::exit::Exit;
use crate::core::outcome::Rejection;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::net::http::Clients;
use crate::net::peer;
use crate::os::clock;
use crate::os::disk;
use crate::os::say::{err, out};
use crate::provider::Trouble;
use crate::provider::desec::Account;

/// Why a command failed: what happened, what is true at the server now, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    exit: Exit,
    what: String,
    now: Option<String>,
    next: String,
}

/// The longest wait of a command for the account's limits: long enough for the limit of an hour.
const PATIENCE: Duration = Duration::from_secs(65 * 60);

/// Runs one token command; `verbosity` is how often `-v` was given, less how often `-q`.
pub async fn run(config: &Config, command: &TokenCommand, verbosity: i8) -> Exit {
    let quiet = verbosity < 0;
    let mut command = command.clone();
    let had_hosts = !command.hosts.is_empty();
    let judged = power::take(config, &mut command);
    let command = &command;
    let is_only_judged = !judged.is_empty() && command.hosts.is_empty();
    let found = match parts(config, command) {
        // Those that are judged by their powers were all.
        _ if is_only_judged && (had_hosts || !holder::any_issued(config)) => Ok(Vec::new()),
        found => found,
    };
    let parts = match found {
        Ok(parts) => parts,
        Err(failure) => return failure.tell(),
    };
    let mut exit = Exit::Right;
    if command.action == TokenAction::Audit {
        let mut audited = None;
        if !judged.is_empty() {
            let (failed, found) = power::of_hosts(config, &judged).await;
            exit = exit.max(failed);
            audited = Some(found);
        }
        for (issuer, part) in &parts {
            let judged = match issuer {
                Issuer::NameServer => key::audit::of_keys(config, part, quiet).await,
                Issuer::Rails => rails::of_tokens(config, part).await,
                #[cfg(feature = "cloud")]
                Issuer::Route53 => route53::of_tokens(config, part).await,
                // The configuration refuses the provider.
                #[cfg(not(feature = "cloud"))]
                Issuer::Route53 => Ok((Exit::Right, Vec::new())),
                Issuer::Account => desec::audit::of_tokens(config, part, quiet).await,
                Issuer::Cloudflare | Issuer::DynHost | Issuer::Inwx | Issuer::Ionos => {
                    maker::of_tokens(config, *issuer, part).await
                }
            };
            match judged {
                Ok((failed, found)) => {
                    exit = exit.max(failed);
                    audited.get_or_insert_with(Vec::new).extend(found);
                }
                Err(failure) => exit = exit.max(failure.tell()),
            }
        }
        let shown = audited.map(|audited| show::tell(&audited, command.json, verbosity > 0));
        return exit.max(shown.unwrap_or_default());
    }
    exit.max(act(config, command, parts, quiet).await.unwrap_or_else(|failure| failure.tell()))
}

/// Makes, replaces or deletes the tokens of `parts`, and fills the folders that `command` asks for.
async fn act(
    config: &Config,
    command: &TokenCommand,
    mut parts: Vec<(Issuer, TokenCommand)>,
    quiet: bool,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Right;
    let (mut folders, mut _lock) = (None, None);
    if let Some(directory) = &command.output {
        let (planned, failed) = Folders::plan(config, &mut parts, directory)?;
        _lock = planned.begin(directory)?;
        // What an earlier run has made does not wait for the limits of the account.
        let filled = if command.dry_run { Exit::Right } else { planned.fill() };
        (folders, exit) = (Some(planned), failed.max(filled));
    }
    for (issuer, part) in &parts {
        let done = match (issuer, part.action) {
            (Issuer::NameServer, _) => key::run(config, part).await,
            (Issuer::Rails, _) => rails::run(config, part).await,
            #[cfg(feature = "cloud")]
            (Issuer::Route53, _) => route53::run(config, part).await,
            #[cfg(not(feature = "cloud"))]
            (Issuer::Route53, _) => Ok(Exit::Right),
            (Issuer::Cloudflare | Issuer::DynHost | Issuer::Inwx | Issuer::Ionos, _) => {
                maker::run(config, *issuer, part).await
            }
            (Issuer::Account, TokenAction::Revoke) => desec::revoke::run(config, part).await,
            (Issuer::Account, _) => desec::issue::run(config, part, folders.as_ref(), quiet).await,
        };
        exit = exit.max(done.unwrap_or_else(|failure| failure.tell()));
    }
    Ok(exit.max(folders.map(|folders| folders.fill()).unwrap_or_default()))
}

/// Splits `command` by issuer; if there are no hosts, the part for deSEC reports what is missing.
fn parts(config: &Config, command: &TokenCommand) -> Result<Vec<(Issuer, TokenCommand)>, Failure> {
    let mut parts: Vec<(Issuer, TokenCommand)> = Vec::new();
    let part = |hosts| TokenCommand { hosts, ..command.clone() };
    if command.hosts.is_empty() {
        let has_hosts = |&issuer: &Issuer| {
            config.hosts.iter().any(|host| holder::issuer(config, host) == Some(issuer))
        };
        if let Some(id) = &command.id
            && let Some(issuer) =
                Issuer::ALL.into_iter().filter(has_hosts).find(|it| it.may_give(id.as_str()))
        {
            return Ok(vec![(issuer, part(Vec::new()))]);
        }
        let is_of_account = command.all_tokens || command.id.is_some();
        let used = Issuer::ALL.into_iter().filter(|issuer| !is_of_account && has_hosts(issuer));
        parts.extend(used.map(|issuer| (issuer, part(Vec::new()))));
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
    // A secret for one provider is never sent to another.
    if parts.iter().filter(|(issuer, _)| issuer.is_managed_by_token()).count() > 1
        && (command.action != TokenAction::Audit || management::is_given(command))
    {
        return Err(Failure::usage(
            "these hosts are at several providers, and a management token is for one",
            "name the hosts of one provider",
        ));
    }
    if parts.iter().any(|(issuer, _)| *issuer == Issuer::NameServer) {
        key::refuse_misfits(command)?;
    }
    Ok(parts)
}

/// Lets `serve` work for each holder with its token file, all of them locked unless it is a dry run;
/// returns the exit code for the holders that failed.
async fn serve_each(
    command: &TokenCommand,
    holders: &[Holder<'_>],
    serve: impl AsyncFn(&Holder<'_>, &TokenFile) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Right;
    let mut jobs: Vec<(&Holder<'_>, TokenFile)> = Vec::new();
    for holder in holders {
        match token_file(holder) {
            Ok(file) => jobs.push((holder, file)),
            Err(failure) => exit = exit.max(failure.tell_of(holder)),
        }
    }
    let files = jobs.iter().map(|(_, file)| file);
    let _lock = if command.dry_run { Vec::new() } else { lock(files)? };
    for (holder, file) in &jobs {
        if let Err(failure) = serve(holder, file).await {
            exit = exit.max(failure.tell_of(holder));
        }
    }
    Ok(exit)
}

/// Refuses the first given one of `options` (name, whether it is given, what to do instead).
fn refuse_options(options: &[(&str, bool, &str)], why: &str) -> Result<(), Failure> {
    match options.iter().find(|(_, is_given, _)| *is_given) {
        None => Ok(()),
        Some((option, _, next)) => Err(Failure::usage(format!("{option}{why}"), *next)),
    }
}

impl Failure {
    fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), now: None, next: next.into() }
    }

    fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, next)
    }

    fn deferred(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Deferred, what, next)
    }

    fn rejected(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Rejected, what, next)
    }

    fn configuration(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, what, next)
    }

    /// A failure of a file, a setting or an answer on the terminal, in its own words.
    fn of_configuration(problem: impl fmt::Display) -> Self {
        Self::configuration(problem.to_string(), "")
    }

    /// The same failure, with what is true at the server now.
    fn leaving(self, now: impl Into<String>) -> Self {
        Self { now: Some(now.into()), ..self }
    }

    /// The same failure, with another next step.
    fn then(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }

    /// The failure after the account's answer to a request with the management token.
    fn of_management(trouble: &Trouble, doing: &str) -> Self {
        let what = format!("{doing}: {trouble}");
        match trouble {
            Trouble::Rejected(refusal) => match refusal.rejection {
                Rejection::Credential => Self::rejected(
                    format!("the management token is not accepted ({trouble})"),
                    "make another one at the provider (it may have expired, be mistyped, or be \
                     bound to other networks), and run the command again",
                ),
                Rejection::Forbidden => Self::rejected(
                    format!("the management token may not do this: {what}"),
                    "use a token with the permission to manage tokens (and, for --create-domain, \
                     to create domains)",
                ),
                _ => Self::rejected(what, "change what the server complains about"),
            },
            Trouble::Conflict(_) | Trouble::NotThere(_) => Self::deferred(
                format!("{what}; somebody else is changing this token"),
                "run the command again",
            ),
            Trouble::Deferred(_) => Self::deferred(what, "run the command again later"),
        }
    }

    /// The failure after the server's answer to a token or a user; `next` is the fix for a refusal.
    fn of_server(trouble: &Trouble, doing: &str, next: &str) -> Self {
        let what = format!("{doing}: {trouble}");
        match trouble {
            Trouble::Deferred(_) => Self::deferred(what, "run the command again later"),
            Trouble::Conflict(_) | Trouble::NotThere(_) | Trouble::Rejected(_) => {
                Self::rejected(what, next)
            }
        }
    }

    /// Prints the failure; returns its exit code.
    fn tell(&self) -> Exit {
        err(&self.to_string());
        self.exit
    }

    /// Prints the failure of `holder`; returns its exit code.
    fn tell_of(&self, holder: &Holder<'_>) -> Exit {
        err(&format!("{}: {self}", holder.label()));
        self.exit
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

/// Random bytes for a new secret, which nobody can guess.
fn random<const COUNT: usize>() -> Result<[u8; COUNT], Failure> {
    peer::random().map_err(|problem| Failure::deferred(problem, "run the command again later"))
}

/// The management secret, which these commands need.
fn management(command: &TokenCommand) -> Result<Secret, Failure> {
    let found = management::secret(command.management_token_file.as_deref(), true);
    found.map_err(Failure::of_configuration)?.ok_or_else(|| {
        let variable = management::VARIABLE;
        Failure::usage(
            "there is no management token",
            format!("give --management-token-file FILE, or set {variable}"),
        )
    })
}

/// The management user with its password, if the command names one.
fn management_user(command: &TokenCommand) -> Result<Option<Credential>, Failure> {
    const OPTION: &str = "--management-password-file";
    let file = command.management_password_file.as_deref();
    let Some(login) = command.management_user.clone() else {
        return match file {
            None => Ok(None),
            Some(_) => {
                Err(Failure::usage(format!("{OPTION} needs a user"), "give --management-user USER"))
            }
        };
    };
    let typed = management::password(file, &login).map_err(Failure::of_configuration)?;
    let secret = typed.ok_or_else(|| {
        let what = format!("there is no password for {login}");
        Failure::usage(what, format!("give {OPTION} FILE"))
    })?;
    Ok(Some(Credential { login, secret }))
}

/// The one provider of all `holders`: a management token is for one account.
fn common_provider<'a>(holders: &[Holder<'a>]) -> Result<&'a Provider, Failure> {
    let first = holders.first().ok_or_else(|| {
        Failure::usage(
            "no host of the configuration is at a provider that has tokens to issue",
            "`homing providers` lists them; deSEC is one",
        )
    })?;
    let elsewhere = holders.iter().find(|one| one.provider.api_url != first.provider.api_url);
    match elsewhere {
        None => Ok(first.provider),
        Some(other) => Err(Failure::usage(
            format!("{} and {} are at two servers", first.first(), other.first()),
            "name the hosts of one server, with its management token",
        )),
    }
}

/// The account at `provider`, asked with `secret`.
fn account<'a>(
    provider: &'a Provider,
    clients: &'a Clients,
    secret: Secret,
    progress: &'a Progress,
) -> Result<Account<'a>, Failure> {
    let api_url = provider.api_url.as_deref().ok_or_else(|| {
        let what = format!("[provider.{}] has no api-url", provider.name);
        Failure::configuration(what, "add server or api-url there")
    })?;
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    Ok(Account::new(api_url, ca_file, clients, secret, PATIENCE, progress))
}

/// The clients for `holders`; they hide the secrets in their files, which a server may repeat.
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
            // A cut run may have left a secret there.
            hide(&SecretPlace::File(disk::with_ending(path, ".new")));
        }
    }
    clients
}

/// Refuses a management token that is also a host's: an intruder on that host would have it.
fn refuse_double_use(config: &Config, issuer: Issuer, management: &Secret) -> Result<(), Failure> {
    let holders = holder::all(config, issuer)?;
    let is_double = |holder: &&Holder<'_>| {
        secrets::read_secret(holder.place).is_ok_and(|secret| secret == *management)
    };
    let Some(holder) = holders.iter().find(is_double) else { return Ok(()) };
    let host = holder.first();
    let place = match holder.place {
        SecretPlace::File(path) => path.display().to_string(),
        _ => format!("the setting of {host}"),
    };
    Err(Failure::configuration(
        format!("{place} holds the management token itself"),
        format!(
            "remove it there and keep it elsewhere, then `homing token issue {host}` makes a \
             narrow one"
        ),
    )
    .leaving("nothing was changed"))
}

/// The file of a holder; tokens can be issued into files only.
fn token_file(holder: &Holder<'_>) -> Result<TokenFile, Failure> {
    let path = holder.file().ok_or_else(|| {
        Failure::configuration(
            format!("the token of {} is not in a file", holder.label()),
            "write token-file in its [[host]]: the new token is written there",
        )
    })?;
    TokenFile::at(path)
}

/// Prints that a file holds the secret of a token that has ended.
fn tell_dead_secret(holder: &Holder<'_>, file: &TokenFile) {
    out(&format!(
        "{}: {} still has the secret that no longer works; remove it, or `homing token issue {}` \
            makes a new token",
        holder.label(),
        file.path().display(),
        holder.first()
    ));
}
