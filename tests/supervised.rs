//! The daemon under a supervisor: what it says in the datagrams of `sd_notify`, and when.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{home, sandbox};
use home::{DEV1, Daemon, Home, Signal, wait_until};
use sandbox::{Account, Delivery, Sandbox, Scripted};

/// How long anything may take that is to come soon.
const SOON: Duration = Duration::from_secs(10);

/// What a supervisor hears.
struct Ear {
    socket: UnixDatagram,
    name: String,
}

impl Ear {
    /// A socket in the directory of `home`.
    fn at(home: &Home) -> Self {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, name: path.to_str().unwrap().to_owned() }
    }

    /// A socket without a file.
    fn abstract_one(name: &str) -> Self {
        let name = format!("homing-test-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self { socket: UnixDatagram::bind_addr(&address).unwrap(), name: format!("@{name}") }
    }

    /// The command of the daemon of `home`, supervised.
    fn command(&self, home: &Home) -> Command {
        let mut command = home.command(&["-v"]);
        command.env("NOTIFY_SOCKET", &self.name);
        command
    }

    fn start(&self, home: &Home) -> Daemon {
        home.daemon_of(self.command(home))
    }

    /// The same with a watchdog of that time.
    fn start_watched(&self, home: &Home, time: Duration) -> Daemon {
        let mut command = self.command(home);
        command.env("WATCHDOG_USEC", time.as_micros().to_string());
        home.daemon_of(command)
    }

    /// The next datagram within `patience`.
    fn within(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).unwrap();
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// The next datagram that does not feed the watchdog.
    #[track_caller]
    fn next(&self) -> String {
        let begun = Instant::now();
        loop {
            let left = SOON.saturating_sub(begun.elapsed());
            match self.within(left) {
                Some(text) if text == "WATCHDOG=1" => {}
                Some(text) => return text,
                None => panic!("nothing was heard"),
            }
        }
    }

    /// The next datagram is this one.
    #[track_caller]
    fn hears(&self, expect: &str) {
        assert_eq!(self.next(), expect);
    }

    /// How often the watchdog is fed within `time`; nothing else may be said.
    #[track_caller]
    fn feedings(&self, time: Duration) -> u32 {
        let begun = Instant::now();
        let mut count = 0;
        while let Some(text) = self.within(time.saturating_sub(begun.elapsed())) {
            assert_eq!(text, "WATCHDOG=1");
            count += 1;
        }
        count
    }
}

fn sandbox() -> Sandbox {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    let hosts = ["dev1.dyn.example.com"];
    account.add_host_token("dev1", "s3cret-of-dev1", &hosts).unwrap();
    Sandbox::start(account).unwrap()
}

fn one_host() -> (Sandbox, Home) {
    let sandbox = sandbox();
    let home = Home::at(&sandbox.url(), DEV1);
    (sandbox, home)
}

/// The moment of a reload, by the clock that the datagram tells it by.
#[track_caller]
fn reloading(text: &str) -> u128 {
    let rest = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(text);
    let (moment, status) = rest.split_once('\n').expect(text);
    assert_eq!(status, "STATUS=reading the configuration again");
    moment.parse().unwrap()
}

fn monotonic() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap().as_micros()
}

/// How often the threads of a process have gone to sleep.
fn sleeps(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |path: std::path::PathBuf| -> u64 {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.map_or(0, |count| count.trim().parse().unwrap())
    };
    tasks.map(|task| of_task(task.unwrap().path())).sum()
}

#[test]
fn it_is_ready_before_anything_is_sent_and_then_tells_how_it_stands() {
    let (sandbox, home) = one_host();
    // Nothing can leave before the source has told the address.
    let config = home.read("config.toml").replace(
        "static = [\"198.51.100.7\", \"2001:db8::7\"]",
        "command = [\"sh\", \"-c\", \"sleep 2; echo 198.51.100.7\"]",
    );
    home.configure(&config.replace("ipv6 = \"here\"", "ipv6 = \"off\""));
    let ear = Ear::at(&home);
    let daemon = ear.start(&home);
    ear.hears("READY=1\nSTATUS=the first round is under way");
    assert_eq!(sandbox.requests().len(), 0, "{}", daemon.log());
    assert!(home.path("state/homing.lock").exists());
    ear.hears("STATUS=1 host right");
    assert_eq!(sandbox.updates().len(), 1);
    daemon.signal(Signal::TERM);
    ear.hears("STOPPING=1\nSTATUS=stopping");
    assert_eq!(daemon.end().0, 0);
}

#[test]
fn a_server_out_of_reach_keeps_nobody_from_being_ready() {
    let home = Home::at("http://127.0.0.1:9", DEV1);
    let ear = Ear::abstract_one("unreachable");
    let _daemon = ear.start(&home);
    ear.hears("READY=1\nSTATUS=the first round is under way");
    let status = ear.next();
    let time = status.strip_prefix("STATUS=0 hosts right, 1 waiting until ").expect(&status);
    let time = time.strip_suffix(" UTC").expect(&status);
    assert!(time.len() == 5 && time.as_bytes()[2] == b':', "{status}");
}

#[test]
fn what_only_a_person_can_mend_says_so() {
    let (_sandbox, home) = one_host();
    home.secret("token", "wrong");
    let ear = Ear::at(&home);
    let daemon = ear.start(&home);
    ear.next();
    ear.hears("STATUS=0 hosts right, 1 rejected: you must fix it, see `homing status`");
    home.write("token", "s3cret-of-dev1\n", 0o644);
    daemon.signal(Signal::USR1);
    ear.hears("STATUS=0 hosts right, 1 left out for a wrong secret, see `homing check`");
}

#[test]
fn a_wrong_configuration_never_is_ready() {
    let home = Home::new("nonsense = ");
    let ear = Ear::at(&home);
    assert_eq!(ear.start(&home).end().0, 78);
    assert_eq!(ear.within(Duration::from_millis(1)), None);
}

#[test]
fn a_reload_is_told_and_a_wrong_one_leaves_the_old_configuration_in_force() {
    let (_sandbox, home) = one_host();
    let ear = Ear::at(&home);
    let daemon = ear.start(&home);
    ear.next();
    ear.hears("STATUS=1 host right");
    let begun = monotonic();

    let right = home.read("config.toml");
    home.configure("nonsense = ");
    daemon.signal(Signal::HUP);
    let first = reloading(&ear.next());
    let outdated = "the new configuration has a mistake, the old one stays in force; 1 host right";
    ear.hears(&format!("READY=1\nSTATUS={outdated}"));
    daemon.signal(Signal::USR1);
    ear.hears(&format!("STATUS={outdated}"));

    home.configure(&right.replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(Signal::HUP);
    let second = reloading(&ear.next());
    ear.hears("READY=1\nSTATUS=1 host right");
    ear.hears("STATUS=1 host right");
    assert!(daemon.log().contains("198.51.100.8"), "{}", daemon.log());
    assert!(begun < first && first < second && second < monotonic());
}

#[test]
fn a_signal_to_stop_is_told_at_once_and_ends_a_request_that_hangs_within_four_seconds() {
    let (sandbox, home) = one_host();
    sandbox.answer_next(Scripted::genuine().after(Duration::from_secs(60)));
    let ear = Ear::at(&home);
    let daemon = ear.start(&home);
    ear.next();
    wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
    let begun = Instant::now();
    daemon.signal(Signal::TERM);
    ear.hears("STOPPING=1\nSTATUS=stopping");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let (code, _) = daemon.end();
    let took = begun.elapsed();
    assert_eq!(code, 0);
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(4), "{took:?}");
    assert!(home.read("state/state.json").contains("\"sent\""), "it is known to have left");
}

#[test]
fn the_watchdog_is_fed_at_half_its_time_while_nothing_happens() {
    let (_sandbox, home) = one_host();
    let ear = Ear::at(&home);
    let _daemon = ear.start_watched(&home, Duration::from_secs(1));
    ear.next();
    ear.hears("STATUS=1 host right");
    let fed = ear.feedings(Duration::from_secs(4));
    assert!((5..=9).contains(&fed), "{fed} times");
}

#[test]
fn the_watchdog_is_fed_while_a_server_drips_its_answer() {
    let (sandbox, home) = one_host();
    let drip = Delivery::Drip(Duration::from_secs(1));
    sandbox.answer_next(Scripted::genuine().delivered(drip));
    let ear = Ear::at(&home);
    let daemon = ear.start_watched(&home, Duration::from_secs(1));
    ear.next();
    wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
    ear.hears("STATUS=0 hosts right, 1 being updated");
    let fed = ear.feedings(Duration::from_secs(3));
    assert!((3..=7).contains(&fed), "{fed} times");
    assert!(!daemon.log().contains("updated"), "the round is not over: {}", daemon.log());
}

#[test]
fn a_process_that_stands_still_is_not_fed() {
    let (_sandbox, home) = one_host();
    let ear = Ear::at(&home);
    let daemon = ear.start_watched(&home, Duration::from_secs(1));
    ear.next();
    ear.hears("STATUS=1 host right");
    assert!(ear.feedings(Duration::from_millis(1500)) > 0);
    daemon.signal(Signal::STOP);
    // What was on its way.
    ear.feedings(Duration::from_millis(100));
    assert_eq!(ear.feedings(Duration::from_secs(2)), 0);
    daemon.signal(Signal::CONT);
    assert!(ear.feedings(Duration::from_millis(1500)) > 0);
}

#[test]
fn nobody_is_fed_who_watches_another_process() {
    let (_sandbox, home) = one_host();
    let ear = Ear::at(&home);
    let mut command = ear.command(&home);
    command.env("WATCHDOG_USEC", "1000000").env("WATCHDOG_PID", "1");
    let _daemon = home.daemon_of(command);
    ear.next();
    ear.hears("STATUS=1 host right");
    assert_eq!(ear.feedings(Duration::from_secs(2)), 0);
}

#[test]
fn without_a_watchdog_an_idle_daemon_sleeps() {
    let (_sandbox, home) = one_host();
    let ear = Ear::at(&home);
    let daemon = ear.start(&home);
    ear.next();
    ear.hears("STATUS=1 host right");
    sleep(Duration::from_secs(2));
    let before = sleeps(daemon.pid());
    sleep(Duration::from_secs(3));
    let woken = sleeps(daemon.pid()) - before;
    assert!(woken <= 1, "woken {woken} times");
}

#[test]
fn a_supervisor_that_reads_nothing_holds_nothing_up() {
    let (sandbox, home) = one_host();
    let ear = Ear::at(&home);
    // Its queue is full in less than a second.
    let daemon = ear.start_watched(&home, Duration::from_micros(10));
    wait_until("update", || sandbox.updates().len() == 1, || daemon.log());
    daemon.wait_for("the supervisor cannot be notified");
    daemon.signal(Signal::HUP);
    // Until it tells of the reload, to whoever does not hear.
    sleep(Duration::from_millis(500));
    daemon.signal(Signal::TERM);
    let (code, took) = daemon.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_hook_learns_nothing_of_the_supervisor() {
    let (_sandbox, home) = one_host();
    let seen = home.path("seen");
    home.write("hook", &format!("#!/bin/sh\nenv >'{}'\n", seen.display()), 0o700);
    let config = home.read("config.toml");
    home.configure(&format!("{config}on-change = [\"{}\"]\n", home.path("hook").display()));
    let ear = Ear::at(&home);
    let _daemon = ear.start_watched(&home, Duration::from_secs(60));
    ear.next();
    ear.hears("STATUS=1 host right");
    let environment = home.read("seen");
    assert!(environment.contains("HOMING_IPV4=198.51.100.7"), "{environment}");
    assert!(!environment.contains("NOTIFY") && !environment.contains("WATCHDOG"), "{environment}");
}
