"""Random networks, run plainly and compiled, with everything that is to be equal compared.

The seed gives a program (see ``programs``). ``execute`` runs it one way, plainly or compiled, and
``compare`` says in what two runs differ: outputs, gradients, states of neurons, buffers,
attributes, parameters, inputs, random numbers, warnings, exceptions. ::

    python tests/network/fuzz.py --seeds 0:500    # which seeds fail
    python tests/network/fuzz.py --seeds 0:500 --each    # and reduces one of each kind
    python tests/network/fuzz.py --show 17        # the program of a seed, and what differs
    python tests/network/fuzz.py --reduce 17      # its smallest part that still fails
    python tests/network/fuzz.py --run FILE       # a program in a file, and what differs
    python tests/network/fuzz.py --seeds 0:500 --plain --counts    # the programs themselves
"""

from __future__ import annotations

import argparse
import ast
import linecache
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from programs import Program, compose
from torch import Tensor, nn

import snntorch as snn
from snntorch._network import record


def generate(seed: int) -> Program:
    """Return the program of a seed; without compilation it runs, or raises on purpose."""
    with torch.random.fork_rng(devices=[]):
        for attempt in range(50):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = compose(seed, attempt)
            found = execute(program.text, PLAIN)
            if program.raises or ("raised" not in found and "backward raised" not in found):
                return program
    raise RuntimeError(f"no program for seed {seed}")


# Running ----------------------------------------------------------------------------------------

Run = Callable[..., Any]
Way = Callable[[Any, nn.Module], Run]  # from the program's function, None if a module, and its net


def _lazily(function: Run, *inputs: Any) -> Any:
    with snn.lazy():
        return function(*inputs)


PLAIN: dict[str, Way] = {
    "module": lambda _, net: net,
    "function": lambda forward, net: partial(forward, net),
    "lazy": lambda forward, net: partial(forward, net),
}
COMPILED: dict[str, Way] = {
    "module": lambda _, net: snn.compile(net),
    "function": lambda forward, net: partial(snn.compile(forward), net),
    "lazy": lambda forward, net: partial(_lazily, forward, net),
}
SIMPLE = (int, float, bool, str, type(None), torch.Size)
Found = dict[str, Any]


def load(text: str) -> dict[str, Any]:
    """Run the definitions of a program; its lines are shown in tracebacks."""
    name = f"<program {hash(text):x}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, name, "exec"), space)
    return space


def entries(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Walk through a result: what it consists of, and the type of each collection."""
    if isinstance(tree, dict):
        yield f"{path} is", f"{type(tree).__name__} with {list(tree)}"
        parts = list(tree.items())
    elif isinstance(tree, (list, tuple)) and not isinstance(tree, torch.Size):
        yield f"{path} is", f"{type(tree).__name__} of {len(tree)}"
        parts = list(enumerate(tree))
    else:
        yield path, tree if isinstance(tree, (Tensor, *SIMPLE)) else type(tree).__name__
        return
    for key, part in parts:
        yield from entries(part, f"{path}[{key!r}]")


def states_of(net: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, module in net.named_modules():
        if isinstance(module, snn.SpikingNeuron):
            for state in module.states:
                yield f"state {name}.{state}", getattr(module, state)


def attributes_of(net: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield what the program has set on its modules."""
    for name, module in net.named_modules():
        for key, value in vars(module).items():
            if not key.startswith("_") and isinstance(value, (Tensor, list, *SIMPLE)):
                yield from entries(value, f"attribute {name}.{key}")


def loss_of(found: Found) -> Tensor | None:
    """Return a weighted sum of all that has a gradient."""
    generator, loss = torch.Generator().manual_seed(2), None
    for value in found.values():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        weights = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if value.requires_grad:
            term = (value * weights.to(value.dtype)).sum().double()
            loss = term if loss is None else loss + term
    return loss


def execute(text: str, ways: dict[str, Way], nudge: float = 0.0) -> Found:
    """Run a program one way; return all that is to be the same, by name."""
    found: Found = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        space = load(text)
        torch.manual_seed(0)  # for a reduced program, which may have no seed
        net, x = space["make"]()
        if nudge:
            nudged(net, x, nudge)
        torch.manual_seed(1)
        with noted("raised", found):
            out = space["use"](ways[space["WAY"]](space.get("forward"), net), net, x)
            found.update(entries(out, "output"))
        given = {"input": x, **dict(net.named_parameters())}
        with noted("reading raised", found):
            found.update(states_of(net))
            found.update(attributes_of(net))
            found.update((f"buffer {name}", value.clone()) for name, value in net.named_buffers())
            found.update((f"value {name}", value.detach().clone()) for name, value in given.items())
        found["random numbers"] = torch.get_rng_state().clone()
        with noted("backward raised", found):
            loss = loss_of(found)
            if loss is not None and "raised" not in found:
                loss.backward()
                found.update((f"gradient {name}", value.grad) for name, value in given.items())
        found["random numbers after backward"] = torch.get_rng_state().clone()
    found["warnings"] = sorted({w.category.__name__ for w in caught})
    return found


@contextmanager
def noted(what: str, found: Found) -> Iterator[None]:
    """Note the type of an exception, and where it came from."""
    try:
        yield
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        found[what] = type(error).__name__
        found[f"{what} text"] = str(error)
        found[f"{what} at"] = f"{Path(place.filename).name}, {place.name}"
        found["traceback"] = traceback.format_exc(limit=-6, chain=False)


@torch.no_grad()
def nudged(net: nn.Module, x: Tensor, size: float) -> None:
    """Change parameters and inputs by about as much as rounding does."""
    for value in (*net.parameters(), x):
        value.mul_(1 - size * torch.rand_like(value))


# Comparing --------------------------------------------------------------------------------------

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


def describe(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)[:100]
    shown = value.detach().flatten()[:6].tolist()
    return f"{tuple(value.shape)} {[round(v, 6) if isinstance(v, float) else v for v in shown]}"


def _is_zero(gradient: Any) -> bool:
    return gradient is None or (isinstance(gradient, Tensor) and not gradient.count_nonzero())


def difference(plain: Any, other: Any, exact_type: bool = True) -> str | None:
    """Say in what two values differ."""
    if not isinstance(plain, Tensor) or not isinstance(other, Tensor):
        same = type(plain) is type(other) and plain == other
        if isinstance(plain, float) and isinstance(other, float):
            same = plain == other or abs(plain - other) <= 1e-4 * (abs(plain) + 1e-3)
        if plain is None and _is_zero(other):
            return None  # a gradient from a kernel, which depends on all of a neuron's inputs
        missing = "None: " if (plain is None) != (other is None) else ""
        return None if same else f"{missing}{describe(plain)} against {describe(other)}"
    if exact_type and type(other) is not type(plain):
        return f"type {type(plain).__name__} against {type(other).__name__}"
    for name in ("shape", "dtype"):
        if getattr(plain, name) != getattr(other, name):
            return f"{name} {getattr(plain, name)} against {getattr(other, name)}"
    if plain.requires_grad and not other.requires_grad:  # the other way there are zeros
        return "requires_grad True against False"
    a, b = plain.detach().double(), other.detach().double()
    finite = a[a.isfinite()]
    scale = finite.abs().max() if finite.numel() else torch.tensor(0.0)
    tolerance = TOLERANCE.get(plain.dtype, 0.0)
    least = float(tolerance * scale)
    if plain.is_floating_point():  # what is left where terms cancel
        least += 16 * torch.finfo(plain.dtype).eps
    close = torch.isclose(a, b, rtol=tolerance, atol=least, equal_nan=True)
    if close.all():
        return None
    wrong = int((~close).sum())
    return f"{wrong} of {a.numel()} values: {describe(a[~close])} against {describe(b[~close])}"


RAISED = ("raised", "reading raised", "backward raised")


def _overwritten(found: Found) -> bool:
    """Tell whether backward raised because the program had changed what it needs in place.

    A stacked record may be the memory that a kernel keeps; and what the plain network keeps, a
    compiled one may not need.
    """
    return "modified by an inplace operation" in found.get("backward raised text", "")


def _without_gradients(found: Found) -> Found:
    skipped = ("gradient", "backward raised", "traceback")
    return {name: value for name, value in found.items() if not name.startswith(skipped)}


def compare(plain: Found, other: Found, exact_type: bool = True) -> list[str]:
    """Return all differences of two runs, the telling ones first."""
    lines = []
    if _overwritten(plain) or _overwritten(other):
        plain, other = _without_gradients(plain), _without_gradients(other)
    for what in RAISED:
        if plain.get(what) != other.get(what):
            at = other.get(f"{what} at", plain.get(f"{what} at"))
            lines.append(f"{what}: {plain.get(what)} against {other.get(what)} at {at}")
    for name in dict.fromkeys((*plain, *other)):
        if "raised" in name or name == "traceback":
            continue
        if name.startswith("gradient") and name not in plain and _is_zero(other[name]):
            continue
        if name not in plain or name not in other:
            lines.append(f"{name}: only {'plain' if name in plain else 'compiled'}")
            continue
        try:
            text = difference(plain[name], other[name], exact_type)
        except Exception as error:  # of a tensor that stands for a value yet to be computed
            text = f"cannot be read, {type(error).__name__}: {error}"
        if text is not None:
            lines.append(f"{name}: {text}")
    return lines


def differences(text: str, ways: dict[str, Way] | None = None) -> list[str]:
    """Run a program plainly and compiled; return in what the runs differ.

    Where rounding decides, such as over a spike in float32, the plain program differs from itself
    in the same when its parameters change by a rounding error: then nothing is said.
    """
    ways = COMPILED if ways is None else ways
    plain, other = execute(text, PLAIN), execute(text, ways)
    lines = compare(plain, other, exact_type=load(text)["WAY"] != "lazy")
    if lines and not any(line.startswith(RAISED) for line in lines):
        size = 1e-14 if ".double()" in text else 1e-6
        for scale in (1, 2, 4):
            again = compare(plain, execute(text, PLAIN, nudge=size * scale))
            if set(map(subject, lines)) <= set(map(subject, again)):
                return []
    if lines and "traceback" in other and "traceback" not in plain:
        lines.append(other["traceback"])
    return lines


HOW = ("shape", "dtype", "requires_grad", "type", "only", "cannot", "None:")


def subject(line: str) -> str:
    """Return what differs, and how, without the values."""
    name, text = line.split(": ", 1)
    word = text.split()[0]
    return f"{name}: {word if word in HOW else ''}"


# Reducing ---------------------------------------------------------------------------------------


def kind(lines: list[str]) -> str:
    """Return what kind of failure some differences are, from the first of them."""
    if not lines or lines[0].startswith(RAISED):
        return "".join(lines[:1])
    name, _, how = subject(lines[0]).partition(": ")
    return f"{name.split()[0].split('[')[0]} {how}".strip().removesuffix(":")


def edited(text: str, number: int) -> str | None:
    """Return a program with one thing less, None if there are not so many that can go."""
    tree = ast.parse(text)
    for at, edit in enumerate(_edits(tree)):
        if at == number:
            edit()
            return ast.unparse(ast.fix_missing_locations(tree))
    return None


def _edits(tree: ast.Module) -> Iterator[Callable[[], Any]]:
    indices = [id(each.slice) for each in ast.walk(tree) if isinstance(each, ast.Subscript)]
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if not isinstance(block, list):
                continue
            counts = isinstance(node, ast.While)  # its first line, which stays, or it never ends
            for at, line in list(enumerate(block))[counts:]:
                yield partial(_drop, block, at)
                if isinstance(line, (ast.If, ast.With)):
                    yield partial(block.__setitem__, slice(at, at + 1), line.body)
        single = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Tuple)
        if single and isinstance(node.value, (ast.Call, ast.BinOp)):
            names = [n for n in ast.walk(node.value) if isinstance(n, ast.Name)]
            for used in {n.id: n for n in names if n.id not in ("torch", "nn", "F")}.values():
                yield partial(setattr, node, "value", used)
        listed = isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load)
        if listed and len(node.elts) > 1 and id(node) not in indices:
            yield from (partial(node.elts.pop, at) for at in range(len(node.elts)))
        if isinstance(node, ast.Return) and isinstance(node.value, (ast.Tuple, ast.List)):
            yield from (partial(setattr, node, "value", each) for each in node.value.elts)
        if isinstance(node, ast.Call):
            for at, keyword in enumerate(node.keywords):
                if keyword.arg != "dtype":  # or rounding is all that differs
                    yield partial(node.keywords.pop, at)


def _drop(block: list[ast.stmt], at: int) -> None:
    del block[at]
    if not block:
        block.append(ast.Pass())


def reduce(text: str, ways: dict[str, Way] | None = None, patience: float = 120.0) -> str:
    """Return the smallest program found that fails in the same way."""
    wanted, raises = kind(differences(text, ways)), "raised" in execute(text, PLAIN)
    ended = time.monotonic() + patience

    def fails(candidate: str) -> bool:
        with suppress(Exception):
            plain = execute(candidate, PLAIN)
            valid = ("raised" in plain) == raises and "backward raised" not in plain
            return valid and kind(differences(candidate, ways)) == wanted
        return False

    before = ""
    while text != before and time.monotonic() < ended:
        before, number = text, sum(1 for _ in _edits(ast.parse(text)))
        while (number := number - 1) >= 0:
            candidate = edited(text, number)
            if candidate is not None and fails(candidate):
                text = candidate
            if time.monotonic() > ended:
                break
    return text


# The command line -------------------------------------------------------------------------------


def failures(seeds: range, ways: dict[str, Way] | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the seeds that fail, with what differs."""
    for seed in seeds:
        if lines := differences(generate(seed).text, ways):
            yield seed, lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--seeds", metavar="A:B", help="run these seeds")
    parser.add_argument("--each", action="store_true", help="reduce one failure of each kind")
    parser.add_argument("--show", type=int, metavar="SEED", help="print and run a program")
    parser.add_argument("--reduce", type=int, metavar="SEED", help="reduce a program that fails")
    parser.add_argument("--run", type=Path, metavar="FILE", help="run a program in a file")
    parser.add_argument("--plain", action="store_true", help="compare plain with plain")
    parser.add_argument("--counts", action="store_true", help="how often each ingredient occurs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record.SMALL = 0  # record at every call
    ways = PLAIN if options.plain else COMPILED
    failed = 0
    if options.seeds:
        first, last_seed = map(int, options.seeds.split(":"))
        used: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        begun = time.monotonic()
        for seed in range(first, last_seed):
            program = generate(seed)
            used += Counter(dict.fromkeys(program.used, 1))
            used["program raises"] += program.raises
            if lines := differences(program.text, ways):
                failed += 1
                kinds[kind(lines)] += 1
                print(f"seed {seed}: {kind(lines)}", *lines[:3], sep="\n    ", flush=True)
                if options.each and kinds[kind(lines)] == 1:
                    text = reduce(program.text, ways)
                    print(text, *differences(text, ways), "", sep="\n", flush=True)
        if options.counts:
            print(*(f"{count:5} {name}" for name, count in used.most_common()), sep="\n")
        print(*(f"{count:5} {name}" for name, count in kinds.most_common()), sep="\n")
        seconds = time.monotonic() - begun
        print(f"{failed} of {last_seed - first} seeds fail; {seconds:.0f} seconds")
    for seed in (options.show, options.reduce):
        if seed is not None:
            text = generate(seed).text
            text = reduce(text, ways) if seed == options.reduce else text
            print(text, *differences(text, ways), sep="\n")
    if options.run:
        lines = differences(options.run.read_text(), ways)
        print(*lines or ["no difference"], sep="\n")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
