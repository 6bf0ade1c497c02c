"""Echo by protocol."""

from echo_protocol import Echo
from measure import serve_protocol

serve_protocol(Echo)
