//! The policies of the old API: `auth/tokens/ID/policies/domain/…`, one row for each zone.
//!
//! Pure. Access as in `policies`; forms and sentences: deSEC as before December 2023, recorded
//! August 2026.

use super::call::{Call, Refusal, description};
use super::fields::Fields;
use super::http::Answer;
use super::json::Value;
use super::policies::{domain, reader, store, token};
use super::token::{Token, ZonePolicy};

/// `policies/domain/`.
pub fn list(call: &mut Call<'_>, id: &str) -> Result<Answer, Refusal> {
    reader(call, id)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let rows = token(call, id)?.zone_policies.iter().map(shown).collect();
            Ok(Answer::json(200, &Value::List(rows).to_string()))
        }
        "POST" => {
            token(call, id)?;
            let mut row = ZonePolicy::deny_all();
            change(call, &mut row, false)?;
            let token = token(call, id)?;
            check_unique(call, token, &row)?;
            if token.zone_policies.is_empty() && row.domain.is_some() {
                let text = "Policy precedence: The first policy must be the default policy.";
                return Err(Refusal::field("domain", text));
            }
            let answer = Answer::json(201, &shown(&row).to_string());
            store(call, id, |token| token.zone_policies.push(row));
            Ok(answer)
        }
        "OPTIONS" => Ok(description("Token Domain Policy List")),
        _ => Err(call.no_such_method()),
    }
}

/// `policies/domain/ZONE/`, or `…/default/`.
pub fn one(call: &mut Call<'_>, id: &str, name: &str) -> Result<Answer, Refusal> {
    reader(call, id)?;
    let wanted = (name != "default").then_some(name);
    let row = |call: &Call<'_>| {
        let rows = &token(call, id)?.zone_policies;
        let found = rows.iter().find(|row| row.domain.as_deref() == wanted).cloned();
        found.ok_or_else(|| call.not_found("TokenDomainPolicy"))
    };
    match call.request.method.as_str() {
        "GET" | "HEAD" => Ok(Answer::json(200, &shown(&row(call)?).to_string())),
        method @ ("PATCH" | "PUT") => {
            let before = row(call)?;
            let mut after = before.clone();
            change(call, &mut after, method == "PATCH")?;
            if before.domain != after.domain {
                check_unique(call, token(call, id)?, &after)?;
            }
            if before.domain.is_none() && after.domain.is_some() {
                let text =
                    "Policy precedence: Can't disable default policy when there exist others.";
                return Err(Refusal::field("domain", text));
            }
            let answer = Answer::json(200, &shown(&after).to_string());
            store(call, id, |token| {
                for row in token.zone_policies.iter_mut().filter(|row| **row == before) {
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
            if row.domain.is_none() && token(call, id)?.zone_policies.len() > 1 {
                let text =
                    "Policy precedence: Can't delete default policy when there exist others.";
                return Err(Refusal::field("domain", text));
            }
            store(call, id, |token| token.zone_policies.retain(|known| *known != row));
            Ok(Answer::empty(204))
        }
        "OPTIONS" => Ok(description("Token Domain Policy Instance")),
        _ => Err(call.no_such_method()),
    }
}

/// Sets on `row` what the body says.
fn change(call: &Call<'_>, row: &mut ZonePolicy, partial: bool) -> Result<(), Refusal> {
    let body = call.object()?;
    let mut fields = Fields::of(&body, partial);
    if let Some(value) = fields.required("domain") {
        match domain(call.account, value) {
            Ok(domain) => row.domain = domain,
            Err(text) => fields.complain("domain", &[text]),
        }
    }
    if let Some(perm_dyndns) = fields.boolean("perm_dyndns") {
        row.perm_dyndns = perm_dyndns;
    }
    if let Some(perm_rrsets) = fields.boolean("perm_rrsets") {
        row.perm_rrsets = perm_rrsets;
    }
    fields.finish()
}

fn check_unique(call: &Call<'_>, token: &Token, row: &ZonePolicy) -> Result<(), Refusal> {
    if !token.zone_policies.iter().any(|known| known.domain == row.domain) {
        return Ok(());
    }
    let id = &token.id;
    let zone = row.domain.as_deref().and_then(|name| call.account.zone(name));
    let broken = match zone {
        None => format!("\"unique_entry_null_domain\"\nDETAIL:  Key (token_id)=({id})"),
        Some(zone) => {
            let number = zone.number;
            format!("\"unique_entry\"\nDETAIL:  Key (token_id, domain_id)=({id}, {number})")
        }
    };
    let start = "Conflict: duplicate key value violates unique constraint";
    Err(Refusal::Detail(409, format!("{start} {broken} already exists.")))
}

fn shown(row: &ZonePolicy) -> Value {
    Value::object([
        ("domain", row.domain.as_deref().into()),
        ("perm_dyndns", row.perm_dyndns.into()),
        ("perm_rrsets", row.perm_rrsets.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::api::Api;
    use super::super::rest::testing::Lab;

    fn legacy() -> Lab {
        let mut lab = Lab::new();
        lab.account.api = Api::Legacy;
        lab
    }

    #[test]
    fn what_the_old_server_did_not_know_has_no_effect() {
        let mut lab = legacy();
        let body = "{\"name\":\"new\",\"auto_policy\":true,\"perm_create_domain\":true}";
        let made = lab.ok("management", "POST", "/auth/tokens/", body);
        for unknown in ["owner", "mfa", "user_override", "auto_policy", "perm_create_domain"] {
            assert_eq!(made.get(unknown), None);
        }
        let token = lab.account.token_by_name("new").unwrap();
        assert!(!token.auto_policy && token.policies.is_empty() && token.zone_policies.is_empty());
    }

    #[test]
    fn a_token_without_policies_registers_and_removes_zones_and_no_other_does() {
        let mut lab = legacy();
        let forbidden = "{\"detail\":\"You do not have permission to perform this action.\"}";
        for name in ["/domains/example.com/", "/domains/probe.invalid/"] {
            assert_eq!(lab.ask("dev1", "DELETE", name, ""), (403, forbidden.to_owned()));
        }
        let new = "{\"name\":\"new.example\"}";
        for body in ["{}", new] {
            assert_eq!(lab.ask("dev1", "POST", "/domains/", body), (403, forbidden.to_owned()));
        }
        assert_eq!(lab.ask("management", "POST", "/domains/", new).0, 201);
        assert_eq!(lab.ask("management", "DELETE", "/domains/new.example/", "").0, 204);
    }

    #[test]
    fn record_sets_are_for_tokens_with_perm_rrsets_even_to_read() {
        let mut lab = legacy();
        let list = "/domains/example.com/rrsets/";
        for method in ["GET", "PATCH", "OPTIONS"] {
            assert_eq!(lab.ask("dev1", method, list, "[]").0, 403);
            assert_eq!(lab.ask("management", method, list, "[]").0, 200);
        }
        assert_eq!(lab.ask("dev1", "GET", "/domains/example.com/zonefile/", "").0, 403);
        let id = lab.account.token_by_name("dev1").unwrap().id.clone();
        let row = format!("/auth/tokens/{id}/policies/domain/example.com/");
        lab.ok("management", "PATCH", &row, "{\"perm_rrsets\":true}");
        let item =
            "[{\"subname\":\"any\",\"type\":\"TXT\",\"ttl\":3600,\"records\":[\"\\\"x\\\"\"]}]";
        lab.ok("dev1", "PATCH", list, item);
        assert_eq!(lab.account.records("any.example.com", "TXT"), ["\"x\""]);
    }

    #[test]
    fn a_zone_takes_its_policies_along() {
        let mut lab = legacy();
        lab.ok("management", "GET", "/domains/example.com/", "");
        assert_eq!(lab.ask("management", "DELETE", "/domains/example.com/", "").0, 204);
        assert_eq!(lab.account.token_by_name("dev1").unwrap().zone_policies.len(), 1);
    }
}
