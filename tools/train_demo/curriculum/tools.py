"""Tools that are declared, called and answered: dates, weather, searches, several at once, and chains."""

import datetime
import json
import random

from .declarations import declarations
from .example import Calls, Example, a, cap, pick, results, says, series, user
from .words import ANIMALS, COLOURS, CONDITIONS, DAYS, MONTHS, OBJECTS, city, code, invented, people, person


def declare(name: str, description: str, /, **parameters: str) -> dict:
    """A tool in OpenAI's shape; parameters: name -> description, all strings and required."""
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    if not parameters:
        schema.pop("required")
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def vary(rng: random.Random, tool: dict) -> dict:
    """The declaration as another program would write it: without descriptions, or with integers."""
    function = json.loads(json.dumps(tool["function"]))
    if rng.random() < 0.3:
        for part in function["parameters"]["properties"].values():
            part.pop("description")
    if rng.random() < 0.15:
        function.pop("description")
    if rng.random() < 0.3 and not function["parameters"]["properties"]:
        function["parameters"]["required"] = []
    return {"type": "function", "function": function}


def get_date(rng: random.Random) -> dict:
    """A tool that tells the date: at times the agent's own."""
    if rng.random() < 0.4:
        return declarations()[0]
    text = pick(rng, "Get the current date.", "Returns today's date.", "Today's date.", "The current date and weekday.")
    return vary(rng, declare("get_date", text))


def get_weather(rng: random.Random) -> dict:
    """A tool that tells the weather, under one of some names, with one parameter of one of some names."""
    name, key = "get_weather", "city"
    if rng.random() < 0.4:
        name = rng.choice(("get_current_weather", "weather", "current_weather", "weather_in", "fetch_weather"))
        key = rng.choice(("location", "city", "place", "town", "location"))
    text = pick(
        rng, "Get the weather of a city.", "Current weather in a city.", "Weather for a city.", "Tells the weather."
    )
    return vary(rng, declare(name, text, **{key: pick(rng, "Name of the city.", "City name", "The city.", "Where.")}))


def web_search(rng: random.Random) -> dict:
    text = pick(
        rng,
        "Search the web.",
        "Search the internet for news and facts.",
        "Web search.",
        "Search the web for pages; gives title, address and a part of each.",
    )
    return vary(rng, declare("web_search", text, query=pick(rng, "The search query.", "What to search for.", "Query")))


EXTRA = [
    ("get_time", "Get the current time.", {}),
    ("get_address", "Address of a person.", {"person": "The person."}),
    ("send_mail", "Send an e-mail.", {"to": "The receiver.", "text": "What to write."}),
    ("get_price", "Price of an item.", {"item": "The item."}),
    ("translate", "Translate a word.", {"word": "The word.", "language": "The language."}),
    ("play_music", "Play a song.", {"title": "The title."}),
    ("set_alarm", "Set an alarm.", {"time": "The time."}),
    ("read_file", "Read a file.", {"path": "The path."}),
    ("find_person", "Find a person.", {"name": "The name."}),
]


def extra(rng: random.Random, count: int) -> list[dict]:
    """Tools that nobody asks for."""
    return [vary(rng, declare(name, text, **keys)) for name, text, keys in rng.sample(EXTRA, count)]


def shuffled(rng: random.Random, tools: list[dict], most: int = 2) -> list[dict]:
    """The tools among up to two others."""
    names = {tool["function"]["name"] for tool in tools}
    others = extra(rng, rng.randrange(most + 1))
    out = tools + [tool for tool in others if tool["function"]["name"] not in names]
    rng.shuffle(out)
    return [*out, declarations()[2]] if rng.random() < 0.4 else out  # as the agent adds its own


def a_date(rng: random.Random) -> datetime.date:
    return datetime.date(2020, 1, 1) + datetime.timedelta(days=rng.randrange(4000))


def written(date: datetime.date) -> str:
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"


def date_result(rng: random.Random, date: datetime.date) -> str:
    """What a get_date tool returns, in one of some forms."""
    day = DAYS[date.weekday()]
    if rng.random() < 0.4:
        return agents_date(rng, date, f"{rng.randrange(24):02}:{rng.randrange(60):02}")
    if rng.random() < 0.7:
        return json.dumps({"date": date.isoformat(), "weekday": day})
    return pick(rng, f"{day}, {written(date)}", f"{date.isoformat()} ({day})", f"Today is {day}, {written(date)}.")


def agents_date(rng: random.Random, date: datetime.date, time: str) -> str:
    """What the agent's get_date returns."""
    return f"{date:%A, %d %B %Y}, {time} (UTC{rng.choice('+-')}0{rng.randrange(10)}00)"


def dates(rng: random.Random) -> Example:
    """A question that needs today's date."""
    date = a_date(rng)
    day, after, before = (DAYS[(date.weekday() + i) % 7] for i in (0, 1, -1))
    asks, answer = rng.choice([
        (["What day is it today?", "Which day of the week is it?", "What weekday is today?"], f"Today is {day}."),
        (["What is the date today?", "What is today's date?", "Which date is it?", "What's the date?"],
         f"Today is {day}, {written(date)}."),
        (["What day is tomorrow?", "Which weekday is it tomorrow?"], f"Tomorrow is {after}."),
        (["What day was yesterday?", "Which weekday was it yesterday?"], f"Yesterday was {before}."),
        (["Which year is it?", "What year is it?", "What year do we have?"], f"It is {date.year}."),
        (["Which month is it?", "What month is it now?"], f"It is {MONTHS[date.month - 1]}."),
    ])  # fmt: skip
    ask, calls = rng.choice(asks), Calls()
    call = calls.turn("I need today's date, so I call get_date.", ("get_date", {}))
    text = date_result(rng, date)
    thought = f"Asked: {ask}\nToday is {day}, {written(date)}."
    messages = [user(ask), call, *results(call, text), says(thought, answer)]
    return Example("date", f"{date}{answer}", messages, shuffled(rng, [get_date(rng)]), (answer,))


def weather_result(rng: random.Random, town: str) -> tuple[str, str]:
    """(what the tool returns, the sentence that says it)."""
    degrees, condition = rng.randrange(-15, 40), rng.choice(CONDITIONS)
    sentence = f"In {town} it is {condition} with {degrees} degrees."
    key = pick(rng, "temperature", "temperature", "temp")
    if rng.random() < 0.8:
        result = {"city": town, key: degrees, "condition": condition}
        if rng.random() < 0.4:
            del result["city"]
        return json.dumps(result), sentence
    return f"{town}: {condition}, {degrees} degrees", sentence


ASK_WEATHER = [
    "What is the weather in {w}?", "How is the weather in {w}?", "What's the weather like in {w}?",
    "Tell me the weather in {w}.",
    "Weather in {w}?", "Is it cold in {w}?", "Is it raining in {w}?", "How warm is it in {w}?",
    "Do I need an umbrella in {w}?",
    "What is the temperature in {w}?", "weather {w}", "Is it warm in {w} today?", "How cold is it in {w}?",
    "Is the sun shining in {w}?",
    "Give me the weather for {w}.", "I want to know the weather in {w}.", "Look up the weather in {w}.",
    "What about the weather in {w}?",
    "Can you check the weather in {w}?", "Please find out how warm it is in {w}.", "I am in {w}. How is the weather?",
    "{w} weather",
    "I travel to {w} today. What is the weather?", "Does it snow in {w}?", "Is it windy in {w}?",
    "{w}: the weather, please", "Should I wear a jacket in {w}?", "What should I wear in {w}?",
    "Will I need sunglasses in {w}?", "How does it look outside in {w}?", "conditions in {w}?",
    "What is the sky like in {w}?", "Is {w} hot at the moment?", "I am on my way to {w}. Which weather is there?",
    "any rain in {w}?", "weather report for {w}", "How hot is it in {w}?", "Is it a nice day in {w}?",
    "What kind of weather has {w}?", "My plane goes to {w}. What will the weather be?",
    "Tell me how it is in {w} outside.",
    "do i need a coat in {w}", "Can I swim in {w} today?", "{w}, how is it there?", "What's it like outside in {w}?",
]  # fmt: skip
ASK_BOTH = [
    "Is it warmer in {a} or in {b}?", "Which is colder, {a} or {b}?", "Is {a} warmer than {b}?",
    "What is the weather in {a}, and in {b}?",
    "Weather in {a} and weather in {b}?", "How does the weather in {a} compare with {b}?",
    "{a} or {b}, where is the better weather?",
    "What is the weather in {a}? And in {b}?", "Tell me the weather in {a} and the weather in {b}.",
    "the temperatures of {a} and {b}?",
    "I have to choose between {a} and {b}. How is the weather?", "Should I go to {a} or to {b}, by the weather?",
    "both {a} and {b}: weather?",
    "How is it in {a}, and how is it in {b}?", "I drive from {a} to {b}. How is the weather there?",
    "{a}, {b}: how warm?", "Weather in {a} against {b}?", "Which of {a} and {b} is warmer?", "first {a} and then {b}",
    "I visit {a} and after that {b}. What weather do I get?", "Do I need a coat in {a} or in {b}?",
    "Is it colder in {a} or in {b}?", "Check {a} and check {b}, please.", "How warm is {a}, and how warm is {b}?",
    "Look at the weather of {a} and at that of {b}.", "between {a} and {b}, which is sunnier?",
    "temperature {a} and {b}", "{a} first, and {b} too, please: the weather", "Does it rain in {a}? And in {b}?",
    "My sister is in {a}, I am in {b}. How is the weather for us?", "is {b} hotter than {a}",
]  # fmt: skip


def weather(rng: random.Random) -> Example:
    """The weather of one to four cities, all in one turn."""
    towns = list(dict.fromkeys(city(rng) for _ in range(pick(rng, 1, 1, 1, 2, 2, 2, 3, 4))))
    where = series(towns)
    if len(towns) == 2 and rng.random() < 0.6:
        ask = rng.choice(ASK_BOTH).format(a=towns[0], b=towns[1])
    else:
        joined = where if rng.random() < 0.7 else pick(rng, ", ", " & ", " + ", " and ", " and also ").join(towns)
        ask = rng.choice(ASK_WEATHER).format(w=joined)
    tool, calls = get_weather(rng), Calls()
    (key,) = tool["function"]["parameters"]["properties"]
    name = tool["function"]["name"]
    thought = f"I need the weather in {where}, so I call {name}."
    call = calls.turn(thought, *((name, {key: town}) for town in towns))
    texts, sentences = zip(*(weather_result(rng, town) for town in towns), strict=True)
    final = says("I have the weather now." if len(towns) == 1 else "I have all results now.", " ".join(sentences))
    messages = [user(cased(rng, ask)), call, *results(call, *texts), final]
    task = "weather" if len(towns) == 1 else "parallel"
    return Example(task, where, messages, shuffled(rng, [tool]), tuple(sentences))


def cased(rng: random.Random, ask: str) -> str:
    """The question, at times politely or without its mark; names keep their letters."""
    if rng.random() < 0.6:
        return ask
    return pick(
        rng, ask.rstrip("?."), ask.rstrip("?.") + " please", "Please: " + ask, "Hi! " + ask, ask[:1].lower() + ask[1:]
    )


def headline(rng: random.Random, topic: str) -> str:
    """A sentence that could stand in a newspaper."""
    who, town, number = person(rng), city(rng), rng.randrange(2, 100)
    animal, colour, thing = rng.choice(ANIMALS), rng.choice(COLOURS), rng.choice(OBJECTS)
    return rng.choice([
        f"{who} of {town} wins the {topic} prize.",
        f"A {colour} {thing} was found in {town}.",
        f"{town} opens a new {topic} centre with {number} rooms.",
        f"{number} people meet in {town} to talk about {topic}.",
        f"{a(animal).capitalize()} was seen in the streets of {town}.",
        f"{town} will spend {number} million on {topic}.",
        f"{who} leaves the {topic} team of {town} after {number} years.",
        f"A new {topic} school starts in {town}.",
        f"{who} says that {topic} is good for {town}.",
        f"The {topic} week in {town} begins with {number} guests.",
    ])  # fmt: skip


TOPICS = """sports science music film art travel health food school money space football chess farming fashion theatre
    history nature energy traffic housing fishing""".split()


def search_result(rng: random.Random, sentence: str) -> str:
    """What a web_search tool returns for one finding."""
    host = invented(rng).lower()
    if rng.random() < 0.3:  # as the agent's web_search over a folder
        others = (headline(rng, rng.choice(TOPICS)) for _ in range(rng.randrange(3)))
        found = [f"{i}. {text} ({rng.choice(TOPICS)}.md)" for i, text in enumerate((sentence, *others), 1)]
        return "\n".join(found)
    if rng.random() < 0.6:
        return json.dumps({"results": [{"title": sentence, "url": f"https://{host}.example"}]})
    return pick(rng, sentence, f"1. {sentence} (https://{host}.example)", json.dumps({"title": sentence}))


def search(rng: random.Random) -> Example:
    """One search."""
    kind = rng.randrange(4)
    topic, town, who = rng.choice(TOPICS), city(rng), person(rng)
    if kind == 0:
        ask, query = f"What is new in {topic}?", f"{topic} news"
    elif kind == 1:
        query = f"{topic} in {town}"
        ask = pick(rng, f"Search the web for {query}.", f"Please search for {query}.")
    elif kind == 2:
        ask, query = pick(rng, f"Who is {who}?", f"Find out who {who} is."), who
    else:
        ask, query = pick(rng, f"What happened in {town}?", f"Is there any news from {town}?"), f"news from {town}"
    sentence = headline(rng, topic)
    calls = Calls()
    call = calls.turn(f"I search the web for {query}.", ("web_search", {"query": query}))
    final = says("I have a result.", f"I found this: {sentence}")
    messages = [user(ask), call, *results(call, search_result(rng, sentence)), final]
    return Example("search", query + sentence, messages, shuffled(rng, [web_search(rng)]), (sentence,))


VERBS = "get find open close start stop show read send make set check move".split()
KEYS = "name color place size key id number title path word user code item level next".split()


def named(rng: random.Random) -> Example:
    """A tool with a name and arguments that were never seen before, and a plain order to call it."""
    noun = rng.choice(OBJECTS + ANIMALS)
    name = f"{rng.choice(VERBS)}_{noun}" if rng.random() < 0.8 else invented(rng).lower()
    keys = rng.sample(KEYS, pick(rng, 0, 1, 1, 2))
    values = [pick(rng, code(rng), invented(rng), rng.choice(COLOURS), str(rng.randrange(100))) for _ in keys]
    pairs = [f'{k} "{v}"' if rng.random() < 0.5 else f"{k} {v}" for k, v in zip(keys, values, strict=True)]
    with_text = f" with {series(pairs)}" if pairs else ""
    ask = pick(rng, f"Call {name}{with_text}.", f"Use the tool {name}{with_text}.", f"Please run {name}{with_text}.")
    calls = Calls()
    call = calls.turn(f"I call {name}.", (name, dict(sorted(zip(keys, values, strict=True)))))
    answer = pick(rng, code(rng), invented(rng), "done", rng.choice(OBJECTS))
    text = pick(rng, answer, json.dumps({"result": answer}))
    final = says("I have the result.", f"The result is {answer}.")
    tool = vary(rng, declare(name, cap(name.replace("_", " ")) + ".", **{k: cap(k) + "." for k in keys}))
    return Example(
        "named", name + with_text, [user(ask), call, *results(call, text), final], shuffled(rng, [tool]), (answer,)
    )


def not_needed(rng: random.Random, example: Example) -> Example:
    """A question that needs none of the tools that are declared."""
    some = pick(rng, extra(rng, 1), [get_weather(rng)], [web_search(rng)])
    return Example(example.task, example.key, example.messages, shuffled(rng, some, 1), example.answers)


NEXT = [
    ("get_next", "node", "next", "The next node."),
    ("read_note", "name", "next", "Read a note."),
    ("open_box", "label", "inside", "Open a box."),
    ("follow", "key", "next", "Follow a key."),
]


def chain(rng: random.Random, length: int) -> Example:
    """length calls, each with what the one before returned, until there is no next."""
    name, argument, field, text = rng.choice(NEXT)
    if rng.random() < 0.4:
        name = f"{rng.choice(VERBS)}_{rng.choice(OBJECTS)}"
        argument, field = rng.sample(KEYS, 2)
        text = f"{cap(name.replace('_', ' '))}."
    keys: list[str] = []
    while len(keys) < length:
        key = pick(rng, invented(rng).lower(), f"{rng.choice(COLOURS)}-{rng.randrange(10)}", rng.choice(OBJECTS))
        if key not in keys:
            keys.append(key)
    treasure = pick(rng, rng.choice(OBJECTS), code(rng), invented(rng))
    ask = pick(
        rng, f"Start with {keys[0]} and call {name} again and again until you reach the end. What is there?",
        f"Call {name} with {keys[0]} and follow the chain to the end. What do you find?",
        f"Follow the chain from {keys[0]} with {name}. What is at the end?",
    )  # fmt: skip
    calls, messages = Calls(), [user(ask)]
    for i, key in enumerate(keys):
        thought = f"I start with {key}." if i == 0 else f"The next one is {key}."
        call = calls.turn(thought, (name, {argument: key}))
        answer = {field: keys[i + 1]} if i + 1 < length else {"end": treasure}
        messages += [call, *results(call, json.dumps(answer))]
    messages.append(says("This is the end.", f"At the end there is {treasure}."))
    tool = vary(rng, declare(name, text, **{argument: cap(argument) + "."}))
    return Example(f"chain{length}", " ".join(keys), messages, shuffled(rng, [tool], 1), (treasure,))


def any_chain(rng: random.Random) -> Example:
    """Two to six calls, sometimes up to twelve."""
    return chain(rng, rng.randrange(2, 7) if rng.random() < 0.75 else rng.randrange(7, 13))


def plan(rng: random.Random) -> Example:
    """A list of things to be asked one after the other."""
    names = people(rng, rng.randrange(2, 6))
    ask = f"Call find_person for {series(names)}, one after the other. In which rooms are they?"
    calls, messages, rooms = Calls(), [user(ask)], []
    for who in names:
        call = calls.turn(f"Next is {who}.", ("find_person", {"name": who}))
        rooms.append(str(rng.randrange(1, 100)))
        messages += [call, *results(call, json.dumps({"room": rooms[-1]}))]
    sentences = [f"{who} is in room {room}." for who, room in zip(names, rooms, strict=True)]
    messages.append(says("I have all results now.", " ".join(sentences)))
    tool = vary(rng, declare("find_person", "Find a person.", name="The name."))
    return Example("plan", ask, messages, [tool], tuple(sentences))


def news(rng: random.Random, topics: int | None = None) -> Example:
    """The daily report: the date, a search a topic, and a text that cites what the tools returned."""
    chosen = rng.sample(TOPICS, topics or pick(rng, 2, 3, 3, 4))
    date, calls = a_date(rng), Calls()
    ask = pick(
        rng, f"Write the daily news report about {series(chosen)}.", f"Make today's news report on {series(chosen)}.",
        f"Please write a daily news report. The topics are {series(chosen)}.",
        f"Daily news report, please: {series(chosen)}.",
    )  # fmt: skip
    call = calls.turn("First I need the date of today, so I call get_date.", ("get_date", {}))
    messages = [user(ask), call, *results(call, date_result(rng, date))]
    findings = []
    for topic in chosen:
        thought = f"Today is {written(date)}. " if not findings else ""
        query = f"{topic} news {written(date)}"
        call = calls.turn(thought + f"Now I search for {topic}.", ("web_search", {"query": query}))
        findings.append(headline(rng, topic))
        messages += [call, *results(call, search_result(rng, findings[-1]))]
    lines = [f"Daily news, {DAYS[date.weekday()]}, {written(date)}", ""]
    lines += [f"{cap(topic)}: {text} [{i}]" for i, (topic, text) in enumerate(zip(chosen, findings, strict=True), 1)]
    messages.append(says("I have all results now, so I write the report.", "\n".join(lines)))
    tools = shuffled(rng, [get_date(rng), web_search(rng)], 1)
    return Example(
        "news", f"{chosen}{date}", messages, tools, (written(date), *(f"{t} [{i}]" for i, t in enumerate(findings, 1)))
    )
