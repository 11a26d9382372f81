//! Errands that carry no update: programs that are told of changes, questions to the zones' own servers,
//! and checks of tokens.

use homing::core::address::{Addresses, Family, PerFamily};
use homing::core::outcome::{Fault as Trouble, Outcome, Rejection, Silence};
use homing::core::plan::Wish;
use homing::core::round::{Answer, Holder, HostAnswers, LOOK, Now, Subject, VerifyCase};
use homing::core::token::upkeep::TokenFacts;
use homing::core::verify::{Said, ServerAnswer, Verify, VerifyVerdict, judge};

use super::incidents::number_of;
use super::{Event, World};
use crate::years::faults::Kind;
use crate::years::machine::{Chore, Process, millis};
use crate::years::{Millis, SECOND};

/// The servers of every zone.
const SERVERS: [&str; 2] = ["ns1.example:53", "ns2.example:53"];

impl World {
    fn begin_chore(&mut self, process: &mut Process, id: u64, chore: Chore, lasts: Millis) {
        process.chores.insert(id, chore);
        self.after(lasts, Event::Chore(process.number, id));
    }

    /// Begins the program of a host; `told` is what was set and what is.
    pub(super) fn begin_program(
        &mut self,
        process: &mut Process,
        id: u64,
        subject: &Subject,
        told: (PerFamily<Option<Addresses>>, PerFamily<Option<Addresses>>),
    ) -> Result<(), String> {
        self.journal.program(subject.host.key.host.as_str(), told)?;
        // Most are short, some take their time.
        let lasts = SECOND / 10 + (self.chance.below(30 * SECOND) >> self.chance.below(8));
        self.begin_chore(process, id, Chore::Program, lasts);
        Ok(())
    }

    /// Begins a question to the zones' servers.
    pub(super) fn begin_verifying(
        &mut self,
        process: &mut Process,
        id: u64,
        cases: Vec<VerifyCase>,
        is_short: bool,
    ) {
        let longest = if is_short { LOOK } else { Verify::TIMEOUT };
        let lasts = if self.is_cut_off() { millis(longest) } else { 100 + self.chance.below(900) };
        self.begin_chore(process, id, Chore::Look(cases), lasts);
    }

    /// Begins the check of a token.
    pub(super) fn begin_check(
        &mut self,
        process: &mut Process,
        id: u64,
        holder: &Holder,
        now: &Now,
    ) -> Result<(), String> {
        let secret = holder.credential.secret.expose();
        let key = &holder.subjects[0].host.key;
        self.journal.uses(key.host.as_str(), secret)?;
        self.journal.checks(secret, self.now)?;
        let wait = holder.not_before.unwrap_or_default().saturating_sub(now.steady);
        let lasts = millis(wait) + 200 + self.chance.below(3 * SECOND);
        self.begin_chore(
            process,
            id,
            Chore::Check(key.provider.to_string(), secret.to_owned()),
            lasts,
        );
        Ok(())
    }

    /// Gives the process the answer to an errand of this kind.
    pub(super) fn end_chore(&mut self, process: &mut Process, id: u64) -> Result<(), String> {
        let Some(chore) = process.chores.remove(&id) else { return Ok(()) };
        let answer = match chore {
            Chore::Program => Answer::Hook(Ok(())),
            Chore::Check(provider, secret) => self.rights_of(&provider, &secret),
            Chore::Look(cases) => {
                let said = cases.into_iter().map(|case| self.said_by_servers(process, case));
                Answer::Look(said.collect())
            }
        };
        self.take_in(process, id, answer)
    }

    /// What a check finds out about a token: that it can do its job and nothing else.
    fn rights_of(&self, provider: &str, secret: &str) -> Answer {
        let found = if self.is_cut_off() || self.strikes(Kind::Outage, number_of(provider)) {
            Err(Silence::new(Trouble::Unreachable, "no connection").into())
        } else if self.service_named(provider).knows(secret) {
            Ok(TokenFacts::default())
        } else {
            Err(Outcome::rejected(Rejection::Credential, "Invalid token."))
        };
        Answer::Token(Some((None, found)))
    }

    /// What the servers of its zone say about a host now.
    fn said_by_servers(&mut self, process: &Process, case: VerifyCase) -> HostAnswers {
        let VerifyCase { subject, due, .. } = case;
        let key = subject.host.key.clone();
        let held = self.service_named(&key.provider).records(key.host.as_str());
        let said = PerFamily::from_fn(|family: Family| match &due.now[family] {
            Wish::Leave => Said::NotAsked,
            _ if self.is_cut_off() => Said::Unclear("does not answer".to_owned()),
            _ => Said::Holds(Addresses::new(held[family].iter().copied())),
        });
        let answer = |server: &str| ServerAnswer { server: server.to_owned(), said: said.clone() };
        let verdict = judge(&due, &SERVERS.map(answer));
        if matches!(verdict, VerifyVerdict::Right { .. }) && !process.is_asking(&key.host) {
            self.journal.servers_are_right(key.host.as_str());
        }
        HostAnswers { key, due, verdict, took: std::time::Duration::from_millis(300) }
    }
}
