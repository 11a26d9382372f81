//! Proofs: an audit that found a token narrow is written down in its receipt, for the hosts that
//! want that (`strict-token`).

use super::files::lock_directory;
use super::show::Audited;
use super::subject::Subject;
use crate::clock;
use crate::config::secret;
use crate::core::secret::Secret;
use crate::core::token::audit::Verdict;
use crate::core::token::{Api, Limits};
use crate::disk::{self, Ownership};
use crate::receipt::{self, Receipt, Seal};

/// Writes down that a token was proven narrow, for the hosts that want that (`strict-token`). Only
/// what changes is written, not while somebody else is at work there, and not if anything there is
/// not what was judged any more.
pub fn note_proofs(subjects: &[Subject<'_>], audited: &[Audited]) {
    for subject in subjects {
        let (Some(file), Some(secret)) = (subject.holder.file(), &subject.secret) else { continue };
        let about = |report: &&Audited| report.file.as_deref() == Some(file);
        let narrow = audited.iter().find(about).is_some_and(|r| r.verdict() == Verdict::Narrow);
        if !narrow || subject.receipt.as_ref().is_some_and(|receipt| receipt.proven.is_some()) {
            continue;
        }
        let api_url = subject.holder.provider.api_url.as_deref().unwrap_or_default();
        let Ok(proven) = proof(subject.receipt.as_ref(), secret, api_url) else { continue };
        let Ok(real) = disk::real(file) else { continue };
        let Ok(_lock) = lock_directory(disk::directory(&real)) else { continue };
        let is_same = secret::read(subject.holder.place).is_ok_and(|now| now == *secret)
            // A receipt that could not be read, or is of another token, is not overwritten.
            && receipt::read(file).is_ok_and(|now| now == subject.receipt);
        if let (true, Ok(ownership)) = (is_same, Ownership::of(&real)) {
            // Whoever may not write there has learnt what is printed all the same.
            let _ = receipt::write(file, &proven, ownership);
        }
    }
}

/// The receipt that says so; without an id, because it was not Homing that made the token.
fn proof(receipt: Option<&Receipt>, secret: &Secret, api_url: &str) -> std::io::Result<Receipt> {
    let proven = Some(clock::wall());
    if let Some(receipt) = receipt {
        return Ok(Receipt { proven, ..receipt.clone() });
    }
    Ok(Receipt {
        id: None,
        name: String::new(),
        server: api_url.to_owned(),
        api: Api::Rows,
        duties: Vec::new(),
        created: None,
        limits: Limits::default(),
        seal: Seal::of(secret)?,
        proven,
        replaces: Vec::new(),
        rails: None,
        void_since: None,
    })
}
