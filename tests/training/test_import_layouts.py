"""MILK10k, PAD-UFES-20, the official test set and joined data sets: by command, by form and on their pages."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Role, User
from recognition.datasets.layouts import MILK10K_COLUMNS
from recognition.datasets.tables import MILK10K
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from tests.factories import made_picture, write_dataset
from training.data.archive import DatasetPictures
from training.data.import_errors import DatasetImportError
from training.data.importing import ImportSource, import_dataset
from training.models import Dataset, DatasetImport, Example, Job
from training.services.datasets import DatasetInUse, delete_dataset
from training.services.imports import available_sources, request_import, request_join
from training.services.jobs import JobRejected
from training.worker.importing import run_import_job

pytestmark = pytest.mark.django_db

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PHONE = DATA / "phone-photos"
needs_phone_photos = pytest.mark.skipif(not PHONE.is_dir(), reason="../shared/data/phone-photos is not here")

MILK_CLASSES = {"MEL": "MEL", "NV": "NV", "BCC": "BCC", "AK": "AKIEC", "BKL": "BKL", "DF": "DF", "VASC": "VASC",
                "SCC": "SCCKA", "": "BEN_OTH"}  # fmt: skip
PAD_WORDS = {"MEL": "MEL", "NV": "NEV", "BCC": "BCC", "AK": "ACK", "BKL": "SEK", "SCC": "SCC"}
FULL_WORDS = {"AK": "Solar or actinic keratosis", "": "Neurofibroma"}


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def webp_bytes(code: str, seed: int) -> bytes:
    file = io.BytesIO()
    made_picture(code, seed).save(file, "WEBP", quality=90)
    return file.getvalue()


def write_milk10k(folder: Path, *, lesions: int = 8) -> Path:
    """The four files of MILK10k: `lesions` of each diagnosis and of none of the eight, two pictures each."""
    folder.mkdir(parents=True)
    truth, metadata, supplement = [], [], []
    with zipfile.ZipFile(folder / "MILK10k_Training_Input.zip", "w") as pictures:
        for position, (code, name) in enumerate(MILK_CLASSES.items()):
            for number in range(lesions):
                lesion = f"IL_{position}{number:06d}"
                truth.append([lesion, *(float(name == each) for each in MILK10K_COLUMNS[1:])])
                for side, kind in enumerate((CLOSE_UP, DERMOSCOPIC)):
                    image = f"ISIC_{position}{number:05d}{side}"
                    seed = 1000 * side + number
                    pictures.writestr(
                        f"MILK10k_Training_Input/{lesion}/{image}.webp",
                        webp_bytes(code or "NV", seed if code else seed + 500),
                    )
                    metadata.append([lesion, kind, image, "team", "CC-BY-NC", "", 50, "male", 2, "trunk", 0.25])
                    supplement.append([image, FULL_WORDS.get(code, "Something else"), "histopathology", ""])
    write_table(folder / "MILK10k_Training_GroundTruth.csv", MILK10K_COLUMNS, truth)
    write_table(
        folder / "MILK10k_Training_Metadata.csv",
        ["lesion_id", "image_type", "isic_id", "attribution", "copyright_license", "image_manipulation", "age_approx",
         "sex", "skin_tone_class", "site", "MONET_hair"],
        metadata,
    )  # fmt: skip
    write_table(
        folder / "MILK10k_Training_Supplement.csv",
        ["isic_id", "diagnosis_full", "diagnosis_confirm_type", "invasion_thickness_interval"],
        supplement,
    )
    return folder


def write_pad_ufes(folder: Path, *, patients: int = 12, without_photo: int = 5) -> Path:
    """metadata.csv and photos.zip of PAD-UFES-20: two photos a patient, and rows that have no photo."""
    folder.mkdir(parents=True)
    header = ["patient_id", "lesion_id", "age", "gender", "fitspatrick", "region", "diagnostic", "itch", "grew",
              "img_id", "biopsed", "smoke"]  # fmt: skip
    rows = []
    with zipfile.ZipFile(folder / "photos.zip", "w") as pictures:
        for position, (code, word) in enumerate(PAD_WORDS.items()):
            for number in range(patients + (without_photo if code == "NV" else 0)):
                for photo in range(2):
                    image = f"PAT_{position}{number}_{photo}_{position}{number}{photo}"
                    rows.append(
                        [f"PAT_{position}{number}", photo, 60, "MALE", 2.0, "FACE", word, "True", "UNK", f"{image}.png",
                         "True", ""]
                    )  # fmt: skip
                    if number < patients:
                        pictures.writestr(f"{image}.webp", webp_bytes(code, 10 * number + photo))
    write_table(folder / "metadata.csv", header, rows)
    return folder


@pytest.fixture(scope="module")
def made_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a data set in each layout."""
    root = tmp_path_factory.mktemp("data")
    write_dataset(root / "isic", per_diagnosis=8)
    write_milk10k(root / "milk")
    write_pad_ufes(root / "pad")
    (root / "pad" / "metadata_without_photos.csv").write_text(
        "".join((root / "pad" / "metadata.csv").read_text().splitlines(keepends=True)[:1])
    )
    write_table(root / "links.csv", ["milk10k_lesion_id", "isic2019_lesion_id"], [["IL_0000000", "L00"]])
    write_table(root / "leave.csv", ["lesion_id"], [["IL_1000001"]])
    return root


@pytest.fixture(autouse=True)
def data_folder(made_files: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.TRAINING_DATA_DIR = made_files
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    # The rows are in the transaction of the test, where the heartbeat thread does not see them.
    settings.TRAINING_LEASE = timedelta(hours=1)
    # Drawing takes longest; test_eda.py looks at the charts.
    monkeypatch.setattr("training.data.exploration.draw", lambda _section: None)
    return made_files


@pytest.fixture
def administrator() -> User:
    return User.objects.create_user("admin@example.org", "correct horse battery", role=Role.ADMINISTRATOR)


@pytest.fixture
def admin_client(client: Client, administrator: User) -> Client:
    client.force_login(administrator, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def milk10k(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "milk",
        "images": folder / "milk" / "MILK10k_Training_Input.zip",
        "ground_truth": folder / "milk" / "MILK10k_Training_GroundTruth.csv",
        "metadata": folder / "milk" / "MILK10k_Training_Metadata.csv",
        "supplement": folder / "milk" / "MILK10k_Training_Supplement.csv",
        **changes,
    }


def page_of(dataset: Dataset, client: Client) -> str:
    return " ".join(client.get(reverse("admin:training_dataset_change", args=[dataset.pk])).content.decode().split())


def test_an_import_of_none_of_the_eight_alone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.MILK_CLASSES", {"": "BEN_OTH"})
    folder = write_milk10k(tmp_path / "others", lesions=2)
    files = [folder / f"MILK10k_Training_{name}.csv" for name in ("GroundTruth", "Metadata", "Supplement")]
    source = ImportSource(files[0], metadata=files[1], supplement=files[2], layout=MILK10K)
    with pytest.raises(DatasetImportError, match="has no picture with one of the eight diagnoses") as failed:
        import_dataset(name="others", source=source)
    assert failed.value.code == "faulty_files"
    assert not Dataset.objects.exists()


def test_milk10k_by_command(data_folder: Path, admin_client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_milk10k", **milk10k(data_folder))
    said = capsys.readouterr().out
    assert (
        "Imported milk: 128 images of 64 lesions, and 16 that show none of the eight" in said
        and "0 images outside training" in said
    )
    assert "Kinds of picture: clinical: close-up (72), dermoscopic (72)." in said
    assert "Columns that are not read: attribution, MONET_hair, invasion_thickness_interval." in said

    dataset = Dataset.objects.get()
    assert dataset.report["layout"] == "milk10k" and "CC BY-NC" in dataset.licence
    assert dataset.report["sources"]["supplement"] == "MILK10k_Training_Supplement.csv"
    # Both pictures of a lesion are on one side; none of the eight is kept and dealt to no side.
    sides: dict[str, set[str]] = {}
    for lesion, side in dataset.examples.values_list("lesion_id", "split"):
        sides.setdefault(lesion, set()).add(side)
    assert all(len(each) == 1 for each in sides.values())
    others = dataset.examples.filter(diagnosis="")
    assert others.count() == 16 == dataset.examples.filter(split="").count()
    assert set(dataset.examples.exclude(diagnosis="").values_list("diagnosis", flat=True)) == set(CODES)
    assert dataset.examples.filter(image_type=CLOSE_UP).count() == 72
    assert dataset.examples.filter(details__skin_tone_class=2).count() == 144
    with DatasetPictures(dataset) as pictures:
        assert pictures.content("ISIC_0000000")[8:12] == b"WEBP"

    call_command("eda", "milk", "--json")
    sections = {section["key"]: section for section in json.loads(capsys.readouterr().out)["sections"]}
    assert sections["image_type"]["figures"]["counts"][CLOSE_UP]["none of the eight"] == 8
    assert sections["image_type"]["figures"]["malignant_share"] == {DERMOSCOPIC: 0.375, CLOSE_UP: 0.375}
    assert sections["class-distribution"]["figures"]["none_of_the_eight"] == 16

    page = page_of(dataset, admin_client)
    assert 'None of the eight, never learned</dt> <dd class="data-large"> 16 </dd>' in page
    assert "Kinds of picture:" in page and "clinical: close-up (72)" in page
    assert page.count("MONET_hair") == 1 and "MILK10k challenge files" in page
    assert 'id="image_type"' in page


def test_a_known_column_that_has_vanished_is_a_warning(
    data_folder: Path, tmp_path: Path, admin_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with (data_folder / "milk" / "MILK10k_Training_Metadata.csv").open(newline="") as file:
        rows = [{**row} for row in csv.DictReader(file)]
    kept = [name for name in rows[0] if name != "skin_tone_class"]
    write_table(tmp_path / "metadata.csv", kept, [[row[name] for name in kept] for row in rows])
    call_command("import_milk10k", **milk10k(data_folder, metadata=tmp_path / "metadata.csv"))
    assert "Columns that are known and not there: skin_tone_class." in capsys.readouterr().out
    page = page_of(Dataset.objects.get(), admin_client)
    assert "A column that is usually there is missing, and what it says is not known: skin_tone_class." in page


def test_pad_ufes_by_command_with_and_without_photos(
    data_folder: Path, admin_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(
        "import_pad_ufes",
        name="phone",
        metadata=data_folder / "pad" / "metadata.csv",
        images=data_folder / "pad" / "photos.zip",
    )
    said = capsys.readouterr().out
    assert "Imported phone: 144 images" in said and "Left out: no photo (10)." in said
    assert "Diagnoses without an image, which cannot be learned here: DF, VASC." in said
    dataset = Dataset.objects.get()
    assert dataset.has_images and dataset.licence.startswith("PAD-UFES-20: CC BY 4.0")
    sides: dict[str, set[str]] = {}
    for patient, side in dataset.examples.values_list("patient_id", "split"):
        sides.setdefault(patient, set()).add(side)
    assert len(sides) == 72 and all(len(each) == 1 for each in sides.values())
    shares = [dataset.examples.filter(split=side).count() / 144 for side in Example.Split.values]
    assert shares == pytest.approx([0.5, 0.1, 0.15, 0.25], abs=0.06)
    example = dataset.examples.first()
    assert example is not None and example.image_type == CLOSE_UP and example.details["itch"] == "True"
    page = page_of(dataset, admin_client)
    assert "10 rows were left out: no photo (10)." in page and "No image shows DF, VASC" in page

    call_command("import_pad_ufes", name="answers", metadata=data_folder / "pad" / "metadata.csv")
    assert "Imported answers: 154 rows (tables only)" in capsys.readouterr().out
    tables = Dataset.objects.get(name="answers")
    assert not tables.has_images and tables.examples.filter(sha256="").count() == 154


def test_photos_that_belong_to_no_row_are_one_clear_sentence(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="One fault in metadata"):
        call_command(
            "import_pad_ufes",
            name="phone",
            metadata=data_folder / "pad" / "metadata.csv",
            images=data_folder / "isic" / "ISIC_2019_Training_Input.zip",
        )
    assert "has no row whose photo is in ISIC_2019_Training_Input.zip" in capsys.readouterr().err
    assert not Dataset.objects.exists()


@needs_phone_photos
def test_the_real_phone_photos(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_pad_ufes", name="phone", metadata=PHONE / "metadata.csv", images=PHONE / "photos.zip")
    dataset = Dataset.objects.get()
    assert dataset.example_count == 424 and dataset.examples.values("patient_id").distinct().count() == 332
    assert "0 images outside training" in capsys.readouterr().out


def test_the_official_test_table_becomes_a_test_set(
    data_folder: Path, tmp_path: Path, admin_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with (data_folder / "isic" / "ISIC_2019_Training_GroundTruth.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    rows[1][1:] = [*["0.0"] * len(CODES), "1.0"]
    write_table(
        tmp_path / "ISIC_2019_Test_GroundTruth.csv",
        [*rows[0], "score_weight", "validation_weight"],
        [[*row, "1.0", "0.0"] for row in rows[1:]],
    )
    arguments = {
        "name": "test",
        "ground_truth": tmp_path / "ISIC_2019_Test_GroundTruth.csv",
        "images": data_folder / "isic" / "ISIC_2019_Training_Input.zip",
    }
    with pytest.raises(CommandError, match="One fault"):
        call_command("import_isic2019", **arguments)
    assert "is labelled UNK" in capsys.readouterr().err
    call_command("import_isic2019", **arguments, leave_out_unmapped=True)
    said = capsys.readouterr().out
    assert "every image is in the test split" in said and "Left out: UNK (1)." in said
    dataset = Dataset.objects.get()
    assert set(dataset.examples.values_list("split", flat=True)) == {Example.Split.TEST}
    assert dataset.example_count == 63
    assert "This is a test set" in page_of(dataset, admin_client)


# --- In the admin ----------------------------------------------------------------------------------------------


def test_the_listing_knows_every_table(made_files: Path) -> None:
    kinds = {each.path: each.kind for each in available_sources()}
    assert kinds == {
        "isic/ISIC_2019_Training_GroundTruth.csv": "ground-truth",
        "isic/ISIC_2019_Training_Input.zip": "zip",
        "isic/ISIC_2019_Training_Metadata.csv": "metadata",
        "leave.csv": "csv",
        "links.csv": "lesions",
        "milk/MILK10k_Training_GroundTruth.csv": "ground-truth",
        "milk/MILK10k_Training_Input.zip": "zip",
        "milk/MILK10k_Training_Metadata.csv": "metadata",
        "milk/MILK10k_Training_Supplement.csv": "supplement",
        "pad/metadata.csv": "pad-ufes-20",
        "pad/metadata_without_photos.csv": "pad-ufes-20",
        "pad/photos.zip": "zip",
    }


MILK_FORM = {
    "name": "milk",
    "ground_truth": "milk/MILK10k_Training_GroundTruth.csv",
    "metadata": "milk/MILK10k_Training_Metadata.csv",
    "supplement": "milk/MILK10k_Training_Supplement.csv",
    "images": "milk/MILK10k_Training_Input.zip",
    "split_seed": "2019",
}


def test_the_form_imports_milk10k(admin_client: Client) -> None:
    address = reverse("admin:training_datasetimport_add")
    page = admin_client.get(address)
    found = {each["name"]: each for each in page.context["form"].found_sets()}
    assert {key: found["milk"][key] for key in ("ground_truth", "metadata", "supplement", "images")} == {
        key: MILK_FORM[key] for key in ("ground_truth", "metadata", "supplement", "images")
    }
    assert found["pad metadata"]["images"] == "pad/photos.zip"
    assert found["pad metadata_without_photos"]["images"] == ""
    response = admin_client.post(address, MILK_FORM)
    job = DatasetImport.objects.get()
    assert response.status_code == 302 and job.layout == DatasetImport.Layout.MILK10K
    assert job.supplement == MILK_FORM["supplement"]
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED and job.dataset is not None and job.dataset.example_count == 144
    shown = admin_client.get(response["Location"]).content.decode()
    assert "MILK10k_Training_Supplement.csv" in shown and "MILK10k challenge files" in shown


def test_a_form_with_an_uploaded_table_imports_pad_ufes(made_files: Path, admin_client: Client) -> None:
    upload = SimpleUploadedFile("metadata.csv", (made_files / "pad" / "metadata.csv").read_bytes())
    given = {"name": "phone", "ground_truth_upload": upload, "images": "pad/photos.zip", "split_seed": "2019"}
    assert admin_client.post(reverse("admin:training_datasetimport_add"), given).status_code == 302
    job = DatasetImport.objects.get()
    assert job.layout == DatasetImport.Layout.PAD_UFES
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.dataset is not None and job.dataset.example_count == 144


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"supplement": ""}, "supplement"),
        ({"metadata": ""}, "metadata"),
        ({"ground_truth": "milk/MILK10k_Training_Metadata.csv"}, "ground_truth"),
        ({"ground_truth": "isic/ISIC_2019_Training_GroundTruth.csv"}, "supplement"),
        ({"ground_truth": "pad/metadata.csv"}, "metadata"),
        ({"ground_truth": "pad/metadata.csv", "metadata": ""}, "supplement"),
        ({"supplement_upload": SimpleUploadedFile("x.csv", b"isic_id\n")}, "supplement_upload"),
    ],
)
def test_what_a_layout_needs_and_does_not_have_is_said_at_the_field(
    admin_client: Client, changes: Mapping[str, Any], field: str
) -> None:
    response = admin_client.post(reverse("admin:training_datasetimport_add"), {**MILK_FORM, **changes})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not DatasetImport.objects.exists()


def test_semicolons_are_read_in_uploads_too(made_files: Path, administrator: User) -> None:
    text = (made_files / "isic" / "ISIC_2019_Training_GroundTruth.csv").read_text().replace(",", ";")
    job = request_import(by=administrator, name="made", ground_truth=ContentFile(text.encode(), name="gt.csv"))
    assert job.layout == DatasetImport.Layout.ISIC2019


# --- Joining ---------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(data_folder: Path) -> list[Dataset]:
    isic = data_folder / "isic"
    call_command(
        "import_isic2019",
        name="isic",
        ground_truth=isic / "ISIC_2019_Training_GroundTruth.csv",
        metadata=isic / "ISIC_2019_Training_Metadata.csv",
        images=isic / "ISIC_2019_Training_Input.zip",
    )
    call_command("import_milk10k", **milk10k(data_folder))
    return list(Dataset.objects.order_by("pk"))


def test_data_sets_are_joined_from_a_form(parts: list[Dataset], admin_client: Client) -> None:
    address = reverse("admin:training_datasetimport_join")
    assert address in admin_client.get(reverse("admin:training_dataset_changelist")).content.decode()
    assert "links.csv" in admin_client.get(address).content.decode()
    response = admin_client.post(
        address,
        {
            "name": "union",
            "parts": [part.pk for part in parts],
            "same_lesion": "links.csv",
            "leave_out": "leave.csv",
        },
    )
    job = DatasetImport.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("admin:training_datasetimport_change", args=[job.pk])
    assert job.layout == DatasetImport.Layout.JOINED and list(job.parts.order_by("pk")) == parts
    waiting = admin_client.get(response["Location"]).content.decode()
    assert "Joined data sets" in waiting and "links.csv" in waiting and "Made of" in waiting
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED, job.failure_detail
    union = job.dataset
    assert union is not None
    assert not union.examples.filter(lesion_id__endswith="IL_1000001").exists()
    assert set(union.examples.values_list("image_type", flat=True)) == {DERMOSCOPIC, CLOSE_UP}
    page = page_of(union, admin_client)
    assert "Joined of: isic (64), milk (144)." in page
    assert "Of 1 lesions with two ids, 1 are in these data sets under both" in page
    assert "named in the file of lesions to leave out: IL_1000001." in page
    assert "0 after." in page and "shared with isic, milk" in page
    part = page_of(parts[0], admin_client)
    assert "Joined data sets that use it:" in part and "union" in part
    refused = admin_client.post(reverse("admin:training_dataset_delete", args=[parts[0].pk]), {"post": "yes"})
    assert refused.status_code == 302 and Dataset.objects.count() == 3
    admin_client.post(reverse("admin:training_dataset_delete", args=[union.pk]), {"post": "yes"})
    with DatasetPictures(parts[0]) as pictures:
        assert len(pictures) == 64


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "isic"}, "name"),
        ({"parts": []}, "parts"),
        ({"parts": "first"}, "parts"),
        ({"parts": [987654]}, "parts"),
        ({"same_lesion": "leave.csv"}, "same_lesion"),
        ({"same_lesion": "../secret.csv"}, "same_lesion"),
        ({"leave_out": "links.csv"}, "leave_out"),
        ({"same_lesion_upload": SimpleUploadedFile("x.csv", b"a,b\n")}, "same_lesion_upload"),
    ],
)
def test_bad_joins_come_back_with_the_reason_at_the_field(
    admin_client: Client, changes: Mapping[str, Any], field: str
) -> None:
    parts = [
        Dataset.objects.create(name=name, fingerprint=name[0] * 64, example_count=0).pk for name in ("isic", "milk")
    ]
    given = {"name": "union", "parts": parts, **changes}
    if given["parts"] == "first":
        given["parts"] = parts[:1]
    response = admin_client.post(reverse("admin:training_datasetimport_join"), given)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not DatasetImport.objects.exists()


def test_a_part_is_kept_while_it_is_being_joined(administrator: User) -> None:
    parts = [Dataset.objects.create(name=name, fingerprint=name * 64, example_count=0) for name in ("a", "b")]
    with pytest.raises(JobRejected, match="at least two"):
        request_join(by=administrator, name="union", parts=[parts[0], parts[0]])
    job = request_join(by=administrator, name="union", parts=parts)
    with pytest.raises(DatasetInUse, match="being joined"):
        delete_dataset(dataset=parts[0], by=administrator)
    DatasetImport.objects.filter(pk=job.pk).update(status=Job.Status.CANCELLED, finished="2026-01-01T00:00Z")
    delete_dataset(dataset=parts[0], by=administrator)
    assert list(job.parts.all()) == parts[1:]


@pytest.mark.parametrize("role", [None, Role.PATIENT, Role.CLINICIAN])
def test_only_administrators_join(client: Client, role: Role | None) -> None:
    if role is not None:
        client.force_login(
            User.objects.create_user("other@example.org", "correct horse battery", role=role),
            backend="allauth.account.auth_backends.AuthenticationBackend",
        )
    response = client.post(reverse("admin:training_datasetimport_join"), {"name": "union"})
    assert response.status_code == 302 and "login" in response["Location"]
