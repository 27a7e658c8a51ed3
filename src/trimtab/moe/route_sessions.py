"""Recording and replaying the routes of a model, and reading those that engines return.

This is the part of :class:`~trimtab.moe.gates.Gates` that deals with routes.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.moe import route_files
from trimtab.moe.route_forms import RouteReader, sequences_of
from trimtab.moe.route_recording import RouteRecorder, shape_of
from trimtab.moe.route_replay import RouteReplay
from trimtab.moe.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.moe.attachment import Attachment
    from trimtab.moe.gate import Gate
    from trimtab.moe.route_replay import Match, Missing
    from trimtab.moe.routes import RouteShape


class RouteSessions:
    """What gates do with routes: record, replay and read them."""

    _gates: list[Gate]
    _attachment: Attachment

    @contextmanager
    def record(self) -> Iterator[Routes]:
        """Record which experts every token is given in the forward passes inside; the routes are there at the end.

        What is recorded is the choice, before a capacity drops or reroutes calls. Tokens are recorded with it where the
        model is called with ``input_ids``. Passes behind a cache go on with the sequences of the last one, as in
        ``generate``. The number of bytes grows with tokens × layers × experts a token × 2.

        Raises:
            ConfigurationError: The model has no router, or a router sees other tokens than the model is called with.
        """
        routes = Routes(shape=self.route_shape)
        recorder = RouteRecorder(routes)
        before, self._attachment.recorder = self._attachment.recorder, recorder
        try:
            yield routes
        finally:
            self._attachment.recorder = before
            recorder.finish()

    @contextmanager
    def replay(self, routes: Routes, *, match: Match = "order", missing: Missing = "refuse") -> Iterator[None]:
        """Give every token the experts that ``routes`` have for it in the forward passes inside (arXiv 2510.11370).

        Weights come from the scores of the model as it is now, without bias, in the router's own normalization, so that
        the router gets its gradient. Nothing is counted, penalized or learned by a bias; a capacity goes on as set. The
        last token of a sequence may be one that was sampled and never ran: the model routes it, and padding, as it does
        now.

        Args:
            routes: From :meth:`record` or :meth:`read_routes`.
            match: ``"order"`` takes a sequence for each one that the model is called with; ``"tokens"`` finds each by
                its tokens, in any order and as often as is asked.
            missing: What to do with other tokens that lack their routes: ``"refuse"``, or route them ``"live"``.

        Raises:
            ConfigurationError: The routes are of another model or of other sequences: nothing is shifted to fit.
            UnsupportedModelError: A router that weighs in a way of its own (Phi-3.5-MoE) chose otherwise.
        """
        player = RouteReplay(routes, self.route_shape, match=match, missing=missing)
        before, self._attachment.replay = self._attachment.replay, player
        try:
            yield
        finally:
            self._attachment.replay = before

    def read_routes(
        self,
        source: Any,  # noqa: ANN401 - whatever engines return
        *,
        tokens: Sequence[Any] | None = None,
        attention_mask: Any = None,  # noqa: ANN401 - a tensor, an array, nested lists
        physical_to_logical: Any = None,  # noqa: ANN401 - the same
        extra_layers: int = 0,
    ) -> Routes:
        """Return the routes of this model in the form of vLLM, SGLang or verl (:mod:`trimtab.moe.route_forms`).

        Args:
            source: A path; a list with a table [rows, layers, K], a pair of tables (prompt, generated), a base64 string
                or a response for each sequence; or one padded table [B, S, layers, K].
            tokens: Token ids of each sequence, the last one sampled included (of a padded table [B, S]). Without them
                lengths are checked at the replay, and tokens not at all.
            attention_mask: [B, S] what is text, for a padded table.
            physical_to_logical: [slots] or [layers, slots] the expert in each slot, where ids are those of slots.
            extra_layers: Layers of multi-token prediction behind those of the model, to be left out.

        Raises:
            ConfigurationError: They are of another model or length, or have ids that are none of its experts.
        """
        reader = RouteReader(shape=self.route_shape, physical_to_logical=physical_to_logical, extra_layers=extra_layers)
        if isinstance(source, (str, Path)):
            return route_files.read(source, reader, tokens, attention_mask)
        return Routes(shape=reader.shape, sequences=sequences_of(reader, source, tokens, attention_mask))

    @property
    def route_shape(self) -> RouteShape:
        """What routes of this model look like."""
        config: Any = getattr(self._attachment.roots[0], "config", None)
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        return shape_of([gate.router for gate in self._gates], int(getattr(text, "num_hidden_layers", 0) or 0))
