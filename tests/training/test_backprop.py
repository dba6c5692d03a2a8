"""Training loops: against a plain loop, closed forms and what 1.0.0 gave."""

import sys

import numpy as np
import pytest
import torch
from project import TESTS, load_script
from torch import nn

import snntorch as snn
from snntorch import backprop, utils
from snntorch import functional as SF

GOLDEN = TESTS / "golden"
recorder = load_script(GOLDEN / "record_backprop.py")


def test_its_import_warns(monkeypatch):
    monkeypatch.delitem(sys.modules, "snntorch.backprop")
    text = r"The module snntorch\.backprop will be deprecated in  a future release\. "
    with pytest.warns(DeprecationWarning, match=text) as caught:
        import snntorch.backprop  # noqa: F401
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", recorder.RUNS)
def test_losses_are_those_of_release_1_0_0(name):
    recorded = np.load(GOLDEN / "backprop.npz")
    net = recorder.build_net()
    parameters = {key[2:]: torch.from_numpy(recorded[key]) for key in recorded if key[:2] == "p:"}
    net.load_state_dict(parameters)
    losses = recorder.losses(name, net, recorded["images"], recorded["labels"])
    np.testing.assert_allclose(losses, recorded[name], atol=1e-4)


# Against a plain loop ------------------------------------------------------------------------

STEPS, BATCH = 5, 3


class Block(nn.Module):
    """A module that unroll cannot take apart."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)
        self.neuron = snn.Synaptic(0.8, 0.7, init_hidden=True)

    def forward(self, x):
        return self.neuron(self.linear(x))


def leaky(**options):
    return snn.Leaky(0.8, threshold=0.3, **options)


LAST = {
    "hidden": lambda: leaky(init_hidden=True),
    "output": lambda: leaky(init_hidden=True, output=True),
    "open": lambda: leaky(),
    "synaptic": lambda: snn.Synaptic(0.8, 0.7, threshold=0.3, init_hidden=True, output=True),
}


def make_net(last="output"):
    torch.manual_seed(1)
    inner = nn.Sequential(nn.Linear(6, 6), snn.RLeaky(0.9, linear_features=6, init_hidden=True))
    return nn.Sequential(Block(), inner, nn.Linear(6, 3), LAST[last]())


def make_batches(*, static=False, time_first=True):
    torch.manual_seed(2)
    shape = (BATCH, 4) if static else (STEPS, BATCH, 4)
    data = [2 * torch.rand(shape) for _ in range(3)]
    if not time_first:
        data = [x.transpose(0, 1) for x in data]
    return [(x, torch.randint(3, (BATCH,))) for x in data]


def sgd(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr=lr)


def plain(net, batches, criterion, K, static=False, regularization=None):
    """Train step by step; return the average loss."""
    optimizer, total = sgd(net), 0.0
    for data, targets in batches:
        utils.reset(net)
        part = []
        for step in range(STEPS):
            out = net(data if static else data[step])
            part.append(out if isinstance(out, tuple) else (out,))
            if len(part) == K or step == STEPS - 1:
                outs = [torch.stack(each) for each in zip(*part, strict=True)]
                spikes = outs[0]
                membranes = criterion.__name__.endswith("membrane_loss")
                loss = criterion(outs[-1] if membranes else spikes, targets)
                if regularization:
                    loss = loss + regularization(spikes)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(part)
                utils.detach(net)
                part = []
    return total / (STEPS * len(batches))


def same_training(net, other):
    for (name, a), b in zip(net.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("K", [None, 1, 2, STEPS, STEPS + 1])
def test_training_is_a_plain_loop(last, K):
    net, other, batches, criterion = (
        make_net(last),
        make_net(last),
        make_batches(),
        SF.ce_rate_loss(),
    )
    if K is None:
        loss = backprop.BPTT(net, batches, sgd(net), criterion)
    else:
        loss = backprop.TBPTT(net, batches, sgd(net), criterion, K=K)
    assert loss.item() == pytest.approx(plain(other, batches, criterion, K or STEPS), rel=1e-5)
    assert not loss.requires_grad
    same_training(net, other)
    assert not torch.equal(net[0].linear.weight, make_net(last)[0].linear.weight)


@pytest.mark.parametrize("K", [None, 1, 2, STEPS])
def test_a_static_input_is_shown_at_every_step(K):
    net, other, batches, criterion = (
        make_net(),
        make_net(),
        make_batches(static=True),
        SF.ce_rate_loss(),
    )
    setup = {"optimizer": sgd(net), "criterion": criterion, "num_steps": STEPS, "time_var": False}
    if K is None:  # in the order of older code
        loss = backprop.BPTT(
            net,
            batches,
            num_steps=STEPS,
            optimizer=setup["optimizer"],
            criterion=criterion,
            time_var=False,
            device="cpu",
        )
    else:
        loss = backprop.TBPTT(net, batches, **setup, K=K)
    assert loss.item() == pytest.approx(
        plain(other, batches, criterion, K or STEPS, True), rel=1e-5
    )
    same_training(net, other)


def test_rtrl_is_an_update_at_every_step():
    net, other, batches, criterion = make_net(), make_net(), make_batches(), SF.ce_rate_loss()
    loss = backprop.RTRL(net, batches, sgd(net), criterion)
    assert loss.item() == pytest.approx(plain(other, batches, criterion, 1), rel=1e-5)
    same_training(net, other)


@pytest.mark.parametrize("train", [backprop.BPTT, backprop.TBPTT, backprop.RTRL])
def test_time_may_be_the_second_axis(train):
    net, other = make_net(), make_net()
    expected = train(other, make_batches(), sgd(other), SF.ce_rate_loss())
    batches = make_batches(time_first=False)
    loss = train(net, batches, sgd(net), SF.ce_rate_loss(), time_first=False)
    assert loss.item() == expected.item()
    same_training(net, other)


def test_a_static_input_has_no_time_axis_to_move():
    net, other, batches = make_net(), make_net(), make_batches(static=True)
    setup = SF.ce_rate_loss(), STEPS, False
    expected = backprop.BPTT(other, batches, sgd(other), *setup)
    assert backprop.BPTT(net, batches, sgd(net), *setup, time_first=False) == expected


def test_regularization_is_added_to_the_loss_of_every_part():
    def busy(spikes):
        assert set(spikes.unique().tolist()) <= {0, 1}
        return 0.3 * spikes.mean()

    for criterion in (SF.ce_rate_loss(), SF.mse_membrane_loss()):
        net, other, batches = make_net(), make_net(), make_batches()
        loss = backprop.TBPTT(net, batches, sgd(net), criterion, regularization=busy, K=2)
        expected = plain(other, batches, criterion, 2, regularization=busy)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        same_training(net, other)


# What the criterion gets ---------------------------------------------------------------------


@pytest.mark.parametrize("last", ["output", "open", "synaptic"])
@pytest.mark.parametrize("criterion", [SF.mse_membrane_loss(), SF.ce_max_membrane_loss()])
def test_membrane_losses_get_membranes(last, criterion):
    net, other, batches = make_net(last), make_net(last), make_batches()
    loss = backprop.BPTT(net, batches, sgd(net), criterion)
    assert loss.item() == pytest.approx(plain(other, batches, criterion, STEPS), rel=1e-5)
    assert loss.shape == ((1,) if criterion.__name__ == "mse_membrane_loss" else ())
    same_training(net, other)


def test_targets_that_vary_in_time_are_cut_alike():
    targets = torch.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 3
    seen = []

    def criterion(spikes, targets):
        seen.append(targets)
        return spikes.mean()

    criterion.time_var_targets = True
    net = make_net()
    for time_first, given in ((True, targets), (False, targets.T)):
        data = make_batches(time_first=time_first)[0][0]
        batches = [(data, given)]
        backprop.TBPTT(net, batches, sgd(net), criterion, time_first=time_first, K=2)
        assert [part.tolist() for part in seen] == [part.tolist() for part in targets.split(2)]
        seen.clear()


def test_a_library_loss_takes_targets_that_vary_in_time():
    net, data = make_net(), make_batches()[0][0]
    criterion = SF.mse_membrane_loss(time_var_targets=True)
    wanted = torch.rand(STEPS, BATCH, 3)
    utils.reset(net)
    membranes = torch.stack([net(x)[1] for x in data])
    loss = backprop.BPTT(net, [(data, wanted)], sgd(net), criterion)
    assert loss.item() == pytest.approx((membranes - wanted).square().mean().item())


# Truncation ----------------------------------------------------------------------------------


class Watched(torch.optim.SGD):
    """An optimizer that keeps the gradient of its only parameter and changes nothing."""

    def __init__(self, net):
        super().__init__(net.parameters(), lr=0)
        self.gradients = []

    def step(self):
        (parameter,) = self.param_groups[0]["params"]
        self.gradients.append(parameter.grad.item())


def sum_membrane_loss(membranes, targets):
    return membranes.sum()


@pytest.mark.parametrize("K", [1, 2, 3, 7])
def test_gradients_reach_back_to_the_start_of_a_part_and_no_further(K):
    neuron = snn.Leaky(0.5, reset_mechanism="none", init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(1, 1, bias=False), neuron)
    weight, x, steps = net[0].weight.item(), torch.rand(7), range(7)
    optimizer = Watched(net)
    batches = [(x.reshape(7, 1, 1), torch.zeros(1))]
    loss = backprop.TBPTT(net, batches, optimizer, sum_membrane_loss, K=K)

    # The membrane is the sum over s <= t of weight * beta^(t - s) * x[s]: its value knows all of
    # the past, its gradient only that since the start of the part.
    def traces(start):
        return [sum(0.5 ** (t - s) * x[s].item() for s in range(start(t), t + 1)) for t in steps]

    grads, values = traces(lambda t: t // K * K), traces(lambda t: 0)
    parts = [slice(start, start + K) for start in range(0, 7, K)]
    assert optimizer.gradients == pytest.approx([sum(grads[part]) for part in parts], rel=1e-5)
    weighed = sum(len(values[part]) * weight * sum(values[part]) for part in parts) / 7
    assert loss.item() == pytest.approx(weighed, rel=1e-5)


# The rest ------------------------------------------------------------------------------------


def test_batches_count_alike_whatever_their_length():
    losses = iter([1.0, 2.0, 4.0, 8.0])
    batches = [(torch.rand(3, 2, 4), torch.zeros(2)), (torch.rand(2, 1, 4), torch.zeros(1))]

    def given(spikes, targets):
        return 0 * spikes.sum() + next(losses)

    net = make_net()
    assert backprop.TBPTT(net, batches, sgd(net), given, K=2).item() == pytest.approx(
        ((2 * 1 + 2) / 3 + 4) / 2
    )


def test_the_network_trains_on_the_device():
    net = nn.Sequential(nn.Linear(4, 3), leaky(init_hidden=True)).eval()
    loss = backprop.BPTT(net, make_batches(), sgd(net), lambda s, y: s.mean(), device="meta")
    assert {loss.device.type, net[0].weight.device.type} == {"meta"}
    assert net.training


def test_as_many_steps_as_samples_are_no_cause_for_a_warning():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), leaky(init_hidden=True))
    batches = [(torch.rand(STEPS, 1, 5, 5), torch.zeros(STEPS))]
    backprop.BPTT(net, batches, sgd(net), lambda spk, _: spk.mean(), STEPS, False)


@pytest.mark.parametrize("progress", [False, True])
def test_progress_is_shown_when_asked_for(progress, capsys):
    net = make_net()
    backprop.BPTT(net, make_batches(), sgd(net), SF.ce_rate_loss(), progress=progress)
    assert ("3/3" in capsys.readouterr().err) == progress


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_steps": 5}, ValueError, "num_steps=5 with time_var=True"),
        ({"time_var": False}, ValueError, "num_steps is missing"),
        (
            {"time_var": False, "num_steps": 0},
            ValueError,
            "num_steps is 0; expected an integer of at least 1",
        ),
        ({"time_var": False, "num_steps": 2.5}, TypeError, "num_steps is 2.5; expected"),
        ({"time_var": False, "num_steps": 2, "K": 3}, ValueError, "K=3 is more than num_steps=2"),
        ({"K": 0}, ValueError, "K is 0; expected an integer of at least 1"),
        ({"K": "2"}, TypeError, "K is '2'; expected"),
        ({"K": True}, TypeError, "K is True; expected"),
        ({"net": None}, TypeError, "net is a NoneType"),
        ({"optimizer": None}, TypeError, "optimizer=None is not an optimizer"),
        (
            {"dataloader": [(torch.tensor(1.0), torch.zeros(3))]},
            ValueError,
            r"data of shape \(\), not \[T, B, ...\]",
        ),
        (
            {"dataloader": [(torch.ones(3), torch.zeros(3))], "time_first": False},
            ValueError,
            r"data of shape \(3,\), not \[B, T, ...\]",
        ),
        ({"criterion": "ce_rate_loss"}, TypeError, "criterion='ce_rate_loss' is not callable"),
        ({"regularization": True}, TypeError, "regularization=True is not callable"),
        ({"criterion": lambda s, y: s.mean(0)}, ValueError, r"shape \(3, 3\).*reduction='mean'"),
        ({"criterion": lambda s, y: 1.0}, ValueError, "float; one number"),
        ({"dataloader": []}, ValueError, "dataloader gives no batch"),
        ({"dataloader": [torch.rand(5, 3, 4)]}, TypeError, "dataloader gives a Tensor"),
        ({"dataloader": [(torch.rand(5, 3, 4), [0])]}, TypeError, "dataloader gives a tuple"),
        (
            {"dataloader": [(torch.rand(0, 3, 4), torch.zeros(3))]},
            ValueError,
            r"\(0, 3, 4\) without a time step",
        ),
        (
            {"criterion": SF.mse_membrane_loss(time_var_targets=True)},
            ValueError,
            "targets of 3 time steps for data of 5",
        ),
    ],
)
def test_bad_input_is_named_and_changes_nothing(options, error, message):
    net = make_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    setup = {"net": net, "optimizer": sgd(net), "dataloader": make_batches()}
    setup |= {"criterion": SF.ce_rate_loss(), **options}
    with pytest.raises(error, match=message):
        backprop.TBPTT(**setup)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_membrane_loss_needs_membranes():
    net = make_net("hidden")
    with pytest.raises(ValueError, match=r"ce_max_membrane_loss needs .* output=True"):
        backprop.BPTT(net, make_batches(), sgd(net), SF.ce_max_membrane_loss())
