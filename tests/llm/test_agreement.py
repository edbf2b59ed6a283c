"""Final answers as votes: what is equal, when a vote is decided, and what may stand for it."""

import pytest

from kimi_cpu.llm.agreement import Votes, final_answer, normalised, reflection, settles

EQUAL = [
    ["42", " 42 ", "42.", "**42**", "$42$", "\\boxed{42}", "42.0", "So the answer is 42.", "Final answer: 42\n"],
    ["1,000,000.50", "1000000.5", "The answer is: 1,000,000.50. It is large."],
    ["Paris", "paris", "PARIS!", "- Paris", "\u201cParis\u201d", "`Paris`", "\\boxed{\\text{Paris}}"],
    ["1/2", "\\frac{1}{2}", "\\boxed{\\dfrac{1}{2}}"],
    ["-5", "\u22125", "- 5 is wrong, the answer is -5."],
    ["red, green", "Red  green.", "red,\ngreen"],
    ["B", "(b)", "The correct answer is (B)."],
    ["\\boxed{\\frac{a}{b}} and then \\boxed{x^{2}}", "x^{2}"],
]


@pytest.mark.parametrize("texts", EQUAL, ids=lambda texts: texts[0])
def test_equal_answers_are_one_vote(texts):
    assert len({normalised(final_answer(text)) for text in texts}) == 1


def test_other_answers_are_other_votes():
    numbers = ["42", "-42", "4.2", "42%", "4/2", "12:30", "1230", "1,2", "12", "1 2 3"]
    others = [*numbers, "C", "C#", "C++", "x=5", "x", "red,green", "green,red", "?", ""]
    assert len({normalised(final_answer(text)) for text in others}) == len(others)


def test_an_open_box_is_no_box():
    assert final_answer("\\boxed{1 and so on") == "\\boxed{1 and so on"


def test_a_vote_is_decided_when_the_rest_cannot_change_who_comes_first():
    votes = Votes(8)
    decided = []
    for answer in ("a", "b", "a", None, "a", "a"):
        votes.add(answer)
        decided.append(votes.is_decided)
    assert decided == [False] * 5 + [True]  # 4 to 1, with 2 that have not ended
    assert votes.counts == [("a", 4), ("b", 1)]


def test_a_vote_that_could_end_in_a_tie_goes_on_to_its_end_and_the_first_comes_first():
    votes = Votes(4)
    for answer in ("b", "b", "a"):
        votes.add(answer)
        assert not votes.is_decided
    votes.add("a")
    assert votes.is_decided and votes.counts == [("b", 2), ("a", 2)]


def test_votes_without_answers_are_decided_at_their_end():
    votes = Votes(2)
    votes.add(None)
    assert not votes.is_decided
    votes.add(None)
    assert votes.is_decided and votes.counts == []


def test_where_some_agree_an_answer_must_be_one_that_was_given():
    counts = [("42", 2), ("the code is 7", 1)]
    assert settles("It is 42.", counts)
    assert settles("I think: the code is 7, so 6 x 7.", counts)
    assert not settles("The answer is 421.", counts)
    assert not settles("7", counts)
    assert settles("7", [("42", 1), ("41", 1)]) and settles("7", [])


def test_reflection_has_every_answer_with_its_votes():
    text = reflection(3, [("It is 42.\n", 2), ("{x}", 1)])
    assert "[2 of 3]\nIt is 42.\n\n[1 of 3]\n{x}\n\n" in text
