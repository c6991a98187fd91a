//! Pods: their uids, in directories and in slices.

use super::lines::Place;
use super::names::{is_grouped, is_hex, printable};
use super::runtimes::holds_container;
use super::{Found, Kind, Rank, Runtime};

/// The uid in `podUID`, `kubepods-burstable-podUID.slice` or `...-podUID.slice:cri-containerd:ID`.
///
/// The kubelet writes `-` as `_` in slices; both give the same uid. Static pods have 32 digits, no separator.
/// A path with the names of slices but without `.slice` was put together by a tool; the uid is the same.
pub(super) fn pod_uid(element: &[u8]) -> Option<String> {
    let name = element.split(|&b| b == b':').next().unwrap_or_default();
    let stem = name.strip_suffix(b".slice").unwrap_or(name);
    let uid = [36, 32].into_iter().find_map(|length| {
        let (front, uid) = stem.split_at_checked(stem.len().checked_sub(length)?)?;
        let front = front.strip_suffix(b"pod")?;
        let parted = front.is_empty() || front.ends_with(b"-");
        (parted && is_uid(uid)).then_some(uid)
    })?;
    let dashed: Vec<u8> = uid.iter().map(|&b| if b == b'_' { b'-' } else { b }).collect();
    printable(&dashed)
}

fn is_uid(uid: &[u8]) -> bool {
    const GROUPS: &[usize] = &[8, 4, 4, 4, 12];
    is_hex(uid, 32) || is_grouped(uid, b'-', GROUPS) || is_grouped(uid, b'_', GROUPS)
}

/// The uid of the pod around a place: the nearest wins, for pods run inside containers of other pods.
pub(super) fn pod_around(place: Place<'_, '_>) -> Option<String> {
    pod_uid(place.here).or_else(|| place.ancestors().find_map(pod_uid))
}

/// Whether the pod is the place's own, with no other container between.
pub(super) fn is_in_pod(place: Place<'_, '_>) -> bool {
    place.ancestors().take_while(|e| !holds_container(e)).any(|e| pod_uid(e).is_some())
}

/// Whether the place is below the kubelet's root, with no other container between: a pod's, even where the
/// pod has no uid.
pub(super) fn is_in_kubepods(place: Place<'_, '_>) -> bool {
    let root = |e: &[u8]| {
        let slice = e.strip_suffix(b".slice");
        e == b"kubepods" || slice.is_some_and(|e| e.starts_with(b"kubepods") || e.ends_with(b"-kubepods"))
    };
    place.ancestors().take_while(|e| !holds_container(e)).any(root)
}

/// A pod's own cgroup: shims of virtual machine runtimes live there.
pub(super) fn pod_itself(place: Place<'_, '_>) -> Option<Found> {
    // `<slice>:<word>:<id>` would be a container, if the id were one.
    if !place.below.is_empty() || place.here.contains(&b':') {
        return None;
    }
    let pod = pod_uid(place.here)?;
    let rule = "a path that ends at pod<uid> is the cgroup of a whole pod";
    Some(Found::new(Rank::Pod, Runtime::Kubernetes, Kind::Sandbox, rule).in_pod(Some(pod)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_drivers_give_the_same_uid() {
        let uid = Some("01234567-89ab-cdef-0123-456789abcdef".to_owned());
        assert_eq!(pod_uid(b"pod01234567-89ab-cdef-0123-456789abcdef"), uid);
        assert_eq!(pod_uid(b"kubepods-besteffort-pod01234567_89ab_cdef_0123_456789abcdef.slice"), uid);
        assert_eq!(pod_uid(b"kubepods-pod01234567-89ab-cdef-0123-456789abcdef.slice"), uid);
        assert_eq!(pod_uid(b"a-kubepods-pod01234567_89ab_cdef_0123_456789abcdef.slice:crio:x"), uid);
    }

    #[test]
    fn static_pods_have_no_separators() {
        let uid = Some("0123456789abcdef0123456789abcdef".to_owned());
        assert_eq!(pod_uid(b"pod0123456789abcdef0123456789abcdef"), uid);
        assert_eq!(pod_uid(b"kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice"), uid);
    }

    #[test]
    fn other_words_are_no_pods() {
        for element in [
            &b"pod"[..],
            b"pods",
            b"podman-12.scope",
            b"pod0123456789abcdef0123456789abcde",
            b"podruntime",
            b"xpod0123456789abcdef0123456789abcdef",
            b"machine-libpod_pod_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.slice",
        ] {
            assert_eq!(pod_uid(element), None);
        }
    }
}
