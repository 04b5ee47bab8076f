"""Corrects faults of kombu, py-amqp and billiard; each file names them."""
