"""Routes in the forms of other engines: vLLM's two, SGLang's, verl's. Told apart by their shape; never shifted to fit.

========================= =============================== ============== ==========================================
form                      array                           dense layers   rows
========================= =============================== ============== ==========================================
vLLM PR 28284             int32 [rows, all layers, K]     zeros          prompt + generated − 1
vLLM 0.21                 int16 [rows, MoE layers, K] × 2 left out       prompt | generated; −1 where prefix cached
SGLang                    int32 [rows, all layers, K]     zeros          prompt + generated − 1; base64
verl                      int64 [batch, S, layers, K]     either         padded, zeros beside the text
========================= =============================== ============== ==========================================

The last token that was sampled never ran through the model, so it has no row, or a row of zeros. Later vLLM sends an
array as base64 of a .npy file. Ids have to be logical: a map turns those of physical slots (redundant experts) back.

Axes: N tokens of a sequence, L layers with a router, K experts a token, B rows of a batch, S tokens of a row.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.errors import ConfigurationError
from trimtab.moe.routes import UNKNOWN, RoutedSequence, Routes, RouteShape, narrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_NPY: Final = b"\x93NUMPY"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReader:
    """Reads routes of other engines for one model.

    Args:
        shape: Its routers.
        physical_to_logical: [slots], or [layers with a router, slots]: the expert in each slot, where the engine tells
            slots; None where it tells experts.
        extra_layers: Layers behind those of the model, of multi-token prediction, to leave out.
    """

    shape: RouteShape
    physical_to_logical: Any = None
    extra_layers: int = 0

    def sequence(self, table: Any, tokens: Any = None, *, prompt: Any = None, where: str = "routes") -> RoutedSequence:  # noqa: ANN401
        """Return one sequence.

        Args:
            table: Its rows: an array or nested lists [rows, layers, K], or base64 of SGLang or of a .npy file.
            tokens: Its token ids, the last one sampled included; None leaves lengths to be checked at the replay.
            prompt: The rows [P, layers, K] of its prompt where they are apart (vLLM 0.21); or their number.
            where: Its name, for messages.

        Raises:
            ConfigurationError: It is of another model or length, or has ids that are none.
        """
        ids = None if tokens is None else np.asarray(tokens).reshape(-1)
        parts = self._array(table, where)
        given = prompt if isinstance(prompt, int) else None
        if prompt is not None and given is None:
            first = self._array(prompt, f"{where}: the prompt")
            given = len(first)
            parts = np.concatenate([first, parts]) if len(parts) else first
        experts = self._without_padding(parts, ids, where)
        self._check(experts, where)
        return RoutedSequence(experts=experts.astype(narrow(self.shape.num_experts)), tokens=ids, prompt=given)

    def batch(self, table: Any, mask: Any, tokens: Any = None) -> list[RoutedSequence]:  # noqa: ANN401
        """Return the sequences of verl's padded form [B, S, layers, K].

        Args:
            table: The routes.
            mask: [B, S] 1 where there is text.
            tokens: [B, S] token ids, or None.

        Raises:
            ConfigurationError: There is no mask, or a sequence cannot be read.
        """
        routes_BSLK = _to_numpy(table)
        if mask is None:
            raise ConfigurationError(
                f"routes of shape {list(routes_BSLK.shape)} are padded, and zeros are experts too",
                hint="attention_mask=[batch, tokens] says what is text",
            )
        text_BS = _to_numpy(mask).astype(bool)
        if routes_BSLK.ndim != 4 or routes_BSLK.shape[:2] != text_BS.shape:
            raise ConfigurationError(
                f"routes of shape {list(routes_BSLK.shape)} and a mask of {list(text_BS.shape)}; expected"
                " [batch, tokens, layers, K] and [batch, tokens]"
            )
        ids_BS = None if tokens is None else _to_numpy(tokens)
        return [
            self.sequence(
                routes_BSLK[row][text_BS[row]],
                None if ids_BS is None else ids_BS[row][text_BS[row]],
                where=f"row {row}",
            )
            for row in range(len(text_BS))
        ]

    def response(self, response: Mapping[str, Any], tokens: Any = None, where: str = "routes") -> list[RoutedSequence]:  # noqa: ANN401
        """Return the sequences of a response of vLLM (a JSON object) or SGLang (with ``meta_info``).

        Raises:
            ConfigurationError: It has no routes (vLLM sends None after a preemption), or they cannot be read.
        """
        answers, prompt = response.get("choices"), response.get("prompt_routed_experts")
        if answers is None:
            answers = [{**response.get("meta_info", {}), **response}]
        sequences = []
        for number, answer in enumerate(answers):
            name = f"{where}: choice {number}" if len(answers) > 1 else where
            if answer.get("routed_experts") is None:
                raise ConfigurationError(
                    f"{name} has no routed_experts",
                    hint="vLLM needs --enable-return-routed-experts and sends none after a preemption; SGLang needs"
                    " return_routed_experts in the request",
                )
            ids = _ids(response, answer) if tokens is None else tokens
            sequences.append(self.sequence(answer["routed_experts"], ids, prompt=prompt, where=name))
        return sequences

    def _array(self, table: Any, where: str) -> NDArray[Any]:  # noqa: ANN401
        """Return [rows, L, K] of the layers with a router."""
        array = self._decoded(table, where) if isinstance(table, (str, bytes)) else _to_numpy(table)
        k, layers = self.shape.num_experts_per_tok, self.shape.layers
        if array.size == 0:
            return np.zeros((0, len(layers), k), np.int64)
        if array.ndim != 3 or array.dtype.kind not in "iu":
            raise ConfigurationError(
                f"{where}: {array.dtype} of shape {list(array.shape)}; expected integers [rows, layers, {k}]"
            )
        if array.shape[2] != k:
            raise ConfigurationError(f"{where}: {array.shape[2]} experts a token, and the model has {k}")
        array = array.astype(np.int64)
        if self.extra_layers:
            array = array[:, : array.shape[1] - self.extra_layers]
        if array.shape[1] == len(layers):
            return self._logical(array, where)
        if array.shape[1] != self.shape.num_layers:
            more = array.shape[1] > self.shape.num_layers
            raise ConfigurationError(
                f"{where}: {array.shape[1]} layers, and the model has {self.shape.num_layers},"
                f" {len(layers)} of them with a router",
                hint="layers of multi-token prediction behind the model's own are left out with extra_layers="
                if more
                else "these routes are of another model, or of a part of it",
            )
        dense = sorted(set(range(self.shape.num_layers)) - set(layers))
        for layer in dense:
            if bool((array[:, layer] > 0).any()):
                raise ConfigurationError(
                    f"{where}: layer {layer} has experts, and has no router in this model: its routers are in layers"
                    f" {', '.join(map(str, layers))}"
                )
        return self._logical(array[:, list(layers)], where)

    def _decoded(self, text: str | bytes, where: str) -> NDArray[Any]:
        try:
            content = base64.b64decode(text, validate=True)
            if content.startswith(_NPY):
                loaded: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
                return loaded
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(f"{where} is no base64 of an array: {error}") from error
        k = self.shape.num_experts_per_tok
        row = 4 * k * (self.shape.num_layers + self.extra_layers)
        if len(content) % row:
            raise ConfigurationError(
                f"{where}: {len(content)} bytes are no whole number of rows of {row} bytes (int32,"
                f" {self.shape.num_layers + self.extra_layers} layers, {k} experts)",
                hint="are they of this model?",
            )
        return np.frombuffer(content, "<i4").reshape(-1, self.shape.num_layers + self.extra_layers, k)

    def _logical(self, array: NDArray[Any], where: str) -> NDArray[Any]:
        """Return logical experts for physical slots, where there is a map."""
        if self.physical_to_logical is None:
            return array
        table = _to_numpy(self.physical_to_logical).astype(np.int64)
        if table.ndim == 1:
            table = np.broadcast_to(table, (len(self.shape.layers), len(table)))
        if table.ndim == 2 and len(table) == self.shape.num_layers != len(self.shape.layers):
            table = table[list(self.shape.layers)]
        if table.ndim != 2 or len(table) != len(self.shape.layers):
            raise ConfigurationError(
                f"physical_to_logical of shape {list(np.shape(self.physical_to_logical))}; expected [slots] or"
                f" [{len(self.shape.layers)} layers, slots]"
            )
        if int(array.max()) >= table.shape[1]:
            raise ConfigurationError(f"{where}: slot {int(array.max())}, and physical_to_logical has {table.shape[1]}")
        logical = np.take_along_axis(table[None], np.maximum(array, 0).reshape(len(array), len(table), -1), 2)
        return np.where(array < 0, UNKNOWN, logical.reshape(array.shape))

    def _without_padding(self, rows: NDArray[Any], ids: NDArray[Any] | None, where: str) -> NDArray[Any]:
        """Return the rows of tokens that ran; the last one may have been filled with zeros."""
        if ids is not None and len(rows) not in {len(ids), len(ids) - 1}:
            raise ConfigurationError(
                f"{where}: {len(rows)} rows for {len(ids)} tokens; expected {len(ids) - 1}, because the last one"
                f" sampled never ran, or {len(ids)}",
                hint="more rows are those of rejected speculative tokens: cut them where they were drawn"
                if len(rows) > len(ids)
                else "the engine left rows out; which ones cannot be told",
            )
        k = self.shape.num_experts_per_tok
        if k > 1 and len(rows) and not rows[-1].any():
            return rows[:-1]
        return rows

    def _check(self, experts: NDArray[Any], where: str) -> None:
        """Refuse what is no choice of K experts."""
        unknown = experts == UNKNOWN
        torn = unknown.any(2) & ~unknown.all(2)
        limits = np.array(self.shape.num_experts)[None, :, None]
        wrong = torn[..., None] | (experts < UNKNOWN) | (experts >= limits)
        if wrong.any():
            row, layer, _ = (int(axis[0]) for axis in wrong.nonzero())
            raise ConfigurationError(
                f"{where}: token {row} has experts {experts[row, layer].tolist()} in layer {self.shape.layers[layer]},"
                f" which has {self.shape.num_experts[layer]}",
                hint="ids of physical slots need physical_to_logical=",
            )
        ordered = np.sort(experts, axis=2)
        twice = ((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] != UNKNOWN)).any(2)
        if twice.any():
            row, layer = (int(axis[0]) for axis in twice.nonzero())
            raise ConfigurationError(
                f"{where}: token {row} has experts {experts[row, layer].tolist()} in layer {self.shape.layers[layer]},"
                " which are not different ones",
                hint="rows of zeros are rows that were never filled; a slot of a redundant expert needs"
                " physical_to_logical=",
            )


def to_vllm(routes: Routes) -> list[NDArray[np.int32]]:
    """Return each sequence as [N, all layers, K], zeros for dense layers (vLLM PR 28284; SGLang before base64).

    Raises:
        ConfigurationError: A token lacks its routes, which this form cannot say.
    """
    shape = routes.shape
    tables = []
    for number, sequence in enumerate(routes.sequences):
        if (sequence.experts == UNKNOWN).any():
            raise ConfigurationError(
                f"sequence {number} has tokens without routes, and this form has no sign for them",
                hint="to_vllm_split(...) marks them with -1",
            )
        table = np.zeros((len(sequence), shape.num_layers, shape.num_experts_per_tok), np.int32)
        table[:, list(shape.layers)] = sequence.experts
        tables.append(table)
    return tables


def to_vllm_split(routes: Routes) -> list[tuple[NDArray[np.int16], NDArray[np.int16]]]:
    """Return for each sequence the rows of its prompt and those of what was generated, [P | G, L, K] (vLLM 0.21).

    Raises:
        ConfigurationError: It is not known where the prompt of a sequence ends.
    """
    parts = []
    for number, sequence in enumerate(routes.sequences):
        if sequence.prompt is None:
            raise ConfigurationError(f"it is not known how many tokens of sequence {number} are its prompt")
        experts = sequence.experts.astype(np.int16)
        parts.append((experts[: sequence.prompt], experts[sequence.prompt :]))
    return parts


def to_sglang(routes: Routes) -> list[str]:
    """Return each sequence as base64 of int32 [N, all layers, K], zeros for dense layers.

    Raises:
        ConfigurationError: A token lacks its routes, which this form cannot say.
    """
    return [base64.b64encode(table.astype("<i4").tobytes()).decode("ascii") for table in to_vllm(routes)]


def to_verl(routes: Routes, mask: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Return the sequences as [B, S, all layers, K], at the places of the text and zeros elsewhere.

    Args:
        routes: One sequence a row.
        mask: [B, S] 1 where there is text.

    Raises:
        ConfigurationError: The rows of the mask are not those of the sequences; a token lacks its routes.
    """
    text_BS = _to_numpy(mask).astype(bool)
    tables = to_vllm(routes)
    if len(tables) != len(text_BS):
        raise ConfigurationError(f"routes of {len(tables)} sequences, and a mask of {len(text_BS)} rows")
    padded = np.zeros((*text_BS.shape, *tables[0].shape[1:]), np.int64)
    for row, (table, text_S) in enumerate(zip(tables, text_BS, strict=True)):
        places = text_S.nonzero()[0]
        if len(places) not in {len(table), len(table) + 1}:
            raise ConfigurationError(f"row {row} has {len(places)} tokens, and its routes are of {len(table)}")
        padded[row, places[: len(table)]] = table
    return padded


def _ids(response: Mapping[str, Any], answer: Mapping[str, Any]) -> list[int] | None:
    """Return the token ids of an answer, prompt included, where they are beside it."""
    prompt = next((part["prompt_token_ids"] for part in (answer, response) if part.get("prompt_token_ids")), None)
    generated = next(
        (part[key] for part in (answer, response) for key in ("token_ids", "output_ids") if key in part), None
    )
    return None if prompt is None or generated is None else [*prompt, *generated]


def _to_numpy(value: Any) -> NDArray[Any]:  # noqa: ANN401 - an array, a tensor, nested lists
    try:
        array: NDArray[Any] = np.asarray(value.cpu() if hasattr(value, "cpu") else value)
    except ValueError as error:
        raise ConfigurationError(f"routes are no table: {error}") from error
    return array


def sequences_of(reader: RouteReader, source: Any, tokens: Sequence[Any] | None, mask: Any) -> list[RoutedSequence]:  # noqa: ANN401
    """Return the sequences of whatever ``source`` is: responses, a list of tables, one padded table.

    Raises:
        ConfigurationError: It is none of these, or cannot be read.
    """
    if mask is not None or getattr(source, "ndim", 0) == 4:
        return reader.batch(source, mask, tokens)
    if isinstance(source, (str, bytes, dict)) or getattr(source, "ndim", 0) == 3:
        raise ConfigurationError(
            f"routes of one sequence ({type(source).__name__}) where those of several are expected",
            hint="put it into a list, and its tokens too",
        )
    items = list(source)
    if tokens is not None and len(tokens) != len(items):
        raise ConfigurationError(f"routes of {len(items)} sequences, and tokens of {len(tokens)}")
    sequences: list[RoutedSequence] = []
    for number, item in enumerate(items):
        ids, where = None if tokens is None else tokens[number], f"sequence {number}"
        if isinstance(item, dict):
            sequences += reader.response(item, ids, where)
        elif isinstance(item, tuple) and len(item) == 2:
            sequences.append(reader.sequence(item[1], ids, prompt=item[0], where=where))
        else:
            sequences.append(reader.sequence(item, ids, where=where))
    return sequences
