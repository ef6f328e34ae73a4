"""Make the picture of the viewer: a browser's screenshot while the demo runs."""

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {'width': 1180, 'height': 760}
WATCHED_MS = 30_000  # until the plots show something
PACKAGE = 'semantic_fast_sam_ros'


def main() -> None:
    """Write viewer.jpg beside this script."""
    program = shutil.which('chromium') or shutil.which('google-chrome')
    if program is None:
        raise SystemExit('chromium is needed (Debian, Ubuntu: apt install chromium)')
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', PACKAGE, 'demo', '--web', '--output', folder]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = next(
                found[1] for line in demo.stdout if (found := re.search(r'(http\S+)', line))
            )
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=program, args=['--no-sandbox']
                )
                shot = screenshot(browser.new_page(viewport=SIZE), url)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()
    target = Path(__file__).with_name('viewer.jpg')
    Image.open(io.BytesIO(shot)).convert('RGB').save(target, quality=85)


def screenshot(page: Page, url: str) -> bytes:
    """Watch for a while, click a pixel, and return what the page shows as PNG."""
    page.goto(url)
    page.wait_for_selector('#picture[data-stamp]', timeout=120_000)
    page.wait_for_timeout(WATCHED_MS)
    page.check('#freeze')
    box = page.locator('#picture').bounding_box()
    page.click('#picture', position={'x': 0.62 * box['width'], 'y': 0.85 * box['height']})
    page.wait_for_selector('#outline path', state='attached')
    return page.screenshot()


if __name__ == '__main__':
    main()
