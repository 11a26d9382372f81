//! Where an address came from in the old set-up, and the source that finds it now.
//!
//! Knows the services that tell addresses, by their public documentation; asks none of them.
//! Called by the readers of each client.

use std::net::IpAddr;

use super::{Remark, service, target};
use crate::core::address::{Family, unpublishable};

/// Where the address of one family comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// The one that this machine uses.
    Auto,
    /// A source of its own.
    From(Source),
    /// None: the record is left alone.
    Off,
}

/// A `[source.NAME]`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) allow_private: bool,
}

/// What a source asks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Command(Vec<String>),
    Interface(String),
    Static(IpAddr),
    Web(String),
}

impl From<Kind> for Address {
    fn from(kind: Kind) -> Self {
        Self::From(Source { kind, allow_private: false })
    }
}

/// An address that never changes. One of a private network is allowed: the old client sent it, too.
pub(super) fn fixed(address: IpAddr) -> Address {
    let allow_private = unpublishable(address, false).is_some();
    Address::From(Source { kind: Kind::Static(address), allow_private })
}

/// Built-in services, by the servers that they are.
const BUILT_IN: [(&str, &str); 12] = [
    ("api.ipify.org", "ipify"),
    ("api6.ipify.org", "ipify"),
    ("api64.ipify.org", "ipify"),
    ("checkip.amazonaws.com", "amazon"),
    ("checkipv4.dedyn.io", "desec"),
    ("checkipv6.dedyn.io", "desec"),
    ("icanhazip.com", "icanhazip"),
    ("ident.me", "ident.me"),
    ("ipv4.icanhazip.com", "icanhazip"),
    ("ipv6.icanhazip.com", "icanhazip"),
    ("v4.ident.me", "ident.me"),
    ("v6.ident.me", "ident.me"),
];

/// Servers whose answer is more than the address, or which have no certificate for their name.
const TALKATIVE: [&str; 29] = [
    "1.1.1.1",
    "checkip.dns.he.net",
    "checkip.dy.fi",
    "checkip.dyndns.com",
    "checkip.dyndns.org",
    "checkip.dynu.com",
    "checkip.updatedip.com",
    "checkipv6.dyndns.com",
    "checkipv6.dyndns.org",
    "dns.loopia.se",
    "dns64.cloudflare-dns.com",
    "domains.google.com",
    "dynamic.zoneedit.com",
    "freedns.afraid.org",
    "infomaniak.com",
    "ip.3322.net",
    "ip.changeip.com",
    "ip1.dynupdate.no-ip.com",
    "ip1.dynupdate.noip.com",
    "ip1.dynupdate6.no-ip.com",
    "ip4only.me",
    "ip6only.me",
    "ipv4.myonlineportal.net",
    "ipv4.svc.joker.com",
    "ipv6.myonlineportal.net",
    "ipv6.svc.joker.com",
    "members.orgdns.org",
    "myip.dnsomatic.com",
    "myonlineportal.net",
];

/// The source for the web service at `url`, whose scheme may be missing. `picks` tells that the old
/// client looked for the address within the answer.
pub(super) fn web(
    url: &str,
    family: Family,
    picks: bool,
    line: usize,
    remarks: &mut Vec<Remark>,
) -> Address {
    const INSTEAD: &str = "ipify";
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let is_plain = url.starts_with("http://");
    let rest = rest.unwrap_or(url);
    let host = service::host_of(rest).to_ascii_lowercase();
    let instead = |what: String| (INSTEAD.to_owned(), Some(what));
    let built_in = BUILT_IN.iter().find(|(server, _)| *server == host);
    let (service, remark) = match built_in {
        // Amazon's tells IPv4 only.
        Some((_, "amazon")) if family == Family::V6 => instead(format!("{host} has no IPv6")),
        Some((_, title)) => ((*title).to_owned(), None),
        None if !is_harmless_url(rest) => instead(
            "the service's address may hold a secret, so it is not repeated here".to_owned(),
        ),
        None if TALKATIVE.contains(&&*host) => {
            instead(format!("{host} does not answer with the address alone by https"))
        }
        None if picks => instead(format!(
            "{} is asked for more than the address alone, which Homing does not search",
            shown_host(&host)
        )),
        None => (format!("https://{rest}"), None),
    };
    match remark {
        Some(what) => remarks.push(Remark::told(
            line,
            format!(
                "{what}; \"{INSTEAD}\" is asked in its place (`homing address` shows what it sees)"
            ),
        )),
        None if built_in.is_none() => {
            let scheme = if is_plain { ", now by https" } else { "" };
            remarks.push(Remark::to_do(
                line,
                format!("see with `homing address` whether {} answers with the address and nothing else{scheme}", shown_host(&host)),
            ));
        }
        None => {}
    }
    Kind::Web(service).into()
}

/// The host, unless it is none.
fn shown_host(host: &str) -> &str {
    if super::is_name(host) { host } else { "the service" }
}

/// Whether a web service tells IPv6 addresses, by the names that they have.
pub(super) fn tells_ipv6(url: &str) -> bool {
    let rest = url.split("://").last().unwrap_or_default().to_ascii_lowercase();
    let host = rest.split('/').next().unwrap_or_default();
    let marks = ["ipv6", "v6.", "api6", "ip6", "update6", "dns64"];
    marks.iter().any(|mark| host.contains(mark))
}

/// Whether a command looks for IPv6 addresses, by what is written in it.
pub(super) fn finds_ipv6(command: &str) -> bool {
    command.contains("ipv6")
        || command.contains("inet6")
        || command.split(' ').any(|word| word == "-6")
}

/// The source for a command that the old client gave to a shell.
pub(super) fn command(text: &str, line: usize, remarks: &mut Vec<Remark>) -> Address {
    let Some(words) = program(text, line, remarks) else { return Address::Auto };
    remarks.push(Remark::to_do(
        line,
        "the first line that this command prints must be the address and nothing else; `homing address` shows it",
    ));
    Kind::Command(words).into()
}

/// The words of a command; a shell is called only where one is needed. `None` when it may hold a
/// secret, or nothing, which is remarked.
pub(super) fn program(text: &str, line: usize, remarks: &mut Vec<Remark>) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        remarks.push(Remark::to_do(line, "no command is named there"));
        return None;
    }
    if !is_harmless_command(text) {
        let what = "the command may hold a secret, so it is not repeated here; write it as command = [\"…\"] \
                    of a source (on-change of a host for what runs afterwards), with the secret in a file";
        remarks.push(Remark::to_do(line, what));
        return None;
    }
    let is_plain = |c: char| !"|&;".contains(c);
    if text.chars().all(is_plain) {
        return Some(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect());
    }
    remarks
        .push(Remark::told(line, "the command needs a shell, which is therefore called by name"));
    Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// Whether a command is a program alone, or its arguments are no secrets for sure; the same for
/// each program of several that are joined without further signs of a shell.
fn is_harmless_command(text: &str) -> bool {
    let is_program = |word: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        word.chars().all(fits) && !word.starts_with('-')
    };
    text.split(['|', '&', ';']).all(|command| {
        let mut words = command.split_whitespace();
        words.next().is_none_or(is_program) && words.all(is_harmless_argument)
    })
}

/// Whether an argument of a command can be no secret, whatever stands before it.
fn is_harmless_argument(word: &str) -> bool {
    const WORDS: [&str; 15] = [
        "-4", "-6", "addr", "address", "dev", "get", "global", "inet", "inet6", "ip", "list",
        "route", "scope", "show", "wan",
    ];
    const LONGEST_OPTION: usize = 14;
    // Further letters behind the first may be its value.
    let is_switch = |rest: &str| {
        rest.len() == 1 && !rest.starts_with(['-', '='])
            || rest.chars().all(|c| "46SLfkqs".contains(c))
    };
    let is_option = |rest: &str| {
        rest.len() <= LONGEST_OPTION
            && rest.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && !rest.contains("pass")
    };
    if let Some(rest) = word.strip_prefix("--") {
        return is_option(rest);
    }
    if let Some(rest) = word.strip_prefix('-') {
        return is_switch(rest);
    }
    let url = ["https://", "http://"].iter().find_map(|scheme| word.strip_prefix(scheme));
    WORDS.contains(&word)
        || is_interface(word)
        || word.parse::<IpAddr>().is_ok()
        || url.is_some_and(is_harmless_url)
}

/// Whether a word is the name of an interface in one of the usual forms, as `eth0` and `wlan1`.
fn is_interface(word: &str) -> bool {
    const KINDS: [&str; 10] =
        ["br", "br-lan", "en", "eno", "ens", "eth", "ppp", "tun", "wg", "wlan"];
    let kind = word.trim_end_matches(|c: char| c.is_ascii_digit());
    kind.len() + 4 > word.len() && KINDS.contains(&kind)
}

/// Whether nothing in an address, whose scheme is cut off, can be a secret.
fn is_harmless_url(rest: &str) -> bool {
    const FORMATS: [&str; 5] = ["format=plain", "format=raw", "format=text", "format=txt", "text"];
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) =
        before_query.split_at(before_query.find('/').unwrap_or(before_query.len()));
    !authority.contains('@')
        && target::is_harmless_path(path)
        && (query.is_empty() || FORMATS.contains(&query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn asks(url: &str, family: Family, expect: &str, remarked: usize) {
        let mut remarks = Vec::new();
        let address = web(url, family, false, 1, &mut remarks);
        assert_eq!(address, Kind::Web(expect.to_owned()).into(), "{url}");
        assert_eq!(remarks.len(), remarked, "{url}: {remarks:?}");
    }

    #[test]
    fn known_web_services_go_by_their_names_and_those_of_no_use_are_replaced() {
        asks("https://api.ipify.org/", Family::V4, "ipify", 0);
        asks("icanhazip.com", Family::V6, "icanhazip", 0);
        asks("https://checkip.amazonaws.com", Family::V6, "ipify", 1);
        asks("http://checkip.dyndns.org:8245/", Family::V4, "ipify", 1);
        asks("1.1.1.1/cdn-cgi/trace", Family::V4, "ipify", 1);
        asks("http://ip.example.net/x", Family::V4, "https://ip.example.net/x", 1);
        asks("https://me:hunter2@ip.example.net/", Family::V4, "ipify", 1);
        asks("https://ip.example.net/?token=hunter2", Family::V4, "ipify", 1);
        asks("https://ip.example.net/?hunter2", Family::V4, "ipify", 1);
        asks("http://hunteruserinfo@ip.example/", Family::V4, "ipify", 1);
        asks("https://ip.example.net/my/HunterPathTok3n0001", Family::V4, "ipify", 1);
        asks("https://ip.example.net/ip/hunterciphash", Family::V4, "ipify", 1);
        asks("https://h.example/ip?format=text", Family::V4, "https://h.example/ip?format=text", 1);
    }

    #[test]
    fn a_shell_is_called_only_where_one_is_needed() {
        let words = |text: &str| program(text, 1, &mut Vec::new());
        let some = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words("/usr/bin/wan  --plain"), some(&["/usr/bin/wan", "--plain"]));
        assert_eq!(words("a | b"), some(&["/bin/sh", "-c", "a | b"]));
        assert_eq!(
            words("ip -6 addr show dev eth0"),
            some(&["ip", "-6", "addr", "show", "dev", "eth0"])
        );
        assert_eq!(
            words("curl -s4 https://h.example/ip"),
            some(&["curl", "-s4", "https://h.example/ip"])
        );
        assert_eq!(words("  "), None);
    }

    #[test]
    fn commands_with_a_secret_are_not_repeated() {
        for text in [
            "curl -u me:hunter2 x",
            "get --password=x",
            "get --password hunter2",
            "wget https://a:b@c/",
            "wget https://hunter2@c/",
            "x -ume",
            "/usr/local/bin/getip -p hunterpw",
            "/usr/local/bin/getip hunterpw",
            "snmpget -v2c -c hunterpw 192.168.1.1 oid",
            "curl -H 'X-Sid: hunterid' https://r/",
            "HUNTER=hunter2 get",
            "get | send hunter2",
            "get $(echo hunter2)",
            "get\nhunter2 hunter2",
        ] {
            let mut remarks = Vec::new();
            assert_eq!(program(text, 1, &mut remarks), None, "{text}");
            assert!(remarks[0].is_to_do && !remarks[0].text.contains("hunter2"));
        }
    }
}
