//! Issue and rotate: compares a token with what it should be, and sends the difference in a safe order.
//!
//! A new token is born locked: the server makes it together with a default that denies everything.
//! Its secret goes to a file beside the one in use, then it gets its rows, loses what it does not
//! need, is read back and judged, and only then replaces the old one. At a server that cannot make a
//! locked token, the secret stays in memory until the denial has been read back.

mod fresh;
mod others;
mod zone;

use std::time::Duration;

use super::job::{aliases, lives, tokens};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::desec::audit::{self as judgement, Circumstances};
use crate::core::token::desec::difference::{Change, difference, has_lost_all};
use crate::core::token::finding::{self, Finding};
use crate::core::token::{
    Api, Duty, Flags, Limits, OURS, Policy, Rule, SHORTEST, Token, TokenId, name_for, wanted,
};
use crate::os::clock;
use crate::os::say::{err, out};
use crate::provider::Trouble;
use crate::provider::desec::Account;
use crate::receipt::Receipt;
use crate::token::files::{Found, TokenFile, lock};
use crate::token::folders::Folders;
use crate::token::limits::{self, asked, check_limits};
use crate::token::progress::Progress;
use crate::token::{
    Failure, Holder, account, clients, common_provider, holder, management, refuse_double_use,
    token_file,
};

/// Runs `issue` or `rotate`; fills each of the `folders` as soon as its token is ready, because the
/// limits of the account may stretch a run over hours.
pub async fn run(
    config: &Config,
    command: &TokenCommand,
    folders: Option<&Folders<'_>>,
    quiet: bool,
) -> Result<Exit, Failure> {
    let mut holders = holder::asked(config, Issuer::Account, &command.hosts)?;
    let provider = common_provider(&holders)?;
    let mut exit = Exit::Right;
    let mut files = Vec::new();
    // Problems with a file are found before the server is asked.
    let mut ids = ids_of_others(config, &holders)?;
    let mut looked = |holder: &Holder<'_>| -> Result<TokenFile, Failure> {
        let file = token_file(holder)?;
        let found = file.look(true)?;
        refuse_shared(holder, &found, &mut ids)?;
        Ok(file)
    };
    holders.retain(|holder| match looked(holder) {
        Ok(file) => {
            files.push(file);
            true
        }
        Err(failure) => {
            exit = exit.max(failure.tell_of(holder));
            false
        }
    });
    if holders.is_empty() {
        return Ok(exit);
    }
    check_zone_wish(command, &holders)?;
    if let (Some(_), true) = (&command.name, holders.len() > 1) {
        return Err(Failure::usage(
            "--name: these hosts have several tokens, and one name is for one token",
            "name the hosts of one token-file",
        ));
    }
    let secret = management(command)?;
    refuse_double_use(config, Issuer::Account, &secret)?;
    let _lock = if command.dry_run { Vec::new() } else { lock(&files)? };

    let clients = clients(&holders);
    let progress = Progress::new(holders.len(), !quiet);
    let account = account(provider, &clients, secret, &progress)?;
    let mut neighbours = holder::all(config, Issuer::Account)?;
    neighbours.retain(|holder| holder.provider.api_url == provider.api_url);
    let (tokens, api) =
        tokens(&account).await.map_err(|failure| failure.leaving("nothing was changed"))?;
    let mut issuer = DesecIssuer {
        account: &account,
        provider,
        command,
        progress: &progress,
        api,
        tokens,
        is_closed: false,
        registered: Vec::new(),
        neighbours,
        reminded: Vec::new(),
    };
    exit = exit.max(issuer.serve_all(&holders, &files, folders).await);
    Ok(exit)
}

/// The ids of the tokens of all other holders, each with its hosts.
fn ids_of_others(
    config: &Config,
    holders: &[Holder<'_>],
) -> Result<Vec<(TokenId, String)>, Failure> {
    let mut others = holder::all(config, Issuer::Account)?;
    others.retain(|other| holders.iter().all(|holder| holder.first() != other.first()));
    let known = others.iter().filter_map(|other| {
        // Problems with their files do not concern this command.
        let found = token_file(other).and_then(|file| file.look(true)).ok()?;
        Some((found.proven()?.id.clone()?, other.label()))
    });
    Ok(known.collect())
}

/// Refuses a token that is in two files: a fix for one host would take it from the other.
fn refuse_shared(
    holder: &Holder<'_>,
    found: &Found,
    ids: &mut Vec<(TokenId, String)>,
) -> Result<(), Failure> {
    let Some(id) = found.proven().and_then(|receipt| receipt.id.clone()) else { return Ok(()) };
    if let Some((_, other)) = ids.iter().find(|(known, _)| *known == id) {
        return Err(Failure::configuration(
            format!("its file holds the same token as that of {other}"),
            "let them share one token-file, or remove the copy and its receipt",
        )
        .leaving("nothing was changed"));
    }
    ids.push((id, holder.label()));
    Ok(())
}

/// Names the hosts that were not tried.
fn tell_untried(holders: &[Holder<'_>]) {
    const MOST: usize = 5;
    if holders.is_empty() {
        return;
    }
    let names: Vec<&str> =
        holders.iter().take(MOST).map(|holder| holder.first().as_str()).collect();
    let more = if holders.len() > MOST { ", …" } else { "" };
    err(&format!("{} more not tried: {}{more}", holders.len(), names.join(", ")));
}

/// Refuses a zone that holds none of the hosts.
fn check_zone_wish(command: &TokenCommand, holders: &[Holder<'_>]) -> Result<(), Failure> {
    let Some(zone) = &command.create_domain else { return Ok(()) };
    let is_within = |host: &Hostname| host.is_within(zone);
    if holders.iter().any(|holder| holder.names().iter().any(is_within)) {
        return Ok(());
    }
    Err(Failure::usage(
        format!("--create-domain {zone}: none of the hosts is {zone} or below it"),
        "name the host itself, or a domain that it ends in",
    ))
}

/// The issuer of tokens: the account, and its tokens when the run began.
struct DesecIssuer<'a> {
    account: &'a Account<'a>,
    provider: &'a Provider,
    command: &'a TokenCommand,
    progress: &'a Progress,
    api: Api,
    tokens: Vec<Token>,
    is_closed: bool,
    /// The zones that this run has registered.
    registered: Vec<Hostname>,
    /// Every holder at this server; a zone that is registered above its hosts leaves their names empty.
    neighbours: Vec<Holder<'a>>,
    /// The existing zones whose records for the parent were printed.
    reminded: Vec<Hostname>,
}

/// The work on one holder's token.
struct Job<'a> {
    holder: &'a Holder<'a>,
    file: &'a TokenFile,
    found: Found,
    name: String,
    duties: Vec<Duty>,
    /// Whether records of one of the hosts may be lost, because its zone is a new one or another one.
    is_void: bool,
}

impl Job<'_> {
    /// The duties that the token had before, if their hosts are in the same zones now.
    fn known_duties(&self) -> Vec<Duty> {
        let receipt = self.found.receipt.as_ref();
        let before = receipt.map(|receipt| receipt.duties.as_slice()).unwrap_or_default();
        let is_known = |duty: &&Duty| {
            before.iter().any(|known| known.host == duty.host && known.zone == duty.zone)
        };
        self.duties.iter().filter(is_known).cloned().collect()
    }

    /// The limits that the token was issued with, or had in the run before.
    fn issued_limits(&self) -> Limits {
        self.found.receipt.as_ref().map(|receipt| receipt.limits.clone()).unwrap_or_default()
    }
}

impl<'a> DesecIssuer<'a> {
    fn tell(&self, line: &str) {
        self.progress.clear();
        out(line);
    }

    /// The failure for one holder after a refusal of the account.
    fn failed(&mut self, trouble: &Trouble, doing: &str) -> Failure {
        // Other faults of the server may concern this holder alone.
        self.is_closed |= trouble.is_credential() || trouble.is_forbidden() || trouble.is_no_way();
        Failure::of_management(trouble, doing)
    }

    /// Serves each holder in turn; returns the exit code for those that failed.
    async fn serve_all(
        &mut self,
        holders: &'a [Holder<'a>],
        files: &'a [TokenFile],
        folders: Option<&Folders<'_>>,
    ) -> Exit {
        let mut exit = Exit::Right;
        for (done, (holder, file)) in holders.iter().zip(files).enumerate() {
            self.progress.at(done, holder.first().as_str());
            let served = self.serve(holder, file).await;
            self.progress.clear();
            match (served, folders) {
                (Ok(()), Some(folders)) => exit = exit.max(folders.fill_of(holder)),
                (Ok(()), None) => {}
                (Err(failure), _) => exit = exit.max(failure.tell_of(holder)),
            }
            // A problem with the management token or the way to the server concerns all holders.
            if self.is_closed {
                tell_untried(&holders[done + 1..]);
                break;
            }
        }
        exit
    }

    /// Fixes one holder's token, or replaces it.
    async fn serve(&mut self, holder: &'a Holder<'a>, file: &'a TokenFile) -> Result<(), Failure> {
        let mut found = file.look(self.command.dry_run)?;
        self.leave_foreign_receipts(holder, &mut found)?;
        if self.command.create_domain.is_some() && !self.command.dry_run {
            // No zone is registered for a token that could not be kept.
            file.try_directory()?;
        }
        let duties = self.duties(holder).await?;
        // A name that a person chose is kept.
        let chosen = found.receipt.as_ref().map(|receipt| &receipt.name);
        let chosen = chosen.filter(|name| !name.is_empty() && !name.starts_with(OURS));
        let name = self.command.name.as_ref().or(chosen).cloned();
        let name = name.unwrap_or_else(|| name_for(&holder.names()));
        let is_void = self.is_elsewhere(&found, &duties);
        let job = Job { holder, file, found, name, duties, is_void };
        for remark in &job.found.remarks {
            self.tell(&format!("{}: {remark}", holder.label()));
        }
        self.clear_away(&job).await?;
        let own = self.own(&job);
        self.report_others(&job, own.as_ref());
        let is_issued = self.command.action == TokenAction::Issue;
        match own.filter(|token| is_issued && self.why_useless(&job, token).is_none()) {
            Some(token) => self.fix(&job, token).await,
            None => self.replace(&job).await,
        }
    }

    /// Whether the zone of one of `duties` is new, or another one than before, and so lacks the records
    /// set before. Also true where a token is in use and no receipt names its zones.
    fn is_elsewhere(&self, found: &Found, duties: &[Duty]) -> bool {
        let receipt = found.receipt.as_ref();
        let before = receipt.map(|receipt| receipt.duties.as_slice()).unwrap_or_default();
        duties.iter().any(|duty| {
            self.registered.contains(&duty.zone)
                || match before.iter().find(|before| before.host == duty.host) {
                    Some(before) => before.zone != duty.zone,
                    None => {
                        self.command.create_domain.as_ref() == Some(&duty.zone)
                            || before.is_empty() && found.secret.is_some()
                    }
                }
        })
    }

    /// Why a token cannot be fixed: it has lapsed, or would have with the limits asked for.
    fn why_useless(&self, job: &Job<'_>, token: &Token) -> Option<&'static str> {
        let usable = token.limits.usable(&job.issued_limits());
        // A token that is invalid only because of unusable limits is fixed by lifting them.
        if !token.is_valid && usable == token.limits {
            return Some("the token has expired");
        }
        let asked_for = &self.command.limits;
        let limits = asked(asked_for, &usable);
        let now = clock::wall();
        let used = token.last_used.unwrap_or(token.created);
        // An end that is asked for must lie ahead by a margin.
        let ends = |from: Timestamp, span: Option<Duration>, is_asked: bool| {
            let margin =
                |span: Duration| if is_asked { SHORTEST.min(span / 2) } else { Duration::ZERO };
            span.is_some_and(|span| from.after(span) <= now.after(margin(span)))
        };
        let is_asked = matches!(asked_for.max_age, Ask::Set(_));
        let is_over =
            ends(token.created, limits.max_age, is_asked) || ends(used, limits.max_unused, false);
        is_over.then_some("with these limits the token would already be expired")
    }

    /// The limits for the token that replaces `token`: the same, without those that make it useless.
    /// Networks that somebody else has set and that exclude this machine make it useless.
    async fn kept_limits(&self, job: &Job<'_>, token: &Token) -> Limits {
        let issued = job.issued_limits();
        let mut kept = token.limits.usable(&issued);
        if token.is_valid
            && kept.subnets.is_some()
            && kept.subnets != issued.subnets
            && let (Some(_), Some(secret)) = (job.found.proven(), &job.found.secret)
        {
            let itself = self.account.seen_with(secret.clone());
            if lives(&itself).await == Ok(false) {
                kept.subnets = issued.subnets;
            }
        }
        kept
    }

    /// The token that is proven to be this holder's, by a receipt of the secret in use.
    fn own(&self, job: &Job<'_>) -> Option<Token> {
        self.token(job.found.proven()?.id.as_ref()?).cloned()
    }

    fn token(&self, id: &TokenId) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == *id)
    }

    async fn delete(&mut self, id: &TokenId) -> Result<(), Failure> {
        self.account.delete_token(id).await.map_err(|trouble| {
            let failure = self.failed(&trouble, &format!("deleting token {id}"));
            failure.leaving(format!("token {id} may still be there"))
        })
    }

    fn heading(&self, job: &Job<'_>) {
        self.tell(&format!("{} ({})", job.holder.label(), job.file.path().display()));
    }

    /// Sends the differences between the token as it is and as it should be.
    async fn fix(&mut self, job: &Job<'_>, token: Token) -> Result<(), Failure> {
        let Some(mut receipt) = job.found.receipt.clone() else { return Ok(()) };
        let rules = wanted(self.api, &job.duties);
        let id = token.id.clone();
        let policies = self.account.policies(&id).await.map_err(|trouble| {
            let failure = self.failed(&trouble, "reading the token's policies");
            failure.leaving("nothing was changed")
        })?;
        let changes = difference(&policies, &rules);
        let kept = self.kept_limits(job, &token).await;
        let limits = asked(&self.command.limits, &kept);
        let name = self.command.name.as_deref().filter(|name| *name != token.name);
        let is_tame = !has_flags(token.flags) && limits == token.limits && name.is_none();
        let is_right = changes.is_empty() && is_tame && receipt.replaces.is_empty();
        if !is_right {
            self.heading(job);
            for change in &changes {
                self.tell(&format!("  {}", change.in_words(&job.duties)));
            }
            if let Some(name) = name {
                self.tell(&format!("  ~ name {name:?} (was: {:?})", token.name));
            }
            self.tell_limits(&token, &limits);
            for old in &receipt.replaces {
                self.tell(&format!("  - token {old}, replaced"));
            }
        }
        // Limits that are restored are printed among the changes above.
        if kept == token.limits && token.limits != receipt.limits {
            self.tell(&format!(
                "{}: note: somebody has changed its limits: {} (issued with: {})",
                job.holder.label(),
                limits::in_words(&token.limits),
                limits::in_words(&receipt.limits)
            ));
        }
        if self.command.dry_run {
            if is_right {
                self.tell(&format!("{}: nothing to do", job.holder.label()));
            }
            return Ok(());
        }
        if job.is_void || has_lost_all(&policies, &job.known_duties(), self.api) {
            // Written before anything is sent: after a cut, the missing row would not be noticed.
            receipt.void_since = Some(clock::wall());
            job.file.write_receipt(&receipt)?;
        }
        let partly = |failure: Failure| {
            failure.leaving("the token may be between what it was and what it should be")
        };
        let mut fixed = token.clone();
        if !is_tame {
            let tamed = self.account.tame(&id, &token.limits, &limits, name).await;
            fixed = tamed
                .map_err(|trouble| partly(self.failed(&trouble, "changing what the token may")))?;
        }
        check_limits(&fixed.limits, &limits).map_err(partly)?;
        let policies = self.settle(&id, Some(policies), &rules).await.map_err(partly)?;
        let aliases = aliases(self.account, &job.duties).await;
        let notes = self.judge(job, &fixed, &policies, aliases)?;
        self.write_down(job, receipt, &fixed).await?;
        let word = if is_right { "nothing to do" } else { "done" };
        let done = format!("{word}; its token is narrow");
        self.conclude(job, &done, &notes);
        self.print_secret(job.found.secret.as_ref());
        Ok(())
    }

    /// Writes the fixed receipt, or confirms the present one if nothing was fixed.
    async fn write_down(
        &mut self,
        job: &Job<'_>,
        receipt: Receipt,
        token: &Token,
    ) -> Result<(), Failure> {
        let fresh = Receipt {
            name: token.name.clone(),
            api: self.api,
            duties: job.duties.clone(),
            limits: token.limits.clone(),
            proven: receipt.proven.or_else(|| Some(clock::wall())),
            beyond: None,
            revoked: None,
            ..receipt.clone()
        };
        if fresh == receipt {
            job.file.confirm_receipt()?;
        } else {
            job.file.write_receipt(&fresh)?;
        }
        self.end_replaced(job, fresh).await
    }

    /// Deletes the tokens that were replaced.
    async fn end_replaced(&mut self, job: &Job<'_>, mut receipt: Receipt) -> Result<(), Failure> {
        while let Some(old) = receipt.replaces.first().cloned() {
            self.delete(&old).await.map_err(|failure| {
                failure
                    .leaving(format!(
                        "the new token is in place, and the old one ({old}) may still be there"
                    ))
                    .then(format!(
                        "run `homing token issue {}`, which deletes it",
                        job.holder.first()
                    ))
            })?;
            receipt.replaces.remove(0);
            job.file.write_receipt(&receipt)?;
        }
        Ok(())
    }

    fn print_secret(&self, secret: Option<&Secret>) {
        if let Some(secret) = secret.filter(|_| self.command.print) {
            self.tell(secret.expose());
        }
    }

    fn tell_limits(&self, token: &Token, limits: &Limits) {
        for (flag, word) in [
            (token.flags.manage_tokens, "managing tokens"),
            (token.flags.create_zones, "creating zones"),
            (token.flags.delete_zones, "deleting zones"),
            (token.flags.auto_policy, "granting itself new zones"),
        ] {
            if flag == Some(true) {
                self.tell(&format!("  - the right of {word}"));
            }
        }
        if *limits != token.limits {
            self.tell(&format!(
                "  ~ {} (was: {})",
                limits::in_words(limits),
                limits::in_words(&token.limits)
            ));
        }
    }

    /// Brings a token's policies to `rules` and reads them back; after a conflict, which means that
    /// somebody else changed them, reads and compares again.
    async fn settle(
        &mut self,
        id: &TokenId,
        mut known: Option<Vec<Policy>>,
        rules: &[Rule],
    ) -> Result<Vec<Policy>, Failure> {
        const ATTEMPTS: usize = 4;
        for _ in 0..ATTEMPTS {
            let is = match known.take() {
                Some(is) => is,
                None => {
                    let read = self.account.policies(id).await;
                    read.map_err(|trouble| self.failed(&trouble, "reading the policies back"))?
                }
            };
            let changes = difference(&is, rules);
            if changes.is_empty() {
                return Ok(is);
            }
            self.send(id, &changes).await?;
        }
        Err(Failure::deferred(
            "the policies do not stay as they were sent; somebody else is changing them",
            "run the command again",
        ))
    }

    /// Sends changes in their order; stops at a conflict, which reading back shows.
    async fn send(&mut self, id: &TokenId, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            let sent = match change {
                Change::Add(rule) => self.account.add_policy(id, rule).await,
                Change::Correct { is, should } => self.account.correct_policy(id, is, should).await,
                Change::Remove(policy) => self.account.remove_policy(id, policy).await,
            };
            match sent {
                Ok(()) => {}
                Err(Trouble::Conflict(_) | Trouble::NotThere(_)) => break,
                Err(trouble) => {
                    return Err(self.failed(&trouble, &format!("sending \"{change}\"")));
                }
            }
        }
        Ok(())
    }

    /// Judges what was read back; returns the findings to report, or refuses the token.
    fn judge(
        &self,
        job: &Job<'_>,
        token: &Token,
        policies: &[Policy],
        more: Vec<Finding>,
    ) -> Result<Vec<Finding>, Failure> {
        let circumstances =
            Circumstances { now: clock::wall(), owner: token.owner.as_deref(), api: self.api };
        let mut findings = judgement::judge(token, policies, &job.duties, &circumstances);
        findings.extend(more);
        finding::sort(&mut findings);
        let verdict = finding::verdict(&findings);
        if !verdict.is_narrow() {
            let worst = findings.first().map(Finding::to_string).unwrap_or_default();
            let host = job.holder.first();
            return Err(Failure::rejected(
                format!("read back, the token {worst}"),
                format!("`homing token audit {host}` shows more"),
            )
            .leaving(format!("token {} is {verdict}", token.id)));
        }
        // A token without an end was asked for.
        findings.retain(|finding| *finding != Finding::NoExpiry);
        Ok(findings)
    }

    /// Ends the report on one holder: what was done, and the notes.
    fn conclude(&self, job: &Job<'_>, done: &str, notes: &[Finding]) {
        let label = job.holder.label();
        self.tell(&format!("{label}: {done}"));
        notes.iter().for_each(|note| self.tell(&format!("{label}: note: {note}")));
    }
}

/// Whether a token has any right besides writing records.
fn has_flags(flags: Flags) -> bool {
    let Flags { manage_tokens, create_zones, delete_zones, auto_policy } = flags;
    [manage_tokens, create_zones, delete_zones, auto_policy].contains(&Some(true))
}
