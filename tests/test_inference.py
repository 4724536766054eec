import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec import _inference as inference
from skrec._batches import Batch
from skrec._catalogue import Catalogue
from skrec._coded import CodedInteractions
from skrec._network import Network
from skrec._training import Plan, Stepper
from skrec.metrics import compute, compute_ranked

WIDTH = 8
MAX_HISTORY = 3
N_ITEMS = 9
EXACT = {"rtol": 0, "atol": 1e-10}

# distinct histories; rows name them in another order, one twice, and candidates, one row none
HISTORIES = [[0, 4], [], [5, 1, 7, 2, 2], [8]]
HISTORY_OF_ROW = [2, 0, 1, 3, 0, 1]
CANDIDATES = [[3, 5, 8], [1], [0, 2, 6, 7], [], [4, 0, 3], [8, 8]]


class CandidateAttention(behavior.BehaviorOperator):
    """A third party's operator: each candidate attends to the clicks by dot product."""

    candidate_aware = True

    def build(self, width):
        return AttentionOfCandidates()


class AttentionOfCandidates(nn.Module):
    def forward(self, x, mask, candidates):
        scores = candidates @ x.transpose(1, 2)  # (B, C, L)
        weights = scores.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(dim=-1)
        return (weights @ x).unsqueeze(2)  # (B, C, 1, D)


class FirstAndLast(behavior.BehaviorOperator):
    """A third party's operator with two vectors a user."""

    def build(self, width):
        return FirstAndLastClick()


class FirstAndLastClick(nn.Module):
    def forward(self, x, mask):
        last = mask.sum(dim=1) - 1
        return torch.stack([x[:, 0], x[torch.arange(len(x)), last]], dim=1)  # (B, 2, D)


class FirstAndLastForEach(behavior.BehaviorOperator):
    """A third party's operator with two vectors for each candidate of a user."""

    candidate_aware = True

    def build(self, width):
        return FirstAndLastTimesCandidate()


class FirstAndLastTimesCandidate(FirstAndLastClick):
    def forward(self, x, mask, candidates):
        users = super().forward(x, mask)
        return candidates.unsqueeze(2) * users.unsqueeze(1)  # (B, C, 2, D)


THIRD_PARTY = [CandidateAttention, FirstAndLast, FirstAndLastForEach]
BEHAVIORS = [*behavior.ALIASES.values(), *THIRD_PARTY]


@pytest.fixture(params=sorted(predictor.ALIASES))
def predictor_operator(request):
    return predictor.ALIASES[request.param]()


@pytest.fixture(params=BEHAVIORS, ids=lambda operator: operator.__name__)
def network(request, predictor_operator):
    """A network of each behavior operator and predictor, in float64 and training mode."""
    return make_network(request.param(), predictor_operator)


def make_network(behavior_operator, predictor_operator, content_module=None):
    torch.manual_seed(0)
    network = Network(
        content_module,
        behavior_operator.build(WIDTH),
        predictor_operator.build(WIDTH),
        WIDTH,
        behavior_operator.candidate_aware,
    )
    return network.double()


@pytest.fixture
def vectors():
    torch.manual_seed(1)
    return torch.randn(N_ITEMS, WIDTH, dtype=torch.float64)


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


def slow_score(network, vectors, row, code):
    """One candidate of one row, from the definition."""
    latest = history(row)[-MAX_HISTORY:]
    clicks = vectors[latest] if latest else network.empty_history.unsqueeze(0)
    mask = torch.ones(1, len(clicks), dtype=torch.bool)
    item = vectors[code][None, None]
    network.eval()
    with torch.no_grad():
        return float(network.score(clicks[None], mask, torch.tensor([0]), item))


def full_scores(network, vectors, data):
    blocks = inference.score_catalogue(network, vectors, data, MAX_HISTORY)
    return torch.cat([scores for _, scores in blocks])


@pytest.fixture(params=["whole", "blocks"])
def blocks(request, monkeypatch):
    """Blocks of usual size, and blocks so small that all data is cut."""
    if request.param == "blocks":
        monkeypatch.setattr(inference, "HISTORY_BLOCK", 2)
        monkeypatch.setattr(inference, "PAIR_BLOCK", 3)
        monkeypatch.setattr(inference, "CELL_BLOCK", 2 * N_ITEMS)


# Scores


def test_candidates_are_scored_as_one_at_a_time(network, vectors, data, blocks):
    found = inference.score_candidates(network, vectors, data, MAX_HISTORY)
    wanted = [
        slow_score(network, vectors, row, code)
        for row, codes in enumerate(CANDIDATES)
        for code in codes
    ]
    assert found == pytest.approx(wanted, rel=0, abs=1e-10)


def test_catalogue_and_candidates_agree(network, vectors, data, blocks):
    # a recommendation and a probability of the same pair would contradict each other
    everything = full_scores(network, vectors, data)
    assert everything.shape == (len(CANDIDATES), N_ITEMS)
    all_items = coded([range(N_ITEMS)] * len(CANDIDATES))
    found = inference.score_candidates(network, vectors, all_items, MAX_HISTORY)
    assert found.reshape(everything.shape) == pytest.approx(everything.numpy(), rel=0, abs=1e-10)


def test_catalogue_blocks_cover_the_rows_in_order(network, vectors, data, blocks):
    rows = [rows for rows, _ in inference.score_catalogue(network, vectors, data, MAX_HISTORY)]
    covered = np.concatenate([np.arange(len(CANDIDATES))[part] for part in rows])
    assert covered.tolist() == list(range(len(CANDIDATES)))


def test_rows_without_any_candidate(network, vectors):
    nothing = coded([[]] * len(HISTORY_OF_ROW))
    assert inference.score_candidates(network, vectors, nothing, MAX_HISTORY).shape == (0,)


def test_scores_keep_the_number_type(vectors, data):
    network = make_network(behavior.MeanPooling(), predictor.Dot())
    args = data, MAX_HISTORY
    assert inference.score_candidates(network, vectors, *args).dtype == np.float64
    assert inference.score_candidates(network.float(), vectors.float(), *args).dtype == np.float32


def test_inference_is_without_dropout_and_keeps_the_mode(vectors, data):
    network = make_network(behavior.SelfAttention(2, dropout=0.5), predictor.MLP((4,), dropout=0.5))
    for mode in (True, False):
        network.train(mode)
        first = inference.score_candidates(network, vectors, data, MAX_HISTORY)
        again = inference.score_candidates(network, vectors, data, MAX_HISTORY)
        assert np.array_equal(first, again)
        assert network.training is mode


def test_mode_is_kept_when_scoring_fails(vectors, data):
    network = make_network(behavior.MeanPooling(), predictor.Dot())
    with pytest.raises(IndexError):
        inference.score_candidates(network, vectors[:2], data, MAX_HISTORY)
    assert network.training


def test_stored_vectors_are_left_alone(network, vectors, data):
    before = vectors.clone()
    inference.score_candidates(network, vectors, data, MAX_HISTORY)
    inference.top_k(
        inference.score_catalogue(network, vectors, data, MAX_HISTORY), data, 3, exclude_seen=True
    )
    assert torch.equal(vectors, before)


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


# A candidate-aware operator of a third party


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


def test_candidates_of_a_row_are_scored_at_once_as_one_at_a_time(network, vectors):
    # training scores (B, C) candidates at a time, prediction one pair at a time
    network.eval()
    clicks, mask = (
        vectors[torch.tensor([[0, 4], [8, 0]])],
        torch.tensor([[True, True], [True, False]]),
    )
    codes, history_of_row = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([0, 1, 0])
    together = network.score(clicks, mask, history_of_row, vectors[codes])
    for b, h in enumerate(history_of_row):
        for c in range(2):
            alone = network.score(
                clicks[h][None], mask[h][None], torch.tensor([0]), vectors[codes[b, c]][None, None]
            )
            torch.testing.assert_close(together[b, c], alone[0, 0], **EXACT)


# Item vectors and their cache


@pytest.fixture
def texts():
    return Items(
        ["sun", "sea and sun", "", "red red fox", "sea", "the sun of the sea", "a", "b", "c"]
    )


@pytest.fixture(params=sorted(content.ALIASES))
def catalogue_and_network(request, texts):
    operator = content.ALIASES[request.param]().fit(texts)
    module = operator.build(operator.schema_, WIDTH)
    network = make_network(behavior.MeanPooling(), predictor.Dot(), module)
    return Catalogue(texts, operator), network


def test_item_vectors_equal_the_content_module(catalogue_and_network, monkeypatch):
    catalogue, network = catalogue_and_network
    monkeypatch.setattr(inference, "TOKEN_BUDGET", 4)
    found = inference.item_vectors(network, catalogue.packed(network))
    some = inference.item_vectors(network, catalogue.packed(network), np.array([4, 1]))
    network.eval()
    with torch.no_grad():
        wanted = network.content(catalogue.packed(network).take(torch.arange(N_ITEMS)))
    torch.testing.assert_close(found.clone(), wanted, **EXACT)
    torch.testing.assert_close(some.clone(), wanted[[4, 1]], **EXACT)


def test_cached_vectors_hold_no_autograd_graph(catalogue_and_network):
    # caching with autograd on keeps every activation of the catalogue in memory
    catalogue, network = catalogue_and_network
    vectors = catalogue.vectors(network)
    assert vectors.requires_grad is False
    assert vectors.grad_fn is None


def test_vectors_are_computed_once_a_version_of_the_weights(catalogue_and_network):
    catalogue, network = catalogue_and_network
    first = catalogue.vectors(network)
    assert catalogue.vectors(network) is first
    with torch.no_grad():
        next(network.content.parameters()).add_(1.0)
    second = catalogue.vectors(network)
    assert not torch.equal(first, second)
    torch.testing.assert_close(
        second, inference.item_vectors(network, catalogue.packed(network)), **EXACT
    )


def test_version_changes_with_every_weight(catalogue_and_network):
    _, network = catalogue_and_network
    before = inference.weights_version(network)
    assert inference.weights_version(network) == before
    for weight in network.parameters():
        with torch.no_grad():
            weight.mul_(2.0)
        assert inference.weights_version(network) != before
        before = inference.weights_version(network)
    network.load_state_dict(network.state_dict())
    assert inference.weights_version(network) != before


def test_version_changes_with_a_training_step(catalogue_and_network):
    # fused optimisers change weights without telling torch's own counters
    catalogue, network = catalogue_and_network
    batch = Batch(
        items=torch.tensor([0, 3, 5]),
        history=torch.tensor([[0]]),
        history_mask=torch.tensor([[True]]),
        history_of_row=torch.tensor([0]),
        candidates=torch.tensor([[1, 2]]),
        candidate_mask=torch.tensor([[True, True]]),
        labels=torch.tensor([[1.0, 0.0]]),
        weight=torch.ones(1),
        log_q=torch.zeros(1, 2),
        n_rows=1,
    )
    stepper = Stepper(network, Plan.of(ContentRecommender(), "softmax"))
    before = inference.weights_version(network)
    stepper.step(catalogue.packed(network), batch)
    assert inference.weights_version(network) != before


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
    # with few distinct scores most lists end amid ties: equal scores come in catalogue order
    rng = np.random.default_rng(0)
    scores = rng.integers(n_values, size=(len(CANDIDATES), N_ITEMS)).astype(np.float32)
    before = torch.from_numpy(scores.copy())
    codes, best = inference.top_k(in_blocks(before), data, k, exclude_seen)
    assert codes.shape == best.shape == (len(CANDIDATES), k)
    for row in range(len(CANDIDATES)):
        wanted = plain_top_k(scores, row, k, exclude_seen)
        assert (codes[row].tolist(), best[row].tolist()) == wanted
    assert np.array_equal(before.numpy(), scores)  # seen items are hidden in a copy


def test_top_k_of_a_user_who_saw_everything():
    everything = CodedInteractions(
        kind="histories",
        history_offsets=np.array([0, N_ITEMS]),
        history_codes=np.arange(N_ITEMS, dtype=np.int32),
        history_of_row=np.array([0]),
        candidate_offsets=np.array([0, 0]),
        candidate_codes=np.array([], dtype=np.int32),
    )
    codes, best = inference.top_k(in_blocks(torch.zeros(1, N_ITEMS)), everything, 2, True)
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
    ranking = inference.rank_last_click(in_blocks(torch.from_numpy(scores)), shorter, target)
    rows = [
        (row, code, code == target[row])
        for row in range(len(target))
        for code in range(N_ITEMS)
        # the target of the first row was clicked before too: it is ranked all the same
        if code == target[row] or code not in past[row]
    ]
    groups, codes, clicked = map(np.array, zip(*rows, strict=True))
    wanted = compute(METRICS, clicked.astype(int), scores[groups, codes], groups)
    found = compute_ranked(METRICS, ranking)
    assert found == pytest.approx(wanted, rel=0, abs=1e-12)
