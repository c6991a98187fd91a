//! As much of the encoding of Protocol Buffers as a small client needs: fields of text, of messages and of numbers.

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// Adds several texts of one field.
    pub(crate) fn texts<S: AsRef<str>>(self, field: u64, texts: &[S]) -> Self {
        texts.iter().fold(self, |message, text| message.text(field, text.as_ref()))
    }

    /// Adds a message.
    pub(crate) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// Adds a number.
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

/// A field of a message that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
#[track_caller]
pub(crate) fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut rest)),
            2 => Field::Bytes(take(&mut rest, |rest| varint(rest).try_into().unwrap())),
            1 => Field::Bytes(take(&mut rest, |_| 8)),
            5 => Field::Bytes(take(&mut rest, |_| 4)),
            kind => panic!("a field of kind {kind}"),
        };
        all.push((tag >> 3, value));
    }
    all
}

/// The first field of this number that holds text or a message; empty when it is not there, as the encoding has it.
#[track_caller]
pub(crate) fn bytes(message: &[u8], number: u64) -> &[u8] {
    let found = fields(message).into_iter().find_map(|(field, value)| match value {
        Field::Bytes(bytes) if field == number => Some(bytes),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The first field of this number, as text.
#[track_caller]
pub(crate) fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(bytes(message, number).to_owned()).unwrap()
}

fn take<'a>(rest: &mut &'a [u8], length: impl FnOnce(&mut &'a [u8]) -> usize) -> &'a [u8] {
    let length = length(rest);
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, |_| 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number that does not end");
}

#[test]
fn what_is_written_is_read() {
    let inner = Message::new().number(1, 300).text(2, "a");
    let outer = Message::new().message(3, &inner).texts(4, &["b", "c"]);
    // The example of the encoding's own description: 300 is AC 02.
    assert_eq!(inner.encoded(), [0x08, 0xac, 0x02, 0x12, 1, b'a']);
    assert_eq!(fields(bytes(outer.encoded(), 3)), [(1, Field::Number(300)), (2, Field::Bytes(b"a"))]);
    assert_eq!((text(outer.encoded(), 4), text(outer.encoded(), 5)), ("b".to_owned(), String::new()));
}
