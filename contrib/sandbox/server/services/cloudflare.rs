//! Cloudflare's API, version 4: zones and their records, each with an id of its own.
//!
//! Rests on recorded conversations (dns-lexicon, August 2025), on what favonia/cloudflare-ddns saw
//! of refused tokens (June 2026), and on Cloudflare's page about limits: 1200 requests of a user in
//! five minutes, then none until they are over.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::calendar::timestamp;
use super::super::chance;
use super::super::http::Answer;
use super::pace::Limit;
use super::world::{Record, Zone, content};
use super::{Call, Issued, OWN_ZONES, Reach, Service, cloudflare_tokens as tokens, json, seconds};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: Some(Issued {
        has_login: false,
        is_only_way: false,
        noun: "token",
        reach: Reach::Zone,
    }),
    limit: Some(Limit::Window(1200, Duration::from_secs(300))),
    login: None,
    name: "cloudflare",
    needs_zone: false,
    path: "/client/v4",
    secret,
    title: "Cloudflare",
    too_often,
    zones: OWN_ZONES,
};

/// How long tokens are.
const TOKEN: usize = 40;

/// The beginning of tokens that an account owns, and how long what follows is.
const OF_ACCOUNT: (&str, usize) = ("cfat_", 48);

/// The id of the account.
pub const ACCOUNT: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// A secret in the form of Cloudflare's tokens.
pub fn secret() -> String {
    letters(TOKEN)
}

/// A secret in the form of the tokens that an account owns.
pub fn secret_of_account() -> String {
    let (begin, length) = OF_ACCOUNT;
    [begin, &letters(length)].concat()
}

fn letters(count: usize) -> String {
    chance::text(count, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

fn too_often(wait: Duration) -> Answer {
    let text = "More than 1200 requests per 300 seconds reached. Please wait and consider \
                throttling your request speed";
    error(429, 971, text).with("Retry-After", &seconds(wait).to_string())
}

fn answer(call: &mut Call<'_>) -> Answer {
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if let Some(refusal) = refusal(call) {
        return refusal;
    }
    let caller = match tokens::caller(call) {
        Ok(caller) => caller,
        Err(Some(refusal)) => return refusal,
        Err(None) if path.len() > 2 => return error(401, 10000, "Authentication error"),
        Err(None) => return error(403, 9109, "Invalid access token"),
    };
    match (call.request.method.as_str(), &path[..]) {
        (_, ["user", "tokens", rest @ ..]) => tokens::answer(call, caller, false, rest),
        (_, ["accounts", ACCOUNT, "tokens", rest @ ..]) => tokens::answer(call, caller, true, rest),
        ("GET", ["zones"]) => zones(call, caller),
        ("GET", ["zones", id]) => {
            let mut zones = call.world.zones.iter();
            let found = zones.find(|zone| zone_id(zone) == *id && sees(call, caller, zone));
            found.map_or_else(|| no_zone(call, id), |zone| success(&zone_shown(zone)))
        }
        (method, ["zones", id, ..]) if !may_change(call, caller, id, method) => {
            error(403, 10000, "Authentication error")
        }
        (method, ["zones", id, "dns_records"]) => {
            let Some(at) = place(call, id) else { return no_zone(call, id) };
            match method {
                "GET" => list(call, at),
                "POST" => create(call, at),
                _ => error(405, 10405, "Method not allowed for this authentication scheme"),
            }
        }
        (method, ["zones", id, "dns_records", record]) => {
            let Some(at) = place(call, id) else { return no_zone(call, id) };
            let number = u64::from_str_radix(record, 16).unwrap_or_default();
            let Some(known) = call.world.zones[at].record(number).cloned() else {
                return error(404, 81044, "Record does not exist.");
            };
            match method {
                "GET" => success(&shown(&known)),
                "PATCH" | "PUT" => change(call, at, &known),
                "DELETE" => {
                    call.world.zones[at].remove(number);
                    success(&json!({"id": record}))
                }
                _ => error(405, 10405, "Method not allowed for this authentication scheme"),
            }
        }
        _ => error(400, 7000, "No route for that URI"),
    }
}

fn refusal(call: &Call<'_>) -> Option<Answer> {
    let Some(token) = call.request.header("Authorization") else {
        let text = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
        return Some(error(400, 9106, text));
    };
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let token = token.strip_prefix("Bearer ").unwrap_or_default();
    let (begin, length) = OF_ACCOUNT;
    let is_long =
        token.len() == TOKEN || token.strip_prefix(begin).is_some_and(|rest| rest.len() == length);
    if !is_long || !token.chars().all(is_letter) {
        let chain = json!([{"code": 6111, "message": "Invalid format for Authorization header"}]);
        let fault =
            json!({"code": 6003, "message": "Invalid request headers", "error_chain": chain});
        return Some(refused(400, &fault));
    }
    None
}

/// Whether the caller sees a zone in lists.
fn sees(call: &Call<'_>, caller: Option<usize>, zone: &Zone) -> bool {
    tokens::may(call.world, caller, &["DNS Write", "DNS Read", "Zone Read"], Some(zone))
}

/// Whether the caller may do that with the records of the zone with this id.
fn may_change(call: &Call<'_>, caller: Option<usize>, id: &str, method: &str) -> bool {
    let groups = if method == "GET" { &["DNS Write", "DNS Read"][..] } else { &["DNS Write"] };
    let zone = call.world.zones.iter().find(|zone| zone_id(zone) == id);
    zone.is_none_or(|zone| tokens::may(call.world, caller, groups, Some(zone)))
}

/// What a zone is told by that is not the account's: a wrong form of the id and another's id differ.
fn no_zone(call: &Call<'_>, id: &str) -> Answer {
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return error(403, 10000, "Authentication error");
    }
    let path = &call.request.path;
    let text = format!("Could not route to {path}, perhaps your object identifier is invalid?");
    error(404, 7003, &text)
}

fn place(call: &Call<'_>, id: &str) -> Option<usize> {
    call.world.zones.iter().position(|zone| zone_id(zone) == id)
}

fn zones(call: &Call<'_>, caller: Option<usize>) -> Answer {
    let name = call.parameter("name");
    let status = call.parameter("status").unwrap_or("active");
    let fits = |zone: &&Zone| {
        name.is_none_or(|name| zone.name == name) && status == "active" && sees(call, caller, zone)
    };
    page(call, call.world.zones.iter().filter(fits).map(zone_shown).collect(), 20, 50)
}

fn list(call: &Call<'_>, at: usize) -> Answer {
    let asked = |name: &str| call.parameter(name).map(str::to_lowercase);
    let (name, kind, content) = (asked("name"), asked("type"), asked("content"));
    let fits = |record: &&Record| {
        name.as_ref().is_none_or(|name| record.name == *name)
            && kind.as_ref().is_none_or(|kind| record.kind.to_lowercase() == *kind)
            && content.as_ref().is_none_or(|content| record.content == *content)
    };
    let records = call.world.zones[at].records.iter().filter(fits);
    page(call, records.map(shown).collect(), 100, 5_000_000)
}

/// One page of `rows`, with so many on it unless the request wants others, up to `most`.
pub fn page(call: &Call<'_>, rows: Vec<Value>, usual: usize, most: usize) -> Answer {
    let number = |name: &str| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(usual).clamp(1, most);
    let page = number("page").unwrap_or(1).max(1);
    let total = rows.len();
    let rows: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let info = json!({
        "page": page, "per_page": size, "count": rows.len(), "total_count": total,
        "total_pages": total.div_ceil(size),
    });
    let body = json!({
        "result": rows, "success": true, "errors": [], "messages": [], "result_info": info,
    });
    json(200, &body)
}

fn create(call: &mut Call<'_>, at: usize) -> Answer {
    let blank = Record { id: call.world.number(), ttl: 1, ..Record::default() };
    change(call, at, &blank)
}

/// Stores `known` with what the request says otherwise, in the place of `known` if it is there.
fn change(call: &mut Call<'_>, at: usize, known: &Record) -> Answer {
    let Some(body) = call.json() else {
        return error(400, 9207, "Request body is invalid.");
    };
    let zone = &mut call.world.zones[at];
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let kind = text("type").unwrap_or_else(|| known.kind.clone());
    let name = match text("name").map(|name| name.to_lowercase()) {
        Some(name) if zone.covers(&name) => name,
        Some(label) => zone.full(&label),
        None => known.name.clone(),
    };
    if kind.is_empty() || name.is_empty() {
        return invalid(9000, "DNS name is invalid.");
    }
    let Some(content) = content(&kind, &text("content").unwrap_or_else(|| known.content.clone()))
    else {
        return match kind.as_str() {
            "A" => invalid(9005, "Content for A record must be a valid IPv4 address."),
            _ => invalid(9006, "Content for AAAA record must be a valid IPv6 address."),
        };
    };
    let proxied = body["proxied"].as_bool().unwrap_or(known.proxied);
    let ttl = body["ttl"].as_u64().unwrap_or(known.ttl.into());
    let ttl = match u32::try_from(ttl) {
        Ok(ttl) if ttl == 1 || (60..=86_400).contains(&ttl) => ttl,
        Ok(_) | Err(_) => {
            let text = "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.";
            return invalid(9021, text);
        }
    };
    let others = || zone.records.iter().filter(|other| other.id != known.id && other.name == name);
    if others().any(|other| other.kind == kind && other.content == content) {
        return error(400, 81058, "An identical record already exists.");
    }
    let is_alias = |kind: &str| kind == "CNAME";
    let meet =
        |other: &Record| is_alias(&other.kind) != is_alias(&kind) && can_be_proxied(&other.kind);
    if others().any(meet) {
        let text = "An A, AAAA, or CNAME record with that host already exists.";
        return error(400, 81053, text);
    }
    let comment = text("comment").or_else(|| known.comment.clone());
    // What goes through Cloudflare has no TTL of its own.
    let ttl = if proxied { 1 } else { ttl };
    let record = Record { comment, content, id: known.id, kind, name, proxied, ttl };
    let answer = success(&shown(&record));
    match zone.records.iter_mut().find(|other| other.id == known.id) {
        Some(place) => *place = record,
        None => zone.records.push(record),
    }
    answer
}

/// Whether a type is one of those of which a name has either the one or the other.
fn can_be_proxied(kind: &str) -> bool {
    ["A", "AAAA", "CNAME"].contains(&kind)
}

/// The id of a zone.
pub fn zone_id(zone: &Zone) -> String {
    format!("{:032x}", u128::from(zone.id) * 0x0005_deec_e66d_1e60)
}

fn zone_shown(zone: &Zone) -> Value {
    json!({
        "id": zone_id(zone), "account": {"id": ACCOUNT, "name": "Example"}, "name": zone.name,
        "status": "active", "paused": false, "type": "full", "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
    })
}

fn shown(record: &Record) -> Value {
    let (preference, content) = record.parts();
    let proxiable = can_be_proxied(&record.kind);
    let opened = timestamp(super::super::calendar::OPENED);
    let mut shown = json!({
        "id": format!("{:032x}", record.id), "name": record.name, "type": record.kind,
        "content": content, "proxiable": proxiable, "proxied": record.proxied, "ttl": record.ttl, "settings": {}, "meta": {},
        "comment": record.comment, "tags": [], "created_on": opened, "modified_on": opened,
    });
    if let Some(preference) = preference {
        shown["priority"] = preference.into();
    }
    shown
}

pub fn success(result: &Value) -> Answer {
    json(200, &json!({"result": result, "success": true, "errors": [], "messages": []}))
}

/// A complaint about a record, which says what is wrong with it in a second row.
fn invalid(code: u32, message: &str) -> Answer {
    let chain = json!([{"code": code, "message": message}]);
    refused(400, &json!({"code": 1004, "message": "DNS Validation Error", "error_chain": chain}))
}

pub fn error(status: u16, code: u32, message: &str) -> Answer {
    refused(status, &json!({"code": code, "message": message}))
}

fn refused(status: u16, error: &Value) -> Answer {
    json(status, &json!({"success": false, "errors": [error], "messages": [], "result": null}))
}
