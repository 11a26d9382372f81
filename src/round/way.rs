//! What every errand needs on its way: the configuration, the clients and the clock of its look.

use std::rc::Rc;

use crate::config::Config;
use crate::core::protocol::step::Moment;
use crate::net::http::Clients;
use crate::os::clock::{Clock, nonce};
use crate::os::waiting::Waiting;

/// What an errand needs besides its task.
pub struct Carrying {
    /// The configuration of the look that it follows from.
    pub config: Rc<Config>,
    /// The clients of that look.
    pub clients: Rc<Clients>,
    /// The clock.
    pub clock: Clock,
    /// Whether to say what is waited for.
    pub waiting: Waiting,
}

/// The moment of a conversation, with a random number for its signatures.
pub fn moment(clock: &Clock) -> Moment {
    Moment { now: clock.now(), clock_is_set: clock.is_set(), nonce: nonce() }
}
