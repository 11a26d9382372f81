//! The REST API: which view answers which path, and the root of all links.
//!
//! Pure, like the update view. The views are in `tokens`, `policies`, `legacy`, `zones` and
//! `rrsets`; what is not there is answered with the HTML page with 404. Forms: deSEC, recorded
//! August 2026.

use std::net::IpAddr;
use std::time::Duration;

use super::account::Account;
use super::api::Api;
use super::call::{Call, Refusal, description};
use super::chance::is_uuid;
use super::http::{Answer, Request, decoded_segment, query_value};
use super::json::Value;
use super::throttle::Scope;
use super::{legacy, policies, rrsets, tokens, zones};

/// Answers a request below `/api/v1` (or `/api/v2`, which is the same).
pub fn answer(account: &mut Account, request: &Request, client: IpAddr, now: Duration) -> Answer {
    let path = ["/api/v1", "/api/v2"].iter().find_map(|base| request.path.strip_prefix(base));
    let segments = path.map(|path| path.split('/').map(decoded_segment).collect::<Vec<_>>());
    let parts: Vec<&str> = segments.iter().flatten().map(String::as_str).collect();
    let found = match parts.as_slice() {
        ["", inner @ .., ""] => Route::of(account.api, inner),
        ["", inner @ ..] if Route::of(account.api, inner).is_some() => return with_slash(request),
        [""] => return with_slash(request),
        _ => None,
    };
    let Some(route) = found else {
        return Answer::no_such_page();
    };
    let mut call = Call { account, client, now, request };
    route.view(&mut call).unwrap_or_else(Answer::from).with("Allow", route.allow())
}

/// Every method is sent on; a client that follows turns its POST into a GET.
fn with_slash(request: &Request) -> Answer {
    let pairs = request.query.iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", query_value(name), query_value(value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    let page = Answer::new(301, "text/html; charset=utf-8", "");
    page.with("Location", &format!("{}/{mark}{query}", request.path))
}

/// What a path stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route<'a> {
    Account,
    LegacyPolicies(&'a str),
    LegacyPolicy(&'a str, &'a str),
    Logout,
    Policies(&'a str),
    Policy(&'a str, &'a str),
    PolicyRoot(&'a str),
    RecordSet(&'a str, &'a str, &'a str),
    RecordSets(&'a str),
    Root,
    Token(&'a str),
    Tokens,
    Zone(&'a str),
    ZoneFile(&'a str),
    Zones,
}

impl<'a> Route<'a> {
    fn of(api: Api, parts: &[&'a str]) -> Option<Self> {
        let current = api == Api::Current;
        let is_key = |part: &str| !part.is_empty() && !part.contains('.');
        Some(match *parts {
            [] => Self::Root,
            ["auth", "account"] => Self::Account,
            ["auth", "logout"] => Self::Logout,
            ["auth", "tokens"] => Self::Tokens,
            ["auth", "tokens", id] if is_key(id) => Self::Token(id),
            ["auth", "tokens", id, "policies", ref below @ ..] if is_uuid(id) => match *below {
                [] => Self::PolicyRoot(id),
                ["rrsets"] if current => Self::Policies(id),
                ["rrsets", row] if current && is_key(row) => Self::Policy(id, row),
                ["domain"] if !current => Self::LegacyPolicies(id),
                ["domain", zone] if !current && !zone.is_empty() => Self::LegacyPolicy(id, zone),
                _ => return None,
            },
            ["domains"] => Self::Zones,
            ["domains", zone] if !zone.is_empty() => Self::Zone(zone),
            ["domains", zone, "zonefile"] => Self::ZoneFile(zone),
            ["domains", zone, "rrsets"] => Self::RecordSets(zone),
            ["domains", zone, "rrsets", owner, kind] if !owner.is_empty() => {
                // `@` alone is the apex; after a name, this or three dots say that it ends.
                let subname = owner.strip_suffix('@').or(owner.strip_suffix("..."));
                Self::RecordSet(zone, subname.unwrap_or(owner), kind)
            }
            _ => return None,
        })
    }

    fn view(&self, call: &mut Call<'_>) -> Result<Answer, Refusal> {
        match *self {
            Self::Account => tokens::account(call),
            Self::LegacyPolicies(id) => legacy::list(call, id),
            Self::LegacyPolicy(id, zone) => legacy::one(call, id, zone),
            Self::Logout => tokens::logout(call),
            Self::Policies(id) => policies::list(call, id),
            Self::Policy(id, row) => policies::one(call, id, row),
            Self::PolicyRoot(id) => policies::root(call, id),
            Self::RecordSet(zone, subname, kind) => rrsets::one(call, zone, subname, kind),
            Self::RecordSets(zone) => rrsets::list(call, zone),
            Self::Root => root(call),
            Self::Token(id) => tokens::one(call, id),
            Self::Tokens => tokens::list(call),
            Self::Zone(zone) => zones::one(call, zone),
            Self::ZoneFile(zone) => zones::file(call, zone),
            Self::Zones => zones::list(call),
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Account => "GET, PUT, PATCH, HEAD, OPTIONS",
            Self::Logout => "POST, OPTIONS",
            Self::LegacyPolicies(_) | Self::Policies(_) | Self::Tokens | Self::Zones => {
                "GET, POST, HEAD, OPTIONS"
            }
            Self::LegacyPolicy(..) | Self::Policy(..) | Self::RecordSet(..) | Self::Token(_) => {
                "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
            }
            Self::PolicyRoot(_) | Self::Root | Self::ZoneFile(_) => "GET, HEAD, OPTIONS",
            Self::RecordSets(_) => "GET, POST, PUT, PATCH, HEAD, OPTIONS",
            Self::Zone(_) => "GET, DELETE, HEAD, OPTIONS",
        }
    }
}

/// The links of the API. Without credentials that it knows, the links for strangers: also 200.
fn root(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let known = call.token()?.is_some();
    if known {
        call.account.admit(&[Scope::User], call.now).map_err(Refusal::Throttled)?;
    }
    match call.request.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => return Ok(description("Root")),
        _ => return Err(call.no_such_method()),
    }
    let link = |path: &str| Value::from(call.link(path));
    let links = if known {
        let account = Value::object([
            ("show", link("auth/account/")),
            ("delete", link("auth/account/delete/")),
            ("change-email", link("auth/account/change-email/")),
            ("reset-password", link("auth/account/reset-password/")),
        ]);
        Value::object([
            ("account", account),
            ("logout", link("auth/logout/")),
            ("tokens", link("auth/tokens/")),
            ("domains", link("domains/")),
        ])
    } else {
        Value::object([
            ("register", link("auth/")),
            ("login", link("auth/login/")),
            ("reset-password", link("auth/account/reset-password/")),
        ])
    };
    Ok(Answer::json(200, &links.to_string()))
}

/// What the tests of the views share.
#[cfg(test)]
pub mod testing {
    use std::net::Ipv4Addr;

    use super::super::calendar::OPENED;
    use super::super::http;
    use super::super::json;
    use super::super::token::{Policy, Token};
    use super::*;

    /// An account with the zones example.com and example.org, a token for dev1.example.com, one
    /// for every A in that zone, and one for everything. Secrets are the tokens' names.
    pub struct Lab {
        /// Without limits at first.
        pub account: Account,
        /// The time of the next request.
        pub now: Duration,
        /// The last answer.
        pub last: Answer,
    }

    impl Lab {
        /// The account as it is at first.
        pub fn new() -> Self {
            let mut account = Account::new("owner@lab.example");
            account.throttled = false;
            account.add_zone("example.com");
            account.add_zone("example.org");
            account.add_host_token("dev1", "dev1", &["dev1.example.com"]).unwrap();
            let every_a = Policy { subname: None, ..Policy::allow("example.com", "", "A") };
            account.tokens.push(Token::restricted("zone-a", "zone-a", [every_a]));
            account.tokens.push(Token::management("management", "management"));
            Self { account, now: OPENED, last: Answer::empty(200) }
        }

        /// Asks for a path below `/api/v1`; returns status and body.
        pub fn ask(&mut self, secret: &str, method: &str, path: &str, body: &str) -> (u16, String) {
            let length = body.len();
            let bytes = format!(
                "{method} /api/v1{path} HTTP/1.1\r\nHost: lab\r\nAuthorization: Token {secret}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let request = http::read(&mut bytes.as_bytes()).unwrap().unwrap();
            let client = Ipv4Addr::LOCALHOST.into();
            self.last = answer(&mut self.account, &request, client, self.now);
            (self.last.status, String::from_utf8(self.last.body.clone()).unwrap())
        }

        /// The same, where nothing but success is expected.
        #[track_caller]
        pub fn ok(&mut self, secret: &str, method: &str, path: &str, body: &str) -> Value {
            let (status, text) = self.ask(secret, method, path, body);
            assert!([200, 201].contains(&status), "{method} {path}: {status} {text}");
            json::parse(&text).unwrap()
        }

        /// Where the last answer's `Link` leads, below `/api/v1`.
        pub fn link(&self, relation: &str) -> Option<String> {
            let mark = format!(">; rel=\"{relation}\"");
            let mut links = self.last.header("Link")?.split(", ");
            let link = links.find_map(|link| link.strip_suffix(&mark))?;
            Some(link.strip_prefix("<http://lab/api/v1").unwrap().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::OPENED;
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn ask(path: &str, owns_qname: Option<&str>, authorization: Option<&str>) -> (u16, String) {
        let mut account = Account::new("owner@lab.example");
        account.add_zone("example.com");
        account.add_zone("example.org");
        account.add_host_token("dev1", "secret", &["dev1.example.com"]).unwrap();
        let header = |value: &str| ("Authorization".to_owned(), value.to_owned());
        let pair = |value: &str| ("owns_qname".to_owned(), value.to_owned());
        let request = Request {
            headers: authorization.map(header).into_iter().collect(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: owns_qname.map(pair).into_iter().collect(),
            ..Request::default()
        };
        let answer = answer(&mut account, &request, HERE, OPENED);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn any_token_learns_which_zone_owns_a_name() {
        let expected = "[{\"created\":\"2026-08-01T00:00:00.000000Z\",\
            \"published\":\"2026-08-01T00:00:00.000000Z\",\"name\":\"example.com\",\
            \"minimum_ttl\":3600,\"touched\":\"2026-08-01T00:00:00.000000Z\"}]";
        let found = ask("/api/v1/domains/", Some("a.DEV2.example.com"), Some("Token secret"));
        assert_eq!(found, (200, expected.to_owned()));
    }

    #[test]
    fn a_name_outside_the_account_is_owned_by_no_zone() {
        let found = ask("/api/v1/domains/", Some("example.net"), Some("Token secret"));
        assert_eq!(found, (200, "[]".to_owned()));
    }

    #[test]
    fn zones_are_not_shown_to_strangers() {
        let (status, body) = ask("/api/v1/domains/", None, None);
        assert_eq!(status, 401);
        assert_eq!(body, "{\"detail\":\"Authentication credentials were not provided.\"}");
    }

    #[test]
    fn the_root_answers_strangers_with_other_links_and_wrong_tokens_with_401() {
        assert!(ask("/api/v1/", None, Some("Token secret")).1.contains("\"tokens\""));
        let (status, links) = ask("/api/v1/", None, Some("Bearer secret"));
        assert_eq!(status, 200);
        assert!(links.contains("\"register\"") && !links.contains("\"tokens\""), "{links}");
        let refused = ask("/api/v1/", None, Some("Token wrong"));
        assert_eq!(refused, (401, "{\"detail\":\"Invalid token.\"}".to_owned()));
    }

    #[test]
    fn a_missing_final_slash_is_sent_on_and_an_unknown_path_is_a_page() {
        assert_eq!(ask("/api/v1/domains", None, Some("Token secret")).0, 301);
        let (status, body) = ask("/api/v1/nothing/", None, Some("Token secret"));
        assert_eq!(status, 404);
        assert!(body.contains("<h1>Not Found</h1>"), "{body}");
    }

    #[test]
    fn whatever_the_method_a_missing_slash_is_sent_on_with_its_query() {
        let mut lab = testing::Lab::new();
        for method in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
            assert_eq!(lab.ask("management", method, "/auth/tokens?cursor=", "{}").0, 301);
            assert_eq!(lab.last.header("Location"), Some("/api/v1/auth/tokens/?cursor="));
        }
        assert_eq!(lab.account.tokens.len(), 3);
        assert_eq!(lab.ask("management", "GET", "/auth/tokens/x/policies", "").0, 404);
    }

    #[test]
    fn a_path_may_be_percent_encoded() {
        let mut lab = testing::Lab::new();
        lab.account.set_records("*.example.com", "A", &["192.0.2.1"], 60);
        lab.ok("dev1", "GET", "/domains/example.com/rrsets/%40/NS/", "");
        lab.ok("dev1", "GET", "/domains/example.com/rrsets/%2A/A/", "");
        lab.ok("dev1", "GET", "/domains/example.com/rrsets/*.../A/", "");
    }

    #[test]
    fn a_body_must_say_that_it_is_json() {
        let mut account = Account::new("owner@lab.example");
        account.tokens.push(super::super::token::Token::management("m", "m"));
        let owned = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let headers = [("Authorization", "Token m"), ("Content-Type", "text/plain")].map(owned);
        let request = Request {
            body: b"{}".to_vec(),
            headers: headers.to_vec(),
            method: "POST".to_owned(),
            path: "/api/v1/auth/tokens/".to_owned(),
            ..Request::default()
        };
        assert_eq!(answer(&mut account, &request, HERE, OPENED).status, 415);
    }
}
