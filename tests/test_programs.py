import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vdd import compiled, programs
from vdd.programs import Kept

X = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_place", [])
    programs.keep(tmp_path / "programs")
    return tmp_path / "programs"


def counted():
    """A function of a static factor and a tree, and the list of the shapes it was traced with."""
    traced = []

    def scaled(factor, tree):
        traced.append(tree["x"].shape)
        return {"y": factor * jnp.sin(tree["x"]) @ jnp.ones((4, 4)), "key": tree["key"]}

    return scaled, traced


def given(x=X):
    return {"x": x, "key": jax.random.key(3)}


def test_a_kept_program_is_not_traced_again_and_computes_the_same(folder):
    plain = jax.jit(counted()[0], static_argnums=0)(2.0, given())
    first = Kept(counted()[0], 1)(2.0, given())
    function, traced = counted()  # as in another process
    later = Kept(function, 1)
    for found in (first, later(2.0, given()), later(2.0, given())):
        np.testing.assert_array_equal(found["y"], plain["y"])
        assert found["key"] == plain["key"]
    assert not traced
    assert not np.array_equal(later(3.0, given())["y"], plain["y"])
    assert later(2.0, given(X[:2]))["y"].shape == (2, 4)
    assert traced == [(3, 4), (2, 4)]


def test_a_program_of_other_code_is_not_taken(folder, monkeypatch):
    Kept(counted()[0], 1)(2.0, given())
    function, traced = counted()
    monkeypatch.setattr(programs, "_surroundings", lambda: "other code")
    Kept(function, 1)(2.0, given())
    assert traced


def test_a_damaged_program_is_compiled_anew(folder):
    expected = Kept(counted()[0], 1)(2.0, given())["y"]
    (file,) = folder.glob("scaled-*")
    file.write_bytes(file.read_bytes()[:-100])
    for count in (1, 0):  # and written anew
        function, traced = counted()
        np.testing.assert_array_equal(Kept(function, 1)(2.0, given())["y"], expected)
        assert len(traced) == count


def test_a_folder_that_cannot_be_written_does_not_matter(folder):
    folder.write_text("a file")
    function, _ = counted()
    assert Kept(function, 1)(2.0, given())["y"].shape == (3, 4)
    assert folder.read_text() == "a file"


def test_within_another_program_and_without_a_folder_nothing_is_kept(folder, monkeypatch):
    function, _ = counted()
    one = Kept(function, 1)
    inside = jax.jit(lambda tree: one(2.0, tree))(given())["y"]
    monkeypatch.setattr(programs, "_place", [])
    np.testing.assert_allclose(inside, one(2.0, given())["y"], rtol=1e-6)
    assert not folder.exists()


def test_jax_s_own_cache_is_used_as_before(folder):
    before = jax.config.jax_enable_compilation_cache
    Kept(counted()[0], 1)(2.0, given())
    assert jax.config.jax_enable_compilation_cache == before


@pytest.mark.parametrize("seed", [0, 7, 2**31 + 5, 2**40 + 1])
def test_noise_is_that_of_the_seed_and_the_piece(seed):
    expected = jax.random.fold_in(jax.random.key(seed), 3)
    assert compiled.noise(seed, 3) == expected
    assert compiled.noise(seed, 4) != expected
