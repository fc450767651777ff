# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Use the review page in a browser, as a user does."""
import csv
import re
import shutil

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_afa.apis import OutputFolder, Photo
from mmseg_afa.apis.output_folder import SHEET

CLASSES = ('background', '<b>cat</b>', 'dog')
PALETTE = [[0, 0, 0], [220, 20, 60], [0, 90, 250]]
ODD = '</script><script>document.title="run"</script>'
NAMES = [f'sub/{i:03}' for i in range(297)] + [ODD, 'ü, "q"', '__proto__']
NUMBER = len(NAMES)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Write 300 photos and masks; the last ones are the most doubtful.

    Each tenth photo has the tag dog, and its mask does not show a dog.
    """
    root = tmp_path_factory.mktemp('review')
    folder = OutputFolder(root / 'out', dict(sources=['seg'], confidence=True),
                          CLASSES, PALETTE)
    rng, photos = np.random.default_rng(0), []
    for i, name in enumerate(NAMES):
        path = root / f'{i}.jpg'
        pixels = rng.integers(256, size=(3, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 30)).save(path)
        photos.append(Photo(name, str(path)))
        mask = torch.zeros(1, 30, 40, dtype=torch.uint8)
        mask[:, 5:20, 8:30], mask[:, 25:] = 1, 255
        sample = SegDataSample()
        sample.seg_mask = PixelData(data=mask)
        share = torch.linspace(1 - i / 600, 1 - i / 300, 40).expand(1, 30, 40)
        sample.seg_confidence = PixelData(data=share)
        tags = ['dog'] if i % 10 == 0 else [CLASSES[1]]
        folder.add(photos[-1], sample, tags)
    return folder, photos


@pytest.fixture(scope='module')
def path(folder):
    page, sheet = folder[0].write_review(folder[1], NUMBER)
    assert Image.open(sheet).height < 400 * SHEET
    return page


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api')
    chromium = shutil.which('chromium') or pytest.skip('without chromium')
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=chromium, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    """Open windows that share marks; no error and no request may occur."""
    context = browser.new_context(
        viewport=dict(width=1280, height=800), accept_downloads=True)
    problems = []
    context.on('console', lambda line: problems.append(line.text))
    context.on('weberror', lambda error: problems.append(str(error.error)))
    context.on(
        'request', lambda request: problems.append(request.url)
        if not request.url.startswith(('data:', 'file:', 'blob:')) else None)
    yield context
    context.close()
    assert not problems


def open_page(context, path):
    page = context.new_page()
    page.goto(path.as_uri())
    return page


def read_decisions(page):
    with page.expect_download() as download:
        page.click('text=Save decisions.csv')
    assert download.value.suggested_filename == 'decisions.csv'
    with open(download.value.path(), encoding='utf-8', newline='') as file:
        return list(csv.reader(file))


def names(page, count):
    """Read the names of the next photos."""
    found = []
    for _ in range(count):
        found.append(page.inner_text('#name'))
        page.keyboard.press('ArrowRight')
    return found


def test_order_and_marks(context, path):
    page = open_page(context, path)
    assert page.title() == 'Review of masks'  # no script of a name ran
    # first those that contradict their tags
    assert names(page, 3) == ['sub/290', 'sub/280', 'sub/270']
    page.keyboard.press('ArrowLeft')
    page.keyboard.press('ArrowLeft')
    assert page.inner_text('#facts') == '2 of 300, doubt 1.70. 0 of 300 are ' \
        'marked.'
    page.keyboard.press('2')  # and on to the next
    assert page.inner_text('#name') == 'sub/270'
    page.keyboard.press('3')
    page.keyboard.press('1')
    page.keyboard.press('ArrowLeft')
    page.keyboard.press('1')  # again: no mark
    page.select_option('#mark', 'no mark')
    page.select_option('#class', CLASSES[1])
    page.select_option('#reason', '')
    page.keyboard.press('ArrowLeft')
    page.select_option('#class', '')
    page.select_option('#mark', '')
    for _ in range(300):
        page.keyboard.press('ArrowLeft')
    for _ in range(30):
        page.keyboard.press('ArrowRight')
    for name, key in zip(reversed(NAMES[-3:]), '123'):
        assert page.inner_text('#name') == name
        page.keyboard.press(key)
    page.close()

    page = open_page(context, path)  # the marks are still there
    assert '5 of 300 are marked' in page.inner_text('#facts')
    cat = CLASSES[1]
    assert read_decisions(page) == [
        ['photo', 'mark', 'tags', 'mask'],
        ['sub/280', 'wrong mask', 'dog', 'seg/sub/280.png'],
        ['sub/270', 'wrong tags', 'dog', 'seg/sub/270.png'],
        ['__proto__', 'good', cat, 'seg/__proto__.png'],
        ['ü, "q"', 'wrong mask', cat, 'seg/ü, "q".png'],
        [ODD, 'wrong tags', cat, f'seg/{ODD}.png']
    ]


def test_filters(context, path):
    page = open_page(context, path)
    reasons = page.locator('#reason option').all_inner_texts()
    assert reasons == ['all (300)', 'tag with an empty mask (30)']
    classes = page.locator('#class option').all_inner_texts()
    assert classes == [
        'all (300)', f'{CLASSES[1]} (300)', 'background (300)', 'dog (30)',
        'unsure (300)'
    ]
    page.select_option('#reason', 'tag with an empty mask')
    assert page.inner_text('#facts').startswith('1 of 30, ')
    page.select_option('#mark', 'no mark')
    page.keyboard.press('1')  # leaves the filter; the next one is shown
    assert page.inner_text('#facts').startswith('1 of 29, ')
    assert page.inner_text('#name') == 'sub/280'
    page.select_option('#mark', 'good')
    assert page.inner_text('#name') == 'sub/290'
    page.keyboard.press('1')
    assert page.is_visible('text=No photo passes the filters.')
    page.keyboard.press('2')
    page.select_option('#mark', '')
    assert read_decisions(page)[1:] == []


def pixel(page, x, y):
    """Read the colour at a share of the photo's width and height."""
    page.evaluate('Promise.all([...document.images].filter(image => '
                  '!image.hidden).map(image => image.decode()))')
    box = page.locator('#stage').bounding_box()
    width, height = box['width'] - 32, box['height'] - 32
    width, height = min(width, height * 4 / 3), min(height, width * 3 / 4)
    shot = Image.open(page.screenshot(path='shot.png') and 'shot.png')
    return shot.convert('RGB').getpixel(
        (round(box['width'] / 2 + (x - .5) * width),
         round(box['height'] / 2 + (y - .5) * height)))


def test_layers(context, path):
    page = open_page(context, path)
    page.fill('#opacity', '1')
    assert pixel(page, .5, .4) == tuple(PALETTE[1])
    assert pixel(page, .5, .95) == (224, 224, 192)  # unsure
    shown = pixel(page, .1, .1)  # the background is not painted
    assert page.is_hidden('#scale')
    page.keyboard.press('c')
    assert page.is_visible('#scale')
    left = pixel(page, .02, .5)
    page.keyboard.press('p')
    assert pixel(page, .1, .1) == pytest.approx(shown, abs=9)
    assert pixel(page, .5, .4) != tuple(PALETTE[1])
    # One scale for all photos: the last one of this order is certain.
    page.keyboard.press('c')
    page.locator('#opacity').blur()  # whose arrows move it
    for _ in range(NUMBER):
        page.keyboard.press('ArrowRight')
    assert page.inner_text('#name') == 'sub/001'
    assert pixel(page, .02, .5) == (253, 231, 37) != left  # end of viridis


def test_without_confidence(folder, context, tmp_path):
    plain = OutputFolder(tmp_path, dict(sources=['seg']), CLASSES, PALETTE)
    shutil.copytree(folder[0].path / 'seg', tmp_path / 'seg')
    path, _ = plain.write_review(folder[1], 2)
    page = open_page(context, path)
    assert page.locator('#layers button').count() == 2
    assert len(re.findall('class="images"', path.read_text())) == 2
