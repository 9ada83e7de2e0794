"""Random task-sets: utilisations, periods, deadlines, priorities.

:func:`taskgen.generate.generate` puts them together. All numbers come from
:mod:`taskgen.generators.uniforms`, so that set ``i`` depends on the seed and on ``i`` alone.

The modules that draw need numpy, from the extra ``generators``; it is imported when the first
number is drawn.
"""
