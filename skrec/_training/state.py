"""The state of training that the next call of `fit` or `partial_fit` continues from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass
class TrainingState:
    """Generators and optimizer state, with which training resumes as if it had not stopped.

    Attributes
    ----------
    rng : numpy.random.Generator
        Generator of shuffling and negatives.
    dropout : ndarray of uint8
        State of torch's generator on the CPU.
    moments : dict of str to dict of str to tensor
        State of the optimizer, by parameter name.
    """

    rng: np.random.Generator
    dropout: np.ndarray
    moments: dict[str, dict[str, torch.Tensor]]

    @classmethod
    def of(cls, trainer: Any) -> TrainingState:
        """Return the current state of a trainer."""
        return cls(trainer.rng, trainer.generator.cpu_state.numpy(), trainer.moments())

    def to_arrays(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for pickles."""
        moments = {
            name: {key: value.cpu().numpy() for key, value in state.items()}
            for name, state in self.moments.items()
        }
        rng = self.rng.bit_generator.state
        return {"rng": rng, "dropout": self.dropout, "moments": moments}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> TrainingState:
        """Return the state that `to_arrays` converted."""
        rng = np.random.default_rng()
        rng.bit_generator.state = arrays["rng"]
        moments = {
            name: {key: torch.tensor(value) for key, value in state.items()}
            for name, state in arrays["moments"].items()
        }
        return cls(rng, arrays["dropout"], moments)
