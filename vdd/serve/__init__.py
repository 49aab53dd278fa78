"""`vdd serve`: a web page on which motion is played with, and the server behind it.

A request passes `guard`, which knows who may ask; `app` and `camera`, which know the addresses; and
`work`, the threads that compute. What is computed is in `studio`, a run at work. Clips come in
through `clips`, whose reader is a process of its own, and go out through `out`.
"""
