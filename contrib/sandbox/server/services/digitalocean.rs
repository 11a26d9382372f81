//! `DigitalOcean`'s API, version 2: records with ids and labels, filtered by whole names.
//!
//! Rests on recorded conversations (dns-lexicon, 2020) and the vendor's `OpenAPI` (August 2026): 250
//! requests a minute, 200 rows a page. What another record of the same content is told is not
//! recorded: here it is made.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::pace::Limit;
use super::world::{Record, Zone, content};
use super::{Call, OWN_ZONES, Service, json, seconds};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: None,
    limit: Some(Limit::Window(250, Duration::from_secs(60))),
    login: None,
    name: "digitalocean",
    needs_zone: false,
    path: "/v2",
    secret,
    title: "DigitalOcean",
    too_often,
    zones: OWN_ZONES,
};

fn secret() -> String {
    format!("dop_v1_{}", chance::hexadecimal(64))
}

fn too_often(wait: Duration) -> Answer {
    let wait = seconds(wait).to_string();
    error(429, "too_many_requests", "API rate limit exceeded.").with("Retry-After", &wait)
}

fn answer(call: &mut Call<'_>) -> Answer {
    if !call.has_token() {
        return error(401, "unauthorized", "Unable to authenticate you.");
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = call.request.method.as_str();
    match (method, &path[..]) {
        ("GET", ["domains"]) => {
            let rows = call.world.zones.iter().map(zone_shown).collect();
            page(call, "/domains", "domains", rows)
        }
        ("GET", ["domains", name]) => match call.world.zone(name) {
            Some(zone) => json(200, &json!({"domain": zone_shown(zone)})),
            None => not_found(),
        },
        (_, ["domains", name, "records"]) => match (method, call.world.zone(name)) {
            ("GET", Some(zone)) => list(call, zone),
            ("POST", Some(_)) => create(call, name),
            _ => not_found(),
        },
        (_, ["domains", name, "records", id]) => {
            let number = id.parse().unwrap_or_default();
            let found = call.world.zone(name).and_then(|zone| Some((zone, zone.record(number)?)));
            match (method, found) {
                ("GET", Some((zone, record))) => {
                    json(200, &json!({"domain_record": shown(zone, record)}))
                }
                ("PATCH" | "PUT", Some((_, record))) => {
                    let record = record.clone();
                    store(call, name, &record, 200)
                }
                ("DELETE", Some(_)) => {
                    call.world.zone_mut(name).map(|zone| zone.remove(number));
                    Answer::empty(204)
                }
                _ => not_found(),
            }
        }
        _ => not_found(),
    }
}

fn list(call: &Call<'_>, zone: &Zone) -> Answer {
    let (name, kind) = (call.parameter("name"), call.parameter("type"));
    let fits = |record: &&Record| {
        name.is_none_or(|name| record.name.eq_ignore_ascii_case(name))
            && kind.is_none_or(|kind| record.kind == kind)
    };
    let rows = zone.records.iter().filter(fits).map(|record| shown(zone, record)).collect();
    page(call, &format!("/domains/{}/records", zone.name), "domain_records", rows)
}

/// One page of `rows`; as recorded, the links to others keep only the size of a page.
fn page(call: &Call<'_>, path: &str, member: &str, rows: Vec<Value>) -> Answer {
    let number = |name: &str| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(20).clamp(1, 200);
    let page = number("page").unwrap_or(1).max(1);
    let (total, pages) = (rows.len(), rows.len().div_ceil(size));
    let rows: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let host = call.request.header("Host").unwrap_or("localhost");
    let link = |page: usize| format!("http://{host}/v2{path}?page={page}&per_page={size}");
    let mut pages_shown = json!({});
    if page > 1 {
        pages_shown["first"] = link(1).into();
        pages_shown["prev"] = link(page - 1).into();
    }
    if page < pages {
        pages_shown["next"] = link(page + 1).into();
        pages_shown["last"] = link(pages).into();
    }
    let links = if pages > 1 { json!({"pages": pages_shown}) } else { json!({}) };
    json(200, &json!({member: rows, "links": links, "meta": {"total": total}}))
}

fn create(call: &mut Call<'_>, zone: &str) -> Answer {
    let blank = Record { id: call.world.number(), ttl: 1800, ..Record::default() };
    store(call, zone, &blank, 201)
}

fn store(call: &mut Call<'_>, zone: &str, known: &Record, status: u16) -> Answer {
    let Some(body) = call.json() else {
        return error(400, "bad_request", "error parsing request body");
    };
    let Some(zone) = call.world.zone_mut(zone) else { return not_found() };
    let kind = body["type"].as_str().unwrap_or(&known.kind).to_owned();
    if kind.is_empty() {
        return unprocessable("Type can't be blank");
    }
    let name = match body["name"].as_str() {
        Some(label) => zone.full(label),
        None if known.name.is_empty() => return unprocessable("Name can't be blank"),
        None => known.name.clone(),
    };
    let Some(content) = content(&kind, body["data"].as_str().unwrap_or(&known.content)) else {
        return unprocessable(match kind.as_str() {
            "A" => "IP address did not match IPv4 format (e.g. 127.0.0.1).",
            _ => "IP address did not match IPv6 format (e.g. 2001:db8::).",
        });
    };
    let ttl = body["ttl"].as_u64().unwrap_or(known.ttl.into());
    let Some(ttl) = u32::try_from(ttl).ok().filter(|ttl| *ttl >= 30) else {
        return unprocessable("TTL must be greater than or equal to 30");
    };
    let (comment, proxied) = (None, false);
    let record = Record { comment, content, id: known.id, kind, name, proxied, ttl };
    let answer = json(status, &json!({"domain_record": shown(zone, &record)}));
    match zone.records.iter_mut().find(|other| other.id == known.id) {
        Some(place) => *place = record,
        None => zone.records.push(record),
    }
    answer
}

fn zone_shown(zone: &Zone) -> Value {
    json!({"name": zone.name, "ttl": 1800, "zone_file": format!("$ORIGIN {}.\n", zone.name)})
}

fn shown(zone: &Zone, record: &Record) -> Value {
    let (priority, data) = record.parts();
    json!({
        "id": record.id, "type": record.kind, "name": zone.label(&record.name, "@"),
        "data": data, "priority": priority, "port": null, "ttl": record.ttl, "weight": null,
        "flags": null, "tag": null,
    })
}

fn not_found() -> Answer {
    error(404, "not_found", "The resource you were accessing could not be found.")
}

fn unprocessable(message: &str) -> Answer {
    error(422, "unprocessable_entity", message)
}

fn error(status: u16, id: &str, message: &str) -> Answer {
    json(status, &json!({"id": id, "message": message}))
}
