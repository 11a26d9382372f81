//! Web services that answer with the asker's address: the built-in ones, and where each is asked.
//!
//! Pure data: asking is the shell's work. `config` finds the built-in ones by their names, and `auto`
//! asks some of them.

use std::iter;

use super::{Family, PerFamily};
use crate::core::built_in;
use crate::core::text::Text;

/// A web service that answers with the asker's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Echo {
    /// The service's name in messages: its built-in name, or its URL.
    pub title: Text,
    /// The URL for each family's address; `None` where the service does not tell that family.
    pub urls: PerFamily<Option<Text>>,
}

/// The built-in provider whose own service has its name; it accepts three requests a minute.
const PROVIDER: &str = "desec";

/// The other built-in services. They answer with one address in plain text and nothing else.
static OTHERS: [Echo; 4] = [
    entry("ipify", Some("https://api.ipify.org/"), Some("https://api6.ipify.org/")),
    entry("icanhazip", Some("https://ipv4.icanhazip.com/"), Some("https://ipv6.icanhazip.com/")),
    entry("ident.me", Some("https://v4.ident.me/"), Some("https://v6.ident.me/")),
    entry("amazon", Some("https://checkip.amazonaws.com/"), None),
];

/// The services that `auto` asks behind NAT; of different operators, so that none can lie for two.
const THIRD_PARTIES: PerFamily<[&str; 3]> =
    PerFamily { v4: ["ipify", "amazon", "icanhazip"], v6: ["ipify", "ident.me", "icanhazip"] };

const fn entry(title: &'static str, v4: Option<&'static str>, v6: Option<&'static str>) -> Echo {
    const fn text(url: Option<&'static str>) -> Option<Text> {
        match url {
            Some(url) => Some(Text::Borrowed(url)),
            None => None,
        }
    }
    Echo { title: Text::Borrowed(title), urls: PerFamily { v4: text(v4), v6: text(v6) } }
}

/// The names of the built-in services.
pub fn titles() -> impl Iterator<Item = &'static str> {
    iter::once(PROVIDER).chain(OTHERS.iter().map(|echo| &*echo.title))
}

/// The services of third parties that `auto` asks for addresses of `family`.
pub fn third_parties(family: Family) -> impl Iterator<Item = Echo> {
    THIRD_PARTIES[family].into_iter().filter_map(Echo::built_in)
}

impl Echo {
    /// The built-in service called `title`.
    pub fn built_in(title: &str) -> Option<Self> {
        if title == PROVIDER {
            let urls = built_in::named(PROVIDER)?.echo;
            return Some(Self { title: PROVIDER.into(), urls });
        }
        OTHERS.iter().find(|echo| echo.title == title).cloned()
    }

    /// The service at `url`, which answers with an address of the family that it is asked over.
    pub fn at(url: impl Into<Text>) -> Self {
        let url = url.into();
        Self { urls: PerFamily::from_fn(|_| Some(url.clone())), title: url }
    }

    /// Whether the service can tell an address of `family`.
    pub fn can_tell(&self, family: Family) -> bool {
        self.urls[family].is_some()
    }

    /// Whether this and `other` are asked at the same place for some family, so that their agreement
    /// proves nothing.
    pub fn meets(&self, other: &Self) -> bool {
        self.urls.iter().any(|(family, url)| url.is_some() && *url == other.urls[family])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_service_is_found_by_a_name_that_is_no_address() {
        for title in titles() {
            let echo = Echo::built_in(title).unwrap();
            assert_eq!(echo.title, title);
            assert!(!title.contains("://") && !title.contains('/'), "{title}");
            assert!(echo.can_tell(Family::V4), "{title}");
            for (_, url) in echo.urls.iter().filter_map(|(f, url)| Some((f, url.as_ref()?))) {
                assert!(url.starts_with("https://") && url.ends_with('/'), "{url}");
            }
        }
        assert_eq!(
            titles().collect::<Vec<_>>(),
            ["desec", "ipify", "icanhazip", "ident.me", "amazon"]
        );
        assert!(!Echo::built_in("amazon").unwrap().can_tell(Family::V6));
        assert_eq!(Echo::built_in("nobody"), None);
    }

    #[test]
    fn the_services_that_auto_asks_are_enough_for_two_to_agree_when_one_is_gone() {
        for family in Family::BOTH {
            let parties: Vec<_> = third_parties(family).collect();
            assert_eq!(parties.len(), 3, "{family}");
            assert!(parties.iter().all(|party| party.can_tell(family)), "{family}");
        }
    }

    #[test]
    fn the_providers_own_service_is_the_same_here_and_in_its_entry() {
        let desec = built_in::named("desec").unwrap();
        assert_eq!(Echo::built_in("desec").unwrap().urls, desec.echo);
    }

    #[test]
    fn two_names_for_one_place_are_seen_through() {
        let ipify = Echo::built_in("ipify").unwrap();
        assert!(ipify.meets(&Echo::at("https://api6.ipify.org/")));
        assert!(!ipify.meets(&Echo::at("https://api.example/")));
        let amazon = Echo::built_in("amazon").unwrap();
        assert!(!amazon.meets(&ipify), "that both lack something is no place");
    }
}
