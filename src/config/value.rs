//! What single values mean: durations, host names, names of entries, paths.
//!
//! Each function takes text and returns a value, or the end of a sentence that begins with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::name::{Hostname, NameError};

/// The bounds of a duration, and what one looks like.
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) example: &'static str,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the slow poll may be: a web service is not to be asked every second, and a poll less
/// than daily is none.
pub(super) const INTERVAL: Bounds =
    Bounds { least: Duration::from_secs(10), most: DAY, example: "5m" };

/// How long the kernel must be quiet.
pub(super) const SETTLE: Bounds =
    Bounds { least: Duration::ZERO, most: Duration::from_secs(1), example: "100ms" };

/// How often an unchanged address may be sent.
pub(super) const REFRESH: Bounds =
    Bounds { least: DAY, most: Duration::from_secs(3650 * 24 * 60 * 60), example: "20d" };

/// The duration that `text` says, in humantime's form and within `bounds`.
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

/// How often to refresh; `None` for `never`.
pub(super) fn refresh(text: &str) -> Result<Option<Duration>, String> {
    if text == "never" {
        return Ok(None);
    }
    duration(text, &REFRESH).map(Some)
}

/// Why a text is not a host name that Homing can use.
#[derive(Debug)]
pub(super) enum HostnameError {
    /// The A-label form is not a host name.
    Ascii(NameError),
    /// There is no A-label form (UTS 46).
    International,
}

impl fmt::Display for HostnameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ascii(error) => write!(f, "{error}"),
            Self::International => f.write_str(
                "is not a host name: a part of it is no valid internationalised name; check its spelling",
            ),
        }
    }
}

/// The host name that `text` says; U-labels become A-labels (UTS 46).
pub(super) fn hostname(text: &str) -> Result<Hostname, HostnameError> {
    // A-labels that stand for nothing are found by the same way.
    let is_plain = text.is_ascii() && !text.to_ascii_lowercase().contains("xn--");
    let ascii = if is_plain {
        text.to_owned()
    } else {
        idna::domain_to_ascii(text).map_err(|_| HostnameError::International)?
    };
    ascii.parse().map_err(HostnameError::Ascii)
}

/// The zone that `text` says: a host name without a wildcard.
pub(super) fn zone(text: &str) -> Result<Hostname, String> {
    let zone = hostname(text).map_err(|error| error.to_string())?;
    if zone.is_wildcard() {
        return Err("is not a zone; leave the asterisk out".to_owned());
    }
    Ok(zone)
}

/// Says what is wrong with the name of a source or provider.
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

/// The path that `text` says, relative to the configuration file's `directory`.
pub(super) fn path(text: &str, directory: &Path) -> Result<PathBuf, &'static str> {
    if text == "~" || text.starts_with("~/") {
        return Err("begins with ~, which only a shell understands; write the whole path");
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
    fn u_labels_become_a_labels() {
        let name = |text: &str| hostname(text).map(|name| name.to_string()).unwrap();
        assert_eq!(name("Bücher.example"), "xn--bcher-kva.example");
        assert_eq!(name("*.bücher.example."), "*.xn--bcher-kva.example");
        assert_eq!(name("xn--bcher-kva.example"), "xn--bcher-kva.example");
        assert_eq!(name("例え。テスト"), "xn--r8jz45g.xn--zckzah");
    }

    #[test]
    fn names_that_cannot_be_encoded_are_refused() {
        for wrong in ["xn--99999999999.example", "a\u{202e}b.example", "\u{301}a.example"] {
            assert!(hostname(wrong).is_err(), "{wrong:?}");
        }
        assert!(matches!(hostname("under_score.bücher"), Err(HostnameError::Ascii(_))));
        assert!(zone("*.example.com").is_err());
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let directory = Path::new("/etc/homing");
        assert_eq!(path("a/b", directory), Ok("/etc/homing/a/b".into()));
        assert_eq!(path("/a", directory), Ok("/a".into()));
        assert!(path("~/a", directory).is_err());
    }
}
