"""With the variable that the forecast workflow sets where the gate rejected the model, its baseline answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from made_visits import made_frame
from served_model import running, user_request


def test_the_baseline_of_the_model_answers(root: Path) -> None:
    history: pd.DataFrame = made_frame(6, 12.0)
    counts = history.groupby("user_id").size()
    users = [user_request(history[history.user_id == user], user) for user in counts.index]
    with running(root, VISITCAST_FORECASTER="baseline") as server:
        answered: dict[str, Any] = server.post({"users": users}).json
    sources = {forecast["user_id"]: forecast["source"] for forecast in answered["forecasts"]}
    assert sources == {user: "baseline" if count >= 3 else "prior" for user, count in counts.items()}
    assert "baseline" in sources.values()
