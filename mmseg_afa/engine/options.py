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
    items = node.items() if isinstance(
        node,
        dict) else enumerate(node if isinstance(node, (list, tuple)) else ())
    for key, value in items:
        yield f'{start}{key}', value
        yield from walk(value, f'{start}{key}.')


def check_options(cfg: Config, options: Iterable[str]) -> List[str]:
    """Return warnings about options without effect, and about likely typos.

    mmengine accepts every key. A variable of the config file has no effect:
    the settings took its value when the file was read.

    Args:
        cfg (Config): The config without the options.
        options (Iterable[str]): 'KEY=VALUE' each.
    """
    shadowed = {
        'test_pipeline': cfg.get('test_dataloader'),
        'data_preprocessor': (cfg.get('model') or {}).get('data_preprocessor')
    }
    read = {key for key in READ if not shadowed.get(key)}
    settings = dict(walk({key: cfg[key] for key in cfg if key in read}))
    warnings = []
    for option in options:
        parent, names = '', option.partition('=')[0].split('.')
        while names and parent + names[0] in settings:
            parent += f'{names.pop(0)}.'
        if not names or (not parent and names[0] in read):
            continue
        near = [
            '.'.join([path, *names[1:]])
            for path in alike(parent, names[0], cfg.get(names[0]), settings)
        ][:3]
        if near or not parent:
            advice = f' Set {", ".join(near)}.' if near else ''
            warnings.append(f'--cfg-options: no setting is called {parent}'
                            f'{names[0]}.{advice}')
    return warnings


def alike(parent: str, name: str, value: Any, settings: dict) -> List[str]:
    """List the settings that a name is for.

    Beside a known parent that is a like name. Elsewhere it is the same name
    or the same value, of a variable, or else a like name.
    """
    last = {
        path: path.rpartition('.')[2]
        for path in settings
        if not parent or path.rpartition('.')[0] + '.' == parent
    }
    variable = isinstance(value, (dict, list)) and value and not parent
    near = get_close_matches(name, last.values(), 1, 0.8)
    return [
        path for path in last
        if last[path] == name or (variable and settings[path] == value)
    ] or [path for path in last if last[path] in near]
