"""AWS IoT SQL, version 2016-03-23: parsed once for each rule, compiled to closures, evaluated for each message.

``lexer`` makes tokens, ``parser`` closures and the statement, ``values`` holds IoT's own idea of types and of what is
undefined, ``functions`` the functions, ``template`` the ``${...}`` substitutions of action parameters.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html. Refused with SqlParseException naming them:
functions that reach other services (aws_lambda, get_secret, get_dynamodb, get_thing_shadow, get_registry_data,
get_public_key, machinelearning_predict, decode to protobuf), regular expressions (a stranger's pattern could stop the
house), parse_time and transform.
"""
