"""The TFDS builder, and what `load_builder` makes of missing, foreign and damaged data sets."""

import errno
import functools
import hashlib
import io
import shutil
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from vdd.data import sprites, video_folder
from vdd.data.sprites import benchmark, lpc, prepared, sprites_dataset_builder
from vdd.data.sprites.sprites_dataset_builder import SHEETS_URL, Builder
from vdd.errors import UserError


@pytest.fixture(scope="module", autouse=True)
def _few_characters() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(benchmark.SPLITS, "fit", slice(0, 2))
        patch.setitem(benchmark.SPLITS, "validation", slice(2, 3))
        patch.setitem(benchmark.SPLITS, "test", slice(3, 4))
        patch.setattr(sprites, "_rendered", functools.cache(sprites._rendered.__wrapped__))
        patch.delenv(sprites.ART_DIR_VARIABLE, raising=False)
        yield


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder; the sheets that it would download are random ones."""

    DATASET_CLASS = Builder
    SPLITS: ClassVar = {"fit": 18, "validation": 9, "test": 9}
    DL_DOWNLOAD_RESULT: ClassVar[Any] = {name: name for name in lpc.SHEETS}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _sheets(cls, random_art_dir):
        cls.EXAMPLE_DIR = random_art_dir


def registered_urls() -> dict[str, Any]:
    urls: Any = Builder.url_infos
    return urls


def test_every_sheet_has_its_published_checksum(lpc_art_dir):
    for name in lpc.SHEETS:
        data = (lpc_art_dir / name).read_bytes()
        registered = registered_urls()[f"{SHEETS_URL}/{name}"]
        assert (registered.size, registered.checksum) == (
            len(data),
            hashlib.sha256(data).hexdigest(),
        )


def test_only_the_sheets_are_registered():
    assert set(registered_urls()) == {f"{SHEETS_URL}/{name}" for name in lpc.SHEETS}


@pytest.mark.parametrize("art", ["lpc", "builtin", "vivid"])
def test_licence_and_citation_are_told(art: str, tmp_path):
    info = Builder(config=art, data_dir=tmp_path).info
    assert ("CC-BY-SA 3.0" in info.redistribution_info.license) == (art == "lpc")
    assert "Li, Yingzhen" in info.citation
    assert "GPL 3.0" in info.description


@pytest.fixture(scope="module")
def pristine(random_art_dir, tmp_path_factory) -> Path:
    """A data directory with the data set in both formats."""
    data_dir = tmp_path_factory.mktemp("pristine")
    for file_format in ("tfrecord", "array_record"):
        prepared.load_builder("lpc", file_format, random_art_dir, data_dir)
    return data_dir


@pytest.fixture
def data_dir(pristine, tmp_path) -> Path:
    return shutil.copytree(pristine, tmp_path / "data")


def directory(data_dir: Path, file_format: str) -> Path:
    root = data_dir if file_format == "tfrecord" else data_dir / "array_record"
    return root / "sprites" / "lpc" / str(Builder.VERSION)


def read_all(data_dir: Path, file_format: str, art_dir: Path | None = None) -> np.ndarray:
    builder = prepared.load_builder("lpc", file_format, art_dir, data_dir)
    return video_folder.prepared.read(builder, "test", ["video"])["video"]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_it_is_prepared_once(data_dir, random_art_dir, file_format: str, monkeypatch):
    """Also without its sheets: what is prepared is enough."""
    monkeypatch.setattr(Builder, "_generate_examples", None)
    expected = sprites.load_arrays("lpc", "test", random_art_dir).video
    np.testing.assert_array_equal(read_all(data_dir, file_format), expected)


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_other_sheets_are_not_taken_for_those_prepared(
    data_dir, random_art_dir, tmp_path, given: str, monkeypatch
):
    other = shutil.copytree(random_art_dir, tmp_path / "other")
    shutil.copy(other / "hair" / "1.png", other / "hair" / "2.png")
    if given == "variable":
        monkeypatch.setenv(sprites.ART_DIR_VARIABLE, str(other))
    with pytest.raises(UserError, match="prepared from other sheets") as error:
        read_all(data_dir, "tfrecord", other if given == "argument" else None)
    assert str(directory(data_dir, "tfrecord")) in str(error.value)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("sprites-test*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:164] = b"\xff" * 64
    path.write_bytes(data)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: truncate(shards(folder)[0]),
        lambda folder: garble(shards(folder)[0]),
        lambda folder: shards(folder)[0].unlink(),
        lambda folder: shards(folder)[0].write_bytes(b""),
        lambda folder: (folder / "dataset_info.json").write_text("{"),
        lambda folder: (folder / "dataset_info.json").unlink(),
        lambda folder: (folder / "metadata.json").write_text("{"),
    ],
    ids=["truncated", "garbled", "missing", "empty", "info broken", "no info", "metadata broken"],
)
def test_a_damaged_data_set_is_to_be_deleted(
    data_dir, random_art_dir, file_format: str, damage: Callable[[Path], None]
):
    damage(directory(data_dir, file_format))
    with pytest.raises(UserError, match=r"damaged: delete") as error:
        read_all(data_dir, file_format, random_art_dir)
    assert str(directory(data_dir, file_format)) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_was_deleted_is_prepared_anew(data_dir, random_art_dir):
    shutil.rmtree(directory(data_dir, "tfrecord"))
    assert len(read_all(data_dir, "tfrecord", random_art_dir)) == 9


def test_without_network_the_folder_of_sheets_is_asked_for(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(UserError, match=r"not known.*--config\.data\.art_dir=DIR"):
        prepared.load_builder("lpc", "tfrecord", None, tmp_path)


def test_downloaded_sheets_are_kept_for_what_draws_clips_itself(
    random_art_dir, tmp_path, monkeypatch
):
    def download(manager, urls):
        assert urls == {name: f"{SHEETS_URL}/{name}" for name in lpc.SHEETS}
        return {name: random_art_dir / name for name in urls}

    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: io.BytesIO())
    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    config = ConfigDict({"art": "lpc", "art_dir": None, "data_dir": str(tmp_path)})
    config.source = "tfdata"
    assert prepared.sheets_dir(config) is None
    prepared.load_builder("lpc", "tfrecord", None, tmp_path)
    folder = prepared.sheets_dir(config)
    assert folder is not None
    assert Path(folder).is_relative_to(directory(tmp_path, "tfrecord"))
    expected = sprites.load_arrays("lpc", "test", random_art_dir).video
    np.testing.assert_array_equal(sprites.load_arrays("lpc", "test", folder).video, expected)
    config.source = "in_memory"  # prepares nothing, so that nothing is looked for
    assert prepared.sheets_dir(config) is None


def test_a_full_disk_leaves_nothing_behind(random_art_dir, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sprites_dataset_builder, "render", full)
    with pytest.raises(UserError, match="No space left on device"):
        prepared.load_builder("lpc", "tfrecord", random_art_dir, tmp_path)
    assert not list(tmp_path.rglob("*tfrecord*"))
    monkeypatch.undo()
    assert len(read_all(tmp_path, "tfrecord", random_art_dir)) == 9


def test_of_two_processes_that_prepare_the_slower_takes_the_others_files(
    random_art_dir, tmp_path, monkeypatch
):
    """The faster one has renamed its files into place when the slower one comes to do so."""
    prepare = Builder.download_and_prepare

    def too_late(builder: Builder, **options):
        faster = Builder(config="lpc", data_dir=tmp_path, art_dir=random_art_dir)
        monkeypatch.setattr(Builder, "download_and_prepare", prepare)
        faster.download_and_prepare(file_format="tfrecord")
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(Builder, "download_and_prepare", too_late)
    assert len(read_all(tmp_path, "tfrecord", random_art_dir)) == 9


def test_a_bad_sheet_is_named(random_art_dir, tmp_path):
    folder = shutil.copytree(random_art_dir, tmp_path / "art")
    truncate(folder / "hair" / "3.png")
    with pytest.raises(UserError, match=r"hair/3\.png is not a readable image"):
        prepared.load_builder("lpc", "tfrecord", folder, tmp_path)


def test_the_default_place_is_tfds(random_art_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    builder = prepared.load_builder("lpc", "tfrecord", random_art_dir)
    assert Path(builder.data_dir) == directory(tmp_path, "tfrecord")
