//! How a key stands with its server: whether the server takes its signature, and for which of its
//! own records. Asked by updates whose condition cannot hold, so nothing changes.

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

/// A key at its server, ready to ask.
pub struct Asker<'a> {
    pub server: NameServer<'a>,
    pub key: &'a TsigKey,
    /// What the key is for.
    pub duties: &'a [Duty],
    signer: Signer,
    /// Signs as a key that no server knows.
    stranger: Signer,
}

/// What the server says of a key on its own names.
pub enum KeyStatus {
    /// It takes the key's signature; what the key lacks, and what could not be told.
    Known(Vec<Finding>),
    /// It takes the signature of nobody, or not now; in words.
    Untold(String),
    /// It does not know the key, or not as allowed for any of its names; in words.
    Unknown(String),
    /// It knows a key of that name with another secret; in words.
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

    /// Whether the server is one that binds no key to names: `PowerDNS`, which alone refuses an
    /// unknown key without a signature (4.7, observed November 2026).
    pub async fn binds_no_key(&self, zone: &Hostname, probe: &Probe) -> bool {
        let build = |id| rfc2136::probe(id, zone, &probe.name, probe.record_type);
        let reply = self.server.ask_signed(&self.stranger, zone, build).await;
        let unsigned = Check::Unverified(Complaint::Unsigned);
        reply.is_ok_and(|reply| reply.check == unsigned && reply.rcode == Rcode::REFUSED)
    }

    /// What the server answers to a probe in `zone`.
    pub async fn ask(&self, zone: &Hostname, probe: &Probe) -> Result<Reply, Silence> {
        let build = |id| rfc2136::probe(id, zone, &probe.name, probe.record_type);
        self.server.ask_signed(&self.signer, zone, build).await
    }

    /// The server's answer in words.
    pub fn in_words(&self, Reply { rcode, check, at }: Reply) -> String {
        match rfc2136::outcome(rcode, check, at, &self.server.server.to_string()) {
            Outcome::Deferred(deferral) => deferral.detail,
            Outcome::Rejected(refusal) => refusal.detail,
            // The server claims to have made an impossible update: its answers tell nothing.
            Outcome::Unchanged | Outcome::Updated => {
                format!("{} answers NOERROR to what cannot be done", self.server.server)
            }
        }
    }

    /// How the key stands on its own names.
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
                // PowerDNS' word for it.
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
