"""A tiny model, for tests of the loss."""

import pytest
from tiny import get_model


@pytest.fixture(scope="module")
def model_and_params():
    """What sight adds is in `test_what_is_refined_does_not_bend_the_mean`."""
    return get_model({"model.denoiser.sight": 0}, frames=3)
