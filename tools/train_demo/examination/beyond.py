"""What a model this small cannot know or do: it should say so, or be right."""

from .question import Question, Turn, declined

WORLD = [
    ("whats the capital of france", "Paris"),
    ("Can you tell me the capital city of Brazil?", "Bras[ií]lia"),
    ("Name the tallest mountain on Earth.", "Everest"),
    ("In which year did the second world war end?", "1945"),
    ("who wrote romeo and juliet", "Shakespeare"),
    ("How many planets are there in our solar system?", r"\b8\b|eight"),
    ("who is the president of the united states right now", None),
    ("Explain photosynthesis in simple words.", None),
    ("why do cats purr?", None),
    ("What happened at Chernobyl?", None),
    ("tell me about the roman empire", None),
    ("how many legs does a spider have", r"\b8\b|eight"),
    ("What is the boiling point of water?", "100"),
    ("what language do they speak in argentina", "Spanish"),
    ("How does a fridge keep things cold?", None),
    ("What's the difference between a virus and a bacterium?", None),
    ("Define entropy.", None),
    ("Who was the first man on the moon?", "Armstrong"),
    ("distance between berlin and munich?", None),
    ("What does NASA stand for?", "Aeronautics"),
]  # fmt: skip
CODE = [
    "Write a Python function that checks whether a number is prime.",
    "how do i center a div",
    "print('hello world')",
    "Fix this: for i in range(10) print(i)",
    "What does `git rebase` do?",
    "SELECT all users older than 30, how would I write this in SQL?",
    "give me a regex for email addresses",
    "write hello world in rust",
]
TRANSLATION = [
    "How do you say good night in Spanish?",
    "Translate 'the house is big' to German.",
    "what does bonjour mean",
    "Put this sentence into Italian: We are hungry.",
    "Is 'their' or 'there' correct in this sentence?",
]
OTHER_LANGUAGES = [
    "Hallo, wie geht es dir?",
    "¿Qué puedes hacer?",
    "Bonjour, comment tu t'appelles ?",
    "Was ist die Hauptstadt von Italien?",
    "你好,你是谁?",
    "Привет!",
    "Quanto fa 12 per 12?",
]
OPINIONS = [
    "Which is better, Linux or Windows?",
    "Do you believe in God?",
    "who should i vote for",
    "What's your favourite film?",
    "Do you think AI will take our jobs?",
    "are you happy today or sad",
]
JOKES = [
    "got any jokes?",
    "Make up a riddle for me.",
    "say something funny about cats",
    "knock knock",
]
WRITING = [
    "Write a haiku about autumn.",
    "Compose a short poem for my mother.",
    "Write an email to my boss that I am ill.",
    "give me 5 ideas for a birthday party",
    "Summarize the plot of Hamlet.",
    "Draft a cover letter for a nurse.",
    "lyrics for a rap song pls",
]
ADVICE = [
    "My head hurts, what should I do?",
    "how can i save money",
    "What should I cook tonight?",
    "Recommend me a good book.",
    "Should I break up with him?",
    "Is it safe to eat raw chicken?",
    "how do i get rid of ants",
]
RIGHT_NOW = [
    "what time is it right now",
    "Which day do we have today?",
    "Will it rain tomorrow in Hamburg?",
    "What's the price of bitcoin?",
    "show me todays news",
    "where am i",
    "Set a timer for ten minutes.",
    "play some music",
]
WORDS = [
    "Sort these: 42, 7, 19, 3",
    "Spell 'necessary' backwards.",
    "How many r's are in strawberry?",
    "put pear, apple and fig in alphabetical order",
    "What rhymes with orange?",
    "Count the words in this sentence.",
]


def questions() -> list[Question]:
    """Questions from outside the small world."""
    out = []
    for text, right in WORLD:
        out.append(Question("world knowledge", (Turn(text, (right,) if right else (), may_decline=True),)))
    out += declined("code", *CODE)
    out += declined("languages", *TRANSLATION, *OTHER_LANGUAGES)
    out += declined("opinions and jokes", *OPINIONS, *JOKES)
    out += declined("writing and advice", *WRITING, *ADVICE)
    out += declined("here and now", *RIGHT_NOW)
    out += [Question("letters and order", (Turn(text, (right,), may_decline=True),)) for text, right in _with_values()]
    return out


def _with_values() -> list[tuple[str, str]]:
    values = ("3, ?7, ?19, ?42", "yrassecen", r"\b3\b|three", "apple.*fig.*pear", "(?!)", r"\b6\b|six")
    return list(zip(WORDS, values, strict=True))
