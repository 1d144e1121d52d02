"""Take the pictures of the README: a practice made for the purpose, with lesions painted here; no patient, no data set.

In a fresh clone, since the practice stays in its database: `make run` in one terminal, and in another

.venv/bin/python docs/screenshots/take.py http://127.0.0.1:8000

The answers of the practice are made as well, so that every kind of advice is there; the result page alone shows what
the default classifier says of a painted lesion.
"""

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 900, 675
DESKTOP, PHONE = 1180, 390  # CSS pixels
# A phone's page may be long; what is below says nothing more.
TALLEST = {DESKTOP: 1500, PHONE: 1500}
COLOURS = 160  # of a saved picture: no banding on skin, and a third of the bytes
# Seeds of the practice that are one spot growing (tests/journeys/practice.py).
FOLLOWED = range(20, 23)

WORDS = {
    "patient": "Aigerim S.",
    "followed": "Left arm",
    "calm": "Back, right",
    "urgent": "Calf",
    "blind": "Cheek",
    "doctor": "dermatologist",
    "reason": "The border is irregular and the colour uneven.",
    "note": "Please come to the practice this week, so that we can look at the spot with a dermatoscope.",
}
# How brown, red or pale the inside of a painted spot is, by the diagnosis it stands for.
TINTS = {"MEL": (60, 40, 38), "NV": (150, 92, 62), "BCC": (198, 120, 112), "AK": (190, 130, 100), "DF": (160, 96, 90)}


def painted_lesion(seed: int = 11, *, growth: float = 1.0, tint: tuple[int, int, int] = (150, 92, 62)) -> bytes:
    """A spot on skin as a dermatoscope might show it, made of noise: a JPEG file."""
    random = np.random.default_rng(seed)

    def clouds(scale: int) -> np.ndarray:
        coarse = random.random((max(2, HEIGHT // scale), max(2, WIDTH // scale)))
        image = Image.fromarray((coarse * 255).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        return np.asarray(image, dtype=float) / 255 - 0.5

    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot((x - WIDTH * 0.52) / (235 * growth), (y - HEIGHT * 0.5) / (190 * growth))
    edge = distance + 0.32 * clouds(120) + 0.16 * clouds(45)
    inside = np.clip((1.0 - edge) / 0.16, 0, 1)[..., None]
    core = np.clip((0.62 - edge - 0.5 * clouds(70)) / 0.3, 0, 1)[..., None]
    skin = np.array([226, 178, 160]) + (clouds(160)[..., None] * 26) + (clouds(9)[..., None] * 14)
    middle = np.array(tint) + clouds(60)[..., None] * 46 + clouds(10)[..., None] * 34
    dark = np.array(tint) * 0.52 + clouds(14)[..., None] * 30
    pixels = skin * (1 - inside) + (middle * (1 - core) + dark * core) * inside
    vignette = 1 - 0.16 * np.clip(np.hypot((x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / HEIGHT) - 0.3, 0, 1)
    picture = Image.fromarray(np.clip(pixels * vignette[..., None], 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.2)).save(file, "JPEG", quality=92)
    return file.getvalue()


def paint(code: str, seed: int) -> bytes:
    """The picture of the practice for a diagnosis and a seed."""
    if seed in FOLLOWED:
        return painted_lesion(FOLLOWED.start, growth=0.72 + 0.12 * (seed - FOLLOWED.start), tint=TINTS["NV"])
    return painted_lesion(seed, growth=0.9, tint=TINTS[code])


@dataclass(frozen=True)
class Shot:
    """One picture: of which page, for whom, in which language, how wide."""

    name: str
    role: str
    path: str
    width: int = DESKTOP
    language: str = "en"


class Camera:
    """Takes and saves pictures of pages of a running site."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.browser, self.base = browser, base
        self.pages: dict[str, Page] = {}

    def page(self, role: str, email: str, password: str) -> Page:
        """The browser of one person, signed in."""
        if role not in self.pages:
            page = self.browser.new_context(viewport={"width": DESKTOP, "height": 800}).new_page()
            page.goto(f"{self.base}/accounts/login/")
            page.fill("input[name=login]", email)
            page.fill("input[name=password]", password)
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "login" not in url)
            self.pages[role] = page
        return self.pages[role]

    def save(self, page: Page, name: str, width: int) -> None:
        """The page as it is, cut below and with few colours, so that a clone stays small."""
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(image => { image.loading = 'eager' })")
        page.wait_for_load_state("networkidle")
        whole = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        shown = whole.crop((0, 0, whole.width, min(whole.height, TALLEST[width])))
        shown.quantize(COLOURS, dither=Image.Dither.NONE).save(HERE / f"{name}.png", optimize=True)


def main(base: str) -> None:
    """Make the practice and take every picture."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs an event loop in this thread
    sys.path.insert(0, str(ROOT))
    from devtools.local_services import start_missing

    with start_missing(ROOT):
        import django

        django.setup()
        _take_all(base)


def _take_all(base: str) -> None:
    from accounts.models import User
    from diagnoses.classifiers.models import Classifier
    from tests.journeys.practice import PASSWORD, make_practice

    live = Classifier.objects.live()
    assert live is not None
    practice = make_practice(live, paint=paint, words=WORDS)
    people = {
        "patient": practice.patient,
        "clinician": practice.clinicians[0],
        "administrator": practice.administrator,
    }
    spot, photos = practice.spots["followed"].pk, practice.photos
    shots = [
        Shot("spots", "patient", "/spots/"),
        Shot("spots-phone-kk", "patient", "/spots/", PHONE, "kk"),
        Shot("compare", "patient", f"/spots/{spot}/compare/"),
        Shot("upload-phone", "patient", "/photos/new/", PHONE),
        Shot("read-by-clinicians-phone-ru", "patient", f"/photos/{photos['urgent'].pk}/", PHONE, "ru"),
        Shot("worklist", "clinician", "/review/"),
        Shot("reading-blind", "clinician", f"/review/{photos['blind'].pk}/"),
        Shot("reading-revealed", "clinician", f"/review/{photos['revealed'].pk}/"),
        Shot("administration", "administrator", "/admin/"),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        camera = Camera(browser, base)
        for shot in shots:
            person = people[shot.role]
            page = camera.page(shot.role, person.email, PASSWORD)
            User.objects.filter(pk=person.pk).update(language=shot.language)
            page.set_viewport_size({"width": shot.width, "height": 800})
            page.goto(base + shot.path)
            camera.save(page, shot.name, shot.width)
        _take_result(camera, people["patient"].email, PASSWORD)
        browser.close()


def _take_result(camera: Camera, email: str, password: str) -> None:
    """A new photo, sent by hand and answered by the classifier that is live."""
    from accounts.models import User

    User.objects.filter(email=email).update(language="en")
    page = camera.page("patient", email, password)
    page.set_viewport_size({"width": DESKTOP, "height": 800})
    page.goto(f"{camera.base}/photos/new/")
    photo = {"name": "left-shoulder.jpg", "mimeType": "image/jpeg", "buffer": painted_lesion()}
    page.set_input_files("#id_image", photo)  # type: ignore[arg-type]  # a FilePayload by shape
    page.click("[data-send]")
    page.wait_for_selector("[data-stage=predicted]", timeout=120_000)
    page.reload()
    camera.save(page, "result", DESKTOP)
    camera.save(page, "result-phone", PHONE)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
