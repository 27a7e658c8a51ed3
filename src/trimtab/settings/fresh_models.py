"""The tiny models of a study that start from random weights; :mod:`trimtab.lm.models` builds them."""

from __future__ import annotations

from typing import ClassVar, Literal

from trimtab.settings.model_settings import ModelSettings
from trimtab.settings.reading import Count, Positive, later, setting
from trimtab.settings.runs import CorpusSettings, Evaluation
from trimtab.settings.shapes import RouterShape


@setting
class FreshModel(ModelSettings):
    """A freshly initialized tiny model of a preset, and its dimensions.

    Args:
        preset: ``"sigmoid"`` is a GLM-4-MoE, ``"softmax"`` a Qwen3-MoE; layer 0 is dense in both.
        hidden_size: H.
        num_hidden_layers: Layers, the dense one included.
        num_attention_heads: Heads; H is an even multiple of them.
        intermediate_size: Width of the dense block.
        moe_intermediate_size: Width of an expert.
        num_experts: E.
        num_experts_per_tok: K; 2 or more, because these presets renormalize.
        initializer_range: Standard deviation of fresh weights.
        feed_forward: ``"none"`` removes every feed-forward block, dense and expert alike: the floor that shows whether
            an endpoint feels the experts at all.
        max_position_embeddings: Tokens a sequence may have.
    """

    preset: Literal["sigmoid", "softmax"] = "sigmoid"
    hidden_size: Count = 128
    num_hidden_layers: Count = 4
    num_attention_heads: Count = 4
    intermediate_size: Count = 256
    moe_intermediate_size: Count = 128
    num_experts: Count = 8
    num_experts_per_tok: Count = 2
    initializer_range: Positive = 0.02
    feed_forward: Literal["experts", "none"] = "experts"
    max_position_embeddings: Count = later(1024)

    presets: ClassVar[tuple[str, ...]] = ("sigmoid", "softmax")
    data: ClassVar[type[CorpusSettings]] = CorpusSettings
    evaluation: ClassVar[type[Evaluation]] = Evaluation

    def check_together(self) -> None:
        """Refuse impossible dimensions."""
        if self.num_hidden_layers < 2:
            raise self.refused(f"{self.num_hidden_layers} leaves no expert layer after layer 0", "num_hidden_layers")
        if self.hidden_size % (2 * self.num_attention_heads):
            raise self.refused(
                f"{self.hidden_size} is not an even multiple of {self.num_attention_heads} heads", "hidden_size"
            )
        if self.num_experts_per_tok > self.num_experts:
            raise self.refused(
                f"{self.num_experts_per_tok} is not between 1 and num_experts = {self.num_experts}",
                "num_experts_per_tok",
            )
        if self.num_experts_per_tok == 1:
            raise self.refused(
                "with 1 expert a token the renormalized weight is always 1, so the router gets no gradient",
                "num_experts_per_tok",
                hint="use at least 2; these presets renormalize",
            )

    @property
    def router(self) -> RouterShape:
        """Its routers: top-k over all experts, weights that sum to 1."""
        return RouterShape(
            name="the model",
            num_experts=self.num_experts,
            num_experts_per_tok=self.num_experts_per_tok,
            hidden_size=self.hidden_size,
            renormalize=True,
        )
