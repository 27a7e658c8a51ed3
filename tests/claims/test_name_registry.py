"""Which spellings are one name, and where a text uses them."""

import pytest

from trimtab.claims.name_registry import Registry
from trimtab.claims.vocabulary import HeaderTerm
from trimtab.claims.wording import key
from trimtab.errors import ClaimError


@pytest.fixture(scope="module")
def registry():
    return Registry.load()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qwen2.5-Coder-7B-base", "Qwen2.5Coder-7B-base"),
        ("GPT4-Turbo", "GPT-4-Turbo"),
        ("DeepseekV2.5", "DeepSeek-V2.5"),
        ("LLaMA3-70B-instruct", "LLaMa-3-70B-Instruct"),
        ("HumanEval (+)", "humaneval+"),
    ],
)
def test_spellings_of_one_name(one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Qwen2.5", "Qwen25"), ("HumanEval", "HumanEval+"), ("GPT-4", "GPT-4o"), ("7B-base", "7B")]
)
def test_what_must_stay_apart(one, other):
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("76.2 on HumanEval Pro and MBPP", ["humaneval_pro", "mbpp"]),
        ("humaneval_pro_0shot", ["humaneval_pro"]),
        ("he_pro_pass1", ["humaneval_pro"]),
        ("BCB-Lite Pro", ["bigcodebench_lite_pro"]),
        ("MBPP+ and HE", ["mbpp_plus", "humaneval"]),
        ("he said so", []),
        ("HumanEval-X is another benchmark", []),
    ],
)
def test_the_longest_name_wins_and_parts_of_longer_ones_are_none(registry, text, expected):
    assert [one.id for one in registry.find(text, ("benchmarks",))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("96.2% pass@1 on HumanEval", ["pass@1"]),
        ("Pass@10, pass @ 5 and pass@k.", ["Pass@10", "pass @ 5", "pass@k"]),
        ("pass@3 or pass@200.", ["pass@3", "pass@200"]),
        ("pass@1. Then we", ["pass@1"]),
        ("F1 and accuracy (pass@20)", ["F1", "accuracy", "pass@20"]),
        # Addresses, at a domain of digits and at others.
        ("write to pass@163.com or pass@1.example.org", []),
        ("loss@example.org, me@loss.org and first.loss@example.org", []),
        ("acc@126.com and f1@k.org", []),
        ("accuracy@5 is not ours to know", []),
        ("they pass 164 problems", []),
    ],
)
def test_metrics_at_k_and_no_addresses(registry, text, expected):
    assert [one.text for one in registry.find(text, ("metrics",))] == expected


@pytest.mark.parametrize("text", ["pass@1", "pass@7", "Pass @ 64", "pass@k"])
def test_every_k_is_one_metric(registry, text):
    assert registry.id_of(text, "metrics") == "pass"


def test_a_file_can_name_metrics_at_k(tmp_path):
    path = tmp_path / "more.toml"
    path.write_text('[metrics.recall]\nnames = ["recall@k", "R@k"]\n')
    found = Registry.load(path).find("R@5 of 71.2 and recall@20 of 88.0", ("metrics",))
    assert [(one.id, one.text) for one in found] == [("recall", "R@5"), ("recall", "recall@20")]


def test_mentions_say_where_they_are(registry):
    text = "On HumanEval  Pro (0-shot)"
    (found,) = registry.find(text, ("benchmarks",))
    assert text[found.start : found.end] == found.text == "HumanEval  Pro"


def test_auxiliary_loss_free_is_not_the_auxiliary_loss(registry):
    assert [one.id for one in registry.find("auxiliary-loss-free balancing", ("methods",))] == ["loss_free"]
    assert [one.id for one in registry.find("an auxiliary loss", ("methods",))] == ["auxiliary_loss"]


def test_a_model_of_the_sources_is_not_found_inside_another(registry):
    more = {"gpt4o": HeaderTerm(kind="models", spellings=frozenset())}
    assert registry.find("GPT-4o-mini", ("models",), more=more) == []
    assert registry.find("(GPT-4o)", ("models",), more=more)[0].text == "GPT-4o"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Parser reaches 90", ["Parser"]),
        ("Parser + Aligner reaches 90", ["Parser + Aligner"]),
        ("Parser + dropout reaches 90", []),
        ("Parser +dropout reaches 90", []),
        ("Baseline + Parser reaches 90", []),
        ("Parser, 300 dimensions", ["Parser"]),
        ("Andor et al. (2016) reach 94", ["Andor et al. (2016)"]),
        ("Andor et al., 2016, reach 94", ["Andor et al., 2016"]),
        ("NBT - CNN reaches 84", ["NBT - CNN"]),
    ],
)
def test_a_system_is_found_as_a_whole(registry, text, expected):
    more = {
        key(one): HeaderTerm(kind="models", spellings=frozenset({one}))
        for one in ("Parser", "Parser + Aligner", "Andor et al. (2016)", "NBT-CNN", "CNN")
    }
    assert [one.text for one in registry.find(text, ("models",), more=more)] == expected


def test_a_metric_in_capitals_may_have_its_digit_apart(registry):
    assert [one.id for one in registry.find("78.76 on F 1", ("metrics",))] == ["f1"]


def test_a_file_adds_names_and_spellings(tmp_path):
    path = tmp_path / "more.toml"
    path.write_text('[benchmarks.mbpp]\nnames = ["Mostly Basic"]\n[models.yi]\nnames = ["Yi-Coder-9B", "Yi 9B base"]\n')
    registry = Registry.load(path)
    assert registry.id_of("mostly-basic", "benchmarks") == registry.id_of("MBPP", "benchmarks") == "mbpp"
    assert registry.id_of("Yi-Coder-9B", "models") == registry.id_of("yi 9b BASE", "models") == "yi"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[benchmark.x]\nnames = ['a']", r"unknown table \[benchmark\]"),
        ("[models.x]\nname = ['a']", r"\[models.x\] has no names"),
        ("[models.x]\nnames = ['a']\ncolor = 1", "unknown key 'color'"),
        ("[models.x]\nnames = [1]", "expected a list of texts"),
        ("[benchmarks.x]\nnames = ['HumanEval']", "'HumanEval' is already a name of 'humaneval'"),
        ("[", "is not TOML"),
    ],
)
def test_a_bad_file_is_refused_by_place(tmp_path, text, message):
    path = tmp_path / "names.toml"
    path.write_text(text)
    with pytest.raises(ClaimError, match=message) as caught:
        Registry.load(path)
    assert str(path) in caught.value.message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ClaimError, match="cannot be read"):
        Registry.load(tmp_path / "none.toml")
