"""What several rooms' tests share."""

import importlib.util
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthetic():
    """The generator of run folders with known effects, tests/synthetic.py."""
    location = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def evidence_data():
    """The folder of the evidence data: TRIMTAB_DATA, or beside the repository."""
    shared = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRIMTAB_DATA") or shared) / "evidence"
    if not folder.is_dir():
        pytest.skip(f"no evidence data in {folder}: set TRIMTAB_DATA")
    return folder
