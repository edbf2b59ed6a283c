"""Changed files of every kind that kimi-cpu reads, each used as a person would: an answer or a sentence must come.

    python -m tools.fuzz                                     all of it, 40 minutes on two quiet cores
    python -m tools.fuzz --kind model --cases 200 --seed 7   a part
    python -m tools.fuzz --kind model --seed 7 --case 113    one case again, in this process, with its traceback

A case is its kind, the seed and its number; nothing else decides what it does. A worker process, with a limit on its
address space, takes 50 cases and makes way for another one; it is also replaced when it crashes, hangs or grows.
"""
