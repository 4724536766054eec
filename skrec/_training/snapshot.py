"""Conversion of the state of a trainer to arrays and plain values, from which it continues.

Weights and moments are equal in all processes, so they are kept once. Each process has its own
state of dropout, its own running means between the ends of epochs, and its own share of the loss.
"""

from __future__ import annotations

from typing import Any

import torch

from skrec._network import device_of
from skrec._training.position import Position

Tensors = dict[str, torch.Tensor]
CURVES = "losses", "scores"
PLACE = "start", "n_rows", "n_targets", "n_buffers"  # what is equal in all processes of a position
NUMBERS = "best_score", "start_score"  # kept as arrays like the curves, because JSON has no NaN


def own_part(trainer: Any) -> dict[str, Any]:
    """Return what only this process has of the state of a trainer."""
    at, generator = trainer.position, trainer.generator
    return {
        "loss": 0.0 if at is None else at.loss,
        "has_negatives": at is not None and at.has_negatives,
        "tensors": {"dropout": generator.cpu_state, **_running_means(trainer)}
        | {f"gpu/{i}": state for i, state in enumerate(generator.gpu_states)},
    }


def take(
    trainer: Any, moments: dict[str, Tensors], parts: list[dict[str, Any]], stopped: bool
) -> tuple[dict[str, Any], Tensors]:
    """Return a copy of the state of a trainer.

    Parameters
    ----------
    trainer : Trainer
        A trainer between two steps.
    moments : dict of str to dict
        Optimizer state of each weight.
    parts : list of dict
        Result of `own_part` in each process.
    stopped : bool
        Whether a callback has stopped training.

    Returns
    -------
    about : dict
        Plain values, which JSON can represent.
    tensors : dict of str to tensor
        Tensors on the CPU that share no memory with others.
    """
    at = trainer.position
    about = {
        "rng": trainer.rng.bit_generator.state,
        "position": None if at is None else {k: getattr(at, k) for k in PLACE},
        "best_epoch": trainer.best_epoch,
        "has_best": trainer.best_weights is not None,
        "n_steps": trainer.network.n_steps,
        "stepper": trainer.stepper.progress(),
        "stopped": stopped,
        "processes": [{k: v for k, v in part.items() if k != "tensors"} for part in parts],
    }
    tensors = {f"network/{name}": v for name, v in trainer.network.trained_state().items()}
    tensors |= {f"best/{name}": v for name, v in (trainer.best_weights or {}).items()}
    for name, state in moments.items():
        tensors |= {f"moments/{name}/{key}": value for key, value in state.items()}
    for rank, part in enumerate(parts):
        tensors |= {f"process/{rank}/{name}": value for name, value in part["tensors"].items()}
    for name in CURVES + NUMBERS:
        tensors[name] = torch.tensor(getattr(trainer, name), dtype=torch.float64)
    hard = trainer.examples.sampler.hard
    if hard is not None and at is not None:
        tensors["hard"] = torch.from_numpy(hard.table)
    return about, {name: _copied(value) for name, value in tensors.items()}


def restore(trainer: Any, about: dict[str, Any], tensors: Tensors) -> None:
    """Give a new trainer the state of which `take` returned a copy.

    With another number of processes, each one continues with the rows that are left of the epoch,
    and a process that is new has its own dropout.

    Parameters
    ----------
    trainer : Trainer
        A trainer of the same rows and parameters that has taken no step.
    about, tensors : dict
        Result of `take`.
    """
    network, device = trainer.network, device_of(trainer.network)
    network.load_trained_state(_below("network/", tensors))
    network.n_steps = about["n_steps"]
    moments: dict[str, Tensors] = {}
    for name, value in _below("moments/", tensors).items():
        weight, _, key = name.rpartition("/")
        moments.setdefault(weight, {})[key] = value
    trainer.losses, trainer.scores = (tensors[name].tolist() for name in CURVES)
    trainer.best_score, trainer.start_score = (tensors[name].item() for name in NUMBERS)
    trainer.best_epoch = about["best_epoch"]
    if about["has_best"]:
        best = _below("best/", tensors)
        trainer.best_weights = {name: value.to(device) for name, value in best.items()}
    trainer.rng.bit_generator.state = about["rng"]
    if "hard" in tensors:
        trainer.examples.sampler.hard.table = tensors["hard"].numpy()
    own = _restore_own(trainer, about, tensors)
    if about["position"] is not None:
        trainer.position = Position(**about["position"], **own)
    trainer.stepper.resume(moments, about["stepper"])


def _restore_own(trainer: Any, about: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Restore what each process has of its own, and return its part of the position."""
    rank, parts = trainer.processes.rank, about["processes"]
    saved = _below(f"process/{rank if rank < len(parts) else 0}/", tensors)
    means = _running_means(trainer)
    for name, value in means.items():
        value.copy_(saved[name])
    if rank < len(parts):
        trainer.generator.cpu_state = saved["dropout"]
        trainer.generator.gpu_states = list(_below("gpu/", saved).values())
    if trainer.processes.n == len(parts):
        return parts[rank]
    loss = sum(part["loss"] for part in parts)  # shares of processes add up
    return {
        "loss": 0.0 if rank else loss,
        "has_negatives": any(part["has_negatives"] for part in parts),
    }


def _running_means(trainer: Any) -> Tensors:
    """Return the buffers that differ between processes until the end of the epoch, by name."""
    families = {name: getattr(trainer.network, name) for name in ("behavior", "predictor")}
    return {
        f"{family}.{name}": value
        for family, module in families.items()
        for name, value in module.named_buffers()
    }


def _below(start: str, tensors: Tensors) -> Tensors:
    """Return the tensors whose names have a beginning, by the rest of the name."""
    return {name[len(start) :]: v for name, v in tensors.items() if name.startswith(start)}


def _copied(value: torch.Tensor) -> torch.Tensor:
    """Return a copy on the CPU that shares no memory with other tensors."""
    return value.detach().to("cpu", copy=True).contiguous()
