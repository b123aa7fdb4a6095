r"""The rule for the identifiers of users, the same from the first check of events to the last message.

An identifier has 1 to 256 characters, none of them a control character, and is not only white space.

* 256 characters are at most 1,024 bytes of UTF-8, or 3,072 as JSON's escapes. So an identifier fits a key of DynamoDB
  (2,048 bytes), and a message of SQS holds it many times. Other tools' limits are alike (255 or 256).
* No control characters (Unicode's category Cc). NumPy drops NULs at the end of a text, so that two users would be one;
  lines and tables are cut at line ends; terminals obey escapes.
* Texts are compared by their characters: two spellings of one letter are two users everywhere, and nothing normalises.

``sql/event_counts.sql``, ``sql/own_visits.sql`` and the JSON Schemas in ``functions/shared`` hold the same rule, and a
test compares them. Trino's regular expressions have one white space more, U+180E, as Unicode had before version 6.3.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 256
"""Characters. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html allows keys of 2,048
bytes."""
CONTROL: Final = r"\p{Cc}"
"""A control character, for RE2 and Trino."""
VISIBLE: Final = r"[^\p{Z}\p{Cc}]"
"""A character that is neither white space nor a control character, for RE2 and Trino."""
RULE: Final = f"must have 1 to {MAX_LENGTH} characters, no control characters such as NUL, and not only white space"

_WITHOUT_CONTROLS: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_LENGTH}}}")


def is_identifier(text: str) -> bool:
    """Return whether a text may identify a user."""
    return _WITHOUT_CONTROLS.fullmatch(text) is not None and not text.isspace()
