"""Which value belongs to which model, benchmark and setting."""

import pytest

from trimtab.claims import sentence_facts
from trimtab.claims.name_registry import Registry

REGISTRY = Registry.load()
SENTENCES = {
    "o1-mini achieves 96.2% pass@1 on HumanEval but only 76.2% on HumanEval Pro": [
        "o1-mini on HumanEval pass@1 (k=1): 96.2%",
        "o1-mini on HumanEval Pro pass@1 (k=1): 76.2%",
    ],
    "On HumanEval, o1-mini scores 97.6 and GPT-4o 90.2.": ["o1-mini on HumanEval: 97.6", "GPT-4o on HumanEval: 90.2"],
    "GPT-4o and Claude-3.5-sonnet score 90.2 and 92.1 on HumanEval, respectively.": [
        "GPT-4o on HumanEval: 90.2",
        "Claude-3.5-sonnet on HumanEval: 92.1",
    ],
    "GPT-4o scores 90.2 and 86.8 on HumanEval and MBPP.": ["GPT-4o on HumanEval: 90.2", "GPT-4o on MBPP: 86.8"],
    "o1-mini reaches 76.2% on HumanEval Pro (0-shot) and 84.8% on HumanEval Pro (1-shot).": [
        "o1-mini on HumanEval Pro (0-shot): 76.2%",
        "o1-mini on HumanEval Pro (1-shot): 84.8%",
    ],
    "Qwen2.5Coder-32B-instruct has a 26.8% absolute improvement on HumanEval compared to Qwen2.5Coder-32B-base"
    " (from 65.9% to 92.7%) but only 8.5% on HumanEval Pro (from 61.6% to 70.1%).": [
        "Qwen2.5Coder-32B-instruct on HumanEval: better than Qwen2.5Coder-32B-base by 26.8%",
        "Qwen2.5Coder-32B-instruct on HumanEval Pro: better than Qwen2.5Coder-32B-base by 8.5%",
        "Qwen2.5Coder-32B-base on HumanEval: 65.9%",
        "Qwen2.5Coder-32B-instruct on HumanEval: 92.7%",
        "Qwen2.5Coder-32B-base on HumanEval Pro: 61.6%",
        "Qwen2.5Coder-32B-instruct on HumanEval Pro: 70.1%",
    ],
    "GPT-4o outperforms GPT-4-Turbo on MBPP Pro by 1.6 points.": [
        "GPT-4o on MBPP Pro: better than GPT-4-Turbo by 1.6points"
    ],
    "o1-mini scores higher on HumanEval than on HumanEval Pro.": ["o1-mini on HumanEval: greater than HumanEval Pro"],
    "DeepseekCoder-V2-instruct has the highest score on HumanEval Pro (0-shot).": [
        "DeepseekCoder-V2-instruct on HumanEval Pro (0-shot): the highest"
    ],
    "We reach an F1 of 92.1 on Penn Treebank.": [" on Penn Treebank F1: 92.1"],
    "BERT-large obtains 93.2 F1 on SQuAD-1.1 in Table 3.": ["BERT-large on SQuAD-1.1 F1: 93.2"],
    "GPT-4 scores about 88% on HumanEval+, which has 164 problems.": ["GPT-4 on HumanEval+ (164 problems): about 88%"],
    # Numbers that are no results.
    "10 papers were retrieved and 2 claims were verified.": [],
    "Chen et al. (2021) describe HumanEval in Section 3 with 164 problems.": [],
    "Qwen2.5-Coder-7B is evaluated 0-shot on HumanEval.": [],
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_facts(sentence):
    assert [fact.words() for fact in sentence_facts.understand(sentence, REGISTRY).facts] == SENTENCES[sentence]


def test_it_is_the_model_of_the_sentence_before():
    (fact,) = sentence_facts.understand("It reaches 85.4% on MBPP.", REGISTRY, carried="GPT-4o").facts
    assert fact.subject == "GPT-4o"


def test_a_fact_says_where_it_stands():
    text = "GPT-4o reaches 86.8% on MBPP."
    (fact,) = sentence_facts.understand(text, REGISTRY).facts
    assert text[fact.start : fact.end] == "86.8%"
