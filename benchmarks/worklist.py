"""How long do the lists take with 100,000 photos?

Makes a scratch database on a private PostgreSQL that goes away with the process, fills it (rows only, no picture
files), and asks for each page through Django's whole stack, as a browser would, without the network. Rounds are
interleaved: in each round every page is asked for once, in another order, so that a busy moment of the machine falls on
all alike.
Prints and writes a table: queries, median and 95th percentile in milliseconds, and the size of the answer.

    python benchmarks/worklist.py                      # 100,000 photos, 15 rounds, docs/benchmarks/worklist.md
    python benchmarks/worklist.py --explain 'diagnosis' # and the query plan of the slowest query of such a page
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import re
import statistics
import sys
import time
from collections import Counter
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
from django.http import QueryDict  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import Role, User  # noqa: E402
from diagnoses.classifiers.models import Classifier  # noqa: E402
from diagnoses.lesions.models import Lesion  # noqa: E402
from diagnoses.paging import PAGE_SIZE, page_of  # noqa: E402
from diagnoses.photos.models import Photo, Worker  # noqa: E402
from diagnoses.readings.worklist import ReviewFilterForm  # noqa: E402
from diagnoses.results.views.photo import HISTORY  # noqa: E402
from recognition.inference.assessment import Assessment, Decision, Gate, GateResult  # noqa: E402
from recognition.taxonomy import CODES, SITES  # noqa: E402

SEED = 5
CLINICIANS = 12
PHOTOS_A_PATIENT = 20
LONG_HISTORY = 2000
UNUSABLE = "!"
"""A password hash that no password matches."""

SPOTS = 40
"""Lesions of the patient with the long history."""

# Shares of photos in a practice: most are read, some wait for a first reader, a few for another one.
READ, SECOND, ADJUDICATION = 0.70, 0.03, 0.005
TARGET_MS = 200
FAR_BACK = 150
"""A page far back in the list; it must be as fast as the first."""

REPEATED = 3
"""A statement that is sent more often for one page is reported: probably one query per row."""


@dataclass(frozen=True)
class Case:
    """One page: its name, its user and its address."""

    name: str
    client: Client
    address: str


# PostgreSQL makes the rows itself: Python would take half an hour for what it does in a minute.
MAKE_PHOTOS = """
CREATE TEMPORARY TABLE made AS
SELECT n, gen_random_uuid() AS photo, gen_random_uuid() AS prediction, spot.owner_id, spot.id AS lesion,
       now() - random() * interval '1095 days' AS created,
       (%(codes)s::text[])[1 + floor(8 * random() ^ weight)::int %% 8] AS diagnosis,
       0.3 + 0.69 * random() AS confidence,
       CASE WHEN random() < 0.01 THEN 'failed' ELSE 'predicted' END AS status,
       CASE WHEN chance < %(read)s THEN 'read' WHEN chance < %(second)s THEN 'second'
            WHEN chance < %(adjudication)s THEN 'adjudication' ELSE 'unread' END AS state,
       CASE WHEN luck < 0.06 THEN 'urgent' WHEN luck < 0.20 THEN 'soon' WHEN luck < 0.92 THEN 'monitor'
            ELSE 'not_assessed' END AS decision
  FROM (SELECT n, random() AS chance, random() AS luck, 1.0 AS weight,
               CASE WHEN n <= %(long)s THEN -1 - n %% %(spots)s ELSE n %% %(others)s END AS place
          FROM generate_series(1, %(photos)s) AS n) AS drawn
  JOIN spot USING (place);

INSERT INTO diagnoses_photo (id, owner_id, lesion_id, created, image, thumbnail, width, height, sha256,
    original_sha256, original_format, shown_name, content_hash, age_approx, sex, anatom_site_general, image_type,
    status, queued, published, attempts, failure_code, assessment_id, diagnosis, confidence, malignant_score, decision,
    review_state, second_reason, review_requested, review_closed, idempotency_key)
SELECT photo, owner_id, lesion, created, 'photos/x.jpg', 'photos/y.jpg', 600, 450, repeat('1', 64), repeat('2', 64),
    'JPEG', 'spot.jpg', repeat('0', 256)::bit(256), 15 + n %% 75, (ARRAY['female', 'male'])[1 + n %% 2],
    (%(sites)s::text[])[1 + n %% 8], '', status, created, created, 1,
    CASE WHEN status = 'failed' THEN 'worker_lost' ELSE '' END,
    CASE WHEN status = 'predicted' THEN prediction END,
    CASE WHEN status = 'predicted' THEN diagnosis ELSE '' END,
    CASE WHEN status = 'predicted' THEN confidence END,
    CASE WHEN status = 'predicted' THEN
        CASE WHEN diagnosis IN ('MEL', 'BCC', 'SCC') THEN confidence + 2 * (1 - confidence) / 7
             ELSE 3 * (1 - confidence) / 7 END END,
    CASE WHEN status = 'predicted' THEN decision ELSE '' END,
    state, CASE WHEN state IN ('second', 'adjudication') THEN 'malignant' ELSE '' END,
    CASE WHEN random() < 0.02 THEN created END, CASE WHEN state = 'read' THEN created END, ''
  FROM made;

INSERT INTO diagnoses_prediction (id, photo_id, classifier_id, heatmap, runtime, duration_ms, created)
SELECT prediction, photo, %(classifier)s, '', 'onnx', 100, created FROM made WHERE status = 'predicted';

INSERT INTO diagnoses_photoassessment (id, photo_id, prediction_id, image_type, image_type_source, contradicted,
    probabilities, diagnosis, confidence, malignant_score, decision, picture_decision, assessment, metadata, used,
    created)
SELECT prediction, photo, prediction, '', '', false,
    (SELECT array_agg(CASE WHEN code = made.diagnosis THEN made.confidence ELSE (1 - made.confidence) / 7 END)
       FROM unnest(%(codes)s::text[]) AS code),
    made.diagnosis, made.confidence, photos.malignant_score, made.decision, '',
    %(assessments)s::jsonb -> made.decision, '{}', '{}', made.created
  FROM made JOIN diagnoses_photo AS photos ON photos.id = made.photo WHERE made.status = 'predicted';

INSERT INTO diagnoses_photohistory (photo_id, created, duration, change_size, itch, note)
SELECT photo, created, 'months', random() < 0.2, random() < 0.3, '' FROM made WHERE n %% 2 = 0;

UPDATE diagnoses_photo AS photo SET history_id = history.id
  FROM diagnoses_photohistory AS history WHERE history.photo_id = photo.id;

INSERT INTO diagnoses_reading (photo_id, reader_id, role, begun, blind_answer, blind_diagnosis, revealed, assessment_id,
    answer, diagnosis, management, override_reason, note, recorded)
SELECT photo, (%(clinicians)s::bigint[])[1 + (n + turn) %% %(readers)s], (ARRAY['first', 'second'])[turn], created,
    'diagnosis', said, created, CASE WHEN status = 'predicted' THEN prediction END, 'diagnosis', said, 'discharge', '',
    '', created
  FROM (SELECT made.*, turn, CASE WHEN random() < 0.75 THEN diagnosis ELSE 'BKL' END AS said
          FROM made CROSS JOIN (VALUES (1), (2)) AS turns (turn)
         WHERE state <> 'unread' AND (turn = 1 OR state = 'adjudication')) AS turned;

INSERT INTO diagnoses_finding (photo_id, assessment_id, reading_id, diagnosis, source, note, recorded_by_id, created)
SELECT reading.photo_id, reading.assessment_id, reading.id, reading.diagnosis, 'clinician', '', reading.reader_id,
    reading.recorded
  FROM diagnoses_reading AS reading JOIN made ON made.photo = reading.photo_id WHERE made.state = 'read';

INSERT INTO accounts_auditentry (actor, action, subject, detail, created)
SELECT ((%(clinicians)s::bigint[])[1 + n %% %(readers)s])::text, 'photo-viewed', 'photo:' || photo, '{}', created
  FROM made;
"""

MAKE_SPOTS = """
CREATE TEMPORARY TABLE spot AS
SELECT id, owner_id, CASE WHEN owner_id = %s THEN -row_number() OVER (PARTITION BY owner_id ORDER BY id)
                          ELSE row_number() OVER (PARTITION BY owner_id = %s ORDER BY id) - 1 END AS place
  FROM diagnoses_lesion
"""


def fill(photos: int) -> dict[str, Any]:
    """Make a practice with so many photos. Returns the users of the cases."""
    live = Classifier.objects.create(
        version="benchmark",
        sha256="b" * 64,
        manifest={},
        stage=Classifier.Stage.LIVE,
        promoted=timezone.now() - datetime.timedelta(days=300),
    )
    Worker.objects.create(name="benchmark", last_seen=timezone.now())
    staff = User.objects.bulk_create(
        [
            *(
                User(
                    email=f"clinician{number}@example.org", name=f"Dr {number}", role=Role.CLINICIAN, password=UNUSABLE
                )
                for number in range(CLINICIANS)
            ),
            User(email="administrator@example.org", role=Role.ADMINISTRATOR, password=UNUSABLE),
        ]
    )
    count = max(1, (photos - LONG_HISTORY) // PHOTOS_A_PATIENT)
    people = User.objects.bulk_create(
        User(email=f"patient{number}@example.org", name=f"Patient {number}", password=UNUSABLE)
        for number in range(count + 1)
    )
    regular, others = people[0], people[1:]
    Lesion.objects.bulk_create([*named(regular, SPOTS), *(spot for person in others for spot in named(person, 2))])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT setseed(%s)", [SEED / 10])
        cursor.execute(MAKE_SPOTS, [regular.pk, regular.pk])
        cursor.execute(
            MAKE_PHOTOS,
            {
                "photos": photos,
                "long": min(LONG_HISTORY, photos),
                "spots": SPOTS,
                "others": 2 * len(others),
                "codes": list(CODES),
                "sites": list(SITES),
                "read": READ,
                "second": READ + SECOND,
                "adjudication": READ + SECOND + ADJUDICATION,
                "classifier": live.pk,
                "clinicians": [user.pk for user in staff[:CLINICIANS]],
                "readers": CLINICIANS,
                "assessments": json.dumps({decision.value: assessment(decision) for decision in Decision}),
            },
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return {"clinician": staff[0], "reader": staff[1], "administrator": staff[-1], "patient": regular}


def assessment(decision: Decision) -> dict[str, Any]:
    """An assessment, as a classifier that is sealed today gives it."""
    refused = {Gate.QUALITY: "blurred"} if decision == Decision.NOT_ASSESSED else {}
    results = tuple(GateResult(gate, gate not in refused, refused.get(gate, "")) for gate in Gate)
    days = 90 if decision == Decision.MONITOR else None
    return Assessment(decision, gates=results, score=None, monitor_days=days).as_json()


def named(person: User, count: int) -> list[Lesion]:
    """So many spots of one person, on the front of the body."""
    return [
        Lesion(
            owner=person,
            name=f"spot {number}",
            anatom_site_general=SITES[number % len(SITES)],
            body_view="front",
            body_x=0.3 + 0.4 * (number % 7) / 7,
            body_y=0.2 + 0.6 * (number % 11) / 11,
        )
        for number in range(count)
    ]


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
    for query in ("", "state=all", "state=all&sort=urgent"):
        name = f"worklist: {query or 'as it opens'}, page {FAR_BACK}"
        yield Case(name, clinician, f"{review}?{query}&cursor={far_back(world['clinician'], query)}")
    own = Photo.objects.filter(owner=world["patient"])
    cursor = page_of(own, order=HISTORY, size=LONG_HISTORY // 2).older
    yield Case("photos of a patient with 2,000, half-way", patient, f"{reverse('photo-list')}?cursor={cursor}")
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


def far_back(user: User, query: str) -> str:
    """The cursor of a page far back in the worklist, as the page before it gives it."""
    form = ReviewFilterForm(QueryDict(query), by=user)
    photos = form.narrow(Photo.objects.visible_to(user))
    return page_of(photos, order=form.order, size=(FAR_BACK - 1) * PAGE_SIZE, apart=form.apart).older


@dataclass
class Measured:
    """The cost of one page."""

    case: Case
    queries: int
    times: list[float]
    work: list[float]
    """Processor time of the web process and its PostgreSQL process; other programs do not change it."""
    size: int

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def best(self) -> float:
        return min(self.times)

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
        results.append(Measured(case, len(queries), [], [], len(response.content)))
        for statement, times in repeated(queries.captured_queries):
            print(f"{case.name}: {times} times {statement[:300]}", file=sys.stderr)
    order = random.Random(SEED)
    for _ in range(rounds):
        for result in order.sample(results, len(results)):
            began, busy = time.perf_counter(), worked()
            result.case.client.get(result.case.address)
            result.times.append(1000 * (time.perf_counter() - began))
            result.work.append(1000 * (worked() - busy))
    return results


def worked() -> float:
    """Seconds of processor time so far of this process and of the PostgreSQL process that serves it."""
    backend = connection.connection.info.backend_pid
    # Nanoseconds on a processor; see the kernel's documentation of scheduler statistics.
    on_cpu = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0])
    return time.process_time() + on_cpu / 1e9


def repeated(queries: list[dict[str, str]]) -> list[tuple[str, int]]:
    """Statements that were sent more than `REPEATED` times with different values."""
    shapes = Counter(re.sub(r"'[^']*'|\b\d+\b", "?", query["sql"]) for query in queries)
    return [(shape, times) for shape, times in shapes.items() if times > REPEATED]


def explain(case: Case) -> None:
    """Print the query plan of the slowest query of a page."""
    with CaptureQueriesContext(connection) as queries:
        case.client.get(case.address)
    slowest = max(queries.captured_queries, key=lambda query: float(query["time"]))
    print(f"\n{case.name}: {slowest['time']} s of {len(queries)} queries\n{slowest['sql'][:3000]}\n")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {slowest['sql']}")
        print("\n".join(line for (line,) in cursor.fetchall()))


def table(results: list[Measured]) -> str:
    lines = [
        "| page | queries | work ms | best ms | median ms | p95 ms | kB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {r.case.name.replace('|', ' ')} | {r.queries} | {statistics.median(r.work):.0f} | {r.best:.0f}"
        f" | {r.median:.0f} | {r.p95:.0f} | {r.size / 1024:.0f} |"
        for r in results
    ]
    return "\n".join(lines)


def written(results: list[Measured], *, photos: int, rounds: int, load: float) -> str:
    """The page of the documentation."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        ((server,),) = cursor.fetchall()
    slow = [r.case.name for r in results if statistics.median(r.work) > TARGET_MS]
    verdict = f"Work below {TARGET_MS} ms: " + (
        "all." if not slow else f"{len(results) - len(slow)} of {len(results)}; above it {', '.join(slow)}."
    )
    return f"""# Lists with {photos:,} photos

    python benchmarks/worklist.py --photos {photos} --rounds {rounds}

Measured on {timezone.localdate():%d %B %Y}: {os.cpu_count()} cores ({platform.machine()}), load {load:.1f} while it ran
(a load above the number of cores makes every figure worse than the page is), Python {platform.python_version()}, Django
{django.get_version()}, PostgreSQL {server} on the same machine. One request at a time through Django's whole stack,
templates included, without the network; {rounds} interleaved rounds after two to warm up. *Work* is the processor
time of the web process and of its PostgreSQL together (median), which is what the page takes where nothing else runs
and the rows are in memory; the other three are by the clock, *best* the quickest round. PostgreSQL was kept to one
process a query. {verdict}

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
        with connection.cursor() as cursor:
            # Helpers of a query would not be counted.
            cursor.execute("SET max_parallel_workers_per_gather = 0")
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
