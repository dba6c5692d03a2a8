"""Compare environments on pieces of work, turn by turn.

Each runs in a separate process, and they take turns of a fraction of a second, so that the noise
of the machine falls on all alike. What counts is the ratio of the lower quartiles.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TURN = 0.15  # seconds


def serve(name: str, threads: int) -> None:
    """Time the named piece of work for a turn whenever a line arrives; runs in the worker."""
    import torch

    torch.set_num_threads(threads)
    module, function = name.rsplit(".", 1)
    function, *arguments = function.split(":")
    work = getattr(importlib.import_module(module), function)(*arguments)
    for _ in range(3):
        work()
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        until = time.perf_counter() + TURN
        while time.perf_counter() < until:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


class Worker:
    """A process of some environment's Python that repeats one piece of work on demand."""

    def __init__(self, python: str, name: str, threads: int) -> None:
        self.times: list[float] = []
        self.process = subprocess.Popen(
            [python, "-W", "ignore", "harness.py", "--serve", name, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        assert self.process.stdin and self.process.stdout
        self.ask, self.answers = self.process.stdin, self.process.stdout
        if self.answers.readline() != "ready\n":
            raise RuntimeError(f"{python} could not run {name}")

    def turn(self) -> None:
        self.ask.write("go\n")
        self.ask.flush()
        self.times += json.loads(self.answers.readline())

    def quartile(self) -> float:
        self.ask.close()
        self.process.wait()
        return sorted(self.times)[len(self.times) // 4]


def compare(jobs: list[tuple[str, str]], threads: int, seconds: float) -> list[float]:
    """Return the lower quartile, in seconds, of each job: an environment and a piece of work."""
    workers = [Worker(python, name, threads) for python, name in jobs]
    for _ in range(max(1, round(seconds / TURN))):
        for worker in workers:
            worker.turn()
    return [worker.quartile() for worker in workers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument(
        "--peer", action="append", default=[], help="the Python of an environment to compare with"
    )
    parser.add_argument(
        "--way", action="append", default=[], help="another way to do the work here, its last word"
    )
    parser.add_argument("--threads", type=int, default=1, help="of each (default: 1)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each, for each row")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument(
        "names",
        nargs="*",
        help="pieces of work, such as step.leaky, with arguments: loops.training:dense",
    )
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.threads)
        return
    pythons = [sys.executable, *map(os.path.abspath, args.peer)]
    labels = ["peer"] * len(args.peer) + args.way
    print(f"{'work':32}{'here':>10}" + "".join(f"{label:>12}{'ratio':>8}" for label in labels))
    rows = {}
    for name in args.names:
        jobs = [(python, name) for python in pythons]
        jobs += [(sys.executable, f"{name}:{way}") for way in args.way]
        here, *others = rows[name] = compare(jobs, args.threads, args.seconds)
        cells = (f"{other * 1e6:10.0f}us{here / other:8.3f}" for other in others)
        print(f"{name:32}{here * 1e6:8.0f}us" + "".join(cells), flush=True)
    if args.json:
        args.json.write_text(
            json.dumps({"pythons": pythons, "ways": args.way, "seconds": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
