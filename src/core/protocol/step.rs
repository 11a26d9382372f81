//! Steps: what a talk can ask and which answers it can get, in every protocol.
//!
//! Values only. Talks make steps; the loop that carries them out knows no protocol.

use super::{Answer, HttpRequest};
use crate::core::name::Hostname;
use crate::core::outcome::Outcome;
use crate::core::plan::Update;
use crate::core::time::Timestamp;
use crate::core::wire::dns::Rcode;
use crate::core::wire::tsig::Check;

/// The next step of a talk.
#[derive(Debug)]
pub enum Step<T> {
    /// The talk asks this and waits for the answer.
    Ask(Ask),
    /// The talk is over.
    Done(T),
}

/// A question of a talk.
#[derive(Debug)]
pub enum Ask {
    /// A message to the provider's name server.
    Dns(Asked),
    /// Updates of the hosts file, all of them or none.
    File(Vec<Update>),
    /// A request by HTTP.
    Http(Box<HttpRequest>),
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Heard {
    /// An answer by HTTP.
    Answer(Answer),
    /// Whether the file was changed.
    File(bool),
    /// The name server's reply to an update.
    Reply(Reply),
    /// The zone that the name server returned, if any.
    Zone(Option<Hostname>),
}

/// The answer to the question for a zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ZoneAnswer {
    /// The zone, and its id where the provider has ids.
    Zone(Hostname, Option<String>),
    /// The account has no zone for the host.
    NoZone,
    /// The question failed, and the update would fail in the same way.
    Outcome(Outcome),
    /// This server does not return zones; the update may still work.
    Silent,
}

/// The moment of a conversation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// The wall clock's time; updates are signed with it.
    pub now: Timestamp,
    /// Whether the wall clock is set.
    pub clock_is_set: bool,
    /// A random number, for signatures.
    pub nonce: u128,
}

/// A question to a name server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// An update: its zone, and the message without id and signature.
    Update(Hostname, Vec<u8>),
    /// The question which zone holds a host.
    Zone(Hostname),
}

/// An answer to a signed message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The response code.
    pub rcode: Rcode,
    /// The result of the check of its signature.
    pub check: Check,
    /// The moment when it was read, in seconds since 1970.
    pub at: u64,
}

/// The step that asks by HTTP.
pub fn ask<T>(request: HttpRequest) -> Step<T> {
    Step::Ask(Ask::Http(Box::new(request)))
}
