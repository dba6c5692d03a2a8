"""The code on the pages of 1.0.0's documentation runs unchanged.

The pages are not part of the project: their blocks are taken out when the tests run, and run page
by page, with stand-ins for what they fetch and show (folder standins), on few images.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
import textwrap

import pytest
import torch
from project import ROOT, TESTS

SEEDS = ROOT.parent / "shared" / "seeds"
STANDINS = TESTS / "helpers" / "standins"

# What is not run: by page a number, the start of a hash, and why; * is the whole page.
LEFT_OUT = """
000 Tutorial 3 - Deep Learning with snnTorch
    0 41522c45 shell
001 Installation
    * shell
001 Quickstart
    0 56215f75 shell
001 snn.Synaptic
    0 29d81674 a sketch with an older order of arguments
    1 afce270c a sketch
    5 a80f6129 no Python: a comma is missing
    6 d8adc4b4 N-MNIST
    8 6cc7b4cd no Python: indentation
001 Tutorial 1 - Spike Encoding
    0 593cfbe7 shell
001 Tutorial 2 - The Leaky Integrate-and-Fire Neuron
    0 593cfbe7 shell
001 Tutorial 3 - A Feedforward Spiking Neural Network
    0 593cfbe7 shell
001 Tutorial 4 - 2nd Order Spiking Neuron Models
    0 593cfbe7 shell
001 Tutorial 5 - Training Spiking Neural Networks with snntorch
    0 593cfbe7 shell
    23 8f4d6e0e printed
001 Tutorial 6 - Surrogate Gradient Descent in a Convolutional SNN
    0 593cfbe7 shell
    20 bad080c3 no Python: indentation
    21 ba6424c5 printed
    22 37b9cb1b needs block 20
001 Tutorial 7 - Neuromorphic Datasets with Tonic + snnTorch
    * tonic and N-MNIST
001 Exoplanet Hunter: Finding Planets Using Light Intensity
    * its data are on a drive
001 Accelerating snnTorch on IPUs
    * poptorch and an IPU
001 Population Coding in Spiking Neural Nets
    0 87d8cd4a shell
001 Regression with SNNs: Part I
    0 d073fd1d shell
001 Regression with SNNs: Part II
    0 d073fd1d shell
    13 87d8cd4a shell
    24 b67f38f2 raises on the page too
    25 43136b2e printed
    28 efed9b65 printed
001 Training on ST-MNIST with Tonic + snnTorch Tutorial
    * tonic and ST-MNIST
002 Tutorial 5 - Training Spiking Neural Networks with snntorch
    0 593cfbe7 shell
    23 8f4d6e0e printed
003 Tutorial 6 - Surrogate Gradient Descent in a Convolutional SNN
    0 593cfbe7 shell
    21 2d1c805c printed
004
    * uses nothing of the library
"""

# What a page takes for granted.
GIVEN = {
    "001 snn.Synaptic": """
import torch
device, num_inputs, num_hidden, num_outputs, batch_size = "cpu", 784, 50, 10, 4
data = torch.rand(batch_size, 784)
"""
}

# Pages whose training makes a difference in rounding grow, and how many losses it does not reach.
CHAOTIC = {"001 Regression with SNNs: Part I": 25}

# Pages that need another number of images than 1280, which is 10 batches of 128, or 1 of a tenth.
IMAGES = {"001 Regression with SNNs: Part II": 512}


def pages():
    """Return the blocks of every page that has some, by the number of its file and its title."""
    found = {}
    for path in sorted(SEEDS.glob("*.txt")):
        head, *parts = re.split(r"^={8,}\n(.+)\n={8,}$", path.read_text(), flags=re.MULTILINE)
        for title, body in zip(["", *parts[::2]], [head, *parts[1::2]], strict=True):
            found[f"{path.name[:3]} {title}".strip()] = blocks(body)
    return {page: each for page, each in found.items() if each}


def blocks(body):
    """Return the literal blocks of a page: after ``::``, a code directive or a fence."""
    if "```python" in body:
        return re.findall(r"^```python\n(.*?)^```", body, flags=re.MULTILINE | re.DOTALL)
    lines, found = body.splitlines(), []
    for i, line in enumerate(lines, 1):
        if start := re.match(r"( *)(?:\.\. code(?:-block)?:: *\w*|(?!\.\.).*::)\s*$", line):
            ends = [bool(text[: len(start[1]) + 1].strip()) for text in lines[i:]] + [True]
            found.append(textwrap.dedent("\n".join(lines[i : i + ends.index(True)])).strip("\n"))
    return found


def python(block):
    """Return the Python of a block, without prompts and what they print, or None."""
    lines = block.splitlines()
    first = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>")), len(lines))
    typed = [line.strip()[4:] for line in lines[first:] if line.lstrip().startswith(">>> ")]
    code = "\n".join([*lines[:first], *typed])
    try:
        ast.parse(code)
    except SyntaxError:
        return None
    return code


def name(number, block):
    return f"{number} {hashlib.sha256(block.encode()).hexdigest()[:8]}"


def left_out():
    """Return what LEFT_OUT says, by page and name of a block."""
    found, names = {}, {}
    for line in LEFT_OUT.strip().splitlines():
        if entry := re.fullmatch(r" +(\*|\d+ \w+) (.+)", line):
            names[entry[1]] = entry[2]
        else:
            names = found[line] = {}
    return found


PAGES = pages()
OUT = left_out()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SEEDS.is_dir(), reason=f"not run: the pages are not in {SEEDS}"),
]


def test_what_is_left_out_is_on_the_pages():
    for page, names in OUT.items():
        there = {name(i, block) for i, block in enumerate(PAGES[page])}
        assert set(names) - {"*"} <= there, page


def test_what_is_no_python_is_listed():
    for page, each in PAGES.items():
        out = OUT.get(page, {})
        for i, block in enumerate(each):
            assert "*" in out or name(i, block) in out or python(block) is not None, (page, i)


def run_page(page, folder, *options):
    """Run the blocks of a page; return what it printed and what it held in the end."""
    folder.mkdir()
    (folder / "before.py").write_text(GIVEN.get(page, ""))
    for i, block in enumerate(PAGES[page]):
        if name(i, block) not in OUT.get(page, {}):
            (folder / f"block_{i:02}.py").write_text(python(block))
    done = subprocess.run(
        [sys.executable, STANDINS / "run_page.py", folder, *options],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{STANDINS}",
            "OMP_NUM_THREADS": "1",
            "STANDIN_IMAGES": str(IMAGES.get(page, 1280)),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, torch.load(folder / "held.pt", weights_only=False)


def loops(node):
    return node.name == "forward" and any(isinstance(each, ast.For) for each in ast.walk(node))


def has_network(page):
    """Tell whether a page makes a network that loops in ``forward``."""
    trees = [ast.parse(code) for code in map(python, PAGES[page]) if code]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return any(
        each.name in called and isinstance(method, ast.FunctionDef) and loops(method)
        for each in classes
        for method in each.body
    )


RUN = [page for page in PAGES if "*" not in OUT.get(page, {})]


@pytest.mark.parametrize("page", RUN)
def test_page(page, tmp_path):
    run_page(page, tmp_path / "page")


@pytest.mark.parametrize("page", [*filter(has_network, RUN)])
def test_page_with_compiled_networks(page, tmp_path):
    """In double precision, as a spike that rounding flips changes all of the training after it."""
    printed, held = run_page(page, tmp_path / "plain", "double")
    again, same = run_page(page, tmp_path / "compiled", "double", "compiled")
    assert same.pop("compiled networks") > held.pop("compiled networks") == 0
    if page in CHAOTIC:
        same, held = (each["loss_hist"][: CHAOTIC[page]] for each in (same, held))
    else:
        assert again == printed
    torch.testing.assert_close(same, held, rtol=1e-5, atol=1e-6)
