//! The job of a holder's credential: its records with their zones, and the limits.

use super::files::TokenFile;
use super::limits::warning;
use super::{Failure, Holder};
use crate::config::HostConfig;
use crate::core::plan::WhenGone;
use crate::core::time::Timestamp;
use crate::core::token::job::{Job, Record};
use crate::core::token::{Duty, Limits, zone_to_register};
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::asker::Asker;
use crate::receipt::Receipt;

/// Where the zones of hosts come from.
#[derive(Clone, Copy)]
pub enum Zones<'a> {
    /// The provider finds them.
    Asked(&'a Asker<'a>),
    /// The receipt names them.
    OfReceipt,
    /// Nothing depends on them, so that the name above the host will do.
    Unknown,
}

/// Whether the records of `host` may be deleted.
fn removes(host: &HostConfig) -> bool {
    matches!(host.host.when_gone, WhenGone::Remove { .. })
}

/// The job of a holder's credential, with its limits and its end.
///
/// Troubles with the zones are put into words by `failed`. A host that names its zone and the zone's id
/// needs no answer.
pub async fn job(
    zones: Zones<'_>,
    holder: &Holder<'_>,
    receipt: Option<&Receipt>,
    (limits, expires): (&Limits, Option<Timestamp>),
    failed: &dyn Fn(&Trouble, &str) -> Failure,
) -> Result<Job, Failure> {
    let mut records = Vec::new();
    for host in &holder.hosts {
        let name = &host.host.key.host;
        let known = receipt.and_then(|receipt| receipt.zone_of(name));
        let written = host.host.options.iter().find(|(option, _)| option == "zone-id");
        let (zone, zone_id) = match (host.host.zone.as_ref().zip(written), zones, known) {
            (Some((zone, (_, id))), ..) => (zone.clone(), id.clone()),
            (None, Zones::Asked(asker), _) => {
                let found = asker.zone(name, host.host.zone.as_ref()).await;
                found.map_err(|trouble| {
                    failed(&trouble, &format!("looking for the zone of {name}"))
                })?
            }
            (None, Zones::Unknown, _) => {
                let above = zone_to_register(name).parse().ok();
                let zone = host.host.zone.clone().or(above).unwrap_or_else(|| name.clone());
                let id = zone.to_string();
                (zone, id)
            }
            (None, Zones::OfReceipt, Some((zone, id))) => (zone.clone(), id.to_owned()),
            (None, Zones::OfReceipt, None) => {
                let what = format!("the zone of {name} is not known");
                let next = "run the audit with the credential for management";
                return Err(Failure::configuration(what, next));
            }
        };
        let duty = Duty { host: name.clone(), zone, families: host.host.in_use() };
        records.push(Record { duty, zone_id, removes: removes(host) });
    }
    Ok(Job { records, expires, subnets: limits.subnets.clone() })
}

/// Prints the lines of a plan; returns whether there are any.
pub fn tell_plan(holder: &Holder<'_>, file: &TokenFile, lines: &[String], limits: &Limits) -> bool {
    if lines.is_empty() {
        return false;
    }
    out(&format!("{} ({})", holder.label(), file.path().display()));
    lines.iter().for_each(|line| out(line));
    warning(limits).iter().for_each(|line| out(line));
    true
}
