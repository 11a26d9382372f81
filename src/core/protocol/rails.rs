//! `PowerDNS` on Rails, by an authentication token: its URL opens a [`Session`], in which records
//! are read, changed, and read again.
//!
//! The rules come from the REST page and the source of the releases. No status proves an update;
//! only the record read back does.

pub mod xml;

use std::net::IpAddr;

use super::step::{Step, ask};
use super::{
    Answer, Authorization, Body, HttpRequest, Method, Verdict, query_value, server_fault, too_many,
};
use crate::core::address::Family;
use crate::core::address::told::quoted;
use crate::core::name::Hostname;
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection, Silence};
use crate::core::plan::{Update, Wish};
use crate::core::secret::{Guarded, Secret};

/// A domain as its XML shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain {
    /// Its number at the server.
    pub id: u64,
    /// Its name, in lower case and without a final dot.
    pub name: String,
    /// Every record in it.
    pub records: Vec<Record>,
}

/// A record as the domain's XML shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its number at the server.
    pub id: u64,
    /// Its full name, in lower case and without a final dot.
    pub name: String,
    /// Its type, in capitals.
    pub kind: String,
    /// Its value.
    pub content: String,
    /// How long it may be cached, in seconds.
    pub ttl: Option<u32>,
}

/// An update with one token: one session, at one server, for hosts of one domain.
#[derive(Debug)]
pub struct Session {
    server: String,
    token: Secret,
    ttl: Option<u32>,
    updates: Vec<Update>,
    stage: Stage,
    /// The media type that changes ask for; another one after the server has refused the first.
    accept: &'static str,
    /// Whether a change was sent: the server's records are in doubt until they are read.
    touched: bool,
    /// The outcome of each host that needs no change or cannot be changed.
    early: Vec<Option<Outcome>>,
    jobs: Vec<Job>,
}

/// A session that the server has opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The number of the token's domain.
    pub domain: u64,
    cookie: Secret,
}

#[derive(Debug)]
enum Stage {
    Opening,
    Looking(Opened),
    Changing(Opened, usize),
    Confirming(Opened),
}

/// A record that is to be changed.
#[derive(Debug)]
struct Job {
    host: usize,
    family: Family,
    address: IpAddr,
    id: u64,
    /// The server's answer to the change, in words.
    said: String,
    is_refused: bool,
}

/// The type of 2.3.3's answers to changes; asked for another it makes the change and answers 406.
const JAVASCRIPT: &str = "text/javascript";
/// The type of later releases' answers to changes, and of every release's answer with a domain.
const XML: &str = "application/xml";

/// The number of updates in a row without the value shown at which a person must look.
pub const MOST_NOT_SHOWN: u32 = 3;

impl Session {
    /// A session at `server` (its base URL) for `updates`, with the request that opens it.
    ///
    /// `ttl` is given to records that are changed, in seconds.
    pub fn begin(
        server: &str,
        token: &Secret,
        updates: &[Update],
        ttl: Option<u32>,
    ) -> (Self, Step<Verdict>) {
        let server = server.trim_end_matches('/').to_owned();
        let session = Self {
            server,
            token: token.clone(),
            ttl,
            updates: updates.to_vec(),
            stage: Stage::Opening,
            accept: XML,
            touched: false,
            early: vec![None; updates.len()],
            jobs: Vec::new(),
        };
        let step = if is_token(token) {
            ask(open(&session.server, token))
        } else {
            let detail = "the secret is not a token of PowerDNS on Rails; put the letters and \
                          digits after /token/ alone into its file";
            session.end(Outcome::rejected(Rejection::Credential, detail))
        };
        (session, step)
    }

    /// The next step after the answer to the last request; `domain` is the domain in its body, if
    /// any.
    pub fn hear(&mut self, answer: &Answer, domain: Option<&Domain>) -> Step<Verdict> {
        match std::mem::replace(&mut self.stage, Stage::Opening) {
            Stage::Opening => match opened(&self.server, &self.token, answer) {
                Ok(opened) => {
                    let request = look(&self.server, &opened);
                    self.stage = Stage::Looking(opened);
                    ask(request)
                }
                Err(outcome) => self.end(outcome),
            },
            Stage::Looking(opened) => match shown(&opened, answer, domain) {
                Ok(domain) => {
                    self.compare(domain);
                    self.change(opened.renewed(answer), 0)
                }
                Err(outcome) => self.end(outcome),
            },
            Stage::Changing(opened, at) => match self.note_change(answer, at) {
                Ok(()) => self.change(opened.renewed(answer), at + 1),
                Err(outcome) => self.end(outcome),
            },
            Stage::Confirming(opened) => match shown(&opened, answer, domain) {
                Ok(domain) => Step::Done(self.outcomes(Some(domain))),
                Err(outcome) => self.end(outcome),
            },
        }
    }

    /// The next step after the last request, answered or not.
    pub fn hear_of(&mut self, heard: Result<Answer, Silence>) -> Step<Verdict> {
        match heard {
            Ok(answer) => {
                let hosts: Vec<&Hostname> =
                    self.updates.iter().map(|update| &update.host).collect();
                self.hear(&answer, xml::domain(&answer, &hosts).as_ref())
            }
            Err(silence) => self.end(silence.into()),
        }
    }

    /// Ends the session with one outcome for all.
    fn end(&self, outcome: Outcome) -> Step<Verdict> {
        Step::Done(Verdict::All(self.in_doubt(outcome)))
    }

    /// `outcome`, changed to one that leaves doubt if a change was sent: the server may hold the
    /// new address, even if a later request failed.
    fn in_doubt(&self, outcome: Outcome) -> Outcome {
        if !self.touched {
            return outcome;
        }
        match outcome {
            Outcome::Rejected(Refusal { detail, .. }) => Outcome::deferred(Fault::Server, detail),
            Outcome::Deferred(Deferral { fault, detail, retry_after }) if !fault.leaves_doubt() => {
                let fault = if fault.is_the_networks() { Fault::Lost } else { Fault::Server };
                Outcome::Deferred(Deferral { fault, detail, retry_after })
            }
            Outcome::Deferred(_) | Outcome::Unchanged | Outcome::Updated => outcome,
        }
    }

    /// Finds the records to be changed. A host with a record that cannot be changed stays as it is.
    fn compare(&mut self, domain: &Domain) {
        for (host, update) in self.updates.iter().enumerate() {
            let mut jobs = Vec::new();
            for family in Family::BOTH {
                match wanted(update, family, domain, self.ttl) {
                    Ok(None) => {}
                    Ok(Some((address, id))) => {
                        let (said, is_refused) = (String::new(), false);
                        jobs.push(Job { host, family, address, id, said, is_refused });
                    }
                    Err((rejection, detail)) => {
                        self.early[host] = Some(Outcome::rejected(rejection, detail));
                    }
                }
            }
            match self.early[host] {
                Some(_) => {}
                None if jobs.is_empty() => self.early[host] = Some(Outcome::Unchanged),
                None => self.jobs.append(&mut jobs),
            }
        }
    }

    /// The change of the record at index `at`; after the last one, the second reading of the domain.
    fn change(&mut self, opened: Opened, at: usize) -> Step<Verdict> {
        let Some(job) = self.jobs.get(at) else {
            if self.jobs.iter().all(|job| job.is_refused) {
                return Step::Done(self.outcomes(None));
            }
            let request = look(&self.server, &opened);
            self.stage = Stage::Confirming(opened);
            return ask(request);
        };
        let ttl = self.ttl.map(|ttl| format!("<ttl>{ttl}</ttl>")).unwrap_or_default();
        let body = format!("<record><content>{}</content>{ttl}</record>", job.address);
        let url = format!("{}/domains/{}/records/{}", self.server, opened.domain, job.id);
        let request = HttpRequest {
            method: Method::Put,
            body: Some(Body::ApplicationXml(body.into())),
            ..request(url, self.accept, &opened)
        };
        self.stage = Stage::Changing(opened, at);
        self.touched = true;
        ask(request)
    }

    /// Notes the answer to the change at index `at`; an error ends the session.
    ///
    /// No answer proves success: 2.3.3 answers 200 even to a change that it did not make.
    fn note_change(&mut self, answer: &Answer, at: usize) -> Result<(), Outcome> {
        let said = answer.summary();
        let is_refused = match answer.status {
            403 if is_plain(answer) => true,
            // The release that answers 406 has made the change all the same.
            406 => {
                self.accept = JAVASCRIPT;
                false
            }
            // The answer proves nothing: only reading the record back shows whether it was changed.
            200..=399 => false,
            400 | 404 | 422 if !answer.is_page() => false,
            _ => return Err(trouble(answer, "the change of a record")),
        };
        let job = &mut self.jobs[at];
        (job.said, job.is_refused) = (said, is_refused);
        // A refusal changes nothing.
        if self.jobs[..=at].iter().all(|job| job.is_refused) {
            self.touched = false;
        }
        Ok(())
    }

    /// The outcome of each host, by the records in `domain`; `None` when nothing was changed.
    fn outcomes(&self, domain: Option<&Domain>) -> Verdict {
        let each = self.updates.iter().enumerate().map(|(host, update)| {
            if let Some(outcome) = &self.early[host] {
                return outcome.clone();
            }
            let jobs: Vec<&Job> = self.jobs.iter().filter(|job| job.host == host).collect();
            let missed = |job: &&&Job| !domain.is_some_and(|domain| job.is_shown(update, domain));
            let missed: Vec<&&Job> = jobs.iter().filter(missed).collect();
            let Some(first) = missed.first() else {
                return Outcome::Updated;
            };
            let words: Vec<String> = missed.iter().map(|job| job.words(update, domain)).collect();
            // A refusal means that nothing was changed, so it must be true of every change of the host.
            if first.is_refused && missed.len() == jobs.len() && jobs.iter().all(|j| j.is_refused) {
                Outcome::rejected(Rejection::Forbidden, words.join("; "))
            } else {
                Outcome::deferred(Fault::NotShown, words.join("; "))
            }
        });
        Verdict::Each(each.collect())
    }
}

impl Job {
    fn is_shown(&self, update: &Update, domain: &Domain) -> bool {
        match domain.records_of(&update.host, self.family.record_type())[..] {
            [record] => record.holds(self.address),
            _ => false,
        }
    }

    /// The words for a value that is not shown.
    fn words(&self, update: &Update, domain: Option<&Domain>) -> String {
        let (kind, host) = (self.family.record_type(), &update.host);
        if self.is_refused {
            return format!("the token may not change {kind} of {host}: {}", self.said);
        }
        let records = domain.map(|domain| domain.records_of(host, kind)).unwrap_or_default();
        let values: Vec<String> = records.iter().map(|record| record.shown()).collect();
        let is = if values.is_empty() { "nothing".to_owned() } else { values.join(", ") };
        format!(
            "{kind} of {host} shows {is} and not {} after the answer {}",
            self.address, self.said
        )
    }
}

impl Domain {
    /// Whether `host` is in the domain.
    pub fn covers(&self, host: &Hostname) -> bool {
        let rest = host.as_str().strip_suffix(&self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Its records of one type at `host`.
    pub fn records_of(&self, host: &Hostname, kind: &str) -> Vec<&Record> {
        let fits = |record: &&Record| record.name == host.as_str() && record.kind == kind;
        self.records.iter().filter(fits).collect()
    }
}

impl Record {
    /// The content in words: short text as it is, any other text quoted.
    fn shown(&self) -> String {
        const SHORT: usize = 45;
        let content = self.content.trim();
        let is_plain =
            content.len() <= SHORT && content.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain { content.to_owned() } else { quoted(content) }
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.content.trim().parse() == Ok(address)
    }
}

impl Opened {
    /// The session after `answer`, which may have given its cookie another value.
    fn renewed(self, answer: &Answer) -> Self {
        match session_cookie(answer) {
            Some(cookie) => Self { cookie, ..self },
            None => self,
        }
    }
}

/// The address that the record of `family` should get, with the record's number; `None` when it
/// needs no change. An error says why the record cannot be changed.
fn wanted(
    update: &Update,
    family: Family,
    domain: &Domain,
    ttl: Option<u32>,
) -> Result<Option<(IpAddr, u64)>, (Rejection, String)> {
    let Wish::Set(addresses) = &update.wishes[family] else {
        return Ok(None);
    };
    let (host, kind) = (&update.host, family.record_type());
    let mut all = addresses.iter();
    let (rejection, detail) = match (all.next(), all.next(), &domain.records_of(host, kind)[..]) {
        _ if !domain.covers(host) => (
            Rejection::Host,
            format!(
                "the token is for the domain {}, which does not contain {host}; issue one for \
                    that host",
                domain.name
            ),
        ),
        (Some(address), None, [record]) => {
            let is_right = record.holds(address) && (ttl.is_none() || record.ttl == ttl);
            return Ok((!is_right).then_some((address, record.id)));
        }
        (_, Some(_), _) | (None, ..) => (
            Rejection::Request,
            format!(
                "{kind} of {host} can hold one address at such a server, and several are to be \
                 published; publish one (count = 1)"
            ),
        ),
        (.., []) if !domain.records_of(host, "CNAME").is_empty() => (
            Rejection::Request,
            format!(
                "{host} is an alias (CNAME), and cannot have addresses as well: delete the \
                CNAME"
            ),
        ),
        (.., []) => {
            let has_other = !domain.records_of(host, family.other().record_type()).is_empty();
            let detail = format!(
                "there is no {kind} record of {host}; create it at the server, or switch {family} \
                    off for the host (creating it with the token would change the token's secret)"
            );
            (if has_other { Rejection::Request } else { Rejection::Host }, detail)
        }
        (.., [_, _, ..]) => (
            Rejection::Request,
            format!(
                "{host} has more than one {kind} record, and it is unclear which one to update; \
                    delete the others at the server"
            ),
        ),
    };
    Err((rejection, detail))
}

/// Whether a secret can be a token. The server's are 16 of `a-z1-9`; other releases may differ,
/// but no token holds a character with a meaning in a path.
fn is_token(secret: &Secret) -> bool {
    const LONGEST: usize = 128;
    let text = secret.expose();
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The request that opens a session at `server` (without a final slash).
///
/// The URL begins with our own base: the URL that the server returns with a new token begins with
/// the server's own name, which can be wrong behind a proxy.
pub fn open(server: &str, token: &Secret) -> HttpRequest {
    let headers = vec![("Accept".into(), "text/html".to_owned().into())];
    let mut url = Guarded::from(format!("{server}/token/"));
    url.push_secret(token, &query_value(token.expose()));
    HttpRequest { headers, is_list: true, ..HttpRequest::get(url, None) }
}

/// The request that reads the domain of a session.
pub fn look(server: &str, opened: &Opened) -> HttpRequest {
    request(format!("{server}/domains/{}.xml", opened.domain), XML, opened)
}

/// The request that leaves a session, and thereby ends its token for good.
pub fn leave(server: &str, opened: &Opened) -> HttpRequest {
    request(format!("{server}/logout"), "text/html", opened)
}

/// A reading request within a session.
fn request(url: String, accept: &str, opened: &Opened) -> HttpRequest {
    let authorization = Some(Authorization::Cookie(opened.cookie.clone()));
    let headers = vec![("Accept".into(), accept.to_owned().into())];
    HttpRequest { headers, is_list: true, ..HttpRequest::get(url, authorization) }
}

/// The session that `answer` to [`open`] opens, or the outcome if it opens none.
///
/// A redirect to a domain with a session's cookie is the only success: a token that is wrong or has
/// expired is answered with 200 and a page that says so.
pub fn opened(server: &str, token: &Secret, answer: &Answer) -> Result<Opened, Outcome> {
    let place = answer.location.as_deref();
    match (answer.status, place.and_then(|place| domain_at(server, place))) {
        (302 | 303, Some(domain)) => {
            let cookie = session_cookie(answer).ok_or_else(|| {
                let detail = "the server redirects the token to its domain without a session";
                Outcome::deferred(Fault::Unintelligible, detail)
            })?;
            Ok(Opened { domain, cookie })
        }
        (300..=399, _) => {
            let detail = format!(
                "HTTP {}: the server redirects the token elsewhere than to its domain; check the \
                    provider's URL, and whether this release of the server supports tokens",
                answer.status
            );
            Err(Outcome::deferred(Fault::Unintelligible, detail))
        }
        // Any other page may come from another server.
        (200, _) if answer.is_page() && says_expired(answer, token) => {
            let detail = "the server says that the token has expired or is wrong";
            Err(Outcome::rejected(Rejection::Credential, detail))
        }
        _ => Err(trouble(answer, "the token")),
    }
}

/// Whether a page says anywhere in its text that a token has expired. The token itself, which the
/// page may repeat, does not count.
fn says_expired(answer: &Answer, token: &Secret) -> bool {
    let page = String::from_utf8_lossy(&answer.body).replace(token.expose(), " ");
    let page = page.to_ascii_lowercase();
    page.contains("token") && page.contains("expired")
}

/// The domain of the session `opened`, or the outcome if `answer` does not show it.
pub fn shown<'a>(
    opened: &Opened,
    answer: &Answer,
    domain: Option<&'a Domain>,
) -> Result<&'a Domain, Outcome> {
    match (answer.status, domain) {
        (200, Some(domain)) if domain.id == opened.domain => Ok(domain),
        (200, Some(_)) => {
            let detail = "the server shows another domain than the token's";
            Err(Outcome::deferred(Fault::Unintelligible, detail))
        }
        // The releases after the move to Devise: they refuse the session, not our credential.
        (401 | 300..=399, _) => {
            let detail = format!(
                "HTTP {}: the server rejects the session that the token opened; check whether \
                    this release of it supports tokens",
                answer.status
            );
            Err(Outcome::deferred(Fault::Unintelligible, detail))
        }
        _ => Err(trouble(answer, "the look at the domain")),
    }
}

/// The outcome of an answer to `what` that is no success.
fn trouble(answer: &Answer, what: &str) -> Outcome {
    let said = format!("{what} is answered with {}", answer.summary());
    match answer.status {
        429 => too_many(answer.retry_after, said),
        500..=599 => server_fault(answer, said),
        401 if !answer.is_page() => Outcome::rejected(Rejection::Credential, said),
        403 if is_plain(answer) => Outcome::rejected(Rejection::Forbidden, said),
        _ => Outcome::deferred(Fault::Unintelligible, said),
    }
}

/// Whether an answer is plain text, as refusals are; Rails marks some plain text as HTML.
fn is_plain(answer: &Answer) -> bool {
    !answer.is_page() || !answer.body.trim_ascii_start().starts_with(b"<")
}

/// The number of the domain that a redirect leads to, if it leads to one of `server`'s own.
///
/// Only the path counts: behind a proxy the server can be wrong about its own name and scheme,
/// and nothing is sent there. A proxy may also hide the path at the end of our base.
fn domain_at(server: &str, place: &str) -> Option<u64> {
    let path = path_of(place)?;
    let own = path_of(server).unwrap_or_default().trim_end_matches('/');
    let path = path.strip_prefix(own).filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let digits = path.strip_prefix("/domains/")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// The path of a URL, or of a reference that begins with its path; without query and fragment.
fn path_of(reference: &str) -> Option<&str> {
    let end = reference.find(['?', '#']).unwrap_or(reference.len());
    let reference = &reference[..end];
    let path = match reference.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        Some(_) => return None,
        None => reference,
    };
    // Two slashes begin the name of a server.
    (!path.starts_with("//")).then_some(path)
}

/// The cookie of a session (`_…_session`) that `answer` sets, as `name=value`.
fn session_cookie(answer: &Answer) -> Option<Secret> {
    answer.cookies.iter().find_map(|cookie| {
        let pair = cookie.expose().split(';').next()?.trim();
        let (name, value) = pair.split_once('=')?;
        let is_session = name.starts_with('_') && name.ends_with("_session");
        let is_plain = pair.bytes().all(|byte| byte.is_ascii_graphic());
        (is_session && !value.is_empty() && is_plain).then(|| Secret::new(pair))
    })
}

/// The outcome of one host, and the number of times in a row that its value was not shown;
/// `before` is that number up to now.
///
/// From the third time on it is a refusal: the server answers and does nothing, so a person must
/// look. An outcome that says nothing about the value, such as a lost answer, keeps the number.
pub fn counted(outcome: Outcome, before: u32) -> (Outcome, u32) {
    match outcome {
        Outcome::Deferred(Deferral { fault: Fault::NotShown, detail, retry_after }) => {
            let times = before.saturating_add(1);
            let outcome = if times < MOST_NOT_SHOWN {
                Outcome::Deferred(Deferral { fault: Fault::NotShown, detail, retry_after })
            } else {
                let detail = format!("{times} times in a row: {detail}");
                Outcome::rejected(Rejection::Request, detail)
            };
            (outcome, times)
        }
        Outcome::Updated | Outcome::Unchanged | Outcome::Rejected(_) => (outcome, 0),
        Outcome::Deferred(_) => (outcome, before),
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::Ask;
    use super::*;

    #[test]
    fn of_a_records_content_no_more_is_shown_than_fits_a_line() {
        let shown = |content: &str| {
            let (name, kind) = ("a.example".to_owned(), "A".to_owned());
            Record { id: 1, name, kind, content: content.to_owned(), ttl: None }.shown()
        };
        assert_eq!(shown("192.0.2.9"), "192.0.2.9");
        assert_eq!(shown("a b\n\x1b[1m"), "\"a b [1m\"");
        assert!(shown(&"x".repeat(64 * 1024)).chars().count() < 90);
    }
    use crate::core::address::{Addresses, PerFamily};

    const SERVER: &str = "https://dns.example/admin";
    const V4: &str = "203.0.113.7";
    const V6: &str = "2001:db8::7";

    fn token() -> Secret {
        Secret::new("a1b2c3d4e5f6g7h8")
    }

    fn wish(addresses: &[&str]) -> Wish {
        let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap());
        Addresses::new(addresses).map_or(Wish::Leave, Wish::Set)
    }

    fn update(host: &str, v4: &[&str], v6: &[&str]) -> Update {
        Update { host: host.parse().unwrap(), wishes: PerFamily { v4: wish(v4), v6: wish(v6) } }
    }

    fn dev1() -> Update {
        update("dev1.example.com", &[V4], &[V6])
    }

    fn domain(records: &[(&str, &str, &str)]) -> Domain {
        let record = |(at, (name, kind, content)): (usize, &(&str, &str, &str))| Record {
            id: at as u64 + 1,
            name: format!("{name}.example.com"),
            kind: (*kind).to_owned(),
            content: (*content).to_owned(),
            ttl: Some(60),
        };
        let records = records.iter().enumerate().map(record).collect();
        Domain { id: 7, name: "example.com".to_owned(), records }
    }

    fn both(v4: &str, v6: &str) -> Domain {
        domain(&[("dev1", "A", v4), ("dev1", "AAAA", v6)])
    }

    fn status(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    fn redirect(place: &str) -> Answer {
        let cookies = vec![
            Secret::new("lang=en"),
            Secret::new("_powerdns_session=abc--1f; path=/; HttpOnly"),
        ];
        Answer { location: Some(place.to_owned()), cookies, ..status(302) }
    }

    fn page(code: u16, text: &str) -> Answer {
        let body = format!("<!DOCTYPE html><p>{text}</p>").into_bytes();
        Answer { body, ..status(code) }
    }

    fn asked(step: &Step<Verdict>) -> String {
        match step {
            Step::Ask(Ask::Http(request)) => format!("{} {}", request.method.as_str(), request.url),
            other => panic!("asks for nothing by HTTP: {other:?}"),
        }
    }

    fn short(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Deferred(deferral) => deferral.fault.word(),
            Outcome::Rejected(refusal) => refusal.rejection.word(),
        }
    }

    #[track_caller]
    fn done_with(step: Step<Verdict>) -> Verdict {
        match step {
            Step::Done(verdict) => verdict,
            Step::Ask(ask) => panic!("not over: {ask:?}"),
        }
    }

    #[track_caller]
    fn done(step: Step<Verdict>) -> Vec<Outcome> {
        match step {
            Step::Done(Verdict::Each(each)) => each,
            Step::Done(Verdict::All(outcome)) => vec![outcome],
            other => panic!("not over: {other:?}"),
        }
    }

    /// A session that has looked at `before`.
    fn looked(updates: &[Update], ttl: Option<u32>, before: &Domain) -> (Session, Step<Verdict>) {
        let (mut session, _) = Session::begin(SERVER, &token(), updates, ttl);
        session.hear(&redirect("https://dns.example/admin/domains/7"), None);
        let step = session.hear(&status(200), Some(before));
        (session, step)
    }

    #[track_caller]
    fn check_look(updates: &[Update], before: &Domain, expect: &[&str]) {
        let outcomes = done(looked(updates, None, before).1);
        assert_eq!(outcomes.iter().map(short).collect::<Vec<_>>(), expect, "{outcomes:?}");
    }

    #[test]
    fn an_update_opens_looks_changes_and_looks_again() {
        let (mut session, step) = Session::begin(&format!("{SERVER}/"), &token(), &[dev1()], None);
        let Step::Ask(Ask::Http(request)) = &step else { panic!("{step:?}") };
        assert_eq!(request.url.to_string(), "https://dns.example/admin/token/…");
        assert_eq!(request.url.expose(), "https://dns.example/admin/token/a1b2c3d4e5f6g7h8");
        let step = session.hear(&redirect("/admin/domains/7"), None);
        assert_eq!(asked(&step), "GET https://dns.example/admin/domains/7.xml");
        let Step::Ask(Ask::Http(request)) = step else { panic!() };
        let cookie = Authorization::Cookie(Secret::new("_powerdns_session=abc--1f"));
        assert_eq!(request.authorization, Some(cookie));

        let step = session.hear(&status(200), Some(&both("192.0.2.1", "2001:db8::1")));
        assert_eq!(asked(&step), "PUT https://dns.example/admin/domains/7/records/1");
        let Step::Ask(Ask::Http(request)) = step else { panic!() };
        let body = "<record><content>203.0.113.7</content></record>";
        assert_eq!(request.body, Some(Body::ApplicationXml(body.to_owned().into())));
        assert_eq!(request.headers, [("Accept".into(), XML.to_owned().into())]);

        let step = session.hear(&status(406), None);
        assert_eq!(asked(&step), "PUT https://dns.example/admin/domains/7/records/2");
        let Step::Ask(Ask::Http(request)) = step else { panic!() };
        assert_eq!(request.headers, [("Accept".into(), JAVASCRIPT.to_owned().into())]);

        let step = session.hear(&status(200), None);
        assert_eq!(asked(&step), "GET https://dns.example/admin/domains/7.xml");
        assert_eq!(done(session.hear(&status(200), Some(&both(V4, V6)))), [Outcome::Updated]);
    }

    #[test]
    fn no_request_shows_a_secret() {
        let (mut session, step) = Session::begin(SERVER, &token(), &[dev1()], None);
        let next = session.hear(&redirect("/admin/domains/7"), None);
        let told = format!("{step:?} {next:?} {session:?}");
        assert!(!told.contains("a1b2") && !told.contains("abc--1f"), "{told}");
    }

    #[test]
    fn only_a_redirect_to_a_domain_of_our_own_server_opens() {
        for (place, id) in [
            ("https://dns.example/admin/domains/7", Some(7)),
            ("http://inside:3000/admin/domains/12?locale=en", Some(12)),
            ("/admin/domains/7#x", Some(7)),
            ("/domains/7", Some(7)),
            ("https://dns.example/admin/domains/", None),
            ("https://dns.example/admin/domains/7/edit", None),
            ("https://dns.example/admin/domains/+7", None),
            ("https://dns.example/other/domains/7", None),
            ("https://dns.example/admindomains/7", None),
            ("//elsewhere.example/domains/7", None),
            ("ftp://dns.example/domains/7", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(domain_at(SERVER, place), id, "{place}");
        }
    }

    #[test]
    fn what_opens_no_session_has_its_meaning() {
        let expired = "Your authentication token has expired.";
        let without = Answer { cookies: Vec::new(), ..redirect("/admin/domains/7") };
        let emptied = vec![Secret::new("_powerdns_session=; path=/")];
        let emptied = Answer { cookies: emptied, ..redirect("/admin/domains/7") };
        for (answer, expect) in [
            (page(200, expired), "credential"),
            (page(200, "log in to the café to go on"), "unintelligible"),
            (page(200, "token a1b2c3d4e5f6g7h8 not found"), "unintelligible"),
            (Answer { body: expired.into(), ..status(200) }, "unintelligible"),
            (without, "unintelligible"),
            (emptied, "unintelligible"),
            (redirect("/session/new"), "unintelligible"),
            (status(401), "credential"),
            (page(401, "please"), "unintelligible"),
            (page(404, expired), "unintelligible"),
            (status(503), "server-fault"),
            (status(429), "busy"),
        ] {
            let (mut session, _) = Session::begin(SERVER, &token(), &[dev1()], None);
            let outcome = done(session.hear(&answer, None));
            assert_eq!(short(&outcome[0]), expect, "{answer:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_not_sent() {
        for wrong in ["", "../domains", "a/b", "https://dns.example/token/a1b2c3d4e5f6g7h8", "a b"]
        {
            let (_, step) = Session::begin(SERVER, &Secret::new(wrong), &[dev1()], None);
            assert_eq!(short(&done(step)[0]), "credential", "{wrong}");
        }
    }

    #[test]
    fn records_that_are_right_are_left_alone() {
        check_look(&[dev1()], &both(V4, "2001:db8:0:0::7"), &["unchanged"]);
        let v4_alone = update("dev1.example.com", &[V4], &[]);
        check_look(&[v4_alone], &both(V4, "2001:db8::1"), &["unchanged"]);
    }

    #[test]
    fn what_stands_in_the_way_is_said_before_anything_is_changed() {
        let old = ("dev1", "A", "192.0.2.1");
        let wild = ("www", "A", V4);
        check_look(&[dev1()], &domain(&[old]), &["request"]);
        check_look(&[dev1()], &domain(&[wild]), &["host"]);
        check_look(&[dev1()], &domain(&[("dev1", "CNAME", "www.example.com")]), &["request"]);
        check_look(&[dev1()], &domain(&[old, old, ("dev1", "AAAA", V6)]), &["request"]);
        check_look(&[update("dev1.example.net", &[V4], &[])], &both(V4, V6), &["host"]);
        check_look(&[update("a.dev1.anexample.com", &[V4], &[])], &both(V4, V6), &["host"]);
        let two = update("dev1.example.com", &["203.0.113.7", "203.0.113.8"], &[]);
        check_look(&[two], &both(V4, V6), &["request"]);
    }

    #[test]
    fn a_host_in_the_way_does_not_stop_another() {
        let hosts =
            [update("gone.example.com", &[V4], &[]), update("dev1.example.com", &[V4], &[])];
        let (mut session, step) = looked(&hosts, None, &both("192.0.2.1", V6));
        assert!(asked(&step).ends_with("/records/1"));
        session.hear(&status(204), None);
        let outcomes = done(session.hear(&status(200), Some(&both(V4, V6))));
        assert_eq!(outcomes.iter().map(short).collect::<Vec<_>>(), ["host", "updated"]);
    }

    #[test]
    fn no_status_proves_a_change() {
        for code in [200, 204, 302, 406, 422] {
            let before = both("192.0.2.1", V6);
            let (mut session, _) = looked(&[dev1()], None, &before);
            session.hear(&status(code), None);
            let outcome = done(session.hear(&status(200), Some(&before))).remove(0);
            assert_eq!(short(&outcome), "not-shown", "{code}");
            let (mut session, _) = looked(&[dev1()], None, &before);
            session.hear(&status(code), None);
            let outcome = done(session.hear(&status(200), Some(&both(V4, V6)))).remove(0);
            assert_eq!(outcome, Outcome::Updated, "{code}");
        }
    }

    #[test]
    fn a_value_that_is_not_shown_is_said_with_both_values() {
        let before = both("192.0.2.1", V6);
        let (mut session, _) = looked(&[dev1()], None, &before);
        let answer = Answer { body: b"$('error').show();".to_vec(), ..status(200) };
        session.hear(&answer, None);
        let Outcome::Deferred(deferral) = done(session.hear(&status(200), Some(&before))).remove(0)
        else {
            panic!()
        };
        assert_eq!(
            deferral.detail,
            "A of dev1.example.com shows 192.0.2.1 and not 203.0.113.7 after the answer HTTP 200 \
             \"$('error').show();\""
        );
    }

    #[test]
    fn a_refusal_alone_is_one_and_needs_no_second_look() {
        let (mut session, _) = looked(&[dev1()], None, &both("192.0.2.1", V6));
        assert_eq!(short(&done(session.hear(&status(403), None))[0]), "forbidden");
        let (mut session, _) = looked(&[dev1()], None, &both("192.0.2.1", V6));
        assert_eq!(short(&done(session.hear(&page(403, "no"), None))[0]), "unintelligible");
        let html = Some("text/html".to_owned());
        let plain = Answer { content_type: html, body: b"You may not.".to_vec(), ..status(403) };
        let (mut session, _) = looked(&[dev1()], None, &both("192.0.2.1", V6));
        assert_eq!(short(&done(session.hear(&plain, None))[0]), "forbidden");
    }

    #[test]
    fn a_refusal_beside_a_change_leaves_the_doubt_that_the_change_made() {
        let (mut session, _) = looked(&[dev1()], None, &both("192.0.2.1", "2001:db8::1"));
        session.hear(&status(204), None);
        session.hear(&status(403), None);
        let outcome = done(session.hear(&status(200), Some(&both(V4, "2001:db8::1")))).remove(0);
        assert_eq!(short(&outcome), "not-shown");
    }

    #[test]
    fn after_a_change_whatever_goes_wrong_leaves_doubt() {
        let before = both("192.0.2.1", V6);
        for answer in [status(401), status(403), status(429), status(503), page(200, "x")] {
            let (mut session, _) = looked(&[dev1()], None, &before);
            session.hear(&status(204), None);
            let outcome = done(session.hear(&answer, None)).remove(0);
            let Outcome::Deferred(deferral) = outcome else { panic!("{answer:?}: {outcome:?}") };
            assert!(deferral.fault.leaves_doubt(), "{answer:?}");
        }
        for fault in Fault::ALL {
            let (mut session, _) = looked(&[dev1()], None, &before);
            let Verdict::All(Outcome::Deferred(deferral)) =
                done_with(session.hear_of(Err(Silence::new(fault, ""))))
            else {
                panic!()
            };
            assert!(deferral.fault.leaves_doubt(), "{fault:?}");
        }
        let (mut session, _) = Session::begin(SERVER, &token(), &[dev1()], None);
        let expect = Verdict::All(Outcome::deferred(Fault::Unreachable, ""));
        assert_eq!(done_with(session.hear_of(Err(Silence::new(Fault::Unreachable, "")))), expect);
    }

    #[test]
    fn a_ttl_is_given_where_it_differs() {
        let (_, step) = looked(&[dev1()], Some(300), &both(V4, V6));
        let Step::Ask(Ask::Http(request)) = step else { panic!() };
        let body = "<record><content>203.0.113.7</content><ttl>300</ttl></record>";
        assert_eq!(request.body, Some(Body::ApplicationXml(body.to_owned().into())));
        assert_eq!(done(looked(&[dev1()], Some(60), &both(V4, V6)).1), [Outcome::Unchanged]);
    }

    #[test]
    fn a_domain_other_than_the_tokens_is_not_believed() {
        let (mut session, _) = Session::begin(SERVER, &token(), &[dev1()], None);
        session.hear(&redirect("/admin/domains/8"), None);
        let outcome = done(session.hear(&status(200), Some(&both(V4, V6))));
        assert_eq!(short(&outcome[0]), "unintelligible");
    }

    #[test]
    fn the_third_time_running_that_a_value_is_not_shown_is_a_refusal() {
        let not_shown = || Outcome::deferred(Fault::NotShown, "A of a.example shows b");
        let lost = || Outcome::deferred(Fault::Lost, "");
        let mut count = 0;
        let mut next = |outcome: Outcome| {
            let (outcome, after) = counted(outcome, count);
            count = after;
            short(&outcome)
        };
        assert_eq!(next(not_shown()), "not-shown");
        assert_eq!(next(not_shown()), "not-shown");
        assert_eq!(next(Outcome::Updated), "updated");
        assert_eq!(next(not_shown()), "not-shown");
        assert_eq!(next(lost()), "no-answer");
        assert_eq!(next(not_shown()), "not-shown");
        assert_eq!(next(not_shown()), "request");
        // A day later it is tried once, not three times.
        assert_eq!(next(not_shown()), "request");
        assert_eq!(next(Outcome::Unchanged), "unchanged");
        assert_eq!(next(not_shown()), "not-shown");
    }
}
