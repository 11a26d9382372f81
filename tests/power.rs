//! A cut of power at any moment: each file that Homing keeps is its old whole content or the new one, and
//! what Homing has said to anybody is not forgotten. The real binary is recorded; the disk is rebuilt as
//! every step might leave it where all that was not synced may be lost (`support/power.rs`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{home, netns, power, sandbox};
use home::{Home, Ran, Signal};
use power::{Content, Disk, Image, Loss, Recorder, Step};
use sandbox::{Account, Sandbox, Scripted};

/// The lock of the state; a daemon that begins takes its content, if it can be one.
const LOCK: &str = "state/homing.lock";

/// Notes that a cut may take: who holds the lock, and what was said once.
const NOTES: &[&str] = &[LOCK, "state/homing.told", "state/homing.wrong"];

/// The files that tests write while Homing runs.
const OURS: &[&str] = &["address", "config.toml", "log"];

/// How many times chance decides what a cut takes after one step.
const CHANCES: u64 = 8;

/// How many starts of Homing follow on a test's cuts.
const STARTS: usize = 24;

/// A file that Homing keeps, and what every whole content of it fulfils.
struct Kept {
    path: &'static str,
    is_whole: fn(&str) -> bool,
}

/// All cuts of what was recorded.
struct Cuts {
    count: usize,
    /// What they leave, each once, with the first step and the loss.
    distinct: BTreeMap<Image, (usize, Loss)>,
}

impl Cuts {
    /// At most so many of the distinct ones, from all over.
    fn sample(&self, count: usize) -> impl Iterator<Item = (&Image, &(usize, Loss))> {
        self.distinct.iter().step_by(self.distinct.len().div_ceil(count).max(1))
    }
}

/// Cuts the power after every step, in several ways, and checks what is left of `kept`.
#[track_caller]
fn cut_everywhere(recorder: &Recorder, home: &Home, kept: &[Kept]) -> Cuts {
    let (mut disk, mut steps) = (recorder.before(), recorder.steps());
    // Whoever has seen the program end may rely on what it did.
    steps.push(Step::Said);
    let wholes: Vec<_> = kept.iter().map(|kept| wholes(&disk, &steps, kept)).collect();
    let mut cuts = Cuts { count: 0, distinct: BTreeMap::new() };
    for (at, step) in steps.iter().enumerate() {
        disk.take(step);
        if *step == Step::Said {
            check_promise(&disk, at, &steps);
            continue;
        }
        let seeds = (0..CHANCES).map(|seed| Loss::Chance(CHANCES * at as u64 + seed));
        let all = [Loss::Everything, Loss::Data, Loss::Bytes, Loss::Nothing];
        for loss in all.into_iter().chain(seeds) {
            let image = disk.after(loss);
            for (kept, wholes) in kept.iter().zip(&wholes) {
                let left = content(&image, kept.path);
                assert!(
                    wholes[at].contains(&left),
                    "a cut after step {at} ({step:?}, {loss:?}) leaves of {}: {}\n{}",
                    kept.path,
                    shown(left.as_ref()),
                    story(&steps[..=at])
                );
            }
            cuts.count += 1;
            cuts.distinct.entry(image).or_insert((at, loss));
        }
    }
    check_record(&disk, home);
    cuts
}

/// The whole contents that the file may have after a cut at each step: the one that it had when
/// something was said the last time, or one that it got on the way to what was said next.
#[track_caller]
fn wholes(before: &Disk, steps: &[Step], kept: &Kept) -> Vec<BTreeSet<Option<Content>>> {
    let mut disk = before.clone();
    let mut now = content(&disk.after(Loss::Nothing), kept.path);
    let mut all = Vec::new();
    for part in steps.split_inclusive(|step| *step == Step::Said) {
        let mut wholes = BTreeSet::from([now]);
        for step in part {
            disk.take(step);
            let is_whole = match step {
                Step::Said => true,
                Step::SyncNames { directory } => Path::new(kept.path).parent() == Some(directory),
                _ => false,
            };
            if is_whole {
                wholes.insert(content(&disk.after(Loss::Nothing), kept.path));
            }
        }
        for whole in wholes.iter().flatten() {
            let text = String::from_utf8_lossy(&whole.bytes);
            assert!((kept.is_whole)(&text), "{} holds {text}", kept.path);
        }
        now = content(&disk.after(Loss::Nothing), kept.path);
        all.extend(part.iter().map(|_| wholes.clone()));
    }
    all
}

/// Checks that nothing was said while a file was not safe. An empty file holds nothing that could be lost,
/// and one that was removed may come back.
#[track_caller]
fn check_promise(disk: &Disk, at: usize, steps: &[Step]) {
    let safe = disk.after(Loss::Everything);
    for (path, content) in disk.after(Loss::Nothing) {
        let is_note = NOTES.iter().any(|note| Path::new(note) == path);
        let Some(content) = content.filter(|content| !content.bytes.is_empty() && !is_note) else {
            continue;
        };
        assert_eq!(
            shown(safe.get(&path).cloned().flatten().as_ref()),
            shown(Some(&content)),
            "{} is not safe when something is said in step {at}\n{}",
            path.display(),
            story(&steps[..=at])
        );
    }
}

/// Checks that the record tells everything that was done: it leads to the files as they are.
#[track_caller]
fn check_record(disk: &Disk, home: &Home) {
    let told = |mut image: Image| {
        OURS.iter().for_each(|ours| drop(image.remove(Path::new(ours))));
        image
    };
    assert_eq!(told(disk.after(Loss::Nothing)), told(power::image(&home.path(""))));
}

fn content(image: &Image, path: &str) -> Option<Content> {
    image.get(Path::new(path)).cloned().flatten()
}

fn shown(content: Option<&Content>) -> String {
    content.map_or("nothing".to_owned(), |content| {
        format!("({:04o}) {:?}", content.mode, String::from_utf8_lossy(&content.bytes))
    })
}

/// The last steps, for people.
fn story(steps: &[Step]) -> String {
    let last = &steps[steps.len().saturating_sub(20)..];
    let lines: Vec<_> = last.iter().map(|step| format!("  {:.160}", format!("{step:?}"))).collect();
    lines.join("\n")
}

/// A recorder for `home`; says so where there can be none.
fn recorder(test: &str, home: &Home) -> Option<Recorder> {
    let recorder = Recorder::new(home);
    if recorder.is_none() {
        netns::skip(test, "needs a C compiler");
    }
    recorder
}

/// Runs Homing with these arguments, recorded, to its end with `code`.
#[track_caller]
fn run(recorder: &Recorder, home: &Home, arguments: &[&str], code: i32) -> Ran {
    finish(recorder, home.command(arguments), code)
}

/// Runs `command`, recorded, to its end with `code`.
#[track_caller]
fn finish(recorder: &Recorder, mut command: Command, code: i32) -> Ran {
    recorder.watch(&mut command);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, code, "{ran:#?}");
    ran
}

/// A home after the cut, with what tests have written in `home` until now.
fn after_cut(image: &Image, home: &Home) -> Home {
    let mut image = image.clone();
    let now = power::image(&home.path(""));
    image.extend(OURS.iter().filter_map(|ours| now.get_key_value(Path::new(ours)).map(owned)));
    power::home_of(&image)
}

fn owned((path, content): (&PathBuf, &Option<Content>)) -> (PathBuf, Option<Content>) {
    (path.clone(), content.clone())
}

/// Runs `--once` after the cut, which must find nothing strange.
#[track_caller]
fn once_after(image: &Image, home: &Home, what: &impl std::fmt::Debug) -> Home {
    let next = after_cut(image, home);
    let ran = next.once();
    let said = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, 0, "{what:?}: {ran:#?}");
    for complaint in ["damaged", "cannot", "anew", "no lock"] {
        assert!(!said.contains(complaint), "{what:?}: {ran:#?}");
    }
    next
}

fn address_of(last: u8) -> String {
    format!("198.51.100.{last}")
}

/// Runs a daemon, recorded, that sees these addresses one after the other until each of them `is_set`; in
/// the end a run of `--once` meets it.
#[track_caller]
fn daemon_sees(
    recorder: &Recorder,
    home: &Home,
    addresses: Range<u8>,
    is_set: impl Fn(u8) -> bool,
) {
    let mut command = home.command(&["-v"]);
    recorder.watch(&mut command);
    let daemon = home.daemon_of(command);
    let wait_for_end = || daemon.wait_until("end", |log| log.ends_with("the round is over\n"));
    wait_for_end();
    for last in addresses {
        home.write("address", &address_of(last), 0o600);
        daemon.signal(Signal::USR1);
        home::wait_until("update", || is_set(last), || daemon.log());
        wait_for_end();
    }
    run(recorder, home, &["--once"], 75);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

/// The host at the sandbox.
const HOST: &str = "dev1.dyn.example.com";

fn is_state(text: &str) -> bool {
    text.starts_with("{\n") && text.contains("\"checksum\": \"") && text.ends_with("\n}\n")
}

#[test]
fn the_state_is_the_old_one_or_the_new_one() {
    let mut account = Account::new("owner@example.com");
    account.throttled = false;
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &[HOST]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), home::DEV1);
    let config = home.read("config.toml").replace("ipv6 = \"here\"", "ipv6 = \"off\"");
    let config = config.replace("\"desec\"\n", "\"desec\"\npace = \"100/1s\"\n");
    let config =
        config.replace("static = [\"198.51.100.7\", \"2001:db8::7\"]", "file = \"address\"");
    home.configure(&config);
    let Some(recorder) = recorder("the_state_is_the_old_one_or_the_new_one", &home) else { return };
    let address = |last| home.write("address", &address_of(last), 0o600);
    for last in 1..=4 {
        address(last);
        run(&recorder, &home, &["--once"], 0);
        run(&recorder, &home, &["--once"], 0);
    }
    home.configure(&config.replace("[[host]]", "[[hast]]"));
    run(&recorder, &home, &["--once"], 78);
    home.configure(&config);
    for first in [5, 8] {
        let is_set = |last| sandbox.records(HOST, "A") == [address_of(last)];
        daemon_sees(&recorder, &home, first..first + 3, is_set);
    }
    let sound = recorder.steps().len();
    sandbox.answer_next(Scripted::lost_answer());
    address(11);
    run(&recorder, &home, &["--once"], 75);

    let kept = Kept { path: "state/state.json", is_whole: is_state };
    let cuts = cut_everywhere(&recorder, &home, &[kept]);
    assert!(cuts.count >= 1000, "only {} cuts", cuts.count);
    address(12);
    for (image, at) in cuts.sample(STARTS).filter(|(_, (at, _))| *at < sound) {
        let next = once_after(image, &home, at);
        assert_eq!(sandbox.records(HOST, "A"), [address_of(12)]);
        assert!(is_state(&next.read("state/state.json")));
    }
    // Each form that a lock may have, and not each moment that it may tell.
    let form = |lock: &Content| {
        let text = String::from_utf8_lossy(&lock.bytes).into_owned();
        (text.len(), text.matches('\0').count(), text.ends_with('\n'))
    };
    let locks = cuts.distinct.keys().filter_map(|image| Some((content(image, LOCK)?, image)));
    let locks: BTreeMap<_, _> = locks.map(|(lock, image)| (form(&lock), image)).collect();
    assert!(locks.len() > STARTS, "{} forms of a lock", locks.len());
    for image in locks.values().step_by(locks.len() / STARTS) {
        let next = after_cut(image, &home);
        let daemon = next.daemon();
        daemon.wait_for("the round is over");
    }
}

#[test]
fn a_hosts_file_is_the_old_one_or_the_new_one_with_every_line_of_others() {
    const TEST: &str = "a_hosts_file_is_the_old_one_or_the_new_one_with_every_line_of_others";
    const FIRST: &str = "127.0.0.1\tlocalhost\n# the printer moves in spring\n";
    const LAST: &str = "192.0.2.8\tprinter.lan printer\n::1\tlocalhost ip6-localhost\n";
    let host = |name: &str, path: &str| {
        format!(
            "[[host]]\nname = \"{name}.example\"\nprovider = \"hosts-file\"\npath = \"{path}\"\n\
             ipv4 = \"here\"\nipv6 = \"off\"\n"
        )
    };
    let hosts = [host("a", "etc/hosts"), host("b", "etc/hosts"), host("c", "etc/ours")].concat();
    let home =
        Home::new(&format!("[source.here]\nfile = \"address\"\nallow-private = true\n\n{hosts}"));
    fs::create_dir(home.path("etc")).unwrap();
    home.write("etc/hosts", &format!("{FIRST}192.0.2.9\ta.example\t# homing\n{LAST}"), 0o644);
    let Some(recorder) = recorder(TEST, &home) else { return };
    for last in 1..=6 {
        home.write("address", &address_of(last), 0o600);
        run(&recorder, &home, &["--once"], 0);
    }
    daemon_sees(&recorder, &home, 7..10, |last| {
        ["etc/hosts", "etc/ours"].iter().all(|file| home.read(file).contains(&address_of(last)))
    });

    let is_ours = |text: &str| text.ends_with(".example\t# homing\n") && text.lines().count() == 1;
    let kept = [
        Kept {
            path: "etc/hosts",
            is_whole: |text| text.starts_with(FIRST) && text.contains(LAST) && text.ends_with('\n'),
        },
        Kept { path: "etc/ours", is_whole: is_ours },
        Kept { path: "state/state.json", is_whole: is_state },
    ];
    let cuts = cut_everywhere(&recorder, &home, &kept);
    assert!(cuts.count >= 1000, "only {} cuts", cuts.count);
    let modes = cuts.distinct.keys().filter_map(|image| Some(content(image, "etc/hosts")?.mode));
    assert_eq!(modes.collect::<BTreeSet<_>>(), BTreeSet::from([0o644]));
    home.write("address", &address_of(10), 0o600);
    for (image, at) in cuts.sample(STARTS) {
        let next = once_after(image, &home, at);
        let line = |name: &str| format!("{}\t{name}.example\t# homing\n", address_of(10));
        let all = format!("{FIRST}{LAST}{}{}", line("a"), line("b"));
        assert_eq!((next.read("etc/hosts"), next.read("etc/ours")), (all, line("c")), "{at:?}");
    }
}

#[cfg(feature = "tokens")]
mod tokens {
    use std::iter;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::support::{account, rails};
    use account::{DEV1, HOST, ZONE, desk, ours, the_one, token_command};
    use rails::world::MINTER;
    use rails::{Rails, Release, World};
    use sandbox::{Api, Token};

    const ISSUE: &[&str] = &["issue", HOST];
    const ROTATE: &[&str] = &["rotate", HOST];

    fn is_secret(text: &str) -> bool {
        text.len() > 16 && text.ends_with('\n') && text.lines().count() == 1
    }

    fn is_receipt(text: &str) -> bool {
        text.starts_with("{\n") && text.contains("\"fingerprint\"") && text.ends_with("\n}\n")
    }

    fn kept() -> Vec<Kept> {
        vec![
            Kept { path: "token", is_whole: is_secret },
            Kept { path: "token.old", is_whole: is_secret },
            Kept { path: "token.receipt", is_whole: is_receipt },
        ]
    }

    #[test]
    fn receipts_and_secrets_are_the_old_ones_or_the_new_ones() {
        let (sandbox, home) = desk(Api::Current, DEV1);
        let by_hand = "made-by-hand-in-the-browser";
        sandbox.with_account(|account| account.tokens.push(Token::management("mine", by_hand)));
        home.secret("token", by_hand);
        let test = "receipts_and_secrets_are_the_old_ones_or_the_new_ones";
        let Some(recorder) = recorder(test, &home) else { return };
        let run = |arguments| finish(&recorder, token_command(&home, arguments), 0);
        run(ISSUE);
        assert_eq!(home.read("token.old").trim(), by_hand);
        for _ in 0..2 {
            run(ROTATE);
            run(ISSUE);
        }
        run(&["audit", HOST]);
        run(&["revoke", HOST]);
        run(ISSUE);
        super::run(&recorder, &home, &["--once"], 0);
        let cuts = cut_everywhere(&recorder, &home, &kept());
        assert!(cuts.count >= 1000, "only {} cuts", cuts.count);
        for (image, at) in cuts.sample(STARTS) {
            let next = after_cut(image, &home);
            let ran = next.run(&["check"]);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(!said.contains("damaged") && !said.contains("cannot"), "{at:?}: {ran:#?}");
        }
    }

    /// Cuts a run of `command` after each of its changes, and checks that the secret in use, if any, works
    /// and that the next run ends with the one token.
    #[track_caller]
    fn cut_and_go_on(test: &str, begun: impl Fn() -> (Sandbox, Home) + Sync, command: &[&str]) {
        const AT_ONCE: usize = 12;
        let (_sandbox, home) = begun();
        let Some(model) = recorder(test, &home) else { return };
        finish(&model, token_command(&home, command), 0);
        let changes = model.steps().iter().filter(|step| **step != Step::Said).count();
        assert!(changes > AT_ONCE, "only {changes} changes");
        let next = AtomicUsize::new(1);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    // They wait most of the time: Homing keeps deSEC's pace.
                    let (sandbox, home) = begun();
                    let account = sandbox.with_account(|account| account.clone());
                    let image = power::image(&home.path(""));
                    let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                    for number in numbers.take_while(|number| *number <= changes) {
                        sandbox.with_account(|now| *now = account.clone());
                        let home = power::home_of(&image);
                        cut_at(&sandbox, &model.again(&home), &home, command, number);
                    }
                });
            }
        });
    }

    fn cut_at(
        sandbox: &Sandbox,
        recorder: &Recorder,
        home: &Home,
        command: &[&str],
        number: usize,
    ) {
        let mut cut = token_command(home, command);
        recorder.cut(&mut cut, number);
        assert_eq!(cut.output().unwrap().status.code(), Some(137));
        sandbox.await_quiet().unwrap();
        let account = sandbox.with_account(|account| account.clone());
        let (mut disk, steps) = (recorder.before(), recorder.steps());
        steps.iter().for_each(|step| disk.take(step));
        let losses = [Loss::Everything, Loss::Data, Loss::Chance(number as u64)];
        for image in BTreeSet::from(losses.map(|loss| disk.after(loss))) {
            sandbox.with_account(|now| *now = account.clone());
            let (home, story) = (power::home_of(&image), story(&steps));
            let (used, tokens) = (home.read("token"), ours(sandbox));
            let works = tokens.iter().any(|token| token.secret == used.trim());
            assert!(used.is_empty() || works, "{used:?} {tokens:#?}\n{story}");
            let ran = Ran::from(token_command(&home, command).output().unwrap());
            assert_eq!(ran.code, 0, "{ran:#?}\n{story}");
            assert!(is_of_file(&the_one(sandbox), &home), "{ran:#?}\n{story}");
            let names: Vec<_> = power::image(&home.path("")).into_keys().collect();
            assert_eq!(
                names,
                ["config.toml", "token", "token.receipt"].map(PathBuf::from),
                "{story}"
            );
        }
    }

    fn is_of_file(token: &Token, home: &Home) -> bool {
        token.secret == home.read("token").trim() && home.read("token.receipt").contains(&token.id)
    }

    #[test]
    fn a_token_that_was_being_made_when_the_power_failed_is_made_by_the_next_run() {
        let test = "a_token_that_was_being_made_when_the_power_failed_is_made_by_the_next_run";
        cut_and_go_on(test, || desk(Api::Current, DEV1), ISSUE);
    }

    #[test]
    fn a_token_that_was_being_replaced_when_the_power_failed_is_replaced_by_the_next_run() {
        const TEST: &str =
            "a_token_that_was_being_replaced_when_the_power_failed_is_replaced_by_the_next_run";
        let begun = || {
            let (sandbox, home) = desk(Api::Current, DEV1);
            assert_eq!(account::token(&home, ISSUE).code, 0);
            (sandbox, home)
        };
        cut_and_go_on(TEST, begun, ROTATE);
    }

    #[test]
    fn receipts_and_secrets_of_powerdns_on_rails_are_the_old_ones_or_the_new_ones() {
        const AT: &str = "dev1.example.com";
        let mut world = World::new(Release::Later);
        world.add_domain("example.com");
        world.add_record(AT, "A", "192.0.2.1");
        let rails = Rails::start(world).unwrap();
        let home = Home::new(&format!(
            "[provider.house]\nprotocol = \"powerdns-on-rails\"\nserver = \"{}\"\n\n\
             [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
             [[host]]\nname = \"{AT}\"\nprovider = \"house\"\nzone = \"example.com\"\n\
             token-file = \"token\"\nipv4 = \"here\"\nipv6 = \"off\"\n",
            rails.url()
        ));
        home.secret("password", MINTER.1);
        let test = "receipts_and_secrets_of_powerdns_on_rails_are_the_old_ones_or_the_new_ones";
        let Some(recorder) = recorder(test, &home) else { return };
        let file = home.path("password").display().to_string();
        let user = ["--management-user", MINTER.0, "--management-password-file", &file];
        for action in ["issue", "rotate", "rotate", "audit", "revoke", "issue"] {
            let user = if ["audit", "revoke"].contains(&action) { &[][..] } else { &user };
            run(&recorder, &home, &[&["token", action, AT], user].concat(), 0);
        }
        let cuts = cut_everywhere(&recorder, &home, &kept());
        assert!(cuts.count >= 500, "only {} cuts", cuts.count);
    }

    #[test]
    fn a_key_that_was_shown_is_not_forgotten() {
        // Nobody listens there: a key waits until the server knows it.
        let home = Home::new(&format!(
            "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"127.0.0.1:1\"\n\n\
             [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
             [[host]]\nname = \"{HOST}\"\nzone = \"{ZONE}\"\nprovider = \"own\"\nkey-file = \"key\"\n\
             ipv4 = \"here\"\nipv6 = \"off\"\n"
        ));
        let Some(recorder) = recorder("a_key_that_was_shown_is_not_forgotten", &home) else {
            return;
        };
        for command in [ISSUE, ROTATE, ROTATE] {
            finish(&recorder, token_command(&home, command), 75);
        }
        assert!(home.read("key.new").contains("secret"));
        let is_whole = |text: &str| text.starts_with("key \"") && text.ends_with("};\n");
        let cuts = cut_everywhere(&recorder, &home, &[Kept { path: "key", is_whole }]);
        assert!(cuts.count >= 100, "only {} cuts", cuts.count);
    }
}

#[cfg(feature = "import")]
#[test]
fn a_secret_that_was_imported_is_not_forgotten() {
    let home = Home::new("");
    let old = "server=update.dedyn.io login=a password=hunter-one one.example.com\n\
               server=dynv6.com login=b password=hunter-two two.example.com\n";
    home.write("old.conf", old, 0o600);
    let Some(recorder) = recorder("a_secret_that_was_imported_is_not_forgotten", &home) else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.args(["import", "ddclient", "old.conf", "--secrets-dir", "secrets"]);
    finish(
        &recorder,
        {
            command.env_clear().current_dir(home.path(""));
            command
        },
        0,
    );
    let is_whole = |text: &str| text.starts_with("hunter-") && text.ends_with('\n');
    let paths = ["secrets/one.example.com.token", "secrets/two.example.com.token"];
    let cuts = cut_everywhere(&recorder, &home, &paths.map(|path| Kept { path, is_whole }));
    assert!(cuts.count >= 100, "only {} cuts", cuts.count);
}

#[cfg(feature = "init")]
#[test]
fn a_first_configuration_is_whole_or_not_there() {
    let home = Home::new("");
    fs::remove_file(home.path("config.toml")).unwrap();
    home.secret("given", "hunter-one");
    let Some(recorder) = recorder("a_first_configuration_is_whole_or_not_there", &home) else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.args(["init", "one.example.com", "--provider", "desec", "--token-file", "given"]);
    command.args(["--config", "new/config.toml", "--state-dir", "state"]);
    command.args(["--ipv4", "lo", "--ipv6", "off"]);
    command.env_clear().current_dir(home.path(""));
    finish(&recorder, command, 0);
    let is_secret = |text: &str| text == "hunter-one\n";
    let is_config =
        |text: &str| text.starts_with("# The first host") && text.ends_with("ipv6 = \"off\"\n");
    let kept = [
        Kept { path: "new/one.example.com.token", is_whole: is_secret },
        Kept { path: "new/config.toml", is_whole: is_config },
    ];
    let cuts = cut_everywhere(&recorder, &home, &kept);
    assert!(cuts.count >= 100, "only {} cuts", cuts.count);
}
