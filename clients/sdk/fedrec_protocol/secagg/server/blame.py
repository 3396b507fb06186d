"""Who is at fault, as far as signed messages tell."""

from collections import Counter
from collections.abc import Sequence

from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import CheckedReveal

POISONED = "dealt shares that do not give the secret that it committed to"


def faults(rostered: RosteredRound, reveals: Sequence[CheckedReveal], poisoned: Sequence[int]) -> dict[str, str]:
    """What is held against whom, by client id, in words for an operator.

    A dealer whose genuine shares do not give its secret is convicted by its own signature. A share that is not what
    its dealer signed convicts nobody: the dealer sealed another one, or the holder revealed another one. Of the
    two, the one that is in more such pairs is named, for an honest participant is in no more of them than there
    are liars; where neither is, both are.

    Args:
        rostered: The round.
        reveals: What was revealed, compared with the digests.
        poisoned: Positions of convicted dealers; their shares are held against nobody else.
    """
    pairs = [(reveal.holder, dealer) for reveal in reveals for dealer in reveal.mismatched if dealer not in poisoned]
    of_holder, of_dealer = Counter(holder for holder, _ in pairs), Counter(dealer for _, dealer in pairs)
    words = {}
    for holder, dealer in pairs:
        if of_holder[holder] >= of_dealer[dealer]:
            words[holder] = (
                f"revealed {of_holder[holder]} shares that are not what their dealers signed, or none at all"
            )
        if of_dealer[dealer] >= of_holder[holder]:
            words[dealer] = f"dealt shares of which {of_dealer[dealer]} holders had something else than it signed"
    words |= dict.fromkeys(poisoned, POISONED)
    return {rostered.adverts[place].certificate.client_id: words[place] for place in sorted(words)}
