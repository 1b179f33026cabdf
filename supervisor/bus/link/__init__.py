"""A connection to one MQTT broker. No other room knows how MQTT is spoken.

`address.py`: where a broker is, from the settings or from the managed broker. `mqtt.py`: the connection itself
(implements ports.Broker), over `client.py`, which alone touches aiomqtt's and paho's private parts, and `tls.py`.
`connack.py`: why a broker refuses, as a sentence with the next step. `connection.py`: the little that the pump and the
listeners need of any connection, ours, the managed one or the simulated one (lab/broker.py).
"""
