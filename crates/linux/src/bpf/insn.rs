//! Instructions of the BPF machine (`Documentation/bpf/standardization/instruction-set.rst` of the kernel's source), as
//! many of them as the iterators need.

/// A register: 0 has results, 1 to 5 are arguments and are lost in calls, 6 to 9 are kept, 10 is the end of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reg(pub(super) u8);

/// A place in the program, to be put later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Of what is loaded or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Byte,
    Half,
    Word,
    Double,
}

/// What a jump depends on. Numbers have no sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum If {
    Equal,
    Other,
    Greater,
}

/// A program as it is written.
#[derive(Debug, Default)]
pub(super) struct Program {
    code: Vec<[u8; 8]>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, usize)>,
}

const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const STORE_NUMBER: u8 = 0x62;

impl Width {
    /// `BPF_SIZE` of an opcode for `BPF_W`, which is none.
    fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }

    /// For so many bytes.
    pub(super) fn of(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }
}

impl Program {
    fn push(&mut self, code: u8, to: Reg, from: Reg, offset: i16, number: i32) {
        let registers = if cfg!(target_endian = "little") { from.0 << 4 | to.0 } else { to.0 << 4 | from.0 };
        let [o0, o1] = offset.to_ne_bytes();
        let [n0, n1, n2, n3] = number.to_ne_bytes();
        self.code.push([code, registers, o0, o1, n0, n1, n2, n3]);
    }

    pub(super) fn load(&mut self, width: Width, to: Reg, from: Reg, offset: i16) {
        self.push(LOAD | width.bits(), to, from, offset, 0);
    }

    pub(super) fn store(&mut self, width: Width, to: Reg, offset: i16, from: Reg) {
        self.push(STORE | width.bits(), to, from, offset, 0);
    }

    pub(super) fn store_number(&mut self, width: Width, to: Reg, offset: i16, number: i32) {
        self.push(STORE_NUMBER | width.bits(), to, Reg(0), offset, number);
    }

    pub(super) fn copy(&mut self, to: Reg, from: Reg) {
        self.push(0xbf, to, from, 0, 0);
    }

    pub(super) fn set(&mut self, to: Reg, number: i32) {
        self.push(0xb7, to, Reg(0), 0, number);
    }

    pub(super) fn add(&mut self, to: Reg, number: i32) {
        self.push(0x07, to, Reg(0), 0, number);
    }

    pub(super) fn and(&mut self, to: Reg, number: i32) {
        self.push(0x57, to, Reg(0), 0, number);
    }

    /// Calls a helper, by its number in `linux/bpf.h`.
    pub(super) fn call(&mut self, helper: i32) {
        self.push(0x85, Reg(0), Reg(0), 0, helper);
    }

    /// Calls a function of the kernel, by its number among the kernel's types.
    pub(super) fn call_function(&mut self, function: u32) {
        self.push(0x85, Reg(0), Reg(2), 0, function.cast_signed());
    }

    /// Sets a register to a map, by the descriptor that this process has for it.
    pub(super) fn set_map(&mut self, to: Reg, descriptor: i32) {
        self.push(0x18, to, Reg(1), 0, descriptor);
        self.push(0x00, Reg(0), Reg(0), 0, 0);
    }

    /// Ends with 0: the iteration goes on.
    pub(super) fn exit(&mut self) {
        self.set(Reg(0), 0);
        self.push(0x95, Reg(0), Reg(0), 0, 0);
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len().saturating_sub(1))
    }

    /// The label is here.
    pub(super) fn put(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len());
        }
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to.0));
        self.push(0x05, Reg(0), Reg(0), 0, 0);
    }

    pub(super) fn jump_if(&mut self, this: Reg, how: If, number: i32, to: Label) {
        self.jumps.push((self.code.len(), to.0));
        self.push(how.code(), this, Reg(0), 0, number);
    }

    pub(super) fn jump_if_same(&mut self, this: Reg, other: Reg, to: Label) {
        self.jumps.push((self.code.len(), to.0));
        self.push(If::Equal.code() | 0x08, this, other, 0, 0);
    }

    /// The instructions, with all jumps leading where their labels are; `None` if one leads nowhere.
    pub(super) fn assemble(mut self) -> Option<Vec<u8>> {
        for (from, label) in self.jumps {
            let to = (*self.labels.get(label)?)?;
            let distance = i64::try_from(to).ok()?.checked_sub(i64::try_from(from).ok()?)?.checked_sub(1)?;
            let [low, high] = i16::try_from(distance).ok()?.to_ne_bytes();
            let instruction = self.code.get_mut(from)?;
            (instruction[2], instruction[3]) = (low, high);
        }
        Some(self.code.concat())
    }
}

impl If {
    fn code(self) -> u8 {
        match self {
            Self::Equal => 0x15,
            Self::Other => 0x55,
            Self::Greater => 0x25,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_their_labels() {
        let mut program = Program::default();
        let end = program.label();
        program.jump_if(Reg(1), If::Equal, 7, end);
        program.set(Reg(2), -1);
        program.put(end);
        program.exit();
        let code = program.assemble().unwrap();
        assert_eq!(code.len(), 4 * 8);
        assert_eq!(code[..4], [0x15, 0x01, 1, 0], "{code:?}");
        assert_eq!(code[4..8], 7_i32.to_ne_bytes());
        assert_eq!(code[16..24], [0xb7, 0, 0, 0, 0, 0, 0, 0]);

        let mut program = Program::default();
        let nowhere = program.label();
        program.jump(nowhere);
        assert_eq!(program.assemble(), None);
    }
}
