"""kimi-cpu experts: counts that are recorded, added up and shown."""

import json
import zlib

import numpy as np
import pytest

from kimi_cpu.modelfile import ModelFile
from kimi_cpu.residency import heat

OPTIONS = ("-n", 6, "--temp", 0, "-c", 512, "--ignore-eos")


@pytest.fixture
def counts(kimi_cpu, tiny_file, tmp_path):
    """A file of counts."""
    done = kimi_cpu("experts", "record", "-m", tiny_file, "abc", *OPTIONS, "-o", tmp_path / "counts.json")
    assert done.code == 0 and done.out.endswith("\n") and "tokens were counted" in done.err
    return tmp_path / "counts.json"


def layers_of(path):
    return {layer: np.array(row) for layer, row in json.loads(path.read_text())["layers"].items()}


def test_what_is_recorded_again_is_added(kimi_cpu, tiny_file, counts):
    once = layers_of(counts)
    assert set(once) == {"1", "2", "3"}  # the first layer is dense
    assert len({int(row.sum()) for row in once.values()}) == 1
    assert kimi_cpu("experts", "record", "-m", tiny_file, "abc", *OPTIONS, "-o", counts).code == 0
    assert all(np.array_equal(row, 2 * once[layer]) for layer, row in layers_of(counts).items())


def test_counts_of_another_model_are_kept(kimi_cpu, tiny_exact, counts):
    before = counts.read_bytes()
    done = kimi_cpu("experts", "record", "-m", tiny_exact, "abc", *OPTIONS, "-o", counts)
    assert done.code == 1 and "another model" in done.err
    assert counts.read_bytes() == before


def test_layers_are_shown_as_lines_of_blocks(kimi_cpu, counts):
    done = kimi_cpu("experts", "show", counts)
    head, *lines = done.out.splitlines()
    assert done.code == 0 and "top 10%" in head and len(lines) == 3
    assert all("█" in line and line.split()[-2].endswith("%") for line in lines)
    covered = json.loads(kimi_cpu("experts", "show", counts, "--json").out)["covered"]
    for layer, row in layers_of(counts).items():
        most = np.sort(row)[::-1]
        part = [most[: round(share * len(row))].sum() / row.sum() for share in (0.1, 0.25, 0.5)]
        assert covered[layer] == pytest.approx(part, abs=1e-4)


def test_what_a_model_has_left_behind_is_shown_without_a_file(kimi_cpu, tiny_file, home):
    done = kimi_cpu("experts", "show", "-m", tiny_file)
    assert done.code == 1 and "has left no use of its experts behind" in done.err
    with ModelFile.open(tiny_file) as file:
        left = np.zeros((4, 16), np.float32)
        left[1:] = np.random.default_rng(0).random((3, 16)) / 9
        heat.keep(file.model_hash(), left)
    done = kimi_cpu("experts", "show", "-m", tiny_file)
    assert done.code == 0 and len(done.out.splitlines()) == 4 and all("█" in x for x in done.out.splitlines()[1:])


def test_a_heat_map_is_a_png_with_a_cell_for_each_expert(kimi_cpu, counts, tmp_path):
    path = tmp_path / "map.png"
    assert kimi_cpu("experts", "show", counts, "--png", path).code == 0
    data, chunks, at = path.read_bytes(), {}, 8
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunks[kind] = data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + chunks[kind]) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        at += 12 + size
    width, height = (int.from_bytes(chunks[b"IHDR"][i : i + 4], "big") for i in (0, 4))
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and (width, height) == (16 * 3, 3 * 8)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    brightness = lines[::8, 1:].astype(int).reshape(3, 16, 3, 3)[:, :, 0].sum(axis=-1)
    for shown, row in zip(brightness, layers_of(counts).values(), strict=True):
        assert np.array_equal(np.argsort(shown, kind="stable"), np.argsort(row, kind="stable"))
    assert kimi_cpu("experts", "show", counts, "--png", path).code == 0, "a picture may be drawn anew"
    done = kimi_cpu("experts", "show", counts, "--png", counts)
    assert done.code == 1 and "is no PNG" in done.err


def test_defaults_of_the_configuration_file_hold_for_commands_of_the_group(kimi_cpu, tiny_file, tmp_path, home):
    (home / "config" / "kimi-cpu").mkdir(parents=True)
    config = home / "config" / "kimi-cpu" / "config.toml"
    config.write_text(f'model = "{tiny_file}"\n[experts]\nmax-tokens = 2\n')
    done = kimi_cpu("experts", "record", "abc", "--ignore-eos", "-c", 512, "-o", tmp_path / "counts.json")
    assert done.code == 0 and "demonstration" not in done.err
    config.write_text("[experts]\nfoo = 2\n")
    done = kimi_cpu("experts", "show", tmp_path / "counts.json")
    assert done.code == 1 and "kimi-cpu experts has no option --foo" in done.err


def test_experts_are_pinned_and_no_longer_pinned(kimi_cpu, counts, home):
    done = kimi_cpu("experts", "pin", counts, "--percent", 25)
    (file,) = (home / "state" / "kimi-cpu" / "pinned").iterdir()
    pinned = sum(int((row > 0).sum()) for row in layers_of(file).values())
    assert done.code == 0 and f"{pinned} experts are pinned" in done.err and pinned == round(0.25 * 3 * 16)
    assert kimi_cpu("experts", "pin", counts, "--percent", 0).code == 0 and not file.exists()
