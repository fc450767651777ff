# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find options of the command line that have no effect."""
from difflib import get_close_matches
from inspect import signature
from typing import Any, Iterable, Iterator, List, Tuple

from mmengine.config import Config
from mmengine.runner import Runner

# Keys of a config that the Runner and the tools read.
READ = {
    *signature(Runner).parameters, 'activation_checkpointing', 'compile',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
    'runner_type', 'sync_bn', 'test_pipeline', 'tta_model', 'tta_pipeline'
}


def walk(node: Any, start: str = '') -> Iterator[Tuple[str, Any]]:
    """Yield the path and value of each setting, also of dicts and lists."""
    if isinstance(node, (list, tuple)):
        node = dict(enumerate(node))
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f'{start}{key}', value
        yield from walk(value, f'{start}{key}.')


def check_options(cfg: Config, options: Iterable[str]) -> List[str]:
    """Return warnings about options without effect.

    mmengine accepts every key. A variable of the config file has no effect:
    the settings took its value when the file was read. Unknown keys inside
    of a setting are refused by most classes.

    Args:
        cfg (Config): The config without the options.
        options (Iterable[str]): 'KEY=VALUE' each.
    """
    read = READ.difference(
        ['test_pipeline'] * bool(cfg.get('test_dataloader')),
        ['data_preprocessor'] * ('data_preprocessor' in cfg.get('model', ())))
    settings = dict(walk({key: cfg[key] for key in cfg if key in read}))
    last = {path: path.rpartition('.')[2] for path in settings}
    warnings = []
    for option in options:
        name, *rest = option.partition('=')[0].split('.')
        if name in read:
            continue
        value = cfg.get(name) or None
        near = get_close_matches(name, last.values(), 1, 0.8)
        alike = [
            path for path in last if last[path] == name or
            (isinstance(value, (dict, list)) and settings[path] == value)
        ] or [path for path in last if last[path] in near]
        found = ', '.join('.'.join([path, *rest]) for path in alike[:3])
        warnings.append(f'--cfg-options: no setting is called {name}.' +
                        f' Set {found}.' * bool(found))
    return warnings
