"""Greedy generation of SmolLM2-135M on HumanEval prompts beside an older build: tokens a CPU second, equal texts.

Each build is a process of its own on one thread; a turn is a batch of prompts, each continued by as many tokens (the
end-of-text token ends none, so that both builds do the same work). The builds take turns.

    git archive COMMIT | tar -x -C OLD
    python benchmarks/generation.py --old OLD/src --commit COMMIT [--prompts 64] [--batch 32] [--new-tokens 64]

Writes ``results/generation.json``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from recording import write
from side_by_side import Build, Turns, compare


def worker(texts, prompts, batch, new_tokens):
    """Generate, a batch a turn; write what came."""
    from dataclasses import replace  # noqa: PLC0415 - in the build that PYTHONPATH names

    import torch  # noqa: PLC0415

    from trimtab.codeeval import problems  # noqa: PLC0415
    from trimtab.codeeval.completion import Chat, Sampling  # noqa: PLC0415
    from trimtab.lm import pretrained, weights  # noqa: PLC0415

    torch.set_num_threads(1)
    completer = replace(pretrained.load(str(weights.locate("smollm2-135m")), batch_size=batch), eos=())
    asked = [Chat(user=problem.prompt) for problem in problems.load("humaneval").problems[:prompts]]
    sampling = Sampling(max_new_tokens=new_tokens)
    turns, came = Turns(batch * new_tokens), []
    for start in range(0, prompts, batch):
        came += [each.text for each in completer.complete(asked[start : start + batch], sampling)]
        if start + batch >= prompts:
            texts.write_text(json.dumps(came))
        turns.over()


def main():
    if sys.argv[1:2] == ["--worker"]:
        return worker(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--commit", required=True, help="of the older build, to be written down")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=64)
    arguments = parser.parse_args()
    how = (arguments.prompts, arguments.batch, arguments.new_tokens)
    with tempfile.TemporaryDirectory() as place:
        texts = [Path(place) / f"{name}.json" for name in ("new", "old")]
        sources = (Path(__file__).parents[1] / "src", arguments.old)
        builds = [Build(__file__, source, path, *how) for path, source in zip(texts, sources, strict=True)]
        found = compare(*builds, arguments.prompts // arguments.batch, 0)
        new, old = (json.loads(path.read_text()) for path in texts)
    found |= {
        "prompts": arguments.prompts,
        "prompts a batch": arguments.batch,
        "new tokens a prompt": arguments.new_tokens,
        "older build": arguments.commit,
        "asked": 2.0,
        "equal texts": sum(one == other for one, other in zip(new, old, strict=True)),
    }
    print(json.dumps(found, indent=1))
    write("generation", found)
    return None


if __name__ == "__main__":
    main()
