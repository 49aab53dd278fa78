import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from vdd.errors import UserError
from vdd.training import sharding


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((3, 3, 64, 256), P(None, None, None, "fsdp")),  # the largest axis
        ((256, 64), P("fsdp")),
        ((128, 128), P(None, "fsdp")),  # the last of equals
        ((130, 257, 4), P(None, None, "fsdp")),  # the only one that 4 divides
        ((131, 257), P()),  # none
        ((64, 64), P()),  # small
        ((), P()),
    ],
)
def test_rule(shape, spec):
    assert sharding.array_spec(shape, 4) == spec
    assert sharding.array_spec(shape, 1) == P()


@pytest.mark.parametrize(("data", "fsdp"), [(-1, 1), (1, -1), (1, 1), (-1, -1)])
def test_mesh_of_one_device(data, fsdp):
    if data == fsdp == -1:
        with pytest.raises(UserError, match="does not fit"):
            sharding.make_mesh(data, fsdp)
    else:
        assert dict(sharding.make_mesh(data, fsdp).shape) == {"data": 1, "fsdp": 1}


@pytest.mark.parametrize(("data", "fsdp"), [(2, 1), (-1, 2), (0, 1), (-1, 0), (1, -2)])
def test_mesh_that_does_not_fit(data, fsdp):
    with pytest.raises(UserError, match=f"data={data}, fsdp={fsdp} does not fit 1 device"):
        sharding.make_mesh(data, fsdp)


def test_batch_size():
    mesh = sharding.make_mesh()
    sharding.check_batch_size(6, mesh, 3)
    with pytest.raises(UserError, match="make it a multiple of 3"):
        sharding.check_batch_size(7, mesh, 3)
    with pytest.raises(UserError, match="batch_size=0"):
        sharding.check_batch_size(0, mesh)


def test_abstract_state_takes_no_memory():
    mesh = sharding.make_mesh()
    tree = sharding.abstract_sharded(mesh, lambda x: {"big": jnp.full((10**6, 10**6), x)}, 1.0)
    assert tree["big"].shape == (10**6, 10**6)
    assert tree["big"].sharding == sharding.replicated(mesh)


def test_global_batch_is_the_local_one_on_one_process():
    where = sharding.batch_sharding(sharding.make_mesh())
    video = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    batch = sharding.global_batch({"video": video}, where)
    assert batch["video"].dtype == np.uint8
    np.testing.assert_array_equal(batch["video"], video)
