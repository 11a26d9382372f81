//! Duck DNS: one request sets names of the account, and one word answers every fault.
//!
//! Rests on its page <https://www.duckdns.org/spec.jsp> and on recorded conversations (dns-lexicon,
//! January 2023). No limit is documented.

use std::net::IpAddr;
use std::time::Duration;

use super::super::chance;
use super::super::http::Answer;
use super::{Call, Service};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: None,
    limit: None,
    login: None,
    name: "duckdns",
    needs_zone: false,
    path: "",
    secret: chance::uuid,
    title: "Duck DNS",
    too_often,
    // Names are given away one by one: what is a zone elsewhere is a name here.
    zones: ["home.duckdns.org", "lab.duckdns.org"],
};

fn too_often(_wait: Duration) -> Answer {
    Answer::text(429, "Too Many Requests")
}

fn answer(call: &mut Call<'_>) -> Answer {
    if call.request.path != "/update" {
        return Answer::text(404, "");
    }
    let said = |name: &str| call.request.parameter(name).unwrap_or_default();
    let zones: Vec<String> = said("domains")
        .to_lowercase()
        .split(',')
        .map(|name| format!("{}.duckdns.org", name.trim_end_matches(".duckdns.org")))
        .collect();
    if said("token") != call.world.secret
        || zones.iter().any(|zone| call.world.zone(zone).is_none())
    {
        return Answer::text(200, "KO");
    }
    let (first, second) = (said("ip"), said("ipv6"));
    let clear = said("clear") == "true";
    let mut addresses = Vec::new();
    if !clear {
        for text in [first, second].into_iter().filter(|text| !text.is_empty()) {
            let Ok(address) = text.parse::<IpAddr>() else { return Answer::text(200, "KO") };
            addresses.push(address);
        }
        // The caller's is taken where nothing at all is said, and that of IPv4 only.
        if addresses.is_empty() {
            match call.client.ip().to_canonical() {
                address @ IpAddr::V4(_) => addresses.push(address),
                IpAddr::V6(_) => return Answer::text(200, "KO"),
            }
        }
    }
    let of = |is_ipv4: bool| addresses.iter().find(|it| it.is_ipv4() == is_ipv4);
    let text = |address: Option<&IpAddr>| address.map(ToString::to_string);
    let wanted = [("A", text(of(true))), ("AAAA", text(of(false)))];
    let verbose = said("verbose") == "true";
    let mut changed = false;
    for zone in &zones {
        for (kind, address) in &wanted {
            let before = call.world.values(zone, kind);
            if !clear && address.is_none() {
                continue;
            }
            let after: Vec<String> = address.iter().cloned().collect();
            changed |= before != after;
            call.world.zone_mut(zone).map(|known| known.remove_set(zone, kind));
            if let Some(address) = address {
                call.world.add(zone, kind, address);
            }
        }
    }
    if !verbose {
        return Answer::text(200, "OK");
    }
    let [(_, ipv4), (_, ipv6)] = wanted.map(|(kind, text)| (kind, text.unwrap_or_default()));
    let word = if changed { "UPDATED" } else { "NOCHANGE" };
    Answer::text(200, &format!("OK\n{ipv4}\n{ipv6}\n{word}"))
}
