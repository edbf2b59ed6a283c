"""One server over a scripted LLM, and the official clients for it."""

import os
import shutil
import subprocess
from importlib.util import find_spec

import anthropic as anthropic_module
import openai as openai_module
import pytest

from .fake import FakeLLM, last_piece, text_pieces
from .replicas import replicated
from .serving import serving


@pytest.fixture(scope="session")
def _fake_server():
    llm = FakeLLM([last_piece()])
    with serving(llm) as served:
        yield llm, served


@pytest.fixture
def fake(_fake_server):
    """The scripted LLM behind `http`, `openai` and `anthropic`."""
    llm, _ = _fake_server
    llm.play([*text_pieces("Hello world", "Let me think"), last_piece()])
    return llm


@pytest.fixture
def http(_fake_server, fake):
    """A plain client."""
    return _fake_server[1].http


@pytest.fixture
def openai(_fake_server, fake):
    """OpenAI's client."""
    return openai_module.OpenAI(base_url=f"{_fake_server[1].url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def anthropic(_fake_server, fake):
    """Anthropic's client."""
    return anthropic_module.Anthropic(base_url=_fake_server[1].url, api_key="none", max_retries=0)


@pytest.fixture(scope="session")
def replicas(tiny_file, tmp_path_factory):
    """A server over two engines that Ray runs; skips where there is no Ray."""
    if find_spec("ray") is None:
        pytest.skip("Ray")
    options = ("-c", "4096", "--parallel", "32")
    with replicated(tiny_file, tmp_path_factory.mktemp("replicas"), *options) as served:
        served.wait_for_engines()
        yield served


@pytest.fixture(scope="session")
def npm(tmp_path_factory) -> dict[str, str]:
    """An environment in which node finds the npm package openai; skips where there is no node, or no package."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("npm")
    install = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "openai"]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip("npm cannot install openai here")
    return os.environ | {"NODE_PATH": str(folder / "node_modules")}
