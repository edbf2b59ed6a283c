"""Stories that strangers ask for."""

from .question import Question, Turn

HEROES = [
    ("I'd love a tale about {x}.", "a hedgehog"),
    ("story about {x}", "a shy dragon"),
    ("Can I have a bedtime story with {x} in it?", "an owl"),
    ("Make up a story in which {x} gets lost.", "a puppy"),
    ("tell a tale of {x}", "a brave knight"),
    ("My daughter wants to hear about {x}, tell her something.", "a dolphin"),
    ("Write me something about {x} and {y}.", "a mouse", "a lion"),
    ("a fairy tale with {x} please", "a princess"),
    ("Invent something for the kids with {x} and {y} in it!", "a robot", "a cat"),
    ("Story time! {x}.", "A penguin"),
    ("do you know a story about {x}", "a sailor"),
    ("Once more a story, this time of {x}.", "a squirrel"),
    ("tell me smth about {x}, as a story", "a giant"),
    ("Let's have a story about {x}.", "a tiny bee"),
    ("I want a very short story about {x}", "a whale"),
    ("Please invent a nice little story for the kids: {x}", "a kitten"),
]
FREE = [
    "story please",
    "Make up any story you like.",
    "Got a bedtime story for my son?",
    "Can you write stories? Show me one.",
]
UNKNOWN_HEROES = [
    ("Make up a story about {x}.", "a spaceship"),
    ("I'd love a tale about {x}.", "Napoleon"),
    ("story about {x}", "a haunted laptop"),
]


def questions() -> list[Question]:
    """Requests for stories. One about somebody from outside the small world may be declined."""
    out = []
    for text, *heroes in HEROES:
        out.append(_story(text.format(**dict(zip("xy", heroes, strict=False))), *heroes))
    out += [_story(text) for text in FREE]
    for text, hero in UNKNOWN_HEROES:
        out.append(_story(text.format(x=hero), hero, may_decline=True))
    return out


def _story(text: str, *heroes: str, may_decline: bool = False) -> Question:
    names = tuple(rf"\b{hero.split()[-1]}s?\b" for hero in heroes)
    return Question("stories", (Turn(text, names, may_decline=may_decline, is_story=True),))
