//! Reads an update address with blanks, as in inadyn's `custom` and ddns-scripts' `update_url`: at which
//! service it is, and what stands where.
//!
//! A service that Homing knows becomes its provider, another one a provider that speaks dyndns2 or is
//! described by its address. Repeats no part of an address that may hold a secret. Called by the readers
//! of those clients.

use super::Remark;
use super::address;
use super::form::{LoginIs, Places};
use super::harmless::{FIXED, is_fixed, is_harmless_path, is_word};
use super::service::{self, Own, Service, Value};
use crate::core::address::Family;
use crate::core::protocol::http::entry::StepKind;
use crate::core::protocol::http::tree::Tree;
use crate::core::protocol::manners::Protocol;
use crate::core::provider::Provider;
use crate::core::secret::Secret;

/// The blank for the login.
pub(super) const USER: &str = "\u{1}user\u{1}";
/// The blank for the password.
pub(super) const PASSWORD: &str = "\u{1}password\u{1}";
/// The blank for the host's name.
pub(super) const HOST: &str = "\u{1}host\u{1}";
/// The blank for the address.
pub(super) const ADDRESS: &str = "\u{1}address\u{1}";

/// An update address, and how the old client used it.
pub(super) struct Asked<'a> {
    /// The address, with blanks.
    pub(super) text: &'a str,
    /// The only family that it is for, if there is one.
    pub(super) family: Option<Family>,
    /// Whether it means http if it has no scheme.
    pub(super) is_plain: bool,
    /// Whether the login is sent as `Basic` in any case.
    pub(super) sends_login: bool,
    /// The words of an answer that mean success; without any, every answer with the status 200 does.
    pub(super) words: &'a [&'a str],
    /// Its line.
    pub(super) line: usize,
}

/// The contents of an update address.
pub(super) struct Target {
    pub(super) service: Service,
    /// The text around the host's name where that is filled in, or a fixed name.
    pub(super) names: Names,
    /// Where the rest of what the service wants stands.
    pub(super) places: Places,
}

impl Target {
    /// A target that sends the names to `service` as they are.
    pub(super) fn of(service: Service) -> Self {
        Self { service, names: Names::default(), places: Places::default() }
    }
}

/// The name that is sent for a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Names {
    /// The configured name between these two texts.
    Between(String, String),
    /// This name, whatever is configured.
    Fixed(String),
}

impl Default for Names {
    fn default() -> Self {
        Self::Between(String::new(), String::new())
    }
}

impl Names {
    /// The name that is sent for the configured `name`.
    pub(super) fn of(&self, name: &str) -> String {
        match self {
            Self::Between(before, after) => format!("{before}{name}{after}"),
            Self::Fixed(fixed) => fixed.clone(),
        }
    }
}

/// The parts of an address.
struct Parts<'a> {
    /// What stands before the `@`.
    login: &'a str,
    /// The name of the server, with its port.
    server: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (authority, path, query) = service::parts(service::without_scheme(text));
        let (login, server) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { login, server, path, query }
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parameters = self.query.split('&').filter(|parameter| !parameter.is_empty());
        parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
    }
}

/// Reads the address that `asked` holds.
pub(super) fn read_target(asked: &Asked<'_>, remarks: &mut Vec<Remark>) -> Target {
    let text = asked.text;
    let is_plain = text.starts_with("http://") || asked.is_plain && !text.starts_with("https://");
    let parts = Parts::of(text);
    let host = service::host_of(parts.server);
    let login_is_password = parts.login.split(':').next() == Some(PASSWORD);
    // Homing knows the protocol of these, whatever the old client used.
    if let Some(service) = service::known_at(host) {
        let mut target = Target::of(service);
        target.places.login_is_password = login_is_password;
        match &target.service {
            Service::BuiltIn(provider) if provider.http.is_some() => {
                let provider = provider.clone();
                target.fill_places(&provider, &parts);
                target.places.holds_secret &= !asked.sends_login;
            }
            _ => {
                let name = parts.parameters().find(|(name, _)| *name == "hostname");
                target.names = name.map(|(_, value)| named(value)).unwrap_or_default();
            }
        }
        return target;
    }
    let described = match dyndns2(asked, &parts, is_plain, remarks) {
        Some(target) => Ok(target),
        None => own(asked, &parts, is_plain, remarks),
    };
    let mut target = described.unwrap_or_else(|why| {
        let title = if super::is_name(host) { host } else { "this service" };
        let advice = format!(
            "its update address {why}; keep the old client for these names, or describe the service as \
             [provider.NAME] with protocol = \"http\" and the secret in a file"
        );
        Target::of(Service::not_known(title, &advice))
    });
    target.places.login_is_password = login_is_password;
    target
}

/// The provider that speaks dyndns2 there, if the address has that form and no other.
fn dyndns2(
    asked: &Asked<'_>,
    parts: &Parts<'_>,
    is_plain: bool,
    remarks: &mut Vec<Remark>,
) -> Option<Target> {
    let is_login = parts.login.is_empty()
        || parts.login.split(':').all(|part| [USER, PASSWORD].contains(&part));
    let is_bare = parts.server.is_empty() || parts.server.contains('\u{1}');
    if is_bare || !is_login || !is_harmless_path(parts.path) {
        return None;
    }
    let mut found = None;
    let mut settings = Vec::new();
    let mut fixed = Vec::new();
    for (name, value) in parts.parameters() {
        match (name, value) {
            ("hostname", value) => found = Some(named(value)),
            ("myip", ADDRESS) => {}
            (name, ADDRESS) if is_word(name) => {
                settings.extend(address::families(asked.family).map(|each| {
                    let key = match each {
                        Family::V4 => "ipv4-parameter",
                        Family::V6 => "ipv6-parameter",
                    };
                    (key, Value::Text(name.to_owned()))
                }));
            }
            (name, value) if FIXED.contains(&name) && is_fixed(value) => {
                fixed.push(format!("{name}={value}"));
            }
            _ => return None,
        }
    }
    let names = found?;
    if !fixed.is_empty() {
        settings.push(("query", Value::Text(fixed.join("&"))));
    }
    // The old client sent one address per request.
    settings.push(("one-family", Value::Flag(true)));
    let service =
        service::dyndns2(parts.server, parts.path, is_plain, settings, asked.line, remarks);
    Some(Target { names, ..Target::of(service) })
}

/// Values that mean the same at every server, and hold no secret.
const VALUES: [&str; 20] = [
    "0", "1", "a", "aaaa", "custom", "dyndns", "edit", "false", "ipv4", "ipv6", "json", "no",
    "off", "on", "plain", "set", "text", "true", "update", "yes",
];

/// The names of parameters whose value is the secret.
const SECRETS: [&str; 12] = [
    "api_key",
    "apikey",
    "auth",
    "key",
    "pass",
    "password",
    "passwd",
    "pw",
    "pwd",
    "secret",
    "token",
    "updatekey",
];

/// The provider that the address itself describes (the protocol http); the error says what it lacks or
/// holds, as the end of a sentence that begins with the address.
fn own(
    asked: &Asked<'_>,
    parts: &Parts<'_>,
    is_plain: bool,
    remarks: &mut Vec<Remark>,
) -> Result<Target, &'static str> {
    let basic = [USER, ":", PASSWORD].concat();
    if !parts.login.is_empty() && parts.login != basic {
        return Err("holds a login, which is not repeated here");
    }
    if service::plain_server(parts.server).is_none() {
        return Err("names no server, or more than a name and a port");
    }
    let mut filling = Filling { names: None, secret: None, uses: [false; 4] };
    let mut path = String::new();
    for (place, part) in parts.path.split('/').enumerate() {
        let has_blank = part.contains('\u{1}');
        if !has_blank && !is_harmless_path(part) {
            return Err("may hold a secret in its path, which is not repeated here");
        }
        path.push_str(if place == 0 { "" } else { "/" });
        path.push_str(&filling.template(part)?);
    }
    let mut query = String::new();
    for (name, value) in parts.parameters() {
        let is_secret = SECRETS.contains(&&*name.to_ascii_lowercase());
        let value = if value.contains('\u{1}') {
            filling.template(value)?
        } else if value.is_empty() || is_harmless_value(name, value) {
            value.to_owned()
        } else if is_secret && filling.secret.is_none() && is_word(name) {
            filling.secret = Some(Secret::new(value));
            "{secret}".to_owned()
        } else {
            return Err("has a parameter whose value may be a secret, which is not repeated here");
        };
        if !is_word(name) {
            return Err("has a parameter with a name of its own form");
        }
        query += &[if query.is_empty() { "?" } else { "&" }, name, "=", &value].concat();
    }
    let [user, password, _, address] = filling.uses;
    if !address {
        return Err(
            "holds no address, so the service publishes the one that the request comes from",
        );
    }
    let is_basic = parts.login == basic || asked.sends_login && !user && !password;
    if !is_basic && !password && !user && filling.secret.is_none() {
        return Err(
            "has no placeholder for the password, so it may contain the password and is not \
                repeated here",
        );
    }
    let mut settings = Vec::new();
    let host = service::host_of(parts.server);
    let scheme = service::scheme(host, is_plain, &mut settings, asked.line, remarks);
    let url = [scheme, "://", parts.server, &path, &query].concat();
    settings.insert(0, ("set", Value::Pair("get", Box::new(Value::Text(url)))));
    if is_basic && filling.secret.is_none() {
        let headers = vec!["Authorization: Basic {basic}".to_owned()];
        settings.push(("headers", Value::List(headers)));
    }
    settings.push(("answer", Value::Pair("updated", Box::new(success(asked.words)))));
    if asked.words.is_empty() {
        let what = "every answer with the status 200 counts as a success, as with the old client; if the service has a \
                    word for a success, write it, such as updated = \"200 word=good\"";
        remarks.push(Remark::to_do(asked.line, what));
    }
    // A login without a password beside it is the secret.
    let is_secret = user && !password && !is_basic && filling.secret.is_none();
    if is_secret {
        for (_, value) in &mut settings {
            if let Value::Pair(_, value) = value
                && let Value::Text(text) = &mut **value
            {
                *text = text.replace("{login}", "{secret}");
            }
        }
    }
    let own = Own { name: service::entry_name(host), protocol: Protocol::Http, settings };
    let login = if is_secret { LoginIs::Secret } else { LoginIs::Login };
    Ok(Target {
        service: Service::Own(own),
        names: filling.names.unwrap_or_default(),
        places: Places { login, secret: filling.secret, ..Places::default() },
    })
}

/// Whether the fixed `value` of a parameter holds no secret.
fn is_harmless_value(name: &str, value: &str) -> bool {
    FIXED.contains(&name) && is_fixed(value)
        || VALUES.contains(&&*value.to_ascii_lowercase()) && !SECRETS.contains(&name)
}

/// The conditions of a success, one for each word.
fn success(words: &[&str]) -> Value {
    let condition = |word: &&str| {
        let is_bare = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let quotes = if is_bare { ["word=", ""] } else { ["has='", "'"] };
        ["200 ", quotes[0], word, quotes[1]].concat()
    };
    match words {
        [] => Value::Text("200".to_owned()),
        [one] => Value::Text(condition(one)),
        several => Value::List(several.iter().map(condition).collect()),
    }
}

/// What has been found while an address is made a template.
struct Filling {
    names: Option<Names>,
    /// The secret that stands in it.
    secret: Option<Secret>,
    /// Which of the blanks were used, in the order of [`BLANKS`].
    uses: [bool; 4],
}

/// The blanks, and the places of a template for them.
const BLANKS: [(&str, &str); 4] =
    [(USER, "{login}"), (PASSWORD, "{secret}"), (HOST, "{host}"), (ADDRESS, "{address}")];

impl Filling {
    /// `text`, a part of a path or the value of a parameter, with places in place of its blanks.
    fn template(&mut self, text: &str) -> Result<String, &'static str> {
        const OTHER: &str =
            "has text around a blank, which may be a secret and is not repeated here";
        let plain =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if let Some((before, after)) = text.split_once(HOST) {
            // The text around it is a part of the name.
            if !plain(before) || !plain(after) {
                return Err(OTHER);
            }
            let names = Names::Between(before.to_owned(), after.to_owned());
            if self.names.get_or_insert_with(|| names.clone()) != &names {
                return Err("names the host in two ways");
            }
            self.uses[2] = true;
            return Ok("{host}".to_owned());
        }
        for (place, (blank, template)) in BLANKS.into_iter().enumerate() {
            if text == blank {
                self.uses[place] = true;
                return Ok(template.to_owned());
            }
        }
        if text.contains('\u{1}') { Err(OTHER) } else { Ok(text.to_owned()) }
    }
}

impl Target {
    /// Finds what stands in the places of the provider's own request, by the names of its parameters.
    fn fill_places(&mut self, provider: &Provider, parts: &Parts<'_>) {
        let mut has_password = parts.login.contains(PASSWORD) || parts.path.contains(PASSWORD);
        let places = &mut self.places;
        for (name, value) in parts.parameters() {
            let is_fixed = !value.contains('\u{1}') && !value.is_empty();
            has_password |= value == PASSWORD;
            match place_of(provider, name).as_deref() {
                Some("host" | "label") if value == USER => places.login = LoginIs::Label,
                Some("host" | "label") => self.names = named(value),
                Some("zone") if value == USER => places.login = LoginIs::Zone,
                Some("zone") if is_fixed => places.zone = Some(value.to_owned()),
                Some("secret") => {
                    places.is_by_key = true;
                    if value == USER {
                        places.login = LoginIs::Secret;
                    } else if is_fixed {
                        places.secret = Some(Secret::new(value));
                    }
                }
                Some(_) | None => {}
            }
        }
        let is_found = has_password || places.login == LoginIs::Secret || places.secret.is_some();
        places.holds_secret = !is_found;
    }
}

/// The name of the place that the provider's request has as the value of the parameter `name`.
fn place_of(provider: &Provider, name: &str) -> Option<String> {
    let entry = provider.http.as_ref()?;
    let key = StepKind::Set.key();
    let (_, set) = entry.settings.iter().find(|(known, _)| *known == key)?;
    let (_, url) = set.table()?.iter().find(|(method, _)| method == "get")?;
    let Tree::Text(url) = url else { return None };
    let pair = |pair: &str| {
        let (known, value) = pair.split_once("={")?;
        // A part that stands only where a name has a value begins with a blank.
        let known = known.rsplit(' ').next().unwrap_or_default();
        (known == name).then(|| value.split('}').next().unwrap_or_default().to_owned())
    };
    url.split(['?', '&']).find_map(pair)
}

fn named(value: &str) -> Names {
    match value.split_once(HOST) {
        Some((before, after)) => Names::Between(before.to_owned(), after.to_owned()),
        None if value.is_empty() || value.contains('\u{1}') => Names::default(),
        None => Names::Fixed(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        let text = text.replace("%u", USER).replace("%p", PASSWORD);
        let text = text.replace("%h", HOST).replace("%i", ADDRESS);
        read_target(&asked(&text), &mut Vec::new())
    }

    fn asked(text: &str) -> Asked<'_> {
        let family = Some(Family::V4);
        Asked { text, family, is_plain: false, sends_login: false, words: &["good"], line: 1 }
    }

    /// The settings of the provider that an address describes, one a line.
    #[track_caller]
    fn describes(text: &str, expect: &[&str]) {
        let Service::Own(own) = target(text).service else { panic!("{text}") };
        let shown = |value: &Value| match value {
            Value::Flag(flag) => flag.to_string(),
            Value::List(texts) => texts.join(" | "),
            Value::Pair(key, value) => format!("{key} {value:?}"),
            Value::Text(text) => text.clone(),
        };
        let settings: Vec<_> =
            own.settings.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
        assert_eq!(settings, expect, "{text}");
        assert_eq!(own.protocol, Protocol::Http);
    }

    #[test]
    fn an_address_of_another_form_becomes_a_template() {
        let updated = "answer = updated Text(\"200 word=good\")";
        describes(
            "https://d.example/update?name=%h&pw=%p&user=%u&ip=%i",
            &[
                "set = get Text(\"https://d.example/update?name={host}&pw={secret}&user={login}&ip={address}\")",
                updated,
            ],
        );
        describes(
            "https://%u:%p@d.example/dyn/%h/%i?type=A",
            &[
                "set = get Text(\"https://d.example/dyn/{host}/{address}?type=A\")",
                "headers = Authorization: Basic {basic}",
                updated,
            ],
        );
        let target = target("https://d.example/u?host=%h.d.example&token=hunter2&ip=%i");
        assert_eq!(target.places.secret, Some(Secret::new("hunter2")));
        assert_eq!(target.names.of("a"), "a.d.example");
        assert!(!format!("{:?}", target.service).contains("hunter2"));
    }

    #[test]
    fn the_places_of_a_known_request_are_found_by_its_parameters() {
        let duck = target("http://www.duckdns.org/update?domains=me&token=hunter2&ip=%i");
        let secret = Some(Secret::new("hunter2"));
        assert_eq!((duck.service.name(), &duck.places.secret), ("duckdns", &secret));
        assert_eq!(duck.names.of("x"), "me");
        let cheap =
            target("https://dynamicdns.park-your-domain.com/update?domain=%u&password=%p&host=%h");
        assert_eq!((cheap.service.name(), cheap.places.login), ("namecheap", LoginIs::Zone));
        assert!(!cheap.places.holds_secret);
        let token = target("https://dynv6.com/api/update?zone=%h&token=%u&ipv4=%i");
        assert_eq!((token.service.name(), token.places.login), ("dynv6", LoginIs::Secret));
        assert!(target("https://sync.afraid.org/u/hunter2/").places.holds_secret);
        assert!(!target("https://sync.afraid.org/u/%p/").places.holds_secret);
    }

    #[test]
    fn what_stands_before_the_scheme_does_not_count_and_is_not_repeated() {
        for begin in ["", "hunter2abc/", "hunter2abc:"] {
            let target = target(&format!("{begin}https://%u:%p@d.example/u?hostname=%h&myip=%i"));
            let Service::Own(own) = target.service else { panic!("{:?}", target.service) };
            assert_eq!(own.name, "d.example");
        }
        let Service::Unknown(title, _) = target("hunter2abc/https://x.example").service else {
            panic!("it has no place for a name")
        };
        assert_eq!(title, "x.example");
    }

    #[test]
    fn an_address_in_the_form_of_dyndns2_is_described() {
        let Target { service: Service::Own(own), names, .. } = target(
            "https://%u:%p@d.example/api/v3/update.php?system=dyndns&hostname=%h.d.example&ip=%i",
        ) else {
            panic!()
        };
        assert_eq!(names.of("a"), "a.d.example");
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            own.settings,
            [
                ("update-url", text("https://d.example/api/v3/update.php")),
                ("ipv4-parameter", text("ip")),
                ("query", text("system=dyndns")),
                ("one-family", Value::Flag(true)),
            ]
        );
    }

    #[test]
    fn a_server_that_homing_knows_is_found_whatever_the_rest() {
        let target = target("http://update.dedyn.io/update?username=%u&password=%p&hostname=%h");
        assert_eq!(target.service.name(), "desec");
        assert_eq!(target.names.of("a.example"), "a.example");
    }

    #[test]
    fn what_may_be_a_secret_is_never_repeated() {
        for text in [
            "https://d.example/update?host=%h&pass=%p&x=hunter2&ip=%i",
            "https://d.example/update?host=%h&key=%phunter2&ip=%i",
            "https://d.example/hunter2/?hostname=%h&x=hunter2",
            "https://me:hunter2@d.example/?hostname=%h",
            "https://d.example/u/hunter2hunter2/?hostname=%h",
            "https://d.example/update/hunterpath/nic?hostname=%h&myip=%i",
            "https://d.example/token/hunterabcdef/?hostname=%h",
            "https://d.example/nic?hostname=%h&system=hunter2hunter2",
            "https://d.example/?hunter2=%i&password=%p",
            "https://d.example/?hostname=%h&password=%p",
            "https://d.example/?host=%h&ip=%i",
            "%h",
            "",
        ] {
            let target = target(text);
            let said = format!("{:?}", target.service);
            // The name of a parameter is no secret.
            assert!(!said.replace("hunter2=", "").contains("hunter"), "{text}: {said}");
            let is_unknown = matches!(target.service, Service::Unknown(..));
            assert!(is_unknown || text.contains("?hunter2="), "{text}: {said}");
        }
    }
}
