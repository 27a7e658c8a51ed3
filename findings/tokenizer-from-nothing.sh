#!/usr/bin/env bash
# transformers 5.17.0: AutoTokenizer makes a tokenizer of a folder that holds none, and it reads every text as no tokens.
#
# A folder with nothing but the config.json of a Qwen2, Qwen2-MoE, Qwen3 or Qwen3-MoE model (what model.save_pretrained
# leaves where the tokenizer was forgotten) gives a Qwen2Tokenizer of one entry without an error. It encodes any
# text as an empty list, so that a script counts zero tokens, or feeds a model nothing, and goes on.
# Output seen: for each of the four, "Qwen2Tokenizer, 1 entries, 'def f(x): return x' -> []".
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.17.0 tokenizers==0.23.3 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import sys
import tempfile

import transformers

print("transformers", transformers.__version__)
same = True
for kind in ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"):
    with tempfile.TemporaryDirectory() as place:
        transformers.AutoConfig.for_model(kind).save_pretrained(place)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    text = "def f(x): return x"
    ids = tokenizer.encode(text, add_special_tokens=False)
    print(f"{kind}: {type(tokenizer).__name__}, {len(tokenizer)} entries, {text!r} -> {ids}")
    same = same and ids == []
sys.exit(not same)
PY
HF_HUB_OFFLINE=1 "$folder/env/bin/python" "$folder/check.py"
