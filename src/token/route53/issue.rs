//! Issue and rotate: the user, its policy, the proof by the simulator, then the key.

use super::{Desk, checked_policy, of_management, refuse_foreign_user, simulated};
use crate::cli::TokenAction;
use crate::core::order;
use crate::core::secret::Secret;
use crate::core::token::job::{Job, Record};
use crate::core::token::route53::{POLICY, user_in, user_name};
use crate::core::token::verdict::Weight;
use crate::core::token::{Limits, TokenId};
use crate::os::clock;
use crate::os::say::out;
use crate::provider::route53::{Account, Holdings};
use crate::receipt::Receipt;
use crate::token::by_hand::{credential_of, refuse_written_logins};
use crate::token::files::{Found, TokenFile};
use crate::token::job::{Zones, job, tell_plan};
use crate::token::limits::{limits_of, until, whole_now, with_limits};
use crate::token::{Failure, Holder};

/// What is true after a failure before a key is made.
const NO_KEY: &str = "no key was made, and the one in use is as it was";

/// The work on one holder's key.
struct Work<'a> {
    holder: &'a Holder<'a>,
    file: &'a TokenFile,
    found: Found,
    /// The name of the user, and what it has.
    name: String,
    has: Holdings,
    job: Job,
    limits: Limits,
    policy: String,
    /// The key in use, if it can stay.
    kept: Option<TokenId>,
    /// Keys of this file that are to be deleted.
    replaced: Vec<TokenId>,
}

impl<'a> Desk<'a> {
    /// Puts right the user and the policy of one holder, and makes a key where one is needed.
    pub(super) async fn serve(
        &self,
        holder: &'a Holder<'a>,
        file: &'a TokenFile,
    ) -> Result<(), Failure> {
        refuse_written_logins(holder, "key")?;
        let work = self.looked(holder, file).await?;
        work.found.remarks.iter().for_each(|remark| work.tell(remark));
        let has_plan = work.tell_plan();
        if !has_plan && self.command.dry_run {
            work.tell("nothing to do");
        }
        if self.command.dry_run {
            return Ok(());
        }
        let arn = match &work.has.arn {
            Some(arn) => arn.clone(),
            None => self.create_user(&work).await?,
        };
        self.put_right(&work).await?;
        self.prove(&work, &arn).await?;
        let secret = match (&work.kept, &work.found.secret) {
            (Some(_), Some(secret)) => {
                work.keep()?;
                secret.clone()
            }
            _ => self.replace(&work).await?,
        };
        self.end_replaced(&work).await?;
        let done = if has_plan { "done" } else { "nothing to do" };
        let until = until(work.job.expires);
        let place = file.path().display();
        work.tell(&format!("{done}; its key is narrow and {until}, and its secret is in {place}"));
        if self.command.print {
            out(secret.expose());
        }
        Ok(())
    }

    /// Reads the files of a holder and what its user has.
    async fn looked(
        &self,
        holder: &'a Holder<'a>,
        file: &'a TokenFile,
    ) -> Result<Work<'a>, Failure> {
        let is_here = |receipt: &Receipt| receipt.server == self.account.server();
        let found = file.look(self.command.dry_run)?.only(&is_here);
        let receipt = found.receipt.as_ref();
        let (limits, expires) = limits_of(self.command, receipt, whole_now())?;
        let asker = self.account.asker();
        let job =
            job(Zones::Asked(asker), holder, receipt, (&limits, expires), &of_management).await?;
        let policy = checked_policy(&job, self.account.cloud().partition)?;
        let known = receipt.map(|receipt| receipt.name.clone()).filter(|name| !name.is_empty());
        let name = known.unwrap_or_else(|| user_name(holder.first()));
        let has = self.account.holdings(&name).await.map_err(|trouble| {
            of_management(&trouble, &format!("looking at the user {name}"))
                .leaving("nothing was changed")
        })?;
        refuse_foreign_user(&name, &has)?;
        let exists = |id: &&TokenId| has.keys.iter().any(|key| key.id == **id);
        let works = |id: &TokenId| has.keys.iter().any(|key| key.id == *id && key.is_active);
        let own = found.proven().and_then(|receipt| receipt.id.clone()).filter(works);
        let kept = own.filter(|_| self.command.action == TokenAction::Issue);
        // A key that a cut run has made is not needed where the one in use can stay.
        let half_made = found.half_made.iter().filter(|_| kept.is_some());
        let of_file = receipt.into_iter().chain(half_made).flat_map(Receipt::ids);
        let replaced = of_file.filter(|id| Some(*id) != kept.as_ref()).filter(exists);
        let replaced = replaced.cloned().collect();
        Ok(Work { holder, file, found, name, has, job, limits, policy, kept, replaced })
    }

    /// Makes the user; returns its ARN.
    async fn create_user(&self, work: &Work<'_>) -> Result<String, Failure> {
        let names = work.job.records.iter().map(|record| record.duty.host.as_str());
        // A tag holds 256 characters, and no asterisk.
        let hosts = names.collect::<Vec<_>>().join(" ").replace('*', "+");
        let hosts: String = hosts.chars().take(256).collect();
        self.account
            .create_user(&work.name, &hosts)
            .await
            .map_err(|trouble| of_management(&trouble, "making the user").leaving(NO_KEY))
    }

    /// Writes the policy, and takes what else the user has.
    async fn put_right(&self, work: &Work<'_>) -> Result<(), Failure> {
        let left = |failure: Failure| failure.leaving(NO_KEY);
        if !work.has.has_policy(&work.policy) {
            let put = self.account.put_policy(&work.name, &work.policy).await;
            put.map_err(|trouble| left(of_management(&trouble, "writing the policy")))?;
        }
        for other in &work.has.others {
            let taken = self.account.take(&work.name, other).await;
            taken.map_err(|trouble| {
                left(of_management(&trouble, &format!("taking {}", other.words())))
            })?;
        }
        Ok(())
    }

    /// Asks the simulator whether the user may do its job and nothing else, until a change of before
    /// has reached it.
    async fn prove(&self, work: &Work<'_>, arn: &str) -> Result<(), Failure> {
        let mut tries = Account::TRIES;
        loop {
            let judged = simulated(&self.account, arn, &work.job).await;
            let findings = judged.map_err(|trouble| {
                of_management(&trouble, "asking what the user may do").leaving(NO_KEY)
            })?;
            let wrong = findings
                .iter()
                .find(|finding| finding.stops_the_job() || finding.weight() == Weight::TooPowerful);
            let Some(wrong) = wrong else { return Ok(()) };
            tries -= 1;
            if tries == 0 {
                return Err(Failure::rejected(
                    format!("the user {} {wrong}, although its policy is right", work.name),
                    "look for a permissions boundary or a policy of the organization; run the \
                     command again if IAM was slow",
                )
                .leaving(NO_KEY));
            }
            Account::pause().await;
        }
    }

    /// Makes a key, or goes on with that of a cut run, proves it and puts it in place.
    async fn replace(&self, work: &Work<'_>) -> Result<Secret, Failure> {
        let (secret, receipt) = match work.half_made() {
            Some((secret, receipt)) => (secret, work.receipt(receipt)),
            None => self.fresh(work).await?,
        };
        let key = credential_of(work.holder, &secret)?;
        let itself = Account::new(work.holder.provider, self.clients, &key);
        // This machine may be outside the networks that the key is for.
        let record = work.job.records.first().filter(|_| work.job.subnets.is_none());
        let owner = itself.settled(record).await.map_err(|trouble| {
            Failure::of_server(&trouble, "the new key failed its check", "")
                .leaving("it is kept beside the one in use, which is as it was")
                .then("run the command again to continue")
        })?;
        if user_in(&owner) != Some((&work.name, true)) {
            return Err(Failure::rejected(format!("the new key belongs to {owner}"), ""));
        }
        // Without a receipt, the key before may be in use for something else.
        if work.found.secret.is_some() && work.found.proven().is_none() {
            work.file.keep_old()?;
        }
        let replaces = work.replaced.clone();
        let receipt = Receipt { proven: Some(clock::wall()), replaces, ..receipt };
        work.file.finish(&receipt)?;
        Ok(secret)
    }

    /// A new key, on the disk with its receipt.
    async fn fresh(&self, work: &Work<'_>) -> Result<(Secret, Receipt), Failure> {
        self.make_room(work).await?;
        let mut new_file = work.file.begin()?;
        let made = self.account.create_key(&work.name).await;
        let (id, secret) = made.map_err(|trouble| {
            work.file.remove_new();
            of_management(&trouble, "making the key").leaving(if trouble.leaves_doubt() {
                "there may be a key that nobody knows, which can do no more; `homing token audit` \
                 names it"
            } else {
                "no key was made"
            })
        })?;
        let secret = Secret::new(&format!("{id}:{}", secret.expose()));
        let kept = work.file.receipt_of(&secret, self.account.server()).and_then(|receipt| {
            let receipt = work.receipt(Receipt { id: Some(id.clone()), ..receipt });
            work.file.keep_half_made(&mut new_file, &secret, &receipt)?;
            Ok(receipt)
        });
        match kept {
            Ok(receipt) => Ok((secret, receipt)),
            Err(failure) => {
                work.file.remove_new();
                let _ = self.account.delete_key(&work.name, &id).await;
                Err(failure.leaving("the new key was deleted"))
            }
        }
    }

    /// IAM lets a user have two keys: deletes those of this file whose secrets are lost, and refuses to
    /// delete any other.
    async fn make_room(&self, work: &Work<'_>) -> Result<(), Failure> {
        const MOST: usize = 2;
        let in_use = work.found.proven().and_then(|receipt| receipt.id.as_ref());
        let lost: Vec<&TokenId> = work.replaced.iter().filter(|id| Some(*id) != in_use).collect();
        if work.has.keys.len() < MOST {
            return Ok(());
        }
        if lost.is_empty() {
            let ids: Vec<&str> = work.has.keys.iter().map(|key| key.id.as_str()).collect();
            return Err(Failure::rejected(
                format!("the user {} has two keys already: {}", work.name, ids.join(" and ")),
                "delete the one that nobody uses with `homing token revoke --id ID`",
            )
            .leaving("no key was made"));
        }
        for id in lost {
            self.delete(&work.name, id).await?;
        }
        Ok(())
    }

    /// Deletes the keys that this file has had before.
    async fn end_replaced(&self, work: &Work<'_>) -> Result<(), Failure> {
        for id in &work.replaced {
            self.delete(&work.name, id).await?;
        }
        work.file.remove_new();
        let known = work.file.look(true)?.receipt;
        match known.filter(|receipt| !receipt.replaces.is_empty()) {
            Some(receipt) => work.file.write_receipt(&Receipt { replaces: Vec::new(), ..receipt }),
            None => Ok(()),
        }
    }

    /// Deletes one key.
    pub(super) async fn delete(&self, name: &str, id: &TokenId) -> Result<bool, Failure> {
        self.account.delete_key(name, id).await.map_err(|trouble| {
            of_management(&trouble, &format!("deleting the key {id}"))
                .leaving(format!("the key {id} may still be there"))
        })
    }
}

impl Work<'_> {
    /// Keeps the key in use, and writes into its receipt what has changed.
    fn keep(&self) -> Result<(), Failure> {
        let Some(known) = self.found.proven() else { return Ok(()) };
        let proven = known.proven.or_else(|| Some(clock::wall()));
        let receipt = Receipt { proven, beyond: None, revoked: None, ..known.clone() };
        let receipt = self.receipt(receipt);
        if receipt == *known {
            self.file.confirm_receipt()
        } else {
            self.file.write_receipt(&receipt)
        }
    }

    fn tell(&self, line: &str) {
        out(&format!("{}: {line}", self.holder.label()));
    }

    /// Prints what will be done; returns whether there is anything.
    fn tell_plan(&self) -> bool {
        let mut lines = Vec::new();
        if self.has.arn.is_none() {
            lines.push(format!("  + user {}", self.name));
        }
        if !self.has.has_policy(&self.policy) {
            let sign = if self.has.policy.is_some() { '~' } else { '+' };
            lines.push(format!("  {sign} policy {POLICY}{}", with_limits(&self.limits)));
            for rule in self.job.rules() {
                lines.push(format!("  + {rule}"));
            }
        }
        lines.extend(self.has.others.iter().map(|other| format!("  - {}", other.words())));
        if self.kept.is_none() {
            if let Some(why) = self.why() {
                lines.push(format!("  {why}"));
            }
            if self.found.secret.is_some() && self.found.proven().is_none() {
                lines.push(self.file.living_on_in_words(&self.file.old_path()));
            }
            lines.push("  + key".to_owned());
        }
        lines.extend(self.replaced.iter().map(|id| format!("  - key {id}")));
        tell_plan(self.holder, self.file, &lines, &self.limits)
    }

    /// Why the key in use cannot stay, if there was one.
    fn why(&self) -> Option<String> {
        let file = self.file.path().display();
        if self.half_made().is_some() {
            return Some("continuing with the key that an interrupted run has made".to_owned());
        }
        match (&self.found.secret, &self.found.receipt) {
            (None, None) => None,
            (None, Some(_)) => Some(format!("the secret is lost: {file} is not there, or empty")),
            (Some(_), _) if self.found.proven().is_none() => {
                Some(format!("there is no receipt of the key in {file}"))
            }
            (Some(_), _) if self.replaced.is_empty() => {
                Some("the key in use was deleted or switched off".to_owned())
            }
            (Some(_), _) => None,
        }
    }

    /// The key that a cut run has made, if it works.
    fn half_made(&self) -> Option<(Secret, Receipt)> {
        let receipt = self.found.half_made.as_ref()?;
        let works = |id: &TokenId| self.has.keys.iter().any(|key| key.id == *id && key.is_active);
        let secret = self.file.next_secret().filter(|secret| receipt.is_of(secret))?;
        receipt.id.as_ref().is_some_and(works).then(|| (secret, receipt.clone()))
    }

    /// `receipt` with everything that this run decides.
    fn receipt(&self, receipt: Receipt) -> Receipt {
        let zone_id = |record: &Record| (record.duty.zone.clone(), record.zone_id.clone());
        let mut zone_ids: Vec<_> = self.job.records.iter().map(zone_id).collect();
        order::sort(&mut zone_ids);
        zone_ids.dedup();
        // The policy ends, not the key: its beginning is the end less its life.
        let created = match (self.job.expires, self.limits.max_age) {
            (Some(end), Some(age)) => Some(end.before(age)),
            _ => receipt.created.or_else(|| Some(whole_now())),
        };
        Receipt {
            name: self.name.clone(),
            duties: self.job.duties(),
            zone_ids,
            created,
            limits: self.limits.clone(),
            ..receipt
        }
    }
}
