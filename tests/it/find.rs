//! Texts are found in files inside, wherever in them they are, and no more is sent than was asked for.

use portolan::{Batch, ErrorKind, Find, Found, Operation, Outcome, Result};
use portolan_linux::error::FileKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::{Inside, files};

/// As the helper reads.
const PIECE: usize = 32 * 1024;

fn find(texts: &[&str]) -> Find {
    Find {
        texts: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
        at_lines: false,
        before: 0,
        after: 64,
        offset: 0,
        max_looked: u64::MAX,
        max_places: 1000,
        max_bytes: 1 << 20,
    }
}

fn ask(inside: &Inside, path: &str, find: &Find) -> Result<Found> {
    let batch = Batch::new().operation(Operation::Find(find.clone()), path);
    match files().batch(&inside.process, &batch).unwrap().remove(0)? {
        Outcome::Found(found) => Ok(found),
        other => panic!("{other:?}"),
    }
}

/// Where a text begins, which one it is, where what was sent begins, and that.
type Told = (usize, usize, usize, Vec<u8>);

fn told(found: &Found) -> Vec<Told> {
    let each = found.places.iter().map(|place| {
        let offset = usize::try_from(place.offset).unwrap();
        (offset + place.at, place.text, offset, place.bytes.clone())
    });
    each.collect()
}

/// The same, without any cleverness.
fn plainly(file: &[u8], find: &Find) -> Vec<Told> {
    let number = |number: u64| usize::try_from(number).unwrap();
    let (offset, before) = (number(find.offset), usize::try_from(find.before).unwrap());
    let counts = |at: usize| !find.at_lines || at == 0 || (at > offset && file[at - 1] == b'\n');
    let longest = |at: usize| {
        let fits = find.texts.iter().enumerate().filter(|(_, text)| file[at..].starts_with(text));
        fits.max_by_key(|(_, text)| text.len()).map(|(number, _)| number)
    };
    let places = (offset..file.len()).filter(|at| counts(*at)).filter_map(|at| {
        let (first, last) =
            (at.saturating_sub(before).max(offset), (at + find.after as usize).min(file.len()));
        longest(at).map(|text| (at, text, first, file[first..last].to_vec()))
    });
    places.take(number(find.max_places)).collect()
}

#[test]
fn texts_are_found_wherever_they_are() {
    require!(Need::Root, Need::Overlay);
    // Texts at all places around the ends of what is read at once, at the beginning and at the very end.
    let mut file = vec![b'.'; 5 * PIECE];
    for (number, at) in
        [0, PIECE, PIECE + 64, 2 * PIECE - 3, 2 * PIECE + 70, 3 * PIECE + 200].into_iter().enumerate()
    {
        for step in 0..12 {
            let at = at + step * 41 + number;
            file[at..at + 9].copy_from_slice(if step % 3 == 0 { b"\nNeedle a" } else { b"xNeedle-b" });
        }
    }
    let end = file.len();
    file[end - 8..].copy_from_slice(b"Needle a");
    let inside = Inside::start(&World::new("find").file("/app/file", &file));
    for texts in [&["Needle a"][..], &["Needle", "Needle-b"], &["b", "Needle a"], &["none"], &["..\nN"]] {
        for at_lines in [false, true] {
            for (before, after) in [(0, 64), (10, 9), (64, 1000), (0, 32 * 1024), (16 * 1024, 16 * 1024)] {
                for offset in [0, 1, PIECE as u64 - 5, 4 * PIECE as u64, 1 << 40] {
                    let asked = Find { at_lines, before, after, offset, max_bytes: 3 << 20, ..find(texts) };
                    let found = ask(&inside, "/app/file", &asked).unwrap();
                    assert_eq!(told(&found), plainly(&file, &asked), "{asked:?}");
                    assert!(!found.truncated, "{asked:?}");
                    assert_eq!(found.stat.size, file.len() as u64);
                }
            }
        }
    }
}

#[test]
fn limits_end_a_search() {
    require!(Need::Root, Need::Overlay);
    let file = b"needle..........".repeat(5000);
    let inside = Inside::start(&World::new("find-limits").file("/app/file", &file));
    let all = find(&["needle"]);
    for (asked, places) in [
        (Find { max_places: 3, ..all.clone() }, 3),
        (Find { max_places: 0, ..all.clone() }, 0),
        (Find { max_bytes: 640, ..all.clone() }, 10),
        (Find { max_bytes: 639, ..all.clone() }, 9),
        (Find { max_looked: 160, ..all.clone() }, 10),
        (Find { max_looked: 0, ..all.clone() }, 0),
        (Find { max_looked: 70_000, after: 6, ..all.clone() }, 1000),
    ] {
        let found = ask(&inside, "/app/file", &asked).unwrap();
        assert_eq!((found.places.len(), found.truncated), (places, true), "{asked:?}");
    }
    let whole = Find { max_places: 5001, after: 6, ..all };
    let found = ask(&inside, "/app/file", &whole).unwrap();
    assert_eq!((found.places.len(), found.truncated), (5000, false));
}

#[test]
fn what_is_no_file_is_not_looked_through() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("find-odd")
        .prepare("mkdir -p /app; mkfifo /app/fifo; : >/app/empty; truncate -s 8T /app/holes");
    let inside = Inside::start(&world);
    let asked = find(&["x"]);
    let kind = |path: &str, asked: &Find| {
        ask(&inside, path, asked).map(|found| found.places.len()).map_err(|e| e.kind())
    };
    assert_eq!(kind("/app/fifo", &asked), Err(ErrorKind::NotRegular(FileKind::Fifo)));
    assert_eq!(kind("/app", &asked), Err(ErrorKind::NotRegular(FileKind::Directory)));
    assert_eq!(kind("/app/none", &asked), Err(ErrorKind::NotFound));
    assert_eq!(kind("/app/empty", &asked), Ok(0));
    assert_eq!(kind("/app/holes", &Find { max_looked: 1 << 20, ..asked.clone() }), Ok(0));
    // Without that limit the deadline is one.
    let start = std::time::Instant::now();
    assert_eq!(kind("/app/holes", &asked), Err(ErrorKind::Timeout));
    assert!(start.elapsed() < std::time::Duration::from_secs(4));
    // Files that know no sizes.
    assert_eq!(kind("/proc/1/status", &Find { at_lines: true, ..find(&["Pid:", "Uid:"]) }), Ok(2));
    for wrong in [
        find(&[]),
        find(&[""]),
        Find { after: 0, ..asked.clone() },
        Find { after: u32::MAX, ..asked.clone() },
        Find { offset: u64::MAX, ..asked.clone() },
        Find { texts: vec![vec![b'x'; 256]], after: 300, ..asked.clone() },
        Find { texts: vec![b"x".to_vec(); 65], ..asked },
    ] {
        assert_eq!(kind("/app/empty", &wrong), Err(ErrorKind::InvalidInput), "{wrong:?}");
    }
}
