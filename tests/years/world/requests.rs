//! Requests to providers, and what comes back.

use std::time::Duration;

use homing::core::outcome::{Fault as Trouble, Outcome, Silence};
use homing::core::plan::WhenGone;
use homing::core::protocol::step::{Moment, ZoneAnswer};
use homing::core::protocol::{Answer as HttpAnswer, HttpRequest, Verdict};
use homing::core::round::{Answer, Errand, Now, Round, Task};

use super::{Event, World};
use crate::years::SECOND;
use crate::years::disk::Machine;
use crate::years::faults::Kind;
use crate::years::machine::{Conversation, Next, Process, Topic, millis};
use crate::years::providers::{Complaint, Reply, parts};

impl World {
    /// Gives the process what `step` returns to be asked.
    pub(super) fn carry_out(
        &mut self,
        process: &mut Process,
        now: &Now,
        step: impl FnOnce(&mut Round, f64, &mut Machine<'_>) -> Vec<Errand>,
    ) -> Result<(), String> {
        let spread = self.chance.spread();
        let Self { disk, config, files, .. } = self;
        let errands = step(&mut process.round, spread, &mut Machine { disk, config, files });
        for Errand { id, task } in errands {
            self.issue(process, id, task, now)?;
        }
        Ok(())
    }

    pub(super) fn issue(
        &mut self,
        process: &mut Process,
        id: u64,
        task: Task,
        now: &Now,
    ) -> Result<(), String> {
        let (subject, credential, topic, not_before) = match task {
            Task::Update { subject, credential, request, not_before } => {
                for (place, update) in request.parts() {
                    let host = update.host.as_str();
                    let refresh = process.round.subject(place).0.host.refresh.map(millis);
                    let moments = (process.looked, now.wall.millis());
                    self.journal.leaves((host, &update.wishes, refresh), moments)?;
                }
                (subject, credential, Topic::Update(request), not_before)
            }
            Task::Zone { subject, credential, details, not_before } => {
                (subject, credential, Topic::Zone(details), not_before)
            }
            Task::Greet(holder) => {
                let subject = holder.subjects[0].clone();
                let url = format!("{}/", subject.provider.api_url.as_deref().unwrap_or_default());
                (subject, holder.credential, Topic::Greet(url), holder.not_before)
            }
            Task::Check(holder) => return self.begin_check(process, id, &holder, now),
            Task::Hook { subject, now, before } => {
                return self.begin_program(process, id, &subject, (before, now));
            }
            Task::Look { cases, limit, .. } => {
                self.begin_verifying(process, id, cases, limit.is_some());
                return Ok(());
            }
        };
        let secret = credential.secret.expose();
        self.journal.tell(self.now, || format!("{topic} with {secret}"));
        self.journal.uses(subject.host.key.host.as_str(), credential.secret.expose())?;
        let wait = not_before.unwrap_or_default().saturating_sub(now.steady);
        let begins = self.now + millis(wait);
        let moment =
            Moment { now: now.wall, clock_is_set: now.is_set, nonce: u128::from(self.now) };
        let timeout = millis(subject.provider.timeout);
        let conversation = Conversation::new(subject, credential, topic, moment);
        process.errands.insert(id, conversation);
        self.at(begins, Event::Ask(process.number, id));
        self.at(begins + timeout, Event::GiveUp(process.number, id));
        Ok(())
    }

    pub(super) fn ask(&mut self, process: &mut Process, errand: u64) -> Result<(), String> {
        let Some(conversation) = process.errands.get(&errand) else { return Ok(()) };
        match conversation.next() {
            Next::Done(answer) => self.heard(process, errand, answer),
            Next::Ask(request) => {
                let service = service_at(request.url.expose());
                let (number, way) = (process.number, 20 + self.chance.below(120));
                if self.is_cut_off() || self.strikes(Kind::Outage, service) {
                    let silence = Silence::new(Trouble::Unreachable, "no connection");
                    self.after(way * 20, Event::Answer(number, errand, Err(silence)));
                } else {
                    self.after(way, Event::Arrive(number, errand, request));
                }
                Ok(())
            }
        }
    }

    pub(super) fn arrive(
        &mut self,
        number: u64,
        errand: u64,
        request: &HttpRequest,
    ) -> Result<(), String> {
        let service = service_at(request.url.expose());
        self.journal.figures.requests += 1;
        if service == 0 {
            let (path, query) = parts(request);
            let first = query.get("hostname").and_then(|hosts| hosts.split(',').next());
            if path.contains("/dyndns/")
                && let Some(zone) = first.and_then(|host| self.desec.zone(host))
            {
                self.journal.arrives(&zone, self.now)?;
            }
        }
        let mut wait = 20 + self.chance.below(120);
        if self.strikes(Kind::Slowness, service) {
            wait += self.chance.below(100 * SECOND);
        }
        let heads = self.chance.once_in(2);
        if self.strikes(Kind::Pages, service) {
            let mut page = Reply::text(200, "<html><body>Please log in</body></html>");
            page.answer.content_type = Some("text/html".to_owned());
            self.after(wait, Event::Answer(number, errand, Ok(page.answer)));
            return Ok(());
        }
        if self.strikes(Kind::Busy, service) && heads {
            let busy = Reply::text(429, "Too many concurrent requests.");
            self.after(wait, Event::Answer(number, errand, Ok(busy.answer)));
            return Ok(());
        }
        let is_lost = self.strikes(Kind::LostAnswers, service) && self.chance.once_in(2);
        let fails = self.strikes(Kind::ServerErrors, service) && self.chance.once_in(2);
        let carries_out = !(is_lost || fails) || heads;
        let mut answer = Reply::default().answer;
        if carries_out {
            let now = self.now;
            let Reply { answer: given, changes, complaint } =
                self.service(service).serve(request, now);
            answer = given;
            for change in changes {
                let host =
                    self.config.hosts.iter().find(|it| it.host.key.host.as_str() == change.host);
                let removes = host.is_some_and(|host| host.host.when_gone != WhenGone::Keep);
                self.journal.changed(&change, removes, now)?;
            }
            match complaint {
                Some(Complaint::TooMany { own: true }) => self.journal.own_pace(now)?,
                Some(Complaint::Blocked(what)) => return Err(format!("(c) {what}")),
                Some(Complaint::TooMany { own: false }) | None => {}
            }
        }
        if carries_out && (is_lost || fails) {
            self.service(service).unheard();
        }
        if is_lost {
            // The connection breaks, or nothing comes at all.
            if self.chance.once_in(2) {
                let silence = Silence::new(Trouble::Lost, "the connection broke");
                self.after(wait, Event::Answer(number, errand, Err(silence)));
            }
            return Ok(());
        }
        if fails {
            answer = self.failure(service);
        }
        self.after(wait, Event::Answer(number, errand, Ok(answer)));
        Ok(())
    }

    /// An error of the service's own.
    pub(super) fn failure(&mut self, service: usize) -> HttpAnswer {
        match (service, self.chance.below(4)) {
            (1, 0) => Reply::text(200, "911").answer,
            (1, 1) => Reply::text(200, "dnserr").answer,
            (_, 2) => {
                let mut reply = Reply::text(503, "Service Unavailable");
                let wait = Duration::from_secs(1 + self.chance.below(1200));
                reply.answer.retry_after = Some(wait);
                reply.answer
            }
            _ => Reply::text(500, "Internal Server Error. We're on it!").answer,
        }
    }

    pub(super) fn heard(
        &mut self,
        process: &mut Process,
        errand: u64,
        answer: Answer,
    ) -> Result<(), String> {
        let Some(conversation) = process.errands.remove(&errand) else { return Ok(()) };
        let topic = &conversation.topic;
        self.journal.tell(self.now, || format!("{topic}: {answer:?}"));
        self.note_heard(process, &conversation, &answer);
        self.take_in(process, errand, answer)
    }

    /// Gives the process the answer to an errand.
    pub(super) fn take_in(
        &mut self,
        process: &mut Process,
        errand: u64,
        answer: Answer,
    ) -> Result<(), String> {
        let now = self.now_of(process);
        self.carry_out(process, &now, |round, spread, machine| {
            round.heard(errand, answer, &now, spread, machine)
        })?;
        if process.round.report.has_refusal {
            self.save(process);
        }
        // A refusal that is saved is still to be reported.
        process.unsaved_since.get_or_insert(self.steady());
        if process.is_idle() {
            self.report(process);
        }
        Ok(())
    }

    /// Notes in the journal what the process hears.
    pub(super) fn note_heard(
        &mut self,
        process: &Process,
        conversation: &Conversation,
        answer: &Answer,
    ) {
        let wall = self.now_of(process).wall.millis();
        let secret = conversation.credential.secret.expose();
        let outcomes: Vec<Outcome> = match (answer, &conversation.topic) {
            (Answer::Update(Verdict::All(outcome)), Topic::Update(request)) => {
                vec![outcome.clone(); request.updates.len()]
            }
            (Answer::Update(Verdict::Each(outcomes)), _) => outcomes.clone(),
            (
                Answer::Token(Some((_, Err(outcome))))
                | Answer::Zone(ZoneAnswer::Outcome(outcome), _),
                _,
            ) => vec![outcome.clone()],
            _ => Vec::new(),
        };
        // A secret that was replaced meanwhile is tried at once.
        let is_current = self
            .access(&conversation.subject)
            .is_ok_and(|access| access.credential.secret.expose() == secret);
        if is_current && outcomes.iter().any(|outcome| outcome.credential_refusal().is_some()) {
            self.journal.heard_refusal(secret);
        }
        let greeted = matches!(
            answer,
            Answer::Token(Some((_, Ok(_)))) | Answer::Zone(_, Some(Outcome::Unchanged))
        );
        if greeted || outcomes.iter().any(|it| matches!(it, Outcome::Updated | Outcome::Unchanged))
        {
            self.journal.heard_success(secret);
        }
        let Topic::Update(request) = &conversation.topic else { return };
        for (update, outcome) in request.updates.iter().zip(&outcomes) {
            self.journal.heard((update.host.as_str(), &update.wishes), outcome, wall);
        }
        if let (Some(Outcome::Deferred(deferral)), "desec") =
            (outcomes.first(), &*conversation.subject.provider.name)
            && let (Trouble::Throttled, Some(wait)) = (deferral.fault, deferral.retry_after)
            && let Some(zone) = self.desec.zone(request.updates[0].host.as_str())
        {
            self.journal.heard_pause(&zone, self.now, millis(wait));
        }
    }
}

/// The number of the service at a URL.
fn service_at(url: &str) -> usize {
    if url.contains("dyn.example/") {
        1
    } else if url.contains("cloudflare") {
        2
    } else {
        0
    }
}
