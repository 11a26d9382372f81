//! Small servers for tests of the HTTP client: scripted, on loopback, with TLS or without.
//!
//! Certificates are made at run time. A server lives as long as the test's process.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server's certificate is like; its authority's file is [`Server::ca_file`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certificate {
    /// Its time is over since 2020.
    Expired,
    /// For `localhost`, `provider.test`, `127.0.0.1` and `::1`, and valid since 1975.
    Good,
    /// Good, but the authority's file holds an authority of the same name with another key.
    Forged,
    /// Its time begins in 4000.
    NotYetValid,
    /// Good, but the authority's file holds another authority.
    UnknownAuthority,
    /// For `other.example` and `192.0.2.1`.
    WrongName,
    /// An authority's, and the only one that the authority's file holds: as `openssl req -x509` makes
    /// one for oneself.
    OfOneself,
}

/// What a server does with a connection whose request it has read; an error ends the connection.
pub type Script = fn(&mut dyn Connection) -> io::Result<()>;

/// A connection, encrypted or not.
pub trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The authority of its certificate, in PEM form; empty without TLS.
    pub ca_file: PathBuf,
    scheme: &'static str,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    ended: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Server {
    /// Serves `script` without TLS on 127.0.0.1.
    pub fn plain(script: Script) -> Self {
        Self::plain_at("127.0.0.1:0", script).expect("loopback has IPv4")
    }

    /// Serves `script` without TLS at `address`, if the machine has it.
    pub fn plain_at(address: &str, script: Script) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let (ca_file, scheme) = (PathBuf::new(), "http");
        let server = Self { address, ca_file, scheme, seen: Arc::clone(&seen) };
        accept(listener, seen, move |stream, seen| converse(stream, seen, script));
        Some(server)
    }

    /// Serves `script` with TLS on 127.0.0.1.
    pub fn tls(certificate: Certificate, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has IPv4");
        let address = listener.local_addr().expect("it is bound");
        let (config, authority) = certified(certificate);
        let name = format!("homing-ca-{}-{}.pem", std::process::id(), address.port());
        let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&ca_file, authority).expect("the target directory is writable");
        let seen = Arc::new(Seen::default());
        let server = Self { address, ca_file, scheme: "https", seen: Arc::clone(&seen) };
        let config = Arc::new(config);
        accept(listener, seen, move |stream, seen| {
            let connection = ServerConnection::new(Arc::clone(&config));
            let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
            let done = converse(&mut stream, seen, script);
            stream.conn.send_close_notify();
            let _ = stream.flush();
            done
        });
        server
    }

    /// The URL of `path` at this server, by the name `localhost` for TLS and the address otherwise.
    pub fn url(&self, path: &str) -> String {
        let port = self.address.port();
        match self.scheme {
            "https" => format!("https://localhost:{port}{path}"),
            _ => format!("http://{}{path}", self.address),
        }
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many of them have not ended.
    pub fn open(&self) -> usize {
        self.connections() - self.seen.ended.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("no thread panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

/// Answers with a status and a body, and keeps the connection.
pub fn reply(connection: &mut dyn Connection, status: &str, body: &str) -> io::Result<()> {
    reply_with(connection, status, "", body)
}

/// The same with more header lines, each with its line break.
pub fn reply_with(
    connection: &mut dyn Connection,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    connection.write_all(text.as_bytes())?;
    connection.flush()
}

/// Sends `text` a byte at a time, slowly, for as long as the client listens.
pub fn drip(connection: &mut dyn Connection, text: &str) -> io::Result<()> {
    for byte in text.bytes() {
        connection.write_all(&[byte])?;
        connection.flush()?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Sends `text` over and over, for as long as the client listens.
pub fn pour(connection: &mut dyn Connection, text: &str) -> io::Result<()> {
    loop {
        connection.write_all(text.as_bytes())?;
    }
}

fn accept(
    listener: TcpListener,
    seen: Arc<Seen>,
    serve: impl Fn(TcpStream, &Seen) -> io::Result<()> + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            let (serve, seen) = (Arc::clone(&serve), Arc::clone(&seen));
            // Whoever measures with this server measures the client, not Nagle's algorithm.
            let _ = stream.set_nodelay(true);
            // A client that goes away is part of most scripts.
            thread::spawn(move || {
                let _ = serve(stream, &seen);
                seen.ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
}

/// Reads requests and plays the script for each, until either side has enough.
fn converse(mut stream: impl Connection, seen: &Seen, script: Script) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        seen.requests.lock().expect("no thread panics with it").push(head);
        script(&mut stream)?;
    }
}

/// A TLS configuration with a new certificate, and the authority's certificate in PEM form.
fn certified(kind: Certificate) -> (ServerConfig, String) {
    let (trusted, signer) = authority("Homing's test authority");
    let names: &[&str] = match kind {
        Certificate::WrongName => &["other.example", "192.0.2.1"],
        Certificate::Expired
        | Certificate::Forged
        | Certificate::Good
        | Certificate::NotYetValid
        | Certificate::OfOneself
        | Certificate::UnknownAuthority => &["localhost", "provider.test", "127.0.0.1", "::1"],
    };
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names are names");
    match kind {
        Certificate::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Certificate::NotYetValid => params.not_before = rcgen::date_time_ymd(4000, 1, 1),
        Certificate::OfOneself => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Certificate::Forged
        | Certificate::Good
        | Certificate::UnknownAuthority
        | Certificate::WrongName => {}
    }
    let key = KeyPair::generate().expect("keys can be made");
    let certificate = match kind {
        Certificate::OfOneself => params.self_signed(&key),
        _ => params.signed_by(&key, &signer),
    };
    let certificate = certificate.expect("certificates can be signed");
    let own = certificate.pem();
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("rcgen writes PKCS#8");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.expect("ring has them").with_no_client_auth();
    let config = config.with_single_cert(chain, key).expect("the key is the certificate's");
    let trusted = match kind {
        Certificate::Forged => authority("Homing's test authority").0,
        Certificate::OfOneself => own,
        Certificate::UnknownAuthority => authority("another authority").0,
        Certificate::Expired
        | Certificate::Good
        | Certificate::NotYetValid
        | Certificate::WrongName => trusted,
    };
    (config, trusted)
}

/// A new authority: its certificate in PEM form, and what signs with it.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("keys can be made");
    let certificate = params.self_signed(&key).expect("certificates can be signed");
    (certificate.pem(), Issuer::new(params, key))
}
