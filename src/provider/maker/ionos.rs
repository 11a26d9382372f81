//! IONOS' update URLs: each may set the addresses of the names that it was made for and do nothing else.
//!
//! Source: IONOS' DNS API 1.0.2, Dynamic DNS (`POST /v1/dyndns`, `PUT` and `DELETE /v1/dyndns/{bulkId}`:
//! 2 requests a minute and address). No call lists the URLs, so what is known of one is its receipt, and
//! `DELETE /v1/dyndns`, which ends all of them, is never sent.

use std::net::IpAddr;

use serde_json::Value;

use super::{Call, Draft, Made, Maker, Next, Task, Told, name_of, quoted, text};
use crate::core::protocol::http::rows::tree_of;
use crate::core::protocol::{Answer, Method};
use crate::core::secret::Secret;
use crate::core::token::TokenId;
use crate::core::token::job::Job;

pub(super) const MAKER: Maker = Maker {
    noun: "update URL",
    management: "make an API key at https://developer.hosting.ionos.com/keys; its file holds \
                 PREFIX.SECRET",
    lost: "there may be an update URL that nobody knows: it can set these names and do nothing else, \
           and IONOS lists none; to be sure, end all of them at IONOS (Domains, Dynamic DNS), and run \
           the command again",
    is_by_user: false,
    has_limits: false,
    shows_use: false,
    is_shared: false,
    takes_wildcards: true,
    asks_itself: false,
    is_listed: false,
    is_in_place: false,
    has_own_secret: false,
    finds_zones: true,
    entry: Some(("ionos", "/dns/v1")),
    owned: None,
    draft,
    by_form: |_| None,
    next,
};

const URLS: &str = "/dyndns";

fn next(task: &Task<'_>, job: &Job, heard: &[Value]) -> Next {
    let of = |id: &str| [URLS, "/", id].concat();
    match (*task, heard) {
        (Task::Look, []) => match job.records.first() {
            Some(record) => {
                let (zone, host) = (&record.zone_id, &record.duty.host);
                let path = format!("/zones/{zone}?recordName={host}&recordType=A,AAAA");
                Next::Ask(Call::new(Method::Get, path))
            }
            None => Next::Done(Told::default()),
        },
        (Task::Look, [zone, ..]) => {
            let records = zone.get("records").and_then(Value::as_array);
            let address = |record: &Value| text(record, "/content")?.parse::<IpAddr>().ok();
            let stands = records.into_iter().flatten().filter_map(address).collect();
            Next::Done(Told { stands, ..Told::default() })
        }
        (Task::Make(draft), []) => {
            let call = Call::new(Method::Post, URLS).with(wanted(&draft.name, job));
            Next::Ask(Call { brings: Some(brought), ..call })
        }
        (Task::Make(_), [made, ..]) => {
            let id = text(made, "/bulkId").and_then(|id| id.parse().ok());
            match id.zip(secret_in(made)) {
                Some(fresh) => Next::Done(Told { fresh: Some(fresh), ..Told::default() }),
                None => Next::Strange("the request for an update URL"),
            }
        }
        (Task::Change(made), []) => {
            let body = wanted(&made.name, job);
            Next::Ask(Call::new(Method::Put, of(made.id.as_str())).with(body))
        }
        (Task::End(id), []) => Next::Ask(Call::new(Method::Delete, of(id.as_str()))),
        (Task::Change(_) | Task::End(_), [_, ..]) => Next::Done(Told::default()),
        (Task::Owner | Task::Prove(_) | Task::Renew(_) | Task::Who, _) => {
            Next::Strange("what no update URL can be asked")
        }
    }
}

/// An update URL with a description of its own.
fn draft(job: &Job, number: &str, _: &str) -> Draft {
    let name = [&name_of(job), " ", number].concat();
    Draft { name, id: None, secret: None, has_address: false }
}

fn wanted(name: &str, job: &Job) -> String {
    let hosts: Vec<&str> = job.records.iter().map(|record| record.duty.host.as_str()).collect();
    let hosts = hosts.join("\",\"");
    ["{\"description\":", &quoted(name), ",\"domains\":[\"", &hosts, "\"]}"].concat()
}

/// The secret part of the update URL in an answer: what follows `q=`, decoded.
fn secret_in(made: &Value) -> Option<Secret> {
    let url = text(made, "/updateUrl")?;
    let (_, query) = url.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("q="))?;
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    let decoded = decoded(value)?;
    (!decoded.is_empty() && decoded.bytes().all(is_plain)).then(|| Secret::new(&decoded))
}

/// The same, so that it is hidden from then on.
fn brought(answer: &Answer) -> Option<Secret> {
    secret_in(&tree_of(&answer.body)?)
}

/// `text` without the escapes of a URL (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The update URL that a receipt names, as far as that says.
pub fn claimed(id: &TokenId, name: &str, is_right: bool) -> Made {
    Made {
        id: id.clone(),
        name: name.to_owned(),
        created: None,
        last_used: None,
        expires: None,
        subnets: None,
        is_for_job: true,
        is_active: true,
        is_right,
        findings: Vec::new(),
        has_old_form: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::token::Duty;
    use crate::core::token::job::Record;

    #[test]
    fn an_update_url_is_for_its_host_and_its_secret_is_what_follows_q() {
        let families = PerFamily { v4: true, v6: true };
        let (host, zone) = ("dev1.example.com".parse().unwrap(), "example.com".parse().unwrap());
        let duty = Duty { host, zone, families };
        let record = Record { duty, zone_id: "abc".to_owned(), removes: false };
        let job = Job { records: vec![record], expires: None, subnets: None };
        let draft = draft(&job, "7f3a", "");
        let Next::Ask(call) = next(&Task::Make(&draft), &job, &[]) else { panic!("no request") };
        let body =
            "{\"description\":\"homing:dev1.example.com 7f3a\",\"domains\":[\"dev1.example.com\"]}";
        assert_eq!(call.body.unwrap().to_string(), body);
        let url = "https://ipv4.api.hosting.ionos.com/dns/v1/dyndns?q=NDU3%3D.xY";
        let made = json!({"bulkId": "22af3414-abbe-9e11-5df5-66fbe8e334b4", "updateUrl": url});
        let Next::Done(told) = next(&Task::Make(&draft), &job, &[made]) else { panic!("not done") };
        let (id, secret) = told.fresh.unwrap();
        assert_eq!((id.as_str().len(), secret.expose()), (36, "NDU3=.xY"));
        for strange in
            ["https://x/dns/v1/dyndns", "https://x/?q=", "https://x/?q=%zz", "https://x/?q=%0a"]
        {
            let made = json!({"bulkId": "x", "updateUrl": strange});
            assert!(
                matches!(next(&Task::Make(&draft), &job, &[made]), Next::Strange(_)),
                "{strange}"
            );
        }
        let zone = json!({"records": [{"content": "192.0.2.7"}, {"content": "2001:db8::7"}]});
        let Next::Done(told) = next(&Task::Look, &job, &[zone]) else { panic!("not done") };
        assert_eq!(told.stands.len(), 2);
    }
}
