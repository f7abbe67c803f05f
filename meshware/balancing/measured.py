"""What the strategies by a measured figure have in common: response time, load, failure rate, latency, and more.

The formulas are the founding document's: R_i = sum_j T_ij / m_i and its like, by endpoint i over its own
requests j. Taken literally (`window` None, `select` "argmin") they are dangerous in use: the least mean of all is
everybody's choice at once, and one that was bad once is never asked again. So by default recent answers weigh
more, the fleet's mean stands in for what is not known, and the least of a few random endpoints is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshware.balancing.chooser import ChooserPicker, FullScanPicker, attach, checked_choices, in_flight
from meshware.balancing.draw import by_weight
from meshware.balancing.meters import Averaged, AveragedReading
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Meter, Picker


class Measured:
    """Base of a strategy by a score. `choices`: endpoints drawn per call; `select`: "choices", or "argmin" for all.

    Endpoints are drawn by weight. While the fleet guard holds, plain least request: what is measured then tells more
    of the overload than of the endpoints. (A scorer of a user's own is asked all the same: it may measure nothing.)
    """

    needs: tuple[Meter, ...]
    near = 0.02
    """Scores that differ by less than this share are equal: the less busy is taken."""

    def __init__(self, *, choices: int = 4, select: str = "choices") -> None:
        if select not in ("choices", "argmin"):
            raise ValueError(f"select must be 'choices' or 'argmin', not {select!r}")
        self._choices = checked_choices(choices)
        self._scan = select == "argmin"

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meters where they are missing."""
        attach(self, endpoints)
        if self._scan:
            return FullScanPicker(self.score, endpoints, self.terms)
        draw = by_weight(endpoints, self._choices)
        return ChooserPicker(self.score, endpoints, draw, near=self.near, guarded=in_flight, terms=self.terms)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """Lower is better."""
        raise NotImplementedError

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """The score, and what it is made of."""
        raise NotImplementedError


class MeasuredMean(Measured):
    """Base of a strategy by the mean of one meter.

    `near`: a mean says what was. When a burst comes, who has the least mean gets all of it before his mean grows; so
    the load of the moment decides between all that are not clearly better (in the simulator's bursts at 0.1 a quarter
    of all calls is lost, at 0.3 one in a hundred, at 0.5 none).
    """

    near = 0.5

    def __init__(self, meter: Averaged, *, choices: int, select: str) -> None:
        super().__init__(choices=choices, select=select)
        self.meter = meter
        self.needs = (meter,)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """The mean; the fleet's for an endpoint that nothing is known of."""
        return endpoint.readings[self.meter].value(call.now)

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """It is the mean."""
        score = self.score(endpoint, call)
        return score, {"mean": score}

    def ratio(self, endpoint: Endpoint, call: Call) -> float:
        """The mean beside the fleet's; 1.0 while there is none."""
        own, typical = self.means(endpoint, call)
        return own / typical if typical else 1.0

    def means(self, endpoint: Endpoint, call: Call) -> tuple[float, float]:
        """The endpoint's mean and the fleet's."""
        reading = endpoint.readings[self.meter]
        assert isinstance(reading, AveragedReading)
        typical = reading.fleet.value(call.now)
        return reading.beside(typical, call.now), typical
