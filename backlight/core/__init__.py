"""What every room stands on, and what knows no room.

errors       what was found, expected, to try; one `Failure` for inputs that could not be used
files        whole or not at all; reading and schema: one door for what others wrote
random       numbers keyed by picture; fingerprint: a hash of all that decides about a result
grammar      `NAME:key=value`; options: its values by the types that functions declare
plugins      registries that other packages add to; user_code: functions of a file; faces: what rooms show
processes    devices and processes; chunks, progress, interrupt: how long work is carried out
"""
