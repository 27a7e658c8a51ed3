"""The options of a language model, the same for every verb that may use one; none is used unless it is named."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.disk import write_lines
from trimtab.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trimtab.codeeval.completion import Completer
    from trimtab.review.llm.asker import Asker


def llm(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in (
        click.option(
            "--llm-price", nargs=2, type=float, metavar="IN OUT", help="Of a million tokens read and written."
        ),
        click.option("--llm-money", type=float, help="Spend at most this, by --llm-price."),
        click.option("--llm-tokens", default=200_000, show_default=True, help="Tokens read and written at most."),
        click.option("--llm-model", default="", help="The model's name on the server."),
        click.option(
            "--llm",
            "llm_at",
            metavar="URL|MODEL",
            help="An OpenAI-compatible server, or a local model's folder or file.",
        ),
    ):
        command = option(command)
    return command


def asker(options: dict[str, Any], memory: Path | None) -> Asker | None:
    """Return what asks the model named, with its budget and its memory; None if none was named.

    Raises:
        ModelError: A price is missing for a limit in money, or a server without a model.
    """
    if not options["llm_at"]:
        return None
    from trimtab.review.llm.asker import Asker  # noqa: PLC0415
    from trimtab.review.llm.model_budget import Budget  # noqa: PLC0415
    from trimtab.review.llm.model_cache import Cache  # noqa: PLC0415

    price, money = options["llm_price"], options["llm_money"]
    if money is not None and not price:
        raise ModelError("a limit in money needs the prices", hint="add --llm-price IN OUT, of a million tokens")
    budget = Budget(tokens=options["llm_tokens"], money=money, price=tuple(price) if price else (0.0, 0.0))
    if memory is not None:
        memory.mkdir(parents=True, exist_ok=True)
    cache = Cache(memory / "llm.sqlite" if memory else ":memory:")
    completer, name, tokens = _completer(options["llm_at"], options["llm_model"])
    return Asker(completer=completer, model=name, tokens=tokens, budget=budget, cache=cache)


def _completer(where: str, name: str) -> tuple[Completer, str, int]:
    """Return the model named, how it is called in files, and how many tokens one reply of it has at most."""
    if where.startswith(("http://", "https://")):
        from trimtab.review.llm.asker import server  # noqa: PLC0415

        if not name:
            raise ModelError(f"which model of {where}?", hint="name it with --llm-model")
        return server(where, name), f"{name} at {where.rstrip('/')}", 1024
    from trimtab.lm import pretrained  # noqa: PLC0415

    return pretrained.load(where, batch_size=1), name or Path(where).name, 512


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write what people and models said, a record a line: in the order of its fields, in its own letters."""
    write_lines(path, map(asdict, records), sort_keys=False, ensure_ascii=False)


def told(asking: Asker) -> str:
    """Return what was asked and spent."""
    cost = f", {asking.budget.cost:.4f} spent" if asking.budget.cost else ""
    return f"{asking.model}: {asking.questions} questions, {asking.budget.spent:,} tokens{cost}"
