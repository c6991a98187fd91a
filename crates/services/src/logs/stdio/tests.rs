use std::process::{Command, Stdio as Pipe};

use super::descriptors::unit;
use super::*;

#[test]
fn units_as_the_journal_names_them() {
    for (cgroup, expected) in [
        ("0::/system.slice/nginx.service\n", Some("nginx.service")),
        ("0::/machine.slice/systemd-nspawn@web.service/supervisor\n", Some("systemd-nspawn@web.service")),
        ("4:cpu:/\n1:name=systemd:/a.slice/a-b.slice/x.scope\n0::/other.service\n", Some("x.scope")),
        ("0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n", Some("user@1.service")),
        ("1:name=systemd:/\n0::/system.slice/a.service/supervisor\n", Some("a.service")),
        ("0::/docker/abc\n", None),
        ("0::/\n", None),
        ("", None),
    ] {
        assert_eq!(unit(cgroup.as_bytes()).as_deref(), expected, "{cgroup}");
    }
}

/// A program that ends with its test.
struct Child(std::process::Child);

impl Child {
    fn start(output: Pipe) -> (Self, Process) {
        let child = Command::new("sleep").arg("100").stdout(output).stderr(Pipe::null()).spawn().unwrap();
        let process = Process::open(child.id().cast_signed()).unwrap();
        (Self(child), process)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn where_a_process_of_the_host_writes() {
    let path = std::env::temp_dir().join(format!("portolan-stdio-{}.out", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let (_child, process) = Child::start(file.into());
    let found = of_process(&process).unwrap();
    let Source::File(file) = &found.source else { panic!("{found:?}") };
    assert_eq!(
        (&file.path, file.format, file.strictly),
        (&std::fs::canonicalize(&path).unwrap(), Format::Raw, true)
    );
    assert!(found.evidence.iter().any(|clause| clause.ends_with("elsewhere: /dev/null")), "{found:?}");
    std::fs::remove_file(&path).unwrap();
    let gone = of_process(&process).unwrap();
    assert!(
        matches!(&gone.source, Source::Nowhere(why) if why.contains("no file that a path leads to")),
        "{gone:?}"
    );
    for (output, word) in [(Pipe::null(), "/dev/null"), (Pipe::piped(), "a pipe")] {
        let (_child, process) = Child::start(output);
        let found = of_process(&process).unwrap();
        assert!(matches!(&found.source, Source::Nowhere(why) if why.contains(word)), "{found:?}");
    }
}
