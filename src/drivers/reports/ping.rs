//! `ping`: tells a monitoring service after a round that all hosts are right, or that one is not.
//!
//! The service knows by the silence when Homing does not run. Its URL is a secret: no message shows it.

use std::rc::Rc;
use std::time::Duration;

use crate::config::{Config, Ping, ping_url};
use crate::core::exit::Exit;
use crate::core::ping::Pinged;
use crate::core::protocol::HttpRequest;
use crate::core::round::Report;
use crate::core::time::Timestamp;
use crate::drivers::summary;
use crate::net::http::Clients;
use crate::os::local::{Clocks, Local};
use crate::round::Engine;

/// How long a ping may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest answer that is read, in bytes.
const MOST: usize = 1024;

/// What to do where a ping fails.
pub const FIX: &str = "check the URL of the ping and whether its service can be reached from here";

/// A ping to be sent.
pub struct Next {
    config: Rc<Config>,
    clock_is_set: bool,
    /// What is wrong, in words; `None` when all is right.
    failure: Option<String>,
    /// The ping, for the next ones.
    pub pinged: Pinged,
}

/// The ping that is due after the round of `engine`, if one is, by the `last` one.
pub fn next(engine: &Engine, last: Option<Pinged>) -> Option<Next> {
    let report = engine.report();
    let ping = engine.config.reports.ping.as_ref()?;
    // What was reported is let go of, and what is under way is not over.
    if report.hosts.is_empty() || !engine.is_idle() {
        return None;
    }
    let now = engine.clock.now();
    let was_right = report.exit() == Exit::Right;
    if last.is_some_and(|last| !last.is_next_due(was_right, ping.interval, now)) {
        return None;
    }
    let failure = (!was_right).then(|| in_words(report, now));
    let (config, clock_is_set) = (Rc::clone(&engine.config), engine.clock.is_set());
    Some(Next { config, clock_is_set, failure, pinged: Pinged { at: now, was_right } })
}

/// How the hosts are, without a name.
fn in_words(report: &Report, now: Timestamp) -> String {
    let stands = report.hosts.iter().map(|host| (host.standing, host.waits_until()));
    let unsaved = report.storage_problem.as_ref().map(|_| "; the state cannot be saved");
    // Its readers may be elsewhere.
    let at = Local { now, clocks: Clocks::UTC };
    format!("{}{}", summary::hosts(stands, at), unsaved.unwrap_or_default())
}

impl Next {
    /// Sends it; the error says what went wrong, without the URL.
    pub async fn send(self) -> Result<(), String> {
        let Some(Ping { place, service, .. }) = &self.config.reports.ping else { return Ok(()) };
        let url = ping_url(place)?;
        let Some(told) = service.told(&url, self.failure.as_deref()) else { return Ok(()) };
        let clients = Clients::new(self.clock_is_set);
        clients.conceal(&url);
        let request = HttpRequest { is_private: true, ..HttpRequest::get(told, None) };
        let answer = clients.send_for(&request, None, (MOST, PATIENCE)).await;
        let answer = answer.map_err(|silence| silence.detail)?;
        match answer.status {
            200..=299 => Ok(()),
            status @ 300..=399 => {
                Err(format!("its service redirects to another place (HTTP {status})"))
            }
            status => Err(format!("its service answers HTTP {status}")),
        }
    }
}
