# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Predict masks of photos, refine them, and export them to other tools.

Writes DIR/SOURCE/NAME.png, indexed masks of the photos' own sizes, and
DIR/images.csv. Run the same command again to resume an interrupted run.
"""
import argparse
import hashlib
import sys
from pathlib import Path


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='a config file, or the name of one that ships')
    add('checkpoint', help='the checkpoint file')
    add('photos',
        nargs='+',
        help='photos, folders, patterns, or text files that list photos')
    add('--out',
        required=True,
        type=lambda path: Path(path).expanduser(),
        metavar='DIR',
        help='the folder')
    add('--list', help='an image list: only the photos of these names')
    add('--tags',
        help='a label file: restrict the mask of a photo to its tags, as for '
        'pseudo labels')
    add('--source',
        nargs='+',
        default=['seg'],
        help='seg (default), cam, affinity_cam, cam_label, refined_label')
    add('--refine',
        default='none',
        choices=['none', 'par', 'crf', 'segments'],
        help='sharpen masks along edges; labels are refined already')
    add('--segments',
        type=lambda path: Path(path).expanduser(),
        metavar='DIR',
        help='with --refine segments: DIR/NAME.png or .json of each photo')
    add('--segment-rule',
        choices=['majority', 'sepl'],
        help='a segment gets: majority (default) or sepl, see docs/masks.md')
    add('--tta', action='store_true', help='test-time augmentation')
    add('--unsure',
        type=float,
        default=0.,
        metavar='T',
        help='ignore (255) pixels of a confidence below T, in [0, 1]')
    add('--confidence',
        action='store_true',
        help='also write DIR/SOURCE_confidence/NAME.png, 255 is certain')
    add('--review',
        type=int,
        default=0,
        metavar='N',
        help='write DIR/review.html and review.png of the N most uncertain '
        'masks')
    add('--format',
        nargs='+',
        default=['png'],
        choices=['png', 'coco', 'labelstudio', 'cvat', 'yolo', 'voc-server'],
        help='also export to DIR/export')
    add('--instances',
        action='store_true',
        help='coco: each connected part of a class is one result')
    add('--long-side',
        type=int,
        metavar='PIXELS',
        help="shrink larger photos for the network (default: the config's "
        'Resize, and at most 1024)')
    add('--tile',
        type=int,
        metavar='PIXELS',
        help='do not shrink large photos: predict tiles of this side')
    add('--batch-size', type=int, default=8, help='photos loaded together')
    add('--device', help='such as cuda:1 (default: a GPU if there is one)')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config, such as model.a=1 b="[1,2]"')
    return parser.parse_args(argv)


def segment_folder(args, photos):
    """Find the segments of ``--refine segments``; None without it."""
    from mmseg_afa.models import SegmentFolder
    from mmseg_afa.utils import UserError
    snap = args.refine == 'segments'
    if snap != bool(args.segments) or args.segment_rule and not snap:
        raise UserError(f'--refine {args.refine}, --segments {args.segments}: '
                        'write --refine segments --segments DIR, or neither.')
    names = {photo.path: photo.name for photo in photos}
    rule = args.segment_rule or 'majority'
    return SegmentFolder(args.segments, names, rule) if snap else None


def build_inferencer(args, cfg, segments=None):
    """Build the inferencer, and name all settings that the masks depend on."""
    from mmseg_afa.apis import AFAInferencer
    from mmseg_afa.engine import launch

    launch.check_checkpoint(args.checkpoint)
    options = dict(
        sources=args.source,
        refiner=launch.refiner_config(cfg, args.refine),
        tta=args.tta,
        long_side=args.long_side,
        tile=args.tile,
        unsure=args.unsure,
        segments=segments)
    tta = cfg.get('tta_model'), cfg.get('tta_pipeline')
    parts = repr((cfg.model, launch.test_pipeline(cfg), tta)).encode()
    settings = dict(
        options,
        config=identify(args.config, parts),
        checkpoint=identify(args.checkpoint),
        tags=args.tags and identify(args.tags),
        segments=segments and [identify(args.segments), segments.rule],
        confidence=args.confidence)
    inferencer = AFAInferencer(
        cfg, args.checkpoint, device=args.device, **options)
    return inferencer, settings


def identify(path, content=None):
    """Identify a file or folder by its name and content, a URL by itself."""
    path, text = Path(path), str(path)
    if content is None and path.is_dir():
        files = (file for file in sorted(path.rglob('*')) if file.is_file())
        content = ' '.join(map(identify, files)).encode()
    if content is None:
        content = text.encode() if '://' in text else path.read_bytes()
    digest = hashlib.sha256(content)
    return f'{path.stem} {digest.hexdigest()[:12]}'


def predict(inferencer, folder, photos, tags, batch_size):
    """Predict photos into a folder, and list the errors of broken photos."""
    from mmseg_afa.utils import progress

    todo = folder.remaining(photos, batch_size)
    if len(todo) < len(photos):
        print(f'{folder.path} already has {len(photos) - len(todo)} of '
              f'{len(photos)} photos.')
    photo_of = {photo.path: photo for photo in todo}
    problems = []
    with progress((), 'Photos', len(todo)) as bar:

        def skip(path, error):
            problems.append(str(error))
            bar.write(f'Skipped: {error}', file=sys.stderr)
            bar.update()

        samples = inferencer.stream(
            photo_of,
            tags and (lambda path: tags[photo_of[path].name]),
            batch_size,
            broken=skip)
        for sample in samples:
            photo = photo_of[sample.img_path]
            folder.add(photo, sample, tags and tags[photo.name])
            bar.update()
    return problems


def run(args):
    """Predict, write tables and exports, and list the errors of photos."""
    from mmseg_afa.apis import OutputFolder, find_photos, read_tags
    from mmseg_afa.apis.formats import FORMATS, check_format
    from mmseg_afa.datasets.image_files import describe_left_out
    from mmseg_afa.engine import launch
    from mmseg_afa.utils import check_least

    check_least(vars(args), review=0, batch_size=1)
    cfg = launch.read_config(args.config, args.cfg_options)
    photos, left_out = find_photos(args.photos, args.list,
                                   launch.image_suffixes(cfg))
    inferencer, settings = build_inferencer(args, cfg,
                                            segment_folder(args, photos))
    meta = inferencer.model.dataset_meta
    formats = [name for name in args.format if name != 'png']
    for name in formats:
        check_format(name, photos, meta['classes'])
    tags = args.tags and read_tags(args.tags, photos, meta['classes'][1:])
    folder = OutputFolder(args.out, settings, meta['classes'], meta['palette'])
    problems = predict(inferencer, folder, photos, tags,
                       1 if args.tile else args.batch_size)
    folder.write_table(photos)
    if len(problems) < len(photos):
        if args.review:
            page, sheet = folder.write_review(photos, args.review)
            size = page.stat().st_size / 1e6
            print(f'{sheet}\n{page} ({size:.1f} MB): open it in a browser')
        for name in formats:
            options = dict(instances=args.instances) if name == 'coco' else {}
            for source in folder.sources:
                print(FORMATS[name](folder.masks(source, photos),
                                    args.out / 'export' / source, **options))
    print(f'{len(photos) - len(problems)} photos -> {args.out}')
    if left_out and not args.list:
        print(f'Warning: {describe_left_out(left_out)}', file=sys.stderr)
    return problems


def main(argv=None):
    """Predict what the command line names."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        problems = run(args)
    if problems:
        raise SystemExit(
            f'Skipped {len(problems)} photos that could not be read:\n' +
            '\n'.join(problems))


if __name__ == '__main__':
    main()
