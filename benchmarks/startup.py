"""The first training step of the quickstart network in a new process, without and with a cache."""

import os
import subprocess
import sys
import tempfile
import time

PROCESSES = 3


def measure() -> None:
    """Print the time of the first step and of the second."""
    import networks
    import torch

    torch.set_num_threads(1)
    step = networks.quickstart_training()
    for _ in range(2):
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start)


def process(folder: str) -> tuple[float, float]:
    """Return both times of a new process that keeps its kernels in a folder."""
    command = [sys.executable, __file__, "measure"]
    environment = {**os.environ, "SNNTORCH_CACHE_DIR": folder}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    first, second = map(float, out.stdout.split())
    return first, second


def main() -> None:
    empty, filled = [], []
    for _ in range(PROCESSES):
        with tempfile.TemporaryDirectory() as folder:
            empty.append(process(folder))
            filled.append(process(folder))
    print(f"{'cache':8}{'first':>10}{'second':>10}")
    for label, times in (("empty", empty), ("filled", filled)):
        first, second = (sorted(each)[PROCESSES // 2] for each in zip(*times, strict=True))
        print(f"{label:8}{first:9.2f}s{second:9.3f}s")


if __name__ == "__main__":
    measure() if sys.argv[1:] else main()
