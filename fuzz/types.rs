//! What must hold of any description of types whatsoever: given by the fuzz target with inputs of its own making, and by
//! `crates/linux/src/bpf/btf/tests.rs` with the files in `seeds` and `regressions`.

use super::btf::{Btf, Shape};

/// The kernel's description of its types. What is found has a name that is there.
pub(crate) fn check(input: &[u8]) {
    let Some(types) = Btf::parse(input, &[b"s", b"other"], &[b"f"]) else { return };
    let is_there = |name: &str| {
        input.windows(name.len().saturating_add(1)).any(|at| at == [name.as_bytes(), b"\0"].concat())
    };
    let mut found = Vec::new();
    for structure in [&b"s"[..], b"other"] {
        for path in [&["a"][..], &["b"], &["a", "b"], &["b", "a", "b"]] {
            let Some(member) = types.member(structure, path) else { continue };
            assert!(path.iter().all(|name| is_there(name)), "{path:?}");
            assert!(types.structure(structure, path[0]).is_some() && member.bits != Some(0));
            found.push(member.shape);
        }
    }
    for shape in found {
        match shape {
            Shape::Pointer { to } => assert!(!types.leads_to(to, b"s") || is_there("s")),
            Shape::Array { of, .. } => assert!(types.size(of).is_none() || !types.leads_to(of, b"other")),
            _ => {}
        }
    }
    assert!(types.function(b"f").is_none() || is_there("f"));
}
