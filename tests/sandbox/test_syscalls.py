"""The tables agree with this machine's own headers, and between the two machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab.sandbox import syscalls

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernel_headers(machine):
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip(f"{header} is not installed")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="ascii")))
    aliases = {"newfstatat": found.get("newfstatat", found.get("fstatat"))}
    known = {
        name: int(aliases.get(name) or found.get(name, number)) for name, number in syscalls.TABLES[machine].items()
    }
    assert known == syscalls.TABLES[machine]


def test_new_calls_have_one_number_everywhere():
    x86, arm = syscalls.TABLES["x86_64"], syscalls.TABLES["aarch64"]
    assert {name: (x86[name], arm[name]) for name in x86.keys() & arm.keys() if 424 <= x86[name] != arm[name]} == {}


def test_what_is_allowed_outright_has_a_number():
    assert set(syscalls.TABLES["x86_64"]) >= syscalls.PLAIN
