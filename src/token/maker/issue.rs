//! Issue and rotate: the credential is made narrow, looked at, proven, and put in place; then what it
//! replaces is ended.

use std::net::IpAddr;
use std::time::Duration;

use super::Desk;
use crate::cli::TokenAction;
use crate::core::order;
use crate::core::provider::Reach;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::finding::{Finding, verdict};
use crate::core::token::job::{Job, Record};
use crate::core::token::verdict::Weight;
use crate::core::token::{Key, Limits, Rule, TokenId};
use crate::os::clock::{self, rfc3339_seconds};
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::maker::account::Account;
use crate::provider::maker::{Draft, Made, Task, Told};
use crate::receipt::Receipt;
use crate::token::by_hand::{credential_of, refuse_written_logins};
use crate::token::files::{Found, TokenFile};
use crate::token::job::job;
use crate::token::limits::{limits_of, warning, whole_now, with_limits};
use crate::token::{Failure, Holder};

/// How often a new credential is tried until the provider knows it everywhere, and the time between.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(1);

/// The work on one holder's credential.
struct Work<'a> {
    holder: &'a Holder<'a>,
    file: &'a TokenFile,
    noun: &'static str,
    found: Found,
    job: Job,
    /// The addresses of the host, where the account shows them.
    stands: Vec<IpAddr>,
    limits: Limits,
    /// The credential in use, if it can stay.
    kept: Option<Made>,
    /// The credential of a cut run, which is not in place yet.
    resumed: Option<(Made, Secret, Receipt)>,
    /// The credential whose secret is to be changed in place.
    renewed: Option<Made>,
    /// Credentials of this file that are to be ended.
    replaced: Vec<Made>,
    /// The host's only credential, which is not of this file.
    foreign: Option<Made>,
}

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
        let (made, secret) = match (&work.kept, &work.found.secret) {
            (Some(made), Some(secret)) => {
                let made = self.narrowed(&work, made).await?;
                work.keep(&made)?;
                (made, secret.clone())
            }
            _ => self.replace(&work).await?,
        };
        for replaced in &work.replaced {
            self.end(replaced, &work.job).await?;
        }
        work.forget_replaced()?;
        let done = if has_plan { "done" } else { "nothing to do" };
        let until = match work.job.expires {
            Some(end) => format!("works until {}", rfc3339_seconds(end)),
            None => "has no end".to_owned(),
        };
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
        let mut found = file.look(self.command.dry_run)?;
        let server = self.server();
        let is_here = |receipt: &Receipt| receipt.server == server;
        found.receipt = found.receipt.filter(is_here);
        found.half_made = found.half_made.filter(is_here);
        let receipt = found.receipt.as_ref();
        let (limits, expires) = limits_of(self.command, receipt, whole_now())?;
        let failed = |trouble: &Trouble, doing: &str| self.failure(trouble, doing);
        let job = job(self.zones(), holder, receipt, (&limits, expires), &failed).await?;
        let half = found.half_made.as_ref();
        let known: Vec<&Receipt> = receipt.into_iter().chain(half).collect();
        let Told { made: has, stands, .. } = self.look(&job, &known).await?;
        let named = |id: &TokenId| has.iter().find(|made| made.id == *id).cloned();
        let own = found.proven().and_then(|receipt| receipt.id.as_ref());
        // What was made without an answer is known by its name alone.
        let is_lost =
            |made: &Made| half.is_some_and(|half| half.id.is_none() && half.name == made.name);
        // A secret that was changed in place may be that of the cut run, and what is wrong stays so.
        let is_in_place = self.maker.is_in_place;
        let can_stay =
            |made: &Made| made.is_active && !(is_in_place && (is_lost(made) || !made.is_right));
        let kept = own.and_then(named).filter(can_stay);
        let kept = kept.filter(|_| self.command.action == TokenAction::Issue);
        // One that a cut run has made is not needed where the one in use can stay.
        let resumed = half.filter(|_| kept.is_none()).and_then(|receipt| {
            let secret = file.next_secret().filter(|secret| receipt.is_of(secret))?;
            let lost = || has.iter().find(|made| self.maker.has_own_secret && is_lost(made));
            let made = receipt.id.as_ref().map_or_else(|| lost().cloned(), named);
            let made = made.filter(|made| made.is_active && (made.is_right || !is_in_place))?;
            let id = Some(made.id.clone());
            Some((made, secret, Receipt { id, ..receipt.clone() }))
        });
        let ids: Vec<&TokenId> = known.iter().flat_map(|receipt| receipt.ids()).collect();
        let is_spared = |made: &Made| {
            let spared = [kept.as_ref(), resumed.as_ref().map(|(made, ..)| made)];
            spared.into_iter().flatten().any(|spared| spared.id == made.id)
        };
        let is_ours = |made: &&Made| ids.contains(&&made.id) || is_lost(made);
        let mut replaced: Vec<Made> =
            has.iter().filter(is_ours).filter(|made| !is_spared(made)).cloned().collect();
        let renewed = replaced.iter().position(|made| is_in_place && made.is_right);
        let renewed = renewed.map(|at| replaced.remove(at));
        let is_foreign = |made: &&Made| is_in_place && made.is_for_job && !is_ours(made);
        let foreign = has.iter().find(is_foreign).cloned();
        let noun = self.maker.noun;
        Ok(Work {
            holder,
            file,
            noun,
            found,
            job,
            stands,
            limits,
            kept,
            resumed,
            renewed,
            replaced,
            foreign,
        })
    }

    /// Makes a credential, or goes on with that of a cut run, proves it and puts it in place.
    async fn replace(&self, work: &Work<'_>) -> Result<(Made, Secret), Failure> {
        let (id, secret, receipt) = match (&work.resumed, &work.renewed) {
            (Some((made, secret, receipt)), _) => {
                if self.maker.is_in_place {
                    self.renew(work, made, secret).await?;
                }
                (made.id.clone(), secret.clone(), receipt.clone())
            }
            (None, Some(made)) => {
                let secret = Secret::new(&[&made.name, ":", &password()].concat());
                let receipt = self.begin(work, &secret, None, &made.name)?;
                self.renew(work, made, &secret).await?;
                let id = Some(made.id.clone());
                (made.id.clone(), secret, Receipt { id, ..receipt })
            }
            (None, None) => {
                // A host has one of these.
                for made in work.replaced.iter().filter(|_| self.maker.is_in_place) {
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
        let replaces = work.replaced.iter().map(|made| made.id.clone()).collect();
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
        let draft = (self.maker.draft)(&work.job, &number, &password());
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

/// A password of letters and digits with 120 bits.
fn password() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    let mut rest = clock::nonce();
    let count = LETTERS.len() as u128;
    let letter = |_| {
        let at = usize::try_from(rest % count).unwrap_or_default();
        rest /= count;
        char::from(LETTERS[at])
    };
    (0..20).map(letter).collect()
}

impl Work<'_> {
    fn tell(&self, line: &str) {
        out(&format!("{}: {line}", self.holder.label()));
    }

    /// The failure of a new credential that did not work.
    fn not_proven(&self, why: &str) -> Failure {
        Failure::deferred(
            format!("the new {} failed its check: {why}", self.noun),
            "run the command again to continue",
        )
        .leaving("it is kept beside the one in use, which is as it was")
    }

    /// Refuses a host whose only credential is another's.
    fn refuse_foreign(&self) -> Result<(), Failure> {
        let Some(made) = &self.foreign else { return Ok(()) };
        let (host, noun, Made { id, name, .. }) = (self.holder.first(), self.noun, made);
        Err(Failure::rejected(
            format!("{host} has a {noun} that this file has no receipt of: {name}"),
            format!("use its password, or delete it by `homing token revoke --id {id}`"),
        )
        .leaving("nothing was changed"))
    }

    /// Keeps the credential in use, and writes into its receipt what has changed.
    fn keep(&self, made: &Made) -> Result<(), Failure> {
        let Some(known) = self.found.proven() else { return Ok(()) };
        let proven = known.proven.or_else(|| Some(clock::wall()));
        let receipt = Receipt { proven, beyond: None, revoked: None, ..known.clone() };
        let receipt = self.receipt(receipt, made.created);
        if receipt == *known {
            self.file.confirm_receipt()
        } else {
            self.file.write_receipt(&receipt)
        }
    }

    /// Removes from the receipt, and from the disk, what was ended.
    fn forget_replaced(&self) -> Result<(), Failure> {
        self.file.remove_new();
        let known = self.file.look(true)?.receipt;
        match known.filter(|receipt| !receipt.replaces.is_empty()) {
            Some(receipt) => self.file.write_receipt(&Receipt { replaces: Vec::new(), ..receipt }),
            None => Ok(()),
        }
    }

    /// Prints what will be done; returns whether there is anything.
    fn tell_plan(&self) -> bool {
        let noun = self.noun;
        let mut lines = Vec::new();
        let is_wrong = |it: &&Finding| it.stops_the_job() || it.weight() == Weight::TooPowerful;
        match &self.kept {
            Some(made) if made.is_right => {}
            Some(made) => {
                lines.push(format!("  ~ {noun} {}{}", made.id, with_limits(&self.limits)));
                let wrong = made.findings.iter().filter(is_wrong);
                lines.extend(wrong.map(|finding| format!("  ~ it {finding}")));
            }
            None => {
                lines.extend(self.why().map(|why| format!("  {why}")));
                if self.found.secret.is_some() && self.found.proven().is_none() {
                    lines.push(self.file.living_on_in_words(&self.file.old_path()));
                }
                lines.push(match &self.renewed {
                    Some(made) => format!("  ~ {noun} {}: another password", made.id),
                    None => format!("  + {noun}{}", with_limits(&self.limits)),
                });
                lines.extend(self.rules().iter().map(|rule| format!("  + {rule}")));
            }
        }
        lines.extend(self.replaced.iter().map(|made| format!("  - {noun} {}", made.id)));
        if lines.is_empty() {
            return false;
        }
        out(&format!("{} ({})", self.holder.label(), self.file.path().display()));
        lines.iter().for_each(|line| out(line));
        warning(&self.limits).iter().for_each(|line| out(line));
        true
    }

    /// What the credential is to be allowed.
    fn rules(&self) -> Vec<Rule> {
        if self.holder.provider.reach != Some(Reach::Zone) {
            return self.job.rules();
        }
        let row = |zone: String| Rule::Row {
            key: Key { zone: Some(zone), ..Key::default() },
            write: true,
        };
        self.job.zones().iter().map(|zone| row(zone.to_string())).collect()
    }

    /// Why the credential in use cannot stay, if there was one.
    fn why(&self) -> Option<String> {
        let (file, noun) = (self.file.path().display(), self.noun);
        if self.resumed.is_some() {
            return Some(format!("continuing with the {noun} that an interrupted run has made"));
        }
        match (&self.found.secret, &self.found.receipt) {
            (None, None) => None,
            (None, Some(_)) => Some(format!("the secret is lost: {file} is not there, or empty")),
            (Some(_), _) if self.found.proven().is_none() => {
                Some(format!("there is no receipt of the {noun} in {file}"))
            }
            (Some(_), _) if self.replaced.is_empty() => {
                Some(format!("the {noun} in use was deleted"))
            }
            (Some(_), _) if self.replaced.iter().any(|made| !made.is_active) => {
                Some(format!("the {noun} in use has expired, or was switched off"))
            }
            (Some(_), _) => None,
        }
    }

    /// `receipt` with everything that this run decides.
    fn receipt(&self, receipt: Receipt, made: Option<Timestamp>) -> Receipt {
        let zone_id = |record: &Record| (record.duty.zone.clone(), record.zone_id.clone());
        let mut zone_ids: Vec<_> = self.job.records.iter().map(zone_id).collect();
        order::sort(&mut zone_ids);
        zone_ids.dedup();
        // An end that was changed counts from when the change began.
        let created = match (self.job.expires, self.limits.max_age) {
            (Some(end), Some(age)) => Some(end.before(age)),
            _ => receipt.created.or(made).or_else(|| Some(whole_now())),
        };
        let (duties, limits) = (self.job.duties(), self.limits.clone());
        Receipt { duties, zone_ids, created, limits, ..receipt }
    }
}
