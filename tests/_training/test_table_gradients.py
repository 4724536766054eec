"""The gradients of large tables between processes: equal to dense ones, and far smaller."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import distributed, nn

from skrec._training.processes import Processes
from skrec._training.table_gradients import sum_table_gradients


class Meeting:
    """Threads in place of processes, which gather tensors of equal shape."""

    def __init__(self, n):
        self.n, self.barrier = n, threading.Barrier(n, timeout=60)
        self.sent = [None] * n

    def gather_of(self, rank):
        def gather(own):
            self.sent[rank] = own.clone()
            self.barrier.wait()
            found = list(self.sent)
            self.barrier.wait()
            assert len({(each.shape, each.dtype) for each in found}) == 1
            return found

        return gather


def tables_of(rank, dtype, sparse):
    """Return tables with gradients that differ between processes; the last one has none."""
    torch.manual_seed(0)
    tables = [nn.Embedding(n, width, sparse=sparse, dtype=dtype) for n, width in SHAPES]
    rng = np.random.default_rng(rank)
    for number, table in enumerate(tables[:-1]):
        if (rank + number) % 3:  # one process has no gradient
            rows = torch.from_numpy(rng.integers(0, table.num_embeddings, 7 + rank))
            table(rows).exp().sum().backward()
    return [table.weight for table in tables]


SHAPES = [(20, 3), (1000, 5), (7, 2), (9, 4)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_sum_of_rows_equals_that_of_dense_gradients(dtype):
    n = 3
    meeting = Meeting(n)

    own = [tables_of(rank, dtype, sparse=True) for rank in range(n)]

    def summed(rank):
        sum_table_gradients(own[rank], meeting.gather_of(rank))
        return [table.grad for table in own[rank]]

    with ThreadPoolExecutor(n) as threads:
        found = list(threads.map(summed, range(n)))
    dense = [tables_of(rank, dtype, sparse=False) for rank in range(n)]
    for at, shape in enumerate(SHAPES):
        grads = [tables[at].grad for tables in dense if tables[at].grad is not None]
        for grads_of_rank in found:
            if not grads:
                assert grads_of_rank[at] is None
                continue
            assert grads_of_rank[at].shape == shape
            total = grads_of_rank[at].to_dense()
            torch.testing.assert_close(total, sum(grads[1:], grads[0]))
            # all processes must have the same bits
            assert torch.equal(total, found[0][at].to_dense())


def test_no_rows_need_one_message():
    n_messages = []
    table = nn.Embedding(4, 2, sparse=True)
    sum_table_gradients([table.weight], lambda own: n_messages.append(1) or [own, own])
    assert n_messages == [1]
    assert table.weight.grad is None


@pytest.fixture
def sent(monkeypatch):
    """Return the messages of a process in a group of two equal ones, with their bytes."""
    messages = []

    def all_reduce(tensor):
        messages.append(("all_reduce", tensor.nbytes))
        tensor.mul_(2)

    def all_gather(found, own):
        messages.append(("all_gather", own.nbytes))
        for each in found:
            each.copy_(own)

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(distributed, "all_gather", all_gather)
    return messages


def network_with_ids(n_items, sparse):
    """Return a network after a step with 64 rows of 50 clicks and 5 candidates."""
    network = nn.ModuleDict({"id": nn.Embedding(n_items, 64, sparse=sparse)})
    network["other"] = nn.Linear(64, 64)
    rows = torch.from_numpy(np.random.default_rng(0).choice(n_items, 64 * 55))
    network["other"](network["id"](rows)).sum().backward()
    return network


def test_a_step_with_a_million_ids_sends_less_than_a_megabyte(sent):
    network = network_with_ids(1_000_000, sparse=True)
    before = network["id"].weight.grad.to_dense()
    Processes(0, 2).sum_gradients(network)
    assert [name for name, _ in sent] == ["all_reduce", "all_gather", "all_gather"]
    assert sum(n_bytes for _, n_bytes in sent) < 1_000_000
    assert torch.equal(network["id"].weight.grad.to_dense(), 2 * before)


def test_a_dense_table_is_sent_whole(sent):
    Processes(0, 2).sum_gradients(network_with_ids(300_000, sparse=False))
    assert {name for name, _ in sent} == {"all_reduce"}
    assert sum(n_bytes for _, n_bytes in sent) > 300_000 * 64 * 4
