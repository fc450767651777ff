# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A resumable output folder: masks, a table of statistics, a review sheet."""
import csv
import heapq
import json
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import mmcv
import numpy as np
import torch
from mmseg.structures import SegDataSample

from ..datasets.image_files import is_hidden
from ..datasets.transforms.load_image import LoadWeakImage
from ..utils import UserError, remove_unfinished, replacing
from .photo_mask import (MaskRecord, PhotoMask, class_statistics,
                         inconsistencies, table_rows, uncertainty)
from .photos import Photo

SETTINGS = 'settings.json'
COLUMNS = ('photo', 'source', 'class', 'area', 'confidence', 'score', 'tag',
           'remark')
SIDE = 320  # pixels of a photo on the review sheet
SHEET = 20  # photos on it


class OutputFolder:
    """Write masks to ``SOURCE/NAME.png`` and resume an interrupted run.

    Args:
        path (Path): The folder. It is created where it is missing.
        settings (dict): All that the masks depend on, as JSON can store it:
            'sources' are the sources, and with 'confidence' the confidence
            is written to ``SOURCE_confidence/NAME.png``.
        classes (Sequence[str]): Names of 0..C.
        palette (Sequence): Their colours, [R, G, B].

    Raises:
        UserError: If the folder holds other files, or masks of other settings.
    """

    def __init__(self, path: Path, settings: dict, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]) -> None:
        self.path, self.classes, self.palette = path, classes, palette
        self.with_confidence = settings.get('confidence', False)
        self.sources = settings['sources']
        # as JSON stores it: tuples become lists
        settings = json.loads(
            json.dumps(dict(settings, classes=list(classes))))
        path.mkdir(parents=True, exist_ok=True)
        file = path / SETTINGS
        if file.exists():
            remove_unfinished(path)
            there = json.loads(file.read_text(encoding='utf-8'))
            differing = [
                f'{key} was {there.get(key)!r} and is {value!r}'
                for key, value in settings.items() if there.get(key) != value
            ]
            if differing:
                raise UserError(
                    f'{path}: holds masks of another run. '
                    f'{"; ".join(differing)}. Choose another folder, or '
                    'remove this one.')
        elif any(not is_hidden(file.name) for file in path.iterdir()):
            raise UserError(
                f'{path}: holds files, but no {SETTINGS} of a run to '
                'resume. Choose another folder, or remove the files.')
        else:
            with replacing(file) as unfinished:
                unfinished.write_text(
                    json.dumps(settings, indent=2) + '\n', encoding='utf-8')

    def mask(self, source: str, photo: Photo) -> PhotoMask:
        """Locate the mask of a photo, whether it exists or not."""
        path = self.path / source / f'{photo.name}.png'
        return PhotoMask(photo, path, self.classes, self.palette)

    def masks(self, source: str, photos: Sequence[Photo]) -> List[PhotoMask]:
        """List the masks of a source that exist."""
        masks = (self.mask(source, photo) for photo in photos)
        return [mask for mask in masks if mask.path.exists()]

    def has(self, photo: Photo) -> bool:
        """Tell whether the masks of a photo exist."""
        return all(
            self.mask(source, photo).path.exists() for source in self.sources)

    def remaining(self, photos: Sequence[Photo],
                  batch_size: int) -> List[Photo]:
        """List the photos of all batches that are not complete.

        Each run forms the same batches. So the masks do not depend on where
        a run was interrupted.
        """
        batches = (
            photos[i:i + batch_size]
            for i in range(0, len(photos), batch_size))
        return [
            photo for batch in batches if not all(map(self.has, batch))
            for photo in batch
        ]

    def add(self,
            photo: Photo,
            sample: SegDataSample,
            tags: Optional[Sequence[str]] = None) -> None:
        """Write the masks of a sample of :meth:`AFAInferencer.stream`.

        A mask that exists is kept: somebody may have corrected it.
        """
        scores = {}
        if 'pred_image_scores' in sample:
            values = sample.pred_image_scores.tolist()
            scores = {n: round(s, 4) for n, s in zip(self.classes[1:], values)}
        for source in self.sources:
            if self.mask(source, photo).path.exists():
                continue
            mask = sample.get(f'{source}_mask').data[0].numpy()
            confidence = sample.get(f'{source}_confidence').data[0].numpy()
            confidence = np.rint(confidence * 255).astype(np.uint8)
            if self.with_confidence:
                path = self.mask(f'{source}_confidence', photo).path
                with replacing(path) as unfinished:
                    mmcv.imwrite(confidence, str(unfinished))
            statistics = class_statistics(mask, confidence, self.classes)
            self.mask(source,
                      photo).write(mask, MaskRecord(statistics, scores, tags))

    def write_table(self, photos: Sequence[Photo]) -> Path:
        """Write images.csv, completely or not at all."""
        path = self.path / 'images.csv'
        with replacing(path) as unfinished:
            with open(unfinished, 'w', encoding='utf-8', newline='') as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for photo in filter(self.has, photos):
                    for source in self.sources:
                        record = self.mask(source, photo).record()
                        for row in table_rows(record):
                            writer.writerow([photo.name, source, *row])
        return path

    def write_review(self, photos: Sequence[Photo],
                     number: int) -> Tuple[Path, Path]:
        """Write review.html and review.png of the first source.

        The page has the `number` most uncertain masks, and the picture at
        most the first 20 of these.
        """
        from ..visualization import WeakSegLocalVisualizer, save_picture
        from .review_page import write_review_page
        visualizer = WeakSegLocalVisualizer(alpha=0.65)
        visualizer.dataset_meta = dict(
            classes=self.classes, palette=self.palette)
        source = self.sources[0]
        masks = heapq.nlargest(
            number,
            self.masks(source, photos),
            key=lambda mask: uncertainty(mask.record()))
        page = self.path / 'review.html'
        write_review_page(
            page, masks, (self.path / SETTINGS).read_bytes(),
            self.with_confidence
            and (lambda photo: self.mask(f'{source}_confidence', photo).path))
        masks = masks[:SHEET]
        load, rows = LoadWeakImage(), []
        for mask in masks:
            photo = load(dict(img_path=mask.photo.path))['img']
            photo = mmcv.imrescale(
                mmcv.bgr2rgb(photo), (SIDE, SIDE), interpolation='area')
            label = torch.from_numpy(mask.read())
            row = dict(photo=photo, mask=visualizer.draw_label(photo, label))
            if self.with_confidence:
                share = self.mask(f'{source}_confidence', mask.photo).path
                row['confidence'] = visualizer.draw_heatmap(
                    photo, torch.from_numpy(mmcv.imread(share, 'grayscale')))
            rows.append(row)
        path = self.path / 'review.png'
        sheet = visualizer.draw_sheet(rows, [caption(mask) for mask in masks])
        save_picture(path, sheet)
        return page, path


def caption(mask: PhotoMask) -> str:
    """Describe a mask in one line: name, tags, uncertainty, disagreements."""
    record = mask.record()
    text = Path(mask.photo.path).stem
    if record.tags is not None:
        text += f' [{", ".join(record.tags) or "no tags"}]'
    remarks = '; '.join(f'{name}: {remark}'
                        for name, remark in inconsistencies(record).items())
    return f'{text} {uncertainty(record):.2f} {remarks}'
