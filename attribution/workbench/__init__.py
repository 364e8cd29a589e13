"""The pages: the only importer of Streamlit. Each page opens with :func:`attribution.workbench.shell.page`."""
