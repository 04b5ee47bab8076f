"""The Flinks API: `protocol.py` builds requests and classifies answers, `client.py` sends them."""
