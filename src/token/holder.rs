//! Holders: the places that hold a token, each with the hosts that use it. A host name selects its
//! holder: a command about one host changes the token of all hosts that share it.

use std::path::{Path, PathBuf};

use super::Failure;
use super::files::refuse_collisions;
use crate::config::{Config, HostConfig, SecretPlace};
use crate::core::name::Hostname;
use crate::core::nearest::correction;
use crate::core::protocol::manners::{Issuer, SecretKind};
use crate::core::provider::Provider;
use crate::os::disk;

/// A place that holds a token, and the hosts that use it.
#[derive(Clone, Debug)]
pub struct Holder<'a> {
    /// The place of the token.
    pub place: &'a SecretPlace,
    /// The provider of the token.
    pub provider: &'a Provider,
    /// The hosts that use the token, at least one.
    pub hosts: Vec<&'a HostConfig>,
    /// The canonical path of the file, which is the same for every link to it.
    canonical: Option<PathBuf>,
}

impl<'a> Holder<'a> {
    /// The hosts' names.
    pub fn names(&self) -> Vec<Hostname> {
        self.hosts.iter().map(|host| host.host.key.host.clone()).collect()
    }

    /// The first host, which names the holder in commands.
    pub fn first(&self) -> &'a Hostname {
        &self.hosts[0].host.key.host
    }

    /// Whether a host called `name` uses the token.
    fn is_of(&self, name: &Hostname) -> bool {
        self.hosts.iter().any(|host| host.host.key.host == *name)
    }

    /// The path, if the place is a file.
    pub fn file(&self) -> Option<&'a Path> {
        self.place.file()
    }

    /// The hosts in words: `a.example.com, b.example.com`.
    pub fn label(&self) -> String {
        const MOST: usize = 3;
        let names: Vec<&str> =
            self.hosts.iter().map(|host| host.host.key.host.as_str()).take(MOST).collect();
        match self.hosts.len().saturating_sub(MOST) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// Every holder of a token of `issuer`, in the order of the configuration.
///
/// Hosts whose paths lead to one file share one token; a file cannot hold tokens of two servers. The
/// secret of a key belongs to the key's name, so both must be equal.
pub fn all(config: &Config, issuer: Issuer) -> Result<Vec<Holder<'_>>, Failure> {
    let mut holders: Vec<Holder<'_>> = Vec::new();
    for host in &config.hosts {
        let provider = &config.providers[host.provider];
        let manners = provider.manners();
        let Some(place) = host.secret.as_ref().filter(|_| manners.tokens == Some(issuer)) else {
            continue;
        };
        let canonical = place.file().map(disk::canonical);
        let at_one_server = |other: &Provider| {
            other.api_url == provider.api_url && other.name_server == provider.name_server
        };
        let of_one_name = |holder: &Holder<'_>| {
            manners.secret != SecretKind::Key || holder.hosts[0].username == host.username
        };
        let same = |holder: &&mut Holder<'_>| match (&holder.canonical, &canonical) {
            (Some(known), Some(file)) => known == file && of_one_name(holder),
            _ => holder.place == place && at_one_server(holder.provider),
        };
        match holders.iter_mut().find(same) {
            Some(holder) if !at_one_server(holder.provider) => {
                let name = &host.host.key.host;
                let what = format!("{} and {name} share a file at two servers", holder.first());
                let next = match place {
                    SecretPlace::KeyFile(_) => "give each its own key-file: a key is of one server",
                    _ => "give each its own token-file: a token is of one server",
                };
                return Err(Failure::configuration(what, next));
            }
            Some(holder) => holder.hosts.push(host),
            None => holders.push(Holder { place, provider, hosts: vec![host], canonical }),
        }
    }
    let files: Vec<&Path> = holders.iter().filter_map(|h| h.canonical.as_deref()).collect();
    refuse_collisions(&files)?;
    Ok(holders)
}

/// The holders of the credentials that no issuer makes, of hosts called `names`: hosts with one place,
/// provider and login share one.
pub fn unissued<'a>(config: &'a Config, names: &[Hostname]) -> Vec<Holder<'a>> {
    let mut holders: Vec<Holder<'a>> = Vec::new();
    for host in config.hosts.iter().filter(|host| names.contains(&host.host.key.host)) {
        let Some(place) = host.secret.as_ref().filter(|_| issuer(config, host).is_none()) else {
            continue;
        };
        let same = |holder: &&mut Holder<'_>| {
            let first = holder.hosts[0];
            holder.place == place
                && first.provider == host.provider
                && first.username == host.username
        };
        match holders.iter_mut().find(same) {
            Some(holder) => holder.hosts.push(host),
            None => holders.push(Holder {
                place,
                provider: &config.providers[host.provider],
                hosts: vec![host],
                canonical: None,
            }),
        }
    }
    holders
}

/// Whether any host has a token of an issuer.
pub fn any_issued(config: &Config) -> bool {
    config.hosts.iter().any(|host| issuer(config, host).is_some())
}

/// The holders of tokens of `issuer` that hosts called `names` use; all of them if there is no name.
pub fn asked<'a>(
    config: &'a Config,
    issuer: Issuer,
    names: &[Hostname],
) -> Result<Vec<Holder<'a>>, Failure> {
    let mut holders = all(config, issuer)?;
    if let Some(name) = names.iter().find(|name| !holders.iter().any(|holder| holder.is_of(name))) {
        return Err(unknown(config, name));
    }
    holders.retain(|holder| names.is_empty() || names.iter().any(|name| holder.is_of(name)));
    Ok(holders)
}

/// The issuer of the tokens of `host`, if there is one.
pub fn issuer(config: &Config, host: &HostConfig) -> Option<Issuer> {
    config.providers[host.provider].manners().tokens
}

/// The issuers of the tokens of the hosts called `name`, at least one.
pub fn issuers_of(config: &Config, name: &Hostname) -> Result<Vec<Issuer>, Failure> {
    let of_name = config.hosts.iter().filter(|host| host.host.key.host == *name);
    let known: Vec<_> = of_name.filter_map(|host| issuer(config, host)).collect();
    let issuers: Vec<_> = Issuer::ALL.into_iter().filter(|one| known.contains(one)).collect();
    if issuers.is_empty() { Err(unknown(config, name)) } else { Ok(issuers) }
}

/// Why there is no token for `name`.
fn unknown(config: &Config, name: &Hostname) -> Failure {
    let host = config.hosts.iter().find(|host| host.host.key.host == *name);
    let file = config.path.display();
    match host.map(|host| &config.providers[host.provider]) {
        Some(provider) => {
            let title = &provider.title;
            let what = format!("{name} is at {title}, for which Homing cannot make tokens");
            let next = format!(
                "`homing providers {}` shows the credential with the fewest rights",
                provider.name
            );
            Failure::usage(what, next)
        }
        None => {
            let names = config.hosts.iter().map(|host| host.host.key.host.as_str());
            let add = format!("add a [[host]] with its provider and token-file to {file}");
            let next = correction(name.as_str(), names, add);
            Failure::usage(format!("{file} has no host {name}"), next)
        }
    }
}
