//! INWX's `DynDNS` accounts: each may update the records of one host and do nothing else.
//!
//! Source: INWX's API manual 2.10, dyndns (create, changepassword, list, delete). One host has one
//! account, so its password is changed in place. The manual names the fields of lists and not how they
//! are nested; both forms that it may mean are read.

use serde_json::Value;

use super::{Call, Draft, Made, Maker, Next, Task, Told};
use crate::core::protocol::Method;
use crate::core::secret::{Guarded, Secret};
use crate::core::token::finding::Finding;
use crate::core::token::job::Job;
use crate::core::token::{Duty, TokenId};
use crate::os::clock::parse_moment;

pub(super) const MAKER: Maker = Maker {
    noun: "login",
    management: "use the account's own login, or a sub-account, that may use the API without a second \
                 factor, and order DynDNS accounts (a subscription) if none is left",
    lost: "run the command again: it finds what may have been made",
    is_by_user: true,
    has_limits: false,
    shows_use: false,
    is_shared: false,
    takes_wildcards: false,
    asks_itself: false,
    is_listed: true,
    is_in_place: true,
    has_own_secret: true,
    finds_zones: false,
    entry: Some(("inwx-api", "/")),
    owned: None,
    draft,
    by_form: |_| None,
    next,
};

fn next(task: &Task<'_>, job: &Job, heard: &[Value]) -> Next {
    let Some(record) = job.records.first() else { return Next::Strange("a login without a host") };
    let duty = &record.duty;
    match (*task, heard) {
        (Task::Look, []) => Next::Ask(call("dyndns.list", "")),
        (Task::Look, [list, ..]) => look(duty, list),
        (Task::Make(draft), []) => {
            let host = format!(",\"hostname\":[\"{}\"]", duty.host);
            Next::Ask(with_password("dyndns.create", draft, &host))
        }
        (Task::Make(draft), [made, ..]) => {
            let id = made.pointer("/resData/accountId").and_then(id_in);
            match id.zip(draft.secret.clone()) {
                Some(fresh) => Next::Done(Told { fresh: Some(fresh), ..Told::default() }),
                None => Next::Strange("the request for a login"),
            }
        }
        (Task::Renew(draft), []) => Next::Ask(with_password("dyndns.changepassword", draft, "")),
        (Task::End(id), []) => {
            // Its form was checked when it was read; INWX wants a number.
            let id = id.as_str().parse::<u64>().unwrap_or_default();
            Next::Ask(call("dyndns.delete", &format!("\"accountId\":{id}")))
        }
        (Task::End(_) | Task::Renew(_), [_, ..]) => Next::Done(Told::default()),
        (Task::Change(_) | Task::Owner | Task::Prove(_) | Task::Who, _) => {
            Next::Strange("what no login of INWX can be asked")
        }
    }
}

fn call(method: &str, params: &str) -> Call {
    let body = ["{\"method\":\"", method, "\",\"params\":{", params, "}}"].concat();
    Call::new(Method::Post, "").with(body)
}

/// A login for the host; the number makes its name one that nobody has.
fn draft(job: &Job, number: &str, password: &str) -> Draft {
    const LONGEST: usize = 20;
    let host = job.records.first().map(|record| record.duty.host.as_str()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let host: String = host.chars().map(plain).take(LONGEST).collect();
    let name = format!("{host}-{number}");
    let secret = Some(Secret::new(&[&name, ":", password].concat()));
    Draft { name, id: None, secret, has_address: false }
}

/// A request that states the name and the password of `draft`, and `more` fields.
fn with_password(method: &str, draft: &Draft, more: &str) -> Call {
    let secret = draft.secret.as_ref().map(Secret::expose).unwrap_or_default();
    let password = secret.rsplit(':').next().unwrap_or_default();
    let name = &draft.name;
    let head =
        format!("{{\"method\":\"{method}\",\"params\":{{\"username\":\"{name}\",\"password\":\"");
    let mut body = Guarded::from(head);
    body.push_secret(&Secret::new(password), password);
    body.push("\"");
    body.push(more);
    body.push("}}");
    Call { body: Some(body), ..Call::new(Method::Post, "") }
}

/// The logins of the account.
fn look(duty: &Duty, list: &Value) -> Next {
    let data = list.get("resData").unwrap_or(&Value::Null);
    let rows = match data {
        Value::Array(rows) => Some(rows.as_slice()),
        Value::Null => Some(&[][..]),
        Value::Object(fields) if fields.contains_key("accountId") => {
            Some(std::slice::from_ref(data))
        }
        Value::Object(fields) => fields.values().find_map(Value::as_array).map(Vec::as_slice),
        _ => None,
    };
    let made = rows.map(|rows| rows.iter().map(|row| judged(duty, row)).collect::<Option<_>>());
    match made.flatten() {
        Some(made) => Next::Done(Told { made, ..Told::default() }),
        None => Next::Strange("the list of logins"),
    }
}

/// A login as the list shows it; `None` if it is in another form.
fn judged(duty: &Duty, row: &Value) -> Option<Made> {
    let mut names: Vec<&str> = Vec::new();
    let records = row.get("records").and_then(Value::as_array);
    for record in records.into_iter().flatten() {
        let known = ["hostname", "name", "record"].iter().find_map(|key| record.get(key)?.as_str());
        let name = known.or(record.as_str())?.trim_end_matches('.');
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let host = duty.host.as_str();
    let is_for_job = names.contains(&host);
    let mut findings: Vec<Finding> = Vec::new();
    if is_for_job {
        let others = names.iter().filter(|name| **name != host);
        findings.extend(others.map(|name| Finding::HasPower(format!("may update {name} as well"))));
    } else {
        let lacks = |kind| Finding::Lacks { host: duty.host.clone(), kind };
        findings.extend(duty.kinds().map(lacks));
    }
    Some(Made {
        id: row.get("accountId").and_then(id_in)?,
        name: row.get("username")?.as_str()?.to_owned(),
        created: row.get("created").and_then(Value::as_str).and_then(parse_moment),
        last_used: None,
        expires: None,
        subnets: None,
        is_for_job,
        is_active: true,
        is_right: findings.is_empty(),
        findings,
        has_old_form: false,
    })
}

/// The id in a value, which is a number, or its text.
fn id_in(value: &Value) -> Option<TokenId> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::job;
    use super::*;

    fn body(task: &Task<'_>) -> String {
        match next(task, &job("example.com"), &[]) {
            Next::Ask(call) => call.body.unwrap().to_string(),
            Next::Done(_) | Next::Strange(_) => "no request".to_owned(),
        }
    }

    #[test]
    fn a_login_is_made_for_one_host_and_its_password_is_changed() {
        let draft = draft(&job("example.com"), "7f3a", "s3cret");
        assert_eq!(draft.secret.as_ref().unwrap().expose(), "dev1-example-com-7f3a:s3cret");
        let params = "\"username\":\"dev1-example-com-7f3a\",\"password\":\"…\"";
        let create = format!(
            "{{\"method\":\"dyndns.create\",\"params\":{{{params},\"hostname\":[\"dev1.example.com\"]}}}}"
        );
        assert_eq!(body(&Task::Make(&draft)), create);
        let change = format!("{{\"method\":\"dyndns.changepassword\",\"params\":{{{params}}}}}");
        assert_eq!(body(&Task::Renew(&draft)), change);
        let made = [json!({"code": 1000, "resData": {"accountId": 7, "recordId": 9}})];
        let Next::Done(told) = next(&Task::Make(&draft), &job("example.com"), &made) else {
            panic!("not done")
        };
        assert_eq!(told.fresh.unwrap().0.as_str(), "7");
        let id = "7".parse().unwrap();
        let end = "{\"method\":\"dyndns.delete\",\"params\":{\"accountId\":7}}";
        assert_eq!(body(&Task::End(&id)), end);
    }

    #[test]
    fn a_list_is_read_in_each_form_that_the_manual_may_mean() {
        let row = |records: Value| json!({"accountId": 7, "username": "x", "records": records});
        let own = row(json!([{"hostname": "dev1.example.com"}]));
        let told =
            |data: Value| match next(&Task::Look, &job("example.com"), &[json!({"resData": data})])
            {
                Next::Done(told) => told.made,
                Next::Ask(_) | Next::Strange(_) => panic!("not read"),
            };
        for data in [json!([own]), json!({"count": 1, "dyndns": [own]}), own.clone()] {
            let made = told(data);
            assert!(made.len() == 1 && made[0].is_right && made[0].is_for_job, "{made:?}");
        }
        assert!(told(Value::Null).is_empty());
        let both = row(json!(["dev1.example.com", "www.example.com"]));
        let made = told(json!([both]));
        assert_eq!(made[0].findings[0].to_string(), "may update www.example.com as well");
        let other = told(json!([row(json!([{"name": "www.example.com."}]))]));
        assert!(!other[0].is_for_job && other[0].findings[0].stops_the_job());
        let strange = [json!({"resData": [{"username": "x"}]})];
        assert!(matches!(next(&Task::Look, &job("example.com"), &strange), Next::Strange(_)));
    }
}
