"""What all models of a study have in common; the key ``preset`` of ``[models.NAME]`` chooses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trimtab.settings.reading import Setting

if TYPE_CHECKING:
    from trimtab.settings.shapes import RouterShape


class ModelSettings(Setting):
    """What a study knows of a model before it is built.

    A class of models names its presets in ``presets`` and has a field ``preset``; the first preset of ``MODELS`` is
    what a table without the key means. ``data`` and ``evaluation`` are what ``[data]`` and ``[evaluation]`` of a study
    on it hold.
    """

    __slots__ = ()
    presets: ClassVar[tuple[str, ...]] = ()
    data: ClassVar[type[Setting]] = Setting
    evaluation: ClassVar[type[Setting]] = Setting

    @property
    def router(self) -> RouterShape:
        """What its routers are like, for the checks of rules and initializations."""
        raise AttributeError(f"{type(self).__name__} does not say what its routers are like")
