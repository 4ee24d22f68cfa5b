"""AWS IoT SQL, version 2016-03-23: parsed once for each rule, compiled to closures, evaluated for each message.

``lexer`` makes tokens, ``parser`` closures and the statement, ``values`` holds IoT's own idea of types and of what is
undefined, ``functions`` the functions, ``template`` the ``${...}`` substitutions of action parameters.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html. Refused with SqlParseException naming them:
functions on services that do not exist here (get_secret, get_dynamodb, machinelearning_predict), decode from protobuf, md2,
and aws_lambda in substitution templates. ``patterns`` holds regular expressions, ``times`` times by pattern, ``outside``
what reaches beyond the message.
"""
