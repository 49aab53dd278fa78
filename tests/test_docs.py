"""What is written about the project holds: lengths, links, keys, tables, and the code of README."""

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import ROOT

from vdd import cli
from vdd.data import video_io
from vdd.method import disentangler, objective, rates

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "experiments/**/*.md", "vdd/**/*.md")
    for path in ROOT.glob(pattern)
)


def script(name: str) -> ModuleType:
    """The module docs/NAME.py, with those beside it at hand, as where it is run."""
    if str(ROOT / "docs") not in sys.path:
        sys.path.append(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / f"docs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What a link may name in a page, as a repository's pages and MkDocs make it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", text).strip().lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize(("page", "lines"), [("README.md", 150), ("experiments/README.md", 60)])
def test_what_is_read_first_is_short(page, lines):
    assert len((ROOT / page).read_text().splitlines()) <= lines


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_is_longer_than_30_words(page):
    text = re.sub(r"\]\([^)]*\)", "]", prose(page))
    text = re.sub(r"`[^`]*`", "CODE", text)
    text = re.sub(r"(?m)^\s*[-*] |\|", "\n\n", text)
    for sentence in re.split(r"(?<=[.!?])[\"*)]*\s+|\n\s*\n", text):
        assert len(re.findall(r"\S*\w\S*", sentence)) <= 30, sentence


def test_every_key_of_the_configs_is_described(monkeypatch, tmp_path, capsys):
    keys = script("keys")
    assert keys.main(["--check"]) == 0, capsys.readouterr().err
    page = tmp_path / "configs.md"
    page.write_text(re.sub(r"\| `train.ema_decay` .*\n", "", keys.PAGE.read_text()))
    monkeypatch.setattr(keys, "PAGE", page)
    assert keys.main(["--check"]) == 1
    assert "train.ema_decay of sprites is not described" in capsys.readouterr().err


def test_values_that_a_config_states_are_counted(tmp_path, capsys):
    text = "config.seed = 0\nconfig.data = dict(a=1, b=dict(c=2))\nconfig.train.update(d=f(e=3))\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "motion_prior.py").write_text(text)
    assert script("keys").main(["--count", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == ["mine", "5", "values", "stated", "5"]


def test_the_licence_of_every_locked_package_is_told(monkeypatch, tmp_path, capsys):
    licences = script("licences")
    assert licences.main(["--check"]) == 0, capsys.readouterr().err
    page = tmp_path / "licences.md"
    monkeypatch.setattr(licences, "PAGE", page)
    for row, wrong, told in (
        ("| `einops` | MIT |", "| `einops` | BSD |", "its rows are not those of the locks"),
        ("| `namex` | Apache-2.0 |\n", "", "the licence of namex is not known"),
        ("`frozendict`, LGPL-3.0", "", "frozendict is under LGPL-3.0-only, and no sentence"),
    ):
        text = (ROOT / "docs/licences.md").read_text()
        assert row in text
        page.write_text(text.replace(row, wrong))
        assert licences.main(["--check"]) == 1
        assert told in capsys.readouterr().err


def test_code_in_what_the_site_shows_of_modules_is_set_as_code():
    """Markdown runs lines together that are not indented."""
    pages = "".join(path.read_text() for path in (ROOT / "docs/api").glob("*.md"))
    for name in re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE):
        told = importlib.import_module(name).__doc__ or ""
        code = re.findall(r"(?m)^(?:\w+(?:, \w+)* = )?[\w.]+\(.*\)$", told)
        assert not code, f"{name}: {code}"


def test_the_tests_of_reported_faults_are_there():
    section = (ROOT / "docs/trust.md").read_text().partition("## Reported faults")[2]
    named = re.findall(r"^\| .* \| `(\S+)` \| `(test_\w+)` \|$", section, re.MULTILINE)
    assert len(named) == section.count("\n| ") - 1 > 40  # all rows but the head
    for file, name in named:
        text = (ROOT / "tests" / file).read_text()
        assert f"\ndef {name}(" in text, f"{file} has no {name}"


def test_tables_are_those_of_the_committed_reports(monkeypatch, tmp_path, capsys):
    tables = script("tables")
    assert tables.main(["--check"]) == 0, capsys.readouterr().err
    wrong = (ROOT / "README.md").read_text().replace("| PSNR, dB | ", "| PSNR, dB | 1")
    for page in tables.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text((ROOT / page).read_text())
    (tmp_path / "README.md").write_text(wrong)
    columns = tables.read_columns()
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "read_columns", lambda: columns)
    assert tables.main(["--check"]) == 1
    assert tables.main([]) == 0
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()


def test_a_table_shows_mean_and_deviation_of_several_trainings():
    tables = script("tables")
    (path,) = (ROOT / "vdd/pretrained/sprites/eval").glob("*.json")
    reports = [json.loads(path.read_text()) for _ in range(3)]
    for report, right in zip(reports, (0.98, 0.99, 1.0), strict=True):
        report["transfer"]["joint_acc"] = right
    del reports[1]["leakage"]["per_attribute"]
    about = {"name": "three", "data": "art", "recipe": "this", "trained": "long"}
    columns = [tables.Column(about, reports)]
    shown = tables.table("swaps", columns)
    assert "| all five factors right | 99.00 ± 1.00 % | 100 % |" in shown
    assert "| n | 3 trainings, mean ± sd |" in shown
    shown = tables.table("representation", columns)
    assert "| hair, read from the codes | – | 16.7 % |" in shown
    assert "\n" not in tables.table("videos", columns)


def test_a_table_says_whether_its_last_column_is_an_aim():
    tables = script("tables")
    columns = tables.read_columns()
    heads = {name: tables.table(name, columns).partition("\n")[0] for name in tables.TABLES}
    assert {name for name, head in heads.items() if head.endswith("| aim |")} == {
        "strangers", "card",
    }  # fmt: skip
    assert heads["swaps"].endswith("| best, or chance |")


def test_figures_of_strangers_say_of_how_many_clips_they_are():
    tables = script("tables")
    rows = {
        line.split(" | ")[0]: line.split(" | ")[1:]
        for line in tables.table("strangers", tables.read_columns()).splitlines()
    }
    assert rows["| of so many clips, in which it can be followed"][:2] == ["20", "25"]
    assert rows["| of so many clips (last frame held)"][:2] == ["21 (29)", "26 (26)"]


def test_the_example_of_the_readme_runs(monkeypatch, tmp_path, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    assert len(code[1].splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    assert cli.main(["examples", "clips"]) == 0
    exec(code[1], names := {})
    assert names["codes"].shape == (1, 8, 1)
    assert str(names["codes"][0, :, 0]) in capsys.readouterr().out
    error = video_io.read_clip("swap.gif") - names["video"][0].astype(float)
    assert np.abs(error).mean() < 3  # a gif has 256 colours
    whole = names["run"].transfer(names["who"], names["how"])
    assert np.array_equal(whole, names["video"])


def test_the_content_bottleneck_of_contributing_is_one(monkeypatch):
    """With a builder and a line the whole model has it, and the loss of a batch has a gradient."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert code is not None
    monkeypatch.setattr(disentangler, "CONTENTS", dict(disentangler.CONTENTS))
    exec(code[1], {})
    config = tiny.get_config({"model.content.kind": "bounded"})
    model, params = tiny.get_model({"model.content.kind": "bounded"})
    features = 9.0 * tiny.normal(0, 5, 2, 16)
    said = tiny.call(model, params, disentangler.Disentangler.compress, features)
    assert said.tokens.shape == (5, *model.content_shape)
    assert 0.9 < np.abs(said.tokens).max() <= 1.0
    np.testing.assert_array_equal(said.bits, np.full(5, 2 * 4))

    batch = {"video": jnp.asarray(tiny.random_video(4, 8))}

    def loss(params):
        return objective.bitrate_controlled_diffusion(
            objective.Objective.from_config(config.objective).for_batches(4),
            rates.Rates(**config.rates), model, params, batch,
            jax.random.key(0), rates.Multipliers(jnp.zeros(()), jnp.zeros(())),
        ).total  # fmt: skip

    shapes = jax.eval_shape(jax.grad(loss), params)
    assert jax.tree.structure(shapes) == jax.tree.structure(params)


def test_the_command_tells_the_version_of_the_distribution(capsys):
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"vdd {version[1]}\n"


@pytest.mark.process
def test_the_version_is_no_matter_where_nothing_is_installed(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from vdd import version\n"
    code += "import importlib.metadata as m\n"
    code += "def none(name): raise m.PackageNotFoundError(name)\n"
    code += "m.version = none; print(version.version())"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "(not installed)\n"
