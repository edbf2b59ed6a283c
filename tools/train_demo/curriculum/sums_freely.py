"""Sums in free words: in scenes of daily life, typed in any way, compared, and gone on with."""

import random
import re

from .arithmetic import answer, is_held_out, key, longer, question, value, whole, working
from .conversation import sums as plain_sums
from .example import Example, said, says, user
from .forms import branches, flat, spun
from .met_freely import hail, line, remark
from .sum_words import AGAIN
from .told_freely import FIRST
from .typed import written
from .words import BOYS, DAYS, GIRLS, JOBS

Sum = tuple[int, str, int]
WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen
    eighteen nineteen twenty""".split()
EATEN = """apples pears plums cherries grapes oranges lemons bananas mangos peaches apricots figs dates nuts
    almonds walnuts
    carrots potatoes tomatoes onions beans peas olives peppers eggs cookies biscuits cakes muffins pancakes
    waffles rolls
    pretzels buns donuts sweets candies chocolates lollipops sandwiches sausages burgers pizzas tacos dumplings
    meatballs
    strawberries raspberries blueberries melons pumpkins mushrooms crackers pies bagels toasts""".split()
HELD = """balls kites books lamps keys hats drums baskets blankets cups bells coins rings boxes scarves maps
    ropes candles
    flutes stones feathers shells mirrors spoons umbrellas buttons clocks pens bags shoes bottles chairs tables
    dolls bikes
    violins guitars tickets letters pictures plates knives coats gloves pillows ladders hammers buckets brushes marbles
    stickers stamps cards pencils erasers rulers crayons balloons toys puzzles dice magnets batteries bulbs cables chips
    badges beads ribbons socks shirts jackets belts watches phones tablets cameras screws nails bolts bricks
    planks tiles
    pots pans forks bowls mugs jars cans boots towels soaps posters photos records games comics notebooks
    folders envelopes
    postcards parcels flags masks vases flowers roses tulips seeds bulbs plants leaves sticks logs pebbles
    crystals pearls
    diamonds medals trophies robots trains cars trucks planes boats dinosaurs teddies blocks cubes points
    tokens vouchers
    flyers screws clips needles threads quilts carpets cushions curtains lanterns torches helmets rackets bats skates
    paintings sketches poems songs stories files pages forms invoices orders""".split()
ANIMALS = """sheep cows goats pigs horses hens ducks geese rabbits cats dogs fish frogs snails bees ants birds
    doves parrots
    turtles lambs ponies donkeys camels kittens puppies chickens butterflies mice hamsters penguins seals
    dolphins""".split()
CROWD = """people children boys girls students pupils guests passengers visitors players dancers singers
    workers tourists
    soldiers fans swimmers runners teachers nurses sailors campers""".split()
IN_PLACE = """in the garden|in the box|in the basket|in the bag|on the table|on the shelf|in the cupboard|in
    the drawer|in the
    kitchen|in the cellar|in the shop|at school|in the office|in the car|in the attic|in the fridge|on the
    desk|in the jar|at
    home|in the barn|in the tent|on the floor|in the pocket|in the library|in the garage|on the plate|in the hall|on the
    roof|at the market|in the museum|in the window|under the bed|by the door"""
PENS = """in the field|on the farm|in the barn|at the zoo|in the park|by the lake|in the stable|on the hill|in
    the yard|in the
    village|in the pond|in the meadow|behind the house"""
ROOMS = """on the bus|on the train|in the hall|in the room|at the party|in the cinema|on the ship|in the park|at the
    station|in the pool|in the queue|on the plane|at the concert|in the class|in the camp|in the museum|in the
    stadium|on the
    beach|in the café|at the market|in the church|in the lift|on the boat|in the club|at the meeting"""
EATEN_IN, PENS_IN, ROOMS_IN = ([" ".join(p.split()) for p in text.split("|")] for text in (IN_PLACE, PENS, ROOMS))
RELATIVES = """mother father sister brother friend aunt uncle grandmother grandfather neighbour teacher cousin
    son daughter boss
    wife husband colleague classmate roommate""".split()
WHEN = """on Monday|yesterday|in the morning|last week|in May|before lunch|on the first day|last year|at
    first|in spring|in the
    first hour|early"""
THEN = """on Tuesday|today|in the evening|this week|in June|after lunch|on the second day|this year|later|in
    summer|in the second
    hour|late"""
WHENS = [
    (" ".join(x.split()), " ".join(y.split())) for x, y in zip(WHEN.split("|"), THEN.split("|"), strict=True)
] + list(zip(DAYS, DAYS[1:], strict=False))
WHENS = [(f"on {x}", f"on {y}") if x in DAYS else (x, y) for x, y in WHENS]
# unit, a verb of three forms that goes with it, what is asked: how {far}
MEASURES = [
    ("metres", "run", "runs", "ran", "how far"), ("miles", "drive", "drives", "drove", "how far"),
    ("kilometres", "walk", "walks", "walked", "how far"), ("km", "cycle", "cycles", "cycled", "how far"),
    ("pages", "read", "reads", "read", "how many pages"), ("lengths", "swim", "swims", "swam", "how many lengths"),
    ("minutes", "wait", "waits", "waited", "how long"), ("hours", "work", "works", "worked", "how many hours"),
    ("hours", "sleep", "sleeps", "slept", "how many hours"),
    ("minutes", "practise", "practises", "practised", "how long"),
    ("words", "learn", "learns", "learned", "how many words"), ("euros", "spend", "spends", "spent", "how much"),
    ("dollars", "earn", "earns", "earned", "how much"), ("coins", "save", "saves", "saved", "how much"),
    ("pounds", "pay", "pays", "paid", "how much"), ("points", "score", "scores", "scored", "how many points"),
    ("steps", "take", "takes", "took", "how many steps"), ("litres", "drink", "drinks", "drank", "how many litres"),
    ("emails", "write", "writes", "wrote", "how many emails"), ("lines", "type", "types", "typed", "how many lines"),
    ("trees", "plant", "plants", "planted", "how many trees"), ("loaves", "bake", "bakes", "baked", "how many loaves"),
    ("calls", "make", "makes", "made", "how many calls"), ("songs", "hear", "hears", "heard", "how many songs"),
    ("fish", "catch", "catches", "caught", "how many fish"), ("walls", "paint", "paints", "painted", "how many walls"),
    ("letters", "post", "posts", "posted", "how many letters"),
    ("kilos", "carry", "carries", "carried", "how many kilos"),
    ("cars", "wash", "washes", "washed", "how many cars"), ("lambs", "count", "counts", "counted", "how many lambs"),
]  # fmt: skip
MONEY = "euros dollars coins pounds cents francs yen crowns dollars euros".split()
PRICED = """book|hat|bag|pen|lamp|cake|coffee|ticket|shirt|bike|phone|chair|game|ball|toy|cup|pizza|sandwich
    |bus ride|map|dress|coat|pair of shoes|train ticket|haircut|lunch|dinner|newspaper|notebook|umbrella|radio|clock
    |guitar|kite|mug|plant|bottle of juice|loaf of bread|museum ticket|cinema ticket|taxi ride|drink|ice cream|jacket
    |camera|carpet"""
PRICED = [" ".join(p.split()) for p in PRICED.split("|")]
GAIN = """get gets got|buy buys bought|find finds found|pick picks picked|collect collects collected|receive receives
    received|win wins won|add adds added|order orders ordered|take takes took|borrow borrows borrowed|make
    makes made|bring
    brings brought"""
LOSE = """give gives gave|sell sells sold|lose loses lost|break breaks broke|use uses used|throw throws threw|drop drops
    dropped|lend lends lent|hand hands handed|post posts posted|burn burns burned|return returns returned|donate donates
    donated|forget forgets forgot"""
EAT = (
    "eat eats ate|cook cooks cooked|share shares shared|peel peels peeled|taste tastes tasted|finish finishes finished"
)
PARTICLE = {"give": " away", "throw": " away", "hand": " out", "lend": " out", "share": " with friends"}
GAINS, LOSSES, EATS = ([tuple(v.split()) for v in " ".join(text.split()).split("|")] for text in (GAIN, LOSE, EAT))
VESSELS = """boxes bags baskets crates shelves drawers jars packs tables bowls trays bins sacks cartons plates
    buckets tins
    rows piles tins cases nets bunches""".split()
ONE = {"boxes": "box", "shelves": "shelf", "bunches": "bunch"}
HOLDERS = """cars seats|tables legs|teams players|rooms beds|houses windows|classes students|vans boxes|trains
    coaches|trees
    apples|books pages|weeks days|boats sailors|spiders legs|bikes wheels|cats kittens|rows chairs|floors
    flats|packs cards
    |nests eggs|tents campers|buses passengers|hands fingers|shirts buttons|halls doors|ships cabins|pizzas slices|songs
    verses|flowers petals|dice spots|shelves books|groups children|pots plants|streets houses|sheets
    stamps|jars sweets"""
HOLD = [tuple(pair.split()) for pair in " ".join(HOLDERS.split()).split("|")]
SHARE_TO = """friends children people guests pupils teams girls boys dogs players sisters brothers neighbours
    cats visitors
    workers families kids groups classes cousins horses""".split()
VOWEL = re.compile(r"\b([Aa]) (?=[aio]|e(?!u)|um|un(?!i))")
NUMBERS = re.compile(r"\b\d+\b")
SIGNS = re.compile(r"\d+|[+*/×÷–-]|(?<=[\d ])[xX:](?=[\d ])")


def a_number(rng: random.Random, n: int, words: float = 0.12) -> str:
    return WORDS[n] if n <= 20 and rng.random() < words else str(n)


class Who:
    """Who does it, and how the verbs go with it."""

    def __init__(self, rng: random.Random):
        roll = rng.random()
        self.first = roll < 0.22
        if self.first:
            self.s = self.p = "I" if roll < 0.17 else "we"
            self.have, self.had, self.do, self.i, self.be = "have", "had", "do", 0, "am" if self.s == "I" else "are"
            self.me = "me" if self.s == "I" else "us"
            return
        self.have, self.had, self.do, self.i, self.be = "has", "had", "does", 1, "is"
        if roll < 0.72:
            girl = rng.random() < 0.5
            self.s = rng.choice(GIRLS if girl else BOYS)
        elif roll < 0.86:
            self.s = "my " + (kin := rng.choice(RELATIVES))
            girl = kin in ("mother", "sister", "aunt", "grandmother", "daughter", "wife")
            if kin not in ("mother", "sister", "aunt", "grandmother", "daughter", "wife", "father", "brother", "uncle",
                           "grandfather", "son", "husband"):  # fmt: skip
                girl = rng.random() < 0.5
        elif roll < 0.95:
            self.s = f"{rng.choice(('the', 'a', 'our'))} {rng.choice(JOBS)}"
            girl = rng.random() < 0.5
        else:
            self.s = self.p = self.me = rng.choice(FIRST)
            return
        self.p, self.me = ("she", "her") if girl else ("he", "him")

    def again(self, rng: random.Random) -> str:
        return self.p if rng.random() < 0.55 else self.s.replace("a ", "the ", 1) if self.s.startswith("a ") else self.s


def _thing(rng: random.Random) -> str:
    return rng.choice(EATEN if rng.random() < 0.4 else HELD)


def _adding(rng: random.Random, a: str, b: str) -> str:
    who, thing = Who(rng), _thing(rng)
    place = rng.choice(EATEN_IN)
    verb = rng.choice(GAINS)
    kind = rng.randrange(10)
    s = who.s
    age = ""
    if a.isdigit() and int(a) <= 80:
        age = (
            f"|I am {a} years old. How old will I be in {b} years?|my [friend|uncle] is {a} years "
            f"old, how old will he be in {b} years?"
        )
    money, (first, then) = rng.choice(MONEY), rng.choice(WHENS)
    p = who.again(rng)
    if kind < 3:
        past = rng.random() < 0.4
        start = f"{s} {who.had if past else who.have} {a} {thing}[| {place}|]"
        giver = (
            f"[my|a|an old|another] [friend|aunt|neighbour|uncle|teacher|boy|girl] "
            f"{'gave' if past else 'gives'} {who.me} {b} [more|extra|others|more {thing}]"
        )
        giver = giver.replace("[my|a|an old|another]", "[the|another]") if not who.first else giver
        moved = f"{p} {verb[2 if past else who.i]} {b} [more|more {thing}|extra {thing}|others|new ones|new {thing}]"
        if rng.random() < 0.35:
            moved = giver
        return (
            f"{start}[. Then|. [Later|Today|Now|Next day]|, and then| and|, then|. After that] {moved}"
            f"[ {first}|||]. {_sum_ask(who, p, thing)}"
        )
    if kind == 3:
        return (
            f"[there are|I see|we have|I count|we found] {a} {thing} [in one|in the first|in the "
            f"blue|in the big|in my] [box|bag|basket|drawer|"
            f"shop|room|pile|jar] and {b} in [the other|another|the second|the red|the small|yours]. "
            f"[How many {thing} [are there|is that|are "
            f"those|do we have|are there in all|are there altogether|is that together]?|What is the "
            f"total?|How many in [all|total|both]?]"
        )
    if kind == 4:
        unit, base, _, past, how = rng.choice(MEASURES)
        far = how if how != "how long" else f"how many {unit}"
        return (
            f"{s} {past} {a} {unit} {first} and {b} [{unit}|{unit}|more|] {then}. [{far} [did {p} "
            f"{base}|did {p} {base} in all|is that|is that "
            f"together|altogether|in total|was it in the end]?|what is the total?]"
        )
    if kind == 5:
        x, y = rng.sample(PRICED, 2)
        return (
            f"[a {x} costs {a} {money} and a {y} costs {b}[| {money}]|a {x} is {a} {money}, a {y} is "
            f"{b}|I [buy|bought|want|paid for] a {x} for {a} "
            f"{money} and a {y} for {b}[| {money}]|the {x} was {a} {money}, the {y} {b}]. [What do "
            f"[both|they] cost together?|How much is that?|how much do "
            f"I [pay|need] [in total|for both|altogether|]?|What is the [total|sum|price for "
            f"both]?|How much for both?|How many {money} is that?]"
        )
    if kind == 6:
        crowd, room = rng.choice(CROWD), rng.choice(ROOMS_IN)
        return (
            f"[there are {a} {crowd} {room}|{a} {crowd} are {room}|{a} {crowd} [sit|wait|stand] "
            f"{room}][. Then|. Now|, and|. Later] {b} [more|others|new "
            f"{crowd}|more {crowd}] [come|arrive|join|come in|get in|appear|turn up]. How many "
            f"[{crowd} |][are there [now|in all|then|altogether|]|is that|are "
            f"[they|{room}] now|are {room} now]?"
        )
    if kind == 7:
        other = rng.choice(GIRLS + BOYS)
        return (
            f"{s} {who.have} {a} {thing}[, and|. |, ] {other} has {b}[| {thing}| of them]. [How many "
            f"{thing} do they have [together|in all|altogether|in "
            f"total]?|How many is that [together|for both|in all]?|How many [{thing} |]do they have "
            f"if they put them together?|What is the total?]"
        )
    if kind == 8:
        animal, other = rng.sample(ANIMALS, 2)
        yard = rng.choice(PENS_IN)
        return (
            f"[there are {a} {animal} and {b} {other} {yard}|{a} {animal} and {b} {other} "
            f"[live|are|stand|sit] {yard}|{s} {who.have} {a} {animal} and {b} "
            f"{other}|{yard} I [count|see] {a} {animal} and {b} {other}]. How many animals [are "
            f"there|is that|are that together|in all|are there "
            f"altogether|live there]?"
        )
    return (
        f"[how many {thing} [do I have|are there|is that|will I have], if I [have|start with] {a} "
        f"and [{verb[0]} {b} more|add {b}]?|if {s} {who.have} {a} {thing} "
        f"and {verb[who.i]} {b} more, how many {thing} {who.do} {p} have[| then| now| in "
        f"total]?|{a} {thing} [and|plus] [another |]{b} {thing}[, how many is "
        f"that|. How many in all|, what is the total| make how many]?|{s} "
        f"need{'s' if who.i else ''} {a} {thing} for [the cake|lunch|the class|the party|Monday"
        f"|my mother|the shop] and {b} for [the soup|dinner|the guests|Tuesday|the "
        f"neighbours|school]. How many is that?{age}]"
    )


def _sum_ask(who: Who, p: str, thing: str) -> str:
    return (
        f"[How many {thing} {who.do} {p} have [now|in all|in total|altogether|then|at the "
        f"end|together]?|How many [{thing} |]are [there|that|there now]?|How many"
        f" is that?|How many {thing} now?|What is the total?|how many {who.do} {p} have?|So how "
        f"many {thing} [in all|are there|{who.do} {p} have]?|How many"
        f" {thing} is that altogether?]"
    )


LENGTHS = [("rope", "metres"), ("ribbon", "cm"), ("road", "km"), ("plank", "cm"), ("film", "minutes"),
           ("book", "pages"),
           ("trip", "miles"), ("walk", "km"), ("race", "laps"), ("list", "words"), ("course", "lessons")]  # fmt: skip


def _taking(rng: random.Random, a: str, b: str) -> str:
    who, food = Who(rng), rng.random() < 0.45
    thing = rng.choice(EATEN if food else HELD)
    verb = rng.choice(EATS if food and rng.random() < 0.6 else LOSSES)
    part = PARTICLE.get(verb[0], "")
    s, p = who.s, who.again(rng)
    kind = rng.randrange(11)
    age = f"|I am {a} years old. How old was I {b} years ago?" if a.isdigit() and int(a) <= 90 else ""
    money, (first, _) = rng.choice(MONEY), rng.choice(WHENS)
    left = (
        f"[How many {thing} [are left|remain|{who.do} {p} still have|{who.do} {p} have "
        f"now|{who.do} {p} have left|are there now|stay]?|How many are [left|still"
        f" there|left over|there now]?|What is left?|how many {who.do} {p} have "
        f"[now|left|then]?|How many {thing} left?|How many remain?]"
    )
    if kind < 3:
        past = rng.random() < 0.4
        return (
            f"{s} {who.had if past else who.have} {a} {thing}[| {rng.choice(EATEN_IN)}|][. Then|. "
            f"[Later|Today|Now]|, and then| and|, then|, but|. After that] {p} "
            f"{verb[2 if past else who.i]} {b} [of them|{thing}|of the {thing}|]{part}[ {first}||||]. {left}"
        )
    if kind == 3:
        crowd, room = rng.choice(CROWD), rng.choice(ROOMS_IN)
        return (
            f"[there [are|were] {a} {crowd} {room}|{a} {crowd} were {room}][. Then|. Now|, and|. "
            f"Later|, but] {b} [of them|{crowd}|] [left|went home|got off|went away|"
            f"walked out]. How many [{crowd} |][are [left|still there|there now]|stayed|remain|are still {room}]?"
        )
    if kind == 4:
        other = rng.choice(GIRLS + BOYS)
        return (
            f"{s} {who.have} {a} {thing}[, and|. |, ] {other} has [only |]{b}[| {thing}]. [How many "
            f"more [{thing} |]{who.do} {p} have[| than {other}]?|How many fewer "
            f"{who_fewer(other)}?|What is the difference?|By how many is that more?]"
        )
    if kind == 5:
        return (
            f"{s} {who.have} {a} {money}[| in {'my' if who.first else 'the'} pocket|] and "
            f"[{'spend' if who.first else 'spends'} {b}[| on a "
            f"{rng.choice(PRICED)}]|{'pay' if who.first else 'pays'} {b} for a "
            f"{rng.choice(PRICED)}]. [How [much|many {money}] {who.do} {p} [still |]have "
            f"[left|now|]|How much is left|How much remains|How many {money} are left over]?"
        )
    if kind == 6:
        return (
            f"{s} want{'s' if who.i else ''} {a} {thing} [and|but] {who.have}[| only| already] {b}. "
            f"How many [more [{thing} |]{who.do} {p} need|are [still |]missing|{thing} are "
            f"missing|must {p} still [get|find]]?"
        )
    if kind == 7:
        what = rng.choice(LENGTHS)
        x, unit = what
        if x in ("rope", "ribbon", "plank"):
            return (
                f"[a {x} is {a} {unit}[| long]|I have a {x} of {a} {unit}][, {b} {unit} are cut off|. I "
                f"cut off {b} {unit}|. {b} "
                f"{unit} are cut away]. [How long is the rest|What is left|How many {unit} are left]?"
            )
        return (
            f"[the|my|our] {x} has {a} {unit}[. [I have done|We did|I am through with|We are done "
            f"with] {b}|, {b} are done]. How many {unit} [are left|remain|are still to go|are "
            f"there to go]?"
        )
    if kind == 8:
        of = rng.choice(("broken", "red", "sold", "gone", "old", "empty", "wet", "blue", "lost", "rotten", "taken"))
        return (
            f"[of {a} {thing}, {b} are {of}|there are {a} {thing} and {b} of them are {of}|{b} of "
            f"[my|the|our] {a} {thing} are {of}]. How many are not[| {of}]?"
        )
    if kind == 9:
        word, unit = rng.choice(
            (
                ("tall", "cm"),
                ("old", "years"),
                ("heavy", "kilos"),
                ("long", "metres"),
                ("wide", "cm"),
                ("high", "metres"),
            )
        )
        more = {
            "tall": "taller",
            "old": "older",
            "heavy": "heavier",
            "long": "longer",
            "wide": "wider",
            "high": "higher",
        }[word]
        x, y = rng.sample(
            GIRLS + BOYS
            if word in ("tall", "old", "heavy")
            else ["tower", "wall", "bridge", "table", "house", "tree", "boat", "door"],
            2,
        )
        x, y = (x, y) if word in ("tall", "old", "heavy") else (f"the {x}", f"the {y}")
        return (
            f"{x} is {a} {unit}[| {word}][, and|,| and] {y} is {b}[| {unit}]. How [much|many {unit}] "
            f"{more} is {x}[| than {y}]?"
        ).replace("kilos heavy", "kilos")
    return (
        f"[how many {thing} are left, if I have {a} and {verb[0]} {b}{part}?|if {s} {who.have} "
        f"{a} {thing} and {verb[who.i]} {b}{part}, how many are left?|{a} {thing} [minus|take "
        f"away|without|less] "
        f"{b}[, how many is that|. What is left|, what remains]?|[take|remove] {b} {thing} from "
        f"{a}. How many [are left|stay]?|[a|the] {rng.choice(PRICED)} [costs|cost|was] {a} "
        f"{money} and "
        f"[is now {b} cheaper|I get {b} {money} off|there is a discount of {b}]. What [is the new "
        f"price|do I pay]?|the [shop|store] had {a} {thing} and sold {b} {first}. How many are "
        f"left?{age}|{s} "
        f"gave [a friend|Ben|the school] {b} of {a} {thing}. How many were left?]"
    )


def who_fewer(other: str) -> str:
    return f"[does {other} have|has {other}]"


def _times(rng: random.Random, a: str, b: str) -> str:
    who, thing = Who(rng), _thing(rng)
    s, p = who.s, who.again(rng)
    kind = rng.randrange(7)
    money = rng.choice(MONEY)
    vessels = rng.choice(VESSELS)
    one = ONE.get(vessels, vessels[:-1])
    if kind == 0:
        return (
            f"{s} {who.have} {a} {vessels}[ with {b} {thing} [each|in each]|. [Each [{one} |]|Every "
            f"{one} ][has|holds|contains] {b} {thing}| of {b} {thing} each|, each with {b} {thing}]. "
            f"[How many {thing} "
            f"[are there|is that|{who.do} {p} have|in all|are there in all|altogether]?|What is the total?]"
        )
    if kind == 1:
        whole_, part = rng.choice(HOLD)
        return (
            f"[there are {a} {whole_} with {b} {part} each|{a} {whole_} have {b} {part} each|each of "
            f"{a} {whole_} has {b} {part}|we have {a} {whole_}, each with {b} {part}]. How many "
            f"{part} [are there|is that|"
            f"in all|altogether|are that|in total]?"
        )
    if kind == 2:
        item = rng.choice([x for x in PRICED[:20] if " " not in x])
        items = item + ("es" if item.endswith(("sh", "ch", "ss")) else "s")
        return (
            f"[a|one] {item} costs {b} {money}. [What do {a} {items} cost?|How much [are|do I pay "
            f"for|is it for] {a}[| {items}| of them]?|I [buy|want|take|need] {a}. [How much is "
            f"that|What do I pay|How much]?|{s} "
            f"buy{'s' if who.i else ''} {a}[| of them]. [How much is that|What is the price|How many {money} is that]?]"
        )
    if kind == 3:
        unit, base, third, _, how = rng.choice(MEASURES)
        far = how if how != "how long" else f"how many {unit}"
        rate, times = rng.choice(
            (("[a|every|each|per]", "day"), ("[a|every|each|per]", "week"), ("[every|each|per]", "hour"))
        )
        return (
            f"{s} {third if who.i else base} {b} {unit} {rate} {times}. {far} [is that|does that "
            f"make|will it be] [in|after|for] {a} {times}s?"
        )
    if kind == 4:
        crowd = rng.choice(CROWD)
        return (
            f"[{a} {crowd} [have|get|bring|buy|take|carry|need|want] {b} {thing} each|each of {a} "
            f"{crowd} [has|gets|brings|needs|buys] {b} {thing}|I give {b} {thing} to each of {a} "
            f"{crowd}|every one of {a} {crowd} needs {b} "
            f"{thing}]. How many {thing} [is that|are there|are needed|in all|in total|do they have|do I need]?"
        ).replace("do they have|do I need", "are that")
    if kind == 5:
        return (
            f"[there are|I see|I put|we have] {a} rows [of|with] {b} "
            f"{rng.choice((*HELD[:40], *CROWD))}[| in each row]. How many are [there|that][| in all]?"
        ).replace("with", "of")
    return (
        f"[how many {thing} are in {a} {vessels}, if each has {b}?|how many {thing} are there in "
        f"{a} {vessels} of {b}?|if one {one} holds {b} {thing}, how many [{thing} |]do {a} "
        f"{vessels} hold?|{a} {vessels} of {b} "
        f"{thing}[, how many [is that|{thing}]|. How many in all]?|{a} times {b} {thing}[, how "
        f"many|. How many is that|, what is that]?|I need {b} {thing} for each "
        f"[guest|child|cake|table] and there are {a}. How many {thing} do "
        f"I need?]"
    )


def _sharing(rng: random.Random, a: str, b: str) -> str:
    who, thing = Who(rng), _thing(rng)
    s, p = who.s, who.again(rng)
    to = rng.choice(SHARE_TO)
    one = {"people": "person", "children": "child", "boys": "boy", "families": "family", "classes": "class"}.get(
        to, to.rstrip("s")
    )
    money, vessels = rng.choice(MONEY), rng.choice(VESSELS)
    box = ONE.get(vessels, vessels[:-1])
    kind = rng.randrange(6)
    equally = "[| equally| fairly| evenly| into equal parts|]"
    if kind == 0:
        shares = "[shares|divides|splits]" if who.i else "[share|divide|split]"
        return (
            f"{s} {shares} {a} {thing}[| equally| fairly| evenly] [among|between] {b} {to}. [How many "
            f"[{thing} |]does each [{one} |]get?|How many for "
            f"each[| {one}]?|What does each [{one} |]get?|How many each?]"
        )
    if kind == 1:
        return (
            f"{b} {to} [share|split|divide] {a} {thing}{equally}. How many [{thing} |][does each "
            f"[{one} |]get|are for each|each|does everyone get|are there for each {one}]?"
        ).replace(" into equal parts", "")
    if kind == 2:
        return (
            f"{a} {thing} [are packed in|go into|are put into|fit into|fill] {b} {vessels}[, the same "
            f"number in each|. All hold the same||]. How many [{thing} |]are in [each|each {box}|one "
            f"{box}]?"
        )
    if kind == 3:
        return (
            (
                f"[a bill of {a} {money} is split [between|by|among] {b} {to}|{a} {money} are "
                f"[shared|divided|split][| equally] [among|between|by] {b} {to}|{b} {to} "
                f"[earn|win|find|get|pay] {a} {money} together and [share|split] it]. How much "
                f"[does each [{one} |][get|]|is it for each|per {one}|for one {one}|is one part]?"
            )
            .replace("] [get|]", " get]")
            .replace("[get|]", "have")
        )
    if kind == 4:
        return (
            f"{s} put{'s' if who.i else ''} {a} {thing} into {vessels} of {b}[| each]. How many "
            f"{vessels} [are there|{who.do} {p} need|is that|are full|does it take]?"
        )
    return (
        f"[how many {thing} does each [{one} |]get, if {b} {to} share {a}?|{b} "
        f"[tickets|pens|cups|hats|lamps] cost {a} {money}. [What does one cost|How much is "
        f"one]?|{a} {thing} for {b} {to}[, how many each|. How many for each|, how many does each "
        f"get]?|there "
        f"are {a} {thing} in {b} equal [rows|piles|groups]. How many are in [one|each]?|if I "
        f"[share|split|divide] {a} {thing} [between|among] {b} {to}, how many does each "
        f"get?|[a|my] [rope|ribbon|wall|plank] of {a} metres is cut into {b} equal parts. How "
        f"long is each?|{s} "
        f"{who.have} {a} {thing} and {b} {to}. Everyone gets the same. How many [does each "
        f"get|for each|are that for each]?]"
    )


SCENES = {"+": _adding, "-": _taking, "*": _times, "/": _sharing}


TITLES = """[a riddle|here is a problem|math problem|homework|question|word problem|solve this|help me with this
    |my son asks|from my book|an easy one|try this|a sum for you|next one|please solve|exercise 3]"""
TITLES = flat(TITLES)


def _finished(rng: random.Random, text: str) -> str:
    """The scene as it is typed: the letters at the beginnings of sentences, at times with something before or after."""
    sentences = [s for s in text.replace("? ", "?\0").replace(". ", ".\0").split("\0") if s]
    text = " ".join(s[:1].upper() + s[1:] for s in sentences)
    roll = rng.random()
    if roll < 0.06:
        text = f"{hail(rng)}{rng.choice('!.,')} {text}"
    elif roll < 0.1:
        text = f"{remark(rng)}. {text}"
    elif roll < 0.16:
        text = f"{spun(rng, TITLES)}{rng.choice((': ', '. ', ' - '))}{text}"
    if rng.random() < 0.06:
        text += spun(
            rng,
            (
                "[Thanks|Please answer|I need it for school|Can you help?|Help me please|Any idea?|Tell "
                "me|please|thanks!]"
            ),
        ).join((" ", ""))
    return typed_sum(rng, text)


def typed_sum(rng: random.Random, text: str) -> str:
    """As met_freely.written types it, but no slip may touch a number."""
    out = written(rng, text)
    return out if all(p.findall(out) == p.findall(text) for p in (SIGNS, NUMBERS)) else text


def _numbers(rng: random.Random, a: int, b: int) -> tuple[str, str]:
    return a_number(rng, a), a_number(rng, b)


def _story(rng: random.Random, sum_: Sum) -> str:
    a, op, b = sum_
    text = spun(rng, SCENES[op](rng, *_numbers(rng, a, b)))
    for wrong, right in ((" .", "."), (" ,", ","), (" ?", "?")):
        text = text.replace(wrong, right)
    return _finished(rng, VOWEL.sub(r"\1n ", text))


def _a_sum(rng: random.Random, in_scene: bool) -> tuple[str, Sum]:
    """(its task, the sum)."""
    while True:
        roll = rng.random()
        task, make = (
            ("arithmetic", question) if roll < 0.55 else ("long_sum", longer) if roll < 0.82 else ("quotient", whole)
        )
        a, op, b = make(rng)
        if not in_scene:
            return task, (a, op, b)
        if op == "-" and a < b:
            a, b = b, a
        if min(a, b) > 1 and not (op == "-" and a == b):
            return task, (a, op, b)


def _example(task: str, text: str, sum_: Sum) -> Example:
    turn = says(working(*sum_), answer(*sum_))
    return Example(task, key(*sum_), [user(text), turn], answers=(f"= {value(*sum_)}.",))


def story(rng: random.Random) -> Example:
    """A sum in a scene of daily life."""
    task, sum_ = _a_sum(rng, True)
    return _example(task, _story(rng, sum_), sum_)


BARE = {
    "+": """{a}[ + |+| +|+ |  +  | plus | and also | added to | together with |, plus ]{b}
        |[the |][sum|total] of {a} and {b}|{a} and {b}
        [together|in total|added up|summed|combined|added|in all|added together|altogether|as a
        sum]|[add|sum|sum up|total|combine|put together|join] {a} and {b}|add {b} to {a}|{a} with
        {b} [more|added|on top]|{b} more than {a}|{a} increased by {b}|{a} [and|&] {b}
        [make|makes|is|gives|are] [what|how much|how many]|the result of {a} plus {b}|{a}, {b},
        [sum|total|added]|{a} (plus) {b}
        |what [I get|you get|we get] when [I|you|we] add {a} and {b}""",
    "-": """{a}[ - |-| -|- |  -  | minus | less | take away |, minus | – ]{b}
        |the difference between {a} and {b}|difference of {a} and {b}|{a} [without|reduced by|lowered by
        |decreased by|with
        the loss of] {b}|[subtract|take|remove|deduct|take away] {b} from {a}|{b} less than {a}|{b}
        [taken|subtracted|taken away] from {a}|what is left [of {a} without {b}|when {b} are taken from {a}|if
        {a} loses
        {b}]|from {a} [take|subtract|remove] {b}|the result of {a} minus {b}|how much more {a} is than {b}|what
        [I get|you get|remains] when [I|you] take {b} from {a}""",
    "*": """{a}[ * |*| x |x| × |×| times | multiplied by | X | by |  *  ]{b}
        |the product of {a} and {b}|{a} [lots|groups|sets|packs] of {b}|[multiply|product of] {a} [and|by|with] {b}
        |{a} [times|multiplied with] {b}|the
        result of {a} times {b}|{b}, {a} times|{b} taken {a} times|{a} [and|,] {b} multiplied|what [I get|you
        get] when [I|you] multiply {a} by {b}""",
    "/": """{a}[ / |/| : |÷| ÷ | divided by | shared by | over | split by | shared equally by ]{b}
        |the quotient of {a} and {b}|[divide|split] {a} by {b}|[split|cut|share|divide] {a} [into|in] {b} [equal
        parts|parts|shares]|{a} [shared|split|divided] [equally |fairly |][among|between|by] {b}|how many times
        {b} [goes|fits] into {a}|{b} into {a}|the result of {a} divided by {b}|one of {b} equal parts of
        {a}|{a} in
        {b} equal [parts|groups|shares]|what [I get|you get] when [I|you] divide {a} by {b}""",
}
BARE = {op: [forms[0]] * 7 + forms for op, form in BARE.items() if (forms := branches(flat(form)))}
ORDERS = "add sum total combine put join subtract take remove deduct from multiply divide split cut share".split()
ASKS = """[what is|what's|whats|how much is|calculate|compute|work out|find|tell me|give me|solve|I need|can
    you do|can you calculate|do you know|what would be|what does this give:|help me
    with|quick,|now|and|please|I want to know|could
    you work out|figure out|what do you get for|how many is|evaluate|what comes out of|show me|let me
    have|count|do|say|answer this:|sum question:|math:|a sum:|easy one:|try|my homework:|next:|one more:|the
    answer to|hey,|so,|then]"""
ASKS = flat(ASKS)
ENDINGS = ["", "", "", " please", ", please", " thanks", " = ?", " =", "=?", "=", " is", ", what is that",
           ", how much is it",
           "?", "??", " equals", " equals what", " makes", " gives", " -> ?", ". Quick!", ", quickly"]  # fmt: skip


def _plain_text(rng: random.Random, a: str, op: str, b: str) -> str:
    core = spun(rng, rng.choice(BARE[op])).replace("  ", " ")
    first = core.split()[0]
    signed = not any(c.isalpha() for c in core.replace("{a}", "").replace("{b}", ""))
    core = core.replace("{a}", a).replace("{b}", b)
    end = rng.choice(("", ".", "?", " please", "!"))
    if first == "from":
        return core + end
    if first in ORDERS:
        before = spun(rng, PLEASE) if rng.random() < 0.5 else ""
        return f"{before} {core}{end}".strip()
    if first in ("what", "how"):
        return f"{spun(rng, TELL)} {core}{end}".replace("!", "?")
    text = f"{spun(rng, ASKS)} {core}" if rng.random() < 0.65 else core
    if rng.random() < 0.6:
        text += rng.choice(ENDINGS) if signed else rng.choice(("", "?", ".", " please"))
    if rng.random() < 0.12:
        return f"{hail(rng)}{rng.choice((', ', '! ', '. '))}{text}"
    return f"{remark(rng)}. {text}" if rng.random() < 0.05 else text


PLEASE = "[please|can you|could you|I want you to|now|would you|just|hey,|let's|next,|help me|ok,|then|and now]"
TELL = "[tell me|do you know|can you say|I want to know|please tell me|I wonder|let me know|say]"


HALVES = """half of {a}|the half of {a}|one half of {a}|{a} halved|halve {a}|a half of {a}|{a} cut in
    half|{a} in two halves|half {a}|{a} split in two"""
DOUBLES = """double of {a}|the double of {a}|double {a}|twice {a}|{a} doubled|{a} plus itself|{a} plus
    the same again|{a} twice|{a} and {a} again|twice as much as {a}"""
HALVED, DOUBLED = flat(HALVES).split("|"), flat(DOUBLES).split("|")


def plain(rng: random.Random) -> Example:
    """A sum as it is, asked in any way."""
    if rng.random() < 0.08:
        if rng.random() < 0.5:
            n = rng.randrange(1, 13)
            sum_: Sum = (2 * n, "/", 2)
            return _example("quotient", _ask_one(rng, HALVED, 2 * n), sum_)
        n = rng.randrange(2, 100)
        return _example("arithmetic", _ask_one(rng, DOUBLED, n), (n, "+", n))
    task, (a, op, b) = _a_sum(rng, False)
    if op == "-" and a < b and rng.random() < 0.7:
        a, b = b, a
    words = 0.9 if max(a, b) <= 20 and rng.random() < 0.25 else 0.04
    x, y = a_number(rng, a, words), a_number(rng, b, words)
    text = _plain_text(rng, x, op, y)
    if (
        op == "-"
        and a < b
        and any(
            w in text for w in ("difference", "left", "remains", "how much more", "loss", "from", "less", "without")
        )
    ):
        text = f"{x} - {y}"
    return _example(task, typed_sum(rng, text), (a, op, b))


def _ask_one(rng: random.Random, forms: list[str], n: int) -> str:
    core = rng.choice(forms).format(a=a_number(rng, n, 0.2))
    if core.split()[0] in ("halve", "double") and rng.random() < 0.5:
        return typed_sum(rng, core + rng.choice((".", "", "!", " please")))
    return typed_sum(
        rng, f"{spun(rng, ASKS)} {core}{rng.choice(('?', '', '?', ' please'))}" if rng.random() < 0.8 else core
    )


COMPARED = """which [number |one |of these |of the two |of them |]is [the |]{w}[:|,] {a} or {b}?|[is|are] {a}
    or {b} {w}?|is {a} {w} than {b}?|is {a} {w} than {b}, or is it the other way round?|{a} or {b},
    which [one |number |]is
    {w}?|{a} or {b}, what is {w}?|what is {w}[:|,] {a} or {b}?|[tell me|say|show me|find|pick|choose|give
    me|name|take|I need] the {w} [one|number|value] [of|from] {a} and {b}|[tell me|say|decide|I want to know|do
    you know] which [one |number |]is
    {w}[:|,] {a} or {b}|[between|of|from] {a} and {b}[,|:] [which|which one|which number] is
    [the |]{w}[| one]?|compare {a} and {b}[:|. |,] [which is|what is|which one is] {w}?|{a}
    [vs|vs.|versus|against|/] {b}[:|,| -] [which is |which one is |what is |]{w}?|the {w} of
    {a} and {b}?|[Tom|Mia|Anna|Ben|my son|my friend] has {a} [points|coins|books|apples|euros] and [I have|Sam
    has|my sister has] {b}. Which number is {w}?|I have two numbers, {a} and {b}. Which [one |]is {w}?|look at
    {a} and {b}. Which is {w}?|one [price|score|number|answer] is {a}, the other is {b}. Which is
    {w}?|[what's|whats] {w}, {a} or {b}?"""
COMPARED += """|[which|which one|what] [of these|of these two|of the two|of both|] is
    [the |]{w}[| one| number][:|,] {a} [or|and] {b}?|[so|now|and|please|] [is|are]
    {a} or [is it |]{b} [the |]{w}[| one| number]?|[do you know|can you tell me|can you say|tell me|I wonder|I
    forgot|say|decide|please say|let me know]
    [which|which one|which number|what] is [the |]{w}[| one][,|:] {a} or {b}|[if I compare|when I
    compare|comparing] {a} [and|with|to] {b}, [which|which one|which number]
    is [the |]{w}[| one]?|[there are|we have|here are|take|given] [two numbers|the numbers]: {a} and
    {b}[. |, ][which is {w}|name the {w} one|what is {w}]?|[my
    friend|my sister|Tom|Ruth] says {a}, [I say|Ben says] {b}. [Which|Whose number|Which number] is {w}?|{a}
    [points|euros|metres|coins|miles|kilos] or {b}[, what is {w}|, which
    is {w}|: which one is {w}]?"""
COMPARED = branches(flat(COMPARED))
LARGER = {"larger": "largest", "bigger": "biggest", "greater": "greatest", "more": "most", "higher": "highest"}
SMALLER = {"smaller": "smallest", "less": "least", "lower": "lowest"}


def compare(rng: random.Random) -> Example:
    """Which of two numbers is larger or smaller, asked in any way."""
    a, b = rng.sample(range(100 if rng.random() < 0.6 else 1000), 2)
    if rng.random() < 0.15:
        b = min(999, a + rng.choice((1, 2, 5, 10, 9, 90))) if a < 990 else a - 1
    larger = rng.random() < 0.6
    word = rng.choice(list(LARGER if larger else SMALLER))
    best = max(a, b) if larger else min(a, b)
    form = spun(rng, rng.choice(COMPARED))
    if word in ("more", "less"):
        form = (
            form.replace("the {w}", "{w}")
            .replace("{w} one", "{w}")
            .replace("{w} number", "{w}")
            .replace("{w} value", "{w}")
        )
        if "{w} of" in form or "{w} from" in form:
            form = "which is {w}, {a} or {b}?"
    text = form.format(w=word, a=a, b=b)
    if rng.random() < 0.15:
        text = f"{hail(rng)}{rng.choice((', ', '! '))}{text}"
    thought = f"{a} and {b}. {min(a, b)} is less than {max(a, b)}. The {word} one is {best}."
    turn = says(thought, f"{best} is {word}.")
    return Example("compare", f"{min(a, b)} {max(a, b)}", [user(typed_sum(rng, text)), turn], answers=(f"{best} is",))


ON = """[||||and|now|then|ok, now|next|and then|please|and now|good, now|so|after that|great, and|thanks, now]"""
IT = "[that|it|this|the result|that number|the last result|your answer|what you got]"
GO_ON = {
    "+": f"""add {{n}}|add {{n}} [to {IT}|more]|plus {{n}}|+ {{n}}|+{{n}}|{{n}} more|put {{n}} on
    top|increase {IT} by {{n}}|{IT} plus {{n}}|another {{n}}|{IT} and {{n}}|raise {IT} by
    {{n}}|give {{n}} more|with {{n}} more|make {IT} {{n}} more|go {{n}} higher""",
    "-": f"""subtract {{n}}|subtract {{n}} from {IT}|minus {{n}}|- {{n}}|-{{n}}|{{n}} less|take away {{n}}|take
    {{n}} [off|away]|take {{n}} from {IT}|decrease {IT} by {{n}}|{IT} minus {{n}}|reduce {IT} by
    {{n}}|remove {{n}}|drop {{n}}|without {{n}}|lower {IT} by
        {{n}}|go {{n}} lower|lose {{n}}""",
    "2": f"""double {IT}|twice {IT}|double|doubled|times two|times 2|multiply {IT} by [2|two]|{IT}
    [times two|doubled|twice|times 2]|[2|two] times {IT}|the double of {IT}|x2|* 2|once more
    the same on top""",
    "*": f"""times {{n}}|multiply {IT} by {{n}}|{IT} times {{n}}|* {{n}}|x {{n}}|multiplied by
    {{n}}|{{n}} times {IT}|take {IT} {{n}} times|x{{n}}|multiply by {{n}}""",
    "/": f"""divide {IT} by {{n}}|divided by {{n}}|/ {{n}}|{IT} divided by {{n}}|split {IT} in {{n}}
    [equal parts|parts]|share {IT} among {{n}}|divide by {{n}}|{IT} shared by {{n}}""",
    "h": f"""half of {IT}|halve {IT}|cut {IT} in half|{IT} divided by [2|two]|the half of {IT}|half""",
}  # fmt: skip
GO_ON = {op: branches(flat(form)) for op, form in GO_ON.items()}
IN_SCENE = {
    "+": """[and if|what if|and when] {p} {gain} {n} more?|then {p} {gain} {n} more. [How many now|And
    now]?|and with {n} more?|now {p} {gain} another {n}, how many then?|{n} more [come|are
    added]. How many now?""",
    "-": """[and if|what if|and when] {p} {lose} {n}[| of them]?|then {p} {lose} {n}. [How many are
    left|And now]?|and without {n} of them?|now {p} {lose} {n}, how many are left?|{n} are
    gone. How many now?""",
}
IN_SCENE = {op: branches(flat(form)) for op, form in IN_SCENE.items()}


def _next(rng: random.Random, last: int) -> tuple[str, Sum]:
    """(what goes on from the last result, the sum that it is)."""
    for _ in range(20):
        op = rng.choice("+++---22*/h")
        n = rng.randrange(1, rng.choice((11, 30, 100)))
        if op == "*":
            n = rng.randrange(3, 10)
        if op == "/":
            fits = [d for d in range(2, 11) if last % d == 0 and 1 <= last // d <= 12]
            if not fits:
                continue
            n = rng.choice(fits)
        sum_: Sum = {"2": (last, "+", last), "h": (last, "/", 2)}.get(op, (last, op, n))
        if (
            (op == "h" and (last % 2 or not 2 <= last <= 24))
            or (op == "*" and not 2 <= last < 100)
            or (op == "-" and n > last)
            or (op == "2" and last < 1)
        ):
            continue
        if is_held_out(*sum_):
            continue
        if op in "+-" and rng.random() < 0.2:
            pron, i = rng.choice((("I", 0), ("he", 1), ("she", 1), ("we", 0), (rng.choice(GIRLS + BOYS), 1)))
            lose, gain = rng.choice([loss for loss in LOSSES if loss[0] not in PARTICLE])[i], rng.choice(GAINS)[i]
            text = spun(rng, rng.choice(IN_SCENE[op])).format(p=pron, n=a_number(rng, n), gain=gain, lose=lose)
        elif rng.random() < 0.15 and op in "+-2":
            text = rng.choice([t for t, what in AGAIN if what == op]).format(n=n)
        else:
            text = spun(rng, rng.choice(GO_ON[op])).format(n=a_number(rng, n))
            text = f"{spun(rng, ON)} {text}{rng.choice(('?', '', '.', '?', ' please', '!'))}".strip()
        return text, sum_
    return f"add {1 + last % 7}", (last, "+", 1 + last % 7)


def follow_up(rng: random.Random) -> Example:
    """A sum in free words, and one to three questions that go on from its result."""
    for _ in range(20):
        in_scene = rng.random() < 0.45
        _, sum_ = _a_sum(rng, in_scene)
        if not is_held_out(*sum_) and 0 <= value(*sum_) <= 499:
            break
    else:
        return plain_sums(rng)
    a, op, b = sum_
    text = _story(rng, sum_) if in_scene else typed_sum(rng, _plain_text(rng, a_number(rng, a), op, a_number(rng, b)))
    messages, steps, last = [user(text)], [key(*sum_)], 0
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        last = value(*sum_)
        messages.append(said(answer(*sum_)))
        if rng.random() < 0.12:
            talk, _, reply = line(rng)
            messages += [user(talk), said(reply)]
        text, sum_ = _next(rng, last)
        if is_held_out(*sum_):
            return plain_sums(rng)
        messages.append(user(typed_sum(rng, text)))
        steps.append(key(*sum_))
        if value(*sum_) > 499:
            break
    turn = says(f"The last result is {last}. That is {working(*sum_)}", answer(*sum_))
    return Example("sums", " ".join(steps), [*messages, turn], answers=(f"= {value(*sum_)}.",))
