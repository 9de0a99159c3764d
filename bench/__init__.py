"""Measurements that the README and docs/ stand on. Each is run from the root: python -m bench.NAME [--help].

speed      seconds and memory beside what others would use          -> speed.json
audit      what the audit for copies finds, merges and costs        -> audit.json
photographs  the same of photographs, beside imagededup             -> photographs.json
coverage   do the 95 % intervals hold the truth in 95 %?
kill       does a killed run end in the bytes of an undisturbed one?
isa        what another instruction set of the CPU changes          -> isa.json
ablation   which lever makes a network see the tumour               -> studies/compact-robust/ablation.*
fuzz       hostile input: accepted, or refused in one line

The others are their parts: `turns` runs the ways of doing some work as processes that take turns, `answering` is those
processes' side; `ours`, `our_*` and `peers/` are the ways; `planting` makes known copies, `mutations` hostile files,
`tiny` a clone with a tiny study.
"""
