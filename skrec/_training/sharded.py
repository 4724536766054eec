"""Language models whose weights, gradients and moments are sharded over the processes (FSDP2).

::

    between epochs:  network -> whole model           validation, checkpoints, best weights
    in an epoch:     network -> copy with shards      the whole model is moved to the CPU

The processes need different numbers of micro-batches for their rows, but the shards of a layer meet
in each forward pass. So the processes first agree on the number of passes of a step, and those that
need fewer add passes of one token whose gradient is zero.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import distributed, nn
from torch.utils.checkpoint import checkpoint

from skrec._batch import Batch
from skrec._data.packed import Packed
from skrec._network import TOKEN_BUDGET, Network, device_of
from skrec._training.agreement import LOST
from skrec._training.processes import Processes
from skrec._training.sharded_tensors import like, whole
from skrec.content._lm.network import TOKEN_BUDGET as RECOMPUTED
from skrec.content._lm.split import Top, layer_list


def shards_are_wanted() -> bool:
    """Return whether ``accelerate launch --use_fsdp`` started this process.

    Raises
    ------
    ValueError
        If its configuration asks for what skrec does not do.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise ValueError(
            f"accelerate's configuration has fsdp_version {version}, but skrec shards by version "
            "2. Set fsdp_version: 2, or pass --fsdp_version 2 to accelerate launch"
        )
    if _is_true("FSDP_OFFLOAD_PARAMS", "false"):
        raise ValueError(
            "accelerate's configuration has fsdp_offload_params: true, but skrec keeps shards on "
            "the device. Set it to false, and use more processes if memory is too small"
        )
    return True


def _is_true(name: str, default: str) -> bool:
    return os.environ.get(name, default).lower() in ("1", "true", "yes", "on")


def sharded_model(network: Network, processes: Processes, precision: str) -> ShardedModel | None:
    """Return the shards of the language model of a network, or None where none are asked for.

    Parameters
    ----------
    network : Network
    processes : Processes
    precision : str
        The recommender's `precision`.

    Returns
    -------
    ShardedModel or None
        None with one process, without ``accelerate launch --use_fsdp``, or if the network trains
        no language model.

    Raises
    ------
    ValueError
        If the network trains several language models, or in float16.
    """
    tops = [name for name, module in network.named_modules() if isinstance(module, Top)]
    if processes.n == 1 or not tops or not shards_are_wanted():
        return None
    if len(tops) > 1:
        raise ValueError(
            f"this network trains {len(tops)} language models, but only one can be sharded. Start "
            "the processes without --use_fsdp, or set trainable_layers=0 for the others"
        )
    if precision == "float16":
        raise ValueError(
            "precision='float16' can't scale sharded gradients; set precision='bfloat16', or start "
            "the processes without --use_fsdp"
        )
    return ShardedModel(network, tops[0], processes)


class ShardedModel:
    """The language model of a network, with a copy whose weights are sharded.

    All processes call the same methods in the same order.

    Parameters
    ----------
    network : Network
        The network, whose language model is replaced during `installed`.
    name : str
        Full name of the language model, a `Top`, in the network.
    processes : Processes

    References
    ----------
    .. [1] Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel",
       arXiv 2304.11277.
    """

    def __init__(self, network: Network, name: str, processes: Processes):
        self._processes, self._device = processes, device_of(network)
        self.whole = cast(Top, network.get_submodule(name))
        owner, _, self._name = name.rpartition(".")
        self._owner: Any = network.get_submodule(owner)
        self.whole.to("cpu")
        self.shards = copy.deepcopy(self.whole)
        _shard(self.shards, self._device)
        self.whole.to(self._device)
        with torch.no_grad():
            self._n_outputs = self.whole(*self.whole.smallest_input(self._device)).shape[-1]
        self._n_missing = 0

    @property
    def is_installed(self) -> bool:
        """Whether the network has the shards now."""
        return getattr(self._owner, self._name) is self.shards

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the network use the shards in a block, and give it the whole weights at the end.

        After an error, the weights are those of before.

        Yields
        ------
        None
        """
        self._install()
        try:
            yield
        except KeyboardInterrupt:
            self._remove()
            raise
        except BaseException:
            self._use_whole()
            raise
        self._remove()

    @contextmanager
    def removed(self) -> Iterator[None]:
        """Give the network the whole weights in a block, if it has the shards now.

        Yields
        ------
        None
        """
        if not self.is_installed:
            yield
            return
        self._remove()
        yield
        self._install()

    def _install(self) -> None:
        with torch.no_grad():
            for shard, weight in self._pairs():
                shard.to_local().copy_(like(weight, shard).to_local())
            for buffer, value in zip(self.shards.buffers(), self.whole.buffers(), strict=True):
                buffer.copy_(value)
        self.whole.to("cpu")
        setattr(self._owner, self._name, self.shards.train(self.whole.training))

    def _remove(self) -> None:
        with torch.no_grad():
            for shard, weight in self._pairs():
                weight.copy_(whole(shard))
        self._use_whole()

    def _use_whole(self) -> None:
        self.whole.to(self._device)
        self._owner.recompute = None
        setattr(self._owner, self._name, self.whole.train(self.shards.training))

    def _pairs(self) -> Iterator[tuple[Any, torch.Tensor]]:
        """Yield the shard and the whole of each trained weight."""
        for shard, weight in zip(self.shards.parameters(), self.whole.parameters(), strict=True):
            if weight.requires_grad:
                yield shard, weight

    def agree(self, network: Network, packed: Packed, batch: Batch | None) -> None:
        """Agree on the number of passes of a step, and whether activations are recomputed.

        Parameters
        ----------
        network : Network
        packed : Packed
            The prepared catalogue.
        batch : Batch or None
            Share of this process in the step; None if it has no rows.
        """
        counts = self._processes.gathered(lambda: self._counts(network, packed, batch), "a step")
        own, _ = counts[self._processes.rank]
        n_passes, n_tokens = map(max, zip(*counts, strict=True))
        self._n_missing = n_passes - own
        self._owner.recompute = n_tokens > RECOMPUTED

    def _counts(self, network: Network, packed: Packed, batch: Batch | None) -> tuple[int, int]:
        """Return the number of forward passes for a batch, and of tokens."""
        if batch is None or not len(batch):
            return 0, 0
        counter = Counter(self._n_outputs)
        setattr(self._owner, self._name, counter)
        try:
            with torch.no_grad():
                network.items_and_penalty(packed, batch.items, TOKEN_BUDGET)
        finally:
            setattr(self._owner, self._name, self.shards)
        return counter.n_passes, counter.n_tokens

    def missing_passes(self) -> torch.Tensor | float:
        """Take the passes that only other processes need, and return their sum, which is zero."""
        total: torch.Tensor | float = 0.0
        for _ in range(self._n_missing):
            inputs = self.shards.smallest_input(self._device)
            if self._owner.recompute:
                total = total + checkpoint(self._nothing, *inputs, use_reentrant=False)
            else:
                total = total + self._nothing(*inputs)
        return total

    def _nothing(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Take a forward pass, and return zero.

        Its backward pass begins with a product, as that of other passes does with the projection,
        so that activations are recomputed at the same place.
        """
        states = self.shards(values, mask).nan_to_num(0.0, 0.0, 0.0)
        return (states * states).sum() * 0

    @contextmanager
    def passes(self) -> Iterator[None]:
        """Raise an error of a block at once, without an exchange.

        The others wait for the shards of this process, so they fail when it ends.

        Yields
        ------
        None

        Raises
        ------
        RuntimeError
            If another process has ended in its passes.
        """
        try:
            yield
        except BaseException as error:
            if isinstance(error, RuntimeError) and "Connection" in str(error):
                raise self._processes.of_all(RuntimeError(LOST)) from error
            self._processes.of_all(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Raise an error of this process in all of them, before the passes of their next step."""

        def failing() -> None:
            raise error

        self._processes.each(failing, "a step")


class Counter(nn.Module):
    """Module that counts its calls in place of a language model, and returns zeros.

    Parameters
    ----------
    n_outputs : int
        Size H of the states.
    """

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self._n_outputs = n_outputs
        self.n_passes = self.n_tokens = 0

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return zeros (U, L, H) for inputs (U, L, ...) and their mask (U, L)."""
        self.n_passes += 1
        self.n_tokens += int(mask.sum())
        return torch.zeros(*mask.shape, self._n_outputs, device=mask.device)


def _shard(top: Top, device: torch.device) -> None:
    """Shard each layer of a model, and then the rest of it, so that gradients are added up."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise RuntimeError(
            f"torch {torch.__version__} can't add up the gradients of shards; install a newer one, "
            "or start the processes without --use_fsdp"
        )
    frees = _is_true("FSDP_RESHARD_AFTER_FORWARD", "true")
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    try:
        layers = list(layer_list(top.model)[1])
    except ValueError:  # a model without a list of layers is sharded in one piece
        layers = []
    for module in [*(each for each in layers if list(each.parameters())), top]:
        fully_shard(module, mesh=mesh, reshard_after_forward=frees)
    for each in top.modules():
        if isinstance(each, FSDPModule):
            each.set_force_sum_reduction_for_comms(True)  # gloo can't scale in a sum
            each.set_gradient_divide_factor(1.0)
