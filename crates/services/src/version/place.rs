//! Where a program lies, and what that says of who put it there.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::launch::Launch;

/// Programs that do what a script, an archive or a class says: they are not the service.
const INTERPRETERS: &[&str] = &[
    "java", "python*", "pypy*", "node", "nodejs", "ruby*", "perl*", "beam.smp", "beam", "php", "php?",
    "php?.?", "dotnet", "mono*", "sh", "bash", "dash", "lua*", "tclsh*", "deno", "bun",
];

/// What it is whose owner is asked for: the program, or what an interpreter was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// As the files' view names it.
    pub(crate) path: PathBuf,
    /// Whether it is a script, or an archive, that an interpreter runs.
    pub(crate) interpreted: bool,
    /// Whether only a distribution's packages put files where it is.
    pub(crate) of_distribution: bool,
}

impl Subject {
    /// Of a process, seen from this root of its mount namespace; `None` where that cannot be told, or where the program
    /// was replaced since it was started: what is on disk is another version then.
    pub(crate) fn of(launch: &Launch, root: &Path) -> Option<Self> {
        if launch.deleted || launch.program.as_os_str().is_empty() {
            return None;
        }
        let below = launch.program.strip_prefix(root).ok()?;
        let program = Path::new("/").join(below);
        let name = launch.name();
        if !INTERPRETERS.iter().any(|known| crate::rules::wild::matches(known.as_bytes(), name)) {
            let of_distribution = is_of_distribution(&program);
            return Some(Self { path: program, interpreted: false, of_distribution });
        }
        // One thing from elsewhere, and it is not the package's program that runs.
        let paths: Vec<PathBuf> = paths(launch).collect();
        let packaged = paths.iter().find(|path| is_of_distribution(path));
        let of_distribution = packaged.is_some() && !paths.iter().any(|path| is_put_there_by_hand(path));
        let path = packaged.or(paths.first())?.clone();
        Some(Self { path, interpreted: true, of_distribution })
    }

    /// The same path in all the forms that packages give it: `/usr/bin` and `/bin`, `bin` and `sbin` are one directory in
    /// many distributions, and the kernel tells only where the program really is.
    pub(crate) fn forms(&self) -> Vec<Vec<u8>> {
        let path = self.path.as_os_str().as_bytes();
        let mut forms = vec![path.to_vec()];
        let short = path.strip_prefix(b"/usr").unwrap_or(path);
        for (begin, other) in [(&b"/bin/"[..], &b"/sbin/"[..]), (b"/sbin/", b"/bin/"), (b"/lib", b"/lib")] {
            let Some(rest) = short.strip_prefix(begin) else { continue };
            for begin in [begin, other] {
                forms.push([b"/usr", begin, rest].concat());
                forms.push([begin, rest].concat());
            }
        }
        forms.sort();
        forms.dedup();
        forms
    }
}

/// The absolute paths among the arguments; of a class path, and of what is given to an option, each.
pub(crate) fn paths(launch: &Launch) -> impl Iterator<Item = PathBuf> {
    let words = launch
        .arguments
        .iter()
        .skip(1)
        .take(MOST_ARGUMENTS)
        .flat_map(|argument| argument.split(|b| matches!(b, b':' | b'=' | b',')).take(MOST_ARGUMENTS));
    words
        .filter(|word| word.first() == Some(&b'/') && word.len() > 1)
        .map(|word| PathBuf::from(std::ffi::OsStr::from_bytes(word)))
}

/// A class path has hundreds of archives; a hostile one has more.
const MOST_ARGUMENTS: usize = 2000;

/// Where distributions put programs, and nobody else is to (Filesystem Hierarchy Standard, 4).
fn is_of_distribution(path: &Path) -> bool {
    let system = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"];
    system.iter().any(|directory| path.starts_with(directory)) && !is_put_there_by_hand(path)
}

fn is_put_there_by_hand(path: &Path) -> bool {
    ["/usr/local", "/opt", "/srv", "/home", "/root", "/app"]
        .iter()
        .any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_put_it_there() {
        let of = |program: &str, arguments: &[&str]| {
            Subject::of(&Launch::test(program, arguments, &[]), Path::new("/"))
                .map(|it| (it.path, it.of_distribution))
        };
        assert_eq!(of("/usr/sbin/nginx", &["nginx"]), Some(("/usr/sbin/nginx".into(), true)));
        assert_eq!(of("/usr/local/sbin/nginx", &["nginx"]), Some(("/usr/local/sbin/nginx".into(), false)));
        assert_eq!(of("/app/nginx", &["nginx"]), Some(("/app/nginx".into(), false)));
        assert_eq!(of("", &["nginx"]), None);
        let java = "/usr/lib/jvm/java-17/bin/java";
        let tomcat = [
            "java",
            "-Dcatalina.base=/var/lib/tomcat10",
            "-cp",
            "/usr/share/tomcat10/bin/b.jar:/usr/share/x.jar",
        ];
        assert_eq!(of(java, &tomcat), Some(("/usr/share/tomcat10/bin/b.jar".into(), true)));
        assert_eq!(
            of(java, &["java", "-cp", "/usr/share/x.jar:/opt/kafka/libs/k.jar"]).map(|it| it.1),
            Some(false)
        );
        assert_eq!(of(java, &["java", "-jar", "app.jar"]), None, "nothing says whose it is");
    }

    #[test]
    fn a_replaced_program_is_not_the_one_on_disk() {
        let mut launch = Launch::test("/usr/sbin/nginx", &["nginx"], &[]);
        launch.deleted = true;
        assert_eq!(Subject::of(&launch, Path::new("/")), None);
    }

    #[test]
    fn a_root_of_its_own_is_taken_off() {
        let launch = Launch::test("/srv/jail/usr/sbin/nginx", &["nginx"], &[]);
        let subject = Subject::of(&launch, Path::new("/srv/jail"));
        assert_eq!(subject.map(|subject| subject.path), Some("/usr/sbin/nginx".into()));
        assert_eq!(Subject::of(&launch, Path::new("/elsewhere")), None);
    }

    #[test]
    fn merged_directories_are_one() {
        let forms = |path: &str| {
            let subject = Subject { path: path.into(), interpreted: false, of_distribution: true };
            subject.forms().into_iter().map(|form| String::from_utf8(form).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(forms("/usr/bin/x"), ["/bin/x", "/sbin/x", "/usr/bin/x", "/usr/sbin/x"]);
        assert_eq!(forms("/lib/x/y"), ["/lib/x/y", "/usr/lib/x/y"]);
        assert_eq!(forms("/opt/bin/x"), ["/opt/bin/x"]);
    }
}
