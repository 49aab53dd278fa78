"""What imports what: every module works, dependencies go one way, TensorFlow stays where it is."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import ROOT

import vdd

PACKAGE = Path(vdd.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "vdd.")
    if not module.name.endswith("__main__")
)

# What each part of the package may import of the others. Whoever adds a part decides here.
MAY_IMPORT = {
    "config": set(),
    "errors": set(),
    "files": set(),
    "interrupts": set(),
    "command": {"interrupts"},
    "progress": set(),
    "memory": set(),
    "startup": {"programs"},
    "programs": set(),
    "eight_bits": set(),
    "fingerprint": set(),
    "safetensors": set(),
    "hub": set(),
    "diffusion": set(),
    "models": {"diffusion", "pixels", "safetensors"},
    "training": {
        "command",
        "eight_bits",
        "fingerprint",
        "memory",
        "progress",
        "safetensors",
    },  # no model, no method
    "method": {"diffusion", "models", "pixels", "training"},
    "apply": {"diffusion", "method", "models", "pixels"},
    "compiled": {"apply", "diffusion", "method", "models", "programs"},
    "streaming": {"apply", "compiled", "diffusion", "method", "models"},
    "values": set(),
    "version": set(),
    "markdown": set(),
    "pixels": set(),
    "data": {"command", "memory", "models", "pixels", "progress", "version"},
    "runs": {"eight_bits", "hub", "training"},
    "priors": {"fingerprint", "method", "models", "runs", "training"},
    "motions": {"data", "priors", "runs"},
    "given": {"method"},
    "run": {
        "given",
        "data",
        "diffusion",
        "hub",
        "method",
        "motions",
        "priors",
        "runs",
        "streaming",
        "training",
        "compiled",
    },
    "compression": {
        "data",
        "method",
        "progress",
        "run",
        "runs",
        "training",
        "compiled",
    },
    "codec": {
        "apply",
        "data",
        "diffusion",
        "fingerprint",
        "method",
        "priors",
        "run",
        "streaming",
        "compiled",
    },
    "evaluation": {
        "diffusion",
        "method",
        "codec",
        "data",
        "markdown",
        "priors",
        "progress",
        "run",
        "runs",
        "training",
        "compiled",
    },
    "card": {"data", "run", "runs", "summary"},
    "export": {"card", "motions", "priors", "run", "runs"},
    "sheet": {"data", "diffusion", "run"},
    "serve": {
        "codec",
        "compiled",
        "data",
        "diffusion",
        "priors",
        "run",
        "streaming",
    },
    "summary": {"motions", "priors", "run", "runs", "training"},
    "commands": {
        "card",
        "codec",
        "command",
        "compiled",
        "compression",
        "data",
        "diffusion",
        "evaluation",
        "export",
        "hub",
        "memory",
        "motions",
        "priors",
        "run",
        "runs",
        "serve",
        "sheet",
        "startup",
        "streaming",
        "summary",
    },
    "cli": {"command", "interrupts", "version"},
    "flags": {"command", "own_data"},
    "own_data": {"data", "runs"},
    "tasks": {
        "data",
        "evaluation",
        "markdown",
        "method",
        "models",
        "pixels",
        "priors",
        "progress",
        "run",
        "runs",
        "streaming",
        "training",
        "compiled",
    },
    "train": {"own_data", "runs", "tasks", "training"},
    "main": {"command", "flags", "memory", "startup", "train", "training"},
    "": {"interrupts", "run"},
}
MAY_IMPORT_TENSORFLOW = ("vdd.data.", "vdd.training.tensorboard")
NEEDS_TENSORFLOW = (
    "vdd.data.sprites.sprites_dataset_builder",
    "vdd.data.universal_lpc.universal_lpc_dataset_builder",
    "vdd.data.video_folder.video_folder_dataset_builder",
)


def imports(name: str) -> Iterator[tuple[str, bool]]:
    """Names that a module imports, and whether it does so as soon as it is imported itself."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    later = {
        node
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or is_for_types_only(outer)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node not in later) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relative to itself"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node not in later


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def part(name: str) -> str:
    """`models` for vdd.models.unet; the empty string for vdd itself."""
    return [*name.split("."), ""][1]


def test_methods_of_modules_are_passed_as_functions():
    """`apply(..., method="name")` hides the way of the data from readers and type checkers."""
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "method":
                named = isinstance(node.value, ast.Constant)
                assert not named or ast.literal_eval(node.value) == "HEAD", path


def test_every_module_imports():
    for name in MODULES:
        importlib.import_module(name)


def test_dependencies_go_one_way():
    assert {part(name) for name in MODULES} <= MAY_IMPORT.keys()
    unused = {own: set(others) for own, others in MAY_IMPORT.items()}
    for name in ["vdd", *MODULES]:
        own = part(name)
        used = {part(other) for other, _ in imports(name) if other.startswith("vdd.")}
        wrong = used - MAY_IMPORT[own] - {own, "config", "errors", "files", "values"}
        assert not wrong, f"{name} imports vdd.{', vdd.'.join(sorted(wrong))}"
        unused[own] -= used
    assert not any(unused.values()), unused  # so that the rule is what there is


def test_rooms_are_told_from_the_top_down():
    """In the table of ARCHITECTURE.md each row imports from its own and from those below it."""
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Rooms")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    names = [re.findall(r"`vdd/(\w+)", row) for row in rows]
    place = {name: i for i, row in reversed(list(enumerate(names))) for name in row}
    assert MAY_IMPORT.keys() - place.keys() <= {""}
    for own, others in MAY_IMPORT.items():
        above = {other for other in others if own and place[other] < place[own]}
        assert not above, f"{own} imports from above: {above}"


def test_the_rule_itself_has_no_circle():
    settled: set[str] = set()
    while rest := MAY_IMPORT.keys() - settled:
        ready = {name for name in rest if MAY_IMPORT[name] <= settled}
        assert ready, f"a circle among {rest}"
        settled |= ready


def test_tensorflow_is_imported_by_data_and_the_tensorboard_writer_alone():
    for name in MODULES:
        for other, at_once in imports(name):
            if other.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
                assert name.startswith(MAY_IMPORT_TENSORFLOW), name
                assert name in NEEDS_TENSORFLOW or not at_once, name


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_everything_but_the_dataset_builders_imports_without_tensorflow():
    modules = [name for name in MODULES if name not in NEEDS_TENSORFLOW]
    run_python(f"""
import importlib, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import no_tensorflow
for name in {modules}:
    importlib.import_module(name)
""")


@pytest.mark.process
def test_importing_the_functions_leaves_tensorflow_out():
    run_python("""
import sys
import vdd
assert "jax" not in sys.modules and "numpy" not in sys.modules, "import vdd is not light"
import vdd.apply, vdd.runs, vdd.cli
assert not {"tensorflow", "tensorflow_datasets", "clu.metric_writers"} & sys.modules.keys()
""")
