#!/usr/bin/env bash
# verl 0.9.1: behind the reward manager `rate_limited` an exception of the reward function is a reward of 0.0.
#
# A reward function that cannot judge (its sandbox or server is down) has no value to return, so it raises. The manager
# `naive` lets the exception through and training stops. The manager `rate_limited`, meant for rewards behind an API,
# which fail most, catches it and goes on with 0.0, the reward of a wrong answer: an outage trains the policy against
# whatever it wrote meanwhile. The error is left in a line of the log and in reward_extra_info under other keys than a
# judged sample has.
# Output seen: rate_limited {'reward_score': 0.0, 'reward_extra_info': {'error': 'the judge is down', 'acc': 0.0}},
# naive: ConnectionError.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 transformers==5.10.4 ray==2.60.0 aiohttp==3.14.5 \
    omegaconf==2.3.0 codetiming==1.4.0 tensordict==0.10.0 accelerate==1.15.0 dill==0.4.1 cloudpickle==3.1.3 scipy==1.17.1 \
    pillow==13.0.0 rich==15.0.0
"$folder/env/bin/pip" install --quiet --no-deps verl==0.9.1
cat > "$folder/check.py" <<'PY'
import asyncio
import importlib.metadata

import numpy as np
import torch
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls

print("verl", importlib.metadata.version("verl"))


class Words:
    def decode(self, ids, skip_special_tokens=True):
        return "the answer"


def judge_is_down(data_source, solution_str, ground_truth, extra_info):
    raise ConnectionError("the judge is down")


def judged_wrong(data_source, solution_str, ground_truth, extra_info):
    return {"score": 0.0}


def sample():
    def column(value):
        held = np.empty(1, dtype=object)
        held[0] = value
        return held

    tensors = {"prompts": torch.ones(1, 2, dtype=torch.long), "responses": torch.ones(1, 3, dtype=torch.long)}
    tensors["attention_mask"] = torch.ones(1, 5, dtype=torch.long)
    rest = {"data_source": column("code"), "reward_model": column({"ground_truth": "1"}), "extra_info": column({})}
    return DataProto(batch=TensorDict(tensors, batch_size=1), non_tensor_batch=rest)


async def reward(manager, function):
    config = OmegaConf.create({"reward": {"timeout": 60.0}})
    made = get_reward_manager_cls(manager)(config=config, tokenizer=Words(), compute_score=function)
    made.loop = asyncio.get_running_loop()
    return await made.run_single(sample())


down = asyncio.run(reward("rate_limited", judge_is_down))
wrong = asyncio.run(reward("rate_limited", judged_wrong))
print("rate_limited, the judge is down:", down)
print("rate_limited, judged wrong:", wrong)
assert down["reward_score"] == wrong["reward_score"] == 0.0
assert "score" in wrong["reward_extra_info"] and "score" not in down["reward_extra_info"]
try:
    asyncio.run(reward("naive", judge_is_down))
except ConnectionError as error:
    print("naive, the judge is down: ConnectionError:", error)
else:
    raise SystemExit("the manager naive no longer lets the exception through")
print("as described: behind rate_limited an outage is a wrong answer")
PY
CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py" 2>"$folder/log" || { tail -5 "$folder/log"; exit 1; }
