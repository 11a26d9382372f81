//! Audit: the rights of tokens beyond their job, by the account's own view or by asking as the
//! token itself. Changes nothing at the server.

use super::job::{aliases, duties, lives, tokens, without_unknown_job};
use super::probe;
use super::probe::Budget;
use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::address::PerFamily;
use crate::core::exit::Exit;
use crate::core::order;
use crate::core::protocol::manners::Issuer;
use crate::core::token::desec::audit::{self, Circumstances};
use crate::core::token::finding::Finding;
use crate::core::token::verdict::Weight;
use crate::core::token::{Api, Duty, Key, Policy, Rule, Token, TokenId, full_name, rows};
use crate::os::clock;
use crate::os::say::err;
use crate::provider::Trouble;
use crate::provider::desec::Account;
use crate::token::progress::Progress;
use crate::token::proof::note_proofs;
use crate::token::show::{Audited, By};
use crate::token::subject::{Subject, no_token};
use crate::token::{Failure, account, clients, common_provider, holder, management};

/// Judges deSEC's tokens; returns the exit code for those that could not be judged, and the reports.
pub async fn of_tokens(
    config: &Config,
    command: &TokenCommand,
    quiet: bool,
) -> Result<(Exit, Vec<Audited>), Failure> {
    let file = command.management_token_file.as_deref();
    let management = management::secret(file, false).map_err(Failure::of_configuration)?;
    let holders = holder::asked(config, Issuer::Account, &command.hosts)?;
    if holders.is_empty() {
        common_provider(&holders)?;
    }
    let clients = clients(&holders);
    let speaks = !quiet && !command.json;
    let progress = Progress::new(holders.len(), speaks);
    let budget = Budget::new(command.thorough);
    let mut exit = Exit::Right;
    let mut subjects = Vec::new();
    for holder in &holders {
        let failure = match Subject::of(holder) {
            Ok(Some(subject)) => {
                subjects.push(subject);
                continue;
            }
            // With --all-tokens, a host without a token is no failure.
            Ok(None) if command.all_tokens => continue,
            Ok(None) => no_token(holder),
            Err(failure) => failure,
        };
        exit = exit.max(failure.tell_of(holder));
    }
    let mut audited = Vec::new();
    match management {
        Some(management) => {
            let provider = common_provider(&holders)?;
            let account = account(provider, &clients, management, &progress)?;
            let (tokens, api) = tokens(&account).await?;
            // Without the account's name, tokens that name an owner are inconclusive.
            let owner = account.owner().await.ok();
            let (account, progress, budget) = (&account, &progress, &budget);
            let auditor = Auditor { account, progress, budget, tokens, api, owner };
            if command.all_tokens {
                auditor.everything(&subjects, &mut audited).await;
            } else {
                for (done, subject) in subjects.iter().enumerate() {
                    progress.at(done, subject.holder.first().as_str());
                    audited.push(auditor.of_subject(subject).await);
                }
            }
        }
        None if command.all_tokens => {
            return Err(Failure::usage(
                "only a management token sees the tokens of an account",
                format!("give --management-token-file FILE, or set {}", management::VARIABLE),
            ));
        }
        None => {
            let is_blind = |subject: &Subject<'_>| subject.id().is_none();
            if speaks && subjects.iter().any(is_blind) {
                err(budget.announcement());
            }
            let mut accounts: Vec<Account<'_>> = Vec::new();
            for (done, subject) in subjects.iter().enumerate() {
                progress.at(done, subject.holder.first().as_str());
                let Some(secret) = subject.secret.clone() else {
                    audited.push(subject.without_secret());
                    continue;
                };
                // The tokens of one account share its limits.
                let provider = subject.holder.provider;
                let is_there =
                    |known: &&Account<'_>| Some(known.server()) == provider.api_url.as_deref();
                let account = match accounts.iter().find(is_there) {
                    Some(known) => known.seen_with(secret),
                    None => account(provider, &clients, secret, &progress)?,
                };
                audited.push(probe::itself(&account, subject, &budget).await);
                accounts.push(account);
            }
        }
    }
    progress.clear();
    audited.iter_mut().for_each(|report| report.put_in_order(fix));
    note_proofs(&subjects, &audited);
    Ok((exit, audited))
}

/// The account, asked with its management token.
struct Auditor<'a> {
    account: &'a Account<'a>,
    progress: &'a Progress,
    budget: &'a Budget,
    tokens: Vec<Token>,
    api: Api,
    owner: Option<String>,
}

impl Auditor<'_> {
    async fn of_subject(&self, subject: &Subject<'_>) -> Audited {
        let mut report = subject.report(By::Management);
        if self.holds_management(subject) {
            report.findings = vec![Finding::ManagesTokens, Finding::IsManagement];
            return report;
        }
        let id = match subject.id() {
            Some(id) => Some(id.clone()),
            None => self.identify(subject).await,
        };
        let Some(id) = id else {
            // The account's list does not say which of its tokens this secret is.
            let Some(secret) = subject.secret.clone() else { return subject.without_secret() };
            return probe::itself(&self.account.seen_with(secret), subject, self.budget).await;
        };
        report.id = Some(id.clone());
        let Some(token) = self.tokens.iter().find(|token| token.id == id) else {
            report.findings.push(self.of_unlisted(subject).await);
            return report;
        };
        let duties = duties(self.account, subject, &mut report.findings).await;
        self.of_token(&mut report, token, |_| duties.clone()).await;
        without_unknown_job(&mut report.findings, subject.holder, &duties);
        report.findings.extend(aliases(self.account, &duties).await);
        report
    }

    fn holds_management(&self, subject: &Subject<'_>) -> bool {
        subject.secret.as_ref().is_some_and(|secret| self.account.is_seen_with(secret))
    }

    /// The finding for a token that the account does not list: it is gone, or in another account.
    async fn of_unlisted(&self, subject: &Subject<'_>) -> Finding {
        let Some(secret) = &subject.secret else { return Finding::Gone };
        let elsewhere = "it works, but belongs to another account, whose management token is \
            needed";
        let why = match lives(&self.account.seen_with(secret.clone())).await {
            Ok(false) => return Finding::Gone,
            Ok(true) => elsewhere.to_owned(),
            Err(trouble) => trouble.to_string(),
        };
        Finding::untold("it is narrow", why)
    }

    /// Reads a token's policies and judges the token by them; `job` finds its duties in the policies.
    async fn of_token(
        &self,
        report: &mut Audited,
        token: &Token,
        job: impl FnOnce(&[Policy]) -> Vec<Duty>,
    ) -> Vec<Duty> {
        let finding = match self.account.policies(&token.id).await {
            Ok(policies) => {
                let duties = job(&policies);
                report.findings.extend(self.judge(token, &policies, &duties));
                report.name = Some(token.name.clone());
                report.expires = token.expires();
                report.last_used = token.last_used;
                report.created = Some(token.created);
                report.limits = Some(token.limits.clone());
                report.is_valid = Some(token.is_valid);
                report.rows = Some(rows(&policies, &duties));
                report.duties.clone_from(&duties);
                return duties;
            }
            Err(Trouble::NotThere(_)) => Finding::Gone,
            Err(trouble) => Finding::untold("its policies are narrow", trouble),
        };
        report.findings.push(finding);
        Vec::new()
    }

    /// The findings on a token that do not depend on its hosts.
    fn judge(&self, token: &Token, policies: &[Policy], duties: &[Duty]) -> Vec<Finding> {
        let now = clock::wall();
        let circumstances = Circumstances { now, owner: self.owner.as_deref(), api: self.api };
        let mut findings = audit::judge(token, policies, duties, &circumstances);
        let is_namesake = |other: &Token| other.name == token.name && other.id != token.id;
        if token.name.is_empty() || self.tokens.iter().any(is_namesake) {
            findings.push(Finding::Nameless(token.name.clone()));
        }
        findings
    }

    /// Finds the token that a secret belongs to: a token that manages none sees only its own policies.
    async fn identify(&self, subject: &Subject<'_>) -> Option<TokenId> {
        /// More requests would use up the account's limit for a minute.
        const MOST: usize = 40;
        let secret = subject.secret.as_ref()?;
        let itself = self.account.seen_with(secret.clone());
        match itself.manages_tokens().await {
            Ok(false) => {}
            // It sees every policy; its rights are found by asking as the token itself.
            Ok(true) | Err(_) => return None,
        }
        let host = subject.holder.first().as_str();
        let mut candidates: Vec<&Token> = self.tokens.iter().collect();
        order::sort_by_key(&mut candidates, |token| {
            (!token.name.contains(host), token.last_used.is_none())
        });
        for token in candidates.into_iter().take(MOST) {
            match itself.policies(&token.id).await {
                Ok(_) => return Some(token.id.clone()),
                Err(trouble) if trouble.is_forbidden() => {}
                Err(Trouble::NotThere(_)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Judges every token of the account.
    async fn everything(&self, subjects: &[Subject<'_>], audited: &mut Vec<Audited>) {
        self.progress.expect(self.tokens.len());
        let own = self.own();
        for subject in subjects.iter().filter(|subject| self.holds_management(subject)) {
            audited.push(self.of_subject(subject).await);
        }
        let mut jobs: Vec<(TokenId, Vec<Duty>)> = Vec::new();
        for (done, token) in self.tokens.iter().enumerate() {
            self.progress.at(done, &token.name);
            if own == Some(&token.id) {
                continue;
            }
            let of = |subject: &&Subject<'_>| subject.id() == Some(&token.id);
            let (report, duties) = match subjects.iter().find(of) {
                Some(subject) => {
                    let issued = subject.receipt.as_ref().map(|receipt| receipt.duties.clone());
                    (self.of_subject(subject).await, issued.unwrap_or_default())
                }
                None => self.of_nobody(token).await,
            };
            jobs.push((token.id.clone(), duties));
            audited.push(report);
        }
        for report in &mut *audited {
            note_doubles(report, &jobs);
        }
        if let Some(own) = own.and_then(|id| self.tokens.iter().find(|token| token.id == *id)) {
            self.progress.clear();
            err(&format!(
                "not judged: token {} {:?}, with which this audit was made",
                own.id, own.name
            ));
        }
    }

    /// Judges a token of no host here; also returns the duties that its policies suggest.
    async fn of_nobody(&self, token: &Token) -> (Audited, Vec<Duty>) {
        let (id, name) = (Some(token.id.clone()), Some(token.name.clone()));
        let mut report = Audited { id, name, ..Audited::by(By::Management) };
        let duties = self.of_token(&mut report, token, narrow_rows).await;
        (report, duties)
    }

    /// The token that this audit uses: the last one used, if it may manage tokens. If another token
    /// was used later, none is skipped.
    fn own(&self) -> Option<&TokenId> {
        let last = self.tokens.iter().max_by_key(|token| token.last_used)?;
        let is_manager = last.flags.manage_tokens == Some(true) && last.last_used.is_some();
        is_manager.then_some(&last.id)
    }
}

/// The possible duties of a token of no host here: A and AAAA of the names in its policies.
fn narrow_rows(policies: &[Policy]) -> Vec<Duty> {
    let mut duties: Vec<Duty> = Vec::new();
    for policy in policies.iter().filter(|policy| policy.rule.allows()) {
        let (zone, host, families) = match &policy.rule {
            Rule::Row { key: Key { zone: Some(zone), subname: Some(subname), kind }, .. }
                if !subname.starts_with('*') =>
            {
                let host = full_name(subname, zone);
                let is = |name: &str| kind.as_deref() == Some(name);
                (zone, host, PerFamily { v4: is("A"), v6: is("AAAA") })
            }
            Rule::Zone { zone: Some(zone), records: false, .. } => {
                (zone, zone.clone(), PerFamily { v4: true, v6: true })
            }
            Rule::Row { .. } | Rule::Zone { .. } => continue,
        };
        let (Ok(zone), Ok(host)) = (zone.parse(), host.parse()) else { continue };
        match duties.iter_mut().find(|duty| duty.zone == zone && duty.host == host) {
            Some(duty) => {
                duty.families.v4 |= families.v4;
                duty.families.v6 |= families.v6;
            }
            None if families.v4 || families.v6 => duties.push(Duty { host, zone, families }),
            None => {}
        }
    }
    duties
}

/// Adds a finding for each host that another token is for as well.
fn note_doubles(report: &mut Audited, jobs: &[(TokenId, Vec<Duty>)]) {
    let own = jobs.iter().find(|(id, _)| report.id.as_ref() == Some(id));
    let Some((id, duties)) = own else { return };
    for Duty { host, .. } in duties {
        let is_double = |(other, duties): &&(TokenId, Vec<Duty>)| {
            other != id && duties.iter().any(|duty| duty.host == *host)
        };
        if let Some((other, _)) = jobs.iter().find(is_double) {
            report.findings.push(Finding::Double { host: host.clone(), other: other.clone() });
        }
    }
}

/// The command that fixes a finding, if there is one.
fn fix(report: &Audited, finding: &Finding) -> Option<String> {
    let Some(host) = report.hosts.first() else {
        // A token of no host here: narrow it where it is used, or delete it.
        let id = report.id.as_ref()?;
        let worth = finding.weight() == Weight::TooPowerful
            || matches!(finding, Finding::NeverUsed | Finding::Unused(_) | Finding::Lapsed);
        return worth.then(|| format!("homing token revoke --id {id}"));
    };
    match finding {
        Finding::Untold { .. } if matches!(report.by, By::Itself) => {
            Some(format!("homing token audit {host} --management-token-file FILE"))
        }
        Finding::ExpiresSoon(_) | Finding::Lapsed => Some(format!("homing token rotate {host}")),
        Finding::NoExpiry => Some(format!("homing token issue {host} --max-age 365d")),
        Finding::NoSubnets | Finding::Subnets(_) => {
            Some(format!("homing token issue {host} --allow-subnet any"))
        }
        Finding::Double { other, .. } => Some(format!("homing token revoke --id {other}")),
        Finding::HasAlias(_)
        | Finding::NeverUsed
        | Finding::Unused(_)
        | Finding::ReachesBelow(_)
        | Finding::Nameless(_)
        | Finding::Untold { .. } => None,
        _ => Some(match (&report.id, report.is_ours) {
            // The new token replaces this one, which must be deleted by its id.
            (Some(id), false) => {
                format!("homing token issue {host} && homing token revoke --id {id}")
            }
            _ => format!("homing token issue {host}"),
        }),
    }
}
