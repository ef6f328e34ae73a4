"""The viewer in a real browser: what a person would try."""

import json

import pytest
from viewing import NODE, until

PHONE = {'width': 390, 'height': 844}
WAIT_MS = 120_000
# Mean difference of red and blue in the picture's left- and rightmost tenth.
COLOURFULNESS = """() => {
  const canvas = document.getElementById('picture'), width = canvas.width / 10;
  const mean = (x) => {
    const {data} = canvas.getContext('2d').getImageData(x, 0, width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += Math.abs(data[i] - data[i + 2]);
    return sum / (data.length / 4);
  };
  return {left: mean(0), right: mean(canvas.width - width)};
}"""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(name='page')
def _page(browser, viewer_url):
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    page.set_default_timeout(WAIT_MS)
    page.goto(viewer_url)
    page.wait_for_selector('#picture[data-stamp]')
    yield page
    page.close()


def _stamp(page) -> str:
    return page.get_attribute('#picture', 'data-stamp')


def _pixels(page) -> str:
    return page.evaluate("() => document.getElementById('picture').toDataURL()")


def _legend(page) -> set[str]:
    return set(page.eval_on_selector_all('#legend li', 'all => all.map(i => i.dataset.name)'))


def _set(page, name: str, value: str) -> None:
    field = page.locator(f'[data-parameter="{name}"]')
    field.fill(value)
    field.press('Tab')


def test_picture_moves_and_the_legend_names_classes(page):
    stamp, pixels = _stamp(page), _pixels(page)
    until(lambda: _stamp(page) != stamp and _pixels(page) != pixels, 'another picture')
    assert _legend(page) == {'road', 'car'}
    assert '%' in page.inner_text('#legend')
    assert page.inner_text('#node') == NODE


def test_rate_and_latency_come_as_figures_and_plots(page):
    page.wait_for_selector('#rate polyline', state='attached')
    page.wait_for_selector('#latency polyline', state='attached')
    assert 'Hz' in page.inner_text('#rate')
    assert 'ms' in page.inner_text('#latency')


@pytest.mark.parametrize('mode', ['labels', 'confidence', 'instances'])
def test_another_picture_can_be_chosen(page, mode):
    page.check('#freeze')
    overlay = _pixels(page)
    page.uncheck('#freeze')
    page.click(f'[data-mode={mode}]')
    page.wait_for_selector(f'#picture[data-mode={mode}]')
    assert _pixels(page) != overlay


def test_a_click_tells_class_confidence_and_mask(page):
    page.check('#freeze')
    size = page.locator('#picture').bounding_box()
    page.click('#picture', position={'x': size['width'] - 9, 'y': 30})
    until(lambda: 'Mask' in page.inner_text('#pixel'), 'an answer to the click')
    text = page.inner_text('#pixel')
    assert text.startswith('car (id 2), confidence 80 %')
    assert 'Mask 1: car 75 %' in text
    assert page.locator('#outline path').get_attribute('d').startswith('M')
    page.click('#picture', position={'x': 9, 'y': 30})
    until(lambda: 'In no mask' in page.inner_text('#pixel'), 'an answer to the second click')


def test_a_live_setting_changes_the_picture_and_the_answer_is_shown(page):
    page.locator('[data-parameter="vote.keep_dense"]').uncheck()
    page.wait_for_selector('#answers .good')
    until(lambda: 'unlabelled' in _legend(page), 'pixels in no mask lose their label')
    page.locator('[data-parameter="vote.keep_dense"]').check()
    until(lambda: 'unlabelled' not in _legend(page), 'and get it back')


def test_a_refused_value_is_shown_with_the_reason(page):
    _set(page, 'masks.confidence', '7')
    page.wait_for_selector('#answers .bad')
    assert 'refused masks.confidence = 7' in page.inner_text('#answers')
    assert 'out of range' in page.inner_text('#answers')
    shown = page.locator('[data-parameter="masks.confidence"]')
    until(lambda: float(shown.input_value()) < 1, 'the value that the node has')


def test_a_new_vocabulary_changes_the_legend(page):
    page.fill('#names', 'lawn, flower bed, person | pedestrian')
    page.click('#vocabulary button')
    page.wait_for_selector('#answers .good')
    until(lambda: _legend(page) == {'lawn', 'person'}, 'the new names')
    page.fill('#names', 'road, car | van')
    page.click('#vocabulary button')
    until(lambda: _legend(page) == {'road', 'car'}, 'the old names')


def test_a_malformed_vocabulary_is_refused_and_changes_nothing(page):
    page.fill('#names', 'road,, car')
    page.click('#vocabulary button')
    page.wait_for_selector('#answers .bad')
    assert 'has an empty name' in page.inner_text('#answers')
    assert _legend(page) == {'road', 'car'}


def test_a_search_shows_what_is_found_where_it_is(page, node):
    page.fill('#sought', 'wet floor')
    page.click('#search button[type=submit]')
    until(lambda: 'wet floor 75 % (mask 1)' in page.inner_text('#found'), 'the answer')
    page.wait_for_selector('#picture[data-mode=found]')
    assert node.node.query == 'wet floor'
    page.check('#freeze')
    glow = page.evaluate(COLOURFULNESS)
    assert glow['right'] > 20 > glow['left'], 'the mask glows, all else is grey'
    page.uncheck('#freeze')
    page.fill('#sought', 'nonsense')
    page.click('#search button[type=submit]')
    until(lambda: 'Nothing here is nonsense' in page.inner_text('#found'), 'an empty answer')
    assert 'likeliest mask: 12 %' in page.inner_text('#found')
    page.click('#forget')
    until(lambda: node.node.query == '' and page.inner_text('#found') == '', 'the end of it')
    page.wait_for_selector('#picture[data-mode=overlay]')


def test_words_that_cannot_be_looked_for_are_refused_with_the_reason(page, node):
    page.fill('#sought', 'mug,, cup')
    page.click('#search button[type=submit]')
    page.wait_for_selector('#answers .bad')
    assert 'query entry 2' in page.inner_text('#answers')
    assert node.node.query == ''


def test_a_search_ends_with_the_page(browser, viewer_url, node):
    page = browser.new_page()
    page.goto(viewer_url)
    page.wait_for_selector('#picture[data-stamp]', timeout=WAIT_MS)
    page.fill('#sought', 'wet floor')
    page.click('#search button[type=submit]')
    until(lambda: node.node.query == 'wet floor', 'the node hears it')
    page.close()
    until(lambda: node.node.query == '', 'nobody looks for it any more')


def test_what_needs_a_restart_is_offered_one(page, node):
    page.click('text=Settings that need a restart')
    _set(page, 'threads', '2')
    page.wait_for_selector('#answers .bad')
    assert 'while models are loaded' in page.inner_text('#answers')
    page.click('text=Restart the node with it')
    until(lambda: node.node.parameters.current.threads == 2, 'the new value')
    page.wait_for_selector('#state.active')


def test_the_node_can_be_stopped_and_started(page):
    page.click('#stop')
    page.wait_for_selector('#state.inactive')
    page.click('#start')
    page.wait_for_selector('#state.active')
    stamp = _stamp(page)
    until(lambda: _stamp(page) != stamp, 'pictures again')


def test_a_phone_needs_no_scrolling_sideways(browser, viewer_url):
    page = browser.new_page(viewport=PHONE, device_scale_factor=2, has_touch=True)
    page.goto(viewer_url)
    page.wait_for_selector('#picture[data-stamp]', timeout=WAIT_MS)
    page.wait_for_selector('[data-parameter]', state='attached')
    assert page.evaluate('() => document.documentElement.scrollWidth') <= PHONE['width']
    assert page.locator('#picture').bounding_box()['width'] > 0.85 * PHONE['width']
    page.close()


def test_the_page_takes_nothing_from_elsewhere_and_reports_no_error(browser, viewer_url):
    page = browser.new_page()
    asked, problems = [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('console', lambda message: problems.append(message.text))
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.goto(viewer_url)
    page.wait_for_selector('#picture[data-stamp]', timeout=WAIT_MS)
    assert asked and all(url.startswith((viewer_url, 'data:', 'blob:')) for url in asked)
    assert not problems, json.dumps(problems)
    page.close()


def test_the_node_has_no_subscriber_while_nobody_watches(browser, viewer_url, node):
    until(lambda: node.subscribers() == 0, 'no subscriber before')
    page = browser.new_page()
    page.goto(viewer_url)
    until(lambda: node.subscribers() == 5, 'one for each topic while a page is open')
    page.close()
    until(lambda: node.subscribers() == 0, 'no subscriber after')
