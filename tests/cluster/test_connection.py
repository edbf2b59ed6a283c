"""batch --ray and serve --ray as far as they come without a cluster."""

import sys

from ..batch.fake import request, write


def test_ray_that_is_missing_is_one_sentence(kimi_cpu, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = write(tmp_path / "in.jsonl", [request("a")])
    done = kimi_cpu("batch", source, "-o", tmp_path / "out.jsonl", "--ray", "local")
    assert done.code == 1 and "kimi-cpu: Ray is not installed: pip install '.[ray]'" in done.err
    assert not (tmp_path / "out.jsonl").exists()

    done = kimi_cpu("serve", "--port", 0, "--ray", "local")
    assert done.code == 1 and "kimi-cpu: Ray is not installed: pip install '.[ray]'" in done.err


def test_options_of_hosts_need_a_cluster(kimi_cpu, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a")])
    for option in (["--mixed"], ["--fetch", "cp /models/k2.gguf {}"]):
        for command in (["batch", source, "-o", tmp_path / "out.jsonl"], ["serve"]):
            done = kimi_cpu(*command, *option)
            assert done.code == 2 and "which --ray names" in done.err
    done = kimi_cpu("serve", "--replicas", 2)
    assert done.code == 2 and "--replicas" in done.err and "which --ray names" in done.err


def test_computed_prompts_are_kept_on_disk_by_engines_of_this_process_only(kimi_cpu):
    done = kimi_cpu("serve", "--ray", "local", "--cache-disk", "1GiB")
    assert done.code == 2 and "--cache-disk" in done.err
