"""From a number or text to a noise: ``0.1``, ``relative(0.2)``, ``heavy_tailed(0.1, freedom=3)``, ``cycle(2, -1)``."""

from momentumlab.config import grammar
from momentumlab.noise import NOISES, Cycle, Gaussian, HeavyTailed, Multiplicative, Noise, Relative
from momentumlab.registry import did_you_mean

HINT = "write a number, gaussian(0.1), relative(0.1), multiplicative(0.1), heavy_tailed(0.1, freedom=3) or cycle(1, -1)"


def read_noise(value: object) -> Noise | None:
    """Read what is said of noise; ``None`` if it is that there is none.

    Raises
    ------
    ValueError
        If it is no noise, with what is wrong.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None if value == 0 else Gaussian(deviation=_spread("noise", float(value)))
    call = grammar.parse_call(value) if isinstance(value, str) else None
    if call is None:
        raise ValueError(f"'{value}' is no noise; {HINT}")
    if call.name not in NOISES:
        raise ValueError(f"there is no {call.name}(){did_you_mean(call.name, NOISES)}; {HINT}")
    if call.name == "cycle":
        if call.named or not call.positional:
            raise ValueError("cycle() takes the errors of consecutive gradients, as cycle(2, -1, -1)")
        return Cycle(errors=call.positional)
    if call.name == "heavy_tailed":
        scale, freedom = grammar.bind(call, ("scale", "freedom"), {"freedom": 3.0})
        if not freedom > 0:
            raise ValueError(f"freedom must be above 0, not {freedom:g}")
        return HeavyTailed(scale=_spread("scale", scale), freedom=freedom)
    if call.name == "gaussian":
        (deviation,) = grammar.bind(call, ("deviation",))
        return Gaussian(deviation=_spread("deviation", deviation))
    (share,) = grammar.bind(call, ("share",))
    share = _spread("share", share)
    return Relative(share=share) if call.name == "relative" else Multiplicative(share=share)


def _spread(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0, not {value:g}")
    return value
