//! Protocols: an update becomes a request, an answer becomes outcomes. Nothing is sent here.
//!
//! Each protocol is a file of pure functions. The shell's client sends the request and bounds the
//! answer's size and time.

pub mod desec;
pub mod draft;
pub mod dyndns2;
pub mod hosts_file;
pub mod http;
pub mod manners;
pub mod powerdns;
pub mod rails;
pub mod rfc2136;
pub mod step;
pub mod talk;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::address::Family;
use super::address::interface::InterfaceName;
use super::outcome::{Deferral, Fault, Outcome, words};
use super::secret::{Guarded, HIDDEN, Secret};
use super::text::Text;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// What the server must do.
    pub method: Method,
    /// The URL with its query.
    pub url: Guarded,
    /// The body, if any: an update by GET has none.
    pub body: Option<Body>,
    /// Additional headers: name and value.
    pub headers: Vec<(Text, Guarded)>,
    /// The credential; it is sent at once, before the server asks for it.
    pub authorization: Option<Authorization>,
    /// The family that the connection must use, because otherwise the provider would publish the
    /// connection's address of the other family.
    pub via: Option<Family>,
    /// The only interface that the request may leave by, if one is set.
    pub bind: Option<InterfaceName>,
    /// Whether the answer may be longer than others, as lists and web pages are.
    pub is_list: bool,
    /// Finds the secret in the answer to a request for a new one, so that it is hidden from then on.
    pub brings: Option<fn(&Answer) -> Option<Secret>>,
    /// Whether its body and its answer are never shown, because they open a session.
    pub is_private: bool,
}

/// The method of a request (RFC 9110, section 9.3; RFC 5789).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Method {
    /// Removes a resource.
    Delete,
    /// Reads a resource.
    Get,
    /// Asks what a resource allows.
    Options,
    /// Changes a part of a resource.
    Patch,
    /// Adds a resource.
    Post,
    /// Replaces a resource.
    Put,
}

/// The body of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// XML as `application/xml` (RFC 7303), which REST servers expect.
    ApplicationXml(Guarded),
    /// The form of HTML.
    Form(Guarded),
    /// JSON (RFC 8259).
    Json(Guarded),
    /// Plain text.
    Text(Guarded),
    /// XML as `text/xml`, which SOAP uses.
    Xml(Guarded),
}

/// The schemes of the `Authorization` header that providers want.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authorization {
    /// `X-API-Key`, a header of PowerDNS.
    ApiKey(Secret),
    /// `Basic` (RFC 7617).
    Basic(Credential),
    /// The cookie of a session, `name=value` (RFC 6265), in place of a scheme.
    Cookie(Secret),
    /// `Token`, deSEC's own.
    Token(Secret),
}

/// An HTTP answer, as far as protocols read it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type in lower case, without parameters.
    pub content_type: Option<String>,
    /// Whether the answer asks for a credential (`WWW-Authenticate`).
    pub challenges: bool,
    /// The wait that `Retry-After` asks for (RFC 9110, section 10.2.3).
    pub retry_after: Option<Duration>,
    /// The URL of the next part of a list: the `Link` with `rel="next"` (RFC 8288).
    pub next: Option<String>,
    /// Where a redirect leads (RFC 9110, section 10.2.2); never followed.
    pub location: Option<String>,
    /// The cookies that the server sets (`Set-Cookie`, RFC 6265): a session is a credential.
    pub cookies: Vec<Secret>,
    /// The body, bounded by the client.
    pub body: Vec<u8>,
    /// Whether the body holds part of a secret, so that it may be read but not quoted.
    pub repeats_secret: bool,
}

/// What an answer means for the hosts of its request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// One outcome for all of them; with several hosts, one may be to blame for a refusal.
    All(Outcome),
    /// One outcome for each host, in the order of the request.
    Each(Vec<Outcome>),
    /// The server does not understand a list of hosts: each is to be asked for alone.
    NoLists(String),
}

/// A login and its secret, as a request carries them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// The login; empty if the secret needs none.
    pub login: String,
    /// The password or token.
    pub secret: Secret,
}

impl Verdict {
    /// The outcomes that it holds.
    pub fn outcomes(&self) -> &[Outcome] {
        match self {
            Self::All(outcome) => std::slice::from_ref(outcome),
            Self::Each(outcomes) => outcomes,
            Self::NoLists(_) => &[],
        }
    }
}

impl HttpRequest {
    /// A request that reads `url`.
    pub fn get(url: impl Into<Guarded>, authorization: Option<Authorization>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            body: None,
            headers: Vec::new(),
            authorization,
            via: None,
            bind: None,
            is_list: false,
            brings: None,
            is_private: false,
        }
    }

    /// The body in one line for people, without secrets; absent when there is none.
    pub fn shown_body(&self) -> Option<String> {
        let body = self.body.as_ref()?;
        Some(if self.is_private {
            HIDDEN.to_owned()
        } else {
            one_line(&body.parts().1.to_string())
        })
    }
}

/// Writes method, URL and body in one line, without secrets.
impl fmt::Display for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.url)?;
        self.shown_body().map_or(Ok(()), |body| write!(f, " {body}"))
    }
}

impl Method {
    /// Whether the method changes nothing (RFC 9110, section 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Options)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl Body {
    /// Whether the text is JSON where it has to be.
    pub fn is_sound(&self) -> bool {
        let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        !matches!(self, Self::Json(text) if !is_json(text.expose()))
    }

    /// The media type and the text.
    pub fn parts(&self) -> (&'static str, &Guarded) {
        match self {
            Self::ApplicationXml(text) => ("application/xml", text),
            Self::Form(text) => ("application/x-www-form-urlencoded", text),
            Self::Json(text) => ("application/json", text),
            Self::Text(text) => ("text/plain", text),
            Self::Xml(text) => ("text/xml; charset=\"utf-8\"", text),
        }
    }
}

impl Answer {
    /// The body as text with its white space trimmed, or `None` when it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().map(str::trim)
    }

    /// Whether the answer is a web page, which no protocol's own answer is.
    pub fn is_page(&self) -> bool {
        let typed = self.content_type.as_deref().is_some_and(|kind| kind.contains("html"));
        let head: Vec<u8> =
            self.body.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
        typed || head.starts_with(b"<!doctype html") || head.starts_with(b"<html")
    }

    /// The status and the beginning of the body, in one line for a log.
    pub fn summary(&self) -> String {
        const LONGEST: usize = 120;
        let short = shortened(&one_line(&self.beginning()), LONGEST);
        let status = self.status;
        match (self.leads_to(), self.is_page(), short.is_empty()) {
            (Some(place), ..) => format!("HTTP {status}, which {} {place}", words::LEADS_TO),
            (None, true, _) => format!("HTTP {status} {}", words::PAGE),
            (None, false, true) => format!("HTTP {status} {}", words::NOTHING),
            (None, false, false) if self.repeats_secret => {
                format!("HTTP {status} with part of a secret, which is not shown")
            }
            (None, false, false) => format!("HTTP {status} \"{short}\""),
        }
    }

    /// The part of the body that is looked at for a log.
    pub fn beginning(&self) -> Cow<'_, str> {
        const LOOKED_AT: usize = 4 * 1024;
        String::from_utf8_lossy(&self.body[..self.body.len().min(LOOKED_AT)])
    }

    /// The target of a redirect in one line for a log: without login, query and fragment, which
    /// may hold secrets.
    fn leads_to(&self) -> Option<String> {
        const LONGEST: usize = 120;
        let place = self.location.as_deref().filter(|_| (300..400).contains(&self.status))?;
        let end = place.find(['?', '#']).unwrap_or(place.len());
        let (scheme, rest) = place[..end].split_once("//").unwrap_or(("", &place[..end]));
        let host_end = rest.find('/').unwrap_or(rest.len());
        let begin = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
        let slashes = if scheme.len() + 2 + rest.len() == end { "//" } else { "" };
        let bare = format!("{scheme}{slashes}{}", &rest[begin..]);
        let plain = |c: &char| !c.is_control() && !c.is_whitespace();
        let place: String = bare.chars().filter(plain).take(LONGEST).collect();
        (!place.is_empty()).then_some(place)
    }
}

/// `text` without control characters and in one line.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

/// The first `longest` characters of `text`, with an ellipsis where more follow.
pub fn shortened(text: &str, longest: usize) -> String {
    let short: String = text.chars().take(longest).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

/// The outcome of a 5xx: the update may have been applied, and the server's `Retry-After` counts.
fn server_fault(answer: &Answer, detail: String) -> Outcome {
    let retry_after = answer.retry_after;
    Outcome::Deferred(Deferral { fault: Fault::Server, detail, retry_after })
}

/// The outcome of a 429: throttled where the server asks for a pause, otherwise busy.
fn too_many(retry_after: Option<Duration>, detail: String) -> Outcome {
    let fault = if retry_after.is_some() { Fault::Throttled } else { Fault::Busy };
    Outcome::Deferred(Deferral { fault, detail, retry_after })
}

/// The scheme and the server of `url`.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Encodes `text` for a query (RFC 3986, section 3.4), keeping the characters of hosts and addresses.
///
/// Colons and commas are allowed in a query and kept, because not every server decodes them.
pub fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b',' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_keep_addresses_and_encode_the_rest() {
        assert_eq!(query_value("2001:db8::1,192.0.2.1"), "2001:db8::1,192.0.2.1");
        assert_eq!(query_value("*.a b&c=ü"), "%2A.a%20b%26c%3D%C3%BC");
    }

    #[test]
    fn a_summary_is_one_short_line_without_control_characters() {
        let answer = Answer { status: 500, body: b"a\r\n\x1b[31mb".to_vec(), ..Answer::default() };
        assert_eq!(answer.summary(), "HTTP 500 \"a [31mb\"");
        let page =
            Answer { status: 403, body: b"\n<!DOCTYPE HTML>x".to_vec(), ..Answer::default() };
        assert_eq!(page.summary(), "HTTP 403 with a web page");
    }

    #[test]
    fn a_redirect_is_told_with_the_place_and_nothing_beside_it() {
        for (location, expect) in [
            ("https://dns.example:8/nic/update?key=s3cret#x", "https://dns.example:8/nic/update"),
            ("https://login:s3cret@dns.example/", "https://dns.example/"),
            ("https://login:s3cret@dns.example?x=/@y", "https://dns.example"),
            ("//dns.example/up", "//dns.example/up"),
            ("/login?next=s3cret", "/login"),
        ] {
            let location = Some(location.to_owned());
            let page = b"<html>moved".to_vec();
            let answer = Answer { status: 301, location, body: page, ..Answer::default() };
            assert_eq!(answer.summary(), format!("HTTP 301, which leads to {expect}"));
        }
        let nowhere = Answer { status: 301, location: Some("?a".into()), ..Answer::default() };
        assert_eq!(nowhere.summary(), "HTTP 301 with an empty body");
    }
}
