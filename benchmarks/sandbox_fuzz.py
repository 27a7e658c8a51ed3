"""A hundred thousand malformed and mutated messages to the side that must not break: no crash, no wrong value.

    python benchmarks/sandbox_fuzz.py [--cases 100000] [--seed 0]

Random bytes, random JSON, right messages with bytes changed, values encoded and read back, replies of models and files
of samples, in turn. Whatever comes, the codec raises CodecError or returns a value, a frame reader returns frames or
says that it overflowed, and an assertion about ``object()`` never comes to hold; extraction returns a program made of
lines of the reply, the prompt and imports, and says that nothing was done exactly when nothing was; and a file of
samples is read as what it says, or refused with a BenchmarkError.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from trimtab import disk
from trimtab.codeeval import extract, samples
from trimtab.codeeval.problem import Problem
from trimtab.errors import BenchmarkError
from trimtab.sandbox import asserts, codec, wire

TAGS = ["tuple", "set", "dict", "int", "float", "bytes", "complex", "Counter", "deque", "handle", "Decimal", "Fraction",
        "range", "iter", "keys", "type", "datetime", "timedelta", "frozenset", "pickle", "value"]  # fmt: skip
LETTERS = "(){}[]'\"\\#:=,. \n\tabdefinrtu_0159\x00é\ud800"
WANTED = asserts.parse("def check(candidate):\n    assert candidate(1) == [4711, {'k': (1, 2.5)}]\n", "candidate")


def anything(rng: random.Random, depth: int = 3) -> Any:
    """A random JSON value, mostly of the codec's own shapes."""
    kind = rng.randrange(8 if depth else 5)
    if kind < 5:
        plain = [None, rng.random() < 0.5, rng.randrange(-(1 << 70), 1 << 70), rng.uniform(-1e3, 1e3)]
        return rng.choice([*plain, rng.choice(["nan", "inf", "0x6", "-0x1", "AA==", "2020-01-01", "1e999999", ""])])
    items = [anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 5:
        return items
    return {rng.choice(TAGS): rng.choice([items, *items[:1]])}


def value(rng: random.Random, depth: int = 3) -> Any:
    """A random Python value that is data."""
    kind = rng.randrange(9 if depth else 5)
    if kind < 5:
        text = "".join(rng.choices("ab0é\ud800", k=3))
        return [None, rng.random() < 0.5, rng.randrange(-(1 << 70), 1 << 70), rng.uniform(-9, 9), text][kind]
    items = [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return [items, tuple(items), {str(i): item for i, item in enumerate(items)}, {rng.randrange(9) for _ in items}][
        kind - 5
    ]


def read(data: bytes, *, plain: bool) -> bool:
    """Read a message as the broker does; return whether it was one."""
    try:
        message = codec.loads(data)
        found = codec.Decoder(plain=plain).decode(message.get("value"))
    except codec.CodecError:
        return False
    try:
        if WANTED is not None and WANTED[0].holds(found) and found != [4711, {"k": (1, 2.5)}]:
            raise AssertionError(f"a wrong value passes: {data!r}")
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        return True
    return True


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def frames(rng: random.Random, data: bytes) -> None:
    inbox, stream = wire.Inbox(), wire.HEADER.pack(len(data)) + data + rng.randbytes(rng.randrange(9))
    while stream and not inbox.overflowed:
        size = rng.randrange(1, len(stream) + 1)
        inbox.feed(stream[:size])
        stream = stream[size:]
    got = inbox.take()
    if got != data and not inbox.overflowed:
        raise AssertionError(f"a frame was lost: {data!r}")


PIECES = [
    "```python\n", "```\n", "~~~\n", "```js\n", "Here is the function:\n", "1. Note that it works.\n", "</think>",
    "def f(x):\n", "    return x\n", "  return x\n", "return x\n", "def g(y: List[int]):\n    return y\n",
    "class A:\n    pass\n", "import math\n", "from typing import (\n    List,\n)\n", "assert f(1) == 1\n",
    "print(f(1))\n", '"""', "'''", "# note\n", "if __name__ == '__main__':\n    f(1)\n", "\n", "\t", "\r\n", "\x0c",
    "\\\n", "(", ")", "x = [\n1,\n]\n", "@cache\n", "é\ud800\x00", "<think>\n",
]  # fmt: skip
PROBLEM = Problem(
    task_id="f/0",
    prompt='from typing import List\n\n\ndef f(x: int) -> int:\n    """Return it."""\n',
    entry_point="f",
    canonical_solution="    return x\n",
    test="def check(candidate):\n    assert candidate(1) == 1\n",
    benchmark="fuzz",
)
STEPS = {"truncated", "reasoning", "fence", "prompt", "demo", "imports", "indent", "dedent", "prose", "cut"}


def reply(rng: random.Random) -> str:
    """What a model might write, or a cat."""
    pieces = rng.choices(PIECES, k=rng.randrange(12))
    return "".join(
        piece if rng.random() < 0.9 else "".join(rng.choices(LETTERS, k=rng.randrange(20))) for piece in pieces
    )


def extracted(rng: random.Random) -> None:
    text, continues = reply(rng), rng.random() < 0.5
    kept = extract.cut("def f(x):\n", text)
    if kept is not None and not text.startswith(kept):
        raise AssertionError(f"cut returns what was not there: {text!r}")
    plain = extract.raw(PROBLEM, text, continues=continues)
    found = extract.clean(PROBLEM, text, continues=continues)
    if (found.program == plain) != (not found.steps):
        raise AssertionError(f"steps {found.steps} do not say what was done to {text!r}")
    guess = extract.repair(PROBLEM, found)
    for one in (found, guess):
        if one is not None:
            made_of(one, text)
    if guess is not None and guess.program == found.program:
        raise AssertionError(f"a repair that changes nothing: {text!r}")


def made_of(found: extract.Extracted, text: str) -> None:
    """See that a program holds nothing but what the reply, the prompt or an import says."""
    if not set(found.steps) <= STEPS:
        raise AssertionError(f"unknown steps: {found.steps}")
    known = PROBLEM.prompt + text
    for line in found.program.splitlines():
        said = line.strip()
        if said and said not in known and not said.startswith(("import ", "from ")):
            raise AssertionError(f"{line!r} is nowhere in {text!r}")


def sample_file(rng: random.Random) -> tuple[bytes, list[Any]]:
    """Return the bytes of a file and the texts that it may be read as."""
    lines, texts = [], []
    for _ in range(rng.randrange(4)):
        record: dict[str, Any] = {}
        for name in ("task_id", "completion", "solution", "sample_index", "other"):
            if rng.random() < 0.6:
                record[name] = anything(rng, 1) if rng.random() < 0.2 else reply(rng)
        if isinstance(record.get("sample_index"), str):
            record["sample_index"] = rng.randrange(3)
        texts += [record[name] for name in ("completion", "solution") if isinstance(record.get(name), str)]
        lines.append(json.dumps(record, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass"))
    data = b"\n".join(lines)
    return gzip.compress(data, 1) if rng.random() < 0.2 else data, texts


def samples_read(rng: random.Random, file: Path) -> None:
    data, texts = sample_file(rng)
    changed = rng.random() < 0.5
    file.write_bytes(mutated(rng, data) if changed else data)
    try:
        found = samples.read(file).samples
    except BenchmarkError:
        found = []
    if not changed and not all(sample.completion in texts for sample in found):
        raise AssertionError(f"read what is not there: {data!r}")
    if not all(isinstance(s.task_id, str) and isinstance(s.completion, str) for s in found):
        raise AssertionError(f"not samples: {data!r}")
    try:
        with disk.LineLog(file) as log:
            kept = len(log.records)
            log.append({"task_id": "f/0"})
    except BenchmarkError:
        return
    with disk.LineLog(file) as log:
        if len(log.records) != kept + 1 or log.records[-1] != {"task_id": "f/0"}:
            raise AssertionError(f"a record was lost: {data!r}")


def one(rng: random.Random, number: int, file: Path) -> str:
    """Run one case; return its kind."""
    kind = ("bytes", "json", "mutated", "frames", "replies", "samples")[number % 6]
    if kind == "bytes":
        read(rng.randbytes(rng.randrange(40)), plain=True)
    elif kind == "json":
        read(json.dumps({"value": anything(rng)}).encode(), plain=rng.random() < 0.5)
    elif kind == "mutated":
        original = value(rng)
        data = codec.dumps({"value": codec.encode(original)})
        if codec.Decoder(plain=True).decode(codec.loads(data)["value"]) != original:
            raise AssertionError(f"not read back: {original!r}")
        read(mutated(rng, data), plain=True)
    elif kind == "frames":
        frames(rng, rng.randbytes(rng.randrange(60)))
    elif kind == "replies":
        extracted(rng)
    else:
        samples_read(rng, file)
    return kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, start = random.Random(options.seed), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "samples.jsonl")
        kinds = collections.Counter(one(rng, number, file) for number in range(options.cases))
    print(f"{options.cases} cases in {time.process_time() - start:.0f} CPU s, no crash, no wrong value: {dict(kinds)}")


if __name__ == "__main__":
    main()
