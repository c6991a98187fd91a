//! A container, with the two ways in that must agree: the library and the command.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use portolan::{Content, ErrorKind, Files, GlobOptions, Matches, Process, ReadOptions};
use portolan_world::{Container, World};

use crate::command::{self, Ran, portolan};

/// Long enough for anything inside to happen, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Nothing that is refused may take as long as this: no device was started, no lease waited for.
const QUICK: Duration = Duration::from_millis(1500);

/// A running container, and its process 1 held as the library holds it.
pub(crate) struct Inside {
    pub(crate) container: Container,
    pub(crate) process: Process,
}

/// The library's door to files, one for all tests.
pub(crate) fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| Files::with_helper(&command::helper()).unwrap())
}

/// The exit code that the command line's contract gives to a kind of error.
pub(crate) fn exit_code(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::MissingPrivilege(_) => 3,
        ErrorKind::InvalidInput => 2,
        _ => 1,
    }
}

impl Inside {
    pub(crate) fn start(world: &World) -> Self {
        let container = world.start().unwrap_or_else(|error| panic!("{error}"));
        let process = Process::open(container.pid()).unwrap();
        Self { container, process }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.container.pid()
    }

    /// Its name on the command line.
    pub(crate) fn target(&self) -> String {
        format!("pid:{}", self.pid())
    }

    /// What a shell script inside prints; it is to succeed.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> String {
        let output = self.container.exec(["sh", "-c", script]).unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Waits until the container's own program has printed this.
    #[track_caller]
    pub(crate) fn wait_log(&self, text: &str) {
        let start = Instant::now();
        while !self.container.log().contains(text) {
            let waiting = self.container.is_running() && start.elapsed() < SOON;
            assert!(waiting, "no '{text}' in the log: {}", self.container.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// `portolan cat`, with more options.
    pub(crate) fn cat(&self, path: impl AsRef<Path>, options: &[&str]) -> Ran {
        self.command("cat", path.as_ref(), options)
    }

    /// `portolan glob`, with more options.
    pub(crate) fn list(&self, pattern: impl AsRef<Path>, options: &[&str]) -> Ran {
        self.command("glob", pattern.as_ref(), options)
    }

    fn command(&self, name: &str, path: &Path, options: &[&str]) -> Ran {
        let mut arguments: Vec<OsString> = vec![name.into(), self.target().into()];
        arguments.extend(options.iter().map(OsString::from));
        arguments.extend(["--".into(), path.as_os_str().to_owned()]);
        portolan(arguments)
    }

    /// Reads through the library.
    pub(crate) fn read(&self, path: impl AsRef<Path>, options: &ReadOptions) -> Result<Content, ErrorKind> {
        files().read(&self.process, path, options).map_err(|error| error.kind())
    }

    /// Expands through the library.
    pub(crate) fn expand(&self, pattern: &str, options: &GlobOptions) -> Result<Matches, ErrorKind> {
        files().glob(&self.process, pattern, options).map_err(|error| error.kind())
    }

    /// The file reads as these bytes, both ways.
    #[track_caller]
    pub(crate) fn gives(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = path.as_ref();
        let shown = path.display();
        let content = self.read(path, &ReadOptions::default());
        let content = content.unwrap_or_else(|kind| panic!("{shown}: {kind:?}"));
        assert!(content.bytes == bytes && !content.truncated, "{shown} by the library: {content:?}");
        assert!(self.cat(path, &[]).done() == bytes, "{shown} by the command");
    }

    /// The file is refused for this reason, both ways, quickly, and with one line; gives the line.
    #[track_caller]
    pub(crate) fn refuses(&self, path: impl AsRef<Path>, kind: ErrorKind) -> String {
        self.refuses_with(path, &[], &ReadOptions::default(), kind)
    }

    /// The same, joining the container's pid namespace.
    #[track_caller]
    pub(crate) fn refuses_in_pid_namespace(&self, path: impl AsRef<Path>, kind: ErrorKind) -> String {
        self.refuses_with(path, &["--pid-namespace"], &ReadOptions::default().pid_namespace(), kind)
    }

    #[track_caller]
    fn refuses_with(
        &self,
        path: impl AsRef<Path>,
        options: &[&str],
        how: &ReadOptions,
        kind: ErrorKind,
    ) -> String {
        let path = path.as_ref();
        let shown = path.as_os_str().as_bytes().escape_ascii().to_string();
        let shown = shown.get(..80).unwrap_or(&shown);
        let start = Instant::now();
        let refusal = self.read(path, how).map(|content| content.bytes);
        assert_eq!(refusal, Err(kind), "{shown} by the library");
        assert!(start.elapsed() < QUICK, "{shown} took {:?}", start.elapsed());
        let ran = self.cat(path, options);
        let line = ran.failed(exit_code(kind));
        assert!(ran.took < QUICK, "{shown}: {ran:?}");
        line.to_owned()
    }
}
