"""The packed block layouts, with numpy pack and unpack as the truth. See rows16.py."""
