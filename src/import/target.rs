//! An update address with blanks, as in inadyn's `custom` and ddns-scripts' `update_url`: whether it
//! is dyndns2, and at which server.
//!
//! Reads the blanks in one form; repeats no part of an address that may hold a secret.
//! Called by the readers of those clients.

use super::Remark;
use super::address;
use super::harmless::{FIXED, is_fixed, is_harmless_path, is_word};
use super::service::{self, Service, Value};
use crate::core::address::Family;

/// The blank for the login.
pub(super) const USER: &str = "\u{1}user\u{1}";
/// The blank for the password.
pub(super) const PASSWORD: &str = "\u{1}password\u{1}";
/// The blank for the host's name.
pub(super) const HOST: &str = "\u{1}host\u{1}";
/// The blank for the address.
pub(super) const ADDRESS: &str = "\u{1}address\u{1}";

/// The contents of an update address.
pub(super) struct Target {
    pub(super) service: Service,
    /// The text around the host's name where that is filled in, or a fixed name.
    pub(super) names: Names,
    /// Whether the login is also the password.
    pub(super) login_is_password: bool,
}

/// The reason to leave out a host whose login is its password.
pub(super) const LOGIN_IS_PASSWORD: &str =
    "its login is the password, which is not repeated here; write username yourself";

impl Target {
    /// A target that sends the names to `service` as they are.
    pub(super) fn of(service: Service) -> Self {
        Self { service, names: Names::default(), login_is_password: false }
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

/// Reads `text`; `is_plain` means http if there is no scheme. Without a family, it is for both.
pub(super) fn read_target(
    text: &str,
    family: Option<Family>,
    is_plain: bool,
    line: usize,
    remarks: &mut Vec<Remark>,
) -> Target {
    let is_plain = text.starts_with("http://") || is_plain && !text.starts_with("https://");
    let (authority, path, query) = service::parts(service::without_scheme(text));
    let (login, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = service::host_of(server);
    let login_is_password = login.split(':').next() == Some(PASSWORD);
    let unknown = |why: &str| {
        let title = if super::is_name(host) { host.to_owned() } else { "this service".to_owned() };
        let advice = format!(
            "its update address {why}, so it is not dyndns2 as Homing speaks it; keep the old client for these \
             names, or ask the service for a dyndns2 address"
        );
        Target { login_is_password, ..Target::of(Service::Unknown(title, advice)) }
    };
    // Homing knows the protocol of these, whatever the old client used.
    if service::at_server(host).is_some() {
        let service = service::dyndns2(server, path, is_plain, Vec::new(), line, remarks);
        let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("hostname="));
        let names = values.next().map(named).unwrap_or_default();
        return Target { service, names, login_is_password };
    }
    let is_login =
        login.is_empty() || login.split(':').all(|part| [USER, PASSWORD].contains(&part));
    if host.is_empty() || server.contains('\u{1}') || path.contains('\u{1}') || !is_login {
        return unknown("does not have the form https://SERVER/PATH?hostname=…&myip=…");
    }
    if !is_harmless_path(path) {
        return unknown("may have a secret in its path, which is not repeated here");
    }
    let mut found = None;
    let mut settings = Vec::new();
    let mut fixed = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name, value) {
            ("hostname", value) => found = Some(named(value)),
            ("myip", ADDRESS) => {}
            (name, ADDRESS) if is_word(name) => {
                settings.extend(address::families(family).map(|each| {
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
            (_, value) if value.contains(PASSWORD) || value.contains(USER) => {
                return unknown("carries the login as parameters");
            }
            _ => return unknown("has parameters of its own"),
        }
    }
    let Some(names) = found else { return unknown("does not name the host as hostname=…") };
    if !fixed.is_empty() {
        settings.push(("query", Value::Text(fixed.join("&"))));
    }
    // The old client sent one address per request.
    settings.push(("one-family", Value::Flag(true)));
    let service = service::dyndns2(server, path, is_plain, settings, line, remarks);
    Target { service, names, login_is_password }
}

fn named(value: &str) -> Names {
    match value.split_once(HOST) {
        Some((before, after)) => Names::Between(before.to_owned(), after.to_owned()),
        None if value.is_empty() => Names::default(),
        None => Names::Fixed(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        let text = text.replace("%u", USER).replace("%p", PASSWORD);
        let text = text.replace("%h", HOST).replace("%i", ADDRESS);
        read_target(&text, Some(Family::V4), false, 1, &mut Vec::new())
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
    fn other_forms_are_no_dyndns2_and_never_repeated() {
        for text in [
            "https://d.example/update?host=%h&key=hunter2",
            "https://d.example/hunter2/?hostname=%h&x=hunter2",
            "https://me:hunter2@d.example/?hostname=%h",
            "https://d.example/%p/?hostname=%h",
            "https://d.example/u/hunter2hunter2/?hostname=%h",
            "https://d.example/update/hunterpath/nic?hostname=%h&myip=%i",
            "https://d.example/token/hunterabcdef/?hostname=%h",
            "https://d.example/nic?hostname=%h&system=hunter2hunter2",
            "https://d.example/?hostname=%h&password=%p",
            "%h",
            "",
        ] {
            let Service::Unknown(title, advice) = target(text).service else { panic!("{text}") };
            assert!(!title.contains("hunter2") && !advice.contains("hunter2"), "{text}");
        }
    }
}
