# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A folder of masks that is filled photo by photo, and can be gone on with."""
import json
from pathlib import Path
from typing import Dict, Iterable, Iterator, Optional, Sequence

import numpy as np
from mmseg.structures import SegDataSample
from PIL import Image

from ..datasets.mask_file import encode_mask
from ..utils import replacing
from .photos import Photo
from .records import describe, remarks

SETTINGS, JOURNAL = 'settings.json', 'records.jsonl'


class MaskFolder:
    """Masks as indexed PNGs in ``SOURCE/NAME.png``, their confidence in
    ``SOURCE_confidence/NAME.png``, and a record of each photo.

    A record is written after a photo's files: what has one is whole.

    Args:
        path (Path): The folder; made if it is missing.
        settings (dict): What the masks depend on, as JSON can hold it;
            'sources' among them.
        classes (Sequence[str]): Names of 0..C.
        palette (Sequence): Their colours, [R, G, B].
        with_confidence (bool): Whether to write the confidence.

    Raises:
        ValueError: If the folder holds something else, or masks of other
            settings.
    """

    def __init__(self,
                 path: Path,
                 settings: dict,
                 classes: Sequence[str],
                 palette: Sequence[Sequence[int]],
                 with_confidence: bool = False) -> None:
        self.path, self.classes, self.palette = path, classes, palette
        self.with_confidence = with_confidence
        self.sources = settings['sources']
        settings = dict(settings, classes=list(classes))
        path.mkdir(parents=True, exist_ok=True)
        file = path / SETTINGS
        if file.exists():
            there = json.loads(file.read_text(encoding='utf-8'))
            differing = [
                f'{key} was {there.get(key)!r} and is {value!r}'
                for key, value in settings.items() if there.get(key) != value
            ]
            if differing:
                raise ValueError(
                    f'{path}: holds masks of another run: '
                    f'{"; ".join(differing)}. Choose another --out, or remove '
                    'it.')
        elif any(path.iterdir()):
            raise ValueError(f'{path}: holds files, but none of a run that '
                             'could go on. Choose another --out, or remove '
                             'them.')
        else:
            with replacing(file) as unfinished:
                unfinished.write_text(
                    json.dumps(settings, indent=2) + '\n', encoding='utf-8')
        self._offsets = self._read_journal()

    def _read_journal(self) -> Dict[str, int]:
        """Where the record of each photo begins. What a killed process left
        of a line is cut off."""
        journal, offsets, offset = self.path / JOURNAL, {}, 0
        journal.touch()
        with open(journal, 'rb+') as file:
            for line in file:
                if not line.endswith(b'\n'):
                    file.truncate(offset)
                    break
                offsets[json.loads(line)['photo']] = offset
                offset += len(line)
        return offsets

    def has(self, photo: Photo) -> bool:
        """Whether a photo's masks are there."""
        return photo.name in self._offsets and all(
            self.mask(source, photo.name).exists() for source in self.sources)

    def mask(self, source: str, name: str) -> Path:
        """Where the mask of a photo is."""
        return self.path / source / f'{name}.png'

    def add(self,
            photo: Photo,
            sample: SegDataSample,
            tags: Optional[Sequence[str]] = None) -> None:
        """Write what was predicted of a photo; see
        :meth:`AFAInferencer.stream`."""
        scores = sample.get('pred_image_scores')
        scores = {} if scores is None else {
            name: round(score, 4)
            for name, score in zip(self.classes[1:], scores.tolist())
        }
        entries = {}
        for source in self.sources:
            mask = sample.get(f'{source}_mask').data[0].numpy()
            share = sample.get(f'{source}_confidence').data[0].numpy()
            share = np.rint(share * 255).astype(np.uint8)
            if self.with_confidence:
                self._write_confidence(source, photo.name, share)
            path = self.mask(source, photo.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished:
                unfinished.write_bytes(encode_mask(mask, self.palette))
            shown = describe(mask, share, self.classes)
            entries[source] = dict(
                classes=shown, remarks=remarks(shown, scores, tags))
        record = dict(
            photo=photo.name,
            path=photo.path,
            size=list(mask.shape),
            tags=None if tags is None else list(tags),
            scores=scores,
            sources=entries)
        line = json.dumps(record, ensure_ascii=False) + '\n'
        with open(self.path / JOURNAL, 'ab') as journal:
            offset = journal.tell()
            journal.write(line.encode())
        self._offsets[photo.name] = offset

    def _write_confidence(self, source, name, share) -> None:
        path = self.mask(f'{source}_confidence', name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            Image.fromarray(share).save(unfinished)

    def records(self, photos: Iterable[Photo]) -> Iterator[dict]:
        """The records of the photos that have one, in this order."""
        with open(self.path / JOURNAL, 'rb') as journal:
            for photo in photos:
                if photo.name in self._offsets:
                    journal.seek(self._offsets[photo.name])
                    yield json.loads(journal.readline())
