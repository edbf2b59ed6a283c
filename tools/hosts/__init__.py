"""Batches, and a server, over several engines that Ray runs, whose processes are killed and whose hosts are cut off.

Whatever happens, the output has the lines of one process: equal answers, each once, with equal digests; and so have the
streams of a server the texts of a batch.
"""
