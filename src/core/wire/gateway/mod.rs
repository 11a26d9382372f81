//! A gateway's word on its own address: what the router of a line is asked, in three ways, and
//! what its answers say.
//!
//! Pure: chance is an argument, sending and reading XML are the shell's work.

pub mod natpmp;
pub mod pcp;
pub mod upnp;

use std::net::Ipv4Addr;

/// The port of PCP (RFC 6887, section 19) and of NAT-PMP (RFC 6886, section 3.1).
pub const PORT: u16 = 5351;

/// What a gateway's answer says: its address, or what else.
pub type Told = Result<Ipv4Addr, Instead>;

/// What a gateway says in place of its address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Instead {
    /// It has no address itself: its own line is down.
    NoAddress,
    /// It does not tell, in words that follow its name; asked in another way it may.
    Refusal(String),
}

/// A result code in words; `meanings` are those of the codes from 1 on.
fn refusal(code: u16, meanings: &[&str]) -> Instead {
    let meaning = meanings.get(usize::from(code).wrapping_sub(1));
    let meaning = meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default();
    Instead::Refusal(format!("answers with the error {code}{meaning}"))
}

/// The address that a gateway told as its own; all zeros stand for none.
fn own(address: Ipv4Addr) -> Told {
    if address.is_unspecified() { Err(Instead::NoAddress) } else { Ok(address) }
}
