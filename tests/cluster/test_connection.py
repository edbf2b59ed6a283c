"""batch --ray as far as it comes without a cluster."""

import sys

from ..batch.fake import request, write


def test_ray_that_is_missing_is_one_sentence(kimi_cpu, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = write(tmp_path / "in.jsonl", [request("a")])
    done = kimi_cpu("batch", source, "-o", tmp_path / "out.jsonl", "--ray", "local")
    assert done.code == 1 and "kimi-cpu: Ray is not installed: pip install '.[ray]'" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_options_of_hosts_need_a_cluster(kimi_cpu, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a")])
    for option in (["--mixed"], ["--fetch", "cp /models/k2.gguf {}"]):
        done = kimi_cpu("batch", source, "-o", tmp_path / "out.jsonl", *option)
        assert done.code == 2 and "which --ray names" in done.err
