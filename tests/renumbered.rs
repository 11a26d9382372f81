//! A router that comes back with another prefix and never says that the old one is over: the address
//! that works is published, whatever life time the old one has left.
//!
//! What the rule judges is the kernel's own clock, so each test takes the half minute that it asks for.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{home, netns};
use home::Home;
use netns::{in_namespace, ip, ip_batch, skip, sysctl};

/// Longer than the rule and a few polls take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A host that writes its AAAA record into the hosts file, with its source.
fn host(name: &str, source: &str) -> String {
    format!(
        "[[host]]\nname = \"{name}.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
         ipv4 = \"off\"\nipv6 = \"{source}\"\n"
    )
}

fn source(name: &str, lines: &str) -> String {
    format!("[source.{name}]\n{lines}\n")
}

/// The addresses in the hosts file, by the first label of their names.
fn published(home: &Home) -> BTreeMap<String, String> {
    let text = home.read("hosts");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        let (address, name) = (words.next()?, words.next()?);
        Some((name.strip_suffix(".example")?.to_owned(), address.to_owned()))
    };
    lines.filter_map(pair).collect()
}

/// The addresses of `interface` that `ip` shows with `filter`.
fn addresses(interface: &str, filter: &str) -> Vec<String> {
    let arguments = format!("-6 -o addr show dev {interface} scope global {filter}");
    let output = Command::new("ip").args(arguments.trim().split(' ')).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let address = |line: &str| {
        let (_, rest) = line.split_once("inet6 ")?;
        Some(rest.split_once('/')?.0.to_owned())
    };
    text.lines().filter_map(address).collect()
}

/// A router that advertises a prefix every few seconds, and dies without a word when dropped.
struct Router(Child);

impl Router {
    fn start(directory: &Path, prefix: &str) -> Self {
        let file = |name: &str| directory.join(name);
        let config = format!(
            "interface isp {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n\
             prefix {prefix} {{ AdvValidLifetime 86400; AdvPreferredLifetime 14400; }}; }};\n"
        );
        std::fs::write(file("radvd.conf"), config).unwrap();
        let mut command = Command::new("radvd");
        command.args(["-n", "-m", "stderr", "-C"]).arg(file("radvd.conf"));
        command.arg("-p").arg(file("radvd.pid")).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // By force: it would take its prefix back.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `wan` has a stable and a temporary address of the prefix that begins with `prefix`.
fn await_prefix(prefix: &str) {
    let usable = |filter: &str| {
        let of = addresses("wan", &format!("{filter} -tentative"));
        of.iter().any(|address| address.starts_with(prefix))
    };
    let begun = Instant::now();
    // The router is silent for some seconds when its first advertisement is lost.
    while !(usable("-temporary") && usable("temporary")) {
        assert!(begun.elapsed() < LONG, "no prefix: {:?}", addresses("wan", ""));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_prefix_that_the_router_never_withdrew_is_left_half_a_minute_after_it_has_another() {
    let name = "a_prefix_that_the_router_never_withdrew_is_left_half_a_minute_after_it_has_another";
    in_namespace(name, || {
        if Command::new("radvd").arg("--version").output().is_err() {
            return skip(name, "needs radvd");
        }
        for (name, value) in [
            ("wan/addr_gen_mode", "0"),
            ("isp/addr_gen_mode", "0"),
            ("wan/accept_ra", "2"),
            // Router and host are one machine here.
            ("wan/accept_ra_from_local", "1"),
            ("wan/use_tempaddr", "2"),
            ("isp/forwarding", "1"),
        ] {
            sysctl(&format!("ipv6/conf/{name}"), value);
        }
        for line in ["wan", "isp"] {
            ip(&format!("link set {line} down"));
            ip(&format!("link set {line} up"));
        }
        let config = [
            "[daemon]\nstate-dir = \"state\"\ninterval = \"10s\"\n".to_owned(),
            source("wan", "interface = \"wan\""),
            source("temporary", "interface = \"wan\"\nprefer-temporary = true"),
            source("printer", "interface = \"wan\"\nsuffix = \"::5\""),
            host("auto", "auto"),
            host("named", "wan"),
            host("temporary", "temporary"),
            host("printer", "printer"),
        ];
        let (home, by_hand) = (Home::new(&config.concat()), Home::new(&config.concat()));
        let router = Router::start(&home.path("."), "2a00:1::/64");
        await_prefix("2a00:1:");
        let daemon = home.daemon();
        // Each host has the address that `prefix` gives it.
        let all = |home: &Home, prefix: &str| {
            let published = published(home);
            published.len() == 4 && published.values().all(|address| address.starts_with(prefix))
        };
        let told = |home: &Home| format!("{:?}\n{:?}", published(home), addresses("wan", ""));
        home::wait_until("address", || all(&home, "2a00:1:"), || daemon.log());
        let ran = by_hand.once();
        assert!(ran.code == 0 && all(&by_hand, "2a00:1:"), "{ran:?} {}", told(&by_hand));

        drop(router);
        let _router = Router::start(&home.path("."), "2a00:2::/64");
        await_prefix("2a00:2:");
        let begun = Instant::now();
        let first = published(&home);
        while !all(&home, "2a00:2:") {
            assert!(begun.elapsed() < LONG, "{}\n{}", told(&home), daemon.log());
            thread::sleep(Duration::from_millis(100));
        }
        assert!(begun.elapsed() > Duration::from_secs(20), "too soon: {:?}", begun.elapsed());
        assert!(first.values().all(|address| address.starts_with("2a00:1:")), "{first:?}");
        let second = published(&home);
        assert_eq!(second["auto"], second["named"]);
        assert_ne!(second["temporary"], second["named"]);
        assert_eq!(second["printer"], "2a00:2::5");
        // The router's steady advertisements begin no round, and cost no write to the disk.
        let rounds = || daemon.log().matches("a round begins").count();
        let polls = usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
        assert!(rounds() <= polls + 8, "{}", daemon.log());

        let shown = home.run(&["address"]).out;
        let dead = "the router no longer announces its prefix, but announces another one";
        assert!(shown.contains(dead), "{shown}");
        drop(daemon);
        let daemon = home.daemon();
        daemon.wait_for("the round is over");
        assert_eq!(published(&home), second, "{}", daemon.log());
        // A run from cron that knows the old address, and one that knows nothing.
        for known in [true, false] {
            if !known {
                by_hand.write("hosts", "", 0o644);
                std::fs::remove_dir_all(by_hand.path("state")).unwrap();
            }
            let ran = by_hand.once();
            assert_eq!((ran.code, published(&by_hand)), (0, second.clone()), "{ran:?}");
        }
    });
}

#[test]
fn of_prefixes_that_are_renewed_static_leased_and_endless_ones_none_is_left() {
    let name = "of_prefixes_that_are_renewed_static_leased_and_endless_ones_none_is_left";
    in_namespace(name, || {
        const LIFE: &str = "valid_lft 86400 preferred_lft 14400";
        /// The one that is published at first, then its sibling.
        const CASES: [(&str, &str, &str); 6] = [
            ("dead", "/64 LIFE", "/64 LIFE"),
            ("static", "/64", "/64 LIFE"),
            ("leased", "/128 LIFE", "/64 LIFE"),
            ("endless", "/64 LIFE", "/64"),
            ("both", "/64 LIFE", "/64 LIFE"),
            ("late", "/64 LIFE", "/64 LIFE"),
        ];
        let command = |verb: &str, case: usize, which: usize| {
            let (name, old, new) = CASES[case];
            let kind = [old, new][which].replace("LIFE", LIFE);
            format!("addr {verb} 2a00:{}:{}::1{kind} dev {name} nodad\n", which + 1, case + 1)
        };
        let mut config = "[daemon]\nstate-dir = \"state\"\n".to_owned();
        let mut lines = String::new();
        for (case, (name, ..)) in CASES.iter().enumerate() {
            config += &source(name, &format!("interface = \"{name}\""));
            config += &host(name, name);
            lines += &format!(
                "link add {name} type veth peer name {name}-peer\n\
                 link set {name} up\nlink set {name}-peer up\n"
            );
            lines += &command("add", case, 0);
        }
        ip_batch(&lines);
        let (home, seldom) = (Home::new(&config), Home::new(&config));
        let once = |home: &Home| {
            let ran = home.once();
            assert_eq!(ran.code, 0, "{ran:?}");
            published(home)
        };
        let address = |which: usize, case: usize| format!("2a00:{}:{}::1", which + 1, case + 1);
        // Those whose sibling is published.
        let left = |published: &BTreeMap<String, String>| {
            let all = CASES.iter().enumerate();
            let left = all.filter(|(case, (name, ..))| published[*name] == address(1, *case));
            left.map(|(_, (name, ..))| *name).collect::<Vec<_>>()
        };
        assert_eq!(left(&once(&home)), [""; 0]);
        assert_eq!(left(&once(&seldom)), [""; 0]);
        ip_batch(&(0..CASES.len()).map(|case| command("add", case, 1)).collect::<String>());
        let siblings: String = (0..CASES.len()).map(|case| command("change", case, 1)).collect();
        let begun = Instant::now();
        // Every two seconds, as by routers in a hurry, and looked at as often.
        let mut beat = 0;
        let mut silent_since = None;
        let mut proven = None;
        while proven.is_none_or(|proven: Instant| proven.elapsed() < Duration::from_secs(3)) {
            assert!(begun.elapsed() < LONG);
            thread::sleep(Duration::from_secs(2));
            // One of those that are both renewed is so more seldom.
            beat += 1;
            let mut lines = siblings.clone();
            if beat % 3 == 0 {
                lines += &command("change", 4, 0);
            }
            if begun.elapsed() < Duration::from_secs(14) {
                lines += &command("change", 5, 0);
            } else {
                silent_since.get_or_insert_with(Instant::now);
            }
            ip_batch(&lines);
            let left = left(&once(&home));
            if begun.elapsed() < Duration::from_secs(25) {
                assert!(!left.contains(&"dead"), "{left:?} after {:?}", begun.elapsed());
            }
            assert!(left.iter().all(|name| ["dead", "late"].contains(name)), "{left:?}");
            if silent_since.is_none() {
                assert!(!left.contains(&"late"), "{left:?} after {:?}", begun.elapsed());
            }
            if left == ["dead", "late"] {
                proven.get_or_insert_with(Instant::now);
            }
        }
        // Whoever looks seldom finds the same, but does not know how often the late one was renewed.
        assert_eq!(left(&once(&seldom)), ["dead"]);
    });
}
