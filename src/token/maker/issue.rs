//! Issue and rotate: the credential is made narrow, looked at, proven, and put in place; then what it
//! replaces is ended.

use std::net::IpAddr;
use std::time::Duration;

use super::Desk;
use super::work::{Choice, Work};
use crate::core::secret::Secret;
use crate::core::token::TokenId;
use crate::core::token::finding::verdict;
use crate::os::clock;
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::maker::account::Account;
use crate::provider::maker::{Draft, Made, Task, Told};
use crate::receipt::Receipt;
use crate::token::by_hand::{credential_of, refuse_written_logins};
use crate::token::files::TokenFile;
use crate::token::job::job;
use crate::token::limits::{limits_of, until, whole_now};
use crate::token::{Failure, Holder, random};

/// How often a new credential is tried until the provider knows it everywhere, and the time between.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(1);

impl<'a> Desk<'a> {
    /// Puts right the credential of one holder, or makes one where it is needed.
    pub(super) async fn serve(
        &self,
        holder: &'a Holder<'a>,
        file: &'a TokenFile,
    ) -> Result<(), Failure> {
        let noun = self.maker.noun;
        refuse_written_logins(holder, noun)?;
        if holder.hosts.len() > 1 && !self.maker.is_shared {
            let what = format!("a {noun} of this provider is for one host");
            return Err(Failure::configuration(what, "give each host a file of its own"));
        }
        let is_wildcard = holder.first().as_str().starts_with('*');
        if is_wildcard && !self.maker.takes_wildcards {
            let what = format!("a {noun} for * can change every name of its zone");
            return Err(Failure::configuration(what, "name the hosts one by one"));
        }
        let work = self.looked(holder, file).await?;
        work.refuse_foreign()?;
        work.found.remarks.iter().for_each(|remark| work.tell(remark));
        let has_plan = work.tell_plan();
        if self.command.dry_run {
            if !has_plan {
                work.tell("nothing to do");
            }
            return Ok(());
        }
        let (made, secret) = match (&work.choice.kept, &work.found.secret) {
            (Some(made), Some(secret)) => {
                let made = self.narrowed(&work, made).await?;
                work.keep(&made)?;
                (made, secret.clone())
            }
            _ => self.replace(&work).await?,
        };
        for replaced in &work.choice.replaced {
            self.end(replaced, &work.job).await?;
        }
        work.forget_replaced()?;
        let done = if has_plan { "done" } else { "nothing to do" };
        let until = until(work.job.expires);
        let (verdict, place) = (verdict(&made.findings), file.path().display());
        work.tell(&format!(
            "{done}; its {noun} is {verdict} and {until}; its secret is in {place}"
        ));
        if self.command.print {
            out(secret.expose());
        }
        Ok(())
    }

    /// Reads the files of a holder and what the account has.
    async fn looked(
        &self,
        holder: &'a Holder<'a>,
        file: &'a TokenFile,
    ) -> Result<Work<'a>, Failure> {
        let server = self.server();
        let found =
            file.look(self.command.dry_run)?.only(&|receipt: &Receipt| receipt.server == server);
        let receipt = found.receipt.as_ref();
        let (limits, expires) = limits_of(self.command, receipt, whole_now())?;
        let failed = |trouble: &Trouble, doing: &str| self.failure(trouble, doing);
        let job = job(self.zones(), holder, receipt, (&limits, expires), &failed).await?;
        let half = found.half_made.as_ref();
        let known: Vec<&Receipt> = receipt.into_iter().chain(half).collect();
        let Told { made: has, stands, .. } = self.look(&job, &known).await?;
        let choice = Choice::of(self, file, &found, &has);
        let noun = self.maker.noun;
        Ok(Work { holder, file, noun, found, job, stands, limits, choice })
    }

    /// Makes a credential, or goes on with that of a cut run, proves it and puts it in place.
    async fn replace(&self, work: &Work<'_>) -> Result<(Made, Secret), Failure> {
        let (id, secret, receipt) = match (&work.choice.resumed, &work.choice.renewed) {
            (Some((made, secret, receipt)), _) => {
                if self.maker.is_in_place {
                    self.renew(work, made, secret).await?;
                }
                (made.id.clone(), secret.clone(), receipt.clone())
            }
            (None, Some(made)) => {
                let secret = Secret::new(&[&made.name, ":", &password()?].concat());
                let receipt = self.begin(work, &secret, None, &made.name)?;
                self.renew(work, made, &secret).await?;
                let id = Some(made.id.clone());
                (made.id.clone(), secret, Receipt { id, ..receipt })
            }
            (None, None) => {
                // A host has one of these.
                for made in work.choice.replaced.iter().filter(|_| self.maker.is_in_place) {
                    self.end(made, &work.job).await?;
                }
                self.fresh(work).await?
            }
        };
        let known: Vec<&Receipt> = [&receipt].into_iter().chain(&work.found.receipt).collect();
        let Told { made: has, stands, .. } = self.look(&work.job, &known).await?;
        let made = has.iter().find(|made| made.id == id);
        let made = made.ok_or_else(|| work.not_proven("the account does not show it"))?;
        let made = self.narrowed(work, made).await?;
        // This machine may be outside the networks that the credential is for.
        if work.job.subnets.is_none() {
            self.prove(work, &id, &secret, &stands).await?;
        }
        // Without a receipt, the credential before may be in use for something else.
        if work.found.secret.is_some() && work.found.proven().is_none() {
            work.file.keep_old()?;
        }
        let replaces = work.choice.replaced.iter().map(|made| made.id.clone()).collect();
        let receipt = Receipt { proven: Some(clock::wall()), replaces, ..receipt };
        work.file.finish(&work.receipt(receipt, made.created))?;
        Ok((made, secret))
    }

    /// Writes the next secret with a receipt that names its credential.
    fn begin(
        &self,
        work: &Work<'_>,
        secret: &Secret,
        id: Option<TokenId>,
        name: &str,
    ) -> Result<Receipt, Failure> {
        let receipt = work.file.receipt_of(secret, self.server())?;
        let receipt = work.receipt(Receipt { id, name: name.to_owned(), ..receipt }, None);
        let mut file = work.file.begin()?;
        let kept = work.file.keep_half_made(&mut file, secret, &receipt);
        kept.map(|()| receipt).inspect_err(|_| work.file.remove_new())
    }

    /// Gives `made` the secret that is on the disk; the one in use works no more after that.
    async fn renew(&self, work: &Work<'_>, made: &Made, secret: &Secret) -> Result<(), Failure> {
        let (name, secret) = (made.name.clone(), Some(secret.clone()));
        let draft = Draft { name, id: None, secret, has_address: true };
        let told = self.account.perform(&Task::Renew(&draft), &work.job).await;
        told.map(drop).map_err(|trouble| {
            let failure =
                self.failure(&trouble, &format!("changing the {} {}", work.noun, made.id));
            if trouble.leaves_doubt() {
                return failure.then(self.maker.lost);
            }
            work.file.remove_new();
            failure.leaving("it is as it was")
        })
    }

    /// A new credential, on the disk with its receipt.
    async fn fresh(&self, work: &Work<'_>) -> Result<(TokenId, Secret, Receipt), Failure> {
        let number = format!("{:08x}", clock::nonce() & 0xffff_ffff);
        let draft = (self.maker.draft)(&work.job, &number, &password()?);
        let draft = Draft { has_address: !work.stands.is_empty(), ..draft };
        // The name first: if the answer is lost, the next run finds by it what was made.
        let placeholder = || Secret::new(&format!("not-made-yet-{number}"));
        let secret = draft.secret.clone().unwrap_or_else(placeholder);
        let receipt = self.begin(work, &secret, draft.id.clone(), &draft.name)?;
        let doing = format!("making the {}", work.noun);
        let told = self.account.perform(&Task::Make(&draft), &work.job).await;
        let told = told.map_err(|trouble| {
            let failure = self.failure(&trouble, &doing);
            if trouble.leaves_doubt() {
                return failure.then(self.maker.lost);
            }
            work.file.remove_new();
            failure.leaving("nothing was made")
        })?;
        let Some((id, secret)) = told.fresh else {
            let id = draft.id.filter(|_| draft.secret.is_some());
            let id = id.ok_or_else(|| work.not_proven("the account does not show it"))?;
            return Ok((id, secret, receipt));
        };
        match self.begin(work, &secret, Some(id.clone()), &draft.name) {
            Ok(receipt) => Ok((id, secret, receipt)),
            Err(failure) => {
                let _ = self.account.perform(&Task::End(&id), &work.job).await;
                Err(failure.leaving(format!("the new {} was deleted", work.noun)))
            }
        }
    }

    /// `made`, changed where it is not as it should be; an error if that does not help.
    async fn narrowed(&self, work: &Work<'_>, made: &Made) -> Result<Made, Failure> {
        if made.is_right {
            return Ok(made.clone());
        }
        let what = format!("{} {}", work.noun, made.id);
        let changed = self.account.perform(&Task::Change(made), &work.job).await;
        changed.map_err(|trouble| {
            self.failure(&trouble, &format!("changing the {what}"))
                .leaving("it is as it was, or as it should be")
        })?;
        if !self.maker.is_listed {
            return Ok(Made { is_right: true, ..made.clone() });
        }
        let has = self.look(&work.job, &[]).await?.made;
        let now = has.into_iter().find(|now| now.id == made.id);
        now.filter(|made| made.is_right).ok_or_else(|| {
            Failure::rejected(
                format!("the {what} is not as it was asked for"),
                format!("`homing token audit {}` shows what it can do", work.holder.first()),
            )
        })
    }

    /// Waits until the provider knows the credential, which then asks for what its job needs, or sets
    /// what stands.
    async fn prove(
        &self,
        work: &Work<'_>,
        id: &TokenId,
        secret: &Secret,
        stands: &[IpAddr],
    ) -> Result<(), Failure> {
        let who = credential_of(work.holder, secret)?;
        let clients = self.account.asker().clients;
        let itself = Account::new(self.maker, self.provider, clients, &who);
        let itself = itself.made_by(&self.account);
        let mut tries = TRIES;
        loop {
            let heard = if self.maker.asks_itself {
                itself.perform(&Task::Prove(id), &work.job).await.map(drop)
            } else {
                itself.confirm(self.provider, &who, work.holder.first(), stands).await
            };
            match heard {
                Err(trouble) if matches!(trouble, Trouble::Rejected(_)) && tries > 1 => {
                    tries -= 1;
                    tokio::time::sleep(BETWEEN).await;
                }
                Err(trouble) => return Err(work.not_proven(&trouble.to_string())),
                Ok(()) => return Ok(()),
            }
        }
    }
}

/// A password of letters and digits with 116 bits; none where the system has no random numbers.
fn password() -> Result<String, Failure> {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    let mut rest = u128::from_be_bytes(random()?);
    let count = LETTERS.len() as u128;
    let letter = |_| {
        let at = usize::try_from(rest % count).unwrap_or_default();
        rest /= count;
        char::from(LETTERS[at])
    };
    Ok((0..20).map(letter).collect())
}
