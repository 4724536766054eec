"""Language models whose weights are sharded over real processes."""

import re

import numpy as np
import pytest
import torch
from rank_answers import rank_answers
from torch import nn
from torch.distributed.fsdp import FSDPModule

from skrec._training.processes import Processes
from skrec._training.sharded import _shard, sharded_model
from skrec.content._lm.split import Top

LIMIT = 300  # seconds for one function, on a busy machine

AS_ALONE = ["whole_model", "recomputed", "decoder", "split", "wrapped", "three", "warm"]
EQUAL = ["is_sharded", "continued", "saved", "streamed", "interrupted"]
RAISED = {
    "failing_loss": ["ValueError: the loss became nan in step 1"] * 2,
    "failing_pass": ["RuntimeError: another process of this training has ended", "MemoryError: no"],
    "version_1": ["ValueError: accelerate's configuration has fsdp_version 1, but"] * 2,
}


@pytest.fixture(scope="module")
def answers():
    """Return what each function of tests/sharded_ranks.py returned in its processes."""
    return rank_answers("sharded_ranks.py", [*AS_ALONE, *EQUAL, *RAISED], LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("name", AS_ALONE)
def test_shards_are_trained_as_in_one_process(answers, name):
    # the functions compare the weights; here are the losses, scores and calibrations
    first, *others = answers[name]
    assert isinstance(first, list), first
    assert all(other == first for other in others)
    for together, alone in zip(first[::2], first[1::2], strict=True):
        for one, other in zip(together[1:4], alone[1:4], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL)
def test_processes_with_shards_agree(answers, name):
    first, *others = answers[name]
    assert "Error" not in str(first) and first not in (None, "hung", False), first
    assert all(other == first for other in others)


@pytest.mark.slow
def test_a_checkpoint_within_an_epoch_has_the_whole_state(answers):
    continued, undisturbed = answers["continued"][0]
    assert continued == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("name", RAISED)
def test_no_process_waits_for_one_that_fails(answers, name):
    for answer, expected in zip(answers[name], RAISED[name], strict=True):
        assert re.match(expected, str(answer)), answer


@pytest.fixture
def launched(monkeypatch):
    """Set what ``accelerate launch --use_fsdp --fsdp_version 2`` sets."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    return monkeypatch


@pytest.fixture
def two_models():
    network = nn.Module()
    network.tops = nn.ModuleList()
    for _ in range(2):
        top = Top.__new__(Top)
        nn.Module.__init__(top)
        network.tops.append(top)
    return network


def test_nothing_is_sharded_without_a_launcher_or_a_language_model(launched, two_models):
    assert sharded_model(two_models, Processes(), "auto") is None
    assert sharded_model(nn.Linear(2, 2), Processes(0, 2), "auto") is None
    launched.delenv("ACCELERATE_USE_FSDP")
    assert sharded_model(two_models, Processes(0, 2), "auto") is None


def test_what_cannot_be_sharded_is_refused(launched, two_models):
    with pytest.raises(ValueError, match="trains 2 language models, but only one can be sharded"):
        sharded_model(two_models, Processes(0, 2), "auto")
    del two_models.tops[1]
    with pytest.raises(ValueError, match="precision='float16' can't scale sharded gradients"):
        sharded_model(two_models, Processes(0, 2), "float16")
    launched.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(ValueError, match="fsdp_offload_params: true, but skrec keeps shards on"):
        sharded_model(two_models, Processes(0, 2), "auto")
    launched.setenv("FSDP_VERSION", "1")
    with pytest.raises(ValueError, match="has fsdp_version 1, but skrec shards by version 2"):
        sharded_model(two_models, Processes(0, 2), "auto")


def test_an_old_torch_is_refused(launched, two_models):
    launched.delattr(FSDPModule, "set_force_sum_reduction_for_comms")
    with pytest.raises(RuntimeError, match="can't add up the gradients of shards; install a newer"):
        _shard(two_models, torch.device("cpu"))
