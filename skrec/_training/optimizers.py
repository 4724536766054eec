"""The optimizers of a network: AdamW, and Adam of single rows for large embedding tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from skrec._training.sharded_tensors import is_sharded, whole
from skrec.nn import rows_of_gradient, sparse_tables


class TableAdam(torch.optim.Optimizer):
    """AdamW of each row of a table, over the steps that contain the row.

    A row takes part in a step if its gradient is not zero. Other rows are left alone: they keep
    their weights, their moments and their number of steps, and cost nothing. A row that is in
    every step is trained exactly as by AdamW. AdamW would also move rows that are not in a step,
    by the mean of their earlier gradients and by the weight decay.

    Parameters
    ----------
    parameters : iterable of Parameter or of dict
        Tables, whose gradients are sparse.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of (float, float), default=(0.9, 0.999)
        Weight of the earlier gradients in their mean, and in the mean of their squares.
    eps : float, default=1e-8
        Number that is added to the denominator.
    weight_decay : float, default=0.0
        Decay of the rows of a step.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the rows of the gradients."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._change_rows(table, group)

    def _change_rows(self, table: torch.Tensor, group: dict[str, Any]) -> None:
        """Change the rows of one table that are in its gradient."""
        assert table.grad is not None
        rows, grad = rows_of_gradient(table.grad)  # (k,), (k, D)
        state, (beta1, beta2) = self._state_of(table), group["betas"]
        mean = torch.lerp(state["exp_avg"][rows], grad, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        n_steps = state["step"][rows] + 1
        for name, value in {"exp_avg": mean, "exp_avg_sq": square, "step": n_steps}.items():
            state[name][rows] = value
        # in float64, because the number of steps differs from row to row
        n_steps = n_steps.double().unsqueeze(1)
        rate = (group["lr"] / (1 - beta1**n_steps)).to(mean.dtype)
        scale = (1 - beta2**n_steps).sqrt().to(mean.dtype)
        weights = table[rows].mul_(1 - group["lr"] * group["weight_decay"])
        table[rows] = weights.addcdiv_(mean * -rate, (square.sqrt() / scale).add_(group["eps"]))

    def _state_of(self, table: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the moments of a table, and the number of steps of each row."""
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(len(table), device=table.device)
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        elif not state["step"].ndim:  # saved when all tables were trained by AdamW
            state["step"] = state["step"].to(table.device).repeat(len(table))
        return state


def make_optimizers(network: nn.Module, plan: Any) -> list[torch.optim.Optimizer]:
    """Return AdamW, and `TableAdam` if the network has tables with sparse gradients.

    Parameters
    ----------
    network : Network
    plan : Plan
        Hyperparameters of training.

    Returns
    -------
    list of torch.optim.Optimizer
    """
    tables = sparse_tables(network)
    found: list[torch.optim.Optimizer] = []
    groups = parameter_groups(network, plan, tables)
    if groups:
        found.append(torch.optim.AdamW(groups, weight_decay=plan.weight_decay, fused=True))
    if tables:
        found.append(TableAdam(tables, lr=plan.learning_rate, weight_decay=plan.weight_decay))
    return found


def parameter_groups(
    network: nn.Module, plan: Any, others: Iterable[nn.Parameter] = ()
) -> list[dict[str, Any]]:
    """Return the weights to train except `others`, in groups for an optimizer.

    A group has one learning rate and one weight decay. Biases and the weights of norms do not
    decay.
    """
    left_out = set(others)
    pretrained = {
        parameter
        for module in network.modules()
        if getattr(module, "pretrained", False)
        for parameter in module.parameters()
    }
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad and parameter not in left_out:
            rate = plan.pretrained_learning_rate if parameter in pretrained else plan.learning_rate
            decay = plan.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay, is_sharded(parameter)), []).append(parameter)
    return [
        {"params": group, "lr": rate, "weight_decay": decay}
        for (rate, decay, _), group in groups.items()
    ]


def has_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether any weight of an optimizer has a gradient."""
    return any(weight.grad is not None for weight in weights_of(optimizer))


def weights_of(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    """Return the weights that an optimizer trains."""
    return (weight for group in optimizer.param_groups for weight in group["params"])


def clip_gradients(network: nn.Module, max_norm: float) -> None:
    """Scale the gradients of a network, so that their norm is at most `max_norm`.

    If weights are sharded, all processes must call this.
    """
    tables = sparse_tables(network)
    for table in tables:
        if table.grad is not None:
            table.grad = table.grad.coalesce()
    is_table = {id(table) for table in tables}
    grads = [p.grad for p in network.parameters() if p.grad is not None and id(p) not in is_table]
    shards: list[Any] = [grad for grad in grads if is_sharded(grad)]
    rows = [table.grad.values() for table in tables if table.grad is not None]
    if not (rows or shards):
        nn.utils.clip_grad_norm_(network.parameters(), max_norm)
        return
    wholes = [grad for grad in grads if not is_sharded(grad)] + rows
    norms = [whole(nn.utils.get_total_norm(each)) for each in (wholes, shards) if each]
    norm = torch.stack(norms).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)  # as in torch
    for grad in wholes + [each.to_local() for each in shards]:
        grad.mul_(factor)
