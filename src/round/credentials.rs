//! The credentials of a round: reads each secret file once, and gives each host its fingerprint.
//!
//! Every round reads the files again, so that a replaced file is noticed without a restart; so is
//! the receipt that lies beside a token file.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config::secret::{self, SecretError, SecretPlace};
use crate::config::{Config, HostConfig};
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Destination, Memory};
use crate::core::name::Hostname;
use crate::core::order::SortedMap;
use crate::core::plan::{HostSettings, TakeOver, WhenGone};
use crate::core::protocol::Credential;
use crate::core::protocol::manners::SecretKind;
use crate::core::provider::Provider;
use crate::core::round::HostAccess;
use crate::core::secret::{Fingerprint, Secret};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{End, NoTerms, Proof, Terms};
use crate::receipt::{self, Receipt, ReceiptError};
use crate::state::Store;

/// The content of a secret file, and of the receipt beside it.
#[derive(Clone)]
struct KeptSecret {
    /// The name server's key as `ALGORITHM:NAME`, if the file names one.
    login: Option<String>,
    secret: Result<Secret, String>,
    /// When the receipt was last written or confirmed.
    stamp: u128,
    receipt: Result<Rc<Receipt>, NoTerms>,
    /// When a receipt last said that the hosts' records are void, whichever secret it is about.
    void_since: Option<Timestamp>,
}

/// Reads secrets, each file once.
pub struct CredentialReader<'a> {
    store: &'a Store,
    files: SortedMap<PathBuf, KeptSecret>,
    /// The last provider: hosts of one provider follow one another.
    provider: Option<KnownProvider>,
    /// The last access: hosts with one credential follow one another, and share it.
    last: Option<Rc<HostAccess>>,
}

/// The parts of fingerprints that are the same for all hosts of a provider.
struct KnownProvider {
    name: String,
    /// The settings of its entry that change its requests.
    wire: String,
    /// The hash of its server, with its path.
    server: Fingerprint,
}

impl<'a> CredentialReader<'a> {
    /// A reader that has read nothing yet; fingerprints are salted with the store's salt.
    pub fn new(store: &'a Store) -> Self {
        Self { store, files: SortedMap::new(), provider: None, last: None }
    }

    /// The access of `host`, or what is wrong with its secret.
    pub fn access(
        &mut self,
        host: &HostConfig,
        provider: &Provider,
    ) -> Result<Rc<HostAccess>, String> {
        let KeptSecret { login, secret, stamp, receipt, void_since } = self.kept(host, provider);
        let credential = secret::credential(host, provider, login, &secret?)?;
        let (store, Credential { login, secret }) = (self.store, &credential);
        // The file takes the place of the account: hosts in one file are written together.
        let path = host.path.as_ref().map(|path| path.as_os_str().as_encoded_bytes());
        let identity = store.fingerprint(&[
            login.as_bytes(),
            secret.expose().as_bytes(),
            path.unwrap_or_default(),
        ]);
        let about = store.fingerprint(&[&identity.0.to_be_bytes(), &stamp.to_be_bytes()]);
        let KnownProvider { wire, server, .. } = self.known(provider);
        let fingerprint = of_settings(store, host, wire, about);
        // A key is the same whether the file or the entry names its hash.
        let who = match provider.manners().secret {
            SecretKind::Key => login.split_once(':').map_or(&**login, |(_, name)| name),
            SecretKind::Nothing | SecretKind::Password | SecretKind::Token => login,
        };
        let server = *server;
        let at = server.0.to_be_bytes();
        let place = Destination {
            fingerprint: store.fingerprint(&[&at, who.as_bytes(), path.unwrap_or_default()]),
            zone: host.host.zone.clone(),
            void_since,
        };
        let api_url = provider.api_url.as_deref().unwrap_or_default();
        let name = &host.host.key.host;
        let zone = receipt.as_ref().ok().and_then(|receipt| receipt.zone_of(name));
        let zone = zone.map(|(zone, id)| (zone.clone(), id.to_owned()));
        let terms = receipt.map(|receipt| terms(&receipt, name, (api_url, provider.is_wide())));
        let expires = host.expires;
        let access = HostAccess {
            credential,
            identity,
            about,
            fingerprint,
            server,
            place,
            zone,
            terms,
            expires,
        };
        let last = self.last.take().filter(|last| **last == access);
        let shared = last.unwrap_or_else(|| Rc::new(access));
        self.last = Some(Rc::clone(&shared));
        Ok(shared)
    }

    fn known(&mut self, provider: &Provider) -> &KnownProvider {
        let known = self.provider.take().filter(|known| known.name == provider.name);
        self.provider.insert(known.unwrap_or_else(|| KnownProvider {
            name: provider.name.to_string(),
            wire: provider.wire_form(),
            server: self.store.fingerprint(&[provider.place().as_bytes()]),
        }))
    }

    /// The hash of the server of `provider`, with its path.
    fn server(&mut self, provider: &Provider) -> Fingerprint {
        self.known(provider).server
    }

    /// The secret of `host`, with its receipt.
    fn kept(&mut self, host: &HostConfig, provider: &Provider) -> KeptSecret {
        let path = host.secret.as_ref().and_then(SecretPlace::file);
        if let Some(kept) = path.and_then(|path| self.files.get(path)) {
            return kept.clone();
        }
        let kept = KeptSecret::of_host(host, provider);
        if let Some(path) = path {
            self.files.insert(path.to_owned(), kept.clone());
        }
        kept
    }
}

/// The hash of everything whose change ends a park: the secret and its receipt by `about`, the
/// provider's settings by `wire`, and those of the host.
fn of_settings(store: &Store, host: &HostConfig, wire: &str, about: Fingerprint) -> Fingerprint {
    let HostSettings { zone, bind, options, when_gone, take_over, .. } = &**host.host;
    let families = host.host.in_use();
    let zone = zone.as_ref().map(Hostname::as_str).unwrap_or_default();
    let bind = bind.as_ref().map(InterfaceName::as_str).unwrap_or_default();
    let about = about.0.to_be_bytes();
    let choices = [
        u8::from(families.v4),
        u8::from(families.v6),
        u8::from(host.strict_token)
            | u8::from(*when_gone != WhenGone::Keep) << 1
            | u8::from(*take_over == TakeOver::Nothing) << 2
            | u8::from(*take_over == TakeOver::Everything) << 3,
    ];
    let mut settings =
        vec![&about[..], wire.as_bytes(), zone.as_bytes(), &choices, bind.as_bytes()];
    let options = options.iter();
    settings.extend(options.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    store.fingerprint(&settings)
}

impl KeptSecret {
    fn of_host(host: &HostConfig, provider: &Provider) -> Self {
        let name = &host.host.key.host;
        let makes_tokens = provider.manners().has_receipts();
        let mut login = None;
        let read = match &host.secret {
            None => Ok(Secret::new("")),
            Some(SecretPlace::KeyFile(path)) => secret::read_key(path).map(|(key, secret)| {
                login = Some(format!("{}:{}", key.algorithm, key.name));
                secret
            }),
            Some(place) => secret::read_secret(place),
        };
        let secret = read.map_err(|error| match (error, &host.secret) {
            (SecretError::Missing(path), Some(SecretPlace::KeyFile(_))) => {
                secret::no_key_file(&path, name)
            }
            (SecretError::Missing(path), _) if makes_tokens => secret::no_token_file(&path, name),
            (error, _) => error.to_string(),
        });
        let receipt = Err(NoTerms::NoReceipt);
        let mut kept = Self { login, secret, stamp: 0, receipt, void_since: None };
        if let (Some(file), Ok(secret)) = (host.token_file(provider), &kept.secret) {
            // The stamp first: a receipt that is written in between is noticed in the next round.
            kept.stamp = receipt::stamp(file);
            let receipt = receipt::read_receipt(file);
            let known = receipt.as_ref().ok().and_then(Option::as_ref);
            kept.void_since = known.and_then(|receipt| receipt.void_since);
            kept.receipt = of_secret(receipt, secret).map(Rc::new);
        }
        kept
    }
}

/// The server of each provider of `config` that `memory` knows, by the provider's name: one that was
/// never asked has nothing to forget.
pub fn servers(config: &Config, store: &Store, memory: &Memory) -> Vec<(String, Fingerprint)> {
    let mut reader = CredentialReader::new(store);
    let known = config.providers.iter().filter(|it| memory.servers.contains_key(&*it.name));
    known.map(|provider| (provider.name.to_string(), reader.server(provider))).collect()
}

/// The receipt beside `token_file`, if it is about `secret`.
pub fn receipt_of(token_file: &Path, secret: &Secret) -> Result<Receipt, NoTerms> {
    of_secret(receipt::read_receipt(token_file), secret)
}

/// The receipt that was read, if it is about `secret`.
fn of_secret(
    read: Result<Option<Receipt>, ReceiptError>,
    secret: &Secret,
) -> Result<Receipt, NoTerms> {
    match read {
        Ok(Some(receipt)) if receipt.is_of(secret) => Ok(receipt),
        Ok(Some(_)) => Err(NoTerms::OfAnother),
        Ok(None) => Err(NoTerms::NoReceipt),
        Err(error) => Err(NoTerms::Unusable(error.to_string())),
    }
}

/// The terms in `receipt` for `host`, which is at a server with that URL, even whose narrowest token may
/// be wide; every round needs them.
fn terms(receipt: &Receipt, host: &Hostname, (server, is_wide): (&str, bool)) -> Terms {
    let proof = receipt.proof(host, server, is_wide);
    let end = match (receipt.expires(), receipt.created) {
        // A revoked token does not end again.
        _ if matches!(proof, Proof::Revoked(_)) => End::Unknown,
        (Some(end), _) => End::At(end),
        // A token of such a server always ends; the server did not say when.
        (None, Some(_)) if receipt.rails.is_some() => End::Unknown,
        (None, Some(_)) => End::Never,
        (None, None) => End::Unknown,
    };
    let max_unused = receipt.limits.max_unused;
    Terms { end, max_unused, proof }
}
