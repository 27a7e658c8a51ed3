"""The models that a study file can name, and how its tables are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.reading import chosen, read
from trimtab.settings.upcycled_models import UpcycledSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.settings.model_settings import ModelSettings

MODELS: Final[tuple[type[ModelSettings], ...]] = (FreshModel, UpcycledSettings)
BY_PRESET: Final[Mapping[str, type[ModelSettings]]] = {name: model for model in MODELS for name in model.presets}


def read_model(table: Mapping[str, Any], where: str) -> ModelSettings:
    """Read ``[models.NAME]``: its key ``preset`` says which other keys there are.

    Raises:
        StudyError: The preset is unknown, or a value cannot be.
    """
    preset = table.get("preset", MODELS[0].presets[0])
    beside = {f"preset = {name!r}": model for name, model in BY_PRESET.items()}
    return read(chosen(BY_PRESET, preset, f"{where}.preset", "preset"), table, where, beside=beside)
