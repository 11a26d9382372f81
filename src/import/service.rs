//! Finds the provider of Homing for a service of the old configuration.
//!
//! Knows servers and names from the clients' public documentation, and finds others in the table of
//! providers. Called by the reader of each client.

use std::net::{IpAddr, Ipv6Addr};

use super::Remark;
use super::harmless::{harmless_query, is_harmless_path};
use super::names::{self, Meaning};
use crate::core::address::{Special, special};
use crate::core::built_in;
use crate::core::closed::{self, Closed};
use crate::core::protocol::http::entry::Entry;
use crate::core::protocol::manners::{Protocol, SecretKind};
use crate::core::provider::Provider;

/// The service that keeps the records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Service {
    /// A built-in provider.
    BuiltIn(Box<Provider>),
    /// A provider to write as `[provider.NAME]`.
    Own(Own),
    /// A service that Homing cannot use: its name, and a sentence that says why and what to do.
    Unknown(String, String),
    /// A service of which nothing may be shown.
    Unread,
}

/// A `[provider.NAME]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Own {
    pub(super) name: String,
    pub(super) protocol: Protocol,
    pub(super) settings: Vec<(&'static str, Value)>,
}

/// The value of a provider's setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    List(Vec<String>),
    /// A table with one key.
    Pair(&'static str, Box<Value>),
    Text(String),
}

impl Value {
    /// Whether any text in it is what `is_it` looks for.
    pub(super) fn any(&self, is_it: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Flag(_) => false,
            Self::List(texts) => texts.iter().any(|text| is_it(text)),
            Self::Pair(_, value) => value.any(is_it),
            Self::Text(text) => is_it(text),
        }
    }
}

impl Own {
    /// Whether a setting has a place called `name`.
    fn uses(&self, name: &str) -> bool {
        let place = ["{", name, "}"].concat();
        self.settings.iter().any(|(_, value)| value.any(&|text| text.contains(&place)))
    }
}

impl Service {
    /// The name of the provider as hosts write it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::BuiltIn(provider) => &provider.name,
            Self::Own(own) => &own.name,
            Self::Unknown(name, _) => name,
            Self::Unread => "unknown",
        }
    }

    /// The protocol, if it is known.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::BuiltIn(provider) => Some(provider.protocol),
            Self::Own(own) => Some(own.protocol),
            Self::Unknown(..) | Self::Unread => None,
        }
    }

    /// The kind of secret of its hosts, if the protocol is known.
    pub(super) fn secret_kind(&self) -> Option<SecretKind> {
        match self {
            Self::BuiltIn(provider) => Some(provider.manners().secret),
            Self::Own(own) if own.uses("login") || own.uses("basic") => Some(SecretKind::Password),
            Self::Own(own) => Some(own.protocol.manners().secret),
            Self::Unknown(..) | Self::Unread => None,
        }
    }

    /// The built-in provider, if it is one whose API an entry describes.
    pub(super) fn described(&self) -> Option<(&Provider, &Entry)> {
        match self {
            Self::BuiltIn(provider) => Some((provider, provider.http.as_deref()?)),
            Self::Own(_) | Self::Unknown(..) | Self::Unread => None,
        }
    }

    /// Whether requests to it can say how long resolvers may keep a record.
    pub(super) fn says_ttl(&self) -> bool {
        match self {
            Self::BuiltIn(provider) => provider.manners().says_ttl,
            Self::Own(own) => !own.protocol.is_described() && own.protocol.manners().says_ttl,
            Self::Unknown(..) | Self::Unread => false,
        }
    }

    /// Whether it is a `[provider.NAME]` for the server at `url`.
    pub(super) fn is_at(&self, url: &str) -> bool {
        let server = ("server", Value::Text(url.trim_end_matches('/').to_owned()));
        matches!(self, Self::Own(own) if own.settings.contains(&server))
    }

    /// The built-in provider `name`, which must exist.
    pub(super) fn known(name: &str) -> Self {
        built_in::named(name)
            .map_or_else(|| Self::unknown(name), |provider| Self::BuiltIn(Box::new(provider)))
    }

    /// The service for another client's name on `line`; that client sent each family in its own
    /// update.
    pub(super) fn meant(meaning: Meaning, line: usize, remarks: &mut Vec<Remark>) -> Self {
        match meaning {
            Meaning::BuiltIn(name) => Self::known(name),
            Meaning::Closed(name, called) => {
                // inadyn's names begin with a kind, such as default@.
                let called = called.rsplit('@').next().unwrap_or_default();
                Self::refused(closed::named(name), called)
            }
            Meaning::Other(server, path) => {
                let settings = vec![("one-family", Value::Flag(true))];
                dyndns2(server, path, false, settings, line, remarks)
            }
        }
    }

    /// A service that Homing does not know, with what to do about it.
    pub(super) fn unknown(name: &str) -> Self {
        match closed::find(name) {
            None => Self::not_known(name, USUAL),
            closed => Self::refused(closed, name),
        }
    }

    /// A service that Homing does not know; `advice` says what to do.
    pub(super) fn not_known(name: &str, advice: &str) -> Self {
        let why = format!("Homing does not know {name}: {advice}");
        Self::Unknown(name.to_owned(), why)
    }

    /// A closed service, which the old configuration calls `name`.
    fn refused(closed: Option<Closed>, name: &str) -> Self {
        let why = closed.map(|closed| closed.refusal(name)).unwrap_or_default();
        Self::Unknown(name.to_owned(), why)
    }
}

/// The usual advice.
const USUAL: &str = "keep the old client for these names; or describe the service as [provider.NAME], with protocol = \
    \"dyndns2\" if it speaks that and \"http\" if not; or let the names be CNAMEs of a name at a service of \
    `homing providers`";

/// The service at `host`, a server's name without a port, if Homing knows that it is closed.
fn closed_at(host: &str) -> Option<Closed> {
    match names::at_server(&host.to_ascii_lowercase()) {
        Some(Meaning::Closed(name, _)) => closed::named(name),
        Some(Meaning::BuiltIn(_) | Meaning::Other(..)) | None => None,
    }
}

/// The built-in provider whose updates go to `host`, a server's name without a port.
pub(super) fn at_server(host: &str) -> Option<Provider> {
    let host = host.to_ascii_lowercase();
    if host.is_empty() {
        return None;
    }
    let goes_there = |provider: &Provider| goes_to(provider, &host);
    built_in::mentioning(&host).find(goes_there).or_else(|| match names::at_server(&host)? {
        Meaning::BuiltIn(name) => built_in::named(name),
        Meaning::Closed(..) | Meaning::Other(..) => None,
    })
}

/// Whether updates of `provider` go to `host`, which is in lower case.
pub(super) fn goes_to(provider: &Provider, host: &str) -> bool {
    let entry = provider.http.iter().flat_map(|entry| entry.servers()).map(|(_, server)| server);
    let mut urls = provider.update_url.as_deref().into_iter().chain(entry);
    urls.any(|url| host_of(url).eq_ignore_ascii_case(host))
}

/// A service that speaks dyndns2 at `server` (with or without scheme and port) under `path`.
///
/// A server that Homing knows becomes its built-in provider, whatever the path. `settings` are more
/// settings for an unknown server.
pub(super) fn dyndns2(
    server: &str,
    path: &str,
    is_plain: bool,
    settings: Vec<(&'static str, Value)>,
    line: usize,
    remarks: &mut Vec<Remark>,
) -> Service {
    const USUAL_PATH: &str = "/nic/update";
    let rest = without_scheme(server).trim_end_matches('/');
    let is_plain = is_plain && !server.starts_with("https://") || server.starts_with("http://");
    let host = host_of(rest);
    if let Some(service) = known_at(host) {
        return service;
    }
    let hidden = |what: &str| {
        let title = if is_host(host) { host } else { "this service" };
        let advice = format!(
            "{what}, so it is not repeated here; describe it as [provider.NAME], with the secret in a file"
        );
        Service::not_known(title, &advice)
    };
    if rest.contains(['?', '#']) || plain_server(rest).is_none() {
        return hidden("its server is more than a name and a port, and may hold a secret");
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Some(query) = harmless_query(query).filter(|_| is_harmless_path(path)) else {
        return hidden("its path or what follows it may hold a secret");
    };
    let mut settings = settings;
    let scheme = scheme(host, is_plain, &mut settings, line, remarks);
    let path =
        if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") };
    let (key, url) = if path == USUAL_PATH || path.is_empty() {
        ("server", format!("{scheme}://{rest}"))
    } else {
        ("update-url", format!("{scheme}://{rest}{path}"))
    };
    settings.insert(0, (key, Value::Text(url)));
    if !query.is_empty() {
        settings.push(("query", Value::Text(query)));
    }
    Service::Own(Own { name: entry_name(host), protocol: Protocol::Dyndns2, settings })
}

/// The service at `host` that Homing knows: a built-in one, or a closed one.
pub(super) fn known_at(host: &str) -> Option<Service> {
    let built_in = at_server(host).map(|provider| Service::BuiltIn(Box::new(provider)));
    let closed = || Some(Service::refused(Some(closed_at(host)?), host));
    built_in.or_else(closed)
}

/// The scheme for requests to `host`, which was spoken to without TLS if `is_plain`; adds the setting
/// that this needs.
pub(super) fn scheme(
    host: &str,
    is_plain: bool,
    settings: &mut Vec<(&'static str, Value)>,
    line: usize,
    remarks: &mut Vec<Remark>,
) -> &'static str {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    // Homing allows http:// on this machine, and in a private network if the user sets plain-http.
    let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let is_near = address.is_some_and(|address| special(address) == Some(Special::Private));
    match (is_plain, is_here, is_near) {
        (true, true, _) => "http",
        (true, _, true) => {
            settings.push(("plain-http", Value::Flag(true)));
            let what =
                "the password goes over the network as readable text; use https there if you can";
            remarks.push(Remark::to_do(line, what));
            "http"
        }
        (true, false, false) => {
            let what = "it was spoken to by http, where others can read the password; Homing takes https alone: see \
                        whether the server has it";
            remarks.push(Remark::to_do(line, what));
            "https"
        }
        (false, ..) => "https",
    }
}

/// `server` if it is a name or an address, with or without a port, but no login, path or query.
pub(super) fn plain_server(server: &str) -> Option<&str> {
    if server.parse::<Ipv6Addr>().is_ok() {
        return Some(server);
    }
    let host = host_of(server);
    let port = server.strip_prefix(host)?;
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let ends = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (is_host(host) && ends).then_some(server)
}

/// Whether `host` is the name of a server, or an address as in a URL.
fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bracketed.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        || super::is_name(host) && !host.contains(['@', '*'])
}

fn unreadable_server() -> Service {
    let advice = "its server is not a name or address, or may contain a secret, so it is not \
        repeated here; write it as [provider.NAME]";
    Service::not_known("this server", advice)
}

/// A name server that accepts signed updates; `algorithm` is the hash of keys without a file.
pub(super) fn name_server(server: Option<&str>, algorithm: Option<&str>) -> Service {
    let Some(server) = server else {
        let advice = "write its name server as [provider.NAME]";
        return Service::not_known("nsupdate without a server", advice);
    };
    if plain_server(server).is_none() {
        return unreadable_server();
    }
    // The configuration needs brackets around IPv6.
    let bracketed = server.parse::<Ipv6Addr>().map(|address| format!("[{address}]"));
    let server = bracketed.unwrap_or_else(|_| server.to_owned());
    let name = entry_name(host_of(&server));
    let mut settings = vec![("server", Value::Text(server))];
    settings.extend(algorithm.map(|algorithm| ("algorithm", Value::Text(algorithm.to_owned()))));
    Service::Own(Own { name, protocol: Protocol::Rfc2136, settings })
}

/// The HTTP API of PowerDNS at `server`.
pub(super) fn powerdns(server: &str) -> Service {
    let server = server.trim_end_matches('/');
    let (authority, path, _) = parts(without_scheme(server));
    if server.contains('?') || plain_server(authority).is_none() || !is_harmless_path(path) {
        return unreadable_server();
    }
    let name = entry_name(host_of(server));
    let settings = vec![("server", Value::Text(server.to_owned()))];
    Service::Own(Own { name, protocol: Protocol::PowerDns, settings })
}

/// `url` after its first `://`; the text before that may be a secret.
pub(super) fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// The authority, path and query of a URL without its scheme.
pub(super) fn parts(rest: &str) -> (&str, &str, &str) {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    (authority, path, query)
}

/// The host of a URL, with or without its scheme.
pub(super) fn host_of(url: &str) -> &str {
    let authority = without_scheme(url).split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.find(']') {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// A provider's name, made from the server's name.
pub(super) fn entry_name(host: &str) -> String {
    let name = plain(host);
    let name = name.trim_matches('-').to_ascii_lowercase();
    // An entry with the name of a built-in provider would change that provider.
    if name.is_empty() || built_in::named(&name).is_some() { format!("own-{name}") } else { name }
}

/// A name for a section or a file; characters that are not allowed become hyphens.
pub(super) fn plain(text: &str) -> String {
    const LONGEST: usize = 48;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.chars().map(|c| if fits(c) { c } else { '-' }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_servers_of_a_provider_lead_to_it() {
        for (server, name) in [("www.ovh.com", "ovh"), ("Update6.dedyn.io", "desec")] {
            assert_eq!(
                at_server(server).map(|provider| provider.name.into_owned()).as_deref(),
                Some(name)
            );
        }
    }

    #[test]
    fn servers_are_found_whatever_their_case() {
        let name = |server| at_server(server).map(|provider| provider.name.into_owned());
        assert_eq!(name("Update.dedyn.IO").as_deref(), Some("desec"));
        assert_eq!(name("members.dyndns.org").as_deref(), Some("dyn.com"));
        assert_eq!(name("dyndns.kasserver.com").as_deref(), Some("all-inkl"));
        assert_eq!(name("dynv6.com").as_deref(), Some("dynv6"));
        assert_eq!(name("API.Cloudflare.com").as_deref(), Some("cloudflare"));
        assert_eq!(name("cloudflare.com").as_deref(), None);
    }

    #[test]
    fn a_closed_service_is_told_by_whatever_name() {
        let at = |server| dyndns2(server, "/nic/update", false, Vec::new(), 1, &mut Vec::new());
        for service in [
            at("domains.google.com"),
            at("update.twodns.de"),
            Service::unknown("googledomains"),
            Service::unknown("cloudxns.net"),
        ] {
            let is_told = |why: &String| why.contains(" has been closed since ");
            assert!(matches!(&service, Service::Unknown(_, why) if is_told(why)), "{service:?}");
        }
        for open in ["cloud.google.com-v1", "cloudflare", "duckdns.org", "d.example"] {
            let service = Service::unknown(open);
            let is_told = |why: &String| why.contains("Homing does not know ");
            assert!(matches!(&service, Service::Unknown(_, why) if is_told(why)), "{service:?}");
        }
    }

    #[track_caller]
    fn described(server: &str, path: &str, is_plain: bool, expect: &str, remarked: usize) {
        let mut remarks = Vec::new();
        let service = dyndns2(server, path, is_plain, Vec::new(), 1, &mut remarks);
        let Service::Own(own) = service else { panic!("{service:?}") };
        let told: Vec<_> = own
            .settings
            .iter()
            .map(|(key, value)| match value {
                Value::Flag(flag) => format!("{key}={flag}"),
                Value::Text(text) => format!("{key}={text}"),
                Value::List(_) | Value::Pair(..) => panic!("{value:?}"),
            })
            .collect();
        assert_eq!(format!("{}: {}", own.name, told.join(" ")), expect);
        assert_eq!(remarks.len(), remarked, "{remarks:?}");
    }

    #[test]
    fn an_unknown_server_is_described_and_reached_by_https() {
        described("d.example", "/nic/update", false, "d.example: server=https://d.example", 0);
        described("d.example:81", "/x", true, "d.example: update-url=https://d.example:81/x", 1);
        described("https://d.example/", "", true, "d.example: server=https://d.example", 0);
        described("http://[::1]:80", "", false, "1: server=http://[::1]:80", 0);
        described(
            "192.168.1.2",
            "",
            true,
            "192.168.1.2: server=http://192.168.1.2 plain-http=true",
            1,
        );
        described("desec", "", false, "own-desec: server=https://desec", 0);
    }

    #[test]
    fn what_may_be_a_secret_in_a_server_or_path_is_not_repeated() {
        for (server, path) in [
            ("https://me:hunter2@d.example/", ""),
            ("hunterlogin@d.example", "/nic/update"),
            ("d.example/hunter2", ""),
            ("d.example?hunter2", ""),
            ("d.example:hunter2", ""),
            ("d.example", "/nic/update?token=hunter2"),
            ("d.example", "/nic/update?hunter2"),
            ("d.example", "/dyn/HUNTERhunterTOKENPATH0123456789abc/"),
            ("d.example", "/dyn/hunterletters/"),
            ("hunter 2", "/nic/update"),
        ] {
            let service = dyndns2(server, path, false, Vec::new(), 1, &mut Vec::new());
            let Service::Unknown(title, advice) = service else { panic!("{service:?}") };
            let said = (title + &advice).to_lowercase();
            assert!(!said.contains("hunter") && said.contains("repeated"), "{said}");
        }
        for server in ["me:hunter2@ns.example", "ns.example/hunter2", "ns.example:hunter2"] {
            assert!(matches!(name_server(Some(server), None), Service::Unknown(..)), "{server}");
        }
        for server in
            ["hunter2://d.example", "hunter2/https://d.example", "me:hunter2@x://d.example"]
        {
            let said = format!("{:?}", dyndns2(server, "", false, Vec::new(), 1, &mut Vec::new()));
            assert!(said.contains("d.example") && !said.contains("hunter"), "{said}");
        }
        for server in ["http://hunter2@127.0.0.1:8081", "http://127.0.0.1:8081/?key=hunter2"] {
            assert!(matches!(powerdns(server), Service::Unknown(..)), "{server}");
        }
        let kept = "d.example: server=https://d.example query=system=dyndns";
        described("d.example", "/nic/update?system=dyndns", false, kept, 0);
    }

    #[test]
    fn a_name_server_by_address_gets_its_brackets() {
        let Service::Own(own) = name_server(Some("2001:db8::53"), Some("hmac-sha512")) else {
            panic!()
        };
        assert_eq!(own.settings[0].1, Value::Text("[2001:db8::53]".to_owned()));
        assert_eq!(own.settings.len(), 2);
    }
}
