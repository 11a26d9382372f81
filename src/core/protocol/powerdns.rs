//! The HTTP API of PowerDNS' authoritative server (4.7, observed November 2026).
//!
//! Its key can do everything on that server, so only a trusted machine may hold it. Only the
//! records of the hosts are replaced, all others stay. Pure; the round sends and settles.

use super::desec::responsible;
use super::step::ZoneAnswer;
use super::{
    Answer, Authorization, Body, Credential, HttpRequest, Method, Verdict, server_fault, too_many,
};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::{Update, Wish};

/// The request that fulfils `updates`, all of `zone`, together or not at all. `api_url` is the
/// server's, such as `http://127.0.0.1:8081/api/v1/servers/localhost`.
pub fn request(
    api_url: &str,
    zone: &Hostname,
    updates: &[Update],
    time_to_live: u32,
    credential: &Credential,
) -> HttpRequest {
    let changes = updates.iter().flat_map(|Update { host, wishes }| {
        wishes.iter().filter_map(|(family, wish)| record_set(host, family, wish, time_to_live))
    });
    let sets: Vec<String> = changes.collect();
    let body = Some(Body::Json(format!("{{\"rrsets\":[{}]}}", sets.join(",")).into()));
    let url = format!("{api_url}/zones/{zone}.");
    let authorization = Some(Authorization::ApiKey(credential.secret.clone()));
    HttpRequest { method: Method::Patch, body, ..HttpRequest::get(url, authorization) }
}

/// The change of one record in JSON: names and addresses hold nothing that would need escaping.
fn record_set(host: &Hostname, family: Family, wish: &Wish, ttl: u32) -> Option<String> {
    let kind = family.record_type();
    let change = match wish {
        Wish::Leave => return None,
        Wish::Remove => "\"changetype\":\"DELETE\"".to_owned(),
        Wish::Set(addresses) => {
            let records: Vec<String> = addresses
                .iter()
                .map(|address| format!("{{\"content\":\"{address}\",\"disabled\":false}}"))
                .collect();
            let records = records.join(",");
            format!("\"ttl\":{ttl},\"changetype\":\"REPLACE\",\"records\":[{records}]")
        }
    };
    Some(format!("{{\"name\":\"{host}.\",\"type\":\"{kind}\",{change}}}"))
}

/// The request that asks for the server's zones, to find the one of a host.
pub fn zones_request(api_url: &str, credential: &Credential) -> HttpRequest {
    let authorization = Some(Authorization::ApiKey(credential.secret.clone()));
    HttpRequest::get(format!("{api_url}/zones"), authorization)
}

/// What `answer` says about the zone of `host`; `names` are the zone names in its JSON list, if it
/// is one. The list holds every zone of the server, so a zone that is not in it does not exist.
pub fn zone_answer(host: &Hostname, answer: &Answer, names: Option<&[String]>) -> ZoneAnswer {
    match (answer.status, names) {
        (200, Some(names)) => match responsible(host, names.iter().map(String::as_str)) {
            Some(zone) => ZoneAnswer::Zone(zone, None),
            None => ZoneAnswer::NoZone,
        },
        _ => match verdict(answer) {
            Verdict::All(outcome @ (Outcome::Deferred(_) | Outcome::Rejected(_))) => {
                ZoneAnswer::Outcome(outcome)
            }
            _ => ZoneAnswer::Outcome(Outcome::deferred(Fault::Unintelligible, answer.summary())),
        },
    }
}

/// What `answer` to an update means.
///
/// | status | body                     | outcome                     |
/// |--------|--------------------------|-----------------------------|
/// | 204    | –                        | updated                     |
/// | 401    | `Unauthorized`           | rejected: credential        |
/// | 404    | `Not Found`              | rejected: host              |
/// | 422    | JSON with `error`        | rejected: request           |
/// | 400    | text                     | rejected: request           |
/// | 429    | anything                 | deferred: throttled or busy |
/// | 5xx    | anything                 | deferred: server            |
/// | other, or a page           ||  deferred: unintelligible    |
pub fn verdict(answer: &Answer) -> Verdict {
    let said = answer.summary();
    let text = answer.text().unwrap_or_default();
    Verdict::All(match answer.status {
        204 => Outcome::Updated,
        500..=599 => server_fault(answer, said),
        429 => too_many(answer.retry_after, said),
        _ if answer.is_page() || text.is_empty() => Outcome::deferred(Fault::Unintelligible, said),
        401 => Outcome::rejected(Rejection::Credential, said),
        404 if text == "Not Found" => {
            Outcome::rejected(Rejection::Host, format!("{said}: no such zone on this server"))
        }
        400 | 422 => Outcome::rejected(Rejection::Request, said),
        _ => Outcome::deferred(Fault::Unintelligible, said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::{Addresses, PerFamily};
    use crate::core::secret::Secret;

    fn set(text: &str) -> Wish {
        let parsed = text.split(',').map(|address| address.parse().unwrap());
        Wish::Set(Addresses::new(parsed).unwrap())
    }

    fn body(v4: Wish, v6: Wish) -> String {
        let host = "dev1.example.com".parse().unwrap();
        let updates = [Update { host, wishes: PerFamily { v4, v6 } }];
        let credential = Credential { login: String::new(), secret: Secret::new("k3y") };
        let zone = "example.com".parse().unwrap();
        let request =
            request("https://ns/api/v1/servers/localhost", &zone, &updates, 60, &credential);
        assert_eq!(request.url.expose(), "https://ns/api/v1/servers/localhost/zones/example.com.");
        match request.body {
            Some(Body::Json(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_records_that_change_are_named() {
        assert_eq!(
            body(set("192.0.2.1,192.0.2.2"), Wish::Leave),
            "{\"rrsets\":[{\"name\":\"dev1.example.com.\",\"type\":\"A\",\"ttl\":60,\
             \"changetype\":\"REPLACE\",\"records\":[{\"content\":\"192.0.2.1\",\"disabled\":false},\
             {\"content\":\"192.0.2.2\",\"disabled\":false}]}]}"
        );
        assert_eq!(
            body(Wish::Leave, Wish::Remove),
            "{\"rrsets\":[{\"name\":\"dev1.example.com.\",\"type\":\"AAAA\",\
             \"changetype\":\"DELETE\"}]}"
        );
    }

    fn means(status: u16, content_type: &str, body: &str) -> &'static str {
        let answer = Answer {
            status,
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        };
        match verdict(&answer) {
            Verdict::All(Outcome::Updated) => "updated",
            Verdict::All(Outcome::Deferred(deferral)) => deferral.fault.word(),
            Verdict::All(Outcome::Rejected(refusal)) => refusal.rejection.word(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_mean_what_the_server_means() {
        assert_eq!(means(204, "", ""), "updated");
        assert_eq!(means(401, "text/plain", "Unauthorized"), "credential");
        assert_eq!(means(404, "text/plain", "Not Found"), "host");
        let taken = "{\"error\": \"RRset a. IN A: Conflicts with pre-existing RRset\"}";
        assert_eq!(means(422, "application/json", taken), "request");
        assert_eq!(means(400, "text/plain", "Bad Request"), "request");
        assert_eq!(means(500, "text/plain", "Internal Server Error"), "server-fault");
    }

    #[test]
    fn what_is_not_the_servers_own_word_rejects_nobody() {
        assert_eq!(means(401, "text/html", "<html>log in</html>"), "unintelligible");
        assert_eq!(means(404, "text/plain", "nothing here"), "unintelligible");
        assert_eq!(means(200, "application/json", "{}"), "unintelligible");
    }
}
