//! How a server was started, and which file it begins with.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::paths::relative;
use crate::config::getopt::{self, Argument};
use crate::launch::Launch;
use crate::source::{Source, Unread};

/// What the arguments say.
#[derive(Debug)]
pub(super) struct Start {
    /// `-f`.
    file: Option<Vec<u8>>,
    /// `-D`.
    pub(super) names: Vec<Vec<u8>>,
    /// `-C`: lines before the files.
    pub(super) before: Vec<Vec<u8>>,
    /// `-c`: lines after them.
    pub(super) after: Vec<Vec<u8>>,
    /// How it may have been built, with `-d` in place of the root.
    builds: Vec<Build>,
}

/// What is compiled in.
#[derive(Debug, Clone)]
pub(super) struct Build {
    /// `HTTPD_ROOT`.
    pub(super) root: PathBuf,
    /// `SERVER_CONFIG_FILE`.
    file: &'static str,
    /// The modules, besides those that every build has.
    pub(super) modules: &'static [&'static str],
}

/// Where a server begins.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) build: Build,
    pub(super) path: PathBuf,
    pub(super) by: &'static str,
    pub(super) content: Result<Arc<[u8]>, Unread>,
}

/// Those options that take a value.
const WITH_VALUE: &[u8] = b"CDEcdefkRn";
const DEBIAN: &[&str] = &["watchdog", "log_config", "logio", "version", "unixd"];

impl Start {
    pub(super) fn of(launch: &Launch) -> Self {
        let mut start = Self {
            file: None,
            names: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            builds: builds(launch),
        };
        let mut root = None;
        for argument in getopt::parse(&launch.arguments, WITH_VALUE, &[]) {
            match argument {
                Argument::Short(b'f', value) => start.file = Some(value.to_vec()),
                Argument::Short(b'd', value) => root = Some(value),
                Argument::Short(b'D', value) => start.names.push(value.to_vec()),
                Argument::Short(b'C', value) => start.before.push(value.to_vec()),
                Argument::Short(b'c', value) => start.after.push(value.to_vec()),
                _ => {}
            }
        }
        if let Some(root) = root {
            let root = relative(&directory(launch), root);
            for build in &mut start.builds {
                build.root.clone_from(&root);
            }
        }
        start
    }

    /// The files that it may begin with, the likeliest first.
    pub(super) fn candidates(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for build in &self.builds {
            let path = self.path(build);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    fn path(&self, build: &Build) -> PathBuf {
        relative(&build.root, self.file.as_deref().unwrap_or(build.file.as_bytes()))
    }

    /// Finds the first that is there; where none is, the first with the reason.
    pub(super) fn begin(&self, source: &mut dyn Source) -> Begun {
        let by = if self.file.is_some() { "argument -f" } else { "compiled-in default" };
        let mut missing = None;
        for build in &self.builds {
            let path = self.path(build);
            let content = source.read(&path);
            let gone = content.as_ref().is_err_and(Unread::is_missing);
            let begun = Begun { build: build.clone(), path, by, content };
            if !gone {
                return Begun { build: self.of_file(begun.build, source), ..begun };
            }
            missing.get_or_insert(begun);
        }
        missing.unwrap_or_else(|| Begun {
            build: unknown(),
            path: self.path(&unknown()),
            by,
            content: Err(Unread::new(portolan_linux::ErrorKind::NotFound, "there is no configuration")),
        })
    }

    /// With an absolute `-f`, the build is the one whose own default is there.
    fn of_file(&self, first: Build, source: &mut dyn Source) -> Build {
        if !self.file.as_ref().is_some_and(|file| file.starts_with(b"/")) || self.builds.len() < 2 {
            return first;
        }
        let there = |build: &&Build| source.kind(&relative(&build.root, build.file.as_bytes())).is_ok();
        self.builds.iter().find(there).cloned().unwrap_or(first)
    }
}

/// The directory it was started in. The server leaves it for `/`, and only a shell's variable still tells.
fn directory(launch: &Launch) -> PathBuf {
    if launch.directory != Path::new("/") {
        return launch.directory.clone();
    }
    let told = launch.variable("PWD").filter(|directory| directory.starts_with(b"/"));
    told.map_or_else(|| "/".into(), |told| PathBuf::from(std::ffi::OsString::from_vec(told.to_vec())))
}

fn unknown() -> Build {
    Build { root: "/usr/local/apache2".into(), file: "conf/httpd.conf", modules: &[] }
}

/// How a program of this path is usually built.
fn builds(launch: &Launch) -> Vec<Build> {
    let build = |root: &str, file, modules| Build { root: root.into(), file, modules };
    let debian = build("/etc/apache2", "apache2.conf", DEBIAN);
    if launch.name().starts_with(b"apache2") {
        // Gentoo calls it so too.
        return vec![debian, build("/usr", "/etc/apache2/httpd.conf", &[])];
    }
    let mut builds = Vec::new();
    let program = launch.program.as_path();
    let prefix = program.parent().filter(|bin| bin.ends_with("bin") || bin.ends_with("sbin"));
    let prefix = prefix.and_then(Path::parent);
    if prefix.is_none_or(|prefix| matches!(prefix.as_os_str().as_bytes(), b"/usr" | b"/")) {
        builds.push(build("/etc/httpd", "conf/httpd.conf", &[]));
        // Alpine's; SUSE has another root and writes whole paths.
        builds.push(build("/var/www", "/etc/apache2/httpd.conf", &[]));
        // cPanel's.
        builds.push(build("/etc/apache2", "conf/httpd.conf", &[]));
    }
    match prefix {
        Some(prefix) if prefix != Path::new("/usr") && prefix != Path::new("/") => {
            builds.push(Build { root: prefix.to_owned(), file: "conf/httpd.conf", modules: &[] });
            // Software collections: /opt/rh/httpd24/root/usr/sbin/httpd.
            if let Some(above) = prefix.parent().filter(|_| prefix.ends_with("usr")) {
                builds.push(Build { root: above.join("etc/httpd"), file: "conf/httpd.conf", modules: &[] });
            }
        }
        _ => builds.push(unknown()),
    }
    if prefix.is_none() {
        builds.push(debian);
    }
    builds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_as_the_server_takes_them() {
        let launch = Launch::test(
            "/usr/sbin/apache2",
            &["apache2", "-kstart", "-D", "A", "-XDB", "-C", "Define x", "-f", "y.conf", "-d/etc/other"],
            &[],
        );
        let start = Start::of(&launch);
        assert_eq!(start.names, [b"A", b"B"]);
        assert_eq!(start.before, [b"Define x"]);
        assert_eq!(start.candidates(), [Path::new("/etc/other/y.conf")]);
    }

    #[test]
    fn the_main_file_follows_from_the_program() {
        for (program, first) in [
            ("/usr/sbin/apache2", "/etc/apache2/apache2.conf"),
            ("/usr/sbin/httpd", "/etc/httpd/conf/httpd.conf"),
            ("/usr/local/apache2/bin/httpd", "/usr/local/apache2/conf/httpd.conf"),
            ("/opt/bitnami/apache/bin/httpd", "/opt/bitnami/apache/conf/httpd.conf"),
            ("", "/etc/httpd/conf/httpd.conf"),
        ] {
            let start = Start::of(&Launch::test(program, &["x"], &[]));
            assert_eq!(start.candidates()[0], Path::new(first), "{program}");
        }
        let launch = Launch::test("/usr/sbin/apache2", &["x", "-d", "conf"], &[("PWD", "/srv")]);
        assert_eq!(Start::of(&launch).candidates()[0], Path::new("/srv/conf/apache2.conf"));
    }
}
