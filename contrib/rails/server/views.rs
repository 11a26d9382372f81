//! A request to its answer. Pure.

use std::time::Duration;

use super::dates;
use super::http::{Answer, Request, from_base64};
use super::world::{Credential, Record, Release, Role, Token, User, World};
use super::xml;

/// The name of the session's cookie.
const COOKIE: &str = "_powerdns-on-rails_session";

/// The answer to `request`, which takes effect in `world`; `now` is since the Unix epoch.
pub fn answer(world: &mut World, request: &Request, now: Duration) -> Answer {
    let Some(path) = request.path.strip_prefix(&world.base) else {
        return page(404, "The page you were looking for doesn't exist.");
    };
    let path = path.to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method.as_str(), &parts[..]) {
        ("POST", ["auth_token.xml"]) => mint(world, request, now),
        ("GET", ["token", secret]) => enter(world, request, secret, now),
        ("GET", ["domains", id]) => match id.strip_suffix(".xml").and_then(|id| id.parse().ok()) {
            Some(id) => show(world, request, id),
            None => page(406, ""),
        },
        ("PUT", ["domains", domain, "records", id]) => match (domain.parse(), id.parse()) {
            (Ok(domain), Ok(id)) => change(world, request, domain, id),
            _ => page(404, "The page you were looking for doesn't exist."),
        },
        ("DELETE", ["domains", domain, "records", id]) => match (domain.parse(), id.parse()) {
            (Ok(domain), Ok(id)) => delete(world, request, domain, id),
            _ => page(404, "The page you were looking for doesn't exist."),
        },
        ("POST", ["domains", domain, "records"]) => match domain.parse() {
            Ok(domain) => create_by_token(world, request, domain),
            Err(_) => page(404, "The page you were looking for doesn't exist."),
        },
        ("POST", ["domains", domain, "records.xml"]) => match domain.parse() {
            Ok(domain) => create_by_owner(world, request, domain),
            Err(_) => page(404, "The page you were looking for doesn't exist."),
        },
        ("GET" | "POST", ["logout"]) | ("DELETE", ["session"]) => {
            if let Some(cookie) = cookie(request) {
                world.log_out(&cookie, now);
            }
            redirect(world, request, "/")
        }
        _ => page(404, "The page you were looking for doesn't exist."),
    }
}

/// Who asks.
pub fn credential(world: &World, request: &Request, now: Duration) -> Credential {
    if request.header("Authorization").is_some() {
        return match user(world, request) {
            Some(user) => Credential::Basic(user.login.clone()),
            None => Credential::Unknown,
        };
    }
    if let Some(cookie) = cookie(request) {
        let known = world.token_of_session(&cookie).is_some();
        return if known { Credential::Session } else { Credential::Unknown };
    }
    match secret_in(request) {
        Some(secret) if world.live_token(secret, now).is_some() => Credential::Token,
        Some(_) => Credential::Unknown,
        None => Credential::Absent,
    }
}

/// The secret that stands in the path.
pub fn secret_in(request: &Request) -> Option<&str> {
    let (_, secret) = request.path.split_once("/token/")?;
    Some(secret).filter(|secret| !secret.is_empty())
}

fn mint(world: &mut World, request: &Request, now: Duration) -> Answer {
    let Some(user) = user(world, request) else {
        return denied();
    };
    if !user.makes_tokens {
        return redirect(world, request, "/");
    }
    let not_understood = || xml_answer(422, &xml::error("Unable to parse the request body"));
    if !is_xml(request) || request.body.is_empty() {
        return not_understood();
    }
    let Some(fields) = xml::fields(&request.body, "auth_token") else {
        return not_understood();
    };
    let one =
        |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
    let list = |name: &str| -> Vec<String> {
        let texts = fields.iter().filter(|(known, _)| known == name);
        texts.map(|(_, text)| text.clone()).collect()
    };
    let wanted = one("domain").unwrap_or_default();
    let Some(domain) = world.domains.iter().find(|domain| domain.name == wanted) else {
        return Answer::text(404, "Domain not found");
    };
    let domain = domain.id;
    let newer = world.release != Release::V2_3_3;
    let (records, protect) = (list("record"), list("protect"));
    let protect_types = list("protect_type");
    if newer && [&records, &protect, &protect_types].iter().any(|list| list.len() == 1) {
        return page(500, "We're sorry, but something went wrong.");
    }
    let expires = match one("expires_at") {
        None if newer => return xml_answer(500, &xml::error("Expires at can't be blank")),
        None => Some(now + Duration::from_secs(60 * 60)),
        Some(text) => dates::parse(text),
    };
    let Some(expires) = expires.filter(|expires| *expires > now) else {
        return xml_answer(500, &xml::error("Expires at must be in the future"));
    };
    let names: Vec<&str> = records.iter().map(String::as_str).collect();
    let secret = world.add_token(domain, &names, expires);
    if let Some(token) = world.tokens.last_mut() {
        token.allows_by_default = one("policy") == Some("allow");
        token.allow_new = one("allow_new") == Some("true");
        token.remove = one("remove") == Some("true");
        (token.protect, token.protect_types) = (protect, protect_types);
    }
    let url = format!("{}/token/{secret}", believed(world, request));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<token>\n  <expires>{}</expires>\n  \
         <auth_token>{secret}</auth_token>\n  <url>{url}</url>\n</token>\n",
        dates::ruby(expires),
    );
    xml_answer(200, &body)
}

fn enter(world: &mut World, request: &Request, secret: &str, now: Duration) -> Answer {
    let Some((token, domain)) = world.live_token(secret, now).map(|token| (token.id, token.domain))
    else {
        return page(200, "Your authentication token has expired.");
    };
    let cookie = world.open(token);
    let answer = redirect(world, request, &format!("/domains/{domain}"));
    answer.with("Set-Cookie", &format!("{COOKIE}={cookie}; path=/; HttpOnly"))
}

fn show(world: &World, request: &Request, id: u64) -> Answer {
    let token = match session(world, request) {
        Ok(token) => token,
        Err(answer) => return answer,
    };
    match world.domain(id).filter(|domain| domain.id == token.domain) {
        Some(domain) => xml_answer(200, &xml::domain(domain)),
        None => forbidden(),
    }
}

fn change(world: &mut World, request: &Request, domain: u64, id: u64) -> Answer {
    let token = match session(world, request) {
        Ok(token) => token.clone(),
        Err(answer) => return answer,
    };
    if !is_xml(request) {
        return page(422, "The change you wanted was rejected.");
    }
    let found = world.domain(domain).filter(|domain| domain.id == token.domain);
    let found = found.and_then(|domain| domain.records.iter().find(|record| record.id == id));
    let Some(record) = found.cloned() else {
        return Answer::text(404, "Record not found");
    };
    if !token.may_change(&record.name, &record.kind) {
        return forbidden();
    }
    let Some(fields) = xml::fields(&request.body, "record") else {
        return page(400, "");
    };
    let record = changed(record, &fields);
    let is_valid = world.is_valid(&record.kind, &record.content);
    if is_valid && let Some(domain) = world.domain_mut(domain) {
        let slot = domain.records.iter_mut().filter(|known| known.id == id);
        slot.for_each(|slot| *slot = record.clone());
    }
    changed_answer(world.release, request, is_valid)
}

fn create_by_token(world: &mut World, request: &Request, domain: u64) -> Answer {
    let token = match session(world, request) {
        Ok(token) => token.clone(),
        Err(answer) => return answer,
    };
    if !is_xml(request) {
        return page(422, "The change you wanted was rejected.");
    }
    if !token.allow_new || token.domain != domain {
        return forbidden();
    }
    let Some(record) = new_record(world, request, domain) else {
        return changed_answer(world.release, request, false);
    };
    let is_valid = world.is_valid(&record.kind, &record.content);
    if is_valid {
        world.create(domain, &record);
        world.save_again(token.id);
    }
    changed_answer(world.release, request, is_valid)
}

fn create_by_owner(world: &mut World, request: &Request, domain: u64) -> Answer {
    let Some(user) = user(world, request) else {
        return denied();
    };
    if user.role == Role::Nobody {
        return redirect(world, request, "/");
    }
    if !is_xml(request) || world.domain(domain).is_none() {
        return Answer::text(404, "Domain not found");
    }
    match new_record(world, request, domain) {
        Some(record) if world.is_valid(&record.kind, &record.content) => {
            let id = world.create(domain, &record);
            xml_answer(201, &xml::record(&Record { id, ..record }))
        }
        _ => xml_answer(422, "<errors>\n  <error>Content is invalid</error>\n</errors>\n"),
    }
}

fn delete(world: &mut World, request: &Request, domain: u64, id: u64) -> Answer {
    let token = match session(world, request) {
        Ok(token) => token.clone(),
        Err(answer) => return answer,
    };
    let Some(domain) = world.domain_mut(domain).filter(|domain| domain.id == token.domain) else {
        return forbidden();
    };
    let may = |record: &Record| token.remove && token.may_change(&record.name, &record.kind);
    if !domain.records.iter().any(|record| record.id == id && may(record)) {
        return forbidden();
    }
    domain.records.retain(|record| record.id != id);
    changed_answer(world.release, request, true)
}

/// How a release answers a change, after it has made it or not.
fn changed_answer(release: Release, request: &Request, is_valid: bool) -> Answer {
    let accept = request.header("Accept").unwrap_or("*/*");
    let takes = |kind: &str| accept.split(',').any(|part| part.trim().starts_with(kind));
    match release {
        Release::V2_3_3 if takes("text/javascript") || takes("*/*") => {
            let script = if is_valid { "$('record').reload();" } else { "$('error').show();" };
            Answer::new(200, "text/javascript; charset=utf-8", script)
        }
        Release::V2_3_3 => Answer::empty(406),
        Release::Devise | Release::Later => match (takes("application/xml"), is_valid) {
            (true, true) => Answer::empty(204),
            (true, false) => {
                xml_answer(422, "<errors>\n  <error>Content is invalid</error>\n</errors>\n")
            }
            (false, _) => Answer::empty(406),
        },
    }
}

/// `record` with what the request says about it.
fn changed(mut record: Record, fields: &[(String, String)]) -> Record {
    for (name, text) in fields {
        match name.as_str() {
            "content" => record.content.clone_from(text),
            "ttl" => record.ttl = text.parse().unwrap_or(record.ttl),
            _ => {}
        }
    }
    record
}

/// The record that a request describes, its name completed by the domain's.
fn new_record(world: &World, request: &Request, domain: u64) -> Option<Record> {
    let fields = xml::fields(&request.body, "record")?;
    let one =
        |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let domain = &world.domain(domain)?.name;
    let name = format!("{}.{domain}", one("name").filter(|name| !name.is_empty())?);
    let record = Record { id: 0, name, kind: one("type")?, content: String::new(), ttl: 3600 };
    Some(changed(record, &fields))
}

/// The token behind the request's session, or the answer to whoever has none.
fn session<'a>(world: &'a World, request: &Request) -> Result<&'a Token, Answer> {
    let token = cookie(request).and_then(|cookie| world.token_of_session(&cookie));
    match token {
        Some(_) if world.release == Release::Devise => {
            Err(xml_answer(401, &xml::error("You need to sign in before continuing.")))
        }
        Some(token) => Ok(token),
        None => Err(redirect(world, request, "/session/new")),
    }
}

fn cookie(request: &Request) -> Option<String> {
    let mut pairs = request.header("Cookie")?.split(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim().to_owned())
}

fn user<'a>(world: &'a World, request: &Request) -> Option<&'a User> {
    let encoded = request.header("Authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(from_base64(encoded)?).ok()?;
    let (login, password) = pair.split_once(':')?;
    world.users.iter().find(|user| user.login == login && user.password == password)
}

/// Without such a type Rails does not parse a body.
fn is_xml(request: &Request) -> bool {
    let kind = request.header("Content-Type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    matches!(essence, "application/xml" | "text/xml")
}

/// Where it believes to be: by the name it was called by, unless it knows better.
fn believed(world: &World, request: &Request) -> String {
    let called = || format!("http://{}", request.header("Host").unwrap_or("localhost"));
    format!("{}{}", world.believed.clone().unwrap_or_else(called), world.base)
}

fn redirect(world: &World, request: &Request, path: &str) -> Answer {
    let place = format!("{}{path}", believed(world, request));
    let body =
        format!("<html><body>You are being <a href=\"{place}\">redirected</a>.</body></html>");
    Answer::new(302, "text/html; charset=utf-8", &body).with("Location", &place)
}

fn denied() -> Answer {
    Answer::text(401, "HTTP Basic: Access denied.\n")
        .with("WWW-Authenticate", "Basic realm=\"Application\"")
}

fn forbidden() -> Answer {
    Answer::text(403, "You are not permitted to do that.")
}

fn xml_answer(status: u16, body: &str) -> Answer {
    Answer::new(status, "application/xml; charset=utf-8", body)
}

fn page(status: u16, text: &str) -> Answer {
    let body = format!(
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\">\n\
         <html><head><title>PowerDNS on Rails</title></head><body><p>{text}</p></body></html>\n"
    );
    Answer::new(status, "text/html; charset=utf-8", &body)
}
