# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run the guide's commands as a new user, in an empty home."""
import hashlib
import os
import shlex
import subprocess
import sys

import cv2
import numpy as np
import torch
from PIL import Image

from mmseg_afa.models import AttnMixVisionTransformer
from tests.test_reference.reference import ROOT

# the template without validation, for a moment on a small CPU
OPTIONS = [
    *(f'{split}_{part}=None' for split in ('val', 'test')
      for part in ('dataloader', 'cfg', 'evaluator')),
    'model.backbone.arch=b0', 'model.decode_head.in_channels=32,64,160,256',
    'model.train_cfg.cam_iters=0', 'model.train_cfg.switch_iter=1',
    'auto_scale_lr=None', 'train_cfg.max_iters=2',
    'default_hooks.checkpoint.interval=2',
    'train_dataloader.num_workers=0', 'train_dataloader.batch_size=2',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.pipeline.1.scale=(64,64)',
    'train_dataloader.dataset.pipeline.4.crop_size=(64,64)'
]  # yapf: disable


def serve_weights(web):
    """Write weights whose norms, which do not learn, show their origin."""
    model = AttnMixVisionTransformer('b0')
    torch.nn.init.normal_(model.layers[3][2].weight)
    torch.save(model.state_dict(), web.folder / 'new')
    digest = hashlib.sha256((web.folder / 'new').read_bytes()).hexdigest()
    name = f'mit_b0_20220624-{digest[:8]}.pth'
    (web.folder / 'new').rename(web.folder / name)
    return name, model.layers[3][2].weight


def test_first_hour(web, tmp_path, monkeypatch):
    name, norm = serve_weights(web)
    for folder in ('configs', 'tools'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    rng = np.random.default_rng(0)
    images = tmp_path / 'data/pets/JPEGImages/train'
    images.mkdir(parents=True)
    for stem in ('IMG_0001', 'IMG_0002'):
        photo = rng.integers(0, 256, (48, 64, 3), np.uint8)
        cv2.imwrite(str(images / f'{stem}.jpg'), photo)
    (tmp_path / 'photos').symlink_to(images)
    readme = (ROOT / 'README.md').read_text()
    table = readme[readme.index('image,tags\n'):]
    (tmp_path / 'data/pets/tags.csv').write_text(table[:table.index('```')])
    guide = (ROOT / 'docs/your_data.md').read_text().replace('\\\n', '')
    guide = guide.replace('--classes cat,cow,dog', '')
    commands = guide[guide.index('python tools/dataset_converters/image_l'):]
    commands = [
        shlex.split(line)[1:]
        for line in commands[:commands.index('```')].splitlines()
    ]
    home = tmp_path / 'home'
    home.mkdir()
    monkeypatch.setenv('HOME', str(home))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.delenv('TORCH_HOME')

    def run(command, *more):
        done = subprocess.run([sys.executable, *command, *more],
                              cwd=tmp_path,
                              text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    assert '2 images, 3 tags' in run(commands[0])
    address = f'{web.address}/{name}'
    weights = f'model.backbone.init_cfg.checkpoint={address}'
    for _ in range(2):  # the second training finds the file in the cache
        log = run(commands[1], '--cfg-options', *OPTIONS, weights)
        assert f'load model from: {address}' in log
    assert web.asked == [f'/{name}']
    assert os.listdir(home / '.cache/torch/hub/checkpoints') == [name]
    checkpoint = 'work_dirs/afa_mit-b1_own-data/iter_2.pth'
    trained = torch.load(tmp_path / checkpoint, weights_only=True)
    assert trained['state_dict']['backbone.layers.3.2.weight'].equal(norm)
    run([checkpoint if part == 'CHECKPOINT' else part for part in commands[2]],
        '--cfg-options', *OPTIONS)
    for stem in ('IMG_0001', 'IMG_0002'):
        mask = np.array(Image.open(tmp_path / f'masks/seg/{stem}.png'))
        assert mask.shape == (48, 64) and mask.max() <= 2
