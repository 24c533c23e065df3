"""Alterations of messages on their way: of frames by bits and lengths, and of the numbers in them."""

import numpy as np

from tacit.field import P

HEADER = 16


def low_bit(payload):
    payload[HEADER] ^= 1
    return payload


def last_bit(payload):
    payload[-1] ^= 1
    return payload


def outside_the_field(payload):
    payload[HEADER : HEADER + 8] = b"\xff" * 8
    return payload


def header(payload):
    payload[0] ^= 1
    return payload


def shorter(payload):
    return payload[:-1]


def longer(payload):
    return payload + b"\0"


def empty(payload):
    return b""


def dropped(payload):
    return None


def repeated(payload):
    return [payload, bytes(payload)]


ALTERATIONS = [low_bit, last_bit, outside_the_field, header, shorter, longer, empty, dropped, repeated]


def alter(at, alteration, only=None):
    def tamper(peer, number, payload, label):
        if number != at or (only is not None and peer != only):
            return payload
        return alteration(bytearray(payload))

    return tamper


def elements(payload):
    return np.frombuffer(bytes(payload[HEADER:]), np.uint64).copy()


def message(payload, values):
    return bytes(payload[:HEADER]) + np.asarray(values, np.uint64).tobytes()


def one_more(payload):
    return message(payload, (elements(payload) + np.uint64(1)) % np.uint64(P))


def one_number_off(payload):
    values = elements(payload)
    values[-1] = (int(values[-1]) + (1 << 40)) % P
    return message(payload, values)
