# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy

import pytest
from mmengine.config import Config

from mmseg_afa.engine.auto_scale import auto_scale
from mmseg_afa.engine.run_summary import run_summary
from tests.test_reference.reference import ROOT

CONFIGS = ROOT / 'configs'
EIGHT = """\
This run
  images        32 an iteration: 8 processes x 4
  iterations    2,500, 80,000 images
  phases        0 to 250 classification, to 750 CAM labels, to 2499 affinity \
labels
  learning rate 0.0001697 (AdamW), warm-up of 188 iterations
  validation    every 250
  precision     float32
  scaled        iterations x 0.125, learning rate x 2.828 (square root): the \
config is for 4 images an iteration. --no-auto-scale leaves it as it is
  CAM scales    1, 0.5, 1.5
  affinity      radius of 8 cells, in a grid of 48 x 48
  PAR           10 iterations
  regularised   none"""


def test_eight_processes():
    cfg = Config.fromfile(CONFIGS / 'afa/afa_mit-b1_voc.py')
    said = auto_scale(cfg, 8)
    assert run_summary(cfg, 8, said) == EIGHT


def test_parts_that_are_off():
    cfg = Config.fromfile(CONFIGS / 'afa/afa_mit-b0_demo-no-affinity.py')
    cfg.model.train_cfg.accumulative_counts = 2
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    text = run_summary(cfg, 1)
    assert '8 an iteration: 1 process x 8' in text
    assert '0 to 450 classification, to 999 CAM labels\n' in text
    for part in ('affinity      none', 'PAR           none', 'in 2 parts',
                 'mixed, bfloat16'):
        assert part in text


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('[!_]*/*.py')), ids=lambda path: path.stem)
def test_every_config(path):
    cfg = Config.fromfile(path)
    before = copy.deepcopy(cfg).to_dict()
    assert len(run_summary(cfg, 2).splitlines()) > 4
    assert cfg.to_dict() == before
