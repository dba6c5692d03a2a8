"""Whole sequences in other threads and processes."""

import concurrent.futures
import multiprocessing
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import snntorch as snn


def answer(seed):
    """Run a network forward and backward; large enough for several parts."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(20, 300), snn.Leaky(beta=0.9, threshold=0.2, init_hidden=True))
    with torch.no_grad():  # not from the generator that all threads share
        net[0].weight.normal_(generator=generator)
        net[0].bias.zero_()
    spikes = snn.unroll(net, torch.rand(40, 8, 20, generator=generator))
    spikes.sum().backward()
    return spikes.detach(), net[0].weight.grad


class Answers(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return answer(index)


@pytest.fixture(scope="module")
def expected():
    answers = [answer(seed) for seed in range(4)]
    assert all(spikes.sum() > 0 for spikes, _ in answers)
    return answers


def same(got, expected):
    return all(
        torch.equal(a, b)
        for pair, other in zip(got, expected, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


def test_two_threads(expected):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert same(pool.map(answer, range(4)), expected)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_of_a_data_loader(start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {start}")
    # In a separate process: where threads have just come to an end, as after other tests, a fork
    # can copy a lock of the matrix library's that is never released, whatever is installed.
    command = [sys.executable, "-W", "ignore", __file__, start]
    subprocess.run(command, check=True, timeout=120)


if __name__ == "__main__":
    torch.set_num_threads(1)
    answers = [answer(seed) for seed in range(4)]
    loader = DataLoader(
        Answers(), batch_size=None, num_workers=2, multiprocessing_context=sys.argv[1]
    )
    assert same(list(loader), answers)
