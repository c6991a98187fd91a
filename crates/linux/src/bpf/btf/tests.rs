use std::path::Path;

use super::*;
use crate::bpf::{btf, layout};

#[path = "../../../../../fuzz/types.rs"]
mod types;

/// A description, put together type by type.
#[derive(Default)]
struct Maker {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Maker {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.types.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
    }

    fn simple(&mut self, name: &str, kind: u32, value: u32, rest: &[u32]) {
        let name = self.string(name);
        self.numbers(&[name, kind << 24, value]);
        self.numbers(rest);
    }

    /// Members are a name, a type and a place; with bits if `flag`.
    fn structure(&mut self, name: &str, kind: u32, flag: bool, members: &[(&str, u32, u32)]) {
        let name = self.string(name);
        let count = u32::try_from(members.len()).unwrap();
        self.numbers(&[name, u32::from(flag) << 31 | kind << 24 | count, 64]);
        for (name, of, place) in members {
            let name = self.string(name);
            self.numbers(&[name, *of, *place]);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap();
        let mut all = MAGIC.to_ne_bytes().to_vec();
        all.extend([1, 0]);
        let types = length(&self.types);
        for number in [24, 0, types, types, length(&self.strings).saturating_add(8)] {
            all.extend(number.to_ne_bytes());
        }
        all.extend(&self.types);
        all.extend(&self.strings);
        // A real one goes on.
        all.extend(*b"\0\0\0\0\0\0\0\0");
        all
    }
}

/// What the loader asks of a description.
fn look(bytes: &[u8]) -> bool {
    let Some(btf) = Btf::parse(bytes, &layout::structures(), &[b"bpf_iter_task", b"bpf_iter_task_file"])
    else {
        return false;
    };
    let _ = btf.function(b"bpf_iter_task");
    let found = layout::Tasks::find(&btf).is_ok() & layout::Files::find(&btf).is_ok();
    let _ = layout::Names::find(&btf);
    found
}

#[test]
fn members_are_found_through_structures_without_a_name() {
    let mut maker = Maker::new();
    maker.simple("int", kind::INT, 4, &[0]); // 1
    maker.simple("number", kind::TYPEDEF, 1, &[]); // 2
    maker.simple("", kind::CONST, 2, &[]); // 3
    maker.simple("", kind::PTR, 6, &[]); // 4
    maker.structure("", kind::UNION, false, &[("one", 3, 0), ("other", 4, 0)]); // 5
    maker.structure(
        "outer",
        kind::STRUCT,
        true,
        &[("", 5, 64), ("bit", 1, 1 << 24 | 131), ("inner", 7, 192)],
    ); // 6
    maker.structure("inner", kind::STRUCT, false, &[("deep", 1, 32), ("row", 8, 64)]); // 7
    maker.simple("", kind::ARRAY, 0, &[1, 1, 9]); // 8
    maker.simple("call", kind::FUNC, 1, &[]); // 9
    let bytes = maker.bytes();
    let btf = Btf::parse(&bytes, &[b"outer", b"inner"], &[b"call", b"none"]).unwrap();
    let member = |path: &[&str]| btf.member(b"outer", path);
    let whole = |bit, shape| Some(Member { bit, bits: None, shape });
    assert_eq!(member(&["one"]), whole(64, Shape::Number(4)));
    assert_eq!(member(&["other"]), whole(64, Shape::Pointer { to: 6 }));
    assert_eq!(member(&["bit"]), Some(Member { bit: 131, bits: Some(1), shape: Shape::Number(4) }));
    assert_eq!(member(&["inner", "deep"]), whole(224, Shape::Number(4)));
    assert_eq!(member(&["inner", "row"]), whole(256, Shape::Array { of: 1, count: 9 }));
    assert_eq!(member(&["deep"]), None, "it is a member of a member that has a name");
    assert_eq!(member(&["inn"]), None);
    assert!(btf.leads_to(6, b"outer") && !btf.leads_to(6, b"inner"));
    assert_eq!((btf.function(b"call"), btf.function(b"none")), (Some(9), None));
    assert_eq!((btf.size(3), btf.size(4)), (Some(4), None));
}

#[test]
fn what_leads_to_itself_has_an_end() {
    // Names for each other in a circle.
    let mut maker = Maker::new();
    maker.simple("a", kind::TYPEDEF, 2, &[]);
    maker.simple("b", kind::TYPEDEF, 1, &[]);
    maker.structure("s", kind::STRUCT, false, &[("x", 1, 0), ("y", 2, 0)]);
    let bytes = maker.bytes();
    let btf = Btf::parse(&bytes, &[b"s"], &[]).unwrap();
    assert_eq!(btf.member(b"s", &["x"]), None);
    // A structure that is its own member a thousand times, and so a thousand to the sixteenth.
    let mut maker = Maker::new();
    maker.structure("s", kind::STRUCT, false, &vec![("", 1, 0); 1000]);
    let bytes = maker.bytes();
    let btf = Btf::parse(&bytes, &[b"s"], &[]).unwrap();
    assert_eq!(btf.member(b"s", &["x"]), None);
}

#[test]
fn lengths_that_lie_and_kinds_that_nobody_knows_are_refused() {
    let mut maker = Maker::new();
    maker.simple("int", kind::INT, 4, &[0]);
    maker.structure("s", kind::STRUCT, false, &[("x", 1, 0)]);
    let bytes = maker.bytes();
    assert!(Btf::parse(&bytes, &[b"s"], &[]).is_some());
    for length in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..length], &[b"s"], &[]).is_none(), "cut off at {length}");
    }
    for (place, number) in
        [(4, u32::MAX), (8, u32::MAX), (12, u32::MAX), (16, 1 << 30), (20, u32::MAX), (12, 20)]
    {
        let mut changed = bytes.clone();
        changed[place..place + 4].copy_from_slice(&number.to_ne_bytes());
        assert!(Btf::parse(&changed, &[b"s"], &[]).is_none(), "{number} at {place}");
    }
    let mut maker = Maker::new();
    maker.simple("new", 31, 0, &[]);
    assert!(Btf::parse(&maker.bytes(), &[], &[]).is_none());
}

/// The kernel's own description, with bytes changed and its end cut off: never a panic, and never without an end.
#[test]
fn a_description_that_is_damaged_is_read_or_refused() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
    assert!(look(&bytes), "this kernel's own");
    // SplitMix64, with the same numbers each time.
    let mut state = 1_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    };
    let mut refused = 0;
    for round in 0..150 {
        let mut damaged = bytes.clone();
        // Few in the head, many among the types.
        for _ in 0..1 << (round % 12) {
            let within = if round % 5 == 0 { 24 } else { damaged.len() };
            damaged[below(within)] ^= 1 << below(8);
        }
        if round % 7 == 0 {
            damaged.truncate(below(bytes.len()));
        }
        refused += usize::from(!look(&damaged));
    }
    assert!(refused > 20, "only {refused} refused");
}

#[test]
fn what_the_fuzzer_begins_with_and_what_it_found() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut seeds = 0;
    for folder in ["seeds", "regressions"] {
        for file in fuzz.join(folder).join("btf").read_dir().unwrap() {
            types::check(&std::fs::read(file.unwrap().path()).unwrap());
            seeds += 1;
        }
    }
    assert!(seeds > 4, "only {seeds}");
    let small = std::fs::read(fuzz.join("seeds/btf/every_kind")).unwrap();
    let read = Btf::parse(&small, &[b"s"], &[b"f"]).unwrap();
    assert!(
        read.member(b"s", &["b"]).is_some() && read.function(b"f").is_some(),
        "or it begins with nothing"
    );
}
