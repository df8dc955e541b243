"""Stands in for scripts/inference.py of MuseTalk 1.5: its flags, its configuration file, its ways to fail."""

import argparse
import json  # the configuration that is given is JSON, which is YAML too
import os
import shutil
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--ffmpeg_path", type=str, default="./ffmpeg-4.4-amd64-static/")
parser.add_argument("--gpu_id", type=int, default=0)
parser.add_argument("--vae_type", type=str, default="sd-vae")
parser.add_argument("--unet_config", type=str, default="./models/musetalk/config.json")
parser.add_argument("--unet_model_path", type=str, default="./models/musetalkV15/unet.pth")
parser.add_argument("--whisper_dir", type=str, default="./models/whisper")
parser.add_argument("--inference_config", type=str, default="configs/inference/test_img.yaml")
parser.add_argument("--bbox_shift", type=int, default=0)
parser.add_argument("--result_dir", default="./results")
parser.add_argument("--extra_margin", type=int, default=10)
parser.add_argument("--fps", type=int, default=25)
parser.add_argument("--audio_padding_length_left", type=int, default=2)
parser.add_argument("--audio_padding_length_right", type=int, default=2)
parser.add_argument("--batch_size", type=int, default=8)
parser.add_argument("--output_vid_name", type=str, default=None)
parser.add_argument("--use_saved_coord", action="store_true")
parser.add_argument("--saved_coord", action="store_true")
parser.add_argument("--use_float16", action="store_true")
parser.add_argument("--parsing_mode", default="jaw")
parser.add_argument("--left_cheek_width", type=int, default=90)
parser.add_argument("--right_cheek_width", type=int, default=90)
parser.add_argument("--version", type=str, default="v15", choices=["v1", "v15"])
args = parser.parse_args()
mode = os.environ["STAND_IN"]

if not os.path.isfile(args.unet_model_path):
    sys.exit("no weights")
with open(args.inference_config) as file:
    config = json.load(file)
print("Loaded inference config:", config)
print("args", args)
for task in config.values():
    try:
        temp_dir = os.path.join(args.result_dir, args.version)
        os.makedirs(temp_dir, exist_ok=True)
        if " " in task["video_path"] + task["audio_path"] + temp_dir:
            raise OSError("ffmpeg was given a path with a space in it")
        with open(os.path.join(args.result_dir, "../", "face.pkl"), "w") as file:
            file.write("coordinates")
        if mode == "no face":
            raise ZeroDivisionError("integer modulo by zero")
        print("Starting inference", flush=True)
        if mode == "out of memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate 512.00 MiB")
        if mode == "hangs":
            time.sleep(600)
        shutil.copyfile(
            os.environ["SILENT" if mode == "silent" else "VIDEO"], os.path.join(temp_dir, task["result_name"])
        )
        if task["video_path"].endswith(".png"):
            raise UnboundLocalError(
                "local variable 'save_dir_full' referenced before assignment"
            )  # as it does
        print(f"Results saved to {os.path.join(temp_dir, task['result_name'])}")
    except Exception as error:
        print("Error occurred during processing:", error)
