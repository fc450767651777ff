# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Build the optimizer with few groups of parameters."""
from typing import List, Optional, Union

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Merge the parameters of equal settings into one group.

    mmengine makes a group of each parameter, and the optimizer launches its
    kernels for each group. ``paramwise_cfg`` keeps its meaning.
    """

    def add_params(self,
                   params: List[dict],
                   module: nn.Module,
                   prefix: str = '',
                   is_dcn_module: Optional[Union[int, float]] = None) -> None:
        """Add the parameters of a module, and of its children, to groups."""
        super().add_params(params, module, prefix, is_dcn_module)
        if not prefix:  # the root, after all children
            params[:] = merge_groups(params)


def merge_groups(groups: List[dict]) -> List[dict]:
    """Merge groups whose settings are equal; keep the order."""
    merged = {}
    for group in groups:
        settings = {k: v for k, v in group.items() if k != 'params'}
        key = repr(sorted(settings.items()))
        one = merged.setdefault(key, dict(params=[], **settings))
        one['params'] += group['params']
    return list(merged.values())
