"""Pages from templates: one set of rules for the report, the page of an audit and the web page."""

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates(package: str) -> Environment:
    """The templates of a package: what is put in is escaped, and a name that is not there is an error."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def data_uri(data: bytes, kind: str) -> str:
    """An address that holds the data itself; `kind` is their media type, such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
