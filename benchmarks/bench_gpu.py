"""Training and lists on a GPU, and how much of a step in split mode computes.

`--parts` names some of: training (NAML and NRMS on rows of the shape of MIND, beside a step that
encodes the padded grid), lists (top 10 of 65,000 items), split (the last layer of a language model
of the shape of Llama with 1.5 billion random weights, whose prefix states are read from
memory-mapped pages; `computing` is the share of the time of such a step that the same step takes
with the states in the memory of the device). `benchmarks/gpu.sh` runs it on a GPU. On other
devices, it shows that it works.
"""

import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

import torch

from _common import alternate, arguments, environment, report
from _inference import mind_sized
from _language_models import letter_tokenizer
from _padded import PaddedSteps
from _training_steps import TrainingSteps
from skrec import ContentRecommender, content, zoo
from skrec._data.packed import Packed, Ragged
from skrec._data.states import States

MODELS = {"naml": zoo.NAML, "nrms": zoo.NRMS}
SHORT = {
    "learning_rate": 1e-3,
    "max_epochs": 1,
    "early_stopping": False,
    "random_state": 0,
}


def wait(device):
    """Wait until a GPU has computed everything."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def timed(function, device):
    def call():
        function()
        wait(device)

    return call


def per_1000(seconds, steps):
    """Return seconds per 1,000 impressions of each way."""
    return {way: 1000 * each / steps.n_impressions for way, each in seconds.items()}


def peak_mb_of(device):
    """Return the largest memory that tensors on a GPU took, and begin anew; None elsewhere."""
    if torch.device(device).type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device) / 2**20
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def data_of(args):
    """Return items and impressions of the shape of MIND."""
    scale = 200 if args.quick else 1
    return mind_sized(65_000 // scale, 10_000 // scale, 200_000 // scale)


def training(args):
    """Report the steps of small models beside those of the padded grid."""
    items, X = data_of(args)
    for model in MODELS:
        for precision in ("float32", "bfloat16"):
            rec = MODELS[model](precision=precision, device=args.device, **SHORT)
            steps = PaddedSteps(rec, items, X, args.batches)
            ways = {"ours": steps.take, "plain": steps.take_plain}
            ways = {way: timed(function, args.device) for way, function in ways.items()}
            seconds = alternate(ways, args.repeats)
            report(
                "gpu training",
                model=model,
                precision=precision,
                ratio=seconds["plain"] / seconds["ours"],
                seconds_per_1000=per_1000(seconds, steps),
                peak_mb=peak_mb_of(args.device),
            )


def lists(args):
    """Report the seconds of lists for all users of the rows."""
    items, X = data_of(args)
    rec = zoo.NAML(device=args.device, **SHORT).fit(X.slice(0, 100), items)
    histories = X["history"].to_pylist()
    rec.recommend(histories[:10], k=10)
    start = time.perf_counter()
    rec.recommend(histories, k=10)
    seconds = time.perf_counter() - start
    report(
        "gpu lists",
        n_users=len(histories),
        n_items=items.n_items,
        seconds=seconds,
        users_per_second=len(histories) / seconds,
        peak_mb=peak_mb_of(args.device),
    )


def large_llama(args):
    """Return a model of the shape of Llama with random weights: 1.5 billion, or few if quick."""
    from transformers import LlamaConfig, LlamaModel

    large = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 22}
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
    config = LlamaConfig(
        **(small if args.quick else large),
        num_attention_heads=8 if args.quick else 32,
        num_key_value_heads=8,
        vocab_size=128,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaModel(config).to(torch.bfloat16).eval()


def on_device(packed, device):
    """Return prepared items whose states are in the memory of the device."""
    [(name, column)] = packed.columns.items()
    assert isinstance(column, States)
    return Packed({name: InMemory.of(column, device)})


class InMemory(Ragged):
    """States as a column in the memory of a device."""

    @classmethod
    def of(cls, column, device):
        everything = torch.arange(len(column.lengths))
        rows, mask = replace(column, device=torch.device("cpu")).take(everything)
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), column.lengths.cumsum(0)])
        return cls(offsets, rows[mask].to(device))

    def take(self, codes):
        at, mask = Ragged(self.offsets, torch.arange(len(self.values))).take(codes)
        device = self.values.device
        mask = mask.to(device)
        return self.values[at.to(device)] * mask.unsqueeze(2), mask


def split(args):
    """Report steps of the last layer of a large language model, with and without reading."""
    items, X = data_of(args)
    model, tokenizer = large_llama(args), letter_tokenizer()
    n_weights = sum(weight.numel() for weight in model.parameters())
    for precision in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory() as memory:
            operator = content.LanguageModel(
                model,
                tokenizer=tokenizer,
                trainable_layers=1,
                template="{title}",
                max_length=64,
                dtype="bfloat16",
            )
            rec = ContentRecommender(
                operator,
                memory=memory,
                n_negatives=4,
                history_targets=0,
                co_clicks=False,
                precision=precision,
                device=args.device,
                **SHORT,
            )
            start = time.perf_counter()
            steps = TrainingSteps(rec, items, X, args.batches)
            report_steps(args, steps, precision, n_weights, time.perf_counter() - start)


def report_steps(args, steps, precision, n_weights, fill):
    kept = on_device(steps.packed, args.device)
    for compiled in (False, True):
        failure = None
        if compiled:
            steps.network.content.top.compile()
        try:
            seconds = alternate(
                {
                    "mapped": timed(steps.take, args.device),
                    "in memory": timed(partial(steps.take, kept), args.device),
                },
                args.repeats,
            )
        except Exception as error:  # of a compiler that does not know the model or the machine
            if not compiled:
                raise
            failure, seconds = f"{type(error).__name__}: {error}"[:200], {}
        report(
            "gpu split",
            compiled=compiled,
            failure=failure,
            precision=precision,
            n_weights=n_weights,
            first_fit_seconds=fill,
            computing=seconds["in memory"] / seconds["mapped"] if seconds else None,
            seconds_per_1000=per_1000(seconds, steps),
            peak_mb=peak_mb_of(args.device),
        )


PARTS = {"training": training, "lists": lists, "split": split}


def main():
    args = arguments(
        __doc__,
        parts=",".join(PARTS),
        device="cuda" if torch.cuda.is_available() else "cpu",
        repeats=5,
        batches=8,
    )
    if args.quick:
        args.repeats, args.batches = 2, 2
    report("environment", **environment(), gpu=name_of(args.device))
    for part in args.parts.split(","):
        PARTS[part](args)


def name_of(device):
    with suppress(Exception):
        return torch.cuda.get_device_name(device)
    return None


if __name__ == "__main__":
    main()
