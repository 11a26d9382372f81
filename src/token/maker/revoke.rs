//! Revoke: ends the credentials that a receipt names, whatever the file holds; or one by its id.

use super::Desk;
use crate::core::token::job::Job;
use crate::core::token::{Limits, TokenId};
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::maker::Made;
use crate::receipt::{Receipt, read_receipt};
use crate::token::files::TokenFile;
use crate::token::job::job;
use crate::token::{Failure, Holder, tell_dead_secret};

impl Desk<'_> {
    /// Ends the credentials of one holder.
    pub(super) async fn revoke(
        &self,
        holder: &Holder<'_>,
        file: &TokenFile,
    ) -> Result<(), Failure> {
        let server = self.server();
        let found =
            file.look(self.command.dry_run)?.only(&|receipt: &Receipt| receipt.server == server);
        let (label, noun) = (holder.label(), self.maker.noun);
        found.remarks.iter().for_each(|remark| out(&format!("{label}: {remark}")));
        let (receipt, half_made) = (found.receipt.as_ref(), found.half_made.as_ref());
        let known: Vec<&Receipt> = receipt.into_iter().chain(half_made).collect();
        let ids: Vec<&TokenId> = known.iter().flat_map(|receipt| receipt.ids()).collect();
        if ids.is_empty() && half_made.is_none() {
            let path = file.path().display();
            return Err(Failure::rejected(
                format!("there is no receipt beside {path}, so the {noun} is not known"),
                format!("`homing token revoke --id ID` deletes a {noun} by its id"),
            )
            .leaving("nothing was changed"));
        }
        let job = self.job_of(holder).await?;
        let is_lost =
            |made: &Made| half_made.is_some_and(|half| half.id.is_none() && half.name == made.name);
        let has = self.look(&job, &known).await?.made;
        let ours: Vec<&Made> =
            has.iter().filter(|made| ids.contains(&&made.id) || is_lost(made)).collect();
        for made in &ours {
            out(&format!("{label}: - {noun} {}", made.id));
            if !self.command.dry_run {
                self.end(made, &job).await?;
            }
        }
        if ours.is_empty() {
            out(&format!("{label}: nothing to do; its {noun} does not exist any more"));
        }
        if self.command.dry_run {
            return Ok(());
        }
        file.revoked(receipt)?;
        if found.secret.is_some_and(|secret| known.iter().any(|it| it.is_of(&secret))) {
            tell_dead_secret(holder, file);
        }
        Ok(())
    }

    /// Ends the credential with this id, wherever the zones of `holders` show it.
    pub(super) async fn revoke_by_id(
        &self,
        id: &TokenId,
        holders: &[Holder<'_>],
    ) -> Result<(), Failure> {
        let noun = self.maker.noun;
        for holder in holders {
            let job = self.job_of(holder).await?;
            let receipt = holder.file().and_then(|file| read_receipt(file).ok().flatten());
            let known: Vec<&Receipt> = receipt.iter().collect();
            let has = self.look(&job, &known).await?.made;
            if let Some(made) = has.iter().find(|made| made.id == *id) {
                out(&format!("- {noun} {id} {:?}", made.name));
                if !self.command.dry_run {
                    self.end(made, &job).await?;
                }
                return Ok(());
            }
        }
        out(&format!("{noun} {id}: nothing to do; there is no such {noun}"));
        Ok(())
    }

    /// The job of a holder's credential, without limits.
    async fn job_of(&self, holder: &Holder<'_>) -> Result<Job, Failure> {
        let failed = |trouble: &Trouble, doing: &str| self.failure(trouble, doing);
        let limits = Limits::default();
        job(self.zones(), holder, None, (&limits, None), &failed).await
    }
}
