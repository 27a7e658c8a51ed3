"""What can be set in the rules with soft steps."""

import pytest

from trimtab.errors import ConfigurationError
from trimtab.settings.rules import SMEBU, SoftClippedBias, Stack, SwitchLoss


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SMEBU(momentum=1.0), r"SMEBU\(momentum"),
        (lambda: SMEBU(bias_update_rate=0.0), r"SMEBU\(bias_update_rate"),
        (lambda: SMEBU(sharpness=-1.0), r"SMEBU\(sharpness"),
        (SoftClippedBias, "bias_update_rate"),
        (lambda: SoftClippedBias(bias_update_rate=1e-3, momentum=-0.1), "momentum"),
        (lambda: SwitchLoss(coef=1e-4, count="selection"), "scope='sequence'"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_trinity_large_is_a_stack():
    loss = SwitchLoss(coef=1e-4, scope="sequence", count="selection")
    stack = Stack(SMEBU(), loss)
    assert repr(stack) == f"Stack({SMEBU()!r}, {loss!r})"
