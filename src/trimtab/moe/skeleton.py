"""What the routers of a checkpoint look like, from its configuration alone: no weight is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.settings.rules import NoBalancer

if TYPE_CHECKING:
    from trimtab.moe.routes import RouteShape


def route_shape_of(model: str) -> RouteShape:
    """Return the shape of routes of the model in a folder or under a hub name.

    Raises:
        ConfigurationError: There is no such model, or it has no router.
        UnsupportedModelError: A router of it cannot be read.
    """
    try:
        config = AutoConfig.from_pretrained(model)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--model {model}: {str(error).splitlines()[0]}") from error
    return attach(empty, balancer=NoBalancer()).route_shape
