"""What a loop in ``forward`` may hold: under ``snn.compile`` everything is as without it."""

import copy
import inspect
import traceback
from functools import partial

import numpy as np
import pytest
import torch
from loops import CASES, ONCE, B, N, Net, T, firing, hidden, hidden_states, lif, plain, steps
from releases import needs_2_4
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only
from twins import EXACT, assert_same, close, left_on, result, states_of

import snntorch as snn
from snntorch import surrogate

pytestmark = needs_2_4


@pytest.mark.parametrize("gradients", [True, False], ids=["gradients", "none"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_loop_as_plain(name, training, gradients):
    net = CASES[name]().double().train(training)
    want = assert_same(net, firing(T, B, N), calls=3, gradients=gradients)
    assert any(value.any() for value in want["values"]) or not want["values"]
    if gradients and want["gradients"]:
        assert any(grad is not None and grad.any() for grad in want["gradients"].values())


@pytest.mark.parametrize("name", CASES)
def test_loop_as_plain_on_the_reference(name):
    assert_same(CASES[name]().double(), firing(T, B, N), options={"backend": "reference"})


@pytest.mark.parametrize("name", ONCE)
def test_layers_run_once(name):
    net, x = snn.compile(CASES[name]().double()), firing(T, B, N)
    net(x)  # at first shapes are worked out too
    with torch.profiler.profile() as profile:
        net(x)
    ran = [event.name for event in profile.events()]
    assert ran.count("aten::linear") == ONCE[name]


# Neurons ---------------------------------------------------------------------------------------


def explicit(net, x):
    states = net.model.init(net.neuron)
    states = states if isinstance(states, tuple) else (states,)
    outs = []
    for x_t in x:
        outs.append(net.neuron(x_t, *states))
        states = outs[-1][-len(states) :]
    return [torch.stack(parts) for parts in zip(*outs, strict=True)]


def implicit(net, x):
    return torch.stack([net.neuron(x_t) for x_t in x])


class Single(nn.Module):
    def __init__(self, model, loop, **kwargs):
        super().__init__()
        self.neuron, self.model, self.loop = model.make(**kwargs), model, loop

    def forward(self, x):
        return self.loop(self, x)


@pytest.mark.costly
def test_every_neuron(model):
    x = model.input(T, B, dtype=torch.float64)
    for net in (Single(model, explicit), Single(model, implicit, init_hidden=True)):
        assert_same(net.double(), x, calls=2)


@pytest.mark.parametrize("slope", [surrogate.SSO(), surrogate.LSO()], ids=["SSO", "LSO"])
def test_slopes_that_draw(slope):
    assert_same(Net(plain, partial(lif, spike_grad=slope)).double(), firing(T, B, N))


def test_neurons_of_a_users_class():
    class Noisy(snn.Leaky):
        def forward(self, x, mem=None):
            return super().forward(x + 0.1 * torch.randn_like(x), mem)

    class Doubles(snn.Leaky):
        def fire(self, mem):
            return 2 * super().fire(mem)

    for cls in (Noisy, Doubles):
        assert_same(Net(plain, lambda cls=cls: cls(0.8, threshold=0.3)).double(), firing(T, B, N))


# Calls -----------------------------------------------------------------------------------------


def test_arguments_by_name():
    def loop(net, x, *, scale=1.0, rest=None):
        return scale * plain(net, x) + rest["offset"]

    net = Net(loop).double()

    def run(net, x, offset):
        return net(x=x, scale=0.5, rest={"offset": offset})

    assert_same(net, firing(T, B, N), firing(N), run=run)


def test_batches_of_different_sizes():
    net = Net(plain).double()

    def run(net, x):
        return [net(x[:, :rows]) for rows in (3, 2, 1, 3)], net(x[:2]), net(x)

    assert_same(net, firing(T, B, N), run=run)


def test_input_without_a_batch():
    assert_same(Net(plain).double(), firing(T, N))


def test_no_step_and_one_step():
    def loop(net, x):
        return [mem for *_, mem in steps(net, x)]

    net = Net(loop).double()
    assert snn.compile(net)(firing(0, B, N)) == []
    assert_same(net, firing(1, B, N))


def test_forward_that_returns_no_tensor():
    def loop(net, x):
        net.kept = [mem for *_, mem in steps(net, x)]

    want = assert_same(Net(loop).double(), firing(T, B, N))
    assert len(want["attributes"][".kept"]) == T


def test_arguments_written_in_place():
    def loop(net, x):
        x.mul_(0.9)
        for t in range(T):
            x[t] += 0.1 * t
        x[0, 0].zero_()
        return plain(net, x)

    def run(net, x):
        return net(own := x * 1), own

    assert_same(Net(loop).double(), firing(T, B, N), run=run)
    assert_same(Net(loop).double(), firing(T, B, N), gradients=False)


def test_arguments_written_after_they_were_used():
    def loop(net, x):
        out = [spk + mem for *_, spk, mem in steps(net, [x for _ in range(2)])]
        x.add_(1)
        return torch.stack(out + [mem for *_, mem in steps(net, [x for _ in range(2)])])

    assert_same(Net(loop).double(), firing(B, N), gradients=False)


def test_memory_shared_with_numpy():
    def loop(net, x):
        array, mem, out = x.numpy(), net.lif1.init_leaky(), []
        for _ in range(T):
            spk, mem = net.lif1(net.fc1(x), mem)
            array *= 0.8
            out.append(spk + mem + x)
        return torch.stack(out)

    assert_same(Net(loop).double(), firing(B, N), gradients=False)


def test_statistics_in_memory_of_numpy():
    def loop(net, x):
        return torch.stack([net.norm(x_t) for x_t in x])

    net, x = Net(loop, norm=lambda: nn.BatchNorm1d(N)).double(), firing(T, B, N)
    found = []
    for run in (net, snn.compile(net)):
        net.norm.running_mean = torch.from_numpy(np.zeros(N))
        net.norm.running_var = torch.from_numpy(np.ones(N))
        run(x)
        found.append((net.norm.running_mean.clone(), net.norm.running_var.clone()))
    torch.testing.assert_close(found[1], found[0])
    assert found[0][0].all()


def test_a_buffer_filled_step_by_step():
    def loop(net, x):
        mem, out = net.lif1.init_leaky(), []
        for x_t in x:
            net.frame.copy_(x_t)
            spk, mem = net.lif1(net.fc1(net.frame), mem)
            out.append(spk + mem)
        return torch.stack(out)

    net = Net(loop).double()
    net.register_buffer("frame", torch.zeros(B, N, dtype=torch.float64))
    assert_same(net, firing(T, B, N), gradients=False)


def test_weights_written_between_steps():
    def loop(net, x):
        out = []
        for spk1, _, _, mem2 in steps(net, x):
            net.fc1.weight.mul_(0.9)
            net.fc2.weight += 0.01 * spk1.T @ mem2
            out.append(mem2)
        return torch.stack(out)

    assert_same(Net(loop).double(), firing(T, B, N), gradients=False)


def test_training_inside_forward():
    """Truncated backpropagation: an optimizer steps within the loop."""

    def loop(net, x):
        optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.1), []
        mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
        for x_t in x:
            spk1, mem1 = net.lif1(net.fc1(x_t), mem1.detach())
            _, mem2 = net.lif2(net.fc2(spk1), mem2.detach())
            loss = (mem2 - 0.2).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    net, x = Net(loop).double(), firing(T, B, N)
    compiled = snn.compile(copy.deepcopy(net))
    torch.testing.assert_close([compiled(x) for _ in range(3)], [net(x) for _ in range(3)])
    torch.testing.assert_close(compiled.state_dict(), net.state_dict())


# What is returned ------------------------------------------------------------------------------


def changed_by_writing(leaves):
    """Return for each tensor which of them change when it is written."""
    found = []
    for leaf in leaves:
        before = [each.clone() for each in leaves]
        leaf.add_(1)
        pairs = zip(leaves, before, strict=True)
        found.append([not torch.equal(now, then) for now, then in pairs])
    return found


@pytest.mark.parametrize("gradients", [True, False])
def test_results_share_memory_only_where_plain_ones_do(gradients):
    def loop(net, x):
        rows = [*steps(net, x)]
        stacked = torch.stack([mem for *_, mem in rows])
        last = stacked[-1]
        net.kept = rows[2][0]
        ones = torch.ones(B, N, dtype=x.dtype)
        same = [net.fc1(ones) for _ in range(3)]  # which need not run three times
        return [*rows[0], *rows[-1], stacked, last, stacked.view(-1), *same, ones, ones[0]]

    net, x, found = Net(loop).double(), firing(T, B, N), []
    for twin in (copy.deepcopy(net), snn.compile(copy.deepcopy(net))):
        with torch.set_grad_enabled(gradients):
            out = [*twin(x), twin.kept, twin.lif1.mem, twin.lif2.mem]
        found.append(changed_by_writing([leaf.detach() for leaf in out]))
    assert found[1] == found[0]


def test_results_can_be_written_and_trained_on():
    def loop(net, x):
        return [mem for *_, mem in steps(net, x)], plain(net, x)

    def run(net, x):
        apart, whole = net(x)
        for each in apart[1:3]:
            each.mul_(0.5)
        whole.add_(1)[0].zero_()
        return apart, whole

    assert_same(Net(loop).double(), firing(T, B, N), run=run)


def test_last_states_hold_no_trace():
    net = snn.compile(Net(plain, hidden))
    net.loop = hidden_states
    with torch.no_grad():
        net(firing(50, B, N).float())
    for mem in (net.lif1.mem, net.lif2.mem):
        assert mem.untyped_storage().nbytes() == 4 * mem.numel()


def test_one_object_stays_one():
    def loop(net, x):
        *_, (_, _, spk, mem) = steps(net, x)
        return spk, [spk, mem], {"x": x}

    net, x = snn.compile(Net(loop).double()), firing(T, B, N)
    spk, (again, mem), rest = net(x)
    assert spk is again and rest["x"] is x
    assert torch.equal(net.lif2.mem, mem)


def test_second_backward_is_refused_as_in_plain():
    net, x = snn.compile(Net(plain).double()), firing(T, B, N)
    out = net(x)
    out.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.sum().backward()
    net(x).sum().backward()


# Exceptions ------------------------------------------------------------------------------------


class Stop(Exception):
    pass


def ticking(net, x):
    """Count after every operation, and stop at one of them."""

    def tick(value):
        net.left -= 1
        if net.left == 0:
            raise Stop
        return value

    out = []
    for x_t in x:
        current = tick(net.norm(tick(net.fc1(x_t))))
        spk1 = tick(net.lif1(current))
        net.newest = tick(spk1 * 2)
        spk2 = tick(net.lif2(tick(net.fc2(tick(F.dropout(net.newest, 0.3))))))
        net.seen.append(spk2)
        out.append(tick(spk2 + net.lif2.mem))
    return torch.stack(out)


def test_exception_after_any_operation_leaves_all_as_in_plain():
    net, x = Net(ticking, hidden, norm=lambda: nn.BatchNorm1d(N)).double(), firing(3, B, N)
    for stop in range(1, 3 * 8 + 1):
        found = []
        for twin in (copy.deepcopy(net), snn.compile(copy.deepcopy(net))):
            torch.manual_seed(1)
            twin.left, twin.seen = 0, []
            first, twin.left = twin(x), stop
            with pytest.raises(Stop):
                twin(x)
            after = states_of(twin), dict(twin.named_buffers()), left_on(twin), torch.rand(2)
            found.append((first, *tree_map_only(torch.Tensor, torch.clone, after), twin(x)))
        torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12, msg=f"at {stop}")


def lookup(net, tokens):
    return plain(net, [net.table(token) for token in tokens])


def line_of(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_an_error_of_a_layer_names_it_and_the_line():
    net = snn.compile(Net(lookup, table=lambda: nn.Embedding(7, N)).double())
    tokens = torch.randint(7, (T, B))
    net(tokens)
    tokens[3, 1] = 7
    with pytest.raises(IndexError, match="index out of range") as caught:
        net(tokens)
    text = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert "table" in text
    assert f"{line_of(lookup, 'net.table')}" in text and "test_compile.py" in text


def test_an_error_of_a_layer_leaves_no_lazy_state():
    net = snn.compile(Net(lookup, table=lambda: nn.Embedding(7, N)).double())
    with pytest.raises(IndexError, match="index out of range"):
        net(torch.full((T, B), 7))
    for neuron in (net.lif1, net.lif2):
        assert all(
            type(state) in (torch.Tensor, type(None)) for state in neuron._snn_kept().values()
        )
    snn.Leaky.detach_hidden()  # of all living neurons, these too
    assert torch.equal(net.lif2.mem, torch.zeros(0, dtype=torch.float64))


@pytest.mark.parametrize("bad", range(T))
def test_an_error_of_a_layer_leaves_the_states_as_in_plain(bad):
    def loop(net, tokens):
        return [net.lif2(net.fc2(net.lif1(net.table(token)))) for token in tokens]

    net = Net(loop, hidden, table=lambda: nn.Embedding(7, N)).double()
    tokens, found = torch.randint(7, (T, B)), []
    wrong = tokens.clone()
    wrong[bad, 1] = 7
    for twin in (copy.deepcopy(net), snn.compile(copy.deepcopy(net))):
        twin(tokens)
        with pytest.raises(IndexError, match="index out of range"):
            twin(wrong)
        found.append((states_of(twin), twin(tokens)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "loop",
    [
        lambda net, x: net.fc1(x[:, :, :3]),
        lambda net, x: [net.lif1(x_t, torch.ones(2, N)) for x_t in x],
        lambda net, x: torch.stack(
            [spk[..., : t + 1] for t, (spk, *_) in enumerate(steps(net, x))]
        ),
        lambda net, x: [spk + torch.zeros(7) for spk, *_ in steps(net, x)],
        lambda net, x: [spk.missing for spk, *_ in steps(net, x)],
        lambda net, x: x[T],
        lambda net, x: [mem.view(5, 5) for *_, mem in steps(net, x)],
        lambda net, x: [net.fc1.weight.add_(1) for _ in steps(net, x)],
        lambda net, x: [mem.long() @ mem for *_, mem in steps(net, x)],
        lambda net, x: [net.lif1(x_t, nothing=1) for x_t in x],
    ],
)
def test_mistakes_raise_what_they_raise_in_plain(loop):
    net, x = Net(loop).double(), firing(T, B, N)
    with pytest.raises(Exception) as plainly:
        copy.deepcopy(net)(x)
    with pytest.raises(plainly.type) as caught:
        snn.compile(copy.deepcopy(net))(x)
    first = str(caught.value).splitlines()[0].replace("'Lazy' object", "'Tensor' object")
    assert first == str(plainly.value).splitlines()[0]


def test_a_call_after_a_failure():
    def loop(net, x):
        out = plain(net, x)
        if net.fails:
            raise Stop
        return out

    net, x = Net(loop).double(), firing(T, B, N)
    net.fails = True
    compiled = snn.compile(copy.deepcopy(net))
    with pytest.raises(Stop):
        compiled(x)
    compiled.fails = net.fails = False
    close(result(compiled, x), result(net, x), EXACT[torch.float64])
