#!/usr/bin/env bash
# transformers 5.17.0, torch 2.13.0: on a CPU, decoding with a padded batch copies the whole cache for every query head.
#
# With fewer key heads than query heads, sdpa_attention_forward hands groups to torch (enable_gqa) only where there is no
# attention mask, a rule made for CUDA kernels. A batch of prompts padded on the left always has a mask, so keys and
# values are repeated for every query head at each new token. torch's CPU kernel reads groups under a mask without a
# copy, and its result is equal to the last bit. SmolLM2's shape (9 query heads, 3 key heads of 64), 16 rows, 600 tokens:
# Output seen: 42.3 MiB taken a layer and token with repeated keys, 0.1 MiB by groups; same kernel, equal bits.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import torch
import transformers
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile
from transformers.integrations.sdpa_attention import sdpa_attention_forward

print("torch", torch.__version__, "transformers", transformers.__version__)
ROWS, HEADS, KEY_HEADS, PAST, WIDTH = 16, 9, 3, 600, 64
torch.manual_seed(0)
query = torch.randn(ROWS, HEADS, 1, WIDTH)
key, value = (torch.randn(ROWS, KEY_HEADS, PAST, WIDTH) for _ in range(2))
mask = torch.ones(ROWS, 1, 1, PAST, dtype=torch.bool)
mask[::2, ..., :50] = False  # every second prompt is shorter
layer = torch.nn.Module()
layer.num_key_value_groups = HEADS // KEY_HEADS


def measured(function):
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        output = function()
    events = record.key_averages()
    copied = sum(max(0, event.self_cpu_memory_usage) for event in events) / 2**20
    flash = any(event.key == "aten::_scaled_dot_product_flash_attention_for_cpu" for event in events)
    return output, copied, flash


theirs, copied, flash = measured(lambda: sdpa_attention_forward(layer, query, key, value, mask)[0])
groups, taken, flash_too = measured(
    lambda: scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True).transpose(1, 2)
)
cache = 2 * ROWS * KEY_HEADS * PAST * WIDTH * 4 / 2**20
print(f"the cache itself {cache:.1f} MiB; taken with repeated keys {copied:.1f} MiB, with groups {taken:.1f} MiB")
print("flash kernel:", flash, flash_too, "| equal bits:", torch.equal(theirs, groups))
assert flash and flash_too and torch.equal(theirs, groups)
assert copied > 2.9 * cache and taken < 0.2 * cache
print("as described")
PY
"$folder/env/bin/python" "$folder/check.py"
