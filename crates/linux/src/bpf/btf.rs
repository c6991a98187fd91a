//! The kernel's description of its own types (BTF, `Documentation/bpf/btf.rst` of the kernel's source), as far as it
//! takes to find a member of a structure by its name.
//!
//! The text comes from the kernel, but is read as if it did not: every number is checked against what is there.

use std::collections::HashMap;

/// `BTF_MAGIC`, of the kernel's own byte order.
const MAGIC: u16 = 0xeb9f;
/// Members of unnamed structures within structures are followed so deep.
const DEPTH: u32 = 16;
/// So many members are looked at for one: what is deep could also be wide, and a structure its own member.
const MEMBERS: u32 = 1 << 16;

/// `BTF_KIND_*` of `linux/btf.h`.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const TYPE_TAG: u32 = 18;
}

/// The types, and where each of those that are wanted is.
#[derive(Debug)]
pub(crate) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; number 0 is "void", which is nowhere.
    places: Vec<u32>,
    structures: HashMap<&'a [u8], Vec<u32>>,
    functions: HashMap<&'a [u8], u32>,
}

/// A member of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// From the beginning of the structure, in bits.
    pub(crate) bit: u32,
    /// How many bits of a number it takes, if not the whole.
    pub(crate) bits: Option<u32>,
    pub(crate) shape: Shape,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number of so many bytes.
    Number(u32),
    Pointer {
        to: u32,
    },
    Array {
        of: u32,
        count: u32,
    },
    Structure {
        id: u32,
    },
    Other,
}

/// A type, without what follows its head.
#[derive(Debug, Clone, Copy)]
struct Head {
    name: u32,
    kind: u32,
    count: u32,
    /// Whether members say how many bits they take.
    flag: bool,
    /// A size or another type.
    value: u32,
    /// Where what follows begins.
    rest: usize,
}

impl<'a> Btf<'a> {
    /// Reads the types once, and notes those structures and functions that have these names.
    pub(crate) fn parse(bytes: &'a [u8], structures: &[&[u8]], functions: &[&[u8]]) -> Option<Self> {
        let number = |at: usize| -> Option<usize> { usize::try_from(word(bytes, at)?).ok() };
        if u16::from_ne_bytes(*bytes.first_chunk()?) != MAGIC {
            return None;
        }
        let head = number(4)?;
        let part = |at: usize, length: usize| {
            let start = head.checked_add(at)?;
            bytes.get(start..start.checked_add(length)?)
        };
        let types = part(number(8)?, number(12)?)?;
        let strings = part(number(16)?, number(20)?)?;
        let mut btf = Self {
            types,
            strings,
            // Most types take twelve bytes and something.
            places: Vec::with_capacity(types.len().checked_div(20)?),
            structures: HashMap::new(),
            functions: HashMap::new(),
        };
        btf.places.push(u32::MAX);
        let structures = Names::of(strings, structures);
        let functions = Names::of(strings, functions);
        let mut at = 0_usize;
        while at < types.len() {
            let head = head_at(types, at)?;
            let id = u32::try_from(btf.places.len()).ok()?;
            btf.places.push(u32::try_from(at).ok()?);
            match head.kind {
                kind::STRUCT => {
                    if let Some(name) = structures.get(head.name) {
                        btf.structures.entry(name).or_default().push(id);
                    }
                }
                kind::FUNC => {
                    if let Some(name) = functions.get(head.name) {
                        btf.functions.entry(name).or_insert(id);
                    }
                }
                _ => {}
            }
            at = head.rest.checked_add(length_of_rest(&head)?)?;
        }
        Some(btf)
    }

    /// The number of a function.
    pub(crate) fn function(&self, name: &[u8]) -> Option<u32> {
        self.functions.get(name).copied()
    }

    /// The number of the first structure of this name that has this member.
    pub(crate) fn structure(&self, name: &[u8], member: &str) -> Option<u32> {
        let ids = self.structures.get(name)?;
        ids.iter().copied().find(|id| self.member_of(*id, &[member]).is_some())
    }

    /// A member, by the names that lead to it: `["__sk_common", "skc_net", "net"]`. Of several structures of this name
    /// the first that has it counts.
    pub(crate) fn member(&self, structure: &[u8], path: &[&str]) -> Option<Member> {
        self.structures.get(structure)?.iter().find_map(|id| self.member_of(*id, path))
    }

    /// Whether something points to a structure of this name.
    pub(crate) fn leads_to(&self, pointed: u32, structure: &[u8]) -> bool {
        let of_name = self.structures.get(structure);
        self.plain(pointed).is_some_and(|(id, _)| of_name.is_some_and(|ids| ids.contains(&id)))
    }

    /// How many bytes a number takes.
    pub(crate) fn size(&self, id: u32) -> Option<u32> {
        let (_, head) = self.plain(id)?;
        matches!(head.kind, kind::INT | kind::ENUM).then_some(head.value)
    }

    fn member_of(&self, id: u32, path: &[&str]) -> Option<Member> {
        let (first, rest) = path.split_first()?;
        let mut left = MEMBERS;
        let member = self.find(id, first.as_bytes(), 0, 0, &mut left)?;
        if rest.is_empty() {
            return Some(member);
        }
        let Shape::Structure { id } = member.shape else { return None };
        let inner = self.member_of(id, rest)?;
        Some(Member { bit: member.bit.checked_add(inner.bit)?, ..inner })
    }

    /// Looks in a structure, and in those without a name in it.
    fn find(&self, id: u32, name: &[u8], base: u32, depth: u32, left: &mut u32) -> Option<Member> {
        let (_, head) = self.plain(id)?;
        if !matches!(head.kind, kind::STRUCT | kind::UNION) || depth > DEPTH {
            return None;
        }
        for number in 0..head.count {
            *left = left.checked_sub(1)?;
            let at = head.rest.checked_add(usize::try_from(number.checked_mul(12)?).ok()?)?;
            let (called, of, place) = (
                word(self.types, at)?,
                word(self.types, at.checked_add(4)?)?,
                word(self.types, at.checked_add(8)?)?,
            );
            let (bit, bits) = if head.flag { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
            let bit = base.checked_add(bit)?;
            if self.is_called(called, b"") {
                if let Some(found) = self.find(of, name, bit, depth.checked_add(1)?, left) {
                    return Some(found);
                }
            } else if self.is_called(called, name) {
                return Some(Member { bit, bits: (bits != 0).then_some(bits), shape: self.shape(of)? });
            }
        }
        None
    }

    fn shape(&self, id: u32) -> Option<Shape> {
        let (id, head) = self.plain(id)?;
        Some(match head.kind {
            kind::INT | kind::ENUM => Shape::Number(head.value),
            kind::PTR => Shape::Pointer { to: head.value },
            kind::ARRAY => Shape::Array {
                of: word(self.types, head.rest)?,
                count: word(self.types, head.rest.checked_add(8)?)?,
            },
            kind::STRUCT | kind::UNION => Shape::Structure { id },
            _ => Shape::Other,
        })
    }

    /// What a type is behind its other names and qualifiers.
    fn plain(&self, mut id: u32) -> Option<(u32, Head)> {
        for _ in 0..DEPTH {
            let at = *self.places.get(usize::try_from(id).ok()?)?;
            let head = head_at(self.types, usize::try_from(at).ok()?)?;
            match head.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = head.value;
                }
                _ => return Some((id, head)),
            }
        }
        None
    }

    /// Whether the string at this place is that name.
    fn is_called(&self, place: u32, name: &[u8]) -> bool {
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        let text = self.strings.get(at..).unwrap_or(&[]);
        text.starts_with(name) && text.get(name.len()) == Some(&0)
    }
}

/// Wanted names, by their first eight bytes: types are many, and comparing numbers is cheap.
struct Names<'a> {
    strings: &'a [u8],
    wanted: Vec<(u64, u64, Vec<u8>)>,
}

impl<'a> Names<'a> {
    fn of(strings: &'a [u8], wanted: &[&[u8]]) -> Self {
        let begins = |name: &&[u8]| {
            let (mut bytes, mut mask) = ([0_u8; 8], [0_u8; 8]);
            // With the NUL that ends it, if that is among them.
            let named = name.iter().chain(&[0]);
            for ((byte, mask), given) in bytes.iter_mut().zip(&mut mask).zip(named) {
                (*byte, *mask) = (*given, 0xff);
            }
            (u64::from_ne_bytes(bytes), u64::from_ne_bytes(mask), name.to_vec())
        };
        Self { strings, wanted: wanted.iter().map(begins).collect() }
    }

    fn get(&self, place: u32) -> Option<&'a [u8]> {
        let text = self.strings.get(usize::try_from(place).ok()?..)?;
        // Nothing that is wanted has its end within the last eight bytes.
        let begins = u64::from_ne_bytes(*text.first_chunk()?);
        let is_it = |(first, mask, name): &&(u64, u64, Vec<u8>)| {
            begins & mask == *first && text.starts_with(name) && text.get(name.len()) == Some(&0)
        };
        let (.., name) = self.wanted.iter().find(is_it)?;
        text.get(..name.len())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word))
}

fn head_at(types: &[u8], at: usize) -> Option<Head> {
    let head = types.get(at..)?.first_chunk::<12>()?;
    let (name, info, value) = (word(head, 0)?, word(head, 4)?, word(head, 8)?);
    Some(Head {
        name,
        kind: (info >> 24) & 0x1f,
        count: info & 0xffff,
        flag: info >> 31 == 1,
        value,
        rest: at.checked_add(12)?,
    })
}

/// How many bytes follow a type's head; `None` for a kind that is not known, after which nothing can be found.
fn length_of_rest(head: &Head) -> Option<usize> {
    let each = match head.kind {
        kind::PTR | 7..=12 | 16 | kind::TYPE_TAG => 0,
        kind::INT | 14 | 17 => return Some(4),
        kind::ARRAY => return Some(12),
        kind::STRUCT | kind::UNION | 15 | 19 => 12,
        kind::ENUM | 13 => 8,
        _ => return None,
    };
    usize::try_from(head.count.checked_mul(each)?).ok()
}

#[cfg(test)]
mod tests;
