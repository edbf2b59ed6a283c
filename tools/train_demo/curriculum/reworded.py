"""Examples in other words: what is said again must then be what stands there, and not what is common."""

import random
import re
from collections.abc import Callable
from dataclasses import replace

from .example import Example, cap
from .words import ANIMALS, CITIES, COLOURS, FOODS, GIRLS, JOBS, OBJECTS, PEOPLE, QUALITIES, ROOMS, accented, invented

# Words that the small world does not have, in the form to which an ending is put.
COMMON = """able accept account ache act add address admit advice afford afternoon agree air airport alarm album allow
    ancient angry animal answer apart apartment appear april argue arm army arrange arrest arrow art artist ask attack
    attend aunt autumn avoid award away baby back bake balance balcony bank barn bath battery beach bean bear beard beat
    become begin behave belong belt bench bend berry best bet better bite bitter blame blank bless blind block blood
    blow board body boil bomb bone border born borrow bother bottom bound bowl brain branch brass breakfast breath
    bridge brief bright broad broken brother build bullet burn bus business busy cabinet cable calm camp canal cancel
    candidate canvas care carpet cart case cash catch cause ceiling centre century certain chain chalk chance change
    chapter charge cheap check cheek chest chicken chief child chimney choice choose circle city claim class clay clerk
    clever client climb cloth cloud club coach coal coast collect college colour column comfort common company compare
    complain concrete confirm connect contain contest contract control cool copper corner cost cottage cough count
    country couple course court cover crack craft crash cream create crime cross crowd crown cruel cry culture curtain
    curve custom cut cycle damage damp dance danger daughter dear debt decide deep defend degree delay deliver demand
    deny depart depend desert deserve design desire detail develop diary die differ dig direct dirt discover discuss
    dish distance divide dock document double doubt dozen draft drag dream dress drift drop drown dust duty eager earn
    earth east edge effect effort elbow elect empire employ enemy engine enjoy enter entire envelope equal escape event
    evidence exact example excuse exist expect expensive explain express extra fabric face factory fade fail faint fair
    faith fall fame family fancy farm fashion fast fate fault favour fear feast fellow fence fever field fight figure
    fill film final finger finish fire firm fit fix flag flame flash flat flavour float flood floor flow fluid fold
    follow fool foot force foreign form fortune frame free freeze fresh friend front frozen fruit fuel full fund funny
    fur gain gallery gap garage gas gather gaze gentle gift glad glance glass global goal govern grab grade grain grand
    grant grass grave great greet grin grip ground group grow guard guess guest guide guilt habit hair half hand hang
    happen harm harvest haste head heal health heap heart heat heaven height helmet hero hide hill hire hobby hold hole
    holiday home hope host hour huge humble hunt hurry hurt ice idea ideal ignore image imagine improve inch income
    inform injure insect insist install invent invite invoice iron island issue item jacket jail jam jaw jewel job join
    joke journey joy judge jump junior jury justice keen kick kingdom kiss knee knock knot label labour lack lake land
    language laugh law lay lead leaf lean learn leather leave lecture lend length lesson level liberty library license
    lid lift limb limit line link lip liquid list listen load loan local lock log lonely loose lord loss loud lounge
    loyal luck lunch machine mad magic mail main major manage manner march mark market marry master match matter meal
    mean measure meat medal melt member memory mend mention menu merchant mercy metal method middle mild mile military
    mill mind mine minister minute miracle miss mistake mix mobile model modern moment money month mood moon moral
    morning motion motor mount mountain move movie muscle museum music mystery nail narrow nation native nature navy
    neck needle neighbour nephew nerve net news niece night noble noise normal north nose note notice novel nurse obey
    object observe occur ocean offer office oil opera oppose option order organ origin outfit oven own oxygen pack
    package page pain paint palace pale palm panel paper parade parcel parent park partner party pass passage passport
    password past path patient pattern pause pay peace peak pen pencil pension people permit phone photo phrase pick
    piece pile pill pin pink pipe pirate pitch place plain plan plane planet plant plastic plate platform please pocket
    poem poet point poison pole police polish polite poor popular port portrait position post pot pour powder power
    praise pray prefer prepare present press pretty prevent price pride priest print prison prize problem produce
    profit program promise proof proper protect proud prove provide pull pump punish pupil pure purse push puzzle
    quality quarter queue quick quit race radio railway rain raise range rank rare rate raw reach react ready real
    reason receipt receive recipe record recover reduce refuse regard region regret relate relax release rely remain
    remark remind remove rent repeat reply report request rescue research reserve resist respect rest result retire
    return reveal reward rice ride rifle rise risk river road roast rob rock role roll roof root rough round route row
    royal rub rubber rubbish rude ruin rule rumour rush sack sad saddle safe salad salary salt sand satellite sauce
    sausage save scale scatter scene scheme school science score scratch scream screen screw sea search season seat
    second secret section seed seek select senior sense separate series serve settle shade shadow shake shape share
    sharp shave sheet shelter shift shine shirt shock shoot shore shoulder shout shower shrink shut sick side sight
    sign signal silence silk silver similar sink sister site size skill skin skirt sky sleep slice slide slip slope
    smart smell smile smoke smooth snap snow soap soft soil soldier solid solve son sort soul sound source south space
    spare speak special speech speed spell spend spider spill spin spirit split spoil sport spot spray spread spring
    square squeeze stable staff stage stair stamp stand star stare start state station statue stay steam steel steep
    stick stiff still sting stir stock stomach stop store storm story straight strange stranger straw stream street
    strike string strip student study stuff style subject succeed sudden suffer sugar suggest suit summer sun supper
    supply support sure surface surprise surround survive swear sweat sweep swell swing switch sword symbol system tail
    talent talk tall tank tap target task taste tax tea team tear telephone temper temple tent term test thank theatre
    theory thick thief thing think thread threat throat throne thumb thunder ticket tide tie tight timber tin tip tire
    title toast tobacco toe tongue tool tooth top torch total touch tour tower toy track trade tradition traffic trail
    train transfer trap travel treasure treat treaty trend trial tribe trick trouble trousers truck trunk trust truth
    tube tune tunnel turn twin twist type uncle uniform union unit upper urgent use usual vacant valley value van
    variety vegetable vehicle verse vessel victim victory view village violent virtue visa visit visitor vital voice
    volume vote voyage wage wagon waist wait wake walk wall wander want war warm warn waste watch water wave wax way
    wealth weapon wear weather weave wedding weed week weigh welcome west wheat wheel whip whisper whistle widow width
    wife wild willing wind window wine wing winter wipe wire wish witness wolf wonder wood wool work world worry
    worth wound wrap wreck wrist yard year yell youth zone""".split()
KNOWN = COMMON + ANIMALS + CITIES + COLOURS + FOODS + GIRLS + JOBS + OBJECTS + PEOPLE + QUALITIES + ROOMS
# Words that say what is asked, and those of the assistant's own forms: they stay.
STAY = frozenset(
    """a about after again all am an and answer any are as ask asked at be been before best but by call called can code
    copy could did do does double down find for forgot forget from get give go had half has have he hello help her
    here hi him his hold how i if in into is it its just know like list look made make many me mine minus more most
    much must my name named need new next nice no not note noted nothing now number of off old on one only or other
    our out over own part people place please plus put question read remember repeat said same say says she should so
    some stand stands still take tell text than thank thanks that the their them then there they thing think this
    those time times to told too twice two up us use used user value was we what when where which who whole whom whose
    will with word would write you your""".split()
)
WORD = re.compile(r"[^\W\d_]{2,}")
ENDINGS = ("ing", "ed", "es", "s", "d")


def _stem(word: str) -> tuple[str, str]:
    """(the word without its ending, the ending)."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending), ending
    return word, ""


def blended(rng: random.Random) -> str:
    """The head of a known word before the tail of another one."""
    head, tail = rng.choice(KNOWN).lower(), rng.choice(KNOWN).lower()
    return head[: rng.randrange(1, len(head) + 1)] + tail[rng.randrange(len(tail)) :]


def odd(rng: random.Random) -> str:
    """What is no word: marks of letters and digits, with signs between."""
    letters = "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randrange(1, 4)))
    number = rng.randrange(2, rng.choice((10, 100, 1000, 10000)))
    first, second = rng.choice(KNOWN).lower(), rng.choice(KNOWN).lower()
    return rng.choice(
        (
            f"{letters}{number}", f"{letters}-{number}", f"{letters} {number}", f"{first}-{second}",
            f"{first}-{second}-{number}", f"{first}{number}", f"{first}_{second}", f"{first}@{second}.com",
            f"{first}.{second}", f"{number}{letters.lower()}", f"{number}/{rng.randrange(2, 90)}",
            f"{rng.randrange(24)}:{rng.randrange(10, 60)}",
        )
    )  # fmt: skip


def word(rng: random.Random) -> str:
    """A small word, known or not."""
    make: Callable[[random.Random], str] = rng.choice((_common, _common, blended, blended, _strange))
    return make(rng)


def _common(rng: random.Random) -> str:
    return rng.choice(COMMON)


def _strange(rng: random.Random) -> str:
    return accented(rng, invented(rng)).lower()


def reworded(maker: Callable[[random.Random], Example]) -> Callable[[random.Random], Example]:
    """Makes a maker's examples, of which some words that the user says are others wherever they are said."""

    def make(rng: random.Random) -> Example:
        return _changed(rng, maker(rng))

    return make


def _changed(rng: random.Random, example: Example) -> Example:
    said = " ".join(m["content"] for m in example.messages if m["role"] in ("user", "text"))
    stems = sorted({_stem(w)[0] for w in map(str.lower, WORD.findall(said)) if w not in STAY} - STAY)
    share = rng.random()
    others: dict[str, str] = {}
    taken = set(stems)
    for stem in stems:
        if rng.random() < share:
            other = odd(rng) if rng.random() < 0.06 else word(rng)
            if other not in taken and other not in STAY:
                taken.add(other)
                others[stem] = other

    def change(text: str) -> str:
        return WORD.sub(lambda found: _other(found[0], others), text)

    messages = [
        {key: change(value) if key in ("content", "reasoning_content") else value for key, value in m.items()}
        for m in example.messages
    ]
    return replace(example, messages=messages, answers=tuple(map(change, example.answers)))


def _other(word: str, others: dict[str, str]) -> str:
    """What stands for a word, large as it is and with its ending."""
    small = word.lower()
    stem, ending = _stem(small)
    if small in STAY or stem not in others:
        return word
    other = others[stem] + (ending if others[stem].isalpha() else "")
    return cap(other) if word[0].isupper() else other


def echo(rng: random.Random) -> Example:
    """Sentences of any words that come again, as plain text, at times after others that begin alike."""
    lines = []
    for _ in range(rng.randrange(1, 6)):
        items = [odd(rng) if rng.random() < 0.08 else word(rng) for _ in range(rng.randrange(3, 12))]
        if lines and rng.random() < 0.4:
            same = lines[-1].rstrip(".").split(" ")
            items[: rng.randrange(1, len(same) + 1)] = same[: rng.randrange(1, len(same) + 1)]
        line = " ".join(cap(w) if rng.random() < 0.15 else w for w in items)
        lines.append(cap(line) + ".")
    again = list(lines)
    rng.shuffle(again)
    return Example("echo", lines[0], [{"role": "text", "content": " ".join(lines) + "\n" + "\n".join(again)}])
