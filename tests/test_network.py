import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from _covering import covering, each_twice
from skrec import Items, behavior, content, predictor
from skrec._data.packed import Ragged
from skrec._network import Network
from skrec._training.batches import collate
from skrec._training.example_batch import ExampleBatch
from skrec._training.losses import LOSSES, batch_loss
from skrec.content._additive_attention import AttentionOverTokens
from skrec.content._columns.network import ColumnEmbeddings
from skrec.content._tokens import tokens_of
from skrec.content._topic_aware import VectorsWithTopic
from skrec.content._with_id import ContentAndID
from skrec.nn import micro_batches

WIDTH = 8
MAX_HISTORY = 4
EXACT = {"rtol": 0, "atol": 1e-10}

# Rows of one batch: a history that two rows share, an empty one, one that is cut, and candidates
# that were clicked before, stand in two rows, or are missing; the first is the click.
HISTORIES = [[3, 1, 3], [], [5, 2, 0, 1, 4], [2]]
ROWS = [(0, [0, 4, 2]), (1, [2, 1, 5]), (2, [6, 2]), (0, [5]), (3, [4, 0, 6])]
# sampled items that rows share, and which row has which; one is nobody's
POOL = [3, 5, 0, 1]
SAMPLED = {1: [3], 2: [3, 0], 3: [0, 1]}


@pytest.fixture(scope="module")
def items():
    return Items(
        pd.DataFrame(
            {
                "item_id": range(7),
                "title": ["a", "b c", "", "a b c d e f g", "c a", "d", "f f f"],
                "topic": pd.Categorical(["x", "y", None, "x", "y", "z", "z"]),
                "tags": [["u"], [], ["u", "v", "w"], ["w"], [], ["v"], ["u", "v"]],
                "vector": [[i - 3.0, 1.0, i % 2] for i in range(7)],
            }
        )
    )


def without_dropout(operator):
    if "dropout" in operator.get_params():
        operator.set_params(dropout=0.0)
    return operator


def make_network(items, names=("cnn", "additive_attention", "dot")):
    """A network in float64 and training mode, without dropout, and the prepared items."""
    families = (content.ALIASES, behavior.ALIASES, predictor.ALIASES)
    c, b, p = (
        without_dropout(family[name]()) for family, name in zip(families, names, strict=True)
    )
    c.fit(items)
    torch.manual_seed(0)
    modules = c.build(c.schema_, WIDTH), b.build(WIDTH), p.build(WIDTH)
    return (
        Network(*modules, WIDTH, b).double(),
        c.prepare(items),
    )


def make_batch(rows=ROWS):
    offsets = np.cumsum([0, *map(len, HISTORIES)])
    history = np.array([row for row, _ in rows])
    size = max(len(candidates) for _, candidates in rows)
    mask = np.array([[c < len(candidates) for c in range(size)] for _, candidates in rows])
    codes = np.zeros(mask.shape, dtype=np.int64)
    codes[mask] = [code for _, candidates in rows for code in candidates]
    labels = np.zeros(mask.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    spans = offsets[history], offsets[history + 1]
    sampled = np.zeros((len(rows), len(POOL)), dtype=bool)
    for row, codes_of_row in SAMPLED.items():
        if row < len(rows):
            sampled[row, [POOL.index(code) for code in codes_of_row]] = True
    user = np.zeros((len(rows), 2), dtype=np.int64)
    drawn = ExampleBatch(*spans, codes, mask, labels, sampled, np.ones(len(rows)), user)
    history_codes = np.concatenate(HISTORIES).astype(np.int32)
    return collate(drawn, np.array(POOL), history_codes, MAX_HISTORY)


# The obvious twin: every slot of the padded grid is encoded by itself, padding too


def padded_item(packed, code):
    """One item's columns, texts padded to the longest of the data; None is a slot of padding."""
    columns = {}
    for name, column in packed.columns.items():
        if isinstance(column, Ragged):
            longest = max(1, int(column.offsets.diff().max()))
            start, stop = (0, 0) if code is None else column.offsets[code : code + 2].tolist()
            ids = column.values[start:stop].tolist()
            values = torch.tensor([ids + [0] * (longest - len(ids))])
            columns[name] = values, torch.tensor([[i < len(ids) for i in range(longest)]])
        else:
            columns[name] = column.values[0 if code is None else code][None], torch.tensor([[True]])
    return columns


def padded_vectors(module, columns):
    """Item vectors (U, D), with every place of the padded texts embedded and encoded."""
    if isinstance(module, ContentAndID | VectorsWithTopic):
        own = {"id", "topic"}
        inner = {n.removeprefix("content."): c for n, c in columns.items() if n not in own}
        vectors = padded_vectors(module.content, inner)
        if isinstance(module, VectorsWithTopic):
            return vectors
        return vectors + module.table(columns["id"][0][:, 0])
    if not isinstance(module, ColumnEmbeddings):
        return module(columns)
    embedded = padded_columns(module, columns)
    masks = [columns[column.name][1] for column in module.schema]
    if isinstance(module, AttentionOverTokens):
        return module.attention(torch.cat(embedded, dim=1), torch.cat(masks, dim=1))
    vectors = [
        encoder(x, mask) if column.role in ("text", "multi-category") else x[:, 0]
        for column, encoder, x, mask in zip(
            module.schema, module.encoders, embedded, masks, strict=True
        )
    ]
    if module.fusion is None:
        return vectors[0]
    present = [mask.any(dim=1) for mask in masks]
    return module.fusion(torch.stack(vectors, dim=1), torch.stack(present, dim=1))


def padded_columns(module, columns):
    """The embeddings (U, L, D) of each column, padding too."""
    embedded = []
    for column, key in zip(module.schema, module.keys, strict=True):
        values, embed = columns[column.name][0], module.embeddings[key]
        if column.role in ("number", "vector"):
            embedded.append(embed(values.to(embed.weight.dtype)).unsqueeze(1))
        else:
            embedded.append(embed(values))
    return embedded


def item_tokens(network, packed, code):
    """The tokens (T, D) of one item, computed alone; its vector if it has none."""
    vectors, x, mask = tokens_of(network.content, packed.take(torch.tensor([code])))
    return x[0, mask[0]] if mask.any() else vectors


def padded_tokens(tokens):
    """The tokens of clicks as (1, MAX_HISTORY, T, D), and their mask."""
    size = 1 + max(map(len, tokens))  # one place more than any needs
    x = torch.zeros(1, MAX_HISTORY, size, WIDTH, dtype=torch.float64)
    mask = torch.zeros(1, MAX_HISTORY, size, dtype=torch.bool)
    for place, token in enumerate(tokens):
        x[0, place, : len(token)] = token
        mask[0, place, : len(token)] = True
    return x, mask


def slow_scores(network, packed, history, candidates):
    """Scores (C,) of one row."""
    history = history[-MAX_HISTORY:]
    slots = history + [None] * (MAX_HISTORY - len(history))
    clicks = [padded_vectors(network.content, padded_item(packed, code))[0] for code in slots]
    mask = [code is not None for code in slots]
    if not history:
        clicks[0], mask[0] = network.empty_history, True
    clicks, mask = torch.stack(clicks)[None], torch.tensor([mask])
    if network.reads_tokens:
        tokens = [item_tokens(network, packed, code) for code in history]
        clicks, mask = padded_tokens(tokens or [network.empty_history[None]])
    shown = [padded_vectors(network.content, padded_item(packed, code))[0] for code in candidates]
    item = torch.stack(shown)[None]
    user = [torch.tensor([0])] if network.reads_users else []  # an unknown one
    if network.candidate_aware:
        users = network.behavior(clicks, mask, item, *user)
    else:
        users = network.behavior(clicks, mask, *user).unsqueeze(1)
    if network.late_fusion:
        one = torch.ones(1, 1, dtype=torch.bool)
        real = [k for k in range(len(slots)) if mask[0, k]]
        each = [network.predictor(users[:, :, k : k + 1], one, item)[0] for k in real]
        return sum(each) / len(each)
    real = torch.ones(1, users.shape[2], dtype=torch.bool)
    return network.predictor(users, real, item)[0]


def slow_loss(network, packed, loss):
    scores = [
        slow_scores(network, packed, HISTORIES[history], codes + SAMPLED.get(row, []))
        for row, (history, codes) in enumerate(ROWS)
    ]
    if loss == "softmax":
        return sum(-(s[0] - s.exp().sum().log()) for s in scores) / len(ROWS)
    if loss == "bpr":
        terms = [-torch.sigmoid(row[:1] - row[1:]).log() for row in scores]
    else:
        terms = [-torch.sigmoid(torch.cat([row[:1], -row[1:]])).log() for row in scores]
    return sum(row.mean() for row in terms if len(row)) / len(ROWS)


# benchmarks/combinations.py goes over all; here any two operators meet at least once, or each
# operator meets some of the others
FAMILIES = (content.ALIASES, behavior.ALIASES, predictor.ALIASES)
PAIRS = ["-".join(names) for names in covering(*map(list, FAMILIES))]
FEW = ["-".join(names) for names in each_twice(*map(list, FAMILIES))]


LOSS_OF_PAIRS = [
    (names, list(LOSSES)[(row + row // 3) % len(LOSSES)]) for row, names in enumerate(PAIRS)
]


@pytest.mark.parametrize(("names", "loss"), LOSS_OF_PAIRS)
def test_distinct_items_without_padding_equal_the_padded_grid(items, names, loss):
    # what saves the time must change neither the loss nor any gradient
    network, packed = make_network(items, names.split("-"))
    # a penalty of item vectors is not part of the loss here
    weights = {n: w for n, w in network.named_parameters() if "classify" not in n}
    slow = slow_loss(network, packed, loss)
    wanted = torch.autograd.grad(slow, weights.values())
    batch = make_batch()
    fast = batch_loss(loss, network, network.outputs(batch, packed, token_budget=12), batch)
    torch.testing.assert_close(fast, slow, **EXACT)
    found = torch.autograd.grad(fast, weights.values())
    for name, a, b in zip(weights, found, wanted, strict=True):
        torch.testing.assert_close(a, b, **EXACT, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("names", PAIRS)
def test_every_weight_is_trained(items, names):
    network, packed = make_network(items, names.split("-"))
    batch = make_batch()
    # the softmax loss does not depend on a constant that is added to all scores, as a last bias is
    outputs = network.outputs(batch, packed, 1000)
    (batch_loss("bce", network, outputs, batch) + outputs.penalty).backward()
    idle = [name for name, weight in network.named_parameters() if not weight.grad.any()]
    if names.endswith("miner") and "poly" not in names:
        idle.remove("predictor.target.weight")  # a softmax over one interest is 1
    assert not idle


@pytest.mark.parametrize("names", FEW)
def test_batch_of_new_users_only(items, names):
    network, packed = make_network(items, names.split("-"))
    batch = make_batch([(1, [2, 1]), (1, [0, 3])])
    loss = batch_loss("softmax", network, network.outputs(batch, packed, 1000), batch)
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_each_distinct_item_is_encoded_once(items):
    network, packed = make_network(items)
    seen = []
    network.content.register_forward_hook(lambda module, args, vectors: seen.append(len(vectors)))
    batch = make_batch()
    assert sorted(batch.items.tolist()) == list(range(7))
    network(batch, packed, token_budget=12)
    assert sum(seen) == 7
    assert len(seen) > 1  # so that the twin above has met micro-batches


def test_histories_that_rows_share_are_read_once():
    batch = make_batch()
    assert len(batch.history) == 4
    assert batch.history_of_row[0] == batch.history_of_row[3]


def test_cut_history_keeps_the_latest_clicks():
    batch = make_batch([(2, [6, 2])])
    assert batch.items[batch.history[0]].tolist() == HISTORIES[2][-MAX_HISTORY:]


# Micro-batches


@pytest.mark.parametrize("token_budget", [1, 10, 64, 10**9])
def test_micro_batches_cover_all_and_keep_the_budget(token_budget):
    lengths = np.sort(np.random.default_rng(0).integers(0, 30, size=200))
    parts = list(micro_batches(lengths, token_budget))
    covered = np.concatenate([np.arange(200)[part] for part in parts])
    assert covered.tolist() == list(range(200))
    for part in parts:
        size = part.stop - part.start
        # one item that is too long for the budget comes alone
        assert size == 1 or size * lengths[part].max() <= token_budget


def test_micro_batches_are_no_smaller_than_need_be():
    assert list(micro_batches(np.array([2, 2, 2, 5]), 6)) == [slice(0, 3), slice(3, 4)]
    assert list(micro_batches(np.array([50]), 6)) == [slice(0, 1)]
    assert list(micro_batches(np.zeros(5, dtype=int), 5)) == [slice(0, 5)]
    assert list(micro_batches(np.array([], dtype=int), 5)) == []


@pytest.mark.parametrize("name", content.ALIASES)
@pytest.mark.parametrize("token_budget", [1, 9])
def test_encoding_in_micro_batches_equals_encoding_at_once(items, name, token_budget):
    network, packed = make_network(items, (name, "mean_pooling", "dot"))
    codes = torch.tensor([3, 0, 6, 6, 2, 1])
    found = network.encode(packed, codes, token_budget)
    torch.testing.assert_close(found, network.content(packed.take(codes)), **EXACT)


# Several vectors a user


@pytest.mark.parametrize("name", predictor.ALIASES)
@pytest.mark.parametrize("block", [1, 3, 100])
def test_match_all_equals_pair_by_pair(items, name, block):
    network, _ = make_network(items, ("id", "mean_pooling", name))
    vectors = torch.randn(7, WIDTH, dtype=torch.float64)
    for n_vectors in (1, 3):
        users = torch.randn(5, n_vectors, WIDTH, dtype=torch.float64)
        found = network.match_all(users, vectors, block)
        for h, n in itertools.product(range(5), range(7)):
            wanted = network.match(users[h][None, None], vectors[n][None, None])[0, 0]
            torch.testing.assert_close(found[h, n], wanted, **EXACT)


def test_gradients_are_the_same_each_time_on_two_threads():
    """Rows of one history sum their gradients; threads must not do so in any order."""
    torch.set_num_threads(2)
    try:
        network = Network(
            torch.nn.Identity(),
            behavior.MeanPooling().build(width=64),
            predictor.Dot().build(64),
            64,
        )
        generator = torch.Generator().manual_seed(0)
        clicks = torch.randn(20, 4, 64, generator=generator, requires_grad=True)
        rows = torch.randint(0, 20, (4000,), generator=generator)
        item = torch.randn(4000, 2, 64, generator=generator)
        mask = torch.ones(20, 4, dtype=torch.bool)
        found = set()
        for _ in range(10):
            loss = network.score(clicks, mask, rows, item).pow(2).sum()
            found.add(torch.autograd.grad(loss, clicks)[0].numpy().tobytes())
    finally:
        torch.set_num_threads(1)
    assert len(found) == 1
