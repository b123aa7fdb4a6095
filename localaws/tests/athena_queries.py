"""Queries in a running region, in a database for each test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from region import Region, wait_for

PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


class Athena:
    """Runs queries in one database."""

    def __init__(self, region: Region, database: str, folder: Path) -> None:
        self.region, self.database, self.folder = region, database, folder
        self.client = region.client("athena")
        self.glue = region.client("glue")
        self.output = f"s3://{region.bucket}/results/{database}"

    def start(self, query: str, **options: Any) -> str:
        request = {
            "QueryString": query,
            "QueryExecutionContext": {"Database": self.database},
            "ResultConfiguration": {"OutputLocation": self.output},
        }
        started: str = self.client.start_query_execution(**{**request, **options})["QueryExecutionId"]
        return started

    def describe(self, execution: str) -> dict[str, Any]:
        described: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
        return described

    def state(self, execution: str) -> str:
        return str(self.describe(execution)["Status"]["State"])

    def end_of(self, execution: str) -> dict[str, Any]:
        wait_for(lambda: self.state(execution), lambda state: state not in ("QUEUED", "RUNNING"))
        return self.describe(execution)

    def failure(self, query: str, **options: Any) -> str:
        status = self.end_of(self.start(query, **options))["Status"]
        assert status["State"] == "FAILED", status
        assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
        return str(status["StateChangeReason"])

    def text(self, query: str, **options: Any) -> str:
        ended = self.end_of(self.start(query, **options))
        assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
        return self.region.get(ended["ResultConfiguration"]["OutputLocation"]).decode()

    def table(
        self,
        name: str,
        columns: str,
        keys: str = "",
        serde: str = PARQUET,
        location: str | None = None,
        **parameters: str,
    ) -> str:
        """Create a table with columns such as ``name type, name type`` and return the prefix of its location."""
        prefix = f"tables/{self.database}/{name}"
        self.glue.create_table(
            DatabaseName=self.database,
            TableInput={
                "Name": name,
                "PartitionKeys": pairs(keys),
                "Parameters": {key.replace("__", "."): value for key, value in parameters.items()},
                "StorageDescriptor": {
                    "Location": location or f"s3://{self.region.bucket}/{prefix}/",
                    "Columns": pairs(columns),
                    "SerdeInfo": {"SerializationLibrary": serde},
                },
            },
        )
        return prefix

    def put_parquet(self, key: str, select: str) -> None:
        path = self.folder / "made.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        self.region.put(key, path.read_bytes())


def pairs(text: str) -> Sequence[dict[str, str]]:
    entries = (entry.strip().split(" ", 1) for entry in text.split(", ") if entry)
    return [{"Name": name, "Type": of} for name, of in entries]
