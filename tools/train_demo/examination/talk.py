"""Greetings, questions about the model, names told in the conversation, and sums that go on from the last one."""

import random

from .question import Question, Turn, number, word

GREETED = r"\b(hello|hi|hey|welcome|good (morning|afternoon|evening|day)|nice to (meet|see|hear)|help|do for you)\b"
FAREWELL = r"\b(bye|goodbye|see you|welcome|night|day|soon|glad|pleasure)\b"
GREETINGS = [
    ("Hiya!", GREETED),
    ("good afternoon", GREETED),
    ("howdy", GREETED),
    ("Hey there, how are things?", r"\b(fine|well|good|hello|hi|help)\b"),
    ("yo", GREETED),
    ("Good morning, little model.", GREETED),
    ("Hi, anybody home?", GREETED),
    ("Nice to meet you.", r"\b(nice|pleased|hello|hi|glad|help|you too)\b"),
    ("thx!", FAREWELL),
    ("Thank you, that was nice of you.", FAREWELL),
    ("Alright, I have to go now.", FAREWELL),
    ("cheers, see you around", FAREWELL),
]
SMALL = r"\b(small|tiny|little|demonstration|demo)\b"
NO_PERSON = r"\bnot? (a )?(human|person|alive|real)|program|model|computer"
ABLE = r"\b(add|sums?|stor(y|ies)|text|tools?|numbers)\b"
OVERSOLD = r"\b(sort|backwards|reverse|translate|program(me)?s? (in|for)|poems?|anything)\b"
ABOUT = [
    ("So what exactly are you?", SMALL),
    ("Is this ChatGPT?", r"\bno\b|" + SMALL),
    ("Are you the real Kimi K2?", r"\bno\b|" + SMALL),
    ("What model am I using here?", SMALL),
    ("Am I talking to a person?", NO_PERSON),
    ("do you have a body", NO_PERSON + r"|\bno\b"),
    ("How large is your network?", SMALL + "|million"),
    ("Which company is behind you?", r"kimi-cpu|project|" + SMALL),
    ("Tell me who built you.", r"kimi-cpu|project|trained"),
    ("Can I trust your answers?", SMALL + r"|\bno\b|mistakes"),
]
ABILITIES = [
    "What are you able to do?",
    "list your skills",
    "give me an example of what I could ask",
    "I am new here. Where do I start?",
    "what kind of questions can you handle",
    "how do i use this",
]
NOTHING_ASKED = ["test", "?", "asdf", "clear", "ok", "hm", "1 2 3", "exit", "..."]
TOLD = [
    ("Call me {name}, please.", "So how am I called?"),
    ("{name} here!", "do you still know my name?"),
    ("My friends call me {name}.", "Say my name."),
    ("Hello! I'm {name} from Bremen.", "Who is writing to you?"),
    ("You can call me {name}.", "what was my name again"),
]
KEPT = [
    ("My cat goes by the name of {name}.", "And how is my cat called?"),
    ("I have a daughter, she is called {name}.", "Tell me my daughter's name."),
    ("Remember the word {name}.", "Which word should you remember?"),
]
AT_ONCE = [
    "I am called {name}. How am I called?",
    "my name's {name}, can you repeat my name?",
    "Hi, {name} speaking. Who am I?",
]
NAMES = "Petra Jürgen Samira Wu Rahel Igor Beatrix Tobias Aisha Fergus Ingrid".split()
FOLLOWING = [
    ("{a} and {b} together are what?", lambda a, b: a + b, "and double that?", lambda x: 2 * x),
    ("I want {a} + {b} from you.", lambda a, b: a + b, "plus another 10", lambda x: x + 10),
    ("{a} lessened by {b}?", lambda a, b: a - b, "Take 3 off that.", lambda x: x - 3),
    ("How many are {a} and {b}?", lambda a, b: a + b, "now 5 more", lambda x: x + 5),
    ("{a} with {b} added?", lambda a, b: a + b, "What if you add 20 to it?", lambda x: x + 20),
    ("give me {a} minus {b}", lambda a, b: a - b, "two times that result?", lambda x: 2 * x),
    ("whats {a} and {b} summed", lambda a, b: a + b, "minus one", lambda x: x - 1),
    ("{a} add {b}", lambda a, b: a + b, "same again but subtract 4 from the result", lambda x: x - 4),
]


def questions() -> list[Question]:
    """Conversations without tools."""
    rng = random.Random("examination of talk")
    out = [Question("greetings", (Turn(text, (right,)),)) for text, right in GREETINGS]
    out += [Question("about the model", (Turn(text, (right,)),)) for text, right in ABOUT]
    out += [Question("about the model", (Turn(text, (ABLE,), (OVERSOLD,)),)) for text in ABILITIES]
    out += [
        Question("nothing asked", (Turn(text, (f"{GREETED}|{ABLE}|bye",), (OVERSOLD,), may_decline=True),))
        for text in NOTHING_ASKED
    ]
    names = iter(NAMES)
    for told, asked in TOLD + KEPT:
        name = next(names)
        first = Turn(told.format(name=name), (r"^[^?]{0,80}[.!?]",))
        out.append(Question("names", (first, Turn(asked, (word(name),)))))
    for text, name in zip(AT_ONCE, names, strict=True):
        out.append(Question("names", (Turn(text.format(name=name), (word(name),)),)))
    told, asked = TOLD[0]
    between = Turn("and what is 5 plus 8 by the way?", (number(13),))
    first = Turn(told.format(name="Olaf"), (r"^[^?]{0,80}[.!?]",))
    out.append(Question("names", (first, between, Turn(asked, (word("Olaf"),)))))
    for text, value, then, change in FOLLOWING:
        a, b = rng.randrange(30, 100), rng.randrange(11, 30)
        first = Turn(text.format(a=a, b=b), (number(value(a, b)),))
        out.append(Question("follow-ups", (first, Turn(then, (number(change(value(a, b))),)))))
    return out
