//! Steps: what a talk can ask, and what can come of it, whatever the protocol.
//!
//! Values only. Talks make steps, and the loop that carries them knows no protocol.

use super::{Answer, HttpRequest};
use crate::core::name::Hostname;
use crate::core::plan::Update;
use crate::core::wire::dns::Rcode;
use crate::core::wire::tsig::Check;

/// What comes next in a talk.
#[derive(Debug)]
pub enum Step<T> {
    /// This is to be asked, and what comes of it told to the talk.
    Ask(Ask),
    /// The talk is over.
    Done(T),
}

/// What can be asked.
#[derive(Debug)]
pub enum Ask {
    /// A message to the provider's name server.
    Dns(Asked),
    /// These updates of the host's file, all of them or none.
    File(Vec<Update>),
    /// A request by HTTP.
    Http(Box<HttpRequest>),
}

/// What came of it.
#[derive(Debug)]
pub enum Heard {
    /// An answer by HTTP.
    Answer(Answer),
    /// Whether the file was changed.
    File(bool),
    /// How the name server ended an update.
    Reply(Reply),
    /// The zone that the name server told, if it told one.
    Zone(Option<Hostname>),
}

/// What a name server can be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// To make an update: its zone, and the message without id and signature.
    Update(Hostname, Vec<u8>),
    /// Which zone holds a host.
    Zone(Hostname),
}

/// An answer to a signed message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reply {
    /// How it ended.
    pub rcode: Rcode,
    /// What its signature tells.
    pub check: Check,
    /// When it was read, in seconds since 1970.
    pub at: u64,
}

/// The step that asks by HTTP.
pub fn ask<T>(request: HttpRequest) -> Step<T> {
    Step::Ask(Ask::Http(Box::new(request)))
}
