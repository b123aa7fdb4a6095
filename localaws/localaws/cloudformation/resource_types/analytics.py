"""AWS::Glue and AWS::Athena."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceType


def _create_database(request: Request) -> Handled:
    name = _database_name(request)
    request.call("glue", "create_database", DatabaseInput={**request.properties.get("DatabaseInput", {}), "Name": name})
    return Handled(name)


def _update_database(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    if _database_name(request) != current.physical_id:
        return _create_database(request)
    database = {**request.properties.get("DatabaseInput", {}), "Name": current.physical_id}
    request.call("glue", "update_database", Name=current.physical_id, DatabaseInput=database)
    return current


def _database_name(request: Request) -> str:
    # Glue converts names to lower case.
    return str(request.properties.get("DatabaseInput", {}).get("Name", request.name)).lower()


def _delete_database(request: Request, physical_id: str) -> None:
    request.call("glue", "delete_database", Name=physical_id)


def _create_table(request: Request) -> Handled:
    table = {"Name": request.name.lower(), **request.properties["TableInput"]}
    request.call("glue", "create_table", DatabaseName=request.properties["DatabaseName"], TableInput=table)
    return Handled(str(table["Name"]))


def _update_table(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    table = {"Name": current.physical_id, **request.properties["TableInput"]}
    database = request.properties["DatabaseName"]
    if table["Name"] != current.physical_id or database != old_properties["DatabaseName"]:
        return _create_table(request)
    request.call("glue", "update_table", DatabaseName=database, TableInput=table)
    return current


def _delete_table(request: Request, physical_id: str) -> None:
    request.call("glue", "delete_table", DatabaseName=request.properties["DatabaseName"], Name=physical_id)


def _create_work_group(request: Request) -> Handled:
    request.call(
        "athena",
        "create_work_group",
        Name=request.name,
        Configuration=request.properties.get("WorkGroupConfiguration", {}),
        **request.pick("Description", "Tags"),
    )
    return Handled(request.name)


def _update_work_group(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    configuration = dict(request.properties.get("WorkGroupConfiguration", {}))
    results = configuration.pop("ResultConfiguration", {})
    request.call(
        "athena",
        "update_work_group",
        WorkGroup=current.physical_id,
        ConfigurationUpdates={**configuration, "ResultConfigurationUpdates": results},
        **request.pick("Description", "State"),
    )
    return current


def _delete_work_group(request: Request, physical_id: str) -> None:
    recursive = request.properties.get("RecursiveDeleteOption", False)
    request.call("athena", "delete_work_group", WorkGroup=physical_id, RecursiveDeleteOption=recursive)


TYPES = (
    ResourceType(
        "AWS::Glue::Database",
        _create_database,
        _delete_database,
        _update_database,
    ),
    ResourceType("AWS::Glue::Table", _create_table, _delete_table, _update_table),
    ResourceType("AWS::Athena::WorkGroup", _create_work_group, _delete_work_group, _update_work_group, "Name"),
)
