//! Keys of name servers (rfc2136): made here, allowed by the server's administrator, judged by the
//! server's answers.
//!
//! These commands need no rights at a server and change nothing there: they write the key's file, and
//! print the lines for the administrator.

pub mod audit;
mod issue;
mod standing;

use std::path::Path;

use self::standing::Asker;
use super::files::{TokenFile, lock};
use super::show::tell;
use super::subject::no_token;
use super::{Failure, Holder, holder, refuse_options, token_file};
use crate::cli::{Ask, TokenAction, TokenCommand};
use crate::config::secret::{self, SecretError};
use crate::config::{Config, HostConfig, SecretPlace};
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::manners::Issuer;
use crate::core::secret::Secret;
use crate::core::token::{Duty, key};
use crate::core::wire::dns::Name;
use crate::core::wire::tsig::TsigKey;
use crate::os::say::out;
use crate::provider::name_server::NameServer;

/// Runs `issue`, `rotate` or `revoke`.
pub async fn run(config: &Config, command: &TokenCommand) -> Result<Exit, Failure> {
    let holders = holder::asked(config, Issuer::NameServer, &command.hosts)?;
    let files = holders.iter().map(token_file).collect::<Result<Vec<_>, _>>()?;
    let writes = command.action != TokenAction::Revoke && !command.dry_run;
    let _lock = if writes { lock(&files)? } else { Vec::new() };
    let mut exit = Exit::Right;
    let mut audited = Vec::new();
    for (holder, file) in holders.iter().zip(&files) {
        let served = match command.action {
            TokenAction::Issue => issue::issue(config, command, holder, file).await,
            TokenAction::Rotate => issue::rotate(config, command, holder, file).await,
            TokenAction::Audit | TokenAction::Revoke => revoke(holder).await.map(|()| None),
        };
        match served {
            Ok(None) => {}
            Ok(Some(report)) => audited.push(report),
            Err(failure) => exit = exit.max(failure.tell_of(holder)),
        }
    }
    if !audited.is_empty() {
        exit = exit.max(tell(&audited, false, false));
    }
    Ok(exit)
}

/// Refuses options that do not apply to keys.
pub fn refuse_misfits(command: &TokenCommand) -> Result<(), Failure> {
    let (limits, next) = (&command.limits, "leave it out, or name no host at a name server");
    let options = [
        ("--max-age", limits.max_age != Ask::Keep, next),
        ("--max-unused", limits.max_unused != Ask::Keep, next),
        ("--allow-subnet", limits.subnets != Ask::Keep, next),
        ("--create-domain", command.create_domain.is_some(), next),
        ("--name", command.name.is_some(), next),
        ("--logout", command.logout, next),
    ];
    refuse_options(&options, " has no effect on the key of a name server")
}

/// Prints what to remove at the server: only its administrator can end a key.
async fn revoke(holder: &Holder<'_>) -> Result<(), Failure> {
    let (key, _) = key_in_use(holder)?.ok_or_else(|| no_token(holder))?;
    let duties = duties(holder, server(holder)?).await?;
    let label = holder.label();
    out(&format!(
        "{label}: only the server's administrator can end the key {}: remove it there",
        key.name
    ));
    say(&key::removal(&key, &duties));
    let path = holder.file().unwrap_or(Path::new("")).display();
    out(&format!("{label}: nothing was changed; remove {path} when the key is gone"));
    Ok(())
}

/// The key of a holder with its secret; `None` when its file is not there.
fn key_in_use(holder: &Holder<'_>) -> Result<Option<(TsigKey, Secret)>, Failure> {
    let read = match holder.place {
        SecretPlace::KeyFile(path) => secret::read_key(path),
        place => {
            let key = key_of_login(holder)?;
            secret::read_secret(place).map(|secret| (key, secret))
        }
    };
    match read {
        Ok(found) => Ok(Some(found)),
        Err(SecretError::Missing(_)) => Ok(None),
        Err(error) => Err(Failure::of_configuration(error)),
    }
}

/// The key that the configuration names, for a secret alone in its file.
fn key_of_login(holder: &Holder<'_>) -> Result<TsigKey, Failure> {
    let login = holder.hosts[0].username.as_deref().unwrap_or_default();
    let named = login.split_once(':').and_then(|(algorithm, name)| {
        Some(TsigKey { name: Name::from_text(name)?, algorithm: algorithm.parse().ok()? })
    });
    named.ok_or_else(|| {
        let what = format!("the configuration does not name the key of {}", holder.first());
        Failure::configuration(what, "write key-name in its [[host]]")
    })
}

/// The server of a holder's key.
fn server<'a>(holder: &Holder<'a>) -> Result<NameServer<'a>, Failure> {
    let server = holder.provider.name_server.as_ref().ok_or_else(|| {
        let what = format!("[provider.{}] has no server", holder.provider.name);
        Failure::configuration(what, "add server there")
    })?;
    Ok(NameServer { server, bind: holder.hosts[0].host.bind })
}

/// The duties of the key of `holder`; their zones are configured, or `server` is asked for them.
async fn duties(holder: &Holder<'_>, server: NameServer<'_>) -> Result<Vec<Duty>, Failure> {
    let mut duties = Vec::new();
    for host in &holder.hosts {
        let zone = zone_of(host, server).await?;
        let families = host.host.in_use();
        duties.push(Duty { host: host.host.key.host.clone(), zone, families });
    }
    Ok(duties)
}

async fn zone_of(host: &HostConfig, server: NameServer<'_>) -> Result<Hostname, Failure> {
    if let Some(zone) = &host.host.zone {
        return Ok(zone.clone());
    }
    let name = &host.host.key.host;
    match server.zone(name).await {
        Ok(Some(zone)) => Ok(zone),
        Ok(None) => Err(Failure::configuration(
            format!("{} does not know the zone of {name}", server.server),
            "write zone = \"…\" in its [[host]]",
        )),
        Err(silence) => Err(Failure::deferred(
            format!("the zone of {name} is not known: {}", silence.detail),
            "write zone = \"…\" in its [[host]], or run the command again when the server answers",
        )),
    }
}

/// Prints a text of several lines.
fn say(text: &str) {
    text.lines().for_each(out);
}
