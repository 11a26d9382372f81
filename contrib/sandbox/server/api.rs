//! Which of deSEC's two token APIs the server speaks.

/// The API as it is, or as it was.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Api {
    /// Policies for record sets (`policies/rrsets/`), recorded August 2026.
    #[default]
    Current,
    /// Policies for whole zones (`policies/domain/`), as before December 2023.
    Legacy,
}
