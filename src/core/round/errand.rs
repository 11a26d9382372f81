//! Errands: what a round asks the shell to do, and what the shell brings back.

use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use crate::core::address::interface::InterfaceName;
use crate::core::address::{Addresses, PerFamily};
use crate::core::memory::Key;
use crate::core::name::Hostname;
use crate::core::outcome::Outcome;
use crate::core::plan::{Details, Host, Request};
use crate::core::protocol::step::ZoneAnswer;
use crate::core::protocol::{Credential, Verdict};
use crate::core::provider::Provider;
use crate::core::secret::Fingerprint;
use crate::core::token::upkeep::TokenFacts;
use crate::core::verify::{Due, VerifyVerdict};

/// The longest time of a look at the servers of zones that an update or a slow poll waits for.
pub const LOOK: Duration = Duration::from_secs(3);

/// A host of the configuration, as rounds know it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The index of the host in the configuration of the newest look.
    pub at: usize,
    /// The host.
    pub host: Rc<Host>,
    /// The rest, which the hosts of its block share.
    pub block: Rc<BlockFacts>,
}

/// What rounds know about all hosts of one block.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct BlockFacts {
    /// The provider.
    pub provider: Rc<Provider>,
    /// The server whose limits count: deSEC's update and API hosts share theirs. A file is its own.
    pub server: Rc<str>,
    /// The place that takes updates, the same for all entries that lead there.
    pub place: Rc<str>,
    /// The file that the hosts are written to, as messages show it.
    pub path: Option<Rc<str>>,
    /// Whether the provider has more than one host.
    pub has_company: bool,
    /// Whether a program is run after an address changes.
    pub has_hook: bool,
    /// Whether the zone's own servers are asked what they hold.
    pub is_verified: bool,
    /// Whether a token must be proven narrow before anything is sent with it.
    pub strict_token: bool,
}

impl Deref for Subject {
    type Target = BlockFacts;

    fn deref(&self) -> &BlockFacts {
        &self.block
    }
}

impl BlockFacts {
    /// The name of the queue of requests to the provider: the server, for all entries, where that
    /// takes one at a time, otherwise the provider itself.
    pub(super) fn queue(&self) -> Rc<str> {
        match self.provider.manners().most_at_once {
            1 => Rc::clone(&self.server),
            _ => Rc::from(&*self.provider.name),
        }
    }
}

/// Something to be done outside.
#[derive(Debug)]
pub struct Errand {
    /// The number by which its answer is given.
    pub id: u64,
    /// What is to be done.
    pub task: Task,
}

/// The kinds of errands.
#[derive(Debug)]
pub enum Task {
    /// Sends a request of the plan.
    Update {
        /// The first of its hosts, for which it is sent.
        subject: Subject,
        /// The credential to ask with.
        credential: Credential,
        /// The request.
        request: Request,
        /// The moment by the steady clock before which it must not leave.
        not_before: Option<Duration>,
    },
    /// Asks for the zone of a host.
    Zone {
        /// The host.
        subject: Subject,
        /// The credential to ask with.
        credential: Credential,
        /// What else is known of the host.
        details: Details,
        /// The moment by the steady clock before which it must not leave.
        not_before: Option<Duration>,
    },
    /// Asks the servers of zones what they hold.
    Look {
        /// The hosts, with what their records should hold.
        cases: Vec<VerifyCase>,
        /// Which servers.
        whom: Whom,
        /// The longest time; `None` is as long as each host wants, again and again until they are right.
        limit: Option<Duration>,
    },
    /// Runs the program of a host whose addresses changed.
    Hook {
        /// The host.
        subject: Subject,
        /// What is set.
        now: PerFamily<Option<Addresses>>,
        /// What was set.
        before: PerFamily<Option<Addresses>>,
    },
    /// Sends a request that changes nothing with a token, so that it does not expire unused.
    Greet(Holder),
    /// Finds out what a token could do beyond its job.
    Check(Holder),
}

/// A token, and the hosts that use it: a task is done for the first whose interface is there.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The hosts; at least one.
    pub subjects: Vec<Subject>,
    /// The zone of each of them, as far as it is remembered.
    pub zones: Vec<Option<Hostname>>,
    /// Whether each of them may reach the server, as far as that is known.
    pub may_speak: Vec<bool>,
    /// The token.
    pub credential: Credential,
    /// The hash of login and secret.
    pub identity: Fingerprint,
    /// The moment by the steady clock before which nothing must leave.
    pub not_before: Option<Duration>,
}

/// A host, and what its records should hold.
#[derive(Clone, Debug)]
pub struct VerifyCase {
    /// The host.
    pub subject: Subject,
    /// The zone that is remembered.
    pub zone: Option<Hostname>,
    /// What its records should hold.
    pub due: Due,
}

/// Which servers are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whom {
    /// All of them.
    All,
    /// The first one.
    First,
    /// The one that takes the updates, where it is one of them; otherwise all.
    Own,
}

/// What the servers said about one host.
#[derive(Debug)]
pub struct HostAnswers {
    /// The host.
    pub key: Key,
    /// What was asked about.
    pub due: Due,
    /// The result, without secrets.
    pub verdict: VerifyVerdict,
    /// The time until the last server that gave the right answer gave it.
    pub took: Duration,
}

/// The answer about a token, with the interface that was used; nothing when the request was not worth
/// sending.
pub type TokenAnswer = Option<(Option<InterfaceName>, Result<TokenFacts, Outcome>)>;

/// The result of an errand.
#[derive(Debug)]
pub enum Answer {
    /// Of [`Task::Update`].
    Update(Verdict),
    /// Of [`Task::Zone`], with what it shows of the server.
    Zone(ZoneAnswer, Option<Outcome>),
    /// Of [`Task::Look`].
    Look(Vec<HostAnswers>),
    /// Of [`Task::Hook`]: the error is what went wrong.
    Hook(Result<(), String>),
    /// Of [`Task::Greet`] and [`Task::Check`].
    Token(TokenAnswer),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Sending {
    /// The request.
    pub request: Request,
    /// The host for which it was sent, as it was then.
    pub subject: Subject,
    /// The hash of the login and secret that it was sent with.
    pub identity: Fingerprint,
    /// The name of its queue.
    pub queue: Rc<str>,
}

/// An errand that is not answered yet.
#[derive(Debug)]
pub(super) enum Out {
    Update(Box<Sending>),
    /// The index of the host.
    Zone(usize),
    /// The questions before first updates: the indexes of the hosts.
    FirstLook(Vec<usize>),
    /// The questions after updates: for each host, whether the update set something new.
    Verify(Vec<(Key, bool)>),
    /// The questions at the slow poll, with the hosts that are to be asked about at all servers then.
    Drift(Vec<VerifyCase>),
    /// The questions to all servers about those.
    AllServers,
    Hook(Key),
    Greet(Fingerprint),
    Check(Fingerprint),
}

impl Out {
    /// Whether it is a question to a provider on which an update depends.
    pub(super) fn is_request(&self) -> bool {
        matches!(self, Self::Update(_) | Self::Zone(_) | Self::FirstLook(_))
    }

    /// Whether it is a look at the slow poll.
    pub(super) fn is_look(&self) -> bool {
        matches!(self, Self::AllServers | Self::Drift(_))
    }

    /// Whether it is a question about a token.
    pub(super) fn is_about_token(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Greet(_))
    }

    /// Whether it is the program of the host `key`.
    pub(super) fn is_hook_of(&self, key: &Key) -> bool {
        matches!(self, Self::Hook(known) if known == key)
    }

    /// Whether it asks if the servers have an update of the host `key`.
    pub(super) fn verifies(&self, key: &Key) -> bool {
        matches!(self, Self::Verify(hosts) if hosts.iter().any(|(known, _)| known == key))
    }

    /// The request of the plan, if it is one.
    pub(super) fn request(&self) -> Option<&Request> {
        match self {
            Self::Update(sending) => Some(&sending.request),
            _ => None,
        }
    }

    /// The index of the host whose zone is asked for: it decides which hosts share a request.
    pub(super) fn zone(&self) -> Option<usize> {
        match self {
            Self::Zone(place) => Some(*place),
            _ => None,
        }
    }

    /// Gives hosts the indexes that they have after a look, by those before it.
    pub(super) fn renumber(&mut self, places: &[usize]) {
        let new = |place: &mut usize| *place = places.get(*place).copied().unwrap_or(*place);
        match self {
            Self::Update(sending) => sending.request.hosts.iter_mut().for_each(new),
            Self::FirstLook(hosts) => hosts.iter_mut().for_each(new),
            Self::Zone(place) => new(place),
            Self::AllServers
            | Self::Check(_)
            | Self::Drift(_)
            | Self::Greet(_)
            | Self::Hook(_)
            | Self::Verify(_) => {}
        }
    }
}
