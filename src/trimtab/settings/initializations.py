"""What a study does to a fresh model before training; what each does with tensors is in :mod:`trimtab.moe.stresses`.

Initializations are named by their class in Python, and by the key ``kind`` in a study file.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - annotations of settings are resolved
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from trimtab.settings.reading import (
    Count,
    InnerShare,
    Positive,
    Setting,
    Share,
    chosen,
    encode,
    later,
    read,
    setting,
    without,
)

if TYPE_CHECKING:
    from trimtab.settings.shapes import RouterShape


class Initialization(Setting):
    """Something that changes a fresh model, in place and reproducibly."""

    __slots__ = ()
    # What a study file calls it, and whether it is about routers and experts, which a dense model has none of.
    key: ClassVar[str] = ""
    of_experts: ClassVar[bool] = True

    def apply(self, model: Any, sample_batch: Any, generator: Any) -> Any:  # noqa: ANN401 - torch is not loaded here
        """Change ``model`` in place: :func:`trimtab.moe.stresses.initialize`, loaded here as settings need no torch."""
        return import_module("trimtab.moe.stresses").initialize(model, self, sample_batch, generator)

    def check_fit(self, router: RouterShape) -> None:
        """Refuse a router that it has no room on.

        Raises:
            ConfigurationError: Names what does not go together.
        """


@setting
class Random(Initialization):
    """The model as its own initialization left it: the reference."""

    key: ClassVar[str] = "random"
    of_experts: ClassVar[bool] = False


@setting
class ScaledRouter(Initialization):
    """Router rows times ``factor``, with the bias of its logits: large ones saturate scores, small ones flatten them.

    Args:
        factor: What rows are multiplied with.
    """

    factor: Positive

    key: ClassVar[str] = "scaled_router"

    def check_fit(self, router: RouterShape) -> None:
        """Refuse a factor that changes nothing."""
        if self.factor == 1:
            raise self.refused(f"{self.factor} leaves the rows of {router.name} as they are", "factor")


@setting
class SkewedRouter(Initialization):
    """A ``share`` of the experts of each layer favored by ``shift`` logits on average, in proportion to the token.

    Row e gains shift · m / |m|² with m the mean input of the router on the sample, so that the mean logit of e over
    the sample rises by exactly ``shift``.

    Args:
        shift: By how many logits.
        share: Of the experts of a layer; at least one.
    """

    shift: float = 3.0
    share: InnerShare = 0.125

    key: ClassVar[str] = "skewed_router"

    def check_fit(self, router: RouterShape) -> None:
        """Refuse a shift of nothing."""
        if not self.shift:
            raise self.refused(f"{self.shift} favors no expert of {router.name}", "shift")


@setting
class TwinRows(Initialization):
    """Experts in ``groups`` groups whose members have equal router rows, up to ``noise`` (in row standard deviations).

    What else treats experts apart (biases of logits and of selection, factors of weights) is made equal too. A bias
    cannot tell twins apart: where a group is larger than k, any difference moves all its tokens together.

    Args:
        groups: How many groups, fewer than experts.
        noise: How far members are apart.
    """

    groups: Count
    noise: Annotated[float, Field(ge=0)] = 0.0

    key: ClassVar[str] = "twin_rows"

    def check_fit(self, router: RouterShape) -> None:
        """Refuse groups of one."""
        if self.groups >= router.num_experts:
            raise self.refused(
                f"{self.groups} groups leave nobody a twin: {router.name} has {router.num_experts} experts", "groups"
            )


@setting
class IdenticalExperts(Initialization):
    """Every expert of a layer a copy of its first one, as after sparse upcycling (arXiv 2212.05055).

    With renormalized weights the layer's output then does not depend on the routing.
    """

    key: ClassVar[str] = "identical_experts"


@setting
class DeadExpert(Initialization):
    """One expert of each layer that says nothing and is hardly ever asked.

    Its output projection is zero, bias included, and its router row is lowered by ``shift`` logits on average along the
    mean input. Gradients can still revive it.

    Args:
        shift: By how many logits its row is moved.
    """

    shift: float = later(-6.0)

    key: ClassVar[str] = "dead_expert"


@setting
class BiasedRouter(Initialization):
    """Every expert's mean logit shifted by a draw from N(0, ``std``²), in proportion to the token.

    Megatron's ``moe_router_force_biased`` adds such draws, fixed for each layer, to all logits; here they lie along the
    mean input as in :class:`SkewedRouter`, where training can undo them and a bias cannot cancel them.

    Args:
        std: Spread of the draws, in logits.
    """

    std: Positive = 1.0

    key: ClassVar[str] = "biased_router"


@setting
class DropUpcycled(Initialization):
    """Copies of a layer's first expert, each with a share of its intermediate columns drawn anew (arXiv 2502.19261).

    The columns are drawn for each expert, their new values from the normal distribution with the mean and standard
    deviation of what they held, matrix by matrix. 0 makes identical experts, 1 unrelated ones.

    Args:
        drop_ratio: Share of the columns that are drawn anew.
    """

    drop_ratio: Share = 0.5

    key: ClassVar[str] = "drop_upcycled"


@setting
class VirtualGroups(Initialization):
    """Experts as granular upcycling lays them out (arXiv 2410.07524): G shards, and groups with equal router rows.

    The first G experts of a layer are the shards of a dense block G times as wide; expert e holds shard e mod G, and
    the G experts of a virtual group have the router row of its first one, so that top-k takes whole groups and the
    layer is that dense block, whatever the routing, until the bias or the gradient tells members apart. Weights of a
    shard sum to 1/G, which a factor G on ``down_proj`` makes up for.

    Refuses k or E that are no multiple of G, and routers whose weights do not sum to 1.

    Args:
        granularity: G.
    """

    granularity: Count = 2

    key: ClassVar[str] = "virtual_groups"

    def check_fit(self, router: RouterShape) -> None:
        """Refuse routers that would cut through a group, or weigh its members unlike."""
        for name in ("num_experts", "num_experts_per_tok"):
            if getattr(router, name) % self.granularity:
                raise self.refused(
                    f"{self.granularity} does not divide {name} = {getattr(router, name)} of {router.name}, so top-k"
                    " would cut through a group",
                    "granularity",
                )
        if not router.renormalize:
            raise self.refused(
                f"the weights of {router.name} do not sum to 1, so its output would depend on the routing"
            )


@setting
class DepthScaled(Initialization):
    """The output projections of attention, feed-forward blocks and experts times 1/√L, with L layers.

    The L contributions to the residual stream then add up to the variance of one, so that what a token started as is
    not drowned in later layers. Refuses a model with a branch whose projection is not known, and one whose norms take
    the factor out again, which is measured on the sample before anything is written.
    """

    key: ClassVar[str] = "depth_scaled"
    of_experts: ClassVar[bool] = False


@setting
class CollapsedInputs(Initialization):
    """Token embeddings with one direction in common, so that two of them have a cosine of ``similarity`` on average.

    What is added is as long as √(ρ/(1 − ρ)) times the root mean square of an embedding, in a drawn direction. Where the
    output layer is tied to the embeddings, it adds the same number to all of a position's logits, and so nothing to its
    predictions, except through what the layers then see.

    Args:
        similarity: ρ, the mean cosine of two embeddings.
    """

    similarity: InnerShare = 0.9

    key: ClassVar[str] = "collapsed_inputs"
    of_experts: ClassVar[bool] = False


@setting
class NoisyCopies(Initialization):
    """Noise on every expert weight, ``std`` standard deviations of the matrix it is added to.

    Args:
        std: Size of the noise.
    """

    std: Positive = 0.01

    key: ClassVar[str] = "noisy_copies"


@setting
class DyingExpert(Initialization):
    """One drawn expert of each layer with all its weights times ``factor``: it is asked, and says next to nothing.

    So look the experts that die silently (Jin et al. 2026): norms a tenth of the others', loads as usual.

    Args:
        factor: What its weights are multiplied with.
    """

    factor: InnerShare = 0.1

    key: ClassVar[str] = "dying_expert"


@setting
class PromptRouter(Initialization):
    """Router rows from hidden states, as mergekit makes them: a text's mean router input, of length ``norm``.

    The texts are the rows of the sample, dealt to the experts in turn; all draws rest.

    Args:
        norm: Length of each row.
    """

    norm: Positive = 1.0

    key: ClassVar[str] = "prompt_router"


@setting
class DoubledExperts(Initialization):
    """Half of the experts, and the other half copies of them in the order of their norms (arXiv 2604.19835).

    Experts 0 to E/2 − 1 stay as they are, after ``drop_ratio`` of their columns were drawn anew; slot E/2 + i copies
    the expert whose ``gate_up_proj`` is largest, then the next, each three times over. Router rows are copied with
    them, so that top-k takes twins together, until training tells them apart.

    Args:
        drop_ratio: Share of the columns that is drawn anew before doubling.
    """

    drop_ratio: Share = 0.5

    key: ClassVar[str] = "doubled_experts"

    def check_fit(self, router: RouterShape) -> None:
        """Refuse an odd number of experts."""
        if router.num_experts % 2:
            raise self.refused(f"{router.name} has {router.num_experts} experts, which no doubling makes")


INITIALIZATIONS: Final[tuple[type[Initialization], ...]] = (
    Random,
    ScaledRouter,
    SkewedRouter,
    TwinRows,
    IdenticalExperts,
    DeadExpert,
    BiasedRouter,
    DropUpcycled,
    VirtualGroups,
    DepthScaled,
    CollapsedInputs,
    NoisyCopies,
    DyingExpert,
    PromptRouter,
    DoubledExperts,
)
BY_CLASS: Final[Mapping[str, type[Initialization]]] = {kind.__name__: kind for kind in INITIALIZATIONS}
BY_KIND: Final[Mapping[str, type[Initialization]]] = {kind.key: kind for kind in INITIALIZATIONS}


def read_initialization(table: Mapping[str, Any], where: str) -> Initialization:
    """Read ``[expert_inits.NAME]``: its key ``kind``, "random" if absent, says which other keys there are.

    Raises:
        StudyError: The kind is unknown, or a value cannot work.
    """
    kind = chosen(BY_KIND, table.get("kind", Random.key), f"{where}.kind", "initialization")
    beside = {f"kind = {other.key!r}": other for other in INITIALIZATIONS}
    return read(kind, without(table, "kind"), where, beside=beside)


def initialization_table(init: Initialization) -> dict[str, Any]:
    """Return what :func:`read_initialization` reads back as ``init``."""
    return {"kind": init.key, **encode(init)}
