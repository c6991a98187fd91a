//! What every reader must stand: files that are noise, or that include others without an end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_files::Find;
use portolan_linux::ErrorKind;
use portolan_linux::error::FileKind;

use super::*;
use crate::source::{Findings, Included, Unread};

/// A container in which every path is a file, and every pattern has matches.
struct Hostile(fn(&Path) -> Vec<u8>);

impl Source for Hostile {
    fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, Unread> {
        Ok(Arc::from((self.0)(path)))
    }

    fn include(&mut self, pattern: &Path) -> Included {
        let files = (0..30).map(|n| {
            let path = pattern.with_file_name(format!("{n}.conf"));
            let content = self.read(&path);
            (path, content)
        });
        Included { files: files.collect(), incomplete: None }
    }

    fn glob(&mut self, pattern: &Path) -> Vec<PathBuf> {
        (0..1000).map(|n| pattern.with_file_name(n.to_string())).collect()
    }

    fn find(&mut self, path: &Path, _: &Find) -> Result<Arc<Findings>, Unread> {
        Err(Unread::new(ErrorKind::NotFound, format!("{}: nothing", path.display())))
    }

    fn kind(&mut self, _: &Path) -> Result<FileKind, Unread> {
        Ok(FileKind::Directory)
    }
}

fn noise(path: &Path) -> Vec<u8> {
    let seed = u32::try_from(path.as_os_str().len()).unwrap();
    let byte = |n: u32| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 23).to_le_bytes()[0];
    (0..30_000).map(|n| if n % 37 == 0 { b'\n' } else { byte(n) }).collect()
}

/// Files that include others without an end, in all the languages at once, and set much besides.
fn endless(path: &Path) -> Vec<u8> {
    let name = path.display();
    let deeper = format!("{name}x");
    let mut text = format!(
        "[pgbouncer]\n%include {deeper}\n%include {deeper}\ninclude '{deeper}'\ninclude {deeper}\n\
         include_dir {deeper}\ninclude_dir = '{deeper}'\ninclude /d/*.conf\n\
         dynamicConfigFile={deeper}\naclfile {deeper}\nlocal @{deeper} all trust\n"
    );
    text.push_str(&"user u on >geheim\nsentinel monitor a b c\nlistener 1\nx = ${x}${x}\n".repeat(200));
    text.into_bytes()
}

#[test]
fn a_hostile_container_ends_in_faults_and_soon() {
    let lines: &[&[&str]] = &[
        &["x", "-D", "/d", "-c", "/d/a.conf", "/d/b.conf"],
        &["x", "/d/a.conf", "--include", "/d/*.conf"],
        &["redis-server *:6379"],
        &["java", "-cp", "/a:/b", "-Dzookeeper.x=${x}", "main", "/d/zoo.cfg"],
        &[],
    ];
    for reader in READERS {
        for line in lines {
            for text in [noise as fn(&Path) -> Vec<u8>, endless] {
                let launch = Launch::test("/usr/bin/x", line, &[("PGDATA", "/d")]);
                let start = Instant::now();
                let found = (reader.read)(&launch, &mut Hostile(text));
                assert!((reader.foresee)(&launch).len() < 50, "{}", reader.name);
                assert!(start.elapsed() < Duration::from_secs(20), "{} {line:?}", reader.name);
                assert!(found.faults.len() <= 100 && found.credentials.len() <= 1000, "{}", reader.name);
                if reader.name == "redis" {
                    assert!(!format!("{found:?}").contains("geheim"));
                }
            }
        }
    }
}
