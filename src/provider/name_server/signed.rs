//! Signed updates, which a name server accepts from known keys alone.
//!
//! Signs and carries what `core::protocol::rfc2136` builds, and checks that an answer is one.

use base64::Engine as _;
use ring::hmac;

use super::NameServer;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Silence};
use crate::core::protocol::Credential;
use crate::core::protocol::rfc2136;
use crate::core::protocol::step::Reply;
use crate::core::wire::dns::{Message, Name, Rcode};
use crate::core::wire::tsig::{self, Algorithm, TsigKey};
use crate::net::exchange::{Question, Read};
use crate::net::peer::Ignored;
use crate::os::clock;

/// A key with its secret, ready to sign.
pub struct Signer {
    key: TsigKey,
    hmac: hmac::Key,
}

/// A signed update, or a message in the form of one.
struct SignedUpdate<'a, B> {
    signer: &'a Signer,
    zone: &'a Hostname,
    /// The function that makes the unsigned message with an id.
    build: B,
}

/// An unsigned update.
struct UnsignedUpdate<'a, B> {
    zone: &'a Hostname,
    build: B,
}

impl NameServer<'_> {
    /// The reply to an update of `zone`, which is `message` with an id and a signature.
    pub async fn update(
        &self,
        credential: &Credential,
        zone: &Hostname,
        message: &[u8],
    ) -> Result<Reply, Silence> {
        let signer = Signer::new(credential);
        let signer = signer.map_err(|wrong| Silence::new(Fault::Storage, wrong))?;
        let build = |id: u16| [&id.to_be_bytes(), &message[2..]].concat();
        self.ask_signed(&signer, zone, build).await
    }

    /// The answer to the signed message that `build` makes with an id; one whose signature is wrong is
    /// asked for again over TCP, where it is harder to forge.
    pub async fn ask_signed(
        &self,
        signer: &Signer,
        zone: &Hostname,
        build: impl Fn(u16) -> Vec<u8>,
    ) -> Result<Reply, Silence> {
        self.ask(&SignedUpdate { signer, zone, build }).await
    }

    /// The server's response code to the message that `build` makes with an id, which has no signature.
    pub async fn ask_unsigned(
        &self,
        zone: &Hostname,
        build: impl Fn(u16) -> Vec<u8>,
    ) -> Result<Rcode, Silence> {
        self.ask(&UnsignedUpdate { zone, build }).await
    }
}

impl Signer {
    /// The key that a credential carries: its login is `ALGORITHM:NAME`, as `nsupdate -y` has it, its
    /// secret in Base64. The error says what is wrong, without the secret.
    pub fn new(credential: &Credential) -> Result<Self, String> {
        let (algorithm, name) = credential.login.split_once(':').unwrap_or_default();
        let algorithm: Algorithm =
            algorithm.parse().map_err(|()| format!("{algorithm} is not a key algorithm"))?;
        let named = Name::from_text(name).ok_or_else(|| format!("{name} is not a key's name"))?;
        let secret = base64::engine::general_purpose::STANDARD
            .decode(credential.secret.expose())
            .map_err(|_| format!("the secret of the key {name} is not in Base64"))?;
        let hash = match algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let hmac = hmac::Key::new(hash, &secret);
        Ok(Self { key: TsigKey { name: named, algorithm }, hmac })
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        hmac::sign(&self.hmac, bytes).as_ref().to_vec()
    }
}

impl<B: Fn(u16) -> Vec<u8>> Question for SignedUpdate<'_, B> {
    /// The signature of the message; the answer's signature covers it.
    type Kept = Vec<u8>;
    type Told = Reply;

    fn message(&self, id: u16) -> (Vec<u8>, Vec<u8>) {
        let hash = |bytes: &[u8]| self.signer.hash(bytes);
        let signed = tsig::sign((self.build)(id), &self.signer.key, now(), &hash);
        (signed.bytes, signed.mac)
    }

    fn read_answer(
        &self,
        bytes: &[u8],
        id: u16,
        kept: &Vec<u8>,
        by_tcp: bool,
    ) -> Result<Read<Reply>, Ignored> {
        let hash = |bytes: &[u8]| self.signer.hash(bytes);
        let at = now();
        let (message, check) = tsig::check(bytes, kept, &self.signer.key, at, &hash)
            .map_err(|_| Ignored("sends something that is not a DNS message"))?;
        if !rfc2136::answers(&message, id, self.zone) {
            return Err(Ignored("sends an answer to another request"));
        }
        let is_doubtful = message.header.is_truncated || rfc2136::needs_a_second_look(check);
        if is_doubtful && !by_tcp {
            return Ok(Read::AgainByTcp);
        }
        let rcode = message.header.rcode;
        Ok(Read::Answer(Reply { rcode, check, at }))
    }
}

impl<B: Fn(u16) -> Vec<u8>> Question for UnsignedUpdate<'_, B> {
    type Kept = ();
    type Told = Rcode;

    fn message(&self, id: u16) -> (Vec<u8>, ()) {
        ((self.build)(id), ())
    }

    fn read_answer(
        &self,
        bytes: &[u8],
        id: u16,
        (): &(),
        by_tcp: bool,
    ) -> Result<Read<Rcode>, Ignored> {
        let message = Message::parse(bytes).map_err(|_| {
            Ignored(
                "sends something that is not a \
            DNS message",
            )
        })?;
        if !rfc2136::answers(&message, id, self.zone) {
            return Err(Ignored("sends an answer to another request"));
        }
        // No signature proves it: over TCP it is harder to forge.
        Ok(if by_tcp { Read::Answer(message.header.rcode) } else { Read::AgainByTcp })
    }
}

fn now() -> u64 {
    clock::wall().millis() / 1000
}
