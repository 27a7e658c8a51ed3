"""A hundred thousand malformed and mutated messages to the side that must not break: no crash, no wrong value.

    python benchmarks/sandbox_fuzz.py [--cases 100000] [--seed 0]

Random bytes, random JSON, right messages with bytes changed, and values encoded and read back, in turn. Whatever comes,
the codec raises CodecError or returns a value, a frame reader returns frames or says that it overflowed, cutting a
completion returns a prefix of it, and an assertion about ``object()`` never comes to hold.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import time
from typing import Any

from trimtab.codeeval.extract import cut
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


def extract(rng: random.Random) -> None:
    text = "".join(rng.choices(LETTERS, k=rng.randrange(60)))
    kept = cut("def f(x):\n", text)
    if kept is not None and not text.startswith(kept):
        raise AssertionError(f"cut returns what was not there: {text!r}")


def one(rng: random.Random, number: int) -> str:
    """Run one case; return its kind."""
    if number % 5 == 0:
        read(rng.randbytes(rng.randrange(40)), plain=True)
        return "bytes"
    if number % 5 == 1:
        read(json.dumps({"value": anything(rng)}).encode(), plain=rng.random() < 0.5)
        return "json"
    if number % 5 == 2:
        original = value(rng)
        data = codec.dumps({"value": codec.encode(original)})
        if codec.Decoder(plain=True).decode(codec.loads(data)["value"]) != original:
            raise AssertionError(f"not read back: {original!r}")
        read(mutated(rng, data), plain=True)
        return "mutated"
    if number % 5 == 3:
        frames(rng, rng.randbytes(rng.randrange(60)))
        return "frames"
    extract(rng)
    return "completions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, start = random.Random(options.seed), time.process_time()
    kinds = collections.Counter(one(rng, number) for number in range(options.cases))
    print(f"{options.cases} cases in {time.process_time() - start:.0f} CPU s, no crash, no wrong value: {dict(kinds)}")


if __name__ == "__main__":
    main()
