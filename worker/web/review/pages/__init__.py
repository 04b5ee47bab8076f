"""The handlers of the routes: plain functions of a request, which run in threads. One file for each page."""
