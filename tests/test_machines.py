"""The recipes of the guide page "More than one machine" run, and answer as one process does.

Each recipe is a script that the page shows. Ray is started once for all of them.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from tiny_models import save_tiny

import skrec
from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines

RECIPES = Path(__file__).parents[1] / "docs" / "guide" / "machines"
LIMIT = 600  # seconds for one recipe, on a busy machine
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]


def needs(package, extra):
    """Skip a test if a package is not installed, which then is not imported here."""
    found = importlib.util.find_spec(package) is not None
    how = f"needs {package}: pip install -e '.[{extra}]'"
    return pytest.mark.skipif(not found, reason=how)


RAY, DASK, SPARK = needs("ray", "ray"), needs("dask", "dask"), needs("pyspark", "spark")
FAISS = needs("faiss", "test")


def run(*command, **environment):
    """Run a command that must succeed, and return what it prints."""
    with subprocess.Popen(
        [str(each) for each in command],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT)
        except BaseException:
            process.terminate()  # launchers end their processes
            raise
    assert process.returncode == 0, f"{output[-3000:]}\n{errors[-6000:]}"
    return output


def recipe(name, *arguments, **environment):
    return run(sys.executable, RECIPES / name, *arguments, **environment)


@pytest.fixture(scope="module")
def news():
    return make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)


@pytest.fixture(scope="module")
def rec(news):
    rec = ContentRecommender("mean_pooling", predictor="dot", co_clicks=False, random_state=0)
    rec.set_params(max_epochs=3, learning_rate=0.01)
    return rec.fit(news.train, news.items)


@pytest.fixture(scope="module")
def folder(rec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    rec.save(folder, include_vectors=True)
    return folder


@pytest.fixture(scope="module")
def users(news):
    users = news.train.drop_duplicates("user_id")[["user_id", "history"]]
    return users.sort_values("user_id", ignore_index=True)


@pytest.fixture(scope="module")
def histories(users, tmp_path_factory):
    """Write the histories of the users to a folder with two parquet files."""
    folder = tmp_path_factory.mktemp("histories")
    for name, part in (("a", users.head(20)), ("b", users.tail(len(users) - 20))):
        part.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


# Training

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the model that two processes of one machine have trained."""
    root = tmp_path_factory.mktemp("torchrun")
    run(*TORCHRUN, RECIPES / "train.py", root / "model", root / "checkpoint")
    return skrec.load(root / "model")


def assert_same_model(folder, trained):
    rec = skrec.load(folder)
    np.testing.assert_array_equal(rec.item_vectors(), trained.item_vectors())
    assert rec.validation_scores_ == trained.validation_scores_


def test_torchrun(trained):
    assert trained.best_score_ in trained.validation_scores_  # and not that before training


# The two machines are network namespaces, which vanish with the last of their processes.
TWO_MACHINES = """
set -eu
ip link set lo up
unshare --net sleep 600 & other=$!
trap "kill $other" EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
there() { nsenter --target $other --net "$@"; }
ip link add left type veth peer name right netns $other
ip address add 10.0.0.1/24 dev left
there ip address add 10.0.0.2/24 dev right
ip link set left up
there ip link set right up
there ip link set lo up
[ $# = 0 ] && exit
launch="$1 -m torch.distributed.run --nnodes 2 --nproc-per-node 1"
launch="$launch --master-addr 10.0.0.1 --master-port 29500"
GLOO_SOCKET_IFNAME=left $launch --node-rank 0 "${@:2}" & first=$!
GLOO_SOCKET_IFNAME=right there $launch --node-rank 1 "${@:2}" & second=$!
wait $first
wait $second
"""
NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "bash", "-c", TWO_MACHINES, "bash"]


def can_have_two_machines():
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "bash"))):
        return False
    return subprocess.run(NAMESPACES, capture_output=True, check=False).returncode == 0


def test_torchrun_on_two_machines(trained, tmp_path):
    if not can_have_two_machines():
        pytest.skip("needs the right to make network namespaces, and the commands unshare and ip")
    run(*NAMESPACES, sys.executable, RECIPES / "train.py", tmp_path / "model", tmp_path / "ckpt")
    assert_same_model(tmp_path / "model", trained)


def test_accelerate_launch(trained, tmp_path):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]  # no warnings about defaults
    run(*launch, RECIPES / "train.py", tmp_path / "model", tmp_path / "checkpoint")
    assert_same_model(tmp_path / "model", trained)


def test_accelerate_launch_with_shards(news, tmp_path):
    save_tiny(tmp_path / "tiny", list(news.items.title))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_processes", "2"]
    launch += ["--use_fsdp", "--fsdp_version", "2"]
    model = tmp_path / "model"
    run(*launch, RECIPES / "train_language_model.py", tmp_path / "tiny", model)
    ids, scores = skrec.load(model).recommend(list(news.test.history[:5]), k=3)
    assert ids.shape == (5, 3)
    assert np.isfinite(scores).all()


START_RAY = """
import sys, ray
for n_left in (4, 3, 2, 1, 0):  # Ray gives up after 30 seconds, which is short on a busy machine
    try:
        started = ray.init(num_cpus=4, include_dashboard=False, object_store_memory=100_000_000)
        break
    except Exception:
        ray.shutdown()
        if not n_left:
            raise
print(started.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """Start Ray, and return the variables with which the recipes find it."""
    local = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    local |= {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", START_RAY],
        env=os.environ | local,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        address = process.stdout.readline().strip()
        assert address, "Ray has not started"
        yield local | {"RAY_ADDRESS": address}
        process.stdin.close()  # ends Ray


@RAY
def test_ray_train(trained, ray_address, tmp_path):
    recipe("train_ray.py", tmp_path / "model", **ray_address)
    assert_same_model(tmp_path / "model", trained)


# Searches


@pytest.fixture(scope="module")
def search(news):
    rec = ContentRecommender("mean_pooling", max_epochs=1, random_state=0)
    search = GridSearchCV(rec, {"width": [8, 16]}, cv=2)
    return search.fit(news.train, items=Items(news.items))


def assert_same_search(output, model, search):
    scores = json.loads(output.splitlines()[-1])
    np.testing.assert_allclose(scores, search.cv_results_["mean_test_score"], rtol=1e-6)
    best = skrec.load(model)
    assert best.width == search.best_params_["width"]


@DASK
def test_search_on_dask(search, tmp_path):
    output = recipe("search_dask.py", tmp_path / "model", tmp_path / "memory")
    assert_same_search(output, tmp_path / "model", search)


@RAY
def test_search_on_ray(search, ray_address, tmp_path):
    output = recipe("search_ray.py", tmp_path / "model", tmp_path / "memory", **ray_address)
    assert_same_search(output, tmp_path / "model", search)


@RAY
def test_ray_tune_stops_fits_that_fall_behind(ray_address, tmp_path):
    output = recipe("tune_ray.py", tmp_path / "results", tmp_path / "memory", **ray_address)
    best, *n_epochs = json.loads(output.splitlines()[-1])
    assert best in (1e-2, 3e-3) and len(n_epochs) == 4
    assert max(n_epochs) == 4 and min(n_epochs) < 4


# Lists


def assert_same_lists(lists, rec, users):
    """Compare the lists in a folder of parquet files with those of one process."""
    found = pd.concat([pd.read_parquet(path) for path in sorted(Path(lists).glob("*.parquet"))])
    found = found.sort_values("user_id", ignore_index=True)
    assert found["user_id"].tolist() == users["user_id"].tolist()
    ids, scores = rec.recommend(users["history"], k=5)
    np.testing.assert_array_equal(np.stack(found["ids"]), ids)
    np.testing.assert_allclose(np.stack(found["scores"]), scores, rtol=1e-4, atol=1e-5)


@RAY
def test_lists_by_ray(folder, histories, rec, users, ray_address, tmp_path):
    recipe("score_ray.py", folder, histories, tmp_path / "lists", **ray_address)
    assert_same_lists(tmp_path / "lists", rec, users)


@DASK
def test_lists_by_dask(folder, histories, rec, users, tmp_path):
    recipe("score_dask.py", folder, histories, tmp_path / "lists")
    assert_same_lists(tmp_path / "lists", rec, users)


@SPARK
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_lists_by_spark(folder, histories, rec, users, tmp_path):
    recipe("score_spark.py", folder, histories, tmp_path / "lists", SPARK_LOCAL_IP="127.0.0.1")
    assert_same_lists(tmp_path / "lists", rec, users)


@FAISS
def test_index(folder, histories):
    share = float(recipe("index_faiss.py", folder, histories).split()[0])
    assert share > 0.95
