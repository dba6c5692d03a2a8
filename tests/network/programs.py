"""The texts of random networks with a loop over time, as users write them.

``compose`` draws statements from the tables below and tries each at once, on the values of the
first step, so that shapes fit without being worked out here. A program has these names::

    WAY                     "module", "function", or "lazy": how it is to be compiled
    Net                     the network, whose forward has the loop; or, if WAY is not "module",
    forward(net, x)         the function that has it
    make() -> net, x        makes a network and its input
    use(run, net, x)        calls ``run(x)``, the network or function, and returns what comes out

To add an ingredient, add a line to ``EXPRESSIONS``, ``EDITS`` or ``SUMMARIES``, or a function with
``@statement``, ``@record`` or ``@caller``. The numbers are weights.
"""

from __future__ import annotations

import random
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 400  # values in a tensor of one step

# The text ---------------------------------------------------------------------------------------

HEAD = """\
from collections import namedtuple

import torch
from torch import nn
from torch.nn import functional as F

import snntorch as snn
from snntorch import surrogate, utils
"""

MODULE = """
WAY = "module"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
{init}

    def forward(self, x):
{forward}
"""

FUNCTION = """
WAY = "{way}"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
{init}


def forward(net, x):
{forward}
"""

MAKE_AND_USE = """

def make():
    torch.manual_seed({seed})
{make}
    return net, x


def use(run, net, x):
{use}
"""

# What a program defines if it uses the name.
CLASSES = {
    "Result": 'Result = namedtuple("Result", "a b c d", defaults=(None,) * 3)\n',
    "Spike": """
class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad / (1 + 5 * u.abs()) ** 2
""",
    "Adapting": """
class Adapting(snn.Neuron):
    states = ("slow", "mem")
    membrane = "mem"

    def __init__(self, beta, rho, gain, **options):
        super().__init__(**options)
        self.parameter("beta", beta)
        self.parameter("rho", rho)
        self.parameter("gain", gain, learn=True)

    @staticmethod
    def update(x, slow, mem, beta, rho, gain):
        slow = rho * slow + gain * mem
        return slow, beta * mem + x - slow
""",
    "Bounded": """
class Bounded(snn.Neuron):
    states = ("mem",)

    def __init__(self, tau, **options):
        super().__init__(**options)
        self.parameter("tau", tau, learn=True)

    @property
    def decay(self):
        return torch.exp(-1 / self.tau)

    @staticmethod
    def step(x, mem, decay, threshold, spike, fired):
        mem = torch.tanh(decay * mem + x) * 2
        spk = spike(mem - threshold)
        return spk, mem * (1 - fired(mem - threshold))
""",
    "Block": """
class Block(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.fc = nn.Linear(n, m)
        self.lif = snn.Leaky(beta=0.7, threshold=0.3)

    def forward(self, x, mem):
        spk, mem = self.lif(self.fc(x), mem)
        return spk * 1.5, mem
""",
}


class Unfit(Exception):
    """An ingredient does not fit into this program here."""


@dataclass
class Draft:
    """A program under construction, with the values of its first step."""

    rng: random.Random
    way: str
    dtype: torch.dtype
    training: bool
    classes: set[str] = field(default_factory=set)
    init: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)  # the loop
    header: str = ""
    body: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    per_step: list[str] = field(default_factory=list)  # outputs that are lists with an entry a step
    values: list[str] = field(default_factory=list)  # names of this step's tensors, the newest last
    spikes: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)  # states that the program holds
    neurons: list[Layer] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)  # statements that close the body
    places: list[str] = field(default_factory=list)  # where the caller finds tensors in the result
    steps: int = 3
    raises: bool = False
    scope: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.net = nn.Module()
        self.me = "self" if self.way == "module" else "net"
        exec(HEAD, self.scope)
        self.scope |= {self.me: self.net, "self": self.net, "t": 0}

    # Names and numbers

    def name(self, stem: str) -> str:
        self.numbers[stem] += 1
        return f"{stem}{self.numbers[stem]}"

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, *options: Any) -> Any:
        return self.rng.choice(options)

    def number(self, low: float, high: float) -> float:
        return round(self.rng.uniform(low, high), 3)

    # Values of the first step

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.scope[name].shape)

    def value(self, least: int = 1, most: int = 9, among: list[str] | None = None) -> str:
        """Name a tensor of this step, rather a new one than an old one."""
        among = self.values if among is None else among
        fitting = [name for name in among if least <= self.scope[name].dim() <= most]
        if not fitting:
            raise Unfit
        return fitting[-1] if self.chance(0.65) else self.rng.choice(fitting)

    def like(self, name: str, among: list[str] | None = None) -> str:
        """Name another tensor of the same shape."""
        among = self.values if among is None else among
        same = [n for n in among if n != name and self.shape(n) == self.shape(name)]
        if not same:
            raise Unfit
        return self.rng.choice(same)

    # Text

    def layer(self, stem: str, text: str) -> str:
        """Make a layer, or anything else on the module."""
        name = self.name(stem)
        line = f"self.{name} = {text}"
        self.trial(line)
        self.init.append(line)
        self.net.to(self.dtype).train(self.training)
        return f"{self.me}.{name}"

    def needs(self, name: str) -> None:
        """Define one of ``CLASSES``."""
        if name not in self.classes:
            exec(CLASSES[name], self.scope)
            self.classes.add(name)

    def start(self, line: str) -> None:
        """Write a line before the loop."""
        self.trial(line)
        self.before.append(line)

    def trial(self, text: str) -> None:
        exec(f"for t in (0,):\n{textwrap.indent(text, '    ')}", self.scope)

    def run(self, text: str) -> None:
        """Write statements into the loop."""
        text = textwrap.dedent(text).strip("\n")
        self.trial(text)
        self.body.append(text)

    def note(self, *names: str, spikes: bool = False) -> None:
        """Make the results of a statement known as tensors of this step."""
        for name in names:
            value = self.scope[name]
            if not isinstance(value, Tensor) or not value.is_floating_point():
                raise Unfit
            if not 0 < value.numel() <= LARGEST or not value.dim() or not value.isfinite().all():
                raise Unfit
            for known in (self.values, self.spikes):
                if name in known:
                    known.remove(name)
            self.values.append(name)
        if spikes:
            self.spikes.append(names[0])

    def compute(self, expression: str, *operands: str) -> str:
        """Write ``name = expression``, at times under the name of an operand."""
        old = [name for name in operands if name.startswith("h")]
        name = self.rng.choice(old) if old and self.chance(0.25) else self.name("h")
        self.run(f"{name} = {expression}")
        self.note(name)
        return name

    def attempt(self, ingredient: Callable[[Draft], Any], label: str) -> bool:
        """Add an ingredient, or leave the draft as it was."""
        lists = [value for value in vars(self).values() if isinstance(value, list)]
        kept = [list(each) for each in lists]
        classes, numbers, scope = set(self.classes), Counter(self.numbers), dict(self.scope)
        used = Counter(self.used)
        modules = dict(self.net._modules)
        try:
            ingredient(self)
        except Exception:
            for each, before in zip(lists, kept, strict=True):
                each[:] = before
            self.classes, self.numbers, self.used = classes, numbers, used
            self.scope.clear()
            self.scope.update(scope)
            self.net._modules.clear()
            self.net._modules.update(modules)
            return False
        self.used[label] += 1
        return True


@dataclass
class Layer:
    """A neuron of the program."""

    name: str
    states: list[str]  # its variables, none if it hides them
    attributes: tuple[str, ...]


# Tables of ingredients --------------------------------------------------------------------------

Ingredient = Callable[[Draft], Any]
Table = dict[str, tuple[float, Ingredient]]
STATEMENTS: Table = {}
RECORDS: Table = {}
CALLERS: Table = {}


def into(table: Table, weight: float) -> Callable[[Ingredient], Ingredient]:
    def add(function: Ingredient) -> Ingredient:
        table[function.__name__] = weight, function
        return function

    return add


statement, record, caller = (partial(into, table) for table in (STATEMENTS, RECORDS, CALLERS))


def draw(draft: Draft, table: Table) -> tuple[str, Ingredient]:
    names = list(table)
    name = draft.rng.choices(names, [table[each][0] for each in names])[0]
    return name, table[name][1]


# How a step finds its input: the text before the loop, its header, and the input of the step.
# {T} is the number of steps, {k} the dimension of time from the end.
STATIC = [
    *[("", "for t in range({T}):", "x")] * 5,
    ("", "for t in range({T}):", "x * 0.5"),
    ("steps = {T}", "for t in range(steps):", "x"),
    ("t = -1", "while t < {T} - 1:\n    t += 1", "x"),
    ("", "for t in range({T}):", "(torch.rand_like(x) < x).to(x.dtype)"),
    ("", "for t in range({T}):", "torch.bernoulli(x.detach())"),
    ("", "for t in range({T}):", "x + 0.2 * torch.randn_like(x)"),
    ("", "for t in range({T}):", "x * (torch.rand(x.shape) < 0.6)"),
    ("", "for t in range({T}):", "x + 0.2 * torch.randn(x.shape, dtype=x.dtype)"),
    ("", "for t in range({T}):", "x * (1.0 if t % 2 else 0.5)"),
    ("", "for t in range({T}):", "x if t < 2 else torch.zeros_like(x)"),
    ("", "for t in range({T}):", "x * t / {T}"),
]
TIME_FIRST = [
    *[("", "for t in range(x.shape[0]):", "x[t]")] * 5,
    ("", "for t in range(x.size(0)):", "x[t]"),
    ("", "for t in range(len(x)):", "x[t] * 1.5"),
    ("", "for t in range(x.shape[0]):", "x[t, ...]"),
    ("", "for t in range(x.shape[0]):", "x.select(0, t)"),
    ("", "for t in range(x.shape[0]):", "x[t : t + 1].squeeze(0)"),
    ("", "for t in reversed(range(x.shape[0])):", "x[t]"),
    ("", "for t in range(x.shape[0]):", "x[t] - x[t - 1]"),
    ("", "for t in range(x.shape[0] - 1):", "x[t + 1]"),
    ("", "for t, x_t in enumerate(x):", "x_t"),
    ("", "for t, x_t in enumerate(x.unbind(0)):", "x_t"),
    ("", "for t, x_t in enumerate(torch.unbind(x)):", "x_t"),
    ("", "for t, x_t in zip(range({T}), x):", "x_t"),
    ("", "for t, x_t in enumerate(x.split(1)):", "x_t[0]"),
    ("", "for t, x_t in enumerate(list(x)):", "x_t"),
    ("", "for t in range(x.shape[0]):", "(torch.rand_like(x[t]) < x[t]).to(x.dtype)"),
    ("", "for t in range(x.shape[0]):", "torch.bernoulli(x[t].detach())"),
]
BATCH_FIRST = [
    *[("", "for t in range(x.shape[1]):", "x[:, t]")] * 4,
    ("", "for t in range(x.size(1)):", "x[:, t, :]"),
    ("", "for t in range(x.shape[1]):", "x[:, t, ...]"),
    ("", "for t in range(x.shape[1]):", "x.select(1, t)"),
    ("", "for t in range(x.shape[1]):", "x[:, t : t + 1].squeeze(1)"),
    ("", "for t in range(x.shape[1]):", "x[:, -1 - t]"),
    ("", "for t, x_t in enumerate(x.unbind(1)):", "x_t"),
    ("", "for t, x_t in enumerate(x.chunk({T}, dim=1)):", "x_t.squeeze(1)"),
    ("x = x.transpose(0, 1)", "for t in range(x.shape[0]):", "x[t]"),
    ("x = x.transpose(0, 1).contiguous()", "for t, x_t in enumerate(x):", "x_t"),
    ("x = torch.flip(x, [1])", "for t in range(x.shape[1]):", "x[:, t]"),
]
TIME_LAST = [
    ("", "for t in range(x.shape[-1]):", "x[..., t]"),
    ("", "for t in range(x.size(-1)):", "x.select(-1, t)"),
    ("", "for t, x_t in enumerate(x.unbind(-1)):", "x_t"),
    ("x = x.movedim(-1, 0)", "for t, x_t in enumerate(x):", "x_t"),
]
PLACES = [(STATIC, None), (TIME_FIRST, 0), (BATCH_FIRST, 1), (TIME_LAST, -1)]

# Expressions of one or two tensors of the same shape: {v}, {w}; {n} is the size of the last
# dimension, {r} a number, {me} the module, {layer...} a layer that is made from the text after it.
EXPRESSIONS: list[tuple[float, str]] = [
    (3, "torch.relu({v})"),
    (1, "F.relu({v}, inplace=False)"),
    (2, "torch.sigmoid({v})"),
    (2, "{v}.tanh()"),
    (1, "F.gelu({v})"),
    (1, "torch.exp(-{v}.abs())"),
    (1, "F.softmax({v}, dim=-1)"),
    (1, "{v}.softmax(1) * 2"),
    (2, "{v} * {r}"),
    (1, "{r} - {v}"),
    (1, "{v} / (1 + {v}.abs())"),
    (1, "{v} ** 2"),
    (1, "-{v}"),
    (1, "{v}.clamp(-0.5, 0.8)"),
    (1, "torch.clamp({v}, min=0)"),
    (1, "torch.where({v} > {r}, {v}, 0.5 * {v})"),
    (1, "torch.where({w} > 0, {v}, torch.zeros_like({v}))"),
    (1, "{v}.masked_fill({v} < 0, 0.1)"),
    (1, "{v} * ({w} > {r})"),
    (3, "{v} + {w}"),
    (2, "{v} - {w}"),
    (2, "{v} * {w}"),
    (1, "torch.maximum({v}, {w})"),
    (1, "torch.lerp({v}, {w}, {r})"),
    (2, "torch.cat([{v}, {w}], dim=1)"),
    (1, "torch.cat(({v}, {w}), dim=-1)"),
    (1, "torch.stack([{v}, {w}], dim=1)"),
    (1, "torch.stack([{v}, {w}]).mean(0)"),
    (2, "{v}.flatten(1)"),
    (1, "{v}.view({v}.size(0), -1)"),
    (1, "{v}.reshape({v}.shape[0], -1)"),
    (1, "{v}.transpose(1, 2)"),
    (1, "{v}.permute(0, 2, 1)"),
    (1, "{v}.unsqueeze(1)"),
    (1, "{v}.squeeze(1)"),
    (1, "{v}[:, :, None].expand(-1, -1, 2)"),
    (1, "{v}.repeat(1, 2)"),
    (1, "{v}[:, 1:]"),
    (1, "{v}[..., :2]"),
    (1, "{v}[:, [0, -1]]"),
    (1, "{v}.chunk(2, dim=1)[1]"),
    (1, "{v}.split(1, dim=-1)[0]"),
    (1, "{v}.index_select(1, torch.tensor([0, 1]))"),
    (1, "{v}.roll(1, -1)"),
    (1, "F.pad({v}, (1, 0))"),
    (1, "{v}.cumsum(-1)"),
    (1, "{v} - {v}.mean(dim=-1, keepdim=True)"),
    (1, "{v} / ({v}.std() + 1)"),
    (1, "{v} / ({v}.amax(dim=-1, keepdim=True) + 2)"),
    (1, "{v} * {v}.max()"),
    (1, "{v}.max(dim=-1, keepdim=True).values + {v}"),
    (1, "{v}.mean(dim=-1)"),
    (1, "{v}.mean(dim=(-1, -2))"),
    (1, "{v}.sum(1)"),
    (1, "{v}.amax(dim=1)"),
    (1, "{v} - {v}.mean(0)"),
    (1, "{v}.norm(dim=-1, keepdim=True) * {v}"),
    (1, "{v}.topk(2, dim=-1).values"),
    (1, "{v}.sort(dim=-1)[0]"),
    (1, "F.one_hot({v}.argmax(-1), {n}).to({v}.dtype)"),
    (1, "F.normalize({v} + 1, dim=-1)"),
    (1, "{v}.clone()"),
    (1, "{v}.contiguous()"),
    (1, "{v}.detach()"),
    (1, "{v} + {w}.detach()"),
    (1, "{v}.double().to({v}.dtype)"),
    (1, "({v} > 0).float() + {v}"),
    (3, "F.dropout({v}, {r}, training=TRAINING)"),
    (1, "{v} + 0.1 * torch.randn_like({v})"),
    (1, "{v} * torch.bernoulli(torch.full_like({v}, 0.7))"),
    (1, "{v} * torch.rand({n}, dtype={v}.dtype)"),
    (1, "F.max_pool1d({v}, 2)"),
    (2, "F.max_pool2d({v}, 2)"),
    (1, "F.avg_pool2d({v}, 2)"),
    (1, "F.adaptive_avg_pool2d({v}, 1)"),
    (1, "F.interpolate({v}, scale_factor=2.0)"),
    (1, "{v}.t()"),
    (8, "{layer fc nn.Linear({n}, {m})}({v})"),
    (2, "{layer fc nn.Linear({n}, {n}, bias=False)}({v}) + {v}"),
    (3, "{layer conv nn.Conv2d({c}, {m}, 3, padding=1)}({v})"),
    (1, "{layer conv nn.Conv2d({c}, {m}, 3)}({v})"),
    (3, "{layer conv nn.Conv1d({c}, {m}, 3, padding=1)}({v})"),
    (2, "{layer pool nn.MaxPool2d(2)}({v})"),
    (1, "{layer pool nn.AvgPool2d(2)}({v})"),
    (1, "{layer pool nn.MaxPool1d(2)}({v})"),
    (1, "{layer pool nn.AvgPool1d(2)}({v})"),
    (3, "{layer bn nn.BatchNorm1d({c})}({v})"),
    (2, "{layer bn nn.BatchNorm2d({c})}({v})"),
    (1, "{layer bn nn.BatchNorm1d({c}, momentum=None)}({v})"),
    (2, "{layer norm nn.LayerNorm({n})}({v})"),
    (1, "{layer norm nn.GroupNorm(1, {c})}({v})"),
    (3, "{layer drop nn.Dropout({r})}({v})"),
    (1, "{layer drop nn.Dropout2d({r})}({v})"),
    (1, "{layer act nn.ReLU(inplace=True)}({v} * 1.0)"),
    (1, "{layer act nn.PReLU()}({v})"),
    (1, "{layer flat nn.Flatten()}({v})"),
    (1, "{layer net nn.Sequential(nn.Linear({n}, {m}), nn.ReLU(), nn.Linear({m}, {n}))}({v})"),
    (2, "{v} @ {layer w nn.Parameter(torch.randn({n}, {m}) * 0.5)}"),
    (1, "torch.matmul({v}, {layer w nn.Parameter(torch.randn({n}, {m}) * 0.5)})"),
    (1, 'torch.einsum("...i,ij->...j", {v}, {layer w nn.Parameter(torch.randn({n}, {m}))})'),
    (1, "F.linear({v}, {layer w nn.Parameter(torch.randn({m}, {n}) * 0.5)})"),
    (1, "{v} * {layer scale nn.Parameter(torch.rand({n}) + 0.5)}"),
    (1, "{v} + {layer bias nn.Parameter(torch.zeros(1))}"),
    (1, "torch.bmm({v}.unsqueeze(2), {w}.unsqueeze(1))"),
    (1, "F.scaled_dot_product_attention({v}, {v}, {w})"),
    (1, "F.scaled_dot_product_attention({v}, {w}, {v}, dropout_p=0.2)"),
    (1, "{layer att nn.MultiheadAttention({n}, 1, batch_first=True)}({v}, {v}, {v})[0]"),
]


def express(draft: Draft, template: str) -> None:
    """Write an expression; a hole is filled once, by the same text everywhere."""
    v = draft.value()
    shape = draft.shape(v)
    fill = {
        "v": v,
        "n": shape[-1],
        "c": shape[1] if len(shape) > 1 else shape[0],
        "m": draft.rng.randint(2, 6),
        "r": draft.number(0.1, 0.6),
    }
    if "{w}" in template:
        fill["w"] = draft.like(v)
    text = template.replace("TRAINING", draft.pick(f"{draft.me}.training", "True"))
    while (at := text.find("{layer ")) >= 0:  # the braces in it are balanced
        depth, end = 0, at
        while depth or end == at:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        _, stem, made = text[at + 1 : end - 1].split(" ", 2)
        text = text[:at] + draft.layer(stem, made.format(**fill)) + text[end:]
    draft.compute(text.format(**fill), v)


def stem_of(template: str) -> str:
    """Name an expression in the counts."""
    return template.replace("{v}", "v").replace("{w}", "w").replace("{layer ", "{")[:60]


for weight, template in EXPRESSIONS:
    STATEMENTS[stem_of(template)] = 0.4 * weight, partial(express, template=template)


# Neurons ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    weight: float
    text: str  # of the constructor, up to its options
    states: tuple[str, ...]
    init: str = "init_states"
    options: tuple[str, ...] = ()
    resets: bool = True
    needs: str | None = None


LIF = ("learn_beta=True", "learn_beta=True", "graded_spikes_factor=0.7", "inhibition=True")
DELAY = ("reset_delay=False",)
KINDS = (
    Kind(10, "snn.Leaky(beta={beta}", ("mem",), "init_leaky", LIF + DELAY),
    Kind(2, "snn.Leaky(beta=torch.linspace(0.4, 0.9, {n})", ("mem",), "init_leaky", LIF + DELAY),
    Kind(3, "snn.Synaptic(alpha={beta}, beta=0.8", ("syn", "mem"), "init_synaptic", LIF + DELAY),
    Kind(1, "snn.Alpha(alpha=0.9, beta={low}", ("exc", "inh", "mem"), "init_alpha", LIF),
    Kind(1, "snn.Lapicque(beta={beta}", ("mem",), "init_lapicque", LIF),
    Kind(2, "snn.RLeaky(beta={beta}, linear_features={n}", ("spk", "mem"), "init_rleaky", DELAY),
    Kind(1, "snn.RLeaky(beta={beta}, all_to_all=False, V={low}", ("spk", "mem"), "init_rleaky"),
    Kind(
        1,
        "snn.RSynaptic(alpha=0.7, beta={beta}, linear_features={n}",
        ("spk", "syn", "mem"),
        "init_rsynaptic",
    ),
    Kind(
        1,
        "snn.RSynaptic(alpha=0.7, beta={beta}, all_to_all=False, V={low}",
        ("spk", "syn", "mem"),
        "init_rsynaptic",
    ),
    Kind(2, "snn.SLSTM({n}, {m}", ("syn", "mem"), "init_slstm", resets=False),
    Kind(1, "snn.PLIF(tau=2.5", ("mem",), options=("reset_delay=True",)),
    Kind(1, "snn.ALIF(alpha={beta}, rho=0.9", ("spk", "mem", "adaptation"), resets=False),
    Kind(1, "Adapting(beta={beta}, rho=0.8, gain=0.1", ("slow", "mem"), needs="Adapting"),
    Kind(1, "Bounded(tau=3.0", ("mem",), resets=False, needs="Bounded"),
)
SURROGATES = (
    "surrogate.fast_sigmoid(5)",
    "surrogate.fast_sigmoid(slope=25)",
    "surrogate.atan()",
    "surrogate.atan(alpha=1.0)",
    "surrogate.sigmoid(slope=4)",
    "surrogate.straight_through_estimator()",
)


def make_neuron(draft: Draft, v: str, kind: Kind, *more: str) -> str:
    """Make a neuron with some options for an input."""
    options = [*more, f"threshold={draft.number(0.1, 0.7)}"]
    options += draft.rng.sample(kind.options, min(len(kind.options), draft.pick(0, 0, 1, 2)))
    if draft.chance(0.3):
        options.append(f"spike_grad={draft.rng.choice(SURROGATES)}")
    elif draft.chance(0.02):
        options.append("spike_grad=surrogate.SSO()")
    if draft.chance(0.15):
        options.append("learn_threshold=True")
    if kind.resets and draft.chance(0.35):
        options.append(f'reset_mechanism="{draft.pick("zero", "zero", "none", "subtract")}"')
    draft.used[f"neuron {kind.text.split('(')[0]}"] += 1
    if kind.needs:
        draft.needs(kind.needs)
    n, m = draft.shape(v)[-1], draft.rng.randint(2, 5)
    text = kind.text.format(n=n, m=m, beta=draft.number(0.5, 0.95), low=draft.number(0.2, 0.8))
    return draft.layer("lif", ", ".join([text, *dict.fromkeys(options)]) + ")")


def kind_of_neuron(draft: Draft) -> Kind:
    return draft.rng.choices(KINDS, [kind.weight for kind in KINDS])[0]


def begin_hidden(draft: Draft, layer: str) -> None:
    """Reset a neuron with hidden states before the loop, as most do."""
    reset = f"utils.reset({draft.me})"
    if reset not in draft.before and draft.chance(0.85):
        draft.start(reset if draft.chance(0.8) else f"{layer}.reset_hidden()")


@statement(12)
def explicit_neuron(draft: Draft) -> None:
    """A neuron whose states are variables."""
    v, kind = draft.value(), kind_of_neuron(draft)
    layer = make_neuron(draft, v, kind)
    number = draft.numbers["lif"]
    names = [f"{state}{number}" for state in kind.states]
    given = [f"spk{number}", *(name for name in names if not name.startswith("spk"))]
    call = f"{', '.join(given)} = {layer}({', '.join((v, *names))})"
    way = draft.pick("init", "init", "init", "zeros", "none", "random", "left out")
    if way == "left out":
        call = f"{', '.join(given)} = {layer}({v})"
    elif way == "init":
        draft.start(f"{', '.join(names)} = {layer}.{kind.init}()")
    else:
        size = state_shape(draft, v, layer)
        values = {
            "zeros": f"torch.zeros({size}, dtype=x.dtype)",
            "none": "None",
            "random": f"torch.rand({size}, dtype=x.dtype)",
        }
        for name in names:
            draft.start(f"{name} = {values[way]}")
    draft.run(call)
    draft.note(*given, spikes=True)
    states = [name for name in names if not name.startswith("spk")]
    if way != "left out":
        draft.carried.extend(states)
    draft.neurons.append(Layer(layer, states, kind.states[-1:]))


def state_shape(draft: Draft, v: str, layer: str) -> tuple[int, ...]:
    module = getattr(draft.net, layer.split(".")[1])
    return tuple(module._snn_state_shape(draft.scope[v]))


@statement(8)
def hidden_neuron(draft: Draft) -> None:
    """A neuron that keeps its states."""
    v, kind = draft.value(), kind_of_neuron(draft)
    output = draft.chance(0.35)
    more = ["init_hidden=True"] + ["output=True"] * output
    if draft.chance(0.06):
        more.append("refractory=2")
    layer = make_neuron(draft, v, kind, *more)
    number = draft.numbers["lif"]
    begin_hidden(draft, layer)
    if output:
        names = [name for name in kind.states if name != "spk"]
        given = [f"{name}{number}" for name in ("spk", *names)]
        given += [f"rest{number}"] * ("refractory=2" in more)
        draft.run(f"{', '.join(given)} = {layer}({v})")
        draft.note(*given[: 1 + len(names)], spikes=True)
    else:
        draft.run(f"spk{number} = {layer}({v})")
        draft.note(f"spk{number}", spikes=True)
    attributes = tuple(name for name in kind.states if name in ("mem", "syn", "slow"))
    draft.neurons.append(Layer(layer, [], attributes))


@statement(2)
def list_of_layers(draft: Draft) -> None:
    """Layers and neurons in module lists, with a list of membranes."""
    v = draft.value()
    n = draft.shape(v)[-1]
    layers = draft.layer("fcs", f"nn.ModuleList([nn.Linear({n}, {n}) for _ in range(2)])")
    beta = draft.number(0.5, 0.9)
    neuron = f"snn.Leaky(beta={beta}, threshold=0.3)"
    neurons = draft.layer("lifs", f"nn.ModuleList([{neuron} for _ in range(2)])")
    mems, h = draft.name("mems"), draft.name("h")
    draft.start(f"{mems} = [lif.init_leaky() for lif in {neurons}]")
    draft.run(
        f"""
        {h} = {v}
        for i, (fc, lif) in enumerate(zip({layers}, {neurons}, strict=True)):
            {h}, {mems}[i] = lif(fc({h}), {mems}[i])
        """
    )
    draft.note(h, spikes=True)


@statement(2)
def block(draft: Draft) -> None:
    """A module of the user that passes the state through."""
    draft.needs("Block")
    v = draft.value()
    layer = draft.layer("block", f"Block({draft.shape(v)[-1]}, {draft.rng.randint(2, 6)})")
    h, state = draft.name("h"), draft.name("state")
    draft.start(f"{state} = {layer}.lif.init_leaky()")
    draft.run(f"{h}, {state} = {layer}({v}, {state})")
    draft.note(h)
    draft.carried.append(state)


@statement(3)
def sequential(draft: Draft) -> None:
    """Layers and hidden neurons in an ``nn.Sequential``."""
    v = draft.value()
    n, m = draft.shape(v)[-1], draft.rng.randint(2, 6)
    neuron = "snn.Leaky(beta=0.8, threshold=0.3, init_hidden=True"
    layers = [f"nn.Linear({n}, {m})", f"{neuron})", f"nn.Linear({m}, {n})"]
    ending = draft.pick([], ["nn.Dropout(0.3)"], [f"{neuron})"], [f"{neuron}, output=True)"])
    layer = draft.layer("net", f"nn.Sequential({', '.join([*layers, *ending])})")
    begin_hidden(draft, f"{layer}[1]")
    h = draft.name("h")
    if ending and "output" in ending[0]:
        draft.run(f"{h}, {draft.name('mem_out')} = {layer}({v})")
    else:
        draft.run(f"{h} = {layer}({v})")
    draft.note(h)
    draft.neurons.append(Layer(f"{layer}[1]", [], ("mem",)))


@statement(2)
def shared_neuron(draft: Draft) -> None:
    """A neuron that is called at a second place."""
    neuron = draft.rng.choice(draft.neurons or [None])
    if neuron is None or neuron.name.endswith("]"):
        raise Unfit
    module = getattr(draft.net, neuron.name.split(".")[1])
    size = module.mem.shape
    fitting = [name for name in draft.values if draft.scope[name].shape == size]
    v, h = draft.value(among=fitting), draft.name("h")
    if neuron.states and draft.chance(0.5):
        result = ", ".join((h, *neuron.states))
        states = neuron.states if len(module.states) == len(neuron.states) else []
        draft.run(f"{result} = {neuron.name}({', '.join((v, *states))})")
    elif module.init_hidden and not module.output:
        draft.run(f"{h} = {neuron.name}({v})")
    else:
        draft.run(f"{h}, *_ = {neuron.name}({v})")
    draft.note(h, spikes=True)


@statement(3)
def neuron_by_hand(draft: Draft) -> None:
    """A neuron in operations, with a surrogate called directly."""
    v, mem, spk = draft.value(), draft.name("u"), draft.name("s")
    fire = draft.pick("made", "apply", "in forward")
    if fire == "made":
        spike = draft.layer("spike", draft.rng.choice(SURROGATES))
    elif fire == "apply":
        draft.needs("Spike")
        spike = "Spike.apply"
    else:
        spike = draft.name("spike")
        draft.start(f"{spike} = {draft.rng.choice(SURROGATES)}")
    decay, threshold = draft.number(0.5, 0.95), draft.number(0.2, 0.6)
    draft.start(f"{mem} = {draft.pick('0.0', f'torch.zeros({draft.shape(v)}, dtype=x.dtype)')}")
    reset = draft.pick(
        f"{mem} = {mem} - {spk}.detach() * {threshold}",
        f"{mem} = {mem} - {spk} * {threshold}",
        f"{mem} = {mem} * (1 - {spk})",
        f"{mem} = torch.where({spk} > 0, torch.zeros_like({mem}), {mem})",
        f"{mem}[{spk} > 0] = 0",
    )
    draft.run(
        f"""
        {mem} = {decay} * {mem} + {v}
        {spk} = {spike}({mem} - {threshold})
        {reset}
        """
    )
    draft.note(spk, mem, spikes=True)
    draft.carried.append(mem)


@statement(1)
def surrogate_alone(draft: Draft) -> None:
    draft.needs("Spike")
    v = draft.value()
    spike = draft.pick("Spike.apply", "surrogate.fast_sigmoid(10)", "surrogate.atan()")
    draft.note(draft.compute(f"{spike}({v} - {draft.number(0.1, 0.5)})"), spikes=True)


@statement(1)
def recurrent_cell(draft: Draft) -> None:
    v, state, m = draft.value(2, 2), draft.name("cell"), draft.rng.randint(2, 5)
    n, size = draft.shape(v)[-1], (draft.shape(v)[0], m)
    layer = draft.layer("gru", f"nn.GRUCell({n}, {m})")
    draft.start(draft.pick(f"{state} = None", f"{state} = torch.zeros({size}, dtype=x.dtype)"))
    draft.run(f"{state} = {layer}({v}, {state})")
    draft.note(state)
    draft.carried.append(state)


# Connections through time -----------------------------------------------------------------------


@statement(3)
def delay(draft: Draft) -> None:
    """A tensor of the step before goes into another layer."""
    v, late = draft.value(), draft.name("late")
    n = draft.shape(v)[-1]
    zeros = draft.pick(f"torch.zeros({draft.shape(v)}, dtype=x.dtype)", f"x.new_zeros({n})")
    draft.start(f"{late} = {zeros}")
    form = draft.pick("layer", "product", "plain")
    if form == "layer":
        draft.compute(f"{draft.layer('fc', f'nn.Linear({n}, {n})')}({late}) + {v}", v)
    elif form == "product":
        weight = draft.layer("w", f"nn.Parameter(torch.randn({n}, {n}) * 0.3)")
        draft.compute(f"{v} + {late} @ {weight}", v)
    else:
        draft.compute(f"{v} + {draft.number(0.1, 0.5)} * {late}", v)
    source = draft.rng.choice([v, *draft.spikes])
    if draft.shape(source) != draft.shape(v):
        source = v
    draft.late.append(f"{late} = {source}{draft.pick('', '', '.detach()', '.clone()')}")


@statement(3)
def feedback(draft: Draft) -> None:
    """Spikes of the step before go into the same neuron."""
    v, prev, mem = draft.value(2), draft.name("prev"), draft.name("m")
    n = draft.shape(v)[-1]
    weight = draft.layer("w", f"nn.Parameter(torch.randn({n}, {n}) * 0.3)")
    layer = draft.layer("lif", f"snn.Leaky(beta=0.8, threshold={draft.number(0.2, 0.6)})")
    draft.start(f"{mem} = {layer}.init_leaky()")
    draft.start(f"{prev} = torch.zeros({draft.shape(v)}, dtype=x.dtype)")
    draft.run(f"{prev}, {mem} = {layer}({v} + {prev} @ {weight}, {mem})")
    draft.note(prev, mem, spikes=True)
    draft.carried.append(mem)


@statement(1)
def queue_of_spikes(draft: Draft) -> None:
    """A delay of two steps in a list."""
    v, queue = draft.value(), draft.name("queue")
    draft.start(f"{queue} = [torch.zeros({draft.shape(v)}, dtype=x.dtype)] * 2")
    draft.run(f"{queue}.append({v})")
    draft.compute(f"{queue}.pop(0)")


# Edits ------------------------------------------------------------------------------------------

EDITS = [
    "{s} = {s} * 0.9",
    "{s} = {s} + 0.1 * {v}",
    "{s} = {s}.clamp(-1, 1)",
    "{s} = {s}.detach()",
    "{s} = torch.where({v} > 0.5, {s}, 0.5 * {s})",
    "{s}[{v} > 0.5] = 0",
    "{s}[:, 0] = 0",
    "{s}[..., -1] = {v}[..., -1]",
    "{s}[0] += 0.1",
    "{s}.clamp_(-1, 1)",
    "{s}.clamp_(min=0)",
    "{s}.mul_(0.9)",
    "{s} += {v}",
    "{s} *= 0.8",
    "{s} -= 0.05",
    "{s}.add_({v}, alpha=0.1)",
    "{s}.masked_fill_({v} > 0.8, 0.0)",
    "{s}.view(-1)[0] = 0.2",
    "part = {s}[:, 1:]\npart.mul_(0.5)",
    "part = {s}.view({s}.shape[0], -1)\npart += 0.1",
    "part, _ = {s}.chunk(2, dim=1)\npart.zero_()",
    "part = {s}.t()\npart.mul_(0.9)",
    "{s}.copy_({v})",
    "{s}.zero_()",
    "{s}.index_fill_(1, torch.tensor([0]), 0.1)",
    "with torch.no_grad():\n    {s}.mul_(0.9)",
    "with torch.no_grad():\n    {s} = {s} * 0.9",
    "{s}.detach().mul_(0.9)",
    "{s}.requires_grad_(True)",
    "torch.mul({s}, 0.5, out={s})",
]


@statement(9)
def edit(draft: Draft) -> None:
    """A state or value is changed, in place or not, at every step or some."""
    among = draft.carried if draft.carried and draft.chance(0.6) else draft.values
    s = draft.value(among=among)
    text = draft.rng.choice(EDITS)
    draft.used["edit: " + text.replace("\n", " ")] += 1
    v = draft.like(s) if "{v}" in text else ""
    text = text.format(s=s, v=v)
    if draft.chance(0.25):
        condition = draft.pick("t % 2", "t == 2", "t > 1", f"{s}.sum() > 0.5")
        text = f"if {condition}:\n{textwrap.indent(text, '    ')}"
    draft.run(text)
    draft.note(s)


@statement(2)
def hidden_state(draft: Draft) -> None:
    """A state of a neuron is read or set."""
    neuron = draft.rng.choice(draft.neurons or [None])
    if neuron is None or not neuron.attributes:
        raise Unfit
    state = f"{neuron.name}.{draft.rng.choice(neuron.attributes)}"
    text = draft.pick(
        "read", "read", "{s} = {s} * 0.8", "{s} = {s}.detach()", "{s} += 0.1", "{s}.clamp_(max=0.6)"
    )
    if text == "read":
        draft.compute(f"{state} * 1.0" if draft.chance(0.5) else state)
    elif draft.chance(0.3):
        draft.run(f"if t % 2:\n    {text.format(s=state)}")
    else:
        draft.run(text.format(s=state))


@statement(1)
def reset_amid(draft: Draft) -> None:
    """Neurons are reset or detached at one step."""
    neuron = draft.rng.choice(draft.neurons or [None])
    if neuron is None:
        raise Unfit
    text = draft.pick(
        f"utils.reset({draft.me})",
        f"{neuron.name}.reset_hidden()",
        f"utils.detach({draft.me})",
        f"{neuron.name}.detach_hidden()",
    )
    draft.run(f"if t == {draft.rng.randint(1, 3)}:\n    {text}")


@statement(1)
def swap(draft: Draft) -> None:
    """Two states change places."""
    a = draft.value(among=draft.carried)
    b = draft.like(a, among=draft.carried)
    text = f"{a}, {b} = {b}, {a}"
    draft.run(f"if t % 2:\n    {text}" if draft.chance(0.5) else text)


@statement(2)
def branch(draft: Draft) -> None:
    """What is computed depends on the step, or on values."""
    v = draft.value()
    h = draft.name("h")
    condition = draft.pick(
        "t % 2",
        "t == 0",
        "t >= 2",
        f"{v}.sum() > 0.5",
        f"bool({v}.mean() > 0)",
        f"({v} > 0).any()",
        f"float({v}.max()) > 0.7",
        f"{v}.shape[0] > 1",
        f"{v}.abs().sum().item() > 1",
        f"torch.equal({v}, {v} * 2)",
    )
    other = draft.pick(f"{v} * 0.5", f"torch.relu({v})", f"torch.zeros_like({v})", f"{v} + 0.1")
    text = f"if {condition}:\n    {h} = {v}\nelse:\n    {h} = {other}"
    draft.run(text)
    draft.note(h)


@statement(1)
def no_gradient(draft: Draft) -> None:
    """A part of the step without gradients."""
    v, h = draft.value(), draft.name("h")
    n = draft.shape(v)[-1]
    block = draft.pick("torch.no_grad()", "torch.no_grad()", "torch.set_grad_enabled(t % 2 == 0)")
    layer = draft.layer("fc", f"nn.Linear({n}, {n})")
    draft.run(f"with {block}:\n    {h} = {layer}({v})")
    draft.note(h)


@statement(1)
def value_read(draft: Draft) -> None:
    """A number is read from a tensor and used."""
    v = draft.value()
    number = draft.pick(
        f"{v}.abs().max().item()",
        f"float({v}.mean())",
        f"int(({v} > 0).sum())",
        f"{v}.detach().numpy().sum()",
        f"sum({v}.flatten().tolist())",
        f"len({v})",
        f"{v}[0].sum().item()",
        f"{v}.size(-1)",
    )
    draft.compute(f"{v} * (0.5 + 0.01 * {number})", v)


@statement(1)
def leave_early(draft: Draft) -> None:
    v = draft.value()
    draft.run(
        draft.pick(
            "if t == 3:\n    break",
            "if t % 3 == 1:\n    continue",
            f"if {v}.sum() > {draft.number(1, 6)}:\n    break",
            f"if t > 0 and not ({v} > 0.3).any():\n    continue",
        )
    )


@statement(1)
def hook(draft: Draft) -> None:
    """A gradient is scaled on its way back."""
    v = draft.value()
    if not draft.scope[v].requires_grad:
        raise Unfit
    draft.run(f"if {v}.requires_grad:\n    {v}.register_hook(lambda grad: grad * 0.5)")


@statement(1)
def printed(draft: Draft) -> None:
    v = draft.value()
    draft.run(draft.pick(f'text = f"{{{v}.mean():.3f}}"', f"text = str({v})", f"text = repr({v})"))


# On the module ----------------------------------------------------------------------------------


@statement(2)
def buffer(draft: Draft) -> None:
    """A buffer of the module is written."""
    v, me = draft.value(), draft.me
    name = draft.name("trace")
    made = draft.pick("torch.zeros(1)", "torch.zeros(())", f"torch.zeros({draft.shape(v)[-1]})")
    line = f'self.register_buffer("{name}", {made})'
    draft.trial(line)
    draft.init.append(line)
    draft.net.to(draft.dtype)
    trace = f"{me}.{name}"
    draft.run(
        draft.pick(
            f"{trace} += 1",
            f"{trace}.mul_(0.9).add_({v}.detach().mean())",
            f"{trace} = 0.9 * {trace} + {v}.detach().mean()",
            f"{trace}.copy_({v}.detach().mean())",
            f"with torch.no_grad():\n    {trace}.add_({v}.sum())",
        )
    )
    if draft.chance(0.4):
        draft.compute(f"{v} * (1 + 0.1 * {trace})", v)


@statement(2)
def attribute(draft: Draft) -> None:
    """An attribute of the module is set, and perhaps read at the next step."""
    v, me = draft.value(), draft.me
    name = f"{me}.{draft.name('last')}"
    if draft.chance(0.4):
        draft.start(f"{name} = torch.zeros({draft.shape(v)}, dtype=x.dtype)")
        draft.compute(f"{v} + 0.3 * {name}", v)
        draft.run(f"{name} = {v}")
    elif draft.chance(0.5):
        draft.start(f"{name} = []")
        draft.run(f"{name}.append({v}{draft.pick('', '.detach()', '.sum().item()')})")
    else:
        draft.run(f"{name} = {v}{draft.pick('', '', '.detach()', '.mean()')}")


@statement(0.6)
def fail(draft: Draft) -> None:
    """The program raises at a later step."""
    v, step = draft.value(), draft.rng.randint(1, 3)
    draft.run(
        draft.pick(
            f'if t == {step}:\n    raise ValueError("stop")',
            f"if t == {step}:\n    {v} = {v} + torch.zeros(17)",
            f"if t == {step}:\n    {v} = {v} @ torch.zeros(17, 2)",
            f"assert t < {step} or {v}.sum() < -100",
            f"if t == {step}:\n    {v} = {v}.view(-1, 17)",
            f"if t == {step}:\n    {v} = {v}[17]",
            f"if t == {step}:\n    {v}.missing()",
        )
    )
    draft.raises = True


# Records ----------------------------------------------------------------------------------------


def recorded(draft: Draft) -> str:
    """What is recorded: a tensor of the step, often the newest spikes."""
    if draft.spikes and draft.chance(0.4):
        return draft.value(among=draft.spikes)
    return draft.value()


def listed(draft: Draft) -> str:
    """Append to a list; return its name."""
    v, rec = recorded(draft), draft.name("rec")
    draft.start(f"{rec} = []")
    draft.run(
        draft.pick(
            *[f"{rec}.append({v})"] * 6, f"{rec} = [*{rec}, {v}]", f"{rec}.append({v}.clone())"
        )
    )
    return rec


@record(10)
def stacked(draft: Draft) -> None:
    rec = listed(draft)
    stack = draft.pick("torch.stack({r})", "torch.stack({r}, dim=0)", "torch.stack({r}, dim=1)")
    if draft.chance(0.2):
        stack = draft.pick("torch.stack({r}, dim=-1)", "torch.stack(tuple({r}), 2)")
    draft.outputs.append(stack.format(r=rec))


SUMMARIES = [
    "torch.stack({r}).mean(0)",
    "torch.stack({r}).sum(dim=0)",
    "torch.stack({r}).max(0).values",
    "torch.stack({r}).max(0)[0]",
    "torch.stack({r}, 1).mean(1)",
    "torch.stack({r}).std(0)",
    "sum({r})",
    "sum({r}) / len({r})",
    "torch.stack({r}).detach()",
    "torch.stack({r}).flatten(1)",
    "torch.stack({r})[-1]",
    "torch.stack({r}).mean()",
    "torch.stack({r})[1:].sum(0)",
    "torch.stack({r}).float().mean(0)",
    "torch.stack({r}).cumsum(0)",
    "{r}[-1]",
    "{r}[0]",
    "({r}[0], {r}[-1])",
    "torch.cat({r}, dim=0)",
    "torch.cat({r}, dim=1)",
    "torch.cat({r}, dim=-1)",
    "torch.stack({r}).argmax(-1)",
    "len({r})",
    "torch.stack([v.mean() for v in {r}])",
    "[v.sum() for v in {r}]",
    "torch.stack({r}).unbind(0)",
    "torch.stack({r}).transpose(0, 1)",
    "torch.amax(torch.stack({r}), 0)",
]


@record(5)
def reduced(draft: Draft) -> None:
    """A statistic over time."""
    summary = draft.rng.choice(SUMMARIES)
    draft.used[f"summary: {summary}"] += 1
    draft.outputs.append(summary.format(r=listed(draft)))


@record(3)
def returned_list(draft: Draft) -> None:
    rec = listed(draft)
    draft.per_step.append(rec)
    draft.outputs.append(rec)


@record(2)
def read_out(draft: Draft) -> None:
    """A layer after the loop."""
    rec = listed(draft)
    n = draft.scope[rec][0].shape[-1]
    layer = draft.layer("head", f"nn.Linear({n}, 2)")
    draft.outputs.append(f"{layer}(torch.stack({rec}){draft.pick('', '.mean(0)', '.sum(0)')})")


@record(2)
def dict_of_lists(draft: Draft) -> None:
    rec, first, second = draft.name("recs"), recorded(draft), draft.value()
    draft.start(f'{rec} = {{"a": [], "b": []}}')
    draft.run(f'{rec}["a"].append({first})\n{rec}["b"].append({second})')
    draft.outputs.append(f"{{key: torch.stack(entries) for key, entries in {rec}.items()}}")


@record(1)
def list_of_pairs(draft: Draft) -> None:
    rec, first, second = draft.name("rec"), recorded(draft), draft.value()
    draft.start(f"{rec} = []")
    draft.run(f"{rec}.append(({first}, {second}))")
    draft.outputs.append(f"[torch.stack(each) for each in zip(*{rec}, strict=True)]")


@record(4)
def written(draft: Draft) -> None:
    """A preallocated tensor, written by index."""
    v, out = recorded(draft), draft.name("out")
    shape, steps = draft.shape(v), draft.steps
    at = draft.pick(0, 0, 1, len(shape))
    index = {0: "t", 1: ":, t", len(shape): "..., t"}[at]
    size = (*shape[:at], steps, *shape[at:])
    draft.start(
        draft.pick(
            f"{out} = torch.zeros({size}, dtype=x.dtype)",
            f"{out} = torch.zeros({size}, dtype=x.dtype)",
            f"{out} = x.new_zeros({size})",
            f"{out} = torch.empty({size}, dtype=x.dtype).fill_(-1)",
            f"{out} = torch.zeros{size}",
        )
    )
    draft.run(draft.pick(*[f"{out}[{index}] = {v}"] * 4, f"{out}[{index}].copy_({v})"))
    draft.outputs.append(draft.pick(out, out, f"{out}.sum({at})", f"{out} * 2"))


@record(6)
def accumulated(draft: Draft) -> None:
    """A running sum, count, mean or trace."""
    v, total = recorded(draft), draft.name("sum")
    shape = draft.shape(v)
    start = draft.pick(
        f"torch.zeros({shape}, dtype=x.dtype)", f"torch.zeros{(*shape,)}", "0", "0.0"
    )
    draft.start(f"{total} = {start}")
    draft.run(
        draft.pick(
            f"{total} = {total} + {v}",
            f"{total} = {total} + {v}",
            f"{total} += {v}",
            f"{total} += {v}.sum()",
            f"{total} = {total} + ({v} > 0).sum()",
            f"{total} = 0.9 * {total} + 0.1 * {v}",
            f"{total} += {v}.detach()",
            f"{total} = {total} + F.mse_loss({v}, torch.full_like({v}, 0.3))",
            f"{total} += int({v}.sum())",
            f"{total} = torch.maximum(torch.as_tensor({total}), {v})",
            f"{total} = {total} + {v} * t",
        )
    )
    draft.outputs.append(draft.pick(total, total, f"{total} / {draft.steps}"))


@record(1)
def grown(draft: Draft) -> None:
    """A tensor that grows by concatenation."""
    v, out = recorded(draft), draft.name("out")
    draft.start(f"{out} = torch.zeros{(0, *draft.shape(v))}.to(x.dtype)")
    draft.run(f"{out} = torch.cat([{out}, {v}.unsqueeze(0)])")
    draft.outputs.append(out)


@record(4)
def last(draft: Draft) -> None:
    """The last step only, or a final state."""
    among = draft.carried if draft.carried and draft.chance(0.5) else draft.values
    v = draft.value(among=among)
    draft.outputs.append(f"{v}{draft.pick('', '', '', '.detach()', '.sum()', ' * 2')}")


@record(1)
def last_hidden(draft: Draft) -> None:
    neuron = draft.rng.choice(draft.neurons or [None])
    if neuron is None or not neuron.attributes:
        raise Unfit
    draft.outputs.append(f"{neuron.name}.{neuron.attributes[-1]}")


@record(1)
def numbers(draft: Draft) -> None:
    v, rec = recorded(draft), draft.name("rec")
    draft.start(f"{rec} = []")
    draft.run(f"{rec}.append({v}{draft.pick('.mean().item()', '.tolist()', '.shape')})")
    draft.outputs.append(rec)


@record(1)
def other_outputs(draft: Draft) -> None:
    draft.outputs.append(draft.pick("x", "None", "x.shape", "t", "torch.ones(2)", "x * 2"))


# The caller -------------------------------------------------------------------------------------


@caller(14)
def once(draft: Draft) -> str:
    return "return run(x)"


@caller(3)
def changes_output(draft: Draft) -> str:
    """A result is changed in place; others must not change with it, unless they do plainly."""
    change = draft.pick("{o}.mul_(0.5)", "{o}.add_(1)", "{o}[0] = 0", "{o}.zero_()")
    change = change.format(o=draft.rng.choice(draft.places))
    if draft.chance(0.6):
        change = f"with torch.no_grad():\n    {change}"
    return f"out = run(x)\n{change}\nreturn out"


@caller(2)
def without_gradients(draft: Draft) -> str:
    return f"with torch.{draft.pick('no_grad', 'no_grad', 'inference_mode')}():\n    return run(x)"


@caller(2)
def twice(draft: Draft) -> str:
    second = draft.pick("run(x)", "run(x.detach() * 0.5)", "run(x.detach())", "run(x.flip(0))")
    between = draft.pick("", "", "utils.reset(net)\n", "net.eval()\n", "utils.detach(net)\n")
    return f"first = run(x)\n{between}return first, {second}"


@caller(2)
def trains(draft: Draft) -> str:
    """Parameters change in place between two calls."""
    place = draft.rng.choice(draft.places)
    return f"""\
out = run(x)
{place}.sum().backward()
with torch.no_grad():
    for parameter in net.parameters():
        if parameter.grad is not None:
            parameter -= 0.1 * parameter.grad
net.zero_grad()
x.grad = None
utils.reset(net)
return run(x)"""


@caller(1)
def output_of_output(draft: Draft) -> str:
    place = draft.rng.choice(draft.places)
    return f"out = run(x)\nreturn out, {place}.sum() + {place}.mean(), {place}.sum().item()"


# A whole program --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    text: str
    used: Counter[str]
    raises: bool = False


def indented(lines: list[str], depth: int) -> str:
    return textwrap.indent("\n".join(lines) or "pass", "    " * depth)


def begin_input(draft: Draft) -> list[str]:
    """Choose an input and how the loop goes over it; return the text that makes it."""
    batch = draft.pick(1, 2, 3, 3, 4)
    sample = draft.pick(
        (draft.rng.randint(3, 6),), (draft.rng.randint(3, 6),), (2, 6), (1, 5, 5), (2, 4, 4)
    )
    forms, at = draft.rng.choices(PLACES, [4, 4, 3, 1])[0]
    if len(sample) > 1 and draft.chance(0.2):
        forms, at = TIME_FIRST, 0
    draft.steps = draft.rng.randint(3, 9)
    form = draft.rng.choice(forms)
    draft.used["input: " + " | ".join(form).replace("\n", " ")] += 1
    before, header, step = (text.format(T=draft.steps) for text in form)
    shape = [batch, *sample]
    if at is not None:
        shape.insert(at if at >= 0 else len(shape), draft.steps)
    draft.scope["x"] = torch.rand(shape, dtype=draft.dtype)
    if before:
        draft.start(before)
    if at == 0 and not before and "bernoulli" not in step and draft.chance(0.1):
        n = shape[-1]
        draft.start(f"x = {draft.layer('fc', f'nn.Linear({n}, {n})')}(x)")
        draft.used["layer before the loop"] += 1
    draft.header = header
    if "x_t" in header:
        exec(f"{header}\n    break", draft.scope)
        draft.values.append("x_t")
    if step != "x_t":
        draft.compute(step)
    scale = draft.pick("", "", " * 2", " - 0.3")
    if "bernoulli(x" in step or "< x" in step:
        scale = ""
    if draft.chance(0.15):
        made = f"(torch.rand({tuple(shape)}) < 0.4).to({draft.dtype})"
    else:
        made = f"torch.rand({tuple(shape)}, dtype={draft.dtype}){scale}"
    lines = [f"x = {made}"]
    if draft.chance(0.4):
        lines.append("x.requires_grad_()")
    return lines


def begin_net(draft: Draft) -> list[str]:
    """Return the text that makes the network."""
    lines = ["net = Net().double()" if draft.dtype == torch.float64 else "net = Net()"]
    if not draft.training:
        lines.append("net.eval()")
    names = list(dict(draft.net.named_parameters(recurse=True)))
    if names and draft.chance(0.1):
        lines.append(f'net.get_parameter("{draft.rng.choice(names)}").requires_grad_(False)')
    if draft.chance(0.03):
        lines.append("net.requires_grad_(False)")
    return lines


def add(draft: Draft, table: Table, count: int) -> None:
    """Add so many ingredients of a table."""
    for _ in range(count):
        for _ in range(30):
            name, ingredient = draw(draft, table)
            if draft.attempt(ingredient, name):
                break


def result_of(draft: Draft) -> str:
    """Write what is returned, and note where in it there are tensors."""
    outputs = list(draft.outputs)
    if draft.chance(0.06):
        outputs.append(draft.rng.choice(outputs))
    outputs = outputs[:4]
    form = draft.pick("tuple", "tuple", "tuple", "list", "dict", "named", "nested")
    if len(outputs) == 1 and draft.chance(0.7):
        form = "single"
    names = "abcd"[: len(outputs)]
    joined = ", ".join(outputs)
    entries = ", ".join(f'"{n}": {o}' for n, o in zip(names, outputs, strict=True))
    places, text = {
        "single": (["out"], joined),
        "tuple": ([f"out[{i}]" for i in range(len(outputs))], f"{joined},"),
        "list": ([f"out[{i}]" for i in range(len(outputs))], f"[{joined}]"),
        "named": ([f"out.{name}" for name in names], f"Result({joined})"),
        "dict": ([f'out["{name}"]' for name in names], f"{{{entries}}}"),
        "nested": (["out[0]"], f"{outputs[0]}, {{'rest': [{', '.join(outputs[1:])}]}}"),
    }[form]
    if form == "named":
        draft.classes.add("Result")
    draft.used[f"returns {form}"] += 1
    draft.places = [
        f"{place}[1]" if output in draft.per_step else place
        for place, output in zip(places, outputs, strict=False)
    ]
    return text


def compose(seed: int, attempt: int) -> Program:
    """Write a program, which may turn out not to run."""
    rng = random.Random(f"{seed}, attempt {attempt}")
    torch.manual_seed(seed)
    way = rng.choices(("module", "function", "lazy"), (7, 2, 1.5))[0]
    dtype = rng.choices((torch.float64, torch.float32), (8, 2))[0]
    draft = Draft(rng, way, dtype, training=rng.random() < 0.7)
    draft.net.train(draft.training)
    make_x = begin_input(draft)
    size = rng.choice((3, 5, 6, 8, 8, 10, 14))
    neurons = {n: STATEMENTS[n] for n in ("explicit_neuron", "hidden_neuron", "neuron_by_hand")}
    first = rng.randint(0, 2)
    add(draft, STATEMENTS, first)
    add(draft, neurons, 1)
    for _ in range(size - first):
        add(draft, RECORDS if draft.chance(0.08) else STATEMENTS, 1)
    add(draft, RECORDS, rng.choice((1, 1, 2, 2, 3)))
    returned = result_of(draft)
    call_name, call = draw(draft, CALLERS)
    use = call(draft)
    if draft.chance(0.9):  # a kernel takes seconds to compile when it is first met
        use = f'with snn.use_backend("reference"):\n{textwrap.indent(use, "    ")}'
        draft.used["backend reference"] += 1
    used = draft.used + Counter({f"way {way}": 1, str(dtype): 1, call_name: 1})
    used["training" if draft.training else "evaluating"] += 1
    forward = [*draft.before, draft.header, indented([*draft.body, *draft.late], 1)]
    forward += [*draft.after, f"return {returned}"]
    depth = 2 if way == "module" else 1
    text = (
        HEAD
        + "".join(
            CLASSES[name] if name == "Result" else f"\n{CLASSES[name]}"
            for name in CLASSES
            if name in draft.classes
        )
        + (MODULE if way == "module" else FUNCTION).format(
            way=way, init=indented(draft.init, 2), forward=indented(forward, depth)
        )
        + MAKE_AND_USE.format(
            seed=seed, make=indented([*begin_net(draft), *make_x], 1), use=indented([use], 1)
        )
    )
    return Program(text, used, draft.raises)
