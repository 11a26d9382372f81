//! Audit: by the credential itself, which sees little; with the management credential by what the account
//! shows of it.

use super::{maker_of, manager_of, of_management, of_secret, refuse_misfits};
use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Reach;
use crate::core::token::desec::audit::{judge_limits, judge_use};
use crate::core::token::finding::{Finding, sort};
use crate::core::token::job::zones_of;
use crate::core::token::{Limits, way_round};
use crate::net::http::Clients;
use crate::provider::Trouble;
use crate::provider::maker::account::Account;
use crate::provider::maker::{Made, Maker, Task};
use crate::receipt::Receipt;
use crate::token::by_hand::credential_of;
use crate::token::job::{Zones, job};
use crate::token::limits::whole_now;
use crate::token::proof::judge_each;
use crate::token::show::{Audited, By};
use crate::token::subject::Subject;
use crate::token::{
    Failure, clients, holder, management, management_user, power, refuse_double_use,
};

/// What neither the credential nor its receipt shows.
const NOT_VISIBLE: &str = "its rights, which only the management credential may read";

/// What nobody can see, where no API lists credentials.
const NOT_LISTED: &str = "whether it still exists, and others for this host";

/// Judges the credentials of the hosts that `command` names; also returns the exit code for the others.
pub async fn of_tokens(
    config: &Config,
    issuer: Issuer,
    command: &TokenCommand,
) -> Result<(Exit, Vec<Audited>), Failure> {
    let maker = maker_of(issuer)?;
    refuse_misfits(maker, command)?;
    let holders = holder::asked(config, issuer, &command.hosts)?;
    let who = if issuer.is_managed_by_token() {
        let secret = management::secret(command.management_token_file.as_deref(), false);
        secret.map_err(Failure::of_configuration)?.map(of_secret)
    } else {
        management_user(command)?
    };
    if let Some(who) = &who {
        refuse_double_use(config, issuer, &who.secret)?;
    }
    let clients = clients(&holders);
    let judge = async |subject: &Subject<'_>| judged(maker, subject, who.as_ref(), &clients).await;
    Ok(judge_each(&holders, judge).await)
}

/// Judges one credential.
async fn judged(
    maker: &'static Maker,
    subject: &Subject<'_>,
    who: Option<&Credential>,
    clients: &Clients,
) -> Result<Audited, Failure> {
    let mut report = subject.report(By::Itself);
    report.hides_use = !maker.shows_use;
    let told = subject.secret.as_ref().and_then(|secret| (maker.by_form)(secret));
    if let Some(finding) = told {
        report.findings.push(finding);
    } else {
        if maker.asks_itself {
            look_by_itself(maker, subject, clients, &mut report).await;
        }
        match who.filter(|_| maker.is_listed) {
            Some(who) => {
                let manager = manager_of(maker, subject.holder.provider)?;
                let account = Account::new(maker, &manager, clients, who);
                by_management(maker, &account, subject, &mut report).await?;
            }
            None => {
                if !maker.is_listed {
                    report.by = By::Receipt;
                }
                by_itself(subject, clients, &mut report).await?;
            }
        }
    }
    if !maker.has_limits {
        // Nothing of this kind has an end.
        report.findings.retain(|finding| *finding != Finding::NoExpiry);
    }
    // The receipt and the provider may say the same.
    sort(&mut report.findings);
    report.findings.dedup();
    let user = if maker.is_by_user { " --management-user USER" } else { "" };
    report.put_in_order(|report, finding| {
        fix(maker, subject.holder.first(), report, finding).map(|fix| match fix {
            Fix::Command(command) => ["homing token ", &command, user].concat(),
            Fix::Sentence(sentence) => sentence,
        })
    });
    Ok(report)
}

/// Asks, as the credential itself, which one it is and whether the provider accepts it.
async fn look_by_itself(
    maker: &'static Maker,
    subject: &Subject<'_>,
    clients: &Clients,
    report: &mut Audited,
) {
    let Some(secret) = &subject.secret else { return };
    let itself = of_secret(secret.clone());
    let account = Account::new(maker, subject.holder.provider, clients, &itself);
    match account.who().await {
        Ok(id) => {
            report.is_valid = Some(true);
            report.is_anothers = report.id.as_ref().is_some_and(|known| *known != id);
            report.id = Some(id);
        }
        Err(trouble) if trouble.is_credential() => report.is_valid = Some(false),
        Err(trouble) => {
            report.findings.push(Finding::untold("the server takes it", trouble));
        }
    }
}

/// What the credential itself and its receipt show.
async fn by_itself(
    subject: &Subject<'_>,
    clients: &Clients,
    report: &mut Audited,
) -> Result<(), Failure> {
    let is_listed = report.by != By::Receipt;
    report.not_visible.push(if is_listed { NOT_VISIBLE } else { NOT_LISTED });
    if report.is_valid == Some(false) {
        report.findings.push(Finding::Lapsed);
        return Ok(());
    }
    if report.is_valid == Some(true) {
        let seen = power::of_holder(subject.holder, clients).await?;
        report.tried = seen.tried;
        report.expires = report.expires.or(seen.expires);
        report.findings.extend(seen.findings);
    }
    let is_asked = report.is_valid.is_some();
    let untold = |why: &str| Finding::untold("it is narrow", why);
    let Some(receipt) = &subject.receipt else {
        report.findings.extend((!is_asked).then(|| untold("there is no receipt")));
        return Ok(());
    };
    if let Some(beyond) = &receipt.beyond {
        report.findings.push(untold(&format!("an audit found more: {beyond}")));
    } else if receipt.proven.is_some() && !report.is_anothers {
        // The account has shown what the requests cannot.
        let is_weaker = |it: &Finding| matches!(it, Finding::NotProven(_) | Finding::Reaches(_));
        report.findings.retain(|finding| !is_weaker(finding));
        note_receipt(subject, receipt, report);
    } else if !is_asked {
        report.findings.push(untold("no audit of it has succeeded"));
    }
    Ok(())
}

/// Notes what a receipt proves.
fn note_receipt(subject: &Subject<'_>, receipt: &Receipt, report: &mut Audited) {
    let is_for = |host: &Hostname| receipt.duties.iter().any(|duty| duty.host == *host);
    if !subject.holder.names().iter().all(is_for) {
        let why = "its receipt is for other hosts";
        report.findings.push(Finding::untold("it may do its job", why));
    }
    if subject.holder.provider.reach == Some(Reach::Zone) {
        let zones = zones_of(&receipt.duties);
        report.findings.extend(zones.into_iter().map(Finding::WritesZone));
    }
    report.duties.clone_from(&receipt.duties);
    let end = report.expires;
    report.findings.extend(judge_limits(&receipt.limits, end, whole_now()));
    report.findings.dedup();
}

/// What the account shows of the credential.
async fn by_management(
    maker: &'static Maker,
    account: &Account<'_>,
    subject: &Subject<'_>,
    report: &mut Audited,
) -> Result<(), Failure> {
    report.by = By::Management;
    let failed = |trouble: &Trouble, doing: &str| of_management(maker, trouble, doing);
    let receipt = subject.receipt.as_ref();
    let limits = receipt.map(|receipt| receipt.limits.clone()).unwrap_or_default();
    let limits = (&limits, receipt.and_then(Receipt::expires));
    let asker = account.asker();
    let zones = if maker.finds_zones { Zones::Asked(asker) } else { Zones::Unknown };
    let job = job(zones, subject.holder, receipt, limits, &failed).await?;
    let told = account.perform(&Task::Look, &job).await;
    let has = told.map_err(|trouble| failed(&trouble, "looking at the account"))?.made;
    // A login is the name of its credential.
    let login = match &subject.secret {
        Some(secret) => credential_of(subject.holder, secret)?.login,
        None => String::new(),
    };
    let named = has.iter().find(|made| !login.is_empty() && made.name == login);
    let named = named.map(|made| made.id.clone());
    let Some(id) = named.or_else(|| report.id.clone()) else {
        report.findings.push(Finding::untold("what it may do", "its id is not known"));
        return Ok(());
    };
    report.duties = job.duties();
    report.id = Some(id.clone());
    let Some(made) = has.iter().find(|made| made.id == id) else {
        // One that works and is not here is of another account.
        report.findings.push(match report.is_valid {
            Some(true) => {
                Finding::BelongsToAnother("the management credential does not show it".to_owned())
            }
            _ => Finding::Gone,
        });
        return Ok(());
    };
    note_made(made, report);
    let others = has.iter().filter(|other| other.is_for_job && other.id != id);
    let host = subject.holder.first();
    report.findings.extend(
        others.map(|other| Finding::Double { host: host.clone(), other: other.id.clone() }),
    );
    report.findings.dedup();
    Ok(())
}

/// Notes what the account shows of the credential.
fn note_made(made: &Made, report: &mut Audited) {
    let now = whole_now();
    report.name = Some(made.name.clone());
    report.last_used = made.last_used;
    report.findings.extend(made.findings.iter().cloned());
    if !made.is_active || report.is_valid == Some(false) {
        report.findings.push(Finding::Lapsed);
    }
    // Of an end that was changed, the receipt says from when it counts.
    if report.created.is_none() || report.expires != made.expires {
        report.created = made.created;
    }
    report.expires = made.expires;
    let max_age = made.expires.zip(report.created).map(|(end, begin)| end.since(begin));
    let limits = Limits { max_age, max_unused: None, subnets: made.subnets.clone() };
    report.findings.extend(judge_use(made.created, made.last_used, now));
    report.findings.extend(judge_limits(&limits, made.expires, now));
    report.limits = Some(limits);
}

/// The fix of a finding.
enum Fix {
    /// A command of `homing token`, without these words.
    Command(String),
    /// A sentence.
    Sentence(String),
}

/// The fix of a finding, if there is one.
fn fix(maker: &Maker, host: &Hostname, report: &Audited, finding: &Finding) -> Option<Fix> {
    let by = |action: String| Some(Fix::Command(action));
    match finding {
        Finding::Untold { .. } if report.by == By::Itself => {
            let file = if maker.is_by_user { "" } else { " --management-token-file FILE" };
            by(format!("audit {host}{file}"))
        }
        Finding::Untold { .. } if report.by == By::Receipt => by(format!("issue {host}")),
        Finding::Untold { .. }
        | Finding::NotProven(_)
        | Finding::NeverUsed
        | Finding::Unused(_) => None,
        Finding::NoExpiry => by(format!("issue {host} --max-age 365d")),
        Finding::Subnets(_) => by(format!("issue {host} --allow-subnet any")),
        Finding::ExpiresSoon(_) => by(format!("rotate {host}")),
        Finding::Double { other, .. } => by(format!("revoke --id {other}")),
        Finding::Reaches(_) | Finding::WritesZone(_) => {
            Some(Fix::Sentence(way_round(host.as_str())))
        }
        _ => by(format!("issue {host}")),
    }
}
