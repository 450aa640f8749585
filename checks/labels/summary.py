"""One sentence on the labels of the sample, for the report."""

import numpy as np

from checks.kit import noise_channel
from checks.kit.wording import about, count, percent


def of(
    doubted: np.ndarray,
    correct: np.ndarray,
    held: np.ndarray,
    channels: tuple[noise_channel.Channel, noise_channel.Channel | None],
) -> str:
    """Return what was found.

    Args:
        doubted: which labels are, bool, shape (n,).
        correct: the chance that each label is correct, shape (n,).
        held: which labels are, bool, shape (n,).
        channels: of maximum likelihood, and with the fewest plausible errors.
    """
    likely, least = channels
    told = f"{count(int(doubted.sum()), 'label')} doubted"
    if not held.any():
        return (
            f"none of {count(len(correct), 'sampled label')} quarantined: no evidence of errors "
            f"beyond class overlap; {told}"
        )
    least_rate = f", at least {percent(least.rate)}" if least else ""
    return (
        f"{int(held.sum()):,} of {count(len(correct), 'sampled label')} contradicted beyond class "
        f"overlap and quarantined, {about(float(correct[held].mean()))} of them false "
        f"alarms; an estimated {percent(likely.rate)} of all labels are wrong{least_rate}; "
        f"{told}"
    )
