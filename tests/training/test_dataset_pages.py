"""The pages of data sets and imports: their content, and that only administrators see them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Role, User
from tests.factories import write_dataset
from training.data.importing import ImportSource, import_dataset
from training.models import Dataset, DatasetImport, Job
from training.services import jobs
from training.worker.importing import run_import_job

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def made_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "made", per_diagnosis=6)


@pytest.fixture
def data_folder(made_files: Path, settings: Any, tmp_path: Path) -> Path:
    settings.TRAINING_DATA_DIR = made_files.parent
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    # The rows are in the transaction of the test, where the heartbeat thread does not see them.
    settings.TRAINING_LEASE = timedelta(hours=1)
    return made_files


@pytest.fixture
def dataset(data_folder: Path) -> Dataset:
    return import_dataset(
        name="made",
        source=ImportSource(
            data_folder / "ISIC_2019_Training_GroundTruth.csv",
            data_folder / "ISIC_2019_Training_Metadata.csv",
            data_folder / "ISIC_2019_Training_Input.zip",
        ),
    )


def client_of(role: Role, client: Client) -> Client:
    client.force_login(
        User.objects.create_user(f"{role}@example.org", PASSWORD, role=role),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


@pytest.fixture
def admin_client(client: Client) -> Client:
    return client_of(Role.ADMINISTRATOR, client)


def test_the_page_shows_split_leakage_report_and_figures(dataset: Dataset, admin_client: Client) -> None:
    response = admin_client.get(reverse("admin:training_dataset_change", args=[dataset.pk]))
    text = response.content.decode()
    assert response.status_code == 200
    assert "no image outside training shows a lesion that training has seen" in text
    assert dataset.eda is not None
    leak = dataset.report["split"]["leakage"]["random"]["mean"]
    assert f"{leak:.1%}".replace("%", "\u00a0%") in text
    for section in dataset.eda["sections"]:
        assert f'id="{section["key"]}"' in text
    assert dataset.test_fingerprint in text
    assert " style=" not in text and "<script>" not in text
    assert admin_client.get(reverse("admin:training_dataset_changelist")).status_code == 200


def test_a_leak_would_be_said(dataset: Dataset, admin_client: Client) -> None:
    dataset.report["split"]["leakage"]["ours"] = {"validation": 3, "calibration": 0, "test": 1}
    dataset.save()
    text = admin_client.get(reverse("admin:training_dataset_change", args=[dataset.pk])).content.decode()
    assert "4 images outside training show a lesion that training has seen" in text
    assert "no image outside training" not in text


def _text(download: Any) -> str:
    """The content of a streamed response as text."""
    return b"".join(download.streaming_content).decode()


def test_charts_and_tables_can_be_had(dataset: Dataset, admin_client: Client) -> None:
    def chart(kind: str, key: str = "age", **query: str) -> Any:
        return admin_client.get(reverse("admin:training_dataset_chart", args=[dataset.pk, key, kind]), query)

    svg = chart("svg")
    light = b"".join(svg.streaming_content)
    assert svg["Content-Type"] == "image/svg+xml" and light.startswith(b"<svg")
    assert "private" in svg["Cache-Control"]
    dark = b"".join(chart("svg", theme="dark").streaming_content)
    assert dark != light and dark.startswith(b"<svg")
    png = chart("png", download="")
    assert png["Content-Disposition"].startswith("attachment") and "made-age.png" in png["Content-Disposition"]
    table = _text(chart("csv")).splitlines()
    assert table[0] == "age,images,share" and len(table) > 2
    for key, kind in (("age", "exe"), ("nothing", "svg"), ("nothing", "csv"), ("untold", "png")):
        assert chart(kind, key).status_code == 404
    figures = admin_client.get(reverse("admin:training_dataset_figures", args=[dataset.pk])).json()
    assert dataset.eda is not None and figures["eda"]["sections"] == dataset.eda["sections"]
    split = _text(admin_client.get(reverse("admin:training_dataset_split", args=[dataset.pk])))
    assert len(split.splitlines()) == 1 + dataset.example_count


@pytest.mark.parametrize("role", [None, Role.PATIENT, Role.CLINICIAN])
def test_nobody_else_sees_any_of_it(dataset: Dataset, client: Client, role: Role | None) -> None:
    job = DatasetImport.objects.create(name="other", ground_truth="x.csv")
    if role is not None:
        client_of(role, client)
    for name, arguments in (
        ("training_dataset_changelist", []),
        ("training_dataset_change", [dataset.pk]),
        ("training_dataset_chart", [dataset.pk, "age", "svg"]),
        ("training_dataset_figures", [dataset.pk]),
        ("training_dataset_split", [dataset.pk]),
        ("training_datasetimport_changelist", []),
        ("training_datasetimport_add", []),
        ("training_datasetimport_change", [job.pk]),
        ("training_datasetimport_progress", [job.pk]),
        ("training_datasetimport_faults", [job.pk]),
    ):
        response = client.get(reverse(f"admin:{name}", args=arguments))
        assert response.status_code == 302 and "login" in response["Location"], name
    for name, key in (("training_dataset_version", dataset.pk), ("training_datasetimport_cancel", job.pk)):
        response = client.post(reverse(f"admin:{name}", args=[key]), {"name": "v2"})
        assert response.status_code == 302 and "login" in response["Location"], name
    job.refresh_from_db()
    assert job.status == Job.Status.QUEUED and DatasetImport.objects.count() == 1


def test_the_form_offers_the_data_folder_and_queues_a_job(data_folder: Path, admin_client: Client) -> None:
    address = reverse("admin:training_datasetimport_add")
    page = admin_client.get(address).content.decode()
    assert "Found in the data folder" in page and "made/ISIC_2019_Training_Input.zip" in page
    response = admin_client.post(
        address,
        {
            "name": "from the form",
            "ground_truth": "made/ISIC_2019_Training_GroundTruth.csv",
            "metadata": "made/ISIC_2019_Training_Metadata.csv",
            "images": "made/ISIC_2019_Training_Input.zip",
            "split_seed": "5",
        },
    )
    job = DatasetImport.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("admin:training_datasetimport_change", args=[job.pk])
    assert (job.status, job.split_seed, job.layout) == (Job.Status.QUEUED, 5, "isic2019")
    waiting = admin_client.get(response["Location"]).content.decode()
    assert "hx-get" in waiting and "http-equiv" in waiting
    run_import_job(job.pk)
    done = admin_client.get(reverse("admin:training_datasetimport_progress", args=[job.pk])).content.decode()
    assert "Imported." in done and "hx-get" not in done


def test_what_nobody_foresaw_is_said_to_be_that(data_folder: Path, admin_client: Client) -> None:
    claim = jobs.claim(DatasetImport, DatasetImport.objects.create(name="new", ground_truth="made").pk)
    assert claim is not None
    jobs.finish(claim, Job.Status.FAILED, failure_code="unexpected", failure_detail="KeyError: 'age'")
    page = admin_client.get(reverse("admin:training_datasetimport_progress", args=[claim.pk])).content.decode()
    assert "Something unforeseen happened: KeyError: &#x27;age&#x27;" in page


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"ground_truth": ""}, "ground_truth"),
        ({"ground_truth": "../../secret.csv"}, "ground_truth"),
        ({"ground_truth": "/etc/passwd"}, "ground_truth"),
        ({"metadata": "made/../made/ISIC_2019_Training_Metadata.csv"}, "metadata"),
        ({"images": "made/ISIC_2019_Training_Metadata.csv"}, "images"),
        ({"split_seed": "-1"}, "split_seed"),
        ({"ground_truth_upload": SimpleUploadedFile("x.csv", b"image,MEL\n")}, "ground_truth_upload"),
        (
            {"ground_truth": "", "ground_truth_upload": SimpleUploadedFile("x.csv", b"image,MEL\n")},
            "ground_truth_upload",
        ),
    ],
)
def test_bad_requests_come_back_with_the_reason_at_the_field(
    data_folder: Path, admin_client: Client, given: dict[str, Any], field: str
) -> None:
    response = admin_client.post(
        reverse("admin:training_datasetimport_add"),
        {
            "name": "made",
            "ground_truth": "made/ISIC_2019_Training_GroundTruth.csv",
            "split_seed": "2019",
            **given,
        },
    )
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not DatasetImport.objects.exists()


def test_faults_are_shown_escaped_and_downloaded_without_formulas(admin_client: Client) -> None:
    job = DatasetImport.objects.create(
        name="bad",
        ground_truth="made/truth.csv",
        status=Job.Status.FAILED,
        failure_code="faulty_files",
        failure_detail="Two faults.",
        finished="2026-01-01T00:00Z",
        faults=[
            {"file": "=cmd()", "line": 3, "reason": "<script>alert(1)</script> is wrong"},
            {"file": "truth.csv", "line": 0, "reason": "+1"},
        ],
    )
    page = admin_client.get(reverse("admin:training_datasetimport_change", args=[job.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page and "Two faults." in page
    table = _text(admin_client.get(reverse("admin:training_datasetimport_faults", args=[job.pk])))
    assert table.splitlines()[1].startswith("'=cmd(),3,")
    assert table.splitlines()[2] == "truth.csv,,'+1"


def test_a_waiting_import_is_cancelled_from_its_page(admin_client: Client) -> None:
    job = DatasetImport.objects.create(name="waiting", ground_truth="made/truth.csv")
    address = reverse("admin:training_datasetimport_cancel", args=[job.pk])
    assert admin_client.get(address).status_code == 405
    response = admin_client.post(address, follow=True)
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED
    assert "Cancelled. Nothing was imported." in response.content.decode()


def test_a_new_version_is_asked_for_with_a_free_name(dataset: Dataset, admin_client: Client) -> None:
    address = reverse("admin:training_dataset_version", args=[dataset.pk])
    taken = admin_client.post(address, {"name": "made"})
    assert taken.status_code == 422 and "There is a data set of this name already" in taken.content.decode()
    response = admin_client.post(address, {"name": "made v2"})
    job = DatasetImport.objects.get()
    assert response.status_code == 302 and job.previous == dataset and job.status == Job.Status.QUEUED
    assert admin_client.get(response["Location"]).status_code == 200


def test_deleting_asks_explains_and_refuses_what_is_needed(dataset: Dataset, admin_client: Client) -> None:
    address = reverse("admin:training_dataset_delete", args=[dataset.pk])
    assert f"made with its {dataset.example_count} images" in admin_client.get(address).content.decode()
    later = Dataset.objects.create(name="later", previous=dataset, fingerprint="f" * 64, example_count=0)
    refused = admin_client.post(address, {"post": "yes"}, follow=True)
    assert "It was not deleted: A later version" in refused.content.decode()
    assert Dataset.objects.filter(pk=dataset.pk).exists()
    later.delete()
    admin_client.post(address, {"post": "yes"})
    assert not Dataset.objects.exists()


def test_pages_stand_where_figures_or_files_are_missing(admin_client: Client) -> None:
    bare = Dataset.objects.create(name="bare", fingerprint="f" * 64, example_count=0)
    page = admin_client.get(reverse("admin:training_dataset_change", args=[bare.pk]))
    assert page.status_code == 200 and "No figures were computed yet" in page.content.decode()
    bare.eda = {"sections": [], "charts": {"age": {"svg": "datasets/gone.svg"}}}
    bare.save()
    assert admin_client.get(reverse("admin:training_dataset_chart", args=[bare.pk, "age", "svg"])).status_code == 404
    for key in ("0", "nonsense"):
        assert admin_client.get(f"/admin/training/dataset/{key}/change/").status_code == 404
        assert admin_client.get(f"/admin/training/datasetimport/{key}/change/").status_code == 404


def test_the_web_process_reads_the_pages_without_pandas_or_matplotlib() -> None:
    import subprocess
    import sys

    code = (
        "import sys, django; django.setup(); import django.contrib.admin; from django.urls import get_resolver; "
        "get_resolver().url_patterns; import training.tasks, training.admin.datasets; "
        "print(sorted({'pandas', 'matplotlib', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
