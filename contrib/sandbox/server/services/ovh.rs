//! OVHcloud's `DynHost`: its logins and records in the API, and the updates that a login may send.
//!
//! Rests on OVHcloud's API (eu.api.ovh.com/console, /domain/zone/{zoneName}/dynHost), as its Terraform
//! provider uses it, on its page about signatures, and for updates on dyn.com's words. How a record of
//! the other family comes about is not documented; here an update makes it beside the first one.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::world::{Record, Zone};
use super::{Call, Issued, OWN_ZONES, Reach, Service, json as answer_json};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: Some(Issued { has_login: true, is_only_way: true, noun: "login", reach: Reach::Host }),
    limit: None,
    login: None,
    name: "ovh",
    needs_zone: false,
    path: "/1.0",
    secret,
    title: "OVHcloud DynHost",
    too_often,
    zones: OWN_ZONES,
};

/// What marks a record that logins may update.
const DYNHOST: &str = "DynHost";

/// A login for the updates of one sub-domain, or of all (`*`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    pub name: String,
    pub sub: String,
    pub password: String,
    pub zone: String,
}

fn secret() -> String {
    let part = |length| chance::text(length, "abcdefghijklmnopqrstuvwxyz0123456789");
    format!("{}:{}:{}", part(16), part(32), part(32))
}

fn too_often(_: Duration) -> Answer {
    fault(429, "TOO_MANY_REQUESTS", "Too many requests")
}

fn answer(call: &mut Call<'_>) -> Answer {
    if call.request.path == "/nic/update" {
        return Answer::text(200, &update(call));
    }
    if let Err(refusal) = check(call) {
        return refusal;
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["domain", "zone", name, rest @ ..] = &path[..] else {
        return fault(403, "NOT_GRANTED_CALL", "This call has not been granted");
    };
    let Some(at) = call.world.zones.iter().position(|zone| zone.name == *name) else {
        return fault(404, "NOT_FOUND", "This service does not exist");
    };
    match (call.request.method.as_str(), rest) {
        ("GET", []) => answer_json(200, &json!({"name": name, "hasDnsAnycast": false})),
        ("POST", ["refresh"]) => answer_json(200, &Value::Null),
        (_, ["dynHost", "record", rest @ ..]) => records(call, at, rest),
        (_, ["dynHost", "login", rest @ ..]) => logins(call, name, rest),
        _ => fault(403, "NOT_GRANTED_CALL", "This call has not been granted"),
    }
}

/// Refuses a request that is not signed with the account's keys.
fn check(call: &Call<'_>) -> Result<(), Answer> {
    let header = |name: &str| call.request.header(name).unwrap_or_default();
    let parts: Vec<&str> = call.world.secret.split(':').collect();
    let [application, secret, consumer] = parts[..] else {
        return Err(fault(500, "INTERNAL", "no account"));
    };
    if header("X-Ovh-Application") != application || header("X-Ovh-Consumer") != consumer {
        return Err(fault(403, "INVALID_CREDENTIAL", "This credential is not valid"));
    }
    // OVHcloud is never asked without TLS.
    let url = format!("https://{}{}", header("Host"), target(call));
    let body = String::from_utf8_lossy(&call.request.body);
    let text = [secret, consumer, &call.request.method, &url, &body, header("X-Ovh-Timestamp")];
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.join("+").as_bytes());
    let hash: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash.concat();
    if header("X-Ovh-Signature") == format!("$1${hash}") {
        Ok(())
    } else {
        Err(fault(400, "INVALID_SIGNATURE", "Invalid signature"))
    }
}

/// The path with its query, as it was sent: nothing there needs an escape.
fn target(call: &Call<'_>) -> String {
    let pairs: Vec<String> =
        call.request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    format!("{}{query}", call.request.path)
}

fn is_dynhost(record: &Record) -> bool {
    record.comment.as_deref() == Some(DYNHOST)
}

fn records(call: &mut Call<'_>, at: usize, path: &[&str]) -> Answer {
    let body = call.json().unwrap_or_default();
    let wanted = call.parameter("subDomain").map(str::to_owned);
    let zone = &mut call.world.zones[at];
    let sub = |zone: &Zone, record: &Record| zone.label(&record.name, "").to_owned();
    match (call.request.method.as_str(), path) {
        ("GET", []) => {
            let own = zone.records.iter().filter(|record| is_dynhost(record));
            let fits = |record: &&Record| {
                wanted.as_ref().is_none_or(|wanted| sub(zone, record) == *wanted)
            };
            answer_json(200, &json!(own.filter(fits).map(|record| record.id).collect::<Vec<_>>()))
        }
        ("GET", [id]) => {
            let found = id.parse().ok().and_then(|id| zone.record(id));
            found.filter(|record| is_dynhost(record)).map_or_else(not_found, |record| {
                let sub = sub(zone, record);
                answer_json(
                    200,
                    &json!({
                        "id": record.id, "subDomain": sub, "ip": record.content, "zone": zone.name,
                    }),
                )
            })
        }
        ("POST", []) => {
            let (name, zone_name) =
                (zone.full(body["subDomain"].as_str().unwrap_or_default()), zone.name.clone());
            let ip = body["ip"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
            let Some(ip) = ip else {
                return fault(400, "INVALID_ARGUMENT", "Missing or invalid parameter: ip");
            };
            let id = write(call, &name, ip);
            answer_json(
                200,
                &json!({
                    "id": id, "subDomain": body["subDomain"], "ip": ip.to_string(), "zone": zone_name,
                }),
            )
        }
        _ => not_found(),
    }
}

/// Gives the name a record with this address, in the place of the one of its family.
fn write(call: &mut Call<'_>, name: &str, ip: IpAddr) -> Option<u64> {
    let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
    let zone = call.world.zones.iter_mut().find(|zone| zone.covers(name))?;
    zone.remove_set(name, kind);
    let id = call.world.add(name, kind, &ip.to_string())?;
    let mut records = call.world.zones.iter_mut().flat_map(|zone| &mut zone.records);
    records.find(|record| record.id == id)?.comment = Some(DYNHOST.to_owned());
    Some(id)
}

fn logins(call: &mut Call<'_>, zone: &str, path: &[&str]) -> Answer {
    let body = call.json().unwrap_or_default();
    let logins = &mut call.world.logins;
    let at =
        path.first().map(|name| logins.iter().position(|it| it.zone == zone && it.name == *name));
    let shown = |it: &Login| json!({"login": it.name, "subDomain": it.sub, "zone": it.zone});
    match (call.request.method.as_str(), at) {
        ("GET", None) => {
            let own = logins.iter().filter(|it| it.zone == zone);
            answer_json(200, &json!(own.map(|it| it.name.as_str()).collect::<Vec<_>>()))
        }
        ("POST", None) => {
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            let name = format!("{zone}-{}", text("loginSuffix"));
            if text("loginSuffix").is_empty() || text("password").len() < 8 {
                return fault(400, "INVALID_ARGUMENT", "Missing or invalid parameter");
            }
            if logins.iter().any(|it| it.name == name) {
                return fault(409, "CONFLICT", "This login already exists");
            }
            let (sub, password) = (text("subDomain"), text("password"));
            let login = Login { name, sub, password, zone: zone.to_owned() };
            let told = shown(&login);
            logins.push(login);
            answer_json(200, &told)
        }
        (_, Some(None)) => not_found(),
        ("GET", Some(Some(at))) => answer_json(200, &shown(&logins[at])),
        ("PUT", Some(Some(at))) => {
            body["subDomain"].as_str().unwrap_or_default().clone_into(&mut logins[at].sub);
            answer_json(200, &Value::Null)
        }
        ("DELETE", Some(Some(at))) => {
            logins.remove(at);
            answer_json(200, &Value::Null)
        }
        _ => not_found(),
    }
}

/// What an update by a login is told.
fn update(call: &mut Call<'_>) -> String {
    let basic = call.request.header("Authorization").and_then(|it| it.strip_prefix("Basic "));
    let text = basic.and_then(|basic| STANDARD.decode(basic).ok());
    let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let Some(login) = call
        .world
        .logins
        .iter()
        .find(|it| text.split_once(':') == Some((&it.name, &it.password)))
        .cloned()
    else {
        return "badauth".to_owned();
    };
    let host = call.parameter("hostname").unwrap_or_default().to_lowercase();
    let ip = call.parameter("myip").and_then(|ip| ip.parse::<IpAddr>().ok());
    let zone = call.world.zone(&login.zone);
    let is_its = zone.is_some_and(|zone| {
        zone.covers(&host) && (login.sub == "*" || zone.label(&host, "") == login.sub)
    });
    let has_record = zone.is_some_and(|zone| {
        zone.records.iter().any(|record| record.name == host && is_dynhost(record))
    });
    match ip {
        _ if !is_its || !has_record => "nohost".to_owned(),
        None => "notfqdn".to_owned(),
        Some(ip) => {
            let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
            if call.world.values(&host, kind) == [ip.to_string()] {
                return format!("nochg {ip}");
            }
            write(call, &host, ip);
            format!("good {ip}")
        }
    }
}

fn not_found() -> Answer {
    fault(404, "NOT_FOUND", "The requested object does not exist")
}

fn fault(status: u16, code: &str, message: &str) -> Answer {
    let class = "Client::Error";
    answer_json(status, &json!({"class": class, "errorCode": code, "message": message}))
}
