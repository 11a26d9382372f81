//! Audit of keys: finds what a server lets them do, by updates whose condition cannot be met. Changes
//! nothing at the server.
//!
//! The key is tried on its own names first: Knot answers BADKEY both to a wrong key and to a right
//! one without the right that was tried.

use super::standing::{Asker, KeyStatus};
use super::{duties, key_in_use, server};
use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::address::PerFamily;
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::manners::Issuer;
use crate::core::protocol::rfc2136;
use crate::core::token::Duty;
use crate::core::token::finding::Finding;
use crate::core::token::key::{Probe, finding, own_probes, permission, probes};
use crate::core::wire::dns::Rcode;
use crate::core::wire::tsig::TsigKey;
use crate::token::progress::Progress;
use crate::token::show::{Audited, By};
use crate::token::subject::no_token;
use crate::token::{Failure, Holder, holder};

/// Questions that the server's answers leave open.
const NOT_VISIBLE: [&str; 3] =
    ["names and types that were not tested", "other zones of the server", "other keys"];

/// Judges the hosts' keys; returns the exit code for those that could not be judged, and the reports.
pub async fn of_keys(
    config: &Config,
    command: &TokenCommand,
    quiet: bool,
) -> Result<(Exit, Vec<Audited>), Failure> {
    let holders = holder::asked(config, Issuer::NameServer, &command.hosts)?;
    let progress = Progress::new(holders.len(), !quiet && !command.json);
    let mut exit = Exit::Right;
    let mut audited = Vec::new();
    for (done, holder) in holders.iter().enumerate() {
        progress.at(done, holder.first().as_str());
        match of_holder(config, holder).await {
            Ok(report) => audited.push(report),
            Err(failure) => {
                progress.clear();
                exit = exit.max(failure.tell_of(holder));
            }
        }
    }
    Ok((exit, audited))
}

async fn of_holder(config: &Config, holder: &Holder<'_>) -> Result<Audited, Failure> {
    let key = key_in_use(holder)?.ok_or_else(|| no_token(holder))?;
    let server = server(holder)?;
    let duties = match duties(holder, server).await {
        Ok(duties) => duties,
        // The server cannot be asked for the zone now.
        Err(failure) if failure.exit == Exit::Deferred => {
            let mut report = report(holder, &key.0);
            report.findings.push(Finding::untold("it is narrow", &failure));
            return Ok(fixed(report, &[], true));
        }
        Err(failure) => return Err(failure),
    };
    let asker = Asker::new(server, &key, &duties)?;
    let standing = asker.standing().await;
    Ok(of_key(config, holder, &asker, standing).await)
}

/// Judges one key by its status and by its rights beyond its duties.
pub async fn of_key(
    config: &Config,
    holder: &Holder<'_>,
    asker: &Asker<'_>,
    standing: KeyStatus,
) -> Audited {
    let duties = asker.duties;
    let mut report = report(holder, asker.key);
    report.tried = duties.iter().map(|duty| duty.kinds().count()).sum();
    let (said, is_known) = match standing {
        KeyStatus::Known(findings) => {
            report.findings = findings;
            (None, true)
        }
        KeyStatus::Untold(said) => (Some(said), true),
        KeyStatus::Unknown(said) | KeyStatus::Wrong(said) => (Some(said), false),
    };
    if let Some(said) = said {
        report.findings.push(Finding::untold("it is narrow", said));
        return fixed(report, duties, is_known);
    }
    let mut tried: Vec<Probe> = Vec::new();
    for duty in duties {
        let beyond = probes(duty, duties).into_iter().chain(neighbours(config, holder, duty));
        for probe in beyond {
            if tried.contains(&probe) {
                continue;
            }
            report.tried += 1;
            match asker.ask(&duty.zone, &probe).await {
                Ok(reply) => {
                    let permission = permission(reply.rcode, reply.check);
                    report.findings.extend(finding(&probe, permission, &asker.in_words(reply)));
                    tried.push(probe);
                }
                Err(silence) => {
                    // The server would not answer other questions either.
                    report.findings.push(Finding::untold("it is narrow", silence.detail));
                    return fixed(report, duties, true);
                }
            }
        }
    }
    narrow_to_zones(&mut report, asker, &tried).await;
    let mut zones: Vec<&Hostname> = Vec::new();
    for duty in duties.iter().filter(|duty| !duty.is_zone()) {
        if !zones.contains(&&duty.zone) {
            zones.push(&duty.zone);
            report.tried += 1;
            report.findings.extend(of_nobody(asker, duty).await);
        }
    }
    fixed(report, duties, true)
}

/// Replaces findings on writes by [`Finding::WritesZone`] if nothing narrower is possible: every host
/// is a zone of its own, and the server binds no key to names.
async fn narrow_to_zones(report: &mut Audited, asker: &Asker<'_>, tried: &[Probe]) {
    let duties = asker.duties;
    let writes = |finding: &Finding| matches!(finding, Finding::MayWrite(_));
    let Some((first, probe)) = duties.first().zip(tried.first()) else { return };
    let granted = report.findings.iter().filter(|finding| writes(finding));
    if granted.count() < tried.len() || !duties.iter().all(Duty::is_zone) {
        return;
    }
    report.tried += 1;
    if asker.binds_no_key(&first.zone, probe).await {
        report.findings.retain(|finding| !writes(finding));
        report.findings.extend(duties.iter().map(|duty| Finding::WritesZone(duty.zone.clone())));
    }
}

/// A finding if the server accepts unsigned updates of the zone.
async fn of_nobody(asker: &Asker<'_>, duty: &Duty) -> Option<Finding> {
    let probe = probes(duty, asker.duties).into_iter().next()?;
    let build = |id| rfc2136::probe(id, &duty.zone, &probe.name, probe.record_type);
    match asker.server.ask_unsigned(&duty.zone, build).await {
        Ok(rcode) if rfc2136::is_unmet(rcode) => Some(Finding::TakesUnsigned(duty.zone.clone())),
        Ok(Rcode::REFUSED | Rcode::NOT_AUTH) => None,
        // Silence is a common way to refuse, and says nothing about the key.
        Ok(_) | Err(_) => None,
    }
}

/// Probes for addresses of up to three other hosts of the configuration in the zone of `duty`.
fn neighbours(config: &Config, holder: &Holder<'_>, duty: &Duty) -> Vec<Probe> {
    const MOST: usize = 3;
    let own = holder.names();
    let hosts = config.hosts.iter().filter(|host| {
        let provider = &config.providers[host.provider];
        let name = &host.host.key.host;
        provider.name_server == holder.provider.name_server
            && name.is_within(&duty.zone)
            && !own.contains(name)
    });
    hosts
        .take(MOST)
        .flat_map(|host| {
            own_probes(&Duty {
                host: host.host.key.host.clone(),
                zone: duty.zone.clone(),
                families: PerFamily { v4: true, v6: false },
            })
        })
        .collect()
}

/// A report about a key, without findings.
fn report(holder: &Holder<'_>, key: &TsigKey) -> Audited {
    Audited {
        hosts: holder.names(),
        file: holder.file().map(std::path::Path::to_owned),
        name: Some(key.name.to_string()),
        not_visible: NOT_VISIBLE.to_vec(),
        ..Audited::by(By::Answers)
    }
}

/// The report with the worst finding first, and with the fix of each; the fix for a key that the server
/// does not know is to configure it there.
fn fixed(mut report: Audited, duties: &[Duty], is_known: bool) -> Audited {
    let host = report.hosts.first().map(Hostname::to_string).unwrap_or_default();
    let powerdns = if duties.iter().all(Duty::is_zone) {
        "there is nothing narrower than this zone of its own"
    } else {
        "give the host a zone of its own there"
    };
    report.put_in_order(|_, finding| match finding {
        Finding::MayWrite(_) => Some(format!(
            "write at the server what `homing token issue {host}` prints for BIND or Knot DNS; \
             PowerDNS binds no key to names: {powerdns}"
        )),
        Finding::TakesUnsigned(_) => {
            Some(format!("take updates by keys alone, as `homing token issue {host}` prints it"))
        }
        Finding::Lacks { .. } => Some(format!("homing token issue {host}")),
        Finding::Untold { .. } if !is_known => Some(format!("homing token issue {host}")),
        _ => None,
    });
    report
}
