//! The token side of `PowerDNS` on Rails: tokens are made, looked at and ended, and records created.
//!
//! A session's cookie lives for one call, goes to the one server only, and is dropped: a logout would
//! end the token.

mod wire;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::Trouble;
use crate::core::address::{Family, PerFamily};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Rejection, Silence};
use crate::core::protocol::rails::{self, Domain, xml};
use crate::core::protocol::{Answer, Authorization, Body, Credential, HttpRequest, Method};
use crate::core::secret::Secret;
use crate::core::token::Duty;
use crate::core::token::rails::Grant;
use crate::net::http::Clients;

/// A server, and how it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    url: &'a str,
    ca_file: Option<&'a Path>,
    clients: &'a Clients,
}

/// A token that was just made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minted {
    /// Its secret, which the server never shows again.
    pub token: Secret,
    /// Its rights, with the end that the server gave it; a receipt keeps them.
    pub grant: Grant,
}

/// A record that is not there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Its host.
    pub host: Hostname,
    /// Its family.
    pub family: Family,
}

/// The addresses of a record until its first update: for documentation (RFC 5737, RFC 3849).
pub const PLACEHOLDERS: PerFamily<IpAddr> = PerFamily {
    v4: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    v6: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
};

impl<'a> Server<'a> {
    /// The server at `url`; `ca_file` names a PEM file with authorities to trust besides the web's.
    pub fn new(url: &'a str, ca_file: Option<&'a Path>, clients: &'a Clients) -> Self {
        Self { url: url.trim_end_matches('/'), ca_file, clients }
    }

    /// A new token with exactly the rights of `grant`, by a user that may make tokens.
    ///
    /// Never repeated: after a lost answer ([`Trouble::leaves_doubt`]) there may be a token that
    /// nobody knows, which ends by its age alone.
    pub async fn mint(&self, user: &Credential, grant: &Grant) -> Result<Minted, Trouble> {
        let request = HttpRequest {
            method: Method::Post,
            body: Some(Body::Xml(wire::grant(grant).into())),
            brings: Some(wire::brought),
            ..self.as_user("/auth_token.xml", user)
        };
        let answer = self.send(&request).await?;
        if answer.status != 200 {
            return Err(not_minted(&answer, grant));
        }
        if let Some((token, expires)) = wire::minted(&answer) {
            return Ok(Minted { token, grant: Grant { expires, ..grant.clone() } });
        }
        if let Some(token) = wire::minted_in_spaces(&answer)
            && self.end(&token).await.is_ok()
        {
            let detail = "there was white space around the token, which was deleted";
            return Err(Trouble::rejected(Rejection::Request, detail));
        }
        Err(not_minted(&answer, grant))
    }

    /// The records of `duties` that are not there, as the token sees it: so the server accepts it.
    pub async fn missing(&self, token: &Secret, duties: &[Duty]) -> Result<Vec<Missing>, Trouble> {
        let opened = self.open(token).await?;
        missing(&self.look(&opened, duties).await?, duties)
    }

    /// Creates the records of `duties` that are not there, with the addresses `first`, by a user that
    /// owns the domain, and returns these records. The token only looks, before and after.
    pub async fn create_missing(
        &self,
        token: &Secret,
        owner: &Credential,
        duties: &[Duty],
        first: &PerFamily<IpAddr>,
        ttl: Option<u32>,
    ) -> Result<Vec<Missing>, Trouble> {
        let opened = self.open(token).await?;
        let domain = self.look(&opened, duties).await?;
        let to_create = missing(&domain, duties)?;
        if let Some(apex) = to_create.iter().find(|record| record.host.as_str() == domain.name) {
            let detail = format!(
                "there is no {apex}, the domain's own name; create it at the server by hand"
            );
            return Err(Trouble::rejected(Rejection::Host, detail));
        }
        for record in &to_create {
            let Missing { host, family } = record;
            let content = first[*family].to_string();
            let body = wire::new_record(host, &domain.name, *family, &content, ttl);
            let path = format!("/domains/{}/records.xml", opened.domain);
            let request = HttpRequest {
                method: Method::Post,
                body: Some(Body::ApplicationXml(body.into())),
                ..self.as_user(&path, owner)
            };
            let answer = self.send(&request).await?;
            if answer.status != 201 {
                return Err(not_created(&answer, record));
            }
        }
        if !to_create.is_empty()
            && let Some(record) = missing(&self.look(&opened, duties).await?, duties)?.first()
        {
            let detail = format!("the server took {record} and does not show it");
            return Err(Trouble::deferred(Fault::NotShown, detail));
        }
        Ok(to_create)
    }

    /// Ends a token by a logout with it, the only way; `false` when it had ended before.
    pub async fn end(&self, token: &Secret) -> Result<bool, Trouble> {
        let opened = match self.open(token).await {
            Ok(opened) => opened,
            Err(trouble) if trouble.is_credential() => return Ok(false),
            Err(trouble) => return Err(trouble),
        };
        // The answer does not count: the next try with the token shows whether it has ended.
        let left = self.send(&rails::leave(self.url, &opened)).await?;
        match self.open(token).await {
            Err(trouble) if trouble.is_credential() => Ok(true),
            Err(trouble) => Err(trouble),
            Ok(_) => {
                let detail = format!(
                    "the server accepts the token even after the logout, which it answered with {}",
                    left.summary()
                );
                Err(Trouble::deferred(Fault::Server, detail))
            }
        }
    }

    async fn open(&self, token: &Secret) -> Result<rails::Opened, Trouble> {
        let answer = self.send(&rails::open(self.url, token)).await?;
        rails::opened(self.url, token, &answer).map_err(Trouble::from)
    }

    async fn look(&self, opened: &rails::Opened, duties: &[Duty]) -> Result<Domain, Trouble> {
        let hosts: Vec<&Hostname> = duties.iter().map(|duty| &duty.host).collect();
        let answer = self.send(&rails::look(self.url, opened)).await?;
        let domain = xml::domain(&answer, &hosts);
        rails::shown(opened, &answer, domain.as_ref()).cloned().map_err(Trouble::from)
    }

    /// A request by a user with a password.
    fn as_user(&self, path: &str, user: &Credential) -> HttpRequest {
        let authorization = Some(Authorization::Basic(user.clone()));
        let headers = vec![("Accept".into(), "application/xml".to_owned().into())];
        let url = format!("{}{path}", self.url);
        HttpRequest { headers, is_list: true, ..HttpRequest::get(url, authorization) }
    }

    async fn send(&self, request: &HttpRequest) -> Result<Answer, Silence> {
        self.clients.send(request, self.ca_file).await
    }
}

/// The records of `duties` that `domain` does not show.
fn missing(domain: &Domain, duties: &[Duty]) -> Result<Vec<Missing>, Trouble> {
    let mut records = Vec::new();
    for duty in duties {
        if !domain.covers(&duty.host) {
            let detail = format!(
                "the token is for the domain {}, which does not contain {}",
                domain.name, duty.host
            );
            return Err(Trouble::rejected(Rejection::Host, detail));
        }
        for family in Family::BOTH.into_iter().filter(|&family| duty.families[family]) {
            let record = Missing { host: duty.host.clone(), family };
            if domain.records_of(&duty.host, family.record_type()).is_empty()
                && !records.contains(&record)
            {
                records.push(record);
            }
        }
    }
    Ok(records)
}

/// The trouble of a request for a token that brought none.
fn not_minted(answer: &Answer, grant: &Grant) -> Trouble {
    let said = wire::error(answer).map(|text| format!(": {text}")).unwrap_or_default();
    let (rejection, detail) = match answer.status {
        200..=299 => {
            // Its body may hold a secret that nobody knows yet, so it is not quoted.
            let detail = format!("HTTP {} without a token in it", answer.status);
            return Trouble::deferred(Fault::Unintelligible, detail);
        }
        401 => (
            Rejection::Credential,
            "the server does not take the user's name and password (HTTP 401)".to_owned(),
        ),
        302 | 403 => (
            Rejection::Forbidden,
            format!(
                "the user may not make tokens (HTTP {}); give it the role \"Auth token\" at the \
                 server, and check its name and password",
                answer.status
            ),
        ),
        404 => (
            Rejection::Host,
            format!("the server has no domain {}; check zone and the URL", grant.domain),
        ),
        422 => (
            Rejection::Request,
            format!("the server does not understand the request for a token (HTTP 422{said})"),
        ),
        // The server finds the token not valid, mostly because of its end.
        500 if !said.is_empty() => (
            Rejection::Request,
            format!(
                "the server refuses such a token{said}; compare this machine's clock with the \
                 server's, which must not be past the token's end"
            ),
        ),
        _ => return other(answer),
    };
    Trouble::rejected(rejection, detail)
}

/// The trouble of a record that was not created.
fn not_created(answer: &Answer, record: &Missing) -> Trouble {
    let said = wire::error(answer).unwrap_or_else(|| answer.summary());
    match answer.status {
        401 => Trouble::rejected(
            Rejection::Credential,
            "the server does not take the owner's name and password (HTTP 401)",
        ),
        302 | 403 => Trouble::rejected(
            Rejection::Forbidden,
            format!(
                "the user may not create {record} (HTTP {}); it takes the domain's owner or an \
                 administrator",
                answer.status
            ),
        ),
        400 | 422 if !answer.is_page() => {
            Trouble::rejected(Rejection::Request, format!("the server refuses {record}: {said}"))
        }
        _ => other(answer),
    }
}

/// The trouble of any other answer.
fn other(answer: &Answer) -> Trouble {
    let fault = match answer.status {
        429 => Fault::Busy,
        500..=599 => Fault::Server,
        _ => Fault::Unintelligible,
    };
    Trouble::answered(fault, answer)
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} record of {}", self.family.record_type(), self.host)
    }
}
