"""A sample of whole users that stays nearly the same when users are added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def sample_users(user_ids: NDArray[Any], size: int, seed: int) -> NDArray[np.int64]:
    """Choose the users whose identifiers have the smallest hashes.

    The choice depends on the set of users, `size` and `seed`, not on the users' order. A smaller sample is part of a
    larger one. When n users grow to m, a user of the sample stays in it with a chance of about n / m or more.

    Parameters
    ----------
    user_ids : str array [U]
        Distinct identifiers.
    size : int
        Users wanted.
    seed : int
        Another seed chooses other users.

    Returns
    -------
    int64 array [min(size, U)]
        Indices into `user_ids`, ascending.
    """
    if size >= len(user_ids):
        return np.arange(len(user_ids))
    # SipHash, whose key has 16 bytes; the identifier decides between equal hashes.
    hashed = pd.util.hash_array(user_ids.astype(object), hash_key=f"{seed:016d}", categorize=False)
    return np.sort(np.lexsort((user_ids, hashed))[:size])
