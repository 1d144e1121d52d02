"""Every hostile file gets the expected result in the real sandbox, within ten CPU seconds and 512 MB."""

from __future__ import annotations

import csv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from recognition.sandbox.derivatives import is_clean_jpeg
from recognition.sandbox.process import SandboxReport, inspect_photo

CPU_SECONDS = 10
MEMORY = 512 * 1024 * 1024
THREADS = 2


@dataclass(frozen=True)
class Case:
    file: str
    expected: str
    report: SandboxReport

    @property
    def verdict(self) -> str:
        return "accept" if self.report.accepted else "reject"


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> list[Case]:
    folder = shared_data / "hostile_images"
    with (folder / "manifest.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))

    def judge(row: dict[str, str]) -> Case:
        report = inspect_photo((folder / row["file"]).read_bytes())
        return Case(row["file"], row["expected_verdict"], report)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(judge, rows))


def test_every_result_is_that_of_the_manifest(cases: list[Case]) -> None:
    assert len(cases) > 1000
    wrong = [
        f"{case.file}: {case.expected} expected, {case.report.rejected or 'accepted'}"
        for case in cases
        if case.expected not in ("either", case.verdict)
    ]
    assert wrong == []


def test_no_file_is_refused_because_the_sandbox_failed(cases: list[Case]) -> None:
    codes = Counter(case.report.rejected.code for case in cases if case.report.rejected)
    assert codes["cage_failed"] == 0
    assert codes["decode_timeout"] == 0


def test_nothing_costs_more_than_the_policy_allows(cases: list[Case]) -> None:
    dear = [
        (case.file, case.report.cpu_seconds, case.report.peak_memory_bytes)
        for case in cases
        if case.report.cpu_seconds > CPU_SECONDS or case.report.peak_memory_bytes > MEMORY
    ]
    assert dear == []
    decoded = [case.report for case in cases if case.report.accepted]
    assert all(report.cpu_seconds > 0 and report.peak_memory_bytes > 0 for report in decoded)


def test_everything_accepted_is_a_clean_picture(cases: list[Case]) -> None:
    accepted = [(case.file, case.report.accepted) for case in cases if case.report.accepted]
    assert accepted
    assert [file for file, photo in accepted if not is_clean_jpeg(photo.image)] == []
    assert [file for file, photo in accepted if not is_clean_jpeg(photo.thumbnail)] == []
