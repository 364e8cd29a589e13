"""The live command view; imported by a server, the app with what it answers beside its pages."""

import streamlit as st

if __name__ == "__main__":
    from attribution.workbench import live
    from attribution.workbench.shell import page

    page("Live", ready=False)
    live.show()
else:
    from attribution.workbench.routes import middleware, routes, served

    app = st.App(__file__, routes=routes(), middleware=middleware(), lifespan=served)
