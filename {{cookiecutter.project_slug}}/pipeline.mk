# What the stage `pipeline` adds to the Makefile.
