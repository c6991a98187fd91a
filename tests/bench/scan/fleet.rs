//! The containers of a fleet, found again among all else that runs on the machine.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portolan_linux::bpf::Holder;
use portolan_scan::Local;

/// The first process of each container, by the process that started them.
pub(crate) fn members(fleet: u32) -> HashSet<i32> {
    let children = std::fs::read_to_string(format!("/proc/{fleet}/task/{fleet}/children")).unwrap();
    children.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// How many of its containers have the listeners of `fleet.c` and no other, in a network namespace that no other has,
/// each told once and of this owner alone.
pub(crate) fn whole(fleet: u32, rows: &[Holder]) -> usize {
    let (mut by_pid, mut owners) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, usize>::new());
    for row in rows {
        by_pid.entry(row.pid).or_default().push(row);
        *owners.entry(row.listening.inode).or_default() += 1;
    }
    let mut namespaces = HashSet::new();
    let expected = [(IpAddr::V4(Ipv4Addr::LOCALHOST), 6379), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080)]
        .map(|(address, port)| Local::Inet(address, port));
    let mut is_whole = |pid: &i32| {
        let [one, other] = by_pid.get(pid).map_or(&[][..], Vec::as_slice) else { return false };
        let places = [&one.listening.local, &other.listening.local];
        let alone = [one, other].iter().all(|row| owners[&row.listening.inode] == 1);
        expected.iter().all(|place| places.contains(&place))
            && alone
            && one.netns == other.netns
            && namespaces.insert(one.netns)
    };
    members(fleet).iter().filter(|pid| is_whole(pid)).count()
}
