//! A gateway's answer about its own address: three ways to ask the router of an interface, and
//! what its answers say.
//!
//! Pure: random numbers are arguments; sending and reading XML are the shell's work.

pub mod natpmp;
pub mod pcp;
pub mod upnp;

use std::net::Ipv4Addr;

/// The port of PCP (RFC 6887, section 19) and of NAT-PMP (RFC 6886, section 3.1).
pub const PORT: u16 = 5351;

/// A gateway's answer: its address, or what it says instead.
pub type Told = Result<Ipv4Addr, Instead>;

/// What a gateway says instead of its address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Instead {
    /// It has no address itself: its own connection to the Internet is down.
    NoAddress,
    /// It refuses, in words that follow its name; it may still answer another protocol.
    Refusal(String),
}

/// A result code in words; `meanings` are those of the codes 1, 2, 3 and so on.
fn refusal(code: u16, meanings: &[&str]) -> Instead {
    let meaning = meanings.get(usize::from(code).wrapping_sub(1));
    let meaning = meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default();
    Instead::Refusal(format!("answers with the error {code}{meaning}"))
}

/// The address that a gateway reports as its own; all zeros stand for none.
fn own(address: Ipv4Addr) -> Told {
    if address.is_unspecified() { Err(Instead::NoAddress) } else { Ok(address) }
}
