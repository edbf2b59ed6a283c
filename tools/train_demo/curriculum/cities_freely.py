"""Tools that are called for questions in free words: the weather of cities, searches, dates,
and tools by their names."""

import json
import random

from . import tools
from .declarations import declarations
from .example import Calls, Example, a, cap, pick, results, said, says, series, user
from .forms import branches, flat, spun
from .met_freely import NAMES, TOPICS, WORKS, hail, remark
from .told_freely import a_name
from .tools import (
    a_date,
    agents_date,
    date_result,
    declare,
    get_date,
    get_weather,
    shuffled,
    vary,
    weather_result,
    written,
)
from .words import ANIMALS, CITIES, COLOURS, DAYS, JOBS, MONTHS, OBJECTS, accented, code, invented, person

MORE = """Rio de Janeiro|New York|Los Angeles|San Francisco|Buenos Aires|Mexico City|Cape Town|Hong Kong
    |Kuala Lumpur|New Delhi|Tel Aviv|Abu Dhabi|San Diego|Las Vegas|New Orleans|Washington|Philadelphia|Houston|Dallas
    |Phoenix|Atlanta|Detroit|Portland|Salt Lake City|Honolulu|Anchorage|Ottawa|Calgary|Quebec|Halifax|Winnipeg
    |Edinburgh|Glasgow|Manchester|Liverpool|Leeds|Bristol|Cardiff|Belfast|Cork|Galway|Oxford|Cambridge|York|Bath
    |Brighton|Marseille|Bordeaux|Toulouse|Strasbourg|Lille|Nantes|Cologne|Frankfurt|Stuttgart|Dresden|Leipzig|Bremen
    |Hanover|Nuremberg|Bonn|Dortmund|Essen|Basel|Bern|Lausanne|Lucerne|Salzburg|Graz|Linz|Innsbruck|Turin|Genoa
    |Bologna|Verona|Palermo|Bari|Pisa|Siena|Valencia|Malaga|Bilbao|Granada|Toledo|Faro|Braga|Coimbra|Rotterdam|Utrecht
    |The Hague|Antwerp|Ghent|Bruges|Luxembourg|Gothenburg|Malmo|Uppsala|Bergen|Trondheim|Aarhus|Odense|Turku|Tampere
    |Tallinn|Riga|Vilnius|Krakow|Gdansk|Poznan|Lodz|Brno|Bratislava|Ljubljana|Zagreb|Split|Belgrade|Sarajevo|Skopje
    |Sofia|Varna|Bucharest|Cluj|Kyiv|Lviv|Odesa|Minsk|Saint Petersburg|Kazan|Izmir|Bursa|Antalya|Tbilisi|Baku|Yerevan
    |Tehran|Baghdad|Beirut|Amman|Doha|Riyadh|Muscat|Kabul|Karachi|Lahore|Mumbai|Kolkata|Chennai|Bangalore|Kathmandu
    |Dhaka|Colombo|Yangon|Phuket|Saigon|Taipei|Osaka|Kyoto|Sapporo|Nagoya|Busan|Wuhan|Chengdu|Guangzhou|Shenzhen|Perth
    |Brisbane|Adelaide|Darwin|Hobart|Wellington|Christchurch|Suva|Marrakesh|Rabat|Algiers|Tripoli|Khartoum|Addis Ababa
    |Kampala|Kigali|Dar es Salaam|Lusaka|Harare|Johannesburg|Durban|Luanda|Kinshasa|Dakar|Abidjan|Bamako|Caracas
    |Medellin|Cali|Guayaquil|Cusco|La Paz|Sao Paulo|Brasilia|Salvador|Montevideo|Asuncion|Cordoba|Mendoza|Panama City
    |San Jose|Guatemala City|Kingston|San Juan|Reykjavik|Nuuk|Valletta|Nicosia|Monaco|Andorra|Vaduz|San Marino
    |Santa Cruz|St. Moritz|Novi Sad"""
MORE = [name.strip() for name in flat(MORE).split("|")]
MORE.remove("St. Moritz")
COUNTRIES = """France Italy Spain Germany Poland Norway Sweden Japan China India Egypt Kenya Brazil Chile
    Canada Texas Ohio Greece
    Turkey Ireland Scotland England Austria Hungary Portugal Denmark Finland Mexico Peru Morocco Australia
    Iceland""".split()
PARTS = "North South East West New Old Upper Lower Port San Saint Bad Little Great Lake Fort Mount".split()
TAILS = "ville ton burg stad ham ford field bridge port mouth dorf heim grad polis berg wick".split()


def town(rng: random.Random) -> str:
    """A city that is known, or that nobody has heard of."""
    roll = rng.random()
    if roll < 0.3:
        return rng.choice(CITIES)
    if roll < 0.62:
        return rng.choice(MORE)
    if roll < 0.84:
        return accented(rng, invented(rng))
    if roll < 0.92:
        return f"{rng.choice(PARTS)} {invented(rng)}"
    return invented(rng)[:5].rstrip("aeiou") + rng.choice(TAILS)


def towns(rng: random.Random, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        name = town(rng)
        if not any(name in other or other in name for other in found):
            found.append(name)
    return found


WHEN = (
    "[||||| today| now| right now| at the moment| this morning| this "
    "evening| tonight| currently| just now| this afternoon]"
)
WANTED = """[the weather|the weather report|the temperature|the forecast|the current weather|the conditions|the
    weather conditions|the
    degrees|the weather right now|today's weather]"""
NICE = "[cold|warm|hot|rainy|windy|sunny|cloudy|foggy|freezing|dry|humid|stormy|nice|mild|chilly|icy|pleasant|wet]"
BADLY = f"{NICE[:-1]}|raining|snowing]"
MORE_SO = (
    "[warmer|colder|hotter|sunnier|nicer|rainier|windier|cooler|drier|better|wetter|milder|more pleasant|less cold]"
)
THINGS = """[an umbrella|a coat|a jacket|sunglasses|a hat|warm clothes|a raincoat|gloves|boots|a scarf|sun
    cream|a pullover|shorts|rubber
    boots|a sweater|a thick jacket]"""
DOING = """[swim|go for a walk|have a picnic|ride my bike|go out|sit outside|go to the beach|run outside|hang
    out the washing|eat
    outside|play tennis|go hiking|fly a kite|have a barbecue|ski|sail|wear shorts|leave the window open|wash the car]"""
GOING = """[I travel to|I am travelling to|I fly to|I am flying to|I go to|I'm going to|I am on my way to|we
    drive to|my train goes
    to|my flight goes to|I am off to|we are visiting|I will visit|I am about to leave for|I plan a trip to|I am
    packing for|my son moves
    to|my holiday is in|I have a meeting in|my boss sends me to|tomorrow I am in|I land soon in|I just arrived
    in|I am in|I live
    in|my mother lives in|a friend of mine is in|my daughter is in|my parents are in|our team plays in|my
    office is in]"""
WHEN, WANTED, THINGS, DOING, GOING = (flat(form) for form in (WHEN, WANTED, THINGS, DOING, GOING))
ONE = f"""[what is|what's|how is|how's|what will be] the weather [like |]in
    {{w}}{WHEN}?|[tell|give|show|send|get] me {WANTED} [in|for|of] {{w}}[|,
    please]|[weather|temperature|forecast|weather report|conditions|degrees] [in|for|of|]
    {{w}}{WHEN}[|?| please]|{{w}} [weather|temperature|forecast
    |weather now|weather please|today]|{{w}}[:|,| -] [how is it|what is the weather|weather|the weather
    please|how warm|how cold|any
    rain|what is it like]?|is it {BADLY} in {{w}}{WHEN}?|is {{w}} {NICE}{WHEN}?|is it
    [too|very|really|still|already] [cold|hot|warm|windy|wet] in
    {{w}}{WHEN}?|how [warm|cold|hot|windy|wet|nice|bad] is it [in|over in|up in|down in] {{w}}{WHEN}?|how many
    degrees [is it|are there|has it|do they have] in
    {{w}}{WHEN}?|do I need {THINGS} in {{w}}{WHEN}?|[should|shall|must] I [take|bring|pack|wear|carry] {THINGS}
    [in|to|for] {{w}}?|what [should|shall|do|can] I
    [wear|put on|pack] [in|for] {{w}}{WHEN}?|can [I|we|one|the kids] {DOING} in {{w}}{WHEN}?|[does it|will it]
    [rain|snow] in {{w}}{WHEN}?|is there
    [rain|snow|sun|fog|wind|a storm|ice|frost|any sunshine] in {{w}}{WHEN}?|[any|is there any]
    [rain|snow|sun|wind|fog] in {{w}}{WHEN}?|is the [sun
    shining|sky blue|sky clear|sun out|weather good|weather bad|weather nice] in {{w}}{WHEN}?|{GOING}
    {{w}}[. |, ][how is the weather there|what is the weather|what
    weather will I have|how is it there|do I need {THINGS}|what should I pack|is it {BADLY} there|how warm is
    it there|what is it like outside]?|[can|could|would|will] you [please
    |] [check|look up|find out|tell me|get|see|fetch] {WANTED} [in|for|of] {{w}}{WHEN}?|[I|we] [want|need|would
    like] to know [{WANTED}|how the weather is|how
    warm it is|how cold it is|if it rains|whether it snows|what the weather is] in {{w}}|[please|] [check|look
    up|find|find out|look at|fetch] {WANTED}
    [in|for|of] {{w}}[|, please]|[please|] [check|find out|see|look] [if it is {BADLY}|whether it is
    {BADLY}|how warm it is|how it is outside] in {{w}}|what is the [temperature|sky
    like|forecast|situation outside|climate today] [in|over] {{w}}{WHEN}?|[how|what] does it look [outside|like
    outside] in {{w}}?|what is it like [outside|out
    there] in {{w}}{WHEN}?|is it [a good day|a nice day|good weather|weather] [to {DOING}|for a walk|for the
    beach|for a picnic] in {{w}}?|do
    people in {{w}} need {THINGS}{WHEN}?|how about [the weather in|] {{w}}?|what about [the weather in|]
    {{w}}?|use the [tool|weather tool] for {{w}}|how is {{w}}
    [doing weather-wise|today, weather-wise|for the weather]?|{{w}}, [is it {BADLY} there|do I need {THINGS}
    there|how warm is it]?|did it get {NICE} in {{w}}?"""
TWO = f"""is it {MORE_SO} in {{a}} or [in |]{{b}}{WHEN}?|[is|where is] it {MORE_SO}[:|,] [in |]{{a}} or
    [in |]{{b}}?|which [city |one |place |town |]is {MORE_SO}{WHEN}[,|:]
    {{a}} or {{b}}?|is {{a}} {MORE_SO} than {{b}}{WHEN}?|is it {MORE_SO} in {{a}} than in {{b}}{WHEN}?|compare
    [the weather of |the weather in |the temperatures of |the temperature in |]{{a}} [and|with|to]
    {{b}}[|, please]|[compare|what is the difference between] the weather [in|of|for|between] {{a}} and
    {{b}}|{{a}} [and|&|or|vs|versus|/|against] {{b}}[:|,] [weather|which is {MORE_SO}|where is it {MORE_SO}|how
    warm|the weather
    please|how is it there]?|{{a}} [and|&|+] {{b}} weather[| please| today| now]|[weather|temperature|forecast]
    [in|for|of|] {{a}} [and|&|and also|and then|plus|as well as|,] [in |]{{b}}[| please|?]|[what is|what's|how
    is]
    the weather [like |]in {{a}} and [in |]{{b}}{WHEN}?|[how is|what's] the weather in {{a}}[,|?] and [what
    about|how is it in|in|how about] {{b}}?|do I need {THINGS} in {{a}} or [in |]{{b}}{WHEN}?|[does it|will it]
    [rain|snow] in
    {{a}} or [in |]{{b}}{WHEN}?|is it {BADLY} in [both |]{{a}} and [in |]{{b}}{WHEN}?|[I|we]
    [travel|drive|fly|go|am going|cycle|take the train|move] from {{a}} to {{b}}[. |, |: ][how is it there|how
    is the weather|what is
    the weather in both|what weather will I meet|do I need {THINGS}|is it {BADLY}]?|first [I go to |I am
    in ||to ]{{a}}[,| and] then [to |]{{b}}[. |: |, ][how is the weather|what is the weather there|what should
    I pack]?|should I [go|fly|travel|drive] to {{a}} or [to
    |]{{b}}[, by the weather|, where is it {MORE_SO}| for good weather|, looking at the weather]?|where is [the
    weather better|it {MORE_SO}|more sun|less rain|the sun shining][,|:] [in |]{{a}} or [in |]{{b}}?|[my
    sister|my friend|my mother|my boss|my son] is in {{a}}[, | and ]I am in {{b}}[. |. For both: |: ][how is
    the weather|who has {MORE_SO} weather|who needs {THINGS}]?|[tell|give|show] me {WANTED} [in|for|of] {{a}}
    and [in |for |]{{b}}|[check|look up|find|get] [the
    weather in |]{{a}} and [also |then |]{{b}}[, please|]|I [have to|want to|must|need to] choose between {{a}}
    and {{b}}[. |: ][where is it {MORE_SO}|how is the weather|which has better weather]?|between {{a}} and
    {{b}}, [which|which one] is {MORE_SO}?|[I live in
    |I work in |I am in ]{{a}} [and|but] [my office is in|I go to|I travel to|my family lives in|I will be in]
    {{b}}[. |: ][weather|how is the weather|what is the weather in both|is it {BADLY} in both]?|how
    [warm|cold|hot|windy] is it in {{a}} and [how is it |]in
    {{b}}?|how [warm|cold|hot] is {{a}}[,|?] and {{b}}?|how [much warmer|much colder] is {{a}} than {{b}}?|what
    [are the temperatures|are the conditions|is the temperature] in {{a}} and [in |]{{b}}?|does [{{a}} or
    {{b}}|{{b}} or {{a}}] have [better weather|more sun|more
    rain|the nicer day]?|is the weather [better|nicer|worse|the same] in {{a}} [or|and] [in |]{{b}}?"""
ONE, TWO = branches(flat(ONE)), branches(flat(TWO))
BADLY, MORE_SO = flat(BADLY), flat(MORE_SO)
BEFORE = """[please|can you tell me|could you tell me|quick question|a question|one question|tell me|I need
    help|I have to pack|I am packing
    |before I leave|so|now|ok|and|well|Kimi|hey|sorry|excuse me|for my trip|for tomorrow's mail|just asking|my
    wife asks]"""
BEHIND = [
    ", please",
    " please",
    ", please.",
    ", thanks",
    " thanks",
    ". Thank you",
    ". Be quick",
    ", if you can",
    ". It is urgent",
    " :)",
]
PACKING = [
    ". I am packing",
    ". I leave soon",
    ". My train leaves in an hour",
    ", I go there today",
    ". We want to go out",
]
BEFORE = flat(BEFORE)


def free(rng: random.Random, text: str, more: list[str] = BEHIND) -> str:
    """The request as it is typed; what stands in it is not changed, but at times for the case of other letters."""
    mark = text[-1] if text[-1] in "?." else ""
    roll = rng.random()
    if roll < 0.14:
        text = f"{hail(rng)}{rng.choice((', ', '! ', '. '))}{text}"
    elif roll < 0.24:
        text = f"{spun(rng, BEFORE)}{rng.choice((', ', ': '))}{text}"
    elif roll < 0.3:
        text = f"{remark(rng)}. {cap(text)}"
    if rng.random() < 0.12:
        text = text.rstrip("?.") + rng.choice(more)
    elif rng.random() < 0.35 and mark:
        text = text.rstrip("?.")
    elif not mark and rng.random() < 0.3:
        text += "."
    return cap(text) if rng.random() < 0.6 else text


def _where(rng: random.Random, name: str) -> str:
    """The city as it is said, at times with its country."""
    if rng.random() < 0.88:
        return name
    country = rng.choice(COUNTRIES) if rng.random() < 0.8 else invented(rng)
    return rng.choice((f"{name}, {country}", f"{name} in {country}", f"{name} ({country})", f"{name}, {country}"))


def weather(rng: random.Random) -> Example:
    """The weather of one to four cities, asked for in free words, called for in one turn."""
    names = towns(rng, pick(rng, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4))
    small = rng.random() < 0.07
    if small:
        names = [name.lower() for name in names]
    if len(names) == 2 and rng.random() < 0.75:
        said_ = [_where(rng, name) if rng.random() < 0.4 else name for name in names]
        form = spun(rng, rng.choice(TWO))
        if form.find("{b}") < form.find("{a}"):
            form = form.replace("{a}", "{c}").replace("{b}", "{a}").replace("{c}", "{b}")
        ask = form.replace("{a}", said_[0]).replace("{b}", said_[1])
    else:
        said_ = [_where(rng, name) if len(names) == 1 else name for name in names]
        glue = rng.choice((", ", " and ", " & ", " + ", " and also ", ", then ", " or ", " / ", ", and "))
        where = series(said_) if len(names) > 2 or rng.random() < 0.4 else glue.join(said_)
        if len(names) > 2 and rng.random() < 0.35:
            where = glue.join(said_)
        ask = spun(rng, rng.choice(ONE)).replace("{w}", where)
        if len(names) > 1 and rng.random() < 0.25:
            ask = spun(rng, rng.choice(LISTED)).replace("{w}", where)
    tool, calls = get_weather(rng), Calls()
    (argument,) = tool["function"]["parameters"]["properties"]
    called = tool["function"]["name"]
    before = []
    if rng.random() < 0.12:
        first = town(rng)
        if first not in names and not Example("weather", first, []).is_test:
            turn = calls.turn(f"I need the weather in {first}, so I call {called}.", (called, {argument: first}))
            text, sentence = weather_result(rng, first)
            asked = free(rng, spun(rng, rng.choice(ONE)).replace("{w}", first))
            before = [user(asked), turn, *results(turn, text), said(sentence)]
            ask = spun(rng, rng.choice(ALSO)).replace("{w}", series(said_))
    ask = free(rng, ask.replace(" ?", "?").replace(" ,", ","), BEHIND + PACKING)
    ask = ask.lower() if small else ask
    call = calls.turn(f"I need the weather in {series(names)}, so I call {called}.",
                      *((called, {argument: name}) for name in names))  # fmt: skip
    texts, sentences = zip(*(weather_result(rng, name) for name in names), strict=True)
    final = says("I have the weather now." if len(names) == 1 else "I have all results now.", " ".join(sentences))
    messages = [*before, user(ask), call, *results(call, *texts), final]
    task = "weather" if len(names) == 1 else "parallel"
    return Example(task, series(names), messages, shuffled(rng, [tool]), tuple(sentences))


LISTED = f"""which of these is {MORE_SO}: {{w}}?|[the weather|weather|temperatures|forecast] for these
    [cities|places|towns]: {{w}}|{{w}}: [where is it
    {MORE_SO}|which is {MORE_SO}|how is the weather in each|weather please]?|[my trip|the tour|our holiday|my
    journey] goes to {{w}}[. |, ][how is the weather|what should I pack|do I need
    {THINGS}]?|[I have friends|we have offices|my children are|I have been invited] in {{w}}[. |: ][how is the
    weather there|where is it {MORE_SO}]?|where is it {MORE_SO}: {{w}}?|{{w}}, all of them: how is the
    weather?|I cannot decide between {{w}}[. |: ][where is it {MORE_SO}|how is the weather]?|give me {WANTED}
    [of|for|in] {{w}}, one after the other|compare {{w}}[ by their weather|]|check all of these for me:
    {{w}}|the weather in
    {{w}}, all at once please"""
LISTED = branches(flat(LISTED))
ALSO = """[and|and what about|what about|how about|and how about|and now|also|now|then|and also|and how is it]
    in {w}[| today]?|[and|what about|how about|and what
    about|and how about|also|now|next|then|and then] {w}?|[the same for|and the same for|do the same for|now
    check|and check|please check|now] {w}[|, please]|[is it [warmer|colder|better] in|and is it
    the same in|and the weather in|what is it like in|and how warm is it in] {w}?|{w} too[|, please|?]|[I go|we
    go|I travel] on to {w}[. And there|, and there|. How is it there]?"""
ALSO = branches(flat(ALSO))

DATE_FORMS = [
    ("""what day is [it|today|it today]|[which|what] day [of the week|] [is it|is today|do we have|have we
    got|are we on]|[which|what] weekday [is it|is today|do we
        have]|[tell|give] me the [day|weekday|day of the week]|is [today|it] {d}[| today| or {e}]|is it
        [still |already |really |]{d}[| today]|today is [what|which] day|the weekday, please|I [forgot|lost
        track of|do not know] what day it is|do you know [what|which] day [it is|today is|we have]|I need [the
        weekday|to know what day it is]|day of the week|what day is it now|is today a
        [weekday|Sunday|Monday]|can you [check|look up|say|tell me] what day it is""", "Today is {day}."),
    ("""what is [the date|today's date|the date today|the current date]|what's [the date|today's date|the date
    today]|[which|what] date [is it|is today|do we have|have we got|do I write]|[tell|give] me the
        [date|date of today|current date|full date]|today's date|current date|date[| of today]|the
        date[ please|, please| today]|I [forgot|need|want|do not know] [the date|today's date|the date of
        today]|what [date|day of
        the month] is it[| today| now]|do you know [the date|today's date|which date it is]|[can|could] you
        [check|look up|tell me|say] [the date|today's date]|what should I write as the date|I have to date a
        letter, what do I
        write""", "Today is {day}, {date}."),
    ("""what day is [it |]tomorrow|[which|what] [weekday|day] [is|will be|comes] [it |]tomorrow|tomorrow is
    [what|which] day|is tomorrow {d}[| or {e}]|is it {d} tomorrow|which day comes next|do you know
    [what|which] day tomorrow is|tell me
        [what|which] day tomorrow [is|will be]|what day do we have tomorrow|what will tomorrow be[, {d}| for a
        day|]""", "Tomorrow is {after}."),
    ("""what day was [it |]yesterday|[which|what] [weekday|day] was [it |]yesterday|yesterday was [what|which]
    day|was yesterday {d}[| or {e}]|was it {d} yesterday|tell me [what|which] day yesterday was|which day
    did we have yesterday|do you know
        [what|which] day it was yesterday""", "Yesterday was {before}."),
    ("""[what|which] year [is it|do we have|is this|are we in|have we got|do we write][| now| today]|tell me
    the [year|current year]|the year[ please| we are in|]|current year|in [what|which] year are we|I
    forgot [what|which] year it is|is it [still |already
        |]{y}|do you know [what|which] year it is|what is the [current |]year""", "It is {year}."),
    ("""[what|which] month [is it|do we have|is this|are we in|have we got][| now| today]|tell me the
    [month|current month]|the month[ please| we are in|]|current month|in [what|which] month are we|I
    forgot [what|which] month it is|is it [still |already
        |]{m}[| or {n}]|do you know [what|which] month it is|what is the [current |]month""", "It is {month}."),
]  # fmt: skip
INDIRECT = [
    "what day [it is|today is|we have today|of the week it is]|which [weekday|day] [it is|today is|we have]",
    (
        "what date [it is|today is|we have today|we write]|what [the date|the current date|the "
        "date of today|today's date] is"
    ),
    (
        "what day [tomorrow is|it is tomorrow|comes tomorrow|it will be tomorrow]|which "
        "[weekday|day] tomorrow [is|will be]"
    ),
    "what day [yesterday was|it was yesterday]|which [weekday|day] [yesterday was|we had yesterday|it was yesterday]",
    "what year [it is|we have|this is|we are in]|which year [it is|we have|we write]",
    "what month [it is|we have|this is|we are in]|which month [it is|we have|we are in]",
]
ASKED = (
    "[do you know|can you tell me|could you tell me|tell me|please tell me|I want to know|I "
    "need to know|I wonder|I forgot|say"
)
ASKED += (
    "|let me know|check|please check|find out|could you check|have you any idea|remind me|I "
    "have to know|look up|would you say]"
)
DATES = [(branches(flat(form)), answer) for form, answer in DATE_FORMS]
DATES = [
    (asks + [f"{ASKED} {that}" for that in branches(more)] * 3, answer)
    for (asks, answer), more in zip(DATES, INDIRECT, strict=True)
]
CLOCK = """what time is it[| now| right now]|what is the time[| now]|what's the time|[tell|give] me the
    [time|current time|exact time]|how late is it|the time[, please| now|]|do you [know|have] the
    time|what does the clock say|current
    time|[can|could] you [check|look at] the [clock|time]|is it [late|already late|noon yet|time for lunch|time
    for bed|after noon]|what hour is it|I have no watch, what time is it|how late are we|time please|I need
    [the time|to know the time]|what
    time do we have|which time is it|clock"""
CLOCK += """|[do you [know|happen to know]|can you tell me|could you tell me|tell me|please tell me|I want to
    know|I need to know
    |I wonder|say|let me know|check|find out] [what time it is|how late it is|what the time is|what hour it
    is|what the clock says][| now| right
    now| here]|[how late|what time|what hour] [is it|do we have|have we got|would it be|are we at][| now| right
    now| at the moment| here
    |, please| exactly]|[read|look at|check|ask] the clock[| for me| please|, please]|my watch [stopped|is
    broken|is lost], [what time is
    it|how late is it|tell me the time]|am I late for [lunch|work|school|the train], what time is it|[the|]
    [exact|current|present] time[,
    please| please| now|]"""
CLOCKS = branches(flat(CLOCK))


def _date_asked(rng: random.Random, asks: list[str]) -> str:
    (d, e), (m, n) = rng.sample(DAYS, 2), rng.sample(MONTHS, 2)
    text = spun(rng, rng.choice(asks)).replace("{d}", d).replace("{e}", e).replace("{m}", m).replace("{n}", n)
    text = text.replace("{y}", str(rng.randrange(2020, 2032)))
    text = free(rng, text + rng.choice(("?", "?", "")) if text.split()[0] not in ("tell", "give", "I") else text + ".")
    return text.lower() if rng.random() < 0.15 else text


def date(rng: random.Random) -> Example:
    """A question in free words that needs today's date."""
    day = a_date(rng)
    weekday, after, before = (DAYS[(day.weekday() + i) % 7] for i in (0, 1, -1))
    asks, form = rng.choices(DATES, (4, 4, 2, 1, 2, 2))[0]
    answer = form.format(
        day=weekday, date=written(day), after=after, before=before, year=day.year, month=MONTHS[day.month - 1]
    )
    ask, calls = _date_asked(rng, asks), Calls()
    call = calls.turn("I need today's date, so I call get_date.", ("get_date", {}))
    thought = f"Asked: {ask}\nToday is {weekday}, {written(day)}."
    messages = [user(ask), call, *results(call, date_result(rng, day)), says(thought, answer)]
    return Example("date", f"{day}{answer}", messages, shuffled(rng, [get_date(rng)]), (answer,))


def clock(rng: random.Random) -> Example:
    """A question in free words about today or the time, with the agent's own tools."""
    day = a_date(rng)
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}"
    weekday, after, before = (DAYS[(day.weekday() + i) % 7] for i in (0, 1, -1))
    asks, form = rng.choice([*DATES, *[(CLOCKS, "It is {time}.")] * 3])
    answer = form.format(
        day=weekday,
        date=written(day),
        time=time,
        after=after,
        before=before,
        year=day.year,
        month=MONTHS[day.month - 1],
    )
    ask, calls = _date_asked(rng, asks), Calls()
    call = calls.turn("I need the date, so I call get_date.", ("get_date", {}))
    thought = f"Asked: {ask}\nIt is {weekday}, {written(day)}, {time}."
    messages = [user(ask), call, *results(call, agents_date(rng, day, time)), says(thought, answer)]
    own = declarations() if rng.random() < 0.7 else declarations()[:2]
    return Example("agent_date", f"{day}{answer}", messages, own, (answer,))


SUBJECTS = """the best [pizza|bakery|hotel|school|market|museum|café|park] in
    {c}|[cheap|good|used|new|second-hand] [bikes|flights|shoes|phones|guitars|
    boats|flats|books] [in|near|to] {c}|[trains|flights|buses|ships] from {c} to {k}|the
    [mayor|history|population|weather service|football club|university|
    port|zoo|opera] of {c}|the [opening hours|address|phone number|menu|prices] of the {o} [shop|museum] in
    {c}|{t}|{t} in {c}|[a recipe|recipes] for [bread|soup|
    pancakes|apple pie|curry|lemon cake]|how to [repair|clean|build|paint|sell|buy] a {o}|{p}|{p} and
    {t}|pictures of [a|the] {o}|[books|films|articles|papers|lessons|facts]
    about {t}|reviews of {w}|the [author|price|plot|music] of {w}|jobs for a {j} in {c}|the newest {o} from
    {c}|{n}|{n} from {c}|{n}, the {j}|the {j} {n}|a {a} [doctor|
    food shop|breeder|museum] in {c}|the latest [results|score|ranking] of {c}|tickets for {c}|concerts in
    {c}|events in {c}|the meaning of {x}|the word {x}|
    what {x} means|who {n} is|where {c} is|when {p} was born|how old {p} is|why {t} matters"""
SUBJECTS = branches(flat(SUBJECTS.replace("|\n", "|")))
SEARCHED = """[please|can you|could you|would you|] search [the web|the internet|online|the net] for
    {q}|[please|] search for {q}[| online| on the web| on the internet]|[please|can
    you|] look [for|up] {q} [on the web|online|on the internet|in the net]|[please|] [google|web
    search|websearch] {q}|find [out |] [on the web|online|on the internet|with a search]:
    {q}|I [want|need] [you to search for|a web search for|a search for|information from the web on]
    {q}|[do|run|start|make] a [web |]search [for|on|about] {q}|what does
    [the web|the internet|a search] say about {q}?|[use|call] [the search|your search tool|web_search|the
    search tool] [for|to look for|to find] {q}|[see|check] [on the web|online] for
    {q}|search: {q}|web search: {q}|look online for {q}|[is there|can you find] anything [online|on the web]
    about {q}?"""
NEWS_OF = """what is [new|the news|going on|happening] in {c}[| today| now| right now]?|[any|is there any|is
    there|do you have] news [from|about|of] {c}[| today]?|what happened in {c}[| today|
    yesterday| last night| this week]?|[news|latest news|headlines] [from|about|of]
    {c}[| please]|[tell|give|show|bring] me the [news|latest news|latest|headlines] [from|of|about] {c}|did
    anything
    happen in {c}[| today]?|[I want|I would like] the [latest |]news [from|of] {c}|what do they
    [write|report|say] [from|about] {c} today?"""
TOPIC_NEWS = """what is [new|the latest|going on|happening] in {t}[| today| now]?|[any|is there any|do you
    have] [news|new things] [about|in|on] {t}[| today]?|[news|latest news|headlines]
    [about|on|in|of] {t}[| please]|[tell|give|show|bring] me the [news|latest news|latest|headlines]
    [on|about|in] {t}|[I want|I would like] the [latest |]news [on|about] {t}|[what's new|what's the
    latest] in {t}?|[please|] [find|look up|get|search] [the latest |]{t} news[| please]|{t} news[| please| today|?]"""
WHO = """who is {n}?|[find out|look up|search|check|can you find out|could you check] who {n} is|[do you
    know|tell me] who {n}
    is[|. Search if you must]|who is {n}[|, look it up|, search for it]?|look up {n}|find out about
    {n}|I [met|heard of|have to meet] {n}[. Who is that|. Can you look it up| and want to know who that is]?"""
SEARCHED += """|[please|can you|could you|would you|I want you to|go and|now|] [search|look|check|browse] [the
    web|the internet|online|the net
    |on the web|on the internet] for {q}[|, please| please]|[please|can you|could you|would you|I want you to|]
    [find|get|look up|search|google
    |research] {q} [online|on the web|on the internet|in the web|for me online]|[what|which pages] [can you|do
    you] find [online|on the
    web|on the internet] [about|on|for] {q}?|[show|tell|give|bring|find] me [what the web|what the
    internet|what a search] [says|has|knows] [about
    |on] {q}|I [am looking|look|am searching] [online|on the web|on the internet] for {q}[|, help me|. Can you
    search it]|[web|internet|online]
    search [for|about|on] {q}[| please|, please]|[please|] [use|try] [web_search|the web search|your search|the
    search tool] [with|for|on
    |and look for] {q}"""
SEARCHED, NEWS_OF, TOPIC_NEWS, WHO = (branches(flat(form)) for form in (SEARCHED, NEWS_OF, TOPIC_NEWS, WHO))


def _subject(rng: random.Random) -> str:
    c, k = towns(rng, 2)
    t = rng.choice(TOPICS) if rng.random() < 0.6 else rng.choice(tools.TOPICS)
    text = spun(rng, rng.choice(SUBJECTS))
    slots = {
        "c": c,
        "k": k,
        "t": t,
        "o": rng.choice(OBJECTS),
        "j": rng.choice(JOBS),
        "n": a_name(rng),
        "p": rng.choice(NAMES),
    }
    return text.format(**slots, w=rng.choice(WORKS), a=rng.choice(ANIMALS), x=invented(rng).lower())


def _finding(rng: random.Random, about: str) -> str:
    """A sentence that a page on the subject could begin with."""
    what, place, who = cap(about), town(rng), person(rng)
    number = rng.randrange(2, 100)
    return rng.choice((
        lambda: tools.headline(rng, rng.choice(tools.TOPICS)),
        lambda: f"{what}: {number} pages by {who} of {place}.",
        lambda: f"{who} writes about {about}.",
        lambda: f"{place} has a new page on {about}.",
        lambda: f"All about {about}, by {who}.",
        lambda: f"{what} explained in {number} pictures.",
        lambda: f"The {rng.choice(COLOURS)} guide to {about}.",
        lambda: f"{number} people asked about {about} in {place}.",
    ))()  # fmt: skip


def search(rng: random.Random) -> Example:
    """One search, asked for in free words; the query is what was said."""
    roll = rng.random()
    if roll < 0.55:
        query = _subject(rng)
        ask, sentence = spun(rng, rng.choice(SEARCHED)).replace("{q}", query), _finding(rng, query)
    elif roll < 0.7:
        place = town(rng)
        query, ask = f"news from {place}", spun(rng, rng.choice(NEWS_OF)).replace("{c}", place)
        who, thing = person(rng), rng.choice(OBJECTS)
        sentence = rng.choice((
            tools.headline(rng, rng.choice(tools.TOPICS)), f"{place} opens a new {rng.choice(tools.TOPICS)} centre.",
            f"{who} finds {a(thing)} in {place}.", f"{who} is the new mayor of {place}.", f"Heavy rain in {place}.",
            f"{place} wins against {town(rng)}.",
        ))  # fmt: skip
    elif roll < 0.85:
        topic = rng.choice(tools.TOPICS) if rng.random() < 0.6 else rng.choice((*JOBS, *ANIMALS, *OBJECTS)) + "s"
        query, ask = f"{topic} news", spun(rng, rng.choice(TOPIC_NEWS)).replace("{t}", topic)
        sentence = tools.headline(rng, topic)
    else:
        query = a_name(rng)
        ask = spun(rng, rng.choice(WHO)).replace("{n}", query)
        sentence = f"{query} is {a(rng.choice(JOBS))} from {town(rng)}."
    ask = free(rng, ask.replace(" ,", ",").replace(" ?", "?"))
    calls = Calls()
    call = calls.turn(f"I search the web for {query}.", ("web_search", {"query": query}))
    final = says("I have a result.", f"I found this: {sentence}")
    messages = [user(ask), call, *results(call, tools.search_result(rng, sentence)), final]
    return Example("search", query + sentence, messages, shuffled(rng, [tools.web_search(rng)]), (sentence,))


CALLED = """[call|run|use|start|try|execute|invoke|launch|trigger] {f}{w}|[please|can you|could you|would you|I
    want you to|now|go and] [call|run|use|try|execute] {f}{w}|[call|use|run|try] the [tool|function]
    {f}{w}|[what
    does|what will] {f} [return|give|say|answer]{w}?|[let|make] {f} run{w}|[I need|give me|get me|show me|I
    want] [the result of|the answer of|what comes from] {f}{w}|[make|do] a call [to|of] {f}{w}|{f}{w}[|
    please|, please]|[please|] [start|open] {f}{w} [and tell me the result|and say what you get|]|[ask|query]
    {f}{w}|use your tool {f}{w}|[what|which result] do you get from {f}{w}?"""
CALLED += """|[please|can you|could you|would you|will you|I want you to|you should|now|go and|let us|I need
    you to|next,|]
    [call|run|use|start|try|execute|invoke|launch|trigger|apply] [the tool|the function|your tool|the command|]
    {f}{w}[|, please| now]|[what|which answer
    |which result|what result] [do I get|do we get|comes|comes back] [from|when you call|if you call|if you
    run|from calling] {f}{w}?|[tell|show|give]
    me what {f} [returns|says|gives|answers]{w}|[see|find out|check] what {f} [returns|says|gives]{w}|[there
    is|you have] a tool {f}[. Use it|. Call
    it|, call it|, use it]{w}"""
CALLED = branches(flat(CALLED))
VERBS = [
    *tools.VERBS,
    *("add list find count save load print draw play turn book order fetch update delete create lookup").split(),
]
KEYS = [
    *tools.KEYS,
    *"date time room amount email address text speed price language unit folder song mode file".split(),
]


def named(rng: random.Random) -> Example:
    """A tool that was never seen before, to be called with what is said, in free words."""
    noun = rng.choice(OBJECTS + ANIMALS + JOBS)
    roll = rng.random()
    name = (
        f"{rng.choice(VERBS)}_{noun}"
        if roll < 0.7
        else invented(rng).lower()
        if roll < 0.85
        else f"{noun}_{rng.choice(KEYS)}"
    )
    keys = rng.sample(KEYS, pick(rng, 0, 1, 1, 1, 2, 2, 3))
    values = [
        pick(
            rng,
            code(rng),
            invented(rng),
            rng.choice(COLOURS),
            str(rng.randrange(100)),
            rng.choice(OBJECTS),
            town(rng),
            person(rng),
        )
        for _ in keys
    ]
    style = rng.randrange(5)
    pairs = [
        (f'{k} "{v}"', f"{k} {v}", f"{k}={v}", f"{k}: {v}", f"{v} as {k}")[style if style else rng.randrange(2)]
        for k, v in zip(keys, values, strict=True)
    ]
    joined = series(pairs) if pairs and rng.random() < 0.6 else ", ".join(pairs)
    before = rng.choice((" with ", " with ", " for ", " using ", ", ", ": ", " and give it "))
    with_text = f"{before}{joined}" if pairs else ""
    ask = free(rng, spun(rng, rng.choice(CALLED)).replace("{f}", name).replace("{w}", with_text).replace(" ?", "?"))
    ask = ask.replace(cap(name), name)
    calls = Calls()
    call = calls.turn(f"I call {name}.", (name, dict(sorted(zip(keys, values, strict=True)))))
    answer = pick(rng, code(rng), invented(rng), "done", rng.choice(OBJECTS), str(rng.randrange(1000)))
    text = pick(rng, answer, json.dumps({"result": answer}), json.dumps({noun: answer}))
    final = says("I have the result.", f"The result is {answer}.")
    tool = vary(rng, declare(name, cap(name.replace("_", " ")) + ".", **{k: cap(k) + "." for k in keys}))
    return Example(
        "named", name + with_text, [user(ask), call, *results(call, text), final], shuffled(rng, [tool]), (answer,)
    )
