//! A family that this machine has no more: its record is kept, or removed where that is wanted,
//! known and due.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::{home, netns, sandbox};
use home::{Home, Ran};
use netns::{in_namespace, ip};
use sandbox::{Account, Sandbox, Scripted};

const HOST: &str = "dev1.dyn.example.com";
const REMOVE: &str = "when-gone = \"remove\"\ngone-after = \"1m\"\n";
const LONG_AGO: &str = "2026-01-01T00:00:00.000Z";

/// What stands for a family that has gone: an interface that is not there.
const GONE: &str = "[source.gone]\ninterface = \"homing9\"\n";

/// A server without limits of pace and a home whose hosts have both records there.
struct Scene {
    sandbox: Sandbox,
    home: Home,
    /// The configuration around the sources of the hosts, for which `{4}` and `{6}` stand.
    template: String,
}

impl Scene {
    /// Both records of `hosts` set at a deSEC, with these settings of theirs.
    fn desec(hosts: &[&str], settings: &str) -> Self {
        let provider = "protocol = \"desec\"\nserver = \"SERVER\"\npace = \"off\"\n";
        let host = format!("name = {hosts:?}\nprovider = \"server\"\ntoken-file = \"token\"\n");
        Self::new(hosts, provider, &format!("{host}{settings}"))
    }

    fn new(hosts: &[&str], provider: &str, host: &str) -> Self {
        up_for_a_minute();
        let mut account = Account::new("owner@example.com");
        account.throttled = false;
        account.add_zone("dyn.example.com");
        account.add_host_token("dev1", "s3cret-of-dev1", hosts).unwrap();
        let sandbox = Sandbox::start(account).unwrap();
        let provider =
            provider.replace("SERVER", &sandbox.url()).replace("UPDATE", &sandbox.update_url());
        let template = format!(
            "[provider.server]\n{provider}\n{GONE}\n\
             [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
             [[host]]\n{host}\nipv4 = \"{{4}}\"\nipv6 = \"{{6}}\"\n"
        );
        let home = Home::new("");
        home.secret("token", "s3cret-of-dev1");
        let scene = Self { sandbox, home, template };
        scene.take("here", "here");
        scene.check(0, 1);
        scene
    }

    /// Lets the hosts take their addresses from these sources from now on.
    fn take(&self, v4: &str, v6: &str) {
        self.home.configure(&self.template.replace("{4}", v4).replace("{6}", v6));
    }

    /// Lets the families without an address have gone long ago, after a round that finds them gone.
    #[track_caller]
    fn let_go(&self, v4: &str, v6: &str) {
        self.take(v4, v6);
        self.check(75, 1);
        backdate(&self.home);
    }

    /// A round that ends with `code`, after which the server has got so many updates.
    #[track_caller]
    fn check(&self, code: i32, updates: usize) -> Ran {
        self.check_run(&["--once"], code, updates)
    }

    #[track_caller]
    fn check_run(&self, arguments: &[&str], code: i32, updates: usize) -> Ran {
        let ran = self.home.run(arguments);
        let state = self.home.read("state/state.json");
        assert_eq!(ran.code, code, "{ran:#?}\n{state}");
        assert_eq!(self.sandbox.updates().len(), updates, "{ran:#?}\n{state}");
        ran
    }

    /// The parameters of the last update.
    fn asked(&self) -> (Option<String>, Option<String>) {
        let updates = self.sandbox.updates();
        let parameter = |name| updates.last().unwrap().parameter(name).map(str::to_owned);
        (parameter("myipv4"), parameter("myipv6"))
    }

    #[track_caller]
    fn expect_records(&self, v4: &[&str], v6: &[&str]) {
        assert_eq!(self.sandbox.records(HOST, "A"), v4);
        assert_eq!(self.sandbox.records(HOST, "AAAA"), v6);
    }
}

/// Moves the moment since which families are gone.
#[track_caller]
fn backdate(home: &Home) {
    const BEGIN: &str = "\"gone-since\": \"";
    let state = home.read("state/state.json");
    let mut parts = state.split(BEGIN);
    let mut moved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        moved.push_str(&format!("{BEGIN}{LONG_AGO}{}", &part[part.find('"').unwrap()..]));
    }
    assert_ne!(moved, state, "nothing has gone");
    home.write("state/state.json", &moved, 0o600);
}

/// A run that looks once goes by how long the machine is up: waits on one that has only begun.
fn up_for_a_minute() {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    thread::sleep(Duration::from_secs_f64((61.0 - seconds).max(0.0)));
}

fn answered(v4: &str, v6: &str) -> (Option<String>, Option<String>) {
    (Some(v4.to_owned()), Some(v6.to_owned()))
}

#[test]
fn a_record_goes_when_its_time_is_over_and_comes_back_with_the_address() {
    let scene = Scene::desec(&[HOST], REMOVE);
    let said = scene.home.path("said");
    let told = "echo \"4=$HOMING_IPV4 6=$HOMING_IPV6 old=$HOMING_OLD_IPV6\" >>\"$0\"";
    let hook = format!("on-change = [\"sh\", \"-c\", '{told}', \"{}\"]\nipv4", said.display());
    let scene = Scene { template: scene.template.replacen("ipv4", &hook, 1), ..scene };

    scene.take("here", "gone");
    let ran = scene.check(75, 1);
    assert!(ran.out.contains("IPv6 unchanged until the address has been gone for 1m"), "{ran:?}");
    scene.check(75, 1);
    backdate(&scene.home);
    for arguments in [&["check"][..], &["--once", "--dry-run"]] {
        let ran = scene.check_run(arguments, 0, 1);
        let words = "would remove AAAA 2001:db8::7 at server: gone since 2026-01-01";
        assert!(ran.out.contains(words), "{ran:?}");
    }
    let ran = scene.check(0, 2);
    assert!(ran.out.contains("IPv6 removed (was 2001:db8::7)"), "{ran:?}");
    assert_eq!(scene.asked(), answered("198.51.100.7", ""));
    scene.expect_records(&["198.51.100.7"], &[]);
    assert_eq!(scene.home.read("said"), "4=198.51.100.7 6= old=2001:db8::7\n");

    let ran = scene.check(0, 2);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "it is right so");
    let status = scene.check_run(&["status"], 0, 2).out;
    assert!(status.contains("IPv6  removed ") && status.contains(" ago\n"), "{status}");
    let status = scene.check_run(&["status", "--json"], 0, 2).out;
    assert!(status.contains("\"ipv6\":{\"set\":[],\"since\":\"20"), "{status}");

    scene.take("here", "here");
    scene.check(0, 3);
    scene.expect_records(&["198.51.100.7"], &["2001:db8::7"]);
    assert!(!scene.home.read("state/state.json").contains("removed"));
}

#[test]
fn a_record_is_kept_unless_the_host_wants_otherwise() {
    let scene = Scene::desec(&[HOST], "");
    scene.take("here", "gone");
    let ran = scene.check(75, 1);
    assert!(ran.out.contains("IPv6 left as it is: there is no interface homing9"), "{ran:?}");
    assert!(!scene.home.read("state/state.json").contains("gone-since"));
}

#[test]
fn nothing_goes_soon_after_a_start_of_the_machine() {
    let scene = Scene::desec(&[HOST], "when-gone = \"remove\"\ngone-after = \"300d\"\n");
    scene.let_go("here", "gone");
    // As old as the wait is long, but the machine is not up for so long.
    scene.check(75, 1);
}

#[test]
fn what_is_only_unknown_never_goes_and_begins_the_time_anew() {
    let scene = Scene::desec(&[HOST], REMOVE);
    scene.let_go("here", "gone");
    let state = scene.home.read("state/state.json");
    for kind in [
        "web = [\"http://[::1]:9/\"]",
        "stun = [\"[::1]:9\"]",
        "dns = [{ server = \"[::1]:9\", name = \"a.example\" }]",
        "file = \"nowhere\"",
        "command = [\"false\"]",
    ] {
        scene.home.write("state/state.json", &state, 0o600);
        let source = format!("[source.gone]\n{kind}\n");
        let config = scene.template.replace(GONE, &source);
        scene.home.configure(&config.replace("{4}", "here").replace("{6}", "gone"));
        scene.check(75, 1);
        assert!(!scene.home.read("state/state.json").contains("gone-since"), "{kind}");
    }
    scene.take("here", "gone");
    scene.check(75, 1);
}

#[test]
fn never_both_go() {
    let scene = Scene::desec(&[HOST], REMOVE);
    scene.let_go("gone", "gone");
    let ran = scene.check(75, 1);
    assert_eq!(ran.out, "", "nothing new");
    // The one that comes back is set first, and then stays.
    scene.take("here", "gone");
    scene.check(0, 2);
    scene.take("gone", "gone");
    scene.check(75, 2);
    scene.expect_records(&["198.51.100.7"], &[]);
}

#[test]
fn a_removal_that_is_refused_parks_its_own_record_only() {
    let scene = Scene::desec(&[HOST], REMOVE);
    scene.sandbox.with_account(|account| {
        let token = account.tokens.iter_mut().find(|token| token.name == "dev1").unwrap();
        token.policies.retain(|policy| policy.kind.as_deref() != Some("AAAA"));
    });
    scene.let_go("here", "gone");
    let ran = scene.check(77, 3);
    assert!(ran.out.contains("IPv6: rejected, the credential may not write"), "{ran:?}");
    assert_eq!(scene.asked(), answered("preserve", ""), "both, then one by one");
    scene.check(77, 3);
    let scene = Scene { template: scene.template.replace("198.51.100.7", "198.51.100.8"), ..scene };
    scene.take("here", "gone");
    scene.check(77, 4);
    scene.expect_records(&["198.51.100.8"], &["2001:db8::7"]);
}

#[test]
fn a_removal_without_an_answer_is_repeated_or_taken_back() {
    for (v6, code, asked, records) in
        [("gone", 0, "", &[][..]), ("here", 0, "2001:db8::7", &["2001:db8::7"])]
    {
        let scene = Scene::desec(&[HOST], REMOVE);
        scene.let_go("here", "gone");
        scene.sandbox.answer_next(Scripted::lost_answer());
        let ran = scene.check(75, 2);
        assert!(ran.out.contains("could not confirm"), "{ran:?}");
        let status = scene.check_run(&["status"], 75, 2).out;
        assert!(status.contains("2001:db8::7") && status.contains("its removal sent"), "{status}");
        scene.take("here", v6);
        scene.check(75, 2);
        scene.check_run(&["--once", "--retry-rejected"], code, 3);
        assert_eq!(scene.asked().1.as_deref(), Some(asked));
        scene.expect_records(&["198.51.100.7"], records);
    }
}

#[test]
fn hosts_of_one_token_lose_their_records_in_one_request() {
    let scene = Scene::desec(&[HOST, "www.dyn.example.com"], REMOVE);
    scene.let_go("here", "gone");
    scene.check(0, 2);
    assert_eq!(scene.asked(), answered("198.51.100.7", ""));
    scene.expect_records(&["198.51.100.7"], &[]);
    assert_eq!(scene.sandbox.records("www.dyn.example.com", "AAAA"), [""; 0]);
}

#[test]
fn where_leaving_a_family_out_deletes_a_record_goes_beside_the_other_one() {
    let provider = "protocol = \"dyndns2\"\nupdate-url = \"UPDATE\"\nlogin = \"host\"\n\
                    ipv4-parameter = \"myipv4\"\nipv6-parameter = \"myipv6\"\nomit = \"delete\"\n";
    let host = format!("name = \"{HOST}\"\nprovider = \"server\"\npassword-file = \"token\"\n");
    let scene = Scene::new(&[HOST], provider, &format!("{host}{REMOVE}"));
    scene.let_go("here", "gone");
    scene.check(0, 2);
    assert_eq!(scene.asked(), (Some("198.51.100.7".to_owned()), None));
    scene.expect_records(&["198.51.100.7"], &[]);
    scene.check(0, 2);
}

#[test]
fn a_line_of_a_hosts_file_goes_and_foreign_ones_stay() {
    up_for_a_minute();
    let config = |v6: &str| {
        format!(
            "{GONE}\n[source.here]\nstatic = [\"10.0.0.7\", \"fd00::7\"]\n\n\
             [[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
             ipv4 = \"here\"\nipv6 = \"{v6}\"\n{REMOVE}"
        )
    };
    let home = Home::new(&config("here"));
    let once = |code: i32| {
        let ran = home.once();
        assert_eq!(ran.code, code, "{ran:#?}\n{}", home.read("state/state.json"));
    };
    home.write("hosts", "fd00::9 b.example\n", 0o644);
    once(0);
    // Without a state, the file alone knows what is set.
    fs::remove_file(home.path("state/state.json")).unwrap();
    home.configure(&config("gone"));
    once(75);
    backdate(&home);
    let before_removal = home.read("state/state.json");
    once(0);
    assert_eq!(home.read("hosts"), "fd00::9 b.example\n10.0.0.7\ta.example\t# homing\n");
    once(0);
    assert_eq!(home.run(&["status"]).code, 0, "{}", home.read("state/state.json"));

    // Killed after the file was written and before that was remembered.
    let gone = format!("\"gone-since\": \"{LONG_AGO}\"");
    let sent = format!("{gone}, \"sent\": {{\"addresses\": [], \"at\": \"{LONG_AGO}\"}}");
    let killed = before_removal.replace(&gone, &sent);
    assert_ne!(killed, before_removal);
    home.write("state/state.json", &killed, 0o600);
    once(0);
    let status = home.run(&["status"]);
    assert!(status.code == 0 && status.out.contains("IPv6  removed "), "{status:?}");
}

#[test]
fn what_the_kernel_has_no_more_goes_but_not_from_a_daemon_that_has_only_begun() {
    let name = "what_the_kernel_has_no_more_goes_but_not_from_a_daemon_that_has_only_begun";
    in_namespace(name, || {
        ip("link set lo up");
        // Addresses of the open Internet, inside a namespace that leads nowhere.
        ip("addr add 8.8.4.2/24 dev wan");
        ip("route add default via 8.8.4.1 dev wan");
        ip("addr add 2a00:1450::9/64 dev wan nodad");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let scene = Scene::desec(&[HOST], REMOVE);
        scene.take("auto", "auto");
        scene.check(0, 2);
        scene.expect_records(&["8.8.4.2"], &["2a00:1450::9"]);
        ip("addr del 2a00:1450::9/64 dev wan");
        scene.check(75, 2);
        backdate(&scene.home);

        let daemon = scene.home.daemon();
        daemon.wait_for("no address any more; the record will be removed if this lasts");
        thread::sleep(Duration::from_millis(600));
        daemon.signal(home::Signal::TERM);
        let log = daemon.log();
        assert_eq!(daemon.end().0, 0);
        assert_eq!(scene.sandbox.updates().len(), 2, "{log}");

        scene.check(0, 3);
        scene.expect_records(&["8.8.4.2"], &[]);
        ip("addr del 8.8.4.2/24 dev wan");
        scene.check(75, 3);
        ip("addr add 2a00:1450::10/64 dev wan nodad");
        scene.check(75, 4);
        scene.expect_records(&["8.8.4.2"], &["2a00:1450::10"]);
    });
}

#[test]
fn of_a_record_that_was_never_set_nobody_says_that_it_will_be_removed() {
    let host = "[[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n";
    let home = Home::new(&format!("{GONE}\n{host}ipv4 = \"gone\"\nipv6 = \"gone\"\n{REMOVE}"));
    let daemon = home.daemon();
    daemon.wait_for("no address found; the record is unchanged");
    daemon.signal(home::Signal::TERM);
    let log = daemon.log();
    assert_eq!(daemon.end().0, 0);
    assert!(!log.contains("removed if this lasts"), "{log}");
}
