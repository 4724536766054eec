"""Training of one network by several processes, such as those that torchrun starts."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from skrec._common.locks import ForkSafeLock
from skrec._common.messages import warn
from skrec._training.agreement import LOST, Interrupts, error_of_all, packed_error
from skrec._training.sharded_tensors import is_sharded
from skrec._training.table_gradients import sum_table_gradients
from skrec.nn import sparse_tables

Value = TypeVar("Value")
SECONDS_TO_FREE = 0.2  # at exit, before the connections to other processes are closed
BUCKET = 1 << 24  # gradients that are summed at a time, so that their copies stay small

# the threads of a process must not mix their messages to the other processes
_ONE_FIT = ForkSafeLock()


@dataclass(frozen=True)
class Processes:
    """The processes that train one network, with communication between them.

    All processes must call the same methods in the same order. If a function that a method calls
    fails in one process, the method raises the error in all processes.

    Attributes
    ----------
    rank : int
        Number of this process. Only process 0 prints.
    n : int
        Number of processes, which is 1 without a launcher.
    device : torch.device or None
        Device of this process, chosen by the launcher.
    interrupts : Interrupts
        Delays Ctrl-C while processes communicate.
    """

    rank: int = 0
    n: int = 1
    device: torch.device | None = None
    interrupts: Interrupts = field(default_factory=Interrupts, compare=False, repr=False)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Let one fit of this process communicate during a block.

        Yields
        ------
        None
        """
        if self.n == 1:
            yield
            return
        with _ONE_FIT.held(), self.interrupts.handled():
            yield

    def interruptible(self) -> AbstractContextManager[None]:
        """Return a context in which Ctrl-C is raised as usual."""
        return nullcontext() if self.n == 1 else self.interrupts.allowed()

    def each(self, function: Callable[[], Value], topic: str) -> Value:
        """Call a function in each process, and return the own result.

        Parameters
        ----------
        function : callable
            Function without arguments. It may call methods of this object.
        topic : str
            What the processes do, for the message if they do different things.

        Returns
        -------
        object
        """
        if self.n == 1:
            return function()
        value, error = self._run(function)
        self._exchange(topic, error, None)
        return value  # type: ignore[return-value]

    def gathered(self, function: Callable[[], Value], topic: str) -> list[Value]:
        """Call a function in each process, and return the results of all of them; see `each`."""
        if self.n == 1:
            return [function()]
        value, error = self._run(function)
        return self._exchange(topic, error, value)

    def first(self, function: Callable[[], Value], topic: str) -> Value:
        """Call a function in each process, and return the result of process 0; see `each`.

        The results may differ by rounding, but what follows from them must not.
        """
        return self.gathered(function, topic)[0]

    def from_first(self, function: Callable[[], Value], topic: str) -> Value:
        """Call a function in process 0 only, and return its result, which may be large, in all."""
        if self.n == 1:
            return function()
        found = [self.each(function if self.rank == 0 else lambda: None, topic)]
        with self._meeting():
            distributed.broadcast_object_list(found, src=0)
        return found[0]  # type: ignore[return-value]

    def has_raised(self, error: BaseException) -> bool:
        """Return whether all processes raise an error, so that they do not wait for this one."""
        return getattr(error, "_raised_by", None) is self

    def _run(self, function: Callable[[], Value]) -> tuple[Value | None, BaseException | None]:
        """Return the result of a function, and its error unless all processes raise it."""
        try:
            with self.interrupts.allowed():
                return function(), None
        except BaseException as error:
            if self.has_raised(error):
                raise
            return None, error

    def _exchange(self, topic: str, error: BaseException | None, value: Any) -> list[Any]:
        """Return the values of all processes, or raise the same error in all of them."""
        found: list[Any] = [None] * self.n
        with self._meeting():
            distributed.all_gather_object(found, (topic, packed_error(error), value))
        topics, errors, values = zip(*found, strict=True)
        if any(each is not None for each in errors):
            raise self.of_all(error_of_all(error, errors, self.rank))
        if len(set(topics)) > 1:
            raise self.of_all(
                RuntimeError(
                    "the processes of this training do different things: "
                    + ", ".join(f"process {rank}: {each}" for rank, each in enumerate(topics))
                    + ". All of them must call fit and partial_fit in the same order"
                )
            )
        return list(values)

    @contextmanager
    def _meeting(self) -> Iterator[None]:
        """Delay Ctrl-C, and explain errors of the communication."""
        self.interrupts.delay()
        try:
            yield
        except RuntimeError as error:
            raise self.of_all(RuntimeError(LOST)) from error

    def of_all(self, error: BaseException) -> BaseException:
        """Mark an error as one that all processes raise, or that nobody waits for."""
        error._raised_by = self  # type: ignore[attr-defined]
        return error

    def sum_gradients(self, network: nn.Module, error: BaseException | None = None) -> None:
        """Replace the gradient of each parameter by its sum over all processes.

        The gradient of a parameter that no process used remains None, as in a single process. Of
        sparse gradients, only the rows are sent.

        Parameters
        ----------
        network : nn.Module
        error : BaseException, default=None
            Why this process has no gradients. All processes then raise it.
        """
        if self.n == 1:
            return
        tables = sparse_tables(network)
        others = {id(table) for table in tables}  # and shards, whose gradients are added up already
        others |= {id(p) for p in network.parameters() if is_sharded(p)}
        parameters = [p for p in network.parameters() if p.requires_grad and id(p) not in others]
        grads = [None if error is not None else p.grad for p in parameters]
        flags = [float(error is not None), *(float(grad is not None) for grad in grads)]
        for number, bucket in enumerate(_buckets(parameters)):
            parts = [
                (torch.zeros_like(parameters[at]) if own is None else own).reshape(-1)
                for at, own in ((at, grads[at]) for at in bucket)
            ]
            if not number:
                parts.append(torch.tensor(flags).to(parts[0]))
            flat = torch.cat(parts)
            with self._meeting():
                distributed.all_reduce(flat)
            if not number:
                flat, sums = flat[: -len(flags)], flat[-len(flags) :].tolist()
                if sums[0]:
                    self._exchange("a step", error, None)  # raises the error in all processes
            summed = flat.split([parameters[at].numel() for at in bucket])
            for at, grad in zip(bucket, summed, strict=True):
                if sums[1 + at]:
                    parameters[at].grad = grad.view_as(parameters[at])
        if tables:
            sum_table_gradients(tables, self._all_gathered)

    def _all_gathered(self, own: torch.Tensor) -> list[torch.Tensor]:
        """Return the tensors of all processes, which have the same shape."""
        found = [torch.empty_like(own) for _ in range(self.n)]
        with self._meeting():
            distributed.all_gather(found, own)
        return found

    def copy_first(self, network: nn.Module) -> None:
        """Replace the trained weights and the buffers of a network by those of process 0."""
        if self.n == 1:
            return
        tensors = [p.detach() for p in network.parameters() if p.requires_grad]
        tensors += [b for b in network.buffers() if b.is_floating_point()]
        for bucket in _buckets(tensors):
            flat = torch.cat([tensors[at].reshape(-1) for at in bucket])
            with self._meeting():
                distributed.broadcast(flat, src=0)
            parts = flat.split([tensors[at].numel() for at in bucket])
            for at, part in zip(bucket, parts, strict=True):
                tensors[at].copy_(part.view_as(tensors[at]))

    def average_buffers(self, *modules: nn.Module) -> None:
        """Replace buffers, such as running means, by their mean over processes.

        Counts, such as those of the calls, become the largest one.
        """
        buffers = [buffer for module in modules for buffer in module.buffers()]
        if self.n == 1 or not buffers:
            return
        everywhere = self.gathered(lambda: [b.cpu() for b in buffers], "running means")
        for buffer, *values in zip(buffers, *everywhere, strict=True):
            found = torch.stack(values)
            buffer.copy_(found.mean(dim=0) if found.is_floating_point() else found.amax(dim=0))


ONE_PROCESS = Processes()


def _buckets(tensors: Sequence[torch.Tensor]) -> list[list[int]]:
    """Return the positions of tensors of one type and device, up to `BUCKET` numbers together."""
    buckets: list[list[int]] = []
    size, kind = 0, None
    for at, tensor in enumerate(tensors):
        own = tensor.dtype, tensor.device
        if own != kind or size + tensor.numel() > BUCKET:
            buckets.append([])
            size, kind = 0, own
        buckets[-1].append(at)
        size += tensor.numel()
    return buckets


def launched_processes(processes: str | None, device: Any = None) -> Processes:
    """Return the processes that train together, or a single process where none are meant.

    They are meant if torch.distributed is initialized, or if torchrun or ``accelerate launch``
    started this process. A worker of a search, a loader or a cluster that such a process starts
    inherits its environment, but trains alone.

    Parameters
    ----------
    processes : {"auto", None}
        The recommender's `processes`. With None, this process trains alone.
    device : str, torch.device or None
        The recommender's `device`. Processes with "cpu" communicate by gloo.

    Returns
    -------
    Processes
    """
    if processes is None or not distributed.is_available():
        return Processes()
    on_cpu = str(device) == "cpu" or not torch.cuda.is_available()
    if not distributed.is_initialized():
        if not _is_launched():
            return Processes()
        local = int(os.environ["LOCAL_RANK"])
        if not on_cpu and local < torch.cuda.device_count():
            torch.cuda.set_device(local)
        _join_group("gloo" if on_cpu else "cpu:gloo,cuda:nccl")
    elif distributed.group.WORLD is _INHERITED:
        return Processes()
    rank, n = distributed.get_rank(), distributed.get_world_size()
    if n == 1:
        return Processes()
    if on_cpu:
        return Processes(rank, n, torch.device("cpu"))
    local = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device()))
    return Processes(rank, n, torch.device("cuda", local))


def _join_group(backend: str) -> None:
    """Initialize torch.distributed in a process that torchrun started.

    After a restart on one machine, torchrun's store still has the addresses of the processes that
    have ended, so each start has its own names there. Several machines have a new store.
    """
    atexit.register(_leave_group)
    if os.environ.get("GROUP_WORLD_SIZE") != "1":
        distributed.init_process_group(backend)
        return
    store, rank, n = next(iter(distributed.rendezvous("env://")))
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = distributed.PrefixStore(f"start {start}", store)
    distributed.init_process_group(backend, store=own, rank=rank, world_size=n)


def _leave_group() -> None:
    """Close the connections of this process, whose threads could end it with an error at exit.

    A thread of gloo frees the tensors of the last exchange, for which it needs Python's lock. If it
    asked for the lock after Python has begun to exit, the process would be aborted.
    """
    if distributed.is_initialized():
        time.sleep(SECONDS_TO_FREE)  # without the lock
        distributed.destroy_process_group()


def _is_launched() -> bool:
    """Whether torchrun started this very process, as one of several."""
    return (
        distributed.is_torchelastic_launched()
        and int(os.environ.get("WORLD_SIZE", "1")) > 1
        and multiprocessing.parent_process() is None
        and not _is_started_by_rank()
    )


def _is_started_by_rank() -> bool:
    """Whether a Python process that torchrun started has started this one, on Linux.

    Shells and other programs between torchrun and this process are skipped.
    """
    own = {f"{name}={os.environ[name]}".encode() for name in ("TORCHELASTIC_RUN_ID", "RANK")}
    pid = os.getppid()
    try:
        while own <= set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
            if "python" in os.path.basename(os.readlink(f"/proc/{pid}/exe")):
                return True
            status = Path(f"/proc/{pid}/stat").read_text()
            pid = int(status.rpartition(")")[2].split()[1])
    except OSError:  # another system, or a process of another user
        pass
    return False


# group of the process that was forked into this one, which must not speak in its name
_INHERITED: Any = None


def _note_inherited_group() -> None:
    """Remember the group that a forked child inherits."""
    global _INHERITED
    if distributed.is_available() and distributed.is_initialized():
        _INHERITED = distributed.group.WORLD


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_inherited_group)


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
