"""A folder that was saved with its gates is looked into with its biases; what cannot be loaded is named."""

import shutil

import pytest

from trimtab.errors import ConfigurationError
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.inspected_model import load
from trimtab.inspection.routing_reading import ReadingOptions, read_routing
from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree


@pytest.mark.filterwarnings("ignore")
def test_biases_come_back_and_decide(make_mixture, mixture_folder, texts, tmp_path):
    gates = attach(make_mixture(), balancer=LossFree(bias_update_rate=1e-3))
    for gate in gates._gates:
        gate.bias[3] += 10
    gates.save_pretrained(tmp_path / "saved")
    with pytest.raises(ConfigurationError, match="holds a model without a tokenizer"):
        load(str(tmp_path / "saved"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(mixture_folder / name, tmp_path / "saved" / name)
    sources = domain_sources([], [str(texts / "code.jsonl")])
    record = read_routing(load(str(tmp_path / "saved")), sources, ReadingOptions(health=False))
    for layer in record["layers"]:
        held = layer["domains"]["all"]
        assert held["load"][3] == held["tokens"]
    with pytest.raises(ConfigurationError, match="no dtype 'float33'"):
        load(str(tmp_path / "saved"), dtype="float33")
