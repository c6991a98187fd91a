//! One file and its successors.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use portolan_linux::identity::open_regular;

use super::last::{Beginning, last};
use super::rotated::older;
use super::{Event, Options, Polled, Way};
use crate::logs::format::{Decoder, Entry};
use crate::logs::place::{SLOW, leads_through_slow};
use crate::logs::stdio::LogFile;
use crate::logs::{Error, Result};

/// Read at once, in bytes.
const PIECE: usize = 64 * 1024;
/// So many bytes before the place where reading stopped have to be the same.
const REMEMBERED: usize = 256;
/// A renamed file is looked after for so many polls in which it did not grow: its writer is told late.
const PATIENCE: u32 = 5;

/// A file that is open, and how far it was read.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    device: u64,
    inode: u64,
    offset: u64,
    /// The last bytes before that place.
    before: Vec<u8>,
}

impl Opened {
    /// Opens a log; a user's has to be that user's own, who named it.
    pub(super) fn new(way: &Way, log: &LogFile) -> Result<Self> {
        let user = log.user;
        if log.strictly && leads_through_slow(&way.reach)? {
            return Err(Error::refused(&way.seen, SLOW));
        }
        let (file, _) = open_regular(&way.reach, log.strictly).map_err(|e| Error::file(&way.seen, e))?;
        let meta = file.metadata().map_err(|e| Error::file(&way.seen, e))?;
        if user != 0 && meta.uid() != user {
            return Err(Error::refused(&way.seen, "it is not the file of the user who runs the container"));
        }
        Ok(Self { file, device: meta.dev(), inode: meta.ino(), offset: 0, before: Vec::new() })
    }

    pub(super) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    pub(super) fn seek(&mut self, offset: u64) {
        self.before.clear();
        let start = offset.saturating_sub(u64::try_from(REMEMBERED).unwrap_or(0));
        let mut before = vec![0; usize::try_from(offset.saturating_sub(start)).unwrap_or(0)];
        // Fewer are remembered when they cannot be read.
        if self.file.read_exact_at(&mut before, start).is_ok() {
            self.before = before;
        }
        self.offset = offset;
    }

    /// The next bytes; none at the end.
    pub(super) fn read(&mut self, room: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; room.min(PIECE)];
        let length = loop {
            match self.file.read_at(&mut bytes, self.offset) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        bytes.truncate(length);
        self.offset = self.offset.saturating_add(u64::try_from(length).unwrap_or(0));
        self.before.extend_from_slice(&bytes);
        let excess = self.before.len().saturating_sub(REMEMBERED);
        self.before.drain(..excess);
        Ok(bytes)
    }

    /// The byte before a place.
    pub(super) fn byte_before(&self, offset: u64) -> Option<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset.checked_sub(1)?).ok()?;
        Some(byte[0])
    }

    /// Whether it was cut since: it is shorter than it was read, or has other bytes before that place.
    fn was_cut(&self) -> bool {
        if self.size() < self.offset {
            return true;
        }
        let length = u64::try_from(self.before.len()).unwrap_or(0);
        let mut now = vec![0; self.before.len()];
        let read = self.file.read_exact_at(&mut now, self.offset.saturating_sub(length));
        read.is_ok() && now != self.before
    }

    fn is(&self, path: &Path) -> Option<bool> {
        let meta = std::fs::symlink_metadata(path).ok()?;
        Some((meta.dev(), meta.ino()) == (self.device, self.inode))
    }
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Follower {
    log: LogFile,
    way: Way,
    options: Options,
    decoder: Decoder,
    /// The file that is read, and those after it; empty when there is none yet.
    chain: VecDeque<Opened>,
    /// The one that was read before, its decoder, and for how many polls it did not grow.
    previous: Option<(Opened, Decoder, u32)>,
    begun: bool,
    gone: bool,
}

impl Follower {
    pub(super) fn open(log: &LogFile, options: &Options) -> Result<Self> {
        let way = Way { reach: log.reach(), seen: log.path.clone() };
        let decoder = Decoder::new(log.format, options.longest).with_terminal(log.terminal);
        let first = match Opened::new(&way, log) {
            Ok(first) => Some(first),
            // The kubelet has renamed it, and the runtime has not made the next one yet.
            Err(error) if options.follow && error.kind() == portolan_linux::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            log: log.clone(),
            way,
            options: options.clone(),
            decoder,
            chain: first.into_iter().collect(),
            previous: None,
            begun: false,
            gone: false,
        })
    }

    pub(super) fn finish(&mut self) -> Vec<Entry> {
        let mut entries = self.previous.as_mut().map(|(_, decoder, _)| decoder.finish()).unwrap_or_default();
        entries.extend(self.decoder.finish());
        entries
    }

    pub(super) fn poll(&mut self) -> Result<Polled> {
        let mut polled = Polled::default();
        let mut room = self.options.max_bytes.max(1);
        if !self.begun {
            self.begin(&mut polled)?;
        }
        self.look_after(&mut room, &mut polled)?;
        loop {
            if room == 0 {
                polled.more = true;
                return Ok(polled);
            }
            if !self.read_on(&mut room, &mut polled)? {
                continue;
            }
            // All of it was read.
            if self.chain.len() > 1 {
                self.next_file(&mut room, &mut polled)?;
            } else if !self.options.follow || !self.look_for_another(&mut polled)? {
                return Ok(polled);
            }
        }
    }

    /// Finds the last lines, in this file and those before it.
    fn begin(&mut self, polled: &mut Polled) -> Result<()> {
        self.begun = true;
        let Some(current) = self.chain.pop_front() else { return Ok(()) };
        let names = older(&self.way.reach);
        let ways = names.plain.iter().map(|reach| Way { reach: reach.clone(), seen: reach.clone() });
        // One can be renamed while we look: each file counts once.
        let mut files = vec![current];
        for file in ways.filter_map(|way| Opened::new(&way, &self.log).ok()) {
            if !files.iter().any(|known| (known.device, known.inode) == (file.device, file.inode)) {
                files.push(file);
            }
        }
        let Beginning { files, decoder, entries, left_out, whole } =
            last(files, &self.decoder, &self.options).map_err(|e| Error::file(&self.log.path, e))?;
        if !whole && names.compressed > 0 {
            polled.events.push(Event::Compressed(names.compressed));
        }
        if left_out > 0 {
            polled.events.push(Event::LeftOut(left_out));
        }
        polled.events.extend(entries.into_iter().map(Event::Entry));
        (self.chain, self.decoder) = (files, decoder);
        Ok(())
    }

    /// Reads what a renamed file got since.
    fn look_after(&mut self, room: &mut usize, polled: &mut Polled) -> Result<()> {
        let Some((file, decoder, idle)) = &mut self.previous else { return Ok(()) };
        let mut grown = false;
        while *room > 0 {
            let bytes = file.read(*room).map_err(|e| Error::file(&self.log.path, e))?;
            if bytes.is_empty() {
                break;
            }
            grown = true;
            *room = room.saturating_sub(bytes.len());
            polled.events.extend(decoder.push(&bytes).into_iter().map(Event::Entry));
        }
        *idle = if grown { 0 } else { idle.saturating_add(1) };
        if *idle >= PATIENCE {
            polled.events.extend(decoder.finish().into_iter().map(Event::Entry));
            self.previous = None;
        }
        Ok(())
    }

    /// Reads a piece; true when all was read.
    fn read_on(&mut self, room: &mut usize, polled: &mut Polled) -> Result<bool> {
        let Some(file) = self.chain.front_mut() else { return Ok(true) };
        if file.was_cut() {
            polled.events.extend(self.decoder.finish().into_iter().map(Event::Entry));
            polled.events.push(Event::Truncated);
            file.seek(0);
        }
        let bytes = file.read(*room).map_err(|e| Error::file(&self.log.path, e))?;
        *room = room.saturating_sub(bytes.len());
        polled.events.extend(self.decoder.push(&bytes).into_iter().map(Event::Entry));
        Ok(bytes.is_empty())
    }

    /// Goes on with the next file, and looks after this one for a while.
    fn next_file(&mut self, room: &mut usize, polled: &mut Polled) -> Result<()> {
        // What was written between our last look at it and the moment when there was another.
        while *room > 0 && !self.read_on(room, polled)? {}
        if *room == 0 {
            return Ok(());
        }
        if let Some((_, mut decoder, _)) = self.previous.take() {
            polled.events.extend(decoder.finish().into_iter().map(Event::Entry));
        }
        let old = self.decoder.split();
        self.previous = self.chain.pop_front().map(|file| (file, old, 0));
        polled.events.push(Event::Rotated);
        Ok(())
    }

    /// Whether the path leads to another file now, which is put into the chain, with those between.
    fn look_for_another(&mut self, polled: &mut Polled) -> Result<bool> {
        let front = self.chain.front();
        match front.map(|file| file.is(&self.way.reach)) {
            Some(Some(true)) => {
                self.gone = false;
                return Ok(false);
            }
            Some(None) => return Ok(self.is_gone(polled)),
            Some(Some(false)) | None => {}
        }
        let new = match Opened::new(&self.way, &self.log) {
            Ok(new) => new,
            Err(error) if error.kind() == portolan_linux::ErrorKind::NotFound => {
                return Ok(self.is_gone(polled));
            }
            Err(error) => return Err(error),
        };
        self.gone = false;
        let Some(current) = self.chain.front() else {
            self.chain.push_back(new);
            return Ok(true);
        };
        // Renamed again in the meantime, and back.
        if (new.device, new.inode) == (current.device, current.inode) {
            return Ok(false);
        }
        let names = older(&self.way.reach);
        let mut between = Vec::new();
        let mut met = false;
        for reach in names.plain {
            let way = Way { seen: reach.clone(), reach };
            let Ok(file) = Opened::new(&way, &self.log) else { continue };
            if (file.device, file.inode) == (current.device, current.inode) {
                met = true;
                break;
            }
            // It was renamed after the new one was opened.
            if (file.device, file.inode) != (new.device, new.inode) {
                between.push(file);
            }
        }
        if !met && (names.compressed > 0 || !between.is_empty()) {
            // Ours is compressed or removed; some that were after it may be, too.
            polled.events.push(Event::Missed);
        }
        self.chain.extend(between.into_iter().rev());
        self.chain.push_back(new);
        Ok(true)
    }

    fn is_gone(&mut self, polled: &mut Polled) -> bool {
        if !std::mem::replace(&mut self.gone, true) {
            polled.events.push(Event::Gone);
        }
        false
    }
}
