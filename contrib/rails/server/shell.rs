//! Sockets, threads and the clock around the pure parts.
//!
//! One thread for the listener and one for each connection; all they share lies behind one lock,
//! which is never held while something is sent. Called by `Rails` only.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Received;
use super::calendar::http_date;
use super::http::{self, Answer, ReadError, Request};
use super::script::{Death, Delivery, Fates, Scripted, Wanted};
use super::views;
use super::world::World;

pub struct Shell {
    /// Signalled when everything ends.
    ended: Condvar,
    state: Mutex<State>,
}

struct State {
    world: World,
    connections: HashMap<u64, TcpStream>,
    connections_ever: u64,
    fates: Fates,
    listener: Option<(SocketAddr, thread::JoinHandle<()>)>,
    requests: Vec<Received>,
    stopping: bool,
}

impl Shell {
    pub fn new(world: World) -> Self {
        let state = State {
            world,
            connections: HashMap::new(),
            connections_ever: 0,
            fates: Fates::default(),
            listener: None,
            requests: Vec::new(),
            stopping: false,
        };
        Self { ended: Condvar::new(), state: Mutex::new(state) }
    }

    pub fn listen(self: &Arc<Self>, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at)?;
        let at = listener.local_addr()?;
        let shell = Arc::clone(self);
        let thread = thread::spawn(move || accept(&shell, &listener));
        self.lock().listener = Some((at, thread));
        Ok(at)
    }

    /// Returns when the port is free again.
    pub fn stop(&self) {
        let listener = {
            let mut state = self.lock();
            state.stopping = true;
            for connection in state.connections.values() {
                // It may be closed already, which is as good.
                let _ = connection.shutdown(Shutdown::Both);
            }
            state.listener.take()
        };
        self.ended.notify_all();
        if let Some((at, thread)) = listener
            && TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok()
        {
            // A listener that panicked has printed why.
            let _ = thread.join();
        }
    }

    pub fn with_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.lock().world)
    }

    pub fn add_script(&self, wanted: Wanted, script: Scripted) {
        self.lock().fates.scripts.push((wanted, script));
    }

    pub fn set_death(&self, death: Option<Death>) {
        self.lock().fates.death = death;
    }

    pub fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere fails its own test; the others may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the server, or a script for this request, decide, and notes it in the log.
    fn reply(&self, request: &Request) -> (Answer, Scripted) {
        let mut state = self.lock();
        let now = now() + state.world.ahead;
        let mut script = state.fates.next(request, true).unwrap_or_else(Scripted::genuine);
        let credential = views::credential(&state.world, request, now);
        let genuine = script.performed.then(|| views::answer(&mut state.world, request, now));
        let answer = script.answer.take().or(genuine).unwrap_or_else(|| Answer::nginx(502));
        let path = match views::secret_in(request) {
            Some(secret) => request.path.replace(secret, "***"),
            None => request.path.clone(),
        };
        let is_secret = |name: &str| {
            name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Cookie")
        };
        let headers = request.headers.iter().filter(|(name, _)| !is_secret(name));
        state.requests.push(Received {
            body: String::from_utf8_lossy(&request.body).into_owned(),
            credential,
            headers: headers.cloned().collect(),
            method: request.method.clone(),
            path,
            performed: script.performed,
            status: (script.delivery != Delivery::Cut(0)).then_some(answer.status),
        });
        (answer, script)
    }

    /// Waits, but not beyond the end; returns whether that has come.
    fn pause(&self, delay: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.lock(), delay, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn accept(shell: &Arc<Shell>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept().and_then(|(stream, _)| Ok((stream.try_clone()?, stream)));
        let mut state = shell.lock();
        if state.stopping {
            return;
        }
        // A client that is gone already: others may come.
        let Ok((copy, stream)) = accepted else { continue };
        let key = state.connections_ever;
        state.connections_ever += 1;
        state.connections.insert(key, copy);
        drop(state);
        let shell = Arc::clone(shell);
        thread::spawn(move || {
            // How a connection ends is the client's business.
            let _ = converse(&shell, &stream);
            let _ = stream.shutdown(Shutdown::Both);
            shell.lock().connections.remove(&key);
        });
    }
}

fn converse(shell: &Shell, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    loop {
        let request = match http::read(&mut input) {
            Ok(Some(request)) => request,
            Ok(None) | Err(ReadError::Closed(_)) => return Ok(()),
            Err(ReadError::Refused(status)) => {
                let answer = Answer::nginx(status);
                let head = answer.head(false, &http_date(now()));
                return stream.write_all(&[head.as_bytes(), &answer.body].concat());
            }
        };
        let (answer, script) = shell.reply(&request);
        if !script.delay.is_zero() && shell.pause(script.delay) {
            return Ok(());
        }
        let head = answer.head(request.keep_alive, &http_date(now()));
        let bytes = [head.as_bytes(), &answer.body].concat();
        if let Delivery::Cut(length) = script.delivery {
            return stream.write_all(&bytes[..length.min(bytes.len())]);
        }
        stream.write_all(&bytes)?;
        if !request.keep_alive {
            return Ok(());
        }
    }
}
