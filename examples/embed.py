"""The smallest app: python examples/embed.py AGGREGATOR_URL ENROLMENT_KEY FOLDER ITEM..."""

import sys

from fedrec_sdk import Contributed, Participant

aggregator_url, enrolment_key, folder, *items = sys.argv[1:]

with Participant(aggregator_url, enrolment_key, store=folder) as participant:
    for chosen in items:
        participant.record(int(chosen))  # stays on this device
    match participant.contribute():
        case Contributed(report_id, round_number):
            print(f"counted in round {round_number} as {report_id}")
        case other:
            print(other)
    for item, score in participant.recommend(5):  # computed on this device
        print(item, round(score, 3))
