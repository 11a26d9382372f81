//! Tests of the state directory with real files, processes and kills.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::core::address::standing::{self, ServiceStanding};
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::memory::{
    Again, Asking, Destination, Entry, Hold, HoldKind, Key, Reckoning, Record, SelfCheck, Sent,
    Set, TokenEntry, Verification, VerifyFinding, Word, ZoneKey,
};
use crate::core::outcome::{Fault, Rejection};
use crate::core::pace::History;
use crate::core::problem::{Problem, Severity};
use crate::core::time::Timestamp;
use crate::core::token::verdict::TokenVerdict;

const ONCE: StateAccess = StateAccess::Locked { who: "once" };
const LOCKED: StateAccess = StateAccess::Locked { who: DAEMON };

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn key(host: &str) -> Key {
    Key { host: host.parse().unwrap(), provider: "desec".into() }
}

fn addresses(texts: &[&str]) -> Addresses {
    Addresses::new(texts.iter().map(|text| text.parse::<IpAddr>().unwrap())).unwrap()
}

pub fn salt() -> Salt {
    Salt(std::array::from_fn(|place| u8::try_from(place).unwrap()))
}

/// A server that is behind, with everything that can be said about it.
fn behind() -> Verification {
    Verification {
        at: at(13),
        finding: VerifyFinding::Wrong("ns2 is behind".to_owned()),
        again: Some(Again::Unverified),
        repeated: true,
        was_right: true,
        put_right: Some(at(14)),
        returned: true,
    }
}

/// Servers that are right.
fn verified() -> Verification {
    let took = std::time::Duration::from_millis(400);
    let finding = VerifyFinding::Right { servers: 2, took, others: "ns3 is silent".to_owned() };
    Verification {
        at: at(1),
        finding,
        again: None,
        repeated: false,
        was_right: true,
        put_right: None,
        returned: false,
    }
}

/// A place, with everything that can be known of it.
fn place() -> Destination {
    let zone = Some("example".parse().unwrap());
    Destination { fingerprint: Fingerprint(10), zone, void_since: Some(at(15)) }
}

/// Two records with everything that can be known of them.
fn records() -> PerFamily<Record> {
    let hold = Hold {
        kind: HoldKind::Rejected(Rejection::Forbidden),
        detail: "say \"no\"\n".to_owned(),
        since: at(4),
        begun: at(4),
        until: Some(at(5)),
        fingerprint: Fingerprint(255),
    };
    PerFamily {
        v4: Record {
            set: Some(Set {
                addresses: addresses(&["198.18.0.2", "198.18.0.1"]),
                since: at(1),
                confirmed: at(2),
            }),
            sent: Some(Box::new(Sent {
                addresses: Some(addresses(&["198.18.0.3"])),
                at: at(3),
                in_doubt: true,
            })),
            removed: None,
            hold: None,
            missing_since: None,
            gone_since: None,
            away_since: Some(at(17)),
            returned: Some(at(18)),
            earlier: ["198.18.0.4".parse().unwrap()].into(),
        },
        v6: Record {
            set: None,
            removed: Some(at(10)),
            sent: Some(Box::new(Sent { addresses: None, at: at(11), in_doubt: false })),
            hold: Some(Box::new(hold)),
            missing_since: Some(at(9)),
            gone_since: Some(at(12)),
            away_since: None,
            returned: None,
            earlier: Box::default(),
        },
    }
}

/// A memory with everything in it, and every word.
pub fn everything() -> Memory {
    let mut memory = Memory::default();
    let held = |kind, detail: &str, since, until: Option<u64>, fingerprint| Hold {
        kind,
        detail: detail.to_owned(),
        since: at(since),
        begun: at(since.max(4)),
        until: until.map(at),
        fingerprint: Fingerprint(fingerprint),
    };
    let entry = Entry {
        families: records(),
        hold: Some(Box::new(held(HoldKind::Backoff(Fault::Lost), "", 7, None, u64::MAX))),
        failures: u32::MAX,
        last: Some((Word::Deferred, at(6))),
        zone: Some("example".parse().unwrap()),
        zone_id: Some("7".into()),
        asking: Asking::OneFamily,
        under_way: 0,
        queued_since: Some(at(8)),
        verified: Some(Box::new(behind())),
        half_done: true,
        not_shown: 2,
        left_out: Some(Fingerprint(9)),
        place: Some(place()),
        is_gone: true,
        came_back: Some(at(16)),
        problem: Some(Problem { since: at(19), reported: Some(Severity::Rejected) }),
    };
    memory.hosts.insert(key("a.example"), Box::new(entry));
    let entry = Entry { verified: Some(Box::new(verified())), ..Entry::default() };
    memory.hosts.insert(key("b.example"), Box::new(entry));
    let faults = Fault::ALL.into_iter().map(HoldKind::Backoff);
    let kinds = faults.chain(Rejection::ALL.into_iter().map(HoldKind::Rejected));
    let words = [Word::Updated, Word::Unchanged, Word::Deferred, Word::Rejected];
    for (place, kind) in kinds.chain([HoldKind::Throttled]).enumerate() {
        let entry = memory.entry_mut(&key(&format!("h{place}.example")));
        entry.hold = Some(Box::new(held(kind, "\u{1b}[2J ümlaut", 0, Some(9), 1)));
        entry.last = Some((words[place % words.len()], at(0)));
        entry.asking = [Asking::Together, Asking::Alone, Asking::OneFamily][place % 3];
        entry.families.v6.set = Some(Set {
            addresses: addresses(&["2a00::1"]),
            since: Timestamp::default(),
            confirmed: at(0),
        });
    }
    let history =
        History { sent: [at(1), at(2)].into(), pause_until: Some(at(3)), pause_since: Some(at(2)) };
    for zone in [None, Some("example".parse().unwrap())] {
        memory.paces.insert(ZoneKey { provider: "desec".into(), zone }, history.clone());
    }
    memory.paces.insert(ZoneKey { provider: "x".into(), zone: None }, History::default());
    let check = SelfCheck {
        about: Fingerprint(2),
        at: at(4),
        verdict: TokenVerdict::TooPowerful,
        powers: "may write NS".to_owned(),
        end: Some(at(9)),
    };
    let (unheard, warned) = (Some(at(2)), Some(at(3)));
    let (kept, looked) = (Some(check.clone()), Some(at(3)));
    let token = TokenEntry { spoke: at(1), unheard, warned, check: kept, looked };
    memory.tokens.insert(Fingerprint(1), token);
    for (place, verdict) in (2..).zip(TokenVerdict::ALL) {
        let check = SelfCheck { verdict, powers: String::new(), end: None, ..check.clone() };
        let token = TokenEntry { check: Some(check), ..TokenEntry::default() };
        memory.tokens.insert(Fingerprint(place), token);
    }
    memory.tokens.insert(Fingerprint(u64::MAX), TokenEntry::default());
    let standing = ServiceStanding {
        fault: standing::ServiceFault::Lied,
        detail: "says 192.0.2.1 where another says 192.0.2.2".to_owned(),
        times: 3,
        since: at(1),
        until: at(9),
    };
    let service = |family| standing::ServiceId { name: "icanhazip".to_owned(), family };
    memory.services.insert(service(Family::V4), standing.clone());
    let failed = ServiceStanding {
        fault: standing::ServiceFault::Failed,
        detail: String::new(),
        ..standing
    };
    memory.services.insert(service(Family::V6), failed);
    memory.without_lists.insert("old".into());
    memory.servers.insert("desec".into(), Fingerprint(11));
    memory.reckoning = Some(Reckoning {
        since: at(1),
        shown: at(2),
        wall: Timestamp::from_secs(3),
        up: std::time::Duration::from_millis(4),
    });
    memory.answers = [(Word::Updated, 7), (Word::Rejected, u64::MAX)].into();
    memory
}

/// A memory of `hosts` hosts, marked by `mark`.
fn crowd(hosts: u32, mark: u32) -> Memory {
    let mut memory = Memory::default();
    for place in 0..hosts {
        let entry = memory.entry_mut(&key(&format!("host{place}.dyn.example.com")));
        let set = |text: String| {
            let addresses = addresses(&[&text]);
            Some(Set { addresses, since: at(1), confirmed: at(2) })
        };
        entry.families.v4.set = set(format!("198.18.{}.{}", place / 256, place % 256));
        entry.families.v6.set = set(format!("2a00::{place:x}"));
        entry.last = Some((Word::Updated, at(2)));
        entry.zone = Some("dyn.example.com".parse().unwrap());
        entry.failures = mark;
    }
    memory
}

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("homing-state-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The state directory, which is not there yet.
    fn dir(&self) -> PathBuf {
        self.0.join("state")
    }

    fn file(&self) -> PathBuf {
        self.dir().join(FILE)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The state in `dir`, whose lock nobody has.
///
/// A child that another test starts keeps the lock of ours a little longer, until it is a program of
/// its own.
fn open(dir: &Path, access: StateAccess) -> Store {
    for _ in 0..200 {
        match Store::open(dir, access) {
            Err(StateError::Held { .. }) => thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("somebody has the lock in {}", dir.display())
}

fn opened(dir: &Path) -> (Store, Loaded) {
    let mut store = open(dir, LOCKED);
    let loaded = store.load().unwrap();
    (store, loaded)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn fails<T: fmt::Debug>(result: Result<T, StateError>, expect: &str) {
    let error = result.unwrap_err();
    assert!(error.to_string().contains(expect), "{error}");
    assert_eq!(Exit::from(&error), Exit::Deferred);
}

/// Says that a test cannot do its work here; where everything has to be tested, that is a failure.
fn skip(reason: &str) {
    assert!(std::env::var_os("HOMING_TESTS").is_none_or(|tests| tests != "all"), "{reason}");
    eprintln!("skipped: {reason}");
}

#[test]
fn what_was_saved_is_loaded_by_the_next_process() {
    let scratch = Scratch::new();
    let (mut store, loaded) = opened(&scratch.dir());
    assert_eq!(loaded, Loaded::default());
    store.save(&everything()).unwrap();
    let print = store.fingerprint(&[b"a"]);
    drop(store);
    let (store, loaded) = opened(&scratch.dir());
    assert_eq!(loaded, Loaded { memory: everything(), ..Loaded::default() });
    assert_eq!(store.fingerprint(&[b"a"]), print);
}

#[test]
fn nobody_else_may_look_into_the_state() {
    let scratch = Scratch::new();
    let (mut store, _) = opened(&scratch.dir());
    store.save(&Memory::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.dir()), 0o700);
    assert_eq!(mode(&scratch.file()), 0o600);
    assert_eq!(mode(&scratch.dir().join("homing.lock")), 0o600);
}

#[test]
fn only_a_change_is_written() {
    let scratch = Scratch::new();
    let (mut store, _) = opened(&scratch.dir());
    store.save(&everything()).unwrap();
    drop(store);
    let (mut store, loaded) = opened(&scratch.dir());
    // What is not written does not come back.
    fs::remove_file(scratch.file()).unwrap();
    store.save(&loaded.memory).unwrap();
    assert!(!scratch.file().exists());
    store.save(&Memory::default()).unwrap();
    assert!(scratch.file().exists());
}

#[test]
fn reading_needs_no_directory_and_leaves_none() {
    let scratch = Scratch::new();
    let mut store = Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap();
    assert_eq!(store.load().unwrap(), Loaded::default());
    fails(store.save(&Memory::default()), "opened for reading only");
    assert!(!scratch.dir().exists());
}

#[test]
fn reading_goes_on_beside_a_lock() {
    let scratch = Scratch::new();
    let (mut store, _) = opened(&scratch.dir());
    store.save(&everything()).unwrap();
    let mut reader = Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap();
    assert_eq!(reader.load().unwrap().memory, everything());
    assert_eq!(reader.fingerprint(&[]), store.fingerprint(&[]));
}

#[test]
fn damage_is_set_aside_and_said() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir()).unwrap();
    for content in [&b"{\"version\": 1"[..], b"\xff\xfe", b""] {
        fs::write(scratch.file(), content).unwrap();
        let (mut store, loaded) = opened(&scratch.dir());
        assert_eq!(loaded.memory, Memory::default());
        let (aside, damage) = (loaded.set_aside.unwrap(), loaded.damage.unwrap());
        assert_eq!(fs::read(&aside).unwrap(), content);
        let name = aside.file_name().unwrap().to_str().unwrap();
        let digits = name.strip_prefix("state.json.damaged-").unwrap();
        assert_eq!(digits.find('-'), Some(8), "{name}");
        assert!(damage.contains("is damaged (") && damage.contains(name), "{damage}");
        store.save(&everything()).unwrap();
    }
    assert_eq!(names(&scratch.dir()).len(), 3 + 2, "all three are kept");
    let older = |name: &str| fs::write(scratch.dir().join(name), "older").unwrap();
    for when in ["20200101-000000", "20200101-000000-2", "20200101-000000-10", "mine"] {
        older(&format!("state.json.damaged-{when}"));
    }
    fs::write(scratch.file(), "newest").unwrap();
    opened(&scratch.dir());
    let kept = names(&scratch.dir());
    let kept: Vec<_> = kept.iter().filter(|name| name.contains("damaged-")).collect();
    assert_eq!(kept.len(), 4, "the newest three, and what has another name: {kept:?}");
    assert!(kept.iter().all(|name| !name.contains("2020")), "{kept:?}");
}

#[test]
fn who_only_reads_leaves_damage_where_it_is() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir()).unwrap();
    fs::write(scratch.file(), "nonsense").unwrap();
    let loaded = Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap().load().unwrap();
    assert!(loaded.damage.is_some() && loaded.set_aside.is_none());
    assert_eq!(fs::read(scratch.file()).unwrap(), b"nonsense");
}

#[test]
fn what_is_no_file_or_far_too_large_is_damage() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir()).unwrap();
    fs::create_dir(scratch.file()).unwrap();
    assert!(opened(&scratch.dir()).1.damage.unwrap().contains("it is not a file"));
    File::create(scratch.file()).unwrap().set_len(LARGEST + 1).unwrap();
    assert!(opened(&scratch.dir()).1.damage.unwrap().contains("536870913 bytes are too many"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scratch.file(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(opened(&scratch.dir()).1.damage.is_some(), "and a pipe is not waited for");
}

#[test]
fn a_newer_version_is_refused_and_never_overwritten() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir()).unwrap();
    let newer = "{\"version\": 2, \"news\": true}";
    fs::write(scratch.file(), newer).unwrap();
    let mut store = open(&scratch.dir(), LOCKED);
    let expect = "has the format 2 of a later version of Homing; install that version again";
    fails(store.load(), expect);
    fails(store.save(&everything()), expect);
    assert_eq!(fs::read_to_string(scratch.file()).unwrap(), newer);
    fails(Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap().load(), expect);
}

#[test]
fn a_state_that_nobody_has_loaded_is_loaded_before_it_is_overwritten() {
    let scratch = Scratch::new();
    let (mut store, _) = opened(&scratch.dir());
    store.save(&everything()).unwrap();
    drop(store);
    let before = fs::read(scratch.file()).unwrap();
    open(&scratch.dir(), LOCKED).save(&everything()).unwrap();
    assert_eq!(fs::read(scratch.file()).unwrap(), before, "the salt is the same");
}

#[test]
fn a_file_half_written_by_a_killed_process_is_removed() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir()).unwrap();
    fs::write(scratch.dir().join(NEW), "{").unwrap();
    opened(&scratch.dir());
    assert_eq!(names(&scratch.dir()), ["homing.lock"]);
}

#[test]
fn of_runs_that_begin_together_one_makes_the_directory_and_has_the_lock() {
    const TOGETHER: usize = 8;
    for _ in 0..50 {
        let scratch = Scratch::new();
        let (dir, start) = (scratch.dir(), Barrier::new(TOGETHER));
        let opened: Vec<_> = thread::scope(|scope| {
            let run = || {
                start.wait();
                Store::open(&dir, ONCE)
            };
            let runs: Vec<_> = (0..TOGETHER).map(|_| scope.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let refused = opened.iter().filter_map(|opened| opened.as_ref().err());
        let others: Vec<_> =
            refused.filter(|error| !matches!(error, StateError::Held { .. })).collect();
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
    }
}

#[test]
fn a_directory_that_cannot_be_made_says_the_fix() {
    let scratch = Scratch::new();
    let deep = scratch.dir().join("deep");
    let fix = format!("mkdir -p {}", scratch.dir().display());
    fails(Store::open(&deep, ONCE), &fix);
    fs::write(scratch.dir(), "").unwrap();
    fails(Store::open(&scratch.dir(), ONCE), "a part of the path is a file, not a directory");
    fails(Store::open(&deep, ONCE), "a part of the path is a file, not a directory");
    fails(Store::open(Path::new("/proc/homing"), ONCE), "cannot make /proc/homing: ");
    symlink("nowhere", scratch.0.join("link")).unwrap();
    fails(Store::open(&scratch.0.join("link"), ONCE), "cannot make ");
}

#[test]
fn a_fingerprint_tells_every_part_and_every_state_apart() {
    let scratch = Scratch::new();
    let mut store = Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap();
    let other = Store::open(&scratch.dir(), StateAccess::ReadOnly).unwrap();
    assert_ne!(store.fingerprint(&[b"a"]), other.fingerprint(&[b"a"]));
    (store.salt, store.key) = (salt(), salt().key().into());
    assert_ne!(store.fingerprint(&[b"ab", b"c"]), store.fingerprint(&[b"a", b"bc"]));
    assert_ne!(store.fingerprint(&[b"a", b""]), store.fingerprint(&[b"a"]));
    // The same in every version, or each upgrade would end all parks. By Python's hmac module.
    assert_eq!(store.fingerprint(&[b"login", b"secret"]), Fingerprint(KNOWN));
    assert!(!format!("{store:?}").contains("000102"));
}

/// `hmac.new(bytes(range(16)), b'\0'*7 + b'\x05login' + b'\0'*7 + b'\x06secret', 'sha256')`
const KNOWN: u64 = 0x3f4f_132f_d602_456f;

#[test]
fn a_thousand_hosts_are_saved_and_loaded() {
    let scratch = Scratch::new();
    let (mut store, _) = opened(&scratch.dir());
    let memory = crowd(1000, 1);
    store.save(&memory).unwrap();
    assert!(fs::metadata(scratch.file()).unwrap().len() < 512 << 10);
    drop(store);
    assert_eq!(opened(&scratch.dir()).1.memory, memory);
}

#[test]
fn who_comes_second_learns_who_has_the_lock() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    assert_eq!(running_daemon(&dir), None);
    let mut daemon = child("daemon", &dir);
    let text = format!("is in use by the daemon (process {}, since 20", daemon.0.id());
    fails(Store::open(&dir, ONCE), &text);
    fails(Store::open(&dir, LOCKED), &text);
    let running = running_daemon(&dir).unwrap();
    assert!(matches!(running, Holder::Daemon { pid, .. } if pid == daemon.0.id()));
    daemon.kill();
    assert_eq!(running_daemon(&dir), None, "a lock dies with its process");

    // Who has the lock and began in the same hundredth of a second as the daemon is taken for it,
    // under another number.
    thread::sleep(Duration::from_millis(20));
    let mut once = child("once", &dir);
    let text = format!("is in use by a run of `homing --once` (process {})", once.0.id());
    fails(Store::open(&dir, LOCKED), &text);
    assert_eq!(running_daemon(&dir), None);
    once.kill();
    open(&dir, ONCE);
}

#[test]
fn a_daemon_that_has_another_number_for_us_is_found_by_its_lock() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let mut daemon = child("daemon", &dir);
    let path = dir.join("homing.lock");
    let line = fs::read_to_string(&path).unwrap();
    let number = format!("daemon {} ", daemon.0.id());
    // As in a jail with process numbers of its own, whose first process is number 1.
    fs::write(&path, line.replace(&number, "daemon 1 ")).unwrap();
    let running = running_daemon(&dir).unwrap();
    assert!(matches!(running, Holder::Daemon { pid, .. } if pid == daemon.0.id()));
    daemon.kill();
    assert_eq!(running_daemon(&dir), None);
}

#[test]
fn a_state_survives_a_hundred_kills_during_writes() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let (mut last, mut halves) = (0, 0);
    for kill in 0..100 {
        let mut writer = child("write", &dir);
        // One of them is hit while it writes, another while it renames.
        thread::sleep(Duration::from_micros(kill * 997 % 20_000));
        writer.kill();
        halves += usize::from(dir.join(NEW).exists());
        let (_, loaded) = opened(&dir);
        assert_eq!(loaded.damage, None, "after kill {kill}");
        let marks: Vec<u32> = loaded.memory.hosts.values().map(|entry| entry.failures).collect();
        let mark = marks.first().copied().unwrap_or_default();
        assert!(marks.iter().all(|other| *other == mark), "one state, not parts of two");
        assert!(mark >= last, "what was saved once is not lost");
        last = mark;
        assert_eq!(names(&dir).iter().filter(|name| *name == NEW).count(), 0);
    }
    assert!(last >= 100, "each has written at least once: {last}");
    println!("{last} states written, {halves} of 100 kills in the middle of one");
}

#[test]
fn a_full_or_read_only_disk_keeps_the_old_state() {
    let scratch = Scratch::new();
    let dir = scratch.0.display().to_string();
    let exe = std::env::current_exe().unwrap();
    // In a mount namespace of its own, so that nothing is left behind.
    let script = format!(
        "mount -t tmpfs -o size=256k,mode=700 homing {dir} && exec {} --exact {CHILD} --nocapture",
        exe.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    command.env(CHILD_ROLE, "full").env(CHILD_DIR, &dir);
    let Ok(output) = command.output() else { return skip("unshare is missing") };
    let told = String::from_utf8_lossy(&output.stdout);
    if !told.contains("running 1 test") {
        return skip(&format!("cannot mount: {}", String::from_utf8_lossy(&output.stderr)));
    }
    assert!(output.status.success() && told.contains("done: full"), "{told}");
}

/// The part of the test above that runs on the small disk.
fn on_a_full_disk(mount: &Path) {
    let dir = mount.join("state");
    let (mut store, _) = opened(&dir);
    store.save(&crowd(10, 1)).unwrap();
    let old = fs::read(dir.join(FILE)).unwrap();
    fails(store.save(&crowd(2000, 2)), "no space is left; free some space there");
    assert_eq!(fs::read(dir.join(FILE)).unwrap(), old);
    assert_eq!(names(&dir), ["homing.lock", FILE], "the room is given back");
    store.save(&crowd(10, 3)).unwrap();
    drop(store);

    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(mount).status().unwrap();
    assert!(remounted.success());
    fails(
        Store::open(&dir, ONCE),
        "the file system is read-only; choose a writable directory with --state-dir",
    );
    fails(Store::open(&mount.join("other"), ONCE), "the file system is read-only");
    let loaded = Store::open(&dir, StateAccess::ReadOnly).unwrap().load().unwrap();
    assert_eq!(loaded.memory, crowd(10, 3));
    println!("done: full");
}

const CHILD: &str = "state::tests::child_process";
const CHILD_ROLE: &str = "HOMING_TEST_ROLE";
const CHILD_DIR: &str = "HOMING_TEST_DIR";

/// A process that is killed at the end of the test, if not before.
struct Killed(Child);

impl Killed {
    #[track_caller]
    fn kill(&mut self) {
        self.0.kill().unwrap();
        assert_eq!(self.0.wait().unwrap().signal(), Some(9), "it was alive until now");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This very program, in `role`, once it is ready.
fn child(role: &str, dir: &Path) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--nocapture"]).stdout(Stdio::piped());
    command.env(CHILD_ROLE, role).env(CHILD_DIR, dir);
    let mut child = Killed(command.spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(ready, "the child has ended");
    child
}

#[test]
fn child_process() {
    let Ok(role) = std::env::var(CHILD_ROLE) else { return };
    let dir = PathBuf::from(std::env::var_os(CHILD_DIR).unwrap());
    let wait_for_the_end = || {
        println!("ready");
        thread::sleep(Duration::from_secs(60));
    };
    match role.as_str() {
        "daemon" => {
            let _store = open(&dir, LOCKED);
            wait_for_the_end();
        }
        "once" => {
            let _store = open(&dir, ONCE);
            wait_for_the_end();
        }
        "write" => {
            let (mut store, loaded) = opened(&dir);
            let first = loaded.memory.hosts.values().next();
            let mark = first.map_or(0, |entry| entry.failures);
            store.save(&crowd(100, mark + 1)).unwrap();
            println!("ready");
            for mark in mark + 2.. {
                store.save(&crowd(100, mark)).unwrap();
            }
        }
        "full" => on_a_full_disk(&dir),
        other => panic!("no such role: {other}"),
    }
}
