//! Texts that someone made to do harm, and texts that nobody made.

use super::{A, B, STEP, TASK, UID, check};
use crate::cgroup::{Classification, Kind, Runtime, classify};

#[test]
fn hostile_names_are_escaped_or_refused() {
    check(&[("/lxc.payload.a\x1b[31mb", r"lxc container a\x1b[31mb - a\x1b[31mb")]);
    let found = classify(b"0::/lxc.payload.\xff\xfe\n");
    assert_eq!(found.container_id.as_deref(), Some(r"\xff\xfe"));
    let long = format!("0::/lxc/{}", "n".repeat(256));
    assert_eq!(classify(long.as_bytes()).container_id, None);
    check(&[(r"/machine.slice/machine-\x1b\x0a.scope", r"systemd-nspawn container \x1b\x0a - \x1b\x0a")]);
}

#[test]
fn hostile_texts_say_nothing() {
    let nothing = |text: &[u8]| {
        let found = classify(text);
        assert_eq!((found.runtime, found.kind), (Runtime::None, Kind::Container));
        assert_eq!((found.container_id, found.pod_uid, found.name), (None, None, None));
    };
    nothing(b"");
    nothing(b"\n\n\n");
    nothing(b"no colons at all");
    nothing(b"one:colon");
    nothing(b"\xff\xfe\x00\x80");
    nothing(b":::");
    nothing(b"0::");
    nothing(&vec![b'/'; 1 << 20]);
    nothing(&b"::".repeat(1 << 19));
    let noise: Vec<u8> = (0_u32..1 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let _ = classify(&noise);
}

#[test]
fn work_is_bounded() {
    // The container is behind the last line that is read.
    let late = format!("{}0::/docker/{A}\n", "1:cpu:/\n".repeat(10_000));
    assert_eq!(classify(late.as_bytes()).runtime, Runtime::None);
    let early = format!("0::/docker/{A}\n{}", "1:cpu:/\n".repeat(10_000));
    assert_eq!(classify(early.as_bytes()).runtime, Runtime::Docker);
    for element in ["/a", "/..", "/nomad", "/conmon", "/user@1.service", "/lxc", "/init", "/supervisor"] {
        // The kernel prints no path of more than a page.
        let deep = format!("0::/docker/{A}{}\n", element.repeat(10_000));
        assert_eq!(classify(deep.as_bytes()).runtime, Runtime::None);
        let deep = format!("0::/docker/{A}{}\n", element.repeat(200));
        assert_ne!(classify(deep.as_bytes()).runtime, Runtime::None);
    }
}

#[test]
fn strings_are_distinct() {
    let kinds = [Kind::Container, Kind::Sandbox, Kind::Monitor, Kind::LookAlike, Kind::Host, Kind::Forged];
    let words: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), kinds.len());
    assert_eq!(format!("{:>6}|{}", Runtime::Lxc, Kind::SandboxedProcess), "   lxc|sandboxed-process");
}

/// Numbers without pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Words that the rules look for, and what parts them.
fn words() -> Vec<Vec<u8>> {
    let ids = [A, B, UID, TASK, STEP].map(str::to_owned);
    let pods = [format!("pod{UID}"), format!("kubepods-pod{}.slice", UID.replace('-', "_"))];
    let marks = "/ : \n .. /.. - _ . @ \\x2d \\x (deleted) 0:: 1:name=systemd:/ 2:cpu:/ .scope .service .slice \
                 .mount docker- docker buildkit crio- crio-conmon- cri-containerd- libpod- libpod-payload- \
                 libpod_parent conmon kata_ kata_overhead lxc lxc.payload. lxc.monitor. machine- lxc\\x2d3\\x2d \
                 rkt\\x2d systemd-nspawn@ payload supervisor runtime user@1000.service user.slice app.slice \
                 session-1.scope init.scope garden mesos nomad ecs default k8s.io bpm- -bpm-bpm- apptainer- snap. \
                 app-flatpak- hook podman-pause- wsl-user distro-1 kubepods containerd é \u{202e}";
    let marks = marks.split(' ').map(|word| word.as_bytes().to_vec());
    let bytes = [b"\xff".to_vec(), b"\0".to_vec(), b"\r\n".to_vec(), b"\x1b[2J".to_vec(), vec![b'a'; 300]];
    ids.into_iter().chain(pods).map(String::into_bytes).chain(marks).chain(bytes).collect()
}

/// Cuts, doubles, turns over and inserts, some times.
fn mutate(text: &mut Vec<u8>, words: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(text.len() + 1);
        let to = at + dice.roll((text.len() - at).min(80) + 1);
        match dice.roll(5) {
            0 => drop(text.drain(at..to)),
            1 => {
                let piece = text[at..to].to_vec();
                text.splice(at..at, piece);
            }
            2 if at < text.len() => text[at] ^= 1 << dice.roll(8),
            3 => text.truncate(to),
            _ => drop(text.splice(at..to, words[dice.roll(words.len())].iter().copied())),
        }
    }
}

/// What holds for every text.
fn is_sound(text: &[u8], found: &Classification) {
    let shown = || format!("{found:?} of {:?}", text.escape_ascii().to_string());
    for field in [&found.container_id, &found.pod_uid, &found.name].into_iter().flatten() {
        assert!(!field.is_empty() && !field.chars().any(char::is_control), "{}", shown());
        // At most an element of a path, each byte of it four characters.
        assert!(field.len() <= 4 * 255 && !field.contains('/'), "{}", shown());
    }
    assert!(found.path.is_empty() || text.windows(found.path.len()).any(|w| w == found.path), "{}", shown());
    if let Some(pod) = &found.pod_uid {
        let digits: String = pod.chars().filter(|c| *c != '-').collect();
        assert!(digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{}", shown());
    }
    let outside = matches!(found.kind, Kind::Monitor | Kind::LookAlike | Kind::Host | Kind::Forged);
    assert_eq!(found.runtime == Runtime::Host, outside, "{}", shown());
    if outside || found.runtime == Runtime::None {
        let nothing = (None, None, None);
        assert_eq!((&found.container_id, &found.pod_uid, &found.name), (&nothing.0, &nothing.1, &nothing.2));
    }
    assert_eq!(found, &classify(text));
}

#[test]
fn any_text_gets_a_sound_answer() {
    let mut dice = Dice(0x5eed_0fc6_0095);
    let words = words();
    let mut text = Vec::new();
    let (mut containers, mut hosts) = (0_u32, 0_u32);
    for round in 0..20_000 {
        // A new text now and then; between these, one mutant grows out of another.
        if round % 8 == 0 {
            text = format!("2:cpu:/docker/{A}\n0::/kubepods/pod{UID}/{B}/init.scope\n").into_bytes();
            for _ in 0..dice.roll(12) {
                let word = &words[dice.roll(words.len())];
                text.extend_from_slice(if dice.roll(2) == 0 { b"/" } else { b"" });
                text.extend_from_slice(word);
            }
            text.drain(..dice.roll(text.len()));
        }
        mutate(&mut text, &words, &mut dice);
        text.truncate(4096);
        let found = classify(&text);
        is_sound(&text, &found);
        containers += u32::from(found.is_container());
        hosts += u32::from(found.runtime == Runtime::Host);
    }
    // The texts are not all rubbish.
    assert!(containers > 1000 && hosts > 1000, "{containers} containers, {hosts} of the host");
}

#[test]
fn every_prefix_of_a_text_gets_a_sound_answer() {
    let text = format!(
        "12:pids:/kubepods/burstable/pod{UID}/{A}\n11:cpu:/x.slice:cri-containerd:{B}\n\
         1:name=systemd:/machine.slice/machine-a\\x2db.scope/payload\n0::/lxc.payload.web/init.scope (deleted)\n"
    );
    for end in 0..=text.len() {
        let cut = &text.as_bytes()[..end];
        is_sound(cut, &classify(cut));
        let cut = &text.as_bytes()[end..];
        is_sound(cut, &classify(cut));
    }
}
