//! An account at a provider that makes credentials: asks what its maker wants to know.

use serde_json::Value;

use super::{Call, Maker, Next, Task, Told};
use crate::core::outcome::Fault;
use crate::core::protocol::http::scene::Session;
use crate::core::protocol::{Answer, Body, Credential, HttpRequest};
use crate::core::provider::Provider;
use crate::core::token::TokenId;
use crate::core::token::job::Job;
use crate::net::http::Clients;
use crate::provider::Trouble;
use crate::provider::asker::Asker;

/// An account, asked with one credential.
pub struct Account<'a> {
    asker: Asker<'a>,
    maker: &'static Maker,
}

impl<'a> Account<'a> {
    /// The account at `provider`, whose credentials `maker` makes, asked with `who`.
    pub fn new(
        maker: &'static Maker,
        provider: &'a Provider,
        clients: &'a Clients,
        who: &'a Credential,
    ) -> Self {
        let said = |answer: &Answer, _: Option<&Value>| answer.summary();
        Self { asker: Asker { provider, clients, who, said }, maker }
    }

    /// Who asks.
    pub fn asker(&self) -> &Asker<'a> {
        &self.asker
    }

    /// Performs `task` for `job`.
    pub async fn perform(&self, task: &Task<'_>, job: &Job) -> Result<Told, Trouble> {
        let mut heard = Vec::new();
        loop {
            match (self.maker.next)(task, job, &heard) {
                Next::Ask(call) => heard.push(self.ask(call).await?),
                Next::Done(told) => return Ok(told),
                Next::Strange(what) => {
                    let detail = format!("the answer to {what} is not in its form");
                    return Err(Trouble::deferred(Fault::Unintelligible, detail));
                }
            }
        }
    }

    /// The id of the credential that asks.
    pub async fn who(&self) -> Result<TokenId, Trouble> {
        let job = Job { records: Vec::new(), expires: None, subnets: None };
        let told = self.perform(&Task::Who, &job).await?;
        told.id.ok_or_else(|| Trouble::deferred(Fault::Unintelligible, "it has no id"))
    }

    async fn ask(&self, call: Call) -> Result<Value, Trouble> {
        let Asker { provider, who, .. } = self.asker;
        let Some(entry) = &provider.http else {
            return Err(Trouble::deferred(Fault::Unreachable, "the provider has no entry"));
        };
        let Call { method, path, body, brings } = call;
        let request = HttpRequest {
            method,
            body: body.map(Body::Json),
            is_private: brings.is_some(),
            brings,
            is_list: true,
            ..HttpRequest::get([self.asker.server(), &path].concat(), None)
        };
        let session = Session::new(provider, entry, who, Asker::moment());
        let request = session
            .dressed(request)
            .map_err(|unfit| Trouble::deferred(Fault::Unreachable, unfit))?;
        self.asker.heard(&request, entry.sign.as_ref()).await
    }
}
