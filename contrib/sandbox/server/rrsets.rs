//! The endpoints for record sets: `domains/ZONE/rrsets/…`.
//!
//! Pure. Any token reads everything; what it may write is judged in `changes`. Forms: deSEC,
//! recorded August 2026.

use std::collections::BTreeSet;

use super::account::{Entry, RecordSet, Zone};
use super::api::Api;
use super::calendar::timestamp;
use super::call::{Call, Refusal, describing};
use super::changes::{Change, MAXIMUM_TTL, Write, may_write};
use super::http::Answer;
use super::json::Value;
use super::paging;
use super::throttle::Scope;
use super::token::Token;
use super::zones::{find, full_name};

/// `domains/ZONE/rrsets/`.
pub fn list(call: &mut Call<'_>, zone: &str) -> Result<Answer, Refusal> {
    let token = enter(call, zone)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let wanted = |name: &str, is: &str| {
                call.request.parameter(name).is_none_or(|wanted| wanted == is)
            };
            let zone = find(call.account, zone)?;
            let fitting = zone
                .entries()
                .filter(|(subname, kind, _)| wanted("subname", subname) && wanted("type", kind));
            let entries = fitting.map(|(subname, kind, entry)| {
                (format!("{:020}", entry.serial), shown(zone, subname, kind, entry))
            });
            paging::answer(call, entries.collect())
        }
        "PATCH" | "POST" | "PUT" => {
            let body = call.body()?;
            let alone = call.request.method == "POST" && !matches!(body, Value::List(_));
            let items = match &body {
                Value::List(items) => items.as_slice(),
                _ if alone => std::slice::from_ref(&body),
                other => {
                    let is = other.type_name();
                    let text = format!("Expected a list of items but got type \"{is}\".");
                    return Err(Refusal::request(text));
                }
            };
            let write = Write { call, token: &token, zone: find(call.account, zone)? };
            let changes = write.judge(items, alone)?;
            let status = if call.request.method == "POST" { 201 } else { 200 };
            for change in &changes {
                change.store(call, zone);
            }
            let zone = find(call.account, zone)?;
            let stored = changes.iter().filter_map(|Change { subname, kind, .. }| {
                Some(shown(zone, subname, kind, zone.entry(subname, kind)?))
            });
            let mut stored: Vec<Value> = stored.collect();
            let body =
                if alone { stored.pop().unwrap_or(Value::Null) } else { Value::List(stored) };
            Ok(Answer::json(status, &body.to_string()))
        }
        "OPTIONS" => {
            let zone = find(call.account, zone)?;
            let actions = Value::object([("POST", fields(zone))]);
            Ok(Answer::json(200, &describing("R Rset List", Some(actions)).to_string()))
        }
        _ => Err(call.no_such_method()),
    }
}

/// `domains/ZONE/rrsets/SUBNAME/TYPE/`.
pub fn one(call: &mut Call<'_>, zone: &str, subname: &str, kind: &str) -> Result<Answer, Refusal> {
    let token = enter(call, zone)?;
    let entry = find(call.account, zone)?.entry(subname, kind).cloned();
    let allowed = may_write(call, &token, zone, subname, kind);
    let missing = || call.not_found("RRset");
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let entry = entry.ok_or_else(missing)?;
            let body = shown(find(call.account, zone)?, subname, kind, &entry);
            Ok(Answer::json(200, &body.to_string()))
        }
        "PATCH" | "PUT" => {
            let before = entry.ok_or_else(missing)?;
            if !allowed {
                return Err(Refusal::policy());
            }
            let body = call.object()?;
            let write = Write { call, token: &token, zone: find(call.account, zone)? };
            let change = write.judge_one(&body, subname, kind)?;
            change.store(call, zone);
            let zone = find(call.account, zone)?;
            let Some(after) = zone.entry(subname, kind) else {
                return Ok(Answer::empty(204));
            };
            // When nothing changes, the answer is made before the row is touched.
            let told = if after.records == before.records { &before } else { after };
            Ok(Answer::json(200, &shown(zone, subname, kind, told).to_string()))
        }
        "DELETE" => {
            if entry.is_some() {
                if !allowed {
                    return Err(Refusal::policy());
                }
                let records = RecordSet { ttl: 0, values: BTreeSet::new() };
                call.account.write(zone, subname, kind, records, call.now);
            }
            Ok(Answer::empty(204))
        }
        "OPTIONS" => {
            // The one place where a token sees that it may write without writing.
            let writable = entry.is_some() && allowed;
            let zone = find(call.account, zone)?;
            let actions = writable.then(|| Value::object([("PUT", fields(zone))]));
            Ok(Answer::json(200, &describing("R Rset Detail", actions).to_string()))
        }
        _ => Err(call.no_such_method()),
    }
}

/// Lets any token in that may use the zone's record sets at all; only the old API keeps some out.
fn enter(call: &mut Call<'_>, zone: &str) -> Result<Token, Refusal> {
    let token = call.enter()?;
    find(call.account, zone)?;
    if call.account.api == Api::Legacy && !token.zone_policy(zone).perm_rrsets {
        return Err(Refusal::permission());
    }
    call.throttle(match call.request.method.as_str() {
        "GET" | "HEAD" => Scope::DnsApiCheap,
        _ => Scope::DnsApiPerDomainExpensive { zone: zone.to_owned() },
    })?;
    Ok(token)
}

/// A record set as the API shows it.
fn shown(zone: &Zone, subname: &str, kind: &str, entry: &Entry) -> Value {
    Value::object([
        ("created", Value::from(timestamp(entry.created))),
        ("domain", Value::from(zone.name.as_str())),
        ("subname", Value::from(subname)),
        ("name", Value::from(full_name(subname, &zone.name))),
        ("records", Value::texts(entry.records.values.iter().cloned())),
        ("ttl", entry.records.ttl.into()),
        ("type", Value::from(kind)),
        ("touched", Value::from(timestamp(entry.touched))),
    ])
}

/// What `OPTIONS` tells about the fields that may be written.
fn fields(zone: &Zone) -> Value {
    let field = |kind: &str, read_only: bool, label: &str| {
        vec![
            ("type", Value::from(kind)),
            ("required", Value::from(!read_only)),
            ("read_only", Value::from(read_only)),
            ("label", Value::from(label)),
        ]
    };
    let mut ttl = field("integer", false, "Ttl");
    ttl.push(("min_value", zone.minimum_ttl.into()));
    ttl.push(("max_value", MAXIMUM_TTL.into()));
    Value::object([
        ("created", Value::object(field("datetime", true, "Created"))),
        ("domain", Value::object(field("field", true, "Domain"))),
        ("subname", Value::object(field("string", false, "Subname"))),
        ("name", Value::object(field("field", true, "Name"))),
        ("records", Value::object(field("field", false, "Records"))),
        ("ttl", Value::object(ttl)),
        ("type", Value::object(field("string", false, "Type"))),
        ("touched", Value::object(field("datetime", true, "Touched"))),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::rest::testing::Lab;
    use super::*;

    const LIST: &str = "/domains/example.com/rrsets/";

    fn item(subname: &str, kind: &str, ttl: u32, record: &str) -> String {
        format!(
            "[{{\"subname\":\"{subname}\",\"type\":\"{kind}\",\"ttl\":{ttl},\"records\":[{record}]}}]"
        )
    }

    #[track_caller]
    fn check_options(secret: &str, subname: &str, kind: &str, writable: bool) {
        let mut lab = Lab::new();
        lab.account.set_records("dev1.example.com", "A", &["192.0.2.1"], 60);
        lab.account.set_records("dev2.example.com", "A", &["192.0.2.2"], 60);
        let described = lab.ok(secret, "OPTIONS", &format!("{LIST}{subname}/{kind}/"), "");
        let actions = described.get("actions").and_then(|actions| actions.get("PUT"));
        assert_eq!(actions.is_some(), writable, "{described}");
        assert_eq!(described.get("actions").is_some(), writable);
    }

    #[test]
    fn options_shows_a_put_exactly_to_who_may_write_what_is_there() {
        check_options("dev1", "dev1", "A", true);
        check_options("dev1", "dev1", "AAAA", false); // not there
        check_options("dev1", "dev2", "A", false);
        check_options("dev1", "@", "NS", false);
        check_options("management", "@", "NS", true);
        check_options("management", "dev9", "A", false); // not there
        check_options("zone-a", "dev2", "A", true);
        check_options("zone-a", "@", "NS", false);
    }

    #[test]
    fn options_costs_as_much_as_a_write() {
        let mut lab = Lab::new();
        lab.account.throttled = true;
        for _ in 0..2 {
            assert_eq!(lab.ask("dev1", "OPTIONS", &format!("{LIST}@/NS/"), "").0, 200);
        }
        assert_eq!(lab.ask("dev1", "PATCH", LIST, "[]").0, 429);
        assert_eq!(lab.ask("dev1", "GET", LIST, "").0, 200);
    }

    #[test]
    fn limits_come_before_permission_and_permission_before_content() {
        let mut lab = Lab::new();
        let mut patch = |secret: &str, item: &str| lab.ask(secret, "PATCH", LIST, item);
        let (status, body) = patch("dev1", &item("", "NS", 60, "\"-\""));
        assert_eq!(status, 400);
        assert!(body.contains("greater than or equal to 3600"), "{body}");
        let (_, body) = patch("dev1", &item("", "NS", 86_401, "\"-\""));
        assert!(body.contains("less than or equal to 86400"), "{body}");
        assert_eq!(patch("dev1", &item("", "NS", 3600, "\"-\"")).0, 403);
        let (_, body) = patch("management", &item("", "NS", 3600, "\"-\""));
        assert!(body.contains("fully-qualified"), "{body}");
        let (_, body) = patch("management", &item("dev1", "TXT", 3600, "\"-\""));
        assert!(body.contains("quotation marks"), "{body}");
        assert_eq!(patch("dev1", &item("dev1", "A", 3600, "\"-\"")).0, 400);
        assert_eq!(patch("dev1", &item("dev1", "A", 3600, "\"192.0.2.1\"")).0, 200);
    }

    #[test]
    fn all_items_are_stored_or_none() {
        let mut lab = Lab::new();
        let good = item("dev1", "A", 3600, "\"192.0.2.1\"");
        let bad = item("dev1", "AAAA", 3600, "\"192.0.2.1\"");
        let both = format!("{},{}", &good[..good.len() - 1], &bad[1..]);
        let answer = lab.ask("dev1", "PUT", LIST, &both);
        let expected = "[{},{\"non_field_errors\":[\"Record content for type AAAA malformed: Text \
                        input is malformed.\"]}]";
        assert_eq!(answer, (400, expected.to_owned()));
        assert!(lab.account.records("dev1.example.com", "A").is_empty());
        let twice = format!("{},{}", &good[..good.len() - 1], &good[1..]);
        assert_eq!(lab.ask("dev1", "PUT", LIST, &twice).0, 400);
        lab.ok("dev1", "PUT", LIST, &good);
        assert_eq!(lab.account.records("dev1.example.com", "A"), ["192.0.2.1"]);
    }

    #[test]
    fn a_cname_stands_alone_unless_the_request_makes_room() {
        let mut lab = Lab::new();
        lab.account.set_records("cn.example.com", "CNAME", &["www.example.org."], 3600);
        let address = item("cn", "A", 3600, "\"192.0.2.1\"");
        assert_eq!(lab.ask("dev1", "PATCH", LIST, &address).0, 400);
        let gone = "{\"subname\":\"cn\",\"type\":\"CNAME\",\"records\":[]}";
        let both = format!("[{gone},{}", &address[1..]);
        lab.ok("management", "PATCH", LIST, &both);
        assert_eq!(lab.account.records("cn.example.com", "A"), ["192.0.2.1"]);
        assert!(lab.account.records("cn.example.com", "CNAME").is_empty());
        let apex = item("", "CNAME", 3600, "\"www.example.org.\"");
        assert_eq!(lab.ask("management", "PATCH", LIST, &apex).0, 400);
    }

    #[test]
    fn one_record_set_is_made_changed_and_removed() {
        let mut lab = Lab::new();
        let one = item("dev1", "A", 3600, "\"192.0.2.1\"").replace(['[', ']'], "");
        let one = one.replace("\"192.0.2.1\"", "[\"192.0.2.1\"]");
        let path = format!("{LIST}dev1/A/");
        assert_eq!(lab.ask("dev1", "PUT", &path, &one).0, 404);
        assert_eq!(lab.ask("dev1", "POST", LIST, &one).0, 201);
        let (status, body) = lab.ask("dev1", "POST", LIST, &one);
        assert_eq!(status, 400);
        assert!(body.starts_with("{\"non_field_errors\":[\"Another RRset"), "{body}");
        lab.ok("dev1", "PATCH", &path, "{\"ttl\":7200}");
        assert_eq!(lab.account.record_set("dev1.example.com", "A").unwrap().ttl, 7200);
        assert_eq!(lab.ask("dev1", "PATCH", &path, "{\"records\":[]}").0, 204);
        assert_eq!(lab.ask("dev1", "GET", &path, "").0, 404);
        assert_eq!(lab.ask("dev1", "DELETE", &path, "").0, 204);
        assert_eq!(lab.ask("dev1", "DELETE", &format!("{LIST}@/NS/"), "").0, 403);
        assert_eq!(lab.ask("management", "DELETE", &format!("{LIST}@/NS/"), "").0, 204);
        assert!(lab.account.records("example.com", "NS").is_empty());
    }

    #[test]
    fn the_list_is_filtered_by_name_and_type() {
        let mut lab = Lab::new();
        lab.account.set_records("dev1.example.com", "A", &["192.0.2.1"], 60);
        let count = |value: Value| match value {
            Value::List(items) => items.len(),
            _ => 0,
        };
        assert_eq!(count(lab.ok("dev1", "GET", LIST, "")), 2);
        assert_eq!(count(lab.ok("dev1", "GET", &format!("{LIST}?subname="), "")), 1);
        assert_eq!(count(lab.ok("dev1", "GET", &format!("{LIST}?subname=dev1&type=A"), "")), 1);
        assert_eq!(count(lab.ok("dev1", "GET", &format!("{LIST}?type=AAAA"), "")), 0);
    }

    #[test]
    fn a_list_is_wanted_where_many_are_changed() {
        let mut lab = Lab::new();
        assert_eq!(lab.ask("management", "PATCH", LIST, "{}").0, 400);
        assert_eq!(lab.ask("management", "PATCH", LIST, "[1]").0, 400);
        let (_, body) = lab.ask("management", "PATCH", LIST, "[{}]");
        assert_eq!(
            body,
            "[{\"subname\":[\"This field is required.\"],\"type\":[\"This field is required.\"]}]"
        );
    }
}
