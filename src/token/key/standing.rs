//! The status of a key at its server: whether the server accepts its signature, and for which of its
//! own records. Found by updates whose condition cannot be met, so nothing changes.

use crate::core::name::Hostname;
use crate::core::outcome::{Outcome, Silence};
use crate::core::protocol::step::Reply;
use crate::core::protocol::{Credential, rfc2136};
use crate::core::secret::Secret;
use crate::core::token::Duty;
use crate::core::token::finding::Finding;
use crate::core::token::key::{Permission, Probe, own_probes, permission};
use crate::core::wire::dns::Rcode;
use crate::core::wire::tsig::{Check, Complaint, TsigKey};
use crate::provider::name_server::{NameServer, Signer};
use crate::token::Failure;

/// A key and its server, ready to ask.
pub struct Asker<'a> {
    pub server: NameServer<'a>,
    pub key: &'a TsigKey,
    /// The duties of the key.
    pub duties: &'a [Duty],
    signer: Signer,
    /// The signer of a key that no server knows.
    stranger: Signer,
}

/// The server's answer to a key on its own names.
pub enum KeyStatus {
    /// The server accepts the key's signature; findings on missing rights and on unclear answers.
    Known(Vec<Finding>),
    /// The server gave no clear answer; the reason in words.
    Untold(String),
    /// The server does not know the key, or allows it none of its names; in words.
    Unknown(String),
    /// The server knows a key of that name with another secret; in words.
    Wrong(String),
}

impl<'a> Asker<'a> {
    pub fn new(
        server: NameServer<'a>,
        (key, secret): &'a (TsigKey, Secret),
        duties: &'a [Duty],
    ) -> Result<Self, Failure> {
        let signer = |name: &dyn std::fmt::Display| {
            let login = format!("{}:{name}", key.algorithm);
            Signer::new(&Credential { login, secret: secret.clone() })
                .map_err(Failure::of_configuration)
        };
        let stranger = signer(&"homing-probe-no-such-key")?;
        Ok(Self { server, key, duties, signer: signer(&key.name)?, stranger })
    }

    /// Whether the server binds no key to names: `PowerDNS`, the only one that refuses an unknown key
    /// without a signature (4.7, observed November 2026).
    pub async fn binds_no_key(&self, zone: &Hostname, probe: &Probe) -> bool {
        let build = |id| rfc2136::probe(id, zone, &probe.name, probe.record_type);
        let reply = self.server.ask_signed(&self.stranger, zone, build).await;
        let unsigned = Check::Unverified(Complaint::Unsigned);
        reply.is_ok_and(|reply| reply.check == unsigned && reply.rcode == Rcode::REFUSED)
    }

    /// The server's answer to a probe in `zone`.
    pub async fn ask(&self, zone: &Hostname, probe: &Probe) -> Result<Reply, Silence> {
        let build = |id| rfc2136::probe(id, zone, &probe.name, probe.record_type);
        self.server.ask_signed(&self.signer, zone, build).await
    }

    /// The server's answer in words.
    pub fn in_words(&self, Reply { rcode, check, at }: Reply) -> String {
        match rfc2136::outcome(rcode, check, at, &self.server.server.to_string()) {
            Outcome::Deferred(deferral) => deferral.detail,
            Outcome::Rejected(refusal) => refusal.detail,
            // The server reports success of an impossible update: its answers prove nothing.
            Outcome::Unchanged | Outcome::Updated => {
                format!("{} answers NOERROR to an impossible request", self.server.server)
            }
        }
    }

    /// Asks for the status of the key on its own names.
    pub async fn standing(&self) -> KeyStatus {
        let mut replies = Vec::new();
        for duty in self.duties {
            for (probe, kind) in own_probes(duty).into_iter().zip(duty.kinds()) {
                match self.ask(&duty.zone, &probe).await {
                    Ok(reply) => replies.push((duty, kind, reply)),
                    Err(silence) => return KeyStatus::Untold(silence.detail),
                }
            }
        }
        let Some((_, _, first)) = replies.first() else {
            return KeyStatus::Untold("no family is in use".to_owned());
        };
        if !replies.iter().any(|(_, _, reply)| reply.check == Check::Verified) {
            let said = self.in_words(*first);
            return match first.check {
                Check::Unverified(Complaint::BadSignature) => KeyStatus::Wrong(said),
                Check::Unverified(Complaint::BadKey) => KeyStatus::Unknown(said),
                // PowerDNS refuses unknown keys in this way.
                Check::Unverified(Complaint::Unsigned) if first.rcode == Rcode::REFUSED => {
                    KeyStatus::Unknown(said)
                }
                _ => KeyStatus::Untold(said),
            };
        }
        let mut findings = Vec::new();
        for (Duty { host, .. }, kind, reply) in replies {
            match permission(reply.rcode, reply.check) {
                Permission::Granted => {}
                Permission::Denied => findings.push(Finding::Lacks { host: host.clone(), kind }),
                Permission::Untold => findings.push(Finding::untold(
                    format!("it may write {kind} of {host}"),
                    self.in_words(reply),
                )),
            }
        }
        KeyStatus::Known(findings)
    }
}
