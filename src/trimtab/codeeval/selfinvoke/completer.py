"""A completer that needs no model: it reads what was observed out of the prompt and answers with a template.

The seed of the sampling chooses: seed 0 takes the first template of an order that differs from base to base, seed 1 the
second, and so on, so that another attempt is another template and the whole set is varied.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.completion import Chat, Completion
from trimtab.codeeval.selfinvoke import proposal_prompt as prompts
from trimtab.codeeval.selfinvoke.plain_literals import arguments
from trimtab.codeeval.selfinvoke.program_lab import Example
from trimtab.codeeval.selfinvoke.templates import TEMPLATES, Facts, Template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trimtab.codeeval.completion import Completer, Prompt, Sampling

_LONGEST: Final = 400  # characters of an observed call that is still used, unless all are longer


class TemplateCompleter:
    """Answers the builder's prompts; any other prompt gets no answer."""

    name = "template"

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield one completion of each prompt; an empty one when no further template fits."""
        for index, prompt in enumerate(prompts):
            text = prompt if isinstance(prompt, str) else prompt.user
            for sample in range(sampling.n):
                if (index, sample) in done:
                    continue
                reply = answer(text, sampling.seed + sample)
                yield Completion(prompt_index=index, sample_index=sample, text=reply, finished="stop")


@dataclass(frozen=True, slots=True)
class AsChat:
    """Asks a model that was tuned for chats: each prompt is what a user says."""

    model: Completer

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield the model's completions."""
        chats = [Chat(user=text) if isinstance(text, str) else text for text in prompts]
        yield from self.model.complete(chats, sampling, done=done)


def answer(prompt: str, choice: int) -> str:
    """Return the JSON answer of the ``choice``-th fitting template, or nothing."""
    known = prompts.facts(prompt)
    examples = [
        Example(arguments=ast.literal_eval(f"({given},)"), result=_value(result))
        for given, result in known["calls"]
        if len(given) <= _LONGEST
    ]
    if not examples or not examples[0].arguments:
        return ""
    facts = Facts(examples)
    fitting = [template for template in TEMPLATES if template.fits(facts)]
    if choice >= len(fitting):
        return ""
    order = sorted(fitting, key=lambda candidate: hashlib.sha256(f"{known['base']} {candidate.name}".encode()).digest())
    return json.dumps(fill(order[choice], known["function"], facts))


def _value(text: str) -> Any:  # noqa: ANN401 - plain data
    try:
        return ast.literal_eval(text)
    except ValueError:  # frozenset() is no literal
        return text


def fill(template: Template, base: str, facts: Facts) -> dict[str, Any]:
    """Write a template out for a base function."""
    single = facts.single
    words = {
        "base": base,
        "call": f"{base}(x)" if single else f"{base}(*x)",
        "a": f"{base}(a)" if single else f"{base}(*a)",
        "b": f"{base}(b)" if single else f"{base}(*b)",
    }
    name = f"{template.name}_{base}"
    says = template.says.format(**words)
    tuples = "" if single or "*" not in says else f" Each element is a tuple: the arguments of one call of {base}."
    text = f"Write {name}({template.parameters}), which returns {says}.{tuples}"
    inputs = dict.fromkeys(arguments(row) for row in template.inputs(facts))
    return {
        "entry_point": name,
        "new_problem": f"# {text}\ndef {name}({template.parameters}):\n",
        "new_solution": "".join(f"    {line.format(**words)}\n" for line in template.body),
        "test_inputs": list(inputs),
    }
