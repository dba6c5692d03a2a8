"""Run the files of a folder, by name, as one program: ``python run_page.py FOLDER [double]
[compiled]``.

What the program holds in the end goes to ``held.pt``. With ``double``, numbers are of that type
unless it says otherwise; with ``compiled``, its networks with a loop in ``forward`` are compiled
as they are made.
"""

import ast
import dis
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch
from matplotlib import animation
from torch import nn

import snntorch as snn

# Functions that draw and are defined in the notebooks alone.
DRAWN = """plot_mem plot_step_current_response plot_current_pulse_response compare_plots
plot_cur_mem_spk plot_spk_mem_spk plot_reset_comparison plot_snn_spikes plot_spk_cur_mem_spk"""


@animation.writers.register("ffmpeg")
class Film(animation.AbstractMovieWriter):
    """Draws every frame, for a film that is not made."""

    @classmethod
    def isAvailable(cls):
        return True

    def setup(self, fig, outfile, dpi=None):
        super().setup(fig, outfile, dpi)

    def grab_frame(self, **options):
        self.fig.canvas.draw()

    def finish(self):
        Path(self.outfile).write_bytes(b"film")


class Compiling(type):
    """The class of a program's networks, which are compiled as they are made."""

    made = 0

    def __call__(cls, *args, **kwargs):
        made = super().__call__(*args, **kwargs)
        loops = any(each.opname == "FOR_ITER" for each in dis.get_instructions(cls.forward))
        Compiling.made += loops
        return snn.compile(made) if loops else made


class CompileNetworks(ast.NodeTransformer):
    def visit_ClassDef(self, node):
        if any(ast.unparse(base).endswith("nn.Module") for base in node.bases):
            node.keywords.append(ast.keyword("metaclass", ast.Name("Compiling", ast.Load())))
        return node


def plain_data(value):
    """Return the numbers in a value, and None for what holds none."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, nn.Module):
        return dict(value.state_dict())
    if isinstance(value, list | tuple):
        return [plain_data(each) for each in value]
    return value if isinstance(value, int | float) else None


def main(folder, double, compiled):
    torch.manual_seed(0)
    if double:
        torch.set_default_dtype(torch.float64)
    namespace = {name: lambda *args, **kwargs: None for name in DRAWN.split()}
    namespace |= {"__name__": "__main__", "Compiling": Compiling}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text())
        if compiled:
            tree = ast.fix_missing_locations(CompileNetworks().visit(tree))
        exec(compile(tree, path.name, "exec"), namespace)
    held = {name: plain_data(each) for name, each in namespace.items() if name[0] != "_"}
    torch.save({**held, "compiled networks": Compiling.made}, folder / "held.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "double" in sys.argv[2:], "compiled" in sys.argv[2:])
