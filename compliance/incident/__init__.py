"""An incident: four answers about whatever one has a handle of.

What happened, who caused it, was it authorized, what data was touched. `handles` understands what
was typed, `gathering` reads, `answers` are pure, `document` is what leaves the page.
"""
