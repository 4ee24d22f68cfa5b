"""Edge: the doors. ``listener`` takes bytes off sockets, ``door`` tells administrators, browsers and AWS clients apart,
``aws`` is the request path of every AWS API, ``admin`` Lakebed's own endpoints, ``loopback`` the same path without a
socket, ``mqtt`` the devices' door. No service is imported here: a registry of them is handed in."""
