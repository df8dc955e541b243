"""Stands in for SadTalker's inference.py: its flags, its file named by the time, its messages, its ways to fail."""

import os
import shutil
import sys
import time
from argparse import ArgumentParser

parser = ArgumentParser()
parser.add_argument("--driven_audio", default="./examples/driven_audio/bus_chinese.wav")
parser.add_argument("--source_image", default="./examples/source_image/full_body_1.png")
parser.add_argument("--ref_eyeblink", default=None)
parser.add_argument("--ref_pose", default=None)
parser.add_argument("--checkpoint_dir", default="./checkpoints")
parser.add_argument("--result_dir", default="./results")
parser.add_argument("--pose_style", type=int, default=0)
parser.add_argument("--batch_size", type=int, default=2)
parser.add_argument("--size", type=int, default=256)
parser.add_argument("--expression_scale", type=float, default=1.0)
parser.add_argument("--input_yaw", nargs="+", type=int, default=None)
parser.add_argument("--enhancer", type=str, default=None)
parser.add_argument("--background_enhancer", type=str, default=None)
parser.add_argument("--cpu", dest="cpu", action="store_true")
parser.add_argument("--face3dvis", action="store_true")
parser.add_argument("--still", action="store_true")
parser.add_argument("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
parser.add_argument("--verbose", action="store_true")
parser.add_argument("--old_version", action="store_true")
args = parser.parse_args()
mode = os.environ["STAND_IN"]

save_dir = os.path.join(args.result_dir, time.strftime("%Y_%m_%d_%H.%M.%S"))
os.makedirs(save_dir, exist_ok=True)
print("args", args)
if not os.path.isdir("src/config"):
    sys.exit("started outside the checkout")
print("3DMM Extraction for source image", flush=True)
if mode == "no face":
    print("Can't get the coeffs of the input")
    sys.exit(0)
if mode == "out of memory":
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
if mode == "hangs":
    time.sleep(600)
inner = os.path.join(save_dir, "face##speech.mp4")
shutil.copyfile(os.environ["SILENT" if mode == "silent" else "VIDEO"], inner)
print(f"The generated video is named {save_dir}/face##speech.mp4")
if mode != "loses it":
    shutil.move(inner, save_dir + ".mp4")
print("The generated video is named:", save_dir + ".mp4")
shutil.rmtree(save_dir)
