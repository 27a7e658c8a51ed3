"""Three steps of TRL's GRPO trainer with our reward, on a random model: every reward against a judge of its own.

    python benchmarks/reward_in_trl.py [--steps 3] [--server]

TRL is no dependency: where it is not installed, this makes an environment over the present one in a temporary folder,
installs trl==1.16.0 there with the pins of constraints.txt (so no other torch comes), and runs itself in it.

The model is a one-layer Llama with random weights whose vocabulary is whole function bodies: right, wrong, one that
raises, one that loops, one that is no Python. So a random model writes programs of every outcome, and which reward is
right is known without running any. Checked: each logged reward is the right one; ``--server`` lets ``trimtab serve``
judge; then a judge that fails for some completions: what None does to advantages, alone, beside a second function, and
combined. Prints a table and exits with 1 where a reward is wrong.
"""

# ruff: noqa: PLC0415, SLF001, S106 - TRL is imported only where it is; its logs have no public name

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

TRL = "trl==1.16.0"
HERE = Path(__file__).resolve().parents[1]
PROMPT = "def f(x):\n"
BODIES = {
    "    return x + 1\n": 1.0,
    "    return 1 + x\n": 1.0,
    "    return 2\n": 0.5,
    "    return x\n": 0.0,
    "    raise ValueError(x)\n": 0.0,
    "    while True: pass\n": 0.0,
    "    return (x\n": 0.0,
}
TESTS = ["assert f(1) == 2", "assert f(5) == 6"]


def again(arguments: list[str]) -> int:
    """Run this file in an environment that has TRL."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        site = next(Path(folder, "lib").glob("python*")) / "site-packages"
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        Path(site, "present.pth").write_text(f"{ours}\n{HERE / 'src'}\n")
        install = [str(python), "-m", "pip", "install", "-q", "-c", str(HERE / "constraints.txt"), TRL]
        subprocess.run(install, check=True)
        return subprocess.run([str(python), __file__, *arguments], check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--server", action="store_true")
    options = parser.parse_args()
    if importlib.util.find_spec("trl") is None:
        return again(sys.argv[1:])

    import torch
    import trl

    from trimtab.codeeval.remote_judge import RemoteJudge
    from trimtab.codeeval.reward import AsyncCodeReward, CodeReward, CombinedReward
    from trimtab.codeeval.workers import Workers, WorkerSettings
    from trimtab.sandbox.verdict import Limits

    print(
        f"trl {trl.__version__}, torch {torch.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    settings = WorkerSettings(workers=2, limits=Limits(cpu_s=0.5))
    server = None
    if options.server:
        command = [sys.executable, "-m", "trimtab.cli", "serve", "--port", "0", "--time-limit", "0.5"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        judging = RemoteJudge(re.search(r"http://\S+", server.stderr.readline())[0])
    else:
        judging = Workers(settings)
    wrong = 0
    try:
        for base in (CodeReward, AsyncCodeReward):
            scorer = recording(base)(judging, partial=base is CodeReward, continues=True)
            started = time.process_time(), time.perf_counter()
            trainer = train(scorer, options.steps)
            took = time.process_time() - started[0], time.perf_counter() - started[1]
            bad = sum(given != due(text, partial=scorer.partial) for text, given in scorer.seen)
            logged = list(zip(trainer._logs["completion"], trainer._logs["rewards"]["code_reward"], strict=True))
            bad += sum(given != due(text, partial=scorer.partial) for text, given in logged)
            wrong += bad + (len(scorer.seen) != 16 * options.steps)
            print(
                f"{base.__name__}: {options.steps} steps, {len(scorer.seen)} completions of "
                f"{len({text for text, _ in scorer.seen})} kinds, mean reward "
                f"{sum(given for _, given in scorer.seen) / len(scorer.seen):.3f}, wrong rewards {bad}; "
                f"{took[0]:.1f} CPU s in the trainer, {took[1]:.1f} s by the clock"
            )
        failing = Failing(CodeReward(judging, partial=True, continues=True))
        for name, functions in {
            "alone": [failing],
            "beside a second function": [failing, form],
            "combined with it": [CombinedReward([failing, form])],
        }.items():
            trainer = train(functions, 1)
            lost = [text in failing.lost for text in trainer._logs["completion"]]
            advantages = list(trainer._logs["advantages"])
            shown = sorted({round(a, 3) for a, gone in zip(advantages, lost, strict=True) if gone})
            print(f"None {name}: {sum(lost)} of {len(lost)} not judged, their advantages {shown}")
    finally:
        judging.close()
        if server is not None:
            server.terminate()
            server.wait()
    return int(wrong > 0)


def due(text: str, *, partial: bool) -> float:
    return BODIES[text] if partial else float(BODIES[text] == 1)


def recording(base):
    """Return a reward class that keeps what it was asked and what it answered."""

    class Recording(base):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            self.seen = []

    async def awaited(self, completions, prompts=None, **columns):
        rewards = await base.__call__(self, completions, prompts, **columns)
        self.seen += zip(completions, rewards, strict=True)
        return rewards

    def called(self, completions, prompts=None, **columns):
        rewards = base.__call__(self, completions, prompts, **columns)
        self.seen += zip(completions, rewards, strict=True)
        return rewards

    Recording.__call__ = awaited if base.__name__.startswith("Async") else called
    return Recording


class Failing:
    """A reward that cannot judge one of the kinds of completion."""

    __name__ = "code_reward"

    def __init__(self, scorer) -> None:
        self.scorer, self.lost = scorer, ("    return x + 1\n", "    return 1 + x\n")

    def __call__(self, completions, **columns):  # noqa: D102
        rewards = self.scorer(completions=completions, **columns)
        return [None if text in self.lost else reward for text, reward in zip(completions, rewards, strict=True)]


def form(completions, **_):
    """Reward short texts: the second function of many a recipe."""
    return [float(len(text) < 16) for text in completions]


def train(functions, steps: int):
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    words = ["<pad>", "<eos>", PROMPT, *BODIES]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("never in a text", "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.suppress_tokens = [0, 1, 2]
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=16,
            num_generations=16,
            max_completion_length=1,
            learning_rate=1e-3,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            bf16=False,
            disable_tqdm=True,
            generation_kwargs={"suppress_tokens": [0, 1, 2]},
        )
        rows = Dataset.from_list([{"prompt": PROMPT, "tests": TESTS}] * 64)
        trainer = GRPOTrainer(
            model=model, reward_funcs=functions, args=arguments, train_dataset=rows, processing_class=fast
        )
        trainer.train()
    return trainer


if __name__ == "__main__":
    sys.exit(main())
