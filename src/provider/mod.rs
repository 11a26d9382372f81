//! Carries requests to the providers of records. Decides nothing about a host; used by rounds and by
//! the token side.

#[cfg(any(feature = "cloud", feature = "tokens"))]
pub mod asker;
pub mod authorities;
pub mod carry;
pub mod desec;
pub mod hosts_file;
#[cfg(feature = "tokens")]
pub mod maker;
pub mod name_server;
#[cfg(feature = "tokens")]
pub mod power;
pub mod rails;
#[cfg(feature = "cloud")]
pub mod route53;
mod trouble;

pub use self::trouble::Trouble;
