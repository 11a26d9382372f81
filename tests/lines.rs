//! `bind`: what is bound to a line leaves by it or not at all, whatever else this machine has.
//!
//! Two lines lead to one provider, which stands in a network of its own and notes who asks.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

use homing::core::address::Family;
use homing::core::address::echo::Echo;
use homing::core::address::interface::InterfaceName;
use homing::core::order::SortedSet;
use homing::core::server::Server;
use homing::core::source::{Outside, Service};
use homing::net::http::Clients;
use homing::source::outside;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{home, netns, sandbox};
use home::{Home, Ran, wait_until};
use netns::{eventually, in_namespace, ip, skip, sysctl};
use sandbox::{Account, Received, Role, Sandbox};

/// Where the provider is: behind both lines, on neither.
const PROVIDER: &str = "10.9.0.1:80";

/// The network at the other end of all lines; it goes with the process that holds it.
struct Internet(Child);

impl Internet {
    fn open() -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().unwrap();
        let internet = Self(holder);
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        eventually("another network", || {
            fs::read_link(internet.namespace()).is_ok_and(|theirs| theirs != ours)
                && fs::read_to_string(format!("/proc/{}/comm", internet.0.id()))
                    .is_ok_and(|name| name == "sleep\n")
        });
        ip("link set lo up");
        for scope in ["all", "default"] {
            sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0");
            internet.sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0");
        }
        internet.run(&["ip", "link", "set", "lo", "up"]);
        internet.run(&["ip", "addr", "add", "10.9.0.1/32", "dev", "lo"]);
        internet
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// Runs a command out there.
    #[track_caller]
    fn run(&self, command: &[&str]) {
        let net = format!("--net={}", self.namespace());
        assert!(Command::new("nsenter").arg(net).args(command).status().unwrap().success());
    }

    fn sysctl(&self, name: &str, value: &str) {
        self.run(&["sh", "-c", &format!("echo {value} > /proc/sys/net/{name}")]);
    }

    /// A thread's work, done out there: sockets stay where they were opened.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(self.namespace()).unwrap();
        let work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    /// Makes the line `wanN` with the address `8.8.N.2` and a default route of the metric `N`.
    fn add_line(&self, number: u8) {
        let (ours, theirs) = (format!("wan{number}"), format!("isp{number}"));
        ip(&format!("link add {ours} type veth peer name {theirs}"));
        ip(&format!("link set {theirs} netns {}", self.0.id()));
        let address = format!("8.8.{number}.1/24");
        self.run(&["ip", "addr", "add", &address, "dev", &theirs]);
        self.run(&["ip", "link", "set", &theirs, "up"]);
        ip(&format!("addr add 8.8.{number}.2/24 dev {ours}"));
        ip(&format!("link set {ours} up"));
        ip(&format!("route add default via 8.8.{number}.1 dev {ours} metric {number}"));
    }

    /// A provider without limits of pace, which knows `dev1` and `dev2` with a token each.
    fn provider(&self) -> &'static Sandbox {
        let mut account = Account::new("owner@example.com");
        account.throttled = false;
        account.add_zone("dyn.example.com");
        for host in ["dev1", "dev2"] {
            let secret = format!("s3cret-of-{host}");
            account.add_host_token(host, &secret, &[&format!("{host}.dyn.example.com")]).unwrap();
        }
        let sandbox = self.inside(|| {
            let mut sandbox = Sandbox::unbound(account);
            sandbox.listen(Role::Api, PROVIDER.parse().unwrap()).unwrap();
            sandbox
        });
        // To end it takes a connection from its own network; the process ends soon enough.
        Box::leak(Box::new(sandbox))
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of the provider's hosts, with `lines` of its own.
fn host(name: &str, lines: &str) -> String {
    format!(
        "[[host]]\nname = \"{name}.dyn.example.com\"\nprovider = \"sandbox\"\n\
         token-file = \"{name}.token\"\n{lines}\n"
    )
}

/// A host whose address is known without looking, bound to `interface`.
fn bound(name: &str, interface: &str) -> String {
    host(name, &format!("ipv4 = \"here\"\nipv6 = \"off\"\nbind = \"{interface}\""))
}

/// A home with these hosts; `server` is where their provider is.
fn home_at(server: &str, hosts: &[String]) -> Home {
    let hosts = hosts.concat();
    let here = if hosts.contains("\"here\"") {
        "[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n"
    } else {
        ""
    };
    let home = Home::new(&format!(
        "[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{server}\"\nplain-http = true\n\
         pace = \"off\"\n\n{here}\n{hosts}"
    ));
    home.secret("dev1.token", "s3cret-of-dev1");
    home.secret("dev2.token", "s3cret-of-dev2");
    home
}

fn home(hosts: &[String]) -> Home {
    home_at(&format!("http://{PROVIDER}"), hosts)
}

/// From where the requests came that `token` was presented with.
fn askers(sandbox: &Sandbox, token: &str) -> Vec<String> {
    let credential = sandbox::Credential::Token(token.to_owned());
    let of = |request: &Received| request.credential == credential;
    let requests = sandbox.requests().into_iter().filter(of);
    let mut askers: Vec<_> = requests.map(|request| request.client.ip().to_string()).collect();
    askers.dedup();
    askers
}

/// How many packets left, by each interface.
fn sent() -> Vec<(String, u64)> {
    let interfaces = fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().path());
    let count = |path: std::path::PathBuf| {
        let count = fs::read_to_string(path.join("statistics/tx_packets")).ok()?;
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, count.trim().parse().ok()?))
    };
    let mut counts: Vec<_> = interfaces.filter_map(count).collect();
    counts.sort();
    assert!(counts.iter().any(|(name, _)| name == "lo"), "{counts:?}");
    counts
}

/// How many packets left by `interface`.
fn sent_by(interface: &str) -> u64 {
    sent().into_iter().find(|(name, _)| name == interface).unwrap().1
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    let said = [ran.out.as_str(), ran.err.as_str()].concat();
    assert!(said.contains(words), "{words} in:\n{said}");
}

#[test]
fn two_hosts_on_two_lines_update_by_their_own_line_with_its_address() {
    let name = "two_hosts_on_two_lines_update_by_their_own_line_with_its_address";
    in_namespace(name, || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let sandbox = internet.provider();
        let auto = "ipv6 = \"off\"\nbind =";
        let hosts =
            [host("dev1", &format!("{auto} \"wan1\"")), host("dev2", &format!("{auto} \"wan2\""))];
        let home = home(&hosts);
        let planned = home.run(&["check"]);
        expect(&planned, 0, "dev2.dyn.example.com: would send IPv4 8.8.2.2 to sandbox by wan2: ");
        assert_eq!(sandbox.requests(), []);
        // The daemon also asks for zones and looks at its tokens.
        let daemon = home.daemon();
        daemon.wait_until("two updates", |log| log.matches("updated").count() == 2);
        assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["8.8.1.2"]);
        assert_eq!(sandbox.records("dev2.dyn.example.com", "A"), ["8.8.2.2"]);
        let looked = |request: &Received| request.path.contains("/auth/");
        let both = || sandbox.requests().iter().filter(|request| looked(request)).count() >= 2;
        wait_until("look at both tokens", both, || daemon.log());
        assert_eq!(askers(sandbox, "dev1"), ["8.8.1.2"]);
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2"]);
        let shown = home.run(&["address"]).out;
        for line in [
            "auto, for provider sandbox by wan2:\n  IPv4 8.8.2.2",
            "IPv4 by wan1 leaves from 8.8.1.2",
        ] {
            assert!(shown.contains(line), "{line} in:\n{shown}");
        }
    });
}

#[test]
fn auto_of_ipv6_is_the_address_of_the_line_as_long_as_it_leads_out() {
    in_namespace("auto_of_ipv6_is_the_address_of_the_line_as_long_as_it_leads_out", || {
        let internet = Internet::open();
        for number in [1, 2] {
            internet.add_line(number);
            ip(&format!("addr add 2a00:{number}::2/64 dev wan{number} nodad"));
            let route = format!("default via 2a00:{number}::1 dev wan{number} metric {number}");
            ip(&format!("-6 route add {route}"));
        }
        let home = home(&[host("dev2", "ipv4 = \"off\"\nbind = \"wan2\"")]);
        expect(&home.run(&["check"]), 0, "would send IPv6 2a00:2::2 to sandbox by wan2");
        ip("-6 route del default dev wan2");
        expect(&home.run(&["check"]), 0, "no default route for IPv6 by wan2");
        ip("-6 route add default dev wan2 metric 2");
        expect(&home.run(&["check"]), 0, "would send IPv6 2a00:2::2 to sandbox by wan2");
    });
}

#[test]
fn a_line_that_is_not_there_makes_no_packet_leave() {
    in_namespace("a_line_that_is_not_there_makes_no_packet_leave", || {
        let internet = Internet::open();
        internet.add_line(1);
        // By its name, so that a look-up would show.
        let server = "https://desec.example.net";
        let home = home_at(server, &[bound("dev1", "wan9")]);
        let before = sent();
        let gone = "the interface wan9 does not exist; nothing was sent";
        expect(&home.once(), 75, gone);
        ip("link add wan9 type veth peer name isp9");
        let new = ["isp9", "wan9"].map(|name| (name.to_owned(), 0));
        let mut before = [before, new.to_vec()].concat();
        before.sort();
        let down = "the interface wan9 is down; nothing was sent";
        expect(&home.run(&["--once", "--retry-rejected"]), 75, down);
        ip("link set wan9 up");
        let bare = "the interface wan9 has no address; nothing was sent";
        expect(&home.run(&["--once", "--retry-rejected"]), 75, bare);
        assert_eq!(sent(), before);
        // A source outside as well, and `auto` in its behalf.
        let source = "[source.out]\nbind = \"nope\"\nagree = 2\nweb = \
                      [\"https://a.example.net/\", \"https://b.example.net/\"]\n";
        let hosts =
            [host("dev1", "ipv4 = \"out\"\nipv6 = \"off\""), host("dev2", "bind = \"nope\"")];
        let home = home_at(server, &[source.to_owned(), hosts.concat()]);
        let told = home.once();
        let gone = "IPv4 not set: no service returned an IPv4 address: the interface nope does \
            not exist; nothing was sent\n";
        expect(&told, 75, gone);
        expect(&told, 75, "IPv6 not set: no interface nope");
        assert_eq!(sent(), before);
        // The same without the line is seen by this count.
        let free = bound("dev1", "wan9").replace("bind = \"wan9\"\n", "");
        let home = home_at(server, &[free]);
        let mut child = home.command(&["--once"]).stdout(Stdio::null()).spawn().unwrap();
        wait_until("packet", || sent() != before, || format!("{:?}", sent()));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_dead_line_does_not_silence_the_other() {
    in_namespace("a_dead_line_does_not_silence_the_other", || {
        let internet = Internet::open();
        internet.add_line(2);
        let sandbox = internet.provider();
        let home = home(&[bound("dev1", "wan1"), bound("dev2", "wan2")]);
        expect(&home.once(), 75, "dev1.dyn.example.com: deferred");
        assert_eq!(sandbox.records("dev2.dyn.example.com", "A"), ["198.51.100.7"]);
        assert_eq!(askers(sandbox, "dev1"), [""; 0]);
    });
}

#[test]
fn another_line_is_another_setting_and_ends_a_park() {
    in_namespace("another_line_is_another_setting_and_ends_a_park", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let sandbox = internet.provider();
        let home = home(&[bound("dev1", "wan1")]);
        home.secret("dev1.token", "wrong");
        let updates = || sandbox.updates().iter().map(|u| u.client.ip().to_string()).collect();
        let mut expected: Vec<String> = updates();
        for (line, asker) in [("wan1", "8.8.1.2"), ("wan2", "8.8.2.2")] {
            home.configure(
                &home.read("config.toml").replace("bind = \"wan1\"", &format!("bind = \"{line}\"")),
            );
            expected.push(asker.to_owned());
            for _ in 0..2 {
                assert_eq!(home.once().code, 77);
                assert_eq!(updates(), expected);
            }
        }
    });
}

#[test]
fn a_line_that_comes_up_is_used_at_once() {
    in_namespace("a_line_that_comes_up_is_used_at_once", || {
        let internet = Internet::open();
        internet.add_line(1);
        let sandbox = internet.provider();
        let home = home(&[bound("dev2", "wan2")]);
        let daemon = home.daemon();
        daemon.wait_for("the interface wan2 does not exist; nothing was sent");
        // The wait after a failure would be 15 seconds at least.
        internet.add_line(2);
        daemon.wait_for("updated");
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2"]);
    });
}

#[test]
fn a_line_is_used_as_it_is_at_each_try() {
    in_namespace("a_line_is_used_as_it_is_at_each_try", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let sandbox = internet.provider();
        let home = home(&[host("dev2", "ipv6 = \"off\"\nbind = \"wan2\"")]);
        let daemon = home.daemon();
        daemon.wait_for("updated");
        let others = || (sent_by("wan1"), sent_by("lo"));
        let before = others();
        // Without an address, and without the route that goes with it.
        ip("addr del 8.8.2.2/24 dev wan2");
        daemon.wait_for("no default route for IPv4 by wan2");
        let requests = sandbox.requests().len();
        expect(&home.run(&["check"]), 0, "no default route for IPv4 by wan2");
        assert_eq!(sandbox.requests().len(), requests);
        // Renumbered.
        ip("addr add 8.8.2.77/24 dev wan2");
        ip("route add default via 8.8.2.1 dev wan2 metric 2");
        let renumbered = || sandbox.records("dev2.dyn.example.com", "A") == ["8.8.2.77"];
        wait_until("new address", renumbered, || daemon.log());
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2", "8.8.2.77"]);
        // Made anew, under its old name.
        ip("link del wan2");
        daemon.wait_for("no interface wan2");
        internet.add_line(2);
        let back = || sandbox.records("dev2.dyn.example.com", "A") == ["8.8.2.2"];
        wait_until("old address", back, || daemon.log());
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2", "8.8.2.77", "8.8.2.2"]);
        assert_eq!(others(), before);
    });
}

#[test]
fn a_line_without_a_way_out_leaves_the_others_alone() {
    in_namespace("a_line_without_a_way_out_leaves_the_others_alone", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let sandbox = internet.provider();
        let home = home(&[bound("dev2", "wan2")]);
        ip("route del default dev wan2");
        let before = sent_by("wan1");
        // The kernel then looks for the server on the line itself, where it must not be found.
        internet.sysctl("ipv4/conf/all/arp_ignore", "1");
        expect(&home.once(), 75, "(by wan2)");
        assert_eq!(sent_by("wan1"), before);
        assert_eq!(sandbox.requests(), []);
        assert!(sent_by("wan2") > 0);
    });
}

/// The XOR-MAPPED-ADDRESS answer to a Binding request (RFC 8489, section 14.2).
fn stun_answer(request: &[u8], asker: std::net::Ipv4Addr, port: u16) -> Vec<u8> {
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let port = (port ^ 0x2112).to_be_bytes();
    let address: Vec<u8> = asker.octets().iter().zip(cookie).map(|(a, b)| a ^ b).collect();
    let head = [&[1, 1, 0, 12], &request[4..20]].concat();
    [&head[..], &[0, 0x20, 0, 8, 0, 1], &port, &address].concat()
}

/// An answer with the asker's address to a query of type A.
fn dns_answer(query: &[u8], asker: std::net::Ipv4Addr) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
    answer.extend(asker.octets());
    answer
}

#[test]
fn a_bound_source_tells_the_address_of_its_line() {
    in_namespace("a_bound_source_tells_the_address_of_its_line", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let _sandbox = internet.provider();
        for (port, is_stun) in [(3478, true), (53, false)] {
            let socket = internet.inside(|| UdpSocket::bind(("10.9.0.1", port)).unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                    let IpAddr::V4(address) = asker.ip() else { continue };
                    let answer = if is_stun {
                        stun_answer(&buffer[..length], address, asker.port())
                    } else {
                        dns_answer(&buffer[..length], address)
                    };
                    let _ = socket.send_to(&answer, asker);
                }
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let at = |port| Server::Address(([10, 9, 0, 1], port).into());
        let web = Service::Web { echo: Echo::at(format!("http://{PROVIDER}/ip")), ca_file: None };
        let clients = Clients::new(true);
        for service in [web, Service::Stun(at(3478))] {
            for (bind, address) in [("wan1", "8.8.1.2"), ("wan2", "8.8.2.2"), ("wan1", "8.8.1.2")] {
                let bind: Option<InterfaceName> = Some(bind.parse().unwrap());
                let outside = Outside { services: vec![service.clone()], agree: 1, bind };
                let aside = SortedSet::new();
                let told =
                    runtime.block_on(outside::ask(&outside, Family::V4, &clients, &aside)).address;
                assert_eq!(told, Ok(address.parse().unwrap()), "{service}");
            }
        }
        // The same from the configuration, with a line that is not the default one.
        let source = "[source.out]\ndns = [{ server = \"10.9.0.1\", name = \"me.example.net\" }]\n\
                      bind = \"wan2\"\n";
        let hosts = host("dev1", "ipv4 = \"out\"\nipv6 = \"off\"");
        let shown = home(&[source.to_owned(), hosts]).run(&["address"]);
        expect(
            &shown,
            0,
            "source out: dns 10.9.0.1:53 by wan2\n  IPv4 8.8.2.2  would be published",
        );
    });
}

#[test]
fn a_line_that_a_rule_tells_by_its_address_is_used_like_any() {
    in_namespace("a_line_that_a_rule_tells_by_its_address_is_used_like_any", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        // The usual recipe for several lines: nothing but the source address leads by the second.
        ip("route del default dev wan2");
        ip("route add default via 8.8.2.1 dev wan2 table 2");
        ip("rule add from 8.8.2.2 table 2");
        for (number, table) in [(1, "main"), (2, "2")] {
            ip(&format!("addr add 2a00:{number}::2/64 dev wan{number} nodad"));
            let route = format!("default via 2a00:{number}::1 dev wan{number} table {table}");
            ip(&format!("-6 route add {route}"));
        }
        ip("-6 rule add from 2a00:2::/64 table 2");
        let sandbox = internet.provider();
        let lines = "ipv6 = \"off\"\nbind = \"wan2\"";
        let home = home(&[host("dev1", lines), host("dev2", "ipv4 = \"off\"\nbind = \"wan2\"")]);
        let planned = home.run(&["check"]);
        expect(&planned, 0, "dev1.dyn.example.com: would send IPv4 8.8.2.2 to sandbox by wan2");
        expect(&planned, 0, "dev2.dyn.example.com: would send IPv6 2a00:2::2 to sandbox by wan2");
        expect(&home.once(), 0, "updated");
        assert_eq!(sandbox.records("dev1.dyn.example.com", "A"), ["8.8.2.2"]);
        assert_eq!(sandbox.records("dev2.dyn.example.com", "AAAA"), ["2a00:2::2"]);
        assert_eq!([askers(sandbox, "dev1"), askers(sandbox, "dev2")], [["8.8.2.2"], ["8.8.2.2"]]);
    });
}

/// A router of the line `number`, which knows NAT-PMP alone and tells the address `8.8.N.77`.
fn router(internet: &Internet, number: u8) {
    let socket = internet.inside(|| UdpSocket::bind(format!("8.8.{number}.1:5351")).unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
            let answer = match buffer[..length] {
                [0, 0] => vec![0, 128, 0, 0, 0, 0, 1, 0, 8, 8, number, 77],
                _ => vec![0, 0x81, 0, 1, 0, 0, 1, 0],
            };
            let _ = socket.send_to(&answer, asker);
        }
    });
}

#[test]
fn a_bound_gateway_is_that_of_its_line() {
    in_namespace("a_bound_gateway_is_that_of_its_line", || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        router(&internet, 1);
        let source = |bind: &str| format!("[source.out]\ngateway = true\n{bind}\n");
        let by = |bind: &str| home(&[source(bind), host("dev1", "ipv4 = \"out\"\nipv6 = \"off\"")]);
        let shown = by("").run(&["address"]);
        expect(&shown, 0, "source out: the default gateway\n  IPv4 8.8.1.77  would be published");
        // The search for UPnP, to the group as well, stays on the line.
        let before = (sent_by("wan1"), sent_by("wan2"));
        let shown = by("bind = \"wan2\"").run(&["address"]);
        expect(
            &shown,
            0,
            "IPv4 unknown: no service returned an IPv4 address: gateway 8.8.2.1 \
            does not give",
        );
        assert_eq!(sent_by("wan1"), before.0);
        assert!(sent_by("wan2") > before.1);
        router(&internet, 2);
        let shown = by("bind = \"wan2\"").run(&["address"]);
        expect(
            &shown,
            0,
            "source out: the default gateway by wan2\n  IPv4 8.8.2.77  would be published",
        );
        assert_eq!(sent_by("wan1"), before.0);
        ip("rule add from 8.8.2.2 table 2");
        ip("route add default via 8.8.2.1 dev wan2 table 2");
        ip("route del default dev wan2");
        let shown = by("bind = \"wan2\"").run(&["address"]);
        expect(&shown, 0, "IPv4 8.8.2.77  would be published");
        ip("link del wan2");
        let shown = by("bind = \"wan2\"").run(&["address"]);
        expect(&shown, 0, "the interface wan2 does not exist; nothing was sent");
        assert_eq!(sent_by("wan1"), before.0);
    });
}

/// Runs what follows with a kernel that refuses `SO_BINDTODEVICE`, as those before 5.7 do to
/// anybody without `CAP_NET_RAW`: by seccomp(2), to which perl has a way.
const REFUSING: &str = r#"
my ($arch, $prctl, $setsockopt) = map { hex } splice @ARGV, 0, 3;
my @filter = (
    [0x20, 0, 0, 4], [0x15, 0, 7, $arch], [0x20, 0, 0, 0], [0x15, 0, 5, $setsockopt],
    [0x20, 0, 0, 24], [0x15, 0, 3, 1], [0x20, 0, 0, 32], [0x15, 0, 1, 25],
    [0x06, 0, 0, 0x00050001], [0x06, 0, 0, 0x7fff0000],
);
my $filter = join "", map { pack "SCCL", @$_ } @filter;
my $program = pack "Sx6P", scalar @filter, $filter;
syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
syscall($prctl, 22, 2, $program, 0, 0) == 0 or die "seccomp: $!";
exec @ARGV or die "exec: $!";
"#;

#[test]
fn where_binding_to_an_interface_is_not_permitted_its_address_is_bound() {
    let name = "where_binding_to_an_interface_is_not_permitted_its_address_is_bound";
    // The architecture (linux/audit.h) and its numbers of prctl and setsockopt.
    let numbers = match std::env::consts::ARCH {
        "x86_64" => ["c000003e", "9d", "36"],
        "aarch64" => ["c00000b7", "a7", "d0"],
        _ => return skip(name, "knows the system calls of x86_64 and aarch64 only"),
    };
    in_namespace(name, || {
        let internet = Internet::open();
        internet.add_line(1);
        internet.add_line(2);
        let sandbox = internet.provider();
        let home = home(&[bound("dev2", "wan2")]);
        let once = || {
            let homing = home.command(&["--once", "--refresh", "--retry-rejected"]);
            let mut refusing = Command::new("perl");
            refusing.args(["-e", REFUSING]).args(numbers).arg(homing.get_program());
            Ran::from(refusing.args(homing.get_args()).env_clear().output().unwrap())
        };
        // An address alone names no line: that takes a route of its own.
        ip("rule add from 8.8.2.2 table 2");
        ip("route add default via 8.8.2.1 dev wan2 table 2");
        let before = (sent_by("wan1"), sent_by("lo"));
        expect(&once(), 0, "updated");
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2"]);
        ip("addr del 8.8.2.2/24 dev wan2");
        expect(&once(), 75, "the interface wan2 has no IPv4 address; nothing was sent");
        ip("link del wan2");
        expect(&once(), 75, "the interface wan2 does not exist; nothing was sent");
        assert_eq!((sent_by("wan1"), sent_by("lo")), before);
        assert_eq!(askers(sandbox, "dev2"), ["8.8.2.2"]);
    });
}
