//! The work on one holder's credential: which can stay, which are ended, and how that is told.

use std::net::IpAddr;

use super::Desk;
use crate::cli::TokenAction;
use crate::core::order;
use crate::core::provider::Reach;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::finding::Finding;
use crate::core::token::job::{Job, Record};
use crate::core::token::verdict::Weight;
use crate::core::token::{Key, Limits, Rule, TokenId};
use crate::os::clock;
use crate::os::say::out;
use crate::provider::maker::Made;
use crate::receipt::Receipt;
use crate::token::files::{Found, TokenFile};
use crate::token::job::tell_plan;
use crate::token::limits::{whole_now, with_limits};
use crate::token::{Failure, Holder};

/// The work on one holder's credential.
pub(super) struct Work<'a> {
    pub(super) holder: &'a Holder<'a>,
    pub(super) file: &'a TokenFile,
    pub(super) noun: &'static str,
    pub(super) found: Found,
    pub(super) job: Job,
    /// The addresses of the host, where the account shows them.
    pub(super) stands: Vec<IpAddr>,
    pub(super) limits: Limits,
    /// What becomes of the credentials in the account.
    pub(super) choice: Choice,
}

/// What becomes of the credentials in the account.
pub(super) struct Choice {
    /// The credential in use, if it can stay.
    pub(super) kept: Option<Made>,
    /// The credential of a cut run, which is not in place yet.
    pub(super) resumed: Option<(Made, Secret, Receipt)>,
    /// The credential whose secret is to be changed in place.
    pub(super) renewed: Option<Made>,
    /// Credentials of this file that are to be ended.
    pub(super) replaced: Vec<Made>,
    /// The host's only credential, which is not of this file.
    pub(super) foreign: Option<Made>,
}

impl Choice {
    /// Chooses among what the account `has`, by the files of a holder.
    pub(super) fn of(desk: &Desk<'_>, file: &TokenFile, found: &Found, has: &[Made]) -> Self {
        let (receipt, half) = (found.receipt.as_ref(), found.half_made.as_ref());
        let named = |id: &TokenId| has.iter().find(|made| made.id == *id).cloned();
        let own = found.proven().and_then(|receipt| receipt.id.as_ref());
        // What was made without an answer is known by its name alone.
        let is_lost =
            |made: &Made| half.is_some_and(|half| half.id.is_none() && half.name == made.name);
        // A secret that was changed in place may be that of the cut run, and what is wrong stays so.
        let is_in_place = desk.maker.is_in_place;
        let can_stay =
            |made: &Made| made.is_active && !(is_in_place && (is_lost(made) || !made.is_right));
        let kept = own.and_then(named).filter(can_stay);
        let kept = kept.filter(|_| desk.command.action == TokenAction::Issue);
        // One that a cut run has made is not needed where the one in use can stay.
        let resumed = half.filter(|_| kept.is_none()).and_then(|receipt| {
            let secret = file.next_secret().filter(|secret| receipt.is_of(secret))?;
            let lost = || has.iter().find(|made| desk.maker.has_own_secret && is_lost(made));
            let made = receipt.id.as_ref().map_or_else(|| lost().cloned(), named);
            let made = made.filter(|made| made.is_active && (made.is_right || !is_in_place))?;
            let id = Some(made.id.clone());
            Some((made, secret, Receipt { id, ..receipt.clone() }))
        });
        let ids: Vec<&TokenId> = receipt.into_iter().chain(half).flat_map(Receipt::ids).collect();
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
        Self { kept, resumed, renewed, replaced, foreign }
    }
}

impl Work<'_> {
    pub(super) fn tell(&self, line: &str) {
        out(&format!("{}: {line}", self.holder.label()));
    }

    /// The failure of a new credential that did not work.
    pub(super) fn not_proven(&self, why: &str) -> Failure {
        Failure::deferred(
            format!("the new {} failed its check: {why}", self.noun),
            "run the command again to continue",
        )
        .leaving("it is kept beside the one in use, which is as it was")
    }

    /// Refuses a host whose only credential is another's.
    pub(super) fn refuse_foreign(&self) -> Result<(), Failure> {
        let Some(made) = &self.choice.foreign else { return Ok(()) };
        let (host, noun, Made { id, name, .. }) = (self.holder.first(), self.noun, made);
        Err(Failure::rejected(
            format!("{host} has a {noun} that this file has no receipt of: {name}"),
            format!("use its password, or delete it by `homing token revoke --id {id}`"),
        )
        .leaving("nothing was changed"))
    }

    /// Keeps the credential in use, and writes into its receipt what has changed.
    pub(super) fn keep(&self, made: &Made) -> Result<(), Failure> {
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
    pub(super) fn forget_replaced(&self) -> Result<(), Failure> {
        self.file.remove_new();
        let known = self.file.look(true)?.receipt;
        match known.filter(|receipt| !receipt.replaces.is_empty()) {
            Some(receipt) => self.file.write_receipt(&Receipt { replaces: Vec::new(), ..receipt }),
            None => Ok(()),
        }
    }

    /// Prints what will be done; returns whether there is anything.
    pub(super) fn tell_plan(&self) -> bool {
        let noun = self.noun;
        let mut lines = Vec::new();
        let is_wrong = |it: &&Finding| it.stops_the_job() || it.weight() == Weight::TooPowerful;
        match &self.choice.kept {
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
                lines.push(match &self.choice.renewed {
                    Some(made) => format!("  ~ {noun} {}: another password", made.id),
                    None => format!("  + {noun}{}", with_limits(&self.limits)),
                });
                lines.extend(self.rules().iter().map(|rule| format!("  + {rule}")));
            }
        }
        lines.extend(self.choice.replaced.iter().map(|made| format!("  - {noun} {}", made.id)));
        tell_plan(self.holder, self.file, &lines, &self.limits)
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
        if self.choice.resumed.is_some() {
            return Some(format!("continuing with the {noun} that an interrupted run has made"));
        }
        match (&self.found.secret, &self.found.receipt) {
            _ if self.choice.renewed.is_some() => None,
            (None, None) => None,
            (None, Some(_)) => Some(format!("the secret is lost: {file} is not there, or empty")),
            (Some(_), _) if self.found.proven().is_none() => {
                Some(format!("there is no receipt of the {noun} in {file}"))
            }
            (Some(_), _) if self.choice.replaced.is_empty() => {
                Some(format!("the {noun} in use was deleted"))
            }
            (Some(_), _) if self.choice.replaced.iter().any(|made| !made.is_active) => {
                Some(format!("the {noun} in use has expired, or was switched off"))
            }
            (Some(_), _) => None,
        }
    }

    /// `receipt` with everything that this run decides.
    pub(super) fn receipt(&self, receipt: Receipt, made: Option<Timestamp>) -> Receipt {
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
