"""S3 addresses."""

from __future__ import annotations


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split the address of an object or of a prefix.

    Raises
    ------
    ValueError
        It is not of the form ``s3://bucket/key``.

    >>> bucket_and_key("s3://bucket/runs/1/input/visits #2.csv")
    ('bucket', 'runs/1/input/visits #2.csv')
    """
    scheme, _, path = uri.partition("://")
    bucket, slash, key = path.partition("/")
    if scheme != "s3" or not bucket or not slash:
        raise ValueError(f"{uri!r} is not an S3 address. Write it as s3://bucket/key.")
    return bucket, key
