"""Run the files of a folder, by name, as one program: ``python run_page.py FOLDER``."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch
from matplotlib import animation

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


def main(folder):
    torch.manual_seed(0)
    namespace = {name: lambda *args, **kwargs: None for name in DRAWN.split()}
    namespace["__name__"] = "__main__"
    for path in sorted(folder.glob("*.py")):
        exec(compile(path.read_text(), path.name, "exec"), namespace)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
