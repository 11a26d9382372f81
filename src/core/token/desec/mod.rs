//! Tokens of deSEC: what their policies allow, how they differ from what they should be, and what
//! that means.
//!
//! Pure. Used by the token side, and by rounds that look at their own token.

pub mod audit;
pub mod difference;
pub mod rights;
