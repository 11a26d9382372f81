//! Carrying: does one errand of a round and brings its answer back.

use std::time::Duration;

use super::way::{Carrying, moment};
use super::{hook, tokens, verify};
use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::{Details, Request};
use crate::core::protocol::step::ZoneAnswer;
use crate::core::protocol::talk::{Job, Talk, ZoneJob, ZoneTalk};
use crate::core::protocol::{Credential, Verdict};
use crate::core::round::{Answer, Subject, Task};
use crate::os::clock::sleep_until;
use crate::provider::carry::Carrier;

impl Carrying {
    /// Does `task`.
    // Many updates are carried at once: what they do not need is in memory of its own.
    pub async fn carry(self, task: Task) -> Answer {
        match task {
            Task::Update { subject, credential, request, not_before } => {
                sleep_until(not_before.unwrap_or_default()).await;
                let verdict = self.update(&subject, &credential, &request).await;
                let_connection_settle().await;
                Answer::Update(verdict)
            }
            Task::Zone { subject, credential, details, not_before } => {
                sleep_until(not_before.unwrap_or_default()).await;
                self.zone(&subject, &credential, &details).await
            }
            Task::Look { cases, whom, limit } => {
                let what = "waiting for the zone's own servers";
                let hearing = Box::pin(verify::hear(&self, cases, whom, limit));
                Answer::Look(self.waiting.during(what, hearing).await)
            }
            Task::Hook { subject, now, before } => {
                let Some(host) = self.config.hosts.get(subject.at) else {
                    return Answer::Hook(Ok(()));
                };
                let what = format!("waiting for {}", host.on_change[0]);
                let program = (&host.on_change[..], self.config.programs_as);
                let run = Box::pin(hook::run(program, &subject.host.key, &now, &before));
                Answer::Hook(self.waiting.during(&what, run).await)
            }
            Task::Greet(holder) => Box::pin(tokens::greet(&self, &holder)).await,
            Task::Check(holder) => Box::pin(tokens::check(&self, &holder)).await,
        }
    }

    /// Sends one request and returns the verdict of its provider.
    async fn update(
        &self,
        subject: &Subject,
        credential: &Credential,
        request: &Request,
    ) -> Verdict {
        let provider = &*subject.provider;
        let what = format!("waiting for {} to answer", provider.name);
        let moment = moment(&self.clock);
        let path = self.config.hosts.get(subject.at).and_then(|host| host.path.as_deref());
        let job = Job { provider, credential, request, moment };
        let (mut talk, step) = Talk::begin(&job);
        let bind = subject.host.bind;
        let carrier = Carrier { clients: &self.clients, provider, credential, path, bind };
        let talking = carrier.hold(step, |heard| talk.hear(heard));
        let verdict = self.waiting.during(&what, within(provider.timeout, talking)).await;
        verdict.unwrap_or_else(Verdict::All)
    }

    /// Asks for the zone of one host.
    async fn zone(&self, subject: &Subject, credential: &Credential, details: &Details) -> Answer {
        let (provider, host) = (&*subject.provider, &subject.host);
        let name = &host.key.host;
        let what = format!("waiting for {} to find the zone of {name}", provider.name);
        let (zone, moment) = (host.zone.as_ref(), moment(&self.clock));
        let job = ZoneJob { provider, credential, host: name, zone, details, moment };
        let (mut talk, step) = ZoneTalk::begin(&job);
        let bind = host.bind;
        let carrier = Carrier { clients: &self.clients, provider, credential, path: None, bind };
        let talking = carrier.hold(step, |heard| talk.hear(heard));
        let answer = self.waiting.during(&what, within(provider.timeout, talking)).await;
        let answer = answer.unwrap_or_else(ZoneAnswer::Outcome);
        let lesson = talk.lesson(&answer);
        Answer::Zone(answer, lesson)
    }
}

/// The result of `work`, or the outcome when it takes longer than `limit`: the server may still carry
/// the update out.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Outcome> {
    tokio::time::timeout(limit, work).await.map_err(|_| {
        let detail = format!("no answer within {}", humantime::format_duration(limit));
        Outcome::deferred(Fault::Lost, detail)
    })
}

/// Lets the connection of an answer return to its pool, so that the next request uses it instead
/// of opening another: the client's own tasks need a few turns for that.
async fn let_connection_settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
