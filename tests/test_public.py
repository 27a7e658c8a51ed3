"""The public names, frozen: a change here is a change for users."""

import subprocess
import sys

import pytest

import trimtab

NAMES = [
    "BIP",
    "BiasedRouter",
    "Capacity",
    "CausalBias",
    "CollapsedInputs",
    "DeadExpert",
    "DepthScaled",
    "DoubledExperts",
    "DropUpcycled",
    "DyingExpert",
    "Gates",
    "IdenticalExperts",
    "KimiQuantileBalancing",
    "LossFree",
    "MarinQuantileBalancing",
    "MegatronQuantileBalancing",
    "ModalityLossFree",
    "MovingQuantileBalancing",
    "NewtonBalancing",
    "NoBalancer",
    "NoisyCopies",
    "PooledSwitchLoss",
    "PromptRouter",
    "QuantileBalancing",
    "Random",
    "RouterZLoss",
    "SMEBU",
    "ScaledRouter",
    "SimBal",
    "Sinkhorn",
    "SkewedRouter",
    "SoftClippedBias",
    "Stack",
    "SwitchLoss",
    "TrimtabCallback",
    "TwinRows",
    "VirtualGroups",
    "attach",
    "expand_optimizer",
    "initialize",
    "load",
    "upcycle",
    "upcycle_experts",
]


def test_the_public_names_are_these():
    assert trimtab.__all__ == NAMES
    assert set(NAMES) <= set(dir(trimtab))
    for name in NAMES:
        assert getattr(trimtab, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'Balance'"):
        _ = trimtab.Balance


def test_without_torch_the_message_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None; import trimtab; trimtab.attach"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'trimtab[hf]'" in done.stderr
