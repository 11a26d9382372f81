//! An account at a provider that makes credentials: asks what its maker wants to know.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::{Call, Maker, Next, Task, Told};
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::memory::ZoneKey;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::{Details, Request, Update, Wish};
use crate::core::protocol::http::entry::{Entry, StepKind};
use crate::core::protocol::http::scene::{Scene, Session};
use crate::core::protocol::talk::{Job as TalkJob, Talk};
use crate::core::protocol::{Answer, Body, Credential, HttpRequest};
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::token::TokenId;
use crate::core::token::job::Job;
use crate::net::http::Clients;
use crate::os::clock;
use crate::provider::Trouble;
use crate::provider::asker::Asker;
use crate::provider::carry::Carrier;

/// An account, asked with one credential.
pub struct Account<'a> {
    asker: Asker<'a>,
    maker: &'static Maker,
    /// The cookies of the session, where the API wants one.
    cookies: RefCell<Option<Secret>>,
    /// The account that owns the credential, or none, as soon as it was asked.
    owner: OnceCell<Option<String>>,
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
        let cookies = RefCell::default();
        let asker = Asker { provider, clients, who, said };
        Self { asker, maker, cookies, owner: OnceCell::new() }
    }

    /// The same, asked with a credential that `other` has made, and that has the same owner.
    pub fn made_by(self, other: &Self) -> Self {
        Self { owner: other.owner.clone(), ..self }
    }

    /// Who asks.
    pub fn asker(&self) -> &Asker<'a> {
        &self.asker
    }

    /// Performs `task` for `job`.
    pub async fn perform(&self, task: &Task<'_>, job: &Job) -> Result<Told, Trouble> {
        if self.maker.owned.is_some() && self.owner.get().is_none() {
            let told = self.hold(&Task::Owner, job).await?;
            let _ = self.owner.set(told.owner);
        }
        self.hold(task, job).await
    }

    async fn hold(&self, task: &Task<'_>, job: &Job) -> Result<Told, Trouble> {
        let mut heard = Vec::new();
        loop {
            let is_first = heard.is_empty();
            match (self.maker.next)(task, job, &heard) {
                Next::Ask(call) => match self.ask(call).await {
                    // A refusal says that no user owns it, or that it is worth nothing, which the next
                    // answer shows.
                    Err(Trouble::Rejected(_)) if is_first && matches!(task, Task::Owner) => {
                        heard.push(Value::Null);
                    }
                    answer => heard.push(answer?),
                },
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

    /// Asks the provider by an update, with the new credential `who`, to set what stands there: `host` at
    /// the addresses `stands`, each family by itself.
    pub async fn confirm(
        &self,
        provider: &Provider,
        who: &Credential,
        host: &Hostname,
        stands: &[IpAddr],
    ) -> Result<(), Trouble> {
        let of = |family: Family| {
            let own = stands.iter().filter(move |it| Family::of(**it) == family);
            Addresses::new(own.copied()).map_or(Wish::Leave, Wish::Set)
        };
        let both = PerFamily::from_fn(of);
        let single = Family::BOTH.into_iter().map(|family| {
            let mut wishes = PerFamily::from_fn(|_| Wish::Leave);
            wishes[family] = of(family);
            wishes
        });
        let updates: Vec<PerFamily<Wish>> =
            if provider.one_family { single.collect() } else { vec![both] };
        for wishes in updates {
            if Family::BOTH.into_iter().any(|family| matches!(wishes[family], Wish::Set(_))) {
                self.update(provider, who, Update { host: host.clone(), wishes }).await?;
            }
        }
        Ok(())
    }

    async fn update(
        &self,
        provider: &Provider,
        credential: &Credential,
        update: Update,
    ) -> Result<(), Trouble> {
        let request = Request {
            hosts: vec![0],
            updates: vec![update],
            ttl: None,
            conditions: Vec::new(),
            details: vec![Details::default()],
            is_anew: false,
            zone: ZoneKey { provider: provider.name.as_ref().into(), zone: None },
            counts: Vec::new(),
            at: clock::wall(),
        };
        let job = TalkJob { provider, credential, request: &request, moment: Asker::moment() };
        let (mut talk, step) = Talk::begin(&job);
        let clients = self.asker.clients;
        let carrier = Carrier { clients, provider, credential, path: None, bind: None };
        let verdict = carrier.hold(step, |heard| talk.hear(heard)).await;
        match verdict.outcomes().first() {
            Some(Outcome::Unchanged | Outcome::Updated) => Ok(()),
            Some(outcome) => Err(outcome.clone().into()),
            None => Err(Trouble::deferred(Fault::Unintelligible, "the update has no outcome")),
        }
    }

    /// A session with the API, which is opened where it wants that.
    async fn session(&self, entry: &'a Entry) -> Result<Session<'a>, Trouble> {
        let Asker { provider, clients, who, .. } = self.asker;
        let mut session = Session::new(provider, entry, who, Asker::moment());
        session.cookies.clone_from(&self.cookies.borrow());
        let Some(login) = entry.step(StepKind::Login).filter(|_| session.cookies.is_none()) else {
            return Ok(session);
        };
        let unfit = |unfit| Trouble::deferred(Fault::Unreachable, unfit);
        let request = session.request(login, &Scene::default()).map_err(unfit)?;
        let ca_file = provider.ca_file.as_deref().map(Path::new);
        let answer = clients.send(&request, ca_file).await?;
        session.hear_login(Ok(answer)).map_err(Trouble::from)?;
        self.cookies.borrow_mut().clone_from(&session.cookies);
        Ok(session)
    }

    async fn ask(&self, call: Call) -> Result<Value, Trouble> {
        let Some(entry) = &self.asker.provider.http else {
            return Err(Trouble::deferred(Fault::Unreachable, "the provider has no entry"));
        };
        let Call { method, path, body, brings } = call;
        let path = match (self.maker.owned, self.owner.get()) {
            (Some(owned), Some(Some(account))) => owned(&path, account),
            _ => path,
        };
        let request = HttpRequest {
            method,
            body: body.map(Body::Json),
            is_private: brings.is_some(),
            brings,
            is_list: true,
            ..HttpRequest::get([self.asker.server(), &path].concat(), None)
        };
        let session = self.session(entry).await?;
        let request = session
            .dressed(request)
            .map_err(|unfit| Trouble::deferred(Fault::Unreachable, unfit))?;
        self.asker.heard(&request, entry.sign.as_ref()).await
    }
}
