//! Reports over hours, which the daemon lives through in a virtual time: files that are written again,
//! and services that take no message.
#![cfg(all(feature = "pages", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use homing::core::backoff::Backoff;
use homing::core::notify::outbox::Rhythm;

use crate::support::{home, netns, virtual_clock};
use home::{Daemon, Home, Signal, wait_until};
use virtual_clock::{Port, VirtualClock};

const MINUTE: Duration = Duration::from_secs(60);
/// How long before the end of their promise files are written.
const AHEAD: Duration = Duration::from_secs(5 * 60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A host whose address is in the file `address`, which is not there yet, with these reports.
fn home_of(report: &str) -> Home {
    Home::new(&format!(
        "[report]\n{report}\n[source.here]\nfile = \"address\"\nallow-private = true\n\n[[host]]\n\
         name = \"dev1.dyn.example.com\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
         ipv4 = \"here\"\nipv6 = \"off\"\n"
    ))
}

/// That home, in a time of its own; `None` where there is none.
fn one_host(test: &str, report: &str) -> Option<(Home, Arc<VirtualClock>)> {
    let home = home_of(report);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = VirtualClock::new(&home, wall);
    if clock.is_none() {
        netns::skip(test, "needs a C compiler");
    }
    Some((home, Arc::new(clock?)))
}

/// Starts the daemon in this time.
fn start(home: &Home, clock: &VirtualClock) -> Daemon {
    let mut command = home.command(&["-v"]);
    clock.show(&mut command);
    home.daemon_of(command)
}

/// Lets time pass until `moment`.
#[track_caller]
fn advance(clock: &VirtualClock, moment: Duration, daemon: &Daemon) {
    clock.go_on_until(moment);
    wait_until("way there", || clock.now() >= moment, || daemon.log());
}

/// The value of a metric that has no label.
fn metric(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(known, _)| *known == name).find_map(|(_, value)| value.parse().ok())
}

#[test]
fn the_files_are_written_again_within_the_hour_that_they_promise() {
    let test = "the_files_are_written_again_within_the_hour_that_they_promise";
    let files = "metrics-file = \"out/homing.prom\"\nstatus-page = \"out/index.html\"";
    let Some((home, clock)) = one_host(test, files) else { return };
    std::fs::create_dir(home.path("out")).unwrap();
    home.write("address", "198.51.100.7\n", 0o644);
    let wall = SystemTime::now();
    let daemon = start(&home, &clock);
    let as_of = || {
        let page = home.read("out/index.html");
        page.lines().find(|line| line.contains("class=\"as-of\"")).map(str::to_owned)
    };
    let promise = || metric(&home.read("out/homing.prom"), "homing_next_write_timestamp_seconds");
    wait_until("files", || as_of().is_some() && promise().is_some(), || daemon.log());
    let moment = |since_1970: f64| {
        Duration::from_secs_f64(since_1970).saturating_sub(wall.duration_since(UNIX_EPOCH).unwrap())
    };
    for hour in 0..6 {
        let (page, promised) = (as_of(), promise().unwrap());
        // The kernel gives a file the real time; in the virtual one a disk took its time.
        for file in ["out/homing.prom", "out/index.html"] {
            let file = File::options().write(true).open(home.path(file)).unwrap();
            file.set_modified(wall + clock.now() + Duration::from_millis(500)).unwrap();
        }
        let is_last = hour == 5;
        if is_last {
            std::fs::rename(home.path("out"), home.path("away")).unwrap();
        }
        // The clock sees no thread but one: what others do takes real time.
        let ahead = AHEAD + Duration::from_millis(100);
        advance(&clock, moment(promised).saturating_sub(ahead), &daemon);
        if is_last {
            // What fails is not left for the next hour.
            daemon.wait_for("metrics-file failed");
            daemon.wait_for("status-page failed");
            std::fs::rename(home.path("away"), home.path("out")).unwrap();
            daemon.signal(Signal::USR1);
        }
        let is_written = || as_of() != page && promise().is_some_and(|it| it > promised);
        wait_until("new files", is_written, || daemon.log());
        assert!(clock.now() < moment(promised), "{promised}");
        let gap = promise().unwrap() - promised;
        assert!((MINUTE..HOUR).contains(&Duration::from_secs_f64(gap)), "{gap}");
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

/// How a service fails.
#[derive(Clone, Copy)]
enum Failing {
    /// It takes the request and answers nothing.
    Hangs,
    /// It takes the request and resets the connection.
    Resets,
}

/// A service on loopback that fails; its port.
fn failing(how: Failing, clock: Option<Arc<VirtualClock>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let own = stream.peer_addr().unwrap().port();
            // A connection that is closed while not all of it is read is reset.
            let _ = stream.read(&mut [0; 8]);
            if let Some(clock) = &clock {
                let hangs = matches!(how, Failing::Hangs);
                clock.set_port(own, if hangs { Port::Hushed } else { Port::Open });
            }
            match how {
                Failing::Hangs => held.push(stream),
                Failing::Resets => drop(stream),
            }
        }
    });
    port
}

/// A port on which nobody listens (RFC 863): one that was free a moment ago may be another test's by now.
const CLOSED: u16 = 9;

/// Services that cannot be reached in each way, by their labels.
fn unreachable(clock: Option<&Arc<VirtualClock>>) -> [(&'static str, u16); 3] {
    [
        ("slack", CLOSED),
        ("discord", failing(Failing::Resets, clock.cloned())),
        ("mattermost", failing(Failing::Hangs, clock.cloned())),
    ]
}

/// The setting for them.
fn notify(services: &[(&str, u16)]) -> String {
    let service = |(name, port): &(&str, u16)| {
        format!("{{ service = \"{name}\", url = \"http://127.0.0.1:{port}/t0psecret\" }}")
    };
    let all: Vec<_> = services.iter().map(service).collect();
    format!("notify = [{}]\nproblem-after = \"0s\"", all.join(", "))
}

/// The tries in a row of the service that failed, as noted in the state.
fn tries(home: &Home, service: &str) -> Option<u32> {
    let unsent = home.read("state/homing.unsent");
    let line = unsent.lines().find_map(|line| line.strip_prefix(service)).map(str::to_owned);
    line?.split_whitespace().next()?.parse().ok()
}

/// How often a message is tried within `time` where each try takes `lasting`.
fn most_tries(time: Duration, lasting: Duration, spread: f64) -> u32 {
    let (mut now, mut tries) = (Rhythm::DAEMON.gather + lasting, 0);
    while now <= time {
        tries += 1;
        now += Backoff::ORDINARY.delay(tries, now, spread) + lasting;
    }
    tries
}

#[test]
fn a_service_that_cannot_be_reached_is_tried_with_longer_waits_and_warned_of_once() {
    let test = "a_service_that_cannot_be_reached_is_tried_with_longer_waits_and_warned_of_once";
    let Some((home, clock)) = one_host(test, "") else { return };
    let services = unreachable(Some(&clock));
    let config = home
        .read("config.toml")
        .replace("[report]\n", &format!("[report]\n{}\n", notify(&services)));
    home.configure(&config);
    let daemon = start(&home, &clock);
    let has_failed = |(name, _): &(&str, u16)| {
        wait_until(name, || tries(&home, name) == Some(0), || daemon.log());
    };
    services.iter().for_each(has_failed);
    let time = 3 * HOUR;
    advance(&clock, time, &daemon);
    let lasting = Duration::from_secs(15);
    for (name, _) in services {
        let least = most_tries(time.saturating_sub(MINUTE), lasting, 0.0);
        let most = most_tries(time + MINUTE, Duration::ZERO, 1.0);
        let tried = tries(&home, name).unwrap();
        assert!((least..=most).contains(&tried), "{name}: {tried} tries, {least} to {most}");
    }
    // No message is waited for.
    home.write("address", "198.51.100.8\n", 0o644);
    let moment = clock.now() + 6 * MINUTE;
    clock.go_on_until(moment);
    let is_set = || home.read("hosts").contains("198.51.100.8");
    wait_until("update", is_set, || daemon.log());
    advance(&clock, moment, &daemon);
    daemon.signal(Signal::TERM);
    let log = daemon.log();
    let (code, took) = daemon.end();
    assert!(code == 0 && took < Duration::from_secs(5), "{code} after {took:?}");
    for (name, _) in services {
        let failed = format!("notify {name} failed");
        assert_eq!(log.matches(&failed).count(), 1, "{log}");
    }
    assert!(!log.contains("t0psecret"), "{log}");
}

#[test]
fn a_run_ends_as_it_would_without_services_that_cannot_be_reached_and_warns_of_each_once() {
    let services = unreachable(None);
    let home = home_of(&notify(&services));
    let ran = home.once();
    assert_eq!(ran.code, 75, "{ran:?}");
    for (name, _) in services {
        let warning = format!("warning: notify {name}: 127.0.0.1:");
        assert_eq!(ran.err.matches(&warning).count(), 1, "{ran:?}");
        assert_eq!(tries(&home, name), Some(1));
    }
    assert!(!format!("{ran:?}").contains("t0psecret"), "{ran:?}");
    let begun = Instant::now();
    assert_eq!(home.once().err, "", "the next tries are not due");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    home.write("address", "198.51.100.7\n", 0o644);
    let ran = home.once();
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    assert!(home.read("hosts").contains("198.51.100.7"));
}
