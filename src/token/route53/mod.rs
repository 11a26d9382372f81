//! Keys of Amazon Route 53: made narrow by IAM, judged by its simulator, rotated and revoked.
//!
//! Each token file has a user of its own below `/homing/`, whose one policy allows to set its hosts'
//! records. The policy is written before the key is made, so that a run that is cut at any request
//! leaves no key that can write more. The management user is an access key that may use IAM.

mod audit;
mod issue;
mod revoke;

pub use self::audit::of_tokens;

use super::files::TokenFile;
use super::limits::asked;
use super::{
    Failure, Holder, clients, common_provider, holder, management_user, refuse_options, serve_each,
};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::{Config, HostConfig};
use crate::core::exit::Exit;
use crate::core::plan::WhenGone;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::finding::Finding;
use crate::core::token::route53::{Job, LONGEST_POLICY, Record, user_in};
use crate::core::token::{Duty, Limits, SHORTEST};
use crate::net::http::Clients;
use crate::os::clock;
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::route53::{Account, Holdings};
use crate::receipt::Receipt;

/// A command with the account that it is about.
struct Desk<'a> {
    command: &'a TokenCommand,
    clients: &'a Clients,
    account: Account<'a>,
}

/// Runs any command except `audit`.
pub async fn run(config: &Config, command: &TokenCommand) -> Result<Exit, Failure> {
    refuse_misfits(command)?;
    let mut holders = holder::asked(config, Issuer::Route53, &command.hosts)?;
    if command.hosts.is_empty() && command.id.is_none() {
        leave_written_ids(&mut holders);
        if holders.is_empty() {
            return Ok(Exit::Right);
        }
    }
    let provider = common_provider(&holders)?;
    let clients = clients(&holders);
    let management = management_user(command)?.ok_or_else(|| {
        Failure::usage(
            "an access key that may use IAM is missing",
            "give --management-user ID, whose secret is asked for, or read from \
             --management-password-file FILE",
        )
    })?;
    let desk =
        Desk { command, clients: &clients, account: Account::new(provider, &clients, &management) };
    if let Some(id) = &command.id {
        desk.revoke_by_id(id).await?;
        return Ok(Exit::Right);
    }
    let serve = async |holder: &Holder<'_>, file: &TokenFile| match command.action {
        TokenAction::Revoke => desk.revoke(holder, file).await,
        TokenAction::Audit | TokenAction::Issue | TokenAction::Rotate => {
            desk.serve(holder, file).await
        }
    };
    serve_each(command, &holders, serve).await
}

/// Refuses options that IAM has nothing for.
fn refuse_misfits(command: &TokenCommand) -> Result<(), Failure> {
    let limits = &command.limits;
    let options = [
        ("--max-unused", limits.max_unused != Ask::Keep, "leave it out"),
        ("--create-domain", command.create_domain.is_some(), "make the zone in Route 53"),
        ("--name", command.name.is_some(), "leave it out"),
        ("--logout", command.logout, "name the host, with --management-user"),
    ];
    refuse_options(&options, ": keys of AWS have no such thing")
}

/// The failure after IAM's answer to the management user.
fn of_management(trouble: &Trouble, doing: &str) -> Failure {
    let next = match trouble {
        _ if trouble.is_credential() => "check --management-user and its secret",
        _ if trouble.is_forbidden() => {
            "give the management user the right that is named, and run the command again"
        }
        _ => "change what the server complains about",
    };
    Failure::of_server(trouble, doing, next)
}

/// The key in the secret of `holder`: its id and its secret.
fn key_of(holder: &Holder<'_>, secret: &Secret) -> Result<Credential, Failure> {
    let username = holder.hosts[0].username.clone();
    let entry = holder.provider.http.as_ref();
    let parts = entry.map(|entry| entry.credential_in(secret, username.is_some()));
    let parts = parts.unwrap_or_else(|| Ok((None, secret.clone())));
    let (login, secret) = parts.map_err(|what| {
        Failure::configuration(format!("its file {what}"), "`homing token issue` writes both")
    })?;
    Ok(Credential { login: username.or(login).unwrap_or_default(), secret })
}

/// Whether the id of a holder's key is in the configuration, as that of a key made by hand is.
fn has_written_id(holder: &Holder<'_>) -> bool {
    holder.hosts.iter().any(|host| host.username.is_some())
}

/// Leaves out keys made by hand, where all hosts are meant, and says so.
fn leave_written_ids(holders: &mut Vec<Holder<'_>>) {
    holders.retain(|holder| {
        let is_by_hand = has_written_id(holder);
        if is_by_hand {
            let what = "left alone: its key was made by hand, because its [[host]] has a username";
            out(&format!("{}: {what}", holder.label()));
        }
        !is_by_hand
    });
}

/// Refuses hosts whose key's id is in the configuration: it changes with the key.
fn refuse_written_ids(holder: &Holder<'_>) -> Result<(), Failure> {
    match holder.hosts.iter().find(|host| host.username.is_some()) {
        None => Ok(()),
        Some(host) => {
            let name = &host.host.key.host;
            Err(Failure::configuration(
                format!("the [[host]] of {name} has a username, which a new key would not have"),
                "remove username there: the file will hold the key's id as well",
            ))
        }
    }
}

/// The limits for the key of `receipt`, and when they end: a life that stays keeps its end.
fn limits_of(
    command: &TokenCommand,
    receipt: Option<&Receipt>,
    now: Timestamp,
) -> Result<(Limits, Option<Timestamp>), Failure> {
    let before = receipt.map(|receipt| receipt.limits.clone()).unwrap_or_default();
    let limits = asked(&command.limits, &before);
    if limits.subnets.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::usage(
            "--allow-subnet: a key without any network cannot be used",
            "name a network, or any",
        ));
    }
    let kept = receipt.and_then(Receipt::expires).filter(|end| {
        command.action == TokenAction::Issue
            && limits.max_age == before.max_age
            && *end > now.after(SHORTEST)
    });
    let end = limits.max_age.map(|age| kept.unwrap_or_else(|| now.after(age)));
    Ok((limits, end))
}

/// Whether the records of `host` may be deleted.
fn removes(host: &HostConfig) -> bool {
    matches!(host.host.when_gone, WhenGone::Remove { .. })
}

/// The job of a holder's key. Zones are asked from `account`; without one the receipt must name them.
async fn job(
    account: Option<&Account<'_>>,
    holder: &Holder<'_>,
    receipt: Option<&Receipt>,
    limits: (&Limits, Option<Timestamp>),
) -> Result<Job, Failure> {
    let mut records = Vec::new();
    for host in &holder.hosts {
        let name = &host.host.key.host;
        let known = receipt.and_then(|receipt| receipt.zone_of(name));
        let (zone, zone_id) = match (account, known) {
            (Some(account), _) => {
                let found = account.zone(name, host.host.zone.as_ref()).await;
                found.map_err(|trouble| {
                    of_management(&trouble, &format!("looking for the zone of {name}"))
                })?
            }
            (None, Some((zone, id))) => (zone.clone(), id.to_owned()),
            (None, None) => {
                let what = format!("the zone of {name} is not known");
                return Err(Failure::configuration(what, "run the audit with --management-user"));
            }
        };
        let duty = Duty { host: name.clone(), zone, families: host.host.in_use() };
        records.push(Record { duty, zone_id, removes: removes(host) });
    }
    let (limits, expires) = limits;
    Ok(Job { records, expires, subnets: limits.subnets.clone() })
}

/// Refuses a job whose policy IAM does not take.
fn checked_policy(job: &Job, partition: &str) -> Result<String, Failure> {
    let policy = job.policy(partition);
    if policy.len() > LONGEST_POLICY {
        return Err(Failure::configuration(
            format!(
                "the policy for {} hosts has {} characters, and IAM takes {LONGEST_POLICY}",
                job.records.len(),
                policy.len()
            ),
            "give these hosts several token files",
        ));
    }
    Ok(policy)
}

/// Refuses a user of the right name that Homing did not make.
fn refuse_foreign_user(name: &str, has: &Holdings) -> Result<(), Failure> {
    match has.arn.as_deref().map(user_in) {
        None | Some(Some((_, true))) => Ok(()),
        Some(_) => Err(Failure::rejected(
            format!("the user {name} exists outside /homing/, so it is somebody else's"),
            "rename or delete that user in IAM",
        )
        .leaving("nothing was changed")),
    }
}

/// What the simulator says of the user with that ARN: the answers that are not as they should be.
async fn simulated(account: &Account<'_>, arn: &str, job: &Job) -> Result<Vec<Finding>, Trouble> {
    let mut findings = Vec::new();
    for question in job.questions(account.cloud().partition, whole_now()) {
        let is_allowed = account.simulate(arn, &question).await?;
        if is_allowed != question.is_job && !findings.contains(&question.finding) {
            findings.push(question.finding);
        }
    }
    Ok(findings)
}

/// The moment in whole seconds, as receipts and policies have it.
fn whole_now() -> Timestamp {
    Timestamp::from_secs(clock::wall().millis() / 1000)
}
