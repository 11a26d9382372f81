//! A time of its own for one program: what it only waits for is left out; needs `home` beside it.
//!
//! It is a small library that is preloaded, made by the C compiler when the test runs, and a file that
//! both share. The library stops leaving out waits at the moment that the test names, so that the
//! test can do something there.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::home::{Home, library};

/// The time of one home. Moments are counted from its making.
#[derive(Debug)]
pub struct VirtualClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
    begin: u64,
}

/// The places of the numbers in the file: as `struct shared` of `virtual_clock.c` has them.
#[derive(Clone, Copy)]
enum Number {
    LeftOut,
    Passed,
    Slept,
    Booted,
    Wall,
    Sets,
    Stop,
    IsFull,
    Looked,
    Before,
    Waits,
}

/// The size of a number in the file, and the place in it of the byte that chooses one of its values.
const NUMBER: u64 = 24;
const CHOICE: u64 = 16;

/// Where the ports begin, and how many there are.
const PORTS: u64 = 4096;
const PORTS_IN_ALL: u64 = 65536;

/// How long a machine is up when programs begin to run.
const STARTS: Duration = Duration::from_secs(20);

/// What the program meets when it uses a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Port {
    /// What the server on it sends.
    Open = 0,
    /// Nothing will come to this port of the program: it waits in vain, which is left out.
    Hushed = 1,
    /// A connection to this port is refused.
    Refusing = 2,
}

impl VirtualClock {
    /// A clock whose wall clock shows `wall` after 1970, and whose time goes on as ever until a stop
    /// is named; `None` where there is no C compiler.
    pub fn new(home: &Home, wall: Duration) -> Option<Self> {
        let (so, path) = (home.path("virtual_clock.so"), home.path("clock"));
        if !library("virtual_clock.c", &so) {
            return None;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a test's own step works");
        file.set_len(PORTS + PORTS_IN_ALL).expect("a test's own step works");
        let mut clock = Self { library: so, path, file, begin: 0 };
        clock.begin = clock.steady();
        clock.put(Number::Stop, clock.begin);
        clock.set_wall(wall);
        clock.boot();
        Some(clock)
    }

    /// Makes `command` live in this time.
    pub fn show(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("HOMING_TEST_CLOCK", &self.path);
    }

    /// The present moment.
    pub fn now(&self) -> Duration {
        self.since_begin(self.steady())
    }

    /// Lets waits be left out until `moment`, and no further.
    pub fn go_on_until(&self, moment: Duration) {
        self.put(Number::Stop, self.begin + nanos(moment));
    }

    /// Lets time pass while no program runs.
    pub fn pass(&self, time: Duration) {
        self.put(Number::Passed, self.get(Number::Passed) + nanos(time));
    }

    /// Lets the machine sleep, while the program is stopped.
    pub fn sleep(&self, time: Duration) {
        self.put(Number::Slept, self.get(Number::Slept) + nanos(time));
        self.pass(time);
        self.tell();
    }

    /// Starts the machine anew, while no program runs.
    pub fn boot(&self) {
        self.put(Number::Booted, self.steady() - nanos(STARTS));
        self.put(Number::Slept, 0);
    }

    /// Sets the wall clock to `moment` after 1970, and tells the program.
    pub fn set_wall(&self, moment: Duration) {
        self.put(Number::Wall, nanos(moment).wrapping_sub(self.steady()));
        self.tell();
    }

    /// Lets nothing be saved, or everything.
    pub fn fill_disk(&self, is_full: bool) {
        self.put(Number::IsFull, u64::from(is_full));
    }

    /// What the program meets at this port, of its own or of a server.
    pub fn set_port(&self, port: u16, meets: Port) {
        let place = PORTS + u64::from(port);
        self.file.write_all_at(&[meets as u8], place).expect("a test's own step works");
    }

    /// When the program last read the file `address`, and the time before that.
    pub fn looks(&self) -> [Duration; 2] {
        [Number::Looked, Number::Before].map(|look| self.since_begin(self.get(look)))
    }

    /// How many waits have ended.
    pub fn waits(&self) -> u64 {
        self.get(Number::Waits)
    }

    fn tell(&self) {
        self.put(Number::Sets, self.get(Number::Sets) + 1);
    }

    fn since_begin(&self, moment: u64) -> Duration {
        Duration::from_nanos(moment.saturating_sub(self.begin))
    }

    /// The moment that never jumps, in nanoseconds.
    fn steady(&self) -> u64 {
        let real = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
        nanos(real) + self.get(Number::LeftOut) + self.get(Number::Passed)
    }

    fn get(&self, number: Number) -> u64 {
        let place = number as u64 * NUMBER;
        loop {
            let at = self.chosen(place);
            let mut value = [0; 8];
            let read = self.file.read_exact_at(&mut value, place + 8 * at);
            read.expect("a test's own step works");
            // The program may have written it twice meanwhile.
            if self.chosen(place) == at {
                return u64::from_ne_bytes(value);
            }
        }
    }

    fn put(&self, number: Number, value: u64) {
        let place = number as u64 * NUMBER;
        let other = 1 - self.chosen(place);
        let write = |bytes: &[u8], at| {
            self.file.write_all_at(bytes, place + at).expect("a test's own step works");
        };
        write(&value.to_ne_bytes(), 8 * other);
        write(&[u8::from(other == 1)], CHOICE);
    }

    /// Which of its two values a number has.
    fn chosen(&self, place: u64) -> u64 {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, place + CHOICE).expect("a test's own step works");
        u64::from(byte[0])
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a test lasts less than five hundred years")
}
