"""Echo over TLS, by protocol."""

from echo_protocol import Echo
from measure import serve_tls

serve_tls(Echo)
