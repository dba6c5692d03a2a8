"""The Triton backend, without a GPU: its kernels run in Triton's interpreter, and compile for CUDA.

``test_equivalence.py`` compares it with the loop over time for every neuron, reset and layout.
"""

import re
import subprocess
import sys
import textwrap
from unittest import mock

import pytest
import torch
from models import MODELS, every_option
from project import ROOT, run_python
from releases import TRITON, needs_triton
from sequences import Adaptive, learnable, run
from torch import nn

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import backends, cuda, fused
from snntorch.testing import check_neuron

T, B = 6, 3
HALF = [torch.float16, torch.bfloat16]
BY_ID = {model.id: model for model in MODELS}
if TRITON:  # loaded under its interpreter, it could not compile
    import triton  # noqa: F401


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


# In the interpreter --------------------------------------------------------------------------


@needs_triton
@every_option
def test_a_users_neuron(options):
    given = {"backends": ["triton"], "skip": ["derivatives"]}
    assert "backends" in check_neuron(lambda **o: Adaptive(**options(), **o), **given).passed


QUICK = {"leaky", "rleaky-one", "rleaky-linear", "alif"}


@needs_triton
@pytest.mark.parametrize(
    "row, dtype",
    [
        pytest.param(
            row, dtype, marks=() if row.id in QUICK else pytest.mark.slow, id=row.id + kind
        )
        for row in MODELS
        for dtype, kind in zip(HALF, ("-float16", "-bfloat16"), strict=True)
    ],
)
def test_half_precision_is_that_of_a_float32_run(row, dtype):
    """Rounded once, when stored: within a kernel states are in single precision."""
    x, neuron, twin = row.input(T, B).to(dtype), learnable(row), learnable(row)
    for name in ("recurrent", "lstm_cell", "conv"):  # products take one type
        if isinstance(layer := getattr(neuron, name, None), nn.Module):
            layer.to(dtype)
    twin.load_state_dict({name: value.float() for name, value in neuron.state_dict().items()})
    (outs, grads), (want, truth) = run(neuron, x, "triton"), run(twin, x.float(), "reference")
    assert want[0].any() and all(out.dtype == dtype for out in outs)
    eps = torch.finfo(dtype).eps
    if row.rounded:  # a product in half precision may make other spikes
        assert (outs[0] != want[0]).sum() <= 0.1 * want[0].numel()
        return
    # The interpreter rounds bfloat16 towards zero.
    least = eps if dtype == torch.bfloat16 else 0
    for out, true in zip(outs, want, strict=True):
        assert ((out - true.to(dtype)).abs() <= least * true.abs()).all()
    for grad, true in zip(grads, truth, strict=True):
        assert (grad - true).norm() <= eps * true.norm()


@needs_triton
@pytest.mark.parametrize("dtype", HALF)
def test_what_is_read_again_is_kept_in_single_precision(dtype):
    neuron = snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero", learn_beta=True)
    x, saved = BY_ID["leaky"].input(T, B).to(dtype).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        spikes = snn.unroll(neuron, x, backend="triton")
    traces = [t for t in saved if t.numel() == x.numel()]
    assert [t.dtype for t in traces] == [torch.float32]
    assert spikes.dtype == neuron.mem.dtype == dtype


def layouts():
    images, lines = torch.randn(T, B, 2, 4, 4), torch.randn(B, T, 5)
    return {
        "every second step": ("leaky", torch.randn(2 * T, B, 5)[::2]),
        "batch first": ("leaky", lines.transpose(0, 1)),
        "expanded in time": ("leaky", torch.randn(1, B, 5).expand(T, B, 5)),
        "expanded in batch": ("leaky", torch.randn(T, 1, 5).expand(T, B, 5)),
        "one of two": ("leaky", torch.randn(T, B, 10)[..., ::2]),
        "channels last": (
            "leaky-image",
            images.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        ),
        "a part of an image": ("leaky-image", torch.randn(T, B, 3, 6, 6)[:, :, 1:, 1:-1, 2:]),
    }


@needs_triton
@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("layout", layouts())
def test_inputs_are_read_where_they_are(layout, vector):
    row, view = layouts()[layout]
    hidden = BY_ID[row].hidden
    beta = torch.linspace(0.8, 0.99, hidden[-1]).expand(hidden) if vector else 0.9
    neuron, taken = snn.Leaky(beta, learn_beta=True), []

    class Run(cuda.Run):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            taken.extend(a for a in self.arguments if isinstance(a, torch.Tensor))

    with mock.patch.object(cuda, "Run", Run):
        outs, grads = run(neuron, view, "triton")
    want, truth = run(neuron, view, "reference")
    assert all(map(torch.equal, outs, want)) and want[0].any()
    for grad, true in zip(grads, truth, strict=True):
        assert (grad - true).norm() <= 1e-5 * true.norm()
    assert view.data_ptr() in {tensor.data_ptr() for tensor in taken}
    if layout == "channels last":
        assert outs[0].stride()[1:] == view.stride()[1:]


@needs_triton
def test_what_is_summed_is_the_same_from_run_to_run_and_for_other_blocks(monkeypatch):
    neuron = snn.Leaky(torch.full((300,), 0.9), learn_beta=True, learn_threshold=True)
    x, results = 0.3 + torch.randn(T, 4, 300), []
    for warps in (4, 4, 2):
        monkeypatch.setattr(cuda, "WARPS", warps)
        outs, grads = run(neuron, x, "triton")
        results.append([*outs, *grads])
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_dimensions_that_are_one_in_memory_are_merged():
    assert cuda._merged((4, 5), ((5, 1), (5, 1))) == ([20], [[1], [1]])
    assert cuda._merged((4, 5), ((5, 1), (0, 1))) == ([4, 5], [[5, 1], [0, 1]])
    assert cuda._merged((4, 1, 5), ((5, 9, 1), (0, 9, 0))) == ([20], [[1], [0]])
    assert cuda._merged((4, 1, 5), ((9, 9, 1), (0, 9, 0))) == ([4, 5], [[9, 1], [0, 0]])
    assert cuda._merged((2, 3, 4), ((12, 4, 1), (24, 8, 2))) == ([24], [[1], [2]])
    assert cuda._merged((), ((), ())) == ([1], [[1], [1]])


# Choice and refusal --------------------------------------------------------------------------


def stated(neuron, x=None):
    x = torch.randn(T, B, 5) if x is None else x
    return neuron._snn_problem(x, T, False, (torch.zeros(B, 5, dtype=x.dtype),))


def test_it_takes_the_cpu_only_when_asked_and_only_in_the_interpreter(monkeypatch):
    assert backends.choose(stated(snn.Leaky(0.9)))[0] == "numba"
    half = stated(snn.Leaky(0.9), torch.randn(T, B, 5).half())
    name, reason = backends.choose(half)
    assert name == "reference" and "float16" in reason
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(ValueError, match=r"'triton' cannot.*on cpu; .*TRITON_INTERPRET=1"):
        backends.choose(stated(snn.Leaky(0.9)), "triton")


@needs_triton
def test_explain_names_it(monkeypatch):
    net = nn.Sequential(nn.Linear(4, 5), snn.Leaky(0.9, init_hidden=True))
    plan = snn.explain(net, torch.randn(T, B, 4), backend="triton")
    assert [stage.backend for stage in plan] == [None, "triton"]
    monkeypatch.setenv("SNNTORCH_BACKEND", "triton")
    assert snn.explain(net, torch.randn(T, B, 4))[1].backend == "triton"


@pytest.mark.parametrize(
    "kwargs, x, reason",
    [
        ({"inhibition": True}, torch.float32, "inhibition"),
        ({"state_quant": torch.round}, torch.float32, "quantised"),
        ({"spike_grad": surrogate.SSO()}, torch.float32, "no slope that is a function"),
        ({"beta": torch.full((5,), 0.9).double()}, torch.float32, "another dtype"),
        ({"beta": torch.full((5,), 0.9).double()}, torch.float16, "another dtype"),
    ],
)
def test_what_is_refused(kwargs, x, reason):
    problem = stated(snn.Leaky(**{"beta": 0.9, **kwargs}), torch.randn(T, B, 5).to(x))
    with pytest.raises(ValueError, match=f"'triton' cannot run this layer.*{reason}"):
        backends.choose(problem, "triton")


@needs_triton
def test_a_sequence_is_differentiated_once():
    x = torch.randn(T, B, 5, requires_grad=True)
    loss = snn.unroll(snn.Leaky(0.9), x, backend="triton")[-1].square().sum()
    with pytest.raises(RuntimeError, match="differentiated once"):
        torch.autograd.grad(loss, x, create_graph=True)


SCRIPT = """
    import sys, warnings
    import torch
    import snntorch as snn
    from snntorch._engine import backends, cpu, cuda

    def run():
        x = torch.linspace(-1, 3, 60).reshape(4, 3, 5).requires_grad_()
        spikes, mem = snn.unroll(snn.Leaky(beta=0.9), x)
        mem.sum().backward()
        return str(snn.explain(snn.Leaky(0.9), x)).split("scan")[1].split()[0]

    def on_the_device_of_triton():
        cpu.DEVICES, cuda.DEVICES = ("another",), ("cpu",)
"""


def script(body, **environment):
    code = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    return run_python(code, timeout=250, **environment).split()


def test_sequences_on_the_cpu_do_not_import_it():
    """PyTorch's tracer does, which derives what is not yet in the user's folder."""
    script("run()")
    body = 'print(run(), *(name for name in sys.modules if name.split(".")[0] == "triton"))'
    assert script(body, TRITON_INTERPRET="0") == ["numba"]


def test_without_triton_the_reference_runs_and_says_so_once():
    body = """
        sys.modules["triton"] = None
        on_the_device_of_triton()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = [run() for _ in range(3)]
        print(*names, len(caught), "Triton cannot be used" in str(caught[0].message))
    """
    assert script(body) == ["reference"] * 3 + ["1", "True"]


@needs_triton
def test_where_triton_has_the_device_it_is_chosen():
    assert script("on_the_device_of_triton(); print(run())") == ["triton"]


@needs_triton
def test_without_a_driver_the_reference_runs_and_says_so_once():
    """Triton is there, and is to run on a GPU; here is none."""
    body = """
        on_the_device_of_triton()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = [run() for _ in range(3)]
        print(*names, len(caught), "Triton cannot be used" in str(caught[0].message))
    """
    if torch.cuda.is_available():
        pytest.skip("there is a driver")
    assert script(body, TRITON_INTERPRET="0") == ["reference"] * 3 + ["1", "True"]


@needs_triton
def test_a_step_that_the_compiler_fails_on_runs_on_the_reference(monkeypatch):
    monkeypatch.setattr(cuda, "interpreted", lambda: False)
    monkeypatch.setattr(cuda, "DEVICES", ("cpu",))
    monkeypatch.setattr(cuda, "_unavailable", lambda *_: None)
    monkeypatch.setattr(cuda, "_kernel", mock.Mock(side_effect=RuntimeError("ptxas failed")))
    problem = stated(snn.Leaky(0.9))
    cuda._uncompilable.cache_clear()
    fused.warn.cache_clear()
    with pytest.warns(
        UserWarning, match=r"ptxas failed\); its sequences run on the slower"
    ) as said:
        assert "ptxas failed" in cuda.refuses(problem)
        assert "ptxas failed" in cuda.refuses(problem)
    assert len(said) == 1
    with pytest.raises(ValueError, match=r"'triton' cannot run this layer.*ptxas failed"):
        backends.choose(problem, "triton")
    cuda._uncompilable.cache_clear()


@needs_triton
@pytest.mark.slow
def test_the_check_for_gpus_runs_without_one():
    command = [sys.executable, ROOT / "benchmarks" / "gpu_check.py", "--interpret"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"(\d+) of \1 right", done.stdout)
    assert "speed: not run" in done.stdout


# Compiled for CUDA, without a device ---------------------------------------------------------


class Driver:
    """Says that there is a GPU."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return self.capability  # kernels are kept for each device

    def get_current_stream(self, device):
        return 0


class Compiling:
    """A kernel that is compiled when it is launched, and not run."""

    def __init__(self, kernel, made):
        self.kernel, self.made = kernel, made

    def __getitem__(self, grid):
        def launch(*args, **options):
            self.made.append(self.kernel.warmup(*args, grid=grid, **options))

        return launch


@pytest.fixture(params=[75, 90], ids=["T4", "H100"])
def made(request, monkeypatch):
    """Return a list to which kernels are added as they are launched."""
    from triton.runtime import driver

    found, load = [], cuda.load
    monkeypatch.delenv("TRITON_INTERPRET")
    monkeypatch.setattr(cuda, "DEVICES", ("cpu",))
    monkeypatch.setattr(cuda, "load", lambda text: Compiling(load(text), found))
    monkeypatch.setattr(cuda, "_kernels", {})
    monkeypatch.setattr(cuda, "_unavailable", lambda *_: None)
    monkeypatch.setattr(cuda, "_uncompilable", cuda._uncompilable.__wrapped__)
    monkeypatch.setattr(driver, "_active", Driver(request.param))
    return found


def check_compiled(neuron, x, made):
    """Run a neuron forward and backward, on whatever its kernels would have written."""
    outs = snn.unroll(neuron, x.requires_grad_(), backend="triton")
    torch.autograd.grad(sum(out.float().sum() for out in outs), [x, *neuron.parameters()])
    # Those that refuses tries, and those of this sequence.
    assert len(made) >= 4
    for kernel in made:
        assert kernel.asm["cubin"] and ".visible .entry scan" in kernel.asm["ptx"]


RULES = [
    pytest.param(
        *(row, reset, late),
        id=f"{row.id}-{reset}-{'late' if late else 'now'}",
        marks=() if (row.id, reset, late) == ("leaky", "zero", True) else pytest.mark.slow,
    )
    for row in MODELS
    if "lstm" not in row.id
    for reset in (("subtract", "zero", "none") if row.mechanism else ("none",))
    for late in ((True, False) if row.delay and reset != "none" else (True,))
]


@needs_triton
@pytest.mark.parametrize("row, mechanism, late", RULES)
def test_kernels_compile_for_cuda(row, mechanism, late, made):
    options = {} if late else {"reset_delay": False}
    neuron = learnable(row, reset_mechanism=mechanism, **options)
    check_compiled(neuron, row.input(T, B), made)


@needs_triton
def test_products_and_sums_are_rounded_apart(made):
    check_compiled(snn.Leaky(0.9, learn_beta=True), torch.randn(T, B, 5), made)
    for kernel in made:
        text = kernel.asm["ptx"]
        assert "fma" not in text


OTHERS = {
    "half": lambda: (snn.Leaky(0.9, learn_beta=True).half(), torch.randn(T, B, 5).half()),
    "bfloat16": lambda: (snn.Synaptic(0.9, 0.8).bfloat16(), torch.randn(T, B, 5).bfloat16()),
    "double": lambda: (snn.Leaky(0.9, learn_beta=True).double(), torch.randn(T, B, 5).double()),
    "vectors": lambda: (snn.Leaky(torch.rand(5), learn_beta=True), torch.randn(T, B, 5)),
    "strided": lambda: (snn.Leaky(torch.rand(5)), torch.randn(B, T, 10)[..., ::2].transpose(0, 1)),
    "a user's": lambda: (Adaptive(refractory=2), torch.randn(T, B, 5)),
    "a user's, in double precision": lambda: (Adaptive().double(), torch.randn(T, B, 5).double()),
    **{
        function: lambda function=function: (
            snn.Leaky(0.9, spike_grad=getattr(surrogate, function)()),
            torch.randn(T, B, 5),
        )
        for function in ("sigmoid", "fast_sigmoid", "triangular", "SFS", "spike_rate_escape")
    },
}


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_kernels_compile_for_cuda(name, made):
    check_compiled(*OTHERS[name](), made)
