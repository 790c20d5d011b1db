"""Hooks of mkdocs: files beside docs/ that its pages link to join the site.

A link such as ../edge/REPORT.md holds in the repository. On the site the file
is source/edge/REPORT.md, and so are the files that it links to in turn.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
DOCS, SITE = "docs/", "source/"
_LINK = re.compile(r"(\]\()([^)#\s:]+)(#[^)\s]*)?(\))")


def on_files(files, config):
    """Adds the files beside docs/ that pages link to, also through others."""
    pages = [DOCS + file.src_uri for file in files.documentation_pages()]
    linked = set()
    while pages:
        page = pages.pop()
        for path in _links(page) - linked:
            if path.startswith(DOCS) or not (ROOT / path).is_file():
                continue  # One of the site, or a broken link: mkdocs says so.
            linked.add(path)
            source = str(ROOT / path)
            files.append(
                File.generated(config, SITE + path, abs_src_path=source)
            )
            if path.endswith(".md"):
                pages.append(path)
    return files


def on_page_markdown(markdown, page, config, files):
    """Leads links to where their files are on the site."""
    uri = page.file.src_uri
    source = _repository_path(uri)

    def to_site(match):
        target = _site_path(_resolve(source, match[2]))
        relative = posixpath.relpath(target, posixpath.dirname(uri) or ".")
        return match[1] + relative + (match[3] or "") + match[4]

    return _LINK.sub(to_site, markdown)


def _links(page: str) -> set[str]:
    """Paths in the repository that a page of the repository links to."""
    text = (ROOT / page).read_text()
    return {_resolve(page, match[2]) for match in _LINK.finditer(text)}


def _resolve(page: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _repository_path(uri: str) -> str:
    return uri.removeprefix(SITE) if uri.startswith(SITE) else DOCS + uri


def _site_path(path: str) -> str:
    return path.removeprefix(DOCS) if path.startswith(DOCS) else SITE + path
