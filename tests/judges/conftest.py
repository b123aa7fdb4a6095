"""The verdict of each judge at the end of the run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import cases
import pytest
from deployed_stack import local_region


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What the local region makes of each case of the mock file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_MOCK_CONFIG", str(cases.FILE))
        with local_region(tmp_path_factory.mktemp("region")) as url:
            definitions = {name: cases.definition(name) for name, _ in cases.CASES}
            return cases.run(url, cases.create(url, definitions))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each judge, which is a module, and one for each limit of it."""
    found: dict[str, dict[str, list[pytest.TestReport]]] = defaultdict(lambda: defaultdict(list))
    for outcome in ("passed", "failed", "error", "xfailed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            found[Path(report.location[0]).stem.removeprefix("test_")][outcome].append(report)
    terminalreporter.section("verdicts")
    for judge, outcomes in sorted(found.items()):
        counts = ", ".join(f"{len(reports)} {outcome}" for outcome, reports in outcomes.items())
        terminalreporter.write_line(f"{judge}: {counts}")
        for report in outcomes["xfailed"]:
            case = report.nodeid.rpartition("[")[2].removesuffix("]")
            terminalreporter.write_line(f"    differs in {case}: {report.wasxfail.removeprefix('reason: ')}")
        for reason in sorted(
            {report.longrepr[2] for report in outcomes["skipped"] if isinstance(report.longrepr, tuple)}
        ):
            terminalreporter.write_line(f"    {reason}")
