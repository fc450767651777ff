# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compare the metafiles with the configs that ship."""
from pathlib import Path

import yaml
from modelindex.load_model_index import load

import mmseg_afa

ROOT = Path(__file__).parents[1]


def metafile_models() -> list:
    """List the models of every metafile that model-index.yml names."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    return [
        model for path in index['Import']
        for model in yaml.safe_load((ROOT / path).read_text())['Models']
    ]


def test_every_shipped_config_is_listed():
    shipped = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob('configs/[a-z]*/*.py')
    ]
    listed = [model['Config'] for model in metafile_models()]
    assert sorted(listed) == sorted(shipped)


def test_as_mim_reads_it():
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert [model.name for model in index.models
            ] == [model['Name'] for model in metafile_models()]
    assert all(model.config for model in index.models)


def test_names_are_unique():
    # mim finds a config by its file name alone
    names = [path.name for path in ROOT.glob('configs/**/*.py')]
    assert len(set(names)) == len(names)


def test_figures_say_where_they_are_from():
    for model in metafile_models():
        assert model['Name'] == Path(model['Config']).stem
        assert 'Weights' not in model
        for result in model.get('Results', []):
            assert all('published' in metric for metric in result['Metrics'])
            # `mim search` cuts the values beside longer names
            assert all(
                len(f'{result["Dataset"]}/{metric}') < 50
                for metric in result['Metrics'])


def test_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == mmseg_afa.__version__
