"""How a number was obtained, from the words around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.claims import settings
from trimtab.claims.claim_model import MeasurementSetting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HumanEval Pro (0-shot), pass@1", MeasurementSetting(shots=0, k=1)),
        ("three-shot, greedy decoding on 164 problems", MeasurementSetting(shots=3, decoding="greedy", problems=164)),
        ("pass_at_10", MeasurementSetting()),
        ("pass 10 with sampling", MeasurementSetting(k=10, decoding="sampled")),
        ("0-shot and 5-shot", MeasurementSetting()),
        ("the sanitized split", MeasurementSetting(split="sanitized")),
        ("a screenshot of 12 one-shots", MeasurementSetting(shots=1)),
        ("", MeasurementSetting()),
    ],
)
def test_read(text, expected):
    assert settings.read(text) == expected


@given(st.integers(0, 9), st.integers(1, 99))
def test_what_it_says_is_read_back(shots, k):
    made = MeasurementSetting(shots=shots, k=k)
    assert settings.read(f"{shots}-shot pass@{k}") == made
    assert settings.over(made, settings.NOTHING) == settings.over(settings.NOTHING, made) == made


@pytest.mark.parametrize(
    ("claimed", "found", "fields"),
    [
        (MeasurementSetting(), MeasurementSetting(k=1), ()),
        (MeasurementSetting(), MeasurementSetting(k=10), ("k",)),
        (MeasurementSetting(k=10), MeasurementSetting(k=1), ("k",)),
        (MeasurementSetting(shots=0), MeasurementSetting(), ()),
        (MeasurementSetting(shots=0), MeasurementSetting(shots=1), ("shots",)),
    ],
)
def test_a_pass_rate_without_k_is_pass_at_one(claimed, found, fields):
    assert settings.conflicts(claimed, found) == fields
