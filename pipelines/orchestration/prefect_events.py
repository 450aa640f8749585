"""Events of Prefect: what others on the same server may act on."""

from collections.abc import Mapping
from typing import Any


def emit(event: str, dataset: str, payload: Mapping[str, Any]) -> str:
    """Emit an event of a dataset; Prefect sends it in the background, the flow's end waits.

    Returns:
        The kind of error if Prefect did not take it, for no run fails for want of a listener.
    """
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"assay.dataset.{dataset}", "prefect.resource.name": dataset}
    try:
        emit_event(event, resource, payload=dict(payload))
    except Exception as error:  # noqa: BLE001  see above
        return type(error).__name__
    return ""
