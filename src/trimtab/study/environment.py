"""What a run was made with: machine, versions, sandbox, data. And the same as a check-up: ``trimtab doctor``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.errors import BenchmarkError, RunFolderError, StudyError

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.study import store
    from trimtab.study.spec import Study

_PACKAGES: Final = ("trimtab", "torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "scipy")
_EXTRAS: Final = {"hf": ("torch", "transformers", "accelerate", "tokenizers", "safetensors")}


def record(study: Study, folder: store.RunFolder, study_file: Path, *, allow_unsandboxed: bool) -> None:
    """Write ``environment.json`` and copy the study's controls into the run folder.

    Raises:
        SandboxUnavailable: No tier of isolation holds here and ``allow_unsandboxed`` is False.
        StudyError: The controls file that the study names cannot be read.
        RunFolderError: The folder holds another study.
    """
    controls = None if study.controls is None else _read_controls(study_file.parent / study.controls)
    sandbox = attestation(allow_unsandboxed=allow_unsandboxed)
    folder.claim(study.text)
    if controls is not None:
        disk.write_atomic(folder.controls, controls)
    before = disk.read_json(folder.environment) if folder.environment.exists() else {}
    if before and not before["sandbox"]["enforced"]:
        sandbox = before["sandbox"]  # cells of an earlier run stay marked, whatever this machine can do
    facts = {
        "machine": machine(),
        "packages": packages(),
        "benchmarks": benchmarks(study),
        "sandbox": sandbox,
        "allow_unsandboxed": allow_unsandboxed,
    }
    disk.write_json(folder.environment, facts)


def join(study: Study, folder: store.RunFolder, study_file: Path, *, allow_unsandboxed: bool) -> None:
    """Do what :func:`record` does as the first of several workers; as a later one, hold this machine against the first.

    Raises:
        RunFolderError: Packages that a result depends on have other versions here than where the folder was begun, a
            benchmark that the study reads is here and not there or the other way round, or generated code may run
            without isolation here and may not there.
        SandboxUnavailable: No tier of isolation holds here and ``allow_unsandboxed`` is False.
        StudyError: The controls file that the study names cannot be read.
    """
    if not folder.environment.exists():
        record(study, folder, study_file, allow_unsandboxed=allow_unsandboxed)
        return
    environment = disk.read_json(folder.environment)
    # What a cell may do without isolation stands in the folder, so here each cell would fail, and rank worst.
    if allow_unsandboxed and not environment["allow_unsandboxed"]:
        raise RunFolderError(
            f"{folder.path} was begun without --allow-unsandboxed, and all its workers run generated code isolated",
            hint="leave the option out, or run the study in another folder",
        )
    began, here = environment["packages"], packages()
    names = sorted(name for name in {*began, *here} if began.get(name) != here.get(name))
    if names:
        versions = ", ".join(
            f"{name} {here.get(name, 'missing')} (there {began.get(name, 'missing')})" for name in names
        )
        raise RunFolderError(
            f"this machine would give other results than where {folder.path} was begun: {versions}",
            hint="install the same versions here, or run the study in another folder",
        )
    present, present_there = benchmarks(study), environment.get("benchmarks")  # None in older folders
    if present_there is not None and present != present_there:
        raise RunFolderError(
            f"this machine would give other results than where {folder.path} was begun: of the benchmarks that are"
            f" scored or kept out of the training text it has {', '.join(present) or 'none'}"
            f" (there {', '.join(present_there) or 'none'})",
            hint="name a folder with the same benchmarks in TRIMTAB_DATA on every machine",
        )
    attestation(allow_unsandboxed=allow_unsandboxed)


def benchmarks(study: Study) -> list[str]:
    """Return which of the benchmarks that the study scores, or keeps out of its training text, are on this machine."""
    from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST, load_benchmarks  # noqa: PLC0415 - reads the benchmarks

    present, _ = load_benchmarks(tuple(dict.fromkeys((*DEDUPLICATED_AGAINST, *study.evaluation.benchmarks))))
    return sorted(present)


def _read_controls(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"controls file {source} cannot be read: {error}", hint="fix or remove `controls`") from error


def machine() -> dict[str, Any]:
    """Describe this machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def packages() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def attestation(*, allow_unsandboxed: bool) -> dict[str, Any]:
    """Start a sandbox, let it test itself, and return what it observed.

    Raises:
        SandboxUnavailable: No tier holds and ``allow_unsandboxed`` is False.
    """
    from trimtab.sandbox.broker import Sandbox  # noqa: PLC0415 - starting one takes a moment

    with Sandbox(allow_unsandboxed=allow_unsandboxed) as box:
        return dict(box.attestation)


def doctor() -> dict[str, str]:
    """Say in a line each what this machine can do and, where it cannot, what would change that."""
    facts = machine()
    return {
        "machine": f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}",
        "python": facts["python"],
        "workers": f"{facts['cores']} cells side by side at one thread each",
        **_sandbox_lines(),
        **{f"extra {name}": _extra_line(name, modules) for name, modules in _EXTRAS.items()},
        **{f"data {name}": _data_line(name) for name in ("humaneval", "mbpp-sanitized")},
    }


def _sandbox_lines() -> dict[str, str]:
    """Describe each tier and each layer of isolation, with the command that would mend one."""
    from trimtab.sandbox import diagnosis  # noqa: PLC0415 - starting sandboxes takes a moment

    findings = diagnosis.examine()
    best = next((f.name for f in findings if f.holds and f.name.startswith("tier")), None)
    lines = {
        "sandbox": f"{best} holds (observed by canaries)" if best else "NO TIER HOLDS: generated code will not run"
    }
    return lines | {f"sandbox {f.name}": f"{f.text}. Fix: {f.fix}" if f.fix else f.text for f in findings}


def _extra_line(name: str, modules: tuple[str, ...]) -> str:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"missing {', '.join(missing)}: pip install 'trimtab[{name}]'" if missing else "installed"


def _data_line(name: str) -> str:
    from trimtab.codeeval import problems  # noqa: PLC0415 - a check-up reads the data, a run need not

    try:
        found = problems.load(name)
    except BenchmarkError as error:
        return f"not here: {error}"
    return f"{len(found.problems)} problems from {found.source}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a device, not a path of ours
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
