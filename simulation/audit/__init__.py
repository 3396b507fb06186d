"""What published models and received reports give away: attacks and a lower bound of epsilon, measured."""
