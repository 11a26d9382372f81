//! Proofs: an audit that finds a token narrow writes so into its receipt, for hosts with
//! `strict-token`.

use super::files::lock_directory;
use super::show::Audited;
use super::subject::{Subject, no_token};
use super::{Failure, Holder};
use crate::config::secret;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::finding::Finding;
use crate::core::token::upkeep::powers;
use crate::core::token::verdict::TokenVerdict;
use crate::core::token::{Api, Row, Rule};
use crate::os::clock;
use crate::os::disk::{self, Ownership};
use crate::receipt::{self, Receipt};

/// Lets `judge` judge the token of each holder, and notes in the receipts what that proves; also returns
/// the exit code for the holders whose token could not be judged.
pub async fn judge_each(
    holders: &[Holder<'_>],
    judge: impl AsyncFn(&Subject<'_>) -> Result<Audited, Failure>,
) -> (Exit, Vec<Audited>) {
    let mut exit = Exit::Right;
    let (mut audited, mut subjects) = (Vec::new(), Vec::new());
    for holder in holders {
        let judged = match Subject::of(holder) {
            Ok(Some(subject)) => {
                let judged = judge(&subject).await;
                subjects.push(subject);
                judged
            }
            Ok(None) => Err(no_token(holder)),
            Err(failure) => Err(failure),
        };
        match judged {
            Ok(report) => audited.push(report),
            Err(failure) => exit = exit.max(failure.tell_of(holder)),
        }
    }
    note_proofs(&subjects, &audited);
    (exit, audited)
}

/// Writes the results of audits into receipts, for status and for hosts with `strict-token`: a token is
/// narrow, or is not what its receipt proved. Writes changes only, and nothing if another process holds
/// the lock or if secret or receipt have changed since.
pub fn note_proofs(subjects: &[Subject<'_>], audited: &[Audited]) {
    for subject in subjects {
        let (Some(file), Some(secret)) = (subject.holder.file(), &subject.secret) else { continue };
        let about = |report: &&Audited| report.file.as_deref() == Some(file);
        let Some(report) = audited.iter().find(about) else { continue };
        let api_url = subject.holder.provider.api_url.as_deref().unwrap_or_default();
        let before = subject.receipt.as_ref();
        let Some(after) = noted(before, report, secret, api_url) else { continue };
        if before == Some(&after) {
            continue;
        }
        let Ok(real) = disk::real(file) else { continue };
        let Ok(_lock) = lock_directory(disk::directory(&real)) else { continue };
        let is_same = secret::read_secret(subject.holder.place).is_ok_and(|now| now == *secret)
            // A receipt that could not be read, or is of another token, is not overwritten.
            && receipt::read_receipt(file).is_ok_and(|now| now == subject.receipt);
        if let (true, Ok(ownership)) = (is_same, Ownership::of(&real)) {
            // If the receipt cannot be written, the audit is printed all the same.
            let _ = receipt::write_receipt(file, &after, ownership);
        }
    }
}

/// The receipt after an audit; `None` where the audit has nothing to write.
fn noted(
    before: Option<&Receipt>,
    report: &Audited,
    secret: &Secret,
    server: &str,
) -> Option<Receipt> {
    let verdict = report.verdict();
    if verdict.is_narrow() {
        return narrow(before, report, secret, server);
    }
    let before = before?;
    let had_proof = before.proven.is_some() || before.beyond.is_some();
    let unproven = Receipt { proven: None, ..before.clone() };
    match verdict {
        TokenVerdict::TooPowerful if had_proof => {
            Some(Receipt { beyond: Some(powers(&report.findings)), ..unproven })
        }
        TokenVerdict::Dead if had_proof && report.findings.contains(&Finding::Gone) => {
            let revoked = before.revoked.or_else(|| Some(clock::wall()));
            Some(Receipt { revoked, ..unproven })
        }
        _ if report.is_anothers => Some(unproven),
        // An inconclusive audit removes no proof.
        _ => None,
    }
}

/// A receipt for a narrow token, with everything that is known of it.
fn narrow(
    before: Option<&Receipt>,
    report: &Audited,
    secret: &Secret,
    server: &str,
) -> Option<Receipt> {
    let new = || {
        let is_old = |row: &Row| matches!(row.rule, Rule::Zone { .. });
        let is_old = report.rows.iter().flatten().any(is_old);
        let api = if is_old { Api::Zones } else { Api::Rows };
        Some(Receipt { api, ..Receipt::of(secret, server).ok()? })
    };
    let known = before.cloned().or_else(new)?;
    let covers = |host: &Hostname| report.duties.iter().any(|duty| duty.host == *host);
    // The audit judged the token for these hosts, so the proof is for them.
    let duties = if report.hosts.iter().all(covers) { &report.duties } else { &known.duties };
    // The file holds whole seconds.
    let whole = |at: Timestamp| Timestamp::from_secs(at.millis() / 1000);
    let proven = known.proven.or_else(|| Some(clock::wall()));
    Some(Receipt {
        id: report.id.clone().or(known.id),
        name: report.name.clone().unwrap_or(known.name),
        duties: duties.clone(),
        created: report.created.map(whole).or(known.created),
        limits: report.limits.clone().unwrap_or(known.limits),
        proven,
        beyond: None,
        revoked: None,
        ..known
    })
}
