"""Everyday talk and small stories, built of clauses, relations and rows; each end of what they say is asked for."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from .example import a, cap, series
from .outside import listed
from .relations import Fact
from .words import (
    ANIMALS,
    BOYS,
    CITIES,
    COLOURS,
    DAYS,
    FOODS,
    GIRLS,
    HOBBIES,
    JOBS,
    MONTHS,
    NUMBERS,
    OBJECTS,
    ROOMS,
    accented,
    invented,
)

Unit = tuple[str, list[Fact]]  # a sentence of the text (or two that hang together), and what it says


class Full(Exception):
    """No word of a kind is left that the text does not have."""


RELATIVES = """sister brother mother father aunt uncle cousin grandmother grandfather daughter son wife husband niece
    nephew boss neighbour teacher colleague friend dentist landlord roommate coach trainer""".split()
ROLES = """baker|teacher|doctor|nurse|driver|waiter|cook|gardener|painter|plumber|butcher|tailor|postman|farmer|guide|
    captain|manager|secretary|librarian|cashier|caretaker|singer|pilot|barber|policeman|clerk|mechanic|judge|mayor|king|
    queen|tourist|student|hunter|sailor|fisherman|knight|shepherd|old man|old woman|young man|little girl|tall boy|
    new pupil|old lady|stranger|landlady|electrician|hairdresser|reporter|lawyer|actor"""
HEADS = "man woman girl boy lady child guest customer passenger pupil visitor worker".split()
MARKS = """with the {c} hat|with the {c} coat|with the {c} scarf|with the {c} umbrella|with the {c} bag|
    in the {c} dress|
    in the {c} jacket|in the {c} shirt|with the {c} glasses|in the {c} car|with the long hair|with the beard|
    with the short hair|with the big dog|with the two children|next door|from the first floor|by the window|
    at the counter|who sells flowers|who lives upstairs|who lives across the street|who came late|who always laughs|
    who never sleeps|who speaks six languages|who drives the tractor|who lost an umbrella|that sings at night|
    who sits at the door|whose car is {c}|whose house is {c}"""
THINGS = sorted(
    {
        *OBJECTS,
        *"""sofa desk radio television laptop tablet suitcase backpack wallet passport vase carpet curtain helmet tent
    torch saw drill pan pot kettle fridge oven stove fork jug tray teapot toy puzzle calendar diary newspaper magazine
    dictionary necklace bracelet watch belt shirt jacket skirt sweater sock boot sandal scooter skateboard sledge canoe
    wheelbarrow shovel rake hose lawnmower printer keyboard camera microphone speaker charger cable battery bulb poster
    painting statue fan heater mattress cushion wardrobe shelf bench stool trunk parcel envelope stamp postcard notebook
    ruler eraser stapler folder telescope microscope whistle trumpet cello harp accordion tennis racket football bicycle
    motorbike tractor van trailer tyre wheel engine door window fence gate roof""".split(),
    }
    - {"tennis", "racket", "football"}
)
DISHES = """soup|salad|fish|pizza|steak|chicken|spaghetti|rice|a sandwich|a burger|an omelette|pancakes|ice cream|
    lasagne|curry|sushi|noodles|dumplings|a pie|potatoes|sausages|a cheese cake|goulash|risotto|mushrooms|fried eggs|
    tomato salad|roast beef|lamb|duck|an apple cake|waffles|chocolate pudding|fruit salad|beans|shrimps|trout|a kebab|
    onion soup|porridge|meatballs|a stew|a croissant|falafel"""
DRINKS = """tea|coffee|water|lemonade|orange juice|apple juice|milk|wine|beer|cocoa|a cola|a smoothie|mint tea|iced tea|
    tomato juice|a milkshake|cider|a cappuccino|an espresso|hot chocolate"""
INSTRUMENTS = """violin piano guitar flute drums trumpet cello harp clarinet organ saxophone accordion banjo oboe tuba
    viola trombone harmonica""".split()
LANGUAGES = """French Spanish Italian German Polish Russian Greek Turkish Arabic Chinese Japanese Korean Dutch Swedish
    Danish Norwegian Finnish Hungarian Czech Portuguese Hindi Latin Hebrew Swahili Thai""".split()
GAMES = """chess tennis football golf cards hockey basketball volleyball badminton rugby cricket dominoes darts
    billiards handball squash baseball snooker draughts""".split()
VEHICLES = "bus train car bike tram taxi boat plane ferry ship scooter helicopter van coach motorbike metro".split()
SHOPS = """bakery library bank museum pharmacy cinema bookshop supermarket restaurant zoo gym pool castle post_office
    town_hall flower_shop toy_shop shoe_shop market theatre gallery school office hospital clinic café hotel
    hairdresser swimming_pool garage kiosk butcher's tourist_office sports_hall""".replace("_", "~").split()
PLACES = """park|beach|station|harbour|airport|church|lake|forest|market|bridge|stadium|castle|river|village hall|
    bus stop|city centre|square|old town|mountain hut|fire station|university|playground|camp site|cemetery|tower"""
SPOTS = """in the drawer|on the table|under the bed|behind the door|on the shelf|in the fridge|next to the lift|
    on the windowsill|in the glove box|under the doormat|in the blue bag|on top of the wardrobe|behind the sofa|
    between two books|in the cellar|in the attic|in the shed|in the hall|beside the stove|above the fireplace|
    near the entrance|in the garage|on the balcony|under the stairs|in the laundry basket|in the inside pocket|
    at the reception|on the back seat|in front of the house|behind the church|under the old oak|by the well|
    in the third locker|on the piano|inside the teapot|in the top left drawer|on the lower shelf|
    in the bathroom cabinet|
    opposite the bank|on the kitchen counter|in the corner|outside the gate|on the roof|in the boot of the car"""
EVENTS = """meeting|party|concert|lesson|match|film|dinner|lunch|wedding|show|course|exam|trip|walk|picnic|race|play|
    interview|conference|choir practice|parents' evening|flea market|auction|workshop|guided tour|piano lesson|
    yoga class|
    book club|football match|chess tournament|birthday party|graduation|exhibition|rehearsal|barbecue|quiz night|
    swimming lesson|school trip|fire drill|dance class|board meeting|lecture|driving test|first aid course|opera|fair"""
TRAINS = """train|bus|flight|ferry|tram|night train|coach|boat|plane|express train|school bus|shuttle|last bus|
    first train|
    airport bus|early train|night bus"""
TOOLS = """hammer|knife|saw|screwdriver|rope|wire|spoon|brush|drill|needle|stick|pair of scissors|sponge|pencil|
    glue gun|
    spade|broom|towel"""
MATERIALS = """wood glass steel silk cotton wool gold silver leather paper plastic stone clay rubber iron bamboo marble
    copper cardboard wax velvet brick concrete linen""".split()
TOPICS = """the weather|the rent|the new job|the holidays|the noise|the exam|the garden|the accident|politics|the bill|
    the wedding|the old days|the heating|music|the broken window|the journey|the prices|the football match"""
OCCASIONS = """birthday|wedding|graduation|anniversary|name day|Christmas party|housewarming|farewell"""
PLURALS = """apples eggs tickets books chairs pencils stamps roses oranges candles plates postcards bananas cookies
    lemons balloons bottles socks cups pears coins buttons shirts tomatoes onions carrots sandwiches boxes flowers
    muffins melons potatoes letters parcels towels blankets bulbs batteries tulips rolls""".split()
PETS = """cat dog hamster parrot rabbit turtle pony goldfish guinea_pig canary horse snake lizard goat donkey mouse duck
    ferret budgie puppy kitten""".replace("_", "~").split()
PET_NAMES = """Minka Rex Bello Fluffy Coco Luna Tiger Snowy Rusty Pepper Ginger Max Daisy Buddy Molly Charlie Oreo Misty
    Shadow Biscuit Pumpkin Muffin Cleo Felix Bruno Lucky Nero Pixie Toffee Simba Rocky Bubbles Caesar Olga Waldo
    Socks""".split()
TEAMS = """Lions Tigers Eagles Sharks Wolves Bears Hawks Bulls Rovers United Rangers Falcons Dragons Panthers Comets
    Giants Pirates Vikings Hornets Foxes""".split()
FAMILY = """sister brother mother father aunt uncle cousin grandmother grandfather daughter son wife husband niece
    nephew boss neighbour teacher best~friend roommate godmother manager coach""".split()
TROUBLES = [  # (state, reasons)
    ("late", "the bus broke down|the alarm did not ring|the train stopped in a tunnel|the road was closed|the car had "
    "a "
     "flat tyre|there was a traffic jam|the key was lost|the clock was wrong|the dog ran away"),
    ("sad", "the cat ran away|the holidays were over|the team lost|the cake fell on the floor|nobody called|the letter "
     "did not come|it rained all week"),
    ("tired", "the baby cried all night|the music was loud all night|the walk was very long|the work took until "
    "midnight|"
     "the bed was too hard|the neighbours had a party"),
    ("happy", "the exam went well|the sun came out|the parcel came at last|the team won|grandmother came to "
    "visit|school "
     "was closed|the lost ring was found"),
    ("angry", "someone took the last cake|the neighbours were loud|the printer did not work|the soup was cold|the "
    "window "
     "was broken|the shop was closed|the prices went up"),
    ("ill", "the fish was bad|the water was dirty|the office was too cold|the whole class had a cold"),
    ("wet", "the roof leaks|the umbrella broke|it rained hard|the boat turned over|the pipe burst"),
    ("at home", "the office is closed|the leg is broken|the plumber is coming|the train does not run|there is too much "
     "snow"),
    ("hungry", "the fridge was empty|there was no lunch|the canteen was closed|the bread was gone"),
    ("nervous", "the exam is tomorrow|the plane shook|the boss wanted to talk|the interview starts soon"),
]  # fmt: skip
THING_TROUBLES = [
    ("closed", "the owner is on holiday|the heating is broken|there is a strike|the floor is being cleaned|the roof is "
     "leaking|it is a public holiday|a pipe burst"),
    ("empty", "everybody is on holiday|the children ate everything|the thieves took everything|nobody wanted to come"),
    ("broken", "it fell from the table|a child stepped on it|the water froze|a ball hit it|it was too old|lightning "
     "struck"),
    ("cheap", "it has a scratch|nobody wants it|it is very old|the colour has faded"),
    ("dirty", "it lay in the mud|the dog slept on it|nobody cleaned it|it stood in the rain"),
    ("late", "there was snow on the road|the driver was ill|the bridge was closed|there was a storm|the engine failed"),
]  # fmt: skip
DISTRACTORS = """The weather was nice.|It rained a little in the evening.|Nothing else happened that day.|
    It was a long week.|That is all for now.|Everybody was in a good mood.|More about this later.|
    The birds were singing outside.|It was getting dark.|Nobody complained.|As always, there was a lot to do.|
    The coffee was too hot, as usual.|It is a quiet street.|What a day!|I hope all is well.|Life goes on.|
    The children laughed a lot.|Some things never change.|There was music everywhere.|Winter is coming.|
    We will see what happens.|It could be worse.|By then everyone was tired.|The sun was shining.|You know how it is.|
    Dear all, here is the news.|Hi, just a short note.|Good to hear from you!|Once again it was a busy day.|
    It was a small town and people talked.|Long ago things were different.|The old clock ticked.|The soup smelled good.|
    I like it here.|Please do not tell anybody.|Sorry for the long message.|See you soon.|The dog barked all night.|
    It snowed for days.|There is not much to add."""
LEADS = """By the way, |As far as I know, |I heard that |I think |Just so you know, |Note that |Remember: |
    It seems that |
    They say that |You should know that |In the end, |This time |Of course, |Luckily, |So |Also, |Besides, |Well, |
    As everybody knows, |Believe it or not, |Fortunately, |FYI, |PS: |Update: |Today I learned that |One thing: """
UNITS = "euros dollars pounds francs coins crowns cents".split()
SHOPS, PETS, FAMILY = ([word.replace("~", " ") for word in words] for words in (SHOPS, PETS, FAMILY))
LISTS = {
    "role": listed(ROLES), "mark": listed(MARKS), "dish": listed(DISHES), "drink": listed(DRINKS),
    "place": listed(PLACES), "spot": listed(SPOTS), "event": listed(EVENTS), "train": listed(TRAINS),
    "tool": listed(TOOLS), "topic": listed(TOPICS), "occasion": listed(OCCASIONS), "distractor": listed(DISTRACTORS),
    "lead": [cap(s.strip()) + " " for s in LEADS.split("|")], "food": [f for f in FOODS if f != "cake"],
    "many": [s + "s" for s in ANIMALS if s[-1] not in "yxhfe" and s not in ("deer", "sheep")],
    "trouble": [(s, listed(r)) for s, r in TROUBLES], "thing_trouble": [(s, listed(r)) for s, r in THING_TROUBLES],
}  # fmt: skip


@dataclass(frozen=True)
class Who:
    """Who or what does something: as said, how its verb ends (s: he, p: they, i: I), whether it is nobody else's word,
    and of what kind it is."""

    text: str
    ends: str = "s"
    alone: bool = True
    kind: str = "person"
    pronoun: str = ""


class World:
    """Hands out the words of one text, none of them twice."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.used: set[str] = set()
        self.groups: set[str] = set()

    def take(self, word: str) -> str:
        if word.lower() in self.used:
            raise Full(word)
        self.used.add(word.lower())
        return word

    def new(self, words: list[str]) -> str:
        for _ in range(8):
            word = self.rng.choice(words)
            if word.lower() not in self.used:
                return self.take(word)
        raise Full

    def made(self, make: Callable[[], str]) -> str:
        for _ in range(8):
            word = make()
            if word.lower() not in self.used:
                return self.take(word)
        raise Full

    def name(self) -> str:
        if self.rng.random() < 0.2:
            return self.made(lambda: accented(self.rng, invented(self.rng)))
        return self.new(self.rng.choice((GIRLS, BOYS)))

    def names(self, count: int) -> list[str]:
        return [self.name() for _ in range(count)]

    def gendered(self) -> Who:
        girl = self.rng.random() < 0.5
        return Who(self.new(GIRLS if girl else BOYS), pronoun="she" if girl else "he")

    def noun(self, plain: bool = False) -> str:
        """A thing without its article."""
        noun = self.new(THINGS)
        if plain:
            return noun
        chance = self.rng.random()
        if chance < 0.25:
            return f"{self.rng.choice(COLOURS)} {noun}"
        if chance < 0.4:
            return f"{self.rng.choice(ADJECTIVES_OF_THINGS)} {noun}"
        return noun

    def city(self) -> str:
        if self.rng.random() < 0.15:
            return self.made(lambda: invented(self.rng))
        return self.new(CITIES)

    def time(self) -> str:
        return self.made(lambda: _time(self.rng))

    def price(self) -> str:
        return self.made(lambda: _price(self.rng))

    def number(self, low: int, high: int) -> str:
        return self.made(lambda: str(self.rng.randrange(low, high)))

    def count(self) -> str:
        rng = self.rng
        return self.made(lambda: rng.choice(NUMBERS[2:]) if rng.random() < 0.6 else str(rng.randrange(2, 90)))


ADJECTIVES_OF_THINGS = "old new big small broken heavy wooden round long expensive cheap beautiful dusty shiny".split()


def _time(rng: random.Random) -> str:
    hour, minute = rng.randrange(1, 13), rng.randrange(0, 60, 5)
    forms = (f"{hour + 11}:{minute:02}", f"{hour}:{minute:02}", f"{hour} o'clock", f"{hour} {rng.choice(('am', 'pm'))}",
             f"half past {rng.choice(NUMBERS[1:])}", f"quarter to {rng.choice(NUMBERS[1:])}", "noon",
             f"{hour}.{rng.randrange(10, 60)}", f"{rng.randrange(13, 23)}:{rng.randrange(10, 60)}")  # fmt: skip
    return forms[int(rng.random() * len(forms))]


def _price(rng: random.Random) -> str:
    number = str(rng.randrange(2, rng.choice((20, 100, 1000, 5000))))
    if rng.random() < 0.2:
        number = f"{rng.randrange(1, 40)}.{rng.randrange(10, 100)}"
    if rng.random() < 0.15:
        return rng.choice("$€£") + number
    return f"{number} {rng.choice(UNITS)}"


def _duration(rng: random.Random) -> str:
    number = rng.choice((*NUMBERS[2:], str(rng.randrange(2, 60))))
    return f"{number} {rng.choice(('minutes', 'hours', 'days', 'weeks', 'months', 'years'))}"


# {e} is an indirect question
INDIRECT = """I'd like to know {e}.|I would like to know {e}.|I want to know {e}.|I need to know {e}.|Can you say {e}?|
    Can you tell me {e}?|Could you tell me {e}?|Could you say {e}?|Do you know {e}?|Do you remember {e}?|Tell me {e}.|
    Please tell me {e}.|Please say {e}.|Say {e}.|Find out {e}.|Find out {e}, please.|I forgot {e}.|I don't know {e}.|
    I do not remember {e}.|I can't remember {e}.|Any idea {e}?|Does it say {e}?|Does the text say {e}?|Look up {e}.|
    Check {e}.|Remind me {e}.|I wonder {e}.|My question is {e}.|Let me know {e}.|Somebody asked me {e}.|
    Is it known {e}?|Is it said {e}?|Write down {e}.|I am asking {e}.|Would you tell me {e}?|Will you tell me {e}?|
    Do you happen to know {e}?|I'm trying to find out {e}.|I'm curious {e}.|You surely know {e}.|Can you find out {e}?|
    Can you see {e}?|Did you notice {e}?|Did it say {e}?|From the text, tell me {e}.|I just need to know {e}.|
    Help me find out {e}.|I have to know {e}.|It would be good to know {e}.|Mind telling me {e}?|Have a look {e}.|
    Can you work out {e}?|I was wondering {e}.|Am I told {e}?|Read it and say {e}.|Then tell me {e}.|
    I must have missed {e}.|Do we know {e}?|State {e}.|Is there anything about {e}?|
    Are we told {e}?|Try to find {e}.|Could you check {e}?|Can you check {e}?|Please look up {e}.|
    I'm not sure {e}.|Do you have any idea {e}?|They asked {e}.|Show me {e}."""
# {d} is a direct question
DIRECT = """According to the text, {d}|Answer this: {d}|From the text: {d}|One question: {d}|Now, {d}|And {d}|So {d}|
    Well, {d}|Then {d}|Sorry, {d}|Based on this, {d}|In this text, {d}|My question: {d}|Wait, {d}|Question: {d}|
    Listen: {d}|
    Remind me, {d}|Say, {d}|Right, {d}|Just tell me: {d}|By the way, {d}|Do you know? {d}|I forgot: {d}|Help! {d}|
    Ok. {d}|
    Look at the text: {d}|Hm, {d}|Read it again: {d}|Let me ask: {d}|Tell me, {d}"""
AFTERWARDS = """{d} Answer from the text.|{d} I can't remember.|{d} I forgot.|{d} Just the answer, please.|
    {d} Do you know?|{d} What does the text say?|{d} Look it up.|{d} I need to know.|{d} Quick!|{d} Please check.|
    {d} I did not get that.|{d} Be brief.|{d} Can you find it?|{d} Tell me.|{d} I'm not sure.|
    {d} That's what I want to know.|
    {d} It must be there somewhere."""
PERSONS = """who {c}|which person {c}|which of them {c}|who {c}|which one of them {c}|who of them {c}"""
NAMING = """Name the person who {c}.|Give me the name of the person who {c}.|Tell me the name of the person who {c}.|
    Find the person who {c}.|The person who {c}?|Somebody {c}. Who?|Who is the one who {c}?|Who is it that {c}?|
    Who is the person that {c}?|Name whoever {c}.|I am looking for the person who {c}.|
    What is the name of the one who {c}?|
    What's the person called who {c}?|Name the one who {c}.|One of them {c}. Which one?|Someone {c}, but who?|
    I need the name of the person who {c}.|Is there somebody who {c}?|There is someone who {c}. Who is it?|
    Who would that be who {c}?|Write the name of the person who {c}.|Find me the one who {c}.|Say who {c}."""
NAMING_THINGS = """Name the thing that {c}.|Tell me the thing that {c}.|Find the thing that {c}.|The thing that {c}?|
    Something {c}. What?|What is it that {c}?|Name what {c}.|I am looking for the thing that {c}.|
    Which is the one that {c}?|Name the one that {c}.|Something {c}, but what?|Is there something that {c}?"""
NOUN_ASKED = """what is {n}|{n}|give me {n}|give {n}|tell me {n}|name {n}|say {n}|I need {n}|find {n}|look up {n}|
    do you know {n}|I forgot {n}|what about {n}|can you give me {n}|could you tell me {n}|show me {n}|what's {n}|
    I'd like to know {n}|please give me {n}|{n}, please|can you find {n}|write down {n}|what does it say about {n}|
    I want to know {n}|what would be {n}|I am looking for {n}|does it give {n}|remember {n}|state {n}|do you have {n}|
    what was {n} again|check {n} for me|search for {n}|may I have {n}"""
INDIRECT, DIRECT, AFTERWARDS, NOUN_ASKED = map(listed, (INDIRECT, DIRECT, AFTERWARDS, NOUN_ASKED))
NAMING, NAMING_THINGS, PERSONS = map(listed, (NAMING, NAMING_THINGS, PERSONS))
NO_MARK = re.compile(r"^(give|tell|name|say|I |find|look|show|please|write|remember|state|check|search)")
ASKED = 3  # questions for a fact


def _one(rng: random.Random, direct: str, indirect: str) -> str:
    """A question in one of its frames; neither form has a mark at its end."""
    chance = rng.random()
    if chance < 0.5:
        return cap(direct) + "?"
    if chance < 0.82:
        return cap(rng.choice(INDIRECT).format(e=indirect))
    if chance < 0.92:
        return rng.choice(DIRECT).format(d=direct + "?")
    return rng.choice(AFTERWARDS).format(d=cap(direct) + "?")


def _noun_question(rng: random.Random, noun: str) -> str:
    form = rng.choice(NOUN_ASKED)
    return cap(form.format(n=noun)) + ("." if NO_MARK.match(form) else "?")


def _subject_question(rng: random.Random, clause: str, kind: str) -> str:
    """Who or what it is of which the rest of the sentence is said."""
    if rng.random() < 0.35:
        return cap(rng.choice(NAMING if kind == "person" else NAMING_THINGS).format(c=clause))
    if kind == "person":
        asked = rng.choice(PERSONS).format(c=clause)
    else:
        asked = rng.choice(("what {c}", "which thing {c}", "what {c}") if kind == "thing" else
                           ("who {c}", "which animal {c}", "what animal {c}")).format(c=clause)  # fmt: skip
    return _one(rng, asked, asked)


YOU = {"i am": "you are", "i was": "you were", "i": "you", "me": "you", "my": "your", "mine": "yours", "we": "you",
       "us": "you", "our": "your", "ours": "yours"}  # fmt: skip
MINE = re.compile(r"\b(I am|I was|I|[Mm]e|[Mm]y|[Mm]ine|[Ww]e|us|[Oo]ur|[Oo]urs)\b")


def told(sentence: str) -> str:
    """What somebody said, as it is said to them."""
    return cap(MINE.sub(lambda found: YOU[found[0].lower()], sentence))


@dataclass(frozen=True)
class Part:
    """Where, when, how: as said, the value in it, and (question word, preposition at the end)."""

    said: str
    value: str
    asks: tuple[tuple[str, str], ...]
    kind: str


@dataclass(frozen=True)
class Clause:
    who: Who
    verb: tuple[str, str, str, str]  # base, with he, past, participle
    tense: str  # "present", "past", "perfect" or a modal verb
    thing: Part | None
    parts: tuple[Part, ...]
    only: bool = True  # whether neither who nor the thing comes in another clause

    def finite(self, ends: str) -> str:
        base, third, past, done = self.verb
        if self.tense == "present":
            return third if ends == "s" else base
        if self.tense == "past":
            return past
        if self.tense == "perfect":
            return f"{'has' if ends == 's' else 'have'} {done}"
        return f"{self.tense} {base}"

    def split(self, ends: str) -> tuple[str, str]:
        """What stands before the subject of a question, and after it."""
        base, _, _, done = self.verb
        if self.tense == "present":
            return "does" if ends == "s" else "do", base
        if self.tense == "past":
            return "did", base
        if self.tense == "perfect":
            return "has" if ends == "s" else "have", done
        return self.tense, base

    def rest(self, without: Part | None = None, parts: tuple[Part, ...] | None = None) -> str:
        said = [p.said for p in (self.thing, *(self.parts if parts is None else parts)) if p and p is not without]
        return " ".join(said)

    def passive(self, subject: str, parts: tuple[Part, ...]) -> str:
        done = self.verb[3]
        plural = self.thing is not None and self.thing.kind == "count"
        be = {"present": "are" if plural else "is", "past": "were" if plural else "was"}.get(
            self.tense, f"{'have' if plural else 'has'} been" if self.tense == "perfect" else f"{self.tense} be"
        )
        return " ".join([subject, be, done, *(p.said for p in parts)])


def _where(prep: str) -> list[tuple[str, str]]:
    if prep == "to":
        return [("where", ""), ("where", "to"), ("to where", "")]
    if prep == "from":
        return [("where", "from"), ("from where", "")]
    return [("where", ""), ("where", ""), ("where exactly", "")]


# kind: (value, article?, what it is called)
PART_KINDS: dict[str, tuple[Callable[[World], str], str]] = {
    "city": (World.city, "city town place"),
    "place": (lambda w: "the " + w.new(LISTS["place"]), "place"),
    "room": (lambda w: "the " + w.new(ROOMS), "place"),
    "shop": (lambda w: "the " + w.new(SHOPS), "place shop"),
    "time": (World.time, "time hour"),
    "day": (lambda w: w.new(DAYS) if w.rng.random() < 0.6 else w.made(lambda: _date(w.rng)), "day date"),
    "month": (lambda w: w.new(MONTHS), "month"),
    "year": (lambda w: w.number(1950, 2031), "year"),
    "person": (World.name, "person"),
    "vehicle": (lambda w: w.new(VEHICLES), "vehicle"),
    "price": (World.price, "price amount"),
    "duration": (lambda w: w.made(lambda: _duration(w.rng)), "time"),
    "often": (lambda w: w.new(OFTEN), ""),
    "job": (lambda w: a(w.new(JOBS)), "job"),
    "material": (lambda w: w.new(MATERIALS), "material"),
    "tool": (lambda w: a(w.new(LISTS["tool"])), "tool thing"),
    "topic": (lambda w: w.new(LISTS["topic"]), "topic subject"),
    "language": (lambda w: w.new(LANGUAGES), "language"),
    "occasion": (lambda w: "the " + w.new(LISTS["occasion"]), "occasion event"),
    "event": (lambda w: "the " + w.new(LISTS["event"]), "event"),
    "meal": (lambda w: w.new("breakfast lunch dinner supper dessert".split()), "meal"),
    "colour": (lambda w: w.new(COLOURS), "colour"),
    "platform": (lambda w: "platform " + w.number(1, 30), "platform"),
    "gate": (lambda w: "gate " + w.number(1, 60), "gate"),
    "roomno": (lambda w: "room " + w.number(1, 400), "room"),
    "floor": (lambda w: "the " + w.new(ORDINALS) + " floor", "floor"),
    "level": (lambda w: "level " + w.number(1, 9), "level"),
    "spot": (lambda w: w.new(LISTS["spot"]), ""),
    "thing": (lambda w: "the " + w.noun(), "thing"),
    "dish": (lambda w: w.new(LISTS["dish"]), "dish food"),
    "food": (lambda w: w.new(LISTS["food"]), "food"),
    "drink": (lambda w: w.new(LISTS["drink"]), "drink"),
    "instrument": (lambda w: "the " + w.new(INSTRUMENTS), "instrument"),
    "game": (lambda w: w.new(GAMES), "game sport"),
    "count": (lambda w: f"{w.count()} {w.new(PLURALS)}", ""),
    "anevent": (lambda w: a(w.new(LISTS["event"])), "event"),
    "animal": (lambda w: "the " + w.new(ANIMALS), "animal"),
    "distance": (lambda w: w.made(lambda: f"{w.rng.randrange(2, 99)} {w.rng.choice(('kilometres', 'miles', 'km'))}"),
                 "distance"),
    "doctor": (lambda w: "the " + w.new("dentist doctor lawyer hairdresser vet eye~doctor tax~adviser".split())
               .replace("~", " "), "person"),
    "vehicle_thing": (lambda w: "the " + w.new("car van motorbike bike truck caravan scooter bicycle".split()),
                      "vehicle"),
}  # fmt: skip
OFTEN = """every day|every Monday|every Sunday|twice a week|once a month|every evening|three times a week|once a year|
    every morning|every second Friday|twice a day|every winter|once a week|every summer|each Saturday"""
OFTEN = listed(OFTEN)
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth top ground".split()
PLACE_LIKE = {"city", "place", "room", "shop", "spot"}
PERSON_LIKE = {"person", "doctor"}


def _date(rng: random.Random) -> str:
    day, month = rng.randrange(1, 29), rng.choice(MONTHS)
    return rng.choice((f"{day} {month}", f"{month} {day}", f"the {_th(day)} of {month}"))


def _th(number: int) -> str:
    return f"{number}{'th' if 10 < number < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


ARTICLE = re.compile(r"^(the|an?|platform|gate|room|level) ")


def _part(w: World, prep: str, kind: str) -> Part:
    make, classes = PART_KINDS[kind]
    said = make(w)
    value = ARTICLE.sub("", said)
    asks: list[tuple[str, str]] = []
    if kind in PLACE_LIKE:
        asks += _where(prep)
    elif kind == "person":
        asks += [(f"{prep} whom", ""), ("who", prep), ("who", prep)]
    elif kind in ("time", "day", "month", "year"):
        asks += [("when", ""), ("when", ""), ("when exactly", "")]
        if kind == "time":
            asks += [("what time", ""), ("at what time", "")]
        elif kind == "day":
            asks += [("what day", ""), ("on what day", "")]
    elif kind == "vehicle":
        asks += [("how", ""), ("how", ""), ("by what", "")]
    elif kind == "price":
        asks += [("for how much", ""), ("how much", "for"), ("for how much money", "")]
    elif kind == "duration":
        asks += [("how long", ""), ("how long", ""), ("for how long", "")]
    elif kind == "often":
        asks += [("how often", ""), ("when", "")]
    elif kind in ("roomno", "floor", "level", "platform", "gate"):
        asks += [("where", "")] if prep != "from" else [("where", "from")]
    elif prep:
        asks += [("what", prep)]
    if kind != "often" and kind != "duration" and kind != "spot":
        for name in classes.split():
            asks += [(f"{prep} which {name}".strip(), ""), (f"which {name}", prep), (f"what {name}", prep)]
    if kind == "spot":
        return Part(said, said, tuple(asks), kind)
    return Part(f"{prep} {said}".strip(), value, tuple(asks), kind)


def _thing(w: World, kind: str, mine: str = "") -> Part:
    make, classes = PART_KINDS[kind]
    said = make(w)
    if kind == "thing" and w.rng.random() < 0.35:
        said = a(said[4:]) if w.rng.random() < 0.6 or not mine else mine + said[3:]
    if kind == "vehicle_thing" and mine:
        said = mine + said[3:]
    if kind == "count":
        number, plural = said.split(" ")
        return Part(said, number, ((f"how many {plural}", ""),), kind)
    if kind in PERSON_LIKE:
        asks = [("who", ""), ("whom", ""), ("which person", "")]
    elif kind == "price":
        asks = [("how much", ""), ("how much money", ""), ("what", ""), ("what sum", "")]
    elif kind == "distance":
        asks = [("how far", ""), ("how many " + said.split(" ")[1], ""), ("what distance", "")]
    else:
        asks = [("what", "")] * 3 + [(f"{wh} {name}", "") for name in classes.split() for wh in ("which", "what")]
        if classes:
            asks.append((f"what kind of {classes.split()[0]}", ""))
        if kind in ("thing", "vehicle_thing", "instrument", "event", "anevent", "animal"):
            asks = [x for x in asks if "kind" not in x[0]]
    value = bare(said)
    return Part(said, value, tuple(asks), kind)


# group | who | verb | object kinds | parts (! must be) | tenses: present, d: past, future, has done; x: may be passive
FORMS = """
travel|person|go/goes/went/gone||!to:city by:vehicle on:day with:person at:time|pdf
travel|person|fly/flies/flew/flown||!to:city on:day with:person at:time in:month for:price|pdf
travel|person|drive/drives/drove/driven||!to:city with:person on:day at:time|pdf
travel|person|drive/drives/drove/driven|person distance|to:place on:day|pdf
travel|person|walk/walks/walked/walked||!to:place with:person at:time on:day|pdf
travel|person|travel/travels/travelled/travelled||!by:vehicle to:city with:person in:month|pdfh
travel|person|arrive/arrives/arrived/arrived||!at:time on:day from:city by:vehicle|pdf
travel|person|leave/leaves/left/left||!at:time on:day with:person by:vehicle|pdf
travel|person|move/moves/moved/moved||!to:city in:month with:person in:year|dfh
travel|person|come/comes/came/come||!from:city by:vehicle on:day|pd
travel|person|come/comes/came/come|| !to:event with:person by:vehicle|pdf
travel|person|cycle/cycles/cycled/cycled||!to:place with:person at:time|pdf
travel|person|stay/stays/stayed/stayed||!in:city for:duration with:person|pdf
travel|person|miss/misses/missed/missed|train|at:place on:day|d
travel|train|leave/leaves/left/left||from:platform at:time on:day|pd
travel|train|leave/leaves/left/left||!at:time from:gate|pd
travel|train|depart/departs/departed/departed||!at:time from:platform on:day|pd
travel|train|arrive/arrives/arrived/arrived||!at:time on:platform on:day from:city|pd
travel|train|go/goes/went/gone||!to:city at:time from:platform on:day|pd
travel|train|stop/stops/stopped/stopped||!in:city for:duration|pd
travel|train|take/takes/took/taken|duration_o||pd
home|person|live/lives/lived/lived||!in:city|pd
home|person|live/lives/lived/lived||!on:floor with:person|p
home|person|live/lives/lived/lived||!with:person in:city|pd
home|person|sleep/sleeps/slept/slept||!in:room for:duration|pd
home|person|sit/sits/sat/sat||!next~to:person|pd
home|person|sit/sits/sat/sat||!at/in/near:room with:person|pd
home|person|wait/waits/waited/waited||!at/in:place for:person for:duration|pdf
home|person|park/parks/parked/parked|vehicle_thing|!on:level|dx
home|person|park/parks/parked/parked|vehicle_thing|!=:spot|dx
home|person|put/puts/put/put|thing food|!=:spot|pdfx
home|person|keep/keeps/kept/kept|thing|!=:spot|pdx
home|person|hide/hides/hid/hidden|thing|!=:spot|pdhx
home|person|find/finds/found/found|thing animal|!=:spot on:day|dhx
home|person|leave/leaves/left/left|thing|!=:spot at:time|dhx
home|person|leave/leaves/left/left|thing|!in/at:shop|dhx
home|person|lose/loses/lost/lost|thing|in/at:place on:day|dhx
home|person|store/stores/stored/stored|thing count|!in:room|pdx
work|person|work/works/worked/worked||!as:job in:city|pd
work|person|work/works/worked/worked||!in/at:shop with:person as:job|pd
work|person|work/works/worked/worked||!on:day in/at:shop|pd
work|person|repair/repairs/repaired/repaired|thing vehicle_thing|with:tool on:day for:price for:person|pdfhx
work|person|build/builds/built/built|thing|out~of:material in:month for:person in:room|pdfhx
work|person|paint/paints/painted/painted|thing|!=:colour on:day for:person|dfhx
work|person|clean/cleans/cleaned/cleaned|thing room_o|on:day with:tool at:time|pdfhx
work|person|open/opens/opened/opened|thing|with:tool at:time|pdfx
work|person|cut/cuts/cut/cut|food thing|with:tool for:person|pdfx
work|person|teach/teaches/taught/taught|language game_o|in/at:shop on:day|pdf
work|person|deliver/delivers/delivered/delivered|thing food count|to:person on:day at:time by:vehicle|pdfx
work|person|finish/finishes/finished/finished|thing|on:day at:time|dfh
work|person|carry/carries/carried/carried|thing count|to:place for:person|pdfx
work|person|move/moves/moved/moved|thing|to:room with:person|dfhx
trade|person|buy/buys/bought/bought|thing food count|for:price in/at:shop on:day from:person|pdfhx
trade|person|sell/sells/sold/sold|thing food count vehicle_thing|to:person for:price on:day in:city|pdfhx
trade|person|rent/rents/rented/rented|thing vehicle_thing|for:price from:person for:duration|pdfhx
trade|person|pay/pays/paid/paid|price|!for:thing|pdfh
trade|person|pay/pays/paid/paid|price|!for:dish in/at:shop|pdf
trade|person|spend/spends/spent/spent|price|!on:thing in/at:shop|dh
trade|person|win/wins/won/won|thing price|in/at:event on:day|dhx
trade|person|borrow/borrows/borrowed/borrowed|thing|!from:person for:duration on:day|pdfhx
trade|person|lend/lends/lent/lent|thing price|!to:person for:duration on:day|pdfhx
trade|person|swap/swaps/swapped/swapped|thing|!with:person on:day|dfh
trade|person|collect/collects/collected/collected|thing|from:shop at:time on:day for:person|pdfx
trade|person|return/returns/returned/returned|thing|to:person on:day|dfhx
trade|person|own/owns/owned/owned|thing count||pd
trade|person|wear/wears/wore/worn|thing|to:event on:day|pd
give|person|give/gives/gave/given|thing food price count|!to:person on:day for:occasion|pdfhx
give|person|send/sends/sent/sent|thing count|!to:person on:day from:city|pdfhx
give|person|show/shows/showed/shown|thing|!to:person on:day|pdfhx
give|person|bring/brings/brought/brought|thing dish count drink|!to:event|pdf
give|person|bring/brings/brought/brought|thing food|!to:person on:day|pdfhx
give|person|get/gets/got/got|thing count price|!from:person for:occasion on:day|pdf
give|person|receive/receives/received/received|thing price|!from:person on:day|pdf
give|person|promise/promises/promised/promised|thing price|!to:person on:day|dhx
give|person|hand/hands/handed/handed|thing|!to:person at:time|dhx
give|person|steal/steals/stole/stolen|thing|!from:person on:day|dhx
give|person|throw/throws/threw/thrown|thing|!to:person|pdx
give|person|explain/explains/explained/explained|game_o event_o|!to:person on:day|dhx
food|person|eat/eats/ate/eaten|dish food count|for:meal with:person in/at:shop at:time|pdfh
food|person|drink/drinks/drank/drunk|drink|for:meal with:person in:room at:time|pdf
food|person|cook/cooks/cooked/cooked|dish|for:person on:day for:meal|pdfx
food|person|bake/bakes/baked/baked|dish|for:person for:occasion on:day|dfh
food|person|order/orders/ordered/ordered|dish drink|for:person at:shop|pdf
food|person|have/has/had/had|dish drink|for:meal|pd
food|person|make/makes/made/made|dish drink|for:person for:meal|pdf
food|person|serve/serves/served/served|dish drink|!to:person at:time|pdx
food|animal|eat/eats/ate/eaten|food|=:spot at:time|pd
food|animal|steal/steals/stole/stolen|food thing|from:person|dhx
leisure|person|play/plays/played/played|instrument|at:event on:day with:person|pdf
leisure|person|play/plays/played/played|game|with:person on:day in/at:place at:time|pdf
leisure|person|learn/learns/learned/learned|language instrument game|with:person in:city for:duration|pdf
leisure|person|speak/speaks/spoke/spoken|language|with:person at:event|pd
leisure|person|talk/talks/talked/talked||!about:topic with:person on:day|pdf
leisure|person|read/reads/read/read|book_o|in:language in:room|pdfh
leisure|person|visit/visits/visited/visited|person shop_o place_o|on:day with:person by:vehicle|pdfh
leisure|person|meet/meets/met/met|person|at:time on:day in/at:place for:meal|pdf
leisure|person|call/calls/called/called|person|at:time on:day|pdfh
leisure|person|write/writes/wrote/written|letter_o|!to:person in:language on:day|pdfhx
leisure|person|swim/swims/swam/swum|distance|on:day with:person|pd
leisure|person|run/runs/ran/run|distance|on:day with:person|pd
leisure|person|exercise/exercises/exercised/exercised||!=:often in/at:place|p
leisure|person|dance/dances/danced/danced||!with:person at:event|pdf
leisure|person|sing/sings/sang/sung||!at:event on:day with:person|pdf
leisure|person|paint/paints/painted/painted|animal|on:day with:tool|dfh
leisure|person|practise/practises/practised/practised|instrument|!=:often in:room|p
leisure|person|watch/watches/watched/watched|event_o|with:person on:day in:room|pdfh
leisure|person|draw/draws/drew/drawn|animal thing|for:person with:tool|dhx
plan|event|start/starts/started/started||at:time on:day|pd
plan|event|start/starts/started/started||!at:time in:roomno|pd
plan|event|begin/begins/began/begun||!at:time on:day in:roomno|pd
plan|event|end/ends/ended/ended||!at:time|pd
plan|event|finish/finishes/finished/finished||!at:time|pd
plan|event|take~place/takes~place/took~place/taken~place||!in:room on:day at:time|pdf
plan|event|take~place/takes~place/took~place/taken~place||!on:day in:city|pdf
plan|event|last/lasts/lasted/lasted||!for:duration|pd
plan|event|cost/costs/cost/cost|price||pd
plan|person|have/has/had/had|anevent|!at/on:time,day in:roomno with:person|p
plan|person|see/sees/saw/seen|doctor|!at:time on:day|pdf
plan|person|invite/invites/invited/invited|person|!to:event on:day|dfhx
plan|person|book/books/booked/booked|anevent|for:day for:person for:price|dh
plan|person|organise/organises/organised/organised|event_o|with:person in:month|pdfx
plan|person|lead/leads/led/led|event_o|on:day|pdfx
plan|person|cancel/cancels/cancelled/cancelled|event_o|on:day|dhx
plan|person|miss/misses/missed/missed|event_o|on:day|dh
shop|shop|open/opens/opened/opened||!at:time on:day|p
shop|shop|close/closes/closed/closed||!at:time on:day|p
shop|shop|sell/sells/sold/sold|food thing|!for:price|pd
shop|shop|sell/sells/sold/sold|food count|on:day|pd
things|thing|lie/lies/lay/lain||!=:spot|pd
things|thing|stand/stands/stood/stood||!=:spot|pd
things|thing|hang/hangs/hung/hung||!in:room|pd
things|thing|cost/costs/cost/cost|price|in/at:shop|pd
things|thing|belong/belongs/belonged/belonged||!to:person|pd
things|thing|come/comes/came/come||!from:city|pd
things|thing|arrive/arrives/arrived/arrived||!on:day from:city at:time|df
things|thing|break/breaks/broke/broken||!on:day at:time|d
things|thing|disappear/disappears/disappeared/disappeared||!from:room on:day|d
things|thing|fall/falls/fell/fallen||!into:room on:day|d
animal|animal|sleep/sleeps/slept/slept||!=:spot for:duration|pd
animal|animal|hide/hides/hid/hidden||!=:spot|pd
animal|animal|run/runs/ran/run||!to:place at:time|pd
animal|animal|catch/catches/caught/caught|animal|on:day =:spot|dx
animal|animal|belong/belongs/belonged/belonged||!to:person|p
animal|animal|live/lives/lived/lived||!in:place with:person|pd
animal|animal|follow/follows/followed/followed|person animal|to:place|dx
animal|animal|bite/bites/bit/bitten|person|on:day in:room|dx
animal|person|feed/feeds/fed/fed|animal|at:time with:tool on:day|pdfx
animal|person|walk/walks/walked/walked|animal|in/at:place at:time with:person|pdf
animal|person|see/sees/saw/seen|animal|=:spot on:day|dh
animal|person|rescue/rescues/rescued/rescued|animal person|from:room on:day|dhx
accident|person|break/breaks/broke/broken|thing|with:tool on:day in:room|dhx
accident|person|drop/drops/dropped/dropped|thing|into:room on:day|dh
accident|person|forget/forgets/forgot/forgotten|thing|in/at:shop on:day|dhx
accident|person|tear/tears/tore/torn|thing|on:day with:tool|dhx
help|person|help/helps/helped/helped|person|with:event on:day|pdfh
help|person|marry/marries/married/married|person|in:month in:city in:year|dfh
help|person|teach/teaches/taught/taught|person|in/at:shop on:day|pdh
help|person|trust/trusts/trusted/trusted|person|with:thing|pd
help|person|thank/thanks/thanked/thanked|person|for:thing|dh
help|person|follow/follows/followed/followed|person|to:place on:day|dh
help|person|kick/kicks/kicked/kicked|thing|into:room|dhx
help|person|choose/chooses/chose/chosen|thing dish|for:person for:occasion|dhx
help|person|study/studies/studied/studied|subject_o|in:city with:person|pd
help|person|collect/collects/collected/collected|plural_o|with:person|pd
help|person|need/needs/needed/needed|thing count|for:event|pd
help|person|want/wants/wanted/wanted|thing dish|for:occasion|pd
help|person|prefer/prefers/preferred/preferred|drink dish|for:meal|pd
help|person|hate/hates/hated/hated|topic_o dish||p
help|person|like/likes/liked/liked|topic_o dish game||p
"""
PART_KINDS |= {
    "duration_o": (lambda w: w.made(lambda: _duration(w.rng)), ""),
    "room_o": (lambda w: "the " + w.new(ROOMS), "room"),
    "shop_o": (lambda w: "the " + w.new(SHOPS), "place"),
    "place_o": (lambda w: "the " + w.new(LISTS["place"]), "place"),
    "game_o": (lambda w: w.new(GAMES), "game"),
    "event_o": (lambda w: "the " + w.new(LISTS["event"]), "event"),
    "book_o": (lambda w: f"a book about {w.new(LISTS['many'])}", "book"),
    "letter_o": (lambda w: a(w.new("letter postcard poem song message note report speech".split())), "thing"),
    "subject_o": (lambda w: w.new("law medicine history physics music art biology chemistry maths geography".split()),
                  "subject"),
    "plural_o": (lambda w: w.new(PLURALS), ""),
    "topic_o": (lambda w: w.new(LISTS["topic"]), ""),
    "train": (lambda w: "the " + w.new(LISTS["train"]), ""),
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    group: str
    who: str
    verb: tuple[str, str, str, str]
    things: tuple[str, ...]
    must: tuple[tuple[str, str], ...]
    may: tuple[tuple[str, str], ...]
    tenses: str


def _forms() -> list[Form]:
    forms = []
    for line in FORMS.strip().splitlines():
        group, who, verb, things, parts, tenses = line.split("|")
        slots = [(p.startswith("!"), *p.strip("!").replace("~", " ").split(":")) for p in parts.split()]
        must = tuple((prep, kind) for needed, prep, kind in slots if needed)
        may = tuple((prep, kind) for needed, prep, kind in slots if not needed)
        forms.append(
            Form(group, who, tuple(verb.replace("~", " ").split("/")), tuple(things.split()), must, may, tenses)
        )
    return forms


ALL_FORMS = _forms()
BY_WHO = {
    kind: [f for f in ALL_FORMS if f.who == kind] for kind in ("person", "train", "event", "shop", "thing", "animal")
}
PEOPLE_FORMS = BY_WHO["person"]


def _prep(rng: random.Random, prep: str, kind: str) -> tuple[str, str]:
    if "," in kind:  # preposition and kind go together
        return rng.choice(list(zip(prep.split("/"), kind.split(","), strict=True))[::-1])
    return ("" if prep == "=" else rng.choice(prep.split("/"))), kind


PREPOSITION = {"time": "at", "day": "on"}


def _slots(w: World, form: Form, most: int) -> tuple[Part, ...]:
    rng = w.rng
    chosen = list(form.must)
    more = rng.choices((0, 1, 2), (50, 35, 15))[0]
    if not form.must and not form.things:
        more = max(more, 1)
    rest = list(form.may)
    rng.shuffle(rest)
    for slot in rest[:more]:
        if len(chosen) < most and slot[1] not in [kind for _, kind in chosen] and not _same(slot, chosen):
            chosen.append(slot)
    parts = []
    for prep, kind in chosen:
        prep, kind = _prep(rng, prep, kind)
        if "," in prep:
            prep = PREPOSITION[kind]
        parts.append(_part(w, prep, kind))
    return tuple(parts)


def _same(slot: tuple[str, str], chosen: list[tuple[str, str]]) -> bool:
    """Whether a preposition comes already."""
    return slot[0] in [prep for prep, _ in chosen]


def _tense(rng: random.Random, tenses: str, parts: tuple[Part, ...]) -> str:
    kind = rng.choice(tenses.replace("x", ""))
    if kind == "h" and any(p.kind in ("time", "day", "month", "year") for p in parts):
        kind = "d"
    if kind == "f":
        return rng.choices(("will", "must", "should", "can", "wants to"), (70, 10, 8, 6, 0))[0]
    return {"p": "present", "d": "past", "h": "perfect"}[kind]


def _relative(w: World) -> str:
    noun = w.new(RELATIVES)
    return f"{'my' if noun in ('husband', 'wife', 'friend') else w.rng.choice(('my', 'my', 'our'))} {noun}"


def _who(w: World, kind: str) -> Who:
    rng = w.rng
    if kind == "train":
        noun = w.new(LISTS["train"])
        return Who(f"{rng.choice(('the', 'the', 'my', 'our'))} {noun}", kind="thing")
    if kind == "event":
        noun = w.new(LISTS["event"])
        return Who(f"{rng.choice(('the', 'the', 'the', 'my', 'our'))} {noun}", kind="thing")
    if kind == "shop":
        return Who("the " + w.new(SHOPS), kind="thing")
    if kind == "thing":
        return Who("the " + w.noun(), kind="thing")
    if kind == "animal":
        return Who("the " + w.new(ANIMALS), kind="animal")
    chance = rng.random()
    if chance < 0.55:
        return Who(w.name())
    if chance < 0.67:
        return Who("I", "i", alone=False)
    if chance < 0.72:
        return Who("we", "p", alone=False)
    if chance < 0.8:
        return Who(_relative(w))
    if chance < 0.85:
        return Who(f"{w.name()}'s {w.new(RELATIVES)}")
    if chance < 0.89:
        return Who(" and ".join(w.names(2)), "p")
    if chance < 0.95:
        return Who("the " + w.new(LISTS["role"]))
    mark = w.new(LISTS["mark"])
    return Who(f"the {w.new(HEADS)} {mark.format(c=rng.choice(COLOURS))}")


def clause(w: World, form: Form, who: Who | None = None, most: int = 3) -> Clause:
    rng = w.rng
    who = who or _who(w, form.who)
    if not who.alone:
        w.take(f"{who.text} {form.verb[0]}")
    thing = _thing(w, rng.choice(form.things), {"I": "my", "we": "our"}.get(who.text, "")) if form.things else None
    parts = _slots(w, form, most)
    w.groups.add(form.group)
    return Clause(who, form.verb, _tense(rng, form.tenses, parts), thing, parts)


def said(rng: random.Random, c: Clause, form: Form) -> str:
    """The clause in one of the orders that it may have; without a large letter or a full stop."""
    parts = list(c.parts)
    rng.shuffle(parts)
    parts.sort(key=lambda p: p.kind in ("time", "day", "month", "year"))
    parts.sort(key=lambda p: p.kind != "colour")
    chance = rng.random()
    if c.thing and "x" in form.tenses and c.who.ends != "i" and c.who.text != "we" and chance < 0.22:
        text = c.passive(c.thing.said, tuple(parts))
        by = f" by {c.who.text}"
        at = text.index(c.verb[3], len(c.thing.said)) + len(c.verb[3])
        return text[:at] + by + text[at:] if rng.random() < 0.5 and not _has(c, "colour") else text + by
    if parts and parts[-1].kind in ("time", "day", "month", "year", "event", "spot") and chance < 0.36:
        front = parts.pop()
        comma = rng.choice((", ", " ", ", "))
        return f"{front.said}{comma}{c.who.text} {c.finite(c.who.ends)} {c.rest(parts=tuple(parts))}".rstrip()
    if c.who.ends == "s" and chance < 0.4:
        it = "is" if c.tense == "present" else "was" if c.tense == "past" else ""
        that = "who" if c.who.kind == "person" else "that"
        if it:
            return f"it {it} {c.who.text} {that} {c.finite('s')} {c.rest(parts=tuple(parts))}"
    return f"{c.who.text} {c.finite(c.who.ends)} {c.rest(parts=tuple(parts))}"


def _has(c: Clause, kind: str) -> bool:
    return any(p.kind == kind for p in c.parts)


OWNED = frozenset("dish drink game instrument language job city vehicle time day price".split())  # Ben's dish


def part_questions(rng: random.Random, c: Clause, hole: Part, count: int = ASKED) -> tuple[str, ...]:
    """Questions for the object or for a part of a clause."""
    others = [p for p in c.parts if p is not hole]
    asks = hole.asks
    if _has(c, "time") and _has(c, "day"):
        asks = tuple(ask for ask in asks if not ask[0].startswith("when"))
    out = []
    for _ in range(count):
        wh, tail = rng.choice(asks)
        keep = tuple(p for p in others if rng.random() < 0.3 or not c.who.alone)
        if hole.kind == "colour":
            keep = tuple(p for p in keep if p.kind != "colour")
        thing = c.thing if c.thing is not hole else None
        rest = " ".join(p.said for p in (thing, *keep) if p)
        aux, main = c.split(c.who.ends)
        finite, who = c.finite(c.who.ends), c.who.text
        passive = (
            c.only
            and thing
            and c.who.text not in ("I", "we")
            and c.verb[3]
            and rng.random() < 0.15
            and hole is not c.thing
        )
        if passive and thing and thing.kind in ("thing", "vehicle_thing"):
            plain = c.passive(thing.said, ())
            words = plain[len(thing.said) + 1 :].split(" ")
            inverted = " ".join(filter(None, (words[0], thing.said, *words[1:], tail)))
            straight = " ".join(filter(None, (plain, tail)))
            direct, indirect = f"{wh} {inverted}", f"{wh} {straight}"
        else:
            direct = " ".join(filter(None, (wh, aux, who, main, rest, tail)))
            straight = " ".join(filter(None, (who, finite, rest, tail)))
            indirect = f"{wh} {straight}"
        chance = rng.random()
        if (
            hole.kind in OWNED
            and c.only
            and c.who.alone
            and chance > 0.96
            and not re.search(" (who|whose|with|in|that|by) ", who)
        ):
            named = PART_KINDS[hole.kind][1].split()[0]
            out.append(_noun_question(rng, rng.choice((f"{who}'s {named}", f"the {named} of {who}"))))
        elif chance < 0.05:
            out.append(f"{cap(wh)} {'was' if c.tense == 'past' else 'is'} it that {straight}?")
        elif chance < 0.1:
            echo = " ".join(filter(None, (who, finite, tail and "", rest, f"{tail} {wh}".strip())))
            out.append(cap(echo) + "?")
        elif chance < 0.13 and c.only and c.who.alone and c.thing is not hole and not tail:
            out.append(
                cap(rng.choice(("{p}: {w}?", "{w}, {p}?", "{p} - {w}?")).format(p=who, w=f"{wh} {tail}".strip()))
            )
        else:
            out.append(_one(rng, direct, indirect))
    return tuple(out)


def who_questions(rng: random.Random, c: Clause, count: int = ASKED) -> tuple[str, ...]:
    """Questions for who does it."""
    out = []
    for _ in range(count):
        keep = tuple(p for p in c.parts if not c.thing or rng.random() < 0.3 or p.kind == "colour")
        if c.thing and c.thing.kind in ("game", "language", "instrument", "count", "price") and not keep:
            keep = c.parts
        rest = " ".join(p.said for p in (c.thing, *keep) if p)
        if c.thing and c.thing.kind in ("thing", "vehicle_thing") and c.who.kind == "person" and rng.random() < 0.15:
            plain = c.passive(c.thing.said, ())
            words = plain[len(c.thing.said) + 1 :].split(" ")
            inverted = " ".join((words[0], c.thing.said, *words[1:]))
            wh, tail = rng.choice((("by whom", ""), ("who", " by"), ("by which person", "")))
            out.append(_one(rng, f"{wh} {inverted}{tail}", f"{wh} {plain}{tail}"))
        else:
            out.append(_subject_question(rng, f"{c.finite('s')} {rest}", c.who.kind))
    return tuple(out)


def facts_of(rng: random.Random, c: Clause, statement: str) -> list[Fact]:
    out = []
    holes = [p for p in (c.thing, *c.parts) if p]
    for hole in holes:
        out.append(Fact(statement, c.who.text, hole.value, part_questions(rng, c, hole)))
    anchor = (c.thing or c.parts[0]).value
    if c.thing and c.thing.kind == "count":
        anchor = c.thing.said.split(" ")[1]
    value = "You" if c.who.text in ("I", "we") else bare(c.who.text)
    out.append(Fact(statement, anchor, value, who_questions(rng, c)))
    return out


def _clause_unit(w: World, form: Form) -> tuple[str, list[Fact]]:
    c = clause(w, form)
    text = said(w.rng, c, form)
    facts = facts_of(w.rng, c, told(text) + ".")
    if c.thing and c.who.alone and w.rng.random() < 0.15:
        aux, _ = c.split(c.who.ends)
        done = "done" if c.tense == "perfect" else "do"
        finite = replace(c, verb=("do", "does", "did", "done")).finite(c.who.ends)
        asked = [_one(w.rng, f"what {aux} {c.who.text} {done}", f"what {c.who.text} {finite}") for _ in range(2)]
        facts.append(Fact(told(text) + ".", c.who.text, c.thing.value, tuple(asked)))
    if c.thing and c.thing.kind in ("thing", "vehicle_thing") and c.tense == "past" and w.rng.random() < 0.2:
        happened = f"what happened to {c.thing.said}"
        facts.append(Fact(told(text) + ".", c.thing.value, bare(c.who.text) if c.who.alone else "you",
                          (_one(w.rng, happened, happened),)))  # fmt: skip
    return text, facts


def _any_form(w: World) -> Form:
    return w.rng.choice(PEOPLE_FORMS if w.rng.random() < 0.6 else ALL_FORMS)


JOINTS = [", and ", " and ", ", but ", "; ", ", while ", ", ", " - ", ", whereas "]


def single(w: World) -> list[Unit]:
    """One clause, at times after a few words that say nothing."""
    text, facts = _clause_unit(w, _any_form(w))
    if w.rng.random() < 0.12:
        lead = w.rng.choice(LISTS["lead"])
        return [(lead + text + ".", facts)]
    return [(cap(text) + ".", facts)]


def joined(w: World) -> list[Unit]:
    """Two clauses, or three, in one sentence."""
    made = [_clause_unit(w, _any_form(w)) for _ in range(w.rng.choice((2, 2, 3)))]
    texts = [text for text, _ in made]
    if len(texts) == 2 and w.rng.random() < 0.2:
        text = f"{w.rng.choice(('while', 'when', 'before', 'after', 'because', 'although'))} {texts[0]}, {texts[1]}"
    else:
        text = ", ".join(texts[:-1]) + w.rng.choice(JOINTS) + texts[-1]
    return [(cap(text) + ".", [fact for _, facts in made for fact in facts])]


def followed(w: World) -> list[Unit]:
    """A clause, and another one of the same person, who is he or she there."""
    rng = w.rng
    who = w.gendered()
    first, second = rng.sample(PEOPLE_FORMS, 2)
    while first.verb[0] == second.verb[0] or first.group == second.group:
        second = rng.choice(PEOPLE_FORMS)
    c, d = clause(w, first, who, 2), clause(w, second, who, 2)
    c, d = replace(c, only=False), replace(d, only=False)
    one, two = (f"{x.who.text} {x.finite('s')} {x.rest()}" for x in (c, d))
    again = f"{who.pronoun} {d.finite('s')} {d.rest()}"
    facts, more = facts_of(rng, c, one + "."), facts_of(rng, d, two + ".")
    chance = rng.random()
    if chance < 0.35:
        return [(f"{one} and {d.finite('s')} {d.rest()}.", facts + more)]
    if chance < 0.5:
        return [(f"{one}, and {again}.", facts + more)]
    both = f"{one}. {cap((rng.choice(LATER) if c.tense == d.tense else '') + again)}."
    return [(both, facts + more)]


LATER = ["", "", "", "then ", "later ", "also, ", "after that, "]


def gapped(w: World) -> list[Unit]:
    """The same of two to four people in one sentence; the verb may be said once."""
    rng = w.rng
    form = rng.choice(PEOPLE_FORMS)
    names = w.names(rng.choice((2, 2, 3, 3, 4)))
    shared = rng.random() < 0.5 and form.things and form.must
    first = clause(w, replace(form, may=()), Who(names[0]), 1)
    clauses = [first]
    kind = first.thing.kind if first.thing else ""
    for name in names[1:]:
        thing = first.thing if shared and kind in SHAREABLE else first.thing and _thing(w, kind)
        parts = tuple(_part(w, *_slot_of(p)) for p in first.parts)
        clauses.append(replace(first, who=Who(name), thing=thing, parts=parts))
    if shared and len(clauses) > 1 and clauses[1].thing is first.thing:
        clauses = [replace(c, only=False) for c in clauses]
    verbs = [f"{c.who.text} {c.finite('s')} {c.rest()}" for c in clauses]
    short = rng.random() < 0.45
    texts = [
        verbs[0],
        *(f"{c.who.text} {c.rest()}" if short else v for c, v in zip(clauses[1:], verbs[1:], strict=True)),
    ]
    if short and clauses[-1].thing is first.thing and first.thing:
        texts = [verbs[0], *(f"{c.who.text} {' '.join(p.said for p in c.parts)}" for c in clauses[1:])]
    text = ", ".join(texts[:-1]) + rng.choice((", ", " and ", ", and ", "; ")) + texts[-1]
    facts = []
    for c, v in zip(clauses, verbs, strict=True):
        made = facts_of(rng, c, v + ".")
        if first.thing and clauses[-1].thing is first.thing:  # who and what alone do not tell them apart
            made = [f for f in made if f.value != first.thing.value]
            made[-1] = replace(made[-1], subject=c.parts[0].value, questions=tuple(
                _subject_question(rng, f"{c.finite('s')} {c.rest()}", "person") for _ in range(ASKED)))  # fmt: skip
        facts += made
    return [(cap(text) + ".", facts)]


SHAREABLE = {"thing", "game", "language", "instrument", "animal", "event_o", "dish", "drink", "food"}


def _slot_of(part: Part) -> tuple[str, str]:
    if part.kind == "spot":
        return "", "spot"
    said = part.said
    for start in ("next to", "out of"):
        if said.startswith(start):
            return start, part.kind
    first = said.split(" ", 1)[0]
    return ("", part.kind) if part.kind in ("colour", "often") else (first, part.kind)


@dataclass(frozen=True)
class Relation:
    """{x} and {y}: how it is said, how the y (direct=indirect) and the x of it are asked for, what the y is called."""

    group: str
    x: str
    y: Callable[[World], str]
    said: tuple[str, ...]
    asks: tuple[str, ...]
    turned: tuple[str, ...]  # what is said of x, with its verb
    noun: str


def R(group: str, x: str, y: Callable[[World], str], said: str, asks: str, turned: str, noun: str = "") -> Relation:
    return Relation(group, x, y, *(tuple(filter(None, listed(t))) for t in (said, asks, turned)), noun)


def of(*words: str) -> Callable[[World], str]:
    return lambda w: w.new(list(words))


def _of_list(words: list[str], form: str = "{}") -> Callable[[World], str]:
    return lambda w: form.format(w.new(words))


METRES = ("metres", "kilometres", "km", "m", "steps")
HAIR = "black brown blond red grey white curly straight".split()
COUNTRIES = """Italy Spain Greece Norway Sweden Poland Turkey Egypt Brazil Mexico Japan India Kenya Canada Chile Peru
    Ireland Portugal Austria Vietnam Iceland Morocco""".split()
RELATIONS = [
    R("age", "p", lambda w: w.number(3, 99),
      "{x} is {y} years old|{x} is {y}|{x} turned {y}|{x} has just turned {y}",
      "how old is {x}=how old {x} is|what age is {x}=what age {x} is|how many years old is {x}=how many years "
      "old {x} is",
      "is {y} years old|is {y}", "age"),
    R("job", "p", lambda w: a(w.new(JOBS)),
      "{x} is {y}|{x} works as {y}|{x} became {y}|{x} has been {y} for years",
      "what does {x} do for a living=what {x} does for a living|what is {x} by profession=what {x} is by "
      "profession|what does {x} work as=what {x} works as|which job does {x} have=which job {x} has|what is "
      "{x}=what {x} is",
      "is {y}|works as {y}", "job|profession|occupation"),
    R("pet", "p", lambda w: a(w.new(PETS)),
      "{x} has {y}|{x} owns {y}|{x} keeps {y}",
      "which pet does {x} have=which pet {x} has|what animal does {x} have=what animal {x} has|what pet does {x} "
      "own=what pet {x} owns|which animal does {x} keep=which animal {x} keeps",
      "has {y}|owns {y}|keeps {y}", "pet"),
    R("hair", "p", of(*HAIR),
      "{x} has {y} hair|{x}'s hair is {y}",
      "what colour is {x}'s hair=what colour {x}'s hair is|what kind of hair does {x} have=what kind of hair {x} "
      "has|what hair does {x} have=what hair {x} has|what is {x}'s hair like=what {x}'s hair is like",
      "has {y} hair"),
    R("eyes", "p", of("blue", "green", "brown", "grey", "dark"),
      "{x} has {y} eyes|{x}'s eyes are {y}",
      "what colour are {x}'s eyes=what colour {x}'s eyes are|which colour of eyes does {x} have=which colour of "
      "eyes {x} has",
      "has {y} eyes", "eye colour"),
    R("height", "p", lambda w: w.number(120, 205),
      "{x} is {y} cm tall|{x} measures {y} cm|{x}'s height is {y} cm",
      "how tall is {x}=how tall {x} is|how many cm does {x} measure=how many cm {x} measures",
      "is {y} cm tall", "height"),
    R("weight", "p", lambda w: w.number(40, 119),
      "{x} weighs {y} kg|{x}'s weight is {y} kg",
      "how much does {x} weigh=how much {x} weighs|how heavy is {x}=how heavy {x} is|what does {x} weigh=what "
      "{x} weighs",
      "weighs {y} kg", "weight"),
    R("shoe", "p", lambda w: w.number(34, 48),
      "{x} takes shoe size {y}|{x}'s shoe size is {y}|{x} wears size {y} shoes",
      "what size of shoes does {x} wear=what size of shoes {x} wears|which shoe size does {x} take=which shoe "
      "size {x} takes",
      "takes shoe size {y}|wears size {y} shoes", "shoe size"),
    R("country", "p", _of_list(COUNTRIES),
      "{x} comes from {y}|{x} is from {y}|{x} was born in {y}|{x} grew up in {y}",
      "where is {x} from=where {x} is from|which country is {x} from=which country {x} is from|where does {x} "
      "come from=where {x} comes from|what country does {x} come from=what country {x} comes from",
      "is from {y}|comes from {y}", "home country"),
    R("birth", "p", lambda w: w.number(1930, 2020),
      "{x} was born in {y}|{x}'s year of birth is {y}",
      "when was {x} born=when {x} was born|in which year was {x} born=in which year {x} was born|what year was "
      "{x} born=what year {x} was born",
      "was born in {y}", "year of birth"),
    R("birthday", "p", lambda w: w.made(lambda: _date(w.rng)),
      "{x}'s birthday is on {y}|{x} has a birthday on {y}|{x} was born on {y}|{x} celebrates on {y}",
      "when is {x}'s birthday=when {x}'s birthday is|on which day was {x} born=on which day {x} was born|what "
      "day is {x}'s birthday=what day {x}'s birthday is",
      "was born on {y}", "birthday|date of birth"),
    R("favourite", "p", _of_list(COLOURS),
      "{x}'s favourite colour is {y}|the favourite colour of {x} is {y}|{x} likes {y} best of all colours",
      "which colour does {x} like best=which colour {x} likes best|what colour does {x} prefer=what colour {x} "
      "prefers",
      "likes {y} best", "favourite colour"),
    R("hobby", "p", _of_list(HOBBIES),
      "{x}'s hobby is {y}|{x} is fond of {y}|{x} enjoys {y}|{x} is crazy about {y}",
      "what is {x} fond of=what {x} is fond of|what does {x} enjoy=what {x} enjoys|which hobby does {x} "
      "have=which hobby {x} has",
      "is fond of {y}|enjoys {y}", "hobby"),
    R("fear", "p",
      _of_list([s + "s" for s in ANIMALS if s[-1] not in "yxhfe" and s not in ("fish", "deer", "sheep")]),
      "{x} is afraid of {y}|{x} is scared of {y}|{x} fears {y}",
      "what is {x} afraid of=what {x} is afraid of|of what is {x} afraid=of what {x} is afraid|what does {x} "
      "fear=what {x} fears|which animals is {x} scared of=which animals {x} is scared of",
      "is afraid of {y}|is scared of {y}|fears {y}"),
    R("allergy", "p", _of_list("nuts milk eggs fish cats dogs strawberries pollen dust wheat honey shrimps".split()),
      "{x} is allergic to {y}|{x} has an allergy to {y}",
      "what is {x} allergic to=what {x} is allergic to|to what is {x} allergic=to what {x} is allergic",
      "is allergic to {y}", "allergy"),
    R("married", "p", World.name,
      "{x} is married to {y}|{x} has been married to {y} for years|{x} got married to {y}",
      "to whom is {x} married=to whom {x} is married|who is {x} married to=who {x} is married to|who did {x} "
      "marry=who {x} married",
      "is married to {y}"),
    R("nickname", "p", lambda w: w.made(lambda: invented(w.rng)),
      "{x}'s nickname is {y}|{x} is also known as {y}|everyone calls {x} {y}|friends call {x} {y}",
      "what is {x} also called=what {x} is also called|what do friends call {x}=what friends call {x}",
      "is also called {y}", "nickname"),
    R("phone", "p", lambda w: w.number(1000, 999999),
      "{x}'s phone number is {y}|you can reach {x} at {y}|call {x} on {y}|{x} has the number {y}",
      "which number does {x} have=which number {x} has|how can I reach {x}=how I can reach {x}|which number do I "
      "call for {x}=which number I must call for {x}",
      "has the number {y}", "number|phone number"),
    R("seat", "p", lambda w: w.made(lambda: f"{w.rng.randrange(1, 60)}{w.rng.choice('ABCDEF')}"),
      "{x} has seat {y}|{x} sits in seat {y}|{x}'s seat is {y}",
      "which seat does {x} have=which seat {x} has|where does {x} sit=where {x} sits",
      "has seat {y}|sits in seat {y}", "seat"),
    R("floor", "p", _of_list(ORDINALS, "the {} floor"),
      "{x} lives on {y}|{x} is on {y}|{x}'s flat is on {y}",
      "on which floor does {x} live=on which floor {x} lives|which floor does {x} live on=which floor {x} lives "
      "on|what floor is {x}'s flat on=what floor {x}'s flat is on",
      "lives on {y}", "floor"),
    R("house", "p", lambda w: w.made(lambda: f"{w.rng.choice(COLOURS)} house"),
      "{x} lives in the {y}|the {y} belongs to {x}|{x} owns the {y}",
      "which house does {x} live in=which house {x} lives in|in which house does {x} live=in which house {x} "
      "lives|which house belongs to {x}=which house belongs to {x}",
      "lives in the {y}|owns the {y}", "house"),
    R("children", "p", lambda w: w.new(NUMBERS[2:]),
      "{x} has {y} children|{x} is raising {y} children",
      "how many children does {x} have=how many children {x} has|how many kids does {x} have=how many kids {x} "
      "has",
      "has {y} children", "number of children"),
    R("points", "p", lambda w: w.number(2, 200),
      "{x} has {y} points|{x} scored {y} points|{x} got {y} points",
      "how many points does {x} have=how many points {x} has|how many points did {x} score=how many points {x} "
      "scored|what did {x} score=what {x} scored",
      "has {y} points|got {y} points|scored {y} points", "score|number of points"),
    R("dish", "p", _of_list(LISTS["dish"]),
      "{x} ordered {y}|{x} had {y}|{x} took {y}|{x} wants {y}|{x} will have {y}",
      "what did {x} order=what {x} ordered|which dish did {x} order=which dish {x} ordered|what does {x} "
      "eat=what {x} eats|what is {x} having=what {x} is having|what food is for {x}=what food is for {x}",
      "ordered {y}|had {y}|gets {y}", "order|dish|food"),
    R("drink", "p", _of_list(LISTS["drink"]),
      "{x} drinks {y}|{x} has {y}|{x} ordered {y} to drink|{x} prefers {y}",
      "what does {x} drink=what {x} drinks|which drink is for {x}=which drink is for {x}|what does {x} have to "
      "drink=what {x} has to drink",
      "drinks {y}|has {y}", "drink"),
    R("instrument", "p", _of_list(INSTRUMENTS, "the {}"),
      "{x} plays {y}|{x} can play {y}|{x} is good at playing {y}",
      "what does {x} play=what {x} plays|which instrument does {x} play=which instrument {x} plays|what "
      "instrument can {x} play=what instrument {x} can play",
      "plays {y}|can play {y}", "instrument"),
    R("language", "p", _of_list(LANGUAGES),
      "{x} speaks {y}|{x} can speak {y}|{x} only speaks {y}",
      "which language does {x} speak=which language {x} speaks|what language can {x} speak=what language {x} can "
      "speak|what does {x} speak=what {x} speaks",
      "speaks {y}|can speak {y}", "language"),
    R("subject", "p", of(*listed(
          "maths|biology|history|music|art|physics|chemistry|geography|law|medicine")),
      "{x} teaches {y}|{x} is a teacher of {y}",
      "what does {x} teach=what {x} teaches|which subject does {x} teach=which subject {x} teaches",
      "teaches {y}", "subject"),
    R("salary", "p", World.price,
      "{x} earns {y} a week|{x} gets {y} a day|{x} is paid {y} an hour",
      "how much does {x} earn=how much {x} earns|what does {x} get=what {x} gets|how much is {x} paid=how much "
      "{x} is paid",
      "earns {y}|gets {y}", "salary|pay|wage"),
    R("savings", "p", World.price,
      "{x} has {y}|{x} saved {y}|{x} has saved {y}",
      "how much does {x} have=how much {x} has|how much money has {x} saved=how much money {x} has saved|how "
      "much did {x} save=how much {x} saved",
      "has saved {y}|has {y}", "money"),
    R("debt", "p", lambda w: f"{w.price()}",
      "{x} owes me {y}|{x} still owes us {y}",
      "how much does {x} owe=how much {x} owes|what does {x} owe me=what {x} owes me",
      "owes me {y}", "debt"),
    R("shift", "p", _of_list(DAYS),
      "{x} works on {y}|{x} is on duty on {y}|{x}'s shift is on {y}",
      "when does {x} work=when {x} works|on which day does {x} work=on which day {x} works|what day is {x} on "
      "duty=what day {x} is on duty",
      "works on {y}|is on duty on {y}", "shift"),
    R("free", "p", _of_list(DAYS),
      "{x} is free on {y}|{x} has time on {y}|{x} can come on {y}|{x}'s day off is {y}",
      "when is {x} free=when {x} is free|when does {x} have time=when {x} has time|when can {x} come=when {x} "
      "can come",
      "is free on {y}|has time on {y}|can come on {y}", "day off"),
    R("wake", "p", World.time,
      "{x} gets up at {y}|{x} wakes up at {y}|{x} starts work at {y}",
      "when does {x} get up=when {x} gets up|what time does {x} wake up=what time {x} wakes up|when does {x} "
      "start=when {x} starts",
      "gets up at {y}|starts at {y}"),
    R("appointment", "p", World.time,
      "{x}'s appointment is at {y}|{x} has an appointment at {y}|{x} comes at {y}",
      "when is {x}'s appointment=when {x}'s appointment is|what time is {x}'s appointment=what time {x}'s "
      "appointment is|when does {x} come=when {x} comes",
      "has an appointment at {y}|comes at {y}", "appointment"),
    R("team", "p", _of_list(TEAMS, "the {}"),
      "{x} is a fan of {y}|{x} supports {y}",
      "which team does {x} support=which team {x} supports|what team is {x} a fan of=what team {x} is a fan of|"
      "which club does {x} support=which club {x} supports",
      "supports {y}|is a fan of {y}", "team"),
    R("task", "p", of(*listed(
          "washes the dishes|cooks dinner|feeds the cat|sweeps the floor|sets the table|waters the plants|takes "
          "out the rubbish|makes the beds|does the shopping|cleans the windows|walks the dog|mows the lawn|irons "
          "the shirts|chops the wood|peels the potatoes|writes the minutes|buys the flowers|brings the cake|"
          "books the hotel|answers the phone|carries the bags|tunes the piano|paints the fence")),
      "{x} {y}",
      "what does {x} do=what {x} does|what is {x}'s task=what {x}'s task is|which job does {x} do=which job {x} "
      "does",
      "{y}", "task|job"),
    R("way", "p", of(*listed(
          "takes the bus|walks|rides a bike|drives a car|takes the train|goes by tram|takes a taxi|comes on "
          "horseback|skates|takes the ferry|rides a scooter|runs|goes by boat|takes the metro|shares a lift|"
          "swims|hitchhikes|takes the helicopter|drives a van")),
      "{x} {y}",
      "how does {x} travel=how {x} travels|how does {x} get there=how {x} gets there|how does {x} come=how {x} "
      "comes|how does {x} get to work=how {x} gets to work|by what means does {x} travel=by what means {x} "
      "travels",
      "{y}"),
    R("mood", "p", of(*listed(
          "happy|tired|hungry|ill|bored|angry|thirsty|sad|nervous|proud|late|busy|sleepy|cold|afraid|at home|on "
          "holiday|in hospital|at work|out of town")),
      "{x} is {y}",
      "how is {x}=how {x} is|what is {x} like today=what {x} is like today|what is the matter with {x}=what is "
      "the matter with {x}",
      "is {y}"),
    R("where", "p", _of_list(LISTS["place"], "at the {}"),
      "{x} is {y}|{x} stands {y}|{x} waits {y}",
      "where is {x}=where {x} is|where can {x} be found=where {x} can be found|where do I find {x}=where I find "
      "{x}",
      "is {y}"),
    R("doing", "p", of(*listed(
          "reading|sleeping|cooking|dancing|singing|swimming|knitting|painting|fishing|shopping|working|washing "
          "up|playing cards|watching television|packing|baking bread|writing a letter|cleaning the car|building "
          "a kite|feeding the ducks|picking apples|mending a net")),
      "{x} is {y}",
      "what is {x} doing=what {x} is doing|what is {x} busy with=what {x} is busy with",
      "is {y}"),
    R("wearing", "p",
      lambda w: a(f"{w.new(COLOURS)} {w.new('hat coat dress shirt scarf jacket tie skirt cap jumper'.split())}"),
      "{x} wears {y}|{x} is wearing {y}|{x} has {y} on",
      "what does {x} wear=what {x} wears|what is {x} wearing=what {x} is wearing|which piece of clothing does "
      "{x} wear=which piece of clothing {x} wears",
      "wears {y}|is wearing {y}"),
    R("ticket", "p", lambda w: w.number(100, 9999),
      "{x}'s ticket number is {y}|{x} has ticket {y}|ticket {y} is for {x}",
      "which ticket does {x} have=which ticket {x} has|what is {x}'s ticket=what {x}'s ticket is",
      "has ticket {y}", "ticket number"),
    R("pays", "p", World.price,
      "{x} pays {y}|{x} paid {y}|{x} gave {y}|{x}'s share is {y}",
      "how much does {x} pay=how much {x} pays|how much did {x} pay=how much {x} paid|what did {x} pay=what {x} "
      "paid",
      "pays {y}|paid {y}", "share"),
    R("colour", "t", _of_list(COLOURS),
      "{x} is {y}|the colour of {x} is {y}|{x} is painted {y}",
      "what colour is {x}=what colour {x} is|which colour is {x}=which colour {x} is|what colour does {x} "
      "have=what colour {x} has",
      "is {y}", "colour"),
    R("price", "t", World.price,
      "{x} costs {y}|{x} is {y}|the price of {x} is {y}|you pay {y} for {x}|we sell {x} for {y}",
      "how much does {x} cost=how much {x} costs|how much is {x}=how much {x} is|what does {x} cost=what {x} "
      "costs|what must I pay for {x}=what I must pay for {x}|how much do you want for {x}=how much you want for "
      "{x}",
      "costs {y}", "price|cost"),
    R("material", "t", _of_list(MATERIALS),
      "{x} is made of {y}|{x} is of {y}|{x} consists of {y}",
      "what is {x} made of=what {x} is made of|of what is {x} made=of what {x} is made|which material is {x} "
      "made of=which material {x} is made of",
      "is made of {y}|consists of {y}", "material"),
    R("mass", "t",
      lambda w: w.made(lambda: f"{w.rng.randrange(2, 900)} {w.rng.choice(('kg', 'grams', 'g', 'tons'))}"),
      "{x} weighs {y}|{x} has a weight of {y}",
      "how much does {x} weigh=how much {x} weighs|how heavy is {x}=how heavy {x} is",
      "weighs {y}", "weight"),
    R("length", "t",
      lambda w: w.made(lambda: f"{w.rng.randrange(2, 300)} {w.rng.choice(('cm', 'metres', 'm', 'inches'))}"),
      "{x} is {y} long|{x} has a length of {y}",
      "how long is {x}=how long {x} is|what length is {x}=what length {x} is",
      "is {y} long", "length"),
    R("owner", "t", World.name,
      "{x} belongs to {y}|{x} is {y}'s|the owner of {x} is {y}|{y} owns {x}",
      "whose is {x}=whose {x} is|who owns {x}=who owns {x}|to whom does {x} belong=to whom {x} belongs|who does "
      "{x} belong to=who {x} belongs to",
      "belongs to {y}", "owner"),
    R("origin", "t", _of_list(COUNTRIES),
      "{x} comes from {y}|{x} was made in {y}|{x} is from {y}",
      "where does {x} come from=where {x} comes from|where was {x} made=where {x} was made|which country is {x} "
      "from=which country {x} is from",
      "comes from {y}|was made in {y}|is from {y}"),
    R("lies", "t", _of_list(LISTS["spot"]),
      "{x} is {y}|{x} lies {y}|you will find {x} {y}|I put {x} {y}",
      "where is {x}=where {x} is|where can I find {x}=where I can find {x}|where did I put {x}=where I put {x}|"
      "where do I look for {x}=where I must look for {x}",
      "is {y}|lies {y}"),
    R("maker", "t", World.name,
      "{x} was made by {y}|{y} made {x}|{x} is a work of {y}",
      "who made {x}=who made {x}|by whom was {x} made=by whom {x} was made",
      "was made by {y}", "maker"),
    R("years", "t", lambda w: w.number(3, 300),
      "{x} is {y} years old|{x} has an age of {y} years",
      "how old is {x}=how old {x} is|what age is {x}=what age {x} is",
      "is {y} years old", "age"),
    R("for", "t", World.name,
      "{x} is for {y}|{x} is meant for {y}|we keep {x} for {y}",
      "who is {x} for=who {x} is for|for whom is {x}=for whom {x} is",
      "is for {y}"),
    R("opens", "s", World.time,
      "{x} opens at {y}|{x} is open from {y}",
      "when does {x} open=when {x} opens|from when is {x} open=from when {x} is open|what time does {x} "
      "open=what time {x} opens",
      "opens at {y}"),
    R("shuts", "s", World.time,
      "{x} closes at {y}|{x} is open until {y}|{x} shuts at {y}",
      "when does {x} close=when {x} closes|until when is {x} open=until when {x} is open|how long is {x} "
      "open=how long {x} is open",
      "closes at {y}"),
    R("closed", "s", _of_list(DAYS, "{}s"),
      "{x} is closed on {y}|{x} does not open on {y}",
      "when is {x} closed=when {x} is closed|on which day is {x} closed=on which day {x} is closed",
      "is closed on {y}"),
    R("entrance", "s", World.price,
      "entry to {x} is {y}|{x} costs {y}|a ticket for {x} is {y}",
      "how much is {x}=how much {x} is|what does {x} cost=what {x} costs|how much is a ticket for {x}=how much a "
      "ticket for {x} is",
      "costs {y}", "entry fee"),
    R("street", "s",
      lambda w: f"{w.made(lambda: invented(w.rng))} {w.rng.choice(('Street', 'Road', 'Lane', 'Avenue', 'Square'))}",
      "{x} is in {y}|you find {x} in {y}|{x} stands in {y}",
      "where is {x}=where {x} is|in which street is {x}=in which street {x} is|what street is {x} in=what street "
      "{x} is in",
      "is in {y}", "address"),
    R("distance", "s", lambda w: w.made(lambda: f"{w.rng.randrange(2, 900)} {w.rng.choice(METRES)}"),
      "{x} is {y} away|it is {y} to {x}|from here to {x} it is {y}",
      "how far is {x}=how far {x} is|how far is it to {x}=how far it is to {x}|how far away is {x}=how far away "
      "{x} is",
      "is {y} away"),
    R("built", "s", lambda w: w.number(1200, 2020),
      "{x} was built in {y}|{x} dates from {y}|they built {x} in {y}",
      "when was {x} built=when {x} was built|in which year was {x} built=in which year {x} was built|how old is "
      "{x}=how old {x} is",
      "was built in {y}"),
    R("beside", "s", _of_list(LISTS["place"], "the {}"),
      "{x} is next to {y}|{x} is right beside {y}|{x} stands next to {y}",
      "where is {x}=where {x} is|what is {x} next to=what {x} is next to|where do I find {x}=where I find {x}",
      "is next to {y}"),
    R("way_to", "s", of(*listed(
          "turn left at the church|go straight on|take the second street on the right|cross the bridge|turn "
          "right at the lights|walk down to the river|follow the tram line|go through the park|take the stairs|"
          "go past the fountain|turn left after the bank|take bus 12|take the lift to the third floor")),
      "to get to {x}, {y}|for {x}, {y}|{y} to reach {x}",
      "how do I get to {x}=how I get to {x}|how can I reach {x}=how I can reach {x}|what is the way to {x}=what "
      "the way to {x} is|which way is {x}=which way {x} is",
      ""),
    R("rooms", "s", lambda w: w.number(2, 400),
      "{x} has {y} rooms|there are {y} rooms in {x}",
      "how many rooms does {x} have=how many rooms {x} has|how many rooms are in {x}=how many rooms are in {x}",
      "has {y} rooms", "number of rooms"),
    R("starts", "e", World.time,
      "{x} is at {y}|{x} starts at {y}|{x} begins at {y}|at {y} there is {x}",
      "when is {x}=when {x} is|when does {x} start=when {x} starts|what time is {x}=what time {x} is|at what "
      "time does {x} begin=at what time {x} begins",
      "starts at {y}|is at {y}|begins at {y}", "time|beginning"),
    R("date", "e", lambda w: w.new(DAYS) if w.rng.random() < 0.5 else w.made(lambda: _date(w.rng)),
      "{x} is on {y}|{x} takes place on {y}|{x} was moved to {y}|we have {x} on {y}",
      "when is {x}=when {x} is|on which day is {x}=on which day {x} is|what day is {x}=what day {x} is|when does "
      "{x} take place=when {x} takes place",
      "is on {y}|takes place on {y}", "date|day"),
    R("host", "e", World.name,
      "{y} leads {x}|{x} is led by {y}|{y} organises {x}|{x} is with {y}",
      "who leads {x}=who leads {x}|who is {x} with=who {x} is with|by whom is {x} led=by whom {x} is led|who "
      "organises {x}=who organises {x}",
      "is led by {y}", "leader"),
    R("venue", "e", lambda w: "the " + w.new(ROOMS),
      "{x} is in {y}|{x} takes place in {y}|{x} will be held in {y}|we do {x} in {y}",
      "where is {x}=where {x} is|where does {x} take place=where {x} takes place|where will {x} be held=where "
      "{x} will be held",
      "is in {y}|takes place in {y}", "place"),
    R("fee", "e", World.price,
      "{x} costs {y}|a ticket for {x} costs {y}|for {x} you pay {y}",
      "how much is {x}=how much {x} is|what does {x} cost=what {x} costs|how much is a ticket for {x}=how much a "
      "ticket for {x} is",
      "costs {y}", "price|fee"),
    R("guests", "e", lambda w: w.number(4, 900),
      "{y} people came to {x}|{x} has {y} guests|there were {y} people at {x}",
      "how many people came to {x}=how many people came to {x}|how many guests does {x} have=how many guests {x} "
      "has|how many people were at {x}=how many people were at {x}",
      "has {y} guests", "number of guests"),
    R("lasts", "e", lambda w: w.made(lambda: _duration(w.rng)),
      "{x} lasts {y}|{x} takes {y}|{x} will take {y}",
      "how long is {x}=how long {x} is|how long does {x} last=how long {x} lasts|how long does {x} take=how long "
      "{x} takes",
      "lasts {y}|takes {y}", "length"),
    R("deadline", "d", lambda w: w.new(DAYS) if w.rng.random() < 0.5 else w.made(lambda: _date(w.rng)),
      "{x} is due on {y}|{x} must be done by {y}|the deadline for {x} is {y}|hand in {x} by {y}|we need {x} by "
      "{y}",
      "when is {x} due=when {x} is due|by when must {x} be done=by when {x} must be done|until when is there "
      "time for {x}=until when there is time for {x}|when do you need {x}=when you need {x}",
      "is due on {y}", "deadline|due date"),
    R("author", "d", World.name,
      "{y} wrote {x}|{x} was written by {y}|{x} comes from {y}|{y} is responsible for {x}",
      "who wrote {x}=who wrote {x}|by whom was {x} written=by whom {x} was written|who is responsible for "
      "{x}=who is responsible for {x}",
      "was written by {y}", "author"),
    R("pages", "d", lambda w: w.number(3, 900),
      "{x} has {y} pages|{x} is {y} pages long",
      "how many pages does {x} have=how many pages {x} has|how long is {x}=how long {x} is",
      "has {y} pages", "number of pages"),
    R("departs", "tr", World.time,
      "{x} leaves at {y}|{x} goes at {y}|{x} departs at {y}",
      "when does {x} leave=when {x} leaves|what time does {x} go=what time {x} goes|at what time is {x}=at what "
      "time {x} is",
      "leaves at {y}|departs at {y}", "departure|departure time"),
    R("platform", "tr", lambda w: w.number(1, 40),
      "{x} leaves from platform {y}|{x} is on platform {y}|{x} goes from platform {y}",
      "which platform does {x} leave from=which platform {x} leaves from|from which platform does {x} go=from "
      "which platform {x} goes|where does {x} leave=where {x} leaves|what platform is {x} on=what platform {x} "
      "is on",
      "leaves from platform {y}", "platform"),
    R("delay", "tr", lambda w: w.number(3, 120),
      "{x} is {y} minutes late|{x} has a delay of {y} minutes",
      "how late is {x}=how late {x} is|how much delay does {x} have=how much delay {x} has",
      "is {y} minutes late", "delay"),
    R("heads", "tr", World.city,
      "{x} goes to {y}|{x} is for {y}|{x} runs to {y}",
      "where does {x} go=where {x} goes|where is {x} going=where {x} is going|which city does {x} go to=which "
      "city {x} goes to",
      "goes to {y}", "destination"),
    R("club", "p", _of_list(TEAMS, "the {}"),
      "{x} plays for {y}|{x} is a player of {y}|{x} has joined {y}",
      "which team does {x} play for=which team {x} plays for|for which team does {x} play=for which team {x} "
      "plays|what team is {x} in=what team {x} is in",
      "plays for {y}", "team"),
    R("learns", "p", _of_list(LANGUAGES),
      "{x} is learning {y}|{x} learns {y}|{x} studies {y}|{x} takes lessons in {y}",
      "which language does {x} learn=which language {x} learns|what language is {x} learning=what language {x} "
      "is learning|what does {x} learn=what {x} learns",
      "is learning {y}|learns {y}", "new language"),
]  # fmt: skip
DOCUMENTS = """report essay poster invoice application homework thesis article translation essay novel poem letter
    song script project budget menu newsletter speech survey drawing plan brochure contract manual""".split()


def _x(w: World, kind: str, plain: bool = False) -> Who:
    rng = w.rng
    if kind == "p":
        if rng.random() < 0.75:
            return Who(w.name())
        chance = rng.random()
        if chance < 0.45:
            return Who(_relative(w))
        if chance < 0.65:
            return Who(f"{w.name()}'s {w.new(RELATIVES)}")
        if chance < 0.85:
            return Who("the " + w.new(LISTS["role"]))
        return Who(f"the {w.new(HEADS)} {w.new(LISTS['mark']).format(c=rng.choice(COLOURS))}")
    if kind == "t":
        noun = w.noun(plain)
        chance = rng.random()
        if chance < 0.12:
            return Who(f"{w.name()}'s {noun}", kind="thing")
        return Who(("my " if chance < 0.25 else "our " if chance < 0.3 else "the ") + noun, kind="thing")
    if kind == "d":
        return Who(f"{rng.choice(('the', 'the', 'the', 'my', 'our'))} {w.new(DOCUMENTS)}", kind="thing")
    return _who(w, {"s": "shop", "e": "event", "tr": "train"}[kind])


PLAIN = {"colour", "material", "years", "length", "mass"}  # said of things that bear no other quality


def bare(text: str) -> str:
    """The value in what is said."""
    return re.sub("^(the|an?|my|our|at the) ", "", text)


def relation_facts(rng: random.Random, r: Relation, who: Who, y: str, statement: str) -> list[Fact]:
    x = who.text
    statement = told(statement) + "."
    asked = []
    nouns = r.noun.split("|") if r.noun else []
    for _ in range(ASKED):
        if nouns and rng.random() < 0.35:
            noun = rng.choice(nouns)
            owners = [f"the {noun} of {x}"]
            if not any(mark in x for mark in (" wh", " with", " in ", " that ")):
                owners.append(f"{x}'s {noun}")
            asked.append(_noun_question(rng, rng.choice(owners)))
        elif nouns and rng.random() < 0.1:
            asked.append(rng.choice(("{x}: {n}?", "{n}, {x}?", "What {n} has {x}?", "{n} of {x}?", "And {x}? I mean "
                "the {n}.",
                         "Which {n} belongs to {x}?", "{n} {x}?")).format(x=x, n=rng.choice(nouns)))  # fmt: skip
        else:
            direct, indirect = rng.choice(r.asks).split("=")
            asked.append(_one(rng, direct.format(x=x, y=y), indirect.format(x=x, y=y)))
    asked = [cap(q) for q in asked]
    facts = [Fact(statement, x, bare(y), tuple(asked))]
    if r.turned:
        turned = tuple(_subject_question(rng, rng.choice(r.turned).format(y=y), who.kind) for _ in range(ASKED))
        facts.append(Fact(statement, bare(y), bare(x), turned))
    return facts


def _unowned(r: Relation) -> Relation:
    """The relation in forms that suit a long x."""
    return replace(r, said=tuple(t for t in r.said if "{x}'s" not in t) or r.said,
                   asks=tuple(t for t in r.asks if "{x}'s" not in t) or r.asks)  # fmt: skip


KEPT = frozenset("of to on at in from by with for behind opposite next platform the as seat beside size".split())


def _gap(form: str) -> str:
    """The form without its verb; empty where none is left."""
    if not form.startswith("{x}") or "{y}" not in form[3:]:
        return ""
    between, after = form[3:].split("{y}", 1)
    words = between.split()
    if not words:
        return ""
    kept = len(words)
    while kept and words[kept - 1] in KEPT:
        kept -= 1
    return " ".join(("{x}'s" if between.startswith("'s") and after else "{x}", *words[kept:], "{y}")) + after


def related(w: World) -> list[Unit]:
    """One relation of one to four, in one sentence or in several."""
    rng = w.rng
    r = rng.choice(RELATIONS)
    if r.group in w.groups:
        raise Full(r.group)
    w.groups.add(r.group)
    count = rng.choices((1, 2, 3, 4, 5), (30, 30, 22, 12, 6))[0]
    whos = [_x(w, r.x, r.group in PLAIN) for _ in range(count)]
    if any(" " in who.text.split("the ", 1)[-1] and who.kind == "person" for who in whos):
        r = _unowned(r)
    ys = [r.y(w) for _ in whos]
    one = rng.choice(r.said)
    texts = [one.format(x=who.text, y=y) for who, y in zip(whos, ys, strict=True)]
    facts = [relation_facts(rng, r, who, y, text) for who, y, text in zip(whos, ys, texts, strict=True)]
    if count == 1 or rng.random() < 0.25:
        if count > 1 and rng.random() < 0.6:
            texts = [rng.choice(r.said).format(x=who.text, y=y) for who, y in zip(whos, ys, strict=True)]
            facts = [relation_facts(rng, r, who, y, text) for who, y, text in zip(whos, ys, texts, strict=True)]
        return [(cap(text) + ".", made) for text, made in zip(texts, facts, strict=True)]
    gap = _gap(one)
    if gap and rng.random() < 0.6:
        texts = [texts[0], *(gap.format(x=who.text, y=y) for who, y in zip(whos[1:], ys[1:], strict=True))]
    text = ", ".join(texts[:-1]) + rng.choice((" and ", ", ", ", and ", ", but ", "; ")) + texts[-1]
    return [(cap(text) + ".", [f for made in facts for f in made])]


PROFILE = [r for r in RELATIONS if r.x == "p" and any(s.startswith("{x} ") for s in r.said)]
THING_PROFILE = [r for r in RELATIONS if r.x in "tsed" and any(s.startswith("{x} ") for s in r.said)]


def profiled(w: World) -> list[Unit]:
    """Two to four relations of one person or thing, by name and then by he, she or it."""
    rng = w.rng
    person = rng.random() < 0.65
    kind = "p" if person else rng.choice("tted")
    who = w.gendered() if person else _x(w, kind, True)
    kinds = PROFILE if person else [r for r in THING_PROFILE if r.x == kind]
    chosen = rng.sample(kinds, min(len(kinds), rng.choice((2, 2, 3, 4))))
    chosen = list({ALIKE.get(r.group, r.group): r for r in chosen}.values())
    for r in chosen:
        if r.group in w.groups:
            raise Full(r.group)
    w.groups |= {r.group for r in chosen}
    pronoun = who.pronoun or "it"
    parts, facts = [], []
    for r in chosen:
        form, y = rng.choice([s for s in r.said if s.startswith("{x} ")]), r.y(w)
        parts.append(form[4:].format(y=y, x=who.text))
        facts.append(relation_facts(rng, r, who, y, form.format(x=who.text, y=y)))
    chance = rng.random()
    if chance < 0.4:
        text = f"{who.text} {series(parts)}." if rng.random() < 0.7 else f"{who.text} {', '.join(parts)}."
        return [(cap(text), [f for made in facts for f in made])]
    texts = [cap(f"{who.text if not i else pronoun} {part}.") for i, part in enumerate(parts)]
    if chance < 0.7:
        return [(" ".join(texts), [f for made in facts for f in made])]
    if chance < 0.85 and len(parts) > 1:
        text = (
            f"{who.text}, who {parts[0]}, {series(parts[1:])}."
            if person
            else f"{who.text}, which {parts[0]}, {series(parts[1:])}."
        )
        return [(cap(text), [f for made in facts for f in made])]
    return [
        (
            " ".join((texts[0], *([f"{cap(pronoun)} {series(parts[1:])}."] if parts[1:] else []))),
            [f for made in facts for f in made],
        )
    ]


ALIKE = {  # relations of which one would answer a question for the other
    group: kind
    for kind, groups in {
        "when": "birth birthday shift free wake appointment starts date",
        "money": "salary savings debt pays points",
        "do": "job subject task way hobby doing mood",
        "where": "floor house seat where",
        "numbers": "phone ticket shoe",
        "eats": "dish drink instrument language learns allergy",
        "has": "pet children",
        "team": "team club",
    }.items()
    for group in groups.split()
}


def _facts(rng: random.Random, statement: str, *wanted: tuple[str, str, list[str]]) -> list[Fact]:
    """(subject, value, direct=indirect questions; those with a mark stay as they are) for each thing asked for."""
    out = []
    for subject, value, forms in wanted:
        asked = []
        for _ in range(ASKED):
            form = rng.choice(forms)
            direct, _, indirect = form.partition("=")
            if form[-1] in "?.":
                asked.append(cap(form))
            elif not indirect and form.startswith("~"):
                asked.append(_noun_question(rng, form[1:]))
            elif not indirect and form.startswith("+"):
                asked.append(_subject_question(rng, form[1:], "person"))
            elif not indirect and form.startswith("-"):
                asked.append(_subject_question(rng, form[1:], "thing"))
            else:
                asked.append(_one(rng, direct, indirect or direct))
        out.append(Fact(told(statement) + ".", subject, value, tuple(asked)))
    return out


def pets(w: World) -> list[Unit]:
    """Pets and relatives, and what they are called."""
    rng = w.rng
    owner = rng.choice((w.gendered, lambda: Who("I", "i", False), lambda: Who("we", "p", False), w.gendered))()
    mine = {"I": "my", "we": "our"}.get(owner.text, f"{owner.text}'s")
    has = "has" if owner.ends == "s" else "have"
    animal = rng.random() < 0.55
    kind = w.new(PETS if animal else FAMILY)
    if not animal and owner.text == "we":
        raise Full
    name = w.new(PET_NAMES) if animal else w.name()
    one_of = kind not in ("mother", "father", "husband", "wife", "boss")
    forms = [
        f"{owner.text} {has} {a(kind)} called {name}", f"{owner.text} {has} {a(kind)} named {name}",
        f"{mine} {kind} is called {name}", f"{mine} {kind}'s name is {name}", f"{name} is {mine} {kind}",
        f"{owner.text} {has} {a(kind)}, {name}", f"{mine} {kind} {name} is here too", f"the name of {mine} {kind} "
        f"is {name}",
    ]  # fmt: skip
    text = rng.choice(forms if one_of else [form for form in forms if f" {has} a" not in form])
    statement = text
    if one_of and rng.random() < 0.35:
        it = "it is called" if animal else "the name is"
        text = f"{owner.text} {has} {a(kind)}. {cap(it)} {name}"
        statement = f"{mine} {kind} is called {name}"
    asks = [f"what is {mine} {kind} called=what {mine} {kind} is called", f"~the name of {mine} {kind}",
        f"~{mine} {kind}'s name",
            f"which name does {mine} {kind} have=which name {mine} {kind} has", f"{mine} {kind} is called what?",
            f"what do {'we' if owner.text == 'we' else 'people'} call {mine} {kind}=what people "
            f"call {mine} {kind}"]  # fmt: skip
    if not animal:
        asks += [f"who is {mine} {kind}=who {mine} {kind} is", f"+is {mine} {kind}", f"name {mine} {kind}."]
    else:
        asks += (
            [f"how does {owner.text} call the {kind}=how {owner.text} calls the {kind}"] if owner.ends == "s" else []
        )
    back = [
        f"who is {name}=who {name} is",
        f"what is {name}=what {name} is",
        f"what kind of animal is {name}=what kind of animal {name} is",
    ]
    facts = _facts(rng, statement, (mine, name, asks), (name, kind, back if animal else back[:1]))
    if owner.text not in ("I", "we"):
        relation = [
            f"+has {a(kind)}",
            f"whose {kind} is {name}=whose {kind} {name} is",
            f"+has {a(kind)} called {name}",
        ]
        facts += _facts(rng, statement, (name, owner.text, relation[1:] if not animal else relation))
    units = [(cap(text) + ".", facts)]
    if rng.random() < 0.5:
        r = rng.choice(
            [r for r in RELATIONS if r.group in (("age", "colour") if animal else ("age", "job", "height", "hobby"))]
        )
        if r.group in w.groups:
            return units
        w.groups.add(r.group)
        y = r.y(w)
        said_as = r.said[0].format(x=name, y=y)
        subject = rng.choice((name, name, "it" if animal else name))
        units[0] = (units[0][0] + " " + cap(r.said[0].format(x=subject, y=y)) + ".", facts
                    + relation_facts(rng, r, Who(name, kind="animal" if animal else "person"), y, said_as))  # fmt: skip
    return units


def scores(w: World) -> list[Unit]:
    """Results of matches."""
    rng = w.rng
    if rng.random() < 0.5:
        one, two = (f"the {t}" for t in (w.new(TEAMS), w.new(TEAMS)))
    else:
        one, two = w.city(), w.city()
        if rng.random() < 0.3:
            letters = rng.sample("ABCDEFG", 2)
            one, two = (w.take(f"Team {x}") for x in letters)
    n, m = (int(w.number(0, 60)) for _ in range(2))
    won, lost, more, less = (one, two, n, m) if n > m else (two, one, m, n)
    chance = rng.random()
    unit = rng.choice(("points", "goals", "points"))
    w.take(unit + " in a match")
    if chance < 0.35:
        text = rng.choice((f"{won} beat {lost} {more} to {less}", f"{won} won {more}:{less} against {lost}", f"{lost} "
            f"lost to {won} "
               f"{less}:{more}", f"{won} defeated {lost} by {more} {unit} to {less}", f"{won} won the match "
               f"against {lost}, {more} "
               f"to {less}"))  # fmt: skip
        facts = _facts(
            rng, text,
            (lost, won, [f"who beat {lost}", f"who won against {lost}", f"which team defeated {lost}", f"+beat {lost}",
                         f"against whom did {lost} lose=against whom {lost} lost", f"who did {lost} lose "
                         f"to=who {lost} lost to"]),
            (won, lost, [f"who did {won} beat=who {won} beat", f"who lost to {won}", f"which team lost against {won}",
                         f"against whom did {won} win=against whom {won} won", f"whom did {won} defeat=whom {won} "
                         f"defeated"]),
            (won, str(more), [f"what was the score of {won} against {lost}=what the score of {won} against {lost} was",
                              f"how many {unit} did {won} get=how many {unit} {won} got", f"~the result of {won} "
                              f"against {lost}",
                              f"how did {won} play against {lost}=how {won} played against {lost}"]),
        )  # fmt: skip
        return [(cap(text) + ".", facts)]
    verb = rng.choice(("has", "scored", "got", "")) if not one.startswith("the ") else rng.choice(("scored", "got", ""))
    mark = rng.choice((" ", ": ", " - ")) if not verb else ""
    tail = f" {unit}" if verb else rng.choice(("", f" {unit}"))
    rows = [f"{t} {verb} {x}{tail}" if verb else f"{t}{mark}{x}{tail}" for t, x in ((one, n), (two, m))]
    if rng.random() < 0.3:
        three, o = f"the {w.new(TEAMS)}" if one.startswith("the ") else w.city(), w.number(0, 60)
        rows.append(f"{three} {verb} {o}{tail}" if verb else f"{three}{mark}{o}{tail}")
    facts = []
    for row in rows:
        number = re.findall(r"\d+", row)[-1]
        team = row[: row.index(f" {verb} ")] if verb else row[: row.rindex(mark + number)]
        facts += _facts(
            rng, row,
            (team, number, [f"how many {unit} does {team} have=how many {unit} {team} has", f"~the score of {team}",
            f"{team}?",
                            f"how many {unit} did {team} score=how many {unit} {team} scored", f"~{team}'s score",
                            f"how many has {team}?",
                            f"how many {unit} did {team} get=how many {unit} {team} got", f"what did {team} "
                            f"score=what {team} scored"]),
            (number, team, [f"which team has {number}", f"who has {number} {unit}", f"which team "
            f"scored {number} {unit}",
                            f"who got {number} {unit}", f"which of the teams has {number} {unit}", f"whose score "
                            f"is {number}"]),
        )  # fmt: skip
    return [(cap(rng.choice((", ", " and ", "; ")).join(rows)) + ".", facts)]


RACES = listed(
    "race|marathon|contest|sack race|quiz|dance contest|sprint|swimming race|ski race|spelling "
    "bee|bake-off|regatta|queue"
)


def placed(w: World) -> list[Unit]:
    """Who came first, second and last."""
    rng = w.rng
    race = w.new(RACES)
    names = w.names(rng.choice((2, 3, 3, 4)))
    ranks = ["first", "second", "third", "fourth"][: len(names)]
    if rng.random() < 0.5 and len(names) > 2:
        ranks[-1] = "last"
    verb, base = rng.choice((("came", "come"), ("finished", "finish"), ("was", "be"), ("arrived", "arrive")))
    rows = [f"{n} {verb} {r}" for n, r in zip(names, ranks, strict=True)]
    short = [rows[0], *(f"{n} {r}" for n, r in zip(names[1:], ranks[1:], strict=True))] if rng.random() < 0.5 else rows
    order = list(range(len(names)))
    if short is rows:
        rng.shuffle(order)
    lead = rng.choice((f"in the {race}, ", f"the {race}: ", f"in the {race} "))
    text = lead + ", ".join(short[i] for i in order[:-1]) + rng.choice((" and ", ", ", ", and ")) + short[order[-1]]
    facts = []
    for n, r, row in zip(names, ranks, rows, strict=True):
        asks = [f"which place did {n} get=which place {n} got", f"~{n}'s place", f"in which place did {n} finish=in "
            f"which place {n} "
                f"finished", f"~the place of {n}", f"what place did {n} take=what place {n} took"]  # fmt: skip
        if base != "be":
            asks.append(f"how did {n} {base} in the {race}=how {n} {verb} in the {race}")
        turned = [f"who {verb} {r} in the {race}", f"+{verb} {r} in the {race}", f"who got the {r} place in the {race}",
                  f"who was {r} in the {race}"]  # fmt: skip
        if r == "first":
            turned += [f"who won the {race}", f"~the winner of the {race}", f"+won the {race}"]
        facts += _facts(rng, row, (n, r, asks), (race, n, turned))
    return [(cap(text) + ".", facts)]


COMPARED = (
    "older younger taller shorter faster slower stronger richer louder heavier happier smarter braver kinder".split()
)
SUPERLATIVES = (
    "oldest youngest tallest shortest fastest slowest strongest richest loudest heaviest bravest kindest".split()
)
THING_COMPARED = "heavier bigger smaller cheaper older newer longer lighter brighter thicker dearer wider".split()


def compared(w: World) -> list[Unit]:
    """Comparisons."""
    rng = w.rng
    if rng.random() < 0.35:
        names = w.names(rng.choice((1, 2, 2, 3)))
        words = [w.new(SUPERLATIVES) for _ in names]
        group = rng.choice(("", "", " of all", " in the class", " in the family", " of them"))
        rows = [f"{n} is the {x}{group if not i else ''}" for i, (n, x) in enumerate(zip(names, words, strict=True))]
        text = rows[0] if len(rows) == 1 else ", ".join(rows[:-1]) + rng.choice((" and ", ", ")) + rows[-1]
        facts = []
        for n, x, row in zip(names, words, rows, strict=True):
            facts += _facts(rng, row, (x, n, [f"who is the {x}{group}", f"which of them is the {x}", f"~the name of "
            f"the {x}", f"+is the {x}",
                                              f"name the {x} person.", f"the {x} is who?", f"the {x}?"]))  # fmt: skip
        return [(cap(text) + ".", facts)]
    things = rng.random() < 0.4
    one, two = (f"the {w.noun()}" for _ in "12") if things else w.names(2)
    x = w.new(THING_COMPARED if things else COMPARED)
    amount = rng.choice(("", "", "much ", "a little ", "far "))
    text = f"{one} is {amount}{x} than {two}"
    pair = rng.choice((f"{one} or {two}", f"{two} or {one}"))
    asks = [f"who is {x}, {pair}" if not things else f"which is {x}, {pair}", f"{'which' if things else 'who'} is {x} "
        f"than {two}",
            f"{pair}: {'which' if things else 'who'} is {x}?", f"{'-' if things else '+'}is {x} "
            f"than {two}"]  # fmt: skip
    return [(cap(text) + ".", _facts(rng, text, (x, bare(one), asks)))]


def caused(w: World) -> list[Unit]:
    """Reasons."""
    rng = w.rng
    things = rng.random() < 0.35
    state, reasons = rng.choice(LISTS["thing_trouble" if things else "trouble"])
    w.take(state)
    reason = w.new(reasons)
    who = Who(
        "the " + (w.new(SHOPS) if state == "closed" else w.new(LISTS["train"]) if state == "late" else w.noun()),
        kind="thing",
    )
    if not things:
        who = _who(w, "person")
    who = replace(who, ends="s") if who.text == "I" else who
    past = any(s in reason for s in (" was", "ed ", " fell", " did not", " broke", " ran", " rang", " lost", " won",
        " cried", " froze",
               "rained", " took", " went", " came", " lay", " stood", " shook", " had", " ate", " hit",
               "slept")) or reason.endswith("ed")  # fmt: skip
    plural = who.ends == "p"
    is_ = {"I": "was" if past else "am", "we": "were" if past else "are"}.get(
        who.text, ("were" if past else "are") if plural else "was" if past else "is")  # fmt: skip
    text = rng.choice((
        f"{who.text} {is_} {state} because {reason}", f"{who.text} {is_} {state} because {reason}",
        f"because {reason}, {who.text} {is_} {state}",
        f"{who.text} {is_} {state}, because {reason}", f"{reason}, so {who.text} {is_} {state}",
        f"{who.text} {is_} {state} since {reason}",
        f"the reason why {who.text} {is_} {state} is that {reason}", f"{reason}, and "
        f"therefore {who.text} {is_} {state}",
        f"as {reason}, {who.text} {is_} {state}"))  # fmt: skip
    asks = [f"why {is_} {who.text} {state}=why {who.text} {is_} {state}"] * 3 + [
        f"how come {who.text} {is_} {state}?", f"what is the reason why {who.text} {is_} {state}=what the reason is "
        f"why {who.text} {is_} "
        f"{state}", f"for what reason {is_} {who.text} {state}=for what reason {who.text} {is_} {state}", f"~the "
        f"reason why {who.text} {is_} "
        f"{state}", f"{who.text} {is_} {state}. Why?", f"give the reason why {who.text} {is_} {state}.", f"explain "
        f"why {who.text} {is_} {state}."]  # fmt: skip
    wanted = [(who.text, reason, asks)]
    if who.alone:
        who_is = "was" if past else "is"
        kind = "-" if things else "+"
        value = re.sub("^(the|my|our) ", "", who.text)
        wanted.append((state, value, [f"{kind}{who_is} {state}", f"{kind}{who_is} {state} because {reason}"]))
    return [(cap(text) + ".", _facts(rng, text, *wanted))]


SAYINGS = """the shop is closed|the train is late|there is no milk left|the key is under the mat|the cake is ready|
    the lift is out of order|
    the film was boring|dinner is at six|the road is icy|the water is too cold|it will snow|the exam was easy|
    the phone is broken|
    the cat is missing|the tickets are sold out|the bridge is new|the party was great|the old mill is haunted|
    the ring is false|
    the boss is away|the soup needs salt|the pool is empty|the password has changed|the concert is cancelled"""
SAYINGS = listed(SAYINGS)
TELLING = [("told", "tell"), ("told", "tell"), ("wrote to", "write to"), ("whispered to", "whisper to"), ("reminded",
    "remind"),
           ("warned", "warn"), ("assured", "assure"), ("informed", "inform"), ("explained to", "explain "
           "to")]  # fmt: skip


def spoken(w: World) -> list[Unit]:
    """Who said what to whom."""
    rng = w.rng
    one, thing = _x(w, "p").text, w.new(SAYINGS)
    if rng.random() < 0.45:
        past, base = rng.choice((("said", "say"), ("says", "say"), ("claimed", "claim"), ("thinks", "think"),
            ("believes", "believe"),
                                 ("heard", "hear"), ("knows", "know"), ("wrote", "write"), ("announced",
                                 "announce")))  # fmt: skip
        aux = "does" if past in ("says", "thinks", "believes", "knows") else "did"
        text = rng.choice((f"{one} {past} that {thing}", f"{one} {past} {thing}", f"{one} {past} that {thing}"))
        value = bare(one)
        wanted = [(one, thing, [f"what {aux} {one} {base}=what {one} {past}", f"what is it that {one} {past}=what it "
            f"is that {one} {past}",
                                f"{one} {past} what?"]),
                  (thing, value, [f"+{past} that {thing}", f"who {past} that {thing}",
                  f"who {past} {thing}"])]  # fmt: skip
        return [(cap(text) + ".", _facts(rng, text, *wanted))]
    two = w.name()
    past, base = rng.choice(TELLING)
    text = f"{one} {past} {two} that {thing}"
    wanted = [
        (one, thing, [f"what did {one} {base} {two}=what {one} {past} {two}",
        f"what {one} {past} {two}=what {one} {past} {two}"][:1]
         + [f"what was {two} told=what {two} was told", f"what did {two} hear from {one}=what {two} heard from {one}"]),
        (thing, bare(one), [f"+{past} {two} that {thing}", f"who {past} {two} that {thing}", f"who {past} {two} "
        f"something?"]),
        (one, two, [f"whom did {one} {base}=whom {one} {past}", f"who did {one} {base}=who {one} {past}", f"who was "
        f"it that {one} {past} that "
                    f"{thing}=who it was that {one} {past} that {thing}"]),
    ]  # fmt: skip
    return [(cap(text) + ".", _facts(rng, text, *wanted))]


def kin(w: World) -> list[Unit]:
    """Families."""
    rng = w.rng
    word, back = rng.choice((("mother", "child"), ("father", "child"), ("sister", ""), ("brother", ""), ("aunt", ""),
        ("uncle", ""), ("teacher", "pupil"),
                             ("boss", ""), ("grandmother", "grandchild"), ("neighbour", ""), ("friend", ""), ("cousin",
                             ""),
                             ("doctor", "patient"), ("landlord", "tenant"), ("coach", ""), ("trainer", ""), ("hero",
                             "")))  # fmt: skip
    w.take(f"kin {word}")
    pairs = [(w.name(), w.name()) for _ in range(rng.choice((1, 1, 2, 3)))]
    form = rng.choice(("{x} is {y}'s {r}", "{x} is the {r} of {y}", "{y}'s {r} is {x}", "the {r} of {y} is {x}", "{y} "
    "has {a} called {x}",
                       "{y}'s {r} is called {x}", "{x}, {y}'s {r}, was there too"))  # fmt: skip
    rows = [form.format(x=x, y=y, r=word, a=a(word)) for x, y in pairs]
    text = rows[0] if len(rows) == 1 else ", ".join(rows[:-1]) + rng.choice((" and ", ", ", "; ")) + rows[-1]
    facts = []
    for (x, y), row in zip(pairs, rows, strict=True):
        facts += _facts(
            rng, row,
            (y, x, [f"who is {y}'s {word}=who {y}'s {word} is", f"who is the {word} of {y}=who the {word} of {y} is",
            f"~the name of {y}'s {word}",
                    f"what is {y}'s {word} called=what {y}'s {word} is called", f"{y}'s {word}?",
                    f"name {y}'s {word}.", f"+is {y}'s {word}",
                    f"~{y}'s {word}"]),
            (x, y, [f"whose {word} is {x}=whose {word} {x} is", f"of whom is {x} the {word}=of whom {x} is the {word}",
                    f"{x} is the {word} of whom?", f"who has {x} as {a(word)}"]),
        )  # fmt: skip
    return [(cap(text) + ".", facts)]


def counted(w: World) -> list[Unit]:
    """Numbers of things that people have, or that are somewhere."""
    rng = w.rng
    if rng.random() < 0.5:
        plural = w.new(PLURALS)
        names = w.names(rng.choice((1, 2, 2, 3)))
        verb, base, past = rng.choice((("has", "have", "does"), ("bought", "buy", "did"), ("sold", "sell", "did"),
            ("found", "find", "did"),
                                       ("needs", "need", "does"), ("ate", "eat", "did"), ("carries", "carry", "does"),
                                       ("lost", "lose", "did")))  # fmt: skip
        rows = [(n, w.count()) for n in names]
        whole = [f"{n} {verb} {c} {plural}" for n, c in rows]
        short = [whole[0], *(rng.choice((f"{n} {c}", f"{n} {verb} {c}")) for n, c in rows[1:])]
        text = (
            short[0] if len(short) == 1 else ", ".join(short[:-1]) + rng.choice((" and ", ", ", ", but ")) + short[-1]
        )
        facts = []
        for (n, c), row in zip(rows, whole, strict=True):
            facts += _facts(
                rng, row,
                (n, c, [f"how many {plural} {past} {n} {base}=how many {plural} {n} {verb}", f"how "
                f"many {past} {n} {base}=how many {n} {verb}",
                        f"~the number of {plural} that {n} {verb}", f"{n} {verb} how many {plural}?"]),
                (plural, n, [f"+{verb} {c} {plural}", f"who {verb} {c} {plural}"]),
            )  # fmt: skip
        return [(cap(text) + ".", facts)]
    place = rng.choice(
        (f"in the {w.new(ROOMS)}", f"in the {w.new(SHOPS)}", f"on the {w.new(THINGS)}", f"in the {w.new(THINGS)}")
    )
    items = [(w.count(), w.new(PLURALS)) for _ in range(rng.choice((1, 2, 2, 3)))]
    listing = series([f"{c} {p}" for c, p in items])
    text = rng.choice(
        (
            f"there are {listing} {place}",
            f"{place} there are {listing}",
            f"{listing} are {place}",
            f"we have {listing} {place}",
        )
    )
    facts = []
    for c, p in items:
        facts += _facts(
            rng, text,
            (p, c, [f"how many {p} are there {place}=how many {p} there are {place}", f"how many {p} are {place}=how "
            f"many {p} are {place}",
                    f"~the number of {p}", f"how many {p} are there=how many {p} there are", f"how many {p}?"]),
            (p, place.split(" the ")[1], [f"where are the {p}=where the {p} are", f"where do I find {p}=where I "
            f"find {p}",
                                          f"where are there {p}=where there are {p}", f"~the place with the {p}"]),
        )  # fmt: skip
    if rng.random() < 0.5:
        facts += _facts(rng, text, (place, items[0][1], [f"what is {place}=what is {place}", f"what can be "
        f"found {place}",
                                                         f"what is there {place}=what there is {place}"]))  # fmt: skip
    return [(cap(text) + ".", facts)]


TRAVEL = listed("train|bus|flight|ferry|plane|tram|coach|boat|shuttle|night train")


def mine(w: World) -> list[Unit]:
    """What somebody notes of their own things, with two or three values."""
    rng = w.rng
    my = rng.choice(("my", "my", "our"))
    form = rng.randrange(5)
    if form == 0:
        noun, time = w.new(TRAVEL), w.time()
        word = rng.choice(("platform", "gate", "track", "stop", "bay"))
        number, to = w.number(1, 60), w.city()
        text = rng.choice((f"{my} {noun} leaves at {time} from {word} {number}", f"{my} {noun} to {to} leaves "
            f"at {time} from {word} {number}",
                           f"{my} {noun} goes from {word} {number} at {time}", f"{my} {noun} departs "
                           f"from {word} {number} at {time} to {to}"))  # fmt: skip
        wanted = [(noun, time, [f"when does {my} {noun} leave=when {my} {noun} leaves", f"what time "
            f"is {my} {noun}=what time {my} {noun} is", f"~the "
                                f"departure time of {my} {noun}", f"{my} {noun}: when?", f"at what time "
                                f"does {my} {noun} go=at what time {my} "
                                f"{noun} goes", f"when do I have to be at {my} {noun}=when I have to be "
                                f"at {my} {noun}"]),
                  (noun, number, [f"which {word} does {my} {noun} leave from=which {word} {my} {noun} leaves from",
                  f"from which {word} does {my} "
                                  f"{noun} go=from which {word} {my} {noun} goes", f"~the {word} of {my} {noun}",
                                  f"which {word} for {my} {noun}?",
                                  f"what {word} is {my} {noun}=what {word} {my} {noun} is"])]  # fmt: skip
        if to in text:
            wanted.append((noun, to, [f"where does {my} {noun} go=where {my} {noun} goes", f"~the destination "
                f"of {my} {noun}",
                                      f"which city does {my} {noun} go to=which city {my} {noun} goes "
                                      f"to"]))  # fmt: skip
    elif form == 1:
        noun = w.new("car van bike motorbike caravan scooter bicycle truck".split())
        level, spot = w.number(1, 9), w.new(LISTS["spot"])
        me = rng.choice(("I", "we"))
        text = rng.choice((f"{me} parked the {noun} on level {level}, {spot}", f"{me} left the {noun} on "
            f"level {level} {spot}", f"the {noun} is "
                           f"parked on level {level}, {spot}"))  # fmt: skip
        me = me if text.startswith(me) else "I"
        wanted = [(noun, level, [f"on which level is the {noun}=on which level the {noun} is", f"which level did {me} "
            f"park the {noun} on=which level "
                                 f"{me} parked the {noun} on", f"~the level of the {noun}", f"what level is "
                                 f"the {noun} on=what level the {noun} is on"]),
                  (noun, spot, [f"where is the {noun}=where the {noun} is", f"where did {me} park "
                  f"the {noun}=where {me} parked the {noun}",
                                f"where is my {noun}=where my {noun} is", f"where do I find the {noun}=where I find "
                                f"the {noun}", f"the {noun}: where?"])]  # fmt: skip
    elif form == 2:
        doctor, time, day = (
            w.new("dentist doctor lawyer hairdresser vet optician boss plumber teacher".split()),
            w.time(),
            w.new(DAYS),
        )
        me = "I" if my == "my" else "we"
        text = rng.choice((f"{me} have an appointment with the {doctor} on {day} at {time}", f"{me} see the {doctor} "
            f"at {time} on {day}",
                           f"{my} appointment with the {doctor} is on {day} at {time}", f"on {day} at {time} {me} "
                           f"have to see the {doctor}"))  # fmt: skip
        wanted = [(doctor, time, [f"at what time is {my} appointment with the {doctor}=at what time {my} appointment "
            f"with the {doctor} is",
                                  f"what time do {me} see the {doctor}=what time {me} see the {doctor}", f"~the time "
                                  f"of the appointment with "
                                  f"the {doctor}", f"when do {me} see the {doctor}=when {me} see the {doctor}"]),
                  (doctor, day, [f"on which day do {me} see the {doctor}=on which day {me} see the {doctor}", f"what "
                  f"day is {my} appointment with "
                                 f"the {doctor}=what day {my} appointment with the {doctor} is"]),
                  (day, doctor, [f"who do {me} see on {day}=who {me} see on {day}", f"with whom do {me} have an "
                  f"appointment on {day}=with whom {me} "
                                 f"have an appointment on {day}", f"what is on {day}=what is on {day}", f"what "
                                 f"do {me} have on {day}=what {me} have on {day}"])]  # fmt: skip
    elif form == 3:
        field = w.new("password|pin|locker code|wifi password|seat number|flat number|shoe size|order number|bank "
        "account|customer number|room "
                      "number|login|house number|ticket number|door code|membership number|parcel number|email|phone "
                      "number".split("|"))  # fmt: skip
        value = w.made(lambda: rng.choice((str(rng.randrange(10, 99999)),
            invented(rng).lower() + str(rng.randrange(100)), f"{rng.choice('ABCDEK')}"
                       f"{rng.randrange(10, 999)}")))  # fmt: skip
        text = rng.choice(
            (
                f"{my} {field} is {value}",
                f"{my} {field}: {value}",
                f"{value} is {my} {field}",
                f"I have {value} as my {field}",
            )
        )
        wanted = [(field, value, [f"what is {my} {field}=what {my} {field} is", f"~{my} {field}", f"~the {field}",
            f"{my} {field}?", f"which {field} "
                                  f"do I have=which {field} I have"])]  # fmt: skip
    else:
        noun, name = w.noun(), w.name()
        verb, base, other = rng.choice((("lent", "lend", "to"), ("gave", "give", "to"), ("sold", "sell", "to"), ("got",
            "get", "from"),
                                        ("bought", "buy", "from"), ("borrowed", "borrow", "from"), ("promised",
                                        "promise", "to")))  # fmt: skip
        me = rng.choice(("I", "we"))
        text = f"{me} {verb} the {noun} {other} {name}"
        if other == "to" and rng.random() < 0.4:
            text = f"{me} {verb} {name} the {noun}"
        wanted = [(noun, name, [f"{other} whom did {me} {base} the {noun}={other} whom {me} {verb} the {noun}",
                                f"who did {me} {base} the {noun} {other}=who {me} {verb} the {noun} {other}"]),
                  (name, noun, [f"what did {me} {base} {other} {name}=what {me} {verb} {other} {name}", f"which thing "
                  f"did {me} {base} {other} {name}="
                                f"which thing {me} {verb} {other} {name}"])]  # fmt: skip
    return [(cap(text) + ".", _facts(rng, text, *wanted))]


RELATIVE = [  # what marks a person out: said of them
    "lives next door", "sells flowers", "won the prize", "wears the big hat", "called this morning", "came last",
    "drives the bus",
    "cut the hedge", "owns the mill", "found the ring", "opened the door", "lost the key", "speaks Latin", "broke the "
    "window",
    "carries the ladder", "feeds the swans", "sings in the choir", "sat by the fire", "stole the bread", "plays the "
    "organ",
]  # fmt: skip


def marked(w: World) -> list[Unit]:
    """Somebody whom a relative clause marks out, and the name."""
    rng = w.rng
    head, mark, name = w.new(HEADS), w.new(RELATIVE), w.name()
    who = f"the {head} who {mark}"
    text = rng.choice((f"{who} is called {name}", f"{who} is {name}", f"{name} is {who}", f"the name of {who} "
        f"is {name}", f"{name}, who {mark}, is a "
                       f"nice {head}", f"{who}, {name}, is well known here"))  # fmt: skip
    asks = [
        f"what is {who} called=what {who} is called",
        f"~the name of {who}",
        f"who {mark}",
        f"+{mark}",
        f"who is {who}=who {who} is",
    ]
    back = [f"who is {name}=who {name} is", f"which {head} is {name}=which {head} {name} is"]
    return [(cap(text) + ".", _facts(rng, text, (mark, name, asks), (name, mark, back)))]


def denied(w: World) -> list[Unit]:
    """Who or when it was, and who or when it was not."""
    rng = w.rng
    form = rng.choice(PEOPLE_FORMS)
    name, other = w.names(2)
    c = clause(w, form, Who(name), 2)
    rest = f"{c.finite('s')} {c.rest()}"
    if rng.random() < 0.55 or not c.parts or c.parts[-1].kind == "colour":
        text = rng.choice((f"it was not {other} but {name} who {rest}", f"{name}, not {other}, {rest}", f"not {other} "
            f"but {name} {rest}",
                           f"it was {name} and not {other} who {rest}", f"{name} and not {other} {rest}"))  # fmt: skip
    else:
        part = c.parts[-1]
        wrong = _part(w, *_slot_of(part))
        text = rng.choice((f"{name} {rest}, not {wrong.said}", f"{name} {c.finite('s')} {c.rest(part)} "
            f"not {wrong.said} but {part.said}",
                           f"{name} {rest} and not {wrong.said}"))  # fmt: skip
    text = cap(" ".join(text.split())) + "."
    return [(text, facts_of(rng, c, text))]


def moved(w: World) -> list[Unit]:
    """What is at another time or place now."""
    rng = w.rng
    event = f"{rng.choice(('the', 'the', 'my', 'our'))} {w.new(LISTS['event'])}"
    kind, make, at = rng.choice(
        (("time", w.time, "at"), ("day", lambda: w.new(DAYS), "on"), ("room", lambda: "the " + w.new(ROOMS), "in"))
    )
    old, new = make(), make()
    wh = {"time": ("when", "at what time", "what time"), "day": ("when", "on which day", "on what day"),
        "room": ("where", "in which place",
          "where exactly")}[kind]  # fmt: skip
    text = rng.choice((f"{event} was moved from {old} to {new}", f"{event} is {at} {new} now, not {at} {old}",
        f"{event} is now {at} {new} instead of "
                       f"{old}", f"{event} was {at} {old} first, but now it is {at} {new}", f"{event} is "
                       f"not {at} {old} but {at} {new}"))  # fmt: skip
    wanted = [(event, bare(new), [f"{q}{now} is {event}{later}={q}{now} {event} is{later}" for q in wh for now,
        later in ((" exactly", ""), ("", " now"), ("", ""))
                                  if now != " exactly" or q == "when"])]  # fmt: skip
    if "moved" in text or "first" in text:
        wanted.append(
            (
                event,
                bare(old),
                [f"{q} was {event} {first}={q} {event} was {first}" for q in wh for first in ("before", "at first")],
            )
        )
    return [(cap(text) + ".", _facts(rng, text, *wanted))]


SPEAKING = ["{n}: {t}.", "{n}: {t}.", '{n} says: "{t}."', '{n}: "{t}."', '"{t}," says {n}.', '{n} said: "{t}."', "{n} "
    "wrote: {t}.",
            "{n} answered: {t}.", '"{t}," said {n}.', "[{n}] {t}.", "{n} > {t}."]  # fmt: skip
ORDERING = ["I'll have {y}, please", "{y} for me, please", "I would like {y}", "I take {y}", "for me {y}", "I want "
    "{y}", "can I have {y}, please",
            "I'd like {y}", "just {y} for me", "I think I will take {y}"]  # fmt: skip


def dialogue(w: World) -> list[Unit]:
    """People speak of themselves, each behind the name."""
    rng = w.rng
    units = []
    spoken_as = rng.choice(SPEAKING)
    order = rng.random() < 0.3
    if order:
        w.take("what people ordered")
    for name in w.names(rng.choice((1, 2, 2, 3))):
        if order:
            y = w.new(LISTS[rng.choice(("dish", "drink"))])
            text, statement = rng.choice(ORDERING).format(y=y), f"{name} would like {y}"
            facts = _facts(rng, statement, (name, bare(y), [f"what did {name} order=what {name} ordered", f"what "
            f"does {name} want=what {name} wants",
                           f"what would {name} like=what {name} would like", f"~{name}'s order", f"what does {name} "
                           f"take=what {name} takes"]),
                           (bare(y), name, [f"+ordered {y}", f"who wants {y}", f"for whom is {y}=for whom {y} is",
                           f"+would like {y}",
                                            f"whose order is {y}"]))  # fmt: skip
        else:
            c = clause(w, rng.choice(PEOPLE_FORMS), Who(name), 2)
            text = f"I {c.finite('i')} {c.rest()}"
            facts = facts_of(rng, c, f"{name} {c.finite('s')} {c.rest()}.")
        units.append((spoken_as.format(n=name, t=cap(text)), facts))
    return units


MEASURES = """a kilo of apples|a kilo of potatoes|a bottle of milk|a bottle of wine|a pound of butter|a box of eggs|
    a bag of flour|a jar of honey|
    a loaf of bread|a cup of tea|a cup of coffee|a slice of cake|a bowl of soup|a glass of juice|a piece of cheese|
    a pack of rice|a bunch of roses|
    a pair of shoes|a litre of oil|a tin of paint|a pack of batteries|a box of pencils|a day ticket|a child ticket|
    an adult ticket|a return ticket|
    a haircut|a car wash|a double room|a single room|a bike for one day|a boat for an hour|a swimming lesson|
    a week of parking|the small pizza|
    the large pizza|the daily special|the tomato soup|the chicken salad|the blue notebook|the cheapest phone|
    a night in the tent"""
MEASURES = listed(MEASURES)


def priced(w: World) -> list[Unit]:
    """What things cost in a shop, one after the other."""
    rng = w.rng
    rows = [(w.new(MEASURES), w.price()) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    verb = rng.choice((" costs ", " costs ", ": ", " is ", " - ", " for ", " sells for "))
    short = rng.random() < 0.5
    texts = [f"{x}{verb if not i or not short else ' '}{y}" for i, (x, y) in enumerate(rows)]
    text = (
        texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + rng.choice((" and ", ", ", "; ", ", and ")) + texts[-1]
    )
    lead = rng.choice(("", "", "", f"in the {w.new(SHOPS)} ", "today's prices: ", "this week, "))
    facts = []
    for x, y in rows:
        facts += _facts(
            rng, f"{x} costs {y}",
            (bare(x), y, [f"how much is {x}=how much {x} is", f"how much does {x} cost=how much {x} costs", f"what "
            f"does {x} cost=what {x} costs",
                          f"~the price of {x}", f"{x}?", f"what do I pay for {x}=what I pay for {x}", f"give the "
                          f"price of {x}.",
                          f"how much money do I need for {x}=how much money I need for {x}", f"how much for {x}?",
                          f"what is the price for {x}="
                          f"what the price for {x} is"]),
            (y, bare(x), [f"-costs {y}", f"what can I buy for {y}=what I can buy for {y}", f"what do I get "
            f"for {y}=what I get for {y}"]),
        )  # fmt: skip
    return [(cap(lead + text) + ".", facts)]


ACTIVITIES = [
    *LISTS["event"],
    *HOBBIES,
    *GAMES,
    "no school",
    "the dentist",
    "a day off",
    "cleaning day",
    "visitors",
    "pizza",
    "homework",
]
WEEKDAY = DAYS + [f"{d} {part}" for d in DAYS for part in ("morning", "afternoon", "evening")]


def scheduled(w: World) -> list[Unit]:
    """A plan of days."""
    rng = w.rng
    days = w.rng.random() < 0.6
    rows = [(w.new(DAYS if days else WEEKDAY), w.new(ACTIVITIES)) for _ in range(rng.choice((2, 3, 3, 4)))]
    me = rng.choice(("I", "we"))
    form = rng.choice(
        (
            "on {d} {me} have {x}",
            "{d}: {x}",
            "{d} {x}",
            "{x} on {d}",
            "on {d} there is {x}",
            "{x} is on {d}",
            "{d} is {x}",
            "{d} - {x}",
        )
    )
    short = "on {d} {x}" if form.startswith("on {d} {me}") and rng.random() < 0.5 else form
    texts = [(short if i else form).format(d=d, x=x, me=me) for i, (d, x) in enumerate(rows)]
    joint = rng.choice((", ", ", ", "; "))
    text = joint.join(texts[:-1]) + rng.choice((joint, " and ")) + texts[-1]
    facts = []
    for d, x in rows:
        facts += _facts(
            rng, form.format(d=d, x=x, me=me),
            (d, x, [f"what do {me} have on {d}=what {me} have on {d}", f"what is on {d}=what is on {d}", f"what is "
            f"planned for {d}=what is planned for "
                    f"{d}", f"{d}?", f"~the plan for {d}", f"what happens on {d}=what happens on {d}", f"what do {me} "
                    f"do on {d}=what {me} do on {d}"]),
            (x, d, [f"when do {me} have {x}=when {me} have {x}", f"on which day is {x}=on which day {x} is", f"when "
            f"is {x}=when {x} is", f"~the day for "
                    f"{x}", f"what day do {me} have {x}=what day {me} have {x}", f"which day is for {x}", f"{x}: "
                    f"when?", f"{x} is when?"]),
        )  # fmt: skip
    return [(cap(text) + ".", facts)]


MAKERS: list[tuple[Callable[[World], list[Unit]], float]] = [
    (single, 18), (joined, 8), (followed, 8), (gapped, 12), (related, 26), (profiled, 9), (pets, 5), (scores, 4),
    (placed, 4),
    (compared, 4), (caused, 6), (spoken, 5), (kin, 4), (counted, 5), (mine, 8), (marked, 3), (denied, 4),
    (moved, 2), (dialogue, 7), (priced, 4), (scheduled, 3),
]  # fmt: skip
MAKE, WEIGHTS = zip(*MAKERS, strict=True)


def _built(w: World, count: int) -> list[Unit]:
    rng = w.rng
    units: list[Unit] = []
    said_of: set[str] = set()
    asked: set[str] = set()
    for _ in range(4 * count + 8):
        if len(said_of) >= count:
            break
        maker = rng.choices(MAKE, WEIGHTS)[0]
        before = set(w.groups)
        try:
            made = maker(w)
        except Full:
            w.groups = before
            continue
        questions = {q.lower() for _, facts in made for f in facts for q in f.questions}
        if questions & asked:
            continue
        asked |= questions
        units += made
        said_of |= {f.statement for _, facts in made for f in facts}
    return units


def _text(rng: random.Random, units: list[Unit]) -> str:
    lines = [line for line, _ in units]
    if rng.random() < 0.3:
        for line in rng.sample(LISTS["distractor"], rng.choice((1, 1, 2, 3))):
            lines.insert(rng.randrange(len(lines) + 1), line)
    return rng.choice((" ", " ", " ", "\n")).join(lines)


def everyday(rng: random.Random, count: int) -> tuple[str, list[tuple[str, Fact]]]:
    """(a text, the facts that it says, each behind its line or sentence), about `count` of them; no question fits two
    of them."""
    units = _built(World(rng), count)
    return _text(rng, units), [(line, fact) for line, facts in units for fact in facts]


def absent_everyday(rng: random.Random) -> tuple[str, str]:
    """(a text, a question that looks like it and that it does not answer): of somebody or something else, or of what it
    does not say of somebody."""
    w = World(rng)
    units = _built(w, rng.randrange(1, 6))
    chance = rng.random()
    if chance < 0.4:  # when, where or with whom it was is not said
        return _unsaid(w, units)
    known = [f for _, facts in units for f in facts if f.subject in GIRLS or f.subject in BOYS]
    if chance < 0.7 and known:  # somebody else
        fact = rng.choice(known)
        question = re.sub(rf"\b{fact.subject}\b", w.name(), rng.choice(fact.questions))
        asked = [q for q in fact.questions if re.search(rf"\b{fact.subject}\b", q)]
        if asked:
            question = re.sub(rf"\b{fact.subject}\b", w.name(), rng.choice(asked))
            return _text(rng, units), question
    if chance < 0.85 and known:  # something else of the same person
        name = rng.choice(known).subject
        kinds = [r for r in RELATIONS if r.x == "p" and r.group in SURE and r.group not in w.groups]
        text = " ".join(line for line, _ in units).lower()
        kinds = [r for r in kinds if not any(word in text for word in SURE[r.group])]
        if kinds:
            r = rng.choice(kinds)
            y = r.y(w)
            return _text(rng, units), relation_facts(rng, r, Who(name), y, r.said[0].format(x=name, y=y))[0].questions[
                0
            ]
    other = _other(w)
    return _text(rng, units), other


SURE = {"age": ["year", "old", "born", "turned"], "hair": ["hair"], "eyes": ["eyes"], "height": ["tall", "cm"],
    "weight": ["kg", "weigh"],
        "shoe": ["size", "shoe"], "country": ["from", "born"], "birthday": ["born", "birthday"],
        "favourite": ["favourite", "best"],
        "fear": ["afraid", "scared", "fear"], "married": ["marri", "engaged", "wife", "husband"], "nickname": ["call",
        "name"],
        "phone": ["number", "call", "reach"], "children": ["child", "son", "daughter"], "salary": ["earn", "paid",
        "gets"],
        "language": ["speak", "learn", "stud"], "instrument": ["play", "learn"], "allergy": ["allerg", "eat"],
        "pet": ["has", "owns", "keeps"],
        "hobby": ["hobby", "enjoys", "fond"], "team": ["team", "plays", "fan", "supports"]}  # fmt: skip
UNSAID = [  # what may be missing: the other kinds that would answer it too
    ("at", "time", {"time", "day", "month", "year", "often", "event", "meal", "occasion"}),
    ("on", "day", {"time", "day", "month", "year", "often", "event", "meal", "occasion"}),
    ("with", "person", {"person"}),
    ("for", "price", {"price"}),
    ("in", "room", PLACE_LIKE | {"event", "roomno", "floor", "level", "person"}),
    ("by", "vehicle", {"vehicle"}),
    ("for", "duration", {"duration", "time"}),
]


def _unsaid(w: World, units: list[Unit]) -> tuple[str, str]:
    """A clause is said, and a part of it that it does not have is asked for."""
    rng = w.rng
    for _ in range(12):
        form = rng.choice(PEOPLE_FORMS)
        can = {kind for _, kind in (*form.must, *form.may)}
        if "," in "".join(can):
            continue
        try:
            c = clause(w, replace(form, may=()) if rng.random() < 0.6 else form, Who(w.name()))
            kinds = {p.kind for p in (*c.parts, c.thing) if p}
            missing = [
                (prep, kind) for prep, kind, also in UNSAID if not also & kinds and kind in MAY_ASK and _fits(kind, can)
            ]
            if not missing:
                continue
            hole = _part(w, *rng.choice(missing))
        except Full:
            continue
        unit = (cap(said(rng, c, form)) + ".", [])
        question = part_questions(rng, replace(c, parts=(*c.parts[:1], hole)), hole, 1)[0]
        return _text(rng, [*units[:1], unit, *units[1:]] if rng.random() < 0.5 else [unit, *units]), question
    return _text(rng, units), _other(w)


MAY_ASK = {"time", "day", "person", "price", "room", "vehicle", "duration"}


def _fits(kind: str, can: set[str]) -> bool:
    if kind == "room":
        return bool(can & (PLACE_LIKE - {"spot"}))
    if kind == "time":
        return bool(can & {"time", "day"})
    return kind in can


def _other(w: World) -> str:
    """A question of what no text says, as its words are new."""
    for _ in range(20):
        try:
            if w.rng.random() < 0.5:
                made = single(w)
            else:
                made = related(w)
        except Full:
            continue
        facts = [f for _, facts in made for f in facts if f.subject not in ("I", "we")]
        fact = w.rng.choice(facts)
        asked = [q for q in fact.questions if fact.subject in q]
        if asked:
            return w.rng.choice(asked)
    return f"Where does {w.name()} live?"
