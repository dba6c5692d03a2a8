"""Training loops, monitors and helpers, with the numbers that 1.0.0 gives."""

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import backprop, surrogate, utils
from snntorch import functional as SF
from snntorch.functional import probe

NEURONS = {
    "leaky": lambda **kwargs: snn.Leaky(beta=0.8, **kwargs),
    "synaptic": lambda **kwargs: snn.Synaptic(alpha=0.6, beta=0.8, **kwargs),
    "lapicque": lambda **kwargs: snn.Lapicque(beta=0.8, **kwargs),
    "rleaky": lambda **kwargs: snn.RLeaky(beta=0.8, V=0.5, all_to_all=False, **kwargs),
}


def network(neuron="leaky"):
    """Two layers with weights that are written down, not drawn."""
    kwargs = {"spike_grad": surrogate.fast_sigmoid(slope=5), "init_hidden": True}
    net = nn.Sequential(
        nn.Linear(3, 4),
        NEURONS[neuron](**kwargs),
        nn.Linear(4, 2),
        NEURONS[neuron](**kwargs, output=True),
    )
    with torch.no_grad():
        for layer in net[0], net[2]:
            size = layer.weight.numel()
            layer.weight.copy_((torch.arange(size) * 7 % 11 / 10).view_as(layer.weight))
            layer.bias.copy_(torch.arange(len(layer.bias)) / 10)
    return net


def batches(steps=()):
    """Two batches of four samples; with ``steps``, of data that vary in time."""
    size = torch.Size((*steps, 4, 3))
    data = [(torch.arange(size.numel()) * k % 13 / 10).view(size) for k in (5, 8)]
    return list(zip(data, torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]), strict=True))


LOSSES = {
    "ce_rate": SF.ce_rate_loss,
    "ce_count": SF.ce_count_loss,
    "ce_max_membrane": SF.ce_max_membrane_loss,
    "mse_count": lambda: SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
    "mse_membrane": lambda: SF.mse_membrane_loss(on_target=1.05, off_target=0.2),
    "ce_temporal": SF.ce_temporal_loss,
}
# Loop, its arguments, neuron, loss and regularization; what it returns, and the sums of the
# weights of the two layers afterwards. Recorded from 1.0.0.
RUNS = [
    ("BPTT", {}, "leaky", "ce_rate", None, [0.695242, 5.4888, 4.19183]),
    ("BPTT", {}, "leaky", "ce_rate", 0.1, [4.44524, 4.41014, 3.28933]),
    ("BPTT", {"time_var": True}, "leaky", "ce_rate", 0.1, [4.74524, 5.00297, 3.62395]),
    (
        "BPTT",
        {"time_var": True, "time_first": False},
        "leaky",
        "ce_rate",
        None,
        [0.703157, 5.48078, 4.17173],
    ),
    ("BPTT", {}, "leaky", "ce_count", None, [0.753204, 5.61857, 4.31122]),
    ("BPTT", {}, "leaky", "ce_max_membrane", 0.1, [4.25574, 4.52738, 3.47823]),
    ("BPTT", {}, "leaky", "mse_count", None, [1.44792, 4.44509, 3.34531]),
    ("BPTT", {}, "leaky", "mse_membrane", None, [5.78781, 1.28187, 1.07733]),
    ("BPTT", {}, "leaky", "ce_temporal", None, [0.645661, 5.46484, 4.16203]),
    ("BPTT", {"time_var": True}, "synaptic", "ce_rate", None, [0.677319, 5.49288, 4.1925]),
    ("BPTT", {}, "lapicque", "mse_membrane", 0.1, [0.492975, 5.54719, 4.20818]),
    ("BPTT", {}, "rleaky", "ce_max_membrane", None, [1.38114, 5.80616, 4.14488]),
    ("TBPTT", {"K": 1}, "leaky", "ce_rate", None, [0.679414, 5.43826, 4.1504]),
    ("TBPTT", {"K": 2}, "leaky", "ce_rate", 0.1, [1.90316, 4.91211, 3.54469]),
    ("TBPTT", {"K": 3}, "leaky", "mse_membrane", None, [0.979748, 4.46573, 1.9213]),
    ("TBPTT", {"K": 6}, "leaky", "ce_max_membrane", None, [0.740866, 5.44438, 4.26009]),
    ("TBPTT", {"K": 2}, "synaptic", "ce_count", None, [0.66149, 5.46494, 4.1617]),
    ("TBPTT", {"K": 3}, "rleaky", "ce_rate", None, [0.677319, 5.46375, 4.17414]),
    ("RTRL", {}, "leaky", "mse_count", None, [0.78125, 5.23856, 3.5314]),
    ("RTRL", {}, "synaptic", "ce_max_membrane", 0.1, [1.52796, 5.40688, 4.09373]),
]


def epoch(loop, arguments, neuron, loss, weight):
    net, given = network(neuron), {"time_var": False, **arguments}
    if weight is not None:
        given["regularization"] = SF.l1_rate_sparsity(Lambda=weight)
    data = batches((6,) if given["time_var"] else ())
    if not given["time_var"]:
        given["num_steps"] = 6
    elif not given.get("time_first", True):
        data = [(x.transpose(0, 1), y) for x, y in data]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2)
    loss = getattr(backprop, loop)(net, data, optimizer, LOSSES[loss](), **given)
    return [loss.item(), net[0].weight.sum().item(), net[2].weight.sum().item()]


@pytest.mark.parametrize("loop, arguments, neuron, loss, weight, want", RUNS)
def test_an_epoch_gives_the_same_loss_and_weights(loop, arguments, neuron, loss, weight, want):
    assert epoch(loop, arguments, neuron, loss, weight) == pytest.approx(want, rel=1e-4)


class Sums(probe.BaseMonitor):
    """A monitor of the user's."""

    def __init__(self, net, instance):
        super().__init__()
        for name, module in net.named_modules():
            if isinstance(module, instance):
                self.monitored_layers.append(name)
                self.name_records_index[name] = []
                self.hooks.append(module.register_forward_hook(self.create_hook(name)))

    def create_hook(self, name):
        def hook(module, inputs, output):
            if self.is_enable():
                self.name_records_index[name].append(len(self.records))
                self.records.append(probe.unpack_len1_tuple(inputs).sum().item())

        return hook


def test_own_monitors_record():
    net = network()
    monitor = Sums(net, snn.Leaky)
    x = torch.tensor([[1.0, 0.5, 0.0]])
    currents = net[0](x).sum().item()
    net(x)
    monitor.disable()
    net(x)
    monitor.enable()
    net(x)
    assert monitor.monitored_layers == ["1", "3"]
    assert monitor.name_records_index == {"1": [0, 2], "3": [1, 3]}
    assert monitor["1"] == pytest.approx([currents, currents])
    assert len(monitor["3"]) == 2 and monitor[0] == monitor["1"][0]
    with pytest.raises(KeyError):
        monitor["0"]
    monitor.clear_recorded_data()
    monitor.remove_hooks()
    net(x)
    assert monitor.records == []


def test_a_hook_of_the_library_can_be_called():
    lif = snn.Leaky(beta=0.5, init_hidden=True)
    monitor = probe.AttributeMonitor("beta", False, nn.Sequential(lif), snn.Leaky)
    monitor.create_hook("0")(lif, (torch.ones(1),), torch.ones(1))
    assert [beta.item() for beta in monitor["0"]] == [0.5]


class Samples:
    def __init__(self, size):
        self.data = torch.arange(2.0 * size).view(size, 2)
        self.targets = torch.arange(size)

    def __len__(self):
        return len(self.data)


@pytest.mark.parametrize(
    "subset, idx, first, last", [(2, 1, 10, 19), (3, 2, 12, 17), (1, 0, 0, 19)]
)
def test_data_subset(subset, idx, first, last):
    part = utils.data_subset(Samples(20), subset, idx)
    assert part.targets.tolist() == list(range(first, last + 1))
    assert part.data[:, 0].tolist() == [2.0 * i for i in range(first, last + 1)]


def test_valid_split():
    train, val = utils.valid_split(Samples(20), Samples(20), 0.25, 3)
    assert val.targets.tolist() == [3, 6, 12, 15, 17]
    assert train.targets.tolist() == [10, 16, 5, 11, 8, 19, 13, 7, 2, 9, 0, 4, 18, 14, 1]
    for part in train, val:
        assert part.data[:, 0].tolist() == [2.0 * i for i in part.targets]


@pytest.mark.parametrize(
    "neuron, outputs", [("leaky", 2), ("synaptic", 3), ("lapicque", 2), ("rleaky", 2)]
)
def test_the_number_of_outputs_of_the_last_layer(neuron, outputs):
    assert utils._final_layer_check(network(neuron)) == outputs
    assert utils._final_layer_check(network(neuron)[:3]) == 1


def test_layers_are_exported_by_their_package():
    from snntorch import _layers

    for name in "BatchNormTT1d", "BatchNormTT2d", "GradedSpikes":
        assert getattr(_layers, name) is getattr(snn, name)
