"""Absurd sizes in saved folders are refused, and cost neither time nor memory."""

import json
import os
import time

import pytest
import torch
from killed import run
from signed import sign

import skrec
from skrec import ContentRecommender, behavior, content


@pytest.mark.parametrize("size", [10**6, 10**9])
@pytest.mark.parametrize(
    ("family", "operator"),
    [("behavior", behavior.Transformer()), ("content", content.Fastformer())],
    ids=lambda value: getattr(type(value), "__name__", value),
)
def test_a_network_of_too_many_layers_is_refused_at_once(news, tmp_path, family, operator, size):
    operators = {"content": "mean_pooling", family: operator}
    rec = ContentRecommender(**operators, width=8, max_epochs=1, early_stopping=False)
    rec.fit(news.train.head(20), news.items).save(tmp_path / "model")
    path = tmp_path / "model" / "recommender.json"
    state = json.loads(path.read_text())
    state[f"{family}_"]["state"]["n_layers"] = size
    path.write_text(json.dumps(state))
    sign(tmp_path / "model")
    before = time.monotonic()
    message = (
        "the network describes more layers than its .* arrays|n_layers must be at most 1000000"
    )
    with pytest.raises(ValueError, match=message):
        skrec.load(tmp_path / "model")
    assert time.monotonic() - before < 10
    assert torch.is_grad_enabled()


EVERYWHERE = """
import json, resource, signal, time, warnings
from pathlib import Path

from signed import ints_in, set_at, sign
from _combinations import SETTINGS, Data, operators_with_options, registered_operators
from _combinations import write_pretrained
from skrec import ContentRecommender

warnings.simplefilter("ignore")
root, data = Path(sys.argv[1]), Data()
given = write_pretrained(root)
PLAIN = {"content": "mean_pooling", "behavior": "mean_pooling", "predictor": "dot"}

def fit(family, operator, folder):
    rec = ContentRecommender(**(PLAIN | {family: operator} | SETTINGS))
    rec.fit(data.impressions, data.items).save(folder, include_base=True)

def stop(*_):
    raise AssertionError("no answer after 20 s of computing")

def load_all(family, folder):
    signal.signal(signal.SIGPROF, stop)
    in_use = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (2 << 30),) * 2)
    for file in (folder / "recommender.json", *folder.glob("base*/config.json")):
        text = file.read_text()
        for path in ints_in(json.loads(text)):
            if file.name == "recommender.json" and path[0] != family + "_":
                continue
            for size in (10**6, 10**9):
                value = json.loads(text)
                set_at(value, path, size)
                file.write_text(json.dumps(value))
                sign(folder)
                signal.setitimer(signal.ITIMER_PROF, 20)
                try:
                    skrec.load(folder)
                except ValueError:
                    pass
                except BaseException as error:
                    raise AssertionError(f"{path} = {size} in {folder}") from error
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
        file.write_text(text)

plain, more = registered_operators(given), operators_with_options(given)
for family in plain:
    for name, operator in (plain[family] | more[family]).items():
        folder = root / f"{family}-{name}"
        finish(fit, family, operator, folder)
        finish(load_all, family, folder)
        print(family, name, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads its size from Linux")
def test_every_number_of_every_operator(tmp_path):
    lines = run(EVERYWHERE, tmp_path, seconds=900).splitlines()
    assert len(lines) > 40
