//! What a newcomer needs to try a played service: a configuration of Homing. Pure.

use std::fmt::Write as _;

use super::world::SHARED;
use super::{Played, Service};

/// Whose credential a configuration's host has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credential {
    /// The account's own.
    Account,
    /// What `homing token issue` makes.
    Issued,
}

/// The first line of every configuration from here.
pub const WRITTEN: &str =
    "# Written by the sandbox at each start. Paths are relative to this file.\n";

/// The name that can be updated.
pub fn host(service: Service) -> String {
    let zone = service.zones[0];
    if is_zone_of_one_name(zone) { zone.to_owned() } else { format!("home.{zone}") }
}

/// A name that cannot be updated: where there are lists, for what is at it.
pub fn other(service: Service) -> String {
    let zone = service.zones[0];
    match zone.split_once('.') {
        Some((_, parent)) if is_zone_of_one_name(zone) => format!("unknown.{parent}"),
        _ => format!("{SHARED}.{zone}"),
    }
}

/// A name whose credential is still to be made: the host's own, where there is no other way.
pub fn new(service: Service) -> String {
    if service.wants_issue() { host(service) } else { format!("office.{}", service.zones[0]) }
}

/// The options of `homing token` that say who makes credentials; `file` holds the account's secret.
pub fn management(service: Service, login: &str, file: &str) -> Vec<String> {
    let options = match service.login {
        Some(_) => vec!["--management-user", login, "--management-password-file", file],
        None => vec!["--management-token-file", file],
    };
    options.into_iter().map(str::to_owned).collect()
}

fn is_zone_of_one_name(zone: &str) -> bool {
    zone.ends_with(".duckdns.org")
}

/// A configuration with one host, whose credential is in a file beside it.
pub fn configuration(
    played: &Played,
    state: &str,
    host: &str,
    (credential, file): (Credential, &str),
) -> String {
    let (service, login) = played.with_world(|world| (world.service, world.login.clone()));
    let Service { has_ipv6, name, needs_zone, zones, .. } = service;
    let has_login = service.issued.is_some_and(|issued| issued.has_login);
    let server =
        if has_login { format!("server = \"http://{}\"\n", played.at()) } else { String::new() };
    let mut text = format!(
        "{WRITTEN}\
         [daemon]\n\
         state-dir = \"{state}\"\n\n\
         [provider.trial]\n\
         extends = \"{name}\"\n\
         {server}\
         api-url = \"{}\"\n\n\
         [source.here]\n\
         static = [\"203.0.113.7\", \"2001:db8::7\"]  # change one to see an update\n\
         allow-private = true  # these are for documentation only\n\n\
         [[host]]\n\
         name = \"{host}\"\n\
         provider = \"trial\"\n",
        played.api_url(),
    );
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} = \"{value}\"");
    };
    if credential == Credential::Account && !login.is_empty() {
        line("username", &login);
    }
    if needs_zone {
        line("zone", zones[0]);
    }
    line(if has_login { "password-file" } else { "token-file" }, file);
    line("ipv4", "here");
    line("ipv6", if has_ipv6 { "here" } else { "off" });
    text
}
