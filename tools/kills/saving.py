"""Saves two sessions by turns under one name: python saving.py MODEL FILE FIRST TIMES. FIRST is the other one's."""

import sys

import kimi_cpu

model, file, first, times = sys.argv[1:]
with kimi_cpu.load(model, context=512, read_ahead=False) as llm:
    sessions = []
    for prompt in ("One", "Two and more than one"):
        session = llm.session()
        llm.chat([{"role": "user", "content": prompt}], session=session, max_tokens=30, temperature=0, ignore_eos=True)
        sessions.append(session)
    sessions[0].save(first)
    for number in range(int(times)):
        sessions[number % 2].save(file)
