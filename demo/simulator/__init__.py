"""A population of app users whose first-visit hour has a known probability.

The model, from the top. A *slot* is one real hour that starts on a full local hour; a local day has 24 slots, 23 or 25
on the days when the clocks change.

1. User ``u`` is *on* on local day ``d`` with probability ``a[u, d]``: zero before the user arrives, after leaving and
   during breaks, otherwise the user's own rate times a weekend factor (:mod:`demo.simulator.habits`).
2. On such a day sessions start in every slot of local hour ``h`` with probability ``1 - exp(-intensity[u, d, h])``,
   independently of one another. The intensity is a mixture of the user's habits around the clock, which drift from day
   to day, and a flat background (:mod:`demo.simulator.habits`).
3. A session is a burst of page views inside its slot. If its last view falls into the last ten minutes, the session
   *runs on* into the next slot with probability ``run_on[u]``, over midnight too (:mod:`demo.simulator.sessions`).

So, given the habits and everything seen up to midnight, the hour of the day's first visit has a closed form
(:mod:`demo.simulator.truth`), and with it the log loss that no forecaster can beat.
"""

from demo.simulator.truth import Truth, best_possible_log_loss, concatenate
from demo.simulator.world import Block, World, simulate

__all__ = ["Block", "Truth", "World", "best_possible_log_loss", "concatenate", "simulate"]
