# Copyright (c) mmseg_afa contributors. All rights reserved.
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_afa.datasets import check
from mmseg_afa.datasets.check import (Finding, Record, add_overlap, examine,
                                      fold, min_median_max, open_split)
from .broken_folder import (BROKEN_TRAIN, BROKEN_VAL, CLASSES, TRAIN,
                            write_broken)


@pytest.fixture
def cfg(tmp_path):
    return Config.fromfile(str(write_broken(tmp_path)))


def report_of(split, training=False):
    records = [examine(image, split.rules) for image in split.images()]
    return fold(records, split.rules.classes, split.findings, training)


def kinds(report):
    """The names of each kind, and whether it is fatal."""
    found = {}
    for finding in report.findings:
        found.setdefault((finding.kind, finding.fatal),
                         []).append(finding.name)
    return found


def test_training(cfg):
    split = open_split(cfg.train_dataloader.dataset)
    assert len(split.paths) == 14  # the duplicate and '../cat1' are left out
    report = report_of(split, training=True)
    assert (report.images, report.usable) == (14, 11)
    assert kinds(report) == {
        (check.IMAGE_LIST, True): ['', ''],
        (check.MISSING_IMAGE, True): ['gone'],
        (check.UNREADABLE_IMAGE, True): ['cut'],
        (check.NO_LABELS, True): ['noline'],
        (check.NO_TAGS, False): ['plain'],
        (check.SMALL_IMAGE, False): ['noline', 'tiny'],
        (check.NOT_TAGGED, False): ['untagged'],
        (check.NOT_SHOWN, False): ['unshown'],
        (check.UNSEEN_CLASS, False): [''],
        (check.RARE_CLASS, False): [''],
    }
    assert report.broken() == set(BROKEN_TRAIN)
    assert report.unfixable() == []
    assert report.classes == dict(cat=8, cow=0, dog=3)


def test_sizes(cfg):
    report = report_of(open_split(cfg.train_dataloader.dataset))
    assert report.heights == {30: 1, 31: 1, 40: 9, 60: 1}
    assert report.widths == {
        50: 5,
        51: 1,
        52: 1,
        53: 1,
        54: 1,
        55: 1,
        40: 1,
        33: 1
    }
    assert min_median_max(report.heights) == (30, 40, 60)
    assert min_median_max(report.widths) == (33, 50, 55)


def test_validation(cfg):
    split = open_split(cfg.val_dataloader.dataset)
    report = report_of(split)
    assert (report.images, report.usable) == (5, 2)
    assert kinds(report) == {
        (check.MISSING_MASK, True): ['nomask'],
        (check.WRONG_MASK, True): ['seven'],
        (check.MASK_SIZE, True): ['scaled'],
        # nothing tells how well the network finds dogs
        (check.UNSEEN_CLASS, False): [''],
    }
    assert report.broken() == set(BROKEN_VAL)
    assert '[7]' in report.of_kind(check.WRONG_MASK)[0].message
    assert '(20, 25)' in report.of_kind(check.MASK_SIZE)[0].message
    # 'cat0' has a line in the label file, 'good' is told by its mask
    assert report.classes == dict(cat=2, cow=1, dog=0)


def test_overlap(cfg):
    train = open_split(cfg.train_dataloader.dataset)
    val = open_split(cfg.val_dataloader.dataset)
    report = report_of(val)
    add_overlap(train, val, report)
    assert [f.name for f in report.of_kind(check.OVERLAP)] == ['cat0']
    # the same names in another folder are other images
    cfg.val_dataloader.dataset.data_prefix.img_path = 'masks'
    report = report_of(val)
    add_overlap(train, open_split(cfg.val_dataloader.dataset), report)
    assert report.of_kind(check.OVERLAP) == []


def test_accents_in_either_form(tmp_path):
    (tmp_path / 'JPEGImages').mkdir()
    (tmp_path / 'JPEGImages/e\u0301.jpg').touch()
    (tmp_path / 'labels.txt').write_text('# cat\n\xe9: cat\n', 'utf-8')
    image, = open_split(
        dict(
            type='WeakLabelDataset',
            data_root=str(tmp_path),
            label_file='labels.txt',
            data_prefix=dict(img_path='JPEGImages'))).images()
    assert image.tags == ('cat', )


def test_wrong_masks_to_train_on_are_no_obstacle(cfg):
    cfg.train_dataloader.dataset.ann_file = 'lists/val.txt'
    report = report_of(open_split(cfg.train_dataloader.dataset))
    assert not any(
        finding.fatal for finding in report.findings
        if finding.kind in (check.WRONG_MASK, check.MASK_SIZE))
    assert len(report.of_kind(check.WRONG_MASK)) == 1
    assert len(report.of_kind(check.MASK_SIZE)) == 1
    assert report.of_kind(check.MISSING_MASK) == []


def test_all_wrong_lines_of_the_label_file(tmp_path):
    cfg = Config.fromfile(str(write_broken(tmp_path, unknown_tag=True)))
    split = open_split(cfg.train_dataloader.dataset)
    messages = [finding.message for finding in split.findings]
    path = tmp_path / 'image_labels.txt'
    assert [message.split(': ')[0]
            for message in messages[:2]] == [f'{path}:16', f'{path}:15']
    assert 'stands in line 15 already' in messages[0]
    # all unknown tags in one message
    assert "'dgo': did you mean 'dog'?" in messages[1]
    assert "'caat': did you mean 'cat'?" in messages[1]
    report = report_of(split)
    assert len(report.unfixable()) == 2
    # nothing else is worse for it
    assert (report.images, report.usable) == (14, 11)


def test_a_tag_that_is_no_class_is_a_tag(cfg, tmp_path):
    path = tmp_path / 'image_labels.txt'
    path.write_text(path.read_text().replace('tiny: dog', 'tiny: dgo'))
    report = report_of(open_split(cfg.train_dataloader.dataset))
    assert [f.name for f in report.of_kind(check.NO_TAGS)] == ['plain']
    assert report.classes == dict(cat=8, cow=0, dog=2)


def test_all_images_that_are_not_told_apart(cfg, tmp_path):
    """The others are examined, and can be trained on without these."""
    for name in ('cat0', 'cat1'):
        (tmp_path / f'images/{name}.png').touch()
    with (tmp_path / 'image_labels.txt').open('a') as file:
        file.write('dog.jpg: cow\n')
    split = open_split(cfg.train_dataloader.dataset)
    report = report_of(split)
    assert (report.images, report.usable) == (12, 9)
    messages = [found.message for found in report.of_kind(check.IMAGE_LIST)]
    assert [
        sum(f"'{name}.jpg' and '{name}.png' differ" in message
            for message in messages) for name in ('cat0', 'cat1')
    ] == [1, 1]
    unfixable, = report.unfixable()
    assert unfixable.kind == check.LABEL_FILE
    assert "'dog' and 'dog.jpg' differ only" in unfixable.message


def without_label_file(dataset, root):
    (root / 'image_labels.txt').unlink()


def without_label_file_set(dataset, root):
    dataset.pop('label_file')


def without_class_line(dataset, root):
    path = root / 'image_labels.txt'
    path.write_text(path.read_text().split('\n', 1)[1])


def with_wrong_class_line(dataset, root):
    path = root / 'image_labels.txt'
    path.write_text(path.read_text().replace('# cat,cow', '# cat,cat'))


def without_background(dataset, root):
    dataset.metainfo = dict(classes=CLASSES)


@pytest.mark.parametrize('damage, kind, text', [
    (without_label_file, check.LABEL_FILE, 'no such label file'),
    (without_label_file_set, check.CLASSES, 'needs to know its classes'),
    (without_class_line, check.CLASSES, 'lists no classes'),
    (with_wrong_class_line, check.LABEL_FILE, 'listed twice'),
    (without_background, check.CLASSES, "put 'background' first"),
])
def test_classes(cfg, tmp_path, damage, kind, text):
    """All else is examined nevertheless."""
    dataset = cfg.train_dataloader.dataset
    damage(dataset, tmp_path)
    report = report_of(open_split(dataset))
    assert text in report.of_kind(kind)[0].message
    assert len([f for f in report.unfixable() if f.kind == kind]) == 1
    assert [f.name for f in report.of_kind(check.UNREADABLE_IMAGE)] == ['cut']
    assert report.images == 14


def test_classes_of_a_selection(cfg):
    """Tags of classes that metainfo leaves out are no mistakes."""
    dataset = cfg.train_dataloader.dataset
    dataset.type = 'PascalVOCWeakDataset'
    dataset.metainfo = dict(classes=('background', 'cat'))
    split = open_split(dataset)
    assert split.rules.classes == ('cat', )
    assert report_of(split).classes == dict(cat=8)
    assert not any(f.kind == check.LABEL_FILE for f in split.findings)


@pytest.mark.parametrize('content, text', [('', 'names no image'),
                                           (None, 'no such image list')])
def test_no_images(cfg, tmp_path, content, text):
    path = tmp_path / 'lists/train.txt'
    path.unlink() if content is None else path.write_text(content)
    report = report_of(open_split(cfg.train_dataloader.dataset), training=True)
    assert [f.kind for f in report.findings] == [check.IMAGE_LIST]
    assert text in report.findings[0].message
    assert report.unfixable() == report.findings


def test_a_folder_in_place_of_a_list(cfg):
    dataset = cfg.train_dataloader.dataset
    dataset.ann_file = ''
    assert set(TRAIN) < set(open_split(dataset).paths)
    dataset.data_prefix.img_path = 'nowhere'
    assert 'no such folder' in open_split(dataset).findings[0].message


def test_masks_that_are_loaded_from_nowhere(cfg):
    dataset = cfg.val_dataloader.dataset
    dataset.data_prefix.pop('seg_map_path')
    assert [f.kind
            for f in open_split(dataset).findings] == [check.MASK_FOLDER]
    dataset.pipeline = [dict(type='LoadWeakImage')]
    split = open_split(dataset)
    assert split.findings == []
    assert report_of(split).usable == 5


def test_what_travels_to_processes_is_small(cfg):
    split = open_split(cfg.train_dataloader.dataset)
    record = examine(next(split.images()), split.rules)
    assert len(pickle.dumps(split.rules)) < 1000
    assert len(pickle.dumps(record)) < 1000


names = st.text('abc', max_size=3)
findings = st.builds(Finding, st.sampled_from(check.KINDS), names, names,
                     st.booleans())
records = st.builds(
    Record, names,
    st.none()
    | st.tuples(st.integers(1, 99), st.integers(1, 99)),
    st.lists(st.sampled_from(CLASSES)).map(tuple),
    st.lists(findings, max_size=3).map(tuple))


@given(
    st.lists(records, max_size=20).flatmap(
        lambda listed: st.tuples(st.just(listed), st.permutations(listed))))
def test_order_does_not_matter(orders):
    reports = [fold(order, CLASSES, training=True) for order in orders]
    assert reports[0] == reports[1]
    assert reports[0].images == len(orders[0])
    assert reports[0].usable == sum(not any(f.fatal for f in record.findings)
                                    for record in orders[0])


@given(st.lists(st.integers(0, 20), min_size=1))
def test_min_median_max(numbers):
    low = sorted(numbers)[(len(numbers) - 1) // 2]
    assert min_median_max(Counter(numbers)) == (min(numbers), low,
                                                max(numbers))
    assert low == np.percentile(numbers, 50, method='inverted_cdf')
