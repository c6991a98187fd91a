//! The attacks on dialing (S71 to S82 of the threat model), and the tests that show what holds.

use std::fs;
use std::path::Path;

/// Number, what is tried, and the tests, by their file here.
const CASES: [(u32, &str, &[&str]); 12] = [
    (
        71,
        "the host listens on the same address and port",
        &[
            "inside::the_containers_listener_is_reached_and_never_the_hosts_on_the_same_port",
            "connectors::a_client_that_connects_again_does_so_inside_and_never_on_the_host",
            "ureq::every_connection_of_an_agent_is_made_inside",
            "udp::a_connected_socket_hears_its_peer_alone_and_a_bound_one_tells_who_spoke",
        ],
    ),
    (
        72,
        "loopback down, no route, container gone, while the host listens",
        &[
            "failures::a_loopback_that_is_down_is_unreachable_although_the_host_listens_there",
            "failures::an_address_without_a_route_is_unreachable",
            "dying::a_container_that_ended_is_gone_whoever_has_its_pid_and_its_port_now",
            "dying::a_container_that_ends_while_it_is_dialed_is_gone_long_before_the_deadline",
        ],
    ),
    (
        73,
        "a container on the host's network",
        &["failures::a_target_on_the_hosts_network_is_refused_unless_that_is_allowed"],
    ),
    (
        74,
        "no way home, or no descriptor for it",
        &[
            "homecoming::a_rootless_agent_dials_and_scans_without_sending_a_thread_of_its_own",
            "silence::without_a_descriptor_left_it_is_said_so_and_the_next_dial_works",
            "silence::without_the_right_to_enter_nothing_is_dialed_and_the_missing_right_is_named",
        ],
    ),
    (
        75,
        "a thread that is left inside, or a socket of another namespace",
        &["crowd::ten_thousand_dials_while_containers_die_leave_no_socket_thread_or_descriptor_astray"],
    ),
    (
        76,
        "a thread whose home is not that of the main thread",
        &["homecoming::a_thread_that_the_agent_itself_moved_is_brought_back_to_where_it_was"],
    ),
    (
        77,
        "packets that are swallowed",
        &[
            "silence::a_network_that_swallows_every_packet_is_given_up_at_the_deadline",
            "failures::a_listener_that_never_answers_is_given_up_at_the_deadline",
            "connectors::a_connection_that_is_given_up_leaves_nothing",
        ],
    ),
    (
        78,
        "a peer that drips, or takes a byte at a time",
        &["ureq::an_answer_that_drips_and_a_peer_that_takes_a_byte_at_a_time_end_at_the_deadline"],
    ),
    (79, "a redirect to the host", &["ureq::a_redirect_leads_nowhere_but_inside"]),
    (
        80,
        "resets, half-closed streams, oneself, answers from elsewhere",
        &[
            "failures::a_peer_that_takes_the_connection_and_resets_it_is_an_error_of_the_stream",
            "failures::a_port_that_the_dialing_socket_is_given_itself_is_nobody",
            "inside::the_end_of_the_input_is_passed_on_and_the_answer_still_comes",
            "udp::a_connected_socket_hears_its_peer_alone_and_a_bound_one_tells_who_spoke",
        ],
    ),
    (
        81,
        "names, scopes, mapped addresses",
        &[
            "connectors::a_name_is_refused_and_only_the_loopback_has_one",
            "failures::a_scope_is_a_number_of_the_containers_interfaces_and_a_mapped_address_is_inside_too",
            "names::the_hosts_files_and_name_servers_are_not_asked",
            "names::hostile_files_cost_little_and_say_nothing",
        ],
    ),
    (
        82,
        "a secret for a hostile listener: nothing is sent that the caller did not say",
        &[
            "connectors::a_connector_to_one_address_leaves_the_name_to_the_client",
            "ureq::a_proxy_of_the_agents_environment_is_not_used",
        ],
    ),
];

#[test]
fn every_attack_on_dialing_has_its_tests() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dial");
    for (at, (number, what, tests)) in (71..).zip(CASES) {
        assert!(at == number && !what.is_empty() && !tests.is_empty(), "S{number}");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let source = fs::read_to_string(directory.join(file).with_extension("rs")).unwrap();
            assert!(source.contains(&format!("#[test]\nfn {name}()")), "S{number}: there is no {test}");
        }
    }
}
