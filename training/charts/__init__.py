"""The one chart library of the project: matplotlib, drawn without pyplot, in one restrained style.

Each function takes plain values and returns a `Figure`; `output` turns a figure into an SVG without inline styles (our
content security policy allows none), its dark twin, or a PNG. Labels stand at what they name, there are no legends to
look up, and colours stay apart for colour-blind readers (Okabe and Ito 2008). Loads matplotlib: never import it where a
web page is served.
"""
