# Copyright (c) mmseg_afa contributors. All rights reserved.
from io import BytesIO
from pathlib import Path
from typing import Union

import mmcv
import numpy as np
from PIL import Image

from ..utils import replacing


def figure_to_picture(figure, **kwargs) -> np.ndarray:
    """Draw a figure of matplotlib as an RGB uint8 picture (H, W, 3).

    Args:
        figure (matplotlib.figure.Figure): The figure.
        kwargs: Arguments of ``figure.savefig``.
    """
    file = BytesIO()
    figure.savefig(file, **kwargs)
    return mmcv.imfrombytes(file.getvalue(), channel_order='rgb')


def save_picture(path: Union[str, Path], picture: np.ndarray) -> None:
    """Write an RGB uint8 picture (H, W, 3), completely or not at all.

    A missing folder is created.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=90)
