"""Rules and streams by what one would write in Python: ``LossFree(bias_update_rate=1e-3)``, ``Stationary(skew=3)``.

A name with literal keyword arguments and nothing else: it is read, never evaluated.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ConfigurationError, nearest
from trimtab.moe.simulate import streams
from trimtab.moe.simulate.choices import Choice, DynamicThreshold, ExpertChoice
from trimtab.moe.simulate.dumped_logits import Dumped
from trimtab.moe.simulate.streams import Stream
from trimtab.settings import rules
from trimtab.settings.families import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

# The streams of the standard table, each with what is hard about it.
STREAMS: Final[Mapping[str, str]] = {
    "iid": "Stationary()",
    "wide": "Stationary(scale=10)",
    "skewed": "Stationary(skew=3)",
    "saturated": "Stationary(skew=6)",
    "drifting": "Drifting()",
    "twins": "Twins(noise=1e-3)",
    "exact-twins": "Twins()",
    "zipf": "Atoms()",
    "dead": "Stationary(skew=-6)",
    "jump": "Jumping()",
    "heavy": "HeavyTailed()",
    "walk": "Walking()",
    "fixed": "Fixed()",
    "mixing": "Mixing()",
    "sharpening": "Sharpening()",
    "relay": "Relay()",
}


# Rules that give a token any number of experts, in the simulator alone.
CHOICES: Final[Mapping[str, type[Choice]]] = {"DynamicThreshold": DynamicThreshold, "ExpertChoice": ExpertChoice}


def rule(text: str) -> Rule | Choice:
    """Return the rule that ``text`` names.

    Raises:
        ConfigurationError: There is none of that name, its arguments are off, or it acts through a gradient, which a
            simulator of selections has not.
    """
    name = text.partition("(")[0].strip()
    if name in rules.BY_NAME and (reason := rules.BY_NAME[name].not_simulated):
        raise ConfigurationError(f"{text} {reason}", hint="simulate rules with a bias; train to see a loss at work")
    made = _make(text, {**rules.BY_NAME, **CHOICES}, "rule")
    assert isinstance(made, Rule | Choice)  # noqa: S101 - only such classes are offered
    return made


def stream(text: str) -> Stream:
    """Return the stream that ``text`` names: a name of the standard table, or a class of streams with its arguments.

    Raises:
        ConfigurationError: There is none, or its arguments are off.
    """
    classes = {
        name: cls
        for name, cls in vars(streams).items()
        if isinstance(cls, type) and issubclass(cls, Stream) and cls is not Stream
    }
    classes["Dumped"] = Dumped
    made = _make(STREAMS.get(text, text), classes, "stream", STREAMS)
    assert isinstance(made, Stream)  # noqa: S101 - only such classes are offered
    return made


def _make(text: str, classes: Mapping[str, type], kind: str, shortcuts: Mapping[str, str] | None = None) -> object:
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        call = ast.Name(id=text)
    name = call.func if isinstance(call, ast.Call) else call
    cls = classes.get(name.id) if isinstance(name, ast.Name) else None
    if cls is None:
        wanted = name.id if isinstance(name, ast.Name) else text
        raise ConfigurationError(f"there is no {kind} {text!r}", hint=nearest(wanted, [*classes, *(shortcuts or ())]))
    try:
        settings = _literals(call) if isinstance(call, ast.Call) else {}
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{kind} {text!r}: {error}", hint="as in Python: Name(setting=value)") from error
    return cls(**settings)


def _literals(call: ast.Call) -> dict[str, Any]:
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise TypeError("settings are given by name")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
