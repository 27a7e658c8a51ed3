"""Routes as other engines write them: vLLM's two forms, SGLang's, verl's. How they are read: :mod:`.route_forms`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.errors import ConfigurationError
from trimtab.moe.route_forms import to_numpy
from trimtab.moe.routes import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trimtab.moe.routes import Routes


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
    text_BS = to_numpy(mask).astype(bool)
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
