//! The services that the sandbox plays beside deSEC: asked over real TCP, without Homing.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests: they fail by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::sandbox;
use sandbox::http::{self, Request};
use sandbox::services::world::World;
use sandbox::services::{ALL, Played, named, porkbun, route53, signature};

/// A service that is played, with the headers that let in.
struct Desk {
    headers: Vec<(&'static str, String)>,
    played: Played,
}

impl Desk {
    fn new(name: &str) -> Self {
        let played = Played::start(World::new(named(name).unwrap())).unwrap();
        let secret = played.with_world(|world| world.secret.clone());
        let headers = match (name, secret.split_once(':')) {
            ("cloudflare" | "digitalocean" | "gandi" | "hetzner", None) => {
                vec![("Authorization", format!("Bearer {secret}"))]
            }
            ("porkbun", Some((key, secret))) => {
                vec![("X-API-Key", key.to_owned()), ("X-Secret-API-Key", secret.to_owned())]
            }
            _ => Vec::new(),
        };
        Self { headers, played }
    }

    /// Asks below `api-url`, and returns the status and the body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let base = self.played.with_world(|world| world.service.path);
        let mut head = format!("{method} {base}{path} HTTP/1.1\r\nHost: {}\r\n", self.played.at());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.send(&format!(
            "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// The same with JSON, which must be answered with this status.
    #[track_caller]
    fn tree(&self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (found, text) = self.ask(method, path, &body);
        assert_eq!(found, status, "{method} {path} {body}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.tree("GET", path, &Value::Null, 200)
    }

    fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.played.at()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The same, signed for Route 53 at a moment so far from now.
    fn signed(&self, method: &str, path: &str, body: &str, ahead: i64) -> (u16, String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = Duration::from_secs(now.as_secs().checked_add_signed(ahead).unwrap());
        let (moment, length) = (signature::text_of(at), body.len());
        let request = format!(
            "{method} /2013-04-01{path} HTTP/1.1\r\nHost: {}\r\nX-Amz-Date: {moment}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n",
            self.played.at(),
        );
        let whole = format!("{request}\r\n{body}");
        let read: Request = http::read(&mut whole.as_bytes()).unwrap().unwrap();
        let (signature, login) = self.played.with_world(|world| {
            let names = ["host", "x-amz-date"];
            let signature = signature::signature_of(&read, route53::key(world), &moment, &names);
            (signature, world.login.clone())
        });
        self.send(&format!(
            "{request}Authorization: AWS4-HMAC-SHA256 Credential={login}/{}/us-east-1/route53/\
             aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}\r\n\r\n{body}",
            &moment[..8],
        ))
    }

    #[track_caller]
    fn check(&self, name: &str, kind: &str, expected: &[&str]) {
        assert_eq!(self.played.values(name, kind), expected, "{kind} of {name}");
    }
}

const HOME: &str = "home.example.com";

#[test]
fn cloudflare_finds_lists_makes_changes_and_removes() {
    let desk = Desk::new("cloudflare");
    assert_eq!(desk.get("/zones?name=home.example.com&status=active")["result"], json!([]));
    assert_eq!(desk.get("/zones")["result_info"]["total_count"], 2);
    let zone = desk.get("/zones?name=example.com&status=active");
    let zone = zone["result"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(zone.len(), 32);
    let records = format!("/zones/{zone}/dns_records");
    assert_eq!(desk.get(&format!("{records}?type=A&name={HOME}"))["result"], json!([]));
    let mail = desk.get(&format!("{records}?type=MX"));
    assert_eq!(mail["result"][0]["content"], "mail.example.com");
    assert_eq!(mail["result"][0]["priority"], 10);

    let new = json!({"type": "A", "name": HOME, "content": "192.0.2.1", "ttl": 1});
    let made = desk.tree("POST", &records, &new, 200);
    let one = format!("{records}/{}", made["result"]["id"].as_str().unwrap());
    let twice = desk.tree("POST", &records, &new, 400);
    assert_eq!(twice["errors"][0]["code"], 81058);
    let changed = desk.tree("PATCH", &one, &json!({"content": "192.0.2.2"}), 200);
    assert_eq!((&changed["result"]["ttl"], &changed["result"]["name"]), (&json!(1), &json!(HOME)));
    desk.check(HOME, "A", &["192.0.2.2"]);
    for (body, code) in [
        (json!({"content": "2001:db8::1"}), 9005),
        (json!({"ttl": 30}), 9021),
        (json!({"type": "AAAA"}), 9006),
    ] {
        let refused = desk.tree("PATCH", &one, &body, 400);
        assert_eq!(refused["errors"][0]["error_chain"][0]["code"], code, "{body}");
    }
    desk.tree("DELETE", &one, &Value::Null, 200);
    desk.check(HOME, "A", &[]);
    let gone = desk.tree("PATCH", &one, &json!({"content": "192.0.2.3"}), 404);
    assert_eq!(gone["errors"][0]["code"], 81044);
}

#[test]
fn cloudflare_tells_wrong_tokens_and_zones_apart() {
    let mut desk = Desk::new("cloudflare");
    let code = |desk: &Desk, path: &str, status| {
        desk.tree("GET", path, &Value::Null, status)["errors"][0]["code"].as_u64().unwrap()
    };
    let other = format!("/zones/{}/dns_records", "0".repeat(32));
    assert_eq!(code(&desk, &other, 403), 10000);
    assert_eq!(code(&desk, "/zones/example.com/dns_records", 404), 7003);
    assert_eq!(code(&desk, "/zone", 400), 7000);
    desk.headers[0].1 = format!("Bearer {}", "x".repeat(40));
    assert_eq!(code(&desk, "/zones?name=example.com", 403), 9109);
    assert_eq!(code(&desk, &other, 401), 10000);
    desk.headers[0].1 = "Bearer short".to_owned();
    assert_eq!(code(&desk, "/zones", 400), 6003);
    desk.headers.clear();
    assert_eq!(code(&desk, "/zones", 400), 9106);
}

#[test]
fn the_documented_limits_are_kept_and_can_be_left_off() {
    for (name, most, status, words) in [
        ("cloudflare", 1200, 429, "More than 1200 requests per 300 seconds reached"),
        ("digitalocean", 250, 429, "API rate limit exceeded."),
        ("gandi", 1000, 429, "Too Many Requests"),
        ("hetzner", 3600, 429, "rate_limit_exceeded"),
        ("route53", 20, 400, "<Code>Throttling</Code>"),
    ] {
        let desk = Desk::new(name);
        // As if so many were going to ask in a minute, so that no time that passes here lets more in.
        let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
        let count = desk.played.with_world(|world| {
            let limit = world.service.limit.unwrap();
            std::iter::repeat_with(|| world.pace.admit(limit, soon))
                .take_while(Result::is_ok)
                .count()
        });
        assert_eq!(count, most, "{name}");
        let (found, body) = desk.ask("GET", "/", "");
        assert_eq!(found, status, "{name}: {body}");
        assert!(body.contains(words), "{name}: {body}");
        desk.played.with_world(|world| world.throttled = false);
        assert!(!desk.ask("GET", "/", "").1.contains(words), "{name}");
    }
}

#[test]
fn digitalocean_finds_lists_makes_changes_and_removes() {
    let mut desk = Desk::new("digitalocean");
    assert_eq!(desk.tree("GET", "/domains/home.example.com", &Value::Null, 404)["id"], "not_found");
    assert_eq!(desk.get("/domains/example.com")["domain"]["name"], "example.com");
    let records = "/domains/example.com/records";
    let asked = format!("{records}?type=A&name={HOME}&per_page=200");
    assert_eq!(desk.get(&asked), json!({"domain_records": [], "links": {}, "meta": {"total": 0}}));
    let new = json!({"type": "A", "name": "home", "data": "192.0.2.1", "ttl": 300});
    let id = desk.tree("POST", records, &new, 201)["domain_record"]["id"].as_u64().unwrap();
    assert_eq!(desk.get(&asked)["domain_records"][0]["name"], "home");
    let one = format!("{records}/{id}");
    let changed = desk.tree("PATCH", &one, &json!({"type": "A", "data": "192.0.2.2"}), 200);
    assert_eq!(changed["domain_record"]["ttl"], 300);
    desk.check(HOME, "A", &["192.0.2.2"]);
    let refused = desk.tree("PATCH", &one, &json!({"data": "x"}), 422);
    assert_eq!(refused["message"], "IP address did not match IPv4 format (e.g. 127.0.0.1).");
    desk.tree("DELETE", &one, &Value::Null, 204);
    desk.tree("DELETE", &one, &Value::Null, 404);
    desk.check(HOME, "A", &[]);

    // A page leads to the next one, and the link forgets the filter.
    let first = desk.get(&format!("{records}?name=shared.example.com&per_page=1"));
    assert_eq!(first["meta"]["total"], 2);
    let next = first["links"]["pages"]["next"].as_str().unwrap();
    assert!(next.ends_with("/v2/domains/example.com/records?page=2&per_page=1"), "{next}");

    desk.headers[0].1 += "x";
    let refused = desk.tree("GET", &asked, &Value::Null, 401);
    assert_eq!(refused["message"], "Unable to authenticate you.");
}

#[test]
fn hetzner_finds_lists_makes_changes_and_removes() {
    let mut desk = Desk::new("hetzner");
    let code = |answer: &Value| answer["error"]["code"].as_str().unwrap().to_owned();
    assert_eq!(code(&desk.tree("GET", "/zones/home.example.com", &Value::Null, 404)), "not_found");
    let zone = desk.get("/zones/example.com")["zone"]["id"].as_u64().unwrap();
    assert_eq!(desk.get("/zones?name=example.com")["zones"][0]["id"], zone);
    let sets = format!("/zones/{zone}/rrsets");
    let one = format!("{sets}/home/A");
    desk.tree("GET", &one, &Value::Null, 404);
    let set = format!("{one}/actions/set_records");
    let records = |address: &str| json!({"records": [{"value": address}]});
    desk.tree("POST", &set, &records("192.0.2.1"), 404);
    let new = json!({"name": "home", "type": "A", "ttl": 60, "records": [{"value": "192.0.2.1"}]});
    let made = desk.tree("POST", &sets, &new, 201);
    assert_eq!((&made["rrset"]["id"], &made["action"]["error"]), (&json!("home/A"), &Value::Null));
    assert_eq!(code(&desk.tree("POST", &sets, &new, 409)), "uniqueness_error");
    assert_eq!(desk.tree("POST", &set, &records("192.0.2.2"), 201)["action"]["status"], "running");
    let now = desk.get(&one);
    assert_eq!(now["rrset"]["records"], json!([{"value": "192.0.2.2", "comment": ""}]));
    assert_eq!(now["rrset"]["ttl"], 60);
    assert_eq!(code(&desk.tree("POST", &set, &records("2001:db8::1"), 422)), "invalid_input");
    desk.tree("DELETE", &one, &Value::Null, 201);
    desk.check(HOME, "A", &[]);
    desk.headers.clear();
    assert_eq!(code(&desk.tree("GET", &one, &Value::Null, 401)), "unauthorized");
}

#[test]
fn gandi_finds_lists_makes_changes_and_removes() {
    let mut desk = Desk::new("gandi");
    desk.tree("GET", "/domains/home.example.com", &Value::Null, 404);
    assert_eq!(desk.get("/domains/dyn.example.net")["fqdn"], "dyn.example.net");
    let one = "/domains/example.com/records/home/AAAA";
    let missing = desk.tree("GET", one, &Value::Null, 404);
    assert_eq!(missing["object"], "dns-record");
    let set = |address: &str, ttl| json!({"rrset_values": [address], "rrset_ttl": ttl});
    desk.tree("PUT", one, &set("2001:DB8::1", 300), 201);
    assert_eq!(desk.get(one)["rrset_values"], json!(["2001:db8::1"]));
    assert_eq!(desk.get(one)["rrset_ttl"], 300);
    desk.tree("PUT", one, &set("2001:db8::2", 299), 400);
    desk.tree("PUT", one, &set("192.0.2.1", 300), 400);
    desk.tree("PUT", one, &set("2001:db8::2", 600), 201);
    desk.check(HOME, "AAAA", &["2001:db8::2"]);
    desk.tree("PUT", "/domains/example.org/records/home/A", &set("192.0.2.1", 300), 404);
    desk.tree("DELETE", one, &Value::Null, 204);
    desk.tree("DELETE", one, &Value::Null, 404);
    let apex = desk.get("/domains/example.com/records/@/MX");
    assert_eq!(apex["rrset_values"], json!(["10 mail.example.com."]));
    desk.headers[0].1 = "Apikey of-the-old-kind".to_owned();
    assert_eq!(desk.tree("GET", one, &Value::Null, 401)["cause"], "Unauthorized");
}

#[test]
fn porkbun_lists_makes_changes_and_removes() {
    let mut desk = Desk::new("porkbun");
    let list = "/dns/retrieveByNameType/example.com/A/home";
    let empty = json!({"status": "SUCCESS", "cloudflare": "enabled", "records": []});
    assert_eq!(desk.tree("POST", list, &json!({}), 200), empty);
    assert_eq!(desk.get(list), empty);
    let record = |address: &str, ttl: &str| json!({"name": "home", "type": "A", "content": address, "ttl": ttl});
    let made = desk.tree("POST", "/dns/create/example.com", &record("192.0.2.1", "300"), 200);
    let id = made["id"].as_u64().unwrap();
    let shown = &desk.get(list)["records"][0];
    assert_eq!((&shown["id"], &shown["ttl"]), (&json!(id.to_string()), &json!("600")));
    let twice = desk.tree("POST", "/dns/create/example.com", &record("192.0.2.1", "600"), 400);
    assert_eq!(twice["message"], "Create error: We were unable to create the DNS record.");
    let edit = format!("/dns/edit/example.com/{id}");
    desk.tree("POST", &edit, &record("192.0.2.2", "600"), 200);
    let same = desk.tree("POST", &edit, &record("192.0.2.2", "600"), 400);
    assert_eq!(same["message"], "Edit error: We were unable to edit the DNS record.");
    desk.check(HOME, "A", &["192.0.2.2"]);
    let delete = format!("/dns/delete/example.com/{id}");
    desk.tree("POST", &delete, &json!({}), 200);
    for path in [edit, delete] {
        let gone = desk.tree("POST", &path, &record("192.0.2.3", "600"), 400);
        assert_eq!(gone["code"], "INVALID_RECORD_ID");
    }
    let other = |domain: &str| format!("/dns/retrieveByNameType/{domain}/A/");
    let code = |desk: &Desk, path: &str| desk.tree("POST", path, &json!({}), 400)["code"].clone();
    assert_eq!(code(&desk, &other("example.net")), "INVALID_DOMAIN");
    let closed = code(&desk, &other(porkbun::NOT_OPTED_IN));
    assert_eq!(closed, "DOMAIN_IS_NOT_OPTED_IN_TO_API_ACCESS");
    desk.headers[1].1 += "0";
    assert_eq!(code(&desk, list), "INVALID_API_KEYS_001");
    desk.headers.clear();
    assert_eq!(code(&desk, list), "API_KEY_REQUIRED");
}

#[test]
fn duckdns_sets_what_is_said_and_answers_one_word_to_every_fault() {
    let desk = Desk::new("duckdns");
    let token = desk.played.with_world(|world| world.secret.clone());
    let update = |token: &str, rest: &str| {
        let (status, body) = desk.ask("GET", &format!("/update?token={token}&{rest}"), "");
        assert_eq!(status, 200);
        body
    };
    let home = "home.duckdns.org";
    assert_eq!(
        update(&token, "domains=home&ip=192.0.2.1&verbose=true"),
        "OK\n192.0.2.1\n\nUPDATED"
    );
    assert_eq!(
        update(&token, "domains=home&ip=192.0.2.1&ipv6=2001:db8::1&verbose=true"),
        "OK\n192.0.2.1\n2001:db8::1\nUPDATED"
    );
    assert_eq!(
        update(&token, "domains=home.duckdns.org&ipv6=2001%3Adb8::1&verbose=true"),
        "OK\n\n2001:db8::1\nNOCHANGE"
    );
    desk.check(home, "A", &["192.0.2.1"]);
    desk.check(home, "AAAA", &["2001:db8::1"]);
    assert_eq!(update(&token, "domains=home,lab&ip=192.0.2.9"), "OK");
    desk.check("lab.duckdns.org", "A", &["192.0.2.9"]);
    // Where nothing is said, the caller's address is published.
    assert_eq!(update(&token, "domains=home"), "OK");
    desk.check(home, "A", &["127.0.0.1"]);
    for (token, rest) in [
        ("00000000-0000-4000-8000-000000000000", "domains=home&ip=192.0.2.1"),
        (&token, "domains=other&ip=192.0.2.1"),
        (&token, "domains=home,other&ip=192.0.2.1"),
        (&token, "domains=&ip=192.0.2.1"),
        (&token, "domains=home&ip=192.0.2.256"),
    ] {
        assert_eq!(update(token, rest), "KO", "{rest}");
    }
    desk.check(home, "A", &["127.0.0.1"]);
    assert_eq!(update(&token, "domains=home&clear=true&verbose=true"), "OK\n\n\nUPDATED");
    desk.check(home, "A", &[]);
    desk.check(home, "AAAA", &[]);
}

#[test]
fn namecheap_sets_one_record_that_is_there() {
    let desk = Desk::new("namecheap");
    let password = desk.played.with_world(|world| world.secret.clone());
    let update = |rest: &str| {
        let (status, body) = desk.ask("GET", &format!("/update?{rest}"), "");
        assert_eq!(status, 200);
        body
    };
    let good = format!("domain=example.com&password={password}");
    assert!(update(&format!("host=home&{good}&ip=192.0.2.1")).contains("<ErrCount>0</ErrCount>"));
    desk.check(HOME, "A", &["192.0.2.1"]);
    assert!(update(&format!("host=home&{good}")).contains("<IP>127.0.0.1</IP>"));
    for (rest, words) in [
        (format!("host=home&{good}&ip=2001:db8::1"), "<ErrCount>1</ErrCount>"),
        (format!("host=other&{good}&ip=192.0.2.1"), "No Records updated. A record not Found;"),
        ("host=home&domain=example.com&ip=192.0.2.1".to_owned(), "Passwords is empty"),
        (format!("host=home&{good}0&ip=192.0.2.1"), "Passwords do not match"),
        (format!("host=home&domain=example.net&password={password}"), "Domain name not found"),
    ] {
        assert!(update(&rest).contains(words), "{rest}");
    }
    desk.check(HOME, "A", &["127.0.0.1"]);
}

/// A batch with one change of a record set.
fn batch(action: &str, name: &str, kind: &str, values: &[&str]) -> String {
    let value = |value: &&str| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>");
    let values: Vec<String> = values.iter().map(value).collect();
    let values = values.concat();
    format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <ChangeBatch><Changes><Change><Action>{action}</Action><ResourceRecordSet><Name>{name}\
         </Name><Type>{kind}</Type><TTL>60</TTL><ResourceRecords>{values}</ResourceRecords>\
         </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    )
}

#[test]
fn route_53_finds_lists_makes_changes_and_removes() {
    let desk = Desk::new("route53");
    desk.played.with_world(|world| world.throttled = false);
    let get = |path: &str| {
        let (status, body) = desk.signed("GET", path, "", 0);
        assert_eq!(status, 200, "{body}");
        body
    };
    let zones = get("/hostedzonesbyname?dnsname=example.com&maxitems=10");
    assert_eq!(zones.matches("<Name>example.com.</Name>").count(), 2, "{zones}");
    assert!(zones.contains("<PrivateZone>true</PrivateZone>"), "{zones}");
    // A name that is no zone's shows the next one.
    let next = get("/hostedzonesbyname?dnsname=home.example.com&maxitems=10");
    assert!(next.contains("<Name>dyn.example.net.</Name>"), "{next}");
    assert!(!next.contains("<Name>example.com.</Name>"), "{next}");
    let zone = desk.played.with_world(|world| route53::zone_id(world.zone("example.com").unwrap()));
    let sets = format!("/hostedzone/{zone}/rrset");
    let list = format!("{sets}?maxitems=1&name={HOME}&type=A");
    // Behind `home` comes `shared`.
    let other = get(&list);
    assert!(other.contains("<Name>shared.example.com.</Name>"), "{other}");
    assert!(other.contains("<NextRecordName>www.example.com.</NextRecordName>"), "{other}");

    let change = |action: &str, name: &str, values: &[&str]| {
        desk.signed("POST", &sets, &batch(action, name, "A", values), 0)
    };
    let (status, body) = change("UPSERT", "home.example.com.", &["192.0.2.1"]);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("<Status>PENDING</Status>"), "{body}");
    assert_eq!(change("UPSERT", HOME, &["192.0.2.2"]).0, 200);
    desk.check(HOME, "A", &["192.0.2.2"]);
    assert!(get(&list).contains("<TTL>60</TTL>"));
    for (action, name, values, words) in [
        ("CREATE", HOME, &["192.0.2.3"][..], "but it already exists]"),
        ("DELETE", HOME, &["192.0.2.3"], "do not match the current values]"),
        ("DELETE", "x.example.com", &["192.0.2.3"], "but it was not found]"),
        ("UPSERT", "home.example.net", &["192.0.2.3"], "is not permitted in zone example.com.]"),
        ("UPSERT", HOME, &["192.0.2.3", "192.0.2.3"], "Duplicate Resource Record: '192.0.2.3']"),
        ("UPSERT", HOME, &["2001:db8::1"], "is not a valid IPv4 address"),
    ] {
        let (status, body) = change(action, name, values);
        assert_eq!(status, 400, "{action} {name}: {body}");
        assert!(body.contains("<Code>InvalidChangeBatch</Code>"), "{body}");
        assert!(body.contains(words), "{body}");
    }
    assert_eq!(change("DELETE", HOME, &["192.0.2.2"]).0, 200);
    desk.check(HOME, "A", &[]);
    let (status, body) = desk.signed("GET", "/hostedzone/Z0/rrset", "", 0);
    assert_eq!((status, body.contains("NoSuchHostedZone")), (404, true), "{body}");
}

#[test]
fn route_53_checks_key_signature_and_clock() {
    let desk = Desk::new("route53");
    let path = "/hostedzonesbyname?dnsname=example.com";
    let check = |answer: (u16, String), status: u16, words: &str| {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1.contains(words), "{}", answer.1);
    };
    check(desk.ask("GET", path, ""), 403, "<Code>MissingAuthenticationToken</Code>");
    check(desk.signed("GET", path, "", 360), 403, "Signature not yet current: ");
    check(desk.signed("GET", path, "", -360), 403, "Signature expired: ");
    check(desk.signed("GET", path, "", -240), 200, "<HostedZones>");
    let desk = Desk::new("route53");
    let request = "GET /2013-04-01/hostedzone HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
                   X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
                   Credential=AKIDNOBODY/20260101/us-east-1/route53/aws4_request, \
                   SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n";
    check(desk.send(request), 403, "<Code>InvalidClientTokenId</Code>");
    let login = desk.played.with_world(|world| world.login.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let moment = signature::text_of(now);
    let request = request
        .replace("AKIDNOBODY", &login)
        .replace("20260101T000000Z", &moment)
        .replace("20260101", &moment[..8]);
    check(desk.send(&request), 403, "signature we calculated does not match");
}

#[test]
fn no_secret_is_in_the_log_of_any_service() {
    for service in ALL {
        let desk = Desk::new(service.name);
        let secret = desk.played.with_world(|world| world.secret.clone());
        desk.ask("GET", &format!("/update?token={secret}&password=wrong-but-secret"), "");
        for part in secret.split(':') {
            desk.ask("POST", "/any", &format!("{{\"apikey\":\"{part}\"}}"));
        }
        let requests = desk.played.requests();
        assert!(requests.len() >= 2, "{}", service.name);
        let shown: Vec<String> =
            requests.iter().map(|request| format!("{request} {request:?}")).collect();
        let shown = shown.concat();
        for secret in secret.split(':').chain(["wrong-but-secret"]) {
            assert!(!shown.contains(secret), "{}: {shown}", service.name);
        }
        assert!(shown.contains("?token=***&password=*** -> "), "{shown}");
    }
}
