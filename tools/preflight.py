"""Check an account and region before the stack is deployed there. Only reads.

    PYTHONPATH=. python tools/preflight.py --environment dev [--parameters NAME=VALUE ...] [--input JSON] [--json FILE]

The account is that of the AWS_* variables or the profile, as for sam. Prints a table and ends with 1 if something would
make the deployment or the first run fail.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import costs
from botocore.exceptions import BotoCoreError, ClientError
from deployment import FIXED_NAMES, Deployment, Listed, needed_quotas, read_deployment
from rich.console import Console
from rich.table import Table

from functions.publish_sql.events_table import location, mapped_events
from functions.publish_sql.mapping import Refused, read_mapping

OK, WARNING, FAILURE = "ok", "warning", "failure"
MARKS = {OK: "[green]✓[/]", WARNING: "[yellow]![/]", FAILURE: "[red]✗[/]"}

# The region of the public registry's API; its login is good for pulls in any region.
# https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
PUBLIC_REGISTRY_REGION = "us-east-1"

SERVICES = {"Events": "eventbridge", "StepFunctions": "stepfunctions", "Serverless": "lambda"}
"""Names in AWS's list of a region's services where they are not the resource type's in lower case."""
ALSO_USED = {"cloudformation", "scheduler", "stepfunctions", "sts", "xray"}
"""Services without a resource type in the template, or whose types sam makes."""

ENDPOINTS = Listed("", "sagemaker", "list_endpoints", "Endpoints[].EndpointName")


@dataclass(frozen=True)
class Check:
    """One row: what was checked and found, what to do about it, and whether it is ok, a warning or a failure."""

    name: str
    found: str
    remedy: str = ""
    status: str = OK


class Account:
    """The account and region that the credentials lead to. Only reads."""

    def __init__(self) -> None:
        self.session: Any = boto3.session.Session()  # Any: the names of services come from tables
        self.region: str = self.session.region_name or ""

    def listed(self, how: Listed, **arguments: Any) -> Iterator[str]:
        """Yield the names in a list of all pages."""
        client = self.session.client(how.service)
        if client.can_paginate(how.operation):
            yield from client.get_paginator(how.operation).paginate(**arguments).search(how.names)
            return
        token: dict[str, Any] = {}
        while True:
            page = getattr(client, how.operation)(**arguments, **token)
            list_name, _, name = how.names.partition("[].")
            yield from (entry[name] for entry in page[list_name])
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def stack(self, name: str) -> dict[str, Any] | None:
        """Describe a stack; None if there is none."""
        try:
            found: dict[str, Any] = self.session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return found

    @cached_property
    def sagemaker_quotas(self) -> dict[str, float]:
        """Values of SageMaker's quotas by name."""
        pages = self.session.client("service-quotas").get_paginator("list_service_quotas")
        found = pages.paginate(ServiceCode="sagemaker").search("Quotas[].[QuotaName, Value]")
        return dict(found)


def check_credentials(account: Account) -> Iterator[Check]:
    """Check that there is a region, and that it knows the credentials."""
    if not account.region:
        yield Check("region", "none", "Set AWS_REGION, or a region in your profile.", FAILURE)
        return
    try:
        identity = account.session.client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        yield Check("credentials", str(error), "Log in, for example by `aws sso login`, or set AWS_PROFILE.", FAILURE)
        return
    yield Check("credentials", f"{identity['Arn']} in account {identity['Account']}")
    yield Check("region", account.region)


def check_services(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check that the region has every service that the template uses."""
    types = [resource["Type"].split("::") for resource in deployment.template["Resources"].values()]
    groups = {name for owner, name, *_ in types if owner == "AWS"}
    wanted = sorted({SERVICES.get(group, group.lower()) for group in groups} | ALSO_USED)
    prefix = f"/aws/service/global-infrastructure/regions/{account.region}/services/"
    missing: list[str] = []
    for start in range(0, len(wanted), 10):  # limit of GetParameters
        names = [prefix + name for name in wanted[start : start + 10]]
        missing += account.session.client("ssm").get_parameters(Names=names)["InvalidParameters"]
    if missing:
        absent = ", ".join(name.removeprefix(prefix) for name in missing)
        yield Check("services", f"{account.region} lacks {absent}", "Choose another region.", FAILURE)
    else:
        yield Check("services", f"all {len(wanted)} are offered")


def check_stack(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check that the stack can be created or updated."""
    found = account.stack(deployment.stack)
    status = found["StackStatus"] if found else ""
    if not found or status == "REVIEW_IN_PROGRESS":
        yield Check("stack", f"{deployment.stack} does not exist: sam deploy creates it")
    elif status.endswith("_IN_PROGRESS"):
        yield Check("stack", f"{deployment.stack} is {status}", "Wait until that has ended.", FAILURE)
    elif status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        yield Check("stack", f"{deployment.stack} is {status}", f"sam delete --stack-name {deployment.stack}", FAILURE)
    elif status == "UPDATE_ROLLBACK_FAILED":
        remedy = f"aws cloudformation continue-update-rollback --stack-name {deployment.stack}"
        yield Check("stack", f"{deployment.stack} is {status}", remedy, FAILURE)
    else:
        yield Check("stack", f"{deployment.stack} is {status}: sam deploy updates it")


def taken_names(account: Account, deployment: Deployment) -> list[str]:
    """Return the fixed names that something outside of the stack already has, each with its type."""
    wanted: dict[str, list[str]] = {}
    for kind, name in deployment.fixed_names():
        wanted.setdefault(kind, []).append(name)
    own: list[str] = []
    if account.stack(deployment.stack):
        resources = Listed("", "cloudformation", "list_stack_resources", "StackResourceSummaries[].PhysicalResourceId")
        own = [name or "" for name in account.listed(resources, StackName=deployment.stack)]
    else:
        # A run makes the endpoint: without the stack it is somebody else's, and the first run would update it.
        wanted["endpoint"] = [deployment.value(deployment.template["Outputs"]["EndpointName"]["Value"])]
    taken: list[str] = []
    for kind, names in wanted.items():
        existing = set(account.listed(FIXED_NAMES.get(kind, ENDPOINTS)))
        foreign = [name for name in names if name in existing and not any(_names(mine, name) for mine in own)]
        taken += [f"{kind.removeprefix('AWS::')} {name}" for name in foreign]
    return taken


def _names(physical_id: str, name: str) -> bool:
    """Return whether a physical id, which is a name or an ARN, is that of a name."""
    return physical_id == name or physical_id.endswith((f"/{name}", f":{name}"))


def check_names(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check that nothing else has the names that the template fixes."""
    if taken := taken_names(account, deployment):
        remedy = "Deploy with another Environment, or delete what has the name."
        yield from (Check("name", f"{name} exists outside of the stack", remedy, FAILURE) for name in taken)
    else:
        yield Check("names", f"all {len(list(deployment.fixed_names()))} are free or the stack's own")


def check_quotas(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check SageMaker's quotas of the instance types that the runs use."""
    for name, (first, later) in needed_quotas(deployment).items():
        value = account.sagemaker_quotas.get(name)
        raise_it = f"Ask for {later}: docs/operations.md#instance-quotas"
        if value is None:
            remedy = "The region does not offer this type: name another in the execution input."
            yield Check(name, "no such quota", remedy, FAILURE)
        elif value < first:
            yield Check(name, f"{value:g}, needs {first}", raise_it, FAILURE)
        elif value < later:
            yield Check(name, f"{value:g}, an update needs {later}", raise_it, WARNING)
        else:
            yield Check(name, f"{value:g}, needs {later}")


def check_events_table(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check that a table of one's own exists and can be read as events."""
    database, table, mapping = (
        deployment.parameters[name] for name in ("EventsDatabase", "EventsTableName", "EventsMapping")
    )
    if not table:
        yield Check("events", "the stack's own table")
        return
    try:
        found = account.session.client("glue").get_table(DatabaseName=database, Name=table)["Table"]
        mapped_events(found, read_mapping(mapping))
        yield Check("events", f"{database}.{table} in s3://{'/'.join(location(found))}")
    except Refused as error:
        yield Check("events", f"{error.headline} {error.cause}", error.remedy, FAILURE)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityNotFoundException":
            raise
        yield Check("events", f"{database}.{table} does not exist", "Check the names of EventsTableName.", FAILURE)


def check_public_registry(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Check that builds can log into the public registry of the base images."""
    if not deployment.builds_images or deployment.parameters["BaseImage"]:
        yield Check("public registry", "not used with these parameters")
        return
    try:
        account.session.client("ecr-public", region_name=PUBLIC_REGISTRY_REGION).get_authorization_token()
    except (ClientError, BotoCoreError) as error:
        remedy = "Builds pull without a login, one image a second: expect a failed build, or deploy with BaseImage."
        yield Check("public registry", str(error), remedy, WARNING)
        return
    yield Check("public registry", "login works")


def check_costs(account: Account, deployment: Deployment) -> Iterator[Check]:
    """Estimate what these parameters cost; never a failure."""
    del account
    prices = json.loads(costs.PRICES.read_text(encoding="utf-8"))
    types, parameters = deployment.types, deployment.parameters
    if unknown := sorted(set(types.values()) - prices["instance_hour"].keys()):
        yield Check("costs", f"no price of {unknown[0]}", "Add it to tools/prices.json.", WARNING)
        return
    month, what = costs.standing_month(prices), "key, alarms, dashboard"
    if parameters["EndpointMode"] == "instance":
        count = int(deployment.inputs["Endpoint"]["InstanceCount"])
        month += count * costs.endpoint_month(types["Endpoint"], prices)
        what += f", endpoint of {count} {types['Endpoint']}"
    workload = costs.WORKLOADS[0]
    run = costs.run_cost(workload, types, prices, spot=parameters["SpotTraining"] == "yes")
    batch = costs.million_in_a_batch(types, prices)
    if deployment.builds_images:
        yield Check("costs: first deployment", f"{costs.image_builds(prices):.2f} USD, {costs.IMAGES} builds")
    yield Check("costs: a month", f"{month:.2f} USD, {what}")
    yield Check("costs: a training run", f"{run:.2f} USD, {workload.name}")
    yield Check("costs: a forecast run", f"{batch:.2f} USD, a million users")


CHECKS: tuple[Callable[[Account, Deployment], Iterator[Check]], ...] = (
    check_services,
    check_stack,
    check_names,
    check_quotas,
    check_events_table,
    check_public_registry,
    check_costs,
)


def checks(deployment: Deployment) -> Iterator[Check]:
    """Yield all checks; without credentials or region only these two."""
    account = Account()
    failed = False
    for check in check_credentials(account):
        failed = failed or check.status == FAILURE
        yield check
    for function in () if failed else CHECKS:
        name = function.__name__.removeprefix("check_").replace("_", " ")
        try:
            yield from function(account, deployment)
        except (ClientError, BotoCoreError) as error:
            operation = getattr(error, "operation_name", "")
            remedy = f"Allow {operation} to see this before a deployment does." if operation else "Try again."
            yield Check(name, f"not checked: {error}", remedy, WARNING)


def table(found: Iterable[Check]) -> Table:
    """Return the checks as a table for the terminal."""
    shown = Table("", "check", "found", "what to do", box=None, pad_edge=False)
    for check in found:
        shown.add_row(MARKS[check.status], check.name, check.found, check.remedy)
    return shown


def main() -> int:
    """Run the command line; return 1 if there is a failure."""
    parser = argparse.ArgumentParser(description="Check an account before the stack is deployed there. Only reads.")
    parser.add_argument("--environment", default="dev", help="of samconfig.toml (%(default)s)")
    parser.add_argument("--stack-name", default="", help="default: that of samconfig.toml")
    parser.add_argument("--parameters", nargs="*", default=[], metavar="NAME=VALUE", help="instead of samconfig.toml's")
    parser.add_argument("--input", type=json.loads, default={}, help="execution inputs, JSON (default: none)")
    parser.add_argument("--json", type=Path, help="write the checks to this file too")
    options = parser.parse_args()
    changed = dict(item.partition("=")[::2] for item in options.parameters)
    found = list(checks(read_deployment(options.environment, options.stack_name, changed, options.input)))
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(check) for check in found], indent=2) + "\n", encoding="utf-8")
    failures = sum(check.status == FAILURE for check in found)
    print(
        f"\n{failures} of these would make the deployment or the first run fail." if failures else "\nReady to deploy."
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
