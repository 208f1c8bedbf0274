"""The public API is what `docs/reference/api.md` lists, and the docs teach nothing else."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import splitbrain
from tests.packaging.build import ROOT

PAGE = (ROOT / "docs" / "reference" / "api.md").read_text()
ENTRIES = dict(re.findall(r"^- `(\w+)(.*?)`:\s", PAGE, re.MULTILINE))
"""Public name → its signature on the page, such as `(key, value="")`; "" where there is none."""
SECTION = PAGE.partition("## Public subpackages")[2].partition("\n## ")[0]
SUBPACKAGES = tuple(re.findall(r"`(splitbrain(?:\.[a-z_]+)+)`", SECTION))
FOLDERS = ("checkers", "harness", "histories", "nemesis", "node", "tests")
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
OF_PLANTED_BUGS = ("splitbrain.harness.mutants", "splitbrain.node")
INTERNAL = {"api.md": OF_PLANTED_BUGS, "mutants.md": OF_PLANTED_BUGS}
"""Page → the internal packages that it may name. Planted bugs are written in a clone."""
ENTRY_POINTS = (
    "splitbrain.systems", "splitbrain.workloads", "splitbrain.clients",
    "splitbrain.store_workloads", "splitbrain.checkers", "splitbrain.faults",
)


def test_the_page_lists_exactly_the_exported_names() -> None:
    assert sorted(ENTRIES) == sorted(splitbrain.__all__)


def test_every_exported_name_can_be_imported() -> None:
    assert [name for name in splitbrain.__all__ if getattr(splitbrain, name, None) is None] == []


def test_type_checkers_see_exactly_the_exported_names() -> None:
    tree = ast.parse((ROOT / "splitbrain" / "__init__.py").read_text())
    (block,) = (one for one in tree.body if isinstance(one, ast.If))
    imports = [one for one in block.body if isinstance(one, ast.ImportFrom)]
    seen = {name.name: one.module for one in imports for name in one.names}
    assert seen == splitbrain._MODULE_OF
    assert sorted(seen) == sorted(splitbrain.__all__)


def test_an_unknown_name_is_an_attribute_error_that_lists_the_names() -> None:
    with pytest.raises(AttributeError, match=r"has no 'Histry'; it has .*History"):
        _ = splitbrain.Histry


def parameters(signature: str) -> Iterator[tuple[str, str]]:
    """Parameter name → its default as text; `…` stands for further parameters."""
    inside = re.match(r"\((.*?)\)(?: -> .*)?$", signature)
    assert inside is not None, signature
    call = ast.parse(f"def f({re.sub(', …', '', inside[1]).replace('…', '...')}): ...").body[0]
    assert isinstance(call, ast.FunctionDef)
    names = [one.arg for one in call.args.args]
    defaults = [ast.unparse(one) for one in call.args.defaults]
    required = [""] * (len(names) - len(defaults))
    yield from zip(names, [*required, *defaults], strict=True)
    for one, default in zip(call.args.kwonlyargs, call.args.kw_defaults, strict=True):
        yield one.arg, ast.unparse(default) if default else ""


@pytest.mark.parametrize("name", [name for name, signature in ENTRIES.items() if signature])
def test_a_signature_on_the_page_is_that_of_the_code(name: str) -> None:
    real = inspect.signature(getattr(splitbrain, name)).parameters
    for parameter, default in parameters(ENTRIES[name]):
        assert parameter in real
        if default and default != "...":
            assert real[parameter].default == ast.literal_eval(default), parameter


VALUES = [
    name for name, signature in ENTRIES.items()
    if signature and ", …" not in signature and (
        dataclasses.is_dataclass(one := getattr(splitbrain, name))
        or (inspect.isclass(one) and issubclass(one, msgspec.Struct))
    )
]  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_the_page_names_all_fields_of_a_value(name: str) -> None:
    named = [parameter for parameter, _ in parameters(ENTRIES[name])]
    assert named == [*inspect.signature(getattr(splitbrain, name)).parameters]


@pytest.mark.parametrize("module", [*SUBPACKAGES])
def test_a_public_subpackage_has_the_names_of_its_row(module: str) -> None:
    (row,) = (line for line in SECTION.splitlines() if f"`{module}`" in line)
    modules = [importlib.import_module(one) for one in SUBPACKAGES if f"`{one}`" in row]
    for name in re.findall(r"`(\w+)\(", row):
        assert any(hasattr(one, name) for one in modules), name


def code_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_the_code_of_a_page_imports_public_names_alone(page: Path) -> None:
    for code in code_blocks(page):
        for part in ast.walk(ast.parse(code)):
            if isinstance(part, ast.Import):
                modules = [one.name for one in part.names]
            elif isinstance(part, ast.ImportFrom) and part.module:
                modules = [part.module]
                if part.module == "splitbrain":
                    assert {one.name for one in part.names} <= {*splitbrain.__all__}
            else:
                continue
            for module in modules:
                assert is_public(module, page.name), module


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_names_public_names_and_modules_alone(page: Path) -> None:
    for dotted in re.findall(r"`(splitbrain\.[\w.]+)`", page.read_text()):
        head, _, name = dotted.rpartition(".")
        public = name in splitbrain.__all__ if head == "splitbrain" else is_public(head, page.name)
        assert public or is_public(dotted, page.name), dotted


def is_public(module: str, page: str) -> bool:
    """Whether `page` may name `module`. Modules of other projects are."""
    if module.partition(".")[0] != "splitbrain":
        return module.partition(".")[0] not in FOLDERS
    internal = INTERNAL.get(page, ())
    return (
        module in ("splitbrain", *ENTRY_POINTS, *SUBPACKAGES)
        or any(module == one or module.startswith(f"{one}.") for one in internal)
    )
