"""The endpoint clients against servers that others wrote, on loopback.

Each is looked for on the path and in the folders of the environment variable EVALKIT_SERVERS: they bring a hundred
packages with them and live best in environments of their own (``pip install "litellm[proxy]"``,
``pip install "transformers[serving]" torch``).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pipeline.dialogue.base import Answer, Question
from pipeline.dialogue.chat import Chat
from pipeline.endpoint import ServiceError
from pipeline.process import end_processes

KEY = "sk-of-the-proxy-1234567"
QUESTION = Question("When do you open?", "en")

Ask = Callable[..., Answer]


def find(program: str) -> str:
    folders = os.pathsep.join(filter(None, (os.environ.get("EVALKIT_SERVERS"), os.environ.get("PATH"))))
    found = shutil.which(program, path=folders)
    if found is None:
        pytest.skip(f"the server {program} is not installed")
    return found


@contextmanager
def running(argv: list[str], port: int, health: str, folder: Path, **environment: str) -> Iterator[str]:
    """Start a server, wait for it, give its address, and end it with all its processes."""
    import psutil

    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=5):
                        break
                except OSError:
                    assert server.poll() is None, (folder / "server.log").read_text("utf-8", "replace")[
                        -2000:
                    ]
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
            end_processes(lambda: [one for one in tree if one.is_running() and one.status() != "zombie"])
            server.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of litellm's proxy, with models that answer, refuse and break."""
    program, port = find("litellm"), free_port()
    folder = tmp_path_factory.mktemp("litellm")
    says = {
        "helpful": "[happy] We open at **nine**.",
        "limited": "litellm.RateLimitError",
        "broken": "litellm.InternalServerError",
    }
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": "openai/none", "api_key": "none", "mock_response": text},
        }
        for name, text in says.items()
    ]
    config = {
        "model_list": models,
        "general_settings": {"master_key": "os.environ/PROXY_KEY"},
        "router_settings": {"num_retries": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    argv = [program, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PROXY_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with running(argv, port, "/health/liveliness", folder, **environment) as url:
        yield url


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Give a function that asks a model of a server."""
    monkeypatch.setenv("GOOD_KEY", KEY)
    monkeypatch.setenv("BAD_KEY", "sk-of-somebody-else")

    def call(url: str, model: str, key_variable: str | None = "GOOD_KEY") -> Answer:
        return Chat(base_url=url, model=model, key_variable=key_variable).answer(QUESTION)

    return call


def test_litellm_answers(litellm: str, ask: Ask) -> None:
    answer = ask(litellm, "helpful")
    assert (answer.text, answer.emotion) == ("We open at nine.", "happy")


@pytest.mark.parametrize(
    ("model", "key", "kinds", "again"),
    [
        ("limited", "GOOD_KEY", {"rate_limited"}, True),
        ("broken", "GOOD_KEY", {"server_error"}, True),
        ("unknown", "GOOD_KEY", {"refused_by_service"}, False),
        ("helpful", "BAD_KEY", {"wrong_key", "refused_by_service"}, False),
        ("helpful", None, {"wrong_key", "refused_by_service"}, False),
    ],
)
def test_litellm_s_failures_are_told_apart(
    litellm: str, ask: Ask, model: str, key: str | None, kinds: set[str], again: bool
) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(litellm, model, key)
    assert caught.value.kind in kinds  # without its database it says 400 to a wrong key
    assert caught.value.again is again
    assert KEY not in str(caught.value)
    assert "sk-of-somebody-else" not in str(caught.value)


def test_transformers_serves_a_model_that_answers(
    tmp_path: Path, ask: Ask, request: pytest.FixtureRequest
) -> None:
    program, port = find("transformers"), free_port()
    model: Path = request.getfixturevalue("language_model")
    argv = [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", str(model)]
    with running(argv, port, "/health", tmp_path, HF_HUB_OFFLINE="1") as url:
        assert ask(url, str(model), None).text == "We open at nine."


def test_nothing_is_left_running(tmp_path: Path) -> None:
    port = free_port()
    argv = [shutil.which("python3") or "python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(argv, port, "/", tmp_path) as url:
        with pytest.raises(ServiceError) as caught:
            Chat(base_url=url, model="m", key_variable=None).answer(QUESTION)
        assert caught.value.kind == "server_error"  # 501, unsupported method: Python's own server
    with socket.socket() as one:
        assert one.connect_ex(("127.0.0.1", port))  # nobody listens
