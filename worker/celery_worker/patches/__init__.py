"""Corrects faults of kombu and py-amqp; each file names them."""
