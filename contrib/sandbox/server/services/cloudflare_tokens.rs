//! Cloudflare's API tokens: what makes, lists, changes and ends them, and what each may do.
//!
//! Rests on Cloudflare's API reference (user tokens, account tokens) and on its pages about permissions
//! and about restricting tokens. The account's own token may do everything with tokens of its owner, a
//! user or the account; those of the other owner it cannot see. What `/user/tokens/verify` tells a token
//! that the account owns: reports of users (401, 1000). Which words refuse a token that has
//! ended or comes from another network: reports of users of other clients (9109).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::calendar::timestamp;
use super::super::chance;
use super::super::http::Answer;
use super::super::subnet::Subnet;
use super::Call;
use super::cloudflare::{error, page, secret, secret_of_account, success, zone_id};
use super::world::{World, Zone};

/// The permission groups that requests are compared with, by id and name.
const GROUPS: [(&str, &str); 5] = [
    ("4755a26eedb94da69e1066d98aa820be", "DNS Write"),
    ("82e64a83756745bbbb1c9c2701bf816b", "DNS Read"),
    ("c8fed203ed3043cba015a93ad1616f1f", "Zone Read"),
    ("686d18d5ac6c441c867cbf6771e58a0a", "API Tokens Write"),
    ("5bc3f8b21c554832afc660159ab75fa4", "Account API Tokens Write"),
];

/// A token beside the account's own.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: String,
    /// Whether the account owns it, and not a user.
    pub is_owned_by_account: bool,
    pub secret: String,
    /// As it was asked for: name, policies, condition, `expires_on`, status.
    pub body: Value,
    pub issued: Duration,
    pub used: Option<Duration>,
}

impl Token {
    /// A new token that is as `body` says, of the account or of a user.
    pub fn new(mut body: Value, is_owned_by_account: bool, issued: Duration) -> Self {
        if body["status"].is_null() {
            body["status"] = "active".into();
        }
        let secret = if is_owned_by_account { secret_of_account() } else { secret() };
        let id = chance::hexadecimal(32);
        Self { id, is_owned_by_account, secret, body, issued, used: None }
    }

    fn has_ended(&self, now: Duration) -> bool {
        let now = second(now);
        // Both in the form of RFC 3339 in UTC, which sorts by time.
        self.body["expires_on"].as_str().is_some_and(|end| end <= now.as_str())
    }

    /// Whether it is usable at `now`, and else its status.
    fn status(&self, now: Duration) -> String {
        let status = self.body["status"].as_str().unwrap_or_default();
        if self.has_ended(now) { "expired".to_owned() } else { status.to_owned() }
    }

    /// Whether a policy has one of the permission groups called `names` for the zone, or for all.
    pub fn may(&self, names: &[&str], zone: Option<&Zone>) -> bool {
        let name = zone.map(|zone| format!("com.cloudflare.api.account.zone.{}", zone_id(zone)));
        let policies = self.body["policies"].as_array();
        policies.into_iter().flatten().any(|policy| {
            let groups = policy["permission_groups"].as_array();
            let has_group = groups.into_iter().flatten().any(|group| {
                let known = GROUPS.iter().find(|(id, _)| group["id"] == *id);
                known.is_some_and(|(_, name)| names.contains(name))
            });
            let resources = policy["resources"].as_object();
            let is_meant = |resource: &String| {
                name.is_none()
                    || Some(resource) == name.as_ref()
                    || resource == "com.cloudflare.api.account.zone.*"
            };
            has_group && resources.is_some_and(|resources| resources.keys().any(is_meant))
        })
    }

    fn shown(&self, now: Duration) -> Value {
        let mut shown = self.body.clone();
        shown["id"] = self.id.as_str().into();
        shown["status"] = self.status(now).into();
        shown["issued_on"] = second(self.issued).into();
        shown["modified_on"] = second(self.issued).into();
        if let Some(used) = self.used {
            shown["last_used_on"] = second(used).into();
        }
        let policies = shown["policies"].as_array_mut();
        for group in
            policies.into_iter().flatten().filter_map(|it| it["permission_groups"].as_array_mut())
        {
            for group in group {
                let known = GROUPS.iter().find(|(id, _)| group["id"] == *id);
                group["name"] = known.map_or("Other", |(_, name)| name).into();
            }
        }
        shown
    }
}

/// The moment to the second, as Cloudflare writes it.
fn second(at: Duration) -> String {
    format!("{}Z", timestamp(Duration::from_secs(at.as_secs())).get(..19).unwrap_or_default())
}

/// The index of the token that asks, if it is not the account's own; or the refusal, if it is not that of
/// an unknown token.
pub fn caller(call: &mut Call<'_>) -> Result<Option<usize>, Option<Answer>> {
    if call.has_token() {
        return Ok(None);
    }
    let secret = call.bearer().unwrap_or_default().to_owned();
    let (now, client) = (call.now, call.client.ip());
    let at = call.world.tokens.iter().position(|token| token.secret == secret);
    let at = at.ok_or(None)?;
    let token = &mut call.world.tokens[at];
    if token.status(now) != "active" {
        return Err(None);
    }
    let networks = token.body["condition"]["request_ip"]["in"].as_array();
    let is_in = |network: &Value| {
        let network = network.as_str().and_then(|text| text.parse::<Subnet>().ok());
        network.is_some_and(|network| network.contains(client))
    };
    if networks.is_some_and(|networks| !networks.iter().any(is_in)) {
        let text = format!("Cannot use the access token from location: {client}");
        return Err(Some(error(403, 9109, &text)));
    }
    token.used = Some(now);
    Ok(Some(at))
}

/// Answers what is asked about tokens below `/user/tokens`, or about those `of_account` below
/// `/accounts/ID/tokens`.
pub fn answer(
    call: &mut Call<'_>,
    caller: Option<usize>,
    of_account: bool,
    path: &[&str],
) -> Answer {
    let now = call.now;
    let own = call.world.is_owned_by_account;
    let is_owned = caller.map_or(own, |at| call.world.tokens[at].is_owned_by_account);
    if is_owned != of_account {
        return match path {
            ["verify"] => error(401, 1000, "Invalid API Token"),
            _ => error(403, 9109, "Unauthorized to access requested resource"),
        };
    }
    if path == ["verify"] {
        let id = caller.map_or(format!("{:032x}", 1), |at| call.world.tokens[at].id.clone());
        let end = caller.and_then(|at| call.world.tokens[at].body["expires_on"].as_str());
        let mut shown = json!({"id": id, "status": "active"});
        if let Some(end) = end {
            shown["expires_on"] = end.into();
        }
        return success(&shown);
    }
    let right = if of_account { "Account API Tokens Write" } else { "API Tokens Write" };
    if !may(call.world, caller, &[right], None) {
        return error(403, 9109, "Unauthorized to access requested resource");
    }
    let World { tokens, .. } = &mut *call.world;
    let is_its = |token: &Token| token.is_owned_by_account == of_account;
    let at = path.first().map(|id| tokens.iter().position(|it| it.id == *id && is_its(it)));
    let body = serde_json::from_slice::<Value>(&call.request.body).ok();
    match (call.request.method.as_str(), at, body) {
        ("GET", None, _) => page(call, tokens_shown(call, of_account, now), 20, 50),
        ("POST", None, Some(body)) if is_whole(&body) => {
            let token = Token::new(body, of_account, now);
            let mut shown = token.shown(now);
            shown["value"] = token.secret.as_str().into();
            tokens.push(token);
            success(&shown)
        }
        (_, Some(None), _) => error(404, 1003, "Invalid or missing API token"),
        ("GET", Some(Some(at)), _) => success(&tokens[at].shown(now)),
        ("PUT", Some(Some(at)), Some(body)) if is_whole(&body) && !body["status"].is_null() => {
            tokens[at].body = body;
            success(&tokens[at].shown(now))
        }
        ("DELETE", Some(Some(at)), _) => {
            let token = tokens.remove(at);
            success(&json!({"id": token.id}))
        }
        _ => error(400, 1001, "Invalid request body"),
    }
}

fn tokens_shown(call: &Call<'_>, of_account: bool, now: Duration) -> Vec<Value> {
    let all = call.world.tokens.iter().filter(|token| token.is_owned_by_account == of_account);
    all.map(|token| token.shown(now)).collect()
}

/// Whether a body says what a token must have.
fn is_whole(body: &Value) -> bool {
    let name = body["name"].as_str().unwrap_or_default();
    let policies = body["policies"].as_array();
    !name.is_empty() && name.len() <= 120 && policies.is_some_and(|policies| !policies.is_empty())
}

/// Whether the caller has one of the permission groups called `names` for the zone, or for all.
pub fn may(world: &World, caller: Option<usize>, names: &[&str], zone: Option<&Zone>) -> bool {
    caller.is_none_or(|at| world.tokens[at].may(names, zone))
}
