"""Files in MIND's format with made-up news and readers, of any size."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

# MINDlarge
N_USERS = 1_000_000
N_NEWS = 161_000
N_IMPRESSIONS = 15_000_000
CLICKS_PER_IMPRESSION = 1.6
MEAN_CANDIDATES = 37
MEAN_HISTORY = 33
ROWS = 50_000  # written at a time
SECONDS = 42 * 86_400
START = np.datetime64("2019-10-12T00:00:00")
PLAIN = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")


def write_mind(folder: Path, share: float, seed: int = 0) -> Path:
    """Write ``MINDlarge_train`` with a share of MINDlarge's users, news and impressions."""
    rng = np.random.default_rng(seed)
    part = folder / "MINDlarge_train"
    part.mkdir(parents=True)
    n_news, n_users = round(N_NEWS * share), round(N_USERS * share)
    ids = pc.binary_join_element_wise("N", pa.array(np.arange(n_news)).cast(pa.string()), "")
    _write_news(part / "news.tsv", ids, rng)
    past = _joined(ids, _lengths(MEAN_HISTORY, n_users, rng, least=0), n_news, rng)
    labelled = [pc.binary_join_element_wise(ids, label, "") for label in ("-0", "-1")]
    with open(part / "behaviors.tsv", "wb") as file:
        for start in range(0, round(N_IMPRESSIONS * share), ROWS):
            n_rows = min(ROWS, round(N_IMPRESSIONS * share) - start)
            csv.write_csv(_impressions(start, n_rows, past, labelled, rng), file, PLAIN)
    return folder


def _write_news(file: Path, ids: pa.Array, rng: np.random.Generator) -> None:
    n_news = len(ids)
    words = pa.array([f"word{number}" for number in range(20_000)])
    columns = {"id": ids}
    for name, n_labels in (("category", 18), ("subcategory", 270)):
        labels = pa.array([f"{name}{number}" for number in range(n_labels)])
        columns[name] = labels.take(pa.array(rng.integers(n_labels, size=n_news)))
    for name, mean in (("title", 10), ("abstract", 35)):
        columns[name] = _joined(words, _lengths(mean, n_news, rng), len(words), rng)
    empty = pa.array([""] * n_news)
    columns |= {"url": empty, "title_entities": empty, "abstract_entities": empty}
    csv.write_csv(pa.table(columns), file, PLAIN)


def _lengths(mean: int, n: int, rng: np.random.Generator, least: int = 1) -> np.ndarray:
    return least + rng.geometric(1 / (mean - least + 1), n) - 1


def _joined(
    words: pa.Array, lengths: np.ndarray, n_words: int, rng: np.random.Generator
) -> pa.Array:
    """Join words, of which some are much more frequent than others, to texts."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    chosen = words.take(pa.array(_skewed(n_words, int(offsets[-1]), rng)))
    return pc.binary_join(pa.ListArray.from_arrays(offsets, chosen), " ")


def _skewed(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    return (n * rng.random(size) ** 3).astype(np.int64)


def _impressions(
    start: int, n_rows: int, past: pa.Array, labelled: list, rng: np.random.Generator
) -> pa.Table:
    n_news = len(labelled[0])
    user = rng.integers(len(past), size=n_rows)
    seconds = rng.integers(SECONDS, size=n_rows).astype("timedelta64[s]")
    lengths = _lengths(MEAN_CANDIDATES, n_rows, rng, least=2)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    more = (CLICKS_PER_IMPRESSION - 1) / (MEAN_CANDIDATES - 1)
    clicked = rng.random(offsets[-1]) < more
    clicked[offsets[:-1] + rng.integers(lengths)] = True
    words = pa.concat_arrays(labelled).take(
        pa.array(_skewed(n_news, offsets[-1], rng) + n_news * clicked)
    )
    return pa.table(
        {
            "impression": np.arange(start + 1, start + n_rows + 1),
            "user": pc.binary_join_element_wise("U", pa.array(user).cast(pa.string()), ""),
            "time": pc.strftime(pa.array(START + seconds), "%m/%d/%Y %I:%M:%S %p"),
            "history": past.take(pa.array(user)),
            "shown": pc.binary_join(pa.ListArray.from_arrays(offsets, words), " "),
        }
    )
