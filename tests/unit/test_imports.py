"""The import graph of the whole package, as grimp builds it for import-linter.

The graph contains imports under `TYPE_CHECKING` and inside functions, too.
"""

from __future__ import annotations

import grimp
import numpy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PACKAGE = "splitbrain"

TO_BE_REMOVED = (
    {
        "splitbrain",
        "splitbrain.harness.campaign.campaign",
        "splitbrain.harness.runs.execute",
        "splitbrain.harness.runs.schedule_run",
        "splitbrain.harness.schedule.schedule",
        "splitbrain.harness.schedule.text",
        "splitbrain.harness.shrinking.failure",
        "splitbrain.harness.shrinking.test_source",
        "splitbrain.harness.systems.factory",
        "splitbrain.harness.systems.cluster",
        "splitbrain.harness.systems.etcd",
        "splitbrain.harness.systems.process",
        "splitbrain.harness.systems.proxies.proxy_process",
        "splitbrain.harness.systems.python_node",
        "splitbrain.harness.testing.strategies",
    },
    {
        "splitbrain.harness.simulation.clients",
        "splitbrain.harness.simulation.watch_stream",
    },
    {
        "splitbrain.harness.synthetic.corruptions",
        "splitbrain.harness.synthetic.simulation",
    },
    {
        "splitbrain.histories.history",
        "splitbrain.histories.reader",
    },
)
"""Sets of modules that still contain an import cycle. A smaller cycle within one is allowed."""


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
    cycles = [
        cycle for cycle in import_cycles() if not any(cycle <= known for known in TO_BE_REMOVED)
    ]
    shown = "\n".join(", ".join(sorted(cycle)) for cycle in cycles)
    assert not cycles, f"modules that import each other:\n{shown}"
