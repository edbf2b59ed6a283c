"""Names and facts that are told in free words, among other things, and asked for at once or much later."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from . import arithmetic, met_freely, refusals
from .conversation import FAMILY, NEVER_SAID, PETS, WELCOMES
from .example import Example, a, cap, said, says, user
from .forms import branches, flat, spun
from .met_freely import hail
from .typed import written
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
    code,
    invented,
    person,
)

FIRST = """Aaron Abigail Ahmed Aisha Alan Alex Ali Amelia Amir Andrea Andrew Angela Antonio Aria Arthur Ben Bianca Bob
    Brandon Brian Bruno Camila Carlos Carmen Caroline Cem Chen Chloe Chris Claire Connor Dana Deepak Diana Diego Dina
    Dmitri Dora Edward Elena Eli Elif Emilia Erik Esther Ethan Fatima Fiona Frank Freya Gabriel George Georgia Gina
    Greg Greta Hans Harry Hassan Heidi Helen Hiro Hugh Ian Ibrahim Ines Ingrid Irene Isaac Isabel Ivan Jacob James Jamal
    Jan Jasmine Jason Javier Jean Jenny Jessica Jin Joe Jorge Josef Joy Juan Judith Kai Karen Karim Katya Keiko Ken
    Kevin Kim Kofi Kurt Lara Lars Laura Laila Lee Leila Li Linda Lisa Liam Logan Lorenzo Louis Lucas Luis Magda Malik
    Marco Maria Marie Marta Mateo Matt Mehmet Mei Michael Mike Mila Milan Ming Mohammed Monica Nadia Naomi Natasha Nick
    Nicole Niko Noor Olaf Olga Omar Otto Pablo Patrick Pedro Petra Philip Pia Pierre Priya Quinn Rachel Rahul Raj Ravi
    Rebecca Rita Rob Roger Rosie Ryan Sabine Said Salma Samuel Sandra Sasha Sean Sergei Shira Silvia Sofia Stella Steve
    Sunita Susan Sven Tara Tariq Ted Teresa Tim Tomas Tony Ursula Uwe Valentina Victor Viktor Vincent Wanda Wei Wendy
    William Xavier Yara Yasmin Yuki Yusuf Zara Zoltan""".split()
LAST = """Smith Jones Brown Miller Davis Wilson Taylor Clark Lewis Walker Young King Wright Hill Green Baker Adams
    Nelson Carter Parker Evans Turner Cook Bell Ward Wood Gray Fisher Stone Fox Silva Garcia Lopez Rossi Weber
    Meyer Novak
    Kowalski Popov Ivanov Tanaka Kim Nguyen Singh Patel Khan Okafor Larsen Berg Jansen Dubois Moreau Costa""".split()
NICK = """Bobby Jojo Ace Sunny Teddy Coco Kiki Red Smiley Shorty Captain Chief Doc Duke Lucky Fuzzy Spike Rocky Buddy
    Nana Pepper Gizmo Ziggy Mimi Lulu Dodo Sparky Maverick Bear Tiger Bean Peanut Pixel Neo Nemo Blue""".split()
TITLES = "Mr Mrs Dr Miss Professor Captain Uncle Aunt Auntie Big Old Little Lady Sir".split()
KINDS_OF = """film|song|book|number|season|drink|dish|sport|animal|band|teacher|game|country|flower|month|day|word|fruit
    |city|toy|tree|place|singer""".replace("\n", "").split("|")  # fmt: skip
KINDS_OF = [kind.strip() for kind in KINDS_OF]
OWN = """room number|bus number|flight number|locker number|seat|password|wifi password|PIN|postcode|house number|street
    |team|school|street name|username|shoe size|lucky number|order number|phone number|gate|locker|table
    number|member number|licence plate"""
OWN = [" ".join(thing.split()) for thing in OWN.split("|")]
WORKS_AS = [*JOBS, *"""engineer nurse waiter chemist architect librarian dentist student mechanic plumber vet butcher
    cashier clerk journalist lawyer manager programmer electrician editor actor florist fireman policeman translator
    accountant artist barber courier designer""".split()]  # fmt: skip
LIKED = [*HOBBIES, *FOODS, *"""jazz opera football films books trains maps puzzles rain snow summer coffee tea pizza
    pasta sushi chocolate dogs cats horses flowers yoga poker rugby tennis hip-hop""".split()]  # fmt: skip

ME = """[my name is|my name's|the name is|I am|I'm|im|this is|it is|it's|I am called|I'm called|they call
    me|people call me
    |everyone calls me|everybody calls me|my friends call me|at work they call me|call me|you can call me|you
    may call me
    |please call me|just call me|I go by|I am known as|I am known to all as|the name's|I use the name|my
    parents called me
    |my parents named me|I was named|you are talking to|you are speaking with|you have the pleasure of talking
    to|my first
    name is|people know me as|I answer to|I would like to be called|I want to be called|I prefer to be called|I
    like to be
    called|you should call me|address me as|remember me as|save my name as|note that I am called|please note my
    name:|name:
    |my name:|user:|let me introduce myself: I am|let me introduce myself, my name is|may I introduce myself? I
    am|allow me
    to say that I am called|I should say that my name is|I forgot to say that I am called|first of all, my name
    is|by the
    way, my name is|by the way, I am|btw I am|btw my name is|for the record, I am|so you know, I am called|just
    so you know,
    my name is|in case you wonder, I am|before we start, I am|before I forget, my name is|oh, and my name is|oh and I am
    called|well, I am|ok, so I am|so, I am called|yes, hello, I am|it is me,|it's me,|me again,|guess what, I
    am called|on
    paper I am called|everyone at home calls me|my name happens to be|my name has always been|around here I
    am|the person in
    front of you is|the person typing is|the one who types is|your user is called|your new user is|your owner is called]
    {v}"""
AFTER = """[||||| here| again|, by the way|, nice to meet you|, pleased to meet you|, if you want to know|,
    hello|, how nice to
    meet you|, remember that|, do not forget it|, okay|, please remember it|, as you may know|, and I am new
    here|, and I
    have a question|, and this is my first visit|, at your service|, and you are Kimi, I guess|, so now you know]"""
LATER = """{v} [here|speaking|writing|is my name|is the name|is what they call me|is what people call me
    |is what my friends
    call me|is how everyone calls me|is how I am called|is my first name|is who I am|is typing this|is the name
    you should
    remember|is the name I go by|is talking to you|is at the keyboard|is how you can call me|would be my name|,
    that is me
    |, that's me|, that is my name|, at your service|, hello|, nice to meet you|, new user]"""
ME, AFTER, LATER = (flat(form) for form in (ME, AFTER, LATER))
AFTER = AFTER.replace("[||||||", "[||||| ")
NAME_DIRECT = """[what is|what's|what was|whats] [my|my own|my first] name[| again| then| now| please]|what am
    I called[| again
    |]|how am I called|who am I[| again| then| by the way|, please]|what did I [say|tell you|claim|write] my
    name was|what
    did I say I am called|[what|which] name did I [give|tell|mention to|give to] you|[what|which] name [have
    I|do I have|do I
    go by|did I use]|what do [people|they|my friends|you|others] call me|[what|how] [should|can|will|do|must] you call
    me|[who|whom] are you [talking|speaking|writing|chatting] [to|with]|[who|which person] is [talking to
    you|your user|writing
    to you|at the keyboard|typing this]|by what name do [you know me|I go]|and my name is|my name is|my name[|, please|
    again]|what name [was it|is mine|did I have|belongs to me]|how do [people|they|you] call me|what name
    should you use for me
    |under what name do you know me|[what|which] name [did I|have I] [say|mention|type|use|give]
    [earlier|before|at the beginning|at first|in the beginning|a moment ago
    |just now|when we began]|what [was|is] [the|that] name [I told you|I gave you|I mentioned|I said|of
    mine][| again| before| earlier]|[what|how]
    [did I say|did I tell you|have I said] [I am called|my name was|my name is|that I am called|people call
    me]|who [have you got here|is with you|are you
    helping|is your user|do you think I am|did I say I was|is asking you this]|[what|which] [is|was] the name
    of [your user|the person who talks to
    you|me|the one who talks to you]|[how|by which name] [should|would|will] you [greet|address|call|welcome]
    me[| now| next time| if we meet again]|if I come
    back, [how will you greet me|what will you call me]"""
NAME_THAT = """what my name is|what my name was|my name|who I am|what I am called|how I am called|which name I
    [gave|told] you
    |the name I [gave|told|mentioned to] you|who you are [talking|speaking] to|what I said my name was|what to
    call me|how to
    call me|what people call me|my own name|what name I go by|how you should call me|the name [I go by|I have|I
    use|I mentioned|you should call me by|of your user]|by which name to call me|what name to use for
    me|how to [greet|address] me|who [is talking to you|is your user|I said I was]"""
RECALL = """[do you still remember|do you remember|do you know|do you recall|can you remember|can you tell
    me|could you tell me
    |could you say|can you say|would you tell me|tell me|please tell me|say|please say|remind me|remind me of|I
    forgot|I forget
    |I want to know if you know|I wonder whether you remember|let me hear|have you noted|did you note|did you
    keep|did you get
    |did you catch|have you forgotten|let us see if you know|let's see if you remember|now tell me|repeat|I
    would like to
    hear|are you able to tell me|do you have in mind|show me that you know|surely you know|you know|you remember]"""
LEAD = """[so|and|now|well|ok|okay|hey|one more thing|just a test|a little test|quick question|wait|hm|tell
    me|sorry|by the way
    |btw|to come back to me|back to me|before I go|last question|another thing|I forgot|test|memory test|let me check
    |right|alright|please|one question|Kimi]"""
NAME_DIRECT, NAME_THAT, RECALL, LEAD = (flat(f) for f in (NAME_DIRECT, NAME_THAT, RECALL, LEAD))
DIRECT, THAT = branches(NAME_DIRECT), branches(NAME_THAT)


def asked(rng: random.Random, direct: list[str], that: list[str]) -> str:
    """The question as it is or after another one, typed in any way; forms with [] and no marks."""
    if rng.random() < 0.55:
        text = spun(rng, rng.choice(direct)) + "?"
    else:
        text = f"{spun(rng, RECALL)} {spun(rng, rng.choice(that))}"
        text += "?" if text.split()[0] in "do can could would have did are surely you".split() else "."
    if rng.random() < 0.25:
        text = f"{spun(rng, LEAD)}{rng.choice((', ', ': ', ', '))}{text}"
    return written(rng, text)


def name_asked(rng: random.Random) -> str:
    return asked(rng, DIRECT, THAT)


def a_name(rng: random.Random) -> str:
    """A name of one or two words, known or not, or a nickname."""
    roll = rng.random()
    first = rng.choice(FIRST) if rng.random() < 0.5 else person(rng)
    if roll < 0.62:
        return first
    if roll < 0.78:
        return f"{first} {rng.choice(LAST) if rng.random() < 0.5 else invented(rng)}"
    if roll < 0.88:
        return rng.choice(NICK)
    return rng.choice((
        lambda: f"{rng.choice(TITLES)} {rng.choice(LAST + FIRST)}",
        lambda: f"{rng.choice(FIRST + GIRLS)}-{rng.choice(GIRLS + BOYS)}",
        lambda: f"{rng.choice(GIRLS + BOYS).lower()}{rng.randrange(2, 100)}",
        lambda: f"{cap(rng.choice(ADJECTIVES))} {cap(rng.choice(ANIMALS))}",
        lambda: invented(rng).lower(),
        lambda: f"{first} {rng.choice('ABCDEFGHKLMNPRSTW')}",
    ))()  # fmt: skip


@dataclass
class Told:
    """What is told: of what kind, as it is told (without its mark), how it is asked for, how it is said again."""

    kind: str
    statement: str
    direct: list[str]
    that: list[str]
    again: str
    value: str
    changed: str = ""


def _town(rng: random.Random) -> str:
    return rng.choice(CITIES) if rng.random() < 0.75 else invented(rng)


def _lives(rng: random.Random) -> Told:
    v = _town(rng)
    form = """[I live|I'm living|I have lived|I am living|we live|I have a flat|I have a house|I stay] in
    {v}[| now| since May| with my
        family| for years|]|my home is [in|] {v}|[I am|I'm|im|I come] from {v}|my [flat|house|place] is in
        {v}|home for me is {v}
        |I moved to {v} [last year|in spring|years ago]"""
    direct = (
        "where do I live[| now]|[which|what] [city|town|place] do I live in|where is my "
        "[home|house|place]|in which city do I live"
    )
    that = "where I live|[which|what] [city|town|place] I live in|my [city|town|home town]|where my home is"
    return _told(
        rng,
        "home",
        form,
        direct,
        that,
        f"You live in {v}.",
        v,
        "[no, |actually, |sorry, |now |]I [moved|have moved] to {v}",
    )


def _told(
    rng: random.Random, kind: str, form: str, direct: str, that: str, again: str, v: str, changed: str = "", x: str = ""
) -> Told:
    forms = branches(flat(form))
    direct, that = flat(direct), flat(that)
    return Told(
        kind,
        spun(rng, rng.choice(forms)).replace(" :", ":").replace("{v}", v).replace("{x}", x),
        branches(direct.replace("{x}", x)),
        branches(that.replace("{x}", x)),
        again,
        v,
        changed.replace("{v}", v),
    )


def _old(rng: random.Random) -> Told:
    v = str(rng.randrange(5, 99))
    form = """[I am|I'm|im] {v}[| years old| years of age| now]|my age is {v}|I [just|have just] turned {v}|I
    am {v} since
        [Monday|May|last week]|I have reached the age of {v}"""
    direct = "how old am I[| now]|what is my age|what age am I|how many years old am I"
    that = "how old I am|my age|what age I am|how many years I have"
    return _told(
        rng, "age", form, direct, that, f"You are {v} years old.", v, "[no, |actually, |sorry, |]I am {v}[| years old]"
    )


def _works(rng: random.Random) -> Told:
    v = rng.choice(WORKS_AS)
    form = f"""[I work|I earn my money|I have worked|I make a living|by day I work] as {a(v)}[| in a small
    town| here|]|[I am|I'm]
        {a(v)}[| by trade| at heart|]|my job is {v}|my [profession|trade|occupation] is {v}|I have a job as
        {a(v)}|I am employed as
        {a(v)}|I got a job as {a(v)}"""
    direct = (
        "what is my [job|profession|work|trade]|what do I [work as|do for a living|do]|what kind "
        "of job do I have|which job do I have"
    )
    that = "what my job is|my [job|profession]|what I do for a living|what I work as"
    return _told(
        rng, "job", form, direct, that, f"You work as {a(v)}.", v, f"[no, |actually, |]I [now work|work now] as {a(v)}"
    )


def _likes(rng: random.Random) -> Told:
    v = rng.choice(LIKED)
    form = """I [like|love|really like|really love|enjoy|adore|am mad about|am a fan of|am fond of|am
    into|cannot live without]
        {v}|I [like|love|enjoy] {v} [a lot|very much|most of all|so much]|{v} [makes me happy|is what I like|is
        what I love|is my great love]|my [hobby|passion|great love|favourite
        thing] is {v}"""
    direct = "what do I [like|love|enjoy|like so much]|what is it that I [like|love]|what makes me happy"
    that = "what I [like|love|enjoy]|what makes me happy|the thing I like"
    return _told(rng, "likes", form, direct, that, f"You like {v}.", v)


def _favourite(rng: random.Random) -> Told:
    x = rng.choice([*KINDS_OF, "colour", "colour"])
    made = {
        "colour": COLOURS, "animal": ANIMALS, "city": CITIES, "month": MONTHS, "day": DAYS, "fruit": FOODS,
        "sport": HOBBIES,
    }.get(x)  # fmt: skip
    v = rng.choice(made) if made else str(rng.randrange(2, 100)) if x == "number" else invented(rng)
    form = """my [favourite|favorite|best loved] {x} is {v}|{v} is my [favourite|favorite] {x}|of all {x}s I
    like {v} best|the {x} I like
        best is {v}|no {x} is better for me than {v}|I have a favourite {x}: {v}|my favourite {x} has always been {v}"""
    form = form.replace("{x}s", {"city": "cities", "country": "countries", "dish": "dishes"}.get(x, x + "s"))
    direct = "what is my [favourite|favorite] {x}|[which|what] {x} do I like best|[which|what] {x} is my favourite"
    that = "my [favourite|favorite] {x}|which {x} I like best|what my favourite {x} is"
    return _told(rng, f"favourite {x}", form, direct, that, f"Your favourite {x} is {v}.", v, "", x)


def _secret(rng: random.Random) -> Told:
    v = code(rng) if rng.random() < 0.6 else invented(rng).lower()
    form = """[the|my] [code|password|secret word|magic word|secret number|secret|word of the day] is
    {v}|[please|] [remember|keep in
        mind|note|memorise|save|store|learn|hold on to|do not forget] [this|this word|this code|]:
        {v}|[please|] [remember|do not
        forget|keep|note|memorise] {v}[| for me| for later|]|{v} is [the|my] [code|password|secret word|magic
        word]|[keep|hold] {v} in
        mind[| for me| please|]|I want you to remember {v}|I will ask you for this later: {v}|write this down: {v}"""
    direct = """what [was it|should you remember|did I ask you to remember|must you not forget|did I tell you
    to keep in mind|was the [code|
        word|secret]]|what was [the|my] [code|word|secret word|password]|which [code|word] [was it|did I tell
        you|did I give
        you]|what did I [give you|tell you] [to remember|to keep in mind|to note]"""
    that = (
        "what [I told you to remember|you should remember]|the [code|secret word|word] I told "
        "you|what I asked you to keep in mind"
    )
    return _told(rng, "secret", form, direct, that, f"It is {v}.", v)


def _called(rng: random.Random) -> Told:
    pet = rng.random() < 0.45
    x = rng.choice(PETS + ANIMALS[:20]) if pet else rng.choice(FAMILY)
    v = a_name(rng)
    form = """[my|our] {x} is [called|named] {v}|[my|our] {x}'s name is {v}|the name of my {x} is {v}|I have
    {a} {x} [called|named|whose
        name is|with the name] {v}|{v} is [my {x}|the name of my {x}|what I call my {x}]|I [call|named] my {x}
        {v}|we call our {x} {v}|[with me is|here with me is|next to me sits|at home I have] my {x} {v}|my {x}
        [goes by|has] the name {v}|say hello to
        my {x} {v}|my {x}, [called {v}|{v}], [says hello|is here too|is next to me]|meet {v}, my {x}"""
    form = form.replace("{a} {x}", a(x))
    form += "|we named our {x} {v}|I named my {x} {v}|the {x} we have is called {v}" if pet else ""
    direct = """what is my {x} called|[which|what] name does my {x} have|what is my {x}'s name|what's my {x}'s
    name|who is my {x}|what is the
        name of my {x}|how is my {x} called|what do I call my {x}|what was my {x}'s name again|and my {x}"""
    that = "what my {x} is called|my {x}'s name|the name of my {x}|how my {x} is called|what name my {x} has"
    return _told(rng, f"{x} name", form, direct, that, f"Your {x} is called {v}.", v, "", x)


AGES = {"baby": (1, 4), "son": (2, 40), "daughter": (2, 40), "brother": (3, 80), "sister": (3, 80), "cousin": (3, 80)}


def _of_family(rng: random.Random) -> Told:
    x = rng.choice(FAMILY)
    if rng.random() < 0.5:
        v = _town(rng)
        form = "my {x} [lives|has a house|stays] in {v}|my {x} [moved|has moved] to {v}|my {x}'s home is in {v}"
        direct = "where does my {x} live|[which|what] [city|town] does my {x} live in|where is my {x}'s home"
        that = "where my {x} lives|my {x}'s city|in which city my {x} lives"
        return _told(rng, f"{x} home", form, direct, that, f"Your {x} lives in {v}.", v, "", x)
    v = str(rng.randrange(*AGES.get(x, (25, 80))))
    form = (
        "my {x} is {v} years old|my {x} [just|has just] turned {v}|my {x} is {v}[| now| years of "
        "age]|{v} is the age of my {x}"
    )
    direct = "how old is my {x}|what is my {x}'s age|what age is my {x}|what is the age of my {x}"
    that = "how old my {x} is|my {x}'s age|the age of my {x}"
    return _told(rng, f"{x} age", form, direct, that, f"Your {x} is {v} years old.", v, "", x)


def _own(rng: random.Random) -> Told:
    x = rng.choice(OWN)
    v = code(rng) if "number" in x or x in ("PIN", "postcode", "gate", "shoe size", "seat") else invented(rng)
    v = code(rng) if "password" in x and rng.random() < 0.6 else v
    form = """my {x} is {v}|{v} is my {x}|[note|remember|keep in mind] that my {x} is {v}|my {x}: {v}|the {x} I
    have is {v}|[they gave
        me|I got] the {x} {v}|I have the {x} {v}"""
    direct = "what is my {x}|what was my {x}[| again]|[which|what] {x} do I have|what's my {x}"
    that = "my {x}|what my {x} is|which {x} I have"
    return _told(rng, x, form, direct, that, f"Your {x} is {v}.", v, "", x)


def _when(rng: random.Random) -> Told:
    x = rng.choice(
        (
            "meeting appointment exam flight train lesson class interview party dinner lunch trip "
            "visit holiday birthday"
        ).split()
    )
    v = rng.choice((
        lambda: f"on {rng.choice(DAYS)}", lambda: f"at {rng.randrange(1, 13)} {rng.choice(('am', 'pm'))}",
        lambda: f"on {rng.randrange(1, 29)} {rng.choice(MONTHS)}", lambda: f"in {rng.choice(MONTHS)}",
        lambda: f"at {rng.randrange(24)}:{rng.choice(('00', '15', '30', '45'))}", lambda: f"in {_town(rng)}",
    ))()  # fmt: skip
    form = "my {x} is {v}|I have {a} {x} {v}|[note|remember] that my {x} is {v}|{v} I have {a} {x}|there is my {x} {v}"
    direct = "when is my {x}|when do I have my {x}|when was my {x} again"
    that = "when my {x} is|the time of my {x}|when I have my {x}"
    if v.startswith("in ") and v[3:] not in MONTHS:
        direct, that = "where is my {x}|where do I have my {x}", "where my {x} is|the place of my {x}"
    return _told(rng, x, form.replace("{a} {x}", a(x)), direct, that, f"Your {x} is {v}.", v, "", x)


def _owns(rng: random.Random) -> Told:
    x = rng.choice(
        ("cats dogs children brothers sisters books bikes cars horses plants guitars chickens cousins jobs").split()
    )
    v = str(rng.randrange(2, 20))
    form = (
        "I have [got|] {v} {x}|I own {v} {x}|there are {v} {x} in my [house|life|home]|I "
        "[just|now] have {v} {x}|we have {v} {x} at home"
    )
    form = form.replace(
        "I own {v} {x}|", "" if x in ("children", "brothers", "sisters", "cousins", "jobs") else "I own {v} {x}|"
    )
    direct = (
        "how many {x} do I have|how many {x} have I got|how many {x} are there at my home|what number of {x} do I have"
    )
    direct = direct.replace("|how many {x} are there at my home", "")
    that = "how many {x} I have|the number of my {x}|how many {x} I said I have"
    return _told(rng, x, form, direct, that, f"You have {v} {x}.", v, "", x)


MAKERS: list[Callable[[random.Random], Told]] = [
    _lives, _lives, _old, _old, _works, _works, _likes, _likes, _favourite, _favourite, _favourite, _secret, _secret,
    _called, _called, _called, _called, _called, _of_family, _of_family, _own, _own, _own, _when, _when, _owns,
]  # fmt: skip
CHATTER = """[it is|it's] [raining|snowing|sunny|late|cold|nice|quiet|early] [here|outside|today|tonight|this
    morning]|I am
    [tired|happy|hungry|in a hurry|at work|on a train|at home|in bed|on holiday|a bit bored] [today|now|right
    now|]|I [had|just had]
    [breakfast|a coffee|a long day|lunch|a bad night]|I hope [you are well|this works|you can help me|all is
    fine]|[my|the] [train|bus
    |plane|boss] is late|[I am|I'm] new [here|to this|in town]|the [weather|food|music|coffee] is
    [great|good|bad] today|I have [no time
    |a lot of time|a question|some questions|a day off]|nice to [meet|see] you|let us [begin|start]|I want to
    test [you|your memory]
    |I will ask you [something|for it] later|we will see how good your memory is|I have a [good|strange]
    feeling[| about this]|[today is|it is] [a nice day|Friday at last|my first
    day here|a long day]|[the|my] [kids|neighbours|dogs] are [loud|asleep|outside]|I have [been walking|just
    come home|a headache|new
    shoes|just moved]|[sorry for|excuse] [my bad English|my typing|the late hour]|I am not good at
    [typing|computers|this]"""
CHATTER = branches(flat(CHATTER))
CHATTER += [
    text for text in met_freely.REMARKS if not text.startswith(("before", "one", "quick", "first", "sorry", "I have a"))
]
ENDS = [".", ".", ".", ".", "!", ""]


def between(rng: random.Random, share: float = 0.4) -> list[dict]:
    """Other exchanges: sums, small talk, questions that are declined."""
    messages: list[dict] = []
    while rng.random() < share and len(messages) < 8:
        roll = rng.random()
        if roll < 0.4:
            a_, op, b = rng.choice((arithmetic.question, arithmetic.longer, arithmetic.whole))(rng)
            if not arithmetic.is_held_out(a_, op, b):
                messages += [user(arithmetic.asked(rng, a_, op, b)), said(arithmetic.answer(a_, op, b))]
        elif roll < 0.75:
            text, _, answer = met_freely.line(rng)
            messages += [user(text), said(answer)]
        else:
            text, sentence = rng.choice((met_freely.question, refusals.question))(rng)
            if not Example("declined", text, []).is_test:
                messages += [user(text), said(sentence)]
    return messages


def _introduced(rng: random.Random, v: str) -> str:
    """The name in a sentence, without its mark."""
    if rng.random() < 0.22:
        text = spun(rng, LATER)
    else:
        text = spun(rng, ME + AFTER if rng.random() < 0.6 else ME)
    return text.replace(" ,", ",").replace("{v}", v)


def _sentence(rng: random.Random, text: str, value: str) -> str:
    return (cap(text) if rng.random() < 0.75 and not text.startswith(value) else text) + rng.choice(ENDS)


def _joined(rng: random.Random, sentences: list[str]) -> tuple[str, list[str]]:
    """(the message, its sentences as they stand in it)."""
    sentences = [s if s[-1] in ".!?" or i == len(sentences) - 1 else s + "." for i, s in enumerate(sentences)]
    return rng.choice((" ", " ", " ", " ", "\n")).join(sentences), sentences


def _message(rng: random.Random, known: list[tuple[str, str]], small: bool) -> tuple[str, list[str]]:
    """(a message that holds the statements, the sentence of each), among a greeting and other news; known: of each the
    statement and its value."""
    rows: list[tuple[str, int]] = [(_sentence(rng, text, value), i) for i, (text, value) in enumerate(known)]
    for other in rng.sample(CHATTER, rng.choice((0, 0, 0, 1, 1, 2))):
        rows.insert(rng.randrange(len(rows) + 1), (cap(spun(rng, other)) + rng.choice("...!"), -1))
    if rng.random() < 0.35:
        hello = hail(rng)
        if rng.random() < 0.5 or rows[0][1] < 0:
            rows.insert(0, (hello + rng.choice("!.!"), -1))
        else:
            text, i = rows[0]
            if not text.startswith(("I", known[i][1])):
                text = text[:1].lower() + text[1:]
            rows[0] = (f"{hello}{rng.choice((', ', ' ', ', '))}{text}", i)
    text, sentences = _joined(rng, [row for row, _ in rows])
    if small:
        text, sentences = text.lower(), [s.lower() for s in sentences]
    return text, [next(s for s, (_, j) in zip(sentences, rows, strict=True) if j == i) for i in range(len(known))]


def _first_name(rng: random.Random, small: bool) -> str:
    v = a_name(rng)
    return v.lower() if small else v


def name(rng: random.Random) -> Example:
    """A name is told in free words, alone or among other things, and asked for at once or later."""
    small = rng.random() < 0.1
    v = _first_name(rng, small)
    known = [(_introduced(rng, v), v)]
    others = _facts(rng, rng.choice((0, 0, 0, 1, 1, 2)), small)
    if others and rng.random() < 0.3:
        known = [(f"{known[0][0]}{rng.choice((' and ', ', ', ', and ', ' and '))}{others[0].statement}", v)]
        others = others[1:]
    known += [(other.statement, other.value) for other in others]
    rng.shuffle(known)
    text, _ = _message(rng, known, small)
    hello = rng.choice(WELCOMES).format(v=v)
    roll = rng.random()
    if roll < 0.22:
        return Example("name", v + text, [user(text), says(f"The user is called {v}.", hello)], answers=(v,))
    ask = name_asked(rng)
    if roll < 0.36:
        end = text if text[-1] in ".!?" else text + "."
        found = says(f"Asked: {ask}\nThe user is called {v}.", f"Your name is {v}.")
        return Example("name", v + ask, [user(f"{end} {ask}"), found], answers=(v,))
    messages = [user(text), said(hello)]
    if rng.random() < 0.15:
        wrong, v = v, _first_name(rng, small)
        while v == wrong:
            v = _first_name(rng, small)
        text = spun(rng, CORRECTED).replace("{v}", v).replace("{w}", wrong) + rng.choice((".", "!", ""))
        text = text.lower() if small else cap(text) if rng.random() < 0.6 else text
        hello = rng.choice(WELCOMES).format(v=v)
        if rng.random() < 0.3:
            turn = says(f"The user is called {v}.", hello)
            return Example("name", v + text, [*messages, user(text), turn], answers=(v,))
        messages += [user(text), said(hello)]
    messages += between(rng)
    if rng.random() < 0.15:
        more = _facts(rng, 1, small)
        told, _ = _message(rng, [(more[0].statement, more[0].value)], small)
        messages += [user(told), said(f"I will remember that. {more[0].again}"), *between(rng, 0.2)]
    if rng.random() < 0.12:
        messages += [user(name_asked(rng)), said(f"Your name is {v}."), *between(rng, 0.4)]
    found = says(f"Asked: {ask}\nThe user is called {v}.", f"Your name is {v}.")
    return Example("name", v + ask, [*messages, user(ask), found], answers=(v,))


CORRECTED = """[no|sorry|oops|wait|no no|ah, sorry|hm, no|not quite|wrong|that is wrong|no, wrong][,|.|!] [it
    is|it's|I meant|I mean|my
    name is|I am|call me|I am called|that should be|I wanted to write|better call me|the right name is|I am
    really called|the name is]
    {v}|[no|sorry|oops|wait], [not {w}, but {v}|it is {v}, not {w}|{v}, not {w}|I am {v}, not {w}|I typed it
    wrong: {v}|a typo: {v}|I am not
    {w}, I am {v}]|[I have|I've] changed my mind[,|:] call me {v}|[from now on|better|instead|please|rather],
    call me {v}|{w} was [a
    joke|a typo|wrong|my old name][, |. ][my name is|I am|it is] {v}|my name is not {w}[, |. ][it is|it's|I am]
    {v}|[actually|in truth|to
    be honest], [my name is|I am|I am called] {v}"""
CORRECTED = flat(CORRECTED)
CORRECTED = f"[{CORRECTED}]"


CHANGING = {"home": _lives, "age": _old, "job": _works}


def _facts(rng: random.Random, count: int, small: bool) -> list[Told]:
    """Facts of different kinds."""
    found: dict[str, Told] = {}
    while len(found) < count:
        told = rng.choice(MAKERS)(rng)
        if any(told.kind.split()[0] == kind.split()[0] for kind in found) or (
            "secret" in found and told.kind in SECRETS
        ):
            continue
        if told.kind == "secret" and any(kind in SECRETS for kind in found):
            continue
        if small:
            told.again, told.value = told.again.replace(told.value, told.value.lower()), told.value.lower()
        found[told.kind] = told
    return list(found.values())


SECRETS = {"password", "wifi password", "PIN"}


def fact(rng: random.Random) -> Example:
    """Facts are told in free words, and one of them is asked for, or one that was not told."""
    small = rng.random() < 0.08
    facts = _facts(rng, rng.choice((1, 1, 1, 2, 2, 3)), small)
    wanted = rng.randrange(len(facts))
    told = facts[wanted]
    roll = rng.random()
    ask = asked(rng, told.direct, told.that)
    if roll < 0.14:
        text, _ = _message(rng, [(f.statement, f.value) for f in facts[:2]], small)
        kept = f"I will remember that. {' '.join(f.again for f in facts[:2])}"
        return Example("told", text, [user(text), says("The user tells me something.", kept)],
                       answers=tuple(f.value for f in facts[:2]))  # fmt: skip
    if roll < 0.26:
        text, sentences = _message(rng, [(f.statement, f.value) for f in facts], small)
        text += "" if text[-1] in ".!?" else "."
        found = says(f"Asked: {ask}\nThe user said: {sentences[wanted]}", told.again)
        return Example("told", text + ask, [user(f"{text} {ask}"), found], answers=(told.value,))
    if roll < 0.38:
        others = facts[:wanted] + facts[wanted + 1 :]
        messages, _ = _told_in_turns(rng, others, small)
        if rng.random() < 0.4:
            v = _first_name(rng, small)
            text, _ = _message(rng, [(_introduced(rng, v), v)], small)
            messages[:0] = [user(text), said(rng.choice(WELCOMES).format(v=v))]
        elif rng.random() < 0.5:
            ask = name_asked(rng)
        turn = says(f"Asked: {ask}\nThe user has not told me.", NEVER_SAID)
        key = "".join(m["content"] for m in messages) + ask
        return Example("told", key, [*messages, *between(rng), user(ask), turn], answers=("not told me",))
    hello = ""
    if rng.random() < 0.15:
        v = _first_name(rng, small)
        facts[0].statement = f"{_introduced(rng, v)}{rng.choice((' and ', ', ', ', and '))}{facts[0].statement}"
        hello = rng.choice(WELCOMES).format(v=v)
    messages, sentences = _told_in_turns(rng, facts, small)
    if hello:
        messages[1] = said(hello)
    line = sentences[wanted]
    key = line + ask
    if not hello and rng.random() < 0.15:
        v = _first_name(rng, small)
        text, _ = _message(rng, [(_introduced(rng, v), v)], small)
        messages[:0] = [user(text), said(rng.choice(WELCOMES).format(v=v))]
    if rng.random() < 0.15 and len(facts) > 1:
        other = facts[wanted - 1]
        messages += [user(asked(rng, other.direct, other.that)), said(other.again)]
    if told.changed and rng.random() < 0.25:
        old, told = told, CHANGING[told.kind](rng)
        while told.value == old.value:
            told = CHANGING[told.kind](rng)
        if small:
            told.again, told.value = told.again.replace(told.value, told.value.lower()), told.value.lower()
        text, (line,) = _message(rng, [(spun(rng, told.changed), told.value)], small)
        messages += [user(text), said(f"I will remember that. {told.again}")]
    messages += between(rng)
    found = says(f"Asked: {ask}\nThe user said: {line}", told.again)
    return Example("told", key, [*messages, user(ask), found], answers=(told.value,))


def _told_in_turns(rng: random.Random, facts: list[Told], small: bool) -> tuple[list[dict], list[str]]:
    """(the turns that tell the facts, the sentence of each), in one message or one after the other."""
    if not facts:
        return [], []
    if len(facts) > 1 and rng.random() < 0.5:
        messages, sentences = [], []
        for told in facts:
            text, lines = _message(rng, [(told.statement, told.value)], small)
            messages += [user(text), said(f"I will remember that. {told.again}"), *between(rng, 0.15)]
            sentences += lines
        return messages, sentences
    text, sentences = _message(rng, [(told.statement, told.value) for told in facts], small)
    return [user(text), said(f"I will remember that. {' '.join(told.again for told in facts)}")], sentences
