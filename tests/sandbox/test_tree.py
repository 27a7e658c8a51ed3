"""What may be read is the standard library by name, never installed packages as a whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trimtab.sandbox import kernel, tree
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.profile import PURE

if sys.platform != "linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)


@pytest.fixture
def layout(tmp_path):
    """A Python installation like the official container images': libraries and standard library under one folder."""
    for path in ("lib/python3.11/json/__init__.py", "lib/python3.11/os.py", "lib/python3.11/site-packages/key/a.py",
                 "lib/python3.11/dist-packages/b.py", "lib/python3/dist-packages/c.py", "lib/libpython3.so.1",
                 "lib/notes.txt"):  # fmt: skip
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "lib"


def covered(rules, path, right):
    return any(rights & right and (path == Path(place) or Path(place) in path.parents) for place, rights in rules)


def test_rules_list_the_standard_library_without_installed_packages(layout):
    stdlib = layout / "python3.11"
    rules = tree.rules(tree.Readable(stdlib=str(stdlib), libraries=(str(layout),), packages=()), PURE)
    for path in ("python3.11/os.py", "python3.11/json/__init__.py", "libpython3.so.1"):
        assert covered(rules, layout / path, kernel.FS_READ_FILE), path
    for path in (
        "python3.11/site-packages/key/a.py",
        "python3.11/dist-packages/b.py",
        "python3/dist-packages/c.py",
        "notes.txt",
    ):
        assert not covered(rules, layout / path, kernel.FS_READ_FILE), path
    assert all(rights & ~(kernel.FS_READ_FILE | kernel.FS_READ_DIR) == 0 for _, rights in rules)


def test_an_allow_listed_package_is_all_that_is_added(layout):
    package = layout / "python3.11/site-packages/key"
    places = (str(package),)
    seen = tree.Readable(stdlib=str(layout / "python3.11"), libraries=(), packages=places, places=places)
    rules = tree.rules(seen, PURE)
    assert covered(rules, package / "a.py", kernel.FS_READ_FILE)
    assert not covered(rules, package.parent / "other/a.py", kernel.FS_READ_FILE)


def test_every_folder_of_installed_packages_is_masked(layout):
    masks = {Path(mask).relative_to(layout) for mask in tree._installed(str(layout))}
    assert masks == {
        Path("python3.11/site-packages"), Path("python3.11/dist-packages"), Path("python3/dist-packages"),
    }  # fmt: skip
    assert {Path(m).name for m in tree._installed(str(layout / "python3.11"))} == {"site-packages", "dist-packages"}


def test_folders_inside_others_are_bound_once():
    assert tree._outermost(["/usr/lib", "/usr/lib/python3", "/usr/libx", "/opt"]) == ["/opt", "/usr/lib", "/usr/libx"]


def test_survey_finds_the_running_interpreter():
    found = tree.survey((), PURE, mounts=True)
    assert Path(found.stdlib, "os.py").samefile(os.__file__)
    assert all(Path(folder).is_dir() for folder in found.libraries)
    assert any(name.startswith("libc.so") for folder in found.libraries for name in os.listdir(folder))  # noqa: PTH208


@pytest.mark.parametrize("mounts", [True, False])
def test_a_package_whose_place_the_private_tree_takes_is_seen_elsewhere(mounts):
    taken = "/tmp/x/six.py"  # noqa: S108 - a place, nothing is made there
    found = tree.survey((taken, "/opt/y"), PURE, mounts=mounts)
    assert found.places == ((f"/admitted{taken}" if mounts else taken), "/opt/y")


def test_packages_under_tmp_cost_no_tier(best, tmp_path, monkeypatch):
    if best.attestation["tier"] != "A" or not str(tmp_path.resolve()).startswith("/tmp/"):  # noqa: S108
        pytest.skip("no namespaces here, or temporary files elsewhere")
    (tmp_path / "admitted_here.py").write_text("VALUE = 7\n")
    tmp_path.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    program = "import admitted_here\ndef f(): return admitted_here.VALUE"
    for profile in ("pure", "threads"):
        with Sandbox(packages=["admitted_here"], profile=profile) as box:
            assert (box.attestation["tier"], box.reasons) == ("A", {})
            assert box.call(program, [("f", ())]).values == (7,)
