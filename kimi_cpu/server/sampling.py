"""The sampling fields that OpenAI's endpoints share, and llama.cpp's and vLLM's beside them."""

from typing import Any

from pydantic import Field, model_validator

from ..llm.openai import MAX_SAMPLES
from .fields import Body


class StreamOptions(Body):
    """include_obfuscation pads events against a listener on the network; the server has none to fear on loopback."""

    include_usage: bool = False
    include_obfuscation: bool = False


class SamplingBody(Body):
    """What may be asked of the sampler. Values are checked where they are used: by kimi_cpu.Sampling."""

    temperature: float | None = Field(None, description="0 is greedy. Default 1.")
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = Field(None, description="vLLM's name of repeat_penalty.")
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool | None = None
    n: int = Field(1, ge=1, le=MAX_SAMPLES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    return_progress: bool = Field(False, description="Send prompt_progress while a long prompt is computed.")

    @model_validator(mode="after")
    def _check(self):
        if self.repetition_penalty is not None:
            if self.repeat_penalty is not None:
                raise ValueError("repeat_penalty and repetition_penalty are the same; give one.")
            self.repeat_penalty = self.repetition_penalty
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only for streams; set stream, or leave it out.")
        return self

    def given(self) -> dict[str, Any]:
        """Fields that the request gives and that are not null."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage
