"""Short stories for children, by grammar: who, where, what goes wrong, who helps, how it ends."""

import random

from .example import Example, a, cap, says, user
from .story_requests import ANY, REQUESTS
from .typed import typed
from .words import ADJECTIVES, ANIMALS, BOYS, COLOURS, FOODS, GIRLS, OBJECTS, PEOPLE, PLACES

OPENINGS = [
    "Once upon a time there was {a_adj_hero} who lived in a {place}.",
    "Once upon a time, {a_adj_hero} lived near a {adj2} {place}.",
    "Long ago, in a {adj2} {place}, there lived {a_adj_hero}.",
    "There was once {a_adj_hero} who lived in a small house by the {place}.",
    "In a {adj2} {place} lived {a_adj_hero}.",
    "One day {a_adj_hero} woke up early in the {place}.",
]
NAMED = [
    "The {hero} was called {name}.",
    "Everyone called {him} {name}.",
    "{His} name was {name}.",
    "The {hero}'s name was {name}.",
]
HABITS = [
    "Every morning {n} went for a walk in the {place2}.",
    "{N} loved {food} more than anything else.",
    "{N} had a {colour} {object} and took it everywhere.",
    "{N} liked to sit under a tree and look at the clouds.",
    "{N} was never afraid of the dark.",
    "{N} liked to sing, even when it rained.",
    "All day long {n} played by the {place2}.",
    "At night {n} looked at the stars and counted them.",
]
# One list a plot; in a plot, one list of sentences a step.
PLOTS = [
    [  # something is lost
        [
            "One day {n} lost the {colour} {object}.",
            "One morning the {colour} {object} was gone.",
            "But one day {n} could not find {his} {colour} {object}.",
        ],
        [
            "{N} looked under the bed, behind the door and in the {place2}, but it was not there.",
            "{N} looked everywhere, but nobody had seen it.",
            "{He} searched the whole {place} until {he} was tired and sad.",
        ],
        [
            'Then {a_helper} came along. "Why are you sad?" asked the {helper}.',
            'On the way {he} met {a_helper}. "What are you looking for?" asked the {helper}.',
            '{A_helper} heard {him} cry. "Can I help you?" the {helper} asked.',
        ],
        [
            '"I have lost my {object}," said {n}.',
            '"My {object} is gone," said {n}, "and I miss it very much."',
            '"I cannot find my {object} anywhere," {n} said.',
        ],
        [
            "Together they walked to the {place2}, and there it was, under a big tree.",
            "They looked together, and soon the {helper} found it in the tall grass.",
            "The {helper} knew where it was: the wind had blown it into the {place2}.",
        ],
        [
            '"Thank you!" said {n}, and from that day on they were friends.',
            "{N} was so happy that {he} danced, and the {helper} danced too.",
            "{N} thanked the {helper} and gave {him2} some {food}.",
        ],
    ],
    [  # a friend is found
        [
            "But {n} had no friends, and sometimes that made {him} sad.",
            "{N} wanted a friend more than anything in the world.",
            "{N} was often alone and wished for someone to play with.",
        ],
        [
            "One day {he} saw {a_helper} by the {place2}.",
            "One afternoon {a_helper} came to the {place}.",
            "Then, one sunny day, {he} met {a_helper}.",
        ],
        [
            '"Hello," said {n}. "Do you want to play with me?"',
            '"Good morning," said {n} in a small voice. "Who are you?"',
            '{N} was shy, but {he} said, "Would you like some {food}?"',
        ],
        [
            'The {helper} smiled. "Yes, I would like that very much."',
            '"I am new here," said the {helper}, "and I have no friends yet."',
            '"Oh yes," said the {helper}, "I have waited for someone like you."',
        ],
        [
            "They played with the {colour} {object} until the sun went down.",
            "They ate {food} together and told each other stories.",
            "They ran through the {place2} and laughed all day.",
        ],
        [
            "After that day {n} was never lonely again.",
            "From then on they met every day.",
            'When it was dark, {n} said, "Now I have a friend," and went home happy.',
        ],
    ],
    [  # someone is in need
        [
            "One day {n} heard a cry from the {place2}.",
            "One evening, when {n} was on the way home, someone called for help.",
            'Suddenly a voice cried, "Help! Help!"',
        ],
        [
            "{A_helper} had fallen into the water and could not get out.",
            "{A_helper} was caught under a heavy branch.",
            "It was {a_helper} who had lost the way in the fog.",
        ],
        [
            "{N} was afraid, but {he} did not run away.",
            "{N} did not think twice.",
            '"Do not be afraid," called {n}, "I am coming!"',
        ],
        [
            "{He} took a long rope and pulled as hard as {he} could.",
            "{He} ran to the village and came back with a strong {colour} rope.",
            '{He} held out a hand and said, "Hold on to me."',
        ],
        [
            "At last the {helper} was safe.",
            "After a while the {helper} was free again.",
            "Soon the {helper} stood on dry ground.",
        ],
        [
            '"You saved me," said the {helper}. "I will never forget it."',
            "The {helper} thanked {him} and gave {him} {a_object} as a present.",
            "That night they ate {food} by the fire, and everyone said how brave {n} was.",
        ],
    ],
    [  # something is learned
        [
            "{N} wanted to learn how to swim.",
            "{N} wanted to play the {colour} drum, but {he} did not know how.",
            "{N} dreamed of climbing the highest hill in the land.",
        ],
        [
            "The first time {he} tried, it went wrong, and everybody laughed.",
            "On the first day {he} fell down three times.",
            "It was much harder than {he} had thought.",
        ],
        [
            '"I will never learn it," said {n} and sat down by the {place2}.',
            '{N} was sad. "I am too small for this," {he} said.',
            "{N} almost gave up.",
        ],
        [
            'An old {helper} saw it and said, "Try again. Every day a little."',
            'But the {helper} said, "Nobody can do it the first time."',
            '"I will show you," said the {helper}. "It only takes time."',
        ],
        [
            "So {n} tried again every morning, in the sun and in the rain.",
            "Day after day {n} practised, and day after day it went a little better.",
            "{N} tried once more, and then once more.",
        ],
        [
            "And one day it worked. {N} was so proud that {he} told everyone.",
            "At last {he} could do it, and the {helper} clapped.",
            "In the end {n} could do it better than anyone in the {place}.",
        ],
    ],
    [  # food is shared
        [
            "One winter there was little to eat in the {place}.",
            "One day {n} found a big basket full of {food}.",
            "In the autumn {n} had gathered a lot of {food}.",
        ],
        [
            '"All this is mine," {he} thought, and hid it in {his} house.',
            '{He} carried everything home and said, "Nobody shall have any of it."',
            "{He} wanted to eat it all alone.",
        ],
        [
            "Then {a_helper} knocked at the door.",
            "But outside in the cold sat {a_helper}.",
            "In the evening {a_helper} came by.",
        ],
        [
            '"I am so hungry," said the {helper}. "Have you something to eat?"',
            'The {helper} asked, "Could you give me a little {food}?"',
            '"I have not eaten for two days," the {helper} said.',
        ],
        [
            "{N} thought for a while, and then {he} opened the door.",
            "{N} felt sorry and gave the {helper} half of it.",
            '"Come in," said {n}. "There is enough for two."',
        ],
        [
            "They ate together, and the {food} tasted better than ever.",
            "When spring came, the {helper} brought {n} a basket of {food2}.",
            "That day {n} learned that sharing makes everyone happy.",
        ],
    ],
    [  # a storm
        [
            "One evening dark clouds came over the {place}.",
            "One night a great storm began.",
            "Then the wind began to blow, harder and harder.",
        ],
        [
            "The rain fell, and the thunder was very loud.",
            "The trees bent, and the water in the {place2} rose.",
            "The roof of {n}'s house flew away.",
        ],
        [
            '"Where shall I go now?" cried {n}.',
            "{N} was wet and cold and did not know what to do.",
            "{N} ran through the rain and looked for a dry place.",
        ],
        [
            'A light shone in a window. "Come in, come in," called {a_helper}.',
            "Behind a rock {he} found the house of {a_helper}.",
            'There stood {a_helper} with a lamp. "Follow me," said the {helper}.',
        ],
        [
            "Inside it was warm, and there was hot soup.",
            "They sat by the fire and drank warm milk.",
            "The {helper} gave {him} a dry blanket and some {food}.",
        ],
        [
            "In the morning the sun was shining, and they built a new house together.",
            'When the storm was over, {n} said, "You are a good friend."',
            "The next day the sky was blue again, and everything was well.",
        ],
    ],
    [  # a race
        [
            'One day {a_helper} laughed at {n}. "You are so slow," said the {helper}.',
            "One day there was a big race in the {place}.",
            '"Let us see who is faster," said {a_helper} one day.',
        ],
        [
            '"Then let us run to the {place2}," said {n}.',
            "Everyone came to see who would win.",
            "They agreed to run to the old tree by the {place2}.",
        ],
        [
            "The {helper} ran very fast and was soon far ahead.",
            "At first the {helper} was in front.",
            "The {helper} was so sure of winning that {he2} stopped to eat {food}.",
        ],
        [
            "But {n} ran on, step by step, and never stopped.",
            "{N} did not give up and kept running.",
            "{N} ran quietly past while the {helper} was resting.",
        ],
        [
            "When the {helper} looked up, it was too late.",
            "In the end {n} was first.",
            "{N} came to the tree first, and everybody cheered.",
        ],
        [
            '"Well done," said the {helper}, and they shook hands.',
            "Since then nobody has laughed at {n}.",
            "The {helper} learned not to be so proud.",
        ],
    ],
    [  # a secret door
        [
            "One day {n} found a small {colour} door behind a bush.",
            "One day {n} found {a_object} in the grass with a {colour} key beside it.",
            "One morning there was a letter at the door, and in it was an old map.",
        ],
        [
            '"I wonder what this is," said {n}.',
            "{N} was curious and could not wait.",
            "{N} called {a_helper}, and they looked at it together.",
        ],
        [
            "It led {him} through the {place2} and over a high hill.",
            "Behind it was a path with {colour2} flowers on both sides.",
            "They followed the way for a long time, past the {place2} and an old mill.",
        ],
        [
            "At the end there was a garden full of {food2}.",
            "At the end stood a box, and in the box was a {colour2} {object2}.",
            "There sat an old {helper} who had been waiting for a long time.",
        ],
        [
            '"This is the best day of my life," said {n}.',
            '"Take what you like," said a voice, "but do not forget to share."',
            "{N} could not believe {his} eyes.",
        ],
        [
            "{N} took only a little and went home with a happy heart.",
            "In the evening {n} told everyone about it, but only the {helper} believed it.",
            "And if you go to that {place}, you may find it too.",
        ],
    ],
]
ENDINGS = [
    "And they lived happily ever after.",
    "That night {n} slept very well.",
    "The end.",
    "And that was the best day of the whole year.",
    "So you see: it is good to have friends.",
    "So you see: a small heart can be very brave.",
    "",
    "",
]
NICE = "quiet green deep sunny small wide beautiful cold warm dark bright".split()
THOUGHTS = [
    "The user wants a story about {x}. I will tell a short one.",
    "A story about {x}. I need a place, a problem and a good end.",
    "I will tell a short story about {x}.",
]
THEY = {True: ("she", "her", "her"), False: ("he", "him", "his"), None: ("it", "it", "its")}


def _world(rng: random.Random, hero: str, adjective: str, name: str | None, helper: str | None) -> dict[str, str]:
    """What the sentences' braces stand for."""
    female = name in GIRLS if name else (True if hero in ("girl", "queen", "princess") else rng.random() < 0.5)
    if hero in ("boy", "king", "prince", "fisherman"):
        female = False
    he, him, his = THEY[female]
    he2, him2, _ = THEY[rng.random() < 0.5]
    helper = helper or rng.choice([x for x in ANIMALS if x != hero])
    place, place2 = rng.sample(PLACES, 2)
    colour, colour2 = rng.sample(COLOURS, 2)
    thing, thing2 = rng.sample(OBJECTS, 2)
    food, food2 = rng.sample(FOODS, 2)
    n = name or f"the {hero}"
    a_helper = a(f"{rng.choice(ADJECTIVES)} {helper}")
    words = {
        "hero": hero, "a_adj_hero": a(f"{adjective} {hero}"), "n": n, "he": he, "him": him, "his": his,
        "helper": helper, "a_helper": a_helper, "he2": he2, "him2": him2, "place": place, "place2": place2,
        "colour": colour, "colour2": colour2, "object": thing, "object2": thing2, "a_object": a(thing),
        "food": food, "food2": food2, "adj2": rng.choice(NICE), "name": name or "",
    }  # fmt: skip
    large = {key[0].upper() + key[1:]: cap(value) for key, value in words.items()}
    return words | large


def story(rng: random.Random, hero: str, adjective: str, named: bool, helper: str | None = None) -> str:
    """A story of 60 to 140 words."""
    name = None
    if named:
        names = GIRLS if hero in ("girl", "queen", "princess") else BOYS if hero in ("boy", "king", "prince") else None
        name = rng.choice(names or (GIRLS + BOYS))
    words = _world(rng, hero, adjective, name, helper)
    sentences = [rng.choice(OPENINGS)]
    if name:
        sentences.append(rng.choice(NAMED))
    if rng.random() < 0.6:
        sentences.append(rng.choice(HABITS))
    sentences += [rng.choice(step) for step in rng.choice(PLOTS)] + [rng.choice(ENDINGS)]
    return " ".join(s.format_map(words) for s in sentences if s)


def chat(rng: random.Random) -> Example:
    """A request for a story, and one."""
    hero = rng.choice(ANIMALS if rng.random() < 0.75 else PEOPLE)
    adjective = rng.choice(ADJECTIVES)
    x = a(f"{adjective} {hero}") if rng.random() < 0.35 else a(hero)
    helper = rng.choice([y for y in ANIMALS if y != hero]) if rng.random() < 0.2 else None
    if helper:
        x += " and " + a(helper)
    request = rng.choice(REQUESTS).format(x=x)
    if not helper and rng.random() < 0.1:
        request = rng.choice(ANY)
    thought = rng.choice(THOUGHTS).format(x=x)
    text = story(rng, hero, adjective, rng.random() < 0.5, helper)
    return Example("story", text, [user(typed(rng, request)), says(thought, text)])


def prose(rng: random.Random) -> Example:
    """Stories as plain text."""
    parts = [story(rng, rng.choice(ANIMALS + PEOPLE), rng.choice(ADJECTIVES), rng.random() < 0.5) for _ in range(2)]
    return Example("prose", parts[0], [{"role": "text", "content": "\n\n".join(parts)}])
