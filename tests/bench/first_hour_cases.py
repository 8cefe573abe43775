# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases of the first hour: what somebody's own project and servers bring along, and the tests that hold what happens then.

1 is what the project says about its VM, 2 what the service permits, 3 what a newcomer reads and types. `first_hour.py cases` prints them;
tests/unit/test_repo_first_hour.py sees that each test is there. What no test holds is in UNCOVERED.
"""

from __future__ import annotations

import ast
import functools
import typing as t
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
_NODE = "unit/plugins/module_utils/_node/test_node_%s.py"
_HOST = "unit/plugins/module_utils/_host/test_host_%s.py"
_PLUGIN = "unit/plugins/plugin_utils/test_plugin_%s.py"
_BATCHES = "unit/plugins/module_utils/_fleet/test_fleet_batches.py"
_REPO = "unit/test_repo_%s.py"
_PROJECT = "unit/plugins/module_utils/_project/test_project_%s.py"
_BOOTSTRAP = "unit/plugins/module_utils/_bootstrap/test_bootstrap_%s.py"
_RESTART = "integration/targets/beam_restart/test_restart_proof.py"
_TREE = "unit/plugins/module_utils/_release/test_release_tree.py"
_AWX = "integration/targets/example_awx/test_example_awx.py"
_INIT = "integration/targets/project_init/test_project_init.py"
_SERVICE, _ROLLOUT, _ZERO = "fleet/test_service.py", "fleet/test_rollout.py", "fleet/test_zero.py"


class Case(t.NamedTuple):
    number: str
    name: str
    tests: tuple[str, ...]


def _case(number: str, name: str, *tests: tuple[str, str]) -> Case:
    return Case(number, name, tuple("%s::%s" % pair for pair in tests))


CASES = (
    _case(
        "1.1",
        "vm.args with Elixir's own lines for a node without epmd",
        (_NODE % "vm_flags", "test_what_the_vm_makes_of_vm_args_beside_the_flags_of_the_service"),
        (_RESTART, "test_a_release_with_lines_for_a_node_without_epmd"),
    ),
    _case(
        "1.2",
        "name and cookie in vm.args, also for a migration beside the node",
        (_NODE % "vm_flags", "test_erlexec_makes_the_same_of_it"),
        (_RESTART, "test_a_release_that_calls_its_node_otherwise_and_listens_elsewhere"),
        ("integration/targets/beam_migrate/test_migrate.py", "test_a_name_in_vm_args_is_not_for_a_migration"),
    ),
    _case(
        "1.3",
        "a cookie in env.sh, a cluster without beam_cookie, a cookie that would be published",
        (_NODE % "vm_settings", "test_what_can_not_work_is_refused_by_name_and_blames_no_release"),
        (_REPO % "service", "test_what_is_refused_is_named"),
        (_TREE, "test_secrets_stop_a_publish"),
    ),
    _case(
        "1.4",
        "a node's name that env.sh or the server's address decides",
        (_RESTART, "test_a_shell_reaches_the_node_under_the_name_that_env_sh_computes"),
        (_BOOTSTRAP % "run", "test_a_node_of_a_cluster_is_named_by_its_address_before_each_start"),
        (_REPO % "service", "test_a_node_of_a_cluster_is_named_at_each_boot"),
    ),
    _case(
        "1.5",
        "service_dist_listen with a private address",
        (_RESTART, "test_a_release_that_calls_its_node_otherwise_and_listens_elsewhere"),
    ),
    _case(
        "1.6",
        "a distribution over IPv6, as fly launch writes it",
        (_RESTART, "test_ipv6_as_fly_writes_it"),
        (_NODE % "vm_settings", "test_what_can_not_work_is_refused_by_name_and_blames_no_release"),
    ),
    _case(
        "1.7",
        "-heart, and a node that is restarted meanwhile",
        (_RESTART, "test_heart_does_not_bring_a_killed_node_back"),
        (_NODE % "restart", "test_a_restart_by_the_manager_meanwhile"),
    ),
    _case(
        "1.8",
        "two applications on one host, on one port of the distribution",
        (_HOST % "claim", "test_a_port_of_the_distribution_that_another_service_has"),
        (_RESTART, "test_a_port_of_the_distribution_that_another_application_has"),
    ),
    _case(
        "2.1",
        "programs that map memory which is writable and executable",
        (_REPO % "service", "test_what_the_unit_forbids_and_what_permits_it"),
        (_NODE % "boot_reason", "test_words_and_whose_fault"),
        (_PROJECT % "init", "test_programs_that_the_unit_would_forbid"),
    ),
    _case(
        "2.2",
        "a node that asks for its own addresses",
        (_SERVICE, "test_the_unit_lets_a_node_ask_for_its_own_addresses"),
    ),
    _case(
        "2.3",
        "true, null and numbers in beam_env",
        (_PLUGIN % "environment", "test_a_value_arrives"),
        (_PLUGIN % "environment", "test_what_would_not_arrive_is_named"),
        (_PLUGIN % "environment", "test_numbers_are_as_they_are_written"),
        (_REPO % "service", "test_the_environment_of_the_node"),
    ),
    _case(
        "2.4",
        "values of several lines, and files with an owner and a mode",
        (_PLUGIN % "environment", "test_a_value_arrives"),
        (_SERVICE, "test_secrets_are_where_they_belong"),
    ),
    _case(
        "2.5",
        "PHX_SERVER is not set",
        (_NODE % "boot_reason", "test_phoenix_that_does_not_listen"),
        (_NODE % "boot_reason", "test_an_endpoint_that_is_silent_about_it"),
        (_PLUGIN % "advice", "test_a_gate_that_no_user_would_notice_is_told"),
    ),
    _case(
        "2.6",
        "a release that is called like something of the system",
        (_HOST % "claim", "test_what_exists_and_is_not_ours_is_refused"),
        (_SERVICE, "test_what_is_the_system_s_is_not_taken"),
        (_BOOTSTRAP % "bundle", "test_what_is_on_the_server_and_not_the_kit_s_is_refused_before_anything_is_made"),
    ),
    _case(
        "2.7",
        "libraries that are never loaded, or found elsewhere",
        (_HOST % "abi", "test_what_is_never_loaded_is_no_reason_to_refuse"),
        (_HOST % "abi", "test_libraries_that_somebody_says_are_not_needed"),
        (_HOST % "abi", "test_directories_of_the_environment_of_the_service"),
    ),
    _case(
        "2.8",
        "include_erts: false",
        (_HOST % "erlang", "test_no_erlang"),
        (_HOST % "erlang", "test_another_erlang"),
        (_HOST % "erlang", "test_the_erlang_that_it_was_built_with"),
    ),
    _case(
        "2.9",
        "an application that writes into its own priv",
        (_HOST % "read_only", "test_a_file_of_a_release_can_t_be_written_and_may_be_replaced"),
        (_HOST % "read_only", "test_root_may_write_whatever_the_mode_says_and_reaches_no_layer"),
        (_NODE % "boot_reason", "test_words_and_whose_fault"),
    ),
    _case(
        "2.10",
        "environment files that systemd takes",
        (_NODE % "envfile", "test_what_systemd_takes_of_a_file"),
        (_NODE % "envfile", "test_files_of_a_unit"),
        (_SERVICE, "test_environment_files_that_systemd_takes_are_no_reason_not_to_restart"),
    ),
    _case(
        "2.11",
        "a database that is away at boot, a child that is killed for memory",
        (_REPO % "service", "test_a_node_that_can_t_boot_is_started_again_for_as_long_as_it_takes"),
        (_SERVICE, "test_a_unit_that_gave_up_is_started_again"),
    ),
    _case(
        "2.12",
        "SELinux",
        (_HOST % "selinux", "test_setup_says_what_systemd_may_not_execute"),
        (_HOST % "selinux", "test_a_file_without_a_label"),
        (_NODE % "boot_reason", "test_selinux_is_named"),
    ),
    _case(
        "3.1",
        "a failed first deploy, and who is out of the balancer after it",
        (_ROLLOUT, "test_whom_a_failed_first_rollout_took_out_the_next_one_brings_back"),
        (_PLUGIN % "rotation", "test_no_run_forgets_whom_an_earlier_one_took_out"),
        (_PLUGIN % "rotation", "test_who_is_out_by_somebody_elses_hand_is_named_with_what_brings_it_in"),
        (_PLUGIN % "rotation", "test_status_says_who_gets_requests_and_whose_doing_it_is"),
    ),
    _case(
        "3.2",
        "a variable that nothing reads",
        (_PLUGIN % "settings", "test_a_misspelt_variable_is_refused_with_the_nearest_name"),
        (
            "integration/targets/rollout/test_rollout.py",
            "test_14_what_can_be_known_to_be_wrong_is_refused_before_anything_is_done",
        ),
        (_REPO % "roles", "test_a_playbook_does_nothing_before_it_has_looked_for_what_nothing_reads"),
    ),
    _case(
        "3.3",
        "a changed beam_env without another setup",
        ("integration/targets/rollout/test_rollout.py", "test_15_settings_that_only_setup_writes_are_named"),
        (_NODE % "drift", "test_what_differs_is_named_and_no_value_is_told"),
    ),
    _case(
        "3.4",
        "why a node did not boot",
        (_NODE % "boot_reason", "test_the_first_cause_is_the_reason"),
        (_NODE % "boot_reason", "test_bytes_become_text"),
        (_NODE % "systemd", "test_the_log_of_a_start_has_nothing_of_the_process_before"),
        (_SERVICE, "test_a_setting_that_is_wrong_is_told_and_not_blamed"),
        (_ZERO, "test_3_a_version_that_fails"),
    ),
    _case(
        "3.5",
        "messages in the words of a playbook, with the next step",
        (_REPO % "hints", "test_hints_speak_the_words_of_a_playbook"),
        (_REPO % "hints", "test_a_hint_begins_a_sentence"),
    ),
    _case(
        "3.6",
        "batches and a floor that can't hold",
        (_BATCHES, "test_batches_that_make_no_sense_are_named"),
        (_BATCHES, "test_a_floor_that_no_restart_could_hold_is_refused"),
        (
            "integration/targets/rollout/test_rollout.py",
            "test_14_what_can_be_known_to_be_wrong_is_refused_before_anything_is_done",
        ),
    ),
    _case(
        "3.7",
        "what a run prints",
        (_PLUGIN % "screen", "test_what_changed_is_one_line_for_all_hosts"),
        (_PLUGIN % "screen", "test_a_playbook_of_this_collection_is_quiet_by_itself"),
        (_PLUGIN % "screen", "test_which_python_was_found_is_no_news"),
    ),
    _case(
        "3.8",
        "the inventory of the README as it stands",
        (_REPO % "documented", "test_the_inventory_of_the_readme_is_the_one_that_a_test_runs"),
        (_ZERO, "test_1_the_first_page"),
    ),
    _case(
        "3.9",
        "from zero to a Phoenix application on three servers, as it is typed",
        (_ZERO, "test_1_the_first_page"),
        (_ZERO, "test_2_a_second_version"),
        (_ZERO, "test_4_the_setting_and_again"),
        (_REPO % "documented", "test_the_links_of_a_page_lead_somewhere"),
    ),
    _case(
        "3.10",
        "init: an inventory from a project",
        (_PROJECT % "init", "test_a_phoenix_application_as_mix_phx_new_makes_it"),
        (_PROJECT % "init", "test_no_secret_of_the_repository_is_written"),
        (_PROJECT % "init", "test_it_writes_once_and_keeps_what_a_person_changed"),
        (_INIT, "test_setup_names_each_blank"),
        (_INIT, "test_filled_in_it_deploys_and_serves"),
    ),
    _case(
        "3.11",
        "ansible-doc's examples, and AWX",
        (_REPO % "documented", "test_the_examples_of_a_module_are_what_it_takes"),
        (_AWX, "test_1_a_job_template_with_a_survey_deploys"),
        (_AWX, "test_5_a_job_that_fails_says_why_and_where"),
    ),
)

UNCOVERED = (
    "1.7: an application that restarts its own VM (init:restart) is in no test",
    "2.1: no test starts Chrome, Node or a wasm runtime under the unit; their words in a log are from recorded runs and reports",
    "2.11: no test kills a child for its memory: hosts of the fleet have no cgroup controllers",
    "2.12: no host of the tests enforces SELinux; its tools are stood in for",
    "3.8, 3.9: the application of the tests has the layout of mix phx.new, without Phoenix; a real one was deployed by hand",
    "3.10: public projects were read by hand, and are in no test",
    "3.11: ansible-runner runs the jobs as AWX does; AWX itself was not run",
)


@functools.cache
def _functions(file: str) -> frozenset[str]:
    path = TESTS / file
    if not path.exists():
        return frozenset()
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    )


def gone(cases: t.Iterable[Case] = CASES) -> list[str]:
    """What a case names and no file has."""
    return [
        test
        for case in cases
        for test in case.tests
        if test.partition("::")[2] not in _functions(test.partition("::")[0])
    ]


def held(cases: t.Iterable[Case] = CASES) -> list[Case]:
    """The cases whose tests are all there."""
    return [case for case in cases if case.tests and not gone([case])]
