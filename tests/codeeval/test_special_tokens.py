"""Special tokens are read from a tokenizer's files, whichever of them names them."""

from __future__ import annotations

import json

import pytest

from trimtab.codeeval import extract, special_tokens
from trimtab.errors import BenchmarkError

TWO = [{"content": "«fin»", "special": True}, {"content": "«tool»", "special": False}]
NONE = [("{}", "names no special token"), ("{", "cannot be read"), (None, "has no tokenizer")]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        (
            "tokenizer.json",
            {"added_tokens": TWO},
        ),
        ("tokenizer_config.json", {"added_tokens_decoder": {"7": {"content": "«fin»", "special": True}}}),
        ("tokenizer_config.json", {"eos_token": "«fin»", "add_eos_token": True, "model_max_length": 9}),
        ("tokenizer_config.json", {"eos_token": {"content": "«fin»"}, "pad_token": None, "unk_token": "unk"}),
        ("special_tokens_map.json", {"additional_special_tokens": ["«fin»", "[", "  "]}),
        ("special_tokens_map.json", {"extra_special_tokens": {"fin_token": "«fin»"}}),
    ],
)
def test_special_tokens_are_found_and_words_and_signs_are_left_out(tmp_path, name, config):
    (tmp_path / name).write_text(json.dumps(config))
    assert special_tokens.read(tmp_path) == special_tokens.read(tmp_path / name) == ("«fin»",)
    found = extract.clean(extract.Function("f"), "def f():\n    return 1«fin»", tokens=("«fin»",))
    assert found == ("def f():\n    return 1", ("end",))
    assert extract.identity(("«fin»",)) != extract.identity()


@pytest.mark.parametrize(("text", "said"), NONE)
def test_what_is_no_tokenizer_is_named(tmp_path, text, said):
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(BenchmarkError, match=said):
        special_tokens.read(tmp_path)
