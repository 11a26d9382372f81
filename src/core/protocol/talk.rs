//! Talks: the conversation about one request of the plan, and the question for the zone of a host.
//!
//! A talk says what to ask and hears what came of it, until it knows what that means. Nothing is sent
//! here: the round's one loop carries what is asked, whatever the protocol.

use super::desec::{self, ZoneAnswer};
use super::manners::{Protocol, Transport};
use super::rails::Session;
use super::rfc2136::{self, Change};
use super::step::{Ask, Asked, Heard, Step, ask};
use super::{Answer, Credential, HttpRequest, Verdict, dyndns2, powerdns};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection, Silence};
use crate::core::plan::Request;
use crate::core::provider::Provider;

/// What a talk is about.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Who is asked.
    pub provider: &'a Provider,
    /// By whom.
    pub credential: &'a Credential,
    /// What is to be done.
    pub request: &'a Request,
    /// Whether the wall clock can be right, by which updates are signed.
    pub clock_is_set: bool,
}

/// The conversation about one request.
#[derive(Debug)]
pub enum Talk<'a> {
    /// deSEC; whether the records are given another time to live before the update.
    Desec(&'a Job<'a>, bool),
    /// dyndns2.
    Dyndns2(&'a Job<'a>),
    /// A hosts file.
    HostsFile,
    /// The API of PowerDNS.
    PowerDns,
    /// PowerDNS on Rails.
    Rails(Session),
    /// Signed updates.
    Rfc2136(Change<'a>),
}

/// The question for the zone of a host.
#[derive(Debug)]
pub struct ZoneTalk<'a> {
    provider: &'a Provider,
    host: &'a Hostname,
}

impl<'a> Talk<'a> {
    /// The talk about `job`, and what it begins with.
    pub fn begin(job: &'a Job<'a>) -> (Self, Step<Verdict>) {
        let Job { provider, credential, request, .. } = job;
        let Request { updates, ttl, .. } = request;
        let api_url = provider.api_url.as_deref();
        let zone = request.zone.zone.as_ref();
        let no_zone = || {
            let detail = "the zone is not known; write zone in its [[host]]";
            Step::Done(Verdict::All(Outcome::deferred(Fault::Unintelligible, detail)))
        };
        match provider.protocol {
            Protocol::Desec => match (request.is_anew, zone, api_url) {
                (true, Some(zone), Some(api_url)) => {
                    let touch = desec::touch_request(api_url, zone, updates, credential);
                    (Self::Desec(job, true), ask(touch))
                }
                _ => (Self::Desec(job, false), ask(job.desec())),
            },
            Protocol::Dyndns2 => {
                (Self::Dyndns2(job), ask(dyndns2::request(provider, updates, credential)))
            }
            Protocol::HostsFile => (Self::HostsFile, Step::Ask(Ask::File(updates.clone()))),
            Protocol::PowerDns => {
                let request = |zone| {
                    let ttl = ttl.unwrap_or(rfc2136::TIME_TO_LIVE);
                    let api_url = api_url.unwrap_or_default();
                    ask(powerdns::request(api_url, zone, updates, ttl, credential))
                };
                (Self::PowerDns, zone.map_or_else(no_zone, request))
            }
            Protocol::Rails => {
                let server = api_url.unwrap_or_default();
                let (session, step) = Session::begin(server, &credential.secret, updates, *ttl);
                (Self::Rails(session), step)
            }
            Protocol::Rfc2136 => {
                let server = provider.name_server.as_ref();
                let change = Change::new(request, job.clock_is_set, server);
                let zone = zone.filter(|_| server.is_some());
                let step = zone.map_or_else(no_zone, |zone| change.ask(zone));
                (Self::Rfc2136(change), step)
            }
        }
    }

    /// What follows from what came of the last step.
    pub fn hear(&mut self, heard: Result<Heard, Silence>) -> Step<Verdict> {
        let verdict = match self {
            // Whatever came of it, the update that follows tells how the host stands.
            Self::Desec(job, is_touching @ true) => {
                *is_touching = false;
                return ask(job.desec());
            }
            Self::Desec(_, false) => answer(heard).map(|answer| desec::verdict(&answer)),
            Self::Dyndns2(job) => {
                answer(heard).map(|answer| dyndns2::verdict(&answer, &job.request.updates))
            }
            Self::HostsFile => heard.and_then(|heard| match heard {
                Heard::File(true) => Ok(Verdict::All(Outcome::Updated)),
                Heard::File(false) => Ok(Verdict::All(Outcome::Unchanged)),
                Heard::Answer(_) | Heard::Reply(_) | Heard::Zone(_) => Err(strange()),
            }),
            Self::PowerDns => answer(heard).map(|answer| powerdns::verdict(&answer)),
            Self::Rails(session) => return session.hear_of(answer(heard)),
            Self::Rfc2136(change) => {
                return change.hear(heard.and_then(|heard| match heard {
                    Heard::Reply(reply) => Ok(reply),
                    Heard::Answer(_) | Heard::File(_) | Heard::Zone(_) => Err(strange()),
                }));
            }
        };
        Step::Done(verdict.unwrap_or_else(|silence| Verdict::All(silence.into())))
    }
}

impl Job<'_> {
    /// The update at deSEC.
    fn desec(&self) -> HttpRequest {
        let url = self.provider.update_url.as_deref().unwrap_or_default();
        desec::request(url, &self.request.updates, self.credential)
    }
}

impl<'a> ZoneTalk<'a> {
    /// The question to `provider` for the zone of `host`; over at once where it tells none.
    pub fn begin(
        provider: &'a Provider,
        host: &'a Hostname,
        credential: &Credential,
    ) -> (Self, Step<ZoneAnswer>) {
        let api_url = provider.api_url.as_deref();
        let step = match (provider.protocol, api_url) {
            (Protocol::Desec, Some(api_url)) => ask(desec::zone_request(api_url, host, credential)),
            (Protocol::PowerDns, Some(api_url)) => {
                ask(powerdns::zones_request(api_url, credential))
            }
            (Protocol::Rfc2136, _) => Step::Ask(Ask::Dns(Asked::Zone(host.clone()))),
            (Protocol::Desec | Protocol::PowerDns, None)
            | (Protocol::Dyndns2 | Protocol::HostsFile | Protocol::Rails, _) => {
                Step::Done(ZoneAnswer::Silent)
            }
        };
        (Self { provider, host }, step)
    }

    /// What came of the question.
    pub fn hear(&self, heard: Result<Heard, Silence>) -> Step<ZoneAnswer> {
        let is_powerdns = self.provider.protocol == Protocol::PowerDns;
        Step::Done(match heard {
            Ok(Heard::Answer(answer)) => {
                let names = desec::zone_names(&answer);
                let read = if is_powerdns { powerdns::zone_answer } else { desec::zone_answer };
                read(self.host, &answer, names.as_deref())
            }
            Ok(Heard::Zone(Some(zone))) => ZoneAnswer::Zone(zone),
            Ok(Heard::Zone(None)) => {
                let server = self.provider.name_server.as_ref().map(ToString::to_string);
                let (server, host) = (server.unwrap_or_default(), self.host);
                let detail = format!(
                    "{server} does not tell the zone of {host}; write zone in its [[host]] if it is \
                     right"
                );
                ZoneAnswer::Outcome(Outcome::rejected(Rejection::Host, detail))
            }
            Ok(Heard::File(_) | Heard::Reply(_)) => ZoneAnswer::Silent,
            // By HTTP the update may fare better, unless nothing was sent.
            Err(silence) if self.is_http() && silence.fault.leaves_doubt() => ZoneAnswer::Silent,
            Err(silence) => ZoneAnswer::Outcome(silence.into()),
        })
    }

    /// What `answer` shows of the server and of the credential, if anything.
    pub fn lesson(&self, answer: &ZoneAnswer) -> Option<Outcome> {
        match answer {
            ZoneAnswer::Outcome(outcome @ Outcome::Deferred(_)) => Some(outcome.clone()),
            // Anybody may ask a name server.
            ZoneAnswer::Outcome(_) | ZoneAnswer::NoZone | ZoneAnswer::Zone(_)
                if !self.is_http() =>
            {
                None
            }
            ZoneAnswer::Outcome(outcome) => Some(outcome.clone()),
            ZoneAnswer::NoZone | ZoneAnswer::Zone(_) => Some(Outcome::Unchanged),
            ZoneAnswer::Silent => Some(Outcome::deferred(Fault::Busy, "the zone was not told")),
        }
    }

    fn is_http(&self) -> bool {
        self.provider.protocol.manners().transport == Transport::Http
    }
}

/// The answer, where that is what was heard.
fn answer(heard: Result<Heard, Silence>) -> Result<Answer, Silence> {
    match heard? {
        Heard::Answer(answer) => Ok(answer),
        Heard::File(_) | Heard::Reply(_) | Heard::Zone(_) => Err(strange()),
    }
}

/// What was heard is of another kind than what was asked.
fn strange() -> Silence {
    Silence::new(Fault::Unintelligible, "what came back is no answer to what was asked")
}
