//! A gateway as a source: the real binary against scripted routers on loopback, and against
//! miniupnpd as the router of a network namespace.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{home, netns};
use home::{Home, Ran, wait_until};

/// The port of PCP and NAT-PMP, and that of searches.
const PCP: u16 = 5351;
const SSDP: u16 = 1900;

/// A router with an address of its own on loopback, whose ports answer by scripts until the test's
/// process ends.
struct Router {
    address: Ipv4Addr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Router {
    fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        // Other processes may run the same tests.
        let [.., high, low] = std::process::id().to_be_bytes();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { address: Ipv4Addr::new(127, high | 0x80, low, count), heard: Arc::default() }
    }

    /// Answers datagrams that come to `port`.
    fn on(self, port: u16, script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((self.address, port)).unwrap();
        let heard = Arc::clone(&self.heard);
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                heard.lock().unwrap().push(buffer[..length].to_vec());
                for answer in script(&buffer[..length]) {
                    let _ = socket.send_to(&answer, asker);
                }
            }
        });
        self
    }

    /// Answers searches with `location`, and HTTP requests by `script`; `PORT` stands for the port
    /// of the latter, and `SELF` for the address, in both.
    fn upnp(self, location: &str, script: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind((self.address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (address, heard) = (self.address.to_string(), Arc::clone(&self.heard));
        let filled = move |text: &str| text.replace("PORT", &port).replace("SELF", &address);
        let location = filled(location);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = http_request(&mut stream);
                heard.lock().unwrap().push(request.clone().into_bytes());
                let _ = stream.write_all(filled(&script(&request)).as_bytes());
            }
        });
        self.on(SSDP, move |search| found(search, &location))
    }

    /// The datagrams and HTTP requests that came and begin with `head`.
    fn heard(&self, beginning: &[u8]) -> Vec<Vec<u8>> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|heard| heard.starts_with(beginning)).cloned().collect()
    }

    /// A home whose one host publishes what the router tells.
    fn home(&self) -> Home {
        home(&format!("gateway = \"{}\"", self.address))
    }

    /// Checks that this address is published.
    #[track_caller]
    fn publishes(&self, address: &str) {
        publishes(&self.home(), address);
    }

    /// Checks that nothing is published, that `address` says why, and that it does so soon.
    #[track_caller]
    fn tells(&self, why: &[&str]) -> Ran {
        let begun = Instant::now();
        let ran = self.home().run(&["address"]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        for why in why {
            assert!(ran.out.contains(why), "{why}: {ran:?}");
        }
        assert!(!ran.out.contains("would be published"), "{ran:?}");
        ran
    }
}

fn home(source: &str) -> Home {
    Home::new(&format!(
        "[source.router]\n{source}\n\n[[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\n\
         path = \"hosts\"\nipv4 = \"router\"\nipv6 = \"off\"\n"
    ))
}

#[track_caller]
fn publishes(home: &Home, address: &str) {
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = format!("{address} a.example");
    let hosts = home.read("hosts").replace('\t', " ");
    assert!(hosts.lines().any(|written| written.starts_with(&line)), "{hosts}");
}

// PCP and NAT-PMP.

/// What is said by PCP with `code` and the external address `address`.
fn pcp(request: &[u8], code: u8, address: [u8; 4]) -> Vec<u8> {
    assert_eq!((request.len(), &request[..2]), (60, &b"\x02\x01"[..]));
    let head = [2, 0x81, 0, code, 0, 0, 0, 120, 0, 0, 1, 0];
    let ports = [&request[40..42], &request[40..42]].concat();
    let external = [&[0; 10], &b"\xff\xff"[..], &address].concat();
    [&head[..], &[0; 12], &request[24..40], &ports, &external].concat()
}

/// What is said by NAT-PMP.
fn natpmp(code: u8, address: [u8; 4]) -> Vec<u8> {
    [&[0, 128, 0, code, 0, 0, 1, 0], &address[..]].concat()
}

/// Whether a request is one of NAT-PMP.
fn is_natpmp(request: &[u8]) -> bool {
    request == [0, 0]
}

const PUBLIC: [u8; 4] = [8, 8, 4, 9];

#[test]
fn a_gateway_tells_its_address_by_pcp_and_forgets_the_mapping() {
    let router = Router::new().on(PCP, |request| vec![pcp(request, 0, PUBLIC)]);
    router.publishes("8.8.4.9");
    let heard = || router.heard(b"\x02\x01");
    wait_until("removal", || heard().len() >= 2, || format!("{:?}", heard()));
    let [mapping, removal] = &heard()[..] else { panic!("{:?}", heard()) };
    assert_eq!((mapping[7], removal[7]), (120, 0), "the life times in seconds");
    assert_eq!(mapping[8..], removal[8..], "the same mapping");
    assert_eq!(mapping[8..24], *b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01");
    assert_eq!(router.heard(b"\0\0"), [b""; 0]);
}

#[test]
fn what_is_forged_beside_an_answer_of_pcp_does_not_matter() {
    let router = Router::new().on(PCP, |request| {
        let (mut nonce, mut port) = (pcp(request, 0, [9; 4]), pcp(request, 0, [9; 4]));
        nonce[30] ^= 1;
        port[41] ^= 1;
        vec![b"garbage".to_vec(), nonce, port, natpmp(0, [9; 4]), pcp(request, 0, PUBLIC)]
    });
    router.publishes("8.8.4.9");
}

#[test]
fn a_gateway_without_pcp_tells_its_address_by_natpmp() {
    let old = Router::new().on(PCP, |request| {
        let unsupported = b"\0\x81\0\x01\0\0\x01\0".to_vec();
        vec![if is_natpmp(request) { natpmp(0, PUBLIC) } else { unsupported }]
    });
    old.publishes("8.8.4.9");
    assert_eq!(old.heard(b"\x02\x01").len(), 1, "nothing to remove");
    let full = Router::new().on(PCP, |request| {
        vec![if is_natpmp(request) { natpmp(0, PUBLIC) } else { pcp(request, 8, [9; 4]) }]
    });
    full.publishes("8.8.4.9");
    let forged = Router::new().on(PCP, |request| {
        if is_natpmp(request) {
            return vec![b"\0\x81\0\0\0\0\0\0\x09\x09\x09\x09".to_vec(), natpmp(0, PUBLIC)];
        }
        let mut forged = pcp(request, 0, [9; 4]);
        forged[24] ^= 1;
        vec![forged]
    });
    forged.publishes("8.8.4.9");
}

#[test]
fn another_machines_answer_is_not_heard() {
    let router = Router::new();
    let other = UdpSocket::bind((Router::new().address, PCP)).unwrap();
    let socket = UdpSocket::bind((router.address, PCP)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
            let request = &buffer[..length];
            let forged =
                if is_natpmp(request) { natpmp(0, [9; 4]) } else { pcp(request, 0, [9; 4]) };
            other.send_to(&forged, asker).unwrap();
        }
    });
    router.tells(&["by PCP it did not answer within 1s 500ms", "by NAT-PMP it did not answer"]);
}

#[test]
fn silence_ends_in_bounded_time() {
    let router = Router::new().on(PCP, |_| Vec::new()).on(SSDP, |_| Vec::new());
    let name = router.address;
    let ran = router.tells(&[
        &format!("gateway {name} does not give its address (by PCP it did not answer within"),
        "; by NAT-PMP it did not answer within 1s 500ms; by UPnP it did not answer within 1s 500ms)",
    ]);
    assert!(ran.out.contains(&format!("source router: gateway {name}\n")), "{ran:?}");
    // The removal, too, because the answer may be what was lost.
    assert_eq!((router.heard(b"\x02\x01").len(), router.heard(b"\0\0").len()), (3, 3));
    assert_eq!(router.heard(b"M-SEARCH * HTTP/1.1\r\n").len(), 6);
}

#[test]
fn a_gateway_that_refuses_everything_is_told_with_what_it_says() {
    let router = Router::new()
        .on(PCP, |request| {
            vec![if is_natpmp(request) { natpmp(2, [9; 4]) } else { pcp(request, 12, [9; 4]) }]
        })
        .upnp(LOCATION, |request| {
            if request.starts_with("GET ") { ok(DESCRIPTION) } else { REFUSED.to_owned() }
        });
    router.tells(&[
        "by PCP it answers with the error 12 (it is behind another NAT); by NAT-PMP it \
        answers with the error 2 (not authorised, or switched off); by UPnP it answers with the \
        error 777, \"No WAN here\")",
    ]);
}

#[test]
fn a_gateway_without_an_address_is_told_at_once_and_not_asked_in_another_way() {
    let router = Router::new().on(PCP, |request| vec![pcp(request, 0, [0; 4])]);
    router.tells(&["has no address itself, as it says by PCP"]);
    assert_eq!(router.heard(b"\0\0"), [b""; 0]);
    let router = Router::new().on(PCP, |request| {
        if is_natpmp(request) { vec![natpmp(0, [0; 4])] } else { vec![pcp(request, 1, [0; 4])] }
    });
    router.tells(&["has no address itself, as it says by NAT-PMP"]);
    let router = Router::new().upnp(LOCATION, |request| {
        ok(&if request.starts_with("GET ") { DESCRIPTION.to_owned() } else { soap("") })
    });
    router.tells(&["has no address itself, as it says by UPnP"]);
}

#[test]
fn what_a_gateway_tells_is_judged_like_any_address() {
    let router = Router::new().on(PCP, |request| vec![pcp(request, 0, [100, 64, 0, 9])]);
    let home = Home::new(&format!(
        "[source.router]\ngateway = \"{}\"\n\n[[host]]\nname = \"a.example\"\n\
         provider = \"desec\"\ntoken-file = \"token\"\nipv4 = \"router\"\nipv6 = \"off\"\n",
        router.address
    ));
    home.secret("token", "s3cret");
    let ran = home.run(&["address"]);
    let why = "source router returned 100.64.0.9, which is ";
    assert!(ran.out.contains(why) && ran.out.contains("not published"), "{ran:?}");
}

// UPnP.

/// The answer to a search.
fn found(search: &[u8], location: &str) -> Vec<Vec<u8>> {
    let search = String::from_utf8_lossy(search);
    assert!(search.contains("\r\nMAN: \"ssdp:discover\"\r\n"), "{search}");
    let target = search.lines().find(|line| line.starts_with("ST: ")).unwrap();
    let head = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120";
    vec![format!("{head}\r\n{target}\r\nEXT:\r\nLOCATION: {location}\r\n\r\n").into_bytes()]
}

/// An HTTP request, as far as its body's end.
fn http_request(stream: &mut TcpStream) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        request.push(byte[0]);
    }
    let mut text = String::from_utf8(request).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    text.push_str(std::str::from_utf8(&body).unwrap());
    text
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n{body}")
}

fn soap(address: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <s:Body><u:GetExternalIPAddressResponse \
         xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">\
         <NewExternalIPAddress>{address}</NewExternalIPAddress>\
         </u:GetExternalIPAddressResponse></s:Body></s:Envelope>\n\0"
    )
}

const LOCATION: &str = "http://SELF:PORT/root.xml";

const REFUSED: &str = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n\
    <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
    <faultcode>s:Client</faultcode><detail>\
    <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>777</errorCode>\
    <errorDescription>No WAN\nhere</errorDescription></UPnPError></detail></s:Fault></s:Body>\
    </s:Envelope>";

const DESCRIPTION: &str = "<?xml version=\"1.0\"?>\n\
    <root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device>\
    <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>\
    <deviceList><device><serviceList>\
    <service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>\
    <controlURL>/wrong</controlURL></service>\
    <service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <controlURL>/ip</controlURL></service>\
    <service><serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType>\
    <controlURL>http://SELF:PORT/ppp</controlURL></service>\
    </serviceList></device></deviceList></device></root>";

#[test]
fn a_gateway_tells_its_address_by_upnp() {
    let router = Router::new().upnp(LOCATION, |request| {
        if request.starts_with("GET /root.xml ") {
            return ok(DESCRIPTION);
        }
        assert!(request.starts_with("POST /ip HTTP/1.1\r\n"), "{request}");
        for part in [
            "soapaction: \"urn:schemas-upnp-org:service:WANIPConnection:1#GetExternalIPAddress\"",
            "content-type: text/xml; charset=\"utf-8\"",
            "<u:GetExternalIPAddress xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">",
        ] {
            assert!(request.contains(part), "{request}");
        }
        ok(&soap("8.8.4.9"))
    });
    router.publishes("8.8.4.9");
    // In place of PCP and NAT-PMP, whose port was closed, and by one request each.
    assert_eq!((router.heard(b"GET").len(), router.heard(b"POST").len()), (1, 1));
}

#[test]
fn each_service_that_may_know_the_address_is_asked() {
    let router = Router::new().upnp(LOCATION, |request| match &request[..6] {
        "GET /r" => ok(DESCRIPTION),
        "POST /" if request.starts_with("POST /ppp ") => ok(&soap("8.8.4.9")),
        _ => ok(&soap("0.0.0.0")),
    });
    router.publishes("8.8.4.9");
}

#[test]
fn a_description_may_say_where_its_links_begin() {
    let router = Router::new().upnp("http://SELF:PORT/a/root.xml", |request| {
        let base = "<URLBase>http://SELF:PORT/b/</URLBase><device>";
        if request.starts_with("GET ") {
            return ok(&DESCRIPTION.replacen("<device>", base, 1).replace("/ip<", "ip<"));
        }
        if request.starts_with("POST /b/ip ") { ok(&soap("8.8.4.9")) } else { REFUSED.to_owned() }
    });
    router.publishes("8.8.4.9");
}

#[test]
fn a_search_that_another_machine_answers_leads_nowhere() {
    let (router, liar) = (Router::new(), Router::new());
    let (address, other) = (router.address, UdpSocket::bind((liar.address, SSDP)).unwrap());
    // The liar names a page of the gateway itself, from an address that is not the gateway's.
    let listener = TcpListener::bind((address, 0)).unwrap();
    let location = format!("http://{}/root.xml", listener.local_addr().unwrap());
    let socket = UdpSocket::bind((address, SSDP)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
            other.send_to(&found(&buffer[..length], &location)[0], asker).unwrap();
        }
    });
    router.tells(&["by UPnP it did not answer within 1s 500ms"]);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the page was asked for");
}

#[test]
fn what_leads_away_from_the_gateway_is_not_followed() {
    // Another machine, which would tell a wrong address.
    let liar = Router::new().upnp(LOCATION, |request| {
        ok(&if request.starts_with("GET ") { DESCRIPTION.to_owned() } else { soap("9.9.9.9") })
    });
    let heard = |router: &Router| String::from_utf8(router.heard(b"GET")[0].clone()).unwrap();
    let _ = liar.home().run(&["address"]);
    let host =
        heard(&liar).lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let before = liar.heard(b"").len();

    let router = Router::new().upnp(&format!("http://{host}/root.xml"), |_| ok(DESCRIPTION));
    router.tells(&["by UPnP it names a description that is not its own, and nothing else within"]);
    let router = Router::new().upnp(&format!("http://SELF:PORT/{host}"), |request| {
        let host = request[5..].split(' ').next().unwrap();
        let elsewhere = format!("Location: http://{host}/root.xml");
        format!("HTTP/1.1 302 Found\r\n{elsewhere}\r\nContent-Length: 0\r\n\r\n")
    });
    router.tells(&["by UPnP it describes itself with HTTP 302"]);
    let router = Router::new().upnp(&format!("http://SELF:PORT/{host}"), |request| {
        let host = request[5..].split(' ').next().unwrap();
        let links = DESCRIPTION.replace("http://SELF:PORT", &format!("http://{host}"));
        ok(&links.replace("/ip<", &format!("http://{host}/ip<")))
    });
    router.tells(&["by UPnP it names a control that is not its own"]);
    assert_eq!(liar.heard(b"").len(), before, "the liar was asked");
}

#[test]
fn descriptions_and_answers_that_cannot_be_read_are_told() {
    let check = |script: fn(&str) -> String, why: &str| {
        Router::new().upnp(LOCATION, script).tells(&[why]);
    };
    check(
        |_| ok("<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"8.8.4.9\">]><root>&a;</root>"),
        "by UPnP it sends XML that cannot be read (",
    );
    check(|_| ok(&"<a>".repeat(20_000)), "by UPnP it sends XML that cannot be read (");
    check(|_| ok(&" ".repeat(70_000)), "answers with more than 65536 bytes");
    check(
        |_| ok("<root xmlns=\"urn:schemas-upnp-org:device-1-0\"/>"),
        "by UPnP it describes no service that knows its address",
    );
    check(
        |request| ok(if request.starts_with("GET ") { DESCRIPTION } else { "<html/>" }),
        "by UPnP it answers the question with something else",
    );
    check(
        |request| {
            if request.starts_with("GET ") {
                return ok(DESCRIPTION);
            }
            // An address beside a status that is not 200 is no success.
            ok(&soap("8.8.4.9")).replace("200 OK", "403 Forbidden")
        },
        "by UPnP it answers the question with HTTP 403",
    );
    check(
        |request| ok(&if request.starts_with("GET ") { DESCRIPTION.into() } else { soap("::1") }),
        "by UPnP it returns \"::1\", which is not an IPv4 address",
    );
}

#[test]
fn a_gateway_that_takes_its_time_over_http_is_not_waited_for() {
    let router = Router::new().upnp(LOCATION, |_| {
        thread::sleep(Duration::from_secs(20));
        String::new()
    });
    router.tells(&["by UPnP it did not answer within 1s 500ms over HTTP"]);
}

// The default route, and a real router.

#[test]
fn without_a_gateway_of_the_default_route_nobody_is_asked() {
    netns::in_namespace("without_a_gateway_of_the_default_route_nobody_is_asked", || {
        netns::ip("addr add 198.51.100.1 peer 198.51.100.2/32 dev wan");
        let home = home("gateway = true");
        let shown = || home.run(&["address"]).out;
        let out = shown();
        assert!(
            out.contains("there is no IPv4 default route, so there is no gateway to ask"),
            "{out}"
        );
        assert!(out.contains("source router: the default gateway\n"), "{out}");
        netns::ip("route add default dev wan");
        let why = "the default route names no IPv4 gateway; write its address instead of true";
        let out = shown();
        assert!(out.contains(why), "{out}");
    });
}

/// A router in a network namespace of its own, ended when dropped.
struct Miniupnpd {
    child: Child,
    home: Home,
}

impl Miniupnpd {
    /// Puts the other end of `wan` into the router's namespace, with 192.168.1.1 on this side and
    /// 8.8.4.9 on the other; `None` where there is no such program.
    fn start(test: &str, settings: &str, nftables: &str) -> Option<Self> {
        const PROGRAM: &str = "/usr/sbin/miniupnpd";
        if !std::path::Path::new(PROGRAM).exists() {
            netns::skip(test, "needs miniupnpd");
            return None;
        }
        let home = Home::new("");
        home.write("rules", nftables, 0o600);
        let settings = format!(
            "ext_ifname=ext\nlistening_ip=isp\nhttp_port=5000\nenable_upnp=yes\n{settings}\n\
             uuid=00000000-0000-0000-0000-000000000000\n\
             allow 1024-65535 0.0.0.0/0 1024-65535\n"
        );
        home.write("settings", &settings, 0o600);
        let script = format!(
            "set -e; echo here; read go
             ip link set lo up
             ip link add ext type veth peer name far; ip link set far up; ip link set ext up
             ip addr add 8.8.4.9/24 dev ext; ip addr add 192.168.1.1/24 dev isp
             ip link set isp up; ip route add default via 8.8.4.1
             test ! -s rules || nft -f rules
             exec {PROGRAM} -d -f settings -P pid"
        );
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", &script])
            .current_dir(home.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(home.path("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "here\n");
        netns::ip(&format!("link set isp netns {}", child.id()));
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let router = Self { child, home };
        router.wait_for("HTTP listening on port 5000");
        netns::ip("link set lo up");
        netns::ip("addr add 192.168.1.2/24 dev wan");
        netns::ip("route add default via 192.168.1.1");
        Some(router)
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_until(text, || self.log().contains(text), || self.log());
    }

    fn log(&self) -> String {
        self.home.read("log")
    }
}

impl Drop for Miniupnpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The chains that miniupnpd writes its mappings into.
const CHAINS: &str = "table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority 0; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
}
";

#[test]
fn miniupnpd_tells_its_address_by_pcp() {
    let test = "miniupnpd_tells_its_address_by_pcp";
    netns::in_namespace(test, || {
        let Some(router) = Miniupnpd::start(test, "enable_natpmp=yes", CHAINS) else { return };
        router.wait_for("Listening for NAT-PMP/PCP");
        publishes(&home("gateway = true"), "8.8.4.9");
        router.wait_for("PCP MAP: added mapping UDP");
        router.wait_for("mapping removed");
        assert!(!router.log().contains("public address request"), "{}", router.log());
    });
}

#[test]
fn miniupnpd_tells_its_address_by_natpmp_where_it_can_make_no_mapping() {
    let test = "miniupnpd_tells_its_address_by_natpmp_where_it_can_make_no_mapping";
    netns::in_namespace(test, || {
        // Without its chains every mapping fails.
        let Some(router) = Miniupnpd::start(test, "enable_natpmp=yes", "") else { return };
        router.wait_for("Listening for NAT-PMP/PCP");
        publishes(&home("gateway = true"), "8.8.4.9");
        let log = router.log();
        assert!(log.contains("PCP MAP: failed to add mapping"), "{log}");
        assert!(log.contains("NAT-PMP public address request"), "{log}");
        assert!(!log.contains("M-SEARCH"), "{log}");
    });
}

#[test]
fn miniupnpd_tells_its_address_by_upnp_alone() {
    let test = "miniupnpd_tells_its_address_by_upnp_alone";
    netns::in_namespace(test, || {
        let Some(router) = Miniupnpd::start(test, "enable_natpmp=no", "") else { return };
        publishes(&home("gateway = true"), "8.8.4.9");
        let log = router.log();
        assert!(!log.contains("NAT-PMP public") && log.contains("SSDP M-SEARCH from"), "{log}");
    });
}
