//! What a cgroup is worth as evidence: a user can make any name below their own manager.

use portolan_linux::error::Escaped;

use super::{Evidence, Trust};
use crate::cgroup::names::{is_id, is_uuid};
use crate::cgroup::{Classification, Kind, Runtime};
use crate::container::Pod;

/// The user whose manager (`user@UID.service`) the named container lies below; none when only root could make it.
///
/// A manager inside of the container is the container's own affair, and root's manager is root's.
pub(crate) fn delegate(cgroup: &Classification) -> Option<u32> {
    let known = cgroup.container_id.as_ref().or(cgroup.name.as_ref())?.as_bytes();
    let elements: Vec<&[u8]> = cgroup.path.split(|b| *b == b'/').collect();
    let at = elements.iter().rposition(|e| e.windows(known.len().max(1)).any(|w| w == known));
    // The name is escaped in the path, then: what is above its last element made it.
    let above = elements.get(..at.unwrap_or(elements.len()))?;
    let user = above.iter().find_map(|element| {
        let number = element.strip_prefix(b"user@")?.strip_suffix(b".service")?;
        std::str::from_utf8(number).ok()?.parse().ok()
    })?;
    (user != 0).then_some(user)
}

/// The evidence of a cgroup for a process whose effective user is `owner`, with the text of its `uid_map`; none
/// where it names no container.
///
/// Below a user's manager it counts only for a process of that user: any other was not put there by them, or joined
/// a name that they chose.
pub(crate) fn evidence(cgroup: &Classification, owner: u32, uid_map: &[u8]) -> Option<Evidence> {
    if cgroup.runtime == Runtime::Host || !cgroup.is_container() {
        return None;
    }
    let path = Escaped(&cgroup.path);
    let (trust, says) = match delegate(cgroup) {
        None if is_guess(cgroup) => (Trust::Guess, format!("its cgroup {path} suggests it: {}", cgroup.rule)),
        None => (Trust::Cgroup, format!("its cgroup {path} says so: {}", cgroup.rule)),
        Some(user) if super::monitor::may_speak(user, owner, uid_map) => (
            Trust::User,
            format!("its cgroup {path}, which user {user} could make, says so: {}", cgroup.rule),
        ),
        Some(_) => return None,
    };
    Some(Evidence {
        // A container is what all are that nobody calls a sandbox.
        kind: Some(cgroup.kind).filter(|kind| *kind != Kind::Container),
        id: cgroup.container_id.clone(),
        name: cgroup.name.clone(),
        pod: cgroup.pod_uid.clone().map(|uid| Pod { uid, ..Pod::default() }),
        ..Evidence::new(trust, cgroup.runtime, says)
    })
}

/// Whether the id is only the name of a directory, of no form that a runtime gives.
fn is_guess(cgroup: &Classification) -> bool {
    let formed =
        cgroup.container_id.as_ref().is_some_and(|id| is_id(id.as_bytes()) || is_uuid(id.as_bytes()));
    cgroup.runtime == Runtime::Unknown && !formed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::classify;

    fn of(path: &str) -> Classification {
        classify(format!("0::{path}").as_bytes())
    }

    #[test]
    fn who_could_have_made_it() {
        let id = "4".repeat(64);
        let user = "/user.slice/user-1001.slice/user@1001.service";
        assert_eq!(delegate(&of(&format!("/system.slice/docker-{id}.scope"))), None);
        assert_eq!(delegate(&of(&format!("{user}/user.slice/libpod-{id}.scope/container"))), Some(1001));
        // A system with users of its own, in a container.
        assert_eq!(delegate(&of(&format!("/docker/{id}{user}/app.slice/x.service"))), None);
        assert_eq!(delegate(&of(&format!("/user@0.service/user.slice/libpod-{id}.scope"))), None);
        assert_eq!(delegate(&of("/user@x.service/a")), None);
        assert_eq!(delegate(&of("/")), None);
    }

    #[test]
    fn only_that_users_processes() {
        let id = "4".repeat(64);
        let claimed = of(&format!("/user.slice/user@1001.service/user.slice/docker-{id}.scope"));
        let trust = |owner, map: &[u8]| evidence(&claimed, owner, map).map(|e| e.trust);
        assert_eq!(trust(1001, b""), Some(Trust::User));
        assert_eq!(trust(100_005, b"0 1001 1\n1 100000 65536\n"), Some(Trust::User));
        assert_eq!(trust(0, b"0 0 4294967295\n"), None);
        assert_eq!(trust(1002, b""), None);
        let roots = evidence(&of(&format!("/docker/{id}")), 1002, b"").unwrap();
        assert_eq!((roots.trust, roots.id, roots.runtime), (Trust::Cgroup, Some(id), Runtime::Docker));
        assert_eq!(evidence(&of("/web"), 0, b"").unwrap().trust, Trust::Guess);
        assert_eq!(
            evidence(&of(&format!("/custom/{}", "4".repeat(64))), 0, b"").unwrap().trust,
            Trust::Cgroup
        );
        assert_eq!(evidence(&of("/system.slice/ssh.service"), 0, b""), None);
        assert_eq!(evidence(&of("/"), 0, b""), None);
    }
}
