//! Surveys on kernels that lack something.

use portolan_world::need::Need;
use portolan_world::require;

use super::rig::Rig;

#[test]
fn without_looking_paths_up_in_memory_the_helper_says_what_changed() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::Program("nginx"));
    let rig = Rig::new();
    for name in [
        "services::again::a_service_of_which_nothing_changed_is_the_same_value",
        "services::again::a_file_that_is_edited_added_or_removed_is_read",
    ] {
        let (ran, missed) = rig.test(&["cached=1"], name);
        let output = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.code == Some(0) && output.contains("1 passed"), "{output}{}", ran.stderr);
        assert_eq!(missed, ["cached"]);
    }
}
