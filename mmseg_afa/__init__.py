# Copyright (c) mmseg_afa contributors. All rights reserved.
"""AFA weakly-supervised segmentation for mmsegmentation.

Importing the package is all a config has to do::

    custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)

It checks the versions of the libraries below it and registers every component.
"""

from . import compat  # isort: skip  # first: the rest needs what it sets up
from . import datasets, engine, evaluation, models, registry, visualization
from .version import __version__

__all__ = [
    '__version__', 'compat', 'datasets', 'engine', 'evaluation', 'models',
    'registry', 'visualization'
]
