"""How sums are asked for."""

ASK = {
    "+": [
        "What is {a} + {b}?", "What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b} = ?", "{a} + {b}", "{a}+{b}",
        "How much is {a} + {b}?", "Calculate {a} + {b}.", "Add {a} and {b}.", "What is the sum of {a} and {b}?",
        "What's {a} + {b}?", "Compute {a} + {b}.", "what is {a}+{b}", "How much is {a} plus {b}?", "{a}+{b}=?",
        "{a} plus {b}", "{a} plus {b} is?", "Add {b} to {a}.", "Sum {a} and {b}.", "{a} and {b}, summed up?",
        "Can you add {a} and {b}?", "I need the sum of {a} and {b}.", "Do you know what {a} plus {b} is?",
        "If I add {a} and {b}, what do I get?", "Please give me {a} + {b}.", "{a} increased by {b}?", "solve {a} + {b}",
        "how much do {a} and {b} make", "what do {a} and {b} add up to?", "{a} and {b}: the total?",
    ],
    "-": [
        "What is {a} - {b}?", "What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b} = ?", "{a} - {b}", "{a}-{b}",
        "How much is {a} - {b}?", "Calculate {a} - {b}.", "Subtract {b} from {a}.", "Take {b} away from {a}.",
        "What's {a} - {b}?", "Compute {a} - {b}.", "what is {a}-{b}", "How much is {a} minus {b}?", "{a}-{b}=?",
        "{a} minus {b}", "{a} minus {b} is?", "What is the difference between {a} and {b}?", "{a} without {b}?",
        "Can you subtract {b} from {a}?", "If I take {b} from {a}, what stays?", "{a} reduced by {b}?",
        "How much more is {a} than {b}?", "solve {a} - {b}", "what remains of {a} after taking {b}",
        "Please give me {a} - {b}.", "How many fewer is {b} than {a}?",
    ],
    "*": [
        "What is {a} * {b}?", "What is {a} times {b}?", "{a} * {b} = ?", "{a} x {b} = ?", "What is {a} x {b}?",
        "Calculate {a} * {b}.", "Multiply {a} by {b}.", "How much is {a} times {b}?", "What's {a} * {b}?", "{a}*{b}",
        "What is the product of {a} and {b}?", "Compute {a} * {b}.", "{a} * {b}", "what is {a}*{b}", "{a} times {b}",
        "{a} × {b}", "What is {a} × {b}?", "{a} times {b} is?", "{a}x{b}", "{a} x {b}", "solve {a} * {b}",
        "Can you multiply {a} and {b}?", "what is {a} multiplied by {b}", "the product of {a} and {b}?",
    ],
    "/": [
        "What is {a} / {b}?", "What is {a} divided by {b}?", "{a} / {b} = ?", "{a} / {b}", "{a}/{b}", "{a} : {b}",
        "Divide {a} by {b}.", "How much is {a} divided by {b}?", "What's {a} / {b}?", "Compute {a} / {b}.",
        "Calculate {a} / {b}.", "{a} divided by {b}", "what is {a}/{b}", "{a} divided by {b} is?", "What is {a} ÷ {b}?",
        "Can you divide {a} by {b}?", "How often does {b} fit into {a}?", "solve {a} / {b}", "{a}÷{b}",
    ],
}  # fmt: skip
STORIES = {
    "+": [
        "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
        "There are {a} {things} in one box and {b} in another. How many are there together?",
        "{name} buys {a} {things} on Monday and {b} on Tuesday. How many {things} is that?",
        "{name} has {a} {things}. {other} has {b}. How many is that for both?",
        "I have {a} {things} and find {b} more. How many do I have?",
        "We need {a} {things} and another {b}. How many in total?",
        "{a} {things} and {b} {things}, how many is that?",
        "The book costs {a} coins and the bag costs {b} coins. What do both cost?",
        "A bus has {a} passengers, and {b} more get on. How many are on the bus?",
        "{name} ran {a} metres before lunch and {b} metres after it. How far in all?",
    ],
    "-": [
        "{name} has {a} {things} and gives away {b}. How many {things} are left?",
        "There are {a} {things} in a box. {name} takes out {b}. How many are left?",
        "{name} had {a} {things} and lost {b} of them. How many {things} does {name} have now?",
        "I have {a} {things} and eat {b}. How many are left?",
        "{name} has {a} {things}, {other} has {b}. How many more does {name} have?",
        "A shop has {a} {things} and sells {b}. How many remain?",
        "I pay {b} coins and had {a} coins. How many coins do I still have?",
        "Of {a} {things}, {b} are broken. How many are fine?",
        "The trip is {a} miles and we have done {b}. How many miles are still to go?",
    ],
    "*": [
        "{name} has {a} boxes with {b} {things} each. How many {things} are there?",
        "One box holds {b} {things}. How many {things} are in {a} boxes?",
        "{a} children have {b} {things} each. How many {things} are there?",
        "A ticket costs {b} coins. What do {a} tickets cost?",
        "I buy {a} bags with {b} {things} in each bag. How many {things} do I have?",
        "There are {a} rows of {b} chairs. How many chairs are there?",
    ],
    "/": [
        "{name} shares {a} {things} among {b} friends. How many does each get?",
        "{a} {things} go into {b} boxes. How many are in each box?",
        "{a} coins are split between {b} people. How much does each person get?",
        "There are {a} {things} in {b} equal rows. How many are in a row?",
        "Divide {a} {things} among {b} children. How many does each child get?",
    ],
}
COMPARE = [
    "Which number is {word}, {a} or {b}?", "Which is {word}: {a} or {b}?", "What is {word}, {a} or {b}?",
    "Is {a} or {b} {word}?", "Which one is {word}: {a}, {b}?", "Of {a} and {b}, which is {word}?",
    "{a} or {b}, what is {word}?", "Which is {word}, {a} or {b}?", "Tell me which is {word}: {a} or {b}.",
]  # fmt: skip
AGAIN = [  # (question, what is done with the last result: doubled, n added or n taken away)
    ("And twice that?", "2"), ("Twice that?", "2"), ("And doubled?", "2"), ("Double it.", "2"), ("times two", "2"),
    ("Now double it, please.", "2"), ("and 2 times that", "2"), ("What is twice as much?", "2"), ("times 2?", "2"),
    ("And plus {n}?", "+"), ("plus {n}", "+"), ("Add {n}.", "+"), ("Now add {n}.", "+"), ("add {n} to that", "+"),
    ("and {n} more?", "+"), ("What is that plus {n}?", "+"), ("+ {n}", "+"), ("And if I add {n}?", "+"),
    ("Then add {n} to the result.", "+"), ("with {n} on top?", "+"), ("increase it by {n}", "+"),
    ("And minus {n}?", "-"), ("minus {n}", "-"), ("Subtract {n}.", "-"), ("Now subtract {n}.", "-"), ("- {n}", "-"),
    ("take away {n}", "-"), ("And {n} less?", "-"), ("What is that minus {n}?", "-"), ("And if I take {n} away?", "-"),
    ("Now take {n} from it.", "-"), ("subtract {n} from that", "-"), ("reduce it by {n}", "-"),
]  # fmt: skip
