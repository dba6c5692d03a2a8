import re
from importlib.metadata import version as version_of

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

project = "snntorch"
author = "The snntorch contributors"
project_copyright = "2026, the snntorch contributors"
version = release = version_of("snntorch")

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_type_aliases = {"State": "State", "Output": "Output"}
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

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


def math_as_mathml(as_block):
    """Render formulas as MathML, which browsers show without an external script."""

    def visit(translator, node):
        # Two commands that the converter does not know: an old font switch, and sizes of brackets.
        formula = re.sub(r"\\rm (\w+)", r"\\mathrm{\1}", node.astext())
        formula = re.sub(r"\\[Bb]igg?[lr]?\b", "", formula)
        try:
            translator.body.append(tex2mathml(formula, as_block=as_block))
        except MathError as error:
            getLogger(__name__).warning("formula: %s", error, location=node)
        raise SkipNode

    return visit, None


def escape_trailing_underscores(app, what, name, obj, options, lines):
    """``input_`` in the name of a field is an argument, not a link."""
    lines[:] = [re.sub(r"^(\s*:param \w+)_:", r"\1\\_:", line) for line in lines]


def setup(app):
    app.add_html_math_renderer("mathml", math_as_mathml(False), math_as_mathml(True))
    app.connect("autodoc-process-docstring", escape_trailing_underscores)
