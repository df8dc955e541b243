"""The command lines, read by an argument parser with the repository's own flags, types and choices."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from evalkit.cli import main
from pipeline.adapters.live_avatar import generator
from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.errors import RequestError
from pipeline.gpus import Gpu

from .conftest import STAND_IN, write_portrait

if TYPE_CHECKING:
    import argparse

    from tests.pipeline.adapters.live_avatar.conftest import Driver

RUNNING = ["720*400", "704*384", "688*368", "384*256"]
ENTRY = "minimal_inference/s2v_streaming_interact.py"


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the words after the entry point as the repository does."""
    spec = importlib.util.spec_from_file_location(
        "arguments", STAND_IN / "minimal_inference" / "arguments.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = module.make_parser()
    for name in ("enable_online_decode", "fp8"):
        parser.add_argument(f"--{name}", action="store_true", default=False)
    args: argparse.Namespace = module.validate(parser.parse_args(words))
    return args


def dry_run(folder: Path, *words: str, **settings: Any) -> str:
    """Ask ``evalkit generate --dry-run`` and return what it prints; a refusal is raised."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    given = [
        "generate",
        "--generator",
        "live_avatar",
        "--settings",
        str(folder / "settings.yaml"),
        "--dry-run",
    ]
    result = CliRunner().invoke(main, [*given, "--out", str(folder / "out.mp4"), *words])
    if result.exit_code:
        raise RequestError(result.stderr)
    return result.stdout


@pytest.mark.parametrize("n_gpus", [1, 5])
@pytest.mark.parametrize("size", RUNNING)
def test_the_four_sizes_that_run(
    size: str, n_gpus: int, repository: Path, portrait: Path, spoken: Path, tmp_path: Path
) -> None:
    text = dry_run(
        tmp_path,
        *("--size", size, "--image", str(portrait), "--audio", str(spoken), "--prompt", "a 'quoted' $HOME"),
        repository=str(repository),
        gpus=list(range(n_gpus)),
    )
    words = shlex.split(text.splitlines()[-1])
    assert words[:2] == ["cd", str(repository)]
    at = words.index(ENTRY)
    variables = dict(word.split("=", 1) for word in words[3 : words.index("python")])
    assert variables["CUDA_VISIBLE_DEVICES"] == ",".join(map(str, range(n_gpus)))
    assert variables["ENABLE_COMPILE"] == "true"
    launcher = words[words.index("python") : at]
    assert launcher[:5] == [
        "python",
        "-m",
        "torch.distributed.run",
        f"--nproc_per_node={n_gpus}",
        "--master_port=29101" if n_gpus == 1 else "--master_port=29102",
    ]
    args = parse(words[at + 1 :])
    # what its own two scripts give
    assert (args.task, args.size, args.ulysses_size) == ("s2v-14B", size, 1)
    assert (args.infer_frames, args.sample_steps, args.sample_guide_scale) == (48, 4, 0)
    assert (args.sample_solver, args.base_seed, args.num_clip) == ("euler", 420, 10000)
    assert args.training_config == "liveavatar/configs/s2v_causal_sft.yaml"
    assert (args.ckpt_dir, args.lora_path_dmd) == ("ckpt/Wan2.2-S2V-14B/", "Quark-Vision/Live-Avatar")
    assert args.load_lora
    assert args.convert_model_dtype
    assert args.fp8
    assert (args.single_gpu, args.enable_vae_parallel) == (n_gpus == 1, n_gpus > 1)
    assert args.num_gpus_dit == (1 if n_gpus == 1 else 4)
    # what was asked
    assert (args.prompt, args.image, args.audio) == ("a 'quoted' $HOME", str(portrait), str(spoken))
    assert Path(args.save_file).is_absolute()
    assert args.offload_model is (n_gpus == 1)


def test_what_was_asked_reaches_it(driver: Driver, portrait: Path, spoken: Path, out: Path) -> None:
    live = driver(ckpt_dir="/weights/wan", gpus=[3], enable_compile=True)
    request = live.request(
        image=portrait,
        audio=spoken,
        num_clip=7,
        infer_frames=24,
        sample_steps=2,
        base_seed=5,
        offload_model=True,
        enable_online_decode=True,
        prompt="--fp8 is no flag here",
        options={"fp8": False, "offload_kv_cache": True, "enable_compile": False},
    )
    plan = live.dry_run(request, out)
    args = parse(list(plan.argv[plan.argv.index(ENTRY) + 1 :]))
    assert (args.num_clip, args.infer_frames, args.sample_steps, args.base_seed) == (7, 24, 2, 5)
    assert (args.offload_model, args.enable_online_decode, args.fp8, args.offload_kv_cache) == (
        True,
        True,
        False,
        True,
    )
    assert (args.prompt, args.ckpt_dir) == ("--fp8 is no flag here", "/weights/wan")
    assert plan.environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert plan.environment["ENABLE_COMPILE"] == "false"
    assert any("384*256 with this portrait, 50 frames in 3 clips" in step for step in plan.steps)


@pytest.mark.parametrize("asked", [True, False])
def test_offloading_is_free_on_several_gpus(
    asked: bool, driver: Driver, portrait: Path, spoken: Path, out: Path
) -> None:
    live = driver(n_gpus=5)
    plan = live.dry_run(live.request(image=portrait, audio=spoken, offload_model=asked), out)
    assert f"--offload_model={asked}" in plan.argv


def test_weights_that_its_readme_has_downloaded_are_not_fetched_again(
    driver: Driver, repository: Path, portrait: Path, spoken: Path, out: Path
) -> None:
    live = driver(lora_path_dmd="Quark-Vision/Live-Avatar")
    request = live.request(image=portrait, audio=spoken)
    assert "--lora_path_dmd=Quark-Vision/Live-Avatar" in live.dry_run(request, out).argv
    (repository / "ckpt" / "LiveAvatar").mkdir()
    (repository / "ckpt" / "LiveAvatar" / "liveavatar.safetensors").write_bytes(bytes(4096))
    assert "--lora_path_dmd=ckpt/LiveAvatar/liveavatar.safetensors" in live.dry_run(request, out).argv
    other = driver(lora_path_dmd="ckpt/liveavatar.safetensors")
    assert "--lora_path_dmd=ckpt/liveavatar.safetensors" in other.dry_run(request, out).argv


def cards(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int] | None) -> None:
    """Say which GPUs this machine has."""
    listed = tuple(Gpu(index, "Card", 81559.0, 0.0, each) for index, each in enumerate(capabilities))
    monkeypatch.setattr(generator, "read_gpus", lambda: (listed, ""))


@pytest.mark.parametrize(
    ("capabilities", "has_fp8"),
    [
        ([(9, 0)] * 5, True),
        ([(8, 9)] * 5, True),
        ([(8, 0)] * 5, False),
        ([(9, 0)] * 4 + [(8, 6)], False),  # all of them compute
        ([(9, 0)] * 5 + [(7, 5)], True),  # one that is not asked for
        ([None] * 5, True),  # nobody knows: as its own scripts have it
        ([], True),
    ],
)
def test_eight_bit_floats_where_all_gpus_have_them(
    capabilities: list[tuple[int, int] | None],
    has_fp8: bool,
    driver: Driver,
    portrait: Path,
    spoken: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cards(monkeypatch, *capabilities)
    live = driver(n_gpus=5)
    plan = live.dry_run(live.request(image=portrait, audio=spoken), out)
    assert ("--fp8" in plan.argv) == has_fp8


def test_a_video_made_without_fp8_says_why(
    driver: Driver, portrait: Path, spoken: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards(monkeypatch, (8, 6))
    with driver() as live:
        result = live.generate(live.request(image=portrait, audio=spoken), out)
    assert any(
        "it was made without fp8: GPU 0 (Card) has 8.6" in str(event.detail) for event in result.events
    )


@pytest.mark.parametrize("place", ["setting", "option"])
def test_eight_bit_floats_that_a_gpu_lacks_are_refused(
    place: str, driver: Driver, portrait: Path, spoken: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards(monkeypatch, (8, 0))
    live = driver(**({"fp8": True} if place == "setting" else {}))
    options = {"fp8": True} if place == "option" else {}
    request = live.request(image=portrait, audio=spoken, options=options)
    with pytest.raises(RequestError, match=r"GPU 0 \(Card\) has 8\.0, and .* capability 8\.9: leave fp8 out"):
        live.generate(request, out)
    plain = live.request(image=portrait, audio=spoken, options={"fp8": False})
    assert "--fp8" not in live.dry_run(plain, out).argv


def test_a_batch_has_no_fp8_and_need_not_be_told(
    driver: Driver, portrait: Path, spoken: Path, out: Path
) -> None:
    live = driver(batch=True)
    assert "--fp8" not in live.dry_run(live.request(image=portrait, audio=spoken), out).argv


@pytest.mark.parametrize(
    "size", ["720*1280", "1280*720", "480*832", "832*480", "704*1280", "1280*704", "1024*704", "704*1024"]
)
def test_the_eight_sizes_that_it_offers_and_cannot_make(
    size: str, repository: Path, spoken: Path, tmp_path: Path
) -> None:
    large = write_portrait(tmp_path / "large.png", 2720, 1568)
    words = ("--size", size, "--image", str(large), "--audio", str(spoken))
    with pytest.raises(RequestError, match=r"tokens where its condition cache holds 2800; 720\*400, 704"):
        dry_run(tmp_path, *words, repository=str(repository))


def test_a_constant_that_was_raised_lets_more_through(
    repository: Path, portrait: Path, spoken: Path, tmp_path: Path
) -> None:
    words = ("--size", "832*480", "--image", str(portrait), "--audio", str(spoken))
    assert "768*448" in dry_run(tmp_path, *words, repository=str(repository), kv_cache_tokens=3640)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "repository is missing; it is the folder of"),
        ({"repository": "x", "gpus": []}, "gpus is"),
        ({"repository": "x", "gpus": [0, 0]}, "different GPU numbers"),
        ({"repository": "x", "gpus": [0, 1, 2]}, "its code runs on 1, or on 5"),
        ({"repository": "x", "gpus": [0, 1, 2, 3, 4], "num_gpus_dit": 3}, "with num_gpus_dit 4"),
        ({"repository": "x", "gpus": [0, 1, 2, 3, 4], "enable_vae_parallel": False}, "enable_vae_parallel"),
        ({"repository": "x", "num_gpus_dit": 4}, "no effect on one GPU"),
        ({"repository": "x", "master_port": 0}, "a port from 1 to 65535"),
        ({"repository": "x", "script": ["bash", "{prompt:>3}"]}, "only a name may stand between braces"),
        ({"repository": "x", "master_prt": 1}, "did you mean 'master_port'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LiveAvatar(**settings)


def test_the_commit_of_the_repository_is_part_of_the_version(repository: Path) -> None:
    assert LiveAvatar(repository=str(repository)).version == "1"
    git = repository / ".git"
    git.mkdir()
    (git / "HEAD").write_text("9c2c38d0aa11bb22cc33dd44ee55ff6677889900\n")
    assert LiveAvatar(repository=str(repository)).version == "1+9c2c38d0aa"
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert LiveAvatar(repository=str(repository)).version == "1"
    (git / "packed-refs").write_text("# pack-refs\n34e90e60249f0038450aeb43 refs/heads/main\n")
    assert LiveAvatar(repository=str(repository)).version == "1+34e90e6024"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text("591f422b9532a045d60b3e56\n")
    assert LiveAvatar(repository=str(repository)).version == "1+591f422b95"


def test_notes_are_told_on_the_command_line(
    driver: Driver, portrait: Path, spoken: Path, tmp_path: Path
) -> None:
    live = driver()
    settings = {**live._settings.to_dict(), "gpus": [0]}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    words = ["generate", "--generator", "live_avatar", "--settings", str(tmp_path / "settings.yaml")]
    words += ["--image", str(portrait), "--audio", str(spoken), "--out", str(tmp_path / "out.mp4")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "note: its code drops the first 3 frames" in result.stderr
    assert result.stdout.splitlines()[0].startswith("384*256, 25 fps, 2.00 s in 2 clips")
