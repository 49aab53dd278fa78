"""How the house is kept: files and functions that fit a screen or a few."""

import ast
import builtins
import symtable
from pathlib import Path

import vdd
from vdd.data import datasets

PACKAGE = Path(vdd.__file__).parent
SOURCES = [
    path
    for room in (PACKAGE, PACKAGE.parent / "configs", PACKAGE.parent / "experiments")
    for path in sorted(room.rglob("*.py"))
]
LONGEST_FILE, LONGEST_FUNCTION = 300, 50


# Who may say `Any`, by the library or the habit of Python that leaves no better word.
MAY_SAY_ANY = {
    "the keys of a config, and the values of JSON, are known when they are read": {
        "config.py",
        "errors.py",
        "values.py",
    },
    "`apply` of a Flax module gives what the method gives that it is told": {
        "apply.py",
        "codec/coded_run.py",
        "compiled.py",
        "compression/rereading.py",
        "evaluation/judge.py",
        "evaluation/judge_training.py",
        "method/driving.py",
        "method/objective.py",
        "models/autoencoder/__init__.py",
        "models/prior_sampling.py",
        "tasks/autoencoder/evaluation.py",
        "tasks/autoencoder/step.py",
        "tasks/prior/step.py",
    },
    "JAX, Flax and Optax type what they transform more widely than it is": {
        "method/step.py",
        "models/convolution.py",
        "models/dit.py",
        "training/flops.py",
        "training/sharding.py",
    },
    "what is an array on the device or on the host, of JAX or of NumPy": {
        "pixels.py",
        "training/windows.py",
    },
    "whoever watches or measures something else is given something else": {
        "evaluation/videos/protocol.py",
        "evaluation/watching.py",
    },
    "TensorFlow has no types, and examples of TFDS hold all that features can": {
        "data/grain_source.py",
        "data/records.py",
        "data/sprites/prepared.py",
        "data/sprites/sprites_dataset_builder.py",
        "data/tfdata.py",
        "data/universal_lpc/prepared.py",
        "data/universal_lpc/universal_lpc_dataset_builder.py",
        "data/video_folder/examples.py",
        "data/video_folder/prepared.py",
        "data/video_folder/source.py",
        "data/video_folder/video_folder_dataset_builder.py",
    },
    "dlib, Beam, protobuf, constriction and Orbax's folders have no types": {
        "codec/range_coder.py",
        "data/faces.py",
        "data/video_folder/workers.py",
        "evaluation/faces.py",
        "training/checkpoints.py",
        "training/tensorboard.py",
    },
    "Pillow's tags and hashlib's files have types that are not public": {
        "data/picture_files.py",
        "files/checksums.py",
    },
    "keyword arguments are passed on": {
        "data/encoders.py",
        "data/universal_lpc/art.py",
        "hub.py",
        "method/disentangler.py",
        "training/processes.py",
    },
    "each way to code content rounds something else": {"codec/content.py"},
}


def test_the_entry_fits_a_page():
    assert len((PACKAGE / "main.py").read_text().splitlines()) <= 70


def test_files_are_short():
    tests = Path(__file__).parent.rglob("*.py")
    lengths = {path: len(path.read_text().splitlines()) for path in (*SOURCES, *tests)}
    long = [path for path, lines in lengths.items() if lines > LONGEST_FILE]
    assert not long


def test_functions_fit_a_screen():
    long = [
        f"{path}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long


def test_every_name_is_defined():
    """The linters cannot tell: the shapes in annotations look like names that are not."""

    def unknown(table: symtable.SymbolTable, own: set[str]) -> set[str]:
        used = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        return used - own | {name for child in table.get_children() for name in unknown(child, own)}

    found = {}
    for path in (*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("experiments/**/*.py")):
        module = symtable.symtable(path.read_text(), str(path), "exec")
        own = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
        own |= {child.get_name() for child in module.get_children()}
        if names := unknown(module, own | set(dir(builtins)) | {"__file__", "__name__", "__doc__"}):
            found[str(path.relative_to(PACKAGE.parent))] = names
    assert not found


def says_any(tree: ast.AST) -> bool:
    """Whether a module has `Any`, by whatever way it imports it."""
    return any(
        (isinstance(node, ast.alias) and node.name == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
        for node in ast.walk(tree)
    )


def test_any_is_said_only_where_something_forces_it():
    says = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if says_any(ast.parse(path.read_text()))
    }
    assert says == set().union(*MAY_SAY_ANY.values())


def imports_of(folder: str) -> set[str]:
    """Every module of the package that a folder imports, in whatever way."""
    found = set()
    for path in (PACKAGE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("vdd.")}


def attributes_of(path: Path) -> list[str]:
    """What a module asks for by a dot, as it is written: `objective.weights`, say."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]


def test_terms_are_weighed_in_one_place_and_prices_moved_in_one():
    """Whoever else does would be named here.

    How motion is held, whether at a target that is given or at one that is found, is decided in
    one file: what is lost in swaps, how much of it is tolerated, and how many are enough.
    """
    weighs, moves, decides = set(), set(), set()
    for path in PACKAGE.rglob("*.py"):
        text, name = path.read_text(), str(path.relative_to(PACKAGE))
        if ".weights.items()" in text or "TERMS" in text:
            weighs.add(name)
        if "Multipliers(" in text or "content_speed" in text:
            moves.add(name)
        training = name.startswith(("method/", "training/", "tasks/"))
        if training and any(word in text for word in ("def lost_in_swaps", "is found in swaps")):
            decides.add(name)
        asked = {whole.split(".")[-1] for whole in attributes_of(path)}
        if training and asked & {"target_bits_per_frame", "target_bits_per_clip", "motion_speed"}:
            decides.add(name)
    assert weighs == {"method/losses.py", "method/objective.py"}
    assert moves == {"method/rates.py"}
    assert decides == {"method/rates.py"}


def test_what_the_decoder_sees_is_told_by_three_files():
    """What it is given, what of it a training withholds or swaps, and who draws from it.

    A training asks for pictures three times: for swaps, and for what the loss compares.
    """

    def files_with(*words: str) -> set[str]:
        return {
            str(path.relative_to(PACKAGE))
            for path in PACKAGE.rglob("*.py")
            if any(word in path.read_text() for word in words)
        }

    assert files_with(".readout(") == {"models/denoiser.py"}
    assert files_with("Drive(", "objective.null_content,") == {"method/driving.py"}
    assert files_with("READOUTS =", "READOUTS[") == {"models/readout.py"}
    asked = [
        (str(path.relative_to(PACKAGE)), whole.removeprefix("model."))
        for folder in ("method", "training", "tasks")
        for path in (PACKAGE / folder).rglob("*.py")
        for whole in attributes_of(path)
        if whole.endswith(("Disentangler.mean", "Disentangler.denoise", "denoiser.mean"))
    ]
    assert sorted(asked) == [
        ("method/disentangler.py", "self.denoiser.mean"),
        ("method/driving.py", "Disentangler.mean"),
        ("method/losses.py", "Disentangler.denoise"),
        ("method/losses.py", "Disentangler.mean"),
    ]
    calls = {
        str(path.relative_to(PACKAGE)): ast.unparse(node.func)
        for path in (PACKAGE / "method").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("denoiser")
    }
    assert calls == {"method/disentangler.py": "self.denoiser"}


def test_another_diffusion_process_is_a_file_and_its_name():
    names = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and ("edm" in f"{node.module}".split(".") or "edm" in [a.name for a in node.names])
    }
    assert names == {"diffusion/__init__.py"}


def test_a_data_set_is_a_folder_and_a_line():
    """Whatever else names one is no part that all data sets have: it is its own, or listed here."""
    names = {
        (node.value, str(path.relative_to(PACKAGE)))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in datasets.DATASETS
    }
    rooms = {name: (f"data/{name}/", f"evaluation/{name}/") for name in datasets.DATASETS}
    rooms["video_folder"] += ("evaluation/videos/",)
    others = {
        (name, path)
        for name, path in names
        if path != "data/datasets.py" and not path.startswith(rooms[name])
    }
    # A content code has been tried on Sprites alone.
    assert others == {("sprites", "compression/compress.py")}


def test_training_knows_no_method_and_models_no_training():
    assert not any(name.startswith("vdd.method") for name in imports_of("training"))
    assert not any(name.startswith("vdd.training") for name in imports_of("models"))


def test_types_of_the_interface_are_checked_more_strictly_than_the_rest():
    for name in ("apply.py", "run.py"):
        assert (PACKAGE / name).read_text().startswith("# pyright: standard\n"), name
