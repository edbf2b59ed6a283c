"""Facts and the questions that they answer: fixed kinds, and sentences made of any verb and noun."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .words import (
    ANIMALS,
    CITIES,
    COLOURS,
    DAYS,
    FOODS,
    HOBBIES,
    JOBS,
    MONTHS,
    OBJECTS,
    ROOMS,
    city,
    code,
    invented,
    number_word,
    people,
    person,
)  # fmt: skip

Value = Callable[[random.Random], str]


@dataclass(frozen=True)
class Fact:
    """A statement, its subject, the value asked for, and questions."""

    statement: str
    subject: str
    value: str
    questions: tuple[str, ...]


def _time(rng: random.Random) -> str:
    hour = rng.randrange(1, 13)
    return rng.choice((f"{hour} o'clock", f"{hour} am", f"{hour} pm", f"{hour}:{rng.randrange(10, 60)}"))


def _day(rng: random.Random) -> str:
    return rng.choice((rng.choice(DAYS), f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"))


def _amount(rng: random.Random) -> str:
    return str(rng.randrange(2, rng.choice((20, 100, 1000, 10000))))


def _thing(rng: random.Random) -> str:
    return f"{rng.choice(COLOURS)} {rng.choice(OBJECTS)}"


def _one(*words: str) -> Value:
    return lambda rng: rng.choice(words)


MONEY = "coins euros dollars pounds".split()
# (statements, questions, value); {p} is whom or what it is about, {v} the value
PEOPLE_KINDS: list[tuple[list[str], list[str], Value]] = [
    (["{p} lives in {v}.", "{p} moved to {v}.", "The home of {p} is in {v}.", "{p} has a house in {v}."],
     ["Where does {p} live?", "In which city does {p} live?", "Where is the home of {p}?", "where can I find {p}",
      "Which city is {p} in?", "{p} lives where?"], city),
    (["{p} comes from {v}.", "{p} is from {v}.", "{p} was born in {v}."],
     ["Where does {p} come from?", "Where is {p} from?", "From where does {p} come?", "Where was {p} born?"], city),
    (["{p} works as a {v}.", "{p} is a {v}.", "{p} has a job as a {v}.", "{p} earns money as a {v}."],
     ["What is the job of {p}?", "What does {p} work as?", "What does {p} do for a living?", "What is {p}'s job?",
      "which job does {p} have"], lambda r: r.choice(JOBS)),
    (["{p} likes {v}.", "{p} loves {v}.", "{p} is fond of {v}."],
     ["What does {p} like?", "What does {p} love?", "What is {p} fond of?", "what is it that {p} likes"],
     lambda r: r.choice(HOBBIES + FOODS)),
    (["{p} has a {v}.", "{p} owns a {v}.", "{p} got a {v}.", "{p} carries a {v}."],
     ["What does {p} have?", "What does {p} own?", "What did {p} get?", "what thing has {p}"], _thing),
    (["The code of {p} is {v}.", "{p}'s code is {v}.", "{p} uses the code {v}."],
     ["What is the code of {p}?", "Which code does {p} have?", "What is {p}'s code?", "Give me the code of {p}.",
      "I need {p}'s code"], code),
    (["The password of {p} is {v}.", "{p}'s password is {v}.", "{p} has the password {v}."],
     ["What is the password of {p}?", "Tell me the password of {p}.", "What is {p}'s password?", "password of {p}?",
      "I forgot the password of {p}."], code),
    (["{p} is {v} years old.", "{p} is {v}.", "The age of {p} is {v}.", "{p} turned {v} this year."],
     ["How old is {p}?", "What is the age of {p}?", "What is {p}'s age?", "what age is {p}"],
     lambda r: str(r.randrange(3, 99))),
    (["The dog of {p} is called {v}.", "{p} has a dog called {v}.", "{p}'s dog is {v}."],
     ["What is the dog of {p} called?", "What is the name of {p}'s dog?", "What is {p}'s dog called?",
      "how does {p} call the dog"], person),
    (["{p} sits in the {v}.", "{p} is in the {v}.", "{p} sits at a table in the {v}."],
     ["Where does {p} sit?", "Where is {p}?", "In which room is {p}?", "where is {p} now"],
     lambda r: r.choice(ROOMS)),
    (["{p} went to the {v}.", "{p} is going to the {v}."],
     ["Where did {p} go?", "Where is {p}?", "To which place did {p} go?"],
     lambda r: r.choice(ROOMS)),
    (["The number of {p} is {v}.", "{p}'s phone number is {v}.", "Call {p} at {v}."],
     ["What is the number of {p}?", "What is {p}'s number?", "How do I call {p}?", "phone number of {p}?"], code),
    (["The favourite colour of {p} is {v}.", "{p}'s favourite colour is {v}."],
     ["What is the favourite colour of {p}?", "What is {p}'s favourite colour?", "Which colour does {p} like best?"],
     lambda r: r.choice(COLOURS)),
    (["{p}'s birthday is on {v}.", "{p} has birthday on {v}.", "{p} was born on {v}."],
     ["When is the birthday of {p}?", "When is {p}'s birthday?", "On which day was {p} born?"], _day),
    (["{p} arrives at {v}.", "{p} comes at {v}.", "{p} will be here at {v}."],
     ["When does {p} arrive?", "At what time does {p} come?", "When will {p} be here?"], _time),
    (["{p} is married to {v}."], ["Who is married to {p}?", "To whom is {p} married?"], person),
    (["{p} paid {v} for lunch.", "Lunch cost {p} {v}."],
     ["How much did {p} pay?", "What did {p} pay for lunch?", "what did lunch cost {p}"],
     lambda r: f"{_amount(r)} {r.choice(MONEY)}"),
    (["{p} earns {v} a day.", "{p} gets {v} a day for the work."],
     ["How much does {p} earn?", "What does {p} earn a day?"], lambda r: f"{_amount(r)} {r.choice(MONEY)}"),
    (["{p} can play the {v}.", "{p} is learning the {v}."],
     ["What does {p} play?", "Which instrument does {p} learn?", "what is {p} learning"],
     _one("violin", "piano", "guitar", "drum", "flute", "harp", "trumpet", "organ")),
    (["{p} drives a {v} car.", "{p}'s car is {v}.", "The car of {p} is {v}."],
     ["Which colour has the car of {p}?", "What colour is {p}'s car?", "What is the colour of {p}'s car?"],
     lambda r: r.choice(COLOURS)),
    (["{p} wears a {v} coat.", "The coat of {p} is {v}."],
     ["What colour does {p} wear?", "Which colour has {p}'s coat?"], lambda r: r.choice(COLOURS)),
]  # fmt: skip
THING_KINDS: list[tuple[list[str], list[str], Value]] = [  # {p} is "colour object"
    (["The {p} is in the {v}.", "You find the {p} in the {v}.", "I put the {p} in the {v}."],
     ["Where is the {p}?", "In which room is the {p}?", "Where do I find the {p}?", "where did I put the {p}"],
     lambda r: r.choice(ROOMS)),
    (["The {p} belongs to {v}.", "The owner of the {p} is {v}.", "The {p} is of {v}."],
     ["Who owns the {p}?", "To whom does the {p} belong?", "Whose {p} is it?", "Who has the {p}?"], person),
    (["The {p} costs {v}.", "The price of the {p} is {v}.", "We sell the {p} for {v}."],
     ["How much does the {p} cost?", "What is the price of the {p}?", "How much is the {p}?",
     "what must I pay for the {p}"],
     lambda r: f"{_amount(r)} {r.choice(MONEY)}"),
    (["The {p} is under the {v}.", "The {p} lies on the {v}.", "The {p} stands behind the {v}."],
     ["Where is the {p}?", "Where does the {p} lie?", "Where can I find the {p}?"], lambda r: r.choice(OBJECTS)),
    (["The {p} weighs {v} grams.", "The {p} has a weight of {v} grams."],
     ["How heavy is the {p}?", "What does the {p} weigh?"], _amount),
]  # fmt: skip
EVENTS = """meeting party concert train bus lesson match film dinner lunch flight wedding boat show market course class
    visit exam trip walk""".split()
EVENT_KINDS: list[tuple[list[str], list[str], Value]] = [  # {p} is an event
    (["The {p} starts at {v}.", "The {p} begins at {v}.", "The {p} is at {v}."],
     ["When does the {p} start?", "When does the {p} begin?", "At what time is the {p}?", "when is the {p}"], _time),
    (["The {p} is on {v}.", "The {p} takes place on {v}."],
     ["When is the {p}?", "On which day is the {p}?", "On what date does the {p} take place?"], _day),
    (["The {p} is in room {v}.", "Room {v} is for the {p}."],
     ["In which room is the {p}?", "What room is the {p} in?",
     "Where is the {p}?"], lambda r: str(r.randrange(1, 400))),
    (["The {p} leaves from platform {v}.", "The {p} goes from platform {v}."],
     ["From which platform does the {p} leave?", "Where does the {p} leave?", "what platform is the {p}"],
     lambda r: str(r.randrange(1, 30))),
    (["The {p} ends at {v}.", "The {p} is over at {v}."],
     ["When does the {p} end?", "When is the {p} over?"], _time),
    (["The {p} costs {v}.", "A ticket for the {p} is {v}."],
     ["How much is the {p}?", "What does the {p} cost?"], lambda r: f"{_amount(r)} {r.choice(MONEY)}"),
    (["{v} leads the {p}.", "The {p} is led by {v}."], ["Who leads the {p}?", "By whom is the {p} led?"], person),
    (["{v} invited us to the {p}."], ["Who invited us to the {p}?", "who was it that invited us to the {p}"], person),
]  # fmt: skip
# base, with he or she, past
VERBS = [
    v.split("/")
    for v in """feed/feeds/fed paint/paints/painted wash/washes/washed carry/carries/carried
    repair/repairs/repaired sell/sells/sold buy/buys/bought break/breaks/broke find/finds/found lose/loses/lost
    draw/draws/drew hide/hides/hid clean/cleans/cleaned watch/watches/watched visit/visits/visited help/helps/helped
    follow/follows/followed call/calls/called teach/teaches/taught invite/invites/invited see/sees/saw hear/hears/heard
    bring/brings/brought open/opens/opened close/closes/closed build/builds/built steal/steals/stole send/sends/sent
    cook/cooks/cooked eat/eats/ate drink/drinks/drank read/reads/read write/writes/wrote push/pushes/pushed
    pull/pulls/pulled hold/holds/held choose/chooses/chose forget/forgets/forgot like/likes/liked hate/hates/hated
    need/needs/needed win/wins/won throw/throws/threw catch/catches/caught borrow/borrows/borrowed""".split()
]
NOUNS = OBJECTS + ANIMALS + FOODS
ROLES = """captain driver guide winner teacher owner boss chef leader secretary mother father brother sister uncle aunt
    neighbour doctor manager author singer painter king queen president trainer cousin friend partner""".split()
FIELDS = """colour size price name weight height password number code owner address flavour title speed date length
    budget total room seat floor nickname email hobby street""".split()


def _fixed(rng: random.Random, kinds: list, subject: str) -> Fact:
    statements, questions, value = rng.choice(kinds)
    v = value(rng)
    return Fact(
        rng.choice(statements).format(p=subject, v=v), subject, v, tuple(q.format(p=subject) for q in questions)
    )


def about_person(rng: random.Random, subject: str) -> Fact:
    return _fixed(rng, PEOPLE_KINDS, subject)


def about_thing(rng: random.Random, subject: str) -> Fact:
    return _fixed(rng, THING_KINDS, subject)


def about_event(rng: random.Random, subject: str) -> Fact:
    return _fixed(rng, EVENT_KINDS, subject)


def action(rng: random.Random, subject: str) -> Fact:
    """Somebody does something to something, somewhere: who, what and where are asked for."""
    base, third, past = rng.choice(VERBS)
    noun = rng.choice(NOUNS) if rng.random() < 0.8 else invented(rng).lower()
    noun = (f"{rng.choice(COLOURS)} " if rng.random() < 0.3 else "") + noun
    where = rng.choice(("", "", f" in the {rng.choice(ROOMS)}", f" on {rng.choice(DAYS)}", f" in {rng.choice(CITIES)}"))
    verb, does = rng.choice(((third, "does"), (past, "did")))
    statement = f"{subject} {verb} the {noun}{where}."
    asks = [f"Who {verb} the {noun}?", f"What {does} {subject} {base}?", f"who was it that {verb} the {noun}"]
    if where:
        asks.append(f"{'When' if ' on ' in where else 'Where'} {does} {subject} {base} the {noun}?")
    return Fact(statement, subject, noun, tuple(asks))


def role(rng: random.Random, subject: str) -> Fact:
    """The subject, or somebody of it, has a role."""
    what = rng.choice(ROLES)
    form = rng.randrange(3)
    if form == 0:
        statement = rng.choice((f"{subject} is the {what}.", f"The {what} is {subject}.", f"Our {what} is {subject}."))
        return Fact(statement, subject, subject, (f"Who is the {what}?", f"What is the {what} called?",
                    f"Name the {what}.", f"What is the name of the {what}?"))  # fmt: skip
    other = person(rng)
    statement = rng.choice((f"{subject}'s {what} is {other}.", f"The {what} of {subject} is called {other}.",
                            f"{subject} has a {what}, {other}."))  # fmt: skip
    return Fact(statement, subject, other, (f"Who is {subject}'s {what}?", f"What is the {what} of {subject} called?",
                f"Name {subject}'s {what}.", f"Who is the {what} of {subject}?"))  # fmt: skip


def field(rng: random.Random, subject: str) -> Fact:
    """The something of something is something: any words."""
    what = rng.choice(FIELDS) if rng.random() < 0.7 else rng.choice(OBJECTS + ROLES)
    whose = rng.choice(
        (subject, f"the {rng.choice(OBJECTS + EVENTS)}", f"the {rng.choice(COLOURS)} {rng.choice(OBJECTS)}")
    )
    v = rng.choice((code, _amount, _thing, city, person, number_word, _time, _day))(rng)
    statement = rng.choice(
        (f"The {what} of {whose} is {v}.", f"{whose}'s {what} is {v}.", f"The {what} for {whose}: {v}.")
    )
    asks = (f"What is the {what} of {whose}?", f"What is {whose}'s {what}?", f"the {what} of {whose}?",
            f"Tell me the {what} of {whose}.", f"which {what} has {whose}",
            f"I want to know {whose}'s {what}.")  # fmt: skip
    return Fact(statement[0].upper() + statement[1:], whose, v, asks)


def facts(rng: random.Random, count: int) -> list[Fact]:
    """At most count facts, each about another subject; no question fits two of them. At times all are of one kind."""
    if rng.random() < 0.35:
        kinds, make = rng.choice(((PEOPLE_KINDS, people), (PEOPLE_KINDS, people), (THING_KINDS, _things)))
        kind = rng.choice(kinds)
        return [_fixed(rng, [kind], subject) for subject in make(rng, count)]
    out: list[Fact] = []
    asked: set[str] = set()
    for name, thing in zip(people(rng, count), _things(rng, count), strict=False):
        make = rng.choice(
            (about_person, about_person, about_person, action, action, role, field, about_thing, about_event)
        )
        subject = {about_thing: thing, about_event: rng.choice(EVENTS)}.get(make, name)
        fact = make(rng, subject)
        if not asked & set(fact.questions):
            asked |= set(fact.questions)
            out.append(fact)
    return out


def _things(rng: random.Random, count: int) -> list[str]:
    """Things that differ."""
    count = min(count, 200)
    things: dict[str, None] = {}
    while len(things) < count:
        things[f"{rng.choice(COLOURS)} {rng.choice(OBJECTS)}"] = None
    return list(things)
