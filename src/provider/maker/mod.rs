//! Makers: providers whose API makes one credential for each host, or for each zone where they offer
//! nothing narrower.
//!
//! A maker is a function of values: a task and the answers so far become the next request, or what the
//! answers say. [`account`] sends; nothing else here does.

pub mod account;
mod cloudflare;
mod dynhost;
mod inwx;
mod ionos;

use std::net::IpAddr;

use serde_json::Value;

use crate::core::built_in;
use crate::core::protocol::manners::Issuer;
use crate::core::protocol::{Answer, Method};
use crate::core::provider::Provider;
use crate::core::secret::{Guarded, Secret};
use crate::core::time::Timestamp;
use crate::core::token::TokenId;
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;

/// The API of one kind of provider that makes credentials.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Maker {
    /// What its credentials are called.
    pub noun: &'static str,
    /// What a person must do so that the management credential may do all this.
    pub management: &'static str,
    /// Whether a user with a password makes them, and not a token.
    pub is_by_user: bool,
    /// Whether its credentials can have an end and networks.
    pub has_limits: bool,
    /// Whether the API shows when one was last used.
    pub shows_use: bool,
    /// Whether one credential can be for several hosts.
    pub is_shared: bool,
    /// Whether one for a wildcard's name is for that name alone.
    pub takes_wildcards: bool,
    /// Whether a credential can ask the API itself; else its update of what stands proves it.
    pub asks_itself: bool,
    /// What a person must do after an answer to [`Task::Make`] was lost.
    pub lost: &'static str,
    /// Whether the API lists credentials; else only their receipts say which there are.
    pub is_listed: bool,
    /// Whether a host has one credential, whose secret is changed in place.
    pub is_in_place: bool,
    /// Whether Homing chooses the secret.
    pub has_own_secret: bool,
    /// Whether the API knows the zone of a host, which then has to be found.
    pub finds_zones: bool,
    /// The built-in entry by which the API is asked, and what follows the provider's `api-url` there;
    /// `None` is the provider's own.
    pub entry: Option<(&'static str, &'static str)>,
    /// The path of a request by a credential that an account owns: it follows from that of a user's and
    /// from the account's id. `None` where all credentials are asked about in one place.
    pub owned: Option<fn(&str, &str) -> String>,
    /// A new credential for the job, with a number that no other has, and a password that may be used.
    pub draft: fn(&Job, &str, &str) -> Draft,
    /// What the form of a secret alone shows of it, without any request.
    pub by_form: fn(&Secret) -> Option<Finding>,
    /// The next request of a task, or its result.
    pub next: fn(&Task<'_>, &Job, &[Value]) -> Next,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Task<'a> {
    /// Change the credential so that it does its job and nothing else.
    Change(&'a Made),
    /// End the credential with this id.
    End(&'a TokenId),
    /// List the credentials, and judge each for the job.
    Look,
    /// Make this credential.
    Make(&'a Draft),
    /// Give the credential of this name the secret of the draft.
    Renew(&'a Draft),
    /// Asked with a credential itself: find out whether an account owns it, and which.
    Owner,
    /// Asked with the credential of this id itself: find out whether it works.
    Prove(&'a TokenId),
    /// Asked with a credential itself: find out which one it is.
    Who,
}

/// A credential that is to be made.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name, which no other has.
    pub name: String,
    /// Its id, where it is known before.
    pub id: Option<TokenId>,
    /// The content of its file, where the provider does not choose the secret.
    pub secret: Option<Secret>,
    /// Whether the host has an address at the provider.
    pub has_address: bool,
}

/// What comes next in a task.
pub enum Next {
    /// This request.
    Ask(Call),
    /// The task is done.
    Done(Told),
    /// An answer is not in the form of the answers to this request.
    Strange(&'static str),
}

/// A request.
pub struct Call {
    /// The method.
    pub method: Method,
    /// What follows the base URL of the API.
    pub path: String,
    /// The body, in JSON.
    pub body: Option<Guarded>,
    /// Finds the secret in the answer, where that brings a new one.
    pub brings: Option<fn(&Answer) -> Option<Secret>>,
}

/// The result of a task.
#[derive(Debug, Default)]
pub struct Told {
    /// The credentials in the account ([`Task::Look`]).
    pub made: Vec<Made>,
    /// The addresses of the host, where the account shows them ([`Task::Look`]).
    pub stands: Vec<IpAddr>,
    /// The id of the account that owns who asks ([`Task::Owner`]); `None` if a user does.
    pub owner: Option<String>,
    /// The id of who asks ([`Task::Who`]).
    pub id: Option<TokenId>,
    /// The new credential ([`Task::Make`]), where the provider chooses its id or its secret.
    pub fresh: Option<(TokenId, Secret)>,
}

/// A credential in the account, as far as the account shows it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// The networks that it may be used from; `None` is everywhere.
    pub subnets: Option<Vec<String>>,
    /// Whether it was made for the hosts of the job.
    pub is_for_job: bool,
    /// Whether the provider accepts it.
    pub is_active: bool,
    /// Whether it is just as Homing makes it for the job.
    pub is_right: bool,
    /// What it could do beyond the job, and what it lacks for it.
    pub findings: Vec<Finding>,
    /// Whether its networks are shown in an older form (Cloudflare).
    pub has_old_form: bool,
}

/// The maker of the credentials of `issuer`; `None` where it is no such API.
pub fn of(issuer: Issuer) -> Option<&'static Maker> {
    match issuer {
        Issuer::Cloudflare => Some(&cloudflare::MAKER),
        Issuer::DynHost => Some(&dynhost::MAKER),
        Issuer::Inwx => Some(&inwx::MAKER),
        Issuer::Ionos => Some(&ionos::MAKER),
        Issuer::Account | Issuer::NameServer | Issuer::Rails | Issuer::Route53 => None,
    }
}

pub use ionos::claimed;

/// The beginning of the names of all credentials that Homing makes for the hosts of `job`.
pub fn name_of(job: &Job) -> String {
    let hosts: Vec<_> = job.records.iter().map(|record| record.duty.host.clone()).collect();
    crate::core::token::name_for(&hosts)
}

impl Maker {
    /// The provider as its API is asked; `None` where that is not described.
    pub fn manager(&self, provider: &Provider) -> Option<Provider> {
        let Some((name, path)) = self.entry else { return Some(provider.clone()) };
        let mut manager = built_in::named(name)?;
        let settings = manager.http.as_ref()?.settings.clone();
        manager.api_url = Some([provider.api_url.as_deref()?, path].concat().into());
        manager.ca_file.clone_from(&provider.ca_file);
        manager.describe_as_built_in(settings).ok()?;
        Some(manager)
    }
}

impl Call {
    /// A request without a body.
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, brings: None }
    }

    /// The same request with `body`, JSON that holds no secret.
    fn with(self, body: String) -> Self {
        Self { body: Some(body.into()), ..self }
    }
}

/// `text` as JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The text at `pointer` (RFC 6901).
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::core::address::PerFamily;
    use crate::core::token::Duty;
    use crate::core::token::job::{Job, Record};

    /// A job for both families of `dev1.example.com`, without limits.
    pub fn job(zone_id: &str) -> Job {
        let families = PerFamily { v4: true, v6: true };
        let (host, zone) = ("dev1.example.com".parse().unwrap(), "example.com".parse().unwrap());
        let duty = Duty { host, zone, families };
        let record = Record { duty, zone_id: zone_id.to_owned(), removes: false };
        Job { records: vec![record], expires: None, subnets: None }
    }
}
