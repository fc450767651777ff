# Copyright (c) mmseg_afa contributors. All rights reserved.
from argparse import ArgumentTypeError

import pytest

from mmseg_afa.utils import positive


def test_positive():
    assert positive('3') == 3
    with pytest.raises(ArgumentTypeError, match='0 must be at least 1'):
        positive('0')
