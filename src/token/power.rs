//! Audits of credentials that Homing cannot make: what they can do beyond their job, by the requests that
//! their provider's entry lists, and what the narrowest one of that provider can do.
//!
//! Only reads. A power is too much; a refusal proves nothing.

use super::holder::{self, Holder};
use super::show::{Audited, By};
use super::{Failure, clients};
use crate::cli::{TokenAction, TokenCommand};
use crate::config::secret::{self, SecretError};
use crate::config::{Config, HostConfig};
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::outcome::{Deferral, Outcome, Refusal};
use crate::core::plan::Details;
use crate::core::protocol::step::Moment;
use crate::core::provider::Provider;
use crate::core::token::finding::Finding;
use crate::core::token::power::judge;
use crate::core::token::verdict::WARN_AHEAD;
use crate::core::token::way_round;
use crate::net::http::Clients;
use crate::os::clock::{self, parse_moment};
use crate::provider::power::{PowerJob, ask};

/// What an audit of such credentials cannot see.
const NOT_VISIBLE: &str = "every right that no request of the audit asks for";

/// Whether `command` may be about `host`: an audit of a credential that Homing cannot make, whose
/// provider says what such a credential can do.
pub fn is_judged(config: &Config, host: &HostConfig) -> bool {
    let provider = &config.providers[host.provider];
    let manners = provider.manners();
    let says = manners.has_powers || provider.reach.is_some();
    manners.tokens.is_none() && host.secret.is_some() && says
}

/// Takes the hosts that are judged here out of `command`; all of them where it names none.
pub fn take(config: &Config, command: &mut TokenCommand) -> Vec<Hostname> {
    if command.action != TokenAction::Audit || command.all_tokens || command.id.is_some() {
        return Vec::new();
    }
    let judged = config.hosts.iter().filter(|host| is_judged(config, host));
    let names = judged.map(|host| host.host.key.host.clone());
    if command.hosts.is_empty() {
        return names.collect();
    }
    let names: Vec<_> = names.filter(|name| command.hosts.contains(name)).collect();
    let is_issued = |name: &Hostname| {
        let of_name = config.hosts.iter().filter(|host| host.host.key.host == *name);
        of_name.into_iter().any(|host| holder::issuer(config, host).is_some())
    };
    command.hosts.retain(|name| !names.contains(name) || is_issued(name));
    names
}

/// Judges the credentials of the hosts called `names`.
pub async fn of_hosts(config: &Config, names: &[Hostname]) -> (Exit, Vec<Audited>) {
    let holders = holder::unissued(config, names);
    let clients = clients(&holders);
    let (mut exit, mut audited) = (Exit::Right, Vec::new());
    for holder in &holders {
        match of_holder(holder, &clients).await {
            Ok(report) => audited.push(report),
            Err(failure) => exit = exit.max(failure.tell_of(holder)),
        }
    }
    (exit, audited)
}

/// Judges one credential by the requests that its provider's entry lists.
pub async fn of_holder(holder: &Holder<'_>, clients: &Clients) -> Result<Audited, Failure> {
    let (provider, host) = (holder.provider, holder.hosts[0]);
    let names: Vec<&Hostname> = holder.hosts.iter().map(|host| &host.host.key.host).collect();
    let secret = secret::read_secret(holder.place).map_err(|error| match error {
        SecretError::Missing(path) => {
            let what = format!("there is no credential in {}", path.display());
            Failure::configuration(what, "write it there, alone on the first line")
        }
        error => Failure::of_configuration(error),
    })?;
    let credential = secret::credential(host, provider, None, &secret);
    let credential = credential.map_err(Failure::of_configuration)?;
    let details = Details { options: host.host.options.clone(), ..Details::default() };
    let clock = clock::Clock::new(None, None);
    let moment = Moment { now: clock.now(), clock_is_set: clock.is_set(), nonce: clock::nonce() };
    let found = ask(PowerJob {
        clients,
        provider,
        credential: &credential,
        hosts: &names,
        details: &details,
        zone: host.host.zone.as_ref(),
        bind: host.host.bind,
        moment,
    })
    .await;
    let mut report = Audited {
        hosts: holder.names(),
        file: holder.file().map(std::path::Path::to_owned),
        not_visible: vec![NOT_VISIBLE],
        tried: found.asked,
        findings: judge(&found),
        ..Audited::by(By::Itself)
    };
    match &found.broken_off {
        Some(
            Outcome::Deferred(Deferral { detail, .. }) | Outcome::Rejected(Refusal { detail, .. }),
        ) => {
            report.findings.push(Finding::untold("it can do more", detail));
        }
        Some(Outcome::Unchanged | Outcome::Updated) | None => {}
    }
    if found.is_refused {
        report.findings = vec![Finding::Lapsed];
    } else {
        report.findings.extend(provider.reach.map(Finding::Reaches));
    }
    let told = found.end.as_deref().and_then(parse_moment);
    report.expires = holder.hosts.iter().filter_map(|host| host.expires).chain(told).min();
    let is_soon = |end: &_| *end <= clock.now().after(WARN_AHEAD);
    report.findings.extend(report.expires.filter(is_soon).map(Finding::ExpiresSoon));
    report.put_in_order(|_, finding| fix(finding, provider, names[0]));
    Ok(report)
}

/// The fix for a finding.
fn fix(finding: &Finding, provider: &Provider, host: &Hostname) -> Option<String> {
    let narrower = || {
        let page = Some(&provider.page).filter(|page| !page.is_empty());
        let page = page.map(|page| format!(" ({page})")).unwrap_or_default();
        format!("use {}{page}", provider.credential)
    };
    match finding {
        Finding::HasPower(_) | Finding::Lapsed | Finding::ExpiresSoon(_) => Some(narrower()),
        Finding::Reaches(_) => Some(way_round(host.as_str())),
        _ => None,
    }
}
