//! The directories that an overlay is made of (`Documentation/filesystems/overlayfs.rst` of the kernel).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::error::FileKind;
use portolan_linux::identity::{self, Identity};
use portolan_linux::mount_info::unescape;

use super::join;

/// The kernel takes no more layers than this.
const MAX_LAYERS: usize = 500;

/// The file's path in the first layer that has one, if it is the same file.
///
/// An overlay shows the inode number of the file below; of one that was copied up when it was written to, that of the
/// file it was copied from.
pub(super) fn find(options: &[u8], point: Option<&Path>, path: &Path, wanted: &Identity) -> Option<PathBuf> {
    let layers = layers(options);
    let bases = bases(&layers, point);
    let mut first: Option<PathBuf> = None;
    for layer in &layers {
        let Some(directory) = bases.iter().find_map(|base| identity::directory(&base.join(layer)).ok())
        else {
            continue;
        };
        let Ok(found) = identity::beneath(&directory, path) else { continue };
        let Ok(found) = Identity::of(&found) else { continue };
        if found.kind != FileKind::Regular {
            // A device of the numbers 0 and 0 says that the file is gone from the layers below; a directory, too.
            return None;
        }
        let same = found.inode == wanted.inode;
        match first {
            // The directory may have been reached by Docker's short links: its own path is told.
            None => {
                let here =
                    identity::path_of(&directory).ok().map(|directory| join(&directory, relative(path)))?;
                if same {
                    return Some(here);
                }
                first = Some(here);
            }
            Some(copy) if same => return Some(copy),
            Some(_) => {}
        }
    }
    None
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The directories, the upper one first.
fn layers(options: &[u8]) -> Vec<PathBuf> {
    let (mut upper, mut lower) = (Vec::new(), Vec::new());
    for option in options.split(|b| *b == b',') {
        let Some(at) = option.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = option.split_at_checked(at).unwrap_or_default();
        let value = unescape(value.get(1..).unwrap_or_default());
        match name {
            b"upperdir" => upper = vec![PathBuf::from(OsStr::from_bytes(&value))],
            // One option for each layer, as newer programs mount them.
            b"lowerdir+" => lower.push(PathBuf::from(OsStr::from_bytes(&value))),
            b"lowerdir" => lower.extend(split(&value)),
            _ => {}
        }
    }
    upper.into_iter().chain(lower).take(MAX_LAYERS).collect()
}

/// Directories between colons; a backslash takes its meaning from what follows. Two colons lead to layers that have no
/// names of their own.
fn split(value: &[u8]) -> Vec<PathBuf> {
    let (mut all, mut one, mut escaped) = (Vec::new(), Vec::new(), false);
    for byte in value {
        match byte {
            _ if escaped => {
                one.push(*byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b':' => all.push(std::mem::take(&mut one)),
            _ => one.push(*byte),
        }
    }
    all.push(one);
    all.iter().filter(|one| !one.is_empty()).map(|one| PathBuf::from(OsStr::from_bytes(one))).collect()
}

/// Against what relative directories are resolved: engines change their directory before they mount, to where all
/// layers lie. Docker and Podman mount below it as well; containerd names the upper one whole.
fn bases(layers: &[PathBuf], point: Option<&Path>) -> Vec<PathBuf> {
    let mut bases = vec![PathBuf::from("/")];
    if layers.iter().all(|layer| layer.is_absolute()) {
        return bases;
    }
    let above = |path: &Path| path.ancestors().nth(2).map(Path::to_owned);
    bases.clear();
    bases.extend(point.and_then(above));
    bases.extend(layers.iter().filter(|layer| layer.is_absolute()).filter_map(|layer| above(layer)));
    bases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_options() {
        let all =
            layers(b"rw,lowerdir=/l/A:/l/b\\134:c\\040d:\\054x,upperdir=/u/diff,workdir=/u/work,xino=off");
        assert_eq!(all, ["/u/diff", "/l/A", "/l/b:c d", ",x"].map(PathBuf::from));
        assert_eq!(layers(b"ro,lowerdir+=/a:b,lowerdir+=/c"), ["/a:b", "/c"].map(PathBuf::from));
        assert_eq!(layers(b"lowerdir=/a::/data,upperdir"), ["/a", "/data"].map(PathBuf::from));
        assert!(layers(b"").is_empty());
        assert_eq!(layers(&[b"lowerdir=".as_slice(), &b"a:".repeat(1000)].concat()).len(), MAX_LAYERS);
    }

    #[test]
    fn what_relative_directories_mean() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let docker = bases(&paths(&["X/diff", "l/A"]), Some(Path::new("/d/overlay2/X/merged")));
        assert_eq!(docker, paths(&["/d/overlay2"]));
        let containerd = bases(&paths(&["/c/snapshots/7/fs", "6/fs"]), Some(Path::new("/run/t/id/rootfs")));
        assert_eq!(containerd, paths(&["/run/t", "/c/snapshots"]));
        assert_eq!(bases(&paths(&["/a", "/b"]), None), paths(&["/"]));
    }
}
