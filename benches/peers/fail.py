"""The one error of the comparison: what is wrong, and what to do about it. Ends the run with exit code 1."""


class Failed(Exception):
    def __init__(self, fact, hint):
        super().__init__(f"{fact}\nhint: {hint}")
