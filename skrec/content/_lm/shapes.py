"""Comparison of a model's config.json with the shapes of its weights, before memory is allocated.

transformers allocates whatever config.json describes, and compares it with the weights afterwards.
A changed file could thus ask for all memory of a machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from skrec._common.limits import LayerLimit
from skrec.content._lm.classes import is_auto, model_class
from skrec.content._lm.sources import CONFIG, Source

MORE_LAYERS = (
    10_000  # settings about layers that do not exist may have larger values than there are
)
# A pooler may be missing in the files. Buffers, such as masks of positions, are computed.
WEIGHTS_PER_NUMBER, MORE_WEIGHTS = 4, 1 << 22
BUFFERS_PER_NUMBER, MORE_BUFFERS = 16, 1 << 26


def check_size(source: Source, options: dict[str, Any], kind: Any = None) -> None:
    """Raise a ValueError if config.json describes a far larger model than the files contain.

    Parameters
    ----------
    source : Source
        A model in a folder, without code of its own. Other models are not checked.
    options : dict
        Options of from_pretrained that concern the configuration.
    kind : type, default=None
        Class that loads the model. None takes the class of the base model.
    """
    folder = Path(source.location)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        return
    sizes = [size for file in files for size in _sizes(file)]
    _check_layers(source, len(sizes))
    n_weights, n_buffers, n_there = *_n_numbers(source, options, len(sizes), kind), sum(sizes)
    too_large = n_weights > WEIGHTS_PER_NUMBER * n_there + MORE_WEIGHTS
    if too_large or n_buffers > BUFFERS_PER_NUMBER * n_there + MORE_BUFFERS:
        raise ValueError(
            f"{CONFIG} describes a model of {n_weights + n_buffers:,} numbers, but its files "
            f"contain {n_there:,}"
        )


def _sizes(file: Path) -> list[int]:
    """Return the number of values of each array in a file."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        shapes = [opened.get_slice(name).get_shape() for name in opened.keys()]  # noqa: SIM118
    return [int(torch.Size(shape).numel()) for shape in shapes]


def _check_layers(source: Source, n_arrays: int) -> None:
    """Raise a ValueError if a number of layers is far above the number of arrays.

    Configurations contain lists with one entry per layer, which must not be built for 10**9 layers.
    """
    nested: list[Any] = [source.config]
    while nested:
        settings = nested.pop()
        nested += [value for value in settings.values() if isinstance(value, dict)]
        for name, value in settings.items():
            is_count = "layer" in name or "depth" in name or "block" in name
            if is_count and isinstance(value, int) and value > n_arrays + MORE_LAYERS:
                raise ValueError(
                    f"{CONFIG} has {name}={value}, but the files contain {n_arrays} arrays"
                )


def _n_numbers(
    source: Source, options: dict[str, Any], n_arrays: int, kind: Any
) -> tuple[int, int]:
    """Return the numbers of values in the weights and in the buffers that config.json describes."""
    from transformers import AutoConfig

    kind = kind or model_class(source)
    config = AutoConfig.from_pretrained(source.location, **options)
    with torch.device("meta"), LayerLimit(n_arrays, CONFIG):
        model = kind.from_config(config) if is_auto(kind) else kind(config)
    n_weights = sum(weight.numel() for weight in model.parameters())
    return n_weights, sum(buffer.numel() for buffer in model.buffers())
