//! Weighs evidence: the most trusted decides, the others fill in what is missing and do not contradict.

use super::{Evidence, Trust};
use crate::cgroup::{Kind, Runtime};
use crate::container::Pod;

/// What follows from all evidence of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) runtime: Runtime,
    /// None for an ordinary container.
    pub(crate) kind: Option<Kind>,
    pub(crate) id: Option<String>,
    /// The id of its pod's sandbox.
    pub(crate) sandbox: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) pod: Option<Pod>,
    pub(crate) image: Option<String>,
    /// The trust of what named the runtime or the id.
    pub(crate) trust: Trust,
    /// Clauses, the most trusted first; contradictions are told after what they contradict.
    pub(crate) says: Vec<String>,
}

/// Combines what was said; nothing when nothing was. Of two that are trusted alike the first decides.
///
/// One that contradicts what is trusted more fills in nothing at all: it speaks of another container, or lies.
pub(crate) fn verdict(mut evidence: Vec<Evidence>) -> Option<Verdict> {
    evidence.sort_by_key(|e| std::cmp::Reverse(e.trust));
    let mut all = evidence.into_iter();
    let first = all.next()?;
    let mut verdict = Verdict {
        runtime: first.runtime,
        kind: first.kind,
        id: first.id,
        sandbox: first.sandbox,
        name: first.name,
        pod: first.pod,
        image: first.image,
        trust: first.trust,
        says: vec![first.says],
    };
    for next in all {
        verdict.add(next);
    }
    // A shim of containerd names the sandbox to all of its pod, and to the sandbox itself.
    if verdict.id.is_some() && verdict.id == verdict.sandbox {
        verdict.kind = Some(Kind::Sandbox);
    }
    Some(verdict)
}

impl Verdict {
    fn add(&mut self, next: Evidence) {
        let (runtime, fault) = match (joined(self.runtime, next.runtime), self.contradiction(&next)) {
            (Some(runtime), None) => (runtime, None),
            (None, _) => (self.runtime, Some(format!("{} is not {}", next.runtime, self.runtime))),
            (_, fault) => (self.runtime, fault),
        };
        if let Some(fault) = fault {
            self.says.push(format!(
                "{}; this contradicts what is trusted more and is not believed ({fault})",
                next.says
            ));
            return;
        }
        self.runtime = runtime;
        fill(&mut self.kind, next.kind);
        fill(&mut self.id, next.id);
        fill(&mut self.sandbox, next.sandbox);
        fill(&mut self.name, next.name);
        fill(&mut self.image, next.image);
        match (&mut self.pod, next.pod) {
            (Some(pod), Some(more)) => {
                if pod.uid.is_empty() {
                    pod.uid = more.uid;
                }
                fill(&mut pod.name, more.name);
                fill(&mut pod.namespace, more.namespace);
            }
            (pod, more) => fill(pod, more),
        }
        self.says.push(next.says);
    }

    /// Why the other cannot speak of the same container.
    fn contradiction(&self, other: &Evidence) -> Option<String> {
        let differ = |what: &str, own: Option<&str>, others: Option<&str>| {
            let (own, others) = (own.filter(|t| !t.is_empty())?, others.filter(|t| !t.is_empty())?);
            (own != others).then(|| format!("{what} {others} is not {own}"))
        };
        differ("id", self.id.as_deref(), other.id.as_deref())
            .or_else(|| differ("sandbox", self.sandbox.as_deref(), other.sandbox.as_deref()))
            .or_else(|| {
                let uid = |pod: &Option<Pod>| pod.as_ref().map(|pod| pod.uid.clone());
                differ("pod", uid(&self.pod).as_deref(), uid(&other.pod).as_deref())
            })
    }
}

fn fill<T>(place: &mut Option<T>, with: Option<T>) {
    if place.is_none() {
        *place = with;
    }
}

/// The runtime that both speak of: where one is a part or a user of the other, the one that says more.
fn joined(one: Runtime, other: Runtime) -> Option<Runtime> {
    if one == other || says_more(one, other) { Some(one) } else { says_more(other, one).then_some(other) }
}

/// Whether the first runtime is the second and more than that.
fn says_more(special: Runtime, general: Runtime) -> bool {
    use Runtime as R;
    match general {
        R::Unknown | R::None => true,
        R::Kubernetes => matches!(special, R::CriContainerd | R::CriO | R::Docker | R::Kata | R::GVisor),
        // Containers of these are made by containerd.
        R::Containerd => matches!(
            special,
            R::CriContainerd | R::Docker | R::Ecs | R::Garden | R::BuildKit | R::Kata | R::GVisor | R::Nomad
        ),
        // ECS runs its tasks by Docker; BuildKit is a part of it; an OCI runtime of another name is another kind.
        R::Docker => matches!(special, R::Ecs | R::BuildKit | R::Kata | R::GVisor),
        R::CriContainerd => matches!(special, R::Ecs | R::Kata | R::GVisor),
        // They share the storage, and what lies in it looks alike.
        R::Podman => special == R::CriO,
        R::Bubblewrap => matches!(special, R::Flatpak | R::Snap),
        R::Runc | R::Crun => {
            matches!(special, R::Docker | R::Containerd | R::CriContainerd | R::CriO | R::Podman | R::Garden)
                || matches!(special, R::Bpm | R::BuildKit | R::Nomad)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(trust: Trust, runtime: Runtime, id: Option<&str>) -> Evidence {
        Evidence { id: id.map(str::to_owned), ..Evidence::new(trust, runtime, format!("{trust:?} says so")) }
    }

    fn pod(uid: &str, name: Option<&str>) -> Option<Pod> {
        Some(Pod { uid: uid.to_owned(), name: name.map(str::to_owned), namespace: None })
    }

    #[test]
    fn the_most_trusted_decides() {
        let found = verdict(vec![
            said(Trust::Environment, Runtime::Lxc, None),
            said(Trust::Mounts, Runtime::Docker, Some("b")),
            said(Trust::Cgroup, Runtime::Podman, Some("a")),
        ])
        .unwrap();
        assert_eq!((found.runtime, found.id.as_deref()), (Runtime::Podman, Some("a")));
        assert_eq!(found.trust, Trust::Cgroup);
        assert_eq!(found.says[0], "Cgroup says so");
        assert!(found.says[1].ends_with("not believed (docker is not podman)"), "{:?}", found.says);
        assert_eq!(found.says.len(), 3);
        assert_eq!(verdict(Vec::new()), None);
    }

    #[test]
    fn the_order_of_trust() {
        let order =
            [Trust::Guess, Trust::Environment, Trust::Mounts, Trust::User, Trust::Cgroup, Trust::Monitor];
        assert!(order.is_sorted());
        for pair in order.windows(2) {
            let found = verdict(vec![
                said(pair[0], Runtime::Docker, Some("low")),
                said(pair[1], Runtime::Docker, Some("high")),
            ]);
            assert_eq!(found.unwrap().id.as_deref(), Some("high"));
        }
    }

    #[test]
    fn the_less_trusted_fill_in() {
        let mut shim = said(Trust::Monitor, Runtime::CriContainerd, None);
        shim.sandbox = Some("s".to_owned());
        let mut cgroup = said(Trust::Cgroup, Runtime::Kubernetes, Some("c"));
        cgroup.pod = pod("u", None);
        let mut mounts = said(Trust::Mounts, Runtime::Unknown, None);
        (mounts.name, mounts.pod) = (Some("app".to_owned()), pod("u", Some("web-0")));
        let found = verdict(vec![mounts, cgroup, shim]).unwrap();
        assert_eq!(found.runtime, Runtime::CriContainerd);
        assert_eq!((found.id.as_deref(), found.sandbox.as_deref()), (Some("c"), Some("s")));
        assert_eq!(found.name.as_deref(), Some("app"));
        assert_eq!(found.pod, pod("u", Some("web-0")));
        assert_eq!(found.says.len(), 3);
        assert_eq!(found.kind, None);
    }

    #[test]
    fn the_sandbox_itself() {
        let shim =
            Evidence { sandbox: Some("s".to_owned()), ..said(Trust::Monitor, Runtime::CriContainerd, None) };
        let found = verdict(vec![shim, said(Trust::Cgroup, Runtime::Kubernetes, Some("s"))]).unwrap();
        assert_eq!((found.kind, found.id.as_deref()), (Some(Kind::Sandbox), Some("s")));
    }

    #[test]
    fn what_contradicts_fills_in_nothing() {
        let mut cgroup = said(Trust::Cgroup, Runtime::Docker, Some("a"));
        cgroup.pod = pod("u", None);
        for wrong in [
            Evidence { name: Some("x".to_owned()), ..said(Trust::Mounts, Runtime::Docker, Some("b")) },
            Evidence { pod: pod("v", Some("x")), ..said(Trust::Mounts, Runtime::Docker, None) },
            Evidence { name: Some("x".to_owned()), ..said(Trust::Mounts, Runtime::Lxc, None) },
        ] {
            let found = verdict(vec![cgroup.clone(), wrong]).unwrap();
            assert_eq!((found.runtime, found.id.as_deref()), (Runtime::Docker, Some("a")));
            assert_eq!((found.name, found.pod), (None, pod("u", None)));
            assert!(found.says[1].contains("is not believed"));
        }
    }

    #[test]
    fn one_can_say_more_than_the_other() {
        use Runtime as R;
        for (one, other, both) in [
            (R::Unknown, R::Docker, Some(R::Docker)),
            (R::Docker, R::Ecs, Some(R::Ecs)),
            (R::Ecs, R::Docker, Some(R::Ecs)),
            (R::Kubernetes, R::CriO, Some(R::CriO)),
            (R::Podman, R::CriO, Some(R::CriO)),
            (R::Containerd, R::CriContainerd, Some(R::CriContainerd)),
            (R::CriContainerd, R::Kata, Some(R::Kata)),
            (R::Bubblewrap, R::Flatpak, Some(R::Flatpak)),
            (R::Docker, R::Podman, None),
            (R::Lxc, R::SystemdNspawn, None),
        ] {
            assert_eq!(joined(one, other), both, "{one} {other}");
        }
    }
}
