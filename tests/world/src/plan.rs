//! From a [`World`] to the steps of its container's first process.

use std::ffi::CString;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use nix::mount::MsFlags;

use crate::namespace::Namespace;
use crate::step::{Plan, Program, Step};
use crate::sys::{self, Strings};
use crate::user::User;
use crate::world::{Content, World};

/// Where programs are looked for, inside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Covered with a tmpfs, which holds the container's layers; in its mount namespace alone.
const STAGE: &str = "/tmp";
/// The container's root before it becomes the root.
const ROOT: &str = "/tmp/root";
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The descriptors a plan takes along.
pub(crate) struct Ends {
    pub(crate) log: OwnedFd,
    pub(crate) report: PipeWriter,
    pub(crate) go: PipeReader,
    /// The host's root as the lowest layer, with its owners shifted; for a user namespace.
    pub(crate) lower: Option<OwnedFd>,
}

pub(crate) fn plan(world: &World, user: &User, ends: Ends) -> io::Result<Plan> {
    let mut maker = Maker { world, steps: Vec::new(), trees: ends.lower.into_iter().collect() };
    maker.all(user)?;
    let mut plan = Plan {
        steps: Vec::new(),
        null: std::fs::File::open("/dev/null")?.into(),
        log: ends.log,
        report: ends.report.into(),
        go: ends.go.into(),
        trees: maker.trees,
    };
    let mut needed = vec![plan.report.as_raw_fd(), plan.go.as_raw_fd()];
    needed.extend(plan.trees.iter().map(AsRawFd::as_raw_fd));
    plan.steps = vec![Step::Streams, Step::CloseOthers(all_but(needed))];
    plan.steps.append(&mut maker.steps);
    Ok(plan)
}

struct Maker<'a> {
    world: &'a World,
    steps: Vec<Step>,
    trees: Vec<OwnedFd>,
}

impl Maker<'_> {
    fn all(&mut self, user: &User) -> io::Result<()> {
        let own = |namespace| self.world.has_own(namespace);
        let (own_root, own_uts, own_net) = (own(Namespace::Mount), own(Namespace::Uts), own(Namespace::Net));
        self.steps.extend([Step::DieWithParent, Step::Signals, Step::Umask, Step::Session]);
        if self.world.owners.is_some() {
            self.become_user(&User::root());
        }
        if own_uts {
            self.steps.push(Step::Hostname(self.world.name.clone()));
        }
        if own_net && self.world.loopback {
            self.steps.push(Step::Loopback);
        }
        if own_root {
            self.root()?;
            self.contents()?;
        }
        if let Some(script) = &self.world.script {
            let arguments = ["/bin/sh", "-e", "-c", script, "prepare"].map(str::to_owned);
            self.steps.push(Step::Script(self.program(&arguments, &User::root())?));
        }
        self.steps.push(Step::Enter(c_string(&self.world.workdir)?));
        if user.uid != 0 {
            self.become_user(user);
        }
        self.steps.push(Step::Command(self.program(&self.world.command, user)?));
        Ok(())
    }

    fn become_user(&mut self, user: &User) {
        let User { uid, gid, groups, .. } = user.clone();
        self.steps.extend([Step::User { uid, gid, groups }, Step::DieWithParent]);
    }

    /// Lays the container's root over the host's, and moves into it.
    fn root(&mut self) -> io::Result<()> {
        let world = self.world;
        let shifted = world.owners.is_some();
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;

        self.mount(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
        // The overlay refuses an upper layer that lies within its lower one: hence a file system of its own.
        self.mount(Some("tmpfs"), STAGE, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
        for directory in ["upper", "work", "lower", "root"] {
            self.directory(&format!("{STAGE}/{directory}"))?;
        }
        let mut layers = format!("upperdir={STAGE}/upper,workdir={STAGE}/work,lowerdir=");
        if shifted {
            let lower = format!("{STAGE}/lower");
            layers.push_str(&lower);
            layers.push_str(",userxattr");
            self.steps.push(Step::Attach { tree: 0, target: c_string(lower)? });
        } else {
            layers.push('/');
        }
        self.mount(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(&layers))?;

        // A user namespace may mount the proc and sysfs of such pid and net namespaces only as it owns.
        if shifted && !world.has_own(Namespace::Pid) {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            self.mount(Some("/proc"), &format!("{ROOT}/proc"), None, flags, None)?;
        } else {
            self.mount(Some("proc"), &format!("{ROOT}/proc"), Some("proc"), quiet, None)?;
        }
        if !shifted || world.has_own(Namespace::Net) {
            let flags = quiet | MsFlags::MS_RDONLY;
            self.mount(Some("sysfs"), &format!("{ROOT}/sys"), Some("sysfs"), flags, None)?;
        }
        self.devices()?;
        let no_devices = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        self.mount(Some("tmpfs"), &format!("{ROOT}/tmp"), Some("tmpfs"), no_devices, Some("mode=1777"))?;
        self.mount(Some("tmpfs"), &format!("{ROOT}/run"), Some("tmpfs"), no_devices, Some("mode=755"))?;

        let root = c_string(ROOT)?;
        self.steps.push(if world.chroot { Step::Chroot(root) } else { Step::Pivot(root) });
        Ok(())
    }

    fn devices(&mut self) -> io::Result<()> {
        let dev = format!("{ROOT}/dev");
        self.mount(Some("tmpfs"), &dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))?;
        for name in DEVICES {
            let device = format!("{dev}/{name}");
            self.file(&device, Vec::new(), 0o666)?;
            self.mount(Some(&format!("/dev/{name}")), &device, None, MsFlags::MS_BIND, None)?;
        }
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        for (name, kind, data) in
            [("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"), ("shm", "tmpfs", "mode=1777")]
        {
            let target = format!("{dev}/{name}");
            self.directory(&target)?;
            self.mount(Some(kind), &target, Some(kind), quiet, Some(data))?;
        }
        for (name, target) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            let path = c_string(format!("{dev}/{name}"))?;
            self.steps.push(Step::Link { path, target: c_string(target)? });
        }
        Ok(())
    }

    /// What was asked for inside. Only now that the root is the container's own do the absolute links in its
    /// paths lead where they should.
    fn contents(&mut self) -> io::Result<()> {
        for (path, content) in &self.world.contents {
            self.parents(path)?;
            match content {
                Content::File { bytes, mode } => self.file(path, bytes.clone(), *mode)?,
                Content::Link { target } => {
                    self.steps.push(Step::Link { path: c_string(path)?, target: c_string(target)? });
                }
                Content::Directory => self.directory(path)?,
                Content::Tmpfs => {
                    self.directory(path)?;
                    self.mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
                }
                Content::Bind { source } => {
                    if source.is_dir() {
                        self.directory(path)?;
                    } else {
                        self.file(path, Vec::new(), 0o644)?;
                    }
                    let tree = self.trees.len();
                    self.trees.push(sys::open_tree(&c_string(source)?, true)?);
                    self.steps.push(Step::Attach { tree, target: c_string(path)? });
                }
            }
        }
        Ok(())
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        for parent in parents.into_iter().rev() {
            if parent.components().any(|part| matches!(part, Component::Normal(_))) {
                self.steps.push(Step::Directory(c_string(parent)?));
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.steps.push(Step::Directory(c_string(path)?));
        Ok(())
    }

    fn file(&mut self, path: &str, content: Vec<u8>, mode: u32) -> io::Result<()> {
        self.steps.push(Step::File { path: c_string(path)?, content, mode });
        Ok(())
    }

    fn mount(
        &mut self,
        source: Option<&str>,
        target: &str,
        kind: Option<&str>,
        flags: MsFlags,
        data: Option<&str>,
    ) -> io::Result<()> {
        self.steps.push(Step::Mount {
            source: source.map(c_string).transpose()?,
            target: c_string(target)?,
            kind: kind.map(c_string).transpose()?,
            flags,
            data: data.map(c_string).transpose()?,
        });
        Ok(())
    }

    fn program(&self, command: &[String], user: &User) -> io::Result<Program> {
        let name = command.first().map_or("", String::as_str);
        let candidates = if name.contains('/') {
            vec![c_string(name)?]
        } else {
            PATH.split(':').map(|place| c_string(format!("{place}/{name}"))).collect::<io::Result<_>>()?
        };
        let arguments = command.iter().map(c_string).collect::<io::Result<_>>()?;
        let variables = environment(self.world, user);
        let variables = variables.into_iter().map(|(name, value)| c_string(format!("{name}={value}")));
        let environment = variables.collect::<io::Result<_>>()?;
        Ok(Program { candidates, arguments: Strings::new(arguments), environment: Strings::new(environment) })
    }
}

/// The same for the prepare script, the command and later commands, but for the home.
pub(crate) fn environment(world: &World, user: &User) -> Vec<(String, String)> {
    let home = user.home.to_string_lossy().into_owned();
    let mut variables: Vec<(String, String)> =
        [("PATH", PATH), ("HOME", &home), ("LANG", "C.UTF-8"), ("TERM", "dumb")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    for (name, value) in &world.variables {
        variables.retain(|(other, _)| other != name);
        variables.push((name.clone(), value.clone()));
    }
    variables
}

/// The ranges of descriptors from 3 up that leave out the needed ones.
fn all_but(mut needed: Vec<i32>) -> Vec<(u32, u32)> {
    needed.sort_unstable();
    let mut ranges = Vec::new();
    let mut next = 3_u32;
    for fd in needed.into_iter().filter_map(|fd| u32::try_from(fd).ok()) {
        if fd > next {
            ranges.push((next, fd.saturating_sub(1)));
        }
        next = fd.saturating_add(1);
    }
    ranges.push((next, u32::MAX));
    ranges
}

fn c_string(text: impl AsRef<std::ffi::OsStr>) -> io::Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| {
        let why = format!("{} holds a null byte", text.display());
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_the_needed_out() {
        assert_eq!(all_but(vec![]), [(3, u32::MAX)]);
        assert_eq!(all_but(vec![7, 3, 5]), [(4, 4), (6, 6), (8, u32::MAX)]);
        assert_eq!(all_but(vec![4, 5]), [(3, 3), (6, u32::MAX)]);
    }
}
