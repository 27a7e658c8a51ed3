"""Sampling against transformers' own generate, and what a batch may and may not change."""

import dataclasses

import pytest
import torch

from trimtab.codeeval.completion import Sampling
from trimtab.lm import models
from trimtab.lm.generate import LocalCompleter
from trimtab.settings.fresh_models import FreshModel

SIZE = FreshModel(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_experts=4,
                        moe_intermediate_size=16, intermediate_size=32, max_position_embeddings=64)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
PROMPTS = ["a", "hello", "ab", "zzzzzzz", "QRS", "ab"]


class Letters:
    """A tokenizer of one letter a token; ids 0 to 2 are special."""

    def encode(self, text):
        return [LETTERS.index(letter) + 3 for letter in text]

    def decode(self, ids):
        return "".join(LETTERS[i - 3] if i > 2 else "" for i in ids)


@pytest.fixture(scope="module", params=["sigmoid", "softmax"])
def model(request):
    built = models.build(dataclasses.replace(SIZE, preset=request.param), seed=0, vocab_size=50)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3)  # sharp enough that greedy choices are not ties
    return built


def texts(model, prompts=PROMPTS, batch_size=256, **sampling):
    completer = LocalCompleter(model=model, tokenizer=Letters(), batch_size=batch_size)
    found = list(completer.complete(prompts, Sampling(**{"max_new_tokens": 12, **sampling})))
    assert len({(c.prompt_index, c.sample_index) for c in found}) == len(found)
    return {(c.prompt_index, c.sample_index): c for c in found}


def test_greedy_is_what_transformers_generates(model):
    found = texts(model)
    model.eval()
    for index, prompt in enumerate(PROMPTS):
        ids = torch.tensor([[1, *Letters().encode(prompt)]])
        with torch.inference_mode():
            expected = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=12,
                do_sample=False,
                eos_token_id=2,
                pad_token_id=0,
            )[0, ids.shape[1] :].tolist()
        expected = expected[: expected.index(2)] if 2 in expected else expected
        assert found[index, 0].text == Letters().decode(expected)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_without_capacity_the_batch_changes_nothing(model, batch_size):
    together, apart = texts(model), texts(model, batch_size=batch_size)
    assert {key: c.text for key, c in together.items()} == {key: c.text for key, c in apart.items()}


def test_a_sample_depends_on_its_seed_and_not_on_how_many_are_drawn(model):
    one = texts(model, n=2, temperature=1.0, seed=5)
    more = texts(model, n=4, temperature=1.0, seed=5)
    other = texts(model, n=2, temperature=1.0, seed=6)
    assert all(more[key].text == completion.text for key, completion in one.items())
    assert any(other[key].text != completion.text for key, completion in one.items())
    assert one[2, 0].text != one[2, 1].text or one[3, 0].text != one[3, 1].text


def test_a_tiny_nucleus_is_greedy(model):
    greedy, nucleus = texts(model), texts(model, temperature=1.0, top_p=1e-6)
    assert {key: c.text for key, c in greedy.items()} == {key: c.text for key, c in nucleus.items()}


def test_a_stop_string_cuts_before_itself_and_ends_the_row(model):
    whole = texts(model)
    stop = next(c.text[3] for c in whole.values() if len(c.text) > 4)
    for key, cut in texts(model, stop=(stop,)).items():
        assert cut.text == whole[key].text.split(stop)[0]
        assert cut.finished == ("stop" if stop in whole[key].text else whole[key].finished)


def test_the_training_mode_is_put_back(model):
    model.train()
    texts(model, prompts=["a"])
    assert model.training
