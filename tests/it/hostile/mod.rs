//! The hostile suite: every attack on the helper, the library and the protocol that the threat model names, by its
//! number, S01 to S70. (Those from S71 on are about dialing: see `dial`.)
//!
//! Whatever comes of a request, the same must hold after each, and is asserted after each ([`scene`]):
//! - the answer was there 250 ms after its deadline, at the latest;
//! - the agent has the descriptors and threads that it had, and each thread its network, mounts and directory;
//! - no helper is left inside, but those that hang for good in a file system that does not answer, where that is the
//!   case's point; and with the agent all of them end;
//! - the next request, to a good container, succeeds.
//!
//! Other tests run beside these, so the agent is a process of its own, which is told what to ask ([`agent`]).
//!
//! # What a case leaves out
//! - S11: no control group forbids the device. It makes no difference to a helper that does not open it, and a group
//!   of devices takes another kernel interface for each version of control groups.
//! - S22: no request makes the helper panic. It is aborted from outside, as a panic would do.
//! - S31: NFS and CIFS need servers; they are judged by the same list of types as the automounter that is tried
//!   (`crates/wire/src/code.rs`).
//! - S33 has 300 000 files and S69 20 containers: more of them belong in a benchmark.
//!
//! # Layout
//! - `paths` (S01 to S09), `kinds` (S10 to S24): where a path leads, and what to
//! - `hanging` (S25 to S32), `heavy` (S33 to S39): file systems that do not answer; trees and patterns without an end
//! - `target` (S40 to S45), `confinement` (S22, S46 to S56): the helper as what is attacked
//! - `identity` (S57 to S63), `protocol` (S64 to S70)
//! - `ask`, `agent`, `scene`: what is asked, who asks, and what must hold · `programs`: what runs in the containers

mod agent;
mod ask;
mod confinement;
mod hanging;
mod heavy;
pub(crate) mod identity;
mod kinds;
mod paths;
mod programs;
mod protocol;
mod scene;
mod target;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portolan_world::need::Need;
use portolan_world::{World, require};

use Place::{Elsewhere, Here};
use scene::{Ask, Scene};

/// Where a case is tried.
enum Place {
    /// By these tests of this suite.
    Here(&'static [&'static str]),
    /// By a test that exists for other reasons, and why not here.
    Elsewhere { file: &'static str, test: &'static str, why: &'static str },
}

const CASES: [(usize, Place); 70] = [
    (1, Here(&["paths::s01_an_absolute_link_stays_inside"])),
    (2, Here(&["paths::s02_dots_stay_below_the_root"])),
    (3, Here(&["paths::s03_a_process_in_a_chroot_is_read_below_its_own_root"])),
    (4, Here(&["paths::s04_magic_links_are_refused"])),
    (5, Here(&["paths::s05_nothing_of_the_agent_is_read_by_way_of_itself"])),
    (6, Here(&["paths::s06_loops_and_long_chains_of_links_are_given_up"])),
    (7, Here(&["paths::s07_a_maze_of_links_costs_its_time_and_no_more"])),
    (8, Here(&["paths::s08_a_link_that_takes_a_directorys_place_leads_to_no_file_of_the_host"])),
    (9, Here(&["paths::s09_a_storm_of_renames_neither_holds_a_path_with_dots_nor_shows"])),
    (10, Here(&["kinds::s10_a_fifo_is_refused_and_whoever_waits_at_it_is_not_woken"])),
    (11, Here(&["kinds::s11_a_device_that_the_container_may_make_but_not_open_is_not_opened_for_it"])),
    (12, Here(&["kinds::s12_devices_sockets_and_directories_are_refused_by_their_kind"])),
    (13, Here(&["kinds::s13_a_write_lease_is_told_at_once"])),
    (14, Here(&["kinds::s14_a_sparse_file_of_a_tebibyte_is_read_to_the_cap"])),
    (15, Here(&["kinds::s15_a_file_that_grows_and_shrinks_is_read_to_the_cap_or_less"])),
    (16, Here(&["kinds::s16_files_without_a_size_are_read_to_their_end"])),
    (17, Here(&["kinds::s17_a_link_to_a_file_of_the_kernel_takes_nothing_from_it"])),
    (18, Here(&["kinds::s18_a_file_of_the_hosts_root_is_closed_for_a_container_with_users_of_its_own"])),
    (19, Here(&["kinds::s19_a_container_without_proc_is_read"])),
    (20, Here(&["kinds::s20_a_container_where_nothing_is_written_or_executed_is_read"])),
    (21, Here(&["kinds::s21_what_is_mounted_over_another_is_what_is_read_even_over_proc"])),
    (22, Here(&["confinement::s22_a_helper_that_aborts_looks_at_nothing_inside"])),
    (23, Here(&["kinds::s23_a_path_that_is_none_is_refused_before_a_helper_is_started"])),
    (24, Here(&["kinds::s24_a_link_of_another_owner_in_a_sticky_directory_is_not_followed"])),
    (25, Here(&["hanging::s25_a_file_system_of_a_server_is_refused_and_the_server_not_asked"])),
    (
        26,
        Here(&[
            "hanging::s26_a_lookup_that_is_never_answered_ends_at_the_deadline",
            "hanging::s26_an_open_that_is_never_answered_ends_at_the_deadline",
            "hanging::s26_a_read_that_is_never_answered_ends_at_the_deadline",
            "hanging::s26_attributes_that_are_never_told_end_at_the_deadline",
            "hanging::s26_a_directory_that_is_never_listed_ends_at_the_deadline",
            "hanging::s26_the_type_of_a_file_system_is_not_asked_of_its_server",
        ]),
    ),
    (27, Here(&["hanging::s27_a_whole_answer_counts_although_its_helper_cannot_end"])),
    (28, Here(&["hanging::s28_a_file_system_that_users_inside_mounted_is_closed_to_the_helper"])),
    (29, Here(&["hanging::s29_a_server_that_does_not_even_read_lets_the_helper_go"])),
    (30, Here(&["hanging::s30_a_server_that_is_frozen_is_waited_for_until_the_deadline_and_works_again"])),
    (31, Here(&["hanging::s31_an_automounter_is_not_woken"])),
    (32, Here(&["hanging::s32_a_file_system_that_is_mounted_meanwhile_is_not_walked_into"])),
    (33, Here(&["heavy::s33_a_directory_of_300_000_files_is_a_limit_and_fits_in_little_memory"])),
    (34, Here(&["heavy::s34_a_tree_of_10_000_directories_one_in_another_is_a_limit"])),
    (35, Here(&["heavy::s35_directories_that_contain_themselves_are_walked_to_an_end"])),
    (36, Here(&["heavy::s36_a_directory_that_changes_meanwhile_gives_every_path_once"])),
    (37, Here(&["heavy::s37_a_pattern_that_explodes_is_refused_or_matched_at_once"])),
    (38, Here(&["heavy::s38_a_process_whose_arguments_hang_does_not_hang_a_scan"])),
    (39, Here(&["heavy::s39_environments_are_not_read_however_large"])),
    (40, Here(&["target::s40_the_hosts_binaries_cannot_be_written_by_way_of_the_helper"])),
    (41, Here(&["target::s41_a_descriptor_of_its_executable_that_was_kept_writes_nothing"])),
    (42, Here(&["target::s42_nobody_traces_it_or_takes_its_memory_or_descriptors"])),
    (43, Here(&["target::s43_the_root_of_a_container_with_users_of_its_own_gets_at_nothing"])),
    (44, Here(&["target::s44_signals_cost_the_request_and_no_more"])),
    (45, Here(&["target::s45_nothing_that_the_agent_has_open_reaches_the_helper"])),
    (46, Here(&["confinement::s46_inside_nothing_is_opened_but_what_was_asked_for"])),
    (47, Here(&["confinement::s47_the_agents_environment_does_not_reach_the_helper"])),
    (48, Here(&["confinement::s48_it_has_given_up_what_it_says_and_the_kernel_agrees"])),
    (
        49,
        Elsewhere {
            file: "helper/src/confine/sys.rs",
            test: "the_filter_ends_what_does_more_than_read",
            why: "each call takes a process that tries it: a unit test of the filter forks them",
        },
    ),
    (50, Here(&["confinement::s50_its_procfs_leads_nowhere_else"])),
    (51, Here(&["confinement::s51_its_memory_is_not_dumped"])),
    (52, Here(&["confinement::s52_a_thread_that_asked_may_end"])),
    (53, Here(&["confinement::s53_with_the_agent_its_helpers_end"])),
    (
        54,
        Elsewhere {
            file: "tests/it/helper/memory.rs",
            test: "where_memory_is_not_executed_files_are_read_and_pid_namespaces_not_joined",
            why: "the setting needs a pid namespace for the agent too",
        },
    ),
    (55, Here(&["confinement::s55_a_container_that_was_read_does_not_keep_its_volumes"])),
    (56, Here(&["confinement::s56_a_frozen_container_is_read"])),
    (57, Here(&["identity::s57_a_pid_that_belongs_to_another_process_by_now_is_gone"])),
    (58, Here(&["identity::s58_a_process_that_ends_meanwhile_gives_a_whole_answer_or_is_gone"])),
    (59, Here(&["identity::s59_a_process_that_changes_its_mounts_is_read_in_one_of_them_or_not_at_all"])),
    (60, Here(&["identity::s60_a_process_with_the_hosts_mounts_is_read_where_it_is"])),
    (61, Here(&["identity::s61_a_namespace_of_another_kind_is_not_entered"])),
    (
        62,
        Elsewhere {
            file: "tests/it/privileges.rs",
            test: "without_sys_ptrace_no_other_process_is_looked_at",
            why: "the agent itself has to give its capabilities up; the tests after it are of the others",
        },
    ),
    (63, Here(&["identity::s63_a_name_changes_nothing"])),
    (64, Here(&["protocol::s64_names_of_any_bytes_come_each_once_and_forge_nothing"])),
    (65, Here(&["protocol::s65_forged_frames_end_the_request_and_take_no_memory"])),
    (66, Here(&["protocol::s66_a_helper_that_dribbles_is_given_up_at_the_one_deadline"])),
    (67, Here(&["protocol::s67_what_a_helper_writes_elsewhere_is_not_heard"])),
    (68, Here(&["protocol::s68_an_agent_without_descriptors_is_told_so_and_recovers"])),
    (69, Here(&["protocol::s69_good_containers_are_answered_among_bad_ones"])),
    (70, Here(&["protocol::s70_descriptors_that_a_helper_passes_are_not_taken"])),
];

#[test]
fn every_case_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source =
        |file: &str| fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut named = BTreeSet::new();
    for (at, (number, place)) in CASES.iter().enumerate() {
        assert_eq!(*number, at + 1);
        match place {
            Here(tests) => {
                assert!(!tests.is_empty(), "S{number:02}");
                for test in *tests {
                    let (file, name) = test.split_once("::").unwrap();
                    assert!(name.starts_with(&format!("s{number:02}_")), "{test}");
                    let source = source(&format!("tests/it/hostile/{file}.rs"));
                    assert!(source.contains(&format!("#[test]\nfn {name}()")), "there is no {test}");
                    named.insert(name.to_owned());
                }
            }
            Elsewhere { file, test, why } => {
                assert!(source(file).contains(&format!("fn {test}()")), "there is no {test} in {file}");
                assert!(!why.is_empty());
            }
        }
    }
    // And no test is forgotten here.
    for file in fs::read_dir(root.join("tests/it/hostile")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in source.lines().filter_map(|line| line.strip_prefix("fn s")) {
            let name = format!("s{}", line.split('(').next().unwrap());
            let is_case = name[1..].starts_with(|c: char| c.is_ascii_digit());
            assert!(!is_case || named.contains(&name), "{name} is not in the table");
        }
    }
}

#[test]
fn helpers_that_nobody_needs_end_by_themselves() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("idle").file("/app/file", "read"));
    let ask = Ask::read("/app/file");
    let asks: Vec<Ask> = (0..64).map(|_| ask.clone()).collect();
    for told in scene.together(&asks, 8, 0) {
        told.gives(b"read");
    }
    let (start, server) = (Instant::now(), scene.helpers()[0]);
    while scene.helpers() != [server] {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", scene.helpers());
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.ask(&ask).gives(b"read");
}
