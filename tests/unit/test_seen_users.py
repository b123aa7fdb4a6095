import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visitcast.data.seen_users import SeenUsers, hashes

NAMES = st.lists(st.text(max_size=4), max_size=20)


@given(st.lists(NAMES, max_size=12), NAMES)
def test_a_set_of_hashes_answers_as_a_set_of_names(batches, asked):
    seen, names = SeenUsers(), set()
    for batch in batches:
        seen.add(hashes(np.array(batch, dtype=object)))
        names |= set(batch)
    assert seen.holds(hashes(np.array(asked, dtype=object))).tolist() == [name in names for name in asked]


def test_hashes_are_the_same_in_every_process():
    """Instances compare theirs: a hash with a key of the process's own would part users that are one."""
    assert hashes(np.array(["user-0000001", "Zoë"], dtype=object)).tolist() == [
        15980955993862955135,
        8751914635655007618,
    ]


def test_text_of_either_kind_hashes_alike():
    names = ["a", "user-2", "x" * 50]
    assert hashes(np.array(names)).tolist() == hashes(np.array(names, dtype=object)).tolist()
