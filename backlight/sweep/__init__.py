"""One way to take a model over a data set: `blocks` keeps what is finished."""
