"""Tensors of which each process has a shard, as FSDP2 makes them (DTensor), and others."""

from __future__ import annotations

from typing import Any

import torch


def is_sharded(value: Any) -> bool:
    """Return whether a tensor is sharded. DTensor is slow to import, so its class is not asked."""
    return hasattr(value, "full_tensor")


def whole(value: Any) -> torch.Tensor:
    """Return a tensor, whose shards all processes exchange if it is sharded."""
    return value.full_tensor() if is_sharded(value) else value


def like(value: torch.Tensor, weight: Any) -> Any:
    """Return a tensor on the device of a weight, and sharded in the same way if it has its shape.

    Each process takes its own part, without communication.
    """
    value = value.to(weight.device)
    if not is_sharded(weight) or value.shape != weight.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)
