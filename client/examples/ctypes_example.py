#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes lines to a session and reads it back through libsponson.so, with no binding.

    ctypes_example.py SESSION TEXT...        (SPONSON_LIBRARY names another libsponson.so)
"""
import os
import sys
from ctypes import (CDLL, POINTER, Structure, byref, c_bool, c_char_p, c_int, c_size_t, c_ubyte,
                    c_uint32, c_uint64, c_void_p, cast, create_string_buffer, sizeof, string_at)

OK, END, RETRY_NONE = 0, 7, 0xFFFFFFFF


class Bytes(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]

    def __str__(self):
        return string_at(self.data, self.size).decode() if self.size else ""


class Event(Structure):
    _fields_ = [("size", c_size_t), ("kind", c_int), ("id", Bytes), ("type", Bytes), ("data", Bytes),
                ("retry_ms", c_uint32), ("resets_id", c_bool), ("note", Bytes),
                ("seq", c_uint64), ("position", c_uint64), ("life", c_ubyte * 16),
                ("time_ms", c_uint64), ("closes", c_bool), ("reason", Bytes)]


def text(string):
    kept = string.encode()
    result = Bytes(cast(c_char_p(kept), c_void_p), len(kept))
    result.kept = kept  # ctypes holds only the address
    return result


def check(err, detail=None):
    if err != OK:
        sys.exit(f"{lib.spn_err_name(err).decode()}: {(detail or detail_of(client)).decode()}")


if len(sys.argv) < 2:
    sys.exit(__doc__)
lib = CDLL(os.environ.get("SPONSON_LIBRARY", "libsponson.so.0"))
lib.spn_err_name.restype = lib.spn_client_detail.restype = c_char_p
lib.spn_publish.argtypes = [c_void_p, Bytes, c_void_p, c_void_p]
lib.spn_replay_open.argtypes = [c_void_p, c_void_p, Bytes, Bytes, c_int]
detail_of = lib.spn_client_detail

client, producer, replay = c_void_p(), c_void_p(), c_void_p()
session, why = text(sys.argv[1]), create_string_buffer(256)
event, read = Event(size=sizeof(Event), retry_ms=RETRY_NONE), POINTER(Event)()
check(lib.spn_client_open(byref(client), None, 2000, why, 256), why.value)
check(lib.spn_producer_open(byref(producer), client, None, 2000))
for line in map(text, sys.argv[2:]):
    event.data = line
    check(lib.spn_publish(producer, session, byref(event), None))
check(lib.spn_producer_close(producer, 5000, None))  # waits until all are on disk

check(lib.spn_replay_open(byref(replay), client, session, Bytes(), 2000))
while (err := lib.spn_replay_next(replay, 2000, byref(read))) == OK:
    print(read.contents.seq, read.contents.id, read.contents.data)
check(OK if err == END else err)
lib.spn_replay_close(replay)
lib.spn_client_close(client)
