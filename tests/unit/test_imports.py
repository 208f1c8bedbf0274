"""The import graph of the whole package has no cycle, and every room has a docstring.

grimp builds the graph, as for import-linter. It contains imports under `TYPE_CHECKING` and inside
functions, too.
"""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import numpy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PACKAGE = "splitbrain"


def import_cycles() -> list[frozenset[str]]:
    """The sets of two or more modules that import each other, directly or through others."""
    graph = grimp.build_graph(PACKAGE)
    modules = sorted(graph.modules)
    number = {module: position for position, module in enumerate(modules)}
    imports = [
        (number[module], number[imported])
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
    ]
    importers, importeds = zip(*imports, strict=True)
    edges = coo_array(
        (numpy.ones(len(imports)), (importers, importeds)), shape=(len(modules), len(modules))
    )
    count, labels = connected_components(edges, directed=True, connection="strong")
    cycles: list[set[str]] = [set() for _ in range(count)]
    for module, label in zip(modules, labels, strict=True):
        cycles[label].add(module)
    return [frozenset(cycle) for cycle in cycles if len(cycle) > 1]


def test_the_graph_contains_all_rooms() -> None:
    modules = grimp.build_graph(PACKAGE).modules
    for room in ("harness", "node", "nemesis", "checkers", "histories"):
        assert any(module.startswith(f"{PACKAGE}.{room}.") for module in modules), room


def test_no_modules_import_each_other() -> None:
    cycles = import_cycles()
    shown = "\n".join(", ".join(sorted(cycle)) for cycle in cycles)
    assert not cycles, f"modules that import each other:\n{shown}"


def test_every_room_has_a_docstring_of_one_sentence_at_its_beginning() -> None:
    root = Path(__file__).parents[2]
    for folder in ("harness", "node", "nemesis", "checkers", "histories"):
        for file in sorted((root / folder).rglob("__init__.py")):
            text = ast.get_docstring(ast.parse(file.read_text())) or ""
            sentence = text.split("\n\n")[0]
            assert sentence.endswith((".", ":")), f"{file.relative_to(root)}: {sentence!r}"
