"""Look-ups in documents of all kinds: tables, lists, letters, dialogues, logs, rules; asked in composed forms."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from .example import a, cap, series
from .relations import Fact
from .words import (
    ADJECTIVES,
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
    OBJECTS,
    ROOMS,
    invented,
    people,
)  # fmt: skip

# ---- how a question is put. An ask is "the price of the soup" (a thing asked for), "who|found the keys" (a subject
# asked for), "where|did Mia find it|Mia found it" (direct, then indirect order), or "?|is it open|it is open" (yes/no).

ORDERS = """Tell me; Give me; Name; State; Find; Look up; Extract; Write down; Read out; Show me; Find out;
    Return; Say; Quote; Pick out; Identify; Copy; Determine; Fetch; Report; Get me; Search for; Print; Just give
    me; Only tell me; Please tell me; Please give me; Please name; Please find; Please extract; Please look up;
    Now tell me; Output; Provide; Point out; Spell out; Let me have; Help me find; Repeat; Locate; Mention; Read
    me""".replace("\n    ", " ").split("; ")
ORDER_ENDS = ["", "", "", "", "", " from the {d}", " as given in the {d}", " in the {d}", " as found in the {d}",
              ", please", " out of the {d}", " that is written in the {d}", " mentioned in the {d}"]  # fmt: skip
WISHES = """Can you tell me {x}?; Could you look up {x}?; Could you find {x}?; Would you give me {x}?; Can you see
    {x}?; Can you read out {x}?; Will you tell me {x}?; Could you please tell me {x}?; May I have {x}?; Can I get
    {x}?; Do you know {x}?; Can you find {x} in the {d}?; Could you check {x} for me?; Would you mind telling me
    {x}?; I need {x}.; I'd like to know {x}.; I want to know {x}.; I would like to know {x}.; I am looking for
    {x}.; I'm looking for {x}.; I forgot {x}.; I have to know {x}.; I can't find {x}.; We need {x}.; I was asked
    for {x}.; I am interested in {x}.; I must know {x}.; I'm trying to find {x}.; I don't see {x}.; Somebody wants
    to know {x}.; My boss asks for {x}.; I'm curious about {x}.; It is {x} that I need.; Can you help me find
    {x}?; Could I have {x}?; Is {x} in the {d}? What is it?; I cannot remember {x}, what is it?; I am after {x}.;
    All I need is {x}.; What does the {d} give as {x}?; What do you read as {x}?; What is noted as {x}?; What does
    it say for {x}?
    """.strip().replace("\n    ", " ").split("; ")  # fmt: skip
THING_ASKED = ["What is {x}?", "What is {x}?", "What's {x}?", "{X}?", "{X}?", "{X}, please?", "{X} is what?",
               "{c}, what is {x}?", "{c}: {x}?", "What is {x} {e}?", "What is {x}, {e}?", "what would {x} be",
               "And {x}?", "{X} - what is it?", "{X}: ?", "Which is {x}?", "what is {x} in the {d}"]  # fmt: skip
DIRECT = ["{X}?", "{X}?", "{X}?", "{X}?", "{X}?", "{c}, {x}?", "{c}, {x}?", "{X}, {e}?", "{X} {e}?", "{f}: {x}?",
          "{X}, please?", "{X}? I don't see it.", "{X}? Please look in the {d}.", "So {x}?", "And {x}?", "Now, {x}?",
          "Well, {x}?", "Sorry, {x}?", "{X} again?"]  # fmt: skip
CONTEXTS = """According to the {d}; From the {d}; Going by the {d}; Judging by the {d}; Based on the {d}; As per
    the {d}; In the {d}; Looking at the {d}; If you read the {d}; Considering the {d}; With the {d} in mind; By
    the {d}; Using the {d}; As the {d} has it; Given the {d}; About the {d}; Regarding the {d}""".replace(
    "\n    ", " "
).split("; ")
ENDS = """according to the {d}; going by the {d}; if you look at the {d}; as the {d} says; judging by the {d};
    from what the {d} says; by the {d}; based on the {d}; in the {d}""".replace("\n    ", " ").split("; ")
FIRSTS = """Question; My question; Quick question; One question; Please answer; Answer this; Q; One thing; Here is
    what I want to know; Tell me; Please tell me; What I need to know; A question about the {d}; From the {d};
    Help me""".replace("\n    ", " ").split("; ")
INDIRECT = """Tell me {x}.; Say {x}.; Find out {x}.; Look up {x}.; Check {x}.; Please check {x}.; Let me know
    {x}.; Remind me {x}.; Write {x}.; State {x}.; Please say {x}.; Can you tell me {x}?; Could you tell me {x}?;
    Could you look up {x}?; Do you know {x}?; Do you see {x}?; Can you see {x}?; Can you say {x}?; Can you find
    out {x}?; Does the {d} say {x}?; Does it say {x}?; Would you tell me {x}?; Would you mind telling me {x}?; Is
    it clear {x}?; I'd like to know {x}.; I would like to know {x}.; I want to know {x}.; I wonder {x}.; I'm
    wondering {x}.; I need to know {x}.; I forgot {x}.; I don't remember {x}.; I can't remember {x}.; I don't know
    {x}.; No idea {x}.; I am not sure {x}.; I was asked {x}.; I am curious {x}.; What does the {d} say about {x}?;
    I have to find out {x}.; I can't see {x}.; Read the {d} and tell me {x}.; Look at the {d} and say {x}.; Please
    read {x}.; Show me {x}.; Use the {d} to say {x}.; From the {d}, tell me {x}.; My friend asks {x}.; We want to
    know {x}.; Any idea {x}?; Please explain {x}.; Help me find out {x}.; It would help me to know {x}.; Could you
    check {x}?
    """.strip().replace("\n    ", " ").split("; ")  # fmt: skip
PAPERS = ["text", "text", "text above", "passage", "document", "note", "page", "paper", "message", "excerpt", "source"]


SOMEBODIES = """founder boss author director discoverer owner customer captain mayor ruler teacher doctor manager
    landlord cook winner loser sender writer recipient receiver organiser pilot guest seller buyer
    builder caller pupil driver""".split()
SOMEBODY = re.compile(r"^the (?:{0})\b|'s (?:{0})$|^the person who|^the star of".format("|".join(SOMEBODIES)))


def _put(rng: random.Random, ask: str, paper: str) -> str:
    """The ask as a question or command."""
    d = paper if rng.random() < 0.6 else rng.choice(PAPERS)
    if d in ask:
        d = "text"
    parts = ask.split("|")
    if len(parts) == 1:
        form = rng.random()
        if form < 0.4:
            put = rng.choice(THING_ASKED)
            if SOMEBODY.search(ask):
                put = put.replace("What", "Who").replace("what", "who").replace("Which", "Who")
            return _direct(rng, put, ask, d)
        if form < 0.7:
            return f"{rng.choice(ORDERS)} {ask}{rng.choice(ORDER_ENDS).format(d=d)}."
        return rng.choice(WISHES).format(x=ask, d=d)
    what, *orders = dict.fromkeys(parts)
    form = rng.random()
    if what == "?":
        if form < 0.65:
            return _direct(rng, rng.choice(DIRECT), orders[0], d)
        return rng.choice(INDIRECT).format(x=f"{rng.choice(('whether', 'if'))} {orders[1]}", d=d)
    if form < 0.62:
        return _direct(rng, rng.choice(DIRECT), f"{what} {orders[0]}", d)
    if form < 0.9:
        return rng.choice(INDIRECT).format(x=f"{what} {orders[-1]}", d=d)
    if (
        len(orders) == 2
        and what != "whose"
        and not any(w in orders[1] for w in ("it is ", "it was ", " after ", " before "))
    ):
        return f"{cap(orders[1])} {what}?"
    if len(orders) == 2:
        return f"{cap(what)} {orders[0]}?"
    return (
        f"{cap(what)} is it that {orders[0]}?"
        if what.startswith(("who", "what", "which")) and what != "whose"
        else f"{cap(what)} {orders[0]}?"
    )


def _direct(rng: random.Random, form: str, x: str, d: str) -> str:
    c, e, f = rng.choice(CONTEXTS), rng.choice(ENDS), rng.choice(FIRSTS)
    return form.format(x=x, X=cap(x), d=d, c=c.format(d=d), e=e.format(d=d), f=f.format(d=d))


# ---- values


def _number(rng: random.Random) -> str:
    return str(rng.randrange(2, rng.choice((10, 30, 100, 1000, 10000))))


def _clock(rng: random.Random) -> str:
    h, m = rng.randrange(24), rng.choice((0, 5, 10, 15, 20, 25, 30, 40, 45, 50, 55, rng.randrange(60)))
    return rng.choice(
        (f"{h:02}:{m:02}", f"{h}:{m:02}", f"{h % 12 + 1}:{m:02} {'ap'[h > 11]}m", f"{h % 12 + 1} {'ap'[h > 11]}m")
    )


def _date(rng: random.Random) -> str:
    d, m, y = rng.randrange(1, 29), rng.randrange(1, 13), rng.randrange(1995, 2036)
    month = MONTHS[m - 1]
    return rng.choice(
        (f"{d} {month}", f"{d} {month}", f"{month} {d}", f"{d} {month} {y}", f"{y}-{m:02}-{d:02}", f"{d:02}.{m:02}.{y}",
         f"{d}/{m}/{y}")
    )  # fmt: skip


def _price(rng: random.Random) -> str:
    n, c = rng.randrange(1, rng.choice((10, 60, 400, 3000))), rng.choice(("00", "50", "20", "99", "75", "40", "95"))
    return rng.choice(
        (f"${n}.{c}", f"€{n}.{c}", f"£{n}.{c}", f"{n} euros", f"{n} dollars", f"{n} pounds", f"${n}", f"{n}.{c} EUR",
         f"€{n}", f"{n} coins", f"£{n}", f"{n}.{c} euros")
    ).replace("1 euros", "2 euros").replace("1 dollars", "3 dollars").replace("1 pounds", "4 pounds")  # fmt: skip


SURNAMES = """Brook Hill Stone Reed Marsh Field Wood Lake Frost North Sharp Long Young Cole Moss Lane Ford Grant
    Webb Price Burke Doyle Novak Silva Costa Weber Kraus Lund Berg Holm Sato Tanaka Kim Park Chen Wong Khan Patel
    Singh Haddad Rossi Moreno Ruiz Duval Petit Ivanova Kowal Vargas Mensah Okoro Diaz Quinn Walsh Tate Bell
    Hale""".split()
STREETS = "Mill Oak River Church Park Station Garden Hill Bridge Market King Rose Elm School Harbour Green".split()
GOODS = """tea coffee paper wool glass steel furniture toys shoes bicycles radios candles paint engines clocks
    soap carpets boats bricks wine chocolate tyres jewellery cameras tents umbrellas""".split()
SUBJECTS = """maths history biology chemistry physics music art English French Latin geography sport drama German
    Spanish computing""".split()
LIVE_IN = """forests caves deserts swamps rivers lakes mountains meadows trees burrows oceans cliffs gardens
    marshes""".split()
EATEN = """leaves insects roots berries small_fish seeds grass worms nuts fruit snails honey moss mushrooms
    bark""".split()
MATERIALS = "wood steel glass plastic leather cotton wool silver bamboo paper rubber clay linen copper stone".split()
LANGUAGES = "English French German Spanish Italian Dutch Polish Czech Greek Turkish Arabic Hindi Swedish".split()
SKIES = ["sunny", "cloudy", "rainy", "foggy", "snowy", "clear", "stormy", "dry", "overcast", "hazy"]
DISHES = """soup salad pie stew curry omelette pancakes sandwich pizza pasta burger risotto toast cake pudding
    dumplings noodles tart fish chicken sausages rice beans ice_cream juice tea coffee lemonade cocoa""".split()
DISH_KINDS = """tomato pumpkin grilled fresh hot baked spicy sweet cold mushroom onion cheese apple lemon roasted
    smoked carrot house vegetable fried ginger potato""".split()
INGREDIENTS = """flour sugar butter milk rice salt honey yeast cream cheese oil water cocoa pasta
    pepper vinegar jam yoghurt cinnamon mustard""".split()
COUNTED = """lamps chairs spoons plates towels pens books cups screws batteries blankets candles keys hammers
    tents socks shirts notebooks apples eggs lemons bottles bulbs nails brushes buckets boxes forks knives pillows
    maps ropes helmets gloves tables cables envelopes""".split()
THINGS = """keys lamp ring map wallet phone bicycle umbrella letter parcel ticket guitar camera clock scarf hat
    coat book ladder box cake kite boat table mirror vase carpet radio suitcase basket lantern piano drum tent
    helmet picture passport bag watch necklace jar bottle chair blanket hammer bucket candle cup plate violin
    notebook folder laptop printer""".split()


def _full(rng: random.Random) -> str:
    return f"{rng.choice(GIRLS + BOYS)} {rng.choice(SURNAMES)}"


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randrange(1, 4)))
    n = rng.randrange(10, rng.choice((100, 1000, 100000)))
    return rng.choice((str(n), f"{letters}{n}", f"{letters}-{n}", f"{n}{letters[0]}", f"{n}-{rng.randrange(10, 99)}"))


def _unit(low: int, high: int, *units: str) -> Callable[[random.Random], str]:
    return lambda rng: f"{rng.randrange(low, high)} {rng.choice(units)}"


def _of(words: Sequence[str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(words).replace("_", " ")


DOMAINS = ["com", "org", "net"]
MACHINES = ["lamp", "kettle", "drill", "chair", "fan", "radio", "tent", "toaster", "mixer", "clock"]
VALUES: dict[str, Callable[[random.Random], str]] = {
    "number": _number,
    "count": lambda rng: str(rng.randrange(2, rng.choice((12, 60, 500)))),
    "few": lambda rng: str(rng.randrange(2, 13)),
    "clock": _clock,
    "date": _date,
    "day": _of(DAYS),
    "month": _of(MONTHS),
    "year": lambda rng: str(rng.randrange(1650, 2026)),
    "price": _price,
    "full": _full,
    "name": lambda rng: people(rng, 1)[0],
    "code": _code,
    "km": _unit(11, 2000, "km", "kilometres", "miles"),
    "metres": _unit(2, 900, "metres", "m", "feet"),
    "high": _unit(200, 8000, "metres", "m"),
    "cm": _unit(5, 200, "cm", "centimetres", "inches"),
    "kg": _unit(2, 90, "kg", "kilograms", "pounds", "grams"),
    "minutes": _unit(5, 120, "minutes", "min"),
    "hours": _unit(2, 20, "hours"),
    "days": _unit(2, 60, "days", "weeks", "months"),
    "years": _unit(2, 90, "years"),
    "degrees": lambda rng: f"{rng.randrange(-15, 39)} {rng.choice(('degrees', '°C', '°C', 'C'))}",
    "fever": lambda rng: f"{rng.randrange(36, 41)}.{rng.randrange(1, 10)} {rng.choice(('degrees', '°C'))}",
    "oven": lambda rng: f"{rng.randrange(14, 25) * 10} {rng.choice(('degrees', '°C'))}",
    "percent": lambda rng: f"{rng.randrange(3, 99)}{rng.choice(('%', ' %', ' percent'))}",
    "wind": _unit(3, 90, "km/h"),
    "mm": _unit(2, 60, "mm"),
    "city": lambda rng: rng.choice(CITIES) if rng.random() < 0.7 else invented(rng),
    "town": lambda rng: invented(rng),
    "water": lambda rng: f"the {rng.choice(('lake of', 'sea of', 'bay of', 'gulf of'))} {invented(rng)}",
    "hills": lambda rng: f"the {invented(rng)} {rng.choice(('mountains', 'hills', 'forest', 'valley'))}",
    "colour": _of(COLOURS),
    "material": _of(MATERIALS),
    "goods": _of(GOODS),
    "habitat": _of(LIVE_IN),
    "eaten": _of(EATEN),
    "lesson": _of(SUBJECTS),
    "language": _of(LANGUAGES),
    "sky": _of(SKIES),
    "job": _of(JOBS),
    "hobby": _of(HOBBIES),
    "room": _of(ROOMS),
    "food": _of(FOODS),
    "animal": _of(ANIMALS),
    "dish": lambda rng: f"{rng.choice(DISH_KINDS)} {rng.choice(DISHES)}".replace("_", " "),
    "gate": lambda rng: rng.choice((f"{rng.choice('ABCDEF')}{rng.randrange(1, 60)}", str(rng.randrange(1, 40)))),
    "seat": lambda rng: f"{rng.randrange(1, 60)}{rng.choice('ABCDEF')}",
    "phone": lambda rng: rng.choice(
        (f"555-{rng.randrange(1000, 9999)}", f"0{rng.randrange(100, 999)} {rng.randrange(10000, 999999)}",
         f"+{rng.randrange(30, 99)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}")
    ),  # fmt: skip
    "mail": lambda rng: f"{rng.choice(GIRLS + BOYS).lower()}@{invented(rng).lower()}.{rng.choice(DOMAINS)}",
    "web": lambda rng: f"www.{invented(rng).lower()}.{rng.choice(('com', 'org', 'net'))}",
    "street": lambda rng: f"{rng.randrange(1, 200)} {rng.choice(STREETS)} {rng.choice(('Street', 'Road', 'Lane'))}",
    "host": lambda rng: f"{rng.choice(('db', 'web', 'mail', 'api', 'cache'))}.{invented(rng).lower()}.net",
    "path": lambda rng: f"/{rng.choice(('var', 'home', 'data', 'srv'))}/{invented(rng).lower()}",
    "port": lambda rng: str(rng.randrange(80, 9999)),
    "level": _of(["debug", "info", "warning", "error"]),
    "yes": _of(["true", "false", "on", "off", "yes", "no"]),
    "state": _of(["new", "used", "good", "broken", "like new", "worn", "dusty"]),
    "size": _of(["small", "medium", "large", "extra large"]),
    "score": _unit(2, 120, "points"),
    "grade": _of(["A", "B", "C", "D", "A+", "B+", "C-"]),
    "status": _of(["open", "paid", "sent", "cancelled", "delivered", "waiting", "lost", "returned"]),
    "pay": lambda rng: rng.choice(("cash", "card", "bank transfer", "cheque", "phone")),
    "thing": lambda rng: f"{rng.choice(COLOURS)} {rng.choice(OBJECTS)}",
    "word": lambda rng: invented(rng).lower(),
    "team": lambda rng: f"{invented(rng)} {rng.choice(('United', 'Rovers', 'City', 'Lions', 'Stars'))}",
    "book": lambda rng: f"The {cap(rng.choice(ADJECTIVES))} {cap(rng.choice(OBJECTS + ANIMALS))}",
    "line": lambda rng: f"{rng.choice(('Bus', 'Train', 'Tram', 'Ferry', 'Coach'))} {rng.randrange(2, 900)}",
    "flight": lambda rng: f"{rng.choice('ABEKLQST')}{rng.choice('AFLRX')}{rng.randrange(100, 9999)}",
    "item": lambda rng: f"{rng.choice([*COLOURS, *ADJECTIVES[:6], *MATERIALS[:8]])} {rng.choice(OBJECTS)}",
    "product": lambda rng: f"{invented(rng)} {rng.choice(MACHINES)}",
}  # fmt: skip

# ---- things with attributes. A block: noun | subject | its name | 1 (alone), n (in tables), * (both) | papers; then
# attributes: label = value = statement = asks; asks = asks from the other end. "label@in": the label in the subject;
# "-label": no phrase of the label.

KINDS = """
river | the river {n} | town | * | article, entry, description, text on rivers
length = km = {s} is {v} long = how long|is {s}|{s} is; how many kilometres or miles|is {s} long|{s} is long =
    which river|is {v} long
-flows into = water = {s} flows into {v} = where|does {s} end|{s} ends; into what|does {s} flow|{s} flows; which
    water|does {s} flow into|{s} flows into; the mouth of {s} = which river|flows into {v}
source = hills = {s} rises in {v} = where|does {s} rise|{s} rises; where|does {s} begin|{s} begins; where|does {s}
    come from|{s} comes from = which river|rises in {v}
depth = metres = {s} is up to {v} deep = how deep|is {s}|{s} is =
width = metres = {s} is {v} wide = how wide|is {s}|{s} is =
-largest town = town = the largest town on {s} is {v} = which town|is the largest one on {s}; the largest town on
    {s}; the biggest town on {s} = on which river|does {v} lie|{v} lies
number of bridges = count = {s} has {v} bridges = how many bridges|does {s} have|{s} has; how many bridges|cross {s} =

animal | the {n} | word | * | article, entry, description, text on animals
food = eaten = {s} eats {v} = what|does {s} eat|{s} eats; what|does {s} feed on|{s} feeds on = which animal|eats {v}
habitat = habitat = {s} lives in {v} = where|does {s} live|{s} lives; where|can {s} be found|{s} can be found =
    which animal|lives in {v}
weight = kg = {s} weighs {v} = how much|does {s} weigh|{s} weighs; how heavy|is {s}|{s} is = which animal|weighs {v}
colour = colour = {s} is {v} = what colour|is {s}|{s} is; which colour|does {s} have|{s} has = which animal|is {v}
-legs = few = {s} has {v} legs = how many legs|does {s} have|{s} has; the number of legs of {s} = which animal|has
    {v} legs
-eggs = few = {s} lays {v} eggs = how many eggs|does {s} lay|{s} lays; the number of eggs of {s} =
lifespan = years = {s} lives for {v} = how long|does {s} live|{s} lives; how old|does {s} get|{s} gets; how many
    years|does {s} live|{s} lives =
-sleep = hours = {s} sleeps for {v} a day = how long|does {s} sleep|{s} sleeps; how many hours|does {s} sleep|{s}
    sleeps =

company | the company {n} | town | * | article, company profile, entry, press text
-founded in = year = {s} was founded in {v} = when|was {s} founded|{s} was founded; in which year|was {s}
    founded|{s} was founded; the founding year of {s} = which company|was founded in {v}
founder = full = the founder of {s} is {v} = who|founded {s}; by whom|was {s} founded|{s} was founded = which
    company|did {v} found|{v} founded
head office = city = the head office of {s} is in {v} = where|is the head office of {s}|the head office of {s} is;
    in which city|is {s}|{s} is; where|is {s} based|{s} is based = which company|is based in {v}
-employees = number = {s} has {v} employees = how many employees|does {s} have|{s} has; how many people|work for
    {s}; the number of employees of {s} = which company|has {v} employees
product = goods = {s} makes {v} = what|does {s} make|{s} makes; what|does {s} produce|{s} produces = which
    company|makes {v}; who|makes {v}
boss = full = {v} is the boss of {s} = who|is the boss of {s}; who|leads {s}; who|runs {s} = which company|does
    {v} lead|{v} leads
motto = dish = the motto of {s} is {v} = =

planet | the planet {n} | town | * | article, entry, text on planets
-moons = few = {s} has {v} moons = how many moons|does {s} have|{s} has; the number of moons of {s} = which
    planet|has {v} moons
diameter = km = the diameter of {s} is {v} = how large|is {s}|{s} is; how big|is {s}|{s} is =
temperature = degrees = the temperature of {s} is {v} = how hot or cold|is {s}|{s} is =
colour = colour = {s} is {v} = what colour|is {s}|{s} is = which planet|is {v}
-day = hours = a day on {s} lasts {v} = how long|is a day on {s}|a day on {s} is; the length of a day on {s} = on
    which planet|does a day last {v}|a day lasts {v}
discoverer = full = {v} discovered {s} = who|discovered {s}; who|found {s}; by whom|was {s} discovered|{s} was
    discovered = which planet|did {v} discover|{v} discovered; what|did {v} discover|{v} discovered
-discovered in = year = {s} was discovered in {v} = when|was {s} discovered|{s} was discovered; in which year|was
    {s} found|{s} was found =

mountain | mount {n} | town | * | article, guide, entry
height = high = {s} is {v} high = how high|is {s}|{s} is; how tall|is {s}|{s} is = which mountain|is {v} high
country = town = {s} lies in the country of {v} = in which country|is {s}|{s} is; where|is {s}|{s} is; where|does
    {s} lie|{s} lies = which mountain|lies in {v}
-first climbed in = year = {s} was first climbed in {v} = when|was {s} first climbed|{s} was first climbed; the
    year in which {s} was first climbed =
-first climber = full = {v} was the first to climb {s} = who|first climbed {s}; who|was the first on {s}; the
    first climber of {s} = which mountain|did {v} climb first|{v} climbed first
-huts = few = {s} has {v} huts = how many huts|does {s} have|{s} has; the number of huts on {s} =

island | the island of {n} | town | * | guide, article, entry, travel text
-inhabitants = number = {s} has {v} inhabitants = how many people|live on {s}; how many inhabitants|does {s}
    have|{s} has; the population of {s} = which island|has {v} inhabitants
capital = town = the capital of {s} is {v} = what|is the capital of {s} called|the capital of {s} is called =
    which island|has {v} as its capital
size = km = {s} is {v} long = how long|is {s}|{s} is =
language = language = the people on {s} speak {v} = what language|do people speak on {s}|people speak on {s};
    which language|is spoken on {s} = on which island|do people speak {v}|people speak {v}
-known for = goods = {s} is known for its {v} = what|is {s} known for|{s} is known for; for what|is {s} famous|{s}
    is famous = which island|is known for its {v}
ruler = full = the ruler of {s} is {v} = who|rules {s}; who|governs {s} = which island|does {v} rule|{v} rules

town | the town of {n} | town | * | guide, article, town guide, brochure
mayor = full = the mayor of {s} is {v} = who|is the mayor of {s}; who|is mayor in {s} = of which town|is {v} the
    mayor|{v} is the mayor
-inhabitants = number = {s} has {v} inhabitants = how many people|live in {s}; how many inhabitants|does {s}
    have|{s} has; the population of {s} = which town|has {v} inhabitants
river = town = {s} lies on the river {v} = on which river|does {s} lie|{s} lies; what|is the river of {s}
    called|the river of {s} is called = which town|lies on the river {v}
-founded in = year = {s} was founded in {v} = when|was {s} founded|{s} was founded; how old|is {s}|{s} is =
-market day = day = the market in {s} is on {v} = when|is the market in {s}|the market in {s} is; on which day|is
    the market in {s}|the market in {s} is; the market day of {s} =
-known for = goods = {s} is famous for its {v} = what|is {s} famous for|{s} is famous for; what|is {s} known
    for|{s} is known for =
-churches = few = {s} has {v} churches = how many churches|does {s} have|{s} has =

book | the book "{n}" | book | * | catalogue, book list, library card, review
author = full = {v} wrote {s} = who|wrote {s}; by whom|is {s}|{s} is = which book|did {v} write|{v} wrote;
    what|did {v} write|{v} wrote
-pages = count = {s} has {v} pages = how many pages|does {s} have|{s} has; how long|is {s}|{s} is; the number of
    pages of {s} = which book|has {v} pages
-published in = year = {s} was published in {v} = when|was {s} published|{s} was published; in which year|did {s}
    come out|{s} came out = which book|came out in {v}
publisher = town = {s} was published by {v} = who|published {s} =
price = price = {s} costs {v} = how much|does {s} cost|{s} costs; how much|is {s}|{s} is = which book|costs {v}
language = language = {s} is in {v} = in which language|is {s}|{s} is; what language|is {s} in|{s} is in =
shelf = gate = {s} is on shelf {v} = where|is {s}|{s} is; on which shelf|is {s}|{s} is = which book|is on shelf {v}

film | the film "{n}" | book | * | programme, review, film guide
director = full = {v} made {s} = who|directed {s}; who|made {s} = which film|did {v} make|{v} made
running time = minutes = {s} lasts {v} = how long|does {s} last|{s} lasts; how long|is {s}|{s} is = which
    film|lasts {v}
-starts at = clock = {s} starts at {v} = when|does {s} start|{s} starts; at what time|does {s} begin|{s} begins;
    the starting time of {s} = which film|starts at {v}
-screen = few = {s} is shown on screen {v} = on which screen|is {s} shown|{s} is shown; where|is {s} shown|{s} is
    shown; the screen for {s} =
-star = full = {v} plays in {s} = who|plays in {s}; the star of {s} = in which film|does {v} play|{v} plays
ticket price = price = a ticket for {s} costs {v} = how much|is a ticket for {s}|a ticket for {s} is; what|does a
    ticket for {s} cost|a ticket for {s} costs =

product | the {n} | product | * | product page, catalogue, description, advert, brochure
price = price = {s} costs {v} = how much|does {s} cost|{s} costs; how much|is {s}|{s} is; what|must I pay for
    {s}|I must pay for {s} = which product|costs {v}; what|costs {v}
weight = kg = {s} weighs {v} = how heavy|is {s}|{s} is; how much|does {s} weigh|{s} weighs = which product|weighs {v}
colour = colour = {s} is {v} = what colour|is {s}|{s} is; in which colour|does {s} come|{s} comes = which
    product|is {v}
material = material = {s} is made of {v} = what|is {s} made of|{s} is made of; from what|is {s} made|{s} is made =
    which product|is made of {v}
height = cm = {s} is {v} high = how high|is {s}|{s} is; how tall|is {s}|{s} is = which product|is {v} high
warranty = years = {s} comes with a warranty of {v} = how long|does the warranty of {s} last|the warranty of {s}
    lasts =
maker = town = {s} is made by {v} = who|makes {s}; by whom|is {s} made|{s} is made = what|does {v} make|{v} makes
item number = code = the item number of {s} is {v} = which item number|does {s} have|{s} has = which product|has
    the item number {v}
delivery time = days = {s} is delivered within {v} = how long|does delivery of {s} take|delivery of {s} takes; how
    soon|is {s} delivered|{s} is delivered =

contact | {n} | full | * | contact card, address book, list of contacts, card
phone number = phone = the phone number of {s} is {v} = how|can I call {s}|I can call {s}; on what number|can I
    reach {s}|I can reach {s}; {s}'s phone = who|has the phone number {v}; whose phone number|is {v}; whose number|is
    {v}
e-mail = mail = the e-mail of {s} is {v} = where|can I write an e-mail to {s}|I can write an e-mail to {s}; {s}'s
    e-mail address = whose e-mail|is {v}
address = street = {s} lives at {v} = where|does {s} live|{s} lives; in what street|does {s} live|{s} lives =
    who|lives at {v}
job = job = {s} is a {v} = what|does {s} work as|{s} works as; what|does {s} do for a living|{s} does for a living
    = who|is a {v}; who|works as a {v}
birthday = date = the birthday of {s} is {v} = when|is {s}'s birthday|{s}'s birthday is; when|was {s} born|{s} was
    born = whose birthday|is {v}
company = town = {s} works for {v} = for whom|does {s} work|{s} works; where|does {s} work|{s} works = who|works
    for {v}
website = web = the website of {s} is {v} = which website|does {s} have|{s} has = whose website|is {v}

player | {n} | name | n | table, score list, result list, ranking
score = score = {s} scored {v} = how many points|did {s} score|{s} scored; how many points|does {s} have|{s} has =
    who|scored {v}; who|got {v}; who|has {v}; whose score|is {v}
team = team = {s} plays for {v} = for which team|does {s} play|{s} plays; in what team|is {s}|{s} is = who|plays
    for {v}; who|is with {v}
age = few = {s} is {v} = how old|is {s}|{s} is = who|is {v} years old
city = city = {s} is from {v} = where|is {s} from|{s} is from; where|does {s} come from|{s} comes from; which
    city|is {s} from|{s} is from = who|is from {v}; who|comes from {v}
shirt number = count = {s} has the shirt number {v} = which number|does {s} wear|{s} wears = who|wears number {v}
time = minutes = {s} needed {v} = how long|did {s} need|{s} needed = who|needed {v}
goals = count = {s} has {v} goals = how many goals|does {s} have|{s} has; how many goals|has {s} scored|{s} has
    scored = who|has {v} goals

student | {n} | full | n | class list, school list, table, report
grade = grade = {s} has the grade {v} = what mark|did {s} get|{s} got; which grade|did {s} get|{s} got = who|got
    the grade {v}
class = seat = {s} is in class {v} = in which class|is {s}|{s} is = who|is in class {v}
teacher = full = {s} is taught by {v} = who|teaches {s} = whom|does {v} teach|{v} teaches
best subject = lesson = the best subject of {s} is {v} = what|is {s} best at|{s} is best at; at what|is {s}
    good|{s} is good = who|is best at {v}
hobby = hobby = the hobby of {s} is {v} = what|does {s} do in free time|{s} does in free time = whose hobby|is {v}
locker = count = {s} has locker {v} = which locker|does {s} have|{s} has = whose locker|is number {v}; who|has
    locker {v}
-absent days = count = {s} was absent on {v} days = how many days|was {s} absent|{s} was absent; how often|was {s}
    absent|{s} was absent =

employee | {n} | full | n | staff list, table, overview, team list
department = lesson = {s} works in the {v} department = in which department|does {s} work|{s} works = who|works in
    the {v} department
office = gate = {s} sits in office {v} = in which office|does {s} sit|{s} sits; where|does {s} sit|{s} sits =
    who|sits in office {v}; whose office|is {v}
salary = price = {s} earns {v} = how much|does {s} earn|{s} earns; what|does {s} get paid|{s} gets paid =
    who|earns {v}
extension = count = the extension of {s} is {v} = which extension|does {s} have|{s} has = whose extension|is {v}
manager = name = the manager of {s} is {v} = who|manages {s} =
-holidays = count = {s} has {v} days of holiday = how many days of holiday|does {s} have|{s} has; how many days
    off|does {s} get|{s} gets =
-started in = year = {s} started in {v} = when|did {s} start|{s} started; since when|has {s} worked here|{s} has
    worked here = who|started in {v}

patient | {n} | full | * | list, file, patient card, sheet
room = gate = {s} is in room {v} = in which room|is {s}|{s} is; where|is {s}|{s} is = who|is in room {v}
doctor = full = the doctor of {s} is {v} = who|treats {s} = whom|does {v} treat|{v} treats
temperature = fever = the temperature of {s} is {v} = which temperature|does {s} have|{s} has =
diet = food = {s} only eats {v} = what|may {s} eat|{s} may eat = who|only eats {v}
appointment = clock = the appointment of {s} is at {v} = at what time|is {s} due|{s} is due; when|is the
    appointment of {s}|the appointment of {s} is = whose appointment|is at {v}
age = count = {s} is {v} years old = how old|is {s}|{s} is = who|is {v} years old

pet | {n} | name | * | list, pet card, poster, shelter list
kind = animal = {s} is a {v} = what kind of animal|is {s}|{s} is; what animal|is {s}|{s} is = who|is a {v}; which
    pet|is a {v}
owner = full = {s} belongs to {v} = whose pet|is {s}|{s} is; to whom|does {s} belong|{s} belongs; who|owns {s} =
    which pet|belongs to {v}
age = few = {s} is {v} years old = how old|is {s}|{s} is = which pet|is {v} years old
colour = colour = {s} is {v} = what colour|is {s}|{s} is = which pet|is {v}
favourite food = food = {s} likes {v} best = what|does {s} like to eat|{s} likes to eat = which pet|likes {v} best
chip number = code = the chip number of {s} is {v} = = which pet|has the chip number {v}
-sleeps in = room = {s} sleeps in the {v} = where|does {s} sleep|{s} sleeps = which pet|sleeps in the {v}

train | {n} | line | n | timetable, departure board, schedule, plan
destination = city = {s} goes to {v} = where|does {s} go|{s} goes; where|is {s} going|{s} is going; to which
    city|does {s} run|{s} runs = what|goes to {v}; which one|goes to {v}
-departure = clock = {s} leaves at {v} = when|does {s} leave|{s} leaves; at what time|does {s} depart|{s} departs;
    the departure time of {s}; the departure of {s} = what|leaves at {v}; which one|departs at {v}
-arrival = clock = {s} arrives at {v} = when|does {s} arrive|{s} arrives; at what time|does {s} get there|{s} gets
    there; the arrival time of {s} = which one|arrives at {v}
-platform = count = {s} leaves from platform {v} = from which platform|does {s} leave|{s} leaves; which
    platform|does {s} use|{s} uses; the platform of {s}; the platform for {s} = what|leaves from platform {v}
delay = minutes = {s} is {v} late = how late|is {s}|{s} is; how much delay|does {s} have|{s} has = which one|is
    {v} late
fare = price = a ticket for {s} costs {v} = what|does a ticket for {s} cost|a ticket for {s} costs =

flight | flight {n} | flight | * | ticket, boarding pass, flight plan, board
-gate = gate = {s} leaves from gate {v} = from which gate|does {s} leave|{s} leaves; the gate of {s}; the gate for
    {s}; which gate|do I need for {s}|I need for {s} = which flight|leaves from gate {v}
destination = city = {s} goes to {v} = where|does {s} go|{s} goes; where|does {s} fly to|{s} flies to = which
    flight|goes to {v}
-boarding = clock = boarding for {s} starts at {v} = when|does boarding for {s} start|boarding for {s} starts; the
    boarding time of {s} =
pilot = full = the pilot of {s} is {v} = who|flies {s}; who|is the pilot of {s} = which flight|does {v} fly|{v} flies
terminal = few = {s} uses terminal {v} = from which terminal|is {s}|{s} is; which terminal|does {s} use|{s} uses =
    which flight|uses terminal {v}
-passengers = count = {s} has {v} passengers = how many passengers|does {s} have|{s} has; how many people|are on {s} =

invoice | invoice {n} | code | 1 | invoice, bill
total = price = the total of {s} is {v} = how much|must be paid|must be paid; how much|is {s} in total|{s} is in
    total; the total amount; the sum to be paid; how much|do we owe|we owe =
date = date = {s} is dated {v} = when|was {s} written|{s} was written; the invoice date =
-due on = date = {s} is due on {v} = when|is {s} due|{s} is due; by when|must {s} be paid|{s} must be paid; the
    due date; until when|do we have to pay|we have to pay =
customer = full = the customer of {s} is {v} = to whom|does {s} go|{s} goes; who|is the customer; who|has to pay
    {s}; the name of the customer =
-seller = town = {s} is from {v} = who|sent {s}; the seller; from whom|is {s}|{s} is =
-item = thing = {s} is for a {v} = what|was bought|was bought; what|is {s} for|{s} is for; the item that was
    bought; what|was sold|was sold =
tax = percent = the tax on {s} is {v} = how much tax|is there on {s}|there is on {s}; the tax rate =
-payment = pay = {s} is paid by {v} = how|is {s} paid|{s} is paid; the way of payment; how|does the customer
    pay|the customer pays =
discount = percent = {s} has a discount of {v} = how much discount|is there|there is; how big|is the discount|the
    discount is =
account number = code = the account number of {s} is {v} = to which account|must the money be sent|the money must
    be sent =

order | order {n} | code | * | order list, confirmation, order form, list of orders
status = status = the status of {s} is {v} = how|does it stand with {s}|it stands with {s} = which order|is {v}
customer = full = {s} was placed by {v} = who|placed {s}; who|ordered {s}; whose order|is {s}|{s} is = which
    order|is from {v}; which order|belongs to {v}
item = thing = {s} is for a {v} = what|was ordered in {s}|was ordered in {s}; what|is {s} for|{s} is for = which
    order|is for the {v}
-shipped on = date = {s} was shipped on {v} = when|was {s} shipped|{s} was shipped; when|did {s} leave the
    warehouse|{s} left the warehouse; the shipping date of {s} = which order|was shipped on {v}
total = price = the total of {s} is {v} = how much|does {s} come to|{s} comes to = which order|comes to {v}
tracking number = code = the tracking number of {s} is {v} = with which number|can I track {s}|I can track {s} =
    which order|has the tracking number {v}

booking | booking {n} | code | 1 | confirmation, booking, reservation, ticket
guest = full = {s} is for {v} = who|is the guest; for whom|is {s}|{s} is; under which name|is {s}|{s} is; the
    guest's name =
hotel = town = {s} is for the hotel {v} = which hotel|is booked|is booked; what|is the hotel called|the hotel is
    called; the name of the hotel =
-arrival = date = the arrival is on {v} = when|does the guest arrive|the guest arrives; the arrival date; the
    check-in date; when|is check-in|check-in is =
-departure = date = the departure is on {v} = when|does the guest leave|the guest leaves; the check-out date; the
    departure date =
-people = few = {s} is for {v} people = how many people|is {s} for|{s} is for; how many people|will come; the
    number of people =
room number = count = the room number of {s} is {v} = in which room|does the guest stay|the guest stays; which
    room|is booked|is booked =
price = price = {s} costs {v} = how much|does {s} cost|{s} costs; what|does the stay cost|the stay costs =
-breakfast = clock = breakfast is at {v} = when|is breakfast|breakfast is; the time of breakfast =
wifi password = code = the wifi password of {s} is {v} = how|do I get into the wifi|I get into the wifi; the
    password for the wifi =

parcel | parcel {n} | code | * | label, delivery note, shipping list, slip
weight = kg = {s} weighs {v} = how heavy|is {s}|{s} is; how much|does {s} weigh|{s} weighs = which parcel|weighs {v}
-sender = full = {s} is from {v} = who|sent {s}; from whom|is {s}|{s} is; the sender of {s} = which parcel|is from {v}
-recipient = full = {s} goes to {v} = who|gets {s}; for whom|is {s}|{s} is; the recipient of {s}; the receiver of
    {s} = which parcel|is for {v}
content = thing = {s} contains a {v} = what|is in {s}|is in {s}; what|does {s} contain|{s} contains = which
    parcel|contains the {v}
-city = city = {s} is sent to {v} = to which city|does {s} go|{s} goes; to which city|is {s} sent|{s} is sent =
    which parcel|is sent to {v}
postage = price = the postage of {s} is {v} = how much|did it cost to send {s}|it cost to send {s} =

job | the job | word | 1 | advert, job advert, job offer, notice
pay = price = {s} pays {v} a day = how much|does {s} pay|{s} pays; what|can I earn|I can earn; the daily pay =
-hours = count = {s} is for {v} hours a week = how many hours a week|is {s}|{s} is; the hours a week =
-place = city = {s} is in {v} = where|is {s}|{s} is; in which city|is {s}|{s} is; the place of work =
-wanted = job = a {v} is wanted = who|is wanted; which worker|do they want|they want; what kind of worker|do they
    look for|they look for =
-starts on = date = {s} starts on {v} = when|does {s} start|{s} starts; the first day of work =
-apply to = mail = one applies to {v} = where|do I apply|I apply; to which address|must I write|I must write =
-apply by = date = one must apply by {v} = by when|must I apply|I must apply; the last day to apply; the deadline =
-language = language = {s} asks for {v} = which language|must I speak|I must speak; the language needed =

flat | the flat | word | 1 | advert, offer, flat advert
rent = price = the rent of {s} is {v} = how much|is the rent|the rent is; what|does {s} cost a month|{s} costs a
    month =
-rooms = few = {s} has {v} rooms = how many rooms|does {s} have|{s} has; the number of rooms =
address = street = {s} is at {v} = at which address|is {s}|{s} is; in which street|is {s}|{s} is =
floor = few = {s} is on floor {v} = on which floor|is {s}|{s} is =
-free from = date = {s} is free from {v} = from when|is {s} free|{s} is free; when|can I move in|I can move in;
    the day from which it is free =
landlord = full = the landlord of {s} is {v} = who|lets {s}; who|is the landlord; the name of the landlord =
deposit = price = the deposit for {s} is {v} = how much|is the deposit|the deposit is =
-phone = phone = call {v} for {s} = which number|do I call|I call; the number to call =

course | the {n} course | lesson | * | programme, flyer, course list, plan, brochure
teacher = full = {v} teaches {s} = who|teaches {s}; who|gives {s} = which course|does {v} teach|{v} teaches;
    what|does {v} teach|{v} teaches
-day = day = {s} is on {v} = what day|is {s}|{s} is; on which day|is {s}|{s} is; the day of {s} = which course|is
    on {v}
-time = clock = {s} begins at {v} = at what time|does {s} begin|{s} begins; at what hour|does {s} start|{s} starts
    = which course|begins at {v}
-room = count = {s} is in room {v} = where|is {s}|{s} is; in which room|is {s}|{s} is; the room of {s} = which
    course|is in room {v}
fee = price = {s} costs {v} = how much|does {s} cost|{s} costs; the fee for {s} = which course|costs {v}
-places = count = {s} has {v} places = how many places|does {s} have|{s} has; how many people|can join {s} =
-book = book = {s} uses the book "{v}" = which book|does {s} use|{s} uses; what book|is needed for {s} = which
    course|uses the book "{v}"

event | the {n} |
    =concert;wedding;fair;workshop;picnic;parade;auction;exhibition;festival;party;lecture;race;play;reading;meeting;conference
    | * | programme, poster, invitation, flyer, calendar
-day = date = {s} is on {v} = on which date|is {s}|{s} is; on what day|is {s}|{s} is; the date of {s}; the day of
    {s} = what|is on {v}; what|takes place on {v}
-start = clock = {s} starts at {v} = at what time|does {s} start|{s} starts; at what hour|does {s} begin|{s}
    begins; the starting time of {s} = what|starts at {v}
-place = room = {s} is in the {v} = where|is {s}|{s} is; where|does {s} take place|{s} takes place; the place of
    {s} = what|takes place in the {v}; what|is in the {v}
-entry = price = entry to {s} costs {v} = how much|is entry to {s}|entry to {s} is; what|does it cost to go to
    {s}|it costs to go to {s}; the price of entry to {s} =
-organiser = full = {v} organises {s} = who|organises {s}; the organiser of {s} = what|does {v} organise|{v} organises
-guests = count = {v} guests come to {s} = how many guests|come to {s}; how many people|come to {s}; the number of
    guests at {s} =
-bring = food = guests bring {v} to {s} = what|must guests bring to {s}|guests must bring to {s}; what|should I
    bring to {s}|I should bring to {s} =

weather | {n} | city | n | weather report, forecast, table, weather table
temperature@in = degrees = the temperature in {s} is {v} = how warm|is it in {s}|it is in {s}; how many
    degrees|does {s} have|{s} has = where|is the temperature {v}|the temperature is {v}; which city|has {v}
sky@in = sky = the sky in {s} is {v} = what|is the sky like in {s}|the sky is like in {s} = where|is the sky
    {v}|the sky is {v}
wind@in = wind = the wind in {s} is {v} = how strong|is the wind in {s}|the wind in {s} is; how fast|is the wind
    in {s}|the wind in {s} is = where|is the wind {v}|the wind is {v}
humidity@in = percent = the humidity in {s} is {v} = how humid|is it in {s}|it is in {s} =
-rain = mm = {s} has {v} of rain = how much rain|falls in {s}; how much rain|does {s} get|{s} gets; the amount of
    rain in {s} = where|does {v} of rain fall|{v} of rain falls
-sunrise = clock = the sun rises at {v} in {s} = when|does the sun rise in {s}|the sun rises in {s}; the time of
    sunrise in {s} =

server | the server | word | 1 | configuration, config file, config, file
host = host = the host of {s} is {v} = which host|is set|is set; the host name =
port = port = the port of {s} is {v} = on which port|does {s} listen|{s} listens; the port number =
user = word = the user of {s} is {v} = as which user|does {s} run|{s} runs; the user name =
password = code = the password of {s} is {v} = which password|is set|is set =
timeout = count = the timeout of {s} is {v} = after how many seconds|does {s} give up|{s} gives up; how long|is
    the timeout|the timeout is =
log level = level = the log level of {s} is {v} = which log level|is set|is set; the level of logging =
data folder = path = the data folder of {s} is {v} = where|is the data kept|the data is kept; the path of the data =
-workers = few = {s} has {v} workers = how many workers|are there|there are; the number of workers =
debug = yes = the debug setting of {s} is {v} = how|is debug set|debug is set; what|is debug set to|debug is set to =
language = language = the language of {s} is {v} = to which language|is {s} set|{s} is set =
region = city = the region of {s} is {v} = in which region|does {s} run|{s} runs =

dish | the {n} | dish | 1 | recipe
-servings = few = {s} is enough for {v} people = for how many people|is {s} enough|{s} is enough; how many
    people|can eat {s}; the number of servings =
-baking time = minutes = {s} bakes for {v} = how long|does {s} bake|{s} bakes; how long|must {s} bake|{s} must
    bake; the baking time =
-oven = oven = the oven must be at {v} = how hot|must the oven be|the oven must be; at which temperature|do I bake
    {s}|I bake {s}; the oven temperature =
-preparation = minutes = preparing {s} takes {v} = how long|does it take to prepare {s}|it takes to prepare {s};
    the preparation time =
cook = full = {v} thought of {s} = who|thought of {s}; whose recipe|is {s}|{s} is =
-served with = food = {s} is served with {v} = with what|is {s} served|{s} is served; what|is served with {s} =
calories = count = {s} has {v} calories = how many calories|does {s} have|{s} has =

car | the {n} | =red van;old truck;white bus;blue sports car;silver taxi;green jeep;small camper;black
    limousine;grey scooter;yellow tractor | * | advert, car list, table, overview
price = price = {s} costs {v} = how much|does {s} cost|{s} costs; how much|is {s}|{s} is = which car|costs {v}
-year = year = {s} was built in {v} = when|was {s} built|{s} was built; from which year|is {s}|{s} is; the year of
    {s} = which car|was built in {v}
-seats = few = {s} has {v} seats = how many seats|does {s} have|{s} has; how many people|fit into {s} = which
    car|has {v} seats
mileage = km = {s} has driven {v} = how far|has {s} driven|{s} has driven =
owner = full = {s} belongs to {v} = whose car|is {s}|{s} is; to whom|does {s} belong|{s} belongs; who|owns {s} =
    which car|belongs to {v}
number plate = code = the number plate of {s} is {v} = which number plate|does {s} have|{s} has = which car|has
    the number plate {v}
top speed = wind = the top speed of {s} is {v} = how fast|is {s}|{s} is; how fast|can {s} go|{s} can go =

plant | the {n} | word | * | garden book, label, plant guide, seed packet
-water = few = {s} needs water every {v} days = how often|does {s} need water|{s} needs water; every how many
    days|do I water {s}|I water {s} =
-blooms in = month = {s} blooms in {v} = when|does {s} bloom|{s} blooms; in which month|does {s} flower|{s}
    flowers = which plant|blooms in {v}
height = cm = {s} grows {v} high = how high|does {s} grow|{s} grows; how tall|does {s} get|{s} gets = which
    plant|grows {v} high
-flowers = colour = {s} has {v} flowers = what colour|are the flowers of {s}|the flowers of {s} are; which
    colour|do the flowers of {s} have|the flowers of {s} have = which plant|has {v} flowers
-comes from = city = {s} comes from {v} = where|does {s} come from|{s} comes from; the origin of {s} = which
    plant|comes from {v}
price = price = {s} costs {v} = how much|is {s}|{s} is; how much|does {s} cost|{s} costs = which plant|costs {v}

ship | the ship {n} | town | * | article, ship list, harbour list, report
captain = full = the captain of {s} is {v} = who|commands {s}; who|is the captain of {s} = which ship|does {v}
    command|{v} commands
home port = city = the home port of {s} is {v} = where|is {s} at home|{s} is at home = which ship|is at home in {v}
length = metres = {s} is {v} long = how long|is {s}|{s} is = which ship|is {v} long
cargo = goods = {s} carries {v} = what|does {s} carry|{s} carries; what|is on board {s} = which ship|carries {v}
-built in = year = {s} was built in {v} = when|was {s} built|{s} was built; in which year|was {s} built|{s} was
    built = which ship|was built in {v}
-crew = count = {s} has a crew of {v} = how many sailors|does {s} have|{s} has; how large|is the crew of {s}|the
    crew of {s} is; the crew of {s} =
-berth = gate = {s} lies at berth {v} = at which berth|does {s} lie|{s} lies; at which berth|is {s}|{s} is = which
    ship|lies at berth {v}

room | the {n} | =kitchen;library;office;hall;attic;cellar;bedroom;garage;bathroom;studio;workshop;lounge | n |
    plan, house plan, table, list of rooms
-floor = few = {s} is on floor {v} = on which floor|is {s}|{s} is; the floor of {s} = which room|is on floor {v}
colour = colour = {s} is {v} = what colour|is {s}|{s} is = which room|is {v}
-windows = few = {s} has {v} windows = how many windows|does {s} have|{s} has; the number of windows in {s} =
    which room|has {v} windows
-key = gate = {s} opens with key {v} = which key|opens {s}; with which key|do I open {s}|I open {s}; the key of
    {s} = which room|does key {v} open|key {v} opens
-cleaned by = name = {v} cleans {s} = who|cleans {s}; by whom|is {s} cleaned|{s} is cleaned = which room|does {v}
    clean|{v} cleans
-cleaned on = day = {s} is cleaned on {v} = when|is {s} cleaned|{s} is cleaned; on which day|is {s} cleaned|{s} is
    cleaned = which room|is cleaned on {v}

item | the {n} | item | n | inventory, list, price list, table, stock list
price = price = {s} costs {v} = how much|does {s} cost|{s} costs; how much|is {s}|{s} is; what|do I pay for {s}|I
    pay for {s} = what|costs {v}; which item|costs {v}; what|can I buy for {v}|I can buy for {v}
-place = room = {s} is in the {v} = in which room|is {s}|{s} is; in which room|can I find {s}|I can find {s}; the
    place of {s} = what|is in the {v}; which item|is in the {v}
owner = name = {s} belongs to {v} = whose|is {s}|{s} is; who|owns {s}; to whom|does {s} belong|{s} belongs =
    what|belongs to {v}; what|does {v} own|{v} owns
weight = kg = {s} weighs {v} = how heavy|is {s}|{s} is; how much|does {s} weigh|{s} weighs = what|weighs {v}
-shelf = gate = {s} is on shelf {v} = on which shelf|is {s}|{s} is; the shelf of {s} = what|is on shelf {v}; which
    item|is on shelf {v}
number = code = the number of {s} is {v} = which number|does {s} have|{s} has = which item|has the number {v}
condition = state = the condition of {s} is {v} = =

language | {n} | town | * | article, entry, text on languages
-speakers = number = {v} people speak {s} = how many people|speak {s}; how many speakers|does {s} have|{s} has;
    the number of speakers of {s} = which language|do {v} people speak|{v} people speak
-letters = few = {s} has {v} letters = how many letters|does {s} have|{s} has; the number of letters of {s} =
-hello = word = the word for hello in {s} is {v} = how|does one say hello in {s}|one says hello in {s}; the word
    for hello in {s} = in which language|does "{v}" mean hello|"{v}" means hello
-water = word = the word for water in {s} is {v} = how|does one say water in {s}|one says water in {s}; the word
    for water in {s} =
-spoken in = town = {s} is spoken in {v} = where|is {s} spoken|{s} is spoken; where|do people speak {s}|people
    speak {s} = which language|is spoken in {v}
"""

# first person = third person = value = asks = asks from the other end
STATES = """
I live in {v} = {p} lives in {v} = city = where|does {p} live|{p} lives; in which city|does {p} live|{p} lives;
    the home of {p} = who|lives in {v}; which person|lives in {v}
I come from {v} = {p} comes from {v} = city = where|does {p} come from|{p} comes from; where|is {p} from|{p} is
    from; {p}'s home town = who|comes from {v}; who|is from {v}
I work as a {v} = {p} works as a {v} = job = what|does {p} do for a living|{p} does for a living; what|is {p}'s
    job|{p}'s job is; {p}'s job; the job of {p} = who|works as a {v}; who|is a {v}
I am {v} years old = {p} is {v} years old = count = how old|is {p}|{p} is; the age of {p}; {p}'s age = who|is {v}
    years old
my favourite colour is {v} = {p}'s favourite colour is {v} = colour = which colour|does {p} like best|{p} likes
    best; {p}'s favourite colour; the favourite colour of {p} = whose favourite colour|is {v}; who|likes {v} best
my dog is called {n} = {p}'s dog is called {n} = name = what|is {p}'s dog called|{p}'s dog is called; the name of
    {p}'s dog = whose dog|is called {n}; who|has a dog called {n}
I am allergic to {v} = {p} is allergic to {v} = food = what|is {p} allergic to|{p} is allergic to; to what|is {p}
    allergic|{p} is allergic; {p}'s allergy = who|is allergic to {v}
I like {v} = {p} likes {v} = hobby = what|does {p} like|{p} likes; what|does {p} enjoy|{p} enjoys; {p}'s hobby =
    who|likes {v}; who|enjoys {v}
I am learning {v} = {p} is learning {v} = language = which language|is {p} learning|{p} is learning; what|is {p}
    learning|{p} is learning = who|is learning {v}
I drive a {v} car = {p} drives a {v} car = colour = what colour|is {p}'s car|{p}'s car is; the colour of {p}'s car
    = whose car|is {v}; who|drives a {v} car
I get up at {v} = {p} gets up at {v} = clock = when|does {p} get up|{p} gets up; at what time|does {p} get up|{p}
    gets up = who|gets up at {v}
I go to work by {t} = {p} goes to work by {t} = transport = how|does {p} go to work|{p} goes to work; how|does {p}
    get to work|{p} gets to work = who|goes to work by {t}
my birthday is on {v} = {p}'s birthday is on {v} = date = when|is {p}'s birthday|{p}'s birthday is; the birthday
    of {p}; {p}'s birthday = whose birthday|is on {v}
I sit in seat {v} = {p} sits in seat {v} = seat = in which seat|does {p} sit|{p} sits; {p}'s seat; the seat of {p}
    = who|sits in seat {v}; whose seat|is {v}
my phone number is {v} = {p}'s phone number is {v} = phone = on which number|can I call {p}|I can call {p}; {p}'s
    phone number; the phone number of {p} = whose phone number|is {v}
I paid {v} for the {t} = {p} paid {v} for the {t} = price = how much|did {p} pay for the {t}|{p} paid for the {t};
    how much|did {p} pay|{p} paid; what|did the {t} cost {p}|the {t} cost {p} = who|paid {v}; who|bought something for
    {v}
I ordered the {v} = {p} ordered the {v} = dish = what|did {p} order|{p} ordered; {p}'s order; what dish|did {p}
    order|{p} ordered = who|ordered the {v}; whose order|is the {v}
my room number is {v} = {p}'s room number is {v} = count = in which room|is {p}|{p} is; {p}'s room number; the
    number of {p}'s room = whose room number|is {v}
I play the {i} = {p} plays the {i} = instrument = what instrument|does {p} play|{p} plays; which instrument|does
    {p} play|{p} plays; what|does {p} play|{p} plays = who|plays the {i}
my train leaves at {v} = {p}'s train leaves at {v} = clock = when|does {p}'s train leave|{p}'s train leaves; at
    what time|does {p} leave by train|{p} leaves by train = whose train|leaves at {v}
I have {v} cats = {p} has {v} cats = few = how many cats|does {p} have|{p} has; the number of {p}'s cats = who|has
    {v} cats
I need {v} for the trip = {p} needs {v} for the trip = food = what|does {p} need for the trip|{p} needs for the
    trip; what|does {p} need|{p} needs = who|needs {v}
I was born in {v} = {p} was born in {v} = year = when|was {p} born|{p} was born; in which year|was {p} born|{p}
    was born; {p}'s year of birth = who|was born in {v}
I want to become a {v} = {p} wants to become a {v} = job = what|does {p} want to become|{p} wants to become; {p}'s
    dream job = who|wants to become a {v}
I am afraid of {v} = {p} is afraid of {v} = fear = what|is {p} afraid of|{p} is afraid of; of what|is {p}
    afraid|{p} is afraid = who|is afraid of {v}
I ran {v} = {p} ran {v} = km = how far|did {p} run|{p} ran; the distance that {p} ran = who|ran {v}
I slept for {v} = {p} slept for {v} = hours = how long|did {p} sleep|{p} slept = who|slept for {v}
I waited {v} for the bus = {p} waited {v} for the bus = minutes = how long|did {p} wait|{p} waited; how long|did
    {p} wait for the bus|{p} waited for the bus = who|waited {v}
I am in the {v} = {p} is in the {v} = room = where|is {p}|{p} is; in what place|is {p}|{p} is; in which room|is
    {p}|{p} is = who|is in the {v}
I study {v} = {p} studies {v} = lesson = what|does {p} study|{p} studies; {p}'s subject = who|studies {v}
I voted for {v} = {p} voted for {v} = full = for whom|did {p} vote|{p} voted; who|did {p} vote for|{p} voted for;
    {p}'s vote = who|voted for {v}
"""
# things of one kind and what is noted for each: title | things | value = says = asks = asks from the other end
# sentence | slot: asks / slot: asks; all in the past, so that "I" may stand for {p}
SCENES = """
{p} gave {q} the {n} | p: who|gave {q} the {n}; who|gave the {n} to {q}; who|gave the {n} away; the person who
    gave {q} the {n} / q: who|got the {n}; to whom|did {p} give the {n}|{p} gave the {n}; who|got the {n} from {p} /
    n: what|did {p} give {q}|{p} gave {q}; what|did {q} get from {p}|{q} got from {p}; what|did {q} get|{q} got; the
    gift of {p} to {q}
{p} sold {q} the {n} for {v} | p: who|sold the {n}; who|sold {q} the {n}; the seller of the {n} / q: who|bought
    the {n}; to whom|did {p} sell the {n}|{p} sold the {n}; the buyer of the {n} / n: what|did {p} sell|{p} sold;
    what|did {q} buy|{q} bought; what|did {p} sell to {q}|{p} sold to {q} / v: how much|did the {n} cost|the {n} cost;
    for how much|did {p} sell the {n}|{p} sold the {n}; the price of the {n}; how much|did {q} pay for the {n}|{q}
    paid for the {n}
{p} travelled from {c} to {d} by {t} | p: who|travelled to {d}; who|travelled from {c} to {d}; who|left {c} for
    {d}; who|went by {t} / d: where|did {p} travel to|{p} travelled to; to which city|did {p} travel|{p} travelled;
    where|did {p} go|{p} went; the destination of {p} / c: from where|did {p} travel|{p} travelled; from which
    city|did {p} come|{p} came; where|did {p} start|{p} started / t: how|did {p} travel|{p} travelled; how|did {p} get
    to {d}|{p} got to {d}; by what|did {p} travel|{p} travelled
{p} moved from {c} to {d} in {y} | p: who|moved to {d}; who|moved away from {c}; who|left {c} / d: where|did {p}
    move|{p} moved; to which city|did {p} move|{p} moved; the new home of {p} / c: from where|did {p} move|{p} moved;
    where|did {p} live before|{p} lived before; the old home of {p} / y: when|did {p} move|{p} moved; in which
    year|did {p} move to {d}|{p} moved to {d}; since when|has {p} lived in {d}|{p} has lived in {d}
{p} met {q} in the {r} at {z} | p: who|met {q}; who|met {q} in the {r} / q: whom|did {p} meet|{p} met; who|did {p}
    meet in the {r}|{p} met in the {r} / r: where|did {p} meet {q}|{p} met {q}; where|did {p} and {q} meet|{p} and {q}
    met; in what place|did {p} meet {q}|{p} met {q} / z: when|did {p} meet {q}|{p} met {q}; at what time|did {p} and
    {q} meet|{p} and {q} met
{p} lent {q} {v} | p: who|lent {q} money; who|lent {v}; to whom|must {q} pay {v} back|{q} must pay {v} back / q:
    to whom|did {p} lend money|{p} lent money; who|borrowed {v}; who|owes {p} money / v: how much|did {p} lend {q}|{p}
    lent {q}; how much|does {q} owe {p}|{q} owes {p}; how much|did {q} borrow|{q} borrowed
{p} taught {q} {l} | p: who|taught {q}; who|taught {l}; from whom|did {q} learn {l}|{q} learned {l}; {q}'s teacher
    / q: whom|did {p} teach|{p} taught; who|learned {l}; {p}'s pupil / l: what|did {p} teach|{p} taught; which
    language|did {q} learn|{q} learned; what|did {q} learn from {p}|{q} learned from {p}
{p} invited {q} to the {e} | p: who|invited {q}; by whom|was {q} invited|{q} was invited; whose guest|was {q}|{q}
    was / q: whom|did {p} invite|{p} invited; who|was invited to the {e}; the guest of {p} / e: to what|did {p} invite
    {q}|{p} invited {q}; what|was {q} invited to|{q} was invited to
{p} beat {q} at {h} | p: who|beat {q}; who|won at {h}; who|won against {q}; the winner at {h} / q: whom|did {p}
    beat|{p} beat; who|lost at {h}; who|lost to {p}; the loser at {h} / h: at what|did {p} beat {q}|{p} beat {q};
    which game or sport|did {q} lose|{q} lost
{p} sent {q} the {n} from {c} | p: who|sent the {n}; who|sent {q} the {n}; from whom|did {q} get the {n}|{q} got
    the {n} / q: to whom|did {p} send the {n}|{p} sent the {n}; who|got the {n}; for whom|was the {n}|the {n} was / n:
    what|did {p} send|{p} sent; what|did {p} send {q}|{p} sent {q} / c: from where|did {p} send the {n}|{p} sent the
    {n}; from which city|did the {n} come|the {n} came; where|was the {n} sent from|the {n} was sent from
{p} exchanged the {n} for the {n2} | p: who|exchanged the {n}; who|gave away the {n}; who|got the {n2} / n2:
    what|did {p} get for the {n}|{p} got for the {n}; what|did {p} exchange the {n} for|{p} exchanged the {n} for / n:
    what|did {p} exchange|{p} exchanged; what|did {p} give for the {n2}|{p} gave for the {n2}
{p} painted the {n} {x} | p: who|painted the {n} {x}; who|painted the {n} / x: what colour|did {p} paint the
    {n}|{p} painted the {n}; which colour|is the {n} now|the {n} is now; the colour of the {n}; in what colour|was the
    {n} painted|the {n} was painted / n: what|did {p} paint|{p} painted; what|did {p} paint {x}|{p} painted {x}
{p} built the {n} out of {s} | p: who|built the {n}; the builder of the {n}; by whom|was the {n} built|the {n} was
    built / n: what|did {p} build|{p} built; what|did {p} make out of {s}|{p} made out of {s} / s: what|is the {n}
    made of|the {n} is made of; out of what|did {p} build the {n}|{p} built the {n}; the material of the {n}
{p} cooked {i} for {q} | p: who|cooked for {q}; who|cooked {i}; the cook of the {i} / q: for whom|did {p} cook|{p}
    cooked; for whom|was the {i}|the {i} was; who|got the {i} / i: what|did {p} cook|{p} cooked; what|did {p} cook for
    {q}|{p} cooked for {q}; what|did {q} get to eat|{q} got to eat
{p} waited for {q} in the {r} for {m} | p: who|waited for {q}; who|waited in the {r} / q: for whom|did {p}
    wait|{p} waited; who|was late for {p} / r: where|did {p} wait|{p} waited; where|did {p} wait for {q}|{p} waited
    for {q} / m: how long|did {p} wait|{p} waited; how long|did {p} wait for {q}|{p} waited for {q}; how many
    minutes|did {p} wait|{p} waited
{p} drove {q} to the {r} | p: who|drove {q} to the {r}; who|drove {q}; the driver of {q} / q: whom|did {p}
    drive|{p} drove; who|was driven to the {r}; who|sat in {p}'s car / r: where|did {p} drive {q}|{p} drove {q};
    where|was {q} driven|{q} was driven; to what place|did {p} drive {q}|{p} drove {q}
{p} wrote {q} a letter about the {n} | p: who|wrote the letter; who|wrote to {q}; who|wrote about the {n}; the
    writer of the letter to {q} / q: to whom|did {p} write|{p} wrote; who|got {p}'s letter; for whom|was {p}'s
    letter|{p}'s letter was / n: what|did {p} write about|{p} wrote about; what|is {p}'s letter about|{p}'s letter is
    about; the topic of {p}'s letter
{p} planted {k} {u} in the {r} | p: who|planted {u}; who|planted the {u}; who|planted something in the {r} / k:
    how many {u}|did {p} plant|{p} planted; the number of {u} / u: what|did {p} plant|{p} planted; what|was planted in
    the {r} / r: where|did {p} plant the {u}|{p} planted the {u}; where|are the {u}|the {u} are
{p} found {v} in the {n} | p: who|found {v}; who|found money; who|found money in the {n} / v: how much|did {p}
    find|{p} found; how much|was in the {n}; how much money|was found in the {n} / n: where|did {p} find {v}|{p} found
    {v}; where|was the money that {p} found|the money that {p} found was; in what|did {p} find money|{p} found money
{p} called {q} at {z} | p: who|called {q}; who|called at {z}; the caller of {q} / q: whom|did {p} call|{p} called;
    who|was called by {p}; to whom|did {p} talk at {z}|{p} talked at {z} / z: when|did {p} call|{p} called; at what
    time|did {p} call {q}|{p} called {q}; the time of {p}'s call
{p} flew to {c} on {j} | p: who|flew to {c}; who|flew on {j}; which person|went to {c} / c: where|did {p} fly|{p}
    flew; to which city|did {p} fly|{p} flew; {p}'s destination / j: when|did {p} fly|{p} flew; on which day|did {p}
    fly to {c}|{p} flew to {c}; the date of {p}'s flight
{p} stayed in {c} for {o} | p: who|stayed in {c}; who|was in {c} / c: where|did {p} stay|{p} stayed; in which
    city|did {p} stay|{p} stayed / o: how long|did {p} stay|{p} stayed; how long|did {p} stay in {c}|{p} stayed in
    {c}; the length of {p}'s stay
{p} married {q} in {y} | y: when|did {p} marry|{p} married; in which year|did {p} marry {q}|{p} married {q};
    when|was the wedding of {p} and {q}|the wedding of {p} and {q} was; the year of {p}'s wedding / q: whom|did {p}
    marry|{p} married; to whom|is {p} married|{p} is married
{p} bought {k} {b} from {q} | p: who|bought {b}; who|bought {k} {b}; who|bought something from {q} / k: how many
    {b}|did {p} buy|{p} bought; how many {b}|did {q} sell|{q} sold; the number of {b} / b: what|did {p} buy|{p}
    bought; what|did {q} sell|{q} sold; what|did {p} buy from {q}|{p} bought from {q} / q: from whom|did {p} buy the
    {b}|{p} bought the {b}; who|sold the {b}; the seller of the {b}
{p} saw {an} in the {r} | p: who|saw {an}; who|saw the {a} / a: what|did {p} see|{p} saw; which
    animal|did {p} see|{p} saw; what|was in the {r}; which animal|was in the {r} / r: where|did {p} see the {a}|{p}
    saw the {a}; where|was the {a}|the {a} was
{p} won {v} at the {e} | p: who|won {v}; who|won at the {e}; the winner of {v} / v: how much|did {p} win|{p} won;
    how much|was won at the {e}|was won at the {e}; the sum that {p} won / e: where|did {p} win|{p} won; at what|did
    {p} win {v}|{p} won {v}
{p} mixed {f} with {g} | p: who|mixed {f} with {g}; who|mixed the {f} / g: with what|did {p} mix {f}|{p} mixed
    {f}; what|did {p} mix with {f}|{p} mixed with {f} / f: what|did {p} mix with {g}|{p} mixed with {g}
{p} hid the {n} from {q} | p: who|hid the {n}; who|hid the {n} from {q} / q: from whom|did {p} hide the {n}|{p}
    hid the {n}; who|must not see the {n} / n: what|did {p} hide|{p} hid; what|did {p} hide from {q}|{p} hid from {q}
{p} paid {q} {v} for the {n} | p: who|paid {v}; who|paid {q}; who|paid for the {n} / q: whom|did {p} pay|{p} paid;
    who|got {v}; to whom|did the money of {p} go|the money of {p} went / v: how much|did {p} pay|{p} paid; how
    much|did {p} pay for the {n}|{p} paid for the {n}; what|did the {n} cost|the {n} cost; the price of the {n} / n:
    what|did {p} pay for|{p} paid for; what|cost {v}; for what|did {q} get {v}|{q} got {v}
{p} told {q} the code {w} | p: who|told {q} the code; from whom|does {q} know the code|{q} knows the code / q:
    whom|did {p} tell the code|{p} told the code; to whom|did {p} give the code|{p} gave the code; who|knows the code
    from {p} / w: which code|did {p} tell {q}|{p} told {q}; the code that {p} told {q}; which code|does {q} know from
    {p}|{q} knows from {p}
{p} named the {a} {q} | p: who|named the {a}; who|gave the {a} its name / q: what|is the {a} called|the {a} is
    called; how|did {p} name the {a}|{p} named the {a}; the name of the {a}; the {a}'s name / a: what animal|did {p}
    name|{p} named; which animal|is called {q}; what animal|is {q}|{q} is
{p} broke the {n} of {q} | p: who|broke the {n}; who|broke {q}'s {n}; by whom|was the {n} of {q} broken|the {n} of
    {q} was broken / n: what|did {p} break|{p} broke; what|of {q} is broken / q: whose {n}|did {p} break|{p} broke;
    whose {n}|is broken|is broken
{p} spoke for {m} about {e2} | p: who|spoke about {e2}; who|spoke for {m} / m: how long|did {p} speak|{p} spoke;
    for how many minutes|did {p} speak|{p} spoke; the length of {p}'s speech / e2: what|did {p} speak about|{p} spoke
    about; about what|did {p} speak|{p} spoke; the topic of {p}'s speech
{p} ran {d2} in {m} | p: who|ran {d2}; who|needed {m} for {d2} / d2: how far|did {p} run|{p} ran; the distance
    that {p} ran / m: how long|did {p} run|{p} ran; in what time|did {p} run {d2}|{p} ran {d2}; {p}'s time
{p} borrowed the {n} from {q} until {j} | p: who|borrowed the {n}; who|has {q}'s {n}; who|must give the {n} back /
    n: what|did {p} borrow|{p} borrowed; what|did {p} borrow from {q}|{p} borrowed from {q} / q: from whom|did {p}
    borrow the {n}|{p} borrowed the {n}; whose {n}|did {p} borrow|{p} borrowed; to whom|must {p} give the {n} back|{p}
    must give the {n} back / j: until when|may {p} keep the {n}|{p} may keep the {n}; by when|must {p} give the {n}
    back|{p} must give the {n} back
{p} asked {q} for {k} {b} | p: who|asked {q} for {b}; who|asked for {b}; who|wanted {k} {b} / q: whom|did {p}
    ask|{p} asked; who|was asked for {b} / b: what|did {p} ask for|{p} asked for; what|did {p} want from {q}|{p}
    wanted from {q} / k: how many {b}|did {p} ask for|{p} asked for; how many {b}|did {p} want|{p} wanted
{p} worked as {ajob} in {c} for {o} | p: who|worked as {ajob}; who|worked in {c} / job: what|did {p}
    work as|{p} worked as; what|was {p}'s job|{p}'s job was; the job of {p} / c: where|did {p} work|{p} worked; in
    which city|did {p} work|{p} worked / o: how long|did {p} work in {c}|{p} worked in {c}; how long|did {p} work as
    {ajob}|{p} worked as {ajob}
"""
LISTS = """
menu;price list;dishes;lunch menu | dish | price = the {i} costs {v} = how much|does the {i} cost|the {i} costs;
    how much|is the {i}|the {i} is; the price of the {i} = which dish|costs {v}; what|costs {v}; what|can I eat for
    {v}|I can eat for {v}
receipt;bill;receipt of the shop | food | price = {i} cost {v} = how much|did {i} cost|{i} cost; how much|was paid
    for {i}|was paid for {i}; the price of {i} = what|cost {v}
price list;shop;flea market;prices | item | price = the {i} costs {v} = how much|does the {i} cost|the {i} costs;
    how much|is the {i}|the {i} is; the price of the {i}; what|do you want for the {i}|you want for the {i} =
    what|costs {v}; which thing|is {v}
ingredients;recipe;for the dough;you need | ingredient | amount = the recipe needs {v} of {i} = how much {i}|is
    needed|is needed; how much {i}|do I need|I need; how much {i}|goes into it; the amount of {i} = of what|do I need
    {v}|I need {v}
inventory;stock list;stock;storeroom;count | counted | count = there are {v} {i} = how many {i}|are there|there
    are; how many {i}|do we have|we have; the number of {i}; how many {i}|are in stock; the count of {i} = of what|are
    there {v}|there are {v}
packing list;for the trip;to pack;luggage | counted | few = we pack {v} {i} = how many {i}|do we pack|we pack; how
    many {i}|must be packed|must be packed; the number of {i}; how many {i}|are on the list = of what|do we pack
    {v}|we pack {v}
shopping list;to buy;order | counted | few = we buy {v} {i} = how many {i}|do we buy|we buy; how many {i}|must be
    bought|must be bought; the number of {i}; how many {i}|are on the list = of what|do we buy {v}|we buy {v}
distances;signpost;how far it is;road sign | city | km = it is {v} to {i} = how far|is it to {i}|it is to {i}; the
    distance to {i}; how far away|is {i}|{i} is = which city|is {v} away; what|is {v} away
seats;seating plan;seat list | person | seat = {i} sits in seat {v} = where|does {i} sit|{i} sits; in which
    seat|is {i}|{i} is; {i}'s seat; the seat of {i}; which seat|does {i} have|{i} has = who|sits in seat {v}; whose
    seat|is {v}
rooms;room list;guests | full | count = {i} is in room {v} = in which room|is {i}|{i} is; {i}'s room; the room of
    {i}; where|does {i} stay|{i} stays = who|is in room {v}; whose room|is {v}
phone list;numbers;contacts;phone book | full | phone = the phone number of {i} is {v} = how|can I call {i}|I can
    call {i}; the phone number of {i}; {i}'s number; on which number|is {i}|{i} is = whose number|is {v}; who|has the
    number {v}
birthdays;calendar;birthday list | person | date = the birthday of {i} is on {v} = when|is the birthday of {i}|the
    birthday of {i} is; {i}'s birthday; when|was {i} born|{i} was born = whose birthday|is on {v}
orders;lunch orders;table 4;orders for lunch | person | dish = {i} ordered the {v} = what|did {i} order|{i}
    ordered; {i}'s order; what|does {i} get|{i} gets; the order of {i} = who|ordered the {v}; who|gets the {v}
prizes;raffle;winners | full | item = {i} won the {v} = what|did {i} win|{i} won; {i}'s prize; the prize of {i};
    which prize|went to {i} = who|won the {v}; who|gets the {v}
shifts;rota;shift plan | person | day = {i} works on {v} = when|does {i} work|{i} works; on which day|does {i}
    work|{i} works; {i}'s shift; the day of {i} = who|works on {v}; whose shift|is on {v}
results;scores;final scores;score board | person | score = {i} got {v} = how many points|did {i} get|{i} got; how
    many points|does {i} have|{i} has; {i}'s score; the score of {i}; {i}'s result = who|got {v}; whose score|is {v};
    who|has {v}
opening times;opening hours;doors open | place | clock = the {i} opens at {v} = when|does the {i} open|the {i}
    opens; at what time|does the {i} open|the {i} opens; the opening time of the {i} = what|opens at {v}; which
    place|opens at {v}
keys;key board;key list | place | gate = the {i} has key {v} = which key|opens the {i}; which key|does the {i}
    have|the {i} has; the key of the {i}; the key for the {i} = what|does key {v} open|key {v} opens; which room|has
    key {v}
shelves;where things are;storage plan;plan of the shed | item | place = the {i} is in the {v} = where|is the
    {i}|the {i} is; where|can I find the {i}|I can find the {i}; the place of the {i} = what|is in the {v}; which
    thing|is in the {v}
lost and found;found things;owners | item | full = the {i} belongs to {v} = whose|is the {i}|the {i} is; who|owns
    the {i}; the owner of the {i}; to whom|does the {i} belong|the {i} belongs = what|belongs to {v}; what|does {v}
    own|{v} owns
animals;zoo;farm;cages | beast | name = the {i} is called {v} = what|is the {i} called|the {i} is called; the name
    of the {i}; the {i}'s name = which animal|is called {v}; what animal|is {v}
teams;groups;team list | person | colour = {i} is in the {v} team = in which team|is {i}|{i} is; {i}'s team; the
    team of {i} = who|is in the {v} team
weather;forecast;temperatures | city | degrees = it is {v} in {i} = how warm|is it in {i}|it is in {i}; the
    temperature in {i}; how many degrees|are there in {i}|there are in {i} = where|is it {v}|it is {v}; in which
    city|is it {v}|it is {v}
passwords;logins;accounts | word | code = the password for {i} is {v} = which password|is for {i}; the password
    for {i}; the password of {i}; how|do I log in to {i}|I log in to {i} = what|has the password {v}; for what|is the
    password {v}|the password {v} is
days;meal plan;plan for the week;dinners | day | dish = on {i} there is {v} = what|is there on {i}|there is on
    {i}; what|do we eat on {i}|we eat on {i}; the meal on {i}; {i}'s meal = on which day|is there {v}|there is {v};
    when|do we get {v}|we get {v}
class schedule;lessons;timetable | clock | lesson = at {i} there is {v} = which lesson|is at {i}; what|is at {i};
    what|do we have at {i}|we have at {i}; the lesson at {i} = when|is {v}|{v} is; at what time|do we have {v}|we have
    {v}; the time of {v}
schedule;programme;plan of the day;agenda | clock | activity = at {i} there is {v} = what|happens at {i}; what|is
    planned for {i}; what|comes at {i}; the plan for {i} = when|is {v}|{v} is; at what time|is {v}|{v} is; the time of
    {v}
chores;jobs at home;duties;who does what | person | duty = {i} has to {v} = what|does {i} have to do|{i} has to
    do; {i}'s task; the task of {i}; {i}'s duty = who|has to {v}; whose job|is it to {v}|it is to {v}; the person who
    has to {v}
roles;crew;staff;cast | role | full = the {i} is {v} = who|is the {i}; the name of the {i}; the {i}'s name;
    what|is the {i} called|the {i} is called; the {i} = what|is {v}|{v} is; which role|does {v} have|{v} has; the role
    of {v}
map key;colours;legend;what the colours mean | colour | place = {i} stands for the {v} = what|does {i} stand
    for|{i} stands for; what|does {i} mean|{i} means; the meaning of {i} = which colour|stands for the {v};
    what|stands for the {v}
floors;guide to the house;lift | storey | place = the {v} is on the {i} = what|is on the {i}; which room|is on the
    {i}; what|can I find on the {i}|I can find on the {i} = where|is the {v}|the {v} is; on which floor|is the {v}|the
    {v} is; the floor of the {v}
error codes;codes;error messages | fault | reason = {i} means {v} = what|does {i} mean|{i} means; the meaning of
    {i}; what|is wrong with {i}|is wrong with {i}; what|does {i} stand for|{i} stands for = what|means {v}; which
    code|stands for {v}; which code|means {v}
gifts;presents;for whom | person | item = {i} gets the {v} = what|does {i} get|{i} gets; {i}'s gift; the gift for
    {i}; what|is for {i} = who|gets the {v}; for whom|is the {v}|the {v} is
top list;ranking;the best places | rank | city = {v} is in {i} place = which city|is in {i} place; what|comes in
    {i} place; the city in {i} place = in which place|is {v}|{v} is; the place of {v}; where|does {v} stand|{v} stands
vocabulary;word list;glossary | word | plainword = {i} means {v} = what|does {i} mean|{i} means; the meaning of
    {i}; what|is {i} in English|{i} is in English = which word|means {v}; how|do you say {v}|you say {v}; the word for
    {v}
"""
ACTIVITIES = """the opening; the lecture; lunch; the tour; the film; the quiz; the concert; the break; the dinner;
    the dance; the auction; the swim; the hike; the prayer; the race; the speech; the fireworks; the workshop; the
    yoga class; the board meeting; the visit; the photo; the parade; the raffle""".replace("\n    ", " ").split("; ")
DUTIES = [
    f"{verb} the {noun}"
    for verb, nouns in (
        ("clean", "kitchen windows car stairs oven bathroom"), ("feed", "cat hens fish horse rabbit"),
        ("water", "plants roses lawn"), ("wash", "dishes towels car curtains"), ("call", "plumber bank landlord"),
        ("book", "hotel flight table tickets hall"), ("buy", "cake flowers milk paint paper tickets"),
        ("write", "report letter invitation speech summary"), ("repair", "bike fence lamp roof printer gate"),
        ("send", "parcel invoice photos contract"), ("check", "budget lights list brakes locks"),
        ("paint", "door wall fence shed"), ("order", "books pizza wood chairs"), ("print", "tickets posters map"),
        ("bring", "guitar salad tent chairs"), ("return", "books keys drill"), ("update", "website calendar list"),
    ) for noun in nouns.split()
]  # fmt: skip
REASONS = """page not found; disk full; no paper; wrong password; out of memory; door open; battery low; no
    connection; file missing; access denied; time is up; motor too hot; water tank empty; unknown user; card
    blocked; filter dirty; sensor broken; bad request; no signal; wrong date; lid not closed; oil low; server
    down; cable loose""".replace("\n    ", " ").split("; ")
ROLES = """captain driver guide coach boss cook leader secretary doctor manager singer trainer chair treasurer
    referee director editor drummer pianist nurse goalkeeper mayor judge engineer cleaner caretaker""".split()
PLACES = [
    *ROOMS,
    "pool",
    "zoo",
    "bank",
    "gym",
    "theatre",
    "café",
    "shed",
    "tower",
    "archive",
    "pharmacy",
    "lab",
    "canteen",
]
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()

VALUES |= {
    "transport": _of(["bus", "train", "bike", "car", "tram", "boat", "taxi", "ferry"]),
    "instrument": _of("violin piano guitar flute harp trumpet organ cello drums clarinet".split()),
    "fear": _of("spiders dogs snakes storms heights mice ghosts thunder bees wasps water".split()),
    "amount": lambda rng: rng.choice(
        (f"{rng.randrange(2, 80) * 10} {rng.choice(('g', 'grams', 'ml'))}",
         f"{rng.randrange(2, 9)} {rng.choice(('cups', 'spoons', 'tablespoons', 'litres', 'kg'))}")
    ),
    "ingredient": _of(INGREDIENTS),
    "counted": _of(COUNTED),
    "person": lambda rng: people(rng, 1)[0],
    "place": _of(PLACES),
    "beast": _of(ANIMALS),
    "activity": _of(ACTIVITIES),
    "duty": _of(DUTIES),
    "role": _of(ROLES),
    "storey": _of(["ground floor", "first floor", "second floor", "third floor", "fourth floor", "top floor"]),
    "fault": lambda rng: f"{rng.choice(('error', 'error', 'code', 'fault'))} {_code(rng)}",
    "reason": _of(REASONS),
    "rank": _of(ORDINALS),
    "plainword": _of([*OBJECTS, *ANIMALS, *FOODS]),
}  # fmt: skip


# ---- documents


@dataclass
class Draft:
    """A fact before its questions are put."""

    line: str
    statement: str
    subject: str
    value: str
    asks: list[str]


@dataclass
class Doc:
    """A text, what it may be called, what it says, and the like that it does not say."""

    text: str
    papers: list[str]
    said: list[Draft]
    unsaid: list[Draft] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """One attribute."""

    label: str
    named: bool
    preposition: str
    value: Callable[[random.Random], str]
    says: str
    asks: tuple[str, ...]
    turned: tuple[str, ...]

    def draft(self, s: str, v: str) -> Draft:
        asks = [ask.format(s=s, v=v) for ask in self.asks]
        if self.named:
            asks.append(f"the {self.label} {self.preposition} {s}")
            if self.preposition == "of":
                asks += [f"{s}'s {self.label}", f"what {self.label}|does {s} have|{s} has"]
        return Draft("", cap(self.says.format(s=s, v=v)) + ".", s, v, asks)


@dataclass(frozen=True)
class Kind:
    """Things of one kind and their attributes."""

    noun: str
    form: str
    name: Callable[[random.Random], str]
    where: str
    papers: list[str]
    columns: list[Column]

    def names(self, rng: random.Random, count: int) -> list[str]:
        return _different(rng, self.name, count)


def _different(rng: random.Random, make: Callable[[random.Random], str], count: int) -> list[str]:
    """Up to count values that differ and of which none is in another."""
    found: list[str] = []
    for _ in range(4 * count):
        value = make(rng)
        if not any(value.lower() in f.lower() or f.lower() in value.lower() for f in found):
            found.append(value)
            if len(found) == count:
                break
    return found


def _asks(text: str) -> tuple[str, ...]:
    return tuple(ask.strip() for ask in text.split(";") if ask.strip())


def _blocks(text: str) -> list[list[str]]:
    """Blocks between empty lines; an indented line goes on with the one before."""
    return [block.replace("\n    ", " ").split("\n") for block in text.strip().split("\n\n")]


def _kind(head: str, *lines: str) -> Kind:
    noun, form, name, where, paper = (part.strip() for part in head.split(" | "))
    columns = []
    for line in lines:
        label, value, says, asks, turned = (part.strip() for part in f"{line} ".split(" ="))
        label, _, preposition = label.partition("@")
        named, label = label[0] != "-", label.lstrip("-")
        preposition = preposition or "of"
        says = says or f"the {label} {preposition} {{s}} is {{v}}"
        columns.append(Column(label, named, preposition, VALUES[value], says, _asks(asks), _asks(turned)))
    make = _of(name[1:].split(";")) if name[0] == "=" else VALUES[name]
    return Kind(noun, form, make, where, paper.split(", "), columns)


ALL_KINDS = [_kind(*block) for block in _blocks(KINDS)]
ALONE = [kind for kind in ALL_KINDS if kind.where in "1*"]
TABLED = [kind for kind in ALL_KINDS if kind.where in "n*"]
CALLED = set("river company planet mountain island town ship product animal plant book film language".split())
NUMBERED = set("invoice order booking parcel flight".split())


def _capital(rng: random.Random, labels: list[str]) -> list[str]:
    """The labels as a form prints them: all in one style."""
    style = rng.randrange(7)
    if style < 4:
        return [cap(label) for label in labels]
    if style == 4:
        return [label.upper() for label in labels]
    return [label if style == 5 else label.replace(" ", "_") for label in labels]


def _turned(column: Column, s: str, v: str, line: str, statement: str, name: str) -> Draft:
    return Draft(line, statement, s, name, [ask.format(s=s, v=v) for ask in column.turned])


def sheet(rng: random.Random, count: int) -> Doc:
    """One thing and its attributes: a form, a card, a file, or sentences."""
    kind = rng.choice(ALONE)
    name = kind.name(rng)
    s = kind.form.format(n=name)
    columns = rng.sample(kind.columns, min(len(kind.columns), max(2, count) + 1))
    columns, left = columns[:-1], columns[-1:]
    values = [column.value(rng) for column in columns]
    drafts = [column.draft(s, v) for column, v in zip(columns, values, strict=True)]
    shorts = [] if kind.form == "{n}" else ["it", f"the {kind.noun}"]
    for column, draft, v in zip(columns, drafts, values, strict=True):
        _shorten(column, draft, v, shorts)
    unsaid = [column.draft(s, column.value(rng)) for column in left]
    for column, draft in zip(left, unsaid, strict=True):
        _shorten(column, draft, draft.value, shorts)
    bare = s.removeprefix("the ").replace('"', "")
    title, named = bare, "{n}" in kind.form
    if rng.random() < 0.35:
        text = _sentences(rng, kind, s, drafts)
        if rng.random() < 0.3:
            text = f"{cap(title)}\n{text}"
    else:
        text, title = _form(rng, kind, name if named else "", title, columns, values, drafts)
    if kind.where == "*" and rng.random() < 0.6:
        for column, v, draft in zip(columns, values, list(drafts), strict=True):
            if column.turned:
                drafts.append(_turned(column, s, v, draft.line, draft.statement, name))
    if rng.random() < 0.6 and cap(title) in text and title != kind.noun:
        line = cap(title)
        if kind.noun in CALLED:
            asks = [f"what|is the {kind.noun} called|the {kind.noun} is called", f"the name of the {kind.noun}",
                    f"which {kind.noun}|is it about|it is about"]  # fmt: skip
            drafts.append(Draft(line, f"The {kind.noun} is called {name}.", name, name, asks))
        elif kind.noun in NUMBERED:
            asks = [f"the number of the {kind.noun}", f"which number|does the {kind.noun} have|the {kind.noun} has"]
            drafts.append(Draft(line, f"The number of the {kind.noun} is {name}.", name, name, asks))
    return Doc(text, kind.papers, drafts, unsaid)


def _shorten(column: Column, draft: Draft, v: str, shorts: list[str]) -> None:
    """Adds asks that do not name the only thing there is."""
    if column.named and column.preposition == "of":
        draft.asks += [f"the {column.label}"] * 2
    for short in shorts:
        draft.asks += [
            ask.format(s=short, v=v) for ask in column.asks if f"of {short}" != "of it" or "of {s}" not in ask
        ]


def _form(
    rng: random.Random, kind: Kind, name: str, title: str, columns: list[Column], values: list[str], drafts: list[Draft]
) -> tuple[str, str]:
    """(the attributes one after the other, the line that names the thing)."""
    labels = _capital(rng, [column.label for column in columns])
    form = rng.randrange(12)
    head = cap(title)
    if form == 0:
        pairs = [f"{json.dumps(label.lower())}: {json.dumps(v, ensure_ascii=False)}" for label, v in
                 zip(labels, values, strict=True)]  # fmt: skip
        if name:
            head = f"{json.dumps(kind.noun)}: {json.dumps(name, ensure_ascii=False)}"
            text = ",\n  ".join([head, *pairs]) if rng.random() < 0.5 else ", ".join([head, *pairs])
        else:
            text = ", ".join(pairs)
        lines, text = pairs, "{\n  " + text + "\n}" if "\n" in text else "{" + text + "}"
    elif form == 1:
        lines = [f"| {label} | {v} |" for label, v in zip(labels, values, strict=True)]
        head = f"| {cap(kind.noun)} | {name or 'value'} |"
        text = "\n".join([head, "|---|---|", *lines])
    elif form == 2:
        lines = [f"<{t}>{v}</{t}>" for t, v in zip((x.replace(" ", "_") for x in labels), values, strict=True)]
        head = f"<{kind.noun}>{name}</{kind.noun}>" if name else f"<{kind.noun}>"
        text = "\n".join([head, *lines])
    elif form == 3:
        joint = rng.choice(("; ", ", ", " | ", " / "))
        mark = rng.choice((": ", " ", " = "))
        lines = [f"{label}{mark}{v}" for label, v in zip(labels, values, strict=True)]
        text = f"{head}{rng.choice((': ', ' - ', ', '))}{joint.join(lines)}"
    else:
        mark = rng.choice((": ", ": ", ": ", " = ", "=", " - ", ":\t", " ... ", " -> ", ":  ", " | ", ","))
        start, end = rng.choice(
            (("", ""), ("", ""), ("", ""), ("- ", ""), ("* ", ""), ("  ", ""), ("> ", ""), ("• ", ""))
        )
        if rng.random() < 0.12:
            labels = [f"**{label}**" for label in labels]
        lines = [f"{start}{label}{mark}{v}{end}" for label, v in zip(labels, values, strict=True)]
        form = rng.randrange(6)
        if form == 0:
            head = f"# {head}"
        elif form == 1:
            head = f"{head}:"
        elif form == 2:
            head = f"[{head}]"
        elif form == 3 and name:
            head = f"{start}{cap(kind.noun)}{mark}{name}"
        elif form == 4:
            head = f"=== {head} ==="
        text = "\n".join([head, *lines])
    for draft, line in zip(drafts, lines, strict=True):
        draft.line = line.strip()
    return text, head


def _sentences(rng: random.Random, kind: Kind, s: str, drafts: list[Draft]) -> str:
    """The attributes in sentences; some have a pronoun, some are joined."""
    names = [s] if kind.form == "{n}" else [s, "it", "it", f"the {kind.noun}"]
    out: list[str] = []
    for i, draft in enumerate(drafts):
        sentence = draft.statement
        if i and len(names) > 1 and any(s.lower() in before.lower() for before in out):
            other = rng.choice(names)
            if other != "it" or f"of {s}" not in sentence:
                sentence = cap(sentence.replace(s, other).replace(cap(s), cap(other)))
        joined = sentence.startswith((cap(s), "It ", f"The {kind.noun} "))
        plain = out and joined and out[-1].startswith(f"{cap(s)} ") and " and " not in out[-1] and ", " not in out[-1]
        if plain and rng.random() < 0.35:
            subject = next(n for n in (cap(s), "It", f"The {kind.noun}") if sentence.startswith(n))
            first, second = out[-1][len(s) : -1], sentence[len(subject) :]
            which = "who" if kind.form == "{n}" and kind.name in (VALUES["full"], VALUES["name"]) else "which"
            forms = (f"{first} and{second}", f", {which}{first},{second}", f"{first}, and it{second}")
            out[-1] = cap(s) + rng.choice(forms[: 2 if which == "who" else 3])
            drafts[i - 1].line = draft.line = out[-1]
        else:
            out.append(sentence)
            draft.line = sentence
    return rng.choice((" ", " ", " ", "\n")).join(_padded(rng, out))


NOISE = """Many people know this.; More will follow.; That is all for now.; Nobody knows much more.; It was a
    long day.; Everybody was happy.; This was new to many.; There is more to tell another time.; People talk
    about it a lot.; Some say otherwise.; It is a long story.; You may have heard of this.; The rest is not
    known.; That may change soon.; We are glad about it.; So much for that.; This is no secret.; It could be
    worse.; Please keep this for later.; Some of it is quite old news.; All of this has been checked.; Thank
    you for reading.""".replace("\n    ", " ").split("; ")


def _padded(rng: random.Random, sentences: list[str]) -> list[str]:
    """The sentences, at times with others between them that say nothing."""
    if rng.random() < 0.75:
        return sentences
    out = list(sentences)
    for noise in rng.sample(NOISE, rng.choice((1, 1, 2, 3))):
        out.insert(rng.randrange(1, len(out) + 1), noise)
    return out


def grid(rng: random.Random, count: int) -> Doc:
    """Several things of a kind and the same attributes of each: tables, records, sentences."""
    kind = rng.choice(TABLED)
    width = min(len(kind.columns), rng.choice((1, 2, 2, 3, 3, 4)))
    names = kind.names(rng, max(2, -(-count // width)) + 1)
    other, names = names[-1], names[:-1]
    if not names:
        return grid(rng, count)
    columns = rng.sample(kind.columns, min(len(kind.columns), width + 1))
    left, columns = columns[width:], columns[:width]
    rows = []
    for _ in names:
        rows.append([column.value(rng) for column in columns])
    labels = _capital(rng, [kind.noun, *(column.label for column in columns)])
    drafts: list[list[Draft]] = [
        [column.draft(kind.form.format(n=n), v) for column, v in zip(columns, row, strict=True)]
        for n, row in zip(names, rows, strict=True)
    ]
    form = rng.randrange(9)
    tabled = form < 4
    if form == 6:
        text = _told_rows(rng, drafts)
    else:
        lines, text = _rows(rng, form, kind, labels, names, rows)
        for line, row in zip(lines, drafts, strict=True):
            for draft in row:
                draft.line = line
    said = [draft for row in drafts for draft in row]
    for name, row, values in zip(names, drafts, rows, strict=True):
        for column, draft, v in zip(columns, row, values, strict=True):
            if column.turned:
                said.append(_turned(column, draft.subject, v, draft.line, draft.statement, name))
    if tabled:
        said += _row_asked(rng, kind, names, drafts, columns)
    unsaid = [column.draft(kind.form.format(n=other), column.value(rng)) for column in columns]
    unsaid += [column.draft(kind.form.format(n=rng.choice(names)), column.value(rng)) for column in left]
    return Doc(text, kind.papers, said, unsaid)


def _told_rows(rng: random.Random, drafts: list[list[Draft]]) -> str:
    """Sentences, a row after the other."""
    for row in drafts:
        for draft in row:
            draft.line = draft.statement
    if rng.random() < 0.5:
        return "\n".join(" ".join(draft.line for draft in row) for row in drafts)
    lines = [draft.line for row in drafts for draft in row]
    if rng.random() < 0.5:
        rng.shuffle(lines)
    return " ".join(_padded(rng, lines))


def _rows(
    rng: random.Random, form: int, kind: Kind, labels: list[str], names: list[str], rows: list[list[str]]
) -> tuple[list[str], str]:
    """(the lines of the rows, the text)."""
    cells = [[n, *row] for n, row in zip(names, rows, strict=True)]
    if form == 0:
        lines = [f"| {' | '.join(row)} |" for row in cells]
        rule = "|" + "|".join(rng.choice(("---", " --- ")) for _ in labels) + "|"
        return lines, "\n".join([f"| {' | '.join(labels)} |", rule, *lines])
    if form == 1:
        mark = rng.choice((",", ",", ", ", ";"))
        lines = [mark.join(row) for row in cells]
        return lines, "\n".join([mark.join(labels), *lines])
    if form == 2:
        mark = rng.choice(("\t", " | ", " / ", " - "))
        lines = [mark.join(row) for row in cells]
        return lines, "\n".join([mark.join(labels), *lines])
    if form == 3:
        widths = [max(map(len, column)) for column in zip(labels, *cells, strict=True)]
        padded = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [labels, *cells]]
        return padded[1:], "\n".join(padded)
    if form == 4:
        objects = [
            json.dumps(dict(zip((x.lower() for x in labels), row, strict=True)), ensure_ascii=False) for row in cells
        ]
        return objects, "[" + rng.choice((", ", ",\n ")).join(objects) + "]"
    mark, inner, joint = (
        rng.choice((": ", " = ", " ")),
        rng.choice((", ", "; ", " | ")),
        rng.choice((": ", " - ", ", ")),
    )
    fields = [
        inner.join(f"{label}{mark}{v}" for label, v in zip(labels[1:], row, strict=True)) for row in rows
    ]  # fmt: skip
    start = rng.choice(("", "", "- ", "* ", "• "))
    if rng.random() < 0.3:
        lines = [f"{start}{n} ({text})" for n, text in zip(names, fields, strict=True)]
    else:
        lines = [f"{start}{n}{joint}{text}" for n, text in zip(names, fields, strict=True)]
    if rng.random() < 0.25:
        lines = [f"{i}. {line.removeprefix(start)}" for i, line in enumerate(lines, 1)]
    title = rng.choice(("", "", f"{cap(rng.choice(kind.papers))}:\n", f"# {cap(rng.choice(kind.papers))}\n"))
    return lines, title + "\n".join(lines)


def _row_asked(
    rng: random.Random, kind: Kind, names: list[str], drafts: list[list[Draft]], columns: list[Column]
) -> list[Draft]:
    """What stands in a row, by its number; adds to the asks of its cells."""
    found = []
    for i, (name, row) in enumerate(zip(names, drafts, strict=True)):
        called = [
            f"row {i + 1}",
            f"line {i + 1} of the table",
            f"the {'last' if i == len(names) - 1 else ORDINALS[i % 10]} row",
        ]
        where = rng.choice(called)
        if i >= 10 and where == called[2] and i < len(names) - 1:
            where = called[0]
        for column, draft in zip(columns, row, strict=True):
            draft.asks.append(f"what|is in {where} under {column.label}|is in {where} under {column.label}")
            if column.named:
                draft.asks += [f"the {column.label} in {where}", f"what {column.label}|does {where} have|{where} has"]
        asks = [f"which {kind.noun}|is in {where}|is in {where}", f"the {kind.noun} in {where}",
                f"what {kind.noun}|does {where} name|{where} names"]  # fmt: skip
        subject = row[0].subject
        found.append(Draft(row[0].line, f"{cap(where)} is about {subject}.", where, name, asks))
    return found


@dataclass(frozen=True)
class Listed:
    """Things and what is noted for each."""

    titles: list[str]
    thing: str
    value: str
    says: str
    asks: tuple[str, ...]
    turned: tuple[str, ...]


def _listed(line: str) -> Listed:
    titles, thing, rest = (part.strip() for part in line.split(" | "))
    value, says, asks, turned = (part.strip() for part in rest.split(" = "))
    return Listed(titles.split(";"), thing, value, says, _asks(asks), _asks(turned))


ALL_LISTS = [_listed(line) for line in _blocks(LISTS)[0]]
ITEM_MARKS = [": ", ": ", " - ", " = ", " .... ", " -> ", ", ", " | ", "; ", ":  ", "\t"]


def pairs(rng: random.Random, count: int) -> Doc:
    """A menu, a price list, an inventory and the like."""
    kind = rng.choice(ALL_LISTS)
    things = _different(rng, VALUES[kind.thing], max(2, count) + 1)
    if kind.thing == "rank":
        things = sorted(things, key=ORDINALS.index)
    drafts = []
    for thing in things:
        v = VALUES[kind.value](rng)
        statement = cap(kind.says.format(i=thing, v=v)) + "."
        asks = [[ask.format(i=thing, v=v) for ask in which] for which in (kind.asks, kind.turned)]
        drafts.append((Draft("", statement, thing, v, asks[0]), Draft("", statement, v, thing, asks[1])))
    hidden = drafts.pop(rng.randrange(len(drafts)))
    title = rng.choice(kind.titles)
    heads = [
        "",
        f"{cap(title)}\n",
        f"{cap(title)}:\n",
        f"# {cap(title)}\n",
        f"{title.upper()}\n",
        f"**{cap(title)}**\n",
    ]
    form = rng.randrange(8)
    mark = rng.choice(ITEM_MARKS)
    start = rng.choice(("", "", "", "- ", "* ", "• ", "[ ] ", "> "))
    quantities = kind.value in ("amount", "count", "few") and kind.thing in ("ingredient", "counted")
    if form == 0:
        for draft, _ in drafts:
            draft.line = draft.statement
    elif form == 1:
        for draft, _ in drafts:
            draft.line = f"| {draft.subject} | {draft.value} |"
        heads = [f"| {title} | |\n|---|---|\n"]
    elif quantities and form < 6:
        shape = rng.choice(
            ("{v} {i}", "{v} {i}", "{i} x {v}", "{i} ({v})", "{v} x {i}" if kind.value != "amount" else "{i}: {v}")
        )
        for draft, _ in drafts:
            draft.line = start + shape.format(i=draft.subject, v=draft.value)
    elif form == 2:
        for draft, _ in drafts:
            draft.line = f"{start}{draft.value}{mark}{draft.subject}"
    elif form == 3:
        for draft, _ in drafts:
            draft.line = f"{start}{cap(draft.subject)} ({draft.value})"
    else:
        for draft, _ in drafts:
            draft.line = f"{start}{cap(draft.subject)}{mark}{draft.value}"
    joint = " " if form == 0 and rng.random() < 0.6 else "\n"
    if form > 3 and not start and mark in (": ", " - ", " = ") and rng.random() < 0.25:
        joint, heads = rng.choice((", ", "; ", ". ")), ["", f"{cap(title)}: "]
    elif form > 1 and rng.random() < 0.12:
        for i, (draft, _) in enumerate(drafts, 1):
            draft.line = f"{i}. {draft.line.removeprefix(start)}"
    text = rng.choice(heads) + joint.join(draft.line for draft, _ in drafts)
    for draft, turned in drafts:
        turned.line = draft.line
    said = [draft for both in drafts for draft in both]
    return Doc(
        text, [title if title[-1] != "s" and " " not in title else "list", "list", "list", "note"], said, list(hidden)
    )


# ---- what people did, will do and say of themselves

DEEDS = [
    verb.split("/")
    for verb in """find/found/found lose/lost/lost buy/bought/bought sell/sold/sold hide/hid/hidden see/saw/seen
    break/broke/broken repair/repaired/repaired clean/cleaned/cleaned bring/brought/brought take/took/taken
    forget/forgot/forgotten leave/left/left borrow/borrowed/borrowed order/ordered/ordered drop/dropped/dropped
    wrap/wrapped/wrapped open/opened/opened photograph/photographed/photographed draw/drew/drawn steal/stole/stolen
    carry/carried/carried pack/packed/packed check/checked/checked return/returned/returned choose/chose/chosen
    deliver/delivered/delivered measure/measured/measured show/showed/shown store/stored/stored test/tested/tested
    collect/collected/collected replace/replaced/replaced burn/burned/burned
    unpack/unpacked/unpacked weigh/weighed/weighed catch/caught/caught
    inspect/inspected/inspected rent/rented/rented notice/noticed/noticed""".split()
]  # fmt: skip
SPOTS = [
    f"{place}"
    for places in (
        "in the: kitchen garden library cellar attic garage hall school museum station park bakery hotel office café",
        "under the: sofa table bed stairs bridge carpet desk tree bench cupboard",
        "behind the: shed door curtain wardrobe fridge church barn wall",
        "near the: station bridge pool gate lake well fountain mill",
        "at the: market airport harbour bank beach museum theatre bus_stop",
        "on the: roof balcony shelf piano terrace windowsill second_floor train",
        "next_to the: oven window lift fountain bookshop",
    )
    for head, names in [places.split(": ")]
    for place in (f"{head} {name}".replace("_", " ") for name in names.split())
]  # fmt: skip
PAST_WHEN = ["yesterday", "last week", "this morning", "last night", "two days ago", "an hour ago", "last summer"]
FUTURE_WHEN = ["tomorrow", "next week", "this evening", "tonight", "next month", "in two days", "after lunch"]
CAUSES = """it was raining; the shop was closed; the old one was broken; the train was late; it was too expensive;
    the light was off; the guests were hungry; the door was open; it was a gift; nobody needed it; the weather was
    cold; there was no time; the boss wanted it; the room was full; the car was too small; the party was over; it
    was so heavy; everybody was asleep; the price was low; it looked nice; the bus did not come; the phone was
    ringing""".replace("\n    ", " ").split("; ")
FILLERS = """Really?; Good to know.; I see.; Thanks!; Oh, nice.; Hm, all right.; That's great.; Who would have
    thought!; Ok.; Interesting.; Lovely!; Hello everyone!; Hi all.; Let's begin.; Any news?; Well done.; Fine with
    me.; Wow.; Great, thank you.; Sorry I'm late.; Shall we start?; See you later!""".replace("\n    ", " ").split("; ")


@dataclass
class Said:
    """A sentence about somebody: in the third and in the first person."""

    who: str
    third: str
    first: str
    drafts: list[Draft]
    unsaid: list[Draft]


def _when(rng: random.Random, future: bool) -> tuple[str, str]:
    """(the time, how it is asked for)."""
    return rng.choice(
        (
            (f"on {rng.choice(DAYS)}", "on which day"), (f"at {_clock(rng)}", "at what time"),
            (f"in {rng.choice(MONTHS)}", "in which month"), (f"on {rng.randrange(1, 29)} {rng.choice(MONTHS)}",
                "on what date"),
            (rng.choice(FUTURE_WHEN if future else PAST_WHEN), "when"), ("at noon", "at what time"),
        )
    )  # fmt: skip


def deed(rng: random.Random, p: str, thing: str, other: str) -> Said:
    """Somebody does something with a thing: at times somewhere, at some time, with somebody, for a reason."""
    base, past, part = rng.choice(DEEDS)
    future = rng.random() < 0.2
    n = f"the {thing}"
    verb = f"will {base}" if future else past
    does, did, infinitive = ("will", f"{p} will {base}", base) if future else ("did", f"{p} {past}", base)
    was = "will" if future else "were" if thing.endswith("keys") else "was"
    passive = (f"{was} {n} be {part}", f"{n} will be {part}") if future else (f"{was} {n} {part}", f"{n} {was} {part}")
    words, drafts, unsaid = [], [], []
    asks_of = {}
    spot, (when, asked_when), cause = rng.choice(SPOTS), _when(rng, future), rng.choice(CAUSES)

    def asks(*whats: str, name: str = "") -> list[str]:
        found = [f"{w}|{does} {p} {infinitive} {n}|{did} {n}" for w in whats]
        found += [f"{w}|{passive[0]}|{passive[1]}" for w in whats]
        return [*found, f"the {name} {did} {n}"] if name else found

    asks_of["with"] = (other, [*asks("with whom", "together with whom")[:2], f"who|was with {p}"][: 2 if future else 3])
    asks_of["for"] = (other, asks("for whom"))
    asks_of["where"] = (spot, asks("where", "where", "in what place", name="place where"))
    asks_of["when"] = (when, asks("when", "when", asked_when, name="time when"))
    asks_of["why"] = (cause, asks("why", "why", "for what reason", name="reason why"))
    spoken = {"with": f"with {other}", "for": f"for {other}", "where": spot, "when": when, "why": f"because {cause}"}
    chosen = [w for w in spoken if rng.random() < (0.15 if w in ("with", "for") else 0.35)]
    if "with" in chosen and "for" in chosen:
        chosen.remove("for")
    if future and "why" in chosen:
        chosen.remove("why")
    words = [spoken[w] for w in chosen]
    end = " ".join([n, *words])
    third, first = f"{p} {verb} {end}", f"I {verb} {end}"
    if words and when in words and rng.random() < 0.25:
        rest = " ".join([n, *(w for w in words if w != when)])
        third, first = f"{cap(when)}, {p} {verb} {rest}", f"{cap(when)}, I {verb} {rest}"
    statement = cap(third) + "."
    at = f" {spot}" if "where" in chosen else ""
    drafts.append(
        Draft("", statement, p, p, [
            f"who|{verb} {n}", f"who|{verb} {n}", f"who|{verb} {n}{at}", f"by whom|{passive[0]}|{passive[1]}",
            f"the person who {verb} {n}", f"the name of the person who {verb} {n}", f"which person|{verb} {n}",
        ])
    )  # fmt: skip
    drafts.append(
        Draft("", statement, p, thing, [
            f"what|{does} {p} {base}|{did}", f"what|{does} {p} {base}|{did}", f"what|{does} {p} {base}{at}|{did}{at}",
            f"which thing|{does} {p} {base}|{did}", f"the thing that {did}",
                f"what|was it that {did}|it was that {did}",
        ])
    )  # fmt: skip
    if not future and "where" in chosen and base in ("find", "hide", "leave", "see", "store", "notice"):
        asks_of["where"][1].append(f"where|{was} {n}|{n} {was}")
    for w, (value, questions) in asks_of.items():
        if w in chosen:
            drafts.append(Draft("", statement, p, value, questions))
        elif w in ("where", "why") or (w == "with" and "for" not in chosen):
            unsaid.append(Draft("", statement, p, value, questions[:3]))
    return Said(p, third, first, drafts, unsaid)


def _state(line: str) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    first, third, value, asks, turned = (part.strip() for part in line.split(" = "))
    return first, third, value, _asks(asks), _asks(turned)


ALL_STATES = [_state(line) for line in _blocks(STATES)[0]]


def state(rng: random.Random, p: str, thing: str, kind: tuple | None = None) -> Said:
    """What somebody is, has or likes."""
    first, third, value, asks, turned = kind or rng.choice(ALL_STATES)
    v = VALUES[value](rng)
    slots = {"v": v, "n": v, "i": v, "p": p, "t": v if value == "transport" else thing}
    article = f" a {v}"
    third, first = (t.format(**slots).replace(article, f" {a(v)}") for t in (third, first))
    statement = cap(third) + "."
    drafts = [
        Draft("", statement, p, v, [ask.format(**slots) for ask in asks]),
        Draft("", statement, p, p, [ask.format(**slots).replace(article, f" {a(v)}") for ask in turned]),
    ]
    return Said(p, third, cap(first), drafts, [])


def _scene(line: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    text, slots = line.split(" | ", 1)
    pairs = (slot.split(":", 1) for slot in slots.split(" / "))
    return text, {name.strip(): _asks(asks) for name, asks in pairs}


ALL_SCENES = [_scene(line) for line in _blocks(SCENES)[0]]
SLOTS = {
    "v": "price", "t": "transport", "r": "place", "y": "year", "l": "language", "h": "hobby", "k": "few",
    "b": "counted", "a": "animal", "x": "colour", "s": "material", "i": "dish", "m": "minutes", "o": "days",
    "z": "clock", "j": "date", "u": "trees", "e": "occasion", "w": "code", "e2": "goods", "d2": "km", "job": "job",
}  # fmt: skip
VALUES |= {
    "trees": _of("roses tulips lemon_trees apple_trees carrots onions oaks pines herbs beans lilies pumpkins".split()),
    "occasion": _of("wedding concert fair party race festival dinner ball raffle show picnic parade".split()),
}


def scene(rng: random.Random, p: str, thing: str, other: str) -> Said:
    """What somebody did, with several others or things in it."""
    text, slots = rng.choice(ALL_SCENES)
    values = {slot: VALUES[kind](rng) for slot, kind in SLOTS.items() if slot in text or slot in ("a", "job")}
    values["c"], values["d"] = rng.sample(CITIES, 2)
    values["f"], values["g"] = rng.sample(FOODS, 2)
    values |= {"p": p, "q": other, "n": thing, "n2": rng.choice([t for t in THINGS if t not in thing])}
    values |= {"an": a(values["a"]), "ajob": a(values["job"])}
    third = text.format(**values)
    statement = cap(third) + "."
    drafts = [
        Draft("", statement, p, values[slot], [ask.format(**values) for ask in asks]) for slot, asks in slots.items()
    ]
    return Said(p, third, text.replace("{p}", "I").format(**values), drafts, [])


TITLES = ["Mr", "Mrs", "Ms", "Dr", "Professor", "Captain", "Uncle", "Aunt", "Nurse", "Judge", "Sergeant", "Sister"]


def _speakers(rng: random.Random, count: int) -> list[str]:
    if rng.random() < 0.25:
        return _different(rng, _full, count)
    if rng.random() < 0.1:
        return _different(rng, lambda r: f"{r.choice(TITLES)} {r.choice(SURNAMES)}", count)
    if rng.random() < 0.12:
        roles = _different(rng, VALUES["role"], count)
        return [f"the {role}" for role in roles]
    return _different(rng, VALUES["person"], count)


def _sayings(rng: random.Random, count: int) -> list[Said]:
    names = _speakers(rng, 2 * count + 2)
    half = max(1, len(names) // 2)
    things = _different(rng, lambda r: (f"{r.choice(COLOURS)} " if r.random() < 0.35 else "") + r.choice(THINGS), count)
    kind = rng.choice(ALL_STATES) if rng.random() < 0.2 else None
    mostly = rng.choice((0.3, 0.7, 1.0))
    others = names[half:] or names
    return [
        state(rng, p, thing, kind) if kind or rng.random() > mostly else rng.choice((deed, scene))(rng, p, thing, other)
        for p, thing, other in zip(names[:half], things, others, strict=False)
    ]


TALKS = ["dialogue", "conversation", "chat", "transcript", "talk"]


def spoken(rng: random.Random, count: int) -> Doc:
    """Dialogues, chats, sentences, news, diaries: what people did or are, told by them or of them."""
    said = _sayings(rng, max(1, round(count / 2)) + 1)
    stranger = said.pop() if len(said) > 1 else None
    form = rng.randrange(14)
    lines: list[str] = []
    papers = TALKS
    more: list[Draft] = []
    if form < 7:  # they speak
        style = rng.choice(("{p}: {t}", "{p}: {t}", "{p}: {t}", "[{c}] {p}: {t}", "{p} ({c}): {t}", "{c} {p}: {t}",
            "<{p}> {t}",
                            "{p} - {t}", '{p}: "{t}"', "**{p}:** {t}", "{p} wrote: {t}",
                                '{p} says: "{t}"', "- {p}: {t}",
                            "{c} - {p}: {t}", "@{p}: {t}"))  # fmt: skip
        extra = rng.random() < 0.4
        hour, minute = rng.randrange(6, 20), rng.randrange(1, 8)
        for one in said:
            minute += rng.randrange(1, 5)
            hour, minute = hour + minute // 60, minute % 60
            clock = f"{hour}:{minute:02}"
            line = style.format(p=cap(one.who), t=one.first + rng.choice(".." + "!"), c=clock)
            if extra and rng.random() < 0.5:
                lines.append(
                    style.format(p=rng.choice(said).who, t=rng.choice(FILLERS), c=clock).replace("[the", "[The")
                )
                lines[-1] = cap(lines[-1])
            lines.append(line)
            for draft in one.drafts:
                draft.line = line
            if "{c}" in style and not extra:
                asks = [f"at what time|did {one.who} write|{one.who} wrote",
                    f"when|did {one.who} write this|{one.who} wrote this",
                        f"the time of {one.who}'s message"]  # fmt: skip
                more.append(Draft(line, cap(f"{one.who} wrote at {clock}."), one.who, clock, asks))
                asks = [f"who|wrote at {clock}", f"whose message|is from {clock}"]
                more.append(Draft(line, cap(f"{one.who} wrote at {clock}."), one.who, one.who, asks))
        if extra:
            more = []
        text = "\n".join(lines)
    elif form < 8:
        frames = (
            '"{t}," said {p}.',
            '"{t}," {p} said.',
            '{P} said: "{t}."',
            '"{t}," {p} told us.',
            '{P} writes: "{t}."',
        )
        for one in said:
            lines.append(rng.choice(frames).format(p=one.who, P=cap(one.who), t=one.first))
            for draft in one.drafts:
                draft.line = lines[-1]
        text = rng.choice((" ", "\n")).join(lines)
        papers = ["text", "story", "article", "report"]
    else:
        start = rng.choice(("", "", "", "- ", "* ", "• ", "+ "))
        for one in said:
            lines.append(start + cap(one.third) + ".")
            for draft in one.drafts:
                draft.line = lines[-1]
        joint = "\n" if start or rng.random() < 0.25 else " "
        heads = ["", "", "", "News", "News of the week", "Report", "Minutes of the meeting", "Diary", "Local news",
            "Notes",
                 "What happened"]  # fmt: skip
        head = rng.choice(heads)
        if joint == " ":
            lines = _padded(rng, lines)
        text = (f"{head}{rng.choice((':', ''))}\n" if head else "") + joint.join(lines)
        papers = ["text", "report", "note", "story", "news text", "article"]
    drafts = [draft for one in said for draft in one.drafts] + more
    unsaid = [draft for one in said for draft in one.unsaid]
    if stranger and stranger.who not in text:
        for draft in stranger.drafts:
            unsaid.append(replace(draft, asks=[ask for ask in draft.asks if stranger.who in ask]))
    return Doc(text, papers, drafts, unsaid)


# ---- tasks, steps, rules, words, logs, matches, groups, plans, letters


def tasks(rng: random.Random, count: int) -> Doc:
    """Who has to do what by when."""
    names = _different(rng, rng.choice((VALUES["person"], VALUES["person"], _full)), max(2, round(count / 2)) + 1)
    duties = _different(rng, VALUES["duty"], len(names))
    forms = ["[ ] {p}: {t} ({d})", "- {p}: {t} by {d}", "{P} will {t} by {d}.", "{P} has to {t} by {d}.",
        "{p} - {t} - {d}",
             "{T} - {p}, {d}", "{d}: {p} - {t}", "TODO({p}): {t} until {d}", "{T}: {p} (by {d})", "| {p} | {t} | {d} |",
             "* {T} ({p}, {d})", "{P} promised to {t} by {d}.", "{P} is to {t} by {d}.", "{d}, {p}: {t}",
             "[x] {t} @{p} due {d}"]  # fmt: skip
    form = rng.choice(forms)
    lines, said, unsaid = [], [], []
    for i, (p, t) in enumerate(zip(names, duties, strict=False)):
        d = rng.choice((rng.choice(DAYS), rng.choice(DAYS), _date(rng), f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"))
        line = form.format(p=p, P=cap(p), t=t, T=cap(t), d=d)
        statement = cap(f"{p} has to {t} by {d}.")
        drafts = [
            Draft(line, statement, p, p, [f"who|has to {t}", f"who|is to {t}", f"who|will {t}",
                f"whose task|is it to {t}|it is to {t}",
                  f"the person who has to {t}", f"who|must {t}"]),
            Draft(line, statement, p, t, [f"what|does {p} have to do|{p} has to do", f"what|must {p} do|{p} must do",
                  f"{p}'s task", f"the task of {p}", f"what|is {p} to do|{p} is to do",
                      f"what|should {p} do|{p} should do"]),
            Draft(line, statement, p, d, [f"by when|must {p} {t}|{p} must {t}",
                f"when|must {p} be done|{p} must be done",
                  f"the deadline of {p}", f"until when|does {p} have time to {t}|{p} has time to {t}",
                      f"{p}'s deadline",
                  f"by what day|must {p} {t}|{p} must {t}"]),
        ]  # fmt: skip
        if i == len(names) - 1:
            unsaid = drafts
        else:
            lines.append(line)
            said += drafts
    head = rng.choice(("", "To do:\n", "Tasks\n", "Action items:\n", "# To-do list\n", "Minutes:\n", "Next steps\n"))
    if "|" in form:
        head = "| who | what | until |\n|---|---|---|\n"
    joint = " " if form[-1] == "." and rng.random() < 0.5 else "\n"
    return Doc(head + joint.join(lines), ["list", "to-do list", "plan", "protocol"], said, unsaid)


PROCESS = """
fill the {o} with {l}; press the {c} button; close the {o}; open the {o}; turn the {o} to the {side}; wait for {m};
    wash the {o}; cut the {f} into pieces; mix the {f} with the {g}; put the {o} on the {o2}; switch off the {e};
    switch on the {e}; enter the code {n}; sign the {d}; print the {d}; send the {d} to {p}; heat the {l} to {t}°C;
    remove the {c} cover; tighten the {s}; loosen the {s}; pour the {l} into the {o}; dry the {o} with a cloth;
    pull the {c} lever; push the {o} to the {side}; count the {s}; scan the {d}; hang the {o} on the wall; call {p};
    restart the {e}; unplug the {e}; plug in the {e}; save the {d}; fold the {d}; stir for {m}; rest for {m};
    choose {l} from the menu; cover the {o} with foil; place the {f} in the {o}; peel the {f}; click on {C}; type {n}
""".strip().replace("\n    ", " ").split("; ")  # fmt: skip


def _step(rng: random.Random) -> str:
    o, o2 = rng.sample("pot bowl box jar pan bucket tray lid drawer basket bottle cup tank case frame".split(), 2)
    f, g = rng.sample(FOODS, 2)
    return rng.choice(PROCESS).strip().format(
        o=o, o2=o2, f=f, g=g, l=rng.choice("water milk oil tea soap juice paint sand".split()), c=rng.choice(COLOURS),
        C=cap(rng.choice("start stop save next accept send print settings".split())), side=rng.choice(("left",
            "right")),
        m=f"{rng.randrange(2, 60)} {rng.choice(('minutes', 'seconds'))}", e=rng.choice(
            "printer oven pump radio heater fan motor lamp router washer".split()),
        n=_code(rng), d=rng.choice("form letter report ticket contract list map photo".split()),
        p=rng.choice(GIRLS + BOYS), t=rng.randrange(30, 99),
            s=rng.choice("screws bolts nails clips tiles nuts".split()),
    )  # fmt: skip


def steps(rng: random.Random, count: int) -> Doc:
    """Instructions, a step after the other."""
    things = _different(rng, _step, min(9, max(3, count // 2 + 1)))
    form = rng.randrange(9)
    spelled = form >= 7
    if spelled:
        words = ["First, ", *(rng.choice(("Then ", "Next, ", "After that, ", "Now ")) for _ in things[2:]), "Finally, "]
        lines = [f"{w}{t}." for w, t in zip(words, things, strict=False)]
    else:
        mark = ("Step {i}: {T}.", "{i}. {T}", "{i}) {T}.", "Step {i} - {t}", "({i}) {T}.", "{i}: {t}", "STEP {i}: {T}")[
            form
        ]
        lines = [mark.format(i=i, t=t, T=cap(t)) for i, t in enumerate(things, 1)]
    head = rng.choice(
        ("", "", "Instructions\n", "How to do it:\n", "Manual\n", "Do this:\n", f"How to use the {_of(THINGS)(rng)}\n")
    )
    text = head + (" " if spelled else rng.choice(("\n", "\n", "\n", " ")) if "." in lines[0][3:] else "\n").join(lines)
    said: list[Draft] = []
    last = len(things)
    for i, (t, line) in enumerate(zip(things, lines, strict=True), 1):
        nth = ORDINALS[i - 1]
        statement = f"Step {i} is to {t}."
        asks = [f"the {nth} step", f"what|is the {nth} step|the {nth} step is",
            f"what|must I do in step {i}|I must do in step {i}",
                f"what|is step {i}|step {i} is", f"step {i}", f"step number {i}",
                f"what|do I do in the {nth} step|I do in the {nth} step"]  # fmt: skip
        if i == 1:
            asks += ["what|do I do first|I do first", "what|must I do first|I must do first", "the first thing to do"]
        if i == last:
            asks += ["what|do I do last|I do last", "the last step", "what|is the last step|the last step is"]
        if i > 1:
            asks += [f"what|comes after step {i - 1}", f"what|do I do after step {i - 1}|I do after step {i - 1}"]
        if i < last:
            asks.append(f"what|comes before step {i + 1}")
        said.append(Draft(line, statement, f"step {i}", t, asks))
        asks = [f"in which step|do I {t}|I {t}", f"which step|is to {t}", f"the number of the step to {t}"]
        said.append(Draft(line, statement, t, f"Step {i}", asks))
        if t.startswith(("wait for ", "stir for ", "rest for ")):
            verb, _, time = t.split(" ", 2)
            said.append(
                Draft(
                    line,
                    statement,
                    f"step {i}",
                    time,
                    [f"how long|do I {verb}|I {verb}", f"how long|must I {verb}|I must {verb}"],
                )
            )
    for (t, line), (after, next_line) in pairwise(zip(things, lines, strict=True)):
        asks = [f"what|do I do after I {t}|I do after I {t}", f"what|comes after this: {t}"]
        said.append(Draft(next_line, f"After that, you {after}.", after, after, asks[:1]))
        asks = [f"what|do I do before I {after}|I do before I {after}"]
        said.append(Draft(line, f"Before that, you {t}.", t, t, asks))
    k = last + 1
    gone = [
        f"the {ORDINALS[k - 1]} step",
        f"what|is step {k}|step {k} is",
        f"what|do I do in step {k}|I do in step {k}",
    ]
    missing = next(t for t in iter(lambda: _step(rng), None) if t not in things)
    unsaid = [Draft("", "", "", "", gone), Draft("", "", "", "", [f"in which step|do I {missing}|I {missing}"])]
    return Doc(text, ["instruction sheet", "manual", "list", "guide"], said, unsaid)


WHO_MAY = """dogs children visitors guests students bicycles cars cats phones drinks cameras members bags
    skateboards balls tourists scooters""".split()
MAY_BE = ["garden", "pool", "library", "hall", "museum", "kitchen", "park", "lift", "reading room", "sauna", "gym",
    "church",
          "station", "playground", "lab", "theatre", "cellar", "office"]  # fmt: skip
DOING = (
    "smoking swimming fishing cooking parking eating drinking shouting running climbing singing camping diving".split()
)
EDGES = [("opens", "closes", "open", "close"), ("starts", "ends", "start", "end"), ("begins", "stops", "begin", "stop")]


def rules(rng: random.Random, count: int) -> Doc:
    """Notices, signs, opening hours and house rules."""
    places = _different(rng, _of(MAY_BE), max(2, count // 2) + 2)
    said, lines, unsaid = [], [], []
    for i, place in enumerate(places):
        form = rng.randrange(7)
        drafts: list[Draft] = []
        if form < 2:
            who = rng.choice(WHO_MAY)
            yes = rng.random() < 0.45
            statement = f"{cap(who)} are {'' if yes else 'not '}allowed in the {place}."
            line = statement
            if rng.random() < 0.5:
                line = rng.choice((f"{cap(place)}: {who} {'allowed' if yes else 'not allowed'}",
                    f"{cap(who)} {'may' if yes else 'must not'} "
                                   f"be in the {place}.", f"{'' if yes else 'No '}{who if not yes else cap(who)} "
                                   f"{'welcome ' if yes else ''}in the {place}{'!' if yes else '.'}"))  # fmt: skip
            drafts.append(Draft(line, statement, place, statement.split(" in ")[0].lower().removeprefix(f"{who} "), [
                f"?|are {who} allowed in the {place}|{who} are allowed in the {place}",
                f"?|can {who} be in the {place}|{who} can be in the {place}",
                f"?|may {who} be in the {place}|{who} may be in the {place}"]))  # fmt: skip
            if yes:
                drafts.append(Draft(line, statement, place, who, [f"who or what|is allowed in the {place}"]))
                drafts[-1].asks.append(f"where|are {who} allowed|{who} are allowed")
                drafts[-1] = replace(drafts[-1], asks=drafts[-1].asks[:1])
            else:
                drafts.append(Draft(line, statement, place, who, [f"who or what|is not allowed in the {place}",
                              f"what|must not be in the {place}"]))  # fmt: skip
                drafts.append(
                    Draft(line, statement, place, place, [f"where|are {who} not allowed|{who} are not allowed"])
                )
        elif form < 4:
            doing, yes = rng.choice(DOING), rng.random() < 0.35
            word = "allowed" if yes else rng.choice(("forbidden", "not allowed"))
            statement = f"{cap(doing)} is {word} in the {place}."
            line = rng.choice((statement, statement, f"{cap(place)}: {doing} {word}"))
            if not yes:
                line = rng.choice((line, line, f"No {doing} in the {place}!"))
                word = "forbidden" if word not in line else word
                statement = f"{cap(doing)} is {word} in the {place}."
            drafts.append(Draft(line, statement, place, f"is {word}", [
                f"?|is {doing} allowed in the {place}|{doing} is allowed in the {place}",
                f"?|is it forbidden to be {doing} in the {place}|{doing} is forbidden in the {place}",
                f"?|is {doing} in the {place} allowed|{doing} in the {place} is allowed"]))  # fmt: skip
            which = "allowed" if yes else "forbidden"
            drafts.append(Draft(line, statement, place, cap(doing), [f"what|is {which} in the {place}"]))
            drafts.append(Draft(line, statement, doing, place, [f"where|is {doing} {which}|{doing} is {which}"]))
        elif form == 4:
            first, second, one, two = rng.choice(EDGES[:1])
            v, w = (
                f"{rng.randrange(6, 12)}:{rng.choice(('00', '30', '15'))}",
                f"{rng.randrange(13, 23)}:{rng.choice(('00', '30', '45'))}",
            )
            line = rng.choice((f"The {place} {first} at {v} and {second} at {w}.",
                f"{cap(place)}: open from {v} to {w}",
                               f"Opening hours of the {place}: {v} - {w}", f"{cap(place)} {v}-{w}",
                               f"The {place} is open from {v} until {w}."))  # fmt: skip
            drafts.append(Draft(line, f"The {place} {first} at {v}.", place, v, [
                f"when|does the {place} {one}|the {place} {first}",
                    f"at what time|does the {place} {one}|the {place} {first}",
                f"from when|is the {place} open|the {place} is open", f"the opening time of the {place}"]))  # fmt: skip
            drafts.append(Draft(line, f"The {place} {second} at {w}.", place, w, [
                f"when|does the {place} {two}|the {place} {second}",
                    f"at what time|does the {place} {two}|the {place} {second}",
                f"until when|is the {place} open|the {place} is open", f"the closing time of the {place}",
                f"how long|does the {place} stay open|the {place} stays open"][:4]))  # fmt: skip
        elif form == 5:
            day = rng.choice(DAYS)
            line = rng.choice((f"The {place} is closed on {day}.", f"{cap(place)} closed on {day}s",
                f"Closed on {day}: {place}",
                               f"On {day} the {place} stays closed."))  # fmt: skip
            drafts.append(Draft(line, f"The {place} is closed on {day}.", place, day, [
                f"when|is the {place} closed|the {place} is closed",
                    f"on which day|is the {place} closed|the {place} is closed",
                f"which day|is the {place} closed|the {place} is closed"]))  # fmt: skip
            drafts.append(Draft(line, f"The {place} is closed on {day}.", place, "closed", [
                f"?|is the {place} open on {day}|the {place} is open on {day}",
                f"?|can I go to the {place} on {day}|I can go to the {place} on {day}"]))  # fmt: skip
            drafts.append(Draft(line, f"The {place} is closed on {day}.", day, place, [f"what|is closed on {day}"]))
        else:
            v, m = _price(rng), rng.randrange(2, 90)
            if rng.random() < 0.5:
                line = rng.choice(
                    (f"Entry to the {place} costs {v}.", f"{cap(place)}: entry {v}", f"{cap(place)} - admission {v}")
                )
                drafts.append(Draft(line, f"Entry to the {place} costs {v}.", place, v, [
                    f"how much|does entry to the {place} cost|entry to the {place} costs",
                        f"the price of entry to the {place}",
                    f"how much|must I pay for the {place}|I must pay for the {place}",
                    f"what|does the {place} cost|the {place} costs"]))  # fmt: skip
            else:
                line = rng.choice((f"At most {m} people may be in the {place}.", f"{cap(place)}: maximum {m} people"))
                drafts.append(Draft(line, f"At most {m} people may be in the {place}.", place, str(m), [
                    f"how many people|may be in the {place}", f"the largest number of people in the {place}",
                    f"how many people|can the {place} hold|the {place} can hold"]))  # fmt: skip
        if i >= len(places) - 2:
            unsaid += drafts
        else:
            start = ""
            lines.append(start + line)
            said += drafts
    head = rng.choice(("", "", "House rules\n", "NOTICE\n", "Notice:\n", "Please note:\n", "Rules\n", "Information\n"))
    joint = rng.choice(("\n", "\n", "\n- ", " ")) if all(x[-1] in ".!" for x in lines) else "\n"
    text = head + ("- " if joint == "\n- " else "") + joint.join(lines)
    return Doc(text, ["notice", "sign", "list of rules", "list", "information"], said, unsaid)


GENUS = """cup tool bird cake hat dance game fish boat coat drum plant stone house song bread spoon lamp bridge
    insect room knife bag drink dog tree cloth feast coin path tower shoe""".split()
PURPOSES = ["for soup", "for the winter", "that is used by sailors", "that glows at night", "made of glass",
    "from the north",
            "with three legs", "that lives in caves", "for two people", "without a handle", "for children",
                "made of clay",
            "that smells of lemon", "with a long tail", "for cutting cheese", "that only kings had", "with blue spots",
            "that is eaten at weddings", "for rainy days", "that floats", "made of old paper", "with a silver bell",
            "for carrying water", "that is seen in autumn", "as heavy as a horse", "for market days"]  # fmt: skip


def meanings(rng: random.Random, count: int) -> Doc:
    """A dictionary of words that nobody has."""
    words = _different(rng, VALUES["word"], max(2, round(count / 2)) + 1)
    adjectives = [*ADJECTIVES, *COLOURS, "round", "flat", "large", "heavy"]
    senses = _different(rng, lambda r: f"{r.choice(adjectives)} {r.choice(GENUS)} {r.choice(PURPOSES)}", len(words))
    form = rng.choice(("{A} is {s}.", "{A} is {s}.", "{w} (noun): {s}", "{w} - {s}", "{W}: {s}", "{w} = {s}",
        "{w}, n.: {s}",
                       'The word "{w}" means {s}.', "**{w}**: {s}", "- {w}: {s}", "| {w} | {s} |", "{A}: {s}.",
                       "We call {s} {x}.", "{W}. {S}."))  # fmt: skip
    lines, said, unsaid = [], [], []
    for i, (w, s) in enumerate(zip(words, senses, strict=False)):
        sense = a(s)
        line = form.format(A=cap(a(w)), w=w, W=cap(w), s=sense, S=cap(sense), x=a(w))
        statement = f"{cap(a(w))} is {sense}."
        drafts = [
            Draft(line, statement, w, s, [f"what|is {a(w)}|{a(w)} is",
                f'what|does "{w}" mean|"{w}" means', f"the meaning of {w}",
                  f"what|does {w} mean|{w} means", f'the meaning of the word "{w}"', f"the definition of {w}",
                  f"what|does the word {w} mean|the word {w} means", f"what kind of thing|is {a(w)}|{a(w)} is"]),
            Draft(line, statement, s, w, [f"which word|means {sense}", f"what|do you call {sense}|you call {sense}",
                f"the word for {sense}",
                  f"what|is {sense} called|{sense} is called", f"which word|stands for {sense}"]),
        ]  # fmt: skip
        if i == len(words) - 1:
            unsaid = drafts
        else:
            lines.append(line)
            said += drafts
    joint = "\n" if rng.random() < 0.7 or form[0] in "|-" else " " if form[-1] == "." else "; "
    return Doc(joint.join(lines), ["dictionary", "glossary", "word list", "list"], said, unsaid)


SERVICES = "mail web database backup login printer network payment search camera sensor door update cache".split()
LOGGED = """disk full; user logged in; file deleted; backup finished; connection lost; service started; service
    stopped; wrong password; new device found; update failed; update installed; battery low; queue is empty; page
    not found; message sent; door opened; door closed; cache cleared; too many requests; key expired; job
    cancelled; sensor silent; export done; no answer; memory low; link is up; card refused; report written""".replace(
    "\n    ", " "
).split("; ")


def logs(rng: random.Random, count: int) -> Doc:
    """Lines of a log."""
    size = max(2, round(count / 2)) + 1
    events = _different(rng, _of(LOGGED), size)
    services = _different(rng, _of(SERVICES), size)
    day = (
        f"2{rng.randrange(20, 32):03}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} "
        if rng.random() < 0.4
        else ""
    )
    form = rng.choice(("{d}{t} {L} {s}: {m}", "[{d}{t}] {L} {m} ({s})", "{d}{t} [{s}] {L}: {m}", "{L} {d}{t} {s} - {m}",
                       "{d}{t} | {L} | {s} | {m}", "time={d}{t} level={l} service={s} msg=\"{m}\"",
                           "{d}{t} {s} {l} {m}"))  # fmt: skip
    seconds = rng.randrange(3600, 70000)
    lines, said, unsaid = [], [], []
    for i, (m, s) in enumerate(zip(events, services, strict=False)):
        seconds += rng.randrange(1, 2000)
        t = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        level = rng.choice(("INFO", "WARNING", "ERROR", "DEBUG"))
        line = form.format(d=day, t=t, L=level, l=level.lower(), s=s, m=m)
        shown = level if level in line else level.lower()
        statement = f'At {t} the {s} service noted "{m}" as {shown}.'
        drafts = [
            Draft(line, statement, s, t, [f'when|was "{m}" logged|"{m}" was logged', f'the time of "{m}"',
                  f'at what time|did "{m}" happen|"{m}" happened',
                  f"the time of the {s} line", f"when|did the {s} service write|the {s} service wrote"]),
            Draft(line, statement, s, m, [f"what|happened at {t}", f"the message at {t}",
                f"the message of the {s} service", f"what|did the {s} service log|the {s} service logged",
                  f"which message|was logged at {t}", f"the only {level.lower()} message",
                      f"which message|has the level {level}"]),
            Draft(line, statement, s, shown, [f'the level of "{m}"', f'which level|does "{m}" have|"{m}" has',
                  f"the level of the line at {t}",
                  f"with which level|did the {s} service write|the {s} service wrote"]),
            Draft(line, statement, s, s, [f'which service|logged "{m}"', f'which service|wrote "{m}"',
                  f"which service|wrote at {t}",
                  f"the service that wrote at {t}", f'where|does "{m}" come from|"{m}" comes from']),
        ]  # fmt: skip
        if i == size - 1:
            unsaid = [
                replace(draft, asks=[ask for ask in draft.asks if level.lower() not in ask.lower()]) for draft in drafts
            ]
        else:
            lines.append(line)
            said += drafts
    return Doc("\n".join(lines), ["log", "log", "log file", "output"], said, unsaid)


ROUNDS = ["the final", "the first semi-final", "the second semi-final", "the match for third place",
    "the opening match",
          "the quarter-final", "match 2", "match 3", "match 4", "match 5", "round 1", "round 2", "round 3",
              "round 4"]  # fmt: skip


def matches(rng: random.Random, count: int) -> Doc:
    """The results of a tournament."""
    size = max(1, round(count / 3)) + 1
    rounds = _different(rng, _of(ROUNDS), min(size, 8))
    sides = _different(rng, rng.choice((VALUES["person"], VALUES["town"], VALUES["team"], _full)), 2 * len(rounds))
    form = rng.choice(("{W}: {a} - {b} {x}:{y}", "{W}: {a} beat {b} {x}:{y}", "In {w} {a} beat {b} {x}-{y}.",
        "{W} | {a} | {b} | {x}:{y}",
                       "{a} won {w} against {b} {x}:{y}.", "{W}: {a} {x}, {b} {y}",
                           "{a} defeated {b} by {x} to {y} in {w}."))  # fmt: skip
    lines, said, unsaid = [], [], []
    for i, (w, p, q) in enumerate(zip(rounds, sides[::2], sides[1::2], strict=False)):
        y = rng.randrange(6)
        x = y + rng.randrange(1, 6)
        mark = rng.choice((":", "-"))
        line = form.format(w=w, W=cap(w.removeprefix("the ")), a=p, b=q, x=x, y=y)
        score = f"{x} to {y}" if " to " in line else f"{x}-{y}" if f"{x}-{y}" in line else f"{x}:{y}"
        statement = f"{p} beat {q} {score} in {w}."
        drafts = [
            Draft(line, statement, w, p, [f"who|won {w}", f"the winner of {w}", f"who|beat {q}",
                f"who|won against {q}", f"by whom|was {q} beaten|{q} was beaten"]),
            Draft(line, statement, w, q, [f"who|lost {w}", f"the loser of {w}", f"whom|did {p} beat|{p} beat",
                f"who|lost to {p}", f"against whom|did {p} win|{p} won"]),
            Draft(line, statement, w, score, [f"the score of {w}", f"how|did {w} end|{w} ended",
                f"the result of {w}", f"what|was the score in {w}|the score in {w} was",
                  f"how|did {p} and {q} play|{p} and {q} played", f"the score between {p} and {q}"]),
            Draft(line, statement, p, w, [f"which match|did {p} win|{p} won", f"which match|did {q} lose|{q} lost",
                f"in which match|did {p} meet {q}|{p} met {q}"]),
        ]  # fmt: skip
        del mark
        if i == len(rounds) - 1:
            unsaid = drafts
        else:
            lines.append(line)
            said += drafts
    head = rng.choice(("", "Results\n", "Tournament results:\n", "Chess cup\n", "Scores:\n", "Sports news\n"))
    return Doc(head + "\n".join(lines), ["result list", "report", "list", "sports page"], said, unsaid)


MEMBERS: list[tuple[Callable[[random.Random], str], Callable[[random.Random], str], str, str, str]] = [
    (lambda r: f"the {r.choice(COLOURS)} team", VALUES["person"], "in", "who", "which team"),
    (lambda r: f"group {r.choice('ABCDEFGH')}", VALUES["person"], "in", "who", "which group"),
    (lambda r: f"table {r.randrange(1, 20)}", VALUES["person"], "at", "who", "which table"),
    (lambda r: f"the {r.choice(ROOMS)}", _of(THINGS), "in", "what", "which room"),
    (lambda r: f"{r.choice(('box', 'bag', 'drawer', 'chest', 'crate'))} {r.choice('ABCDEFGH')}", _of(OBJECTS), "in",
        "what",
     "which box or bag"),
    (lambda r: f"the {r.choice(COLOURS)} {r.choice(('box', 'bag', 'basket', 'bucket', 'drawer'))}", _of(THINGS),
        "in", "what",
     "what"),
    (lambda r: f"bus {r.randrange(1, 80)}", VALUES["person"], "on", "who", "which bus"),
    (lambda r: f"cabin {r.randrange(1, 30)}", VALUES["person"], "in", "who", "which cabin"),
    (lambda r: f"the {r.choice(SUBJECTS)} club", VALUES["person"], "in", "who", "which club"),
    (lambda r: f"shelf {r.choice('ABCDEFGH')}{r.randrange(1, 9)}", _of(OBJECTS), "on", "what", "which shelf"),
]  # fmt: skip


def groups(rng: random.Random, count: int) -> Doc:
    """What or who belongs where, several together."""
    make, member, preposition, who, which = rng.choice(MEMBERS)
    names = _different(rng, make, max(2, round(count / 3)) + 1)
    sizes = [rng.choice((1, 2, 2, 3, 3, 4)) for _ in names]
    all_of = _different(rng, member, sum(sizes))
    things = who == "what"
    form = rng.choice(("{G}: {m}", "{G}: {m}", "{G} - {m}", "{P} {g} {are} {s}.", "{S} {are} {p} {g}.", "- {G}: {m}",
        "{G} = {m}",
                       "{G} ({m})", "**{G}**: {m}"))  # fmt: skip
    lines, said, unsaid = [], [], []
    for i, (g, size) in enumerate(zip(names, sizes, strict=True)):
        mine, all_of = all_of[:size], all_of[size:]
        if not mine:
            break
        whole = series([f"the {m}" if things else m for m in mine])
        are = "are" if len(mine) > 1 or mine[0].endswith("keys") else "is"
        line = form.format(G=cap(g.removeprefix("the ")), g=g, m=", ".join(mine), s=whole, S=cap(whole),
            P=cap(preposition), p=preposition,
                           are=are)  # fmt: skip
        statement = cap(f"{whole} {are} {preposition} {g}.")
        asks = [f"{who}|is {preposition} {g}", f"{who}|is {preposition} {g}"]
        asks += [f"the things {preposition} {g}",
            f"what|can I find {preposition} {g}|I can find {preposition} {g}"] if things else [
            f"the people {preposition} {g}", f"the names of those {preposition} {g}",
                f"who|belongs to {g}"]  # fmt: skip
        drafts = [Draft(line, statement, g, whole, asks)]
        for m in mine:
            n = f"the {m}" if things else m
            be = "are" if m.endswith("keys") else "is"
            asks = [
                f"{preposition} {which}|{be} {n}|{n} {be}",
                f"{'in what' if which == 'what' else which}|{be} {n} {preposition}|{n} {be} {preposition}",
            ]
            if which == "what":
                asks = asks[:1]
            asks += [f"where|{be} {n}|{n} {be}"] * 2
            drafts.append(Draft(line, cap(f"{n} {be} {preposition} {g}."), n, g.removeprefix("the "), asks))
        if i == len(names) - 1:
            unsaid = drafts[1:] if len(lines) else []
        else:
            lines.append(line)
            said += drafts
    return Doc(
        "\n".join(lines) if form[-1] != "." or rng.random() < 0.4 else " ".join(lines),
        ["list", "list", "plan", "note"],
        said,
        unsaid,
    )


def plans(rng: random.Random, count: int) -> Doc:
    """What is when: days across, hours or rooms down."""
    days = rng.sample(DAYS, rng.randrange(2, 6))
    days.sort(key=DAYS.index)
    height = max(2, min(4, round(count / len(days))))
    by_room = rng.random() < 0.25
    if by_room:
        rows = [f"room {n}" for n in rng.sample(range(2, 60), height)]
    else:
        rows = [f"{h}:{rng.choice(('00', '00', '30', '15'))}" for h in sorted(rng.sample(range(7, 20), height))]
    kind = rng.choice(("lesson", "full", "dish", "activity"))
    make: Callable[[random.Random], str] = VALUES[kind]
    if kind == "activity":
        make = lambda r: r.choice(ACTIVITIES).removeprefix("the ")  # noqa: E731
    at = "in" if by_room else "at"
    cells = [[make(rng) for _ in days] for _ in rows]
    form = rng.randrange(4)
    label = "Room" if by_room else "Time"
    if form == 0:
        lines = [f"| {r} | {' | '.join(row)} |" for r, row in zip(rows, cells, strict=True)]
        text = "\n".join([f"| {label} | {' | '.join(days)} |", "|" + "---|" * (len(days) + 1), *lines])
    elif form == 1:
        lines = [",".join([r, *row]) for r, row in zip(rows, cells, strict=True)]
        text = "\n".join([",".join([label, *days]), *lines])
    else:
        inner, joint = rng.choice(((", ", ": "), ("; ", " - "), (" / ", ": ")))
        by_day = [
            f"{day}{joint}{inner.join(f'{r} {row[i]}' for r, row in zip(rows, cells, strict=True))}"
            for i, day in enumerate(days)
        ]
        text = "\n".join(by_day)
    said = []
    for r, row in zip(rows, cells, strict=True):
        for i, (day, v) in enumerate(zip(days, row, strict=True)):
            line = lines[rows.index(r)] if form < 2 else by_day[i]
            statement = f"On {day} {at} {r} there is {v}."
            who = "who" if kind == "full" else "what"
            asks = [f"{who}|is there on {day} {at} {r}", f"{who}|is on {day} {at} {r}",
                f"{who}|comes {at} {r} on {day}",
                    f"{who}|stands {at} {r} on {day}", f"the entry for {day} {at} {r}"]  # fmt: skip
            if kind == "lesson":
                asks += [f"which lesson|is on {day} {at} {r}",
                    f"what|do we have on {day} {at} {r}|we have on {day} {at} {r}",
                         f"the lesson on {day} {at} {r}"]  # fmt: skip
            said.append(Draft(line, statement, day, v, asks))
            if kind == "full":
                said.append(Draft(line, statement, v, day, [f"on which day|does {v} come|{v} comes", f"the day of {v}",
                                  f"on which day|is {v} there|{v} is there"]))  # fmt: skip
                row = label.lower()
                said.append(
                    Draft(line, statement, v, r, [f"{at} which {row}|is {v} there|{v} is there", f"the {row} of {v}"])
                )
                continue
            said.append(
                Draft(
                    line, statement, v, day, [f"on which day|is {v}|{v} is", f"when|is {v}|{v} is", f"the day of {v}"]
                )
            )
            said.append(Draft(line, statement, v, r, [f"in which room|is {v}|{v} is"] if by_room else [
                f"at what time|is {v}|{v} is", f"when|is {v} on {day}|{v} is on {day}",
                    f"the time of {v}"]))  # fmt: skip
    gone = next((day for day in rng.sample(DAYS, 7) if day not in days), None)
    unsaid = [Draft("", "", "", "", [f"what|is on {gone} {at} {rows[0]}"])] if gone else []
    other = make(rng)
    if not any(other in row for row in cells):
        unsaid.append(Draft("", "", "", "", [f"on which day|is {other}|{other} is", f"when|is {other}|{other} is"]))
    return Doc(text, ["schedule", "plan", "timetable", "table"], said, unsaid)


TOPICS = """meeting party lesson dinner concert trip visit interview workshop rehearsal picnic lunch exam delivery
    appointment match ceremony inspection training""".split()
BRINGS = """a red folder; two chairs; the guitar; a warm coat; your passport; some cake; a pen and paper; the
    keys; a torch; a sleeping bag; the invoice; old clothes; three lemons; a laptop; the map; your ticket; a
    bottle of water; the contract; swimming things; a small gift""".replace("\n    ", " ").split("; ")  # fmt: skip

MEETING_SPOTS = [spot for spot in SPOTS if spot.startswith(("in", "at", "near"))]
EXCUSES = """the phone was broken; the train was late; the computer did not work; there was no network; the office was
    closed; the address was wrong; the post was slow; the first letter got lost; the line was busy; the lights went out;
    nobody had the address; the pen was empty""".replace("\n    ", " ").split("; ")


def letters(rng: random.Random, count: int) -> Doc:
    """E-mails and short messages: about something that takes place."""
    sender, to, third = _different(rng, VALUES["person"], 3) if rng.random() < 0.6 else _different(rng, _full, 3)
    topic = rng.choice(TOPICS)
    t = f"the {topic}"
    when, at, place, bring = f"{rng.choice(DAYS)}", _clock(rng), rng.choice(MEETING_SPOTS), rng.choice(BRINGS)
    phone, price, m, cause = VALUES["phone"](rng), _price(rng), str(rng.randrange(3, 60)), rng.choice(EXCUSES)
    parts: list[tuple[list[str], str, str, list[str]]] = [
        ([f"{cap(t)} is on {when}.", f"We moved {t} to {when}.", f"{cap(t)} takes place on {when}.",
            f"{cap(t)} will be on {when}."],
         f"{cap(t)} is on {when}.", when, [f"on which day|is {t}|{t} is", f"the day of {t}",
             f"what day|is {t}|{t} is", f"on which day|does {t} take place|{t} takes place"]),
        ([f"It starts at {at}.", f"We start at {at}.", f"Be there at {at}.", f"{cap(t)} begins at {at}."],
         f"{cap(t)} starts at {at}.", at, [f"at what time|does {t} start|{t} starts",
             f"what time|does {t} begin|{t} begins", f"the time of {t}",
                                           f"the starting time of {t}", f"at what hour|is {t}|{t} is"]),
        ([f"We meet {place}.", f"We will meet {place}.", f"It takes place {place}.", f"{cap(t)} is {place}.",
            f"Come to us {place}."],
         f"{cap(t)} is {place}.", place, [f"where|is {t}|{t} is", f"where|does {t} take place|{t} takes place",
             f"the place of {t}", f"in what place|is {t}|{t} is"]),
        ([f"Please bring {bring}.", f"Don't forget {bring}.", f"You need {bring}.", f"Could you bring {bring}?"],
         f"{to} must bring {bring}.", bring, [f"what|must {to} bring|{to} must bring",
             "what|should be brought|should be brought",
                                              f"what|should {to} bring|{to} should bring",
                                                  f"what|does {to} have to bring|{to} has to bring"]),
        ([f"Call me at {phone}.", f"My number is {phone}.", f"You can reach me at {phone}."],
         f"The phone number of {sender} is {phone}.", phone, [f"the phone number of {sender}", f"{sender}'s number",
             f"how|can {to} call {sender}|{to} can call {sender}",
                                                              f"on which number|is {sender}|{sender} is"]),
        ([f"It costs {price}.", f"The price is {price}.", f"We pay {price}."],
         f"{cap(t)} costs {price}.", price, [f"how much|does {t} cost|{t} costs", f"the price of {t}",
             "what|does it cost|it costs", "how much|is it|it is"]),
        ([f"It takes {m} minutes.", f"It lasts {m} minutes.", f"We need {m} minutes."],
         f"{cap(t)} takes {m} minutes.", f"{m} minutes", [f"how long|does {t} take|{t} takes",
             f"how long|does {t} last|{t} lasts", f"how many minutes|does {t} take|{t} takes",
                                                          f"the length of {t}"]),
        ([f"{third} comes too.", f"{third} will come with me.", f"{third} will join us."],
         f"{third} comes to {t} too.", third, ["who|comes too", f"who else|comes to {t}", f"who|joins {sender}",
             f"who|comes to {t} too"]),
        ([f"I could not write earlier because {cause}.", f"Sorry for the late answer: {cause}."],
         f"{sender} wrote late because {cause}.", cause, [f"why|did {sender} write late|{sender} wrote late",
                                                          f"the reason why {sender} wrote late"]),
    ]  # fmt: skip
    chosen = rng.sample(range(len(parts)), min(len(parts), max(2, count - 1)))
    if rng.random() < 0.7:
        chosen.sort()
    if 0 in chosen:
        chosen.remove(0)
        chosen.insert(0, 0)
    if 1 not in chosen:
        parts[0][3].extend([f"when|is {t}|{t} is", f"when|does {t} take place|{t} takes place"])
    said: list[Draft] = []
    body: list[str] = []
    for k in chosen:
        lines, statement, value, asks = parts[k]
        body.append(rng.choice(lines))
        if not said and topic not in body[-1]:
            body[-1] = f"{rng.choice(('About', 'This is about', 'Regarding'))} {t}: {body[-1]}"
        said.append(Draft(body[-1], statement, t, value, asks))
    unsaid = [Draft("", "", t, value, asks) for k, (_, _, value, asks) in enumerate(parts) if k not in chosen]
    joined = rng.choice((" ", " ", "\n")).join(body)
    form = rng.randrange(5)
    hello = rng.choice(("Hi {t},", "Hello {t},", "Dear {t},", "Hey {t}!", "{t},", "Good morning {t},")).format(t=to)
    bye = rng.choice(
        (
            "Best, {s}",
            "Best wishes,\n{s}",
            "See you, {s}",
            "Yours,\n{s}",
            "Thanks!\n{s}",
            "{s}",
            "Love, {s}",
            "Bye, {s}",
            "- {s}",
        )
    )
    bye = bye.format(s=sender)
    subject = cap(
        rng.choice(
            (topic, f"our {topic}", f"{topic} on {when}" if 0 in chosen else topic, "news", "a question", "plans")
        )
    )
    papers = ["e-mail", "message", "letter", "mail", "note"]
    first = bye.split("\n")[-1]
    wrote = [
        "who|wrote the {d}",
        "the writer of the {d}",
        "the sender",
        "who|sent the {d}",
        "from whom|is the {d}|the {d} is",
    ]
    goes = [
        "to whom|is the {d}|the {d} is",
        "for whom|is the {d}|the {d} is",
        "who|gets the {d}",
        f"to whom|does {sender} write|{sender} writes",
    ]
    if form == 0:
        d, date = "e-mail", _date(rng)
        heads = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"] + (
            [f"Date: {date}"] if rng.random() < 0.5 else []
        )
        text = "\n".join(heads) + f"\n\n{joined}" + (f"\n\n{bye}" if rng.random() < 0.5 else "")
        said.append(Draft(heads[0], f"The e-mail is from {sender}.", sender, sender, [x.format(d=d) for x in wrote]))
        said.append(Draft(heads[1], f"The e-mail is to {to}.", to, to, [x.format(d=d) for x in goes]))
        said.append(Draft(heads[2], f"The subject of the e-mail is: {subject}.", "subject", subject, [
            "the subject of the e-mail", "what|is the e-mail about|the e-mail is about", "the subject line",
                "the subject"]))  # fmt: skip
        dated = [
            "when|was the e-mail sent|the e-mail was sent",
            "the date of the e-mail",
            "when|was the e-mail written|the e-mail was written",
        ]
        if len(heads) > 3:
            said.append(Draft(heads[3], f"The e-mail was sent on {date}.", "date", date, dated))
        else:
            unsaid.append(Draft("", "", "", "", dated))
        papers = ["e-mail", "mail"]
    elif form < 4:
        d = rng.choice(("message", "letter", "e-mail"))
        gap = rng.choice(("\n\n", "\n", " "))
        text = f"{hello}{gap}{joined}{gap}{bye}"
        said.append(Draft(first, f"The {d} is from {sender}.", sender, sender, [x.format(d=d) for x in wrote]))
        said.append(Draft(hello, f"The {d} is to {to}.", to, to, [x.format(d=d) for x in goes]))
        papers = [d, d, "text"]
    else:
        line = rng.choice(
            (
                f"Message from {sender} to {to}:",
                f"{sender} to {to}:",
                f"{sender} wrote to {to}:",
                f"SMS from {sender} to {to}",
            )
        )
        text = f"{line}\n{joined}"
        said.append(
            Draft(line, f"The message is from {sender}.", sender, sender, [x.format(d="message") for x in wrote])
        )
        said.append(Draft(line, f"The message is to {to}.", to, to, [x.format(d="message") for x in goes]))
        papers = ["message", "text"]
    return Doc(text, papers, said, unsaid)


MAKERS: list[tuple[Callable[[random.Random, int], Doc], int]] = [
    (sheet, 5), (grid, 5), (pairs, 5), (spoken, 6), (tasks, 1), (steps, 1), (rules, 2), (meanings, 1), (logs, 1),
        (matches, 1),
    (groups, 1), (plans, 1), (letters, 3),
]  # fmt: skip
TOGETHER: list[tuple[Callable[[random.Random, int], Doc], Callable[[random.Random, int], Doc]]] = [
    (spoken, tasks), (spoken, pairs), (spoken, rules), (matches, tasks), (meanings, spoken), (logs, meanings),
    (groups, matches), (rules, tasks), (meanings, pairs), (matches, rules), (logs, tasks),
]  # fmt: skip
_MADE, _SHARES = [maker for maker, _ in MAKERS], [share for _, share in MAKERS]


def papers(rng: random.Random, count: int) -> tuple[str, list[tuple[str, Fact]]]:
    """(a text, the facts that it says, each behind its line or sentence), about `count` of them; no question fits two
    of them."""
    doc = _document(rng, max(2, count))
    return doc.text, _asked_for(rng, doc)


def _document(rng: random.Random, count: int) -> Doc:
    """A document, or two that have nothing in common."""
    if count < 4 or rng.random() > 0.15:
        return rng.choices(_MADE, _SHARES)[0](rng, count)
    first, second = (make(rng, count // 2) for make in rng.choice(TOGETHER))
    if {draft.subject for draft in first.said} & {draft.subject for draft in second.said}:
        return first
    if rng.random() < 0.5:
        first, second = second, first
    text = first.text + rng.choice(("\n\n", "\n\n", "\n\n---\n\n", "\n")) + second.text
    return Doc(text, ["text", "page"], first.said + second.said, first.unsaid)


def _asked_for(rng: random.Random, doc: Doc) -> list[tuple[str, Fact]]:
    """The facts, with the questions that only one of them answers."""
    common = Counter(ask for draft in doc.said for ask in {_plain(ask) for ask in draft.asks})
    found = []
    for draft in doc.said:
        asks = [ask for ask in draft.asks if common[_plain(ask)] == 1]
        if asks:
            questions = tuple(_put(rng, rng.choice(asks), rng.choice(doc.papers)) for _ in range(5))
            value = draft.value if draft.value in draft.statement else cap(draft.value)
            found.append((draft.line, Fact(draft.statement, draft.subject, value, questions)))
    return found


def _plain(ask: str) -> str:
    """What is asked, in whatever order."""
    return "|".join(ask.lower().split("|")[:2])


def absent_papers(rng: random.Random) -> tuple[str, str]:
    """(a text, a question like those that it answers but that it does not answer)."""
    while True:
        doc = rng.choices(_MADE, _SHARES)[0](rng, rng.randrange(2, 8))
        said = {_plain(ask) for draft in doc.said for ask in draft.asks}
        asks = [ask for draft in doc.unsaid for ask in draft.asks if _plain(ask) not in said]
        if asks:
            return doc.text, _put(rng, rng.choice(asks), rng.choice(doc.papers))


# ---- a text and a question in one message

TEXT_HEADS = """Text:; Text:; Context:; Context:; Passage:; Document:; Input:; Source:; Here is the text:; Here is
    a text.; Here it is:; Read this:; Read this text:; Read the following:; Read the text below.; Please read
    this:; Look at this:; Given this text:; Given:; I have this text:; I have this:; I got this:; This is what I
    have:; From my notes:; See below:; Consider this:; Take this text:; This is the text:; My text:; Some text:;
    Have a look:; The following is given:; Information:; Data:; I found this:; Somebody sent me this:; Use this:;
    Use the following text:; Below is a text.; Let me show you something:; I copied this:; Facts:; Background:;
    Here's what it says:; It says:; Reference:; Notes:; Article:; Paste:; Material:; TEXT; ## Text; ### Context;
    [Text]; CONTEXT:; Excerpt:; Check this out:; Attached:; Read carefully:""".replace("\n    ", " ").split("; ")
QUESTION_HEADS = """Question:; Question:; Question:; Q:; Q:; My question:; My question is:; Answer this:; Now the
    question:; Now:; Please answer:; Task:; So:; Tell me:; The question:; Query:; I ask:; Here is my question:;
    Now my question:; Answer this question:; Please answer this question:; One question:; What I want to know:;
    Instruction:; QUESTION:; ## Question; ### Question; [Question]; Request:; Ask:; Can you answer this?; Please
    help:; Quick question:""".replace("\n    ", " ").split("; ")
LEAD_INS = """Based on the above, ; Based on this, ; Based on the text, ; From the text above: ; According to the
    text, ; Using only the text, ; With this in mind, ; Given the above, ; Given this, ; After reading it: ;
    Looking at this, ; From this: ; By the text above, ; Going by this, ; Now tell me: ; So, ; Then: ; Judging by
    the above, ; If you read that, ; In the text above, ; Considering this text, ; From what you read, ; Use it to
    answer: ; Answer from it: ; As you can see above, ; Now, """.replace("\n    ", " ").split("; ")
CLOSINGS = """Answer from the text only.; Use only the text.; Only use what is given.; Answer briefly.; Be brief.;
    One sentence please.; Answer:; Answer:; A:; Just the answer, please.; Do not guess.; Keep it short.; Don't
    make anything up.; Thanks!; Thank you.; Answer in one sentence.; Please use the text above.; Look it up in the
    text.; Please look carefully.; It must be in the text.; Only from the text, please.; Your answer:; Reply with
    what the text says.; Short answer please.; ANSWER:""".replace("\n    ", " ").split("; ")
TASKS_FIRST = """Answer the question from the text.; Answer the question.; Read the text and answer the question.;
    Use the text to answer.; Please answer my question about the text.; I have a question about a text.; Can you
    help me with this text?; Find the answer in the text.; Look this up for me.; Answer with the help of the
    context.; You get a text and a question.; Please read and answer.; Hello! I need something from a text.; Hi,
    please read this for me.; Use the context to answer the question.; Answer from the text only.; Reading task.;
    Read first, then answer.""".replace("\n    ", " ").split("; ")
AFTER_QUESTION = """Here is the text:; The text:; Text:; Context:; It should be in here:; Look in this:; You find
    it in this text:; See:; This is the text:; Use this:; From this text:; Source:; Below is the text.; I mean
    this text:; Search here:; Read this to answer:; The answer is in here:; Here you go:; In this:""".replace(
    "\n    ", " "
).split("; ")
WRAPS = [("", "")] * 12 + [('"', '"'), ('"', '"'), ('"""\n', '\n"""'), ("'''\n", "\n'''"), ("```\n", "\n```"),
    ("<text>\n", "\n</text>"),
         ("---\n", "\n---"), ("<<<\n", "\n>>>"), ("[", "]"), ("(", ")"), ("“", "”"), ("<context>", "</context>"),
             ("===\n", "\n==="),
         ("«", "»"), ("***\n", "\n***"), ("<document>\n", "\n</document>"), ("--- begin ---\n", "\n--- end ---"),
             ("'", "'"),
         ('"""', '"""'), ("```", "```")]  # fmt: skip
QUESTION_WRAPS = [
    ("<question>", "</question>"), ("**", "**"), ('"', '"'), ("Q: ", "\nA:"), ("Question: ", "\nAnswer:"), ("> ", ""),
    ("- ", ""), ("1. ", ""), ("<question>\n", "\n</question>"), ("(", ")"), ("[", "]"), ("Q. ", ""), ("=> ", ""),
    ("My question is: ", ""), ("### ", ""), ("# ", ""), ("I wonder: ", ""), ("Ok, now: ", ""), ("Please: ", ""),
    ("Hey, ", ""), ("one thing - ", ""),
]  # fmt: skip
SEPARATORS = [
    "\n\n",
    "\n\n",
    "\n\n",
    "\n",
    "\n",
    "\n",
    "\n---\n",
    "\n\n---\n\n",
    "\n\n\n",
    "\n***\n",
    "\n- - -\n",
    "\n====\n",
]
SMALL_STARTS = frozenset(
    """What What's Who Whom Whose Where When Which Why How At In On By For From To Of With Until Is Are May Can Could
    Would Will Tell Give Name State Find Look Extract Say Do Does Please The I'd Let Help Show Read Write Check
    Quote""".split()
)  # fmt: skip


def _small(question: str) -> str:
    """The question as it goes on after a comma."""
    first = question.split(" ", 1)[0]
    return question[0].lower() + question[1:] if first in SMALL_STARTS and not first.startswith("I'") else question


def _led(rng: random.Random, question: str) -> str:
    """The question behind words that refer to the text, where it has none."""
    small = _small(question)
    return question if small == question and question[0].isupper() else rng.choice(LEAD_INS) + small


def _follows(rng: random.Random, head: str, body: str) -> str:
    """The body behind its heading: on the same line or on the next one."""
    if not head:
        return body
    if head[-1] in "]" or head.startswith("#") or head.isupper():
        return f"{head}\n{body}"
    if "\n" in body or rng.random() < 0.3:
        return head + rng.choice(("\n", "\n", "\n\n", " " if head[-1] == ":" and body[:4].isalnum() else "\n")) + body
    return f"{head} {body}"


def asked_about(rng: random.Random, text: str, question: str) -> str:
    """One message of a text and a question about it."""
    start, end = rng.choice(WRAPS)
    if "\n" in text and len(start) == 1 and rng.random() < 0.7:
        start = end = ""
    headed = rng.random() < 0.5
    body = f"{start}{text}{end}"
    gap = rng.choice(SEPARATORS)
    if "\n" not in body and rng.random() < 0.45:
        gap = " "
    if rng.random() < 0.2:
        body = _follows(rng, rng.choice(AFTER_QUESTION) if headed else "", body)
        asked = question
        if rng.random() < 0.3:
            asked = _follows(rng, rng.choice(QUESTION_HEADS), question)
        if gap == " " and asked[-1] not in ".?!":
            gap = "\n"
        whole = f"{asked}{gap}{body}"
        return f"{whole}{gap if gap != ' ' else chr(10)}{rng.choice(CLOSINGS)}" if rng.random() < 0.06 else whole
    if gap == " " and not end and body[-1] not in ".?!":
        gap = "\n"
    body = _follows(rng, rng.choice(TEXT_HEADS) if headed else "", body)
    form = rng.random()
    if form < 0.3:
        asked = _follows(rng, rng.choice(QUESTION_HEADS), question)
    elif form < 0.36:
        before, after = rng.choice(QUESTION_WRAPS)
        asked = f"{before}{question}{after}"
    elif form < 0.53:
        asked = _led(rng, question)
    else:
        asked = question
    parts = [body, asked]
    if form > 0.95:
        parts.insert(
            0,
            rng.choice(
                (
                    "I have a question.",
                    "Hello!",
                    "A question:",
                    "Hi, a question about this:",
                    "Hey there",
                    "Please help.",
                )
            ),
        )
    if rng.random() < 0.1:
        parts.insert(0, rng.choice(TASKS_FIRST))
    if rng.random() < 0.14:
        closing = rng.choice(CLOSINGS)
        parts[-1] += (" " if rng.random() < 0.5 and closing[-1] != ":" and question[-1] in ".?!" else "\n") + closing
    return gap.join(parts)
