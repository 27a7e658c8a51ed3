"""What a run was made with: machine, versions, sandbox, data. And the same as a check-up: ``trimtab doctor``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.errors import BenchmarkError, RunFolderError, StudyError
from trimtab.settings.upcycled_models import UpcycledSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from trimtab.study import store
    from trimtab.study.spec import Study

_PACKAGES: Final = ("trimtab", "torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "scipy")
# What a result depends on beside the study file: how a difference is put, and the way out.
_INGREDIENTS: Final = {
    "packages": ("", "install the same versions here"),
    "benchmarks": (
        "of the benchmarks that are scored or kept out of the training text it has",
        "name a folder with the same benchmarks in TRIMTAB_DATA on every machine and in every run",
    ),
    "text sources": ("text to train on is of ", "use the same Python and packages"),
    "weights": ("weights are ", "get the same weights"),
}
_EXTRAS: Final = {"hf": ("torch", "transformers", "accelerate", "tokenizers", "safetensors")}


def record(study: Study, folder: store.RunFolder, study_file: Path, *, allow_unsandboxed: bool) -> None:
    """Write ``environment.json`` and copy the study's controls into the run folder, before further cells are run.

    Raises:
        SandboxUnavailable: No tier of isolation holds here and ``allow_unsandboxed`` is False.
        StudyError: The controls file that the study names cannot be read.
        RunFolderError: The folder holds another study, or cells of it that this machine as it is now would not give:
            packages, benchmarks, the text to train on or weights have changed since.
    """
    own = study_file.resolve() in (folder.path.resolve(), folder.study.resolve())  # it has the controls already
    controls = None if study.controls is None or own else _read_controls(study_file.parent / study.controls)
    sandbox = attestation(allow_unsandboxed=allow_unsandboxed)
    folder.claim(study.text)
    before = disk.read_json(folder.environment) if folder.environment.exists() else {}
    given = ingredients(study)
    if before and any(folder.cell(cell.id).is_begun for cell in study.cells()):
        _refuse_other_ingredients(before, given, folder)
    if controls is not None:
        disk.write_atomic(folder.controls, controls)
    if before and not before["sandbox"]["enforced"]:
        sandbox = before["sandbox"]  # cells of an earlier run stay marked, whatever this machine can do
    facts = {"machine": machine(), **given, "sandbox": sandbox, "allow_unsandboxed": allow_unsandboxed}
    disk.write_json(folder.environment, facts)


def join(study: Study, folder: store.RunFolder, study_file: Path, *, allow_unsandboxed: bool) -> None:
    """Do what :func:`record` does as the first of several workers; as a later one, hold this machine against the first.

    Raises:
        RunFolderError: Packages, benchmarks, the text to train on or weights are others here than where the folder was
            begun, or generated code may run without isolation here and may not there.
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
    _refuse_other_ingredients(environment, ingredients(study), folder)
    attestation(allow_unsandboxed=allow_unsandboxed)


def ingredients(study: Study) -> dict[str, Any]:
    """Return all that goes into a result beside the study: packages, benchmarks, texts to train on, and weights.

    ``packages`` and ``text sources`` are name → version, ``weights`` are source → SHA-256 for pretrained models, and
    ``benchmarks`` are the names of those that are scored or kept out of the training text, as far as they are here.
    """
    from trimtab.lm import python_text, weights  # noqa: PLC0415 - a table needs neither
    from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST, load_benchmarks  # noqa: PLC0415 - reads the benchmarks

    present, _ = load_benchmarks(tuple(dict.fromkeys((*DEDUPLICATED_AGAINST, *study.evaluation.benchmarks))))
    models = [study.models[str(name)] for name in study.factors["model"]]
    read = {model.source for model in models if isinstance(model, UpcycledSettings)}
    return {
        "packages": packages(),
        "benchmarks": sorted(present),
        "text sources": {source.name: source.version for source in python_text.sources()},
        "weights": {source: weights.identity(weights.locate(source)) for source in sorted(read)},
    }


def refuse_other_benchmarks(folder: store.RunFolder, present: Collection[str]) -> None:
    """Refuse to go on with a cell whose text was made with other benchmarks than the run folder was begun with.

    Raises:
        RunFolderError: It names both.
    """
    began = disk.read_json(folder.environment) if folder.environment.exists() else {}
    _refuse_other_ingredients(began, {"benchmarks": sorted(present)}, folder)


def _refuse_other_ingredients(began: Mapping[str, Any], here: Mapping[str, Any], folder: store.RunFolder) -> None:
    """Refuse what would give other results than the cells that are there; older folders do not name everything."""
    differences, ways_out = [], []
    for part, (words, way_out) in _INGREDIENTS.items():
        there, present = began.get(part), here.get(part)
        if there is None or present is None or there == present:
            continue
        ways_out.append(way_out)
        if part == "benchmarks":
            differences.append(f"{words} {', '.join(present) or 'none'} (there {', '.join(there) or 'none'})")
            continue
        names = sorted(name for name in {*there, *present} if there.get(name) != present.get(name))
        values = (f"{name} {present.get(name, 'missing')} (there {there.get(name, 'missing')})" for name in names)
        differences.append(words + ", ".join(values))
    if differences:
        raise RunFolderError(
            f"this machine would give other results than where {folder.path} was begun: {'; '.join(differences)}",
            hint=f"{'; '.join(ways_out)}; or run the study in another folder with -o",
        )


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
