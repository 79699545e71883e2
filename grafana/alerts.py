"""The table of the alerts that fire, which more than one dashboard shows."""

from grafana.panels import Panel, listing, rows

OF_A_MODEL = ("check", "column", "dag")
OF_NONE = ("component", "source", "volume", "integration", "job", "instance")
WHAT = ", ".join(f'"{label}"' for label in OF_A_MODEL + OF_NONE)


def alerts(*of: str) -> Panel:
    """List the alerts that fire, of those selected; each name leads to its runbook."""
    # of an alert about a model, job and instance only say who told of it
    about = _firing(OF_A_MODEL, 'model!=""', *of), _firing(OF_NONE, 'model=""', *of)
    return listing(
        "Alerts firing",
        "Empty is well. The name of an alert leads to its runbook, which says what to do.",
        rows(f'label_join({about[0]} or {about[1]}, "what", " ", {WHAT})'),
        columns={
            "severity": "severity",
            "alertname": "alert",
            "model": "model",
            "version": "version",
            "what": "what",
        },
        sort="severity",  # those that page first
        leads={"alert": "${page}/runbooks/${__value.raw}"},
        link=("trail", "${page}/alerts"),
    )


def _firing(labels: tuple[str, ...], *of: str) -> str:
    chosen = ",".join(('alertstate="firing",severity!="none"', *of))
    return f"max by (alertname, severity, model, version, {', '.join(labels)}) (ALERTS{{{chosen}}})"
