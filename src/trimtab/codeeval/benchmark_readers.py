"""Published files into problems: one function a format.

MBPP is not in HumanEval's form: its prompt here is a docstring of the task and its assertions, as the BigCode harness
shows it, so the assertions are part of what the model sees. A self-invoking problem's program is what its authors
score, the base problem followed by whatever the model wrote, so its completion solves both.
"""

from __future__ import annotations

import ast
import gzip
import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import plus_inputs, shown_assertions
from trimtab.codeeval.problem import Problem, SelfInvoking
from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# MBPP Pro numbers its problems 0 to 377; these are the tasks of MBPP+ v0.2.0 in the same order.
_MBPP_378: Final = """
2 3 4 6 7 8 9 11 12 14 16 17 18 19 20 56 57 58 59 61 62 63 64 65 66 67 68 69 70 71 72 74 75 77 79 80 82 84 85 86 87 88
89 90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 108 109 111 113 116 118 119 120 123 124 125 126 127 128
129 130 131 132 133 135 137 138 139 140 141 142 145 160 161 162 165 166 167 168 170 171 172 222 223 224 226 227 230
232 233 234 235 237 238 239 240 242 244 245 247 250 251 252 253 255 256 257 259 260 261 262 264 265 266 267 268 269
270 271 272 273 274 276 277 278 279 280 281 282 283 284 285 286 287 290 292 293 294 296 297 299 300 301 305 306 308
309 310 311 312 388 389 390 391 392 394 395 397 398 404 405 406 409 410 412 413 414 415 418 419 420 421 422 424 425
426 427 428 429 430 432 433 435 436 437 439 440 441 445 446 447 448 450 451 453 454 455 456 457 458 459 460 462 463
465 468 470 471 472 473 474 475 476 477 478 479 554 555 556 557 558 559 560 562 563 564 565 566 567 568 569 572 573
576 577 578 579 580 581 583 585 586 587 588 589 590 591 592 593 594 596 597 598 599 600 602 603 604 605 606 607 608
610 611 612 614 615 616 618 619 620 622 623 624 626 628 629 630 631 632 633 635 637 638 639 641 643 644 720 721 722
723 724 725 726 728 730 731 732 733 734 735 736 737 739 740 741 742 743 744 745 748 749 750 751 752 753 754 755 757
758 759 760 762 763 764 765 766 767 769 770 771 772 773 775 777 778 780 781 782 784 785 786 787 788 790 791 792 793
794 796 797 798 799 800 801 803 804 805 806 807 808 809
"""


PRO_FIELDS: Final = ("raw_problem", "raw_solution", "new_problem", "new_solution", "test_code")
"""The texts of a record in HumanEval Pro's schema."""


def humaneval(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read HumanEval.jsonl.gz."""
    for record in _gzipped(data):
        yield _humaneval_problem(record, benchmark=benchmark)


def humaneval_plus(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read HumanEvalPlus: HumanEval's tests beside inputs to compare with the reference on."""
    for record in _gzipped(data):
        yield _humaneval_problem(record, benchmark=benchmark, differential=plus_inputs.differential(record))


def _humaneval_problem(record: Mapping[str, Any], **more: Any) -> Problem:  # noqa: ANN401 - fields of a Problem
    fields = {name: record[name] for name in ("task_id", "prompt", "entry_point", "canonical_solution", "test")}
    return Problem(**fields, **more)


def mbpp_full(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read mbpp.jsonl."""
    for line in data.splitlines():
        record = json.loads(line)
        yield _mbpp_problem(record, record["text"], record["test_setup_code"], benchmark=benchmark)


def mbpp_sanitized(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read sanitized-mbpp.json."""
    for record in json.loads(data):
        yield _mbpp_problem(record, record["prompt"], "\n".join(record["test_imports"]), benchmark=benchmark)


def _mbpp_problem(record: Mapping[str, Any], description: str, setup: str, *, benchmark: str) -> Problem:
    code, tests = _unix(record["code"]), tuple(_unix(test) for test in record["test_list"])
    assertions = "\n".join(tests)
    return Problem(
        task_id=f"Mbpp/{record['task_id']}",
        prompt=f'"""\n{_unix(description)}\n{assertions}\n"""\n',
        entry_point=_tested(code, assertions),
        canonical_solution=f"{code}\n",
        test=_check(f"{_unix(setup)}\n{assertions}"),
        benchmark=benchmark,
        description=_unix(description),
        assertions=tests,
    )


def mbpp_plus(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read MbppPlus: 378 tasks with corrected references and prompts; ``mbpp-378`` is their base tests alone.

    What is judged is what the prompt shows (:mod:`trimtab.codeeval.shown_assertions`).
    """
    for record in _gzipped(data):
        yield Problem(
            task_id=record["task_id"],
            prompt=record["prompt"],
            entry_point=record["entry_point"],
            canonical_solution=record["canonical_solution"],
            test=_check(shown_assertions.judged(record["prompt"], record["assertion"])),
            benchmark=benchmark,
            description=_words(record["prompt"]),
            assertions=shown_assertions.listed(record["prompt"], record["assertion"]),
            differential=plus_inputs.differential(record) if benchmark == "mbpp-plus" else None,
            base_comparison=plus_inputs.base_comparison(record) if benchmark == "mbpp-378" else None,
        )


def _words(prompt: str) -> str:
    """Return the task in words: the docstring without the assertion that ends it."""
    text = prompt.strip().strip('"').strip()
    return text[: text.rfind("\nassert")].strip() if "\nassert" in text else text


def humaneval_pro(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read humaneval_pro.json."""
    for number, record in enumerate(json.loads(data)):
        yield self_invoking(record, f"HumanEvalPro/{number}", f"HumanEval/{number}", benchmark)


def mbpp_pro(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read mbpp_pro.json."""
    base = _MBPP_378.split()
    for number, record in enumerate(json.loads(data)):
        yield self_invoking(record, f"MbppPro/{number}", f"Mbpp/{base[number]}", benchmark)


def bigcodebench_lite_pro(data: bytes, benchmark: str) -> Iterator[Problem]:
    """Read bigcodebench_lite_pro.json."""
    for record in json.loads(data):
        task_id = record["id"].replace("BigCodeBench", "BigCodeBenchLitePro")
        yield self_invoking(record, task_id, record["id"], benchmark)


def self_invoking(record: Mapping[str, Any], task_id: str, base_task_id: str, benchmark: str) -> Problem:
    """Return the problem of a record in HumanEval Pro's schema.

    Raises:
        KeyError: A field is missing.
        SyntaxError: Its program or its tests are not Python.
        StopIteration: Its tests call no function of its program.
    """
    halves = SelfInvoking(
        base_task_id=base_task_id,
        **{name: record[name] for name in PRO_FIELDS},
    )
    solution = "".join(map(line_end, (halves.raw_solution, halves.new_problem, halves.new_solution)))
    tests = halves.test_code.strip()
    return Problem(
        task_id=task_id,
        prompt=halves.raw_problem,
        entry_point=_tested(halves.raw_problem + solution, tests),
        canonical_solution=solution,
        test=_check(tests),
        benchmark=benchmark,
        description=halves.new_problem,
        assertions=tuple(line for line in tests.splitlines() if line.startswith("assert")),
        pro=halves,
    )


def _gzipped(data: bytes) -> Iterator[dict[str, Any]]:
    return map(json.loads, gzip.decompress(data).splitlines())


def line_end(text: str) -> str:
    """End a text with a line break, as joining texts to a program needs."""
    return text if text.endswith("\n") else f"{text}\n"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _check(assertions: str) -> str:
    return f"def check(candidate):\n{textwrap.indent(assertions, '    ')}\n"


def _tested(code: str, assertions: str) -> str:
    """Return the last function of ``code`` that the assertions call."""
    defined = [node.name for node in source.parse(code).body if isinstance(node, ast.FunctionDef)]
    called = {
        node.func.id
        for node in ast.walk(source.parse(assertions))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return next(name for name in reversed(defined) if name in called)


READERS: Final[Mapping[str, Callable[[bytes, str], Iterator[Problem]]]] = {
    "HumanEval.jsonl.gz": humaneval,
    "HumanEvalPlus-v0.1.10.jsonl.gz": humaneval_plus,
    "mbpp.jsonl": mbpp_full,
    "sanitized-mbpp.json": mbpp_sanitized,
    "MbppPlus-v0.2.0.jsonl.gz": mbpp_plus,
    "humaneval_pro.json": humaneval_pro,
    "mbpp_pro.json": mbpp_pro,
    "bigcodebench_lite_pro.json": bigcodebench_lite_pro,
}
"""A reader for each file of the registry; its second argument is the benchmark's name, which the problems carry."""
