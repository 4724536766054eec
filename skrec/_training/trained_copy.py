"""The shallow copy of a recommender that is trained while other threads use the recommender."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skrec._common.locks import shallow_copy
from skrec._common.random import TorchGenerator
from skrec._data.coded import CodedInteractions
from skrec._inference.item_vectors import EncodedItems
from skrec._training.checkpoint import Checkpoint
from skrec._training.examples import Examples
from skrec._training.fit import (
    Validation,
    copy_for_training,
    fit_operators,
    make_trainer,
    seed_dropout,
    start_from_catalogue,
)
from skrec._training.plan import Plan
from skrec._training.same_everywhere import check_same_network
from skrec._training.shared_scorer import shared
from skrec._training.start import FitInputs
from skrec._training.trainer import Trainer
from skrec.content._side import side_operator


def copy_to_train(recommender: Any, inputs: FitInputs, examples: Examples, resuming: bool) -> Any:
    """Return a shallow copy of a recommender, with what is known before training.

    Parameters
    ----------
    recommender : ContentRecommender
    inputs : FitInputs
    examples : Examples
    resuming : bool
        Whether the current model is trained further. The copy then has a copy of its network.

    Returns
    -------
    ContentRecommender
    """
    model = shallow_copy(recommender)
    model.n_skipped_ = examples.n_skipped
    model.chosen_ = inputs.chosen
    model.removed_ = inputs.removed
    if resuming:
        model.items_ = inputs.items
        model._encoded_items = recommender._encoded().for_training(inputs.items)
        model.network_ = copy_for_training(recommender.network_)
        return model
    model.classes_ = np.array([0, 1])
    model.items_, model.users_ = inputs.items, inputs.users
    model.context_ = inputs.context
    for family, operator in inputs.operators.items():
        setattr(model, f"{family}_", operator)
    model.side_ = side_operator(model.behavior_)
    model.calibration_ = (1.0, 0.0)
    model.histories_ = None
    model._training_state = None
    return model


def start_training(
    model: Any,
    inputs: FitInputs,
    examples: Examples,
    valid: CodedInteractions | None,
    resuming: bool,
    checkpoint: Checkpoint | None = None,
) -> Trainer:
    """Return the trainer of a copy, which gets a new network unless training is resumed.

    Parameters
    ----------
    model : ContentRecommender
        The copy that `copy_to_train` returned.
    inputs : FitInputs
    examples : Examples
    valid : CodedInteractions or None
        Held-out rows.
    resuming : bool
        As in `copy_to_train`.
    checkpoint : Checkpoint or None
        Where the state of the trainer is kept, and read from if it exists.

    Returns
    -------
    Trainer
    """
    generator = TorchGenerator(inputs.device)
    if not resuming:
        model.network_ = fit_operators(inputs, model.side_, model.width, model.precision, generator)
        model._encoded_items = EncodedItems(model.items_, model._reader())
    elif model._training_state is None:
        seed_dropout(inputs, generator)
    network = model.network_.to(inputs.device)
    packed, plan = model._encoded().packed(network), Plan.of(inputs.parameters, inputs.loss)
    if not resuming:
        start_from_catalogue(network, packed)
    check_same_network(inputs.processes, network, packed)
    validate = None
    if valid is not None:
        scorer = shared(model._scorer(), inputs.processes)
        validate = Validation(scorer, model.scoring, valid, model.calibration)
    state = model._training_state
    if examples.sampler.hard is not None:
        examples.sampler.hard.vectors = partial(model._encoded().vectors, network)
    trainer = make_trainer(network, packed, examples, plan, inputs, state, generator, validate)
    if checkpoint is not None:
        checkpoint.attach(trainer)
    return trainer


def course(recommender: Any, trainer: Trainer, resuming: bool) -> dict[str, Any]:
    """Return the fitted attributes that describe the course of training so far.

    Parameters
    ----------
    recommender : ContentRecommender
        The recommender, with the curves of earlier training if it is resumed.
    trainer : Trainer
    resuming : bool
        As in `copy_to_train`.

    Returns
    -------
    dict of str to object
    """
    losses, scores = [], []
    if resuming:
        losses, scores = recommender.loss_curve_, recommender.validation_scores_
    return {
        "loss_curve_": [*losses, *trainer.losses],
        "validation_scores_": [*scores, *trainer.scores],
        "n_epochs_": len(losses) + len(trainer.losses),
    }


def take_over(recommender: Any, model: Any) -> None:
    """Give a recommender the attributes of its trained copy, all at once for other threads."""
    own = vars(recommender)
    changed = {
        name: value
        for name, value in vars(model).items()
        if name not in own or own[name] is not value
    }
    own.update(changed)
