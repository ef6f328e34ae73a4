"""docs/parameters.md says what core/settings/ declares."""

import argparse
from pathlib import Path

from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.setting import Setting
from semantic_fast_sam_ros.tools import parameter_docs


def _run(*words):
    parser = argparse.ArgumentParser()
    parameter_docs.add_arguments(parser)
    return parameter_docs.run(parser.parse_args(words))


def test_the_page_in_docs_is_current():
    written = parameter_docs.PAGE.read_text(encoding='utf-8')
    assert written == parameter_docs.document(), f'run `{parameter_docs.COMMAND}`'


def test_every_setting_has_one_row():
    lines = parameter_docs.document().splitlines()
    for setting in configuration.settings():
        assert sum(line.startswith(f'| `{setting.name}` |') for line in lines) == 1


def test_a_row_tells_type_default_range_and_help():
    row = parameter_docs.row(Setting('a.b', 0.5, 'x | y', 0.0, 1.0, (), True))
    assert row == r'| `a.b` | double | `0.5` | 0 to 1 | live | x \| y |'
    row = parameter_docs.row(Setting('mode', 'hard', 'how', None, None, ('hard', 'soft'), False))
    assert row == '| `mode` | string | `hard` | `hard`, `soft` |  | how |'
    assert '`false`' in parameter_docs.row(Setting('on', False, '', None, None, (), False))
    assert "`''`" in parameter_docs.row(Setting('text', '', '', None, None, (), False))


def test_large_limits_are_exact():
    limits = parameter_docs.allowed(Setting('n', 1, '', 1, 2**31 - 1, (), False))
    assert limits == '1 to 2147483647'


def test_check_notices_an_old_page(tmp_path: Path, capsys):
    page = tmp_path / 'parameters.md'
    assert _run('--check', '--output', str(page)) == 1
    page.write_text('old')
    assert _run('--check', '--output', str(page)) == 1
    assert parameter_docs.COMMAND in capsys.readouterr().err
    assert _run('--output', str(page)) == 0
    assert _run('--check', '--output', str(page)) == 0
