# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Numeric options of the tools; test_predict.py has those of predict.py."""
import sys

import pytest

from .run_tool import ROOT

for folder in ('analysis_tools', 'demo'):
    sys.path.insert(0, str(ROOT / 'tools' / folder))

import benchmark  # noqa: E402  # isort: skip
import browse_dataset  # noqa: E402  # isort: skip
import make_demo_data  # noqa: E402  # isort: skip
import prediction_sheet  # noqa: E402  # isort: skip
from tools import test  # noqa: E402  # isort: skip

CONFIG = ['afa_mit-b0_demo']
BOTH = [*CONFIG, 'none.pth']


@pytest.mark.parametrize('tool, arguments, option, value, least', [
    (test, BOTH, 'wait-time', '-1', 0),
    (test, BOTH, 'wait-time', 'nan', 0),
    (browse_dataset, CONFIG, 'num', '0', 1),
    (prediction_sheet, BOTH, 'num', '-2', 1),
    (benchmark, CONFIG, 'steps', '0', 1),
    (benchmark, CONFIG, 'crop', '31', 32),
    (benchmark, CONFIG, 'batch', '0', 1),
    (make_demo_data, ['out'], 'train', '0', 1),
    (make_demo_data, ['out'], 'val', '-1', 1),
    (make_demo_data, ['out'], 'size', '3', 32),
    (make_demo_data, ['out'], 'seed', '-1', 0),
])
def test_refuse_with_the_range(tool, arguments, option, value, least):
    name = option.replace('-', '_')
    with pytest.raises(
            SystemExit, match=f'{name}: found .*, expected {least} or more'):
        tool.main([*arguments, f'--{option}', value])
