//! Homing keeps host names pointing home.
pub mod core;
pub mod source;
