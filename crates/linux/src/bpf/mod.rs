//! All processes and listeners of a host in one pass, by programs that run in the kernel.

mod unavailable;

pub use unavailable::Unavailable;

/// The programs, loaded.
#[derive(Debug)]
pub struct Iterators {}

impl Iterators {
    /// Loads the programs, and tests them on sockets of this process.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub fn load() -> Result<Self, Unavailable> {
        Err(Unavailable::Refused("not yet".to_owned()))
    }
}
