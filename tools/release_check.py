"""Tell what keeps the tree from being released; with a tag, such as v1.1.0, from being it.

The archives are those in dist, where there are any: `make dist` builds them.
"""

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Imported where they are installed, and asked for in the error otherwise; h5py comes with tonic.
OPTIONAL = {"IPython", "h5py", "tonic"}
# Files of the repository that are for those who work in it alone.
NOT_IN_SDIST = re.compile(r"\.(ci|github)/|\.gitignore$|\.pre-commit")


def tracked(root):
    """The files of the repository, as paths from its root."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def version(root):
    text = (root / "snntorch" / "__init__.py").read_text()
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def check_version(root):
    """The recipe for conda and the citation, which need a version, have that of the package."""
    places = {"recipe/recipe.yaml": r'^  version: "(.+)"$', "CITATION.cff": r"^version: (.+)$"}
    for name, pattern in places.items():
        stated = re.search(pattern, (root / name).read_text(), re.MULTILINE)[1]
        if stated != version(root):
            yield f"{name} is for {stated}, the package is {version(root)}"
    if re.search(r'^version = "', (root / "pyproject.toml").read_text(), re.MULTILINE):
        yield "pyproject.toml states a version, which snntorch/__init__.py does"


def check_history(root, tag=None):
    """The newest entry of HISTORY is this version's, with a date when it is released as a tag."""
    lines = (root / "HISTORY.rst").read_text().splitlines()
    newest = next(line for line, under in pairwise(lines) if under[:3] == "---")
    match = re.fullmatch(r"(\S+) \((unreleased|\d{4}-\d{2}-\d{2})\)", newest)
    if not match:
        yield f"HISTORY.rst begins with {newest!r}; expected 'VERSION (unreleased or YYYY-MM-DD)'"
    elif match[1] != version(root):
        yield f"HISTORY.rst begins with {match[1]}, the package is {version(root)}"
    elif match[2] == "unreleased":
        if tag:
            yield f"HISTORY.rst has no date for {match[1]}"
    elif date.fromisoformat(match[2]) > date.today():
        yield f"HISTORY.rst dates {match[1]} to {match[2]}, which is yet to come"


def imported(root):
    """The modules of other libraries that the package imports."""
    found = set()
    for file in (root / "snntorch").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"snntorch"}


def check_requirements(root):
    """What the package imports is what it declares, and what the recipe for conda declares."""
    project = (root / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)[1]
    stated = re.findall(r'"(.+)"', block)
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in stated}
    for name in sorted(imported(root) - declared - OPTIONAL):
        yield f"{name} is imported but not declared in pyproject.toml"
    for name in sorted(declared - imported(root)):
        yield f"{name} is declared in pyproject.toml but not imported"
    recipe = (root / "recipe" / "recipe.yaml").read_text().split("  run:\n")[1].split("\n\n")[0]
    names = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    run = re.findall(r"- ([\w-]+) ?(.*)", recipe)
    run = {names.get(name, name) + bound for name, bound in run if name != "python"}
    for requirement in sorted(run ^ set(stated)):
        yield f"{requirement} is in only one of pyproject.toml and recipe/recipe.yaml"


def check_links(root):
    """Links from one file of the repository to another lead somewhere."""
    directive = r"^\.\. (?:_[^:\n]+|image|figure|include|literalinclude)::? +(\S+)"
    link = re.compile(rf"<([^<>\s]+)>`_|{directive}", re.MULTILINE)
    for name in tracked(root):
        if name.endswith(".rst"):
            for match in link.finditer((root / name).read_text()):
                target = (match[1] or match[2]).partition("#")[0]
                path = (root / name).parent / target
                if target and ":" not in target and not path.exists():
                    yield f"{name} links to {target}, which does not exist"


def check_archives(root):
    """The wheels hold the package, its licence and nothing else; the sdist all that is tracked."""
    files = {name for name in tracked(root) if not NOT_IN_SDIST.match(name)}
    package = {name for name in files if name.startswith("snntorch/")}
    for wheel in sorted((root / "dist").glob("*.whl")):
        archive = zipfile.ZipFile(wheel)
        names, own = archive.namelist(), wheel.name.partition("-")[0].replace("_", "-")
        for name in names:
            if name.endswith(".dist-info/METADATA"):
                text = archive.read(name).decode()
                needed = {*re.findall(r"^Requires-Dist: (snntorch[\w-]*)", text, re.MULTILINE)}
                yield from (f"{wheel.name} requires {each}" for each in needed - {own})
        info = {name.rpartition(".dist-info/")[2] for name in names if ".dist-info/" in name}
        inside = {name for name in names if ".dist-info/" not in name}
        yield from (f"{wheel.name} has {name}" for name in sorted(inside - package))
        yield from (f"{wheel.name} lacks {name}" for name in sorted(package - inside))
        expected = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt"}
        yield from (f"{wheel.name}: .dist-info/{name}?" for name in sorted(info ^ expected))
    for sdist in sorted((root / "dist").glob("*.tar.gz")):
        with tarfile.open(sdist) as archive:
            inside = {name.partition("/")[2] for name in archive.getnames()}
        yield from (f"{sdist.name} lacks {name}" for name in sorted(files - inside))
    for archive in (root / "dist").glob("*"):
        if f"-{version(root)}" not in archive.name:
            yield f"{archive.name} is of another version than {version(root)}"


def problems(root, tag=None):
    if tag not in (None, f"v{version(root)}"):
        yield f"the tag is {tag}, the package is {version(root)}"
    yield from check_version(root)
    yield from check_history(root, tag)
    yield from check_requirements(root)
    yield from check_links(root)
    yield from check_archives(root)


if __name__ == "__main__":
    found = list(problems(ROOT, *sys.argv[1:]))
    print("\n".join(found) if found else f"{version(ROOT)} can be released")
    sys.exit(bool(found))
