//! Sockets, threads and the clock around a pretended server that one port is enough for.
//!
//! One thread for the listener and one for each connection; all they share lies behind one lock,
//! which is never held while something is sent. Used by `services`, and by the other pretended
//! provider beside the sandbox.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::calendar::http_date;
use super::http::{self, Answer, ReadError, Request};
use super::script::{Death, Delivery, Fates, Scripted, Wanted};

/// What knows the answers.
pub trait Serves: Send + 'static {
    /// A request as the log keeps it.
    type Received: Clone + Send;

    /// How far its clock is ahead of the machine's.
    fn ahead(&self) -> Duration;

    /// What the log keeps of a request that has no answer yet.
    fn received(&self, request: &Request, now: Duration) -> Self::Received;

    /// Lets the request take effect; `now` is the time since the Unix epoch.
    fn answer(&mut self, request: &Request, client: SocketAddr, now: Duration) -> Answer;

    /// Notes whether a request was let take effect, and with which status it was answered if it was.
    fn ended(received: &mut Self::Received, performed: bool, status: Option<u16>);
}

/// A server of one port.
pub struct Shell<S: Serves> {
    /// Signalled when a request was logged, and when everything ends.
    changed: Condvar,
    state: Mutex<State<S>>,
}

struct State<S: Serves> {
    connections: HashMap<u64, TcpStream>,
    connections_ever: u64,
    fates: Fates,
    listener: Option<(SocketAddr, thread::JoinHandle<()>)>,
    requests: Vec<S::Received>,
    stopping: bool,
    world: S,
}

impl<S: Serves> Shell<S> {
    pub fn new(world: S) -> Self {
        let state = State {
            connections: HashMap::new(),
            connections_ever: 0,
            fates: Fates::default(),
            listener: None,
            requests: Vec::new(),
            stopping: false,
            world,
        };
        Self { changed: Condvar::new(), state: Mutex::new(state) }
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
        self.changed.notify_all();
        if let Some((at, thread)) = listener
            && TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok()
        {
            // A listener that panicked has printed why.
            let _ = thread.join();
        }
    }

    pub fn with_world<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        change(&mut self.lock().world)
    }

    pub fn add_script(&self, wanted: Wanted, script: Scripted) {
        self.lock().fates.scripts.push((wanted, script));
    }

    pub fn set_death(&self, death: Option<Death>) {
        self.lock().fates.death = death;
    }

    pub fn requests(&self) -> Vec<S::Received> {
        self.lock().requests.clone()
    }

    /// The requests from the `first` on (counted from 0), as soon as there is one; empty when there
    /// is none after `patience`.
    pub fn await_requests(&self, first: usize, patience: Duration) -> Vec<S::Received> {
        let nothing_new = |state: &mut State<S>| state.requests.len() <= first && !state.stopping;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, nothing_new);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.requests.iter().skip(first).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // A panic elsewhere fails its own test; the others may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the server, or a script for this request, decide, and notes it in the log.
    fn reply(&self, request: &Request, client: SocketAddr) -> (Answer, Scripted) {
        let mut state = self.lock();
        let now = now() + state.world.ahead();
        let mut script = state.fates.next(request, true).unwrap_or_else(Scripted::genuine);
        let mut received = state.world.received(request, now);
        let genuine = script.performed.then(|| state.world.answer(request, client, now));
        let answer = script.answer.take().or(genuine).unwrap_or_else(|| Answer::nginx(502));
        let status = (script.delivery != Delivery::Cut(0)).then_some(answer.status);
        S::ended(&mut received, script.performed, status);
        state.requests.push(received);
        drop(state);
        self.changed.notify_all();
        (answer, script)
    }

    /// Waits, but not beyond the end; returns whether that has come.
    fn pause(&self, delay: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), delay, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn accept<S: Serves>(shell: &Arc<Shell<S>>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept().and_then(|(stream, client)| {
            let copy = stream.try_clone()?;
            Ok((copy, stream, client))
        });
        let mut state = shell.lock();
        if state.stopping {
            return;
        }
        // A client that is gone already: others may come.
        let Ok((copy, stream, client)) = accepted else { continue };
        let key = state.connections_ever;
        state.connections_ever += 1;
        state.connections.insert(key, copy);
        drop(state);
        let shell = Arc::clone(shell);
        thread::spawn(move || {
            // How a connection ends is the client's business.
            let _ = converse(&shell, &stream, client);
            let _ = stream.shutdown(Shutdown::Both);
            shell.lock().connections.remove(&key);
        });
    }
}

fn converse<S: Serves>(
    shell: &Shell<S>,
    mut stream: &TcpStream,
    client: SocketAddr,
) -> io::Result<()> {
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
        let (answer, script) = shell.reply(&request, client);
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
