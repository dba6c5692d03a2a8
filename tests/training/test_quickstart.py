"""The quickstart and the examples of the documentation."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from idx import write_images
from pages import run_page
from project import ROOT, load_script, python_blocks

from snntorch import datasets

quickstart = load_script(ROOT / "examples" / "quickstart.py")


def test_a_bad_folder_ends_with_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        quickstart.main(["--data", str(tmp_path)])
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--data" in error and str(tmp_path) in error and "pass the folder" in error


@pytest.fixture
def few_digits(tmp_path):
    """A folder with the first digits of the subset."""
    for part, count in {"train": 640, "t10k": 100}.items():
        pixels, labels = datasets.mnist(part == "train")[:count]
        write_images(tmp_path, (255 * pixels[:, 0]).numpy(), labels.numpy(), part)
    return tmp_path


def test_quickstart_learns_from_few_digits(few_digits, capsys):
    output = few_digits / "new" / "folder"
    options = ["--epochs", "3", "--steps", "10", "--batch-size", "64"]
    folders = ["--data", str(few_digits), "--output", str(output)]
    losses, accuracy = quickstart.main([*options, *folders])
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert (output / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert f"Test accuracy: {accuracy:.2%}\n" in printed
    assert str(output / "quickstart.png") in printed


@pytest.mark.slow
def test_quickstart_reads_nine_of_ten_digits(tmp_path):
    _, accuracy = quickstart.main(["--output", str(tmp_path)])
    assert accuracy >= 0.9


def test_example_of_the_readme_learns():
    (block,) = python_blocks(ROOT / "README.rst")
    command = [sys.executable, "-W", "error", "-c", block]
    # Tests run side by side: threads that wait for each other would take most of the time.
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.removeprefix("Accuracy: ")) > 0.8


def test_the_loop_on_the_page_on_long_sequences_is_tbptt(tmp_path, monkeypatch):
    path = ROOT / "docs" / "how-to" / "long_sequences.rst"
    names = run_page(path, tmp_path, monkeypatch)
    # Guessing gives ln 2 = 0.69; the least, with right spikes alone, is ln(1 + 1/e) = 0.31.
    assert names["loss"] < 0.36
    (written_out,) = (block for block in python_blocks(path) if "data.split(K)" in block)
    same = [copy.deepcopy(names["net"]) for _ in range(2)]
    steps = [torch.optim.SGD(net.parameters(), 0.1) for net in same]
    for data, targets in names["batches"]:
        named = {"net": same[0], "optimizer": steps[0], "data": data, "targets": targets}
        exec(written_out, names | named)
    names["backprop"].TBPTT(same[1], names["batches"], steps[1], names["loss_fn"], K=10)
    for a, b in zip(same[0].parameters(), same[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_learned_decay_rates_on_the_quickstart_page():
    blocks = python_blocks(ROOT / "docs" / "quickstart.rst")
    block = next(block for block in blocks if "class Net" in block)
    names = {}
    exec(block, names)
    net = names["Net"]()
    spikes = net(torch.rand(4, 784), num_steps=7)
    assert spikes.shape == (7, 4, 10)
    spikes.sum().backward()
    for neurons in (net.hidden_neurons, net.output_neurons):
        assert neurons.beta.grad.abs().sum() > 0
