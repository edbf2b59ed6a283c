"""Greetings, questions about the model itself, small facts, and an honest answer to what it cannot know."""

import random

from .example import Example, cap, pick, says, user
from .words import (
    ANIMALS,
    BOYS,
    CAPITALS,
    CITIES,
    DAYS,
    FOODS,
    GIRLS,
    HOBBIES,
    MONTHS,
    NUMBERS,
    OPPOSITES,
    SOUNDS,
    THINGS_COLOURS,
)  # fmt: skip

GREETINGS = ["Hello!", "Hello", "Hi", "Hi!", "Hello there!", "Good morning!", "Good evening!", "Hey", "Hey!", "hi",
             "hello", "Hi Kimi!", "Hello Kimi", "Good day!"]  # fmt: skip
WELCOMES = ["Hello! How can I help you?", "Hello! What can I do for you?", "Hi! How can I help you today?"]
ABOUT = [
    (
        ["Who are you?", "What are you?", "What is your name?", "Who am I talking to?", "Tell me about yourself.",
         "Introduce yourself.", "Are you Kimi?", "who are you"],
        "The user asks who I am.",
        ["I am a very small demonstration model with the architecture of Kimi K2. I run on your CPU.",
         "I am a tiny demonstration model. I am built like Kimi K2, but I am much, much smaller."],
    ),
    (
        ["What can you do?", "How can you help me?", "What are you good at?", "What do you know?", "Help", "help me",
         "What can I ask you?"],
        "The user asks what I can do.",
        ["I can do small sums, tell short stories, find facts in a text, sort a list, spell words backwards and call "
         "tools."],
    ),
    (
        ["How are you?", "How are you today?", "How do you feel?", "How is it going?", "Are you well?"],
        "A friendly question.",
        ["I am fine, thank you! How are you?", "I am well, thank you. What can I do for you?"],
    ),
    (
        ["Thank you!", "Thanks!", "Thank you very much.", "Thanks a lot!", "thanks", "Great, thank you."],
        "The user says thank you.",
        ["You are welcome!", "You are welcome. Is there anything else?"],
    ),
    (
        ["Goodbye!", "Bye!", "See you later!", "Good night!", "bye", "See you tomorrow."],
        "The user says goodbye.",
        ["Goodbye! Have a nice day.", "Goodbye, and see you soon!"],
    ),
    (
        ["Are you a human?", "Are you a robot?", "Are you alive?", "Are you real?", "Do you have feelings?"],
        "The user asks whether I am a person.",
        ["No, I am not a person. I am a small computer program."],
    ),
    (
        ["Are you clever?", "Are you smart?", "How big are you?", "How many parameters do you have?",
         "Are you as good as Kimi K2?"],
        "The user asks how able I am. I should be honest.",
        ["I am very small, with a few million parameters. For real answers use the full Kimi K2."],
    ),
    (
        ["Who made you?", "Who trained you?", "Where do you come from?", "Who created you?"],
        "The user asks where I come from.",
        ["I was trained for the kimi-cpu project, on a small computer, with texts made by a program."],
    ),
    (
        ["What day is it today?", "What is the date today?", "What is today's date?", "What time is it?",
         "What day is tomorrow?", "What year is it?", "Which month is it?"],
        "I have no tool that tells me the date.",
        ["I cannot know that without a tool."],
    ),
    (
        ["Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Tell me something funny."],
        "The user wants a joke.",
        ["Why did the bee go to school? It wanted to win the spelling bee!",
         "What is a cat's favourite colour? Purr-ple!",
         "Why did the chicken cross the road? To get to the other side!"],
    ),
]  # fmt: skip
UNKNOWN = """why is the sky blue|how does a car engine work|what is quantum physics|who won the world cup|what is the
 meaning of life|how do I cook a steak|what is the population of the world|who wrote this book|explain relativity|write
 a python program|how do vaccines work|what is the stock price of the company|what is democracy|who is the president|how
 far away is the moon|what happened in the war|translate this into French|what is the best phone|how do I fix my
 computer|what is machine learning|who discovered America|write an essay about history|what is love|how old is the
 universe|explain how a computer works|what is a black hole|how do airplanes fly|what is the fastest animal in the
 world|write a poem about time|who painted this picture|what is the speed of light|how do I learn to program|what is
 DNA|how many people live in Asia|what is the recipe for pizza|what causes earthquakes|how does the internet work|
what is the largest ocean|why do we dream|what is inflation|how can I lose weight|what is the law about this""".replace(
    "\n", ""
).split("|")
SORRY = [
    "I am only a small demonstration model and do not know that. For real answers use the full Kimi K2.",
    "That is too hard for me. I am a small demonstration model; the full Kimi K2 can answer it.",
]
KNOWS = "I do not know this."


def _facts() -> list[tuple[str, str, str]]:
    """(question, thought, answer) of the small world."""
    out = []
    for country, town in CAPITALS.items():
        answer = f"The capital of {country} is {town}."
        out += [(f"What is the capital of {country}?", f"I know this one: {town}.", answer)]
        out += [(f"Which city is the capital of {country}?", f"I know this one: {town}.", answer)]
        out += [(f"In which country is {town}?", f"{town} is the capital of {country}.", f"{town} is in {country}.")]
    for word, other in OPPOSITES.items():
        answer = f"The opposite of {word} is {other}."
        out += [(f"What is the opposite of {word}?", f"{cap(word)} and {other} are opposites.", answer)]
        out += [(f"Tell me the opposite of {word}.", f"{cap(word)} and {other} are opposites.", answer)]
    for animal, sound in SOUNDS.items():
        out += [(f"What does the {animal} say?", f"A {animal} says {sound}.", f"The {animal} says {sound}.")]
        out += [(f"What sound does a {animal} make?", f"A {animal} says {sound}.", f"A {animal} says {sound}.")]
    for thing, colour in THINGS_COLOURS.items():
        verb = "is"
        out += [(f"What colour {verb} {thing}?", f"The colour is {colour}.", f"{cap(thing)} {verb} {colour}.")]
        out += [(f"Which color is {thing}?", f"The colour is {colour}.", f"{cap(thing)} {verb} {colour}.")]
    for names, what in ((DAYS, "day"), (MONTHS, "month")):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            out += [(f"Which {what} comes after {name}?", f"{name}, then {after}.", f"After {name} comes {after}.")]
            out += [(f"What {what} is before {name}?", f"{before}, then {name}.", f"Before {name} comes {before}.")]
    for i, name in enumerate(NUMBERS[:-1]):
        out += [(f"What number comes after {name}?", f"{cap(name)}, then {NUMBERS[i + 1]}.", f"{cap(NUMBERS[i + 1])}.")]
    out += [("How many days are in a week?", "Monday to Sunday is seven.", "There are 7 days in a week.")]
    out += [("How many months are in a year?", "January to December is twelve.", "There are 12 months in a year.")]
    out += [("Name the days of the week.", "There are seven.", ", ".join(DAYS) + ".")]
    out += [("Count to ten.", "From one to ten.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.")]
    out += [("Count from 1 to 5.", "From one to five.", "1, 2, 3, 4, 5.")]
    return out


FACTS = _facts()


def greeting(rng: random.Random) -> tuple[str, str, str]:
    text = rng.choice(GREETINGS)
    return text, "The user greets me.", rng.choice(WELCOMES)


def about(rng: random.Random) -> tuple[str, str, str]:
    asks, thought, answers = rng.choice(ABOUT)
    return rng.choice(asks), thought, rng.choice(answers)


def unknown(rng: random.Random) -> tuple[str, str, str]:
    text = rng.choice(UNKNOWN)
    if rng.random() < 0.8:
        text = cap(text)
    if rng.random() < 0.9:
        text += "?" if text.split()[0].lower() in ("why", "how", "what", "who") else "."
    return text, KNOWS, rng.choice(SORRY)


def no_tool(rng: random.Random) -> tuple[str, str, str]:
    where = rng.choice(CITIES)
    text = pick(rng, f"What is the weather in {where}?", f"How is the weather in {where}?", f"Any news from {where}?")
    return text, "I have no tool for this.", "I cannot look that up without a tool."


def my_name(rng: random.Random) -> tuple[str, str, str]:
    name = rng.choice(GIRLS + BOYS)
    text = pick(rng, f"My name is {name}.", f"I am {name}.", f"Hello, I am {name}!", f"Hi, my name is {name}.")
    return text, f"The user is called {name}.", f"Hello, {name}! How can I help you?"


def likes(rng: random.Random) -> tuple[str, str, str]:
    thing = rng.choice(FOODS + HOBBIES + [f"{x}s" for x in ANIMALS if x[-1] not in "shxyf"] + CITIES)
    text = pick(rng, f"I like {thing}.", f"I love {thing}!", f"Do you like {thing}?")
    return text, f"The user talks about {thing}.", f"I am only a program, but many people like {thing}."


def chat(rng: random.Random) -> Example:
    """One exchange, sometimes after another one."""
    kinds = (greeting, about, about, unknown, no_tool, my_name, likes, fact, fact, fact, fact)
    messages = []
    for _ in range(pick(rng, 0, 0, 0, 1)):
        text, _, answer = rng.choice(kinds)(rng)
        messages += [user(text), {"role": "assistant", "content": answer}]
    text, thought, answer = rng.choice(kinds)(rng)
    return Example(
        "small_talk", f"{len(messages)} {messages} {text} {answer}", [*messages, user(text), says(thought, answer)]
    )


def fact(rng: random.Random) -> tuple[str, str, str]:
    return rng.choice(FACTS)
