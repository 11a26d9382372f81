//! The clock: moments for what is stored, and timers that go on during a suspend.
//!
//! The only place that reads the time or draws a number; the core takes both as arguments.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use ring::rand::SecureRandom;

use crate::core::memory::Reckoning;
use crate::core::time::Timestamp;

/// The earliest moment that a right clock shows: the day of the release, or of the build if that is
/// later (a distribution may set `SOURCE_DATE_EPOCH` to 1980).
pub const BUILT: Timestamp = {
    // 2026-11-22.
    const RELEASED: u64 = 1_795_305_600;
    let built = match option_env!("SOURCE_DATE_EPOCH") {
        Some(text) => seconds(text),
        None => 0,
    };
    Timestamp::from_secs(if built > RELEASED { built } else { RELEASED })
};

/// The wall clock, and what replaces it while it is not set.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The last known moment, and the uptime of the machine at that moment.
    last: Cell<(Timestamp, Duration)>,
}

impl Clock {
    /// A clock that, until it is set, goes on from the `newest` moment remembered or the last reckoning.
    pub fn new(newest: Option<Timestamp>, reckoning: Option<Reckoning>) -> Self {
        Self::at(newest, reckoning, wall(), uptime())
    }

    /// As [`Self::new`], where the wall clock shows `wall` and the machine has been `up` for so long.
    pub fn at(
        newest: Option<Timestamp>,
        reckoning: Option<Reckoning>,
        wall: Timestamp,
        up: Duration,
    ) -> Self {
        let reckoned = reckoning.map(|last| last.shown.after(last.passed(Some(wall), up)));
        let newest = newest.unwrap_or_default().max(BUILT);
        Self { last: Cell::new((newest.max(reckoned.unwrap_or_default()), up)) }
    }

    /// The present moment; while the clock is not set, the latest known one plus the time since then.
    pub fn now(&self) -> Timestamp {
        self.shown(wall(), uptime())
    }

    /// Whether the wall clock can be right; a machine without a battery begins in 1970.
    pub fn is_set(&self) -> bool {
        is_set(wall())
    }

    /// The reckoning of the time, since the same moment as `before`; `None` when the clock is set.
    pub fn reckoning(&self, before: Option<Reckoning>) -> Option<Reckoning> {
        self.reckoned(before, wall(), uptime())
    }

    /// As [`Self::reckoning`], where the wall clock shows `wall` and the machine has been `up` for so long.
    pub fn reckoned(
        &self,
        before: Option<Reckoning>,
        wall: Timestamp,
        up: Duration,
    ) -> Option<Reckoning> {
        let shown = self.shown(wall, up);
        let since = before.map_or(shown, |before| before.since);
        (!is_set(wall)).then_some(Reckoning { since, shown, wall, up })
    }

    /// As [`Self::now`], where the wall clock shows `wall` and the machine has been `up` for so long.
    pub fn shown(&self, wall: Timestamp, up: Duration) -> Timestamp {
        if is_set(wall) {
            // It may fall back to 1970; then the time goes on from here.
            self.last.set((wall, up));
            return wall;
        }
        let (last, since) = self.last.get();
        last.after(up.saturating_sub(since))
    }
}

/// Whether a clock that shows `wall` can be right.
pub fn is_set(wall: Timestamp) -> bool {
    wall >= BUILT
}

/// The wall clock as it is, set or not; for log lines.
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().after(since)
}

/// How long this machine has been up, suspends included: for waiting, never for storing.
pub fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
    // Suspends count only as far as the system counts them.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;
    shown_by(CLOCK)
}

/// The moment by `CLOCK_MONOTONIC`, which stands still during a suspend; supervisors compare it.
pub fn monotonic() -> Duration {
    shown_by(ClockId::CLOCK_MONOTONIC)
}

/// Waits until [`monotonic`] is `moment`.
pub async fn sleep_until(moment: Duration) {
    let wait = moment.saturating_sub(monotonic());
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

fn shown_by(clock: ClockId) -> Duration {
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// The moment in RFC 3339's form, in UTC, with milliseconds.
pub fn rfc3339(moment: Timestamp) -> impl fmt::Display {
    humantime::format_rfc3339_millis(system_time(moment))
}

/// The moment in RFC 3339's form, in UTC, with whole seconds.
pub fn rfc3339_seconds(moment: Timestamp) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(system_time(moment))
}

/// Reads RFC 3339's form in UTC; `None` for anything else and for moments before 1970.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::default().after(since))
}

/// Reads RFC 3339's form in UTC or with an offset (`+02:00`), or without either as UTC; `None` for
/// anything else and for moments before 1970.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    const LENGTH: usize = "2027-06-01T12:00:00".len();
    const MINUTE: u64 = 60;
    let (clock, rest) = text.split_at_checked(LENGTH)?;
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let moment = parse_rfc3339(&[clock, "Z"].concat())?;
    let zone = &rest[fraction..];
    let (Some(sign), Some((hours, minutes))) =
        (zone.chars().next(), zone[zone.len().min(1)..].split_once(':'))
    else {
        return matches!(zone, "" | "Z" | "z").then_some(moment);
    };
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let offset = Duration::from_secs((hours * 60 + minutes) * MINUTE);
    match sign {
        '+' => Some(moment.before(offset)),
        '-' => Some(moment.after(offset)),
        _ => None,
    }
}

/// `moment` for std, at most the end of the year 9999, where the form of RFC 3339 ends.
fn system_time(moment: Timestamp) -> SystemTime {
    const LAST: u64 = 253_402_300_799_999;
    UNIX_EPOCH + Duration::from_millis(moment.millis().min(LAST))
}

/// A random number in `0.0..=1.0`: for spreading clients that failed together.
pub fn spread() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness every client waits for the middle; the number need not be secret.
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// A random number for the signature of a request, which has to differ from all others; without
/// randomness the time since the machine's start.
pub fn nonce() -> u128 {
    let mut bytes = [0; 16];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => monotonic().as_nanos(),
    }
}

/// Decimal digits as a number, none as 0; for the value of `SOURCE_DATE_EPOCH` at build time.
const fn seconds(text: &str) -> u64 {
    match (text.as_bytes(), u64::from_str_radix(text, 10)) {
        ([], _) => 0,
        ([b'0'..=b'9', ..], Ok(number)) => number,
        _ => panic!("SOURCE_DATE_EPOCH is a number of seconds"),
    }
}

#[cfg(target_os = "linux")]
pub use linux::{Alarm, ClockJump};

#[cfg(not(target_os = "linux"))]
pub use portable::{Alarm, ClockJump};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// The moment at which the kernel's clocks end, in 2262.
    const END_OF_TIME: Duration = Duration::from_nanos(i64::MAX as u64);

    /// A timer of the kernel.
    #[derive(Debug)]
    struct Timer(TimerFd);

    impl AsRawFd for Timer {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    /// A timer that goes on during a suspend, when tokio's own stands still.
    #[derive(Debug)]
    pub struct Alarm(AsyncFd<Timer>);

    impl Alarm {
        /// A timer; must be made within a tokio runtime.
        pub fn new() -> io::Result<Self> {
            timer(ClockId::CLOCK_BOOTTIME).map(Self)
        }

        /// Waits until [`uptime`](super::uptime) is `deadline`; may be dropped and begun again.
        pub async fn until(&self, deadline: Duration) {
            // Zero would switch the timer off; the machine was never up for so short a time.
            let at = end(deadline.max(Duration::from_nanos(1)));
            if self.0.get_ref().0.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME).is_err() {
                // The daemon would look again and again without a pause.
                let wait = deadline.saturating_sub(super::uptime());
                return tokio::time::sleep(wait).await;
            }
            // Setting the timer has cleared an end of an earlier deadline that was not read.
            let _ = expiry(&self.0).await;
        }
    }

    /// Reports when somebody sets the clock, and when the machine wakes from a suspend.
    #[derive(Debug)]
    pub struct ClockJump(Option<AsyncFd<Timer>>);

    impl ClockJump {
        /// A watch on the clock; must be made within a tokio runtime.
        ///
        /// Where the kernel cannot report jumps (32-bit, before 5.1), the watch never sees anything.
        pub fn watch() -> Self {
            Self(timer(ClockId::CLOCK_REALTIME).ok().filter(|timer| arm(timer).is_ok()))
        }

        /// Waits for the next jump; jumps since the last call count, many of them as one.
        pub async fn jumped(&self) {
            if let Some(timer) = &self.0 {
                // The read fails with ECANCELED, and the timer has to be set again (timerfd_create(2)).
                // If the timer ends instead, the clock is behind all moments that it can be set to.
                let has_jumped = expiry(timer).await.is_err();
                if has_jumped && arm(timer).is_ok() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        }
    }

    /// Sets the timer that a jump cancels.
    fn arm(timer: &AsyncFd<Timer>) -> io::Result<()> {
        // A timer has to run to be cancelled.
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        match timer.get_ref().0.set(end(END_OF_TIME), flags) {
            // A jump in between is reported by the call, which sets the timer even so.
            Ok(()) | Err(Errno::ECANCELED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[expect(
        deprecated,
        reason = "the successor is unsafe; what it asks for is true of a TimerFd, which stays open"
    )]
    fn timer(clock: ClockId) -> io::Result<AsyncFd<Timer>> {
        let timer = TimerFd::new(clock, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        AsyncFd::with_interest(Timer(timer), Interest::READABLE)
    }

    /// Waits until the timer ends; an error when it was cancelled.
    async fn expiry(timer: &AsyncFd<Timer>) -> io::Result<usize> {
        timer
            .async_io(Interest::READABLE, |timer| {
                Ok(rustix::io::read(timer.0.as_fd(), &mut [0; 8])?)
            })
            .await
    }

    /// The end of a timer at `moment`: at [`END_OF_TIME`] at the latest, and in 2038 where the system's
    /// seconds have 32 bits.
    fn end(moment: Duration) -> Expiration {
        const LAST: Duration = Duration::from_secs(i32::MAX as u64);
        let moment = moment.min(END_OF_TIME);
        let exact = TimeSpec::from_duration(moment);
        let is_exact = Duration::from(exact) == moment;
        Expiration::OneShot(if is_exact { exact } else { TimeSpec::from_duration(LAST) })
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::time::Duration;

    /// tokio's timer, where no timer goes on during a suspend.
    #[derive(Debug)]
    pub struct Alarm(());

    impl Alarm {
        /// A timer.
        pub fn new() -> io::Result<Self> {
            Ok(Self(()))
        }

        /// Waits until [`uptime`](super::uptime) is `deadline`; may be dropped and begun again.
        pub async fn until(&self, deadline: Duration) {
            tokio::time::sleep(deadline.saturating_sub(super::uptime())).await;
        }
    }

    /// No jump is reported here; the poll finds jumps.
    #[derive(Debug)]
    pub struct ClockJump(());

    impl ClockJump {
        /// A watch that never sees anything.
        pub fn watch() -> Self {
            Self(())
        }

        /// Waits for ever.
        pub async fn jumped(&self) {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn after_build(seconds: u64) -> Timestamp {
        BUILT.after(Duration::from_secs(seconds))
    }

    const UNSET: Timestamp = Timestamp::from_secs(17);

    fn seconds_up(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_that_is_set_is_believed_even_before_the_newest_memory() {
        let clock = Clock::at(Some(after_build(1000)), None, UNSET, seconds_up(0));
        assert_eq!(clock.shown(after_build(5), seconds_up(9)), after_build(5));
    }

    #[test]
    fn a_clock_that_is_not_set_goes_on_from_the_newest_memory() {
        let clock = Clock::at(Some(after_build(1000)), None, UNSET, seconds_up(50));
        assert_eq!(clock.shown(UNSET, seconds_up(59)), after_build(1009));
        assert!(!is_set(UNSET) && is_set(BUILT));
    }

    #[test]
    fn a_clock_that_falls_back_goes_on_from_what_it_showed_last() {
        let clock = Clock::at(None, None, after_build(9), seconds_up(0));
        assert_eq!(clock.shown(after_build(700_000), seconds_up(60)), after_build(700_000));
        assert_eq!(clock.shown(UNSET, seconds_up(67)), after_build(700_007));
        assert_eq!(clock.shown(after_build(5), seconds_up(70)), after_build(5), "set right");
    }

    #[test]
    fn a_clock_that_is_not_set_goes_on_from_run_to_run() {
        let newest = Some(after_build(1000));
        let since = after_build(1000);
        let last = Reckoning { since, shown: since, wall: UNSET, up: seconds_up(100) };
        for (wall, up, passed) in [
            (UNSET, 160, 60),
            // Its clock goes on, whatever the machine says of itself.
            (Timestamp::from_secs(77), 100, 60),
            // Started anew.
            (UNSET, 40, 40),
            (Timestamp::default(), 40, 40),
        ] {
            let clock = Clock::at(newest, Some(last), wall, seconds_up(up));
            assert_eq!(clock.shown(wall, seconds_up(up)), after_build(1000 + passed));
        }
    }

    #[test]
    fn nothing_is_earlier_than_the_build() {
        let clock = Clock::new(Some(Timestamp::from_secs(5)), None);
        assert_eq!(clock.last.get().0, BUILT);
        assert!(clock.now() >= BUILT);
    }

    #[test]
    fn moments_are_written_and_read_in_utc() {
        let moment = Timestamp::from_millis(1_800_000_000_123);
        assert_eq!(rfc3339(moment).to_string(), "2027-01-15T08:00:00.123Z");
        assert_eq!(rfc3339_seconds(moment).to_string(), "2027-01-15T08:00:00Z");
        assert_eq!(parse_rfc3339("2027-01-15T08:00:00.123Z"), Some(moment));
        assert_eq!(rfc3339(BUILT).to_string().get(..10), Some("2026-11-22"));
        for wrong in ["", "2027-01-15", "2027-13-15T08:00:00Z", "1969-12-31T23:59:59Z", "now"] {
            assert_eq!(parse_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_end_of_time_can_be_written() {
        let last = rfc3339(Timestamp::from_millis(u64::MAX)).to_string();
        assert_eq!(last, "9999-12-31T23:59:59.999Z");
        assert!(parse_rfc3339(&last).is_some());
    }

    #[test]
    fn digits_of_the_environment_are_a_number() {
        assert_eq!(seconds("1795305600"), 1_795_305_600);
    }

    #[test]
    fn chance_stays_in_bounds_and_varies() {
        let drawn: Vec<f64> = (0..64).map(|_| spread()).collect();
        assert!(drawn.iter().all(|spread| (0.0..=1.0).contains(spread)));
        assert!(drawn.iter().any(|spread| *spread < 0.5) && drawn.iter().any(|s| *s > 0.5));
    }

    #[tokio::test]
    async fn an_alarm_ends_after_its_wait_and_not_before() {
        let (alarm, wait) = (Alarm::new().unwrap(), Duration::from_millis(20));
        let start = Instant::now();
        alarm.until(uptime() + wait).await;
        assert!(start.elapsed() >= wait);
        alarm.until(Duration::ZERO).await;
        alarm.until(uptime()).await;
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_does_not_end_the_next_one() {
        let alarm = Alarm::new().unwrap();
        tokio::select! {
            biased;
            () = alarm.until(uptime() + Duration::from_millis(1)) => panic!("it has only begun"),
            () = std::future::ready(()) => {}
        }
        // The short wait ends now, unread.
        std::thread::sleep(Duration::from_millis(5));
        tokio::task::yield_now().await;
        let start = Instant::now();
        alarm.until(uptime() + Duration::from_millis(20)).await;
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_wait_for_ever_ends_never() {
        let alarm = Alarm::new().unwrap();
        for never in
            [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)]
        {
            let wait = alarm.until(never);
            assert!(tokio::time::timeout(Duration::from_millis(20), wait).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_clock_that_nobody_sets_does_not_jump() {
        let watch = ClockJump::watch();
        assert!(tokio::time::timeout(Duration::from_millis(20), watch.jumped()).await.is_err());
    }

    #[test]
    fn a_moment_may_have_an_offset_or_none() {
        let seconds = |text: &str| parse_moment(text).map(|at| at.millis() / 1000);
        assert_eq!(seconds("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(seconds("1970-01-02T00:00:00"), Some(86_400));
        assert_eq!(seconds("1970-01-02T00:00:00.123Z"), Some(86_400));
        assert_eq!(seconds("1970-01-02T02:00:00+02:00"), Some(86_400));
        assert_eq!(seconds("1970-01-01T22:30:00.5-01:30"), Some(86_400));
        for wrong in ["", "1970-01-02", "1970-01-02T00:00:00X", "1970-01-02T00:00:00+2", "never"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
