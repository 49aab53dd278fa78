"""What is run by others as it stands: the notebook and the Dockerfile."""

import json
import re
import tomllib

import numpy as np
import pytest
from tiny import ROOT

from vdd.data import sprites

NOTEBOOK = json.loads((ROOT / "examples" / "look_inside.ipynb").read_text())


@pytest.fixture
def cells(few_characters):
    """The names that the notebook's cells leave, run in their order."""
    names: dict = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


def test_the_notebook_runs_and_shows_what_it_says(cells):
    atlas, edited, before = cells["atlas"], cells["edited"], cells["before"]
    assert len(atlas) == len(cells["used"]) > 30
    assert len(np.unique(atlas.reshape(len(atlas), -1), axis=0)) == len(atlas)
    assert cells["swaps"].shape == (3, 3, 8, 64, 64, 3)
    # The edit is the first motion, then the second, on one content.
    np.testing.assert_array_equal(edited[:4], before[:4])
    assert np.abs(edited[4:].astype(float) - before[4:]).mean() > 2
    swap = cells["run"].decode(cells["encoded"].content[[0, 0]], cells["encoded"].codes[[0, 8]])[1]
    np.testing.assert_array_equal(edited[4:], swap[4:])
    # A swap has the motion of its column, and all of a row one content.
    motion = np.array(sprites.MOTIONS)[cells["how"]]
    assert [name.replace(" ", "_") for name in cells["names"]] == list(motion)


def test_the_notebook_is_readable_where_it_is_not_run():
    """Its pictures are there, and it is small."""
    outputs = [out for cell in NOTEBOOK["cells"] for out in cell.get("outputs", ())]
    assert sum("image/png" in out.get("data", ()) for out in outputs) == 3
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert len(json.dumps(NOTEBOOK)) < 300_000


def test_the_image_is_made_of_what_is_there_and_of_the_lock():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    sources = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert "vdd" in sources
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for name in sources:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in allowed, name
    installs = [line for line in lines if "pip install" in line]
    assert installs
    for line in installs:
        assert re.search(r"-[cr] requirements\.lock", line), line
    wanted = set(re.findall(r"\.\[([\w,]+)\]", " ".join(installs))[0].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wanted <= project["optional-dependencies"].keys()
    assert {name.split("/")[0] for name in project["license-files"]} <= set(sources)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert "root" not in users
    assert lines[-1] == 'ENTRYPOINT ["vdd"]'
    assert project["scripts"].keys() == {"vdd"}
