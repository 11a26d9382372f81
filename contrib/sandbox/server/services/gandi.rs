//! Gandi's `LiveDNS`: record sets by name and type.
//!
//! Rests on recorded conversations (dns-lexicon, 2020), on the words of 401 that dnscontrol shows,
//! and on Gandi's page about limits: 1000 requests a minute. The words of 400 and 429 are invented.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::pace::Limit;
use super::world::{Record, Zone, content};
use super::{Call, OWN_ZONES, Service, json};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: None,
    limit: Some(Limit::Window(1000, Duration::from_secs(60))),
    login: None,
    name: "gandi",
    needs_zone: false,
    path: "/v5/livedns",
    secret,
    title: "Gandi LiveDNS",
    too_often,
    zones: OWN_ZONES,
};

fn secret() -> String {
    chance::hexadecimal(40)
}

fn too_often(_wait: Duration) -> Answer {
    json(429, &json!({"code": 429, "message": "Too Many Requests"}))
}

fn answer(call: &mut Call<'_>) -> Answer {
    if !call.has_token() {
        let text = "The server could not verify that you authorized to access the document you \
                    requested. Either you supplied the wrong credentials (e.g., bad api key), or \
                    your access token has expired";
        return error(401, "HTTPUnauthorized", "Unauthorized", text);
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = call.request.method.as_str();
    match (method, &path[..]) {
        ("GET", ["domains"]) => {
            let zones: Vec<Value> = call.world.zones.iter().map(zone_shown).collect();
            json(200, &zones.into())
        }
        ("GET", ["domains", name]) => match call.world.zone(name) {
            Some(zone) => json(200, &zone_shown(zone)),
            None => not_found(),
        },
        ("GET", ["domains", name, "records"]) => match call.world.zone(name) {
            Some(zone) => sets(zone, |_| true),
            None => not_found(),
        },
        ("GET", ["domains", name, "records", label]) => match call.world.zone(name) {
            Some(zone) => sets(zone, |record| record.name == zone.full(label)),
            None => not_found(),
        },
        (_, ["domains", name, "records", label, kind]) => {
            let Some(zone) = call.world.zone(name) else { return not_found() };
            let host = zone.full(label);
            let known: Vec<Record> = zone.set(&host, kind).cloned().collect();
            match (method, known.is_empty()) {
                ("GET", false) => json(200, &shown(zone, &host, kind)),
                ("GET" | "DELETE", true) => {
                    let text = format!("Can't find the DNS record {label}/{kind} in the zone");
                    error(404, "dns-record", "Not Found", &text)
                }
                ("DELETE", false) => {
                    call.world.zone_mut(name).map(|zone| zone.remove_set(&host, kind));
                    Answer::empty(204)
                }
                ("PUT", _) | ("POST", true) => store(call, name, &host, kind),
                ("POST", false) => {
                    let text = "A DNS Record already exists with same value";
                    json(200, &json!({"message": text}))
                }
                _ => error(405, "HTTPMethodNotAllowed", "Method Not Allowed", "Method Not Allowed"),
            }
        }
        _ => not_found(),
    }
}

fn store(call: &mut Call<'_>, zone: &str, host: &str, kind: &str) -> Answer {
    let bad = |text: &str| error(400, "HTTPBadRequest", "Bad Request", text);
    let Some(body) = call.json() else { return bad("The request body is no JSON") };
    let values = body["rrset_values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let values: Option<Vec<String>> =
        values.iter().map(|value| content(kind, value.as_str()?)).collect();
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return bad("rrset_values: invalid value");
    };
    let ttl = body["rrset_ttl"].as_u64().unwrap_or(10_800);
    let Some(ttl) = u32::try_from(ttl).ok().filter(|ttl| (300..=2_592_000).contains(ttl)) else {
        return bad("rrset_ttl: must be between 300 and 2592000");
    };
    if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
        return bad("rrset_values: duplicate value");
    }
    call.world.zone_mut(zone).map(|zone| zone.remove_set(host, kind));
    for value in values {
        let id = call.world.add(host, kind, &value);
        let zone = call.world.zone_mut(zone);
        let records = zone.into_iter().flat_map(|zone| &mut zone.records);
        records.filter(|record| Some(record.id) == id).for_each(|record| record.ttl = ttl);
    }
    json(201, &json!({"message": "DNS Record Created"}))
}

fn sets(zone: &Zone, fits: impl Fn(&Record) -> bool) -> Answer {
    let records = zone.records.iter().filter(|record| fits(record));
    let keys: BTreeSet<(&str, &str)> =
        records.map(|record| (record.name.as_str(), record.kind.as_str())).collect();
    let sets: Vec<Value> = keys.into_iter().map(|(name, kind)| shown(zone, name, kind)).collect();
    json(200, &sets.into())
}

fn zone_shown(zone: &Zone) -> Value {
    let href = format!("https://api.gandi.net/v5/livedns/domains/{}", zone.name);
    json!({
        "fqdn": zone.name, "automatic_snapshots": true, "domain_href": href,
        "domain_keys_href": format!("{href}/keys"), "domain_records_href": format!("{href}/records"),
    })
}

fn shown(zone: &Zone, name: &str, kind: &str) -> Value {
    let label = zone.label(name, "@");
    let ttl = zone.set(name, kind).next().map(|record| record.ttl);
    let values: Vec<&str> = zone.values(name, kind).collect();
    let domain = &zone.name;
    let href = format!("https://api.gandi.net/v5/livedns/domains/{domain}/records/{label}/{kind}");
    json!({
        "rrset_type": kind, "rrset_ttl": ttl, "rrset_name": label, "rrset_href": href,
        "rrset_values": values,
    })
}

fn not_found() -> Answer {
    error(404, "HTTPNotFound", "Not Found", "The resource could not be found.")
}

fn error(status: u16, object: &str, cause: &str, message: &str) -> Answer {
    json(status, &json!({"code": status, "message": message, "object": object, "cause": cause}))
}
