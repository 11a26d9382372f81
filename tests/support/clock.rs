//! A wall clock that a test can set for one daemon alone; needs `home` beside it.
//!
//! It is a small library that is preloaded, made by the C compiler when the test runs.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::home::{Home, library};

/// The clock of one home.
pub struct WallClock {
    directory: PathBuf,
}

impl WallClock {
    /// A clock that is right; `None` where there is no C compiler.
    pub fn new(home: &Home) -> Option<Self> {
        let clock = Self { directory: home.path("clock") };
        fs::create_dir_all(&clock.directory).expect("a test's own step works");
        let made = library("wall_clock.c", &clock.library());
        let pipe = Command::new("mkfifo").arg(clock.directory.join("jumps")).status();
        let pipe = pipe.is_ok_and(|status| status.success());
        (made && pipe).then_some(clock)
    }

    /// Makes `command` see this clock.
    pub fn show(&self, command: &mut Command) {
        command.envs(self.environment());
    }

    /// The variables by which a program sees this clock.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("LD_PRELOAD", self.library()), ("HOMING_TEST_CLOCK", self.directory.clone())]
    }

    /// Sets it to `moment` after 1970; nobody is told.
    pub fn set(&self, moment: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the real clock is set");
        self.show_behind(now.saturating_sub(moment).as_secs());
    }

    /// Sets it right; nobody is told.
    pub fn set_right(&self) {
        self.show_behind(0);
    }

    /// Tells that it was set.
    pub fn jump(&self) {
        let mut pipe = fs::OpenOptions::new().write(true).open(self.directory.join("jumps"));
        let pipe = pipe.as_mut().expect("a test's own step works");
        pipe.write_all(b"!").expect("a test's own step works");
    }

    fn library(&self) -> PathBuf {
        self.directory.join("wall_clock.so")
    }

    /// Sets it so many seconds behind the real one; nobody is told.
    pub fn show_behind(&self, seconds: u64) {
        // At once as a whole: the program reads it all the time.
        let (new, file) = (self.directory.join("new"), self.directory.join("behind"));
        fs::write(&new, seconds.to_string()).expect("a test's own step works");
        fs::rename(new, file).expect("a test's own step works");
    }
}
