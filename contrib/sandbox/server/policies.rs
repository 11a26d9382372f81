//! The endpoints for a token's policies: `auth/tokens/ID/policies/…`.
//!
//! Pure. A token may read its own; everything else needs one that may manage tokens. Forms,
//! sentences and order of checks: deSEC, recorded August 2026. The old API's are in `legacy`.

use super::account::Account;
use super::api::Api;
use super::call::{Call, Refusal, description};
use super::chance::canonical_uuid;
use super::fields::{Fields, kind_complaints, subname_complaints};
use super::http::Answer;
use super::json::Value;
use super::throttle::Scope;
use super::token::{Policy, Token};

/// `policies/`: the link to what the server has below.
pub fn root(call: &mut Call<'_>, id: &str) -> Result<Answer, Refusal> {
    reader(call, id)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let name = match call.account.api {
                Api::Current => "rrsets",
                Api::Legacy => "domain",
            };
            let link = call.link(&format!("auth/tokens/{id}/policies/{name}/"));
            Ok(Answer::json(200, &Value::object([(name, Value::from(link))]).to_string()))
        }
        "OPTIONS" => Ok(description("Token Policies Root")),
        _ => Err(call.no_such_method()),
    }
}

/// `policies/rrsets/`.
pub fn list(call: &mut Call<'_>, id: &str) -> Result<Answer, Refusal> {
    reader(call, id)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let mut rows: Vec<&Policy> = token(call, id)?.policies.iter().collect();
            // `None` last, as the database has it.
            rows.sort_by_key(|row| {
                let (domain, subname, kind) = row.key();
                [(domain.is_none(), domain), (subname.is_none(), subname), (kind.is_none(), kind)]
            });
            let rows = Value::List(rows.into_iter().map(shown).collect());
            Ok(Answer::json(200, &rows.to_string()))
        }
        "POST" => {
            token(call, id)?;
            let body = call.object()?;
            let mut row = Policy::deny_all();
            change(call.account, &mut row, &body, false)?;
            let token = token(call, id)?;
            check_unique(call.account, token, &row)?;
            if token.policies.is_empty() && !row.is_default() {
                let text = "Policy precedence: The first policy must be the default policy.";
                return Err(Refusal::request(text));
            }
            let answer = Answer::json(201, &shown(&row).to_string());
            check_auto_policy(token, &row)?;
            store(call, id, |token| token.policies.push(row));
            Ok(answer)
        }
        "OPTIONS" => Ok(description("Token Domain Policy List")),
        _ => Err(call.no_such_method()),
    }
}

/// `policies/rrsets/ID/`.
pub fn one(call: &mut Call<'_>, id: &str, row_id: &str) -> Result<Answer, Refusal> {
    reader(call, id)?;
    let model = if canonical_uuid(row_id).is_some() { "TokenDomainPolicy" } else { "" };
    let row_id = &canonical_uuid(row_id).unwrap_or_default();
    let row = |call: &Call<'_>| {
        let found = token(call, id)?.policies.iter().find(|row| row.id == *row_id).cloned();
        found.ok_or_else(|| call.not_found(model))
    };
    match call.request.method.as_str() {
        "GET" | "HEAD" => Ok(Answer::json(200, &shown(&row(call)?).to_string())),
        method @ ("PATCH" | "PUT") => {
            let before = row(call)?;
            let mut after = before.clone();
            change(call.account, &mut after, &call.object()?, method == "PATCH")?;
            let token = token(call, id)?;
            check_unique(call.account, token, &after)?;
            if before.is_default() && !after.is_default() {
                let text = "When using policies, there must be exactly one default policy.";
                return Err(Refusal::request(text));
            }
            check_auto_policy(token, &after)?;
            let answer = Answer::json(200, &shown(&after).to_string());
            store(call, id, |token| {
                for row in token.policies.iter_mut().filter(|row| row.id == *row_id) {
                    *row = after.clone();
                }
            });
            Ok(answer)
        }
        "DELETE" => {
            // What is not there is deleted.
            let Ok(row) = row(call) else {
                return Ok(Answer::empty(204));
            };
            let token = token(call, id)?;
            if row.is_default() && token.policies.len() > 1 {
                let text =
                    "Policy precedence: Can't delete default policy when there exist others.";
                return Err(Refusal::request(text));
            }
            if row.is_default() && token.auto_policy {
                let text =
                    "Can't delete default policy when auto_policy is in effect for the token.";
                return Err(Refusal::request(text));
            }
            store(call, id, |token| token.policies.retain(|row| row.id != *row_id));
            Ok(Answer::empty(204))
        }
        "OPTIONS" => Ok(description("Token Domain Policy Instance")),
        _ => Err(call.no_such_method()),
    }
}

/// Lets a token in that may manage tokens, or to read the policies of the token `id` that token.
pub fn reader(call: &mut Call<'_>, id: &str) -> Result<(), Refusal> {
    let token = call.enter()?;
    let own = call.is_safe() && token.id == id;
    if !own && !token.perm_manage_tokens {
        return Err(Refusal::permission());
    }
    call.throttle(Scope::AccountManagementPassive)
}

/// The token whose policies these are.
pub fn token<'a>(call: &'a Call<'_>, id: &str) -> Result<&'a Token, Refusal> {
    call.account.token_by_id(id).ok_or_else(|| call.not_found("Token"))
}

/// Changes the token, which was found before.
pub fn store(call: &mut Call<'_>, id: &str, change: impl FnOnce(&mut Token)) {
    if let Some(token) = call.account.token_by_id_mut(id) {
        change(token);
    }
}

/// The zone that a policy names, or that it names none, or the complaint.
pub fn domain(account: &Account, value: &Value) -> Result<Option<String>, String> {
    let name = match value {
        Value::Null => return Ok(None),
        // As Django REST framework does with every reference.
        Value::String(name) if name.is_empty() => return Ok(None),
        Value::String(name) => name,
        Value::Number(number) => &number.to_string(),
        Value::Bool(_) | Value::List(_) | Value::Object(_) => return Err("Invalid value.".into()),
    };
    match account.zone(name) {
        Some(zone) => Ok(Some(zone.name.clone())),
        None => Err(format!("Object with name={name} does not exist.")),
    }
}

/// Sets on `row` what the body says.
fn change(account: &Account, row: &mut Policy, body: &Value, partial: bool) -> Result<(), Refusal> {
    let mut fields = Fields::of(body, partial);
    if let Some(value) = fields.required("domain") {
        match domain(account, value) {
            Ok(domain) => row.domain = domain,
            Err(text) => fields.complain("domain", &[text]),
        }
    }
    fields.required("subname");
    if let Some(subname) = fields.text_or_null("subname", 178) {
        let complaints = subname.as_deref().map(subname_complaints).unwrap_or_default();
        fields.complain("subname", &complaints);
        row.subname = subname;
    }
    fields.required("type");
    if let Some(kind) = fields.text_or_null("type", 10) {
        let complaints = kind.as_deref().map(kind_complaints).unwrap_or_default();
        fields.complain("type", &complaints);
        row.kind = kind;
    }
    if let Some(perm_write) = fields.boolean("perm_write") {
        row.perm_write = perm_write;
    }
    fields.finish()
}

fn check_unique(account: &Account, token: &Token, row: &Policy) -> Result<(), Refusal> {
    if !token.policies.iter().any(|known| known.id != row.id && known.key() == row.key()) {
        return Ok(());
    }
    let number = row.domain.as_deref().and_then(|name| account.zone(name));
    let number = number.map_or("null".to_owned(), |zone| zone.number.to_string());
    let or_null = |text: &Option<String>| text.clone().unwrap_or("null".to_owned());
    Err(Refusal::Detail(
        409,
        format!(
            "Conflict: duplicate key value violates unique constraint \"unique_policy\"\n\
             DETAIL:  Key (token_id, domain_id, subname, type)=({}, {number}, {}, {}) already \
             exists.",
            token.id,
            or_null(&row.subname),
            or_null(&row.kind),
        ),
    ))
}

fn check_auto_policy(token: &Token, row: &Policy) -> Result<(), Refusal> {
    if token.auto_policy && row.is_default() && row.perm_write {
        let text = "Must be false when auto_policy is in effect for the token.";
        return Err(Refusal::field("perm_write", text));
    }
    Ok(())
}

fn shown(row: &Policy) -> Value {
    Value::object([
        ("id", Value::from(row.id.as_str())),
        ("domain", row.domain.as_deref().into()),
        ("subname", row.subname.as_deref().into()),
        ("type", row.kind.as_deref().into()),
        ("perm_write", row.perm_write.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::rest::testing::Lab;
    use super::*;

    /// A lab with a token `new`, made with these flags; and the path of its policies.
    fn with_token(flags: &str) -> (Lab, String) {
        let mut lab = Lab::new();
        let made = lab.ok("management", "POST", "/auth/tokens/", flags);
        let id = made.get("id").unwrap().to_string().replace('"', "");
        (lab, format!("/auth/tokens/{id}/policies/rrsets/"))
    }

    fn id_of(row: &Value) -> String {
        row.get("id").unwrap().to_string().replace('"', "")
    }

    #[test]
    fn with_auto_policy_a_token_is_never_without_its_default() {
        let (mut lab, path) = with_token("{\"name\":\"new\",\"auto_policy\":true}");
        assert_eq!(lab.account.token_by_name("new").unwrap().policies, [Policy::deny_all()]);
        let Value::List(rows) = lab.ok("management", "GET", &path, "") else {
            panic!("no list");
        };
        let default = format!("{path}{}/", id_of(&rows[0]));
        let relax = lab.ask("management", "PATCH", &default, "{\"perm_write\":true}");
        assert_eq!(relax.0, 400, "{}", relax.1);
        assert_eq!(lab.ask("management", "DELETE", &default, "").0, 400);
        let deny = "{\"domain\":null,\"subname\":null,\"type\":null}";
        assert_eq!(lab.ask("management", "POST", &path, deny).0, 409);
        let row =
            "{\"domain\":\"example.com\",\"subname\":\"new\",\"type\":\"A\",\"perm_write\":true}";
        lab.ok("management", "POST", &path, row);

        let token = path.replace("policies/rrsets/", "");
        lab.ok("management", "PATCH", &token, "{\"auto_policy\":false}");
        assert_eq!(lab.account.token_by_name("new").unwrap().policies.len(), 2);
        lab.ok("management", "PATCH", &default, "{\"perm_write\":true}");
        let again = lab.ask("management", "PATCH", &token, "{\"auto_policy\":true}");
        assert_eq!(again.0, 400, "{}", again.1);
    }

    #[test]
    fn the_last_policy_may_be_deleted_and_the_token_writes_everything_again() {
        let (mut lab, path) = with_token("{\"name\":\"new\"}");
        let deny = "{\"domain\":null,\"subname\":null,\"type\":null}";
        let default = format!("{path}{}/", id_of(&lab.ok("management", "POST", &path, deny)));
        assert!(!lab.account.token_by_name("new").unwrap().may_write("example.com", "", "NS"));
        assert_eq!(lab.ask("management", "DELETE", &default, "").0, 204);
        assert!(lab.account.token_by_name("new").unwrap().may_write("example.com", "", "NS"));
    }

    #[test]
    fn a_default_that_allows_is_taken() {
        let (mut lab, path) = with_token("{}");
        let allow = "{\"domain\":\"\",\"subname\":null,\"type\":null,\"perm_write\":\"true\"}";
        let row = lab.ok("management", "POST", &path, allow);
        assert_eq!(row.get("domain"), Some(&Value::Null));
        assert_eq!(row.get("perm_write"), Some(&Value::Bool(true)));
    }

    #[test]
    fn a_token_reads_its_own_policies_one_by_one_and_changes_none() {
        let mut lab = Lab::new();
        let token = lab.account.token_by_name("dev1").unwrap().clone();
        let path = format!("/auth/tokens/{}/policies/rrsets/", token.id);
        let row = format!("{path}{}/", token.policies[1].id);
        assert_eq!(lab.ask("dev1", "GET", &row, "").0, 200);
        assert_eq!(lab.ask("dev1", "OPTIONS", &row, "").0, 200);
        for method in ["PATCH", "PUT", "DELETE"] {
            assert_eq!(lab.ask("dev1", method, &row, "{}").0, 403);
        }
        assert_eq!(lab.account.token_by_name("dev1").unwrap().policies, token.policies);
    }

    #[test]
    fn an_unknown_token_has_no_policies_to_add_to_and_none_to_delete() {
        let mut lab = Lab::new();
        let nobody = "/auth/tokens/00000000-0000-4000-8000-000000000000/policies/rrsets/";
        assert_eq!(lab.ask("management", "POST", nobody, "{}").0, 404);
        let row = format!("{nobody}00000000-0000-4000-8000-000000000000/");
        assert_eq!(lab.ask("management", "DELETE", &row, "").0, 204);
    }
}
