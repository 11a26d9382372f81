//! The real daemon in a virtual time: two lives of ten days, each within seconds, on a machine that
//! fails in every way that a test can bring about.
//!
//! The program lives in the time of `support/virtual_clock.c`, which leaves out what it only waits for;
//! its servers are the providers of `years`, on loopback. What must hold:
//!
//! - (a) never an address that the source did not hold since it was read, nor a record lost;
//! - (b) everything right again within the bound after the last fault;
//! - (c) pace, pauses and parks kept, and no more requests than faults explain;
//! - (d) no equal update without a reason;
//! - (e) no end but by a signal or with a code of the contract;
//! - (f) no growth of memory, descriptors or files;
//! - (g) neither a panic nor a secret in the log.
//!
//! `HOMING_SEED=n` chooses other lives.
#![cfg(target_os = "linux")]

mod judge;
mod life;
mod servers;

use std::thread;
use std::time::{Duration, Instant};

use self::life::Life;
use crate::support::netns::skip;
use crate::years::{DAY, Millis, number};

/// How long a life lasts.
const DAYS: u64 = 10;

/// A server, of which each kind has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Server {
    Desec,
    Dyndns2,
    Records,
}

impl Server {
    const ALL: [Self; 3] = [Self::Desec, Self::Dyndns2, Self::Records];

    /// The server that a fault is about.
    fn of(choice: u64) -> Self {
        Self::ALL[usize::try_from(choice % 3).unwrap_or_default()]
    }
}

/// A host of the configuration.
struct Host {
    name: &'static str,
    server: Server,
    /// The file of its secret.
    file: &'static str,
    /// Whether each family is its own, IPv4 first.
    families: [bool; 2],
}

const fn host(name: &'static str, server: Server, file: &'static str, families: [bool; 2]) -> Host {
    Host { name, server, file, families }
}

/// The hosts of a life: of shared and of own secrets, in shared and own zones, with one family and two.
const HOSTS: [Host; 9] = [
    host("a.one.example", Server::Desec, "one", [true, true]),
    host("b.one.example", Server::Desec, "one", [true, true]),
    host("c.one.example", Server::Desec, "two", [true, true]),
    host("d.one.example", Server::Desec, "three", [true, false]),
    host("e.two.example", Server::Desec, "one", [false, true]),
    host("f.dyn.example", Server::Dyndns2, "password", [true, true]),
    host("g.dyn.example", Server::Dyndns2, "password", [true, true]),
    host("h.three.example", Server::Records, "records", [true, true]),
    host("i.three.example", Server::Records, "records", [true, false]),
];

#[test]
fn two_lives_of_ten_days_break_no_rule() {
    let first = 2 * number("HOMING_SEED").unwrap_or(1);
    let begun = Instant::now();
    let lives = thread::scope(|scope| {
        let lives = [first, first + 1].map(|seed| scope.spawn(move || live(seed)));
        lives.map(|life| life.join().unwrap_or_else(|_| Err("the test panicked".to_owned())))
    });
    for (life, seed) in lives.into_iter().zip(first..) {
        match life {
            Ok(Some(said)) => eprintln!("life {seed}: {said}"),
            Ok(None) => {
                return skip("two_lives_of_ten_days_break_no_rule", "needs a C compiler");
            }
            Err(what) => panic!("HOMING_SEED={} fails, in life {seed}:\n{what}", seed / 2),
        }
    }
    eprintln!("{:.1} s", begun.elapsed().as_secs_f64());
}

/// One life; `None` where none is possible.
fn live(seed: u64) -> Result<Option<String>, String> {
    let Some(life) = Life::new(seed) else { return Ok(None) };
    life.live(DAYS * DAY).map(Some)
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
