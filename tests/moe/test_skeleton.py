"""The shape of a checkpoint's routes, from its configuration alone."""

import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.skeleton import route_shape_of
from trimtab.settings.rules import NoBalancer


def test_it_is_that_of_the_model(build, any_family, tmp_path):
    model = build(any_family)
    model.config.save_pretrained(tmp_path)
    assert route_shape_of(str(tmp_path)) == attach(model, balancer=NoBalancer()).route_shape


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=f"--model {tmp_path}"):
        route_shape_of(str(tmp_path))
