"""The state machines as pictures: `states` reads a definition, `layouts` places its states, `drawing` draws them.

``train.json`` and ``forecast.json`` are the project's own state machines as ELK has placed them (`make graph`).
"""

from console.graphs.drawing import draw

__all__ = ["draw"]
