"""A study: named levels of each factor, and what is measured on every combination of them.

The file is the study. Every scientific setting is in it; nothing here depends on the machine or on torch. A level is a
name in ``[factors]`` and a table that says what the name means; a cell is one level of each factor with everything
resolved, and its identity is a hash of exactly that, so a changed setting is a changed cell.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Mapping  # noqa: TC003 - annotations of settings are resolved
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from trimtab.errors import StudyError, nearest
from trimtab.settings import initializations, model_settings, model_tables
from trimtab.settings.reading import Setting, encode, read, setting, table_of
from trimtab.settings.runs import CorpusSettings, Evaluation, Resources, Schedule
from trimtab.study import arms
from trimtab.study.spec_checks import ENDPOINTS, FACTORS, check, check_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trimtab.settings.capacities import Capacity
    from trimtab.settings.pools import PlaceEvaluation, PoolSettings

Kind = TypeVar("Kind")


@setting
class Contrast(Setting):
    """The two arms whose degradation is compared: the answer is D_treatment − D_control.

    ``also`` names further arms that are compared with the same control, in the same families of tests.
    """

    treatment: str
    control: str
    also: tuple[str, ...] = ()


@setting
class Reference(Setting):
    """The unstressed level of each stressor."""

    expert_init: str
    capacity: str


@setting
class Endpoints(Setting):
    """What is concluded from: one primary endpoint, and others that share a Holm family."""

    primary: str
    secondary: tuple[str, ...] = ()


@setting
class ControlSetting(Setting):
    """``[[control]]``: two levels of the models that an endpoint must tell apart, or must not.

    A positive control is a stress that must cost at least ``threshold`` of the endpoint; a negative one is a change of
    name that must cost less. ``stress`` and ``reference`` name levels; what they leave out is at its reference.
    ``evaluated_at`` is the evaluation capacity of the stressed side.
    """

    name: str
    kind: Literal["positive", "negative"]
    factor: str
    endpoint: str
    threshold: float
    stress: Mapping[str, str]
    reference: Mapping[str, str]
    evaluated_at: str = "dropless"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One level of each factor, everything resolved.

    ``factors`` holds the names, ``settings`` what they mean; both are plain values.
    """

    factors: Mapping[str, str | int]
    settings: Mapping[str, Any]

    @property
    def id(self) -> str:
        """A readable slug and eight hexadecimal digits of the canonical JSON of this cell."""
        payload = {"factors": dict(self.factors), "settings": dict(self.settings)}
        canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        slug = "-".join(str(value) for key, value in self.factors.items() if key != "seed")
        return f"{slug}-s{self.factors['seed']}_{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A parsed study file."""

    name: str
    description: str
    factors: Mapping[str, tuple[str | int, ...]]
    reference: Reference
    contrast: Contrast
    endpoints: Endpoints
    margins: Mapping[str, float]
    confidence: float
    models: Mapping[str, model_settings.ModelSettings]
    balancers: Mapping[str, arms.Arm]
    expert_inits: Mapping[str, initializations.Initialization]
    capacities: Mapping[str, Capacity]
    data: CorpusSettings | PoolSettings
    training: Schedule
    evaluation: Evaluation | PlaceEvaluation
    resources: Resources
    select: tuple[Mapping[str, tuple[str | int, ...]], ...]
    control: tuple[ControlSetting, ...]
    controls: str | None
    text: str

    def cells(self) -> Iterator[Cell]:
        """Yield the cells in the order in which they are run.

        Every combination of levels, seeds outermost so that an interrupted study holds whole replicates. With
        ``[[select]]`` those that one of its tables admits, table after table, so that the first is decided first.
        """
        settings: dict[tuple[str | int, ...], dict[str, Any]] = {}
        for chosen in self.combinations():
            levels = tuple(chosen[name] for name in FACTORS[:-1])
            if levels not in settings:  # the seeds of a condition share them
                settings[levels] = self._settings(chosen)
            yield Cell(factors=chosen, settings=settings[levels])

    def combinations(self) -> Iterator[dict[str, str | int]]:
        """Yield the level of each factor of every cell."""
        names = ("seed", *FACTORS[:-1])
        every = [
            dict(zip(names, values, strict=True))
            for values in itertools.product(*(self.factors[name] for name in names))
        ]
        for chosen in sorted(every, key=self._place):  # stable
            if self._place(chosen) < max(1, len(self.select)):
                yield {name: chosen[name] for name in FACTORS}

    def _place(self, chosen: Mapping[str, str | int]) -> int:
        """Return the number of the first ``[[select]]`` table that admits a cell, or how many there are."""
        for index, table in enumerate(self.select):
            if all(chosen[name] in admitted for name, admitted in table.items()):
                return index
        return len(self.select)

    def _settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": encode(self.models[chosen["model"]]),
            "balancer": arms.to_table(self.balancers[chosen["balancer"]]),
            "expert_init": initializations.initialization_table(self.expert_inits[chosen["expert_init"]]),
            "capacity": encode(self.capacities[chosen["capacity"]]),
            "data": encode(self.data),
            "training": encode(self.training),
            "evaluation": encode(self.evaluation),
        }


def load(path: Path) -> Study:
    """Read a study file.

    Raises:
        StudyError: The file is missing, is not TOML, or cannot be run; the message names file, key and value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"study file {path} cannot be read: {error}") from error
    return parse(text, where=str(path))


def parse(text: str, where: str = "study") -> Study:
    """Parse the text of a study file; ``where`` names it in messages.

    Raises:
        StudyError: See :func:`load`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where} is not TOML: {error}") from error
    study = _study(table, text, where)
    check(study, where)
    return study


_SEEDS: Final = 2**62
_TOP: Final = (
    "name", "description", "controls", "confidence", "factors", "select", "control", "reference", "contrast",
    "endpoints", "margins", "models", "balancers", "expert_inits", "capacities", "data", "training", "evaluation",
    "resources",
)  # fmt: skip


def _study(table: dict[str, Any], text: str, where: str) -> Study:
    for key in table:
        if key not in _TOP:
            raise StudyError(f"{where}: unknown key {key!r}", hint=nearest(key, _TOP))
    for key in ("name", "factors", "reference", "contrast", "endpoints", "balancers"):
        if key not in table:
            raise StudyError(f"{where}: missing key {key!r}")
    models = _named(table, "models", model_tables.read_model, where, default={"tiny": {}})
    factors = _factors(table_of(table["factors"], f"{where}.factors"), models, f"{where}.factors")
    kind = _kind_of_model(factors, models, where)
    return Study(
        name=_string(table["name"], f"{where}.name"),
        description=_string(table.get("description", ""), f"{where}.description"),
        factors=factors,
        reference=_table(table, "reference", Reference, where),
        contrast=_table(table, "contrast", Contrast, where),
        endpoints=_table(table, "endpoints", Endpoints, where),
        margins=_margins(table_of(table.get("margins", {}), f"{where}.margins"), f"{where}.margins"),
        confidence=_number(table.get("confidence", 0.95), f"{where}.confidence"),
        models=models,
        balancers=_named(table, "balancers", arms.from_table, where),
        expert_inits=_named(table, "expert_inits", initializations.read_initialization, where, default={"random": {}}),
        capacities=_named(table, "capacities", arms.capacity_from_table, where, default={"dropless": {}}),
        data=_table(table, "data", kind.data, where),
        training=_table(table, "training", Schedule, where),
        evaluation=_table(table, "evaluation", kind.evaluation, where),
        resources=_table(table, "resources", Resources, where),
        select=tuple(_select(entry, factors, at) for entry, at in _array(table, "select", where)),
        control=tuple(_control(entry, factors, at) for entry, at in _array(table, "control", where)),
        controls=None if "controls" not in table else _string(table["controls"], f"{where}.controls"),
        text=text,
    )


def _kind_of_model(
    factors: Mapping[str, tuple[str | int, ...]], models: Mapping[str, model_settings.ModelSettings], where: str
) -> Any:  # noqa: ANN401 - a class whose [data] and [evaluation] are classes too
    """Return the class of the study's models, which says what its texts and measurements are like."""
    used = {type(models[str(name)]): str(name) for name in factors["model"] if str(name) in models}
    if len(used) > 1:
        raise StudyError(
            f"{where}.factors.model: {' and '.join(map(repr, used.values()))} learn from different texts",
            hint="one study for tiny models and one for pretrained ones",
        )
    return next(iter(used), model_tables.MODELS[0])


def _table(table: dict[str, Any], key: str, kind: type[Kind], where: str) -> Kind:
    """Read ``[key]``, all defaults where it is absent."""
    return read(kind, table_of(table.get(key, {}), f"{where}.{key}"), f"{where}.{key}")


def _named(
    table: dict[str, Any],
    key: str,
    reader: Callable[[dict[str, Any], str], Kind],
    where: str,
    *,
    default: dict[str, Any] | None = None,
) -> dict[str, Kind]:
    """Read each ``[key.NAME]``."""
    named = table_of(table.get(key, default), f"{where}.{key}")
    return {
        name: reader(table_of(value, f"{where}.{key}.{name}"), f"{where}.{key}.{name}") for name, value in named.items()
    }


def _factors(table: dict[str, Any], models: Mapping[str, Any], where: str) -> dict[str, tuple[str | int, ...]]:
    for key in table:
        if key not in FACTORS:
            raise StudyError(f"{where}: unknown key {key!r}", hint=nearest(key, FACTORS))
    table = {"model": sorted(models)[:1], **table}
    result: dict[str, tuple[str | int, ...]] = {}
    for name in FACTORS:
        kind: type = int if name == "seed" else str
        if name not in table:
            level = {"seed": "[0, 1, 2]", "capacity": '["dropless"]'}.get(name, '["NAME"]')
            raise StudyError(
                f"{where}: missing factor {name!r}", hint=f"a factor that does not vary has one level: {name} = {level}"
            )
        values = table[name]
        if not isinstance(values, list) or not values or any(type(value) is not kind for value in values):
            raise StudyError(f"{where}.{name}: expected a list of {kind.__name__}, got {values!r}")
        if len(set(values)) < len(values):
            raise StudyError(f"{where}.{name}: {values!r} names a level twice")
        if name == "seed" and min(values) < 0:
            raise StudyError(f"{where}.seed: {min(values)} is negative")
        if name == "seed" and max(values) >= _SEEDS:
            raise StudyError(f"{where}.seed: {max(values)} is larger than a random generator takes", hint="below 2**62")
        result[name] = tuple(values)
    return result


def _array(table: dict[str, Any], key: str, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each table of ``[[key]]`` with its place."""
    entries = table.get(key, [])
    if not isinstance(entries, list):
        raise StudyError(f"{where}.{key}: expected tables headed [[{key}]], got {entries!r}")
    for index, entry in enumerate(entries):
        yield table_of(entry, f"{where}.{key}[{index}]"), f"{where}.{key}[{index}]"


def _select(
    entry: dict[str, Any], factors: Mapping[str, tuple[str | int, ...]], where: str
) -> dict[str, tuple[str | int, ...]]:
    for name, admitted in entry.items():
        if name not in FACTORS:
            raise StudyError(f"{where}: unknown factor {name!r}", hint=nearest(name, FACTORS))
        if not isinstance(admitted, list):
            raise StudyError(f"{where}.{name}: expected a list of levels, got {admitted!r}")
        for level in admitted:
            check_level(level, factors[name], f"{where}.{name}")
    return {name: tuple(admitted) for name, admitted in entry.items()}


def _control(entry: dict[str, Any], factors: Mapping[str, tuple[str | int, ...]], where: str) -> ControlSetting:
    control = read(ControlSetting, entry, where)
    for side, levels_of in (("stress", control.stress), ("reference", control.reference)):
        for name, level in levels_of.items():
            check_level(level, factors.get(name, ()), f"{where}.{side}.{name}")
    if control.endpoint not in ENDPOINTS:
        raise StudyError(f"{where}.endpoint: unknown {control.endpoint!r}", hint=nearest(control.endpoint, ENDPOINTS))
    return control


def _margins(table: dict[str, Any], where: str) -> dict[str, float]:
    for key, value in table.items():
        if key not in ENDPOINTS:
            raise StudyError(f"{where}: unknown endpoint {key!r}", hint=nearest(key, ENDPOINTS))
        if not 0 < _number(value, f"{where}.{key}") < math.inf:
            raise StudyError(f"{where}.{key}: a margin must be positive and finite, got {value!r}")
    return {key: float(value) for key, value in table.items()}


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise StudyError(f"{where}: expected str, got {value!r}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StudyError(f"{where}: expected float, got {value!r}")
    return float(value)
