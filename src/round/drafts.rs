//! Drafts: what a round would ask of the providers, in words, for `--dry-run -v` and `check -v`.
//!
//! Sends nothing, and shows no secret.

use super::Engine;
use super::way::moment;
use crate::core::plan::{Details, Request};
use crate::core::protocol::draft;
use crate::core::protocol::talk::{Job, ZoneJob};
use crate::core::round::needs_zone;

/// For each of `requests` a line with its provider and hosts, and below it a line for each question
/// that is known before any answer.
pub fn drafts(engine: &Engine, requests: &[Request]) -> Vec<String> {
    let moment = moment(&engine.clock);
    let mut all = Vec::new();
    for request in requests {
        let mut lines: Vec<String> = Vec::new();
        let mut add = |line: String| {
            if !lines.contains(&line) {
                lines.push(line);
            }
        };
        for &place in &request.hosts {
            let (subject, access) = engine.round.subject(place);
            let host = &subject.host;
            let entry = engine.memory().entry(&host.key);
            if access.zone.is_none() && needs_zone(subject, entry) {
                let details = Details::of(host, entry);
                let job = ZoneJob {
                    provider: &subject.provider,
                    credential: &access.credential,
                    host: &host.key.host,
                    zone: host.zone.as_ref(),
                    details: &details,
                    moment,
                };
                draft::of_zone(&job).into_iter().for_each(&mut add);
            }
        }
        let (subject, access) = engine.round.subject(request.hosts[0]);
        let provider = &*subject.provider;
        let job = Job { provider, credential: &access.credential, request, moment };
        lines.extend(draft::of_update(&job));
        if !lines.is_empty() {
            let hosts: Vec<&str> =
                request.updates.iter().map(|update| update.host.as_str()).collect();
            all.push(format!("requests to {} for {}:", provider.name, hosts.join(", ")));
            all.extend(lines.iter().map(|line| format!("  {line}")));
        }
    }
    all
}
