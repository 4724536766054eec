"""The steps of `partial_fit`: one more epoch on new rows, without validation."""

from __future__ import annotations

from typing import Any

from skrec._data.co_clicks import add_clicks
from skrec._training.prior import choose_prior
from skrec._training.processes import Processes
from skrec._training.start import check_classes, labels_and_catalogue, read_inputs
from skrec._training.state import TrainingState
from skrec._training.trained_copy import copy_to_train, course, start_training, take_over
from skrec.content import Resources


def train_one_epoch(
    recommender: Any,
    X: Any,
    y: Any,
    items: Any,
    classes: Any,
    sample_weight: Any,
    processes: Processes,
) -> None:
    """Train a recommender for one epoch; see `ContentRecommender.partial_fit`.

    Parameters
    ----------
    recommender : ContentRecommender
        The recommender, which gets the new attributes at the end.
    X, y, items, classes, sample_weight : object
        Arguments of `partial_fit`.
    processes : Processes
        The processes that train together.
    """
    y, items = labels_and_catalogue(y, items)
    check_classes(classes)
    resuming = hasattr(recommender, "network_")
    arguments = X, y, items, sample_weight
    inputs = read_inputs(recommender, *arguments, resuming, processes, "partial_fit")
    prior = getattr(recommender, "prior_", None)
    if prior is not None:
        prior = prior.for_items(inputs.items)
    elif not resuming:
        prior = inputs.starting_prior(inputs.data)
    examples = inputs.examples(inputs.data, prior)
    model = copy_to_train(recommender, inputs, examples, resuming)
    model.prior_ = prior
    if vars(recommender).get("n_clicks_") is not None or not resuming:
        known = recommender.n_clicks_ if resuming else None
        model.n_clicks_ = add_clicks(known, inputs.data, inputs.items.n_items)
    model.content_.use(Resources(recommender.memory, inputs.device))
    with processes.interruptible():
        trainer = start_training(model, inputs, examples, None, resuming)
    trainer.run_epoch()
    model._training_state = TrainingState.of(trainer)
    vars(model).update(course(recommender, trainer, resuming))
    if not resuming:
        model.best_score_ = float("nan")
        if prior is not None:
            model.prior_ = choose_prior(model._scorer(), inputs.data, None)
    take_over(recommender, model)
