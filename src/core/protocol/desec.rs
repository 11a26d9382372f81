//! deSEC's dynDNS endpoint, as its own server behaves (recorded August 2026).
//!
//! Both families are always stated: the server deletes the record of a family that a request
//! leaves out, or sets it to the address the request comes from, so "leave it" is `preserve`.
//! Also asks which zone is responsible for a host. Pure; the round sends and settles.

use std::time::Duration;

use serde::Deserialize;

use super::step::ZoneAnswer;
use super::{
    Answer, Authorization, Body, Credential, HttpRequest, Method, Verdict, query_value,
    server_fault, too_many,
};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::{Update, Wish};

/// The wait after a 429 for throttling without `Retry-After`: the window of the limit that it
/// comes from.
const THROTTLED: Duration = Duration::from_secs(120);

/// The request that asks `update_url` to fulfil `updates`, of one zone, at most twenty.
///
/// Hosts with equal wishes share the general value of a family; where wishes differ, each host
/// has its own value and the general one is `preserve`.
pub fn request(update_url: &str, updates: &[Update], credential: &Credential) -> HttpRequest {
    let names: Vec<&str> = updates.iter().map(|update| update.host.as_str()).collect();
    let mut url = about(update_url, &names.join(","));
    for family in Family::BOTH {
        let parameter = match family {
            Family::V4 => "myipv4",
            Family::V6 => "myipv6",
        };
        let agreed =
            updates.windows(2).all(|pair| pair[0].wishes[family] == pair[1].wishes[family]);
        let general = if agreed { value(&updates[0].wishes[family]) } else { PRESERVE.to_owned() };
        url.push_str(&format!("&{parameter}={}", query_value(&general)));
        if !agreed {
            for update in updates.iter().filter(|update| update.wishes[family] != Wish::Leave) {
                let (host, value) = (update.host.as_str(), value(&update.wishes[family]));
                url.push_str(&format!(
                    "&{parameter}:{}={}",
                    query_value(host),
                    query_value(&value)
                ));
            }
        }
    }
    get(url, credential)
}

fn get(url: String, credential: &Credential) -> HttpRequest {
    HttpRequest::get(url, Some(Authorization::Token(credential.secret.clone())))
}

/// The request that gives the records of `updates`, all of `zone`, another time to live, so that
/// the update after it is a change: the name servers are not notified of an equal one.
///
/// The token that sends updates may do that.
pub fn touch_request(
    api_url: &str,
    zone: &Hostname,
    updates: &[Update],
    credential: &Credential,
) -> HttpRequest {
    // Not below the least that a zone allows, which is an hour by default.
    const TIME_TO_LIVE: u32 = 3601;
    let sets: Vec<String> = updates
        .iter()
        .flat_map(|update| {
            let subname = update.host.as_str().strip_suffix(zone.as_str()).unwrap_or_default();
            let subname = subname.trim_end_matches('.');
            update.wishes.iter().filter_map(move |(family, wish)| {
                let Wish::Set(addresses) = wish else { return None };
                let records: Vec<_> = addresses.iter().map(|a| format!("\"{a}\"")).collect();
                Some(format!(
                    "{{\"subname\":\"{subname}\",\"type\":\"{}\",\"ttl\":{TIME_TO_LIVE},\"records\":[{}]}}",
                    family.record_type(),
                    records.join(",")
                ))
            })
        })
        .collect();
    let body = Some(Body::Json(format!("[{}]", sets.join(",")).into()));
    let url = format!("{api_url}/domains/{zone}/rrsets/");
    HttpRequest { method: Method::Patch, body, ..get(url, credential) }
}

/// The URL of an update of `hosts`, to which the families' values are appended.
fn about(update_url: &str, hosts: &str) -> String {
    let glue = if update_url.contains('?') { '&' } else { '?' };
    format!("{update_url}{glue}hostname={}", query_value(hosts))
}

/// The URL of an update that the server must refuse after it has checked the rights: the address
/// in it is invalid, and the other family is left alone.
pub fn impossible_update(update_url: &str, host: &Hostname, family: Family) -> String {
    let addresses = match family {
        Family::V4 => "&myipv4=0.0.0.&myipv6=preserve",
        Family::V6 => "&myipv4=preserve&myipv6=:",
    };
    about(update_url, host.as_str()) + addresses
}

const PRESERVE: &str = "preserve";

fn value(wish: &Wish) -> String {
    match wish {
        Wish::Leave => PRESERVE.to_owned(),
        // For an empty value the server deletes the record.
        Wish::Remove => String::new(),
        Wish::Set(addresses) => addresses.to_string(),
    }
}

/// What `answer` to an update means.
///
/// | status | body                                | outcome                              |
/// |--------|-------------------------------------|--------------------------------------|
/// | 200    | `good`                              | updated (`nochg` never occurs)       |
/// | 400    | text or YAML                        | rejected: request                    |
/// | 401    | text                                | rejected: credential                 |
/// | 403    | text                                | rejected: forbidden                  |
/// | 404    | `nohost`                            | rejected: host                       |
/// | 405    | text                                | deferred: unintelligible, not deSEC  |
/// | 409    | text                                | deferred: busy (two made one record) |
/// | 429    | `Retry-After`                       | deferred: throttled                  |
/// | 429    | `Too many concurrent requests.`     | deferred: busy                       |
/// | 429    | the web server's page               | deferred: busy                       |
/// | 5xx    | anything                            | deferred: may have been applied      |
/// | other, or a page with any 2xx, 3xx or 4xx    || deferred: unintelligible             |
pub fn verdict(answer: &Answer) -> Verdict {
    let said = answer.summary();
    let text = answer.text().unwrap_or_default();
    Verdict::All(match answer.status {
        200 if text == "good" => Outcome::Updated,
        // A third kind of 429 is the web server's page.
        429 if !answer.is_page() && text.starts_with("Request was throttled") => {
            too_many(answer.retry_after.or(Some(THROTTLED)), said)
        }
        429 => too_many(answer.retry_after, said),
        500..=599 => server_fault(answer, said),
        _ if answer.is_page() || text.is_empty() => Outcome::deferred(Fault::Unintelligible, said),
        400 => Outcome::rejected(Rejection::Request, said),
        401 => Outcome::rejected(Rejection::Credential, said),
        403 => Outcome::rejected(Rejection::Forbidden, said),
        404 if text == "nohost" => Outcome::rejected(Rejection::Host, said),
        409 => Outcome::deferred(Fault::Busy, said),
        _ => Outcome::deferred(Fault::Unintelligible, said),
    })
}

/// The path at the API that returns the account's zone that is responsible for `host`.
pub fn zone_path(host: &Hostname) -> String {
    format!("/domains/?owns_qname={}", query_value(host.as_str()))
}

/// The zone among `names` that is responsible for `host`: the longest that holds it.
pub fn responsible<'a>(
    host: &Hostname,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<Hostname> {
    let zones = names.into_iter().filter_map(|name| name.parse::<Hostname>().ok());
    zones.filter(|zone| host.is_within(zone)).max_by_key(|zone| zone.as_str().len())
}

/// The request that asks which zone of the account is responsible for `host`.
pub fn zone_request(api_url: &str, host: &Hostname, credential: &Credential) -> HttpRequest {
    get(format!("{api_url}{}", zone_path(host)), credential)
}

/// The names in a JSON list of zones; `None` when the answer is no such list.
pub fn zone_names(answer: &Answer) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Zone {
        name: String,
    }

    let zones: Vec<Zone> = serde_json::from_slice(&answer.body).ok()?;
    Some(zones.into_iter().map(|zone| zone.name).collect())
}

/// What `answer` says about the zone of `host`; `names` are the zone names in its JSON list, if it
/// is one.
pub fn zone_answer(host: &Hostname, answer: &Answer, names: Option<&[String]>) -> ZoneAnswer {
    match (answer.status, names) {
        (200, Some(names)) => match responsible(host, names.iter().map(String::as_str)) {
            Some(zone) => ZoneAnswer::Zone(zone, None),
            None if names.is_empty() => ZoneAnswer::NoZone,
            None => ZoneAnswer::Silent,
        },
        (401 | 429, _) => match verdict(answer) {
            Verdict::All(outcome) => ZoneAnswer::Outcome(outcome),
            Verdict::Each(_) | Verdict::NoLists(_) => ZoneAnswer::Silent,
        },
        _ => ZoneAnswer::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::{Addresses, PerFamily};
    use crate::core::secret::Secret;

    fn wish(text: &str) -> Wish {
        let addresses = text.split(',').map(|address| address.parse().unwrap());
        Addresses::new(addresses).map_or(Wish::Leave, Wish::Set)
    }

    fn update(host: &str, v4: Wish, v6: Wish) -> Update {
        Update { host: host.parse().unwrap(), wishes: PerFamily { v4, v6 } }
    }

    fn url(updates: &[Update]) -> String {
        let credential = Credential { login: String::new(), secret: Secret::new("s") };
        request("https://update.dedyn.io/", updates, &credential).url.to_string()
    }

    #[test]
    fn the_same_becomes_a_change_by_another_time_to_live() {
        let credential = Credential { login: String::new(), secret: Secret::new("t") };
        let set = |text: &str| Wish::Set(text.parse::<std::net::IpAddr>().unwrap().into());
        let wishes = PerFamily { v4: set("198.18.0.1"), v6: Wish::Leave };
        let update = |host: &str| Update { host: host.parse().unwrap(), wishes: wishes.clone() };
        let zone = "example.com".parse().unwrap();
        let api = "https://desec.io/api/v1";
        for (host, subname) in [("a.b.example.com", "a.b"), ("example.com", "")] {
            let request = touch_request(api, &zone, &[update(host)], &credential);
            assert_eq!(request.url.expose(), "https://desec.io/api/v1/domains/example.com/rrsets/");
            let expect = format!(
                "[{{\"subname\":\"{subname}\",\"type\":\"A\",\"ttl\":3601,\"records\":[\"198.18.0.1\"]}}]"
            );
            assert_eq!(request.body, Some(Body::Json(expect.into())));
        }
    }

    #[test]
    fn both_families_are_always_stated() {
        let update = update("dev1.example.com", wish("203.0.113.8"), Wish::Leave);
        assert_eq!(
            url(&[update]),
            "https://update.dedyn.io/?hostname=dev1.example.com&myipv4=203.0.113.8&myipv6=preserve"
        );
    }

    #[test]
    fn hosts_that_differ_have_values_of_their_own() {
        let one = update("a.example", wish("203.0.113.8"), wish("2001:db8::1"));
        let two = update("b.example", wish("203.0.113.8"), wish("2001:db8::2"));
        let three = update("c.example", wish("203.0.113.8"), Wish::Leave);
        assert_eq!(
            url(&[one, two, three]),
            "https://update.dedyn.io/?hostname=a.example,b.example,c.example&myipv4=203.0.113.8\
             &myipv6=preserve&myipv6:a.example=2001:db8::1&myipv6:b.example=2001:db8::2"
        );
    }

    #[test]
    fn an_empty_value_removes_the_record_of_every_host() {
        let update = |host| update(host, wish("203.0.113.8"), Wish::Remove);
        assert_eq!(
            url(&[update("a.example"), update("b.example")]),
            "https://update.dedyn.io/?hostname=a.example,b.example&myipv4=203.0.113.8&myipv6="
        );
    }

    #[test]
    fn the_secret_is_in_the_header_and_not_in_the_address() {
        let credential = Credential { login: String::new(), secret: Secret::new("geheim") };
        let update = update("a.example", wish("203.0.113.8"), Wish::Leave);
        let request = request("https://update.dedyn.io/", &[update], &credential);
        assert!(!request.url.expose().contains("geheim"));
        assert_eq!(request.authorization, Some(Authorization::Token(Secret::new("geheim"))));
    }

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        }
    }

    #[track_caller]
    fn check(answer: &Answer, expect: Result<(), &str>) {
        let word = match verdict(answer) {
            Verdict::All(Outcome::Updated) => Ok(()),
            Verdict::All(Outcome::Deferred(deferral)) => Err(deferral.fault.word()),
            Verdict::All(Outcome::Rejected(refusal)) => Err(refusal.rejection.word()),
            other => panic!("{other:?}"),
        };
        assert_eq!(word, expect, "{answer:?}");
    }

    #[test]
    fn answers_in_the_protocols_form_are_told_apart() {
        check(&answer(200, "text/plain", "good"), Ok(()));
        check(&answer(400, "text/plain", "- non_field_errors:\n  - 'x'"), Err("request"));
        check(&answer(401, "text/plain", "Invalid token."), Err("credential"));
        check(&answer(401, "text/plain", "badauth"), Err("credential"));
        check(&answer(403, "text/plain", "Insufficient token permissions."), Err("forbidden"));
        check(&answer(404, "text/plain", "nohost"), Err("host"));
        check(&answer(409, "text/plain", "Conflict: duplicate key"), Err("busy"));
        check(
            &answer(500, "text/plain", "Internal Server Error. We're on it!"),
            Err("server-fault"),
        );
        check(&answer(502, "text/html", "<html>"), Err("server-fault"));
    }

    #[test]
    fn a_page_is_never_an_answer() {
        for status in [200, 204, 301, 400, 401, 403, 404] {
            check(&answer(status, "text/html", "<html>good nohost"), Err("unintelligible"));
        }
        check(&answer(200, "text/plain", "goodbye"), Err("unintelligible"));
        check(&answer(200, "text/plain", ""), Err("unintelligible"));
        check(&answer(404, "text/plain", "not here"), Err("unintelligible"));
    }

    #[test]
    fn the_three_kinds_of_429_differ() {
        let wait = |answer: &Answer| match verdict(answer) {
            Verdict::All(Outcome::Deferred(deferral)) => (deferral.fault, deferral.retry_after),
            other => panic!("{other:?}"),
        };
        let mut throttled = answer(429, "text/plain", "Request was throttled. Expected …");
        throttled.retry_after = Some(Duration::from_secs(118));
        assert_eq!(wait(&throttled), (Fault::Throttled, Some(Duration::from_secs(118))));
        let concurrent = answer(429, "text/plain", "Too many concurrent requests.");
        assert_eq!(wait(&concurrent), (Fault::Busy, None));
        assert_eq!(wait(&answer(429, "text/html", "<!DOCTYPE html>")), (Fault::Busy, None));
        let silent = answer(429, "text/plain", "Request was throttled.");
        assert_eq!(wait(&silent), (Fault::Throttled, Some(THROTTLED)));
    }

    #[test]
    fn the_longest_zone_that_holds_the_host_is_the_responsible_one() {
        let host: Hostname = "a.b.example.com".parse().unwrap();
        let answer = answer(200, "application/json", "[]");
        let ask = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            zone_answer(&host, &answer, Some(&names))
        };
        let zone = |name: &str| ZoneAnswer::Zone(name.parse().unwrap(), None);
        assert_eq!(ask(&["example.com", "b.example.com"]), zone("b.example.com"));
        assert_eq!(ask(&[]), ZoneAnswer::NoZone);
        assert_eq!(ask(&["example.org"]), ZoneAnswer::Silent);
    }
}
