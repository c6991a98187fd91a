//! Versions of services, without executing anything: from package databases, from what programs and archives are called
//! and have in them, and last from variables.
//!
//! The first of these that knows is believed; what it was is in [`Version::source`]. A database is believed only where
//! the program is the package's: a program under `/usr/local` is not of the package that happens to be installed too.
//! A program that was replaced since it was started has no version but what its process says of itself: the kernel says
//! so in `/proc/PID/exe`, and forbids to write into one that runs (`ETXTBSY`), so what the path leads to is what runs.
//! rpm's databases are not read: there is no crate for them without a C library; such images have the other ways.
//!
//! - `place`: where a program lies, and who puts files there; `upstream`: the makers' part of a version
//! - `package`: dpkg's and apk's databases; `program`, `go`: texts in programs; `named`: names of archives and packages;
//!   `variable`: variables of images
//! - [`of_banner`]: what a service says itself to whoever may ask it

mod banner;
mod go;
mod named;
mod package;
mod place;
mod program;
mod upstream;
mod variable;

pub use banner::of_banner;

use std::path::Path;

use crate::config::Wanted;
use crate::launch::Launch;
use crate::rules::Rule;
use crate::service::Version;
use crate::source::Source;
use place::Subject;

/// A service whose version is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    rule: &'a Rule,
    /// The service's name: its kind, or the program that a runtime runs.
    name: &'a str,
    launch: &'a Launch,
    /// Whose owner is asked for; `None` where that cannot be told.
    subject: Option<Subject>,
}

impl<'a> Asked<'a> {
    /// Of a service that was started so, and whose files are seen from this root of its mount namespace.
    pub(crate) fn new(rule: &'a Rule, name: &'a str, launch: &'a Launch, root: &Path) -> Self {
        Self { rule, name, launch, subject: Subject::of(launch, root) }
    }
}

/// Versions of the services that see the same files.
#[derive(Debug)]
pub(crate) struct Versions {
    packages: package::Plan,
}

impl Versions {
    pub(crate) fn of(asked: &[Asked<'_>]) -> Self {
        Self { packages: package::Plan::of(asked) }
    }

    /// What will be looked at, for all of them in one request.
    pub(crate) fn foresee(&self) -> impl Iterator<Item = Wanted> {
        self.packages.foresee()
    }

    /// The version of each of them, if anything tells it.
    pub(crate) fn tell(&self, asked: &[Asked<'_>], source: &mut dyn Source) -> Vec<Option<Version>> {
        let packaged: Vec<_> = asked.iter().map(|asked| self.packages.tell(asked, source)).collect();
        // Programs are looked through all at once, and only those that no package answers for.
        let open =
            packaged.iter().zip(asked).filter(|(version, _)| version.is_none()).map(|(_, asked)| asked);
        let wanted: Vec<Wanted> =
            open.flat_map(|asked| program::wanted(asked).or_else(|| go::wanted(asked))).collect();
        source.foresee(&wanted);
        let each = packaged.into_iter().zip(asked);
        each.map(|(version, asked)| {
            version
                .or_else(|| program::tell(asked, source))
                .or_else(|| go::tell(asked, source))
                .or_else(|| named::tell(asked, source))
                .or_else(|| variable::tell(asked))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
