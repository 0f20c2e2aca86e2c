"""What holds for the repository as a whole: sizes, settings, schema, documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

import turnout.access.tables
import turnout.alerts.tables
import turnout.delivery.tables
import turnout.drift.tables
import turnout.events.tables
import turnout.experiments.tables
import turnout.gates.tables
import turnout.idempotency
import turnout.interop.classic.tables
import turnout.monitoring.tables
import turnout.observations.feature_tables
import turnout.observations.tables
import turnout.registry.tables
import turnout.rollouts.tables
import turnout.traffic.tables  # noqa: F401  (each import adds a slice's tables to the metadata)
from turnout.db import Base
from turnout.settings import Settings

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
TEXTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "*.toml", "*.yml", "Makefile", "Dockerfile", ".ci/*")
    for path in ROOT.glob(pattern)
]


CODE_IN_DATA = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "torch"}
"""What reads models or objects by running what stands in them."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_fits_in_400_lines(path: Path):
    assert len(path.read_text().splitlines()) <= 400


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            body = node.body[1:] if has_docstring else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize(
    "path", [p for p in MODULES if "src" in p.parts and "versions" not in p.parts], ids=named
)
def test_a_function_fits_in_40_lines(path: Path):
    long = {name: lines for name, lines in functions(path) if lines > 40}

    assert long == {}


def test_the_example_environment_is_the_settings():
    lines = (ROOT / ".env.example").read_text().splitlines()
    written = {
        match[1]: match[2]
        for line in lines
        if (match := re.fullmatch(r"(?:# )?(TURNOUT_\w+)=(.*)", line))
    }
    defaults = {f"TURNOUT_{name.upper()}": field for name, field in Settings.model_fields.items()}

    assert list(written) == list(defaults)
    for name, text in written.items():
        default = defaults[name].default
        assert text == (
            ""
            if default is None
            else str(default).lower()
            if isinstance(default, bool)
            else str(default)
        )


def test_the_readme_has_every_setting():
    readme = (ROOT / "README.md").read_text()

    missing = [name for name in Settings.model_fields if f"`TURNOUT_{name.upper()}`" not in readme]

    assert missing == []


async def test_the_migrations_make_what_the_tables_say(engine: AsyncEngine):
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda thing, name, kind, reflected, other: (
                    not (kind in {"table", "index"} and reflected and "_p2" in (name or ""))
                )
            },
        )
        return list(compare_metadata(context, Base.metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_links_lead_somewhere(path: Path):
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())

    missing = [target for target in targets if not (path.parent / target).exists()]

    assert missing == []


def test_the_changelog_speaks_of_this_version():
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)

    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import():
                yield from (name.name for name in node.names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name


def test_nothing_that_is_uploaded_can_be_run_by_reading_it() -> None:
    modules = [path for path in MODULES if path.is_relative_to(ROOT / "src")]
    found = {
        f"{named(path)}: {name}"
        for path in modules
        for name in imported(ast.parse(path.read_text()))
        if name.partition(".")[0] in CODE_IN_DATA
    }

    assert modules
    assert not found
