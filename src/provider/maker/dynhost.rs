//! OVHcloud's `DynHost` logins: each may update the address of one sub-domain and do nothing else.
//!
//! Source: OVHcloud's API (eu.api.ovh.com/console, /domain/zone/{zoneName}/dynHost) as its own
//! ovh/terraform-provider-ovh uses it (`domain_zone_dynhost_login`, `domain_zone_dynhost_record`). A login is
//! called after its zone: `ZONE-SUFFIX`.

use std::net::IpAddr;

use serde_json::Value;

use super::{Call, Draft, Made, Maker, Next, Task, Told, text};
use crate::core::address::Family;
use crate::core::protocol::{Method, query_value};
use crate::core::secret::{Guarded, Secret};
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;
use crate::core::token::{Duty, TokenId};

pub(super) const MAKER: Maker = Maker {
    noun: "login",
    management: "make an application key at https://eu.api.ovh.com/createToken/ with the rules GET \
                 /domain/zone/ZONE, POST /domain/zone/ZONE/refresh, and GET, POST, PUT and DELETE \
                 /domain/zone/ZONE/dynHost/*; its file holds APPLICATION_KEY:APPLICATION_SECRET:\
                 CONSUMER_KEY",
    lost: "run the command again: it finds what may have been made",
    is_listed: true,
    is_in_place: false,
    has_own_secret: true,
    finds_zones: true,
    is_by_user: false,
    has_limits: false,
    shows_use: false,
    is_shared: false,
    // There, * is every name of the zone.
    takes_wildcards: false,
    asks_itself: false,
    entry: Some(("ovh-api", "")),
    owned: None,
    draft,
    by_form: |_| None,
    next,
};

/// What is written where the host has no address yet: a login updates only what is there.
const PLACEHOLDERS: [(Family, &str); 2] = [(Family::V4, "192.0.2.1"), (Family::V6, "2001:db8::1")];

fn next(task: &Task<'_>, job: &Job, heard: &[Value]) -> Next {
    let Some(record) = job.records.first() else { return Next::Strange("a login without a host") };
    let duty = &record.duty;
    let of = |rest: &str| format!("/domain/zone/{}/dynHost/{rest}", duty.zone);
    let login = |id: &TokenId| of(&format!("login/{}-{id}", duty.zone));
    match (*task, heard) {
        (Task::Look, heard) => look(duty, &of, heard),
        (Task::Make(draft), heard) => make(duty, &of, draft, heard.len()),
        (Task::Change(made), []) => {
            let body = ["{\"subDomain\":\"", duty.subname(), "\"}"].concat();
            Next::Ask(Call::new(Method::Put, login(&made.id)).with(body))
        }
        (Task::End(id), []) => Next::Ask(Call::new(Method::Delete, login(id))),
        (Task::Change(_) | Task::End(_), [_, ..]) => Next::Done(Told::default()),
        (Task::Owner | Task::Prove(_) | Task::Renew(_) | Task::Who, _) => {
            Next::Strange("a login, which may ask nothing")
        }
    }
}

/// A login for the host, and its password.
fn draft(job: &Job, number: &str, password: &str) -> Draft {
    const LONGEST: usize = 20;
    let duty = job.records.first().map(|record| &record.duty);
    let (zone, sub) = duty.map(|duty| (duty.zone.as_str(), duty.subname())).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let sub: String = sub.chars().map(plain).take(LONGEST).collect();
    let suffix =
        if sub.is_empty() { format!("homing-{number}") } else { format!("{sub}-{number}") };
    let name = [zone, "-", &suffix].concat();
    let secret = Some(Secret::new(&[&name, ":", password].concat()));
    Draft { name, id: suffix.parse().ok(), secret, has_address: false }
}

/// The logins of the zone, then the addresses of the host.
fn look(duty: &Duty, of: &dyn Fn(&str) -> String, heard: &[Value]) -> Next {
    let strange = Next::Strange("the list of logins");
    let get = |path: String| Next::Ask(Call::new(Method::Get, path));
    let [logins, shown @ ..] = heard else { return get(of("login")) };
    let Some(logins) = logins.as_array() else { return strange };
    if let Some(login) = logins.get(shown.len()) {
        let Some(login) = login.as_str() else { return strange };
        return get(of(&["login/", &query_value(login)].concat()));
    }
    let (shown, addresses) = shown.split_at(logins.len());
    let [ids, addresses @ ..] = addresses else {
        return get(of(&["record?subDomain=", &query_value(duty.subname())].concat()));
    };
    let Some(ids) = ids.as_array() else { return Next::Strange("the list of DynHost records") };
    if let Some(id) = ids.get(addresses.len()) {
        let Some(id) = id.as_u64() else { return Next::Strange("the list of DynHost records") };
        return get(of(&format!("record/{id}")));
    }
    // An empty name may list the records of all names.
    let is_own = |record: &&Value| {
        record.get("subDomain").and_then(Value::as_str).unwrap_or_default() == duty.subname()
    };
    let own = addresses.iter().filter(is_own);
    let stands: Vec<IpAddr> = own.filter_map(|record| text(record, "/ip")?.parse().ok()).collect();
    let made = shown.iter().filter_map(|login| judged(duty, login)).collect();
    Next::Done(Told { made, stands, ..Told::default() })
}

/// A login as the account shows it; `None` if its name is not of the form that logins have.
fn judged(duty: &Duty, shown: &Value) -> Option<Made> {
    let name = text(shown, "/login")?;
    let id = name.strip_prefix(duty.zone.as_str())?.strip_prefix('-')?.parse().ok()?;
    let sub = shown.get("subDomain").and_then(Value::as_str).unwrap_or_default();
    let is_right = sub == duty.subname();
    let findings = match sub {
        "*" => vec![Finding::HasPower(format!("may update every DynHost name of {}", duty.zone))],
        _ if is_right => Vec::new(),
        _ => duty.kinds().map(|kind| Finding::Lacks { host: duty.host.clone(), kind }).collect(),
    };
    Some(Made {
        id,
        name: name.to_owned(),
        created: None,
        last_used: None,
        expires: None,
        subnets: None,
        is_for_job: is_right,
        is_active: true,
        is_right,
        findings,
        has_old_form: false,
    })
}

/// The record of the host, where there is none, then the login.
fn make(duty: &Duty, of: &dyn Fn(&str) -> String, draft: &Draft, at: usize) -> Next {
    let sub = duty.subname();
    let begun = if draft.has_address { 2 } else { 0 };
    match begun + at {
        0 => {
            let ip = PLACEHOLDERS.into_iter().find(|(family, _)| duty.families[*family]);
            let ip = ip.map(|(_, ip)| ip).unwrap_or_default();
            let body = ["{\"ip\":\"", ip, "\",\"subDomain\":\"", sub, "\"}"].concat();
            Next::Ask(Call::new(Method::Post, of("record")).with(body))
        }
        1 => Next::Ask(Call::new(Method::Post, format!("/domain/zone/{}/refresh", duty.zone))),
        2 => {
            let (Some(id), Some(secret)) = (&draft.id, &draft.secret) else {
                return Next::Strange("a login without a name");
            };
            let password = secret.expose().rsplit(':').next().unwrap_or_default();
            let head =
                format!("{{\"loginSuffix\":\"{id}\",\"subDomain\":\"{sub}\",\"password\":\"");
            let mut body = Guarded::from(head);
            body.push_secret(&Secret::new(password), password);
            body.push("\"}");
            Next::Ask(Call { body: Some(body), ..Call::new(Method::Post, of("login")) })
        }
        _ => Next::Done(Told::default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::token::job::Record;

    fn job(host: &str) -> Job {
        let families = PerFamily { v4: true, v6: true };
        let (host, zone) = (host.parse().unwrap(), "example.com".parse().unwrap());
        let duty = Duty { host, zone, families };
        let record = Record { duty, zone_id: "example.com".to_owned(), removes: false };
        Job { records: vec![record], expires: None, subnets: None }
    }

    fn asked(task: &Task<'_>, job: &Job, heard: &[Value]) -> String {
        match next(task, job, heard) {
            Next::Ask(Call { method, path, body, .. }) => {
                let body = body.map(|body| body.to_string()).unwrap_or_default();
                format!("{} {path} {body}", method.as_str()).trim_end().to_owned()
            }
            Next::Done(told) => format!("{:?} {:?}", told.made, told.stands),
            Next::Strange(what) => what.to_owned(),
        }
    }

    #[test]
    fn a_login_is_made_for_one_sub_domain_after_its_record() {
        let job = job("a.b.example.com");
        let draft = draft(&job, "7f3a", "s3cret");
        assert_eq!(draft.secret.as_ref().unwrap().expose(), "example.com-a-b-7f3a:s3cret");
        let ask = |at: usize| asked(&Task::Make(&draft), &job, &vec![Value::Null; at]);
        let base = "/domain/zone/example.com";
        assert_eq!(
            ask(0),
            format!("POST {base}/dynHost/record {{\"ip\":\"192.0.2.1\",\"subDomain\":\"a.b\"}}")
        );
        assert_eq!(ask(1), format!("POST {base}/refresh"));
        let login = "{\"loginSuffix\":\"a-b-7f3a\",\"subDomain\":\"a.b\",\"password\":\"…\"}";
        assert_eq!(ask(2), format!("POST {base}/dynHost/login {login}"));
        let beside = Draft { has_address: true, ..draft.clone() };
        assert_eq!(asked(&Task::Make(&beside), &job, &[]), ask(2));
        let id = draft.id.unwrap();
        assert_eq!(
            asked(&Task::End(&id), &job, &[]),
            format!("DELETE {base}/dynHost/login/example.com-a-b-7f3a")
        );
    }

    #[test]
    fn logins_are_listed_one_by_one_and_judged_by_their_sub_domain() {
        let job = job("dev1.example.com");
        let logins = json!(["example.com-x", "example.com-all", "other"]);
        let shown = |login: &str, sub: &str| json!({"login": login, "subDomain": sub, "zone": "example.com"});
        let mut heard = vec![logins];
        let base = "/domain/zone/example.com/dynHost";
        assert_eq!(asked(&Task::Look, &job, &[]), format!("GET {base}/login"));
        assert_eq!(asked(&Task::Look, &job, &heard), format!("GET {base}/login/example.com-x"));
        heard.extend([
            shown("example.com-x", "dev1"),
            shown("example.com-all", "*"),
            shown("other", "dev1"),
        ]);
        assert_eq!(asked(&Task::Look, &job, &heard), format!("GET {base}/record?subDomain=dev1"));
        heard.push(json!([7]));
        assert_eq!(asked(&Task::Look, &job, &heard), format!("GET {base}/record/7"));
        heard.push(json!({"id": 7, "subDomain": "dev1", "ip": "192.0.2.7"}));
        let Next::Done(told) = next(&Task::Look, &job, &heard) else { panic!("not done") };
        assert_eq!(told.stands, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let [own, all] = &told.made[..] else { panic!("{:?}", told.made) };
        assert!(own.is_right && own.is_for_job && own.findings.is_empty(), "{own:?}");
        assert!(!all.is_right && !all.is_for_job, "{all:?}");
        assert_eq!(all.findings[0].to_string(), "may update every DynHost name of example.com");
        for strange in [json!({}), json!([7])] {
            assert_eq!(asked(&Task::Look, &job, &[strange]), "the list of logins");
        }
    }
}
