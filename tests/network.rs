//! The daemon on real kernel addresses: what changes at the line is what reaches the provider.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

#[path = "support/home.rs"]
mod home;
#[path = "support/netns.rs"]
mod netns;
#[path = "../contrib/sandbox/server/mod.rs"]
mod sandbox;

use std::thread;
use std::time::{Duration, Instant};

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
        daemon.wait_for("address not seen");
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
        daemon.wait_for("address not seen");
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
            "2001:db8:0:2::1/64                           gives the prefix",
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
        let told = "source printer sees 2001:db8:1::7 on interface wan: the prefix is /128, \
                    so no room is left for the suffix; write prefix-length = 64";
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
        let lacks = "the kernel shows no delegated prefix around it; write that one's length as \
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
        daemon.wait_for("tells 2001:db8::5, which is reserved for documentation and not published");
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
        assert!(shown.contains("refused: just as good, but another one is set now"), "{shown}");
        assert_eq!(shown.matches("  would be published").count(), 2, "{shown}");
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
