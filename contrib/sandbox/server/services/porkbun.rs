//! Porkbun's API, version 3: records with ids, and nearly every fault is a 400.
//!
//! Rests on recorded conversations (dns-lexicon, 2024) and the vendor's `OpenAPI` (May 2026), which
//! names no limit for records. That a record like another is not made, and a change that changes
//! nothing is refused, is what other clients report. One domain of the account is not opted in.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::world::{Record, World, Zone, content};
use super::{Call, OWN_ZONES, Service, json, seconds};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: None,
    limit: None,
    login: None,
    name: "porkbun",
    needs_zone: true,
    path: "/api/json/v3",
    secret,
    title: "Porkbun",
    too_often,
    zones: OWN_ZONES,
};

/// A domain of the account that may not be changed by the API.
pub const NOT_OPTED_IN: &str = "example.org";

/// The lowest TTL; a lower one is raised to it.
const LOWEST_TTL: u32 = 600;

fn secret() -> String {
    format!("pk1_{}:sk1_{}", chance::hexadecimal(64), chance::hexadecimal(64))
}

fn too_often(wait: Duration) -> Answer {
    json(
        429,
        &json!({
            "status": "ERROR", "message": "Rate limit exceeded. Please try again later.",
            "code": "RATE_LIMIT_EXCEEDED", "ttlRemaining": seconds(wait),
        }),
    )
}

fn answer(call: &mut Call<'_>) -> Answer {
    let reads = call.request.method == "GET";
    if !reads && call.request.method != "POST" {
        return error("METHOD_NOT_ALLOWED", "Method not allowed.");
    }
    let body = if reads { json!({}) } else { call.json().unwrap_or_default() };
    if !body.is_object() {
        return error("INVALID_OR_EMPTY_JSON", "Invalid or empty JSON.");
    }
    if let Some(refusal) = refusal(call, &body) {
        return refusal;
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["dns", step, domain, rest @ ..] = &path[..] else {
        return match path[..] {
            ["domain", "listAll"] => {
                let domains = call.world.zones.iter().map(|zone| json!({"domain": zone.name}));
                success(&json!({"domains": domains.collect::<Vec<_>>()}))
            }
            ["ping"] => success(&json!({"yourIp": call.client.ip().to_string()})),
            _ => error("INVALID_REQUEST", "Invalid request."),
        };
    };
    if *domain == NOT_OPTED_IN {
        let code = "DOMAIN_IS_NOT_OPTED_IN_TO_API_ACCESS";
        return error(code, "Domain is not opted in to API access.");
    }
    let Some(zone) = call.world.zone(domain) else {
        return error("INVALID_DOMAIN", "Invalid domain.");
    };
    match (reads, *step, rest) {
        (_, "retrieve", []) => list(zone, |_| true),
        (_, "retrieve", [id]) => list(zone, |record| record.id.to_string() == *id),
        (_, "retrieveByNameType", [kind, label @ ..]) => {
            let name = zone.full(&label.join("/"));
            list(zone, |record| record.name == name && record.kind == *kind)
        }
        (false, "create", []) => {
            let id = call.world.number();
            let blank = Record { id, ttl: LOWEST_TTL, ..Record::default() };
            // A number here, a text in lists.
            store(call.world, domain, &blank, &body, &json!({"id": id}))
        }
        (false, "edit", [id]) => match zone.record(id.parse().unwrap_or_default()).cloned() {
            Some(known) => store(call.world, domain, &known, &body, &json!({})),
            None => error("INVALID_RECORD_ID", "Invalid record ID."),
        },
        (false, "delete", [id]) => {
            let id = id.parse().unwrap_or_default();
            if call.world.zone_mut(domain).is_some_and(|zone| zone.remove(id)) {
                success(&json!({}))
            } else {
                error("INVALID_RECORD_ID", "Invalid record ID.")
            }
        }
        _ => error("INVALID_REQUEST", "Invalid request."),
    }
}

/// Keys are in the body, or in headers where the body has none.
fn refusal(call: &Call<'_>, body: &Value) -> Option<Answer> {
    let given = |member: &str, header: &str| {
        body[member].as_str().or_else(|| call.request.header(header)).map(str::to_owned)
    };
    let key = given("apikey", "X-API-Key");
    let secret = given("secretapikey", "X-Secret-API-Key");
    let (Some(key), Some(secret)) = (key, secret) else {
        return Some(error("API_KEY_REQUIRED", "API key required."));
    };
    let fits = format!("{key}:{secret}") == call.world.secret;
    (!fits).then(|| error("INVALID_API_KEYS_001", "Invalid API key. (001)"))
}

fn list(zone: &Zone, fits: impl Fn(&Record) -> bool) -> Answer {
    let records = zone.records.iter().filter(|record| fits(record));
    let records: Vec<Value> = records.map(shown).collect();
    success(&json!({"cloudflare": "enabled", "records": records}))
}

fn store(world: &mut World, zone: &str, known: &Record, body: &Value, said: &Value) -> Answer {
    let Some(zone) = world.zone_mut(zone) else {
        return error("INVALID_DOMAIN", "Invalid domain.");
    };
    let (verb, did) = if known.kind.is_empty() { ("create", "Create") } else { ("edit", "Edit") };
    let text = format!("{did} error: We were unable to {verb} the DNS record.");
    let refused = || json(400, &json!({"status": "ERROR", "message": text}));
    let kind = body["type"].as_str().unwrap_or_default().to_owned();
    if kind.is_empty() {
        return error("INVALID_TYPE", "Invalid type.");
    }
    let name = zone.full(body["name"].as_str().unwrap_or_default());
    let Some(content) = content(&kind, body["content"].as_str().unwrap_or_default()) else {
        return refused();
    };
    let ttl = match &body["ttl"] {
        Value::String(text) => text.parse().unwrap_or(LOWEST_TTL),
        number => number.as_u64().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(LOWEST_TTL),
    };
    let ttl = ttl.max(LOWEST_TTL);
    let is_same = |other: &Record| {
        other.name == name && other.kind == kind && other.content == content && other.ttl == ttl
    };
    let is_double = |other: &Record| {
        other.id != known.id && other.name == name && other.kind == kind && other.content == content
    };
    if is_same(known) || zone.records.iter().any(is_double) {
        return refused();
    }
    let (comment, proxied) = (None, false);
    let record = Record { comment, content, id: known.id, kind, name, proxied, ttl };
    match zone.records.iter_mut().find(|other| other.id == known.id) {
        Some(place) => *place = record,
        None => zone.records.push(record),
    }
    success(said)
}

fn shown(record: &Record) -> Value {
    let (preference, content) = record.parts();
    json!({
        "id": record.id.to_string(), "name": record.name, "type": record.kind,
        "content": content.trim_matches('"'), "ttl": record.ttl.to_string(),
        "prio": preference.unwrap_or_default().to_string(), "notes": null,
    })
}

fn success(said: &Value) -> Answer {
    let mut body = json!({"status": "SUCCESS"});
    for (name, value) in said.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    json(200, &body)
}

fn error(code: &str, message: &str) -> Answer {
    json(400, &json!({"status": "ERROR", "code": code, "message": message}))
}
