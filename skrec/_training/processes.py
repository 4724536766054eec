"""Several processes that train one network, as ``accelerate launch`` and torchrun start them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this one is.

    Attributes
    ----------
    rank : int
        0 for the first, which alone reports.
    n : int
        How many there are; 1 outside of a launcher.
    device : torch.device or None
        What the launcher gave this process.
    """

    rank: int = 0
    n: int = 1
    device: torch.device | None = None

    def agree(self, value: Any) -> Any:
        """Return the first process's value in all of them."""
        if self.n == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over the processes."""
        if self.n == 1:
            return value
        from accelerate.utils import reduce

        return reduce(value, reduction="sum")

    def sum_gradients(self, network: nn.Module) -> None:
        """Give each parameter the sum of its gradients over the processes.

        A parameter that no process used keeps none, as in one process.
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
        """Give each buffer of numbers, such as a running mean, its mean over the processes."""
        if self.n == 1:
            return
        for module in modules:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.sum(buffer) / self.n)


def launched_processes(device: Any = None) -> Processes:
    """Return the processes of the launcher that started this one, else one process.

    accelerate is entered here alone: its state belongs to the whole process, and estimators
    outside of a launcher must not share any.

    Parameters
    ----------
    device : str, torch.device or None
        The estimator's `device`; "cpu" communicates through gloo.

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
        None takes a CUDA GPU if there is one, else the CPU.
    fall_back : bool, default=False
        Whether a missing GPU is replaced by the CPU, with a warning, instead of raising.

    Returns
    -------
    torch.device
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
        warnings.warn(f"no CUDA GPU here for device={device!r}; the CPU is used", stacklevel=3)
        return torch.device("cpu")
    return found
