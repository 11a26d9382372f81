//! The daemon on real kernel addresses: what changes at the line is what reaches the provider.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{home, netns, sandbox};
use home::{Daemon, Home, wait_until};
use netns::{in_namespace, ip, sysctl};
use sandbox::{Account, Sandbox};

const HOST: &str = "dev1.dyn.example.com";

/// A sandbox without limits of pace, and a daemon whose host takes its addresses from `source`, in
/// which `SERVER` stands for the sandbox.
fn daemon(source: &str) -> (Sandbox, Home, Daemon) {
    ip("link set lo up");
    let mut account = Account::new("owner@example.com");
    account.throttled = false;
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &[HOST]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::new(&format!(
        "[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{}\"\npace = \"off\"\n\n\
         [source.wan]\ninterface = \"wan\"\nallow-private = true\n\n\
         [[host]]\nname = \"{HOST}\"\nprovider = \"sandbox\"\ntoken-file = \"token\"\n{}\n",
        sandbox.url(),
        source.replace("SERVER", &sandbox.url())
    ));
    home.secret("token", "s3cret-of-dev1");
    let daemon = home.daemon();
    daemon.wait_for("started");
    (sandbox, home, daemon)
}

const FROM_WAN: &str = "ipv4 = \"wan\"\nipv6 = \"wan\"";

#[track_caller]
fn expect_updates(sandbox: &Sandbox, daemon: &Daemon, count: usize) {
    wait_until("update", || sandbox.updates().len() >= count, || daemon.log());
    thread::sleep(Duration::from_millis(600));
    let updates = sandbox.updates();
    assert_eq!(updates.len(), count, "{updates:#?}\n{}", daemon.log());
}

fn a(sandbox: &Sandbox) -> Vec<String> {
    sandbox.records(HOST, "A")
}

fn aaaa(sandbox: &Sandbox) -> Vec<String> {
    sandbox.records(HOST, "AAAA")
}

#[test]
fn a_new_address_is_sent_within_a_moment() {
    in_namespace("a_new_address_is_sent_within_a_moment", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let (sandbox, _home, daemon) = daemon(FROM_WAN);
        expect_updates(&sandbox, &daemon, 1);
        ip("addr del 198.51.100.1/24 dev wan");
        let begun = Instant::now();
        ip("addr add 198.51.100.2/24 dev wan");
        wait_until("update", || sandbox.updates().len() == 2, || daemon.log());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        expect_updates(&sandbox, &daemon, 2);
        assert_eq!(a(&sandbox), ["198.51.100.2"]);
    });
}

#[test]
fn both_families_of_one_reconnect_go_in_one_request() {
    in_namespace("both_families_of_one_reconnect_go_in_one_request", || {
        let (sandbox, _home, daemon) = daemon(FROM_WAN);
        daemon.wait_for("no address found");
        ip("addr add 198.51.100.1/24 dev wan");
        // With duplicate address detection, so that it is tentative for a while.
        sysctl("ipv6/conf/wan/accept_dad", "1");
        ip("addr add 2001:db8::1/64 dev wan");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(a(&sandbox), ["198.51.100.1"]);
        assert_eq!(aaaa(&sandbox), ["2001:db8::1"]);
    });
}

#[test]
fn the_same_address_again_and_foreign_interfaces_are_no_news() {
    in_namespace("the_same_address_again_and_foreign_interfaces_are_no_news", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let (sandbox, _home, daemon) = daemon(FROM_WAN);
        expect_updates(&sandbox, &daemon, 1);
        ip("link set wan down");
        thread::sleep(Duration::from_millis(300));
        ip("link set wan up");
        for _ in 0..5 {
            ip("link add docker0 type veth peer name docker1");
            ip("addr add 198.18.0.1/24 dev docker0");
            ip("link del docker0");
        }
        expect_updates(&sandbox, &daemon, 1);
    });
}

#[test]
fn an_address_that_goes_is_left_at_the_provider() {
    in_namespace("an_address_that_goes_is_left_at_the_provider", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let (sandbox, home, daemon) = daemon(FROM_WAN);
        expect_updates(&sandbox, &daemon, 1);
        ip("addr del 198.51.100.1/24 dev wan");
        daemon.wait_for("no address found");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(a(&sandbox), ["198.51.100.1"]);
        assert_eq!(home.run(&["status"]).code, 75);
    });
}

#[test]
fn auto_takes_the_address_that_leads_out_and_leaves_an_absent_family_alone() {
    in_namespace("auto_takes_the_address_that_leads_out_and_leaves_an_absent_family_alone", || {
        // Addresses of the open Internet, inside a namespace that leads nowhere.
        ip("addr add 8.8.4.2/24 dev wan");
        ip("route add default via 8.8.4.1 dev wan");
        let (sandbox, home, daemon) = daemon("");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(a(&sandbox), ["8.8.4.2"]);
        assert_eq!(home.run(&["status"]).code, 0, "{}", home.run(&["status"]).out);
        let shown = home.run(&["address"]);
        assert!(shown.out.contains("8.8.4.2"), "{shown:?}");
    });
}

#[test]
fn carrier_grade_nat_is_told_in_words_and_not_published() {
    in_namespace("carrier_grade_nat_is_told_in_words_and_not_published", || {
        ip("addr add 100.64.0.9/10 dev wan");
        ip("route add default via 100.64.0.1 dev wan");
        ip("addr add 2a00:1450::9/64 dev wan nodad");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let (sandbox, home, daemon) = daemon("");
        daemon.wait_for("behind carrier-grade NAT");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(a(&sandbox), [""; 0]);
        assert_eq!(home.run(&["check"]).code, 0);
    });
}

/// A source for a machine beside this one, with `lines` that tell which.
fn neighbour(lines: &str) -> String {
    format!(
        "ipv4 = \"off\"\nipv6 = \"printer\"\n\
         [source.printer]\ninterface = \"wan\"\nallow-private = true\n{lines}"
    )
}

#[test]
fn another_machine_follows_the_prefix_of_the_interface() {
    in_namespace("another_machine_follows_the_prefix_of_the_interface", || {
        ip("addr add 2001:db8:1::1/64 dev wan nodad");
        let (sandbox, home, daemon) = daemon(&neighbour("suffix = \"::a:b:c:d\""));
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(aaaa(&sandbox), ["2001:db8:1:0:a:b:c:d"]);
        // A second prefix that is just as good, and has the smaller number, changes nothing.
        ip("addr add 2001:db8:0:2::1/64 dev wan nodad");
        expect_updates(&sandbox, &daemon, 1);
        ip("addr change 2001:db8:1::1/64 dev wan valid_lft 60 preferred_lft 0");
        expect_updates(&sandbox, &daemon, 2);
        assert_eq!(aaaa(&sandbox), ["2001:db8:0:2:a:b:c:d"]);
        let shown = home.run(&["address"]).out;
        for line in [
            "source printer: interface wan, its prefix with the suffix ::a:b:c:d",
            "2001:db8:1::1/64                             refused: deprecated",
            "2001:db8:0:2::1/64                           provides the prefix",
            "IPv6 2001:db8:0:2:a:b:c:d  would be published",
        ] {
            assert!(shown.contains(line), "{line} in:\n{shown}");
        }
    });
}

#[test]
fn a_prefix_without_room_is_told_with_the_fix_which_works() {
    in_namespace("a_prefix_without_room_is_told_with_the_fix_which_works", || {
        ip("addr add 2001:db8:1::7/128 dev wan nodad");
        let source = neighbour("suffix-mac = \"00:11:22:33:44:55\"");
        let (sandbox, home, daemon) = daemon(&source);
        let told = "source printer sees 2001:db8:1::7 on interface wan: the prefix is /128, which \
            leaves no room for the suffix; write prefix-length = 64";
        daemon.wait_for(told);
        assert_eq!(home.run(&["status"]).code, 75);
        assert!(home.run(&["address"]).out.contains(told));
        drop(daemon);
        home.configure(&(home.read("config.toml") + "prefix-length = 64\n"));
        assert_eq!(home.once().code, 0);
        assert_eq!(aaaa(&sandbox), ["2001:db8:1:0:211:22ff:fe33:4455"]);
    });
}

#[test]
fn a_delegated_prefix_makes_room_for_the_suffix() {
    in_namespace("a_delegated_prefix_makes_room_for_the_suffix", || {
        ip("addr add 2001:db8:1:34ff::7/64 dev wan nodad");
        let (sandbox, home, daemon) = daemon(&neighbour("suffix = \"::12:0:0:0:5\""));
        let lacks = "the kernel shows no delegated prefix; write the delegated length as \
            prefix-length, at most 59";
        daemon.wait_for(lacks);
        // One that does not cover the address, then the one that does.
        ip("-6 route add unreachable 2001:db8:2::/48");
        ip("-6 route add unreachable 2001:db8:1:3400::/56");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(aaaa(&sandbox), ["2001:db8:1:3412::5"]);
        ip("-6 route del unreachable 2001:db8:1:3400::/56");
        expect_updates(&sandbox, &daemon, 1);
        assert!(home.run(&["address"]).out.contains(lacks));
    });
}

#[test]
fn what_prefix_and_suffix_make_is_judged_like_any_address() {
    in_namespace("what_prefix_and_suffix_make_is_judged_like_any_address", || {
        ip("addr add 2001:4860::1/64 dev wan nodad");
        let source = neighbour("suffix = \"0:db8::5\"\nprefix-length = 16");
        let (sandbox, _home, daemon) = daemon(&source.replace("allow-private = true\n", ""));
        daemon.wait_for(
            "returned 2001:db8::5, which is reserved for documentation and not published",
        );
        expect_updates(&sandbox, &daemon, 0);
    });
}

#[test]
fn several_addresses_of_the_interface_are_one_record() {
    in_namespace("several_addresses_of_the_interface_are_one_record", || {
        for n in 1..4 {
            ip(&format!("addr add 2001:db8::{n}/64 dev wan nodad"));
        }
        let source = "ipv4 = \"off\"\nipv6 = \"two\"\n\
                      [source.two]\ninterface = \"wan\"\nallow-private = true\ncount = 2";
        let (sandbox, home, daemon) = daemon(source);
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(aaaa(&sandbox), ["2001:db8::1", "2001:db8::2"]);
        ip("addr del 2001:db8::1/64 dev wan");
        expect_updates(&sandbox, &daemon, 2);
        assert_eq!(aaaa(&sandbox), ["2001:db8::2", "2001:db8::3"]);
        ip("addr add 2001:db8::1/64 dev wan nodad");
        expect_updates(&sandbox, &daemon, 2);
        let shown = home.run(&["address"]).out;
        assert!(shown.contains("source two: interface wan, up to 2\n"), "{shown}");
        assert!(
            shown.contains("refused: just as good, but another one is published now"),
            "{shown}"
        );
        assert_eq!(shown.matches("  would be published").count(), 2, "{shown}");
    });
}

/// A tunnel as VPNs make one, which is there as long as the process that holds it.
struct Tunnel(std::process::Child);

impl Tunnel {
    fn start(name: &str) -> Self {
        let hold = format!(
            "import fcntl, os, struct, time\n\
             tun = os.open('/dev/net/tun', os.O_RDWR)\n\
             fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'{name}', 0x1001))\n\
             time.sleep(600)\n"
        );
        let tunnel =
            Self(std::process::Command::new("python3").args(["-c", &hold]).spawn().unwrap());
        let there = || std::path::Path::new(&format!("/sys/class/net/{name}")).exists();
        netns::eventually("a tunnel", there);
        ip(&format!("link set {name} up"));
        tunnel
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both families with public addresses on `wan`, which leads out.
fn public_line() {
    ip("addr add 8.8.4.2/24 dev wan");
    ip("route add default via 8.8.4.1 dev wan metric 100");
    ip("addr add 2a00:1450::9/64 dev wan nodad");
    ip("-6 route add default via 2a00:1450::1 dev wan metric 100");
}

#[test]
fn an_address_of_ones_own_is_published_past_a_vpn_that_takes_the_default_route() {
    let name = "an_address_of_ones_own_is_published_past_a_vpn_that_takes_the_default_route";
    in_namespace(name, || {
        public_line();
        // A network of this machine's own, whose address no way leads to.
        ip("link add lan type veth peer name lan-peer");
        ip("link set lan up");
        ip("link set lan-peer up");
        ip("addr add 8.8.1.1/24 dev lan");
        let _tunnel = Tunnel::start("vpn");
        ip("addr add 10.8.0.2/24 dev vpn");
        ip("addr add fd00:8::2/64 dev vpn nodad");
        // As OpenVPN does it.
        ip("route add 0.0.0.0/1 dev vpn");
        ip("route add 128.0.0.0/1 dev vpn");
        ip("-6 route add default dev vpn metric 1");
        let (sandbox, home, daemon) = daemon("");
        expect_updates(&sandbox, &daemon, 1);
        let published = || (a(&sandbox), aaaa(&sandbox));
        let own = (vec!["8.8.4.2".to_owned()], vec!["2a00:1450::9".to_owned()]);
        assert_eq!(published(), own);
        daemon.wait_for("published the address outside a tunnel");
        let why = "IPv4 goes through the tunnel vpn, which has no address to publish; 8.8.4.2 of \
            wan is published instead";
        assert!(home.run(&["check"]).out.contains(&format!("note: {why}\n")));
        assert!(home.run(&["address"]).out.contains(why));
        // As wg-quick does it.
        for family in ["-4", "-6"] {
            ip(&format!("{family} rule add not fwmark 51820 table 51820"));
            ip(&format!("{family} rule add table main suppress_prefixlength 0"));
            ip(&format!("{family} route add default dev vpn table 51820"));
        }
        ip("route del 0.0.0.0/1 dev vpn");
        ip("route del 128.0.0.0/1 dev vpn");
        ip("-6 route del default dev vpn");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(home.run(&["--once", "--dry-run"]).code, 0);
        // Where the VPN has taken the line's own way, and is one with carrier-grade NAT.
        ip("route del default via 8.8.4.1 dev wan");
        ip("addr del 8.8.1.1/24 dev lan");
        ip("addr add 100.64.0.9/10 dev vpn");
        ip("addr del 10.8.0.2/24 dev vpn");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!(published(), own);
        assert_eq!(asked(&sandbox), 0, "nobody was asked through the tunnel");
        assert_eq!(
            daemon.log().matches("published the address outside a tunnel").count(),
            1,
            "{}",
            daemon.log()
        );
        // One with an address of its own, as 6in4 has it, is a line like any other.
        ip("-6 addr add 2a00:6::2/64 dev vpn nodad");
        expect_updates(&sandbox, &daemon, 2);
        assert_eq!(aaaa(&sandbox), ["2a00:6::2"]);
    });
}

#[test]
fn a_line_without_a_carrier_is_left_for_one_that_has_it() {
    in_namespace("a_line_without_a_carrier_is_left_for_one_that_has_it", || {
        public_line();
        ip("link add wan2 type veth peer name isp2");
        ip("link set wan2 up");
        ip("link set isp2 up");
        ip("addr add 8.8.8.2/24 dev wan2");
        ip("route add default via 8.8.8.1 dev wan2 metric 200");
        ip("addr add 2a00:2::9/64 dev wan2 nodad");
        ip("-6 route add default via 2a00:2::1 dev wan2 metric 200");
        let (sandbox, home, daemon) = daemon("");
        expect_updates(&sandbox, &daemon, 1);
        let published = || (a(&sandbox).concat(), aaaa(&sandbox).concat());
        assert_eq!(published(), ("8.8.4.2".to_owned(), "2a00:1450::9".to_owned()));
        ip("link set isp down");
        let other = ("8.8.8.2".to_owned(), "2a00:2::9".to_owned());
        wait_until("the other line", || published() == other, || daemon.log());
        assert!(home.run(&["address"]).out.contains("its interface has no carrier"));
        ip("link set isp up");
        let first = ("8.8.4.2".to_owned(), "2a00:1450::9".to_owned());
        wait_until("the first line", || published() == first, || daemon.log());
        // What is named by hand is published as long as the kernel has it, and so is the only way out.
        ip("link set isp2 down");
        ip("link set isp down");
        let alone = [
            "[[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n",
            "ipv4 = \"wan\"\nipv6 = \"auto\"\n[source.wan]\ninterface = \"wan\"\n",
        ];
        let alone = Home::new(&alone.concat());
        assert_eq!(alone.once().code, 0);
        let hosts = alone.read("hosts");
        assert!(hosts.contains("8.8.4.2") && hosts.contains("2a00:1450::9"), "{hosts}");
    });
}

#[test]
fn an_address_that_is_seen_again_is_told_and_a_line_that_flaps_only_once() {
    let name = "an_address_that_is_seen_again_is_told_and_a_line_that_flaps_only_once";
    in_namespace(name, || {
        ip("addr add 198.51.100.1/24 dev wan");
        let source = "ipv4 = \"wan\"\nipv6 = \"off\"\n[[host]]\nname = \"b.example\"\n\
                      provider = \"hosts-file\"\npath = \"hosts\"\nipv4 = \"wan\"\nipv6 = \"off\"";
        let (sandbox, home, daemon) = daemon(source);
        expect_updates(&sandbox, &daemon, 1);
        let rounds = || daemon.log().matches("the round is over").count();
        for _ in 0..3 {
            for state in ["down", "up"] {
                let before = rounds();
                ip(&format!("link set wan {state}"));
                wait_until("round", || rounds() > before, || daemon.log());
            }
        }
        let log = daemon.log();
        let told = |text: &str| log.lines().filter(|line| line.contains(text)).collect::<Vec<_>>();
        let (gone, back) = (told("no address found"), told("address seen again"));
        assert!(gone.len() == 1 && back.len() == 1, "{log}");
        for line in [gone[0], back[0]] {
            assert!(line.contains(&format!("{HOST}, b.example")), "{line}");
        }
        expect_updates(&sandbox, &daemon, 1);
        // So does a run from cron.
        drop(daemon);
        ip("link set wan down");
        assert_eq!(home.once().code, 75);
        assert_eq!(home.once().out, "");
        ip("link set wan up");
        let ran = home.once();
        let again = format!("{HOST}: IPv4 is seen again: 198.51.100.1\n");
        assert!(ran.code == 0 && ran.out.contains(&again), "{ran:?}");
        assert_eq!(home.once().out, "");
    });
}

#[test]
fn a_machine_behind_a_translation_has_no_ipv4_of_its_own() {
    in_namespace("a_machine_behind_a_translation_has_no_ipv4_of_its_own", || {
        ip("addr add 192.0.0.2/29 dev wan");
        ip("route add default via 192.0.0.1 dev wan");
        ip("addr add 2a00:1450::9/64 dev wan nodad");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let (sandbox, home, daemon) = daemon("");
        daemon.wait_for("no IPv4 of its own (CLAT, DS-Lite)");
        expect_updates(&sandbox, &daemon, 1);
        assert_eq!((a(&sandbox), home.run(&["status"]).code), (vec![], 0));
        let shown = home.run(&["check"]).out;
        assert!(shown.contains("no IPv4: no IPv4 of its own (CLAT, DS-Lite)"), "{shown}");
    });
}

#[test]
fn the_address_that_is_set_is_named_first() {
    in_namespace("the_address_that_is_set_is_named_first", || {
        ip("addr add 2a00:5::1/64 dev wan nodad");
        ip("-6 route add default via 2a00:5::ff dev wan");
        let (sandbox, home, daemon) = daemon("");
        expect_updates(&sandbox, &daemon, 1);
        ip("addr add 2a00:1::1/64 dev wan nodad");
        let shown = home.run(&["address"]).out;
        let mut lines = shown.lines().filter(|line| line.contains("2a00:"));
        let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(first.contains("2a00:5::1/64") && first.ends_with("  public, set now"), "{shown}");
        assert!(second.ends_with("just as good, but another one is published now"), "{shown}");
    });
}

/// How often the sandbox's echo service was asked.
fn asked(sandbox: &Sandbox) -> usize {
    sandbox.requests().iter().filter(|request| request.path == "/ip").count()
}

#[test]
fn events_alone_make_a_web_source_asked_once_a_minute_but_a_new_way_out_at_once() {
    let name = "events_alone_make_a_web_source_asked_once_a_minute_but_a_new_way_out_at_once";
    in_namespace(name, || {
        ip("addr add 198.51.100.1/24 dev wan");
        let source = "ipv4 = \"echo\"\nipv6 = \"off\"\n[source.echo]\nweb = [\"SERVER/ip\"]";
        let (sandbox, _home, daemon) = daemon(source);
        wait_until("question", || asked(&sandbox) == 1, || daemon.log());
        thread::sleep(Duration::from_millis(300));
        ip("route add default via 198.51.100.254 dev wan");
        wait_until("second question", || asked(&sandbox) == 2, || daemon.log());
        for n in 2..5 {
            ip(&format!("addr add 198.51.100.{n}/24 dev wan"));
            thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(asked(&sandbox), 2, "{}", daemon.log());
    });
}

#[test]
fn a_thousand_events_are_one_round() {
    in_namespace("a_thousand_events_are_one_round", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let (sandbox, _home, daemon) = daemon(FROM_WAN);
        expect_updates(&sandbox, &daemon, 1);
        let mut lines = String::new();
        for n in 0..500 {
            let address = format!("198.19.{}.{}/32", n / 250, n % 250 + 1);
            lines.push_str(&format!("addr add {address} dev isp\naddr del {address} dev isp\n"));
        }
        lines.push_str("addr del 198.51.100.1/24 dev wan\naddr add 198.51.100.2/24 dev wan\n");
        netns::ip_batch(&lines);
        expect_updates(&sandbox, &daemon, 2);
    });
}
