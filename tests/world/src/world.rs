//! The description of a container.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::container::Container;
use crate::error::WorldError;
use crate::namespace::Namespace;
use crate::start;

/// Describes a container; [`start`](Self::start) makes it.
///
/// Unless told otherwise it has mount, pid, net, uts and ipc namespaces of its own, the host's root below a
/// writable layer of its own, fresh `/proc`, `/sys`, `/dev`, `/tmp` and `/run`, a loopback that is up, and
/// `sleep infinity` as its command.
#[derive(Debug, Clone)]
#[must_use = "a description makes no container until it is started"]
pub struct World {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) contents: Vec<(String, Content)>,
    pub(crate) script: Option<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) workdir: String,
    pub(crate) user: Option<String>,
    /// The first id outside and how many, for a user namespace.
    pub(crate) owners: Option<(u32, u32)>,
    pub(crate) shared: BTreeSet<Namespace>,
    pub(crate) loopback: bool,
    pub(crate) chroot: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    File { bytes: Vec<u8>, mode: u32 },
    Link { target: String },
    Directory,
    Tmpfs,
    Bind { source: PathBuf },
}

impl World {
    /// A container of this name, which is also its hostname.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            command: ["sleep", "infinity"].map(str::to_owned).into(),
            contents: Vec::new(),
            script: None,
            variables: Vec::new(),
            workdir: "/".to_owned(),
            user: None,
            owners: None,
            shared: BTreeSet::new(),
            loopback: true,
            chroot: false,
        }
    }

    /// The program that runs as process 1, with its arguments. Looked for inside, in the usual places, unless
    /// it is a path.
    pub fn command<I, S>(mut self, command: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// A file inside, readable by all. Missing directories on the way are made.
    pub fn file(self, path: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.file_mode(path, bytes, 0o644)
    }

    /// A file inside, with these permission bits, owned by root.
    pub fn file_mode(self, path: impl Into<String>, bytes: impl AsRef<[u8]>, mode: u32) -> Self {
        self.content(path, Content::File { bytes: bytes.as_ref().to_vec(), mode })
    }

    /// A symbolic link inside. The path must be free.
    pub fn link(self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.content(path, Content::Link { target: target.into() })
    }

    /// A directory inside.
    pub fn directory(self, path: impl Into<String>) -> Self {
        self.content(path, Content::Directory)
    }

    /// An empty file system of its own inside, writable.
    pub fn tmpfs(self, path: impl Into<String>) -> Self {
        self.content(path, Content::Tmpfs)
    }

    /// A file or directory of the host, mounted inside; what is mounted below it comes along.
    pub fn bind(self, source: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        self.content(path, Content::Bind { source: source.into() })
    }

    /// Lines for `/bin/sh -e`, run inside as root after the files are written and before the command.
    ///
    /// [`start`](Self::start) returns when the script has ended well and the command runs. The script is a
    /// process of its own, so its variables and its directory do not reach the command: there are
    /// [`env`](Self::env) and [`workdir`](Self::workdir) for that. What it leaves in the background lives on.
    /// Given again, the lines are appended.
    pub fn prepare(mut self, script: impl AsRef<str>) -> Self {
        let lines = self.script.get_or_insert_with(String::new);
        lines.push_str(script.as_ref());
        lines.push('\n');
        self
    }

    /// An environment variable, beside PATH, HOME, LANG and TERM.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The directory the command starts in; `/` unless told otherwise.
    pub fn workdir(mut self, path: impl Into<String>) -> Self {
        self.workdir = path.into();
        self
    }

    /// The user that the command runs as, by a name or number of the host's `/etc/passwd`. The groups are the
    /// ones of `/etc/group`. The prepare script and [`Container::exec`] are root's all the same.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// A user namespace of its own: the ids 0 to 65535 inside are 100000 to 165535 outside.
    pub fn user_namespace(self) -> Self {
        self.user_namespace_range(100_000, 65_536)
    }

    /// A user namespace of its own: the first `count` ids inside are those from `first` on outside.
    ///
    /// The container's root shows the host's files with their owners shifted likewise. The file system of the
    /// host's root must be able to do that (ext4, xfs and btrfs are).
    pub fn user_namespace_range(mut self, first: u32, count: u32) -> Self {
        self.owners = Some((first, count));
        self
    }

    /// Leaves this namespace out: the container shares the host's.
    ///
    /// With the host's mounts it has the host's root, and can be given no files. With the host's pids its
    /// command is not process 1, and what it leaves behind is found by its other namespaces and killed.
    pub fn without(mut self, namespace: Namespace) -> Self {
        self.shared.insert(namespace);
        self
    }

    /// Shares the host's network.
    pub fn share_network(self) -> Self {
        self.without(Namespace::Net)
    }

    /// Shares the host's process ids.
    pub fn share_pid(self) -> Self {
        self.without(Namespace::Pid)
    }

    /// Shares the host's mounts, and so its root directory.
    pub fn share_mount(self) -> Self {
        self.without(Namespace::Mount)
    }

    /// Shares the host's hostname.
    pub fn share_uts(self) -> Self {
        self.without(Namespace::Uts)
    }

    /// Shares the host's System V and POSIX objects.
    pub fn share_ipc(self) -> Self {
        self.without(Namespace::Ipc)
    }

    /// Leaves the loopback down.
    pub fn loopback_down(mut self) -> Self {
        self.loopback = false;
        self
    }

    /// Changes the root without pivoting: the root of the mount namespace stays the host's.
    pub fn chroot_only(mut self) -> Self {
        self.chroot = true;
        self
    }

    /// Makes the container and waits until its command runs.
    ///
    /// # Errors
    ///
    /// When the description makes no sense, the caller is not root, the kernel refuses a step, the prepare
    /// script fails, or the command cannot be run.
    pub fn start(&self) -> Result<Container, WorldError> {
        start::start(self)
    }

    pub(crate) fn has_own(&self, namespace: Namespace) -> bool {
        !self.shared.contains(&namespace)
    }

    fn content(mut self, path: impl Into<String>, content: Content) -> Self {
        self.contents.push((path.into(), content));
        self
    }
}
