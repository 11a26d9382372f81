//! Web addresses of services: decides which of them Homing may use.
//!
//! Reads only the parts that the decision needs; the HTTP client parses the rest. Addresses that both
//! could read differently are refused. No message repeats an address, as it may hold a secret.

use std::net::IpAddr;

use crate::core::address::{Special, special};

/// The settings of a provider's entry that concern its addresses.
#[derive(Clone, Copy)]
pub(super) struct Trust<'a> {
    /// The provider's name.
    pub(super) provider: &'a str,
    /// Its `plain-http`.
    pub(super) plain_http: bool,
}

/// The parts of an address that matter here.
struct Parts<'a> {
    is_tls: bool,
    host: &'a str,
    query: Option<&'a str>,
}

/// Checks `text` as an address that a credential is sent to; the error is the problem.
///
/// `https://` is always allowed, `http://` on this machine, and to a literal private address if the
/// provider's entry allows it.
pub(super) fn check_provider(text: &str, trust: Trust<'_>) -> Result<(), String> {
    let parts = parts(text)?;
    if parts.query.is_some() {
        let what = "must not have a query: Homing adds it; put fixed parameters into query";
        return Err(what.to_owned());
    }
    if parts.is_tls || is_loopback(parts.host) {
        return Ok(());
    }
    let insecure = "would send the credential unencrypted; write https://";
    match (is_private(parts.host), trust.plain_http) {
        (true, true) => Ok(()),
        (true, false) => Err(format!(
            "{insecure}, or, if that network is yours alone, set plain-http = true in [provider.{}]",
            table_key(trust.provider)
        )),
        (false, _) => Err(insecure.to_owned()),
    }
}

/// Checks `text` as a service that returns our address; the error is the problem.
pub(super) fn check_web(text: &str) -> Result<(), &'static str> {
    let parts = parts(text)?;
    check_query(parts.query.unwrap_or_default())?;
    if parts.is_tls || is_loopback(parts.host) {
        return Ok(());
    }
    Err("uses http://, whose answers can be forged; write https:// (http:// is only for this \
        machine)")
}

/// Checks `text` as a URL that is itself the secret, such as a ping's; the error is the problem.
///
/// `https://` is always allowed, `http://` on this machine and to a literal private address.
pub(super) fn check_ping(text: &str) -> Result<(), &'static str> {
    let parts = parts(text)?;
    if parts.is_tls || is_loopback(parts.host) || is_private(parts.host) {
        return Ok(());
    }
    Err("would be read by others on its way; write https://")
}

/// Checks `query` as fixed parameters of every request; the error is the problem.
pub(super) fn check_query(query: &str) -> Result<(), &'static str> {
    const SECRET: [&str; 11] = [
        "apikey", "auth", "key", "pass", "passwd", "password", "pw", "pwd", "secret", "sig",
        "token",
    ];
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && !br#""'<>\`{|}#?"#.contains(&byte)) {
        return Err("must be parameters such as a=1&b=2, with %XX for special characters");
    }
    let names = query.split('&').filter_map(|parameter| parameter.split('=').next());
    let mut plain = names.map(|name| name.to_ascii_lowercase().replace(['-', '_'], ""));
    if plain.any(|name| SECRET.contains(&&*name)) {
        return Err("must not contain a secret, because addresses are logged");
    }
    Ok(())
}

/// The name of a section, quoted as TOML requires.
pub(super) fn table_key(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

fn parts(text: &str) -> Result<Parts<'_>, &'static str> {
    let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err("is not a web address; it begins with https://"),
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("must not contain a login; write username and a secret key in [[host]]");
    }
    if tail.contains('#') {
        return Err("must not contain a #");
    }
    let graphic = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    if !text.bytes().all(graphic) {
        return Err(
            "contains a character that web addresses do not have; write international names as \
                xn--…",
        );
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').unwrap_or_default();
            let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
            (if is_address { host } else { "" }, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err("has no server; write it like https://dyndns.example.net");
    }
    let number = port.strip_prefix(':').map(str::parse::<u16>);
    if !(port.is_empty() || matches!(number, Some(Ok(1..)))) {
        return Err("has no valid port; a port is a number from 1 to 65535");
    }
    let query = tail.split_once('?').map(|(_, query)| query);
    Ok(Parts { is_tls, host, query })
}

/// The path of a web address, without its final slashes.
pub(super) fn path_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    Some(rest.split_once('/').map_or("", |(_, path)| path).trim_end_matches('/'))
}

fn is_loopback(host: &str) -> bool {
    let is_name = host.eq_ignore_ascii_case("localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the host is a literal private address; a name could lead anywhere.
fn is_private(host: &str) -> bool {
    host.parse().is_ok_and(|address| special(address) == Some(Special::Private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, plain_http: bool, expect: bool) {
        let result = check_provider(text, Trust { provider: "p", plain_http });
        assert_eq!(result.is_ok(), expect, "{text}: {result:?}");
    }

    #[test]
    fn a_provider_is_reached_by_https() {
        check("https://update.example.net/nic/update", false, true);
        check("https://[2001:db8::1]:8443/", false, true);
        check("http://update.example.net/", true, false);
        check("ftp://update.example.net/", false, false);
        check("update.example.net", false, false);
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_a_private_network_is_allowed() {
        for here in
            ["http://127.0.0.1:8080/x", "http://127.9.9.9", "http://[::1]/", "http://localhost:1"]
        {
            check(here, false, true);
        }
        for near in ["http://192.168.1.2/", "http://10.0.0.1:81", "http://[fd00::1]/"] {
            check(near, false, false);
            check(near, true, true);
        }
        for wrong in
            ["http://8.8.8.8/", "http://localhost.example/", "http://127.1/", "http://0x7f.1/"]
        {
            check(wrong, true, false);
        }
    }

    #[test]
    fn addresses_that_two_readers_could_read_differently_are_refused() {
        for wrong in [
            "https://",
            "https:///x",
            "https://a b/",
            "https://a\tb/",
            "http://127.0.0.1\\@evil.example/",
            "https://[::1/",
            "https://[v1.x]/",
            "https://a:0/",
            "https://a:x/",
            "https://a:99999/",
            "https://bücher.example/",
            "https://a%2eb/",
        ] {
            check(wrong, true, false);
        }
    }

    #[test]
    fn secrets_in_addresses_are_refused_and_never_repeated() {
        let trust = Trust { provider: "p", plain_http: false };
        for wrong in ["https://me:hunter2@a.example/", "https://a.example/?password=hunter2"] {
            assert!(!check_provider(wrong, trust).unwrap_err().contains("hunter2"));
            assert!(!check_web(wrong).unwrap_err().contains("hunter2"));
        }
        assert!(check_web("https://a.example/?api-key=hunter2").is_err());
        assert!(check_web("https://api.ipify.org/?format=text").is_ok());
        assert!(check_query("system=dyndns").is_ok());
        assert!(check_query("token=hunter2").is_err());
    }

    #[test]
    fn a_web_source_on_a_private_network_needs_https() {
        assert!(check_web("http://192.168.1.1/ip").is_err());
        assert!(check_web("http://127.0.0.1:9000/ip").is_ok());
    }
}
