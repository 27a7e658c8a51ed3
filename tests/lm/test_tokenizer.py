import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import ConfigurationError
from trimtab.lm.tokenizer import BOS, EOS, PAD, SPECIALS, Tokenizer

TEXTS = ["def add(a, b):\n    return a + b\n", "for x in range(10):\n    print(x)\n"] * 20
LEARNED = Tokenizer.train(TEXTS, 300)


@given(st.text())
def test_any_text_comes_back(text):
    assert LEARNED.decode(LEARNED.encode(text)) == text


@given(st.binary())
def test_any_bytes_come_back(data):
    text = data.decode("latin-1")
    assert LEARNED.decode(LEARNED.encode(text)).encode("latin-1") == data


@given(st.text())
def test_byte_lengths_add_up(text):
    assert LEARNED.byte_lengths()[LEARNED.encode(text)].sum() == len(text.encode())


@given(st.text(alphabet="0123456789 .", max_size=20))
def test_digits_stand_alone(text):
    pieces = [LEARNED.decode([number]) for number in LEARNED.encode(text)]
    assert all(piece.isdigit() is False or len(piece) == 1 for piece in pieces)
    assert [piece for piece in pieces if piece.isdigit()] == [sign for sign in text if sign.isdigit()]


def test_special_tokens_are_not_read_from_text():
    for special in SPECIALS:
        ids = LEARNED.encode(special)
        assert {PAD, BOS, EOS}.isdisjoint(ids)
        assert LEARNED.decode([BOS, *ids, EOS, PAD]) == special


def test_training_is_deterministic_and_survives_saving(tmp_path):
    again = Tokenizer.train(TEXTS, 300)
    again.save(tmp_path / "again.json")
    LEARNED.save(tmp_path / "first.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "first.json").read_bytes()
    loaded = Tokenizer.load(tmp_path / "first.json")
    assert loaded.encode("return <eos> 42") == LEARNED.encode("return <eos> 42")
    assert loaded.encode_all(TEXTS[:2]) == [LEARNED.encode(text) for text in TEXTS[:2]]


def test_merges_are_learned():
    assert len(LEARNED.encode("return")) < len("return")
    assert LEARNED.vocab_size <= 300


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(ConfigurationError, match="vocab_size 258"):
        Tokenizer.train(TEXTS, 258)
