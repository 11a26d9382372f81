//! Audit: by the key itself, which sees only whose it is; with a management user by everything that its
//! user has, and by IAM's simulator.

use super::{of_management, refuse_misfits, simulated};
use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::token::Row;
use crate::core::token::desec::audit::{judge_limits, judge_use};
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;
use crate::core::token::route53::{NOT_VISIBLE, is_root, user_in};
use crate::core::token::verdict::Weight;
use crate::net::http::Clients;
use crate::provider::Trouble;
use crate::provider::route53::{Account, Holdings};
use crate::receipt::Receipt;
use crate::token::by_hand::credential_of;
use crate::token::job::{Zones, job};
use crate::token::limits::whole_now;
use crate::token::proof::judge_each;
use crate::token::show::{Audited, By};
use crate::token::subject::Subject;
use crate::token::{Failure, clients, holder, management_user};

/// Judges the keys of the hosts that `command` names; also returns the exit code for the others.
pub async fn of_tokens(
    config: &Config,
    command: &TokenCommand,
) -> Result<(Exit, Vec<Audited>), Failure> {
    refuse_misfits(command)?;
    let holders = holder::asked(config, Issuer::Route53, &command.hosts)?;
    let management = management_user(command)?;
    let clients = clients(&holders);
    let judge = async |subject: &Subject<'_>| judged(subject, management.as_ref(), &clients).await;
    Ok(judge_each(&holders, judge).await)
}

/// Judges one key.
async fn judged(
    subject: &Subject<'_>,
    management: Option<&Credential>,
    clients: &Clients,
) -> Result<Audited, Failure> {
    let provider = subject.holder.provider;
    let mut report = subject.report(By::Itself);
    let mut owner = None;
    if let Some(secret) = &subject.secret {
        let key = credential_of(subject.holder, secret)?;
        report.id = key.login.parse().ok();
        match Account::new(provider, clients, &key).owner().await {
            Ok(arn) => {
                report.is_valid = Some(true);
                owner = Some(arn);
            }
            Err(trouble) if trouble.is_credential() => report.is_valid = Some(false),
            Err(trouble) => {
                report.findings.push(Finding::untold("the server takes it", trouble));
            }
        }
    }
    if owner.as_deref().is_some_and(is_root) {
        report.findings.push(Finding::IsRoot);
    } else if let Some(management) = management {
        let account = Account::new(provider, clients, management);
        by_management(&account, subject, owner.as_deref(), &mut report).await?;
    } else {
        by_itself(subject, owner.as_deref(), &mut report).await?;
    }
    report.put_in_order(|report, finding| fix(subject.holder.first(), report, finding));
    Ok(report)
}

/// What the key itself and its receipt show.
async fn by_itself(
    subject: &Subject<'_>,
    owner: Option<&str>,
    report: &mut Audited,
) -> Result<(), Failure> {
    report.not_visible = NOT_VISIBLE.to_vec();
    if report.is_valid == Some(false) {
        report.findings.push(Finding::Lapsed);
        return Ok(());
    }
    let narrow = "it is narrow";
    let untold = match (&subject.receipt, owner.map(user_in)) {
        (None, None | Some(Some((_, true)))) => "there is no receipt".to_owned(),
        (Some(receipt), _) if receipt.beyond.is_some() => {
            format!("an audit found more: {}", receipt.beyond.as_deref().unwrap_or_default())
        }
        (Some(receipt), Some(Some((name, true)))) if name == receipt.name => {
            if receipt.proven.is_none() {
                "no audit of it has succeeded".to_owned()
            } else {
                let limits = (&receipt.limits, receipt.expires());
                let job =
                    job(Zones::OfReceipt, subject.holder, Some(receipt), limits, &of_management)
                        .await?;
                if job.duties() != receipt.duties {
                    let why = "its receipt is for other hosts or families";
                    report.findings.push(Finding::untold("it may do its job", why));
                }
                note_limits(&job, report);
                return Ok(());
            }
        }
        (_, Some(_)) => {
            let owner = owner.unwrap_or_default();
            format!("it belongs to {owner}, which `homing token issue` did not make")
        }
        (Some(_), None) => "the server could not be asked".to_owned(),
    };
    report.findings.push(Finding::untold(narrow, untold));
    Ok(())
}

/// What the account shows of the key and of its user.
async fn by_management(
    account: &Account<'_>,
    subject: &Subject<'_>,
    owner: Option<&str>,
    report: &mut Audited,
) -> Result<(), Failure> {
    report.by = By::Management;
    let failed = |trouble: &Trouble| of_management(trouble, "looking at the key");
    let Some(id) = report.id.clone() else {
        report.findings.push(Finding::untold("what it may do", "the id of the key is not known"));
        return Ok(());
    };
    let named = owner.and_then(user_in).map(|(name, _)| name.to_owned());
    let of_receipt = subject.receipt.as_ref().map(|receipt| receipt.name.clone());
    let name = match (named, account.user_of(&id).await) {
        (_, Ok((name, used))) => {
            report.last_used = used;
            Some(name)
        }
        (named, Err(Trouble::NotThere(_))) => named.or(of_receipt),
        (named, Err(trouble)) => Some(named.ok_or_else(|| failed(&trouble))?),
    };
    let has = match &name {
        Some(name) => account.holdings(name).await.map_err(|trouble| failed(&trouble))?,
        None => Holdings::default(),
    };
    let Some((arn, key)) = has.arn.as_deref().zip(has.keys.iter().find(|key| key.id == id)) else {
        // A key that works and is not here is somebody else's.
        report.findings.push(match owner {
            Some(owner) => Finding::BelongsToAnother(owner.to_owned()),
            None => Finding::Gone,
        });
        return Ok(());
    };
    report.name = name;
    // The receipt's moment, if there is one, is that of the policy's end.
    report.created = report.created.or(key.created);
    if !key.is_active {
        report.findings.push(Finding::Lapsed);
    }
    let receipt = subject.receipt.as_ref();
    let limits = receipt.map(|receipt| receipt.limits.clone()).unwrap_or_default();
    let limits = (&limits, receipt.and_then(Receipt::expires));
    let job =
        job(Zones::Asked(account.asker()), subject.holder, receipt, limits, &of_management).await?;
    let simulated = simulated(account, arn, &job).await;
    report.findings.extend(simulated.map_err(|trouble| failed(&trouble))?);
    report.findings.extend(has.others.iter().map(|other| Finding::HasMore(other.words())));
    let is_right = has.has_policy(&job.policy(account.cloud().partition));
    if is_right {
        let row = |rule| Row { rule, decides: Vec::new() };
        report.rows = Some(job.rules().into_iter().map(row).collect());
    } else if report.findings.iter().all(|finding| finding.weight() != Weight::TooPowerful) {
        let why = "its policy is not the one that Homing writes";
        report.findings.push(Finding::untold("it may do nothing else", why));
    }
    let others = has.keys.iter().filter(|other| other.id != id);
    let host = subject.holder.first();
    report.findings.extend(
        others.map(|other| Finding::Double { host: host.clone(), other: other.id.clone() }),
    );
    report.findings.extend(judge_use(report.created, report.last_used, whole_now()));
    note_limits(&job, report);
    Ok(())
}

/// Notes the end and the networks of a job's policy.
fn note_limits(job: &Job, report: &mut Audited) {
    let now = whole_now();
    report.duties = job.duties();
    report.expires = job.expires;
    if job.expires.is_some_and(|end| end <= now) {
        report.findings.push(Finding::Lapsed);
    }
    let limits = report.limits.clone().unwrap_or_default();
    report.findings.extend(judge_limits(&limits, job.expires, now));
    report.findings.dedup();
}

/// The command that fixes a finding.
fn fix(host: &Hostname, report: &Audited, finding: &Finding) -> Option<String> {
    let by = |action: &str| Some(format!("homing token {action} --management-user ID"));
    match finding {
        Finding::Untold { .. } if report.by == By::Itself => by(&format!("audit {host}")),
        Finding::NoExpiry => by(&format!("issue {host} --max-age 365d")),
        Finding::Subnets(_) => by(&format!("issue {host} --allow-subnet any")),
        Finding::ExpiresSoon(_) => by(&format!("rotate {host}")),
        Finding::Double { other, .. } => by(&format!("revoke --id {other}")),
        Finding::NeverUsed | Finding::Unused(_) => None,
        _ => by(&format!("issue {host}")),
    }
}
