//! Where the helper's binary is found.

use std::path::PathBuf;

use crate::{Error, Result};

/// Its file name.
pub const NAME: &str = "portolan-helper";
/// The environment variable that names its path.
pub const VARIABLE: &str = "PORTOLAN_HELPER";

/// Looks for the helper: the path in `PORTOLAN_HELPER`; beside this program; in `../libexec/portolan` and
/// `../lib/portolan` as seen from this program; in `/usr/libexec/portolan` and `/usr/lib/portolan`.
///
/// A path in `PORTOLAN_HELPER` is final: if nothing is there, nothing else is tried.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with all the places in its message.
pub fn find() -> Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = match named {
        Some(path) => vec![path],
        None => places(),
    };
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(Error::no_helper(places)),
    }
}

fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(directory) = std::env::current_exe().ok().as_deref().and_then(std::path::Path::parent) {
        places.push(directory.join(NAME));
        if let Some(prefix) = directory.parent() {
            places.push(prefix.join("libexec/portolan").join(NAME));
            places.push(prefix.join("lib/portolan").join(NAME));
        }
    }
    places.extend(["/usr/libexec/portolan", "/usr/lib/portolan"].map(|d| PathBuf::from(d).join(NAME)));
    places.dedup();
    places
}
