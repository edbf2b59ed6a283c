"""docs/cli.md is what the commands say."""

from tools.make_cli_docs import FILE, document


def test_documentation_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == document(), "run `python -m tools.make_cli_docs` and commit docs/cli.md"
