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

/// Logs that `request` leaves; `number` tells its answer among others.
pub fn request(number: u32, request: &HttpRequest, hide: &dyn Fn(&str) -> String) {
    let (method, url) = (request.method.as_str(), hide(&one_line(&request.url.to_string())));
    let by = request.bind.map(|name| name.to_string());
    let body = body(|| Some(hide(&request.shown_body()?)));
    debug!(number, method, url, by, body, "request");
}

/// Logs the answer to `request`, after `took`.
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
            let (status, bytes) = (answer.status, answer.body.len());
            let body = body(|| {
                Some(match answer {
                    _ if request.is_private => HIDDEN.to_owned(),
                    answer if answer.is_page() => "a web page".to_owned(),
                    answer => hide(&answer.beginning()),
                })
            });
            debug!(number, status, ms, bytes, body, "answer");
        }
        Err(silence) => {
            let reason = silence.fault.word();
            debug!(number, reason, detail = silence.detail, ms, "no answer");
        }
    }
}

/// Logs that a DNS message leaves for the server called `title`.
pub fn dns_request(title: &str, message: &[u8]) {
    if is_wanted() {
        let (asks, changes) = in_words(message).unwrap_or_default();
        let body = body(|| Some(changes).filter(|changes| !changes.is_empty()));
        debug!(server = title, asks, body, "request");
    }
}

/// Logs a message that came from the server called `title`.
pub fn dns_answer(title: &str, message: &[u8]) {
    if is_wanted() {
        let status = status(message).unwrap_or_else(|| "no DNS message".to_owned());
        let bytes = message.len();
        let body = body(|| Some(in_words(message)?.1).filter(|records| !records.is_empty()));
        debug!(server = title, status, bytes, body, "answer");
    }
}

/// Logs a datagram of another kind, which left by `socket` or came by it.
pub fn datagram(socket: &UdpSocket, bytes: usize, is_answer: bool) {
    if is_wanted() {
        let server = socket.peer_addr().ok().map(|server| server.to_string());
        if is_answer {
            debug!(server, bytes, "answer");
        } else {
            debug!(server, bytes, "request");
        }
    }
}
