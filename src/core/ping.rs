//! The ping: which URL tells a monitoring service that all is right, or that it is not. Pure.

use std::time::Duration;

use super::protocol::query_value;
use super::secret::{Guarded, Secret};
use super::time::Timestamp;

/// The kinds of services that are told, by their words for failure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PingService {
    /// Cronitor: `?state=complete` and `?state=fail`.
    Cronitor,
    /// Healthchecks.io and its like: `/fail` at the end of the path.
    Healthchecks,
    /// Uptime Kuma's push monitors: `?status=up` and `?status=down&msg=…`.
    UptimeKuma,
    /// Any other: it is told that all is right, and a failure is its silence.
    #[default]
    Url,
}

impl PingService {
    /// Every kind, sorted by its word.
    pub const ALL: [Self; 4] = [Self::Cronitor, Self::Healthchecks, Self::UptimeKuma, Self::Url];

    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cronitor => "cronitor",
            Self::Healthchecks => "healthchecks",
            Self::UptimeKuma => "uptime-kuma",
            Self::Url => "url",
        }
    }

    /// The URL that tells the service of `url` that all is right, or else the `failure`, in words; `None`
    /// if it has no word for that. The whole of it is a secret.
    pub fn told(self, url: &Secret, failure: Option<&str>) -> Option<Guarded> {
        let whole = url.expose();
        let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
        let text = match (self, failure) {
            (Self::Healthchecks | Self::Url, None) => whole.to_owned(),
            (Self::Url, Some(_)) => return None,
            (Self::Healthchecks, Some(_)) => {
                let mark = if query.is_empty() { "" } else { "?" };
                format!("{}/fail{mark}{query}", path.trim_end_matches('/'))
            }
            (Self::Cronitor, None) => format!("{path}?state=complete"),
            (Self::Cronitor, Some(words)) => {
                format!("{path}?state=fail&message={}", query_value(words))
            }
            // The URL that it shows has these parameters already.
            (Self::UptimeKuma, None) => format!("{path}?status=up&msg=OK"),
            (Self::UptimeKuma, Some(words)) => {
                format!("{path}?status=down&msg={}", query_value(words))
            }
        };
        let mut guarded = Guarded::default();
        guarded.push_secret(url, &text);
        Some(guarded)
    }
}

/// The last ping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pinged {
    /// When it was sent.
    pub at: Timestamp,
    /// Whether it said that all is right.
    pub was_right: bool,
}

impl Pinged {
    /// Whether the next ping is due after a round: at most one in `interval`, but for news.
    ///
    /// A clock that was set back makes it due.
    pub fn is_next_due(self, is_right: bool, interval: Duration, now: Timestamp) -> bool {
        // Rounds take their time: one that ends a little sooner after the last must not miss a whole
        // interval.
        const EARLY: Duration = Duration::from_secs(10);
        let rest = interval.saturating_sub(EARLY);
        self.was_right != is_right || now < self.at || now.since(self.at) >= rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(service: PingService, url: &str, right: &str, failure: Option<&str>) {
        let url = Secret::new(url);
        let told = |failure| service.told(&url, failure);
        let text = |told: Option<Guarded>| told.map(|told| told.expose().to_owned());
        assert_eq!(text(told(None)).as_deref(), Some(right));
        assert_eq!(text(told(Some("1 host waits & more"))).as_deref(), failure);
        // Whatever shows it shows nothing of it.
        assert_eq!(told(None).unwrap().to_string(), "…");
    }

    #[test]
    fn each_service_hears_its_own_words() {
        let url = "https://hc-ping.com/5e3c";
        check(PingService::Url, url, url, None);
        check(PingService::Healthchecks, url, url, Some("https://hc-ping.com/5e3c/fail"));
        let created = "https://hc.example/ping/key/slug?create=1";
        let failed = "https://hc.example/ping/key/slug/fail?create=1";
        check(PingService::Healthchecks, created, created, Some(failed));
        check(
            PingService::UptimeKuma,
            "https://kuma.example/api/push/abc?status=up&msg=OK&ping=",
            "https://kuma.example/api/push/abc?status=up&msg=OK",
            Some("https://kuma.example/api/push/abc?status=down&msg=1%20host%20waits%20%26%20more"),
        );
        check(
            PingService::Cronitor,
            "https://cronitor.link/p/key/home",
            "https://cronitor.link/p/key/home?state=complete",
            Some(
                "https://cronitor.link/p/key/home?state=fail&message=1%20host%20waits%20%26%20more",
            ),
        );
    }

    #[test]
    fn one_is_sent_in_an_interval_and_news_at_once() {
        let at = |seconds: u64| Timestamp::from_secs(1_800_000_000 + seconds);
        let last = Pinged { at: at(0), was_right: true };
        let is_due =
            |is_right, now: u64| last.is_next_due(is_right, Duration::from_secs(300), at(now));
        assert!(!is_due(true, 1) && !is_due(true, 289) && is_due(true, 290));
        assert!(is_due(false, 1), "news");
        let before = Timestamp::from_secs(1_700_000_000);
        assert!(last.is_next_due(true, Duration::from_secs(300), before), "the clock was set back");
    }

    #[test]
    fn the_words_are_sorted() {
        assert!(PingService::ALL.map(PingService::word).is_sorted());
    }
}
