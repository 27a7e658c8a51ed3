"""Routes in the forms of other engines: vLLM's two, SGLang's, verl's. Told apart by their shape; never shifted to fit.

========================= =============================== ============== ==========================================
form                      array                           dense layers   rows
========================= =============================== ============== ==========================================
vLLM PR 28284             int32 [rows, all layers, K]     zeros          prompt + generated − 1
vLLM 0.21                 int16 [rows, MoE layers, K] × 2 left out       prompt | generated; −1 where prefix cached
vLLM later (one array)    uint8/16 [rows, all layers, K]  zeros          prompt + generated − 1; base64 of a .npy
SGLang                    int32 [rows, all layers, K]     zeros          prompt + generated − 1; base64; or uint8/16
verl                      int64 [batch, S, layers, K]     either         padded, zeros beside the text
========================= =============================== ============== ==========================================

The last token that was sampled never ran through the model, so it has no row, or a row of zeros. Rows may start behind
the first token (``routed_experts_start_len`` of SGLang, ``start`` beside vLLM's in Dynamo and prime-rl): those in front
of them are unknown. Ids have to be logical: a map turns those of physical slots (redundant experts) back.

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
from trimtab.moe.routes import UNKNOWN, RoutedSequence, RouteShape, narrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_NPY: Final = b"\x93NUMPY"
# What routed_experts_dtype of SGLang may say, and the numbers of a table of bytes beside its shape by their size.
_RAW: Final = {"int32": "<i4", "uint16": "<u2", "uint8": "u1", "int16": "<i2"}
_BY_SIZE: Final = {1: "u1", 2: "<u2", 4: "<i4"}


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

    def sequence(
        self,
        table: Any,  # noqa: ANN401
        tokens: Any = None,  # noqa: ANN401
        *,
        prompt: Any = None,  # noqa: ANN401
        where: str = "routes",
        dtype: str | None = None,
        start: int = 0,
    ) -> RoutedSequence:
        """Return one sequence.

        Args:
            table: Its rows: an array or nested lists [rows, layers, K]; base64 of SGLang or of a .npy file; or an
                object of base64 ``data`` and its ``shape`` (Dynamo, prime-rl).
            tokens: Its token ids, the last one sampled included; None leaves lengths to be checked at the replay.
            prompt: The rows [P, layers, K] of its prompt where they are apart (vLLM 0.21); or their number.
            where: Its name, for messages.
            dtype: What SGLang says of its base64 (``routed_experts_dtype``); int32 where it says nothing.
            start: Tokens in front of the first row, whose routes were not asked for.

        Raises:
            ConfigurationError: It is of another model or length, or has ids that are none.
        """
        ids = None if tokens is None else np.asarray(tokens).reshape(-1)
        if isinstance(table, dict):
            table, start = _shaped(table, where), int(table.get("start", start))
        parts = self._array(table, where, dtype)
        if start < 0:
            raise ConfigurationError(f"{where}: the rows start {-start} tokens in front of the text")
        if start:
            parts = np.concatenate([np.full((start, *parts.shape[1:]), UNKNOWN, np.int64), parts])
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
        routes_BSLK = to_numpy(table)
        if mask is None:
            raise ConfigurationError(
                f"routes of shape {list(routes_BSLK.shape)} are padded, and zeros are experts too",
                hint="attention_mask=[batch, tokens] says what is text",
            )
        text_BS = to_numpy(mask).astype(bool)
        if routes_BSLK.ndim != 4 or routes_BSLK.shape[:2] != text_BS.shape:
            raise ConfigurationError(
                f"routes of shape {list(routes_BSLK.shape)} and a mask of {list(text_BS.shape)}; expected"
                " [batch, tokens, layers, K] and [batch, tokens]"
            )
        ids_BS = None if tokens is None else to_numpy(tokens)
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
        extra = response.get("sglext")  # of SGLang's OpenAI-compatible answers, beside the choices
        if isinstance(extra, dict) and extra.get("routed_experts") is not None:
            if len(answers) != 1:
                raise ConfigurationError(
                    f"{where}: one table of routes for {len(answers)} choices: whose it is is not said",
                    hint="ask SGLang for one choice (n=1) a request",
                )
            answers = [{**answers[0], **extra}]
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
            sequences.append(
                self.sequence(
                    answer["routed_experts"],
                    ids,
                    prompt=prompt,
                    where=name,
                    dtype=answer.get("routed_experts_dtype"),
                    start=int(answer.get("routed_experts_start_len") or 0),
                )
            )
        return sequences

    def _array(self, table: Any, where: str, dtype: str | None = None) -> NDArray[Any]:  # noqa: ANN401
        """Return [rows, L, K] of the layers with a router."""
        array = self._decoded(table, where, dtype) if isinstance(table, (str, bytes)) else to_numpy(table)
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

    def _decoded(self, text: str | bytes, where: str, dtype: str | None) -> NDArray[Any]:
        try:
            content = base64.b64decode(text, validate=True)
            if content.startswith(_NPY):
                loaded: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
                return loaded
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(f"{where} is no base64 of an array: {error}") from error
        name = dtype or "int32"
        if name not in _RAW:
            raise ConfigurationError(f"{where}: numbers of type {name!r}; expected {', '.join(_RAW)}")
        k, layers, numbers = (
            self.shape.num_experts_per_tok,
            self.shape.num_layers + self.extra_layers,
            np.dtype(_RAW[name]),
        )
        row = numbers.itemsize * k * layers
        if len(content) % row:
            raise ConfigurationError(
                f"{where}: {len(content)} bytes are no whole number of rows of {row} bytes ({name}, {layers} layers,"
                f" {k} experts)",
                hint="are they of this model? routed_experts_dtype beside them says other numbers than int32",
            )
        return np.frombuffer(content, numbers).reshape(-1, layers, k)

    def _logical(self, array: NDArray[Any], where: str) -> NDArray[Any]:
        """Return logical experts for physical slots, where there is a map."""
        if self.physical_to_logical is None:
            return array
        table = to_numpy(self.physical_to_logical).astype(np.int64)
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


def _shaped(table: Mapping[str, Any], where: str) -> NDArray[Any]:
    """Return the array of base64 ``data`` beside its ``shape`` and, where it is said, ``dtype``."""
    try:
        content, shape = base64.b64decode(table["data"], validate=True), tuple(int(size) for size in table["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{where}: an object of {', '.join(map(str, table))}; expected data and shape"
        ) from error
    count = int(np.prod(shape))
    size = len(content) // count if count else 1
    numbers = _RAW.get(table.get("dtype", ""), _BY_SIZE.get(size))
    if numbers is None or np.dtype(numbers).itemsize * count != len(content):
        raise ConfigurationError(
            f"{where}: {len(content)} bytes are no {table.get('dtype', 'numbers')} of shape {list(shape)}"
        )
    return np.frombuffer(content, numbers).reshape(shape)


def _ids(response: Mapping[str, Any], answer: Mapping[str, Any]) -> list[int] | None:
    """Return the token ids of an answer, prompt included, where they are beside it."""
    prompt = next((part["prompt_token_ids"] for part in (answer, response) if part.get("prompt_token_ids")), None)
    generated = next(
        (part[key] for part in (answer, response) for key in ("token_ids", "output_ids") if key in part), None
    )
    return None if prompt is None or generated is None else [*prompt, *generated]


def to_numpy(value: Any) -> NDArray[Any]:  # noqa: ANN401 - an array, a tensor, nested lists
    """Return an array.

    Raises:
        ConfigurationError: The lists are of unequal lengths.
    """
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
