"""What the training loop of ``train.py`` stands on: building, watching, saving, measuring, and several processes.

Read ``train.py`` first; each file here answers one question that it leaves open.
"""
