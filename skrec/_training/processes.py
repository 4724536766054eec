"""Distributed training by processes that ``accelerate launch`` or torchrun started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skrec._common.messages import warn


@dataclass(frozen=True)
class Processes:
    """The processes that train one network, with communication between them.

    Attributes
    ----------
    rank : int
        Number of this process. Only process 0 prints.
    n : int
        Number of processes, which is 1 without a launcher.
    device : torch.device or None
        Device of this process, chosen by the launcher.
    """

    rank: int = 0
    n: int = 1
    device: torch.device | None = None

    def broadcast(self, value: Any) -> Any:
        """Return the value of process 0, in all processes."""
        if self.n == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes."""
        if self.n == 1:
            return value
        from accelerate.utils import reduce

        return reduce(value, reduction="sum")

    def sum_gradients(self, network: nn.Module) -> None:
        """Replace the gradient of each parameter by its sum over all processes.

        The gradient of a parameter that no process used remains None, as in a single process.
        """
        if self.n == 1:
            return
        parameters = [p for p in network.parameters() if p.requires_grad]
        used = torch.tensor([float(p.grad is not None) for p in parameters])
        used = self.sum(used.to(parameters[0].device))
        for parameter, n_used in zip(parameters, used.tolist(), strict=True):
            if n_used:
                own = parameter.grad
                parameter.grad = self.sum(torch.zeros_like(parameter) if own is None else own)

    def average_buffers(self, *modules: nn.Module) -> None:
        """Replace floating-point buffers, such as running means, by their mean over processes."""
        if self.n == 1:
            return
        for module in modules:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.sum(buffer) / self.n)


def launched_processes(device: Any = None) -> Processes:
    """Return the processes that the launcher started, or a single process without a launcher.

    Only this function initializes accelerate, and only under a launcher. The state of accelerate is
    global in a process, and independent estimators must not share it.

    Parameters
    ----------
    device : str, torch.device or None
        The recommender's `device`. Processes with "cpu" communicate by gloo.

    Returns
    -------
    Processes
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes()
    from accelerate import PartialState

    on_cpu = str(device) == "cpu" or not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu)
    return Processes(state.process_index, state.num_processes, state.device)


def resolve_device(device: Any, *, fall_back: bool = False) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    device : str, torch.device or None
        The recommender's `device`. None means a CUDA GPU if there is one, and the CPU otherwise.
    fall_back : bool, default=False
        Whether to warn and return the CPU if there is no GPU, instead of raising an error.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If `device` is not a device, or there is no GPU.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be None or a device such as 'cpu' or 'cuda:0', got {device!r}"
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        if not fall_back:
            raise ValueError(f"device={device!r}, but torch finds no CUDA GPU here; take None")
        warn(f"no CUDA GPU here for device={device!r}; the CPU is used")
        return torch.device("cpu")
    return found
