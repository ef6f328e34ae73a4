"""What `doctor` finds, and how it is printed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal['ok', 'note', 'MISSING', 'WRONG']
BAD = ('MISSING', 'WRONG')


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    verdict: Verdict
    subject: str
    text: str


def report(findings: Iterable[Finding], as_json: bool, good: str, bad: str) -> int:
    """Print findings as they come, or all as JSON; return 1 if one of them is bad.

    Args:
        findings: in the order of the report.
        as_json: instead of lines.
        good: last line if nothing is bad.
        bad: otherwise; its {} is the number of bad ones.
    """
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            print(f'{finding.verdict:>7}  {finding.subject:<30} {finding.text}', flush=True)
    count = sum(finding.verdict in BAD for finding in found)
    if as_json:
        print(json.dumps([vars(finding) for finding in found], indent=1))
    else:
        print(f'\n{bad.format(count)}' if count else f'\n{good}')
    return 1 if count else 0
