"""Batches over several engines that Ray runs, whose processes are killed and whose hosts are cut off.

Whatever happens, the output has the lines of one process: equal answers, each once, with equal digests.
"""
