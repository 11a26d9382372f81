//! Drafts: what a talk would ask, in words, as far as it is known before any answer.
//!
//! For `--dry-run -v`. Made by the talks themselves, so that what is shown is what would be sent;
//! nothing is.

use super::http::draft;
use super::http::scene::Session;
use super::manners::Protocol;
use super::step::{Ask, Asked, Step};
use super::talk::{Job, Talk, ZoneJob, ZoneTalk};
use crate::core::provider::Provider;
use crate::core::wire::in_words::in_words;

/// The requests that would ask for the zone of a host, a line each, without secrets.
pub fn of_zone(job: &ZoneJob<'_>) -> Vec<String> {
    let ZoneJob { provider, credential, host, zone, details, moment } = *job;
    if let Some(entry) = &provider.http {
        let session = Session::new(provider, entry, credential, moment);
        return draft::of_search(session, host, details, zone);
    }
    let (_, step) = ZoneTalk::begin(job);
    in_line("zone", provider, &step).into_iter().collect()
}

/// The requests that would send an update, a line each, without secrets: of those that depend on an
/// answer, each with its condition, where an entry describes them.
pub fn of_update(job: &Job<'_>) -> Vec<String> {
    let Job { provider, credential, request, moment } = *job;
    if let Some(entry) = &provider.http {
        return draft::of_updates(Session::new(provider, entry, credential, moment), request);
    }
    let (_, step) = Talk::begin(job);
    let is_first = provider.protocol == Protocol::Rails || request.is_anew;
    let lines = in_line(if is_first { "first" } else { "update" }, provider, &step);
    let later = || "update: as soon as the zone is known".to_owned();
    let is_later = matches!(step, Step::Done(_)) && request.zone.zone.is_none();
    lines.or_else(|| is_later.then(later)).into_iter().collect()
}

/// A step in one line, if it asks anybody.
fn in_line<T>(word: &str, provider: &Provider, step: &Step<T>) -> Option<String> {
    let (asks, more) = match step {
        Step::Ask(Ask::Http(request)) => return Some([word, ": ", &request.to_string()].concat()),
        Step::Ask(Ask::Dns(Asked::Update(_, message))) => in_words(message)?,
        Step::Ask(Ask::Dns(Asked::Zone(host))) => (["SOA ", host.as_str()].concat(), String::new()),
        Step::Ask(Ask::File(_)) | Step::Done(_) => return None,
    };
    let server = provider.name_server.as_ref().map(ToString::to_string).unwrap_or_default();
    let colon = if more.is_empty() { "" } else { ": " };
    Some([word, ": ", &asks, " at ", &server, colon, &more].concat())
}
