//! Drafts: what a round would ask of the providers, in words, for `--dry-run -v` and `check -v`.
//!
//! Sends nothing, and shows no secret.

use super::perform::moment;
use super::zones::needs_zone;
use super::{Engine, Planned};
use crate::core::plan::{Details, Schedule};
use crate::core::protocol::draft;
use crate::core::protocol::talk::{Job, ZoneJob};

/// For each request of `schedule` a line with its provider and hosts, and below it a line for each
/// question that is known before any answer.
pub fn drafts(engine: &Engine, planned: &[Planned], schedule: &Schedule) -> Vec<String> {
    let moment = moment(&engine.clock);
    let mut all = Vec::new();
    for request in &schedule.now {
        let mut lines: Vec<String> = Vec::new();
        let mut add = |line: String| {
            if !lines.contains(&line) {
                lines.push(line);
            }
        };
        for plan in request.hosts.iter().map(|&place| &planned[place]) {
            if needs_zone(engine, plan) {
                let (host, provider) = plan.configured(&engine.config);
                let details = Details::of(&host.host, engine.memory.entry(&host.host.key));
                let job = ZoneJob {
                    provider,
                    credential: &plan.access.credential,
                    host: &host.host.key.host,
                    zone: host.host.zone.as_ref(),
                    details: &details,
                    moment,
                };
                draft::of_zone(&job).into_iter().for_each(&mut add);
            }
        }
        let plan = &planned[request.hosts[0]];
        let (_, provider) = plan.configured(&engine.config);
        let job = Job { provider, credential: &plan.access.credential, request, moment };
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
