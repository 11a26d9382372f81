//! The meaning of a provider's answer, as one of four outcomes, and what a person can do about it.
//!
//! Protocols return outcomes, `settle` remembers them, drivers show them. No provider is asked here.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::feature;
use super::name::Hostname;

/// The meaning of an answer, or of its absence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The provider confirmed that it holds the addresses sent.
    Updated,
    /// The provider held the addresses already; as good as updated, and remembered in the same way.
    Unchanged,
    /// Trying later may help.
    Deferred(Deferral),
    /// Only a person can help.
    Rejected(Refusal),
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Silence {
    /// The kind of fault; it tells whether anything can have reached the server.
    pub fault: Fault,
    /// The cause in words, naming the server; never holds a secret, a path or a query.
    pub detail: String,
}

impl Silence {
    /// The silence after `fault`, with its cause in words.
    pub fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

impl From<Silence> for Outcome {
    fn from(Silence { fault, detail }: Silence) -> Self {
        Self::deferred(fault, detail)
    }
}

/// Why a later try may help, and when the provider wants it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deferral {
    /// The kind of fault.
    pub fault: Fault,
    /// What was seen, in words; never holds a secret.
    pub detail: String,
    /// How long the provider asked this client to wait.
    pub retry_after: Option<Duration>,
}

/// Why a person has to act, and what the provider said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The kind of refusal.
    pub rejection: Rejection,
    /// What was seen, in words; never holds a secret.
    pub detail: String,
}

/// The kinds of deferral.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// The provider has too many requests at this instant.
    Busy,
    /// The certificate is not valid yet, and this machine's clock is not set.
    Clock,
    /// The request left and no whole answer came: what the provider holds now is unknown.
    Lost,
    /// The request was answered, but the record, read back, does not show what was asked for.
    NotShown,
    /// A file on this machine could not be written: the hosts file, or the state, without which
    /// nothing is sent.
    Storage,
    /// A name server that knows the key refuses what it allowed before: it may be frozen for a moment.
    Refused,
    /// The provider has trouble of its own (5xx, 911, dnserr).
    Server,
    /// This machine's clock and the provider's are too far apart for a signature to be taken.
    Skew,
    /// The provider asked to be left alone for a while.
    Throttled,
    /// The provider's certificate does not verify, or TLS failed otherwise.
    Tls,
    /// The answer is not in the protocol's form.
    Unintelligible,
    /// No connection came about: nothing was sent.
    Unreachable,
    /// The records could not be read, so that nothing was written.
    Unread,
}

/// The kinds of rejection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rejection {
    /// Blocked for abuse.
    Abuse,
    /// This client is blocked, or the request's form is.
    Agent,
    /// The login or secret is wrong, expired or bound to another network.
    Credential,
    /// The account lacks a paid feature.
    Feature,
    /// The credential is right but may not write this record.
    Forbidden,
    /// The provider does not know the host, or it belongs to somebody else.
    Host,
    /// The provider refuses what was asked for.
    Request,
    /// The host is strict, and its credential, which Homing cannot make, can do more than its job:
    /// nothing is sent.
    TooBroad,
    /// The host is strict, and its token can do more than its job: nothing is sent.
    TooPowerful,
    /// The host is strict, and its token is not proven narrow: nothing is sent.
    Unproven,
}

/// A property of some faults, returned by the function of [`Fault`] with the same name.
#[derive(Eq, PartialEq)]
enum FaultTrait {
    IsCounted,
    LeavesDoubt,
    IsTheNetworks,
}

/// A property of some rejections, returned by the function of [`Rejection`] with the same name.
#[derive(Eq, PartialEq)]
enum RejectionTrait {
    IsTheCredentials,
    MayBeFixedThere,
    MayHaveOneCulprit,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::Busy,
        Self::Clock,
        Self::Lost,
        Self::NotShown,
        Self::Refused,
        Self::Storage,
        Self::Server,
        Self::Skew,
        Self::Throttled,
        Self::Tls,
        Self::Unintelligible,
        Self::Unreachable,
        Self::Unread,
    ];

    /// Its word, its message and its properties.
    fn facts(self) -> (&'static str, &'static str, &'static [FaultTrait]) {
        use FaultTrait::{IsCounted, IsTheNetworks, LeavesDoubt};
        match self {
            Self::Busy => ("busy", "the provider is busy", &[]),
            Self::Clock => ("clock-not-set", "the clock is not set", &[IsTheNetworks]),
            Self::Lost => {
                let traits = &[LeavesDoubt, IsCounted, IsTheNetworks];
                ("no-answer", "could not confirm: no answer came", traits)
            }
            Self::NotShown => {
                let words = "could not confirm: the record does not show the address";
                ("not-shown", words, &[LeavesDoubt, IsCounted])
            }
            Self::Refused => ("refused", "the name server refuses updates for now", &[IsCounted]),
            Self::Storage => ("storage", "a file could not be written", &[]),
            Self::Server => {
                let words = "could not confirm: the provider has a fault";
                ("server-fault", words, &[LeavesDoubt, IsCounted])
            }
            Self::Skew => ("clock-skew", "the clocks are too far apart", &[IsCounted]),
            Self::Throttled => ("throttled", "the provider asks for a pause", &[]),
            Self::Tls => ("tls", "no trusted connection", &[IsTheNetworks]),
            Self::Unintelligible => {
                let words = "could not confirm: unexpected answer; the update may or may not have \
                    worked";
                ("unintelligible", words, &[LeavesDoubt, IsCounted])
            }
            Self::Unreachable => {
                ("unreachable", "the provider cannot be reached", &[IsTheNetworks])
            }
            Self::Unread => ("unread", "the provider's records cannot be read", &[IsCounted]),
        }
    }

    /// The word for it in the state file and in `status --json`.
    pub fn word(self) -> &'static str {
        self.facts().0
    }

    /// Whether the provider may hold the new addresses after all: "could not confirm".
    pub fn leaves_doubt(self) -> bool {
        self.facts().2.contains(&FaultTrait::LeavesDoubt)
    }

    /// Whether the provider counts the request against its pace; it does not count a request that never
    /// left, or that it refused for its pace.
    pub fn is_counted(self) -> bool {
        self.facts().2.contains(&FaultTrait::IsCounted)
    }

    /// Whether the network may be the cause, so that a change of the network ends the wait.
    pub fn is_the_networks(self) -> bool {
        self.facts().2.contains(&FaultTrait::IsTheNetworks)
    }

    /// What a person could check when the fault lasts.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Busy | Self::Lost | Self::Server => {
                "nothing to do unless it lasts; Homing tries again"
            }
            Self::Clock => "set the clock (NTP); Homing tries again as soon as it is set",
            Self::NotShown => {
                "check the record and the provider's log; Homing tries again a few times"
            }
            Self::Refused => {
                "nothing to do while the server is maintained (a frozen zone); if it lasts, allow the key to write the host's A and AAAA records"
            }
            Self::Skew => "set the clocks of both machines (NTP); they may be five minutes apart",
            Self::Storage => {
                "check the file: the directory must exist, be writable and have free space"
            }
            Self::Throttled => "nothing to do; Homing asks again when the pause is over",
            Self::Tls => {
                "check the provider's URL and the clock; for a private authority set ca-file"
            }
            Self::Unintelligible => UNINTELLIGIBLE,
            Self::Unread => {
                "nothing was changed, and Homing tries again; if it lasts, check the provider's \
                    entry and its server in the configuration"
            }
            Self::Unreachable => {
                "check this machine's network and resolver, and the provider's server in the configuration"
            }
        }
    }
}

const UNINTELLIGIBLE: &str = "check the provider's protocol and URL (or server) in the \
    configuration; the answer does not fit that protocol";

/// The words in the detail of an unintelligible answer that tell its kind.
pub mod words {
    /// A redirect; its target follows.
    pub const LEADS_TO: &str = "leads to";
    /// A confirmation of an address that was not sent.
    pub const NOT_SENT: &str = "which was not sent";
    /// An answer without a body.
    pub const NOTHING: &str = "with an empty body";
    /// A web page.
    pub const PAGE: &str = "with a web page";
}

impl Deferral {
    /// What a person could check after `fault` with this `detail`, when it lasts.
    pub fn remedy(fault: Fault, detail: &str) -> &'static str {
        match fault {
            Fault::Unintelligible | Fault::Unread if detail.contains(words::LEADS_TO) => {
                "if that address is the provider's, put it into the configuration; Homing sends \
                    no credential after a redirect"
            }
            Fault::Unintelligible if detail.contains(words::NOT_SENT) => {
                "check the record: the provider set another address than the one sent; check its \
                    entry in the configuration"
            }
            Fault::Unintelligible | Fault::Unread if detail.contains(words::NOTHING) => {
                "check the provider's URL; the answer was empty"
            }
            Fault::Unintelligible | Fault::Unread if detail.contains(words::PAGE) => {
                "check the provider's URL; the answer was a web page"
            }
            fault => fault.remedy(),
        }
    }
}

impl Rejection {
    /// Every rejection.
    pub const ALL: [Self; 10] = [
        Self::Abuse,
        Self::Agent,
        Self::Credential,
        Self::Feature,
        Self::Forbidden,
        Self::Host,
        Self::Request,
        Self::TooBroad,
        Self::TooPowerful,
        Self::Unproven,
    ];

    /// Its word, its message and its properties.
    fn facts(self) -> (&'static str, &'static str, &'static [RejectionTrait]) {
        use RejectionTrait::{IsTheCredentials, MayBeFixedThere, MayHaveOneCulprit};
        match self {
            Self::Abuse => ("abuse", "blocked for abuse", &[MayHaveOneCulprit]),
            Self::Agent => ("agent", "this client is refused", &[IsTheCredentials]),
            Self::Credential => ("credential", "the credential is refused", &[IsTheCredentials]),
            Self::Feature => ("feature", "a paid feature is missing", &[MayBeFixedThere]),
            Self::Forbidden => {
                let words = "the credential may not write this record";
                ("forbidden", words, &[MayBeFixedThere, MayHaveOneCulprit])
            }
            Self::Host => {
                let words = "the provider does not know this host";
                ("host", words, &[MayBeFixedThere, MayHaveOneCulprit])
            }
            Self::Request => {
                let words = "the provider refuses the request";
                ("request", words, &[MayBeFixedThere, MayHaveOneCulprit])
            }
            Self::TooBroad => ("too-broad", "the credential is too powerful", &[]),
            Self::TooPowerful => ("too-powerful", "the token is too powerful", &[]),
            Self::Unproven => ("unproven", "the token's rights were not checked", &[]),
        }
    }

    /// The word for it in the state file and in `status --json`.
    pub fn word(self) -> &'static str {
        self.facts().0
    }

    /// Whether it may be fixed at the provider without a change here, so that asking again once a
    /// day makes sense.
    pub fn may_be_fixed_there(self) -> bool {
        self.facts().2.contains(&RejectionTrait::MayBeFixedThere)
    }

    /// Whether it concerns the whole credential, so that no other request with it makes sense.
    pub fn is_the_credentials(self) -> bool {
        self.facts().2.contains(&RejectionTrait::IsTheCredentials)
    }

    /// Whether Homing itself makes this judgement, again in every round: no provider was asked.
    pub fn is_our_own(self) -> bool {
        matches!(self, Self::TooBroad | Self::TooPowerful | Self::Unproven)
    }

    /// Whether a request about several records may have been refused because of one of them.
    pub fn may_have_one_culprit(self) -> bool {
        self.facts().2.contains(&RejectionTrait::MayHaveOneCulprit)
    }

    /// What a person has to do for `host`.
    pub fn remedy(self, host: &Hostname) -> Cow<'static, str> {
        let words = match self {
            Self::Abuse => {
                "ask the provider to unblock the host, then run `homing --once --retry-rejected`"
            }
            Self::Agent => {
                "check the provider's URL and whether it blocks this client, then run `homing --once --retry-rejected`"
            }
            Self::Credential => {
                "put a valid token or password into the host's secret file; also check that it has not expired and may be used from this network"
            }
            Self::Feature => {
                "this needs a paid feature at the provider; change the account or the host"
            }
            Self::Forbidden => {
                "allow the credential to write the host's A and AAAA records (at deSEC, use \
                    `homing token issue`), or switch a family off"
            }
            Self::Host => {
                "create the host at the provider, or correct its name in the configuration"
            }
            Self::Request => {
                "correct what the provider complains about (for example a CNAME at the name)"
            }
            Self::TooPowerful => return feature::run_token("issue", host).into(),
            Self::TooBroad | Self::Unproven => return feature::run_token("audit", host).into(),
        };
        words.into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().1)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().1)
    }
}

impl Outcome {
    /// The refusal, if it is one of the credential itself.
    pub fn credential_refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Rejected(refusal) if refusal.rejection.is_the_credentials() => Some(refusal),
            Self::Rejected(_) | Self::Deferred(_) | Self::Unchanged | Self::Updated => None,
        }
    }

    /// Whether the provider must have accepted the credential to answer this.
    pub fn shows_a_good_credential(&self) -> bool {
        match self {
            Self::Updated | Self::Unchanged => true,
            Self::Rejected(Refusal { rejection, .. }) => {
                !rejection.is_the_credentials() && !rejection.is_our_own()
            }
            Self::Deferred(_) => false,
        }
    }

    /// Whether the provider counts the request, so that its host has had its turn.
    pub fn counts_as_a_turn(&self) -> bool {
        match self {
            Self::Updated | Self::Unchanged | Self::Rejected(_) => true,
            Self::Deferred(deferral) => deferral.fault.is_counted(),
        }
    }

    /// A deferral without a wait that the provider asked for.
    pub fn deferred(fault: Fault, detail: impl Into<String>) -> Self {
        Self::Deferred(Deferral { fault, detail: detail.into(), retry_after: None })
    }

    /// A deferral with the wait that the provider asked for.
    pub fn deferred_for(fault: Fault, detail: impl Into<String>, wait: Duration) -> Self {
        Self::Deferred(Deferral { fault, detail: detail.into(), retry_after: Some(wait) })
    }

    /// A rejection with what the provider said.
    pub fn rejected(rejection: Rejection, detail: impl Into<String>) -> Self {
        Self::Rejected(Refusal { rejection, detail: detail.into() })
    }
}
