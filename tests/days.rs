//! Bad days of the line and of the kernel's addresses: the daemon sends what is new, once, and
//! nothing else.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{clock, home, line, netns, tls};
use clock::WallClock;
use home::{Signal, wait_until};
use line::{FROM_WAN, HOST, IPV4_FROM_WAN, Line, sandbox};
use netns::{eventually, in_namespace, ip, ip_batch, skip, sysctl};
use tls::{Server, reply};

/// A public IPv4 address on `wan` and a default route, in a namespace that leads nowhere.
fn ipv4_line() {
    ip("addr add 8.8.4.2/24 dev wan");
    ip("addr add 8.8.4.3/32 dev wan");
    ip("route add default via 8.8.4.1 dev wan src 8.8.4.2");
}

/// The same for IPv6.
fn ipv6_line() {
    ip("addr add 2a00:1450::9/64 dev wan nodad");
    ip("-6 route add default via 2a00:1450::1 dev wan");
}

/// What `ip` prints.
fn shown(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

// (a) The line goes away and comes back.

#[test]
fn a_line_that_comes_back_is_sent_once_if_its_address_is_another_one() {
    let name = "a_line_that_comes_back_is_sent_once_if_its_address_is_another_one";
    in_namespace(name, || {
        ipv4_line();
        let line = Line::start("");
        line.expect_updates(1);
        ip("link set wan down");
        line.daemon.wait_for("no address found");
        line.expect_status(75);
        ip("link set wan up");
        ip("route add default via 8.8.4.1 dev wan");
        line.expect_updates(1);
        line.expect_status(0);
        ip("link set wan down");
        ip("addr del 8.8.4.2/24 dev wan");
        line.ask_for_a_round();
        ip("addr add 8.8.4.9/24 dev wan");
        ip("link set wan up");
        ip("route add default via 8.8.4.1 dev wan");
        line.expect_updates(2);
        assert_eq!(line.records()[0], ["8.8.4.9"]);
    });
}

// (b) One family only.

#[test]
fn a_machine_without_ipv6_is_right_and_leaves_its_record_alone() {
    in_namespace("a_machine_without_ipv6_is_right_and_leaves_its_record_alone", || {
        sysctl("ipv6/conf/all/disable_ipv6", "1");
        ipv4_line();
        one_family_is_right(["8.8.4.2", "2001:db8::99"]);
    });
}

#[test]
fn a_machine_without_ipv4_is_right_and_leaves_its_record_alone() {
    in_namespace("a_machine_without_ipv4_is_right_and_leaves_its_record_alone", || {
        ipv6_line();
        one_family_is_right(["192.0.2.99", "2a00:1450::9"]);
    });
}

/// Checks that `auto` ends with these records, where those of documentation were there before.
#[track_caller]
fn one_family_is_right(records: [&str; 2]) {
    let sandbox = sandbox();
    sandbox.with_account(|account| {
        account.set_records(HOST, "A", &["192.0.2.99"], 60);
        account.set_records(HOST, "AAAA", &["2001:db8::99"], 60);
    });
    let line = Line::at(sandbox, "", "", "");
    line.expect_updates(1);
    assert_eq!(line.records(), records.map(|address| vec![address.to_owned()]));
    line.expect_status(0);
    let log = line.daemon.log();
    assert!(!log.contains("no address found"), "{log}");
    let Line { daemon, home, sandbox } = line;
    drop(daemon);
    let ran = home.once();
    assert_eq!((ran.code, sandbox.updates().len()), (0, 1), "{ran:?}");
}

// (c) The prefix changes.

#[test]
fn a_new_prefix_is_sent_when_the_old_one_is_deprecated_and_the_old_one_never_again() {
    let name = "a_new_prefix_is_sent_when_the_old_one_is_deprecated_and_the_old_one_never_again";
    in_namespace(name, || {
        ipv6_line();
        let line = Line::start("");
        line.expect_updates(1);
        // Deprecated, but the only one.
        ip("addr change 2a00:1450::9/64 dev wan valid_lft 7200 preferred_lft 0");
        line.expect_updates(1);
        sysctl("ipv6/conf/wan/accept_dad", "1");
        ip("addr add 2a00:1451::9/64 dev wan");
        line.expect_updates(2);
        assert_eq!(line.records()[1], ["2a00:1451::9"]);
        ip("addr change 2a00:1450::9/64 dev wan valid_lft 7100 preferred_lft 0");
        ip("addr change 2a00:1451::9/64 dev wan valid_lft 600 preferred_lft 300");
        ip("addr del 2a00:1450::9/64 dev wan");
        line.expect_updates(2);
        // Both at once, as one router advertisement does it.
        ip_batch(
            "addr add 2a00:1452::9/64 dev wan nodad\n\
             addr change 2a00:1451::9/64 dev wan valid_lft 7200 preferred_lft 0\n",
        );
        line.expect_updates(3);
        assert_eq!(line.records()[1], ["2a00:1452::9"]);
    });
}

#[test]
fn a_better_address_that_is_still_checked_is_waited_for() {
    in_namespace("a_better_address_that_is_still_checked_is_waited_for", || {
        ip("addr add 2a00:1450::9/64 dev wan nodad valid_lft 7200 preferred_lft 0");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let sandbox = sandbox();
        sysctl("ipv6/conf/wan/accept_dad", "1");
        ip("addr add 2a00:1451::9/64 dev wan");
        let line = Line::at(sandbox, "", "", "");
        line.expect_updates(1);
        assert_eq!(line.records()[1], ["2a00:1451::9"]);
    });
}

// (d) A temporary address rotates.

#[test]
fn temporary_addresses_that_rotate_are_not_sent() {
    in_namespace("temporary_addresses_that_rotate_are_not_sent", || {
        sysctl("ipv6/conf/wan/use_tempaddr", "2");
        sysctl("ipv6/conf/wan/dad_transmits", "0");
        sysctl("ipv6/conf/wan/max_desync_factor", "0");
        // The next one is made two seconds before that.
        sysctl("ipv6/conf/wan/temp_prefered_lft", "3");
        ip("addr add 2a00:1450::9/64 dev wan mngtmpaddr valid_lft 6000 preferred_lft 6000");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let line = Line::start("");
        line.expect_updates(1);
        let temporary = || shown("-6 addr show dev wan temporary").matches("inet6").count();
        eventually("three temporary addresses in turn", || temporary() >= 3);
        line.expect_updates(1);
        assert_eq!(line.records()[1], ["2a00:1450::9"]);
    });
}

// (e) Interfaces of VPNs and containers come and go.

#[test]
fn foreign_interfaces_begin_no_round() {
    in_namespace("foreign_interfaces_begin_no_round", || {
        ipv4_line();
        ipv6_line();
        let line = Line::start("");
        line.expect_updates(1);
        let rounds = line.rounds();
        sysctl("ipv6/conf/default/addr_gen_mode", "0");
        for _ in 0..3 {
            tunnel();
            ip("addr add 2a00:ffff::2/64 dev wg0 nodad");
            ip("route add 10.0.0.0/8 dev wg0");
            ip("link add docker0 type bridge");
            ip("addr add 172.17.0.1/16 dev docker0");
            ip("link set docker0 up");
            // Longer than what a round waits for.
            thread::sleep(Duration::from_millis(200));
            ip("link del docker0");
            ip("link del wg0");
            thread::sleep(Duration::from_millis(200));
        }
        ends_with_one_round_more(&line, rounds);
    });
}

/// An interface `wg0` with a private address, as of a VPN.
fn tunnel() {
    ip("link add wg0 type veth peer name wg1");
    ip("addr add 10.8.0.2/24 dev wg0");
    ip("link set wg1 up");
    ip("link set wg0 up");
}

/// Checks that a new address towards the Internet begins the first round since there were `rounds`.
#[track_caller]
fn ends_with_one_round_more(line: &Line, rounds: usize) {
    let updates = line.sandbox.updates().len();
    ip("route change default via 8.8.4.1 dev wan src 8.8.4.3");
    wait_until("update", || line.sandbox.updates().len() > updates, || line.daemon.log());
    assert_eq!(line.rounds(), rounds + 1, "{}", line.daemon.log());
}

#[test]
fn a_vpn_that_takes_the_way_out_is_what_auto_publishes_until_it_goes() {
    in_namespace("a_vpn_that_takes_the_way_out_is_what_auto_publishes_until_it_goes", || {
        ip("link set lo up");
        ipv4_line();
        let exit = Server::plain(|connection| reply(connection, "200 OK", "9.9.9.9\n"));
        let echo = format!("echo4 = \"{}\"", exit.url("/"));
        let line = Line::at(sandbox(), "", &echo, "ipv6 = \"off\"");
        line.expect_updates(1);
        tunnel_for_everything();
        line.expect_updates(2);
        assert_eq!(line.records()[0], ["9.9.9.9"]);
        ip("link del wg0");
        line.expect_updates(3);
        assert_eq!(line.records()[0], ["8.8.4.2"]);
        line.expect_status(0);
        // Within a minute the service is not asked again, so one that comes and goes changes nothing.
        let (asked, rounds) = (exit.requests().len(), line.rounds());
        tunnel_for_everything();
        line.daemon.wait_until("round", |log| log.matches("the round is over").count() > rounds);
        ip("link del wg0");
        line.expect_updates(3);
        assert_eq!(exit.requests().len(), asked);
    });
}

/// The same with the halves of the Internet, which leave the default route as it is.
fn tunnel_for_everything() {
    tunnel();
    ip_batch("route add 0.0.0.0/1 dev wg0\nroute add 128.0.0.0/1 dev wg0\n");
}

// (f) The interface is renamed, deleted, late.

#[test]
fn an_interface_may_be_renamed_and_made_anew() {
    in_namespace("an_interface_may_be_renamed_and_made_anew", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let line = Line::start(IPV4_FROM_WAN);
        line.expect_updates(1);
        for name in ["ppp9", "wan"] {
            let old = if name == "wan" { "ppp9" } else { "wan" };
            ip(&format!("link set {old} down"));
            ip(&format!("link set {old} name {name}"));
            ip(&format!("link set {name} up"));
            line.expect_updates(1);
            line.expect_status(if name == "wan" { 0 } else { 75 });
        }
        let index = shown("-o link show wan");
        ip("link del wan");
        line.ask_for_a_round();
        line.expect_status(75);
        ip("link add wan type veth peer name isp");
        assert_ne!(shown("-o link show wan").split(':').next(), index.split(':').next());
        ip("link set wan up");
        ip("addr add 198.51.100.1/24 dev wan");
        line.expect_updates(1);
        line.expect_status(0);
        ip("addr del 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        line.expect_updates(2);
        assert_eq!(line.records()[0], ["198.51.100.2"]);
    });
}

#[test]
fn an_interface_that_appears_late_is_not_forgotten() {
    in_namespace("an_interface_that_appears_late_is_not_forgotten", || {
        ip("link del wan");
        let line = Line::start(FROM_WAN);
        line.daemon.wait_for("no address found");
        line.ask_for_a_round();
        assert_eq!(line.sandbox.requests().len(), 0);
        ip("link add wan type veth peer name isp");
        ip("link set wan up");
        ip("link set isp up");
        ip_batch("addr add 198.51.100.1/24 dev wan\naddr add 2001:db8::1/64 dev wan\n");
        line.expect_updates(1);
        assert_eq!(line.records(), [["198.51.100.1"], ["2001:db8::1"]]);
    });
}

// (l) A suspend, as far as a stall is one: (m) an overrun: (n) a flood.

#[test]
fn after_a_stall_beyond_the_interval_one_round_comes_at_once() {
    const NAME: &str = "after_a_stall_beyond_the_interval_one_round_comes_at_once";
    in_namespace(NAME, || {
        ip("addr add 198.51.100.1/24 dev wan");
        let sandbox = sandbox();
        let home = line::home(&sandbox, "interval = \"10s\"", "", FROM_WAN);
        let Some(clock) = WallClock::new(&home) else { return skip(NAME, "needs a C compiler") };
        let mut command = home.command(&["-v"]);
        clock.show(&mut command);
        let line = Line { daemon: home.daemon_of(command), home, sandbox };
        wait_until("update", || line.sandbox.updates().len() == 1, || line.daemon.log());
        line.daemon.wait_for("the round is over");
        line.daemon.signal(Signal::STOP);
        ip("addr del 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        // The kernel tells of the end of a suspend as of a clock that was set.
        clock.jump();
        // Time itself is what is needed here.
        thread::sleep(Duration::from_secs(11));
        let woken = Instant::now();
        line.daemon.signal(Signal::CONT);
        wait_until("update", || line.sandbox.updates().len() == 2, || line.daemon.log());
        assert!(woken.elapsed() < Duration::from_secs(5), "{:?}", woken.elapsed());
        line.ask_for_a_round();
        let log = line.daemon.log();
        assert_eq!(
            line.rounds(),
            3,
            "the first, the one after the stall, the one asked for\n{log}"
        );
        let rounds: Vec<_> = log.lines().filter(|line| line.contains("a round begins")).collect();
        assert!(
            rounds[1].contains("by_event: false"),
            "time is over for other sources, too\n{log}"
        );
        assert!(rounds[1].contains("network_changed: true"), "{log}");
    });
}

#[test]
fn events_that_the_kernel_had_to_drop_are_made_up_for_in_one_round() {
    in_namespace("events_that_the_kernel_had_to_drop_are_made_up_for_in_one_round", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let line = Line::start(FROM_WAN);
        line.expect_updates(1);
        let rounds = line.rounds();
        line.daemon.signal(Signal::STOP);
        let mut lines = String::new();
        for n in 0..5000 {
            let address = format!("198.19.{}.{}/32", n / 250, n % 250 + 1);
            lines.push_str(&format!("addr add {address} dev isp\naddr del {address} dev isp\n"));
        }
        lines.push_str("addr del 198.51.100.1/24 dev wan\naddr add 198.51.100.2/24 dev wan\n");
        ip_batch(&lines);
        line.daemon.signal(Signal::CONT);
        wait_until("update", || line.sandbox.updates().len() == 2, || line.daemon.log());
        let log = line.daemon.log();
        assert!(log.contains("more than was kept"), "{log}");
        assert_eq!(line.rounds(), rounds + 1, "{log}");
        line.expect_updates(2);
        // It hears as well as before.
        ip("addr del 198.51.100.2/24 dev wan");
        ip("addr add 198.51.100.3/24 dev wan");
        line.expect_updates(3);
        assert_eq!(line.records()[0], ["198.51.100.3"]);
    });
}

#[test]
fn a_flood_on_the_own_interface_is_a_round_a_second_at_most() {
    in_namespace("a_flood_on_the_own_interface_is_a_round_a_second_at_most", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let line = Line::start(FROM_WAN);
        line.expect_updates(1);
        let rounds = line.rounds();
        let mut lines = String::new();
        for n in 0..500 {
            let address = format!("198.19.{}.{}/32", n / 250, n % 250 + 1);
            lines.push_str(&format!("addr add {address} dev wan\naddr del {address} dev wan\n"));
        }
        lines.push_str("addr del 198.51.100.1/24 dev wan\naddr add 198.51.100.2/24 dev wan\n");
        let begun = Instant::now();
        ip_batch(&lines);
        wait_until("update", || line.sandbox.updates().len() == 2, || line.daemon.log());
        let most = 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
        let rounds = line.rounds() - rounds;
        assert!(rounds <= most, "{rounds} of {most} rounds\n{}", line.daemon.log());
        line.expect_updates(2);
    });
}

// (o) A primary IPv4 address takes its secondaries with it, or hands over to one.

#[test]
fn a_primary_address_that_takes_its_secondaries_along_leaves_the_record() {
    in_namespace("a_primary_address_that_takes_its_secondaries_along_leaves_the_record", || {
        sysctl("ipv4/conf/wan/promote_secondaries", "0");
        ip("addr add 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        let line = Line::start(IPV4_FROM_WAN);
        line.expect_updates(1);
        ip("addr del 198.51.100.1/24 dev wan");
        assert!(!shown("addr show dev wan").contains("198.51.100."));
        line.daemon.wait_for("no address found");
        line.expect_updates(1);
        assert_eq!(line.records()[0], ["198.51.100.1"]);
        ip("addr add 198.51.100.2/24 dev wan");
        line.expect_updates(2);
        assert_eq!(line.records()[0], ["198.51.100.2"]);
    });
}

#[test]
fn a_secondary_address_that_becomes_the_primary_is_sent() {
    in_namespace("a_secondary_address_that_becomes_the_primary_is_sent", || {
        sysctl("ipv4/conf/wan/promote_secondaries", "1");
        ip("addr add 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        let line = Line::start(IPV4_FROM_WAN);
        line.expect_updates(1);
        ip("addr del 198.51.100.1/24 dev wan");
        line.expect_updates(2);
        assert_eq!(line.records()[0], ["198.51.100.2"]);
        assert!(!line.daemon.log().contains("no address found"));
    });
}

// (p) A container starts and stops every second.

#[test]
fn containers_that_start_and_stop_begin_no_round_even_where_ipv6_has_no_way_out() {
    let name = "containers_that_start_and_stop_begin_no_round_even_where_ipv6_has_no_way_out";
    in_namespace(name, || {
        ipv4_line();
        ip("link add docker0 type bridge");
        ip("addr add 172.17.0.1/16 dev docker0");
        ip("link set docker0 up");
        let line = Line::start("");
        line.expect_updates(1);
        let (rounds, requests) = (line.rounds(), line.sandbox.requests().len());
        // Every interface gives itself a link-local address, as usual.
        sysctl("ipv6/conf/default/addr_gen_mode", "0");
        for _ in 0..4 {
            ip("link add veth7 type veth peer name eth7");
            ip("link set veth7 master docker0");
            ip("link set veth7 up");
            ip("link set eth7 up");
            eventually("link-local address", || shown("-6 addr show veth7").contains("fe80:"));
            // Longer than what a round waits for.
            thread::sleep(Duration::from_millis(200));
            ip("link del veth7");
            thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(line.sandbox.requests().len(), requests);
        ends_with_one_round_more(&line, rounds);
    });
}
