//! The servers of a life: the simulated providers on loopback, and what goes wrong on the way to them.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use homing::core::protocol::{Answer, Authorization, Body, Credential, HttpRequest, Method};
use homing::core::secret::{Guarded, Secret};
use rustix::process::{Pid, Signal, kill_process};

use super::judge::Judge;
use super::{HOSTS, Server, millis};
use crate::support::chance::Chance;
use crate::support::sandbox::http::{self, Request};
use crate::support::virtual_clock::{Port, VirtualClock};
use crate::years::Millis;
use crate::years::faults::{Fault, Kind};
use crate::years::providers::desec::Desec;
use crate::years::providers::dyndns2::Dyndns2;
use crate::years::providers::records::RecordApi;
use crate::years::providers::{Records, Reply, Service};

/// All that the program's requests meet.
pub struct World {
    /// What there is to say about them.
    pub judge: Judge,
    /// The program that runs.
    pub program: Option<Pid>,
    /// Whether the next request kills the program, and whether it is carried out before that.
    pub trap: Option<bool>,
    faults: Vec<Fault>,
    chance: Chance,
    desec: Desec,
    dyndns2: Dyndns2,
    records: RecordApi,
    /// Until when other machines have used their zone.
    neighbours: Millis,
}

/// What comes of a connection.
enum Fate {
    Answer(Vec<u8>),
    Close,
    Hush,
}

impl World {
    /// The world in which `faults` happen; each file of a secret holds its name first.
    pub fn new(faults: Vec<Fault>, chance: Chance, secret: impl Fn(&str) -> String) -> Self {
        let [one, two, three] = ["one", "two", "three"].map(&secret);
        let of = |file: &str| -> Vec<&'static str> {
            let hosts = HOSTS.iter().filter(|host| host.file == file);
            hosts.map(|host| host.name).collect()
        };
        let desec = Desec::new(
            &["one.example", "two.example"],
            &[(&one, &of("one")), (&two, &of("two")), (&three, &of("three"))],
        );
        Self {
            judge: Judge::default(),
            program: None,
            trap: None,
            faults,
            chance,
            desec,
            dyndns2: Dyndns2::new("me", &secret("password"), &of("password")),
            records: RecordApi::new("three.example", &secret("records"), &of("records")),
            neighbours: 0,
        }
    }

    /// The server of that name.
    pub fn service(&mut self, server: Server) -> &mut dyn Service {
        match server {
            Server::Desec => &mut self.desec,
            Server::Dyndns2 => &mut self.dyndns2,
            Server::Records => &mut self.records,
        }
    }

    /// What the records of a host hold.
    pub fn records(&mut self, server: Server, host: &str) -> Records {
        self.service(server).records(host)
    }

    /// Whether a fault of that kind strikes a server now.
    fn strikes(&self, kind: Kind, server: Server, now: Millis) -> bool {
        let is_now = |fault: &&Fault| fault.begin <= now && now < fault.end;
        let mut now = self.faults.iter().filter(is_now);
        now.any(|fault| fault.kind == kind && Server::of(fault.choice) == server)
    }

    /// Lets other machines use what they used since the last request: one update in 30 s.
    fn let_neighbours_ask(&mut self, now: Millis) {
        const EVERY: Millis = 30_000;
        let from = self.neighbours.max(now.saturating_sub(5 * EVERY));
        let faults: Vec<Fault> =
            self.faults.iter().filter(|fault| fault.kind == Kind::Neighbours).copied().collect();
        for at in (from / EVERY + 1)..=(now / EVERY) {
            let at = at * EVERY;
            for fault in faults.iter().filter(|fault| fault.begin <= at && at < fault.end) {
                self.desec.take_by_others(fault.choice, at);
            }
        }
        self.neighbours = now;
    }

    /// What comes of a request that arrives `now`; the source was read at `looked` or later.
    fn fate(&mut self, server: Server, request: &Request, now: Millis, looked: Millis) -> Fate {
        self.let_neighbours_ask(now);
        let asked = translated(request);
        let hosts = request.parameter("hostname").filter(|_| request.path.contains("/dyndns/"));
        let zone = hosts.and_then(|hosts| self.desec.zone(hosts.split(',').next()?));
        self.judge.arrives(server, zone.as_deref(), now);
        let trap = self.trap.take();
        let heads = self.chance.once_in(2);
        let is_lost = self.strikes(Kind::LostAnswers, server, now) && self.chance.once_in(2);
        let is_silent = self.strikes(Kind::Slowness, server, now) && self.chance.once_in(3);
        // Who is busy, or never had it, carries nothing out.
        let mut is_kept_from_it = true;
        let answer = if self.strikes(Kind::Pages, server, now) {
            Some(self.page())
        } else if self.strikes(Kind::Busy, server, now) && self.chance.once_in(2) {
            Some(self.busy())
        } else {
            is_kept_from_it = false;
            let fails = self.strikes(Kind::ServerErrors, server, now) && self.chance.once_in(2);
            fails.then(|| self.failure(server))
        };
        let is_well = trap.is_none() && answer.is_none() && !is_lost && !is_silent;
        let is_carried_out = trap.unwrap_or(is_well || !is_kept_from_it && heads);
        if !is_well {
            self.judge.note_fault(server);
        }
        let mut own = Vec::new();
        if is_carried_out {
            let reply = self.service(server).serve(&asked, now);
            self.judge.carried_out(&reply, now, looked);
            if is_well {
                let about = (zone.as_deref(), secret_of(&asked));
                self.judge.answered(&reply, about, now);
            }
            own = bytes_of(&reply.answer);
        }
        if trap.is_some() {
            if let Some(program) = self.program {
                // It may have ended by itself.
                let _ = kill_process(program, Signal::KILL);
            }
            return Fate::Close;
        }
        match answer {
            _ if is_silent => Fate::Hush,
            _ if is_lost => Fate::Close,
            Some(answer) => Fate::Answer(answer),
            None => Fate::Answer(own),
        }
    }

    /// A web page of somebody before the server.
    fn page(&mut self) -> Vec<u8> {
        let status = [200, 401, 403, 404][usize::try_from(self.chance.below(4)).unwrap_or(0)];
        let mut page = Reply::text(status, "<html><body>Please log in: good</body></html>").answer;
        page.content_type = Some("text/html".to_owned());
        bytes_of(&page)
    }

    /// Too many requests, with and without a word on when there will be less.
    fn busy(&mut self) -> Vec<u8> {
        let mut busy = Reply::text(429, "Too many concurrent requests.").answer;
        if self.chance.once_in(2) {
            busy.retry_after = Some(Duration::from_secs(self.chance.below(1200)));
        }
        bytes_of(&busy)
    }

    /// An error of the server's own, or what is no answer at all.
    fn failure(&mut self, server: Server) -> Vec<u8> {
        let own_words = server == Server::Dyndns2;
        match self.chance.below(8) {
            0 if own_words => bytes_of(&Reply::text(200, "911").answer),
            1 if own_words => bytes_of(&Reply::text(200, "dnserr").answer),
            2 => {
                let mut reply = Reply::text(503, "Service Unavailable").answer;
                reply.retry_after = Some(Duration::from_secs(1 + self.chance.below(1200)));
                bytes_of(&reply)
            }
            3 => self.noise(),
            4 => [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &self.noise()[..]].concat(),
            5 => b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\ngood".to_vec(),
            _ => bytes_of(&Reply::text(500, "Internal Server Error. We're on it!").answer),
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.chance.below(300);
        (0..length).map(|_| u8::try_from(self.chance.below(256)).unwrap_or_default()).collect()
    }
}

/// What the threads of a life share.
#[derive(Clone)]
pub struct Shared {
    pub clock: Arc<VirtualClock>,
    world: Arc<Mutex<World>>,
    /// How many connections are being served.
    served: Arc<AtomicUsize>,
}

impl Shared {
    pub fn new(clock: Arc<VirtualClock>, world: World) -> Self {
        Self { clock, world: Arc::new(Mutex::new(world)), served: Arc::default() }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves on loopback, as long as the test's process lives.
    pub fn listen(&self, server: Server) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has IPv4");
        let address = listener.local_addr().expect("it is bound");
        let shared = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.served.fetch_add(1, Ordering::SeqCst);
                let shared = shared.clone();
                thread::spawn(move || {
                    // A client that is gone is no fault of the server's.
                    let _ = shared.converse(server, stream);
                    shared.served.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        address
    }

    /// Returns when every request that was sent until now to the servers on `ports` was served: what a
    /// program has sent that does not run any more is on its way for a moment, and not for hours.
    pub fn await_quiet(&self, ports: [u16; 3]) -> std::io::Result<()> {
        for port in ports {
            // It is taken after all that came before.
            let mut last = TcpStream::connect(("127.0.0.1", port))?;
            last.shutdown(Shutdown::Write)?;
            last.read_to_end(&mut Vec::new())?;
        }
        while self.served.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    fn converse(&self, server: Server, mut stream: TcpStream) -> std::io::Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        let Ok(Some(request)) = http::read(&mut input) else { return Ok(()) };
        let fate = {
            let mut world = self.world();
            let now = millis(self.clock.now());
            let [_, looked] = self.clock.looks().map(millis);
            world.fate(server, &request, now, looked)
        };
        match fate {
            Fate::Answer(bytes) => stream.write_all(&bytes)?,
            Fate::Close => {}
            Fate::Hush => {
                let port = stream.peer_addr()?.port();
                self.clock.set_port(port, Port::Hushed);
                self.served.fetch_sub(1, Ordering::SeqCst);
                let given_up = input.read(&mut [0]);
                self.served.fetch_add(1, Ordering::SeqCst);
                self.clock.set_port(port, Port::Open);
                given_up?;
            }
        }
        Ok(())
    }
}

/// A request as the simulated providers take it.
fn translated(request: &Request) -> HttpRequest {
    let pairs = request.query.iter();
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", http::query_value(value))).collect();
    let url = format!("http://server{}?{}", request.path, pairs.join("&"));
    let authorization = request.header("Authorization").unwrap_or_default();
    let body = String::from_utf8_lossy(&request.body).into_owned();
    HttpRequest {
        method: match request.method.as_str() {
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            _ => Method::Get,
        },
        url: Guarded::from(url),
        body: Some(Body::Json(Guarded::from(body))),
        headers: vec![("Authorization".into(), Guarded::from(authorization.to_owned()))],
        authorization: scheme(authorization),
        via: None,
        bind: None,
        is_list: false,
        brings: None,
        is_private: false,
    }
}

fn scheme(authorization: &str) -> Option<Authorization> {
    match authorization.split_once(' ')? {
        ("Token", token) => Some(Authorization::Token(Secret::new(token))),
        ("Basic", text) => {
            let text = String::from_utf8(http::from_base64(text)?).ok()?;
            let (login, secret) = text.split_once(':')?;
            let (login, secret) = (login.to_owned(), Secret::new(secret));
            Some(Authorization::Basic(Credential { login, secret }))
        }
        _ => None,
    }
}

/// The secret that a request carries.
fn secret_of(request: &HttpRequest) -> &str {
    match &request.authorization {
        Some(Authorization::Token(secret)) => secret.expose(),
        Some(Authorization::Basic(credential)) => credential.secret.expose(),
        _ => request.headers[0].1.expose(),
    }
}

/// An answer as it is sent.
fn bytes_of(answer: &Answer) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {} Of Its Own\r\nContent-Length: {}\r\nConnection: close\r\n",
        answer.status,
        answer.body.len()
    );
    let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    if let Some(kind) = &answer.content_type {
        line("Content-Type", kind);
    }
    if let Some(wait) = answer.retry_after {
        line("Retry-After", &wait.as_secs().to_string());
    }
    if answer.challenges {
        line("WWW-Authenticate", "Token");
    }
    head.push_str("\r\n");
    [head.as_bytes(), &answer.body].concat()
}
