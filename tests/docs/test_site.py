"""The built site: links lead somewhere, public names have entries, and the search finds them."""

import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from project import ROOT, TESTS

import snntorch as snn

DOCS = ROOT / "docs"
# Modules whose names users import.
MODULES = [
    "snntorch",
    "snntorch.backprop",
    "snntorch.datasets",
    "snntorch.export",
    "snntorch.functional",
    "snntorch.ipu",
    "snntorch.nir",
    "snntorch.saccades",
    "snntorch.spikegen",
    "snntorch.spikeplot",
    "snntorch.surrogate",
    "snntorch.testing",
    "snntorch.utils",
    "snntorch.functional.loss",
    "snntorch.functional.probe",
    "snntorch.functional.quant",
    "snntorch.functional.reg",
    "snntorch.functional.stdp_learner",
    "snntorch.spikevision.spikedata",
]
# Helpers of the library in modules without __all__.
INTERNAL = {"as_spike_function", "heaviside_step", "no_surrogate", "DataSet"}
FACTS = (TESTS / "data" / "signatures.txt").read_text()


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values.get("id"), values.get("name")}
        self.links |= {values.get("href"), values.get("src")} - {None}


def broken_links(folder):
    """Return the links inside a folder of HTML pages that lead nowhere."""
    pages = {path.resolve(): Page(path) for path in folder.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            # Anchors of the highlighted sources and of themes' scripts are not in the pages.
            here = not anchor or target not in pages or anchor in pages[target].anchors
            if not target.exists() or not here:
                broken.append(f"{path.relative_to(folder.resolve())}: {link}")
    return broken


def public_names(module):
    """Yield the public names of a module, with their values, that belong to this library."""
    declared = getattr(module, "__all__", None)
    for name in declared or [name for name in dir(module) if not name.startswith("_")]:
        value = getattr(module, name)
        home = getattr(value, "__module__", None)
        if home and home.startswith("snntorch") and (declared or home == module.__name__):
            yield name, value


def find(path):
    """Return the value of a dotted path, or None."""
    first, *names = path.split(".")
    value = importlib.import_module(first)
    for name in names:
        if not hasattr(value, name):
            try:
                importlib.import_module(f"{value.__name__}.{name}")
            except (ImportError, AttributeError):
                return None
        value = getattr(value, name)
    return value


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, with the notebooks that are there: ``make notebooks`` runs them."""
    pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", DOCS, folder]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def documented(site):
    """The names in the site's inventory."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda *parts: "/".join(parts))
    data = inventory if isinstance(inventory, dict) else inventory.data
    return {name for role, names in data.items() if role.startswith("py:") for name in names}


@pytest.mark.slow
def test_links_lead_somewhere(site):
    assert len(list(site.rglob("*.html"))) > 40
    tutorials = {path.stem for path in (ROOT / "examples" / "tutorials").glob("*.py")}
    shown = {path.stem for path in (site / "tutorials").glob("*.html")}
    broken = broken_links(site)
    if not tutorials <= shown:
        broken = [link for link in broken if "tutorials/" not in link]
    assert broken == []


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module, documented):
    """By the public path, or, where a module has a name under several paths, by another one."""
    values = [id(find(name)) for name in documented]
    names = dict(public_names(importlib.import_module(module)))
    missing = {
        name
        for name, value in names.items()
        if f"{module}.{name}" not in documented
        and (module == "snntorch" or id(value) not in values)
    }
    assert names
    assert missing <= INTERNAL


@pytest.mark.slow
def test_names_of_1_0_0_are_documented(documented):
    values, missing, module = [id(find(name)) for name in documented], set(), None
    for line in FACTS.splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        elif name := re.match(r"[A-Za-z]\w*", line):
            path = f"{module}.{name[0]}"
            if path not in documented and id(find(path)) not in values:
                missing.add(path)
    assert missing == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "word, page",
    [
        ("learn_beta", "reference/neurons"),
        ("reset_delay", "reference/neurons"),
        ("correct_rate", "reference/losses"),
        ("unroll", "reference/running"),
    ],
)
def test_the_search_finds(word, page, site):
    """A word's stem in the text of a page."""
    from sphinx.search.en import SearchEnglish

    text = (site / "searchindex.js").read_text()
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    found = index["terms"][SearchEnglish({}).stem(word)]
    pages = [found] if isinstance(found, int) else found
    assert page in [index["docnames"][number] for number in pages]


@pytest.mark.parametrize(
    "page, broken",
    [
        ('<a href="b.html">', []),
        ('<a href="b.html#here">', []),
        ('<a href="https://example.org/c.html">', []),
        ('<a href="c.html">', ["a.html: c.html"]),
        ('<a href="b.html#there">', ["a.html: b.html#there"]),
        ('<a href="#there">', ["a.html: #there"]),
        ('<img src="c.png">', ["a.html: c.png"]),
    ],
)
def test_a_broken_link_is_found(page, broken, tmp_path):
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<p id="here">')
    assert broken_links(tmp_path) == broken


def test_a_missing_name_would_be_found():
    assert dict(public_names(snn.functional))["ce_rate_loss"] is snn.functional.ce_rate_loss
    assert find("snntorch.functional.ce_rate_loss") is snn.functional.ce_rate_loss
    assert find("snntorch.Leaky.forward") is snn.Leaky.forward
    assert find("snntorch.nothing") is None
