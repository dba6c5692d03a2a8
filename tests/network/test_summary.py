"""The numbers of ``snn.summary``: against counts by hand, plain loops and recorded spikes."""

import itertools

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from project import ROOT, python_blocks
from releases import needs_2_1
from torch import nn

import snntorch as snn
from snntorch._network import rules

HIDDEN = {"init_hidden": True}


def constant(layer, value):
    """The layer with all weights equal and no bias."""
    with torch.no_grad():
        layer.weight.fill_(value)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


# By hand -------------------------------------------------------------------------------------


def test_dense_network_by_hand():
    net = nn.Sequential(
        constant(nn.Linear(3, 2), 0.5),
        snn.Leaky(0.0, **HIDDEN),
        constant(nn.Linear(2, 4), 1.0),
        snn.Leaky(0.0, **HIDDEN),
    )
    # Both hidden neurons get 1.5 in steps 0 and 2 and fire then; in step 1 they get 1, no more
    # than the threshold. (The threshold is subtracted in steps 1 and 3.) Then the four output
    # neurons get 2 and fire.
    x = torch.tensor([[1.0, 1, 1], [0, 1, 1], [1, 1, 3], [0, 0, 0]])[:, None]
    first, hidden, second, output = snn.summary(net, x)
    assert (first.operations, first.additions, first.products) == (16, 10, 6)  # 3 is not a spike
    assert first.dense == 3 * 2
    assert (hidden.neurons, hidden.rate, hidden.silent, hidden.saturated) == (2, 2 / 4, 0, 0)
    assert (second.additions, second.products, second.dense) == (2 * 2 * 4, 0, 8)
    assert (output.neurons, output.rate) == (4, 2 / 4)
    assert first.energy == pytest.approx((10 * 0.9 + 6 * 4.6) * 1e-12)
    assert second.energy == pytest.approx(16 * 0.9 * 1e-12)
    assert hidden.operations is hidden.energy is None
    assert [row.parameters for row in (first, hidden, second, output)] == [8, 0, 12, 0]
    assert [row.shape for row in (first, output)] == [(1, 2), (1, 4)]


def test_only_neurons_without_a_pause_are_saturated():
    x = torch.full((4, 2, 3), 9.0)
    x[0, :, 1] = x[2, 1, 2] = -9.0  # one waits for its first spike, one pauses in one sample
    how = {"reset_mechanism": "none", **HIDDEN}
    (row,) = snn.summary(snn.Leaky(0.0, **how), x)
    assert (row.neurons, row.silent, row.saturated, row.rate) == (3, 0, 1, 21 / 24)
    (row,) = snn.summary(snn.Leaky(0.0, refractory=1, **how), x[1:2].expand(4, 2, 3))
    assert (row.neurons, row.silent, row.saturated, row.rate) == (3, 0, 0, 1 / 2)


def test_convolution_by_hand():
    # A 4 x 4 image, 3 x 3 kernels, stride 2, padding 1: outputs lie at rows and columns 0 and 2.
    # Row (or column) 0 is read by the output at 0, row 1 by both, row 2 by the output at 2, row 3
    # by the output at 2: 1, 2, 1, 1 times.
    net = nn.Sequential(nn.Conv2d(1, 5, 3, stride=2, padding=1), snn.Leaky(0.5, **HIDDEN))
    x = torch.zeros(2, 1, 1, 4, 4)
    x[0, 0, 0, 1, 1] = x[0, 0, 0, 0, 3] = x[1, 0, 0, 1, 2] = 1
    conv, _ = snn.summary(net, x)
    assert conv.operations == 5 * (2 * 2 + 1 * 1 + 2 * 1)
    assert conv.dense == 5 * (1 + 2 + 1 + 1) ** 2
    assert conv.products == 0


def test_feedback_by_hand():
    net = snn.RLeaky(0.0, linear_features=2, **HIDDEN)
    constant(net.recurrent, 0.0)
    x = torch.tensor([[2.0, 0], [2, 2], [0, 2]])[:, None]
    (row,) = snn.summary(net, x)
    # Neuron 0 fires in step 0, and its threshold of 1 is subtracted in step 1, in which 1 is left,
    # and it is silent; neuron 1 fires in step 1 and is silent in step 2.
    assert (row.neurons, row.rate) == (2, 2 / 6)
    assert (row.additions, row.products, row.dense) == (2 * 2, 0, 4)
    assert row.parameters == 6
    one = snn.RLeaky(0.0, V=0.0, all_to_all=False, **HIDDEN)
    (row,) = snn.summary(one, x)
    assert (row.additions, row.products, row.dense) == (2, 0, 2)


def test_lstm_by_hand():
    net = snn.SLSTM(3, 2, **HIDDEN)
    x = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])[:, None]
    (row,) = snn.summary(net, x)
    # Each input meets four gates of two neurons. The membrane, two numbers and no spikes, comes
    # back in steps 1 and 2.
    assert (row.additions, row.products) == (3 * 8, 2 * 2 * 8)
    assert row.dense == (3 + 2) * 8
    assert row.parameters == 8 * 3 + 8 * 2 + 8 + 8


# Independent counts ----------------------------------------------------------------------------


def fan_out(size, kernel, stride, padding, dilation):
    """For each place along one axis, how many outputs read it, by going through them all."""
    count = np.zeros(size, int)
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    for output, tap in itertools.product(range(outputs), range(kernel)):
        place = output * stride - padding + tap * dilation
        if 0 <= place < size:
            count[place] += 1
    return count


@pytest.mark.parametrize(
    "kernel, stride, padding, dilation, groups",
    [
        (3, 1, 0, 1, 1),
        (3, 1, 1, 1, 1),
        (5, 3, 2, 1, 1),
        (2, 2, 0, 1, 4),
        (3, 1, 2, 2, 2),
        (4, 3, 0, 2, 1),
    ],
)
def test_convolutions_at_every_border(kernel, stride, padding, dilation, groups):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = nn.Conv2d(4, 8, kernel, **options)
    x = (torch.rand(3, 2, 4, 11, 9) < 0.3).float()
    (row,) = snn.summary(nn.Sequential(layer), x)
    rows, columns = (fan_out(n, kernel, stride, padding, dilation) for n in (11, 9))
    each = 8 // groups * np.outer(rows, columns)
    assert row.dense == 4 * each.sum()
    assert row.operations == (x.numpy() * each).sum() / 2


def test_other_paddings_and_transposed_convolutions():
    x = (torch.rand(3, 1, 1, 6) < 0.5).float()
    circular = nn.Conv1d(1, 3, 3, padding=1, padding_mode="circular", bias=False)
    (row,) = snn.summary(circular, x)
    assert row.operations == 9 * x.sum()  # every element meets three taps of three kernels
    transposed = nn.ConvTranspose1d(1, 2, 3, stride=2, padding=1, output_padding=1)
    (row,) = snn.summary(transposed, x)
    # Element i reaches outputs 2i - 1 to 2i + 1 of 0 to 11.
    each = torch.tensor([sum(0 <= 2 * i - 1 + tap < 12 for tap in range(3)) for i in range(6)])
    assert row.operations == 2 * (x * each).sum()
    assert row.dense == 2 * each.sum()


class Loop(nn.Module):
    """A network that runs all its steps in one call and holds its states itself."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)
        self.lif = snn.Leaky(0.9, learn_beta=True)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        mem, spikes = self.lif.init_leaky(), []
        for _ in range(7):
            spk, mem = self.lif(self.scale * self.fc(x), mem)
            spikes.append(spk)
        return torch.stack(spikes)


def test_rates_equal_the_recorded_spikes():
    net, x = Loop(), 2 * torch.randn(8, 6)
    recorded = net(x)
    itself, fc, lif = snn.summary(net, x, num_steps=1)
    assert lif.rate == pytest.approx(recorded.mean().item())
    assert 0 < lif.rate < 1
    counts = recorded.sum(0)
    assert lif.silent == (counts == 0).all(0).sum()
    assert lif.saturated == (counts == 7).all(0).sum()
    assert fc.operations == fc.dense == 7 * 30
    assert (itself.path, itself.parameters, fc.path, lif.parameters) == ("", 1, "fc", 1)


def test_rates_of_a_sequential_network_equal_those_of_unroll():
    layers = [nn.Linear(6, 40), snn.Leaky(0.9, **HIDDEN), nn.Linear(40, 3)]
    net = nn.Sequential(*layers, snn.Leaky(0.8, **HIDDEN, output=True))
    with torch.no_grad():
        net[0].bias[0], net[0].bias[1] = -100, 100
    x = torch.randn(4, 6)
    rows = snn.summary(net, x, 12)
    hidden = snn.unroll(net[:2], x, 12)
    assert rows[1].rate == pytest.approx(hidden.mean().item())
    assert rows[2].operations == pytest.approx(3 * hidden.sum().item() / 4)
    assert rows[1].silent >= 1 and rows[1].saturated >= 1
    assert rows[3].rate == pytest.approx(snn.unroll(net, x, 12)[0].mean().item())
    assert rows.total("parameters") == sum(each.numel() for each in net.parameters())


def numbers(rows):
    """What a summary says of each layer, without its place."""
    return [(*vars(row).values(),)[1:] for row in rows]


def test_an_unrolled_network_has_the_numbers_of_its_steps():
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(0.9, threshold=0.3, **HIDDEN))
    x = torch.rand(7, 2, 4)
    steps, static = snn.summary(net, x), snn.summary(net, x[0], 7)
    for num_steps in (None, 1):
        rows = snn.summary(snn.Unroll(net), x, num_steps)
        assert numbers(rows) == numbers(steps)
        assert (rows.batch, rows.num_steps) == (2, 7)
    assert numbers(snn.summary(snn.Unroll(net, 7), x[0])) == numbers(static)
    assert steps[1].neurons == 3 and steps[0].operations == 7 * 4 * 3


def test_neurons_that_take_whole_sequences():
    layers = [snn.LinearLeaky(0.9, 3, 5, output=False), nn.Linear(5, 2), snn.LeakyParallel(2, 4)]
    net, x = nn.Sequential(*layers), torch.rand(7, 2, 3)
    membrane, linear, parallel = rows = snn.summary(net, x)
    assert (membrane.shape, membrane.rate, membrane.neurons) == ((2, 5), None, None)
    assert (membrane.operations, membrane.dense) == (7 * 15, 15)
    assert (linear.shape, linear.operations, linear.dense) == ((2, 2), 7 * 10, 10)
    assert (parallel.shape, parallel.neurons) == ((2, 4), 4)
    assert parallel.rate == pytest.approx(net(x).mean().item())
    assert rows.uncounted == ("2",)  # its weights are those of an nn.RNN
    assert numbers(snn.summary(snn.Unroll(net), x)) == numbers(rows)
    spiking = snn.StateLeaky(0.9, 3, threshold=0.5)
    (row,) = snn.summary(spiking, x)
    spikes, _ = spiking(x)
    assert row.rate == pytest.approx(spikes.mean().item())
    assert row.saturated == spikes.all(0).all(0).sum() and row.neurons == 3


# What it leaves alone --------------------------------------------------------------------------


def test_registered_layers_that_take_whole_sequences(monkeypatch):
    """Seven elements are not zero, and each takes part in two products."""

    class Delayed(nn.Linear):
        def forward(self, x):
            assert x.shape == (3, 1, 4)
            return super().forward(torch.cat((torch.zeros_like(x[:1]), x[:-1])))

    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))
    snn.register_layer(Delayed, "sequence")
    x = torch.tensor([[[1.0, 0, 1, 0]], [[0.0, 0, 0, 1]], [[1.0, 1, 1, 1]]])
    table = snn.summary(nn.Sequential(Delayed(4, 2)), x)
    assert table.num_steps == 3 and table[0].shape == (1, 2)
    assert table[0].additions == 2 * 7 and table[0].dense == 8


def test_nothing_is_changed():
    net = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), snn.Leaky(0.9, **HIDDEN)
    )
    x = torch.randn(5, 3, 4)
    net(x[0])
    mem, buffers = net[3].mem.clone(), {n: b.clone() for n, b in net.named_buffers()}
    state = torch.get_rng_state()
    snn.summary(net, x)
    assert torch.equal(net[3].mem, mem)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in net.named_buffers())
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())


def test_hooks_and_states_are_put_back_after_an_error():
    net = nn.Sequential(nn.Linear(4, 6), snn.Leaky(0.9, **HIDDEN), nn.Linear(5, 2))
    mem = torch.randn(1, 6)
    net[1].mem = mem
    with pytest.raises(RuntimeError):
        snn.summary(net, torch.randn(2, 3, 4))
    assert net[1].mem is mem
    assert not any(module._forward_hooks for module in net.modules())


@needs_2_1  # for weight_norm
def test_shared_parameters_count_once_and_parametrized_layers_count():
    tied = nn.Linear(4, 4, bias=False)
    tied.weight = (first := nn.Linear(4, 4)).weight
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 2, bias=False))
    net = nn.Sequential(first, tied, normed, snn.Leaky(0.5, **HIDDEN))
    rows = snn.summary(net, torch.ones(1, 4), 3)
    assert [row.parameters for row in rows] == [20, 0, 10, 0]
    assert rows[2].path == "2" and rows[2].dense == 8
    assert rows.total("parameters") == sum(each.numel() for each in net.parameters())


# Shown -----------------------------------------------------------------------------------------


def small():
    net = nn.Sequential(
        constant(nn.Linear(3, 2), 0.5),
        nn.Identity(),
        snn.Leaky(0.0, **HIDDEN),
    )
    return snn.summary(net, torch.ones(4, 1, 3))


def test_table():
    lines = str(small()).splitlines()
    assert lines[0].split("  ")[0] == "layer"
    cells = [line.split() for line in lines[1:5]]
    assert cells[0] == ["0", "Linear", "1x2", "8", "24", "6", "21.6", "pJ"]
    assert cells[1] == ["1", "Identity", "1x2"]
    assert cells[2] == ["2", "Leaky", "1x2", "2", "0.5000", "0", "0"]
    assert cells[3] == ["total", "8", "2", "0", "0", "24", "6", "21.6", "pJ"]
    text = " ".join(" ".join(lines[6:]).split())
    assert "over 4 time steps" in text and "27.6 pJ" in text  # 6 products of 4.6 pJ
    assert "0.9 pJ" in text and "Horowitz 2014" in text
    assert len({len(line) for line in (lines[0], lines[1], lines[4])}) == 1  # columns are flush


def test_unknown_layers_are_named():
    net = nn.Sequential(nn.Embedding(5, 4), snn.Leaky(0.9, **HIDDEN))
    rows = snn.summary(net, torch.tensor([[1, 2], [3, 4]]))
    assert rows.uncounted == ("0",)
    assert "not known for 0." in str(rows)
    assert str(rows).splitlines()[1].split()[-2:] == ["?", "?"]
    assert "not known for LSTM." in str(snn.summary(nn.LSTM(4, 3), torch.rand(2, 1, 4)))
    left_out = nn.Sequential(nn.LayerNorm([2, 4]), snn.GradedSpikes(4, 1.0))
    assert snn.summary(left_out, torch.rand(3, 1, 2, 4)).uncounted == ()


def test_plot():
    rates, work = small().plot()
    assert [bar.get_width() for bar in rates.patches] == [0.5]
    assert [bar.get_width() for bar in work.patches] == [24, 6]
    assert [text.get_text() for text in rates.get_yticklabels()] == ["2 Leaky"]
    assert [text.get_text() for text in work.get_yticklabels()] == ["0 Linear"]
    given = plt.figure().subplots(2)
    assert list(small().plot(given)) == list(given)
    with pytest.raises(ValueError, match="2 are needed"):
        small().plot(given[:1])
    plt.close("all")


@pytest.mark.parametrize(
    "net, x, num_steps, error, message",
    [
        (torch.relu, torch.ones(2, 3), None, TypeError, "net is a"),
        (nn.Identity(), [1.0], None, TypeError, "x is a list"),
        (nn.Identity(), torch.ones(2, 3), 0, ValueError, "num_steps=0"),
        (nn.Identity(), torch.tensor(1.0), 3, ValueError, r"x has shape \(\)"),
        (nn.Identity(), torch.ones(2, 0, 3), None, ValueError, r"\(2, 0, 3\)"),
    ],
)
def test_wrong_arguments(net, x, num_steps, error, message):
    with pytest.raises(error, match=message):
        snn.summary(net, x, num_steps)


def test_example_of_the_page(capsys):
    (block,) = python_blocks(ROOT / "docs" / "reference" / "summary.rst")
    names = {}
    exec(block, names)
    assert len(names["axes"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["Conv2d", "MaxPool2d"]
    assert names["rows"][0].dense == 8 * 25 * 24 * 24
    plt.close("all")
