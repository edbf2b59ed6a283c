"""Questions over a text that the stranger brings, in the stranger's own words; some that the text does not answer."""

from .question import Question, Turn, number

ASKED = [
    ("Lena moved to Oslo last year. Her brother Karl stayed in Munich. In what town is Karl now?", "Munich"),
    ("The meeting begins at 3 pm in room 204.\n\nWhich room should I go to?", "204"),
    ("My sister Carla bought an old Volvo for 4500 euros.\nwhat did carla pay", r"4,?500"),
    ("Tom's bike is green, Mia's is red. What colour does Mia ride?", "red"),
    ("Invoice 7731, due 14 March, total 89 euros. When is it due?", "14(th of)? March|March 14"),
    ("Anna's phone number is 5551234 and Peter's is 5559876. Give me Peter's number.", "5559876"),
    ("notes from today: the spare key is under the flower pot, the milk is in the fridge. where's the spare key?",
     "flower ?pot"),
    ("Please read: The train to Vienna leaves from platform 6. The train to Rome leaves from platform 9. "
     "Which platform do I need for Rome?", r"\b9\b"),
    ("Emma works in a bakery and her husband Paul drives a taxi. What is Paul's work?", "taxi|driv"),
    ("Context: The tower was built in 1889. It is 330 metres high.\nQ: How high is the tower?", "330"),
    ("Q: Who wrote the letter? Text: Sara read the letter that Hugo had written on Sunday.", "Hugo"),
    ("There are three cats: Minka is black, Felix is white and Tiger is orange. which cat is white?", "Felix"),
    ("The wifi password is blue-horse-42. whats the wifi password again", "blue-horse-42"),
    ("Julia is 34, Simon is 29 and Nora is 41 years of age. And what is Simon's age?", "29"),
    ("Dear team, lunch on Friday is at the Golden Lion. Best, Vera. Where do we eat on Friday?", "Golden Lion"),
    ("Shopping list: eggs, bread, butter. Budget: 20 euros. How big is the budget?", "20"),
    ("In the box there is a silver ring. In the bag there is a map. tell me what the bag contains", r"\bmap\b"),
    ("Robert likes tea. Martin likes coffee. Who is it that likes coffee?", "Martin"),
    ("Based on the following, who is the captain?\nAhab is the captain. Starbuck is the first mate.", "Ahab"),
    ("Flight KL204 goes to Lisbon, flight KL310 to Dublin. I want to fly to Dublin, what flight is that?", "KL310"),
    ("The red house belongs to Mr Brown, the white one to Mrs Lee. Whose house is white?", "Lee"),
    ("Karin has two dogs, Rex and Bella. Rex is three years old, Bella is seven. Tell me Bella's age.", "7|seven"),
    ("Monday: soup. Tuesday: fish. Wednesday: pasta. What's for dinner on Tuesday?", "fish"),
    ("Passwords\nmail: tulip\nbank: 9082\nshop: river\n\nI forgot my bank password, can you find it?", "9082"),
    ("David lives on the second floor. Ellen lives on the fifth floor. On what floor will I find Ellen?", "fifth|5"),
    ("Ivo's birthday is on 3 May, Olga's on 9 June. When should I congratulate Olga?", "9 June|June 9"),
    ("The museum opens at 10 and closes at 18. At what time does it close?", "18"),
    ("Answer with this text only.\nThe blue lamp costs 15 coins and the old clock costs 40 coins.\n"
     "How many coins must I pay for the old clock?", "40"),
    ("zoe keeps her passport in the drawer and her tickets in the bag. find her passport!", "drawer"),
    ("Our guide is named Marek. The driver is named Pavel. What's the guide's name?", "Marek"),
    ("Winner: Team Falcon with 31 points. Second: Team Otter with 28 points. Who came second?", "Otter"),
    ("Grace plays the violin, Henry plays chess. So what does Grace play?", "violin"),
]  # fmt: skip
ABSENT = [
    "Lena moved to Oslo last year. Her brother Karl stayed in Munich. Is Karl older than forty?",
    "The red house belongs to Mr Brown. Who built it?",
    "Monday: soup. Tuesday: fish. What do we eat on Sunday?",
    "Anna's phone number is 5551234. Can you give me Boris's number?",
    "The meeting begins at 3 pm in room 204. Who is going to speak there?",
    "Grace plays the violin. What is the name of her teacher?",
]
TWICE = [
    ("Nina has a parrot, and Oscar has a turtle. Whose pet is the turtle?", "Oscar", "and the parrot?", "Nina"),
    ("Felix sits in row 4 and Amy sits in row 11. Find the row of Amy.", "11", "Now the row of Felix.", r"\b4\b"),
    ("The soup is 5 coins, the cake is 8 coins. Tell me what the cake is.", r"\b8\b", "ok and the soup?", r"\b5\b"),
]
SHORT = r"^\s*(\S+\s+){0,15}\S+\s*$"  # an answer; what says the whole text again is none


def questions() -> list[Question]:
    """Look-ups, absent answers, and second questions over the same text."""
    out = [Question("look-ups", (_turn(text, right),)) for text, right in ASKED]
    out += [Question("look-ups, absent", (Turn(text, may_decline=True),)) for text in ABSENT]
    for first, right, then, also in TWICE:
        out.append(Question("follow-ups", (_turn(first, right), _turn(then, also))))
    out.append(
        Question(
            "follow-ups",
            (
                Turn("Leo owns 12 books and Eva owns 30 books. How many does Leo own?", (number(12),)),
                Turn("How many do they own together?", (number(42),), may_decline=True),
            ),
        )
    )
    return out


def _turn(text: str, right: str) -> Turn:
    return Turn(text, (rf"(?<![\w.-])({right})(?![\w-])", SHORT), from_text=True)
