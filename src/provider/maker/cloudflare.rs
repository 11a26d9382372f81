//! Cloudflare's API tokens: one for the zones of its hosts, with networks and an end.
//!
//! Source: developers.cloudflare.com, API, user tokens and account tokens (list, create, update, delete,
//! verify) and "Create tokens via the API". A token cannot be limited to single records. A user owns it, or
//! an account, whose tokens are asked about below `/accounts/ID`; it makes others of the same owner.

use serde_json::Value;

use super::{Call, Draft, Made, Maker, Next, Task, Told, name_of, quoted, text};
use crate::core::order;
use crate::core::protocol::http::rows::tree_of;
use crate::core::protocol::{Answer, Method};
use crate::core::secret::Secret;
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;
use crate::core::token::verdict::Weight;
use crate::core::wire::calendar::iso8601;
use crate::os::clock::parse_rfc3339;

pub(super) const MAKER: Maker = Maker {
    noun: "token",
    management: "make a token of the template \"Create additional tokens\", and add to it Zone: Zone: \
                 Read for the zones of the hosts (or write zone and the option zone-id in each [[host]]); \
                 or make one that the account owns, with Account API Tokens: Edit and Zone: Zone: Read",
    lost: "run the command again: it finds what may have been made",
    is_listed: true,
    is_in_place: false,
    has_own_secret: false,
    finds_zones: true,
    is_by_user: false,
    has_limits: true,
    shows_use: true,
    is_shared: true,
    takes_wildcards: true,
    asks_itself: true,
    entry: None,
    owned: Some(owned),
    draft,
    by_form,
    next,
};

/// The permission group "DNS Write".
const DNS_WRITE: &str = "4755a26eedb94da69e1066d98aa820be";

/// The permission groups "DNS Read" and "Zone Read", which show what DNS shows anyway.
const HARMLESS: [&str; 2] =
    ["82e64a83756745bbbb1c9c2701bf816b", "c8fed203ed3043cba015a93ad1616f1f"];

/// What the name of a zone among all resources begins with.
const ZONE: &str = "com.cloudflare.api.account.zone.";

const TOKENS: &str = "/user/tokens";

/// How many tokens a page has, and how many pages are read.
const PAGE: usize = 50;
const PAGES: usize = 40;

fn next(task: &Task<'_>, job: &Job, heard: &[Value]) -> Next {
    match (*task, heard) {
        (Task::Look, heard) => look(job, heard),
        (Task::Make(draft), []) => {
            let body = wanted(&draft.name, job, false, false);
            let call = Call::new(Method::Post, TOKENS).with(body);
            Next::Ask(Call { brings: Some(brought), ..call })
        }
        (Task::Make(_), [made, ..]) => {
            let id = text(made, "/result/id").and_then(|id| id.parse().ok());
            let fresh = id.zip(text(made, "/result/value").map(Secret::new));
            match fresh {
                Some(fresh) => Next::Done(Told { fresh: Some(fresh), ..Told::default() }),
                None => Next::Strange("the request for a token"),
            }
        }
        (Task::Change(made), []) => {
            let body = wanted(&made.name, job, true, made.has_old_form);
            Next::Ask(Call::new(Method::Put, of(made.id.as_str())).with(body))
        }
        (Task::End(id), []) => Next::Ask(Call::new(Method::Delete, of(id.as_str()))),
        (Task::Prove(_) | Task::Who, []) => Next::Ask(Call::new(Method::Get, of("verify"))),
        (Task::Prove(id), [verified, rest @ ..]) => {
            let is_it = text(verified, "/result/id") == Some(id.as_str())
                && text(verified, "/result/status") == Some("active");
            match job.records.get(rest.len()) {
                _ if !is_it => Next::Strange("the question whether the token works"),
                Some(record) => {
                    let (zone, host) = (&record.zone_id, &record.duty.host);
                    let path = format!("/zones/{zone}/dns_records?type=A&name={host}&per_page=5");
                    Next::Ask(Call::new(Method::Get, path))
                }
                None => Next::Done(Told::default()),
            }
        }
        (Task::Owner, heard) => owner(heard),
        (Task::Who, [verified, ..]) => {
            let id = text(verified, "/result/id").and_then(|id| id.parse().ok());
            Next::Done(Told { id, ..Told::default() })
        }
        (Task::Renew(_), _) => Next::Strange("what no token can be asked"),
        (Task::Change(_) | Task::End(_), [_, ..]) => Next::Done(Told::default()),
    }
}

/// A token with a name of its own, by which it is found if its answer is lost.
fn draft(job: &Job, number: &str, _: &str) -> Draft {
    let name = [&name_of(job), " ", number].concat();
    Draft { name, id: None, secret: None, has_address: false }
}

/// The Global API Key is hexadecimal, as no token is.
fn by_form(secret: &Secret) -> Option<Finding> {
    const KEY: usize = 37;
    let text = secret.expose();
    let is_key = text.len() == KEY && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| Finding::HasPower("is the Global API Key, which can do everything".to_owned()))
}

/// Whose the token is that asks. Only a user's is known to `/user/tokens`; that of an account sees no
/// zone but the account's.
fn owner(heard: &[Value]) -> Next {
    match heard {
        [] => Next::Ask(Call::new(Method::Get, of("verify"))),
        [verified] if text(verified, "/result/id").is_some() => Next::Done(Told::default()),
        [_] => Next::Ask(Call::new(Method::Get, "/zones?per_page=1")),
        [_, zones, ..] => {
            let id = text(zones, "/result/0/account/id");
            match id.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
                Some(id) => Next::Done(Told { owner: Some(id.to_owned()), ..Told::default() }),
                None => Next::Strange("the search for a zone of the account that owns the token"),
            }
        }
    }
}

/// The path of a request about the tokens of `account`; any other request is the same for every token.
fn owned(path: &str, account: &str) -> String {
    match path.strip_prefix("/user/") {
        Some(rest) => ["/accounts/", account, "/", rest].concat(),
        None => path.to_owned(),
    }
}

/// The path of one token, or of a question about the token that asks.
fn of(id: &str) -> String {
    [TOKENS, "/", id].concat()
}

/// The secret in the answer to the request for a token, so that it is hidden from then on.
fn brought(answer: &Answer) -> Option<Secret> {
    text(&tree_of(&answer.body)?, "/result/value").map(Secret::new)
}

/// The tokens, page by page.
fn look(job: &Job, heard: &[Value]) -> Next {
    let pages: Option<Vec<_>> = heard.iter().map(|page| page.get("result")?.as_array()).collect();
    let Some(pages) = pages else { return Next::Strange("the list of tokens") };
    let is_last = pages.last().is_some_and(|page| page.len() < PAGE) || pages.len() == PAGES;
    if !is_last {
        let path = format!("{TOKENS}?per_page={PAGE}&page={}", pages.len() + 1);
        return Next::Ask(Call::new(Method::Get, path));
    }
    let made: Option<Vec<_>> =
        pages.into_iter().flatten().map(|token| judged(job, token)).collect();
    match made {
        Some(made) => Next::Done(Told { made, ..Told::default() }),
        None => Next::Strange("the list of tokens"),
    }
}

/// The token that is to be made, or that one which exists is to become; `is_old` is the form of its
/// networks.
fn wanted(name: &str, job: &Job, exists: bool, is_old: bool) -> String {
    let mut text =
        ["{\"name\":", &quoted(name), ",\"policies\":[{\"effect\":\"allow\",\"resources\":{"]
            .concat();
    for (at, zone) in distinct_zones(job).iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        text += &[comma, &quoted(&[ZONE, zone].concat()), ":\"*\""].concat();
    }
    text += &["},\"permission_groups\":[{\"id\":\"", DNS_WRITE, "\"}]}]"].concat();
    if exists {
        text += ",\"status\":\"active\"";
    }
    if let Some(end) = job.expires {
        text += &[",\"expires_on\":\"", &iso8601(end), "\""].concat();
    }
    if let Some(subnets) = &job.subnets {
        // Older answers have another name for it.
        let name = if is_old { "request.ip" } else { "request_ip" };
        let list: Vec<String> = subnets.iter().map(|subnet| quoted(subnet)).collect();
        text += &[",\"condition\":{\"", name, "\":{\"in\":[", &list.join(","), "]}}"].concat();
    }
    text + "}"
}

/// The ids of the zones of the hosts, each once.
fn distinct_zones(job: &Job) -> Vec<&str> {
    let mut zones: Vec<&str> = Vec::new();
    for record in &job.records {
        if !zones.contains(&&*record.zone_id) {
            zones.push(&record.zone_id);
        }
    }
    zones
}

/// A token as the list shows it, judged for `job`; `None` if it is in another form.
fn judged(job: &Job, shown: &Value) -> Option<Made> {
    let moment = |name: &str| text(shown, name).and_then(parse_rfc3339);
    let condition = ["/condition/request_ip", "/condition/request.ip"];
    let networks = condition.iter().find_map(|name| shown.pointer(name));
    let list = |name: &str| {
        let texts = networks?.get(name)?.as_array()?.iter().filter_map(Value::as_str);
        let mut texts: Vec<String> = texts.map(str::to_owned).collect();
        order::sort(&mut texts);
        (!texts.is_empty()).then_some(texts)
    };
    let (findings, has_more) = judge(job, shown);
    let (name, ours) = (text(shown, "/name").unwrap_or_default(), name_of(job));
    let (subnets, expires) = (list("in"), moment("/expires_on"));
    let is_active = text(shown, "/status")? == "active";
    let is_too_much = |finding: &Finding| finding.weight() == Weight::TooPowerful;
    let is_right = is_active
        && !has_more
        && !findings.iter().any(|finding| is_too_much(finding) || finding.stops_the_job())
        && (&subnets, expires) == (&job.subnets, job.expires)
        && list("not_in").is_none()
        && text(shown, "/not_before").is_none();
    Some(Made {
        id: text(shown, "/id")?.parse().ok()?,
        is_for_job: name == ours || name.starts_with(&[&ours, " "].concat()),
        name: name.to_owned(),
        created: moment("/issued_on"),
        last_used: moment("/last_used_on"),
        expires,
        subnets,
        is_active,
        is_right,
        findings,
        has_old_form: shown.pointer(condition[1]).is_some(),
    })
}

/// What the policies of a token allow beyond `job`, and what they lack for it; also whether they have
/// more than Homing writes, harmless as it may be.
fn judge(job: &Job, shown: &Value) -> (Vec<Finding>, bool) {
    let zones: Vec<String> =
        job.records.iter().map(|record| [ZONE, &record.zone_id].concat()).collect();
    let (mut findings, mut writes, mut has_more) = (Vec::new(), Vec::new(), false);
    let policies = shown.get("policies").and_then(Value::as_array);
    for policy in policies.into_iter().flatten() {
        // A refusal takes rights away, so it is only not as Homing writes it.
        if text(policy, "/effect") != Some("allow") {
            has_more = true;
            continue;
        }
        let groups = policy.get("permission_groups").and_then(Value::as_array);
        let resources = policy.get("resources").and_then(Value::as_object);
        for group in groups.into_iter().flatten() {
            let id = text(group, "/id").unwrap_or_default();
            if HARMLESS.contains(&id) {
                has_more = true;
                continue;
            }
            let name = text(group, "/name").unwrap_or(id);
            let name = if id == DNS_WRITE { "DNS Write" } else { name };
            for (resource, of_it) in resources.into_iter().flatten() {
                if id == DNS_WRITE && zones.contains(resource) && of_it.is_string() {
                    writes.push(resource.clone());
                    continue;
                }
                let finding = if name.ends_with("API Tokens Write") {
                    Finding::ManagesTokens
                } else {
                    Finding::HasPower(format!("has the permission {name} for {}", reach(resource)))
                };
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    for (record, zone) in job.records.iter().zip(&zones) {
        let host = &record.duty.host;
        if writes.contains(zone) {
            let finding = Finding::WritesZone(record.duty.zone.clone());
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        } else {
            let lacks = |kind| Finding::Lacks { host: host.clone(), kind };
            findings.extend(record.duty.kinds().map(lacks));
        }
    }
    (findings, has_more)
}

/// What a resource is, in words.
fn reach(resource: &str) -> String {
    match resource.strip_prefix(ZONE) {
        Some("*") => "every zone".to_owned(),
        Some(id) => format!("the zone with the id {id}"),
        None if resource.ends_with(".*") => "every account".to_owned(),
        None => resource.rsplit_once('.').map_or(resource, |(_, id)| id).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::job;
    use super::*;
    use crate::core::time::Timestamp;

    /// The token that Homing makes for `job`, as the account shows it.
    fn shown(job: &Job) -> Value {
        let text = wanted("homing:dev1.example.com", job, false, false);
        let mut shown: Value = serde_json::from_str(&text).unwrap();
        shown["id"] = "1f".into();
        shown["status"] = "active".into();
        shown["issued_on"] = "2026-11-01T00:00:00Z".into();
        shown
    }

    fn words(made: &Made) -> Vec<String> {
        made.findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_token_is_for_the_zones_of_its_hosts_and_nothing_else() {
        let limited = Job {
            expires: Some(Timestamp::from_secs(1_827_446_400)),
            subnets: Some(vec!["192.0.2.0/24".to_owned()]),
            ..job("abc")
        };
        let read = |exists, is_old| -> Value {
            serde_json::from_str(&wanted("\"n\"", &limited, exists, is_old)).unwrap()
        };
        let body = read(false, false);
        assert_eq!((&body["name"], &body["status"]), (&json!("\"n\""), &Value::Null));
        assert_eq!(
            body["policies"][0]["resources"],
            json!({"com.cloudflare.api.account.zone.abc": "*"})
        );
        assert_eq!(body["policies"][0]["permission_groups"], json!([{"id": DNS_WRITE}]));
        assert_eq!(body["expires_on"], "2027-11-29T00:00:00Z");
        assert_eq!(body["condition"], json!({"request_ip": {"in": ["192.0.2.0/24"]}}));
        let body = read(true, true);
        assert_eq!(body["condition"], json!({"request.ip": {"in": ["192.0.2.0/24"]}}));
        assert_eq!(body["status"], "active");
        for job in [job("abc"), limited] {
            let made = judged(&job, &shown(&job)).unwrap();
            assert!(made.is_right, "{made:?}");
            assert_eq!(
                words(&made),
                ["may write every record of example.com: this server cannot limit it further"]
            );
        }
    }

    #[test]
    fn what_is_too_much_or_lacks_is_found() {
        let group = |id: &str, name: &str| json!({"id": id, "name": name});
        let zone = |id: &str| json!({format!("{ZONE}{id}"): "*"});
        let nested = json!({"com.cloudflare.api.account.77": {format!("{ZONE}*"): "*"}});
        let user = json!({"com.cloudflare.api.user.9": "*"});
        for (groups, resources, expect) in [
            (
                group(DNS_WRITE, "DNS Write"),
                zone("*"),
                "has the permission DNS Write for every zone",
            ),
            (
                group(DNS_WRITE, "DNS Write"),
                zone("other"),
                "has the permission DNS Write for the zone with the id other",
            ),
            (group(DNS_WRITE, "DNS Write"), nested, "has the permission DNS Write for 77"),
            (
                group("1", "Workers Scripts Write"),
                zone("abc"),
                "has the permission Workers Scripts Write for the zone with the id abc",
            ),
            (
                group("3", "Account API Tokens Write"),
                json!({"com.cloudflare.api.account.77": "*"}),
                "can create, change and delete tokens, so it can do everything",
            ),
            (
                group("2", "API Tokens Write"),
                user,
                "can create, change and delete tokens, so it can do everything",
            ),
        ] {
            let mut token = shown(&job("abc"));
            let policy =
                json!({"effect": "allow", "resources": resources, "permission_groups": [groups]});
            token["policies"].as_array_mut().unwrap().push(policy);
            let made = judged(&job("abc"), &token).unwrap();
            assert_eq!(words(&made)[0], expect);
            assert!(!made.is_right, "{expect}");
            token["policies"].as_array_mut().unwrap().remove(0);
            let made = judged(&job("abc"), &token).unwrap();
            assert!(
                words(&made).iter().any(|it| it.starts_with("may not write AAAA of dev1")),
                "{made:?}"
            );
        }
    }

    #[test]
    fn what_is_not_as_homing_makes_it_is_put_right() {
        type Drift = fn(&mut Value);
        let drifts: [Drift; 6] = [
            |token| {
                let more = json!([{"id": DNS_WRITE}, {"id": HARMLESS[1]}]);
                token["policies"][0]["permission_groups"] = more;
            },
            |token| token["expires_on"] = "2027-01-01T00:00:00Z".into(),
            |token| token["condition"] = json!({"request_ip": {"in": ["192.0.2.0/24"]}}),
            |token| token["condition"] = json!({"request_ip": {"not_in": ["192.0.2.0/24"]}}),
            |token| token["not_before"] = "2027-01-01T00:00:00Z".into(),
            |token| token["status"] = "disabled".into(),
        ];
        for drift in drifts {
            let mut token = shown(&job("abc"));
            drift(&mut token);
            assert!(!judged(&job("abc"), &token).unwrap().is_right, "{token}");
        }
    }

    #[test]
    fn a_token_that_no_user_owns_is_asked_about_at_the_account_of_its_zones() {
        let user = json!({"result": {"id": "1f", "status": "active"}});
        let zones = |id: &str| json!({"result": [{"id": "abc", "account": {"id": id}}]});
        let ask = |heard: &[Value]| match next(&Task::Owner, &job("abc"), heard) {
            Next::Ask(call) => call.path,
            Next::Done(told) => told.owner.unwrap_or_else(|| "a user".to_owned()),
            Next::Strange(what) => what.to_owned(),
        };
        assert_eq!(ask(&[]), "/user/tokens/verify");
        assert_eq!(ask(&[user]), "a user");
        assert_eq!(ask(&[Value::Null]), "/zones?per_page=1");
        assert_eq!(ask(&[Value::Null, zones("77")]), "77");
        for strange in [json!({"result": []}), zones("../x"), zones("")] {
            assert!(ask(&[Value::Null, strange]).starts_with("the search for a zone"));
        }
        assert_eq!(owned("/user/tokens/1f", "77"), "/accounts/77/tokens/1f");
        assert_eq!(owned("/zones/abc/dns_records", "77"), "/zones/abc/dns_records");
    }

    #[test]
    fn a_list_has_pages_and_another_form_is_no_list() {
        let page = |count: usize| json!({"result": vec![shown(&job("abc")); count]});
        let ask = |heard: &[Value]| match next(&Task::Look, &job("abc"), heard) {
            Next::Ask(call) => call.path,
            Next::Done(told) => told.made.len().to_string(),
            Next::Strange(what) => what.to_owned(),
        };
        assert_eq!(ask(&[]), "/user/tokens?per_page=50&page=1");
        assert_eq!(ask(&[page(50)]), "/user/tokens?per_page=50&page=2");
        assert_eq!(ask(&[page(50), page(1)]), "51");
        for strange in [
            json!({}),
            json!({"result": [{"id": "x"}]}),
            json!({"result": [{"id": "../x", "status": "active"}]}),
        ] {
            assert_eq!(ask(&[strange]), "the list of tokens");
        }
    }
}
