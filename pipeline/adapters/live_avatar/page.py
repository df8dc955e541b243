"""Live Avatar's own page, spoken to over HTTP as a browser would: gradio's interface, version 5 and later."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from pipeline.errors import GenerationError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    import httpx2

    from pipeline.request import GenerationRequest

FUNCTION = "generate_wrapper"
"""What the page calls when its button is pressed; gradio offers it under its name."""
PORTRAIT, SPEECH = "portrait", "speech"
"""What the files are called that are sent to it."""
_N_INPUTS, _N_OUTPUTS = 10, 2
_SAVED = re.compile(r"Video saved at: ")
_LOOK_S = 0.2
_ANSWER_LIMIT_S = 30.0
"""For what is answered at once; a video may take as long as the settings allow."""


class Page:
    """The page at a port of this machine.

    Parameters
    ----------
    port : int
        Where it is, or will be.
    """

    def __init__(self, port: int) -> None:
        import httpx2

        self.address = f"http://127.0.0.1:{port}"
        self._client = httpx2.Client(base_url=self.address, timeout=_ANSWER_LIMIT_S, trust_env=False)
        self._prefix = ""

    def answers(self) -> bool:
        """Return whether it answers at all."""
        import httpx2

        try:
            return self._client.get("/config").is_success
        except httpx2.TransportError:
            return False

    def wait_until_there(self, stop: threading.Event) -> None:
        """Return when it answers, or when told to stop.

        Raises
        ------
        GenerationError
            ``wrong_service`` if something else answers.
        """
        import httpx2

        while not stop.is_set():
            try:
                answer = self._client.get("/config")
            except httpx2.TransportError:
                time.sleep(_LOOK_S)
                continue
            self._prefix = self._find_prefix(answer)
            return

    def make(self, request: GenerationRequest, portrait: Path, sound: Path, num_clip: int) -> None:
        """Have it make a video, and wait for it.

        Parameters
        ----------
        request : GenerationRequest
            Steps, size and the like are taken from it.
        portrait, sound : Path
            Sent to it.
        num_clip : int
            Clips at most.

        Raises
        ------
        GenerationError
            ``crashed`` with its own words if it says that it failed, ``broken_off`` if it does not answer.
        """
        import httpx2

        try:
            inputs = [
                request.prompt,
                self._upload(portrait, PORTRAIT),
                self._upload(sound, SPEECH),
                num_clip,
                request.sample_steps,
                request.sample_guide_scale,
                request.infer_frames,
                request.size,
                request.base_seed,
                "euler",
            ]
            place = f"{self._prefix}/call/{FUNCTION}"
            call = self._client.post(place, json={"data": inputs}).raise_for_status().json()["event_id"]
            said = self._read_answer(f"{place}/{call}")
        except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise GenerationError(f"its page at {self.address} broke off: {error}", "broken_off") from None
        if _SAVED.search(said) is None:
            raise GenerationError(f"its page says: {said}")

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def _find_prefix(self, answer: httpx2.Response) -> str:
        """Return where gradio's interface begins, if the page is Live Avatar's and takes what is sent."""
        try:
            config = answer.raise_for_status().json()
            calls = [call for call in config["dependencies"] if call.get("api_name") == FUNCTION]
            (shape,) = {(len(call["inputs"]), len(call["outputs"])) for call in calls}
            if shape == (_N_INPUTS, _N_OUTPUTS):
                return str(config["api_prefix"])
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError):
            pass
        raise GenerationError(
            f"what answers at {self.address} is not Live Avatar's page as it was read ({FUNCTION} with {_N_INPUTS} inputs, "
            f"on gradio 5 or later): look at its minimal_inference/gradio_app.py, or set keep_warm to false",
            "wrong_service",
        )

    def _upload(self, path: Path, name: str) -> dict[str, Any]:
        with path.open("rb") as file:
            files = {"files": (f"{name}{path.suffix}", file)}
            answer = self._client.post(f"{self._prefix}/upload", files=files)
        (there,) = answer.raise_for_status().json()
        return {"path": there, "meta": {"_type": "gradio.FileData"}}

    def _read_answer(self, place: str) -> str:
        """Wait for the end of a call; return the words beside the video."""
        event = ""
        with self._client.stream("GET", place, timeout=None) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "complete":
                    return str(json.loads(value)[1])
                elif name == "data" and event == "error":
                    return f"an error, {value}" if value != "null" else "an error"
        raise ValueError("the answer ended before the video was there")
