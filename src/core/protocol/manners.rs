//! Manners: the facts about a protocol that the rest of Homing needs, one value for each.
//!
//! Owns the list of protocols and their facts. Knows no request and no answer; other modules ask
//! here for a fact instead of comparing protocols.

use std::time::Duration;

use crate::core::feature::Feature;
use crate::core::pace::Pace;
use crate::core::provider_key::ProviderKey;

/// The protocol that a provider speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Protocol {
    /// deSEC's dynDNS endpoint.
    Desec,
    /// The protocol that dyn.com published and most services took over.
    Dyndns2,
    /// A local file in the form of `/etc/hosts`.
    HostsFile,
    /// Any HTTP API, as the provider's entry describes it.
    Http,
    /// The HTTP API of PowerDNS' authoritative server.
    PowerDns,
    /// PowerDNS on Rails, by its tokens.
    Rails,
    /// Signed dynamic updates (RFC 2136).
    Rfc2136,
}

/// The facts of one protocol.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Its name in the configuration.
    pub word: &'static str,
    /// The feature that a build needs to speak it, if any.
    pub feature: Option<Feature>,
    /// The transport of its requests.
    pub transport: Transport,
    /// The kind of secret that a host uses.
    pub secret: SecretKind,
    /// The issuer that makes, judges and revokes its secrets for `homing token`, if any.
    pub tokens: Option<Issuer>,
    /// Whether requests show what its credential can do beyond its job.
    pub has_powers: bool,
    /// When the zone of a host has to be known.
    pub zone: ZoneNeed,
    /// Whether a request can say "leave this family alone" without leaving it out.
    pub can_leave: bool,
    /// Whether a record can be given several addresses.
    pub can_set_several: bool,
    /// How a record is removed, if at all; by leaving it out only if the provider's entry permits it.
    pub removal: Option<Removal>,
    /// Whether a request says how long resolvers may keep a record.
    pub says_ttl: bool,
    /// Whether a request can depend on what a record holds.
    pub has_conditions: bool,
    /// Whether it lists the records of a host and compares them with what is wanted.
    pub compares: bool,
    /// Which requests can name only hosts with equal wishes.
    pub common: Common,
    /// The most hosts that one request may name.
    pub most_hosts: usize,
    /// The most requests under way: to one server if this is 1, otherwise to one provider.
    pub most_at_once: usize,
    /// The least time between two requests to one server.
    pub least_gap: Option<Duration>,
    /// The path of updates at a server; the query is appended.
    pub update_path: &'static str,
    /// The path of the API at a server; empty for the server itself.
    pub api_path: Option<&'static str>,
    /// What leaving a family out of a request does, unless the entry says otherwise.
    pub omit: Omit,
    /// How many requests per time are sent, unless the entry says otherwise.
    pub pace: Option<Pace>,
    /// Whether that pace is for each host, instead of for each zone.
    pub paces_each_host: bool,
    /// The settings of `[provider.NAME]` that only few protocols use, among them this one.
    pub own_keys: &'static [ProviderKey],
    /// A warning for every user of the protocol, if any.
    pub warning: Option<&'static str>,
}

/// The transport of requests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// Messages to a name server.
    Dns,
    /// A file on this machine; nothing is sent.
    File,
    /// HTTP.
    Http,
}

/// The kind of secret that a host uses.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SecretKind {
    /// The key of a name server: a name with a secret.
    Key,
    /// No secret.
    Nothing,
    /// A password, which belongs to a login.
    Password,
    /// A token, which needs no login.
    Token,
}

/// The issuer that makes, judges and revokes secrets for `homing token`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Issuer {
    /// deSEC's API for accounts.
    Account,
    /// Cloudflare's API tokens.
    Cloudflare,
    /// The `DynHost` logins of OVHcloud.
    DynHost,
    /// The `DynDNS` accounts of INWX.
    Inwx,
    /// The update URLs of IONOS.
    Ionos,
    /// A name server, whose keys are made here.
    NameServer,
    /// The web application of PowerDNS on Rails.
    Rails,
    /// AWS's management of users and keys (IAM).
    Route53,
}

/// When the zone of a host has to be known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ZoneNeed {
    /// Always: no request can do without it.
    Always,
    /// Never: the provider finds it.
    Never,
    /// When hosts share a provider, because the pace is for each zone.
    Shared,
}

/// Which requests can name only hosts with equal wishes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Common {
    /// Every request.
    Always,
    /// No request: each host has wishes of its own.
    Never,
    /// Requests that remove a record.
    Removal,
}

/// How a record is removed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Removal {
    /// A request leaves its family out and states the other one.
    LeftOut,
    /// A request states the removal, independently of the other family.
    Said,
}

/// What leaving a family out of a request does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Omit {
    /// The record is set to the address that the request comes from.
    Caller,
    /// The record is deleted.
    Delete,
    /// The record stays as it is.
    Keep,
}

/// The most hosts that a request to a server may name.
pub const MOST_HOSTS: usize = 20;

/// The most requests under way to one provider, and so the most connections.
const MOST_AT_ONCE: usize = 8;

/// The least time between two requests to one deSEC server: its web server refuses a second one
/// within 33 ms, for any kind of request.
pub const DESEC_GAP: Duration = Duration::from_millis(100);

/// The defaults of a protocol: HTTP with a token, and each request states a wish for each host
/// and family.
const PLAIN: Manners = Manners {
    word: "",
    feature: None,
    transport: Transport::Http,
    secret: SecretKind::Token,
    tokens: None,
    has_powers: false,
    zone: ZoneNeed::Never,
    can_leave: true,
    can_set_several: true,
    removal: Some(Removal::Said),
    says_ttl: false,
    has_conditions: false,
    compares: false,
    common: Common::Never,
    most_hosts: MOST_HOSTS,
    most_at_once: 1,
    least_gap: None,
    update_path: "",
    api_path: None,
    omit: Omit::Keep,
    pace: None,
    paces_each_host: false,
    own_keys: &[],
    warning: None,
};

/// deSEC, as its own server behaves (recorded August 2026).
const DESEC: Manners = Manners {
    word: "desec",
    tokens: Some(Issuer::Account),
    zone: ZoneNeed::Shared,
    // A removal names hosts that all lose the record: only that form is known to work.
    common: Common::Removal,
    least_gap: Some(DESEC_GAP),
    update_path: "/api/v1/dyndns/update",
    api_path: Some("/api/v1"),
    omit: Omit::Delete,
    pace: Some(Pace { requests: 2, window: Duration::from_secs(120) }),
    own_keys: &[ProviderKey::ApiUrl],
    ..PLAIN
};

/// dyndns2. An unknown server is assumed to do only what dyn.com's did.
const DYNDNS2: Manners = Manners {
    word: "dyndns2",
    secret: SecretKind::Password,
    can_leave: false,
    // dyn.com does not say what happens to a second address.
    can_set_several: false,
    removal: Some(Removal::LeftOut),
    // A request has the same values for all its hosts.
    common: Common::Always,
    most_at_once: MOST_AT_ONCE,
    update_path: "/nic/update",
    // No service says what it accepts; many block clients that ask more often.
    pace: Some(Pace { requests: 6, window: Duration::from_secs(300) }),
    paces_each_host: true,
    own_keys: &[
        ProviderKey::ApiUrl,
        ProviderKey::Ipv4Parameter,
        ProviderKey::Ipv6Parameter,
        ProviderKey::Leave,
        ProviderKey::Login,
        ProviderKey::OneFamily,
        ProviderKey::Query,
        ProviderKey::Tokens,
    ],
    ..PLAIN
};

/// dyndns2 at OVHcloud, whose API makes `DynHost` logins.
const DYNHOST: Manners = Manners { tokens: Some(Issuer::DynHost), ..DYNDNS2 };

/// dyndns2 at INWX, whose API makes `DynDNS` accounts.
const INWX: Manners = Manners { tokens: Some(Issuer::Inwx), ..DYNDNS2 };

/// A hosts file: many names in one write, and no server to ask.
const HOSTS_FILE: Manners = Manners {
    word: "hosts-file",
    transport: Transport::File,
    secret: SecretKind::Nothing,
    most_hosts: usize::MAX,
    ..PLAIN
};

/// An HTTP API that an entry describes; much of this the entry decides.
const HTTP: Manners = Manners {
    word: "http",
    zone: ZoneNeed::Always,
    says_ttl: true,
    compares: true,
    // No service says what it accepts of one host; many block clients that ask more often.
    pace: Some(Pace { requests: 6, window: Duration::from_secs(300) }),
    paces_each_host: true,
    own_keys: &[
        ProviderKey::Answer,
        ProviderKey::Answers,
        ProviderKey::Apex,
        ProviderKey::ApiUrl,
        ProviderKey::Change,
        ProviderKey::Commit,
        ProviderKey::Create,
        ProviderKey::Each,
        ProviderKey::Families,
        ProviderKey::Find,
        ProviderKey::Glue,
        ProviderKey::Headers,
        ProviderKey::Item,
        ProviderKey::Jwt,
        ProviderKey::Key,
        ProviderKey::List,
        ProviderKey::Login,
        ProviderKey::Names,
        ProviderKey::Options,
        ProviderKey::Pair,
        ProviderKey::Power,
        ProviderKey::Remove,
        ProviderKey::SecretParts,
        ProviderKey::Set,
        ProviderKey::SetItem,
        ProviderKey::Sign,
        ProviderKey::Tokens,
        ProviderKey::Ttl,
    ],
    ..PLAIN
};

/// The HTTP API of PowerDNS' authoritative server (4.7, observed November 2026). It answers 500
/// when two requests write to its database at once.
const POWERDNS: Manners = Manners {
    word: "powerdns",
    zone: ZoneNeed::Always,
    says_ttl: true,
    update_path: "/api/v1/servers/localhost",
    api_path: Some("/api/v1/servers/localhost"),
    own_keys: &[ProviderKey::ApiUrl],
    warning: Some(
        "the key of PowerDNS' HTTP API can do everything at that server: keep it on the server's own machine, or use the protocol rfc2136 with a key for one name",
    ),
    ..PLAIN
};

/// PowerDNS on Rails, whose tokens open a session.
const RAILS: Manners = Manners {
    word: "powerdns-on-rails",
    tokens: Some(Issuer::Rails),
    // Each record there holds one address, and tokens must not make another record.
    can_set_several: false,
    // A token that may remove records could not put them back.
    removal: None,
    says_ttl: true,
    api_path: Some(""),
    ..PLAIN
};

/// Signed dynamic updates (RFC 2136).
const RFC2136: Manners = Manners {
    word: "rfc2136",
    feature: Some(Feature::NameServers),
    transport: Transport::Dns,
    secret: SecretKind::Key,
    tokens: Some(Issuer::NameServer),
    zone: ZoneNeed::Always,
    says_ttl: true,
    has_conditions: true,
    most_at_once: MOST_AT_ONCE,
    own_keys: &[ProviderKey::Algorithm],
    ..PLAIN
};

impl Protocol {
    /// Every protocol, sorted by name.
    pub const ALL: [Self; 7] = [
        Self::Desec,
        Self::Dyndns2,
        Self::HostsFile,
        Self::Http,
        Self::PowerDns,
        Self::Rails,
        Self::Rfc2136,
    ];

    /// Its facts.
    pub const fn manners(self) -> &'static Manners {
        match self {
            Self::Desec => &DESEC,
            Self::Dyndns2 => &DYNDNS2,
            Self::HostsFile => &HOSTS_FILE,
            Self::Http => &HTTP,
            Self::PowerDns => &POWERDNS,
            Self::Rails => &RAILS,
            Self::Rfc2136 => &RFC2136,
        }
    }

    /// The protocol's name in the configuration.
    pub fn word(self) -> &'static str {
        self.manners().word
    }

    /// The protocol of that name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.word() == word)
    }

    /// Whether entries describe how its servers are spoken to.
    pub fn is_described(self) -> bool {
        self == Self::Http
    }

    /// Whether `key` is a setting of the entry that describes an API.
    pub fn is_described_by(self, key: ProviderKey) -> bool {
        let is_own = self.manners().own_keys.contains(&key);
        self.is_described() && key != ProviderKey::ApiUrl && is_own
    }

    /// Whether this build speaks it.
    pub fn is_here(self) -> bool {
        self.manners().feature.is_none_or(Feature::is_here)
    }
}

impl Manners {
    /// Whether it serves a local network, where private addresses are as good as any.
    pub fn is_local(&self) -> bool {
        self.transport == Transport::File
    }

    /// Whether an entry describes how its server is spoken to.
    pub fn is_described(&self) -> bool {
        self.own_keys.contains(&ProviderKey::Set)
    }

    /// Whether its secrets are tokens of an issuer, each with a receipt beside its file; a key has none.
    pub fn has_receipts(&self) -> bool {
        self.secret != SecretKind::Key && self.tokens.is_some()
    }
}

impl SecretKind {
    /// The setting of a host's secret, or of its file where it needs no secret, with an example.
    pub fn example(self) -> &'static str {
        match self {
            Self::Key => "key-file = \"/etc/homing/host.key\"",
            Self::Nothing => "path = \"/etc/homing.hosts\"",
            Self::Password => "password-file = \"/etc/homing/host.password\"",
            Self::Token => "token-file = \"/etc/homing/host.token\"",
        }
    }
}

impl Issuer {
    /// Every issuer, in the order in which their tokens are handled.
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::NameServer,
        Self::Rails,
        Self::Route53,
        Self::Cloudflare,
        Self::Ionos,
        Self::Inwx,
        Self::DynHost,
    ];

    /// The facts of dyndns2 at a service whose logins this issuer makes.
    pub const fn dyndns2(self) -> &'static Manners {
        match self {
            Self::DynHost => &DYNHOST,
            Self::Inwx => &INWX,
            _ => &DYNDNS2,
        }
    }

    /// The issuers that an entry may name as its `tokens`, in the order of [`WORDS`](Self::WORDS).
    pub const NAMED: [Self; 4] = [Self::Cloudflare, Self::Account, Self::Ionos, Self::Route53];

    /// The words for [`NAMED`](Self::NAMED) in an entry.
    pub const WORDS: [&'static str; 4] = ["cloudflare", "desec", "ionos", "route53"];

    /// Whether a management token makes its credentials, and not a user with a password.
    pub fn is_managed_by_token(self) -> bool {
        match self {
            Self::Account | Self::Cloudflare | Self::DynHost | Self::Ionos => true,
            Self::Inwx | Self::NameServer | Self::Rails | Self::Route53 => false,
        }
    }

    /// Whether an id may be that of a credential that it has made, by its form.
    pub fn may_give(self, id: &str) -> bool {
        let is_hex = || id.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self {
            Self::Account | Self::Ionos => {
                id.len() == 36 && id.bytes().filter(|byte| *byte == b'-').count() == 4
            }
            Self::Cloudflare => id.len() == 32 && is_hex(),
            Self::DynHost => true,
            Self::Inwx => id.bytes().all(|byte| byte.is_ascii_digit()),
            Self::NameServer | Self::Rails => false,
            Self::Route53 => {
                let is_of_key = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
                id.len() == 20 && id.starts_with("AKIA") && id.bytes().all(is_of_key)
            }
        }
    }

    /// Whether its tokens can hold that byte: those of deSEC are Python's URL-safe Base64.
    pub fn is_of_token(self, byte: u8) -> bool {
        let signs: &[u8] = match self {
            Self::Account | Self::Cloudflare => b"-_",
            // The login, a colon, and a password of any characters.
            Self::DynHost | Self::Inwx | Self::Ionos => b":-_.=",
            Self::NameServer => b"+/=",
            Self::Rails => b"",
            // The key's id and its secret, which is Base64.
            Self::Route53 => b":+/=",
        };
        byte.is_ascii_alphanumeric() || signs.contains(&byte)
    }
}

impl Omit {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_by_its_form_who_may_have_given_it() {
        for (id, issuers) in [
            ("AKIAIOSFODNN7EXAMPLE", &[Issuer::Route53][..]),
            ("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807", &[Issuer::Account, Issuer::Ionos]),
            ("4711", &[Issuer::Inwx]),
            ("ed17574386854bf78a67040be0a770b0", &[Issuer::Cloudflare]),
            ("dev1-7f3a", &[]),
        ] {
            // A login may be called anything.
            let may: Vec<_> = Issuer::ALL
                .into_iter()
                .filter(|issuer| issuer.may_give(id) && *issuer != Issuer::DynHost)
                .collect();
            assert_eq!(may, issuers, "{id}");
        }
    }
}
