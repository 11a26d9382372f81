//! Talks: the conversation about one request of the plan, and the question for the zone of a host.
//!
//! A talk returns what to ask and takes the answers, until it knows the result. Nothing is sent
//! here: the round's one loop sends what is asked, in every protocol.

use super::desec;
use super::http::scene::Session as HttpSession;
use super::http::session::{Conversation, Search};
use super::manners::{Protocol, Transport};
use super::rails::Session;
use super::rfc2136::{self, Change};
use super::step::{Ask, Asked, Heard, Moment, Step, ZoneAnswer, ask};
use super::{Answer, Credential, HttpRequest, Verdict, dyndns2, powerdns};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection, Silence};
use crate::core::plan::{Details, Request};
use crate::core::provider::Provider;

/// The request of a talk, with its provider and credential.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The provider that is asked.
    pub provider: &'a Provider,
    /// The credential to ask with.
    pub credential: &'a Credential,
    /// The request of the plan.
    pub request: &'a Request,
    /// The moment of the conversation.
    pub moment: Moment,
}

/// The conversation about one request.
#[derive(Debug)]
pub enum Talk<'a> {
    /// deSEC; whether the request before the update, which changes the time to live, is under way.
    Desec(&'a Job<'a>, bool),
    /// dyndns2.
    Dyndns2(&'a Job<'a>),
    /// A hosts file.
    HostsFile,
    /// An HTTP API that an entry describes.
    Http(Box<Conversation<'a>>),
    /// The API of PowerDNS.
    PowerDns,
    /// PowerDNS on Rails.
    Rails(Session),
    /// Signed updates.
    Rfc2136(Change<'a>),
}

/// A question for the zone of a host, with its provider and credential.
#[derive(Clone, Copy, Debug)]
pub struct ZoneJob<'a> {
    /// The provider that is asked.
    pub provider: &'a Provider,
    /// The credential to ask with.
    pub credential: &'a Credential,
    /// The host.
    pub host: &'a Hostname,
    /// The configured zone, if there is one: only its id is searched then.
    pub zone: Option<&'a Hostname>,
    /// What else is known of the host.
    pub details: &'a Details,
    /// The moment of the conversation.
    pub moment: Moment,
}

/// The question for the zone of a host.
#[derive(Debug)]
pub struct ZoneTalk<'a> {
    provider: &'a Provider,
    host: &'a Hostname,
    /// The search at an HTTP API that an entry describes.
    search: Option<Box<Search<'a>>>,
}

impl<'a> Talk<'a> {
    /// The talk about `job`, and its first step.
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
            Protocol::Http => {
                let Some(entry) = &provider.http else {
                    // The configuration refuses a provider that nothing describes.
                    let outcome = Outcome::deferred(Fault::Unread, "its API is not described");
                    return (Self::HostsFile, Step::Done(Verdict::All(outcome)));
                };
                let session = HttpSession::new(provider, entry, credential, job.moment);
                let (talk, step) = Conversation::begin(session, request);
                (Self::Http(Box::new(talk)), step)
            }
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
                let change = Change::new(request, job.moment.clock_is_set, server);
                let zone = zone.filter(|_| server.is_some());
                let step = zone.map_or_else(no_zone, |zone| change.ask(zone));
                (Self::Rfc2136(change), step)
            }
        }
    }

    /// The next step after the answer to the last one.
    pub fn hear(&mut self, heard: Result<Heard, Silence>) -> Step<Verdict> {
        let verdict = match self {
            // Its result does not matter: the update that follows shows the state of the host.
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
            Self::Http(talk) => return talk.hear(answer(heard)),
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
    /// The question that `job` describes; over at once where the provider cannot answer.
    pub fn begin(job: &ZoneJob<'a>) -> (Self, Step<ZoneAnswer>) {
        let ZoneJob { provider, credential, host, .. } = *job;
        let mut search = None;
        let api_url = provider.api_url.as_deref();
        let step = match (provider.protocol, api_url) {
            (Protocol::Desec, Some(api_url)) => ask(desec::zone_request(api_url, host, credential)),
            (Protocol::PowerDns, Some(api_url)) => {
                ask(powerdns::zones_request(api_url, credential))
            }
            (Protocol::Rfc2136, _) => Step::Ask(Ask::Dns(Asked::Zone(host.clone()))),
            (Protocol::Http, _) => match &provider.http {
                Some(entry) => {
                    let session = HttpSession::new(provider, entry, credential, job.moment);
                    let (begun, step) = Search::begin(session, host, job.details, job.zone);
                    search = Some(Box::new(begun));
                    step
                }
                None => Step::Done(ZoneAnswer::Silent),
            },
            (Protocol::Desec | Protocol::PowerDns, None)
            | (Protocol::Dyndns2 | Protocol::HostsFile | Protocol::Rails, _) => {
                Step::Done(ZoneAnswer::Silent)
            }
        };
        (Self { provider, host, search }, step)
    }

    /// The next step after an answer, or the result of the question.
    pub fn hear(&mut self, heard: Result<Heard, Silence>) -> Step<ZoneAnswer> {
        if let Some(search) = &mut self.search {
            return search.hear(answer(heard));
        }
        let is_powerdns = self.provider.protocol == Protocol::PowerDns;
        Step::Done(match heard {
            Ok(Heard::Answer(answer)) => {
                let names = desec::zone_names(&answer);
                let read = if is_powerdns { powerdns::zone_answer } else { desec::zone_answer };
                read(self.host, &answer, names.as_deref())
            }
            Ok(Heard::Zone(Some(zone))) => ZoneAnswer::Zone(zone, None),
            Ok(Heard::Zone(None)) => {
                let server = self.provider.name_server.as_ref().map(ToString::to_string);
                let (server, host) = (server.unwrap_or_default(), self.host);
                let detail = format!(
                    "{server} does not know the zone of {host}; check the name, or write zone in \
                        its [[host]]"
                );
                ZoneAnswer::Outcome(Outcome::rejected(Rejection::Host, detail))
            }
            Ok(Heard::File(_) | Heard::Reply(_)) => ZoneAnswer::Silent,
            // By HTTP the update may still work, unless the question was not even sent.
            Err(silence) if self.is_http() && silence.fault.leaves_doubt() => ZoneAnswer::Silent,
            Err(silence) => ZoneAnswer::Outcome(silence.into()),
        })
    }

    /// The outcome that `answer` shows for the server and the credential, if any.
    pub fn lesson(&self, answer: &ZoneAnswer) -> Option<Outcome> {
        match answer {
            ZoneAnswer::Outcome(outcome @ Outcome::Deferred(_)) => Some(outcome.clone()),
            // A name server answers this question without a credential.
            ZoneAnswer::Outcome(_) | ZoneAnswer::NoZone | ZoneAnswer::Zone(..)
                if !self.is_http() =>
            {
                None
            }
            ZoneAnswer::Outcome(outcome) => Some(outcome.clone()),
            ZoneAnswer::NoZone | ZoneAnswer::Zone(..) => Some(Outcome::Unchanged),
            ZoneAnswer::Silent => Some(Outcome::deferred(Fault::Busy, "the zone is not known")),
        }
    }

    fn is_http(&self) -> bool {
        self.provider.manners().transport == Transport::Http
    }
}

/// The HTTP answer; an answer of another kind is a fault.
pub(super) fn answer(heard: Result<Heard, Silence>) -> Result<Answer, Silence> {
    match heard? {
        Heard::Answer(answer) => Ok(answer),
        Heard::File(_) | Heard::Reply(_) | Heard::Zone(_) => Err(strange()),
    }
}

/// The fault of an answer of another kind than the question.
fn strange() -> Silence {
    Silence::new(Fault::Unintelligible, "the answer does not fit the question")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt::Debug;
    use std::net::IpAddr;

    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::feature::Feature;
    use crate::core::memory::ZoneKey;
    use crate::core::plan::{Update, Wish};
    use crate::core::protocol::http::tree::Tree;
    use crate::core::protocol::step::Reply;
    use crate::core::provider_key::ProviderKey;
    use crate::core::secret::Secret;
    use crate::core::server::Server;
    use crate::core::time::Timestamp;
    use crate::core::wire::dns::Rcode;
    use crate::core::wire::tsig::Check;

    fn provider(protocol: Protocol) -> Provider {
        let mut provider = protocol.defaults("p".into());
        provider.set(ProviderKey::Server, "https://p.example".into()).unwrap();
        if protocol == Protocol::Http {
            let text = |text| Tree::Text(Cow::Borrowed(text));
            let table = |name, value| Tree::Table(vec![(Cow::Borrowed(name), text(value))]);
            let set = table("get", "https://p.example/up?{host}={ipv4}");
            let answer = table("updated", "200 is=fine");
            let settings = vec![(ProviderKey::Set, set), (ProviderKey::Answer, answer)];
            provider.describe(settings).unwrap();
        }
        provider.name_server = Some(Server::Name("ns.example".parse().unwrap(), 53));
        provider
    }

    fn moment() -> Moment {
        Moment { clock_is_set: true, ..Moment::default() }
    }

    /// The question for the zone of `host`, and its first step.
    fn ask_for_zone<'a>(
        provider: &'a Provider,
        host: &'a Hostname,
        credential: &'a Credential,
        details: &'a Details,
    ) -> (ZoneTalk<'a>, Step<ZoneAnswer>) {
        let job = ZoneJob { provider, credential, host, zone: None, details, moment: moment() };
        ZoneTalk::begin(&job)
    }

    fn credential() -> Credential {
        Credential { login: "login".into(), secret: Secret::new("a1b2c3") }
    }

    fn request(zone: Option<&str>) -> Request {
        let set = Wish::Set("198.18.0.1".parse::<IpAddr>().unwrap().into());
        let wishes = PerFamily { v4: set, v6: Wish::Leave };
        let zone = zone.map(|zone| zone.parse().unwrap());
        Request {
            hosts: vec![0],
            updates: vec![Update { host: "a.example".parse().unwrap(), wishes }],
            ttl: None,
            conditions: Vec::new(),
            details: Vec::new(),
            is_anew: false,
            zone: ZoneKey { provider: "p".into(), zone },
            counts: Vec::new(),
            at: Timestamp::default(),
        }
    }

    fn answer(status: u16, body: &str) -> Heard {
        let body = body.as_bytes().to_vec();
        Heard::Answer(Answer { status, body, ..Answer::default() })
    }

    fn silence(fault: Fault) -> Result<Heard, Silence> {
        Err(Silence::new(fault, "nobody is there"))
    }

    /// What is asked, or how the talk has ended.
    fn in_words<T: Debug>(step: &Step<T>) -> String {
        match step {
            Step::Ask(Ask::Http(request)) => format!("{} {}", request.method.as_str(), request.url),
            Step::Ask(Ask::File(updates)) => format!("file of {}", updates[0].host),
            Step::Ask(Ask::Dns(Asked::Update(zone, _))) => format!("update of {zone}"),
            Step::Ask(Ask::Dns(Asked::Zone(host))) => format!("zone of {host}"),
            Step::Done(done) => format!("{done:?}"),
        }
    }

    #[track_caller]
    fn check_end(step: &Step<Verdict>, expect: &str) {
        let Step::Done(Verdict::All(outcome)) = step else { panic!("not over: {step:?}") };
        let word = match outcome {
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Deferred(deferral) => deferral.fault.word(),
            Outcome::Rejected(refusal) => refusal.rejection.word(),
        };
        assert_eq!(word, expect, "{outcome:?}");
    }

    /// Holds the talk about `request`: what is asked first, and how it ends with what is heard then.
    #[track_caller]
    fn check(protocol: Protocol, zone: Option<&str>, expect: (&str, Result<Heard, Silence>, &str)) {
        let (provider, credential, request) = (provider(protocol), credential(), request(zone));
        let (provider, credential, request) = (&provider, &credential, &request);
        let job = Job { provider, credential, request, moment: moment() };
        let (mut talk, step) = Talk::begin(&job);
        let (asked, heard, end) = expect;
        assert_eq!(in_words(&step), asked);
        check_end(&talk.hear(heard), end);
    }

    /// What the talk of each protocol begins with in the zone `example`.
    fn beginnings() -> Vec<(Protocol, &'static str)> {
        let mut all = vec![
            (
                Protocol::Desec,
                "GET https://p.example/api/v1/dyndns/update?hostname=a.example\
                 &myipv4=198.18.0.1&myipv6=preserve",
            ),
            (
                Protocol::Dyndns2,
                "GET https://p.example/nic/update?hostname=a.example&myip=198.18.0.1",
            ),
            (Protocol::HostsFile, "file of a.example"),
            (Protocol::Http, "GET https://p.example/up?a.example=198.18.0.1"),
            (Protocol::PowerDns, "PATCH https://p.example/api/v1/servers/localhost/zones/example."),
            (Protocol::Rails, "GET https://p.example/token/…"),
        ];
        if Feature::NameServers.is_here() {
            all.push((Protocol::Rfc2136, "update of example"));
        }
        all
    }

    #[test]
    fn every_protocol_asks_in_its_own_way_and_hears_what_it_asked_for() {
        let reply = Reply { rcode: Rcode::NO_ERROR, check: Check::Verified, at: 0 };
        for (protocol, asked) in beginnings() {
            let (heard, end) = match protocol {
                Protocol::Desec => (Ok(answer(200, "good")), "updated"),
                Protocol::Dyndns2 => (Ok(answer(200, "nochg 198.18.0.1")), "unchanged"),
                Protocol::HostsFile => (Ok(Heard::File(true)), "updated"),
                Protocol::Http => (Ok(answer(200, "fine")), "updated"),
                Protocol::PowerDns => (Ok(answer(204, "")), "updated"),
                Protocol::Rails => (Ok(answer(503, "")), "server-fault"),
                Protocol::Rfc2136 => (Ok(Heard::Reply(reply)), "updated"),
            };
            check(protocol, Some("example"), (asked, heard, end));
        }
        let unchanged = ("file of a.example", Ok(Heard::File(false)), "unchanged");
        check(Protocol::HostsFile, None, unchanged);
    }

    #[test]
    fn silence_and_what_nobody_asked_for_end_every_talk() {
        for (protocol, asked) in beginnings() {
            let heard = silence(Fault::Unreachable);
            check(protocol, Some("example"), (asked, heard, "unreachable"));
            let strange = match protocol {
                Protocol::HostsFile => Ok(answer(200, "good")),
                _ => Ok(Heard::File(true)),
            };
            check(protocol, Some("example"), (asked, strange, "unintelligible"));
        }
    }

    #[test]
    fn who_needs_the_zone_asks_nothing_without_it() {
        let (credential, without) = (credential(), request(None));
        for protocol in [Protocol::PowerDns, Protocol::Rfc2136] {
            let (provider, credential, request) = (&provider(protocol), &credential, &without);
            let job = Job { provider, credential, request, moment: moment() };
            check_end(&Talk::begin(&job).1, "unintelligible");
        }
        let provider = Provider { name_server: None, ..provider(Protocol::Rfc2136) };
        let (provider, credential, request) = (&provider, &credential, &request(Some("example")));
        let job = Job { provider, credential, request, moment: moment() };
        check_end(&Talk::begin(&job).1, "unintelligible");
    }

    #[test]
    fn what_has_to_be_a_change_at_desec_is_touched_first_whatever_comes_of_that() {
        let (provider, credential) = (provider(Protocol::Desec), credential());
        let request = Request { is_anew: true, ..request(Some("example")) };
        let (provider, credential, request) = (&provider, &credential, &request);
        let job = Job { provider, credential, request, moment: moment() };
        for heard in [Ok(answer(200, "[]")), silence(Fault::Lost)] {
            let (mut talk, step) = Talk::begin(&job);
            assert_eq!(in_words(&step), "PATCH https://p.example/api/v1/domains/example/rrsets/");
            assert!(
                in_words(&talk.hear(heard)).starts_with("GET https://p.example/api/v1/dyndns/")
            );
            check_end(&talk.hear(Ok(answer(200, "good"))), "updated");
        }
    }

    #[track_caller]
    fn check_zone(protocol: Protocol, heard: Result<Heard, Silence>, expect: &ZoneAnswer) {
        let (provider, host) = (provider(protocol), "a.example".parse().unwrap());
        let (credential, details) = (credential(), Details::default());
        let (mut talk, _) = ask_for_zone(&provider, &host, &credential, &details);
        let Step::Done(answer) = talk.hear(heard) else { panic!("not over") };
        assert_eq!(answer, *expect);
    }

    #[test]
    fn the_zone_is_asked_where_somebody_tells_it() {
        let (host, silent) =
            ("a.example".parse().unwrap(), in_words(&Step::Done(ZoneAnswer::Silent)));
        for (protocol, asked) in [
            (Protocol::Desec, "GET https://p.example/api/v1/domains/?owns_qname=a.example"),
            (Protocol::Dyndns2, &*silent),
            (Protocol::HostsFile, &*silent),
            (Protocol::Http, &*silent),
            (Protocol::PowerDns, "GET https://p.example/api/v1/servers/localhost/zones"),
            (Protocol::Rails, &*silent),
            (Protocol::Rfc2136, "zone of a.example"),
        ] {
            let (provider, credential) = (provider(protocol), credential());
            let step = ask_for_zone(&provider, &host, &credential, &Details::default()).1;
            assert_eq!(in_words(&step), asked);
        }
        let nowhere = Provider { api_url: None, ..provider(Protocol::Desec) };
        let (credential, details) = (credential(), Details::default());
        assert_eq!(in_words(&ask_for_zone(&nowhere, &host, &credential, &details).1), silent);
    }

    #[test]
    fn what_comes_of_the_question_for_the_zone_is_a_zone_or_why_there_is_none() {
        let zone = || "example".parse::<Hostname>().unwrap();
        let found = ZoneAnswer::Zone(zone(), None);
        let unreachable =
            ZoneAnswer::Outcome(Outcome::deferred(Fault::Unreachable, "nobody is there"));
        let lost = ZoneAnswer::Outcome(Outcome::deferred(Fault::Lost, "nobody is there"));
        for protocol in [Protocol::Desec, Protocol::PowerDns] {
            check_zone(protocol, Ok(answer(200, "[{\"name\":\"example\"}]")), &found);
            check_zone(protocol, Ok(answer(200, "[]")), &ZoneAnswer::NoZone);
            check_zone(protocol, Ok(Heard::File(true)), &ZoneAnswer::Silent);
            check_zone(protocol, silence(Fault::Unreachable), &unreachable);
            // The update may fare better.
            check_zone(protocol, silence(Fault::Lost), &ZoneAnswer::Silent);
        }
        check_zone(Protocol::Rfc2136, Ok(Heard::Zone(Some(zone()))), &found);
        check_zone(Protocol::Rfc2136, silence(Fault::Lost), &lost);
        let detail = "ns.example:53 does not know the zone of a.example; check the name, or write \
            zone in its [[host]]";
        let unknown = ZoneAnswer::Outcome(Outcome::rejected(Rejection::Host, detail));
        check_zone(Protocol::Rfc2136, Ok(Heard::Zone(None)), &unknown);
    }

    #[test]
    fn only_a_server_that_wants_a_credential_shows_what_it_thinks_of_it() {
        let host = "a.example".parse().unwrap();
        let deferred = || Outcome::deferred(Fault::Unreachable, "");
        let refused = || Outcome::rejected(Rejection::Credential, "");
        let busy = Outcome::deferred(Fault::Busy, "the zone is not known");
        for (answer, by_http, by_dns) in [
            (ZoneAnswer::Outcome(deferred()), Some(deferred()), Some(deferred())),
            (ZoneAnswer::Outcome(refused()), Some(refused()), None),
            (ZoneAnswer::NoZone, Some(Outcome::Unchanged), None),
            (ZoneAnswer::Silent, Some(busy.clone()), Some(busy)),
        ] {
            for (protocol, expect) in [(Protocol::Desec, by_http), (Protocol::Rfc2136, by_dns)] {
                let provider = provider(protocol);
                let (credential, details) = (credential(), Details::default());
                let (talk, _) = ask_for_zone(&provider, &host, &credential, &details);
                assert_eq!(talk.lesson(&answer), expect, "{answer:?}");
            }
        }
    }
}
