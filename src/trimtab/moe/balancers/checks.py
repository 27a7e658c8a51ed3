"""Refusing settings that cannot work, in the same words everywhere."""

from __future__ import annotations

import math
from typing import get_args

from trimtab.errors import ConfigurationError, nearest


def positive(value: float, where: str) -> None:
    """Refuse a rate or coefficient that does nothing or explodes.

    Raises:
        ConfigurationError: ``value`` is not positive and finite.
    """
    if not (value > 0 and math.isfinite(value)):
        raise ConfigurationError(
            f"{where} must be positive and finite, got {value!r}", hint="NoBalancer() does nothing"
        )


def known(value: str, literal: object, where: str) -> None:
    """Refuse a name that is not among the arguments of a ``Literal``.

    Raises:
        ConfigurationError: With the nearest valid name.
    """
    if value not in get_args(literal):
        raise ConfigurationError(f"{where} does not know {value!r}", hint=nearest(str(value), get_args(literal)))
