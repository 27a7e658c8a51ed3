"""The maker of small files in other tools' forms, and the problems that they are about."""

import importlib.util
from pathlib import Path

import pytest

from trimtab.codeeval import problems


@pytest.fixture(scope="session")
def made():
    """The module formats_made.py, beside this file."""
    location = importlib.util.spec_from_file_location("formats_made", Path(__file__).with_name("formats_made.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def humaneval():
    return problems.load("humaneval").problems
