//! The one HTTP client: carries a request, limits its answer, and finds the fault from the cause.
//!
//! A round makes it and drops it, so that connections are shared within the round and nothing
//! stays open or wakes an idle daemon. The protocols find the meaning of an answer.

mod cause;
mod trust;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use reqwest::{Client, RequestBuilder, Response, Url};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

pub use self::trust::ca_file_problem;

use super::interface::{Uplink, unspecified};
use super::told;
use crate::core::address::Family;
use crate::core::outcome::{Fault, Silence};
use crate::core::protocol::{
    Answer, Authorization, Body, Credential, HttpRequest, Method, query_value,
};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::veil::{Much, Veil};
use crate::core::wire::calendar;
use crate::os::clock::wall;
use crate::os::supervisor::Pulse;

/// The most that is read of a provider's answer, in bytes.
const MOST: usize = 64 * 1024;

/// The most that is read of a list, in bytes: deSEC's pages of 500 tokens have 200 KiB.
const MOST_OF_A_LIST: usize = 4 * 1024 * 1024;

/// The time limits of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The limit until a connection is open: name look-up, TCP and TLS together.
    pub connect: Duration,
    /// The limit from the beginning to the last byte of the answer.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(30) }
    }
}

/// The clients of one round, made when they are first needed.
#[derive(Debug)]
pub struct Clients {
    clock_is_set: bool,
    limits: Limits,
    pulse: Pulse,
    made: RefCell<Made>,
    /// The secrets that were sent or received: every server may repeat any of them.
    veil: RefCell<Veil>,
    /// The number of requests so far, by which the log tells them apart.
    count: Cell<u32>,
}

/// The clients and their TLS settings. Lists suffice: one per authority file, family and interface.
#[derive(Debug, Default)]
struct Made {
    clients: Vec<Kept>,
    configs: Vec<(Trust, ClientConfig)>,
}

/// A client with its open connections.
#[derive(Debug)]
struct Kept {
    trust: Trust,
    way: Way,
    client: Client,
    /// The servers that answered it.
    reached: Vec<String>,
}

/// How connections are made; an interface that has changed is another way.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Way {
    /// The family that they use; `None` is any.
    via: Option<Family>,
    /// The interface that they leave by.
    line: Option<Uplink>,
    /// The address that they come from.
    local: Option<IpAddr>,
}

/// The authorities that a connection trusts.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Trust {
    /// No authority: the connection is not encrypted.
    Nobody,
    /// The web's authorities, and those of a file.
    Web(Option<PathBuf>),
}

impl Clients {
    /// The clients of a round; `clock_is_set` says whether this machine's clock can be believed.
    pub fn new(clock_is_set: bool) -> Self {
        Self::with_limits(clock_is_set, Limits::default())
    }

    /// The clients of a round, with other time limits.
    pub fn with_limits(clock_is_set: bool, limits: Limits) -> Self {
        let (pulse, made, veil, count) = Default::default();
        Self { clock_is_set, limits, pulse, made, veil, count }
    }

    /// The same clients, counting every answer and every failure as a step of the round.
    pub fn counting(self, pulse: &Pulse) -> Self {
        Self { pulse: pulse.clone(), ..self }
    }

    /// Hides `secret` in all answers from now on, beside what requests carry and answers bring.
    pub fn conceal(&self, secret: &Secret) {
        self.conceal_of("", secret);
    }

    /// Hides the secret of `login` in all answers from now on.
    fn conceal_of(&self, login: &str, secret: &Secret) {
        let mut veil = self.veil.borrow_mut();
        veil.add(secret);
        if Veil::is_faint(secret) {
            encoded(login, secret).for_each(|form| veil.add_form(&form));
        }
    }

    /// Hides all that `request` carries.
    fn conceal_all(&self, request: &HttpRequest) {
        let of_body = request.body.iter().flat_map(|body| body.parts().1.secrets());
        let of_headers = request.headers.iter().flat_map(|(_, value)| value.secrets());
        let written = request.url.secrets().chain(of_body).chain(of_headers);
        written.for_each(|secret| self.conceal(secret));
        match &request.authorization {
            None => {}
            Some(Authorization::ApiKey(secret) | Authorization::Token(secret)) => {
                self.conceal(secret);
            }
            Some(Authorization::Basic(Credential { login, secret })) => {
                self.conceal_of(login, secret);
            }
            Some(Authorization::Cookie(cookie)) => {
                session(cookie).iter().for_each(|secret| self.conceal(secret));
            }
        }
    }

    /// The answer of a provider, whatever its status; at most `MOST` bytes of it, or of a list
    /// `MOST_OF_A_LIST`.
    ///
    /// `ca_file` names a PEM file with authorities to trust besides the web's.
    pub async fn send(
        &self,
        request: &HttpRequest,
        ca_file: Option<&Path>,
    ) -> Result<Answer, Silence> {
        self.send_within(request, ca_file, self.limits.whole).await
    }

    /// As [`Self::send`], for at most `wait` until the last byte of the answer.
    pub async fn send_within(
        &self,
        request: &HttpRequest,
        ca_file: Option<&Path>,
        wait: Duration,
    ) -> Result<Answer, Silence> {
        let most = if request.is_list { MOST_OF_A_LIST } else { MOST };
        self.send_for(request, ca_file, (most, wait)).await
    }

    /// As [`Self::send`], for at most so many bytes of the answer, and so long until the last of them.
    pub async fn send_for(
        &self,
        request: &HttpRequest,
        ca_file: Option<&Path>,
        limits: (usize, Duration),
    ) -> Result<Answer, Silence> {
        let url = parsed(request.url.expose())?;
        // The way is found before anything is sent, even the look-up of a name.
        let way = Way::of(request, &url).map_err(|gone| Silence::new(Fault::Unreachable, gone))?;
        self.conceal_all(request);
        let began = self.log_request(request);
        let answer = self.carry_by(&way, request, url, ca_file, limits).await;
        self.pulse.beat();
        let heard = match answer {
            Ok(answer) => {
                let answer = self.without_secrets(answer);
                let brought = request.brings.and_then(|secret_in| secret_in(&answer));
                brought.iter().for_each(|secret| self.conceal(secret));
                Ok(answer)
            }
            Err(Silence { fault, detail }) => {
                let detail = self.hidden(&detail, Much::Whole);
                let by = request.bind.map(|name| format!(" (by {name})")).unwrap_or_default();
                Err(Silence { fault, detail: detail + &by })
            }
        };
        self.log_answer(request, &heard, began);
        heard
    }

    /// Logs that `request` leaves; returns its number and the moment, if that is logged at all.
    fn log_request(&self, request: &HttpRequest) -> Option<(u32, Instant)> {
        if !told::is_wanted() {
            return None;
        }
        let number = self.count.get() + 1;
        self.count.set(number);
        told::request(number, request, &|text| self.hidden(text, Much::Whole));
        Some((number, Instant::now()))
    }

    /// Logs what was heard of the request with that number.
    fn log_answer(
        &self,
        request: &HttpRequest,
        heard: &Result<Answer, Silence>,
        began: Option<(u32, Instant)>,
    ) {
        if let Some((number, began)) = began {
            let took = began.elapsed();
            told::answer(number, request, heard, took, &|text| self.hidden(text, Much::Part));
        }
    }

    /// `text` without the secrets that it holds.
    pub fn hidden(&self, text: &str, much: Much) -> String {
        self.veil.borrow_mut().clean(text, much).unwrap_or_else(|| text.to_owned())
    }

    /// `answer` without the secrets that it repeats: its text is quoted in logs and in the state.
    fn without_secrets(&self, mut answer: Answer) -> Answer {
        let mut veil = self.veil.borrow_mut();
        answer.cookies.iter().filter_map(session).for_each(|secret| veil.add(&secret));
        // An answer that is parsed loses only whole secrets: a name may look like part of a bad key.
        // An answer with such a part is not quoted.
        let begins = answer.body.trim_ascii_start().first();
        let is_read =
            (200..300).contains(&answer.status) && matches!(begins, Some(b'{' | b'[' | b'<'));
        match str::from_utf8(&answer.body) {
            Ok(text) if is_read => {
                answer.repeats_secret = veil.is_in(text, Much::Part);
                if answer.repeats_secret && text.len() > MOST {
                    // Too long to be copied.
                    if veil.is_in(text, Much::Whole) {
                        answer.body = b"a list that repeats a secret".to_vec();
                    }
                } else if answer.repeats_secret
                    && let Some(cleaned) = veil.clean(text, Much::Whole)
                {
                    answer.body = cleaned.into_bytes();
                }
            }
            _ => {
                answer.body.truncate(MOST);
                let text = String::from_utf8_lossy(&answer.body);
                if let Some(cleaned) = veil.clean(&text, Much::Part) {
                    answer.body = cleaned.into_bytes();
                }
            }
        }
        answer.location = answer.location.filter(|place| veil.clean(place, Much::Part).is_none());
        for text in [&mut answer.content_type, &mut answer.next].into_iter().flatten() {
            if let Some(cleaned) = veil.clean(text, Much::Whole) {
                *text = cleaned;
            }
        }
        answer
    }

    async fn carry_by(
        &self,
        way: &Way,
        request: &HttpRequest,
        url: Url,
        ca_file: Option<&Path>,
        (limit, waited): (usize, Duration),
    ) -> Result<Answer, Silence> {
        let server = server(&url);
        let via = way.via;
        let deadline = Instant::now() + waited;
        if let (Some(address), Some(via)) = (literal(&url), via)
            && Family::of(address) != via
        {
            let detail = format!("{server} cannot be reached over {via}");
            return Err(Silence::new(Fault::Unreachable, detail));
        }
        let client = self.client(&url, way, ca_file)?;
        let mut call = client.request(method(request.method), url);
        if let Some((media_type, text)) = request.body.as_ref().map(Body::parts) {
            call = call.header(CONTENT_TYPE, media_type).body(text.expose().to_owned());
        }
        for (name, value) in &request.headers {
            call = match value.secrets().next() {
                None => call.header(&**name, value.expose()),
                Some(_) => secret_header(call, name, value.expose())?,
            };
        }
        let call = authorized(call, request.authorization.as_ref())?;
        let failed = |error: reqwest::Error| {
            // The error's own words would hold the path.
            let error = error.without_url();
            cause::of(&error, &server, via, self.limits.connect, self.clock_is_set)
        };
        let late = |what: &str| {
            let waited = humantime::format_duration(waited);
            Silence::new(Fault::Lost, format!("{server} {what} within {waited}"))
        };
        let Ok(response) = timeout_at(deadline, call.send()).await else {
            return Err(late("did not answer"));
        };
        let mut response = response.map_err(failed)?;
        self.note_reached(&server, way);
        let mut answer = head(&response);
        let Ok(body) = timeout_at(deadline, body(&mut response, limit)).await else {
            return Err(late("did not complete its answer"));
        };
        let (bytes, is_whole) = body.map_err(failed)?;
        // A server in trouble may answer with any page; its wish for a pause counts all the same.
        let may_be_any_page = answer.status == 429 || answer.status >= 500;
        if !(is_whole || may_be_any_page) {
            let detail = format!("{server} answers with more than {limit} bytes");
            return Err(Silence::new(Fault::Unintelligible, detail));
        }
        answer.body = bytes;
        Ok(answer)
    }

    fn client(&self, url: &Url, way: &Way, ca_file: Option<&Path>) -> Result<Client, Silence> {
        let trust = match url.scheme() {
            "https" => Trust::Web(ca_file.map(Path::to_owned)),
            _ => Trust::Nobody,
        };
        let server = server(url);
        let mut made = self.made.borrow_mut();
        // Where any family is allowed, a connection that is open already is the fastest.
        let fits = |kept: &&mut Kept| {
            kept.trust == trust
                && kept.way.line == way.line
                && (kept.way.via == way.via
                    || (way.via.is_none() && kept.reached.contains(&server)))
        };
        if let Some(kept) = made.clients.iter_mut().find(fits) {
            return Ok(kept.client.clone());
        }
        let config = made.config(&trust)?;
        let client = client(config, way, self.limits.connect).map_err(|error| {
            let detail = format!("no HTTP client can be made: {}", cause::innermost(&error));
            Silence::new(Fault::Unreachable, detail)
        })?;
        let way = way.clone();
        made.clients.push(Kept { trust, way, client: client.clone(), reached: Vec::new() });
        Ok(client)
    }

    /// Notes that `server` answered the client of that way.
    fn note_reached(&self, server: &str, way: &Way) {
        let mut made = self.made.borrow_mut();
        for kept in made.clients.iter_mut().filter(|kept| kept.way == *way) {
            if !kept.reached.iter().any(|known| known == server) {
                kept.reached.push(server.to_owned());
            }
        }
    }
}

impl Way {
    /// The way that `request` has to take to `url`; the error says why there is none.
    fn of(request: &HttpRequest, url: &Url) -> Result<Self, String> {
        let Some(name) = request.bind else {
            return Ok(Self { via: request.via, line: None, local: None });
        };
        let line = Uplink::find(name)?;
        let via = line.family(request.via.or_else(|| literal(url).map(Family::of)))?;
        let local = line.local_address(via);
        Ok(Self { via, line: Some(line), local })
    }
}

impl Made {
    /// The TLS settings for `trust`; authorities are loaded once for all families and servers.
    fn config(&mut self, trust: &Trust) -> Result<ClientConfig, Silence> {
        if let Some((_, config)) = self.configs.iter().find(|(of, _)| of == trust) {
            return Ok(config.clone());
        }
        let config = match trust {
            Trust::Nobody => trust::nobody(),
            Trust::Web(ca_file) => trust::web(ca_file.as_deref()),
        };
        let config = config.map_err(|detail| Silence::new(Fault::Tls, detail))?;
        self.configs.push((trust.clone(), config.clone()));
        Ok(config)
    }
}

/// The server that `url` names, with its port where that is not the scheme's own.
///
/// Only this part of a URL belongs in a message: paths and queries may hold secrets.
pub fn server_of(url: &str) -> String {
    parsed(url).map_or_else(|error| error.detail, |url| server(&url))
}

/// The port of `url`, if `url` is valid.
pub fn port_of(url: &str) -> Option<u16> {
    parsed(url).ok()?.port_or_known_default()
}

/// The URL to which `reference` leads from `base`, if that is plain HTTP at `address` itself.
///
/// For devices that name their own pages: a URL at another machine is not trusted.
pub fn link_at(address: IpAddr, base: &str, reference: &str) -> Option<String> {
    let url = Url::parse(base).ok()?.join(reference).ok()?;
    (url.scheme() == "http" && literal(&url) == Some(address)).then(|| url.into())
}

fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn parsed(url: &str) -> Result<Url, Silence> {
    let wrong = |why: &str| Silence::new(Fault::Unreachable, format!("the URL is wrong: {why}"));
    let url = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(wrong("it begins neither with https:// nor with http://")),
    }
}

/// The address in `url`, if it has one in place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// A client that follows no redirect, uses no proxy, remembers nothing and repeats nothing.
fn client(config: ClientConfig, way: &Way, connect: Duration) -> reqwest::Result<Client> {
    // Plain text is what echo services and dynDNS servers speak; some send a web page unless asked.
    let accept = HeaderValue::from_static("text/plain, */*;q=0.5");
    // Binding to a family's unspecified address leaves out the addresses of the other one.
    let local = way.local.or_else(|| way.via.map(unspecified));
    let builder = Client::builder();
    #[cfg(target_os = "linux")]
    let builder = match way.line.as_ref().and_then(Uplink::device) {
        Some(device) => builder.interface(device),
        None => builder,
    };
    builder
        .tls_backend_preconfigured(config)
        .user_agent(concat!("homing/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(ACCEPT, accept)]))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .local_address(local)
        .connect_timeout(connect)
        // Shorter than servers keep theirs, so that few requests meet a connection just closed.
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
}

/// `request` with the credential in its header.
fn authorized(
    request: RequestBuilder,
    authorization: Option<&Authorization>,
) -> Result<RequestBuilder, Silence> {
    match authorization {
        None => Ok(request),
        Some(Authorization::ApiKey(key)) => secret_header(request, "x-api-key", key.expose()),
        Some(Authorization::Basic(credential)) => {
            Ok(request.basic_auth(&credential.login, Some(credential.secret.expose())))
        }
        Some(Authorization::Cookie(cookie)) => secret_header(request, "cookie", cookie.expose()),
        Some(Authorization::Token(secret)) => {
            secret_header(request, "authorization", &format!("Token {}", secret.expose()))
        }
    }
}

fn secret_header(
    request: RequestBuilder,
    name: &str,
    value: &str,
) -> Result<RequestBuilder, Silence> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        let detail = "the secret holds a character that no HTTP header can carry; \
                      put the token into its file as the provider shows it, on one line";
        Silence::new(Fault::Unreachable, detail)
    })?;
    // Keeps it out of debug output and of header compression.
    value.set_sensitive(true);
    Ok(request.header(name, value))
}

/// `secret` of `login` in the forms in which servers see it and send it back.
fn encoded(login: &str, secret: &Secret) -> impl Iterator<Item = String> {
    let (secret, percent) = (secret.expose(), query_value(secret.expose()));
    let [alone, with_login] = [secret, &format!("{login}:{secret}")].map(|text| {
        let standard = STANDARD_NO_PAD.encode(text);
        [standard.replace('+', "-").replace('/', "_"), standard]
    });
    [percent.to_ascii_lowercase(), percent].into_iter().chain(alone).chain(with_login)
}

/// The value of a cookie, if it is a session's; a short value is a setting and no secret.
fn session(cookie: &Secret) -> Option<Secret> {
    const SHORTEST: usize = 8;
    let (_, value) = cookie.expose().split_once('=')?;
    let value = value.split(';').next().unwrap_or_default().trim();
    (value.len() >= SHORTEST).then(|| Secret::new(value))
}

/// The parts of an answer's head that protocols read.
fn head(response: &Response) -> Answer {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let media_type = |value: &str| {
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    };
    let mut links = response.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    Answer {
        status: response.status().as_u16(),
        content_type: text(CONTENT_TYPE).map(media_type),
        challenges: response.headers().contains_key(WWW_AUTHENTICATE),
        retry_after: text(RETRY_AFTER).and_then(|wish| {
            // By the server's own clock, if it sends the time: either clock may be wrong.
            let now = text(DATE).and_then(calendar::http_date);
            retry_after(wish, now.unwrap_or_else(wall))
        }),
        next: links.find_map(next_page),
        location: text(LOCATION).map(str::to_owned),
        cookies: cookies.map(Secret::new).collect(),
        body: Vec::new(),
        repeats_secret: false,
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
        Method::Options => reqwest::Method::OPTIONS,
        Method::Patch => reqwest::Method::PATCH,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}

/// The URL of a list's next page, from a `Link` header such as `<a>; rel="first", <b>; rel="next"`.
fn next_page(header: &str) -> Option<String> {
    let mut links = header.split(',').map(str::trim);
    let next = links.find(|link| link.contains("rel=\"next\"") || link.ends_with("rel=next"))?;
    let (url, _) = next.strip_prefix('<')?.split_once('>')?;
    Some(url.to_owned())
}

/// The wait from `now` on that a `Retry-After` header asks for (RFC 9110, section 10.2.3): whole
/// seconds, or a date.
///
/// Returns at most one day, so that a broken server cannot silence a host for ever, and `None` for
/// another form or no wait.
fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let header = header.trim();
    let is_number = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        header.parse().map_or(DAY, Duration::from_secs)
    } else {
        calendar::http_date(header)?.since(now)
    };
    (!wait.is_zero()).then_some(wait.min(DAY))
}

/// The first `limit` bytes of the body, and whether that is all of it.
async fn body(response: &mut Response, limit: usize) -> reqwest::Result<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body, false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, true))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date_and_lasts_a_day_at_most() {
        // 31 December 1999, 23:59:00.
        let now = Timestamp::from_secs(946_684_740);
        for (header, expect) in [
            (" 37 ", Some(37)),
            ("99999999999", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("0", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(59)),
            ("Friday, 31-Dec-99 23:59:59 GMT", Some(59)),
            ("Fri Dec 31 23:59:59 1999", Some(59)),
            ("Sat,  1 Jan 2000 00:01:00 GMT", Some(120)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("Fri, 31 Dec 1999 23:58:59 GMT", None),
            ("Fri, 31 Dec 1999 23:59:59 CET", None),
            ("Fri, 31 Foo 1999 23:59:59 GMT", None),
        ] {
            assert_eq!(retry_after(header, now), expect.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn a_list_goes_on_where_its_next_link_leads() {
        let header = "<https://d.example/t/?cursor=>; rel=\"first\", \
                      <https://d.example/t/?cursor=Zm9v>; rel=\"next\"";
        assert_eq!(next_page(header).unwrap(), "https://d.example/t/?cursor=Zm9v");
        assert_eq!(next_page("<https://d.example/t/?cursor=>; rel=\"first\""), None);
        assert_eq!(next_page("rel=\"next\""), None);
    }

    #[test]
    fn a_server_is_named_without_path_query_and_login() {
        assert_eq!(server_of("https://u:p@dns.example/nic/update?t=secret"), "dns.example");
        assert_eq!(server_of("http://[::1]:8080/x"), "[::1]:8080");
        assert_eq!(server_of("https://dns.example:443/"), "dns.example");
    }

    #[test]
    fn a_url_that_is_none_is_not_repeated() {
        let error = parsed("https://:secret").unwrap_err();
        assert_eq!(error.detail, "the URL is wrong: empty host");
        assert_eq!(parsed("file:///etc/shadow").unwrap_err().fault, Fault::Unreachable);
    }

    #[test]
    fn a_link_must_lead_to_the_device_itself() {
        let device = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1));
        let link = |reference| link_at(device, "http://192.168.1.1:5000/a/root.xml", reference);
        assert_eq!(link("/ctl").unwrap(), "http://192.168.1.1:5000/ctl");
        assert_eq!(link("ctl?x").unwrap(), "http://192.168.1.1:5000/a/ctl?x");
        assert_eq!(link("http://192.168.1.1/").unwrap(), "http://192.168.1.1/");
        for elsewhere in [
            "http://192.168.1.2:5000/ctl",
            "//192.168.1.2/ctl",
            "http://192.168.1.1@192.168.1.2/",
            "http://192.168.1.1.example/",
            "http://[::ffff:192.168.1.1]/",
            "https://192.168.1.1/",
            "file:///etc/passwd",
        ] {
            assert_eq!(link(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(link_at(device, "root.xml", "/ctl"), None);
    }

    #[test]
    fn an_address_in_place_of_a_name_is_recognised() {
        let of = |url| literal(&Url::parse(url).unwrap());
        assert_eq!(of("http://[::1]:8080/"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(of("http://127.0.0.1/"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(of("http://127.0.0.1.example/"), None);
    }
}
