"""The quickstart and the examples of the documentation."""

import copy
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from idx import write_images
from pages import run_page
from project import ROOT, load_script, python_blocks

from snntorch import datasets, utils
from snntorch import functional as SF

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


def test_states_by_hand_on_the_quickstart_page():
    *_, block = python_blocks(ROOT / "docs" / "quickstart.rst")
    names = {}
    exec(block, names)
    net = names["Net"]()
    spikes = net(torch.rand(4, 784), num_steps=7)
    assert spikes.shape == (7, 4, 10)
    spikes.sum().backward()
    for neurons in (net.hidden_neurons, net.output_neurons):
        assert neurons.beta.grad.abs().sum() > 0


def test_page_on_integrate_and_fire_learns(monkeypatch):
    monkeypatch.chdir(ROOT)
    one, encoder, network, training = python_blocks(ROOT / "docs" / "integrate_and_fire.rst")
    names = {}
    exec(one, names)
    potential, fired = 0.0, []
    for current in names["signal"].tolist():
        potential = max(potential + current, 0.0)
        fired.append(float(potential > 1))
        potential *= potential <= 1
    assert names["spikes"].tolist() == fired
    assert 10 < sum(fired) < 50

    exec(encoder, names)
    for gain, bias in ((1.0, 0.0), (0.7, 0.11), (-0.5, 0.5)):
        current = gain * names["pixels"] + bias
        period = torch.where(current > 0, (1 / current).floor() + 1, math.inf)
        steps = torch.arange(1, 61)[:, None]
        expected = steps % period == 0
        assert torch.equal(names["encode"](names["pixels"], 60, gain, bias).bool(), expected)

    exec(network, names)
    layer = names["Dense"](5, 4, dt=1e-3, tau=3e-3).double()
    weights = layer.weights.weight.detach().numpy()
    inputs = (torch.rand(50, 2, 5) < 0.5).double()
    state = layer.neurons.init_synaptic()
    current, potential = np.zeros((2, 4)), np.zeros((2, 4))
    for step in inputs:
        spk, state = layer(step, state)
        current = math.exp(-1 / 3) * current + step.numpy() @ weights.T
        potential = np.maximum(potential + current, 0)
        assert np.array_equal(spk.detach(), potential > 1)
        potential[potential > 1] = 0
        np.testing.assert_allclose(state[1].detach(), potential, rtol=1e-6, atol=1e-6)

    exec(training, names)
    assert np.mean(names["right"][-10:]) > 0.6
