"""Peak memory of a training step of the quickstart network over 1000 time steps, batch of 8."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TIME, BATCH = 1000, 8


def peak() -> int:
    """Return the most memory that this process has held, in MB."""
    # Unlike getrusage's, this figure knows nothing of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


def measure() -> None:
    """Print the peaks before and after a training step."""
    import networks
    import torch

    torch.set_num_threads(1)
    # What is needed only once, kernels and libraries, comes with a first short step.
    networks.quickstart_training(BATCH, num_steps=2)()
    before = peak()
    networks.quickstart_training(BATCH, TIME)()
    print(before, peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="the Python of the environment to compare with")
    args = parser.parse_args()
    if not args.peer:
        measure()
        return
    print(f"{'':8}{'before':>10}{'peak':>10}{'step':>10}")
    for label, python in (("here", sys.executable), ("peer", os.path.abspath(args.peer))):
        command = [python, "-W", "ignore", __file__]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        before, after = map(int, out.split())
        print(f"{label:8}{before:8}MB{after:8}MB{after - before:8}MB", flush=True)


if __name__ == "__main__":
    main()
