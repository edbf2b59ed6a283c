"""docs/cluster.md has the table that tools/make_hosts_table.py writes, and shows its picture."""

from tools.make_hosts_table import DRAWN, FILE, PICTURE, picture, proposal, row


def test_table_and_picture_are_what_is_simulated_now():
    text, found = FILE.read_text(encoding="utf-8"), proposal(DRAWN)
    assert row(DRAWN, found) in text, "run `python -m tools.make_hosts_table` and commit docs/"
    assert f"({PICTURE.name})" in text
    assert PICTURE.read_text(encoding="utf-8") == picture(found.best)
