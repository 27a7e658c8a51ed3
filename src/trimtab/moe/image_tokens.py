"""Which tokens of a forward pass stand for images or video, by the ids that a model was called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

_NAMES: Final = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")


def image_tokens(calls: Iterable[tuple[nn.Module, Mapping[str, Any]]]) -> Tensor | None:
    """Return [T] whether a token is one of an image or a video; None where all are text.

    Args:
        calls: The models under way and what each was called with, outermost first.

    Raises:
        ConfigurationError: The configuration names such tokens, and the model was called without ids.
    """
    for module, arguments in calls:
        config = getattr(module, "config", None)
        ids = {getattr(config, name, None) for name in _NAMES} - {None}
        if not ids:
            continue
        tokens = arguments.get("input_ids")
        if not isinstance(tokens, torch.Tensor):
            raise ConfigurationError(
                f"{type(module).__name__} was called without input_ids: which of its tokens are images is not known",
                hint="call it with input_ids beside pixel_values, or choose LossFree(...), one bias for all",
            )
        image = torch.zeros_like(tokens, dtype=torch.bool)
        for token in ids:
            image |= tokens == token
        return image.flatten()
    return None
