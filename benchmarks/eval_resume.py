"""Is a run of ``trimtab eval`` that was killed three times the same as one that was not?

    python benchmarks/eval_resume.py [-b humaneval,mbpp,humaneval-pro,mbpp-pro] [--n 20] [--kills 3] [--out FOLDER]

The model is a Llama of one layer, trained here for seconds to write bodies of one line, so most of what it writes is
wrong and some of it passes problems that a constant passes: *all* and *sound* scores differ. The verb runs once to its
end, then in another folder, where it is ended by SIGKILL at random moments and run again. Samples and verdicts of the
two folders have to be equal, line by line, but for CPU time and memory; a whole run there already is used again.
"""

from __future__ import annotations

import argparse
import inspect
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BODIES = ("return True", "return False", "return []", "return x", "return 0", "return ''", "return None", "pass")
ENDS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
MEASURED = ("cpu_s", "memory_mib")


def train(place: Path) -> None:
    """Write a small model that continues any text that ends in a docstring with one line."""
    random.seed(0)
    torch.manual_seed(0)
    source = inspect.getsource(argparse) + inspect.getsource(inspect)
    inner = ByteLevelBPETokenizer()
    inner.train_from_iterator([source, *BODIES], vocab_size=600, special_tokens=["<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner._tokenizer, **ENDS)  # noqa: SLF001
    end = tokenizer.eos_token_id
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=end, pad_token_id=end, **sizes)
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        start, length = random.randrange(len(source) - 400), random.randrange(20, 400)
        prompt = tokenizer.encode(source[start : start + length] + '"""\n')
        rows = [prompt + tokenizer.encode(f"    {body}\n") for body in BODIES]
        rows = [row + [end] * (len(prompt) + 12 - len(row)) for row in rows]
        batch = torch.tensor(rows)
        labels = batch.clone()
        labels[:, : len(prompt)] = -100
        loss = model(input_ids=batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)


def command(model: Path, folder: Path, options: argparse.Namespace) -> list[str]:
    sampling = ["--n", str(options.n), "--temperature", "0.2", "--max-new-tokens", "24", "--form", "completion"]
    return [
        sys.executable,
        "-P",
        "-m",
        "trimtab.cli",
        "eval",
        str(model),
        "-b",
        options.benchmarks,
        *sampling,
        "-o",
        str(folder),
    ]


def killed(run: list[str], verdicts: Path, total: int, kills: int) -> None:
    """Run, end the process when a random number of verdicts is there, and run again; the last time to its end."""
    for at in sorted(random.sample(range(total // 20, total), kills)):
        with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and lines(verdicts) < at:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        print(f"ended with status {process.returncode} at {lines(verdicts)} of {total} lines of verdicts", flush=True)
    subprocess.run(run, check=True)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file without what two runs measure differently."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in one.items() if key not in MEASURED} for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-b", "--benchmarks", default="humaneval,mbpp,humaneval-pro,mbpp-pro")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/eval-resume"))
    options = parser.parse_args()
    model = options.out / "model"
    if not model.exists():
        train(model)
    whole, broken = options.out / "whole", options.out / "broken"
    subprocess.run(command(model, whole, options), check=True)
    total = lines(whole / "verdicts.jsonl")
    killed(command(model, broken, options), broken / "verdicts.jsonl", total, options.kills)
    for name in ("samples.jsonl", "verdicts.jsonl"):
        one, other = records(whole / name), records(broken / name)
        keys = {(r.get("benchmark"), r.get("task_id"), r.get("sample_index")) for r in other}
        print(f"{name}: {len(one)} and {len(other)} lines, {len(keys)} different ones, equal: {one == other}")
        if one != other:
            sys.exit(1)


if __name__ == "__main__":
    main()
