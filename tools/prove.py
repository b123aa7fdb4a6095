"""Prove in an account that the stack does what its documents say, and delete it again.

    PYTHONPATH=. python tools/prove.py --environment dev [--output build/prove] [--record FILE]

Deploys a stack of its own with the parameters of an environment of samconfig.toml, runs both workflows on tiny data,
and deletes everything, also after a failed step or Ctrl-C. The environment ``local`` gets a local region of its own;
others go where the AWS_* variables lead. Writes report.json and report.html.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import boto3
import prove_report
from botocore.exceptions import BotoCoreError, ClientError
from proof import Proof
from prove_report import Step
from prove_steps import CLEANING, STEPS
from rich.console import Console

from demo import stack
from demo.cli import interruptible
from demo.errors import DemoError
from demo.region import region
from demo.screen import Screen


def prove(environment: str, output: Path, console: Console, record: Path | None) -> int:
    """Run all steps; return 0 if each did what it promises."""
    steps = {name: Step(name, promise.text) for name, promise in STEPS.items()}
    place = "local region" if environment == stack.ENVIRONMENT else "AWS"
    began, revision = datetime.now(UTC), stack.git_revision()
    try:
        with ExitStack() as running:
            if environment == stack.ENVIRONMENT:
                running.enter_context(region(output / "region", output / "logs", keep=False))
            place = place if environment == stack.ENVIRONMENT else f"AWS, {boto3.session.Session().region_name}"
            proof = Proof(environment, output / "logs", running.enter_context(Screen(console)))
            try:
                for name in STEPS:
                    if name not in CLEANING:
                        take(steps[name], proof)
            finally:
                if proof.deployed_at:
                    with _uninterrupted():
                        for name in CLEANING:
                            take(steps[name], proof, goes_on=True)
    except (DemoError, ClientError, BotoCoreError) as error:
        console.print(f"\n{error}", markup=False)
    finally:
        report = prove_report.Report(place, revision, began, list(steps.values()))
        page = prove_report.write(report, output)
        console.print(prove_report.table(report))
        console.print(f"\nWritten: {page} and report.json beside it", markup=False)
    if report.proven and record:
        prove_report.record(report, record)
    return 0 if report.proven else 1


def take(step: Step, proof: Proof, *, goes_on: bool = False) -> None:
    """Take a step and note its answer, time and share of the bill, however it ends.

    Parameters
    ----------
    goes_on
        Note an error without raising it.
    """
    before, began = proof.dollars(time.time()), time.monotonic()
    step.status = "failed"
    try:
        with proof.screen.step(step.name):
            step.answer = STEPS[step.name].take(proof)
        step.status = "proven"
    except KeyboardInterrupt:
        step.error = "Interrupted."
        raise
    except (DemoError, ClientError, BotoCoreError) as error:
        step.error = str(error)
        if not goes_on:
            raise
    finally:
        step.seconds = round(time.monotonic() - began, 1)
        step.dollars = round(proof.dollars(time.time()) - before, 4)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: a second, impatient one must not leave a stack behind that costs money."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Deploy a stack, prove what it does, and delete it.")
    parser.add_argument("--environment", default="dev", help="of samconfig.toml (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/prove"), help="for reports and logs (%(default)s)")
    parser.add_argument("--record", type=Path, help="a document with the part `proven`, to write the result into")
    options = parser.parse_args()
    return interruptible(lambda console: prove(options.environment, options.output, console, options.record))


if __name__ == "__main__":
    sys.exit(main())
