"""The words of the small world that the curriculum speaks of."""

import random

GIRLS = """Mia Anna Emma Lily Sara Nora Ella Rosa Ida Clara Lucy Ruth Alice Eva Maya Zoe Lena Julia Hanna Grace Amy Kate
    Jane Mary Sophie Olivia Nina Vera Tina Ellen""".split()
BOYS = """Tom Ben Max Leo Sam Jack Paul Adam Noah Finn Oscar Peter Hugo Emil Felix Theo Luke Mark Daniel David Jonas
    Karl Simon Eric Oliver Henry John James Robert Martin""".split()
ANIMALS = """fox rabbit bear mouse cat dog owl frog duck squirrel hedgehog wolf deer lion tiger elephant monkey turtle
    bird horse pig sheep goat cow hen bee ant snail fish whale dragon penguin crow swan beaver otter mole badger kitten
    puppy lamb pony donkey camel giraffe zebra panda parrot eagle crab dolphin seal spider butterfly""".split()
PEOPLE = """girl boy farmer king queen princess prince baker fisherman sailor teacher robot knight wizard giant
    shepherd gardener painter doctor pilot""".split()
PLACES = """forest meadow village garden valley field park town wood castle jungle harbour""".split()
ADJECTIVES = """little brave clever kind small young old lonely curious happy shy gentle hungry quiet quick proud lazy
    friendly honest careful funny tiny wise cheerful""".split()
COLOURS = "red blue green yellow white black brown pink purple grey silver golden".split()
OBJECTS = """ball kite book lamp key hat boat drum basket blanket cup bell coin ring box scarf map rope candle flute
    stone feather shell mirror apple cake flower spoon umbrella button clock pen bag shoe bottle chair table doll bike
    violin piano guitar ticket letter picture plate knife coat glove pillow ladder hammer bucket brush""".split()
FOODS = """bread cheese apples berries nuts honey soup cake carrots milk pears plums rice eggs pie cherries grapes corn
    butter potatoes beans tomatoes oranges lemons cookies""".split()
ROOMS = """kitchen garden library bedroom bathroom office cellar attic garage hall school market museum station hospital
    park bakery church hotel shop""".split()
CITIES = """Paris Rome London Berlin Madrid Vienna Oslo Prague Lisbon Dublin Athens Cairo Tokyo Beijing Delhi Moscow
    Sydney Toronto Chicago Boston Lima Nairobi Helsinki Stockholm Warsaw Budapest Brussels Amsterdam Copenhagen Zurich
    Geneva Munich Hamburg Milan Naples Venice Florence Barcelona Seville Porto Lyon Nice Geneva Istanbul Ankara Seoul
    Shanghai Bangkok Hanoi Manila Jakarta Singapore Dubai Lagos Accra Tunis Casablanca Havana Bogota Quito Santiago
    Denver Seattle Austin Miami Montreal Vancouver Melbourne Auckland""".split()
JOBS = """baker teacher doctor painter pilot farmer nurse cook driver writer singer dancer lawyer judge tailor
    carpenter gardener soldier sailor plumber""".split()
HOBBIES = """chess tennis swimming painting dancing singing reading cooking fishing running skating sailing football
    cycling climbing drawing gardening hiking""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
CONDITIONS = ["sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy", "dry", "humid", "light rain"]
QUALITIES = """hot cold big small fast slow happy sad light dark high low young old good bad full empty open closed hard
    soft wet dry early late loud quiet near far long short strong weak rich poor left right day night clean dirty thick
    thin sweet sour heavy inside outside""".split()
SHORT_WORDS = sorted(
    {w for w in ANIMALS + OBJECTS + COLOURS + FOODS + PLACES + ROOMS + PEOPLE + JOBS + QUALITIES if 3 <= len(w) <= 8}
)
ONSETS = "b d f g k l m n p r s t v z br dr gr kr st tr fl bl sh th ch".split()
VOWELS = "a e i o u ai ea ou".split()
ACCENTED = {"a": "äåáâ", "e": "éèêë", "i": "íî", "o": "öøóô", "u": "üúů", "c": "čç", "n": "ñń", "s": "šß"}
ENDS = ["", "n", "l", "r", "s", "m", "k", "t", "nd", "x"]


def invented(rng: random.Random) -> str:
    """A name that nobody has, of two or three syllables."""
    syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.choice((2, 2, 3)))]
    return ("".join(syllables) + rng.choice(ENDS)).capitalize()


def accented(rng: random.Random, name: str) -> str:
    """The name, at times with a letter that English has not."""
    if rng.random() < 0.8:
        return name
    letter = rng.choice("aeioucns")
    return name.replace(letter, rng.choice(ACCENTED[letter]), 1)


def person(rng: random.Random) -> str:
    return accented(rng, invented(rng)) if rng.random() < 0.3 else rng.choice(GIRLS + BOYS)


def people(rng: random.Random, count: int) -> list[str]:
    """Names that differ."""
    names: list[str] = []
    while len(names) < count:
        name = person(rng)
        if name not in names:
            names.append(name)
    return names


def city(rng: random.Random) -> str:
    return accented(rng, invented(rng)) if rng.random() < 0.3 else rng.choice(CITIES)


def number_word(rng: random.Random) -> str:
    return rng.choice(NUMBERS[1:])


def code(rng: random.Random) -> str:
    """A password: digits, or letters and digits."""
    if rng.random() < 0.6:
        return "".join(rng.choice("0123456789") for _ in range(rng.choice((3, 4, 4, 5, 6))))
    return f"{rng.choice(COLOURS)}-{rng.randrange(10, 100)}"
