//! The numbers on the wire: error codes, the stage that failed, kinds of files and of limits.

use crate::WireError;

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident : $int:ty { $($(#[$vmeta:meta])* $variant:ident = $n:literal => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr($int)]
        pub enum $name { $($(#[$vmeta])* $variant = $n,)+ }

        impl $name {
            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> $int { self as $int }

            /// A few plain words for a person.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl TryFrom<$int> for $name {
            type Error = WireError;
            fn try_from(n: $int) -> Result<Self, WireError> {
                match n { $($n => Ok(Self::$variant),)+ _ => Err(WireError::Unknown(n)) }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

numbered! {
    /// Why an operation gave no answer.
    ErrorCode: u8 {
        /// No such file, or a component of its path is missing.
        NotFound = 1 => "no such file or directory",
        /// The kernel refused; the errno says how.
        PermissionDenied = 2 => "permission denied",
        /// The helper lacks a capability; the detail is its number (see `capabilities(7)`).
        MissingPrivilege = 3 => "a capability is missing",
        /// Not a regular file; the detail is a [`FileKind`].
        NotRegular = 4 => "not a regular file",
        /// More than 40 symbolic links on the way (see `path_resolution(7)`).
        SymlinkLoop = 5 => "too many symbolic links",
        /// The path goes through a magic link of `/proc`, which leads out of the container.
        MagicLink = 6 => "the path goes through a magic link",
        /// The process is gone, a zombie, or its number was given to another.
        TargetGone = 7 => "the process is gone",
        /// The process changed its namespaces while we entered.
        TargetChanged = 8 => "the process changed its namespaces",
        /// A limit was met; the detail says how much there is, the limit's kind is in its own field.
        Limit = 9 => "a limit was met",
        /// The deadline passed.
        Timeout = 10 => "the deadline passed",
        /// The kernel would have to wait (a write lease is held).
        Busy = 11 => "the file is held by a write lease",
        /// The kernel or its configuration has no such feature.
        Unsupported = 12 => "not supported by this kernel",
        /// The request itself is wrong.
        InvalidInput = 13 => "the request is invalid",
        /// A name is longer than the kernel takes.
        NameTooLong = 14 => "a name is too long",
        /// Reading failed half way; the errno says how.
        Io = 15 => "input or output failed",
        /// The path leads to a file system that is not read unless asked for; the detail is a [`FileSystem`].
        UnsupportedFs = 16 => "a file system that is not read unless asked for",
        /// Less could be given up than the request demands.
        NotConfined = 17 => "less could be given up than is demanded",
    }
}

numbered! {
    /// What the helper was doing.
    Stage: u8 {
        /// Understanding the request.
        Request = 1 => "understanding the request",
        /// Taking hold of the process: pidfd, root directory, start time.
        Target = 2 => "taking hold of the process",
        /// Joining its namespaces.
        Enter = 3 => "entering the container",
        /// Giving up privileges.
        Confine = 4 => "giving up privileges",
        /// Resolving and opening the path.
        Open = 5 => "opening",
        /// Reading the file.
        Read = 6 => "reading",
        /// Expanding the pattern.
        Glob = 7 => "expanding the pattern",
        /// Looking at the file's inode.
        Stat = 8 => "looking at the file",
    }
}

numbered! {
    /// What a path leads to.
    FileKind: u8 {
        /// A kind that the kernel did not tell.
        Unknown = 0 => "of unknown kind",
        /// A regular file.
        Regular = 1 => "a regular file",
        /// A directory.
        Directory = 2 => "a directory",
        /// A symbolic link.
        Symlink = 3 => "a symbolic link",
        /// A FIFO (named pipe).
        Fifo = 4 => "a FIFO",
        /// A Unix socket.
        Socket = 5 => "a socket",
        /// A character device.
        CharDevice = 6 => "a character device",
        /// A block device.
        BlockDevice = 7 => "a block device",
    }
}

numbered! {
    /// Which limit was met.
    LimitKind: u8 {
        /// None (the error is not about a limit).
        None = 0 => "none",
        /// The byte cap of a read; the detail is the file's true size.
        Bytes = 1 => "bytes",
        /// The entry cap of a glob.
        Entries = 2 => "entries",
        /// The depth cap of a glob.
        Depth = 3 => "depth",
    }
}

numbered! {
    /// Kinds of file systems that are not read unless the request says so.
    FileSystem: u8 {
        /// Mounted while the request was under way, or of a type that the kernel does not tell.
        Unknown = 0 => "of unknown type",
        /// FUSE: any process may be its server, and need never answer.
        Fuse = 1 => "FUSE",
        /// NFS, of any version.
        Nfs = 2 => "NFS",
        /// CIFS and SMB.
        Cifs = 3 => "CIFS",
        /// 9p.
        NineP = 4 => "9p",
        /// Ceph.
        Ceph = 5 => "Ceph",
        /// autofs: looking at it mounts something.
        Autofs = 6 => "autofs",
        /// Another file system that a server elsewhere answers for.
        Network = 7 => "a network file system",
        /// procfs, reached by another way than a path that begins with `/proc`.
        Proc = 8 => "proc",
        /// sysfs, reached by another way than a path that begins with `/sys`.
        Sysfs = 9 => "sysfs",
        /// Another interface of the kernel that looks like files (debugfs, tracefs, cgroup, and the like).
        Kernel = 10 => "an interface of the kernel",
    }
}

impl FileSystem {
    /// The verdict over a file system type as `/proc/self/mountinfo` names it (`proc_pid_mountinfo(5)`); `None`
    /// for those that are read: they answer by themselves.
    #[must_use]
    pub fn of_type(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"fuse" | b"fuseblk" => Self::Fuse,
            b"nfs" | b"nfs4" => Self::Nfs,
            b"cifs" | b"smb3" | b"smbfs" => Self::Cifs,
            b"9p" => Self::NineP,
            b"ceph" => Self::Ceph,
            b"autofs" => Self::Autofs,
            b"afs" | b"coda" | b"lustre" | b"gfs2" | b"ocfs2" | b"orangefs" | b"pvfs2" | b"beegfs"
            | b"gpfs" | b"vboxsf" | b"vmhgfs" | b"prl_fs" | b"ncpfs" | b"glusterfs" => Self::Network,
            b"proc" => Self::Proc,
            b"sysfs" => Self::Sysfs,
            b"debugfs" | b"tracefs" | b"securityfs" | b"cgroup" | b"cgroup2" | b"bpf" | b"configfs"
            | b"pstore" | b"efivarfs" | b"fusectl" | b"binfmt_misc" | b"selinuxfs" | b"smackfs" | b"nsfs"
            | b"pidfs" | b"resctrl" | b"rpc_pipefs" | b"nfsd" => Self::Kernel,
            name if name.starts_with(b"fuse.") => Self::Fuse,
            _ => return None,
        })
    }

    /// Whether it is an interface of the kernel, which a path may name literally.
    #[must_use]
    pub const fn is_kernel(self) -> bool {
        matches!(self, Self::Proc | Self::Sysfs | Self::Kernel)
    }
}

impl FileKind {
    /// From the `st_mode` of `stat(2)`.
    #[must_use]
    pub const fn of_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::Regular,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            _ => Self::Unknown,
        }
    }
}
