"""A model of a study that is a pretrained one with experts in its last layers (:mod:`trimtab.lm.upcycled`)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trimtab.settings.model_settings import ModelSettings
from trimtab.settings.pools import PlaceEvaluation, PoolSettings
from trimtab.settings.reading import Count, Positive, setting
from trimtab.settings.shapes import RouterShape


@setting
class UpcycledSettings(ModelSettings):
    """A dense checkpoint whose feed-forward blocks in ``layers`` become mixtures of experts.

    Args:
        preset: Always ``"upcycled"``.
        source: A folder that transformers can load, a GGUF file, or the name of weights that a package brings.
        layers: Which; negative numbers count from the last. What lies in front of the first is frozen and computed
            once, and so is everything else but experts and routers.
        num_experts: E of each layer, a multiple of ``granularity``.
        num_experts_per_tok: k, a multiple of ``granularity``, 2 or more, because weights are renormalized.
        granularity: Shards G of a dense block; an expert is 1/G as wide (arXiv 2410.07524).
        shared_expert: Give half of a block's output to a copy that every token uses.
        score_function: Of the routers; the weights of the chosen are divided by their sum.
        router_std: Standard deviation of the routers' rows.
        precision: Of the cached states.
        feed_forward: ``"none"`` leaves the blocks of ``layers`` out: the floor that shows what they are worth.
        narrow_gradients: Multiply in bfloat16 in the experts' backward pass, where the processor can.
    """

    preset: Literal["upcycled"]
    source: str = "smollm2-135m"
    layers: Annotated[tuple[int, ...], Field(min_length=1)] = (-1,)
    num_experts: Count = 8
    num_experts_per_tok: Count = 2
    granularity: Count = 1
    shared_expert: bool = False
    score_function: Literal["sigmoid", "softmax"] = "sigmoid"
    router_std: Positive = 0.02
    precision: Literal["float16", "float32"] = "float16"
    feed_forward: Literal["experts", "none"] = "experts"
    narrow_gradients: bool = True

    presets: ClassVar[tuple[str, ...]] = ("upcycled",)
    data: ClassVar[type[PoolSettings]] = PoolSettings
    evaluation: ClassVar[type[PlaceEvaluation]] = PlaceEvaluation

    def check_together(self) -> None:
        """Refuse numbers that do not fit each other."""
        for name in ("num_experts", "num_experts_per_tok"):
            if getattr(self, name) % self.granularity:
                raise self.refused(f"{self.granularity} does not divide {name} = {getattr(self, name)}", "granularity")
        if not 2 <= self.num_experts_per_tok <= self.num_experts:
            raise self.refused(
                f"{self.num_experts_per_tok} is not between 2 and num_experts = {self.num_experts}",
                "num_experts_per_tok",
            )
        if len(set(self.layers)) < len(self.layers):
            raise self.refused(f"{list(self.layers)} names a layer twice", "layers")

    @property
    def router(self) -> RouterShape:
        """Its routers: top-k over all experts, weights that sum to 1."""
        return RouterShape(
            name="the model",
            num_experts=self.num_experts,
            num_experts_per_tok=self.num_experts_per_tok,
            # Known only when the checkpoint is read; no pretrained model has more experts than dimensions.
            hidden_size=self.num_experts,
            renormalize=True,
        )
