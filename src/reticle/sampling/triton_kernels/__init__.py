"""The sampler for GPUs, in Triton. Imported when the first call arrives, never before: it needs the module ``triton``.

``axis`` which pixels of an axis count, and how much; ``place`` where an output point reads; ``forward`` and ``backward`` the two kernels;
``plan`` how the work is cut into programs; ``launch`` from tensors to kernels and back.
"""
