//! The credentials of a round: each secret file read once, each host with its fingerprint.
//!
//! Read anew in every round, so that a replaced file is noticed without a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::HostConfig;
use crate::config::secret::{self, SecretPlace};
use crate::core::name::Hostname;
use crate::core::plan::Use;
use crate::core::protocol::Credential;
use crate::core::provider::{Login, Protocol, Provider};
use crate::core::secret::{Fingerprint, Secret};
use crate::state::Store;

/// How a host's requests are authorised, and what its holds are about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Access {
    /// Login and secret.
    pub credential: Credential,
    /// Stands for login and secret: hosts with equal ones may share a request.
    pub identity: Fingerprint,
    /// Stands for everything whose change ends a park.
    pub fingerprint: Fingerprint,
}

/// Reads secrets, each file once.
pub struct Reader<'a> {
    store: &'a Store,
    files: BTreeMap<PathBuf, Result<Secret, String>>,
    /// What the fingerprints of the last provider begin with.
    provider: Option<(String, String)>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet; fingerprints are salted with the store's salt.
    pub fn new(store: &'a Store) -> Self {
        Self { store, files: BTreeMap::new(), provider: None }
    }

    /// How `host` is authorised, or what is wrong with its secret.
    pub fn access(&mut self, host: &HostConfig, provider: &Provider) -> Result<Access, String> {
        let secret = match &host.secret {
            Some(place) => self.secret(place)?,
            None => Secret::new(""),
        };
        let name = host.host.key.host.as_str();
        let login = match (&host.username, provider.protocol, provider.login) {
            (Some(username), _, _) => username.clone(),
            (None, Protocol::Dyndns2, Login::Host) => name.to_owned(),
            (None, Protocol::Desec | Protocol::Dyndns2 | Protocol::HostsFile, _) => String::new(),
        };
        // The file takes the place of the account: hosts in one file are written at one go.
        let path = host.path.as_ref().map(|path| path.as_os_str().as_encoded_bytes());
        let identity = self.store.fingerprint(&[
            login.as_bytes(),
            secret.expose().as_bytes(),
            path.unwrap_or_default(),
        ]);
        let families = host.host.families.map(|_, used| *used != Use::Off);
        let zone = host.host.zone.as_ref().map(Hostname::as_str).unwrap_or_default();
        let wire = self.wire_form(provider);
        let fingerprint = self.store.fingerprint(&[
            &identity.0.to_be_bytes(),
            wire.as_bytes(),
            zone.as_bytes(),
            name.as_bytes(),
            &[u8::from(families.v4), u8::from(families.v6)],
        ]);
        Ok(Access { credential: Credential { login, secret }, identity, fingerprint })
    }

    /// What of a provider's entry reaches the wire, as text; hosts of one provider come together.
    fn wire_form(&mut self, provider: &Provider) -> String {
        match &self.provider {
            Some((name, form)) if *name == provider.name => form.clone(),
            _ => {
                let form = provider.wire_form();
                self.provider = Some((provider.name.to_string(), form.clone()));
                form
            }
        }
    }

    fn secret(&mut self, place: &SecretPlace) -> Result<Secret, String> {
        let read = |place| secret::read(place).map_err(|error| error.to_string());
        match place {
            SecretPlace::File(path) => {
                if let Some(known) = self.files.get(path) {
                    return known.clone();
                }
                let result = read(place);
                self.files.insert(path.clone(), result.clone());
                result
            }
            SecretPlace::Credential(_) | SecretPlace::Environment(_) | SecretPlace::Inline(_) => {
                read(place)
            }
        }
    }
}
