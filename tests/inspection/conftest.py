"""A mixture to look into, and texts of two kinds."""

import json

import pytest

from trimtab.inspection.inspected_model import InspectedModel, load


@pytest.fixture
def inspected(mixture_folder):
    return load(str(mixture_folder))


@pytest.fixture
def in_memory():
    def make(model):
        class Bytes:
            def encode(self, text):
                return list(text.encode())

        return InspectedModel(name="in memory", model=model, tokenizer=Bytes(), pad=0)

    return make


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """Two files: prose of one long text, and JSON Lines of short prompts with completions."""
    folder = tmp_path_factory.mktemp("texts")
    prose = folder / "prose.txt"
    prose.write_text("The quick brown fox jumps over the lazy dog, and nobody minds. " * 12)
    lines = [
        {"prompt": f"def f{n}(x):\n", "completion": f"    return x * {n} + {n}\n" * (1 + n % 3)} for n in range(24)
    ]
    (folder / "code.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
