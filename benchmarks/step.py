"""One eager time step in float32: of each model forward and backward, of ``Leaky`` at four sizes.

Pieces of work are called ``<neuron>`` for 128 x 1000 neurons, ``leaky_32x100`` for another size,
and ``leaky_32x100_forward`` for the step alone, under ``no_grad``.
"""

from collections.abc import Callable

import torch

import snntorch as snn

NEURONS = 1000
MAKE: dict[str, Callable[[], torch.nn.Module]] = {
    "leaky": lambda: snn.Leaky(beta=0.9),
    "leaky_zero": lambda: snn.Leaky(beta=0.9, reset_mechanism="zero"),
    "leaky_learnable": lambda: snn.Leaky(
        beta=torch.rand(NEURONS), learn_beta=True, learn_threshold=True
    ),
    "lapicque": lambda: snn.Lapicque(beta=0.9),
    "synaptic": lambda: snn.Synaptic(alpha=0.9, beta=0.8),
    "alpha": lambda: snn.Alpha(alpha=0.9, beta=0.8),
    "rleaky": lambda: snn.RLeaky(beta=0.9, all_to_all=False),
    "rsynaptic": lambda: snn.RSynaptic(alpha=0.9, beta=0.8, all_to_all=False),
}
STATES = {"synaptic": 2, "alpha": 3, "rleaky": 2, "rsynaptic": 3}


def __getattr__(name: str) -> Callable[[], Callable[[], None]]:
    """Return what prepares a piece of work, by its name."""
    work, _, forward = name.partition("_forward")
    kind, _, size = work.rpartition("_")
    if "x" not in size or kind not in MAKE:
        kind, size = work, f"128x{NEURONS}"
    if kind not in MAKE or forward:
        raise AttributeError(name)
    shape = [int(n) for n in size.split("x")]
    return lambda: _step(MAKE[kind](), kind, shape, backward=work == name)


def _step(
    neuron: torch.nn.Module, kind: str, shape: list[int], backward: bool
) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    x, *states = (draw().requires_grad_(backward) for _ in range(1 + STATES.get(kind, 1)))
    grad = draw()
    # The new membrane of Alpha does not depend on the old one.
    wanted = [x, states[0 if kind == "alpha" else -1]]

    def step() -> None:
        with torch.no_grad():
            neuron(x, *states)

    def step_and_back() -> None:
        spk, *_, mem = neuron(x, *states)
        torch.autograd.grad([spk, mem], wanted, [grad, grad])

    return step_and_back if backward else step
