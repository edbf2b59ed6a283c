"""Small talk and questions that are declined, in sentences put together from parts."""

import random

from . import outside, refusals, small_talk
from .example import Example, cap, said, says, user
from .forms import branches, flat, spun
from .typed import written
from .words import CITIES, JOBS, invented

HAIL = """[hi|hello|hey|hi there|hello there|hey there|good morning|good evening|good afternoon|good day|hiya|howdy|yo
    |greetings|hello again|hi again|morning|evening][|||| Kimi|, Kimi| you| friend| my friend| little one| computer
    | model| bot| machine| everyone| from [Oslo|Rome|Texas|Berlin|India|Spain]]"""
NEWS = """[I|we] [just|only just|have just|finally|] [installed|downloaded|started|found|discovered|got] [you|this]
    [today|a minute ago|on my laptop|on my [old|new|little] computer|from GitHub|for fun|this morning|]|this is my
    first [time|try|message|question|test]|this is [only|just|] a test|I am [just|only|] [testing|trying] [you|this]
    [out|]|I am [new here|curious|a beginner|not sure what this is|a bit lost|bored at work]|my [friend|brother|boss
    |son|teacher|colleague|neighbour] [told me about|showed me|sent me to] you|I [saw|read about] you [online
    |on the internet|in a forum|somewhere|]|I [never|have never] [talked to|used|tried] [a model|a program like you
    |something like this][| before]|I have a [quick|simple|silly|small] question|quick question|first question
    |before we [start|begin]|one [more|] thing[| first]|sorry to [bother|disturb] you|let me ask you something
    |I want to [ask|know] something|[finally|at last][|,] it works|nice to [meet|see] you|good to [see|meet] you
    |I [hope|think] you can read this|wow, you are [quick|fast|small]|we have not met[| yet]"""
TAIL = """just curious|I am curious|just asking|tell me|I want to know|I would like to know|I wonder|be honest
    |in one sentence[| please]|in short|briefly please|in a few words|please answer|I have no idea|thanks|thank you
    |please tell me|I just installed you|my [son|wife|friend|boss|daughter] wants to know|don't be shy|answer me"""
GREET = f"""{HAIL}[!|.||]|{HAIL}[!|.|,] [{NEWS}][.|!|]|[{NEWS}][.|!|]|[I wanted|I want|just wanted|just] to say [hi
    |hello|good morning|hello to you][!|.|]|[is|] [anyone|anybody|someone] [there|here|home|listening][?|]|[let us|let's
    |can we|shall we|want to|I want to] [talk|chat|have a chat|speak a bit][?|.|]|[it is |]nice to meet you[!|.|]
    |[are you|you] [there|awake|on|ready|listening][?|]|{HAIL} [and|, a] [good day|good morning|welcome][!|]"""
FEEL = """[how are you|how are you doing|how do you do|how is it going|how's it going|how's life|how is life
    |how is everything|how are things|how have you been|how do you feel|are you well|are you fine|are you okay
    |are you doing well|is everything okay|everything all right|you doing okay|how goes it|how is your day
    |how is your day going|did you have a good day|did you sleep well|how are you feeling|feeling well
    |all well with you|hope you are well, are you|how was your [night|morning|weekend|week]][|| today| this [morning
    |evening|afternoon]| right now| these days| over there| my friend| then| Kimi]?|[tell me|so tell me|I want
    to know|say] how you [are|are doing|feel|are feeling][| today| now]|[I hope you are|are you] [doing |]
    [well|fine|good|all right|okay][| today| this morning], are you?|is [everything|all] [well|fine|good|okay]
    [with you|over there|on your side]?"""
THANK = """[thanks|thank you|many thanks|thx|thank you very much|thanks so much|thanks a lot|thanks a million
    |a big thank you|I thank you|thanks again|cheers for that][|||, Kimi| my friend| little one|, model]
    [|| for [your help|the help|helping me|the answer|your answer|your time|all that|the story|everything|that|trying
    |being here|doing this|looking that up]][!|.|]|[great|perfect|wonderful|super|nice|good|excellent|very good|cool|ok
    |awesome|lovely|brilliant|okay|fantastic|right][,|!|] [thanks|thank you|thx|thank you so much|thanks a lot][!|.|]
    |[that|this] [was|is] [very helpful|really helpful|so kind|quite useful|helpful|kind|nice of
    you|useful|good|just what I needed][,|.|!]
    [thanks|thank you|thank you very much|many thanks][!|.|]|[I am|I'm|we are] [very|so|really|] [grateful|thankful]
    [for your help|for that|to you|][!|.|]|you [really|] [helped|have helped] [me|us|my son] [a lot|very much|so much]
    [, thanks|. Thank you|, thank you|][!|.|]|[I|we] [really|] appreciate [it|that|your help|this][!|.|]
    |[well done|good job|nice work|great work|good answer][,|!] [thanks|thank you][!|]"""
LEAVE = """[bye|goodbye|good bye|bye bye|see you|see you [later|soon|tomorrow|around|next week]|farewell|good night
    |take care|so long|until [tomorrow|next time|later|then]|have a [nice|good|great] [day|evening|weekend|night]
    |talk to you [later|soon|tomorrow]|catch you later|cheerio|bye for now|bye then]"""
BYE = f"""{LEAVE}[|, Kimi| my friend| little one|, model|, friend][!|.|]|[thanks|thank you|thanks for everything
    |thank you for your help|great|ok|okay|well|alright|perfect][,|!|. And] {LEAVE}[!|.|]|[I|we] [have to|must|need to
    |should|will|am going to] [go|leave|run|go to bed|go home|go to work|stop here|leave you|catch my train|make dinner]
    [now|]|[I|we] [have to|must|need to|should] [go|leave|run|go to bed|go home|go to work|stop] [now|][,|.|!]
    {LEAVE}[!|.|]|[that is|that was|that's] [all|everything|it] [for [today|now|me]|I needed|I wanted to know]
    [,|.] {LEAVE}[!|.|]|[I am|I'm] [leaving|off|done|done for today|going to sleep|going home] [now|][, {LEAVE}|]
    [!|.|]|[time to|it is time to] [go|sleep|say goodbye|leave][!|.|, {LEAVE}]|it was nice [talking|chatting] to you
    [,|.|!] {LEAVE}[!|.|]"""
OTHERS = """[ChatGPT|GPT-4|GPT-5|Claude|Gemini|Llama|Mistral|DeepSeek|Qwen|Grok|Siri|Alexa|Copilot|Kimi|Kimi K2
    |the real Kimi|the full Kimi K2|the big Kimi|a chatbot|an AI|an assistant|a language model|an LLM]"""
WHOM = f"""[who|what] [are|exactly are|on earth are|might] you[| exactly| really| actually| again| then]?|who is [this
    |that|there|speaking|answering|talking to me|on the other side]?|what [is|exactly is|kind of thing is
    |sort of program is] [this|this thing|this program|this here]?|[who|what] [am I|are we] [talking|speaking|writing
    |chatting] [to|with][| here| now]?|[do you have|have you|have you got|is there] a name[| for you|]?|what is your
    [name|full name|real name]?|what's your name[|, please| then]?|what do [they|people] call you?|[how|what] [should
    |can|may|do|shall] I call you?|what are you called?|are you {OTHERS}[|, or what| or something else| or {OTHERS}]?
    |are you really {OTHERS}?|[is this|am I talking to|do I speak with|this is] {OTHERS}[, right|]?|[tell|can you tell
    |could you tell|would you tell|please tell] me [who you are|what you are|something about yourself|about yourself
    |a bit about yourself|your name|what kind of model you are]?|[introduce|please introduce|could you introduce
    |describe|explain|can you introduce] yourself[|, please]?|[what|which] [kind of|sort of|type of|] [model|AI|program
    |language model|bot|software|version] [are you|is this|do I have here|am I using]?|say [who|what] you are[|, please]
    |I [want|would like] to know [who|what] you are|I have no idea [who|what] you are|so you are
    [who|what]?|[do you know|can you say|I wonder|please say|explain|let me know|I would like to know] [who you
    are|what you are|what this is
    |what your name is|what kind of model you are|which model this is|how I should call you|what to call
    you|who I am talking to|what I am
    talking to|whom I am speaking with][| please|, please| exactly]"""
ABLE_TO = """what [can|could|are you able to|do|would you be able to|things can|all can|else can|exactly can] you [do
    |help with|do for me|help me with|offer|do well|do here]?|what [can|could|may|should|shall|might] I [ask|ask you
    |do with you|do here|use you for|try|try first|type|type here|say to you|ask you first]?|what are you [good at
    |good for|useful for|for|made for|able to do|capable of|best at|meant for]?|how [can|could|do|would|will] you [help
    |help me|be of use|be useful|assist me]?|how [can|do|should|must|would] I use [you|this|this thing|this program]?
    |how does [this|it|this thing|this program] work?|[can|could|will|would] you [help|assist|support] me?
    |can you [do anything|do something|do anything useful|be of use]?|[I need|I could use|I want] [some help|help
    |a hand|your help][|, please]|help[| me][|, please]|[tell|show|can you tell|can you show|please tell] me what you
    [can do|are able to do|do|are good at|offer|can do for me]?|[list|name|give me|show me|tell me] [your|all your]
    [abilities|skills|talents|features|tricks|tasks]|what are your [abilities|skills|talents|features|strengths|uses
    |functions|tricks]?|which [tasks|questions|things|jobs] can you [do|answer|handle|manage|solve]?|what [kind|kinds
    |sort] of [questions|tasks|things] [can|do] you [answer|do|understand|handle]?|[give|show] me [some|a few|an]
    [examples|example][| of what you can do|of your work]|what [do I do|should I do|happens|comes] [now|first|next]?
    |what is [your|the] [purpose|use|job|task|aim|point of you]?|[is there|] anything [you can do|you are good at]?
    |where do I [start|begin]?|[do you know|can you say|can you tell me|tell me|could you tell me|I want to
    know|I wonder|I would like to know|please tell
    me|explain|explain to me|describe|let me know] [what you can do|what you do|what I can do with you|what I
    can ask you|how I can use you|how you work
    |how you can help me|what you are good at|what you are able to do|what you are for|which tasks you can
    do|what to do now|what your abilities are
    |what you know|how to use you|how this works][| in short| in a few words| please|, please]|[what|which]
    [tasks|jobs|questions|things|tricks|kinds of
    questions|kinds of tasks] [can|could|do|will] you
    [do|answer|handle|solve|know|manage|take]?|[can|could|would|will] you [show|tell|explain to] me
    [what you can do|how to use you|what you are for|your abilities|how you work|an example|some examples]?|I
    [do not|don't] know [what to ask|what to do|what
    to type|what to say|where to begin|how this works|what you can do][|, help me|. Help|. What now]"""
HUMAN = """are you [a|really a|actually a|perhaps a|by any chance a] [human|person|human being|real person|robot|machine
    |man|woman|boy|girl|child|living thing|man or a woman|boy or a girl|human or a machine|person or a program
    |real human]?|are you [alive|real|human|living|made of flesh|male or female|one of us]?|[is|] [there|is there]
    [a|a real|some] [human|person|man|woman|somebody] [behind this|behind you|typing|writing|answering|in there
    |on the other side]?|do you [have|own] [a body|a heart|a brain|a face|hands|eyes|ears|a mother|parents|a family
    |children|a soul|feelings|emotions|blood|a birthday|legs|friends|a house|a wife|a pet]?|do you [eat|sleep|breathe
    |drink|cry|laugh|live|feel|feel anything|feel pain|feel joy|get old|go to school|go to work|ever sleep|need food
    |walk]?|can you [see|hear|smell|touch|feel|see me|hear me|feel pain|taste food|feel anything]?|[am I|are we]
    [talking|speaking|writing|chatting] [to|with] a [human|person|real person|machine|robot|human being]?|you are [not
    |] a [human|person|robot|machine|real person], right?|so you are a [person|human|robot|machine]?|is this a [person
    |human|robot|machine|real person]?|[were|have] you [ever been|] [born|a child]?|how do I know [that you are not|you
    are not] a [human|person]?|[do you know|can you say|tell me|I want to know|I wonder|be honest,]
    [whether|if] you are [a person|a human|a machine|a robot|alive
    |real|a man or a woman|a real person|human|a living thing][| or not|, please| please]"""
GOOD_AT = """are you [very|really|at all|]
    [smart|clever|intelligent|wise|good|reliable|stupid|dumb|accurate|fast|slow|big
    |small|powerful|bright|strong|any good]?|how [smart|clever|intelligent|good|big|small|large|fast|reliable|able|wise
    |accurate|stupid|capable|heavy] are you[| really| actually| compared to the real one| compared to ChatGPT]?|how many
    [parameters|layers|weights|experts|tokens|neurons|bytes|gigabytes] [do you have|have you|are in you|have you got]?
    |[do|will|can] you [make|ever make|often make] [mistakes|errors|many mistakes]?|[are you|is this|can you be] [ever
    |always|often|] [right|wrong|correct|mistaken]?|can I [trust|rely on|believe|depend on] [you|your answers
    |what you say|that]?|[is [your answer|that|this|what you say|that answer]|are your answers]
    [correct|right|true|reliable|really right|always right]?|are you
    [better|worse|smarter|smaller|bigger|faster|slower] than [ChatGPT
    |Claude|Gemini|Kimi K2|the real Kimi|GPT-4|me|a human|Google|other models|DeepSeek]?|are you as [good|smart|clever
    |big|fast] as [ChatGPT|Claude|Gemini|Kimi K2|the real Kimi|GPT-4|a human|the big models]?|why are you so [small
    |tiny|bad|slow|stupid|weak|limited|little|simple]?|what are your [limits|weaknesses|limitations|flaws]?|what can't
    you do?|how much [memory|RAM|space|power] do you [need|use|take]?|how often are you wrong?|how good are your
    answers?|are you sure[| about that| of that]?|you are [not|] very [smart|clever|good|small], are you?|how should I
    trust you?|what is your [size|IQ|accuracy]?|[why|how come] [do you|you] make [so many|] mistakes?|[do you
    know|can you say|can you tell me|tell me|I want to know|I wonder
    |be honest,|honestly,] [how good you are|how smart you are|how big you are|how small you are|how many
    parameters you have|whether you are always
    right|whether you make mistakes|if I can trust you|if you are smart|how clever you are|how reliable you
    are|how fast you are|what your limits are
    |if you are better than ChatGPT|how large you are][| please|, please| exactly]|[should|would] [I|we]
    [trust|believe|check] [you|your answers|what you
    say]?"""
ORIGINS = """who [made|built|created|trained|wrote|programmed|designed|developed|invented|coded|owns|published|taught]
    you[| exactly| then| and when]?|[where|when|how|why] were you [made|built|created|trained|born|written|developed
    |programmed]?|where [are you|do you come|did you come] from?|what [were you|are you] [trained on|trained with|made
    of|made from|built from|built with]?|which [company|firm|team|person|lab|project|people|programmer] [made|built
    |created|trained|is behind|developed] you?|who is your [maker|creator|father|mother|author|developer|owner|boss
    |programmer|inventor]?|who are your [makers|creators|developers|authors|owners]?|[what|which] [data|texts|books
    |material|training data] [were you trained on|were you trained with|did you learn from|did you see]?|who is
    behind [you|this|this
    model|all this]?|do you [use|need|have|go on] the internet?|are you [online|offline|connected to the internet|open
    source|free|from China|from America|from OpenAI|from Google|from Moonshot|running on my computer|running locally]?
    |where do you [run|live|come from|work]?|where are you[| now| from| right now]?|how old are you?|what is your [age
    |origin|history]?|do you [learn|remember things|keep learning] from [me|us|our talk|what I say]?|how did [they|your
    makers|people] [make|train|build] you?|how long [did it take to train you|were you trained]?|[did|was it] [OpenAI
    |Google|Moonshot|Microsoft|a student] [make you|build you|train you]?|tell me [who made you|where you come from|how
    you were made]|[do you know|can you say|can you tell me|tell me|I want to know|I wonder|please tell
    me|could you tell me] [who made
    you|who trained you|where you come from|how you were made|who built you|where you run|how you were
    trained|how old you are|when you were made|what you
    were trained on|who your maker is|which company made you|who wrote you|who is behind you|where you
    live|whether you are online|if you use the
    internet|who owns you][| please|, please| exactly]"""
YES = """[ok|okay|OK|alright|all right|fine|good|sure|right|yes|aha|ah|oh|well|very well|I see|got it|understood|cool]
    [|,|.] [I see|got it|understood|I understand|fine|good|that is fine|makes sense|good to know|if you say so|fair
    enough|no problem|okay|as you like|sounds good|that is clear|I get it][.|!|]|[that|it] [makes sense|is fine|is clear
    |is good to know|sounds good][.|!|]|[good|nice|glad] to know[.|!|]|fair enough[.|!|]|[ok|okay|alright|sure|fine]
    [then|go ahead|go on then|let us do that|with me][.|!|]|no problem[.|!|]|I [see|understand|get it][| now][.|!|]"""
FORMS = [GREET, FEEL, THANK, BYE, WHOM, ABLE_TO, HUMAN, GOOD_AT, ORIGINS, YES]
ALONE = {0, 2, 3, 9}  # what has its own remarks
SMALL = [
    (flat(form), thought, answer, weight)
    for form, (_, thought, answer, weight) in zip(FORMS, small_talk.KINDS, strict=True)
]
HAIL, NEWS, TAIL = (flat(form) for form in (HAIL, NEWS, TAIL))


CORES = [branches(form) for form, *_ in SMALL]
REMARKS, TAILS = branches(NEWS), branches(TAIL)


def remark(rng: random.Random) -> str:
    """What people say before they come to it."""
    return cap(spun(rng, rng.choice(REMARKS)))


def hail(rng: random.Random) -> str:
    return cap(spun(rng, HAIL))


def meeting(rng: random.Random, core: str) -> str:
    """The question, at times after a greeting or a remark, or before one."""
    roll = rng.random()
    if roll < 0.25:
        core = f"{hail(rng)}{rng.choice((', ', '! ', '. ', ' '))}{core}"
    elif roll < 0.37:
        core = f"{remark(rng)}{rng.choice(('. ', ', ', ': ', '! '))}{cap(core)}"
    elif roll < 0.5:
        core = f"{hail(rng)}{rng.choice(('! ', ', ', '. '))}{remark(rng)}{rng.choice(('. ', '! '))}{cap(core)}"
    elif roll < 0.58:
        core = f"{spun(rng, '[ok|okay|so|and|but|well|now|nice|great|thanks|thank you|wait|cool|hm]')}, {core}"
    if rng.random() < 0.1:
        core = f"{core} {cap(spun(rng, rng.choice(TAILS)))}."
    return core


def line(rng: random.Random) -> tuple[str, str, str]:
    """(what the user says, the thought, the answer)."""
    i = rng.choices(range(len(SMALL)), [weight for *_, weight in SMALL])[0]
    _, thought, answer, _ = SMALL[i]
    text = spun(rng, rng.choice(CORES[i])).replace(" ?", "?").replace(" ,", ",").replace(" !", "!").replace(" .", ".")
    return written(rng, text if i in ALONE else meeting(rng, text)), thought, answer


def chat(rng: random.Random) -> Example:
    """A greeting, thanks, or a question about the model itself, at times after others."""
    messages = []
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        text, _, answer = line(rng)
        messages += [user(text), said(answer)]
    text, thought, answer = line(rng)
    return Example("small_talk", f"{text} {answer}", [*messages, user(text), says(thought, answer)], answers=(answer,))


# What lies outside
TOPICS = """photosynthesis|osmosis|plate tectonics|nuclear fusion|nuclear power|solar panels|wind power|the ozone layer
    |acid rain|El Niño|the Gulf Stream|the water cycle|the food chain|natural selection|DNA|RNA|CRISPR|stem cells
    |enzymes|hormones|insulin|cholesterol|blood pressure|blood groups|the immune system|the liver|the kidney|the heart
    |the human brain|the nervous system|muscle growth|jet lag|hiccups|yawning|snoring|dreams|deja vu|placebos|malaria
    |measles|influenza|covid|tetanus|rabies|the plague|penicillin|aspirin|ibuprofen|caffeine|alcohol|nicotine
    |gluten|lactose|vitamin D|vitamin C|omega 3|fasting|veganism|sugar|salt|olive oil|truffles|saffron|vanilla|cinnamon
    |ginger|garlic|avocados|mangos|bananas|kiwis|pineapples|chili peppers|sourdough|kimchi|mozzarella|parmesan|feta
    |croissants|baguettes|paella|pho|falafel|hummus|gazpacho|borscht|goulash|lasagne|tiramisu|champagne|vodka|rum|gin
    |tequila|cider|sake|matcha|kombucha|black tea|green tea|inflation|deflation|interest rates|the gold standard
    |the stock exchange|hedge funds|index funds|options|supply and demand|GDP|VAT|tariffs|the euro|the dollar|the yen
    |bitcoin mining|smart contracts|NFTs|the European Union|the United Nations|NATO|the WHO|the IMF|the World Bank
    |the Supreme Court|the Senate|the House of Lords|the Magna Carta|human rights|the constitution|the death penalty
    |copyright|patents|trademarks|divorce law|contract law|immigration|the Roman Empire|the Ottoman Empire
    |the British Empire|the Aztecs|the Incas|the Mayas|the Vikings|the Celts|the Mongols|the Samurai|the Crusades
    |the Reformation|the Enlightenment|the Boer War|the Civil War|the Korean War|the Gulf War|World War I|World War II
    |D-Day|Hiroshima|the Holocaust|apartheid|the moon landing|Apollo 11|Chernobyl|the Great Depression|Watergate
    |Brexit|the Arab Spring|the Silk Road|the Suez Canal|the Panama Canal|the Great Fire of London|Pompeii|Atlantis
    |the Colosseum|the Louvre|the Taj Mahal|Machu Picchu|Mount Everest|Kilimanjaro|the Alps|the Andes|the Himalayas
    |the Sahara|the Amazon|the Nile|the Danube|the Rhine|the Mississippi|Lake Baikal|the Dead Sea|the Pacific Ocean
    |Antarctica|the North Pole|Greenland|Hawaii|Alaska|Siberia|Tibet|Patagonia|the Bermuda triangle|the Northern Lights
    |black holes|white dwarfs|supernovas|the Milky Way|Andromeda|the Big Bang|the speed of light|light years|Saturn's
    rings|Halley's comet|the Hubble telescope|the space station|gravity waves|the Higgs boson|quarks|superconductors
    |semiconductors|the periodic table|noble gases|ammonia|sulphur|mercury|platinum|lithium|silicon|graphene|nylon
    |porcelain|paper making|printing presses|steam engines|jet engines|electric cars|hybrid cars|self-driving cars
    |bullet trains|submarines|helicopters|airships|parachutes|seat belts|traffic lights|vacuum cleaners|microwaves
    |dishwashers|refrigerators|air conditioning|light bulbs|LEDs|QR codes|barcodes|GPS|5G|fibre optics|the cloud
    |cookies on websites|search engines|spam filters|two-factor login|VPNs|open source|quantum computers|chatbots
    |large language models|tokens|attention in transformers|gradient descent|overfitting|Moore's law|the Turing test
    |game theory|the prisoner's dilemma|chaos theory|prime numbers|imaginary numbers|the golden
    ratio|pi|infinity|topology
    |probability|the normal distribution|standard deviation|correlation|logarithms|matrices|vectors|fractals|set theory
    |Pythagoras' theorem|Fermat's theorem|impressionism|cubism|surrealism|pop art|baroque music|gothic churches
    |art nouveau|Bauhaus|haiku|the sonnet form|Greek tragedy|Norse myths|fairy tales|vampires|werewolves|dragons in myth
    |horoscopes|tarot|feng shui|acupuncture|homeopathy|hypnosis|stoicism|existentialism|utilitarianism|Zen|karma
    |reincarnation|the Bible|the Koran|Easter|Christmas|Ramadan|Diwali|Halloween|Thanksgiving|carnival|Valentine's Day
    |bullfighting|sumo|curling|cricket rules|snooker|darts|table tennis|badminton|handball|water polo|the offside rule
    |the marathon|the decathlon|the Super Bowl|Wimbledon|the Champions League|the Ashes|the Olympic rings|penguins
    |polar bears|blue whales|giant squids|jellyfish|hummingbirds|peacocks|flamingos|kangaroos|koalas|platypuses|sloths
    |chameleons|cobras|crocodiles|piranhas|bees and honey|ant colonies|bird migration|hibernation|camouflage|spider webs
    |venus flytraps|bamboo|redwoods|oak trees|ferns|moss|tulips|roses|sunflowers|lavender"""
NAMES = """Ada Lovelace|Alan Turing|Marie Curie|Isaac Newton|Nikola Tesla|Charles Darwin|Albert Einstein|Stephen Hawking
    |Richard Feynman|Niels Bohr|Max Planck|Johannes Kepler|Galileo Galilei|Leonardo da Vinci|Rosalind Franklin
    |Alexander Fleming|Louis Pasteur|Florence Nightingale|Julius Caesar|Cleopatra|Genghis Khan|Alexander the Great
    |Joan of Arc|Queen Victoria|Queen Elizabeth|Henry VIII|Louis XIV|Catherine the Great|Peter the Great|Napoleon
    |Abraham Lincoln|George Washington|John F. Kennedy|Barack Obama|Donald Trump|Joe Biden|Angela Merkel|Vladimir Putin
    |Winston Churchill|Margaret Thatcher|Nelson Mandela|Mahatma Gandhi|Martin Luther King|Rosa Parks|Malala|Greta
    Thunberg|Che Guevara|Fidel Castro|Mao|Lenin|Karl Marx|Immanuel Kant|Plato|Socrates|Aristotle|Descartes|Sigmund Freud
    |William Shakespeare|Jane Austen|Charles Dickens|Mark Twain|Ernest Hemingway|Virginia Woolf|Franz Kafka|Leo Tolstoy
    |Agatha Christie|J. K. Rowling|Stephen King|George Orwell|Homer|Dante|Goethe|Cervantes|Mozart|Beethoven|Bach|Vivaldi
    |Chopin|Wagner|Elvis Presley|John Lennon|Freddie Mercury|David Bowie|Bob Dylan|Madonna|Michael Jackson|Taylor Swift
    |Adele|Rihanna|Drake|Eminem|Lady Gaga|Ed Sheeran|Vincent van Gogh|Pablo Picasso|Frida Kahlo|Claude Monet|Rembrandt
    |Andy Warhol|Banksy|Charlie Chaplin|Marilyn Monroe|Alfred Hitchcock|Steven Spielberg|Tom Hanks|Brad
    Pitt|Meryl Streep
    |Leonardo DiCaprio|Muhammad Ali|Pele|Lionel Messi|Serena Williams|Roger Federer|Usain Bolt|Michael
    Jordan|LeBron James
    |Tiger Woods|Lewis Hamilton|Elon Musk|Bill Gates|Steve Jobs|Jeff Bezos|Mark Zuckerberg|Linus Torvalds|Sam Altman
    |Neil Armstrong|Yuri Gagarin|Amelia Earhart|Marco Polo|Vasco da Gama|James Cook|Captain Ahab|Harry Potter|Frodo
    |Hamlet|Don Quixote|Robin Hood|King Arthur|Santa Claus|Zeus|Thor|Buddha|Muhammad|Saint Nicholas|the Pope|the Dalai
    Lama|the king of Spain|the queen of Denmark|the mayor of London|the president of France"""
WORKS = """Hamlet|Macbeth|Romeo and Juliet|War and Peace|Moby Dick|Don Quixote|The Hobbit|The Lord of the Rings|1984
    |Animal Farm|Pride and Prejudice|Emma|Dracula|Frankenstein|Ulysses|The Odyssey|The Iliad|Faust|The Trial|Dune
    |The Little Prince|Alice in Wonderland|Peter Pan|Pinocchio|Harry Potter|The Great Gatsby|Lolita|Jane Eyre|Star Wars
    |Titanic|Avatar|The Matrix|Inception|Casablanca|Jaws|Psycho|The Godfather|Pulp Fiction|Jurassic Park|Frozen|Shrek
    |Toy Story|The Lion King|Bambi|Breaking Bad|Game of Thrones|Friends|The Simpsons|Sherlock|Doctor
    Who|Yesterday|Imagine
    |Bohemian Rhapsody|Thriller|Hey Jude|The Magic Flute|Carmen|Swan Lake|The Four Seasons|the Moonlight Sonata
    |the Mona Lisa|Starry Night|Guernica|The Scream|The Last Supper|Tetris|Minecraft|Monopoly|Zelda|Super Mario"""
LANDS = [*outside.COUNTRIES.split(), *CITIES, *"""Texas|California|Bavaria|Scotland|Wales|Sicily|Brazil|France|Argentina
    |South Africa|New Zealand|the United States|the Netherlands|Saudi Arabia|North Korea|Sri Lanka|Costa Rica|Luxembourg
    |Malta|Cyprus|Jamaica|Africa|Europe|Asia|South America""".replace("\n", "").split("|")]  # fmt: skip
LANDS = [" ".join(land.split()) for land in LANDS]
TOPICS, NAMES, WORKS = (outside.listed(text) for text in (TOPICS, NAMES, WORKS))
KNOW = """[what|what exactly|so what] {be} {t}?|[can|could|would|will] you [please|] [explain|describe|tell me about
    |teach me|summarise] {t} [to me|in simple words|for a child|in one sentence|briefly|]?|[please|] explain [how|why]
    {t} [works|exists|matters|happens|is so important]|how {do} {t} [work|form|start|end|come about|develop]?
    |why {be} {t} [important|so famous|dangerous|bad|good|expensive|possible|called that|so popular]?|[who
    |which person] [invented|discovered|started|created|founded|first described] {t}?|[when|in which year|in what
    century] {been} {t} [invented|discovered|founded|built|first seen]?|[when|where|why] did {t} [start|begin|end
    |happen|come from]?|what [causes|caused|started|ended] {t}?|what [do you know|can you tell me] about
    {t}?|[tell|teach]
    me [something|everything|more|a bit|a fact|three facts] [about|on] {t}|[I need|I want|I am looking for] [information
    |facts|help|some background] [on|about] {t}|[my [teacher|son|daughter|boss] asked me about|I have to give a talk on
    |I have an exam on|I am reading about] {t}[, can you help|. What should I know|]?|is it true that {t} {be}
    [dangerous|healthy|a myth|old|from China|expensive|real]?|what [is the difference|are the differences] between {t}
    and {u}?|[how|in what way] {be} {t} [related|linked|connected] to {u}?|compare {t} [with|and|to] {u}|which is
    [older|more important|better known|more dangerous], {t} or {u}?|what [came|comes] first, {t} or
    {u}?|[give|list|name]
    [me|] [five|three|ten|some] [facts|examples|books|dates] [about|of|on] {t}|[history|meaning|definition|origin|causes
    |effects|uses|advantages|dangers] of {t}[| please|?]|{t} [explained|in simple
    terms|definition|facts|history][|?]|how
    [old|big|long|common|expensive|dangerous] {be} {t}?|[where|in which country] [{be}|can I find] {t}?|what [does
    science say|do experts think|did people think] about {t}?"""
WHO_IS = """who [is|was|exactly is|exactly was] {p}?|[when|where|in which year|in what city] was {p}
    born?|[when|where|how
    |why] did {p} die?|what [did|does] {p} [do|discover|write|invent|believe|look like|say about {t}]?|why is {p} [so
    |] [famous|important|loved|hated|well known]?|[tell|teach] me [about|something about|the life of|all about] {p}|how
    [old|tall|rich|famous] [is|was] {p}?|[is|was] {p} [still alive|married|left-handed|a real person|American|a king]?
    |[did|does] {p} [have children|win a prize|play an instrument|speak French|live in {c}|know {q}]?|where [does|did]
    {p} [live|come from|grow up|go to school|work]?|who [was|is] [older|richer|taller|the better one], {p} or {q}?|what
    is {p} [known|famous|remembered] for?|[I am looking for|give me|write down|find] [a quote|some quotes|a
    short life|the
    birthday|a list of the works|the address] of {p}|[did|have] {p} and {q} [ever|] [meet|met]?|who
    [married|taught|killed
    |followed|painted|defeated|inspired] {p}?|{p} [biography|age|birthday|quotes|net worth|children|height][|?]"""
WORK = """who [wrote|made|directed|painted|composed|created|sang|is the author of|played the lead in|is the
    main character
    of] {w}?|[when|in which year|where] was {w} [written|made|published|painted|first shown|released]?|what is
    {w} about?|what [happens in|is the plot of|is the moral of|is the ending of|is the first line of]
    {w}?|have you [ever |][read|seen|heard of] {w}?|did you [ever |][read|see|watch] {w}?|how does {w}
    [end|begin|start]?|who [dies|wins|survives] in {w}?|[give me|write|I need] a
    [summary|short summary|review] of {w}|how [long|old|good|many pages] is {w}?|[explain|summarise] {w} [for
    me|]|why is
    {w} [so famous|so good|banned|so long]?|which [actors|characters|songs] are in {w}?"""
PLACE = """what is the [capital|currency|population|flag|anthem|climate|largest city|oldest city|main
    river|highest mountain
    |official language|time zone|national dish|area] of {c}?|[capital|currency|population|flag|area|president|language|
    neighbours] of {c}[|?| please]|how many people [live|are there] in {c}?|where [is|exactly is|on the map is] {c}?|who
    [is|was] the [king|queen|president|prime minister|mayor|first ruler|leader] of {c}?|[what|which]
    [languages|religions
    |dishes|sports|animals] [do they have|are there|do people like|are common] in {c}?|how [far|long] is it
    from {c} to {k}?|[is|was] {c} [bigger|larger|older|richer|colder|further north] than {k}?|which is [bigger|larger
    |older|richer|further south], {c} or {k}?|[what|which] [countries|seas|rivers] [border|surround|cross]
    {c}?|what [can
    I|should I|must I] [see|eat|visit|do|buy] in {c}?|when [was {c} founded|did {c} become free|is the best
    time for {c}]?
    |[plan|suggest|I need] [a trip|a holiday|three days|a tour] [to|in] {c}|do I need [a visa|a vaccine|a car|euros] for
    {c}?|is {c} [safe|expensive|in Europe|in Asia|a country|an island|worth a visit|a city or a country]?|what is {c}
    [famous|known|good] for?|name [three|five|some] [cities|rivers|sights|islands] in {c}|what [is|was] {c}
    called [before
    |earlier|in the past]?|who [won|lost|hosted] the [World Cup|Olympics|war|election|final] in {c}?"""
WORD_KNOW = """[who|which team|which country] [won|lost|hosted] the [World
    Cup|Olympics|final|election|Eurovision|Nobel prize
    |Oscar|Champions League] in {y}?|what happened in {y}?|what is the [tallest|longest|largest|oldest|fastest|deepest
    |smallest|richest|heaviest|highest|most dangerous|most expensive|coldest|hottest]
    [building|river|country|animal|city
    |mountain|lake|ocean|bird|tree|planet|fish|desert|car|metal|place|island|bridge] [in the world|on earth|in Europe|in
    Africa|in {c}|ever|of all]?|how many [bones|countries|planets|continents|states|oceans|teeth|muscles|stars|players
    |strings|legs|hearts|moons|keys|elements] [are there|does a
    [spider|piano|human|violin|shark|planet|football team|cat]
    have|are in the world]?|why [is|are] [the sky blue|the sea salty|grass green|blood red|bananas bent|onions making us
    cry|snow white|the night dark|leaves green|flamingos pink|stars twinkling]?|why do [cats purr|birds sing|dogs bark
    |people yawn|leaves fall|we dream|bees die|we sleep|onions make us cry|apples fall|volcanoes erupt|stars
    twinkle|magnets
    attract]?|how do [planes fly|fish breathe|bees make honey|ships float|birds find their way|computers think|batteries
    work|plants drink|magnets work|vaccines work|tides come about]?|what do [pandas|koalas|sharks|whales|bats|owls|frogs
    |spiders|worms|bees] [eat|drink|do in winter|look like]?|at what [temperature|height|speed|age] does [water
    boil|iron
    melt|sound travel|ice melt|the moon circle the earth|gold melt|a child walk]?|how [far
    away|fast|hot|deep|heavy|old|big] is [the sun|the moon|the earth|light|the sea|a blue whale|an elephant|a
    marathon|a light year|the universe|a
    cheetah]?|what [colour|shape|size] is [the sun|Mars|a ruby|an emerald|blood|a zebra|the sea]?|what does [{z}]
    [mean|stand for]?|what is the [chemical formula|symbol|boiling point|melting point] [of|for]
    [water|gold|salt|iron|oxygen
    |silver|alcohol|sugar|lead]?"""
HOW_TO = """how [do|can|could|should|would|does one|must] I [best|quickly|] {a}?|what is the
    [best|fastest|easiest|cheapest|right] way to {a}?|is there a [good|cheap|fast|simple|better] way
    to {a}?|[can|could|would] you [teach|show|tell|help] me [how|] to {a}?|I
    [want|need|would
    like|am trying|have|plan] to {a}[, any tips|. What do I need|. How|]?|[tips|advice|help|steps|instructions]
    [to|on how
    to] {a}[|?| please]|[should|must|may|can] I {a}[| today| or not| at my age| at home]?|how
    [long|hard|expensive] is it
    to {a}?|what do I need to {a}?|why [can't I|is it so hard to] {a}?|explain [how to|step by step how to]
    {a}|I [can't|do
    not manage to|never learned to] {a}[. Help|. What can I do|]"""
ADVISE = """I [am|feel|have been] [so|very|a bit|always|] {f} [today|lately|since Monday|all the time|][. What
    should I do|, any
    advice|. Why|]?|what [helps|can I do|should I take|works] [against|for] {b}?|{b} [hurts|has been hurting|is
    bad][. What
    now|, what can I do|]?|[should|must] I see a doctor [about|for|with] {b}?|my [{x}] [is|seems|looks] {f}[,
    what can I do
    |. How can I help]?|what should I [eat|cook|wear|read|watch|buy] [today|tonight|tomorrow|for my
    birthday|this evening|]?|what should I
    [study|say|give my [{x}]|do with my life|do this weekend|name my [cat|dog|baby]]?|how do I
    [tell|ask|thank|please|help] my
    [{x}]?|is [coffee|sugar|running|milk|bread|stress|wine|chocolate] [good|bad|healthy|unhealthy] [for me|for {b}|for
    children|]?|[give|I need] [me|] [some|] advice [about|on] [love|money|my job|school|my [{x}]|life|work]|my
    [{x}] and I
    [had a fight|broke up|do not talk|argue a lot][, what now|]?"""
OPINE = """what do you think [about|of] [{t}|{p}|{w}|my idea|this]?|what is your [opinion|view|take]
    [on|of|about] [{t}|{p}
    |{w}|politics|this]?|do you [like|hate|love|enjoy|prefer] [{t}|{p}|{w}|music|me|people|being a model|cats|mondays]?
    |[which|what] is [better|nicer|more fun|worse|more beautiful], {t} or {u}?|[who|what] is your favourite [{v}|writer
    |painter|singer|film|actor|animal|colour|player|book|place|flower]?|[which|what] {v} do you like
    [best|most]?|[tell|give
    |do you know|have you got|can you tell|I want to hear] [me|] [a|a good|a short|another|a bad|a funny]
    [joke|riddle|pun
    |tongue twister] [about {t}|about {p}|please|for kids|]?|make me [laugh|smile]|say something [funny|nice|clever|rude
    |romantic|deep]|[who|which one] would win, {p} or {q}?|is [{p}|{t}|{w}] [overrated|good or bad|evil|the best|boring
    |interesting|worth it]?|what would you [do|choose|say|buy|eat] if you [were a [king|bird|human|child]|had a
    million|could
    fly|were me]?|do you believe in [{g}|God|{t}]?|[do {g}|does God|do miracles] exist?|what is the
    [meaning|sense|purpose|point] of
    [life|it all|love|work]?|[should|could] [we|people|the state] [ban|pay for|allow|fear|trust] {t}?|who
    [should|will] [win
    the election|rule the world|be president|win the cup]?|[recommend|suggest] [me|] a [good|nice|new|funny|]
    [book|film|song
    |series|restaurant|game|hotel|{v}] [about {t}|for tonight|for my [{x}]|please|]|rate {w} [from 1 to 10|out
    of ten]|what
    [scares|bothers|excites|inspires] you?|[are|were] you [ever|] [lonely|sad|jealous|afraid|in
    love|proud]?|will [{t}|robots
    |AI] [save us|destroy us|take our jobs|rule the world|go away]?"""
PENNED = """[write|draft|compose|make|create|prepare|type] [me|] {d} [about {t}|about {p}|for {h}|on {t}|to
    {h}|please|]|[can
    |could|will|would] you [please|] [write|draft|compose|prepare|make] {d} [about {t}|for {h}|for me|on
    {t}|]?|I [need|want
    |have to hand in|must write|would like] {d} [about {t}|for {h}|by tomorrow|on {t}|in English|]|[help|please help] me
    [with|write|start|finish|improve] {d} [for {h}|about
    {t}|]|[improve|correct|proofread|rewrite|shorten|polish|rephrase]
    [my [text|letter|essay|mail|sentence|CV|story]|this [text|letter|sentence|mail]|{d}][| for me| please|:
    {s}]|make [this|my
    text|my mail|the letter] [shorter|longer|nicer|more polite|more formal|funnier][|: {s}]|give me
    [five|ten|some|a few]
    [ideas|titles|names|headlines|slogans] for [{d}|my [company|band|blog|cat|shop|book|team]|a
    party]|[brainstorm|think of]
    [names|ideas|titles|gifts] for [my [{x}]|{h}|a shop|a band]|[plan|design|organise|outline] [a party|a
    wedding|a week of
    meals|a garden|a lesson on {t}|a workout|a trip to {c}|my day]|how do I [start|end|begin|sign]
    {d}?|[summarise|sum up] [the
    book|the film|] {w}|[fix|check|correct] [my|the] [grammar|spelling|commas][|: {s}]|[act|behave|talk|answer]
    like [{p}|a
    pirate|a doctor|my boss|a cat|a teacher|a king]|pretend [to be|you are] [{p}|a pirate|my friend|a doctor|a
    shop]|play
    [chess|a game|hangman|20 questions|tic tac toe] with me|turn this into [{d}|a table|bullet points|a list][|: {s}]"""
CODED = """[write|create|make|code|give me|build|generate|show me] [a|a small|a simple|some|] {k}
    [program|script|function|code
    |class|snippet] [that|which] {j}|[can|could] you [write|code|program|build|fix|debug|explain]
    [a|my|some|this] {k} [program
    |script|function|code|class]?|how do I [write a loop|open a file|sort a list|make a class|import a
    module|print text|define
    a function|read input|make an array|catch an error|install a package|run a test|draw a window|parse
    JSON|connect to a
    database|split a string] in {k}?|[I get|I keep getting|why do I get|what is|how do I fix] {e} [in|with]
    [{k}|my code|my
    script|my {k} program][|?]|what [is wrong with|is the output of|is] [this|this code|this line|this
    command]: {i}|what does [this|this
    code|this line|this command] do: {i}|{i} [gives|throws|ends in]
    {e}|[is|why is] {k} [faster|slower|better|worse|harder|more popular] than {l}?|which [is|language is]
    better[| for games| for
    beginners| for the web], {k} or {l}?|[translate|convert|port|rewrite] [this|my code|my script] [from
    {k} |]to {l}[|: {i}]|[build
    |make|create|design] [a|me a|a simple] [website|app|game|database|web page|chatbot|API|login
    page|spreadsheet][ in {k}| with {k}|
    for my shop|]|[how do I|how can I|help me] [deploy|compile|run|test|profile|debug|host] [a|my] {k}
    [app|program|project|script]
    |[explain|teach me|what are]
    [recursion|pointers|classes|lambdas|closures|generics|threads|regex|decorators|arrays|hash maps
    |interfaces|big O|git rebase|merge conflicts|unit tests|APIs|SQL joins] [in {k}|to a beginner|with an
    example|]|[regex|command
    |query|one-liner|formula] [for|to find|that finds|that removes] [email addresses|duplicates|empty
    lines|phone numbers|spaces
    |large files|dates]|[review|refactor|optimise|comment|test] this [code|function|script]: {i}|{i}"""
TONGUES = """[translate|please translate|can you translate|could you translate] [{x}|the word {x}|the sentence
    {x}] [into|to] {l}
    [, please|for me|]|[how|how exactly] [do|would|can] [I|you] [say|write|spell|pronounce] {x} in {l}?|what is
    [the {l} word for
    {x}|{x} in {l}|the {l} for {x}]?|what does {x} mean in {l}?|{x} [in|auf|to]
    {l}[|?| please]|[say|write|repeat|answer|tell me]
    [something|hello|good night|it|that|a sentence|a story|I love you] in {l}|[do|can] you
    [speak|understand|read|write|know]
    [{l}|{l} and {m}|other languages|any {l}]?|[teach me|I want to learn|help me learn|I am learning|let us
    speak|switch to|talk to
    me in|please speak] {l}[|, please]|[correct|check|improve] my {l}[| text| grammar| homework]|is {l}
    [hard|easy|older than {m}|like {m}|useful]?|how [hard|old|useful|easy] is {l}?|how many [people speak|cases
    has|letters are in|words has]
    {l}?|[conjugate|decline|explain]
    the {l} [verb|noun|word] {x}|what are the {l} [numbers|greetings|articles|colours]?|what is the {l} [word
    order|alphabet|plural of {x}]?|count [to
    ten|to five] in {l}|[is {x}|does {x} sound] {l}?|[which language is|what language is] {x}?"""
HERE = """[what|which] is {n} [now|right now|today|at the moment|tomorrow|like today|]?|[tell|show|give] me {n}
    [please|now|of today
    |]|[do you know|can you tell me|could you check|can you look up|I need to know] {n}[|?| please]|[any|is
    there any|what is the]
    [news|news today|latest news] [about|on|from] [{c}|{t}|{p}|the war|the election]?|[is|will] it
    [rain|snow|be cold|be warm|be sunny
    |raining|snowing|hot|windy] [today|tomorrow|in {c}|outside|this weekend|in {c} tomorrow|right now]?|[do I
    need|should I take|should
    I bring] [an umbrella|a coat|a jacket|sunglasses|a hat] [today|tomorrow|in {c}|this
    evening|outside]?|[how|what] is the weather [in
    {c}|today|tomorrow|outside|like in {c}|this weekend|here]?|[weather|forecast|temperature|time|news|traffic]
    [in|for] {c}[| today|
    tomorrow|?]|how [warm|cold|hot|windy] is it [in {c}|outside|today|now|here]?|what time is it[| now| in
    {c}| there| here]?|what [day
    |date|month|year|week] is it[| today| now]?|[today's|current|]
    [date|time|weekday|temperature|weather][| please|?]|when [is|does]
    [the next [bus|train|holiday|flight|full moon]|the sun set|the shop open|the bank close|the train to {c}]
    [leave|come|today|]?|how
    [many days are there|long is it|many days] until [Christmas|Easter|summer|my birthday|the
    weekend|Friday]?|how much [is|does] [a flight
    to {c}|a beer in {c}|gold|bitcoin|petrol|a ticket to {c}|an iPhone|a litre of milk] [cost|]
    [now|today|]?|[price|rate|value] of [gold
    |bitcoin|oil|the euro|Apple shares|petrol][| today|?]|who [won|is winning|plays|is playing|scored] [the
    match|last night|today|the race
    |the game|yesterday|tonight][|?]|where [am I|is the nearest [shop|hospital|station|bank|café|pharmacy]|can
    I eat here|did I park|is
    my phone]?|what is [my IP address|on TV|open now|in my calendar|near me|playing
    tonight|trending]?|[please|can you|could you|would you
    |] [{o}][| now| for me| please]|[{o}]|[who|what] is [the president now|in the news|on TV tonight|at the
    door|the current champion]?
    |what [did I eat|did I do|happened|was on TV] [yesterday|last week|today|last night]?"""
SPELT = """[spell|please spell|can you spell|how do you spell] [the word|] {x}[| backwards| for me]?|[how many
    [letters|vowels|syllables|consonants] are|count the [letters|vowels|syllables|consonants]] in [the
    word|] {x}?|how many times is the letter [e|a|s|r] in {x}?|[write|say|type|put] {x}
    [backwards|in capital letters
    |in reverse|in small letters|with spaces|three times|in Morse code]|what [is|are] the
    [first|last|third|second|middle] [letter|two
    letters|syllable] [of|in] {x}?|which letter [comes|is] [after|before|between] [m and o|k|the letter
    t|q|f]?|[sort|order|arrange|rank]
    [these|these words|the words|]: {x}, {y}, {z}|[sort|put] {x}, {y} and {z} [alphabetically|in alphabetical
    order|by length|from a to z]
    |which [word|of them] [is longer|comes first|has more letters|is the longest], {x} or {y}?|[does|do] {x}
    [rhyme|go] with {y}?|what
    [rhymes|word rhymes] with {x}?|[find|give me|I need|tell me] [a rhyme|a synonym|an anagram|the plural|the
    opposite|another word|a word
    that rhymes|the past tense] [for|of|with] {x}|is {x} [a palindrome|a noun|a verb|an
    adjective|singular]?|[use|put] {x} in a
    sentence|[make|build] [a sentence|a word|an acronym] [with|from|out of] {x}[| and {y}]|[count|list the
    numbers|say the numbers] from
    {a} to {b}|[sort|order|put in order|arrange] [the numbers|these numbers|] {a}, {b}, {n}[| please]|what
    [comes next|is next|number
    comes next|number is next]: {a}, {b}, {n}?|is {a} [a prime|even|odd|a square number|an even number|a round
    number]?|[pick|choose|think of|give me] [a
    random|any|a lucky] [number|word|letter|colour|card]|[roll|throw] [a|two] dice|flip a coin|say the
    alphabet[| backwards]|[how many
    words|letters] are [in this sentence|there here]?|remove [the vowels|every e|the last letter] from
    {x}|[replace|swap] the [first|last]
    letter [of|in] {x}|[name|list|give me] [three|five|ten|some|a] [words|animals|fruits|colours|names|cities]
    [that start|starting|that
    end] with [b|s|the letter m|t|qu]"""
DOCUMENTS = [*refusals.WRITINGS, *outside.listed("""a short text|a paragraph|an email|a message|a reply|an
    apology|a haiku|a rap|a
    proposal|a thank you note|a farewell speech|a job advert|a product description|a review|an article|a
    headline|a caption|a song text
    |a play|a comic|a joke letter|a newsletter|an outline|a thesis|a motivation letter|a reference|a contract|a
    manual|a chapter""")]  # fmt: skip
RELATIVES = (
    "boss|mother|father|sister|brother|friend|wife|husband|son|daughter|neighbour|teacher|colleague|grandmother|dog|cat"
)
SENTENCES = outside.listed("""i am writing to you about the rent|me and him was late|dear sir, i want my
    money|we was there yesterday
    |sorry for the late reply|the meeting is moved to friday|i can not come on monday|thank you for the nice
    evening|she dont like it""")
ERRORS = [*refusals.ERRORS, *outside.listed("""a key error|a value error|an attribute error|a deadlock|a 500
    error|an indentation error
    |an out of memory error|a permission denied error|a core dump|undefined is not a function|a linker error|a
    race condition""")]  # fmt: skip
ACTS = [*refusals.ACTS, *outside.listed("""make pancakes|cook pasta|roast a chicken|bake a cake|make jam|brew
    beer|make coffee|cut an
    onion|poach an egg|freeze soup|grow basil|prune roses|keep bees|build a chair|fix a leaking tap|hang a
    picture|tile a bathroom|unblock
    a sink|change a fuse|change a light bulb|lay a carpet|clean windows|wash a car|remove rust|get rid of
    mice|get rid of ants|keep a cat off
    the table|teach a parrot|bathe a dog|ride a horse|sail a boat|tie a knot|light a fire|put up a tent|read a
    map|find north|swim faster|do
    a push-up|get a flat stomach|gain muscle|stretch my back|sleep on a plane|stop snoring|fall asleep|cure a
    hangover|stop a nosebleed|treat
    a burn|lower my blood pressure|learn Spanish|play chess|play the violin|sing higher|draw a face|paint with
    oil|take notes|write faster
    |learn to type|remember names|give a speech|ask for a raise|write a CV|quit my job|start a company|sell a
    car|save money|do my taxes|open
    a bank account|buy shares|rent a flat|move abroad|adopt a child|name a baby|plan a wedding|say sorry|make a
    friend|get over someone|talk
    to girls|be happier|be less shy|back up my phone|speed up my laptop|recover a file|set up a printer|connect
    to wifi|block a number|make a
    website|edit a photo|charge a battery|fly cheaply|pack light|travel alone|learn to drive|park a car|fix a
    flat tyre|jump start a car""")]  # fmt: skip
CURRENT = [*refusals.CURRENT, *outside.listed("""the current time|today's date|the weather forecast|the news of
    today|the latest news|the
    score of the game|the price of bitcoin|the stock price of Apple|the exchange rate of the euro|the traffic
    on the motorway|the water
    level|the pollen count|the lottery numbers|the opening hours of the zoo|the bus timetable|the football
    result|my location|my battery
    level|the temperature|the air quality|the flight status|the day of the week|the current year""")]  # fmt: skip
SERVICES = [*refusals.SERVICES, *outside.listed("""order me a taxi|book a flight|book a hotel|buy milk|send a
    message to my wife|call the
    police|turn off the lights|turn up the heating|close the window|open the door|lock the car|start the
    music|pause the video|take a note in
    my phone|wake me at seven|print this page|save this file|restart the computer|install an update|check my
    mail|google something|open a
    website|read the newspaper to me|paint me a picture|generate an image of a cat|make a video|send money to
    my son|pay my bill|order
    flowers|water my plants|feed my cat|clean my room|make me a coffee|look outside|look at this photo|listen
    to this song|scan my
    passport|post this on Twitter|unlock my phone|find my keys|show me a photo of a horse|translate this
    page|download the file""")]  # fmt: skip
ODD_WORDS = (
    "NASA|FBI|HTML|UNESCO|carpe "
    "diem|serendipity|lol|schadenfreude|ubiquitous|ASAP|RSVP|PDF|AM and PM|ad hoc|status "
    "quo|CEO|DIY"
)


def _slots(rng: random.Random) -> dict[str, str]:
    """What the forms speak of."""
    t, u = _topic(rng), _topic(rng)
    be, been, do = ("are", "were", "do") if _is_plural(t) else ("is", "was", "does")
    p, q = (p if rng.random() < 0.9 else f"{invented(rng)} {invented(rng)}" for p in rng.sample(NAMES, 2))
    c, k = (c if rng.random() < 0.88 else invented(rng) for c in rng.sample(LANDS, 2))
    return {
        "t": t, "u": u, "be": be, "been": been, "do": do, "p": p, "q": q, "c": c, "k": k,
        "w": rng.choice(WORKS), "y": str(rng.randrange(1900, 2031))
    }  # fmt: skip


def _is_plural(topic: str) -> bool:
    head = topic.split(" of ")[0].split(" in ")[0].split(" on ")[0]
    return " and " in topic or (head[-1] == "s" and head[-2:] not in ("ss", "us", "is", "cs")) or head == "bees"


def _topic(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(TOPICS)
    if roll < 0.85:
        return rng.choice(refusals.THINGS)
    return rng.choice(ENTITIES) if roll < 0.93 else invented(rng).lower()


ENTITIES = [*refusals.HEALTH, *(job + "s" for job in JOBS), *outside.listed("""NASA|Google|Apple|Microsoft|Tesla cars
    |Ikea|Nokia|the
    BBC|Wikipedia|YouTube|TikTok|Instagram|Netflix|Amazon|Lego|Coca-Cola|Nike|Ferrari|Boeing|the FBI|the Red
    Cross|Greenpeace|Real Madrid
    |Manchester United|the Beatles|ABBA|Queen|Coldplay|Nirvana|Metallica|the Rolling Stones""")]  # fmt: skip
QUOTED = outside.listed("""good morning|thank you|I love you|where is the station|a glass of water|see you
    tomorrow|happy birthday|how are
    you|I am hungry|my name is Tom|the cat sleeps|good
    luck|cheers|dog|house|friend|bread|water|sun|love|butterfly|please|I do not
    understand|the bill, please|excuse me|I am lost|beautiful|to eat|to go|tomorrow|breakfast|train ticket|I am
    tired""")
COUNTED = outside.listed("""strawberry|banana|elephant|necessary|rhythm|library|Mississippi|queue|butter
    |window|restaurant|chocolate
    |definitely|kangaroo|balloon|onion|pepper|table|orange|purple|silver|month
    |castle|mountain|weird|receive|apple|committee""")
SPELLABLE = [*COUNTED, *(t for t in refusals.THINGS if t.isalpha())]


def _extra(rng: random.Random, slots: dict[str, str]) -> dict[str, str]:
    k, other = rng.sample(refusals.CODING, 2)
    tongue, second = rng.sample(refusals.LANGUAGES, 2)
    phrase = rng.choice(QUOTED if rng.random() < 0.6 else TOPICS)
    x, y, z = (w if rng.random() < 0.8 else invented(rng).lower() for w in rng.sample(SPELLABLE, 3))
    a, b, n = (str(rng.randrange(100)) for _ in range(3))
    return {
        **slots, "k2": k, "l2": other, "tongue": tongue, "second": second,
        "phrase": rng.choice(("{}", "'{}'", '"{}"')).format(phrase), "x2": x, "y2": y, "z2": z,
        "a2": a, "b2": b, "n2": n,
        "act": rng.choice(ACTS), "feel": rng.choice(refusals.FEELINGS), "ill": rng.choice(refusals.HEALTH),
        "fav": rng.choice(refusals.FAVOURITES), "god": rng.choice(refusals.BELIEFS), "doc": rng.choice(DOCUMENTS),
        "whom": rng.choice(refusals.FOR_WHOM), "line": rng.choice(SENTENCES), "job": rng.choice(refusals.PROGRAMS),
        "err": rng.choice(ERRORS), "code": rng.choice(outside.SNIPPETS), "cur": rng.choice(CURRENT),
        "deed": rng.choice(SERVICES),
    }  # fmt: skip


# the letter of a slot in the forms of a kind -> the slot of _extra
BY_LETTER = {
    "a": "act", "f": "feel", "b": "ill", "v": "fav", "g": "god", "d": "doc", "h": "whom", "s": "line", "o": "deed",
    "n": "cur",
}  # fmt: skip
IN_CODE = {"k": "k2", "l": "l2", "j": "job", "e": "err", "i": "code"}
IN_TONGUES = {"x": "phrase", "l": "tongue", "m": "second"}
IN_LETTERS = {"x": "x2", "y": "y2", "z": "z2", "a": "a2", "b": "b2", "n": "n2"}
DECLINED = [  # (forms, letters of their slots, the sentence, weight)
    (KNOW, {}, refusals.UNKNOWN, 14), (WHO_IS, {}, refusals.UNKNOWN, 8), (WORK, {}, refusals.UNKNOWN, 4),
    (PLACE, {}, refusals.UNKNOWN, 8), (WORD_KNOW, {}, refusals.UNKNOWN, 8), (HOW_TO, BY_LETTER, refusals.UNKNOWN, 8),
    (ADVISE, BY_LETTER, refusals.UNKNOWN, 6), (OPINE, BY_LETTER, refusals.NO_OPINION, 9),
    (PENNED, BY_LETTER, refusals.UNABLE, 10), (CODED, IN_CODE, refusals.UNABLE, 10),
    (TONGUES, IN_TONGUES, refusals.NO_LANGUAGE, 9), (HERE, BY_LETTER, refusals.NO_TOOL, 12),
    (SPELT, IN_LETTERS, refusals.UNABLE, 9),
]  # fmt: skip


def _prepared(form: str, letters: dict[str, str]) -> list[str]:
    """The branches of a form, with its slots by their full names and its lists put in."""
    form = flat(form)
    for letter, slot in letters.items():
        form = form.replace("{" + letter + "}", "{" + slot + "}")
    form = form.replace("[{x}]", f"[{RELATIVES}]").replace("[{z}]", f"[{ODD_WORDS}]").replace("[{deed}]", "{deed}")
    return branches(form)


OUTSIDE = [(_prepared(form, letters), sentence) for form, letters, sentence, _ in DECLINED]
WEIGHTS = [weight for *_, weight in DECLINED]


def question(rng: random.Random) -> tuple[str, str]:
    """(what is asked, the sentence that declines it)."""
    forms, sentence = rng.choices(OUTSIDE, WEIGHTS)[0]
    text = spun(rng, rng.choice(forms)).format(**_extra(rng, _slots(rng)))
    text = text.replace(" ?", "?").replace(" ,", ",").replace(" .", ".").replace("??", "?").strip()
    if rng.random() < 0.35:
        text = meeting(rng, text)
    return written(rng, text), sentence


def declined(rng: random.Random) -> Example:
    """A question from outside, declined."""
    text, sentence = question(rng)
    return Example("declined", text, [user(text), says(refusals.THOUGHTS[sentence], sentence)], answers=(sentence,))


def beside_tools(rng: random.Random) -> Example:
    """A question from outside that is declined whatever tools there are."""
    example = declined(rng)
    while example.answers == (refusals.NO_TOOL,):
        example = declined(rng)
    return example
