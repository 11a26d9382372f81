//! Single values: durations, host names, names of entries, paths.
//!
//! Each function takes a text and returns a value, or the end of a sentence that begins with the text.

#[cfg(feature = "international-names")]
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::name::{Hostname, NameError};
use crate::core::nearest::nearest;
use crate::core::server::Server;
use crate::core::time::Timestamp;
use crate::os::clock::parse_moment;

/// The bounds of a duration, with an example.
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) example: &'static str,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounds of the slow poll's interval: web services are not asked every second, and less than
/// daily is no poll.
pub(super) const INTERVAL: Bounds =
    Bounds { least: Duration::from_secs(10), most: DAY, example: "5m" };

/// The bounds of the time for which the kernel must be quiet.
pub(super) const SETTLE: Bounds =
    Bounds { least: Duration::ZERO, most: Duration::from_secs(1), example: "100ms" };

/// The bounds of the interval for sending an unchanged address.
pub(super) const REFRESH: Bounds =
    Bounds { least: DAY, most: Duration::from_secs(3650 * 24 * 60 * 60), example: "20d" };

/// The bounds of the time until a zone's servers must have the new addresses.
pub(super) const VERIFY_TIMEOUT: Bounds =
    Bounds { least: Duration::from_secs(1), most: Duration::from_secs(5 * 60), example: "10s" };

/// The bounds of the time for a whole update.
pub(super) const TIMEOUT: Bounds =
    Bounds { least: Duration::from_secs(1), most: Duration::from_secs(5 * 60), example: "120s" };

/// The bounds of the time until a missing family's record is removed: a reconnect must not remove one.
pub(super) const GONE_AFTER: Bounds = Bounds {
    least: Duration::from_secs(60),
    most: Duration::from_secs(365 * 24 * 60 * 60),
    example: "1h",
};

/// The bounds of the interval of pings: monitoring services count in minutes.
pub(super) const PING_INTERVAL: Bounds =
    Bounds { least: Duration::from_secs(10), most: DAY, example: "5m" };

/// The bounds of the time for which a host must be deferred until that is a problem.
pub(super) const PROBLEM_AFTER: Bounds =
    Bounds { least: Duration::ZERO, most: Duration::from_secs(30 * 24 * 60 * 60), example: "15m" };

/// The duration in `text`, in humantime's form and within `bounds`.
pub(super) fn duration(text: &str, bounds: &Bounds) -> Result<Duration, String> {
    let example = bounds.example;
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("is not a duration; write it like \"{example}\""))?;
    let shown = humantime::format_duration;
    if duration < bounds.least {
        return Err(format!("is too short; the shortest is {}", shown(bounds.least)));
    }
    if duration > bounds.most {
        return Err(format!("is too long; the longest is {}", shown(bounds.most)));
    }
    Ok(duration)
}

/// The moment in `text`: a day (its beginning in UTC), or RFC 3339's form with `Z` or an offset.
pub(super) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let day = [text, "T00:00:00Z"].concat();
    parse_moment(text).or_else(|| parse_moment(&day)).ok_or(
        "is not a day; write it like \"2027-06-01\", or with its time like \"2027-06-01T12:00:00Z\"",
    )
}

/// The interval of refreshes; `None` for `never`.
pub(super) fn refresh(text: &str) -> Result<Option<Duration>, String> {
    if text == "never" {
        return Ok(None);
    }
    duration(text, &REFRESH).map(Some)
}

/// The host name in `text`; U-labels become A-labels (UTS 46).
pub(super) fn hostname(text: &str) -> Result<Hostname, String> {
    a_labels(text)?.parse().map_err(|error: NameError| error.to_string())
}

/// `text` with A-labels in place of letters beyond ASCII.
#[cfg(feature = "international-names")]
fn a_labels(text: &str) -> Result<Cow<'_, str>, &'static str> {
    // The conversion also finds A-labels that encode nothing.
    let encodes = |four: &[u8]| four.eq_ignore_ascii_case(b"xn--");
    let is_plain = text.is_ascii() && !text.as_bytes().windows(4).any(encodes);
    if is_plain {
        return Ok(Cow::Borrowed(text));
    }
    idna::domain_to_ascii(text).map(Cow::Owned).map_err(|_| {
        "is not a host name: a part of it is not a valid internationalised name; check the \
            spelling"
    })
}

/// `text` if it has no letters beyond ASCII; A-labels are not checked.
#[cfg(not(feature = "international-names"))]
fn a_labels(text: &str) -> Result<&str, &'static str> {
    text.is_ascii().then_some(text).ok_or(
        "has non-ASCII letters, which this build of Homing does not support; write its xn-- form, \
            or use the full build",
    )
}

/// The zone in `text`: a host name without a wildcard.
pub(super) fn zone(text: &str) -> Result<Hostname, String> {
    let zone = hostname(text)?;
    if zone.is_wildcard() {
        return Err("is not a zone; remove the asterisk".to_owned());
    }
    Ok(zone)
}

/// The server in `text`, by name or address; `port` is the default.
pub(super) fn server(text: &str, port: u16) -> Result<Server, String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!(
            "needs brackets around an IPv6 address; write it like \"[2001:db8::1]:{port}\""
        ));
    }
    let (host, number) = match text.rsplit_once(':') {
        Some((host, number)) if !text.ends_with(']') => (host, Some(number)),
        _ => (text, None),
    };
    let port = match number.map(str::parse) {
        None => port,
        Some(Ok(port @ 1..)) => port,
        Some(_) => return Err("has no valid port; a port is a number from 1 to 65535".to_owned()),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(inner) = bracketed {
        let address: Ipv6Addr = inner.parse().map_err(|_| "has no IPv6 address in its brackets")?;
        return Ok(Server::from((address.into(), port)));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Server::from((address.into(), port)));
    }
    match hostname(host) {
        Ok(name) if !name.is_wildcard() => Ok(Server::Name(name, port)),
        _ => Err(format!(
            "is not a server; write it like \"server.example.net:{port}\" or \"192.0.2.1:{port}\""
        )),
    }
}

/// Checks the name of a source or provider; the error is the problem.
pub(super) fn entry_name(text: &str) -> Result<(), &'static str> {
    const LONGEST: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > LONGEST || !text.chars().all(fits) {
        return Err(
            "cannot be a name; use up to 64 letters, digits, dots, hyphens and underscores",
        );
    }
    Ok(())
}

/// The error for `text`, which is none of the built-in `titles`; `hint` shows how to write another.
pub(super) fn not_built_in<'a>(
    kind: &str,
    text: &str,
    titles: impl Iterator<Item = &'a str>,
    hint: &str,
) -> String {
    let titles: Vec<_> = titles.collect();
    let fix = match nearest(text, titles.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("there are: {}; {hint}", titles.join(", ")),
    };
    format!("is not a built-in {kind}; {fix}")
}

/// The path in `text`, relative to the configuration file's `directory`.
pub(super) fn path(text: &str, directory: &Path) -> Result<PathBuf, &'static str> {
    if text == "~" || text.starts_with("~/") {
        return Err("begins with ~, which only a shell expands; write the whole path");
    }
    Ok(directory.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bounds: &Bounds, expect: Result<u64, &str>) {
        let got = duration(text, bounds);
        let seconds = got.as_ref().map(Duration::as_secs).map_err(String::as_str);
        assert_eq!(seconds, expect, "{text}");
    }

    #[test]
    fn durations_have_bounds_and_say_them() {
        check("20d", &REFRESH, Ok(20 * 24 * 60 * 60));
        check("5x", &REFRESH, Err("is not a duration; write it like \"20d\""));
        check("300", &INTERVAL, Err("is not a duration; write it like \"5m\""));
        check("23h", &REFRESH, Err("is too short; the shortest is 1day"));
        check("9s", &INTERVAL, Err("is too short; the shortest is 10s"));
        check("1s 1ms", &SETTLE, Err("is too long; the longest is 1s"));
        check("0s", &SETTLE, Ok(0));
        check("99999999999999999999d", &REFRESH, Err("is not a duration; write it like \"20d\""));
    }

    #[test]
    fn refresh_may_be_never() {
        assert_eq!(refresh("never"), Ok(None));
        assert_eq!(refresh("25d"), Ok(Some(25 * DAY)));
    }

    #[test]
    #[cfg(feature = "international-names")]
    fn u_labels_become_a_labels() {
        let name = |text: &str| hostname(text).map(|name| name.to_string()).unwrap();
        assert_eq!(name("Bücher.example"), "xn--bcher-kva.example");
        assert_eq!(name("*.bücher.example."), "*.xn--bcher-kva.example");
        assert_eq!(name("xn--bcher-kva.example"), "xn--bcher-kva.example");
        assert_eq!(name("例え。テスト"), "xn--r8jz45g.xn--zckzah");
    }

    #[test]
    #[cfg(feature = "international-names")]
    fn names_that_cannot_be_encoded_are_refused() {
        for wrong in ["xn--99999999999.example", "a\u{202e}b.example", "\u{301}a.example"] {
            assert!(hostname(wrong).is_err(), "{wrong:?}");
        }
        assert!(hostname("sl@sh.bücher").unwrap_err().contains("'@' is not allowed"));
        assert!(zone("*.example.com").is_err());
    }

    #[test]
    fn servers_have_a_name_or_an_address_and_a_port() {
        let good = |text: &str| server(text, 53).unwrap().to_string();
        assert_eq!(good("dns.example.net"), "dns.example.net:53");
        assert_eq!(good("DNS.example.net:5353"), "dns.example.net:5353");
        assert_eq!(good("192.0.2.53"), "192.0.2.53:53");
        assert_eq!(good("[2001:db8::53]"), "[2001:db8::53]:53");
        assert_eq!(good("[2001:db8::53]:5353"), "[2001:db8::53]:5353");
        for (wrong, expect) in [
            ("2001:db8::53", "needs brackets"),
            ("[192.0.2.1]:53", "no IPv6 address in its brackets"),
            ("a.example:0", "no valid port"),
            ("a.example:", "no valid port"),
            ("a.example:65536", "no valid port"),
            ("192.0.2.300", "is not a server"),
            ("*.example", "is not a server"),
            ("stun:a.example:3478", "is not a server"),
            ("", "is not a server"),
        ] {
            let error = server(wrong, 53).unwrap_err();
            assert!(error.contains(expect), "{wrong}: {error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let directory = Path::new("/etc/homing");
        assert_eq!(path("a/b", directory), Ok("/etc/homing/a/b".into()));
        assert_eq!(path("/a", directory), Ok("/a".into()));
        assert!(path("~/a", directory).is_err());
    }
}
