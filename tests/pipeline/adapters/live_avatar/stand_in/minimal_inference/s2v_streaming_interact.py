"""A stand-in for Live Avatar's entry point for one video."""

from __future__ import annotations

import logging
from pathlib import Path

import model
from arguments import make_parser, validate


def main() -> None:
    parser = make_parser()
    for name in ("enable_online_decode", "fp8"):
        parser.add_argument(f"--{name}", action="store_true", default=False)
    args = validate(parser.parse_args())
    model.begin()
    save_rank = model.load(args)
    logging.info("Generating video ...")
    n_frames = model.denoise(args, args.image, args.audio, args.num_clip, save_rank)
    model.say("denoising video done")
    model.say(f"rank: {model.RANK}")
    if save_rank == model.RANK:
        path = args.save_file
        if path is None or {"elsewhere", "hidden", "two"} & model.FAULTS.keys():
            folder = args.save_dir or "./output/"
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = folder + model.default_name(args, args.prompt)
        logging.info("Saving generated video to %s", path)
        model.save(Path(path), args, args.image, args.audio, n_frames)
        if "two" in model.FAULTS:
            Path("output/another.mp4").write_bytes(Path(path).read_bytes())
    if "leaves" in model.FAULTS:
        model.start_sleeper()
    logging.info("Finished.")


if __name__ == "__main__":
    main()
