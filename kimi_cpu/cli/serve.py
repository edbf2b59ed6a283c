"""kimi-cpu serve: an HTTP server with OpenAI's and Anthropic's APIs, and a chat page."""

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from .display import say
from .loading import load_model
from .options import SIZE, cluster_of, cluster_options, model_options, require_model, reuse_options, stages_option

if TYPE_CHECKING:
    from ..llm import TextModel

MISSING = "The server needs more packages: pip install '.[serve]' in kimi-cpu's source folder"
MISSING_FOR_MCP = "--mcp needs more packages: pip install '.[agent,serve]' in kimi-cpu's source folder"
SWITCH_S = 0.0005  # the engine's thread leaves Python at every kernel; beside a long body it got it back in 5 ms


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--api-key", metavar="K", envvar="KIMI_CPU_API_KEY", help="Ask for this key. [env: KIMI_CPU_API_KEY]")
@click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Sequences that run at once.")
@click.option("--cache-disk", type=SIZE, help="Keep computed prompts for later runs in files of this size in all.")
@click.option("--cache-dir", type=click.Path(path_type=Path, file_okay=False), help="Where. [default: $XDG_CACHE_HOME]")
@click.option("--max-waiting", type=click.IntRange(0), default=128, show_default=True, help="Sequences that may wait.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Serve under this name, too; several times.")
@click.option("--cors-origin", multiple=True, metavar="ORIGIN", help="Let pages of this origin in; several times.")
@click.option(
    "--mcp",
    metavar="CONFIG.json",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Run the MCP servers of this file (mcpServers); the page shows how the model works with their tools.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NAME|all",
    help="Let tools of this name (SERVER__TOOL) act without a question in the page. * stands for anything.",
)
@click.option("--open-to-all", is_flag=True, help="Serve a public address without a key.")
@cluster_options
@stages_option
@click.option("--replicas", type=click.IntRange(1), help="With --ray, engines that answer side by side. [default: 1]")
@model_options
@reuse_options
def serve_command(
    host: str,
    port: int,
    api_key: str | None,
    parallel: int,
    max_waiting: int,
    allow_host: tuple[str, ...],
    cors_origin: tuple[str, ...],
    open_to_all: bool,
    mcp: Path | None,
    allow: tuple[str, ...],
    ray: str | None,
    ray_stages: int | None,
    mixed: bool,
    fetch: str | None,
    replicas: int | None,
    model: Path | None,
    **loading: Any,
) -> None:
    """Serve a model over HTTP: /v1/chat/completions and its kin, /v1/messages, /metrics, and a chat page at /.

    It listens on this machine only, unless --host says otherwise; then it needs --api-key. SIGTERM and SIGHUP end
    it with exit code 0, Ctrl-C with 130.

    With --mcp the model works with the tools of MCP servers, in the page and at /v1/agent. Each call waits until it is
    allowed there, unless --allow names its tool. That needs the token in the link that is printed: whoever has it has
    the tools run on this machine.

    With --ray engines on the hosts of a cluster answer, so many as --replicas says, each with a model of its own and
    with places for --parallel sequences. One that is lost is replaced, and its answers go on elsewhere. With
    --ray-stages they are parts of one model.

    \b
    kimi-cpu serve -m k2.gguf
    kimi-cpu serve -m k2.gguf --mcp servers.json --allow 'files__read_*'
    kimi-cpu serve -m k2.gguf --host 0.0.0.0 --api-key "$KEY" --parallel 4
    kimi-cpu serve -m /models/k2.gguf --ray 10.0.0.1:6379 --replicas 4
    kimi-cpu serve -m /models/k2.gguf --ray 10.0.0.1:6379 --ray-stages 3
    """
    if allow and mcp is None:
        raise click.UsageError("--allow is for the tools of --mcp.")
    ray = cluster_of(ray, ray_stages, mixed, fetch)
    if ray is None and replicas is not None:
        raise click.UsageError("--replicas are engines on the hosts of a cluster, which --ray names.")
    if ray_stages is not None and replicas is not None:
        raise click.UsageError("--replicas have a whole model each, and --ray-stages spread one; name one of the two.")
    keeps = loading["cache_disk"] is not None or loading["cache_dir"] is not None
    if keeps and ray is not None and ray_stages is None:
        raise click.UsageError(
            "--cache-disk and --cache-dir are for an engine of this process; with --ray there is none."
        )
    from ..machine import bound_heap

    bound_heap()  # before there are threads
    sys.setswitchinterval(SWITCH_S)
    try:
        from ..server import Settings, bind, serve
    except ModuleNotFoundError as e:
        raise ConfigError(f"{MISSING} ({e.name} is not there).") from e
    if mcp is not None and find_spec("mcp") is None:
        raise ConfigError(f"{MISSING_FOR_MCP} (mcp is not there).")
    path = require_model(model)
    try:
        settings = Settings(
            host=host,
            port=port,
            api_key=api_key,
            open_to_all=open_to_all,
            origins=cors_origin,
            hosts=allow_host,
            mcp=mcp,
            allow=allow,
            replicas=None if ray is None or ray_stages is not None else replicas or 1,
            parallel=parallel,
            max_waiting=max_waiting,
        )
    except ConfigError as e:
        raise click.UsageError(str(e)) from e
    logging.basicConfig(level=logging.WARNING, format="kimi-cpu: %(message)s")
    logging.getLogger("kimi_cpu.server").setLevel(logging.INFO)
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # a traceback a line; a call that fails says so to the model
    listener = bind(settings)
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{listener.getsockname()[1]}"
    say(f"{url} is loading {path.name}")
    if mcp is not None:
        say(f"the page with the tools of {mcp.name}: {url}/#agent={settings.agent_token}")

    loading |= {"parallel": parallel}
    with ExitStack() as stack:
        load: Callable[[], TextModel] = partial(load_model, path, **loading)
        if ray is not None:
            from ..cluster import Work, connected, load_stages, open_replicas

            most = ray_stages or replicas or 1
            stack.enter_context(connected(ray, say, most))
            if ray_stages is not None:
                load = partial(load_stages, path, ray_stages, say, fetch, **loading)
            else:
                work = Work(None if model is None else str(path.absolute()), fetch, loading, mixed)
                load = partial(open_replicas, path, work, most, say)
        serve(load, settings, listener)
