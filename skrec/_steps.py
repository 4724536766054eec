"""The steps of `fit` and `partial_fit`."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import numpy as np
import torch

from skrec._calibration import fit_sigmoid
from skrec._catalogue import Catalogue
from skrec._coded import CodedInteractions
from skrec._examples import Examples
from skrec._fitting import Progress, Start
from skrec._network import Network
from skrec._training import Plan, Trainer
from skrec._verbs import Verbs
from skrec.content._side import side_operator


class Steps(Verbs):
    """What ``ContentRecommender`` does in training, one method a step."""

    classes_: np.ndarray
    predictor_: Any
    n_epochs_: int
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_score_: float
    width: int
    precision: str
    verbose: int
    _progress: Progress | None

    def _take_over(self, start: Start, goes_on: bool) -> None:
        """Take what training begins with; where it goes on, that is the larger catalogue."""
        if goes_on:
            if start.items is not self.items_:
                self.items_ = start.items
                self._cache = Catalogue(start.items, self._reader())
            return
        self.classes_ = np.array([0, 1])
        self.items_, self.users_ = start.items, start.users
        self.content_ = start.operators["content"]
        self.behavior_ = start.operators["behavior"]
        self.predictor_ = start.operators["predictor"]
        self.side_ = side_operator(self.behavior_)
        self.calibration_ = (1.0, 0.0)

    def _trainer(
        self,
        start: Start,
        examples: Examples,
        valid: CodedInteractions | None,
        goes_on: bool,
    ) -> Trainer:
        """Return what trains the network, which is built first unless training goes on."""
        rng, moments = start.rng, None
        if not goes_on:
            self._build(start)
        elif self._progress is not None:
            before = copy.deepcopy(self._progress)
            rng, moments = before.rng, before.moments
            torch.set_rng_state(torch.from_numpy(before.dropout))
        else:
            torch.manual_seed(int(rng.integers(2**31)) + start.processes.rank)
        self.network_.to(start.device)
        return Trainer(
            self.network_,
            self._catalogue().packed(self.network_),
            examples,
            Plan.of(self, start.loss),
            rng,
            None if valid is None else partial(self._scorer().monitor, self.scoring, valid),
            start.processes,
            moments,
        )

    def _build(self, start: Start) -> None:
        """Fit what reads the items, and build the network."""
        self.content_.fit(self.items_)
        if self.side_ is not None:
            self.side_.fit(self.items_)
        torch.manual_seed(int(start.rng.integers(2**31)))
        self.network_ = self._build_network(self.width).to(start.device)
        if self.precision == "float64":
            self.network_.double()
        # processes start alike, and drop unlike
        torch.manual_seed(int(start.rng.integers(2**31)) + start.processes.rank)
        self._cache = Catalogue(self.items_, self._reader())
        self._progress = None

    def _calibrate(self, valid: CodedInteractions) -> tuple[float, float]:
        """Fit the sigmoid to held-out rows; bare histories have no clicks to fit it to."""
        if valid.clicked is None:
            return 1.0, 0.0
        weight = None if valid.weight is None else valid.weight[valid.row_of_candidate()]
        return fit_sigmoid(self._scorer().scores(valid), valid.clicked, weight)

    def _build_network(self, width: int) -> Network:
        return Network(
            self.content_.build(self.content_.schema_, width),
            self.behavior_.build(width, *([] if self.users_ is None else [len(self.users_)])),
            self.predictor_.build(width),
            width,
            self.behavior_,
            None if self.side_ is None else self.side_.build(self.side_.schema_, width),
        )

    def _run(
        self, trainer: Trainer, context: Any, told: dict[str, Any], before: list[float]
    ) -> None:
        """Run the epochs, telling callbacks; Ctrl-C ends training and keeps the model.

        The losses `before` are those of the epochs that a warm start goes on from.
        """
        ended = {**told, "reconstruction_attributes": self._fitted_attributes}
        try:
            stopped = False
            while not (trainer.finished or stopped):
                epoch = context.subcontext(task_name="epoch")
                epoch.call_on_fit_task_begin(**told)
                trainer.run_epoch()
                if self.verbose and trainer.processes.rank == 0:
                    print(trainer.progress())
                stopped = epoch.call_on_fit_task_end(**ended)
        except KeyboardInterrupt:
            if context.parent is not None:
                raise  # a search would score a model that was cut short as if it were whole
            warnings.warn(
                f"training was interrupted in epoch {len(trainer.losses) + 1}; the model is kept",
                UserWarning,
                stacklevel=4,
            )
        trainer.restore_best()
        scores = self.validation_scores_ if before else []
        self.loss_curve_ = [*before, *trainer.losses]
        self.validation_scores_ = [*scores, *trainer.scores]
        self.n_epochs_ = len(self.loss_curve_)
        self.best_score_ = trainer.best_score
        context.call_on_fit_task_end(**ended)

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return what a callback needs to predict with the model as it stands."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")} | {
            "_cache": self._cache
        }
