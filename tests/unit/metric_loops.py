"""Every metric from its definition, one row at a time: the judge of `visitcast.metrics`."""

import numpy as np

from visitcast import metrics as m


def circular(a, b):
    return min((a - b) % 24, (b - a) % 24)


def of_probabilities(P, first, visited):
    """Every metric from its definition, one row at a time."""
    total = dict.fromkeys(m.METRICS, 0.0)
    for p, hour, mask in zip(P, first.tolist(), visited.tolist(), strict=True):
        mode = max(range(24), key=lambda h: p[h])
        widest = max(range(24), key=lambda h: p[h] + p[h - 1] + p[(h + 1) % 24])
        median = next(h for h in range(24) if sum(p[: h + 1]) >= 0.5)
        central = min(range(24), key=lambda h: sum(p[k] * circular(h, k) for k in range(24)))
        total[m.LOG_LOSS] -= np.log(p[hour])
        total[m.BEST_HOUR_HIT_RATE] += mask >> mode & 1
        total[m.TOP1] += mode == hour
        total[m.WITHIN_ONE_HOUR] += circular(widest, hour) <= 1
        total[m.CIRCULAR_MAE_HOURS] += circular(central, hour)
        total[m.MAE_HOURS] += abs(median - hour)
        total[m.RMSE_HOURS] += (sum(h * p[h] for h in range(24)) - hour) ** 2
    scores = {name: value / len(P) for name, value in total.items()}
    scores[m.RMSE_HOURS] **= 0.5
    confidence, correct = P.max(axis=1), P.argmax(axis=1) == first
    scores[m.ECE] = 0
    for k in range(15):
        inside = (confidence * 15 >= k) & (confidence * 15 < k + 1)
        if inside.any():
            scores[m.ECE] += abs(correct[inside].mean() - confidence[inside].mean()) * inside.mean()
    return scores


def of_points(points, first, visited):
    """Every metric of one forecast hour per row, whole or not; None without probabilities."""
    total = dict.fromkeys(m.METRICS, 0.0)
    for point, hour, mask in zip(points, first.tolist(), visited.tolist(), strict=True):
        clipped = min(max(float(point), 0.0), 23.0)
        below = int(clipped)
        # Halves go to the even hour, as in IEEE 754.
        whole = below + (clipped - below > 0.5 or (clipped - below == 0.5 and below % 2 == 1))
        total[m.BEST_HOUR_HIT_RATE] += mask >> whole & 1
        total[m.TOP1] += whole == hour
        total[m.WITHIN_ONE_HOUR] += whole in {(hour - 1) % 24, hour, (hour + 1) % 24}
        total[m.CIRCULAR_MAE_HOURS] += circular(whole, hour)
        total[m.MAE_HOURS] += abs(clipped - hour)
        total[m.RMSE_HOURS] += (clipped - hour) ** 2
    scores = {name: value / len(first) for name, value in total.items()}
    scores[m.RMSE_HOURS] **= 0.5
    return {**scores, m.LOG_LOSS: None, m.ECE: None}
