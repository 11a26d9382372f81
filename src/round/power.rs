//! Asks a service what a credential of the round can do beyond its job.

use std::time::Duration;

use super::way::{Carrying, moment};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::Details;
use crate::core::round::{Holder, Subject};
use crate::core::token::power::judge;
use crate::core::token::upkeep::TokenFacts;
use crate::os::clock::parse_moment;
use crate::provider::power::{PowerJob, ask};

/// What is found out about the credential of `holder`, asked for `subject`, one of its hosts.
pub async fn facts(
    carrying: &Carrying,
    holder: &Holder,
    subject: &Subject,
    limit: Duration,
) -> Result<TokenFacts, Outcome> {
    let hosts: Vec<&Hostname> =
        holder.subjects.iter().map(|subject| &subject.host.key.host).collect();
    let remembered = holder.subjects.iter().position(|one| one.at == subject.at);
    let remembered = remembered.and_then(|place| holder.zones[place].as_ref());
    let host = &subject.host;
    let details = Details { options: host.options.clone(), ..Details::default() };
    let job = PowerJob {
        clients: &carrying.clients,
        provider: &subject.provider,
        credential: &holder.credential,
        hosts: &hosts,
        details: &details,
        zone: host.zone.as_ref().or(remembered),
        bind: host.bind,
        moment: moment(&carrying.clock),
    };
    let what = format!("waiting for {} to describe the credential", subject.provider.name);
    let asking = carrying.waiting.during(&what, ask(job));
    let report = tokio::time::timeout(limit, asking)
        .await
        .map_err(|_| Outcome::deferred(Fault::Lost, "it takes too long"))?;
    match &report.broken_off {
        Some(outcome) if report.found.is_empty() => Err(outcome.clone()),
        _ => {
            let end = report.end.as_deref().and_then(parse_moment);
            Ok(TokenFacts { findings: judge(&report), end })
        }
    }
}
