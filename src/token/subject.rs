//! Subjects: tokens to audit, with the contents of their files.

use super::show::{Audited, By};
use super::{Failure, Holder};
use crate::config::secret::{self, SecretError};
use crate::core::protocol::manners::SecretKind;
use crate::core::secret::Secret;
use crate::core::token::TokenId;
use crate::core::token::finding::Finding;
use crate::os::say::err;
use crate::receipt::{self, Receipt};

/// A holder with the contents of its files.
pub struct Subject<'a> {
    /// The holder of the token.
    pub holder: &'a Holder<'a>,
    /// The secret; `None` if its file does not exist but a receipt does.
    pub secret: Option<Secret>,
    /// The receipt, if it is of this secret, or if the secret is lost.
    pub receipt: Option<Receipt>,
}

/// The failure of a host that has no token or key yet.
pub fn no_token(holder: &Holder<'_>) -> Failure {
    let path = holder.file().map(|path| path.display().to_string()).unwrap_or_default();
    let is_key = holder.provider.manners().secret == SecretKind::Key;
    let word = if is_key { "key" } else { "token" };
    let next = format!("`homing token issue {}` makes one", holder.first());
    Failure::configuration(format!("there is no {word} in {path}"), next)
}

impl<'a> Subject<'a> {
    /// Reads a holder's files; `None` when there is neither a token nor a receipt.
    pub fn of(holder: &'a Holder<'a>) -> Result<Option<Self>, Failure> {
        let receipt =
            holder.file().map_or(Ok(None), receipt::read_receipt).unwrap_or_else(|error| {
                err(&format!("{}: going on without the receipt: {error}", holder.label()));
                None
            });
        let secret = match secret::read_secret(holder.place) {
            Ok(secret) => Some(secret),
            Err(SecretError::Missing(_)) if receipt.is_some() => None,
            Err(SecretError::Missing(_)) => return Ok(None),
            Err(error) => return Err(Failure::of_configuration(error)),
        };
        let server = holder.provider.api_url.as_deref().unwrap_or_default();
        let fits = |receipt: &Receipt| {
            receipt.server == server && secret.as_ref().is_none_or(|own| receipt.is_of(own))
        };
        let receipt = receipt.filter(fits);
        Ok(Some(Self { holder, secret, receipt }))
    }

    /// A report about a token whose secret is lost, so that the server cannot be asked.
    pub fn without_secret(&self) -> Audited {
        let mut report = self.report(By::Itself);
        report.findings.push(Finding::untold("it is narrow", "its file is not there"));
        report
    }

    /// The token's id, if the receipt has it.
    pub fn id(&self) -> Option<&TokenId> {
        self.receipt.as_ref()?.id.as_ref()
    }

    /// A report about the token, without findings.
    pub fn report(&self, by: By) -> Audited {
        let receipt = self.receipt.as_ref();
        // A receipt that an audit wrote does not have the limits.
        let issued = receipt.filter(|known| known.created.is_some() && known.rails.is_none());
        Audited {
            hosts: self.holder.names(),
            file: self.holder.file().map(std::path::Path::to_owned),
            id: self.id().cloned(),
            expires: receipt.and_then(Receipt::expires),
            created: receipt.and_then(|receipt| receipt.created),
            limits: issued.map(|receipt| receipt.limits.clone()),
            is_ours: self.id().is_some(),
            ..Audited::by(by)
        }
    }
}
