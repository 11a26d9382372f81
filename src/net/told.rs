//! Requests and answers as lines of the log: at `debug` what is asked and with which result, at
//! `trace` also the bodies, shortened.
//!
//! No line shows a secret: requests hide those that they carry, and the caller hides in texts all that
//! it knows.

use std::time::Duration;

use tokio::net::UdpSocket;
use tracing::debug;
use tracing::level_filters::LevelFilter;

use crate::core::outcome::Silence;
use crate::core::protocol::{Answer, HttpRequest, one_line, shortened};
use crate::core::secret::HIDDEN;
use crate::core::wire::in_words::{in_words, status};

/// The longest part of a body that is shown, in characters.
const LONGEST: usize = 1000;

/// Whether requests are logged.
pub fn is_wanted() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// The part of a body that is logged: `text` calls for it only if any is.
fn body(text: impl FnOnce() -> Option<String>) -> Option<String> {
    let is_wanted = LevelFilter::current() >= LevelFilter::TRACE;
    let text = if is_wanted { text() } else { None };
    text.map(|text| shortened(&one_line(&text), LONGEST))
}

/// The facts of a request or an answer; what is absent is not in the line.
#[derive(Default)]
struct Facts<'a> {
    /// Tells an answer by HTTP, and its request, among others.
    number: Option<u32>,
    server: Option<&'a str>,
    method: Option<&'static str>,
    url: Option<&'a str>,
    /// What a message of DNS asks for.
    asks: Option<&'a str>,
    /// The interface by which it leaves.
    by: Option<&'a str>,
    status: Option<u16>,
    rcode: Option<&'a str>,
    ms: Option<u64>,
    bytes: Option<usize>,
    body: Option<&'a str>,
}

impl Facts<'_> {
    // One function each: the code of an event is long.

    fn of_request(&self) {
        let Facts { number, server, method, url, asks, by, bytes, body, .. } = *self;
        debug!(number, server, method, url, asks, by, bytes, body, "request");
    }

    fn of_answer(&self) {
        let Facts { number, server, status, rcode, ms, bytes, body, .. } = *self;
        debug!(number, server, status, rcode, ms, bytes, body, "answer");
    }
}

/// Logs that `request` leaves; `number` tells its answer among others.
pub fn request(number: u32, request: &HttpRequest, hide: &dyn Fn(&str) -> String) {
    let url = hide(&one_line(&request.url.to_string()));
    let by = request.bind.map(|name| name.to_string());
    let body = body(|| Some(hide(&request.shown_body()?)));
    let facts = Facts {
        number: Some(number),
        method: Some(request.method.as_str()),
        url: Some(&url),
        by: by.as_deref(),
        body: body.as_deref(),
        ..Facts::default()
    };
    facts.of_request();
}

/// Logs what was heard of `request`, after `took`.
pub fn answer(
    number: u32,
    request: &HttpRequest,
    heard: &Result<Answer, Silence>,
    took: Duration,
    hide: &dyn Fn(&str) -> String,
) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match heard {
        Ok(answer) => {
            let body = body(|| {
                Some(match answer {
                    _ if request.is_private => HIDDEN.to_owned(),
                    answer if answer.is_page() => "a web page".to_owned(),
                    answer => hide(&answer.beginning()),
                })
            });
            let facts = Facts {
                number: Some(number),
                status: Some(answer.status),
                ms: Some(ms),
                bytes: Some(answer.body.len()),
                body: body.as_deref(),
                ..Facts::default()
            };
            facts.of_answer();
        }
        Err(silence) => {
            let reason = silence.fault.word();
            debug!(number, reason, detail = silence.detail, ms, "no answer");
        }
    }
}

/// Logs a message of DNS to the server called `title`, or one from it.
pub fn dns(title: &str, message: &[u8], is_answer: bool) {
    if !is_wanted() {
        return;
    }
    let (asks, records) = in_words(message).unwrap_or_default();
    let rcode = status(message).unwrap_or_else(|| "not a DNS message".to_owned());
    let body = body(|| Some(records).filter(|records| !records.is_empty()));
    let (server, body) = (Some(title), body.as_deref());
    if is_answer {
        let bytes = Some(message.len());
        Facts { server, rcode: Some(&rcode), bytes, body, ..Facts::default() }.of_answer();
    } else {
        Facts { server, asks: Some(&asks), body, ..Facts::default() }.of_request();
    }
}

/// Logs a datagram of another kind, which left by `socket` or came by it.
pub fn datagram(socket: &UdpSocket, bytes: usize, is_answer: bool) {
    if !is_wanted() {
        return;
    }
    let server = socket.peer_addr().ok().map(|server| server.to_string());
    let facts = Facts { server: server.as_deref(), bytes: Some(bytes), ..Facts::default() };
    if is_answer { facts.of_answer() } else { facts.of_request() }
}
