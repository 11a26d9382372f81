//! A service whose API holds records with ids, in Cloudflare's form: it lists them with a delay, and lets
//! several records of one name and type stand side by side.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use homing::core::address::Family;
use homing::core::protocol::{HttpRequest, Method};
use serde_json::{Value, json};

use super::{Change, Records, Reply, Service, parts};
use crate::years::{Millis, SECOND};

/// How long a list may lag behind what was written.
const LAG: Millis = 4 * SECOND;

/// The zone's id.
const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";

#[derive(Clone, Debug)]
struct Record {
    id: u64,
    name: String,
    address: IpAddr,
}

/// A zone.
pub struct RecordApi {
    zone: String,
    token: String,
    hosts: BTreeSet<String>,
    forbidden: bool,
    records: Vec<Record>,
    /// The records before each of the last changes, with the moments of these.
    earlier: VecDeque<(Millis, Vec<Record>)>,
    last_id: u64,
}

impl RecordApi {
    /// A zone with that token; Homing keeps `hosts` in it.
    pub fn new(zone: &str, token: &str, hosts: &[&str]) -> Self {
        Self {
            zone: zone.to_owned(),
            token: token.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            forbidden: false,
            records: Vec::new(),
            earlier: VecDeque::new(),
            last_id: 0,
        }
    }

    /// The records as a list shows them at `now`.
    fn shown(&mut self, now: Millis) -> &[Record] {
        while self.earlier.front().is_some_and(|(at, _)| at + LAG <= now) {
            self.earlier.pop_front();
        }
        self.earlier.front().map_or(&self.records, |(_, records)| records)
    }

    fn list(&mut self, query: &std::collections::BTreeMap<String, String>, now: Millis) -> Reply {
        let family = query.get("type").and_then(|kind| family_of(kind));
        let name = query.get("name").cloned().unwrap_or_default();
        let is_asked =
            |record: &&Record| record.name == name && Some(Family::of(record.address)) == family;
        let rows: Vec<Value> = self.shown(now).iter().filter(is_asked).map(row).collect();
        Reply::json(200, &json!({ "success": true, "result": rows }).to_string())
    }

    /// Writes by `write`, which returns the name that is changed and the answer's record.
    fn write(
        &mut self,
        now: Millis,
        family: Family,
        name: &str,
        write: impl FnOnce(&mut Vec<Record>) -> Value,
    ) -> Reply {
        self.earlier.push_back((now, self.records.clone()));
        let before = self.records(name)[family].clone();
        let result = write(&mut self.records);
        let after = self.records(name)[family].clone();
        let mut reply = Reply::json(200, &json!({ "success": true, "result": result }).to_string());
        reply.changes.push(Change { host: name.to_owned(), family, before, after });
        reply
    }

    fn create(&mut self, body: &Value, now: Millis) -> Reply {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        let address = body["content"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let Some(address) = address.filter(|_| self.hosts.contains(&name)) else {
            return failure(400, 9005, "Content for A record must be a valid IPv4 address.");
        };
        if self.records.iter().any(|record| record.name == name && record.address == address) {
            return failure(400, 81058, "An identical record already exists.");
        }
        self.last_id += 1;
        let record = Record { id: self.last_id, name: name.clone(), address };
        self.write(now, Family::of(address), &name, |records| {
            records.push(record.clone());
            row(&record)
        })
    }

    fn change(&mut self, id: u64, body: &Value, now: Millis) -> Reply {
        let Some(at) = self.records.iter().position(|record| record.id == id) else {
            return failure(404, 81044, "Record does not exist.");
        };
        let known = self.records[at].clone();
        let address = body["content"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let address = address.unwrap_or(known.address);
        let is_equal =
            |other: &Record| other.id != id && other.name == known.name && other.address == address;
        if self.records.iter().any(is_equal) {
            return failure(400, 81058, "An identical record already exists.");
        }
        self.write(now, Family::of(address), &known.name, |records| {
            records[at].address = address;
            row(&records[at])
        })
    }

    fn remove(&mut self, id: u64, now: Millis) -> Reply {
        let Some(at) = self.records.iter().position(|record| record.id == id) else {
            return failure(404, 81044, "Record does not exist.");
        };
        let known = self.records[at].clone();
        self.write(now, Family::of(known.address), &known.name, |records| {
            records.remove(at);
            json!({ "id": id.to_string() })
        })
    }
}

impl Service for RecordApi {
    fn serve(&mut self, request: &HttpRequest, now: Millis) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = request.headers.iter();
        if !headers.any(|(name, value)| name == "Authorization" && value.expose() == bearer) {
            return failure(401, 10000, "Authentication error");
        }
        let (path, query) = parts(request);
        let path = path.strip_prefix("/client/v4/zones").unwrap_or(&path);
        if path.is_empty() {
            let is_it = query.get("name") == Some(&self.zone);
            let zones: Vec<Value> =
                is_it.then(|| json!({ "id": ZONE_ID, "name": self.zone })).into_iter().collect();
            return Reply::json(200, &json!({ "success": true, "result": zones }).to_string());
        }
        let Some(path) = path.strip_prefix(&format!("/{ZONE_ID}/dns_records")) else {
            return failure(404, 7003, "Could not route to the zone.");
        };
        if self.forbidden && request.method != Method::Get {
            return failure(403, 9109, "Unauthorized to access requested resource");
        }
        let body = request.body.as_ref().map_or("", |body| body.parts().1.expose());
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let id = path.strip_prefix('/').and_then(|id| id.parse().ok()).unwrap_or_default();
        match request.method {
            Method::Get => self.list(&query, now),
            Method::Post => self.create(&body, now),
            Method::Patch | Method::Put => self.change(id, &body, now),
            Method::Delete => self.remove(id, now),
            Method::Options => failure(405, 10405, "Method not allowed"),
        }
    }

    fn records(&self, host: &str) -> Records {
        let mut held = Records::default();
        for record in self.records.iter().filter(|record| record.name == host) {
            held[Family::of(record.address)].insert(record.address);
        }
        held
    }

    fn change_by_others(&mut self, host: &str, address: IpAddr, now: Millis) {
        self.earlier.push_back((now, self.records.clone()));
        let family = Family::of(address);
        let is_it =
            |record: &&mut Record| record.name == host && Family::of(record.address) == family;
        self.records.iter_mut().filter(is_it).for_each(|record| record.address = address);
    }

    fn knows(&self, secret: &str) -> bool {
        self.token == secret
    }

    fn replace_secret(&mut self, _old: &str, new: &str) {
        new.clone_into(&mut self.token);
    }

    fn allow(&mut self, _host: &str, allowed: bool) {
        self.forbidden = !allowed;
    }
}

fn family_of(kind: &str) -> Option<Family> {
    Family::BOTH.into_iter().find(|family| family.record_type() == kind)
}

fn row(record: &Record) -> Value {
    json!({
        "id": record.id.to_string(),
        "name": record.name,
        "type": Family::of(record.address).record_type(),
        "content": record.address.to_string(),
        "ttl": 1,
    })
}

fn failure(status: u16, code: u32, message: &str) -> Reply {
    let errors = json!([{ "code": code, "message": message }]);
    Reply::json(status, &json!({ "success": false, "errors": errors, "result": null }).to_string())
}
