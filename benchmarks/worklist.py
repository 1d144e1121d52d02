"""How long do the lists take with 100,000 photos?

Makes a scratch database on a private PostgreSQL that goes away with the process, fills it (rows only, no picture
files), and asks for each page through Django's whole stack, as a browser would, without the network. Rounds are
interleaved: in each round every page is asked for once, in another order, so that a busy moment of the machine falls on
all alike.
Prints and writes a table: queries, median and 95th percentile in milliseconds, and the size of the answer.

    python benchmarks/worklist.py                      # 100,000 photos, 15 rounds, docs/benchmarks/worklist.md
    python benchmarks/worklist.py --explain 'diagnosis' # and how PostgreSQL goes about the slowest query of such a page
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"

import django  # noqa: E402

django.setup()  # starts the private servers

from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import AuditEntry, Role, User  # noqa: E402
from diagnoses.models import (  # noqa: E402
    Classifier,
    Finding,
    Lesion,
    Photo,
    PhotoHistory,
    Prediction,
    Reading,
    Worker,
)
from diagnoses.taxonomy import CODES, SITES  # noqa: E402

SEED = 5
BATCH = 2000
CLINICIANS = 12
PHOTOS_A_PATIENT = 20
LONG_HISTORY = 2000
UNUSABLE = "!"
"""What Django stores where no password fits."""

SPOTS = 40
"""Lesions of the patient with the long history."""

# Shares of a practice that keeps up: most is read, a queue stands, a few wait for other readers.
READ, SECOND, ADJUDICATION = 0.70, 0.03, 0.005
DECISIONS = (("urgent", 0.06), ("soon", 0.14), ("monitor", 0.72), ("not_assessed", 0.08))
TARGET_MS = 200


@dataclass(frozen=True)
class Case:
    """One page: what it is called, who asks, and for what."""

    name: str
    client: Client
    address: str


def drawn(source: random.Random, shares: tuple[tuple[str, float], ...]) -> str:
    point = source.random()
    for name, share in shares:
        point -= share
        if point < 0:
            return name
    return shares[-1][0]


def probabilities(source: random.Random) -> list[float]:
    weights = [source.random() ** 6 + (3.0 if code == "NV" and source.random() < 0.6 else 0.0) for code in CODES]
    total = sum(weights)
    return [weight / total for weight in weights]


def fill(photos: int) -> dict[str, Any]:
    """A practice with so many photos; the people and objects that the cases ask about."""
    source = random.Random(SEED)
    now = timezone.now()
    live = Classifier.objects.create(
        version="benchmark", sha256="b" * 64, manifest={}, stage=Classifier.Stage.LIVE,
        promoted=now - datetime.timedelta(days=300),
    )  # fmt: skip
    Worker.objects.create(name="benchmark", last_seen=now)
    staff = [
        User(email=f"clinician{number}@example.org", name=f"Dr {number}", role=Role.CLINICIAN, password=UNUSABLE)
        for number in range(CLINICIANS)
    ]
    staff.append(User(email="administrator@example.org", role=Role.ADMINISTRATOR, password=UNUSABLE))
    people = [
        User(email=f"patient{number}@example.org", name=f"Patient {number}", password=UNUSABLE)
        for number in range(max(1, (photos - LONG_HISTORY) // PHOTOS_A_PATIENT) + 1)
    ]
    staff, people = User.objects.bulk_create(staff), User.objects.bulk_create(people, batch_size=BATCH)
    regular, others = people[0], people[1:]
    lesions = Lesion.objects.bulk_create(
        [lesion for person in others for lesion in named(person, 2)] + named(regular, SPOTS), batch_size=BATCH
    )
    spots: dict[int, list[Lesion]] = {}
    for lesion in lesions:
        spots.setdefault(lesion.owner_id, []).append(lesion)
    owners = [regular] * min(LONG_HISTORY, photos) + [
        others[number % len(others)] for number in range(photos - min(LONG_HISTORY, photos))
    ]
    source.shuffle(owners)
    for start in range(0, len(owners), BATCH):
        with transaction.atomic():
            add(owners[start : start + BATCH], spots, clinicians=staff[:CLINICIANS], live=live, source=source, now=now)
        print(f"\r{min(start + BATCH, len(owners)):,} photos", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    AuditEntry.objects.bulk_create(
        (
            AuditEntry(
                actor=str(source.choice(staff).pk), action="photo-viewed", subject=f"photo:{uuid.uuid4()}",
                created=now - datetime.timedelta(minutes=number),
            )
            for number in range(photos)
        ),
        batch_size=BATCH,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return {"clinician": staff[0], "reader": staff[1], "administrator": staff[-1], "patient": regular}


def named(person: User, count: int) -> list[Lesion]:
    return [
        Lesion(
            owner=person, name=f"spot {number}", anatom_site_general=SITES[number % len(SITES)],
            body_view="front", body_x=0.3 + 0.4 * (number % 7) / 7, body_y=0.2 + 0.6 * (number % 11) / 11,
        )
        for number in range(count)
    ]  # fmt: skip


def add(
    owners: list[User],
    spots: dict[int, list[Lesion]],
    *,
    clinicians: list[User],
    live: Classifier,
    source: random.Random,
    now: datetime.datetime,
) -> None:
    """One batch of photos with predictions, histories, readings and findings."""
    rows: list[Photo] = []
    for owner in owners:
        created = now - datetime.timedelta(seconds=source.randrange(3 * 365 * 86_400))
        shares = probabilities(source)
        top = max(range(len(CODES)), key=shares.__getitem__)
        malignant = sum(share for share, code in zip(shares, CODES, strict=True) if code in {"MEL", "BCC", "SCC"})
        point = source.random()
        state = (
            "read" if point < READ
            else "second" if point < READ + SECOND
            else "adjudication" if point < READ + SECOND + ADJUDICATION
            else "unread"
        )  # fmt: skip
        failed = source.random() < 0.01
        rows.append(
            Photo(
                owner=owner, lesion=source.choice(spots[owner.pk]), created=created, image="photos/x.jpg",
                thumbnail="photos/y.jpg", width=600, height=450, sha256="1" * 64, original_sha256="2" * 64,
                original_format="JPEG", shown_name="spot.jpg", content_hash=bytes(32),
                age_approx=source.randrange(15, 90), sex=source.choice(["female", "male"]),
                anatom_site_general=source.choice(SITES), queued=created, published=created,
                status="failed" if failed else "predicted", failure_code="worker_lost" if failed else "",
                diagnosis="" if failed else CODES[top], confidence=None if failed else shares[top],
                malignant_score=None if failed else malignant, decision="" if failed else drawn(source, DECISIONS),
                review_state=state, second_reason="malignant" if state in {"second", "adjudication"} else "",
                review_requested=created if source.random() < 0.02 else None,
                review_closed=created if state == "read" else None,
            )
        )  # fmt: skip
        rows[-1].shares = shares  # type: ignore[attr-defined]  # carried to the prediction below
    Photo.objects.bulk_create(rows)
    answered = [photo for photo in rows if photo.status == "predicted"]
    Prediction.objects.bulk_create(
        Prediction(
            photo=photo, classifier=live, probabilities=photo.shares, diagnosis=photo.diagnosis,  # type: ignore[attr-defined]
            confidence=photo.confidence, malignant_score=photo.malignant_score, runtime="onnx", duration_ms=100,
            created=photo.created,
        )
        for photo in answered
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE diagnoses_photo SET prediction_id = p.id FROM diagnoses_prediction p"
            " WHERE p.photo_id = diagnoses_photo.id AND diagnoses_photo.id = ANY(%s)",
            [[photo.pk for photo in answered]],
        )
    PhotoHistory.objects.bulk_create(
        PhotoHistory(photo=photo, duration="months", change_size=source.random() < 0.2, itch=source.random() < 0.3)
        for photo in rows
        if source.random() < 0.5
    )
    read(rows, clinicians, source)


def read(rows: list[Photo], clinicians: list[User], source: random.Random) -> None:
    """What clinicians said of those that are not unread."""
    predictions = {each.photo_id: each for each in Prediction.objects.filter(photo__in=[photo.pk for photo in rows])}
    readings: list[Reading] = []
    for photo in rows:
        if photo.review_state == "unread":
            continue
        prediction = predictions.get(photo.pk)
        predicted = prediction.diagnosis if prediction is not None else "NV"
        roles = ["first", "second"] if photo.review_state == "adjudication" else ["first"]
        for role, reader in zip(roles, source.sample(clinicians, len(roles)), strict=True):
            said = predicted if source.random() < 0.75 else source.choice(CODES)
            readings.append(
                Reading(
                    photo=photo, reader=reader, role=role, begun=photo.created, blind_answer="diagnosis",
                    blind_diagnosis=said, revealed=photo.created, prediction=prediction, answer="diagnosis",
                    diagnosis=said, management="discharge", recorded=photo.created,
                )
            )  # fmt: skip
    made = Reading.objects.bulk_create(readings)
    settled = {photo.pk for photo in rows if photo.review_state == "read"}
    Finding.objects.bulk_create(
        Finding(
            photo_id=reading.photo_id, prediction_id=reading.prediction_id, reading=reading,
            diagnosis=reading.diagnosis, source="clinician", recorded_by_id=reading.reader_id, created=reading.recorded,
        )
        for reading in made
        if reading.photo_id in settled
    )  # fmt: skip


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def cases(world: dict[str, Any]) -> Iterator[Case]:
    """Every list there is, with every filter and sort of the worklist."""
    clinician, patient = signed_in(world["clinician"]), signed_in(world["patient"])
    administrator = signed_in(world["administrator"])
    review = reverse("review-list")
    today = timezone.localdate()
    filters: list[dict[str, Any]] = [
        {},
        *({"state": state} for state in ("unread", "requested", "second", "adjudication", "read", "all")),
        *({"sort": sort} for sort in ("worklist", "newest", "urgent", "riskiest", "unsure")),
        *({"state": "all", "sort": sort} for sort in ("worklist", "newest", "urgent", "riskiest", "unsure")),
        {"decision": "urgent"},
        {"decision": "not_assessed"},
        {"diagnosis": "MEL"},
        {"diagnosis": "VASC"},
        {"state": "all", "diagnosis": "DF"},
        {"site": "palms/soles"},
        {"state": "all", "site": "oral/genital"},
        {"status": "failed"},
        {"state": "all", "status": "queued"},
        {"patient": "patient4321@"},
        {"state": "all", "patient": "patient4321@"},
        {"state": "all", "patient": "nobody-has-this"},
        {"state": "all", "reader": world["reader"].pk},
        {"state": "read", "disagreement": "yes"},
        {"state": "read", "disagreement": "no"},
        {"state": "all", "finding": "no"},
        {"state": "all", "finding": "yes"},
        {"state": "all", "finding": "histopathology"},
        {"since": str(today - datetime.timedelta(days=30)), "until": str(today)},
        {"state": "all", "since": "2001-01-01", "until": "2001-12-31"},
        {"state": "all", "diagnosis": "MEL", "site": "head/neck", "disagreement": "yes", "sort": "urgent"},
    ]
    for chosen in filters:
        query = urlencode(chosen)
        yield Case(f"worklist: {query or 'as it opens'}", clinician, f"{review}?{query}")
    for name, client, address in (
        ("worklist, page 150", clinician, review),
        ("worklist: state=all, page 150", clinician, f"{review}?state=all"),
        ("worklist: state=all&sort=urgent, page 150", clinician, f"{review}?state=all&sort=urgent"),
        ("photos of a patient with 2,000, page 60", patient, reverse("photo-list")),
    ):
        yield Case(name, client, deep(client, address, 60 if "patient" in name else 150))
    yield Case("photos of a patient with 2,000", patient, reverse("photo-list"))
    yield Case("spots of a patient with 40 and 2,000 photos", patient, reverse("lesion-list"))
    spot = Lesion.objects.filter(owner=world["patient"]).first()
    assert spot is not None
    yield Case("one spot with about 50 photos", patient, reverse("lesion", args=[spot.pk]))
    yield Case("agreement of readers", clinician, reverse("review-agreement"))
    yield Case("API: 100 photos", clinician, f"{reverse('api-photos')}?page_size=100")
    yield Case("admin: first page", administrator, reverse("admin:index"))
    yield Case("admin: drift", administrator, reverse("admin:diagnoses_classifier_drift"))
    yield Case("admin: photos", administrator, reverse("admin:diagnoses_photo_changelist"))
    yield Case("admin: audit log", administrator, reverse("admin:accounts_auditentry_changelist"))
    yield Case("admin: users", administrator, reverse("admin:accounts_user_changelist"))


def deep(client: Client, address: str, pages: int) -> str:
    """The address of a page far back: the cursors are followed, as a person would."""
    for _ in range(pages):
        page = client.get(address).context["page"]
        if not page.older:
            break
        head, _mark, _rest = address.partition("cursor=")
        head = head.rstrip("?&")
        address = f"{head}{'&' if '?' in head else '?'}cursor={page.older}"
    return address


@dataclass
class Measured:
    """What one page cost."""

    case: Case
    queries: int
    times: list[float]
    size: int

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.times, n=20)[-1] if len(self.times) > 1 else self.times[0]


def measure(all_cases: list[Case], rounds: int) -> list[Measured]:
    results = []
    for case in all_cases:
        case.client.get(case.address)  # fills caches of the process and of the database
        with CaptureQueriesContext(connection) as queries:
            response: Any = case.client.get(case.address)
        assert response.status_code == 200, (case.name, response.status_code)
        results.append(Measured(case, len(queries), [], len(response.content)))
    order = random.Random(SEED)
    for _ in range(rounds):
        for result in order.sample(results, len(results)):
            began = time.perf_counter()
            result.case.client.get(result.case.address)
            result.times.append(1000 * (time.perf_counter() - began))
    return results


def explain(case: Case) -> None:
    """Print how PostgreSQL goes about the slowest query of a page."""
    with CaptureQueriesContext(connection) as queries:
        case.client.get(case.address)
    slowest = max(queries.captured_queries, key=lambda query: float(query["time"]))
    print(f"\n{case.name}: {slowest['time']} s of {len(queries)} queries\n{slowest['sql'][:3000]}\n")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {slowest['sql']}")
        print("\n".join(line for (line,) in cursor.fetchall()))


def table(results: list[Measured]) -> str:
    lines = ["| page | queries | median ms | p95 ms | kB |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {r.case.name.replace('|', ' ')} | {r.queries} | {r.median:.0f} | {r.p95:.0f} | {r.size / 1024:.0f} |"
        for r in results
    ]
    return "\n".join(lines)


def written(results: list[Measured], *, photos: int, rounds: int, load: float) -> str:
    """The page of the documentation."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        ((server,),) = cursor.fetchall()
    slow = [r for r in results if r.median > TARGET_MS]
    verdict = (
        f"All medians lie below {TARGET_MS} ms."
        if not slow
        else f"{len(slow)} of {len(results)} medians lie above {TARGET_MS} ms: {', '.join(r.case.name for r in slow)}."
    )
    return f"""# Lists with {photos:,} photos

    python benchmarks/worklist.py --photos {photos} --rounds {rounds}

Measured on {timezone.localdate():%d %B %Y}: {os.cpu_count()} cores ({platform.machine()}), load {load:.1f} while it ran
(a load above the number of cores makes every figure worse than the page is), Python {platform.python_version()}, Django
{django.get_version()}, PostgreSQL {server} on the same machine. One request at a time through Django's whole stack,
templates included, without the network; {rounds} interleaved rounds after one to warm up. {verdict}

{table(results)}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--photos", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--explain", default="", help="part of a page's name: show its slowest query")
    arguments.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks" / "worklist.md")
    chosen = arguments.parse_args()
    setup_test_environment(debug=False)
    old_name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        began = time.monotonic()
        world = fill(chosen.photos)
        print(f"Filled in {time.monotonic() - began:.0f} s.", file=sys.stderr)
        all_cases = list(cases(world))
        loads = [os.getloadavg()[0]]
        results = measure(all_cases, chosen.rounds)
        loads.append(os.getloadavg()[0])
        print(table(results))
        if chosen.explain:
            for case in all_cases:
                if chosen.explain in case.name:
                    explain(case)
        page = written(results, photos=chosen.photos, rounds=chosen.rounds, load=max(loads))
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(page)
    finally:
        connection.creation.destroy_test_db(old_name, verbosity=0)


if __name__ == "__main__":
    main()
