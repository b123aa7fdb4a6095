"""The strong tabular peer: LightGBM on hand-made features, the decayed histograms among them."""

from __future__ import annotations

from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, days_since_last_visit, position_in_history
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS, PAGE_VIEWS_BY_TYPE
from visitcast.features.encoding import Features

LAGS: Final = 5
ROUNDS: Final = 150
PATIENCE: Final = 15
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "multiclass",
    "num_class": HOURS,
    "learning_rate": 0.06,
    "num_leaves": 12,
    "min_data_in_leaf": 150,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "max_bin": 63,
    "seed": 7,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


def forecast(dataset: Dataset, parts: Split, features: Features, threads: int = 2) -> NDArray[np.float64]:
    """Fit on the training rows, stop early on the validation rows, and forecast the test rows.

    As the network does, it starts from the log prior and learns the correction.

    Returns
    -------
    float64 array [test rows, 24]
        Probabilities of the first-visit hour.
    """
    table, prior = hand_made(dataset, features), features.log_prior.astype(np.float64)
    hour = dataset.first_visit_hour.astype(np.int64)
    train, validation = (
        lightgbm.Dataset(table[rows], hour[rows], init_score=prior[rows], free_raw_data=True)
        for rows in (parts.train, parts.validation)
    )
    model = lightgbm.train(
        {**PARAMETERS, "num_threads": threads},
        train,
        ROUNDS,
        valid_sets=[validation.set_reference(train)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    logits = np.asarray(model.predict(table[parts.test], raw_score=True)) + prior[parts.test]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def hand_made(dataset: Dataset, features: Features) -> NDArray[np.float32]:
    """All that the network knows before a day, and the last visits spelt out, [N, columns]."""
    position = position_in_history(dataset)
    gap = days_since_last_visit(dataset)

    def lag(values: NDArray[Any], steps: int) -> NDArray[np.float32]:
        return np.where(position >= steps, np.roll(values, steps), -1).astype(np.float32)

    recent = [lag(dataset.first_visit_hour, steps) for steps in range(1, LAGS + 1)]
    recent += [lag(dataset.last_visit_hour, steps) for steps in (1, 2)]
    recent += [lag(dataset.total_time_spent_s, 1), lag(dataset.total_page_views, 1), lag(dataset.platform, 1)]
    recent += [lag(dataset.columns[name], 1) for name in PAGE_VIEWS_BY_TYPE[:3]]
    recent.append(np.where(position >= 2, np.roll(gap, 1), -1).astype(np.float32))
    return np.concatenate([features.target, np.stack(recent, axis=1)], axis=1)
