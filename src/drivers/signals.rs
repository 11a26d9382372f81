//! Signals, through signal-hook, as bytes on a socket that the runtime waits for.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::round::Engine;

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

    /// Waits for a signal to stop; the others wait.
    pub async fn stopped(&mut self) {
        heard(&mut self.stop).await;
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

/// The signals that stop a command.
#[derive(Debug)]
pub struct Stop(Option<UnixStream>);

impl Stop {
    /// Takes over TERM and INT; where the kernel refuses that, they end the process as ever.
    pub fn listen() -> Self {
        Self(stream(&[SIGTERM, SIGINT]).ok())
    }

    /// Waits for a signal.
    pub async fn asked(&mut self) {
        match &mut self.0 {
            Some(stream) => heard(stream).await,
            None => std::future::pending().await,
        }
    }
}

/// Waits for the requests under way, after a signal to stop, and saves; false when they outlast
/// [`LAST_WORDS`].
pub async fn within_last_words(engine: &mut Engine) -> bool {
    let is_over = tokio::time::timeout(LAST_WORDS, engine.finish()).await.is_ok();
    if !is_over {
        engine.end();
    }
    is_over
}
