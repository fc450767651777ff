# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks of photos: predict, refine, export.

Writes DIR/SOURCE/NAME.png, indexed masks of the photos' own sizes, and
DIR/images.csv. Started again, it goes on where it was.
"""
import argparse
import errno
import hashlib
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.config import Config

from mmseg_afa.apis import (AFAInferencer, MaskFolder, Photo, find_photos,
                            read_tags)
from mmseg_afa.apis.formats import FORMATS, PhotoMask
from mmseg_afa.apis.inferencer import LONG_SIDE, named_config, test_pipeline
from mmseg_afa.apis.records import most_doubtful, write_table
from mmseg_afa.apis.review import review_sheet
from mmseg_afa.engine import launch
from mmseg_afa.models import SOURCES
from mmseg_afa.utils import progress
from mmseg_afa.visualization import save_picture


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='the config file, or the name of one that ships')
    add('checkpoint', help='the checkpoint file')
    add('photos',
        nargs='+',
        help='photos, folders, patterns, or text files that list photos')
    add('--out', required=True, type=Path, metavar='DIR', help='the folder')
    add('--list', help='an image list: of the folders, only these photos')
    add('--tags',
        help='a label file: only classes among the tags of a photo get into '
        'its masks, as for pseudo labels')
    add('--source',
        nargs='+',
        default=['seg'],
        choices=SOURCES,
        help='what masks are made of (default: seg, the segmentation)')
    add('--refine',
        default='none',
        choices=['none', 'par', 'crf'],
        help='sharpen masks along edges; labels are refined already')
    add('--tta', action='store_true', help='test-time augmentation')
    add('--unsure',
        type=float,
        default=0.,
        metavar='T',
        help='pixels of a confidence below T, in [0, 1], become 255')
    add('--confidence',
        action='store_true',
        help='also write DIR/SOURCE_confidence/NAME.png, 255 is certain')
    add('--review',
        type=int,
        default=0,
        metavar='N',
        help='draw DIR/review.png of the N most doubtful photos')
    add('--format',
        nargs='+',
        default=['png'],
        choices=['png', *FORMATS],
        help='also export for other tools, to DIR/export')
    add('--instances',
        action='store_true',
        help='coco: connected parts of a class one by one')
    add('--long-side',
        type=int,
        default=LONG_SIDE,
        metavar='PIXELS',
        help='shrink larger photos for the network (default: %(default)s)')
    add('--tile',
        type=int,
        metavar='PIXELS',
        help='predict large photos unshrunk, in tiles of this side')
    add('--batch-size', type=int, default=8, help='photos loaded together')
    add('--device', help='such as cuda:1; by default a GPU if there is one')
    launch.add_cfg_options(parser)
    return parser.parse_args(argv)


def read_options(args: argparse.Namespace) -> Tuple[AFAInferencer, dict]:
    """The inferencer, and the settings that its masks depend on."""
    launch.check_checkpoint(args.checkpoint)
    if Path(args.config).is_file():
        cfg = Config.fromfile(args.config)
    else:
        cfg = named_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    options = dict(
        sources=args.source,
        refiner=launch.refiner_config(cfg, args.refine),
        tta=args.tta,
        long_side=args.long_side,
        tile=args.tile,
        unsure=args.unsure)
    model = hashlib.sha256(
        repr((cfg.model, test_pipeline(cfg))).encode())
    settings = dict(
        options,
        config=f'{Path(args.config).stem} {model.hexdigest()[:12]}',
        checkpoint=hash_file(args.checkpoint),
        tags=args.tags and hash_file(args.tags),
        confidence=args.confidence)
    inferencer = AFAInferencer(
        cfg, args.checkpoint, device=args.device, **options)
    return inferencer, settings


def hash_file(path: str) -> str:
    """What tells a file from another of its name."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(2**20), b''):
            digest.update(block)
    return f'{Path(path).name} {digest.hexdigest()[:12]}'


def remaining(photos: Sequence[Photo], folder: MaskFolder,
              batch_size: int) -> List[Photo]:
    """The photos of the batches that are not complete.

    Batches are the same in every run: what is computed together does not
    depend on where a run was stopped.
    """
    batches = (
        photos[i:i + batch_size] for i in range(0, len(photos), batch_size))
    return [
        photo for batch in batches if not all(map(folder.has, batch))
        for photo in batch
    ]


def predict(inferencer: AFAInferencer, folder: MaskFolder,
            photos: Sequence[Photo], tags: Optional[Dict[str, Tuple[str]]],
            batch_size: int) -> List[str]:
    """Predict photos into a folder.

    Returns:
        list[str]: What is wrong with those that cannot be read.
    """
    todo = remaining(photos, folder, batch_size)
    if len(todo) < len(photos):
        print(f'{len(photos) - len(todo)} of {len(photos)} photos are in '
              f'{folder.path} already.')
    of_path = {photo.path: photo for photo in todo}
    problems = []
    with progress((), 'Photos', len(todo)) as bar:

        def skip(path, error):
            problems.append(str(error))
            bar.write(f'Skipped: {error}', file=sys.stderr)
            bar.update()

        samples = inferencer.stream(
            of_path,
            tags and (lambda path: tags[of_path[path].name]),
            batch_size,
            broken=skip)
        for sample in samples:
            photo = of_path[sample.img_path]
            folder.add(photo, sample, tags and tags[photo.name])
            bar.update()
    return problems


def export(folder: MaskFolder, photos: Sequence[Photo], name: str,
           args: argparse.Namespace) -> None:
    """Write the masks of each source in one of the formats."""
    options = dict(instances=args.instances) if name == 'coco' else {}
    for source in folder.sources:
        masks = [
            PhotoMask(
                record['photo'], record['path'],
                folder.mask(source, record['photo']), tuple(record['size']), {
                    key: value['confidence']
                    for key, value in record['sources'][source]
                    ['classes'].items()
                }) for record in folder.records(photos)
        ]
        path = FORMATS[name](masks, folder.classes,
                             folder.path / 'export' / source, **options)
        print(path)


def run(args: argparse.Namespace) -> List[str]:
    """Do what the options say; what is wrong with photos."""
    photos = find_photos(args.photos, args.list)
    inferencer, settings = read_options(args)
    meta = inferencer.model.dataset_meta
    tags = args.tags and read_tags(args.tags, photos, meta['classes'][1:])
    folder = MaskFolder(args.out, settings, meta['classes'], meta['palette'],
                        args.confidence)
    problems = predict(inferencer, folder, photos, tags or None,
                       1 if args.tile else args.batch_size)
    write_table(args.out / 'images.csv', folder.records(photos))
    if args.review:
        worst = most_doubtful(
            folder.records(photos), args.source[0], args.review)
        sheet = args.out / 'review.png'
        save_picture(sheet, review_sheet(folder, worst, args.source[0]))
        print(sheet)
    for name in args.format:
        if name != 'png' and len(photos) > len(problems):
            export(folder, photos, name, args)
    print(f'{len(photos) - len(problems)} photos -> {args.out}')
    return problems


def main(argv: Optional[List[str]] = None) -> None:
    """Predict what the command line names."""
    args = parse_args(argv)
    try:
        problems = run(args)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise SystemExit(str(error)) from error
        raise SystemExit(
            f'{args.out}: the disk is full. Make room and run '
            'the command again: it goes on where it was.') from error
    except (ValueError, ImportError) as error:
        raise SystemExit(str(error)) from error
    if problems:
        raise SystemExit(f'{len(problems)} photos could not be read and were '
                         'skipped:\n' + '\n'.join(problems))


if __name__ == '__main__':
    main()
