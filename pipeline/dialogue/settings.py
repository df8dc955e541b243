"""How a conversation is set up."""

from __future__ import annotations

from pydantic import Field, JsonValue

from pipeline.dialogue.word_filter import FilterSettings
from pipeline.fallback import BackendSettings
from pipeline.options import PlainData


class ConversationSettings(PlainData):
    """Who hears, answers and speaks, and who makes the video.

    Attributes
    ----------
    generator : str
        Name of the generator behind.
    generator_settings : dict
        Its own settings.
    device : str or None
        Device of the generator behind, where it has a setting for one; goes before the one in `generator_settings`.
    recognisers, answerers, voices : list of BackendSettings
        Who hears, answers and speaks, in the order in which they are asked.
    documents : str or None
        Folder of the user's documents.
    n_passages : int
        Passages that an answerer is shown.
    words : FilterSettings or None
        Words that are never spoken.
    emotion : bool
        Whether the emotion of the answer becomes style words of the prompt.
    """

    generator: str = Field(min_length=1, description="name of a generator")
    generator_settings: dict[str, JsonValue] = Field(
        default_factory=dict, description="setting names to plain values"
    )
    device: str | None = Field(default=None, min_length=1, description="as torch names it: cpu, cuda:0")
    recognisers: tuple[BackendSettings, ...] = Field(
        default=(BackendSettings(name="pocketsphinx"),),
        min_length=1,
        description="a list of at least one backend",
    )
    answerers: tuple[BackendSettings, ...] = Field(
        default=(BackendSettings(name="documents"),),
        min_length=1,
        description="a list of at least one backend",
    )
    voices: tuple[BackendSettings, ...] = Field(
        default=(BackendSettings(name="espeak-ng"),),
        min_length=1,
        description="a list of at least one backend",
    )
    documents: str | None = Field(default=None, min_length=1, description="path of a folder")
    n_passages: int = Field(default=3, ge=1, le=20, description="a whole number from 1 to 20")
    words: FilterSettings | None = Field(default=None, description="path, action, replacement, instead")
    emotion: bool = Field(default=True, description="true or false")
