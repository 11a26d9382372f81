//! What a newcomer needs to try a played service: a configuration of Homing. Pure.

use std::fmt::Write as _;

use super::world::SHARED;
use super::{Played, Service};

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

fn is_zone_of_one_name(zone: &str) -> bool {
    zone.ends_with(".duckdns.org")
}

/// A configuration with one host, whose secret is in a file beside it.
pub fn configuration(played: &Played, state: &str, host: &str, secret: &str) -> String {
    let (service, login) = played.with_world(|world| (world.service, world.login.clone()));
    let Service { has_ipv6, name, needs_zone, zones, .. } = service;
    let mut text = format!(
        "{WRITTEN}\
         [daemon]\n\
         state-dir = \"{state}\"\n\n\
         [provider.trial]\n\
         extends = \"{name}\"\n\
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
    if !login.is_empty() {
        line("username", &login);
    }
    if needs_zone {
        line("zone", zones[0]);
    }
    line("token-file", secret);
    line("ipv4", "here");
    line("ipv6", if has_ipv6 { "here" } else { "off" });
    text
}
