//! Makes a new token: locked, kept beside the one in use, given its rows, without rights, read back,
//! judged, proven, put in place. Only then the old token is deleted.

use std::fs::File;

use super::limits::{asked, check_limits, with_limits};
use super::{DesecIssuer, Job, has_flags};
use crate::cli::TokenAction;
use crate::config::secret::flaw_of_new;
use crate::core::address::Family;
use crate::core::exit::Exit;
use crate::core::secret::Secret;
use crate::core::token::desec::difference::{difference, has_lost_all};
use crate::core::token::finding::Finding;
use crate::core::token::{Api, Policy, Rule, Token, TokenId, wanted};
use crate::os::clock;
use crate::provider::Trouble;
use crate::provider::desec::WriteProbe;
use crate::receipt::{self, Receipt};
use crate::token::Failure;
use crate::token::desec::job::{LONGEST_TTL, aliases, lives};

/// The fate of a token that the account does not list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The server does not accept its secret any more.
    Deleted,
    /// It lives in another account.
    Elsewhere,
    /// The server did not say.
    Unknown,
}

impl Fate {
    fn words(self) -> &'static str {
        match self {
            Self::Deleted => "the token was deleted at the server",
            Self::Elsewhere => "! the token works, but belongs to another account: delete it there",
            Self::Unknown => "the account does not have the token any more",
        }
    }
}

impl DesecIssuer<'_> {
    /// Makes a new token, which replaces the one in use, if there is one.
    pub(super) async fn replace(&mut self, job: &Job<'_>) -> Result<(), Failure> {
        let receipt = job.found.receipt.as_ref();
        let known = receipt.iter().flat_map(|known| known.ids());
        let old: Vec<TokenId> = known.filter(|id| self.token(id).is_some()).cloned().collect();
        let issued = job.issued_limits();
        let before = match old.first().and_then(|id| self.token(id)) {
            Some(token) => self.kept_limits(job, token).await,
            None => issued.usable(&issued),
        };
        let limits = asked(&self.command.limits, &before);
        let is_void = job.is_void || self.lost_all(job, old.first()).await;
        let rules = wanted(self.api, &job.duties);
        self.heading(job);
        let fate = self.why_new(job, &old).await;
        // The secret of a token that is not deleted is kept: the server never shows it again.
        let is_ended = |known: &Receipt| known.id.as_ref().is_some_and(|id| old.contains(id));
        let lives_on = job.found.secret.is_some()
            && fate != Some(Fate::Deleted)
            && !job.found.proven().is_some_and(is_ended);
        let kept = lives_on.then(|| job.file.old_path());
        if let Some(kept) = &kept {
            self.tell(&job.file.living_on_in_words(kept));
        }
        self.tell(&format!("  + token {:?}{}", job.name, with_limits(&limits)));
        rules.iter().for_each(|rule| self.tell(&format!("  + {rule}")));
        old.iter().for_each(|id| self.tell(&format!("  - token {id}")));
        if self.command.dry_run {
            return Ok(());
        }
        let mut new_file = job.file.begin()?;
        let made = self.account.create_token(&job.name, &limits).await;
        let (token, secret) = made.map_err(|trouble| {
            job.file.remove_new();
            self.not_made(job, &trouble)
        })?;
        let made = async {
            self.check_secret(job, &secret)?;
            check_limits(&token.limits, &limits)?;
            if kept.is_some() {
                job.file.keep_old()?;
            }
            let mut receipt = self.receipt(job, &token, &secret, old)?;
            receipt.void_since = is_void.then(clock::wall);
            self.complete(job, &mut new_file, &token, &secret, receipt, &rules).await
        };
        match made.await {
            Ok((receipt, notes)) => {
                self.end_replaced(job, receipt).await?;
                let place = job.file.path().display();
                let done = format!("done; its token is narrow, and its secret in {place}");
                self.conclude(job, &done, &notes);
                self.print_secret(Some(&secret));
                Ok(())
            }
            Err(failure) => Err(self.undo(job, &token.id, failure).await),
        }
    }

    /// Prints why a new token is needed; returns the fate of the old one, if the server was asked.
    async fn why_new(&self, job: &Job<'_>, old: &[TokenId]) -> Option<Fate> {
        let receipt = job.found.receipt.as_ref()?;
        let is_of = |secret: &Secret| receipt.is_of(secret);
        let fate = match &job.found.secret {
            Some(secret) if is_of(secret) && receipt.id.is_some() && old.is_empty() => {
                Some(self.fate(secret).await)
            }
            _ => None,
        };
        if self.command.action == TokenAction::Rotate {
            return fate;
        }
        let file = job.file.path().display();
        let useless = || self.why_useless(job, self.token(old.first()?)?);
        self.tell(&match (&job.found.secret, &fate) {
            (None, _) => format!("  the secret is lost: {file} is not there, or empty"),
            (Some(secret), _) if !is_of(secret) => {
                format!("  {file} has another secret than the receipt describes")
            }
            (Some(_), Some(fate)) => format!("  {}", fate.words()),
            (Some(_), None) => {
                format!("  {}", useless().unwrap_or("the receipt names no token"))
            }
        });
        fate
    }

    /// Asks the server about the fate of a token that the account does not list.
    async fn fate(&self, secret: &Secret) -> Fate {
        match lives(&self.account.seen_with(secret.clone())).await {
            Ok(true) => Fate::Elsewhere,
            Ok(false) => Fate::Deleted,
            Err(_) => Fate::Unknown,
        }
    }

    /// Whether the old token has lost every row of a host; yes if not known, which costs one update.
    async fn lost_all(&self, job: &Job<'_>, old: Option<&TokenId>) -> bool {
        let Some(old) = old else { return false };
        match self.account.policies(old).await {
            Ok(policies) => has_lost_all(&policies, &job.known_duties(), self.api),
            Err(_) => true,
        }
    }

    /// Refuses a secret that cannot be one, or that another token uses.
    fn check_secret(&self, job: &Job<'_>, secret: &Secret) -> Result<(), Failure> {
        let is_known =
            self.account.is_seen_with(secret) || job.found.secret.as_ref() == Some(secret);
        let doubled = is_known.then_some("is that of another token");
        let Some(flaw) = flaw_of_new(secret).or(doubled) else { return Ok(()) };
        Err(Failure::deferred(
            format!("the server gave the new token a secret that {flaw}"),
            "run the command again; if that does not help, report it to the provider",
        ))
    }

    /// The failure of a request that brought no new token, with what is true at the server now.
    fn not_made(&mut self, job: &Job<'_>, trouble: &Trouble) -> Failure {
        let doubt = trouble.leaves_doubt();
        let failure = self.failed(trouble, "asking for a new token");
        let old = match job.found.secret {
            Some(_) => ", and the one in use is as it was",
            None => "",
        };
        if !doubt {
            return failure.leaving(format!("no token was made{old}"));
        }
        let name = &job.name;
        failure
            .leaving(format!(
                "it is not known whether a token {name:?} was made: nobody has its secret{old}"
            ))
            .then("run the command again: it deletes what was left")
    }

    /// Completes a new token, from its creation to its place.
    async fn complete(
        &mut self,
        job: &Job<'_>,
        new_file: &mut File,
        token: &Token,
        secret: &Secret,
        mut receipt: Receipt,
        rules: &[Rule],
    ) -> Result<(Receipt, Vec<Finding>), Failure> {
        let locked = [Rule::nothing(self.api)];
        let born_locked = token.flags.auto_policy == Some(true) && self.api == Api::Rows;
        if !born_locked {
            // Until the denial is read back, only this process has the secret.
            self.settle(&token.id, None, &locked).await?;
        }
        job.file.keep_half_made(new_file, secret, &receipt)?;
        let known = locked.map(|rule| Policy { at: String::new(), rule });
        self.send(&token.id, &difference(&known, rules)).await?;
        let mut tamed = token.clone();
        if has_flags(token.flags) {
            tamed = self
                .account
                .tame(&token.id, &token.limits, &token.limits, None)
                .await
                .map_err(|trouble| self.failed(&trouble, "taking rights from the token"))?;
        }
        let policies = self.settle(&token.id, None, rules).await?;
        let aliases = aliases(self.account, &job.duties).await;
        let notes = self.judge(job, &tamed, &policies, aliases)?;
        if job.found.secret.is_some() || self.command.action == TokenAction::Rotate {
            self.prove(job, secret, token).await?;
        }
        receipt.proven = Some(clock::wall());
        job.file.finish(&receipt)?;
        Ok((receipt, notes))
    }

    /// Builds the receipt of a new token.
    fn receipt(
        &self,
        job: &Job<'_>,
        token: &Token,
        secret: &Secret,
        replaces: Vec<TokenId>,
    ) -> Result<Receipt, Failure> {
        Ok(Receipt {
            id: Some(token.id.clone()),
            name: token.name.clone(),
            api: self.api,
            duties: job.duties.clone(),
            created: Some(token.created),
            limits: token.limits.clone(),
            replaces,
            ..job.file.receipt_of(secret, self.account.server())?
        })
    }

    /// Proves that a new token can do its job, by a request that needs its rights and changes nothing.
    async fn prove(
        &mut self,
        job: &Job<'_>,
        secret: &Secret,
        token: &Token,
    ) -> Result<(), Failure> {
        let Some(duty) = job.duties.first() else { return Ok(()) };
        let in_use = Family::BOTH.into_iter().find(|&family| duty.families[family]);
        let family = in_use.unwrap_or(Family::V4);
        let kind = family.record_type();
        let itself = self.account.seen_with(secret.clone());
        let tried = match (self.api, self.provider.update_url.as_deref()) {
            (Api::Zones, Some(update_url)) => {
                itself.probe_update(update_url, &duty.host, family).await
            }
            _ => itself.probe_write(&duty.zone, duty.subname(), kind, LONGEST_TTL).await,
        };
        let (exit, problem) = match tried {
            Ok(WriteProbe::May) => return Ok(()),
            // The server accepts no write now; the policies at least show that it knows the secret.
            Ok(WriteProbe::Unclear(_)) => match itself.policies(&token.id).await {
                Ok(_) => return Ok(()),
                Err(trouble) => (Exit::Deferred, trouble.to_string()),
            },
            Ok(WriteProbe::MayNot) => {
                (Exit::Rejected, format!("it may not write {kind} of {}", duty.host))
            }
            Err(trouble) if trouble.is_credential() && token.limits.subnets.is_some() => {
                let networks = token.limits.subnets.iter().flatten();
                let networks: Vec<&str> = networks.map(String::as_str).collect();
                return Err(Failure::rejected(
                    format!(
                        "the new token works only from {}, and this machine seems to be elsewhere",
                        networks.join(", ")
                    ),
                    "give --allow-subnet any, or another network",
                ));
            }
            Err(trouble) => (Exit::Deferred, trouble.to_string()),
        };
        Err(Failure::new(
            exit,
            format!("the new token failed its check: {problem}"),
            "run the command again",
        ))
    }

    /// Deletes a token that could not be completed, as far as the server can be reached.
    async fn undo(&mut self, job: &Job<'_>, id: &TokenId, failure: Failure) -> Failure {
        let old = match job.found.secret {
            Some(_) => "; the one in use is as it was",
            None => "",
        };
        // The token is in place already; only a later step failed.
        let in_place = receipt::read_receipt(job.file.path()).ok().flatten();
        if in_place.is_some_and(|receipt| receipt.id.as_ref() == Some(id)) {
            return failure.leaving(format!("token {id} is complete"));
        }
        match self.account.delete_token(id).await {
            Ok(()) => {
                job.file.remove_new();
                failure.leaving(format!("the incomplete token is deleted{old}"))
            }
            Err(_) => failure
                .leaving(format!(
                    "token {id} is incomplete: it may not do anything, or nobody has its \
                        secret{old}"
                ))
                .then("run the command again: it deletes what was left"),
        }
    }
}
