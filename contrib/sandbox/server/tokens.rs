//! The endpoints for the account itself and for its tokens.
//!
//! Pure. All of them but the way out need a token that may manage tokens. Forms and order of
//! checks: deSEC, recorded August 2026.

use super::api::Api;
use super::calendar::{OPENED, duration_text, timestamp};
use super::call::{Call, Refusal, description};
use super::chance::{self, canonical_uuid};
use super::fields::Fields;
use super::http::Answer;
use super::json::Value;
use super::paging;
use super::throttle::Scope;
use super::token::{Policy, Token};

/// The longest name of a token.
const NAME_LIMIT: usize = 64;

/// `auth/tokens/`.
pub fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    manager(call)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let key = |token: &Token| format!("{:024}-{}", token.created.as_micros(), token.id);
            let entries = call.account.tokens.iter();
            let entries = entries.map(|token| (key(token), shown(call, token, false)));
            paging::answer(call, entries.collect())
        }
        "POST" => create(call),
        "OPTIONS" => Ok(description("Token List")),
        _ => Err(call.no_such_method()),
    }
}

/// `auth/tokens/ID/`.
pub fn one(call: &mut Call<'_>, id: &str) -> Result<Answer, Refusal> {
    manager(call)?;
    let model = if canonical_uuid(id).is_some() { "Token" } else { "" };
    let id = &canonical_uuid(id).unwrap_or_default();
    let known = call.account.token_by_id(id).cloned();
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let token = known.ok_or(call.not_found(model))?;
            Ok(Answer::json(200, &shown(call, &token, false).to_string()))
        }
        "PATCH" | "PUT" => {
            let mut token = known.ok_or(call.not_found(model))?;
            change(call, &mut token)?;
            let answer = Answer::json(200, &shown(call, &token, false).to_string());
            if let Some(stored) = call.account.token_by_id_mut(id) {
                *stored = token;
            }
            Ok(answer)
        }
        "DELETE" => {
            call.account.tokens.retain(|token| token.id != *id);
            Ok(Answer::empty(204))
        }
        "OPTIONS" => Ok(description("Token Instance")),
        _ => Err(call.no_such_method()),
    }
}

/// `auth/logout/`: the token takes itself away. Never throttled.
pub fn logout(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let token = call.enter()?;
    match call.request.method.as_str() {
        "POST" => {
            call.account.tokens.retain(|known| known.id != token.id);
            Ok(Answer::empty(204))
        }
        "OPTIONS" => Ok(description("Account Logout")),
        _ => Err(call.no_such_method()),
    }
}

/// `auth/account/`.
pub fn account(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let token = call.enter()?;
    let may = match call.account.api {
        Api::Current => token.perm_manage_tokens,
        Api::Legacy => token.zone_policies.is_empty(),
    };
    if !may {
        return Err(Refusal::permission());
    }
    call.throttle(Scope::AccountManagementPassive)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let limit = call.account.limit_domains.map(|limit| Value::Number(limit.into()));
            let body = Value::object([
                ("created", Value::from(timestamp(OPENED))),
                ("email", Value::from(call.account.email.as_str())),
                ("id", Value::from(call.account.id.as_str())),
                ("limit_domains", limit.unwrap_or(Value::Null)),
                ("outreach_preference", Value::from(true)),
            ]);
            Ok(Answer::json(200, &body.to_string()))
        }
        "OPTIONS" => Ok(description("Account")),
        // deSEC lets its users choose their mail here.
        _ => Err(call.no_such_method()),
    }
}

/// Lets a token in that may manage tokens.
pub fn manager(call: &mut Call<'_>) -> Result<(), Refusal> {
    if !call.enter()?.perm_manage_tokens {
        return Err(Refusal::permission());
    }
    call.throttle(Scope::AccountManagementPassive)
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut token = Token::unrestricted("", &chance::secret());
    token.created = call.now;
    let foreign = change(call, &mut token)?;
    if foreign {
        // The other account's owner is asked first.
        return Ok(Answer::empty(202));
    }
    let answer = Answer::json(201, &shown(call, &token, true).to_string());
    call.account.tokens.push(token);
    Ok(answer)
}

/// Sets on `token` what the body says. Returns whether it is to act on another account.
fn change(call: &Call<'_>, token: &mut Token) -> Result<bool, Refusal> {
    let body = call.object()?;
    let mut fields = Fields::of(&body, true);
    let current = call.account.api == Api::Current;
    let mut foreign = false;
    let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
    if current {
        foreign = fields.text_or_null("user_override", 191).flatten().is_some();
    }
    token.max_age = fields.duration("max_age").unwrap_or(token.max_age);
    token.max_unused_period =
        fields.duration("max_unused_period").unwrap_or(token.max_unused_period);
    if let Some(name) = fields.text("name", NAME_LIMIT) {
        token.name = name;
    }
    if current {
        set(&mut token.perm_create_domain, fields.boolean("perm_create_domain"));
        set(&mut token.perm_delete_domain, fields.boolean("perm_delete_domain"));
    }
    set(&mut token.perm_manage_tokens, fields.boolean("perm_manage_tokens"));
    if let Some(subnets) = fields.subnets("allowed_subnets") {
        token.allowed_subnets = subnets;
    }
    if current {
        set(&mut token.auto_policy, fields.boolean("auto_policy"));
    }
    fields.finish()?;
    if current && token.auto_policy {
        match token.policies.iter().find(|policy| policy.is_default()) {
            Some(default) if default.perm_write => {
                let text = "Auto policy requires a restrictive default policy.";
                return Err(Refusal::field("auto_policy", text));
            }
            Some(_) => {}
            None => token.policies.push(Policy::deny_all()),
        }
    }
    Ok(foreign)
}

/// A token as the API shows it; its secret only once.
fn shown(call: &Call<'_>, token: &Token, with_secret: bool) -> Value {
    let text = |text: &str| Value::from(text);
    let current = call.account.api == Api::Current;
    let subnets = token.allowed_subnets.iter().map(ToString::to_string);
    let owner = token.owner.as_deref().unwrap_or(&call.account.email);
    let members = [
        (true, "id", text(&token.id)),
        (true, "created", text(&timestamp(token.created))),
        (true, "last_used", token.last_used.map(timestamp).into()),
        (current, "owner", text(owner)),
        (current, "user_override", token.user_override.as_deref().into()),
        (current, "mfa", token.mfa.into()),
        (true, "max_age", token.max_age.map(duration_text).into()),
        (true, "max_unused_period", token.max_unused_period.map(duration_text).into()),
        (true, "name", text(&token.name)),
        (current, "perm_create_domain", token.perm_create_domain.into()),
        (current, "perm_delete_domain", token.perm_delete_domain.into()),
        (true, "perm_manage_tokens", token.perm_manage_tokens.into()),
        (true, "allowed_subnets", Value::texts(subnets)),
        (current, "auto_policy", token.auto_policy.into()),
        (true, "is_valid", token.is_valid(call.now).into()),
        (with_secret, "token", text(&token.secret)),
    ];
    let members = members.into_iter().filter(|(is_shown, ..)| *is_shown);
    Value::object(members.map(|(_, name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::rest::testing::Lab;
    use super::*;

    fn text(value: &Value, name: &str) -> String {
        value.get(name).unwrap_or(&Value::Null).to_string().replace('"', "")
    }

    #[test]
    fn everything_that_is_set_is_shown_and_the_secret_only_once() {
        let mut lab = Lab::new();
        let body = "{\"name\":\" new \",\"max_age\":\"365 00:00:00\",\"max_unused_period\":90,\
            \"perm_create_domain\":true,\"allowed_subnets\":[\"192.0.2.0/24\",\"2001:db8::1\"],\
            \"perm_dyndns\":true,\"id\":\"mine\",\"is_valid\":false}";
        let made = lab.ok("management", "POST", "/auth/tokens/", body);
        assert_eq!(text(&made, "token").len(), 28);
        assert_eq!(text(&made, "name"), "new");
        assert_eq!(text(&made, "max_age"), "365 00:00:00");
        assert_eq!(text(&made, "max_unused_period"), "00:01:30");
        assert_eq!(text(&made, "allowed_subnets"), "[192.0.2.0/24,2001:db8::1/128]");
        assert_eq!(text(&made, "perm_create_domain"), "true");
        assert_eq!(text(&made, "perm_manage_tokens"), "false");
        assert_eq!(text(&made, "is_valid"), "true");
        assert!(!text(&made, "id").contains("mine"));

        let path = format!("/auth/tokens/{}/", text(&made, "id"));
        let changed = lab.ok("management", "PUT", &path, "{\"max_age\":null}");
        assert_eq!(changed.get("token"), None);
        assert_eq!(text(&changed, "max_age"), "null");
        assert_eq!(text(&changed, "name"), "new", "what is not sent stays");
        assert_eq!(lab.ok("management", "GET", &path, ""), changed);
        for _ in 0..2 {
            assert_eq!(lab.ask("management", "DELETE", &path, "").0, 204);
        }
        for method in ["GET", "PATCH", "PUT"] {
            let detail = "{\"detail\":\"No Token matches the given query.\"}";
            assert_eq!(lab.ask("management", method, &path, "{}"), (404, detail.to_owned()));
        }
    }

    #[test]
    fn what_is_no_uuid_is_not_found_in_json() {
        let mut lab = Lab::new();
        let token = lab.account.token_by_name("dev1").unwrap();
        let (id, rows) = (token.id.clone(), format!("/auth/tokens/{}/policies/rrsets/", token.id));
        let not_found = (404, "{\"detail\":\"Not found.\"}".to_owned());
        for path in ["/auth/tokens/nobody/".to_owned(), format!("{rows}1/")] {
            for method in ["GET", "PATCH", "PUT"] {
                assert_eq!(lab.ask("management", method, &path, "{}"), not_found, "{path}");
            }
            assert_eq!(lab.ask("management", "DELETE", &path, "").0, 204);
        }
        // Not even the form of an id, and not the form that the links have.
        for path in ["/auth/tokens/no.body/", "/auth/tokens/nobody/policies/"] {
            let (status, body) = lab.ask("management", "GET", path, "");
            assert!(status == 404 && body.contains("<h1>"), "{path}: {body}");
        }
        let other = id.replace('-', "").to_uppercase();
        lab.ok("management", "GET", &format!("/auth/tokens/{other}/"), "");
    }

    #[test]
    fn what_cannot_be_set_is_complained_about_by_field() {
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(65));
        for (body, expected) in [
            (long.as_str(), "{\"name\":[\"Ensure this field has no more than 64 characters.\"]}"),
            ("{\"name\":null}", "{\"name\":[\"This field may not be null.\"]}"),
            ("{\"name\":[]}", "{\"name\":[\"Not a valid string.\"]}"),
            (
                "{\"perm_manage_tokens\":2}",
                "{\"perm_manage_tokens\":[\"Must be a valid boolean.\"]}",
            ),
            (
                "{\"allowed_subnets\":[\"0.0.0.0/0\",\"192.0.2.1/24\",\"x\"]}",
                "{\"allowed_subnets\":{\"1\":[\"Must be a network address.\"],\
                 \"2\":[\"Invalid CIDR address.\"]}}",
            ),
            (
                "{\"max_age\":\"1 year\"}",
                "{\"max_age\":[\"Duration has wrong format. Use one of these formats instead: \
                 [DD] [HH:[MM:]]ss[.uuuuuu].\"]}",
            ),
            (
                "{\"max_age\":\"365001 00:00:00\"}",
                "{\"max_age\":[\"Ensure this value is less than or equal to 365000 days, 0:00:00.\"]}",
            ),
            (
                "[]",
                "{\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got list.\"]}",
            ),
            ("{", "{\"detail\":\"JSON parse error - Expecting value: line 1 column 2 (char 1)\"}"),
        ] {
            let mut lab = Lab::new();
            let before = lab.account.tokens.len();
            let answer = lab.ask("management", "POST", "/auth/tokens/", body);
            assert_eq!(answer, (400, expected.to_owned()), "{body}");
            assert_eq!(lab.account.tokens.len(), before);
        }
    }

    #[test]
    fn a_token_lapses_by_age_and_by_disuse_and_is_revived_by_another() {
        let mut lab = Lab::new();
        let minute = Duration::from_secs(60);
        let id = lab.account.token_by_name("dev1").unwrap().id.clone();
        let path = format!("/auth/tokens/{id}/");
        lab.ok("management", "PATCH", &path, "{\"max_unused_period\":\"00:02:00\"}");
        for _ in 0..3 {
            lab.now += minute;
            lab.ok("dev1", "GET", "/", "");
        }
        lab.now += minute * 3;
        assert_eq!(lab.ask("dev1", "GET", "/", "").0, 401);
        let shown = lab.ok("management", "GET", &path, "");
        assert_eq!(text(&shown, "is_valid"), "false");
        lab.ok("management", "PATCH", &path, "{\"max_unused_period\":null,\"max_age\":\"3600\"}");
        lab.ok("dev1", "GET", "/", "");
        lab.now += minute * 60;
        assert_eq!(lab.ask("dev1", "GET", "/", "").0, 401);
        lab.ok("management", "PATCH", &path, "{\"max_age\":\"1 00:00:00\"}");
        lab.ok("dev1", "GET", "/", "");
    }

    #[test]
    fn a_wrong_place_is_a_use_all_the_same() {
        let mut lab = Lab::new();
        let id = lab.account.token_by_name("dev1").unwrap().id.clone();
        lab.ok("management", "PATCH", &format!("/auth/tokens/{id}/"), "{\"allowed_subnets\":[]}");
        lab.now += Duration::from_micros(1_000_001);
        assert_eq!(lab.ask("dev1", "GET", "/", "").0, 401);
        let shown = lab.ok("management", "GET", &format!("/auth/tokens/{id}/"), "");
        assert_eq!(text(&shown, "last_used"), "2026-08-01T00:00:01.000001Z");
        assert_eq!(text(&shown, "allowed_subnets"), "[]");
    }

    #[test]
    fn a_token_goes_away_by_itself() {
        let mut lab = Lab::new();
        assert_eq!(lab.ask("dev1", "GET", "/auth/logout/", "").0, 405);
        assert_eq!(lab.ask("dev1", "POST", "/auth/logout/", "").0, 204);
        assert_eq!(lab.ask("dev1", "GET", "/", "").0, 401);
        assert!(lab.account.token_by_name("dev1").is_none());
    }

    #[test]
    fn the_account_is_shown_to_managers_only() {
        let mut lab = Lab::new();
        let shown = lab.ok("management", "GET", "/auth/account/", "");
        assert_eq!(text(&shown, "email"), "owner@lab.example");
        assert_eq!(text(&shown, "limit_domains"), "15");
        assert_eq!(lab.ask("dev1", "GET", "/auth/account/", "").0, 403);
    }

    #[test]
    fn a_token_that_is_to_act_elsewhere_is_not_made_at_once() {
        let mut lab = Lab::new();
        let before = lab.account.tokens.len();
        let body = "{\"user_override\":\"other@lab.example\"}";
        assert_eq!(lab.ask("management", "POST", "/auth/tokens/", body).0, 202);
        assert_eq!(lab.account.tokens.len(), before);
    }

    #[test]
    fn the_51st_request_in_a_minute_is_refused_and_what_is_forbidden_does_not_count() {
        let mut lab = Lab::new();
        lab.account.throttled = true;
        for _ in 0..60 {
            assert_eq!(lab.ask("dev1", "GET", "/auth/tokens/", "").0, 403);
        }
        for _ in 0..25 {
            assert_eq!(lab.ask("management", "GET", "/auth/tokens/", "").0, 200);
            assert_eq!(lab.ask("management", "GET", "/auth/account/", "").0, 200);
        }
        assert_eq!(lab.ask("management", "POST", "/auth/tokens/", "{}").0, 429);
        assert_eq!(lab.ask("dev1", "POST", "/auth/tokens/", "{}").0, 403);
        lab.now += Duration::from_secs(60);
        assert_eq!(lab.ask("management", "POST", "/auth/tokens/", "{}").0, 201);
    }

    #[test]
    fn a_long_list_is_shown_in_pages_that_nothing_moves() {
        let mut lab = Lab::new();
        for index in 0..5 {
            lab.now += Duration::from_secs(1);
            let body = format!("{{\"name\":\"t{index}\"}}");
            lab.ok("management", "POST", "/auth/tokens/", &body);
        }
        lab.account.page_size = 3;
        let (status, body) = lab.ask("management", "GET", "/auth/tokens/", "");
        assert_eq!(status, 400);
        assert!(body.contains("Pagination required."), "{body}");
        assert_eq!(lab.link("first").as_deref(), Some("/auth/tokens/?cursor="));
        assert_eq!(lab.link("next"), None);

        let names = |page: Value| -> Vec<String> {
            let Value::List(tokens) = page else { panic!("no list") };
            tokens.iter().map(|token| text(token, "name")).collect()
        };
        let first = lab.ok("management", "GET", "/auth/tokens/?cursor=", "");
        assert_eq!(names(first.clone()), ["t4", "t3", "t2"]);
        assert_eq!(lab.link("prev"), None);
        let next = lab.link("next").unwrap();
        // Whether the last one of a page is deleted, or a new one is made, does not matter.
        lab.account.tokens.retain(|token| token.name != "t2");
        lab.now += Duration::from_secs(1);
        lab.ok("management", "POST", "/auth/tokens/", "{\"name\":\"later\"}");
        let second = lab.ok("management", "GET", &next, "");
        assert_eq!(names(second)[..2], ["t1", "t0"]);
        assert!(lab.link("first").is_some());
        let back = lab.link("prev").unwrap();
        let third = lab.link("next").map(|next| lab.ok("management", "GET", &next, ""));
        assert_eq!(names(third.unwrap()).len(), 2);
        assert_eq!(lab.link("next"), None);
        let before = lab.ok("management", "GET", &back, "");
        assert_eq!(names(before), ["later", "t4", "t3"]);
        assert_eq!(lab.ask("management", "GET", "/auth/tokens/?cursor=what", "").0, 404);
    }

    #[test]
    fn a_short_list_may_be_asked_for_in_pages_too() {
        let mut lab = Lab::new();
        lab.ok("management", "GET", "/auth/tokens/", "");
        assert_eq!(lab.link("first"), None);
        lab.ok("management", "GET", "/auth/tokens/?cursor=", "");
        assert_eq!(lab.last.header("Link"), None);
    }
}
