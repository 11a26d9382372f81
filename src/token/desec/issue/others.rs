//! Tokens and receipts of others, which are reported and left alone, and what cut runs have left.

use super::{DesecIssuer, Job};
use crate::core::token::{OURS, Token, TokenId};
use crate::provider::Trouble;
use crate::receipt::Receipt;
use crate::token::Failure;
use crate::token::files::Found;
use crate::token::holder::Holder;

impl DesecIssuer<'_> {
    /// Leaves receipts alone that are of another server, or, unproven by a secret, of other hosts.
    pub(super) fn leave_foreign_receipts(
        &self,
        holder: &Holder<'_>,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let server = self.account.server();
        for receipt in found.receipt.iter().chain(&found.half_made) {
            if receipt.server != server {
                let (host, of) = (holder.first(), &receipt.server);
                return Err(Failure::configuration(
                    format!("a receipt there belongs to another server, {of}"),
                    format!(
                        "delete that token there (`homing token revoke {host}` with its \
                            management token), or move the receipt away"
                    ),
                )
                .leaving("nothing was changed"));
            }
        }
        let names = holder.names();
        let is_theirs =
            |receipt: &Receipt| !receipt.duties.iter().any(|duty| names.contains(&duty.host));
        if found.proven().is_none()
            && let Some(receipt) = found.receipt.take_if(|receipt| is_theirs(receipt))
        {
            let of = receipt.duties.first().map_or("no host", |duty| duty.host.as_str());
            found.remarks.push(format!("the receipt belongs to {of}; its token is unchanged"));
        }
        if let Some(half) = found.half_made.take_if(|half| is_theirs(half)) {
            let of = half.duties.first().map_or("no host", |duty| duty.host.as_str());
            found.remarks.push(format!("an incomplete token of {of} is unchanged"));
        }
        Ok(())
    }

    /// Deletes what cut runs have left: the token named by the receipt of a half-made token, and tokens
    /// of this name that were never used and allow nothing.
    pub(super) async fn clear_away(&mut self, job: &Job<'_>) -> Result<(), Failure> {
        let known = job.found.receipt.as_ref();
        let is_known = |id: &TokenId| known.is_some_and(|known| known.ids().any(|own| own == id));
        let half_made = job.found.half_made.iter().filter_map(|half| half.id.clone());
        let mut left: Vec<TokenId> = half_made.collect();
        let suspects: Vec<TokenId> = self
            .tokens
            .iter()
            .filter(|token| token.name == job.name && token.last_used.is_none())
            // Another token may have a name that a person chose; ours is made with auto_policy.
            .filter(|token| job.name.starts_with(OURS) || token.flags.auto_policy == Some(true))
            .map(|token| token.id.clone())
            .filter(|id| !is_known(id) && !left.contains(id))
            .collect();
        for id in suspects {
            match self.account.policies(&id).await {
                Ok(policies) if !policies.iter().any(|policy| policy.rule.allows()) => {
                    left.push(id);
                }
                Ok(_) | Err(Trouble::NotThere(_)) => {}
                Err(trouble) => {
                    let failure = self.failed(&trouble, "reading a token's policies");
                    return Err(failure.leaving("nothing was changed"));
                }
            }
        }
        for id in left {
            self.tell(&format!(
                "{}: - token {id}, which an interrupted run has left",
                job.holder.label()
            ));
            if !self.command.dry_run {
                self.delete(&id).await?;
            }
            self.tokens.retain(|token| token.id != id);
        }
        if job.found.half_made.is_some() && !self.command.dry_run {
            job.file.remove_new();
        }
        Ok(())
    }

    /// Names tokens that look like this holder's but are not proven to be: they are left alone.
    pub(super) fn report_others(&self, job: &Job<'_>, own: Option<&Token>) {
        let known = job.found.receipt.as_ref();
        let others = self.tokens.iter().filter(|token| {
            let is_known = known.is_some_and(|known| known.ids().any(|own| *own == token.id));
            token.name == job.name && own.is_none_or(|own| own.id != token.id) && !is_known
        });
        for other in others {
            let id = &other.id;
            self.tell(&format!(
                "{}: ! another token has the name {:?}; it is unchanged: `homing token revoke \
                    --id {id}` deletes it",
                job.holder.label(),
                other.name
            ));
        }
        if known.is_none_or(|known| known.id.is_none()) && job.found.secret.is_some() {
            self.tell(&format!(
                "{}: ! the token in {} has no receipt, so Homing may not have made it; it is \
                    unchanged: `homing token audit --all-tokens` shows it",
                job.holder.label(),
                job.file.path().display()
            ));
        }
    }
}
