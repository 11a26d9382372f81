//! INWX's `DynDNS` accounts: its JSON-RPC, as far as it is about them, and the updates that an account
//! may send.
//!
//! Rests on INWX's API manual 2.10 (account.login, dyndns) and for updates on what users of other clients
//! report: without `myip` the A record becomes 127.0.0.1, without `myipv6` the AAAA record goes.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::chance;
use super::super::http::Answer;
use super::{Call, Issued, OWN_ZONES, Reach, Service, json as answer_json};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: Some(Issued {
        has_login: true,
        is_only_way: true,
        noun: "account",
        reach: Reach::Fixed,
    }),
    limit: None,
    login: Some(login),
    name: "inwx",
    needs_zone: false,
    path: "/jsonrpc",
    secret,
    title: "INWX DynDNS",
    too_often,
    zones: OWN_ZONES,
};

/// An account for the updates of its hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    pub id: u64,
    pub name: String,
    pub password: String,
    pub hosts: Vec<String>,
}

fn login() -> String {
    chance::text(8, "abcdefghijklmnopqrstuvwxyz")
}

fn secret() -> String {
    chance::text(24, "abcdefghijklmnopqrstuvwxyz0123456789")
}

fn too_often(_: Duration) -> Answer {
    told(2400, &Value::Null)
}

fn answer(call: &mut Call<'_>) -> Answer {
    if call.request.path == "/nic/update" {
        return Answer::text(200, &update(call));
    }
    let body = call.json().unwrap_or_default();
    let (method, params) = (body["method"].as_str().unwrap_or_default(), &body["params"]);
    let cookie = format!("domrobot=session-of-{}", call.world.login);
    if method == "account.login" {
        let is_its = params["user"] == *call.world.login && params["pass"] == *call.world.secret;
        return if is_its {
            told(1000, &json!({"tfa": "0"})).with("Set-Cookie", &format!("{cookie}; path=/"))
        } else {
            told(2200, &Value::Null)
        };
    }
    if call.request.header("Cookie") != Some(&cookie) {
        return told(2200, &Value::Null);
    }
    let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
    let number = call.world.number();
    let accounts = &mut call.world.accounts;
    match method {
        "dyndns.list" => {
            let shown = |it: &Account| {
                let records: Vec<Value> =
                    it.hosts.iter().map(|host| json!({"id": it.id, "hostname": host})).collect();
                json!({
                    "accountId": it.id, "username": it.name, "records": records,
                    "created": "2026-11-01 00:00:00",
                })
            };
            told(1000, &json!(accounts.iter().map(shown).collect::<Vec<_>>()))
        }
        "dyndns.create" => {
            let hosts = params["hostname"].as_array().cloned().unwrap_or_default();
            let hosts: Vec<String> =
                hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let has = |host: &String| accounts.iter().any(|it| it.hosts.contains(host));
            let (name, password) = (text("username"), text("password"));
            if hosts.is_empty() || name.is_empty() || password.len() < 8 {
                return told(2003, &Value::Null);
            }
            if hosts.iter().any(has) || accounts.iter().any(|it| it.name == name) {
                return told(2302, &Value::Null);
            }
            accounts.push(Account { id: number, name, password, hosts });
            told(1000, &json!({"accountId": number, "recordId": number}))
        }
        "dyndns.changepassword" => {
            match accounts.iter_mut().find(|it| it.name == text("username")) {
                Some(account) => {
                    account.password = text("password");
                    told(1000, &Value::Null)
                }
                None => told(2303, &Value::Null),
            }
        }
        "dyndns.delete" => {
            let before = accounts.len();
            accounts.retain(|it| params["accountId"] != it.id);
            told(if accounts.len() < before { 1000 } else { 2303 }, &Value::Null)
        }
        _ => told(2400, &Value::Null),
    }
}

/// What an update by an account is told.
fn update(call: &mut Call<'_>) -> String {
    let basic = call.request.header("Authorization").and_then(|it| it.strip_prefix("Basic "));
    let text = basic.and_then(|basic| STANDARD.decode(basic).ok());
    let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let mut accounts = call.world.accounts.iter();
    let own = accounts.find(|it| text.split_once(':') == Some((&it.name, &it.password)));
    let Some(hosts) = own.map(|account| account.hosts.clone()) else {
        return "badauth".to_owned();
    };
    let address = |name: &str| call.parameter(name).and_then(|ip| ip.parse::<IpAddr>().ok());
    let v4 = address("myip").map_or("127.0.0.1".to_owned(), |ip| ip.to_string());
    let v6 = address("myipv6").map(|ip| ip.to_string());
    let mut is_changed = false;
    for host in hosts {
        for (kind, wanted) in [("A", Some(&v4)), ("AAAA", v6.as_ref())] {
            let before = call.world.values(&host, kind);
            if before.iter().eq(wanted) {
                continue;
            }
            is_changed = true;
            for zone in &mut call.world.zones {
                zone.remove_set(&host, kind);
            }
            if let Some(wanted) = wanted {
                call.world.add(&host, kind, wanted);
            }
        }
    }
    let word = if is_changed { "good" } else { "nochg" };
    format!("{word} {v4}")
}

fn told(code: u32, data: &Value) -> Answer {
    let mut body = json!({"code": code, "msg": format!("Code {code}"), "svTRID": chance::uuid()});
    if !data.is_null() {
        body["resData"] = data.clone();
    }
    answer_json(200, &body)
}
