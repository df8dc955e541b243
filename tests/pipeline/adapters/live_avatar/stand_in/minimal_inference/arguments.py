"""The arguments of both entry points: names, types, choices and defaults as in Live Avatar at 9c2c38d."""

from __future__ import annotations

import argparse

SIZES = [
    "720*1280", "1280*720", "480*832", "832*480", "704*1280", "1280*704", "1024*704", "704*1024", "720*400", "704*384",
    "688*368", "384*256",
]  # fmt: skip
FLAGS = [
    "t5_fsdp", "t5_cpu", "dit_fsdp", "use_prompt_extend", "convert_model_dtype", "enable_tts", "start_from_ref", "load_lora",
    "use_dataset", "drop_motion_noisy", "single_gpu", "using_merged_ckpt", "enable_vae_parallel", "offload_kv_cache",
]  # fmt: skip
TEXTS = [
    "ckpt_dir", "save_file", "save_dir", "prompt", "prompt_extend_model", "image", "audio", "tts_prompt_audio",
    "tts_prompt_text", "tts_text", "pose_video", "lora_path", "lora_path_dmd", "training_config",
]  # fmt: skip


def truth(word: str) -> bool:
    if word.lower() in {"yes", "true", "t", "y", "1"}:
        return True
    if word.lower() in {"no", "false", "f", "n", "0"}:
        return False
    raise argparse.ArgumentTypeError("Boolean value expected (True/False)")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="t2v-A14B", choices=["t2v-A14B", "i2v-A14B", "ti2v-5B", "s2v-14B"])
    parser.add_argument("--size", default="1280*720", choices=SIZES)
    for name in ("frame_num", "num_clip", "sample_steps"):
        parser.add_argument(f"--{name}", type=int, default=None)
    for name in ("sample_shift", "sample_guide_scale"):
        parser.add_argument(f"--{name}", type=float, default=None)
    for name, default in (
        ("ulysses_size", 1),
        ("base_seed", -1),
        ("infer_frames", 80),
        ("dataset_sample_idx", 0),
        ("num_gpus_dit", 4),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--offload_model", type=truth, default=None)
    parser.add_argument("--prompt_extend_method", default="local_qwen", choices=["dashscope", "local_qwen"])
    parser.add_argument("--prompt_extend_target_lang", default="zh", choices=["zh", "en"])
    parser.add_argument("--sample_solver", default="euler", choices=["euler", "unipc", "dpm++"])
    for name in TEXTS:
        parser.add_argument(f"--{name}", type=str, default=None)
    for name in FLAGS:
        parser.add_argument(f"--{name}", action="store_true", default=False)
    return parser


def validate(args: argparse.Namespace) -> argparse.Namespace:
    assert args.ckpt_dir is not None, "Please specify the checkpoint directory."
    assert args.task == "s2v-14B", "Only s2v is supported for now."
    if args.prompt is None:
        args.prompt = "Summer beach vacation style, a white cat"
    args.image = args.image or "examples/boy.jpg"
    args.audio = args.audio or "examples/boy.wav"
    args.sample_steps = 40 if args.sample_steps is None else args.sample_steps
    return args
