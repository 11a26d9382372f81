//! Tokens of `PowerDNS` on Rails: made narrow in one request, judged by their receipts.
//!
//! Such a server can neither list, show nor change tokens. A new one is kept beside the one in use,
//! must open a session of its own before it replaces that one; after a cut, the next run goes on with
//! it. The old token ends by its age, or by a logout with it, which is what `revoke` does.

use std::path::Path;
use std::time::Duration;

use super::files::{Found, TokenFile};
use super::proof::judge_each;
use super::show::{Audited, By};
use super::subject::Subject;
use super::{
    Failure, Holder, clients, common_provider, holder, management_user, refuse_options, serve_each,
    tell_dead_secret,
};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::{Config, HostConfig};
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::finding::Finding;
use crate::core::token::rails::audit::judge;
use crate::core::token::rails::{Grant, NOT_VISIBLE};
use crate::core::token::verdict::WARN_AHEAD;
use crate::core::token::{Duty, Limits, name_for, period};
use crate::net::http::Clients;
use crate::os::clock;
use crate::os::local::Local;
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::rails::{Missing, PLACEHOLDERS, Server};
use crate::receipt::Receipt;

/// The default life of a token: the server's own default is an hour.
const MAX_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Runs any command except `audit` for the hosts that it names.
pub async fn run(config: &Config, command: &TokenCommand) -> Result<Exit, Failure> {
    refuse_limits(command)?;
    let holders = holder::asked(config, Issuer::Rails, &command.hosts)?;
    let clients = clients(&holders);
    let issuer = match command.action {
        TokenAction::Audit | TokenAction::Issue | TokenAction::Rotate => {
            common_provider(&holders)?;
            Some(RailsIssuer {
                config,
                command,
                user: management_user(command)?,
                clients: &clients,
            })
        }
        TokenAction::Revoke => None,
    };
    let serve = async |holder: &Holder<'_>, file: &TokenFile| match &issuer {
        Some(issuer) => issuer.serve(holder, file).await,
        None => revoke(command, holder, file, &clients).await,
    };
    serve_each(command, &holders, serve).await
}

/// Refuses options that such a server does not support.
fn refuse_limits(command: &TokenCommand) -> Result<(), Failure> {
    let (ends, none) = ("every token there expires: give it a time, such as 365d", "leave it out");
    let limits = &command.limits;
    let options = [
        ("--max-age none", limits.max_age == Ask::Lift, ends),
        ("--max-unused", limits.max_unused != Ask::Keep, none),
        ("--allow-subnet", limits.subnets != Ask::Keep, none),
        ("--create-domain", command.create_domain.is_some(), "make the domain at the server"),
        ("--name", command.name.is_some(), none),
    ];
    refuse_options(&options, ": PowerDNS on Rails has no such thing")
}

/// The server of `provider`.
fn server<'a>(provider: &'a Provider, clients: &'a Clients) -> Server<'a> {
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    Server::new(base(provider), ca_file, clients)
}

/// The base URL of a provider's server, which its receipts name.
fn base(provider: &Provider) -> &str {
    provider.api_url.as_deref().unwrap_or_default()
}

/// The duties of a holder's hosts; the domain of each is configured, or from the receipt.
fn duties(
    config: &Config,
    holder: &Holder<'_>,
    receipt: Option<&Receipt>,
) -> Result<Vec<Duty>, Failure> {
    let duty = |host: &&HostConfig| {
        let name = &host.host.key.host;
        let issued = || receipt?.duties.iter().find(|duty| duty.host == *name);
        let zone = zone(config, host).or_else(|| issued().map(|duty| duty.zone.clone()));
        let zone = zone.ok_or_else(|| {
            Failure::configuration(
                format!("it is not known in which domain {name} is"),
                "write zone in its [[host]]",
            )
        })?;
        Ok(Duty { host: name.clone(), zone, families: host.host.in_use() })
    };
    holder.hosts.iter().map(duty).collect()
}

/// The domain of `host`: its own setting, else the longest one set for a host at the same server.
fn zone(config: &Config, host: &HostConfig) -> Option<Hostname> {
    let name = &host.host.key.host;
    let others = config.hosts.iter().filter(|other| {
        config.providers[other.provider].api_url == config.providers[host.provider].api_url
    });
    let written = others.filter_map(|other| other.host.zone.as_ref());
    let longest = || {
        let around = written.filter(|zone| name.is_within(zone));
        around.max_by_key(|zone| zone.as_str().len()).cloned()
    };
    host.host.zone.clone().or_else(longest)
}

/// The issuer of tokens.
struct RailsIssuer<'a> {
    config: &'a Config,
    command: &'a TokenCommand,
    user: Option<Credential>,
    clients: &'a Clients,
}

/// The work on one holder's token.
struct Job<'a> {
    holder: &'a Holder<'a>,
    file: &'a TokenFile,
    server: Server<'a>,
    found: Found,
    duties: Vec<Duty>,
    age: Duration,
    /// The grant for a new token.
    wanted: Grant,
}

impl<'a> RailsIssuer<'a> {
    /// Fixes one holder's token, or replaces it.
    async fn serve(&self, holder: &'a Holder<'a>, file: &TokenFile) -> Result<(), Failure> {
        let base = base(holder.provider);
        let is_here = |receipt: &Receipt| receipt.server == base && receipt.rails.is_some();
        let found = file.look(self.command.dry_run)?.only(&is_here);
        for remark in &found.remarks {
            out(&format!("{}: {remark}", holder.label()));
        }
        let duties = duties(self.config, holder, found.receipt.as_ref())?;
        let before = found.receipt.as_ref().and_then(|receipt| receipt.limits.max_age);
        let age = match self.command.limits.max_age {
            Ask::Set(age) => age,
            Ask::Keep | Ask::Lift => before.filter(|age| !age.is_zero()).unwrap_or(MAX_AGE),
        };
        let wanted =
            Grant::narrow(&duties, clock::wall().after(age)).map_err(Failure::of_configuration)?;
        let server = server(holder.provider, self.clients);
        let job = Job { holder, file, server, found, duties, age, wanted };
        if self.command.action == TokenAction::Rotate {
            return self.replace(&job, None, true).await;
        }
        match job.useless() {
            Some(why) => self.replace(&job, Some(&why), true).await,
            None => self.keep(&job).await,
        }
    }

    /// Keeps the token in use if its server accepts it; creates missing records.
    async fn keep(&self, job: &Job<'a>) -> Result<(), Failure> {
        let (Some(secret), Some(receipt)) = (&job.found.secret, job.found.proven()) else {
            return self.replace(job, None, true).await;
        };
        let missing = match job.server.missing(secret, &job.duties).await {
            Ok(missing) => missing,
            Err(trouble) if trouble.is_credential() => {
                let why = "the server does not take the token in use any more";
                return self.replace(job, Some(why), false).await;
            }
            Err(trouble) => {
                let failure = Failure::of_server(&trouble, "asking with the token in use", "");
                return Err(failure.leaving("nothing was changed"));
            }
        };
        let label = job.holder.label();
        if !missing.is_empty() {
            job.heading();
            self.create(job, secret, &missing).await?;
        } else if self.command.dry_run {
            out(&format!("{label}: nothing to do"));
        }
        if self.command.dry_run {
            return Ok(());
        }
        if receipt.proven.is_none() {
            let proven = Some(clock::wall());
            job.file.write_receipt(&Receipt { proven, beyond: None, ..receipt.clone() })?;
        } else {
            job.file.confirm_receipt()?;
        }
        let word = if missing.is_empty() { "nothing to do" } else { "done" };
        out(&format!("{label}: {word}; its token is narrow, and {}", ends(receipt.expires())));
        self.print_secret(secret);
        Ok(())
    }

    /// Makes a token, or goes on with that of a cut run, and puts it in place.
    async fn replace(
        &self,
        job: &Job<'a>,
        why: Option<&str>,
        old_lives: bool,
    ) -> Result<(), Failure> {
        job.heading();
        if let Some(why) = why {
            out(&format!("  {why}"));
        }
        let half_made = job.half_made();
        let end = match &half_made {
            Some((_, receipt)) => {
                out("  continuing with the token that an interrupted run has made");
                receipt.expires()
            }
            None => job.wanted.expires,
        };
        // Without a receipt, the old token may be in use for something else.
        let kept = job.found.secret.is_some() && job.found.proven().is_none();
        let kept = kept.then(|| job.file.old_path());
        if let Some(kept) = &kept {
            out(&job.file.living_on_in_words(kept));
        }
        out(&format!("  + token that {}", ends(end)));
        for record in &job.wanted.records {
            out(&format!("  + it may change {}", record.words()));
        }
        if self.command.dry_run {
            return Ok(());
        }
        let (secret, mut receipt, missing) = match half_made {
            None => self.fresh(job).await?,
            Some((secret, receipt)) => match job.server.missing(&secret, &job.duties).await {
                Ok(missing) => (secret, receipt, missing),
                Err(trouble) if trouble.is_credential() => self.fresh(job).await?,
                Err(trouble) => return Err(not_proven(&trouble)),
            },
        };
        self.create(job, &secret, &missing).await.map_err(|failure| {
            failure.leaving("the new token is kept, and the next run continues with it")
        })?;
        receipt.proven = Some(clock::wall());
        if kept.is_some() {
            job.file.keep_old()?;
        }
        job.file.finish(&receipt)?;
        let (label, place) = (job.holder.label(), job.file.path().display());
        out(&format!(
            "{label}: done; its token is narrow and {}, and its secret is in {place}",
            ends(receipt.expires())
        ));
        let old = job.found.proven().and_then(Receipt::expires);
        let is_over = old.is_some_and(|end| end <= clock::wall());
        if job.found.secret.is_some() && old_lives && !is_over {
            let until = match old {
                Some(end) => format!("works until {}", Local::here(clock::wall()).moment(end)),
                None => "expires at an unknown time".to_owned(),
            };
            let place = match &kept {
                Some(kept) => format!("in {}", kept.display()),
                None => "nowhere now".to_owned(),
            };
            out(&format!(
                "{label}: note: the token that it replaces {until}: delete it earlier with its \
                    secret, which is kept {place}"
            ));
        }
        self.print_secret(&secret);
        Ok(())
    }

    /// A new token, on the disk and accepted by the server, with its receipt and the missing records.
    async fn fresh(&self, job: &Job<'a>) -> Result<(Secret, Receipt, Vec<Missing>), Failure> {
        let user = self.user()?;
        // A half-made token that does not fit any more was never in use.
        if let (Some(_), Some(left)) = (&job.found.half_made, job.file.next_secret()) {
            let _ = job.server.end(&left).await;
        }
        let mut new_file = job.file.begin()?;
        let old = match job.found.secret {
            Some(_) => ", and the one in use is as it was",
            None => "",
        };
        let minted = job.server.mint(user, &job.wanted).await.map_err(|trouble| {
            job.file.remove_new();
            let failure = of_user(&trouble, "asking for a token");
            if trouble.leaves_doubt() {
                failure.leaving(format!(
                    "it is not known whether a token was made: nobody has its secret, and it \
                        expires by itself{old}"
                ))
            } else {
                failure.leaving(format!("no token was made{old}"))
            }
        })?;
        let asked = job.wanted.expires.unwrap_or_default();
        if minted.grant.is_cut_short(asked) {
            job.file.remove_new();
            let _ = job.server.end(&minted.token).await;
            return Err(Failure::rejected(
                format!("the server made a token that {}", ends(minted.grant.expires)),
                "compare this machine's clock with the server's, and ask for a --max-age that it \
                 takes",
            )
            .leaving(format!("that token was ended{old}")));
        }
        let receipt = job.receipt(&minted.token, minted.grant);
        let kept = receipt.and_then(|receipt| {
            job.file.keep_half_made(&mut new_file, &minted.token, &receipt)?;
            Ok(receipt)
        });
        let receipt = match kept {
            Ok(receipt) => receipt,
            Err(failure) => {
                job.file.remove_new();
                let _ = job.server.end(&minted.token).await;
                return Err(failure.leaving(format!("the new token was given up{old}")));
            }
        };
        match job.server.missing(&minted.token, &job.duties).await {
            Ok(missing) => Ok((minted.token, receipt, missing)),
            Err(trouble) => Err(not_proven(&trouble)),
        }
    }

    /// Creates missing records as the user that makes tokens, who may own the domain.
    async fn create(
        &self,
        job: &Job<'a>,
        secret: &Secret,
        missing: &[Missing],
    ) -> Result<(), Failure> {
        let Some(first) = missing.first() else { return Ok(()) };
        for record in missing {
            let content = PLACEHOLDERS[record.family];
            out(&format!("  + {record}: {content} until its first update"));
        }
        if self.command.dry_run {
            return Ok(());
        }
        let user = self.user()?;
        let ttl = job.holder.hosts.iter().find_map(|host| host.host.ttl);
        let made = job.server.create_missing(secret, user, &job.duties, &PLACEHOLDERS, ttl);
        made.await.map(drop).map_err(|trouble| {
            let failure = of_user(&trouble, &format!("creating the {first}"));
            match trouble {
                Trouble::Deferred(_) => failure,
                _ => failure.then(format!(
                    "create the {first} at the server (with any address) and run the command \
                     again, or give a --management-user that also owns the domain {}",
                    job.wanted.domain
                )),
            }
        })
    }

    /// The user that may make tokens, who is needed to make one.
    fn user(&self) -> Result<&Credential, Failure> {
        self.user.as_ref().ok_or_else(|| {
            Failure::usage(
                "a user who may make tokens is missing",
                "give --management-user USER, whose password is asked for, or read from \
                 --management-password-file FILE",
            )
        })
    }

    fn print_secret(&self, secret: &Secret) {
        if self.command.print {
            out(secret.expose());
        }
    }
}

impl Job<'_> {
    fn heading(&self) {
        out(&format!("{} ({})", self.holder.label(), self.file.path().display()));
    }

    /// Why the token in use cannot stay; `None` when it can, as far as its receipt shows.
    fn useless(&self) -> Option<String> {
        let (file, receipt) = (self.file.path().display(), self.found.receipt.as_ref());
        let Some(known) = self.found.proven() else {
            return match (&self.found.secret, receipt) {
                (None, None) => Some("there is no token yet".to_owned()),
                (None, Some(_)) => {
                    Some(format!("the secret is lost: {file} is not there, or empty"))
                }
                (Some(_), _) => Some(format!(
                    "there is no receipt with the rights of the token in \
                    {file}"
                )),
            };
        };
        let grant = known.rails.as_ref()?;
        let now = clock::wall();
        if !is_the_same(grant, &self.wanted) {
            return Some("the token in use was granted something else".to_owned());
        }
        match grant.expires {
            Some(end) if end <= now => Some("the token in use has expired".to_owned()),
            _ if known.limits.max_age != Some(self.age) => {
                Some(format!("the token in use was not made for {}", period(self.age)))
            }
            Some(end) if end.since(now) <= WARN_AHEAD.min(self.age / 2) => Some(format!(
                "the token in use ends soon: {}",
                Local::here(clock::wall()).moment(end)
            )),
            _ => None,
        }
    }

    /// The token that a cut run has made, if it fits and will last more than half its life.
    fn half_made(&self) -> Option<(Secret, Receipt)> {
        let receipt = self.found.half_made.as_ref()?;
        let grant = receipt.rails.as_ref().filter(|grant| is_the_same(grant, &self.wanted))?;
        let lasts = grant.expires.is_none_or(|end| end.since(clock::wall()) > self.age / 2);
        let secret = self.file.next_secret().filter(|secret| receipt.is_of(secret))?;
        lasts.then(|| (secret, receipt.clone()))
    }

    fn receipt(&self, secret: &Secret, grant: Grant) -> Result<Receipt, Failure> {
        Ok(Receipt {
            name: name_for(&self.holder.names()),
            duties: self.duties.clone(),
            created: Some(clock::wall()),
            limits: Limits { max_age: Some(self.age), ..Limits::default() },
            rails: Some(grant),
            ..self.file.receipt_of(secret, base(self.holder.provider))?
        })
    }
}

/// Whether two grants allow the same, apart from their ends.
fn is_the_same(one: &Grant, other: &Grant) -> bool {
    Grant { expires: None, ..one.clone() } == Grant { expires: None, ..other.clone() }
}

/// When a token ends, as the end of a sentence about it.
fn ends(end: Option<Timestamp>) -> String {
    match end {
        Some(end) => format!("ends at {}", Local::here(clock::wall()).moment(end)),
        None => "expires at an unknown time".to_owned(),
    }
}

/// The failure after the server's answer to the user.
fn of_user(trouble: &Trouble, doing: &str) -> Failure {
    if trouble.is_credential() {
        let next = "check --management-user and its password, and run the command again";
        return Failure::rejected(format!("{doing}: {trouble}"), next);
    }
    Failure::of_server(trouble, doing, "")
}

/// The failure of a new token that did not open a session.
fn not_proven(trouble: &Trouble) -> Failure {
    Failure::of_server(trouble, "the new token failed its check", "")
        .leaving("it is kept beside the one in use, which is as it was")
        .then("run the command again to continue")
}

/// Ends the token of one holder by a logout with it.
async fn revoke(
    command: &TokenCommand,
    holder: &Holder<'_>,
    file: &TokenFile,
    clients: &Clients,
) -> Result<(), Failure> {
    let found = file.look(command.dry_run)?;
    let (label, path) = (holder.label(), file.path().display());
    found.remarks.iter().for_each(|remark| out(&format!("{label}: {remark}")));
    let half_made = found.half_made.as_ref().and_then(|_| file.next_secret());
    let secrets: Vec<&Secret> = found.secret.iter().chain(&half_made).collect();
    if secrets.is_empty() {
        let until = found.receipt.as_ref().map(|receipt| ends(receipt.expires()));
        return Err(Failure::rejected(
            format!("there is no token in {path}, and it can be deleted only with its secret"),
            until.map(|until| format!("it {until}")).unwrap_or_default(),
        )
        .leaving("nothing was changed"));
    }
    let server = server(holder.provider, clients);
    let mut any = false;
    for secret in secrets {
        let lived = if command.dry_run {
            match server.missing(secret, &[]).await {
                Err(trouble) if trouble.is_credential() => Ok(false),
                looked => looked.map(|_| true),
            }
        } else {
            server.end(secret).await
        };
        any |= lived.map_err(|trouble| {
            let failure = Failure::of_server(&trouble, "deleting the token", "");
            failure.leaving("it may still work")
        })?;
    }
    out(&if any {
        format!("{label}: - token, by a logout with it")
    } else {
        format!("{label}: nothing to do; the server does not accept its token any more")
    });
    if command.dry_run {
        return Ok(());
    }
    if half_made.is_some() {
        file.remove_new();
    }
    if let Some(receipt) = found.proven().filter(|receipt| receipt.rails.is_some()) {
        let now = clock::wall();
        let end = receipt.expires().map_or(now, |end| end.min(now));
        let rails = receipt.rails.clone().map(|grant| Grant { expires: Some(end), ..grant });
        let revoked = receipt.revoked.or(Some(now));
        file.write_receipt(&Receipt { proven: None, revoked, rails, ..receipt.clone() })?;
    }
    if found.secret.is_some() {
        tell_dead_secret(holder, file);
    }
    Ok(())
}

/// Judges the tokens of the hosts that `command` names; also returns the exit code for the others.
pub async fn of_tokens(
    config: &Config,
    command: &TokenCommand,
) -> Result<(Exit, Vec<Audited>), Failure> {
    refuse_limits(command)?;
    let holders = holder::asked(config, Issuer::Rails, &command.hosts)?;
    let clients = clients(&holders);
    let judge = async |subject: &Subject<'_>| judged(config, subject, &clients).await;
    Ok(judge_each(&holders, judge).await)
}

/// Judges one token.
async fn judged(
    config: &Config,
    subject: &Subject<'_>,
    clients: &Clients,
) -> Result<Audited, Failure> {
    let grant = subject.receipt.as_ref().and_then(|receipt| receipt.rails.as_ref());
    let duties = duties(config, subject.holder, subject.receipt.as_ref())?;
    let mut findings = judge(grant, &duties, clock::wall());
    let is_over = findings == [Finding::Lapsed];
    let server = server(subject.holder.provider, clients);
    let mut is_valid = None;
    match &subject.secret {
        None => findings.push(Finding::untold("the server takes it", "its file is not there")),
        Some(secret) => match server.missing(secret, &duties).await {
            Ok(_) if is_over => findings.push(Finding::untold(
                "it has expired",
                "its receipt says so, and the server takes it; compare the clocks",
            )),
            Ok(_) => is_valid = Some(true),
            Err(trouble) if trouble.is_credential() => {
                is_valid = Some(false);
                // The server refuses the token, so its grant does not matter.
                findings = vec![Finding::Lapsed];
            }
            Err(_) if is_over => {}
            Err(trouble) => findings.push(Finding::untold("the server takes it", trouble)),
        },
    }
    let not_visible = NOT_VISIBLE.to_vec();
    let rows = grant.map(Grant::rows);
    let report = subject.report(By::Receipt);
    let mut report = Audited { findings, not_visible, is_valid, rows, duties, ..report };
    report.put_in_order(|_, finding| fix(subject.holder.first(), finding));
    Ok(report)
}

/// The command that fixes a finding.
fn fix(host: &Hostname, finding: &Finding) -> Option<String> {
    match finding {
        Finding::Untold { .. } => None,
        Finding::ExpiresSoon(_) | Finding::Lapsed => {
            Some(format!("homing token rotate {host} --management-user USER"))
        }
        _ => Some(format!("homing token issue {host} --management-user USER")),
    }
}
