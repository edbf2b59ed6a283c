"""The examination: its questions are always the same, nobody trained on them, and its judge is not fooled."""

import json

import pytest

from kimi_cpu import ChatCompletion
from tools.train_demo import examination
from tools.train_demo.curriculum import Example, make
from tools.train_demo.curriculum.example import user
from tools.train_demo.evaluate import Figures
from tools.train_demo.examination import Verdict
from tools.train_demo.examination.judge import broken_words, is_decline, judge, trained_words
from tools.train_demo.examination.question import Turn, number
from tools.train_demo.phrasing import apart, near, phrasings

RIGHT, DECLINED, WRONG = Verdict
QUESTIONS = examination.questions()
VOCABULARY = trained_words() | {"sorry", "cannot", "add", "numbers", "smaller", "large", "ones", "may", "them"}
TRAINED_ON = 6000  # examples of each mix of the recipe
MIXES = ("core", "tasks")


def test_there_are_300_questions_always_the_same():
    assert len(QUESTIONS) == 300 == len({(q.said, *(t.name for t in q.tools)) for q in QUESTIONS})
    assert examination.questions() == QUESTIONS
    assert {q.kind for q in QUESTIONS} == set(examination.KINDS)


@pytest.mark.parametrize("mix", MIXES)
def test_no_phrasing_of_the_examination_is_trained_on(mix):
    asked = {n for q in QUESTIONS for turn in q.turns for shape in phrasings(turn.text) for n in near(shape)}
    trained = list(apart(make(mix, 5, TRAINED_ON)))
    assert len(trained) > 0.97 * TRAINED_ON  # they are few, so that nothing is missed that people say
    said = {m["content"] for e in trained for m in e.messages if m["role"] == "user"}
    assert not [text for text in said if any(n in asked for shape in phrasings(text) for n in near(shape))]


def test_an_example_that_says_what_the_examination_says_is_left_out():
    examples = [
        Example("t", "", [user(text)]) for text in ("hello", "Weather Lima please", "tell me a tale of a brave fox")
    ]
    assert list(apart(examples)) == examples[:1]


@pytest.mark.parametrize(
    ("trained", "asked", "is_close"),
    [
        ("What is 17 + 25?", "what is 8 + 9", True),
        ("Tell me a story about a fox.", "Tell me some story about a fox.", True),
        ("Where does Anna live?", "Where does Feachend live?", True),
        ("Where does Anna live?", "In what town is Anna?", False),
        ("Sort these numbers: 1, 2", "1, 2", False),
    ],
)
def test_phrasings_are_compared_whatever_they_speak_of(trained, asked, is_close):
    shapes = [{n for shape in phrasings(text) for n in near(shape)} for text in (trained, asked)]
    assert bool(shapes[0] & shapes[1]) == is_close


SUM = Turn("What is 17 + 25?", (number(42),))
HARD = Turn("What is 5000 + 5000?", (number(10000),), may_decline=True)
CAPITAL = Turn("Capital of France?", ("Paris",), may_decline=True)
STORY = Turn("A story about a fox.", (r"\bfox\b",), is_story=True)
AGE = Turn("Rex is 3 years old. How old is Rex?", (r"\b3\b",), from_text=True)
A_STORY = "Once upon a time there was a little fox. " + "The fox was happy and went home. " * 6


@pytest.mark.parametrize(
    ("turn", "answer", "verdict"),
    [
        (SUM, "17 + 25 = 42.", RIGHT),
        (SUM, "42", RIGHT),
        (SUM, "17 + 25 = 421.", WRONG),
        (SUM, "17 + 25 = -42.", WRONG),
        (SUM, "17 + 25 = 42.5", WRONG),
        (SUM, "42 - 17 = 25.", WRONG),
        (SUM, "I cannot do that.", WRONG),
        (SUM, "", WRONG),
        (HARD, "I cannot add numbers that large. I can add smaller ones.", DECLINED),
        (HARD, "I cannot add them, but it is 9000.", WRONG),
        (HARD, "5000 + 5000 = 10000.", RIGHT),
        (CAPITAL, "Paris.", RIGHT),
        (CAPITAL, "Santiago.", WRONG),
        (CAPITAL, "I do not know that, it may be Rome.", WRONG),
        (CAPITAL, "Sorry, I do not know that. For real answers use the full Kimi K2.", DECLINED),
        (CAPITAL, "I do not know that. The owl is red.", WRONG),
        (CAPITAL, "I am only a program, but many people like?", WRONG),
        (STORY, A_STORY, RIGHT),
        (STORY, A_STORY.replace("happy", "happlesy"), WRONG),
        (STORY, A_STORY + " The f", WRONG),
        (STORY, "There was a fox.", WRONG),
        (STORY, A_STORY.replace("fox", "owl"), WRONG),
        (AGE, "Rex is 3 years old.", RIGHT),
        (AGE, "Rex is 3 years old, 9 of them.", WRONG),
        (Turn("Hi", ("hello",), ("backwards",)), "Hello! I spell backwards.", WRONG),
    ],
)
def test_the_judge_tells_right_from_wrong(turn, answer, verdict):
    assert judge(turn, answer, turn.text, VOCABULARY) == verdict


@pytest.mark.parametrize(("value", "text"), [(-27, "3 - 30 = -27."), (5, "10 - 5 = 5."), (1234, "It is 1234!")])
def test_a_number_is_found_at_the_end(value, text):
    assert judge(Turn("?", (number(value),)), text, "", trained_words()) is RIGHT


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        ("I cannot translate. I can add, tell stories and find things in a text.", True),
        ("That is too hard for me. I am a small demonstration model; the full Kimi K2 can answer it.", True),
        ("The text does not say that.", True),
        ("I can tell stories.", False),
        ("I cannot say, but I think Linux.", False),
        ("I cannot. " * 5, False),
        ("", False),
    ],
)
def test_a_decline_says_nothing_that_could_be_an_answer(answer, is_one):
    assert is_decline(answer) == is_one


def test_words_are_whole_when_they_are_trained_on_or_were_said():
    assert broken_words("The fox met Zarquon's friend.", "a story about Zarquon", trained_words()) == []
    assert broken_words("Theu fox f", "", trained_words()) == ["theu", "f"]


class Scripted:
    """A model that answers every message as a function says: a text, or calls (name, arguments)."""

    def __init__(self, answer):
        self._answer = answer

    def chat(self, messages, tools=None, **options):
        said = self._answer(messages)
        calls = () if isinstance(said, str) else tuple(_call(i, *c) for i, c in enumerate(said))
        return ChatCompletion(
            content=said if isinstance(said, str) else "",
            reasoning_content="",
            tool_calls=calls,
            finish_reason="tool_calls" if calls else "stop",
            usage=None,
            timings=None,
        )


def _call(number: int, name: str, arguments: dict) -> dict:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"functions.{name}:{number}", "type": "function", "function": function}


def test_a_model_that_declines_everything_is_right_about_nothing():
    results = examination.sit(Scripted(lambda messages: "I cannot do that."), QUESTIONS)
    assert all(r.verdict is not RIGHT for r in results)
    assert all(r.verdict is DECLINED for r in results if r.question.kind in ("code", "world knowledge"))
    assert all(r.verdict is WRONG for r in results if r.question.kind in ("sums", "greetings", "names"))


def test_calls_must_be_those_that_are_needed_and_no_others():
    asked = [q for q in QUESTIONS if q.kind == "tools, two cities"]

    def answer_to(count):
        def answer(messages):
            if messages[-1]["role"] == "tool":
                return " ".join(m["content"] for m in messages if m["role"] == "tool")
            turn = next(q.turns[0] for q in asked if q.turns[0].text == messages[-1]["content"])
            return (turn.calls * 2)[:count]

        return answer

    by_count = {count: examination.sit(Scripted(answer_to(count)), asked[:10]) for count in (1, 2, 3)}
    assert {count: {r.verdict for r in results} for count, results in by_count.items()} == {
        1: {WRONG},
        2: {RIGHT},
        3: {WRONG},
    }


def test_a_conversation_is_as_good_as_its_worst_turn():
    asked = [q for q in QUESTIONS if q.kind == "names" and len(q.turns) == 2]
    results = examination.sit(Scripted(lambda m: "Hello!" if len(m) == 1 else m[0]["content"]), asked)
    assert {r.verdict for r in results} == {RIGHT}
    results = examination.sit(Scripted(lambda m: "" if len(m) == 1 else m[0]["content"]), asked)
    assert {r.verdict for r in results} == {WRONG}
    counts = examination.by_kind(results)
    assert counts == {"names": {RIGHT: 0, DECLINED: 0, WRONG: len(asked)}}


def test_the_table_has_a_row_a_kind_and_their_sum():
    table = examination.table(
        {"kinds": {"sums": {RIGHT: 3, DECLINED: 0, WRONG: 1}, "code": {RIGHT: 0, DECLINED: 4, WRONG: 0}}}
    )
    assert "| sums | 4 | 3 | 0 | 1 | " in table and "| all | 8 | 3 | 4 | 1 |" in table
    assert table.endswith("Right or rightly declined: 87.5%.")


def test_figures_are_measured_once_for_each_model(tmp_path):
    model, out = tmp_path / "model", tmp_path / "figures"
    model.write_bytes(b"one")
    Figures(out, model).add("a", lambda: 1)
    again = Figures(out, model)
    again.add("a", lambda: 2)
    again.add("b", lambda: 3)
    assert (again.found["a"], again.found["b"]) == (1, 3)
    model.write_bytes(b"another")
    assert "a" not in Figures(out, model).found
