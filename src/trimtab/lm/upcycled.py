"""A pretrained model whose last feed-forward blocks are mixtures of experts, computed from cached states.

What lies in front of the first mixture never changes, so the model does not read token ids but *places* in a text whose
states are known (:mod:`trimtab.lm.trunk`). Experts and routers learn; norms, attention, embeddings and head stay.

Training takes the softmax over the tokens that occur in the training text; evaluation over the whole vocabulary: exact
in float32 for every token that occurs anywhere in the texts, and in bfloat16, where the processor has it, for the mass
of the tokens that never do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from trimtab.errors import ConfigurationError
from trimtab.lm.mixture import Mixture
from trimtab.moe.experts import narrow_is_fast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.settings.upcycled_models import UpcycledSettings

_CHUNK: Final = 512


class UpcycledModel(nn.Module):
    """The part of a dense model behind the attention of its first changed layer, with mixtures in ``settings.layers``.

    Args:
        dense: A Llama, Mistral, Qwen2 or Qwen3 model in float32; it gives away its last layers and is not to be used
            afterwards.
        settings: Which layers, and what the mixtures are like.
        generator: Source of the routers' rows.

    Raises:
        ConfigurationError: A layer does not exist or is named twice, or the shape does not fit the model.
    """

    def __init__(self, dense: Any, settings: UpcycledSettings, generator: torch.Generator) -> None:  # noqa: ANN401 - transformers' own
        super().__init__()
        base = dense.model
        count = len(base.layers)
        self.layers = resolve_layers(settings.layers, count)
        first = self.layers[0]
        self.mixtures = nn.ModuleDict(
            {str(layer): _block(base.layers[layer].mlp, settings, generator) for layer in self.layers}
        )
        self.norm_before = base.layers[first].post_attention_layernorm
        self.dense_block = base.layers[first].mlp
        for layer in self.layers[1:]:
            base.layers[layer].mlp = self.mixtures[str(layer)]
        base.layers = base.layers[first + 1 :]
        base.config.num_hidden_layers = count - first - 1
        for index, layer in enumerate(base.layers):
            layer.self_attn.layer_idx = index
        self.head = dense.lm_head.weight
        base.embed_tokens = None
        self.behind = base
        self.requires_grad_(requires_grad=False)
        self.mixtures.requires_grad_(requires_grad=True)
        self.states, self.tokens = torch.empty(0, base.config.hidden_size), torch.empty(0, dtype=torch.int64)
        self.train()

    @property
    def alone(self) -> bool:
        """Whether nothing but a norm and the head lies behind the first mixture, so that tokens do not meet again."""
        return len(self.behind.layers) == 0

    def read(self, states: Tensor, tokens: Tensor) -> None:
        """Take a text: the states [N, H] in front of the first mixture, and the token ids [N]."""
        self.states, self.tokens = states, tokens

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        needed: Tensor | None = None,
        *,
        use_cache: bool = False,  # noqa: ARG002 - as documented
    ) -> Tensor:
        """Return what the head reads, behind the last norm: [B, S, H], or [len(needed), H].

        Args:
            input_ids: [B, S] places in the text.
            position_ids: [B, S] positions within each document; those of one row that start again at 0 are several.
            needed: Indices of the flattened tokens whose result is wanted; all are routed.
            use_cache: Not used; callers of language models say it.
        """
        states = self.states[input_ids].float()
        first = self.mixtures[str(self.layers[0])]
        if self.alone and needed is not None:
            flat = states.flatten(0, 1)
            hidden: Tensor = flat[needed] + first(self.norm_before(flat), needed)
            result: Tensor = self.behind.norm(hidden)
            return result
        hidden = states + first(self.norm_before(states))
        if self.alone:
            result = self.behind.norm(hidden)
        else:
            result = self.behind(inputs_embeds=hidden, position_ids=position_ids, use_cache=False).last_hidden_state
        return result if needed is None else result.flatten(0, 1)[needed]

    def put_into(self, dense: Any) -> None:  # noqa: ANN401 - transformers' own
        """Put the mixtures into a whole model of the same weights, in place, so that it can read and write text."""
        for layer in self.layers:
            dense.model.layers[layer].mlp = self.mixtures[str(layer)]

    @torch.inference_mode()
    def departure(self, places: Tensor) -> float:
        """Return how far the first mixture is from the dense block it was made of: |mixture − dense| / |dense|.

        Args:
            places: [B, S] places of the text on which it is measured.
        """
        inputs = self.norm_before(self.states[places].float().flatten(0, 1))
        expected = self.dense_block(inputs).double()
        difference = self.mixtures[str(self.layers[0])](inputs).double() - expected
        return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(expected))


class Nothing(nn.Module):
    """A block that adds nothing to the residual stream: what the experts are worth is measured against it."""

    def __init__(self) -> None:
        super().__init__()
        # A parameter, so that a training loop has something to hold.
        self.zero = nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: Tensor, needed: Tensor | None = None) -> Tensor:
        """Return zeros in the shape of what is needed."""
        flat = hidden_states if needed is None else hidden_states[needed]
        return flat * 0 * self.zero


def _block(dense: Any, settings: UpcycledSettings, generator: torch.Generator) -> nn.Module:  # noqa: ANN401 - transformers' own
    return Nothing() if settings.feed_forward == "none" else Mixture(dense, settings, generator)


def resolve_layers(layers: Sequence[int], count: int) -> tuple[int, ...]:
    """Return the numbers of ``layers`` in a model of ``count``, ascending.

    Raises:
        ConfigurationError: One does not exist or is named twice, or there is none.
    """
    indices = sorted(layer + count if layer < 0 else layer for layer in layers)
    for layer in indices:
        if not 0 <= layer < count:
            raise ConfigurationError(
                f"layers {list(layers)}: the model has no layer {layer}", hint=f"its layers are 0 to {count - 1}"
            )
    if not indices or len(set(indices)) < len(indices):
        raise ConfigurationError(f"layers {list(layers)} must name at least one layer, and none twice")
    return tuple(indices)


class Vocabulary:
    """The head, sorted by whether a token occurs: ``trained`` [V'] in the training text, ``present`` in any text.

    Args:
        head: [V, H] rows of the output embedding.
        trained: Token ids of the training text.
        present: Token ids of everything that will be scored.
    """

    def __init__(self, head: Tensor, trained: Tensor, present: Tensor) -> None:
        self.trained = trained.unique()
        self.present = torch.cat([trained, present]).unique()
        self._place_trained = _places(self.trained, len(head))
        self._place_present = _places(self.present, len(head))
        self._rows_trained = head[self.trained].contiguous()
        self._rows_present = head[self.present].contiguous()
        absent = torch.ones(len(head), dtype=torch.bool)
        absent[self.present] = False
        narrow = torch.bfloat16 if narrow_is_fast() else torch.float32
        self._rows_absent = head[absent].to(narrow).contiguous()

    def loss(self, hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return Σ weight · −log p(target) over the trained tokens, in nats: hidden [T, H], targets and weights [T]."""
        total: Tensor = _Nats.apply(hidden, self._rows_trained, self._place_trained[targets], weights)
        return total

    def place_loss(self, model: UpcycledModel, places: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
        """Return :meth:`loss` of a batch of places [B, S]; what stands first in a row is not predicted."""
        hidden = model(input_ids=places[:, :-1], position_ids=positions[:, :-1])
        targets = model.tokens[places[:, 1:]]
        return self.loss(hidden.flatten(0, 1), targets.flatten(), weights[:, 1:].flatten())

    @torch.inference_mode()
    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return −log p(target) [T] over the whole vocabulary, float64, for hidden [T, H] and targets [T]."""
        parts = [
            self._nats(hidden[start : start + _CHUNK], self._place_present[targets[start : start + _CHUNK]])
            for start in range(0, len(hidden), _CHUNK)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def _nats(self, hidden: Tensor, places: Tensor) -> Tensor:
        logits = hidden @ self._rows_present.t()
        # Everything relative to the largest present logit: what never occurs is far below it.
        largest = logits.amax(1, keepdim=True)
        mass = (logits - largest).exp_().sum(1)
        right = logits.gather(1, places[:, None])[:, 0] - largest[:, 0]
        narrow = hidden.to(self._rows_absent.dtype)
        for rows in self._rows_absent.split(4 * _CHUNK):
            mass += (torch.mm(narrow, rows.t()).float() - largest).exp_().sum(1)
        return mass.double().log() - right.double()


def _places(ids: Tensor, size: int) -> Tensor:
    places = torch.full((size,), -1)
    places[ids] = torch.arange(len(ids))
    return places


class _Nats(torch.autograd.Function):
    """Weighted negative log-likelihood under a fixed head; the gradient is made on the way, and no logit is kept."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, places: Tensor, weights: Tensor) -> Tensor:  # noqa: ANN401 - torch gives it no public type
        scores = torch.log_softmax(hidden @ head.t(), dim=1)
        nats = -scores.gather(1, places[:, None])[:, 0]
        if hidden.requires_grad:
            gradient = scores.exp_()
            gradient[torch.arange(len(places)), places] -= 1
            ctx.save_for_backward(gradient.mul_(weights[:, None]) @ head)
        return torch.dot(nats, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - as above
        (gradient,) = ctx.saved_tensors
        return gradient * grad, None, None, None
