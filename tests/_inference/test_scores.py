import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from _covering import each_twice
from skrec import behavior, predictor
from skrec._data.coded import CodedInteractions
from skrec._inference import scores as inference
from skrec._inference.top_k import clicks_of, rank_last_click, top_k
from skrec._network import Network
from skrec.metrics import compute, compute_ranked
from skrec.nn import join_tokens

WIDTH = 8
MAX_HISTORY = 3
N_ITEMS = 9
EXACT = {"rtol": 0, "atol": 1e-10}

# distinct histories; rows have them in another order, some twice; one row has no candidates
HISTORIES = [[0, 4], [], [5, 1, 7, 2, 2], [8]]
HISTORY_OF_ROW = [2, 0, 1, 3, 0, 1]
CANDIDATES = [[3, 5, 8], [1], [0, 2, 6, 7], [], [4, 0, 3], [8, 8]]


class CandidateAttention(behavior.BehaviorOperator):
    """A custom operator, in which each candidate attends to the clicks by dot product."""

    candidate_aware = True

    def build(self, width):
        return AttentionOfCandidates()


class AttentionOfCandidates(nn.Module):
    def forward(self, x, mask, candidates):
        scores = candidates @ x.transpose(1, 2)  # (B, C, L)
        weights = scores.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(dim=-1)
        return (weights @ x).unsqueeze(2)  # (B, C, 1, D)


class FirstAndLast(behavior.BehaviorOperator):
    """A custom operator with two vectors per user."""

    def build(self, width):
        return FirstAndLastClick()


class FirstAndLastClick(nn.Module):
    def forward(self, x, mask):
        last = mask.sum(dim=1) - 1
        return torch.stack([x[:, 0], x[torch.arange(len(x)), last]], dim=1)  # (B, 2, D)


class FirstAndLastForEach(behavior.BehaviorOperator):
    """A custom operator with two vectors per user and candidate."""

    candidate_aware = True

    def build(self, width):
        return FirstAndLastTimesCandidate()


class FirstAndLastTimesCandidate(FirstAndLastClick):
    def forward(self, x, mask, candidates):
        users = super().forward(x, mask)
        return candidates.unsqueeze(2) * users.unsqueeze(1)  # (B, C, 2, D)


class ClicksInContext(behavior.BehaviorOperator):
    """A custom late fusion, in which a click depends on the clicks before it."""

    late_fusion = True

    def build(self, width):
        return ClicksSoFar()


class ClicksSoFar(nn.Module):
    def forward(self, x, mask):
        return x.cumsum(dim=1)  # (B, L, D), with arbitrary padding


class ClicksForEach(behavior.BehaviorOperator):
    """A custom late fusion, in which a click depends on the candidate."""

    candidate_aware = late_fusion = True

    def build(self, width):
        return ClicksTimesCandidate()


class ClicksTimesCandidate(nn.Module):
    def forward(self, x, mask, candidates):
        return candidates.unsqueeze(2) + x.unsqueeze(1)  # (B, C, L, D)


THIRD_PARTY = [CandidateAttention, FirstAndLast, FirstAndLastForEach]
THIRD_PARTY += [ClicksInContext, ClicksForEach]
BEHAVIORS = [*behavior.ALIASES.values(), *THIRD_PARTY]


PREDICTORS = {
    **{alias: operator() for alias, operator in predictor.ALIASES.items()},
    "dot-bias": predictor.Dot(0.5, item_bias=True),
}


@pytest.fixture(params=sorted(PREDICTORS))
def predictor_operator(request):
    return PREDICTORS[request.param]


@pytest.fixture(
    params=each_twice(BEHAVIORS, sorted(PREDICTORS)),
    ids=lambda pair: f"{pair[0].__name__}-{pair[1]}",
)
def network(request):
    """A network for each behavior operator and some predictors, in float64."""
    operator, name = request.param
    return make_network(operator(), PREDICTORS[name])


def make_network(behavior_operator, predictor_operator):
    torch.manual_seed(0)
    network = Network(
        None,
        behavior_operator.build(WIDTH),
        predictor_operator.build(WIDTH),
        WIDTH,
        behavior_operator,
    )
    with torch.no_grad():
        for weight in network.predictor.parameters():
            if not weight.any():  # an item bias is initially zero, which would hide errors
                weight.normal_()
    return network.double().eval()


@pytest.fixture
def vectors():
    torch.manual_seed(1)
    return torch.randn(N_ITEMS, WIDTH, dtype=torch.float64)


@pytest.fixture
def rows(network, vectors):
    """Item rows: vectors, with up to three token vectors per item if the network reads tokens."""
    if not network.reads_tokens:
        return vectors
    torch.manual_seed(2)
    tokens = torch.randn(N_ITEMS, 3, WIDTH, dtype=torch.float64)
    n_tokens = torch.arange(N_ITEMS) % 4  # an item without tokens has one, its item vector
    return join_tokens(vectors, tokens, torch.arange(3) < n_tokens.unsqueeze(1))


def coded(candidates, kind="impressions"):
    return CodedInteractions(
        kind=kind,
        history_offsets=np.cumsum([0, *map(len, HISTORIES)]),
        history_codes=np.concatenate(HISTORIES).astype(np.int32),
        history_of_row=np.array(HISTORY_OF_ROW),
        candidate_offsets=np.cumsum([0, *map(len, candidates)]),
        candidate_codes=np.concatenate(candidates).astype(np.int32),
    )


@pytest.fixture
def data():
    return coded(CANDIDATES)


def history(row):
    return HISTORIES[HISTORY_OF_ROW[row]]


def slow_score(network, rows, row, code):
    """Return the score of one candidate of one row, from the definition."""
    latest = history(row)[-MAX_HISTORY:]
    clicks = rows[latest] if latest else network.empty_history.unsqueeze(0)
    if network.reads_tokens and not latest:  # the learned vector is its only token
        clicks = join_tokens(clicks, clicks.unsqueeze(1), torch.tensor([[True]]))
    mask = torch.ones(1, len(clicks), dtype=torch.bool)
    item = rows[code, :WIDTH][None, None]
    network.eval()
    with torch.no_grad():
        return float(network.score(clicks[None], mask, torch.tensor([0]), item))


def full_scores(network, vectors, data):
    blocks = inference.score_catalogue(network, vectors, data, MAX_HISTORY)
    return torch.cat([scores for _, scores in blocks])


@pytest.fixture(params=["whole", "blocks"])
def blocks(request, monkeypatch):
    """Blocks of the usual size, and blocks so small that all data is split."""
    if request.param == "blocks":
        monkeypatch.setattr(inference, "HISTORY_BLOCK", 2)
        monkeypatch.setattr(inference, "PAIR_BLOCK", 3)
        monkeypatch.setattr("skrec._inference.row_blocks.CELL_BLOCK", 2 * N_ITEMS)
        monkeypatch.setattr("skrec._inference.row_blocks.ROW_BLOCK", 1)
        monkeypatch.setattr("skrec._network.CLICK_CELLS", 20)


# Scores


def test_candidates_are_scored_as_one_at_a_time(network, rows, data, blocks):
    found = inference.score_candidates(network, rows, data, MAX_HISTORY)
    wanted = [
        slow_score(network, rows, row, code)
        for row, codes in enumerate(CANDIDATES)
        for code in codes
    ]
    assert found == pytest.approx(wanted, rel=0, abs=1e-10)


def test_catalogue_and_candidates_agree(network, rows, data, blocks):
    # otherwise, lists and probabilities would contradict each other
    everything = full_scores(network, rows, data)
    assert everything.shape == (len(CANDIDATES), N_ITEMS)
    all_items = coded([range(N_ITEMS)] * len(CANDIDATES))
    found = inference.score_candidates(network, rows, all_items, MAX_HISTORY)
    assert found.reshape(everything.shape) == pytest.approx(everything.numpy(), rel=0, abs=1e-10)


def test_catalogue_blocks_cover_the_rows_in_order(network, rows, data, blocks):
    parts = [part for part, _ in inference.score_catalogue(network, rows, data, MAX_HISTORY)]
    covered = np.concatenate([np.arange(len(CANDIDATES))[part] for part in parts])
    assert covered.tolist() == list(range(len(CANDIDATES)))


def test_rows_without_any_candidate(network, rows):
    nothing = coded([[]] * len(HISTORY_OF_ROW))
    assert inference.score_candidates(network, rows, nothing, MAX_HISTORY).shape == (0,)


def test_scores_keep_the_number_type(vectors, data):
    network = make_network(behavior.MeanPooling(), predictor.Dot())
    args = data, MAX_HISTORY
    assert inference.score_candidates(network, vectors, *args).dtype == np.float64
    assert inference.score_candidates(network.float(), vectors.float(), *args).dtype == np.float32


def test_inference_is_without_dropout(vectors, data):
    network = make_network(behavior.SelfAttention(2, dropout=0.5), predictor.MLP((4,), dropout=0.5))
    first = inference.score_candidates(network, vectors, data, MAX_HISTORY)
    again = inference.score_candidates(network, vectors, data, MAX_HISTORY)
    assert np.array_equal(first, again)


def test_a_network_in_training_mode_is_refused(vectors, data):
    # changing its mode here would change it for other threads, too
    network = make_network(behavior.MeanPooling(), predictor.Dot()).train()
    with pytest.raises(RuntimeError, match=r"training mode.*call rec\.network_\.eval\(\) first"):
        inference.score_candidates(network, vectors, data, MAX_HISTORY)


def test_stored_rows_are_left_alone(network, rows, data):
    before = rows.clone()
    inference.score_candidates(network, rows, data, MAX_HISTORY)
    blocks = inference.score_catalogue(network, rows, data, MAX_HISTORY)
    top_k(blocks, data.n_rows, 3, partial(clicks_of, data))
    assert torch.equal(rows, before)


# User vectors


def test_user_vectors_are_computed_once_a_history(vectors, data, blocks):
    network = make_network(behavior.MeanPooling(), predictor.Dot())
    users, user_of_row = inference.user_vectors(network, vectors, data, MAX_HISTORY)
    assert users.shape == (4, 1, WIDTH)
    for row in range(len(CANDIDATES)):
        latest = history(row)[-MAX_HISTORY:]
        wanted = vectors[latest].mean(dim=0) if latest else network.empty_history
        torch.testing.assert_close(users[user_of_row[row], 0], wanted.detach(), **EXACT)


def test_user_vectors_of_some_rows_leave_the_other_histories_out(vectors, data):
    network = make_network(behavior.MeanPooling(), predictor.Dot())
    users, user_of_row = inference.user_vectors(
        network, vectors, data.take(np.array([4, 1])), MAX_HISTORY
    )
    assert len(users) == 1
    assert user_of_row.tolist() == [0, 0]


# Custom candidate-aware operators


def test_candidate_aware_operator_equals_its_formula(vectors, data):
    network = make_network(CandidateAttention(), predictor.Dot())
    found = iter(inference.score_candidates(network, vectors, data, MAX_HISTORY))
    for row, codes in enumerate(CANDIDATES):
        latest = history(row)[-MAX_HISTORY:]
        clicks = [vectors[code] for code in latest] or [network.empty_history.detach()]
        for code in codes:
            shares = [math.exp(float(vectors[code] @ click)) for click in clicks]
            user = sum(
                share / sum(shares) * click for share, click in zip(shares, clicks, strict=True)
            )
            assert next(found) == pytest.approx(float(user @ vectors[code]), rel=0, abs=1e-10)


def test_candidates_of_a_row_are_scored_at_once_as_one_at_a_time(network, rows):
    # training scores (B, C) candidates at once, prediction single candidates
    network.eval()
    clicks, mask = (
        rows[torch.tensor([[0, 4], [8, 0]])],
        torch.tensor([[True, True], [True, False]]),
    )
    codes, history_of_row = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([0, 1, 0])
    items = rows[:, :WIDTH]
    together = network.score(clicks, mask, history_of_row, items[codes])
    for b, h in enumerate(history_of_row):
        for c in range(2):
            alone = network.score(
                clicks[h][None], mask[h][None], torch.tensor([0]), items[codes[b, c]][None, None]
            )
            torch.testing.assert_close(together[b, c], alone[0, 0], **EXACT)


# Late fusion


def late_score(network, vectors, row, code):
    """Return the mean of the scores that the predictor computes for each click of a row."""
    latest = history(row)[-MAX_HISTORY:]
    clicks = [vectors[click] for click in latest] or [network.empty_history]
    one = torch.ones(1, 1, dtype=torch.bool)
    scores = [
        network.predictor(click[None, None, None], one, vectors[code][None, None])
        for click in clicks
    ]
    return sum(scores).item() / len(scores)


def test_late_fusion_is_the_mean_over_clicks(predictor_operator, vectors, data, blocks):
    # not the score of a mean of vectors, and not the softmax of predictors for several vectors
    network = make_network(behavior.LateFusion(), predictor_operator).eval()
    wanted = [
        [late_score(network, vectors, row, code) for code in range(N_ITEMS)]
        for row in range(len(CANDIDATES))
    ]
    everything = full_scores(network, vectors, data)
    assert everything.numpy() == pytest.approx(np.array(wanted), rel=0, abs=1e-10)
    found = inference.score_candidates(network, vectors, data, MAX_HISTORY)
    pairs = [wanted[row][code] for row, codes in enumerate(CANDIDATES) for code in codes]
    assert found == pytest.approx(pairs, rel=0, abs=1e-10)


@pytest.mark.parametrize("item_bias", [False, True])
def test_late_fusion_with_dot_is_mean_pooling(vectors, data, blocks, item_bias):
    late, mean = (
        make_network(operator, predictor.Dot(0.5, item_bias=item_bias))
        for operator in (behavior.LateFusion(), behavior.MeanPooling())
    )
    mean.load_state_dict(late.state_dict())
    for function in (full_scores, all_candidates):
        found, wanted = (function(network, vectors, data) for network in (late, mean))
        torch.testing.assert_close(found, wanted, **EXACT)
    lists = [
        top_k(
            inference.score_catalogue(network, vectors, data, MAX_HISTORY),
            data.n_rows,
            4,
            partial(clicks_of, data),
        )
        for network in (late, mean)
    ]
    assert np.array_equal(lists[0][0], lists[1][0])


def all_candidates(network, vectors, data):
    return torch.from_numpy(inference.score_candidates(network, vectors, data, MAX_HISTORY))


def test_late_fusion_with_dot_has_the_gradients_of_mean_pooling(vectors):
    clicks = vectors[torch.tensor([[0, 4, 2], [8, 0, 0], [0, 0, 0]])]
    mask = torch.tensor([[True, True, True], [True, False, False], [False] * 3])
    item = vectors[torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])]
    row = torch.tensor([0, 1, 0, 2])
    grads = []
    for operator in (behavior.LateFusion(), behavior.MeanPooling()):
        network = make_network(operator, predictor.Dot(0.5))
        inputs = [clicks.clone().requires_grad_(), item.clone().requires_grad_()]
        read = network.with_empty(inputs[0], mask)
        loss = network.score(*read, row, inputs[1]).square().sum()
        grads.append(torch.autograd.grad(loss, [*inputs, network.empty_history]))
    torch.testing.assert_close(*grads, **EXACT)


def test_late_fusion_scores_each_distinct_click_once(vectors, data, monkeypatch):
    # otherwise, a predictor of pairs would score a popular item once per user who clicked it
    network = make_network(behavior.LateFusion(), predictor.MLP((4,)))
    seen = []
    network.predictor.register_forward_hook(lambda m, args, scores: seen.append(scores.numel()))
    full_scores(network, vectors, data)
    clicked = {code for latest in HISTORIES for code in latest[-MAX_HISTORY:]}
    assert sum(seen) == (len(clicked) + 1) * N_ITEMS  # and the learned vector of empty histories


def test_only_users_that_serve_all_candidates_have_vectors():
    def has_vectors(operator):
        return make_network(operator, predictor.Dot()).has_user_vectors

    assert has_vectors(behavior.MeanPooling())
    assert has_vectors(FirstAndLast())
    assert not has_vectors(behavior.LateFusion())
    assert not has_vectors(CandidateAttention())


# Top-k lists


def in_blocks(scores, size=2):
    for start in range(0, len(scores), size):
        rows = slice(start, min(start + size, len(scores)))
        yield rows, scores[rows]


def plain_top_k(scores, row, k, exclude_seen):
    codes = [code for code in range(N_ITEMS) if not (exclude_seen and code in history(row))]
    best = sorted(codes, key=lambda code: (-scores[row, code], code))[:k]
    short = k - len(best)
    return best + [-1] * short, [float(scores[row, code]) for code in best] + [-math.inf] * short


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("k", [1, 4, N_ITEMS - 1, N_ITEMS, N_ITEMS + 3])
@pytest.mark.parametrize("n_values", [1, 3, 1000])
def test_top_k_equals_a_plain_sort(data, k, exclude_seen, n_values):
    # with few distinct scores, most lists end with ties, which are in catalogue order
    rng = np.random.default_rng(0)
    scores = rng.integers(n_values, size=(len(CANDIDATES), N_ITEMS)).astype(np.float32)
    blocks = in_blocks(torch.from_numpy(scores.copy()))
    seen = partial(clicks_of, data) if exclude_seen else None
    codes, best = top_k(blocks, len(scores), k, seen)
    assert codes.shape == best.shape == (len(CANDIDATES), k)
    for row in range(len(CANDIDATES)):
        wanted = plain_top_k(scores, row, k, exclude_seen)
        assert (codes[row].tolist(), best[row].tolist()) == wanted


def test_top_k_of_a_user_who_saw_everything():
    everything = CodedInteractions(
        kind="histories",
        history_offsets=np.array([0, N_ITEMS]),
        history_codes=np.arange(N_ITEMS, dtype=np.int32),
        history_of_row=np.array([0]),
        candidate_offsets=np.array([0, 0]),
        candidate_codes=np.array([], dtype=np.int32),
    )
    seen = partial(clicks_of, everything)
    codes, best = top_k(in_blocks(torch.zeros(1, N_ITEMS)), 1, 2, seen)
    assert codes.tolist() == [[-1, -1]]
    assert best.tolist() == [[-math.inf, -math.inf]]


# The last click


METRICS = ["gauc", "mrr", "mrr_mind", "ndcg@3", "hit@2", "recall@2", "precision@2", "lrap", "map"]


@pytest.mark.parametrize("n_values", [1, 3, 1000])
def test_rank_of_the_last_click_equals_metrics_of_full_score_rows(data, n_values):
    shorter, target = replace(data, kind="histories").without_last_click()
    past = [history(row)[:-1] for row in range(len(CANDIDATES)) if history(row)]
    assert target.tolist() == [2, 4, 8, 4]
    rng = np.random.default_rng(1)
    scores = rng.integers(n_values, size=(len(target), N_ITEMS)).astype(np.float32)
    ranking = rank_last_click(in_blocks(torch.from_numpy(scores)), shorter, target)
    rows = [
        (row, code, code == target[row])
        for row in range(len(target))
        for code in range(N_ITEMS)
        # the target of the first row is also in its history, and is ranked
        if code == target[row] or code not in past[row]
    ]
    groups, codes, clicked = map(np.array, zip(*rows, strict=True))
    wanted = compute(METRICS, clicked.astype(int), scores[groups, codes], groups)
    found = compute_ranked(METRICS, ranking)
    assert found == pytest.approx(wanted, rel=0, abs=1e-12)
