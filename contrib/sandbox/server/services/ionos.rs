//! IONOS' update URLs: the calls of its DNS API that make, change and end them, and what each sets.
//!
//! Rests on IONOS' DNS API 1.0.2. What the URL itself answers is not documented; here it is as the calls
//! that manage it. Each call about URLs may come twice a minute from one address.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::pace::Limit;
use super::world::Zone;
use super::{Call, Issued, OWN_ZONES, Reach, Service, json as answer_json};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: Some(Issued {
        has_login: false,
        is_only_way: true,
        noun: "update URL",
        reach: Reach::Fixed,
    }),
    limit: Some(Limit::Window(2, Duration::from_secs(60))),
    login: None,
    name: "ionos-dyndns",
    needs_zone: false,
    path: "",
    secret,
    title: "IONOS Dynamic DNS",
    too_often,
    zones: OWN_ZONES,
};

/// An update URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url {
    pub id: String,
    /// What follows `q=` in it.
    pub q: String,
    pub hosts: Vec<String>,
}

fn secret() -> String {
    format!(
        "{}.{}",
        chance::hexadecimal(32),
        chance::text(64, "abcdefghijklmnopqrstuvwxyz0123456789")
    )
}

fn too_often(_: Duration) -> Answer {
    fault(429, "RATE_LIMIT", "Rate limit exceeded.")
}

fn answer(call: &mut Call<'_>) -> Answer {
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["dns", "v1", path @ ..] = &path[..] else {
        return fault(404, "NOT_FOUND", "There is nothing here.");
    };
    if (call.request.method.as_str(), path) == ("GET", &["dyndns"]) {
        return update(call);
    }
    if call.request.header("X-API-Key") != Some(&call.world.secret) {
        let text = "The customer is not authorized to do this operation.";
        return fault(401, "UNAUTHORIZED", text);
    }
    let body = call.json().unwrap_or_default();
    let hosts = body["domains"].as_array().cloned().unwrap_or_default();
    let hosts: Vec<String> = hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let is_ours = |host: &String| call.world.zones.iter().any(|zone| zone.covers(host));
    let are_fit = !hosts.is_empty() && hosts.iter().all(is_ours);
    let unfit = || fault(400, "INVALID_DOMAIN_NAME", "Domain is missing/invalid.");
    match (call.request.method.as_str(), path) {
        ("GET", ["zones"]) => {
            let shown =
                |zone: &Zone| json!({"id": id_of(zone), "name": zone.name, "type": "NATIVE"});
            answer_json(200, &json!(call.world.zones.iter().map(shown).collect::<Vec<_>>()))
        }
        ("GET", ["zones", id]) => zone(call, id),
        ("POST", ["dyndns"]) if are_fit => {
            let q = format!("{}%3D", chance::text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"));
            let (id, server) = (chance::uuid(), call.request.header("Host").unwrap_or_default());
            let url = format!("http://{server}/dns/v1/dyndns?q={q}");
            let told = json!({
                "bulkId": id, "updateUrl": url, "domains": hosts, "description": body["description"],
            });
            call.world.urls.push(Url { id, q: q.replace("%3D", "="), hosts });
            answer_json(200, &told)
        }
        ("PUT", ["dyndns", _]) | ("POST", ["dyndns"]) if !are_fit => unfit(),
        (method @ ("PUT" | "DELETE"), ["dyndns", id]) => {
            let Some(at) = call.world.urls.iter().position(|url| url.id == *id) else {
                return fault(404, "DYN_DNS_NOT_FOUND", "Dynamic dns not found.");
            };
            if method == "PUT" {
                call.world.urls[at].hosts = hosts;
            } else {
                call.world.urls.remove(at);
            }
            Answer::new(200, "application/json", "")
        }
        _ => fault(404, "NOT_FOUND", "There is nothing here."),
    }
}

fn id_of(zone: &Zone) -> String {
    format!("11af3414-ebba-11e9-8df5-{:012x}", zone.id)
}

/// A zone with those of its records that are asked for.
fn zone(call: &Call<'_>, id: &str) -> Answer {
    let Some(zone) = call.world.zones.iter().find(|zone| id_of(zone) == id) else {
        return fault(404, "ZONE_NOT_FOUND", "Zone does not exist.");
    };
    let name = call.parameter("recordName");
    let kinds = call.parameter("recordType");
    let fits = |record: &&super::world::Record| {
        name.is_none_or(|name| record.name == name)
            && kinds.is_none_or(|kinds| kinds.split(',').any(|kind| kind == record.kind))
    };
    let shown = |record: &super::world::Record| {
        json!({
            "id": format!("{:032x}", record.id), "name": record.name, "type": record.kind,
            "content": record.content, "ttl": record.ttl, "prio": 0, "disabled": false,
        })
    };
    let records: Vec<Value> = zone.records.iter().filter(fits).map(shown).collect();
    answer_json(200, &json!({"id": id, "name": zone.name, "type": "NATIVE", "records": records}))
}

/// Sets what an update URL says for its hosts.
fn update(call: &mut Call<'_>) -> Answer {
    let q = call.parameter("q").unwrap_or_default();
    let found = call.world.urls.iter().find(|url| url.q == q);
    let Some(hosts) = found.map(|url| url.hosts.clone()) else {
        return fault(404, "DYN_DNS_NOT_FOUND", "Dynamic dns not found.");
    };
    let said: Vec<(&str, String)> = [("ipv4", "A"), ("ipv6", "AAAA")]
        .into_iter()
        .filter_map(|(name, kind)| {
            let ip = call.parameter(name)?.parse::<IpAddr>().ok()?;
            Some((kind, ip.to_string()))
        })
        .collect();
    for host in hosts {
        for (kind, ip) in &said {
            for zone in &mut call.world.zones {
                zone.remove_set(&host, kind);
            }
            call.world.add(&host, kind, ip);
        }
    }
    Answer::new(200, "application/json", "")
}

fn fault(status: u16, code: &str, message: &str) -> Answer {
    answer_json(status, &json!([{"code": code, "message": message}]))
}
