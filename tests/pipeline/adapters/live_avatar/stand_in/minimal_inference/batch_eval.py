"""A stand-in for Live Avatar's entry point for several videos: one load, no fp8, no online decoding."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import model
import yaml
from arguments import make_parser, validate


def main() -> None:
    parser = make_parser()
    parser.add_argument("--sample_list", type=str, default=None, required=True)
    args = validate(parser.parse_args())
    model.begin()
    from PIL import Image

    Image.open(args.image).close()  # it looks at a portrait that it does not use
    save_rank = model.load(args)
    logging.info("Loading sample list from %s", args.sample_list)
    samples = yaml.safe_load(Path(args.sample_list).read_text("utf-8"))
    logging.info("Loaded %d samples", len(samples))
    for number, (name, sample) in enumerate(samples.items(), start=1):
        logging.info("Processing sample %d/%d: %s", number, len(samples), name)
        logging.info("Generating video for sample %d: %s", number, name)
        if "die" in model.FAULTS and int(model.FAULTS["die"]) == number:
            os.abort()
        model.FAULTS = dict(model.FAULTS)
        at = model.FAULTS.pop("at", None)
        faults = model.FAULTS
        if at is not None and int(at) != number:
            model.FAULTS = {}
        try:
            n_frames = model.denoise(args, sample["image"], sample["audio"], sample["num_clip"], save_rank)
        except Exception as error:
            logging.error("Error processing sample %d (%s): %s", number, name, error)  # noqa: TRY400 - as it does
            raise
        logging.info("Denoising video done for sample %d", number)
        model.say(f"rank: {model.RANK}")
        if save_rank == model.RANK:
            Path(args.save_dir).mkdir(parents=True, exist_ok=True)
            path = args.save_dir + model.default_name(args, sample["prompt"], f"sample_{number:04d}_")
            logging.info("Saving generated video to %s", path)
            model.save(Path(path), args, sample["image"], sample["audio"], n_frames)
        model.meet(f"saved-{number}")
        model.FAULTS = {**faults, "at": at} if at is not None else faults
        logging.info("Successfully completed sample %d: %s", number, name)
    logging.info("Finished.")


if __name__ == "__main__":
    main()
