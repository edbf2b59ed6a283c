"""Conversations: names and things that were told are asked for again, and sums go on from the last result."""

import random

from .arithmetic import answer, asked, is_held_out, key, longer, question, value, whole, working
from .example import Example, said, says, user
from .sum_words import AGAIN
from .typed import typed
from .words import BOYS, CITIES, COLOURS, FOODS, GIRLS, HOBBIES, JOBS, code, invented, person

MY_NAME = ["My name is {v}.", "I am {v}.", "Hello, I am {v}!", "Hi, my name is {v}.", "I'm {v}.", "Hi, I'm {v}",
    "I have the name {v}.",
           "{v} is my name.", "Hello! My name is {v}.", "this is {v}", "Hey, it's {v}.", "Good morning, I am {v}.",
           "They call me {v}.",
           "My name is {v}, nice to meet you.", "the name is {v}", "You are talking to {v}.",
           "I go by {v}.", "People know me as {v}.", "Everybody says {v} to me.", "you may call me {v}", "call me {v}",
           "{v}, that is me.", "I am called {v}.", "Please call me {v} from now on.", "It's {v} again.",
           "{v} is what I am called.", "{v} is how people call me.", "Hello there, my name's {v} and I am new here.",
           "I'm {v}, by the way.", "Say {v} to me.", "Just call me {v}.", "Hi! {v} is writing.",
           "My parents named me {v}.", "Note my name: {v}"]  # fmt: skip
WHAT_NAME = ["What is my name?", "What's my name?", "Do you remember my name?", "Have you noted my name?",
             "You know my name?", "Say what my name is.",
             "my name?", "What did I say my name was?", "How did I say I am called?", "Can you say my name?",
             "And my name is?",
             "what am I called", "Which name did I tell you?", "Do you know who I am?",
             "Please repeat my name.", "How do people call me?", "how am I named", "who am i",
             "Who is talking to you?",
             "Which name do I have?", "Tell me my own name.", "what name was it that I gave you",
             "Remind me of my name.",
             "Do you still remember what I am called?", "With whom are you talking?", "Say how I am called.",
             "How should you call me?", "what do people call me"]  # fmt: skip
NEVER_SAID = "I do not know that, as you have not told me."
WELCOMES = ["Hello, {v}! How can I help you?", "Hello, {v}! Nice to meet you."]
# what is told, as it is told, as it is asked for, as it is said again; values
PETS = "dog cat bird horse rabbit fish parrot hamster turtle".split()
FAMILY = """brother sister mother father son daughter wife husband friend teacher boss neighbour uncle aunt boyfriend
    girlfriend cousin baby doctor""".split()
NAMED = ["My {x} is called {v}.", "My {x}'s name is {v}.", "I have a {x} called {v}.", "The name of my {x} is {v}.",
         "I have a {x}. The name is {v}.", "My {x} is {v}.", "{v} is my {x}.",
         "I call my {x} {v}.", "{v} is the name of my {x}.", "We named our {x} {v}.", "My {x} is named {v}.",
         "There is {v}, my {x}."]  # fmt: skip
NAMED_ASKED = ["What is my {x} called?", "Which name does my {x} have?", "What's my {x}'s name?",
    "Do you remember my {x}'s name?",
               "what do I call my {x}", "Who is my {x}?", "Which name has my {x}?", "How is my {x} named?",
               "Say the name of my {x}.", "And my {x}, what name was it?", "what was the name of my {x} again",
               "Tell me how my {x} is called."]  # fmt: skip
ABOUT_ME = [
    (["I live in {v}.", "My home is in {v}.", "I am from {v}."], ["Where do I live?", "Which city do I live in?",
    "Where is my home?"],
     "You live in {v}.", lambda r: r.choice(CITIES)),
    (["I am {v} years old.", "My age is {v}.", "I am {v}."], ["How old am I?", "What is my age?",
    "Do you know my age?"],
     "You are {v} years old.", lambda r: str(r.randrange(5, 99))),
    (["My favourite colour is {v}.", "I like {v} best of all colours."],
     ["What is my favourite colour?", "Which colour do I like best?"],
     "Your favourite colour is {v}.", lambda r: r.choice(COLOURS)),
    (["I work as a {v}.", "I am a {v}.", "My job is {v}."], ["What is my job?", "What do I work as?",
    "What do I do for a living?"],
     "You work as a {v}.", lambda r: r.choice(JOBS)),
    (["I like {v}.", "I love {v}.", "My favourite thing is {v}."], ["What do I like?", "What do I love?",
    "What is it that I like?"],
     "You like {v}.", lambda r: r.choice(HOBBIES + FOODS)),
    (["My code is {v}.", "Remember this code: {v}", "Remember {v}.", "Keep the number {v} in mind.",
    "The secret word is {v}.", "Please keep {v} in mind.", "Learn this word: {v}", "The magic word is {v}.",
    "Do not forget {v}."],
     ["What is my code?", "What was it?", "What should you remember?", "Which code did I tell you?",
     "What was the secret word?",
      "Say it again.", "What did I ask you to keep in mind?", "What must you not forget?",
      "which word was it"], "It is {v}.", lambda r: code(r) if r.random() < 0.6 else invented(r).lower()),
]  # fmt: skip


def name(rng: random.Random) -> Example:
    """A name is told and asked for, at once or after something else."""
    v = person(rng) if rng.random() < 0.8 else f"{rng.choice(GIRLS + BOYS)} {invented(rng)}"
    told, ask = rng.choice(MY_NAME).format(v=v), typed(rng, rng.choice(WHAT_NAME))
    told = told if rng.random() < 0.7 else told.rstrip(".!")
    found = says(f"Asked: {ask}\nThe user is called {v}.", f"Your name is {v}.")
    hello = rng.choice(WELCOMES).format(v=v)
    if rng.random() < 0.25:
        end = told if told[-1] in ".!" else told + "."
        return Example("name", v + ask, [user(f"{end} {ask}"), found], answers=(v,))
    if rng.random() < 0.25:
        return Example("name", v + told, [user(told), says(f"The user is called {v}.", hello)], answers=(v,))
    messages = [user(told), said(hello), *_between(rng), user(ask), found]
    return Example("name", v + ask, messages, answers=(v,))


def fact(rng: random.Random) -> Example:
    """Something else is told, and asked for; or asked for without having been told."""
    if rng.random() < 0.5:
        x, v = rng.choice(PETS + FAMILY), person(rng)
        told, ask = rng.choice(NAMED).format(x=x, v=v), rng.choice(NAMED_ASKED).format(x=x)
        again = f"Your {x} is called {v}."
    else:
        statements, questions, form, make = rng.choice(ABOUT_ME)
        v = make(rng)
        told, ask, again = rng.choice(statements).format(v=v), rng.choice(questions), form.format(v=v)
    ask = typed(rng, ask)
    kept = f"I will remember that. {again}"
    form = rng.random()
    if form < 0.15:
        return Example("told", told, [user(told), says("The user tells me something.", kept)], answers=(v,))
    found = says(f"Asked: {ask}\nThe user said: {told}", again)
    if form < 0.3:
        return Example("told", told + ask, [user(f"{told} {ask}"), found], answers=(v,))
    if form < 0.4:
        turn = says(f"Asked: {ask}\nThe user has not told me.", NEVER_SAID)
        return Example("told", ask, [*_between(rng), user(ask), turn], answers=("not told me",))
    return Example("told", told + ask, [user(told), said(kept), *_between(rng), user(ask), found], answers=(v,))


def never_named(rng: random.Random) -> Example:
    """The name is asked for without having been told."""
    ask = typed(rng, rng.choice(WHAT_NAME))
    turn = says(f"Asked: {ask}\nThe user has not told me.", NEVER_SAID)
    return Example("told", ask + str(rng.random()), [*_between(rng), user(ask), turn], answers=("not told me",))


def _between(rng: random.Random) -> list[dict]:
    """Nothing, or a sum and its answer."""
    messages: list[dict] = []
    while rng.random() < 0.35:
        a, op, b = question(rng)
        if not is_held_out(a, op, b):
            messages += [user(asked(rng, a, op, b)), said(answer(a, op, b))]
    return messages


def sums(rng: random.Random) -> Example:
    """A sum, and one to three questions that go on from its result; none that a test asks."""
    a, op, b = rng.choice((question, question, longer, whole))(rng)
    while is_held_out(a, op, b) or not 0 <= value(a, op, b) <= 499:
        a, op, b = question(rng)
    messages = [user(asked(rng, a, op, b))]
    steps = [key(a, op, b)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        last = value(a, op, b)
        messages.append(said(answer(a, op, b)))
        text, n, a, op, b = _step(rng, last)
        messages.append(user(typed(rng, text.format(n=n))))
        steps.append(key(a, op, b))
        if value(a, op, b) > 499:
            break
    messages.append(says(f"The last result is {last}. That is {working(a, op, b)}", answer(a, op, b)))
    return Example("sums", " ".join(steps), messages, answers=(f"= {value(a, op, b)}.",))


def _step(rng: random.Random, last: int) -> tuple[str, int, int, str, int]:
    """(how it goes on from the last result, its number, and the sum that it is)."""
    while True:
        text, what = rng.choice(AGAIN)
        n = rng.randrange(1, rng.choice((11, 30, 100)))
        a, op, b = (last, "+", last) if what == "2" else (last, what, n)
        if not (what == "-" and n > last) and not is_held_out(a, op, b):
            return text, n, a, op, b
