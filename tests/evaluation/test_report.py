"""The files of a report."""

import json

import numpy as np
import pytest
from etils import epath
from world import World, random_clips

from vdd.diffusion.samplers import Sampler
from vdd.evaluation import curves, report
from vdd.evaluation.gallery import Picture, write_gif
from vdd.evaluation.measure import Measure
from vdd.evaluation.sprites import page as sprites_page
from vdd.evaluation.sprites import protocol as sprites


@pytest.fixture(scope="module")
def figures() -> dict:
    world = World(random_clips(4))
    how = Measure(1200, "sprites/lpc", sampler=Sampler(), show_progress=False)
    return sprites.evaluate(world.model(), None, world.clips, world.judge, how)


def test_json_round_trip(figures, tmp_path):
    path = report.json_path(tmp_path, figures, "test")
    report.write_json(path, figures)
    assert path == epath.Path(tmp_path / "eval" / "1200.json")
    assert json.loads(path.read_text()) == figures
    assert [p.name for p in path.parent.iterdir()] == ["1200.json"]


def test_a_target_that_was_found_while_training_is_named():
    rates = {"target_bits_per_frame": "auto", "content_bits_per_clip": 80.0, "codebook_usage": 0.5}
    lines = "\n".join(report.rates(rates))
    assert "| motion target, per frame | auto |" in lines
    assert "| content, per clip | 80.00 |" in lines


def test_another_split_has_a_file_of_its_own(figures, tmp_path):
    assert report.json_path(tmp_path, figures, "train").name == "1200_test.json"


def test_what_is_not_a_number_is_refused(figures, tmp_path):
    broken = {**figures, "judge": {"motion_acc": float("nan")}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.write_json(report.json_path(tmp_path, broken, "test"), broken)
    assert not list(tmp_path.rglob("*.json"))


def test_the_page_says_what_was_measured(figures, tmp_path):
    lines = [{"step": 10 * i, "loss": 1 / (i + 1), "bits_per_frame": 7.0} for i in range(9)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 9')
    pictures = [Picture("swaps.gif", "All swaps.")]
    path = report.write_page(
        tmp_path, figures, sprites_page.sections(figures), pictures, {"config": "sprites:quick"}
    )
    text = path.read_text()
    for part in ("sprites:quick", "1,200", "heun, 18 steps", "(samples/swaps.gif)", "machine"):
        assert part in text
    assert "| motion class, from content | – | 11.11 % |" in text
    assert "| all five at once (joint) | 100.00 % |  |" in text
    assert "(samples/curves.png)" in text
    assert (tmp_path / "samples" / "curves.png").stat().st_size > 10_000


def test_the_page_says_what_the_training_saw(figures):
    def page(**known):
        return report.page({**figures, **known}, [], [], {}, has_curves=False)

    assert "seen in training" in page(seen_in_training=False)
    assert "The training saw these clips" in page(seen_in_training=True)
    assert "raining" not in page()  # nothing is known of it


def test_without_metrics_there_are_no_curves(figures, tmp_path):
    text = report.write_page(tmp_path, figures, [], [], {}).read_text()
    assert "curves.png" not in text
    assert not (tmp_path / "samples" / "curves.png").exists()


def test_curves_leave_out_what_was_not_measured():
    records = [{"step": 1, "loss": 2.0, "mfu": None}, {"step": 2, "loss": None}, {"step": 3}]
    assert curves.series(records, "loss") == ([1], [2.0])
    figure = curves.plot_curves(records)
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.axison] == ["losses"]
    assert curves.plot_curves([{"step": 1}]) is None


def test_gifs_repeat_and_keep_200_colours_exactly(tmp_path):
    from PIL import Image

    from vdd.data import video_io

    colours = np.random.default_rng(0).integers(0, 256, (200, 3), dtype=np.uint8)
    frames = colours[np.arange(3 * 20 * 30) * 7 % 200].reshape(3, 20, 30, 3)
    frames[1:] = np.roll(frames[1:], (1, 2), axis=(1, 2))
    frames[2] = frames[2, ::-1]
    path = epath.Path(tmp_path) / "clip.gif"
    write_gif(path, [Image.fromarray(frame) for frame in frames])
    np.testing.assert_array_equal(video_io.read_clip(path), frames)
    assert Image.open(path).info["loop"] == 0
