"""One function per verb: a frozen request in, an outcome out; what the command line, notebooks and programs call."""
