"""How are many small networks trained in one process? Those of equal shape as one, stacked; or each by a thread of its own, in turns.

Stacking is for GPUs, which one small network leaves idle. On a CPU it does not pay: networks one after another are as fast, or twice as
fast where there are convolutions, and a thread for each network uses every core, while two threads in one network cost half as much again
or more. CPU time of one update of one network in milliseconds, torch 2.13, two cores that others used too:

| recipe (networks at a time) | in turn, 1 thread | stacked, 1 thread | in turn, 2 threads | stacked, 2 threads |
| --- | --: | --: | --: | --: |
| jaderberg2015/mnist_r_fcn (8) | 6.7 | 7.0 | 12.0 | 10.2 |
| jaderberg2015/mnist_r_fcn_affine (8) | 14.6 | 15.2 | 31.1 | 22.1 |
| digits/rts_clutter_cnn (4) | 57 | 110 | 86 | 137 |
| digits/rts_clutter_cnn_similarity (4) | 76 | 78 | 105 | 126 |

Two threads with a network each need 7.0, 16.3, 56 and 71. On the clock, with little else running, 4 of mnist_r_fcn_affine took 30 to 35 an
update one after another, and 15 to 17 two at a time; with a third process beside them, 27 two at a time and 203 stacked on two threads.
"""

from .fit import fit_together as fit_together
