#!/usr/bin/env bash
# TRL 1.16.0, GRPO: beside a second reward function a reward of None counts as zero, and the completion is trained against.
#
# A reward function may return None for a completion that it could not judge. With one function such a completion is
# left out of its group's mean and gets advantage 0. With a second function that returns a number for every completion,
# the None is dropped from the sum, so the completion stays in the group with a smaller reward: it gets exactly the
# advantage of one that was judged and failed, and moves the mean for all others. The recipe "code reward plus format
# reward" therefore punishes programs that a judge could not run for reasons of its own.
# Output seen: alone [None, 1, 0, 1] gives advantages [0.0, 0.577, -1.155, 0.577]; beside [1, 1, 1, 1] it gives
# [-0.866, 0.866, -0.866, 0.866], the same as [0, 1, 0, 1].
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet trl==1.16.0 torch==2.13.0 transformers==5.17.0 datasets==5.2.0 accelerate==1.15.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import sys

import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

print("trl", trl.__version__, "torch", torch.__version__)
letters = ["<pad>", "<eos>", *"abcdefgh"]
tokenizer = Tokenizer(models.WordLevel({letter: number for number, letter in enumerate(letters)}, unk_token="<pad>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


def advantages(*functions):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(letters), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )
    arguments = GRPOConfig(
        output_dir=sys.argv[1], max_steps=1, per_device_train_batch_size=4, num_generations=4, max_completion_length=3,
        report_to=[], use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
    )
    trainer = GRPOTrainer(
        model=LlamaForCausalLM(config), reward_funcs=list(functions), args=arguments, processing_class=fast,
        train_dataset=Dataset.from_list([{"prompt": "a b"}] * 4),
    )
    trainer.train()
    return [round(value, 3) for value in trainer._logs["advantages"]]


def code_with_none(completions, **_):
    return [None, 1.0, 0.0, 1.0]


def code_with_zero(completions, **_):
    return [0.0, 1.0, 0.0, 1.0]


def form(completions, **_):
    return [1.0, 1.0, 1.0, 1.0]


alone = advantages(code_with_none)
beside = advantages(code_with_none, form)
failed = advantages(code_with_zero, form)
print("None alone", alone)
print("None beside a second function", beside)
print("0 in its place", failed)
assert alone[0] == 0.0
assert beside == failed and beside[0] < -0.5
print("as described: beside a second function None counts as 0")
PY
CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py" "$folder/out" 2>"$folder/log" || { tail -5 "$folder/log"; exit 1; }
