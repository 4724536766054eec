"""Steps of the optimizer on gradients that several batches or processes add up."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from skrec._batch import Batch
from skrec._data.packed import Packed
from skrec._network import TOKEN_BUDGET, Network, device_of
from skrec._training.losses import batch_loss
from skrec._training.optimizers import (
    clip_gradients,
    has_gradients,
    make_optimizers,
    weights_of,
)
from skrec._training.plan import Plan, share_of_rate
from skrec._training.processes import ONE_PROCESS, Processes
from skrec._training.sharded import ShardedModel
from skrec._training.sharded_tensors import like, whole

# number type that each `precision` computes in; others use the type of the weights
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Stepper:
    """Optimizers with two learning rates, mixed precision and several processes.

    Parameters
    ----------
    network : Network
        The network, which is trained in place. Modules whose attribute `pretrained` is true have
        the learning rate `pretrained_learning_rate`. Weights that need no gradient are not trained.
    plan : Plan
        Loss and hyperparameters.
    processes : Processes, default=Processes()
        Processes whose gradients are summed.
    moments : dict of str to dict, default=None
        Optimizer state to continue from, as returned by `moments`.
    n_batches : int, default=1
        Number of batches per epoch, on which the schedule of the learning rate depends.
    sharded : ShardedModel, default=None
        The language model of the network, if its weights are sharded. The network has the shards
        when a step is taken, and when the stepper is made.
    """

    def __init__(
        self,
        network: Network,
        plan: Plan,
        processes: Processes = ONE_PROCESS,
        moments: dict[str, dict[str, torch.Tensor]] | None = None,
        n_batches: int = 1,
        sharded: ShardedModel | None = None,
    ):
        self.network, self.loss, self.processes = network, plan.loss, processes
        self.sharded = sharded
        self._weights = dict(network.named_parameters())
        self._n_accumulated, self._n_waiting = plan.gradient_accumulation_steps, 0
        self._n_steps = -(-n_batches // self._n_accumulated)
        self.n_taken = 0  # steps in which the processes added up their gradients
        self._n_left = 0  # steps of the epoch in which the other processes still expect this one
        self._max_norm = plan.max_grad_norm
        self._device = device_of(network).type
        self._dtype = AUTOCAST.get(plan.precision)
        self._scaler = torch.amp.GradScaler(self._device, enabled=self._dtype is torch.float16)
        self._optimizers = make_optimizers(network, plan)
        rate = partial(share_of_rate, plan, plan.max_epochs * self._n_steps)
        self._schedules = [
            torch.optim.lr_scheduler.LambdaLR(each, rate) for each in self._optimizers
        ]
        self.load_moments(moments or {})

    def load_moments(self, moments: dict[str, dict[str, torch.Tensor]]) -> None:
        """Continue from the optimizer state of weights, as returned by `moments`."""
        optimizer_of = {w: each for each in self._optimizers for w in weights_of(each)}
        for name, state in moments.items():
            weight = self._weights[name]
            if weight in optimizer_of:
                placed = {key: like(value, weight) for key, value in state.items()}
                optimizer_of[weight].state[weight] = placed

    def progress(self) -> dict[str, Any]:
        """Return what the next step depends on, in addition to weights and moments."""
        n_done, n_steps = self._schedules[0].last_epoch, self._n_steps
        return {"n_done": n_done, "n_steps": n_steps, "scaler": self._scaler.state_dict()}

    def resume(self, moments: dict[str, dict[str, torch.Tensor]], progress: dict[str, Any]) -> None:
        """Continue from the results of `moments` and `progress`.

        With another number of steps per epoch, the schedule continues at the same share of them.
        """
        self.load_moments(moments)
        self._scaler.load_state_dict(progress["scaler"])
        n_done = round(progress["n_done"] * self._n_steps / progress["n_steps"])
        for schedule in self._schedules:
            schedule.last_epoch = n_done
            groups = schedule.optimizer.param_groups
            factors = schedule.base_lrs, schedule.lr_lambdas
            for group, base, factor in zip(groups, *factors, strict=True):
                group["lr"] = base * factor(n_done)

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the optimizer state of each weight that has one, by the name of the weight.

        If weights are sharded, all processes must call this.
        """
        return {
            name: {key: whole(value) for key, value in optimizer.state[parameter].items()}
            for name, parameter in self._weights.items()
            for optimizer in self._optimizers
            if parameter in optimizer.state
        }

    def autocast(self) -> torch.autocast:
        """Return the context in which scores are computed with the floating-point type."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype is not None)

    def step(self, packed: Packed, batch: Batch) -> float:
        """Take one step, or with gradient accumulation, add the gradients of one batch.

        Parameters
        ----------
        packed : Packed
            The prepared catalogue.
        batch : Batch
            Share of this process in the step. It may have no rows.

        Returns
        -------
        float
            Share of this process in the mean loss over the rows of the step.
        """
        loss = self.add(packed, batch)
        self.flush_if_due()
        return loss

    def add(self, packed: Packed, batch: Batch | None) -> float:
        """Add the gradients of one batch, or of no rows; see `step`.

        The processes communicate only if the language model is sharded.
        """
        self._clear_unless_waiting()
        value = torch.zeros(())
        if batch is not None and len(batch):  # in the last step, a process may have no rows
            with self.autocast():
                outputs = self.network.outputs(batch, packed, TOKEN_BUDGET)
                share = len(batch) / batch.n_rows
                value = batch_loss(self.loss, self.network, outputs, batch)
                value = value + outputs.penalty * share
        if self.sharded is not None:
            value = value + self.sharded.missing_passes()
        if value.requires_grad:
            self._scaler.scale(value / self._n_accumulated).backward()
        self._n_waiting += 1
        return value.item()

    def _clear_unless_waiting(self) -> None:
        """Forget the gradients of the last step."""
        if not self._n_waiting:
            self.network.zero_grad(set_to_none=True)

    def start_steps(self, n_batches: int) -> None:
        """Expect the steps of some batches, in each of which the processes add up gradients."""
        self._n_left = -(-n_batches // self._n_accumulated)

    @property
    def is_between(self) -> bool:
        """Whether a step has been taken, and another one of the same epoch follows."""
        return self._n_left > 0 and not self._n_waiting

    def fail(self, error: BaseException) -> None:
        """Raise an error in all processes, if they expect the gradients of this one."""
        self._n_waiting = 0
        if not self._n_left or self.processes.has_raised(error):
            return
        if self.sharded is not None:
            self.sharded.fail(error)
        else:
            self.processes.sum_gradients(self.network, error)

    def flush_if_due(self) -> None:
        """Change the weights, if enough gradients are waiting."""
        if self._n_waiting == self._n_accumulated:
            self.flush()

    def flush(self) -> None:
        """Change the weights by the gradients that are waiting, if there are any."""
        if not self._n_waiting:
            return
        self._n_waiting = 0
        self.processes.sum_gradients(self.network)
        self._n_left -= 1
        self.n_taken += 1
        if self._max_norm is not None:
            for optimizer in self._optimizers:
                self._scaler.unscale_(optimizer)
            clip_gradients(self.network, self._max_norm)
        # counted before the weights change, so that Ctrl-C in between leaves no stale vectors
        self.network.n_steps += 1
        for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
            if has_gradients(optimizer):
                self._scaler.step(optimizer)
            else:  # the scaler of float16 refuses it
                optimizer.step()
            schedule.step()
        self._scaler.update()
