"""What 1.0.0 got wrong in training loops and data sets.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import backprop, utils
from snntorch import functional as SF

# Training loops --------------------------------------------------------------------------------


def make_net(hidden, steps=5):
    """Return a network, its optimizer and two batches of data that vary in time."""
    torch.manual_seed(0)
    output = snn.Leaky(0.5, threshold=0.2, init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(4, 5), hidden, nn.Linear(5, 3), output)
    batches = [(2 * torch.rand(steps, 2, 4), torch.tensor([0, 2])) for _ in range(2)]
    return net, torch.optim.SGD(net.parameters(), lr=0.1), batches


@pytest.mark.parametrize("train", [backprop.TBPTT, backprop.RTRL])
def test_truncated_training_takes_data_that_vary_in_time(train):
    net, optimizer, batches = make_net(snn.Leaky(0.5, init_hidden=True))
    before = net[0].weight.clone()
    train(net, batches, optimizer, SF.ce_rate_loss())
    assert not torch.equal(net[0].weight, before)


@pytest.mark.parametrize(
    ("hidden", "train"),
    [
        (lambda: snn.Synaptic(0.75, 0.5, init_hidden=True), backprop.TBPTT),
        (lambda: snn.SLSTM(5, 5, threshold=0.1, init_hidden=True), backprop.TBPTT),
        (lambda: snn.RSynaptic(0.75, 0.5, linear_features=5, init_hidden=True), backprop.BPTT),
    ],
    ids=["Synaptic", "SLSTM", "RSynaptic"],
)
def test_networks_may_mix_neurons(hidden, train):
    net, optimizer, batches = make_net(hidden())
    before = net[0].weight.clone()
    options = {"time_var": False, "num_steps": 5}
    train(net, [(x[0], y) for x, y in batches], optimizer, SF.ce_rate_loss(), **options)
    assert not torch.equal(net[0].weight, before)


@pytest.mark.parametrize("static", [False, True])
def test_the_loss_carries_no_graph(static):
    net, optimizer, batches = make_net(snn.Leaky(0.5, init_hidden=True))
    batches = [(x[0], y) for x, y in batches] if static else batches
    options = {"time_var": False, "num_steps": 5} if static else {}
    assert not backprop.BPTT(net, batches, optimizer, SF.ce_rate_loss(), **options).requires_grad


class Given:
    """A criterion that gives 1, 2, 4, ... for the parts of a sequence; its name is one of 1.0.0's,
    which takes no other."""

    __name__ = "ce_rate_loss"

    def __init__(self):
        self.losses = iter([1.0, 2.0, 4.0, 3.0, 5.0, 7.0])

    def __call__(self, spk, targets):
        return 0 * spk.sum() + next(self.losses)


def test_the_average_weighs_parts_by_their_length():
    net, optimizer, batches = make_net(snn.Leaky(0.5, init_hidden=True))
    options = {"time_var": False, "num_steps": 5, "K": 2}
    loss = backprop.TBPTT(net, [(x[0], y) for x, y in batches], optimizer, Given(), **options)
    # Parts of 2, 2 and 1 steps, in two batches.
    assert loss.item() == pytest.approx(((2 * 1 + 2 * 2 + 4) / 5 + (2 * 3 + 2 * 5 + 7) / 5) / 2)


def test_any_function_is_a_criterion():
    net, optimizer, batches = make_net(snn.Leaky(0.5, init_hidden=True))
    seen = []

    def silence(spk, targets):
        seen.append(spk.detach())
        return spk.mean()

    loss = backprop.BPTT(net, batches, optimizer, silence)
    assert loss.item() == pytest.approx(sum(spk.mean().item() for spk in seen) / 2)


# Subsets of data -------------------------------------------------------------------------------


class Letters:
    """A data set as torchvision's CIFAR10: an array of data and a list of targets."""

    def __init__(self, size=20):
        self.data = torch.arange(100, 100 + size).numpy()
        self.targets = [chr(ord("a") + i) for i in range(size)]

    def __len__(self):
        return len(self.data)


def test_a_validation_set_may_have_a_list_of_targets():
    train, val = utils.valid_split(Letters(), Letters(), 0.25)
    assert (len(train), len(val)) == (15, 5)
    assert sorted([*train.data, *val.data]) == list(range(100, 120))
    for part in (train, val):
        assert part.targets == [chr(ord("a") + value - 100) for value in part.data]


def test_a_subset_may_have_lists():
    letters = Letters()
    letters.data = letters.data.tolist()
    assert utils.data_subset(letters, 6, 2) is letters
    assert (letters.data, letters.targets) == ([106, 107, 108], ["g", "h", "i"])
