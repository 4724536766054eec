"""The steps of `fit`: from validated inputs to a trained network and calibrated probabilities."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import torch

from skrec._common.messages import warn
from skrec._common.random import TorchGenerator
from skrec._common.status import StatusLine
from skrec._data.coded import CodedInteractions
from skrec._data.context import ContextFeatures
from skrec._data.packed import Packed
from skrec._inference.ranker import monitored
from skrec._inference.scorer import Scorer
from skrec._network import Network
from skrec._training.calibration import fit_sigmoid
from skrec._training.examples import Examples
from skrec._training.plan import Plan
from skrec._training.progress import StepReporter, n_parts_of_epoch
from skrec._training.start import FitInputs
from skrec._training.state import TrainingState
from skrec._training.stream_trainer import StreamTrainer
from skrec._training.streamed_rows import StreamedExamples
from skrec._training.trainer import Trainer
from skrec.content._around import start_from
from skrec.content._side import split_side

STARTING_ITEMS = 1024  # items from whose content a network may start


def build_network(
    content: Any,
    behavior: Any,
    predictor: Any,
    side: Any,
    users: pa.Array | None,
    context: ContextFeatures | None,
    width: int,
) -> Network:
    """Build the joint network of fitted operators, with initial weights.

    Parameters
    ----------
    content, behavior, predictor : operators
        Fitted operators of the three families.
    side : content operator or None
        Fitted operator of the side columns that the behavior operator reads.
    users : pyarrow.Array or None
        Ids of the known users, if the behavior operator has user vectors.
    context : ContextFeatures or None
        Fitted transformer of the context columns.
    width : int
        D, the size of item and user vectors.

    Returns
    -------
    Network
    """
    is_field = context is not None and context.as_field
    return Network(
        content.build(content.schema_, width),
        behavior.build(width, *([] if users is None else [len(users)])),
        predictor.build(2 * width if is_field else width),
        width,
        behavior,
        None if side is None else side.build(side.schema_, width),
        0 if context is None else context.n_features,
        is_field,
    )


def fit_operators(
    inputs: FitInputs, side: Any, width: int, precision: str, generator: TorchGenerator
) -> Network:
    """Fit the operators that read items, then build the network.

    Initial weights are equal in all processes. Afterwards `generator`, which drives dropout, is in
    a different state in each process.

    Parameters
    ----------
    inputs : FitInputs
    side : content operator or None
        Operator of the side columns, fitted here.
    width : int
        D, the size of item and user vectors.
    precision : str
        The recommender's `precision`.
    generator : TorchGenerator
        Random generator of initial weights and dropout, seeded here.

    Returns
    -------
    Network
        In evaluation mode, as always except while it is trained.
    """
    inputs.operators["content"].fit(inputs.items)
    if side is not None:
        side.fit(inputs.items)
    with generator.lent():
        torch.manual_seed(int(inputs.rng.integers(2**31)))
        network = build_network(
            **inputs.operators,
            side=side,
            users=inputs.users,
            context=inputs.context,
            width=width,
        )
    network.to(inputs.device)
    if precision == "float64":
        network.double()
    seed_dropout(inputs, generator)
    return network.eval()


def seed_dropout(inputs: FitInputs, generator: TorchGenerator) -> None:
    """Seed the generator of dropout, with a different seed in each process."""
    with generator.lent():
        torch.manual_seed(int(inputs.rng.integers(2**31)) + inputs.processes.rank)


def start_from_catalogue(network: Network, packed: Packed) -> None:
    """Let the content module start from the content of the catalogue, if it can.

    Parameters
    ----------
    network : Network
        A new network, in evaluation mode.
    packed : Packed
        The prepared catalogue. At most `STARTING_ITEMS` items are read, at equal distances.
    """
    if not hasattr(network.content, "start_from"):
        return
    n_items = len(packed)
    codes = torch.linspace(0, n_items - 1, min(n_items, STARTING_ITEMS)).long()
    columns = packed.take(codes)
    start_from(network.content, columns if network.side is None else split_side(columns)[0])


def copy_for_training(network: Network) -> Network:
    """Return a copy of a network, which shares the weights that are not trained.

    Other threads can use the original network while the copy is trained.
    """
    shared = {id(weight): weight for weight in network.parameters() if not weight.requires_grad}
    return copy.deepcopy(network, memo=shared)


@dataclass(frozen=True)
class Validation:
    """Validation score of a network, which its trainer asks for after each epoch.

    Parameters
    ----------
    scorer : Ranker
        Scorer of the network that is trained, or another dataclass.
    scoring : str
        The recommender's `scoring`.
    data : CodedInteractions
        Held-out rows.
    calibration : {"sigmoid", None}
        The recommender's `calibration`.
    """

    scorer: Any
    scoring: str
    data: CodedInteractions
    calibration: str | None

    def __call__(self) -> float:
        """Return the score of the current weights; higher is better.

        A metric of probabilities reads those that the recommender would answer with, if training
        ended now.
        """
        scorer = self.scorer
        reads_probabilities = monitored(self.scoring, self.data).response == "proba"
        if reads_probabilities and self.calibration == "sigmoid":
            scorer = replace(scorer, calibration=calibrate(scorer, self.data))
        return scorer.monitor(self.scoring, self.data)

    def describe(self, score: float) -> str:
        """Return the name and the value of the metric, for a score that a call returned."""
        metric = monitored(self.scoring, self.data)
        return f"{metric.name} {score if metric.greater_is_better else -score:.4f}"


def make_trainer(
    network: Network,
    packed: Packed,
    examples: Examples,
    plan: Plan,
    inputs: FitInputs,
    state: TrainingState | None,
    generator: TorchGenerator,
    validate: Validation | None,
) -> Trainer:
    """Make the trainer of a network; with a `state`, it continues from there.

    Parameters
    ----------
    network : Network
    packed : Packed
        The prepared catalogue.
    examples : Examples
    plan : Plan
    inputs : FitInputs
    state : TrainingState or None
        Random generators and optimizer state of the previous training, which are copied.
    generator : TorchGenerator
        Random generator of dropout.
    validate : Validation or None
        Computes the validation score.

    Returns
    -------
    Trainer
    """
    rng, moments = inputs.rng, None
    if state is not None:
        state = copy.deepcopy(state)
        rng, moments = state.rng, state.moments
        generator.cpu_state = torch.from_numpy(state.dropout)
    processes = inputs.processes
    trainer = StreamTrainer if isinstance(examples, StreamedExamples) else Trainer
    return trainer(network, packed, examples, plan, rng, validate, processes, moments, generator)


def run_epochs(
    trainer: Trainer,
    context: Any,
    callback_kwargs: dict[str, Any],
    end_kwargs: dict[str, Any],
    status: StatusLine,
) -> None:
    """Run the epochs, call the callbacks, and keep the best weights.

    If a callback stops training or fails in one process, it does so in all of them.

    Ctrl-C ends training and keeps the model, except inside a search, where it is raised.

    Parameters
    ----------
    trainer : Trainer
    context : sklearn.callback.CallbackContext
        Context of the fit.
    callback_kwargs, end_kwargs : dict
        Arguments of the callbacks at the beginning and at the end of an epoch.
    status : StatusLine
        Gets one line per epoch, and the progress of the steps.
    """
    n_parts = n_parts_of_epoch(context, trainer.n_steps, trainer.plan.max_epochs)
    processes, checkpoint = trainer.processes, trainer.checkpoint

    def run() -> None:
        stopped = False
        if checkpoint is not None and checkpoint.found is not None:
            stopped = checkpoint.found["stopped"]
            status.print(checkpoint.describe(trainer))
        else:
            status.begin("validating the initial weights")
            trainer.score_start()
        while not (trainer.finished or stopped):
            epoch = context.subcontext(task_name="epoch", max_subtasks=n_parts)
            begin = partial(epoch.call_on_fit_task_begin, **callback_kwargs)
            status.begin(f"epoch {len(trainer.losses) + 1}/{trainer.plan.max_epochs}")
            report = StepReporter(epoch, n_parts, status, **callback_kwargs)
            trainer.run_epoch(report, begin)
            status.print(trainer.epoch_summary())
            end = partial(_end_epoch, epoch, report, end_kwargs)
            stopped = any(processes.gathered(end, "callbacks"))
            if checkpoint is not None:
                checkpoint.after_epoch(trainer, stopped)

    try:
        processes.each(run, "epochs")
    except KeyboardInterrupt:
        if context.parent is not None:
            raise  # a search would score an interrupted model as if it were complete
        status.clear()
        warn(
            f"training was interrupted in epoch {len(trainer.losses) + 1}; the model is kept",
        )
    trainer.network.eval()  # Ctrl-C may have come while the mode changed
    trainer.restore_best()
    trainer.check_weights()  # those of an interrupted epoch were not checked


def _end_epoch(epoch: Any, report: StepReporter, end_kwargs: dict[str, Any]) -> bool:
    """Call the callbacks at the end of an epoch, and return whether one stops training."""
    stops = epoch.call_on_fit_task_end(**end_kwargs)
    return bool(stops or report.stops)


def calibrate(scorer: Scorer, valid: CodedInteractions) -> tuple[float, float]:
    """Fit the sigmoid ``sigmoid(a * score + b)`` to held-out rows.

    Parameters
    ----------
    scorer : Scorer
    valid : CodedInteractions
        Held-out rows. Bare histories have no labels, so a is 1 and b is 0.

    Returns
    -------
    a, b : float
    """
    if valid.clicked is None:
        return 1.0, 0.0
    weight = None if valid.weight is None else valid.weight[valid.row_of_candidate()]
    return fit_sigmoid(scorer.scores(valid), valid.clicked, weight)
