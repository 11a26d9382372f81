//! The job of a holder's credential: its records with their zones, and the limits.

use super::{Failure, Holder};
use crate::config::HostConfig;
use crate::core::plan::WhenGone;
use crate::core::time::Timestamp;
use crate::core::token::job::{Job, Record};
use crate::core::token::{Duty, Limits};
use crate::provider::Trouble;
use crate::provider::asker::Asker;
use crate::receipt::Receipt;

/// Whether the records of `host` may be deleted.
fn removes(host: &HostConfig) -> bool {
    matches!(host.host.when_gone, WhenGone::Remove { .. })
}

/// The job of a holder's credential, with its limits and its end.
///
/// Zones are asked from `asker`, whose troubles `failed` puts into words; without one the receipt must
/// name them. A host that names its zone and the zone's id needs neither.
pub async fn job(
    asker: Option<&Asker<'_>>,
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
        let (zone, zone_id) = match (host.host.zone.as_ref().zip(written), asker, known) {
            (Some((zone, (_, id))), ..) => (zone.clone(), id.clone()),
            (None, Some(asker), _) => {
                let found = asker.zone(name, host.host.zone.as_ref()).await;
                found.map_err(|trouble| {
                    failed(&trouble, &format!("looking for the zone of {name}"))
                })?
            }
            (None, None, Some((zone, id))) => (zone.clone(), id.to_owned()),
            (None, None, None) => {
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
