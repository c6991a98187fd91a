//! Users by name, as the host knows them: a container sees the same `/etc/passwd`.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A user with everything that a login would set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: PathBuf,
}

impl User {
    pub(crate) fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), home: "/root".into() }
    }

    /// Looks a name or a number up; `None` if a name is unknown. A number need not be known.
    pub(crate) fn find(wanted: &str) -> io::Result<Option<Self>> {
        let passwd = fs::read_to_string("/etc/passwd")?;
        let group = fs::read_to_string("/etc/group")?;
        Ok(find_in(wanted, &passwd, &group))
    }
}

fn find_in(wanted: &str, passwd: &str, group: &str) -> Option<User> {
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (Some(uid), Some(gid)) = (fields.nth(1), fields.next()) else { continue };
        if name != wanted && uid != wanted {
            continue;
        }
        let gid = gid.parse().ok()?;
        let home = fields.nth(1).unwrap_or("/").into();
        return Some(User { uid: uid.parse().ok()?, gid, groups: groups_of(name, gid, group), home });
    }
    let number = wanted.parse().ok()?;
    Some(User { uid: number, gid: number, groups: vec![number], home: "/".into() })
}

fn groups_of(name: &str, primary: u32, group: &str) -> Vec<u32> {
    let mut groups = vec![primary];
    for line in group.lines() {
        let mut fields = line.split(':').skip(2);
        let (Some(gid), Some(members)) = (fields.next(), fields.next()) else { continue };
        if members.split(',').any(|member| member == name) {
            groups.extend(gid.parse::<u32>().ok().filter(|gid| *gid != primary));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34:Web,,,:/var/www:/bin/false\n";
    const GROUP: &str = "root:x:0:\nssl-cert:x:110:other,web\nweb:x:34:web\nweber:x:35:webweb\n";

    #[test]
    fn by_name_with_groups() {
        let user = find_in("web", PASSWD, GROUP).unwrap();
        assert_eq!(user, User { uid: 33, gid: 34, groups: vec![34, 110], home: "/var/www".into() });
    }

    #[test]
    fn by_number() {
        assert_eq!(find_in("33", PASSWD, GROUP).unwrap().home, PathBuf::from("/var/www"));
        assert_eq!(find_in("77", PASSWD, GROUP).unwrap().gid, 77);
    }

    #[test]
    fn unknown() {
        assert_eq!(find_in("nobody-here", PASSWD, GROUP), None);
    }
}
