//! The kernel's addresses, routes and news, read in network namespaces that each test makes.
//!
//! Needs root and iproute2. Each test runs itself again inside its namespace, because the library
//! reads the namespace that it is in.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use crate::support::netns;
use homing::core::address::Family;
use homing::core::address::choice::{Facts, Flags, KernelAddress};
use homing::core::address::prefix::Prefix;
use homing::core::order::SortedSet;
use homing::os::kernel::{self, Changes, Watcher};
use netns::{SOON, eventually, in_namespace, ip, ip_batch, skip, sysctl};

/// How long nothing has to happen before nothing is taken to happen.
const QUIET: Duration = Duration::from_millis(300);

/// The kernel's entry for `address`.
fn found(address: &str) -> Option<KernelAddress> {
    let wanted: IpAddr = address.parse().expect("an address");
    let all = kernel::addresses().expect("addresses can be read");
    all.into_iter().find(|entry| entry.address == wanted)
}

#[track_caller]
fn entry(address: &str) -> KernelAddress {
    found(address).unwrap_or_else(|| panic!("{address} is not there"))
}

fn facts() -> Facts {
    Facts::of(&kernel::addresses().expect("addresses can be read"))
}

/// The number of interface `name`.
fn index(name: &str) -> u32 {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).expect("it is there");
    text.trim().parse().expect("a number")
}

/// Runs `body` with a watcher, on a runtime like the daemon's.
fn watching(body: impl AsyncFnOnce(Watcher)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut watcher = Watcher::open().expect("a watcher");
        // On a busy machine the kernel is still telling of the interfaces that were made just now.
        news(&mut watcher).await;
        body(watcher).await;
    });
}

/// Everything that is reported until it is quiet.
async fn news(watcher: &mut Watcher) -> Option<Changes> {
    let mut all: Option<Changes> = None;
    while let Ok(changes) = tokio::time::timeout(QUIET, watcher.changed()).await {
        let changes = changes.expect("the watcher lives");
        let all = all.get_or_insert_default();
        all.interfaces.extend(changes.interfaces);
        all.default_route |= changes.default_route;
        all.overrun |= changes.overrun;
    }
    all
}

fn of_interface(name: &str) -> Changes {
    Changes { interfaces: SortedSet::from([index(name)]), ..Changes::default() }
}

#[test]
fn an_address_is_read_with_its_prefix_interface_and_life_times() {
    in_namespace("an_address_is_read_with_its_prefix_interface_and_life_times", || {
        ip("addr add 198.51.100.7/25 dev wan");
        ip("addr add 2a00:1::7/72 dev wan nodad valid_lft 600 preferred_lft 300");
        let v4 = entry("198.51.100.7");
        let expect = KernelAddress {
            address: "198.51.100.7".parse().expect("an address"),
            prefix_length: 25,
            interface: "wan".to_owned(),
            index: index("wan"),
            flags: Flags::default(),
            preferred: None,
            valid: None,
        };
        assert_eq!(v4, expect);
        let v6 = entry("2a00:1::7");
        assert_eq!((v6.prefix_length, v6.flags), (72, Flags::default()));
        let about = |life: Option<Duration>, most: u64| {
            let left = life.expect("it is not for ever").as_secs();
            assert!(left <= most && left + 30 > most, "{left} of {most} s");
        };
        about(v6.preferred, 300);
        about(v6.valid, 600);
    });
}

#[test]
fn the_local_end_of_a_point_to_point_line_is_read() {
    in_namespace("the_local_end_of_a_point_to_point_line_is_read", || {
        ip("addr add 198.51.100.1 peer 198.51.100.2/32 dev wan");
        ip("addr add 2a00:1::1 peer 2a00:1::2/128 dev wan nodad");
        for (local, remote) in [("198.51.100.1", "198.51.100.2"), ("2a00:1::1", "2a00:1::2")] {
            assert!(found(local).is_some() && found(remote).is_none(), "{local}");
        }
    });
}

#[test]
fn deprecated_and_secondary_addresses_are_marked() {
    in_namespace("deprecated_and_secondary_addresses_are_marked", || {
        ip("addr add 2a00:1::1/64 dev wan nodad preferred_lft 0");
        ip("addr add 2a00:1::2/64 dev wan nodad");
        ip("addr add 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        let deprecated = entry("2a00:1::1");
        assert_eq!(deprecated.flags, Flags { deprecated: true, ..Flags::default() });
        assert_eq!(deprecated.preferred, Some(Duration::ZERO));
        assert_eq!(entry("2a00:1::2").flags, Flags::default());
        assert_eq!(entry("198.51.100.1").flags, Flags::default());
        assert_eq!(entry("198.51.100.2").flags, Flags { secondary: true, ..Flags::default() });
    });
}

#[test]
fn temporary_addresses_are_marked() {
    in_namespace("temporary_addresses_are_marked", || {
        sysctl("ipv6/conf/wan/use_tempaddr", "2");
        ip("addr add 2a00:1::1/64 dev wan nodad mngtmpaddr valid_lft 6000 preferred_lft 6000");
        let temporary = || {
            let all = kernel::addresses().expect("addresses can be read");
            all.into_iter().filter(|address| address.flags.temporary).collect::<Vec<_>>()
        };
        eventually("a temporary address", || !temporary().is_empty());
        let temporary = temporary();
        assert!(temporary[0].address.to_string().starts_with("2a00:1:"), "{temporary:?}");
        assert!(!entry("2a00:1::1").flags.temporary);
    });
}

#[test]
fn an_address_is_tentative_until_its_check_ends_well() {
    in_namespace("an_address_is_tentative_until_its_check_ends_well", || {
        // Without a carrier the check does not begin.
        ip("link set isp down");
        ip("addr add 2a00:1::1/64 dev wan");
        assert_eq!(entry("2a00:1::1").flags, Flags { tentative: true, ..Flags::default() });
        ip("link set isp up");
        eventually("the verdict", || !entry("2a00:1::1").flags.tentative);
        assert_eq!(entry("2a00:1::1").flags, Flags::default());
    });
}

#[test]
fn an_optimistic_address_is_not_tentative() {
    in_namespace("an_optimistic_address_is_not_tentative", || {
        ip("link set isp down");
        let switch = "/proc/sys/net/ipv6/conf/wan/optimistic_dad";
        if fs::write(switch, "1").is_err() {
            return skip("an_optimistic_address_is_not_tentative", "needs optimistic addresses");
        }
        ip("addr add 2a00:1::1/64 dev wan optimistic");
        assert_eq!(entry("2a00:1::1").flags, Flags::default());
    });
}

#[test]
fn a_duplicate_is_marked() {
    in_namespace("a_duplicate_is_marked", || {
        ip("addr add 2a00:1::1/64 dev isp nodad");
        ip("addr add 2a00:1::1/64 dev wan");
        let of_wan = || {
            let all = kernel::addresses().expect("addresses can be read");
            let mut of_wan = all.into_iter().filter(|address| address.interface == "wan");
            of_wan.next().expect("it stays").flags
        };
        eventually("the verdict", || of_wan().dad_failed);
    });
}

#[test]
fn addresses_of_an_interface_that_is_down_are_marked() {
    in_namespace("addresses_of_an_interface_that_is_down_are_marked", || {
        ip("addr add 198.51.100.1/24 dev wan");
        ip("link set wan down");
        assert_eq!(entry("198.51.100.1").flags, Flags { down: true, ..Flags::default() });
    });
}

#[test]
fn the_default_route_names_source_and_interface() {
    in_namespace("the_default_route_names_source_and_interface", || {
        let route = |family| kernel::route(family).expect("routes can be looked up");
        assert_eq!((route(Family::V4), route(Family::V6)), (None, None));
        ip("addr add 198.51.100.1/24 dev wan");
        ip("addr add 198.51.100.9/24 dev wan");
        ip("addr add 2a00:1::1/64 dev wan nodad");
        assert_eq!((route(Family::V4), route(Family::V6)), (None, None), "only local networks");
        ip("route add default via 198.51.100.254 src 198.51.100.9");
        ip("-6 route add default via 2a00:1::ff dev wan");
        for (family, source, gateway) in [
            (Family::V4, "198.51.100.9", "198.51.100.254"),
            (Family::V6, "2a00:1::1", "2a00:1::ff"),
        ] {
            let route = route(family).expect("there is a default route");
            assert_eq!(route.source, source.parse().ok());
            assert_eq!(route.gateway, gateway.parse().ok());
            assert_eq!(route.index, index("wan"));
        }
        for kind in ["unreachable", "blackhole", "prohibit"] {
            for (family, flag) in [(Family::V4, "-4"), (Family::V6, "-6")] {
                ip(&format!("{flag} route flush table main root default"));
                ip(&format!("{flag} route add {kind} default"));
                assert_eq!(route(family), None, "{kind} {family}");
            }
        }
    });
}

#[test]
fn a_line_may_have_no_gateway() {
    in_namespace("a_line_may_have_no_gateway", || {
        ip("addr add 198.51.100.1 peer 198.51.100.2/32 dev wan");
        ip("route add default dev wan");
        let route = kernel::route(Family::V4).expect("routes can be looked up");
        assert_eq!(route.expect("there is a default route").gateway, None);
    });
}

#[test]
fn delegated_prefixes_are_read_from_the_routes_that_end_there() {
    in_namespace("delegated_prefixes_are_read_from_the_routes_that_end_there", || {
        assert_eq!(kernel::delegated().expect("routes can be read"), []);
        ip("addr add 2a00:1::1/64 dev wan nodad");
        for route in [
            "-6 route add unreachable 2a00:5::/48",
            "-6 route add blackhole 2a00:4:0:100::/56",
            "-6 route add prohibit 2a00:3::/60 metric 7",
            "-6 route add unreachable 2a00:3::/60 metric 8",
            "-6 route add 2a00:2::/48 via 2a00:1::ff",
            "-4 route add unreachable 10.0.0.0/8",
        ] {
            ip(route);
        }
        let prefix = |address: &str, length| {
            let address = address.parse().expect("an address");
            Prefix { address, length }
        };
        let expect = [prefix("2a00:3::", 60), prefix("2a00:4:0:100::", 56), prefix("2a00:5::", 48)];
        assert_eq!(kernel::delegated().expect("routes can be read"), expect);
    });
}

#[test]
fn a_machine_without_ipv6_has_no_way_there() {
    in_namespace("a_machine_without_ipv6_has_no_way_there", || {
        sysctl("ipv6/conf/all/disable_ipv6", "1");
        ip("addr add 198.51.100.1/24 dev wan");
        assert_eq!(kernel::route(Family::V6).expect("no error"), None);
        assert_eq!(kernel::delegated().expect("no error"), []);
        let all = kernel::addresses().expect("addresses can be read");
        assert!(all.iter().all(|address| address.address.is_ipv4()), "{all:?}");
    });
}

#[test]
fn a_thousand_addresses_are_all_read() {
    in_namespace("a_thousand_addresses_are_all_read", || {
        ip_batch(&many("add"));
        assert_eq!(kernel::addresses().expect("addresses can be read").len(), 1000 + loopback());
    });
}

/// Commands that `add` or `del` a thousand addresses.
fn many(verb: &str) -> String {
    let line = |n: u32| format!("addr {verb} 10.1.{}.{}/32 dev wan\n", n / 250, n % 250);
    (0..1000).map(line).collect()
}

/// How many addresses this namespace has of itself.
fn loopback() -> usize {
    let all = kernel::addresses().expect("addresses can be read");
    all.iter().filter(|address| address.interface == "lo").count()
}

#[test]
fn addresses_that_come_and_go_are_news() {
    in_namespace("addresses_that_come_and_go_are_news", || {
        watching(async |mut watcher| {
            for change in [
                "addr add 198.51.100.1/24 dev wan",
                "addr del 198.51.100.1/24 dev wan",
                "addr add 2a00:1::1/64 dev wan nodad",
                "addr change 2a00:1::1/64 dev wan valid_lft 600 preferred_lft 0",
                "addr del 2a00:1::1/64 dev wan",
            ] {
                ip(change);
                assert_eq!(news(&mut watcher).await, Some(of_interface("wan")), "{change}");
            }
        });
    });
}

#[test]
fn a_verdict_on_a_tentative_address_is_news() {
    in_namespace("a_verdict_on_a_tentative_address_is_news", || {
        watching(async |mut watcher| {
            ip("addr add 2a00:1::1/64 dev wan");
            let before = facts();
            assert!(news(&mut watcher).await.is_some());
            while entry("2a00:1::1").flags.tentative {
                let next = tokio::time::timeout(SOON, watcher.changed()).await;
                assert!(next.expect("news of the verdict").is_ok());
            }
            assert_ne!(before, facts());
        });
    });
}

#[test]
fn renewed_life_times_leave_the_facts_as_they_are() {
    in_namespace("renewed_life_times_leave_the_facts_as_they_are", || {
        watching(async |mut watcher| {
            ip("addr add 2a00:1::1/64 dev wan nodad valid_lft 600 preferred_lft 300");
            news(&mut watcher).await;
            let (before, preferred) = (facts(), entry("2a00:1::1").preferred);
            ip("addr change 2a00:1::1/64 dev wan valid_lft 6000 preferred_lft 3000");
            assert_eq!(news(&mut watcher).await, Some(of_interface("wan")));
            assert_ne!(preferred, entry("2a00:1::1").preferred);
            assert_eq!(before, facts());
            ip("addr change 2a00:1::1/64 dev wan valid_lft 6000 preferred_lft 0");
            assert_ne!(before, facts(), "deprecated is news");
        });
    });
}

#[test]
fn interfaces_that_go_up_down_away_or_are_renamed_are_news_and_nothing_else_of_them() {
    let test = "interfaces_that_go_up_down_away_or_are_renamed_are_news_and_nothing_else_of_them";
    in_namespace(test, || {
        watching(async |mut watcher| {
            ip("link add yard type veth peer name shed");
            let yard = SortedSet::from([index("yard")]);
            let only = |interfaces| Some(Changes { interfaces, ..Changes::default() });
            let both = SortedSet::from([index("yard"), index("shed")]);
            assert_eq!(news(&mut watcher).await, only(both.clone()), "new");
            for change in ["mtu 1400", "alias cellar", "promisc on", "txqueuelen 7"] {
                ip(&format!("link set yard {change}"));
                assert_eq!(news(&mut watcher).await, None, "{change}");
            }
            for change in ["yard name cellar", "cellar up", "cellar down"] {
                ip(&format!("link set {change}"));
                assert_eq!(news(&mut watcher).await, only(yard.clone()), "{change}");
            }
            ip("link delete cellar");
            assert_eq!(news(&mut watcher).await, only(both), "gone");
        });
    });
}

#[test]
fn a_lost_carrier_is_news() {
    in_namespace("a_lost_carrier_is_news", || {
        watching(async |mut watcher| {
            ip("link set isp down");
            let changes = news(&mut watcher).await.expect("news");
            assert!(changes.interfaces.contains(&index("wan")), "{changes:?}");
        });
    });
}

#[test]
fn default_and_delegated_routes_are_news_and_other_routes_are_not() {
    in_namespace("default_and_delegated_routes_are_news_and_other_routes_are_not", || {
        watching(async |mut watcher| {
            ip("addr add 198.51.100.1/24 dev wan");
            ip("addr add 2a00:1::1/64 dev wan nodad");
            assert_eq!(news(&mut watcher).await, Some(of_interface("wan")));
            let default = Changes { default_route: true, ..Changes::default() };
            for (route, expect) in [
                ("-4 route add 10.0.0.0/8 via 198.51.100.254", None),
                ("-4 route add multicast 224.0.0.0/4 dev wan", None),
                ("-6 route add 2a00:2::/32 via 2a00:1::ff", None),
                ("-4 route add default via 198.51.100.254", Some(&default)),
                ("-4 route del default via 198.51.100.254", Some(&default)),
                ("-4 route add 128.0.0.0/1 via 198.51.100.254", Some(&default)),
                ("-6 route add default via 2a00:1::ff", Some(&default)),
                ("-6 route del default via 2a00:1::ff", Some(&default)),
                ("-6 route add 2000::/3 via 2a00:1::ff", Some(&default)),
                ("-6 route add unreachable 2a00:3::/56", Some(&default)),
                ("-6 route del unreachable 2a00:3::/56", Some(&default)),
                ("-4 route add unreachable 10.1.0.0/16", None),
                ("-4 rule add from 198.51.100.1 table 2", Some(&default)),
                ("-6 rule add from 2a00:1::/64 table 2", Some(&default)),
                ("-6 rule del from 2a00:1::/64 table 2", Some(&default)),
            ] {
                ip(route);
                assert_eq!(news(&mut watcher).await.as_ref(), expect, "{route}");
            }
        });
    });
}

#[test]
fn a_thousand_events_are_one_piece_of_news() {
    in_namespace("a_thousand_events_are_one_piece_of_news", || {
        watching(async |mut watcher| {
            ip_batch(&many("add"));
            let changes = watcher.changed().await.expect("news");
            assert!(changes.overrun || changes.interfaces.contains(&index("wan")), "{changes:?}");
            assert_eq!(news(&mut watcher).await, None);
            assert_eq!(kernel::addresses().expect("addresses").len(), 1000 + loopback());
        });
    });
}

#[test]
fn a_watcher_outlives_an_overrun() {
    in_namespace("a_watcher_outlives_an_overrun", || {
        watching(async |mut watcher| {
            for _ in 0..5 {
                ip_batch(&many("add"));
                ip_batch(&many("del"));
            }
            assert!(watcher.changed().await.expect("no error").overrun);
            assert_eq!(news(&mut watcher).await, None);
            ip("addr add 198.51.100.1/24 dev wan");
            assert_eq!(news(&mut watcher).await, Some(of_interface("wan")));
        });
    });
}
