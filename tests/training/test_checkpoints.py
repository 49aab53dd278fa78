import resource
import shutil
import warnings

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from toy import damage

from vdd.errors import UserError
from vdd.training.checkpoint_files import check, list_steps
from vdd.training.checkpoints import Checkpoints
from vdd.training.parameters import load_params

# A reader of arrays that failed is torn down late, and complains of its closed event loop.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def state_at(step):
    params = {"w": jnp.full((64, 32), step, jnp.float32), "b": {"c": jnp.arange(3.0) * step}}
    ema = jax.tree.map(lambda x: x + 0.5, params)
    return {"step": jnp.int32(step), "params": params, "ema_params": ema, "usage": jnp.ones(4)}


def abstract():
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), state_at(0)
    )


def save(workdir, steps, **kwargs):
    with Checkpoints(workdir, **kwargs) as checkpoints:
        for step in steps:
            checkpoints.save(step, state_at(step), {"place": step})


def test_round_trip(tmp_path):
    save(tmp_path, [3])
    with Checkpoints(tmp_path) as checkpoints:
        step, state, host = checkpoints.restore(abstract())
    assert (step, host) == (3, {"place": 3})
    jax.tree.map(np.testing.assert_array_equal, state, state_at(3))


def test_saved_values_are_those_of_the_call(tmp_path):
    add = jax.jit(lambda x: jax.tree.map(lambda y: y + 1, x), donate_argnums=0)
    state, host = state_at(3), {"place": 3}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, state, host)
        host["place"] = 4
        add(state)  # its buffers go to the next step while they are being saved
        checkpoints.wait()
        _, restored, place = checkpoints.restore(abstract())
    assert place == {"place": 3}
    jax.tree.map(np.testing.assert_array_equal, restored, state_at(3))


def test_nothing_to_restore(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(abstract()) is None
    assert list_steps(tmp_path) == list_steps(tmp_path / "nowhere") == []


def test_latest_and_every_so_many_are_kept(tmp_path):
    save(tmp_path, [2, 4, 6, 8, 10], keep=2, keep_every=4)
    assert list_steps(tmp_path) == [4, 8, 10]


def test_a_step_is_saved_once(tmp_path):
    save(tmp_path, [2, 2])
    assert list_steps(tmp_path) == [2]


def test_damaged_checkpoint_never_wins(tmp_path, capfd):
    save(tmp_path, [2, 4])
    damage(tmp_path, 4)
    with pytest.warns(UserWarning, match=r"checkpoint of step 4 .*: using step 2"):
        step, params = load_params(tmp_path)
    assert (step, params["w"][0, 0]) == (2, 2.5)
    assert capfd.readouterr().err == ""
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.warns(UserWarning, match="checkpoint of step 4"):
            step, state, _ = checkpoints.restore(abstract())
        assert (step, int(state["step"])) == (2, 2)
        checkpoints.save(4, state_at(4), {"place": 44})  # it does not stand in the way
    with warnings.catch_warnings(), Checkpoints(tmp_path) as checkpoints:
        warnings.simplefilter("error")
        step, _, host = checkpoints.restore(abstract())
    assert (step, host) == (4, {"place": 44})


def test_unfinished_checkpoint_is_removed(tmp_path):
    save(tmp_path, [2])
    part = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp" / "state.orbax-checkpoint-tmp"
    part.mkdir(parents=True)
    assert list_steps(tmp_path) == [2]
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2]
        checkpoints.save(6, state_at(6), {})
    assert not part.exists()
    assert list_steps(tmp_path) == [2, 6]


def test_all_damaged(tmp_path):
    save(tmp_path, [2, 4])
    damage(tmp_path, 2)
    damage(tmp_path, 4)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="can be read"):
        checkpoints.restore(abstract())
    with pytest.raises(UserError, match="can be read"):
        load_params(tmp_path)
    assert list_steps(tmp_path) == [2, 4]  # nothing is thrown away


@pytest.mark.parametrize("name", ["run", "a run, 100%20 #1?"])
def test_load_params_gives_the_average(tmp_path, name):
    tmp_path = tmp_path / name
    save(tmp_path, [2, 4])
    step, params = load_params(tmp_path, 2)
    assert step == 2
    jax.tree.map(np.testing.assert_array_equal, params, state_at(2)["ema_params"])
    assert load_params(tmp_path)[0] == 4


def test_load_params_of_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        load_params(tmp_path)
    save(tmp_path, [2])
    with pytest.raises(UserError, match=r"no checkpoint of step 3 .*\[2\]"):
        load_params(tmp_path, 3)


def test_full_disk(tmp_path):
    """The limit on file sizes stands for the disk: writing fails in the background all the same."""
    save(tmp_path, [2])
    big = {"w": jnp.asarray(np.random.default_rng(0).random((256, 256)))}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with (
            pytest.raises(UserError, match=r"step 4 .*: File too large; earlier checkpoints"),
            Checkpoints(tmp_path) as checkpoints,
        ):
            checkpoints.save(4, state_at(4) | big, {"place": 4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list_steps(tmp_path) == [2]
    with Checkpoints(tmp_path) as checkpoints:
        step, state, _ = checkpoints.restore(abstract())
    assert (step, int(state["step"])) == (2, 2)


def test_unwritable_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        Checkpoints(tmp_path / "file")


def test_one_checkpoint_at_least_is_kept(tmp_path):
    with pytest.raises(UserError, match="keep=0"):
        Checkpoints(tmp_path, keep=0)


def test_only_checkpoints_of_this_run_are_removed(tmp_path):
    """Folders of one's own among them, named as one likes, a step of another run, and notes."""
    save(tmp_path, [2, 4])
    save(tmp_path / "other", [1])
    own = tmp_path / "checkpoints"
    shutil.copytree(tmp_path / "other" / "checkpoints" / "1", own / "1")
    shutil.copytree(own / "4", own / "3")
    for name in ("notes", "0", "5", "08", "best_6", "4.orbax-checkpoint-tmp.mine"):
        (own / name).mkdir()
        (own / name / "notes.txt").write_text("mine")
    (own / "2" / "notes.txt").write_text("mine")
    before = {path for path in own.rglob("*") if path.name == "notes.txt" or "1" in path.parts}
    save(tmp_path, [6, 8], keep=1)
    assert {path for path in before if path.exists()} == before
    assert list_steps(tmp_path) == [1, 3, 8]
    assert [path.name for path in (own / "2").iterdir()] == ["notes.txt"]
    assert not (own / "4").exists()


def test_a_folder_in_the_place_of_a_checkpoint_is_told(tmp_path):
    config = ml_collections.ConfigDict({"keep": 1, "checkpoint_every": 4, "num_steps": 10})
    own = tmp_path / "checkpoints"
    for name in ("2", "8"):
        (own / name).mkdir(parents=True)
    with pytest.raises(UserError, match=r"8: not a checkpoint that this run has saved: move it"):
        check(tmp_path, config)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="8: not a check"):
        checkpoints.save(8, state_at(8), {})
    assert (own / "8").is_dir()
    (own / "8").rmdir()
    check(tmp_path, config)


@pytest.mark.parametrize("name", ["state/manifest.ocdbt", "host/process_0.json", "checksums.txt"])
def test_a_flipped_bit_is_noticed(tmp_path, name):
    save(tmp_path, [2])
    path = tmp_path / "checkpoints" / "2" / name
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 1
    path.write_bytes(broken)
    with pytest.raises(UserError, match=r"damaged"):
        load_params(tmp_path)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="damaged"):
        checkpoints.restore(abstract())


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("which", ["all", "arrays", "tree"])
def test_a_checkpoint_with_blocks_of_zeros_is_told_plainly(tmp_path, listed, which):
    """As a disk leaves it that was full or torn out; without checksums, as a stranger's comes."""
    save(tmp_path, [2])
    folder = tmp_path / "checkpoints" / "2"
    if not listed:
        (folder / "checksums.txt").unlink()
    for path in (folder / "state").rglob("*"):
        is_array = path.parent.name == "d"
        if path.is_file() and which in ("all", "arrays" if is_array else "tree"):
            size = path.stat().st_size
            path.write_bytes(path.read_bytes()[:8] + bytes(max(size - 8, 0)))
    with pytest.raises(UserError) as told:
        load_params(tmp_path)
    line = str(told.value)
    assert str(folder.parent) in line
    assert "damaged" in line
    for word in ("pybind", "b-tree", "control character", "Traceback", "std::", "object at 0x"):
        assert word not in line
    assert len(line.replace(str(tmp_path), "")) < 250


def test_an_unfinished_removal_is_finished(tmp_path):
    save(tmp_path, [2, 4])
    for name in ("commit_success.txt", "host/commit_success.txt", "host/process_0.json"):
        (tmp_path / "checkpoints" / "2" / name).unlink()
    save(tmp_path, [6])
    assert not (tmp_path / "checkpoints" / "2").exists()
    assert list_steps(tmp_path) == [4, 6]


def test_what_tells_that_a_checkpoint_is_whole_is_removed_first(tmp_path):
    save(tmp_path, [2])
    first = (tmp_path / "checkpoints" / "2" / "checksums.txt").read_text().splitlines()[0]
    assert first.endswith("  commit_success.txt")


def test_an_emptied_folder_of_an_earlier_step_is_not_in_the_way(tmp_path):
    """So a removal leaves it that was stopped just before its end."""
    config = ml_collections.ConfigDict({"keep": 1, "checkpoint_every": 2, "num_steps": 10})
    save(tmp_path, [4])
    (tmp_path / "checkpoints" / "2").mkdir()
    check(tmp_path, config)
    (tmp_path / "checkpoints" / "6").mkdir()
    with pytest.raises(UserError, match="6: not a checkpoint"):
        check(tmp_path, config)


def test_what_a_stop_left_unlisted_is_still_this_runs(tmp_path):
    """A copy without a list may be anybody's."""
    save(tmp_path, [2, 4])
    own = tmp_path / "checkpoints"
    for step in ("2", "4"):
        (own / step / "checksums.txt").unlink()
    shutil.copytree(own / "2", own / "3")
    save(tmp_path, [6], keep=2)
    assert list_steps(tmp_path) == [3, 4, 6]
    assert (own / "4" / "checksums.txt").exists()
