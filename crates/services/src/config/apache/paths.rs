//! What paths and patterns of a configuration mean.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A path below a directory unless it is absolute, without `.` and `..`, which the server resolves by their names alone.
pub(super) fn relative(root: &Path, path: &[u8]) -> PathBuf {
    let whole = root.join(OsStr::from_bytes(path));
    let mut names: Vec<&[u8]> = Vec::new();
    for name in whole.as_os_str().as_bytes().split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let mut path = Vec::with_capacity(whole.as_os_str().len());
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// Whether it may match several files: it has `*`, `?`, or `[` with `]`.
pub(super) fn is_pattern(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let open = path.iter().position(|b| *b == b'[');
    path.iter().any(|b| matches!(b, b'*' | b'?'))
        || open.is_some_and(|open| path.get(open..).unwrap_or(&[]).contains(&b']'))
}

/// The same pattern for one who also knows `{}` and `**`, which the server does not.
pub(super) fn pattern(path: &Path) -> PathBuf {
    let mut pattern = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'*' if pattern.last() == Some(&b'*') => continue,
            b'{' | b'}' => pattern.push(b'\\'),
            _ => {}
        }
        pattern.push(*byte);
    }
    PathBuf::from(std::ffi::OsString::from_vec(pattern))
}

/// The patterns of the directories on the way, as far as wildcards name them.
pub(super) fn directories(pattern: &Path) -> Vec<PathBuf> {
    let above: Vec<&Path> = pattern.ancestors().skip(1).collect();
    let named = |path: &&&Path| path.file_name().is_some_and(|name| is_pattern(Path::new(name)));
    above.iter().filter(named).map(|path| path.to_path_buf()).take(8).collect()
}

/// The pattern of what lies in a directory.
pub(super) fn within(directory: &Path, names: &str) -> PathBuf {
    let mut pattern = Vec::new();
    for byte in directory.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'*' | b'?' | b'[' | b']' | b'{' | b'}') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'/');
    pattern.extend_from_slice(names.as_bytes());
    PathBuf::from(std::ffi::OsString::from_vec(pattern))
}

/// The order in which the server takes what a pattern matches: name by name.
pub(super) fn order(path: &Path) -> Vec<Vec<u8>> {
    path.as_os_str().as_bytes().split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_begin_at_the_root_of_the_server() {
        let root = Path::new("/etc/httpd");
        for (path, whole) in [
            ("conf.d/a.conf", "/etc/httpd/conf.d/a.conf"),
            ("./x/../y//z/", "/etc/httpd/y/z"),
            ("/a/./b/../../..", "/"),
            ("../c", "/etc/c"),
        ] {
            assert_eq!(relative(root, path.as_bytes()), Path::new(whole), "{path}");
        }
    }

    #[test]
    fn patterns_are_the_servers() {
        assert!(is_pattern(Path::new("/a/*.conf")) && is_pattern(Path::new("/a[b]")));
        assert!(!is_pattern(Path::new("/a]b[")) && !is_pattern(Path::new("/{a,b}")));
        assert_eq!(pattern(Path::new("/{a}/**/x")), Path::new("/\\{a\\}/*/x"));
        assert_eq!(directories(Path::new("/a*/b/c?/*.conf")), [Path::new("/a*/b/c?"), Path::new("/a*")]);
        assert_eq!(within(Path::new("/a*"), "*"), Path::new("/a\\*/*"));
        assert!(order(Path::new("/d/z")) < order(Path::new("/d.x/a")));
    }
}
