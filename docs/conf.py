import base64
import json
import re
from importlib.metadata import version as version_of
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

project = "snntorch"
author = "The snntorch contributors"
project_copyright = "2026, the snntorch contributors"
version = release = version_of("snntorch")

extensions = ["sphinx.ext.autodoc", "sphinx_design", "myst_nb"]
exclude_patterns = ["_build", "jupyter_execute"]

# References have to lead somewhere, but for types of other packages in signatures.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(torch|numpy|nir|os|collections|nn)\..+"),
    ("py:class", r"(ArrayLike|ArtistAnimation|Axes|Figure|NDArray|PathCollection|PathLike|Tensor)"),
    ("py:class", r"(Output|State)"),  # aliases
    ("py:class", r"snntorch\._network\.(compile\.Callee|rules\.Rule)|snntorch\.utils\.DataSet"),
]

autodoc_member_order = "bysource"
autodoc_type_aliases = {"State": "State", "Output": "Output"}
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

# `make notebooks` runs the tutorials; here they are only shown.
nb_execution_mode = "off"
nb_output_stderr = "warn"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"snntorch {release}"
html_static_path = ["_static"]
html_css_files = ["house.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def draw_thumbnails(app):
    """Take the first picture of each tutorial for its card."""
    folder = Path(app.srcdir) / "tutorials" / "thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.parent.glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        outputs = (out.get("data", {}) for cell in cells for out in cell.get("outputs", ()))
        pictures = (data["image/png"] for data in outputs if "image/png" in data)
        if picture := next(pictures, None):
            (folder / f"{path.stem}.png").write_bytes(base64.b64decode(picture))


def math_as_mathml(as_block):
    """Render formulas as MathML, which browsers show without an external script."""

    def visit(translator, node):
        # Two commands that the converter does not know: an old font switch, and sizes of brackets.
        formula = re.sub(r"\\rm\s+(\w+)", r"\\mathrm{\1}", node.astext())
        formula = re.sub(r"\\[Bb]igg?[lr]?\b", "", formula)
        try:
            mathml = tex2mathml(formula, as_block=as_block)
            translator.body.append(f'<div class="formula">{mathml}</div>' if as_block else mathml)
        except MathError as error:
            getLogger(__name__).warning("formula: %s", error, location=node)
        raise SkipNode

    return visit, None


def escape_trailing_underscores(app, what, name, obj, options, lines):
    """``input_`` in the name of a field is an argument, not a link."""
    lines[:] = [re.sub(r"^(\s*:param \w+)_:", r"\1\\_:", line) for line in lines]


def setup(app):
    app.add_html_math_renderer("mathml", math_as_mathml(False), math_as_mathml(True))
    app.connect("builder-inited", draw_thumbnails)
    app.connect("autodoc-process-docstring", escape_trailing_underscores)
