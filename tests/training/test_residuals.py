import jax
import jax.numpy as jnp

from vdd.training.residuals import residual_bytes


def array(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def test_what_is_kept_is_counted_once():
    def loss(w, x):
        return jnp.sum(jnp.sin(x @ w))

    # The cosine [3 7], and x, which is an argument.
    assert residual_bytes(loss, array(5, 7), array(3, 5)) == 4 * 3 * 7
    half = array(5, 7, dtype=jnp.bfloat16), array(3, 5, dtype=jnp.bfloat16)
    assert residual_bytes(loss, *half) == 2 * 3 * 7


def test_a_loop_keeps_something_of_every_turn():
    def loss(w, x, turn):
        return jnp.sum(jax.lax.scan(lambda x, _: (turn(x, w), None), x, length=10)[0])

    def turn(x, w):
        return jnp.sin(jnp.sin(x @ w))

    shapes = array(6, 6), array(3, 6)
    plain = residual_bytes(lambda *args: loss(*args, turn), *shapes)
    again = residual_bytes(lambda *args: loss(*args, jax.checkpoint(turn)), *shapes)
    assert again == 10 * 4 * 3 * 6  # what each turn begins with
    assert plain == 3 * again  # that, and two cosines
