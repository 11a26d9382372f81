//! The authorities that TLS connections trust: the web's, built in, and those of a file.
//!
//! Certificates are always verified; no switch turns this off.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, Error, RootCertStore};

use crate::os::disk::open_regular;
use crate::os::reason::reason;

/// Loads no private key: this client has none.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("this client has no certificate of its own".to_owned()))
    }
}

/// Trusts the web's authorities and those of the PEM file `ca_file`.
pub(super) fn web(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        add(&mut roots, path)?;
    }
    config(roots)
}

/// The problem of the PEM file `ca_file`, if it cannot be used.
pub fn ca_file_problem(ca_file: &Path) -> Option<String> {
    add(&mut RootCertStore::empty(), ca_file).err()
}

fn add(roots: &mut RootCertStore, ca_file: &Path) -> Result<(), String> {
    let wrong = |why: String| format!("the ca-file {} {why}", ca_file.display());
    for authority in authorities(ca_file).map_err(wrong)? {
        let added = roots.add(authority);
        added.map_err(|error| wrong(format!("holds a certificate that is none: {error}")))?;
    }
    Ok(())
}

/// Trusts no authority: for connections without TLS, whose client needs a configuration nevertheless.
pub(super) fn nobody() -> Result<ClientConfig, String> {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> Result<ClientConfig, String> {
    // This client has no certificate of its own, and the code that signs with a key is large.
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    let provider = Arc::new(provider);
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    // A round keeps its connections open; sessions to resume would only take memory.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificates in the PEM file at `path`; the error says what is wrong with the file.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    // A whole system's bundle is a fifth of that.
    const MOST: u64 = 1024 * 1024;
    let mut pem = Vec::new();
    let opened = open_regular(path);
    let opened = opened.map_err(|error| format!("cannot be opened: {}", reason(&error)))?;
    let (file, _) = opened.ok_or("is not a regular file; name the file itself")?;
    let read = file.take(MOST + 1).read_to_end(&mut pem);
    let length = read.map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if length as u64 > MOST {
        return Err("is larger than 1 MiB; give a file with the one authority needed".to_owned());
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| {
        format!("is not a PEM file: {error}; it must hold a certificate in PEM form")
    })?;
    if found.is_empty() {
        return Err("holds no certificate; it must hold one in PEM form".to_owned());
    }
    Ok(found)
}
