//! Network namespaces that tests make themselves, with real kernel addresses in them.
//!
//! Needs root and iproute2; without them a test says that it is skipped, and with
//! `HOMING_TESTS=all` that is a failure. A test runs itself again inside its namespace.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::env;
use std::fs;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::home::Home;

/// Set in the run inside the namespace.
const INSIDE: &str = "HOMING_TEST_NAMESPACE";
/// How long the kernel may take for what it does in its own time.
pub const SOON: Duration = Duration::from_secs(10);
/// A namespace that goes with its test, also when that panics.
struct Namespace(String);

impl Namespace {
    fn new(test: &str) -> Self {
        let name = format!("homing-{}-{test}", std::process::id());
        ip(&format!("netns add {name}"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Not `ip`: a second panic would hide the first.
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

/// Runs `body` in a namespace with the veth pair `wan` and `isp`, both up and without addresses;
/// `test` is the name of the calling function, and the calling file is its module.
#[track_caller]
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        prepare();
        return body();
    }
    if let Some(lacking) = lacking() {
        return skip(test, lacking);
    }
    let namespace = Namespace::new(test);
    let file = Path::new(Location::caller().file()).file_stem().expect("a file has a name");
    let output = Command::new("ip")
        .args(["netns", "exec", &namespace.0])
        .arg(env::current_exe().expect("the test has a path"))
        .args([
            "--exact",
            &format!("{}::{test}", file.display()),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(INSIDE, &namespace.0)
        .output()
        .expect("ip runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "inside the namespace:\n{said}");
    for reason in said.lines().filter(|line| line.starts_with("SKIPPED")) {
        tell(reason);
    }
}

/// Says that `test` proves nothing here, which is a failure where everything has to be there.
#[track_caller]
pub fn skip(test: &str, lacking: &str) {
    let all = env::var_os("HOMING_TESTS").is_some_and(|tests| tests == "all");
    assert!(!all, "{lacking}");
    tell(&format!("SKIPPED: {test}: {lacking}"));
}

/// Prints a line that the harness does not hide.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What this machine lacks for these tests.
fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root");
    }
    let probe = Command::new("ip").arg("-V").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return Some("needs iproute2");
    }
    let name = format!("homing-{}-probe-{:?}", std::process::id(), thread::current().id());
    let may = Command::new("ip").args(["netns", "add", &name]).output();
    let _ = Command::new("ip").args(["netns", "delete", &name]).output();
    (!may.is_ok_and(|output| output.status.success())).then_some("may not make namespaces")
}

fn prepare() {
    for scope in ["all", "default", "lo"] {
        sysctl(&format!("ipv6/conf/{scope}/disable_ipv6"), "0");
    }
    // No link-local addresses, no router solicitations: nothing happens but what the test does.
    sysctl("ipv6/conf/default/addr_gen_mode", "1");
    sysctl("ipv6/conf/default/accept_ra", "0");
    ip("link add wan type veth peer name isp");
    ip("link set wan up");
    ip("link set isp up");
    eventually("carrier", || {
        fs::read_to_string("/sys/class/net/wan/carrier").is_ok_and(|c| c == "1\n")
    });
}

pub fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// Runs `ip` with `arguments`.
#[track_caller]
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}");
}

#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "not within {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs many commands of `ip` in one process.
#[track_caller]
pub fn ip_batch(lines: &str) {
    let mut child =
        Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip runs");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).expect("ip reads");
    drop(input);
    assert!(child.wait().expect("ip ends").success());
}

/// Puts a copy of /etc in its place, in this mount namespace only; `resolv.conf` is a file in it.
pub fn own_etc(home: &Home) -> PathBuf {
    let copy = home.path("etc");
    let run = |program: &str, arguments: &[&Path]| {
        let status =
            Command::new(program).args(arguments).status().expect("a test's own step works");
        assert!(status.success(), "{program} {arguments:?}");
    };
    run("cp", &[Path::new("-a"), Path::new("/etc"), &copy]);
    run("mount", &[Path::new("--bind"), &copy, Path::new("/etc")]);
    PathBuf::from("/etc")
}
