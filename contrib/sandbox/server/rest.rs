//! The few reads of the REST API that an update daemon needs: the root and the zones.
//!
//! Pure, like the update view. Tokens and their policies get their endpoints here, in `answer`;
//! until then, as for everything else that is not there, the answer is the HTML page with 404.
//! Forms: deSEC, recorded August 2026.

use std::net::IpAddr;
use std::time::Duration;

use super::account::{Account, Zone};
use super::auth;
use super::calendar::timestamp;
use super::http::{Answer, Request, json_string};
use super::throttle::{self, Scope};

/// Answers a request below `/api/v1` (or `/api/v2`, which is the same).
pub fn answer(account: &mut Account, request: &Request, client: IpAddr, now: Duration) -> Answer {
    let path = ["/api/v1", "/api/v2"].iter().find_map(|base| request.path.strip_prefix(base));
    let (view, allow): (View, _) = match path {
        Some("/") => (root, "GET, HEAD, OPTIONS"),
        Some("/domains/") => (domains, "GET, POST, HEAD, OPTIONS"),
        // Every method is sent on; a client that follows turns its POST into a GET.
        Some("" | "/domains") => {
            let page = Answer::new(301, "text/html; charset=utf-8", "");
            return page.with("Location", &format!("{}/", request.path));
        }
        Some(_) | None => return Answer::no_such_page(),
    };
    let answer = view(account, request, client, now).unwrap_or_else(Answer::from);
    answer.with("Allow", allow)
}

type View = fn(&mut Account, &Request, IpAddr, Duration) -> Result<Answer, Refusal>;

/// The links of the API. Without credentials that it knows, the links for strangers: also 200.
fn root(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Result<Answer, Refusal> {
    let host = request.header("Host").unwrap_or("localhost");
    let link = |path: &str| json_string(&format!("http://{host}/api/v1/{path}"));
    let Some(token) = auth::for_rest(account, request, client, now) else {
        only_reads(request)?;
        return Ok(Answer::json(
            200,
            &format!(
                "{{\"register\":{},\"login\":{},\"reset-password\":{}}}",
                link("auth/"),
                link("auth/login/"),
                link("auth/account/reset-password/"),
            ),
        ));
    };
    token.map_err(Refusal::Credential)?;
    account.admit(&[Scope::User], now).map_err(Refusal::Throttled)?;
    only_reads(request)?;
    let account_links = format!(
        "{{\"show\":{},\"delete\":{},\"change-email\":{},\"reset-password\":{}}}",
        link("auth/account/"),
        link("auth/account/delete/"),
        link("auth/account/change-email/"),
        link("auth/account/reset-password/"),
    );
    let body = format!(
        "{{\"account\":{account_links},\"logout\":{},\"tokens\":{},\"domains\":{}}}",
        link("auth/logout/"),
        link("auth/tokens/"),
        link("domains/"),
    );
    Ok(Answer::json(200, &body))
}

/// All zones, newest first; with `owns_qname` the one that is responsible for that name, if any.
/// Any token of the account may read them.
fn domains(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Result<Answer, Refusal> {
    let stranger = "Authentication credentials were not provided.";
    let token = auth::for_rest(account, request, client, now).unwrap_or(Err(stranger));
    token.map_err(Refusal::Credential)?;
    account.admit(&[Scope::DnsApiCheap, Scope::User], now).map_err(Refusal::Throttled)?;
    only_reads(request)?;
    let zones: Vec<String> = match request.parameter("owns_qname") {
        Some(host) => account.zone_of(&host.to_lowercase()).map(zone).into_iter().collect(),
        None => account.zones().iter().rev().map(zone).collect(),
    };
    Ok(Answer::json(200, &format!("[{}]", zones.join(","))))
}

fn zone(zone: &Zone) -> String {
    format!(
        "{{\"created\":\"{}\",\"published\":\"{touched}\",\"name\":{},\"minimum_ttl\":{},\
         \"touched\":\"{touched}\"}}",
        timestamp(zone.created),
        json_string(&zone.name),
        zone.minimum_ttl,
        touched = timestamp(zone.touched),
    )
}

fn only_reads(request: &Request) -> Result<(), Refusal> {
    match request.method.as_str() {
        "GET" | "HEAD" => Ok(()),
        other => Err(Refusal::Method(other.to_owned())),
    }
}

/// Why a request is not answered.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Refusal {
    Credential(auth::Refused),
    Method(String),
    Throttled(Duration),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let detail = |status, text: &str| {
            Self::json(status, &format!("{{\"detail\":{}}}", json_string(text)))
        };
        match refusal {
            Refusal::Credential(text) => detail(401, text).with("WWW-Authenticate", "Token"),
            Refusal::Method(method) => detail(405, &format!("Method \"{method}\" not allowed.")),
            Refusal::Throttled(wait) => {
                let (seconds, sentence) = throttle::refusal(wait);
                detail(429, &sentence).with("Retry-After", &seconds.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::OPENED;
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
}
