"""What several rooms' tests share."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthetic():
    """The generator of run folders with known effects, tests/synthetic.py."""
    location = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module
