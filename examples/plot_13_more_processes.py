"""
=====================
More than one process
=====================

A search shares its candidates among processes, and several processes train one model together. Both
give the answers of one process.
"""

# %%
# A search in two processes
# -------------------------
# ``n_jobs=2`` starts two workers. ``Items(df, memory=folder)`` writes the catalogue to a file once:
# the workers receive its path and a hash, and read the items from the file. The parameter
# ``memory`` of recommenders does the same for the states of language models.
import tempfile
from pathlib import Path

from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec.datasets import make_headlines

folder = Path(tempfile.mkdtemp())  # usually a permanent folder, such as "~/.cache/skrec"
news = make_headlines(n_users=200, n_items=300, n_impressions=400, random_state=0)
items = Items(news.items, memory=folder)
grid = {
    "content": [content.MeanPooling(), content.CNN()],
    "behavior": [behavior.MeanPooling(), behavior.AdditiveAttention()],
}
searches = {}
for n_jobs in (1, 2):
    rec = ContentRecommender(predictor=predictor.Dot(), width=16, max_epochs=3, random_state=0)
    searches[n_jobs] = GridSearchCV(rec, grid, cv=2, n_jobs=n_jobs, refit=False)
    searches[n_jobs].fit(news.train, items=items)
one, two = (search.cv_results_["mean_test_score"] for search in searches.values())
print("GAUC in one process: ", *one.round(4))
print("GAUC in two processes:", *two.round(4))
print(f"largest difference: {abs(one - two).max():.1e}")

# %%
# Two processes train one model
# -----------------------------
# Start a script with ``torchrun --nproc-per-node 2 train.py``, and two processes train its model.
# Every process reads all rows, and skrec takes the share of each. At the end, all processes have
# the same model, and one of them saves it.
script = """
from torch import distributed

from skrec import ContentRecommender
from skrec.datasets import make_headlines

news = make_headlines(n_users=200, n_items=300, n_impressions=400, random_state=0)
rec = ContentRecommender("mean_pooling", "additive_attention", "dot", batch_size=32)
rec.set_params(max_epochs=6, random_state=0, device="cpu")
rec.fit(news.train, news.items)
if distributed.get_rank() == 0:
    rec.save("model")
"""
_ = (folder / "train.py").write_text(script, encoding="utf-8")

# %%
# The module ``torch.distributed.run`` is the same as ``torchrun``.
import subprocess
import sys

import skrec

torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
subprocess.run([*torchrun, "train.py"], cwd=folder, check=True, capture_output=True)
by_two = skrec.load(folder / "model")

# %%
# Two processes with ``batch_size=32`` take the same steps as one with ``batch_size=64``, which this
# process trains.
by_one = ContentRecommender("mean_pooling", "additive_attention", "dot", batch_size=64)
by_one.set_params(max_epochs=6, random_state=0, device="cpu")
by_one.fit(news.train, news.items)
trained = {"one process": by_one, "two processes": by_two}
for name, rec in trained.items():
    print(f"{name}: GAUC {rec.score(news.test):.6f}")

# %%
# The answers are equal
# ---------------------
# The processes add up their gradients, so that sums are rounded in another order. Nothing else
# differs, because this model has no dropout.
import numpy as np

first, second = (np.concatenate(rec.decision_function(news.test)) for rec in trained.values())
print(f"largest difference: {np.abs(first - second).max():.1e}")

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained")
left.axline((one.min(), one.min()), slope=1, color="0.7", linestyle=":")
left.plot(one, two, "o")
left.set(title="Search: four candidates", xlabel="GAUC, one process", ylabel="GAUC, two processes")
for (name, rec), style in zip(trained.items(), ("-", "o"), strict=True):
    right.plot(range(1, len(rec.loss_curve_) + 1), rec.loss_curve_, style, label=name)
right.set(title="Training: loss", xlabel="epoch", xticks=range(1, len(by_one.loss_curve_) + 1))
right.legend()
plt.show()

# %%
# When it is faster
# -----------------
# Starting a process takes a few seconds, so that these small fits gain nothing. A search gains
# most, because its fits do not wait for each other. Several processes for one model pay off with
# several GPUs or machines. The guide says :doc:`what processes exchange </guide/processes>` and has
# :doc:`scripts for several machines </guide/more_than_one_machine>`.
