"""The request path of every AWS API: route, authenticate, parse, check, authorise, dispatch, serialise, journal."""
