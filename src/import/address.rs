//! The origin of an address in the old configuration, and the source that finds it now.
//!
//! Lists services that answer with addresses, from their documentation; asks none of them.
//! Called by the reader of each client.

use std::net::IpAddr;

use super::harmless::is_harmless_path;
use super::{Remark, service};
use crate::core::address::{Family, PerFamily, unpublishable};

/// The origin of the address of one family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// The address that this machine uses.
    Auto,
    /// A source of its own.
    From(Source),
    /// An origin that is not carried over, for this reason; the host is left out: any other is wrong.
    Lost(String),
    /// No address: the record is left alone.
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

/// A constant address. A private one is allowed, since the old client sent it, too.
pub(super) fn fixed(address: IpAddr) -> Address {
    let allow_private = unpublishable(address, false).is_some();
    Address::From(Source { kind: Kind::Static(address), allow_private })
}

/// A service that returns addresses: its server, its family if there is only one, and the built-in
/// service for it. `None` for one whose answer has more than the address, or without a certificate.
type Known = (&'static str, Option<Family>, Option<&'static str>);

const KNOWN: [Known; 42] = [
    ("1.1.1.1", Some(Family::V4), None),
    ("api.ipify.org", Some(Family::V4), Some("ipify")),
    ("api6.ipify.org", Some(Family::V6), Some("ipify")),
    ("api64.ipify.org", None, Some("ipify")),
    ("checkip.amazonaws.com", Some(Family::V4), Some("amazon")),
    ("checkip.dns.he.net", None, None),
    ("checkip.dy.fi", Some(Family::V4), None),
    ("checkip.dyndns.com", Some(Family::V4), None),
    ("checkip.dyndns.org", Some(Family::V4), None),
    ("checkip.dynu.com", Some(Family::V4), None),
    ("checkip.updatedip.com", Some(Family::V4), None),
    ("checkipv4.dedyn.io", Some(Family::V4), Some("desec")),
    ("checkipv6.dedyn.io", Some(Family::V6), Some("desec")),
    ("checkipv6.dyndns.com", Some(Family::V6), None),
    ("checkipv6.dyndns.org", Some(Family::V6), None),
    ("dns.loopia.se", Some(Family::V4), None),
    ("dns64.cloudflare-dns.com", Some(Family::V6), None),
    ("domains.google.com", None, None),
    ("dynamic.zoneedit.com", Some(Family::V4), None),
    ("freedns.afraid.org", Some(Family::V4), None),
    ("icanhazip.com", None, Some("icanhazip")),
    ("ident.me", None, Some("ident.me")),
    ("infomaniak.com", None, None),
    ("ip.3322.net", Some(Family::V4), None),
    ("ip.changeip.com", Some(Family::V4), None),
    ("ip1.dynupdate.no-ip.com", Some(Family::V4), None),
    ("ip1.dynupdate.noip.com", Some(Family::V4), None),
    ("ip1.dynupdate6.no-ip.com", Some(Family::V6), None),
    ("ip4only.me", Some(Family::V4), None),
    ("ip6only.me", Some(Family::V6), None),
    ("ipv4.icanhazip.com", Some(Family::V4), Some("icanhazip")),
    ("ipv4.myonlineportal.net", Some(Family::V4), None),
    ("ipv4.svc.joker.com", Some(Family::V4), None),
    ("ipv6.icanhazip.com", Some(Family::V6), Some("icanhazip")),
    ("ipv6.myonlineportal.net", Some(Family::V6), None),
    ("ipv6.svc.joker.com", Some(Family::V6), None),
    ("members.orgdns.org", Some(Family::V4), None),
    ("myip.dnsomatic.com", Some(Family::V4), None),
    ("myonlineportal.net", None, None),
    ("v4.ident.me", Some(Family::V4), Some("ident.me")),
    ("v6.ident.me", Some(Family::V6), Some("ident.me")),
    ("www.ipchicken.com", Some(Family::V4), None),
];

/// The source for the web service at `url`, whose scheme may be missing; with `picks`, the old client
/// searched the answer for the address.
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
    let lost = |what: &str| {
        Address::Lost(format!(
            "{what}; write a source with web for it, or \"ipify\" (`homing address` shows what it sees)"
        ))
    };
    let what = match KNOWN.iter().find(|(server, ..)| *server == host) {
        // Amazon's service returns IPv4 only.
        Some((.., Some("amazon"))) if family == Family::V6 => format!("{host} has no IPv6"),
        Some((.., Some(title))) => return Kind::Web((*title).to_owned()).into(),
        Some((.., None)) => format!("{host} does not answer with the address alone by https"),
        None if !is_harmless_url(rest) => {
            return lost(
                "the address of the web service may hold a secret, so it is not repeated here",
            );
        }
        None if picks => {
            return lost(&format!(
                "{} answers with more than the address alone, which Homing does not search",
                shown_host(&host)
            ));
        }
        None => {
            let scheme = if is_plain { ", now by https" } else { "" };
            remarks.push(Remark::to_do(
                line,
                format!("see with `homing address` whether {} answers with the address and nothing else{scheme}", shown_host(&host)),
            ));
            return Kind::Web(format!("https://{rest}")).into();
        }
    };
    remarks.push(Remark::info(
        line,
        format!("{what}; \"{INSTEAD}\" is asked instead (`homing address` shows what it sees)"),
    ));
    Kind::Web(INSTEAD.to_owned()).into()
}

/// The host for messages, if it looks like a name.
fn shown_host(host: &str) -> &str {
    if super::is_name(host) { host } else { "the service" }
}

/// The family that the service at `url` returns, by the list or by a label of its name; `None`
/// when it may return either.
pub(super) fn family_told(url: &str) -> Option<Family> {
    let host = service::host_of(url).to_ascii_lowercase();
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Family::of(address));
    }
    if let Some((_, family, _)) = KNOWN.iter().find(|(server, ..)| *server == host) {
        return *family;
    }
    one_family(host.split('.').filter_map(|label| match label {
        "v4" | "ipv4" | "ip4" | "api4" => Some(Family::V4),
        "v6" | "ipv6" | "ip6" | "api6" => Some(Family::V6),
        _ => None,
    }))
}

/// The family that a command looks for, by whole words in it; `None` when it may find either.
pub(super) fn family_found(command: &str) -> Option<Family> {
    let words = command.split(|c: char| c.is_whitespace() || "|&;'\"".contains(c));
    one_family(words.filter_map(|word| match word {
        "-4" | "--ipv4" | "--inet4-only" | "inet" => Some(Family::V4),
        "-6" | "--ipv6" | "--inet6-only" | "inet6" => Some(Family::V6),
        url if url.contains("://") => family_told(url),
        _ => None,
    }))
}

/// The family of all `signs`; `None` if there are none or they differ.
fn one_family(mut signs: impl Iterator<Item = Family>) -> Option<Family> {
    let first = signs.next()?;
    signs.all(|sign| sign == first).then_some(first)
}

/// `family` alone, or both families where the old client took the first address of either.
pub(super) fn families(family: Option<Family>) -> impl Iterator<Item = Family> {
    Family::BOTH.into_iter().filter(move |each| family.is_none_or(|family| family == *each))
}

/// Remarks that both families are published where the old client took the first address of either.
pub(super) fn remark_either(
    family: Option<Family>,
    found: &PerFamily<Address>,
    line: usize,
    remarks: &mut Vec<Remark>,
) {
    let is_lost = found.iter().any(|(_, address)| matches!(address, Address::Lost(_)));
    if family.is_none() && !is_lost {
        let what = "the service may return either family, and both are published; write ipv4 = \
            \"off\" or ipv6 = \"off\" for the one that the old client did not set";
        remarks.push(Remark::to_do(line, what));
    }
}

/// The source for a command that the old client ran in a shell.
pub(super) fn command(text: &str, line: usize, remarks: &mut Vec<Remark>) -> Address {
    let words = match words(text, line, remarks) {
        Ok(words) => words,
        Err(why) => return Address::Lost(why),
    };
    remarks.push(Remark::to_do(
        line,
        "the first line that this command prints must be the address and nothing else; `homing address` shows it",
    ));
    Kind::Command(words).into()
}

/// The words of a command that runs after a change; `None`, with a remark, where it is not shown.
pub(super) fn program(text: &str, line: usize, remarks: &mut Vec<Remark>) -> Option<Vec<String>> {
    let words = words(text, line, remarks);
    words.map_err(|why| remarks.push(Remark::to_do(line, why))).ok()
}

/// The words of a command, with a shell only if it needs one; the error is the reason for none.
fn words(text: &str, line: usize, remarks: &mut Vec<Remark>) -> Result<Vec<String>, String> {
    if text.trim().is_empty() {
        return Err("no command is named there".to_owned());
    }
    if !is_harmless_command(text) {
        return Err("the command may hold a secret, so it is not repeated here; write it as command = [\"…\"] of a \
                    source (on-change of a host for what runs afterwards), with the secret in a file"
            .to_owned());
    }
    if !text.contains(['|', '&', ';', '\'', '"', '>', '(', '*', '?', '~']) {
        return Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect());
    }
    remarks
        .push(Remark::info(line, "the command needs a shell, which is therefore called by name"));
    Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// Whether a command is a program alone, or its arguments are certainly no secrets; true for several
/// if it is true for each and they are joined without other syntax of a shell.
fn is_harmless_command(text: &str) -> bool {
    let Some(commands) = shell_words(text) else { return false };
    commands.iter().all(|words| {
        let Some((program, arguments)) = words.split_first() else { return true };
        let fits = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        let is_program = program.chars().all(fits) && !program.starts_with('-');
        let name = program.rsplit('/').next().unwrap_or_default();
        let is_harmless = |word: &String| match name {
            // These programs search the output of another program.
            "awk" | "cut" | "egrep" | "grep" | "head" | "jq" | "sed" | "sort" | "tail" | "tr"
            | "uniq" => is_pattern(word),
            "dig" | "drill" | "host" => {
                let name = word.trim_start_matches(['@', '+', '-']);
                super::is_name(name) || is_pattern(word) && name.is_empty()
            }
            _ => false,
        };
        is_program && arguments.iter().all(|word| is_harmless(word) || is_harmless_argument(word))
    })
}

/// Whether the pattern of a filter contains no word for a secret.
fn is_pattern(word: &str) -> bool {
    const SECRETS: [&str; 5] = ["pass", "pwd", "secret", "token", "key"];
    let word = word.to_ascii_lowercase();
    !SECRETS.iter().any(|secret| word.contains(secret))
}

/// The words of each command on a shell's line; `None` when it does more than run programs.
fn shell_words(text: &str) -> Option<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '$' | '`' | '\\') => return None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '&' | ';') => {
                commands.last_mut()?.extend(word.take());
                commands.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => commands.last_mut()?.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.last_mut()?.extend(word.take());
    quote.is_none().then_some(commands)
}

/// Whether an argument of a command cannot be a secret, whatever is before it.
fn is_harmless_argument(word: &str) -> bool {
    const LONGEST_OPTION: usize = 14;
    // Letters after the first may be a value.
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
    let is_count = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    match word {
        "2>/dev/null" | "a" | "addr" | "address" | "brief" | "dev" | "get" | "global" | "inet"
        | "inet6" | "ip" | "list" | "ls" | "primary" | "route" | "scope" | "show" | "up"
        | "wan" => true,
        _ => {
            is_count
                || is_interface(word)
                || word.parse::<IpAddr>().is_ok()
                || url.is_some_and(is_harmless_url)
        }
    }
}

/// Whether a word has a usual form of an interface's name, such as `eth0` or `wlan1`.
fn is_interface(word: &str) -> bool {
    let is_number = |text: &str| text.len() < 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let word =
        word.split_once('.').filter(|(_, vlan)| is_number(vlan)).map_or(word, |(word, _)| word);
    // enp3s0: named by its place on the bus.
    let place = ["enp", "wlp"].iter().find_map(|kind| word.strip_prefix(kind));
    if let Some(place) = place {
        return place.len() < 8
            && place.chars().all(|c| c.is_ascii_digit() || c == 's' || c == 'f');
    }
    let kind = word.trim_end_matches(|c: char| c.is_ascii_digit());
    match kind {
        "bond" | "br" | "br-lan" | "br-wan" | "en" | "eno" | "ens" | "eth" | "lan" | "ppp"
        | "pppoe-wan" | "tun" | "usb" | "vlan" | "wan" | "wg" | "wlan" | "wwan" => {
            word.len() - kind.len() < 4
        }
        _ => false,
    }
}

/// Whether no part of a URL without its scheme can be a secret.
fn is_harmless_url(rest: &str) -> bool {
    const FORMATS: [&str; 5] = ["format=plain", "format=raw", "format=text", "format=txt", "text"];
    let (authority, path, query) = service::parts(rest);
    !authority.contains('@')
        && is_harmless_path(path)
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
        asks("https://h.example/ip?format=text", Family::V4, "https://h.example/ip?format=text", 1);
    }

    #[test]
    fn a_web_service_that_cannot_be_carried_over_is_replaced_by_nothing() {
        for (url, picks) in [
            ("https://me:hunter2@ip.example.net/", false),
            ("https://ip.example.net/?token=hunter2", false),
            ("https://ip.example.net/?hunter2", false),
            ("http://hunteruserinfo@ip.example/", false),
            ("https://ip.example.net/my/HunterPathTok3n0001", false),
            ("https://ip.example.net/ip/hunterciphash", false),
            ("http://192.168.1.1/status.html", true),
        ] {
            let Address::Lost(why) = web(url, Family::V4, picks, 1, &mut Vec::new()) else {
                panic!("{url}")
            };
            assert!(!why.to_lowercase().contains("hunter"), "{why}");
        }
        // The service is known, and another one tells the same.
        let known = web("http://checkip.dyndns.org/", Family::V4, true, 1, &mut Vec::new());
        assert_eq!(known, Kind::Web("ipify".to_owned()).into());
    }

    #[test]
    fn a_family_is_told_by_whole_names_and_labels_alone() {
        let (v4, v6) = (Some(Family::V4), Some(Family::V6));
        for (url, expect) in [
            ("https://api64.ipify.org/", None),
            ("https://api6.ipify.org", v6),
            ("checkip.dyndns.org:8245/", v4),
            ("https://checkipv6.dedyn.io", v6),
            ("https://ipv6.icanhazip.com", v6),
            ("https://icanhazip.com", None),
            ("https://v6.example/", v6),
            ("https://api4.example/?x=ipv6", v4),
            ("https://ip4.x.example:81", v4),
            ("https://myipv6.example", None),
            ("https://update6.example", None),
            ("https://dns64.example", None),
            ("https://v4.v6.example", None),
            ("https://ipv6test.example", None),
            ("https://x.example/ipv6", None),
            ("http://[2001:db8::1]/", v6),
            ("http://192.0.2.1/ip", v4),
            ("", None),
        ] {
            assert_eq!(family_told(url), expect, "{url}");
        }
        for (command, expect) in [
            ("ip -6 addr show dev eth0", v6),
            ("ip addr | grep inet6", v6),
            ("ip addr | grep 'inet ' | awk '{print $2}'", v4),
            ("curl -4 https://h.example", v4),
            ("curl https://ipv6.icanhazip.com", v6),
            ("/usr/bin/get-ipv6", None),
            ("/bin/inet6addr -64", None),
            ("get -4 -6", None),
        ] {
            assert_eq!(family_found(command), expect, "{command}");
        }
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
        for pipe in [
            "ip -6 addr show dev eth0 scope global | grep inet6 | awk '{print $2}' | cut -d/ -f1",
            "/sbin/ifconfig eth0 | grep 'inet addr' | sed 's/.*addr://'",
            "curl -4 -s https://api.ipify.org; true",
            "dig +short myip.opendns.com @resolver1.opendns.com | tail -n 1",
        ] {
            assert_eq!(words(pipe), some(&["/bin/sh", "-c", pipe]));
        }
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
            "get | awk -v pass=hunter2 x",
            "get | grep \"$HUNTER\"",
            "get > hunter2",
            "get 'hunter2",
        ] {
            let mut remarks = Vec::new();
            assert_eq!(program(text, 1, &mut remarks), None, "{text}");
            assert!(remarks[0].is_to_do && !remarks[0].text.contains("hunter2"));
        }
    }
}
