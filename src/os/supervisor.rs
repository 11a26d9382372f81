//! The supervisor, systemd or another with its protocol: reports the daemon's state (`sd_notify(3)`).
//!
//! Nothing that a supervisor does ends the daemon. Rounds and their requests only count their steps.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::{debug, error, warn};

use super::clock::uptime;

/// The longest time from one step of a round to the next; a round that takes longer hangs.
///
/// Twice the longest step there is: `verify-timeout` may be five minutes, and all else takes less. A
/// whole round has no limit that suits both one host and a thousand.
const LONGEST_STEP: Duration = Duration::from_secs(10 * 60);

/// A message to a supervisor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice<'a> {
    /// The configuration is read again; the moment, by the clock that stands still in a suspend.
    Reloading(Duration),
    /// The daemon is at its work; its state in one line for people.
    Ready(&'a str),
    /// The daemon's state: one line for people.
    Status(&'a str),
    /// The daemon ends.
    Stopping,
    /// The loop is alive.
    Watchdog,
}

impl Notice<'_> {
    /// The assignments of the datagram, a line each (`sd_notify(3)`).
    fn text(self) -> String {
        match self {
            Self::Reloading(now) => format!(
                "RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reading the configuration again",
                now.as_micros()
            ),
            Self::Ready(status) => format!("READY=1\nSTATUS={status}"),
            Self::Status(status) => format!("STATUS={status}"),
            Self::Stopping => "STOPPING=1\nSTATUS=stopping".to_owned(),
            Self::Watchdog => "WATCHDOG=1".to_owned(),
        }
    }

    /// The longest wait for a supervisor whose queue is full: longer for a message that it waits for,
    /// the end of a start or a reload. A stop after a reload is over in time, too.
    fn patience(self) -> Duration {
        let is_awaited = matches!(self, Self::Ready(_));
        Duration::from_millis(if is_awaited { 2000 } else { 100 })
    }
}

/// The program that started the daemon and wants to know its state; often there is none.
#[derive(Debug)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog: Option<Watchdog>,
    /// Whether a datagram was lost and the loss was reported.
    complained: Cell<bool>,
}

/// A supervisor that ends a daemon which sends nothing.
#[derive(Debug)]
struct Watchdog {
    /// The time between two feedings: half of its time (`sd_watchdog_enabled(3)`).
    every: Duration,
    /// The longest that a round may take from one step to the next.
    longest_step: Duration,
    /// The uptime at which it is fed next.
    next: Cell<Duration>,
    /// The life of what is under way.
    life: Cell<Option<Life>>,
}

impl Supervisor {
    /// The supervisor that `NOTIFY_SOCKET` names, with a watchdog by `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let complained = Cell::new(false);
        let socket = variable("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        let Some(socket) = socket else {
            return Self { address: None, watchdog: None, complained };
        };
        let address = match address(&socket) {
            Ok(address) => Some(address),
            Err(error) => {
                warn!(%error, fix = "see NOTIFY_SOCKET", "the supervisor cannot be notified");
                None
            }
        };
        let [time, pid] = ["WATCHDOG_USEC", "WATCHDOG_PID"].map(variable);
        let every = half_time(time.as_deref(), pid.as_deref(), std::process::id());
        let watchdog = every.filter(|_| address.is_some()).map(|every| {
            let next = Cell::new(uptime().saturating_add(every));
            Watchdog { every, longest_step: LONGEST_STEP, next, life: Cell::default() }
        });
        Self { address, watchdog, complained }
    }

    /// Whether there is a supervisor, which restarts a daemon that ends.
    pub fn is_there(&self) -> bool {
        self.address.is_some()
    }

    /// Sends `notice`, if there is a supervisor.
    pub fn tell(&self, notice: Notice<'_>) {
        self.has_heard(notice);
    }

    /// Sends `notice`, and returns whether it arrived; true without a supervisor.
    fn has_heard(&self, notice: Notice<'_>) -> bool {
        let Some(address) = &self.address else { return true };
        let sent = send(address, &notice.text(), notice.patience());
        match &sent {
            Ok(()) => {}
            // One warning is enough for a supervisor that is gone.
            Err(error) if self.complained.replace(true) => debug!(%error, "the supervisor is deaf"),
            Err(error) => {
                let fix = "allow AF_UNIX sockets to the service; all else works";
                warn!(%error, fix, "the supervisor cannot be notified");
            }
        }
        sent.is_ok()
    }

    /// The uptime at which the watchdog must be fed; `Duration::MAX` without one.
    pub fn feeding(&self) -> Duration {
        self.watchdog.as_ref().map_or(Duration::MAX, |watchdog| watchdog.next.get())
    }

    /// Feeds the watchdog, if there is one.
    pub fn feed(&self) {
        if let Some(watchdog) = &self.watchdog {
            let fed = self.has_heard(Notice::Watchdog);
            // After a failure, the next regular feeding would come at the very end of its time.
            watchdog.wait(if fed { watchdog.every } else { watchdog.every / 4 });
        }
    }

    /// Feeds the watchdog, if there is one, unless something `is_under_way` of which `pulse` shows that
    /// it hangs.
    pub fn feed_unless_hung(&self, pulse: &Pulse, is_under_way: bool) {
        let Some(watchdog) = &self.watchdog else { return };
        let now = Instant::now();
        let before = watchdog.life.get();
        let mut life = before.filter(|_| is_under_way);
        let life_now = life.get_or_insert_with(|| Life::begun(pulse.steps(), now));
        let goes_on = life_now.goes_on(pulse.steps(), now, watchdog.longest_step);
        watchdog.life.set(life);
        if goes_on {
            return self.feed();
        }
        watchdog.wait(watchdog.every);
        if !before.is_some_and(|before| before.is_over) {
            let waited = humantime::format_duration(watchdog.longest_step);
            error!(%waited, fix = "report this", "the round hangs; the watchdog will restart \
                Homing");
        }
    }
}

impl Watchdog {
    /// Sets the next feeding to `time` from now.
    fn wait(&self, time: Duration) {
        self.next.set(uptime().saturating_add(time));
    }
}

/// The steps that rounds have made: each phase, each answer. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Rc<Cell<u64>>);

impl Pulse {
    /// Counts a step.
    pub fn beat(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }

    /// The number of steps so far.
    pub fn steps(&self) -> u64 {
        self.0.get()
    }
}

/// Whether a round goes on, by its steps.
#[derive(Clone, Copy, Debug)]
struct Life {
    steps: u64,
    /// The moment of the last new step.
    since: Instant,
    is_over: bool,
}

impl Life {
    /// The life of a round that begins `now`.
    fn begun(steps: u64, now: Instant) -> Self {
        Self { steps, since: now, is_over: false }
    }

    /// Whether a round with so many `steps` until `now` goes on: the last is less than `longest` ago.
    fn goes_on(&mut self, steps: u64, now: Instant, longest: Duration) -> bool {
        if steps != self.steps {
            (self.steps, self.since) = (steps, now);
        }
        self.is_over = now.saturating_duration_since(self.since) >= longest;
        !self.is_over
    }
}

/// The time between feedings: half of `time`, microseconds in text, if the process `own` is watched.
fn half_time(time: Option<&OsStr>, pid: Option<&OsStr>, own: u32) -> Option<Duration> {
    let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
    if pid.is_some_and(|pid| number(pid) != Some(own.into())) {
        return None;
    }
    let time = number(time?).filter(|time| *time > 0)?;
    Some((Duration::from_micros(time) / 2).max(Duration::from_millis(1)))
}

/// The socket by its name: a path, or `@` and a name without a file.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;

            SocketAddr::from_abstract_name(name)
        }
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => {
            let what = format!("{} is neither a path nor begins with @", socket.display());
            Err(io::Error::new(io::ErrorKind::Unsupported, what))
        }
    }
}

/// Sends one datagram; by a socket of its own, so that an idle daemon keeps none open.
fn send(address: &SocketAddr, text: &str, patience: Duration) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(patience))?;
    socket.send_to_addr(text.as_bytes(), address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_half_time(time: &str, pid: Option<&str>, expect: Option<Duration>) {
        let half = half_time(Some(OsStr::new(time)), pid.map(OsStr::new), 42);
        assert_eq!(half, expect, "{time} {pid:?}");
    }

    fn at(address: Option<SocketAddr>, watchdog: Option<Watchdog>) -> Supervisor {
        Supervisor { address, watchdog, complained: Cell::new(false) }
    }

    #[test]
    fn notices_are_assignments_a_line_each() {
        let now = Duration::new(3, 4_005);
        let reloading =
            "RELOADING=1\nMONOTONIC_USEC=3000004\nSTATUS=reading the configuration again";
        assert_eq!(Notice::Reloading(now).text(), reloading);
        assert_eq!(Notice::Ready("1 host right").text(), "READY=1\nSTATUS=1 host right");
        assert_eq!(Notice::Status("1 host right").text(), "STATUS=1 host right");
        assert_eq!(Notice::Stopping.text(), "STOPPING=1\nSTATUS=stopping");
        assert_eq!(Notice::Watchdog.text(), "WATCHDOG=1");
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time_if_it_is_this_process_that_it_watches() {
        let second = Some(Duration::from_secs(1));
        check_half_time("2000000", None, second);
        check_half_time("2000000", Some("42"), second);
        check_half_time("2000000", Some("43"), None);
        check_half_time("2000000", Some("x"), None);
        check_half_time("1", None, Some(Duration::from_millis(1)));
        for wrong in ["", "0", "-1", "soon", "18446744073709551616"] {
            check_half_time(wrong, None, None);
        }
        assert_eq!(half_time(None, Some(OsStr::new("42")), 42), None);
    }

    #[test]
    fn sockets_are_paths_or_names_without_a_file() {
        let path = address(OsStr::new("/run/systemd/notify")).unwrap();
        assert_eq!(path.as_pathname(), Some("/run/systemd/notify".as_ref()));
        if cfg!(target_os = "linux") {
            assert!(address(OsStr::new("@a/b")).unwrap().as_pathname().is_none());
        }
        for wrong in ["notify", "vsock:2:1234", &format!("/{}", "x".repeat(200))] {
            assert!(address(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_round_goes_on_as_long_as_it_makes_steps() {
        let (begun, longest) = (Instant::now(), Duration::from_secs(4));
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut life = Life::begun(7, begun);
        assert!(life.goes_on(7, after(3), longest));
        assert!(life.goes_on(8, after(3), longest));
        assert!(life.goes_on(8, after(6), longest));
        assert!(!life.goes_on(8, after(7), longest));
        assert!(!life.goes_on(8, after(8), longest) && life.is_over);
        assert!(life.goes_on(9, after(9), longest) && !life.is_over);
    }

    #[test]
    fn nobody_is_told_without_a_supervisor() {
        for socket in ["", "nonsense"] {
            let variable = |name: &str| match name {
                "NOTIFY_SOCKET" => Some(OsString::from(socket)),
                _ => Some(OsString::from("2000000")),
            };
            let supervisor = Supervisor::of_environment(variable);
            assert!(supervisor.address.is_none() && supervisor.watchdog.is_none(), "{socket}");
            supervisor.tell(Notice::Watchdog);
            assert_eq!(supervisor.feeding(), Duration::MAX);
        }
    }

    #[test]
    fn a_supervisor_that_is_gone_is_no_misfortune() {
        let supervisor = at(address(OsStr::new("/nobody/is/here")).ok(), None);
        supervisor.tell(Notice::Ready(""));
        supervisor.tell(Notice::Stopping);
        assert!(supervisor.complained.get());
    }

    #[test]
    fn a_round_that_hangs_is_fed_no_longer() {
        let path = std::env::temp_dir().join(format!("homing-test-{}-ear", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let ear = UnixDatagram::bind(&path).unwrap();
        ear.set_nonblocking(true).unwrap();
        let every = Duration::from_millis(20);
        let (next, life) = (Cell::new(Duration::ZERO), Cell::default());
        let watchdog = Watchdog { every, longest_step: every * 3, next, life };
        let supervisor = at(address(path.as_os_str()).ok(), Some(watchdog));
        let pulse = Pulse::default();
        let feed = |is_under_way| {
            supervisor.feed_unless_hung(&pulse, is_under_way);
            std::iter::from_fn(|| ear.recv(&mut [0; 64]).ok()).count()
        };
        assert_eq!(feed(true), 1);
        std::thread::sleep(every * 4);
        assert_eq!(feed(true), 0, "no step for too long");
        assert_eq!(feed(true), 0);
        pulse.beat();
        assert_eq!(feed(true), 1, "a step");
        std::thread::sleep(every * 4);
        assert_eq!(feed(false), 1, "nothing is under way");
        assert_eq!(feed(true), 1, "something else is, from now on");
        std::fs::remove_file(&path).unwrap();
    }
}
