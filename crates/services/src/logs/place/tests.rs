use super::*;

#[test]
fn the_mount_that_is_seen() {
    let text =
        b"1 0 8:1 / / rw - ext4 d rw\n2 1 8:2 /a /var rw - ext4 d rw\n3 2 8:3 / /var/log rw - ext4 d rw\n\
        4 3 8:4 / /var/log rw - ext4 d rw\n";
    let device = |path: &str, id| covering(text, Path::new(path), id).map(|mount| mount.device);
    assert_eq!(device("/var/log/a", None), Some(&b"8:4"[..]));
    assert_eq!(device("/var/log/a", Some(3)), Some(&b"8:3"[..]));
    assert_eq!(device("/var/logs", None), Some(&b"8:2"[..]));
    assert_eq!(device("/etc", None), Some(&b"8:1"[..]));
    assert_eq!(device("/etc", Some(9)), None);
    assert_eq!(below(Path::new("/var/log/a"), b"/var"), Some("log/a".into()));
    assert_eq!(below(Path::new("/variable"), b"/var"), None);
}
