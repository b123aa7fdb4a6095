"""Runs queries on DuckDB: copies the objects of their tables, runs them, uploads the result."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from moto.glue.exceptions import EntityNotFoundException
from moto.glue.models import glue_backends

from localaws import faults, s3files
from localaws.athena import results, sql, tables, unload
from localaws.athena.errors import QueryError, classify, position
from localaws.athena.execution import QueryExecution
from localaws.athena.object_cache import ObjectCache
from localaws.iam_record import Call, active, s3_calls
from localaws.identity import acting_as

CONCURRENT_QUERIES = 4
"""Further queries wait in the state QUEUED."""

MEMORY_LIMIT = "1GB"
THREADS = 2


class Runner:
    """Runs the queries of one account and region.

    Parameters
    ----------
    account_id, region
        Owner of the catalog and the objects.
    folder
        Folder for local copies of objects, spilled data and results before their upload.
    """

    def __init__(self, account_id: str, region: str, folder: Path) -> None:
        self._account_id, self._region = account_id, region
        self._store = s3files.Store(account_id, region)
        self._catalog: Any = glue_backends[account_id][region]
        self._folder = folder
        self._cache = ObjectCache(folder / "objects")
        self._slots = threading.Semaphore(CONCURRENT_QUERIES)

    def start(self, execution: QueryExecution) -> None:
        """Run a query in a thread of its own, which updates the execution."""
        threading.Thread(target=self._run, args=(execution,), name=f"athena-{execution.id}", daemon=True).start()

    def _run(self, execution: QueryExecution) -> None:
        with self._slots, acting_as(execution.role):
            if not execution.begin():
                return
            result = self._folder / "results" / execution.id
            try:
                self._hold(execution)
                self._execute(execution, result)
            except _CancelledError:
                pass
            except Exception as error:  # noqa: BLE001 - the query must reach a final state
                failure = classify(error, execution.query)
                reason = self._cache.in_s3_terms(failure.reason)
                execution.finish("FAILED", reason, failure)
            finally:
                shutil.rmtree(result, ignore_errors=True)

    def _hold(self, execution: QueryExecution) -> None:
        """Wait while a fault holds this query."""
        released = faults.active.take_hold("athena", execution.query)
        while released is not None and not released.wait(0.05):
            _go_on(execution)

    def _execute(self, execution: QueryExecution, result: Path) -> None:
        order = unload.parse(execution.query)
        tree = sql.bind(sql.parse(order.query if order else execution.query), execution.parameters or [])
        query = sql.to_duckdb(tree)
        database = execution.context.get("Database", "default").lower()
        with self._connect(execution) as connection:
            for owner, name in sorted(sql.tables(tree, database)):
                _go_on(execution)
                self._add_table(connection, execution, owner, name)
            limit = execution.scan_limit_bytes
            if limit is not None and execution.data_scanned_bytes > limit:
                execution.finish(
                    "CANCELLED", f"Bytes scanned limit was exceeded: {execution.data_scanned_bytes} > {limit}"
                )
                return
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
            connection.execute(f"SET search_path = '{database},main'")
            execution.columns = results.columns_of(connection, query)
            execution.planned_at = time.time()
            _go_on(execution)
            result.mkdir(parents=True)
            if order is None:
                files = {execution.output_location: result / "rows.csv"}
                results.write(connection, query, execution.columns, result / "rows.csv")
            else:
                self._require_empty(order.destination)
                files = unload.write(connection, query, execution.columns, order, result / "files")
                execution.manifest_location = f"{execution.output_location}-manifest.csv"
                (result / "manifest.csv").write_text("".join(f"{uri}\n" for uri in files), encoding="utf-8")
                files[execution.manifest_location] = result / "manifest.csv"
        _go_on(execution)
        s3_calls.record("s3:GetBucketLocation", s3files.split_uri(execution.output_location)[0])
        for uri, path in files.items():
            _go_on(execution)
            self._store.upload(path, uri)
        execution.finish("SUCCEEDED")

    def _require_empty(self, destination: str) -> None:
        """Raise an error if there are objects under the destination of an UNLOAD."""
        try:
            bucket, prefix = s3files.split_uri(destination)
            is_taken = any(True for _ in self._store.objects(bucket, prefix))
        except (s3files.ObjectNotFoundError, ValueError) as error:
            raise QueryError("HIVE_FILESYSTEM_ERROR", f"{error} (destination {destination!r})") from error
        if is_taken:
            raise QueryError(
                "HIVE_PATH_ALREADY_EXISTS", f"Target directory for the UNLOAD already exists: {destination}"
            )

    @contextmanager
    def _connect(self, execution: QueryExecution) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a database in memory for one query, and close it, since its threads live as long as the connection."""
        spill = self._folder / "spill"
        connection = duckdb.connect(
            config={"threads": THREADS, "memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}
        )
        try:
            sql.prepare(connection)
            results.prepare(connection)
            execution.connection = connection
            yield connection
        finally:
            execution.connection = None
            connection.close()

    def _add_table(
        self, connection: duckdb.DuckDBPyConnection, execution: QueryExecution, database: str, name: str
    ) -> None:
        active.add(self._catalog_calls(database, name))
        try:
            described = self._catalog.get_table(database, name).as_dict()
        except EntityNotFoundException as error:
            missing = "Schema" if database not in self._catalog.databases else "Table"
            raise QueryError(
                f"{missing.upper()}_NOT_FOUND",
                f"{position(execution.query, name)}: {missing} 'awsdatacatalog.{database}"
                f"{'.' + name if missing == 'Table' else ''}' does not exist",
            ) from error
        partitions = [entry.as_dict() for entry in self._catalog.get_partitions(database, name, "")]
        table = tables.Table.from_glue(database, name, described, partitions)
        paths = []
        for found, uri, partition in tables.objects(table, self._store):
            _go_on(execution)
            execution.data_scanned_bytes += found.size
            paths.append(self._cache.fetch(found, uri, partition))
        tables.create_view(connection, table, paths, self._cache)

    def _catalog_calls(self, database: str, name: str) -> Iterator[Call]:
        """Yield the calls to the catalog that Athena makes for a table."""
        arn = f"arn:aws:glue:{self._region}:{self._account_id}:"
        for action in ("glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"):
            resources = ["catalog", f"database/{database}", f"table/{database}/{name}"]
            for resource in resources[: 2 if action == "glue:GetDatabase" else 3]:
                yield Call(action, arn + resource)


class _CancelledError(Exception):
    """The query was stopped, which its execution already says."""


def _go_on(execution: QueryExecution) -> None:
    if execution.cancelled.is_set():
        raise _CancelledError
