//! Streams of frames that a decoder does not refuse at once: no fuzzer guesses sequence numbers and counts.

/// Lengths of the payloads by kind; `None` for those that say it themselves, in a byte of the script.
const LENGTHS: [Option<usize>; 11] =
    [None, Some(40), None, None, Some(32), Some(16), Some(72), Some(32), Some(16), Some(16), None];
/// The counts of an end frame are put right.
const RIGHT_COUNTS: u8 = 0x80;
/// One byte of the frame is changed: the next two bytes of the script say which, and how.
const CHANGED: u8 = 0x40;

/// Each frame is an instruction: a byte of kind and flags, then the payload, as far as the script goes.
pub(crate) fn from_script(mut script: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let (mut sequence, mut operation) = (0_u32, 0_u16);
    let (mut bytes, mut entries, mut file_bytes) = (0_u64, 0_u64, 0_u64);
    while let Some(instruction) = take(&mut script, 1).first().copied() {
        let kind = (instruction & 0x0f).min(10);
        let length = LENGTHS[usize::from(kind)]
            .unwrap_or_else(|| take(&mut script, 1).first().copied().unwrap_or(0).into());
        let mut payload = take(&mut script, length).to_vec();
        // What the script is too short for is zero.
        payload.resize(length, 0);
        let right = instruction & RIGHT_COUNTS != 0;
        match kind {
            2 => (bytes, file_bytes) = (bytes + length as u64, file_bytes + length as u64),
            3 => entries += 1,
            4 if right => put(&mut payload, bytes, entries),
            7 if right => put(&mut payload, file_bytes, 0),
            _ => {}
        }
        let start = stream.len();
        stream.extend_from_slice(&(length as u32).to_le_bytes());
        stream.extend_from_slice(&[kind, 0]);
        stream.extend_from_slice(&operation.to_le_bytes());
        stream.extend_from_slice(&sequence.to_le_bytes());
        stream.extend_from_slice(&payload);
        if instruction & CHANGED != 0
            && let [at, change] = take(&mut script, 2)
        {
            let at = start + usize::from(*at) % (stream.len() - start);
            stream[at] ^= change;
        }
        sequence += 1;
        match kind {
            4 | 5 => (operation, bytes, entries, file_bytes) = (operation.wrapping_add(1), 0, 0, 0),
            6..=8 => file_bytes = 0,
            _ => {}
        }
    }
    stream
}

/// The next bytes of the script, or what is left of it.
fn take<'a>(script: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = script.split_at(count.min(script.len()));
    *script = rest;
    taken
}

fn put(payload: &mut [u8], bytes: u64, entries: u64) {
    payload[..8].copy_from_slice(&bytes.to_le_bytes());
    payload[8..16].copy_from_slice(&entries.to_le_bytes());
}
