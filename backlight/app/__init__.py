"""The local page: one classifier, one picture at a time, and everything that the verbs do, by hand and at once.

`serve` starts it. It calls `backlight.tasks` and holds no logic of its own:

security     who may ask: Host, Origin, token, content policy, sizes
uploads      the bytes of one picture, within limits, as a file of its own for one job
jobs         one worker with a queue; a job can be cancelled, also in the middle of a pass of the model
streams      what a job says on its way, as server-sent events
asking       from the words of a request to a task; repeating: the command and the Python that do the same
shelf        the data set that the page looks through
answers      from a task's outcome to what the page shows
session      the models and the worker; pages: what the page knows before anything is asked; choices: what it offers
routes       addresses and what they do;  serving: the socket, the start and the stop
demo         the page as plain files, with answers written before
static/      the page itself
"""

from backlight.app.serving import AppRequest, serve

__all__ = ["AppRequest", "serve"]
