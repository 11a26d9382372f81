//! Hetzner's cloud API, version 1: record sets, whose changes are actions that are still running when
//! they are answered.
//!
//! Rests on recorded conversations (dns-lexicon, January 2026) and the vendor's client and documents:
//! 3600 requests, one of which comes back each second; `set_records` wants a set that is there. The
//! messages of refusals are invented, their codes are the vendor's.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::calendar::timestamp;
use super::super::chance;
use super::super::http::Answer;
use super::pace::Limit;
use super::world::{Record, Zone, content};
use super::{Call, OWN_ZONES, Service, json};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: None,
    limit: Some(Limit::Bucket(3600, Duration::from_secs(1))),
    login: None,
    name: "hetzner",
    needs_zone: false,
    path: "/v1",
    secret,
    title: "Hetzner",
    too_often,
    zones: OWN_ZONES,
};

fn secret() -> String {
    chance::text(64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
}

fn too_often(_wait: Duration) -> Answer {
    error(429, "rate_limit_exceeded", "rate limit exceeded")
}

fn answer(call: &mut Call<'_>) -> Answer {
    if !call.has_token() {
        return error(401, "unauthorized", "the token you provided is invalid");
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = call.request.method.as_str();
    if let ("GET", ["zones"]) = (method, &path[..]) {
        let name = call.parameter("name");
        let zones =
            call.world.zones.iter().filter(|zone| name.is_none_or(|name| zone.name == name));
        let zones: Vec<Value> = zones.map(|zone| zone_shown(zone, call.now)).collect();
        return json(200, &json!({"meta": pages(zones.len()), "zones": zones}));
    }
    let ["zones", zone, rest @ ..] = &path[..] else {
        return error(404, "not_found", "Not found");
    };
    let fits = |known: &Zone| known.name == *zone || known.id.to_string() == *zone;
    let Some(at) = call.world.zones.iter().position(fits) else {
        return error(404, "not_found", "Zone not found");
    };
    let zone = &call.world.zones[at];
    match (method, rest) {
        ("GET", []) => json(200, &json!({"zone": zone_shown(zone, call.now)})),
        ("GET", ["rrsets"]) => {
            let (name, kind) = (call.parameter("name"), call.parameter("type"));
            let fits = |record: &&Record| {
                name.is_none_or(|name| zone.label(&record.name, "@") == name)
                    && kind.is_none_or(|kind| record.kind == kind)
            };
            let keys: BTreeSet<(&str, &str)> =
                zone.records.iter().filter(fits).map(|it| (&*it.name, &*it.kind)).collect();
            let sets: Vec<Value> =
                keys.into_iter().map(|(name, kind)| shown(zone, name, kind)).collect();
            json(200, &json!({"meta": pages(sets.len()), "rrsets": sets}))
        }
        ("POST", ["rrsets"]) => create(call, at),
        (_, ["rrsets", label, kind, rest @ ..]) => {
            let host = zone.full(label);
            if zone.set(&host, kind).next().is_none() {
                return error(404, "not_found", "RRSet not found");
            }
            match (method, rest) {
                ("GET", []) => json(200, &json!({"rrset": shown(zone, &host, kind)})),
                ("DELETE", []) => {
                    call.world.zones[at].remove_set(&host, kind);
                    json(201, &json!({"action": action(call, at, "delete_rrset")}))
                }
                ("POST", ["actions", "set_records"]) => {
                    let values = match values(call, kind) {
                        Ok(values) => values,
                        Err(refusal) => return refusal,
                    };
                    let ttl = zone_ttl(&call.world.zones[at], &host, kind);
                    replace(call, at, &host, kind, &values, ttl);
                    json(201, &json!({"action": action(call, at, "set_rrset_records")}))
                }
                _ => error(404, "not_found", "Not found"),
            }
        }
        _ => error(404, "not_found", "Not found"),
    }
}

fn create(call: &mut Call<'_>, at: usize) -> Answer {
    let body = call.json().unwrap_or_default();
    let (Some(label), Some(kind)) = (body["name"].as_str(), body["type"].as_str()) else {
        return invalid("name");
    };
    let host = call.world.zones[at].full(label);
    if call.world.zones[at].set(&host, kind).next().is_some() {
        let text = format!("rrset with name {label} and type {kind} already exists");
        return error(409, "uniqueness_error", &text);
    }
    let values = match values(call, kind) {
        Ok(values) => values,
        Err(refusal) => return refusal,
    };
    let ttl = body["ttl"].as_u64().unwrap_or(86_400);
    let Some(ttl) = u32::try_from(ttl).ok().filter(|ttl| *ttl >= 60) else {
        return invalid("ttl");
    };
    replace(call, at, &host, kind, &values, ttl);
    let rrset = shown(&call.world.zones[at], &host, kind);
    json(201, &json!({"rrset": rrset, "action": action(call, at, "create_rrset")}))
}

/// The values that the request wants: at least one, and none twice.
fn values(call: &Call<'_>, kind: &str) -> Result<Vec<String>, Answer> {
    let body = call.json().unwrap_or_default();
    let rows = body["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let values: Option<Vec<String>> =
        rows.iter().map(|row| content(kind, row["value"].as_str()?)).collect();
    let is_set = |values: &Vec<String>| {
        !values.is_empty() && values.iter().collect::<BTreeSet<_>>().len() == values.len()
    };
    values.filter(is_set).ok_or_else(|| invalid("records"))
}

fn replace(call: &mut Call<'_>, at: usize, name: &str, kind: &str, values: &[String], ttl: u32) {
    call.world.zones[at].remove_set(name, kind);
    for value in values {
        let record = Record {
            content: value.clone(),
            id: call.world.number(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            ttl,
            ..Record::default()
        };
        call.world.zones[at].records.push(record);
    }
}

fn zone_ttl(zone: &Zone, name: &str, kind: &str) -> u32 {
    zone.set(name, kind).next().map_or(86_400, |record| record.ttl)
}

fn action(call: &mut Call<'_>, at: usize, command: &str) -> Value {
    let id = call.world.number();
    json!({
        "id": id, "status": "running", "command": command, "progress": 0,
        "started": whole_seconds(call.now), "finished": null, "error": null,
        "resources": [{"id": call.world.zones[at].id, "type": "zone"}],
    })
}

fn zone_shown(zone: &Zone, now: Duration) -> Value {
    let servers = ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."];
    json!({
        "id": zone.id, "name": zone.name, "mode": "primary", "ttl": 86_400, "labels": {},
        "primary_nameservers": [], "created": whole_seconds(now), "protection": {"delete": false},
        "status": "ok", "record_count": zone.records.len(),
        "authoritative_nameservers": {"assigned": servers, "delegated": servers},
    })
}

fn shown(zone: &Zone, name: &str, kind: &str) -> Value {
    let label = zone.label(name, "@");
    let records: Vec<Value> =
        zone.values(name, kind).map(|value| json!({"value": value, "comment": ""})).collect();
    json!({
        "id": format!("{label}/{kind}"), "name": label, "type": kind,
        "ttl": zone_ttl(zone, name, kind), "labels": {}, "protection": {"change": false},
        "records": records, "zone": zone.id,
    })
}

fn pages(total: usize) -> Value {
    json!({"pagination": {
        "page": 1, "per_page": 25, "previous_page": null, "next_page": null, "last_page": 1,
        "total_entries": total,
    }})
}

fn whole_seconds(moment: Duration) -> String {
    timestamp(Duration::from_secs(moment.as_secs())).replace(".000000", "")
}

fn invalid(field: &str) -> Answer {
    let fields = json!([{"name": field, "messages": ["is invalid"]}]);
    let text = format!("invalid input in field '{field}'");
    let error = json!({"code": "invalid_input", "message": text, "details": {"fields": fields}});
    json(422, &json!({"error": error}))
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    json(status, &json!({"error": {"code": code, "message": message, "details": null}}))
}
