//! Credentials that a provider's API makes one by one, for each host, or for each zone where nothing
//! narrower is offered: issued, judged, rotated and revoked by one flow.
//!
//! `provider::maker` knows the requests of each provider. A credential is narrow from the request on that
//! makes it, and its name is on the disk before that request leaves, so that a run that is cut at any
//! request leaves nothing that can do more, and nothing that the next run does not find.

mod audit;
mod issue;
mod revoke;
mod work;

pub use self::audit::of_tokens;

use super::by_hand::leave_written_logins;
use super::files::TokenFile;
use super::job::Zones;
use super::{
    Failure, Holder, clients, common_provider, holder, management, management_user,
    refuse_double_use, refuse_options, serve_each,
};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::token::Duty;
use crate::core::token::job::Job;
use crate::provider::Trouble;
use crate::provider::maker::account::Account;
use crate::provider::maker::{self, Made, Maker, Task, Told};
use crate::receipt::Receipt;

/// A command with the account that it is about.
struct Desk<'a> {
    command: &'a TokenCommand,
    maker: &'static Maker,
    /// The provider of the hosts; its API may be described by another entry.
    provider: &'a Provider,
    account: Account<'a>,
}

/// Runs any command except `audit`.
pub async fn run(config: &Config, issuer: Issuer, command: &TokenCommand) -> Result<Exit, Failure> {
    let maker = maker_of(issuer)?;
    refuse_misfits(maker, command)?;
    let mut holders = holder::asked(config, issuer, &command.hosts)?;
    if command.hosts.is_empty() && command.id.is_none() {
        leave_written_logins(&mut holders, maker.noun);
        if holders.is_empty() {
            return Ok(Exit::Right);
        }
    }
    let provider = common_provider(&holders)?;
    let clients = clients(&holders);
    let who = match asked_of(issuer, command)? {
        Some(who) => who,
        None => of_secret(management(command)?),
    };
    refuse_double_use(config, issuer, &who.secret)?;
    let manager = manager_of(maker, provider)?;
    let account = Account::new(maker, &manager, &clients, &who);
    let desk = Desk { command, maker, provider, account };
    if let Some(id) = &command.id {
        desk.revoke_by_id(id, &holders).await?;
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

/// The management user, where a user with a password makes the credentials of `issuer`.
fn asked_of(issuer: Issuer, command: &TokenCommand) -> Result<Option<Credential>, Failure> {
    if issuer.is_managed_by_token() {
        return Ok(None);
    }
    let user = management_user(command)?.ok_or_else(|| {
        Failure::usage(
            "the account's login is missing",
            "give --management-user USER, whose password is asked for, or read from \
             --management-password-file FILE",
        )
    })?;
    Ok(Some(user))
}

/// The maker of the credentials of `issuer`.
fn maker_of(issuer: Issuer) -> Result<&'static Maker, Failure> {
    maker::of(issuer)
        .ok_or_else(|| Failure::configuration("no API makes such credentials one by one", ""))
}

/// The provider as its API is asked, if this build can ask it.
fn manager_of(maker: &Maker, provider: &Provider) -> Result<Provider, Failure> {
    let manager = maker.manager(provider).ok_or_else(|| {
        let what = format!("[provider.{}] has no api-url", provider.name);
        Failure::configuration(what, "add api-url there")
    })?;
    match manager.manners().feature.filter(|feature| !feature.is_here()) {
        None => Ok(manager),
        Some(feature) => Err(Failure::configuration(feature.refusal("this provider's API"), "")),
    }
}

/// The credential of an account that needs no login.
fn of_secret(secret: Secret) -> Credential {
    Credential { login: String::new(), secret }
}

/// Refuses options that the provider has nothing for.
fn refuse_misfits(maker: &Maker, command: &TokenCommand) -> Result<(), Failure> {
    let limits = &command.limits;
    let is_limited = maker.has_limits;
    let has_age = matches!(limits.max_age, Ask::Set(_)) && !is_limited;
    let has_networks = matches!(limits.subnets, Ask::Set(_)) && !is_limited;
    let options = [
        ("--max-age", has_age, "leave it out"),
        ("--allow-subnet", has_networks, "leave it out"),
        ("--max-unused", limits.max_unused != Ask::Keep, "leave it out"),
        ("--create-domain", command.create_domain.is_some(), "make the zone at the provider"),
        ("--name", command.name.is_some(), "leave it out"),
        ("--logout", command.logout, "leave it out"),
    ];
    refuse_options(&options, ": this provider has no such thing")
}

impl Desk<'_> {
    /// The failure after the account's answer to the management credential.
    fn failure(&self, trouble: &Trouble, doing: &str) -> Failure {
        of_management(self.maker, trouble, doing)
    }

    /// The base URL that receipts name.
    fn server(&self) -> &str {
        self.provider.api_url.as_deref().unwrap_or_default()
    }

    /// Where the zones of hosts come from.
    fn zones(&self) -> Zones<'_> {
        let asker = self.account.asker();
        if self.maker.finds_zones { Zones::Asked(asker) } else { Zones::Unknown }
    }

    /// The credentials in the account, judged for `job`; where no API lists them, those that `receipts`
    /// name.
    async fn look(&self, job: &Job, receipts: &[&Receipt]) -> Result<Told, Failure> {
        let told = self.account.perform(&Task::Look, job).await;
        let mut told = told.map_err(|trouble| {
            let doing = format!("listing the {}s", self.maker.noun);
            self.failure(&trouble, &doing).leaving("nothing was changed")
        })?;
        let living = receipts.iter().filter(|receipt| receipt.revoked.is_none());
        for receipt in living.filter(|_| !self.maker.is_listed) {
            let hosts = |duties: &[Duty]| -> Vec<Hostname> {
                duties.iter().map(|duty| duty.host.clone()).collect()
            };
            let is_right = hosts(&receipt.duties) == hosts(&job.duties());
            let made = receipt.ids().map(|id| maker::claimed(id, &receipt.name, is_right));
            told.made.extend(made);
        }
        Ok(told)
    }

    /// Ends one credential; `false` if there was none.
    async fn end(&self, made: &Made, job: &Job) -> Result<bool, Failure> {
        match self.account.perform(&Task::End(&made.id), job).await {
            Ok(_) => Ok(true),
            Err(Trouble::NotThere(_)) => Ok(false),
            Err(trouble) => {
                let what = format!("{} {}", self.maker.noun, made.id);
                let failure = self.failure(&trouble, &format!("deleting the {what}"));
                Err(failure.leaving(format!("the {what} may still be there")))
            }
        }
    }
}

/// The failure after the account's answer to the management credential of `maker`.
fn of_management(maker: &Maker, trouble: &Trouble, doing: &str) -> Failure {
    let next = match trouble {
        _ if trouble.is_credential() => {
            "check the management credential: it may have expired, be mistyped, or be bound to other \
             networks"
        }
        Trouble::Rejected(_) | Trouble::NotThere(_) => maker.management,
        Trouble::Conflict(_) | Trouble::Deferred(_) => "change what the server complains about",
    };
    Failure::of_server(trouble, doing, next)
}
