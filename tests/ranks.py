"""Processes that train one network together, forked from one process to save their imports.

``python ranks.py NAME...`` runs functions of this module in two processes each, and prints as JSON
what each process returned. A process that raises answers with its error, one that is killed with
None, and one that does not end in time with "hung".
"""

import faulthandler
import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from torch import distributed

from skrec import ContentRecommender, behavior, content, predictor
from skrec._training.processes import Processes
from skrec._training.shared_scorer import SharedScorer
from skrec._training.trainer import Stepper
from skrec.datasets import make_headlines
from skrec.nn import _table, sparse_tables

LIMIT = float(os.environ.get("RANKS_LIMIT", 120))  # seconds for one function
N_PROCESSES = {"three": 3, "continued_by_three": 3}


def news():
    return make_headlines(n_users=30, n_items=80, n_impressions=100, random_state=0)


def recommender(**parameters):
    """Return a small recommender without dropout, whose training one process can repeat."""
    defaults = {
        "content": "mean_pooling",
        "behavior": behavior.AdditiveAttention(),
        "width": 8,
        "max_epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.02,
        "device": "cpu",
        "precision": "float64",
        "random_state": 0,
    }
    return ContentRecommender(**defaults | parameters)


def weights(rec):
    state = rec.network_.trained_state().values()
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in state)).hexdigest()[:8]


def course(rec):
    """Return what must be equal in all processes."""
    prior = rec.prior_ and [rec.prior_.weights, rec.prior_.decay]
    chosen = {name: repr(value) for name, value in rec.chosen_.items()}
    scores = rec.validation_scores_
    return [weights(rec), rec.loss_curve_, scores, rec.best_score_, rec.calibration_, prior, chosen]


class Callback:
    """Calls a function at the ends, or at the beginnings, of the epochs of one process."""

    def __init__(self, call, at="end"):
        self.call, self.at, self.n_epochs = call, at, 0

    def setup(self, **k): ...
    def teardown(self, **k): ...

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            self.n_epochs += 1
            if self.at == "begin":
                self.call(self.n_epochs)

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and self.at == "end" and self.call(self.n_epochs)


def fit_with(call, at="end", **parameters):
    data = news()
    rec = recommender(**parameters).set_callbacks(Callback(call, at))
    return rec.fit(data.train, data.items)


# what the processes do


def impressions(rank):
    """Equal in all processes, and equal to one process with twice the batch size."""
    data = news()
    rec = recommender().fit(data.train, data.items)
    alone = recommender(batch_size=32, processes=None).fit(data.train, data.items)
    first = course(rec), course(alone)
    rec.partial_fit(data.train), alone.partial_fit(data.train)
    return *first, course(rec), course(alone)


def histories(rank):
    """The same for bare histories, whose popularity and co-clicks are learned too."""
    data = news()
    X = list(data.train.history)
    rec = recommender(history_targets=0, n_negatives=8).fit(X, data.items)
    alone = recommender(history_targets=0, n_negatives=8, batch_size=32, processes=None)
    return course(rec), course(alone.fit(X, data.items))


def tables(rank):
    """The same with large tables, whose gradients are exchanged as rows."""
    _table.LARGE_TABLE = 0
    data = news()
    parameters = {"content": content.WithID("mean_pooling", dropout=0.0)}
    parameters["behavior"] = behavior.GRU(user_embedding="ini", user_dropout=0.0)
    rec = recommender(**parameters).fit(data.train, data.items)
    assert len(sparse_tables(rec.network_)) == 2
    alone = recommender(batch_size=32, processes=None, **parameters)
    return course(rec), course(alone.fit(data.train, data.items))


def three(rank):
    """Rows and steps that three processes cannot share out evenly, and accumulated gradients."""
    data = news()
    found = []
    for size, n in ((7, 1), (2, 1), (4, 3)):
        rec = recommender(batch_size=size, gradient_accumulation_steps=n, max_epochs=2)
        rec.fit(data.train.head(31), data.items)
        alone = recommender(
            batch_size=3 * size, gradient_accumulation_steps=n, max_epochs=2, processes=None
        )
        found.append([course(rec), course(alone.fit(data.train.head(31), data.items))])
    return found


def dropout(rank):
    """Processes drop differently, and yet have the same weights."""
    data = news()
    rec = recommender(behavior=behavior.MovingAverages(dropout=0.5), precision="auto")
    return course(rec.fit(data.train, data.items))


def shards(rank):
    data = news()
    recommender().fit(data.train.iloc[rank::2], data.items)


def other_parameters(rank):
    data = news()
    recommender(learning_rate=[0.01, 0.02][rank], random_state=rank, verbose=rank).fit(
        data.train, data.items
    )


def other_operators(rank):
    data = news()
    recommender(behavior=behavior.GRU(dropout=0.1 * rank)).fit(data.train, data.items)


def other_catalogue(rank):
    data = news()
    items = data.items.copy()
    if rank:
        items.loc[3, "title"] = "another headline"
    recommender().fit(data.train, items)


def other_rounding(rank):
    """A transformer without a seed prepares the items differently."""
    data = news()
    np.random.seed(rank)  # noqa: NPY002 - the transformer uses it
    svd = TruncatedSVD(4, n_iter=1, random_state=None)
    features = content.Features(make_pipeline(TfidfVectorizer(), svd))
    recommender(content=features).fit(data.train, data.items)


def other_model(rank):
    data = news()
    rec = recommender(max_epochs=1)
    if rank:
        rec.set_params(processes=None).fit(data.train, data.items).set_params(processes="auto")
    rec.partial_fit(data.train, data.items)


def other_seeds(rank):
    """Process 0 chooses the seed."""
    data = news()
    return course(recommender(random_state=rank or None).fit(data.train, data.items))


def other_calls(rank):
    data = news()
    rec = recommender()
    (rec.partial_fit if rank else rec.fit)(data.train, data.items)


def stop(rank):
    rec = fit_with(lambda epoch: rank == 1 and epoch == 2, max_epochs=5)
    return rec.n_epochs_, *course(rec)


def fail(rank, epoch, which=1, kind=ValueError):
    if rank == which and epoch == 2:
        raise kind("this callback has failed")


def failing_end(rank):
    fit_with(partial(fail, rank))


def failing_begin(rank):
    fit_with(partial(fail, rank, which=0), at="begin")


class Unpicklable(ValueError):
    def __init__(self, *text):
        super().__init__("".join(text), lambda: None)


def failing_unpicklable(rank):
    fit_with(partial(fail, rank, kind=Unpicklable))


def exiting(rank):
    """The processes that did not fail end with the same exit."""
    try:
        fit_with(partial(fail, rank, kind=SystemExit))
    except SystemExit as error:
        return str(error)


def failing_step(rank, last=False):
    n_calls, add = [], Stepper.add

    def failing(self, *args):
        n_calls.append(1)
        if rank == 0 and len(n_calls) == (3 if last else 2):
            raise ValueError("this step has failed")
        return add(self, *args)

    Stepper.add = failing
    data = news()
    recommender().fit(data.train, data.items)


def failing_last_step(rank):
    failing_step(rank, last=True)


def failing_update(rank):
    """An optimizer fails after the gradients have been added up."""
    flush, n_calls = Stepper.flush, []

    def failing(self):
        if self._n_waiting:
            n_calls.append(1)
        flush(self)
        if rank == 1 and len(n_calls) in (2, 3):
            raise ValueError("this update has failed")

    Stepper.flush = failing
    data = news()
    recommender().fit(data.train, data.items)


def failing_validation(rank):
    n_calls, score = [], SharedScorer._own_rows

    def failing(self, n_rows):
        n_calls.append(1)
        if rank == 1 and len(n_calls) == 2:
            raise MemoryError("no memory for the scores")
        return score(self, n_rows)

    SharedScorer._own_rows = failing
    data = news()
    recommender().fit(data.train, data.items)


def unknown_item(rank):
    data = news()
    X = data.train.copy()
    if rank:
        X.at[0, "history"] = ["no such item"]
    recommender().fit(X, data.items)


def invalid_parameter(rank):
    data = news()
    recommender(width=8 - 9 * rank).fit(data.train, data.items)


def again(rank):
    """After an error, the next fit works."""
    try:
        failing_end(rank)
    except ValueError:
        return impressions(rank)[0]


def interrupted_callback(rank):
    def call(epoch):
        if rank == 0 and epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rec = fit_with(call, max_epochs=5)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return [str(w.message) for w in caught if "interrupted" in str(w.message)], course(rec)


def interrupted_anywhere(rank):
    """Ctrl-C comes at many points of training, in one process or in both."""
    data, found = news(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.monotonic()
        recommender(max_epochs=4).fit(data.train, data.items)
        seconds = time.monotonic() - started
        for number in range(10):
            delay = seconds * (number + 1) / 10
            own = rank == number % 2 or number % 3 == 0
            timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
            rec = recommender(max_epochs=4, random_state=number)
            try:
                if own:
                    timer.start()
                try:
                    rec.fit(data.train, data.items)
                finally:
                    timer.join() if own else None
                found.append(course(rec))
            except KeyboardInterrupt:
                found.append(course(rec) if hasattr(rec, "network_") else "not fitted")
    return found


def killed(rank):
    last = []

    def call(epoch):
        last.append(time.monotonic())
        if rank == 1 and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        fit_with(call)
    except RuntimeError as error:
        return str(error), time.monotonic() - last[-1]


def forked_worker(rank):
    """A forked child of a process inherits its group, but trains alone."""
    distributed.barrier()
    data = news()
    pid = os.fork()
    if not pid:
        own = recommender(max_epochs=1, random_state=rank).fit(data.train, data.items)
        os._exit(0 if own.n_epochs_ == 1 else 1)
    return os.waitpid(pid, 0)[1]


def two_threads(rank):
    """Fits in threads do not mix their messages; here, they come in the same order."""
    data, found = news(), [None, None]

    def fit(number):
        rec = recommender(random_state=5, max_epochs=2)
        found[number] = course(rec.fit(data.train, data.items))

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def counts(rank):
    """Numbers of messages and steps."""
    seen = {"all_reduce": 0, "all_gather_object": 0, "broadcast": 0}

    def count(name):
        call = getattr(distributed, name)

        def counted(*args, **keywords):
            seen[name] += 1
            return call(*args, **keywords)

        setattr(distributed, name, counted)

    for name in seen:
        count(name)
    data = news()
    rec = recommender(max_epochs=4).fit(data.train, data.items)
    parameters = sum(p.requires_grad for p in rec.network_.parameters())
    return seen, rec.network_.n_steps, rec.n_epochs_, parameters


def running_means(rank):
    average, seen = Processes.average_buffers, []

    def buffers(modules):
        found = [b for module in modules for b in module.buffers()]
        return [b.tolist() for b in found if b.is_floating_point()]

    def noted(self, *modules):
        own = buffers(modules)
        average(self, *modules)
        seen.append([own, buffers(modules)])

    Processes.average_buffers = noted
    data = news()
    mlp = predictor.MLP(activation="dice")
    rec = recommender(behavior=behavior.TargetAttention(), predictor=mlp, max_epochs=2)
    rec.fit(data.train, data.items)
    rec.partial_fit(data.train)
    return seen, course(rec)


def _run_rank(function, rank, n, folder):
    """Run a function as one process of a group, and write what it returns."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(0.9 * LIMIT)  # says where a process hangs
    try:
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=n
        )
        answer = function(rank)
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"
    (folder / f"{rank}.new").write_text(json.dumps(answer))
    (folder / f"{rank}.new").rename(folder / f"{rank}.json")
    while "Error" not in str(answer) and not (folder / "ended").exists():
        time.sleep(0.01)  # a process that ends would disturb the others


def run_together(function, n=2):
    """Fork n processes that run a function together, and return their answers."""
    with tempfile.TemporaryDirectory() as name:
        folder, pids = Path(name), []
        for rank in range(n):
            pid = os.fork()
            if not pid:
                try:
                    _run_rank(function, rank, n, folder)
                finally:
                    os._exit(0)
            pids.append(pid)
        end, left, answers = time.monotonic() + LIMIT, set(range(n)), ["hung"] * n
        while left and time.monotonic() < end:
            time.sleep(0.01)
            for rank in sorted(left):
                ended = os.waitpid(pids[rank], os.WNOHANG)[0] if pids[rank] else 0
                if ended:
                    pids[rank] = 0
                if (folder / f"{rank}.json").exists():
                    answers[rank] = json.loads((folder / f"{rank}.json").read_text())
                    left.discard(rank)
                elif not pids[rank]:
                    answers[rank] = None
                    left.discard(rank)
        (folder / "ended").touch()
        for rank, pid in enumerate(pids):
            if pid and rank in left:
                os.kill(pid, signal.SIGKILL)
            if pid:
                os.waitpid(pid, 0)
    return answers


def main(functions):
    """Run the functions that the command line names."""
    torch.set_num_threads(1)
    for asked in sys.argv[1:]:
        answers = run_together(functions[asked], N_PROCESSES.get(asked, 2))
        print(json.dumps([asked, answers]), flush=True)


if __name__ == "__main__":
    main(globals())
