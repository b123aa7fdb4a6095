"""The verdict of each judge at the end of the run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import cases
import pytest
from sam_commands import local_region


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What the local region makes of each case of the mock file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_MOCK_CONFIG", str(cases.FILE))
        with local_region(tmp_path_factory.mktemp("region")) as url:
            definitions = {name: cases.definition(name) for name, _ in cases.CASES}
            return cases.run(url, cases.create(url, definitions))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each judge, which is a module, and one for each difference from the local region."""
    found: dict[str, dict[str, list[pytest.TestReport]]] = defaultdict(lambda: defaultdict(list))
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                found[Path(report.location[0]).stem.removeprefix("test_")][outcome or "set up"].append(report)
    terminalreporter.section("verdicts")
    for judge, outcomes in sorted(found.items()):
        seconds = sum(report.duration for reports in outcomes.values() for report in reports)
        counts = ", ".join(f"{len(reports)} {outcome}" for outcome, reports in outcomes.items() if outcome != "set up")
        terminalreporter.write_line(f"{judge}: {counts} in {seconds:.0f} s")
        for report in outcomes["xfailed"]:
            case = report.nodeid.rpartition("[")[2].removesuffix("]")
            terminalreporter.write_line(f"    differs in {case}: {report.wasxfail.removeprefix('reason: ')}")
        for reason in sorted(
            {report.longrepr[2] for report in outcomes["skipped"] if isinstance(report.longrepr, tuple)}
        ):
            terminalreporter.write_line(f"    {reason}")
