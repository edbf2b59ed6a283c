"""The examination: 300 questions that strangers ask of a small model, judged by a program.

No phrasing of it is trained on; tests/demo/test_examination.py compares it with the curriculum.
"""

from .judge import Verdict
from .sitting import KINDS, Result, by_kind, questions, sit
from .table import table

__all__ = ["KINDS", "Result", "Verdict", "by_kind", "questions", "sit", "table"]
