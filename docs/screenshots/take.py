"""Take the pictures of the README from a running `make run`, with a lesion painted here: no patient, no data set.

.venv/bin/python docs/screenshots/take.py http://127.0.0.1:8000
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 900, 675


def painted_lesion(seed: int = 11) -> bytes:
    """A spot on skin as a dermatoscope might show it, made of noise: a JPEG file."""
    random = np.random.default_rng(seed)

    def clouds(scale: int) -> np.ndarray:
        coarse = random.random((max(2, HEIGHT // scale), max(2, WIDTH // scale)))
        image = Image.fromarray((coarse * 255).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        return np.asarray(image, dtype=float) / 255 - 0.5

    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot((x - WIDTH * 0.52) / 235, (y - HEIGHT * 0.5) / 190)
    edge = distance + 0.32 * clouds(120) + 0.16 * clouds(45)
    inside = np.clip((1.0 - edge) / 0.16, 0, 1)[..., None]
    core = np.clip((0.62 - edge - 0.5 * clouds(70)) / 0.3, 0, 1)[..., None]
    skin = np.array([226, 178, 160]) + (clouds(160)[..., None] * 26) + (clouds(9)[..., None] * 14)
    brown = np.array([150, 92, 62]) + clouds(60)[..., None] * 46 + clouds(10)[..., None] * 34
    dark = np.array([78, 44, 34]) + clouds(14)[..., None] * 30
    pixels = skin * (1 - inside) + (brown * (1 - core) + dark * core) * inside
    vignette = 1 - 0.16 * np.clip(np.hypot((x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / HEIGHT) - 0.3, 0, 1)
    picture = Image.fromarray(np.clip(pixels * vignette[..., None], 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.2)).save(file, "JPEG", quality=92)
    return file.getvalue()


def main(base: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": 1180, "height": 900}, device_scale_factor=1).new_page()
        page.goto(f"{base}/accounts/login/")
        page.fill("input[name=login]", "patient@demo.local")
        page.fill("input[name=password]", "teri-demo")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        page.goto(f"{base}/photos/new/")
        photo = {"name": "left-shoulder.jpg", "mimeType": "image/jpeg", "buffer": painted_lesion()}
        page.set_input_files("input[type=file]", photo)  # type: ignore[arg-type]  # a FilePayload by shape
        page.click("form button[type=submit]:visible >> nth=-1")
        page.wait_for_selector("text=/confidence/i", timeout=60_000)
        page.wait_for_timeout(800)
        page.screenshot(path=HERE / "result.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
