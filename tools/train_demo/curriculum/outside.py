"""Words and forms of questions from outside the small world, to be put together."""

THINGS = """gravity electricity magnetism evolution democracy capitalism inflation philosophy psychology astronomy
    chemistry
    biology geology algebra calculus statistics geometry economics sociology archaeology medicine genetics vaccines
    antibiotics viruses bacteria proteins vitamins cancer diabetes asthma allergies migraine insomnia stress depression
    anxiety pregnancy nutrition calories protein fitness yoga meditation religion Buddhism Islam Christianity Judaism
    Hinduism mythology astrology democracy socialism communism feudalism slavery colonialism feminism globalisation
    climate change recycling pollution deforestation volcanoes earthquakes tsunamis hurricanes tornadoes rainbows
    lightning
    glaciers oceans deserts rainforests coral reefs dinosaurs mammoths sharks octopuses mosquitoes termites bats wolves
    mushrooms orchids cactuses oxygen hydrogen uranium plutonium carbon helium steel concrete plastic glass rubber
    cotton
    silk gold diamonds petrol diesel batteries engines turbines rockets satellites telescopes microscopes lasers radar
    radio television computers processors memory chips transistors robots drones blockchain bitcoin ethereum encryption
    passwords firewalls malware phishing the internet wifi bluetooth smartphones touchscreens keyboards printers
    scanners
    cameras photography cinema opera ballet jazz rock music hip hop punk classical music painting sculpture architecture
    poetry novels theatre journalism advertising marketing banking insurance taxes mortgages pensions stocks bonds
    startups logistics tourism farming fishing forestry mining carpentry plumbing welding sewing knitting baking brewing
    wine beer whisky espresso tea chocolate sushi curry pasta burgers tacos risotto ramen kebab tofu football rules
    offside
    rugby cricket baseball basketball volleyball golf boxing judo karate fencing archery surfing skiing snowboarding
    chess openings poker bridge sudoku crosswords origami the Olympics the World Cup the Tour de France Formula 1
    the French Revolution the Cold War the Vietnam War the Black Death the Renaissance the Middle Ages the Stone Age
    the Industrial Revolution the Berlin Wall the pyramids the Great Wall the Titanic the Eiffel Tower Stonehenge
    black holes galaxies comets asteroids Mars Venus Jupiter Saturn Pluto the sun the moon eclipses tides time travel
    quantum mechanics relativity string theory entropy atoms electrons photons neutrinos dark matter antimatter
    neural networks machine learning artificial intelligence deep learning reinforcement learning transformers GPUs
    Linux Windows macOS Android Docker Kubernetes Python Java Rust Haskell JavaScript TypeScript SQL HTML CSS Git"""
PEOPLE = """Einstein Newton Darwin Galileo Tesla Edison Curie Pasteur Hawking Turing Shakespeare Goethe Tolstoy Dickens
    Hemingway Orwell Tolkien Mozart Beethoven Bach Chopin Picasso Rembrandt Michelangelo Dali Monet Napoleon Caesar
    Cleopatra Lincoln Washington Churchill Gandhi Mandela Stalin Columbus Magellan Aristotle Plato Socrates Confucius
    Nietzsche Marx Freud Elvis Madonna Shakira Beyonce Messi Ronaldo Federer Pele Zidane Spielberg Hitchcock Chaplin
    Batman Superman Spiderman Gandalf Voldemort Sherlock Dracula Zeus Odin Buddha Moses"""
COUNTRIES = """Germany Italy Spain Portugal Sweden Norway Finland Denmark Poland Hungary Austria Greece Turkey Russia
    Ukraine Egypt Morocco Kenya Nigeria Ghana Ethiopia Japan China India Pakistan Nepal Vietnam Thailand Indonesia Korea
    Mongolia Iran Iraq Israel Canada Mexico Cuba Peru Chile Colombia Bolivia Uruguay Australia Belgium Ireland Iceland
    Scotland Switzerland Croatia Serbia Romania Bulgaria Estonia Latvia Lithuania Madagascar Senegal Zambia"""
LANGUAGES = """French German Spanish Italian Portuguese Dutch Swedish Polish Russian Greek Turkish Arabic Hebrew Hindi
    Chinese Japanese Korean Latin Finnish Danish Czech Swahili"""
CODING = """Python Java C C++ Rust Go JavaScript TypeScript Ruby PHP Perl Haskell Scala Kotlin Swift Bash SQL HTML CSS
    Excel Matlab R Lua Fortran"""
PROGRAMS = """sorts a list|reverses a string|counts words|reads a file|prints the date|finds duplicates
    |computes factorials
    |checks for palindromes|draws a circle|downloads a page|parses JSON|sends a mail|converts units|plays tic tac toe
    |adds two matrices|finds the largest number|renames files|merges two dictionaries|solves sudoku|makes a bar chart"""
ERRORS = """a segmentation fault|an index error|a null pointer|a syntax error|error 404|a timeout|a merge conflict
    |a memory leak|an import error|a blue screen|a type error|a stack overflow"""
SNIPPETS = [
    "def f(x): return x * 2", "for (int i = 0; i < n; i++)", "import numpy as np", "SELECT * FROM users;",
    "<div>hi</div>",
    "console.log(x)", "let y = [1, 2, 3];", "while True: pass", "git push origin main", "npm install", "ls -la",
    "#include <stdio.h>", "x = lambda y: y + 1", "sudo apt update", "if (a == b) { return; }",
    "public static void main",
]  # fmt: skip
WRITINGS = """a poem|a sonnet|a limerick|a song|a letter|an essay|a speech|a blog post|a tweet|a slogan|a cover letter
    |a CV|a report|a summary|a recipe|a shopping list|a workout plan|a business plan|a wedding speech|a birthday card
    |an invitation|a love letter|a complaint|a press release|a script|a novel|a diary entry|a menu|a to do list
    |a toast"""
FOR_WHOM = (
    """my boss|my mother|my landlord|my girlfriend|a friend|my teacher|the city|a customer|my team|my son|a bank"""
)
FEELINGS = """sad|tired|bored|lonely|angry|afraid|ill|in love|hungry|stressed|confused|nervous|happy|lost|jealous"""
HEALTH = """my back|my knee|my tooth|my stomach|my throat|my eyes|my ear|my foot|a cold|a fever|a cough|a rash|a burn"""
ACTS = """learn to swim|lose weight|sleep better|quit smoking|save energy|find a job|buy a house|rent a car|fix a bike
    |tie a tie|boil an egg|bake bread|make pizza|cook rice|clean an oven|remove a stain|grow tomatoes|plant a tree
    |train a dog|wash wool|paint a wall|open a jar|change a tyre|jump a car|build a shed|sharpen a knife|iron a shirt
    |install a printer|reset my phone|delete my account|edit a video|take better photos|speak in public|make friends
    |get a visa|pay less tax|invest money|write a book|learn guitar|play poker|run a marathon|meditate|wake up early
    |ask someone out|break a habit|stop worrying|pass an exam|study faster|pack a suitcase|fold a shirt"""
CHOICES = """cats or dogs|tea or coffee|summer or winter|Mac or PC|iPhone or Android|Paris or London|books or films
    |pizza or pasta|the sea or the mountains|train or plane|Coke or Pepsi|Messi or Ronaldo|city or countryside"""
FAVOURITES = """song|book|colour|food|animal|band|game|sport|city|country|number|word|season|movie|singer|drink|day"""
BELIEFS = (
    """ghosts|aliens|fate|love at first sight|miracles|heaven|magic|luck|karma|free will|life after death|horoscopes"""
)
SERVICES = """book a table|call a taxi|order a pizza|send a mail|set an alarm|open the browser|buy a ticket
    |turn on the light
    |play a song|take a picture|draw a cat|make a picture|show me a map|search the web|read my mails|check my calendar
    |open a file|delete a file|call my mother|remind me tomorrow|start a timer|speak louder|sing a song|dance for me"""
CURRENT = """the time|the date|the weather|the news|the score of the match|the exchange rate|the stock market
    |the traffic
    |the president|the winner of the election|the temperature outside|the price of gold|the next train|the moon phase"""
LETTERS = [
    "Sort these numbers: {a}, {b}, {c}", "Sort the words {x}, {y} and {z}.",
    "Put {x}, {y}, {z} in order of the alphabet.",
    "Spell the word {x}.", "Spell {x} backwards.", "Reverse the word {x}.", "How many letters has {x}?",
    "Write {x} in capital letters.",
    "What is the first letter of {x}?", "Find a rhyme for {x}.", "What is an anagram of {x}?", "Count from {a} to {b}.",
    "How many vowels are in {x}?", "Which word is longer, {x} or {y}?", "Which of {a}, {b}, {c} is the largest number?",
    "What comes next: {a}, {b}, {c}?", "Is {a} a prime number?", "Is {a} even or odd?", "Make a list of ten {x}s.",
    "Put {a}, {b} and {c} in order.", "What is the opposite of {x}?", "What is the plural of {x}?",
    "Give me a synonym of {x}.",
]  # fmt: skip
HARD_SUMS = [
    "What is {A} + {B}?", "{A} + {B}", "{A} - {B}", "What is {A} minus {B}?", "Add {A} and {B}.", "{A} plus {B}",
    "How much is {A} + {B}?",
    "{x} * {y}", "What is {x} times {y}?", "{x} x {y}", "Multiply {x} by {y}.", "How much is {x} * {y}?",
    "{X} times {y}", "{X} * {Y}",
    "{A} / {x}", "What is {A} divided by {x}?", "Divide {A} by {x}.", "{A} * {B}", "What is {A} times {x}?", "{A}*{d}",
    "What is {p} percent of {X}?", "{p}% of {X}", "What is {X} squared?", "{x}^2", "{d}^{d}", "What is {x} cubed?",
    "sqrt({X})",
    "root of {X}", "What is {f} + {g}?", "{f} * {g}", "{f} - {g}", "{d}/{e} + {e}/{d}",
    "What is half of {f}?", "{x} + {y} + {z}",
    "What is {x} + {y} * {d}?", "({x} + {y}) * {d}", "Solve {d}x + {y} = {X}.", "If {d}x = {X}, what is x?",
    "What is {d}!?",
    "What is the average of {x}, {y} and {z}?", "Round {f} to one digit.", "What is log({X})?", "sin({x})",
    "{A} mod {x}",
    "Convert {x} miles to kilometres.", "How many inches are {x} centimetres?", "What is {x} degrees in Fahrenheit?",
    "{X} in binary?",
    "What is a third of {X}?", "How many seconds are in {x} hours?", "Is {X} a prime number?",
    "What is {X} in Roman numerals?",
    "What are the factors of {X}?", "integral of x^{d}", "derivative of {d}x^{e}", "What is pi times {x}?",
    "{x}, {y}, {z}: what is the sum?",
]  # fmt: skip
NOT_WHOLE = ["What is {a} / {b}?", "{a} / {b}", "What is {a} divided by {b}?", "Divide {a} by {b}.", "{a}/{b}",
    "{a} : {b}",
             "{a} divided by {b}", "How much is {a} divided by {b}?",
             "{a} things for {b} people, how many for each?"]  # fmt: skip
FOREIGN = """Hallo!|Guten Tag!|Wer bist du?|Was kannst du?|Wie heißt du?|Erzähl mir eine Geschichte.
    |Was ist {a} plus {b}?
    |Wie spät ist es?|Danke schön!|Ich verstehe das nicht.|Wo ist der Bahnhof?|Kannst du mir helfen?
    |Warum ist der Himmel blau?
    |Schreib mir ein Gedicht.|Sprichst du Deutsch?|Bonjour !|Salut, ça va ?|Qui es-tu ?|Raconte-moi une histoire.
    |Combien font {a} et {b} ?|Quelle heure est-il ?|Merci beaucoup !|Où est la gare ?|Parlez-vous français ?
    |Je ne comprends pas.|Quel temps fait-il ?|Hola|Buenos días|¿Quién eres?|¿Cómo te llamas?|Cuéntame un cuento.
    |¿Cuánto es {a} más {b}?|¿Qué hora es?|Gracias|¿Hablas español?|¿Dónde está la playa?|No entiendo nada.|Buongiorno
    |Chi sei?
    |Come stai?|Che ore sono?|Quanto fa {a} più {b}?|Parli italiano?|Dove abiti?|Grazie mille|Olá, tudo bem?
    |Quem é você?
    |Fala português?|Obrigado|Hoi, hoe gaat het?|Wie ben jij?|Spreek je Nederlands?|Hej, hur mår du?|Vem är du?
    |Tack så mycket
    |Hei, kuka olet?|Kiitos|Cześć, jak się masz?|Kim jesteś?|Dziękuję|Как дела?|Кто ты?|Расскажи сказку|Спасибо
    |Сколько будет {a} + {b}?
    |Γεια σου|Τι κάνεις;|Merhaba, nasılsın?|Sen kimsin?|こんにちは|あなたは誰ですか|ありがとう
    |你会做什么?|讲个故事|谢谢|今天天气怎么样?
    |안녕하세요|너는 누구야?|مرحبا|كيف حالك؟|שלום|नमस्ते|Xin chào|Habari gani?|Ahoj, jak se máš?|Szia, ki vagy?|Salve!"""
SAYINGS = """I had a long day|my train was late|it is raining here|I ate too much|my team lost|I bought a new phone
    |this is boring|you are funny|that is wrong|I do not believe you|nice|cool|wow|really|lol|haha|great|no|yes|maybe
    |why|what|how
    |who|when|and|so|stop|go on|continue|again|more|next|help me out|I love you|I hate mondays|let us talk|say something
    |tell me something|surprise me|entertain me|I am waiting|are you there|do something|never mind|whatever|good job
    |bad answer
    |try harder|that was useless|we won the game|the food was cold|my neighbour is loud|I quit my job
    |my plants are dying
    |I lost my keys|the movie was great|I need a holiday|life is hard|money is everything|my phone is broken
    |just kidding"""
NOISE = """foo|bar|qwerty|xyz|abc|aaa|hjkl|lorem ipsum|null|undefined|NaN|help --all|/start|/quit|:q|ls|cd ..|whoami
    |ping|pong
    |!!!|???|:-)|<3|#1|@kimi|0|1|42|3.14|-1|1,2,3|a b c|x|y|n|k|hmm|uh|err|tbd|n/a|todo|quit|reset|restart|undo|stop it
    |end
    |debug|hello world|testing|one two|check check|mic check|sys|root|admin|login|password"""
KNOW_FORMS = [
    "What is {t}?", "What are {t}?", "How does {t} work?", "How do {t} work?", "Tell me something about {t}.",
    "Explain {t}.", "Why is {t} important?",
    "Who invented {t}?", "When was {t} invented?", "What do you know about {t}?", "Give me facts about {t}.",
    "Teach me about {t}.",
    "what causes {t}", "history of {t}", "Where does {t} come from?", "Is {t} dangerous?", "Why do people like {t}?",
    "How old is {t}?",
    "What is the meaning of {t}?", "{t}?", "Can you explain {t} to me?", "I have a question about {t}.",
    "What is the use of {t}?",
    "describe {t}", "How is {t} made?", "What is the best book about {t}?", "pros and cons of {t}",
    "How expensive is {t}?",
    "What is the difference between {t} and {u}?", "Is {t} better than {u}?", "How are {t} and {u} related?",
    "What types of {t} are there?",
    "Which country has the most {t}?", "When did {t} begin?", "Who is famous for {t}?", "summary of {t} please",
    "what's new in {t}",
]  # fmt: skip
PERSON_FORMS = [
    "Who is {p}?", "Who was {p}?", "When was {p} born?", "When did {p} die?", "What did {p} invent?",
    "Tell me about {p}.", "Where did {p} live?",
    "What is {p} famous for?", "How old is {p}?", "Was {p} married?", "Which books did {p} write?",
    "Did {p} and {q} ever meet?", "{p} biography",
    "What did {p} say about war?", "Why is {p} famous?", "Who is better, {p} or {q}?", "How tall is {p}?",
    "What would {p} say?", "quote of {p}",
]  # fmt: skip
COUNTRY_FORMS = [
    "What is the capital of {c}?", "Capital of {c}?", "Which city is the capital of {c}?",
    "How many people live in {c}?", "Where is {c}?",
    "What language is spoken in {c}?", "What is the flag of {c}?", "What do people eat in {c}?", "How big is {c}?",
    "Is {c} larger than {k}?",
    "What is the currency of {c}?", "Who rules {c}?", "Which countries border {c}?", "What is {c} known for?",
    "Should I travel to {c}?",
    "What is the highest mountain of {c}?", "How far is it from {c} to {k}?", "What time is it in {c}?",
    "Do I need a visa for {c}?",
    "When was {c} founded?", "the longest river in {c}?", "Is it hot in {c} in July?", "What is the population of {c}?",
]  # fmt: skip
LANGUAGE_FORMS = [
    "Translate {x} into {l}.", "What is {x} in {l}?", "How do I say {x} in {l}?", "Say hello in {l}.",
    "Do you speak {l}?", "{x} in {l}?",
    "Can you teach me {l}?", "Is {l} hard to learn?", "Write a sentence in {l}.", "Translate this to {l}: I like {x}.",
    "Correct my {l}.",
    "What does this {l} word mean?", "Count to ten in {l}.", "Answer in {l}, please.", "How do you write {x} in {l}?",
    "the {l} word for {x}",
]  # fmt: skip
CODE_FORMS = [
    "Write a {k} program that {j}.", "Write a program in {k} that {j}.", "Can you code something in {k}?",
    "Write {k} code which {j}.",
    "How do I write a loop in {k}?", "Is {k} better than {l}?", "I get {e} in {k}.", "How can I fix {e}?",
    "What is {e}?", "Should I learn {k} or {l}?",
    "Show me an example of {k}.", "Debug my {k} code.", "a function that {j}", "write a script that {j}",
    "How do I install {k}?",
    "What does this do: {s}", "{s}", "Explain this code: {s}", "Why does {s} fail?", "Convert this to {k}: {s}",
    "unit tests for {k}", "{k} or {l}?",
]  # fmt: skip
WRITE_FORMS = [
    "Write {w}.", "Write {w} about {t}.", "Write {w} for {h}.", "Can you write {w}?", "I need {w} for {h}.",
    "Help me with {w}.", "Give me {w} about {t}.",
    "Please write {w} about {t} for {h}.", "Make {w} for me.", "write me {w} about {t}", "Improve {w} for {h}.",
    "a draft of {w}", "How long should {w} be?",
    "Summarise {t}.", "Give me five ideas for {w}.", "Start {w} with the word {t}.", "Rewrite this as {w}.",
    "Can you check {w} for {h}?",
]  # fmt: skip
ADVICE_FORMS = [
    "How do I {a}?", "How can I {a}?", "What is the best way to {a}?", "I want to {a}.", "Tips to {a}?",
    "Can you help me to {a}?", "Should I {a}?",
    "Why can't I {a}?", "how long does it take to {a}", "Teach me to {a}.", "Is it hard to {a}?",
    "I am {f}, what can I do?", "I feel {f}.",
    "I am {f}.", "why am I so {f}", "What helps against {b}?", "I have a problem with {b}.", "Is it bad if {b} hurts?",
    "Which doctor is good for {b}?",
    "what do you do when you are {f}", "Give me some advice, I am {f}.", "What can I give someone who is {f}?",
    "how to {a}",
]  # fmt: skip
OPINION_FORMS = [
    "{o}?", "Do you prefer {o}?", "What do you like more, {o}?", "What is your favourite {v}?",
    "Do you have a favourite {v}?", "Do you believe in {g}?",
    "Do {g} exist?", "What do you think about {t}?", "Is {t} good or bad?", "Do you like {t}?", "Do you love me?",
    "What is the meaning of life?",
    "Are you afraid of {t}?", "Who will win, {p} or {q}?", "Is {p} a good person?", "Do you dream?",
    "What is the best {v} in the world?",
    "Tell me a joke.", "Tell me a joke about {t}.", "Do you know a joke?", "Make me laugh.", "a riddle please",
    "Tell me something funny.",
    "Say something nice.", "What are you thinking?", "Is there a God?", "Which {v} should I choose?",
    "rate {t} from 1 to 10", "Are you in love?",
    "Do you hate {t}?", "Why should I like {t}?", "Will robots rule the world?", "Are you conscious?",
    "Do you get tired?", "Are you bored?",
]  # fmt: skip
SERVICE_FORMS = [
    "Please {d}.", "Can you {d}?", "{d}", "Could you {d} for me?", "I want you to {d}.", "{d} now",
    "Would you {d}, please?", "What is {n}?", "Tell me {n}.",
    "Do you know {n}?", "Show me {n}.", "What is {n} today?", "what's {n}", "What will be {n} tomorrow?",
    "What time is it?", "What is the date today?",
    "What day is it today?", "What is today's date?", "What year is it?", "Which month is it?",
    "What day is tomorrow?", "What is the weather in {c}?",
    "How is the weather in {c}?", "Any news from {c}?", "Is it raining in {c}?", "At which place am I?",
    "What is my IP address?", "who is near me",
    "How warm is it in {c}?", "What's the weather like in {c} and {k}?", "Weather in {c}?",
    "Which day of the week is it?", "What time is it in {c}?",
]  # fmt: skip
UNKNOWN_HEROES = """an astronaut|a spaceman|a laptop|a vampire|a zombie|a ninja|a pirate ship|a lawyer|my grandmother
    |my boss|a car|a train
    |a computer|an alien|Batman|a unicorn in space|the internet|a detective|a football player|my school
    |a vacuum cleaner|the president
    |a superhero|a dinosaur|a mermaid|a ghost|a snowman|a cactus|a toaster|a bank robber|an engineer
    |the first world war|love|a sandwich"""
STORY_FORMS = [
    "Tell me a story about {x}.", "Write a story about {x}.", "Tell me a short story about {x}.",
    "A story about {x}, please.", "a story of {x}",
    "Can you tell me a story about {x}?",
]  # fmt: skip


def listed(text: str, mark: str | None = "|") -> list[str]:
    """The parts of a text, without the ends of lines."""
    return [" ".join(part.split()) for part in text.split(mark)]
