//! Keys of Amazon Route 53: made narrow by IAM, judged by its simulator, rotated and revoked.
//!
//! Each token file has a user of its own below `/homing/`, whose one policy allows to set its hosts'
//! records. The policy is written before the key is made, so that a run that is cut at any request
//! leaves no key that can write more. The management user is an access key that may use IAM.

mod audit;
mod issue;
mod revoke;

pub use self::audit::of_tokens;

use super::by_hand::leave_written_logins;
use super::files::TokenFile;
use super::limits::whole_now;
use super::{
    Failure, Holder, clients, common_provider, holder, management_user, refuse_options, serve_each,
};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::protocol::manners::Issuer;
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;
use crate::core::token::route53::{LONGEST_POLICY, user_in};
use crate::net::http::Clients;
use crate::provider::Trouble;
use crate::provider::route53::{Account, Holdings};

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
        leave_written_logins(&mut holders, "key");
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
