"""Rules that choose the parameters whose value is "auto".

Each rule has the measurement behind it in benchmarks/README.md, section "Defaults".
"""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items

AUTO = "auto"
LARGEST_SOFTMAX = 4_000  # items of a catalogue whose items are all negatives
N_SAMPLED = 2048  # negatives for larger catalogues
N_SAMPLED_SLOW = 64  # negatives if the content operator or the predictor is slow
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
    dict of str to operator
        The chosen operators, by family.
    """
    is_list = kind == "histories"
    text = content.MeanPooling()
    reader = content.WithID(text, dropout=0.2) if is_list else text
    chosen = {
        "content": reader if items.roles else content.ID(),
        "behavior": behavior.MovingAverages(dropout=0.3),
        # the popularity of items is a term of its own if the rows are bare histories
        "predictor": predictor.Dot(item_bias=not is_list),
    }
    return {name: operator for name, operator in chosen.items() if asked[name] == AUTO}


def choose_numbers(
    asked: dict[str, Any],
    data: CodedInteractions,
    n_items: int,
    loss: str,
    operators: dict[str, Any],
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
    operators : dict of str to operator
        The operators, by family.

    Returns
    -------
    dict of str to object
        The chosen parameters.
    """
    is_list = data.kind == "histories"
    is_fast = operators["content"].is_fast and operators["predictor"].is_fast
    chosen: dict[str, Any] = {
        "n_negatives": 4,
        "negative_sampling": "uniform",
        "history_targets": 0,
        "batch_size": 64,
        "learning_rate": 3e-3,
        "co_clicks": is_list and loss == "softmax",
    }
    if operators["behavior"].causal and loss == "softmax" and (is_list or is_fast):
        chosen |= {
            "n_negatives": N_SAMPLED_SLOW,
            "negative_sampling": "popularity",
            "history_targets": "all",
        }
        if is_fast:
            is_sampled = asked["negative_sampling"] == "in_batch" or asked["n_hard_negatives"]
            takes_all = n_items <= LARGEST_SOFTMAX and not is_sampled
            chosen["n_negatives"] = "all" if takes_all else N_SAMPLED
            chosen["learning_rate"] = 5e-3
            chosen["co_clicks"] = True
        if is_list:
            smallest, largest = BATCH_SIZES
            chosen["batch_size"] = min(max(data.n_rows // STEPS_PER_EPOCH, smallest), largest)
    return {name: value for name, value in chosen.items() if asked[name] == AUTO}
