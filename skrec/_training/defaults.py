"""Rules that choose the parameters whose value is "auto".

Each rule has the measurement behind it in benchmarks/README.md, section "Defaults".
"""

from __future__ import annotations

from typing import Any

from skrec import behavior, content
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items

AUTO = "auto"
LARGEST_SOFTMAX = 4_000  # items of a catalogue that is contrasted as a whole
N_SAMPLED = 2048  # negatives per step for larger catalogues
STEPS_PER_EPOCH = 40
BATCH_SIZES = 16, 128  # smallest and largest number of histories per step


def choose_operators(asked: dict[str, Any], kind: str, items: Items) -> dict[str, Any]:
    """Choose the operators that are "auto".

    Parameters
    ----------
    asked : dict of str to object
        Parameters of the recommender.
    kind : {"impressions", "pairs", "histories"}
        Kind of the training rows.
    items : Items
        The catalogue.

    Returns
    -------
    dict of str to operator or alias
        The chosen operators, by family.
    """
    chosen: dict[str, Any] = {}
    if asked["content"] == AUTO:
        if not items.roles:
            chosen["content"] = content.ID()
        elif kind == "histories":
            chosen["content"] = content.WithID(content.MeanPooling(), dropout=0.2)
        else:
            chosen["content"] = content.CNN()
    if asked["behavior"] == AUTO:
        lists = kind == "histories"
        chosen["behavior"] = (
            behavior.MovingAverages(dropout=0.3) if lists else behavior.AdditiveAttention()
        )
    return chosen


def choose_numbers(
    asked: dict[str, Any], data: CodedInteractions, n_items: int, loss: str, reader: Any
) -> dict[str, Any]:
    """Choose the other parameters that are "auto".

    Parameters
    ----------
    asked : dict of str to object
        Parameters of the recommender.
    data : CodedInteractions
        The training rows.
    n_items : int
        N, the number of items in the catalogue.
    loss : str
        The loss.
    reader : behavior operator
        The operator that reads the histories.

    Returns
    -------
    dict of str to object
        The chosen parameters.
    """
    chosen: dict[str, Any] = {
        "n_negatives": 4,
        "negative_sampling": "uniform",
        "history_targets": 0,
        "batch_size": 64,
        "learning_rate": 3e-3,
        "co_clicks": False,
    }
    if data.kind == "histories":
        chosen["co_clicks"] = loss == "softmax"
        if reader.causal:
            chosen["history_targets"] = "all"
            chosen["n_negatives"] = "all" if n_items <= LARGEST_SOFTMAX else N_SAMPLED
            chosen["negative_sampling"] = "popularity"
            chosen["learning_rate"] = 5e-3
            smallest, largest = BATCH_SIZES
            chosen["batch_size"] = min(max(data.n_rows // STEPS_PER_EPOCH, smallest), largest)
    return {name: value for name, value in chosen.items() if asked[name] == AUTO}
