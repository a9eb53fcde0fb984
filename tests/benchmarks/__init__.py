"""How fast dlcli trains, beside the plain script, PyTorch and Lightning: `make benchmark`.

Each contender is a process of its own that trains one epoch whenever it is told to, so that epochs of all contenders
alternate and share whatever else the machine does; ratios within a round are what counts.
"""
