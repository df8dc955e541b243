"""Stands in for Wav2Lip's inference.py at 5c90fa9: its flags, its fixed names, its words, its ways to fail."""

import argparse
import os
import time

import cv2
from film import length_of, note_arguments, write_film

parser = argparse.ArgumentParser()
parser.add_argument("--checkpoint_path", type=str, required=True)
parser.add_argument("--face", type=str, required=True)
parser.add_argument("--audio", type=str, required=True)
parser.add_argument("--outfile", type=str, default="results/result_voice.mp4")
parser.add_argument("--static", type=bool, default=False)
parser.add_argument("--fps", type=float, default=25.0)
parser.add_argument("--pads", nargs="+", type=int, default=[0, 10, 0, 0])
parser.add_argument("--face_det_batch_size", type=int, default=16)
parser.add_argument("--wav2lip_batch_size", type=int, default=128)
parser.add_argument("--resize_factor", default=1, type=int)
parser.add_argument("--crop", nargs="+", type=int, default=[0, -1, 0, -1])
parser.add_argument("--box", nargs="+", type=int, default=[-1, -1, -1, -1])
parser.add_argument("--rotate", default=False, action="store_true")
parser.add_argument("--nosmooth", default=False, action="store_true")
args = parser.parse_args()
note_arguments(args)
mode = os.environ["STAND_IN"]

print("Using cuda for inference.")
if not os.path.isfile(args.face):
    raise ValueError("--face argument must be a valid path to video/image file")
if args.face.split(".")[1] in ["jpg", "png", "jpeg"]:
    frame, fps, n_frames = cv2.imread(args.face), args.fps, 1
else:
    stream = cv2.VideoCapture(args.face)
    fps, n_frames = stream.get(cv2.CAP_PROP_FPS), int(stream.get(cv2.CAP_PROP_FRAME_COUNT))
    print("Reading video frames...")
    frame = stream.read()[1]
    frame = cv2.resize(frame, (frame.shape[1] // args.resize_factor, frame.shape[0] // args.resize_factor))
    top, bottom, left, right = args.crop
    frame = frame[top : frame.shape[0] if bottom == -1 else bottom]
    frame = frame[:, left : frame.shape[1] if right == -1 else right]
print(f"Number of frames available for inference: {n_frames}")
sound_s = length_of(args.audio)
n_columns = int(sound_s * 16000) // 200 + 1
print((80, n_columns))
n_chunks = 1
while int((n_chunks - 1) * 80.0 / fps) + 16 <= n_columns:
    n_chunks += 1
print(f"Length of mel chunks: {n_chunks}")


def look_for_face():
    """Look for the face as it does, in ever smaller batches."""
    batch_size = args.face_det_batch_size
    while 1:
        try:
            if mode == "out of memory":
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.37 GiB")
            if mode == "broken driver":
                raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
        except RuntimeError:
            if batch_size == 1:
                raise RuntimeError(  # noqa: B904 - as it does
                    "Image too big to run face detection on GPU. Please use the --resize_factor argument"
                )
            batch_size //= 2
            print(f"Recovering from OOM error; New batch size: {batch_size}")
            continue
        break
    if mode == "no face":
        raise ValueError("Face not detected! Ensure the video contains a face in all the frames.")


if args.box[0] == -1:
    look_for_face()
else:
    print("Using the specified bounding box instead of face detection...")
print(f"Load checkpoint from: {args.checkpoint_path}")
if mode == "lfs":
    raise RuntimeError("_pickle.UnpicklingError: invalid load key, 'v'.")
print("Model loaded", flush=True)
if mode == "hangs":
    time.sleep(600)
with open("temp/result.avi", "x") as pictures:  # its fixed name: a second run at once would find it there
    pictures.write("frames")
if mode == "no ffmpeg":
    print("/bin/sh: 1: ffmpeg: not found")  # nobody looks at its status, and the exit status is 0
else:
    write_film(
        args.outfile,
        n_frames=n_chunks // 2 if mode == "cut off" else n_chunks,
        fps=fps,
        size=(frame.shape[1] & -2, frame.shape[0] & -2),  # as OpenCV writes it
        sound_s=0 if mode == "silent" else sound_s,
    )
