"""Ways to train a language model, beside a plain twin that encodes the padded grid.

The twin fine-tunes the whole model. It encodes every slot of every history (padded to 50) and
every candidate by itself, with texts padded to the longest of the data, in micro-batches whose
gradients add up to a batch. All slots cost alike, so one micro-batch is timed and scaled up. The
items' states are computed before the steps are timed; `fill_seconds` says how long that took.

`--model` is a folder or a GGUF file, of which `--layers N` keeps the lowest N layers. `--modes`
names some of the ways, with commas between them. `--template ""` reads all columns of the films.
`--measure curves` reports quality after each epoch, of all clicks of MovieLens 100K, or with
`--headlines 1` of the impressions of made-up headlines. `--parameters` are further parameters of
the recommender in JSON, such as `'{"lr_schedule": "cosine", "content__pooling": "mean"}'`.

`--measure quality` trains each way on a few impressions, and compares GAUC instead of seconds. It
also knows the published models PLMNR, ONCE and MINER, of which two layers are trained then.
"""

import ctypes
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from _common import alternate, arguments, environment, peak_mb, report
from _language_models import operators, prepare_model
from _ml100k import read_items, read_split
from _padded import padded_loss
from _training_steps import BATCH_SIZE, MAX_HISTORY, N_NEGATIVES, TrainingSteps
from skrec import ContentRecommender, Items, cache, zoo
from skrec._training.losses import batch_loss
from skrec._training.optimizers import parameter_groups
from skrec._training.stepper import AUTOCAST
from skrec.content import Resources
from skrec.datasets import make_headlines

PUBLISHED = ("PLMNR", "ONCE", "MINER")


def chosen_modes(args, default):
    """Return the ways that were asked for and that the model has the layers for."""
    from transformers import AutoConfig

    n_layers = AutoConfig.from_pretrained(args.folder).num_hidden_layers
    modes = args.modes.split(",") if args.modes else default
    known = operators(args)
    if set(modes) - {*known, *PUBLISHED}:
        sys.exit(f"--modes must be of {', '.join([*known, *PUBLISHED])}, got {args.modes}")
    n_trained = {m: getattr(known.get(m), "trainable_layers", 0) or 0 for m in modes}
    too_deep = [mode for mode in modes if n_trained[mode] > n_layers]
    return [mode for mode in modes if mode not in too_deep]


def published(args, mode):
    """Return a published model around the language model, of which two layers are trained."""
    rec = getattr(zoo, mode)(args.folder)
    content = {"trainable_layers": 2, "template": args.template or None}
    content |= {"max_length": args.max_length, "dtype": args.dtype}
    return rec.set_params(**{f"content__{name}": value for name, value in content.items()})


def read_data(args):
    """Return items, and impressions of train and test."""
    if args.quick and not Path(args.data).expanduser().exists():
        news = make_headlines(n_users=60, n_items=150, n_impressions=400, random_state=0)
        return Items(news.items), news.train, news.test
    return read_items(args.data), read_split(args.data, "train"), read_split(args.data, "test")


def recommender(args, mode, **parameters):
    if mode in PUBLISHED:
        rec = published(args, mode)
    else:
        rec = ContentRecommender(content=operators(args)[mode], history_targets=0)
    return rec.set_params(
        memory=Path(args.memory) / mode,
        max_history=MAX_HISTORY,
        batch_size=BATCH_SIZE,
        n_negatives=N_NEGATIVES,
        pretrained_learning_rate=args.pretrained_learning_rate,
        learning_rate=args.learning_rate,
        early_stopping=False,
        precision=args.precision,
        device="cpu",
        **parameters,
    )


def steps_of(args, mode):
    """Return the steps of one way."""
    torch.set_num_threads(args.threads)
    items, train, _ = read_data(args)
    rec = recommender(args, mode, max_epochs=1, random_state=0)
    return TrainingSteps(rec, items, train, args.batches)


class Twin:
    """Whole fine-tuning in plain torch: every slot of the padded grid goes through the model."""

    def __init__(self, args):
        setting = steps_of(args, "whole")
        self.n_impressions = args.twin_impressions  # of a micro-batch
        self.network, self.plan = setting.network, setting.plan
        self.model = self.network.content.top.model  # of transformers, as it is
        self.packed, self.batch = setting.packed, setting.batches[0]
        everything = torch.arange(len(self.packed))
        [(self.ids, self.mask)] = self.packed.take(everything).values()  # to the longest text
        self.precision = args.twin_precision or args.precision
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.network, self.plan), weight_decay=0.0, fused=True
        )

    @property
    def n_slots(self):
        """Slots of a micro-batch."""
        return self.n_impressions * (MAX_HISTORY + self.batch.candidates.shape[1])

    def loss(self, rows):
        """Return what some rows add to the loss of the batch."""
        return padded_loss(self.network, rows_of(self.batch, rows), self.vectors)

    def vectors(self, slots):
        """Return the vectors (S, D) of slots; the longest text decides how long all are."""
        ids, mask = self.ids[slots], self.mask[slots]
        hidden = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        head = self.network.content
        pooled = head.pool(hidden.to(head.project.weight.dtype), mask)
        return head.project(torch.nn.functional.normalize(pooled, dim=-1))

    def micro_batch(self):
        dtype = AUTOCAST.get(self.precision)
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            loss = self.loss(torch.arange(self.n_impressions))
        loss.backward()
        return loss.item()

    def update(self):
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def difference(self):
        """Return how far the twin's loss is from the network's, without dropout, relatively."""
        rows = torch.arange(self.n_impressions)
        self.network.eval()
        batch = rows_of(self.batch, rows)
        outputs = self.network.outputs(batch, self.packed, 1 << 16)
        ours = batch_loss("softmax", self.network, outputs, batch)
        twins = self.loss(rows)
        self.network.train()
        return (twins / ours - 1).abs().item()


def rows_of(batch, rows):
    """Return some rows of a batch; they count in the loss as they do in the whole batch."""
    names = ("history_of_row", "candidates", "candidate_mask", "labels", "log_q", "weight")
    return replace(batch, **{name: getattr(batch, name)[rows] for name in names})


def fill_seconds(args, mode):
    """Compute the states of all items, and return the seconds; None where nothing is kept."""
    items, _, _ = read_data(args)
    operator = operators(args)[mode]
    operator.use(Resources(Path(args.memory) / mode))
    seconds = []
    for _ in range(2):  # the second time they are there: what is left is loading and tokens
        start = time.perf_counter()
        operator.fit(items)
        if not operator.keeps_states:
            return None
        operator.prepare(items)
        seconds.append(time.perf_counter() - start)
    return max(0.0, seconds[0] - seconds[1])


def prepared(args, mode):
    setting = Twin(args) if mode == "twin" else steps_of(args, mode)
    # what making it has freed goes back to the system, or steps would use it unseen
    ctypes.CDLL(None).malloc_trim(0)
    return setting


def take_steps(setting):
    """Take two steps: the optimiser has its state from the first."""
    if isinstance(setting, TrainingSteps):
        setting.take()
        return
    for _ in range(2):
        setting.micro_batch()
        setting.update()


def peak(args, mode):
    """Return the peak memory of two steps above the network; of the twin, of micro-batches."""
    if args.quick and mode not in ("twin", "whole", "split-1"):
        return None  # each takes a process that imports everything
    args = type(args)(**vars(args) | {"batches": 2})
    return peak_mb(take_steps, prepare=partial(prepared, args, mode))


def speed(args, modes):
    twin = Twin(args)  # the first to load a model: imports count for none of the others
    difference = twin.difference()
    filled = {mode: fill_seconds(args, mode) for mode in modes}
    settings = {mode: steps_of(args, mode) for mode in modes}
    ways = {"micro-batch": twin.micro_batch, "update": twin.update}
    ways |= {mode: settings[mode].take for mode in modes}
    seconds = alternate(ways, args.repeats)
    per_row = seconds["micro-batch"] / twin.n_impressions + seconds["update"] / BATCH_SIZE
    report(
        "split",
        mode="twin",
        ratio=1.0,
        seconds=1000 * per_row,
        peak_mb=peak(args, "twin"),
        threads=args.threads,
        precision=twin.precision,
        impressions_timed=twin.n_impressions,
        slots_timed=twin.n_slots,
        tokens_of_a_slot=twin.ids.shape[1],
        mean_tokens_of_an_item=float(twin.packed.lengths.mean()),
        scaled_by=1000 / twin.n_impressions,
        loss_differs_by=difference,
    )
    for mode, setting in settings.items():
        n_impressions = setting.n_impressions
        kept = cache.info(Path(args.memory) / mode)
        report(
            "split",
            mode=mode,
            ratio=per_row / (seconds[mode] / n_impressions),
            seconds=1000 * seconds[mode] / n_impressions,
            peak_mb=peak(args, mode),
            threads=args.threads,
            precision=args.precision,
            impressions_timed=n_impressions,
            items_of_a_batch=float(np.mean([len(batch.items) for batch in setting.batches])),
            fill_seconds=filled[mode],
            kept_mb=float(kept["bytes"].sum()) / 2**20,
            n_trained=sum(p.numel() for p in setting.network.parameters() if p.requires_grad),
        )


def quality(args, modes):
    """Compare the GAUC of each way with whole fine-tuning, seed by seed."""
    items, train, test = read_data(args)
    gauc = {mode: [] for mode in modes}
    for seed in range(args.seeds):
        rows = train.sample(min(args.impressions, len(train)), random_state=seed)
        for mode in modes:
            start = time.perf_counter()
            rec = recommender(args, mode, max_epochs=args.epochs, random_state=seed)
            rec.fit(rows, items)
            seconds = time.perf_counter() - start
            gauc[mode].append(rec.evaluate(test, metrics=["gauc"])["gauc"])
            each = {"mode": mode, "seed": seed, "gauc": gauc[mode][-1], "seconds": seconds}
            report("split_quality_of_a_seed", **each)
    for mode in modes:
        row = {"mode": mode, "gauc": np.mean(gauc[mode]), "gauc_spread": np.ptp(gauc[mode])}
        if "whole" in modes:
            differences = np.subtract(gauc[mode], gauc["whole"])
            row |= {"to_whole": differences.mean(), "to_whole_spread": np.ptp(differences)}
        report("split_quality", seeds=args.seeds, impressions=len(rows), **row)


class Curve:
    """Callback that reports GAUC and nDCG after each epoch, and the CPU seconds of training."""

    def __init__(self, mode, seed, rate, **splits):
        self.about, self.splits = {"mode": mode, "seed": seed, "rate": rate}, splits
        self.n_epochs, self.start = 0, time.process_time()

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch":
            return
        stopped, self.n_epochs = time.process_time(), self.n_epochs + 1
        seconds, found = stopped - self.start, {}
        for split, rows in self.splits.items():
            values = fitted_estimator.evaluate(rows, metrics=["gauc", "ndcg@10"])
            found |= {f"{split}_gauc": values["gauc"], f"{split}_ndcg10": values["ndcg@10"]}
        report("split_curve", epoch=self.n_epochs, seconds=seconds, **found, **self.about)
        self.start += time.process_time() - stopped  # evaluation does not count


def headlines(seed):
    """Return items and impressions of made-up headlines, and the part to evaluate."""
    news = make_headlines(n_users=150, n_items=400, n_impressions=600, random_state=seed)
    return Items(news.items), news.train, {"test": news.test}


def histories(args):
    """Return items, all clicks of users' histories, and the parts to evaluate."""
    items, train, test = read_data(args)
    valid = train.tail(20) if args.quick else read_split(args.data, "valid")
    clicks = valid.history.tolist()  # those before the clicks of valid
    return items, clicks, {"valid": valid, "test": test}


def curves(args, modes):
    """Report GAUC and nDCG of each way over time."""
    all_clicks = {"history_targets": "all", "n_negatives": "all", "co_clicks": False}
    for seed in range(args.seeds):
        items, X, splits = headlines(seed) if args.headlines else histories(args)
        for mode in modes:
            rec = recommender(args, mode, max_epochs=args.epochs, random_state=seed)
            rec.set_params(**{} if args.headlines else all_clicks, **json.loads(args.parameters))
            rec.set_callbacks(Curve(mode, seed, args.pretrained_learning_rate, **splits))
            rec.fit(X, items=items)


MEASURES = {"speed": speed, "quality": quality, "curves": curves}


def main():
    args = arguments(
        __doc__,
        model="",
        layers=0,
        data="~/.cache/skrec/ml100k",
        modes="",
        measure="speed",
        headlines=0,
        repeats=5,
        threads=torch.get_num_threads(),
        batches=4,
        twin_impressions=4,
        template="{title}",
        max_length=32,
        rank=8,
        dtype="float32",
        precision="auto",
        twin_precision="",
        learning_rate=3e-3,
        pretrained_learning_rate=1e-4,
        parameters="{}",
        impressions=2000,
        epochs=2,
        seeds=3,
    )
    if args.measure not in MEASURES:
        sys.exit(f"--measure must be of {', '.join(MEASURES)}, got {args.measure}")
    if args.quick:
        args.repeats, args.batches, args.twin_impressions = 2, 2, 1
        args.impressions, args.epochs, args.seeds = 100, 1, 2
    torch.set_num_threads(args.threads)
    report("environment", **environment())
    with tempfile.TemporaryDirectory() as folder:
        args.folder = str(prepare_model(args, str(Path(folder) / "model")))
        args.memory = str(Path(folder) / "memory")
        MEASURES[args.measure](args, chosen_modes(args, list(operators(args))))


if __name__ == "__main__":
    main()
