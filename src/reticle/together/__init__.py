"""How are many small networks trained in one process? Those of equal shape as one, stacked; or each by a thread of its own, in turns.

Stacking fills a GPU, which one small network leaves idle. On a CPU it does not pay: batched layers are at best as fast as one after the
other, and convolutions take twice as long, while one thread a network uses every core. CPU time of one update of one network, torch 2.13,
one thread where not said otherwise, milliseconds:

| recipe (networks at a time) | in turn | stacked | in turn, 2 threads | stacked, 2 threads |
| --- | --: | --: | --: | --: |
| jaderberg2015/mnist_r_fcn (8) | 6.7 | 7.0 | 12.0 | 10.2 |
| jaderberg2015/mnist_r_fcn_affine (8) | 14.6 | 15.2 | 31.1 | 22.1 |
| digits/rts_clutter_cnn (4) | 57 | 110 | 86 | 137 |
| digits/rts_clutter_cnn_similarity (4) | 76 | 78 | 105 | 126 |
"""

from .fit import fit_together as fit_together
