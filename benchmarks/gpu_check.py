"""Check and measure the CUDA backend on this machine's GPU, in less than eight minutes.

    python benchmarks/gpu_check.py              # on a GPU
    python benchmarks/gpu_check.py --interpret  # without one: the kernels, in Triton's interpreter

Nothing has to be installed but PyTorch with Triton, NumPy, Numba and Matplotlib. It prints, in this
order, whether every kernel agrees with the loop over time, what memory a layer takes, and times.
Those of one row take turns in one process. ``copy`` is the achieved part of the bandwidth of a copy
of as many bytes.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import torch  # noqa: E402
from networks import dense, quickstart  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import snntorch as snn  # noqa: E402
from snntorch import functional as SF  # noqa: E402
from snntorch._engine import cuda  # noqa: E402

SECONDS = 8 * 60  # for everything
COMPILING = 60  # for torch.compile of one loop
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SINGLE = "single steps"
BEGIN = time.monotonic()


def left() -> float:
    """Return the seconds that are left."""
    return SECONDS - (time.monotonic() - BEGIN)


# Agreement -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A neuron with its options."""

    row: str
    reset: str
    late: bool
    dtype: torch.dtype
    layout: str

    def __str__(self) -> str:
        late = "late" if self.late else "now"
        return f"{self.row} {self.reset} {late} {str(self.dtype)[6:]} {self.layout}"


def cases(quick: bool) -> list[Case]:
    """Return every model with every reset in every precision, where layouts take turns; and in
    float32 by single steps, where a kernel takes them."""
    from models import MODELS

    found = []
    for row in MODELS:
        for reset in ("subtract", "zero", "none") if row.mechanism else ("none",):
            for late in (True, False) if row.delay and reset != "none" else (True,):
                if not quick or reset == "zero" or not row.mechanism:
                    found += [(row.id, reset, late, dtype) for dtype in DTYPES]
    layouts = ("dense", "strided", "batch first", "the same at each step")
    elementwise = {row.id for row in MODELS if row.make()._snn_is_elementwise()}
    # In half precision, single steps round states between them.
    single = [case for case in found if case[3] == torch.float32 and case[0] in elementwise]
    return [
        *(Case(*case, layouts[i % len(layouts)]) for i, case in enumerate(found)),
        *(Case(*case, SINGLE) for case in single),
    ]


def agreement(case: Case, device: str, steps: int, batch: int) -> tuple[Case, str, bool]:
    """Compare values and gradients with those of the loop over time in single precision.

    :returns: what was found, and whether it is right
    """
    from models import MODELS

    row = next(row for row in MODELS if row.id == case.row)
    options: dict[str, Any] = {} if case.late else {"reset_delay": False}
    options |= {f"learn_{name}": True for name in row.vectors if name != "V"}

    def neuron() -> Any:
        torch.manual_seed(0)
        return row.make(reset_mechanism=case.reset, **options)

    product = {"weight"} & {name.rpartition(".")[2] for name in row.keys}
    x = row.input(steps, batch).to(case.dtype).to(device)
    if case.layout == "strided":
        x = torch.stack((x, x), -1)[..., 0]
    elif case.layout == "batch first":
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    elif case.layout == "the same at each step":
        x = x[:1].expand_as(x)
    ours = neuron().to(device)
    for name in ("recurrent", "lstm_cell", "conv"):  # products take one type
        if isinstance(part := getattr(ours, name, None), nn.Module):
            part.to(case.dtype)
    twin = neuron().to(device)
    twin.load_state_dict({name: value.float() for name, value in ours.state_dict().items()})
    outs, grads = _run(ours, x, "triton", single=case.layout == SINGLE)
    want, truth = _run(twin, x.float(), "reference")
    eps = torch.finfo(case.dtype).eps
    spikes = (outs[0] != want[0]).double().mean().item()
    values = max(_distance(a, b) for a, b in zip(outs, want, strict=True))
    slopes = max(_distance(a, b) for a, b in zip(grads, truth, strict=True))
    exact = all(map(torch.equal, outs, want))
    text = "equal bits" if exact else f"spikes {spikes:.1e}, values {values:.1e}"
    text += f", gradients {slopes:.1e}"
    if case.dtype != torch.float32 and product:
        # Products in half precision make other spikes; their number says whether it is right.
        return case, text, spikes < 0.1
    # Where a quotient or an exponential rounds otherwise, a spike may come a step later.
    if spikes:
        return case, text, spikes < 1e-3 and (row.rounded or case.row == "izhikevich")
    return case, text, bool(values <= 4 * eps and slopes <= max(1e-5, 4 * eps))


def _run(
    neuron: Any, x: Tensor, backend: str, single: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    leaf = x.detach().requires_grad_()
    if single:
        with snn.use_backend(backend):
            steps = [neuron(step) for step in leaf]
        if "_Step" not in type(steps[0][0].grad_fn).__name__:
            raise RuntimeError("no kernel took the step")
        outs = [torch.stack(each) for each in zip(*steps, strict=True)]
    else:
        outs = [*snn.unroll(neuron, leaf, backend=backend)]
    leaves = [leaf, *(p for p in neuron.parameters() if p.requires_grad)]
    # Weights that half precision does not round.
    generator = torch.Generator().manual_seed(0)
    signs = [torch.randn(out.shape, generator=generator).sign().to(x.device) for out in outs]
    loss = torch.stack(
        [(sign * out.float()).sum() for sign, out in zip(signs, outs, strict=True)]
    ).sum()
    grads = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return [out.detach() for out in outs], [*grads]


def _distance(a: Tensor, b: Tensor) -> float:
    """Return how far a tensor is from another, of that one's size."""
    a, b = a.double(), b.double()
    return ((a - b).norm() / b.norm().clamp(min=1e-30)).item()


def _isolated(arguments: tuple[Case, str, int, int]) -> tuple[Case, str, bool]:
    try:
        return agreement(*arguments)
    except Exception as error:
        return arguments[0], f"{type(error).__name__}: {error}", False


def check_agreement(device: str, quick: bool) -> bool:
    """Print where the kernels and the loop over time disagree; return whether nowhere."""
    print(f"Agreement with the loop over time, on {device}", flush=True)
    steps, batch = (5, 2) if device == "cpu" else (50, 33)
    work = [(case, device, steps, batch) for case in cases(quick)]
    # Compiling takes the longest, and one core each.
    workers = max(1, min(8, os.cpu_count() or 1))
    right, exact = 0, 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for case, text, good in pool.map(_isolated, work, chunksize=3):
            right += good
            exact += "equal bits" in text
            if not good:
                print(f"  WRONG  {case}: {text}", flush=True)
    print(f"  {right} of {len(work)} right, {exact} of them with equal bits\n", flush=True)
    return right == len(work)


# Memory --------------------------------------------------------------------------------------


def check_memory() -> None:
    """Print the peak of a hidden layer's forward and backward pass, in sizes of its input."""
    print("Memory of a hidden Leaky layer, T=100 B=64 N=16384, in sizes of a float32 input")
    shape = (100, 64, 16384)
    for dtype in DTYPES:
        for backend in ("triton", "reference"):
            neuron = snn.Leaky(0.9, init_hidden=True).cuda()
            x = torch.randn(shape, device="cuda", dtype=dtype).requires_grad_()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            spikes = snn.unroll(neuron, x, backend=backend)
            torch.autograd.grad(spikes, x, torch.ones_like(spikes))
            del spikes
            peak = (torch.cuda.max_memory_allocated() - before) / (4 * x.numel())
            print(f"  {str(dtype)[6:]:10}{backend:12}{peak:6.2f}", flush=True)
            del x
    print()


# Speed ---------------------------------------------------------------------------------------

Work = Callable[[], object]


def times(works: dict[str, Work], seconds: float = 4.0) -> dict[str, float]:
    """Return the lower quartile, in milliseconds, of pieces of work that take turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    torch.cuda.synchronize()
    until = time.monotonic() + min(seconds, left())
    while time.monotonic() < until or len(next(iter(found.values()))) < 5:
        for name, work in works.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            end.synchronize()
            found[name].append(start.elapsed_time(end))
    return {name: sorted(each)[len(each) // 4] for name, each in found.items()}


class Late(Exception):
    """It takes too long."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise :class:`Late` in what takes longer."""

    def late(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def compiled(make: Callable[[], Work]) -> dict[str, Work]:
    """Return the work of a loop under torch.compile, if that takes less than a minute."""
    seconds = min(COMPILING, left() - 60)
    if seconds < 5:
        print("  torch.compile: left out, time is up")
        return {}
    start = time.monotonic()
    try:
        with within(seconds):
            work = make()
            work()
            work()
            torch.cuda.synchronize()
    except Late:
        print(f"  torch.compile: not within {seconds:.0f} s")
        return {}
    except Exception as error:
        print(f"  torch.compile: {type(error).__name__}")
        return {}
    print(f"  torch.compile: took {time.monotonic() - start:.0f} s")
    return {"torch.compile": work}


def show(found: dict[str, float], note: Callable[[str], str] = lambda name: "") -> None:
    """Print times, and their ratios to the first."""
    first = next(iter(found.values()))
    for name, each in found.items():
        print(f"  {name:24}{each:10.3f} ms{each / first:9.2f}{note(name)}", flush=True)


def loop(net: Callable[..., Any], x: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return what a network with hidden states returns at each step."""
    return [net(step) for step in x]


def layer(shape: tuple[int, ...]) -> None:
    """Measure one Leaky layer, all outputs and the gradients of all of them."""
    print(f"Leaky, T={shape[0]} B={shape[1]} N={shape[2]}, float32, forward and backward")
    neuron = snn.Leaky(0.9).cuda()
    x = torch.randn(shape, device="cuda").requires_grad_()
    grads = [torch.randn(shape, device="cuda") for _ in range(2)]

    def unrolled(backend: str) -> Work:
        return lambda: torch.autograd.grad(snn.unroll(neuron, x, backend=backend), x, grads)

    def steps(x: Tensor) -> tuple[Tensor, Tensor]:
        mem, found = torch.zeros_like(x[0]), []
        for step in x.unbind():
            spk, mem = neuron(step, mem)
            found.append((spk, mem))
        spikes, trace = zip(*found, strict=True)
        return torch.stack(spikes), torch.stack(trace)

    def by_compile() -> Work:
        run = torch.compile(steps)
        return lambda: torch.autograd.grad(run(x), x, grads)

    works = {"kernels": unrolled("triton"), "loop": unrolled("reference")}
    if shape[0] <= 100:
        works |= compiled(by_compile)
    else:
        print("  torch.compile: left out, not within a minute at as many steps")
    found = times(works)
    show(found)
    # The kernels alone: three arrays forward, four backward.
    runs: list[cuda.Run] = []

    class Kept(cuda.Run):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            runs.append(self)

    with mock.patch.object(cuda, "Run", Kept):
        works["kernels"]()
    source, target = x.detach(), torch.empty_like(x)
    alone: dict[str, Work] = {
        "copy of the input": lambda: target.copy_(source),
        "forward kernel": lambda: runs[0].take(0, shape[0]),
        "backward kernel": lambda: runs[1].take(0, shape[0]),
    }
    found = times(alone)
    arrays = {"copy of the input": 2, "forward kernel": 3, "backward kernel": 4}
    rate = 2 / found["copy of the input"]

    def note(name: str) -> str:
        bandwidth = arrays[name] * x.numel() * 4 / found[name] / 1e6
        return f"{bandwidth:9.0f} GB/s, copy {arrays[name] / found[name] / rate:.2f}"

    show(found, note)
    print()


def single_steps(batch: int, size: int) -> None:
    """Measure a loop over time that stays in Python, by single steps."""
    print(f"Linear {size} to {size} and Leaky, batch {batch}, a loop of 100 steps, float32 (TF32)")
    net = nn.Sequential(nn.Linear(size, size), snn.Leaky(0.9, init_hidden=True)).cuda()
    x = torch.rand(100, batch, size, device="cuda")

    def run(backend: str) -> list[Tensor]:
        snn.utils.reset(net)
        with snn.use_backend(backend):
            return loop(net, x)

    def act(backend: str) -> Work:
        def work() -> None:
            with torch.no_grad():
                run(backend)

        return work

    def learn(backend: str) -> Work:
        return lambda: torch.stack(run(backend)).sum().backward()

    for name, make in {"forward": act, "forward and backward": learn}.items():
        print(f"  {name}")
        show(times({"one kernel": make("triton"), "operations": make("reference")}, seconds=2))
    print()


def benchmark() -> None:
    """Measure the layer of the Open Neuromorphic benchmark."""
    print("Open Neuromorphic: Linear 16,000 to 16,000 and Leaky, batch 16, T=500, float32 (TF32)")
    net = nn.Sequential(nn.Linear(16_000, 16_000), snn.Leaky(0.9, init_hidden=True)).cuda()
    x = torch.rand(500, 16, 16_000, device="cuda")
    ones = torch.ones_like(x)
    state: dict[str, Tensor] = {}

    def forward(run: Callable[[], Tensor]) -> Work:
        return lambda: state.update(out=run())

    def backward() -> None:
        state.pop("out").backward(ones)

    ways = {
        "kernels": lambda: snn.unroll(net, x, backend="triton"),
        "loop": lambda: snn.unroll(net, x, backend="reference"),
        "product alone": lambda: net[0](x),
    }
    for name, run in ways.items():
        seconds: list[list[float]] = []
        torch.cuda.reset_peak_memory_stats()
        for _ in range(6):
            pair = []
            for work in (forward(run), backward):
                torch.cuda.synchronize()
                start = time.perf_counter()
                work()
                torch.cuda.synchronize()
                pair.append(time.perf_counter() - start)
            seconds.append(pair)
            net.zero_grad(set_to_none=True)
        forth, back = map(min, zip(*seconds[1:], strict=True))
        peak = torch.cuda.max_memory_allocated() / 2**30
        print(f"  {name:24}{forth:9.4f} s forward{back:9.4f} s backward{peak:8.2f} GiB peak")
    print(flush=True)


def network(name: str, net: nn.Sequential, shape: tuple[int, ...], groups: list[Any]) -> None:
    """Measure a training step with Adam.

    :param groups: layers without states, each with the number of steps that it runs for, and the
        shape of its input
    """
    print(f"{name}, batch {shape[0]}, 25 steps, a training step with Adam, float32 (TF32)")
    net = net.cuda()
    x, targets = torch.rand(shape, device="cuda"), torch.randint(10, shape[:1], device="cuda")
    loss_fn = SF.ce_rate_loss()

    def training(run: Callable[[], Tensor]) -> Work:
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

        def work() -> None:
            optimizer.zero_grad()
            run().backward()
            optimizer.step()

        return work

    def by_loop() -> Tensor:
        snn.utils.reset(net)
        return loss_fn(torch.stack([spk for spk, _ in loop(net, [x] * 25)]), targets)

    def by_unroll() -> Tensor:
        return loss_fn(snn.unroll(net, x, 25, backend="triton")[0], targets)

    inputs = [torch.rand(steps * shape[0], *size, device="cuda") for _, steps, size in groups]
    for each in inputs[1:]:
        each.requires_grad_()

    def stateless() -> Tensor:
        outs = [layers(each) for (layers, *_), each in zip(groups, inputs, strict=True)]
        return torch.stack([out.sum() for out in outs]).sum()

    works = {"kernels": training(by_unroll), "loop": training(by_loop)}
    works["layers without states"] = training(stateless)
    works |= compiled(lambda: training(torch.compile(by_loop)))
    show(times(works))
    print()


def sweep() -> None:
    """Print how the time of a layer depends on warps and stages."""
    x = torch.randn(100, 64, 16384, device="cuda").requires_grad_()
    grads = [torch.randn_like(x) for _ in range(2)]
    neuron = snn.Leaky(0.9).cuda()
    for warps in (1, 2, 4, 8):
        for stages in (1, 2, 3, 4, 6, 8):
            with mock.patch.multiple(cuda, WARPS=warps, STAGES=stages):

                def work() -> object:
                    return torch.autograd.grad(snn.unroll(neuron, x, backend="triton"), x, grads)

                took = times({"both": work}, seconds=1)["both"]
            print(f"  {warps} warps, {stages} stages: {took:8.3f} ms", flush=True)


def check_speed() -> None:
    """Print times."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    for shape in ((100, 64, 1024), (1000, 64, 1024), (100, 64, 16384)):
        layer(shape)
    for batch, size in ((1, 128), (64, 1024), (64, 16384)):
        single_steps(batch, size)
    benchmark()
    net = dense()
    groups: list[Any] = [(net[0], 1, (784,)), (net[2], 25, (1000,))]
    network("784-1000-10", net, (128, 784), groups)
    net = quickstart()
    groups = [(net[:2], 1, (1, 28, 28)), (net[3:5], 25, (8, 12, 12)), (net[6:8], 25, (16, 4, 4))]
    network("Quickstart", net, (128, 1, 28, 28), groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interpret", action="store_true", help="run on the CPU, without a GPU")
    parser.add_argument("--sweep", action="store_true", help="try numbers of warps and stages only")
    args = parser.parse_args()
    if args.interpret:
        os.environ["TRITON_INTERPRET"] = "1"
        right = check_agreement("cpu", quick=True)
        print("Memory and speed: not run, for want of a GPU")
        sys.exit(not right)
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU here; --interpret checks the kernels without one")
    import triton

    print(torch.cuda.get_device_name(), "torch", torch.__version__, "triton", triton.__version__)
    print()
    if args.sweep:
        sweep()
        return
    right = check_agreement("cuda", quick=False)
    check_memory()
    check_speed()
    print(f"{SECONDS - left():.0f} s")
    sys.exit(not right)


if __name__ == "__main__":
    main()
