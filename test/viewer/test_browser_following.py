"""A viewer that was there before its node, and is there after it."""

import pytest
from viewing import ROOT, Process, serving, until

pytest.importorskip('rclpy', reason='rclpy is missing: run scripts/setup')

NODE = '/semantic_fast_sam_late'
WAIT_MS = 120_000
STAND_IN = str(ROOT / 'test' / 'viewer' / 'stand_in.py')


@pytest.mark.timeout(600)
def test_the_page_follows_the_node_coming_and_going(browser, tmp_path):
    with serving(tmp_path / 'log.txt', NODE) as url:
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        page.wait_for_selector('#state.absent')
        until(lambda: f'No node {NODE}' in page.inner_text('#message'), 'what is missing')
        for number in range(2):  # once more, with other publishers of the same names
            running = Process(tmp_path / f'node_{number}.txt', STAND_IN, NODE[1:])
            try:
                running.said('active')
                page.wait_for_selector('#state.active')
                before = page.get_attribute('#picture', 'data-stamp')
                until(
                    lambda seen=before: page.get_attribute('#picture', 'data-stamp') != seen,
                    'pictures of the node',
                )
            finally:
                running.end()
            page.wait_for_selector('#state.absent')
        page.close()
