"""The table of the fields of requests. Command line, Python, server, batches and plugin all have their fields from
here: names, types, bounds, defaults and help.

A field is known at the doors that it names, and a row says with its set of doors which it leaves out: objects and lists
cannot be typed as an option, and APIs of other owners (Responses, Messages) have the fields of their owners.
"""

from collections.abc import Mapping

from .field import Door, Field, Kind

MAX_LOGPROBS = 20  # OpenAI's limit of top_logprobs
MAX_SAMPLES = 128  # OpenAI's limit of n
MAX_PATTERN = 1024  # tokens of a pattern that repeats
NUM_SEEDS = 2**64  # a seed is taken modulo this: -1 is the seed 2^64 - 1
COMPLETION_TOKENS = 16  # OpenAI's max_tokens of completions where none is given
EFFORTS: dict[str, int | None] = {  # a level of effort: tokens of thinking, None for as many as the model wants
    "none": 0,
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    "high": None,  # K2 knows no levels; this is how it thinks
    "xhigh": None,
    "max": None,
}

EVERYWHERE = frozenset(Door)
TYPED = frozenset({Door.COMMAND_LINE, Door.SET, Door.PLUGIN})
FOREIGN = frozenset({Door.RESPONSES, Door.MESSAGES})  # their owners have fewer fields, or other ones
PYTHON = frozenset({Door.PYTHON_CHAT, Door.PYTHON_RAW})
RAW = frozenset({Door.COMPLETIONS, Door.PYTHON_RAW})
OURS = EVERYWHERE - FOREIGN
CHATS = OURS - RAW
HTTP = frozenset({Door.CHAT, Door.COMPLETIONS})

SAMPLING = (  # attributes of kimi_cpu.Sampling
    Field(
        name="max_tokens",
        kind=Kind.INTEGER,
        least=0,
        off="no limit",
        unset="no limit",
        aliases=("max_completion_tokens", "n_predict"),
        own={Door.RESPONSES: "max_output_tokens", Door.MESSAGES: "max_tokens"},
        flags=("-n", "--max-tokens"),
        help="Tokens to generate at most, thinking and answer together; -1 is no limit.",
        doors=EVERYWHERE,
    ),
    Field(
        name="temperature",
        kind=Kind.NUMBER,
        least=0,
        unset="as the model file says, or 1",
        flags=("--temp", "--temperature"),
        help="0 is greedy.",
        doors=EVERYWHERE,
    ),
    Field(
        name="top_p",
        kind=Kind.NUMBER,
        default=1.0,
        least=0,
        above=True,
        most=1,
        help="Nucleus; 1 is off.",
        doors=EVERYWHERE,
    ),
    Field(
        name="top_k",
        kind=Kind.INTEGER,
        default=0,
        least=0,
        off="off",
        help="Best K only; 0 and -1 are off.",
        doors=EVERYWHERE - {Door.RESPONSES},
    ),
    Field(
        name="min_p",
        kind=Kind.NUMBER,
        default=0.0,
        least=0,
        most=1,
        help="Share of the best; 0 is off.",
        doors=OURS,
    ),
    Field(
        name="repeat_penalty",
        kind=Kind.NUMBER,
        default=1.0,
        least=0,
        above=True,
        aliases=("repetition_penalty",),
        help="For tokens of prompt and answer; 1 is off.",
        doors=OURS,
    ),
    Field(
        name="presence_penalty",
        kind=Kind.NUMBER,
        default=0.0,
        least=-2,
        most=2,
        help="For tokens that the answer has; 0 is off.",
        doors=OURS,
    ),
    Field(
        name="frequency_penalty",
        kind=Kind.NUMBER,
        default=0.0,
        least=-2,
        most=2,
        help="For tokens, as often as the answer has them; 0 is off.",
        doors=OURS,
    ),
    Field(
        name="logit_bias",
        kind=Kind.BIAS,
        help="What is added to the logits of tokens.",
        doors=OURS - TYPED,
    ),
    Field(
        name="logprobs",
        kind=Kind.INTEGER,
        least=0,
        most=MAX_LOGPROBS,
        help="How many of the best tokens are told of with each token.",
        doors=RAW | PYTHON,  # nowhere to be shown on a terminal; a chat's has a row of its own
    ),
    Field(
        name="seed",
        kind=Kind.INTEGER,
        least=-(2**63),
        most=NUM_SEEDS - 1,
        unset="another one every time",
        help="For the same answer again; any integer is one, -1 too.",
        doors=OURS,
    ),
    Field(
        name="stop",
        kind=Kind.TEXTS,
        default=(),
        own={Door.MESSAGES: "stop_sequences"},
        help="End before this text.",
        doors=EVERYWHERE - {Door.RESPONSES},
    ),
    Field(
        name="ignore_eos",
        kind=Kind.FLAG,
        default=False,
        help="Go on after the end-of-text token.",
        doors=OURS,
    ),
    Field(
        name="repetition_detection",
        kind=Kind.FLAG_OR_OBJECT,
        unset="as the model file says",
        members=(  # vLLM's
            Field(
                name="min_pattern_size",
                kind=Kind.INTEGER,
                least=1,
                most=MAX_PATTERN,
                help="Tokens of a pattern at least.",
                doors=OURS,
            ),
            Field(
                name="max_pattern_size",
                kind=Kind.INTEGER,
                least=0,
                most=MAX_PATTERN,
                help="Tokens of a pattern at most; 0 is off.",
                doors=OURS,
            ),
            Field(
                name="min_count",
                kind=Kind.INTEGER,
                least=2,
                most=MAX_PATTERN,
                help="Copies of it, one right after the other.",
                doors=OURS,
            ),
        ),
        help="End an answer that repeats itself word for word.",
        doors=OURS,
    ),
)
THINKING = (  # all of them say how long to think
    Field(name="no_think", kind=Kind.FLAG, default=False, help="Close the thinking block at once.", doors=CHATS),
    Field(
        name="think_budget",
        kind=Kind.INTEGER,
        least=0,
        off="no limit",
        help="Tokens of thinking at most, then the answer; -1 is no limit.",
        doors=CHATS,
    ),
    Field(
        name="think_seconds",
        kind=Kind.NUMBER,
        least=0,
        help="Seconds of thinking at most, then the answer.",
        doors=CHATS,
    ),
    Field(
        name="reasoning_effort",
        kind=Kind.TEXT,
        choices=tuple(EFFORTS),
        help="A thinking budget by name; a budget in tokens or seconds comes first.",
        doors=CHATS,  # Responses: reasoning.effort; Messages: output_config.effort
    ),
    Field(
        name="thinking",
        kind=Kind.OBJECT,
        members=(
            Field(
                name="type",
                kind=Kind.TEXT,
                choices=("enabled", "disabled", "adaptive"),
                help="disabled closes the thinking at once.",
                doors=CHATS,
            ),
            Field(name="budget_tokens", kind=Kind.INTEGER, least=0, help="As think_budget.", doors=CHATS),
        ),
        help="Moonshot's and Anthropic's switch.",
        doors=CHATS - TYPED,  # Messages: with more members
    ),
    Field(
        name="reasoning",
        kind=Kind.OBJECT,
        members=(
            Field(name="effort", kind=Kind.TEXT, choices=tuple(EFFORTS), help="As reasoning_effort.", doors=CHATS),
            Field(name="max_tokens", kind=Kind.INTEGER, least=0, help="As think_budget.", doors=CHATS),
            Field(name="enabled", kind=Kind.FLAG, help="false closes the thinking at once.", doors=CHATS),
        ),
        help="OpenRouter's switch.",
        doors=CHATS - TYPED,  # Responses: with OpenAI's members
    ),
)
ANSWER = (  # the answer's form
    Field(
        name="tools",
        kind=Kind.OBJECTS,
        help="Functions that may be called, as in OpenAI's API.",
        doors=CHATS - TYPED,  # Responses, Messages: in their owners' form
    ),
    Field(
        name="tool_choice",
        kind=Kind.TEXT_OR_OBJECT,
        choices=("none", "auto", "required"),
        default="auto",
        help="Whether a tool is called, and which.",
        doors=CHATS - TYPED | {Door.RESPONSES},
    ),
    Field(
        name="parallel_tool_calls",
        kind=Kind.FLAG,
        default=True,
        help="A turn may make more than one call.",
        doors=CHATS - TYPED | {Door.RESPONSES},
    ),
    Field(
        name="response_format",
        kind=Kind.OBJECT,
        help='{"type": "text"}, {"type": "json_object"} with a schema or without, or OpenAI\'s json_schema.',
        doors=CHATS - TYPED,
    ),
    Field(
        name="template_kwargs",
        kind=Kind.OBJECT,
        aliases=("chat_template_kwargs",),
        help="Further variables of the chat template.",
        doors=CHATS - TYPED,
    ),
)
HEAVY = (
    Field(
        name="heavy",
        kind=Kind.INTEGER,
        default=1,
        least=1,
        most=MAX_SAMPLES,
        help="Trajectories side by side, on whose outcomes the model then reflects; 1 is off.",
        doors=CHATS,
    ),
)
SHAPE = (  # how an answer is told; it does not reach the model
    Field(
        name="messages",
        kind=Kind.OBJECTS,
        least=1,
        help="The conversation.",
        doors=frozenset({Door.CHAT}),
    ),
    Field(name="prompt", kind=Kind.PROMPT, help="What to go on with.", doors=frozenset({Door.COMPLETIONS})),
    Field(
        name="n",
        kind=Kind.INTEGER,
        default=1,
        least=1,
        most=MAX_SAMPLES,
        help="Answers to the same prompt; they have seed, seed + 1, …",
        doors=HTTP,  # a terminal shows one; Python has LLM.samples
    ),
    Field(name="stream", kind=Kind.FLAG, default=False, help="Send the answer as it comes.", doors=HTTP),
    Field(
        name="stream_options",
        kind=Kind.OBJECT,
        members=(
            Field(name="include_usage", kind=Kind.FLAG, default=False, help="Send usage at the end.", doors=HTTP),
            Field(
                name="include_obfuscation",
                kind=Kind.FLAG,
                default=False,
                help="Padding against listeners; without effect.",
                doors=HTTP,
            ),
        ),
        help="Of a stream.",
        doors=HTTP,
    ),
    Field(
        name="return_progress",
        kind=Kind.FLAG,
        default=False,
        help="Send prompt_progress while a long prompt is computed.",
        doors=HTTP,
    ),
    Field(
        name="echo",
        kind=Kind.FLAG,
        default=False,
        help="Repeat the prompt before the text.",
        doors=frozenset({Door.COMPLETIONS}),
    ),
    Field(
        name="logprobs",
        kind=Kind.FLAG,
        default=False,
        help="Tell of each token's log-probability.",
        doors=frozenset({Door.CHAT}),
    ),
    Field(
        name="top_logprobs",
        kind=Kind.INTEGER,
        least=0,
        most=MAX_LOGPROBS,
        help="How many of the best tokens are told of with each token.",
        doors=frozenset({Door.CHAT}),
    ),
)
FIELDS = (*SAMPLING, *THINKING, *ANSWER, *HEAVY, *SHAPE)

WITHOUT_EFFECT = frozenset(  # change no answer: labels, billing, hints for caches
    {
        "cache_control",
        "cache_prompt",
        "diagnostics",
        "inference_geo",
        "metadata",
        "model",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "request_id",
        "safety_identifier",
        "service_tier",
        "speed",
        "store",
        "user",
        "user_profile_id",
        "workspace_id",
    }
)
FIXED: Mapping[Door, Mapping[str, tuple]] = {  # features there is only one way of: what may be said of them
    Door.CHAT: {"modalities": (["text"],), "verbosity": ("medium",), "functions": ([],)},
    Door.COMPLETIONS: {"best_of": (1,), "suffix": ("",)},
}


def fields_at(door: Door) -> dict[str, Field]:
    """Every name that a door knows, aliases too, and its field."""
    return {name: f for f in FIELDS if door in f.doors for name in f.names(door)}
