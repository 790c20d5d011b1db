"""The body: data, files, the function itself, parts, the exported form."""
