//! Carries requests to the providers of records. Decides nothing about a host; used by rounds and by
//! the token side.

pub mod authorities;
pub mod carry;
pub mod desec;
pub mod hosts_file;
pub mod name_server;
#[cfg(feature = "tokens")]
pub mod power;
pub mod rails;
#[cfg(feature = "cloud")]
pub mod route53;
mod trouble;

pub use self::trouble::Trouble;
