"""SQL as Athena takes it."""

from __future__ import annotations

import re

_COMMENT_LINES = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)


def without_comment_lines(sql: str) -> str:
    r"""Remove the lines that are comments: Athena's parser of DDL refuses a statement that begins with one.

    https://github.com/dbt-athena/dbt-athena/issues/56

    >>> without_comment_lines("-- Users.\nUNLOAD (\n    -- All of them.\n    SELECT 1 -- one\n)")
    'UNLOAD (\n    SELECT 1 -- one\n)'
    """
    return _COMMENT_LINES.sub("", sql).strip()
