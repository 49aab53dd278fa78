"""What is asked of a server in tests."""

import io

import numpy as np


def npy(video) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, video)
    return buffer.getvalue()
