"""What a model thought never counts; tokens that end a turn are no part of a program; strings are left alone."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import reply_marks

THOUGHT, ANSWER = "maybe 1? def f(): wrong", "def f():\n    return 2\n"

PAIRS = {
    "DeepSeek R1, Qwen 3": ("<think>", "</think>"),
    "in words": ("<thinking>", "</thinking>"),
    "EXAONE Deep": ("<thought>", "</thought>"),
    "with an attribute": ('<thinking effort="low">', "</thinking>"),
    "prompted": ("<reasoning>", "</reasoning>"),
    "a scratchpad": ("<scratchpad>", "</scratchpad>"),
    "Magistral": ("[THINK]", "[/THINK]"),
    "Kimi": ("◁think▷", "◁/think▷"),
    "Seed-OSS": ("<seed:think>", "</seed:think>"),
    "LongCat": ("<longcat_think>", "</longcat_think>"),
    "Sky-T1": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "Command A": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "start and end behind the word": ("<|thought_start|>", "<|thought_end|>"),
    "with hyphens": ("<chain-of-thought>", "</chain-of-thought>"),
    "with blanks": ("<think >", "</think >"),
    "Apertus": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "Gemma 4": ("<|channel>thought\n", "<channel|>"),
    "MedGemma": ("<unused94>thought\n", "<unused95>"),
    "Solar": ("<|think|>", "<|end|><|begin|>assistant<|content|>"),
    "Ollama's screen": ("Thinking...\n", "\n...done thinking.\n\n"),
    "Open WebUI": ('<details type="reasoning" done="true">\n<summary>Thought for 3 seconds</summary>\n', "</details>"),
    "a folded thought": ("<details>\n<summary>My reasoning</summary>\n", "</details>"),
    "Granite 3.2": ("Here is my thought process:\n", "\nHere is my response:\n"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_thought_is_taken_out_whichever_delimiters_it_has(name):
    opens, closes = PAIRS[name]
    found = reply_marks.answer(f"\n{opens}{THOUGHT}{closes}\n{ANSWER}")
    assert found.text.strip() == ANSWER.strip()
    assert found.thought


@pytest.mark.parametrize("name", PAIRS)
def test_a_thought_that_is_not_finished_leaves_no_answer(name):
    opens, _ = PAIRS[name]
    assert reply_marks.answer(f"{opens}{THOUGHT}\n{ANSWER}") == ("", True, False)


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair[1] != "</details>"])
def test_a_thought_that_the_prompt_began_ends_at_its_closing_mark(name):
    _, closes = PAIRS[name]
    assert reply_marks.answer(f"{THOUGHT}{closes}{ANSWER}").text.strip() == ANSWER.strip()


def test_thoughts_whose_special_tokens_were_dropped_in_decoding_are_thoughts():
    assert reply_marks.answer(f"analysisWe need f.\n{ANSWER}assistantfinal{ANSWER}").text == ANSWER
    assert reply_marks.answer(f"analysisWe need f.\n{ANSWER}").text == ""


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("<think>a</think>one <think>b</think>two", "one two"),
        ("<think>the tag </think> ends it</think>two", "two"),
        ("<think>a</think>one</think>\n", "one\n"),
        ("a</think>", ""),
        ("first\n<think>unfinished", "first\n"),
        ("Okay <think>\nunfinished", "Okay "),
        ("Here: <|begin_of_box|>code<|end_of_box|>", "Here: code"),
        ("I use <think> and so on", "I use <think> and so on"),
        ("x = '</think>'\n", "x = '</think>'\n"),
        ("Say `<think>` first.\n", "Say `<think>` first.\n"),
    ],
)
def test_several_marks_stray_marks_and_words_about_marks(reply, kept):
    assert reply_marks.answer(reply).text == kept


ENDS = (
    "<|im_end|>",
    "</s>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<eos>",
    "<turn|>",
    "<|EOT|>",
    "<EOT>",
    "[EOS]",
    "[/INST]",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<|END_OF_TURN_TOKEN|>",
    "<|role_end|>",
    "<|user|>",
    "[e~[",
    "<end_of_utterance>",
    "<file_sep>",
    "<|fim_pad|>",
    "<fim_middle>",
    "<extra_id_1>",
    "[|endofturn|]",
    "<reserved_107>",
    "<eop>",
    "<sep>",
    "<end_of_code>",
    "<|im_en",
    "<end_of_tur",
    "</s",
    "<|endoftext|",
    "<|im_end|>\n<|im_start|>user\nAnd now g.\n",
)


@pytest.mark.parametrize("token", ENDS)
@pytest.mark.parametrize("before", ["", "\n", " "])
def test_a_token_that_ends_the_turn_ends_the_text_wherever_it_stands(token, before):
    assert reply_marks.answer(f"    return x % 1.0{before}{token}") == (f"    return x % 1.0{before}", False, True)


@pytest.mark.parametrize(
    "token",
    [
        "<s>",
        "<|im_start|>assistant\n",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<start_of_turn>model\n",
        "<|assistant|>\n",
        "[/INST] ",
        "<\uff5cAssistant\uff5c>",
        "<bos><|turn>model\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\ndef f(): ...<|im_end|>\n<|im_start|>assistant\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\nf?<|eot_id|><|start_header_id|>assistant<|end_header_id|>",
        "<bos><start_of_turn>user\ndef f(): pass<end_of_turn>\n<start_of_turn>model\n",
        "<s>[INST] Complete def f(): [/INST] ",
        "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>f?<\uff5cAssistant\uff5c>",
        "<|user|>\nWrite f<|end|>\n<|assistant|>\n",
        "<|start|>user<|message|>f?<|end|><|start|>assistant<|channel|>final<|message|>",
    ],
)
def test_a_token_that_begins_the_turn_is_taken_away(token):
    assert reply_marks.answer(token + ANSWER).text.strip() == ANSWER.strip()


@pytest.mark.parametrize(
    "line",
    [  # in strings, or no token
        "return '</s>'",
        'return f"<|im_end|>{x}"',
        "s = text.split('<eos>')[0]",
        "t = '<|' + name + '|>'",
        "a[i] < b | c > d",
        "x <y> z",
        "return '''<pad>'''",
        "# a <b> c",
        "SEP, PAD = 0, 1\n    return ids[PAD]",
    ],
)
def test_what_only_looks_like_a_token_stays(line):
    text = f"def f(x):\n    {line}\n"
    assert reply_marks.answer(text) == (text, False, False)


def test_the_tokens_of_a_tokenizer_are_known_exactly():
    text = "    return 1«fin»\nmore"
    assert reply_marks.answer(text).text == text
    assert reply_marks.answer(text, ("«fin»", "")).text == "    return 1"


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (f"[BEGIN]\n{ANSWER}[DONE]\nYour next task:\n[BEGIN]\ndef g(): pass\n[DONE]", ANSWER),
        (f"{ANSWER}[DONE]\n\nYou are\n[BEGIN]\ndef g(): pass\n[DONE]", ANSWER),
        ("def f():\n    return 2[DONE]", "def f():\n    return 2"),
        (f"Sure.\n[PYTHON]\n{ANSWER}[/PYTHON]\n[TESTS]\nassert f() == 2\n[/TESTS]", ANSWER),
        (f"<answer>\n{ANSWER}</answer>", ANSWER),
        (f"\\begin{{code}}\n{ANSWER}\\end{{code}}", ANSWER),
        (f"<output>\n2\n</output>\n{ANSWER}", None),
        ("DONE = 1\ndef f():\n    return states[DONE]\n", None),
        ("def f():\n    return '[DONE]'\n", None),
        ("I write it between [BEGIN] and [DONE] for you.\n", None),
    ],
)
def test_marks_around_an_answer(reply, kept):
    assert reply_marks.delimited(reply, "f").strip() == (reply if kept is None else kept).strip()


@given(st.text(alphabet="<|>/thinkdoes'\"\n []`ab", max_size=120))
@settings(max_examples=200, deadline=None)
def test_any_text_goes_through_and_nothing_is_made_up(text):
    found = reply_marks.answer(text).text
    at = 0
    for sign in found:
        at = text.index(sign, at) + 1


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "x<think>", "a</s>'b' ", "[DONE]x", "<|", "'</s>' ", "`</s>`"]
)
def test_calls_grow_with_the_length(piece):
    """Calls are counted, not seconds: a crowded machine changes none. Time is in benchmarks/extraction.py marks."""

    def calls(times):
        counted = 0

        def count(_frame, event, _argument):
            nonlocal counted
            counted += event in {"call", "c_call"}

        text = f"x {piece * times}"
        sys.setprofile(count)
        try:
            reply_marks.delimited(reply_marks.answer(text).text, "f")
        finally:
            sys.setprofile(None)
        return counted

    calls(500)  # the first fills caches
    assert calls(4_000) <= 10 * calls(500)


def test_a_block_of_a_web_page_is_code_and_a_program_that_writes_one_is_left_alone():
    block = '<pre><code class="language-python">def f(a, b):\n    return a &lt; b</code></pre>\nThat is all.'
    assert reply_marks.delimited(block, "f") == "def f(a, b):\n    return a < b"
    writes = "def f(x):\n    return f'<pre><code class=\"a\">{x} &lt; 1</code></pre>'\n"
    assert reply_marks.delimited(writes, "f") == writes
    template = "def f(x):\n    return '''\n<pre><code>\n%s &lt;</code></pre>\n''' % x\n"
    assert reply_marks.delimited(template, "f") == template
