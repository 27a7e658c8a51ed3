"""Every row of the hostile tables that the design was made from has a test here: the table, and a check of the table.

The rows are those of a survey of five harnesses with sixty samples, and of a survey of ways out of a sandbox. A
reference is ``file:test`` or ``file:DICTIONARY.entry``; each must exist, and a dictionary's entries must be what a test
runs.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

_FILES = "test_files_outside_cannot_be_read_written_changed_or_listed"
_PROCESSES = "confine:test_no_process_can_be_started_or_touched"
_NETWORK = "confine:test_no_network_of_any_kind"
_CALLS = "confine:test_calls_that_no_sample_needs_are_refused_by_the_filter"

# The sixty samples: forged verdicts, denials of service, crashes, escapes, and programs that must pass.
SAMPLES = {
    "exit0_module": "hostile:FORGING.exit0_module",
    "_exit0_module": "hostile:FORGING.os_exit0_module",
    "exit0_in_call": "hostile:FORGING.exit0_in_call",
    "systemexit_in_call": "hostile:FORGING.systemexit_in_call",
    "atexit_exit0": "hostile:FORGING.atexit_exit0",
    "excepthook_exit0": "hostile:FORGING.excepthook_exit0",
    "always_equal": "hostile:FORGING.always_equal_object",
    "always_equal_num": "hostile:FORGING.always_equal_int hostile:FORGING.always_equal_float",
    "always_equal_list": "hostile:FORGING.always_equal_in_list hostile:FORGING.always_equal_list_subclass",
    "patch_abs": "hostile:FORGING.patch_builtins",
    "patch_numpy_allclose": "hostile:FORGING.patch_numpy_allclose",
    "frame_result_list": "hostile:FORGING.frame_locals_append",
    "frame_stat_value": "hostile:FORGING.frame_stat_value",
    "frame_expected": "hostile:FORGING.frame_expected",
    "frame_read_tests": "hostile:FORGING.frame_read_tests",
    "trace_jump": "hostile:FORGING.trace_jump",
    "settrace_noassert": "hostile:FORGING.settrace",
    "answer_key_import": "hostile:FORGING.answer_key_import confine:test_answer_keys_installed_here_are_out_of_reach",
    "gc_find_tests": "hostile:FORGING.gc_find_tests",
    "loop": "hostile:ENDING.loop",
    "loop_swallow": "hostile:ENDING.loop_swallow",
    "loop_no_alarm": "hostile:ENDING.loop_no_alarm",
    "sleep": "hostile:ENDING.sleep",
    "c_bigint": "hostile:ENDING.big_power",
    "sigstop_self": "hostile:ENDING.sigstop_self",
    "ignore_sigterm_loop": "hostile:ENDING.ignore_signals",
    "stdin_input": "hostile:ENDING.stdin",
    "stdin_fd0": "hostile:ENDING.stdin_fd0",
    "output_flood_print": "hostile:ENDING.print_flood",
    "output_flood_fd": "hostile:ENDING.fd_flood",
    "mem_bomb": "hostile:ENDING.memory_once",
    "mem_list_grow": "hostile:ENDING.memory",
    "recursion_segv": "hostile:ENDING.recursion_c",
    "ctypes_segv": "hostile:ENDING.null",
    "sigkill_self": "hostile:ENDING.sigkill_self",
    "close_fds": "hostile:ENDING.close_fds",
    "fork_children": f"{_PROCESSES} profile:test_what_a_sample_leaves_running_is_ended",
    "daemon_setsid": f"{_PROCESSES} profile:test_what_a_sample_leaves_running_is_ended",
    "posix_spawn": _PROCESSES,
    "subprocess_shell": _PROCESSES,
    "kill_parent": _PROCESSES,
    "unlink_outside": f"confine:{_FILES} profile:test_nothing_outside_scratch_can_be_written",
    "truncate_outside": f"confine:{_FILES}",
    "write_outside": f"confine:{_FILES} profile:test_nothing_outside_scratch_can_be_written",
    "net_connect": _NETWORK,
    "read_secret": f"confine:{_FILES} broker:test_no_secret_of_the_broker_reaches_a_sample",
    "thread_nondaemon": "hostile:ENDING.non_daemon_thread profile:THREADED.non_daemon",
    "ok_plain": "broker:LEGITIMATE.plain",
    "ok_print_lots": "broker:LEGITIMATE.print broker:test_output_kept_is_bounded",
    "ok_getcwd": "broker:LEGITIMATE.getcwd profile:PLAIN.getcwd",
    "ok_daemon_thread": "profile:THREADED.daemon",
    "ok_nondaemon_thread": "profile:THREADED.non_daemon",
    "ok_main_block": "broker:LEGITIMATE.main_block profile:PLAIN.main_block",
    "ok_dataclass": "broker:LEGITIMATE.dataclass",
    "ok_recursion": "broker:LEGITIMATE.recursion",
    "ok_stdin_guard": "broker:LEGITIMATE.stdin_guard",
    "ok_tempfile": "profile:THREADED.tempfile",
    "ok_numpy": "profile:PLAIN.numpy",
    "ok_logging": "broker:LEGITIMATE.logging profile:PLAIN.logging",
    "ok_lru_cache": "broker:LEGITIMATE.lru_cache",
}

# The ways out of a sandbox.
WAYS_OUT = {
    "TCP, UDP, unix, raw, netlink, DNS": _NETWORK,
    "AF_VSOCK": _NETWORK,
    "datagram pair and sendmsg to a path": _NETWORK,
    "files of the machine": "confine:test_files_of_the_machine_cannot_be_read",
    "environment of the broker at tier C": "confine:test_files_of_the_machine_cannot_be_read",
    "write, unlink, rename, link, mknod outside": f"confine:{_FILES}",
    "chmod and utime outside": f"confine:{_FILES}",
    "stat outside": "confine:test_files_outside_do_not_exist_at_tier_a",
    "fill disk and inodes": "profile:test_scratch_is_bounded_in_size_and_number_of_files",
    "state left for the next sample": "profile:test_a_sample_finds_an_empty_scratch_folder_whatever_the_last_one_did",
    "memory bomb": "hostile:ENDING.memory hostile:ENDING.memory_once hostile:ENDING.many_bits",
    "memfd, shared memory, message queues": f"{_PROCESSES} {_CALLS}",
    "fork bomb": f"{_PROCESSES} profile:test_tasks_are_bounded profile:test_a_fork_bomb_is_bounded_and_ended",
    "500 threads": "profile:test_tasks_are_bounded",
    "exec": f"{_PROCESSES} profile:test_processes_run_under_lib_and_only_there",
    "loops, signals, stopping itself": "hostile:ENDING.loop_swallow hostile:ENDING.ignore_signals "
    "hostile:ENDING.sigstop_self",
    "kill of others": f"{_PROCESSES} confine:test_signals_cannot_be_sent_round_about",
    "prlimit on the zygote": _PROCESSES,
    "ptrace, process_vm, pidfd_getfd, kcmp": f"{_CALLS} confine:test_files_of_the_machine_cannot_be_read",
    "forty calls for namespaces, mounts, modules, rings": _CALLS,
    "inherited descriptors": "confine:test_only_the_sample_s_own_descriptors_are_open",
    "daemonised grandchildren": "profile:test_what_a_sample_leaves_running_is_ended",
    "stdout flood": "hostile:ENDING.print_flood hostile:ENDING.fd_flood broker:test_output_kept_is_bounded",
    "reply flood, deep JSON, garbage frames": "hostile:ENDING.reply_flood hostile:ENDING.deep_frame "
    "hostile:ENDING.socket_flood hostile:ENDING.deep_reply attacks:ATTACKS.longest_length",
    "null dereference, recursion in C": "hostile:ENDING.null hostile:ENDING.recursion_c",
    "stdin": "hostile:ENDING.stdin broker:LEGITIMATE.stdin_guard",
    "exit status as verdict": "hostile:FORGING.exit0_module hostile:FORGING.os_exit0_in_call",
    "patched builtins, tracing, code of the test": "hostile:FORGING.patch_builtins hostile:FORGING.settrace "
    "hostile:FORGING.code_swap",
    "descriptors of the harness written to": "hostile:FORGING.forge_frames hostile:FORGING.forge_report",
}

# Dictionaries of programs, and the test that runs all of their entries.
RUN_BY = {
    "hostile:FORGING": "broker:test_no_forged_verdict_is_accepted",
    "hostile:ENDING": "broker:test_each_ending_has_its_outcome_and_the_next_sample_is_unharmed",
    "broker:LEGITIMATE": "broker:test_right_programs_pass",
    "profile:PLAIN": "profile:test_no_legitimate_program_fails",
    "profile:THREADED": "profile:test_no_legitimate_program_fails",
    "attacks:ATTACKS": "attacks:test_no_attack_wins_under_any_oracle_and_the_next_sample_is_judged_rightly",
}


@cache
def contents(file):
    """The tests and the dictionaries' entries of a file here, and which names each test is parametrized by."""
    name = "hostile.py" if file == "hostile" else f"test_{file}.py"
    body = ast.parse(Path(__file__).with_name(name).read_text(encoding="utf-8")).body
    found = {node.name: ast.unparse(node) for node in body if isinstance(node, ast.FunctionDef)}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            found |= {f"{name}.{key.value}": "" for key in node.value.keys if isinstance(key, ast.Constant)}
    return found


def test_both_tables_are_whole():
    assert (len(SAMPLES), len(WAYS_OUT)) == (60, 29)


@pytest.mark.parametrize("row", [*SAMPLES, *WAYS_OUT])
def test_each_row_has_a_test(row):
    for reference in (SAMPLES | WAYS_OUT)[row].split():
        file, name = reference.split(":")
        assert name in contents(file), f"{row}: there is no {reference}"
        if "." in name:
            run_by, test = RUN_BY[f"{file}:{name.partition('.')[0]}"].split(":")
            dictionary = name.partition(".")[0]
            assert dictionary in contents(run_by)[test], f"{row}: {test} does not run {dictionary}"
