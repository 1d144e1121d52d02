"""New versions with photos: only with consent and a confirmed diagnosis, never in the test split."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from accounts.permissions import NotAllowed
from accounts.services import set_training_consent
from diagnoses.lesions.models import Lesion
from diagnoses.personal_data.erasure import erase_account
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import delete_photo
from diagnoses.readings.findings import record_finding
from recognition.datasets.problems import ExamplesError
from recognition.sandbox import content_hash, read_image
from tests.factories import made_photo
from tests.training.run_factories import made_dataset
from training.data.archive import DatasetPictures
from training.data.import_errors import DatasetImportError
from training.data.reading import read_sealed
from training.data.versions import add_confirmed_photos
from training.models import Dataset, DatasetImport, Example, Job
from training.services.imports import request_version_with_photos
from training.services.jobs import JobRejected
from training.worker.importing import run_import_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    # The rows are in the transaction of the test, where the heartbeat thread does not see them.
    settings.TRAINING_LEASE = timedelta(hours=1)
    monkeypatch.setattr("training.data.exploration.draw", lambda _section: None)


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", role=Role.ADMINISTRATOR)


@pytest.fixture
def clinician(db: None) -> User:
    return User.objects.create_user("clinician@example.org", role=Role.CLINICIAN)


@pytest.fixture
def dataset(db: None) -> Dataset:
    return made_dataset("first", per_diagnosis=10)


MakePatient = Callable[..., User]
MakePhoto = Callable[..., Photo]


@pytest.fixture
def patient(db: None) -> MakePatient:
    def make(name: str, *, consents: bool = True) -> User:
        user = User.objects.create_user(f"{name}@example.org")
        return set_training_consent(user=user, given=consents, by=user)

    return make


@pytest.fixture
def photo(clinician: User) -> MakePhoto:
    """A photo with real pixels and, unless `diagnosis` is empty, a finding."""

    def make(
        owner: User, seed: int, *, diagnosis: str = "MEL", source: str = "histopathology", content: bytes = b"",
        **fields: Any,
    ) -> Photo:  # fmt: skip
        data = content or made_photo(diagnosis or "NV", seed)
        key = uuid.uuid4()
        made = Photo.objects.create(
            id=key,
            owner=owner,
            image=default_storage.save(f"photos/{key.hex}/photo.jpg", ContentFile(data)),
            thumbnail=default_storage.save(f"photos/{key.hex}/thumbnail.jpg", ContentFile(data)),
            width=450,
            height=338,
            sha256=f"{seed:064x}",
            original_sha256=f"{seed + 10_000:064x}",
            original_format="JPEG",
            content_hash=content_hash(read_image(data)),
            **fields,
        )
        if diagnosis:
            record_finding(photo=made, by=clinician, diagnosis=diagnosis, source=source)
        return made

    return make


def add(dataset: Dataset, tmp_path: Path, *, name: str = "second", by: User | None = None) -> Dataset:
    work = tmp_path / uuid.uuid4().hex
    work.mkdir()
    return add_confirmed_photos(dataset=dataset, name=name, by=by, work=work)


def test_only_confirmed_photos_of_people_who_agreed(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path, administrator: User
) -> None:
    agreed, silent, gone = patient("agreed"), patient("silent", consents=False), patient("gone")
    wanted = photo(agreed, 900, age_approx=61, sex="female", anatom_site_general="head/neck")
    photo(agreed, 901, diagnosis="")  # nobody confirmed it
    photo(silent, 902)  # never agreed
    photo(gone, 903)
    User.objects.filter(pk=gone.pk).update(is_active=False)

    later = add(dataset, tmp_path, by=administrator)
    added = later.examples.filter(photo__isnull=False)
    assert list(added.values_list("photo", flat=True)) == [wanted.pk]
    example = added.get()
    assert (example.diagnosis, example.age_approx, example.sex) == ("MEL", 61, "female")
    assert example.split in {"train", "validation", "calibration"}
    assert later.previous == dataset and later.created_by == administrator
    assert later.report["added"]["photos"] == 1 == later.report["added"]["patients"]
    assert later.report["added"]["findings"] == {example.image: "histopathology"}
    # A patient's photo is private, so uploads of others are not matched with it.
    assert not KnownImage.objects.filter(image=example.image).exists()

    sealed = read_sealed(later)
    with sealed.pictures as pictures, default_storage.open(str(wanted.image)) as stored:
        assert pictures.content(example.image) == stored.read()


def test_the_old_split_stays_and_with_it_the_test_fingerprint(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    for number in range(6):
        photo(patient(f"p{number}"), 900 + number, diagnosis="BCC")
    later = add(dataset, tmp_path)
    before = dict(dataset.examples.values_list("image", "split"))
    after = dict(later.examples.values_list("image", "split"))
    assert {image: after[image] for image in before} == before
    assert later.example_count == len(before) + 6
    first = read_sealed(dataset)
    first.pictures.close()
    assert later.test_fingerprint == first.split.test_fingerprint
    assert sum(later.report["split"]["leakage"]["ours"].values()) == 0
    # The archives of the first version are shared, not copied.
    assert set(dataset.examples.values_list("archive", flat=True)) < set(
        later.examples.values_list("archive", flat=True)
    )


def test_photos_of_one_patient_stay_on_one_side(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    people = [patient(f"p{number}") for number in range(5)]
    for number in range(20):
        photo(people[number % 5], 900 + number, diagnosis=("MEL", "NV")[number % 2])
    later = add(dataset, tmp_path)
    for person in people:
        own = Photo.objects.filter(owner=person).values_list("pk", flat=True)
        assert later.examples.filter(photo__in=own).values_list("split", flat=True).distinct().count() == 1


def test_pictures_that_are_there_already_are_left_out(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    owner = patient("owner")
    first = photo(owner, 900)
    with default_storage.open(str(first.image)) as stored:
        photo(owner, 901, content=stored.read())
    later = add(dataset, tmp_path)
    assert later.report["added"]["photos"] == 1
    assert later.report["added"]["left_out"] == {"the same picture is in the data set already": 1}


def test_a_lesion_confirmed_as_two_things_is_left_out(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    owner = patient("owner")
    spot = Lesion.objects.create(owner=owner, name="left arm")
    photo(owner, 900, diagnosis="MEL", lesion=spot)
    photo(owner, 901, diagnosis="NV", lesion=spot)
    photo(owner, 902, diagnosis="BKL")
    later = add(dataset, tmp_path)
    assert later.report["added"]["photos"] == 1
    assert "different diagnoses" in str(later.report["added"]["left_out"])


def test_the_next_version_leaves_out_withdrawn_photos(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    stays, leaves = patient("stays"), patient("leaves")
    kept, withdrawn = photo(stays, 900), photo(leaves, 901)
    second = add(dataset, tmp_path)
    assert set(second.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == {kept.pk, withdrawn.pk}
    set_training_consent(user=leaves, given=False, by=leaves)
    fresh = photo(stays, 902)
    third = add(second, tmp_path, name="third")
    assert set(third.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == {kept.pk, fresh.pk}
    assert third.examples.get(photo=kept.pk).split == second.examples.get(photo=kept.pk).split


def test_a_withdrawal_on_the_page_and_an_erased_account_keep_all_photos_of_a_person_out(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    stays, withdraws, erases = patient("stays"), patient("withdraws"), patient("erases")
    kept = photo(stays, 900)
    gone = {photo(owner, seed).pk for seed, owner in enumerate((withdraws, withdraws, erases, erases), start=901)}
    second = add(dataset, tmp_path)
    assert gone < set(second.examples.values_list("photo", flat=True))
    browser = Client()
    browser.force_login(withdraws)
    browser.post(reverse("account-privacy"), {"purpose": "training", "action": "withdraw"})
    photo(withdraws, 905)  # confirmed after the withdrawal
    assert erase_account(user=erases, by=erases)
    fresh = photo(stays, 906)
    third = add(second, tmp_path, name="third")
    held = set(third.examples.filter(photo__isnull=False).values_list("photo", flat=True))
    assert held == {kept.pk, fresh.pk}
    # Sealed versions do not change.
    assert gone < set(second.examples.values_list("photo", flat=True))


@pytest.mark.parametrize("changed", [{"role": Role.CLINICIAN}, {"role": Role.ADMINISTRATOR}, {"is_active": False}])
def test_only_photos_of_active_patients_are_in_a_version(
    changed: dict[str, Any], dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    """Photos of accounts that are not active patients stay out, whether added before or confirmed since."""
    stays, other = patient("stays"), patient("other")
    kept, before = photo(stays, 900), photo(other, 901)
    second = add(dataset, tmp_path)
    assert set(second.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == {kept.pk, before.pk}
    User.objects.filter(pk=other.pk).update(**changed)
    photo(other, 902)
    fresh = photo(stays, 903)
    third = add(second, tmp_path, name="third")
    assert set(third.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == {kept.pk, fresh.pk}


def test_a_version_may_only_leave_photos_out(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    stays, leaves = patient("stays"), patient("leaves")
    kept, _withdrawn = photo(stays, 900), photo(leaves, 901)
    second = add(dataset, tmp_path)
    with pytest.raises(DatasetImportError, match="No photo can be added"):
        add(second, tmp_path, name="the same again")
    set_training_consent(user=leaves, given=False, by=leaves)
    third = add(second, tmp_path, name="third")
    assert list(third.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == [kept.pk]
    assert third.example_count == second.example_count - 1
    assert third.report["added"]["photos"] == 0
    assert "consent withdrawn" in str(third.report["added"]["left_out"])
    with DatasetPictures(third) as pictures:
        assert pictures.picture(f"TERI_{kept.pk.hex}").mode == "RGB"


def test_with_nothing_to_add_no_version_is_made(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetImportError, match="No photo can be added"):
        add(dataset, tmp_path)
    assert Dataset.objects.count() == 1


def test_consent_is_the_persons_own(administrator: User, patient: MakePatient) -> None:
    person = patient("person", consents=False)
    with pytest.raises(NotAllowed):
        set_training_consent(user=person, given=True, by=administrator)
    person.refresh_from_db()
    assert person.training_consent is None
    when = timezone.now()
    set_training_consent(user=person, given=True, by=person)
    given = User.objects.get(pk=person.pk).training_consent
    assert given is not None
    assert given >= when


def test_patients_who_are_held_out_test_classifiers_and_are_never_learned(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    people = [patient(f"p{number}") for number in range(6)]
    for number in range(12):
        photo(people[number % 6], 900 + number, diagnosis=("MEL", "NV")[number % 2])
    call_command("hold_out_photos", name="local test", share=0.5)
    held = Dataset.objects.get(name="local test")
    assert set(held.examples.values_list("split", flat=True)) == {"test"} and held.example_count == 6
    assert held.report["added"]["patients"] == 3 and held.report["added"]["patients_asked"] == 6
    assert held.examples.values("patient_id").distinct().count() == 3
    chosen = owners(held)
    assert len(chosen) == 3
    sealed = read_sealed(held, needed=("test",))
    sealed.pictures.close()
    assert len(sealed.split.images("test")) == 6
    with pytest.raises(ExamplesError, match="no picture in its train split"):
        read_sealed(held)

    later = add(dataset, tmp_path)
    assert owners(later) == {person.pk for person in people} - chosen
    assert later.report["added"]["left_out"] == {"the patient is held out to test classifiers": 6}
    # Patients of a version were learned from, so the next test set has the same ones and new patients only.
    photo(patient("late"), 950)
    call_command("hold_out_photos", name="again", share=0.5)
    again = Dataset.objects.get(name="again")
    assert owners(again) < chosen and len(owners(again)) == 2
    assert again.report["added"]["left_out"] == {"a data set for training holds photos of the patient": 6}
    with pytest.raises(CommandError, match="above 0"):
        call_command("hold_out_photos", name="third", share=0.0)


def test_a_patient_stays_held_out_after_they_delete_the_photo(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    owner = patient("held")
    first = photo(owner, 900)
    call_command("hold_out_photos", name="local test", share=1.0)
    delete_photo(photo=first, by=owner)
    photo(owner, 901)
    wanted = photo(patient("other"), 902)
    later = add(dataset, tmp_path)
    assert list(later.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == [wanted.pk]
    assert later.report["added"]["left_out"] == {"the patient is held out to test classifiers": 1}


def test_a_patient_who_was_learned_is_not_held_out_after_they_delete_the_photo(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    owner = patient("learned")
    first = photo(owner, 900)
    second = add(dataset, tmp_path)
    assert second.examples.get(photo=first.pk).patient_id.startswith("TERI_")
    delete_photo(photo=first, by=owner)
    photo(owner, 901)
    with pytest.raises(CommandError, match="holds photos of the patient: 1"):
        call_command("hold_out_photos", name="local test", share=1.0)


def test_examples_without_a_pseudonym_are_told_by_their_photo(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    held, learned = patient("held"), patient("learned")
    photo(held, 900)
    call_command("hold_out_photos", name="local test", share=1.0)
    first = photo(learned, 901)
    second = add(dataset, tmp_path)
    Example.objects.filter(photo__isnull=False).update(patient_id="")
    photo(held, 902)
    fresh = photo(learned, 903)
    third = add(second, tmp_path, name="third")
    own = third.examples.filter(photo__isnull=False)
    assert set(own.values_list("photo", flat=True)) == {first.pk, fresh.pk}
    # The new version names the patient of the earlier photo too.
    assert own.values("patient_id").distinct().count() == 1 and not own.filter(patient_id="").exists()
    call_command("hold_out_photos", name="again", share=1.0)
    assert owners(Dataset.objects.get(name="again")) == {held.pk}


@pytest.mark.parametrize("held_first", [True, False])
def test_a_picture_is_not_both_learned_and_held_out(
    held_first: bool, dataset: Dataset, patient: MakePatient, photo: MakePhoto, tmp_path: Path
) -> None:
    """Another patient's photo is the same picture, also after the first was deleted."""
    owner, other = patient("owner"), patient("other")
    first = photo(owner, 900)
    with default_storage.open(str(first.image)) as stored:
        content = stored.read()
    if held_first:
        call_command("hold_out_photos", name="local test", share=1.0)
    else:
        add(dataset, tmp_path)
    delete_photo(photo=first, by=owner)
    photo(other, 901, content=content)
    wanted = photo(other, 902)
    if held_first:
        later = add(dataset, tmp_path)
    else:
        call_command("hold_out_photos", name="local test", share=1.0)
        later = Dataset.objects.get(name="local test")
    assert list(later.examples.filter(photo__isnull=False).values_list("photo", flat=True)) == [wanted.pk]
    assert later.report["added"]["left_out"] == {"the same picture is on the other side, learned or held out": 1}


def test_without_a_confirmed_photo_nobody_is_held_out(patient: MakePatient, photo: MakePhoto) -> None:
    photo(patient("p"), 900, diagnosis="")
    with pytest.raises(CommandError, match="No patient can be held out"):
        call_command("hold_out_photos", name="local test")
    assert not Dataset.objects.exists()


def owners(dataset: Dataset) -> set[int]:
    photos = dataset.examples.filter(photo__isnull=False).values("photo")
    return set(Photo.objects.filter(pk__in=photos).values_list("owner_id", flat=True))


def test_the_training_worker_makes_the_version(
    dataset: Dataset, patient: MakePatient, photo: MakePhoto, administrator: User
) -> None:
    photo(patient("owner"), 900)
    job = request_version_with_photos(dataset=dataset, name="second", by=administrator)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED and job.dataset is not None
    assert job.dataset.previous == dataset and job.layout == DatasetImport.Layout.CONFIRMED_PHOTOS
    with pytest.raises(JobRejected):
        request_version_with_photos(dataset=dataset, name="second", by=administrator)
