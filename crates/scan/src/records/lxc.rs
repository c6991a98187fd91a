//! LXC's directories of containers: the path tells whether LXC, LXD or Incus keeps it.

use std::path::{Path, PathBuf};

use super::Found;
use crate::evidence::label;

/// The usual directories, when no monitor tells.
const DEFAULTS: &[&str] = &[
    "/var/lib/lxc",
    "/var/lib/incus/containers",
    "/var/snap/lxd/common/lxd/containers",
    "/var/lib/lxd/containers",
];

/// What shows that a container of this name is kept: its configuration for LXC, its entry for LXD and Incus.
///
/// A second container of one name has a cgroup that ends in `-1`: without that it is tried as well.
pub(super) fn places(name: &str, directory: Option<&Path>) -> Vec<PathBuf> {
    let counted =
        name.rsplit_once('-').filter(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let names = [Some(name), counted.map(|(first, _)| first)];
    let directories: Vec<&Path> = match directory {
        Some(told) => vec![told],
        None => DEFAULTS.iter().map(Path::new).collect(),
    };
    let named = |name: &'_ str| {
        let of = |directory: &&Path| {
            let own = directory.join(name);
            if keeper(directory) == Keeper::Lxc { own.join("config") } else { own }
        };
        directories.iter().map(of).collect::<Vec<_>>()
    };
    names.into_iter().flatten().filter(|name| label::is_element(name)).flat_map(named).collect()
}

/// What a place that exists says.
pub(super) fn found(place: &Path) -> Option<Found> {
    let own = if place.ends_with("config") { place.parent()? } else { place };
    let (name, directory) = (own.file_name()?.to_str()?, own.parent()?);
    let mut found = Found::default();
    let keeper = keeper(directory);
    // The names of projects are put in front; names of instances have no underscore.
    let (project, instance) = match name.rsplit_once('_').filter(|_| keeper != Keeper::Lxc) {
        Some((project, instance)) => (Some(project), instance),
        None => (None, name),
    };
    found.name = label::name(instance.as_bytes());
    let project = project.and_then(|project| label::name(project.as_bytes()));
    let project = project.map_or_else(String::new, |project| format!(", in the project {project}"));
    found.says.push(match keeper {
        Keeper::Lxc => "LXC itself keeps it".to_owned(),
        Keeper::Lxd => format!("LXD keeps it{project}"),
        Keeper::Incus => format!("Incus keeps it{project}"),
    });
    Some(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Lxc,
    Lxd,
    Incus,
}

fn keeper(directory: &Path) -> Keeper {
    let has = |name: &str| directory.components().any(|e| e.as_os_str() == name);
    match () {
        () if !directory.ends_with("containers") => Keeper::Lxc,
        () if has("incus") => Keeper::Incus,
        () if has("lxd") => Keeper::Lxd,
        () => Keeper::Lxc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_they_lie() {
        let told = places("web-1", Some(Path::new("/d")));
        assert_eq!(told, [Path::new("/d/web-1/config"), Path::new("/d/web/config")]);
        let usual = places("web", None);
        assert!(usual.contains(&PathBuf::from("/var/lib/lxc/web/config")));
        assert!(usual.contains(&PathBuf::from("/var/lib/incus/containers/web")));
        assert!(places("../x", None).is_empty());
        assert_eq!(places("-1", Some(Path::new("/d"))), [Path::new("/d/-1/config")]);
    }

    #[test]
    fn names_and_projects() {
        let of = |place: &str| found(Path::new(place)).map(|f| (f.name.unwrap(), f.says.join("")));
        let said = |name: &str, says: &str| Some((name.to_owned(), says.to_owned()));
        assert_eq!(of("/var/lib/lxc/my_web/config"), said("my_web", "LXC itself keeps it"));
        assert_eq!(of("/var/lib/incus/containers/web"), said("web", "Incus keeps it"));
        assert_eq!(
            of("/var/snap/lxd/common/lxd/containers/my_p_web"),
            said("web", "LXD keeps it, in the project my_p")
        );
        assert_eq!(of("/"), None);
    }
}
