//! The JSON of deSEC's account API: its answers and the bodies of requests. Pure.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::{Map, Value, json};

use crate::core::order;
use crate::core::protocol::Answer;
use crate::core::secret::Secret;
use crate::core::token::{
    Api, EVERYWHERE, Flags, Key, Limits, Policy, Rule, Token, TokenId, parse_span, span,
};
use crate::os::clock::parse_rfc3339;

/// A zone of the account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// The least TTL of its records in seconds.
    #[serde(default)]
    pub minimum_ttl: Option<u32>,
    /// Its keys, where a single zone is shown.
    #[serde(default)]
    pub keys: Vec<ZoneKeys>,
}

/// A key of a zone.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct ZoneKeys {
    /// The DS records for the parent zone.
    #[serde(default)]
    pub ds: Vec<String>,
}

/// The records of one type at one name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct RecordSet {
    /// The name in the zone; empty for the zone's own.
    pub subname: String,
    /// The type, in capitals.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The records of one record set, in their text form.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Records {
    /// The text of each record.
    pub records: Vec<String>,
}

/// The account itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Owner {
    /// Its name.
    pub email: String,
}

/// The value that `answer` holds.
pub fn parse<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    serde_json::from_slice(&answer.body).ok()
}

/// A token, and its secret where the answer holds it: only when it was just made.
pub fn token(answer: &Answer) -> Option<(Token, Option<Secret>)> {
    parse::<TokenForm>(answer)?.token()
}

/// Gives each value of the list `answer` to `take`, which keeps what it looks for; `None` if `answer`
/// is no such list, or `take` returns `None`.
pub fn each<T: DeserializeOwned>(
    answer: &Answer,
    take: &mut dyn FnMut(T) -> Option<()>,
) -> Option<()> {
    struct Each<'a, T>(&'a mut dyn FnMut(T) -> Option<()>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Each<'_, T> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while let Some(value) = list.next_element()? {
                (self.0)(value).ok_or_else(|| A::Error::custom("something else"))?;
            }
            Ok(())
        }
    }

    let mut reader = serde_json::Deserializer::from_slice(&answer.body);
    reader.deserialize_seq(Each(take)).ok()?;
    reader.end().ok()
}

/// The converted values of a list; `None` for more than `MOST_ROWS` of them, or an unintelligible one.
pub fn list<T: DeserializeOwned, U>(
    answer: &Answer,
    convert: impl Fn(T) -> Option<U>,
) -> Option<Vec<U>> {
    let mut all = Vec::new();
    each(answer, &mut |value| {
        all.push(convert(value).filter(|_| all.len() < MOST_ROWS)?);
        Some(())
    })?;
    Some(all)
}

/// The most values that are kept of one list: two rows for each of several thousand hosts.
pub const MOST_ROWS: usize = 10_000;

/// A list of tokens.
pub fn tokens(answer: &Answer) -> Option<Vec<Token>> {
    list(answer, |form: TokenForm| Some(form.token()?.0))
}

/// Whether `answer` is a list of tokens.
pub fn are_tokens(answer: &Answer) -> bool {
    each(answer, &mut |form: TokenForm| form.token().map(|_| ())).is_some()
}

/// The form of policies that a token's policy root leads to: its URL decides, not its key.
pub fn api(answer: &Answer) -> Option<Api> {
    #[derive(Deserialize)]
    struct Root {
        rrsets: Option<String>,
        domain: Option<String>,
    }

    let Root { rrsets, domain } = parse(answer)?;
    let leads_to = |end: &str| {
        [&rrsets, &domain].into_iter().flatten().any(|url| url.trim_end_matches('/').ends_with(end))
    };
    match (leads_to("/policies/rrsets"), leads_to("/policies/domain")) {
        (true, _) => Some(Api::Rows),
        (false, true) => Some(Api::Zones),
        (false, false) => None,
    }
}

/// A list of policies.
pub fn policies(answer: &Answer, api: Api) -> Option<Vec<Policy>> {
    match api {
        Api::Rows => list(answer, RowForm::policy),
        Api::Zones => list(answer, |form: ZoneForm| Some(form.policy())),
    }
}

/// Whether the links of the API's root are those that only a known credential gets.
pub fn is_known_to_root(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Root {
        tokens: Option<IgnoredAny>,
    }

    parse::<Root>(answer).is_some_and(|root| root.tokens.is_some())
}

/// Whether a description (`OPTIONS`) says that the record set may be written; `None` when it is none.
pub fn offers_writing(answer: &Answer) -> Option<bool> {
    #[derive(Deserialize)]
    struct Described {
        name: Option<IgnoredAny>,
        actions: Option<Actions>,
    }

    #[derive(Deserialize)]
    struct Actions {
        #[serde(rename = "PUT")]
        put: Option<IgnoredAny>,
    }

    let described: Described = parse(answer)?;
    // The header `Allow` always names PUT.
    described.name?;
    Some(described.actions.is_some_and(|actions| actions.put.is_some()))
}

/// The JSON of a token with the fields `limits` that may only write records, with `name` if it gets
/// one. With `auto_policy` the server adds the default that denies everything.
pub fn without_rights(limits: Map<String, Value>, name: Option<&str>, auto_policy: bool) -> String {
    let mut fields = limits;
    if let Some(name) = name {
        fields.insert("name".to_owned(), name.into());
    }
    fields.insert("auto_policy".to_owned(), auto_policy.into());
    for flag in ["perm_manage_tokens", "perm_create_domain", "perm_delete_domain"] {
        fields.insert(flag.to_owned(), false.into());
    }
    Value::Object(fields).to_string()
}

/// The limits in which `should` differs from `is`, as fields.
pub fn changed_limits(is: &Limits, should: &Limits) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, is, should) in [
        ("max_age", is.max_age, should.max_age),
        ("max_unused_period", is.max_unused, should.max_unused),
    ] {
        if is != should {
            fields.insert(name.to_owned(), should.map_or(Value::Null, |span_| span(span_).into()));
        }
    }
    if is.subnets != should.subnets {
        let subnets = should.subnets.clone();
        let subnets = subnets.unwrap_or_else(|| EVERYWHERE.map(str::to_owned).to_vec());
        fields.insert("allowed_subnets".to_owned(), subnets.into());
    }
    fields
}

/// The JSON of a policy.
pub fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Row { key: Key { zone, subname, kind }, write } => {
            json!({"domain": zone, "subname": subname, "type": kind, "perm_write": write})
        }
        Rule::Zone { zone, dyndns, records } => {
            json!({"domain": zone, "perm_dyndns": dyndns, "perm_rrsets": records})
        }
    }
    .to_string()
}

/// The JSON of a zone to register.
pub fn new_zone(name: &str) -> String {
    json!({"name": name}).to_string()
}

/// A write that the server always refuses: first for missing rights, else for its content.
pub fn impossible_write(subname: &str, kind: &str, ttl: u32) -> String {
    json!([{"subname": subname, "type": kind, "ttl": ttl, "records": ["-"]}]).to_string()
}

#[derive(Deserialize)]
struct TokenForm {
    id: String,
    #[serde(default)]
    name: String,
    created: String,
    last_used: Option<String>,
    max_age: Option<String>,
    max_unused_period: Option<String>,
    allowed_subnets: Option<Vec<String>>,
    perm_manage_tokens: bool,
    perm_create_domain: Option<bool>,
    perm_delete_domain: Option<bool>,
    auto_policy: Option<bool>,
    is_valid: bool,
    owner: Option<String>,
    user_override: Option<String>,
    mfa: Option<bool>,
    token: Option<String>,
}

impl TokenForm {
    /// `None` when a field is invalid: an unknown value must not look empty.
    fn token(self) -> Option<(Token, Option<Secret>)> {
        fn known<T>(text: Option<&str>, read: fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
            text.map(|text| read(text).ok_or(())).transpose()
        }
        let subnets = self.allowed_subnets.map(|mut subnets| {
            order::sort(&mut subnets);
            subnets
        });
        let token = Token {
            id: self.id.parse::<TokenId>().ok()?,
            name: self.name,
            created: parse_rfc3339(&self.created)?,
            last_used: known(self.last_used.as_deref(), parse_rfc3339).ok()?,
            limits: Limits {
                max_age: known(self.max_age.as_deref(), parse_span).ok()?,
                max_unused: known(self.max_unused_period.as_deref(), parse_span).ok()?,
                subnets: subnets.filter(|subnets| !EVERYWHERE.iter().eq(subnets.iter())),
            },
            flags: Flags {
                manage_tokens: Some(self.perm_manage_tokens),
                create_zones: self.perm_create_domain,
                delete_zones: self.perm_delete_domain,
                auto_policy: self.auto_policy,
            },
            is_valid: self.is_valid,
            owner: self.owner,
            acts_for: self.user_override,
            is_login: self.mfa.is_some(),
        };
        Some((token, self.token.as_deref().map(Secret::new)))
    }
}

/// A row; each field of its subject may be null (any), but must be there.
#[derive(Deserialize)]
struct RowForm {
    id: String,
    #[serde(deserialize_with = "Option::deserialize")]
    domain: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    subname: Option<String>,
    #[serde(rename = "type", deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    perm_write: bool,
}

impl RowForm {
    fn policy(self) -> Option<Policy> {
        let at = self.id.parse::<TokenId>().ok()?.to_string();
        let key = Key { zone: self.domain, subname: self.subname, kind: self.kind };
        Some(Policy { at, rule: Rule::Row { key, write: self.perm_write } })
    }
}

#[derive(Deserialize)]
struct ZoneForm {
    #[serde(deserialize_with = "Option::deserialize")]
    domain: Option<String>,
    perm_dyndns: bool,
    perm_rrsets: bool,
}

impl ZoneForm {
    fn policy(self) -> Policy {
        let at = self.domain.clone().unwrap_or_else(|| "default".to_owned());
        let Self { domain: zone, perm_dyndns: dyndns, perm_rrsets: records } = self;
        Policy { at, rule: Rule::Zone { zone, dyndns, records } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    /// As recorded.
    const NEW: &str = r#"{"id":"6be0a87c-0d9a-4228-a3c5-ed5d33f4a807","created":"2026-11-21T23:52:30.406898Z","last_used":null,"owner":"owner@lab.example","user_override":null,"mfa":null,"max_age":"365 00:00:00","max_unused_period":null,"name":"dev1.example.com","perm_create_domain":false,"perm_delete_domain":false,"perm_manage_tokens":false,"allowed_subnets":["0.0.0.0/0","::/0"],"auto_policy":true,"is_valid":true,"token":"hidden"}"#;
    const OLD: &str = r#"{"id":"7950a65e-52ad-4694-8dbe-6011360c429c","created":"2026-11-21T23:54:53.560026Z","last_used":null,"max_age":null,"max_unused_period":null,"name":"dev1","perm_manage_tokens":false,"allowed_subnets":["192.0.2.0/24"],"is_valid":true,"token":"hidden"}"#;

    #[test]
    fn a_token_is_read_with_what_its_server_tells() {
        let (token, secret) = token(&answer(NEW)).unwrap();
        assert_eq!(secret, Some(Secret::new("hidden")));
        assert_eq!(token.flags.auto_policy, Some(true));
        assert_eq!(token.limits.subnets, None);
        assert_eq!(token.limits.max_age.unwrap().as_secs(), 365 * 86400);
        let (old, _) = super::token(&answer(OLD)).unwrap();
        assert_eq!(old.flags, Flags { manage_tokens: Some(false), ..Flags::default() });
        assert_eq!(old.limits.subnets.unwrap(), ["192.0.2.0/24"]);
    }

    #[test]
    fn a_list_is_read_one_by_one_and_not_without_end() {
        let of = |count: usize| {
            let sets = vec![r#"{"subname":"www","type":"A","records":[[[{}]]]}"#; count];
            answer(&format!("[{}]", sets.join(",")))
        };
        let kept = |count| list(&of(count), Some::<RecordSet>).map(|sets| sets.len());
        assert_eq!(kept(0), Some(0));
        assert_eq!(kept(MOST_ROWS), Some(MOST_ROWS));
        assert_eq!(kept(MOST_ROWS + 1), None);
        let deep = answer(&format!("[{}", "[".repeat(100_000)));
        assert!(list(&deep, Some::<RecordSet>).is_none() && api(&deep).is_none());
        for wrong in ["{}", "[1]", "[] x", "", "null"] {
            assert!(list(&answer(wrong), Some::<RecordSet>).is_none(), "{wrong}");
        }
        assert!(are_tokens(&answer(&format!("[{NEW},{OLD}]"))));
        assert!(!are_tokens(&answer("[{}]")) && are_tokens(&answer("[]")));
    }

    #[test]
    fn half_a_token_is_none() {
        for (is, should) in
            [("2026-11", "26-11"), ("6be0", "../"), ("365 ", "x "), ("\"id\"", "\"di\"")]
        {
            assert_eq!(token(&answer(&NEW.replace(is, should))), None, "{is}");
        }
    }

    #[test]
    fn the_url_tells_the_form_of_policies() {
        let of = |body: &str| api(&answer(body));
        let new = r#"{"rrsets":"http://h/api/v1/auth/tokens/1/policies/rrsets/"}"#;
        assert_eq!(of(new), Some(Api::Rows));
        // Between December 2023 and September 2024 the key was the old one.
        assert_eq!(of(&new.replace("{\"rrsets\"", "{\"domain\"")), Some(Api::Rows));
        let old = r#"{"domain":"http://h/api/v1/auth/tokens/1/policies/domain/"}"#;
        assert_eq!(of(old), Some(Api::Zones));
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn limits_that_stay_are_not_sent() {
        let is = Limits { max_age: parse_span("1 00:00:00"), ..Limits::default() };
        assert!(changed_limits(&is, &is).is_empty());
        let should = Limits { subnets: Some(vec!["192.0.2.0/24".to_owned()]), ..Limits::default() };
        let fields = Value::Object(changed_limits(&is, &should)).to_string();
        assert_eq!(fields, r#"{"allowed_subnets":["192.0.2.0/24"],"max_age":null}"#);
    }

    #[test]
    fn only_a_description_with_put_offers_writing() {
        let of = |body: &str| offers_writing(&answer(body));
        assert_eq!(of(r#"{"name":"RR Set Detail","actions":{"PUT":{}}}"#), Some(true));
        assert_eq!(of(r#"{"name":"RR Set Detail"}"#), Some(false));
        assert_eq!(of(r#"{"detail":"whatever"}"#), None);
        assert_eq!(of("<html>"), None);
    }
}
