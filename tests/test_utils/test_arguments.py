# Copyright (c) mmseg_afa contributors. All rights reserved.
from argparse import ArgumentParser, ArgumentTypeError

import pytest

from mmseg_afa.utils import add_workers, positive


def test_positive():
    assert positive('3') == 3
    with pytest.raises(ArgumentTypeError, match='0 must be at least 1'):
        positive('0')


def test_workers():
    parser = ArgumentParser()
    add_workers(parser)
    assert parser.parse_args(['--workers', '3']).workers == 3
    assert 1 <= parser.parse_args([]).workers <= 8
    with pytest.raises(SystemExit):
        parser.parse_args(['--workers', '0'])
