//! Years of a machine: the real rounds, state and protocols against a simulated world, in a time of its
//! own.
//!
//! Each seed is a world with faults of every kind. What must hold:
//!
//! - (a) never an address that the machine did not have since it looked, nor a record lost without cause;
//! - (b) everything right again within the bound after the last fault;
//! - (c) no lockout, pace and pauses kept over crashes, one request for a refused credential;
//! - (d) no equal update without a reason;
//! - (e) each save reads back equal;
//! - (f) no panic, with overflow checks;
//! - (g) a program is run once for each change, and never for none;
//! - (h) the rights of a secret are checked after its first success, and at most once a day.
//!
//! Seeds that fail are listed; the first is run again with fewer kinds of faults and fewer days, and the
//! least that still fails is printed. `HOMING_YEARS=n` runs n host-days, `HOMING_SEED=n` begins at another seed.
//! `contrib/years` runs the same optimised.

mod disk;
pub mod faults;
mod journal;
mod kernel;
mod machine;
pub mod providers;
pub mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::faults::{CYCLE, Kind, schedule};
use self::journal::Figures;
use self::world::World;

/// Milliseconds.
pub type Millis = u64;

pub const SECOND: Millis = 1000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// The days of each world, and its hosts.
const DAYS: u64 = 5 * CYCLE / DAY;
const HOSTS: u64 = 12;

/// The host-days of a plain run: `contrib/years` is optimised, and is faster by far.
const HOST_DAYS: u64 = if cfg!(optimised) { 16_000 } else { 1_080 };

/// A run ends after so many seeds that failed.
const MOST_FAILURES: usize = 8;

/// One save in so many is written as text and read back; each start of a daemon reads the text anyway.
const READS_BACK: u64 = 20;

/// One world; the error is what went wrong, and on which day, with what came before it if `tells`.
fn run(
    seed: u64,
    kinds: &BTreeSet<Kind>,
    days: u64,
    tells: bool,
) -> Result<Figures, (String, u64)> {
    let faults = schedule(seed, kinds, days);
    let ran = catch_unwind(AssertUnwindSafe(|| World::new(seed, faults, days, tells).run(days)));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err((format!("(f) panic: {}", text.unwrap_or_default()), days))
    })
}

/// The letter of what is broken.
fn letter(what: &str) -> Option<&str> {
    what.find('(').and_then(|at| what.get(at..at + 3))
}

/// The least kinds and days with which the world of `seed` breaks the same rule.
fn shrunk(seed: u64, what: &str) -> (BTreeSet<Kind>, u64, String) {
    let mut kinds = BTreeSet::from(Kind::ALL);
    let mut known = what.to_owned();
    let mut fails = |kinds: &BTreeSet<Kind>, days| {
        let (what, day) = run(seed, kinds, days, false).err()?;
        (letter(&what) == letter(&known)).then(|| {
            known.clone_from(&what);
            day
        })
    };
    let mut days = DAYS;
    for kind in Kind::ALL {
        let mut fewer = kinds.clone();
        fewer.remove(&kind);
        if let Some(day) = fails(&fewer, days) {
            (kinds, days) = (fewer, days.min(day + 1));
        }
    }
    while days > 1 && fails(&kinds, days - 1).is_some() {
        days -= 1;
    }
    let told = run(seed, &kinds, days, true).err().map_or(known, |(what, _)| what);
    (kinds, days, told)
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn years_of_faults_break_no_rule() {
    let host_days = number("HOMING_YEARS").unwrap_or(HOST_DAYS);
    let first = number("HOMING_SEED").unwrap_or(1);
    let last = first + host_days.div_ceil(DAYS * HOSTS);
    let (next, begun) = (AtomicU64::new(first), Instant::now());
    let figures = Mutex::new(Figures::default());
    let failures = Mutex::new(Vec::new());
    let kinds = BTreeSet::from(Kind::ALL);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || failures.lock().unwrap().len() >= MOST_FAILURES {
                        break;
                    }
                    match run(seed, &kinds, DAYS, false) {
                        Ok(run) => figures.lock().unwrap().add(run),
                        Err((what, _)) => failures.lock().unwrap().push((seed, what)),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    if let Some((seed, what)) = failures.first() {
        for (seed, what) in &failures {
            eprintln!("seed {seed} fails: {what}");
        }
        let (fewest, length, broken) = shrunk(*seed, what);
        panic!("The least of seed {seed} that fails: {length} days of {fewest:?}: {broken}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{seconds:.1} s: {:#?}", figures.into_inner().unwrap());
}
