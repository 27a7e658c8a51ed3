"""What a reply holds beside its answer: thoughts, the tokens that end or begin a turn, and marks around the answer.

Decisions: what a model thought never counts, whichever delimiters say so, and where a thought is not finished there is
no answer. A closing mark alone ends a thought that the prompt opened. Tokens are known by their shape, since each
family has its own (``<|im_end|>``, ``</s>``, ``<end_of_turn>``, DeepSeek's with full-width bars), and exactly where
the model's tokenizer says them. What stands in a string that is closed on its line is part of a program and no mark.
"""

from __future__ import annotations

import functools
import html
import re
from typing import Final, NamedTuple

from trimtab.codeeval import python_scan

# The bar is ASCII's, the full-width one (U+FF5C), or missing on one side as in Gemma's ``<|turn>`` and ``<turn|>``.
_THOUGHT: Final = (
    r"(?:[\w.-]{1,20}[:_-]|ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|scratch[_-]?pad|analysis"
    r"|monologue|deliberation|chain[_-]of[_-]thought|cot)(?:[_-](?:process|content|block|on))?"
)
_OPENS: Final = (
    rf"<{_THOUGHT}(?:[ \t][^<>\n]{{0,80}})?>|\[{_THOUGHT}\]|◁{_THOUGHT}▷"
    rf"|<[|\uff5c](?:begin_of_|start_)?{_THOUGHT}(?:_(?:start|begin))?[|\uff5c]>"
    r"|\bThinking\.\.\.$|Here is my thought process:|<\|channel>thought\b|<\|inner_prefix\|>|<unused94>(?:thought\b)?"
    r"|<\|channel\|>(?:analysis|commentary)\b[^<\n]{0,80}<\|message\|>"
)
_CLOSES: Final = (
    rf"</{_THOUGHT}[ \t]*>|\[/{_THOUGHT}\]|◁/{_THOUGHT}▷|<[|\uff5c]/{_THOUGHT}[|\uff5c]>"
    rf"|<[|\uff5c](?:end_(?:of_)?{_THOUGHT}|{_THOUGHT}_end)[|\uff5c]>"
    r"|\.\.\.done thinking\.|Here is my response:|<channel\|>|<\|inner_suffix\|>|<unused95>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final\b[^<\n]{0,80}<\|message\|>"
    r"|(?:<\|end\|>)?<\|begin\|>assistant<\|content\|>"
)
_TURN: Final = (
    r"<[|\uff5c][^<>|\uff5c\n]{1,40}[|\uff5c]?>|<[a-z_]{1,20}[|\uff5c]>|</?s>"
    r"|<(?:eos|eos_token|im_end|bos|pad|unk|eot|eod|eom|suf|mid|endoftext|end_of_text|end_of_turn|start_of_turn|end_of_utterance"
    r"|end_of_sentence|fim_\w{1,10}|file_?(?:sep|name)|repo_?name|gh_stars|issue_\w{1,10}|jupyter_\w{1,12}|commit_\w{1,10}"
    r"|empty_output|extra_id_\d{1,3}|unused\d{1,4}|reserved_\d{1,4}|eoa|eoh|eop|sop)>"
    r"|</?(?:end|stop|done|eof|sep|cls|end_of_\w{1,12})>(?=[ \t]*$)"
    r"|\[/?INST\]|(?P<bracketed>\[(?:EOS|BOS|PAD|SEP|CLS|UNK|gMASK)\])|\[\|[\w ]{1,40}\|\]|\[e~\[|\]~!?b\["
    r"|(?:<[|\uff5c][\w▁ /]{0,40}[|\uff5c]?|</s|<end_of_\w{0,12})\Z"
)
_BOX: Final = re.compile(r"<\|begin_of_(?:box|answer|solution|code)\|>")  # begins the answer, within the turn
# How web pages fold a thought away.
_FOLD: Final = (
    r"<details(?: type=[\"']reasoning[\"'][^<>]*>"
    r"|[^<>]*>\s*<summary>[^<]{0,80}(?:think|thought|reason)[^<]{0,80}</summary>)"
)
_FOLDED: Final = re.compile(rf"{_FOLD}.*?</details>", re.DOTALL | re.IGNORECASE)
_FOLDED_OPEN: Final = re.compile(rf"\A\s*{_FOLD}", re.IGNORECASE)
_UNFOLD: Final = "</details>"
# A conversation that a tool decoded from its beginning: the question's turn, and where the reply's begins.
_HEADER: Final = r"<\|(?:im_start|start_header_id|start)\|>"
_ECHO: Final = re.compile(
    r"(?:\s|<s>|<bos>|<\|startoftext\|>|<[|\uff5c]begin[_\u2581]of[_\u2581](?:text|sentence)[|\uff5c]>)*"
    r"(?:\[INST\]|<start_of_turn>user|<\|turn>(?:user|system)|<[|\uff5c](?:user|system)[|\uff5c]>"
    rf"|{_HEADER}(?:user|system|developer))",
    re.IGNORECASE,
)
_REPLY_TURN: Final = re.compile(
    rf"\[/INST\]|<start_of_turn>model|<\|turn>model|<[|\uff5c]assistant[|\uff5c]>|{_HEADER}assistant", re.IGNORECASE
)
_NOT_BLANK: Final = re.compile(r"\S")
_NEAR: Final = 1000  # characters of a line that are looked at around a mark
_ROLE: Final = re.compile(r"[ \t]*(?:assistant|model|ai|bot)\b[: \t]*", re.IGNORECASE)
# Harmony's and Gemma's channels once their special tokens were dropped in decoding.
_BARE_FINAL: Final = re.compile(r"\A\s*analysis.*?assistantfinal[ \t]*", re.DOTALL)
_BARE_ANALYSIS: Final = re.compile(r"\A\s*analysis(?=[A-Z\n])")

_PAIRS: Final = (
    ("[BEGIN]", "[DONE]"),
    ("[PYTHON]", "[/PYTHON]"),
    ("[ANSWER]", "[/ANSWER]"),
    ("[SOLUTION]", "[/SOLUTION]"),
    ("[CODE]", "[/CODE]"),
    ("<answer>", "</answer>"),
    ("<solution>", "</solution>"),
    ("<final_answer>", "</final_answer>"),
    ("<response>", "</response>"),
    ("<output>", "</output>"),
    ("<code>", "</code>"),
    ("<python>", "</python>"),
    ("<program>", "</program>"),
    ("<execute>", "</execute>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("BEGIN SOLUTION", "END SOLUTION"),
    ("\\begin{code}", "\\end{code}"),
    ("\\begin{lstlisting}", "\\end{lstlisting}"),
)
_PAIR_MARKS: Final = tuple(re.compile("|".join(map(re.escape, pair)), re.IGNORECASE) for pair in _PAIRS)
_WEB_BLOCK: Final = re.compile(  # of a web page, whose code is escaped
    r"^[ \t]*<pre\b[^>\n]*>\s*<code\b[^>\n]*>(.*?)</code>\s*</pre>", re.IGNORECASE | re.DOTALL | re.MULTILINE
)
_ANY_PAIR: Final = re.compile("|".join(re.escape(mark) for pair in _PAIRS for mark in pair), re.IGNORECASE)


class ReplyAnswer(NamedTuple):
    """What is left of a reply, and what was taken away.

    Attributes:
        text: The answer; empty where the reply is a thought that was not finished.
        thought: Whether there was a thought.
        ended: Whether tokens around or after the answer were taken away.
    """

    text: str
    thought: bool
    ended: bool


@functools.lru_cache(maxsize=64)
def _marks(tokens: tuple[str, ...]) -> re.Pattern[str]:
    exact = "".join(f"|{re.escape(token)}" for token in sorted(tokens, key=len, reverse=True) if token.strip())
    return re.compile(
        rf"(?P<closes>{_CLOSES})|(?P<opens>{_OPENS})|(?P<token>{_TURN}{exact})", re.IGNORECASE | re.MULTILINE
    )


def answer(text: str, tokens: tuple[str, ...] = ()) -> ReplyAnswer:
    """Return a reply without thoughts and without what a token ends.

    Args:
        text: The reply, or text that continues a prompt.
        tokens: Special tokens of the model's tokenizer, beside those that are known by their shape.
    """
    turn = _REPLY_TURN.search(text) if _ECHO.match(text) else None
    text = text if turn is None else text[turn.start() :]
    last = text.rfind(_UNFOLD) + len(_UNFOLD) if _UNFOLD in text else 0
    before, folded = _FOLDED.subn("", text[:last])
    text = before + text[last:]
    bare = _BARE_FINAL.match(text)
    if bare is None and (_FOLDED_OPEN.match(text) or _BARE_ANALYSIS.match(text)):
        return ReplyAnswer("", thought=True, ended=False)
    unmarked = _without_marks(text if bare is None else text[bare.end() :], tokens)
    return unmarked._replace(thought=unmarked.thought or bool(folded) or bare is not None)


def _without_marks(text: str, tokens: tuple[str, ...]) -> ReplyAnswer:
    """Go from mark to mark: what a thought holds goes, what a token ends goes, the rest stays."""
    parts: list[str] = []
    at, closed, thinking, ended = 0, False, False, False
    marks = list(_marks(tokens).finditer(text))
    last = max((match.start() for match in marks if match["closes"]), default=-1)
    for match in marks:
        start = match.start()
        if start < at or _in_string(text, match) or _is_subscript(text, match):
            continue
        before = "" if thinking else text[at:start]
        if match["closes"]:
            # A closing mark that nothing opened ends a thought which began before the text, or that went on after one
            # mark too many; one after the answer, with nothing behind it, is stray.
            stray = not thinking and closed and not _NOT_BLANK.search(text, match.end())
            parts = [*parts, before] if thinking or stray else []
            thinking, closed, at = False, True, match.end()
        elif thinking:
            continue
        elif match["opens"]:
            # Within a line, neither closed nor alone at its end, it is a word about thinking.
            if (
                start < last
                or text[match.end() : match.end() + 1] == "\n"
                or not text[max(at, start - _NEAR) : start].rpartition("\n")[2].strip()
            ):
                parts.append(before)
                at, thinking = match.end(), True
        elif _BOX.match(match[0]):
            parts.append(before)
            at, ended = match.end(), True
        elif any(part.strip() for part in (*parts, before)):
            return ReplyAnswer("".join([*parts, before]), thought=closed, ended=True)
        else:  # a token that begins the turn, and the word for who speaks
            role = _ROLE.match(text, match.end())
            parts, at, ended = [], match.end() if role is None else role.end(), True
    return ReplyAnswer("".join(parts) + ("" if thinking else text[at:]), thought=closed or thinking, ended=ended)


def _around(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Return what stands on a mark's line before and after it."""
    begin = text.rfind("\n", max(0, match.start() - _NEAR), match.start()) + 1
    end = text.find("\n", match.end(), match.end() + _NEAR)
    before = text[max(begin, match.start() - _NEAR) : match.start()]
    return before, text[match.end() : match.end() + _NEAR if end < 0 else end]


def _in_string(text: str, match: re.Match[str]) -> bool:
    """Tell whether a mark stands in a string, or between backticks, that is closed on the mark's own line."""
    before, after = _around(text, match)
    if before.endswith("`") and after.startswith("`") and not before.endswith("```"):
        return True
    if not ("'" in after or '"' in after):
        return False
    line, place = f"{before}{match[0]}{after}", len(before)
    for begin, end in python_scan.literals(line):
        if begin > place:
            return False
        if end > place and line[begin] in "'\"":
            # The apostrophe of prose opens none: it stands after a word, where a string has at most a prefix of two.
            prose = re.search(r"[^\W\d_]{3}\Z|n\Z", line[max(0, begin - 3) : begin])
            return end - begin > 1 and line[end - 1] == line[begin] and not prose
    return False


def _is_subscript(text: str, match: re.Match[str]) -> bool:
    """Tell whether a mark such as ``[PAD]`` is the index of a value, by a name that the text binds."""
    if match["bracketed"] is None or not text[match.start() - 1 : match.start()].strip():
        return False
    return re.search(rf"\b{match[0][1:-1]}[ \t]*[=,:]", text) is not None


def delimited(text: str, entry_point: str) -> str:
    """Return what stands between a pair of marks around an answer, ``[BEGIN]`` and ``[DONE]`` for one.

    A closing mark alone ends the answer; of several pairs the first that defines the function counts, or else the first
    that holds anything. Marks count at the edge of a line; a text that has none is returned as it is.
    """
    if not _ANY_PAIR.search(text):
        return text
    defines = re.compile(rf"\bdef[ \t]+{re.escape(entry_point)}\b") if entry_point else None
    for block in _WEB_BLOCK.finditer(text):
        if defines is not None and defines.search(block[1]):
            return html.unescape(block[1])
    for (opens, closes), marks in zip(_PAIRS, _PAIR_MARKS, strict=True):
        name = closes.strip("[]<>/|")
        subscript = closes[0] == "[" and re.search(rf"\b{name}[ \t]*[=,:]", text) is not None
        filled = [part for part in _between(text, opens, marks, subscript=subscript) if part.strip()]
        chosen = next((part for part in filled if defines is not None and defines.search(part)), None)
        if chosen is not None:
            return chosen
        if filled and not (defines is not None and defines.search(text)):
            return filled[0]  # a body; where the function stands outside, the marks are about something else
    return text


def _between(text: str, opens: str, marks: re.Pattern[str], *, subscript: bool) -> list[str]:
    """Return the parts between marks; the first opens where the text begins if a closing mark comes first."""
    parts: list[str] = []
    begin: int | None = 0
    for match in marks.finditer(text):
        before, after = _around(text, match)
        is_open = match[0].lower() == opens.lower()
        if before.strip() and (is_open or after.strip() or subscript):
            continue  # within a line, or ``states[DONE]``
        if is_open:
            begin = match.end()
        elif begin is not None:
            parts.append(text[begin : match.start()])
            begin = None
    return [*parts, text[begin:]] if begin else parts
