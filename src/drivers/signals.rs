//! Signals, through signal-hook, as bytes on a socket that the runtime waits for.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// The request of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignalRequest {
    /// Read the configuration again (HUP).
    Reload,
    /// Run a round now (USR1).
    Round,
    /// Finish and leave (TERM, INT).
    Stop,
}

/// The time that a request under way has after a signal to stop. The stop ends within four seconds:
/// procd kills after five, and the results have to reach the disk before that.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The signals of a daemon.
#[derive(Debug)]
pub struct Signals {
    reload: UnixStream,
    round: UnixStream,
    stop: UnixStream,
}

impl Signals {
    /// Takes over the signals; must be called within a runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            reload: stream(&[SIGHUP])?,
            round: stream(&[SIGUSR1])?,
            stop: stream(&[SIGTERM, SIGINT])?,
        })
    }

    /// Waits for the next signal; many of one kind that came together count as one.
    pub async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            biased;
            () = heard(&mut self.stop) => SignalRequest::Stop,
            () = heard(&mut self.reload) => SignalRequest::Reload,
            () = heard(&mut self.round) => SignalRequest::Round,
        }
    }
}

/// Waits until a signal has left its bytes on `stream`, and takes them.
async fn heard(stream: &mut UnixStream) {
    let mut bytes = [0; 64];
    // The other end lives as long as the process, so there is neither an end nor an error.
    let _ = stream.read(&mut bytes).await;
}

/// A stream on which a byte arrives for each of `signals`.
fn stream(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = StdStream::pair()?;
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    reader.set_nonblocking(true)?;
    UnixStream::from_std(reader)
}

/// Awaits `work`; when `told` is ready, sets `stop`. `None` when `work` then outlasts [`LAST_WORDS`].
async fn unless_told<T>(
    work: impl Future<Output = T>,
    stop: &Cell<bool>,
    told: impl Future<Output = ()>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return Some(done),
        () = told => stop.set(true),
    }
    tokio::time::timeout(LAST_WORDS, work).await.ok()
}

/// Awaits the daemon's `work`, which a signal to stop cuts short after `say`; other signals wait.
pub async fn until_stopped<T>(
    work: impl Future<Output = T>,
    stop: &Cell<bool>,
    signals: &mut Signals,
    say: impl FnOnce(),
) -> Option<T> {
    let told = async {
        heard(&mut signals.stop).await;
        say();
    };
    unless_told(work, stop, told).await
}

/// Awaits a command's `work`, which TERM and INT cut short.
pub async fn until_told<T>(work: impl Future<Output = T>, stop: &Cell<bool>) -> Option<T> {
    match stream(&[SIGTERM, SIGINT]) {
        Ok(mut stream) => unless_told(work, stop, heard(&mut stream)).await,
        Err(_) => Some(work.await),
    }
}
