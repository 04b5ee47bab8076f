"""Corrections of kombu and py-amqp, each with the fault it corrects."""
