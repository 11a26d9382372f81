//! Sockets, threads and the clock around the pure parts.
//!
//! One thread per listener and per connection; everything they share lies behind one lock, which
//! is never held while something is sent. Called by `Sandbox` only.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::calendar::http_date;
use super::http::{self, Answer, ReadError, Request};
use super::script::{Death, Delivery, Fates, Scripted, Wanted};
use super::throttle::{API_BURST, Bucket, UPDATE_BURST};
use super::token::Token;
use super::{CHECKIP, Credential, Received, Role, auth, dns, dyndns, is_update, rest};

/// How long an idle connection stays open, as at nginx.
const KEEP_ALIVE: Duration = Duration::from_secs(65);

pub struct Shell {
    /// Signalled when a request was logged, and when everything ends.
    changed: Condvar,
    started: Instant,
    /// The wall clock at `started`; only the monotonic clock moves the account's time.
    started_at: Duration,
    state: Mutex<State>,
}

struct State {
    account: Account,
    buckets: HashMap<IpAddr, Bucket>,
    connections: HashMap<u64, TcpStream>,
    /// How many connections there ever were: the next one's key.
    connections_ever: u64,
    fates: Fates,
    listeners: Vec<Listener>,
    requests: Vec<Received>,
    stopping: bool,
}

struct Listener {
    at: SocketAddr,
    datagrams: bool,
    thread: thread::JoinHandle<()>,
}

/// What leaves on a connection, when, and how.
struct Reply {
    answer: Answer,
    delay: Duration,
    delivery: Delivery,
}

impl Shell {
    pub fn new(account: Account) -> Self {
        let state = State {
            account,
            buckets: HashMap::new(),
            connections: HashMap::new(),
            connections_ever: 0,
            fates: Fates::default(),
            listeners: Vec::new(),
            requests: Vec::new(),
            stopping: false,
        };
        Self {
            changed: Condvar::new(),
            started: Instant::now(),
            started_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            state: Mutex::new(state),
        }
    }

    pub fn listen(self: &Arc<Self>, role: Role, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at)?;
        let at = listener.local_addr()?;
        let shell = Arc::clone(self);
        let thread = thread::spawn(move || accept(&shell, role, &listener));
        self.lock().listeners.push(Listener { at, datagrams: false, thread });
        Ok(at)
    }

    pub fn listen_dns(self: &Arc<Self>, at: SocketAddr) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind(at)?;
        let at = socket.local_addr()?;
        let shell = Arc::clone(self);
        let thread = thread::spawn(move || answer_queries(&shell, &socket));
        self.lock().listeners.push(Listener { at, datagrams: true, thread });
        Ok(at)
    }

    /// Returns when every port is free again.
    pub fn stop(&self) {
        let listeners = {
            let mut state = self.lock();
            state.stopping = true;
            for connection in state.connections.values() {
                // It may be closed already, which is as good.
                let _ = connection.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut state.listeners)
        };
        self.changed.notify_all();
        for listener in listeners {
            if wake(listener.at, listener.datagrams).is_ok() {
                // A listener that panicked has printed why.
                let _ = listener.thread.join();
            }
        }
    }

    pub fn with_account<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.lock().account)
    }

    pub fn flush_throttle(&self) {
        let mut state = self.lock();
        state.account.history.flush();
        state.buckets.clear();
    }

    pub fn add_script(&self, wanted: Wanted, script: Scripted) {
        self.lock().fates.scripts.push((wanted, script));
    }

    pub fn set_death(&self, death: Option<Death>) {
        self.lock().fates.death = death;
    }

    pub fn clear_scripts(&self) -> usize {
        self.lock().fates.scripts.drain(..).count()
    }

    pub fn requests_from(&self, first: usize) -> Vec<Received> {
        self.lock().requests.iter().skip(first).cloned().collect()
    }

    pub fn await_requests(&self, first: usize, patience: Duration) -> Vec<Received> {
        let state = self.lock();
        let nothing_new = |state: &mut State| state.requests.len() <= first && !state.stopping;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, patience, nothing_new)
            .unwrap_or_else(PoisonError::into_inner);
        state.requests.iter().skip(first).cloned().collect()
    }

    /// Returns once every connection that was begun until now has ended, so that nothing of a client
    /// that was killed is still to be heard.
    pub fn await_quiet(&self) -> io::Result<()> {
        const A_MOMENT: Duration = Duration::from_millis(5);
        let Some(at) =
            self.lock().listeners.iter().find(|listener| !listener.datagrams).map(|it| it.at)
        else {
            return Ok(());
        };
        // Those that were begun before this one are taken up before it.
        let last = TcpStream::connect(at)?;
        let own = last.local_addr()?;
        let is_own = |connection: &TcpStream| connection.peer_addr().is_ok_and(|peer| peer == own);
        while !self.lock().connections.values().any(is_own) {
            thread::sleep(A_MOMENT);
        }
        drop(last);
        while !self.lock().connections.is_empty() {
            thread::sleep(A_MOMENT);
        }
        Ok(())
    }

    /// The account's time: since the Unix epoch, never backwards.
    fn now(&self) -> Duration {
        self.time(&self.lock())
    }

    fn time(&self, state: &State) -> Duration {
        self.started_at + self.started.elapsed() + state.account.ahead()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere fails its own test; the others may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not beyond the end; returns whether that has come.
    fn pause(&self, delay: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, delay, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        state.stopping
    }

    /// Lets the account, or a script for this request, decide, and notes it in the log.
    fn reply(&self, role: Role, request: &Request, client: SocketAddr) -> Reply {
        let mut state = self.lock();
        let now = self.time(&state);
        let script = state
            .fates
            .next(request, is_update(role, &request.path))
            .unwrap_or_else(Scripted::genuine);
        let token = state.token(request);
        let (token_id, credential) = match token {
            Some(token) => (Some(token.id.clone()), Credential::Token(token.name.clone())),
            None if auth::presented(request).is_empty() => (None, Credential::Absent),
            None => (None, Credential::Unknown),
        };
        let secrets = state.secrets(request);
        let (genuine, held_back) = if script.performed {
            state.answer(role, request, client.ip().to_canonical(), now)
        } else {
            (Answer::nginx(502), Duration::ZERO)
        };
        let answer = script.answer.unwrap_or(genuine);
        let hidden = |(name, value): &(String, String)| {
            let secret = name == "password" || secrets.contains(value);
            (name.clone(), if secret { "***".to_owned() } else { value.clone() })
        };
        let scheme_only = |(name, value): &(String, String)| {
            let scheme = value.split(' ').next().unwrap_or_default();
            let secret = name.eq_ignore_ascii_case("Authorization");
            (name.clone(), if secret { format!("{scheme} ***") } else { value.clone() })
        };
        let body = String::from_utf8_lossy(&request.body).into_owned();
        // A test's short secret could be part of any word.
        let telling = secrets.iter().filter(|secret| secret.len() >= 12);
        let body = telling.fold(body, |body, secret| body.replace(secret.as_str(), "***"));
        state.requests.push(Received {
            at: self.started.elapsed(),
            body,
            client,
            credential,
            headers: request.headers.iter().map(scheme_only).collect(),
            method: request.method.clone(),
            path: request.path.clone(),
            performed: script.performed,
            query: request.query.iter().map(hidden).collect(),
            role,
            status: (script.delivery != Delivery::Cut(0)).then_some(answer.status),
            token_id,
        });
        drop(state);
        self.changed.notify_all();
        Reply { answer, delay: held_back + script.delay, delivery: script.delivery }
    }
}

impl State {
    /// The answer of nginx, or of the application behind it, and how long nginx holds it back.
    fn answer(
        &mut self,
        role: Role,
        request: &Request,
        client: IpAddr,
        now: Duration,
    ) -> (Answer, Duration) {
        if let Some(page) = address_page(role, &request.path, client) {
            return (page, Duration::ZERO);
        }
        let (burst, lasting) = match role {
            Role::Api => (API_BURST, "max-age=31536000; includeSubDomains; preload"),
            Role::Update => (UPDATE_BURST, "max-age=31536000"),
        };
        let bucket = self.buckets.entry(client).or_default();
        let paced =
            if self.account.throttled { bucket.admit(burst, now) } else { Some(Duration::ZERO) };
        let answer = if paced.is_none() {
            Answer::nginx(429)
        } else if is_update(role, &request.path) {
            dyndns::answer(&mut self.account, request, client, now).with("Vary", "origin")
        } else {
            match role {
                Role::Api => {
                    rest::answer(&mut self.account, request, client, now).with("Vary", "origin")
                }
                Role::Update => Answer::nginx(401), // a picture
            }
        };
        (answer.with("Strict-Transport-Security", lasting), paced.unwrap_or_default())
    }

    /// The token whose secret was presented, whether or not it lets anyone in.
    fn token(&self, request: &Request) -> Option<&Token> {
        let presented = auth::presented(request);
        self.account.tokens.iter().find(|token| presented.contains(&token.secret))
    }

    /// Every text that must not reach the log.
    fn secrets(&self, request: &Request) -> Vec<String> {
        let known = self.account.tokens.iter().map(|token| token.secret.clone());
        known.chain(auth::presented(request)).collect()
    }
}

/// The client's own address, where nginx tells it without asking anyone and without counting.
fn address_page(role: Role, path: &str, client: IpAddr) -> Option<Answer> {
    let address = client.to_string();
    match (role, path) {
        (Role::Api, "/ip") => Some(Answer::text(200, &address)),
        // Two types, as recorded: clients that read either must not stumble over the other.
        (Role::Api | Role::Update, CHECKIP) => {
            Some(Answer::new(200, "text/html", &address).with("Content-Type", "text/plain"))
        }
        _ => None,
    }
}

fn accept(shell: &Arc<Shell>, role: Role, listener: &TcpListener) {
    loop {
        let accepted = listener.accept().and_then(|(stream, client)| {
            let copy = stream.try_clone()?;
            Ok((stream, copy, client))
        });
        let mut state = shell.lock();
        if state.stopping {
            return;
        }
        let Ok((stream, copy, client)) = accepted else {
            drop(state);
            // Out of file descriptors, or a client that is gone already: others may come.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let key = state.connections_ever;
        state.connections_ever += 1;
        state.connections.insert(key, copy);
        drop(state);
        let shell = Arc::clone(shell);
        thread::spawn(move || {
            // How a connection ends is the client's business.
            let _ = converse(&shell, role, &stream, client);
            let _ = stream.shutdown(Shutdown::Both);
            shell.lock().connections.remove(&key);
        });
    }
}

fn converse(shell: &Shell, role: Role, stream: &TcpStream, client: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(KEEP_ALIVE))?;
    let mut input = BufReader::new(stream);
    loop {
        let request = match http::read(&mut input) {
            Ok(Some(request)) => request,
            Ok(None) | Err(ReadError::Closed(_)) => return Ok(()),
            Err(ReadError::Refused(status)) => {
                let answer = Answer::nginx(status);
                let head = answer.head(false, &http_date(shell.now()));
                return send(stream, &[head.as_bytes(), &answer.body].concat());
            }
        };
        let reply = shell.reply(role, &request, client);
        let whole = deliver(shell, stream, &request, reply)?;
        if !whole || !request.keep_alive {
            return Ok(());
        }
    }
}

/// Sends the reply and returns whether the connection can go on.
fn deliver(shell: &Shell, stream: &TcpStream, request: &Request, reply: Reply) -> io::Result<bool> {
    if !reply.delay.is_zero() && shell.pause(reply.delay) {
        return Ok(false);
    }
    let endless = reply.delivery == Delivery::Endless;
    let mut answer = reply.answer;
    if endless {
        answer = answer.with("Transfer-Encoding", "chunked");
    }
    let head = answer.head(request.keep_alive && !endless, &http_date(shell.now()));
    let body = if request.method == "HEAD" { &[][..] } else { &answer.body };
    let bytes = [head.as_bytes(), body].concat();
    match reply.delivery {
        Delivery::Cut(length) => {
            send(stream, &bytes[..length.min(bytes.len())])?;
            Ok(false)
        }
        Delivery::Drip(pause) => {
            for byte in bytes {
                send(stream, &[byte])?;
                if shell.pause(pause) {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Delivery::Endless => {
            send(stream, head.as_bytes())?;
            let piece = if answer.body.is_empty() { b"good".to_vec() } else { answer.body };
            let length = format!("{:x}\r\n", piece.len());
            let chunk = [length.as_bytes(), &piece, b"\r\n"].concat();
            while !shell.pause(Duration::from_millis(1)) {
                send(stream, &chunk)?;
            }
            Ok(false)
        }
        Delivery::Whole => send(stream, &bytes).map(|()| true),
    }
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}

fn answer_queries(shell: &Shell, socket: &UdpSocket) {
    let mut query = [0; 1500];
    loop {
        let received = socket.recv_from(&mut query);
        let state = shell.lock();
        if state.stopping {
            return;
        }
        // An error here belongs to an earlier answer that its client did not wait for.
        let Ok((length, client)) = received else {
            continue;
        };
        let answer = dns::answer(&state.account, &query[..length]);
        drop(state);
        if let Some(answer) = answer {
            // As with any datagram, whether it arrives is unknown.
            let _ = socket.send_to(&answer, client);
        }
    }
}

/// Makes a listener look up, so that it sees that it is to stop.
fn wake(at: SocketAddr, datagrams: bool) -> io::Result<()> {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let at = SocketAddr::new(ip, at.port());
    if datagrams {
        UdpSocket::bind((ip, 0))?.send_to(&[], at).map(|_| ())
    } else {
        TcpStream::connect_timeout(&at, Duration::from_secs(1)).map(|_| ())
    }
}
