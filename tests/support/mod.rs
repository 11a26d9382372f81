//! What several files of tests share, built once: homes, name servers, networks, and the two
//! pretended providers of `contrib`.

#[cfg(feature = "tokens")]
pub mod account;
pub mod chance;
pub mod clock;
pub mod home;
pub mod line;
pub mod name_servers;
pub mod netns;
pub mod power;
#[expect(clippy::duplicate_mod, reason = "the two pretended servers share some of their parts")]
#[path = "../../contrib/rails/server/mod.rs"]
pub mod rails;
pub mod router;
#[path = "../../contrib/sandbox/server/mod.rs"]
pub mod sandbox;
pub mod snapshot;
pub mod sources;
pub mod tls;
pub mod virtual_clock;
