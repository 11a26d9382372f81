//! Revoke: ends the user that a receipt names with all its keys, whatever the file holds; or one key by
//! its id.

use super::{Desk, of_management, refuse_foreign_user};
use crate::core::token::TokenId;
use crate::core::token::route53::{Attachment, POLICY};
use crate::os::say::out;
use crate::provider::Trouble;
use crate::receipt::Receipt;
use crate::token::files::TokenFile;
use crate::token::{Failure, Holder, tell_dead_secret};

impl Desk<'_> {
    /// Ends the user of one holder with all its keys.
    pub(super) async fn revoke(
        &self,
        holder: &Holder<'_>,
        file: &TokenFile,
    ) -> Result<(), Failure> {
        let dry_run = self.command.dry_run;
        let is_here = |receipt: &Receipt| receipt.server == self.account.server();
        let found = file.look(dry_run)?.only(&is_here);
        let label = holder.label();
        found.remarks.iter().for_each(|remark| out(&format!("{label}: {remark}")));
        let (receipt, half_made) = (found.receipt.as_ref(), found.half_made.as_ref());
        let Some(named) = receipt.or(half_made) else {
            let path = file.path().display();
            return Err(Failure::rejected(
                format!("there is no receipt beside {path}, so the key's user is not known"),
                "`homing token revoke --id ID` deletes a key by its id",
            )
            .leaving("nothing was changed"));
        };
        let lines = self.end_user(&named.name).await?;
        lines.iter().for_each(|line| out(&format!("{label}: - {line}")));
        if lines.is_empty() {
            out(&format!("{label}: nothing to do; its user does not exist any more"));
        }
        if dry_run {
            return Ok(());
        }
        file.revoked(receipt)?;
        if found.secret.is_some_and(|secret| named.is_of(&secret)) {
            tell_dead_secret(holder, file);
        }
        Ok(())
    }

    /// Deletes the keys of a user first, then what gives it rights, then itself; returns what there was.
    async fn end_user(&self, name: &str) -> Result<Vec<String>, Failure> {
        let failed = |trouble: &Trouble, doing: &str| {
            of_management(trouble, &format!("{doing} the user {name}"))
                .leaving("run the command again: what is left can do no more than before")
        };
        let has = self.account.holdings(name).await.map_err(|it| failed(&it, "looking at"))?;
        refuse_foreign_user(name, &has)?;
        let mut lines: Vec<String> = has.keys.iter().map(|key| format!("key {}", key.id)).collect();
        lines.extend(has.arn.iter().map(|_| format!("user {name}")));
        if self.command.dry_run || has.arn.is_none() {
            return Ok(lines);
        }
        for key in &has.keys {
            self.delete(name, &key.id).await?;
        }
        let own = has.policy.iter().map(|_| Attachment::Policy(POLICY.to_owned()));
        for what in has.others.iter().cloned().chain(own) {
            self.account.take(name, &what).await.map_err(|it| failed(&it, "taking rights from"))?;
        }
        self.account.delete_user(name).await.map_err(|it| failed(&it, "deleting"))?;
        Ok(lines)
    }

    /// Deletes one key of a user that Homing has made.
    pub(super) async fn revoke_by_id(&self, id: &TokenId) -> Result<(), Failure> {
        let failed = |trouble: &Trouble| {
            of_management(trouble, &format!("looking for the key {id}"))
                .leaving("nothing was changed")
        };
        let there = match self.account.user_of(id).await {
            Ok((name, _)) => {
                let has = self.account.holdings(&name).await.map_err(|it| failed(&it))?;
                refuse_foreign_user(&name, &has)?;
                Some(name).filter(|_| has.keys.iter().any(|key| key.id == *id))
            }
            Err(Trouble::NotThere(_)) => None,
            Err(trouble) => return Err(failed(&trouble)),
        };
        let Some(name) = there else {
            out(&format!("key {id}: nothing to do; there is no such key"));
            return Ok(());
        };
        out(&format!("- key {id} of the user {name}"));
        if !self.command.dry_run {
            self.delete(&name, id).await?;
        }
        Ok(())
    }
}
