//! Who is asking: the three ways in that the update view knows, and the one of the REST API.
//!
//! Pure. Order and sentences: deSEC, recorded August 2026. The account password is never taken.

use std::net::IpAddr;
use std::time::Duration;

use super::account::Account;
use super::http::{Request, from_base64};
use super::token::Token;

/// An authenticated client.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it may do.
    pub token: Token,
    /// The user name of Basic authentication, which may name the host to update.
    pub user: Option<String>,
}

/// The sentence that goes with a 401.
pub type Refused = &'static str;

const BADAUTH: Refused = "badauth";

/// Authenticates an update: `Token`, else `Basic`, else the query; the first that is there decides.
pub fn for_update(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Result<Caller, Refused> {
    if let Some(token) = token_scheme(account, request, client, now) {
        return Ok(Caller { token: token?, user: None });
    }
    match credentials(request, "Basic").as_deref() {
        Some([text]) => {
            let (user, secret) = basic_pair(text).ok_or(BADAUTH)?;
            let token = with_user(account, &user, &secret, client, now)?;
            return Ok(Caller { token, user: Some(user) });
        }
        Some([]) => return Err("Invalid basic auth token header. No credentials provided."),
        Some(_) => {
            return Err("Invalid basic auth token header. \
                        Basic authentication string should not contain spaces.");
        }
        None => {}
    }
    let user = request.parameter("username").ok_or("No username URL parameter provided.")?;
    let secret = request.parameter("password").ok_or("No password URL parameter provided.")?;
    Ok(Caller { token: with_user(account, user, secret, client, now)?, user: None })
}

/// Authenticates a REST request; `None` if it has nothing that this API calls credentials.
pub fn for_rest(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Option<Result<Token, Refused>> {
    token_scheme(account, request, client, now)
}

/// The secrets that a request carries in any form, right or wrong.
pub fn presented(request: &Request) -> Vec<String> {
    let token = credentials(request, "Token").unwrap_or_default().into_iter().map(str::to_owned);
    let basic = credentials(request, "Basic").unwrap_or_default().into_iter();
    let basic = basic.filter_map(basic_pair).map(|(_, secret)| secret);
    token.chain(basic).chain(request.parameter("password").map(str::to_owned)).collect()
}

fn token_scheme(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Option<Result<Token, Refused>> {
    Some(match credentials(request, "Token")?.as_slice() {
        [secret] => account.enter(secret, client, now).ok_or("Invalid token."),
        [] => Err("Invalid token header. No credentials provided."),
        _ => Err("Invalid token header. Token string should not contain spaces."),
    })
}

/// What follows the scheme in the `Authorization` header, if that is the scheme used.
fn credentials<'a>(request: &'a Request, scheme: &str) -> Option<Vec<&'a str>> {
    let mut words = request.header("Authorization")?.split_whitespace();
    words.next().filter(|word| word.eq_ignore_ascii_case(scheme))?;
    Some(words.collect())
}

fn basic_pair(text: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(from_base64(text)?).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    (!secret.contains(':')).then(|| (user.to_owned(), secret.to_owned()))
}

/// A user name may be empty, the account's e-mail address, or any name inside one of its zones.
fn with_user(
    account: &mut Account,
    user: &str,
    secret: &str,
    client: IpAddr,
    now: Duration,
) -> Result<Token, Refused> {
    let token = account.enter(secret, client, now).ok_or(BADAUTH)?;
    let name = user.to_lowercase();
    let ours = !name.contains(',') && account.zone_of(&name).is_some();
    if user.is_empty() || user == account.email || ours { Ok(token) } else { Err(BADAUTH) }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::OPENED;
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[track_caller]
    fn check(authorization: &str, query: &[(&str, &str)], expected: Result<&str, Refused>) {
        let mut account = Account::new("owner@lab.example");
        account.add_zone("example.com");
        account.add_host_token("dev1", "secret", &["dev1.example.com"]).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut request =
            Request { query: query.iter().map(owned).collect(), ..Request::default() };
        if !authorization.is_empty() {
            request.headers.push(owned(&("authorization", authorization)));
        }
        let caller = for_update(&mut account, &request, HERE, OPENED);
        assert_eq!(caller.as_ref().map(|c| c.token.name.as_str()).map_err(|e| *e), expected);
    }

    #[test]
    fn a_token_header_decides_even_if_the_query_would_do() {
        let query = [("username", ""), ("password", "secret")];
        check("Token wrong", &query, Err("Invalid token."));
        check("token secret", &[], Ok("dev1"));
    }

    #[test]
    fn a_scheme_that_is_unknown_leaves_the_query_to_decide() {
        check("Bearer secret", &[], Err("No username URL parameter provided."));
        check("Bearer secret", &[("username", "")], Err("No password URL parameter provided."));
        check("", &[("username", "dev9.example.com"), ("password", "secret")], Ok("dev1"));
        check("", &[("username", "nobody"), ("password", "secret")], Err("badauth"));
    }

    #[test]
    fn basic_text_has_exactly_one_colon() {
        check("Basic OnNlY3JldA==", &[], Ok("dev1")); // :secret
        check("Basic OnNlY3JldDo=", &[], Err("badauth")); // :secret:
        check("Basic c2VjcmV0", &[], Err("badauth")); // secret
        check("Basic ???", &[], Err("badauth"));
    }

    #[test]
    fn every_form_of_a_secret_is_found_for_the_log() {
        let header = ("Authorization".to_owned(), "Basic OnNlY3JldA==".to_owned());
        let query = ("password".to_owned(), "other".to_owned());
        let request = Request { headers: vec![header], query: vec![query], ..Request::default() };
        assert_eq!(presented(&request), ["secret", "other"]);
    }
}
