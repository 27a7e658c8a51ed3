"""ALF-LB with a bias of its own for each modality, as DeepSeek-V4.1-Flash has it."""

from __future__ import annotations

from typing import ClassVar

from trimtab.settings.families import BiasRule
from trimtab.settings.reading import Positive, setting


@setting
class ModalityLossFree(BiasRule):
    """ALF-LB with separate biases for text and image tokens (DeepSeek-V4.1-Flash, arXiv 2609.19969, section 2.1.1).

    Each token is chosen for with the bias of its modality, and each bias moves by ``u·sign(mean − load)`` of the calls
    of its own tokens, once a step: a load that is even in sum may hide two that are not. Weights come from scores
    without a bias. A modality without tokens in a step rests. The published run has beside it
    ``SwitchLoss(coef=1e-4, scope="sequence")``, and the report shows no comparison with one bias for all.

    Image tokens are those whose id is the ``image_token_id`` (or ``image_token_index``) or ``video_token_id`` of the
    model's configuration; a model whose configuration names none reads text alone, and this is then
    :class:`~trimtab.settings.rules.LossFree`. The bias of text is where a router has its own, that of images in
    ``gates.state_dict()``: a model trained so chooses so only while it is attached.

    Args:
        bias_update_rate: u, in units of score a step, the same for both.

    Raises:
        ConfigurationError: The rate is not positive and finite.
    """

    bias_update_rate: Positive = 1e-3

    key: ClassVar[str] = "modality_loss_free"
