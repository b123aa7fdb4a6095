"""JSON objects in the stack's bucket, and partitions of its tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from console.data.stack import Stack, client


@dataclass(frozen=True)
class Partition:
    """A partition of a table: its values and where its files are."""

    values: tuple[str, ...]
    location: str

    @property
    def run(self) -> str:
        """Return the run that has written it; empty if it is not at the prefix of a run."""
        parts = urlsplit(self.location).path.strip("/").split("/")
        return parts[1] if parts[0] == "runs" and len(parts) > 1 else ""


def partitions(stack: Stack, table: str) -> list[Partition]:
    """List the partitions of a table, the latest first."""
    pages = (
        client("glue")
        .get_paginator("get_partitions")
        .paginate(DatabaseName=stack.database, TableName=table, ExcludeColumnSchema=True)
    )
    found = [
        Partition(tuple(item["Values"]), item["StorageDescriptor"]["Location"])
        for page in pages
        for item in page["Partitions"]
    ]
    return sorted(found, key=lambda partition: partition.values, reverse=True)


def read_json(bucket: str, key: str) -> dict[str, Any]:
    """Read an object; return an empty dictionary if there is none."""
    try:
        body = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return {}
        raise
    value = json.loads(body)
    return value if isinstance(value, dict) else {}


def events(stack: Stack) -> str:
    """Return what queries read events from: the stack's table, or in parentheses a query of a table of one's own."""
    key = stack.outputs.get("EventsSqlKey")
    if key is None:
        return "events"
    return f"({client('s3').get_object(Bucket=stack.bucket, Key=key)['Body'].read().decode('utf-8')})"
