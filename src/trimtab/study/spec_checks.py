"""What of a study cannot be run, said before anything is."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import StudyError, nearest
from trimtab.settings import initializations
from trimtab.settings.pools import PoolSettings
from trimtab.settings.reading import fits
from trimtab.settings.upcycled_models import UpcycledSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTORS: Final = ("model", "balancer", "expert_init", "capacity", "seed")
ENDPOINTS: Final = (
    "python_loss", "humaneval_nll", "mbpp_nll", "prequential_loss", "late_loss", "humaneval_pro_nll", "mbpp_pro_nll",
    "humaneval_pro_drop", "mbpp_pro_drop", "humaneval_pass1", "mbpp_pass1", "micro_pass1", "micro_pro_pass1",
)  # fmt: skip
BENCHMARKS_OF: Final = {
    "humaneval_nll": ("humaneval",),
    "mbpp_nll": ("mbpp-sanitized",),
    "humaneval_pro_nll": ("humaneval-pro",),
    "mbpp_pro_nll": ("mbpp-pro",),
    "humaneval_pro_drop": ("humaneval-pro", "humaneval"),
    "mbpp_pro_drop": ("mbpp-pro", "mbpp-sanitized"),
}
"""The benchmarks whose reference solutions an endpoint is measured on."""
GENERATED_FROM: Final = {"humaneval_pass1": "humaneval", "mbpp_pass1": "mbpp-sanitized"}
"""The benchmark whose problems in ``[evaluation] generated`` an endpoint is measured on."""
# What is measured only while tiny models generate, and only while a pretrained one learns.
_OF_FRESH_MODELS: Final = ("micro_pass1", "micro_pro_pass1")
_OF_PRETRAINED_MODELS: Final = (
    "prequential_loss", "late_loss", "humaneval_pro_drop", "mbpp_pro_drop", "humaneval_pass1", "mbpp_pass1",
)  # fmt: skip
_LEVEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+]*")


def check(study: Any, where: str) -> None:  # noqa: ANN401 - a Study, whose module reads this one
    """Refuse what cannot be run, before anything is.

    Raises:
        StudyError: Names the place, the value and what it does not go with.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", study.name):
        raise StudyError(f"{where}.name: {study.name!r} may hold letters, digits, '_' and '-' only")
    if not 0.5 <= study.confidence < 1:
        raise StudyError(f"{where}.confidence: {study.confidence} is not between 0.5 and 1")
    _check_names(study, where)
    _check_endpoints(study, where)
    _check_measured(study, where)
    if not any(study.combinations()):
        raise StudyError(f"{where}.select: no cell is in any of the tables, so nothing would be run")
    # What [[select]] leaves out need not fit.
    for chosen in study.combinations():
        model, balancer, init, capacity = (str(chosen[name]) for name in FACTORS[:-1])
        router, limits = study.models[model].router, study.capacities[capacity]
        if router is None:
            _refuse_idle(study.expert_inits[init], model, f"{where}.expert_inits.{init}")
            continue
        fits(partial(study.balancers[balancer].balancer.check_fit, router, limits), f"{where}.balancers.{balancer}")
        if isinstance(study.models[model], UpcycledSettings):
            _refuse_on_pretrained(study.expert_inits[init], study.models[model], f"{where}.expert_inits.{init}", model)
        fits(partial(study.expert_inits[init].check_fit, router), f"{where}.expert_inits.{init}")


def _check_endpoints(study: Any, where: str) -> None:  # noqa: ANN401 - as above
    """Refuse endpoints that are unknown or named twice, and a primary one without a margin."""
    for endpoint in (study.endpoints.primary, *study.endpoints.secondary):
        if endpoint not in ENDPOINTS:
            raise StudyError(f"{where}.endpoints: unknown endpoint {endpoint!r}", hint=nearest(endpoint, ENDPOINTS))
    named = (study.endpoints.primary, *study.endpoints.secondary)
    if len(set(named)) < len(named):
        raise StudyError(f"{where}.endpoints: {list(named)} names an endpoint twice")
    if study.endpoints.primary not in study.margins:
        raise StudyError(
            f"{where}.margins: the primary endpoint {study.endpoints.primary!r} has no margin",
            hint="write the largest difference that would not matter, in the endpoint's unit, before looking",
        )


def _refuse_on_pretrained(
    init: initializations.Initialization, settings: UpcycledSettings, where: str, model: str
) -> None:
    """Refuse what is done to a whole fresh model, and what the blocks of a pretrained one are already."""
    if isinstance(init, initializations.VirtualGroups):
        raise StudyError(
            f"{where}: virtual groups of a pretrained model are made when its block is cut",
            hint=f"[models.{model}] granularity = 2, for two experts to a group",
        )
    if isinstance(init, initializations.DepthScaled | initializations.CollapsedInputs):
        raise StudyError(
            f"{where}: {init.key!r} changes layers that are frozen in the pretrained model {model!r}",
            hint='preset = "sigmoid" or "softmax" starts from random weights',
        )
    if isinstance(init, initializations.IdenticalExperts) and settings.granularity == 1:
        raise StudyError(
            f"{where}: the experts of the pretrained model {model!r} are identical as they are made",
            hint='kind = "random" is the model as it is',
        )


def _refuse_idle(init: initializations.Initialization, model: str, where: str) -> None:
    """Refuse a stress of routers or experts on a model that has none."""
    if init.of_experts:
        raise StudyError(
            f"{where}: {init!r} would change nothing, because the model {model!r} has no router",
            hint="leave that combination out with [[select]]",
        )


def _check_measured(study: Any, where: str) -> None:  # noqa: ANN401 - as above
    """Refuse an endpoint that these models do not measure, or without its benchmark."""
    pretrained = isinstance(study.data, PoolSettings)
    if study.training.accumulation > study.data.rows:
        raise StudyError(
            f"{where}.training.accumulation: {study.training.accumulation} micro-batches cannot be made of"
            f" {study.data.rows} rows"
        )
    limits = study.evaluation.capacities
    if len(set(limits)) < len(limits):
        raise StudyError(f"{where}.evaluation.capacities: {list(limits)} names a capacity twice")
    _check_processes(study, f"{where}.training.processes", pretrained=pretrained)
    for endpoint in (study.endpoints.primary, *study.endpoints.secondary):
        for benchmark in BENCHMARKS_OF.get(endpoint, ()):
            if benchmark not in study.evaluation.benchmarks:
                raise StudyError(
                    f"{where}.endpoints: {endpoint!r} is measured on {benchmark!r}, which is not among"
                    f" {where}.evaluation.benchmarks = {list(study.evaluation.benchmarks)}"
                )
        if endpoint in (_OF_FRESH_MODELS if pretrained else _OF_PRETRAINED_MODELS):
            kind = "pretrained" if pretrained else "tiny"
            raise StudyError(f"{where}.endpoints: {endpoint!r} is not measured on {kind} models")
        if endpoint in GENERATED_FROM and not study.evaluation.generated:
            raise StudyError(
                f"{where}.endpoints: {endpoint!r} is measured on programs, and {where}.evaluation.generated names no"
                " problem to write one for",
                hint='generated = ["HumanEval/0", ...]: those that the dense model ever solves',
            )


def _check_processes(study: Any, where: str, *, pretrained: bool) -> None:  # noqa: ANN401 - as above
    """Refuse processes that would have other micro-batches than one process has."""
    schedule = study.training
    if schedule.processes > 1 and pretrained:
        raise StudyError(f"{where}: experts in a pretrained model are trained in one process, not {schedule.processes}")
    if study.resources.gpus not in (0, schedule.processes):
        raise StudyError(
            f"{where.rpartition('.training')[0]}.resources.gpus: a cell of {schedule.processes} processes computes on"
            f" {schedule.processes} GPUs or on none, not on {study.resources.gpus}",
            hint=f"gpus = {schedule.processes}, or training.processes = {study.resources.gpus}",
        )
    if schedule.processes > 1 and study.data.rows % (schedule.processes * schedule.accumulation):
        raise StudyError(
            f"{where}: {study.data.rows} rows cannot be shared evenly by {schedule.processes} processes in"
            f" {schedule.accumulation} micro-batches"
        )


def _check_names(study: Any, where: str) -> None:  # noqa: ANN401 - as above
    defined: dict[str, Mapping[str, Any]] = {
        "model": study.models,
        "balancer": study.balancers,
        "expert_init": study.expert_inits,
        "capacity": study.capacities,
    }
    for factor, table in defined.items():
        for level in map(str, study.factors[factor]):
            if level not in table:
                raise StudyError(
                    f"{where}.factors.{factor}: level {level!r} is not defined",
                    hint=f"add a table [{factor}s.{level}]".replace("capacitys", "capacities")
                    + f"; {nearest(level, table)}",
                )
            if not _LEVEL_NAME.fullmatch(level):
                raise StudyError(f"{where}.factors.{factor}: {level!r} may hold letters, digits, '_', '.', '+' only")
    chosen = {
        "reference.expert_init": (study.reference.expert_init, study.factors["expert_init"]),
        "reference.capacity": (study.reference.capacity, study.factors["capacity"]),
        "contrast.treatment": (study.contrast.treatment, study.factors["balancer"]),
        "contrast.control": (study.contrast.control, study.factors["balancer"]),
        **{
            f"contrast.also[{index}]": (arm, study.factors["balancer"]) for index, arm in enumerate(study.contrast.also)
        },
    }
    for key, (level, valid) in chosen.items():
        check_level(level, valid, f"{where}.{key}")
    if study.contrast.treatment == study.contrast.control:
        raise StudyError(f"{where}.contrast: treatment and control are both {study.contrast.control!r}")
    arms_named = (study.contrast.treatment, study.contrast.control, *study.contrast.also)
    if len(set(arms_named)) < len(arms_named):
        raise StudyError(f"{where}.contrast: {list(arms_named)} names an arm twice")


def check_level(level: object, valid: tuple[str | int, ...], where: str) -> None:
    """Refuse a level that ``[factors]`` does not hold.

    Raises:
        StudyError: Names the nearest one.
    """
    if level not in valid:
        raise StudyError(f"{where}: {level!r} is not a level in [factors]", hint=nearest(str(level), map(str, valid)))
